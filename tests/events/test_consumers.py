"""Consumers: each with its own cursor; trouble of one is seen, kept and nobody else's."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest

from haidang.infra.consumers import (
    Consumer,
    ConsumerAlreadyHeld,
    ConsumerNotHeld,
    ConsumerRunner,
    ConsumersShareAName,
    ConsumerState,
    ConsumerUnknown,
    DeadEventUnknown,
    EventsAreForAdministrators,
    NothingToSkip,
    PositionUnknown,
    _Step,
    consumer_states,
    dead_events,
    discard_event,
    forget_consumer,
    hold_consumer,
    replay_event,
    resume_consumer,
    rewind_consumer,
    skip_event,
)
from haidang.infra.database import Connection, DatabaseUnavailable, Pool, transaction
from haidang.infra.events import Envelope, Sequencer, assign_positions, events_after, prune_log, publish
from haidang.infra.events import queries as log_queries
from haidang.kernel.actors import Actor, Audience, anonymous, machine, part
from haidang.kernel.errors import Invalid
from haidang.kernel.instants import SetClock, SystemClock
from tests.events.facts import PumpCounted, PumpStopped
from tests.events.helpers import holds, running, tell, until

OFFICER = part("officer")
NOW = SystemClock().now()
OTHER_PROVINCE = part("officer", tenant="elsewhere")


class PumpUnheardOf(Invalid):
    """Pump {number} is not on the list."""


def pump(number: int) -> PumpCounted:
    return PumpCounted(subject="urn:x:pump", number=number)


class Notebook:
    """A handler that notes what it handled in the database, and fails where it is told to."""

    def __init__(self, name: str = "test.notebook") -> None:
        self.name = name
        self.calls: list[int] = []
        self.trouble: dict[int, Exception] = {}

    async def handle(self, connection: Connection, envelope: Envelope) -> None:
        """Note it, then fail if this one is to fail."""
        self.calls.append(envelope.position)
        await connection.execute(
            "INSERT INTO public.noted (consumer, position) VALUES ($1, $2)", self.name, envelope.position
        )
        if envelope.position in self.trouble:
            raise self.trouble[envelope.position]

    def consumer(self, *, attempts: int = 3, batch: int = 100) -> Consumer:
        """The notebook as a consumer of counted pumps."""
        return Consumer(
            name=self.name,
            listens_to=(PumpCounted,),
            handle=self.handle,
            audience=Audience.MACHINE,
            attempts=attempts,
            batch=batch,
        )


async def noted(pool: Pool, consumer: str = "test.notebook") -> list[int]:
    rows = await pool.fetch("SELECT position FROM public.noted WHERE consumer = $1 ORDER BY place", consumer)
    return [row["position"] for row in rows]


async def state(pool: Pool, consumer: str = "test.notebook") -> ConsumerState:
    async with pool.acquire() as connection:
        return next(one for one in await consumer_states(connection) if one.consumer == consumer)


@pytest.fixture
async def notes(pool: Pool) -> Pool:
    """A database with a table to note in."""
    await pool.execute("CREATE TABLE public.noted (place bigserial, consumer text, position bigint)")
    return pool


async def told(pool: Pool, *numbers: int) -> None:
    """Events with positions, in transactions of their own."""
    for number in numbers:
        await tell(pool, pump(number))
    async with pool.acquire() as connection:
        await assign_positions(connection)


async def test_each_consumer_hears_its_kinds_in_order(notes: Pool, clock: SetClock) -> None:
    await tell(notes, pump(1), PumpStopped(subject="urn:x:pump"), pump(2))
    async with notes.acquire() as connection:
        await assign_positions(connection)
    counted, stopped = Notebook("test.counted"), Notebook("test.stopped")
    both = [
        counted.consumer(),
        Consumer(
            name="test.stopped", listens_to=(PumpStopped,), handle=stopped.handle, audience=Audience.MACHINE
        ),
    ]
    await ConsumerRunner(notes, clock, both).catch_up()
    assert await noted(notes, "test.counted") == [1, 3]
    assert await noted(notes, "test.stopped") == [2]
    assert (await state(notes, "test.counted")).lag == 0


async def test_a_new_consumer_starts_at_the_beginning_or_now(notes: Pool, clock: SetClock) -> None:
    await told(notes, 1, 2)
    late = Notebook("test.late")
    now = Consumer(
        name="test.late",
        listens_to=(PumpCounted,),
        handle=late.handle,
        audience=Audience.MACHINE,
        starts="now",
    )
    runner = ConsumerRunner(notes, clock, [now, Notebook().consumer()])
    await runner.catch_up()
    await told(notes, 3)
    await runner.catch_up()
    assert await noted(notes) == [1, 2, 3]
    assert await noted(notes, "test.late") == [3]


async def test_what_a_handler_publishes_names_its_event_as_the_cause(pool: Pool, clock: SetClock) -> None:
    async def stop_pump(connection: Connection, _: Envelope) -> None:
        await publish(connection, OFFICER, PumpStopped(subject="urn:x:pump"))

    await told(pool, 1)
    consumer = Consumer(
        name="test.stopping", listens_to=(PumpCounted,), handle=stop_pump, audience=Audience.MACHINE
    )
    await ConsumerRunner(pool, clock, [consumer]).catch_up()
    async with pool.acquire() as connection:
        await assign_positions(connection)
        (stopped,) = await events_after(connection, 0, [PumpStopped.kind], 10)
    assert stopped.cause == "urn:haidang:event:1"


async def test_one_that_always_fails_is_held_and_the_others_finish(notes: Pool, clock: SetClock) -> None:
    """Nothing is lost: what it did before stays, what comes after waits for it."""
    await told(notes, *range(1, 11))
    failing, fine = Notebook("test.failing"), Notebook("test.fine")
    failing.trouble[4] = PumpUnheardOf(number=4)
    runner = ConsumerRunner(notes, clock, [failing.consumer(), fine.consumer()])
    for _ in range(5):
        await runner.catch_up()
        clock.advance(timedelta(minutes=5))
    assert await noted(notes, "test.fine") == list(range(1, 11))
    assert await noted(notes, "test.failing") == [1, 2, 3]
    held = await state(notes, "test.failing")
    assert (held.position, held.attempts, held.lag) == (3, 3, 7)
    assert held.held_at is not None
    assert held.held_by == "urn:haidang:part:consumers"
    assert held.held_reason == "3 attempts at position 4: pump-unheard-of: Pump 4 is not on the list."
    assert held.last_error == "pump-unheard-of: Pump 4 is not on the list."


async def test_a_held_consumer_goes_on_where_it_stands_when_resumed(notes: Pool, clock: SetClock) -> None:
    await told(notes, 1, 2, 3)
    notebook = Notebook()
    notebook.trouble[2] = ZeroDivisionError("a bug")
    runner = ConsumerRunner(notes, clock, [notebook.consumer(attempts=1)])
    await runner.catch_up()
    assert (await state(notes)).held_reason == "1 attempts at position 2: ZeroDivisionError: a bug"
    notebook.trouble.clear()
    await runner.catch_up()
    assert await noted(notes) == [1]
    async with transaction(notes) as connection:
        await resume_consumer(OFFICER, connection, "test.notebook")
    await runner.catch_up()
    assert await noted(notes) == [1, 2, 3]
    assert (await state(notes)).attempts == 0


async def test_trouble_of_the_world_is_tried_again_for_ever_but_ever_less_often(
    notes: Pool, clock: SetClock
) -> None:
    await told(notes, 1, 2)
    notebook = Notebook()
    notebook.trouble[2] = DatabaseUnavailable()
    runner = ConsumerRunner(notes, clock, [notebook.consumer(attempts=2)], longest_retry_s=60)
    await runner.catch_up()
    waits = []
    for _ in range(30):
        waiting = await state(notes)
        assert waiting.retry_at is not None
        waits.append((waiting.retry_at - clock.now()).total_seconds())
        await runner.catch_up()
        clock.advance(timedelta(seconds=61))
        await runner.catch_up()
    assert waiting.attempts == 30
    assert waiting.held_at is None
    assert 0 <= waits[0] <= 0.5
    assert max(waits) <= 60
    assert len(set(waits)) > 20, "jitter"
    assert notebook.calls.count(2) == 32, "once with its batch, then once per attempt"
    notebook.trouble.clear()
    clock.advance(timedelta(seconds=61))
    await runner.catch_up()
    assert await noted(notes) == [1, 2]


async def test_the_effects_of_a_failed_batch_are_undone_and_done_once(notes: Pool, clock: SetClock) -> None:
    await told(notes, *range(1, 8))
    notebook = Notebook()
    notebook.trouble[5] = PumpUnheardOf(number=5)
    runner = ConsumerRunner(notes, clock, [notebook.consumer()])
    await runner.catch_up()
    assert notebook.calls == [1, 2, 3, 4, 5, 1, 2, 3, 4, 5]
    assert await noted(notes) == [1, 2, 3, 4]


async def test_what_only_the_commit_would_refuse_is_laid_at_the_right_door(
    notes: Pool, clock: SetClock
) -> None:
    await notes.execute(
        "ALTER TABLE public.noted ADD CONSTRAINT once UNIQUE (position) DEFERRABLE INITIALLY DEFERRED;"
        "INSERT INTO public.noted (consumer, position) VALUES ('somebody', 6)"
    )
    await told(notes, *range(1, 11))
    runner = ConsumerRunner(notes, clock, [Notebook().consumer(attempts=1)])
    await runner.catch_up()
    held = await state(notes)
    assert await noted(notes) == [1, 2, 3, 4, 5]
    assert held.position == 5
    assert held.held_reason is not None
    assert "position 6" in held.held_reason


async def test_a_skipped_event_is_kept_with_who_and_why_and_can_be_replayed(
    notes: Pool, clock: SetClock
) -> None:
    await told(notes, 1, 2, 3)
    notebook = Notebook()
    notebook.trouble[2] = PumpUnheardOf(number=2)
    runner = ConsumerRunner(notes, clock, [notebook.consumer(attempts=1)])
    await runner.catch_up()
    async with transaction(notes) as connection:
        assert await skip_event(OFFICER, connection, "test.notebook", why="Duplicate.", now=clock.now()) == 2
    await runner.catch_up()
    assert await noted(notes) == [1, 3]
    async with notes.acquire() as connection:
        assert await dead_events(OTHER_PROVINCE, connection) == []
        (dead,) = await dead_events(OFFICER, connection)
    assert (dead.consumer, dead.envelope.position, dead.why) == ("test.notebook", 2, "Duplicate.")
    assert (dead.skipped_by, dead.skipped_at) == (OFFICER.actor_id, clock.now())
    assert dead.last_error == "pump-unheard-of: Pump 2 is not on the list."
    assert dead.envelope.read(PumpCounted).number == 2
    assert (await state(notes)).dead_letters == 1

    async with transaction(notes) as connection:
        with pytest.raises(DeadEventUnknown):
            await replay_event(OTHER_PROVINCE, connection, dead.dead_letter_id, now=clock.now())
        await replay_event(OFFICER, connection, dead.dead_letter_id, now=clock.now())
    await runner.catch_up()
    async with notes.acquire() as connection:
        (again,) = await dead_events(OFFICER, connection)
    assert (again.attempts, again.replay_wanted_at) == (2, None), "failed again: it stays"

    notebook.trouble.clear()
    async with transaction(notes) as connection:
        await replay_event(OFFICER, connection, dead.dead_letter_id, now=clock.now())
    await runner.catch_up()
    assert await noted(notes) == [1, 3, 2]
    async with notes.acquire() as connection:
        assert await dead_events(OFFICER, connection) == []


async def test_a_skipped_event_can_be_discarded_by_its_own_tenant(notes: Pool, clock: SetClock) -> None:
    await told(notes, 1)
    runner = ConsumerRunner(notes, clock, [Notebook().consumer()])
    async with transaction(notes) as connection:
        await runner.register()
        await hold_consumer(OFFICER, connection, "test.notebook", reason="Maintenance.", now=clock.now())
        await skip_event(OFFICER, connection, "test.notebook", why="Test.", now=clock.now())
        (dead,) = await dead_events(OFFICER, connection)
        with pytest.raises(DeadEventUnknown):
            await discard_event(OTHER_PROVINCE, connection, dead.dead_letter_id)
        await discard_event(OFFICER, connection, dead.dead_letter_id)
        assert await dead_events(OFFICER, connection) == []


async def test_holding_stops_a_consumer_and_rewinding_repeats(notes: Pool, clock: SetClock) -> None:
    await told(notes, 1, 2, 3)
    runner = ConsumerRunner(notes, clock, [Notebook().consumer()])
    await runner.catch_up()
    async with transaction(notes) as connection:
        with pytest.raises(ConsumerNotHeld):
            await rewind_consumer(OFFICER, connection, "test.notebook", position=1)
        with pytest.raises(ConsumerNotHeld):
            await skip_event(OFFICER, connection, "test.notebook", why="No.", now=clock.now())
        await hold_consumer(OFFICER, connection, "test.notebook", reason="Maintenance.", now=clock.now())
        with pytest.raises(ConsumerAlreadyHeld):
            await hold_consumer(OFFICER, connection, "test.notebook", reason="Twice.", now=clock.now())
        with pytest.raises(NothingToSkip):
            await skip_event(OFFICER, connection, "test.notebook", why="No.", now=clock.now())
        with pytest.raises(PositionUnknown):
            await rewind_consumer(OFFICER, connection, "test.notebook", position=4)
        await rewind_consumer(OFFICER, connection, "test.notebook", position=1)
    await runner.catch_up()
    assert await noted(notes) == [1, 2, 3]
    async with transaction(notes) as connection:
        await resume_consumer(OFFICER, connection, "test.notebook")
        with pytest.raises(ConsumerNotHeld):
            await resume_consumer(OFFICER, connection, "test.notebook")
    await runner.catch_up()
    assert await noted(notes) == [1, 2, 3, 2, 3]


async def test_verbs_refuse_a_consumer_nobody_knows(connection: Connection, clock: SetClock) -> None:
    verbs: list[Callable[[], Awaitable[object]]] = [
        lambda: hold_consumer(OFFICER, connection, "nobody", reason="x", now=clock.now()),
        lambda: resume_consumer(OFFICER, connection, "nobody"),
        lambda: skip_event(OFFICER, connection, "nobody", why="x", now=clock.now()),
        lambda: rewind_consumer(OFFICER, connection, "nobody", position=0),
        lambda: forget_consumer(OFFICER, connection, "nobody"),
    ]
    for verb in verbs:
        with pytest.raises(ConsumerUnknown):
            await verb()


@pytest.mark.parametrize(
    "act",
    [
        lambda actor, connection: hold_consumer(actor, connection, "x", reason="x", now=NOW),
        lambda actor, connection: resume_consumer(actor, connection, "x"),
        lambda actor, connection: skip_event(actor, connection, "x", why="x", now=NOW),
        lambda actor, connection: rewind_consumer(actor, connection, "x", position=0),
        lambda actor, connection: forget_consumer(actor, connection, "x"),
        lambda actor, connection: replay_event(actor, connection, 1, now=NOW),
        lambda actor, connection: discard_event(actor, connection, 1),
    ],
)
async def test_only_an_administrator_acts_on_consumers_and_events(
    connection: Connection, act: Callable[[Actor, Connection], Awaitable[object]]
) -> None:
    for actor in (anonymous(), machine("gateway")):
        with pytest.raises(EventsAreForAdministrators):
            await act(actor, connection)


async def test_two_consumers_of_one_name_are_refused(pool: Pool, clock: SetClock) -> None:
    with pytest.raises(ConsumersShareAName):
        ConsumerRunner(pool, clock, [Notebook().consumer(), Notebook().consumer()])


async def test_stopping_finishes_the_event_in_hand_and_keeps_what_is_done(notes: Pool) -> None:
    await told(notes, *range(1, 6))
    reached = asyncio.Event()
    notebook = Notebook()

    async def slowly(connection: Connection, envelope: Envelope) -> None:
        await notebook.handle(connection, envelope)
        if envelope.position == 2:
            reached.set()
            await asyncio.sleep(0.2)

    consumer = Consumer(
        name="test.notebook", listens_to=(PumpCounted,), handle=slowly, audience=Audience.MACHINE
    )
    async with running(ConsumerRunner(notes, SystemClock(), [consumer])) as stop:
        await reached.wait()
        stop.set()
    assert await noted(notes) == [1, 2]
    await ConsumerRunner(notes, SystemClock(), [consumer]).catch_up()
    assert await noted(notes) == [1, 2, 3, 4, 5]


async def test_events_are_handled_within_a_moment_of_their_commit(notes: Pool) -> None:
    """By notification: polling is set to a minute."""
    runner = ConsumerRunner(notes, SystemClock(), [Notebook().consumer()], poll_s=60)
    async with running(Sequencer(notes, poll_s=60), runner):
        for number in range(1, 6):
            await tell(notes, pump(number))
            await until(
                lambda number=number: holds(  # type: ignore[misc]
                    notes, "SELECT count(*) = $1 FROM public.noted", number
                ),
                within_s=5,
            )


async def test_a_cursor_with_nothing_to_hear_follows_the_head_in_steps(notes: Pool, clock: SetClock) -> None:
    runner = ConsumerRunner(notes, clock, [Notebook().consumer()])
    await runner.catch_up()
    stops = [PumpStopped(subject="urn:x:pump") for _ in range(999)]
    await tell(notes, *stops)
    async with notes.acquire() as connection:
        await assign_positions(connection)
    await runner.catch_up()
    assert (await state(notes)).position == 0
    await tell(notes, *stops)
    async with notes.acquire() as connection:
        await assign_positions(connection)
    await runner.catch_up()
    assert (await state(notes)).position == 1998


async def test_rare_events_are_found_however_far_apart(notes: Pool, clock: SetClock) -> None:
    other = PumpStopped(subject="urn:x:pump")
    await tell(notes, pump(1), *[other] * 7, pump(9), pump(10), *[other] * 5, pump(16))
    async with notes.acquire() as connection:
        await assign_positions(connection)
    await ConsumerRunner(notes, clock, [Notebook().consumer(batch=2)], window=3).catch_up()
    assert await noted(notes) == [1, 9, 10, 16]
    assert (await state(notes)).position == 16


async def test_pruning_deletes_what_is_old_and_passed_by_everybody(notes: Pool, clock: SetClock) -> None:
    async with transaction(notes) as connection:
        for number in range(1, 7):
            await publish(connection, OFFICER, pump(number), at=clock.now())
            clock.advance(timedelta(days=1))
    async with notes.acquire() as connection:
        await assign_positions(connection)
    fine, slow = Notebook("test.fine"), Notebook("test.slow")
    slow.trouble[4] = PumpUnheardOf(number=4)
    runner = ConsumerRunner(notes, clock, [fine.consumer(), slow.consumer(attempts=1)])
    await runner.catch_up()

    async def kept() -> list[int]:
        async with notes.acquire() as connection:
            return [
                envelope.position for envelope in await events_after(connection, 0, [PumpCounted.kind], 9)
            ]

    assert await prune_log(notes, now=clock.now(), keep=timedelta(days=5), chunk=2) == 1
    assert await kept() == [2, 3, 4, 5, 6]
    assert await prune_log(notes, now=clock.now(), keep=timedelta(days=1), chunk=2) == 2
    assert await kept() == [4, 5, 6], "the held one has not passed the fourth"
    async with transaction(notes) as connection:
        await forget_consumer(OFFICER, connection, "test.slow")
    assert await prune_log(notes, now=clock.now(), keep=timedelta(0), chunk=2) == 3
    await told(notes, 7)
    assert await kept() == [7], "positions go on"


async def test_only_consumers_of_the_kinds_that_came_are_woken(notes: Pool) -> None:
    """The others look once in a while; with many consumers their looks would be most of the work."""
    looks: list[str] = []

    class Watched(ConsumerRunner):
        async def _step(self, consumer: Consumer, stop: asyncio.Event) -> _Step:
            looks.append(consumer.name)
            return await super()._step(consumer, stop)

    counted, stopped = Notebook("test.counted"), Notebook("test.stopped")
    hears_stops = Consumer(
        name="test.stopped", listens_to=(PumpStopped,), handle=stopped.handle, audience=Audience.MACHINE
    )
    runner = Watched(notes, SystemClock(), [counted.consumer(), hears_stops], poll_s=60)
    async with running(Sequencer(notes), runner):
        await until(lambda: holds(notes, "SELECT count(*) = 2 FROM infra.event_consumer"))
        await asyncio.sleep(0.5)
        looks.clear()
        for number in range(1, 4):
            await tell(notes, pump(number))
            await until(
                lambda number=number: holds(  # type: ignore[misc]
                    notes, "SELECT count(*) = $1 FROM public.noted", number
                )
            )
    assert "test.counted" in looks
    assert "test.stopped" not in looks


async def test_a_log_without_statistics_is_not_read_whole(connection: Connection) -> None:
    """A log that has just grown (a restore, a first day) has no statistics yet."""
    await connection.execute(
        "WITH told AS (INSERT INTO infra.event"
        " (tenant, kind, version, subject, actor_id, published_at, payload)"
        " SELECT 'default', 'test.pump-counted', 1, 'urn:x:pump', 'urn:x:gauge', now(), '{}'"
        " FROM generate_series(1, 20000) RETURNING event_no, kind)"
        " INSERT INTO infra.event_position SELECT row_number() OVER (), event_no, kind FROM told"
    )
    (plan,) = await connection.fetchval(
        f"EXPLAIN (ANALYZE, FORMAT JSON) {log_queries.events_between.sql}",
        0,
        20000,
        [PumpCounted.kind],
        100,
    )
    envelopes = [node for node in nodes(plan["Plan"]) if node.get("Relation Name") == "event"]
    assert sum(node["Actual Rows"] * node["Actual Loops"] for node in envelopes) == 100


def nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for below in plan.get("Plans", []):
        yield from nodes(below)
