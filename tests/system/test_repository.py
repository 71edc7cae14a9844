"""What a repository that strangers clone must not carry: addresses of registries, paths of a machine."""

import re
import subprocess
from functools import cache
from pathlib import Path

from tests.system.rooms import ROOT

# Written in pieces, so that this file does not find itself.
_REGISTRIES = re.compile(
    "|".join((r"pypi\." + "org", r"pythonhosted\." + "org", r"registry\.npm" + r"js\.org"))
)
_MACHINE_PATHS = re.compile(r"(?<![\w/.-])/(" + "|".join(("work" + "/", "root" + "/", r"home/\w+/")) + ")")
_UNFINISHED = re.compile(r"\b(" + "|".join(("TO" + "DO", "FIX" + "ME", "XX" + "X", "HA" + "CK")) + r")\b")
_BARE_EXCUSE = re.compile(r"#\s*(?:noqa(?::\s*[A-Z0-9, ]+)?|type:\s*ignore)\s*$", re.MULTILINE)
_TEXT = {
    ".py",
    ".md",
    ".toml",
    ".txt",
    ".sql",
    ".html",
    ".css",
    ".ts",
    ".json",
    ".yml",
    ".yaml",
    ".cfg",
    ".po",
    "",
}
_LARGEST_BYTES = 8 * 2**20


@cache
def tracked() -> list[Path]:
    """The files that git tracks."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True).stdout
    return [path for name in listed.decode().split("\0") if name and (path := ROOT / name).is_file()]


def lines_with(pattern: re.Pattern[str], *, under: tuple[str, ...] = ("",)) -> list[str]:
    """Where a pattern stands; a comment on the line above counts as the line's own reason."""
    found = []
    for path in tracked():
        name = str(path.relative_to(ROOT))
        if path.suffix in _TEXT and name.startswith(under):
            above = ""
            for number, line in enumerate(path.read_text("utf-8", errors="replace").splitlines(), 1):
                excused = pattern is _BARE_EXCUSE and above.lstrip().startswith("#")
                if pattern.search(line) and not excused:
                    found.append(f"{name}:{number}: {line.strip()[:120]}")
                above = line
    return found


def test_no_registry_address_is_committed() -> None:
    assert lines_with(_REGISTRIES) == []


def test_no_path_of_a_machine_is_committed() -> None:
    assert lines_with(_MACHINE_PATHS) == []


def test_nothing_is_left_unfinished() -> None:
    assert lines_with(_UNFINISHED, under=("src/", "frontend/", "tools/", "migrations/")) == []


def test_every_silenced_check_says_why() -> None:
    assert lines_with(_BARE_EXCUSE, under=("src/", "tests/", "tools/", "bench/", "docs/")) == []


def test_no_file_is_a_burden_to_those_who_clone() -> None:
    assert [str(path) for path in tracked() if path.stat().st_size > _LARGEST_BYTES] == []
