"""A city's load through the public doors: who was told "kept" is remembered, to be asked for later."""

import http.client
import json
import threading
import time
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote, urlencode

from paho.mqtt.client import MQTTMessageInfo

from haidang.infra.mqtt import MqttPublisher, read_mqtt_url
from haidang.kernel.instants import format_instant

STATIONS = 4
_PACE_S = 0.004


class Door:
    """One keep-alive connection to the NGSI-LD face, opened again whenever it breaks."""

    def __init__(self, port: int, token: str) -> None:
        self._port = port
        self._token = token
        self._connection: http.client.HTTPConnection | None = None

    def ask(self, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, Any]:
        """One request; its status and its JSON. Raises OSError or HTTPException when it broke."""
        if self._connection is None:
            self._connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=30)
        sent = {"Authorization": f"Bearer {self._token}", "Content-Type": "application/json", **headers}
        try:
            self._connection.request(method, path, None if body is None else json.dumps(body), sent)
            answer = self._connection.getresponse()
            read = answer.read()
        except (OSError, http.client.HTTPException):
            self.close()
            raise
        return answer.status, json.loads(read) if read else None

    def close(self) -> None:
        """Let the connection go."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None


class HttpLoad(threading.Thread):
    """Creates entities one after another until told to stop; `kept` are those that were acknowledged."""

    def __init__(self, port: int, token: str, name: str) -> None:
        super().__init__(name=name, daemon=True)
        self._door = Door(port, token)
        self._told = threading.Event()
        self.kept: list[str] = []
        self.refused = 0

    def run(self) -> None:
        """The load itself."""
        number = 0
        while not self._told.is_set():
            entity_id = f"urn:ngsi-ld:Lamp:{self.name}-{number}"
            try:
                status, _ = self._door.ask(
                    "POST",
                    "/ngsi-ld/v1/entities",
                    {"id": entity_id, "type": "Lamp", "number": {"type": "Property", "value": number}},
                )
            except (OSError, http.client.HTTPException):
                self.refused += 1
                time.sleep(0.05)
                continue
            # A 409 after a broken connection: it was kept, only the answer was lost.
            if status in {201, 409}:
                self.kept.append(entity_id)
                number += 1
            else:
                self.refused += 1
                time.sleep(0.05)

    def end(self) -> None:
        """Stop after the request in hand."""
        self._told.set()
        self.join(timeout=60)
        self._door.close()


class MqttLoad(threading.Thread):
    """Sends readings of a few stations at QoS 1; `kept` holds station and moment of each that was taken."""

    def __init__(self, url: str, name: str = "load", *, start: datetime | None = None) -> None:
        super().__init__(name=name, daemon=True)
        self._url = url
        self.pace_s = _PACE_S
        self._told = threading.Event()
        self._start = start or (datetime.now(UTC) - timedelta(days=2)).replace(microsecond=0)
        self.kept: list[tuple[str, str]] = []
        self.sent = 0
        self._waiting: list[tuple[MQTTMessageInfo, tuple[str, str]]] = []

    def run(self) -> None:
        """The load itself."""
        waiting = self._waiting
        with MqttPublisher(read_mqtt_url(self._url), client_id=self.name, in_flight=200) as publisher:
            while not self._told.is_set():
                number = self.sent
                station = f"{self.name}-{number % STATIONS}"
                at = format_instant(self._start + timedelta(seconds=number // STATIONS))
                body = {
                    "id": f"urn:ngsi-ld:AirQualityObserved:{station}",
                    "observedAt": at,
                    "period": 60,
                    "values": {"pm25": {"value": number % 50, "unit": "GQ"}},
                }
                sent = publisher.send(f"haidang/air/{station}", json.dumps(body).encode())
                waiting.append((sent, (station, at)))
                self.sent += 1
                time.sleep(self.pace_s)
            deadline = time.monotonic() + 20
            while time.monotonic() < deadline and not all(_taken(one) for one, _ in waiting):
                time.sleep(0.05)
            self.kept = [what for one, what in waiting if _taken(one)]

    def last_taken(self) -> set[tuple[str, str]]:
        """Station and moment of the newest reading that the broker has answered, if any."""
        return set([what for one, what in list(self._waiting) if _taken(one)][-1:])

    def end(self) -> None:
        """Stop, and wait for what the broker has still to take."""
        self._told.set()
        self.join(timeout=60)


def _taken(sent: MQTTMessageInfo) -> bool:
    """Whether the broker has taken a message; one queued without a connection is not asked by paho."""
    try:
        return sent.is_published()
    except RuntimeError:
        return False


def moments_known(door: Door, station: str) -> set[str]:
    """The moments for which the platform holds a PM2.5 value of a station, through the temporal door."""
    known: set[str] = set()
    since = format_instant(datetime.now(UTC) - timedelta(days=3))
    entity_id = quote(f"urn:ngsi-ld:AirQualityObserved:{station}", safe="")
    query = {"attrs": "pm25", "options": "temporalValues", "timerel": "after", "timeAt": since}
    link = (
        '</ngsi-ld/v1/jsonldContexts/packs>; rel="http://www.w3.org/ns/json-ld#context"; '
        'type="application/ld+json"'
    )
    status, answer = door.ask(
        "GET", f"/ngsi-ld/v1/temporal/entities/{entity_id}?{urlencode(query)}", Link=link
    )
    if status in {200, 206}:
        known |= {moment for _, moment in answer["pm25"]["values"]}
    return known
