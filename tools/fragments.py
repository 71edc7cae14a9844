"""Changelog fragments in `changes/`: well named, of a known type, one sentence to the reader."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def troubles() -> list[str]:
    """What is wrong with the fragments, one line each."""
    config = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["towncrier"]
    types = {one["directory"] for one in config["type"]}
    name = re.compile(rf"(\+[a-z0-9-]+|\d+)\.({'|'.join(sorted(types))})(\.\d+)?\.md")
    found = []
    for path in sorted((ROOT / config["directory"]).iterdir()):
        if path.name.startswith("."):
            continue
        text = path.read_text("utf-8").strip()
        if not name.fullmatch(path.name):
            found.append(f"{path.name}: name it NUMBER.TYPE.md or +word.TYPE.md, TYPE one of {sorted(types)}")
        elif not text.endswith((".", ")", "!")) or text.startswith(("-", "*", "#")):
            found.append(f"{path.name}: one sentence or more, written to the reader, with its full stop")
    return found


def main() -> int:
    """0 when every fragment is in order and towncrier can make a changelog of them."""
    found = troubles()
    print(*found, sep="\n")
    draft = subprocess.run(
        [Path(sys.executable).parent / "towncrier", "build", "--draft", "--version", "0.0.0"],
        cwd=ROOT,
        check=False,
        stdout=subprocess.DEVNULL,
    )
    return 1 if found or draft.returncode else 0


if __name__ == "__main__":
    sys.exit(main())
