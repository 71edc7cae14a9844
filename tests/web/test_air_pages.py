"""Today's air as a citizen reads it: what the Decision wants shown, and what honesty wants said."""

import csv
import io
import re
from dataclasses import replace
from datetime import timedelta
from html import unescape

import pytest

from haidang.kernel.instants import SetClock
from haidang.packs.environment.aqi import LEVELS
from haidang.web.asgi import build_application
from haidang.web.shared.house import House
from tests.web.client import Client
from tests.web.stations import FIVE, Given, write_stations


def card_of(text: str, name: str) -> str:
    """The part of the list that is about one station."""
    return next(card for card in re.split(r'<li class="card station', text) if f">{name}</a></h3>" in card)


async def test_the_list_shows_what_the_decision_wants_shown(city: Client) -> None:
    text = (await city.page("/khong-khi")).text
    card = card_of(text, "Phú Thủy")
    assert "61 Trung bình" in card
    assert 'fill="#ffff00"' in card
    assert "10,9412" in card
    assert "108,1213" in card
    assert re.search(r'<div class="dominant">\s*<dt>PM2.5 · chính', card)
    assert re.search(r"30,5&nbsp;<span class=\"unit\">µg/m³", card)
    assert "O<sub>3</sub>" in card
    assert "Phường Phú Thủy, Lâm Đồng" in card
    for level in LEVELS:
        assert level.advice.vi in text
        assert level.advice_sensitive.vi in text
        assert level.colour in text
    assert "Quyết định 1459/QĐ-TCMT" in text
    assert 'href="/khong-khi/cach-tinh"' in text
    assert "CC BY 4.0" in text


async def test_the_worst_air_stands_on_top_with_its_advice_and_charts(city: Client) -> None:
    text = (await city.page("/khong-khi")).text
    lead = text.split('<section class="lead"')[1].split("</section>")[0]
    assert "Cao nhất lúc này: Quy Nhơn" in lead
    assert "402 Nguy hại" in lead
    assert LEVELS[-1].effects.vi in lead
    assert lead.count('<svg class="bars"') == 2
    order = re.findall(r"<h3><a[^>]*>([^<]+)</a>", text)
    assert order == ["Quy Nhơn", "Hà Nội", "Phú Thủy", "Mũi Né", "Trạm im lặng"]


async def test_a_replayed_station_never_speaks_for_the_province(house: House) -> None:
    replayed = replace(FIVE[4], index=490)
    await write_stations(house.pool, [FIVE[0], replayed], house.clock.now())
    text = (await Client(build_application(house)).page("/khong-khi")).text
    assert "Cao nhất lúc này: Phú Thủy" in text


async def test_simulated_and_replayed_data_say_so(city: Client) -> None:
    text = (await city.page("/khong-khi")).text
    assert "Số liệu mô phỏng" in card_of(text, "Phú Thủy")
    replayed = card_of(text, "Hà Nội")
    assert "Phát lại số đo lúc 12:00, 21/11/2018" in replayed
    assert "Số liệu mô phỏng" not in replayed
    station = (await city.page("/khong-khi/tram/ha-noi-phat-lai")).text
    assert "Đo trong quá khứ, phát lại theo giờ hôm nay: U.S. Embassy Hà Nội" in station


async def test_on_the_home_page_simulated_is_said_once_for_all_and_replayed_by_the_last(house: House) -> None:
    given = [
        replace(FIVE[0], slug="a", name="Trạm A", index=90),
        replace(FIVE[0], slug="b", name="Trạm B"),
        replace(FIVE[0], slug="c", name="Trạm C – số liệu Mô phỏng"),
        replace(FIVE[4], slug="d", name="Trạm D"),
    ]
    await write_stations(house.pool, given, house.clock.now())
    text = (await Client(build_application(house)).page("/")).text
    chips = text.split('<ul class="chips"')[1].split("</ul>")[0]
    said = re.findall(r"tram/\w\">([^<]+)</a>(?: <span class=\"dim\">([^<]+)</span>)?</span>", chips)
    assert sorted(said[:2]) == [("Trạm B", ""), ("Trạm C", "")]
    assert said[2:] == [("Trạm D", "phát lại")]
    assert text.split('<ul class="chips"')[0].count("Số liệu mô phỏng") == 1


async def test_beside_a_real_station_each_simulated_one_says_so(house: House) -> None:
    given = [
        replace(FIVE[0], slug="a", name="Trạm A", index=90),
        replace(FIVE[0], slug="b", name="Trạm B – số liệu mô phỏng"),
        replace(FIVE[0], slug="c", name="Trạm C", source="Sở Nông nghiệp và Môi trường"),
    ]
    await write_stations(house.pool, given, house.clock.now())
    text = (await Client(build_application(house)).page("/")).text
    chips = text.split('<ul class="chips"')[1].split("</ul>")[0]
    said = re.findall(r"tram/\w\">([^<]+)</a>(?: <span class=\"dim\">([^<]+)</span>)?</span>", chips)
    assert sorted(said) == [("Trạm B", "mô phỏng"), ("Trạm C", "")]


async def test_a_silent_station_is_hollow_and_says_how_old_it_is(clock: SetClock, city: Client) -> None:
    clock.advance(timedelta(minutes=20))
    card = card_of((await city.page("/khong-khi")).text, "Trạm im lặng")
    assert "level hollow" in card
    assert "77 Trung bình" in card
    assert 'fill="#ffff00"' not in card.split("<details")[0]
    assert "Mất tín hiệu: chỉ số này lúc" in card
    assert "7 giờ trước" in card


async def test_when_all_are_silent_home_says_so(clock: SetClock, city: Client) -> None:
    clock.advance(timedelta(hours=9))
    home = (await city.page("/")).text
    assert "Đã hơn ba giờ không trạm nào gửi số liệu." in home
    assert "Cao nhất lúc này" not in (await city.page("/khong-khi")).text


async def test_a_station_that_sends_what_it_had_kept_is_not_called_silent(
    house: House, clock: SetClock
) -> None:
    await write_stations(house.pool, [FIVE[3]], clock.now())
    client = Client(build_application(house))
    card = card_of((await client.page("/khong-khi")).text, "Trạm im lặng")
    assert "Đang gửi lại số đo đã lưu, mới đến" in card
    assert "level hollow" in card
    assert "Các trạm đang gửi lại số đo đã lưu" in (await client.page("/")).text
    clock.advance(timedelta(hours=1))
    assert "Mất tín hiệu: chỉ số này lúc" in card_of((await client.page("/khong-khi")).text, "Trạm im lặng")


async def test_a_station_without_particles_has_no_index_and_says_why(house: House) -> None:
    await write_stations(
        house.pool, [Given("thieu", "Trạm thiếu bụi", None, values={"o3": 61.0})], house.clock.now()
    )
    text = (await Client(build_application(house)).page("/khong-khi")).text
    card = card_of(text, "Trạm thiếu bụi")
    assert "Không có chỉ số" in card
    assert "Không đủ số đo PM2.5 hoặc PM10" in card
    assert "61,0" in card


async def test_an_empty_list_guides_the_first_steps(web: Client) -> None:
    page = await web.page("/khong-khi")
    assert page.status == 200
    assert "Chưa có trạm nào gửi số liệu" in page.text
    assert "haidang up --demo" in page.text
    assert "haidang/air/&lt;trạm&gt;" in page.text
    assert "There is nothing" not in page.text


async def test_the_words_of_the_law_are_translated_beside_and_said_to_be_unofficial(city: Client) -> None:
    text = (await city.page("/en/khong-khi")).text
    assert LEVELS[0].advice.en in text
    assert "The English is an unofficial translation." in text
    assert "Highest now: Quy Nhơn" in text
    assert "402 Hazardous" in text
    assert LEVELS[-1].advice.vi not in text


async def test_names_from_outside_are_text_and_nothing_else(house: House) -> None:
    evil = "<script>alert(1)</script> \"'&"
    await write_stations(house.pool, [Given("x", evil, 61)], house.clock.now())
    client = Client(build_application(house))
    for path in ("/", "/khong-khi", "/khong-khi/tram/x"):
        text = (await client.page(path)).text
        assert "<script>alert" not in text
        assert "&lt;script&gt;alert(1)&lt;/script&gt;" in text


async def test_a_station_has_a_page_with_everything_known_of_it(city: Client) -> None:
    page = await city.page("/khong-khi/tram/phu-thuy")
    assert page.status == 200
    text = page.text
    assert "<h1>Phú Thủy</h1>" in text
    assert "<title>Phú Thủy · Lâm Đồng</title>" in text
    assert text.count('<svg class="bars"') == 2
    assert "quyết định chỉ số" in text
    assert "Số liệu mô phỏng: trạm này không có thật." in text
    assert "urn:ngsi-ld:AirQualityObserved:phu-thuy" in text
    rows = re.findall(r"<tr><th scope=\"row\"><time[^>]*>12:00, 21/11/2026</time></th><td[^>]*>(\d+)", text)
    assert rows == ["61"]
    days = dict(re.findall(r"<tr><th scope=\"row\">(\d\d/\d\d/2026)</th><td[^>]*>([^<]+)<", text))
    assert len(days) == 30
    assert [days[day] for day in ("20/11/2026", "19/11/2026", "18/11/2026", "17/11/2026")] == [
        "60",
        "59",
        "58",
        "–",
    ]
    assert "21/11/2026" not in days  # today is not over
    assert text.count('<tr><th scope="row">') >= 24 + 30


async def test_only_limits_checked_in_their_norm_are_shown_as_law(house: House) -> None:
    values = {"pm25": 80.0, "pm10": 61.0, "o3": 88.1, "no2": 20.0, "so2": 9.0}
    await write_stations(house.pool, [Given("a", "Trạm A", 61, values=values)], house.clock.now())
    text = (await Client(build_application(house)).page("/khong-khi/tram/a")).text
    limits = text.split('id="limits"')[1].split("</section>")[0]
    assert "QCVN 05:2023/BTNMT" in limits
    assert re.search(r"45(?:,0)?&nbsp;<span class=\"unit\">µg/m³", limits)  # PM2.5 from 1 January 2026
    assert "Nm³" in limits
    assert "O<sub>3</sub>" not in limits  # from memory only
    assert "không đủ số giờ" in limits  # three hours are no mean of a day
    assert "trong giới hạn" in limits  # the hour of NO2


@pytest.mark.parametrize(
    "name", ["khong-co", "urn:ngsi-ld:AirQualityObserved:khong-co", "urn:x:y", "%00", "a" * 3000]
)
async def test_an_unknown_station_is_not_found(city: Client, name: str) -> None:
    page = await city.page(f"/khong-khi/tram/{name}")
    assert page.status == 404
    assert (await city.get(f"/khong-khi/tram/{name}.csv")).status == 404


@pytest.mark.parametrize("slug", ["a:b", "a%20b", "x;y=1,2", "50%25", "(a)"])
async def test_a_station_of_any_name_is_reached_from_the_list(house: House, slug: str) -> None:
    await write_stations(house.pool, [replace(FIVE[0], slug=slug)], house.clock.now())
    client = Client(build_application(house))
    text = (await client.page("/khong-khi")).text
    address = unescape(re.findall(r'<h3><a href="([^"]+)">', text)[0])
    reached = await client.page(address)
    assert reached.status == 200
    assert "<h1>Phú Thủy</h1>" in reached.text
    labelled = re.findall(r'aria-labelledby="([^"]+)"', reached.text)
    assert {one for ids in labelled for one in ids.split()} <= set(re.findall(r' id="([^"]+)"', reached.text))


async def test_a_station_is_found_by_its_whole_urn_too(city: Client) -> None:
    assert (await city.page("/khong-khi/tram/urn:ngsi-ld:AirQualityObserved:phu-thuy")).status == 200
    assert (await city.page("/khong-khi/tram/urn%3Angsi-ld%3AAirQualityObserved%3Aphu-thuy")).status == 200


async def test_the_method_page_tells_our_choices(city: Client) -> None:
    text = (await city.page("/khong-khi/cach-tinh")).text
    assert "ra 85 thay vì 111" in text
    assert "0,03 %" in text
    assert "ít nhất 75 % số phút" in text
    assert "150.000" in text
    assert "NowCast" in text


def rows_of(text: str) -> list[dict[str, str]]:
    """The table, by column."""
    assert text.startswith("\ufeff")
    return list(csv.DictReader(io.StringIO(text.removeprefix("\ufeff"))))


async def test_the_list_downloads_as_a_table_with_its_provenance(city: Client) -> None:
    reply = await city.get("/khong-khi.csv")
    assert reply.status == 200
    assert reply.header("content-type") == "text/csv; charset=utf-8"
    assert reply.header("content-disposition") == 'attachment; filename="khong-khi.csv"'
    rows = rows_of(reply.text)
    assert len(rows) == 5 * 3
    assert {one["licence"] for one in rows if one["station"].startswith("Hà Nội")} == {"Public domain"}
    row = next(one for one in rows if one["station"] == "Phú Thủy" and one["parameter"] == "pm25")
    assert row["value"] == "30.5"
    assert row["unit"] == "GQ"
    assert row["observed_at"] == "2026-11-21T05:00:00Z"
    assert (row["vn_aqi"], row["level"], row["dominant"]) == ("61", "moderate", "pm25")
    assert (row["synthetic"], row["licence"], row["source"]) == ("true", "CC BY 4.0", "synthetic")
    assert (await city.get("/en/khong-khi.csv")).status == 200


async def test_a_station_downloads_what_it_measured(city: Client) -> None:
    reply = await city.get("/khong-khi/tram/phu-thuy.csv")
    assert reply.header("content-disposition") == 'attachment; filename="khong-khi-phu-thuy.csv"'
    rows = rows_of(reply.text)
    measured = [(one["observed_at"], one["value"]) for one in rows if one["parameter"] == "pm25"]
    assert measured == [
        ("2026-11-21T03:00:00Z", "32.5"),
        ("2026-11-21T04:00:00Z", "31.5"),
        ("2026-11-21T05:00:00Z", "30.5"),
    ]


async def test_a_name_cannot_become_a_formula_in_a_spreadsheet(house: House) -> None:
    evil = '=HYPERLINK("https://evil.example")'
    await write_stations(house.pool, [Given("x", evil, 61)], house.clock.now())
    rows = rows_of((await Client(build_application(house)).get("/khong-khi.csv")).text)
    assert {one["station"] for one in rows} == {"'" + evil}
