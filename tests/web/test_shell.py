"""The shell: a worker that belongs to this build, a manifest in the province's name, an offline page."""

import re

import orjson
import pytest

from haidang.web.asgi import build_application
from haidang.web.portal.shell import worker_script
from haidang.web.shared.house import House
from haidang.web.shared.static import StaticFiles
from tests.web.client import Client


async def test_the_worker_keeps_files_that_are_there(web: Client) -> None:
    worker = await web.get("/sw.js")
    assert worker.status == 200
    assert worker.header("content-type") == "text/javascript; charset=utf-8"
    assert worker.header("cache-control") == "no-cache"
    shell = orjson.loads(worker.text.partition("const SHELL=")[2].partition(";\n")[0])
    assert shell["files"]
    for address in shell["files"]:
        assert (await web.get(address)).status == 200, address
    for locale in shell["locales"].values():
        assert (await web.page(locale["home"])).status == 200
        assert (await web.page(locale["offline"])).status == 200
        assert "{moment}" in locale["words"]["kept"]
        assert "<" not in locale["words"]["kept"]


async def test_the_worker_keeps_every_font_and_style_of_the_home_page(web: Client) -> None:
    kept = (await web.get("/sw.js")).text
    page = (await web.page("/")).text
    needed = re.findall(r'(?:href|src)="(/static/[^"]+\.(?:css|js|woff2|svg))"', page)
    assert len(needed) >= 6
    assert [address for address in needed if address not in kept] == []


async def test_another_build_is_another_worker(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    files = StaticFiles()
    before = worker_script(house, files)
    monkeypatch.setattr(files, "body", lambda _name: b"/* another */")
    assert worker_script(house, files)[:60] != before[:60]


async def test_the_manifest_names_the_province_and_its_icons(web: Client) -> None:
    manifest = await web.get("/manifest.webmanifest")
    assert manifest.header("content-type") == "application/manifest+json"
    said = manifest.json
    assert said["name"] == "Lâm Đồng"
    assert {one["purpose"] for one in said["icons"]} == {"any", "maskable"}
    for icon in said["icons"]:
        drawn = await web.get(icon["src"])
        assert drawn.status == 200, icon
        assert drawn.header("content-type") == "image/png"
        side = int(icon["sizes"].split("x")[0])
        assert drawn.body.startswith(b"\x89PNG\r\n\x1a\n")
        assert int.from_bytes(drawn.body[16:20], "big") == side
    assert (await web.get("/static/icon-180.png")).status == 200


async def test_every_page_names_the_manifest(web: Client) -> None:
    assert '<link rel="manifest" href="/manifest.webmanifest">' in (await web.page("/")).text


@pytest.mark.parametrize(
    ("path", "words"), [("/khong-co-mang", "Không có mạng"), ("/en/khong-co-mang", "No network")]
)
async def test_the_offline_page_has_the_emergency_numbers(web: Client, path: str, words: str) -> None:
    page = await web.page(path)
    assert page.status == 200
    assert f"<h1>{words}</h1>" in page.text
    assert page.text.count('href="tel:115"') >= 2
    assert 'content="noindex"' in page.text


@pytest.mark.parametrize("path", ["/sw.js", "/manifest.webmanifest", "/khong-co-mang"])
async def test_the_shell_is_only_read(house: House, path: str) -> None:
    assert (await Client(build_application(house)).ask("POST", path)).status == 405
