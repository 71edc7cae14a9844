"""Installed packs are found in our folder and by the entry points of others."""

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from haidang.sdk import loading
from haidang.sdk.loading import PackTwice, PackUndeclared, PackUnknown, installed_packs, pack_folder
from haidang.sdk.scaffold import new_pack


@pytest.fixture(autouse=True)
def forgotten() -> Iterator[None]:
    """Packs are read once a process: forget them before and after."""
    loading.installed_packs.cache_clear()
    loading._packs_and_folders.cache_clear()
    yield
    loading.installed_packs.cache_clear()
    loading._packs_and_folders.cache_clear()


@pytest.fixture
def announced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A pack of somebody else's distribution, announced by its entry point."""
    new_pack(tmp_path, "salt-water")
    source = tmp_path / "haidang-pack-salt-water" / "src"
    monkeypatch.syspath_prepend(str(source))
    about = source / "haidang_pack_salt_water-0.1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: haidang-pack-salt-water\nVersion: 0.1.0\n")
    (about / "entry_points.txt").write_text("[haidang.packs]\nsalt-water = haidang_pack_salt_water.pack\n")
    yield source / "haidang_pack_salt_water"
    for name in [name for name in sys.modules if name.startswith("haidang_pack_")]:
        del sys.modules[name]


def test_the_built_in_packs_are_installed() -> None:
    packs = installed_packs()
    assert "environment" in [pack.pack_id for pack in packs]
    assert (pack_folder("environment") / "pack.py").is_file()
    assert [pack.pack_id for pack in packs] == sorted(pack.pack_id for pack in packs)


def test_a_pack_of_another_distribution_is_installed_too(announced: Path) -> None:
    assert "salt-water" in [pack.pack_id for pack in installed_packs()]
    assert pack_folder("salt-water") == announced


def test_there_is_no_folder_of_a_pack_that_is_not_there() -> None:
    with pytest.raises(PackUnknown, match="no pack atlantis"):
        pack_folder("atlantis")


def test_two_packs_of_one_name_are_refused(announced: Path) -> None:
    text = (announced / "pack.py").read_text()
    (announced / "pack.py").write_text(text.replace('pack_id="salt-water"', 'pack_id="environment"'))
    with pytest.raises(PackTwice, match="Two packs are called environment"):
        installed_packs()


def test_a_module_without_a_declaration_is_refused(announced: Path) -> None:
    (announced / "pack.py").write_text("PACK = None\n")
    importlib.invalidate_caches()
    with pytest.raises(PackUndeclared, match=r"haidang_pack_salt_water\.pack declares no PACK"):
        installed_packs()
