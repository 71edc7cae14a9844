"""The web on a real database: an empty province, and one with five stations."""

from pathlib import Path

import pytest

from haidang.infra.database import Pool
from haidang.infra.province import change_province_setting
from haidang.infra.settings import read_settings
from haidang.infra.translations import Translations
from haidang.kernel.actors import part
from haidang.kernel.instants import SetClock
from haidang.web.asgi import build_application
from haidang.web.shared.house import House
from tests.web.client import Client
from tests.web.country import country_house, country_web, country_web_pool  # noqa: F401 - fixtures are found by name
from tests.web.houses import house_on
from tests.web.stations import FIVE, write_stations


@pytest.fixture(scope="session")
def translations() -> Translations:
    """Every catalogue there is."""
    return Translations.load()


@pytest.fixture
async def house(pool: Pool, clock: SetClock, translations: Translations, tmp_path: Path) -> House:
    """The province is called Lâm Đồng; there is no station yet."""
    async with pool.acquire() as connection:
        await change_province_setting(part("test"), connection, "name", "Lâm Đồng", now=clock.now())
    return house_on(pool, clock, translations, read_settings({"HAIDANG_HOME": str(tmp_path)}))


@pytest.fixture
def web(house: House) -> Client:
    """The whole web on an empty province."""
    return Client(build_application(house))


@pytest.fixture
async def city(house: House) -> Client:
    """The whole web with five stations: good, moderate, hazardous, silent, replayed."""
    await write_stations(house.pool, FIVE, house.clock.now())
    return Client(build_application(house))
