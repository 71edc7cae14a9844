"""Follows the event log from its head for as long as somebody looks: for screens, not for facts.

A consumer has a durable cursor and is told everything; a tail has none, starts where the log ends, and
keeps its place only in memory. What it misses it misses by having started later, never in between: it
goes on from its place after a lost connection. See ADR 0059.
"""

import asyncio
import contextlib
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from haidang.infra.database import TRANSIENT, Connection, DatabaseUnavailable, Pool, reading
from haidang.infra.events import (
    POSITIONED,
    Bell,
    Envelope,
    backoff_s,
    envelope_of,
    head_position,
    log_state,
    queries,
    stop_listening,
)
from haidang.infra.telemetry import logger
from haidang.kernel.events import Event

log = logger("infra")

_TROUBLE: tuple[type[BaseException], ...] = (DatabaseUnavailable, *TRANSIENT)


@dataclass(frozen=True, slots=True)
class News:
    """What a tail found: events in order, the position that they bring one to, the newest there is.

    `rewound` when the log is shorter than it was: the database is another, or an older copy of itself.
    """

    envelopes: Sequence[Envelope]
    position: int
    head: int
    rewound: bool = False


class Listener(Protocol):
    """Who is told."""

    async def hear(self, news: News) -> None:
        """Events came, or the position moved; raising leaves the tail where it was, to try again."""
        ...

    async def lose(self) -> None:
        """The database is away; told once."""
        ...

    async def find(self) -> None:
        """It is back; told once, before what happened meanwhile."""
        ...


class Tail:
    """Tells one listener of events of some kinds, in batches, so many a second at most.

    The first event after a rest is told at once; those that follow wait for `every_s` to pass since
    then and are told together. No more than half of the processor's time is spent on telling: a
    listener that needs more is told less often.
    """

    def __init__(
        self,
        pool: Pool,
        listens_to: Sequence[type[Event]],
        listener: Listener,
        *,
        every_s: float,
        look_s: float = 2.0,
        most: int = 2_000,
    ) -> None:
        self._pool = pool
        self._kinds = sorted({event.kind for event in listens_to})
        self._listener = listener
        self._every_s = every_s
        self._look_s = look_s
        self._most = most
        self._bell: Bell | None = None
        self._failures = 0
        self._lost = False
        self.position = 0

    def look(self) -> None:
        """Look at the log now instead of when something is heard."""
        if self._bell is not None:
            self._bell.ring()

    async def run(self, position: int, stop: asyncio.Event) -> None:
        """Follow from a position until stopped; trouble with the database is waited out."""
        self.position = position
        self._bell = bell = Bell(stop)
        try:
            while not stop.is_set():
                try:
                    async with self._pool.acquire() as connection:
                        try:
                            connection.add_termination_listener(bell.ring)
                            await connection.add_listener(POSITIONED, self._ring)
                            await self._follow(connection, bell, stop)
                        finally:
                            await stop_listening(connection, POSITIONED, self._ring, lost=bell.ring)
                except Exception as trouble:
                    if isinstance(trouble, _TROUBLE):
                        log.warning(
                            "tail-waits-for-the-database", reason=repr(trouble), failures=self._failures
                        )
                    else:  # a mistake of ours must not end what every screen hangs on
                        log.exception("tail-failed")
                    self._failures += 1
                    if not self._lost:
                        self._lost = True
                        await self._listener.lose()
                    await _pause(stop, backoff_s(self._failures, first_s=0.2, most_s=5))
        finally:
            self._bell = None
            await bell.close()

    def _ring(self, _connection: object, _pid: int, _channel: str, kinds: str) -> None:
        if self._bell is not None and (not kinds or not set(self._kinds).isdisjoint(kinds.split())):
            self._bell.ring()

    async def _follow(self, connection: Connection, bell: Bell, stop: asyncio.Event) -> None:
        clock = asyncio.get_running_loop()
        while not stop.is_set():
            bell.quieten()
            begun, worked = clock.time(), time.process_time()
            news = await self._next(connection)
            if self._lost:
                self._lost = False
                await self._listener.find()
            if news.position != self.position:
                await self._listener.hear(news)
                self.position = news.position
            self._failures = 0
            if news.envelopes:
                took, worked = clock.time() - begun, time.process_time() - worked
                await _pause(stop, max(self._every_s - took, worked))
            if news.position == news.head:
                await bell.wait(self._look_s)

    async def _next(self, connection: Connection) -> News:
        head = await head_position(connection)
        if head <= self.position:
            return News((), head, head, rewound=head < self.position)
        envelopes = await _between(connection, self.position, head, self._kinds, self._most)
        whole = len(envelopes) < self._most
        return News(envelopes, head if whole else envelopes[-1].position, head)


async def events_back_to(
    pool: Pool, after: int, upto: int, kinds: Sequence[type[Event]], *, most: int
) -> list[Envelope] | None:
    """Events of some kinds in (after, upto]; None when there are more, or the log begins later."""
    async with reading(pool) as connection:
        oldest = (await log_state(connection)).oldest
        if oldest is None or oldest > after + 1:
            return None
        found = await _between(connection, after, upto, [one.kind for one in kinds], most + 1)
    return found if len(found) <= most else None


async def _between(
    connection: Connection, after: int, upto: int, kinds: Sequence[str], most: int
) -> list[Envelope]:
    rows = queries.events_between(connection, after=after, upto=upto, kinds=list(kinds), most=most)
    return [envelope_of(row) async for row in rows]


async def _pause(stop: asyncio.Event, seconds: float) -> None:
    if seconds > 0:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await stop.wait()
