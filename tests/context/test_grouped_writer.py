"""The grouped writer: many callers, few commits; no poison spreads, no queue grows without end."""

import asyncio
import multiprocessing
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from haidang.context.errors import EntityAlreadyExists, ObservedInFuture, WriterBusy, WriterStopped
from haidang.context.model import AppendAttributes, AttributeInstance, CreateEntity, MergeObservations
from haidang.context.service import retrieve_entity
from haidang.context.writer import COMMANDS, WAITING, GroupedWriter
from haidang.infra.database import Pool, open_pool
from haidang.kernel.actors import machine, part
from haidang.kernel.instants import SetClock, SystemClock

ACTOR = machine("test")
TYPE = "https://example.vn/T"
NAME = "https://example.vn/n"


@asynccontextmanager
async def writing(pool: Pool, clock: SetClock, **limits: int) -> AsyncIterator[GroupedWriter]:
    """A writer at work."""
    writer = GroupedWriter(pool, clock, **limits)
    stop = asyncio.Event()
    running = asyncio.create_task(writer.run(stop))
    yield writer
    stop.set()
    await running


def create(entity_id: str) -> CreateEntity:
    return CreateEntity(entity_id=entity_id, types=(TYPE,), attributes=(AttributeInstance(NAME, 1),))


async def test_concurrent_writes_share_commits_and_one_event(pool: Pool, clock: SetClock) -> None:
    async with writing(pool, clock) as writer:
        outcomes = await asyncio.gather(*(writer.submit(ACTOR, create(f"urn:x:{n}")) for n in range(200)))
    assert all(outcome.created for outcome in outcomes)
    assert COMMANDS.labels("changed")._value.get() >= 200
    assert WAITING._value.get() == 0
    assert await pool.fetchval("SELECT count(*) FROM context.entity") == 200
    assert writer.flushes <= 3
    assert await pool.fetchval("SELECT count(*) FROM infra.event") == writer.flushes


async def test_a_mistake_is_told_to_its_caller_only(pool: Pool, clock: SetClock) -> None:
    future = MergeObservations(
        entity_id="urn:x:future",
        type_iri=TYPE,
        attributes=(AttributeInstance(NAME, 1, observed_at=clock.now() + timedelta(hours=1)),),
    )
    async with writing(pool, clock) as writer:
        told = await asyncio.gather(
            writer.submit(ACTOR, create("urn:x:1")),
            writer.submit(ACTOR, future),
            writer.submit(ACTOR, create("urn:x:1")),
            writer.submit(ACTOR, create("urn:x:2")),
            return_exceptions=True,
        )
    assert [type(one).__name__ for one in told] == [
        "Outcome",
        ObservedInFuture.__name__,
        EntityAlreadyExists.__name__,
        "Outcome",
    ]
    assert await pool.fetchval("SELECT count(*) FROM context.entity") == 2


async def test_what_the_database_refuses_does_not_fail_its_neighbours(pool: Pool, clock: SetClock) -> None:
    await pool.execute(
        "ALTER TABLE context.entity ADD CONSTRAINT poison CHECK (entity_id <> 'urn:x:poison') NOT VALID"
    )
    async with writing(pool, clock) as writer:
        told = await asyncio.gather(
            *(writer.submit(ACTOR, create(f"urn:x:{name}")) for name in ("a", "poison", "b")),
            return_exceptions=True,
        )
    assert [isinstance(one, Exception) for one in told] == [False, True, False]
    assert await pool.fetchval("SELECT count(*) FROM context.entity") == 2


async def test_a_full_queue_refuses_before_memory_grows(pool: Pool, clock: SetClock) -> None:
    writer = GroupedWriter(pool, clock, most_waiting=10)
    waiting = [asyncio.create_task(writer.submit(ACTOR, create(f"urn:x:{n}"))) for n in range(10)]
    await asyncio.sleep(0)
    assert writer.waiting == 10
    with pytest.raises(WriterBusy):
        await writer.submit(ACTOR, create("urn:x:more"))
    heavy = GroupedWriter(pool, clock, most_weight=1000)
    kept = asyncio.create_task(heavy.submit(ACTOR, create("urn:x:heavy"), weight=900))
    await asyncio.sleep(0)
    with pytest.raises(WriterBusy):
        await heavy.submit(ACTOR, create("urn:x:heavier"), weight=200)
    for one in (writer, heavy):
        stop = asyncio.Event()
        stop.set()
        await one.run(stop)
    await asyncio.gather(kept, *waiting)
    with pytest.raises(WriterStopped):
        await writer.submit(ACTOR, create("urn:x:late"))
    assert await pool.fetchval("SELECT count(*) FROM context.entity") == 11


async def test_a_caller_who_gives_up_harms_nobody(pool: Pool, clock: SetClock) -> None:
    writer = GroupedWriter(pool, clock)
    gone = asyncio.create_task(writer.submit(ACTOR, create("urn:x:gone")))
    here = asyncio.create_task(writer.submit(ACTOR, create("urn:x:here")))
    await asyncio.sleep(0)
    gone.cancel()
    stop = asyncio.Event()
    stop.set()
    await writer.run(stop)
    assert (await here).created
    assert await pool.fetchval("SELECT count(*) FROM context.entity") == 1


async def test_a_day_gets_its_partition_when_it_is_needed(pool: Pool, clock: SetClock) -> None:
    days = [datetime(year, 3, 1, tzinfo=UTC) for year in (1900, 1969, 2015, 2026)]
    async with writing(pool, clock) as writer:
        merge = MergeObservations(
            entity_id="urn:x:old",
            type_iri=TYPE,
            attributes=tuple(AttributeInstance(NAME, 1.5, observed_at=day) for day in days),
        )
        await writer.submit(ACTOR, merge)
    names = await pool.fetch(
        "SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid"
        " WHERE i.inhparent = 'context.observation'::regclass ORDER BY 1"
    )
    assert [row["relname"] for row in names] == [f"observation_{day:%Y%m%d}" for day in days]
    assert await pool.fetchval("SELECT count(*) FROM context.observation") == 4


async def _hammer(dsn: str, worker: int, rounds: int) -> None:
    pool = await open_pool(dsn)
    writer = GroupedWriter(pool, SystemClock())
    stop = asyncio.Event()
    running = asyncio.create_task(writer.run(stop))
    for number in range(rounds):
        await asyncio.gather(
            *(
                writer.submit(
                    ACTOR,
                    MergeObservations(
                        entity_id=f"urn:x:{(worker + number + shift) % 7}",
                        type_iri=TYPE,
                        attributes=(AttributeInstance(f"https://example.vn/{worker}/{number}", shift),),
                    ),
                )
                for shift in range(7)
            )
        )
    stop.set()
    await running
    await pool.close()


def _hammer_in_a_process(dsn: str, worker: int, rounds: int) -> None:
    asyncio.run(_hammer(dsn, worker, rounds))


@pytest.mark.parametrize("rounds", [25])
async def test_processes_writing_the_same_entities_lose_nothing(dsn: str, pool: Pool, rounds: int) -> None:
    """Every process adds attributes of its own to the same seven entities, all at once."""
    spawn = multiprocessing.get_context("spawn")
    workers = [spawn.Process(target=_hammer_in_a_process, args=(dsn, worker, rounds)) for worker in range(3)]
    for one in workers:
        one.start()
    for one in workers:
        await asyncio.to_thread(one.join, 100)
        assert one.exitcode == 0
    async with pool.acquire() as connection:
        for number in range(7):
            state = await retrieve_entity(part("test"), connection, f"urn:x:{number}")
            assert len(state.attributes) == 3 * rounds
        assert await connection.fetchval("SELECT count(*) FROM context.observation") == 7 * 3 * rounds


_WRITER = """
import asyncio, sys
from haidang.context.model import AttributeInstance, MergeObservations
from haidang.context.writer import COMMANDS, WAITING, GroupedWriter
from haidang.infra.database import open_pool
from haidang.kernel.actors import machine
from haidang.kernel.instants import SystemClock

async def main():
    pool = await open_pool(sys.argv[1])
    writer = GroupedWriter(pool, SystemClock())
    asyncio.create_task(writer.run(asyncio.Event()))
    async def one(worker):
        number = 0
        while True:
            command = MergeObservations(entity_id=f"urn:x:{worker}", type_iri="https://example.vn/T",
                attributes=(AttributeInstance("https://example.vn/n", number),))
            await writer.submit(machine("t"), command)
            print(worker, number, flush=True)
            number += 1
    await asyncio.gather(*(one(worker) for worker in range(8)))

asyncio.run(main())
"""


async def test_what_was_acknowledged_survives_a_killed_writer(dsn: str, pool: Pool) -> None:
    """Kill −9 in the middle of the load: each write that was acknowledged is there, and none is half."""
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", _WRITER, dsn, stdout=subprocess.PIPE)
    assert process.stdout is not None
    acknowledged: dict[str, int] = {}
    seen = 0
    async for line in process.stdout:
        worker, _, number = line.decode().strip().partition(" ")
        if number:
            acknowledged[worker] = max(acknowledged.get(worker, -1), int(number))
        seen += 1
        if seen == 400:
            os.kill(process.pid, signal.SIGKILL)
    await process.wait()
    assert seen >= 400
    async with pool.acquire() as connection:
        rows: list[Any] = await connection.fetch(
            "SELECT e.entity_id, e.document->'https://example.vn/n'->0->'value' AS present,"
            " array_agg(o.number ORDER BY o.observed_at) AS numbers"
            " FROM context.entity e JOIN context.observation o USING (entity_no) GROUP BY 1, 2"
        )
    for row in rows:
        worker = row["entity_id"].rsplit(":", 1)[1]
        assert row["numbers"] == [float(number) for number in range(len(row["numbers"]))]
        assert row["present"] == len(row["numbers"]) - 1
        assert row["present"] >= acknowledged[worker]
    assert len(rows) == len(acknowledged) == 8


async def test_appending_to_one_entity_from_many_callers(pool: Pool, clock: SetClock) -> None:
    async with writing(pool, clock) as writer:
        await writer.submit(ACTOR, create("urn:x:1"))
        await asyncio.gather(
            *(
                writer.submit(
                    ACTOR,
                    AppendAttributes(
                        entity_id="urn:x:1",
                        attributes=(AttributeInstance(f"https://example.vn/{number}", number),),
                    ),
                )
                for number in range(50)
            )
        )
    async with pool.acquire() as connection:
        assert len((await retrieve_entity(part("test"), connection, "urn:x:1")).attributes) == 51
