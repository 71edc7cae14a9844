"""The tide at Quy Nhơn: against two other programs, in its turns, and in what the page admits."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as some

from haidang.kernel.instants import VIETNAM, Instant, parse_instant
from haidang.packs.environment import tide_pages
from haidang.packs.environment.tide import ARGUMENTS, TideStation, curve, heights, quy_nhon, turns
from haidang.sdk.model import EntityView, PageRequest

NOW = datetime(2026, 11, 22, 5, tzinfo=UTC)
REFERENCE = json.loads((Path(__file__).parent / "tide_reference.json").read_text(encoding="utf-8"))["rows"]

instants = some.integers(0, 20 * 365 * 24 * 60).map(
    lambda minutes: datetime(2026, 1, 1, tzinfo=UTC) + timedelta(minutes=minutes)
)


def without(*names: str) -> TideStation:
    station = quy_nhon()
    kept = tuple(one for one in station.constituents if one.name not in names)
    return replace(station, mean_level_m=0.0, constituents=kept)


@pytest.mark.parametrize("row", REFERENCE, ids=lambda row: row[0])
def test_two_other_programs_say_the_same(row: tuple[str, float, float]) -> None:
    """Within 6 mm of neaps, and within 25 mm of UTide, which corrects the moon's node in another way."""
    at = parse_instant(row[0])
    assert heights(without("M1"), [at]) == [pytest.approx(row[1], abs=0.006)]
    assert heights(without("SA", "MSQM", "MTM"), [at]) == [pytest.approx(row[2], abs=0.025)]


def test_the_speeds_are_those_of_the_constituents() -> None:
    """M2 takes 12.4206 hours, K1 23.9345: a wave of a constituent alone comes back to itself."""
    station = quy_nhon()
    for name, period_h in (("M2", 12.4206012), ("K1", 23.9344697), ("O1", 25.8193417), ("S2", 12.0)):
        alone = replace(
            station,
            mean_level_m=0.0,
            constituents=tuple(one for one in station.constituents if one.name == name),
        )
        first, later = heights(alone, [NOW, NOW + timedelta(hours=100 * period_h)])
        assert later == pytest.approx(first, abs=2e-4)


def test_every_constituent_has_an_argument_and_counts_a_millimetre() -> None:
    assert {one.name for one in quy_nhon().constituents} <= set(ARGUMENTS)
    assert all(0.001 <= one.amplitude_m < 0.4 for one in quy_nhon().constituents)


def test_the_sea_stays_between_the_astronomical_extremes() -> None:
    """LAT is zero here; the source gives the highest tide 2.245 m above it. Within our own error."""
    since = datetime(2026, 1, 1, tzinfo=UTC)
    month = timedelta(days=30)
    every = [
        height
        for number in range(24)
        for _, height in curve(quy_nhon(), since + number * month, since + (number + 1) * month)
    ]
    assert -0.05 < min(every) < 0.4
    assert 2.0 < max(every) < 2.295


@given(instants)
def test_high_and_low_waters_take_turns_and_are_the_extremes_of_the_curve(since: Instant) -> None:
    until = since + timedelta(days=2)
    found = turns(quy_nhon(), since, until)
    assert all(since <= one.at <= until for one in found)
    assert all(one.at < other.at and one.high != other.high for one, other in pairwise(found))
    for one, other in pairwise(found):
        assert (one.height_m > other.height_m) == one.high
        between = [height for at, height in curve(quy_nhon(), since, until) if one.at <= at <= other.at]
        low, high = sorted((one.height_m, other.height_m))
        assert all(low - 0.035 <= height <= high + 0.035 for height in between)


def test_the_page_has_seven_days_from_today_in_vietnam() -> None:
    late = datetime(2026, 11, 22, 17, 30, tzinfo=UTC)  # 00:30 on the 23rd in Vietnam
    shown = tide_pages.show(PageRequest({}, {}, late, "vi"))
    assert [one.day.day for one in shown["days"]] == [23, 24, 25, 26, 27, 28, 29]
    assert all(len(one.points) == 97 for one in shown["days"])
    assert all(turn.at.astimezone(VIETNAM).date() == one.day for one in shown["days"] for turn in one.turns)
    assert all(turn.at > late for turn in shown["coming"])


def test_the_table_says_that_it_is_a_forecast() -> None:
    table = tide_pages.table(PageRequest({}, {}, NOW, "vi"))
    rows = [dict(zip(table.header, row, strict=True)) for row in table.rows]
    assert len(rows) == 7 * 96 + 1
    assert {row["kind"] for row in rows} == {"forecast"}
    assert {row["datum"] for row in rows} == {"LAT"}


def test_only_the_known_station_has_a_mark() -> None:
    def seen(entity_id: str) -> EntityView:
        return EntityView(entity_id, "TideStation", {"name": "X"}, {}, {}, {}, {}, NOW)

    mark = tide_pages.mark_tide(seen(quy_nhon().entity_id), NOW, "vi")
    assert mark is not None
    assert "tính toán" in mark.label
    assert mark.colour == ""
    assert tide_pages.mark_tide(seen("urn:ngsi-ld:TideStation:phan-thiet"), NOW, "vi") is None
