"""Migrations change the schema without stopping the city: bounded, additive, forward only."""

import re

import pytest

from haidang.infra.database import Connection
from haidang.infra.migrations import Migration, migrations_folder, read_migrations

_COMMENT = re.compile(r"--[^\n]*|/\*.*?\*/", re.DOTALL)
_BODY = re.compile(r"\$(\w*)\$.*?\$\1\$", re.DOTALL)
# What the code that still runs may depend on is not taken away before a `post` migration.
_TAKING_AWAY = re.compile(
    r"\b(DROP\s+(TABLE|COLUMN|SCHEMA|VIEW|TYPE|CONSTRAINT|NOT\s+NULL)|RENAME\s+(TO|COLUMN|CONSTRAINT)"
    r"|ALTER\s+COLUMN\s+\S+\s+(TYPE|SET\s+DATA))\b|^\s*(TRUNCATE|DELETE)\b",
    re.IGNORECASE | re.MULTILINE,
)
MIGRATIONS = [pytest.param(one, id=one.name) for one in read_migrations()]


def statements(sql: str) -> str:
    """The text without comments and function bodies."""
    return _BODY.sub("''", _COMMENT.sub(" ", sql))


def test_every_file_in_the_folder_is_a_migration() -> None:
    named = {f"{one.name}.sql" for one in read_migrations()}
    assert {path.name for path in migrations_folder().iterdir()} == named


@pytest.mark.parametrize("migration", MIGRATIONS)
def test_a_migration_waits_for_locks_only_so_long(migration: Migration) -> None:
    opening = statements(migration.sql).strip()
    assert re.match(
        r"SET (LOCAL )?lock_timeout\s*=\s*'\d+s';\s*SET (LOCAL )?statement_timeout\s*=\s*'\d+(s|min)';",
        opening,
    ), "begin with SET lock_timeout = '4s'; SET statement_timeout = '5s';"


@pytest.mark.parametrize("migration", MIGRATIONS)
def test_a_pre_migration_takes_nothing_away(migration: Migration) -> None:
    taken = _TAKING_AWAY.findall(statements(migration.sql)) if migration.phase == "pre" else []
    assert taken == []


async def test_no_constraint_bears_a_name_the_server_made_up(connection: Connection) -> None:
    """Names become errors that people read; `t_check1` says nothing."""
    rows = await connection.fetch(
        "SELECT n.nspname || '.' || r.relname || ': ' || k.conname AS found"
        "  FROM pg_constraint AS k JOIN pg_class AS r ON r.oid = k.conrelid"
        "  JOIN pg_namespace AS n ON n.oid = r.relnamespace"
        " WHERE n.nspname !~ '^(pg_|information_schema)' AND k.contype = 'c' AND k.conname ~ '_check[0-9]*$'"
    )
    assert [row["found"] for row in rows] == []


@pytest.mark.parametrize(
    "sql",
    [
        "ALTER TABLE a.b DROP COLUMN c;",
        "ALTER TABLE a.b RENAME COLUMN c TO d;",
        "alter table a.b alter column c type bigint;",
        "DROP TABLE a.b;",
        "INSERT INTO a.b VALUES (1);\n TRUNCATE a.c;",
    ],
)
def test_the_check_sees_what_it_must_see(sql: str) -> None:
    assert _TAKING_AWAY.search(statements(sql))
