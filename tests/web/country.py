"""A database with all facts of places, for the tests of a module that need the web over them."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import uuid4

import asyncpg

from haidang.infra.database import Pool, open_pool
from haidang.infra.embedded import TemporaryCluster
from haidang.infra.province import change_province_setting
from haidang.kernel.actors import part
from haidang.kernel.instants import Instant
from tests.web.stations import FIVE, write_stations


@asynccontextmanager
async def lam_dong(cluster: TemporaryCluster, country_template: str, now: Instant) -> AsyncIterator[Pool]:
    """A pool on a database of its own: the province is called Lâm Đồng and has five stations."""
    name = f"country_{uuid4().hex}"
    admin = await asyncpg.connect(cluster.dsn())
    await admin.execute(f"CREATE DATABASE {name} TEMPLATE {country_template}")
    pool = await open_pool(cluster.dsn(name))
    async with pool.acquire() as connection:
        await change_province_setting(part("test"), connection, "name", "Lâm Đồng", now=now)
    await write_stations(pool, FIVE, now)
    try:
        yield pool
    finally:
        await pool.close()
        await admin.execute(f"DROP DATABASE {name} WITH (FORCE)")
        await admin.close()
