"""A real `haidang up` on free ports, for every test that knocks at its doors."""

import contextlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

import pytest
from tests.infra.processes import descendants, until, words_of

_READY = re.compile(r"http://127\.0\.0\.1:(\d+)")


class Platform:
    """A real `haidang up` on free ports, and what it has said so far."""

    def __init__(self, home: Path, **settings: str) -> None:
        self.home = home
        self._said = home.with_name(home.name + ".said")
        self._output = self._said.open("ab")
        self.process = subprocess.Popen(
            [sys.executable, "-P", "-m", "haidang", "up"],
            env=environment(home, settings),
            cwd="/",
            stdin=subprocess.DEVNULL,
            stdout=self._output,
            stderr=subprocess.STDOUT,
        )

    @property
    def said(self) -> str:
        """All that it and its parts have said."""
        return self._said.read_text("utf-8")

    async def until_ready(self) -> int:
        """Its port, once it has said that it is ready."""
        await until(
            lambda: self.process.poll() is not None or "Press Ctrl-C" in self.said, 200, "the ready line"
        )
        assert self.process.poll() is None, self.said
        found = _READY.search(self.said)
        assert found is not None
        return int(found[1])

    def part(self, *words: str) -> int:
        """The process of a part, by the end of its command line."""
        for pid in descendants(self.process.pid):
            line = [word for word in words_of(pid) if word]
            if all(word in line for word in words):
                return pid
        raise AssertionError(f"no part {words}: {self.said}")

    def close(self) -> None:
        """Stop it as a person would, or harder."""
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(timeout=60)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self._output.close()
        self._said.unlink(missing_ok=True)


def environment(home: Path, settings: Mapping[str, str] | None = None) -> dict[str, str]:
    """An environment without any setting but these."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("HAIDANG_") and name != "DATABASE_URL"
    }
    own = {"home": str(home), "port": "0", "broker_port": "0", "default_locale": "en"} | dict(settings or {})
    return kept | {f"HAIDANG_{name.upper()}": value for name, value in own.items()}


def answers(port: int) -> bool:
    """Whether the platform says that it is ready."""
    try:
        with urlopen(f"http://127.0.0.1:{port}/readyz", timeout=5) as answer:
            return bool(answer.status == 200)
    except (URLError, OSError):
        return False


@contextlib.contextmanager
def new_home() -> Iterator[Path]:
    """A home that the database's user can reach: pytest's own folders are closed to it."""
    folder = Path(tempfile.mkdtemp(prefix="hd-up-", dir="/tmp"))
    folder.chmod(0o755)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def home() -> Iterator[Path]:
    """An empty home."""
    with new_home() as folder:
        yield folder
