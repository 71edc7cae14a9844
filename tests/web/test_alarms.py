"""Alarms in the operations centre: listed, acted on by name, told apart from silence; words stay words."""

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from haidang.infra.database import reading, transaction
from haidang.kernel.actors import part
from haidang.rules.model import Alarm, AlarmState
from haidang.rules.service import MOST_AT_ONCE, acknowledge_alarm, alarm, switch_rule
from haidang.sdk.model import Severity
from haidang.web.asgi import build_application
from haidang.web.ioc.alarm_listing import in_order
from haidang.web.ioc.alarms import TimeOfDayUnreadable, shelf_end
from haidang.web.shared.house import House
from tests.web.alarms import QUY_NHON, SMOG, raise_alarms
from tests.web.client import Client
from tests.web.stations import Given
from tests.web.test_desks import LAN, post

NOON = datetime(2026, 11, 21, 5, tzinfo=UTC)
HUNG = ("cookie", f"haidang-desk={quote('Lê Hùng')}")


@pytest.fixture
async def raised(house: House) -> Alarm:
    """Quy Nhơn stands above the limit of a rule."""
    (found,) = await raise_alarms(house)
    return found


async def kept(house: House, alarm_id: str) -> tuple[Alarm, list[str]]:
    """An alarm as it is kept, and its lines."""
    async with reading(house.pool) as connection:
        found, lines = await alarm(part("test"), connection, alarm_id)
    return found, [f"{line.kind} {line.by} {line.text}".strip() for line in lines]


# --- the list ----------------------------------------------------------------------------------


async def test_the_list_says_how_grave_what_where_since_when_and_that_nobody_has_it(
    web: Client, raised: Alarm
) -> None:
    text = (await web.page("/ioc/alarms", LAN)).text
    card = text[text.index('<ol class="alarms">') :]
    assert "alarm-severe" in card
    assert "Nghiêm trọng" in card
    assert f'href="/ioc/alarms/{raised.alarm_id}">Khói mù</a>' in card
    assert "Quy Nhơn" in card
    assert '<b class="figure">402</b>' in card
    assert "chưa ai nhận" in card
    assert "Số liệu mô phỏng" in card
    assert "12:00, 21/11/2026" in card


async def test_the_one_primary_act_is_on_the_gravest_that_nobody_has(house: House, web: Client) -> None:
    await raise_alarms(house, [QUY_NHON, Given("mui-ne", "Mũi Né", 160)])
    extreme = replace(
        SMOG, rule_id="poison", label="Nguy hại", severity=Severity.EXTREME, q="airQualityIndex>300"
    )
    first = (await raise_alarms(house, [QUY_NHON], extreme))[0]
    text = (await web.page("/ioc/alarms", LAN)).text
    assert text.count("button main") == 1
    assert f'class="button main" id="take-{first.alarm_id}"' in text
    await post(web, f"/ioc/alarms/{first.alarm_id}/acknowledge", {}, LAN)
    text = (await web.page("/ioc/alarms", LAN)).text
    assert text.count("button main") == 1
    assert f'class="button main" id="take-{first.alarm_id}"' not in text


async def test_no_rule_is_not_the_same_as_nothing_to_report(house: House, web: Client) -> None:
    assert "Không có quy tắc nào đang bật" in (await web.page("/ioc/alarms")).text
    assert "Không có quy tắc nào đang bật" in (await web.page("/ioc/alarms/cards")).text
    await raise_alarms(house, [Given("mui-ne", "Mũi Né", 33)])
    for path in ("/ioc/alarms", "/ioc/alarms/cards"):
        text = (await web.page(path)).text
        assert "1 quy tắc đang bật và không thấy gì phải báo" in text, path
        assert "Không có quy tắc nào" not in text, path


async def test_tabs_and_filters_show_what_they_say(web: Client, raised: Alarm) -> None:
    def shown(text: str) -> bool:
        return f'data-alarm="{raised.alarm_id}"' in text

    assert shown((await web.page("/ioc/alarms?view=unacknowledged")).text)
    assert not shown((await web.page("/ioc/alarms?view=cleared")).text)
    assert not shown((await web.page("/ioc/alarms?severity=minor")).text)
    assert "Không có cảnh báo nào khớp" in (await web.page("/ioc/alarms?severity=minor")).text
    assert shown((await web.page("/ioc/alarms?severity=severe&rule=smog")).text)
    await post(web, f"/ioc/alarms/{raised.alarm_id}/shelve", {"how_long": "60", "reason": "bảo trì"}, LAN)
    assert not shown((await web.page("/ioc/alarms")).text)
    assert shown((await web.page("/ioc/alarms?view=shelved")).text)
    assert shown((await web.page("/ioc/alarms?view=odd'--&severity=%00&after=urn:x&of=y")).text) is False


async def test_an_alarm_that_is_over_moves_to_its_tab(house: House, web: Client, raised: Alarm) -> None:
    async with transaction(house.pool) as connection:
        await switch_rule(
            part("test"), connection, "smog", on=False, reason="thử", by="Lan", now=NOON, packs=house.packs
        )
    assert raised.alarm_id not in (await web.page("/ioc/alarms")).text
    text = (await web.page("/ioc/alarms?view=cleared")).text
    assert "hết lúc" in text
    assert "/acknowledge" not in text
    late = await post(web, f"/ioc/alarms/{raised.alarm_id}/acknowledge", {}, LAN)
    assert late.status == 409


async def test_long_lists_are_read_page_by_page_though_all_were_raised_in_one_moment(
    house: House, web: Client
) -> None:
    many = [Given(f"tram-{number:03}", f"Trạm {number}", 200) for number in range(120)]
    raised = await raise_alarms(house, many)
    assert len({one.raised_at for one in raised}) == 1
    seen: list[str] = []
    path: str | None = "/ioc/alarms"
    while path:
        text = (await web.page(path)).text
        seen += re.findall(r'data-alarm="([^"]+)"', text)
        following = re.search(r'href="([^"]+)" rel="next"', text)
        path = following[1].replace("&amp;", "&") if following else None
    assert len(seen) == len(set(seen)) == 120


# --- acts --------------------------------------------------------------------------------------


async def test_the_second_of_two_is_told_who_was_first_and_when(
    house: House, web: Client, raised: Alarm
) -> None:
    path = f"/ioc/alarms/{raised.alarm_id}/acknowledge"
    first = await post(web, path, {"back": "/ioc/alarms?view=open"}, LAN)
    assert first.status == 303
    location = first.header("location") or ""
    assert location.startswith("/ioc/alarms?view=open&done=acknowledged")
    assert "Bạn đã nhận: Khói mù, Quy Nhơn." in (await web.page(location, LAN)).text
    second = await post(web, path, {}, HUNG)
    assert second.status == 409
    assert "Trần Thị Lan đã nhận trước bạn, lúc 12:00, 21/11/2026." in second.text
    found, lines = await kept(house, raised.alarm_id)
    assert found.acknowledged_by == "unverified:Trần Thị Lan"
    assert [line for line in lines if "acknowledged" in line] == ["acknowledged unverified:Trần Thị Lan"]
    page = (await web.page(f"/ioc/alarms/{raised.alarm_id}")).text
    assert '<b class="acted-by">Trần Thị Lan</b> <span class="unverified">(chưa xác thực)</span>' in page


@pytest.mark.parametrize("act", ["acknowledge", "comment", "shelve", "unshelve"])
async def test_nothing_is_done_without_a_name_or_from_elsewhere(
    house: House, web: Client, raised: Alarm, act: str
) -> None:
    fields = {"text": "x", "reason": "x", "how_long": "15"}
    path = f"/ioc/alarms/{raised.alarm_id}/{act}"
    assert (await post(web, path, fields)).status == 422  # asked for a name
    assert (await post(web, path, fields, LAN, ("origin", "https://evil.vn"), ours=False)).status == 403
    assert (await web.page(path)).status == 405
    assert (await kept(house, raised.alarm_id))[1] == ["raised"]


@pytest.mark.parametrize("act", ["acknowledge", "comment", "shelve", "unshelve"])
async def test_an_alarm_that_is_none_is_not_found(web: Client, act: str) -> None:
    fields = {"text": "x", "reason": "x", "how_long": "15"}
    assert (await post(web, f"/ioc/alarms/urn:haidang:alarm:none/{act}", fields, LAN)).status == 404
    assert (await web.page("/ioc/alarms/urn:haidang:alarm:none")).status == 404


async def test_words_come_back_as_words(house: House, web: Client, raised: Alarm) -> None:
    hostile = "<img src=x onerror=alert(1)>\"'{{ 7*7 }} Đã gọi trạm"
    path = f"/ioc/alarms/{raised.alarm_id}"
    assert (await post(web, f"{path}/comment", {"text": hostile, "back": path}, LAN)).status == 303
    text = (await web.page(path)).text
    assert "<img src=x" not in text
    assert "&lt;img src=x onerror=alert(1)&gt;" in text
    assert "{{ 7*7 }} Đã gọi trạm" in text
    assert (await kept(house, raised.alarm_id))[0].comments == 1


@pytest.mark.parametrize(
    ("act", "fields"),
    [
        ("comment", {"text": "  "}),
        ("comment", {"text": "x" * 2_001}),
        ("shelve", {"how_long": "60", "reason": ""}),
        ("shelve", {"how_long": "until", "until": "25:00", "reason": "giữ lời này"}),
        ("shelve", {"how_long": "until", "until": "", "reason": "giữ lời này"}),
    ],
)
async def test_what_is_missing_is_said_beside_its_field_and_nothing_typed_is_lost(
    house: House, web: Client, raised: Alarm, act: str, fields: dict[str, str]
) -> None:
    reply = await post(web, f"/ioc/alarms/{raised.alarm_id}/{act}", fields, LAN)
    assert reply.status == 422
    assert 'aria-invalid="true"' in reply.text
    assert fields.get("text", fields.get("reason", "")).strip()[:20] in reply.text
    assert (await kept(house, raised.alarm_id))[1] == ["raised"]


async def test_what_is_put_aside_can_be_taken_back(house: House, web: Client, raised: Alarm) -> None:
    path = f"/ioc/alarms/{raised.alarm_id}"
    assert (await post(web, f"{path}/unshelve", {}, LAN)).status == 409
    await post(web, f"{path}/shelve", {"how_long": "until", "until": "20:45", "reason": "đang sửa"}, LAN)
    found, _ = await kept(house, raised.alarm_id)
    assert found.shelved_until == datetime(2026, 11, 21, 13, 45, tzinfo=UTC)
    assert "tạm gác đến" in (await web.page(path)).text
    assert (await post(web, f"{path}/unshelve", {}, LAN)).status == 303
    found, lines = await kept(house, raised.alarm_id)
    assert found.shelved_until is None
    assert lines[1:] == ["shelved unverified:Trần Thị Lan đang sửa", "unshelved unverified:Trần Thị Lan"]


# --- one alarm ---------------------------------------------------------------------------------


async def test_the_page_of_an_alarm_shows_values_limit_rule_and_advice(web: Client, raised: Alarm) -> None:
    text = (await web.page(f"/ioc/alarms/{raised.alarm_id}")).text
    assert 'class="alarm-chart"' in text
    assert "ngưỡng 150" in text
    assert "trên 150" in text
    assert "Báo cho các trường học" in text
    assert "phát cảnh báo" in text
    assert "<title>Khói mù · Quy Nhơn" in text


async def test_every_link_of_an_alarm_leads_somewhere(web: Client, raised: Alarm) -> None:
    for page in ("/ioc/alarms", f"/ioc/alarms/{raised.alarm_id}", "/ioc/alarms/cards"):
        for address in set(re.findall(r'<a [^>]*href="(/[^"#]*)', (await web.page(page, LAN)).text)):
            assert (await web.page(address.replace("&amp;", "&"))).status == 200, address


async def test_a_long_name_stays_a_name(house: House, web: Client) -> None:
    name = "Trạm quan trắc nước mặt hồ Đan Kia – Suối Vàng, xã Lạc Dương " * 3
    (found,) = await raise_alarms(house, [Given("dai", name, 402)])
    for path in ("/ioc/alarms", f"/ioc/alarms/{found.alarm_id}", "/ioc/alarms/cards"):
        assert name.strip() in (await web.page(path)).text


# --- whom it is for ----------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/ioc/alarms", "/ioc/alarms/{}", "/en/ioc/alarms"])
async def test_names_are_not_shown_to_whom_a_proxy_carried_on(web: Client, raised: Alarm, path: str) -> None:
    carried = ("x-forwarded-for", "203.0.113.9")
    assert (await web.page(path.format(raised.alarm_id), carried)).status == 404


async def test_cards_show_the_gravest_and_lead_on(web: Client, raised: Alarm) -> None:
    page = await web.page("/ioc/alarms/cards", LAN)
    assert "<html" not in page.text
    assert f'data-alarm="{raised.alarm_id}"' in page.text
    assert 'name="back" value="/ioc"' in page.text


async def test_cards_say_when_nothing_is_known(house: House) -> None:
    class Away:
        def acquire(self) -> object:
            raise OSError("away")

    page = await Client(build_application(replace(house, pool=Away()))).page("/ioc/alarms/cards")
    assert page.status == 200
    assert "Chưa đọc được cảnh báo" in page.text


async def test_a_colleague_may_be_first_between_looking_and_acting(
    house: House, web: Client, raised: Alarm
) -> None:
    async with transaction(house.pool) as connection:
        await acknowledge_alarm(part("test"), connection, raised.alarm_id, by="Tổ trưởng", now=NOON)
    reply = await post(web, f"/en/ioc/alarms/{raised.alarm_id}/acknowledge", {}, LAN)
    assert (reply.status, "Tổ trưởng acknowledged this before you" in reply.text) == (409, True)
    assert '<b class="acted-by">Tổ trưởng</b>' in reply.text  # known by more than a cookie: no "not verified"


# --- pure --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("now", "how_long", "until", "ends"),
    [
        ("05:00", "15", "", "05:15"),
        ("05:00", "60", "", "06:00"),
        ("05:00", "shift", "", "07:00"),  # 14:00 in Vietnam
        ("16:00", "shift", "", "23:00"),  # 23:00 there; the next shift is at 6
        ("05:00", "until", "12:30", "05:30"),
        ("05:00", "until", "12h30", "05:30"),
        ("05:00", "until", "11:30", "04:30"),  # tomorrow
        ("05:00", "anything", "", "05:15"),
    ],
)
def test_an_alarm_comes_back_when_it_was_said(now: str, how_long: str, until: str, ends: str) -> None:
    at = datetime.fromisoformat(f"2026-11-21T{now}+00:00")
    found = shelf_end(how_long, until, at)
    assert f"{found:%H:%M}" == ends
    assert at < found <= at + timedelta(hours=24)


@given(st.text(max_size=12), st.datetimes(datetime(2020, 1, 1), datetime(2040, 1, 1)))  # noqa: DTZ001 - made aware below
def test_a_time_of_day_is_ahead_within_a_day_or_refused(text: str, at: datetime) -> None:
    now = at.replace(tzinfo=UTC)
    try:
        found = shelf_end("until", text, now)
    except TimeOfDayUnreadable:
        return
    assert now < found <= now + timedelta(days=1)


@given(st.lists(st.integers(0, 6), max_size=350), st.data())
async def test_every_alarm_is_listed_once_wherever_a_page_begins(
    moments: list[int], data: st.DataObject
) -> None:
    listed = [
        _made(number, NOON + timedelta(seconds=moment))
        for number, moment in enumerate(sorted(moments, reverse=True))
    ]

    async def read(before: datetime | None, most: int) -> list[Alarm]:
        return [one for one in listed if before is None or one.raised_at < before][: min(most, MOST_AT_ONCE)]

    start = data.draw(st.integers(0, len(listed)))
    after = listed[start - 1] if start else None
    assert [one async for one in in_order(read, after)] == listed[start:]


def _made(number: int, raised_at: datetime) -> Alarm:
    return Alarm(
        alarm_id=f"urn:haidang:alarm:{number:04}",
        rule_id="r",
        label="l",
        advice="",
        entity_id="e",
        entity_type="t",
        entity_name="",
        severity=Severity.MINOR,
        state=AlarmState.OPEN,
        since=raised_at,
        raised_at=raised_at,
        updated_at=raised_at,
        cleared_at=None,
        value=None,
        unit=None,
        acknowledged_at=None,
        acknowledged_by="",
        shelved_until=None,
        comments=0,
        version=1,
        synthetic=False,
        position=None,
    )
