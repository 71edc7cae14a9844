"""Air quality: the entity type of the Smart Data Models and the stations that report by MQTT."""

from datetime import timedelta

from haidang.packs.environment.messages import NO_VALUE, station_decoder
from haidang.sdk.model import Attribute, AttributeKind, EntityType, MqttSource

MODEL = "https://smartdatamodels.org/dataModel.Environment/"
COMMON = "https://smartdatamodels.org/"
OWN = "urn:haidang:term:"


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

decode_station = station_decoder(
    AIR_QUALITY_OBSERVED, "not-an-air-station", turned=frozenset({"windDirection"})
)

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
