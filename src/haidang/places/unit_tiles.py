"""Units of a day on map tiles: outlines of provinces and wards, cut and thinned for each zoom."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from uuid import UUID

import numpy as np
import shapely
from numpy.typing import NDArray

from haidang.infra.database import Connection, Row
from haidang.infra.queries import load_queries
from haidang.kernel.actors import Actor
from haidang.kernel.tiles import Floats, Layer, Shapes, Tile, cut, on_mercator, tile_bytes
from haidang.places import store
from haidang.places.model import Level

_queries = load_queries(Path(__file__).parent / "sql" / "tiles.sql")

_LAYERS = (Level.PROVINCE, Level.WARD)
_FIRST_ZOOMS = {Level.PROVINCE: 0, Level.WARD: 6}
"""Wards are smaller than a finger's width before that."""


@dataclass(frozen=True, slots=True)
class _Outlines:
    """The outlines of one edition, on the map's square."""

    edition: UUID | None
    units: Sequence[Row]
    levels: NDArray[np.object_]
    since: NDArray[np.int64]
    until: NDArray[np.int64]
    shapes: Shapes
    bounds: Floats


class UnitTiles:
    """Tiles of units. The outlines stay in this process as long as no change of units was applied."""

    def __init__(self) -> None:
        self._outlines: _Outlines | None = None
        self._reading = asyncio.Lock()

    async def tile(self, actor: Actor, connection: Connection, on: date, tile: Tile) -> bytes:
        """The layers `province` and `ward` of a day; empty where we hold no outline."""
        del actor  # the outlines are everybody's: every verb takes its actor
        outlines = await self._now(connection)
        return await asyncio.to_thread(_drawn, outlines, on, tile)

    async def _now(self, connection: Connection) -> _Outlines:
        edition = await store.current_edition(connection)
        if self._outlines is None or self._outlines.edition != edition:
            async with self._reading:  # a map asks for many tiles at once: one of them reads
                if self._outlines is None or self._outlines.edition != edition:
                    rows = [row async for row in _queries.unit_shapes(connection)]
                    self._outlines = await asyncio.to_thread(_prepared, edition, rows)
        return self._outlines


def _prepared(edition: UUID | None, rows: Sequence[Row]) -> _Outlines:
    wkb = np.empty(len(rows), dtype=np.object_)
    wkb[:] = [row["shape"] for row in rows]
    levels = np.empty(len(rows), dtype=np.object_)
    levels[:] = [row["level"] for row in rows]
    shapes = on_mercator(shapely.from_wkb(wkb))
    return _Outlines(
        edition=edition,
        units=rows,
        levels=levels,
        since=np.array([(row["valid_from"] or date.min).toordinal() for row in rows], dtype=np.int64),
        until=np.array([(row["valid_to"] or date.max).toordinal() for row in rows], dtype=np.int64),
        shapes=shapes,
        bounds=shapely.bounds(shapes),
    )


def _drawn(outlines: _Outlines, on: date, tile: Tile) -> bytes:
    day, side = on.toordinal(), 1.0 / (1 << tile.z)
    west, north, bounds = tile.x * side, tile.y * side, outlines.bounds
    there = (
        (outlines.since <= day)
        & (day < outlines.until)
        & (bounds[:, 0] <= west + side)
        & (bounds[:, 2] >= west)
        & (bounds[:, 1] <= north + side)
        & (bounds[:, 3] >= north)
    )
    layers = []
    for level in _LAYERS:
        chosen = np.flatnonzero(there & (outlines.levels == level.value))
        if not len(chosen) or tile.z < _FIRST_ZOOMS[level]:
            continue
        units = [outlines.units[number] for number in chosen.tolist()]
        properties = {name: [str(unit[name]) for unit in units] for name in ("unit_id", "name", "full_name")}
        layers.append(Layer(level.value, cut(outlines.shapes[chosen], tile), properties))
    return tile_bytes(layers)
