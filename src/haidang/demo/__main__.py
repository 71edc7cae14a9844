"""`python -m haidang.demo`: the outside world of a demo province, through the public doors only.

It publishes by MQTT and describes its stations over NGSI-LD, as strangers would. It runs until
it is told to stop (SIGTERM, Ctrl-C).
"""

import argparse
import logging
import os
import signal
import ssl
import sys
import threading
from collections.abc import Sequence
from datetime import timedelta
from urllib.parse import unquote, urlsplit

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode

from haidang.demo import hanoi, synthetic, water
from haidang.demo.platform import Platform
from haidang.demo.player import Played, Player
from haidang.demo.scenarios import Kind, Scenario, scenario_from
from haidang.kernel.errors import HaidangError, Unavailable
from haidang.kernel.instants import SystemClock

log = logging.getLogger("haidang.demo")

_IN_FLIGHT = 100
_BROKER_PATIENCE_S = 30.0


class BrokerAway(Unavailable):
    """The MQTT broker does not take what the demo sends right now."""


class Publisher:
    """Publishes at QoS 1 with a bounded number of messages on their way to the broker."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        tls = parts.scheme == "mqtts"
        self._client = paho.Client(CallbackAPIVersion.VERSION2, client_id="haidang-demo")
        self._client.max_inflight_messages_set(_IN_FLIGHT)
        self._client.reconnect_delay_set(1, 15)
        if parts.username:
            self._client.username_pw_set(unquote(parts.username), unquote(parts.password or ""))
        if tls:
            self._client.tls_set_context(ssl.create_default_context())
        self._client.connect_async(parts.hostname or "127.0.0.1", parts.port or (8883 if tls else 1883))
        self._room = threading.Semaphore(_IN_FLIGHT)
        self._client.publish_callback()(lambda *_: self._room.release())
        self._client.on_disconnect = self._on_disconnect
        self.interruptions = 0
        self._client.loop_start()

    def publish(self, topic: str, payload: bytes) -> None:
        """Send one message; waits while too many are on their way. Raises BrokerAway."""
        if not self._room.acquire(timeout=_BROKER_PATIENCE_S):
            raise BrokerAway
        sent = self._client.publish(topic, payload, qos=1)
        if sent.rc not in (MQTTErrorCode.MQTT_ERR_SUCCESS, MQTTErrorCode.MQTT_ERR_NO_CONN):
            self._room.release()
            raise BrokerAway

    def _on_disconnect(self, *_: object) -> None:
        self.interruptions += 1

    def close(self) -> None:
        """Leave in order."""
        self._client.disconnect()
        self._client.loop_stop()


def everyone(scenario: Scenario | None = None) -> list[Played]:
    """Every station of the demo, on a calm day or in a scenario."""
    played = scenario or Scenario()
    air = [
        Played(station, synthetic.SyntheticAir(station, around, played))
        for station, around in synthetic.STATIONS.values()
    ]
    rivers = [
        Played(station, water.SyntheticRiver(station, river, played), water.HISTORY)
        for station, river in water.RIVERS.values()
    ]
    rain = [
        Played(station, water.SyntheticRain(station, catch, played), water.HISTORY)
        for station, catch in water.CATCHES.values()
    ]
    return [Played(hanoi.STATION, hanoi.HanoiReplay()), *air, *rivers, *rain]


def main(arguments: Sequence[str] | None = None) -> int:
    """Play until told to stop; the exit status says whether the platform took us."""
    parser = argparse.ArgumentParser(prog="python -m haidang.demo", description=__doc__)
    parser.add_argument("--url", default=os.environ.get("HAIDANG_URL", "http://127.0.0.1:8000"))
    parser.add_argument("--mqtt", default=os.environ.get("HAIDANG_MQTT_URL", "mqtt://127.0.0.1:1883"))
    parser.add_argument("--days", type=float, default=float(os.environ.get("HAIDANG_DEMO_DAYS", "30")))
    parser.add_argument(
        "--scenario",
        choices=[kind.value for kind in Kind],
        default=os.environ.get("HAIDANG_DEMO_SCENARIO") or Kind.CALM.value,
    )
    chosen = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="demo: %(message)s")
    stop = threading.Event()
    for one in (signal.SIGTERM, signal.SIGINT):
        signal.signal(one, lambda *_: stop.set())
    platform = Platform(chosen.url, os.environ.get("HAIDANG_DEMO_TOKEN") or os.environ.get("HAIDANG_TOKEN"))
    while not platform.is_ready():
        if stop.wait(0.2):
            return 0
    publisher = Publisher(chosen.mqtt)
    clock = SystemClock()
    log.info("scenario: %s", chosen.scenario)
    player = Player(
        everyone(scenario_from(chosen.scenario, clock.now())),
        platform,
        publisher.publish,
        clock,
        history=timedelta(days=chosen.days),
        interruptions=lambda: publisher.interruptions,
    )
    try:
        while not stop.is_set():
            try:
                player.begin()
                break
            except Unavailable as trouble:
                log.warning("%s", trouble)
                stop.wait(1)
        player.play(stop)
    except HaidangError as refused:
        log.error("%s", refused)  # noqa: TRY400 (a sentence says it; a traceback would not help)
        return 1
    finally:
        publisher.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
