"""The reference of declarations is complete: every type, field and check stands in it."""

import dataclasses
import inspect
from enum import Enum
from pathlib import Path

import pytest

from haidang.sdk import model
from haidang.sdk.conformance import CHECKS

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "reference" / "packs.md").read_text("utf-8")
TYPES = [one for _, one in inspect.getmembers(model, inspect.isclass) if one.__module__ == model.__name__]


@pytest.mark.parametrize("declared", TYPES, ids=[one.__name__ for one in TYPES])
def test_every_type_and_field_is_in_the_reference(declared: type) -> None:
    assert declared.__name__ in PAGE
    names = [one.name for one in dataclasses.fields(declared)] if dataclasses.is_dataclass(declared) else []
    if issubclass(declared, Enum):
        names = list(declared.__members__)
    assert [name for name in names if f"`{name}`" not in PAGE] == []


def test_every_check_is_in_the_reference() -> None:
    assert [check for check in CHECKS if f"| `{check}` |" not in PAGE] == []
