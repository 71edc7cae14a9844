"""VN_AQI: the Decision's own examples, its edges, and what must hold for every concentration."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from math import inf, nan

import pytest
from hypothesis import given
from hypothesis import strategies as st

from haidang.kernel.instants import VIETNAM, Instant
from haidang.packs.environment import aqi
from haidang.packs.environment.aqi import Averaging, Pollutant
from haidang.sdk.model import Observation, Quality

H = timedelta(hours=1)
NOON = datetime(2026, 11, 21, 5, tzinfo=UTC)
DAY = date(2026, 11, 21)
DAY_END = datetime(2026, 11, 21, 17, tzinfo=UTC)
TABLE = sorted(aqi.BREAKPOINTS, key=str)
CONCENTRATIONS = st.floats(0, 1e6)
HOURS = st.lists(st.none() | st.floats(0, 1000), max_size=12)


def hourly(
    means: Sequence[float | None], until: Instant = NOON, quality: Quality = Quality.VALID
) -> list[Observation]:
    """One observation for each hour, stamped with its end, the last at `until`; None leaves a gap."""
    first = until - (len(means) - 1) * H
    return [
        Observation(first + place * H, mean, quality) for place, mean in enumerate(means) if mean is not None
    ]


def minutes(values: Sequence[float], until: Instant, every: int) -> list[Observation]:
    """Observations every so many minutes, the last at `until`."""
    step = timedelta(minutes=every)
    first = until - (len(values) - 1) * step
    return [Observation(first + place * step, value) for place, value in enumerate(values)]


def periods(seconds: float) -> list[Observation]:
    return [Observation(NOON - timedelta(days=3), seconds)]


# The examples printed in the Decision


def test_the_printed_nowcast_example() -> None:
    means = [26.9, 24.7, 20.5, 23.5, 19.5, 16.5, 19.0, 16.5, 20.3, 22.4, 19.6, 20.6]
    found = aqi.nowcast(means)
    assert found == pytest.approx(20.27, abs=0.005)
    assert found is not None
    exact = aqi.sub_index(Pollutant.PM25, Averaging.NOWCAST, found)
    assert exact is not None
    assert aqi.round_half_up(exact) == 41


@pytest.mark.parametrize(
    ("pollutant", "averaging", "concentration", "index"),
    [
        (Pollutant.NO2, Averaging.HOUR, 118.7, 59),  # the Decision prints 60: an error in the original
        (Pollutant.O3, Averaging.HOUR, 136.1, 43),
        (Pollutant.O3, Averaging.EIGHT_HOURS, 89.3, 45),
        (Pollutant.O3, Averaging.HOUR, 114.6, 36),
        (Pollutant.NO2, Averaging.HOUR, 130.8, 65),
        (Pollutant.PM25, Averaging.DAY, 55.7, 110),
        (Pollutant.PM25, Averaging.NOWCAST, 20.3, 41),
    ],
)
def test_the_printed_sub_indices(
    pollutant: Pollutant, averaging: Averaging, concentration: float, index: int
) -> None:
    exact = aqi.sub_index(pollutant, averaging, concentration)
    assert exact is not None
    assert aqi.round_half_up(exact) == index


@pytest.mark.parametrize(
    ("exact", "index"),
    [(35.8, 36), (44.65, 45), (65.4, 65), (109.5, 110), (42.5, 43), (40.6, 41), (59.35, 59), (50.5, 51)],
)
def test_halves_are_rounded_up(exact: float, index: int) -> None:
    assert aqi.round_half_up(exact) == index


def test_the_printed_hour() -> None:
    window = {
        "pm25": hourly([26.9, 24.7, 20.5, 23.5, 19.5, 16.5, 19.0, 16.5, 20.3, 22.4, 19.6, 20.6]),
        "no2": hourly([118.7]),
        "o3": hourly([136.1]),
    }
    found = aqi.hourly_index(window, NOON)
    assert {one.pollutant.value: one.index for one in found.sub_indices} == {"pm25": 41, "o3": 43, "no2": 59}
    assert (found.index, found.dominant) == (59, Pollutant.NO2)
    assert found.level is not None
    assert found.level.word.vi == "Trung bình"


def test_the_printed_day() -> None:
    o3: list[float | None] = [40.0] * 24
    o3[4:12] = [(89.3 * 8 - 114.6) / 7] * 7 + [114.6]  # a greatest hour of 114.6, greatest 8 hours of 89.3
    window = {
        "pm25": hourly([55.7] * 24, DAY_END),
        "o3": hourly(o3, DAY_END),
        "no2": hourly([20.0] * 23 + [130.8], DAY_END),
    }
    found = aqi.daily_index(window, DAY)
    assert {one.pollutant.value: one.index for one in found.sub_indices} == {
        "pm25": 110,
        "o3": 45,
        "no2": 65,
    }
    assert next(one for one in found.sub_indices if one.pollutant is Pollutant.O3).averaging == "8h"
    assert (found.index, found.dominant, found.at) == (110, Pollutant.PM25, DAY_END)


# The table


def test_the_table_is_the_printed_one() -> None:
    printed = """
        0    0      0   0       0     0     0    0
        50   160    100 10000   125   100   50   25
        100  200    120 30000   350   200   150  50
        150  300    170 45000   550   700   250  80
        200  400    210 60000   800   1200  350  150
        300  800    400 90000   1600  2350  420  250
        400  1000   -   120000  2100  3100  500  350
        500  1200   -   150000  2630  3850  600  500
    """
    rows = [line.split() for line in printed.strip().splitlines()]
    columns = [
        (Pollutant.O3, Averaging.HOUR),
        (Pollutant.O3, Averaging.EIGHT_HOURS),
        (Pollutant.CO, Averaging.HOUR),
        (Pollutant.SO2, Averaging.HOUR),
        (Pollutant.NO2, Averaging.HOUR),
        (Pollutant.PM10, Averaging.DAY),
        (Pollutant.PM25, Averaging.DAY),
    ]
    assert [str(step) for step in aqi.INDEX_STEPS] == [row[0] for row in rows]
    for place, column in enumerate(columns, 1):
        assert list(aqi.BREAKPOINTS[column]) == [float(row[place]) for row in rows if row[place] != "-"]
    for particles in (Pollutant.PM10, Pollutant.PM25):
        assert aqi.BREAKPOINTS[particles, Averaging.NOWCAST] == aqi.BREAKPOINTS[particles, Averaging.DAY]


@pytest.mark.parametrize("column", TABLE)
def test_the_index_at_each_breakpoint_is_the_printed_one(column: tuple[Pollutant, Averaging]) -> None:
    steps = aqi.BREAKPOINTS[column]
    assert [aqi.sub_index(*column, step) for step in steps] == list(aqi.INDEX_STEPS[: len(steps)])


@pytest.mark.parametrize("column", TABLE)
def test_segments_are_continuous(column: tuple[Pollutant, Averaging]) -> None:
    for step in aqi.BREAKPOINTS[column][1:-1]:
        below, above = aqi.sub_index(*column, step - 1e-6), aqi.sub_index(*column, step + 1e-6)
        assert below is not None
        assert above is not None
        assert 0 < above - below < 1e-4


@pytest.mark.parametrize("column", TABLE)
@given(one=CONCENTRATIONS, other=CONCENTRATIONS)
def test_more_is_never_better(column: tuple[Pollutant, Averaging], one: float, other: float) -> None:
    lower, higher = (aqi.sub_index(*column, concentration) for concentration in sorted((one, other)))
    if lower is not None and higher is not None:
        assert 0 <= lower <= higher <= 500
        assert aqi.round_half_up(lower) <= aqi.round_half_up(higher)


def test_above_the_last_breakpoint_it_stays_500_and_o3_over_8_hours_has_none() -> None:
    assert aqi.sub_index(Pollutant.PM25, Averaging.NOWCAST, 501) == 500
    assert aqi.sub_index(Pollutant.CO, Averaging.HOUR, 1e9) == 500
    assert aqi.sub_index(Pollutant.O3, Averaging.EIGHT_HOURS, 400) == 300
    assert aqi.sub_index(Pollutant.O3, Averaging.EIGHT_HOURS, 400.01) is None


@pytest.mark.parametrize("concentration", [-0.1, -999, nan, inf])
def test_what_is_no_concentration_has_no_index(concentration: float) -> None:
    assert aqi.sub_index(Pollutant.PM10, Averaging.DAY, concentration) is None


def test_an_average_the_table_does_not_have_is_refused() -> None:
    with pytest.raises(aqi.NoBreakpoints, match="no2 averaged over 24h"):
        aqi.sub_index(Pollutant.NO2, Averaging.DAY, 10)


# NowCast


def test_nowcast_is_normalised_also_for_the_least_weight() -> None:
    ten_hours: list[float | None] = [10.0] * 10
    found = aqi.nowcast([*ten_hours, None, 80.0])
    assert found == pytest.approx(56.68, abs=0.005)
    assert found is not None
    exact = aqi.sub_index(Pollutant.PM25, Averaging.NOWCAST, found)
    assert exact is not None
    assert aqi.round_half_up(exact) == 111


def test_with_all_hours_the_printed_form_is_the_same_within_three_hundredths_of_a_percent() -> None:
    means = [10.0] * 11 + [80.0]
    printed = sum(0.5**i * mean for i, mean in enumerate(reversed(means), 1))
    assert aqi.nowcast(means) == pytest.approx(printed, rel=0.0003)


@pytest.mark.parametrize(
    ("means", "found"),
    [
        ([], None),
        ([20.0], None),
        ([20.0, None, None], None),
        ([None, None, 20.0], None),
        ([20.0] * 10 + [None, 20.0], 20.0),
        ([None, 20.0, 20.0], 20.0),
        ([20.0, 20.0, None], 20.0),
        ([20.0, 20.0], 20.0),
        ([0.0, 0.0, 0.0], 0.0),
        ([99.0] * 5 + [30.0] * 12, 30.0),
    ],
)
def test_nowcast_needs_two_of_the_three_latest_hours(means: list[float | None], found: float | None) -> None:
    assert aqi.nowcast(means) == (None if found is None else pytest.approx(found))


@given(HOURS)
def test_nowcast_lies_between_the_least_and_the_greatest_hour(means: list[float | None]) -> None:
    found = aqi.nowcast(means)
    present = [mean for mean in means if mean is not None]
    if sum(mean is not None for mean in means[-3:]) < 2:
        assert found is None
    else:
        assert found is not None
        assert min(present) - 1e-9 <= found <= max(present) + 1e-9


@given(st.floats(1e-3, 1000), st.integers(2, 12))
def test_nowcast_of_equal_hours_is_that_hour(mean: float, hours: int) -> None:
    assert aqi.nowcast([mean] * hours) == pytest.approx(mean)


# Hourly means


def test_an_observation_at_the_full_hour_is_the_mean_of_the_hour_that_ends_there() -> None:
    assert aqi.hourly_means(hourly([10.0, 20.0]), NOON, 3) == [None, 10.0, 20.0]


def test_five_minute_readings_make_the_mean_of_their_hour() -> None:
    readings = minutes([float(value) for value in range(12)], NOON, 5)
    assert aqi.hourly_means(readings, NOON, 1, periods(300)) == [pytest.approx(5.5)]


@pytest.mark.parametrize(("missing", "enough"), [(15, True), (16, False)])
def test_an_hour_needs_three_quarters_of_its_minutes(missing: int, *, enough: bool) -> None:
    readings = minutes([10.0] * 60, NOON, 1)
    gone = readings[10 : 10 + missing]
    left = [one for one in readings if one not in gone]
    assert aqi.hourly_means(left, NOON, 1, periods(60)) == [pytest.approx(10.0) if enough else None]
    flagged = [
        Observation(one.observed_at, one.number, Quality.SUSPECT) if one in gone else one for one in readings
    ]
    assert aqi.hourly_means(flagged, NOON, 1, periods(60)) == [pytest.approx(10.0) if enough else None]


@pytest.mark.parametrize(("seconds", "enough"), [(2700, True), (2699, False)])
def test_three_quarters_are_counted_to_the_second(seconds: int, *, enough: bool) -> None:
    found = aqi.hourly_means([Observation(NOON, 10.0)], NOON, 1, periods(seconds))
    assert found == [pytest.approx(10.0) if enough else None]


@pytest.mark.parametrize("quality", [Quality.SUSPECT, Quality.INVALID, Quality.MISSING])
def test_flagged_values_are_missing(quality: Quality) -> None:
    assert aqi.hourly_means(hourly([10.0], quality=quality), NOON, 1) == [None]


@pytest.mark.parametrize("number", [-0.1, -999.0, nan, inf, None])
def test_what_is_no_concentration_is_missing(number: float | None) -> None:
    assert aqi.hourly_means([Observation(NOON, number)], NOON, 1) == [None]


def test_one_five_minute_reading_is_not_an_hour() -> None:
    assert aqi.hourly_means([Observation(NOON, 10.0)], NOON, 1, periods(300)) == [None]


def test_a_value_over_more_than_an_hour_is_no_hourly_mean() -> None:
    assert aqi.hourly_means([Observation(NOON, 10.0)], NOON, 1, periods(86_400)) == [None]


def test_an_hourly_value_at_half_past_is_not_the_mean_of_its_hour() -> None:
    assert aqi.hourly_means([Observation(NOON - H / 2, 10.0)], NOON, 1, periods(3600)) == [None]


def test_without_a_stated_period_a_reading_speaks_since_the_one_before() -> None:
    readings = minutes([10.0, 20.0, 30.0, 40.0], NOON, 15)
    assert aqi.hourly_means(readings, NOON, 1) == [pytest.approx(25.0)]
    flagged = [readings[0], *(Observation(one.observed_at, -999.0, Quality.MISSING) for one in readings[1:3])]
    assert aqi.hourly_means([*flagged, readings[3]], NOON, 1) == [None]


def test_the_period_that_held_at_the_time_counts() -> None:
    changed = [Observation(NOON - 5 * H, 3600.0), Observation(NOON - H / 2, 300.0)]
    assert aqi.hourly_means(hourly([10.0, 20.0]), NOON, 2, changed) == [10.0, None]


def test_a_doubled_reading_counts_once() -> None:
    assert aqi.hourly_means([*hourly([10.0]), *hourly([10.0])], NOON, 1) == [10.0]


@given(st.lists(st.tuples(st.integers(0, 7200), st.floats(-10, 500)), max_size=40), st.integers(1, 4000))
def test_an_hourly_mean_lies_between_its_readings(sent: list[tuple[int, float]], period: int) -> None:
    readings = [Observation(NOON - timedelta(seconds=ago), number) for ago, number in sorted(sent)[::-1]]
    for mean in aqi.hourly_means(readings, NOON, 2, periods(period)):
        if mean is not None:
            valid = [one.number for one in readings if one.number is not None and one.number >= 0]
            assert min(valid) - 1e-9 <= mean <= max(valid) + 1e-9


# Hours


def test_without_particles_there_is_no_index_but_the_gases_are_shown() -> None:
    found = aqi.hourly_index({"no2": hourly([118.7])}, NOON)
    assert (found.index, found.dominant, found.level) == (None, None, None)
    assert [one.index for one in found.sub_indices] == [59]


def test_pm10_alone_is_enough() -> None:
    assert aqi.hourly_index({"pm10": hourly([50.0, 50.0])}, NOON).index == 50


def test_gases_count_by_their_last_hour_only() -> None:
    window = {"pm25": hourly([10.0] * 12), "no2": hourly([3000.0, None])}
    assert aqi.hourly_index(window, NOON).index == 20


def test_of_equal_indices_the_first_parameter_of_the_list_is_dominant() -> None:
    window = {"co": hourly([10_000.0]), "pm10": hourly([50.0, 50.0]), "pm25": hourly([25.0, 25.0])}
    assert aqi.hourly_index(window, NOON).dominant is Pollutant.PM25


def test_an_empty_window_has_no_index() -> None:
    assert aqi.hourly_index({}, NOON).index is None
    assert aqi.daily_index({}, DAY).index is None


@given(st.dictionaries(st.sampled_from(list(Pollutant)), HOURS, max_size=6))
def test_an_hourly_index_is_its_greatest_sub_index(window: dict[Pollutant, list[float | None]]) -> None:
    found = aqi.hourly_index({name.value: hourly(means) for name, means in window.items()}, NOON)
    if found.index is None:
        assert not {one.pollutant for one in found.sub_indices} & {Pollutant.PM25, Pollutant.PM10}
    else:
        assert found.index == max(one.index for one in found.sub_indices)
        assert 0 <= found.index <= 500
        assert found.level is not None
        assert found.level.least <= found.index <= found.level.most


# Days


def test_a_day_runs_from_one_o_clock_to_midnight_in_vietnam() -> None:
    first, last = DAY_END - 23 * H, DAY_END
    assert first.astimezone(VIETNAM).hour == 1
    assert last.astimezone(VIETNAM) == datetime(2026, 11, 22, 0, tzinfo=VIETNAM)
    assert aqi.day_of(first) == aqi.day_of(last) == DAY
    assert aqi.day_of(last + timedelta(seconds=1)) == date(2026, 11, 22)
    assert aqi.end_of_day(DAY) == DAY_END


def test_what_belongs_to_the_midnight_before_is_of_the_day_before() -> None:
    window = {
        "pm25": hourly([10.0] * 24, DAY_END),
        "no2": [Observation(DAY_END - 24 * H, 3850.0), Observation(DAY_END - 23 * H, 40.0)],
    }
    assert aqi.daily_index(window, DAY).index == 20


@pytest.mark.parametrize(("hours", "index"), [(17, None), (18, 50)])
def test_a_day_of_particles_needs_three_quarters_of_its_hours(hours: int, index: int | None) -> None:
    assert aqi.daily_index({"pm25": hourly([25.0] * hours, DAY_END)}, DAY).index == index


def test_running_means_of_o3_reach_into_the_day_before() -> None:
    before = hourly([100.0] * 7, DAY_END - 24 * H)
    window = {"pm25": hourly([1.0] * 24, DAY_END), "o3": [*before, Observation(DAY_END - 23 * H, 100.0)]}
    found = next(one for one in aqi.daily_index(window, DAY).sub_indices if one.pollutant is Pollutant.O3)
    assert (found.averaging, found.index) == (Averaging.EIGHT_HOURS, 50)


def test_the_greatest_hour_of_o3_is_of_the_day_itself() -> None:
    o3 = [16.0] * 6 + [1200.0] + [16.0] * 24
    window = {"pm25": hourly([1.0] * 24, DAY_END), "o3": hourly(o3, DAY_END)}
    found = next(one for one in aqi.daily_index(window, DAY).sub_indices if one.pollutant is Pollutant.O3)
    assert found.concentration == pytest.approx((1200 + 7 * 16) / 8)
    assert found.averaging == Averaging.EIGHT_HOURS


def test_o3_over_8_hours_above_400_leaves_the_hourly_index() -> None:
    window = {"pm25": hourly([1.0] * 24, DAY_END), "o3": hourly([600.0] * 24, DAY_END)}
    found = next(one for one in aqi.daily_index(window, DAY).sub_indices if one.pollutant is Pollutant.O3)
    assert (found.averaging, found.index) == (Averaging.HOUR, 250)


def test_a_running_mean_needs_six_of_its_eight_hours() -> None:
    assert aqi.running_means([8.0] * 6 + [None] * 2, 0.75) == [8.0]
    assert aqi.running_means([8.0] * 5 + [None] * 3, 0.75) == [None]
    assert len(aqi.running_means([1.0] * 31, 0.75)) == 24


def test_a_greatest_hour_is_not_hidden_by_missing_ones() -> None:
    window = {"pm10": hourly([10.0] * 24, DAY_END), "so2": [Observation(DAY_END - 3 * H, 800.0)]}
    assert aqi.daily_index(window, DAY).index == 200


# Levels


def test_the_six_levels_have_the_decisions_words_and_colours() -> None:
    assert [(level.least, level.most, level.word.vi, level.rgb) for level in aqi.LEVELS] == [
        (0, 50, "Tốt", (0, 228, 0)),
        (51, 100, "Trung bình", (255, 255, 0)),
        (101, 150, "Kém", (255, 126, 0)),
        (151, 200, "Xấu", (255, 0, 0)),
        (201, 300, "Rất xấu", (143, 63, 151)),
        (301, 500, "Nguy hại", (126, 0, 35)),
    ]
    assert aqi.LEVELS[0].colour == "#00e400"
    for lower, higher in pairwise(aqi.LEVELS):
        assert lower.most + 1 == higher.least


@given(st.integers(0, 500))
def test_each_index_has_its_level(index: int) -> None:
    level = aqi.level_of(index)
    assert level.least <= index <= level.most


def test_the_law_is_read_in_vietnamese_and_translated_for_others() -> None:
    word = aqi.level_of(160).word
    assert (word.read("vi"), word.read("vi_VN"), word.read("en"), str(word)) == ("Xấu", "Xấu", "Bad", "Xấu")


def test_legal_words_are_composed_and_whole() -> None:
    for level in aqi.LEVELS:
        for text in (level.word, level.effects, level.advice, level.advice_sensitive):
            assert text.vi == text.vi.strip()
            assert text.vi != text.en
            assert "  " not in text.vi


# Moments and derivations


@given(st.datetimes(min_value=datetime(2020, 1, 1), max_value=datetime(2030, 1, 1)))  # noqa: DTZ001  (naive bounds)
def test_an_observation_reaches_every_hour_it_counts_in(naive: datetime) -> None:
    at = naive.replace(tzinfo=UTC)
    moments = aqi.hourly_moments(at)
    assert [moment for moment in moments if moment - aqi.HOURLY_REACH < at <= moment] == moments[1:]
    assert moments[0] == moments[1] - H
    assert all(moment.minute == moment.second == moment.microsecond == 0 for moment in moments)


@given(st.datetimes(min_value=datetime(2020, 1, 1), max_value=datetime(2030, 1, 1)))  # noqa: DTZ001  (naive bounds)
def test_an_observation_reaches_every_day_it_counts_in(naive: datetime) -> None:
    at = naive.replace(tzinfo=UTC)
    moments = aqi.daily_moments(at)
    day_end = aqi.end_of_day(aqi.day_of(at))
    assert moments[:2] == [day_end - 24 * H, day_end]
    for moment in (day_end, day_end + 24 * H):
        assert (moment in moments) == (moment - aqi.DAILY_REACH < at)
    assert all(moment.astimezone(VIETNAM).hour == 0 for moment in moments)


def test_the_hourly_derivation_tells_index_level_and_why() -> None:
    window = {"pm25": hourly([20.0] * 12), "no2": hourly([118.7]), "averagingPeriod": periods(3600)}
    index, level = aqi.derive_hourly(window, NOON)
    assert (index.attribute, index.value, index.observed_at) == ("airQualityIndex", 59, NOON)
    assert index.sub_attributes == {
        "dominantPollutant": "no2",
        "subIndices": {
            "pm25": {"index": 40, "concentration": 20.0, "averaging": "nowcast"},
            "no2": {"index": 59, "concentration": 118.7, "averaging": "1h"},
        },
    }
    assert (level.attribute, level.value) == ("airQualityLevel", "moderate")


def test_without_an_index_an_earlier_one_is_taken_back() -> None:
    assert [(one.attribute, one.value) for one in aqi.derive_hourly({}, NOON)] == [
        ("airQualityIndex", None),
        ("airQualityLevel", None),
    ]
    assert [one.value for one in aqi.derive_daily({}, DAY_END)] == [None, None]


def test_the_daily_derivation_stands_at_the_midnight_that_ends_the_day() -> None:
    index, level = aqi.derive_daily({"pm25": hourly([55.7] * 24, DAY_END)}, DAY_END)
    assert (index.attribute, index.value, index.observed_at) == ("airQualityIndexDaily", 110, DAY_END)
    assert (level.attribute, level.value) == ("airQualityLevelDaily", "poor")


@given(st.lists(st.floats(0, 600), min_size=24, max_size=24))
def test_deriving_is_pure_and_sees_only_its_window(means: list[float]) -> None:
    observations = hourly(list(means))
    whole = {"pm25": observations}
    cut = {"pm25": [one for one in observations if NOON - aqi.HOURLY_REACH < one.observed_at <= NOON]}
    assert aqi.derive_hourly(whole, NOON) == aqi.derive_hourly(whole, NOON) == aqi.derive_hourly(cut, NOON)
