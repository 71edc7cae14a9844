"""The event log: facts told in the transaction that made them true, in one order for everybody.

`publish` writes an envelope in the caller's transaction. While that transaction commits, a
deferred trigger takes a *ticket* for each envelope, after everything the transaction read
and wrote. After the commit one sequencer gives the waiting envelopes their *position*, in
ticket order, gapless. Two promises follow (ADR 0015):

- nothing is skipped: a position exists only for committed events, and those below it exist already;
- causes stand before effects: who saw a transaction's effects stands at a later position.
"""

import asyncio
import contextlib
import random
from collections.abc import Callable, Iterator, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from haidang.infra.database import SERVER_TROUBLE, TRANSIENT, Connection, Pool, Row, is_transient, transaction
from haidang.infra.queries import load_queries
from haidang.infra.telemetry import current_trace_id, logger, new_trace, trace
from haidang.kernel.actors import Actor
from haidang.kernel.errors import Invalid, Unavailable
from haidang.kernel.events import Event
from haidang.kernel.instants import Instant

E = TypeVar("E", bound=Event)

PUBLISHED = "haidang_event_published"
POSITIONED = "haidang_event_positioned"

# Two-part advisory keys: the room of the house ("haid") and the lock within it.
LOCK_ROOM = 0x6861_6964
SEQUENCER_LOCK = 1
AWAKE_LOCK = 2
COMMITTING_LOCK = 3

_NO_END = 2**63 - 1

log = logger("infra")
queries = load_queries(Path(__file__).parent / "sql" / "events.sql")

_cause: ContextVar[str | None] = ContextVar("cause", default=None)


class EventOfAnotherKind(Invalid):
    """Event {position} is a {kind}, not a {wanted}."""


class EventFromTheFuture(Unavailable):
    """Event {position} ({kind}) has version {version}, newer than this program reads; upgrade first."""


@dataclass(frozen=True, slots=True)
class Envelope:
    """An event as consumers get it: its place in the log, who and what it is about, and the fact.

    `position` is gapless and grows in commit order; `cause` is the URN of what led to it;
    `payload` is the event as JSON.
    """

    position: int
    kind: str
    version: int
    tenant: str
    subject: str
    actor_id: str
    cause: str | None
    trace_id: str | None
    published_at: Instant
    payload: bytes

    @property
    def urn(self) -> str:
        """How other records name this event, `cause` among them."""
        return f"urn:haidang:event:{self.position}"

    def read(self, of: type[E]) -> E:
        """The fact itself; older versions are read with the defaults of the fields they lack."""
        if self.kind != of.kind:
            raise EventOfAnotherKind(position=self.position, kind=self.kind, wanted=of.kind)
        if self.version > of.version:
            raise EventFromTheFuture(position=self.position, kind=self.kind, version=self.version)
        fact: E = _decoder(of).decode(self.payload)
        return fact


@cache
def _decoder(of: type[Event]) -> msgspec.json.Decoder[Any]:
    return msgspec.json.Decoder(of)


_encoder = msgspec.json.Encoder()


async def publish(
    connection: Connection, actor: Actor, *events: Event, cause: str | None = None, at: Instant | None = None
) -> None:
    """Tell facts in the transaction that made them true; consumers hear of them after its commit.

    `cause` is the URN of what led here; inside a consumer or a job it is filled in. `at` is
    the moment of publishing where the clock is set; the database's own time otherwise.
    Nothing is published outside a transaction that commits.
    """
    if not events:
        return
    await queries.insert_events(
        connection,
        tenant=actor.tenant,
        kinds=[event.kind for event in events],
        versions=[event.version for event in events],
        subjects=[event.subject for event in events],
        actor_id=actor.actor_id,
        cause=cause if cause is not None else _cause.get(),
        trace_id=current_trace_id(),
        published_at=at,
        payloads=[_encoder.encode(event).decode() for event in events],
    )


def current_cause() -> str | None:
    """The URN of the event or job that is being handled, if any."""
    return _cause.get()


@contextlib.contextmanager
def caused_by(urn: str | None, trace_id: str | None) -> Iterator[None]:
    """Whatever is published or enqueued inside names `urn` as its cause and stays in the trace."""
    token = _cause.set(urn)
    try:
        if trace_id is None:
            yield
        else:
            with trace("follow", parent=new_trace(trace_id)):
                yield
    finally:
        _cause.reset(token)


def envelope_of(row: Row) -> Envelope:
    """A row of the log as an envelope."""
    return Envelope(
        position=row["position"],
        kind=row["kind"],
        version=row["version"],
        tenant=row["tenant"],
        subject=row["subject"],
        actor_id=row["actor_id"],
        cause=row["cause"],
        trace_id=row["trace_id"],
        published_at=row["published_at"],
        payload=row["payload"].encode(),
    )


async def events_after(
    connection: Connection, position: int, kinds: Sequence[str], limit: int
) -> list[Envelope]:
    """The next events of these kinds after a position, in order, at most `limit`."""
    rows = queries.events_between(connection, after=position, upto=_NO_END, kinds=list(kinds), most=limit)
    return [envelope_of(row) async for row in rows]


async def head_position(connection: Connection) -> int:
    """The position of the newest event that has one; 0 when there is none."""
    position: int = await queries.head_position(connection)
    return position


async def assign_positions(connection: Connection) -> int:
    """Give the committed events without a position the next ones; how many. The sequencer's one step."""
    given: int = await queries.assign_positions(connection)
    return given


async def settle(connection: Connection) -> int:
    """Give positions to what this very transaction has published, before it commits.

    For tests that roll back and for drills; elsewhere positions come after the commit.
    """
    await connection.execute("SET CONSTRAINTS infra.event_takes_a_ticket_at_commit IMMEDIATE")
    return await assign_positions(connection)


class Bell:
    """Wakes one sleeper: when it is rung, when the house stops, or when patience ends."""

    def __init__(self, stop: asyncio.Event) -> None:
        self._rung = asyncio.Event()
        self._stop = stop
        self._watch = asyncio.create_task(stop.wait())
        self._watch.add_done_callback(self.ring)

    def ring(self, *_: object) -> None:
        """Wake the sleeper, or let it not fall asleep."""
        self._rung.set()

    def quieten(self) -> None:
        """Forget earlier rings: call it before looking for work, so that a later ring counts."""
        if not self._stop.is_set():
            self._rung.clear()

    async def wait(self, at_most_s: float) -> None:
        """Sleep until rung, at most so long."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(at_most_s):
                await self._rung.wait()

    async def close(self) -> None:
        """Stop watching the house."""
        self._watch.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._watch


async def stop_listening(
    connection: Connection, channel: str, heard: Callable[..., None], *, lost: Callable[..., None]
) -> None:
    """Take the callbacks from a connection before it goes back to the pool, alive or dead."""
    # A connection of the pool that is gone altogether has none left, and says so by raising.
    with contextlib.suppress(*TRANSIENT):
        connection.remove_termination_listener(lost)
        if connection.is_closed():
            # One that broke in the middle of a query keeps them until it is told that it is dead.
            connection.terminate()
        else:
            await connection.remove_listener(channel, heard)


def backoff_s(attempt: int, *, first_s: float, most_s: float) -> float:
    """How long to wait after the n-th failure in a row: exponential, with full jitter."""
    # Not a secret: jitter only spreads the callers.
    return random.uniform(0, min(most_s, first_s * 2 ** min(attempt - 1, 30)))  # noqa: S311


class Sequencer:
    """Gives positions after the commit. Every worker runs one; the database elects which one leads.

    The lead is a session lock on the very connection that gives the positions: whoever loses
    the connection has lost the lead, and nobody can give positions without it.

    While events come it is *awake* and looks every few milliseconds; publishers see its lock
    and spare themselves the notification, for which all commits would wait in one line. After
    `sleepy_s` without events it sleeps, and the next publisher wakes it.
    """

    def __init__(
        self,
        pool: Pool,
        *,
        poll_s: float = 1.0,
        election_s: float = 0.5,
        look_every_s: float = 0.005,
        sleepy_s: float = 0.1,
    ) -> None:
        self._pool = pool
        self._poll_s = poll_s
        self._election_s = election_s
        self._look_every_s = look_every_s
        self._sleepy_s = sleepy_s
        self.leads = False

    async def run(self, stop: asyncio.Event) -> None:
        """Stand for election and lead until stopped; trouble with the database is waited out."""
        bell = Bell(stop)
        failures = 0
        try:
            while not stop.is_set():
                try:
                    async with self._pool.acquire() as connection:
                        failures = 0
                        await self._lead(connection, bell, stop)
                except SERVER_TROUBLE as trouble:
                    if not is_transient(trouble):
                        raise
                    failures += 1
                    log.warning("sequencer-waits-for-the-database", reason=repr(trouble), failures=failures)
                    bell.quieten()
                    await bell.wait(backoff_s(failures, first_s=0.1, most_s=5))
        finally:
            await bell.close()

    async def _lead(self, connection: Connection, bell: Bell, stop: asyncio.Event) -> None:
        # Asked again and again rather than waited for: a session that waits for a lock holds a
        # snapshot, and with it vacuum, for as long as the other one leads.
        while not await queries.try_lock(connection, room=LOCK_ROOM, lock=SEQUENCER_LOCK):
            bell.quieten()
            await bell.wait(self._election_s)
            if stop.is_set():
                return
        self.leads = True
        log.info("sequencer-leads")
        try:
            # A connection that is lost rings too: the next step finds out and stands for election anew.
            connection.add_termination_listener(bell.ring)
            await connection.add_listener(PUBLISHED, bell.ring)
            while not stop.is_set():
                await self._stay_awake(connection, bell, stop)
                if not stop.is_set() and await self._may_sleep(connection, bell):
                    await bell.wait(self._poll_s)
        finally:
            self.leads = False
            # A lost connection has lost its lock as well.
            await stop_listening(connection, PUBLISHED, bell.ring, lost=bell.ring)
            with contextlib.suppress(*TRANSIENT):
                await connection.execute("SELECT pg_advisory_unlock_all()")

    async def _stay_awake(self, connection: Connection, bell: Bell, stop: asyncio.Event) -> None:
        """Look every few milliseconds until nothing has come for a while."""
        clock = asyncio.get_running_loop()
        await queries.try_lock(connection, room=LOCK_ROOM, lock=AWAKE_LOCK)
        last = clock.time()
        while not stop.is_set() and clock.time() - last < self._sleepy_s:
            bell.quieten()
            if await assign_positions(connection):
                last = clock.time()
            await bell.wait(self._look_every_s)

    async def _may_sleep(self, connection: Connection, bell: Bell) -> bool:
        """Say that we sleep, and make sure that nobody who thought us awake is still committing.

        Whoever begins to commit events after this finds us asleep and rings; whoever began
        before has committed, and the last look sees it.
        """
        bell.quieten()
        await queries.unlock(connection, room=LOCK_ROOM, lock=AWAKE_LOCK)
        if not await queries.try_lock(connection, room=LOCK_ROOM, lock=COMMITTING_LOCK):
            return False
        await queries.unlock(connection, room=LOCK_ROOM, lock=COMMITTING_LOCK)
        return await assign_positions(connection) == 0


@dataclass(frozen=True, slots=True)
class LogState:
    """How long the log is: newest and oldest position kept, and what waits for a position."""

    head: int
    oldest: int | None
    pending: int


async def log_state(connection: Connection) -> LogState:
    """The state of the log, for readiness and metrics."""
    row = await queries.log_state(connection)
    return LogState(head=row["head"], oldest=row["oldest"], pending=row["pending"])


async def prune_log(pool: Pool, *, now: Instant, keep: timedelta, chunk: int = 5000) -> int:
    """Delete events older than `keep` that every consumer has passed; how many.

    In chunks of one transaction each, so that it never holds anybody up. A held consumer
    holds its events too: they are deleted after it has passed them or been forgotten.
    """
    total = 0
    while True:
        async with transaction(pool) as connection:
            upto = await queries.prunable_position(connection, kept_since=now - keep, most=chunk)
            gone: int = await queries.prune_events(connection, upto=upto) if upto is not None else 0
        total += gone
        if gone < chunk:
            return total
