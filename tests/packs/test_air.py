"""What air stations send becomes readings; what cannot be read is rejected beside the rest."""

import json
from datetime import UTC, date, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from haidang.kernel.units import convert
from haidang.packs.environment.air import AIR_QUALITY_OBSERVED, EXAMPLE, decode_station
from haidang.packs.environment.aqi import Pollutant
from haidang.packs.environment.limits import LIMITS, limit_of, read_limits
from haidang.packs.environment.pack import PACK
from haidang.sdk.model import AttributeReading, Message, Quality, Reading, Rejected

NOON = datetime(2026, 11, 21, 5, tzinfo=UTC)
JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


def decoded(payload: bytes) -> list[Reading | Rejected]:
    return list(decode_station(Message(payload, "haidang/air/phu-thuy", NOON)))


def sent(**parts: Any) -> list[Reading | Rejected]:
    return decoded(json.dumps({**json.loads(EXAMPLE), **parts}).encode())


def values_of(found: list[Reading | Rejected]) -> dict[str, AttributeReading]:
    (reading,) = [one for one in found if isinstance(one, Reading)]
    return {value.attribute: value for value in reading.values}


def reasons_of(found: list[Reading | Rejected]) -> list[str]:
    return [one.reason for one in found if isinstance(one, Rejected)]


def test_a_message_becomes_one_reading_at_the_end_of_its_hour() -> None:
    (reading,) = decoded(EXAMPLE)
    assert isinstance(reading, Reading)
    assert reading.entity_id == "urn:ngsi-ld:AirQualityObserved:phu-thuy"
    assert reading.observed_at == NOON
    values = values_of([reading])
    assert values["pm25"] == AttributeReading("pm25", 18.4, "GQ", Quality.VALID)
    assert values["averagingPeriod"] == AttributeReading("averagingPeriod", 3600.0, "SEC")
    assert values["dateObserved"].value == "2026-11-21T05:00:00Z"
    assert values["name"].value == "Phú Thủy"
    assert values["location"].value == {"type": "Point", "coordinates": [108.1213, 10.9412]}
    assert values["source"].value == "synthetic"


def test_carbon_monoxide_may_come_in_milligrams() -> None:
    monoxide = values_of(decoded(EXAMPLE))["co"]
    assert monoxide.unit == "GP"
    assert convert(monoxide.value, monoxide.unit, "GQ") == 410.0


def test_humidity_in_percent_becomes_the_fraction_of_the_model() -> None:
    humidity = values_of(decoded(EXAMPLE))["relativeHumidity"]
    declared = AIR_QUALITY_OBSERVED.attribute("relativeHumidity")
    assert declared is not None
    assert declared.unit == "C62"
    assert convert(humidity.value, humidity.unit or "", declared.unit) == 0.71


@pytest.mark.parametrize(("given_degrees", "kept"), [(0, 0), (90, 90), (180, 180), (270, -90), (360, 0)])
def test_wind_from_0_to_360_degrees_is_kept_from_minus_180_to_180(given_degrees: float, kept: float) -> None:
    assert values_of(sent(values={"windDirection": given_degrees}))["windDirection"].value == kept


def test_flags_and_gaps_are_kept_for_whoever_judges_them() -> None:
    values = values_of(
        sent(values={"pm25": {"value": 12, "quality": "suspect"}, "pm10": {"value": None}, "o3": 61.5})
    )
    assert values["pm25"].quality is Quality.SUSPECT
    assert (values["pm10"].value, values["pm10"].quality) == (None, Quality.MISSING)
    assert values["o3"] == AttributeReading("o3", 61.5, None, Quality.VALID)


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ({"pm2.5": 12}, "attribute-unknown"),
        ({"airQualityIndex": 12}, "attribute-unknown"),
        ({"pm25": "12"}, "not-a-number"),
        ({"pm25": True}, "not-a-number"),
        ({"pm25": [12]}, "not-a-number"),
        ({"pm25": 10**400}, "not-a-number"),
        ({"pm25": {"value": 12, "unit": 5}}, "unit-unreadable"),
        ({"pm25": {"value": 12, "quality": "Valid?"}}, "quality-unknown"),
        ({"pm25": {"value": 12, "quality": ["valid"]}}, "quality-unknown"),
    ],
)
def test_a_bad_value_is_rejected_and_the_rest_is_kept(value: dict[str, Any], reason: str) -> None:
    found = sent(values={**value, "pm10": 30})
    assert reasons_of(found) == [reason]
    assert values_of(found)["pm10"].value == 30


@pytest.mark.parametrize(
    ("parts", "reason"),
    [
        ({"location": {"type": "Point", "coordinates": [10.9, 108.1]}}, "position-outside-earth"),
        ({"location": "108.1 10.9"}, "geometry-malformed"),
        ({"address": 5}, "address-unreadable"),
        ({"address": {"streetAddress": None}}, "address-unreadable"),
        ({"recordedAt": "2016"}, "instant-unreadable"),
    ],
)
def test_a_bad_description_does_not_cost_the_values(parts: dict[str, Any], reason: str) -> None:
    found = sent(**parts)
    assert reasons_of(found) == [reason]
    assert values_of(found)["pm25"].value == 18.4


@pytest.mark.parametrize(
    ("parts", "reason"),
    [
        ({"id": "phu-thuy"}, "urn-malformed"),
        ({"id": "urn:ngsi-ld:WeatherObserved:phu-thuy"}, "not-an-air-station"),
        ({"id": 5}, "shape-unknown"),
        ({"observedAt": "2026-11-21T12:00:00"}, "instant-unreadable"),
        ({"observedAt": "0001-01-01T00:00:00+14:00"}, "instant-unreadable"),
        ({"values": [12]}, "shape-unknown"),
        ({"period": "1h"}, "shape-unknown"),
        ({"name": 5}, "shape-unknown"),
    ],
)
def test_a_message_of_unknown_id_moment_or_shape_is_rejected_whole(
    parts: dict[str, Any], reason: str
) -> None:
    found = sent(**parts)
    assert reasons_of(found) == [reason]
    assert len(found) == 1


@pytest.mark.parametrize("payload", [b"", b"{", EXAMPLE[:-1], b"\xff\xfe", EXAMPLE.decode().encode("utf-16")])
def test_what_is_no_json_is_rejected(payload: bytes) -> None:
    assert reasons_of(decoded(payload)) == ["not-json"]


def test_a_message_that_says_nothing_is_rejected() -> None:
    empty = {"id": "urn:ngsi-ld:AirQualityObserved:x", "observedAt": "2026-11-21T05:00:00Z", "values": {}}
    assert reasons_of(decoded(json.dumps(empty).encode())) == ["no-values"]


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_rejected(payload: bytes) -> None:
    assert all(isinstance(one, Reading | Rejected) for one in decoded(payload))


@given(st.dictionaries(st.sampled_from([*json.loads(EXAMPLE), "recordedAt", "more"]), JSON))
def test_any_json_is_read_or_rejected(parts: dict[str, Any]) -> None:
    found = sent(**parts)
    assert found
    assert all(isinstance(one, Reading | Rejected) for one in found)
    assert len([one for one in found if isinstance(one, Reading)]) <= 1


@given(st.dictionaries(st.sampled_from(["pm25", "pm10", "co", "windDirection"]), JSON))
def test_any_values_are_numbers_or_rejected(values: dict[str, Any]) -> None:
    for one in sent(values=values):
        if isinstance(one, Reading):
            for value in one.values:
                if value.attribute in values:
                    assert value.value is None or isinstance(value.value, float)


def test_the_six_parameters_of_the_index_are_declared_in_micrograms() -> None:
    for pollutant in Pollutant:
        declared = AIR_QUALITY_OBSERVED.attribute(pollutant.value)
        assert declared is not None
        assert (declared.unit, declared.least) == ("GQ", 0.0)
        assert -999.0 in declared.sentinels
        assert declared.iri == f"https://smartdatamodels.org/dataModel.Environment/{pollutant.value}"


def test_the_model_s_iris_are_its_own() -> None:
    iris = {one.name: one.iri for one in AIR_QUALITY_OBSERVED.attributes}
    assert AIR_QUALITY_OBSERVED.iri == "https://smartdatamodels.org/dataModel.Environment/AirQualityObserved"
    assert iris["location"] == "https://uri.etsi.org/ngsi-ld/location"
    for name in ("name", "address", "source", "dataProvider", "areaServed", "dateObserved"):
        assert iris[name] == f"https://smartdatamodels.org/{name}"
    for name in ("temperature", "relativeHumidity", "windSpeed", "airQualityIndex", "airQualityLevel"):
        assert iris[name] == f"https://smartdatamodels.org/dataModel.Environment/{name}"


# QCVN 05:2023/BTNMT


def test_the_limit_of_a_day_is_the_one_in_force_on_it() -> None:
    for on, value in ((date(2025, 12, 31), 50.0), (date(2026, 1, 1), 45.0), (date(2026, 11, 21), 45.0)):
        found = limit_of(LIMITS, "pm25", "24h", on)
        assert found is not None
        assert (found.value, found.unit, found.norm, found.verified) == (
            value,
            "GQ",
            "QCVN 05:2023/BTNMT",
            True,
        )
    assert limit_of(LIMITS, "pm25", "24h", date(2020, 1, 1)) is None
    assert limit_of(LIMITS, "pm25", "1h", date(2026, 1, 1)) is None


def test_only_the_limits_that_were_read_in_a_source_are_verified() -> None:
    assert {(one.attribute, one.averaging, one.value) for one in LIMITS if one.verified} == {
        ("so2", "24h", 125),
        ("co", "8h", 10_000),
        ("no2", "1h", 200),
        ("tsp", "year", 100),
        ("pm10", "24h", 100),
        ("pm25", "24h", 50),
        ("pm25", "24h", 45),
        ("pm25", "year", 25),
    }
    assert len(LIMITS) == 20


def test_two_limits_of_one_parameter_never_hold_on_one_day() -> None:
    for one in LIMITS:
        others = [
            other
            for other in LIMITS
            if other is not one
            and (other.attribute, other.averaging) == (one.attribute, one.averaging)
            and other.valid_from <= (one.valid_to or date.max)
            and one.valid_from <= (other.valid_to or date.max)
        ]
        assert others == []


def test_a_limit_inherits_what_stands_at_the_top() -> None:
    (limit,) = read_limits(
        'norm = "N"\nunit = "GQ"\nfrom = 2026-01-01\n'
        '[[limit]]\nattribute = "o3"\naveraging = "8h"\nvalue = 120\nverified = false\n'
    )
    assert (limit.norm, limit.unit, limit.valid_from, limit.valid_to) == ("N", "GQ", date(2026, 1, 1), None)


def test_the_pack_declares_both_indices_and_its_open_data() -> None:
    assert {one.derivation_id for one in PACK.derivations} >= {"vn-aqi-hourly", "vn-aqi-daily"}
    dataset = next(one for one in PACK.datasets if one.dataset_id == "air-quality-observed")
    assert dataset.licence == "CC-BY-4.0"
