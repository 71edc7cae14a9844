"""What the tests of places may ask for: a database with the country's facts, and a connection to it."""

from collections.abc import AsyncIterator
from uuid import uuid4

import asyncpg
import pytest

from haidang.infra.database import Connection, Pool, open_pool
from haidang.infra.embedded import TemporaryCluster
from haidang.kernel.actors import Actor, part


@pytest.fixture(scope="session")
async def country_pool(cluster: TemporaryCluster, country_template: str) -> AsyncIterator[Pool]:
    """A pool on a database with all facts that only rolled-back transactions use."""
    admin = await asyncpg.connect(cluster.dsn())
    name = f"country_{uuid4().hex}"
    await admin.execute(f"CREATE DATABASE {name} TEMPLATE {country_template}")
    await admin.close()
    opened = await open_pool(cluster.dsn(name))
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
