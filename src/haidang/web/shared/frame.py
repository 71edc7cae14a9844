"""What stands around every page: the province's name, the menu, the emergency numbers, the language."""

import time
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from haidang.infra.database import reading
from haidang.infra.province import ProvinceSettings, province_settings
from haidang.infra.translations import LOCALES, SOURCE_LOCALE
from haidang.kernel.actors import DEFAULT_TENANT, Actor, Audience, anonymous
from haidang.kernel.errors import Unavailable
from haidang.sdk.model import Pack
from haidang.web.shared.answers import HTML, Header, Whole
from haidang.web.shared.house import House, Scope
from haidang.web.shared.risks import RISK_LEVELS

SEARCH_PATH = "/tim"
_PROVINCE_KEPT_S = 30.0
LANGUAGES = {"vi": "Tiếng Việt", "en": "English"}
"""The name of each language in that language: the only text that is never translated."""


PORTAL_TITLES = {
    "/tra-cuu-don-vi": "Old and new units",
    "/don-vi": "Administrative units",
    "/ban-do": "Map",
}
"""The portal's own pages that stand in its menu beside those of packs, by path: message ids."""

PORTAL_SUMMARY_MESSAGES = {
    "/tra-cuu-don-vi": "Type an address or the name of a ward, old or new, and see what it is called today.",
    "/don-vi": "Every ward and commune on the map, before and since 1 July 2025.",
    "/ban-do": "Wards, hospitals and stations on one map, with the same things as a list.",
}
"""A sentence about each, for its card on the home page: message ids."""


@dataclass(frozen=True, slots=True)
class MenuEntry:
    """One entry of the portal's menu: a message id, its Vietnamese address, a sentence about it."""

    label: str
    path: str
    summary: str = ""
    audience: Audience = Audience.PUBLIC


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
        self._menu: Sequence[MenuEntry] = menu_of(house.packs)
        self._served: Collection[str] = frozenset()

    def serve(self, paths: Collection[str]) -> None:
        """Say which paths have a route: an entry of the menu without one is shown nowhere."""
        self._served = frozenset(paths)

    def serves(self, path: str) -> bool:
        """Whether a page of this house stands at a Vietnamese path."""
        return path in self._served

    def menu(self, actor: Actor) -> list[MenuEntry]:
        """The entries of the menu that lead somewhere for this actor."""
        return [one for one in self._menu if self.serves(one.path) and actor.belongs_to(one.audience)]

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
        now = self._house.clock.now()
        province = await self.province(actor.tenant if actor is not None else DEFAULT_TENANT)
        bulletin = province.bulletin
        text = self._house.templates.render(
            template,
            locale,
            title=title,
            here=here,
            home=in_locale("/", locale),
            link=lambda to: in_locale(to, locale),
            site=self._house.settings.site,
            alternates=[(one, LANGUAGES[one], in_locale(here, one)) for one in LOCALES],
            source_locale=SOURCE_LOCALE,
            province=province,
            bulletin=bulletin if bulletin is not None and bulletin.in_force(now) else None,
            risk_levels=RISK_LEVELS,
            menu=self.menu(actor or anonymous()),
            searchable=self.serves(SEARCH_PATH),
            now=now,
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
    """The menu: what most people come for, then pages of packs, then the other ones. The mark leads home."""
    of_packs = [
        MenuEntry(page.title, page.path, page.summary, page.audience)
        for pack in packs
        for page in pack.pages
        if page.in_menu and "{" not in page.path
    ]
    first, *others = (
        MenuEntry(title, path, PORTAL_SUMMARY_MESSAGES[path]) for path, title in PORTAL_TITLES.items()
    )
    return [first, *of_packs, *others]
