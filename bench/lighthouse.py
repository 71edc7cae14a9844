"""Lighthouse's figures for citizens' pages on a slow telephone: its own mobile settings.

    python bench/lighthouse.py [--address http://127.0.0.1:8000]

Lighthouse is fetched by npm, in one pinned version, into a folder that is deleted afterwards: it is
no part of the platform. Where there is no npm registry or no Chromium it says that nothing was
measured. Figures of a machine that does something else at the same time are worth little.
"""

import argparse
import asyncio
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from measure import table
from page_weight import province
from tests.absent import chromium  # page_weight has put the tests on the path

VERSION = "13.5.0"
PAGES = ("/", "/khong-khi", "/tra-cuu-don-vi", "/benh-vien")
CATEGORIES = ("performance", "accessibility", "best-practices", "seo")
TIMES = {
    "first-contentful-paint": "FCP s",
    "largest-contentful-paint": "LCP s",
    "total-blocking-time": "TBT ms",
}
TRIES = 3
BIN = Path(__file__).resolve().parents[1] / ".venv" / "bin"
FLAGS = "--headless=new --no-sandbox --disable-background-networking --disable-component-update"


def fetched(folder: Path) -> Path | None:
    """The program, fetched into a folder; None when it cannot be had."""
    environment = os.environ | {"PATH": f"{BIN}:{os.environ['PATH']}"}
    done = subprocess.run(
        [BIN / "npm", "install", "--silent", "--no-save", "--prefix", folder, f"lighthouse@{VERSION}"],
        env=environment,
        check=False,
        capture_output=True,
        text=True,
    )
    program = folder / "node_modules" / "lighthouse" / "cli" / "index.js"
    if done.returncode or not program.is_file():
        print(f"not measured: npm could not fetch lighthouse@{VERSION}: {done.stderr.strip()[-200:]}")
        return None
    return program


def judged(program: Path, address: str) -> dict[str, Any] | None:
    """What Lighthouse says of one page, as it writes it; None where it lost the trace three times.

    On a busy machine it misses the beginning of a page load now and then (NO_NAVSTART).
    """
    for _ in range(TRIES):
        done = subprocess.run(
            [BIN / "node", program, address, "--quiet", "--output=json", f"--chrome-flags={FLAGS}",
             f"--only-categories={','.join(CATEGORIES)}"],
            env=os.environ | {"CHROME_PATH": str(chromium())},
            check=False,
            capture_output=True,
            text=True,
        )  # fmt: skip
        if done.returncode == 0:
            said: dict[str, Any] = json.loads(done.stdout)
            return said
    print(f"not measured: {address}: {done.stderr.strip()[-200:]}")
    return None


def row(path: str, said: dict[str, Any]) -> list[object]:
    """One line: scores of 100, then times, then what was deducted for."""
    scores = [round(100 * (said["categories"][one]["score"] or 0)) for one in CATEGORIES]
    times = [said["audits"][one]["numericValue"] for one in TIMES]
    return [path, *scores, times[0] / 1000, times[1] / 1000, round(times[2])]


def failed(said: dict[str, Any]) -> list[str]:
    """The audits that are not passed, apart from those of speed."""
    return sorted(
        name
        for category in CATEGORIES[1:]
        for name in [one["id"] for one in said["categories"][category]["auditRefs"] if one["weight"]]
        if (said["audits"][name]["score"] or 0) < 1 and said["audits"][name]["scoreDisplayMode"] == "binary"
    )


async def main() -> int:
    """Fetch, judge each page, and say so."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--address", help="a platform that runs already")
    chosen = parser.parse_args()
    if chromium() is None:
        print("not measured: no Chromium on this machine")
        return 0
    with tempfile.TemporaryDirectory() as folder:
        program = await asyncio.to_thread(fetched, Path(folder))
        if program is None:
            return 0
        if chosen.address:
            await show(program, str(chosen.address).rstrip("/"))
        else:
            async with province() as address:
                await show(program, address)
    return 0


async def show(program: Path, address: str) -> None:
    """The table, and what each page was marked down for."""
    asked = {path: await asyncio.to_thread(judged, program, address + path) for path in PAGES}
    found = {path: said for path, said in asked.items() if said is not None}
    print(f"Lighthouse {VERSION}, mobile")
    table(["page", *CATEGORIES, *TIMES.values()], [row(path, said) for path, said in found.items()])
    for path, said in found.items():
        if names := failed(said):
            print(f"{path}: {', '.join(names)}")


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
