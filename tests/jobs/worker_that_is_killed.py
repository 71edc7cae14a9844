"""A worker of its own: begins the job `test.slow`, says so in a table, and never ends it.

Started by a test as `python -m tests.jobs.worker_that_is_killed DSN` and killed by it.
"""

import asyncio
import sys

from haidang.infra.database import Pool, open_pool
from haidang.infra.jobs import Job, JobRun, JobRunner
from haidang.kernel.actors import Audience
from haidang.kernel.instants import SystemClock


async def begin_and_hang(pool: Pool, run: JobRun) -> None:
    """Note that the job began, then wait for a long time."""
    await pool.execute("INSERT INTO public.noted (what) VALUES ($1)", f"begun by the first: {run.job_id}")
    await asyncio.sleep(3600)


async def main() -> None:
    """Work until killed."""
    pool = await open_pool(sys.argv[1], largest=4)
    job = Job(name="test.slow", handle=begin_and_hang, audience=Audience.MACHINE)
    await JobRunner(pool, SystemClock(), [job], lost_after_s=1).run(asyncio.Event())


if __name__ == "__main__":
    asyncio.run(main())
