"""Every check of the source, two at a time; the output of those that fail, and a line for each.

python tools/check.py              all of them
python tools/check.py ruff mypy    some of them, by the first word of their name
"""

import os
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
BIN = ROOT / ".venv" / "bin"


@dataclass(frozen=True, slots=True)
class Check:
    """One program over the source: the name people see, and its command."""

    name: str
    command: Sequence[str | Path]


def checks() -> list[Check]:
    """All checks, the slowest first."""
    migrations = sorted((ROOT / "migrations").glob("*.sql"))
    return [
        Check("mypy --strict", [BIN / "mypy"]),
        Check(
            "architecture: stores, published views, audiences, names",
            [BIN / "pytest", "tests/system"],
        ),
        Check(
            "docs build without a warning",
            [BIN / "sphinx-build", "-W", "--keep-going", "-q", "-b", "html", "docs", "build/docs"],
        ),
        Check("import-linter contracts", [BIN / "lint-imports", "--no-cache"]),
        Check("tsc --strict", [BIN / "npm", "run", "--silent", "check", "--prefix", "frontend"]),
        Check("ruff check", [BIN / "ruff", "check", "."]),
        Check("ruff format", [BIN / "ruff", "format", "--check", "."]),
        Check("squawk: migrations do not stop the city", [BIN / "squawk", "-c", ".squawk.toml", *migrations]),
        Check("vulture: no dead code", [BIN / "python", "tools/dead.py"]),
        Check("translations complete", [BIN / "python", "tools/messages.py"]),
        Check("changelog fragments", [BIN / "python", "tools/fragments.py"]),
        Check("locks agree with pyproject.toml", [BIN / "python", "tools/lock.py", "--check"]),
    ]


def run(check: Check) -> tuple[Check, int, str, float]:
    """Run one check to its end."""
    began = time.monotonic()
    done = subprocess.run(
        check.command,
        cwd=ROOT,
        env=os.environ | {"PATH": f"{BIN}:{os.environ['PATH']}", "NO_COLOR": "1"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        check=False,
    )
    return check, done.returncode, done.stdout, time.monotonic() - began


def main(names: list[str]) -> int:
    """Run the checks named, or all; the number that failed is the exit code."""
    wanted = [one for one in checks() if not names or one.name.split()[0].rstrip(":") in names]
    failed = 0
    with ThreadPoolExecutor(2) as two:
        for check, code, output, spent in two.map(run, wanted):
            failed += code != 0
            print(f"  {'✗' if code else '✓'} {check.name} ({spent:.1f} s)", flush=True)
            if code:
                print("\n".join(f"      {line}" for line in output.strip().splitlines()[-80:]), flush=True)
    verdict = f"{failed} kiểm tra không đạt · {failed} failed" if failed else "Mọi kiểm tra đạt · all passed"
    print(f"\n{len(wanted)} kiểm tra · checks. {verdict}")
    return failed


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
