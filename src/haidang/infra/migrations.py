"""Plain-SQL migrations, forward only: `NNNN_pre_….sql` before the new code, `NNNN_post_…` after.

Each file runs once, in number order, in a transaction of its own, under one lock for all
processes. A file that was applied and has changed since is refused.
"""

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

import haidang
from haidang.infra.database import Connection
from haidang.kernel.errors import Conflict

_FILE = re.compile(r"(?P<number>\d{4})_(?P<phase>pre|post)_(?P<name>[a-z0-9_]+)\.sql")
_LOCK = 0x6861_6964  # "haid": one migrator at a time


class MigrationChanged(Conflict):
    """Migration {name} has changed since it was applied; write a new one instead."""


class DatabaseNewerThanProgram(Conflict):
    """The database has migration {name}, which this version does not know: it was used by a newer one. Run that version, or restore a backup of this one."""  # noqa: E501 - a message id is one line


class MigrationsMisnumbered(Conflict):
    """Two migrations carry the number {number}."""


@dataclass(frozen=True, slots=True)
class Migration:
    """One file: its number, whether it runs before or after the new code, and its text."""

    number: int
    phase: str
    name: str
    sql: str

    @property
    def checksum(self) -> str:
        """SHA-256 of the text, in hexadecimal."""
        return hashlib.sha256(self.sql.encode()).hexdigest()


def migrations_folder() -> Path:
    """Where the files are: inside an installed package, or beside `src` in a checkout."""
    package = Path(haidang.__file__ or "").parent
    installed = package / "migrations"
    return installed if installed.is_dir() else package.parents[1] / "migrations"


def read_migrations(folder: Path | None = None) -> list[Migration]:
    """Every migration in number order."""
    found: dict[int, Migration] = {}
    for path in sorted((folder or migrations_folder()).glob("*.sql")):
        match = _FILE.fullmatch(path.name)
        if match is None:
            continue
        number = int(match["number"])
        if number in found:
            raise MigrationsMisnumbered(number=number)
        found[number] = Migration(number, match["phase"], path.stem, path.read_text(encoding="utf-8"))
    return [found[number] for number in sorted(found)]


async def migrate(connection: Connection, migrations: list[Migration] | None = None) -> list[str]:
    """Apply what is missing and return the names applied.

    Raises MigrationChanged and DatabaseNewerThanProgram before anything is touched. A failing
    migration leaves nothing of itself; those before it stay.
    """
    wanted = read_migrations() if migrations is None else migrations
    await connection.execute("SELECT pg_advisory_lock($1)", _LOCK)
    try:
        await connection.execute(
            "CREATE SCHEMA IF NOT EXISTS infra;"
            "CREATE TABLE IF NOT EXISTS infra.migration ("
            " number integer PRIMARY KEY, name text NOT NULL, checksum text NOT NULL,"
            " applied_at timestamptz NOT NULL DEFAULT now())"
        )
        known = {migration.number: migration for migration in wanted}
        applied = await connection.fetch("SELECT number, name, checksum FROM infra.migration ORDER BY number")
        for row in applied:
            if row["number"] not in known:
                raise DatabaseNewerThanProgram(name=row["name"])
            if row["checksum"] != known[row["number"]].checksum:
                raise MigrationChanged(name=row["name"])
        done = {row["number"] for row in applied}
        names: list[str] = []
        for migration in wanted:
            if migration.number in done:
                continue
            async with connection.transaction():
                await connection.execute(migration.sql)
                await connection.execute(
                    "INSERT INTO infra.migration (number, name, checksum) VALUES ($1, $2, $3)",
                    migration.number,
                    migration.name,
                    migration.checksum,
                )
            await connection.execute("RESET lock_timeout; RESET statement_timeout")
            names.append(migration.name)
        return names
    finally:
        await connection.execute("SELECT pg_advisory_unlock($1)", _LOCK)
