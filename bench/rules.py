"""Rules at work: from the commit of a change to the alarm that another connection sees.

    python bench/rules.py [--seconds 20] [--rate 1000] [--entities 10000] [--rules 500]

The entities are of ten types, the rules spread evenly over the types and over ten attributes of each:
a change says two attributes of one entity, so that a fiftieth of the rules of its type and a tenth of
those ask for it. Of the rules four fifths compare a number, a tenth want it to last, a tenth to be
heard of within ten minutes. About one change in a hundred crosses a limit. The rules run in a process
of their own, with the sequencer; writing is done here, in commits of twenty changes, on schedule.
"""

import argparse
import asyncio
import random
import sys
import time
from collections.abc import Sequence
from datetime import timedelta

import machine
from measure import percentile, table, use

from haidang.context.model import AttributeInstance, Command, MergeObservations
from haidang.context.writer import apply_commands
from haidang.infra.consumers import ConsumerRunner, consumer_states
from haidang.infra.database import Pool, open_pool, reading, transaction
from haidang.infra.embedded import TemporaryCluster
from haidang.infra.events import Sequencer, log_state
from haidang.infra.migrations import migrate
from haidang.kernel.actors import part
from haidang.kernel.instants import SystemClock
from haidang.rules.service import load_rules
from haidang.rules.watching import CONSUMER
from haidang.rules.working import DeadlineWatch, rule_consumers
from haidang.sdk.model import Attribute, EntityType, Pack, Rule, Severity

TYPES, ATTRIBUTES, A_COMMIT = 10, 10, 20
BASE = "https://example.vn/bench/"
ACTOR = part("bench")


def entity_type(number: int) -> EntityType:
    """The n-th type, with its numbers."""
    attributes = tuple(
        Attribute(f"a{one}", f"{BASE}t{number}/a{one}", unit="MTR") for one in range(ATTRIBUTES)
    )
    return EntityType(f"T{number}", f"{BASE}T{number}", f"T{number}", attributes)


def rule(number: int) -> Rule:
    """The n-th rule."""
    kind, attribute = number % TYPES, f"a{number // TYPES % ATTRIBUTES}"
    told = {"label": f"Rule {number}", "entity_type": f"T{kind}", "severity": Severity.MINOR}
    shape = number // TYPES % 50 // 5
    if shape == 9:
        return Rule(f"rule-{number}", **told, absent=attribute, absent_for=timedelta(minutes=10))  # type: ignore[arg-type]  # told
    lasting = timedelta(seconds=5) if shape == 8 else timedelta(0)
    return Rule(f"rule-{number}", **told, q=f"{attribute}>{90 + number % 7}", lasting=lasting)  # type: ignore[arg-type]  # told


def pack(rules: int) -> Pack:
    """Everything in one pack."""
    return Pack(
        "bench",
        "1",
        "Bench",
        entity_types=tuple(map(entity_type, range(TYPES))),
        rules=tuple(map(rule, range(rules))),
    )


def change(number: int, dice: random.Random) -> tuple[Command, bool]:
    """A change of an entity: two attributes, one of them over every limit now and then."""
    kind, now = number % TYPES, SystemClock().now()
    high = dice.random() < 0.01
    first = dice.randrange(ATTRIBUTES)
    values = {first: 99.0 if high else dice.random() * 80, (first + 1) % ATTRIBUTES: dice.random() * 80}
    attributes = tuple(
        AttributeInstance(f"{BASE}t{kind}/a{place}", value, unit="MTR", observed_at=now)
        for place, value in values.items()
    )
    name = f"urn:ngsi-ld:T{kind}:{number}"
    return MergeObservations(entity_id=name, type_iri=f"{BASE}T{kind}", attributes=attributes), high


async def work(dsn: str, rules: int) -> None:
    """The rules, in a process of their own."""
    clock, packs, never = SystemClock(), (pack(rules),), asyncio.Event()
    pool = await open_pool(dsn, largest=6)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(Sequencer(pool).run(never))
        tasks.create_task(ConsumerRunner(pool, clock, rule_consumers(packs, clock)).run(never))
        tasks.create_task(DeadlineWatch(pool, clock, packs).run(never))


async def see(pool: Pool, seen: dict[str, float], stop: asyncio.Event) -> None:
    """Look every few milliseconds which entities have a new alarm of a rule without a duration."""
    after = ""
    while not stop.is_set():
        async with reading(pool) as connection:
            rows = await connection.fetch(
                "SELECT alarm_id, entity_id FROM rules.alarm"
                " WHERE tenant = 'default' AND alarm_id > $1 ORDER BY alarm_id",
                after,
            )
        at = time.perf_counter()
        for row in rows:
            seen.setdefault(row["entity_id"], at)
            after = row["alarm_id"]
        await asyncio.sleep(0.005)


async def write(pool: Pool, commands: Sequence[Command]) -> float:
    """One commit; when it was done."""
    async with transaction(pool) as connection:
        await apply_commands(connection, ACTOR, commands, now=SystemClock().now())
    return time.perf_counter()


async def waiting(pool: Pool) -> int:
    """How many events the rules have still to handle."""
    async with reading(pool) as connection:
        states = {one.consumer: one.lag for one in await consumer_states(connection)}
        return states[CONSUMER] + (await log_state(connection)).pending


async def measure(dsn: str, seconds: float, rate: int, entities: int, rules: int) -> None:
    """Seed, start the rules, load them, and end them."""
    pool = await open_pool(dsn, largest=6)
    async with pool.acquire() as connection:
        await migrate(connection)
    for first in range(0, entities, 500):
        await write(pool, [change(n, random.Random(n + 7))[0] for n in range(first, first + 500)])  # noqa: S311  # a load
    async with transaction(pool) as connection:
        await load_rules(ACTOR, connection, [pack(rules)], now=SystemClock().now())
    clock = SystemClock()
    await ConsumerRunner(pool, clock, rule_consumers([pack(rules)], clock)).register()
    worker = await asyncio.create_subprocess_exec(
        sys.executable, __file__, "--work", dsn, "--rules", str(rules)
    )
    try:
        await load(pool, worker.pid, seconds, rate, (entities, rules))
    finally:
        worker.kill()
        await worker.wait()
    await pool.close()


async def load(pool: Pool, worker: int, seconds: float, rate: int, size: tuple[int, int]) -> None:
    """Write on schedule, wait until the rules have handled everything, and print."""
    (entities, rules), dice = size, random.Random(1)  # noqa: S311  # a load
    stop, seen, crossed = asyncio.Event(), dict[str, float](), dict[str, float]()
    looking = asyncio.create_task(see(pool, seen, stop))
    await write(pool, [change(0, random.Random(0))[0]])  # noqa: S311  # a load
    while await waiting(pool):  # noqa: ASYNC110  # until it has started
        await asyncio.sleep(0.1)
    behind, begun = 0.0, time.perf_counter()
    with use({"rules": worker}) as used:
        for number in range(int(seconds * rate / A_COMMIT)):
            due = begun + number * A_COMMIT / rate
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            numbers = dice.sample(range(entities), A_COMMIT)
            changes = [change(one, dice) for one in numbers]
            done = await write(pool, [command for command, _ in changes])
            behind = max(behind, done - due)
            for command, high in changes:
                if high:
                    crossed.setdefault(command.entity_id, done)
    written = int(seconds * rate / A_COMMIT) * A_COMMIT
    caught_up = time.perf_counter()
    async with asyncio.timeout(60):
        while await waiting(pool):  # noqa: ASYNC110  # another process works
            await asyncio.sleep(0.05)
    caught_up = time.perf_counter() - caught_up
    await asyncio.sleep(0.1)
    stop.set()
    await looking
    lags = [max(0.0, seen[one] - at) * 1e3 for one, at in crossed.items() if one in seen]
    table(
        (
            "rules over entities",
            "changes/s",
            "alarms",
            "p50 ms",
            "p95 ms",
            "p99 ms",
            "worst",
            "rules CPU %",
            "behind s",
        ),
        [
            (
                f"{rules} over {entities:,}",
                written / used.seconds,
                len(lags),
                percentile(lags, 50),
                percentile(lags, 95),
                percentile(lags, 99),
                max(lags, default=float("nan")),
                100 * used.cpu["rules"] / used.seconds,
                max(behind, caught_up),
            )
        ],
    )
    print(f"{len(crossed) - len(lags)} crossings without an alarm of a rule without a duration or a silence")


def main() -> None:
    """Read what is asked for, and measure."""
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    asked.add_argument("--seconds", type=float, default=20)
    asked.add_argument("--rate", type=int, default=1000)
    asked.add_argument("--entities", type=int, default=10_000)
    asked.add_argument("--rules", type=int, default=500)
    asked.add_argument("--work", default="")
    given = asked.parse_args()
    if given.work:
        asyncio.run(work(given.work, given.rules))
        return
    machine.main()
    with TemporaryCluster() as cluster:
        asyncio.run(measure(cluster.dsn(), given.seconds, given.rate, given.entities, given.rules))


if __name__ == "__main__":
    main()
