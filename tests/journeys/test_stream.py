"""A screen loses the platform, says since when, and comes back by itself with few requests."""

import asyncio
import re

from playwright.async_api import Browser, Request, expect

from haidang.web.shared.house import House
from tests.journeys.browser import DESK, served

LOST = ".alarm-lost"


async def test_a_screen_says_since_when_it_hears_nothing_and_comes_back(
    chrome: Browser, house: House
) -> None:
    context = await chrome.new_context(viewport=DESK)
    page = await context.new_page()
    asked: list[str] = []
    failed = asyncio.Event()

    def note(request: Request) -> None:
        if "/ioc/live" in request.url:
            asked.append(request.url)

    page.on("request", note)
    async with served(house) as address:
        port = int(address.rpartition(":")[2])
        async with page.expect_response(re.compile("/ioc/live")) as opened:
            await page.goto(f"{address}/ioc/alarms")
        assert (await opened.value).status == 200
        await expect(page.locator(LOST)).to_have_count(0)

    def fail(request: Request) -> None:
        if "/ioc/live" in request.url and "after=" in request.url:
            failed.set()

    page.on("requestfailed", fail)
    await expect(page.locator(LOST)).to_have_text(re.compile(r"\d{1,2}:\d\d:\d\d"))
    async with asyncio.timeout(60):
        await failed.wait()  # it has tried while nobody was there
    before = len(asked)
    async with served(house, port):
        await expect(page.locator(LOST)).to_have_count(0, timeout=60_000)
    assert before <= 3
    assert len(asked) <= before + 2
    assert all("after=" in url for url in asked[1:])  # it goes on where it was
    await context.close()
