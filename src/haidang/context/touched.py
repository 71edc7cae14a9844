"""What a change of administrative units touches of the city: the entities that stand there."""

import asyncio
from collections.abc import Sequence

import numpy as np
import shapely
from shapely.geometry.base import BaseGeometry

from haidang.context.store import queries
from haidang.infra.database import Connection, Row
from haidang.infra.progress import _
from haidang.kernel.actors import Actor
from haidang.places.changing import TouchedKind, TouchedPlace

AT_ONCE = 20_000
"""How many middles are looked at together: a few megabytes, however many entities there are."""


async def entities_touched(
    actor: Actor, connection: Connection, place: TouchedPlace, *, at_once: int = AT_ONCE
) -> int | None:
    """How many entities that the actor may see stand in the land of a change; None without an outline.

    An entity with an extent stands at the middle of its box. Of any number no more than `at_once` are in
    memory, and each lot is counted in a thread.
    """
    if place.shape is None or place.box is None:
        return None
    shape, inside = place.shape, 0
    await asyncio.to_thread(shapely.prepare, shape)
    async with queries.middles_in_box_cursor(
        connection,
        tenant=actor.tenant,
        audiences=sorted(one.value for one in actor.audiences),
        west=place.box.west,
        south=place.box.south,
        east=place.box.east,
        north=place.box.north,
    ) as opening:
        cursor = await opening
        while rows := await cursor.fetch(at_once):
            inside += await asyncio.to_thread(_inside, shape, rows)
    return inside


def _inside(shape: BaseGeometry, rows: Sequence[Row]) -> int:
    places = np.array([(row["longitude"], row["latitude"]) for row in rows], dtype=np.float64)
    return int(np.count_nonzero(shapely.contains_xy(shape, places[:, 0], places[:, 1])))


ENTITIES_TOUCHED = TouchedKind(_("Things of the city that stand there"), entities_touched)
"""Registered for the preview of a change of units."""
