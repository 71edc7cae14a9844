"""Instants: read with an offset, kept in UTC, written with Z."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from haidang.kernel.instants import (
    VIETNAM,
    InstantUnreadable,
    SetClock,
    SystemClock,
    format_instant,
    in_utc,
    parse_instant,
)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "yesterday",
        "2026-11-21",
        "2026-11-21T12:00:00",
        "2026-13-01T00:00:00Z",
        "0001-01-01T00:00:00+14:00",
        "9999-12-31T23:59:59-14:00",
    ],
)
def test_what_is_no_instant_is_refused(text: str) -> None:
    with pytest.raises(InstantUnreadable):
        parse_instant(text)


def test_local_time_becomes_utc() -> None:
    assert parse_instant("2026-11-21T12:00:00+07:00") == datetime(2026, 11, 21, 5, tzinfo=UTC)
    assert parse_instant("2026-11-21T12:00:00+07:00").tzinfo is UTC
    assert datetime(2026, 11, 21, 5, tzinfo=UTC).astimezone(VIETNAM).hour == 12


def test_a_naive_datetime_is_refused() -> None:
    with pytest.raises(InstantUnreadable):
        in_utc(datetime(2026, 11, 21, 5))  # noqa: DTZ001 - the point of the test


@given(st.datetimes(min_value=datetime(2, 1, 1), max_value=datetime(9998, 12, 31), timezones=st.timezones()))  # noqa: DTZ001 - Hypothesis adds the zone
def test_an_instant_survives_being_written_and_read(at: datetime) -> None:
    assert parse_instant(format_instant(at)) == in_utc(at)


def test_a_set_clock_moves_when_told() -> None:
    clock = SetClock(datetime(2026, 11, 21, 12, tzinfo=VIETNAM))
    clock.advance(timedelta(minutes=5))
    assert format_instant(clock.now()) == "2026-11-21T05:05:00Z"


def test_the_system_clock_is_in_utc() -> None:
    assert SystemClock().now().tzinfo is UTC
