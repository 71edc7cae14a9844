"""Every column that could hold something about a person says whether it does, and on what terms."""

import re

import pytest

from haidang.infra.database import Connection

# Types that can carry a name, an address, a device. Numbers, times, booleans and ranges cannot by themselves.
_TELLING = (
    "text", "varchar", "bpchar", "char", "name", "citext", "json", "jsonb", "xml", "bytea", "inet", "cidr",
    "macaddr", "macaddr8", "uuid", "hstore", "tsvector",
)  # fmt: skip
_NO = re.compile(r"personal: no(\b|$)")
_YES = re.compile(r"personal: [^;]+; purpose: [^;]+; basis: [^;]+; kept: \S.*")

# Chosen by a program and telling of no person: they need no declaration.
_HARMLESS = ("uuid", "tsvector", "name", "char")


def is_declared(comment: str | None) -> bool:
    return bool(comment and (_NO.match(comment) or _YES.match(comment)))


async def test_every_telling_column_declares_whether_it_is_personal(connection: Connection) -> None:
    rows = await connection.fetch(
        """
        SELECT n.nspname || '.' || c.relname || '.' || a.attname AS name,
               col_description(c.oid, a.attnum) AS comment
          FROM pg_attribute AS a
          JOIN pg_class AS c ON c.oid = a.attrelid
          JOIN pg_namespace AS n ON n.oid = c.relnamespace
          JOIN pg_type AS t ON t.oid = a.atttypid
          LEFT JOIN pg_type AS element ON element.oid = t.typelem AND t.typcategory = 'A'
         WHERE n.nspname !~ '^(pg_|information_schema)' AND c.relkind IN ('r', 'p') AND NOT c.relispartition
           AND a.attnum > 0 AND NOT a.attisdropped
           AND coalesce(element.typname, t.typname) = ANY($1)
         ORDER BY 1
        """,
        [one for one in _TELLING if one not in _HARMLESS],
    )
    assert [row["name"] for row in rows if not is_declared(row["comment"])] == []


@pytest.mark.parametrize(
    ("comment", "fine"),
    [
        ("personal: no", True),
        ("personal: no; ids of machines only", True),
        ("personal: name of the caller; purpose: call back; basis: Law 91/2025 art. 9; kept: 30 days", True),
        ("personal: name of the caller", False),
        ("personal: nothing", False),
        ("the name", False),
        (None, False),
    ],
)
def test_a_declaration_is_complete_or_none(comment: str | None, fine: bool) -> None:  # noqa: FBT001 (a table of cases)
    assert is_declared(comment) is fine
