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

MICROGRAMS = "GQ"
"""Microgram per cubic metre (UN/CEFACT Recommendation 20)."""

MILLIGRAMS = "GP"
CELSIUS = "CEL"
PERCENT = "P1"
METRES_A_SECOND = "MTS"
DEGREES = "DD"

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

    @property
    def entity_id(self) -> str:
        """Its stable URN."""
        return f"urn:ngsi-ld:AirQualityObserved:{self.slug}"

    @property
    def topic(self) -> str:
        """Where it publishes."""
        return f"haidang/air/{self.slug}"


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
