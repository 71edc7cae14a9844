"""A citizen reads today's air: on a phone, without JavaScript, in Vietnamese, with any ability."""

from dataclasses import replace
from datetime import timedelta

import pytest
from playwright.async_api import Browser, ViewportSize, expect

from haidang.kernel.instants import SetClock
from haidang.web.shared.house import House
from tests.journeys.browser import DESK, PHONE, complaints_of, grave_findings, open_details, page_width, weigh
from tests.web.stations import FIVE, write_stations

pytestmark = pytest.mark.browser

PAGES = ("/", "/khong-khi", "/khong-khi/tram/phu-thuy", "/khong-khi/cach-tinh", "/khong-co")
BUDGET = 150_000


async def test_a_citizen_on_a_phone_without_javascript_reads_todays_air(chrome: Browser, city: str) -> None:
    context = await chrome.new_context(
        viewport=PHONE, java_script_enabled=False, locale="vi-VN", has_touch=True
    )
    page = await context.new_page()
    await page.goto(city)
    await expect(page.get_by_role("heading", level=1)).to_have_text("Lâm Đồng hôm nay, trên một trang")
    await expect(page.get_by_role("link", name="115 Cấp cứu")).to_be_visible()

    menu = page.locator("summary", has_text="Danh mục")
    link = page.get_by_role("navigation", name="Danh mục chính").get_by_role("link", name="Không khí hôm nay")
    await expect(link).not_to_be_visible()
    await menu.tap()
    await link.tap()

    await expect(page).to_have_url(f"{city}/khong-khi")
    await expect(page.get_by_role("heading", name="Cao nhất lúc này: Quy Nhơn")).to_be_visible()
    station = page.get_by_role("listitem").filter(has=page.get_by_role("heading", name="Phú Thủy"))
    await expect(station.get_by_text("61 Trung bình", exact=True)).to_be_visible()
    await expect(station.get_by_text("Chủ yếu do PM2.5")).to_be_visible()
    await expect(station.get_by_text("Số liệu mô phỏng")).to_be_visible()
    chart = station.get_by_role("img", name="VN_AQI theo giờ, 24 giờ qua: Phú Thủy")
    await expect(chart).not_to_be_visible()
    await station.locator("summary").tap()
    await expect(chart).to_be_visible()

    await station.get_by_role("link", name="Phú Thủy", exact=True).tap()
    await expect(page.get_by_role("heading", level=1)).to_have_text("Phú Thủy")
    await expect(page.get_by_text("Nên theo dõi các triệu chứng như ho hoặc khó thở")).to_be_visible()
    await page.locator("summary", has_text="Số liệu dạng bảng").tap()
    hours = page.get_by_role("table", name="VN_AQI theo giờ, 24 giờ qua")
    await expect(hours.get_by_role("row", name="12:00, 21/11/2026")).to_contain_text("61")

    await page.get_by_role("link", name="English").tap()
    await expect(page).to_have_url(f"{city}/en/khong-khi/tram/phu-thuy")
    await expect(page.get_by_text("61 Moderate", exact=True)).to_be_visible()
    await context.close()


@pytest.mark.parametrize("locale", ["", "/en"])
@pytest.mark.parametrize("viewport", [PHONE, DESK], ids=["390", "1920"])
async def test_axe_finds_nothing_serious(
    chrome: Browser, city: str, axe: str, viewport: ViewportSize, locale: str
) -> None:
    context = await chrome.new_context(viewport=viewport)
    page = await context.new_page()
    for path in PAGES:
        await page.goto(city + locale + path)
        await open_details(page, "details:not(.menu)")
        assert await grave_findings(page, axe) == [], path
    await context.close()


@pytest.mark.parametrize("width", [320, 390, 768, 1280, 1920])
async def test_nothing_runs_off_the_screen(chrome: Browser, house: House, city: str, width: int) -> None:
    long = "Trạm quan trắc không khí tự động ngã tư Nguyễn Tất Thành và Trần Hưng Đạo, Phường Phan Thiết"
    await write_stations(house.pool, [replace(FIVE[0], slug="dai", name=long)], house.clock.now())
    context = await chrome.new_context(viewport={"width": width, "height": 800})
    page = await context.new_page()
    for path in (*PAGES, "/khong-khi/tram/dai"):
        await page.goto(city + path)
        await open_details(page)
        wide = await page_width(page)
        assert wide <= width, (path, wide)
    await context.close()


async def test_the_page_obeys_its_own_policy_and_complains_of_nothing(chrome: Browser, city: str) -> None:
    context = await chrome.new_context(viewport=PHONE)
    page = await context.new_page()
    complaints = complaints_of(page, city)
    for path in PAGES[:-1]:
        await page.goto(city + path, wait_until="networkidle")
    assert complaints == []
    await context.close()


async def test_vietnamese_is_set_in_two_weights_of_one_family(chrome: Browser, city: str) -> None:
    context = await chrome.new_context(viewport=PHONE)
    page = await context.new_page()
    await page.goto(city + "/khong-khi", wait_until="networkidle")
    fetched = await page.evaluate(
        "performance.getEntriesByType('resource').map(one => one.name).filter(one => one.endsWith('.woff2'))"
    )
    names = sorted({name.rsplit("/", 1)[-1].partition("-normal")[0] for name in fetched})
    assert names == [
        f"be-vietnam-pro-{subset}-{weight}" for subset in ("latin", "vietnamese") for weight in (400, 600)
    ]
    await context.close()


async def test_the_keyboard_leads_past_the_menu(chrome: Browser, city: str) -> None:
    context = await chrome.new_context(viewport=DESK)
    page = await context.new_page()
    await page.goto(city + "/khong-khi")
    await page.keyboard.press("Tab")
    skip = page.get_by_role("link", name="Đến thẳng nội dung")
    await expect(skip).to_be_focused()
    await expect(skip).to_be_in_viewport()
    await page.keyboard.press("Enter")
    await expect(page.locator("main")).to_be_focused()
    await context.close()


async def test_an_open_page_follows_the_figures_by_itself(
    chrome: Browser, house: House, clock: SetClock, city: str
) -> None:
    context = await chrome.new_context(viewport=PHONE)
    page = await context.new_page()
    await page.clock.install(time=clock.now())
    await page.goto(city + "/khong-khi")
    badge = page.locator('[data-figure="phu-thuy"]')
    await expect(badge).to_contain_text("61 Trung bình")
    clock.advance(timedelta(hours=1))
    await write_stations(house.pool, [replace(FIVE[0], index=118)], clock.now())
    await page.clock.fast_forward(61_000)
    await expect(badge).to_contain_text("118 Kém")
    await context.close()


async def test_a_wrong_clock_in_the_telephone_does_not_age_a_figure(
    chrome: Browser, clock: SetClock, city: str
) -> None:
    clock.advance(timedelta(minutes=7))
    context = await chrome.new_context(viewport=PHONE)
    page = await context.new_page()
    await page.clock.install(time=clock.now() + timedelta(days=3 * 365))
    await page.goto(city + "/khong-khi/tram/phu-thuy")
    age = page.locator("time[data-age]").first
    await expect(age).to_have_text("7 phút trước")
    await page.clock.run_for(35_000)  # the island has counted on, and not yet asked again
    await expect(age).to_have_text("7 phút trước")
    await context.close()


@pytest.mark.parametrize("path", ["/", "/khong-khi", "/khong-khi/tram/phu-thuy"])
async def test_a_citizens_page_is_light(chrome: Browser, city: str, path: str) -> None:
    context = await chrome.new_context(viewport=PHONE)
    weight = await weigh(await context.new_page(), city + path)
    await context.close()
    assert weight.by_kind.get("Font", 0) > 50_000  # the fonts were counted
    assert weight.total <= BUDGET, weight.by_kind
