"""Rivers and rain: entity types of the Smart Data Models, the gauges that report by MQTT, and what follows.

A river gauge says a level in metres of its own staff. What that means is told by the alarm levels in
force on the day (báo động 1 to 3): they are written beside each reading, so that history keeps what was
in force then. A rain gauge says what fell in its period; sums over an hour and a day are derived, and
there is none where too little of the time was measured: a gap is not a dry hour.
"""

from collections.abc import Iterator, Sequence
from datetime import timedelta
from math import isfinite

from haidang.kernel.instants import VIETNAM, Instant
from haidang.packs.environment.alarm_levels import ALARM_LEVELS, GRADES, levels_on
from haidang.packs.environment.messages import NO_VALUE, station_decoder
from haidang.sdk.model import (
    Attribute,
    AttributeKind,
    AttributeReading,
    Derivation,
    DerivedValue,
    EntityType,
    MqttSource,
    Observation,
    Quality,
    Window,
)

ENVIRONMENT = "https://smartdatamodels.org/dataModel.Environment/"
WEATHER = "https://smartdatamodels.org/dataModel.Weather/"
COMMON = "https://smartdatamodels.org/"
OWN = "urn:haidang:term:"

RHYTHM = timedelta(minutes=10)
PERIOD = "averagingPeriod"
"""How long a reading speaks for, in seconds; a rain gauge that does not say it has no sums."""

ENOUGH_TIME = 0.9
"""The share of an hour or a day that must have been measured for its sum of rain. Our own choice."""

_HOUR, _DAY = timedelta(hours=1), timedelta(hours=24)


def _described() -> tuple[Attribute, ...]:
    """What every gauge says of itself."""
    return (
        Attribute(PERIOD, OWN + PERIOD, unit="SEC", label="Averaging period", least=1, most=86_400),
        Attribute("name", COMMON + "name", label="Name", lasting=True),
        Attribute("address", COMMON + "address", label="Address", lasting=True),
        Attribute(
            "location",
            "https://uri.etsi.org/ngsi-ld/location",
            kind=AttributeKind.GEO_PROPERTY,
            label="Location",
            lasting=True,
        ),
        Attribute("areaServed", COMMON + "areaServed", label="Area", lasting=True),
        Attribute("dataProvider", COMMON + "dataProvider", label="Data provider", lasting=True),
        Attribute("source", COMMON + "source", label="Source", lasting=True),
        Attribute("dateObserved", COMMON + "dateObserved", label="Time of observation"),
        Attribute("recordedAt", OWN + "recordedAt", label="Time of the original measurement"),
    )


def mark_name(grade: int) -> str:
    """The attribute that holds the level of an alarm grade at a station."""
    return f"alarmMark{grade}"


def above_name(grade: int) -> str:
    """The attribute that holds how far the water is above the level of an alarm grade (below: negative)."""
    return f"aboveAlarmMark{grade}"


MARK_LABELS = ("Alarm level 1", "Alarm level 2", "Alarm level 3")
ABOVE_LABELS = ("Above alarm level 1", "Above alarm level 2", "Above alarm level 3")

WATER_OBSERVED = EntityType(
    name="WaterObserved",
    iri=ENVIRONMENT + "WaterObserved",
    label="River gauge",
    attributes=(
        Attribute(
            "waterLevel",
            ENVIRONMENT + "waterLevel",
            unit="MTR",
            label="Water level",
            least=-20,
            most=2_000,
            sentinels=NO_VALUE,
        ),
        Attribute(
            "flow", ENVIRONMENT + "flow", unit="MQS", label="Flow", least=0, most=50_000, sentinels=NO_VALUE
        ),
        *(
            Attribute(mark_name(grade), OWN + mark_name(grade), unit="MTR", label=label)
            for grade, label in zip(GRADES, MARK_LABELS, strict=True)
        ),
        *(
            Attribute(above_name(grade), OWN + above_name(grade), unit="MTR", label=label, derived=True)
            for grade, label in zip(GRADES, ABOVE_LABELS, strict=True)
        ),
        Attribute("floodAlarmLevel", OWN + "floodAlarmLevel", label="Alarm level reached", derived=True),
        Attribute("stationCode", OWN + "stationCode", label="Station code", lasting=True),
        Attribute("riverName", OWN + "riverName", label="River", lasting=True),
        *_described(),
    ),
)

WEATHER_OBSERVED = EntityType(
    name="WeatherObserved",
    iri=WEATHER + "WeatherObserved",
    label="Rain gauge",
    attributes=(
        Attribute(
            "precipitation",
            WEATHER + "precipitation",
            unit="MMT",
            label="Rain",
            least=0,
            most=500,
            sentinels=NO_VALUE,
        ),
        Attribute(
            "rainOneHour", OWN + "rainOneHour", unit="MMT", label="Rain of the last hour", derived=True
        ),
        Attribute(
            "rainOneDay", OWN + "rainOneDay", unit="MMT", label="Rain of the last 24 hours", derived=True
        ),
        *_described(),
    ),
)


def marks_in_force(code: str | None, at: Instant) -> Iterator[AttributeReading]:
    """The alarm levels of a station on the day of a reading, as they stand in the norm."""
    station = levels_on(ALARM_LEVELS, code, at.astimezone(VIETNAM).date())
    for one in station.levels if station else ():
        yield AttributeReading(mark_name(one.grade), one.metres, "MTR")


# What follows


def derive_alarm_level(window: Window, moment: Instant) -> Sequence[DerivedValue]:
    """How far the level at a moment is above each alarm level, and the highest that it has reached.

    Nothing without a valid level of that very moment, and nothing for a grade whose level is not known.
    Reached is the highest known level at or below the water: where only that of alarm 2 is known, water
    below it is said to be below 2, which is no statement about 1, so there is no number then.
    """
    level = _at(window.get("waterLevel", ()), moment)
    marks = {grade: _at(window.get(mark_name(grade), ()), moment) for grade in GRADES}
    above = {
        grade: None if level is None or mark is None else round(level - mark, 3)
        for grade, mark in marks.items()
    }
    found = [DerivedValue(above_name(grade), moment, value) for grade, value in above.items()]
    return (*found, DerivedValue("floodAlarmLevel", moment, reached(above)))


def reached(above: "dict[int, float | None]") -> int | None:
    """The alarm grade that is reached: 0 to 3, or None where the levels that are known do not tell."""
    grades = [grade for grade, value in above.items() if value is not None and value >= 0]
    if grades:
        return max(grades)
    return 0 if above.get(GRADES[0]) is not None else None


def derive_rain(window: Window, moment: Instant) -> Sequence[DerivedValue]:
    """The rain of the hour and of the 24 hours that end at a moment, in mm, to a tenth."""
    return (
        DerivedValue("rainOneHour", moment, rain_of(window, moment, _HOUR)),
        DerivedValue("rainOneDay", moment, rain_of(window, moment, _DAY)),
    )


def rain_of(window: Window, moment: Instant, span: timedelta) -> float | None:
    """What fell in the span that ends at a moment, where at least 90 % of it was measured; else None.

    A reading speaks for the period before it, as far as no later reading has spoken for it already.
    """
    periods = {one.observed_at: one.number for one in window.get(PERIOD, ()) if one.number is not None}
    since = moment - span
    measured, fallen, covered = timedelta(0), 0.0, moment
    for one in reversed(window.get("precipitation", ())):
        seconds = periods.get(one.observed_at)
        if one.observed_at <= since or one.observed_at > moment or not _counts(one) or not seconds:
            continue
        if not isfinite(seconds) or seconds <= 0 or seconds > _DAY.total_seconds():
            continue
        begin = max(one.observed_at - timedelta(seconds=seconds), since)
        end = min(one.observed_at, covered)
        if end > begin:
            measured += end - begin
            covered = begin
        fallen += one.number or 0.0
    return round(fallen, 1) if measured >= ENOUGH_TIME * span else None


def rain_moments(at: Instant) -> Sequence[Instant]:
    """The reading's own moment, and the full hours of the day after it, which count it too."""
    hour = at.replace(minute=0, second=0, microsecond=0)
    return tuple(sorted({at, *(hour + back * _HOUR for back in range(1, 25))}))


def own_moment(at: Instant) -> Sequence[Instant]:
    """Only the moment itself."""
    return (at,)


def _at(column: Sequence[Observation], moment: Instant) -> float | None:
    """The valid number observed at a moment."""
    return next(
        (one.number for one in reversed(column) if one.observed_at == moment and _counts(one)),
        None,
    )


def _counts(one: Observation) -> bool:
    return one.quality is Quality.VALID and one.number is not None and isfinite(one.number)


WATER_DERIVATIONS = (
    Derivation(
        derivation_id="flood-alarm-level",
        entity_type=WATER_OBSERVED.name,
        inputs=("waterLevel", *(mark_name(grade) for grade in GRADES)),
        outputs=(*(above_name(grade) for grade in GRADES), "floodAlarmLevel"),
        reach=timedelta(minutes=1),
        moments=own_moment,
        derive=derive_alarm_level,
        method="Alarm levels of Decision 05/2020/QĐ-TTg, in force on the day of the reading",
    ),
    Derivation(
        derivation_id="rain-sums",
        entity_type=WEATHER_OBSERVED.name,
        inputs=("precipitation", PERIOD),
        outputs=("rainOneHour", "rainOneDay"),
        reach=_DAY,
        moments=rain_moments,
        derive=derive_rain,
        method="Sum of what fell; at least 90 % of the time must have been measured",
    ),
)

# Sources

_RIVER_EXAMPLE = """{
  "id": "urn:ngsi-ld:WaterObserved:binh-nghi",
  "observedAt": "2026-11-21T05:00:00Z",
  "period": 600,
  "name": "Bình Nghi",
  "stationCode": "kon-binh-nghi",
  "riverName": "Sông Kôn",
  "address": {"addressLocality": "Xã Bình Phú", "addressRegion": "Tỉnh Gia Lai", "addressCountry": "VN"},
  "location": {"type": "Point", "coordinates": [108.936, 13.909]},
  "source": "synthetic",
  "values": {
    "waterLevel": {"value": 1652, "unit": "CMT", "quality": "valid"},
    "flow": {"value": -999, "unit": "MQS", "quality": "missing"}
  }
}""".encode()
_RAIN_EXAMPLE = """{
  "id": "urn:ngsi-ld:WeatherObserved:van-canh",
  "observedAt": "2026-11-21T05:00:00Z",
  "period": 600,
  "name": "Vân Canh",
  "address": {"addressLocality": "Xã Vân Canh", "addressRegion": "Tỉnh Gia Lai", "addressCountry": "VN"},
  "location": {"type": "Point", "coordinates": [109.0, 13.62]},
  "source": "synthetic",
  "values": {"precipitation": {"value": 4.2, "unit": "MMT", "quality": "valid"}}
}""".encode()

decode_river = station_decoder(WATER_OBSERVED, "not-a-river-gauge", adding=marks_in_force)
decode_rain = station_decoder(WEATHER_OBSERVED, "not-a-rain-gauge")

WATER_SOURCES = (
    MqttSource(
        source_id="river-gauges",
        label="River gauges",
        topic="haidang/river/+",
        entity_type=WATER_OBSERVED.name,
        decode=decode_river,
        rhythm=RHYTHM,
        example=_RIVER_EXAMPLE,
        example_topic="haidang/river/binh-nghi",
        owner="Department of Agriculture and Environment",
    ),
    MqttSource(
        source_id="rain-gauges",
        label="Rain gauges",
        topic="haidang/rain/+",
        entity_type=WEATHER_OBSERVED.name,
        decode=decode_rain,
        rhythm=RHYTHM,
        example=_RAIN_EXAMPLE,
        example_topic="haidang/rain/van-canh",
        owner="Department of Agriculture and Environment",
    ),
)
