"""Jobs: work asked for in a transaction and done after it, in a worker, at least once.

The queue is pgqueuer's, in our schema. Ours are the mapping of error kinds to retries, the
jitter, the reason of the last failure, the dead letters and the timetable. A handler opens
its own transactions; a worker that dies in the middle leaves the job to another, so a handler
must be able to begin again (ADR 0017).
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Final, NoReturn, TypeAlias, TypeVar

import asyncpg
import msgspec
from croniter import croniter
from pgqueuer.adapters.drivers.asyncpg import AsyncpgPoolDriver, Relay
from pgqueuer.adapters.persistence.qb import (
    QueryBuilderEnvironment,
    QueryQueueBuilder,
    QuerySchedulerBuilder,
)
from pgqueuer.adapters.persistence.queries import Queries
from pgqueuer.core.executors import AbstractEntrypointExecutor, EntrypointExecutorParameters
from pgqueuer.core.qm import QueueManager
from pgqueuer.domain.errors import RetryRequested
from pgqueuer.domain.models import Context, TableChangedEvent, TracebackRecord, utc_now
from pgqueuer.domain.models import Job as QueuedJob
from pgqueuer.domain.settings import DBSettings, Durability
from pgqueuer.domain.types import Channel
from pgqueuer.ports.driver import NotifyCallback

from haidang.infra.database import TRANSIENT, Connection, DatabaseUnavailable, Pool, reading, transaction
from haidang.infra.events import Bell, backoff_s, caused_by, current_cause
from haidang.infra.failures import a_retry_helps, reason_of
from haidang.infra.queries import load_queries
from haidang.infra.telemetry import current_trace_id, logger
from haidang.kernel.actors import DEFAULT_TENANT, Actor, Audience, part
from haidang.kernel.errors import Conflict, Denied, HaidangError, Invalid, NotFound
from haidang.kernel.instants import VIETNAM, Clock, Instant

log = logger("infra")
queries = load_queries(Path(__file__).parent / "sql" / "jobs.sql")

T = TypeVar("T")

# Every name is stated: the library would otherwise read them from the environment (`CHANNEL`, `TRIGGER`).
QUEUE: Final = DBSettings(
    prefix="",
    db_schema="infra",
    channel=Channel("ch_pgqueuer"),
    function="fn_pgqueuer_changed",
    statistics_table="pgqueuer_statistics",
    queue_status_type="pgqueuer_status",
    queue_table="pgqueuer",
    queue_table_log="pgqueuer_log",
    trigger="tg_pgqueuer_changed",
    schedules_table="pgqueuer_schedules",
    durability=Durability.durable,
)

_TROUBLE: tuple[type[BaseException], ...] = (DatabaseUnavailable, *TRANSIENT)

# A job that takes its worker down each time must not take all of them down for ever.
_WORKERS_LOST_AT_MOST = 3

# How long a handler that is told to stop may take to roll back.
_LETTING_GO_S = 5.0


class JobsShareAName(Conflict):
    """Two jobs are named {job}."""


class TimetableUnreadable(Invalid):
    """{every} is not a timetable (minute hour day month weekday, Vietnamese time)."""


class DeadJobUnknown(NotFound):
    """There is no dead job number {job_id}."""


class JobsAreForAdministrators(Denied):
    """Only an administrator may replay or discard jobs that were given up."""


class SameJobWaits(Conflict):
    """The same job waits or runs already; discard dead job {job_id} or try again later."""


class WorkerLostTooOften(Conflict):
    """The worker was lost {times} times while doing this job."""


@dataclass(frozen=True, slots=True)
class JobRun:
    """One run of a job, as its handler gets it. `attempt` is 1 the first time."""

    job_id: int
    job: str
    payload: bytes
    attempt: int
    actor_id: str
    tenant: str
    enqueued_at: Instant

    @property
    def urn(self) -> str:
        """How the events a job publishes name it as their cause."""
        return f"urn:haidang:job:{self.job_id}"

    def read(self, of: type[T]) -> T:
        """The payload as the struct it was enqueued as."""
        return msgspec.json.decode(self.payload, type=of)


Handler: TypeAlias = Callable[[Pool, JobRun], Awaitable[None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What can be enqueued by name, how often it is tried, and when it runs by itself.

    `every` is a cron line in Vietnamese time ("10 3 * * *": each night at 3:10). Trouble of
    the world, and bugs, are tried `attempts` times in all; a mistake of the caller's once.
    `given_up` is done when no further attempt follows, so that nobody is told to wait for ever.
    """

    name: str
    handle: Handler
    audience: Audience
    attempts: int = 10
    every: str | None = None
    given_up: Handler | None = None


async def enqueue(
    connection: Connection,
    actor: Actor,
    job_name: str,
    payload: msgspec.Struct | bytes = b"{}",
    *,
    run_at: Instant | None = None,
    dedupe: str | None = None,
) -> int | None:
    """Ask for a job in this transaction; it runs after the commit, not before `run_at`.

    `dedupe`: while a job of the same name, tenant and key waits *or runs*, another is not
    made and None is returned. What changes after a run has read it needs a key of its own.
    """
    job_id: int | None = await queries.enqueue_job(
        connection,
        job=job_name,
        payload=payload if isinstance(payload, bytes) else msgspec.json.encode(payload),
        headers={
            "tenant": actor.tenant,
            "actor_id": actor.actor_id,
            "cause": current_cause(),
            "trace_id": current_trace_id(),
        },
        run_at=run_at,
        dedupe_key=None if dedupe is None else f"{actor.tenant}/{job_name}/{dedupe}",
    )
    return job_id


class _Driver(AsyncpgPoolDriver):
    """The library's driver, but patient: while the database is away, it waits and listens anew.

    The library would end its loop, wait for every job in hand, and give up those whose end it
    cannot write down. Repeating a statement that was done after all costs a second run at most.
    """

    def __init__(self, pool: Pool, stop: asyncio.Event) -> None:
        super().__init__(pool)
        self._stop = stop
        self._callbacks: list[tuple[str, NotifyCallback]] = []
        self._listening_again: asyncio.Task[None] | None = None

    async def fetch(self, query: str, *args: object) -> list[dict[str, object]]:
        return await self._patiently(lambda: AsyncpgPoolDriver.fetch(self, query, *args))

    async def execute(self, query: str, *args: object) -> str:
        return await self._patiently(lambda: AsyncpgPoolDriver.execute(self, query, *args))

    async def notify(self, channel: str, payload: str) -> None:
        await self._patiently(lambda: AsyncpgPoolDriver.notify(self, channel, payload))

    async def add_listener(self, channel: str, callback: NotifyCallback) -> None:
        self._callbacks.append((channel, callback))
        await self._patiently(self._listen)

    async def _patiently(self, step: Callable[[], Awaitable[T]]) -> T:
        failures = 0
        while True:
            try:
                return await step()
            except TRANSIENT as trouble:
                if self._stop.is_set() or not a_retry_helps(trouble):
                    raise
                failures += 1
                log.warning("jobs-wait-for-the-database", reason=repr(trouble), failures=failures)
                await asyncio.sleep(backoff_s(failures, first_s=0.1, most_s=5))

    async def _listen(self) -> None:
        async with self._lock:
            await self._stop_listening()
            connection = await self._pool.acquire()
            self._listener_connection = connection
            for channel, callback in self._callbacks:
                await connection.add_listener(channel, Relay(callback))
            connection.add_termination_listener(self._lost)

    def _lost(self, *_: object) -> None:
        if not self._stop.is_set():
            self._listening_again = asyncio.create_task(self._patiently(self._listen))

    async def _stop_listening(self) -> None:
        connection, self._listener_connection = self._listener_connection, None
        if connection is None:
            return
        with contextlib.suppress(*TRANSIENT):
            connection.remove_termination_listener(self._lost)
            if connection.is_closed():
                connection.terminate()
            else:
                await connection.reset()
        with contextlib.suppress(*TRANSIENT):
            await self._pool.release(connection)

    async def __aexit__(self, *_: object) -> None:
        if self._listening_again is not None:
            self._listening_again.cancel()
            await asyncio.wait((self._listening_again,))
        async with self._lock:
            await self._stop_listening()


class _Queue(Queries):
    """The library's queue, but a job that is to be tried again wakes the workers.

    The trigger of the table does not see it, and an idle worker would sleep past it.
    """

    async def retry_job(
        self, job: QueuedJob, delay: timedelta, traceback_record: TracebackRecord | None
    ) -> None:
        await super().retry_job(job, delay, traceback_record)
        await self.driver.notify(QUEUE.channel, _changed())


def _changed() -> str:
    """What the trigger of the table says when a row comes or goes."""
    changed = TableChangedEvent(
        channel=QUEUE.channel,
        sent_at=utc_now(),
        type="table_changed_event",
        operation="update",
        table=QUEUE.queue_table,
    )
    return changed.model_dump_json(exclude={"received_at"})


@dataclass(kw_only=True)
class _Executor(AbstractEntrypointExecutor):
    """Runs one job and says what its failure means: again later, or never again by itself."""

    job: Job
    runner: "JobRunner"

    async def execute(self, job: QueuedJob, context: Context) -> None:  # noqa: ARG002  (the library's signature)
        try:
            await self.runner.do(self.job, job)
        except asyncio.CancelledError:
            # The worker stops. The library would delete a job whose task is cancelled.
            raise RetryRequested(reason="the worker stopped") from None


class JobRunner:
    """Does jobs, and enqueues those of the timetable; several processes may run the same ones."""

    def __init__(
        self,
        pool: Pool,
        clock: Clock,
        jobs: Sequence[Job],
        *,
        at_once: int = 8,
        poll_s: float = 5.0,
        lost_after_s: float = 30.0,
        grace_s: float = 15.0,
        first_retry_s: float = 1.0,
        longest_retry_s: float = 300.0,
    ) -> None:
        names = [job.name for job in jobs]
        for job in jobs:
            if names.count(job.name) > 1:
                raise JobsShareAName(job=job.name)
            if job.every is not None and not croniter.is_valid(job.every):
                raise TimetableUnreadable(every=job.every)
        self._pool = pool
        self._clock = clock
        self._jobs = tuple(jobs)
        self._at_once = max(2, at_once)
        self._poll = timedelta(seconds=poll_s)
        self._lost_after = timedelta(seconds=lost_after_s)
        self._grace_s = grace_s
        self._first_retry_s = first_retry_s
        self._longest_retry_s = longest_retry_s
        self._running: set[asyncio.Task[None]] = set()
        self._scheduled = {job.name: job.every for job in jobs if job.every is not None}

    async def run(self, stop: asyncio.Event) -> None:
        """Work until stopped; jobs in hand get `grace_s` to end, then go back to the queue."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._work(stop))
            tasks.create_task(self._keep_time(stop))

    async def _work(self, stop: asyncio.Event) -> None:
        failures = 0
        bell = Bell(stop)
        try:
            while not stop.is_set():
                manager = self._manager(stop)
                ending = asyncio.create_task(self._end(manager, stop))
                managing = asyncio.create_task(
                    manager.run(
                        dequeue_timeout=self._poll,
                        batch_size=self._at_once // 2,
                        max_concurrent_tasks=self._at_once // 2 * 2,
                        heartbeat_timeout=self._lost_after,
                        log_aggregation_interval=timedelta(0),
                    )
                )
                try:
                    # Shielded: the library, cancelled, waits for its jobs however long they take.
                    await asyncio.shield(managing)
                    failures = 0
                except _TROUBLE as trouble:
                    failures += 1
                    log.warning("jobs-wait-for-the-database", reason=repr(trouble), failures=failures)
                    bell.quieten()
                    await bell.wait(backoff_s(failures, first_s=0.1, most_s=5))
                finally:
                    ending.cancel()
                    if not managing.done():
                        self._let_go(manager)
                    await asyncio.wait((ending, managing))
        finally:
            await bell.close()

    def _manager(self, stop: asyncio.Event) -> QueueManager:
        manager = QueueManager(
            _Queue(
                _Driver(self._pool, stop),
                QueryBuilderEnvironment(QUEUE),
                QueryQueueBuilder(QUEUE),
                QuerySchedulerBuilder(QUEUE),
            ),
            channel=QUEUE.channel,
        )
        for job in self._jobs:
            manager.register_executor(
                job.name,
                _Executor(
                    parameters=EntrypointExecutorParameters(
                        concurrency_limit=0, func=_not_called, on_failure="hold"
                    ),
                    job=job,
                    runner=self,
                ),
            )
        return manager

    async def _end(self, manager: QueueManager, stop: asyncio.Event) -> None:
        await stop.wait()
        manager.shutdown.set()
        await asyncio.sleep(self._grace_s)
        self._let_go(manager)

    def _let_go(self, manager: QueueManager) -> None:
        """Cancel the handlers, and not the library's tasks: those still have to put the jobs back."""
        manager.shutdown.set()
        for task in tuple(self._running):
            task.cancel()

    async def do(self, job: Job, queued: QueuedJob) -> None:
        """Do one job that was taken from the queue; raises what the queue does with it next."""
        begun = await self._patiently(lambda connection: queries.job_begun(connection, job_id=queued.id))
        failures: int = begun["failures"]
        headers = queued.headers or {}
        run = JobRun(
            job_id=queued.id,
            job=job.name,
            payload=queued.payload or b"",
            attempt=failures + 1,
            actor_id=_text(headers.get("actor_id")) or part(job.name).actor_id,
            tenant=_text(headers.get("tenant")) or DEFAULT_TENANT,
            enqueued_at=queued.created,
        )
        if begun["workers_lost"] >= _WORKERS_LOST_AT_MOST:
            await self._fail(job, run, WorkerLostTooOften(times=begun["workers_lost"]))
        with caused_by(run.urn, _text(headers.get("trace_id"))):
            handling = asyncio.create_task(_handle(job, self._pool, run))
        self._running.add(handling)
        try:
            await asyncio.wait((handling,))
        finally:
            handling.cancel()
            await asyncio.wait((handling,), timeout=_LETTING_GO_S)
            self._running.discard(handling)
        if handling.cancelled():
            raise asyncio.CancelledError
        error = handling.exception()
        if isinstance(error, Exception):
            await self._fail(job, run, error)
        if error is not None:
            raise error
        if failures:
            await self._patiently(lambda connection: queries.job_succeeded(connection, job_id=run.job_id))

    async def _patiently(self, step: Callable[[Connection], Awaitable[T]]) -> T:
        """Do a step of the book-keeping, however long the database is away.

        The library would give a job up for which it cannot write down that it is to be retried.
        """
        failures = 0
        while True:
            try:
                async with transaction(self._pool) as connection:
                    return await step(connection)
            except DatabaseUnavailable:
                failures += 1
                await asyncio.sleep(backoff_s(failures, first_s=0.1, most_s=5))

    async def _fail(self, job: Job, run: JobRun, error: Exception) -> NoReturn:
        """Keep the reason; ask for another run, or raise: then it is held as a dead letter."""
        reason = reason_of(error)
        # A mistake of the caller's stays one; anything else may be the world's trouble.
        hopeless = isinstance(error, HaidangError) and not a_retry_helps(error)
        log.warning("job-failed", job=job.name, job_id=run.job_id, attempt=run.attempt, reason=reason)
        await self._patiently(
            lambda connection: queries.job_failed(
                connection, job_id=run.job_id, reason=reason, failed_at=self._clock.now()
            )
        )
        # A worker that was lost too often is a Conflict: hopeless too.
        if hopeless or run.attempt >= job.attempts:
            if job.given_up is not None:
                await self._tell_given_up(job.given_up, run)
            raise error
        wait_s = backoff_s(run.attempt, first_s=self._first_retry_s, most_s=self._longest_retry_s)
        raise RetryRequested(timedelta(seconds=wait_s), reason) from error

    async def _tell_given_up(self, given_up: Handler, run: JobRun) -> None:
        """Let the job say that it was given up; trouble in saying so does not hide why it failed."""
        try:
            await given_up(self._pool, run)
        except Exception as trouble:  # noqa: BLE001 - the first failure is the one that is kept
            log.warning("job-not-told-given-up", job=run.job, job_id=run.job_id, reason=reason_of(trouble))

    async def _keep_time(self, stop: asyncio.Event) -> None:
        """Enqueue scheduled jobs as they come due."""
        if not self._scheduled:
            return
        failures = 0
        ready = False
        bell = Bell(stop)
        try:
            while not stop.is_set():
                try:
                    if not ready:
                        await self.set_timetable()
                        ready = True
                    await self.tick()
                    async with reading(self._pool) as connection:
                        due_at: Instant | None = await queries.next_due(connection, jobs=[*self._scheduled])
                    failures = 0
                    wait_s = 30.0 if due_at is None else (due_at - self._clock.now()).total_seconds()
                except DatabaseUnavailable as trouble:
                    failures += 1
                    log.warning("timetable-waits-for-the-database", reason=repr(trouble))
                    wait_s = backoff_s(failures, first_s=0.1, most_s=5)
                bell.quieten()
                # The clock of the machine can be put right while we sleep: look again now and then.
                await bell.wait(min(max(wait_s, 0.05), 30))
        finally:
            await bell.close()

    async def set_timetable(self) -> None:
        """Write down when each scheduled job is due, if that is not known yet or has changed."""
        async with transaction(self._pool) as connection:
            for name, every in self._scheduled.items():
                await queries.set_timetable(
                    connection, job=name, every=every, due_at=next_time(every, self._clock.now())
                )

    async def tick(self) -> list[str]:
        """Enqueue what is due now and move its timetable on; the names enqueued.

        Once over all processes. Times that passed while nobody was there make one run, not many.
        """
        now = self._clock.now()
        names: list[str] = []
        async with transaction(self._pool) as connection:
            due = [row async for row in queries.jobs_due(connection, jobs=[*self._scheduled], now=now)]
            for row in due:
                name = row["job"]
                if await enqueue(connection, part("timetable"), name, dedupe="timetable") is not None:
                    names.append(name)
                await queries.move_timetable(
                    connection, job=name, due_at=next_time(self._scheduled[name], now)
                )
        return names


async def _handle(job: Job, pool: Pool, run: JobRun) -> None:
    await job.handle(pool, run)


async def _not_called(_: QueuedJob) -> None:
    """The library wants a function beside the executor; our executor does not use it."""


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def next_time(every: str, after: Instant) -> Instant:
    """The next time of a timetable after an instant; hours are Vietnamese ones."""
    following: Instant = croniter(every, after.astimezone(VIETNAM)).get_next(type(after))
    return following.astimezone(after.tzinfo)


@dataclass(frozen=True, slots=True)
class DeadJob:
    """A job that was given up: what it was, how often it was tried, why it failed last and when."""

    job_id: int
    job: str
    payload: bytes
    attempts: int
    reason: str | None
    failed_at: Instant
    enqueued_at: Instant
    actor_id: str
    cause: str | None


async def dead_jobs(actor: Actor, connection: Connection, *, most: int = 1000) -> list[DeadJob]:
    """The dead letters of the actor's tenant, newest first."""
    return [
        DeadJob(
            job_id=row["job_id"],
            job=row["job"],
            payload=row["payload"] or b"",
            attempts=row["attempts"],
            reason=row["reason"],
            failed_at=row["failed_at"],
            enqueued_at=row["enqueued_at"],
            actor_id=row["headers"]["actor_id"],
            cause=row["headers"]["cause"],
        )
        async for row in queries.dead_jobs(connection, tenant=actor.tenant, most=most)
    ]


async def replay_job(actor: Actor, connection: Connection, job_id: int) -> str:
    """Queue a dead job again with all its attempts; returns its name."""
    _require_administrator(actor)
    try:
        async with connection.transaction():
            name: str | None = await queries.requeue_dead_job(connection, job_id=job_id, tenant=actor.tenant)
    except asyncpg.UniqueViolationError:
        raise SameJobWaits(job_id=job_id) from None
    if name is None:
        raise DeadJobUnknown(job_id=job_id)
    await queries.wake_workers(connection, channel=QUEUE.channel, message=_changed())
    log.info("job-replayed", job=name, job_id=job_id, by=actor.actor_id)
    return name


async def discard_job(actor: Actor, connection: Connection, job_id: int) -> str:
    """Delete a dead job for good; returns its name."""
    _require_administrator(actor)
    name: str | None = await queries.discard_dead_job(connection, job_id=job_id, tenant=actor.tenant)
    if name is None:
        raise DeadJobUnknown(job_id=job_id)
    log.info("job-discarded", job=name, job_id=job_id, by=actor.actor_id)
    return name


def _require_administrator(actor: Actor) -> None:
    if not actor.belongs_to(Audience.ADMINISTRATOR):
        raise JobsAreForAdministrators


@dataclass(frozen=True, slots=True)
class JobState:
    """The queue of one job name: waiting, of those due, running, dead, and since when one is due."""

    job: str
    queued: int
    due: int
    running: int
    dead: int
    due_since: Instant | None


async def job_states(connection: Connection) -> list[JobState]:
    """Every job name that is in the queue."""
    return [
        JobState(
            job=row["job"],
            queued=row["queued"],
            due=row["due"],
            running=row["running"],
            dead=row["dead"],
            due_since=row["due_since"],
        )
        async for row in queries.job_states(connection)
    ]


async def prune_job_log(pool: Pool, *, now: Instant, keep: timedelta, chunk: int = 5000) -> int:
    """Delete lines of the queue's log older than `keep` whose job is gone; how many."""
    total = 0
    while True:
        async with transaction(pool) as connection:
            gone: int = await queries.prune_job_log(connection, kept_since=now - keep, most=chunk)
        total += gone
        if gone < chunk:
            return total
