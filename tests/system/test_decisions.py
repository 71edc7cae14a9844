"""Decisions are numbered once and say why; every library we stand on is named in one."""

import json
import re
import tomllib
from collections import Counter
from pathlib import Path

import pytest

from tests.system.rooms import ROOT

PAGES = sorted((ROOT / "docs" / "adr").glob("[0-9]*.md"))


def libraries() -> list[str]:
    """What pyproject.toml and package.json ask for, by name."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    frontend = json.loads((ROOT / "frontend" / "package.json").read_text("utf-8"))
    lines = [*project["project"]["dependencies"]]
    lines += [
        line for group in project["dependency-groups"].values() for line in group if isinstance(line, str)
    ]
    lines += [*frontend.get("dependencies", ()), *frontend.get("devDependencies", ())]
    return sorted({re.split(r"[<>=~;\[ ]", line)[0] for line in lines})


def stem(library: str) -> str:
    """How people call it: `jinja2` is Jinja, `opentelemetry-sdk` is OpenTelemetry."""
    return re.split(r"[-/\d]", library.lstrip("@"))[0].lower()


@pytest.mark.parametrize("library", libraries())
def test_every_library_is_named_in_a_decision(library: str) -> None:
    text = "\n".join(page.read_text("utf-8") for page in PAGES).lower()
    assert library.lower() in text or re.search(rf"\b{stem(library)}\b", text)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_decision_says_context_decision_and_consequences(page: Path) -> None:
    text = page.read_text("utf-8")
    assert [word for word in ("Context", "Decision", "Consequences") if word not in text] == []
    assert len(text.split()) < 900, "a page"


def test_decisions_are_numbered_once() -> None:
    twice = [number for number, times in Counter(page.name[:4] for page in PAGES).items() if times > 1]
    assert twice == []
