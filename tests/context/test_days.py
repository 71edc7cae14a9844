"""A new day: whoever needs its partition first makes it, and nobody else stumbles over it."""

import asyncio
from datetime import UTC, date, datetime, timedelta

from haidang.context import store
from haidang.context.model import AttributeInstance, MergeObservations
from haidang.context.service import TimeFrame, history, retrieve_entity, temporal_evolution
from haidang.context.writer import apply_commands
from haidang.infra.database import Connection, Pool, transaction
from haidang.kernel.actors import part
from haidang.sdk.model import Attribute

ACTOR = part("test")
START = datetime(2020, 1, 1, tzinfo=UTC)
DAYS = 120


async def test_writers_that_need_the_same_new_day_at_once_all_get_it(pool: Pool) -> None:
    async def ensure(day: date) -> bool:
        async with transaction(pool) as connection:
            return bool(await connection.fetchval("SELECT context.ensure_observation_day($1)", day))

    for number in range(20):
        day = date(2030, 1, 1) + timedelta(days=number)
        made = await asyncio.gather(*(ensure(day) for _ in range(8)))
        assert sum(made) == 1


async def days_locked(connection: Connection) -> int:
    """How many days' tables this transaction has touched so far."""
    found: int = await connection.fetchval(
        "SELECT count(DISTINCT l.relation) FROM pg_locks l JOIN pg_class c ON c.oid = l.relation"
        " WHERE l.pid = pg_backend_pid() AND c.relkind = 'r' AND c.relname LIKE 'observation_2%'"
    )
    return found


async def test_a_statement_touches_only_the_days_it_asks_for(pool: Pool) -> None:
    """Also at the sixth call, when PostgreSQL would try a plan for any day."""
    merge = MergeObservations(
        entity_id="urn:x:1",
        type_iri="https://example.vn/T",
        attributes=tuple(
            AttributeInstance("https://example.vn/a", day, observed_at=START + timedelta(days=day))
            for day in range(DAYS)
        ),
    )
    now = START + timedelta(days=DAYS)
    async with transaction(pool) as connection:
        await apply_commands(connection, ACTOR, [merge], now=now)
    declared = [Attribute("a", "https://example.vn/a")]
    async with pool.acquire() as connection:
        assert len(await store.observation_days(connection, START.date(), now.date())) == DAYS
        for number in range(10):
            async with connection.transaction():
                since = START + timedelta(days=number)
                found = await history(
                    ACTOR, connection, ["urn:x:1"], declared, since, since + timedelta(days=2)
                )
                assert [one.number for one in found["urn:x:1"]["a"]] == [number + 1, number + 2]
                assert await days_locked(connection) <= 4
            async with connection.transaction():
                await retrieve_entity(ACTOR, connection, "urn:x:1", known_at=now)
                assert await days_locked(connection) <= 1
            async with connection.transaction():
                frame = TimeFrame(by="observedAt", last_n=3)
                evolution = await temporal_evolution(ACTOR, connection, "urn:x:1", frame, now=now)
                values = [one.instance["value"] for one in evolution.instances["https://example.vn/a"]]
                assert values == [DAYS - 3, DAYS - 2, DAYS - 1]
                assert await days_locked(connection) <= 46
            async with connection.transaction():
                correction = MergeObservations(
                    entity_id="urn:x:1",
                    type_iri="https://example.vn/T",
                    attributes=(
                        AttributeInstance(
                            "https://example.vn/a", -number, observed_at=START + timedelta(days=50)
                        ),
                    ),
                )
                await apply_commands(connection, ACTOR, [correction], now=now)
                assert await days_locked(connection) <= 1
