"""What the event log costs: commits a second of 16 writers, and how soon a consumer handles an event.

python bench/events.py [--seconds 6]

A durable server (fsync on). Four processes of four writers each; the sequencer and one
consumer run in this process. A commit is one row of the writer's own and one event.
"""

import argparse
import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from concurrent.futures import ProcessPoolExecutor
from functools import partial

import asyncpg
from measure import Spread, spread_of, table

from haidang.infra.consumers import Consumer, ConsumerRunner
from haidang.infra.database import Connection, Pool, open_pool, transaction
from haidang.infra.embedded import TemporaryCluster
from haidang.infra.events import Envelope, Sequencer, publish
from haidang.infra.migrations import migrate
from haidang.kernel.actors import Audience, machine
from haidang.kernel.events import Event
from haidang.kernel.instants import SystemClock

PROCESSES, WRITERS_EACH = 4, 4
WRITER = machine("bench")


class Measured(Event, frozen=True, kw_only=True):
    """Something was measured; `published_ns` is the machine's monotonic clock."""

    kind = "bench.measured"

    published_ns: int
    filler: str = "x" * 300


def write(dsn: str, seconds: float, pause_s: float, *, telling: bool) -> int:
    """One process of writers; how many commits it made."""
    return asyncio.run(_write(dsn, seconds, pause_s, telling=telling))


async def _write(dsn: str, seconds: float, pause_s: float, *, telling: bool) -> int:
    pool = await open_pool(dsn, smallest=WRITERS_EACH, largest=WRITERS_EACH)
    until = time.monotonic() + seconds
    commits = 0

    async def commit_again_and_again() -> None:
        nonlocal commits
        while time.monotonic() < until:
            async with transaction(pool) as connection:
                await connection.execute("INSERT INTO public.fact (value) VALUES (1)")
                if telling:
                    event = Measured(subject="urn:x:bench", published_ns=time.monotonic_ns())
                    await publish(connection, WRITER, event)
            commits += 1
            if pause_s:
                await asyncio.sleep(pause_s)

    await asyncio.gather(*(commit_again_and_again() for _ in range(WRITERS_EACH)))
    await pool.close()
    return commits


class Listener:
    """A consumer that notes how long each event was under way."""

    def __init__(self) -> None:
        self.took: list[float] = []

    async def hear(self, _: Connection, envelope: Envelope) -> None:
        """Note the time from publishing, before the commit, to handling."""
        published_ns = envelope.read(Measured).published_ns
        self.took.append((time.monotonic_ns() - published_ns) / 1e9)


@contextlib.asynccontextmanager
async def consuming(pool: Pool, listener: Listener) -> AsyncIterator[None]:
    """Sequencer and consumer at work until the block ends and all is handled."""
    stop = asyncio.Event()
    consumer = Consumer(
        name="bench.listener",
        listens_to=(Measured,),
        handle=listener.hear,
        audience=Audience.MACHINE,
        starts="now",
    )
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(Sequencer(pool).run(stop))
        tasks.create_task(ConsumerRunner(pool, SystemClock(), [consumer]).run(stop))
        await asyncio.sleep(0.5)
        yield
        while not await pool.fetchval(  # noqa: ASYNC110  (what is waited for is in the database)
            "SELECT c.position = h.position FROM infra.event_consumer AS c, infra.event_head AS h"
            " WHERE NOT EXISTS (SELECT FROM infra.event_pending)"
        ):
            await asyncio.sleep(0.05)
        stop.set()


async def measure(dsn: str, seconds: float) -> list[tuple[object, ...]]:
    """The rows of the table."""
    pool = await open_pool(dsn, largest=6)
    await pool.execute("CREATE TABLE public.fact (fact_id bigserial PRIMARY KEY, value int)")
    rows: list[tuple[object, ...]] = []
    nothing = Spread(*(float("nan"),) * 4)

    def row(name: str, commits: float, spread: Spread) -> None:
        rows.append((name, commits, spread.median * 1e3, spread.p99 * 1e3, spread.worst * 1e3))

    with ProcessPoolExecutor(PROCESSES) as writers:

        async def commits_a_second(*, telling: bool, pause_s: float = 0) -> float:
            loop = asyncio.get_running_loop()
            one = partial(write, dsn, seconds, pause_s, telling=telling)
            made = await asyncio.gather(*(loop.run_in_executor(writers, one) for _ in range(PROCESSES)))
            return sum(made) / seconds

        row("no events", await commits_a_second(telling=False), nothing)
        row("events, no worker: each one notifies", await commits_a_second(telling=True), nothing)
        listener = Listener()
        async with consuming(pool, listener):
            listener.took.clear()  # what waited from before
            at_full_speed = await commits_a_second(telling=True)
        row("events, sequencer and consumer", at_full_speed, spread_of(listener.took))
        listener = Listener()
        async with consuming(pool, listener):
            at_ease = await commits_a_second(telling=True, pause_s=0.16)
        row("the same, at a province's pace", at_ease, spread_of(listener.took))
    await pool.close()
    return rows


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=6)
    seconds = parser.parse_args().seconds
    durable = {"fsync": "on", "synchronous_commit": "on", "full_page_writes": "on", "shared_buffers": "128MB"}
    with TemporaryCluster(settings=durable) as server:
        asyncio.run(_prepare(server.dsn()))
        rows = asyncio.run(measure(server.dsn(), seconds))
    table(("16 writers, durable", "commits/s", "handled p50 ms", "p99 ms", "worst ms"), rows)


async def _prepare(dsn: str) -> None:
    connection = await asyncpg.connect(dsn)
    await migrate(connection)
    await connection.close()


if __name__ == "__main__":
    main()
