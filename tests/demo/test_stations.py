"""The demo's stations: where they claim to be, the same at every asking, honest about what they are."""

import json
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from statistics import mean

import pytest
from hypothesis import given
from hypothesis import strategies as st

from haidang.demo import hanoi, synthetic
from haidang.demo.__main__ import everyone
from haidang.demo.hanoi import HanoiReplay, read_record, record, recorded_day
from haidang.demo.platform import description_of, latest_moment
from haidang.demo.player import Played
from haidang.demo.stations import SENTINEL, Value, payload_of, slots
from haidang.demo.synthetic import STATIONS, SyntheticAir
from haidang.kernel.instants import VIETNAM
from haidang.packs.environment.pack import PACK
from haidang.sdk.model import Message, Quality
from haidang.sources.model import declared_sources, judge

NOW = datetime(2026, 11, 21, 5, tzinfo=UTC)
WARDS = json.loads((Path(__file__).parent / "ward_outlines.json").read_text(encoding="utf-8"))["wards"]
SOURCES = {one.source.topic.removesuffix("/+"): one for one in declared_sources([PACK])}
EVERYONE = everyone()

instants = st.integers(0, 6 * 365 * 86_400).map(
    lambda seconds: datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds)
)


def is_inside(rings: list[list[list[float]]], x: float, y: float) -> bool:
    """Whether a point is inside a polygon: a ray to the east crosses its rings an odd number of times."""
    inside = False
    for ring in rings:
        for (x1, y1), (x2, y2) in pairwise(ring):
            if (y1 > y) != (y2 > y) and x < (x2 - x1) * (y - y1) / (y2 - y1) + x1:
                inside = not inside
    return inside


def air_of(slug: str) -> SyntheticAir:
    """The air of a synthetic station."""
    return SyntheticAir(*STATIONS[slug])


def test_each_synthetic_station_stands_inside_the_ward_it_names_and_in_no_other() -> None:
    assert len(STATIONS) == 6
    for station, _ in STATIONS.values():
        around = [
            (ward["name"], ward["province"])
            for ward in WARDS.values()
            if any(is_inside(rings, station.longitude, station.latitude) for rings in ward["polygons"])
        ]
        assert around == [(station.ward, station.province)]


def test_synthetic_stations_say_so_in_name_and_source() -> None:
    every = [one.station for one in EVERYONE if one.station is not hanoi.STATION]
    assert len(every) == 22
    for station in every:
        described = description_of(station)
        assert described["source"]["value"] == "synthetic"
        assert "mô phỏng" in described["name"]["value"]


def test_the_replay_says_that_it_is_one() -> None:
    described = description_of(hanoi.STATION)
    assert described["source"]["value"].startswith("replay")
    assert described["name"]["value"] == "Hà Nội – phát lại số liệu đo 2016–2020"
    assert "AirNow" in described["dataProvider"]["value"]


@given(instants, st.sampled_from(EVERYONE))
def test_the_same_instant_always_says_the_same(at: datetime, one: Played) -> None:
    synthetic._lattice.cache_clear()
    first = dict(one.instrument.values_at(at))
    synthetic._lattice.cache_clear()
    again = next(other for other in everyone() if other.station == one.station)
    assert dict(again.instrument.values_at(at)) == first


@given(instants, st.sampled_from(list(STATIONS)))
def test_synthetic_values_are_always_possible(at: datetime, slug: str) -> None:
    values = air_of(slug).values_at(at)
    present = {name: one.value for name, one in values.items() if one.quality == "valid"}
    assert 1 <= present["pm25"] < 200
    assert present["pm25"] <= present["pm10"] < 600
    assert 12 < present["temperature"] < 43
    assert 30 <= present["relativeHumidity"] <= 100
    assert 0 <= present["windSpeed"] < 20
    assert 0 <= present["windDirection"] < 360
    assert all(one.value == SENTINEL for one in values.values() if one.quality == "missing")


def hours(slug: str, name: str, days: int = 20) -> Mapping[int, float]:
    """The mean of a parameter by hour of the day in Vietnam."""
    found: dict[int, list[float]] = {}
    air = air_of(slug)
    start = datetime(2026, 11, 1, tzinfo=VIETNAM)
    for step in range(days * 48):
        at = start + step * timedelta(minutes=30)
        value = air.values_at(at.astimezone(UTC))[name]
        if value.quality == "valid":
            found.setdefault(at.hour, []).append(value.value)
    return {hour: mean(values) for hour, values in found.items()}


def test_days_are_plausible() -> None:
    """Traffic peaks morning and evening, ozone and warmth after noon, wind from the sea by day."""
    no2 = hours("mo-phong-phan-thiet", "no2")
    assert no2[7] > 1.5 * no2[4]
    assert no2[18] > 1.5 * no2[13]
    ozone = hours("mo-phong-mui-ne", "o3")
    assert max(ozone, key=lambda hour: ozone[hour]) in range(11, 16)
    warmth = hours("mo-phong-quy-nhon", "temperature")
    assert max(warmth, key=lambda hour: warmth[hour]) in range(11, 16)
    assert min(warmth, key=lambda hour: warmth[hour]) in {*range(2, 8)}
    wind = hours("mo-phong-mui-ne", "windSpeed")
    assert wind[14] > wind[3]
    works = hours("mo-phong-quy-nhon-bac", "so2")
    assert mean(works.values()) > 2 * mean(hours("mo-phong-mui-ne", "so2").values())


@pytest.mark.parametrize("one", EVERYONE, ids=lambda one: one.station.slug)
def test_everything_a_station_sends_enters_the_platform_whole(one: Played) -> None:
    for at in slots(one.station.period, NOW - timedelta(days=3), NOW):
        values = one.instrument.values_at(at)
        if not values:
            continue
        payload = payload_of(one.station, at, values, one.instrument.recorded_at(at))
        source = SOURCES[one.station.kind.folder]
        verdict = judge(source, Message(payload, one.station.topic, NOW), now=NOW)
        assert verdict.refusals == ()
        (reading,) = verdict.admitted
        assert reading.observed_at == at
        for admitted in reading.values:
            sent = values.get(admitted.attribute.name)
            if sent is not None and sent.quality == "missing":
                assert (admitted.quality, admitted.value) == (Quality.MISSING, None)


@given(instants)
def test_a_replayed_hour_is_the_same_calendar_hour_of_a_recorded_year(at: datetime) -> None:
    at = at.replace(minute=0, second=0, microsecond=0)
    there = HanoiReplay().recorded_at(at)
    assert there is not None
    here, then = at.astimezone(VIETNAM), there.astimezone(VIETNAM)
    assert 2016 <= then.year <= 2020
    assert (then.month, then.day, then.hour) == (here.month, here.day, here.hour)


@given(st.dates(date(2024, 1, 1), date(2040, 12, 31)))
def test_every_day_is_answered_by_a_recorded_day_with_hours(day: date) -> None:
    answer = recorded_day(day)
    measured = [hour for hour in record()[answer] if hour is not None and hour.pm25_ugm3 is not None]
    assert len(measured) >= 12


def test_the_years_take_turns() -> None:
    assert recorded_day(date(2026, 11, 21)) == date(2016, 11, 21)
    assert recorded_day(date(2027, 11, 21)) == date(2017, 11, 21)
    assert recorded_day(date(2029, 3, 1)) == date(2020, 3, 1)  # 2019 has no March
    assert recorded_day(date(2028, 2, 29)) == date(2020, 2, 29)


def test_the_records_flags_are_honoured() -> None:
    """Missing is −999 and flagged, invalid and suspect keep their flag, no row says nothing."""
    replay = HanoiReplay()
    found: dict[str, Value] = {}
    for at in slots(hanoi.HOUR, datetime(2026, 1, 1, tzinfo=UTC), datetime(2031, 1, 1, tzinfo=UTC)):
        for value in replay.values_at(at).values():
            found.setdefault(value.quality, value)
    assert set(found) == {"valid", "missing", "invalid", "suspect"}
    assert found["missing"].value == SENTINEL
    # The source's row 2016-11-21T00:00:00+07:00.
    assert replay.values_at(datetime(2026, 11, 20, 17, tzinfo=UTC)) == {"pm25": Value(41.8, "GQ")}
    assert replay.recorded_at(datetime(2026, 11, 20, 17, tzinfo=UTC)) == datetime(
        2016, 11, 20, 17, tzinfo=UTC
    )


def test_the_carried_record_is_whole() -> None:
    """Counts of the source: 32,888 rows, of them 716 missing, 291 invalid, 29 suspect."""
    every = [hour for day in record().values() for hour in day if hour is not None]
    counts = {
        quality: sum(hour.quality == quality for hour in every)
        for quality in ("missing", "invalid", "suspect")
    }
    assert len(every) == 32_888
    assert counts == {"missing": 716, "invalid": 291, "suspect": 29}
    with pytest.raises(ValueError, match="23 hours"):
        read_record("2016-01-01 " + "1 " * 23)


def test_the_moment_the_platform_has_is_read_from_its_answer() -> None:
    moment = {"type": "Property", "value": "x", "observedAt": "2026-11-21T05:00:00Z"}
    assert latest_moment({"dateObserved": moment}) == NOW
    assert latest_moment({"https://smartdatamodels.org/dateObserved": [moment]}) == NOW
    assert latest_moment({"id": "x"}) is None
    assert latest_moment({"dateObserved": {"type": "Property", "value": "x"}}) is None
