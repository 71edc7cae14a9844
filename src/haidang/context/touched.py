"""What a change of administrative units touches of the city: the entities that stand there."""

import asyncio

import numpy as np
import shapely
from shapely.geometry.base import BaseGeometry

from haidang.context.store import queries
from haidang.infra.database import Connection
from haidang.infra.progress import _
from haidang.kernel.actors import Actor
from haidang.places.changing import TouchedKind, TouchedPlace


async def entities_touched(actor: Actor, connection: Connection, place: TouchedPlace) -> int | None:
    """How many entities that the actor may see stand in the land of a change; None without an outline.

    An entity with an extent stands at the middle of its box.
    """
    if place.shape is None or place.box is None:
        return None
    rows = [
        (row["longitude"], row["latitude"])
        async for row in queries.middles_in_box(
            connection,
            tenant=actor.tenant,
            audiences=sorted(one.value for one in actor.audiences),
            west=place.box.west,
            south=place.box.south,
            east=place.box.east,
            north=place.box.north,
        )
    ]
    return await asyncio.to_thread(_inside, place.shape, rows)


def _inside(shape: BaseGeometry, points: list[tuple[float, float]]) -> int:
    if not points:
        return 0
    places = np.array(points, dtype=np.float64)
    shapely.prepare(shape)
    return int(np.count_nonzero(shapely.contains_xy(shape, places[:, 0], places[:, 1])))


ENTITIES_TOUCHED = TouchedKind(_("Things of the city that stand there"), entities_touched)
"""Registered for the preview of a change of units."""
