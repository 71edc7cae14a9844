"""What the workers have before them: positions to give, events to handle, jobs to do, dead letters.

The same facts for `/readyz`, for `/metrics` and for a person at the command line.
"""

import asyncio
import contextlib
from dataclasses import dataclass

from haidang.infra.consumers import ConsumerState, consumer_states
from haidang.infra.database import Connection, DatabaseUnavailable, Pool, reading
from haidang.infra.events import LogState, log_state
from haidang.infra.jobs import JobState, job_states
from haidang.infra.telemetry import gauge, logger
from haidang.kernel.instants import Clock

_log = logger("infra")

# Every worker says the same of the one database: the latest word counts.
_LATEST = "livemostrecent"
UNPLACED = gauge("events_unplaced", "Committed events that have no position yet.", over_processes=_LATEST)
LAG = gauge("consumer_lag", "Events a consumer has still to handle.", ("consumer",), over_processes=_LATEST)
WAITING = gauge(
    "consumer_waiting_seconds",
    "Age of the oldest event a consumer has still to handle.",
    ("consumer",),
    over_processes=_LATEST,
)
HELD = gauge("consumer_held", "1 where a consumer is held.", ("consumer",), over_processes=_LATEST)
JOBS = gauge("jobs", "Jobs in the queue by state.", ("job", "state"), over_processes=_LATEST)
DEAD = gauge("dead_letters", "Events skipped and jobs given up.", ("of",), over_processes=_LATEST)


@dataclass(frozen=True, slots=True)
class Workload:
    """The event log, its consumers and the job queue at one moment."""

    log: LogState
    consumers: tuple[ConsumerState, ...]
    jobs: tuple[JobState, ...]

    @property
    def held(self) -> tuple[str, ...]:
        """The consumers that wait for a person."""
        return tuple(one.consumer for one in self.consumers if one.held_at is not None)

    @property
    def dead_events(self) -> int:
        """Events that consumers were passed over."""
        return sum(one.dead_letters for one in self.consumers)

    @property
    def dead_jobs(self) -> int:
        """Jobs that were given up."""
        return sum(one.dead for one in self.jobs)


async def workload(connection: Connection) -> Workload:
    """What there is to do now, over all tenants."""
    return Workload(
        log=await log_state(connection),
        consumers=tuple(await consumer_states(connection)),
        jobs=tuple(await job_states(connection)),
    )


class WorkloadWatch:
    """Keeps the figures of `/metrics` up to date; one runs in each worker."""

    def __init__(self, pool: Pool, clock: Clock, *, every_s: float = 15.0) -> None:
        self._pool = pool
        self._clock = clock
        self._every_s = every_s
        self._said: set[tuple[str, str]] = set()

    async def run(self, stop: asyncio.Event) -> None:
        """Look now and every few seconds until stopped."""
        while not stop.is_set():
            try:
                await self.look()
            except DatabaseUnavailable as trouble:
                _log.warning("workload-unknown", reason=str(trouble))
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._every_s):
                    await stop.wait()

    async def look(self) -> Workload:
        """Look once and set the figures."""
        async with reading(self._pool) as connection:
            found = await workload(connection)
        now = self._clock.now()
        UNPLACED.set(found.log.pending)
        for one in found.consumers:
            LAG.labels(one.consumer).set(one.lag)
            waited = 0.0 if one.waiting_since is None else (now - one.waiting_since).total_seconds()
            WAITING.labels(one.consumer).set(max(0.0, waited))
            HELD.labels(one.consumer).set(one.held_at is not None)
        # A queue that has run empty is 0, not what it was.
        by_state = dict.fromkeys(self._said, 0)
        for job in found.jobs:
            by_state[job.job, "due"] = job.due
            by_state[job.job, "later"] = job.queued - job.due
            by_state[job.job, "running"] = job.running
            by_state[job.job, "dead"] = job.dead
        for (name, state), count in by_state.items():
            JOBS.labels(name, state).set(count)
        self._said = set(by_state)
        DEAD.labels("events").set(found.dead_events)
        DEAD.labels("jobs").set(found.dead_jobs)
        return found
