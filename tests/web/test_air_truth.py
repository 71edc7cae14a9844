"""Nothing looks fresher, nearer or more official than it is: replays, old values, limits, odd ids."""

import re
from collections import Counter
from dataclasses import replace
from datetime import timedelta
from html import unescape

import pytest

from haidang.packs.environment.aqi import LEVELS
from haidang.web.asgi import build_application
from haidang.web.shared.house import House
from tests.web.client import Client
from tests.web.stations import FIVE, Given, write_stations
from tests.web.test_air_pages import card_of, rows_of

REPLAY = FIVE[4]


async def test_both_tables_say_what_is_a_replay_and_of_when(city: Client) -> None:
    listed = rows_of((await city.get("/khong-khi.csv")).text)
    alone = rows_of((await city.get("/khong-khi/tram/ha-noi-phat-lai.csv")).text)
    for rows in (listed, alone):
        row = next(
            one
            for one in rows
            if (one["station"], one["parameter"], one["observed_at"])
            == (REPLAY.name, "pm25", "2026-11-21T05:00:00Z")
        )
        assert row["source"] == REPLAY.source
        assert (row["replayed"], row["recorded_at"]) == ("true", "2018-11-21T05:00:00Z")
        assert (row["synthetic"], row["licence"]) == ("false", "Public domain")
        assert (row["latitude"], row["longitude"]) == ("10.9412", "108.1213")
    own = next(one for one in listed if one["station"] == "Phú Thủy")
    assert (own["replayed"], own["recorded_at"]) == ("false", "")
    earlier = [one["recorded_at"] for one in alone if one["observed_at"] == "2026-11-21T04:00:00Z"]
    assert set(earlier) == {""}  # when the hours before were recorded, the station no longer says


async def test_the_licence_of_an_unknown_record_is_not_made_up(house: House) -> None:
    await write_stations(house.pool, [replace(REPLAY, source="replay: ai đó")], house.clock.now())
    client = Client(build_application(house))
    assert {one["licence"] for one in rows_of((await client.get("/khong-khi.csv")).text)} == {""}
    assert "Theo giấy phép của nguồn" in (await client.page("/khong-khi/tram/ha-noi-phat-lai")).text


@pytest.mark.parametrize("slug", ["a/b", "bang.csv", "urn:x:y", "a:b", "50%25", "a/b.csv"])
async def test_whatever_its_id_a_station_is_reached_with_its_table_and_language(
    house: House, slug: str
) -> None:
    await write_stations(house.pool, [replace(FIVE[0], slug=slug, name="Lạ")], house.clock.now())
    client = Client(build_application(house))
    listed = (await client.page("/khong-khi")).text
    page = await client.page(unescape(re.findall(r'<h3><a href="([^"]+)">', listed)[0]))
    assert page.status == 200
    assert "<h1>Lạ</h1>" in page.text
    table = re.findall(r'<a href="([^"]+)" download>', page.text)[0]
    assert rows_of((await client.get(unescape(table))).text)
    english = re.findall(r'href="([^"]+)" hreflang="en"', page.text)[0]
    assert "<h1>Lạ</h1>" in (await client.page(unescape(english))).text


async def test_ids_with_the_same_end_are_not_mixed_up(house: House) -> None:
    slugs = ("b", "a:b", "a-b", "a.b")
    given = [replace(FIVE[0], slug=slug, name=f"Trạm {slug}") for slug in slugs]
    await write_stations(house.pool, given, house.clock.now())
    client = Client(build_application(house))
    text = (await client.page("/khong-khi")).text
    found = re.findall(r'<h3><a href="([^"]+)">([^<]+)</a>', text)
    assert {name for _, name in found} == {f"Trạm {slug}" for slug in slugs}
    for address, name in found:
        assert f"<h1>{name}</h1>" in (await client.page(unescape(address))).text
    ids = Counter(re.findall(r'\sid="([^"]+)"', text))
    assert [one for one, times in ids.items() if times > 1] == []


async def test_a_value_much_older_than_the_rest_says_so_in_words(house: House) -> None:
    given = replace(FIVE[0], aged={"o3": timedelta(days=3), "pm10": timedelta(minutes=20)})
    await write_stations(house.pool, [given], house.clock.now())
    client = Client(build_application(house))
    text = (await client.page("/khong-khi")).text
    values = re.findall(
        r'<div(?: class="([^"]*)")?>\s*<dt>(.*?)</dt>\s*<dd[^>]*>(.*?)</dd>',
        text.split('<dl class="values"')[1],
        re.DOTALL,
    )
    shown = {re.sub(r"<[^>]+>", "", name).split()[0]: (kind, value) for kind, name, value in values}
    kind, old = shown["O3"]
    assert "stale-note" in kind
    assert ">3 ngày trước</time>" in old
    kind, other = shown["PM10"]
    assert "stale-note" not in kind
    assert ">11:40</time>" in other
    assert "<time" not in shown["PM2.5"][1]  # its moment is the station's
    page = (await client.page("/khong-khi/tram/phu-thuy")).text
    row = next(one for one in re.findall(r"<tr.*?</tr>", page, re.DOTALL) if "O<sub>3</sub>" in one)
    assert "stale-note" in row
    assert ">3 ngày trước</time>" in row


async def test_what_to_do_stands_on_each_card_and_the_effects_in_the_table(city: Client) -> None:
    text = (await city.page("/khong-khi")).text
    assert f"<q>{LEVELS[1].advice.vi}</q>" in card_of(text, "Phú Thủy")
    assert "<q>" not in card_of(text, "Trạm im lặng")  # nobody is told what to do by an old index
    for address in ("/khong-khi", "/khong-khi/cach-tinh"):
        table = (await city.page(address)).text.split("<caption>Sáu mức VN_AQI")[1].split("</table>")[0]
        for level in LEVELS:
            assert level.effects.vi in table
            assert level.advice.vi in table


async def test_wind_comes_from_0_to_360_degrees(house: House) -> None:
    values = {"pm25": 30.0, "windDirection": -90.0}
    await write_stations(house.pool, [Given("a", "Trạm A", 61, values=values)], house.clock.now())
    client = Client(build_application(house))
    page = (await client.page("/khong-khi/tram/a")).text
    assert "270&nbsp;" in page
    assert "−90" not in page
    assert "-90" not in page


async def test_a_replay_is_not_held_against_the_limits_of_today(city: Client) -> None:
    own = (await city.page("/khong-khi/tram/phu-thuy")).text
    assert "QCVN 05:2023" in own
    replayed = (await city.page("/khong-khi/tram/ha-noi-phat-lai")).text
    assert "QCVN 05:2023" not in replayed
    assert "Không so với quy chuẩn" in replayed


async def test_home_says_that_the_highest_is_a_replay(house: House) -> None:
    await write_stations(house.pool, [REPLAY], house.clock.now())
    text = (await Client(build_application(house)).page("/")).text
    assert '<span class="tag">Phát lại</span>' in text


async def test_the_english_names_people_with_respect(city: Client) -> None:
    text = (await city.page("/en/khong-khi")).text
    assert '<th scope="col">General public</th>' in text
    assert "Sensitive people: older people, children" in text
    assert "the old," not in text
