"""Verbs of `places`: which unit, where, when, and what became of it."""

from collections.abc import Mapping, Sequence
from datetime import date
from decimal import Decimal
from typing import Any

import numpy as np
from shapely.geometry.base import BaseGeometry

from haidang.infra.database import Connection
from haidang.kernel.actors import Actor
from haidang.places.model import (
    How,
    Level,
    PeopleEstimate,
    Rebased,
    ReportingArea,
    Succession,
    Unit,
    UnitAt,
)


async def unit(actor: Actor, connection: Connection, unit_id: str) -> Unit:
    """One unit; raises UnitUnknown."""
    raise NotImplementedError


async def units(actor: Actor, connection: Connection, unit_ids: Sequence[str]) -> dict[str, Unit]:
    """Those of the units that are known, by id."""
    raise NotImplementedError


async def units_on(
    actor: Actor,
    connection: Connection,
    on: date,
    *,
    level: Level | None = None,
    parent_id: str | None = None,
) -> list[Unit]:
    """The units of a day, in Vietnamese order; `parent_id` narrows to the units right below one."""
    raise NotImplementedError


async def path_of(actor: Actor, connection: Connection, unit_id: str) -> list[Unit]:
    """The units above one at its time, from the province down to itself; raises UnitUnknown."""
    raise NotImplementedError


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
    raise NotImplementedError


async def units_at(
    actor: Actor,
    connection: Connection,
    longitudes: "np.typing.NDArray[np.float64]",
    latitudes: "np.typing.NDArray[np.float64]",
    on: date,
    *,
    level: Level = Level.WARD,
) -> list[str | None]:
    """The unit of each of many points, in bulk."""
    raise NotImplementedError


async def outlines(actor: Actor, connection: Connection, unit_ids: Sequence[str]) -> dict[str, BaseGeometry]:
    """The outlines of those units that have one, in degrees."""
    raise NotImplementedError


async def became(actor: Actor, connection: Connection, unit_id: str) -> list[Succession]:
    """What a unit became: one step on; empty when it is still there, or nobody knows."""
    raise NotImplementedError


async def came_from(actor: Actor, connection: Connection, unit_id: str) -> list[Succession]:
    """What a unit was made of: one step back."""
    raise NotImplementedError


async def became_on(actor: Actor, connection: Connection, unit_id: str, on: date) -> list[Succession]:
    """What a unit had become by a day: the links followed to the units of that day."""
    raise NotImplementedError


async def rebase(
    actor: Actor,
    connection: Connection,
    figures: Mapping[str, Decimal],
    *,
    to: date,
    how: How,
) -> Rebased:
    """Figures by former units on those of a later day, with what could not be placed and why."""
    raise NotImplementedError


async def reporting_areas(actor: Actor, connection: Connection) -> list[ReportingArea]:
    """The former units that people still report by, in Vietnamese order."""
    raise NotImplementedError


async def units_of_area(actor: Actor, connection: Connection, area_id: str, on: date) -> list[Unit]:
    """The wards of a day that make up a reporting area."""
    raise NotImplementedError


async def people_within(
    actor: Actor, connection: Connection, geometry: BaseGeometry | Mapping[str, Any], on: date
) -> PeopleEstimate:
    """People in a drawn area (a shape, or GeoJSON), weighted by area: an estimate that says so."""
    raise NotImplementedError
