"""Air quality: the entity type of the Smart Data Models and the stations that report by MQTT."""

import sys
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import msgspec

from haidang.kernel.geometry import GeometryMalformed, check_geometry
from haidang.kernel.ids import UrnMalformed, check_urn
from haidang.kernel.instants import InstantUnreadable, format_instant, parse_instant
from haidang.kernel.text import nfc
from haidang.sdk.model import (
    Attribute,
    AttributeKind,
    AttributeReading,
    EntityType,
    Message,
    MqttSource,
    Quality,
    Reading,
    Rejected,
)

MODEL = "https://smartdatamodels.org/dataModel.Environment/"
COMMON = "https://smartdatamodels.org/"
OWN = "urn:haidang:term:"
NO_VALUE = (-9999.0, -999.0)
"""What stations and their loggers send for "no value"."""
LARGEST = sys.float_info.max


def _concentration(name: str, label: str, most: float) -> Attribute:
    """A concentration in µg/m³ that instruments can tell apart from a fault up to `most`."""
    return Attribute(
        name=name, iri=MODEL + name, unit="GQ", label=label, least=0.0, most=most, sentinels=NO_VALUE
    )


AIR_QUALITY_OBSERVED = EntityType(
    name="AirQualityObserved",
    iri=MODEL + "AirQualityObserved",
    label="Air quality observation",
    attributes=(
        _concentration("pm25", "PM2.5", 2_000),
        _concentration("pm10", "PM10", 5_000),
        _concentration("o3", "O₃", 2_000),
        _concentration("no2", "NO₂", 5_000),
        _concentration("so2", "SO₂", 5_000),
        _concentration("co", "CO", 200_000),
        _concentration("tsp", "Total suspended particles", 10_000),
        _concentration("pb", "Lead", 100),
        Attribute(
            "temperature",
            MODEL + "temperature",
            unit="CEL",
            label="Temperature",
            least=-20,
            most=60,
            sentinels=NO_VALUE,
        ),
        Attribute(
            "relativeHumidity",
            MODEL + "relativeHumidity",
            unit="C62",  # a number between 0 and 1, as the model says
            label="Relative humidity",
            least=0,
            most=1,
            sentinels=NO_VALUE,
        ),
        Attribute(
            "windSpeed",
            MODEL + "windSpeed",
            unit="MTS",
            label="Wind speed",
            least=0,
            most=100,
            sentinels=NO_VALUE,
        ),
        Attribute(
            "windDirection",
            MODEL + "windDirection",
            unit="DD",
            label="Wind direction",
            least=-180,
            most=180,
            sentinels=NO_VALUE,
        ),
        Attribute(
            "precipitation",
            MODEL + "precipitation",
            unit="MMT",  # one litre on a square metre stands one millimetre high
            label="Rain",
            least=0,
            most=2_000,
            sentinels=NO_VALUE,
        ),
        Attribute(
            "pressure",
            MODEL + "pressure",
            unit="A97",
            label="Air pressure",
            least=850,
            most=1_090,
            sentinels=NO_VALUE,
        ),
        Attribute(
            "averagingPeriod",
            OWN + "averagingPeriod",
            unit="SEC",
            label="Averaging period",
            least=1,
            most=86_400,
        ),
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
        Attribute(
            "airQualityIndex",
            MODEL + "airQualityIndex",
            label="VN_AQI, hourly",
            least=0,
            most=500,
            derived=True,
        ),
        Attribute(
            "airQualityLevel", MODEL + "airQualityLevel", label="Air quality level, hourly", derived=True
        ),
        Attribute(
            "airQualityIndexDaily",
            OWN + "airQualityIndexDaily",
            label="VN_AQI, daily",
            least=0,
            most=500,
            derived=True,
        ),
        Attribute(
            "airQualityLevelDaily",
            OWN + "airQualityLevelDaily",
            label="Air quality level, daily",
            derived=True,
        ),
        Attribute("dominantPollutant", OWN + "dominantPollutant", label="Main pollutant", derived=True),
        Attribute("subIndices", OWN + "subIndices", label="Indices of the parameters", derived=True),
    ),
)

TEXTS = ("name", "areaServed", "dataProvider", "source")
_DERIVED = frozenset(one.name for one in AIR_QUALITY_OBSERVED.attributes if one.derived)
_NOT_MEASURED = frozenset({*TEXTS, "address", "location", "dateObserved", "recordedAt", "averagingPeriod"})
_MEASURED = frozenset(one.name for one in AIR_QUALITY_OBSERVED.attributes) - _DERIVED - _NOT_MEASURED


class _StationMessage(msgspec.Struct, frozen=True):
    """What a station sends: its id, the end of the period it speaks for, and values by name."""

    id: str
    observedAt: str  # noqa: N815 - as it stands in the message
    values: dict[str, Any]
    period: float | None = None
    location: Any = None
    address: Any = None
    name: str | None = None
    areaServed: str | None = None  # noqa: N815 - as it stands in the message
    dataProvider: str | None = None  # noqa: N815 - as it stands in the message
    source: str | None = None
    recordedAt: str | None = None  # noqa: N815 - as it stands in the message


_READER = msgspec.json.Decoder(_StationMessage)


def decode_station(message: Message) -> Iterator[Reading | Rejected]:
    """One reading for a message; what cannot be read of it is rejected beside the rest.

    The message as a whole is rejected when it is not JSON of the known shape, or its id or its
    moment cannot be read. Units, ranges and sentinels are judged by whoever takes the reading.
    """
    try:
        sent = _READER.decode(message.payload)
    except msgspec.ValidationError as error:
        yield Rejected("shape-unknown", str(error))
        return
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        yield Rejected("not-json", str(error))
        return
    try:
        entity_id = check_urn(sent.id)
        observed_at = parse_instant(sent.observedAt)
    except (UrnMalformed, InstantUnreadable) as error:
        yield Rejected(error.code(), str(error))
        return
    if not entity_id.startswith(f"urn:ngsi-ld:{AIR_QUALITY_OBSERVED.name}:"):
        yield Rejected("not-an-air-station", entity_id)
        return
    values: list[AttributeReading] = []
    for part in (*_measured(sent.values), *_described(sent), *_replayed(sent)):
        if isinstance(part, Rejected):
            yield part
        else:
            values.append(part)
    if not values:
        yield Rejected("no-values", entity_id)
        return
    if sent.period is not None:
        values.append(AttributeReading("averagingPeriod", sent.period, "SEC"))
    values.append(AttributeReading("dateObserved", format_instant(observed_at)))
    yield Reading(entity_id, AIR_QUALITY_OBSERVED.name, observed_at, tuple(values))


def _measured(values: dict[str, Any]) -> Iterator[AttributeReading | Rejected]:
    """Each value as `{"value": …, "unit": …, "quality": …}`, or a bare number, which says no unit."""
    for name, sent in values.items():
        if name not in _MEASURED:
            yield Rejected("attribute-unknown", name)
            continue
        given = sent if isinstance(sent, dict) else {"value": sent}
        number, unit = given.get("value"), given.get("unit")
        if unit is not None and not isinstance(unit, str):
            yield Rejected("unit-unreadable", f"{name}: {unit!r}")
            continue
        try:
            quality = Quality(given.get("quality", Quality.VALID))
        except ValueError:
            yield Rejected("quality-unknown", f"{name}: {given.get('quality')!r}")
            continue
        if number is None:
            yield AttributeReading(name, None, unit, Quality.MISSING)
        elif isinstance(number, bool) or not isinstance(number, int | float) or abs(number) > LARGEST:
            yield Rejected("not-a-number", f"{name}: {str(number)[:100]}")
        else:
            if name == "windDirection" and 180 < number <= 360:
                number -= 360  # stations count from 0 to 360, the model from -180 to 180
            yield AttributeReading(name, float(number), unit, quality)


def _described(sent: _StationMessage) -> Iterator[AttributeReading | Rejected]:
    """What a station says about itself."""
    for name in TEXTS:
        text = getattr(sent, name)
        if text is not None:
            yield AttributeReading(name, nfc(text))
    if isinstance(sent.address, str):
        yield AttributeReading("address", nfc(sent.address))
    elif isinstance(sent.address, dict) and all(isinstance(line, str) for line in sent.address.values()):
        yield AttributeReading("address", {part: nfc(line) for part, line in sent.address.items()})
    elif sent.address is not None:
        yield Rejected("address-unreadable", repr(sent.address))
    if sent.location is not None:
        try:
            check_geometry(sent.location)
        except GeometryMalformed as error:
            yield Rejected(error.code(), str(error))
        else:
            yield AttributeReading("location", sent.location)


def _replayed(sent: _StationMessage) -> Iterator[AttributeReading | Rejected]:
    """When the values were measured, where they are a replay of a record."""
    if sent.recordedAt is not None:
        try:
            yield AttributeReading("recordedAt", format_instant(parse_instant(sent.recordedAt)))
        except InstantUnreadable as error:
            yield Rejected(error.code(), str(error))


EXAMPLE = """{
  "id": "urn:ngsi-ld:AirQualityObserved:phu-thuy",
  "observedAt": "2026-11-21T05:00:00Z",
  "period": 3600,
  "name": "Phú Thủy",
  "address": {"addressLocality": "Phường Phú Thủy", "addressRegion": "Lâm Đồng", "addressCountry": "VN"},
  "location": {"type": "Point", "coordinates": [108.1213, 10.9412]},
  "source": "synthetic",
  "values": {
    "pm25": {"value": 18.4, "unit": "GQ", "quality": "valid"},
    "pm10": {"value": 31.0, "unit": "GQ", "quality": "valid"},
    "o3": {"value": 61.2, "unit": "GQ", "quality": "valid"},
    "no2": {"value": -999, "unit": "GQ", "quality": "missing"},
    "co": {"value": 0.41, "unit": "GP", "quality": "valid"},
    "temperature": {"value": 29.1, "unit": "CEL", "quality": "valid"},
    "relativeHumidity": {"value": 71, "unit": "P1", "quality": "valid"}
  }
}""".encode()

AIR_STATIONS = MqttSource(
    source_id="air-stations",
    label="Air quality stations",
    topic="haidang/air/+",
    entity_type=AIR_QUALITY_OBSERVED.name,
    decode=decode_station,
    rhythm=timedelta(hours=1),
    example=EXAMPLE,
    example_topic="haidang/air/phu-thuy",
    owner="Department of Agriculture and Environment",
)
