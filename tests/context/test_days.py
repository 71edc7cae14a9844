"""A new day: whoever needs its partition first makes it, and nobody else stumbles over it."""

import asyncio
from datetime import date, timedelta

from haidang.infra.database import Pool, transaction


async def test_writers_that_need_the_same_new_day_at_once_all_get_it(pool: Pool) -> None:
    async def ensure(day: date) -> bool:
        async with transaction(pool) as connection:
            return bool(await connection.fetchval("SELECT context.ensure_observation_day($1)", day))

    for number in range(20):
        day = date(2030, 1, 1) + timedelta(days=number)
        made = await asyncio.gather(*(ensure(day) for _ in range(8)))
        assert sum(made) == 1
