"""The days that can be chosen: a calm one, smog that lasts, a rainy night that swells the rivers."""

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as some

from haidang.demo import water
from haidang.demo.__main__ import everyone
from haidang.demo.player import Played
from haidang.demo.scenarios import Kind, Scenario, onset, scenario_from
from haidang.kernel.instants import VIETNAM, Instant
from haidang.packs.environment import aqi
from haidang.packs.environment.alarm_levels import ALARM_LEVELS, levels_on
from haidang.sdk.model import Observation

NOW = datetime(2026, 11, 22, 5, tzinfo=UTC)  # noon in Vietnam
STEP = timedelta(minutes=10)
FIRST_NIGHT = onset(date(2026, 11, 21))

instants = some.integers(0, 200 * 144).map(lambda steps: datetime(2026, 11, 1, tzinfo=UTC) + steps * STEP)


def playing(kind: Kind) -> Mapping[str, Played]:
    return {one.station.slug: one for one in everyone(scenario_from(kind, NOW))}


def measured(one: Played, name: str, since: Instant, until: Instant) -> list[tuple[Instant, float]]:
    found = []
    at = since
    while at <= until:
        value = one.instrument.values_at(at).get(name)
        if value is not None and value.quality == "valid":
            found.append((at, value.value))
        at += STEP
    return found


def grades(slug: str, kind: Kind, since: Instant, until: Instant) -> Sequence[int]:
    """The alarm grade that a river has reached, reading by reading."""
    one = playing(kind)[slug]
    station = levels_on(ALARM_LEVELS, one.station.code, date(2026, 11, 22))
    assert station is not None
    return [
        max((mark.grade for mark in station.levels if level >= mark.metres), default=0)
        for _, level in measured(one, "waterLevel", since, until)
    ]


@pytest.mark.parametrize("kind", list(Kind))
@given(at=instants)
def test_the_same_instant_of_the_same_scenario_always_says_the_same(kind: Kind, at: Instant) -> None:
    first = {slug: dict(one.instrument.values_at(at)) for slug, one in playing(kind).items()}
    assert {slug: dict(one.instrument.values_at(at)) for slug, one in playing(kind).items()} == first


@pytest.mark.parametrize("kind", [Kind.SMOG, Kind.RAIN])
@given(at=instants)
def test_before_a_scenario_begins_every_day_is_a_calm_one(kind: Kind, at: Instant) -> None:
    if at.astimezone(VIETNAM).date() >= date(2026, 11, 21):
        return
    calm, other = playing(Kind.CALM), playing(kind)
    assert all(
        dict(one.instrument.values_at(at)) == dict(calm[slug].instrument.values_at(at))
        for slug, one in other.items()
    )


def test_on_a_calm_day_no_river_reaches_an_alarm_level() -> None:
    for slug in water.RIVERS:
        assert set(grades(slug, Kind.CALM, NOW - timedelta(days=3), NOW + timedelta(days=20))) == {0}


def test_in_smog_a_station_stays_above_150_for_hours_and_another_comes_down_by_day() -> None:
    def indices(slug: str) -> list[int]:
        one = playing(Kind.SMOG)[slug]
        found = []
        for back in range(24):
            end = NOW - back * timedelta(hours=1)
            window = {
                "pm25": [
                    Observation(at, value)
                    for at, value in measured(one, "pm25", end - aqi.HOURLY_REACH + STEP, end)
                ],
                aqi.PERIOD: [
                    Observation(at, 600.0)
                    for at, _ in measured(one, "pm25", end - aqi.HOURLY_REACH + STEP, end)
                ],
            }
            (index, *_) = [
                one.value for one in aqi.derive_hourly(window, end) if one.attribute == "airQualityIndex"
            ]
            found.append(index)
        return found

    assert min(indices("mo-phong-phan-thiet")) > 150
    changing = indices("mo-phong-phu-thuy")
    assert min(changing) <= 150 < max(changing)


def test_over_a_rainy_night_rivers_rise_above_their_alarm_levels_and_fall_again() -> None:
    night = (FIRST_NIGHT, FIRST_NIGHT + timedelta(hours=24))
    assert max(grades("mo-phong-kon-binh-nghi", Kind.RAIN, *night)) == 2
    assert max(grades("mo-phong-kon-thanh-hoa", Kind.RAIN, *night)) == 3
    assert max(grades("mo-phong-kon-vinh-son", Kind.RAIN, *night)) == 1
    assert grades("mo-phong-kon-vinh-son", Kind.RAIN, *night)[0] == 0
    assert grades("mo-phong-kon-vinh-son", Kind.RAIN, *night)[-1] == 0
    assert max(grades("mo-phong-la-nga-ta-pao", Kind.RAIN, *night)) == 0


def test_the_rain_falls_in_the_night_and_one_gauge_fails_in_it() -> None:
    gauges = playing(Kind.RAIN)
    fell = measured(
        gauges["mo-phong-mua-van-canh"], "precipitation", FIRST_NIGHT, FIRST_NIGHT + timedelta(hours=12)
    )
    assert 100 < sum(amount for _, amount in fell) < 600
    by_day = measured(gauges["mo-phong-mua-van-canh"], "precipitation", NOW - timedelta(hours=3), NOW)
    assert sum(amount for _, amount in by_day) < 5
    failing = gauges["mo-phong-mua-vinh-son"]
    times = [
        at for at, _ in measured(failing, "precipitation", FIRST_NIGHT, FIRST_NIGHT + timedelta(hours=18))
    ]
    assert max(later - at for at, later in pairwise(times)) > 3 * STEP


@given(instants, some.sampled_from([*water.RIVERS, *water.CATCHES]), some.sampled_from(list(Kind)))
def test_rivers_and_rain_are_always_possible(at: Instant, slug: str, kind: Kind) -> None:
    for name, value in playing(kind)[slug].instrument.values_at(at).items():
        assert (name, value.unit) in {("waterLevel", "MTR"), ("precipitation", "MMT")}
        assert value.value >= 0
        if name == "precipitation":
            assert value.value < 15


def test_every_river_near_a_real_station_is_held_against_that_stations_levels() -> None:
    named = {one.code for one in ALARM_LEVELS}
    assert {station.code for station, _ in water.RIVERS.values()} <= named


def test_a_scenario_begins_yesterday() -> None:
    scenario = scenario_from("rain", NOW)
    assert scenario == Scenario(Kind.RAIN, date(2026, 11, 21))
    assert scenario.storm(FIRST_NIGHT) == 0
    assert scenario.storm(FIRST_NIGHT + timedelta(hours=5)) == 1
