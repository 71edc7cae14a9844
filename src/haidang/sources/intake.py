"""From the broker into the city: a batch of messages, one transaction, then the acknowledgements.

Whatever waits is taken, without a timer; while one batch is being committed the next one
gathers. A batch that meets the world's trouble is tried again for as long as it takes and
stays unacknowledged; one that meets a message that cannot be stored is halved until that
message stands alone, and that one is quarantined.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Iterable, Sequence

import structlog

from haidang.infra.database import Connection, Pool, transaction
from haidang.infra.events import backoff_s
from haidang.infra.failures import a_retry_helps, reason_of
from haidang.infra.mqtt import Delivery, MqttAddress, MqttSubscriber, topic_matches
from haidang.infra.telemetry import counter, trace
from haidang.kernel.actors import Actor, part
from haidang.kernel.instants import Clock, Instant
from haidang.sdk.model import Message
from haidang.sources.model import DeclaredSource, Reason
from haidang.sources.service import NO_SOURCE, Taken, quarantine_unread, take_messages

log = structlog.get_logger(__name__)

CLIENT_ID = "haidang-intake"
"""The name of our session on the broker: it must stay, or what waits there is lost."""

_MOST_TOPICS_REMEMBERED = 100_000

_NOT_THE_MESSAGES_FAULT = frozenset({"25", "28", "3D", "3F", "42", "58", "F0", "XX"})
"""Classes of SQLSTATE that speak of the server, its state or our schema, and never of a value."""

MESSAGES_TAKEN = counter(
    "messages_taken", "Messages taken from sources, by what became of them.", ("outcome",)
)


class MqttIntake:
    """Reads every declared source from one broker into the database."""

    def __init__(
        self,
        pool: Pool,
        clock: Clock,
        declared: Sequence[DeclaredSource],
        address: MqttAddress,
        *,
        actor: Actor | None = None,
        client_id: str = CLIENT_ID,
        most_at_once: int = 1_000,
        longest_pause_s: float = 10.0,
    ) -> None:
        self._pool = pool
        self._clock = clock
        self._declared = tuple(declared)
        self._actor = actor or part("sources")
        self._most_at_once = most_at_once
        self._longest_pause_s = longest_pause_s
        self._topics: OrderedDict[str, DeclaredSource | None] = OrderedDict()
        self._subscriber = MqttSubscriber(
            address, [one.source.topic for one in self._declared], client_id=client_id, clock=clock
        )
        self._stop = asyncio.Event()

    @property
    def connected(self) -> bool:
        """Whether the broker is reached and the subscriptions stand."""
        return self._subscriber.connected

    async def ready(self, *, patience_s: float) -> None:
        """Wait until the broker has confirmed the subscriptions; raises BrokerUnavailable."""
        await self._subscriber.subscribed(patience_s=patience_s)

    async def run(self, stop: asyncio.Event) -> None:
        """Take messages until told to stop; the batch in hand is finished first."""
        if not self._declared:
            await stop.wait()
            return
        self._stop = stop
        stopping = asyncio.create_task(stop.wait())
        try:
            async with self._subscriber:
                while not stop.is_set():
                    taking = asyncio.create_task(self._subscriber.batch(self._most_at_once))
                    await asyncio.wait({taking, stopping}, return_when=asyncio.FIRST_COMPLETED)
                    if not taking.done():
                        taking.cancel()
                        break
                    await self._store(taking.result())
        finally:
            stopping.cancel()

    async def _store(self, batch: Sequence[Delivery], committed: Iterable[str] = ()) -> None:
        """Store a batch and acknowledge it; halve it around what cannot be stored.

        `committed` names the sources whose messages of this batch are in the database already.
        """
        done = set(committed)
        failures = 0
        while True:
            try:
                await self._take(batch, done)
            except Exception as error:  # noqa: BLE001 (one message must not stop the others)
                if not _waiting_helps(error):
                    log.warning("batch refused", messages=len(batch), reason=reason_of(error))
                    await self._store_around(batch, done, error)
                    return
                failures += 1
                log.warning(
                    "batch waits",
                    messages=len(batch),
                    attempt=failures,
                    reason=reason_of(error.__cause__ or error),
                )
                if await self._pause(failures):
                    return  # Unacknowledged: the broker delivers it again.
            else:
                self._subscriber.acknowledge(batch)
                return

    async def _store_around(self, batch: Sequence[Delivery], done: set[str], error: Exception) -> None:
        if len(batch) > 1:
            middle = len(batch) // 2
            await self._store(batch[:middle], done)
            if not self._stop.is_set():
                await self._store(batch[middle:], done)
            return
        delivery = batch[0]
        await self._quarantine(delivery, reason_of(error))

    async def _quarantine(self, delivery: Delivery, detail: str) -> None:
        failures = 0
        while True:
            try:
                async with transaction(self._pool) as connection:
                    await quarantine_unread(
                        self._actor,
                        connection,
                        self._source_of(delivery.topic),
                        _message(delivery),
                        reason=Reason.NOT_STORABLE,
                        detail=detail,
                    )
            except Exception as error:
                if not _waiting_helps(error):
                    raise
                failures += 1
                if await self._pause(failures):
                    return
            else:
                self._subscriber.acknowledge([delivery])
                MESSAGES_TAKEN.labels(outcome="quarantined").inc()
                return

    async def _take(self, batch: Sequence[Delivery], done: set[str]) -> None:
        """Take a batch source by source; each that is committed is added to `done` and left alone then."""
        now = self._clock.now()
        by_source: dict[str, tuple[DeclaredSource | None, list[Message]]] = {}
        for delivery in batch:
            declared = self._source_of(delivery.topic)
            name = declared.source_id if declared else NO_SOURCE
            by_source.setdefault(name, (declared, []))[1].append(_message(delivery))
        # A transaction for each source: entities are locked once and in order, so that nobody waits
        # for us in a circle.
        for name, (declared, messages) in sorted(by_source.items()):
            if name in done:
                continue
            with trace("sources.take", messages=len(messages)):
                async with transaction(self._pool) as connection:
                    taken = await self._take_from(connection, declared, messages, now)
            done.add(name)
            MESSAGES_TAKEN.labels(outcome="accepted").inc(taken.accepted)
            MESSAGES_TAKEN.labels(outcome="quarantined").inc(taken.quarantined)

    async def _take_from(
        self,
        connection: Connection,
        declared: DeclaredSource | None,
        messages: Sequence[Message],
        now: Instant,
    ) -> Taken:
        if declared is not None:
            return await take_messages(self._actor, connection, declared, messages, now=now)
        for message in messages:
            await quarantine_unread(
                self._actor, connection, None, message, reason=Reason.NO_SOURCE, detail=message.topic
            )
        return Taken(0, len(messages))

    def _source_of(self, topic: str) -> DeclaredSource | None:
        if topic not in self._topics:
            if len(self._topics) >= _MOST_TOPICS_REMEMBERED:
                self._topics.popitem(last=False)
            self._topics[topic] = next(
                (one for one in self._declared if topic_matches(one.source.topic, topic)), None
            )
        return self._topics[topic]

    async def _pause(self, failures: int) -> bool:
        """Wait before another try; whether we were told to stop meanwhile."""
        try:
            async with asyncio.timeout(backoff_s(failures, first_s=0.1, most_s=self._longest_pause_s)):
                await self._stop.wait()
        except TimeoutError:
            return False
        return True


def _waiting_helps(error: Exception) -> bool:
    """Whether a batch should wait: for the world, or for the person who migrates the schema."""
    sqlstate = getattr(error, "sqlstate", None) or ""
    return a_retry_helps(error) or sqlstate[:2] in _NOT_THE_MESSAGES_FAULT


def _message(delivery: Delivery) -> Message:
    return Message(delivery.payload, delivery.topic, delivery.received_at)
