"""Migrations: applied once, refused when changed."""

from haidang.infra.database import Connection
from haidang.infra.migrations import migrate


async def test_a_migrated_database_has_nothing_left_to_apply(connection: Connection) -> None:
    assert await migrate(connection) == []
