"""Air stations as they would stand in the context: written through its own verbs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from haidang.context.model import AttributeInstance, MergeObservations
from haidang.context.writer import apply_commands
from haidang.infra.database import Pool, transaction
from haidang.kernel.actors import part
from haidang.kernel.instants import Instant
from haidang.packs.environment import aqi
from haidang.packs.environment.air import AIR_QUALITY_OBSERVED
from haidang.sdk.model import AttributeKind, Quality

HOUR = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Given:
    """A station of a test: its index now, and what it says of itself."""

    slug: str
    name: str
    index: int | None
    dominant: str = "pm25"
    source: str = "synthetic"
    silent: timedelta = timedelta()
    values: Mapping[str, float] = field(default_factory=lambda: {"pm25": 30.5, "pm10": 61.0, "o3": 88.1})
    extra: Mapping[str, Any] = field(default_factory=dict)
    aged: Mapping[str, timedelta] = field(default_factory=dict)
    """How much older than the rest a value is, by its name."""


FIVE: Sequence[Given] = (
    Given("phu-thuy", "Phú Thủy", 61),
    Given("mui-ne", "Mũi Né", 33, dominant="o3"),
    Given("quy-nhon", "Quy Nhơn", 402),
    Given("im-lang", "Trạm im lặng", 77, silent=timedelta(hours=7)),
    Given(
        "ha-noi-phat-lai",
        "Hà Nội – phát lại số liệu đo 2016–2020",
        155,
        source="replay: U.S. Embassy Hà Nội, AirNow, 2016–2020",
        extra={"recordedAt": "2018-11-21T05:00:00Z"},
    ),
)


def instance(name: str, value: Any, at: Instant | None, **more: Any) -> AttributeInstance:
    """An instance of a declared attribute, by its short name."""
    declared = AIR_QUALITY_OBSERVED.attribute(name)
    assert declared is not None, name
    return AttributeInstance(
        declared.iri, value, kind=declared.kind, unit=declared.unit, observed_at=at, **more
    )


def commands_of(given: Given, now: Instant, *, hours: int = 3, days: int = 3) -> list[MergeObservations]:
    """What makes the station: its description, the last hours and days of its indices, its values."""
    latest = now.replace(minute=0, second=0, microsecond=0) - given.silent
    about = [
        instance("name", given.name, None),
        instance("source", given.source, None),
        instance("address", {"addressLocality": f"Phường {given.name}", "addressRegion": "Lâm Đồng"}, None),
        instance("location", {"type": "Point", "coordinates": [108.1213, 10.9412]}, None),
        *(instance(name, value, None) for name, value in given.extra.items()),
    ]
    moments: list[list[AttributeInstance]] = [about]
    if given.index is not None:
        for back in range(days, 0, -1):
            end = aqi.end_of_day(aqi.day_of(latest) - timedelta(days=back))
            moments.append([instance("airQualityIndexDaily", max(given.index - back, 1), end)])
    for back in range(hours - 1, -1, -1):
        at = latest - back * HOUR
        written = [
            instance(name, value + back, at - given.aged.get(name, timedelta()))
            for name, value in given.values.items()
        ]
        written.append(instance("averagingPeriod", 3600, at))
        if given.index is not None:
            written.append(_index(given, max(given.index - back, 1), at))
        moments.append(written)
    return [
        MergeObservations(
            entity_id=f"urn:ngsi-ld:AirQualityObserved:{given.slug}",
            type_iri=AIR_QUALITY_OBSERVED.iri,
            attributes=tuple(attributes),
        )
        for attributes in moments
    ]


def _index(given: Given, index: int, at: Instant) -> AttributeInstance:
    indices = {
        name: {
            "index": index if name == given.dominant else 12,
            "concentration": value,
            "averaging": "nowcast" if name.startswith("pm") else "1h",
        }
        for name, value in given.values.items()
    }
    sub_attributes = (
        instance("dominantPollutant", given.dominant, None),
        AttributeInstance(
            "urn:haidang:term:subIndices", indices, kind=AttributeKind.PROPERTY, quality=Quality.VALID
        ),
    )
    return instance("airQualityIndex", index, at, sub_attributes=sub_attributes)


async def write_stations(
    pool: Pool, stations: Sequence[Given], now: Instant, *, hours: int = 3, days: int = 3
) -> None:
    """Write them in one commit."""
    commands = [command for given in stations for command in commands_of(given, now, hours=hours, days=days)]
    async with transaction(pool) as connection:
        outcomes = await apply_commands(connection, part("test"), commands, now=now)
    assert [outcome.error for outcome in outcomes if outcome.error is not None] == []
