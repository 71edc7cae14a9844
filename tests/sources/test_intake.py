"""From a real broker into a real database: killed, cut off and lied to, nothing acknowledged is lost."""

import asyncio
import contextlib
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import asyncpg
import msgspec
import pytest

from haidang.infra.database import DatabaseUnavailable, Pool, open_pool, prepare_connection, transaction
from haidang.infra.embedded import TemporaryCluster, start_cluster
from haidang.infra.migrations import migrate
from haidang.infra.mqtt import Delivery, MqttAddress, MqttPublisher
from haidang.kernel.actors import part
from haidang.kernel.instants import SystemClock
from haidang.packs.environment.pack import PACK
from haidang.sources import intake as intake_module
from haidang.sources.intake import MqttIntake
from haidang.sources.model import DeclaredSource, QuarantinedMessage, Reason, declared_sources
from haidang.sources.service import list_quarantine, take_messages
from tests.sources.brokers import RealBroker

ACTOR = part("sources")
DECLARED = declared_sources([PACK])
START = datetime.now(UTC).replace(second=0, microsecond=0) - timedelta(days=20)
STATIONS = 5


def reading(number: int) -> tuple[str, bytes]:
    """The n-th reading: its topic and payload; every one of them at a moment of its own."""
    name = f"kill-{number % STATIONS}"
    at = START + timedelta(minutes=10 * (number // STATIONS))
    sent = {
        "id": f"urn:ngsi-ld:AirQualityObserved:{name}",
        "observedAt": at.isoformat(),
        "period": 600,
        "values": {"pm25": {"value": number % 100, "unit": "GQ"}},
    }
    return f"haidang/air/{name}", msgspec.json.encode(sent)


@contextlib.asynccontextmanager
async def taking(pool: Pool, broker: RealBroker) -> AsyncIterator[MqttIntake]:
    """The intake as a task, connected; stopped in order at the end."""
    intake = MqttIntake(pool, SystemClock(), DECLARED, broker.address, longest_pause_s=0.3)
    stop = asyncio.Event()
    task = asyncio.create_task(intake.run(stop))
    try:
        await intake.ready(patience_s=15)
        yield intake
    finally:
        stop.set()
        await task


async def publish(broker: RealBroker, messages: Sequence[tuple[str, bytes]], *, pause_s: float = 0) -> None:
    """Publish in a thread, `pause_s` after each message, and wait until the broker has all of them."""

    def send() -> None:
        with MqttPublisher(broker.address) as publisher:
            sent = []
            for topic, payload in messages:
                sent.append(publisher.send(topic, payload))
                if pause_s:
                    sent[-1].wait_for_publish(pause_s)
            for one in sent:
                one.wait_for_publish(60)
            assert all(one.is_published() for one in sent)

    await asyncio.to_thread(send)


def start_consumer(dsn: str, broker: RealBroker) -> subprocess.Popen[bytes]:
    """The intake as a process of its own."""
    command = [sys.executable, "-m", "tests.sources.consumer", dsn, broker.url]
    return subprocess.Popen(command, cwd=Path(__file__).parents[2])


async def count(pool: Pool) -> tuple[int, int]:
    """Rows of PM2.5 in the history, and their distinct moments."""
    row = await pool.fetchrow(
        "SELECT count(*), count(DISTINCT (o.entity_no, o.observed_at)) FROM context.observation AS o"
        " JOIN context.name AS n ON n.name_no = o.attribute_no WHERE n.iri LIKE '%/pm25'"
    )
    return row[0], row[1]


async def until_stored(pool: Pool, wanted: int, *, patience_s: float = 60) -> tuple[int, int]:
    """The count, as soon as there are `wanted` moments, or when patience ends."""
    deadline = asyncio.get_running_loop().time() + patience_s
    found = (0, 0)
    while found[1] < wanted and asyncio.get_running_loop().time() < deadline:
        await asyncio.sleep(0.1)
        with contextlib.suppress(OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
            found = await count(pool)
    return found


async def quarantined(pool: Pool, wanted: int) -> list[QuarantinedMessage]:
    """What is in quarantine, as soon as there are `wanted`."""
    async with asyncio.timeout(15):
        while True:
            async with transaction(pool) as connection:
                kept = await list_quarantine(ACTOR, connection)
            if len(kept) >= wanted:
                return kept
            await asyncio.sleep(0.05)


async def test_readings_become_durable_and_are_acknowledged(pool: Pool, broker: RealBroker) -> None:
    wanted = [reading(number) for number in range(100)]
    async with taking(pool, broker):
        await publish(broker, wanted)
        assert await until_stored(pool, 100) == (100, 100)
        await asyncio.sleep(1)  # Mosquitto writes its file for each acknowledgement
    async with taking(pool, broker):  # nothing comes a second time
        await asyncio.sleep(0.5)
    row = await pool.fetchrow("SELECT messages FROM sources.source WHERE source_id = 'air-stations'")
    assert row["messages"] == 100


async def test_the_consumer_killed_under_load_loses_nothing(
    pool: Pool, dsn: str, embedded_broker: RealBroker
) -> None:
    """SIGKILL in the middle, again and again: every one of 4,000 readings is there, once."""
    total = 4_000
    async with taking(pool, embedded_broker):  # makes the session, so that the broker keeps for us
        pass
    consumer = start_consumer(dsn, embedded_broker)
    try:
        publishing = asyncio.create_task(
            publish(embedded_broker, [reading(number) for number in range(total)], pause_s=0.01)
        )
        kills = 0
        while not publishing.done() or kills < 4:
            before = (await count(pool))[1]
            await until_stored(pool, min(total, before + 300), patience_s=10)
            consumer.kill()
            consumer.wait()
            kills += 1
            consumer = start_consumer(dsn, embedded_broker)
            if kills == 8:
                break
        await publishing
        assert await until_stored(pool, total) == (total, total)
        assert kills >= 4
    finally:
        consumer.kill()
        consumer.wait()


async def test_mosquitto_and_a_killed_consumer_lose_nothing(
    pool: Pool, dsn: str, mosquitto: RealBroker
) -> None:
    total = 600
    async with taking(pool, mosquitto):
        pass
    consumer = start_consumer(dsn, mosquitto)
    try:
        publishing = asyncio.create_task(publish(mosquitto, [reading(n) for n in range(total)]))
        await until_stored(pool, 100, patience_s=15)
        consumer.kill()
        consumer.wait()
        consumer = start_consumer(dsn, mosquitto)
        await publishing
        assert await until_stored(pool, total) == (total, total)
    finally:
        consumer.kill()
        consumer.wait()


async def test_a_broker_that_is_away_for_a_while_is_read_again(pool: Pool, mosquitto: RealBroker) -> None:
    async with taking(pool, mosquitto):
        await publish(mosquitto, [reading(number) for number in range(100)])
        assert await until_stored(pool, 100) == (100, 100)
        mosquitto.stop()
        await asyncio.sleep(2)
        mosquitto.start()
        await publish(mosquitto, [reading(number) for number in range(100, 200)])
        assert await until_stored(pool, 200) == (200, 200)


async def test_the_database_restarted_under_load_loses_and_doubles_nothing(
    embedded_broker: RealBroker,
) -> None:
    """Killed once, stopped once: what was not committed stays with the broker until it is."""
    total = 2_000
    with TemporaryCluster(settings={"synchronous_commit": "on"}) as cluster:
        connection = await asyncpg.connect(cluster.dsn())
        await prepare_connection(connection)
        await migrate(connection)
        await connection.close()
        pool = await open_pool(cluster.dsn())
        async with taking(pool, embedded_broker):
            messages = [reading(number) for number in range(total)]
            publishing = asyncio.create_task(publish(embedded_broker, messages, pause_s=0.005))
            for end in (signal.SIGKILL, signal.SIGINT):  # a power cut, a fast shutdown
                before = (await until_stored(pool, 100))[1]
                await until_stored(pool, before + 100)
                cluster.process.send_signal(end)
                cluster.process.wait()
                await asyncio.sleep(0.5)
                (cluster.home / ".s.PGSQL.5432").unlink(missing_ok=True)
                cluster.process = start_cluster(
                    cluster.home / "data", cluster.home, settings={"max_connections": "50"}
                )
            await publishing
            assert await until_stored(pool, total) == (total, total)
        await pool.close()


async def test_lies_are_quarantined_and_the_truth_beside_them_enters(pool: Pool, broker: RealBroker) -> None:
    async with taking(pool, broker):
        good = [reading(number) for number in range(50)]
        bad = [
            ("haidang/air/x", b'{"id": '),
            ("haidang/air/x", bytes(2_000_000)),
            ("haidang/air/x", b""),
        ]
        await publish(broker, [*good[:25], *bad, *good[:10], *good[25:]])
        assert await until_stored(pool, 50) == (50, 50)
        kept = await quarantined(pool, 3)
    assert {(one.reason, one.payload_bytes) for one in kept} == {
        ("not-json", 7),
        ("not-json", 0),
        (Reason.PAYLOAD_TOO_LARGE, 2_000_000),
    }


async def test_a_message_that_cannot_be_stored_is_found_by_halving_and_set_aside(
    pool: Pool, embedded_broker: RealBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One poisonous message among two hundred: it alone is quarantined, the others enter."""
    poison = b"kill-3"

    async def fails_on_poison(*arguments: object, **named: object) -> object:
        messages = arguments[3]
        assert isinstance(messages, list)
        taken = await take_messages(*arguments, **named)  # type: ignore[arg-type]  # passed through as they came
        if any(poison in one.payload and b'"value":33' in one.payload for one in messages):
            raise asyncpg.DataError("cannot be encoded")
        return taken

    # The port of the intake to the rooms behind it, where a bug of theirs would appear.
    monkeypatch.setattr(intake_module, "take_messages", fails_on_poison)
    async with taking(pool, embedded_broker):
        await publish(embedded_broker, [reading(number) for number in range(100)])
        assert await until_stored(pool, 99) == (99, 99)
        (kept,) = await quarantined(pool, 1)
    assert kept.reason == Reason.NOT_STORABLE
    assert b'"value":33' in kept.payload


async def test_a_source_that_was_committed_is_not_taken_again_for_anothers_trouble(
    pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The database goes away between two sources of one batch, three times."""
    (air,) = (one for one in DECLARED if one.source_id == "air-stations")
    twin = replace(air, source=replace(air.source, source_id="twins", topic="twin/+"))
    tries: list[str] = []

    async def is_away(*arguments: object, **named: object) -> object:
        declared = arguments[2]
        assert isinstance(declared, DeclaredSource)
        tries.append(declared.source_id)
        if declared is twin and tries.count("twins") <= 3:
            raise DatabaseUnavailable
        return await take_messages(*arguments, **named)  # type: ignore[arg-type]  # passed through as they came

    monkeypatch.setattr(intake_module, "take_messages", is_away)
    intake = MqttIntake(pool, SystemClock(), [air, twin], MqttAddress("localhost", 1), longest_pause_s=0.1)
    both = [(topic, payload) for topic, payload in map(reading, range(10))]
    both += [
        (topic.replace("haidang/air", "twin"), payload) for topic, payload in map(reading, range(10, 20))
    ]
    batch = [
        Delivery(topic, payload, SystemClock().now(), qos=0, number=0, session=0) for topic, payload in both
    ]
    await intake._store(batch)
    assert tries == ["air-stations", "twins", "twins", "twins", "twins"]
    assert await count(pool) == (20, 20)


async def test_without_a_schema_the_batch_waits_instead_of_being_blamed(
    pool: Pool, embedded_broker: RealBroker
) -> None:
    await pool.execute("ALTER TABLE sources.source RENAME TO hidden")
    async with taking(pool, embedded_broker):
        await publish(embedded_broker, [reading(number) for number in range(20)])
        await asyncio.sleep(1)
        assert await count(pool) == (0, 0)
        await pool.execute("ALTER TABLE sources.hidden RENAME TO source")
        assert await until_stored(pool, 20) == (20, 20)
        assert await quarantined(pool, 0) == []
