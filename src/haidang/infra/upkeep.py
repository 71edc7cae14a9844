"""What keeps `infra`'s own tables short: jobs of the night, declared like any other."""

from datetime import timedelta

from haidang.infra.database import Pool, transaction
from haidang.infra.events import prune_log
from haidang.infra.idempotency import purge_receipts
from haidang.infra.jobs import Job, JobRun, prune_job_log
from haidang.kernel.actors import Audience, part
from haidang.kernel.instants import Clock

EVENTS_KEPT = timedelta(days=30)
"""How long the event log keeps what every consumer has passed, where no setting says otherwise."""

JOBS_KEPT = timedelta(days=90)
"""How long the log of jobs that were done is kept."""

_PURGED_AT_ONCE = 10_000


def upkeep_jobs(clock: Clock, *, events_kept: timedelta = EVENTS_KEPT) -> tuple[Job, ...]:
    """The jobs that prune the event log, the job log and expired receipts."""

    async def prune_events(pool: Pool, _run: JobRun) -> None:
        await prune_log(pool, now=clock.now(), keep=events_kept)

    async def prune_jobs(pool: Pool, _run: JobRun) -> None:
        await prune_job_log(pool, now=clock.now(), keep=JOBS_KEPT)

    async def forget_receipts(pool: Pool, _run: JobRun) -> None:
        gone = _PURGED_AT_ONCE
        while gone == _PURGED_AT_ONCE:
            async with transaction(pool) as connection:
                gone = await purge_receipts(part("upkeep"), connection, now=clock.now(), most=_PURGED_AT_ONCE)

    return (
        Job(name="prune-events", handle=prune_events, audience=Audience.ADMINISTRATOR, every="10 3 * * *"),
        Job(name="prune-jobs", handle=prune_jobs, audience=Audience.ADMINISTRATOR, every="20 3 * * *"),
        Job(
            name="forget-receipts",
            handle=forget_receipts,
            audience=Audience.ADMINISTRATOR,
            every="40 * * * *",
        ),
    )
