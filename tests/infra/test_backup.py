"""Backup and restore: one consistent file, restored into an empty server, the same to the last row."""

import asyncio
import os
import zipfile
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from pathlib import Path

import asyncpg
import pytest

from haidang.infra.backup import (
    BackupFileExists,
    BackupFileMissing,
    BackupFromNewerVersion,
    BackupOfAnotherHistory,
    BackupUnreadable,
    DatabaseNotEmpty,
    Manifest,
    NothingToBackUp,
    RestoreDiffers,
    RowSum,
    make_backup,
    read_manifest,
    restore_backup,
)
from haidang.infra.database import Connection, prepare_connection
from haidang.infra.embedded import TemporaryCluster
from haidang.infra.migrations import Migration, migrate, read_migrations
from haidang.infra.objects import open_objects
from haidang.infra.province import change_province_setting, province_settings
from haidang.infra.tokens import actor_of_token, issue_token
from haidang.kernel.actors import part

NOW = datetime(2026, 11, 21, 5, tzinfo=UTC)
ME = part("test")
_DEBIAN = Path("/usr/lib/postgresql/15/bin")

# What migrations of rooms make: partitions by day made while running, generated columns, cycles
# of foreign keys, triggers that must not fire again, odd names, every awkward value.
_ROOM = """
CREATE SCHEMA room;
CREATE TABLE room.parent (
    parent_id bigint GENERATED ALWAYS AS IDENTITY,
    name text NOT NULL,
    doubled text GENERATED ALWAYS AS (name || name) STORED,
    number double precision,
    raw bytea,
    document jsonb,
    at timestamptz,
    place box,
    words text[],
    favourite bigint,
    CONSTRAINT parent_pkey PRIMARY KEY (parent_id)
);
CREATE TABLE room.child (
    child_id bigint,
    parent_id bigint NOT NULL,
    CONSTRAINT child_pkey PRIMARY KEY (child_id),
    CONSTRAINT child_has_parent FOREIGN KEY (parent_id) REFERENCES room.parent (parent_id)
);
ALTER TABLE room.parent ADD CONSTRAINT parent_has_favourite
    FOREIGN KEY (favourite) REFERENCES room.child (child_id);
CREATE TABLE room.observation (
    entity_id text NOT NULL,
    observed_at timestamptz NOT NULL,
    number double precision,
    CONSTRAINT observation_pkey PRIMARY KEY (entity_id, observed_at)
) PARTITION BY RANGE (observed_at);
CREATE TABLE room."Odd ""name" (nothing_generated integer);
CREATE TABLE room.log (line text);
CREATE SEQUENCE room.ticket;
CREATE FUNCTION room.note() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN INSERT INTO room.log VALUES ('noted'); PERFORM nextval('room.ticket'); RETURN NULL; END $$;
CREATE TRIGGER noted AFTER INSERT ON room.child FOR EACH ROW EXECUTE FUNCTION room.note();
"""


def migrations_with_room() -> list[Migration]:
    return [*read_migrations(), Migration(9000, "pre", "9000_pre_room", _ROOM)]


@pytest.fixture(scope="module")
def source() -> Iterator[TemporaryCluster]:
    with TemporaryCluster() as running:
        yield running


@pytest.fixture(scope="module")
def target() -> Iterator[TemporaryCluster]:
    """An empty server of its own."""
    with TemporaryCluster() as running:
        yield running


async def connect(dsn: str) -> Connection:
    connection = await asyncpg.connect(dsn)
    await prepare_connection(connection)
    return connection


@pytest.fixture
async def full(source: TemporaryCluster) -> AsyncIterator[Connection]:
    """A database with a life behind it."""
    admin = await connect(source.dsn())
    name = f"full_{os.urandom(6).hex()}"
    await admin.execute(f"CREATE DATABASE {name}")
    connection = await connect(source.dsn(name))
    await migrate(connection, migrations_with_room())
    await change_province_setting(ME, connection, "name", "Bình Định", now=NOW)
    await connection.execute(
        """
        INSERT INTO room.parent (name, number, raw, document, at, place, words)
        SELECT 'tên ' || g || E'\\t\\n\\\\ ố', g / 3.0, decode(md5(g::text), 'hex'),
               jsonb_build_object('số', g, 'thẻ', E'dòng\\nmới'),
               '2026-01-01T00:00:00.123456Z'::timestamptz + g * interval '1 second',
               box(point(g / 7.0, 108), point(g, 109)), ARRAY['a,b', NULL, '"']
          FROM generate_series(1, 5000) AS g;
        UPDATE room.parent SET number = 'NaN' WHERE parent_id = 7;
        UPDATE room.parent SET number = '-Infinity' WHERE parent_id = 8;
        DELETE FROM room.parent WHERE parent_id > 4990;
        INSERT INTO room.child SELECT g, 1 + g % 100 FROM generate_series(1, 300) AS g;
        UPDATE room.parent SET favourite = 5 WHERE parent_id = 1;
        CREATE TABLE room.observation_20261120 PARTITION OF room.observation
            FOR VALUES FROM ('2026-11-20T00:00Z') TO ('2026-11-21T00:00Z') WITH (fillfactor = 90);
        CREATE TABLE room.observation_rest PARTITION OF room.observation DEFAULT
            PARTITION BY LIST (entity_id);
        CREATE TABLE room.observation_rest_a PARTITION OF room.observation_rest FOR VALUES IN ('a');
        INSERT INTO room.observation
        SELECT 'urn:' || g, '2026-11-20T00:00Z'::timestamptz + g * interval '1 second', g
          FROM generate_series(1, 20000) AS g;
        INSERT INTO room.observation VALUES ('a', '2030-01-01T00:00Z', 1.5);
        INSERT INTO room."Odd ""name" VALUES (1), (NULL);
        """
    )
    yield connection
    await connection.close()
    await admin.execute(f"DROP DATABASE {name} WITH (FORCE)")
    await admin.close()


@pytest.fixture
async def empty(target: TemporaryCluster) -> AsyncIterator[Connection]:
    admin = await connect(target.dsn())
    name = f"empty_{os.urandom(6).hex()}"
    await admin.execute(f"CREATE DATABASE {name}")
    connection = await connect(target.dsn(name))
    yield connection
    await connection.close()
    await admin.execute(f"DROP DATABASE {name} WITH (FORCE)")
    await admin.close()


def names_in(folder: Path) -> list[str]:
    return [found.name for found in folder.iterdir()]


async def backed_up(connection: Connection, path: Path) -> Manifest:
    return await make_backup(ME, connection, path, now=NOW, program="test")


async def rows_of(connection: Connection) -> dict[str, str]:
    """Every table's content in one hash, by another way than the backup's own."""
    tables = await connection.fetch(
        "SELECT schemaname AS s, tablename AS t FROM pg_tables WHERE schemaname !~ '^pg_'"
        " AND schemaname <> 'information_schema' AND tablename <> 'migration'"
    )
    return {
        f"{row['s']}.{row['t']}": await connection.fetchval(
            f"""SELECT count(*) || md5(coalesce(string_agg(md5(t::text), '' ORDER BY md5(t::text)), ''))
                  FROM ONLY "{row["s"]}"."{row["t"].replace('"', '""')}" AS t"""  # noqa: S608  (names from the catalogue, quoted)
        )
        for row in tables
    }


async def test_a_backup_restores_into_an_empty_server_to_the_last_row(
    full: Connection, empty: Connection, tmp_path: Path
) -> None:
    token = await issue_token(ME, full, "station", now=NOW, lasts=None)
    made = await backed_up(full, tmp_path / "b.zip")
    assert made.rows > 25_000
    restored = await restore_backup(ME, empty, tmp_path / "b.zip", migrations=migrations_with_room())

    assert restored == made
    assert await rows_of(empty) == await rows_of(full)
    assert (await province_settings(empty, "default")).name == "Bình Định"
    assert await actor_of_token(empty, token, now=NOW) is not None
    # Sequences go on where they stood: no number is given twice.
    for connection in (full, empty):
        assert (
            await connection.fetchval("INSERT INTO room.parent (name) VALUES ('next') RETURNING parent_id")
            == 5001
        )
        assert await connection.fetchval("SELECT nextval('room.ticket')") == 301
    # The trigger did not fire while loading, and fires again now.
    assert await empty.fetchval("SELECT count(*) FROM room.log") == 300
    await empty.execute("INSERT INTO room.child VALUES (1000, 1)")
    assert await empty.fetchval("SELECT count(*) FROM room.log") == 301
    with pytest.raises(asyncpg.ForeignKeyViolationError):
        await empty.execute("INSERT INTO room.child VALUES (1001, 99999)")
    assert await empty.fetchval("SELECT reloptions FROM pg_class WHERE relname = 'observation_20261120'") == [
        "fillfactor=90"
    ]


@pytest.mark.skipif(not _DEBIAN.is_dir(), reason="Debian's PostgreSQL 15 is not installed")
async def test_a_backup_of_18_restores_into_15(full: Connection, tmp_path: Path) -> None:
    await backed_up(full, tmp_path / "b.zip")
    with TemporaryCluster(programs=_DEBIAN) as older:
        connection = await connect(older.dsn())
        await restore_backup(ME, connection, tmp_path / "b.zip", migrations=migrations_with_room())
        assert await rows_of(connection) == await rows_of(full)
        await connection.close()


async def test_later_migrations_run_after_the_rows_are_back(
    full: Connection, empty: Connection, tmp_path: Path
) -> None:
    await backed_up(full, tmp_path / "b.zip")
    later = Migration(
        9001, "pre", "9001_pre_room_more", "ALTER TABLE room.child ADD COLUMN more integer NOT NULL DEFAULT 3"
    )
    await restore_backup(ME, empty, tmp_path / "b.zip", migrations=[*migrations_with_room(), later])
    assert await empty.fetchval("SELECT sum(more) FROM room.child") == 900


async def test_a_backup_is_one_moment_while_others_write(
    full: Connection, empty: Connection, tmp_path: Path
) -> None:
    """Every pair is written in one transaction: a backup with half a pair would be a torn one."""
    await full.execute("CREATE TABLE room.left_half (n integer); CREATE TABLE room.right_half (n integer)")
    stop, twenty = asyncio.Event(), asyncio.Event()
    written = 0
    dsn_of_writer = await full.fetchval("SELECT current_database()")
    writer = await connect(f"postgresql://haidang@/{dsn_of_writer}?host={_socket_of(full)}")

    async def write_pairs() -> None:
        nonlocal written
        while not stop.is_set():
            async with writer.transaction():
                await writer.execute("INSERT INTO room.left_half VALUES ($1)", written)
                await writer.execute("INSERT INTO room.right_half VALUES ($1)", written)
            written += 1
            if written == 20:
                twenty.set()

    writing = asyncio.ensure_future(write_pairs())
    await twenty.wait()
    made = await backed_up(full, tmp_path / "b.zip")
    stop.set()
    await writing
    await writer.close()
    rows = {table.name: table.rows for table in made.tables}
    assert 20 <= rows["left_half"] == rows["right_half"] <= written
    room = Migration(
        9001,
        "pre",
        "9001_pre_halves",
        "CREATE TABLE room.left_half (n integer); CREATE TABLE room.right_half (n integer)",
    )
    # These tables came from no migration of the backup: the restore says so and keeps nothing.
    with pytest.raises(asyncpg.UndefinedTableError):
        await restore_backup(ME, empty, tmp_path / "b.zip", migrations=[*migrations_with_room(), room])
    assert await empty.fetchval("SELECT to_regclass('infra.migration')") is None


def _socket_of(connection: Connection) -> str:
    return str(Path(connection._addr).parent)


async def test_only_an_empty_database_is_filled(full: Connection, tmp_path: Path) -> None:
    await backed_up(full, tmp_path / "b.zip")
    with pytest.raises(DatabaseNotEmpty):
        await restore_backup(ME, full, tmp_path / "b.zip", migrations=migrations_with_room())


async def test_a_backup_overwrites_no_file_and_leaves_no_half_one(full: Connection, tmp_path: Path) -> None:
    path = tmp_path / "b.zip"
    path.write_bytes(b"mine")
    with pytest.raises(BackupFileExists):
        await backed_up(full, path)
    assert path.read_bytes() == b"mine"
    path.unlink()
    await full.execute("ALTER TABLE infra.migration RENAME TO gone")
    with pytest.raises(NothingToBackUp):
        await backed_up(full, path)
    await full.execute("ALTER TABLE infra.gone RENAME TO migration")
    assert names_in(tmp_path) == []


async def test_a_backup_is_for_its_owner_only(full: Connection, tmp_path: Path) -> None:
    await backed_up(full, tmp_path / "b.zip")
    assert (tmp_path / "b.zip").stat().st_mode & 0o777 == 0o600


async def test_damage_is_found_and_nothing_is_kept(
    full: Connection, empty: Connection, tmp_path: Path
) -> None:
    await backed_up(full, tmp_path / "b.zip")
    whole = (tmp_path / "b.zip").read_bytes()

    (tmp_path / "short.zip").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(BackupUnreadable):
        await restore_backup(ME, empty, tmp_path / "short.zip", migrations=migrations_with_room())

    flipped = bytearray(whole)
    flipped[len(whole) // 3] ^= 0xFF
    (tmp_path / "flipped.zip").write_bytes(flipped)
    with pytest.raises((BackupUnreadable, RestoreDiffers, asyncpg.PostgresError)):
        await restore_backup(ME, empty, tmp_path / "flipped.zip", migrations=migrations_with_room())

    # Repacked by somebody: the archive's own sums agree, the manifest's do not.
    def without_a_row(content: bytes) -> bytes:
        return content[content.index(b"\n") + 1 :]

    def with_another_row(content: bytes) -> bytes:
        return b"400\t7" + content[content.index(b"\n") :]

    for change, said in ((without_a_row, "299 rows"), (with_another_row, r"room\.child")):
        with zipfile.ZipFile(tmp_path / "b.zip") as old, zipfile.ZipFile(tmp_path / "other.zip", "w") as new:
            for name in old.namelist():
                content = old.read(name)
                new.writestr(name, change(content) if name == "tables/room.child" else content)
        with pytest.raises(RestoreDiffers, match=said):
            await restore_backup(ME, empty, tmp_path / "other.zip", migrations=migrations_with_room())
    assert await empty.fetchval("SELECT count(*) FROM pg_tables WHERE schemaname = 'infra'") == 0

    with pytest.raises(BackupFileMissing):
        await restore_backup(ME, empty, tmp_path / "none.zip")
    (tmp_path / "other.zip").write_bytes(b"no zip at all")
    with pytest.raises(BackupUnreadable):
        read_manifest(tmp_path / "other.zip")


async def test_a_backup_of_a_newer_or_another_program_is_refused(
    full: Connection, empty: Connection, tmp_path: Path
) -> None:
    await backed_up(full, tmp_path / "b.zip")
    with pytest.raises(BackupFromNewerVersion):
        await restore_backup(ME, empty, tmp_path / "b.zip", migrations=read_migrations())
    changed = [*read_migrations(), Migration(9000, "pre", "9000_pre_room", _ROOM + "-- changed")]
    with pytest.raises(BackupOfAnotherHistory):
        await restore_backup(ME, empty, tmp_path / "b.zip", migrations=changed)


async def test_object_files_come_along(full: Connection, empty: Connection, tmp_path: Path) -> None:
    first = open_objects((tmp_path / "first").as_uri(), {})
    ids = [await first.put(ME, os.urandom(size)) for size in (1, 1000, 3_000_000)]
    other = part("test", "another-tenant")
    ids_of_other = [await first.put(other, b"theirs")]
    made = await make_backup(ME, full, tmp_path / "b.zip", now=NOW, program="test", objects=first)
    assert len(made.objects) == 4

    second = open_objects((tmp_path / "second").as_uri(), {})
    await restore_backup(ME, empty, tmp_path / "b.zip", migrations=migrations_with_room(), objects=second)
    for name in ids:
        assert await second.get(ME, name) == await first.get(ME, name)
    assert await second.get(other, ids_of_other[0]) == b"theirs"


def test_the_sum_does_not_depend_on_order_or_on_pieces() -> None:
    one, two, three = RowSum(), RowSum(), RowSum()
    one.add(b"a\nb\nc\n")
    for piece in (b"c\n", b"", b"a", b"\nb\n"):
        two.add(piece)
    three.add(b"a\nb\nb\n")
    assert one.checksum == two.checksum != three.checksum
    assert one.rows == two.rows == 3
