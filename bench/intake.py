"""MQTT to durable: messages a second, and what each costs.

    python bench/intake.py [--messages 20000] [--values 10] [--broker mosquitto]

A publisher process sends station messages at QoS 1; an intake process commits them to a
PostgreSQL that is durable (fsync and synchronous commits on); the clock stops when the last one
is committed. Three rows: readings that are new, the same again, and payloads that are refused.
"""

import argparse
import asyncio
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import asyncpg
import machine
import msgspec

from haidang.infra.database import prepare_connection
from haidang.infra.embedded import TemporaryCluster
from haidang.infra.migrations import migrate
from haidang.infra.mqtt import MqttPublisher, read_mqtt_url

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from tests.sources.brokers import RealBroker  # noqa: E402 (the tests' brokers, found from the line above)

STATIONS = 200
NAMES = ("pm25", "pm10", "no2", "o3", "so2", "co", "tsp", "temperature", "windSpeed", "pressure")
UNITS = {"temperature": "CEL", "windSpeed": "MTS", "pressure": "A97"}


def payload(number: int, values: int, start: datetime) -> tuple[str, bytes]:
    """The n-th reading of the run."""
    slug = f"bench-{number % STATIONS}"
    at = start + timedelta(minutes=number // STATIONS)
    sent = {
        "id": f"urn:ngsi-ld:AirQualityObserved:{slug}",
        "observedAt": at.isoformat(),
        "period": 60,
        "values": {
            name: {
                "value": 900 + number % 97 if name == "pressure" else number % 50,
                "unit": UNITS.get(name, "GQ"),
            }
            for name in NAMES[:values]
        },
    }
    return f"haidang/air/{slug}", msgspec.json.encode(sent)


def publish(url: str, kind: str, messages: int, values: int, start: datetime) -> None:
    """The publisher's whole life."""
    with MqttPublisher(read_mqtt_url(url), in_flight=1_000) as publisher:
        sent = []
        for number in range(messages):
            topic, body = payload(number, values, start)
            sent.append(publisher.send(topic, b'{"broken": %d' % number if kind == "refused" else body))
        for one in sent:
            one.wait_for_publish(120)


@dataclass(frozen=True, slots=True)
class Run:
    """One row of the table."""

    kind: str
    seconds: float
    intake_cpu_s: float
    database_cpu_s: float
    broker_cpu_s: float


def cpu_s(pids: Sequence[int]) -> float:
    """Processor time of processes and of their children that have ended."""
    ticks = 0
    for pid in pids:
        try:
            fields = Path(f"/proc/{pid}/stat").read_text("ascii").rpartition(")")[2].split()
        except OSError:
            continue
        ticks += sum(int(field) for field in fields[11:15])
    return ticks / os.sysconf("SC_CLK_TCK")


def children_of(pid: int) -> list[int]:
    """The processes that a process has started."""
    return [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text("ascii").split()]


@contextmanager
def program(arguments: Sequence[str]) -> Iterator[subprocess.Popen[bytes]]:
    """A Python process beside this one, ended with it."""
    process = subprocess.Popen([sys.executable, *arguments], cwd=ROOT)
    try:
        yield process
    finally:
        process.terminate()
        process.wait(timeout=30)


async def measure(messages: int, values: int, broker: RealBroker) -> list[Run]:
    """Every row of the table."""
    runs: list[Run] = []
    start = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) - timedelta(days=3)
    settings = {"fsync": "on", "synchronous_commit": "on", "shared_buffers": "256MB", "max_wal_size": "2GB"}
    with TemporaryCluster(settings=settings) as cluster:
        connection = await asyncpg.connect(cluster.dsn())
        await prepare_connection(connection)
        await migrate(connection)

        async def taken() -> int:
            return int(await connection.fetchval("SELECT coalesce(sum(messages), 0) FROM sources.source"))

        with program(["-m", "tests.sources.consumer", cluster.dsn(), broker.url]) as intake:
            await asyncio.sleep(2)
            for kind in ("new", "repeated", "refused"):
                before = await taken()
                database = [cluster.process.pid, *children_of(cluster.process.pid)]
                spent = (cpu_s([intake.pid]), cpu_s(database), cpu_s([broker.pid]))
                began = time.monotonic()
                arguments = [
                    __file__,
                    "--publish",
                    broker.url,
                    kind,
                    str(messages),
                    str(values),
                    start.isoformat(),
                ]
                with program(arguments):
                    while await taken() < before + messages:  # noqa: ASYNC110 (the database is what we wait for)
                        await asyncio.sleep(0.02)
                seconds = time.monotonic() - began
                after = (cpu_s([intake.pid]), cpu_s(database), cpu_s([broker.pid]))
                runs.append(
                    Run(kind, seconds, *(late - early for early, late in zip(spent, after, strict=True)))
                )
        await connection.close()
    return runs


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--messages", type=int, default=20_000)
    parser.add_argument("--values", type=int, default=10)
    parser.add_argument("--broker", choices=("embedded", "mosquitto"), default="embedded")
    parser.add_argument("--publish", nargs=5, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.publish:
        url, kind, messages, values, start = chosen.publish
        publish(url, kind, int(messages), int(values), datetime.fromisoformat(start))
        return
    machine.main()
    with tempfile.TemporaryDirectory() as folder:
        broker = RealBroker(chosen.broker, Path(folder))
        broker.start()
        try:
            runs = asyncio.run(measure(chosen.messages, chosen.values, broker))
        finally:
            broker.kill()
    print(
        f"\n{chosen.messages} messages of {chosen.values} values, {STATIONS} stations, {chosen.broker} broker"
    )
    print(f"{'readings':<10}{'messages/s':>12}{'values/s':>12}{'intake':>10}{'database':>10}{'broker':>10}")
    print(f"{'':<10}{'':>12}{'':>12}{'µs CPU per message':>30}")
    for run in runs:
        rate = chosen.messages / run.seconds
        costs = (run.intake_cpu_s, run.database_cpu_s, run.broker_cpu_s)
        each = "".join(f"{cost / chosen.messages * 1e6:>10.0f}" for cost in costs)
        print(f"{run.kind:<10}{rate:>12,.0f}{rate * chosen.values:>12,.0f}{each}")


if __name__ == "__main__":
    main()
