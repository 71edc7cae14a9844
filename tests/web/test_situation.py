"""The situation map: what is on it now and then, what is silent, and one thing of it."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from haidang.web.ioc.panel import said_value, thinned
from haidang.web.ioc.scene import (
    AskedScene,
    MomentUnreadable,
    SeenThing,
    asked_scene,
    in_order,
    local_text,
    past_moment,
)
from haidang.web.shared.maps import MapMarker
from haidang.web.shared.marks import words_beside
from tests.web.client import Client

NOW = datetime(2026, 11, 21, 5, 30, tzinfo=UTC)


def thing(name: str, *, rank: int = 0, ago: int = 0) -> SeenThing:
    """A thing of a test."""
    return SeenThing(
        MapMarker(109.2, 13.7, "", rank=rank, key=name), name, "", NOW - timedelta(minutes=ago), stale=False
    )


@given(
    layers=st.none() | st.frozensets(st.sampled_from(["air", "tide", "mưa & gió"])),
    minutes=st.none() | st.integers(0, 48 * 60),
    seen=st.sampled_from(["known", "corrected"]),
    search=st.text(st.characters(categories=["L", "N"]), max_size=30),
    order=st.sampled_from(["level", "name", "age"]),
)
def test_an_address_keeps_everything_that_is_asked(
    layers: frozenset[str] | None, minutes: int | None, seen: str, search: str, order: str
) -> None:
    at = None if minutes is None else NOW - timedelta(minutes=minutes)
    asked = AskedScene(layers, at, seen if at else "known", search, order)  # type: ignore[arg-type]
    path = asked.path()
    assert asked_scene(path.partition("?")[2].encode(), NOW) == asked


@pytest.mark.parametrize(
    "text",
    ["", "hôm qua", "2026-11-21", "2026-11-21T12:31", "2026-11-19T12:00", "2026-99-99T12:00"],
)
def test_only_a_moment_of_the_past_two_days_can_be_shown(text: str) -> None:
    with pytest.raises(MomentUnreadable):
        past_moment(text, NOW)


def test_the_search_finds_names_without_their_marks_and_orders_are_three() -> None:
    things = [thing("Quy Nhơn", rank=2, ago=9), thing("Đà Lạt", rank=5, ago=20), thing("Mũi Né", ago=1)]
    assert [one.name for one in in_order(things, AskedScene(search="da lat"))] == ["Đà Lạt"]
    assert [one.name for one in in_order(things, AskedScene())] == ["Đà Lạt", "Quy Nhơn", "Mũi Né"]
    assert [one.name for one in in_order(things, AskedScene(order="name"))] == [
        "Đà Lạt",
        "Mũi Né",
        "Quy Nhơn",
    ]
    assert [one.name for one in in_order(things, AskedScene(order="age"))] == ["Mũi Né", "Quy Nhơn", "Đà Lạt"]


@given(st.lists(st.floats(0, 500), max_size=2000))
def test_a_small_line_keeps_the_last_value_and_few_others(numbers: list[float]) -> None:
    kept = thinned(numbers)
    assert len(kept) <= 120
    assert kept[-1:] == numbers[-1:]


def test_a_value_of_any_form_is_words_or_a_number() -> None:
    assert said_value(41.2) == 41.2
    assert said_value(-31, "DD") == 329
    assert said_value(-31, "CEL") == -31
    assert said_value(None) is None
    assert said_value(True) == "true"
    assert said_value(["a", 1]) == "a, 1"
    assert said_value({"street": "Lê Duẩn"}) == "street: Lê Duẩn"


def test_a_name_is_not_said_twice() -> None:
    name = "Phường Mũi Né – Số liệu mô phỏng"
    assert words_beside(name, "Phường Mũi Né: 30 Tốt") == "30 Tốt"
    assert words_beside("Phường Mũi Né", "Phường Mũi Né: 30 Tốt") == "30 Tốt"
    assert words_beside(name, "Phường Mũi Né") == ""
    assert words_beside(name, "Tide at Mũi Né: 1 m") == "Tide at Mũi Né: 1 m"


async def test_the_page_shows_the_map_its_list_alarms_sources_and_time(city: Client) -> None:
    text = (await city.page("/ioc")).text
    assert 'id="alarm-cards"' in text
    assert 'class="map-picture' in text
    assert "Quy Nhơn" in text
    assert 'name="at"' in text
    assert "Số liệu mô phỏng" in text
    assert "Đây là quá khứ" not in text
    assert text.index('id="acts"') < text.index('id="on-map"') < text.index('id="now"')


async def test_a_silent_station_is_out_of_date_and_loses_its_level(city: Client) -> None:
    text = (await city.page("/ioc")).text
    line = text[text.index(">Trạm im lặng</a>") - 600 : text.index(">Trạm im lặng</a>") + 700]
    assert 'class="is-stale"' in line
    assert "đã cũ" in line


async def test_layers_are_switched_in_the_address_and_none_is_said(city: Client) -> None:
    text = (await city.page("/ioc?layers=some")).text
    assert "Chưa bật lớp nào" in text
    assert ">Quy Nhơn</a>" not in text


async def test_a_crowded_layer_is_drawn_from_tiles(city: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    assert 'data-entities="[]"' in (await city.page("/ioc")).text
    monkeypatch.setattr("haidang.web.ioc.scene.MOST_MARKS", 1)
    assert "AirQualityObserved" in (await city.page("/ioc")).text.partition('data-entities="')[2][:60]


async def test_a_search_in_the_list(city: Client) -> None:
    text = (await city.page("/ioc?q=quy+nhon")).text
    assert "data-entity>Quy Nhơn</a>" in text
    assert "data-entity>Mũi Né</a>" not in text


async def test_the_past_is_said_loudly_with_a_way_back(city: Client) -> None:
    page = await city.page("/ioc")
    earlier = local_text(moment_of(page.text) - timedelta(hours=1))
    for seen, words in (("known", "như khi đó đã biết"), ("corrected", "như nay biết")):
        text = (await city.page(f"/ioc?at={earlier}&seen={seen}")).text
        assert "Đây là quá khứ" in text
        assert words in text
        assert "Về hiện tại" in text
        assert "islands/situation" not in text


async def test_a_moment_that_is_not_to_be_had_is_said_and_now_is_shown(city: Client) -> None:
    text = (await city.page("/ioc?at=2001-01-01T00:00")).text
    assert 'role="alert"' in text
    assert "Quy Nhơn" in text


async def test_one_thing_shows_values_ages_history_and_ways_on(city: Client) -> None:
    text = (await city.page("/ioc")).text
    start = text.index("/ioc/entity?id=")
    address = text[start : text.index('"', start)].replace("&amp;", "&")
    panel = await city.page(address)
    assert panel.status == 200
    assert 'id="entity-panel"' in panel.text
    assert "<table>" in panel.text
    assert "NGSI-LD" in panel.text
    assert (await city.page(address + "&days=7")).status == 200
    earlier = local_text(moment_of(text) - timedelta(minutes=1))
    assert "Đây là quá khứ" in (await city.page(f"{address}&at={earlier}&seen=corrected")).text


@pytest.mark.parametrize("query", ["", "?id=urn:ngsi-ld:Nothing:1", "?id=%00"])
async def test_what_is_not_there_is_not_found(city: Client, query: str) -> None:
    assert (await city.page("/ioc/entity" + query)).status == 404


def moment_of(text: str) -> datetime:
    """When the server says that a page was made."""
    return datetime.fromisoformat(text.split('data-now="')[1].split('"', maxsplit=1)[0])
