"""The workload as figures: what waits, since when, what is held and what is dead."""

from datetime import timedelta

from haidang.infra.consumers import Consumer, ConsumerRunner
from haidang.infra.database import Connection, Pool, transaction
from haidang.infra.events import Envelope, assign_positions, publish
from haidang.infra.jobs import enqueue
from haidang.infra.telemetry import REGISTRY
from haidang.infra.workload import WorkloadWatch
from haidang.kernel.actors import Audience
from haidang.kernel.instants import SetClock
from tests.events.facts import PumpCounted
from tests.events.helpers import GAUGE


async def refuse(_: Connection, envelope: Envelope) -> None:
    raise ZeroDivisionError(envelope.position)


async def test_what_waits_is_counted_and_aged(pool: Pool, clock: SetClock) -> None:
    consumer = Consumer(
        name="test.refusing",
        listens_to=(PumpCounted,),
        handle=refuse,
        audience=Audience.MACHINE,
        attempts=1,
    )
    async with transaction(pool) as connection:
        for number in range(2):
            event = PumpCounted(subject="urn:x:pump", number=number)
            await publish(connection, GAUGE, event, at=clock.now())
        await enqueue(connection, GAUGE, "test.post")
        await enqueue(connection, GAUGE, "test.post", run_at=clock.now() + timedelta(days=36500))
    watch = WorkloadWatch(pool, clock)
    found = await watch.look()
    assert found.log.pending == 2
    assert REGISTRY.get_sample_value("haidang_events_unplaced") == 2
    async with pool.acquire() as connection:
        await assign_positions(connection)
    await ConsumerRunner(pool, clock, [consumer]).catch_up()
    clock.advance(timedelta(minutes=10))
    found = await watch.look()
    assert found.held == ("test.refusing",)
    assert (found.dead_events, found.dead_jobs) == (0, 0)

    def figure(name: str, **labels: str) -> float | None:
        return REGISTRY.get_sample_value(f"haidang_{name}", labels)

    assert figure("consumer_lag", consumer="test.refusing") == 2
    assert figure("consumer_waiting_seconds", consumer="test.refusing") == 600
    assert figure("consumer_held", consumer="test.refusing") == 1
    assert figure("jobs", job="test.post", state="due") == 1
    assert figure("jobs", job="test.post", state="later") == 1
    await pool.execute("DELETE FROM infra.pgqueuer")
    await watch.look()
    assert figure("jobs", job="test.post", state="due") == 0
