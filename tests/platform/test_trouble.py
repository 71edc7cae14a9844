"""The world's trouble: broker away, database restarted, disk full. It is waited out; nothing is lost."""

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from paho.mqtt.client import MQTTMessageInfo

from haidang.infra.embedded import EmbeddedDatabase, Place, place_of, usable_programs
from haidang.infra.mqtt import MqttPublisher, read_mqtt_url
from haidang.kernel.instants import format_instant
from tests.infra.platforms import answers, environment, new_home
from tests.infra.processes import alive, descendants, limit_file_size, until, words_of
from tests.platform.city import City, all_is_there, running
from tests.platform.load import Door, MqttLoad, moments_known
from tests.platform.wire import Answered, Wire
from tests.sources.brokers import MOSQUITTO, RealBroker

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]
_LONG = os.environ.get("HAIDANG_TEST_LONG") == "1"
_AWAY_S = 60.0 if _LONG else 6.0
_ENTITY = "/ngsi-ld/v1/entities"
_MEBIBYTE = 2**20


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A broker that keeps its promises over a restart; without one the embedded broker is used."""
    if MOSQUITTO is None:
        yield None
        return
    started = RealBroker("mosquitto", tmp_path_factory.mktemp("broker"))
    started.start()
    yield started
    started.kill()


@pytest.fixture(scope="module")
async def city(broker: RealBroker | None) -> AsyncIterator[City]:
    """One for all tests; its server has small segments of the log, so that a small disk can be full."""
    with new_home() as home:
        database = EmbeddedDatabase(home)
        database.prepare()
        _shrink_segments(database.place)
        async with running(home, **({"mqtt_url": broker.url} if broker else {})) as started:
            yield started


def _shrink_segments(place: Place) -> None:
    """Log segments of 1 MB instead of 16: a limit on the size of files must leave room for one."""
    subprocess.run(
        [usable_programs(place.user) / "pg_resetwal", "--wal-segsize=1", "-D", place.data],
        user=place.user,
        group=place.data.stat().st_gid if place.user else None,
        extra_groups=[] if place.user else None,
        capture_output=True,
        cwd="/",
        check=True,
    )


class Writer(threading.Thread):
    """Writes one entity after another and keeps what was answered to each."""

    def __init__(self, city: City, name: str, **attributes: Any) -> None:
        super().__init__(name=name, daemon=True)
        self._wire = Wire(city.port, city.token)
        self._attributes = attributes
        self._told = threading.Event()
        self.kept: list[str] = []
        self.refused: list[tuple[str, Answered]] = []
        self.unanswered = 0

    def run(self) -> None:
        """Until told to stop."""
        number = 0
        while not self._told.is_set():
            entity_id = f"urn:ngsi-ld:Lamp:{self.name}-{number}"
            number += 1
            try:
                answer = self._wire.create({"id": entity_id, "type": "Lamp"} | self._attributes)
            except OSError:
                self.unanswered += 1
                continue
            if answer.status == 201:
                self.kept.append(entity_id)
            else:
                self.refused.append((entity_id, answer))
            time.sleep(0.01)

    def end(self) -> None:
        """Stop after the request in hand."""
        self._told.set()
        self.join(timeout=60)


def _said_to_be_unavailable(answer: Answered) -> None:
    assert answer.status == 503, answer
    assert answer.headers["content-type"] == "application/json"
    assert int(answer.headers["retry-after"]) >= 1
    assert answer.json["type"] == "https://uri.etsi.org/ngsi-ld/errors/InternalError"
    assert answer.json["status"] == 503
    assert answer.json["detail"].endswith(".")


@pytest.mark.mosquitto
async def test_what_is_sent_while_the_broker_is_away_arrives_once_it_is_back(
    city: City, broker: RealBroker
) -> None:
    start = (datetime.now(UTC) - timedelta(days=2)).replace(microsecond=0)
    sent: list[tuple[str, MQTTMessageInfo]] = []
    intake = city.pid_of("intake")
    with MqttPublisher(read_mqtt_url(city.mqtt_url), client_id="patient", in_flight=200) as publisher:
        publisher._client.reconnect_delay_set(1, 2)

        def send(many: int, during_s: float) -> None:
            for _ in range(many):
                at = format_instant(start + timedelta(seconds=len(sent)))
                reading = {
                    "id": "urn:ngsi-ld:AirQualityObserved:patient",
                    "observedAt": at,
                    "values": {"pm25": {"value": 10, "unit": "GQ"}},
                }
                sent.append((at, publisher.send("haidang/air/patient", json.dumps(reading).encode())))
                time.sleep(during_s / many)

        await asyncio.to_thread(send, 200, 1)
        broker.stop()
        try:
            await asyncio.to_thread(send, 300, _AWAY_S)
            assert await asyncio.to_thread(answers, city.port), "the rest of the platform goes on"
        finally:
            broker.start()
        back_at = time.monotonic()
        await asyncio.to_thread(send, 100, 1)
        # Not is_published(): it remembers for ever that there was no connection at first.
        await until(lambda: all(one._published for _, one in sent), 60, "the broker to take everything")

    door = Door(city.port, city.token)
    wanted = {at for at, _ in sent}
    while missing := wanted - await asyncio.to_thread(moments_known, door, "patient"):
        assert time.monotonic() < back_at + 90, f"{len(missing)} of {len(wanted)} are missing"
        await asyncio.sleep(0.2)
    door.close()
    print(f"all {len(wanted)} there {time.monotonic() - back_at:.1f} s after {_AWAY_S:.0f} s away")  # noqa: T201 - a figure to report
    assert city.pid_of("intake") == intake, "nobody had to start it again"


async def test_a_restart_of_the_database_under_load_loses_nothing(city: City) -> None:
    writers = [Writer(city, f"restart-{number}", a=1) for number in range(3)]
    mqtt = MqttLoad(city.mqtt_url, "restart")
    loads: list[Writer | MqttLoad] = [*writers, mqtt]
    for load in loads:
        load.start()
    await until(lambda: all(len(one.kept) > 10 for one in writers), 60, "writing to begin")
    web, server = city.pid_of("web"), city.pid_of("database")
    os.kill(server, signal.SIGINT)  # a fast shutdown, as an operator or an upgrade does it
    await until(lambda: not alive({server}), 30, "the server to stop")
    before = [len(one.kept) for one in writers]
    await until(
        lambda: all(len(one.kept) > was + 10 for one, was in zip(writers, before, strict=True)),
        60,
        "writing to go on",
    )
    for load in loads:
        await asyncio.to_thread(load.end)
    assert sum(len(one.refused) for one in writers) > 0, "somebody met the restart"
    for one in writers:
        assert one.unanswered == 0, "everybody was answered"
        for _, answer in one.refused:
            _said_to_be_unavailable(answer)
    assert city.pid_of("web") == web, "nobody but the server started again"
    await all_is_there(city, writers, mqtt)
    await until(lambda: answers(city.port), 30, "readiness")


@contextmanager
def _disk_of(place: Place, server: int, most_bytes: int) -> Any:
    """Let no file of the server grow beyond so many bytes, as if the disk were full."""

    def limit(most: int | None) -> None:
        # The server first: a process that it starts meanwhile has the new limit already.
        limit_file_size([server], most)
        family = descendants(server)
        limit_file_size([pid for pid in family if "logger" not in " ".join(words_of(pid))], most)

    assert place.data.exists()
    limit(most_bytes)
    try:
        yield
    finally:
        limit(None)


async def test_a_full_disk_is_said_and_waited_out(city: City) -> None:
    place, server = place_of(city.platform.home), city.pid_of("database")
    midnight = (datetime.now(UTC) - timedelta(days=2)).replace(hour=0, minute=0, second=0, microsecond=0)
    at = format_instant(midnight + timedelta(hours=23, minutes=59))
    observed = {f"a{number}": {"type": "Property", "value": number, "observedAt": at} for number in range(30)}
    writer = Writer(city, "full", **observed)
    mqtt = MqttLoad(city.mqtt_url, "full", start=midnight)
    mqtt.pace_s = 0.001

    async def ask(question: str) -> int:
        connection = await asyncpg.connect(place.dsn())
        try:
            return int(await connection.fetchval(question))
        finally:
            await connection.close()

    size = f"SELECT coalesce(pg_relation_size(to_regclass('context.observation_{midnight:%Y%m%d}')), 0)"
    quarantined = "SELECT count(*) FROM sources.quarantine"
    quarantined_before = await ask(quarantined)
    mqtt.start()
    try:
        while await ask(size) < 1.1 * _MEBIBYTE:  # noqa: ASYNC110 - others write
            await asyncio.sleep(0.1)
        mqtt.pace_s = 0.004
        with _disk_of(place, server, await ask(size)):
            writer.start()
            await _everything_is_refused_and_nothing_written(city, writer, observed)
            assert await ask(quarantined) == quarantined_before, "no reading is to blame"
        kept = len(writer.kept)
        await until(lambda: len(writer.kept) > kept + 5, 60, "writing to go on")
    finally:
        await asyncio.to_thread(mqtt.end)
        if writer.ident:
            await asyncio.to_thread(writer.end)
    for _, answer in writer.refused:
        _said_to_be_unavailable(answer)
        assert "no room" in answer.json["detail"]
    assert len(mqtt.kept) > mqtt.sent // 2, "readings were taken"
    await all_is_there(city, [writer], mqtt)
    assert await ask(quarantined) == quarantined_before
    await until(lambda: answers(city.port), 30, "readiness")


async def _everything_is_refused_and_nothing_written(
    city: City, writer: Writer, observed: dict[str, Any]
) -> None:
    said_before = len(city.platform.said)

    def waits() -> bool:
        return bool(re.search(r'"batch waits".*could not extend file', city.platform.said[said_before:]))

    await until(waits, 60, "the intake to say that it waits")
    await until(lambda: len(writer.refused) > 5, 60, "writers to be refused")
    wire = Wire(city.port, city.token)
    batch = [{"id": f"urn:ngsi-ld:Lamp:full-batch-{one}", "type": "Lamp"} | observed for one in range(20)]
    _said_to_be_unavailable(wire.ask("POST", "/ngsi-ld/v1/entityOperations/upsert", batch))
    keyed = {"id": "urn:ngsi-ld:Lamp:full-keyed", "type": "Lamp"} | observed
    answer = wire.create(keyed, 'Idempotency-Key: "full"\r\n')
    _said_to_be_unavailable(answer)
    assert "no room" in answer.json["detail"]
    for one in ("batch-0", "batch-19", "keyed"):
        assert wire.ask("GET", f"{_ENTITY}/urn:ngsi-ld:Lamp:full-{one}").status == 404
    for entity_id, _ in writer.refused:
        assert wire.ask("GET", f"{_ENTITY}/{entity_id}").status == 404, "it was refused and is there"
    assert wire.ask("GET", f"{_ENTITY}/urn:ngsi-ld:AirQualityObserved:full-0").status == 200
    assert wire.ask("GET", "/").status == 200
    assert wire.ask("GET", "/healthz").status == 200


def _run(home: Path, *words: str | Path) -> None:
    done = subprocess.run(
        [sys.executable, "-P", "-m", "haidang", *map(str, words)],
        env=environment(home),
        cwd="/",
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout


def _count(wire: Wire, pattern: str) -> int:
    answer = wire.ask("GET", f"{_ENTITY}?type=Lamp&idPattern={pattern}&limit=0&count=true")
    assert answer.status == 200, answer
    return int(answer.headers["ngsild-results-count"])


def _moments(city: City) -> set[str]:
    with closing(Door(city.port, city.token)) as door:
        return moments_known(door, "saved-0")


async def test_a_backup_under_load_restores_what_was_there_and_starts_twice(city: City) -> None:
    writers = [Writer(city, f"saved-{number}", a=1) for number in range(2)]
    mqtt = MqttLoad(city.mqtt_url, "saved")
    loads: list[Writer | MqttLoad] = [*writers, mqtt]
    for load in loads:
        load.start()
    await until(lambda: all(len(one.kept) > 10 for one in writers), 60, "writing to begin")
    with new_home() as home, new_home() as folder:
        first = [len(one.kept) for one in writers]
        known_first = await asyncio.to_thread(_moments, city)
        await asyncio.to_thread(_run, city.platform.home, "backup", folder / "city.zip")
        for load in loads:
            await asyncio.to_thread(load.end)
        known_last = await asyncio.to_thread(_moments, city)
        assert not [answer for one in writers for _, answer in one.refused], "nobody was in the way"
        await asyncio.to_thread(_run, home, "restore", folder / "city.zip")
        for start in range(2):
            async with running(home, token=city.token) as again:
                wire = Wire(again.port, city.token)
                for one, least in zip(writers, first, strict=True):
                    found = _count(wire, f"^urn:ngsi-ld:Lamp:{one.name}-[0-9]%2B$")
                    assert least <= found <= len(one.kept)
                    # One moment of the database: what a writer wrote up to some point, and nothing after.
                    assert wire.ask("GET", f"{_ENTITY}/{one.kept[found - 1]}").status == 200
                    if found < len(one.kept):
                        assert wire.ask("GET", f"{_ENTITY}/{one.kept[found]}").status == 404
                known = await asyncio.to_thread(_moments, again)
                assert known_first <= known <= known_last
                assert wire.create({"id": f"urn:ngsi-ld:Lamp:after-{start}", "type": "Lamp"}).status == 201
                assert _count(wire, "^urn:ngsi-ld:Lamp:after-") == start + 1
