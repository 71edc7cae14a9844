"""The first answers of a fresh web process: how long they take, and for how long they keep others waiting.

    python bench/first_answers.py [--rest 4] [--before /path/of/another/checkout]

For each page a new `haidang web` is started on a database with every unit of the country, and asked for
that page as soon as it is ready, and another one after it had so many seconds to itself (`--rest`). Beside
each request somebody else asks for `/healthz` again and again: the longest of those answers is what
the page cost everybody.
"""

import argparse
import asyncio
import os
import tempfile
import threading
import time
from datetime import UTC, datetime
from pathlib import Path

import machine
from measure import table
from pages import ROOT, fetch, prepare, served

from haidang.infra.embedded import TemporaryCluster

PATHS = {
    "home": "/",
    "operations centre": "/ioc",
    "tree of units": "/don-vi",
    "a province": "/don-vi/tinh-lam-dong",
    "map": "/ban-do",
    "tile of units": f"/tiles/units/{datetime.now(UTC).date()}/5/25/14.mvt",
    "look-up": "/tra-cuu-don-vi?q=phuong+1+da+lat",
}


def beside(address: str, end: threading.Event, waits: list[float]) -> None:
    """Ask for the lightest answer there is until told to stop, noting how long each took."""
    while not end.is_set():
        begun = time.perf_counter()
        fetch(f"{address}/healthz")
        waits.append(time.perf_counter() - begun)
        time.sleep(0.002)


def first(tree: Path, dsn: str, home: str, path: str, rest_s: float) -> tuple[float, float, float]:
    """Seconds until ready, of the first answer, and of the longest other answer meanwhile."""
    begun = time.perf_counter()
    with served(tree, dsn, home) as (address, _):
        ready = time.perf_counter() - begun
        time.sleep(rest_s)
        end, waits = threading.Event(), [0.0]
        other = threading.Thread(target=beside, args=(address, end, waits))
        other.start()
        begun = time.perf_counter()
        fetch(address + path)
        took = time.perf_counter() - begun
        end.set()
        other.join()
    return ready, took, max(waits)


async def main() -> None:
    """Both checkouts, one after the other, on one database."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rest", type=float, default=6.0, help="seconds that a process has to itself")
    parser.add_argument("--before", type=Path, help="another checkout to measure first")
    given = parser.parse_args()
    machine.main()
    print(f"load when it began: {os.getloadavg()[0]:.1f}")
    with TemporaryCluster() as cluster, tempfile.TemporaryDirectory() as home:
        await prepare(cluster.dsn())
        for name, tree in (("before", given.before), ("now", ROOT)):
            if tree is None:
                continue
            rows: list[list[object]] = []
            for page, path in PATHS.items():
                ready, cold, held = await asyncio.to_thread(first, tree, cluster.dsn(), home, path, 0)
                _, warm, after = await asyncio.to_thread(first, tree, cluster.dsn(), home, path, given.rest)
                rows.append([page, *(one * 1e3 for one in (ready, cold, held, warm, after))])
            print()
            header = ("at once: ms", "others wait ms", f"after {given.rest:g} s: ms", "others wait ms")
            table((name, "ready ms", *header), rows)


if __name__ == "__main__":
    asyncio.run(main())
