"""Rivers and rain: what gauges send, what follows from it, and how it is shown."""

import json
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as some

from haidang.packs.environment import water_pages
from haidang.packs.environment.alarm_levels import (
    ALARM_LEVELS,
    AlarmLevelsUnreadable,
    levels_on,
    read_alarm_levels,
)
from haidang.packs.environment.water import (
    WATER_OBSERVED,
    WATER_SOURCES,
    WEATHER_OBSERVED,
    decode_rain,
    decode_river,
    derive_alarm_level,
    derive_rain,
    rain_moments,
)
from haidang.sdk.model import (
    AttributeReading,
    EntityView,
    Message,
    Observation,
    PageRequest,
    Quality,
    Reading,
    Rejected,
    Window,
)

NOON = datetime(2026, 11, 21, 5, tzinfo=UTC)
MINUTES = timedelta(minutes=1)
RIVERS, RAIN = WATER_SOURCES


def sent(**parts: Any) -> list[Reading | Rejected]:
    payload = json.dumps({**json.loads(RIVERS.example), **parts}).encode()
    return list(decode_river(Message(payload, "haidang/river/binh-nghi", NOON)))


def values_of(found: Sequence[Reading | Rejected]) -> dict[str, AttributeReading]:
    (reading,) = [one for one in found if isinstance(one, Reading)]
    return {value.attribute: value for value in reading.values}


# --- alarm levels ------------------------------------------------------------------------------------------


def test_levels_are_dated_and_say_how_far_they_were_checked() -> None:
    binh_nghi = levels_on(ALARM_LEVELS, "kon-binh-nghi", date(2026, 11, 22))
    assert binh_nghi is not None
    assert [(one.grade, one.metres, one.verified) for one in binh_nghi.levels] == [
        (1, 15.5, True),
        (2, 16.5, True),
        (3, 17.5, True),
    ]
    thanh_hoa = levels_on(ALARM_LEVELS, "kon-thanh-hoa", date(2026, 11, 22))
    assert thanh_hoa is not None
    assert [one.verified for one in thanh_hoa.levels] == [False, True, True]
    assert levels_on(ALARM_LEVELS, "kon-binh-nghi", date(2019, 11, 22)) is None
    assert levels_on(ALARM_LEVELS, "somewhere", date(2026, 11, 22)) is None


def test_a_station_whose_levels_nobody_found_has_none() -> None:
    found = levels_on(ALARM_LEVELS, "luy-song-luy", date(2026, 11, 22))
    assert found is not None
    assert found.levels == ()


@pytest.mark.parametrize(
    "levels",
    [
        "[{level = 2, metres = 5, verified = true}, {level = 1, metres = 6, verified = true}]",
        "[{level = 1, metres = 6, verified = true}, {level = 2, metres = 5, verified = true}]",
        "[{level = 4, metres = 6, verified = true}]",
        "[{level = 1, metres = nan, verified = true}]",
    ],
)
def test_levels_that_contradict_themselves_are_refused(levels: str) -> None:
    with pytest.raises(AlarmLevelsUnreadable):
        read_alarm_levels(
            'norm = "x"\nfrom = 2020-01-01\n'
            f'[[station]]\ncode = "a"\nname = "A"\nriver = "B"\nlevels = {levels}'
        )


# --- what gauges send --------------------------------------------------------------------------------------


def test_a_reading_carries_the_levels_in_force_on_its_day() -> None:
    values = values_of(sent())
    assert values["waterLevel"] == AttributeReading("waterLevel", 1652.0, "CMT")
    assert [values[f"alarmMark{grade}"].value for grade in (1, 2, 3)] == [15.5, 16.5, 17.5]
    before = values_of(sent(observedAt="2020-03-19T16:59:00Z"))  # 23:59 in Vietnam, the day before
    assert "alarmMark1" not in before
    assert "alarmMark1" in values_of(sent(observedAt="2020-03-19T17:00:00Z"))


def test_a_gauge_that_the_norm_does_not_know_has_no_levels() -> None:
    values = values_of(sent(stationCode="somewhere"))
    assert values["waterLevel"].value == 1652.0
    assert not [name for name in values if name.startswith("alarmMark")]


def test_a_gauge_may_not_say_what_is_derived_or_speak_for_another_kind() -> None:
    found = sent(values={"floodAlarmLevel": 3, "waterLevel": 7})
    assert [one for one in found if isinstance(one, Rejected)] == [
        Rejected("attribute-unknown", "floodAlarmLevel")
    ]
    other = sent(id="urn:ngsi-ld:AirQualityObserved:x")
    assert other == [Rejected("not-a-river-gauge", "urn:ngsi-ld:AirQualityObserved:x")]
    rain = list(decode_rain(Message(RIVERS.example, "haidang/rain/x", NOON)))
    assert rain == [Rejected("not-a-rain-gauge", "urn:ngsi-ld:WaterObserved:binh-nghi")]


# --- alarm levels reached ----------------------------------------------------------------------------------


def window(level: float | None, *marks: float | None, quality: Quality = Quality.VALID) -> Window:
    found = {"waterLevel": [Observation(NOON, level, quality)]}
    for grade, mark in enumerate(marks, start=1):
        if mark is not None:
            found[f"alarmMark{grade}"] = [Observation(NOON, mark)]
    return found


def reached(level: float | None, *marks: float | None) -> dict[str, Any]:
    return {one.attribute: one.value for one in derive_alarm_level(window(level, *marks), NOON)}


@pytest.mark.parametrize(
    ("level", "grade", "above"),
    [(15.49, 0, -0.01), (15.5, 1, 0.0), (16.85, 2, 1.35), (17.5, 3, 2.0), (19.0, 3, 3.5)],
)
def test_the_highest_level_at_or_below_the_water_is_reached(level: float, grade: int, above: float) -> None:
    found = reached(level, 15.5, 16.5, 17.5)
    assert found["floodAlarmLevel"] == grade
    assert found["aboveAlarmMark1"] == pytest.approx(above)


def test_what_is_not_known_is_not_said() -> None:
    only_two = reached(404.0, None, 405.5)
    assert only_two == {
        "aboveAlarmMark1": None,
        "aboveAlarmMark2": -1.5,
        "aboveAlarmMark3": None,
        "floodAlarmLevel": None,
    }
    assert reached(406.0, None, 405.5)["floodAlarmLevel"] == 2
    assert set(reached(7.0).values()) == {None}
    assert set(reached(None, 1, 2, 3).values()) == {None}
    flagged = derive_alarm_level(window(9.0, 1, 2, 3, quality=Quality.SUSPECT), NOON)
    assert {one.value for one in flagged} == {None}


# --- rain --------------------------------------------------------------------------------------------------


def rain_window(falls: Sequence[float | None], period_s: float = 600) -> Window:
    """Readings of ten minutes that end at noon, oldest first; None for one that is missing."""
    times = [NOON - 10 * MINUTES * back for back in range(len(falls))][::-1]
    return {
        "precipitation": [
            Observation(at, fell, Quality.VALID if fell is not None else Quality.MISSING)
            for at, fell in zip(times, falls, strict=True)
        ],
        "averagingPeriod": [Observation(at, period_s) for at in times],
    }


def test_rain_is_summed_over_an_hour_and_a_day() -> None:
    one_hour, one_day = derive_rain(rain_window([0.5] * 144), NOON)
    assert (one_hour.value, one_day.value) == (3.0, 72.0)


def test_a_gap_is_not_a_dry_hour() -> None:
    one_hour, one_day = derive_rain(rain_window([1.0] * 138 + [1.0, None, 1.0, 1.0, 1.0, 1.0]), NOON)
    assert one_hour.value is None  # 50 minutes of 60
    assert one_day.value == 143.0
    assert derive_rain(rain_window([0.0] * 100), NOON)[1].value is None
    assert derive_rain({"precipitation": rain_window([1.0] * 144)["precipitation"]}, NOON)[0].value is None


@given(some.lists(some.none() | some.floats(0, 80), max_size=150))
def test_a_sum_is_never_less_than_nothing_nor_more_than_what_fell(falls: list[float | None]) -> None:
    one_hour, one_day = (one.value for one in derive_rain(rain_window(falls), NOON))
    assert one_hour is None or one_hour == pytest.approx(sum(one or 0 for one in falls[-6:]), abs=0.051)
    assert one_day is None or 0 <= one_day <= sum(one or 0 for one in falls[-144:]) + 0.051
    if one_hour is not None and one_day is not None:
        assert one_hour <= one_day + 0.051


def test_a_late_reading_changes_the_hours_of_the_day_after_it() -> None:
    moments = rain_moments(NOON + 10 * MINUTES)
    assert moments[0] == NOON + 10 * MINUTES
    assert moments[1] == NOON + 60 * MINUTES
    assert moments[-1] == NOON + timedelta(hours=24)


# --- the page ----------------------------------------------------------------------------------------------


def gauge(
    slug: str = "a",
    level: float | None = 16.85,
    at: datetime = NOON,
    code: str | None = "kon-binh-nghi",
    **more: Any,
) -> EntityView:
    values = {
        "name": "Bình Nghi – số liệu mô phỏng",
        "riverName": "Sông Kôn",
        "waterLevel": level,
        "location": {"type": "Point", "coordinates": [108.9, 13.9]},
        **({"stationCode": code} if code else {}),
    }
    return EntityView(
        f"urn:ngsi-ld:WaterObserved:{slug}",
        WATER_OBSERVED.name,
        values,
        {"waterLevel": at},
        {},
        {},
        {},
        NOON,
        synthetic=True,
        **more,
    )


def test_the_words_are_those_of_a_bulletin() -> None:
    mark = water_pages.mark_gauge(gauge(), NOON, "vi")
    assert mark is not None
    assert (mark.label, mark.short) == ("Bình Nghi: 16,85 m, trên BĐ2 0,35 m", "16,85")
    assert mark.colour == water_pages.COLOURS[2]
    low = water_pages.mark_gauge(gauge(level=14.2), NOON, "en")
    assert low is not None
    assert low.label == "Bình Nghi: 14.20 m, 1.30 m below alarm 1"


def test_an_old_level_has_no_colour_and_no_figure_on_the_map() -> None:
    mark = water_pages.mark_gauge(gauge(at=NOON - 31 * MINUTES), NOON, "vi")
    assert mark is not None
    assert (mark.colour, mark.short, mark.rank) == ("", "", 0)


def test_a_gauge_without_known_levels_has_a_level_and_no_grade() -> None:
    one = water_pages.gauge_of(gauge(code="luy-song-luy"), NOON)
    assert (one.level, one.grade, one.mark, one.kind) == (16.85, None, None, None)


def test_a_replayed_gauge_is_not_shown_as_if_it_were_of_now() -> None:
    assert water_pages.mark_gauge(gauge(replayed=True), NOON, "vi") is None


@pytest.mark.parametrize(
    ("before", "trend"), [(16.5, "rising"), (17.0, "falling"), (16.84, "steady"), (None, None)]
)
def test_the_trend_is_that_of_an_hour(before: float | None, trend: str | None) -> None:
    history = [Observation(NOON - 60 * MINUTES, before)] if before is not None else []
    assert water_pages.gauge_of(gauge(), NOON, history).trend == trend


def test_the_gravest_stands_first_and_the_silent_last() -> None:
    shown = water_pages.show(
        PageRequest(
            {
                "rivers": [
                    gauge("silent", 19.0, NOON - timedelta(hours=3)),
                    gauge("low", 12.0),
                    gauge("unknown", 9.0, code=None),
                    gauge("high", 17.6),
                ],
                "rain": [],
                "levels": {},
            },
            {},
            NOON,
            "vi",
        )
    )
    assert [one.anchor for one in shown["gauges"]] == ["tram-high", "tram-low", "tram-unknown", "tram-silent"]
    assert (shown["speaking"], shown["alarmed"]) == (3, 1)


def test_a_sum_of_rain_stands_only_for_the_newest_reading() -> None:
    values = {"name": "X", "precipitation": 1.0, "rainOneHour": 6.0, "rainOneDay": 40.0}
    moments = {"precipitation": NOON, "rainOneHour": NOON, "rainOneDay": NOON - timedelta(hours=1)}
    entity = EntityView(
        "urn:ngsi-ld:WeatherObserved:x", WEATHER_OBSERVED.name, values, moments, {}, {}, {}, NOON
    )
    one = water_pages.rain_gauge_of(entity, NOON)
    assert (one.one_hour, one.one_day) == (6.0, None)


JSON = some.recursive(
    some.none() | some.booleans() | some.floats() | some.text(),
    lambda inner: some.lists(inner, max_size=3) | some.dictionaries(some.text(), inner, max_size=3),
    max_leaves=6,
)


@given(some.dictionaries(some.sampled_from([one.name for one in WATER_OBSERVED.attributes]), JSON))
def test_whatever_a_machine_writes_into_a_gauge_the_page_stands(values: dict[str, Any]) -> None:
    entity = EntityView(
        "urn:ngsi-ld:WaterObserved:x",
        WATER_OBSERVED.name,
        values,
        dict.fromkeys(values, NOON),
        {},
        {},
        {},
        NOON,
    )
    request = PageRequest({"rivers": [entity], "rain": [], "levels": {}}, {}, NOON, "vi")
    assert len(water_pages.show(request)["gauges"]) == 1
    assert len(list(water_pages.table(request).rows)) == 1
    water_pages.mark_gauge(entity, NOON, "vi")
