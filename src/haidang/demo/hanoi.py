"""Hà Nội, replayed: hourly PM2.5 that was really measured from 2016 to 2020, at today's dates.

The values are those of the U.S. Embassy's monitor as AirNow published them; their quality
flags are honoured and their foreign index is not used. A calendar day of ours is answered by
the same calendar day of one recorded year, hour for hour, so that the season fits. Which
year: see `recorded_day`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from importlib.resources import files

from haidang.demo.stations import MICROGRAMS, SENTINEL, Station, Value
from haidang.kernel.instants import VIETNAM, Instant

RECORD = "hanoi_pm25.txt"
FIRST_YEAR = 2016
YEARS = 5
ENOUGH_HOURS = 18
"""A day with fewer hours on record (three quarters) is answered by another year, if one has more."""

HOUR = timedelta(hours=1)

STATION = Station(
    slug="ha-noi-phat-lai",
    name="Hà Nội – phát lại số liệu đo 2016–2020",
    ward="Hà Nội",
    province="Thành phố Hà Nội",
    latitude=21.02177,
    longitude=105.81898,
    source="replay: U.S. Embassy Hà Nội, AirNow, 2016–2020",
    provider="AirNow (U.S. EPA, U.S. Department of State)",
    period=HOUR,
)

_FLAGS = {"?": "suspect", "!": "invalid"}


@dataclass(frozen=True, slots=True)
class RecordedHour:
    """What the record says of one hour: a concentration with its flag, or that it is missing."""

    pm25_ugm3: float | None
    quality: str


def read_record(text: str) -> dict[date, tuple[RecordedHour | None, ...]]:
    """Read the carried record: 24 hours a day, `None` where the source has no row."""
    days: dict[date, tuple[RecordedHour | None, ...]] = {}
    for line in text.splitlines():
        if line.startswith("#"):
            continue
        day, *hours = line.split()
        if len(hours) != 24:
            raise ValueError(f"{day} has {len(hours)} hours")
        days[date.fromisoformat(day)] = tuple(_hour(hour) for hour in hours)
    return days


def _hour(text: str) -> RecordedHour | None:
    if text == ".":
        return None
    if text == "-":
        return RecordedHour(None, "missing")
    quality = _FLAGS.get(text[-1], "valid")
    return RecordedHour(float(text.rstrip("?!")), quality)


@cache
def record() -> dict[date, tuple[RecordedHour | None, ...]]:
    """The record that comes with the product."""
    return read_record((files("haidang.demo") / RECORD).read_text(encoding="utf-8"))


@cache
def recorded_day(day: date) -> date:
    """The recorded day that answers `day`: same month and day, of a year that has measured it.

    Years take turns (2026 begins with 2016, 2027 with 2017, …); the first in turn with at
    least 18 hours on record answers, else the one with the most. 29 February is answered by
    a leap year.
    """
    candidates: list[tuple[int, date]] = []
    for turn in range(YEARS):
        year = FIRST_YEAR + (day.year - FIRST_YEAR + turn) % YEARS
        try:
            candidate = day.replace(year=year)
        except ValueError:  # 29 February
            continue
        hours = sum(
            1 for hour in record().get(candidate, ()) if hour is not None and hour.pm25_ugm3 is not None
        )
        if hours >= ENOUGH_HOURS:
            return candidate
        candidates.append((hours, candidate))
    return max(candidates, key=lambda found: (found[0], -found[1].year))[1]


class HanoiReplay:
    """The record, hour by hour, at instants of ours."""

    def recorded_at(self, at: Instant) -> Instant | None:
        """The end of the hour that was measured then, for the hour that ends at `at` now."""
        begins = (at - HOUR).astimezone(VIETNAM)
        there = recorded_day(begins.date())
        return datetime.combine(there, time(begins.hour), tzinfo=VIETNAM).astimezone(UTC) + HOUR

    def values_at(self, at: Instant) -> Mapping[str, Value]:
        """The hour's PM2.5 with its flag; −999 flagged missing where the record says so."""
        begins = (at - HOUR).astimezone(VIETNAM)
        hour = record()[recorded_day(begins.date())][begins.hour]
        if hour is None:
            return {}
        if hour.pm25_ugm3 is None:
            return {"pm25": Value(SENTINEL, MICROGRAMS, "missing")}
        return {"pm25": Value(hour.pm25_ugm3, MICROGRAMS, hour.quality)}
