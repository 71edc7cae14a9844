"""Processes killed, connections lost, the database restarted: nothing lost, each effect once."""

import asyncio
import contextlib
import signal
import subprocess
from collections.abc import AsyncIterator

import asyncpg
import pytest

from haidang.infra.consumers import Consumer, ConsumerRunner
from haidang.infra.database import (
    Connection,
    DatabaseUnavailable,
    Pool,
    open_pool,
    prepare_connection,
    transaction,
    wait_until_reachable,
)
from haidang.infra.embedded import TemporaryCluster, start_cluster
from haidang.infra.events import Envelope, Sequencer, publish
from haidang.infra.migrations import migrate
from haidang.kernel.actors import Audience
from haidang.kernel.instants import SystemClock
from tests.events.facts import PumpCounted
from tests.events.helpers import GAUGE, holds, running, start_child, tell, until
from tests.events.part_that_is_killed import CONSUMER, note


async def assert_each_once(pool: Pool, told: int) -> None:
    positions = await pool.fetch("SELECT position FROM infra.event_position ORDER BY position")
    assert [row["position"] for row in positions] == list(range(1, told + 1))
    handled = await pool.fetch("SELECT position FROM public.handled ORDER BY position")
    assert [row["position"] for row in handled] == list(range(1, told + 1))


@pytest.fixture
async def noting(pool: Pool) -> Pool:
    """A database in which the killed consumer can note what it handled."""
    await pool.execute("CREATE TABLE public.handled (position bigint NOT NULL)")
    return pool


async def test_a_consumer_killed_in_the_middle_loses_and_repeats_nothing(noting: Pool, dsn: str) -> None:
    told = 0
    async with running(Sequencer(noting)):
        for life in range(3):
            child = await start_child("tests.events.part_that_is_killed", "consumer", dsn)
            handled: int = await noting.fetchval("SELECT count(*) FROM public.handled")
            try:
                for number in range(250):
                    await tell(noting, PumpCounted(subject="urn:x:pump", number=number, writer=life))
                    told += 1
                # In the middle: something of this life is done, and not everything.
                await until(
                    lambda before=handled: holds(  # type: ignore[misc]
                        noting, "SELECT count(*) > $1 FROM public.handled", before
                    )
                )
            finally:
                child.send_signal(signal.SIGKILL)
                await child.wait()
            assert await noting.fetchval("SELECT count(*) FROM public.handled") < told
        async with running(ConsumerRunner(noting, SystemClock(), [CONSUMER])):
            await until(lambda: holds(noting, "SELECT count(*) >= $1 FROM public.handled", told))
    await assert_each_once(noting, told)


async def test_a_killed_sequencer_is_replaced_and_positions_go_on(noting: Pool, dsn: str) -> None:
    told = 0

    async def keep_telling(enough: asyncio.Event) -> None:
        nonlocal told
        while not enough.is_set():
            await tell(noting, PumpCounted(subject="urn:x:pump", number=told))
            told += 1

    enough = asyncio.Event()
    child = await start_child("tests.events.part_that_is_killed", "sequencer", dsn)
    telling = asyncio.create_task(keep_telling(enough))
    try:
        await until(lambda: holds(noting, "SELECT position > 50 FROM infra.event_head"))
        second = Sequencer(noting, election_s=0.05)
        async with running(second):
            await asyncio.sleep(0.3)
            assert [second.leads] == [False]
            child.send_signal(signal.SIGKILL)
            await child.wait()

            async def second_leads() -> bool:
                return second.leads

            # The server may still finish what the killed one had asked for.
            await until(second_leads)
            at: int = await noting.fetchval("SELECT position FROM infra.event_head")
            await until(lambda: holds(noting, "SELECT position > $1 + 50 FROM infra.event_head", at))
            enough.set()
            await telling
            await until(lambda: holds(noting, "SELECT position = $1 FROM infra.event_head", told))
            async with running(ConsumerRunner(noting, SystemClock(), [CONSUMER])):
                await until(lambda: holds(noting, "SELECT count(*) >= $1 FROM public.handled", told))
    finally:
        enough.set()
        with contextlib.suppress(ProcessLookupError):
            child.kill()
        await child.wait()
    await assert_each_once(noting, told)


@contextlib.asynccontextmanager
async def own_server() -> AsyncIterator[tuple[TemporaryCluster, dict[str, str]]]:
    """A durable server that a test may stop and start."""
    settings = {"fsync": "on", "synchronous_commit": "on", "full_page_writes": "on"}
    with TemporaryCluster(settings=settings) as server:
        connection = await asyncpg.connect(server.dsn())
        await prepare_connection(connection)
        await migrate(connection)
        await connection.close()
        yield server, settings


async def test_a_restarted_database_loses_and_repeats_nothing() -> None:
    """Stopped as if it crashed, twice, under load: what was acknowledged is there, once, in order."""
    async with own_server() as (server, settings):
        pool = await open_pool(server.dsn(), largest=8)
        await pool.execute("CREATE TABLE public.handled (position bigint NOT NULL)")
        acknowledged: list[int] = []
        enough = asyncio.Event()

        async def keep_telling(writer: int) -> None:
            number = writer
            while not enough.is_set():
                with contextlib.suppress(DatabaseUnavailable):
                    async with transaction(pool) as connection:
                        event = PumpCounted(subject="urn:x:pump", number=number)
                        await publish(connection, GAUGE, event)
                    acknowledged.append(number)
                number += 4
                await asyncio.sleep(0.001)

        async with running(Sequencer(pool), ConsumerRunner(pool, SystemClock(), [CONSUMER])):
            telling = [asyncio.create_task(keep_telling(writer)) for writer in range(4)]
            for _ in range(2):
                so_far = len(acknowledged)
                await until(lambda so_far=so_far: _more(acknowledged, so_far + 100))  # type: ignore[misc]
                server.process.send_signal(signal.SIGQUIT)
                await asyncio.to_thread(server.process.wait)
                await asyncio.sleep(0.2)
                server.process = _start_again(server, settings)
                await wait_until_reachable(server.dsn())
            so_far = len(acknowledged)
            await until(lambda: _more(acknowledged, so_far + 100))
            enough.set()
            await asyncio.gather(*telling)
            told: int = await pool.fetchval("SELECT count(*) FROM infra.event")
            await until(lambda: holds(pool, "SELECT count(*) >= $1 FROM public.handled", told))
        await assert_each_once(pool, told)
        numbers = await pool.fetch("SELECT (payload::jsonb ->> 'number')::int AS number FROM infra.event")
        assert set(acknowledged) <= {row["number"] for row in numbers}
        await pool.close()


def _start_again(server: TemporaryCluster, settings: dict[str, str]) -> "subprocess.Popen[bytes]":
    return start_cluster(server.home / "data", server.home, settings=settings)


async def _more(acknowledged: list[int], than: int) -> bool:
    return len(acknowledged) > than


async def test_lost_listening_connections_are_opened_again(noting: Pool) -> None:
    """Polling is too slow here to be what wakes them: only a new LISTEN can."""
    sequencer = Sequencer(noting, poll_s=60, election_s=0.05)
    runner = ConsumerRunner(noting, SystemClock(), [CONSUMER], poll_s=60)
    async with running(sequencer, runner):
        for told in range(1, 4):
            await tell(noting, PumpCounted(subject="urn:x:pump", number=told))
            await until(
                lambda told=told: holds(  # type: ignore[misc]
                    noting, "SELECT count(*) = $1 FROM public.handled", told
                ),
                within_s=10,
            )
            await noting.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database()"
                " AND pid <> pg_backend_pid() AND query ~* '(listen|advisory|event)'"
            )
    await assert_each_once(noting, 3)


async def test_events_are_consumed_without_any_notification(noting: Pool) -> None:
    """Somebody swallows every NOTIFY (a pooler in between): polling does it."""
    runner = ConsumerRunner(noting, SystemClock(), [CONSUMER], poll_s=0.1)
    async with running(runner):
        await tell(noting, PumpCounted(subject="urn:x:pump", number=1))
        await noting.execute(
            "WITH taken AS (DELETE FROM infra.event_pending RETURNING event_no, kind),"
            " head AS (UPDATE infra.event_head SET position = 1)"
            " INSERT INTO infra.event_position (position, event_no, kind) SELECT 1, event_no, kind FROM taken"
        )
        await until(lambda: holds(noting, "SELECT count(*) = 1 FROM public.handled"), within_s=5)


async def test_two_processes_do_not_handle_at_the_same_time(noting: Pool) -> None:
    """Whoever has the cursor has the consumer; the other one leaves it alone."""
    at_once = 0
    most = 0

    async def alone(connection: Connection, envelope: Envelope) -> None:
        nonlocal at_once, most
        at_once += 1
        most = max(most, at_once)
        await note(connection, envelope)
        at_once -= 1

    consumer = Consumer(
        name="test.alone", listens_to=(PumpCounted,), handle=alone, audience=Audience.MACHINE, batch=3
    )
    runners = [ConsumerRunner(noting, SystemClock(), [consumer], poll_s=0.05) for _ in range(3)]
    async with running(Sequencer(noting), *runners):
        for number in range(60):
            await tell(noting, PumpCounted(subject="urn:x:pump", number=number))
        await until(lambda: holds(noting, "SELECT count(*) >= 60 FROM public.handled"))
    assert most == 1
    await assert_each_once(noting, 60)
