"""What search engines are told: `/robots.txt`, and `/sitemap.xml` once the site knows its own address.

The sitemap (sitemaps.org 0.9) lists the portal's pages, the packs' public pages and the units of today:
the province's own wards, or the provinces while the site has none; each in every language.
"""

from collections.abc import Iterable
from datetime import date
from typing import Any
from xml.sax.saxutils import escape

from litestar import Request, get
from litestar.handlers import HTTPRouteHandler
from litestar.types import ASGIApp

from haidang.infra.database import Connection, reading
from haidang.infra.translations import LOCALES
from haidang.kernel.actors import Actor, Audience
from haidang.kernel.instants import VIETNAM
from haidang.places import service
from haidang.places.model import Level
from haidang.web.shared.answers import Whole
from haidang.web.shared.audiences import actor_of
from haidang.web.shared.editions import KeptByEdition
from haidang.web.shared.errors import PageNotFound
from haidang.web.shared.frame import PORTAL_TITLES, Frame, in_locale
from haidang.web.shared.house import House, Scope
from haidang.web.shared.layers import province_of
from haidang.web.shared.routes import sent
from haidang.web.shared.units import unit_path

SITEMAP_PATH = "/sitemap.xml"
_SITEMAPS = "http://www.sitemaps.org/schemas/sitemap/0.9"
_TEXT = b"text/plain; charset=utf-8"
_XML = b"application/xml"
_AN_HOUR = b"public, max-age=3600"
_NOT_TO_READ = ("/ngsi-ld/", "/tim?", "/en/tim?", "/tra-cuu-don-vi?", "/en/tra-cuu-don-vi?")
"""What robots shall leave out: the interface for machines, and answers to what somebody typed."""


def sitemap_routes(house: House, frame: Frame) -> list[HTTPRouteHandler]:
    """The routes of both; without the setting `public_url` there is no sitemap."""
    made: KeptByEdition[Whole] = KeptByEdition(4)

    async def robots(request: Request[Any, Any, Any]) -> ASGIApp:
        scope: Scope = request.scope  # type: ignore[assignment]  # a TypedDict of the same
        whole = Whole(robots_text(house.settings.site).encode(), _TEXT, cache_control=_AN_HOUR)
        return sent(whole.answer(scope["headers"]))

    async def sitemap(request: Request[Any, Any, Any]) -> ASGIApp:
        scope: Scope = request.scope  # type: ignore[assignment]  # a TypedDict of the same
        site, actor = house.settings.site, actor_of(scope)
        if not site:
            raise PageNotFound
        name = (await frame.province(actor.tenant)).name
        on = house.clock.now().astimezone(VIETNAM).date()
        async with reading(house.pool) as connection:

            async def make() -> Whole:
                paths = [*pages_of(house, frame), *await _unit_paths(actor, connection, name, on)]
                return Whole(sitemap_document(site, paths).encode(), _XML, cache_control=_AN_HOUR)

            whole = await made.get(await service.edition(actor, connection), (name, on), make)
        return sent(whole.answer(scope["headers"]))

    public = {"audience": Audience.PUBLIC}
    return [
        get("/robots.txt", opt=public, name="robots")(robots),
        get(SITEMAP_PATH, opt=public, name="sitemap")(sitemap),
    ]


def robots_text(site: str) -> str:
    """The file of robots (RFC 9309); it names the sitemap where there is one."""
    lines = ["User-agent: *", *(f"Disallow: {path}" for path in _NOT_TO_READ)]
    if site:
        lines += ["", f"Sitemap: {site}{SITEMAP_PATH}"]
    return "\n".join(lines) + "\n"


def pages_of(house: House, frame: Frame) -> list[str]:
    """The Vietnamese paths of the portal's own pages and of the packs' public ones, each once."""
    of_packs = [
        page.path
        for pack in house.packs
        for page in pack.pages
        if page.audience is Audience.PUBLIC and "{" not in page.path
    ]
    return list(dict.fromkeys(path for path in ("/", *PORTAL_TITLES, *of_packs) if frame.serves(path)))


def sitemap_document(site: str, paths: Iterable[str]) -> str:
    """The sitemap: each page in each language with its alternates."""
    lines = [
        '<?xml version="1.0" encoding="UTF-8"?>',
        f'<urlset xmlns="{_SITEMAPS}" xmlns:xhtml="http://www.w3.org/1999/xhtml">',
    ]
    for path in paths:
        addresses = {locale: escape(site + in_locale(path, locale), {'"': "&quot;"}) for locale in LOCALES}
        alternates = "".join(
            f'<xhtml:link rel="alternate" hreflang="{locale}" href="{address}"/>'
            for locale, address in addresses.items()
        )
        lines += [f"<url><loc>{address}</loc>{alternates}</url>" for address in addresses.values()]
    return "\n".join([*lines, "</urlset>", ""])


async def _unit_paths(actor: Actor, connection: Connection, name: str, on: date) -> list[str]:
    provinces = await service.units_on(actor, connection, on, level=Level.PROVINCE)
    own = province_of(provinces, name)
    listed = provinces
    if own is not None:
        wards = await service.units_on(actor, connection, on, level=Level.WARD, parent_id=own.unit_id)
        listed = [own, *wards]
    return [unit_path(one.unit_id) for one in listed]
