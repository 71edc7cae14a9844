"""Every verb takes the actor first: of the services, and of the infrastructure."""

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


INSIDE_A_VERB = {"publish", "enqueue", "find_receipt", "claim_key", "keep_receipt", "answer_once"}
"""What a verb calls in its own transaction: the connection first, and for whom it is done after it."""


def verbs_with_actor_elsewhere(tree: ast.Module) -> list[str]:
    """Public functions that have an `actor: Actor`, but not as their first parameter."""
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.AsyncFunctionDef | ast.FunctionDef) and not node.name.startswith("_"):
            parameters = [one.arg for one in (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs)]
            parameters = [one for one in parameters if one != "self"]
            if "actor" in parameters and parameters[0] != "actor" and node.name not in INSIDE_A_VERB:
                found.append(node.name)
    return found


def test_the_infrastructure_takes_the_actor_first_too() -> None:
    paths = sorted((SOURCE / "infra").rglob("*.py"))
    assert paths, "nothing was found: this test looks in the wrong place"
    found = {
        path.name: names
        for path in paths
        if (names := verbs_with_actor_elsewhere(ast.parse(path.read_text("utf-8"))))
    }
    assert found == {}


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
