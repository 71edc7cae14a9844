"""The portal's pages of administrative units: look up old and new ones, the tree of any day, one unit.

Complete without a script. Visitors of whom nothing is known share one page for a few seconds, unless
they typed something: that page is theirs.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any
from uuid import UUID

from litestar import Request, get
from litestar.handlers import HTTPRouteHandler
from litestar.types import ASGIApp
from markupsafe import Markup
from shapely.geometry.base import BaseGeometry

from haidang.infra.database import Connection, reading
from haidang.infra.province import ProvinceSettings
from haidang.kernel.actors import Actor, Audience, anonymous
from haidang.kernel.errors import Invalid
from haidang.kernel.geometry import Box, Position
from haidang.kernel.instants import VIETNAM
from haidang.kernel.text import fold
from haidang.places import finding, service, trees
from haidang.places.model import TWO_LEVELS_SINCE, Level, ReportingArea, Succession, Unit, UnitAt
from haidang.web.portal.units import views
from haidang.web.portal.units.views import EVE_OF_TWO_LEVELS, Answer, Group, Row
from haidang.web.shared.answers import Whole
from haidang.web.shared.audiences import actor_of
from haidang.web.shared.editions import KeptByEdition
from haidang.web.shared.frame import Frame, locale_of
from haidang.web.shared.house import House, Scope
from haidang.web.shared.maps import Outline, map_picture
from haidang.web.shared.routes import paths_in_every_locale, sent
from haidang.web.shared.sharing import SharedPages
from haidang.web.shared.units import (
    LOOKUP_PATH,
    UNITS_PATH,
    NumberUnreadable,
    PositionHalfGiven,
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
_CHOSEN = ("tinh", "ngay", "dia-ban")
_TYPED = frozenset({"q", "tim", "tinh-cu", "latitude", "longitude"})
"""All that the pages read of a query: what is chosen from a list or a link, and what somebody typed."""

_NEIGHBOURHOOD = 1.2
"""How far around a unit its picture reaches, in parts of its own size."""

_MARGIN = 0.25

_MOST_LISTS, _MOST_TREES, _MOST_UNITS, _MOST_PICTURES = 64, 16, 256, 64
"""What is kept of an edition: some ten megabytes when everything is full, most of it pictures and trees."""

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
        self._lists: KeptByEdition[list[Unit]] = KeptByEdition(_MOST_LISTS)
        self._counted: KeptByEdition[dict[str, dict[str, int]]] = KeptByEdition(_MOST_LISTS)
        self._areas_kept: KeptByEdition[list[ReportingArea]] = KeptByEdition(_MOST_LISTS)
        self._trees: KeptByEdition[_Tree] = KeptByEdition(_MOST_TREES)
        self._ones: KeptByEdition[_One] = KeptByEdition(_MOST_UNITS)
        self._pictures: KeptByEdition[Markup] = KeptByEdition(_MOST_PICTURES)

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

            chosen = _chosen(asked.query)
            if asked.actor != anonymous() or chosen is None:
                whole = await make()
            else:
                whole = await self._shared.get((str(scope["path"]), chosen), make)
            return sent(whole.answer(scope["headers"]))

        return get(list(paths_in_every_locale(path)), opt={"audience": Audience.PUBLIC}, name=name)(visit)

    # -- looking up ----------------------------------------------------------------------------

    async def lookup(self, visit: _Visit) -> Whole:
        """What an address or a name is today; what cannot be read is said beside the form."""
        typed = visit.query.get("q", "")
        wrong: dict[str, Invalid] = {}
        wrong_fields: tuple[str, ...] = ()
        text, at = "", None
        try:
            text = plain_text(typed)
        except Invalid as trouble:
            wrong["q"] = trouble
        try:
            at = position_of(visit.query)
        except NumberUnreadable as trouble:
            wrong["position"], wrong_fields = trouble, (str(trouble.fields["name"]).lower(),)
        except PositionHalfGiven as trouble:
            wrong["position"], wrong_fields = trouble, ("latitude", "longitude")
        chosen = visit.query.get("tinh-cu", "")
        async with reading(self._house.pool) as connection:
            formers = await service.units_on(visit.actor, connection, EVE_OF_TWO_LEVELS, level=Level.PROVINCE)
            within = next((one for one in formers if slug_of(one.unit_id) == chosen), None)
            answer: Answer | None = None
            found: UnitAt | None = None
            above: tuple[Unit, ...] = ()
            if not wrong and text:
                answer = await self._answer(visit, connection, text, within, at)
            elif not wrong and at is not None:
                found = await service.unit_at(visit.actor, connection, *at, visit.today)
                above = await self._above(visit.actor, connection, found)
        say = self._house.translations
        heading = say.gettext(visit.locale, "Look up an old or new unit")
        return await self._frame.page(
            visit.scope,
            "portal/units_lookup.html",
            title=f"{text} · {heading}" if text else heading,
            heading=heading,
            status=422 if wrong else 200,
            headers=(_POSITION_ALLOWED,),
            text=text or shown_again(typed),
            latitude=shown_again(visit.query.get("latitude", "")),
            longitude=shown_again(visit.query.get("longitude", "")),
            wrong={name: say.translate_error(trouble, visit.locale) for name, trouble in wrong.items()},
            wrong_fields=wrong_fields,
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
        home = await self._home(visit, connection, await service.edition(visit.actor, connection))
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
            edition = await service.edition(actor, connection)
            oldest = await service.records_since(actor, connection)
            nation = await self._provinces(actor, connection, edition, on)
            if chosen is None:
                province = await self._home(visit, connection, edition)
            elif chosen:
                province = await service.unit(actor, connection, unit_id_of(chosen))
            else:
                province = None
            shown = _Shown([], [], 0, None)
            sides: list[Unit] = []
            areas: list[ReportingArea] = []
            area: ReportingArea | None = None
            if province is not None:
                tree = await self._tree_of(visit, connection, edition, province, on)
                sides = tree.sides
                areas = await self._areas(visit, connection, edition, province)
                wanted = visit.query.get("dia-ban", "")
                area = next((one for one in areas if slug_of(one.area_id) == wanted), None)
                shown = await self._shown(visit, connection, edition, tree, words, area, on)
            counts = await self._counts(actor, connection, edition, province, visit.today)
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
            too_old=on < oldest,
            oldest=oldest,
            eve=EVE_OF_TWO_LEVELS,
            since=TWO_LEVELS_SINCE,
            words=words,
            one_province=province,
            province_slug=slug_of(province.unit_id) if province else "",
            sides=sides,
            areas=areas,
            area=area,
            nation=nation,
            groups=shown.groups,
            size=shown.size,
            of_all=shown.of_all,
            picture=shown.picture,
            counts=counts,
            unit_path=unit_path,
            slug_of=slug_of,
        )

    async def _provinces(
        self, actor: Actor, connection: Connection, edition: UUID | None, on: date
    ) -> list[Unit]:
        async def read() -> list[Unit]:
            return await service.units_on(actor, connection, on, level=Level.PROVINCE)

        return await self._lists.get(edition, on, read)

    async def _tree_of(
        self, visit: _Visit, connection: Connection, edition: UUID | None, province: Unit, on: date
    ) -> "_Tree":
        actor, today = visit.actor, visit.today

        async def read() -> _Tree:
            sides = await self._standing(actor, connection, province, on)
            below = await trees.units_below(actor, connection, [one.unit_id for one in sides], on)
            wards = [one for one in below if one.level is Level.WARD]
            ids = [one.unit_id for one in wards]
            former_view = on < TWO_LEVELS_SINCE
            if former_view:
                links = await service.became_all(actor, connection, ids, today)
            else:
                links = await trees.made_of_all(actor, connection, ids)
            ends = [one.unit for steps in links.values() for one in steps]
            above = await trees.above_all(actor, connection, ends)
            districts = [one for one in below if one.level is Level.DISTRICT]
            rows = await asyncio.to_thread(views.rows_of, wards, links, above)
            return _Tree(province, former_view, sides, districts, wards, rows, above)

        return await self._trees.get(edition, (province.unit_id, on, today), read)

    async def _areas(
        self, visit: _Visit, connection: Connection, edition: UUID | None, province: Unit
    ) -> list[ReportingArea]:
        """The former provinces that a province's people still report by; none of one that was not merged."""

        async def read() -> list[ReportingArea]:
            areas = await service.reporting_areas(visit.actor, connection)
            formers = await self._standing(visit.actor, connection, province, EVE_OF_TWO_LEVELS)
            ids = {one.unit_id for one in formers}
            found = [one for one in areas if one.former_id in ids]
            return found if len(found) > 1 else []

        return await self._areas_kept.get(edition, province.unit_id, read)

    async def _shown(  # noqa: PLR0917 - what narrows a tree, one by one
        self,
        visit: _Visit,
        connection: Connection,
        edition: UUID | None,
        tree: "_Tree",
        words: str,
        area: ReportingArea | None,
        on: date,
    ) -> "_Shown":
        """The rows of a tree that fit words and lie in an area, under headings, and the map of them."""
        rows: Sequence[Row] = tree.rows
        inside: frozenset[str] = frozenset()
        if area is not None:
            members = await service.units_of_area(visit.actor, connection, area.area_id, on)
            members_ids = {one.unit_id for one in members}
            rows = [row for row in rows if row.unit.unit_id in members_ids]
            # Of former wards we hold no outlines: their province stands for them.
            inside = frozenset([area.former_id] if tree.former_view else members_ids)
        kept = views.matching(rows, words)
        if tree.former_view:
            groups = views.groups_of_former(kept, tree.sides, tree.districts)
        else:
            otherwise = self._house.translations.gettext(visit.locale, "Other land")
            groups = views.groups_by_former_province(kept, tree.above, otherwise)
        units = tree.sides if tree.former_view else tree.wards
        found = frozenset(row.unit.unit_id for row in kept) if words else inside
        title = tree.province.full_name
        description = self._house.translations.gettext(
            visit.locale, "The same units stand in the list on this page."
        )

        async def draw() -> Markup:
            shapes = await service.outlines(visit.actor, connection, [one.unit_id for one in units])
            outlines = [
                Outline(
                    shapes[one.unit_id],
                    one.name,
                    unit_path(one.unit_id),
                    "chosen" if one.unit_id in found else "plain",
                    one.full_name,
                )
                for one in units
                if one.unit_id in shapes
            ]
            return await asyncio.to_thread(
                _picture,
                outlines,
                name="units",
                title=title,
                description=description,
                locale=visit.locale,
            )

        if words:  # nobody else may type the same
            picture = await draw()
        else:
            key = ("units", visit.locale, title, area, tuple(one.unit_id for one in units))
            picture = await self._pictures.get(edition, key, draw)
        return _Shown(groups, kept, len(rows), picture)

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
        self,
        actor: Actor,
        connection: Connection,
        edition: UUID | None,
        province: Unit | None,
        today: date,
    ) -> dict[str, dict[str, int]]:
        """How many units of each level there were before, and are since, 1 July 2025."""

        async def count() -> dict[str, dict[str, int]]:
            counts: dict[str, dict[str, int]] = {}
            for side, on in (("before", EVE_OF_TWO_LEVELS), ("since", max(today, TWO_LEVELS_SINCE))):
                if province is None:
                    listed = await self._provinces(actor, connection, edition, on)
                    listed = [*listed, *await service.units_on(actor, connection, on, level=Level.DISTRICT)]
                else:
                    provinces = await self._standing(actor, connection, province, on)
                    ids = [one.unit_id for one in provinces]
                    listed = [*provinces, *await trees.units_below(actor, connection, ids, on)]
                counts[side] = {level.value: sum(one.level is level for one in listed) for level in Level}
            return counts

        return await self._counted.get(edition, (province.unit_id if province else "", today), count)

    # -- one unit ------------------------------------------------------------------------------

    async def unit(self, visit: _Visit) -> Whole:
        """One unit: names, figures with their day, what it was made of or became, where it lies."""
        unit_id = unit_id_of(str(visit.parameters["slug"]))
        async with reading(self._house.pool) as connection:
            edition = await service.edition(visit.actor, connection)

            async def read() -> _One:
                return await self._one(visit.actor, connection, unit_id, visit.today)

            one = await self._ones.get(edition, (unit_id, visit.today), read)
            sources = [one for one in await service.releases(visit.actor, connection) if one.name == "units"]
            picture = await self._picture_of(visit, connection, edition, one)
        unit = one.path[-1]
        say = self._house.translations.gettext
        groups = (
            views.groups_of_former(one.rows, [unit], one.districts)
            if one.districts
            else [Group(say(visit.locale, "Wards and communes"), "xa", rows=list(one.rows))]
        )
        return await self._frame.page(
            visit.scope,
            "portal/units_one.html",
            title=", ".join(each.full_name for each in reversed(one.path)),
            unit=unit,
            above=[(each.full_name, unit_path(each.unit_id)) for each in one.path[:-1]],
            level_word=views.LEVEL_LABELS[unit.level],
            stands=unit.stood_on(visit.today),
            made_of=views.steps_of(one.made_of, one.above),
            became=views.steps_of(one.became, one.above),
            through=one.through,
            unit_path=unit_path,
            groups=[group for group in groups if group.size],
            size=len(one.rows),
            picture=picture,
            own=one.own,
            successor=one.became[0].unit if len(one.became) == 1 else None,
            source=sources[0] if sources else None,
        )

    async def _one(self, actor: Actor, connection: Connection, unit_id: str, today: date) -> "_One":
        path = await service.path_of(actor, connection, unit_id)
        unit = path[-1]
        made_of = await service.came_from(actor, connection, unit_id)
        became = await service.became(actor, connection, unit_id)
        through = await service.became_through_wards(actor, connection, unit_id, today)
        last_day = min(today, _eve(unit.valid_to)) if unit.valid_to else today
        below = await trees.units_below(actor, connection, [unit_id], last_day)
        wards = [one for one in below if one.level is Level.WARD]
        ids = [one.unit_id for one in wards]
        if unit.stood_on(today):
            links = await trees.made_of_all(actor, connection, ids)
        else:
            links = await service.became_all(actor, connection, ids, today)
        ends = [one.unit for steps in links.values() for one in steps]
        ends += [one.unit for one in (*made_of, *became)]
        above = await trees.above_all(actor, connection, [*ends, *wards])
        rows = views.rows_of(wards, links, above)
        districts = [one for one in below if one.level is Level.DISTRICT]
        return _One(path, made_of, became, through, rows, districts, above)

    async def _picture_of(
        self, visit: _Visit, connection: Connection, edition: UUID | None, one: "_One"
    ) -> Markup | None:
        """The picture of a unit and its surroundings; None where we hold no outline."""
        unit, became = one.path[-1], [step.unit for step in one.became] or list(one.through)
        if unit.accuracy_m is None and not any(each.accuracy_m for each in became):
            return None
        say = self._house.translations.gettext
        if not one.own and one.through:
            description = say(
                visit.locale,
                "We hold no outline of this unit; filled are the units that its land went to, all or part.",
            )
        elif not one.own:
            description = say(
                visit.locale, "We hold no outline of this unit; the filled one is what it became."
            )
        elif unit.level is Level.PROVINCE and unit.stood_on(visit.today):
            description = say(visit.locale, "The same units stand in the list on this page.")
        else:
            description = say(visit.locale, "The unit is filled; around it lie its neighbours.")

        async def draw() -> Markup:
            outlines = await self._around(visit.actor, connection, unit, visit.today, became)
            box = _box_of(unit, became)
            return await asyncio.to_thread(
                _picture,
                outlines,
                box,
                name="unit",
                title=unit.full_name,
                description=description,
                locale=visit.locale,
            )

        key = ("unit", visit.locale, unit.unit_id, visit.today)
        return await self._pictures.get(edition, key, draw)

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
            one
            for one in near
            if one.box is not None and any(one.box.meets(_seen_around(box)) for box in boxes)
        ]
        ids = [one.unit_id for one in (*chosen, *near)]
        shapes = await service.outlines(actor, connection, ids)
        chosen_ids = {one.unit_id for one in chosen}
        ordered = [*(one for one in near if one.unit_id not in chosen_ids), *chosen]
        if unit.level is Level.PROVINCE and near:
            ordered = near
        return await asyncio.to_thread(_outlines, ordered, shapes, chosen_ids)

    async def _home(self, visit: _Visit, connection: Connection, edition: UUID | None) -> Unit | None:
        """The province whose site this is, by its name in the settings; None while it has none."""
        settings = await self._frame.province(visit.actor.tenant)
        if settings.name == ProvinceSettings().name:
            return None
        name = fold(settings.name)
        provinces = await self._provinces(visit.actor, connection, edition, visit.today)
        return next((one for one in provinces if name in (fold(one.name), fold(one.full_name))), None)


@dataclass(frozen=True, slots=True)
class _Tree:
    """The units of a province on a day and what they were made of or became; nothing in it is changed."""

    province: Unit
    former_view: bool
    sides: list[Unit]
    districts: Sequence[Unit]
    wards: Sequence[Unit]
    rows: Sequence[Row]
    above: Mapping[str, tuple[Unit, ...]]


@dataclass(frozen=True, slots=True)
class _One:
    """A unit with all that its page says of others; nothing in it is changed."""

    path: Sequence[Unit]
    made_of: Sequence[Succession]
    became: Sequence[Succession]
    through: Sequence[Unit]
    rows: Sequence[Row]
    districts: Sequence[Unit]
    above: Mapping[str, tuple[Unit, ...]]

    @property
    def own(self) -> bool:
        """Whether we hold its own outline."""
        return self.path[-1].accuracy_m is not None


@dataclass(frozen=True, slots=True)
class _Shown:
    """The rows of a tree, under their headings; how many there are without the search; the map."""

    groups: list[Group]
    kept: Sequence[Row]
    of_all: int
    picture: Markup | None

    @property
    def size(self) -> int:
        return len(self.kept)


def _picture(
    outlines: Sequence[Outline],
    box: Box | None = None,
    *,
    name: str,
    title: str,
    description: str,
    locale: str,
) -> Markup:
    """The map of some outlines, drawn away from the event loop; empty without any."""
    if not outlines:
        return Markup()
    return map_picture(outlines, box=box, name=name, title=title, description=description, locale=locale)


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
    if unit.level is Level.PROVINCE:
        return whole
    wide, high = (whole.east - whole.west) * _MARGIN, (whole.north - whole.south) * _MARGIN
    return Box(whole.west - wide, whole.south - high, whole.east + wide, whole.north + high)


def _seen_around(box: Box) -> Box:
    """All that a picture of the box can show, however long it is: a ward left out would look like sea."""
    reach = max(box.east - box.west, box.north - box.south) * _NEIGHBOURHOOD
    middle_x, middle_y = (box.east + box.west) / 2, (box.north + box.south) / 2
    return Box(middle_x - reach, middle_y - reach, middle_x + reach, middle_y + reach)


def _chosen(query: Mapping[str, str]) -> tuple[str | None, ...] | None:
    """What was chosen (province, day, area) when nothing was typed: many will ask for the same. Else None.

    What a page does not read makes no page of its own: whoever passes a link on hangs words to it.
    """
    chosen = tuple(query.get(name) for name in _CHOSEN)
    if _TYPED & query.keys() or any(len(value or "") > _MOST_WORDS for value in chosen):
        return None
    return chosen


def _eve(day: date) -> date:
    return date.fromordinal(day.toordinal() - 1)
