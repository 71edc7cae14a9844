"""kill -9 of each part under load: nothing that was acknowledged is lost, no process is left."""

import asyncio
import os
import re
import signal
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from haidang.infra.embedded import place_of
from tests.infra.processes import alive, descendants, until
from tests.infra.test_parts import Platform, home
from tests.platform.load import STATIONS, Door, HttpLoad, MqttLoad, moments_known
from tests.sources.brokers import MOSQUITTO, RealBroker, free_port

__all__ = ["home"]

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]
_LOADED_S = 2.0


@dataclass
class City:
    """A running platform, who may write to it, and where readings are sent."""

    platform: Platform
    port: int
    token: str
    mqtt_url: str

    def pid_of(self, part: str) -> int:
        """The process of a part."""
        if part == "database":
            return self.platform.part("-D", str(place_of(self.platform.home).data))
        return self.platform.part("haidang", part)


@asynccontextmanager
async def running(home: Path, **settings: str) -> AsyncIterator[City]:
    """Start `haidang up`, wait until it is ready, and stop it: no process of it may be left."""
    broker_port = free_port()
    platform = Platform(home, broker_port=str(broker_port), **settings)
    try:
        port = await platform.until_ready()
        token = re.search(r"^ +(hd_[\w-]{43})$", platform.said, re.MULTILINE)
        assert token, platform.said
        mqtt_url = settings.get("mqtt_url", f"mqtt://127.0.0.1:{broker_port}")
        yield City(platform, port, token[1], mqtt_url)
        family = descendants(platform.process.pid)
        assert len(family) > 5
        platform.process.terminate()
        assert await asyncio.to_thread(platform.process.wait, 60) == 0
        await until(lambda: not alive(family), 10, "every process to end")
    finally:
        platform.close()


async def kill_under_load(city: City, victim: str, kill: list[int] | RealBroker) -> None:
    """Load the city, kill, load on, stop; then everything acknowledged must be there."""
    http = [HttpLoad(city.port, city.token, f"{victim}-{one}") for one in range(4)]
    mqtt = MqttLoad(city.mqtt_url)
    loads: list[HttpLoad | MqttLoad] = [*http, mqtt]
    for load in loads:
        load.start()
    await asyncio.sleep(_LOADED_S)
    if isinstance(kill, RealBroker):
        kill.kill()
        await asyncio.sleep(1)
        kill.start()
    else:
        for pid in kill:
            os.kill(pid, signal.SIGKILL)
    await asyncio.sleep(_LOADED_S * 2)
    before = sum(len(one.kept) for one in http)
    await asyncio.sleep(_LOADED_S)
    for load in loads:
        await asyncio.to_thread(load.end)
    assert sum(len(one.kept) for one in http) > before, "writing went on after the kill"
    assert len(mqtt.kept) > mqtt.sent // 2, "readings were taken"

    door = Door(city.port, city.token)
    lost = [
        one
        for creating in http
        for one in creating.kept
        if (await asyncio.to_thread(door.ask, "GET", f"/ngsi-ld/v1/entities/{one}"))[0] != 200
    ]
    assert not lost, f"{len(lost)} acknowledged entities are gone: {lost[:3]}"

    def missing() -> set[tuple[str, str]]:
        known = {
            (f"load-{number}", moment)
            for number in range(STATIONS)
            for moment in moments_known(door, f"load-{number}")
        }
        return set(mqtt.kept) - known

    deadline = time.monotonic() + 60
    while (gone := await asyncio.to_thread(missing)) and time.monotonic() < deadline:  # noqa: ASYNC110 - others write
        await asyncio.sleep(0.5)
    assert not gone, f"{len(gone)} of {len(mqtt.kept)} acknowledged readings are gone: {sorted(gone)[:3]}"
    door.close()


@pytest.mark.parametrize("part", ["web", "work", "intake", "database"])
async def test_a_killed_part_loses_nothing_that_was_acknowledged(home: Path, part: str) -> None:
    async with running(home) as city:
        await kill_under_load(city, part, [city.pid_of(part)])


@pytest.fixture
def mosquitto(tmp_path: Path) -> Iterator[RealBroker]:
    """Mosquitto with the configuration that we publish."""
    broker = RealBroker("mosquitto", tmp_path)
    broker.start()
    yield broker
    broker.kill()


@pytest.mark.mosquitto
@pytest.mark.skipif(MOSQUITTO is None, reason="Mosquitto is not installed")
async def test_a_killed_broker_loses_nothing_that_was_acknowledged(home: Path, mosquitto: RealBroker) -> None:
    async with running(home, mqtt_url=mosquitto.url) as city:
        await kill_under_load(city, "broker", mosquitto)
