"""Instants are aware datetimes in UTC; the clock that reads them is passed in."""

from datetime import UTC, datetime, timedelta, tzinfo
from functools import lru_cache
from typing import Protocol
from zoneinfo import ZoneInfo

from haidang.kernel.errors import Invalid

Instant = datetime
"""An aware datetime in UTC. Local time exists in templates and in the working-day clock only."""

VIETNAM: tzinfo = ZoneInfo("Asia/Ho_Chi_Minh")


class InstantUnreadable(Invalid):
    """{text} is not an RFC 3339 date and time with an offset."""


class Clock(Protocol):
    """Whatever can say what time it is: the system, a drill, a test."""

    def now(self) -> Instant:
        """The present instant, in UTC."""
        ...


class SystemClock:
    """The clock of the machine."""

    def now(self) -> Instant:
        """The present instant, in UTC."""
        return datetime.now(UTC)


class SetClock:
    """A clock that stands where it was set, for tests and drills."""

    def __init__(self, at: Instant) -> None:
        self._at = in_utc(at)

    def now(self) -> Instant:
        """The instant it was set to."""
        return self._at

    def advance(self, by: timedelta) -> None:
        """Move the clock forward."""
        self._at += by


def in_utc(at: datetime) -> Instant:
    """The same instant in UTC; refuses a naive datetime."""
    if at.tzinfo is None:
        raise InstantUnreadable(text=at.isoformat())
    return at.astimezone(UTC)


# A station's message repeats one moment a dozen times: both directions are remembered.
_REMEMBERED = 8192


@lru_cache(maxsize=_REMEMBERED)
def parse_instant(text: str) -> Instant:
    """Read an RFC 3339 instant, which must carry an offset or Z."""
    try:
        return in_utc(datetime.fromisoformat(text))
    except (ValueError, OverflowError):  # an offset may lead out of the years 1 to 9999
        raise InstantUnreadable(text=text) from None


@lru_cache(maxsize=_REMEMBERED)
def format_instant(at: Instant) -> str:
    """RFC 3339 in UTC with Z; fractions only when there are any."""
    return in_utc(at).isoformat(timespec="auto").replace("+00:00", "Z")
