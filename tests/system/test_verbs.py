"""Every verb of a service takes the actor first."""

import ast
from pathlib import Path

from tests.system.rooms import SOURCE


def services() -> list[Path]:
    """Every `service.py`, and every file of a `service/`."""
    return sorted({*SOURCE.rglob("service.py"), *SOURCE.rglob("service/*.py")})


def verbs_without_actor(tree: ast.Module) -> list[str]:
    """Public async functions whose first parameter is not `actor: Actor`."""
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.AsyncFunctionDef) and not node.name.startswith("_"):
            parameters = [one for one in (*node.args.posonlyargs, *node.args.args) if one.arg != "self"]
            first = parameters[0] if parameters else None
            annotation = ast.unparse(first.annotation) if first and first.annotation else ""
            if first is None or first.arg != "actor" or annotation != "Actor":
                found.append(node.name)
    return found


def test_every_verb_takes_the_actor_first() -> None:
    assert services(), "no service was found: this test looks in the wrong place"
    found = {
        str(path.relative_to(SOURCE)): names
        for path in services()
        if (names := verbs_without_actor(ast.parse(path.read_text("utf-8"))))
    }
    assert found == {}


def test_the_check_sees_what_it_must_see() -> None:
    tree = ast.parse("async def close(connection, actor: Actor): ...\nasync def open(actor: Actor, c): ...")
    assert verbs_without_actor(tree) == ["close"]
