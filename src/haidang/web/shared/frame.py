"""What stands around every page: the province's name, the menu, the emergency numbers, the language."""

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from haidang.infra.database import reading
from haidang.infra.province import ProvinceSettings, province_settings
from haidang.infra.translations import LOCALES, SOURCE_LOCALE
from haidang.kernel.actors import DEFAULT_TENANT, Actor
from haidang.kernel.errors import Unavailable
from haidang.sdk.model import Pack
from haidang.web.shared.answers import HTML, Header, Whole
from haidang.web.shared.house import House, Scope

_PROVINCE_KEPT_S = 30.0
LANGUAGES = {"vi": "Tiếng Việt", "en": "English"}
"""The name of each language in that language: the only text that is never translated."""


@dataclass(frozen=True, slots=True)
class MenuEntry:
    """One entry of the portal's menu: a message id and the path of the page in Vietnamese."""

    label: str
    path: str


def locale_of(path: str) -> str:
    """The language an address asks for: `/en` and what is below it English, all else Vietnamese."""
    first = path.split("/", 2)[1] if path.startswith("/") else ""
    return first if first in LOCALES and first != LOCALES[0] else LOCALES[0]


def in_locale(path: str, locale: str) -> str:
    """A page's address in a language, from its Vietnamese one."""
    if locale == LOCALES[0]:
        return path
    return f"/{locale}" if path == "/" else f"/{locale}{path}"


def without_locale(path: str) -> str:
    """A page's Vietnamese address, from its address in any language."""
    locale = locale_of(path)
    return path if locale == LOCALES[0] else path.removeprefix(f"/{locale}") or "/"


class Frame:
    """Renders pages inside the public frame; keeps the province's settings for when the database is away."""

    def __init__(self, house: House) -> None:
        self._house = house
        self._province: dict[str, tuple[float, ProvinceSettings]] = {}
        self.menu: Sequence[MenuEntry] = menu_of(house.packs)

    async def province(self, tenant: str = DEFAULT_TENANT) -> ProvinceSettings:
        """The province's settings, half a minute old at most; the last known when the database is away."""
        known = self._province.get(tenant)
        if known is not None and time.monotonic() - known[0] < _PROVINCE_KEPT_S:
            return known[1]
        try:
            async with reading(self._house.pool) as connection:
                settings = await province_settings(connection, tenant)
        except Unavailable:
            return known[1] if known is not None else ProvinceSettings()
        self._province[tenant] = (time.monotonic(), settings)
        return settings

    async def page(
        self,
        scope: Scope,
        template: str,
        *,
        title: str,
        status: int = 200,
        headers: Iterable[Header] = (),
        **context: Any,
    ) -> Whole:
        """Render a template as a whole page. `title` is already in the language of the page."""
        path = str(scope["path"])
        locale = locale_of(path)
        actor: Actor | None = scope.get("state", {}).get("actor")
        here = quote(without_locale(path), safe="/:")
        text = self._house.templates.render(
            template,
            locale,
            title=title,
            here=here,
            home=in_locale("/", locale),
            link=lambda to: in_locale(to, locale),
            alternates=[(one, LANGUAGES[one], in_locale(here, one)) for one in LOCALES],
            source_locale=SOURCE_LOCALE,
            province=await self.province(actor.tenant if actor is not None else DEFAULT_TENANT),
            menu=self.menu,
            now=self._house.clock.now(),
            status=status,
            **context,
        )
        return Whole(
            text.encode(),
            HTML,
            status=status,
            headers=((b"content-language", locale.encode()), *headers),
        )


def menu_of(packs: Sequence[Pack]) -> list[MenuEntry]:
    """The menu: home, then the pages that packs want in it, in the order of the packs."""
    pages = [page for pack in packs for page in pack.pages if page.in_menu and "{" not in page.path]
    return [MenuEntry("Home", "/"), *(MenuEntry(page.title, page.path) for page in pages)]
