"""Code that nothing uses: vulture's findings, without the fields of declared shapes.

A name counts as used when our Python, a template or `tools/known_uses.py` (which says why) has it.
A name that only tests use is reported too when `--strict` is given.
"""

import ast
import re
import sys
from pathlib import Path

import vulture
from known_uses import KNOWN

ROOT = Path(__file__).resolve().parents[1]
SOURCE = ROOT / "src"


def fields(path: Path) -> set[int]:
    """The lines of annotated names in class bodies: the shape of rows, events and declarations."""
    return {
        statement.lineno
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.ClassDef)
        for statement in node.body
        if isinstance(statement, ast.AnnAssign)
    }


def words_of_templates() -> set[str]:
    """Every word in a template: it may be a function or property of ours."""
    return {
        word
        for path in SOURCE.rglob("templates/**/*")
        if path.is_file()
        for word in re.findall(r"\w+", path.read_text("utf-8"))
    }


def main(arguments: list[str]) -> int:
    """Print what is dead; 1 when there is any."""
    users = (
        [SOURCE, ROOT / "tools"]
        if "--strict" in arguments
        else [SOURCE, ROOT / "tools", ROOT / "tests", ROOT / "bench"]
    )
    scan = vulture.Vulture(
        ignore_names=["test_*", "Test*", "pytest_*", "visit_*"],
        ignore_decorators=["@*.command*", "@*.group*", "@pytest.fixture*", "@*.fixture*"],
    )
    scan.scavenge([str(path) for path in users])
    used = words_of_templates() | KNOWN.keys()
    shapes: dict[Path, set[int]] = {}
    dead = []
    for item in scan.get_unused_code(min_confidence=60):
        path = Path(item.filename)
        if SOURCE not in path.parents or item.name in used:
            continue
        if item.typ == "variable" and item.first_lineno in shapes.setdefault(path, fields(path)):
            continue
        dead.append(f"{path.relative_to(ROOT)}:{item.first_lineno}: unused {item.typ} {item.name!r}")
    print(*dead, sep="\n")
    return 1 if dead else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
