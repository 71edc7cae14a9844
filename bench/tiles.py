"""Map tiles of a million entities, and of every unit we hold: how long one takes, zoom by zoom.

    python bench/tiles.py [--entities 1000000] [--times 20]

Half of the entities stand in one town, the others all over a province, written in no order of place.
For each zoom the fullest tile is asked for (and one half as full), through the same code as the face:
query, encoding, compression; the database is on this machine. What is promised: under 100 ms.
"""

import argparse
import asyncio
import gzip
import time
from collections.abc import Awaitable, Callable
from datetime import date
from functools import partial

import asyncpg
import machine
import numpy as np
from measure import spread_of, table

from haidang.context.tiles import entity_tile
from haidang.infra.database import Connection, prepare_connection
from haidang.infra.embedded import TemporaryCluster
from haidang.infra.migrations import migrate
from haidang.kernel.actors import anonymous, part
from haidang.kernel.instants import SystemClock
from haidang.kernel.tiles import Floats, Tile, mercator
from haidang.places.land import land_tile
from haidang.places.loading import load_facts
from haidang.places.unit_tiles import UnitTiles

LAMP = "https://smartdatamodels.org/dataModel.Streetlighting/Streetlight"
ZOOMS = (5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18)
CHUNK = 50_000


def positions(entities: int) -> tuple[Floats, Floats]:
    """Where they stand: half of them within a few kilometres of Phan Thiết."""
    chance = np.random.default_rng(4)
    town = entities // 2
    rest = entities - town
    longitudes = np.concatenate([chance.normal(108.1, 0.03, town), chance.uniform(107.2, 109.0, rest)])
    latitudes = np.concatenate([chance.normal(10.93, 0.03, town), chance.uniform(10.7, 12.2, rest)])
    order = chance.permutation(entities)
    return longitudes[order], latitudes[order]


async def fill(dsn: str, longitudes: Floats, latitudes: Floats) -> None:
    """Write the entities in bulk, as they would stand after a first import."""
    now = SystemClock().now()
    connection: Connection = await asyncpg.connect(dsn)  # without our codecs: they cannot copy
    await connection.execute("SET statement_timeout = 0")
    for start in range(0, len(longitudes), CHUNK):
        here = zip(
            longitudes[start : start + CHUNK].tolist(), latitudes[start : start + CHUNK].tolist(), strict=True
        )
        rows: list[tuple[object, ...]] = [
            (
                "default",
                f"urn:ngsi-ld:Streetlight:bench-{start + place}",
                [LAMP],
                "{}",
                asyncpg.Box(at, at),
                now,
                now,
            )
            for place, at in enumerate(here)
        ]
        await connection.copy_records_to_table(
            "entity",
            schema_name="context",
            columns=["tenant", "entity_id", "types", "document", "box", "created_at", "modified_at"],
            records=rows,
        )
    await connection.execute("ANALYZE context.entity")
    await connection.close()


def fullest(longitudes: Floats, latitudes: Floats, zoom: int) -> list[tuple[Tile, int]]:
    """The tile with the most entities, and one with half as many, with their numbers."""
    x, y = mercator(longitudes, latitudes)
    side = 1 << zoom
    keys, counts = np.unique(
        (x * side).astype(np.int64) * side + (y * side).astype(np.int64), return_counts=True
    )
    most = int(counts.argmax())
    half = int(np.abs(counts - counts[most] / 2).argmin())
    chosen = dict.fromkeys((most, half))
    return [(Tile(zoom, int(keys[one]) // side, int(keys[one]) % side), int(counts[one])) for one in chosen]


async def timed(times: int, make: Callable[[], Awaitable[bytes]]) -> tuple[list[float], int]:
    """How long a tile takes, packed as it is sent, after one that is not counted; and its bytes."""
    took, size = [], 0
    for _ in range(times + 1):
        begun = time.perf_counter()
        size = len(gzip.compress(await make(), 6, mtime=0))
        took.append(time.perf_counter() - begun)
    return took[1:], size


async def bench(entities: int, times: int) -> None:
    """Fill, ask, print."""
    with TemporaryCluster() as cluster:
        connection = await asyncpg.connect(cluster.dsn())
        await prepare_connection(connection)
        await migrate(connection)
        await load_facts(part("bench"), connection)
        longitudes, latitudes = positions(entities)
        begun = time.perf_counter()
        await fill(cluster.dsn(), longitudes, latitudes)
        print(f"{entities:,} entities written in {time.perf_counter() - begun:.0f} s\n")
        header = ("tiles", "zoom", "in it", "kB", "p50 ms", "p95 ms", "max ms")
        rows: list[tuple[object, ...]] = []
        slowest = 0.0
        for zoom in ZOOMS:
            for tile, inside in fullest(longitudes, latitudes, zoom):
                took, size = await timed(
                    times, partial(entity_tile, anonymous(), connection, "Streetlight", LAMP, tile)
                )
                rows.append(_row("entities", zoom, inside, size, took))
                slowest = max(slowest, *took)
        units = UnitTiles()
        for on in (date(2025, 6, 30), date(2026, 11, 21)):
            for zoom in (5, 7, 8, 9, 10, 12, 14):
                x, y = mercator(np.array([108.1]), np.array([10.95]))
                tile = Tile(zoom, int(x[0] * 2**zoom), int(y[0] * 2**zoom))
                took, size = await timed(times, partial(units.tile, anonymous(), connection, on, tile))
                rows.append(_row(f"units {on}", zoom, "–", size, took))
                slowest = max(slowest, *took)
        for zoom in (4, 5, 6, 8):
            x, y = mercator(np.array([108.1]), np.array([12.0]))
            tile = Tile(zoom, int(x[0] * 2**zoom), int(y[0] * 2**zoom))

            async def land(tile: Tile = tile) -> bytes:
                return land_tile(tile)

            took, size = await timed(times, land)
            rows.append(_row("land", zoom, "–", size, took))
            slowest = max(slowest, *took)
        table(header, rows)
        print(f"\nslowest of all: {slowest * 1000:.0f} ms (promised: 100)")
        await connection.close()


def _row(name: str, zoom: int, inside: object, size: int, took: list[float]) -> tuple[object, ...]:
    spread = spread_of(took)
    return (
        name, zoom, inside, size / 1000, spread.median * 1000, spread.p95 * 1000, spread.worst * 1000
    )  # fmt: skip


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--entities", type=int, default=1_000_000)
    parser.add_argument("--times", type=int, default=20)
    asked = parser.parse_args()
    machine.main()
    asyncio.run(bench(asked.entities, asked.times))
