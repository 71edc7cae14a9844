"""The home page, its languages, its errors, and what every page carries."""

import re
from dataclasses import replace
from typing import Any

import pytest

from haidang.infra.database import DatabaseUnavailable
from haidang.infra.province import change_province_setting
from haidang.kernel.actors import part
from haidang.kernel.instants import SetClock
from haidang.web.asgi import build_application
from haidang.web.shared.house import House
from tests.web.client import Client

PAGES = ("/", "/khong-khi", "/khong-khi/cach-tinh", "/khong-khi/tram/phu-thuy")


async def test_home_says_how_the_air_is_where_and_since_when(city: Client) -> None:
    page = await city.page("/")
    assert page.status == 200
    assert "Lâm Đồng hôm nay, trên một trang" in page.text
    assert re.search(r"3\s+trạm có số liệu|4 trạm có số liệu", page.text)
    assert "402 Nguy hại" in page.text
    assert "cao nhất tại" in page.text
    assert "12:00" in page.text
    assert "Số liệu mô phỏng" in page.text


async def test_home_without_stations_says_so(web: Client) -> None:
    page = await web.page("/")
    assert page.status == 200
    assert "Chưa có trạm nào gửi số liệu." in page.text


@pytest.mark.parametrize("path", PAGES)
@pytest.mark.parametrize("prefix", ["", "/en"])
async def test_every_page_carries_the_numbers_the_menu_and_the_other_language(
    city: Client, path: str, prefix: str
) -> None:
    address = (prefix + path).rstrip("/") or "/"
    page = await city.page(address)
    assert page.status == 200
    for number in ("112", "113", "114", "115"):
        assert f'href="tel:{number}"' in page.text
    locale = "en" if prefix else "vi"
    assert f'<html lang="{locale}" data-now="2026-11-21T05:00:00Z">' in page.text
    assert page.header("content-language") == locale
    english = "/en" if path == "/" else f"/en{path}"
    other = f'href="{path}" hreflang="vi"' if prefix else f'href="{english}" hreflang="en"'
    assert other in page.text
    assert '<link rel="alternate" hreflang' not in page.text, "it needs the address of the site"
    assert '<details class="menu' in page.text
    assert '<a class="skip" href="#main">' in page.text
    assert page.text.count("<h1") == 1
    assert page.text.count("<main") == 1


@pytest.mark.parametrize("path", PAGES)
async def test_no_page_has_an_inline_script_style_or_foreign_address(city: Client, path: str) -> None:
    text = (await city.page(path)).text
    assert re.findall(r"<script(?![^>]*\ssrc=)", text) == []
    assert "<style" not in text
    assert re.findall(r"\sstyle=", text) == []
    assert re.findall(r"\son[a-z]+=", text) == []
    assert re.findall(r'(?:src|href)="(?:https?:)?//', text) == []


async def test_pages_are_translated_whole(city: Client, house: House) -> None:
    before = house.translations.missing_total
    for path in PAGES:
        await city.page(path)
    await city.page("/nowhere")
    assert house.translations.missing_total == before, list(house.translations.missing)


async def test_a_page_is_not_sent_twice_to_who_has_it(city: Client) -> None:
    first = await city.page("/", ("accept-encoding", "br"))
    etag = first.header("etag")
    assert etag is not None
    again = await city.page("/", ("accept-encoding", "br"), ("if-none-match", etag))
    assert again.status == 304
    assert again.raw == b""
    assert again.header("etag") == etag
    assert first.header("cache-control") == "no-cache"


async def test_pages_are_compressed_as_the_client_can_read(city: Client) -> None:
    plain = await city.page("/khong-khi")
    assert plain.header("content-encoding") is None
    for encoding in ("br", "gzip"):
        packed = await city.page("/khong-khi", ("accept-encoding", encoding))
        assert packed.header("content-encoding") == encoding
        assert packed.header("vary") == "accept-encoding"
        assert packed.body == plain.body
        assert len(packed.raw) < len(plain.raw) / 3
    refused = await city.page("/khong-khi", ("accept-encoding", "br;q=0, gzip;q=0"))
    assert refused.header("content-encoding") is None


async def test_head_answers_like_get_without_the_body(city: Client) -> None:
    got = await city.page("/khong-khi")
    head = await city.ask("HEAD", "/khong-khi", headers=[("accept", "text/html")])
    assert head.status == 200
    assert head.raw == b""
    assert head.header("content-length") == got.header("content-length")


async def test_an_unknown_address_is_a_page_for_people_and_a_problem_for_machines(web: Client) -> None:
    page = await web.page("/khong-co")
    assert page.status == 404
    assert "Không có trang nào ở địa chỉ này." in page.text
    assert (page.header("content-type") or "").startswith("text/html")
    assert 'name="robots" content="noindex"' in page.text
    english = await web.page("/en/nowhere")
    assert "There is no page at this address." in english.text
    problem = await web.get("/khong-co")
    assert problem.status == 404
    assert problem.header("content-type") == "application/problem+json"
    assert problem.json == {
        "type": "urn:haidang:problem:page-not-found",
        "title": "There is nothing here",
        "status": 404,
        "detail": "There is no page at this address.",
        "traceId": problem.header("x-trace-id"),
    }
    vietnamese = await web.get("/khong-co", ("accept-language", "vi"))
    assert vietnamese.json["detail"] == "Không có trang nào ở địa chỉ này."


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "BREW"])
async def test_a_page_only_answers_reading(web: Client, method: str) -> None:
    reply = await web.ask(method, "/")
    assert reply.status == 405
    assert reply.json["type"] == "urn:haidang:problem:method-not-offered"


class _Away:
    """A database that nobody can reach."""

    def acquire(self) -> Any:
        raise OSError("away")


async def test_without_the_database_there_is_still_a_page_with_the_emergency_numbers(
    house: House, city: Client
) -> None:
    assert (await city.page("/")).status == 200
    away = Client(build_application(replace(house, pool=_Away())))
    for path in ("/", "/khong-khi"):
        page = await away.page(path)
        assert page.status == 503
        assert page.header("retry-after") == "10"
        assert "Lúc này chúng tôi chưa trả lời được" in page.text
        assert 'href="tel:115"' in page.text
        assert "Cấp cứu" in page.text
    problem = await away.get("/khong-khi")
    assert problem.status == 503
    assert problem.json["type"] == f"urn:haidang:problem:{DatabaseUnavailable.code()}"
    assert (await away.get("/healthz")).status == 200
    method = await away.page("/khong-khi/cach-tinh")
    assert method.status == 200  # it asks the database for nothing


async def test_what_breaks_is_told_as_a_number_and_never_as_a_trace(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    application = build_application(house)

    async def explode(*_: object, **__: object) -> None:
        raise RuntimeError("secret of /srv/haidang")

    monkeypatch.setattr(application._frame, "province", explode)
    client = Client(application)
    page = await client.page("/")
    assert page.status == 500
    assert "secret" not in page.text
    assert "Traceback" not in page.text
    assert page.header("x-trace-id") or ""
    assert "115" in page.text  # even the page about trouble could not be rendered
    problem = await client.get("/")
    assert problem.status == 500
    assert problem.json["type"] == "urn:haidang:problem:something-broke"
    assert problem.header("x-trace-id") in problem.json["detail"]


async def test_home_does_not_take_the_name_of_the_platform_for_that_of_the_province(
    house: House, clock: SetClock
) -> None:
    async with house.pool.acquire() as connection:
        await change_province_setting(part("test"), connection, "name", None, now=clock.now())
    client = Client(build_application(house))
    assert "<h1>Tỉnh hôm nay, trên một trang</h1>" in (await client.page("/")).text
    assert "<h1>The province today, in one place</h1>" in (await client.page("/en")).text
