"""Where points are: in bulk, one by one, and how long the facts of the country take to load.

    python bench/places.py [--points 100000] [--singles 2000]

Points are drawn evenly over the box of both pilot provinces (about half are on their land) and around the
two pilot cities, where the outlines are the most detailed. One thread, one connection.
"""

import argparse
import asyncio
import time
from datetime import date
from decimal import Decimal
from pathlib import Path

import asyncpg
import machine
import numpy as np
from measure import Spread, spread_of, table, use

from haidang.infra.database import Connection, prepare_connection
from haidang.infra.embedded import TemporaryCluster
from haidang.infra.migrations import migrate
from haidang.infra.queries import load_queries
from haidang.kernel.actors import part
from haidang.places import service, store
from haidang.places.loading import load_facts
from haidang.places.model import How, Level

TODAY, BEFORE = date(2026, 11, 22), date(2025, 6, 30)
COUNTRY = (107.0, 10.4, 109.5, 14.8)
CITIES = ((108.05, 10.90, 108.30, 11.00), (109.10, 13.70, 109.30, 13.85))
ACTOR = part("bench")

Points = tuple["np.typing.NDArray[np.float64]", "np.typing.NDArray[np.float64]"]


def points_in(boxes: tuple[tuple[float, float, float, float], ...], count: int) -> Points:
    """So many points, evenly over each of the boxes."""
    chance = np.random.default_rng(20261122)
    sides = [
        (chance.uniform(west, east, count // len(boxes)), chance.uniform(south, north, count // len(boxes)))
        for west, south, east, north in boxes
    ]
    return np.concatenate([one[0] for one in sides]), np.concatenate([one[1] for one in sides])


async def load(connection: Connection) -> None:
    """The first loading, and the look that every later start takes."""
    rows = []
    for name in ("first", "again"):
        with use() as used:
            await load_facts(ACTOR, connection)
        rows.append((name, used.seconds * 1e3, used.cpu["us"] * 1e3))
    table(("loading the facts", "ms", "CPU ms"), rows)


async def bulk(connection: Connection, count: int) -> None:
    """Many points at once; the first call also makes the outlines ready."""
    rows = []
    for name, boxes in (
        ("both provinces", (COUNTRY,)),
        ("the same again", (COUNTRY,)),
        ("pilot cities", CITIES),
    ):
        points = points_in(boxes, count)
        with use() as used:
            found = await service.units_at(ACTOR, connection, *points, TODAY)
        hits = sum(one is not None for one in found)
        rows.append((name, len(found), hits, used.seconds * 1e3, len(found) / used.seconds))
    table(("points in bulk", "points", "in a ward", "ms", "a second"), rows)


async def singles(connection: Connection, count: int) -> None:
    """One point after another: an index, one to four outlines, the distance to the edge, the unit."""
    rows = []
    for name, boxes in (("both provinces", (COUNTRY,)), ("pilot cities", CITIES)):
        took = []
        for longitude, latitude in zip(*points_in(boxes, count), strict=True):
            begun = time.perf_counter()
            await service.unit_at(ACTOR, connection, float(longitude), float(latitude), TODAY)
            took.append(time.perf_counter() - begun)
        rows.append((name, count, *_milliseconds(spread_of(took))))
    table(("one point", "points", "median ms", "p95 ms", "p99 ms", "worst ms"), rows)


async def figures(connection: Connection) -> None:
    """Figures of all former communes re-based on today's, of one province and of the country."""
    rows = []
    communes = await service.units_on(ACTOR, connection, BEFORE, level=Level.WARD)
    for name, count in (("a province", 400), ("the country", len(communes))):
        given = {one.unit_id: Decimal(1) for one in communes[:count]}
        with use() as used:
            found = await service.rebase(ACTOR, connection, given, to=TODAY, how=How.WHOLE)
        rows.append((name, count, len(found.amounts), len(found.not_placed), used.seconds * 1e3))
    table(("figures re-based", "given", "units", "not placed", "ms"), rows)


def _milliseconds(spread: Spread) -> tuple[float, ...]:
    return tuple(seconds * 1e3 for seconds in (spread.median, spread.p95, spread.p99, spread.worst))


async def plan(connection: Connection) -> None:
    """How the server finds the outlines at a point."""
    await connection.execute("ANALYZE")
    sql = load_queries(Path(store.__file__).parent / "sql" / "places.sql").outlines_at_point.sql
    for row in await connection.fetch(f"EXPLAIN (ANALYZE, BUFFERS) {sql}", 108.1, 10.933, "ward", TODAY):
        print(row[0])


async def measure(dsn: str, points: int, count: int) -> None:
    """Everything, on one connection."""
    connection = await asyncpg.connect(dsn)
    await prepare_connection(connection)
    await migrate(connection)
    await load(connection)
    print()
    await bulk(connection, points)
    print()
    await singles(connection, count)
    print()
    await figures(connection)
    print()
    await plan(connection)
    await connection.close()


def main() -> None:
    """Print the machine, the tables and the plan."""
    arguments = argparse.ArgumentParser(description="Where points are.")
    arguments.add_argument("--points", type=int, default=100_000)
    arguments.add_argument("--singles", type=int, default=2_000)
    given = arguments.parse_args()
    machine.main()
    print()
    with TemporaryCluster() as cluster:
        asyncio.run(measure(cluster.dsn(), given.points, given.singles))


if __name__ == "__main__":
    main()
