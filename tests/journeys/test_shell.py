"""Without a network: home as it was last seen and how old, the numbers to call for everything else."""

import pytest
from playwright.async_api import Browser, Page, expect

from tests.journeys.browser import PHONE

pytestmark = pytest.mark.browser


async def installed(page: Page, city: str) -> None:
    """Open home and wait until the worker answers for it."""
    await page.goto(city + "/")
    await page.evaluate("navigator.serviceWorker.ready.then(() => true)")
    await page.wait_for_function("navigator.serviceWorker.controller !== null")


async def test_home_is_seen_again_without_a_network_and_says_how_old_it_is(
    chrome: Browser, city: str
) -> None:
    context = await chrome.new_context(viewport=PHONE, locale="vi-VN")
    page = await context.new_page()
    await installed(page, city)
    await context.set_offline(True)
    await page.reload()
    note = page.locator(".kept-note")
    await expect(note).to_contain_text("Không có mạng. Bạn xem trang này lúc")
    await expect(page.get_by_role("heading", level=1)).to_have_text("Lâm Đồng hôm nay, trên một trang")
    await expect(page.locator('a[href="tel:115"]').first).to_be_visible()
    family = await page.evaluate("document.fonts.check('18px \"Be Vietnam Pro\"')")
    assert family
    assert (
        await page.evaluate("getComputedStyle(document.querySelector('.kept-note')).borderBottomStyle")
        == "dashed"
    )
    await context.close()


async def test_a_kept_page_ages_while_there_is_no_network(chrome: Browser, city: str) -> None:
    context = await chrome.new_context(viewport=PHONE)
    page = await context.new_page()
    await installed(page, city)
    fresh = await page.evaluate("document.documentElement.dataset.now")
    # Two hours ago, as the worker notes it.
    await page.evaluate(
        """async () => {
          const pages = await caches.open("pages");
          const kept = await pages.match("/");
          const headers = new Headers(kept.headers);
          headers.set("x-haidang-fetched", String(Number(headers.get("x-haidang-fetched")) - 2 * 3600_000));
          await pages.put("/", new Response(await kept.blob(), { headers }));
        }"""
    )
    await context.set_offline(True)
    await page.reload()
    later = await page.evaluate("document.documentElement.dataset.now")
    passed = await page.evaluate("([a, b]) => (Date.parse(b) - Date.parse(a)) / 60000", [fresh, later])
    assert 119 <= passed <= 122
    await expect(page.locator("time[data-age]").first).to_have_text("2 giờ trước")
    await context.close()


async def test_any_other_page_is_the_offline_page_and_comes_back_with_the_network(
    chrome: Browser, city: str
) -> None:
    context = await chrome.new_context(viewport=PHONE)
    page = await context.new_page()
    await installed(page, city)
    await context.set_offline(True)
    await page.goto(city + "/khong-khi")
    await expect(page.get_by_role("heading", level=1)).to_have_text("Không có mạng")
    await page.goto(city + "/en/khong-khi")
    await expect(page.get_by_role("heading", level=1)).to_have_text("No network")
    await context.set_offline(False)
    await page.goto(city + "/khong-khi")
    await expect(page.get_by_role("heading", level=1)).not_to_have_text("Không có mạng")
    await expect(page.locator(".kept-note")).to_have_count(0)
    await context.close()


async def test_figures_never_come_out_of_the_cache_while_there_is_a_network(
    chrome: Browser, city: str
) -> None:
    context = await chrome.new_context(viewport=PHONE)
    page = await context.new_page()
    await installed(page, city)
    await page.evaluate(
        """async () => {
          const pages = await caches.open("pages");
          await pages.put("/", new Response("<h1>cũ</h1>", { headers: { "content-type": "text/html" } }));
        }"""
    )
    await page.reload()
    await expect(page.get_by_role("heading", level=1)).to_have_text("Lâm Đồng hôm nay, trên một trang")
    await context.close()


async def test_the_worker_and_the_manifest_obey_the_policy(chrome: Browser, city: str) -> None:
    context = await chrome.new_context(viewport=PHONE)
    page = await context.new_page()
    complaints: list[str] = []
    page.on("console", lambda one: complaints.append(one.text) if one.type in {"error", "warning"} else None)
    await installed(page, city)
    session = await context.new_cdp_session(page)
    manifest = await session.send("Page.getAppManifest")
    assert manifest["errors"] == []
    installable = await session.send("Page.getInstallabilityErrors")
    assert [
        one["errorId"] for one in installable["installabilityErrors"] if one["errorId"] != "in-incognito"
    ] == []
    assert complaints == []
    await context.close()
