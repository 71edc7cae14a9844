"""The water levels of flood alarms 1 to 3 at each station, as dated, flagged data in `alarm_levels.toml`."""

import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import pairwise
from math import isfinite
from pathlib import Path

from haidang.kernel.errors import Invalid

GRADES = (1, 2, 3)


class AlarmLevelsUnreadable(Invalid):
    """The alarm levels of {station} cannot be used: grades from 1 to 3, each higher than the one before."""


@dataclass(frozen=True, slots=True)
class AlarmLevel:
    """The level of one alarm grade (1 to 3) in metres of the station's gauge; verified, or from memory."""

    grade: int
    metres: float
    verified: bool


@dataclass(frozen=True, slots=True)
class StationLevels:
    """The alarm levels of one station in a period; none where nobody has found them."""

    code: str
    name: str
    river: str
    norm: str
    valid_from: date
    valid_to: date | None
    levels: tuple[AlarmLevel, ...]


def read_alarm_levels(text: str) -> tuple[StationLevels, ...]:
    """The stations of one norm; raises AlarmLevelsUnreadable."""
    norm = tomllib.loads(text)
    return tuple(
        StationLevels(
            code=one["code"],
            name=one["name"],
            river=one["river"],
            norm=norm["norm"],
            valid_from=one.get("from", norm["from"]),
            valid_to=one.get("to"),
            levels=_levels(one["code"], one["levels"]),
        )
        for one in norm["station"]
    )


def _levels(station: str, given: Iterable[Mapping[str, object]]) -> tuple[AlarmLevel, ...]:
    levels = tuple(
        AlarmLevel(int(str(one["level"])), float(str(one["metres"])), one["verified"] is True)
        for one in given
    )
    grades, metres = [one.grade for one in levels], [one.metres for one in levels]
    rising = all(low < high for column in (grades, metres) for low, high in pairwise(column))
    if not rising or not set(grades) <= set(GRADES) or not all(map(isfinite, metres)):
        raise AlarmLevelsUnreadable(station=station)
    return levels


def levels_on(stations: Sequence[StationLevels], code: str | None, day: date) -> StationLevels | None:
    """What is in force at a station on a day; None for a station that is not in the norm."""
    return next(
        (
            one
            for one in stations
            if one.code == code and one.valid_from <= day and (one.valid_to is None or day <= one.valid_to)
        ),
        None,
    )


ALARM_LEVELS = read_alarm_levels(Path(__file__).with_name("alarm_levels.toml").read_text(encoding="utf-8"))
