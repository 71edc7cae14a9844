"""Entities on map tiles: each one where they are few, gathered in squares where they are many.

The work of a tile is bounded however many entities there are: no more than `MOST_POINTS` are drawn
one by one, and in each of 64 squares no more than `COUNTED_TO` are counted; `more` says that there
are more of them than `count`. Both read through the one join of who may see what (ADR 0046).
"""

import asyncio

import numpy as np

from haidang.context.store import queries
from haidang.infra.database import Connection
from haidang.kernel.actors import Actor
from haidang.kernel.tiles import PointLayer, Tile, Value, tile_bytes

MOST_POINTS = 2_000
"""How many entities a tile shows one by one."""
COUNTED_TO = 100
"""How far the entities of one square are counted."""
SQUARES = 64
"""Into how many squares a full tile is divided: eight by eight."""


async def entity_tile(
    actor: Actor,
    connection: Connection,
    type_name: str,
    type_iri: str,
    tile: Tile,
    *,
    most_points: int = MOST_POINTS,
    counted_to: int = COUNTED_TO,
) -> bytes:
    """The layer `entity` of one type, of what the actor may see; empty where there is none.

    An entity with an extent stands at the middle of its box. One of several types is found under the
    first two of them.
    """
    first, last = tile.cells()
    seen = {
        "tenant": actor.tenant,
        "audiences": sorted(one.value for one in actor.audiences),
        "type_iri": type_iri,
        "first": first,
    }
    rows = [
        row
        async for row in queries.cells_gathered(
            connection, **seen, span=(last - first + 1) // SQUARES, parts=SQUARES, most=counted_to + 1
        )
    ]
    columns: dict[str, list[Value]] = {
        "count": [min(row["entities"], counted_to) for row in rows],
        "more": [True if row["entities"] > counted_to else None for row in rows],
    }
    if sum(row["entities"] for row in rows) <= most_points:
        found = queries.entities_in_cells(connection, **seen, last=last, most=most_points + 1)
        single = [row async for row in found]
        if len(single) <= most_points:
            rows, columns = single, {"id": [row["entity_id"] for row in single]}
    x, y = tile.steps(
        np.array([row["longitude"] for row in rows], dtype=np.float64),
        np.array([row["latitude"] for row in rows], dtype=np.float64),
    )
    layer = PointLayer("entity", x, y, {**columns, "type": [type_name] * len(rows)})
    return await asyncio.to_thread(tile_bytes, [layer])
