"""The home page: what is there and nothing else, a map that shows what is known, and every state."""

import re
import threading
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from markupsafe import Markup

from haidang.infra.database import Pool
from haidang.infra.embedded import TemporaryCluster
from haidang.infra.province import change_province_setting, province_settings
from haidang.infra.settings import read_settings
from haidang.infra.translations import Translations
from haidang.kernel.actors import anonymous, part
from haidang.kernel.geometry import Box
from haidang.kernel.instants import SetClock
from haidang.web.asgi import build_application
from haidang.web.shared.frame import PORTAL_SUMMARY_MESSAGES, PORTAL_TITLES
from haidang.web.shared.house import House
from haidang.web.shared.layers import position_of, province_map, province_picture
from tests.databases import pool_on_copy
from tests.web.client import Client
from tests.web.houses import house_on
from tests.web.stations import FIVE, write_stations


@pytest.fixture(scope="module")
async def country_pool(cluster: TemporaryCluster, country_template: str) -> AsyncIterator[Pool]:
    """A pool on a database of this file's own that knows every unit."""
    async with pool_on_copy(cluster, country_template) as pool:
        yield pool


@pytest.fixture
async def country_house(
    country_pool: Pool, clock: SetClock, translations: Translations, tmp_path: Path
) -> House:
    """A province called Lâm Đồng that knows its wards, with stations."""
    house = house_on(country_pool, clock, translations, read_settings({"HAIDANG_HOME": str(tmp_path)}))
    async with house.pool.acquire() as connection:
        await change_province_setting(part("test"), connection, "name", "Lâm Đồng", now=clock.now())
    await write_stations(house.pool, FIVE, clock.now())
    return house


async def test_home_has_the_search_and_every_link_of_it_leads_somewhere(city: Client) -> None:
    text = (await city.page("/")).text
    assert '<form class="search-form" role="search" action="/tim" method="get">' in text
    for address in sorted(set(re.findall(r'<a [^>]*href="(/[^"#?]*)', text))):
        assert (await city.page(address)).status == 200, address


async def test_home_draws_the_stations_on_the_wards_around_them(country_house: House) -> None:
    text = (await Client(build_application(country_house)).page("/")).text
    assert 'class="map-picture"' in text
    assert "Phú Thủy: 61 Trung bình" in text
    assert "Hàm Thắng" in text
    assert "sapnhap.bando.com.vn" in text
    assert "phát lại" not in re.sub(r"<ul.*?</ul>", "", text, flags=re.DOTALL)  # no replayed mark on the map


async def test_the_wards_reach_beyond_the_picture_so_that_land_is_not_taken_for_sea(
    country_house: House,
) -> None:
    async with country_house.pool.acquire() as connection:
        province = await province_settings(connection, "default")
    shown = await province_map(country_house, anonymous(), province, "vi")
    assert shown is not None
    assert shown.box is not None
    assert {one.label for one in shown.outlines} > {"Hàm Thắng", "Mũi Né", "Phan Thiết"}
    wide = Box(shown.box.west - 0.1, shown.box.south, shown.box.east + 0.1, shown.box.north)
    assert any(one.geometry.bounds[0] < wide.west for one in shown.outlines)


async def test_the_picture_is_drawn_anew_only_when_its_marks_change(
    country_house: House, clock: SetClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[str] = []

    def note(*_: object, **named: object) -> Markup:
        assert threading.current_thread() is not threading.main_thread()
        drawn.append(str(named["name"]))
        return Markup("a picture")

    monkeypatch.setattr("haidang.web.shared.layers.map_picture", note)
    async with country_house.pool.acquire() as connection:
        province = await province_settings(connection, "default")

    async def ask() -> None:
        await province_picture(country_house, anonymous(), province, "vi", name="a-map-of-this-test")

    await ask()
    await ask()
    assert drawn == ["a-map-of-this-test"]
    clock.advance(timedelta(hours=7))  # the marks are of stations that fell silent now
    await ask()
    assert len(drawn) == 2


async def test_a_province_without_stations_sees_itself(country_house: House) -> None:
    async with country_house.pool.acquire() as connection:
        province = await province_settings(connection, "default")
    bare = replace(country_house, packs=())
    shown = await province_map(bare, anonymous(), province, "vi")
    assert shown is not None
    assert not shown.markers
    assert len(shown.outlines) > 100


async def test_without_a_name_and_without_marks_there_is_no_map(house: House, clock: SetClock) -> None:
    async with house.pool.acquire() as connection:
        await change_province_setting(part("test"), connection, "name", None, now=clock.now())
    text = (await Client(build_application(house)).page("/")).text
    assert "map-picture" not in text
    assert "Chưa có trạm nào gửi số liệu." in text


async def test_a_map_that_breaks_costs_the_map_and_not_the_page(
    country_house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    def explode(*_: object) -> None:
        raise ValueError("no such outline")

    monkeypatch.setattr("haidang.web.shared.layers.markers_of", explode)
    page = await Client(build_application(country_house)).page("/")
    assert page.status == 200
    assert "402 Nguy hại" in page.text
    assert "map-picture" not in page.text


async def test_a_home_without_packs_says_that_nothing_is_there_yet(house: House) -> None:
    page = await Client(build_application(replace(house, packs=()))).page("/")
    assert page.status == 200
    assert "Ở đây chưa có gì" in page.text


def test_every_page_of_the_portal_in_the_menu_has_its_sentence() -> None:
    assert set(PORTAL_TITLES) == set(PORTAL_SUMMARY_MESSAGES)


@pytest.mark.parametrize(
    "location",
    [
        None,
        "x",
        {},
        {"type": "Point"},
        {"type": "Point", "coordinates": [1]},
        {"type": "Point", "coordinates": "12"},
        {"type": "Point", "coordinates": [float("nan"), 1]},
        {"type": "Polygon", "coordinates": [[[1, 2]]]},
    ],
)
def test_what_is_no_point_has_no_mark(location: object) -> None:
    assert position_of(location) is None


def test_a_point_is_longitude_and_latitude() -> None:
    assert position_of({"type": "Point", "coordinates": [108.1, 10.9, 5]}) == (108.1, 10.9)
