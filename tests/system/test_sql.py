"""SQL keeps to its room, and every named query is valid on the migrated schema."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from haidang.infra.database import Connection
from haidang.infra.queries import load_queries
from tests.system.rooms import SOURCE, below, layers, room_of

_COMMENT = re.compile(r"--[^\n]*|/\*.*?\*/", re.DOTALL)
_STRING = re.compile(r"\$(\w*)\$.*?\$\1\$|E?'(?:[^']|'')*'", re.DOTALL)
_QUALIFIED = re.compile(r'(?<![\w."])"?([a-z_][a-z0-9_]*)"?\s*\.\s*"?([a-z_][a-z0-9_]*)"?', re.IGNORECASE)
_HEADER = re.compile(r"^-- name: *(\w+)(\([^)]*\))?([\^$!*#<]*)", re.MULTILINE)


def sql_folders() -> list[Path]:
    """Every `sql/` folder of a room or pack."""
    return sorted(path for path in SOURCE.rglob("sql") if path.is_dir() and any(path.glob("*.sql")))


def without_words(sql: str) -> str:
    """The text with comments and string literals blanked."""
    return _STRING.sub("''", _COMMENT.sub(" ", sql))


def named_objects(sql: str, schemas: frozenset[str]) -> set[tuple[str, str]]:
    """Every `schema.object` in the text whose first part is one of the schemas."""
    return {
        (schema.lower(), name.lower())
        for schema, name in _QUALIFIED.findall(without_words(sql))
        if schema.lower() in schemas
    }


def schema_of(folder: Path) -> str:
    """The schema a folder's SQL owns: its room's. A pack owns none."""
    room = room_of(folder)
    return "" if room == "packs" else room


def strangers(
    sql: str, schema: str, readable: frozenset[str], published: frozenset[str], schemas: frozenset[str]
) -> list[str]:
    """What the text names that is neither its own room's nor published by a room below."""
    return sorted(
        f"{other}.{name}"
        for other, name in named_objects(sql, schemas)
        if other != schema and not (other in readable and f"{other}.{name}" in published)
    )


async def our_schemas(connection: Connection) -> frozenset[str]:
    rows = await connection.fetch(
        "SELECT nspname FROM pg_namespace WHERE nspname !~ '^pg_' AND nspname <> 'information_schema'"
    )
    return frozenset(row["nspname"] for row in rows)


async def published_objects(connection: Connection) -> frozenset[str]:
    """Views and functions whose comment begins with `published`."""
    rows = await connection.fetch(
        """
        SELECT n.nspname || '.' || c.relname AS name
          FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
         WHERE c.relkind = 'v' AND obj_description(c.oid, 'pg_class') LIKE 'published%'
         UNION
        SELECT n.nspname || '.' || p.proname
          FROM pg_proc AS p JOIN pg_namespace AS n ON n.oid = p.pronamespace
         WHERE obj_description(p.oid, 'pg_proc') LIKE 'published%'
        """
    )
    return frozenset(row["name"] for row in rows)


async def test_sql_reads_its_own_schema_and_published_views_of_rooms_below(connection: Connection) -> None:
    schemas, published = await our_schemas(connection), await published_objects(connection)
    found = [
        f"{path.relative_to(SOURCE)}: {name}"
        for folder in sql_folders()
        for path in sorted(folder.glob("*.sql"))
        for name in strangers(
            path.read_text("utf-8"), schema_of(folder), below(room_of(folder)), published, schemas
        )
    ]
    assert found == []


async def test_views_read_only_published_views_of_rooms_below(connection: Connection) -> None:
    schemas, published = await our_schemas(connection), await published_objects(connection)
    rows = await connection.fetch(
        "SELECT schemaname, viewname, definition FROM pg_views WHERE schemaname = ANY($1)", list(schemas)
    )
    found = [
        f"{row['schemaname']}.{row['viewname']}: {name}"
        for row in rows
        for name in strangers(
            row["definition"], row["schemaname"], below(row["schemaname"]), published, schemas
        )
    ]
    assert found == []


async def test_no_foreign_key_leaves_its_room(connection: Connection) -> None:
    rows = await connection.fetch(
        "SELECT conname FROM pg_constraint AS k JOIN pg_class AS a ON a.oid = k.conrelid"
        " JOIN pg_class AS b ON b.oid = k.confrelid"
        " WHERE k.contype = 'f' AND a.relnamespace <> b.relnamespace"
    )
    assert [row["conname"] for row in rows] == []


async def test_every_schema_is_a_room(connection: Connection) -> None:
    rooms = {room for line in layers() for room in line}
    assert await our_schemas(connection) - {"public"} <= rooms


async def test_nothing_of_ours_stands_in_the_public_schema(connection: Connection) -> None:
    rows = await connection.fetch("SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace")
    assert [row["relname"] for row in rows] == []


def test_sql_stands_in_named_files_only() -> None:
    """A query in Python is never PREPAREd by the test below."""
    statement = re.compile(r"""["']\s*(SELECT|INSERT INTO|UPDATE|DELETE FROM|WITH)\s""")
    written = [
        f"{path.relative_to(SOURCE)}: {match.group(0).strip()}"
        for path in sorted(SOURCE.rglob("*.py"))
        # infra builds what has no table yet: the migrator's own table, cluster-wide locks, copies.
        if room_of(path) not in {"infra", "demo"}
        for match in statement.finditer(path.read_text("utf-8"))
    ]
    assert written == []


def test_every_query_says_its_parameters_and_what_it_is_for() -> None:
    speechless = []
    for folder in sql_folders():
        for path in sorted(folder.glob("*.sql")):
            text = path.read_text("utf-8")
            for match in _HEADER.finditer(text):
                following = text[match.end() :].lstrip("\n ").splitlines()[:1]
                if match[2] is None or not (following and re.match(r"-- \S+", following[0])):
                    speechless.append(f"{path.relative_to(SOURCE)}: {match[1]}")
    assert speechless == []


def test_every_query_is_asked_by_its_room() -> None:
    unasked = []
    for folder in sql_folders():
        code = "\n".join(path.read_text("utf-8") for path in folder.parent.rglob("*.py"))
        for path in sorted(folder.glob("*.sql")):
            names = [match[1] for match in _HEADER.finditer(path.read_text("utf-8"))]
            unasked += [
                f"{path.relative_to(SOURCE)}: {one}"
                for one in names
                if not re.search(rf"\b{one}(_cursor)?\b", code)
            ]
    assert unasked == []


def queries() -> Iterator[Any]:
    for folder in sql_folders():
        for path in sorted(folder.glob("*.sql")):
            loaded = load_queries(path)
            for name in loaded.available_queries:
                # aiosql adds `name_cursor` twins of the same text.
                if not name.endswith("_cursor"):
                    yield pytest.param(getattr(loaded, name).sql, id=f"{path.relative_to(SOURCE)}:{name}")


@pytest.mark.parametrize("sql", list(queries()))
async def test_every_named_query_is_valid_on_the_migrated_schema(connection: Connection, sql: str) -> None:
    await connection.prepare(sql)


@pytest.mark.parametrize(
    ("sql", "found"),
    [
        ("SELECT 1 FROM identity.person", ["identity.person"]),
        ("SELECT 1 FROM identity.grant_area JOIN context.entity AS e USING (x)", []),
        ("SELECT 1 FROM warehouse.fact", ["warehouse.fact"]),
        ("SELECT 'identity.person' -- identity.person\n /* identity.person */", []),
        ('UPDATE "identity" . person SET x = 1', ["identity.person"]),
        ("SELECT e.identity.person FROM context.entity AS e", []),
    ],
)
def test_the_check_sees_what_it_must_see(sql: str, found: list[str]) -> None:
    schemas = frozenset({"identity", "context", "warehouse"})
    published = frozenset({"identity.grant_area", "warehouse.fact"})
    assert strangers(sql, "context", below("context"), published, schemas) == found
