"""Jobs of the context: days have their partitions before the first reading of the day arrives."""

from haidang.context.service import prepare_days
from haidang.infra.database import Pool, transaction
from haidang.infra.jobs import Job, JobRun
from haidang.kernel.actors import Audience, part
from haidang.kernel.instants import Clock


def upkeep_jobs(clock: Clock) -> tuple[Job, ...]:
    """The job that makes partitions ahead of need, every six hours."""

    async def make_days(pool: Pool, _run: JobRun) -> None:
        async with transaction(pool) as connection:
            await prepare_days(part("upkeep"), connection, now=clock.now())

    return (Job(name="prepare-days", handle=make_days, audience=Audience.ADMINISTRATOR, every="5 */6 * * *"),)
