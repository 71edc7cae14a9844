"""What this machine lacks for the tests: those that need it are skipped, and that is said loudly.

A browser, Mosquitto and a second PostgreSQL are programs of the system that an ordinary user
cannot install. CI installs all of them.
"""

import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest

# Debian keeps servers in /usr/sbin, which an ordinary user's path may lack.
_PATH_OF_SERVERS = "/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin"


def chromium() -> str | None:
    """A browser for journeys: Debian's Chromium, or Chrome."""
    return shutil.which("chromium") or shutil.which("google-chrome")


def mosquitto() -> str | None:
    """The Mosquitto broker."""
    return shutil.which("mosquitto") or shutil.which("mosquitto", path=_PATH_OF_SERVERS)


def postgres_of_the_system() -> list[Path]:
    """Folders of the PostgreSQL programs that Debian installs, one a version."""
    return sorted(path.parent for path in Path("/usr/lib/postgresql").glob("*/bin/postgres"))


def absences() -> list[tuple[str, str, str]]:
    """What was not found: the marker of the tests that need it, its name, Debian's package."""
    wanted = (
        ("browser", "Chromium", "chromium", chromium()),
        ("mosquitto", "Mosquitto", "mosquitto", mosquitto()),
        ("", "PostgreSQL 15", "postgresql-15", postgres_of_the_system()),
    )
    return [(marker, name, package) for marker, name, package, found in wanted if not found]


def pytest_collection_modifyitems(items: Sequence[pytest.Item]) -> None:
    """Skip the tests whose marker names something that is not here."""
    for marker, name, package in absences():
        for item in items:
            if marker and item.get_closest_marker(marker):
                item.add_marker(pytest.mark.skip(reason=f"{name} was not found (apt install {package})"))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Name what was not tested, so that nobody takes a skip for a pass."""
    absent = absences()
    if not absent:
        return
    terminalreporter.section("CHƯA THỬ · NOT TESTED", sep="!", red=True, bold=True)
    for _, name, package in absent:
        terminalreporter.line(f"{name}: không tìm thấy · not found (apt install {package})", red=True)
