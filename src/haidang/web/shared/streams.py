"""The live streams of one web process: one follower of the event log, and all who look, fed from it.

What changed is asked for once for all screens, four times a second at most; each mark is made once for
a language, and the bytes are shared. A client holds no copy of anything: it has references to the batches
that it has not been sent yet, and gets of several batches the newest of each thing. One that takes
nothing for half a minute is let go. See ADR 0059.
"""

import asyncio
import contextlib
import random
import time
from collections.abc import AsyncIterator, Collection, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from functools import reduce
from typing import TypeAlias

import orjson

from haidang.context.events import EntitiesChanged, EntityChange
from haidang.context.merging import EntityState
from haidang.infra.database import Connection, DatabaseUnavailable, reading
from haidang.infra.events import Envelope, head_position
from haidang.infra.tail import News, Tail, events_back_to
from haidang.infra.telemetry import counter, gauge, histogram, logger
from haidang.kernel.actors import Actor, Audience
from haidang.kernel.errors import HaidangError, NotFound, Unavailable
from haidang.kernel.events import Event
from haidang.kernel.instants import Clock, Instant, format_instant
from haidang.rules.events import (
    AlarmAcknowledged,
    AlarmCleared,
    AlarmCommented,
    AlarmRaised,
    AlarmShelved,
    AlarmUpdated,
)
from haidang.rules.service import count_alarms
from haidang.sources.events import SourceBack, SourceLate
from haidang.web.shared.answers import JSON, Whole
from haidang.web.shared.batches import AlarmNews, Batch, Changed, Layers, SourceNews, event_bytes
from haidang.web.shared.house import House
from haidang.web.shared.marks import (
    MarksOfLayer,
    live_layers,
    load_marks,
    marks_of_states,
    states_of,
)

EVERY_S = 0.25
"""How often a screen is told at most."""
BEAT_S = 15.0
"""How often it is told that all is well."""
PATIENCE_S = 30.0
"""How long a client may take nothing of what it is sent."""
RETRY_MS = (2_000, 10_000)
"""Between which each client's wait before it comes back is drawn."""

_LINGER_S = 60.0  # how long marks are kept up to date when nobody looks any more
_MADE_ANEW_S = 120.0  # marks can change by the clock alone, and an entity can leave its type
_ANEW_AT_ONCE = 500
_SNAPSHOT_KEPT_S = 1.0
_REACH_S = 2.0  # how long to wait for what another process has told already
_MOST_EVENTS_BACK = 5_000
_MOST_ENTITIES_BACK = 20_000
_MOST_MARKS_AT_ONCE = 2_000  # of one client alone; more than that is loaded, which many can share

_ALARMS: tuple[type[Event], ...] = (
    AlarmRaised,
    AlarmUpdated,
    AlarmCleared,
    AlarmAcknowledged,
    AlarmCommented,
    AlarmShelved,
)
_HEARD: tuple[type[Event], ...] = (EntitiesChanged, *_ALARMS, SourceLate, SourceBack)

OPEN_STREAMS = gauge("live_streams", "Event streams that are open.")
DROPPED_STREAMS = counter("live_streams_dropped", "Event streams that were let go because nobody read them.")
TOLD_SECONDS = histogram("live_told_seconds", "From an event in the log to the screens that it concerns.")

_log = logger("web")

Audiences: TypeAlias = frozenset[Audience]
Touched: TypeAlias = dict[tuple[str, str], tuple[int, Collection[str]]]
"""Position and layers by tenant and entity."""


class LayerUnknown(NotFound):
    """There is no layer {layer} on the map."""


class StreamsFull(Unavailable):
    """All {most} live streams of this server are taken; the page keeps what it shows and asks again later."""


class StreamsEnding(Unavailable):
    """The server is not sending live changes right now; the page keeps what it shows and asks again later."""


@dataclass(slots=True)
class _Scene:
    """What is seen by one kind of visitor in one language, and who looks."""

    actor: Actor
    locale: str
    clock: Clock
    layers: dict[str, MarksOfLayer] = field(default_factory=dict)
    clients: set["Client"] = field(default_factory=set)
    used_at: float = field(default_factory=time.monotonic)
    counts: Mapping[str, int] | None = None
    merged: dict[tuple[int, int], Batch] = field(default_factory=dict)
    snapshots: dict[Layers, tuple[float, int, Whole]] = field(default_factory=dict)
    anew: list[tuple[str, str]] = field(default_factory=list)
    anew_at: float = field(default_factory=time.monotonic)

    @property
    def whose(self) -> tuple[str, Audiences]:
        """Those who see the same, in whatever language."""
        return self.actor.tenant, self.actor.audiences

    def tell(self, batch: Batch) -> None:
        """Have everyone told who looks."""
        self.merged.clear()
        for client in self.clients:
            client.put(batch)

    def merge(self, batches: Sequence[Batch]) -> Batch:
        """Several batches in a row as one, made once for all who are as far behind."""
        if len(batches) == 1:
            return batches[0]
        key = (id(batches[0]), len(batches))  # alive, and in a row up to the newest
        found = self.merged.get(key)
        if found is None:
            found = self.merged[key] = reduce(Batch.then, batches)
        return found

    def together(self, changed: Changed) -> Changed:
        """The changes; what is gone from one layer stands in the others anew: "gone" means everywhere."""
        told = {layer: dict(marks) for layer, marks in changed.items()}
        for marks in changed.values():
            for entity_id in (one for one, mark in marks.items() if mark is None):
                for layer, kept in self.layers.items():
                    if entity_id in kept.marks:
                        told.setdefault(layer, {})[entity_id] = kept.marks[entity_id]
        return {layer: marks for layer, marks in told.items() if marks}


class Client:
    """One stream: what waits for it, and whether it still takes what it is sent."""

    __slots__ = ("_ended", "_waiting", "_waker", "greeting", "layers", "patience", "scene", "sending_since")

    def __init__(self, scene: _Scene, layers: Layers, greeting: bytes) -> None:
        self.scene = scene
        self.layers = layers
        self.greeting = greeting
        self.sending_since: float | None = None
        self.patience: asyncio.Timeout | None = None
        self._waiting: list[Batch] = []
        self._waker: asyncio.Future[None] | None = None
        self._ended = False

    def put(self, batch: Batch) -> None:
        """Have it told; a reference, whatever its size."""
        self._waiting.append(batch)
        if self._waker is not None:
            self._wake()

    def end(self) -> None:
        """End the stream once what is being sent is sent."""
        self._ended = True
        self._wake()

    async def next(self) -> bytes | None:
        """Whatever has come since the last time, the newest of each thing; None at the end."""
        if not (self._waiting or self._ended):
            self._waker = asyncio.get_running_loop().create_future()
            try:
                await self._waker
            finally:
                self._waker = None
        if self._ended:
            return None
        batches, self._waiting = self._waiting, []
        batch = self.scene.merge(batches)
        if len(batches) > 1 and batch.marks_of(self.layers) > _MOST_MARKS_AT_ONCE:
            # So far behind that to load everything, which many can share, is less.
            hello, _ = _hello(batch.position, self.layers, self.scene.clock.now(), again=True)
            return replace(batch, marks={}, made={}, said={**batch.said, "hello": hello}).bytes_for(
                self.layers
            )
        return batch.bytes_for(self.layers)

    def _wake(self) -> None:
        waker, self._waker = self._waker, None
        if waker is not None and not waker.done():
            waker.set_result(None)


@dataclass(slots=True)
class _Changes:
    """Which entities changed last and at what position, the latest at the end, known from `since` on."""

    since: int
    latest: Touched = field(default_factory=dict)

    def note(self, tenant: str, entity_id: str, position: int, layers: Collection[str]) -> None:
        self.latest.pop((tenant, entity_id), None)
        self.latest[tenant, entity_id] = (position, layers)
        while len(self.latest) > _MOST_ENTITIES_BACK:
            oldest = next(iter(self.latest))
            self.since = self.latest.pop(oldest)[0]

    def after(self, tenant: str, position: int) -> dict[str, Collection[str]]:
        found = {}
        for (whose, entity_id), (at, layers) in reversed(self.latest.items()):
            if at <= position:
                break
            if whose == tenant:
                found[entity_id] = layers
        return found


@dataclass(slots=True)
class _Sorted:
    """What a stretch of the log is about, by tenant."""

    touched: Touched = field(default_factory=dict)
    alarms: dict[str, AlarmNews] = field(default_factory=dict)
    late: dict[str, list[SourceNews]] = field(default_factory=dict)
    back: dict[str, list[SourceNews]] = field(default_factory=dict)


class Streams:
    """Whoever looks at this process's screens; `lifespan` is the time in which there is anything to see."""

    def __init__(
        self,
        house: House,
        *,
        every_s: float = EVERY_S,
        beat_s: float = BEAT_S,
        patience_s: float = PATIENCE_S,
    ) -> None:
        self._house = house
        self._every_s = every_s
        self._beat_s = beat_s
        self._patience_s = patience_s
        self._layers = live_layers(house.packs)
        self._of_type: dict[str, list[str]] = {}
        for layer_id, live in self._layers.items():
            self._of_type.setdefault(live.declared.iri, []).append(layer_id)
        self._scenes: dict[tuple[str, Audiences, str], _Scene] = {}
        self._changes = _Changes(0)
        self._position = 0
        self._moved = asyncio.Event()
        self._lock = asyncio.Lock()
        self._running = False
        self._away = False
        self._open = 0
        self._tail: Tail | None = None
        self._stop = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    @asynccontextmanager
    async def lifespan(self) -> AsyncIterator[None]:
        """Streams can be opened inside; at its end, or when the house stops, every one ends at once."""
        self._running = True
        leaving = asyncio.create_task(self._end_with_the_house())
        try:
            yield
        finally:
            leaving.cancel()
            self._running = False
            self._end()
            self._stop.set()
            await asyncio.gather(*self._tasks)

    def layers_for(self, actor: Actor, wanted: str | None) -> Layers:
        """The layers named, or all that have marks; raises LayerUnknown for one this actor does not see."""
        open_to = {name for name, one in self._layers.items() if actor.belongs_to(one.declared.audience)}
        if wanted is None:
            return frozenset(open_to)
        asked = frozenset(filter(None, wanted.split(",")))
        for name in sorted(asked - open_to):
            raise LayerUnknown(layer=name[:100])
        return asked

    async def open(self, actor: Actor, locale: str, layers: Layers, after: int | None) -> Client:
        """A stream of these layers that goes on after a position, if it is still known what came since.

        Raises StreamsFull, StreamsEnding, DatabaseUnavailable.
        """
        most = self._house.settings.event_streams
        if self._open >= most:
            raise StreamsFull(most=most)
        self._open += 1
        try:
            async with self._lock:
                scene = await self._scene(actor, locale, layers)
            await self._reach(after)
            async with self._lock:
                scene = await self._scene(actor, locale, layers)  # it may have gone while nobody looked
                missed = None if after is None else await self._missed(scene, layers, after)
                client = Client(scene, layers, await self._greeting(scene, layers, after, missed))
                scene.clients.add(client)
                if not self._running:
                    client.end()
        except BaseException:
            self._open -= 1
            raise
        OPEN_STREAMS.inc()
        return client

    def close(self, client: Client) -> None:
        """A stream has ended, whoever ended it."""
        client.scene.clients.discard(client)
        client.scene.used_at = time.monotonic()
        self._open -= 1
        OPEN_STREAMS.dec()

    async def snapshot(self, actor: Actor, locale: str, layers: Layers, after: int | None) -> Whole:
        """Every mark of these layers as it was at a position or later, as `marks.json` says it.

        Where the log is not followed (no server runs) it is made from the database alone.
        """
        if not self._running:
            scene = _Scene(actor, locale, self._house.clock)
            async with reading(self._house.pool) as connection:
                self._position = await head_position(connection)
                await self._load(scene, connection, layers)
            return self._whole(scene, layers)
        async with self._lock:
            await self._scene(actor, locale, layers)
        await self._reach(after)
        async with self._lock:
            scene = await self._scene(actor, locale, layers)
            scene.used_at = now = time.monotonic()
            kept = scene.snapshots.get(layers)
            if kept is None or kept[0] + _SNAPSHOT_KEPT_S < now or (after is not None and kept[1] < after):
                scene.snapshots = {
                    **{key: one for key, one in scene.snapshots.items() if one[0] + _SNAPSHOT_KEPT_S >= now},
                    layers: (now, self._position, self._whole(scene, layers)),
                }
            return scene.snapshots[layers][2]

    # --- what the tail tells -------------------------------------------------------------------

    async def hear(self, news: News) -> None:
        """Tell everybody what a stretch of the log means for their screens."""
        async with self._lock:
            if news.rewound:
                _log.warning("log-rewound", position=news.position)
                self._changes = _Changes(news.position)
                self._end()  # who comes back names a position that never was, and loads everything anew
            if self._scenes:
                found = self._sorted(news)
                for whose in {one.whose: one.actor for one in self._scenes.values()}.items():
                    await self._tell(*whose, news.position, found)
                for (tenant, entity_id), (position, layers) in found.touched.items():
                    self._changes.note(tenant, entity_id, position, layers)
            else:
                self._changes = _Changes(news.position)  # read from the log should somebody ask
            self._position = news.position
            moved, self._moved = self._moved, asyncio.Event()
            moved.set()
        await asyncio.sleep(0)  # whoever was told takes it now: the time that needs is part of ours
        told_at = self._house.clock.now()
        for envelope in news.envelopes:
            TOLD_SECONDS.observe(max(0.0, (told_at - envelope.published_at).total_seconds()))

    async def lose(self) -> None:
        """The database is away: screens say since when."""
        self._away = True
        self._say_state("away")

    async def find(self) -> None:
        """The database is back; what happened meanwhile comes next."""
        self._away = False
        self._say_state("back")

    def _sorted(self, news: News) -> _Sorted:
        """What entities, alarms and sources the events are about."""
        found = _Sorted()
        for envelope in news.envelopes:
            try:
                self._sort(envelope, found)
            except HaidangError as trouble:  # of a newer program, whose pages will be loaded anew
                _log.warning("event-not-shown", position=envelope.position, reason=trouble.code())
        return found

    def _sort(self, envelope: Envelope, found: _Sorted) -> None:
        tenant = envelope.tenant
        if envelope.kind == EntitiesChanged.kind:
            found.touched |= self._touched(envelope)
        elif envelope.kind == SourceLate.kind:
            fell = envelope.read(SourceLate)
            late = SourceNews(fell.source_id, fell.subject, fell.late_since)
            found.late.setdefault(tenant, []).append(late)
        elif envelope.kind == SourceBack.kind:
            heard = envelope.read(SourceBack)
            found.back.setdefault(tenant, []).append(
                SourceNews(heard.source_id, heard.subject, heard.back_at)
            )
        else:
            alarm = AlarmNews(int(envelope.kind == AlarmRaised.kind), (envelope.subject,))
            found.alarms[tenant] = found.alarms.get(tenant, AlarmNews()).then(alarm)

    def _touched(self, envelope: Envelope) -> Touched:
        """The entities that a change is about and that stand in some layer."""
        found: Touched = {}
        for change in envelope.read(EntitiesChanged).changes:
            layers = tuple(name for iri in change.types for name in self._of_type.get(iri, ()))
            if layers and not _only_history(change):
                found[envelope.tenant, change.entity_id] = (envelope.position, layers)
        return found

    async def _tell(self, whose: tuple[str, Audiences], actor: Actor, position: int, found: _Sorted) -> None:
        """Tell those who see the same: one query for all of them, one mark for each language."""
        tenant, _ = whose
        scenes = [one for one in self._scenes.values() if one.whose == whose]
        watched = {layer for one in scenes for layer in one.layers}
        wanted = {
            entity_id: layers
            for (owner, entity_id), (_, layers) in found.touched.items()
            if owner == tenant and not watched.isdisjoint(layers)
        }
        states: Mapping[str, EntityState] = {}
        if wanted:
            async with reading(self._house.pool) as connection:
                states = await states_of(actor, connection, list(wanted))
        alarms = found.alarms.get(tenant)
        if alarms is not None:
            for one in scenes:
                one.counts = None
            alarms = replace(alarms, counts=await self._counts(scenes[0]))
        late, back = tuple(found.late.get(tenant, ())), tuple(found.back.get(tenant, ()))
        for scene in scenes:
            marks = await self._changed(scene, states, wanted)
            if marks or alarms or late or back:
                scene.tell(Batch(position, marks, alarms=alarms, late=late, back=back))

    async def _changed(
        self, scene: _Scene, states: Mapping[str, EntityState], wanted: Mapping[str, Collection[str]]
    ) -> Changed:
        """Make the marks of these entities anew; those that are other than they were."""
        changed: Changed = {}
        for layer, kept in scene.layers.items():
            ours = [one for one, layers in wanted.items() if layer in layers]
            there = [states[one] for one in ours if one in states]
            made = await marks_of_states(kept.live, there, self._house.clock.now(), scene.locale)
            news = {one: made.get(one) for one in ours if kept.put(one, made.get(one))}
            if news:
                changed[layer] = news
        return scene.together(changed)

    def _say_state(self, database: str) -> None:
        said = orjson.dumps({"database": database, "now": format_instant(self._house.clock.now())})
        for scene in self._scenes.values():
            scene.tell(Batch(self._position, said={"state": event_bytes("state", said)}))

    # --- scenes --------------------------------------------------------------------------------

    async def _scene(self, actor: Actor, locale: str, layers: Layers) -> _Scene:
        """The scene that an actor sees, with these layers in it; the lock is held."""
        await self._begin()
        if self._away:
            raise DatabaseUnavailable
        key = (actor.tenant, actor.audiences, locale)
        scene = self._scenes.get(key) or _Scene(actor, locale, self._house.clock)
        if not layers <= scene.layers.keys():
            async with reading(self._house.pool) as connection:
                await self._load(scene, connection, layers - scene.layers.keys())
        self._scenes[key] = scene
        return scene

    async def _load(self, scene: _Scene, connection: Connection, layers: Iterable[str]) -> None:
        for name in sorted(layers):
            scene.layers[name] = await load_marks(
                scene.actor,
                connection,
                self._layers[name],
                now=self._house.clock.now(),
                locale=scene.locale,
                position=self._position,
            )

    def _whole(self, scene: _Scene, layers: Layers) -> Whole:
        gettext = self._house.translations.gettext
        documents = b",".join(
            b"%b:%b" % (orjson.dumps(name), kept.document(gettext(scene.locale, kept.live.layer.label)))
            for name, kept in sorted(scene.layers.items())
            if name in layers
        )
        now = orjson.dumps(format_instant(self._house.clock.now()))
        body = b'{"now":%b,"position":%d,"layers":{%b}}' % (now, self._position, documents)
        return Whole(body, JSON, cache_control=b"no-store")

    async def _missed(self, scene: _Scene, layers: Layers, after: int) -> Changed | None:
        """The marks that changed after a position; None when that cannot be said any more."""
        if after > self._position:
            return None
        if after < self._changes.since and not await self._remember_back_to(after):
            return None
        if any(kept.tiled and after < kept.since for name, kept in scene.layers.items() if name in layers):
            return None
        found: Changed = {}
        changed = self._changes.after(scene.actor.tenant, after)
        for entity_id, its in changed.items():
            for name in layers.intersection(its):
                found.setdefault(name, {})[entity_id] = scene.layers[name].marks.get(entity_id)
        return found if sum(map(len, found.values())) <= _MOST_MARKS_AT_ONCE else None

    async def _remember_back_to(self, after: int) -> bool:
        """Learn from the log what changed before we began to follow it: once for all who come back."""
        upto = self._changes.since
        envelopes = await events_back_to(
            self._house.pool, after, upto, (EntitiesChanged,), most=_MOST_EVENTS_BACK
        )
        if envelopes is None:
            return False
        earlier: Touched = {}
        for envelope in envelopes:
            for key, touched in self._touched(envelope).items():
                earlier.pop(key, None)
                earlier[key] = touched
        for key in self._changes.latest:
            earlier.pop(key, None)
        if len(earlier) + len(self._changes.latest) > _MOST_ENTITIES_BACK:
            return False
        self._changes = _Changes(after, earlier | self._changes.latest)
        return True

    async def _greeting(
        self, scene: _Scene, layers: Layers, after: int | None, missed: Changed | None
    ) -> bytes:
        """How to come back, what there is, what was missed, and how many alarms are open."""
        first = Batch(
            self._position,
            {} if missed is None else scene.together(missed),
            alarms=AlarmNews(changed=None, counts=await self._counts(scene)),
        )
        hello, wait_ms = _hello(
            self._position, layers, self._house.clock.now(), again=after is not None and missed is None
        )
        return b"retry: %d\n%b%b" % (wait_ms, hello, first.bytes_for(layers))

    async def _counts(self, scene: _Scene) -> Mapping[str, int]:
        """How many alarms are open, by severity; nothing where they cannot be counted."""
        if scene.counts is None:
            try:
                async with reading(self._house.pool) as connection:
                    found = await count_alarms(scene.actor, connection, now=self._house.clock.now())
            except DatabaseUnavailable:
                raise
            except Exception as trouble:  # noqa: BLE001 - alarms that cannot be counted must not end the map
                _log.error("alarms-not-counted", exc_info=trouble)
                scene.counts = {}  # until something happens to an alarm, or two minutes have passed
            else:
                scene.counts = {severity.value: number for severity, number in found.by_severity.items()}
        return scene.counts

    # --- following -----------------------------------------------------------------------------

    async def _begin(self) -> None:
        """Follow the log from its head; the lock is held. Raises StreamsEnding, DatabaseUnavailable."""
        if not self._running:
            raise StreamsEnding
        if self._tail is not None:
            return
        async with reading(self._house.pool) as connection:
            self._position = await head_position(connection)
        self._changes = _Changes(self._position)
        self._tail = Tail(self._house.pool, _HEARD, self, every_s=self._every_s)
        following = self._tail.run(self._position, self._stop)
        self._tasks = [asyncio.create_task(following), asyncio.create_task(self._keep())]

    async def _reach(self, position: int | None) -> None:
        """Wait a little for what a client has been told already by another process of this web."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_REACH_S):
                while position is not None and self._position < position and self._tail is not None:
                    moved = self._moved
                    self._tail.look()
                    await moved.wait()

    async def _keep(self) -> None:
        """Every second: beats, clients that take nothing, marks by the clock, scenes that nobody looks at."""
        loop = asyncio.get_running_loop()
        beat_at = loop.time() + self._beat_s
        while not self._stop.is_set():
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(min(1.0, self._beat_s, self._patience_s)):
                    await self._stop.wait()
            try:
                if loop.time() >= beat_at:
                    beat_at = loop.time() + self._beat_s
                    self._beat()
                self._drop_who_takes_nothing(loop.time())
                async with self._lock:
                    await self._make_some_anew()
            except DatabaseUnavailable:
                continue
            except Exception as trouble:  # noqa: BLE001 - beats go on
                _log.error("streams-not-kept", exc_info=trouble)

    def _beat(self) -> None:
        now = orjson.dumps({"now": format_instant(self._house.clock.now())})
        beat = event_bytes("beat", now, self._position)
        for scene in self._scenes.values():
            scene.tell(Batch(self._position, said={"beat": beat}))

    def _drop_who_takes_nothing(self, now: float) -> None:
        for scene in self._scenes.values():
            for client in scene.clients:
                since = client.sending_since
                if since is not None and now - since > self._patience_s and client.patience is not None:
                    client.patience.reschedule(now)
                    DROPPED_STREAMS.inc()

    async def _make_some_anew(self) -> None:
        """Some marks of each scene, so that each is made anew every two minutes; forget what nobody sees."""
        now = time.monotonic()
        for key, scene in list(self._scenes.items()):
            if not scene.clients:
                if now - scene.used_at > _LINGER_S:
                    del self._scenes[key]
                continue
            if not scene.anew and now - scene.anew_at > _MADE_ANEW_S:
                scene.anew_at = now
                scene.counts = None  # an alarm comes back from where it was put aside without an event
                scene.anew = [
                    (name, entity_id)
                    for name, kept in scene.layers.items()
                    if not kept.tiled
                    for entity_id in kept.marks
                ]
            some, scene.anew = scene.anew[:_ANEW_AT_ONCE], scene.anew[_ANEW_AT_ONCE:]
            if some:
                wanted: dict[str, list[str]] = {}
                for name, entity_id in some:
                    wanted.setdefault(entity_id, []).append(name)
                async with reading(self._house.pool) as connection:
                    states = await states_of(scene.actor, connection, list(wanted))
                marks = await self._changed(scene, states, wanted)
                if marks:
                    scene.tell(Batch(self._position, marks))

    def _end(self) -> None:
        for scene in self._scenes.values():
            for client in scene.clients:
                client.end()

    async def _end_with_the_house(self) -> None:
        """Let every stream go at once when the server is told to stop: it waits for what is under way."""
        await self._house.stopping.wait()
        self._running = False
        self._end()


def _hello(position: int, layers: Layers, now: Instant, *, again: bool) -> tuple[bytes, int]:
    """The first event of a stream, and the wait before coming back: drawn, so that not all come at once."""
    wait_ms = random.randint(*RETRY_MS)  # noqa: S311 - not a secret
    said = {
        "now": format_instant(now),
        "position": position,
        "layers": sorted(layers),
        "again": again,
        "retry": wait_ms,
    }
    return event_bytes("hello", orjson.dumps(said), position), wait_ms


def _only_history(change: EntityChange) -> bool:
    """Whether a change leaves the present as it was."""
    return (
        change.operation == "updated"
        and bool(change.attributes)
        and all(one.late for one in change.attributes)
    )
