"""A citizen types an old address without diacritics, without JavaScript, and reads the ward of today."""

from collections.abc import AsyncIterator

import pytest
from playwright.async_api import Browser, ViewportSize, expect

from haidang.kernel.actors import anonymous
from haidang.places.finding import find_units
from haidang.web.shared.house import House
from tests.journeys.browser import DESK, PHONE, grave_findings, open_details, page_width, served, weigh
from tests.web.country import country_house, country_web_pool  # noqa: F401 - fixtures are found by name

pytestmark = pytest.mark.browser

BUDGET = 150_000
STATES = (
    "/tra-cuu-don-vi",
    "/tra-cuu-don-vi?q=p.+phu+thuy,+phan+thiet",
    "/tra-cuu-don-vi?q=xa+hoa+thang,+bac+binh",
    "/tra-cuu-don-vi?q=qwrtzx",
    "/tra-cuu-don-vi?q=a&latitude=x&longitude=y",
    "/don-vi?tinh=tinh-lam-dong&tim=phan",
    "/don-vi?tinh=tinh-lam-dong&ngay=30/06/2025&tim=phan",
    "/don-vi?tinh=",
    "/don-vi/phuong-phan-thiet-lam-dong",
    "/don-vi/thanh-pho-phan-thiet-binh-thuan",
)


@pytest.fixture
async def country(country_house: House) -> AsyncIterator[str]:  # noqa: F811 - the fixture, not the import
    """The address of a served province with every unit."""
    async with country_house.pool.acquire() as connection:  # names are read into memory at the first question
        await find_units(anonymous(), connection, "phan thiet", on=country_house.clock.now().date())
    async with served(country_house) as address:
        yield address


async def test_an_old_address_without_diacritics_becomes_the_ward_of_today(
    chrome: Browser, country: str
) -> None:
    context = await chrome.new_context(
        viewport=PHONE, java_script_enabled=False, locale="vi-VN", has_touch=True
    )
    page = await context.new_page()
    await page.goto(country)
    await page.locator("summary", has_text="Danh mục").tap()
    menu = page.get_by_role("navigation", name="Danh mục chính")
    await menu.get_by_role("link", name="Tra cứu đơn vị").tap()
    await page.get_by_label("Địa chỉ, hoặc tên phường, xã, huyện").fill(
        "72 tran hung dao, p. phu thuy, phan thiet, binh thuan"
    )
    await page.get_by_role("button", name="Tra cứu").tap()

    ward = page.get_by_role("heading", name="Phường Phú Thuỷ")
    await expect(ward).to_be_visible()
    await expect(page.get_by_text("72 tran hung dao, Phường Phú Thuỷ, Tỉnh Lâm Đồng")).to_be_visible()
    await expect(page.get_by_text("Chúng tôi chắc chắn.")).to_be_visible()
    await ward.get_by_role("link").tap()
    await expect(page.get_by_role("heading", level=1)).to_have_text("Phường Phú Thuỷ")
    await expect(page.locator("svg.map-picture")).to_be_visible()
    await expect(page.get_by_text("Điều 1 khoản 111")).to_be_visible()
    await context.close()


async def test_a_tap_on_the_button_says_the_ward_where_one_stands(chrome: Browser, country: str) -> None:
    context = await chrome.new_context(
        viewport=PHONE,
        has_touch=True,
        permissions=["geolocation"],
        geolocation={"latitude": 10.933, "longitude": 108.1},
    )
    page = await context.new_page()
    await page.goto(f"{country}/tra-cuu-don-vi")
    await page.get_by_role("button", name="Dùng vị trí của tôi").tap()
    await expect(page.get_by_role("heading", name="Phường Phan Thiết")).to_be_visible(timeout=15_000)
    await expect(page.get_by_text("Vị trí này thuộc")).to_be_visible()
    await context.close()


@pytest.mark.parametrize("locale", ["", "/en"])
@pytest.mark.parametrize("viewport", [PHONE, DESK], ids=["390", "1920"])
async def test_axe_finds_nothing_serious_on_the_pages_of_units(
    chrome: Browser, country: str, axe: str, viewport: ViewportSize, locale: str
) -> None:
    context = await chrome.new_context(viewport=viewport)
    page = await context.new_page()
    for path in STATES:
        await page.goto(country + locale + path)
        await open_details(page, "main details")
        assert await grave_findings(page, axe) == [], path
    await context.close()


@pytest.mark.parametrize("width", [320, 390, 768, 1280, 1920])
async def test_no_page_of_units_runs_off_the_screen(chrome: Browser, country: str, width: int) -> None:
    context = await chrome.new_context(viewport={"width": width, "height": 800})
    page = await context.new_page()
    for path in (*STATES, "/tra-cuu-don-vi?q=" + "a" * 250):
        await page.goto(country + path)
        await open_details(page)
        wide = await page_width(page)
        assert wide <= width, (path, wide)
    await context.close()


@pytest.mark.parametrize("path", ["/tra-cuu-don-vi", "/tra-cuu-don-vi?q=phu+thuy", "/don-vi"])
async def test_a_citizens_page_of_units_is_light(chrome: Browser, country: str, path: str) -> None:
    context = await chrome.new_context(viewport=PHONE)
    weight = await weigh(await context.new_page(), country + path)
    await context.close()
    assert weight.total <= BUDGET, weight.by_kind
