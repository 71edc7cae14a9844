"""Migrations: applied once, in order, by one at a time; refused when changed or unknown."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import uuid4

import asyncpg
import pytest

from haidang.infra.database import Connection, prepare_connection
from haidang.infra.embedded import TemporaryCluster
from haidang.infra.migrations import (
    DatabaseNewerThanProgram,
    Migration,
    MigrationChanged,
    MigrationsMisnumbered,
    migrate,
    migrations_folder,
    read_migrations,
)

FIRST = Migration(1, "pre", "0001_pre_first", "CREATE SCHEMA room; CREATE TABLE room.a (n integer)")
SECOND = Migration(2, "pre", "0002_pre_second", "INSERT INTO room.a VALUES (1)")


@pytest.fixture
async def bare(cluster: TemporaryCluster) -> AsyncIterator[str]:
    """A database with nothing in it."""
    name = f"bare_{uuid4().hex}"
    admin = await asyncpg.connect(cluster.dsn())
    await admin.execute(f"CREATE DATABASE {name}")
    yield cluster.dsn(name)
    await admin.execute(f"DROP DATABASE {name} WITH (FORCE)")
    await admin.close()


@pytest.fixture
async def unmigrated(bare: str) -> AsyncIterator[Connection]:
    connection = await asyncpg.connect(bare)
    await prepare_connection(connection)
    yield connection
    await connection.close()


async def test_a_migrated_database_has_nothing_left_to_apply(connection: Connection) -> None:
    assert await migrate(connection) == []


async def test_each_is_applied_once(unmigrated: Connection) -> None:
    assert await migrate(unmigrated, [FIRST, SECOND]) == ["0001_pre_first", "0002_pre_second"]
    assert await migrate(unmigrated, [FIRST, SECOND]) == []
    assert await unmigrated.fetchval("SELECT count(*) FROM room.a") == 1


async def test_a_changed_file_is_refused_and_nothing_runs(unmigrated: Connection) -> None:
    await migrate(unmigrated, [FIRST])
    changed = Migration(1, "pre", "0001_pre_first", FIRST.sql + " -- better")
    with pytest.raises(MigrationChanged, match="0001_pre_first"):
        await migrate(unmigrated, [changed, SECOND])
    assert await unmigrated.fetchval("SELECT count(*) FROM room.a") == 0


async def test_a_database_of_a_newer_program_is_refused(unmigrated: Connection) -> None:
    await migrate(unmigrated, [FIRST, SECOND])
    with pytest.raises(DatabaseNewerThanProgram, match="0002_pre_second"):
        await migrate(unmigrated, [FIRST])


async def test_a_failing_migration_leaves_nothing_half_done(unmigrated: Connection) -> None:
    broken = Migration(3, "pre", "0003_pre_broken", "CREATE TABLE room.b (n integer); SELECT 1 / 0")
    with pytest.raises(asyncpg.DivisionByZeroError):
        await migrate(unmigrated, [FIRST, SECOND, broken])
    assert await unmigrated.fetchval("SELECT to_regclass('room.b')") is None
    assert await unmigrated.fetchval("SELECT max(number) FROM infra.migration") == 2
    # The lock was given back: another can go on.
    mended = Migration(3, "pre", "0003_pre_broken", "CREATE TABLE room.b (n integer)")
    assert await migrate(unmigrated, [FIRST, SECOND, mended]) == ["0003_pre_broken"]


async def test_two_migrators_at_once_apply_each_file_once(bare: str) -> None:
    slow = Migration(2, "pre", "0002_pre_second", "SELECT pg_sleep(0.3); INSERT INTO room.a VALUES (1)")

    async def one() -> list[str]:
        connection = await asyncpg.connect(bare)
        try:
            return await migrate(connection, [FIRST, slow])
        finally:
            await connection.close()

    applied = await asyncio.gather(*(one() for _ in range(4)))
    assert sorted(applied) == [[], [], [], ["0001_pre_first", "0002_pre_second"]]


async def test_limits_of_a_migration_do_not_stay(unmigrated: Connection) -> None:
    limited = Migration(1, "pre", "0001_pre_limits", "SET lock_timeout = '4s'; SET statement_timeout = '5s'")
    before = await unmigrated.fetchval("SHOW statement_timeout")
    await migrate(unmigrated, [limited])
    assert await unmigrated.fetchval("SHOW statement_timeout") == before


def test_files_are_read_in_number_order_and_never_twice(tmp_path: Path) -> None:
    (tmp_path / "0002_post_b.sql").write_text("SELECT 2")
    (tmp_path / "0001_pre_a.sql").write_text("SELECT 1")
    (tmp_path / "notes.sql").write_text("not one of them")
    assert [one.name for one in read_migrations(tmp_path)] == ["0001_pre_a", "0002_post_b"]
    (tmp_path / "0002_pre_c.sql").write_text("SELECT 3")
    with pytest.raises(MigrationsMisnumbered):
        read_migrations(tmp_path)


def test_every_file_of_the_folder_has_a_name_that_is_read() -> None:
    assert {path.stem for path in migrations_folder().glob("*.sql")} == {
        one.name for one in read_migrations()
    }
