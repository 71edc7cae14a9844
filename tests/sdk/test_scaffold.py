"""A new pack is whole from the start: it loads, keeps every promise, passes its own tests and the linter."""

import importlib
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import haidang.packs
from haidang.sdk.conformance import check_pack
from haidang.sdk.loading import folder_of, pack_of
from haidang.sdk.scaffold import PackFileThere, PackNameUnusable, new_pack

LONG = "a-name-of-twenty-four-xx"


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A folder that looks like a clone of the platform."""
    (tmp_path / "src" / "haidang" / "packs").mkdir(parents=True)
    return tmp_path


@pytest.fixture
def importable(clone: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The clone's packs beside the built-in ones, and the folder for distributions on the path."""
    outside = tmp_path_factory.mktemp("outside")
    haidang.packs.__path__.append(str(clone / "src" / "haidang" / "packs"))
    known = set(sys.modules)
    yield outside
    haidang.packs.__path__.pop()
    for name in set(sys.modules) - known:
        if name.startswith(("haidang.packs.", "haidang_pack_")):
            del sys.modules[name]


@pytest.mark.parametrize("pack_id", ["rivers", "water-quality", LONG])
def test_a_new_pack_in_the_clone_passes_its_checks_as_it_is(
    pack_id: str, clone: Path, importable: Path
) -> None:
    del importable
    new_pack(clone, pack_id)
    module = importlib.import_module(f"haidang.packs.{pack_id.replace('-', '_')}.pack")
    pack = pack_of(module)
    assert pack.pack_id == pack_id
    assert [str(finding) for finding in check_pack(pack, folder_of(module))] == []


def test_a_new_pack_elsewhere_is_a_distribution_that_passes_its_checks(
    importable: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = new_pack(importable, "salt-water")
    root = importable / "haidang-pack-salt-water"
    assert root / "pyproject.toml" in written
    assert 'salt-water = "haidang_pack_salt_water.pack"' in (root / "pyproject.toml").read_text()
    monkeypatch.syspath_prepend(str(root / "src"))
    module = importlib.import_module("haidang_pack_salt_water.pack")
    assert [str(finding) for finding in check_pack(pack_of(module), folder_of(module))] == []


def test_a_new_pack_touches_nothing_but_its_folder_its_test_its_page_and_the_changelog(clone: Path) -> None:
    written = {str(path.relative_to(clone)) for path in new_pack(clone, "rivers")}
    outside = {path for path in written if not path.startswith("src/haidang/packs/rivers/")}
    assert outside == {
        "tests/packs/test_rivers.py",
        "docs/reference/pack-rivers.md",
        "changes/+pack-rivers.added.md",
    }
    assert {
        "src/haidang/packs/rivers/pack.py",
        "src/haidang/packs/rivers/stations.py",
        "src/haidang/packs/rivers/pages.py",
        "src/haidang/packs/rivers/templates/stations.html",
        "src/haidang/packs/rivers/locale/vi.po",
    } <= written


def test_the_test_of_a_new_pack_passes(clone: Path, importable: Path) -> None:
    del importable
    new_pack(clone, "rivers")
    spec = importlib.util.spec_from_file_location("test_rivers", clone / "tests/packs/test_rivers.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    tests = [name for name in vars(module) if name.startswith("test_")]
    assert len(tests) >= 5
    for name in tests:
        vars(module)[name]()


def test_a_new_pack_is_clean_under_the_linter(clone: Path) -> None:
    root = Path(__file__).resolve().parents[2]
    outside = clone / "elsewhere"
    outside.mkdir()
    for pack_id in ("rivers", LONG):
        new_pack(clone, pack_id)
        new_pack(outside, pack_id)
    (clone / "tests" / "packs" / "__init__.py").touch()
    ours = ["haidang", "haidang_pack_rivers", f"haidang_pack_{LONG.replace('-', '_')}"]
    known = f"lint.isort.known-first-party={json.dumps(ours)}"
    ruff = [Path(sys.executable).parent / "ruff"]
    settings = ["--no-cache", "--config", str(root / "pyproject.toml"), "--config", known]
    # S101, D103, INP001: what the platform excuses in its own tests, by their folder.
    for command in (["check", "--ignore", "S101,D103,INP001"], ["format", "--check"]):
        done = subprocess.run(
            [*ruff, *command, *settings, str(clone)], check=False, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(
    "pack_id", ["", "Rivers", "sông", "a--b", "-a", "a_b", "1a", "class", "../x", "a" * 25]
)
def test_a_name_that_cannot_be_a_package_is_refused(pack_id: str, clone: Path) -> None:
    with pytest.raises(PackNameUnusable):
        new_pack(clone, pack_id)
    assert not any((clone / "src" / "haidang" / "packs").iterdir())


def test_what_is_there_is_never_written_over(clone: Path) -> None:
    page = clone / "docs" / "reference" / "pack-rivers.md"
    page.parent.mkdir(parents=True)
    page.write_text("mine")
    with pytest.raises(PackFileThere, match=r"pack-rivers\.md"):
        new_pack(clone, "rivers")
    assert page.read_text() == "mine"
    assert not (clone / "src" / "haidang" / "packs" / "rivers").exists()
