"""The installable shell: its manifest, its worker, and the page for when there is no network (ADR 0055)."""

import hashlib
from typing import Any

import orjson
from litestar import Request, get
from litestar.handlers import HTTPRouteHandler
from litestar.types import ASGIApp

from haidang.infra.templates import STATIC_URL
from haidang.infra.translations import LOCALES
from haidang.kernel.actors import Audience
from haidang.web.shared.answers import Whole
from haidang.web.shared.audiences import actor_of
from haidang.web.shared.frame import Frame, in_locale, locale_of
from haidang.web.shared.house import House, Scope
from haidang.web.shared.routes import paths_in_every_locale, sent
from haidang.web.shared.static import StaticFiles

OFFLINE_PATH = "/khong-co-mang"
_SCRIPT = b"text/javascript; charset=utf-8"
_MANIFEST = b"application/manifest+json"
_FONT = "node_modules/@fontsource/be-vietnam-pro/files/be-vietnam-pro-{subset}-{weight}-normal.woff2"
_KEPT = (
    "styles/public.css",
    "styles/mark.svg",
    "islands/live.ts",
    "islands/shell.ts",
    *(
        _FONT.format(subset=subset, weight=weight)
        for subset in ("latin", "vietnamese")
        for weight in (400, 600)
    ),
)
"""What stays on the device: what the home page and the offline page are made of."""
_ICONS = (
    ("icon-192.png", "192x192", "any"),
    ("icon-512.png", "512x512", "any"),
    ("icon-512-maskable.png", "512x512", "maskable"),
)
_KEPT_MESSAGES = ("There is no network. You saw this page at {moment}; its figures may have changed since.",)


def shell_routes(house: House, frame: Frame, files: StaticFiles) -> list[HTTPRouteHandler]:
    """The routes of the worker, the manifest and the offline page."""

    async def worker(request: Request[Any, Any, Any]) -> ASGIApp:
        scope: Scope = request.scope  # type: ignore[assignment]  # a TypedDict of the same
        return sent(Whole(worker_script(house, files), _SCRIPT).answer(scope["headers"]))

    async def manifest(request: Request[Any, Any, Any]) -> ASGIApp:
        scope: Scope = request.scope  # type: ignore[assignment]  # a TypedDict of the same
        name = (await frame.province(actor_of(scope).tenant)).name
        return sent(Whole(_manifest_of(name, files), _MANIFEST).answer(scope["headers"]))

    async def offline(request: Request[Any, Any, Any]) -> ASGIApp:
        scope: Scope = request.scope  # type: ignore[assignment]  # a TypedDict of the same
        title = house.translations.gettext(locale_of(str(scope["path"])), "No network")
        whole = await frame.page(scope, "portal/offline.html", title=title)
        return sent(whole.answer(scope["headers"]))

    public = {"audience": Audience.PUBLIC}
    return [
        get("/sw.js", opt=public, name="worker")(worker),
        get("/manifest.webmanifest", opt=public, name="manifest")(manifest),
        get(list(paths_in_every_locale(OFFLINE_PATH)), opt=public, name="offline")(offline),
    ]


def worker_script(house: House, files: StaticFiles) -> bytes:
    """The built worker with what it keeps written before it: another build is another worker."""
    asset = house.templates.environment(LOCALES[0]).globals["asset"]
    kept = [str(asset(name)) for name in _KEPT]  # type: ignore[operator]  # Jinja's globals are objects
    script = files.body(str(asset("sw.ts")).removeprefix(STATIC_URL))  # type: ignore[operator]  # as above
    shell = {
        "version": hashlib.sha256("\n".join(kept).encode() + script).hexdigest()[:16],
        "files": kept,
        "locales": {
            locale: {
                "home": in_locale("/", locale),
                "offline": in_locale(OFFLINE_PATH, locale),
                "words": {"kept": house.translations.gettext(locale, _KEPT_MESSAGES[0])},
            }
            for locale in LOCALES
        },
    }
    return b"const SHELL=" + orjson.dumps(shell) + b";\n" + script


def _manifest_of(name: str, files: StaticFiles) -> bytes:
    """The manifest of an installed page (W3C Web Application Manifest), in the province's name."""
    return orjson.dumps(
        {
            "id": "/",
            "name": name,
            "short_name": name[:30],
            "lang": LOCALES[0],
            "start_url": "/",
            "scope": "/",
            "display": "minimal-ui",
            "background_color": "#ffffff",
            "theme_color": "#0e2a40",
            "icons": [
                {"src": files.address(icon), "sizes": sizes, "type": "image/png", "purpose": purpose}
                for icon, sizes, purpose in _ICONS
            ],
        }
    )
