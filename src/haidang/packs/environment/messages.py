"""The message that the province's stations send over MQTT, whatever they measure: JSON, one moment each.

```
{"id": "urn:ngsi-ld:…", "observedAt": "…Z", "period": 600, "name": "…", "location": {…},
 "values": {"waterLevel": {"value": 7.35, "unit": "MTR", "quality": "valid"}, "precipitation": 1.2}}
```
"""

import sys
from collections.abc import Callable, Iterator
from typing import Any

import msgspec

from haidang.kernel.geometry import GeometryMalformed, check_geometry
from haidang.kernel.ids import UrnMalformed, check_urn
from haidang.kernel.instants import Instant, InstantUnreadable, format_instant, parse_instant
from haidang.kernel.text import nfc
from haidang.sdk.model import AttributeReading, Decoder, EntityType, Message, Quality, Reading, Rejected

NO_VALUE = (-9999.0, -999.0)
"""What stations and their loggers send for "no value"."""

TEXTS = ("name", "areaServed", "dataProvider", "source", "stationCode", "riverName")
_LARGEST = sys.float_info.max
_NOT_MEASURED = frozenset({*TEXTS, "address", "location", "dateObserved", "recordedAt", "averagingPeriod"})


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
    stationCode: str | None = None  # noqa: N815 - as it stands in the message
    riverName: str | None = None  # noqa: N815 - as it stands in the message


_READER = msgspec.json.Decoder(_StationMessage)

Addition = Callable[[str | None, Instant], Iterator[AttributeReading]]
"""What is known of a station beside its message, from its code and the moment."""


def station_decoder(
    kind: EntityType,
    stranger: str,
    *,
    turned: frozenset[str] = frozenset(),
    adding: Addition | None = None,
) -> Decoder:
    """A pure decoder of the messages of stations of one type; an id of another type is refused as `stranger`.

    `turned` names directions that stations count from 0 to 360 and the model from −180 to 180.
    """
    declared = frozenset(one.name for one in kind.attributes)
    derived = frozenset(one.name for one in kind.attributes if one.derived)
    measured = declared - derived - _NOT_MEASURED
    texts = tuple(name for name in TEXTS if name in declared)

    def decode(message: Message) -> Iterator[Reading | Rejected]:
        """One reading for a message; what cannot be read of it is rejected beside the rest.

        The message as a whole is rejected when it is not JSON of the known shape, or its id or its
        moment cannot be read. Units, ranges and sentinels are judged by whoever takes the reading.
        """
        opened = _opened(message.payload)
        if isinstance(opened, Rejected):
            yield opened
            return
        sent, entity_id, observed_at = opened
        if not entity_id.startswith(f"urn:ngsi-ld:{kind.name}:"):
            yield Rejected(stranger, entity_id)
            return
        values: list[AttributeReading] = []
        for part in (*_measured(sent.values, measured, turned), *_described(sent, texts), *_replayed(sent)):
            if isinstance(part, Rejected):
                yield part
            else:
                values.append(part)
        if not values:
            yield Rejected("no-values", entity_id)
            return
        if sent.period is not None:
            values.append(AttributeReading("averagingPeriod", sent.period, "SEC"))
        if adding is not None:
            values.extend(adding(sent.stationCode, observed_at))
        values.append(AttributeReading("dateObserved", format_instant(observed_at)))
        yield Reading(entity_id, kind.name, observed_at, tuple(values))

    return decode


def _opened(payload: bytes) -> tuple[_StationMessage, str, Instant] | Rejected:
    """The message with its id and its moment, or why there is none."""
    try:
        sent = _READER.decode(payload)
        return sent, check_urn(sent.id), parse_instant(sent.observedAt)
    except msgspec.ValidationError as error:
        return Rejected("shape-unknown", str(error))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        return Rejected("not-json", str(error))
    except (UrnMalformed, InstantUnreadable) as error:
        return Rejected(error.code(), str(error))


def _measured(
    values: dict[str, Any], measured: frozenset[str], turned: frozenset[str]
) -> Iterator[AttributeReading | Rejected]:
    """Each value as `{"value": …, "unit": …, "quality": …}`, or a bare number, which says no unit."""
    for name, sent in values.items():
        if name not in measured:
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
        elif isinstance(number, bool) or not isinstance(number, int | float) or abs(number) > _LARGEST:
            yield Rejected("not-a-number", f"{name}: {str(number)[:100]}")
        else:
            if name in turned and 180 < number <= 360:
                number -= 360
            yield AttributeReading(name, float(number), unit, quality)


def _described(sent: _StationMessage, texts: tuple[str, ...]) -> Iterator[AttributeReading | Rejected]:
    """What a station says about itself."""
    for name in texts:
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
