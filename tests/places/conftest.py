"""What the tests of places may ask for: the country's facts, loaded once for the run."""

from collections.abc import AsyncIterator

import asyncpg
import pytest

from haidang.infra.database import Connection, Pool, open_pool, prepare_connection
from haidang.infra.embedded import TemporaryCluster
from haidang.kernel.actors import Actor, part
from haidang.places.loading import load_facts


@pytest.fixture(scope="session")
async def country_template(cluster: TemporaryCluster, template: str) -> str:
    """A migrated database with all facts loaded, that others are copied from."""
    admin = await asyncpg.connect(cluster.dsn())
    await admin.execute(f"CREATE DATABASE haidang_country TEMPLATE {template}")
    await admin.close()
    connection = await asyncpg.connect(cluster.dsn("haidang_country"))
    await prepare_connection(connection)
    await load_facts(part("tests"), connection)
    await connection.close()
    return "haidang_country"


@pytest.fixture(scope="session")
async def country_pool(cluster: TemporaryCluster, country_template: str) -> AsyncIterator[Pool]:
    """A pool on a database with all facts that only rolled-back transactions use."""
    admin = await asyncpg.connect(cluster.dsn())
    await admin.execute(f"CREATE DATABASE haidang_country_shared TEMPLATE {country_template}")
    await admin.close()
    opened = await open_pool(cluster.dsn("haidang_country_shared"))
    yield opened
    await opened.close()


@pytest.fixture
async def country(country_pool: Pool) -> AsyncIterator[Connection]:
    """A connection with all facts loaded, inside a transaction that is rolled back."""
    async with country_pool.acquire() as held:
        undone = held.transaction()
        await undone.start()
        yield held
        await undone.rollback()


@pytest.fixture
def visitor() -> Actor:
    """Who asks: a part of the platform."""
    return part("tests")
