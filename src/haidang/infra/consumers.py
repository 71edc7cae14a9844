"""Consumers of the event log: each with its own durable cursor, none in another's way.

A batch is handled in one transaction with the advance of the cursor, so what a handler does
to the database happens exactly once. What it does outside (a mail, a call) can happen again
after a crash: enqueue a job for it, or make it idempotent. See ADR 0016.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Literal, TypeAlias

from haidang.infra.database import TRANSIENT, Connection, DatabaseUnavailable, Pool, reading, transaction
from haidang.infra.events import (
    POSITIONED,
    Bell,
    Envelope,
    backoff_s,
    caused_by,
    envelope_of,
    head_position,
    stop_listening,
)
from haidang.infra.events import queries as log_queries
from haidang.infra.failures import a_retry_helps, reason_of
from haidang.infra.queries import load_queries
from haidang.infra.telemetry import logger
from haidang.kernel.actors import Actor, Audience, part
from haidang.kernel.errors import Conflict, Denied, NotFound
from haidang.kernel.events import Event
from haidang.kernel.instants import Clock, Instant

log = logger("infra")
queries = load_queries(Path(__file__).parent / "sql" / "consumers.sql")

Handler: TypeAlias = Callable[[Connection, Envelope], Awaitable[None]]

# A cursor with nothing of its kinds to do follows the head in steps, not at every event.
_IDLE_GAP = 1000

# How often the connection that only listens is asked whether it is still there.
_STILL_THERE_S = 15.0


class ConsumerUnknown(NotFound):
    """There is no consumer named {consumer}."""


class ConsumersShareAName(Conflict):
    """Two consumers are named {consumer}; their cursor would be one."""


class ConsumerNotHeld(Conflict):
    """Consumer {consumer} is not held; hold it first."""


class ConsumerAlreadyHeld(Conflict):
    """Consumer {consumer} is held already."""


class NothingToSkip(Conflict):
    """Consumer {consumer} stands before no event."""


class PositionUnknown(NotFound):
    """Position {position} is not in the log."""


class DeadEventUnknown(NotFound):
    """There is no skipped event number {dead_letter_id}."""


class EventsAreForAdministrators(Denied):
    """Only an administrator may hold, move or forget consumers, and skip, replay or discard events."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Consumer:
    """What listens to events: a stable name, the kinds it hears, and what it does with each.

    `handle` gets the connection of the batch's transaction. `starts` says where a consumer
    new to this database begins. A failure that trying again cannot mend is tried `attempts`
    times, then the consumer is held before that event until a person decides.
    """

    name: str
    listens_to: tuple[type[Event], ...]
    handle: Handler
    audience: Audience
    starts: Literal["beginning", "now"] = "beginning"
    attempts: int = 5
    batch: int = 100

    @property
    def kinds(self) -> list[str]:
        """The kinds it listens to, as the log names them."""
        return sorted({event.kind for event in self.listens_to})


@dataclass(frozen=True, slots=True)
class _Failure:
    """The n-th event of a batch failed."""

    index: int
    envelope: Envelope
    error: Exception


@dataclass(frozen=True, slots=True)
class _Step:
    """After one look: whether to look again at once, or how long to rest."""

    again: bool
    pause_s: float


_AGAIN = _Step(again=True, pause_s=0)
_TROUBLE: tuple[type[BaseException], ...] = (DatabaseUnavailable, *TRANSIENT)


class ConsumerRunner:
    """Runs consumers, one task each; several processes may run the same ones.

    The cursor's row is locked for the length of a batch, so a consumer is in one process at a
    time and moves to another the moment its process dies.
    """

    def __init__(
        self,
        pool: Pool,
        clock: Clock,
        consumers: Sequence[Consumer],
        *,
        poll_s: float = 1.0,
        first_retry_s: float = 0.5,
        longest_retry_s: float = 60.0,
        window: int = 10_000,
    ) -> None:
        names = [consumer.name for consumer in consumers]
        for name in names:
            if names.count(name) > 1:
                raise ConsumersShareAName(consumer=name)
        self._pool = pool
        self._clock = clock
        self._consumers = tuple(consumers)
        self._poll_s = poll_s
        self._first_retry_s = first_retry_s
        self._longest_retry_s = longest_retry_s
        # However rare its kinds are, a batch looks through so many positions at most.
        self._window = window
        self._bells: dict[str, Bell] = {}

    async def register(self) -> None:
        """Make the cursors of consumers that are new here."""
        async with transaction(self._pool) as connection:
            for consumer in self._consumers:
                await queries.register_consumer(
                    connection,
                    consumer=consumer.name,
                    listens_to=consumer.kinds,
                    from_the_beginning=consumer.starts == "beginning",
                )

    async def run(self, stop: asyncio.Event) -> None:
        """Consume until stopped; the batch in hand is finished up to its current event."""
        self._bells = {consumer.name: Bell(stop) for consumer in self._consumers}
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._listen(stop))
                for consumer in self._consumers:
                    tasks.create_task(self._follow(consumer, self._bells[consumer.name], stop))
        finally:
            for bell in self._bells.values():
                await bell.close()

    async def catch_up(self) -> None:
        """Handle what has a position now and return: for tests, drills and one-off commands."""
        await self.register()
        never = asyncio.Event()
        for consumer in self._consumers:
            while (await self._step(consumer, never)).again:
                pass

    async def _listen(self, stop: asyncio.Event) -> None:
        """Keep one listening connection; while it is away, polling goes on."""
        failures = 0
        bell = Bell(stop)
        try:
            while not stop.is_set():
                try:
                    async with self._pool.acquire() as connection:
                        lost = asyncio.Event()

                        def lose(*_: object, lost: asyncio.Event = lost) -> None:
                            lost.set()
                            bell.ring()

                        try:
                            connection.add_termination_listener(lose)
                            await connection.add_listener(POSITIONED, self._ring)
                            # Whatever came while nobody listened.
                            self._ring_those_of("")
                            failures = 0
                            while not stop.is_set() and not lost.is_set():
                                bell.quieten()
                                await bell.wait(_STILL_THERE_S)
                                # A peer that vanished without a word is found out by asking.
                                await connection.fetchval("SELECT 1")
                        finally:
                            await stop_listening(connection, POSITIONED, self._ring, lost=lose)
                except TRANSIENT as trouble:
                    failures += 1
                    log.warning("listening-stopped", reason=repr(trouble), failures=failures)
                    bell.quieten()
                    await bell.wait(backoff_s(failures, first_s=0.1, most_s=5))
        finally:
            await bell.close()

    def _ring(self, _connection: object, _pid: int, _channel: str, kinds: str) -> None:
        self._ring_those_of(kinds)

    def _ring_those_of(self, kinds: str) -> None:
        """Wake the consumers of these kinds, separated by spaces; all of them when none is named."""
        named = set(kinds.split())
        for consumer in self._consumers:
            if not named or named.intersection(consumer.kinds):
                self._bells[consumer.name].ring()

    async def _follow(self, consumer: Consumer, bell: Bell, stop: asyncio.Event) -> None:
        failures = 0
        registered = False
        while not stop.is_set():
            bell.quieten()
            try:
                if not registered:
                    await self.register()
                    registered = True
                step = await self._step(consumer, stop)
                failures = 0
            except _TROUBLE as trouble:
                failures += 1
                log.warning("consumer-waits-for-the-database", consumer=consumer.name, reason=repr(trouble))
                # Not woken by events: a database that is away must not be hammered.
                await _sleep(stop, backoff_s(failures, first_s=0.1, most_s=5))
                continue
            except Exception:
                # A bug of ours outside the handler must not take the other consumers down.
                failures += 1
                log.exception("consumer-runner-failed", consumer=consumer.name)
                await _sleep(stop, backoff_s(failures, first_s=1, most_s=60))
                continue
            if not step.again:
                await bell.wait(step.pause_s)

    async def _step(self, consumer: Consumer, stop: asyncio.Event) -> _Step:
        """Look whether there is work, without locking anything, and do one batch of it."""
        async with reading(self._pool) as connection:
            outlook = await queries.consumer_outlook(connection, consumer=consumer.name, idle_gap=_IDLE_GAP)
        if outlook is None:
            # Forgotten while we run: it starts anew.
            await self.register()
            return _AGAIN
        if outlook["replay_wanted"]:
            return await self._replay(consumer)
        if outlook["held"] or not outlook["waiting"]:
            return _Step(again=False, pause_s=self._poll_s)
        now = self._clock.now()
        if outlook["retry_at"] is not None and outlook["retry_at"] > now:
            return _Step(again=False, pause_s=min(self._poll_s, (outlook["retry_at"] - now).total_seconds()))
        return await self._batch(consumer, stop, consumer.batch)

    async def _batch(self, consumer: Consumer, stop: asyncio.Event, most: int) -> _Step:
        """Handle up to `most` events and advance the cursor, in one transaction."""
        now = self._clock.now()
        rest = _Step(again=False, pause_s=self._poll_s)
        async with transaction(self._pool) as connection:
            cursor = await queries.claim_consumer(connection, consumer=consumer.name)
            if cursor is None or cursor["held"] or (cursor["retry_at"] or now) > now:
                return rest
            # What failed before is tried alone: its neighbours need not be undone with it.
            most = 1 if cursor["attempts"] else most
            head = await head_position(connection)
            upto = min(head, cursor["position"] + self._window)
            rows = log_queries.events_between(
                connection, after=cursor["position"], upto=upto, kinds=consumer.kinds, most=most
            )
            envelopes = [envelope_of(row) async for row in rows]
            done, failure = await self._handle_batch(connection, consumer, envelopes, stop)
            if failure is None:
                whole = done == len(envelopes) < most
                last = envelopes[done - 1].position if done else cursor["position"]
                await queries.advance_consumer(
                    connection,
                    consumer=consumer.name,
                    position=upto if whole else last,
                    advanced_at=self._clock.now(),
                )
                return rest if stop.is_set() or (whole and upto == head) else _AGAIN
            if failure.index == 0:
                await self._record(connection, consumer, failure, cursor["attempts"] + 1)
                return _AGAIN
        # The events before the one that failed were undone with it: do those first, then it alone.
        return await self._batch(consumer, stop, failure.index)

    async def _handle_batch(
        self, connection: Connection, consumer: Consumer, envelopes: Sequence[Envelope], stop: asyncio.Event
    ) -> tuple[int, _Failure | None]:
        """Handle events in order inside a savepoint; a failure undoes them all and is returned."""
        done = 0
        try:
            async with connection.transaction():
                for envelope in envelopes:
                    if stop.is_set():
                        break
                    with caused_by(envelope.urn, envelope.trace_id):
                        await consumer.handle(connection, envelope)
                    done += 1
                # What the handlers left to the commit is checked here, where it can be laid at a door.
                await connection.execute("SET CONSTRAINTS ALL IMMEDIATE")
        except Exception as error:
            if connection.is_closed() or not envelopes:
                raise
            index = done if done < len(envelopes) else done // 2
            return 0, _Failure(index, envelopes[index], error)
        return done, None

    async def _record(
        self, connection: Connection, consumer: Consumer, failure: _Failure, attempts: int
    ) -> None:
        """Note the failure and when to try again; hold the consumer when trying again cannot help."""
        now = self._clock.now()
        reason = reason_of(failure.error)
        lasting = not a_retry_helps(failure.error)
        wait = timedelta(
            seconds=backoff_s(attempts, first_s=self._first_retry_s, most_s=self._longest_retry_s)
        )
        log.warning(
            "consumer-failed",
            consumer=consumer.name,
            position=failure.envelope.position,
            kind=failure.envelope.kind,
            attempts=attempts,
            reason=reason,
            exc_info=failure.error if lasting else None,
        )
        await queries.record_consumer_failure(
            connection,
            consumer=consumer.name,
            attempts=attempts,
            retry_at=now + wait,
            last_error=reason,
            failed_at=now,
        )
        if lasting and attempts >= consumer.attempts:
            await queries.hold_consumer(
                connection,
                consumer=consumer.name,
                held_at=now,
                held_by=part("consumers").actor_id,
                held_reason=f"{attempts} attempts at position {failure.envelope.position}: {reason}",
            )
            log.error("consumer-held", consumer=consumer.name, position=failure.envelope.position)

    async def _replay(self, consumer: Consumer) -> _Step:
        """Handle one skipped event after all; failing again, it stays a dead letter."""
        async with transaction(self._pool) as connection:
            if await queries.claim_consumer(connection, consumer=consumer.name) is None:
                return _Step(again=False, pause_s=self._poll_s)
            row = await queries.wanted_replay(connection, consumer=consumer.name)
            if row is None:
                return _AGAIN
            _, failure = await self._handle_batch(connection, consumer, [envelope_of(row)], asyncio.Event())
            if failure is None:
                await queries.discard_dead_event(
                    connection, dead_letter_id=row["dead_letter_id"], tenant=row["tenant"]
                )
            else:
                reason = reason_of(failure.error)
                log.warning("replay-failed", consumer=consumer.name, position=row["position"], reason=reason)
                await queries.replay_failed(
                    connection, dead_letter_id=row["dead_letter_id"], last_error=reason
                )
        return _AGAIN


async def _sleep(stop: asyncio.Event, seconds: float) -> None:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await stop.wait()


@dataclass(frozen=True, slots=True)
class ConsumerState:
    """One consumer as readiness, metrics and the command line see it.

    `lag` counts events it listens to after its cursor, up to `LAG_COUNTED`; `waiting_since`
    is when the oldest of them was published.
    """

    consumer: str
    listens_to: tuple[str, ...]
    position: int
    lag: int
    waiting_since: Instant | None
    advanced_at: Instant | None
    attempts: int
    retry_at: Instant | None
    last_error: str | None
    last_error_at: Instant | None
    held_at: Instant | None
    held_by: str | None
    held_reason: str | None
    dead_letters: int


LAG_COUNTED = 100_000


async def consumer_states(connection: Connection) -> list[ConsumerState]:
    """Every consumer this database knows, by name."""
    return [
        ConsumerState(
            consumer=row["consumer"],
            listens_to=tuple(row["listens_to"]),
            position=row["position"],
            lag=row["lag"],
            waiting_since=row["waiting_since"],
            advanced_at=row["advanced_at"],
            attempts=row["attempts"],
            retry_at=row["retry_at"],
            last_error=row["last_error"],
            last_error_at=row["last_error_at"],
            held_at=row["held_at"],
            held_by=row["held_by"],
            held_reason=row["held_reason"],
            dead_letters=row["dead_letters"],
        )
        async for row in queries.consumer_states(connection, most=LAG_COUNTED)
    ]


async def hold_consumer(
    actor: Actor, connection: Connection, consumer: str, *, reason: str, now: Instant
) -> None:
    """Stop a consumer before its next event; the others go on."""
    _require_administrator(actor)
    await _locked(connection, consumer)
    held = await queries.hold_consumer(
        connection, consumer=consumer, held_at=now, held_by=actor.actor_id, held_reason=reason
    )
    if held is None:
        raise ConsumerAlreadyHeld(consumer=consumer)
    log.info("consumer-held", consumer=consumer, by=actor.actor_id, reason=reason)


async def resume_consumer(actor: Actor, connection: Connection, consumer: str) -> None:
    """Let a held or waiting consumer try again now, at the event where it stands."""
    _require_administrator(actor)
    await _locked(connection, consumer)
    if await queries.resume_consumer(connection, consumer=consumer) is None:
        raise ConsumerNotHeld(consumer=consumer)
    await queries.wake_consumers(connection)
    log.info("consumer-resumed", consumer=consumer, by=actor.actor_id)


async def skip_event(actor: Actor, connection: Connection, consumer: str, *, why: str, now: Instant) -> int:
    """Pass a held consumer over the event it stands before and let it go on.

    The event becomes a dead letter, whole, with who skipped it and why; returns its position.
    """
    _require_administrator(actor)
    cursor = await _locked(connection, consumer)
    if not cursor.held:
        raise ConsumerNotHeld(consumer=consumer)
    position: int | None = await queries.next_position_of_consumer(connection, consumer=consumer)
    if position is None:
        raise NothingToSkip(consumer=consumer)
    await queries.keep_dead_letter(
        connection,
        consumer=consumer,
        position=position,
        skipped_at=now,
        skipped_by=actor.actor_id,
        why=why,
    )
    await queries.advance_consumer(connection, consumer=consumer, position=position, advanced_at=now)
    await queries.resume_consumer(connection, consumer=consumer)
    await queries.wake_consumers(connection)
    log.info("event-skipped", consumer=consumer, position=position, by=actor.actor_id, why=why)
    return position


async def rewind_consumer(actor: Actor, connection: Connection, consumer: str, *, position: int) -> None:
    """Move a held consumer's cursor, so that it handles again everything after `position`.

    Its effects on the database happen again too: only for handlers whose work can be redone.
    """
    _require_administrator(actor)
    if not (await _locked(connection, consumer)).held:
        raise ConsumerNotHeld(consumer=consumer)
    if await queries.rewind_consumer(connection, consumer=consumer, position=position) is None:
        raise PositionUnknown(position=position)
    log.info("consumer-rewound", consumer=consumer, position=position, by=actor.actor_id)


async def forget_consumer(actor: Actor, connection: Connection, consumer: str) -> None:
    """Delete the cursor of a consumer that no program runs any more, so that pruning goes on."""
    _require_administrator(actor)
    if await queries.forget_consumer(connection, consumer=consumer) is None:
        raise ConsumerUnknown(consumer=consumer)
    log.info("consumer-forgotten", consumer=consumer, by=actor.actor_id)


@dataclass(frozen=True, slots=True)
class DeadEvent:
    """An event that a consumer was passed over: the event, the last failure, who and why."""

    dead_letter_id: int
    consumer: str
    envelope: Envelope
    attempts: int
    last_error: str | None
    skipped_at: Instant
    skipped_by: str
    why: str
    replay_wanted_at: Instant | None


async def dead_events(actor: Actor, connection: Connection, *, most: int = 1000) -> list[DeadEvent]:
    """Events that consumers were passed over, newest first, of the actor's tenant."""
    return [
        DeadEvent(
            dead_letter_id=row["dead_letter_id"],
            consumer=row["consumer"],
            envelope=envelope_of(row),
            attempts=row["attempts"],
            last_error=row["last_error"],
            skipped_at=row["skipped_at"],
            skipped_by=row["skipped_by"],
            why=row["why"],
            replay_wanted_at=row["replay_wanted_at"],
        )
        async for row in queries.dead_events(connection, tenant=actor.tenant, most=most)
    ]


async def replay_event(actor: Actor, connection: Connection, dead_letter_id: int, *, now: Instant) -> str:
    """Have the consumer handle a skipped event after all, out of order; returns its name.

    It happens in the worker, in a transaction of its own; failing again, it stays a dead letter.
    """
    _require_administrator(actor)
    consumer: str | None = await queries.want_replay(
        connection,
        dead_letter_id=dead_letter_id,
        tenant=actor.tenant,
        wanted_at=now,
        wanted_by=actor.actor_id,
    )
    if consumer is None:
        raise DeadEventUnknown(dead_letter_id=dead_letter_id)
    await queries.wake_consumers(connection)
    log.info("event-replay-wanted", consumer=consumer, dead_letter_id=dead_letter_id, by=actor.actor_id)
    return consumer


async def discard_event(actor: Actor, connection: Connection, dead_letter_id: int) -> None:
    """Delete a skipped event for good."""
    _require_administrator(actor)
    consumer = await queries.discard_dead_event(
        connection, dead_letter_id=dead_letter_id, tenant=actor.tenant
    )
    if consumer is None:
        raise DeadEventUnknown(dead_letter_id=dead_letter_id)
    log.info("dead-event-discarded", consumer=consumer, dead_letter_id=dead_letter_id, by=actor.actor_id)


def _require_administrator(actor: Actor) -> None:
    if not actor.belongs_to(Audience.ADMINISTRATOR):
        raise EventsAreForAdministrators


@dataclass(frozen=True, slots=True)
class _Cursor:
    position: int
    held: bool


async def _locked(connection: Connection, consumer: str) -> _Cursor:
    row = await queries.lock_consumer(connection, consumer=consumer)
    if row is None:
        raise ConsumerUnknown(consumer=consumer)
    return _Cursor(position=row["position"], held=row["held"])
