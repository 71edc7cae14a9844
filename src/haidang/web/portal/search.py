"""The search of the portal: pages, and what rooms and packs say can be found; complete without a script."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs, urlencode

from litestar import Request, get
from litestar.handlers import HTTPRouteHandler
from litestar.types import ASGIApp
from markupsafe import Markup

from haidang.context import service as context
from haidang.infra.database import Connection, reading
from haidang.kernel.actors import Audience, anonymous
from haidang.kernel.instants import VIETNAM
from haidang.places.finding import find_units
from haidang.places.gazetteer import find_named_places
from haidang.places.naming import UnitFound
from haidang.places.service import units
from haidang.sdk.model import EntityView, Pack, Searchable, SearchHit
from haidang.web.shared.answers import Whole
from haidang.web.shared.audiences import actor_of
from haidang.web.shared.frame import SEARCH_PATH, Frame, MenuEntry, locale_of
from haidang.web.shared.house import House, Scope
from haidang.web.shared.routes import paths_in_every_locale, sent
from haidang.web.shared.searching import Asked, Question, SearchSource, best_hits, question_of
from haidang.web.shared.sharing import SharedPages

MOST_IN_A_GROUP = 10
_MOST_ENTITIES = 2_000
_NAMES_KEPT_S = 30.0
_SHARED_FOR = timedelta(seconds=5)


GROUP_LABELS = {"pages": "Pages", "units": "Administrative units", "named-places": "Streets and places"}
"""What the groups of the portal's own sources are called: message ids."""


@dataclass(frozen=True, slots=True)
class Group:
    """The hits of one source as listed: title with marks, address, line with marks, whether made up."""

    label: str
    hits: Sequence[tuple[Markup, str, Markup, bool]]


class PageSource:
    """The pages that stand in the menu, by their titles and summaries in the language of the page."""

    label = GROUP_LABELS["pages"]

    def __init__(self, menu: Callable[[Asked], Sequence[MenuEntry]], say: Callable[[str, str], str]) -> None:
        self._menu = menu
        self._say = say

    async def find(self, connection: Connection, asked: Asked, most: int) -> Sequence[SearchHit]:
        """The pages whose title or summary has the words."""
        del connection
        pages = [
            SearchHit(
                self._say(asked.locale, one.label),
                one.path,
                self._say(asked.locale, one.summary) if one.summary else "",
            )
            for one in self._menu(asked)
        ]
        return best_hits(asked.question, pages, most)


class EntitySource:
    """Entities that a pack declares searchable, by name; the list of names is half a minute old at most."""

    def __init__(self, pack: Pack, searchable: Searchable) -> None:
        self._searchable = searchable
        self._type = next(one for one in pack.entity_types if one.name == searchable.entity_type)
        self._known: dict[tuple[str, frozenset[Audience]], tuple[float, Sequence[EntityView]]] = {}

    @property
    def label(self) -> str:
        """What the pack calls them."""
        return self._searchable.label

    async def find(self, connection: Connection, asked: Asked, most: int) -> Sequence[SearchHit]:
        """Those whose name, or the line about them, has the words."""
        hits = [
            replace(hit, synthetic=view.synthetic)
            for view in await self._views(connection, asked)
            if (hit := self._searchable.hit(view, asked.locale)) is not None
        ]
        return best_hits(asked.question, hits, most)

    async def _views(self, connection: Connection, asked: Asked) -> Sequence[EntityView]:
        key = (asked.actor.tenant, asked.actor.audiences)
        known = self._known.get(key)
        if known is None or time.monotonic() - known[0] > _NAMES_KEPT_S:
            found = await context.latest_entities(asked.actor, connection, self._type, _MOST_ENTITIES)
            known = self._known[key] = (time.monotonic(), found)
        return known[1]


class UnitSource:
    """Administrative units, those of today first, former ones with what they became."""

    label = GROUP_LABELS["units"]

    def __init__(self, frame: Frame, say: Callable[[str, str], str]) -> None:
        self._frame = frame
        self._say = say

    async def find(self, connection: Connection, asked: Asked, most: int) -> Sequence[SearchHit]:
        """Units whose name begins with the words."""
        on = asked.now.astimezone(VIETNAM).date()
        found = await find_units(asked.actor, connection, asked.question.text, on=on, most=most)
        return [self._hit(one, asked.locale) for one in found]

    def _hit(self, found: UnitFound, locale: str) -> SearchHit:
        unit = found.unit
        where = ", ".join(one.full_name for one in reversed(found.path) if one.unit_id != unit.unit_id)
        if found.became:
            now = ", ".join(one.full_name for one in found.became)
            where = self._say(locale, "{where}; today {now}").format(where=where, now=now).lstrip("; ")
        path = f"/don-vi/{unit.unit_id.rsplit(':', 1)[-1]}" if self._frame.serves("/don-vi") else ""
        return SearchHit(unit.full_name, path, where)


class NamedPlaceSource:
    """Streets, waters and places of the base map that the province has built, if it has."""

    label = GROUP_LABELS["named-places"]

    async def find(self, connection: Connection, asked: Asked, most: int) -> Sequence[SearchHit]:
        """Those with a word that begins so, with the ward they lie in."""
        on = asked.now.astimezone(VIETNAM).date()
        found = await find_named_places(asked.actor, connection, asked.question.text, on=on, most=most)
        wards = await units(asked.actor, connection, sorted({one.unit_id for one in found if one.unit_id}))
        return [
            SearchHit(one.place.name, "", wards[one.unit_id].full_name if one.unit_id in wards else "")
            for one in found
        ]


def sources_of(house: House, frame: Frame) -> list[SearchSource]:
    """What the portal's search finds, in the order of its groups; a room's own source is added here."""
    pages = PageSource(lambda asked: frame.menu(asked.actor), house.translations.gettext)
    of_packs = [EntitySource(pack, one) for pack in house.packs for one in pack.searchables]
    return [pages, UnitSource(frame, house.translations.gettext), NamedPlaceSource(), *of_packs]


def search_route(house: House, frame: Frame, sources: Sequence[SearchSource]) -> HTTPRouteHandler:
    """The route of `/tim?q=`, in every language."""
    shared = SharedPages(house.clock, shared_for=_SHARED_FOR)

    async def search(request: Request[Any, Any, Any]) -> ASGIApp:
        scope: Scope = request.scope  # type: ignore[assignment]  # a TypedDict of the same
        question = question_of(_typed(scope))

        async def make() -> Whole:
            return await _page(house, frame, sources, scope=scope, question=question)

        if actor_of(scope) == anonymous():
            whole = await shared.get((scope["path"], question.text), make)
        else:
            whole = await make()
        return sent(whole.answer(scope["headers"]))

    return get(list(paths_in_every_locale(SEARCH_PATH)), opt={"audience": Audience.PUBLIC}, name="search")(
        search
    )


async def _page(
    house: House, frame: Frame, sources: Sequence[SearchSource], *, scope: Scope, question: Question
) -> Whole:
    locale = locale_of(str(scope["path"]))
    asked = Asked(actor_of(scope), question, locale, house.clock.now())
    groups: list[Group] = []
    if question.words:
        async with reading(house.pool) as connection:
            for source in sources:
                hits = await source.find(connection, asked, MOST_IN_A_GROUP + 1)
                if hits:
                    groups.append(_group(source, question, hits))
    say = house.translations
    title = (
        say.gettext(locale, "Search: {text}", text=question.text)
        if question.text
        else say.gettext(locale, "Search")
    )
    return await frame.page(
        scope,
        "portal/search.html",
        title=title,
        question=question,
        groups=groups,
        most=MOST_IN_A_GROUP,
        labels=[source.label for source in sources],
        lookup=frame.serves("/tra-cuu-don-vi"),
        query=urlencode({"q": question.text}),
    )


def _group(source: SearchSource, question: Question, hits: Sequence[SearchHit]) -> Group:
    return Group(
        source.label,
        [(question.marked(one.title), one.path, question.marked(one.detail), one.synthetic) for one in hits],
    )


def _typed(scope: Scope) -> str:
    """What stands behind `q=`; bytes that are no UTF-8 are replaced, not refused."""
    query = bytes(scope.get("query_string", b""))[:4_000].decode("latin-1")
    return parse_qs(query, errors="replace").get("q", [""])[0]
