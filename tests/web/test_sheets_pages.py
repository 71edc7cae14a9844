"""An officer sends a sheet, looks at it, takes it and takes it back, on pages that need no script."""

import re
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from html import unescape
from urllib.parse import quote, urlencode
from uuid import UUID

import msgspec
import pytest

from haidang.infra.database import reading
from haidang.infra.jobs import JobRun
from haidang.infra.objects import open_objects
from haidang.infra.settings import Settings
from haidang.kernel.actors import DEFAULT_TENANT
from haidang.packs.environment.pack import PACK
from haidang.sources.sheets.jobs import sheet_jobs
from haidang.sources.sheets.judging import RowRefusal
from haidang.sources.sheets.service import TAKE_JOB, UNDO_JOB, BatchJob
from haidang.web.admin.sheets import harmless, refused_table
from haidang.web.asgi import build_application
from haidang.web.shared.house import House
from tests.web.client import HTML, Client, Reply

OURS = ("origin", "http://127.0.0.1:8000")
FORM = ("content-type", "application/x-www-form-urlencoded")
LAN = ("cookie", f"haidang-desk={quote('Trần Thị Lan')}")
SHEET = """\
Mã trạm;Tên trạm;Thời điểm;Bụi PM2.5 (µg/m³);Nhiệt độ (°C)
LH-01;Trạm một;21/11/2026 08:00;12,5;20
LH-02;Trạm hai;21/11/2026 09:00;không rõ;22
"""


async def upload(
    web: Client,
    content: bytes = SHEET.encode(),
    *headers: tuple[str, str],
    name: str = "trạm.csv",
    fields: Mapping[str, str] | None = None,
) -> Reply:
    """A sheet as a browser sends it."""
    body = b""
    for key, value in (fields or {}).items():
        body += f'--sep\r\nContent-Disposition: form-data; name="{key}"\r\n\r\n{value}\r\n'.encode()
    body += f'--sep\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n'.encode()
    body += b"Content-Type: application/octet-stream\r\n\r\n" + content + b"\r\n--sep--\r\n"
    kind = ("content-type", "multipart/form-data; boundary=sep")
    chunks = [body[start : start + 700] for start in range(0, len(body), 700)]
    sent = [HTML, kind, *(headers or (OURS, LAN))]
    return await web.ask("POST", "/admin/sheets/upload", headers=sent, chunks=chunks)


async def sent(web: Client, content: bytes = SHEET.encode()) -> str:
    reply = await upload(web, content)
    assert reply.status == 303
    return reply.header("location") or ""


def fields_of(page: str) -> dict[str, str]:
    """What the form of a sheet's page would send, as it stands."""
    found = {}
    for name, inside in re.findall(r'<select id="[^"]*" name="([^"]*)"[^>]*>(.*?)</select>', page, re.DOTALL):
        chosen = re.search(r'<option value="([^"]*)" selected', inside)
        found[name] = unescape(chosen[1]) if chosen else ""
    for tag in re.findall(r"<input [^>]*>", page):
        told = dict(re.findall(r'(\w+)="([^"]*)"', tag))
        if told.get("type") in {"hidden", "text"} and "name" in told:
            found[told["name"]] = unescape(told.get("value", ""))
    return found


async def take(web: Client, path: str, **more: str) -> Reply:
    fields = fields_of((await web.page(path)).text) | more
    body = urlencode(fields).encode()
    return await web.ask("POST", f"{path}/take", headers=[HTML, FORM, OURS, LAN], chunks=[body])


async def run(house: House, name: str, location: str) -> None:
    """What a worker does."""
    objects = partial(open_objects, house.settings.objects_location, {})
    (job,) = (one for one in sheet_jobs([PACK], house.clock, objects) if one.name == name)
    payload = msgspec.json.encode(BatchJob(UUID(location.rsplit("/", 1)[-1])))
    await job.handle(house.pool, JobRun(1, name, payload, 1, "urn:x", DEFAULT_TENANT, house.clock.now()))


async def test_a_sheet_goes_from_the_form_to_the_city_and_back(web: Client, house: House) -> None:
    assert "Chưa có bảng nào được nhận" in (await web.page("/admin/sheets")).text
    path = await sent(web)
    page = (await web.page(path)).text
    assert "Bụi PM2.5 (µg/m³)" in page
    assert "Không có đối tượng nào mang mã hoặc tên này" in page
    assert "Take" not in page
    looked = await web.page(f"{path}?{urlencode(fields_of(page) | {'create': '1'})}")
    assert "2 trên 2 dòng" in looked.text
    assert "Đây không phải là một con số" in looked.text
    reply = await take(web, path, create="1")
    assert reply.status == 303
    batch = reply.header("location") or ""
    assert "chờ" in (await web.page(batch)).text
    await run(house, TAKE_JOB, batch)
    text = (await web.page(batch)).text
    assert "đã nhận" in text
    assert "Trần Thị Lan" in text
    assert "không rõ" in text
    table = await web.get(f"{batch}/refused.csv")
    assert table.status == 200
    assert "3,Bụi PM2.5 (µg/m³),không rõ,Đây không phải là một con số" in table.text
    refused = await web.ask("POST", f"{batch}/undo", headers=[HTML, FORM, OURS, LAN], chunks=[b""])
    assert refused.status == 422
    undone = await web.ask("POST", f"{batch}/undo", headers=[HTML, FORM, OURS, LAN], chunks=[b"sure=1"])
    assert undone.status == 303
    await run(house, UNDO_JOB, batch)
    assert "đã thu hồi" in (await web.page(batch)).text
    again = await web.ask("POST", f"{batch}/undo", headers=[HTML, FORM, OURS, LAN], chunks=[b"sure=1"])
    assert again.status == 409
    async with reading(house.pool) as connection:
        assert await connection.fetchval("SELECT count(*) FROM context.entity WHERE deleted_at IS NULL") == 0


async def test_the_next_sheet_of_the_same_kind_is_read_the_same_way(web: Client) -> None:
    first = await take(web, await sent(web), create="1", c4="skip", name="Trạm không khí")
    assert first.status == 303
    later = await web.page(await sent(web, SHEET.replace("12,5", "13,5").encode()))
    assert 'value="Trạm không khí"' in later.text
    assert fields_of(later.text)["c4"] == "skip"


async def test_the_same_file_is_told_and_taken_again_only_when_that_is_meant(web: Client) -> None:
    assert (await take(web, await sent(web), create="1")).status == 303
    path = await sent(web)
    assert "đã được nhận" in (await web.page(path)).text
    assert (await take(web, path, create="1")).status == 409
    assert (await take(web, path, create="1", again="1")).status == 303


async def test_a_sheet_that_is_not_clear_is_not_taken(web: Client) -> None:
    path = await sent(web)
    reply = await take(web, path, c0="skip", c1="skip")
    assert reply.status == 422
    assert "Chưa có cột nào cho biết dòng nói về đối tượng nào" in reply.text


async def test_who_has_not_said_a_name_is_asked_on_the_form(web: Client) -> None:
    reply = await upload(web, SHEET.encode(), OURS)
    assert reply.status == 422
    assert 'name="desk_name"' in reply.text
    said = await upload(web, SHEET.encode(), OURS, fields={"desk_name": "Lê Minh"})
    assert said.status == 303
    assert "haidang-desk=" in (said.header("set-cookie") or "")


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "trống"),
        (b"%PDF-1.7\n", "không phải là bảng"),
        (b"<html><table><tr><td>1</td></tr></table></html>", "trang web"),
        (b"PK\x03\x04 broken", "bị hỏng"),
    ],
)
async def test_what_is_no_sheet_is_refused_in_words(web: Client, content: bytes, told: str) -> None:
    reply = await upload(web, content, name="bảng.xlsx")
    assert reply.status == 422
    assert told in reply.text


async def test_a_sheet_from_elsewhere_is_refused(web: Client) -> None:
    assert (await upload(web, SHEET.encode(), LAN)).status == 403
    assert (await upload(web, SHEET.encode(), LAN, ("origin", "https://evil.vn"))).status == 403
    assert (await upload(web, SHEET.encode(), OURS, LAN, ("x-forwarded-for", "203.0.113.9"))).status == 403


async def test_a_sheet_beyond_the_limit_is_refused_before_it_is_read(house: House) -> None:
    small = msgspec.structs.replace(house.settings, sheet_limit_bytes=2048)
    web = Client(build_application(_with(house, small)))
    announced = ("content-length", "999999999")
    assert (await upload(web, SHEET.encode(), OURS, LAN, announced)).status == 413
    assert (await upload(web, SHEET.encode() + b";" * 5000)).status == 422


def _with(house: House, settings: Settings) -> House:
    return replace(house, settings=settings)


async def test_sheets_and_batches_that_are_not_there_are_not_found(web: Client) -> None:
    unknown = "00000000-0000-4000-8000-000000000000"
    for path in (
        "files/nonsense",
        f"files/{unknown}",
        f"batches/{unknown}",
        f"batches/{unknown}/refused.csv",
    ):
        assert (await web.page(f"/admin/sheets/{path}")).status == 404


async def test_a_visitor_behind_a_proxy_sees_no_sheets(web: Client) -> None:
    assert (await web.page("/admin/sheets", ("x-forwarded-for", "203.0.113.9"))).status in {403, 404}


def test_what_is_downloaded_runs_nothing() -> None:
    table = refused_table([RowRefusal(2, "=cmd|' /C calc'!A0", "not-a-number", "@SUM(1)")], str)
    assert ",'=cmd|" in table
    assert ",'@SUM(1)," in table
    assert harmless("-5") == "'-5"
    assert harmless("12,5") == "12,5"
