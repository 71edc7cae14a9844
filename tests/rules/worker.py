"""A work part with nothing but rules in it, to be killed: `python -m tests.rules.worker DSN`."""

import asyncio
import sys
from datetime import timedelta

from haidang.infra.consumers import ConsumerRunner
from haidang.infra.database import open_pool
from haidang.infra.events import Sequencer
from haidang.kernel.instants import SystemClock
from haidang.rules.working import DeadlineWatch, rule_consumers
from haidang.sdk.model import Rule
from tests.rules.town import gauge_rule, pack_of

SECOND = timedelta(seconds=1)
RULES: tuple[Rule, ...] = (
    gauge_rule("at-once"),
    gauge_rule("lasting", lasting=SECOND),
    gauge_rule("hysteresis", q="level>3", clear_q="level<2", clear_lasting=SECOND / 2),
)


async def work(dsn: str) -> None:
    """Give positions, follow the log, watch deadlines, until killed."""
    clock, packs, never = SystemClock(), (pack_of(*RULES),), asyncio.Event()
    pool = await open_pool(dsn, largest=5)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(Sequencer(pool).run(never))
        tasks.create_task(ConsumerRunner(pool, clock, rule_consumers(packs, clock)).run(never))
        tasks.create_task(DeadlineWatch(pool, clock, packs, every_s=0.1).run(never))


if __name__ == "__main__":
    asyncio.run(work(sys.argv[1]))
