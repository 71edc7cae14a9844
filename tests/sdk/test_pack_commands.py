"""`haidang pack`: what a builder of a pack types."""

import os
import subprocess
import sys
from pathlib import Path

HAIDANG = [sys.executable, "-c", "from haidang.cli import main; main()", "pack"]


def run(*arguments: str, path: Path | None = None) -> subprocess.CompletedProcess[str]:
    """The command in a process of its own, which sees `path` as one more place of installed packages."""
    places = [str(Path(__file__).resolve().parents[2] / "src"), *([str(path)] if path else [])]
    environ = os.environ | {"PYTHONPATH": os.pathsep.join(places), "HAIDANG_DEFAULT_LOCALE": "en"}
    return subprocess.run([*HAIDANG, *arguments], env=environ, capture_output=True, text=True, check=False)


def announce(root: Path) -> Path:
    """Install a distribution as an installer would: its source on the path, its entry point beside it."""
    source = root / "haidang-pack-salt-water" / "src"
    about = source / "haidang_pack_salt_water-0.1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: haidang-pack-salt-water\nVersion: 0.1.0\n")
    (about / "entry_points.txt").write_text("[haidang.packs]\nsalt-water = haidang_pack_salt_water.pack\n")
    return source


def test_installed_packs_are_listed_and_have_nothing_to_mend() -> None:
    assert "environment" in run("list").stdout
    done = run("check")
    assert (done.returncode, done.stderr) == (0, "")
    assert "environment" in done.stdout


def test_a_new_pack_is_written_found_and_checked(tmp_path: Path) -> None:
    written = run("new", "salt-water", "--folder", str(tmp_path))
    assert written.returncode == 0, written.stderr
    assert "haidang-pack-salt-water/src/haidang_pack_salt_water/pack.py" in written.stdout
    source = announce(tmp_path)
    assert "salt-water" in run("list", path=source).stdout
    assert run("check", "salt-water", path=source).returncode == 0
    catalogue = source / "haidang_pack_salt_water" / "locale" / "vi.po"
    catalogue.write_text(catalogue.read_text().replace('msgid "Level"', 'msgid "Height"'))
    found = run("check", "salt-water", path=source)
    assert found.returncode == 2
    assert "no Vietnamese for 'Level'" in found.stdout
    assert "1 findings" in found.stderr


def test_what_cannot_be_done_is_said_in_a_sentence(tmp_path: Path) -> None:
    unknown = run("check", "atlantis")
    assert (unknown.returncode, unknown.stderr) == (1, "There is no pack atlantis here.\n")
    unusable = run("new", "Sông", "--folder", str(tmp_path))
    assert unusable.returncode == 2
    assert "cannot be the name of a pack" in unusable.stderr
    assert list(tmp_path.iterdir()) == []
