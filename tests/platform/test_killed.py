"""kill -9 of each part under load: nothing that was acknowledged is lost, no process is left."""

import asyncio
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.infra.platforms import home
from tests.platform.city import City, all_is_there, running
from tests.platform.load import HttpLoad, MqttLoad
from tests.sources.brokers import MOSQUITTO, RealBroker

__all__ = ["home"]

pytestmark = [pytest.mark.slow, pytest.mark.timeout(480)]
_LOADED_S = 2.0
_GOES_ON_WITHIN_S = 90.0


async def kill_under_load(city: City, victim: str, kill: list[int] | RealBroker) -> None:
    """Load the city, kill, load on, stop; then everything acknowledged must be there."""
    http = [HttpLoad(city.port, city.token, f"{victim}-{one}") for one in range(4)]
    mqtt = MqttLoad(city.mqtt_url)
    loads: list[HttpLoad | MqttLoad] = [*http, mqtt]
    for load in loads:
        load.start()
    await asyncio.sleep(_LOADED_S)
    unwritten: set[tuple[str, str]] = set()
    if isinstance(kill, RealBroker):
        kill.kill()
        await asyncio.sleep(1)  # what it had answered has arrived by now
        unwritten = mqtt.last_taken()
        kill.start()
    else:
        for pid in kill:
            os.kill(pid, signal.SIGKILL)
    await asyncio.sleep(_LOADED_S * 2)
    before = sum(len(one.kept) for one in http)
    async with asyncio.timeout(_GOES_ON_WITHIN_S):  # writing goes on after the kill
        while sum(len(one.kept) for one in http) <= before:  # noqa: ASYNC110 - threads count
            await asyncio.sleep(0.1)
    await asyncio.sleep(_LOADED_S)
    for load in loads:
        await asyncio.to_thread(load.end)
    assert len(mqtt.kept) > mqtt.sent // 2, "readings were taken"
    await all_is_there(city, http, mqtt, but=unwritten)


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
async def test_a_killed_broker_loses_at_most_the_message_it_answered_last(
    home: Path, mosquitto: RealBroker
) -> None:
    """Mosquitto answers first and writes second: see ADR 0029 and docs/how-to/use-mosquitto.md."""
    async with running(home, mqtt_url=mosquitto.url) as city:
        await kill_under_load(city, "broker", mosquitto)
