"""An officer lets the platform look at a folder or an address, sees what came of it, and lets it rest."""

import os
import re
from dataclasses import replace
from functools import partial
from pathlib import Path
from urllib.parse import urlencode
from uuid import UUID

import msgspec
import pytest

from haidang.infra.jobs import JobRun
from haidang.infra.objects import open_objects
from haidang.kernel.actors import DEFAULT_TENANT
from haidang.packs.environment.pack import PACK
from haidang.sources.sheets.feeds import FEED_JOB, FeedJob, FeedRules
from haidang.sources.sheets.looking import feed_jobs
from haidang.web.asgi import build_application
from haidang.web.shared.house import House
from tests.web.client import HTML, Client, Reply
from tests.web.test_sheets_pages import FORM, LAN, OURS, SHEET, sent, take

FEEDS = "/admin/sheets/feeds"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    place = tmp_path / "dropped"
    (place / "air").mkdir(parents=True)
    return place


@pytest.fixture
def house(house: House, folder: Path) -> House:
    return replace(house, settings=msgspec.structs.replace(house.settings, sheet_folder=folder))


async def act(web: Client, path: str, **fields: str) -> Reply:
    return await web.ask("POST", path, headers=[HTML, FORM, OURS, LAN], chunks=[urlencode(fields).encode()])


async def add(web: Client, **changed: str) -> Reply:
    mapping = re.search(r'<option value="([0-9a-f-]{36})"', (await web.page(FEEDS)).text)
    fields = {
        "name": "Trạm không khí",
        "place": "air",
        "mapping": mapping[1] if mapping else "",
        "every": "60",
        "most": "5",
    }
    return await act(web, FEEDS, **(fields | changed))


async def look(house: House, folder: Path, page: str) -> str:
    """What a worker does; returns the id of the feed."""
    found = re.search(rf"{FEEDS}/([0-9a-f-]{{36}})/look", page)
    assert found is not None
    objects = partial(open_objects, house.settings.objects_location, {})
    jobs = feed_jobs([PACK], house.clock, objects, FeedRules(folder))
    (job,) = (one for one in jobs if one.name == FEED_JOB)
    payload = msgspec.json.encode(FeedJob(UUID(found[1])))
    await job.handle(house.pool, JobRun(1, FEED_JOB, payload, 1, "urn:x", DEFAULT_TENANT, house.clock.now()))
    return found[1]


async def test_a_folder_is_looked_at_from_the_page(web: Client, house: House, folder: Path) -> None:
    assert "Trước hết hãy gửi và nhận một bảng như thế bằng tay" in (await web.page(FEEDS)).text
    assert (await take(web, await sent(web), create="1")).status == 303
    reply = await add(web)
    assert (reply.status, reply.header("location")) == (303, FEEDS)
    page = (await web.page(FEEDS)).text
    assert "Trạm không khí" in page
    assert "Trần Thị Lan" in page
    for name, text in (
        ("mới.csv", SHEET.replace("12,5", "14,5").replace("không rõ", "15")),
        ("khác.csv", SHEET.replace("Nhiệt độ", "Độ ẩm")),
    ):
        path = folder / "air" / name
        path.write_text(text)
        at = house.clock.now().timestamp() - 60
        os.utime(path, (at, at))
    feed_id = await look(house, folder, page)
    page = (await web.page(FEEDS)).text
    assert "đã nhận thành một lô" in page
    assert "chờ người xem: Tiêu đề các cột không giống" in page
    waiting = re.search(r'href="(/admin/sheets/files/[^"]+)">khác.csv', page)
    assert waiting is not None
    assert "Độ ẩm" in (await web.page(waiting[1])).text
    assert "tự đến: Trạm không khí" in (await web.page("/admin/sheets")).text
    assert (await act(web, f"{FEEDS}/{feed_id}/pause")).status == 303
    assert "Đang tạm dừng" in (await web.page(FEEDS)).text
    assert (await act(web, f"{FEEDS}/{feed_id}/look")).status == 303
    assert (await act(web, f"{FEEDS}/{feed_id}/resume")).status == 303
    assert "Đang tạm dừng" not in (await web.page(FEEDS)).text


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"place": "../.."}, "Hãy ghi một địa chỉ https"),
        ({"place": "http://example.vn/a.csv"}, "Hãy ghi một địa chỉ https"),
        ({"place": "https://127.0.0.1/a.csv"}, "công cộng"),
        ({"every": "x"}, "1 đến 44640 phút"),
        ({"mapping": "x"}, "Hãy chọn cách đọc bảng"),
        ({"name": ""}, "2 đến 80 ký tự"),
    ],
)
async def test_what_was_typed_stays_when_it_is_refused(
    web: Client, changed: dict[str, str], said: str
) -> None:
    assert (await take(web, await sent(web), create="1")).status == 303
    reply = await add(web, **changed)
    assert reply.status == 422
    assert said in reply.text
    assert 'value="60"' in reply.text or "every" in changed


async def test_feeds_are_changed_at_this_machine_only(web: Client, house: House) -> None:
    elsewhere = [HTML, FORM, ("origin", "https://elsewhere.vn"), LAN]
    unknown = f"{FEEDS}/{UUID(int=1)}"
    for path in (FEEDS, f"{unknown}/pause", f"{unknown}/resume", f"{unknown}/look"):
        assert (await web.ask("POST", path, headers=elsewhere, chunks=[b"name=x"])).status == 403
    for path in (f"{unknown}/pause", f"{FEEDS}/x/look"):
        assert (await act(web, path)).status == 404
    outside = replace(house, settings=msgspec.structs.replace(house.settings, host="192.0.2.1"))
    assert (await Client(build_application(outside)).page(FEEDS)).status == 404
