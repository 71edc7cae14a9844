"""Publishing: in the transaction of the fact, in order, with its envelope."""

import asyncio

import pytest

from haidang.infra.database import Connection, Pool, transaction
from haidang.infra.events import (
    EventFromTheFuture,
    EventOfAnotherKind,
    Sequencer,
    assign_positions,
    caused_by,
    events_after,
    head_position,
    log_state,
    publish,
    settle,
)
from haidang.kernel.actors import machine
from haidang.kernel.instants import SetClock
from tests.events.facts import PumpCounted, PumpStopped

GAUGE = machine("gauge")
KINDS = [PumpCounted.kind, PumpStopped.kind]


async def test_an_event_carries_its_envelope(connection: Connection, clock: SetClock) -> None:
    await publish(
        connection, GAUGE, PumpStopped(subject="urn:x:pump:1"), cause="urn:x:alarm:1", at=clock.now()
    )
    await settle(connection)
    (envelope,) = await events_after(connection, 0, KINDS, 10)
    assert envelope.read(PumpStopped) == PumpStopped(subject="urn:x:pump:1")
    assert (envelope.kind, envelope.version, envelope.subject) == ("test.pump-stopped", 1, "urn:x:pump:1")
    assert (envelope.actor_id, envelope.tenant) == (GAUGE.actor_id, "default")
    assert (envelope.cause, envelope.published_at) == ("urn:x:alarm:1", clock.now())


async def test_inside_a_handler_cause_and_trace_are_filled_in(connection: Connection) -> None:
    trace_id = "0af7651916cd43dd8448eb211c80319c"
    with caused_by("urn:haidang:event:7", trace_id):
        await publish(connection, GAUGE, PumpStopped(subject="urn:x:pump:1"))
    await publish(connection, GAUGE, PumpStopped(subject="urn:x:pump:1"))
    await settle(connection)
    inside, outside = await events_after(connection, 0, KINDS, 10)
    assert (inside.cause, inside.trace_id) == ("urn:haidang:event:7", trace_id)
    assert (outside.cause, outside.trace_id) == (None, None)


async def test_an_event_is_read_as_what_it_is_only(connection: Connection) -> None:
    class PumpCountedAnew(PumpCounted, frozen=True, kw_only=True):
        version = 2

    await publish(connection, GAUGE, PumpCountedAnew(subject="urn:x:pump:1", number=1))
    await settle(connection)
    (envelope,) = await events_after(connection, 0, KINDS, 10)
    with pytest.raises(EventOfAnotherKind):
        envelope.read(PumpStopped)
    with pytest.raises(EventFromTheFuture):
        envelope.read(PumpCounted)


async def test_what_is_rolled_back_was_never_published(pool: Pool) -> None:
    async with pool.acquire() as connection:
        undone = connection.transaction()
        await undone.start()
        await publish(connection, GAUGE, PumpStopped(subject="urn:x:pump:1"))
        await undone.rollback()
        async with connection.transaction():
            await publish(connection, GAUGE, PumpStopped(subject="urn:x:pump:2"))
        assert await assign_positions(connection) == 1
        (envelope,) = await events_after(connection, 0, KINDS, 10)
        assert (envelope.position, envelope.subject) == (1, "urn:x:pump:2")


async def test_positions_are_gapless_and_a_transaction_stays_together(pool: Pool) -> None:
    """Two transactions publish in turns; the one that commits last stands last, whole."""
    async with pool.acquire() as one, pool.acquire() as other:
        first, second = one.transaction(), other.transaction()
        await first.start()
        await second.start()
        for number in (1, 2, 3):
            await publish(one, GAUGE, PumpCounted(subject="urn:x:one", number=number))
            await publish(other, GAUGE, PumpCounted(subject="urn:x:other", number=number))
        await second.commit()
        await first.commit()
        await assign_positions(one)
        found = await events_after(one, 0, KINDS, 10)
    assert [envelope.position for envelope in found] == [1, 2, 3, 4, 5, 6]
    assert [envelope.subject for envelope in found] == ["urn:x:other"] * 3 + ["urn:x:one"] * 3
    assert [envelope.read(PumpCounted).number for envelope in found] == [1, 2, 3, 1, 2, 3]


async def test_who_saw_an_effect_stands_after_it_even_when_it_published_first(pool: Pool) -> None:
    """B publishes, then sees what A committed meanwhile: B is the later one, in one batch or two."""
    async with pool.acquire() as a, pool.acquire() as b:
        late = b.transaction()
        await late.start()
        await publish(b, GAUGE, PumpCounted(subject="urn:x:b", number=1))
        async with a.transaction():
            await publish(a, GAUGE, PumpCounted(subject="urn:x:a", number=1))
        assert await b.fetchval("SELECT count(*) FROM infra.event") == 2
        await late.commit()
        await assign_positions(a)
        found = await events_after(a, 0, KINDS, 10)
    assert [envelope.subject for envelope in found] == ["urn:x:a", "urn:x:b"]


async def test_one_commit_sends_one_notification(pool: Pool) -> None:
    rings: list[str] = []
    async with pool.acquire() as listening, pool.acquire() as writing:

        def ring(*_: object) -> None:
            rings.append("ring")

        await listening.add_listener("haidang_event_published", ring)
        async with writing.transaction():
            for number in range(5):
                await publish(writing, GAUGE, PumpCounted(subject="urn:x:pump:1", number=number))
        await asyncio.sleep(0.2)
        await listening.fetchval("SELECT 1")
        await listening.remove_listener("haidang_event_published", ring)
    assert rings == ["ring"]


async def test_the_sequencer_gives_positions_and_stops_when_told(pool: Pool) -> None:
    stop = asyncio.Event()
    sequencer = Sequencer(pool, poll_s=5)
    running = asyncio.create_task(sequencer.run(stop))
    async with transaction(pool) as connection:
        await publish(connection, GAUGE, PumpStopped(subject="urn:x:pump:1"))
    async with asyncio.timeout(4):
        while True:
            async with pool.acquire() as connection:
                if await head_position(connection) == 1:
                    assert (await log_state(connection)).pending == 0
                    break
            await asyncio.sleep(0.01)
    stop.set()
    await asyncio.wait_for(running, 2)
    assert not sequencer.leads
