"""How much a mean needs is dated data, and nothing else in the pack decides it."""

from datetime import date

import pytest

from haidang.packs.environment import aqi
from haidang.packs.environment.completeness import (
    REQUIREMENTS,
    CompletenessUnreadable,
    read_requirements,
    required_share,
    requirement_on,
)

TWO = """
[[requirement]]
share = 0.75
from = 2019-11-12
verified = false

[[requirement]]
share = 0.5
from = 2027-01-01
verified = true
"""


@pytest.mark.parametrize(
    ("day", "share"),
    [
        (date(2016, 1, 1), 0.75),
        (date(2019, 11, 12), 0.75),
        (date(2026, 12, 31), 0.75),
        (date(2027, 1, 1), 0.5),
    ],
)
def test_the_requirement_of_a_day_is_the_latest_that_has_begun(day: date, share: float) -> None:
    assert requirement_on(read_requirements(TWO), day).share == share


@pytest.mark.parametrize(
    "wrong",
    [
        "requirement = []",
        TWO.replace("0.5", "0"),
        TWO.replace("0.5", "1.01"),
        TWO.replace("2027-01-01", "2019-11-12"),
        TWO.replace("2027-01-01", "2018-01-01"),
    ],
)
def test_requirements_that_make_no_sense_are_refused(wrong: str) -> None:
    with pytest.raises(CompletenessUnreadable):
        read_requirements(wrong)


def test_what_is_from_memory_is_not_called_verified() -> None:
    assert [one.verified for one in REQUIREMENTS] == [False]


def test_a_mean_asks_the_share_it_is_given() -> None:
    six_of_eight = [8.0] * 6 + [None] * 2
    assert aqi.mean_of(six_of_eight, required_share(date(2026, 11, 22))) == 8.0
    assert aqi.mean_of(six_of_eight, 0.8) is None
