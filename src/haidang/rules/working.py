"""What of `rules` runs in the work part: the consumer, the loop over deadlines, the look over entities."""

import asyncio
from collections.abc import Sequence
from typing import Final

from haidang.context.events import EntitiesChanged
from haidang.infra.consumers import Consumer
from haidang.infra.database import Pool, transaction
from haidang.infra.failures import a_retry_helps, reason_of
from haidang.infra.jobs import Job, JobRun
from haidang.infra.telemetry import logger
from haidang.kernel.actors import DEFAULT_TENANT, Audience
from haidang.kernel.instants import Clock
from haidang.rules.service import LOOK_OVER, LookOver
from haidang.rules.watching import AT_ONCE, CONSUMER, Watcher
from haidang.sdk.model import Pack

log = logger("rules")

_BATCH: Final = 10
"""What is handled together is seen together: in a larger batch the first alarm waits for the last."""


def rule_consumers(packs: Sequence[Pack], clock: Clock) -> tuple[Consumer, ...]:
    """The one consumer that moves conditions on. A rule new to it is taken to what was there before."""
    watcher = Watcher(packs, clock)
    consumer = Consumer(
        name=CONSUMER,
        listens_to=(EntitiesChanged,),
        handle=watcher.take,
        audience=Audience.MACHINE,
        starts="now",
        batch=_BATCH,
    )
    return (consumer,)


def rule_jobs(packs: Sequence[Pack], clock: Clock) -> tuple[Job, ...]:
    """The job that takes a rule to every entity of its type, a page in a transaction."""
    watcher = Watcher(packs, clock)

    async def look_over(pool: Pool, run: JobRun) -> None:
        rule_id, skip = run.read(LookOver).rule_id, 0
        while True:
            async with transaction(pool) as connection:
                count = await watcher.look_over(connection, run.tenant, rule_id, skip)
            if count < AT_ONCE:
                return
            skip += count

    return (Job(name=LOOK_OVER, handle=look_over, audience=Audience.MACHINE),)


class DeadlineWatch:
    """Looks every second which durations have ended. Several may run: one at a time holds the book.

    A loop over rows that are due and not a job for each: most deadlines are taken back before they
    come, and what is written in rows survives whoever looks at them. See ADR 0057.
    """

    def __init__(self, pool: Pool, clock: Clock, packs: Sequence[Pack], *, every_s: float = 1.0) -> None:
        self._pool = pool
        self._watcher = Watcher(packs, clock)
        self._every_s = every_s

    async def run(self, stop: asyncio.Event) -> None:
        """Watch until told to stop."""
        while not stop.is_set():
            try:
                await self.look()
            except Exception as error:
                # Also a bug of ours: the other parts of the work go on, and the next look may pass.
                if a_retry_helps(error):
                    log.warning("deadlines-wait", reason=reason_of(error))
                else:
                    log.exception("deadlines-failed")
            try:
                async with asyncio.timeout(self._every_s):
                    await stop.wait()
            except TimeoutError:
                continue

    async def look(self) -> None:
        """Look once at everything that is due."""
        while True:
            async with transaction(self._pool) as connection:
                if await self._watcher.look(connection, DEFAULT_TENANT) < AT_ONCE:
                    return
