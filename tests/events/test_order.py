"""Sixteen writers at once: none of their events is lost, skipped or out of order."""

import asyncio
import random

from haidang.infra.consumers import Consumer, ConsumerRunner
from haidang.infra.database import Connection, Pool, open_pool, transaction
from haidang.infra.events import Envelope, Sequencer, publish
from haidang.kernel.actors import Audience
from haidang.kernel.instants import SystemClock
from tests.events.facts import PumpCounted
from tests.events.helpers import GAUGE, holds, running, until

WRITERS = 16
TRANSACTIONS = 60
PUMPS = 5


class Rollback(Exception):
    """A writer changes its mind."""


async def write(pool: Pool, writer: int) -> int:
    """Count at two shared pumps in each transaction and tell of it, before or after; how many told.

    What an event is about is written down under its number, so that the order can be checked
    even of events that were published before their transaction saw anybody's counter.
    """
    told = 0
    choice = random.Random(writer)  # noqa: S311  (not a secret: which pump)
    for turn in range(TRANSACTIONS):
        number = writer * TRANSACTIONS + turn
        pumps = sorted(choice.sample(range(PUMPS), 2))
        early, changed_its_mind = choice.random() < 0.5, choice.random() < 0.1
        event = PumpCounted(subject="urn:x:pump", number=number, writer=writer)
        try:
            async with transaction(pool) as connection:
                if early:
                    await publish(connection, GAUGE, event, event)
                for pump in pumps:
                    await connection.execute(
                        "WITH new AS (UPDATE public.pump SET counter = counter + 1 WHERE pump = $1"
                        " RETURNING counter)"
                        " INSERT INTO public.count (number, pump, counter) SELECT $2, $1, counter FROM new",
                        pump,
                        number,
                    )
                if not early:
                    await publish(connection, GAUGE, event)
                    await publish(connection, GAUGE, event)
                if changed_its_mind:
                    raise Rollback  # noqa: TRY301  (a transaction is rolled back by raising)
        except Rollback:
            continue
        told += 2
    return told


async def check_order(pool: Pool, told: int) -> None:
    """Positions 1 to `told`; each pump's counters in their order; a transaction's events together."""
    rows = await pool.fetch(
        "SELECT p.position, (e.payload::jsonb ->> 'number')::int AS number FROM infra.event_position AS p"
        " JOIN infra.event AS e USING (event_no) ORDER BY p.position"
    )
    assert [row["position"] for row in rows] == list(range(1, told + 1))
    numbers = [row["number"] for row in rows]
    assert numbers[::2] == numbers[1::2]
    counters: dict[int, list[int]] = {pump: [] for pump in range(PUMPS)}
    counts: dict[int, list[tuple[int, int]]] = {}
    for row in await pool.fetch("SELECT number, pump, counter FROM public.count"):
        counts.setdefault(row["number"], []).append((row["pump"], row["counter"]))
    for number in numbers[::2]:
        for pump, counter in counts[number]:
            counters[pump].append(counter)
    for seen in counters.values():
        assert seen == list(range(1, len(seen) + 1))


async def make_pumps(pool: Pool) -> None:
    await pool.execute(
        "CREATE TABLE public.pump (pump int PRIMARY KEY, counter int NOT NULL DEFAULT 0);"
        "CREATE TABLE public.count (number int, pump int, counter int);"
        "CREATE TABLE public.seen (place bigserial, position bigint, number int)"
    )
    await pool.executemany("INSERT INTO public.pump (pump) VALUES ($1)", [(pump,) for pump in range(PUMPS)])


async def note_order(connection: Connection, envelope: Envelope) -> None:
    await connection.execute(
        "INSERT INTO public.seen (position, number) VALUES ($1, $2)",
        envelope.position,
        envelope.read(PumpCounted).number,
    )


async def test_sixteen_writers_lose_skip_and_disorder_nothing(dsn: str) -> None:
    """Sequencer and consumer run all the while; a second pair stands by."""
    consumer = Consumer(
        name="test.order", listens_to=(PumpCounted,), handle=note_order, audience=Audience.MACHINE, batch=37
    )
    writing, working = await open_pool(dsn, largest=WRITERS), await open_pool(dsn, largest=10)
    await make_pumps(writing)
    runners = [ConsumerRunner(working, SystemClock(), [consumer]) for _ in range(2)]
    async with running(Sequencer(working), Sequencer(working), *runners):
        told = sum(await asyncio.gather(*(write(writing, writer) for writer in range(WRITERS))))
        await until(lambda: holds(writing, "SELECT count(*) >= $1 FROM public.seen", told))
    await check_order(writing, told)
    seen = await writing.fetch("SELECT position FROM public.seen ORDER BY place")
    assert [row["position"] for row in seen] == list(range(1, told + 1))
    await writing.close()
    await working.close()


async def test_what_waited_for_a_sequencer_is_put_in_order_at_once(dsn: str) -> None:
    """The same, but nobody gives positions until all have written: one batch of everything."""
    pool = await open_pool(dsn, largest=WRITERS)
    await make_pumps(pool)
    told = sum(await asyncio.gather(*(write(pool, writer) for writer in range(WRITERS))))
    assert await pool.fetchval("SELECT count(*) FROM infra.event_pending") == told
    async with running(Sequencer(pool)):
        await until(lambda: holds(pool, "SELECT position = $1 FROM infra.event_head", told))
    await check_order(pool, told)
    await pool.close()
