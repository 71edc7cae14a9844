"""Health: alive is one thing, ready another; a check that hangs or fails is named and nothing leaks."""

import asyncio

import msgspec
import pytest
from structlog.testing import capture_logs

from haidang.infra.database import Pool
from haidang.infra.health import (
    HealthChecks,
    connected,
    consumers_going,
    database_reachable,
    migrations_current,
)
from haidang.infra.telemetry import metrics_page
from haidang.kernel.errors import Unavailable
from haidang.kernel.instants import SetClock


class BrokerAway(Unavailable):
    """The broker at {url} does not answer."""


async def fine() -> None:
    """All is well."""


async def away() -> None:
    raise BrokerAway(url="mqtt://user:hunter2@broker")


async def hangs() -> None:
    await asyncio.sleep(60)


async def stumbles() -> None:
    raise ZeroDivisionError


async def test_a_database_that_is_there_and_current(pool: Pool, clock: SetClock) -> None:
    checks = HealthChecks("web", "1.0", clock)
    checks.need("database", database_reachable(pool))
    checks.need("migrations", migrations_current(pool))
    answer = await checks.readiness()
    assert answer.status == "ready"
    assert answer.checked_at == clock.now()
    assert checks.health().status == "alive"


async def test_an_outstanding_migration_is_not_ready(pool: Pool, clock: SetClock) -> None:
    async with pool.acquire() as connection:
        await connection.execute("DELETE FROM infra.migration WHERE number = 1")
    checks = HealthChecks("web", "1.0", clock)
    checks.need("migrations", migrations_current(pool))
    answer = await checks.readiness()
    assert not answer.ready
    assert answer.checks[0].trouble == "migrations-outstanding"


async def test_a_database_that_is_away_is_not_ready(pool: Pool, clock: SetClock) -> None:
    checks = HealthChecks("web", "1.0", clock)
    checks.need("database", database_reachable(pool))
    await pool.close()
    answer = await checks.readiness()
    assert not answer.ready
    assert answer.checks[0].trouble == "database-unavailable"


async def test_each_trouble_is_named_and_none_tells_a_secret(clock: SetClock) -> None:
    checks = HealthChecks("worker", "1.0", clock)
    checks.need("fine", fine)
    checks.need("broker", away)
    checks.need("slow", hangs, patience_s=0.02)
    checks.need("odd", stumbles)
    answer = await checks.readiness()
    assert {one.name: one.trouble for one in answer.checks} == {
        "fine": None,
        "broker": "broker-away",
        "slow": "check-took-too-long",
        "odd": "ZeroDivisionError",
    }
    assert b"hunter2" not in msgspec.json.encode(answer)


async def test_what_is_not_essential_only_degrades(clock: SetClock) -> None:
    checks = HealthChecks("web", "1.0", clock)
    checks.need("fine", fine)
    checks.need("broker", away, essential=False)
    answer = await checks.readiness()
    assert answer.ready
    assert answer.status == "degraded"


async def test_a_part_that_is_leaving_is_not_ready(clock: SetClock) -> None:
    checks = HealthChecks("web", "1.0", clock)
    assert (await checks.readiness()).ready
    checks.stop()
    assert not (await checks.readiness()).ready


async def test_many_questions_are_one_check(clock: SetClock) -> None:
    asked = 0

    async def count() -> None:
        nonlocal asked
        asked += 1
        await asyncio.sleep(0.01)

    checks = HealthChecks("web", "1.0", clock)
    checks.need("counted", count)
    await asyncio.gather(*(checks.readiness() for _ in range(50)))
    assert asked == 1


async def test_a_held_consumer_is_noticed(pool: Pool, clock: SetClock) -> None:
    checks = HealthChecks("work", "1.0", clock)
    checks.need("consumers", consumers_going(pool), essential=False)
    async with pool.acquire() as connection:
        await connection.execute(
            "INSERT INTO infra.event_consumer (consumer, listens_to, position) VALUES ('c', '{x}', 0)"
        )
        assert (await checks.readiness()).status == "ready"
        await connection.execute(
            "UPDATE infra.event_consumer SET held_at = now(), held_by = 'urn:x:y', held_reason = 'r'"
        )
    checks = HealthChecks("work", "1.0", clock)
    checks.need("consumers", consumers_going(pool), essential=False)
    answer = await checks.readiness()
    assert answer.status == "degraded"
    assert answer.checks[0].trouble == "consumers-held"


async def test_a_part_that_nobody_asks_says_it_in_the_figures_and_once_in_the_log(
    clock: SetClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("haidang.infra.health._FRESH_S", 0.0)
    there = True
    checks = HealthChecks("intake", "1.0", clock)
    checks.need("broker", connected("broker", lambda: there))
    stop = asyncio.Event()
    with capture_logs() as lines:
        watching = asyncio.create_task(checks.watch(stop, every_s=0.01, first_after_s=0.0))
        await until_ready_is("intake", "broker", "1.0")
        there = False
        await until_ready_is("intake", "broker", "0.0")
        there = True
        await until_ready_is("intake", "broker", "1.0")
        stop.set()
        await watching
    said = [(line["event"], line["need"], line["trouble"]) for line in lines]
    assert said == [("need-unmet", "broker", "not-connected"), ("need-met", "broker", None)]


async def until_ready_is(part: str, need: str, figure: str) -> None:
    line = f'haidang_ready{{need="{need}",part="{part}"}} {figure}'
    async with asyncio.timeout(20):
        while line not in metrics_page()[0].decode().splitlines():  # noqa: ASYNC110 - figures wake nobody
            await asyncio.sleep(0.01)
