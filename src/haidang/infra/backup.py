"""Backup and restore of everything: one consistent snapshot in one file, proven by checksums.

The file is a ZIP archive: `tables/<schema>.<table>` in PostgreSQL's COPY text form, `objects/…`,
and `manifest.json`. It depends on no version of PostgreSQL and on no program of its. See
docs/how-to/backup-and-restore.md and ADR 0013.
"""

import contextlib
import hashlib
import os
import zipfile
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import IO

import msgspec

from haidang.infra.database import Connection, Row
from haidang.infra.migrations import Migration, migrate, read_migrations
from haidang.infra.objects import ObjectFiles, ObjectNotFound
from haidang.infra.queries import load_queries
from haidang.kernel.actors import Actor, Audience, part
from haidang.kernel.errors import Conflict, Denied, Invalid, NotFound
from haidang.kernel.instants import Instant

FORMAT = "haidang-backup"
FORMAT_VERSION = 1
_MANIFEST = "manifest.json"
_MODULUS = 1 << 256
_CHUNK = 1 << 20

_queries = load_queries(Path(__file__).parent / "sql" / "backup.sql")


class BackupFileExists(Conflict):
    """The file {path} exists already; a backup never overwrites one."""


class BackupFileMissing(NotFound):
    """There is no backup file {path}."""


class BackupUnreadable(Invalid):
    """The file {path} is no whole backup of Hải Đăng: {reason}."""


class NothingToBackUp(NotFound):
    """There is nothing to back up: this database was never used by Hải Đăng."""


class BackupFromNewerVersion(Conflict):
    """The backup was made by a newer version of the program ({reason}); restore it with that version."""


class BackupOfAnotherHistory(Conflict):
    """The migration {name} of the backup is not the one that this version has."""


class DatabaseNotEmpty(Conflict):
    """The database is not empty (there is {table}); a backup is restored into an empty one only."""


class RestoreDiffers(Conflict):
    """After loading, {name} has {found} where the backup has {expected}; nothing was kept."""


class BackupsAreForAdministrators(Denied):
    """Only an administrator may back up or restore."""


class TableInBackup(msgspec.Struct, frozen=True):
    """One table: its columns in order, how many rows, their checksum, the bytes of its text."""

    schema: str
    name: str
    columns: tuple[str, ...]
    rows: int
    checksum: str
    size: int

    @property
    def member(self) -> str:
        """Its name in the archive."""
        return f"tables/{self.schema}.{self.name}"


class PartitionInBackup(msgspec.Struct, frozen=True):
    """A partition: made by the running platform, not by a migration, so it is made again from this."""

    schema: str
    name: str
    parent_schema: str
    parent: str
    bound: str
    partition_key: str | None
    options: tuple[str, ...]


class SequenceInBackup(msgspec.Struct, frozen=True):
    """Where a sequence stands; `None` when it was never used."""

    schema: str
    name: str
    last_value: int | None


class MigrationInBackup(msgspec.Struct, frozen=True):
    """A migration that had been applied."""

    number: int
    name: str
    checksum: str


class ObjectInBackup(msgspec.Struct, frozen=True):
    """An object file; its content id is its checksum."""

    tenant: str
    content_id: str
    size: int

    @property
    def member(self) -> str:
        """Its name in the archive."""
        return f"objects/{self.tenant}/{self.content_id}"


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """What a backup holds."""

    format: str
    format_version: int
    made_at: Instant
    made_by: str
    program: str
    server: str
    migrations: tuple[MigrationInBackup, ...]
    partitions: tuple[PartitionInBackup, ...]
    tables: tuple[TableInBackup, ...]
    sequences: tuple[SequenceInBackup, ...]
    objects: tuple[ObjectInBackup, ...]

    @property
    def rows(self) -> int:
        """Rows of all tables together."""
        return sum(table.rows for table in self.tables)


class RowSum:
    """Counts rows of a COPY text stream and sums their SHA-256: the order of rows does not matter."""

    def __init__(self) -> None:
        self.rows = 0
        self.size = 0
        self._sum = 0
        self._rest = b""

    def add(self, chunk: bytes) -> None:
        """Take the next piece of the stream; a row is a line, its own line feeds are escaped."""
        self.size += len(chunk)
        *lines, self._rest = (self._rest + chunk).split(b"\n")
        total = 0
        for line in lines:
            total += int.from_bytes(hashlib.sha256(line).digest(), "big")
        self._sum = (self._sum + total) % _MODULUS
        self.rows += len(lines)

    @property
    def checksum(self) -> str:
        """The sum in hexadecimal; the stream must have ended with a line feed."""
        if self._rest:
            raise ValueError("the stream ends inside a row")
        return f"{self._sum:064x}"


async def make_backup(
    actor: Actor,
    connection: Connection,
    path: Path,
    *,
    now: Instant,
    program: str,
    objects: ObjectFiles | None = None,
    on_table: Callable[[TableInBackup], None] = lambda _: None,
) -> Manifest:
    """Write everything to `path`, which appears only when it is whole, readable by its owner only."""
    _require_administrator(actor)
    if path.exists():  # noqa: ASYNC240 - a command's own process waits for nobody else
        raise BackupFileExists(path=path)
    partial = path.with_name(path.name + ".partial")
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=3) as archive:
                manifest = await _write_database(
                    connection, archive, now=now, actor=actor, program=program, on_table=on_table
                )
                if objects is not None:
                    # After the snapshot: whatever a row of it names was stored before its commit.
                    manifest = msgspec.structs.replace(
                        manifest, objects=tuple([one async for one in _write_objects(objects, archive)])
                    )
                archive.writestr(_MANIFEST, msgspec.json.format(msgspec.json.encode(manifest), indent=1))
            file.flush()
            os.fsync(file.fileno())
        os.link(partial, path)  # Unlike a rename, it never replaces a file that came in between.
    except FileExistsError:
        raise BackupFileExists(path=path) from None
    finally:
        partial.unlink(missing_ok=True)
    _sync_folder(path.parent)
    return manifest


def read_manifest(path: Path) -> Manifest:
    """What a backup holds; raises BackupFileMissing, BackupUnreadable, BackupFromNewerVersion."""
    with _opened(path) as archive:
        return _manifest_of(archive, path)


async def restore_backup(
    actor: Actor,
    connection: Connection,
    path: Path,
    *,
    objects: ObjectFiles | None = None,
    migrations: list[Migration] | None = None,
    on_table: Callable[[TableInBackup], None] = lambda _: None,
) -> Manifest:
    """Fill an empty database from `path`, all or nothing, and prove that it is the same.

    The migrations of the backup are applied, its rows loaded, read back and compared, then the
    migrations that came later are applied; all in one transaction. Object files come first: a
    row never names a file that is not there.
    """
    _require_administrator(actor)
    known = read_migrations() if migrations is None else migrations
    with _opened(path) as archive:
        manifest = _manifest_of(archive, path)
        same, later = _split(known, manifest)
        occupied = await _queries.first_table(connection)
        if occupied is not None:
            raise DatabaseNotEmpty(table=occupied)
        if objects is not None:
            await _read_objects(objects, archive, manifest, path)
        async with connection.transaction():
            await _queries.take_all_the_time(connection)
            await migrate(connection, same)
            await _queries.take_all_the_time(connection)  # Migrations set limits of their own.
            await _make_partitions(connection, manifest)
            async with _without_constraints(connection):
                await _load_tables(connection, archive, manifest, path, on_table)
            for sequence in manifest.sequences:
                if sequence.last_value is not None:
                    await _queries.set_sequence(
                        connection, schema=sequence.schema, name=sequence.name, value=sequence.last_value
                    )
            await _verify(connection, manifest)
            if later:
                await migrate(connection, sorted([*same, *later], key=lambda one: one.number))
    return manifest


# -- writing -----------------------------------------------------------------------------------


async def _write_database(
    connection: Connection,
    archive: zipfile.ZipFile,
    *,
    now: Instant,
    actor: Actor,
    program: str,
    on_table: Callable[[TableInBackup], None],
) -> Manifest:
    async with connection.transaction(isolation="repeatable_read", readonly=True):
        await _queries.take_all_the_time(connection)
        if await _queries.relation(connection, qualified="infra.migration") is None:
            raise NothingToBackUp
        migrations = [
            MigrationInBackup(row["number"], row["name"], row["checksum"])
            async for row in _queries.applied_migrations(connection)
        ]
        listed = [row async for row in _queries.tables(connection)]
        for row in listed:  # Nobody may drop a partition while it waits for its turn.
            await connection.execute(f"LOCK TABLE {row['qualified']} IN ACCESS SHARE MODE")
        tables = []
        for row in listed:
            table = await _write_table(connection, archive, row)
            tables.append(table)
            on_table(table)
        partitions = [
            PartitionInBackup(
                row["schema"],
                row["name"],
                row["parent_schema"],
                row["parent"],
                row["bound"],
                row["partition_key"],
                tuple(row["options"]),
            )
            async for row in _queries.partitions(connection)
        ]
        # Read last: sequences know no snapshot, and later is never too low.
        sequences = [
            SequenceInBackup(row["schema"], row["name"], row["last_value"])
            async for row in _queries.sequences(connection)
        ]
        server = str(await _queries.server_version(connection))
    return Manifest(
        format=FORMAT,
        format_version=FORMAT_VERSION,
        made_at=now,
        made_by=actor.actor_id,
        program=program,
        server=server,
        migrations=tuple(migrations),
        partitions=tuple(partitions),
        tables=tuple(tables),
        sequences=tuple(sequences),
        objects=(),
    )


async def _write_table(connection: Connection, archive: zipfile.ZipFile, row: Row) -> TableInBackup:
    found = RowSum()
    columns = tuple(row["columns"])
    with archive.open(f"tables/{row['schema']}.{row['name']}", "w", force_zip64=True) as member:

        async def keep(chunk: bytes) -> None:
            found.add(chunk)
            member.write(chunk)

        await _copy_out(connection, row["qualified"], columns, keep)
    return TableInBackup(row["schema"], row["name"], columns, found.rows, found.checksum, found.size)


async def _copy_out(connection: Connection, qualified: str, columns: Sequence[str], keep: object) -> None:
    listed = ", ".join(_quoted(column) for column in columns)
    # A table without columns to copy still has rows to count.
    query = f"SELECT {listed} FROM ONLY {qualified}"  # noqa: S608 - names are quoted by quote_ident's rule
    await connection.copy_from_query(query, output=keep, format="text")


async def _write_objects(objects: ObjectFiles, archive: zipfile.ZipFile) -> AsyncIterator[ObjectInBackup]:
    async for stored in objects.each(part("backup")):
        found = ObjectInBackup(stored.tenant, stored.content_id, stored.size)
        chunks = objects.stream(part("backup", stored.tenant), stored.content_id)
        try:
            first = await anext(chunks, b"")
        except ObjectNotFound:  # Deleted since it was listed.
            continue
        with archive.open(found.member, "w", force_zip64=True) as member:
            member.write(first)
            async for chunk in chunks:  # Compared with its id on the way: raises ObjectDamaged.
                member.write(chunk)
        yield found


# -- reading -----------------------------------------------------------------------------------


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[zipfile.ZipFile]:
    if not path.is_file():
        raise BackupFileMissing(path=path)
    try:
        archive = zipfile.ZipFile(path)
    except (OSError, zipfile.BadZipFile) as trouble:
        raise BackupUnreadable(path=path, reason=trouble) from None
    with archive:
        yield archive


def _manifest_of(archive: zipfile.ZipFile, path: Path) -> Manifest:
    try:
        text = archive.read(_MANIFEST)
        head = msgspec.json.decode(text)
        if not isinstance(head, dict) or head.get("format") != FORMAT:
            raise BackupUnreadable(path=path, reason="it does not say that it is one")
        if head.get("format_version") != FORMAT_VERSION:
            raise BackupFromNewerVersion(reason=f"format {head.get('format_version')}")
        return msgspec.json.decode(text, type=Manifest)
    except (KeyError, zipfile.BadZipFile, msgspec.MsgspecError, OSError, EOFError) as trouble:
        raise BackupUnreadable(path=path, reason=trouble) from None


def _split(known: list[Migration], manifest: Manifest) -> tuple[list[Migration], list[Migration]]:
    """Our migrations that the backup had, and those that came later."""
    had = {one.number: one for one in manifest.migrations}
    ours = {one.number: one for one in known}
    for number, one in had.items():
        if number not in ours:
            raise BackupFromNewerVersion(reason=one.name)
        if ours[number].checksum != one.checksum:
            raise BackupOfAnotherHistory(name=one.name)
    return [one for one in known if one.number in had], [one for one in known if one.number not in had]


async def _make_partitions(connection: Connection, manifest: Manifest) -> None:
    """Make partitions that no migration makes, parents first (they are listed so)."""
    for one in manifest.partitions:
        qualified = f"{_quoted(one.schema)}.{_quoted(one.name)}"
        if await _queries.relation(connection, qualified=qualified) is not None:
            continue
        parent = f"{_quoted(one.parent_schema)}.{_quoted(one.parent)}"
        divided = f" PARTITION BY {one.partition_key}" if one.partition_key else ""
        options = f" WITH ({', '.join(one.options)})" if one.options else ""
        await connection.execute(
            f"CREATE TABLE {qualified} PARTITION OF {parent} {one.bound}{divided}{options}"
        )


@asynccontextmanager
async def _without_constraints(connection: Connection) -> AsyncIterator[None]:
    """Load without foreign keys and triggers of ours: rows come in any order, and did all this once."""
    keys = [row async for row in _queries.foreign_keys(connection)]
    triggers = [row async for row in _queries.triggers(connection)]
    for row in keys:
        await connection.execute(f"ALTER TABLE {row['qualified']} DROP CONSTRAINT {row['name']}")
    for row in triggers:
        await connection.execute(f"ALTER TABLE {row['qualified']} DISABLE TRIGGER {row['name']}")
    yield
    for row in triggers:
        await connection.execute(f"ALTER TABLE {row['qualified']} ENABLE {row['mode']} TRIGGER {row['name']}")
    for row in keys:  # Every row is checked here.
        await connection.execute(
            f"ALTER TABLE {row['qualified']} ADD CONSTRAINT {row['name']} {row['definition']}"
        )


async def _load_tables(
    connection: Connection,
    archive: zipfile.ZipFile,
    manifest: Manifest,
    path: Path,
    on_table: Callable[[TableInBackup], None],
) -> None:
    present = [row["qualified"] async for row in _queries.tables(connection)]
    if present:  # What a migration put in is in the backup too, as it is now.
        await connection.execute(f"TRUNCATE {', '.join(present)}")
    for table in manifest.tables:
        read = RowSum()
        try:
            with archive.open(table.member) as member:
                await connection.copy_to_table(
                    table.name,
                    schema_name=table.schema,
                    columns=list(table.columns),
                    source=_chunks(member, read),
                    format="text",
                )
        except (KeyError, zipfile.BadZipFile, EOFError, OSError) as trouble:
            raise BackupUnreadable(path=path, reason=f"{table.member}: {trouble}") from None
        on_table(table)


async def _chunks(member: IO[bytes], read: RowSum) -> AsyncIterator[bytes]:
    while chunk := member.read(_CHUNK):
        read.add(chunk)
        yield chunk


async def _verify(connection: Connection, manifest: Manifest) -> None:
    """Read every table back and compare with the backup."""
    present = {(row["schema"], row["name"]): row["qualified"] async for row in _queries.tables(connection)}
    for table in manifest.tables:
        found = RowSum()

        async def add(chunk: bytes, found: RowSum = found) -> None:
            found.add(chunk)

        await _copy_out(connection, present[table.schema, table.name], table.columns, add)
        name = f"{table.schema}.{table.name}"
        if found.rows != table.rows:
            raise RestoreDiffers(name=name, found=f"{found.rows} rows", expected=f"{table.rows} rows")
        if found.checksum != table.checksum:
            raise RestoreDiffers(name=name, found=found.checksum, expected=table.checksum)
    standing = {
        (row["schema"], row["name"]): row["last_value"] async for row in _queries.sequences(connection)
    }
    for sequence in manifest.sequences:
        found_value = standing.get((sequence.schema, sequence.name))
        if found_value != sequence.last_value:
            raise RestoreDiffers(
                name=f"{sequence.schema}.{sequence.name}", found=found_value, expected=sequence.last_value
            )


async def _read_objects(
    objects: ObjectFiles, archive: zipfile.ZipFile, manifest: Manifest, path: Path
) -> None:
    for one in manifest.objects:
        try:
            content = archive.read(one.member)
        except (KeyError, zipfile.BadZipFile, EOFError) as trouble:
            raise BackupUnreadable(path=path, reason=f"{one.member}: {trouble}") from None
        kept = await objects.put(part("restore", one.tenant), content)
        if kept != one.content_id:
            raise RestoreDiffers(name=one.member, found=kept, expected=one.content_id)


def _require_administrator(actor: Actor) -> None:
    if not actor.belongs_to(Audience.ADMINISTRATOR):
        raise BackupsAreForAdministrators


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
