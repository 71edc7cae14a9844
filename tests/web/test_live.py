"""The event stream of the control room, and the marks it begins with."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import msgspec
import pytest

from haidang.context.model import DeleteEntity
from haidang.context.writer import apply_commands
from haidang.infra.database import transaction
from haidang.infra.events import Sequencer, publish
from haidang.infra.tail import events_back_to
from haidang.kernel.actors import part
from haidang.rules.events import AlarmRaised
from haidang.sdk.model import Severity
from haidang.sources.events import SourceLate
from haidang.web.asgi import build_application
from haidang.web.shared.dispatch import Dispatcher
from haidang.web.shared.house import House
from tests.events.helpers import holds, running, until
from tests.web.client import Client
from tests.web.stations import FIVE, Given, write_stations
from tests.web.streaming import Listening, alive, listening

AIR = "/ioc/live?layers=air-quality"
STATION = "urn:ngsi-ld:AirQualityObserved:"


@pytest.fixture
async def live(house: House) -> AsyncIterator[Dispatcher]:
    """The web of five stations, alive: events get positions, streams may be opened."""
    await write_stations(house.pool, FIVE, house.clock.now())
    application = build_application(house)
    async with running(Sequencer(house.pool)), alive(application):
        await settled(house)
        yield application


async def settled(house: House) -> None:
    """Wait until every event has its position."""
    await until(lambda: holds(house.pool, "SELECT NOT EXISTS (SELECT FROM infra.event_pending)"))


async def change(house: House, *stations: Given) -> None:
    """Write stations an hour later than the ones before."""
    await write_stations(house.pool, stations, house.clock.now() + timedelta(hours=1), hours=1, days=1)


async def tell(house: House, *events: AlarmRaised | SourceLate) -> None:
    async with transaction(house.pool) as connection:
        await publish(connection, part("test"), *events)


def names(marks: Sequence[dict[str, object]]) -> set[str]:
    return {str(one["id"]).removeprefix(STATION) for one in marks}


async def test_a_stream_greets_then_tells_what_changed(house: House, live: Dispatcher) -> None:
    async with listening(live, AIR) as stream:
        assert stream.status == 200
        assert stream.headers["content-type"] == "text/event-stream; charset=utf-8"
        assert stream.headers["cache-control"] == "no-store"
        assert stream.headers["x-accel-buffering"] == "no"
        assert "content-encoding" not in stream.headers
        hello = await stream.next("hello")
        assert hello.content["layers"] == ["air-quality"]
        assert hello.content["again"] is False
        assert 2_000 <= stream.retry_ms == hello.content["retry"] <= 10_000
        alarms = await stream.next("alarms")
        assert alarms.content["changed"] is None
        await change(house, Given("mui-ne", "Mũi Né", 155))
        told = await stream.next("marks")
        assert told.position is not None
        assert told.position > hello.content["position"]
        assert told.content["gone"] == []
        (mark,) = told.content["layers"]["air-quality"]
        assert mark["id"] == f"{STATION}mui-ne"
        assert (mark["layer"], mark["name"], mark["short"], mark["rank"]) == (
            "air-quality",
            "Mũi Né",
            "155",
            4,
        )
        assert mark["observedAt"] == "2026-11-21T06:00:00Z"
        assert mark["staleAfter"] == "2026-11-21T09:00:00Z"
        assert mark["synthetic"] is True
        assert mark["path"].startswith("/khong-khi/")


async def test_marks_hold_every_thing_of_a_layer_once_and_the_same_is_streamed(
    house: House, live: Dispatcher
) -> None:
    web = Client(live)
    reply = await web.get("/ioc/marks.json?layers=air-quality")
    assert reply.status == 200
    layer = reply.json["layers"]["air-quality"]
    assert (layer["label"], layer["tiled"], layer["count"]) == ("Chất lượng không khí", False, 4)
    assert names(layer["marks"]) == {"phu-thuy", "mui-ne", "quy-nhon", "im-lang"}
    async with listening(live, AIR) as stream:
        await change(house, Given("quy-nhon", "Quy Nhơn", 12))
        told = await stream.next("marks")
        again = (await web.get(f"/ioc/marks.json?layers=air-quality&after={told.position}")).json
        kept = {one["id"]: one for one in again["layers"]["air-quality"]["marks"]}
        (mark,) = told.content["layers"]["air-quality"]
        assert kept[mark["id"]] == mark
        assert again["position"] >= (told.position or 0)


async def test_marks_speak_the_language_of_their_address(live: Dispatcher) -> None:
    reply = await Client(live).get("/en/ioc/marks.json?layers=air-quality")
    layer = reply.json["layers"]["air-quality"]
    assert layer["label"] == "Air quality"
    assert all(one["path"].startswith("/en/khong-khi/") for one in layer["marks"])


async def test_without_a_server_that_runs_marks_are_read_from_the_database(city: Client) -> None:
    reply = await city.get("/ioc/marks.json")
    assert names(reply.json["layers"]["air-quality"]["marks"]) == {
        "phu-thuy",
        "mui-ne",
        "quy-nhon",
        "im-lang",
    }
    assert (await city.get(AIR)).status == 503


async def test_a_layer_of_too_many_marks_is_drawn_from_tiles_and_told_of_all_the_same(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("haidang.web.shared.marks.MOST_MARKS", 3)
    await write_stations(house.pool, FIVE, house.clock.now())
    application = build_application(house)
    async with running(Sequencer(house.pool)), alive(application):
        await settled(house)
        layer = (await Client(application).get("/ioc/marks.json")).json["layers"]["air-quality"]
        assert (layer["tiled"], layer["count"], layer["marks"]) == (True, 5, [])
        async with listening(application, AIR) as stream:
            position = (await stream.next("hello")).content["position"]
            await change(house, Given("mui-ne", "Mũi Né", 61))
            assert names((await stream.next("marks")).content["layers"]["air-quality"]) == {"mui-ne"}
        async with listening(application, f"{AIR}&after={position}") as stream:
            assert (await stream.next("hello")).content["again"] is False
        async with listening(application, f"{AIR}&after={position - 1}") as stream:
            assert (await stream.next("hello")).content["again"] is True  # tiles of then: nobody knows


async def test_streams_end_when_the_database_is_an_older_copy_of_itself(
    house: House, live: Dispatcher
) -> None:
    async with listening(live, AIR) as stream:
        position = (await stream.next("hello")).content["position"]
        async with transaction(house.pool) as connection:
            await connection.execute("DELETE FROM infra.event_position WHERE position >= $1", position)
            await connection.execute("UPDATE infra.event_head SET position = $1", position - 1)
        await stream.end()
    async with listening(live, f"{AIR}&after={position}") as stream:
        assert (await stream.next("hello")).content["again"] is True


async def test_what_is_deleted_is_gone(house: House, live: Dispatcher) -> None:
    async with listening(live, AIR) as stream:
        await stream.next("hello")
        async with transaction(house.pool) as connection:
            command = DeleteEntity(entity_id=f"{STATION}mui-ne")
            await apply_commands(connection, part("test"), [command], now=house.clock.now())
        told = await stream.next("marks")
        assert told.content == {"layers": {}, "gone": [f"{STATION}mui-ne"]}
    reply = await Client(live).get("/ioc/marks.json?layers=air-quality")
    assert "mui-ne" not in names(reply.json["layers"]["air-quality"]["marks"])


async def test_a_stream_goes_on_where_it_was(house: House, live: Dispatcher) -> None:
    async with listening(live, AIR) as stream:
        position = (await stream.next("hello")).content["position"]
    await change(house, Given("mui-ne", "Mũi Né", 88))
    await settled(house)
    for headers, query in (([("last-event-id", str(position))], ""), ([], f"&after={position}")):
        async with listening(live, AIR + query, *headers) as stream:
            assert (await stream.next("hello")).content["again"] is False
            told = await stream.next("marks")
            assert names(told.content["layers"]["air-quality"]) == {"mui-ne"}


async def test_after_a_restart_a_stream_goes_on_from_the_log(house: House, live: Dispatcher) -> None:
    async with listening(live, AIR) as stream:
        position = (await stream.next("hello")).content["position"]
    await change(house, Given("quy-nhon", "Quy Nhơn", 120))
    await settled(house)
    anew = build_application(house)
    async with alive(anew), listening(anew, f"{AIR}&after={position}") as stream:
        assert (await stream.next("hello")).content["again"] is False
        told = await stream.next("marks")
        assert names(told.content["layers"]["air-quality"]) == {"quy-nhon"}


async def test_who_names_a_position_that_is_not_in_the_log_loads_everything_anew(
    house: House, live: Dispatcher
) -> None:
    async with listening(live, AIR) as stream:
        position = (await stream.next("hello")).content["position"]
    await change(house, Given("mui-ne", "Mũi Né", 90))
    await settled(house)
    await house.pool.execute("DELETE FROM infra.event_position WHERE position <= $1", position + 1)
    anew = build_application(house)
    async with alive(anew), listening(anew, f"{AIR}&after={position}") as stream:
        assert (await stream.next("hello")).content["again"] is True
    async with listening(live, AIR, ("last-event-id", str(10**9))) as stream:
        assert (await stream.next("hello")).content["again"] is True


async def test_alarms_and_sources_are_told(house: House, live: Dispatcher) -> None:
    alarm_id = "urn:haidang:alarm:1"
    async with listening(live, "/ioc/live?layers=") as stream:
        await stream.next("alarms")
        await tell(
            house,
            AlarmRaised(
                subject=alarm_id,
                alarm_id=alarm_id,
                rule_id="air-bad",
                entity_id=f"{STATION}mui-ne",
                severity=Severity.SEVERE,
                since=house.clock.now(),
            ),
        )
        alarms = (await stream.next("alarms")).content
        assert (alarms["raised"], alarms["changed"]) == (1, [alarm_id])
        now = house.clock.now()
        await tell(
            house,
            SourceLate(
                subject=f"{STATION}mui-ne",
                source_id="air-stations",
                last_received_at=now,
                last_observed_at=now,
                late_since=now,
            ),
        )
        assert (await stream.next("sources")).content == {
            "late": [
                {"sourceId": "air-stations", "subject": f"{STATION}mui-ne", "since": "2026-11-21T05:00:00Z"}
            ],
            "back": [],
        }
        await change(house, Given("mui-ne", "Mũi Né", 90))
        await settled(house)
        assert b"event: marks" not in stream.heard  # no layer was wanted


async def test_a_layer_that_nobody_knows_is_not_found(live: Dispatcher) -> None:
    for path in ("/ioc/live", "/ioc/marks.json"):
        reply = await Client(live).get(f"{path}?layers=air-quality,nowhere")
        assert reply.status == 404
        assert reply.json["type"] == "urn:haidang:problem:layer-unknown"


async def test_one_more_stream_than_there_may_be_is_asked_to_come_later(house: House) -> None:
    few = replace(house, settings=msgspec.structs.replace(house.settings, event_streams=2))
    application = build_application(few)
    async with alive(application), listening(application, AIR), listening(application, AIR) as second:
        reply = await Client(application).get(AIR)
        assert reply.status == 503
        assert reply.header("retry-after") == "10"
        assert reply.json["type"] == "urn:haidang:problem:streams-full"
        second.hang_up()
        await second.end()
        async with listening(application, AIR) as third:
            assert third.status == 200


async def test_every_stream_ends_when_the_house_stops(house: House, live: Dispatcher) -> None:
    async with listening(live, AIR) as one, listening(live, "/en/ioc/live") as other:
        house.stopping.set()
        await one.end()
        await other.end()
        assert (await Client(live).get(AIR)).status == 503


async def test_only_the_head_of_a_stream_is_sent_to_who_asks_for_that(live: Dispatcher) -> None:
    reply = await Client(live).ask("HEAD", AIR)
    assert reply.status == 200
    assert reply.header("content-type") == "text/event-stream; charset=utf-8"
    assert reply.raw == b""


@pytest.mark.parametrize("path", ["/ioc/live", "/en/ioc/live", "/ioc/marks.json"])
async def test_where_others_are_listened_to_nothing_is_streamed(house: House, path: str) -> None:
    open_to_all = replace(house, settings=msgspec.structs.replace(house.settings, host="0.0.0.0"))  # noqa: S104 - that it is refused is the test
    assert (await Client(build_application(open_to_all)).get(path)).status == 404


async def test_a_database_that_went_away_is_told_and_what_it_missed_comes_when_it_is_back(
    house: House, live: Dispatcher
) -> None:
    async with listening(live, AIR) as stream:
        await stream.next("hello")
        await change(house, Given("mui-ne", "Mũi Né", 90))
        await stream.next("marks")  # the log is followed by now: there is something to lose
        await cut_off(house)
        assert (await stream.next("state")).content["database"] == "away"
        assert (await stream.next("state")).content["database"] == "back"
        await change(house, Given("mui-ne", "Mũi Né", 91))
        assert names((await stream.next("marks")).content["layers"]["air-quality"]) == {"mui-ne"}


async def cut_off(house: House) -> None:
    """End every connection to the database, as a restart of it would."""
    connection = await house.pool.acquire()
    await connection.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )
    await house.pool.release(connection)


async def test_many_who_come_back_cost_one_look_into_the_log(
    house: House, live: Dispatcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with listening(live, AIR) as stream:
        position = (await stream.next("hello")).content["position"]
    await change(house, Given("mui-ne", "Mũi Né", 92))
    await settled(house)
    anew = build_application(house)
    asked = 0

    async def counted(*arguments: Any, **more: Any) -> Any:
        nonlocal asked
        asked += 1
        return await events_back_to(*arguments, **more)

    monkeypatch.setattr("haidang.web.shared.streams.events_back_to", counted)
    async with alive(anew):

        async def come_back() -> Listening:
            async with listening(anew, f"{AIR}&after={position}") as stream:
                assert (await stream.next("hello")).content["again"] is False
                assert names((await stream.next("marks")).content["layers"]["air-quality"]) == {"mui-ne"}
                return stream

        came = await asyncio.gather(*(come_back() for _ in range(200)))
    assert asked == 1
    waits = sorted(one.retry_ms for one in came)
    assert waits[0] < 3_000
    assert waits[-1] > 9_000
    fullest = max(
        sum(second <= wait < second + 1_000 for wait in waits) for second in range(2_000, 10_000, 100)
    )
    assert fullest < 50  # of 200 in eight seconds, in the fullest second
