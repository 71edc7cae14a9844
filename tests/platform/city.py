"""A city that runs: its doors, and the processes behind them."""

import asyncio
import re
import time
from collections.abc import AsyncIterator, Sequence
from collections.abc import Set as AbstractSet
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from haidang.infra.embedded import place_of
from tests.infra.platforms import Platform
from tests.infra.processes import alive, descendants, until
from tests.platform.load import STATIONS, Door, MqttLoad, moments_known
from tests.sources.brokers import free_port


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
async def running(home: Path, *, token: str = "", **settings: str) -> AsyncIterator[City]:
    """Start `haidang up`, wait until it is ready, and stop it: no process of it may be left.

    A home that was started before does not show its `token` again.
    """
    broker_port = free_port()
    platform = Platform(home, broker_port=str(broker_port), **settings)
    try:
        port = await platform.until_ready()
        shown = re.search(r"^ +(hd_[\w-]{43})$", platform.said, re.MULTILINE)
        assert (shown is None) == bool(token), platform.said
        mqtt_url = settings.get("mqtt_url", f"mqtt://127.0.0.1:{broker_port}")
        yield City(platform, port, shown[1] if shown else token, mqtt_url)
        family = descendants(platform.process.pid)
        assert len(family) > 5
        platform.process.terminate()
        assert await asyncio.to_thread(platform.process.wait, 60) == 0
        await until(lambda: not alive(family), 10, "every process to end")
    finally:
        platform.close()


class Keeping(Protocol):
    """A load over HTTP: the ids of the entities it was told are kept."""

    @property
    def kept(self) -> list[str]:
        """Their ids."""
        ...


async def all_is_there(
    city: City,
    http: Sequence[Keeping],
    mqtt: MqttLoad,
    *,
    but: AbstractSet[tuple[str, str]] = frozenset(),
    within_s: float = 60,
) -> None:
    """Ask through the doors for all that the loads were told is kept, `but` readings that may be missing."""
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
            (f"{mqtt.name}-{number}", moment)
            for number in range(STATIONS)
            for moment in moments_known(door, f"{mqtt.name}-{number}")
        }
        return set(mqtt.kept) - but - known

    deadline = time.monotonic() + within_s
    while (gone := await asyncio.to_thread(missing)) and time.monotonic() < deadline:  # noqa: ASYNC110 - others write
        await asyncio.sleep(0.5)
    assert not gone, f"{len(gone)} of {len(mqtt.kept)} acknowledged readings are gone: {sorted(gone)[:3]}"
    door.close()
