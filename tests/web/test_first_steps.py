"""What a clean install is told to do, step by step, as read from what is there."""

import re
from dataclasses import replace
from datetime import timedelta

import msgspec
import pytest

from haidang.infra.database import Pool
from haidang.infra.province import change_province_setting
from haidang.kernel.actors import part
from haidang.kernel.instants import SetClock
from haidang.sources import store
from haidang.web.admin.first_steps import STEP_TITLES, FirstStep, FirstSteps
from haidang.web.asgi import build_application
from haidang.web.shared.house import House
from tests.web.client import Client

AIR = "air-stations"
PHU_THUY = "urn:ngsi-ld:AirQualityObserved:phu-thuy"


async def name_province(pool: Pool, name: str, clock: SetClock) -> None:
    async with pool.acquire() as connection:
        await change_province_setting(part("test"), connection, "name", name, now=clock.now())


def next_step(text: str) -> str:
    """The step that the page says is next."""
    found = re.search(r'<li class="open" aria-current="step" id="buoc-([a-z-]+)"', text)
    return found[1] if found else ""


@pytest.fixture
async def unnamed(house: House, clock: SetClock) -> House:
    """A clean install: nothing was named, nothing was heard."""
    await name_province(house.pool, "Hải Đăng", clock)
    return house


async def test_a_clean_install_is_asked_for_its_name_first(unnamed: House) -> None:
    text = (await Client(build_application(unnamed)).page("/admin")).text
    assert next_step(text) == "name"
    assert "xong 0 trên 5" in text
    assert "haidang province set name" in text
    assert [one for one in STEP_TITLES if f'id="buoc-{one}"' in text] == list(STEP_TITLES)


async def test_a_name_that_is_no_province_is_told_and_one_that_is_shows_its_wards(
    country_house: House, clock: SetClock
) -> None:
    web = Client(build_application(country_house))
    named = (await web.page("/admin")).text
    assert next_step(named) == "source"
    assert "124 phường, xã" in named
    await name_province(country_house.pool, "Xứ Mộng", clock)
    try:
        text = (await Client(build_application(country_house)).page("/admin")).text
    finally:
        await name_province(country_house.pool, "Lâm Đồng", clock)
    assert next_step(text) == "units"
    assert "không có tỉnh, thành nào tên “Xứ Mộng”" in text


async def test_the_first_message_to_copy_is_one_that_its_source_reads(web: Client, house: House) -> None:
    text = (await web.page("/admin")).text
    source = house.packs[0].sources[0]
    assert source.example_topic in text
    assert "mosquitto_pub -h 127.0.0.1 -p 1883" in text


async def test_a_password_of_the_broker_is_shown_to_nobody(house: House) -> None:
    settings = msgspec.structs.replace(house.settings, mqtt_url="mqtts://tram:bi-mat@mqtt.example.vn")
    text = (await Client(build_application(replace(house, settings=settings))).page("/admin")).text
    assert "mqtt.example.vn" in text
    assert "-p 8883" in text
    assert "bi-mat" not in text


async def test_what_came_and_could_not_be_kept_is_not_taken_for_a_reading(
    house: House, clock: SetClock
) -> None:
    now = clock.now()
    async with house.pool.acquire() as connection, connection.transaction():
        await store.count_messages(connection, "default", AIR, messages=3, refusals=3, received_at=now)
    text = (await Client(build_application(house)).page("/admin")).text
    assert '<li class="behind" id="buoc-source">' in text
    assert '<li class="open" id="buoc-reading">' in text
    assert "Đã nhận 3 bản tin nhưng chưa có giá trị nào dùng được (3 lần từ chối)" in text


async def test_the_first_reading_is_shown_with_its_age(house: House, clock: SetClock) -> None:
    web, now = Client(build_application(house)), clock.now()
    async with house.pool.acquire() as connection, connection.transaction():
        await store.count_messages(connection, "default", AIR, messages=1, refusals=0, received_at=now)
        heard = {f"urn:haidang:source:{AIR}": (now, now), PHU_THUY: (now, now)}
        await store.mark_heard(connection, "default", AIR, heard)
    clock.advance(timedelta(minutes=3))
    text = (await web.page("/admin")).text
    assert '<li class="behind" id="buoc-reading">' in text
    assert re.search(rf"{PHU_THUY}</code>, <time[^>]*>3 phút trước", text)
    assert next_step(text) == "units"  # this database knows no units at all


@pytest.mark.parametrize("done", [True, False])
def test_they_are_open_until_somebody_is_served_whatever_may_wait(*, done: bool) -> None:
    steps = [
        FirstStep(one, done if one == "reading" else one not in {"base-map", "backup"}, "")
        for one in STEP_TITLES
    ]
    first = FirstSteps(steps, "", None, "", 0, ("", 0), None, 0, 0, None)
    assert first.open is not done
    assert first.next == ("base-map" if done else "reading")


async def test_home_leads_to_the_steps_while_there_is_no_name_and_only_on_this_machine(
    unnamed: House, city: Client, clock: SetClock
) -> None:
    text = (await Client(build_application(unnamed)).page("/")).text
    assert "Tỉnh này chưa có tên" in text
    assert '<a href="/admin">' in text
    afar = replace(unnamed, settings=msgspec.structs.replace(unnamed.settings, host="203.0.113.7"))
    assert "/admin" not in (await Client(build_application(afar)).page("/")).text
    await name_province(unnamed.pool, "Lâm Đồng", clock)
    assert "Tỉnh này chưa có tên" not in (await city.page("/")).text
