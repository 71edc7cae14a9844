"""Home, search, hospitals and the officers' frames in a browser: readable, reachable, obedient."""

import re
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
from playwright.async_api import Browser, ViewportSize, expect

from haidang.context.facts import load_facts
from haidang.infra.database import transaction
from haidang.infra.province import change_province_setting
from haidang.infra.templates import Templates
from haidang.kernel.actors import part
from haidang.packs.environment.pack import PACK as ENVIRONMENT
from haidang.packs.health.pack import PACK as HEALTH
from haidang.sdk.loading import pack_folder
from haidang.web.shared.house import House
from tests.journeys.browser import DESK, PHONE, complaints_of, grave_findings, page_width, served, weigh
from tests.journeys.test_air_on_a_phone import BUDGET
from tests.web.stations import FIVE, write_stations
from tests.web.test_bulletin import STORM

pytestmark = pytest.mark.browser

PAGES = ("/", "/tim", "/tim?q=benh+vien", "/tim?q=xyzzy", "/benh-vien", "/khong-co-mang")
ROOMS = ("/ioc", "/work", "/field", "/data", "/admin")


@pytest.fixture
async def town(house: House) -> AsyncIterator[str]:
    """A served province with stations, hospitals and a warning in force."""
    packs = (ENVIRONMENT, HEALTH)
    folders = {pack.pack_id: pack_folder(pack.pack_id) for pack in packs}
    house = replace(house, packs=packs, templates=Templates(house.translations, packs=folders))
    await write_stations(house.pool, FIVE, house.clock.now())
    async with transaction(house.pool) as connection:
        now = house.clock.now()
        await load_facts(part("test"), connection, packs, now=now)
        await change_province_setting(part("test"), connection, "bulletin", {**STORM, "level": 4}, now=now)
    async with served(house) as address:
        yield address


async def test_a_hospital_is_found_from_home_without_a_script(chrome: Browser, town: str) -> None:
    context = await chrome.new_context(viewport=PHONE, java_script_enabled=False)
    page = await context.new_page()
    await page.goto(town + "/")
    await page.locator(".hero input[type=search]").fill("da khoa binh thuan")
    await page.get_by_role("button", name="Tìm").click()
    await page.get_by_role("link", name="Bệnh viện Đa khoa Bình Thuận").click()
    await expect(page).to_have_url(f"{town}/benh-vien#benh-vien-da-khoa-binh-thuan-22960")
    await expect(page.locator("#benh-vien-da-khoa-binh-thuan-22960")).to_be_in_viewport()
    await context.close()


async def test_the_menu_opens_without_a_script_on_a_phone(chrome: Browser, town: str) -> None:
    context = await chrome.new_context(viewport=PHONE, java_script_enabled=False)
    page = await context.new_page()
    await page.goto(town + "/tim")
    await expect(page.locator(".menu a", has_text="Bệnh viện")).not_to_be_visible()
    await page.get_by_text("Danh mục", exact=True).click()
    await page.locator(".menu a", has_text="Bệnh viện").click()
    await expect(page).to_have_url(f"{town}/benh-vien")
    await context.close()


@pytest.mark.parametrize("locale", ["", "/en"])
@pytest.mark.parametrize("viewport", [PHONE, DESK], ids=["390", "1920"])
async def test_axe_finds_nothing_serious(
    chrome: Browser, town: str, axe: str, viewport: ViewportSize, locale: str
) -> None:
    context = await chrome.new_context(viewport=viewport)
    page = await context.new_page()
    for path in (*PAGES, *ROOMS):
        await page.goto(town + ((locale + path).rstrip("/") or "/"))
        assert await grave_findings(page, axe) == [], path
    await context.close()


@pytest.mark.parametrize("width", [320, 390, 768, 1280, 1920])
async def test_nothing_runs_off_the_screen(chrome: Browser, town: str, width: int) -> None:
    context = await chrome.new_context(viewport={"width": width, "height": 800})
    page = await context.new_page()
    for path in (*PAGES, *ROOMS):
        await page.goto(town + path)
        wide = await page_width(page)
        assert wide <= width, (path, wide)
    await context.close()


async def test_pages_obey_the_policy_and_complain_of_nothing(chrome: Browser, town: str) -> None:
    context = await chrome.new_context(viewport=PHONE)
    page = await context.new_page()
    complaints = complaints_of(page, town)
    for path in (*PAGES, *ROOMS):
        await page.goto(town + path, wait_until="networkidle")
    assert complaints == []
    await context.close()


@pytest.mark.parametrize("path", ["/", "/tim?q=benh+vien", "/benh-vien"])
async def test_a_citizens_page_is_light(chrome: Browser, town: str, path: str) -> None:
    context = await chrome.new_context(viewport=PHONE, service_workers="block")
    weight = await weigh(await context.new_page(), town + path)
    await context.close()
    assert weight.total <= BUDGET, weight.by_kind


async def test_the_clock_of_the_centre_goes_by_the_server(chrome: Browser, town: str) -> None:
    context = await chrome.new_context(viewport=DESK)
    page = await context.new_page()
    await page.goto(town + "/ioc")
    clock = page.locator("time[data-clock]")
    # Noon in Vietnam by the house's clock, and it goes on; a loaded machine may skip a second.
    await expect(clock).to_have_text(re.compile(r"^12:0\d:(0[2-9]|[1-5]\d)$"))
    await context.close()
