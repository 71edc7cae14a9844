"""The search finds administrative units, then and now, from the facts of the whole country."""

from collections.abc import AsyncIterator
from pathlib import Path
from uuid import uuid4

import asyncpg
import pytest

from haidang.infra.database import Pool, open_pool
from haidang.infra.embedded import TemporaryCluster
from haidang.infra.settings import read_settings
from haidang.infra.translations import Translations
from haidang.kernel.instants import SetClock
from haidang.web.asgi import build_application
from tests.places.conftest import country_template  # noqa: F401 - fixtures are found by name
from tests.web.client import Client
from tests.web.houses import house_on


@pytest.fixture
async def country_pool(
    cluster: TemporaryCluster,
    country_template: str,  # noqa: F811 - the fixture, not the import
) -> AsyncIterator[Pool]:
    """A pool on a database of the test's own that knows every unit."""
    name = f"t_{uuid4().hex}"
    admin = await asyncpg.connect(cluster.dsn())
    await admin.execute(f"CREATE DATABASE {name} TEMPLATE {country_template}")
    opened = await open_pool(cluster.dsn(name))
    yield opened
    await opened.close()
    await admin.execute(f"DROP DATABASE {name} WITH (FORCE)")
    await admin.close()


@pytest.fixture
def country_web(country_pool: Pool, clock: SetClock, translations: Translations, tmp_path: Path) -> Client:
    """The web over it."""
    settings = read_settings({"HAIDANG_HOME": str(tmp_path)})
    return Client(build_application(house_on(country_pool, clock, translations, settings)))


async def test_a_ward_of_today_is_found_with_what_it_is_in(country_web: Client) -> None:
    page = await country_web.page("/tim?q=phan+thiet")
    assert page.status == 200
    assert "Đơn vị hành chính" in page.text
    assert "<mark>Phan</mark> <mark>Thiết</mark>" in page.text
    assert "Lâm Đồng" in page.text
    assert 'href="/don-vi/' in page.text


async def test_a_former_ward_is_found_with_what_it_became(country_web: Client) -> None:
    page = await country_web.page("/tim?q=duc+thang")
    assert "<mark>Đức</mark> <mark>Thắng</mark>" in page.text
    assert "nay là" in page.text
    english = await country_web.page("/en/tim?q=duc+thang")
    assert "today" in english.text
    assert 'href="/en/don-vi/' in english.text


async def test_no_unit_is_found_for_what_no_unit_is_called(country_web: Client) -> None:
    assert "Đơn vị hành chính" not in (await country_web.page("/tim?q=xyzzy")).text
