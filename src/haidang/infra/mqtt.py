"""MQTT in: a persistent session whose messages are acknowledged after our commit, never before.

paho runs in a thread of its own; what it receives waits in a bounded queue and is handed to
asyncio in batches: whatever waits, no timer. See ADR 0028.
"""

import asyncio
import random
import ssl
import threading
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self
from urllib.parse import parse_qs, unquote, urlsplit

import paho.mqtt.client as paho
import structlog
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from haidang.kernel.errors import Invalid, Unavailable
from haidang.kernel.instants import Clock, Instant, SystemClock

log = structlog.get_logger(__name__)

QOS = 1
"""At least once: what stands behind must be idempotent."""


class MqttUrlUnreadable(Invalid):
    """{url} is not an MQTT address such as mqtt://host:1883 or mqtts://user:password@host:8883."""


class BrokerUnavailable(Unavailable):
    """The MQTT broker at {host}:{port} does not answer right now."""


@dataclass(frozen=True, slots=True)
class MqttAddress:
    """Where a broker is and how to be let in; `password` never appears in a representation."""

    host: str
    port: int
    tls: bool = False
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    ca_file: Path | None = None
    certificate_file: Path | None = None
    key_file: Path | None = None


def read_mqtt_url(url: str) -> MqttAddress:
    """Read `mqtt[s]://[user[:password]@]host[:port][?ca=…&cert=…&key=…]`; raises MqttUrlUnreadable."""
    parts = urlsplit(url)
    try:
        port = parts.port
    except ValueError:
        port = -1
    if parts.scheme not in {"mqtt", "mqtts"} or not parts.hostname or port == -1:
        raise MqttUrlUnreadable(url=_without_password(url))
    tls = parts.scheme == "mqtts"
    files = {name: Path(values[-1]) for name, values in parse_qs(parts.query).items()}
    if unknown := set(files) - {"ca", "cert", "key"}:
        raise MqttUrlUnreadable(url=_without_password(url), unknown=", ".join(sorted(unknown)))
    return MqttAddress(
        host=parts.hostname,
        port=port or (8883 if tls else 1883),
        tls=tls,
        username=unquote(parts.username) if parts.username else None,
        password=unquote(parts.password) if parts.password else None,
        ca_file=files.get("ca"),
        certificate_file=files.get("cert"),
        key_file=files.get("key"),
    )


def _without_password(url: str) -> str:
    before, at, after = url.rpartition("@")
    return f"{before.split('://')[0]}://…@{after}" if at else url


def topic_matches(topic_filter: str, topic: str) -> bool:
    """Whether a topic is under a filter with + and # (MQTT 3.1.1, clause 4.7)."""
    return bool(paho.topic_matches_sub(topic_filter, topic))


@dataclass(frozen=True, slots=True)
class Delivery:
    """One message as the broker delivered it; `session` and `number` are what its ack names."""

    topic: str
    payload: bytes
    received_at: Instant
    qos: int
    number: int
    session: int


class MqttSubscriber:
    """A persistent session on a broker, read in batches and acknowledged by hand.

    It reconnects for ever, with exponential backoff and jitter. At most `most_waiting`
    messages wait in memory: beyond them the connection is not read, so that the broker
    keeps what we cannot take yet. An acknowledgement goes only to the connection that
    delivered the message: after a reconnection the broker delivers it again, and packet
    numbers may mean other messages.
    """

    def __init__(
        self,
        address: MqttAddress,
        filters: Sequence[str],
        *,
        client_id: str,
        clock: Clock | None = None,
        most_waiting: int = 10_000,
        least_wait_s: float = 0.2,
        longest_wait_s: float = 30.0,
        keepalive_s: int = 60,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._address = address
        self._filters = tuple(dict.fromkeys(filters))
        self._clock = clock or SystemClock()
        self._most_waiting = most_waiting
        self._least_wait_s = least_wait_s
        self._longest_wait_s = longest_wait_s
        self._keepalive_s = keepalive_s
        self._jitter = jitter
        self._waiting: deque[Delivery] = deque()
        self._room = threading.Condition()
        self._acks = threading.Lock()
        self._session = 0
        self._failures = 0
        self._closing = False
        self._woken = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._something = asyncio.Event()
        self._subscribed = asyncio.Event()
        self._gone = asyncio.Event()
        self._client = self._make_client(client_id)

    def _make_client(self, client_id: str) -> paho.Client:
        client = paho.Client(
            CallbackAPIVersion.VERSION2, client_id=client_id, clean_session=False, manual_ack=True
        )
        address = self._address
        if address.username is not None:
            client.username_pw_set(address.username, address.password)
        if address.tls:
            context = ssl.create_default_context(cafile=address.ca_file)
            context.minimum_version = ssl.TLSVersion.TLSv1_2
            if address.certificate_file is not None:
                context.load_cert_chain(address.certificate_file, address.key_file)
            client.tls_set_context(context)
        client.on_connect = self._on_connect
        client.on_connect_fail = self._on_connect_fail
        client.on_disconnect = self._on_disconnect
        client.on_subscribe = self._on_subscribe
        client.on_message = self._on_message
        return client

    async def __aenter__(self) -> Self:
        self._loop = asyncio.get_running_loop()
        self._client.connect_async(self._address.host, self._address.port, self._keepalive_s)
        self._pace()
        self._client.loop_start()
        return self

    async def __aexit__(self, *_: object) -> None:
        self._closing = True
        with self._room:
            self._room.notify_all()
        self._client.disconnect()
        await asyncio.to_thread(self._client.loop_stop)

    @property
    def connected(self) -> bool:
        """Whether the session is open and subscribed right now."""
        return self._subscribed.is_set()

    @property
    def waiting(self) -> int:
        """How many received messages wait to be taken."""
        return len(self._waiting)

    async def subscribed(self, *, patience_s: float) -> None:
        """Wait until the broker has confirmed the subscriptions; raises BrokerUnavailable."""
        try:
            async with asyncio.timeout(patience_s):
                await self._subscribed.wait()
        except TimeoutError:
            raise BrokerUnavailable(host=self._address.host, port=self._address.port) from None

    async def unsubscribed(self) -> None:
        """Wait until the connection is gone."""
        await self._gone.wait()

    async def batch(self, most: int = 2_000) -> list[Delivery]:
        """Wait for at least one message and take all that wait, `most` at the most, in order."""
        while True:
            with self._room:
                if self._waiting:
                    taken = [self._waiting.popleft() for _ in range(min(most, len(self._waiting)))]
                    self._room.notify_all()
                    return taken
                self._woken = False
                self._something.clear()
            await self._something.wait()

    def acknowledge(self, deliveries: Iterable[Delivery]) -> int:
        """Tell the broker, in order, that these are ours for good; return how many it was told.

        Those of an earlier connection are passed over: the broker delivers them again.
        """
        told = 0
        with self._acks:
            for delivery in deliveries:
                if delivery.qos and delivery.session == self._session:
                    self._client.ack(delivery.number, delivery.qos)
                    told += 1
        return told

    # What follows runs in paho's thread.

    def _on_connect(
        self, client: paho.Client, _data: Any, _flags: Any, reason: ReasonCode, _properties: Properties | None
    ) -> None:
        if reason.is_failure:
            # Wrong credentials, for one: said each time, tried again, for it may be mended over there.
            log.warning("broker_refuses", host=self._address.host, reason=str(reason))
            return
        # On a resumed session this changes nothing; on a new one it is where the session begins.
        client.subscribe([(one, QOS) for one in self._filters])

    def _on_subscribe(self, *_: Any) -> None:
        log.info("broker_reached", host=self._address.host, port=self._address.port)
        self._failures = 0
        self._call(self._gone.clear)
        self._call(self._subscribed.set)

    def _on_connect_fail(self, *_: Any) -> None:
        log.warning("broker_away", host=self._address.host, port=self._address.port, attempt=self._failures)
        self._pace()

    def _on_disconnect(self, *_: Any) -> None:
        if not self._closing:
            log.warning("broker_lost", host=self._address.host, port=self._address.port)
        with self._acks:
            self._session += 1
        self._call(self._subscribed.clear)
        self._call(self._gone.set)
        self._pace()

    def _pace(self) -> None:
        """Set the wait before the next attempt: doubled each time, half of it by chance."""
        longest = min(self._longest_wait_s, self._least_wait_s * 2 ** min(self._failures, 16))
        wait = longest * (0.5 + self._jitter() / 2)
        self._failures += 1
        self._client.reconnect_delay_set(wait, wait)

    def _on_message(self, _client: paho.Client, _data: Any, message: paho.MQTTMessage) -> None:
        delivery = Delivery(
            topic=message.topic,
            payload=bytes(message.payload),
            received_at=self._clock.now(),
            qos=message.qos,
            number=message.mid,
            session=self._session,
        )
        with self._room:
            while len(self._waiting) >= self._most_waiting and not self._closing:
                self._room.wait()
            self._waiting.append(delivery)
            wake = not self._woken
            self._woken = True
        if wake:
            self._call(self._something.set)

    def _call(self, what: Callable[[], None]) -> None:
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(what)


class MqttPublisher:
    """Sends at QoS 1 and knows what the broker has taken: for commands, tests and benches."""

    def __init__(self, address: MqttAddress, *, client_id: str = "", in_flight: int = 100) -> None:
        self._address = address
        self._client = paho.Client(CallbackAPIVersion.VERSION2, client_id=client_id)
        self._client.max_inflight_messages_set(in_flight)
        if address.username is not None:
            self._client.username_pw_set(address.username, address.password)
        if address.tls:
            self._client.tls_set_context(ssl.create_default_context(cafile=address.ca_file))

    def __enter__(self) -> Self:
        try:
            self._client.connect(self._address.host, self._address.port)
        except OSError as trouble:
            raise BrokerUnavailable(host=self._address.host, port=self._address.port) from trouble
        self._client.loop_start()
        return self

    def __exit__(self, *_: object) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    def send(self, topic: str, payload: bytes) -> paho.MQTTMessageInfo:
        """Queue one message; its `is_published()` says whether the broker has taken it."""
        sent = self._client.publish(topic, payload, qos=QOS)
        if sent.rc not in (MQTTErrorCode.MQTT_ERR_SUCCESS, MQTTErrorCode.MQTT_ERR_NO_CONN):
            raise BrokerUnavailable(host=self._address.host, port=self._address.port)
        return sent
