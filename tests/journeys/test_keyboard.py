"""Every page by the keyboard alone and for who hears it: nothing out of reach, nothing without a name."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

import pytest
from playwright.async_api import Browser, Page

from haidang.infra.embedded import TemporaryCluster
from haidang.infra.settings import read_settings
from haidang.infra.translations import Translations
from haidang.kernel.instants import SetClock
from tests.journeys.browser import DESK, served
from tests.web.country import lam_dong
from tests.web.houses import house_on

pytestmark = pytest.mark.browser

PAGES = (
    "/",
    "/tim?q=phan",
    "/tra-cuu-don-vi",
    "/tra-cuu-don-vi?latitude=abc&longitude=108",
    "/don-vi?tinh=tinh-lam-dong&tim=phan",
    "/don-vi/phuong-phan-thiet-lam-dong",
    "/khong-khi",
    "/ban-do",
    "/admin",
    "/_design",
    "/khong-co",
)
MOST_STOPS = 40
NOON = datetime(2026, 11, 21, 5, tzinfo=UTC)

FOCUSED = """() => {
  const one = document.activeElement;
  const box = one.getBoundingClientRect();
  const style = getComputedStyle(one);
  return {
    what: one.outerHTML.slice(0, 120),
    stop: one !== document.body,
    seen: box.width > 0 && box.height > 0 && box.bottom > 0 && box.top < innerHeight && box.right > 0,
    marked: style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2,
    skip: one.classList.contains("skip"),
  };
}"""

OUTLINE = """() => {
  const shown = (one) => one.checkVisibility();
  const all = (which) => [...document.querySelectorAll(which)].filter(shown);
  const named = (one) => one.ariaLabel || one.getAttribute("aria-labelledby") || "";
  return {
    levels: all("h1, h2, h3, h4, h5, h6").map((one) => Number(one.tagName[1])),
    mains: all("main").length,
    navigations: all("nav").map(named),
    ordered: all("[tabindex]").filter((one) => one.tabIndex > 0).length,
    ids: [...document.querySelectorAll("[id]")].map((one) => one.id),
    pointed: ["aria-labelledby", "aria-describedby", "aria-controls", "for"].flatMap((name) =>
      [...document.querySelectorAll(`[${name}]`)]
        .flatMap((one) => one.getAttribute(name).split(" ").filter(Boolean))),
  };
}"""


@dataclass(frozen=True, slots=True)
class Stop:
    """Where the tab key came to rest."""

    what: str
    seen: bool
    marked: bool
    skip: bool


@pytest.fixture(scope="module")
async def province(
    cluster: TemporaryCluster, country_template: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[str]:
    """The address of a province with wards and stations."""
    clock = SetClock(NOON)
    settings = read_settings({"HAIDANG_HOME": str(tmp_path_factory.mktemp("home"))})
    async with (
        lam_dong(cluster, country_template, NOON) as pool,
        served(house_on(pool, clock, Translations.load(), settings)) as address,
    ):
        yield address


async def walk(page: Page) -> list[Stop]:
    """The stops of the tab key from the top of the page, as many as one has patience for."""
    stops: list[Stop] = []
    for _ in range(MOST_STOPS):
        await page.keyboard.press("Tab")
        found: dict[str, Any] = await page.evaluate(FOCUSED)
        if not found.pop("stop"):
            break
        stops.append(Stop(**found))
    return stops


@pytest.mark.parametrize("path", PAGES)
async def test_the_tab_key_goes_everywhere_and_one_sees_where_it_is(
    chrome: Browser, province: str, path: str
) -> None:
    context = await chrome.new_context(viewport=DESK, reduced_motion="reduce")
    page = await context.new_page()
    await page.goto(province + path)
    stops = await walk(page)
    await context.close()
    assert stops[0].skip
    assert len(stops) > 8
    assert [one.what for one in stops if not one.seen] == []
    assert [one.what for one in stops if not one.marked] == []


@pytest.mark.parametrize("path", PAGES)
async def test_headings_and_landmarks_tell_who_hears_the_page_where_things_are(
    chrome: Browser, province: str, path: str
) -> None:
    context = await chrome.new_context(viewport=DESK, reduced_motion="reduce")
    page = await context.new_page()
    await page.goto(province + path)
    found: dict[str, Any] = await page.evaluate(OUTLINE)
    await context.close()
    levels = found["levels"]
    assert levels.count(1) == 1
    assert [(one, after) for one, after in pairwise(levels) if after > one + 1] == []
    assert found["mains"] == 1
    assert "" not in found["navigations"]
    assert len(found["navigations"]) == len(set(found["navigations"]))
    assert found["ordered"] == 0
    assert sorted({one for one in found["ids"] if found["ids"].count(one) > 1}) == []
    assert sorted(set(found["pointed"]) - set(found["ids"])) == []
