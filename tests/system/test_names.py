"""The core never names a pack, a city or a province in a comparison."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from haidang.kernel.text import fold
from tests.system.rooms import SOURCE, module_name, python_files

# The 34 provinces and cities since 1 July 2025, and the cities of the pilot.
PLACES = """
Hà Nội, Huế, Lai Châu, Điện Biên, Sơn La, Lạng Sơn, Quảng Ninh, Thanh Hóa, Nghệ An, Hà Tĩnh, Cao Bằng,
Tuyên Quang, Lào Cai, Thái Nguyên, Phú Thọ, Bắc Ninh, Hưng Yên, Hải Phòng, Ninh Bình, Quảng Trị, Đà Nẵng,
Quảng Ngãi, Gia Lai, Khánh Hòa, Lâm Đồng, Đắk Lắk, Hồ Chí Minh, Đồng Nai, Tây Ninh, Cần Thơ, Vĩnh Long,
Đồng Tháp, Cà Mau, An Giang, Phan Thiết, Quy Nhơn, Bình Định, Bình Thuận
"""


def names(pack_ids: tuple[str, ...]) -> frozenset[str]:
    folded = [fold(place.strip()) for place in PLACES.replace("\n", " ").split(",")]
    return frozenset(
        {
            *pack_ids,
            *folded,
            *(one.replace(" ", "-") for one in folded),
            *(one.replace(" ", "") for one in folded),
        }
    )


def compared_strings(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """String literals in comparisons, membership, `match` cases, prefix tests and look-ups."""
    for node in ast.walk(tree):
        parts: list[ast.AST] = []
        if isinstance(node, ast.Compare):
            parts = [node.left, *node.comparators]
        elif isinstance(node, ast.MatchValue):
            parts = [node.value]
        elif isinstance(node, ast.Subscript):
            parts = [node.slice]
        elif (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and node.func.attr in {"startswith", "endswith", "removeprefix", "get"}
        ):
            parts = list(node.args)
        for part in parts:
            literals = part.elts if isinstance(part, ast.Tuple | ast.List | ast.Set) else [part]
            for literal in literals:
                if isinstance(literal, ast.Constant) and isinstance(literal.value, str):
                    yield literal.lineno, literal.value


def pack_ids() -> tuple[str, ...]:
    return tuple(sorted(path.parent.name for path in (SOURCE / "packs").glob("*/pack.py")))


def comparisons_that_name(paths: list[Path], known: frozenset[str]) -> list[str]:
    return [
        f"{module_name(path)}:{line} compares with {literal!r}"
        for path in paths
        for line, literal in compared_strings(ast.parse(path.read_text("utf-8")))
        if fold(literal) in known
    ]


def test_no_comparison_outside_its_own_folder_names_a_pack_or_a_place() -> None:
    # A pack may speak of itself; the demo plays certain places and is no part of the platform.
    core = [path for path in python_files() if path.relative_to(SOURCE).parts[0] not in {"packs", "demo"}]
    assert comparisons_that_name(core, names(pack_ids())) == []
    for pack_id in pack_ids():
        others = tuple(one for one in pack_ids() if one != pack_id)
        own = sorted((SOURCE / "packs" / pack_id).rglob("*.py"))
        assert comparisons_that_name(own, frozenset(others)) == []


@pytest.mark.parametrize(
    "code",
    [
        'pack.id == "environment"',
        'pack in ("environment", "tourism")',
        'name != "Huế"',
        'match name:\n    case "lam-dong":\n        pass',
        'table["environment"]',
        'name.startswith("Đà Nẵng")',
    ],
)
def test_the_check_sees_what_it_must_see(code: str) -> None:
    known = names(("environment",))
    assert any(fold(literal) in known for _, literal in compared_strings(ast.parse(code)))


def test_sql_names_no_pack_or_place_in_a_literal() -> None:
    known = names(pack_ids())
    found = [
        f"{path.relative_to(SOURCE)}: '{literal}'"
        for path in sorted(SOURCE.rglob("sql/*.sql"))
        if "packs" not in path.parts
        for literal in re.findall(r"'([^']*)'", path.read_text("utf-8"))
        if fold(literal) in known
    ]
    assert found == []
