"""A change of units, worked out before it happens: what ends, what begins, and what is wrong with it.

Whatever changes about a unit's name, code, land or superior ends it and begins its successor, so
that a unit is one territory under one name for a time (ADR 0042). A change is therefore a list of
units that begin, each made of wholes and parts of units that end; merges, splits, renamings and
moves of a boundary are ways to write one. Nothing here reads or writes anything.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from enum import StrEnum
from typing import Any

import msgspec
import numpy as np
import shapely
from shapely.geometry.base import BaseGeometry

from haidang.kernel.geometry import Box
from haidang.kernel.instants import Instant
from haidang.kernel.shapes import area_km2, metres_a_degree
from haidang.kernel.text import fold
from haidang.places.model import SHARE_TOLERANCE, Level, Link, LinkKind, Unit

SHARES_DIFFER = 0.02
"""A share that is given and one that is measured on outlines may differ so much without a word."""

_LEAST_ACCURACY_M = 1.0
_CODES = {Level.PROVINCE: r"\d{2}", Level.DISTRICT: r"\d{3}", Level.WARD: r"\d{5}"}
"""How official codes are written (QĐ 124/2004/QĐ-TTg; QĐ 19/2025/QĐ-TTg)."""


class ChangeState(StrEnum):
    """Where a change stands. Only a draft or a scheduled one can still be undone."""

    DRAFT = "draft"
    SCHEDULED = "scheduled"
    APPLIED = "applied"
    UNDONE = "undone"


class Step(StrEnum):
    """What was done with a change; `refused`: its day came and it could not be applied."""

    DRAFTED = "drafted"
    SCHEDULED = "scheduled"
    APPLIED = "applied"
    REFUSED = "refused"
    UNDONE = "undone"


@dataclass(frozen=True, slots=True)
class ChangeStep:
    """One line of the history of a change: what, when, by whom and why."""

    step: Step
    at: Instant
    by: str
    reason: str | None


class Source(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What of a former unit goes into a new one: all of it, a share, an outlined piece, or the rest."""

    from_id: str
    share: float | None = None
    people_share: float | None = None
    outline: dict[str, Any] | None = None
    rest: bool = False


class Beginning(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A unit that begins, with the id it will have."""

    unit_id: str
    level: Level
    kind: str
    code: str
    name: str
    made_of: tuple[Source, ...]
    name_en: str | None = None
    parent_id: str | None = None
    centre: str | None = None
    population: int | None = None
    population_on: date | None = None
    area_km2: Decimal | None = None
    outline: dict[str, Any] | None = None
    holds: tuple[str, ...] = ()

    @property
    def full_name(self) -> str:
        """The kind and the name: Phường Phan Thiết."""
        return f"{self.kind} {self.name}"


class Draft(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A change with every unit that it names found: what is kept, previewed and applied."""

    title: str
    takes_effect: date
    legal_basis: str
    level: Level
    begins: tuple[Beginning, ...]

    @property
    def ended_ids(self) -> tuple[str, ...]:
        """The units that the draft itself names as ending, each once, in its order."""
        return tuple(
            dict.fromkeys(source.from_id for beginning in self.begins for source in beginning.made_of)
        )


@dataclass(frozen=True, slots=True)
class Change:
    """A change and where it stands."""

    change_id: str
    state: ChangeState
    draft: Draft
    steps: tuple[ChangeStep, ...] = ()

    @property
    def title(self) -> str:
        """What people call it."""
        return self.draft.title

    @property
    def takes_effect(self) -> date:
        """The day, which begins at midnight in Vietnam."""
        return self.draft.takes_effect


NewId = Callable[[str, str, date], str]
"""Gives a unit its id, once: from its full name, its code and its first day."""


# -- worked out --------------------------------------------------------------------------------


class Trouble(StrEnum):
    """What can be found wrong, or worth a second look, with a change."""

    NO_LEGAL_BASIS = "no-legal-basis"
    DATE_NOT_AHEAD = "date-not-ahead"
    UNIT_NOT_THERE = "unit-not-there"
    LEVELS_MIXED = "levels-mixed"
    GOES_NOWHERE = "goes-nowhere"
    GOES_TWICE = "goes-twice"
    SHARE_UNKNOWN = "share-unknown"
    SHARE_DIFFERS = "share-differs"
    PIECE_ELSEWHERE = "piece-elsewhere"
    GAP = "gap"
    OVERLAP = "overlap"
    OUTSIDE = "outside"
    PIECES_APART = "pieces-apart"
    CODE_MALFORMED = "code-malformed"
    CODE_IN_USE = "code-in-use"
    CODE_REUSED = "code-reused"
    NAMES_ALIKE = "names-alike"
    PARENT_MISSING = "parent-missing"
    PARENT_NOT_THERE = "parent-not-there"
    CHILDREN_WITHOUT_PARENT = "children-without-parent"
    NO_OUTLINE = "no-outline"
    NO_POPULATION = "no-population"


FINDING_MESSAGES: Mapping[Trouble, str] = {
    Trouble.NO_LEGAL_BASIS: "No legal basis is given.",
    Trouble.DATE_NOT_AHEAD: "It takes effect on {on}; only a day to come can be planned.",
    Trouble.UNIT_NOT_THERE: "{unit} does not stand on the eve of the change.",
    Trouble.LEVELS_MIXED: "{unit} stands on another level than this change.",
    Trouble.GOES_NOWHERE: "{percent} % of {unit} goes nowhere.",
    Trouble.GOES_TWICE: "{unit} is given away more than once: {percent} % of it in all.",
    Trouble.SHARE_UNKNOWN: "It is not known how much of {unit} goes to {other}: give a share or an outline.",
    Trouble.SHARE_DIFFERS: "The share of {unit} that goes to {other} is given as {percent} %, but its outline measures {measured} %.",  # noqa: E501 - a message id is one line
    Trouble.PIECE_ELSEWHERE: "What is drawn of {unit} for {other} does not lie in {unit}.",
    Trouble.GAP: "The new outlines leave {km2} km² between them, wider than the {accuracy_m} m they may be off.",  # noqa: E501 - a message id is one line
    Trouble.OVERLAP: "{unit} and {other} would overlap in {km2} km², wider than the {accuracy_m} m their outlines may be off.",  # noqa: E501 - a message id is one line
    Trouble.OUTSIDE: "The new outlines take {km2} km² from units that are not in this change.",
    Trouble.PIECES_APART: "The land that {unit} is made of does not hang together.",
    Trouble.CODE_MALFORMED: "The code {code} of {unit} is not written as codes of its level are.",
    Trouble.CODE_IN_USE: "The code {code} of {unit} is that of {other}.",
    Trouble.CODE_REUSED: "The code {code} of {unit} once meant {other}.",
    Trouble.NAMES_ALIKE: "{unit} and {other} are told apart by their diacritics only.",
    Trouble.PARENT_MISSING: "It is not said which unit {unit} is under.",
    Trouble.PARENT_NOT_THERE: "The unit that {unit} is under does not stand on that day.",
    Trouble.CHILDREN_WITHOUT_PARENT: "{count} units under {unit} need to be told which unit they are under then.",  # noqa: E501 - a message id is one line
    Trouble.NO_OUTLINE: "There is no outline of {unit}: from that day no point can be found to be in it.",
    Trouble.NO_POPULATION: "There is no figure of the people of {unit}; it will be shown as missing.",
}
"""Each finding as a sentence: message ids."""

_WARNINGS = frozenset(
    {
        Trouble.SHARE_DIFFERS,
        Trouble.PIECES_APART,
        Trouble.CODE_REUSED,
        Trouble.NAMES_ALIKE,
        Trouble.NO_OUTLINE,
        Trouble.NO_POPULATION,
    }
)


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was found, with the fields of its sentence."""

    trouble: Trouble
    fields: Mapping[str, Any]

    @property
    def blocks(self) -> bool:
        """Whether a change with this finding may not be scheduled or applied."""
        return self.trouble not in _WARNINGS


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What is there already, as far as a change meets it.

    `units`: those that end, those below them, and the superiors that are named, by id. `standing`: all
    of the change's level on its day. `below`: the units right below each, by id. `formerly`: all that
    ever bore a code that the change uses.
    """

    units: Mapping[str, Unit]
    standing: Sequence[Unit]
    below: Mapping[str, Sequence[Unit]]
    formerly: Mapping[str, Sequence[Unit]]
    outlines: Mapping[str, BaseGeometry]


@dataclass(frozen=True, slots=True)
class PeopleAfter:
    """People of a new unit, re-based from the old ones by area: `estimated` unless all came whole."""

    people: int | None
    estimated: bool
    without_figure: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Plan:
    """What a change makes: the rows to write, what was found, and the figures re-based.

    `begun` and `links` begin with what the draft names; `carried` are the further units that go on
    only because the unit above them ends.
    """

    ended: tuple[Unit, ...]
    begun: tuple[Unit, ...]
    carried: tuple[Unit, ...]
    links: tuple[Link, ...]
    outlines: Mapping[str, BaseGeometry]
    people: Mapping[str, PeopleAfter]
    findings: tuple[Finding, ...]

    @property
    def may_be_applied(self) -> bool:
        """Whether nothing was found that forbids it."""
        return not any(finding.blocks for finding in self.findings)


@dataclass(slots=True)
class _Flow:
    """What of a former unit goes into a new one, as far as it is known."""

    from_id: str
    to_id: str
    source: Source
    share: float | None = None
    people_share: float | None = None
    piece: BaseGeometry | None = None

    @property
    def share_of_people(self) -> float | None:
        """The share of the people where it is told, and that of the land otherwise."""
        return self.share if self.people_share is None else self.people_share


def plan_change(draft: Draft, around: Surroundings, new_id: NewId, *, today: date | None = None) -> Plan:
    """Work a draft out. `today`: also find whether its day is still ahead."""
    findings = [*_about_the_whole(draft, today), *_about_former_units(draft, around)]
    flows, about_flows = _flows(draft, around)
    findings += about_flows
    drawn = _new_outlines(draft, flows)
    findings += _about_outlines(draft, around, drawn)
    findings += _about_pieces(draft, around, flows)
    begun = tuple(_new_unit(draft, one, flows[one.unit_id], around, drawn) for one in draft.begins)
    links = [_link(draft, flow, flows) for one in draft.begins for flow in flows[one.unit_id]]
    carried, carried_links, about_children = _carry(draft, around, flows, new_id)
    findings += about_children
    findings += [*_about_codes(draft, around), *_about_names(draft, around), *_about_parents(draft, around)]
    findings += [
        Finding(Trouble.NO_OUTLINE, {"unit": one.full_name}) for one in begun if one.unit_id not in drawn
    ]
    findings += [
        Finding(Trouble.NO_POPULATION, {"unit": one.full_name}) for one in begun if one.population is None
    ]
    outlines = dict(drawn)
    for link in carried_links:
        if link.from_id in around.outlines:
            outlines[link.to_id] = around.outlines[link.from_id]
    ended_ids = [*draft.ended_ids, *(link.from_id for link in carried_links)]
    return Plan(
        ended=tuple(around.units[one] for one in ended_ids if one in around.units),
        begun=begun,
        carried=tuple(carried),
        links=(*links, *carried_links),
        outlines=outlines,
        people={one.unit_id: _people(flows[one.unit_id], around) for one in draft.begins},
        findings=tuple(findings),
    )


def _named(around: Surroundings, unit_id: str) -> str:
    unit = around.units.get(unit_id)
    return unit.full_name if unit else unit_id


def _about_the_whole(draft: Draft, today: date | None) -> Iterator[Finding]:
    if not draft.legal_basis:
        yield Finding(Trouble.NO_LEGAL_BASIS, {})
    if today is not None and draft.takes_effect <= today:
        yield Finding(Trouble.DATE_NOT_AHEAD, {"on": draft.takes_effect})


def _about_former_units(draft: Draft, around: Surroundings) -> Iterator[Finding]:
    for unit_id in draft.ended_ids:
        unit = around.units.get(unit_id)
        # One that begins on the very day cannot end on it: the order of the two would be unknown.
        if unit is None or not (
            (unit.valid_from is None or unit.valid_from < draft.takes_effect) and unit.valid_to is None
        ):
            yield Finding(Trouble.UNIT_NOT_THERE, {"unit": _named(around, unit_id)})
        elif unit.level is not draft.level:
            yield Finding(Trouble.LEVELS_MIXED, {"unit": unit.full_name})


def _flows(draft: Draft, around: Surroundings) -> tuple[dict[str, list[_Flow]], list[Finding]]:
    """What goes where, by new unit. Of a redrawn neighbour most gives nothing: such flows are left out."""
    findings: list[Finding] = []
    by_id = {one.unit_id: one for one in draft.begins}
    by_former: dict[str, list[_Flow]] = defaultdict(list)
    for beginning in draft.begins:
        for source in beginning.made_of:
            flow = _Flow(source.from_id, beginning.unit_id, source, source.share, source.people_share)
            by_former[source.from_id].append(flow)
    flows: dict[str, list[_Flow]] = {one.unit_id: [] for one in draft.begins}
    for former_id, out in by_former.items():
        old = around.outlines.get(former_id)
        accuracy_m = _accuracy(around, [former_id])
        for flow in out:
            flow.piece = _piece(flow.source, old)
        there = [flow for flow in out if not _is_nothing(flow, old, accuracy_m)]
        for flow in out:
            if flow not in there and not _of_a_neighbour(flow, by_id[flow.to_id]):
                fields = {"unit": _named(around, former_id), "other": by_id[flow.to_id].full_name}
                findings.append(Finding(Trouble.PIECE_ELSEWHERE, fields))
        _measure(there, old, accuracy_m)
        findings += _about_shares(former_id, there, by_id, around)
        for flow in there:
            _add(flows[flow.to_id], flow)
    return flows, findings


def _add(gathered: list[_Flow], flow: _Flow) -> None:
    """Gather two pieces of one unit that go to the same other into one flow."""
    same = next((one for one in gathered if one.from_id == flow.from_id), None)
    if same is None:
        gathered.append(flow)
        return
    same.share = None if same.share is None or flow.share is None else same.share + flow.share
    two = (same.people_share, flow.people_share)
    same.people_share = None if two[0] is None or two[1] is None else two[0] + two[1]
    pieces = [one.piece for one in (same, flow) if one.piece is not None]
    same.piece = shapely.union_all(pieces) if len(pieces) == 2 else None


def _piece(source: Source, old: BaseGeometry | None) -> BaseGeometry | None:
    """The land of a source, where its outline is known; that of a rest comes when the others are."""
    if source.outline is not None:
        drawn = shapely.from_geojson(msgspec.json.encode(source.outline))
        return drawn if old is None else shapely.intersection(drawn, old)
    return old if source.share == 1.0 else None


def _is_nothing(flow: _Flow, old: BaseGeometry | None, accuracy_m: float) -> bool:
    if flow.source.outline is None or old is None or flow.piece is None:
        return False
    return _thin(flow.piece, accuracy_m)


def _of_a_neighbour(flow: _Flow, beginning: Beginning) -> bool:
    """Whether this is what a redrawn unit could have got of one of the others, and not its own land."""
    return flow.source.outline == beginning.outline and flow.from_id != beginning.made_of[0].from_id


def _measure(out: Sequence[_Flow], old: BaseGeometry | None, accuracy_m: float) -> None:
    """Fill in the piece and the share of each flow out of one unit, as far as they follow."""
    rests = [flow for flow in out if flow.source.rest]
    others = [flow for flow in out if not flow.source.rest]
    pieces = [flow.piece for flow in others if flow.piece is not None]
    if old is not None and len(rests) == 1 and len(pieces) == len(others):
        rests[0].piece = shapely.difference(old, shapely.union_all(pieces)) if pieces else old
    if old is not None:
        unshared = [flow for flow in out if flow.share is None and flow.piece is not None]
        for flow in unshared:
            flow.share = float(shapely.area(flow.piece) / shapely.area(old))
        drawn = [flow.piece for flow in out if flow.piece is not None]
        if len(unshared) == len(out) and _thin(shapely.difference(old, shapely.union_all(drawn)), accuracy_m):
            # What the outlines leave is their inaccuracy: the shares of all the land are one.
            total = sum(flow.share or 0 for flow in out)
            for flow in out:
                flow.share = (flow.share or 0) / total
    if len(rests) == 1 and rests[0].share is None and all(flow.share is not None for flow in others):
        left = 1 - sum(flow.share or 0 for flow in others)
        rests[0].share = left if left > SHARE_TOLERANCE else None
    told = [flow.people_share for flow in others if flow.people_share is not None]
    if len(rests) == 1 and others and len(told) == len(others):
        rests[0].people_share = max(0.0, 1 - sum(told))


def _about_shares(
    former_id: str, out: Sequence[_Flow], by_id: Mapping[str, Beginning], around: Surroundings
) -> Iterator[Finding]:
    unit, old = _named(around, former_id), around.outlines.get(former_id)
    for flow in out:
        fields = {"unit": unit, "other": by_id[flow.to_id].full_name}
        if flow.share is None:
            yield Finding(Trouble.SHARE_UNKNOWN, fields)
        elif flow.source.share is not None and flow.source.outline is not None and old is not None:
            measured = float(shapely.area(flow.piece) / shapely.area(old))
            if abs(measured - flow.share) > SHARES_DIFFER:
                percents = {"percent": _percent(flow.share), "measured": _percent(measured)}
                yield Finding(Trouble.SHARE_DIFFERS, fields | percents)
    if any(flow.share is None for flow in out):
        return
    total = sum(flow.share or 0 for flow in out)
    if total < 1 - SHARE_TOLERANCE:
        yield Finding(Trouble.GOES_NOWHERE, {"unit": unit, "percent": _percent(1 - total)})
    if total > 1 + SHARE_TOLERANCE:
        yield Finding(Trouble.GOES_TWICE, {"unit": unit, "percent": _percent(total)})


def _percent(share: float) -> float:
    return round(100 * share, 1)


def _accuracy(around: Surroundings, unit_ids: Iterable[str]) -> float:
    """How far the outlines of some units may be off together, in metres."""
    known = [around.units[one].accuracy_m for one in unit_ids if one in around.units]
    return max([_LEAST_ACCURACY_M, *(one for one in known if one is not None)])


def _in_metres(shape: BaseGeometry) -> BaseGeometry:
    """A shape on a plane in metres, true enough for the widths in a province (its middle latitude counts)."""
    _, south, _, north = shapely.bounds(shape)
    scale = np.array(metres_a_degree((south + north) / 2))
    return shapely.transform(shape, lambda degrees: degrees * scale)


def _thin(shape: BaseGeometry, accuracy_m: float) -> bool:
    """Whether nothing of a shape is wider than outlines that are `accuracy_m` off may differ."""
    if shapely.area(shape) == 0:
        return True
    return bool(shapely.is_empty(shapely.buffer(_in_metres(shape), -accuracy_m)))


def _km2(shape: BaseGeometry) -> float:
    return round(area_km2(shape), 3)


def _new_outlines(draft: Draft, flows: Mapping[str, Sequence[_Flow]]) -> dict[str, BaseGeometry]:
    """The outline of each new unit that is given, or follows from the pieces."""
    found: dict[str, BaseGeometry] = {}
    for beginning in draft.begins:
        if beginning.outline is not None:
            found[beginning.unit_id] = shapely.from_geojson(msgspec.json.encode(beginning.outline))
            continue
        pieces = [flow.piece for flow in flows[beginning.unit_id] if flow.piece is not None]
        if pieces and len(pieces) == len(flows[beginning.unit_id]):
            found[beginning.unit_id] = shapely.union_all(pieces)
    return found


def _about_outlines(
    draft: Draft, around: Surroundings, drawn: Mapping[str, BaseGeometry]
) -> Iterator[Finding]:
    """Gaps, overlaps and land of others, as far as both the old and the new outlines are known."""
    names = {one.unit_id: one.full_name for one in draft.begins}
    accuracy_m = _accuracy(around, draft.ended_ids)
    shown = round(accuracy_m, 1)
    new = list(drawn.items())
    for place, (one_id, one) in enumerate(new):
        for other_id, other in new[place + 1 :]:
            shared = shapely.intersection(one, other)
            if not _thin(shared, accuracy_m):
                fields = {"unit": names[one_id], "other": names[other_id], "km2": _km2(shared)}
                yield Finding(Trouble.OVERLAP, fields | {"accuracy_m": shown})
    old = [around.outlines[one] for one in draft.ended_ids if one in around.outlines]
    if len(old) < len(draft.ended_ids) or len(new) < len(draft.begins):
        return
    before, after = shapely.union_all(old), shapely.union_all([one for _, one in new])
    gap, outside = shapely.difference(before, after), shapely.difference(after, before)
    if not _thin(gap, accuracy_m):
        yield Finding(Trouble.GAP, {"km2": _km2(gap), "accuracy_m": shown})
    if not _thin(outside, accuracy_m):
        yield Finding(Trouble.OUTSIDE, {"km2": _km2(outside)})


def _about_pieces(
    draft: Draft, around: Surroundings, flows: Mapping[str, Sequence[_Flow]]
) -> Iterator[Finding]:
    """Units made of pieces that do not touch: lawful for islands, and else a sign of a wrong code."""
    for beginning in draft.begins:
        out = flows[beginning.unit_id]
        pieces = [flow.piece for flow in out if flow.piece is not None]
        if len(pieces) < 2 or len(pieces) < len(out):
            continue
        metres = min(metres_a_degree(float(shapely.bounds(pieces[0])[1])))
        reach = 2 * _accuracy(around, [flow.from_id for flow in out]) / metres
        together, apart = pieces[:1], pieces[1:]
        while joined := [one for one in apart if shapely.dwithin(one, together, reach).any()]:
            together += joined
            apart = [one for one in apart if one not in joined]
        if apart:
            yield Finding(Trouble.PIECES_APART, {"unit": beginning.full_name})


def _new_unit(
    draft: Draft,
    beginning: Beginning,
    flows: Sequence[_Flow],
    around: Surroundings,
    drawn: Mapping[str, BaseGeometry],
) -> Unit:
    outline = drawn.get(beginning.unit_id)
    people, people_on = _people_carried(beginning, flows, around)
    return Unit(
        unit_id=beginning.unit_id,
        level=beginning.level,
        kind=beginning.kind,
        code=beginning.code,
        name=beginning.name,
        full_name=beginning.full_name,
        name_en=beginning.name_en,
        parent_id=beginning.parent_id,
        valid_from=draft.takes_effect,
        legal_basis=draft.legal_basis or None,
        area_km2=beginning.area_km2 or _area(flows, around),
        population=people,
        population_on=people_on,
        centre=beginning.centre,
        label_point=None if outline is None else _label_point(outline),
        box=None if outline is None else _box(outline),
        accuracy_m=None if outline is None else _accuracy(around, [flow.from_id for flow in flows]),
        verified=True,
    )


def _label_point(outline: BaseGeometry) -> tuple[float, float]:
    point = shapely.point_on_surface(outline)
    return float(shapely.get_x(point)), float(shapely.get_y(point))


def _box(outline: BaseGeometry) -> Box:
    west, south, east, north = (float(side) for side in shapely.bounds(outline))
    return Box(west, south, east, north)


def _area(flows: Sequence[_Flow], around: Surroundings) -> Decimal | None:
    """The areas of the parts added up, in square kilometres; None where one is not known, or 0.00."""
    total = Decimal(0)
    for flow in flows:
        former = around.units.get(flow.from_id)
        if former is None or former.area_km2 is None or flow.share is None:
            return None
        total += former.area_km2 * Decimal(str(round(flow.share, 6)))
    return total.quantize(Decimal("0.01")) or None


def _people_carried(
    beginning: Beginning, flows: Sequence[_Flow], around: Surroundings
) -> tuple[int | None, date | None]:
    """The figure that is given, or the sum over whole units counted on one day; an estimate is no figure."""
    if beginning.population is not None:
        return beginning.population, beginning.population_on
    former = [around.units.get(flow.from_id) for flow in flows]
    counted = [one for one in former if one is not None and _counted(one)]
    days = {one.population_on for one in counted}
    if not flows or len(counted) < len(flows) or len(days) > 1 or any(flow.share != 1.0 for flow in flows):
        return None, None
    return sum(one.population or 0 for one in counted), days.pop()


def _counted(unit: Unit) -> bool:
    """Whether a unit has a figure of its people that may be added up."""
    return unit.population is not None and not unit.population_doubtful


def _people(flows: Sequence[_Flow], around: Surroundings) -> PeopleAfter:
    """What people the parts bring, as if each unit's people lived evenly over it where nothing is told."""
    total, missing = 0.0, []
    for flow in flows:
        former = around.units.get(flow.from_id)
        share = flow.share_of_people
        if former is None or not _counted(former) or share is None:
            missing.append(flow.from_id)
        else:
            total += (former.population or 0) * share
    complete = len(missing) < len(flows)
    return PeopleAfter(
        people=round(total) if complete else None,
        estimated=any(flow.share != 1.0 for flow in flows) or bool(missing),
        without_figure=tuple(dict.fromkeys(missing)),
    )


def _link(draft: Draft, flow: _Flow, flows: Mapping[str, Sequence[_Flow]]) -> Link:
    """How a unit went on: alone and whole, whole into a larger, or in pieces, alone or with others."""
    alone = all(one.from_id == flow.from_id for one in flows[flow.to_id])
    ways = sum(one.from_id == flow.from_id for others in flows.values() for one in others)
    whole = ways == 1 and flow.share is not None and flow.share >= 1 - SHARE_TOLERANCE
    if whole:
        kind = LinkKind.CONTINUES if alone else LinkKind.MERGE
    else:
        kind = LinkKind.SPLIT if alone else LinkKind.PART
    return Link(
        from_id=flow.from_id,
        to_id=flow.to_id,
        kind=kind,
        share=1.0 if whole else (None if flow.share is None else round(flow.share, 6)),
        takes_effect=draft.takes_effect,
        legal_basis=draft.legal_basis or None,
        verified=True,
        people_share=1.0 if whole else flow.people_share,
    )


def _carry(
    draft: Draft, around: Surroundings, flows: Mapping[str, Sequence[_Flow]], new_id: NewId
) -> tuple[list[Unit], list[Link], list[Finding]]:
    """Units go on under the successor of the unit above them, and so on downwards."""
    units: list[Unit] = []
    links: list[Link] = []
    findings: list[Finding] = []
    told = {child: one.unit_id for one in draft.begins for child in one.holds}
    successors: dict[str, set[str]] = defaultdict(set)
    for unit_id, out in flows.items():
        for flow in out:
            successors[flow.from_id].add(unit_id)
    ended = set(draft.ended_ids)
    waiting = [(one, tuple(successors[one])) for one in draft.ended_ids]
    while waiting:
        above, after = waiting.pop(0)
        lost = 0
        for child in around.below.get(above, ()):
            if child.unit_id in ended:
                continue
            parent_id = told.get(child.unit_id) or (after[0] if len(after) == 1 else None)
            if parent_id is None:
                lost += 1
                continue
            on = draft.takes_effect
            unit_id = new_id(child.full_name, child.code, on)
            basis = draft.legal_basis or None
            units.append(
                replace(
                    child,
                    unit_id=unit_id,
                    parent_id=parent_id,
                    valid_from=on,
                    valid_to=None,
                    legal_basis=basis,
                    ended_by=None,
                )
            )
            links.append(
                Link(child.unit_id, unit_id, LinkKind.CONTINUES, 1.0, on, basis, child.verified, 1.0)
            )
            waiting.append((child.unit_id, (unit_id,)))
        if lost:
            fields = {"unit": _named(around, above), "count": lost}
            findings.append(Finding(Trouble.CHILDREN_WITHOUT_PARENT, fields))
    return units, links, findings


def _about_codes(draft: Draft, around: Surroundings) -> Iterator[Finding]:
    ended = set(draft.ended_ids)
    in_use = {one.code: one for one in around.standing if one.unit_id not in ended}
    times = Counter(one.code for one in draft.begins)
    for beginning in draft.begins:
        fields = {"code": beginning.code, "unit": beginning.full_name}
        if not re.fullmatch(_CODES[beginning.level], beginning.code):
            yield Finding(Trouble.CODE_MALFORMED, fields)
        other = in_use.get(beginning.code)
        if other is not None:
            yield Finding(Trouble.CODE_IN_USE, fields | {"other": other.full_name})
        elif times[beginning.code] > 1:
            twin = next(one for one in draft.begins if one.code == beginning.code and one is not beginning)
            yield Finding(Trouble.CODE_IN_USE, fields | {"other": twin.full_name})
        own = {around.units[one.from_id].code for one in beginning.made_of if one.from_id in around.units}
        strangers = [
            one
            for one in around.formerly.get(beginning.code, ())
            if one.level is beginning.level and one.full_name != beginning.full_name
        ]
        if beginning.code not in own and strangers and other is None:
            meant = ", ".join(dict.fromkeys(one.full_name for one in strangers))
            yield Finding(Trouble.CODE_REUSED, fields | {"other": meant})


def _about_names(draft: Draft, around: Surroundings) -> Iterator[Finding]:
    """Names that fold alike under one superior; one that was there before is no news."""
    ended = set(draft.ended_ids)
    neighbours = [
        (one.unit_id, one.name, one.full_name, one.parent_id)
        for one in around.standing
        if one.unit_id not in ended
    ] + [(one.unit_id, one.name, one.full_name, one.parent_id) for one in draft.begins]
    told: set[frozenset[str]] = set()
    for beginning in draft.begins:
        own = {around.units[one.from_id].name for one in beginning.made_of if one.from_id in around.units}
        if beginning.name in own:
            continue
        for unit_id, name, full_name, parent_id in neighbours:
            pair = frozenset({unit_id, beginning.unit_id})
            alike = parent_id == beginning.parent_id and fold(name) == fold(beginning.name)
            if alike and len(pair) == 2 and pair not in told:
                told.add(pair)
                yield Finding(Trouble.NAMES_ALIKE, {"unit": beginning.full_name, "other": full_name})


def _about_parents(draft: Draft, around: Surroundings) -> Iterator[Finding]:
    for beginning in draft.begins:
        if beginning.level is Level.PROVINCE:
            continue
        parent = around.units.get(beginning.parent_id) if beginning.parent_id else None
        if parent is None:
            yield Finding(Trouble.PARENT_MISSING, {"unit": beginning.full_name})
        elif not parent.stood_on(draft.takes_effect):
            yield Finding(Trouble.PARENT_NOT_THERE, {"unit": beginning.full_name})
