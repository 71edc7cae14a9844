"""The stations of the demo: who they are, where they stand, what they say at an instant.

A station is a pure function of time: the same instant always gives the same values, so that
a restart repeats nothing differently.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

import msgspec

from haidang.kernel.instants import Instant, format_instant

_MODEL = "https://smartdatamodels.org/"


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of station: its entity type with its IRI, and the folder of topics it publishes in."""

    entity_type: str
    iri: str
    folder: str


AIR = Kind("AirQualityObserved", f"{_MODEL}dataModel.Environment/AirQualityObserved", "haidang/air")
RIVER = Kind("WaterObserved", f"{_MODEL}dataModel.Environment/WaterObserved", "haidang/river")
RAIN = Kind("WeatherObserved", f"{_MODEL}dataModel.Weather/WeatherObserved", "haidang/rain")

MICROGRAMS = "GQ"
"""Microgram per cubic metre (UN/CEFACT Recommendation 20)."""

MILLIGRAMS = "GP"
CELSIUS = "CEL"
PERCENT = "P1"
METRES_A_SECOND = "MTS"
DEGREES = "DD"
METRES = "MTR"
MILLIMETRES = "MMT"

SENTINEL = -999.0
"""What stations send when they have no value."""


@dataclass(frozen=True, slots=True)
class Value:
    """One value as a station sends it: with its unit and the station's own quality flag."""

    value: float
    unit: str
    quality: str = "valid"


@dataclass(frozen=True, slots=True)
class Station:
    """A station as the outside world describes it; `source` says how far its values are real."""

    slug: str
    name: str
    ward: str
    province: str
    latitude: float
    longitude: float
    source: str
    provider: str
    period: timedelta
    kind: Kind = AIR
    code: str = ""
    """Of the official station it stands near, by which the alarm levels are known."""
    river: str = ""

    @property
    def entity_id(self) -> str:
        """Its stable URN."""
        return f"urn:ngsi-ld:{self.kind.entity_type}:{self.slug}"

    @property
    def topic(self) -> str:
        """Where it publishes."""
        return f"{self.kind.folder}/{self.slug}"


class Measuring(Protocol):
    """Something that has values at the end of each of its periods."""

    def values_at(self, at: Instant) -> Mapping[str, Value]:
        """What it measured over the period that ends at `at`; empty where it has nothing."""
        ...

    def recorded_at(self, at: Instant) -> Instant | None:
        """The original instant of a replayed value, `None` where nothing is replayed."""
        ...


def payload_of(station: Station, at: Instant, values: Mapping[str, Value], recorded: Instant | None) -> bytes:
    """The message that a station publishes, as JSON."""
    message: dict[str, Any] = {
        "id": station.entity_id,
        "observedAt": format_instant(at),
        "period": int(station.period.total_seconds()),
        "name": station.name,
        "source": station.source,
        "values": {
            name: {"value": one.value, "unit": one.unit, "quality": one.quality}
            for name, one in values.items()
        },
    }
    if station.code:
        message["stationCode"] = station.code
    if station.river:
        message["riverName"] = station.river
    if recorded is not None:
        message["recordedAt"] = format_instant(recorded)
    return msgspec.json.encode(message)


def slots(period: timedelta, after: Instant, until: Instant) -> Iterator[Instant]:
    """The ends of the periods in (after, until], counted from midnight UTC."""
    whole = int((after - EPOCH) / period)
    at = EPOCH + whole * period
    while True:
        at += period
        if at > until:
            return
        if at > after:
            yield at


EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
