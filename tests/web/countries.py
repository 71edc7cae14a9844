"""Fixtures: the whole web over the country's units, in a province called Lâm Đồng; nothing is written."""

from collections.abc import AsyncIterator
from pathlib import Path
from uuid import uuid4

import asyncpg
import pytest

from haidang.infra.database import Pool, open_pool
from haidang.infra.embedded import TemporaryCluster
from haidang.infra.province import change_province_setting
from haidang.infra.settings import read_settings
from haidang.infra.translations import Translations
from haidang.kernel.actors import part
from haidang.kernel.instants import SetClock
from haidang.web.asgi import build_application
from haidang.web.shared.house import House
from tests.web.client import Client
from tests.web.houses import house_on


@pytest.fixture(scope="session")
async def country_web_pool(cluster: TemporaryCluster, country_template: str) -> AsyncIterator[Pool]:
    """A pool on a database with every unit, that tests only read."""
    name = f"country_{uuid4().hex}"
    admin = await asyncpg.connect(cluster.dsn())
    await admin.execute(f"CREATE DATABASE {name} TEMPLATE {country_template}")
    await admin.close()
    opened = await open_pool(cluster.dsn(name))
    yield opened
    await opened.close()


@pytest.fixture
async def country_house(
    country_web_pool: Pool, clock: SetClock, translations: Translations, tmp_path: Path
) -> House:
    """The parts of the web over it."""
    async with country_web_pool.acquire() as connection:
        await change_province_setting(part("test"), connection, "name", "Lâm Đồng", now=clock.now())
    settings = read_settings({"HAIDANG_HOME": str(tmp_path)})
    return house_on(country_web_pool, clock, translations, settings)


@pytest.fixture
def country_web(country_house: House) -> Client:
    """The whole web."""
    return Client(build_application(country_house))
