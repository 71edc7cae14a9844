"""What a client is sent when it is slow, far behind or deaf; and that several batches say what each said."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from litestar import Litestar

from haidang.infra.events import Sequencer
from haidang.kernel.actors import Audience, anonymous
from haidang.kernel.instants import SetClock, parse_instant
from haidang.web.ioc.live import live_routes
from haidang.web.shared.batches import AlarmNews, Batch, SourceNews
from haidang.web.shared.house import House
from haidang.web.shared.marks import live_layers
from haidang.web.shared.streams import Client, LayerUnknown, Streams, _Scene
from tests.events.helpers import running
from tests.web.stations import FIVE, Given, write_stations
from tests.web.streaming import alive, listening

NOON = parse_instant("2026-11-21T05:00:00Z")
AIR = "/ioc/live?layers=air-quality"
BOTH = frozenset({"air", "water"})


def events(said: bytes) -> list[tuple[str, Any]]:
    """The events in what was sent."""
    found = []
    for block in filter(None, said.decode().split("\n\n")):
        fields = dict(line.split(": ", 1) for line in block.splitlines())
        found.append((fields["event"], orjson.loads(fields["data"])))
    return found


class Screen:
    """Does with events what a screen does."""

    def __init__(self) -> None:
        self.shown: dict[str, set[tuple[str, int]]] = {}

    def take(self, said: bytes) -> None:
        """Take away what is gone, then put the marks."""
        for kind, content in events(said):
            assert kind == "marks"
            for entity_id in content["gone"]:
                self.shown.pop(entity_id, None)
            for layer, marks in content["layers"].items():
                for mark in marks:
                    kept = {one for one in self.shown.get(mark["id"], set()) if one[0] != layer}
                    self.shown[mark["id"]] = {*kept, (layer, mark["rank"])}


def batch(position: int, marks: dict[str, int | None]) -> Batch:
    """Marks of things by their rank; each thing stands in both layers or in none."""
    made = {
        one: None if rank is None else orjson.dumps({"id": one, "rank": rank}) for one, rank in marks.items()
    }
    return Batch(position, {"air": made, "water": dict(made)})


@given(st.lists(st.dictionaries(st.sampled_from("abcde"), st.none() | st.integers(1, 6)), min_size=1))
def test_batches_in_one_say_what_they_say_one_by_one(told: list[dict[str, int | None]]) -> None:
    batches = [batch(position, marks) for position, marks in enumerate(told, 1)]
    one_by_one, at_once = Screen(), Screen()
    merged = batches[0]
    for one in batches:
        one_by_one.take(one.bytes_for(BOTH))
    for one in batches[1:]:
        merged = merged.then(one)
    at_once.take(merged.bytes_for(BOTH))
    assert at_once.shown == one_by_one.shown
    assert merged.position == len(told)


def test_a_batch_is_made_once_for_all_who_have_the_same_layers() -> None:
    told = batch(7, {"a": 3})
    assert told.bytes_for(BOTH) is told.bytes_for(frozenset({"water", "air"}))
    assert told.bytes_for(frozenset({"air"})) is not told.bytes_for(BOTH)
    assert told.bytes_for(frozenset()) == b""
    assert told.bytes_for(frozenset({"air"})).startswith(b"id: 7\nevent: marks\ndata: ")


def test_alarms_and_sources_of_several_batches_are_all_told_and_the_latest_count() -> None:
    first = Batch(1, alarms=AlarmNews(1, ("a", "b"), {"minor": 2}), late=(SourceNews("air", "a", NOON),))
    second = Batch(2, alarms=AlarmNews(2, ("b", "c"), {"minor": 3}), back=(SourceNews("air", "a", NOON),))
    (_, alarms), (_, sources) = events(first.then(second).bytes_for(BOTH))
    assert alarms == {"raised": 3, "changed": ["a", "b", "c"], "counts": {"minor": 3}}
    assert len(sources["late"]) == len(sources["back"]) == 1
    unknown = Batch(3, alarms=AlarmNews(changed=None))
    assert first.then(unknown).alarms == AlarmNews(1, None, {})
    assert first.then(Batch(4)).alarms == first.alarms


async def test_who_fell_far_behind_is_asked_to_load_everything_anew() -> None:
    scene = _Scene(anonymous(), "vi", SetClock(NOON))
    client = Client(scene, BOTH, b"")
    scene.clients.add(client)
    many: dict[str, int | None] = {f"thing-{number}": 1 for number in range(900)}
    scene.tell(batch(1, many))
    scene.tell(batch(2, {f"other-{number}": 1 for number in range(200)}))
    said = await client.next()
    assert said is not None
    ((kind, hello),) = events(said)
    assert (kind, hello["again"], hello["position"]) == ("hello", True, 2)
    scene.tell(batch(3, many))  # one batch alone is what everybody gets
    said = await client.next()
    assert said is not None
    assert [kind for kind, _ in events(said)] == ["marks"]


async def test_what_waits_for_many_is_put_together_once() -> None:
    scene = _Scene(anonymous(), "vi", SetClock(NOON))
    clients = [Client(scene, BOTH, b"") for _ in range(3)]
    scene.clients.update(clients)
    for position in (1, 2, 3):
        scene.tell(batch(position, {"a": position}))
    said = [await one.next() for one in clients]
    assert said[0] is said[1] is said[2]
    assert said[0] is not None
    assert events(said[0])[0][1]["layers"]["air"] == [{"id": "a", "rank": 3}]


def test_every_layer_with_marks_can_be_streamed_and_says_how_long_a_value_holds(house: House) -> None:
    layers = live_layers(house.packs)
    assert layers["air-quality"].fresh_for == timedelta(hours=3)


def test_layers_that_one_may_not_see_are_not_found(house: House) -> None:
    streams = Streams(house)
    assert "air-quality" in streams.layers_for(anonymous(), None)
    assert streams.layers_for(anonymous(), "") == frozenset()
    with pytest.raises(LayerUnknown):
        streams.layers_for(anonymous(), "nothing")


@asynccontextmanager
async def streaming(house: House, **how: float) -> AsyncIterator[Litestar]:
    """Only the streams, in a hurry."""
    await write_stations(house.pool, FIVE, house.clock.now())
    streams = Streams(house, every_s=0.02, **how)
    application = Litestar(
        route_handlers=live_routes(house, streams),
        lifespan=[lambda _: streams.lifespan()],
        openapi_config=None,
        logging_config=None,
    )
    async with running(Sequencer(house.pool)), alive(application):  # type: ignore[arg-type]
        yield application


async def test_beats_carry_the_position_to_go_on_from(house: House) -> None:
    async with streaming(house, beat_s=0.1) as application, listening(application, AIR) as stream:  # type: ignore[arg-type]
        beat = await stream.next("beat")
        assert beat.content == {"now": "2026-11-21T05:00:00Z"}
        assert beat.position is not None


async def test_a_slow_client_gets_the_newest_of_each_thing(house: House) -> None:
    async with (
        streaming(house) as application,
        listening(application, AIR) as stream,  # type: ignore[arg-type]
        listening(application, AIR) as quick,  # type: ignore[arg-type]
    ):
        await stream.next("alarms")
        stream.reads.clear()
        for hour in range(1, 9):
            at = house.clock.now() + timedelta(hours=hour)
            await write_stations(house.pool, [Given("mui-ne", "Mũi Né", hour * 10)], at, hours=1, days=1)
            await quick.next("marks")  # a batch of its own
        stream.reads.set()
        shown: list[str] = []
        while not shown or shown[-1] != "80":
            told = await stream.next("marks")
            shown += [one["short"] for one in told.content["layers"]["air-quality"]]
        assert len(shown) <= 3  # what was being sent, and the newest


async def test_a_client_that_takes_nothing_is_let_go(house: House) -> None:
    async with (
        streaming(house, patience_s=0.3) as application,
        listening(application, AIR) as deaf,  # type: ignore[arg-type]
        listening(application, AIR) as other,  # type: ignore[arg-type]
    ):
        await deaf.next("alarms")
        await other.next("alarms")
        deaf.reads.clear()
        at = house.clock.now() + timedelta(hours=1)
        await write_stations(house.pool, [Given("mui-ne", "Mũi Né", 10)], at, hours=1, days=1)
        await other.next("marks")
        await deaf.let_go()
        assert not other.over


def test_streams_are_for_the_public_of_this_machine(house: House) -> None:
    for route in live_routes(house, Streams(house)):
        assert route.opt["audience"] is Audience.PUBLIC
