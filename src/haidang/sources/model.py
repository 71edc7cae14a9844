"""What may enter the city and what is quarantined: pure rules over decoded readings.

A message is judged value by value: what is good enters, what is not is named with its
reason, and the whole payload is kept beside the reasons. docs/reference/quarantine.md is the
table of reasons.
"""

import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum
from hashlib import sha256
from typing import Any
from uuid import UUID

import msgspec

from haidang.kernel.instants import Instant, format_instant
from haidang.kernel.units import NumberNotFinite, UnitsDiffer, UnitUnknown, convert
from haidang.sdk.model import (
    Attribute,
    AttributeKind,
    AttributeReading,
    EntityType,
    Message,
    MqttSource,
    Pack,
    Quality,
    Reading,
    Rejected,
)
from haidang.sources.errors import SourceOfUnknownType, SourcesShareAName

LARGEST_PAYLOAD_BYTES = 1_000_000
"""A larger payload is not decoded: no reading needs it."""

KEPT_OF_OVERSIZED_BYTES = 4_096
"""What is kept of a payload that is too large: enough to see what it was."""

LARGEST_NUMBER = sys.float_info.max
"""A device may write a number that no float can hold; nothing measured is so large."""

FUTURE_TOLERANCE = timedelta(minutes=5)
"""How far a device's clock may run ahead of ours."""

OLDEST = timedelta(days=5 * 366)
"""A reading older than this comes from a clock that was never set (1970, 2000)."""

LONGEST_DETAIL = 500

_REASON = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")


class Reason(StrEnum):
    """Why a payload, or a part of it, is quarantined. A decoder adds reasons of its own."""

    PAYLOAD_TOO_LARGE = "payload-too-large"
    DECODER_FAILED = "decoder-failed"
    NOTHING_READ = "nothing-read"
    NO_SOURCE = "no-source-for-topic"
    REJECTED = "rejected"
    ENTITY_TYPE_UNKNOWN = "entity-type-unknown"
    ENTITY_ID_MALFORMED = "entity-id-malformed"
    OBSERVED_IN_FUTURE = "observed-in-future"
    OBSERVED_TOO_LONG_AGO = "observed-too-long-ago"
    ATTRIBUTE_UNKNOWN = "attribute-unknown"
    ATTRIBUTE_DERIVED = "attribute-derived"
    VALUE_OF_WRONG_KIND = "value-of-wrong-kind"
    UNIT_UNKNOWN = "unit-unknown"
    UNIT_MISSING = "unit-missing"
    UNIT_DIFFERS = "unit-differs"
    NOT_STORABLE = "not-storable"


REASON_TITLES: Mapping[str, str] = {
    Reason.PAYLOAD_TOO_LARGE: "The message is too large to be read",
    Reason.DECODER_FAILED: "The decoder of this source failed",
    Reason.NOTHING_READ: "The message holds no reading",
    Reason.NO_SOURCE: "No source is declared for this topic",
    Reason.REJECTED: "The decoder rejected the message",
    Reason.ENTITY_TYPE_UNKNOWN: "The message speaks of a type that the source is not declared for",
    Reason.ENTITY_ID_MALFORMED: "The id of the thing is not a URN",
    Reason.OBSERVED_IN_FUTURE: "The time of observation is in the future: check the device's clock",
    Reason.OBSERVED_TOO_LONG_AGO: "The time of observation is years ago: check the device's clock",
    Reason.ATTRIBUTE_UNKNOWN: "The type has no such attribute",
    Reason.ATTRIBUTE_DERIVED: "The platform computes this attribute itself",
    Reason.VALUE_OF_WRONG_KIND: "The value is of the wrong kind",
    Reason.UNIT_UNKNOWN: "The unit is not known",
    Reason.UNIT_MISSING: "The unit is missing",
    Reason.UNIT_DIFFERS: "The unit measures something else",
    Reason.NOT_STORABLE: "The message could not be stored",
}
"""What people read for each reason; a decoder's own reasons show as their code."""


@dataclass(frozen=True, slots=True)
class DeclaredSource:
    """A source with the type of what it speaks of; `decoder_version` is the version of its pack."""

    source: MqttSource
    entity_type: EntityType
    attributes: Mapping[str, Attribute]
    decoder_version: str

    @property
    def source_id(self) -> str:
        """Its stable name."""
        return self.source.source_id

    @property
    def urn(self) -> str:
        """The source itself as a subject."""
        return f"urn:haidang:source:{self.source_id}"

    @property
    def silence_allowed(self) -> timedelta:
        """How long it may be silent before it is late."""
        return self.source.rhythm * self.source.silent_after


def declared_sources(packs: Iterable[Pack]) -> tuple[DeclaredSource, ...]:
    """Every source that packs declare; refuses a name used twice and a type that is not there."""
    found: dict[str, DeclaredSource] = {}
    for pack in packs:
        for source in pack.sources:
            if source.source_id in found:
                raise SourcesShareAName(source_id=source.source_id)
            entity_type = next(
                (one for one in pack.entity_types if source.entity_type in (one.name, one.iri)), None
            )
            if entity_type is None:
                raise SourceOfUnknownType(source_id=source.source_id, entity_type=source.entity_type)
            found[source.source_id] = DeclaredSource(
                source, entity_type, attributes_by_name(entity_type), f"{pack.pack_id} {pack.version}"
            )
    return tuple(found.values())


def attributes_by_name(entity_type: EntityType) -> Mapping[str, Attribute]:
    """The attributes of a type by their short and by their expanded names."""
    return {name: one for one in entity_type.attributes for name in (one.iri, one.name)}


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a payload, or a part of it, did not enter."""

    reason: str
    detail: str


@dataclass(frozen=True, slots=True)
class AdmittedValue:
    """A value that may enter: in the declared unit, with its quality. `why` says what changed it."""

    attribute: Attribute
    value: Any
    quality: Quality
    why: str = ""


@dataclass(frozen=True, slots=True)
class AdmittedReading:
    """What may enter of one reading."""

    entity_id: str
    observed_at: Instant
    values: tuple[AdmittedValue, ...]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What of a message may enter, and what may not."""

    admitted: tuple[AdmittedReading, ...] = ()
    refusals: tuple[Refusal, ...] = ()


@dataclass(frozen=True, slots=True)
class Quarantined:
    """A message with one reason, ready to be kept."""

    source_id: str
    decoder_version: str
    message: Message
    refusal: Refusal

    @property
    def digest(self) -> bytes:
        """What makes two payloads the same: topic and bytes."""
        return sha256(self.message.topic.encode() + b"\0" + self.message.payload).digest()

    @property
    def kept_payload(self) -> bytes:
        """The payload, or the beginning of one that is too large."""
        payload = self.message.payload
        return payload if len(payload) <= LARGEST_PAYLOAD_BYTES else payload[:KEPT_OF_OVERSIZED_BYTES]


class QuarantinedMessage(msgspec.Struct, frozen=True, kw_only=True):
    """A payload that was refused, and why; `times` says how often the same came on its day.

    In a list `payload` may be its beginning alone; `kept_bytes` of its `payload_bytes` were kept.
    """

    quarantine_id: UUID
    source_id: str
    reason: str
    detail: str
    topic: str
    payload: bytes
    kept_bytes: int
    payload_bytes: int
    decoder_version: str
    times: int
    first_received_at: Instant
    last_received_at: Instant
    replays: int
    replayed_at: Instant | None
    settled_at: Instant | None

    @property
    def is_whole(self) -> bool:
        """Whether all of the payload was kept."""
        return self.kept_bytes == self.payload_bytes


class Replay(msgspec.Struct, frozen=True, kw_only=True):
    """Messages that somebody had judged again: one, or all that waited and fitted a filter.

    `asked_by` is the name that was given, marked where nobody proved to bear it. `ended_at` is None while
    it goes on.
    """

    replay_id: UUID
    quarantine_id: UUID | None
    source_id: str | None
    reason: str | None
    asked_by: str
    asked_at: Instant
    messages: int
    settled: int
    still_refused: int
    failed: int
    ended_at: Instant | None

    @property
    def done(self) -> int:
        """How many messages it has judged."""
        return self.settled + self.still_refused + self.failed


@dataclass(frozen=True, slots=True)
class Trial:
    """What today's declarations make of a quarantined message, without letting anything in.

    `source` is None where no pack reads its topic (any more); nothing is judged then, nor of a payload
    that was not kept whole. What the city's record itself refuses is only known when it is replayed.
    """

    source: DeclaredSource | None
    verdict: Verdict | None
    reason: str

    @property
    def settles(self) -> bool:
        """Whether the reason it was kept for is gone."""
        return self.verdict is not None and all(one.reason != self.reason for one in self.verdict.refusals)


class QuarantineTally(msgspec.Struct, frozen=True, kw_only=True):
    """How often a reason was met on a day, and how much of it is kept."""

    source_id: str
    reason: str
    day: date
    times: int
    kept: int
    kept_bytes: int


class Freshness(msgspec.Struct, frozen=True, kw_only=True):
    """When a source, or one entity of it, was last heard; since when it is late, if it is."""

    source_id: str
    subject: str
    last_received_at: Instant
    last_observed_at: Instant
    late_since: Instant | None


class SourceCounts(msgspec.Struct, frozen=True, kw_only=True):
    """What a source has sent since the beginning."""

    source_id: str
    messages: int
    refusals: int
    last_received_at: Instant


def judge(declared: DeclaredSource, message: Message, *, now: Instant) -> Verdict:
    """Decode one message and judge what is in it. Never raises for what a device sent."""
    size = len(message.payload)
    if size > LARGEST_PAYLOAD_BYTES:
        return _refused(Reason.PAYLOAD_TOO_LARGE, f"{size} bytes, at most {LARGEST_PAYLOAD_BYTES} are read")
    try:
        parts = list(declared.source.decode(message))
    except Exception as error:  # noqa: BLE001 (a decoder is a pack's code: its bug must not stop the others)
        return _refused(Reason.DECODER_FAILED, f"{type(error).__name__}: {error}")
    if not parts:
        return _refused(Reason.NOTHING_READ, "the decoder found neither a reading nor a reason")
    admitted: list[AdmittedReading] = []
    refusals: list[Refusal] = []
    for part in parts:
        if isinstance(part, Rejected):
            reason = part.reason if _REASON.fullmatch(part.reason) else Reason.REJECTED
            refusals.append(_refusal(reason, part.detail))
        else:
            _judge_reading(declared, part, now, admitted, refusals)
    return Verdict(tuple(admitted), merge_refusals(refusals))


def merge_refusals(refusals: Sequence[Refusal]) -> tuple[Refusal, ...]:
    """One refusal a reason, their details together: a payload is kept once for each reason."""
    if len(refusals) < 2:
        return tuple(refusals)
    details: dict[str, dict[str, None]] = {}
    for refusal in refusals:
        details.setdefault(refusal.reason, {})[refusal.detail] = None
    return tuple(_refusal(reason, "; ".join(found)) for reason, found in details.items())


def _judge_reading(
    declared: DeclaredSource,
    reading: Reading,
    now: Instant,
    admitted: list[AdmittedReading],
    refusals: list[Refusal],
) -> None:
    if reading.entity_type not in (declared.entity_type.name, declared.entity_type.iri):
        refusals.append(_refusal(Reason.ENTITY_TYPE_UNKNOWN, reading.entity_type))
        return
    if not is_entity_id(reading.entity_id):
        refusals.append(_refusal(Reason.ENTITY_ID_MALFORMED, reading.entity_id))
        return
    if reading.observed_at > now + FUTURE_TOLERANCE:
        at = format_instant(reading.observed_at)
        refusals.append(_refusal(Reason.OBSERVED_IN_FUTURE, f"{at} is after {format_instant(now)}"))
        return
    if reading.observed_at < now - OLDEST:
        refusals.append(_refusal(Reason.OBSERVED_TOO_LONG_AGO, format_instant(reading.observed_at)))
        return
    values: list[AdmittedValue] = []
    for value in reading.values:
        judged = judge_value(declared.attributes, value)
        if isinstance(judged, Refusal):
            refusals.append(judged)
        else:
            values.append(judged)
    if values:
        admitted.append(AdmittedReading(reading.entity_id, reading.observed_at, tuple(values)))


_ENTITY_ID = re.compile(r"urn:[A-Za-z0-9][A-Za-z0-9-]{0,31}:[^\s\x00-\x1f\"<>\\^`{|}]{1,300}")


def is_entity_id(text: str) -> bool:
    """Whether a device may name an entity so: a URN without blanks or control characters."""
    return _ENTITY_ID.fullmatch(text) is not None


def judge_value(attributes: Mapping[str, Attribute], given: AttributeReading) -> AdmittedValue | Refusal:
    """Judge one value against its declaration: kind, sentinel, unit, range, in this order.

    A sentinel or an empty value is missing. A number outside the physically possible range is
    kept and flagged invalid: it shows what the device does, and never counts.
    """
    attribute = attributes.get(given.attribute)
    if attribute is None:
        return _refusal(Reason.ATTRIBUTE_UNKNOWN, given.attribute)
    if attribute.derived:
        return _refusal(Reason.ATTRIBUTE_DERIVED, given.attribute)
    if given.value is None:
        return AdmittedValue(attribute, None, Quality.MISSING)
    if is_numeric(attribute):
        return _judge_number(attribute, given)
    return _judge_plain(attribute, given)


def _judge_number(attribute: Attribute, given: AttributeReading) -> AdmittedValue | Refusal:
    number = given.value
    if isinstance(number, bool) or not isinstance(number, int | float) or not abs(number) <= LARGEST_NUMBER:
        return _refusal(Reason.VALUE_OF_WRONG_KIND, f"{attribute.name}: {_shown(number)} is not a number")
    if number in attribute.sentinels:
        # Before the unit: a sentinel is a sign, not a quantity.
        return AdmittedValue(attribute, None, Quality.MISSING, f"sentinel {number:g}")
    converted = _in_declared_unit(attribute, number, given.unit)
    if isinstance(converted, Refusal):
        return converted
    if given.quality is Quality.MISSING:
        return AdmittedValue(attribute, None, Quality.MISSING)
    if not _is_possible(attribute, converted):
        return AdmittedValue(attribute, converted, Quality.INVALID, "out of the possible range")
    return AdmittedValue(attribute, converted, given.quality)


def _in_declared_unit(attribute: Attribute, number: float, unit: str | None) -> float | Refusal:
    if attribute.unit is None or unit == attribute.unit:
        return number
    if unit is None:
        return _refusal(Reason.UNIT_MISSING, f"{attribute.name}: declared in {attribute.unit}")
    try:
        return convert(float(number), unit, attribute.unit)
    except UnitUnknown:
        return _refusal(Reason.UNIT_UNKNOWN, f"{attribute.name}: {unit}")
    except UnitsDiffer:
        return _refusal(Reason.UNIT_DIFFERS, f"{attribute.name}: {unit}, declared in {attribute.unit}")
    except NumberNotFinite:
        return _refusal(Reason.VALUE_OF_WRONG_KIND, f"{attribute.name}: {number:g} {unit} is too large")


def _is_possible(attribute: Attribute, number: float) -> bool:
    return (attribute.least is None or number >= attribute.least) and (
        attribute.most is None or number <= attribute.most
    )


def is_numeric(attribute: Attribute) -> bool:
    """Whether an attribute's declaration asks for a number."""
    return attribute.kind is AttributeKind.PROPERTY and (
        attribute.unit is not None or attribute.least is not None or attribute.most is not None
    )


def _judge_plain(attribute: Attribute, given: AttributeReading) -> AdmittedValue | Refusal:
    if given.quality is Quality.MISSING:
        return AdmittedValue(attribute, None, Quality.MISSING)
    fits: tuple[type, ...] = (str, int, float, bool, dict, list)
    if attribute.kind in (AttributeKind.GEO_PROPERTY, AttributeKind.LANGUAGE_PROPERTY):
        fits = (dict,)
    elif attribute.kind is AttributeKind.RELATIONSHIP:
        fits = (str, list)
    if not isinstance(given.value, fits):
        return _refusal(
            Reason.VALUE_OF_WRONG_KIND, f"{attribute.name}: {_shown(given.value)} is no {attribute.kind}"
        )
    return AdmittedValue(attribute, given.value, given.quality)


def _refused(reason: str, detail: str) -> Verdict:
    return Verdict(refusals=(_refusal(reason, detail),))


def _refusal(reason: str, detail: str) -> Refusal:
    """A refusal whose detail can be stored: PostgreSQL's text has no NUL, ours no end of line."""
    clean = "".join(sign if sign.isprintable() else "�" for sign in detail)
    return Refusal(str(reason), clean.encode("utf-8", "replace").decode()[:LONGEST_DETAIL])


def _shown(value: Any) -> str:
    return repr(value)[:80]
