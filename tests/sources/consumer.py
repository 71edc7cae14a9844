"""The intake as a process of its own, to be killed: `python -m tests.sources.consumer DSN MQTT_URL`."""

import asyncio
import signal
import sys

from haidang.infra.database import open_pool, wait_until_reachable
from haidang.infra.mqtt import read_mqtt_url
from haidang.kernel.instants import SystemClock
from haidang.packs.environment.pack import PACK
from haidang.sources.intake import MqttIntake
from haidang.sources.model import declared_sources


async def main(dsn: str, mqtt_url: str) -> None:
    """Run until terminated."""
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    await wait_until_reachable(dsn)
    pool = await open_pool(dsn, largest=3)
    intake = MqttIntake(
        pool, SystemClock(), declared_sources([PACK]), read_mqtt_url(mqtt_url), longest_pause_s=0.5
    )
    await intake.run(stop)
    await pool.close()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2]))
