"""Verbs of `places`: which unit, where, when, and what became of it."""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import date
from decimal import Decimal
from typing import Any
from uuid import UUID

import numpy as np
import shapely
from shapely.geometry.base import BaseGeometry

from haidang.infra.database import Connection
from haidang.kernel.actors import Actor
from haidang.kernel.shapes import box_of_shape, shape_of
from haidang.kernel.text import collation_key
from haidang.places import store
from haidang.places.errors import (
    AreaNotDrawn,
    AreaTooDetailed,
    PointsDoNotPair,
    ReportingAreaUnknown,
    UnitUnknown,
)
from haidang.places.model import (
    TWO_LEVELS_SINCE,
    How,
    Level,
    Link,
    PeopleEstimate,
    Rebased,
    ReportingArea,
    Succession,
    Unit,
    UnitAt,
    Weight,
)
from haidang.places.outlines import Mosaic, Outline, hit_of, people_in
from haidang.places.store import Release, StoredOutline
from haidang.places.successions import links_by_former, rebase_figures, ways_onward

_MOST_POSITIONS = 20_000
"""Of a drawn area: it is cut with a hundred wards in about a second; ten times as many take eight."""

_mosaics: dict[Level, tuple[UUID | None, Mosaic]] = {}
"""The outlines of each level as this process has them, with the edition they are of."""
_reading_outlines = asyncio.Lock()
"""Whoever comes while outlines are being read waits for them, instead of reading them again."""


async def edition(actor: Actor, connection: Connection) -> UUID | None:  # noqa: ARG001 - every verb takes the actor first
    """Which state of units, links and outlines this is: what was made from another is old."""
    return await store.current_edition(connection)


async def releases(actor: Actor, connection: Connection) -> list[Release]:  # noqa: ARG001 - every verb takes the actor first
    """The facts that are loaded: as of when, from where, on which terms."""
    return await store.releases(connection)


async def records_since(actor: Actor, connection: Connection) -> date:  # noqa: ARG001 - every verb takes the actor first
    """The first day whose units we know: earlier days are answered with the units of that day."""
    return await store.records_since(connection, "units") or TWO_LEVELS_SINCE


async def unit(actor: Actor, connection: Connection, unit_id: str) -> Unit:
    """One unit; raises UnitUnknown."""
    found = await units(actor, connection, [unit_id])
    if unit_id not in found:
        raise UnitUnknown(unit_id=unit_id)
    return found[unit_id]


async def units(actor: Actor, connection: Connection, unit_ids: Sequence[str]) -> dict[str, Unit]:  # noqa: ARG001 - every verb takes the actor first
    """Those of the units that are known, by id."""
    return await store.units(connection, unit_ids)


async def units_on(
    actor: Actor,  # noqa: ARG001 - every verb takes the actor first
    connection: Connection,
    on: date,
    *,
    level: Level | None = None,
    parent_id: str | None = None,
) -> list[Unit]:
    """The units of a day, in Vietnamese order; `parent_id` narrows to the units right below one.

    Days before `records_since` are answered with the units of that day: who shows them says so.
    """
    return await store.units_on(connection, on, level=level, parent_id=parent_id)


async def path_of(actor: Actor, connection: Connection, unit_id: str) -> list[Unit]:
    """The units above one at its time, from the province down to itself; raises UnitUnknown."""
    ids = await store.path_ids(connection, unit_id)
    if not ids:
        raise UnitUnknown(unit_id=unit_id)
    found = await units(actor, connection, ids)
    return [found[one] for one in ids]


async def unit_at(
    actor: Actor,
    connection: Connection,
    longitude: float,
    latitude: float,
    on: date,
    *,
    level: Level = Level.WARD,
) -> UnitAt | None:
    """The unit a point was in on a day; None at sea, abroad, or where we hold no outline of that day."""
    stored = await store.outlines_at_point(connection, longitude, latitude, on, level)
    hit = hit_of([_shaped(one) for one in stored], longitude, latitude)
    if hit is None:
        return None
    return UnitAt(await unit(actor, connection, hit.unit_id), hit.metres_to_edge, hit.certain)


async def units_at(
    actor: Actor,  # noqa: ARG001 - every verb takes the actor first
    connection: Connection,
    longitudes: "np.typing.NDArray[np.float64]",
    latitudes: "np.typing.NDArray[np.float64]",
    on: date,
    *,
    level: Level = Level.WARD,
) -> list[str | None]:
    """The unit of each of many points, in bulk; raises PointsDoNotPair.

    The outlines are kept in this process as long as they are of the same edition.
    """
    east = np.asarray(longitudes, dtype=np.float64)
    north = np.asarray(latitudes, dtype=np.float64)
    if east.shape != north.shape or east.ndim != 1:
        raise PointsDoNotPair(longitudes=east.size, latitudes=north.size)
    mosaic = await _mosaic(connection, level)
    return await asyncio.to_thread(mosaic.units_at, east, north, on)


async def _mosaic(connection: Connection, level: Level) -> Mosaic:
    present = await store.current_edition(connection)
    kept = _kept_mosaic(level, present)
    if kept is not None:
        return kept
    async with _reading_outlines:
        kept = _kept_mosaic(level, present)
        if kept is not None:
            return kept
        dated = await store.outlines_of_level(connection, level)
        mosaic = await asyncio.to_thread(
            lambda: Mosaic(
                [_shaped(one.outline) for one in dated], [(one.valid_from, one.valid_to) for one in dated]
            )
        )
        _mosaics[level] = (present, mosaic)
        return mosaic


def _kept_mosaic(level: Level, present: UUID | None) -> Mosaic | None:
    known = _mosaics.get(level)
    return known[1] if known is not None and present is not None and known[0] == present else None


async def outlines(
    actor: Actor,  # noqa: ARG001 - every verb takes the actor first
    connection: Connection,
    unit_ids: Sequence[str],
) -> dict[str, BaseGeometry]:
    """The outlines of those units that have one, in degrees."""
    stored = await store.outlines_of(connection, unit_ids)
    return {one.unit_id: _shaped(one).shape for one in stored}


def _shaped(stored: StoredOutline) -> Outline:
    return Outline(stored.unit_id, shapely.from_wkb(stored.shape), stored.accuracy_m)


async def became(actor: Actor, connection: Connection, unit_id: str) -> list[Succession]:
    """What a unit became: one step on; empty when it is still there, or nobody knows. Raises UnitUnknown."""
    await unit(actor, connection, unit_id)
    links = await store.links_from(connection, unit_id)
    return await _successions(actor, connection, links, onward=True)


async def came_from(actor: Actor, connection: Connection, unit_id: str) -> list[Succession]:
    """What a unit was made of: one step back. Raises UnitUnknown."""
    await unit(actor, connection, unit_id)
    links = await store.links_to(connection, unit_id)
    return await _successions(actor, connection, links, onward=False)


async def _successions(
    actor: Actor, connection: Connection, links: Sequence[Link], *, onward: bool
) -> list[Succession]:
    ends = [link.to_id if onward else link.from_id for link in links]
    found = await units(actor, connection, ends)
    return [Succession(link, found[end]) for link, end in zip(links, ends, strict=True)]


async def became_on(actor: Actor, connection: Connection, unit_id: str, on: date) -> list[Succession]:
    """What a unit had become by a day: the links followed to the units of that day, each way as one link.

    Empty when the unit itself stood on that day, or nobody knows. Raises UnitUnknown.
    """
    await unit(actor, connection, unit_id)
    return (await became_all(actor, connection, [unit_id], on))[unit_id]


async def became_all(
    actor: Actor, connection: Connection, unit_ids: Sequence[str], on: date
) -> dict[str, list[Succession]]:
    """What each of many units had become by a day, as `became_on` says it, in two queries."""
    links = await store.links_onward(connection, unit_ids, on)
    found = await units(actor, connection, sorted({*unit_ids, *(link.to_id for link in links)}))
    onward = links_by_former(links, on)
    return {
        unit_id: [
            Succession(way.as_one(), found[way.to_id])
            for way in ways_onward(unit_id, onward)
            if found[way.to_id].stood_on(on)
        ]
        for unit_id in unit_ids
    }


async def rebase(
    actor: Actor,
    connection: Connection,
    figures: Mapping[str, Decimal],
    *,
    to: date,
    how: How,
    weight: Weight = Weight.AREA,
) -> Rebased:
    """Figures by former units on those of a later day, with what could not be placed and why.

    `weight` says what the figure goes with where a unit was split: its land, or its people. Raises
    UnitUnknown.
    """
    links = await store.links_onward(connection, list(figures), to)
    named = sorted({*figures, *(link.to_id for link in links)})
    found = await units(actor, connection, named)
    for unit_id in figures:
        if unit_id not in found:
            raise UnitUnknown(unit_id=unit_id)
    # In a thread: the figures of a whole country take the better part of a second.
    return await asyncio.to_thread(rebase_figures, figures, found, links, to=to, how=how, weight=weight)


async def reporting_areas(actor: Actor, connection: Connection) -> list[ReportingArea]:  # noqa: ARG001 - every verb takes the actor first
    """The former units that people still report by, in Vietnamese order."""
    return await store.reporting_areas(connection)


async def units_of_area(actor: Actor, connection: Connection, area_id: str, on: date) -> list[Unit]:
    """The wards of a day that make up a reporting area, in Vietnamese order; raises ReportingAreaUnknown.

    While the former unit stood, its wards; after it, what they became.
    """
    area = await store.reporting_area(connection, area_id)
    if area is None:
        raise ReportingAreaUnknown(area_id=area_id)
    return await _through_wards(actor, connection, await unit(actor, connection, area.former_id), on)


async def became_through_wards(actor: Actor, connection: Connection, unit_id: str, on: date) -> list[Unit]:
    """Of a former unit that no link leads on from: the units of a day that its wards became.

    Districts ended without a successor (Luật 72/2025/QH15), so only their wards can say where their land
    is. Of a ward that was split, each unit that took a part. Empty for a unit that still stood on the day,
    or that has a successor of its own. Raises UnitUnknown.
    """
    former = await unit(actor, connection, unit_id)
    ended = former.valid_to is not None and former.valid_to <= on
    if not ended or await store.links_from(connection, unit_id):
        return []
    return await _through_wards(actor, connection, former, on)


async def _through_wards(actor: Actor, connection: Connection, former: Unit, on: date) -> list[Unit]:
    """The wards of a day on a former unit's land, in Vietnamese order: its own while it stood."""
    last_day = on if former.stood_on(on) or former.valid_to is None else _day_before(former.valid_to)
    wards = await store.wards_under(connection, former.unit_id, last_day)
    if not former.stood_on(on):
        later = await became_all(actor, connection, wards, on)
        wards = sorted({one.unit.unit_id for ways in later.values() for one in ways})
    members = (await units(actor, connection, wards)).values()
    return sorted(members, key=lambda one: (collation_key(one.name), one.kind, one.unit_id))


def _day_before(day: date) -> date:
    return date.fromordinal(day.toordinal() - 1)


async def people_within(
    actor: Actor, connection: Connection, geometry: BaseGeometry | Mapping[str, Any], on: date
) -> PeopleEstimate:
    """People in a drawn area (a shape, or GeoJSON), weighted by area: an estimate that says so.

    Raises AreaNotDrawn for what is no area, AreaTooDetailed, and what `shape_of` raises.
    """
    area = geometry if isinstance(geometry, BaseGeometry) else await asyncio.to_thread(shape_of, geometry)
    if area.geom_type not in ("Polygon", "MultiPolygon") or area.is_empty:
        raise AreaNotDrawn
    positions = int(shapely.get_num_coordinates(area))
    if positions > _MOST_POSITIONS:
        raise AreaTooDetailed(positions=positions, most=_MOST_POSITIONS)
    stored = await store.outlines_in_box(connection, box_of_shape(area), on, Level.WARD)
    found = await units(actor, connection, [one.unit_id for one in stored])
    return await asyncio.to_thread(
        lambda: people_in(area, [(found[one.unit_id], _shaped(one).shape) for one in stored])
    )
