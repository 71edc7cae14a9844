"""Pages of places and the calls behind them: how long they take over a real server, and what they cost.

    python bench/pages.py [--rounds 30] [--before /path/of/another/checkout]

Each page is asked for one at a time and by several at once, over HTTP, from `haidang web` on a database of
its own with every unit of the country. A page is asked for with another key each time where a young one
would be shared, or as everybody does (`shared`). With `--before` the same is measured of another
checkout (a `git worktree` of an earlier commit, with its built `web/static`), on the same database.
"""

import argparse
import asyncio
import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import machine
from measure import cpu_seconds, drive, percentile, table

from haidang.context.facts import load_facts
from haidang.infra.database import open_pool, transaction
from haidang.infra.embedded import TemporaryCluster
from haidang.infra.migrations import migrate
from haidang.infra.province import change_province_setting
from haidang.kernel.actors import part
from haidang.kernel.instants import SystemClock
from haidang.places.loading import load_facts as load_places
from haidang.sdk.loading import installed_packs

ROOT = Path(__file__).resolve().parents[1]
PATIENCE_S = 60
AT_ONCE = 4


@dataclass(frozen=True, slots=True)
class Asked:
    """A page or a call: what it is called, its address; `{n}` becomes another number each time."""

    name: str
    path: str


ASKED = (
    # An unknown parameter is not shared with others: the page is put together for each request.
    Asked("tree today, a new key", "/don-vi?tinh=tinh-lam-dong&n={n}"),
    Asked("tree 30/06/2025, a new key", "/don-vi?tinh=tinh-lam-dong&ngay=30/06/2025&n={n}"),
    Asked("tree, words typed", "/don-vi?tinh=tinh-lam-dong&tim=phan+{n}"),
    Asked("tree, shared", "/don-vi?tinh=tinh-lam-dong"),
    Asked("a ward, a new key", "/don-vi/phuong-phan-thiet-lam-dong?n={n}"),
    Asked("outlines of a province", "/api/places/outlines?parent=tinh-lam-dong"),
    Asked("units of a province", "/api/places/units?parent=tinh-lam-dong"),
    Asked("map, shared", "/ban-do"),
    Asked("home, shared", "/"),
)


async def prepare(dsn: str) -> None:
    """A province called Lâm Đồng with all units and facts of packs; no stations."""
    pool = await open_pool(dsn)
    now = SystemClock().now()
    async with transaction(pool) as connection:
        await migrate(connection)
        await load_places(part("bench"), connection)
        await load_facts(part("bench"), connection, installed_packs(), now=now)
        await change_province_setting(part("bench"), connection, "name", "Lâm Đồng", now=now)
    await pool.close()


@contextmanager
def served(tree: Path, dsn: str, home: str) -> Iterator[tuple[str, int]]:
    """`haidang web` of a checkout on a free port of loopback; its address and its process."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environ = os.environ | {
        "PYTHONPATH": str(tree / "src"),
        "DATABASE_URL": dsn,
        "HAIDANG_HOME": home,
        "HAIDANG_PORT": str(port),
        "HAIDANG_LOG_LEVEL": "error",
    }
    process = subprocess.Popen([sys.executable, "-m", "haidang", "web"], env=environ, cwd=home)
    address = f"http://127.0.0.1:{port}"
    try:
        _await(address, process)
        yield address, process.pid
    finally:
        process.terminate()
        process.wait(PATIENCE_S)


def _await(address: str, process: "subprocess.Popen[bytes]") -> None:
    until = time.monotonic() + PATIENCE_S
    while time.monotonic() < until and process.poll() is None:
        try:
            fetch(f"{address}/healthz")
        except (OSError, urllib.error.URLError):
            time.sleep(0.2)
        else:
            return
    raise SystemExit(f"The web server did not answer within {PATIENCE_S} s.")


def fetch(address: str) -> int:
    """Bytes of an answer as they travel; raises for any status but 200."""
    request = urllib.request.Request(  # noqa: S310 - http to ourselves
        address, headers={"Accept-Encoding": "br", "Accept": "text/html,*/*"}
    )
    with urllib.request.urlopen(request, timeout=PATIENCE_S) as answer:  # noqa: S310 - as above
        return len(answer.read())


async def measure(address: str, pid: int, rounds: int) -> list[list[object]]:
    """A row for each page: the first request, then p50 and p99 alone and at once, processor time of each."""
    rows: list[list[object]] = []
    numbers = iter(range(10**6))
    for asked in ASKED:

        async def ask(_: int, path: str = asked.path) -> None:
            await asyncio.to_thread(fetch, address + path.format(n=next(numbers)))

        begun = time.perf_counter()
        await ask(0)
        first = time.perf_counter() - begun
        alone = await drive(ask, operations=rounds, at_once=1)
        before = cpu_seconds(pid)
        together = await drive(ask, operations=2 * rounds, at_once=AT_ONCE)
        cpu = (cpu_seconds(pid) - before) / (2 * rounds)
        spread = [percentile(took, at) for took in (alone, together) for at in (50, 99)]
        rows.append([asked.name, *(one * 1e3 for one in (first, *spread, cpu))])
    return rows


async def main() -> None:
    """Both checkouts, one after the other, on one database."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--before", type=Path, help="another checkout to measure first")
    given = parser.parse_args()
    machine.main()
    print(f"load when it began: {os.getloadavg()[0]:.1f}")
    with TemporaryCluster() as cluster, tempfile.TemporaryDirectory() as home:
        await prepare(cluster.dsn())
        for name, tree in (("before", given.before), ("now", ROOT)):
            if tree is None:
                continue
            with served(tree, cluster.dsn(), home) as (address, pid):
                rows = await measure(address, pid, given.rounds)
            print()
            header = ("p50 ms", "p99 ms", f"p50 ms, {AT_ONCE} at once", "p99 ms", "CPU ms each")
            table((name, "first ms", *header), rows)


if __name__ == "__main__":
    asyncio.run(main())
