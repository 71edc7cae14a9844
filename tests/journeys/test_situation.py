"""The situation map in a browser: layers in the address, the list, one thing beside the map, then and now."""

import re
from dataclasses import replace
from datetime import timedelta

import pytest
from playwright.async_api import Browser, expect

from haidang.infra.events import Sequencer
from haidang.web.ioc.scene import local_text
from haidang.web.shared.house import House
from tests.events.helpers import running
from tests.journeys.browser import DESK, complaints_of, page_width
from tests.web.stations import FIVE, write_stations

pytestmark = pytest.mark.browser

PATIENCE_MS = 90_000  # for a loaded machine; on a calm one nothing here takes so long


async def test_layers_search_a_thing_beside_the_map_and_the_past(
    chrome: Browser, house: House, city: str
) -> None:
    context = await chrome.new_context(viewport=DESK, locale="vi-VN", reduced_motion="reduce")
    page = await context.new_page()
    page.set_default_timeout(PATIENCE_MS)
    complaints = complaints_of(page, city)
    await page.goto(f"{city}/ioc")

    # A layer goes off by its switch, and the address keeps it.
    air = page.get_by_label("Chất lượng không khí")
    await expect(air).to_be_checked()
    await air.uncheck()
    await page.get_by_role("button", name="Xem", exact=True).click()
    await expect(page).to_have_url(re.compile(r"/ioc\?layers=some"))
    await expect(page.get_by_text("Chưa bật lớp nào")).to_be_visible()
    await page.reload()
    await expect(air).not_to_be_checked()
    await air.check()

    # The search does without marks.
    await page.get_by_role("searchbox", name="Tìm").last.fill("quy nhon")
    await page.get_by_role("button", name="Xem", exact=True).click()
    links = page.locator("a[data-entity]")
    await expect(links).to_have_text(["Quy Nhơn"])

    # A thing opens beside the map; Escape closes it and gives the focus back.
    await links.first.focus()
    await page.keyboard.press("Enter")
    panel = page.locator("#entity-panel.beside")
    await expect(panel.get_by_role("heading", name="Quy Nhơn")).to_be_focused()
    await page.keyboard.press("Escape")
    await expect(panel).to_have_count(0)
    await expect(links.first).to_be_focused()

    # The past says so, and there is a way back.
    then = local_text(house.clock.now() - timedelta(hours=1))
    await page.get_by_label("Thời điểm trong 48 giờ qua").fill(then)
    await page.get_by_role("button", name="Xem lúc đó").click()
    await expect(page.get_by_text("Đây là quá khứ")).to_be_visible()
    await page.get_by_role("link", name="Về hiện tại").click()
    await expect(page.get_by_text("Đây là quá khứ")).to_have_count(0)
    assert await page_width(page) <= DESK["width"]
    assert complaints == []
    await context.close()


async def test_a_new_value_comes_by_itself(chrome: Browser, house: House, city: str) -> None:
    context = await chrome.new_context(viewport=DESK, locale="vi-VN", reduced_motion="reduce")
    page = await context.new_page()
    page.set_default_timeout(PATIENCE_MS)
    await page.goto(f"{city}/ioc?layers=some&layer=air-quality&q=mui+ne")
    await expect(page.locator("[data-connection]")).to_have_class(
        re.compile("state-good"), timeout=PATIENCE_MS
    )
    words = page.locator("li[data-map-key] .situation-words")
    await expect(words).to_have_text("33 Tốt")
    mui_ne = next(one for one in FIVE if one.slug == "mui-ne")
    later = house.clock.now() + timedelta(hours=1)
    async with running(Sequencer(house.pool)):
        await write_stations(house.pool, [replace(mui_ne, index=163)], later, hours=1, days=1)
        await expect(words).to_have_text("163 Xấu", timeout=PATIENCE_MS)
    await context.close()
