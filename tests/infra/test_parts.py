"""`haidang up`: one on a home, restarts what dies, stops in order, leaves no process behind."""

import asyncio
import contextlib
import io
import os
import re
import shutil
import signal
import socket
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from urllib.request import urlopen

import asyncpg
import pytest
from rich.console import Console
from tests.infra.platforms import Platform, answers, environment, home, new_home
from tests.infra.processes import alive, descendants, finished, until, words_of

from haidang.infra.database import TRANSIENT, open_pool, transaction
from haidang.infra.embedded import place_of
from haidang.infra.parts import Part, Supervisor, pause_before_restart
from haidang.infra.progress import Progress
from haidang.infra.settings import read_settings
from haidang.kernel.errors import Unavailable
from haidang.kernel.instants import SystemClock

__all__ = ["home"]

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]  # a whole platform each, on two busy cores


@pytest.fixture(scope="module")
def platform() -> Iterator[Platform]:
    """One for all tests that it survives."""
    with new_home() as folder:
        running = Platform(folder)
        yield running
        running.close()


async def test_it_starts_whole_shows_the_token_once_and_stops_in_order(home: Path) -> None:
    first = Platform(home)
    port = await first.until_ready()
    assert answers(port)
    assert len(re.findall(r"^ +hd_[\w-]{43}$", first.said, re.MULTILINE)) == 1
    family = descendants(first.process.pid)
    second = Platform(home)
    assert await asyncio.to_thread(second.process.wait, 30) == 1
    assert f"process {first.process.pid}" in second.said
    first.process.terminate()
    assert await asyncio.to_thread(first.process.wait, 60) == 0
    assert not alive(family)
    assert "was killed" not in first.said
    logs = "".join(log.read_text("utf-8") for log in place_of(home).logs.glob("postgresql-*.log"))
    assert "database system is shut down" in logs
    first.close()
    second.close()

    again = Platform(home)
    await again.until_ready()
    assert "hd_" not in again.said
    assert "haidang token issue" in again.said
    again.close()


async def test_kill_9_of_the_supervisor_leaves_no_process(home: Path) -> None:
    platform = Platform(home)
    await platform.until_ready()
    family = descendants(platform.process.pid)
    assert len(family) > 8
    platform.process.kill()
    platform.process.wait()
    await until(lambda: not alive(family), 15, "every process to end")
    platform.close()


@pytest.mark.parametrize("part", ["web", "work", "intake", "haidang.infra.broker"])
async def test_a_part_that_is_killed_runs_again(platform: Platform, part: str) -> None:
    port = await platform.until_ready()
    killed = platform.part("-m", part) if "." in part else platform.part("haidang", part)
    said_before = platform.said.count("SIGKILL")
    os.kill(killed, signal.SIGKILL)
    await until(lambda: platform.said.count("SIGKILL") > said_before, 10, "the supervisor to say so")

    def another() -> bool:
        with contextlib.suppress(AssertionError):
            words = ("-m", part) if "." in part else ("haidang", part)
            return platform.part(*words) != killed
        return False

    await until(another, 20, "another process of the part")
    await until(lambda: answers(port), 30, "readiness")


async def test_a_request_waits_while_the_web_process_restarts(platform: Platform) -> None:
    """The supervisor holds the listening socket: nobody is refused."""
    port = await platform.until_ready()
    os.kill(platform.part("haidang", "web"), signal.SIGKILL)

    def ask() -> int:
        with urlopen(f"http://127.0.0.1:{port}/healthz", timeout=30) as answer:
            return int(answer.status)

    await asyncio.sleep(0.1)
    assert await asyncio.to_thread(ask) == 200


async def test_kill_9_of_the_database_under_load_loses_nothing_and_all_go_on(platform: Platform) -> None:
    port = await platform.until_ready()
    pool = await open_pool(place_of(platform.home).dsn(), largest=4)
    await pool.execute("CREATE TABLE public.kept (n bigint PRIMARY KEY)")
    acknowledged: list[int] = []
    stop = asyncio.Event()

    async def write(first: int) -> None:
        number = first
        while not stop.is_set():
            number += 1
            try:
                async with transaction(pool) as connection:
                    await connection.execute("INSERT INTO public.kept VALUES ($1)", number)
            except Unavailable:
                await asyncio.sleep(0.05)
            else:
                acknowledged.append(number)

    writers = [asyncio.ensure_future(write(worker * 1_000_000)) for worker in range(4)]
    await until(lambda: len(acknowledged) > 100, 30, "100 rows")
    server = platform.part("-D", str(place_of(platform.home).data))
    family = descendants(server) | {server}
    os.kill(server, signal.SIGKILL)
    await until(lambda: not alive(family), 15, "the killed server's processes to end")
    before = len(acknowledged)
    await until(lambda: len(acknowledged) > before + 100, 30, "writing to go on")
    stop.set()
    await asyncio.gather(*writers)
    kept = {row["n"] for row in await pool.fetch("SELECT n FROM public.kept")}
    assert set(acknowledged) <= kept
    await pool.execute("DROP TABLE public.kept")
    await pool.close()
    await until(lambda: answers(port), 30, "readiness")


async def test_a_taken_port_is_named(home: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        status, said = await asyncio.to_thread(
            finished, sys.executable, "-m", "haidang", "up", env=environment(home, {"port": str(port)})
        )
        assert status == 1
        assert f"Port {port}" in said
        assert "HAIDANG_PORT" in said
        status, said = await asyncio.to_thread(
            finished, sys.executable, "-m", "haidang", "up", env=environment(home, {"broker_port": str(port)})
        )
        assert status == 1
        assert f"Port {port}" in said
        assert "HAIDANG_BROKER_PORT" in said


async def test_a_public_bind_is_refused(home: Path) -> None:
    status, said = await asyncio.to_thread(
        finished,
        sys.executable,
        "-m",
        "haidang",
        "up",
        env=environment(home, {"host": "0.0.0.0"}),  # noqa: S104  (must be refused)
    )
    assert status == 1
    assert "until people can sign in" in said
    assert not (home / "database").exists()


async def test_a_database_of_ones_own_is_used_by_web_processes_that_share_a_port(
    home: Path, dsn: str
) -> None:
    platform = Platform(home, database_url=dsn, web_processes="2")
    port = await platform.until_ready()
    assert not (home / "database").exists()
    connection = await asyncpg.connect(dsn)
    assert await connection.fetchval("SELECT label FROM infra.access_token") == "operator"
    await connection.close()
    pids = [pid for pid in descendants(platform.process.pid) if {"haidang", "web"} <= set(words_of(pid))]
    assert len(pids) == 2
    # While one is away, the other answers at once.
    os.kill(pids[0], signal.SIGKILL)
    await until(lambda: answers(port), 5, "an answer of the other process")
    platform.close()
    assert platform.process.returncode == 0


async def test_commands_find_the_database_running_or_not(home: Path) -> None:
    async def run(*words: str) -> str:
        status, said = await asyncio.to_thread(
            finished, sys.executable, "-m", "haidang", *words, env=environment(home)
        )
        assert status == 0, said
        return said

    token = (await run("token", "issue", "station")).strip()
    assert token.startswith("hd_")
    with pytest.raises(TRANSIENT):  # It was started for the command, and stopped after it.
        await asyncpg.connect(place_of(home).dsn())
    platform = Platform(home)
    await platform.until_ready()
    assert "station" in await run("token", "list")
    await run("backup", str(home / "b.zip"))
    platform.close()
    shutil.rmtree(place_of(home).data)
    await run("restore", str(home / "b.zip"))
    assert "station" in await run("token", "list")


@pytest.fixture
async def supervisor(tmp_path: Path) -> AsyncIterator[Supervisor]:
    """One that runs nothing yet."""
    console = Console(file=io.StringIO())
    found = Supervisor(
        read_settings({"HAIDANG_HOME": str(tmp_path)}),
        Progress(console, lambda msgid, **fields: msgid.format(**fields)),
        SystemClock(),
    )
    found._fatal = asyncio.get_running_loop().create_future()
    yield found
    found._stopping = True
    await found._stop_all(asyncio.Event())


def demo_of_a_moment() -> Part:
    return Part("demo", (sys.executable, "-c", "import time; time.sleep(99)"), dict, restarted_after_s=0.2)


@pytest.mark.parametrize(
    "trouble",
    [
        Unavailable(),
        asyncpg.AdminShutdownError("down"),
        asyncpg.ConnectionDoesNotExistError("gone"),
        OSError(24),
    ],
)
async def test_a_demo_whose_token_cannot_be_renewed_now_starts_again_later(
    supervisor: Supervisor, monkeypatch: pytest.MonkeyPatch, trouble: Exception
) -> None:
    troubles = [trouble]

    async def renew() -> None:
        if troubles:
            raise troubles.pop()

    monkeypatch.setattr(supervisor, "_renew_demo_token", renew)
    demo = demo_of_a_moment()
    supervisor._launch(demo)
    await until(lambda: demo.starts == 2, 10, "the demo to start again")
    assert not troubles
    assert not supervisor._watchers[0].done()


async def test_a_watcher_that_breaks_ends_the_platform_aloud(
    supervisor: Supervisor, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def renew() -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(supervisor, "_renew_demo_token", renew)
    supervisor._launch(demo_of_a_moment())
    assert supervisor._fatal is not None
    with pytest.raises(ZeroDivisionError):
        await asyncio.wait_for(supervisor._fatal, 10)


def test_the_pause_grows_to_a_limit_and_is_never_the_same_for_all() -> None:
    least = [pause_before_restart(failures, chance=0.0) for failures in range(1, 12)]
    most = [pause_before_restart(failures, chance=1.0) for failures in range(1, 12)]
    assert least[0] == 0.25
    assert most[0] == 0.5
    assert most == sorted(most)
    assert most[-1] == 30.0
    assert all(low * 2 == high for low, high in zip(least, most, strict=True))
