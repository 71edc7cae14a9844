"""The portal's pages of administrative units: look up old and new ones, the tree of any day, one unit.

Complete without a script. Visitors of whom nothing is known share one page for a few seconds, unless
they typed something: that page is theirs.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

from litestar import Request, get
from litestar.handlers import HTTPRouteHandler
from litestar.types import ASGIApp
from shapely.geometry.base import BaseGeometry

from haidang.infra.database import Connection, reading
from haidang.infra.province import ProvinceSettings
from haidang.kernel.actors import Actor, Audience, anonymous
from haidang.kernel.errors import Invalid
from haidang.kernel.geometry import Box, Position
from haidang.kernel.instants import VIETNAM
from haidang.kernel.text import fold
from haidang.places import finding, service, trees
from haidang.places.model import TWO_LEVELS_SINCE, Level, Unit, UnitAt
from haidang.web.portal.units import views
from haidang.web.portal.units.views import EVE_OF_TWO_LEVELS, OLDEST_LIST, Answer, Group, Row
from haidang.web.shared.answers import Whole
from haidang.web.shared.audiences import actor_of
from haidang.web.shared.frame import Frame, locale_of
from haidang.web.shared.house import House, Scope
from haidang.web.shared.maps import Outline
from haidang.web.shared.routes import paths_in_every_locale, sent
from haidang.web.shared.sharing import SharedPages
from haidang.web.shared.units import (
    LOOKUP_PATH,
    UNITS_PATH,
    day_of,
    plain_text,
    position_of,
    query_of,
    shown_again,
    slug_of,
    unit_id_of,
    unit_path,
)

_MOST_WORDS = 80
_NEIGHBOURHOOD = 0.6
"""How far around a unit its picture reaches, in parts of its own size."""

_MARGIN = 0.25

_POSITION_ALLOWED = (
    b"permissions-policy",
    b"camera=(), geolocation=(self), microphone=(), payment=(), usb=()",
)
"""The look-up may ask the device where it is, when somebody taps the button for it."""

EXAMPLES = (
    "72 tran hung dao, p. phu thuy, phan thiet",
    "phường 1, Đà Lạt",
    "xã Hòa Thắng, huyện Bắc Bình",
    "P.Lạc Đạo, TP Phan Thiết",
)


def unit_page_routes(house: House, frame: Frame) -> list[HTTPRouteHandler]:
    """`/tra-cuu-don-vi`, `/don-vi` and `/don-vi/{slug}`, in every language."""
    pages = _UnitPages(house, frame)
    return [
        pages.route(LOOKUP_PATH, "units.lookup", pages.lookup),
        pages.route(UNITS_PATH, "units.tree", pages.tree),
        pages.route(UNITS_PATH + "/{slug:str}", "units.unit", pages.unit),
    ]


@dataclass(frozen=True, slots=True)
class _Visit:
    """One request for a page."""

    scope: Scope
    parameters: Mapping[str, Any]
    query: Mapping[str, str]
    today: date
    locale: str

    @property
    def actor(self) -> Actor:
        return actor_of(self.scope)


class _UnitPages:
    """What the routes show."""

    def __init__(self, house: House, frame: Frame) -> None:
        self._house = house
        self._frame = frame
        self._shared = SharedPages(house.clock)

    def route(self, path: str, name: str, show: Callable[[_Visit], Awaitable[Whole]]) -> HTTPRouteHandler:
        """A public page; one for all who typed nothing."""

        async def visit(request: Request[Any, Any, Any]) -> ASGIApp:
            scope: Scope = request.scope  # type: ignore[assignment]  # a TypedDict of the same
            asked = _Visit(
                scope,
                request.path_params,
                query_of(scope),
                self._house.clock.now().astimezone(VIETNAM).date(),
                locale_of(str(scope["path"])),
            )

            async def make() -> Whole:
                return await show(asked)

            chosen = tuple(sorted(asked.query.items()))
            if asked.actor != anonymous() or not _only_chosen(asked.query):
                whole = await make()
            else:
                whole = await self._shared.get((str(scope["path"]), chosen), make)
            return sent(whole.answer(scope["headers"]))

        return get(list(paths_in_every_locale(path)), opt={"audience": Audience.PUBLIC}, name=name)(visit)

    # -- looking up ----------------------------------------------------------------------------

    async def lookup(self, visit: _Visit) -> Whole:
        """What an address or a name is today; what cannot be read is said beside the form."""
        typed = visit.query.get("q", "")
        trouble: Invalid | None = None
        text, at = "", None
        try:
            text = plain_text(typed)
            at = position_of(visit.query)
        except Invalid as wrong:
            trouble = wrong
        chosen = visit.query.get("tinh-cu", "")
        async with reading(self._house.pool) as connection:
            formers = await service.units_on(visit.actor, connection, EVE_OF_TWO_LEVELS, level=Level.PROVINCE)
            within = next((one for one in formers if slug_of(one.unit_id) == chosen), None)
            answer: Answer | None = None
            found: UnitAt | None = None
            above: tuple[Unit, ...] = ()
            if trouble is None and text:
                answer = await self._answer(visit, connection, text, within, at)
            elif trouble is None and at is not None:
                found = await service.unit_at(visit.actor, connection, *at, visit.today)
                above = await self._above(visit.actor, connection, found)
        say = self._house.translations
        heading = say.gettext(visit.locale, "Look up an old or new unit")
        return await self._frame.page(
            visit.scope,
            "portal/units_lookup.html",
            title=f"{text} · {heading}" if text else heading,
            heading=heading,
            status=422 if trouble else 200,
            headers=(_POSITION_ALLOWED,),
            text=text or shown_again(typed),
            latitude=shown_again(visit.query.get("latitude", "")),
            longitude=shown_again(visit.query.get("longitude", "")),
            trouble=say.translate_error(trouble, visit.locale) if trouble else "",
            formers=formers,
            chosen=slug_of(within.unit_id) if within else "",
            answer=answer,
            there=found,
            there_path=unit_path(found.unit.unit_id) if found else "",
            there_where=views.place_words(above),
            asked_where=at is not None,
            examples=EXAMPLES,
            slug_of=slug_of,
            eve=EVE_OF_TWO_LEVELS,
        )

    async def _answer(
        self,
        visit: _Visit,
        connection: Connection,
        text: str,
        within: Unit | None,
        at: Position | None,
    ) -> Answer:
        resolved = await finding.resolve_place(
            visit.actor,
            connection,
            text,
            on=visit.today,
            within=within.unit_id if within else None,
            at=at,
        )
        named = [one.unit for one in resolved.candidates]
        named += [one.former for one in resolved.candidates if one.former is not None]
        above = await trees.above_all(visit.actor, connection, named)
        say = self._house.translations.gettext
        why = {
            place: one.why.sentence(say(visit.locale, one.why.message_id))
            for place, one in enumerate(resolved.candidates)
        }
        home = await self._home(visit, connection)
        return views.answer_of(resolved, above, why, home.unit_id if home else None)

    async def _above(self, actor: Actor, connection: Connection, found: UnitAt | None) -> tuple[Unit, ...]:
        if found is None:
            return ()
        return (await trees.above_all(actor, connection, [found.unit]))[found.unit.unit_id]

    # -- the tree ------------------------------------------------------------------------------

    async def tree(self, visit: _Visit) -> Whole:
        """The units of a province on a day beside what they were made of, or became; or the provinces."""
        trouble: Invalid | None = None
        on, words = visit.today, ""
        try:
            on = day_of(visit.query.get("ngay", ""), self._house.clock.now())
            words = plain_text(visit.query.get("tim", ""))[:_MOST_WORDS]
        except Invalid as wrong:
            trouble = wrong
        chosen = visit.query.get("tinh")
        async with reading(self._house.pool) as connection:
            actor = visit.actor
            nation = await service.units_on(actor, connection, on, level=Level.PROVINCE)
            if chosen is None:
                province = await self._home(visit, connection)
            elif chosen:
                province = await service.unit(actor, connection, unit_id_of(chosen))
            else:
                province = None
            shown = _Shown([], [], 0, {})
            sides: list[Unit] = []
            if province is not None:
                sides = await self._standing(actor, connection, province, on)
                shown = await self._shown(visit, connection, sides, on, words)
            counts = await self._counts(actor, connection, province, visit.today)
        say = self._house.translations
        heading = say.gettext(visit.locale, "Administrative units")
        return await self._frame.page(
            visit.scope,
            "portal/units_tree.html",
            title=f"{province.full_name} · {heading}" if province and chosen else heading,
            heading=heading,
            status=422 if trouble else 200,
            trouble=say.translate_error(trouble, visit.locale) if trouble else "",
            on=on,
            today=visit.today,
            former_view=on < TWO_LEVELS_SINCE,
            too_old=on < OLDEST_LIST,
            oldest=OLDEST_LIST,
            eve=EVE_OF_TWO_LEVELS,
            since=TWO_LEVELS_SINCE,
            words=words,
            one_province=province,
            province_slug=slug_of(province.unit_id) if province else "",
            sides=sides,
            nation=nation,
            groups=shown.groups,
            size=shown.size,
            of_all=shown.of_all,
            outlines=shown.outlines,
            counts=counts,
            unit_path=unit_path,
            slug_of=slug_of,
        )

    async def _shown(
        self, visit: _Visit, connection: Connection, sides: Sequence[Unit], on: date, words: str
    ) -> "_Shown":
        """The rows of some provinces on a day, under their headings, and what the map shows of them."""
        actor = visit.actor
        below = await trees.units_below(actor, connection, [one.unit_id for one in sides], on)
        wards = [one for one in below if one.level is Level.WARD]
        ids = [one.unit_id for one in wards]
        former_view = on < TWO_LEVELS_SINCE
        if former_view:
            links = await service.became_all(actor, connection, ids, visit.today)
        else:
            links = await trees.made_of_all(actor, connection, ids)
        ends = [one.unit for steps in links.values() for one in steps]
        above = await trees.above_all(actor, connection, ends)
        rows = views.rows_of(wards, links, above)
        kept = views.matching(rows, words)
        if former_view:
            districts = [one for one in below if one.level is Level.DISTRICT]
            groups = views.groups_of_former(kept, sides, districts)
        else:
            otherwise = self._house.translations.gettext(visit.locale, "Other land")
            groups = views.groups_by_former_province(kept, above, otherwise)
        outlines = await self._drawn(actor, connection, sides if former_view else wards, kept, words)
        return _Shown(groups, kept, len(rows), outlines)

    async def _drawn(
        self, actor: Actor, connection: Connection, units: Sequence[Unit], kept: Sequence[Row], words: str
    ) -> dict[str, Outline]:
        shapes = await service.outlines(actor, connection, [one.unit_id for one in units])
        found = {row.unit.unit_id for row in kept} if words else set()
        return {
            one.unit_id: Outline(
                shapes[one.unit_id],
                one.name,
                unit_path(one.unit_id),
                "chosen" if one.unit_id in found else "plain",
                one.full_name,
            )
            for one in units
            if one.unit_id in shapes
        }

    async def _standing(self, actor: Actor, connection: Connection, province: Unit, on: date) -> list[Unit]:
        """The provinces of a day that a province was made of, became, or is."""
        if province.stood_on(on):
            return [province]
        steps = (
            await service.became_on(actor, connection, province.unit_id, on)
            if province.valid_to is not None and province.valid_to <= on
            else await service.came_from(actor, connection, province.unit_id)
        )
        return [one.unit for one in steps if one.unit.level is Level.PROVINCE]

    async def _counts(
        self, actor: Actor, connection: Connection, province: Unit | None, today: date
    ) -> dict[str, dict[str, int]]:
        """How many units of each level there were before, and are since, 1 July 2025."""
        counts: dict[str, dict[str, int]] = {}
        for side, on in (("before", EVE_OF_TWO_LEVELS), ("since", max(today, TWO_LEVELS_SINCE))):
            if province is None:
                listed = [
                    one
                    for level in (Level.PROVINCE, Level.DISTRICT)
                    for one in await service.units_on(actor, connection, on, level=level)
                ]
                listed_provinces = [one for one in listed if one.level is Level.PROVINCE]
            else:
                listed_provinces = await self._standing(actor, connection, province, on)
                ids = [one.unit_id for one in listed_provinces]
                listed = [*listed_provinces, *await trees.units_below(actor, connection, ids, on)]
            counts[side] = {level.value: sum(one.level is level for one in listed) for level in Level}
        return counts

    # -- one unit ------------------------------------------------------------------------------

    async def unit(self, visit: _Visit) -> Whole:
        """One unit: names, figures with their day, what it was made of or became, where it lies."""
        unit_id = unit_id_of(str(visit.parameters["slug"]))
        async with reading(self._house.pool) as connection:
            actor = visit.actor
            path = await service.path_of(actor, connection, unit_id)
            unit = path[-1]
            made_of = await service.came_from(actor, connection, unit_id)
            became = await service.became(actor, connection, unit_id)
            last_day = min(visit.today, _eve(unit.valid_to)) if unit.valid_to else visit.today
            below = await trees.units_below(actor, connection, [unit_id], last_day)
            wards = [one for one in below if one.level is Level.WARD]
            ids = [one.unit_id for one in wards]
            if unit.stood_on(visit.today):
                links = await trees.made_of_all(actor, connection, ids)
            else:
                links = await service.became_all(actor, connection, ids, visit.today)
            ends = [one.unit for steps in links.values() for one in steps]
            ends += [one.unit for one in (*made_of, *became)]
            above = await trees.above_all(actor, connection, [*ends, *wards])
            outlines = await self._around(actor, connection, unit, visit.today, [one.unit for one in became])
            sources = [one for one in await service.releases(actor, connection) if one.name == "units"]
        rows = views.rows_of(wards, links, above)
        districts = [one for one in below if one.level is Level.DISTRICT]
        say = self._house.translations.gettext
        groups = (
            views.groups_of_former(rows, [unit], districts)
            if districts
            else [Group(say(visit.locale, "Wards and communes"), "xa", rows=rows)]
        )
        return await self._frame.page(
            visit.scope,
            "portal/units_one.html",
            title=", ".join(one.full_name for one in reversed(path)),
            unit=unit,
            above=[(one.full_name, unit_path(one.unit_id)) for one in path[:-1]],
            level_word=views.LEVEL_LABELS[unit.level],
            stands=unit.stood_on(visit.today),
            made_of=views.steps_of(made_of, above),
            became=views.steps_of(became, above),
            groups=[group for group in groups if group.size],
            size=len(rows),
            outlines=outlines,
            box=_box_of(unit, [one.unit for one in became]),
            own=unit_id in {one.key for one in outlines},
            successor=became[0].unit if len(became) == 1 else None,
            source=sources[0] if sources else None,
        )

    async def _around(
        self, actor: Actor, connection: Connection, unit: Unit, today: date, became: Sequence[Unit]
    ) -> list[Outline]:
        """What the picture of a unit shows: itself, or what it became, and what lies around it."""
        chosen = [unit] if unit.accuracy_m is not None else [one for one in became if one.accuracy_m]
        if not chosen:
            return []
        above = await trees.above_all(actor, connection, chosen)
        parents = sorted({chain[-1].unit_id for chain in above.values() if chain})
        near: list[Unit] = []
        if unit.level is Level.PROVINCE:
            near = (
                []
                if not unit.stood_on(today)
                else await trees.units_below(actor, connection, [unit.unit_id], today)
            )
        elif parents:
            near = await trees.units_below(actor, connection, parents, today)
        boxes = [one.box for one in chosen if one.box is not None]
        near = [
            one for one in near if one.box is not None and any(one.box.meets(_wider(box)) for box in boxes)
        ]
        ids = [one.unit_id for one in (*chosen, *near)]
        shapes = await service.outlines(actor, connection, ids)
        chosen_ids = {one.unit_id for one in chosen}
        ordered = [*(one for one in near if one.unit_id not in chosen_ids), *chosen]
        if unit.level is Level.PROVINCE and near:
            ordered = near
        return await asyncio.to_thread(_outlines, ordered, shapes, chosen_ids)

    async def _home(self, visit: _Visit, connection: Connection) -> Unit | None:
        """The province whose site this is, by its name in the settings; None while it has none."""
        settings = await self._frame.province(visit.actor.tenant)
        if settings.name == ProvinceSettings().name:
            return None
        name = fold(settings.name)
        provinces = await service.units_on(visit.actor, connection, visit.today, level=Level.PROVINCE)
        return next((one for one in provinces if name in (fold(one.name), fold(one.full_name))), None)


@dataclass(frozen=True, slots=True)
class _Shown:
    """The rows of a tree, under their headings; how many there are without the search; the map."""

    groups: list[Group]
    kept: list[Row]
    of_all: int
    outlines: dict[str, Outline]

    @property
    def size(self) -> int:
        return len(self.kept)


def _outlines(units: Sequence[Unit], shapes: Mapping[str, BaseGeometry], chosen: set[str]) -> list[Outline]:
    return [
        Outline(
            shapes[one.unit_id],
            one.name,
            "" if one.unit_id in chosen else unit_path(one.unit_id),
            "chosen" if one.unit_id in chosen else "plain",
            one.full_name,
            one.unit_id,
        )
        for one in units
        if one.unit_id in shapes
    ]


def _box_of(unit: Unit, became: Sequence[Unit]) -> Box | None:
    """What the picture of a unit shows: itself, or what it became, and a little around."""
    boxes = [one.box for one in ((unit,) if unit.box else became) if one.box is not None]
    if not boxes:
        return None
    whole = Box(
        min(one.west for one in boxes),
        min(one.south for one in boxes),
        max(one.east for one in boxes),
        max(one.north for one in boxes),
    )
    return whole if unit.level is Level.PROVINCE else _wider(whole, _MARGIN)


def _wider(box: Box, by: float = _NEIGHBOURHOOD) -> Box:
    wide = (box.east - box.west) * by
    high = (box.north - box.south) * by
    return replace(
        box, west=box.west - wide, east=box.east + wide, south=box.south - high, north=box.north + high
    )


def _only_chosen(query: Mapping[str, str]) -> bool:
    """Whether a page was chosen (a province, a day) and nothing typed: many will ask for the same."""
    return query.keys() <= {"tinh", "ngay"} and all(len(value) <= _MOST_WORDS for value in query.values())


def _eve(day: date) -> date:
    return date.fromordinal(day.toordinal() - 1)
