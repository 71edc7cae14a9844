"""Locks answer to pyproject.toml; an excuse for a vulnerability ends on its day."""

from datetime import date
from pathlib import Path

import lock
import prepare
import pytest
import supply


def test_the_locks_answer_to_pyproject() -> None:
    assert lock.troubles() == []


def test_a_lock_without_a_hash_or_with_an_address_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("uv", "run", "build", "basemap", "dev"):
        (tmp_path / f"{name}.txt").write_text((prepare.LOCKS / f"{name}.txt").read_text("utf-8"), "utf-8")
    with (tmp_path / "run.txt").open("a") as opened:
        opened.write("--index-url https://mirror.example\nstray==1.0\n")
    monkeypatch.setattr(lock, "LOCKS", tmp_path)
    assert lock.troubles() == ["run.txt: stray==1.0 has no hash", "run.txt: an address stands in it"]


def test_an_exception_ends_on_its_day(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    listed = tmp_path / "exceptions.toml"
    listed.write_text(
        '[[exception]]\npackage = "one"\nid = "V-1"\nuntil = 2026-12-01\nreason = "not called"\n', "utf-8"
    )
    monkeypatch.setattr(supply, "EXCEPTIONS", listed)
    assert supply.excused(date(2026, 12, 1)) == {("one", "V-1")}
    assert supply.excused(date(2026, 12, 2)) == set()
