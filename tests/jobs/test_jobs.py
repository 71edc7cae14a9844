"""Jobs: done after the commit, at least once; what cannot be done is kept, with the reason."""

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import asyncpg
import msgspec
import pytest
from pgqueuer.adapters.drivers.asyncpg import AsyncpgDriver
from pgqueuer.adapters.persistence.qb import (
    QueryBuilderEnvironment,
    QueryQueueBuilder,
    QuerySchedulerBuilder,
)
from pgqueuer.adapters.persistence.queries import Queries
from pgqueuer.core.qm import QueueManager

from haidang.infra.database import Connection, DatabaseUnavailable, Pool, transaction
from haidang.infra.events import assign_positions, events_after, publish
from haidang.infra.jobs import (
    QUEUE,
    DeadJob,
    DeadJobUnknown,
    Job,
    JobRun,
    JobRunner,
    JobsAreForAdministrators,
    JobsShareAName,
    SameJobWaits,
    TimetableUnreadable,
    dead_jobs,
    discard_job,
    enqueue,
    job_states,
    next_time,
    prune_job_log,
    replay_job,
)
from haidang.kernel.actors import Audience, anonymous, machine, part
from haidang.kernel.errors import Conflict
from haidang.kernel.instants import SetClock, SystemClock
from tests.events.facts import PumpStopped

CLERK = part("clerk")
OTHER_PROVINCE = part("clerk", tenant="elsewhere")


class Letter(msgspec.Struct):
    """A payload."""

    text: str


class StampMissing(Conflict):
    """The letter {text} has no stamp."""


@contextlib.asynccontextmanager
async def working(runner: JobRunner) -> AsyncIterator[asyncio.Event]:
    """A runner at work until the block ends."""
    stop = asyncio.Event()
    task = asyncio.create_task(runner.run(stop))
    try:
        yield stop
    finally:
        stop.set()
        await asyncio.wait_for(task, 30)


async def until(so: Callable[[], Awaitable[bool]], *, within_s: float = 20) -> None:
    async with asyncio.timeout(within_s):
        while not await so():  # noqa: ASYNC110  (what is waited for is in the database)
            await asyncio.sleep(0.02)


def job(name: str, handle: Callable[[Pool, JobRun], Awaitable[None]], *, attempts: int = 3) -> Job:
    return Job(name=name, handle=handle, audience=Audience.MACHINE, attempts=attempts)


def runner_of(pool: Pool, *jobs: Job, lost_after_s: float = 30, grace_s: float = 5) -> JobRunner:
    return JobRunner(
        pool,
        SystemClock(),
        jobs,
        first_retry_s=0.02,
        longest_retry_s=0.05,
        lost_after_s=lost_after_s,
        grace_s=grace_s,
    )


async def dead_of(pool: Pool) -> list[DeadJob]:
    async with pool.acquire() as connection:
        return await dead_jobs(CLERK, connection)


async def test_the_tables_are_those_of_the_installed_library(dsn: str) -> None:
    connection = await asyncpg.connect(dsn)
    queue = Queries(
        AsyncpgDriver(connection),
        QueryBuilderEnvironment(QUEUE),
        QueryQueueBuilder(QUEUE),
        QuerySchedulerBuilder(QUEUE),
    )
    plan = await queue.plan_upgrade()
    assert list(plan.statements) == [], "the library wants these: write a migration"
    await QueueManager(queue, channel=QUEUE.channel).verify_structure()
    await connection.close()


async def test_the_environment_does_not_rename_the_tables() -> None:
    assert QUEUE.qualified.queue_table == "infra.pgqueuer"
    assert QUEUE.model_fields_set == set(type(QUEUE).model_fields) - {"widen_id"}


async def test_a_job_is_done_after_the_commit_and_knows_who_asked(pool: Pool) -> None:
    runs: list[JobRun] = []

    async def post(_: Pool, run: JobRun) -> None:
        runs.append(run)

    async with working(runner_of(pool, job("test.post", post))):
        async with pool.acquire() as connection:
            undone = connection.transaction()
            await undone.start()
            await enqueue(connection, CLERK, "test.post", Letter("never sent"))
            await undone.rollback()
            async with connection.transaction():
                await enqueue(connection, CLERK, "test.post", Letter("sent"))
                await asyncio.sleep(0.2)
                assert runs == []
        await until(lambda: _is(len(runs) == 1))
    (run,) = runs
    assert run.read(Letter) == Letter("sent")
    assert (run.actor_id, run.tenant, run.attempt) == (CLERK.actor_id, "default", 1)


async def test_what_a_job_publishes_names_it_as_the_cause(pool: Pool) -> None:
    async def stop_pump(pool: Pool, _: JobRun) -> None:
        async with transaction(pool) as connection:
            await publish(connection, CLERK, PumpStopped(subject="urn:x:pump:1"))

    async with transaction(pool) as connection:
        job_id = await enqueue(connection, CLERK, "test.stop")
    async with working(runner_of(pool, job("test.stop", stop_pump))):
        await until(lambda: _holds(pool, "SELECT count(*) = 1 FROM infra.event"))
    async with pool.acquire() as connection:
        await assign_positions(connection)
        (envelope,) = await events_after(connection, 0, [PumpStopped.kind], 10)
    assert envelope.cause == f"urn:haidang:job:{job_id}"


async def test_trouble_of_the_world_is_tried_again_until_it_passes(pool: Pool) -> None:
    attempts: list[int] = []

    async def post(_: Pool, run: JobRun) -> None:
        attempts.append(run.attempt)
        if run.attempt < 3:
            raise DatabaseUnavailable

    async with transaction(pool) as connection:
        await enqueue(connection, CLERK, "test.post")
    async with working(runner_of(pool, job("test.post", post))):
        await until(lambda: _holds(pool, "SELECT count(*) = 0 FROM infra.pgqueuer"))
    assert attempts == [1, 2, 3]
    assert await dead_of(pool) == []
    assert await pool.fetchval("SELECT count(*) FROM infra.job_failure") == 0


async def test_trouble_that_does_not_pass_becomes_a_dead_letter(pool: Pool) -> None:
    attempts: list[int] = []

    async def post(_: Pool, run: JobRun) -> None:
        attempts.append(run.attempt)
        raise TimeoutError("the post office is closed")

    async with transaction(pool) as connection:
        await enqueue(connection, CLERK, "test.post", Letter("hello"))
    async with working(runner_of(pool, job("test.post", post))):
        await until(lambda: _dead(pool, 1))
    assert attempts == [1, 2, 3]
    (dead,) = await dead_of(pool)
    assert (dead.job, dead.payload, dead.attempts) == ("test.post", b'{"text":"hello"}', 3)
    assert dead.reason == "TimeoutError: the post office is closed"
    assert dead.actor_id == CLERK.actor_id
    assert datetime.now(UTC) - dead.failed_at < timedelta(minutes=1)


async def test_a_mistake_of_the_caller_is_not_tried_again_and_can_be_replayed(pool: Pool) -> None:
    stamped = False
    runs = 0

    async def post(_: Pool, run: JobRun) -> None:
        nonlocal runs
        runs += 1
        if not stamped:
            raise StampMissing(text=run.read(Letter).text)

    async with transaction(pool) as connection:
        await enqueue(connection, CLERK, "test.post", Letter("hello"))
    async with working(runner_of(pool, job("test.post", post))):
        await until(lambda: _dead(pool, 1))
        await asyncio.sleep(0.3)
        assert runs == 1
        (dead,) = await dead_of(pool)
        assert dead.reason == "stamp-missing: The letter hello has no stamp."
        stamped = True
        async with transaction(pool) as connection:
            with pytest.raises(DeadJobUnknown):
                await replay_job(OTHER_PROVINCE, connection, dead.job_id)
            assert await replay_job(CLERK, connection, dead.job_id) == "test.post"
        await until(lambda: _holds(pool, "SELECT count(*) = 0 FROM infra.pgqueuer"))
    assert runs == 2
    assert await dead_of(pool) == []


async def test_a_job_that_is_given_up_says_so_once(pool: Pool) -> None:
    told: list[int] = []

    async def post(_: Pool, run: JobRun) -> None:
        raise TimeoutError(run.job)

    async def given_up(_: Pool, run: JobRun) -> None:
        told.append(run.attempt)
        raise StampMissing(text="trouble in saying so")

    async with transaction(pool) as connection:
        await enqueue(connection, CLERK, "test.post", Letter("hello"))
    async with working(runner_of(pool, replace(job("test.post", post), given_up=given_up))):
        await until(lambda: _dead(pool, 1))
    assert told == [3]
    (dead,) = await dead_of(pool)
    assert dead.reason == "TimeoutError: test.post"


async def test_a_dead_letter_can_be_discarded_by_its_own_tenant(pool: Pool) -> None:
    async def post(_: Pool, run: JobRun) -> None:
        raise StampMissing(text=run.job)

    async with transaction(pool) as connection:
        await enqueue(connection, CLERK, "test.post")
    async with working(runner_of(pool, job("test.post", post))):
        await until(lambda: _dead(pool, 1))
    (dead,) = await dead_of(pool)
    async with transaction(pool) as connection:
        assert await dead_jobs(OTHER_PROVINCE, connection) == []
        with pytest.raises(DeadJobUnknown):
            await discard_job(OTHER_PROVINCE, connection, dead.job_id)
        assert await discard_job(CLERK, connection, dead.job_id) == "test.post"
        with pytest.raises(DeadJobUnknown):
            await replay_job(CLERK, connection, dead.job_id)
    assert await dead_of(pool) == []
    assert await pool.fetchval("SELECT count(*) FROM infra.job_failure") == 0


async def test_a_delayed_job_is_not_begun_before_its_time(pool: Pool) -> None:
    begun: list[datetime] = []
    run_at = datetime.now(UTC) + timedelta(seconds=1)

    async def post(_: Pool, __: JobRun) -> None:
        begun.append(datetime.now(UTC))

    async with transaction(pool) as connection:
        await enqueue(connection, CLERK, "test.post", run_at=run_at)
    async with working(runner_of(pool, job("test.post", post))):
        await until(lambda: _is(len(begun) == 1))
    assert timedelta(0) <= begun[0] - run_at < timedelta(seconds=2)


async def test_the_same_job_waits_once_per_tenant(connection: Connection) -> None:
    first = await enqueue(connection, CLERK, "test.post", dedupe="letter 1")
    assert first is not None
    assert await enqueue(connection, CLERK, "test.post", dedupe="letter 1") is None
    assert await enqueue(connection, CLERK, "test.post", dedupe="letter 2") is not None
    assert await enqueue(connection, CLERK, "test.other", dedupe="letter 1") is not None
    assert await enqueue(connection, OTHER_PROVINCE, "test.post", dedupe="letter 1") is not None


async def test_a_dead_letter_whose_like_waits_already_is_not_replayed(connection: Connection) -> None:
    first = await enqueue(connection, CLERK, "test.post", dedupe="letter 1")
    assert first is not None
    await connection.execute("UPDATE infra.pgqueuer SET status = 'failed' WHERE id = $1", first)
    assert await enqueue(connection, CLERK, "test.post", dedupe="letter 1") is not None
    with pytest.raises(SameJobWaits):
        await replay_job(CLERK, connection, first)
    assert [dead.job_id for dead in await dead_jobs(CLERK, connection)] == [first]


async def test_a_job_whose_worker_is_killed_is_done_by_another(pool: Pool, dsn: str) -> None:
    await pool.execute("CREATE TABLE public.noted (what text NOT NULL)")
    async with transaction(pool) as connection:
        job_id = await enqueue(connection, CLERK, "test.slow")
    first = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.jobs.worker_that_is_killed",
        dsn,
        cwd=Path(__file__).parents[2],
        env={**os.environ, "PYTHONPATH": "src"},
    )
    try:
        await until(lambda: _holds(pool, "SELECT count(*) = 1 FROM public.noted"))
    finally:
        first.send_signal(signal.SIGKILL)
        await first.wait()

    async def finish(pool: Pool, run: JobRun) -> None:
        await pool.execute("INSERT INTO public.noted (what) VALUES ($1)", f"done by the second: {run.job_id}")

    async with working(runner_of(pool, job("test.slow", finish), lost_after_s=1)):
        await until(lambda: _holds(pool, "SELECT count(*) = 0 FROM infra.pgqueuer"))
    noted = [row["what"] for row in await pool.fetch("SELECT what FROM public.noted")]
    assert noted == [f"begun by the first: {job_id}", f"done by the second: {job_id}"]


async def test_a_job_that_takes_its_workers_down_is_given_up(pool: Pool) -> None:
    runs = 0

    async def crash(_: Pool, __: JobRun) -> None:
        nonlocal runs
        runs += 1

    async with transaction(pool) as connection:
        job_id = await enqueue(connection, CLERK, "test.crash")
        for _ in range(3):
            await connection.execute(
                "INSERT INTO infra.pgqueuer_log (job_id, status, entrypoint, priority)"
                " VALUES ($1, 'picked', 'test.crash', 0)",
                job_id,
            )
    async with working(runner_of(pool, job("test.crash", crash))):
        await until(lambda: _dead(pool, 1))
    (dead,) = await dead_of(pool)
    assert runs == 0
    assert dead.reason == "worker-lost-too-often: The worker was lost 3 times while doing this job."


async def test_a_stopped_worker_finishes_what_it_has_in_hand(pool: Pool) -> None:
    begun = asyncio.Event()
    done: list[str] = []

    async def slowly(_: Pool, run: JobRun) -> None:
        begun.set()
        await asyncio.sleep(0.5)
        done.append(run.job)

    async with transaction(pool) as connection:
        await enqueue(connection, CLERK, "test.slowly")
    async with working(runner_of(pool, job("test.slowly", slowly))) as stop:
        await begun.wait()
        stop.set()
    assert done == ["test.slowly"]
    assert await pool.fetchval("SELECT count(*) FROM infra.pgqueuer") == 0


async def test_what_a_stopped_worker_cannot_finish_goes_back_to_the_queue(pool: Pool) -> None:
    begun = asyncio.Event()

    async def for_ever(_: Pool, __: JobRun) -> None:
        begun.set()
        await asyncio.sleep(3600)

    async with transaction(pool) as connection:
        await enqueue(connection, CLERK, "test.for-ever")
    async with working(runner_of(pool, job("test.for-ever", for_ever), grace_s=0.2)) as stop:
        await begun.wait()
        stop.set()
    rows = await pool.fetch("SELECT status::text AS status FROM infra.pgqueuer")
    assert [row["status"] for row in rows] == ["queued"]
    assert await pool.fetchval("SELECT count(*) FROM infra.job_failure") == 0


async def test_a_cancelled_runner_loses_no_job(pool: Pool) -> None:
    begun = asyncio.Event()

    async def for_ever(_: Pool, __: JobRun) -> None:
        begun.set()
        await asyncio.sleep(3600)

    async with transaction(pool) as connection:
        await enqueue(connection, CLERK, "test.for-ever")
    task = asyncio.create_task(runner_of(pool, job("test.for-ever", for_ever)).run(asyncio.Event()))
    await begun.wait()
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
    rows = await pool.fetch("SELECT status::text AS status FROM infra.pgqueuer")
    assert [row["status"] for row in rows] == ["queued"]


async def test_jobs_are_done_after_every_connection_was_lost(pool: Pool) -> None:
    done: list[int] = []

    async def post(_: Pool, run: JobRun) -> None:
        done.append(run.job_id)

    async def enqueue_when_it_answers() -> bool:
        try:
            async with transaction(pool) as connection:
                await enqueue(connection, CLERK, "test.post")
        except DatabaseUnavailable:  # our own connection was among the lost
            return False
        return True

    async with working(runner_of(pool, job("test.post", post))):
        for _ in range(3):
            count = len(done)
            await until(enqueue_when_it_answers)
            await until(lambda count=count: _is(len(done) > count))  # type: ignore[misc]
            with contextlib.suppress(asyncpg.PostgresError, asyncpg.InterfaceError):
                await pool.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                    " WHERE datname = current_database() AND pid <> pg_backend_pid()"
                )
        await until(enqueue_when_it_answers)
        await until(lambda: _is(len(set(done)) >= 4))
    assert await dead_of(pool) == []


async def test_the_timetable_enqueues_once_and_in_vietnamese_time(pool: Pool, clock: SetClock) -> None:
    async def nightly(_: Pool, __: JobRun) -> None:
        """Nothing to do."""

    nights = Job(name="test.nightly", handle=nightly, audience=Audience.MACHINE, every="10 3 * * *")
    one, other = JobRunner(pool, clock, [nights]), JobRunner(pool, clock, [nights])
    await one.set_timetable()
    await other.set_timetable()
    assert await one.tick() == []
    clock.advance(timedelta(hours=15, minutes=9))
    assert await one.tick() == [], "it is 3:09 in Vietnam"
    clock.advance(timedelta(minutes=1))
    ticks = await asyncio.gather(one.tick(), other.tick())
    assert sorted(ticks) == [[], ["test.nightly"]]
    await pool.execute("DELETE FROM infra.pgqueuer")
    clock.advance(timedelta(days=3))
    assert await one.tick() == ["test.nightly"], "three nights missed make one run"
    assert await other.tick() == []


async def test_a_changed_timetable_counts_from_now(pool: Pool, clock: SetClock) -> None:
    async def nothing(_: Pool, __: JobRun) -> None:
        """Nothing to do."""

    def runner(every: str) -> JobRunner:
        job = Job(name="test.hourly", handle=nothing, audience=Audience.MACHINE, every=every)
        return JobRunner(pool, clock, [job])

    await runner("0 * * * *").set_timetable()
    await runner("*/5 * * * *").set_timetable()
    clock.advance(timedelta(minutes=5))
    assert await runner("*/5 * * * *").tick() == ["test.hourly"]


async def test_a_scheduled_job_runs(pool: Pool) -> None:
    runs: list[JobRun] = []

    async def note(_: Pool, run: JobRun) -> None:
        runs.append(run)

    each_second = Job(name="test.tick", handle=note, audience=Audience.MACHINE, every="* * * * * *")
    async with working(JobRunner(pool, SystemClock(), [each_second])):
        await until(lambda: _is(len(runs) >= 2))
    assert runs[0].actor_id == "urn:haidang:part:timetable"


def test_a_timetable_is_read_in_vietnamese_time() -> None:
    noon = datetime(2026, 11, 21, 5, tzinfo=UTC)
    assert next_time("10 3 * * *", noon) == datetime(2026, 11, 21, 20, 10, tzinfo=UTC)


async def test_declarations_that_cannot_work_are_refused(pool: Pool) -> None:
    async def nothing(_: Pool, __: JobRun) -> None:
        """Nothing to do."""

    one = job("test.one", nothing)
    with pytest.raises(JobsShareAName):
        JobRunner(pool, SystemClock(), [one, one])
    with pytest.raises(TimetableUnreadable):
        JobRunner(
            pool,
            SystemClock(),
            [Job(name="test.x", handle=nothing, audience=Audience.MACHINE, every="nightly")],
        )


async def test_the_state_of_the_queue_is_told(connection: Connection) -> None:
    await enqueue(connection, CLERK, "test.post")
    await enqueue(connection, CLERK, "test.post", run_at=datetime.now(UTC) + timedelta(hours=1))
    (state,) = await job_states(connection)
    assert (state.job, state.queued, state.due, state.running, state.dead) == ("test.post", 2, 1, 0, 0)
    assert state.due_since is not None


async def test_old_lines_of_the_log_are_deleted_but_not_of_jobs_in_the_queue(pool: Pool) -> None:
    async with transaction(pool) as connection:
        gone = await enqueue(connection, CLERK, "test.post")
        kept = await enqueue(connection, CLERK, "test.post")
        await connection.execute("DELETE FROM infra.pgqueuer WHERE id = $1", gone)
    later = datetime.now(UTC) + timedelta(days=8)
    assert await prune_job_log(pool, now=later, keep=timedelta(days=7)) == 1
    rows = await pool.fetch("SELECT job_id FROM infra.pgqueuer_log")
    assert [row["job_id"] for row in rows] == [kept]


async def _is(so: bool) -> bool:  # noqa: FBT001  (what `until` asks is a condition)
    return so


async def _holds(pool: Pool, sql: str) -> bool:
    return bool(await pool.fetchval(sql))


async def _dead(pool: Pool, count: int) -> bool:
    return len(await dead_of(pool)) == count


async def test_only_an_administrator_replays_and_discards_jobs(connection: Connection) -> None:
    for actor in (anonymous(), machine("gateway")):
        with pytest.raises(JobsAreForAdministrators):
            await replay_job(actor, connection, 1)
        with pytest.raises(JobsAreForAdministrators):
            await discard_job(actor, connection, 1)
