"""The map in a browser: a picture for everyone, a live map for who can and wants, one list for both."""

import re
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TypeAlias

import numpy as np
import pytest
from playwright.async_api import Browser, BrowserContext, Page, Route, ViewportSize, expect

from haidang.infra.database import Pool
from haidang.infra.embedded import TemporaryCluster
from haidang.infra.settings import read_settings
from haidang.infra.templates import Templates, face_folders
from haidang.infra.translations import Translations
from haidang.kernel.geometry import Box
from haidang.kernel.instants import SetClock
from haidang.kernel.tiles import PointLayer, Tile, tile_bytes
from haidang.web.asgi import build_globals
from haidang.web.shared.frame import Frame
from haidang.web.shared.house import House
from haidang.web.shared.maps import MapArea, map_picture
from haidang.web.shared.security import live_map_headers
from tests.journeys.browser import (
    PHONE,
    complaints_of,
    grave_findings,
    open_details,
    page_width,
    served,
    weigh,
)
from tests.web.country import lam_dong
from tests.web.houses import house_on

pytestmark = pytest.mark.browser

NOW = datetime(2026, 11, 21, 5, tzinfo=UTC)
OPEN_WITHIN_MS = 45_000
"""A software renderer draws slowly, and more so when the machine is busy."""
WIDE: ViewportSize = {"width": 1280, "height": 900}
MANY = 10_000
PickerOn: TypeAlias = Callable[[Page], Awaitable[None]]
PICKER = """{% extends "shared/public.html" %}
{% from "shared/place_picker.html" import place_picker, place_picker_scripts with context %}
{% block head %}{{ place_picker_scripts() }}{% endblock %}
{% block main %}<div class="within"><h1>{{ title }}</h1><form action="/tim" method="get">
{{ place_picker("Ở đâu?", picture=picture, area=area) }}
<button class="button main">Gửi</button></form></div>{% endblock %}"""


@pytest.fixture(scope="module")
async def facts(cluster: TemporaryCluster, country_template: str) -> AsyncIterator[Pool]:
    """Lâm Đồng with its wards and five stations."""
    async with lam_dong(cluster, country_template, NOW) as pool:
        yield pool


@pytest.fixture
def map_house(facts: Pool, clock: SetClock, translations: Translations, tmp_path: Path) -> House:
    """Its house."""
    return house_on(facts, clock, translations, read_settings({"HAIDANG_HOME": str(tmp_path)}))


@pytest.fixture
async def here(map_house: House) -> AsyncIterator[str]:
    """Its address."""
    async with served(map_house) as address:
        yield address


async def opened(context: BrowserContext, address: str) -> Page:
    page = await context.new_page()
    await page.goto(address)
    await page.wait_for_selector(".is-live", timeout=OPEN_WITHIN_MS)
    return page


async def test_without_javascript_the_picture_and_the_list_are_the_map(chrome: Browser, here: str) -> None:
    context = await chrome.new_context(viewport=PHONE, java_script_enabled=False)
    page = await context.new_page()
    await page.goto(f"{here}/ban-do")
    await expect(page.locator("svg.map-picture")).to_be_visible()
    await expect(page.get_by_role("button", name="Mở bản đồ")).not_to_be_visible()
    await page.locator("summary", has_text="Phường, xã, đặc khu (124)").click()
    await expect(page.get_by_role("link", name="Phường Phan Thiết")).to_be_visible()
    await context.close()


async def test_a_telephone_loads_the_live_map_by_tap_only(chrome: Browser, here: str) -> None:
    context = await chrome.new_context(viewport=PHONE, has_touch=True, reduced_motion="reduce")
    page = await context.new_page()
    complaints = complaints_of(page, here)
    weight = await weigh(page, f"{here}/ban-do")
    assert weight.total < 200_000, weight.by_kind
    assert not await page.locator(".map-live").count()
    await page.get_by_role("button", name="Mở bản đồ").tap()
    await page.wait_for_selector(".is-live", timeout=OPEN_WITHIN_MS)
    await expect(page.get_by_role("status").first).to_contain_text("Bản đồ đã mở.")
    await page.wait_for_timeout(1_000)
    assert complaints == []
    assert await page_width(page) <= PHONE["width"]
    await context.close()


async def test_map_and_list_point_at_each_other(chrome: Browser, here: str) -> None:
    context = await chrome.new_context(viewport=WIDE, reduced_motion="reduce")
    page = await opened(context, f"{here}/ban-do")
    canvas = page.locator(".maplibregl-canvas")
    await expect(canvas).to_have_attribute("aria-label", "Bản đồ Lâm Đồng")
    await page.locator("summary", has_text="Phường, xã, đặc khu (124)").click()
    link = page.get_by_role("link", name="Phường Mũi Né", exact=True)
    await expect(link).to_be_visible()
    await link.focus()
    await expect(link).to_be_focused()
    item = page.locator("li[data-map-key='urn:haidang:unit:phuong-mui-ne-lam-dong']")
    await expect(item).to_have_class("lit")
    await page.wait_for_timeout(1_500)  # the map has moved to it
    box = await canvas.bounding_box()
    assert box is not None
    await canvas.click(position={"x": box["width"] / 2, "y": box["height"] / 2})
    await expect(page.locator(".map-card a")).to_have_attribute("href", "/don-vi/phuong-mui-ne-lam-dong")
    await expect(page.locator(".map-said")).to_contain_text("Đang chọn: ")
    await expect(item).to_have_class("lit")
    await context.close()


async def test_the_keyboard_moves_and_zooms_the_map(chrome: Browser, here: str) -> None:
    context = await chrome.new_context(viewport=WIDE, reduced_motion="reduce")
    page = await opened(context, f"{here}/ban-do")
    canvas = page.locator(".maplibregl-canvas")
    await canvas.focus()
    before = await canvas.screenshot()
    await page.keyboard.press("ArrowRight")
    await page.keyboard.press("+")
    await page.wait_for_timeout(2_000)
    assert await canvas.screenshot() != before
    await page.get_by_role("button", name="Xem toàn bộ").click()
    await expect(page.get_by_role("button", name="Thu nhỏ")).to_be_visible()
    await context.close()


async def test_where_webgl_is_missing_nothing_is_offered_that_cannot_be(chrome: Browser, here: str) -> None:
    context = await chrome.new_context(viewport=WIDE)
    await context.add_init_script(
        "const own = HTMLCanvasElement.prototype.getContext;"
        "HTMLCanvasElement.prototype.getContext = function (kind, ...rest) {"
        "  return kind.startsWith('webgl') ? null : own.call(this, kind, ...rest); };"
    )
    page = await context.new_page()
    await page.goto(f"{here}/ban-do", wait_until="networkidle")
    await expect(page.get_by_role("button", name="Mở bản đồ")).not_to_be_visible()
    await expect(page.locator("svg.map-picture")).to_be_visible()
    await context.close()


async def test_a_lost_context_gives_the_picture_back(chrome: Browser, here: str) -> None:
    context = await chrome.new_context(viewport=WIDE)
    page = await opened(context, f"{here}/ban-do")
    await page.evaluate(
        "document.querySelector('.maplibregl-canvas').getContext('webgl2')"
        ".getExtension('WEBGL_lose_context').loseContext()"
    )
    await expect(page.get_by_text("Bản đồ đã dừng.")).to_be_visible()
    await expect(page.get_by_role("button", name="Mở bản đồ")).to_be_visible()
    await expect(page.locator(".map-live")).to_have_count(0)
    await context.close()


@pytest.mark.parametrize("theme", ["day", "night"])
async def test_axe_finds_nothing_serious_on_the_map(chrome: Browser, here: str, axe: str, theme: str) -> None:
    context = await chrome.new_context(viewport=WIDE, reduced_motion="reduce")
    page = await opened(context, f"{here}/ban-do")
    if theme == "night":
        await page.evaluate("document.documentElement.dataset.theme = 'night'")
        await page.wait_for_timeout(500)
    await open_details(page, "details:not(.menu)")
    assert await grave_findings(page, axe) == []
    await context.close()


async def show_picker(page: Page, house: House, address: str, folder: Path) -> None:
    """Serve a page with a place picker at an address of its own."""
    (folder / "picker.html").write_text(PICKER, "utf-8")
    templates = Templates(house.translations, faces={**face_folders(), "trial": folder})
    build_globals(templates)
    area = MapArea(Box(107.9, 10.8, 108.4, 11.1), house.clock.now().date())
    whole = await Frame(replace(house, templates=templates)).page(
        {"path": "/thu"},
        "trial/picker.html",
        title="Thử",
        picture=map_picture(box=area.box, name="m", title="Bản đồ"),
        area=area,
    )
    headers = {name.decode(): value.decode() for name, value in live_map_headers(geolocation=True)}

    async def answer(route: Route) -> None:
        await route.fulfill(
            body=whole.answer([]).body, content_type="text/html; charset=utf-8", headers=headers
        )

    await page.route(f"{address}/thu", answer)
    await page.goto(f"{address}/thu")


@pytest.fixture
def picker_on(map_house: House, here: str, tmp_path: Path) -> PickerOn:
    """Opens the page with a place picker."""
    return partial(show_picker, house=map_house, address=here, folder=tmp_path)


async def test_the_device_says_where_one_is(
    chrome: Browser, map_house: House, here: str, tmp_path: Path
) -> None:
    context = await chrome.new_context(
        viewport=PHONE,
        geolocation={"longitude": 108.1, "latitude": 10.933, "accuracy": 18},
        permissions=["geolocation"],
    )
    page = await context.new_page()
    await show_picker(page, map_house, here, tmp_path)
    await expect(page.get_by_role("button", name="Bỏ vị trí này")).not_to_be_visible()
    await page.get_by_role("button", name="Dùng vị trí hiện tại của tôi").click()
    await expect(page.locator(".place-said")).to_have_text(
        "Đã có vị trí của bạn, chính xác khoảng 18 m. Vị trí thuộc Phường Phan Thiết."
    )
    await expect(page.locator("[name=unit]")).to_have_value("Phường Phan Thiết")
    await expect(page.locator("[name=longitude]")).to_have_value("108.100000")
    await expect(page.locator("[name=unit_id]")).to_have_value("urn:haidang:unit:phuong-phan-thiet-lam-dong")
    await page.get_by_role("button", name="Bỏ vị trí này").click()
    await expect(page.locator("[name=longitude]")).to_have_value("")
    await context.close()


async def test_who_refuses_the_position_writes_the_ward_and_a_landmark(
    chrome: Browser, map_house: House, here: str, tmp_path: Path
) -> None:
    context = await chrome.new_context(viewport=PHONE)
    page = await context.new_page()
    await show_picker(page, map_house, here, tmp_path)
    await page.get_by_role("button", name="Dùng vị trí hiện tại của tôi").click()
    await expect(page.locator(".place-said")).to_contain_text("một mốc dễ nhận là đủ")
    await page.locator("[name=unit]").fill("phan thiet")
    await page.get_by_label("Mốc dễ nhận hoặc số nhà").fill("đối diện cổng chợ")
    await page.get_by_role("button", name="Gửi").click()
    await expect(page).to_have_url(re.compile(re.escape(f"{here}/tim?")))
    assert "landmark=%C4%91%E1%BB%91i" in page.url
    await context.close()


async def test_a_tap_on_the_map_of_the_picker_fills_in_the_place_and_its_ward(
    chrome: Browser, map_house: House, here: str, tmp_path: Path
) -> None:
    context = await chrome.new_context(viewport=WIDE, reduced_motion="reduce")
    page = await context.new_page()
    await show_picker(page, map_house, here, tmp_path)
    await page.wait_for_selector(".is-live", timeout=OPEN_WITHIN_MS)
    canvas = page.locator(".maplibregl-canvas")
    await canvas.scroll_into_view_if_needed()
    box = await canvas.bounding_box()
    assert box is not None
    await canvas.click(position={"x": box["width"] / 2, "y": box["height"] / 2})
    await expect(page.locator(".place-said")).to_contain_text("Vị trí thuộc ")
    longitude = float(await page.locator("[name=longitude]").input_value())
    latitude = float(await page.locator("[name=latitude]").input_value())
    assert abs(longitude - 108.15) < 0.02
    assert abs(latitude - 10.95) < 0.02
    assert (await page.locator("[name=unit_id]").input_value()).startswith("urn:haidang:unit:")
    assert await page.locator("[name=unit]").input_value()
    await page.get_by_role("button", name="Bỏ vị trí này").click()
    await expect(page.locator("[name=longitude]")).to_have_value("")
    await context.close()


@pytest.mark.parametrize("theme", ["day", "night"])
@pytest.mark.parametrize("viewport", [PHONE, WIDE], ids=["phone", "wide"])
async def test_axe_finds_nothing_serious_on_the_place_picker(
    chrome: Browser, picker_on: PickerOn, axe: str, theme: str, viewport: ViewportSize
) -> None:
    context = await chrome.new_context(viewport=viewport, reduced_motion="reduce")
    page = await context.new_page()
    await picker_on(page)
    if viewport is WIDE:
        await page.wait_for_selector(".is-live", timeout=OPEN_WITHIN_MS)
    await page.evaluate(f"document.documentElement.dataset.theme = '{theme}'")
    await page.wait_for_timeout(300)
    assert await grave_findings(page, axe) == []
    assert await page_width(page) <= viewport["width"]
    await context.close()


async def test_the_live_map_says_whose_base_map_it_shows(chrome: Browser, here: str) -> None:
    """A page that was made before the base map was built says so too, as soon as the map is open."""
    context = await chrome.new_context(viewport=WIDE, reduced_motion="reduce")
    page = await context.new_page()

    async def with_base_map(route: Route) -> None:
        answer = await route.fetch()
        catalog = await answer.json()
        catalog["base"] = {
            "tiles": "/tiles/base/{z}/{x}/{y}.mvt",
            "zooms": [5, 14],
            "bounds": [108, 10.8, 108.3, 11],
            "attribution": "© Ai đó, ODbL 1.0",
        }
        catalog["wmts"] = {"tiles": f"{here}/wmts/{{z}}/{{x}}/{{y}}.png", "attribution": "Sở Thử nghiệm"}
        await route.fulfill(response=answer, json=catalog)

    await page.route("**/tiles/catalog.json", with_base_map)
    await page.goto(f"{here}/ban-do")
    under = page.locator(".map-attribution")
    await expect(under).to_contain_text("sapnhap.bando.com.vn")
    await page.wait_for_selector(".is-live", timeout=OPEN_WITHIN_MS)
    await expect(under).to_contain_text("© Ai đó, ODbL 1.0")
    await expect(under).to_contain_text("Sở Thử nghiệm")
    await expect(under).to_be_visible()
    await context.close()


@pytest.mark.parametrize(("wide", "least", "most"), [(390, 8.5, 12), (1280, 8.5, 17), (1920, 8.5, 17)])
async def test_the_words_of_the_picture_are_as_large_as_small_print_on_every_screen(
    chrome: Browser, here: str, wide: int, least: float, most: float
) -> None:
    context = await chrome.new_context(viewport={"width": wide, "height": 1080}, java_script_enabled=False)
    page = await context.new_page()
    await page.goto(f"{here}/ban-do")
    label = page.locator(".map-picture .map-label:not(.on-wide)").first
    size = await label.evaluate("one => parseFloat(getComputedStyle(one).fontSize) * one.getScreenCTM().a")
    assert least <= size <= most
    between = page.locator(".map-picture .on-wide").first
    await expect(between).to_be_visible(visible=wide > 1000)
    await context.close()


async def test_ten_thousand_marks_stay_clickable(chrome: Browser, here: str) -> None:
    """In headless Chromium with a software renderer."""
    seeded = np.random.default_rng(7)
    longitudes, latitudes = seeded.uniform(107.2, 109.2, MANY), seeded.uniform(10.6, 12.8, MANY)
    ids = np.array([f"urn:ngsi-ld:Test:mark-{number}" for number in range(MANY)])
    sent: set[str] = set()
    context = await chrome.new_context(viewport=WIDE, reduced_motion="reduce")
    page = await context.new_page()

    async def marks(route: Route) -> None:
        z, last_x, last_y = route.request.url.partition(".mvt")[0].split("/")[-3:]
        x, y = Tile(int(z), int(last_x), int(last_y)).steps(longitudes, latitudes)
        inside = (x >= 0) & (x < 4096) & (y >= 0) & (y < 4096)
        named = ids[inside].tolist()
        sent.update(named)
        layer = PointLayer("entity", x[inside], y[inside], {"id": named, "type": ["Test"] * len(named)})
        await route.fulfill(body=tile_bytes([layer]), content_type="application/vnd.mapbox-vector-tile")

    await page.route("**/tiles/entities/**", marks)
    await page.add_init_script(
        "document.addEventListener('DOMContentLoaded', () => {"
        "  const map = document.querySelector('[data-map]');"
        "  if (map) map.dataset.entities = '[\"AirQualityObserved\"]'; })"
    )
    await page.goto(f"{here}/ban-do")
    await page.wait_for_selector(".is-live", timeout=OPEN_WITHIN_MS)
    await page.wait_for_timeout(2_000)
    canvas = page.locator(".maplibregl-canvas")
    box = await canvas.bounding_box()
    assert box is not None
    assert len(sent) == MANY
    await canvas.click(position={"x": box["width"] * 0.5, "y": box["height"] * 0.5})
    await expect(page.locator(".map-card")).to_have_text(re.compile("^mark-"))
    await context.close()
