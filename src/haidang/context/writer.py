"""Writing the city down: many commands, one durable commit (ADR 0023).

`apply_commands` is the flush itself, on a caller's transaction. `GroupedWriter` gathers what
concurrent requests submit and flushes when the previous flush has ended: there is no timer.
"""

import asyncio
import random
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC

import structlog

from haidang.context import store
from haidang.context.errors import WriteFailed, WriterBusy, WriterStopped
from haidang.context.events import EntitiesChanged, EntityChange
from haidang.context.merging import EntityWork, Key, fold, settle
from haidang.context.model import Command, Outcome, Stored
from haidang.context.store import Locked, Written
from haidang.infra.database import (
    COLLISIONS,
    SERVER_TROUBLE,
    Connection,
    DatabaseFull,
    Pool,
    is_transient,
    unavailable,
)
from haidang.infra.events import publish
from haidang.infra.telemetry import counter, gauge, histogram
from haidang.kernel.actors import Actor
from haidang.kernel.errors import Unavailable
from haidang.kernel.instants import Clock, Instant

log = structlog.get_logger(__name__)

FLUSH_SECONDS = histogram("context_flush_seconds", "Time of one grouped commit, collisions included.")
COMMANDS = counter("context_commands", "Commands by what became of them.", ("outcome",))
WAITING = gauge("context_commands_waiting", "Commands that wait for the next grouped commit.")

_RETRIES = 6


async def apply_commands(
    connection: Connection, actor: Actor, commands: Sequence[Command], *, now: Instant
) -> list[Outcome]:
    """Run commands in the caller's transaction, in order; one outcome each, in the same order.

    A command that its caller got wrong is answered in `Outcome.error` and nothing of it is written;
    the others are not touched by it. Trouble with the database is raised and undoes the transaction.
    """
    return await flush(connection, [(actor, command) for command in commands], now=now)


async def flush(
    connection: Connection, submissions: Sequence[tuple[Actor, Command]], *, now: Instant
) -> list[Outcome]:
    """Run the commands of several actors in one transaction; one event for each actor."""
    by_tenant: dict[str, dict[str, list[int]]] = {}
    for place, (actor, command) in enumerate(submissions):
        by_tenant.setdefault(actor.tenant, {}).setdefault(command.entity_id, []).append(place)
    outcomes: list[Outcome | None] = [None] * len(submissions)
    changes: dict[tuple[str, str], list[EntityChange]] = {}
    for tenant in sorted(by_tenant):
        places = by_tenant[tenant]
        for written in await _flush_tenant(connection, tenant, places, submissions, now):
            for place, outcome in zip(places[written.entity_id], written.one.settled.outcomes, strict=True):
                outcomes[place] = outcome
            for actor_id, change in written.one.settled.changes:
                changes.setdefault((tenant, actor_id), []).append(change)
    actors = {(actor.tenant, actor.actor_id): actor for actor, _ in submissions}
    for told_by, told in changes.items():
        await publish(
            connection,
            actors[told_by],
            EntitiesChanged(
                subject=told[0].entity_id if len(told) == 1 else "urn:haidang:context:entities",
                learned_at=now,
                changes=tuple(told),
            ),
            at=now,
        )
    return [outcome for outcome in outcomes if outcome is not None]


@dataclass(frozen=True, slots=True)
class _Flushed:
    entity_id: str
    one: Written


async def _flush_tenant(
    connection: Connection,
    tenant: str,
    places: dict[str, list[int]],
    submissions: Sequence[tuple[Actor, Command]],
    now: Instant,
) -> list[_Flushed]:
    def worked(entity_id: str, held: Locked | None) -> EntityWork:
        commands = [(submissions[place][0].actor_id, submissions[place][1]) for place in places[entity_id]]
        return fold(held.state if held else None, commands, now)

    locked = await store.lock_entities(connection, tenant, sorted(places))
    works = {entity_id: worked(entity_id, locked.get(entity_id)) for entity_id in places}
    numbers = {entity_id: held.entity_no for entity_id, held in locked.items()}
    fresh = sorted(one for one, work in works.items() if one not in locked and work.state is not None)
    if fresh:
        states = [state for one in fresh if (state := works[one].state) is not None]
        numbers |= await store.insert_entities(connection, tenant, states)
        lost = [one for one in fresh if one not in numbers]
        if lost:
            # Another writer made them between our look and our insert: look again and start over.
            found = await store.lock_entities(connection, tenant, lost)
            locked |= found
            numbers |= {entity_id: held.entity_no for entity_id, held in found.items()}
            works |= {entity_id: worked(entity_id, found.get(entity_id)) for entity_id in lost}

    touched = [one for one, work in works.items() if one in numbers and (work.changed or work.observed)]
    names: dict[str, int] = {}
    existing: dict[str, dict[Key, Stored]] = {}
    if touched:
        needed = set().union(*(store.names_of(works[one]) for one in touched))
        days = {observed.key[2].astimezone(UTC).date() for one in touched for observed in works[one].observed}
        names = await store.prepare_flush(connection, tenant, needed, days)
        existing = await _existing(connection, tenant, works, numbers, names=names, locked=set(locked))

    flushed = [
        _Flushed(one, Written(work, settle(work, existing.get(one, {})), numbers.get(one, 0)))
        for one, work in works.items()
    ]
    written = sorted(
        (done.one for done in flushed if done.entity_id in numbers), key=lambda one: one.entity_no
    )
    changed = [one for one in written if one.work.changed]
    held_numbers = {held.entity_no for held in locked.values()}
    if changed:
        held_and_changed = [one for one in changed if one.entity_no in held_numbers]
        if held_and_changed:
            await store.update_entities(connection, tenant, held_and_changed)
        await store.change_types(connection, tenant, changed, names)
    await store.supersede(connection, tenant, written, names)
    await store.insert_observations(connection, tenant, written, names)
    if changed:
        await store.insert_versions(connection, tenant, changed, names)
    return flushed


async def _existing(
    connection: Connection,
    tenant: str,
    works: dict[str, EntityWork],
    numbers: dict[str, int],
    *,
    names: dict[str, int],
    locked: set[str],
) -> dict[str, dict[Key, Stored]]:
    """What the history holds for the moments that commands observed, by entity."""
    owners = {numbers[one]: one for one in locked}
    keys = {
        (numbers[one], observed.key) for one in locked for observed in works[one].observed if observed.key[3]
    }
    found = await store.present_observations(connection, tenant, list(keys), names) if keys else {}
    existing: dict[str, dict[Key, Stored]] = {}
    for (entity_no, key), stored in found.items():
        existing.setdefault(owners[entity_no], {})[key] = stored
    return existing


@dataclass(slots=True)
class _Waiting:
    """What one caller submitted, and where the outcomes go."""

    actor: Actor
    commands: Sequence[Command]
    weight: int
    done: "asyncio.Future[list[Outcome]]" = field(
        default_factory=lambda: asyncio.get_running_loop().create_future()
    )


class GroupedWriter:
    """Gathers concurrent writes into one commit each time the previous commit has ended.

    What waits is bounded by number and by weight (bytes): beyond that a caller is told WriterBusy
    at once, before memory grows. A command that breaks the flush is tried alone, and only its own
    caller hears of it.
    """

    def __init__(
        self,
        pool: Pool,
        clock: Clock,
        *,
        most_waiting: int = 10_000,
        most_weight: int = 64 * 1024 * 1024,
        most_in_flush: int = 1_000,
    ) -> None:
        self._pool = pool
        self._clock = clock
        self._most_waiting = most_waiting
        self._most_weight = most_weight
        self._most_in_flush = most_in_flush
        self._queue: deque[_Waiting] = deque()
        self._waiting = 0
        self._weight = 0
        self._arrived = asyncio.Event()
        self._stopped = False
        self.flushes = 0
        self.written = 0

    @property
    def waiting(self) -> int:
        """How many commands wait for the next flush."""
        return self._waiting

    async def submit(self, actor: Actor, command: Command, *, weight: int = 1024) -> Outcome:
        """Write one command; returns after the commit that holds it. Raises what was wrong with it."""
        (outcome,) = await self.submit_all(actor, [command], weight=weight)
        if outcome.error is not None:
            raise outcome.error
        return outcome

    async def submit_all(
        self, actor: Actor, commands: Sequence[Command], *, weight: int = 1024
    ) -> list[Outcome]:
        """Write several commands in one commit; what is wrong with one stands in its outcome."""
        if self._stopped:
            raise WriterStopped
        full = self._waiting + len(commands) > self._most_waiting or self._weight + weight > self._most_weight
        if full and self._queue:
            COMMANDS.labels("turned-away").inc(len(commands))
            raise WriterBusy
        waiting = _Waiting(actor, commands, weight)
        self._queue.append(waiting)
        self._waiting += len(commands)
        self._weight += weight
        WAITING.inc(len(commands))
        self._arrived.set()
        return await waiting.done

    async def run(self, stop: asyncio.Event) -> None:
        """Flush until stopped; what was submitted before that is still written."""
        stopping = asyncio.create_task(stop.wait())
        stopping.add_done_callback(lambda _: self._arrived.set())
        try:
            while not (stop.is_set() and not self._queue):
                await self._arrived.wait()
                self._arrived.clear()
                if stop.is_set():
                    self._stopped = True
                while self._queue:
                    await self._flush(self._take())
        finally:
            self._stopped = True
            stopping.cancel()
            while self._queue:
                for waiting in self._take():
                    _refuse(waiting, WriterStopped())

    def _take(self) -> list[_Waiting]:
        taken: list[_Waiting] = []
        room = self._most_in_flush
        while self._queue and (not taken or len(self._queue[0].commands) <= room):
            waiting = self._queue.popleft()
            self._waiting -= len(waiting.commands)
            self._weight -= waiting.weight
            WAITING.dec(len(waiting.commands))
            room -= len(waiting.commands)
            if not waiting.done.cancelled():
                taken.append(waiting)
        return taken

    async def _flush(self, group: list[_Waiting]) -> None:
        if not group:
            return
        try:
            with FLUSH_SECONDS.time():
                outcomes = await self._write(group)
        except Unavailable as trouble:
            for waiting in group:
                COMMANDS.labels("failed").inc(len(waiting.commands))
                _refuse(waiting, trouble)
        except Exception as poison:  # whatever it is, it must not fail the neighbours
            if len(group) == 1:
                COMMANDS.labels("failed").inc(len(group[0].commands))
                log.exception("write_failed", commands=len(group[0].commands))
                _refuse(group[0], poison)
                return
            for waiting in group:
                await self._flush([waiting])
        else:
            _count(outcomes)
            place = 0
            for waiting in group:
                mine = outcomes[place : place + len(waiting.commands)]
                place += len(waiting.commands)
                if not waiting.done.done():
                    waiting.done.set_result(mine)

    async def _write(self, group: list[_Waiting]) -> list[Outcome]:
        submissions = [(waiting.actor, command) for waiting in group for command in waiting.commands]
        for attempt in range(_RETRIES):
            try:
                async with self._pool.acquire() as connection, connection.transaction():
                    outcomes = await flush(connection, submissions, now=self._clock.now())
            except COLLISIONS:
                # Not a secret: jitter only spreads the writers.
                await asyncio.sleep(random.uniform(0, 0.02 * 2**attempt))  # noqa: S311
            except SERVER_TROUBLE as trouble:
                if not is_transient(trouble):
                    raise
                said = unavailable(trouble)
                raise (said if isinstance(said, DatabaseFull) else WriteFailed()) from trouble
            else:
                self.flushes += 1
                self.written += len(submissions)
                return outcomes
        raise WriteFailed


def _count(outcomes: Sequence[Outcome]) -> None:
    changed = sum(1 for one in outcomes if one.changed)
    refused = sum(1 for one in outcomes if one.error is not None)
    COMMANDS.labels("changed").inc(changed)
    COMMANDS.labels("refused").inc(refused)
    COMMANDS.labels("repeated").inc(len(outcomes) - changed - refused)


def _refuse(waiting: _Waiting, reason: Exception) -> None:
    if not waiting.done.done():
        waiting.done.set_exception(reason)
