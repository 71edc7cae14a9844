"""What every test may ask for: a migrated database of its own, a rolled-back connection, a clock."""

import os
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import asyncpg
import pytest
from hypothesis import HealthCheck, settings

from haidang.infra.database import Connection, Pool, open_pool, prepare_connection
from haidang.infra.embedded import TemporaryCluster
from haidang.infra.migrations import migrate
from haidang.kernel.actors import part
from haidang.kernel.instants import SetClock
from haidang.places.loading import load_facts
from tests.absent import pytest_collection_modifyitems, pytest_terminal_summary
from tests.databases import copy_of, pool_on_copy

__all__ = ["pytest_collection_modifyitems", "pytest_terminal_summary"]  # hooks: found by their names

# A busy machine is slow, not wrong: pytest-timeout ends what hangs.
settings.register_profile("haidang", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("haidang")


@pytest.fixture(scope="session")
def cluster() -> Iterator[TemporaryCluster]:
    """One server for the run: the wheel's, or the one whose programs HAIDANG_TEST_POSTGRES names."""
    programs = os.environ.get("HAIDANG_TEST_POSTGRES")
    with TemporaryCluster(programs=Path(programs) if programs else None) as running:
        yield running


@pytest.fixture(scope="session")
async def template(cluster: TemporaryCluster) -> str:
    """A migrated database that others are copied from."""
    admin = await asyncpg.connect(cluster.dsn())
    await admin.execute("CREATE DATABASE haidang_template")
    await admin.close()
    connection = await asyncpg.connect(cluster.dsn("haidang_template"))
    await prepare_connection(connection)
    await migrate(connection)
    await connection.close()
    return "haidang_template"


@pytest.fixture(scope="session")
async def country_template(cluster: TemporaryCluster, template: str) -> str:
    """A migrated database with all facts of places, that others are copied from: nobody else connects."""
    name = f"country_{uuid4().hex}"
    admin = await asyncpg.connect(cluster.dsn())
    await admin.execute(f"CREATE DATABASE {name} TEMPLATE {template}")
    await admin.close()
    connection = await asyncpg.connect(cluster.dsn(name))
    await prepare_connection(connection)
    await load_facts(part("tests"), connection)
    await connection.close()
    return name


@pytest.fixture
async def dsn(cluster: TemporaryCluster, template: str) -> AsyncIterator[str]:
    """A migrated database of the test's own, dropped afterwards."""
    async with copy_of(cluster, template) as copied:
        yield copied


@pytest.fixture
async def pool(dsn: str) -> AsyncIterator[Pool]:
    """A pool on the test's own database."""
    opened = await open_pool(dsn)
    yield opened
    await opened.close()


@pytest.fixture(scope="session")
async def shared_pool(cluster: TemporaryCluster, template: str) -> AsyncIterator[Pool]:
    """A pool on a database that only rolled-back transactions use."""
    async with pool_on_copy(cluster, template) as opened:
        yield opened


@pytest.fixture
async def connection(shared_pool: Pool) -> AsyncIterator[Connection]:
    """A connection inside a transaction that is rolled back."""
    async with shared_pool.acquire() as held:
        undone = held.transaction()
        await undone.start()
        yield held
        await undone.rollback()


@pytest.fixture
def clock() -> SetClock:
    """Noon in Vietnam on 21 November 2026."""
    return SetClock(datetime(2026, 11, 21, 5, tzinfo=UTC))
