"""Attribute instances, the commands that write them, and what each command came to.

Names are IRIs everywhere in here: terms and contexts end at the faces (`jsonld`).
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from math import isfinite
from typing import Any, Final, Literal, Protocol, TypeAlias

import msgspec
import orjson

from haidang.context.errors import (
    EntityIdMalformed,
    NameUnusable,
    ObservedInFuture,
    ObservedTooEarly,
    TextUnstorable,
    ValueUnstorable,
)
from haidang.kernel.errors import HaidangError
from haidang.kernel.geometry import check_geometry
from haidang.kernel.instants import Instant, format_instant, parse_instant
from haidang.sdk.model import AttributeKind, Quality

CORE: Final = "https://uri.etsi.org/ngsi-ld/"
LOCATION: Final = CORE + "location"
SCOPE: Final = CORE + "scope"
QUALITY: Final = "urn:haidang:term:quality"
"""The sub-attribute that carries a value's quality; its absence means valid."""

ORIGIN: Final = "urn:haidang:term:origin"
"""The sub-attribute that names the derivation a value comes from."""

OWN_TERMS: Final = "urn:haidang:term:"

FUTURE_TOLERANCE: Final = timedelta(minutes=5)
"""Clocks of devices run ahead a little; what claims to be later than this is refused."""

EARLIEST: Final = datetime(1900, 1, 1, tzinfo=UTC)

VALUE_MEMBERS: Final[Mapping[str, str]] = {
    "Property": "value",
    "Relationship": "object",
    "GeoProperty": "value",
    "LanguageProperty": "languageMap",
    "VocabProperty": "vocab",
    "JsonProperty": "json",
    "ListProperty": "valueList",
    "ListRelationship": "objectList",
}
"""The member that holds the value of each attribute type (ETSI GS CIM 009, clause 4.5)."""

Stored: TypeAlias = dict[str, Any]
"""An attribute instance as it stands in a document: members, and sub-attributes under their IRIs."""


class AttributeInstance(msgspec.Struct, frozen=True):
    """One instance of an attribute: what it is worth, since when, and how far it can be trusted.

    A `value` of None is an instance without a value (quality missing): "nothing was measured".
    `members` are further members kept as they came (objectType, valueType, expiresAt and others).
    `why` is the reason of a correction; it is kept with the value that this one supersedes.
    """

    name: str
    value: Any
    kind: AttributeKind = AttributeKind.PROPERTY
    unit: str | None = None
    observed_at: Instant | None = None
    quality: Quality = Quality.VALID
    dataset_id: str | None = None
    sub_attributes: "tuple[AttributeInstance, ...]" = ()
    members: Mapping[str, Any] = {}
    why: str | None = None


class Rules(Protocol):
    """What is to be checked where the entity's types are known: with the entity locked, before writing."""

    def admit(self, types: Sequence[str], name: str, content: Stored) -> Stored:
        """The instance as the types declare it; refuses one that contradicts them."""
        ...


class Command(msgspec.Struct, frozen=True, kw_only=True):
    """Something to be done to one entity.

    `origin` says which derivation or source wants it; `rules`, if given, every instance must pass.
    """

    entity_id: str
    origin: str | None = None
    rules: Rules | None = None


class CreateEntity(Command, frozen=True, kw_only=True):
    """Make an entity; refused when it exists."""

    types: tuple[str, ...]
    attributes: tuple[AttributeInstance, ...] = ()
    scope: tuple[str, ...] = ()


class UpsertEntity(Command, frozen=True, kw_only=True):
    """Make an entity, or replace it, or (`replace` false) write its attributes over those it has."""

    types: tuple[str, ...]
    attributes: tuple[AttributeInstance, ...] = ()
    scope: tuple[str, ...] | None = None
    replace: bool = True


class AppendAttributes(Command, frozen=True, kw_only=True):
    """Add attributes; those that are there are overwritten, or left alone (`overwrite` false)."""

    attributes: tuple[AttributeInstance, ...]
    types: tuple[str, ...] = ()
    scope: tuple[str, ...] | None = None
    overwrite: bool = True


class UpdateAttributes(Command, frozen=True, kw_only=True):
    """Write attributes over those that are there, and beside them (partial update patch, clause 5.5.8).

    `removed` names those to delete, with their dataset. A scope is changed, but not given to an
    entity that has none.
    """

    attributes: tuple[AttributeInstance, ...]
    removed: tuple[tuple[str, str | None], ...] = ()
    types: tuple[str, ...] = ()
    scope: tuple[str, ...] | None = None


class PatchAttribute(Command, frozen=True, kw_only=True):
    """Change some members of one attribute instance and leave the others as they are.

    `members` and `sub_attributes` are overwritten one by one; `removed` names those to take away.
    """

    name: str
    dataset_id: str | None = None
    kind: AttributeKind | None = None
    members: Mapping[str, Any] = {}
    sub_attributes: tuple[AttributeInstance, ...] = ()
    removed: tuple[str, ...] = ()
    quality: Quality | None = None


class DeleteAttribute(Command, frozen=True, kw_only=True):
    """Take an attribute away: one dataset's instance, or (`every`) all of them."""

    name: str
    dataset_id: str | None = None
    every: bool = False


class DeleteEntity(Command, frozen=True, kw_only=True):
    """Take an entity away; its history stays."""


class MergeObservations(Command, frozen=True, kw_only=True):
    """What a source or a derivation observed: the entity is made when it is missing.

    `late="history"` keeps an instance whose observedAt is before the present one's out of the
    present state; `late="replace"` lets the last write win. `absent="forget"` writes an instance
    without a value only over one that has a value: a derivation's "no index" where there was one.
    `create` false leaves a missing entity missing. `heard_at` is for what was heard long ago: it
    does not supersede what was learned after that. `lasting="fill"` writes an instance without
    observedAt only where there is none.
    """

    type_iri: str
    attributes: tuple[AttributeInstance, ...]
    late: Literal["history", "replace"] = "history"
    absent: Literal["record", "forget"] = "record"
    create: bool = True
    heard_at: Instant | None = None
    lasting: Literal["replace", "fill"] = "replace"


class NotUpdated(msgspec.Struct, frozen=True):
    """An attribute that a command could not write, and why."""

    attribute: str
    reason: str


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What a command came to. `error` is the caller's mistake; then nothing of it was written.

    `changed` is false for a repetition of what is known; `superseded` counts earlier values for
    the same moment that were replaced. `learned_at` names the commit that holds what changed.
    """

    entity_id: str
    created: bool = False
    changed: bool = False
    superseded: int = 0
    updated: tuple[str, ...] = ()
    not_updated: tuple[NotUpdated, ...] = ()
    error: HaidangError | None = None
    learned_at: Instant | None = None


def check_observed_at(attribute: str, observed_at: Instant, now: Instant) -> None:
    """Refuse what lies more than five minutes in the future, and what lies before 1900."""
    if observed_at > now + FUTURE_TOLERANCE:
        raise ObservedInFuture(
            attribute=attribute,
            observed_at=format_instant(observed_at),
            latest=format_instant(now + FUTURE_TOLERANCE),
        )
    if observed_at < EARLIEST:
        raise ObservedTooEarly(attribute=attribute, observed_at=format_instant(observed_at))


_LONGEST_NAME: Final = 1024
_URI = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:[^\s\x00-\x20\x7f<>\"{}|\\^`\ud800-\udfff]+")
_NUL = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")
_EXACT: Final = 2**53


def is_uri(text: str) -> bool:
    """Whether a text is an absolute URI or IRI that may name something here."""
    return len(text) <= _LONGEST_NAME and _URI.fullmatch(text) is not None


def check_entity_id(entity_id: str) -> None:
    """Refuse what is not a URI."""
    if not is_uri(entity_id):
        raise EntityIdMalformed(entity_id=entity_id[:200])


@lru_cache(maxsize=4096)
def check_name(name: str) -> None:
    """Refuse a name of an attribute, type or dataset that is not a URI."""
    if not is_uri(name):
        raise NameUnusable(name=name[:200], longest=_LONGEST_NAME)


def plain_number(name: str, content: Stored) -> float | None:
    """The number of an instance that is nothing but a number with its unit, moment and quality."""
    value = content.get("value")
    if content["type"] != "Property" or isinstance(value, bool) or not isinstance(value, int | float):
        return None
    if not all(member in _PLAIN_MEMBERS for member in content):
        return None
    if isinstance(value, int) and not -_EXACT <= value <= _EXACT:
        return None
    if not isfinite(value):
        raise ValueUnstorable(attribute=name, reason="it is not a finite number")
    return float(value)


_PLAIN_MEMBERS: Final = frozenset({"type", "value", "unitCode", "observedAt", "datasetId", QUALITY})


def storable(name: str, content: Stored) -> str:
    """The JSON text of an instance; refuses what JSON or PostgreSQL cannot hold."""
    try:
        text = orjson.dumps(content)
    except (TypeError, ValueError, RecursionError) as wrong:
        raise ValueUnstorable(attribute=name, reason=str(wrong)) from None
    if b"\\u0000" in text and _NUL.search(text):
        raise TextUnstorable(where=name)
    if b"null" in text and has_not_finite(content):
        raise ValueUnstorable(attribute=name, reason="it is not a finite number")
    return text.decode()


def has_not_finite(value: Any) -> bool:
    """Whether a NaN or an infinity hides in a value: orjson would write null for it."""
    if isinstance(value, float):
        return not isfinite(value)
    if isinstance(value, dict):
        return any(map(has_not_finite, value.values()))
    if isinstance(value, list | tuple):
        return any(map(has_not_finite, value))
    return False


def check_stored(name: str, content: Stored, now: Instant) -> None:
    """Refuse wrong names, geometries and moments, in an instance and below it."""
    check_name(name)
    observed_at = content.get("observedAt")
    if observed_at is not None:
        check_observed_at(name, parse_instant(observed_at), now)
    dataset_id = content.get("datasetId")
    if dataset_id is not None:
        check_name(dataset_id)
    if content["type"] == "GeoProperty" and "value" in content:
        check_geometry(content["value"])
    for member, value in content.items():
        if ":" in member and isinstance(value, list):
            for sub_attribute in value:
                check_stored(member, sub_attribute, now)


def as_stored(instance: AttributeInstance) -> Stored:
    """The instance as it stands in a document, without the times that the context gives it."""
    stored: Stored = {"type": instance.kind.value}
    if instance.value is not None:
        stored[VALUE_MEMBERS[instance.kind]] = instance.value
    if instance.unit is not None:
        stored["unitCode"] = instance.unit
    if instance.observed_at is not None:
        stored["observedAt"] = format_instant(instance.observed_at)
    if instance.dataset_id is not None:
        stored["datasetId"] = instance.dataset_id
    if instance.members:
        stored.update(instance.members)
    if instance.quality is not Quality.VALID:
        stored[QUALITY] = [{"type": "Property", "value": instance.quality.value}]
    for sub_attribute in instance.sub_attributes:
        stored.setdefault(sub_attribute.name, []).append(as_stored(sub_attribute))
    return stored


def quality_of(stored: Stored) -> Quality:
    """How far a stored instance can be trusted."""
    given = stored.get(QUALITY)
    if not given:
        return Quality.VALID
    try:
        return Quality(given[0].get("value"))
    except ValueError:
        return Quality.SUSPECT  # somebody doubts it, in a word we do not know


def value_of(stored: Stored) -> Any:
    """The value of a stored instance; None when it has none."""
    return stored.get(VALUE_MEMBERS[stored["type"]])


def moment_of(stored: Stored) -> tuple[Instant, bool]:
    """The moment an instance stands for, and whether that is its own observedAt or when it was written."""
    observed_at = stored.get("observedAt")
    if observed_at is not None:
        return parse_instant(observed_at), True
    return parse_instant(stored["modifiedAt"]), False


@dataclass(frozen=True, slots=True)
class Selection:
    """Which entities: types as alternatives of groups, ids, a pattern of ids, attributes they have one of."""

    type_groups: tuple[tuple[str, ...], ...] = ()
    entity_ids: tuple[str, ...] | None = None
    id_pattern: str | None = None
    attributes: tuple[str, ...] | None = None
