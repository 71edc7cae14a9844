"""The web over the country's units, in a province called Lâm Đồng: only to be read, or with stations."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from haidang.infra.database import Pool
from haidang.infra.embedded import TemporaryCluster
from haidang.infra.province import change_province_setting
from haidang.infra.settings import read_settings
from haidang.infra.translations import Translations
from haidang.kernel.actors import part
from haidang.kernel.instants import Instant, SetClock
from haidang.web.asgi import build_application
from haidang.web.shared.house import House
from tests.databases import pool_on_copy
from tests.web.client import Client
from tests.web.houses import house_on
from tests.web.stations import FIVE, write_stations


async def _call_it_lam_dong(pool: Pool, now: Instant) -> None:
    async with pool.acquire() as connection:
        await change_province_setting(part("test"), connection, "name", "Lâm Đồng", now=now)


@asynccontextmanager
async def lam_dong(cluster: TemporaryCluster, country_template: str, now: Instant) -> AsyncIterator[Pool]:
    """A pool on a database of its own: the province is called Lâm Đồng and has five stations."""
    async with pool_on_copy(cluster, country_template) as pool:
        await _call_it_lam_dong(pool, now)
        await write_stations(pool, FIVE, now)
        yield pool


@pytest.fixture(scope="session")
async def country_web_pool(cluster: TemporaryCluster, country_template: str) -> AsyncIterator[Pool]:
    """A pool on a database with every unit, that tests only read."""
    async with pool_on_copy(cluster, country_template) as pool:
        yield pool


@pytest.fixture
async def country_house(
    country_web_pool: Pool, clock: SetClock, translations: Translations, tmp_path: Path
) -> House:
    """The parts of the web over it."""
    await _call_it_lam_dong(country_web_pool, clock.now())
    settings = read_settings({"HAIDANG_HOME": str(tmp_path)})
    return house_on(country_web_pool, clock, translations, settings)


@pytest.fixture
def country_web(country_house: House) -> Client:
    """The whole web."""
    return Client(build_application(country_house))
