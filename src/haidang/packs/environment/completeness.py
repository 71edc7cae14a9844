"""How complete a mean must be, as dated data read from `completeness.toml`."""

import tomllib
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from haidang.kernel.errors import Invalid


class CompletenessUnreadable(Invalid):
    """The requirements of completeness need shares above 0 and at most 1, each from a later day."""


@dataclass(frozen=True, slots=True)
class Requirement:
    """The share (above 0, at most 1) of a mean's minutes or hours that is needed, from a day on."""

    share: float
    valid_from: date
    verified: bool


def read_requirements(text: str) -> tuple[Requirement, ...]:
    """The requirements in the order of their days; raises CompletenessUnreadable."""
    found = tuple(
        Requirement(float(one["share"]), one["from"], one["verified"])
        for one in tomllib.loads(text)["requirement"]
    )
    days = [one.valid_from for one in found]
    if not found or days != sorted(set(days)) or not all(0 < one.share <= 1 for one in found):
        raise CompletenessUnreadable
    return found


def requirement_on(requirements: Sequence[Requirement], day: date) -> Requirement:
    """The one in force on a day; the first for days before it."""
    return requirements[max(0, bisect_right(requirements, day, key=_first_day) - 1)]


def _first_day(one: Requirement) -> date:
    return one.valid_from


REQUIREMENTS = read_requirements(Path(__file__).with_name("completeness.toml").read_text(encoding="utf-8"))


def required_share(day: date) -> float:
    """The share of a mean's minutes or hours that is needed on a day."""
    return requirement_on(REQUIREMENTS, day).share
