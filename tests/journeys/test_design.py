"""The parts of the screens by hand, eye and ear: keyboard, no script, narrow and wide, both themes."""

import pytest
from playwright.async_api import Browser, Route, ViewportSize, expect

from tests.journeys.browser import DESK, PHONE, complaints_of, grave_findings, open_details, page_width

pytestmark = pytest.mark.browser

FOUND = """{"hits": [
  {"kind": "unit", "id": "urn:haidang:unit:a", "label": "Xã Ân Nghĩa", "detail": "Hoài Ân cũ"},
  {"kind": "former-unit", "id": "urn:haidang:unit:c", "label": "Xã Ân Nghĩa", "detail": "Huyện Hoài Ân"},
  {"kind": "street", "id": null, "label": "Đường An Nghĩa", "detail": ""},
  {"kind": "unit", "id": "urn:haidang:unit:b", "label": "Xã An Nghĩa", "detail": "An Lão cũ"}
]}"""


@pytest.mark.parametrize("locale", ["", "/en"])
@pytest.mark.parametrize("viewport", [PHONE, DESK], ids=["390", "1920"])
async def test_axe_finds_nothing_serious_in_either_theme(
    chrome: Browser, city: str, axe: str, viewport: ViewportSize, locale: str
) -> None:
    context = await chrome.new_context(viewport=viewport)
    page = await context.new_page()
    for path in ("/_design", "/_design/hoi", "/_design/tuong"):
        await page.goto(city + locale + path)
        await open_details(page, "details:not(.menu)")
        for opener in await page.locator("[data-island=date-picker] .with-button button").all():
            await opener.click()
        assert await grave_findings(page, axe) == [], path
    await context.close()


@pytest.mark.parametrize("width", [320, 390, 1280, 1920])
async def test_nothing_runs_off_the_screen_with_everything_open_and_alive(
    chrome: Browser, city: str, width: int
) -> None:
    context = await chrome.new_context(viewport={"width": width, "height": 900})
    page = await context.new_page()
    complaints = complaints_of(page, city)
    await page.goto(city + "/_design")
    await open_details(page)
    for figure in await page.locator("[data-island=chart]").all():
        await figure.scroll_into_view_if_needed()
        await expect(figure.locator(".chart-live canvas")).to_be_visible()
    wide = await page_width(page)
    assert wide <= width
    assert complaints == []
    await context.close()


async def test_without_a_script_the_form_the_dialog_and_the_chart_are_complete(
    chrome: Browser, city: str
) -> None:
    context = await chrome.new_context(viewport=PHONE, java_script_enabled=False, locale="vi-VN")
    page = await context.new_page()
    await page.goto(city + "/_design")
    await page.get_by_label("Tên của bạn").fill("Lan")
    await page.get_by_label("Từ hôm nào?").fill("31/02/2026")
    form = page.locator("form[method=post]")
    await form.get_by_role("button", name="Gửi").click()
    summary = page.get_by_role("alert")
    await expect(summary).to_contain_text("Còn 2 chỗ cần sửa")
    await expect(page.get_by_label("Tên của bạn")).to_have_value("Lan")
    await summary.get_by_role("link", name="“31/02/2026”").click()
    assert page.url.endswith("#day")
    await page.get_by_label("Từ hôm nào?").fill("1.3.2026")
    await page.get_by_label("Ổ gà trên đường").check()
    await form.get_by_role("button", name="Gửi").click()
    await expect(page.get_by_text("Lan · 01/03/2026 · Ổ gà trên đường")).to_be_visible()
    await expect(page.get_by_role("img", name="PM2.5 theo giờ, ví dụ").first).to_be_visible()
    await page.get_by_role("link", name="Gửi phản ánh này?").first.click()
    await expect(page.get_by_role("heading", level=1)).to_have_text("Gửi phản ánh này?")
    await context.close()


async def test_a_day_is_chosen_with_the_keyboard_monday_first(chrome: Browser, city: str) -> None:
    context = await chrome.new_context(viewport=DESK, locale="vi-VN")
    page = await context.new_page()
    await page.goto(city + "/_design")
    day = page.get_by_label("Từ hôm nào?")
    await day.fill("28/2/2026")
    opener = page.locator("[data-island=date-picker]").first.get_by_role("button", name="Chọn trên lịch")
    await opener.focus()
    await page.keyboard.press("Enter")
    calendar = page.locator(".calendar").first
    await expect(calendar.locator("thead th").first).to_have_attribute("aria-label", "Thứ Hai")
    await expect(calendar.get_by_role("button", name="28 tháng 2, 2026")).to_be_focused()
    await page.keyboard.press("ArrowRight")
    await page.keyboard.press("ArrowDown")
    await expect(calendar.locator("b")).to_have_text("Tháng 3 năm 2026")
    await page.keyboard.press("Enter")
    await expect(day).to_have_value("08/03/2026")
    await expect(opener).to_be_focused()
    await page.keyboard.press("Enter")
    await page.keyboard.press("Escape")
    await expect(calendar).to_be_hidden()
    await context.close()


async def test_a_unit_is_chosen_from_a_list_with_the_keyboard(chrome: Browser, city: str) -> None:
    context = await chrome.new_context(viewport=PHONE, locale="vi-VN")
    page = await context.new_page()
    asked: list[str] = []

    async def answer(route: Route) -> None:
        asked.append(route.request.url)
        await route.fulfill(content_type="application/json", body=FOUND)

    await page.route("**/api/places/search?*", answer)
    await page.goto(city + "/_design")
    unit = page.get_by_role("combobox", name="Ở đâu?")
    await unit.press_sequentially("an ng")
    found = page.locator("#unit-found")
    await expect(found.get_by_role("option")).to_have_count(3)
    assert asked[-1].endswith("?q=an%20ng")
    await expect(unit).to_have_attribute("aria-expanded", "true")
    await unit.press("ArrowDown")
    await unit.press("ArrowUp")
    await expect(found.get_by_role("option", name="Xã An Nghĩa")).to_have_attribute("aria-selected", "true")
    await unit.press("Enter")
    await expect(unit).to_have_value("Xã An Nghĩa")
    await expect(page.locator("input[name=unit_id]")).to_have_value("urn:haidang:unit:b")
    await expect(found).to_be_hidden()
    await unit.press("Backspace")
    await expect(page.locator("input[name=unit_id]")).to_have_value("")
    await unit.press_sequentially("a")
    await found.get_by_role("option").nth(1).click()
    await expect(unit).to_have_value("Xã Ân Nghĩa, Huyện Hoài Ân")
    await expect(page.locator("input[name=unit_id]")).to_have_value("")  # the server says what it became
    await context.close()


async def test_a_dialog_keeps_the_focus_and_gives_it_back_and_news_is_read_out(
    chrome: Browser, city: str
) -> None:
    context = await chrome.new_context(viewport=DESK, locale="vi-VN")
    page = await context.new_page()
    await page.goto(city + "/_design")
    link = page.get_by_role("link", name="Gửi phản ánh này?").first
    await link.click()
    dialog = page.get_by_role("dialog", name="Gửi phản ánh này?")
    await expect(dialog).to_be_visible()
    assert page.url.endswith("/_design")
    await page.keyboard.press("Escape")
    await expect(dialog).to_be_hidden()
    await expect(link).to_be_focused()
    await page.get_by_role("button", name="Hiện tin ngắn").first.click()
    toasts = page.locator("[data-island=toasts]")
    await expect(toasts).to_have_attribute("aria-live", "polite")
    await expect(toasts).to_contain_text("Đã lưu lúc 17:05")
    await toasts.get_by_role("button", name="Đóng").click()
    await expect(toasts.locator(".toast")).to_have_count(0)
    await context.close()


async def test_a_live_chart_follows_its_table(chrome: Browser, city: str) -> None:
    context = await chrome.new_context(viewport=DESK)
    page = await context.new_page()
    await page.goto(city + "/_design")
    figure = page.locator("[data-island=chart]").first
    await figure.scroll_into_view_if_needed()
    canvas = figure.locator("canvas")
    await expect(canvas).to_be_visible()
    await page.wait_for_timeout(1_500)  # its first drawing moves
    before = await canvas.evaluate("one => one.toDataURL()")
    await page.evaluate(
        "document.querySelector('#hours-day tbody').rows[0].cells[1].dataset.value = '90';"
        "document.querySelector('#hours-day tbody').append('')"
    )
    await page.wait_for_function(
        "before => document.querySelector('[data-island=chart] canvas').toDataURL() !== before", arg=before
    )
    await context.close()
