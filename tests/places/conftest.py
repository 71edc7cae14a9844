"""What the tests of places may ask for: a database with the country's facts, and a connection to it."""

from collections.abc import AsyncIterator

import pytest

from haidang.infra.database import Connection, Pool
from haidang.infra.embedded import TemporaryCluster
from haidang.kernel.actors import Actor, part
from tests.databases import pool_on_copy


@pytest.fixture(scope="session")
async def country_pool(cluster: TemporaryCluster, country_template: str) -> AsyncIterator[Pool]:
    """A pool on a database with all facts that only rolled-back transactions use."""
    async with pool_on_copy(cluster, country_template) as pool:
        yield pool


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
