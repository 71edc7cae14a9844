"""Rivers and rain as a citizen reads them: what stands above which alarm level, and what is not known."""

import json
from datetime import timedelta
from typing import Any

from haidang.infra.database import transaction
from haidang.kernel.actors import part
from haidang.kernel.instants import format_instant
from haidang.packs.environment.pack import PACK
from haidang.sdk.model import Message
from haidang.sources.model import declared_sources
from haidang.sources.service import take_messages
from haidang.web.asgi import build_application
from haidang.web.shared.house import House
from tests.web.client import Client

SOURCES = {one.source_id: one for one in declared_sources([PACK])}


async def send(house: House, source_id: str, *, minutes_ago: int = 5, **parts: Any) -> None:
    """One message of a gauge, taken as the intake takes it."""
    source = SOURCES[source_id]
    now = house.clock.now()
    sent = json.loads(source.source.example) | {
        "observedAt": format_instant(now - timedelta(minutes=minutes_ago)),
        **parts,
    }
    message = Message(json.dumps(sent).encode(), source.source.example_topic, now)
    async with transaction(house.pool) as connection:
        await take_messages(part("test"), connection, source, [message], now=now)


async def test_a_level_is_said_as_bulletins_say_it(house: House) -> None:
    await send(house, "river-gauges", values={"waterLevel": {"value": 16.85, "unit": "MTR"}})
    text = (await Client(build_application(house)).page("/muc-nuoc")).text
    assert "trên BĐ2 0,35 m" in text
    assert "báo động 2" in text
    assert "Số liệu mô phỏng" in text
    assert "1 trạm trên mức báo động" in text
    english = (await Client(build_application(house)).page("/en/muc-nuoc")).text
    assert "above alarm 2 by 0.35 m" in english


async def test_levels_that_nobody_found_are_missing_and_those_from_memory_say_so(house: House) -> None:
    await send(
        house,
        "river-gauges",
        stationCode="luy-song-luy",
        values={"waterLevel": {"value": 24.5, "unit": "MTR"}},
    )
    text = (await Client(build_application(house)).page("/muc-nuoc")).text
    assert "Các mức báo động của trạm này: chưa có số liệu." in text
    assert "theo trí nhớ, chưa kiểm chứng" in text
    card = text.split('id="tram-binh-nghi"')[1].split("</li>")[0]
    assert "BĐ1" not in card


async def test_a_silent_gauge_is_compared_with_nothing(house: House) -> None:
    await send(house, "river-gauges", minutes_ago=45, values={"waterLevel": {"value": 18.0, "unit": "MTR"}})
    text = (await Client(build_application(house)).page("/muc-nuoc")).text
    card = text.split('id="tram-binh-nghi"')[1].split("</li>")[0]
    assert "Mất tín hiệu" in card
    assert "trên BĐ" not in card


async def test_rain_without_a_whole_hour_has_no_sum(house: House) -> None:
    await send(house, "rain-gauges")
    text = (await Client(build_application(house)).page("/muc-nuoc")).text
    row = text.split('id="mua-van-canh"')[1].split("</tr>")[0]
    assert row.count("chưa có số liệu") == 2
    assert "0,0&nbsp;mm" not in row


async def test_the_table_has_a_row_a_gauge_with_its_source(house: House) -> None:
    await send(house, "river-gauges")
    await send(house, "rain-gauges")
    lines = (await Client(build_application(house)).get("/muc-nuoc.csv")).text.strip().splitlines()
    assert lines[0].lstrip("\ufeff").startswith("station_id,kind,station,river")
    assert len(lines) == 3
    assert all(",synthetic," in line for line in lines[1:])


async def test_without_a_gauge_the_page_tells_how_to_begin(house: House) -> None:
    text = (await Client(build_application(house)).page("/muc-nuoc")).text
    assert "Chưa trạm nào gửi số liệu" in text
    assert "haidang up --demo --scenario rain" in text
