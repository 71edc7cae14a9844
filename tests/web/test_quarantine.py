"""The quarantine's pages: what was refused is seen as it came and obeyed by nobody, tried, replayed."""

import re
from dataclasses import replace
from datetime import timedelta
from urllib.parse import quote
from uuid import uuid4

import msgspec
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from haidang.infra.database import reading, transaction
from haidang.infra.jobs import JobRun
from haidang.kernel.actors import part
from haidang.kernel.instants import Instant, SetClock
from haidang.sdk.model import Message
from haidang.sources.model import Reason, declared_sources
from haidang.sources.replaying import newest_replays, replay_jobs
from haidang.sources.service import list_quarantine, quarantine_unread, take_messages
from haidang.web.admin.payloads import one_line, readable, shown_payload
from haidang.web.asgi import build_application
from haidang.web.shared.house import House
from tests.web.client import Client
from tests.web.test_desks import LAN, post

PAGE = "/admin/quarantine"
NOBODY = "01900000-0000-7000-8000-000000000000"
HOSTILE = "<script>alert(1)</script>\x1b[31m\u202eNỘI DUNG\"'&"


def message(now: Instant, number: int = 0, *, ahead: timedelta = timedelta(hours=1)) -> Message:
    """A good message whose moment is yet to come."""
    sent = {
        "id": "urn:ngsi-ld:AirQualityObserved:thu",
        "observedAt": (now + ahead + timedelta(minutes=number)).isoformat(),
        "values": {"pm25": {"value": 20 + number, "unit": "GQ"}},
    }
    return Message(msgspec.json.encode(sent), "haidang/air/thu", now + timedelta(seconds=number))


async def refuse(house: House, *messages: Message) -> list[str]:
    """Take messages that are refused; the ids of all that is kept, newest first."""
    declared = next(one for one in declared_sources(house.packs) if one.source_id == "air-stations")
    async with transaction(house.pool) as connection:
        await take_messages(part("test"), connection, declared, messages, now=house.clock.now())
        kept = await list_quarantine(part("test"), connection, most=500)
        return [str(one.quarantine_id) for one in kept]


async def test_an_empty_quarantine_does_not_call_all_well(web: Client) -> None:
    page = await web.page(PAGE)
    assert page.status == 200
    assert "30 ngày qua không có gì bị từ chối" in page.text
    assert "hoặc chẳng có gì gửi đến" in page.text
    assert "/replay" not in page.text


async def test_the_list_says_what_from_where_why_and_how_often(house: House, web: Client) -> None:
    now = house.clock.now()
    await refuse(house, message(now), message(now), Message(b"{", "haidang/air/x", now))
    stray = Message(b"\xff\x00\x01", "elsewhere/1", now)
    async with transaction(house.pool) as connection:
        await quarantine_unread(part("test"), connection, None, stray, reason=Reason.NO_SOURCE, detail="")
    text = (await web.page(PAGE)).text
    assert "tương lai" in text
    assert "<code>haidang/air/thu</code>" in text
    assert "Bản tin không phải JSON đọc được" in text
    assert "không thuộc nguồn nào" in text
    assert "2 lần trong ngày" in text
    assert "ff 00 01" in text
    assert len(re.findall(r"<rect x=", text)) == 30
    only = (await web.page(f"{PAGE}?reason=not-json")).text
    assert "elsewhere/1" not in only
    assert "<code>haidang/air/x</code>" in only
    assert (await web.page(f"/en{PAGE}")).status == 200


async def test_a_long_list_goes_on_after_its_last_and_a_place_that_is_gone_is_the_beginning(
    house: House, web: Client
) -> None:
    now = house.clock.now()
    kept = await refuse(house, *(message(now, number) for number in range(30)))
    first = (await web.page(PAGE)).text
    ids = re.findall(rf'href="{PAGE}/([0-9a-f-]+)"', first)
    assert ids == kept[:25]
    (after,) = re.findall(r'href="([^"]+)" rel="next"', first)
    second = (await web.page(after)).text
    assert re.findall(rf'href="{PAGE}/([0-9a-f-]+)"', second) == kept[25:]
    assert "Trang sau" not in second
    for gone in (str(uuid4()), "x", "%00"):
        assert f"{PAGE}/{kept[0]}" in (await web.page(f"{PAGE}?after={gone}")).text


async def test_one_message_is_shown_with_what_to_do_and_what_would_become_of_it(
    house: House, web: Client, clock: SetClock
) -> None:
    (one,) = await refuse(house, message(house.clock.now()))
    text = (await web.page(f"{PAGE}/{one}")).text
    assert "Chỉnh đồng hồ của thiết bị" in text
    assert "Vẫn sẽ bị từ chối vì lý do này" in text
    assert "Những gì sẽ được nhận" not in text
    assert "&#34;observedAt&#34;" in text
    assert "7b 22 69 64" in text
    clock.advance(timedelta(hours=2))
    later = (await web.page(f"{PAGE}/{one}")).text
    assert "Nay sẽ nhận được: lý do không còn nữa" in later
    assert "Những gì sẽ được nhận" in later
    assert "<code>urn:ngsi-ld:AirQualityObserved:thu</code>" in later
    async with reading(house.pool) as connection:
        assert await connection.fetchval("SELECT count(*) FROM context.observation") == 0


async def test_a_payload_that_was_cut_says_what_that_means(house: House, web: Client) -> None:
    (one,) = await refuse(house, Message(b"{" + bytes(1_000_001), "haidang/air/x", house.clock.now()))
    text = (await web.page(f"{PAGE}/{one}")).text
    assert "Bản tin dài 1.000.002 byte; chỉ giữ 4.096 byte đầu" in text
    assert "/replay" not in text
    assert "Đây không phải văn bản" in text
    assert (await post(web, f"{PAGE}/{one}/replay", {}, LAN)).status == 409


async def test_hostile_payloads_topics_and_details_are_words_on_the_page(house: House, web: Client) -> None:
    now = house.clock.now()
    sent = Message(f'{{"id": "{HOSTILE}'.encode(), f"haidang/air/{HOSTILE}", now)
    named = msgspec.json.encode({"id": HOSTILE, "observedAt": now.isoformat(), "values": {HOSTILE: 1}})
    kept = await refuse(house, sent, Message(named, "haidang/air/x", now))
    assert len(kept) >= 2
    for path in (PAGE, *(f"{PAGE}/{one}" for one in kept), f"{PAGE}?source={quote(HOSTILE)}&reason=%3Cb%3E"):
        text = (await web.page(path)).text
        assert "<script>alert" not in text
        assert "\x1b" not in text
        assert "<b>\n" not in text
    shown = (await web.page(f"{PAGE}/{kept[-1]}")).text
    pre = re.search(r"<pre.*?</pre>", shown, re.DOTALL)
    assert pre is not None
    assert "\u202e" not in pre[0]


async def test_one_message_is_judged_again_under_a_name(house: House, web: Client, clock: SetClock) -> None:
    (one,) = await refuse(house, message(house.clock.now()))
    early = await post(web, f"{PAGE}/{one}/replay", {}, LAN)
    assert (early.status, early.header("location")) == (303, f"{PAGE}/{one}?done=refused")
    clock.advance(timedelta(hours=2))
    done = await post(web, f"{PAGE}/{one}/replay", {}, LAN)
    assert done.header("location") == f"{PAGE}/{one}?done=settled"
    text = (await web.page(f"{PAGE}/{one}?done=settled")).text
    assert "Đã xét lại: lý do không còn" in text
    assert "Trần Thị Lan" in text
    assert "(chưa xác thực)" in text
    assert f"{PAGE}/{one}/replay" not in text
    assert f"{PAGE}/{one}" not in (await web.page(PAGE)).text.partition("Những lần xét lại gần đây")[0]
    assert f"{PAGE}/{one}" in (await web.page(f"{PAGE}?all=1")).text


async def test_all_are_judged_again_by_a_job_and_the_page_says_how_far_it_is(
    house: House, web: Client, clock: SetClock
) -> None:
    await refuse(house, *(message(house.clock.now(), number) for number in range(3)))
    clock.advance(timedelta(hours=2))
    begun = await post(web, f"{PAGE}/replay", {"source": "air-stations"}, LAN)
    path = begun.header("location") or ""
    assert re.fullmatch(rf"{PAGE}/replays/[0-9a-f-]{{36}}", path)
    waiting = (await web.page(path)).text
    assert "Đã xét 0 trên 3 bản tin" in waiting
    assert '<noscript><meta http-equiv="refresh" content="3"></noscript>' in waiting
    async with reading(house.pool) as connection:
        (asked,) = await newest_replays(part("test"), connection)
        payload = await connection.fetchval("SELECT payload FROM infra.pgqueuer")
    (job,) = replay_jobs(declared_sources(house.packs), clock)
    await job.handle(house.pool, JobRun(1, job.name, payload, 1, "a", "default", clock.now()))
    over = (await web.page(path)).text
    assert "Đã xét 3 trên 3 bản tin" in over
    assert "http-equiv" not in over
    assert asked.asked_by == "unverified:Trần Thị Lan"
    assert (await post(web, f"{PAGE}/replay", {}, LAN)).status == 409


async def test_the_file_for_the_vendor_has_every_payload_as_it_came(house: House, web: Client) -> None:
    now = house.clock.now()
    whole = message(now)
    await refuse(house, whole, Message(b"\xff\xfe\x00", "haidang/air/x", now))
    file = await web.get(f"{PAGE}/download")
    assert (file.header("content-disposition") or "").startswith('attachment; filename="quarantine-2026')
    lines = [orjson.loads(line) for line in file.body.splitlines()]
    by_topic = {one["topic"]: one for one in lines}
    assert by_topic["haidang/air/thu"]["payload"].encode() == whole.payload
    assert by_topic["haidang/air/thu"]["decoder_now"].startswith("environment ")
    assert by_topic["haidang/air/x"]["payload_base64"] == "//4A"
    some = await web.get(f"{PAGE}/download?reason=observed-in-future")
    assert len(some.body.splitlines()) == 1


@pytest.mark.parametrize(
    "path", [f"{PAGE}/x", f"{PAGE}/{NOBODY}", f"{PAGE}/replays/x", f"{PAGE}/replays/{NOBODY}"]
)
async def test_what_is_not_there_is_a_page_that_says_so(web: Client, path: str) -> None:
    assert (await web.page(path)).status == 404


@pytest.mark.parametrize("path", [f"{PAGE}/x/replay", f"{PAGE}/{NOBODY}/replay"])
async def test_what_is_not_there_cannot_be_judged_again(web: Client, path: str) -> None:
    assert (await post(web, path, {}, LAN)).status == 404


async def test_who_is_elsewhere_finds_nothing_and_does_nothing(house: House, web: Client) -> None:
    (one,) = await refuse(house, message(house.clock.now()))
    for path in (PAGE, f"{PAGE}/{one}", f"{PAGE}/download", f"{PAGE}/replays/{NOBODY}"):
        assert (await web.page(path, ("x-forwarded-for", "203.0.113.7"))).status == 404
    for path in (f"{PAGE}/{one}/replay", f"{PAGE}/replay"):
        assert (await post(web, path, {}, LAN, ours=False)).status == 403
        assert (await post(web, path, {})).status == 422  # asked for a name first
    async with reading(house.pool) as connection:
        assert await newest_replays(part("test"), connection) == []
    open_to_all = replace(house, settings=msgspec.structs.replace(house.settings, host="203.0.113.7"))
    outside = Client(build_application(open_to_all))
    for path in (PAGE, f"{PAGE}/{one}", f"{PAGE}/download"):
        assert (await outside.page(path)).status == 404


@given(st.binary(max_size=9_000))
def test_any_payload_can_be_shown(payload: bytes) -> None:
    shown = shown_payload(payload)
    assert shown.all_bytes == len(payload)
    for text in (shown.text or "", one_line(payload, 120)):
        assert all(sign.isprintable() or sign in "\n\t" for sign in text)
    assert "".join(shown.lines).count("  ") >= len(shown.lines)
    assert len(one_line(payload, 120)) <= 160


def test_a_letter_that_was_cut_does_not_make_a_text_bytes() -> None:
    assert readable("Trạm đo".encode()[:-1]) == "Trạm đ"
    assert readable(b"a\x1b[31m\xe2\x80\xaeb plain words") == "a\\x1b[31m\\u202eb plain words"
    assert readable(b"\xff\xfe") is None
    assert readable(bytes(100)) is None
