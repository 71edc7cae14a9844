"""Journeys share the house of the web's tests, served on a real port, and one browser."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from playwright.async_api import Browser, expect

from haidang.web.shared.house import House
from tests.absent import chromium
from tests.journeys.browser import browser as start_browser
from tests.journeys.browser import served
from tests.web.conftest import house, translations  # noqa: F401 - fixtures are found by name
from tests.web.stations import FIVE, write_stations

AXE = Path(__file__).resolve().parents[2] / "frontend" / "node_modules" / "axe-core" / "axe.min.js"

expect.set_options(timeout=30_000)  # a loaded machine is slow, and no journey is about speed


@pytest.fixture(scope="session")
async def chrome() -> AsyncIterator[Browser]:
    """The browser; the journey is skipped, and the run says so at its end, where there is none."""
    if chromium() is None:
        pytest.skip("no Chromium on this machine")
    async with start_browser() as started:
        yield started


@pytest.fixture
async def city(house: House) -> AsyncIterator[str]:  # noqa: F811 - the fixture, not the import
    """The address of a served province with five stations."""
    await write_stations(house.pool, FIVE, house.clock.now())
    async with served(house) as address:
        yield address


@pytest.fixture(scope="session")
def axe() -> str:
    """The accessibility checker of the front end's development packages."""
    if not AXE.is_file():
        pytest.skip("axe-core is not installed: npm ci in frontend/")
    return AXE.read_text("utf-8")
