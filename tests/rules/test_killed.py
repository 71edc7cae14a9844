"""kill -9 in the middle of durations: no alarm is missed, doubled, or told with another beginning or end."""

import asyncio
import random
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from haidang.context.model import AttributeInstance, MergeObservations
from haidang.context.writer import apply_commands
from haidang.infra.consumers import ConsumerRunner
from haidang.infra.database import Pool, reading, transaction
from haidang.infra.events import assign_positions
from haidang.kernel.instants import Instant, SystemClock
from haidang.rules.service import alarms, load_rules, try_rule
from haidang.rules.working import DeadlineWatch, rule_consumers
from tests.rules.town import BASE, GAUGE, OFFICER, SOURCE, pack_of
from tests.rules.worker import RULES

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]

ROOT = Path(__file__).resolve().parents[2]
GAUGES, TICKS, KILLED_EVERY = 15, 45, 9
Told = tuple[str, str, Instant, Instant | None]


async def start(dsn: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(sys.executable, "-m", "tests.rules.worker", dsn, cwd=ROOT)


async def observe(pool: Pool, levels: list[float]) -> None:
    """Every gauge says its level, in one commit."""
    now = SystemClock().now()
    commands = [
        MergeObservations(
            entity_id=f"urn:ngsi-ld:Gauge:{number}",
            type_iri=GAUGE.iri,
            attributes=(AttributeInstance(BASE + "level", level, observed_at=now),),
        )
        for number, level in enumerate(levels)
    ]
    async with transaction(pool) as connection:
        await apply_commands(connection, SOURCE, commands, now=now)


async def raised(pool: Pool) -> list[Told]:
    """What the rules have raised."""
    async with reading(pool) as connection:
        found = await alarms(OFFICER, connection, now=SystemClock().now(), state="all", most=500)
    return sorted(((one.rule_id, one.entity_id, one.since, one.cleared_at) for one in found), key=str)


async def expected(pool: Pool, since: Instant) -> list[Told]:
    """What they would have raised, all observations at hand."""
    found: list[Told] = []
    async with reading(pool) as connection:
        for rule in RULES:
            trial = await try_rule(
                OFFICER,
                connection,
                replace(rule, rule_id="tried"),
                since=since,
                until=SystemClock().now(),
                packs=[pack_of()],
            )
            found += [(rule.rule_id, one.entity_id, one.since, one.cleared_at) for one in trial.raised]
    return sorted(found, key=str)


async def test_a_killed_work_part_misses_no_alarm_and_doubles_none(pool: Pool, dsn: str) -> None:
    dice = random.Random(4)  # noqa: S311  # levels of gauges
    clock, packs = SystemClock(), [pack_of(*RULES)]
    began = clock.now()
    async with transaction(pool) as connection:
        await load_rules(SOURCE, connection, packs, now=began)
    await ConsumerRunner(pool, clock, rule_consumers(packs, clock)).register()
    worker = await start(dsn)
    levels = [1.0] * GAUGES
    try:
        for tick in range(TICKS):
            levels = [dice.choice([1.0, 2.5, 3.5]) if dice.random() < 0.12 else level for level in levels]
            await observe(pool, levels)
            await asyncio.sleep(0.1)  # observations have moments of their own
            if tick % KILLED_EVERY == KILLED_EVERY - 1:
                worker.kill()
                await worker.wait()
                worker = await start(dsn)
    finally:
        worker.kill()
        await worker.wait()
    # Whoever comes after does what was left undone, and time passes.
    await observe(pool, levels)
    async with transaction(pool) as connection:
        await assign_positions(connection)
    await ConsumerRunner(pool, clock, rule_consumers(packs, clock)).catch_up()
    async with asyncio.timeout(60):
        while await raised(pool) != (due := await expected(pool, began)):
            await DeadlineWatch(pool, clock, packs).look()
            await asyncio.sleep(0.2)
    assert len(due) > GAUGES
    async with reading(pool) as connection:
        told = await connection.fetch(
            "SELECT kind, count(*) AS times FROM infra.event WHERE kind IN"
            " ('rules.alarm-raised', 'rules.alarm-cleared') GROUP BY kind"
        )
    assert {row["kind"]: row["times"] for row in told} == {
        "rules.alarm-raised": len(due),
        "rules.alarm-cleared": sum(cleared is not None for _, _, _, cleared in due),
    }
