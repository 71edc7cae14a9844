"""Looks at real processes: who is whose child, who is alive."""

import asyncio
import os
import pwd
import subprocess
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any


def started(*command: str | Path, user: str | None = None, **more: Any) -> subprocess.Popen[str]:
    """Start a process whose output is read line by line."""
    return subprocess.Popen(
        [str(word) for word in command],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        user=user,
        **more,
    )


def finished(*command: str | Path, user: str | None = None, **more: Any) -> tuple[int, str]:
    """Run a command to its end: its exit status and all that it said."""
    done = subprocess.run(
        [str(word) for word in command],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        user=user,
        timeout=90,
        check=False,
        **more,
    )
    return done.returncode, done.stdout


def parents() -> dict[int, int]:
    """Every living process and its parent; the dead that nobody has waited for are not among them."""
    found: dict[int, int] = {}
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            state, parent = (entry / "stat").read_text("utf-8").rpartition(")")[2].split()[:2]
        except (OSError, ValueError):
            continue
        if state not in "ZX":
            found[int(entry.name)] = int(parent)
    return found


def descendants(pid: int) -> set[int]:
    """Every process below `pid`."""
    children: dict[int, list[int]] = {}
    for child, parent in parents().items():
        children.setdefault(parent, []).append(child)
    found: set[int] = set()
    waiting = [pid]
    while waiting:
        for child in children.get(waiting.pop(), ()):
            found.add(child)
            waiting.append(child)
    return found


def alive(pids: set[int]) -> set[int]:
    """Those of them that still live."""
    return pids & parents().keys()


def words_of(pid: int) -> list[str]:
    """The command line of a process."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().decode("utf-8", "replace").split("\0")
    except OSError:
        return []


def limit_file_size(pids: Iterable[int], most_bytes: int | None) -> None:
    """Let processes, and those they start, grow no file beyond so many bytes; `None` lifts the limit.

    As their own user: root in a container may not change limits of others.
    """
    for pid in pids:
        try:
            owner = Path(f"/proc/{pid}").stat().st_uid
        except FileNotFoundError:
            continue
        entry = pwd.getpwuid(owner)
        as_owner = os.geteuid() == 0 and owner != 0
        done = subprocess.run(
            ["/usr/bin/prlimit", "--pid", str(pid), f"--fsize={most_bytes or 'unlimited'}:"],
            user=owner if as_owner else None,
            group=entry.pw_gid if as_owner else None,
            extra_groups=[] if as_owner else None,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0 or not Path(f"/proc/{pid}").exists(), done.stderr


async def until(holds: Callable[[], object], within_s: float, what: str = "") -> None:
    """Wait for a condition; fails with what it waited for."""
    deadline = time.monotonic() + within_s
    while not holds():
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {within_s} s: {what or holds}")
        await asyncio.sleep(0.02)
