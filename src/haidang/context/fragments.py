"""What clients send, read into attribute instances: normalized, concise and simplified NGSI-LD.

Names are expanded here, once, with the request's context. What is wrong is told with the name the
client used. Nothing is guessed: a member that is not understood is a sub-attribute or refused.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from haidang.context.errors import (
    AttributeIsDerived,
    AttributeKindWrong,
    AttributeUnitWrong,
    AttributeValueNotNumber,
    EntityIdMalformed,
    EntityWithoutType,
    SameInstanceTwice,
)
from haidang.context.jsonld import TermContext
from haidang.context.model import QUALITY, VALUE_MEMBERS, AttributeInstance, PatchAttribute, Stored, is_uri
from haidang.kernel.errors import Invalid
from haidang.kernel.geometry import check_geometry
from haidang.kernel.instants import Instant, InstantUnreadable, format_instant, parse_instant
from haidang.sdk.model import Attribute, AttributeKind, EntityType, Pack, Quality

NULL: Final = "urn:ngsi-ld:null"
"""NGSI-LD Null: in an update it takes away what it stands for (clause 4.5.0)."""

GEOMETRIES: Final = frozenset(
    {"Point", "MultiPoint", "LineString", "MultiLineString", "Polygon", "MultiPolygon", "GeometryCollection"}
)
_VALUE_MEMBERS: Final[Mapping[str, AttributeKind]] = {
    "value": AttributeKind.PROPERTY,
    "object": AttributeKind.RELATIONSHIP,
    "languageMap": AttributeKind.LANGUAGE_PROPERTY,
    "vocab": AttributeKind.VOCAB_PROPERTY,
    "json": AttributeKind.JSON_PROPERTY,
    "valueList": AttributeKind.LIST_PROPERTY,
    "objectList": AttributeKind.LIST_RELATIONSHIP,
}
_TIMES: Final = frozenset({"createdAt", "modifiedAt", "deletedAt"})
_ASSIGNED: Final = _TIMES | {"instanceId", "@context"}
_LATER: Final = frozenset({"expiresAt"})
_SCOPE = re.compile(r"/?[^/\s\x00-\x1f,;()+#\"'<>]+(?:/[^/\s\x00-\x1f,;()+#\"'<>]+)*")
_LANGUAGE = re.compile(r"@none|[A-Za-z]{1,8}(?:-[A-Za-z0-9]{1,8})*")
_MOST_DEPTH = 24


class FragmentMalformed(Invalid):
    """{where}: {reason}."""


class NotOfferedYet(Invalid):
    """{what} is not offered yet."""


@dataclass(frozen=True, slots=True)
class Fragment:
    """An entity or a part of one, as a client sent it; `removed` holds names and datasets set to Null."""

    entity_id: str | None
    types: tuple[str, ...]
    scope: tuple[str, ...] | None
    attributes: tuple[AttributeInstance, ...]
    removed: tuple[tuple[str, str | None], ...] = ()


@dataclass(frozen=True, slots=True)
class Declarations:
    """What packs declare of attributes, by the IRIs of type and attribute."""

    attributes: Mapping[tuple[str, str], tuple[EntityType, Attribute]] = field(default_factory=dict)

    @classmethod
    def of(cls, packs: Sequence[Pack]) -> "Declarations":
        """The declarations of all packs."""
        return cls(
            {
                (entity_type.iri, attribute.iri): (entity_type, attribute)
                for pack in packs
                for entity_type in pack.entity_types
                for attribute in entity_type.attributes
            }
        )

    def admit(self, types: Sequence[str], name: str, content: Stored) -> Stored:
        """An instance as its types' declarations have it.

        Refused are another kind, another unit, no number where one is declared, and what the
        platform derives itself. A number without a unit is in the declared one; a sentinel is
        missing; what lies outside the possible range is kept, marked invalid.
        """
        for type_iri in types:
            found = self.attributes.get((type_iri, name))
            if found is not None:
                content = _admitted(*found, content)
        return content


def _admitted(entity_type: EntityType, declared: Attribute, content: Stored) -> Stored:
    named = {"attribute": declared.name, "entity_type": entity_type.name}
    if declared.derived:
        raise AttributeIsDerived(**named)
    if content["type"] != declared.kind.value:
        raise AttributeKindWrong(**named, declared=declared.kind.value, given=content["type"])
    if declared.kind is not AttributeKind.PROPERTY or declared.unit is None:
        return content
    unit = content.get("unitCode", declared.unit)
    if unit != declared.unit:
        raise AttributeUnitWrong(**named, declared=declared.unit, given=unit)
    number = content.get("value")
    if number is None:
        return content
    if isinstance(number, bool) or not isinstance(number, int | float):
        raise AttributeValueNotNumber(**named, declared=declared.unit)
    admitted: Stored = {**content, "unitCode": unit}
    found = declared.quality_of(number)
    if found is Quality.MISSING:
        del admitted["value"]
    if found is not Quality.VALID:
        admitted[QUALITY] = [{"type": "Property", "value": found.value}]
    return admitted


@dataclass(frozen=True, slots=True)
class _Reader:
    terms: TermContext
    simplified: bool
    nulls: bool


def read_entity(document: Any, terms: TermContext, *, simplified: bool = False) -> Fragment:
    """A whole entity: it must have an id and a type."""
    fragment = read_fragment(document, terms, simplified=simplified)
    if fragment.entity_id is None:
        raise FragmentMalformed(where="id", reason="the entity needs one")
    if not fragment.types:
        raise EntityWithoutType(entity_id=fragment.entity_id)
    return fragment


def read_fragment(
    document: Any, terms: TermContext, *, simplified: bool = False, nulls: bool = False
) -> Fragment:
    """An entity or a part of one; `nulls` allows NGSI-LD Null to take attributes away."""
    if not isinstance(document, dict):
        raise FragmentMalformed(where="entity", reason="it must be a JSON object")
    reader = _Reader(terms, simplified, nulls)
    entity_id: str | None = None
    types: tuple[str, ...] = ()
    scope: tuple[str, ...] | None = None
    attributes: list[AttributeInstance] = []
    removed: list[tuple[str, str | None]] = []
    for name, value in document.items():
        if name in {"id", "@id"}:
            entity_id = _entity_id(value)
        elif name in {"type", "@type"}:
            types = _types(value, terms)
        elif name == "scope":
            scope = _scope(value)
        elif name in _TIMES or name == "@context":
            continue
        elif name in _LATER:
            raise NotOfferedYet(what=f"{name} (transient entities)")
        else:
            found, gone = _attribute(reader, name, value)
            attributes.extend(found)
            removed.extend(gone)
    names = [(one.name, one.dataset_id) for one in attributes]
    if len(set(names)) != len(names):
        twice = next(one for one in names if names.count(one) > 1)
        raise SameInstanceTwice(attribute=terms.compact(twice[0]))
    return Fragment(entity_id, types, scope, tuple(attributes), tuple(removed))


def read_attribute(document: Any, terms: TermContext, name: str) -> Fragment:
    """The instances of one attribute, by themselves."""
    reader = _Reader(terms, simplified=False, nulls=False)
    found, _ = _attribute(reader, name, document)
    return Fragment(None, (), None, tuple(found))


def read_partial(document: Any, terms: TermContext, entity_id: str, name: str) -> PatchAttribute:
    """Some members of one attribute instance: those that are there are written, Null ones taken away."""
    if not isinstance(document, dict):
        raise FragmentMalformed(where=name, reason="it must be a JSON object")
    members = _Members(_Reader(terms, simplified=False, nulls=True), name, 0)
    for member, value in document.items():
        members.take(member, value)
    rest, quality = _quality_apart(members.sub_attributes)
    dataset_id = members.kept.pop("datasetId", None)
    if "observedAt" in members.kept:
        members.kept["observedAt"] = format_instant(members.kept["observedAt"])
    given = _type_name(document)
    kind = _kind(given, name) if given is not None else None
    if len(members.values) > 1:
        raise FragmentMalformed(where=name, reason="it has more than one value")
    for member, value in members.values.items():
        kind = kind or _kind_of_value(member, value)
        if VALUE_MEMBERS[kind] != member:
            raise FragmentMalformed(where=name, reason=f"a {kind.value} has no {member}")
        members.kept[member] = _value(kind, value, terms, name)
    return PatchAttribute(
        entity_id=entity_id,
        name=terms.expand(name),
        dataset_id=dataset_id,
        kind=kind,
        members=members.kept,
        sub_attributes=tuple(rest),
        removed=tuple(members.removed),
        quality=quality,
    )


class _Members:
    """The members of one instance as they are read: values, known members, sub-attributes, Null ones."""

    def __init__(self, reader: _Reader, name: str, depth: int) -> None:
        self._reader = reader
        self._name = name
        self._depth = depth
        self.values: dict[str, Any] = {}
        self.kept: dict[str, Any] = {}
        self.sub_attributes: list[AttributeInstance] = []
        self.removed: list[str] = []

    def take(self, member: str, value: Any) -> None:
        """Read one member; raises what is wrong with it."""
        if member in {"type", "@type"} or member in _ASSIGNED:
            return
        if value is None:
            raise FragmentMalformed(where=f"{self._name}.{member}", reason="it must not be null")
        read = _MEMBERS.get(member)
        if self._reader.nulls and _is_null(value):
            known = read is not None or member in _VALUE_MEMBERS
            self.removed.append(member if known else self._reader.terms.expand(member))
        elif member in _VALUE_MEMBERS:
            self.values[member] = value
        elif read is not None:
            self.kept[member] = read(value, self._reader.terms, f"{self._name}.{member}")
        elif member in _LATER:
            raise NotOfferedYet(what=f"{member} of attributes")
        else:
            below = _Reader(self._reader.terms, simplified=False, nulls=False)
            found, _ = _attribute(below, member, value, depth=self._depth + 1)
            self.sub_attributes.extend(found)


def _attribute(
    reader: _Reader, name: str, value: Any, *, depth: int = 0
) -> tuple[list[AttributeInstance], list[tuple[str, str | None]]]:
    """The instances of one attribute as sent, and those that were set to Null."""
    if depth > _MOST_DEPTH:
        raise FragmentMalformed(where=name, reason="its sub-attributes are nested too deeply")
    iri = reader.terms.expand(name)
    raw_instances = value if _are_instances(reader, value) else [value]
    found: list[AttributeInstance] = []
    removed: list[tuple[str, str | None]] = []
    for raw in raw_instances:
        if raw is None:
            raise FragmentMalformed(where=name, reason="it must not be null")
        if _is_null_instance(raw):
            if not reader.nulls:
                raise FragmentMalformed(where=name, reason="NGSI-LD Null is for updates only")
            given = raw.get("datasetId", "@none") if isinstance(raw, dict) else "@none"
            dataset_id = _dataset(given, reader.terms, f"{name}.datasetId")
            removed.append((iri, dataset_id))
        else:
            found.append(_instance(reader, name, iri, raw, depth))
    datasets = [one.dataset_id for one in found]
    if len(set(datasets)) != len(datasets):
        raise SameInstanceTwice(attribute=name)
    return found, removed


def _are_instances(reader: _Reader, value: Any) -> bool:
    """Whether a list is the instances of an attribute, and not a value that is a list."""
    if reader.simplified or not isinstance(value, list) or not value:
        return False
    return all(
        isinstance(one, dict)
        and (_type_name(one) in VALUE_MEMBERS or any(member in one for member in _VALUE_MEMBERS))
        for one in value
    )


def _is_null(value: Any) -> bool:
    return bool(value == NULL) or bool(value == {"@none": NULL})


def _is_null_instance(raw: Any) -> bool:
    if isinstance(raw, dict):
        return any(_is_null(raw[member]) for member in _VALUE_MEMBERS if member in raw)
    return bool(raw == NULL)


def _type_name(raw: Mapping[str, Any]) -> str | None:
    given = raw.get("type", raw.get("@type"))
    return given if isinstance(given, str) or given is None else repr(given)


def _instance(reader: _Reader, name: str, iri: str, raw: Any, depth: int) -> AttributeInstance:
    if not isinstance(raw, dict):
        return AttributeInstance(iri, raw)
    given = _type_name(raw)
    if given in GEOMETRIES and ("coordinates" in raw or "geometries" in raw):
        check_geometry(raw)
        return AttributeInstance(iri, raw, kind=AttributeKind.GEO_PROPERTY)
    values = [member for member in _VALUE_MEMBERS if member in raw]
    if given is not None and given in VALUE_MEMBERS:
        kind = AttributeKind(given)
    elif given is not None and not reader.simplified:
        raise FragmentMalformed(where=name, reason=f"{given:.60} is not an attribute type")
    elif given is None and values:
        kind = _kind_of_value(values[0], raw[values[0]])
    else:
        # Simplified and concise: an object without any member of ours is itself the value.
        return AttributeInstance(iri, raw)
    members = _Members(_Reader(reader.terms, simplified=False, nulls=False), name, depth)
    for member, value in raw.items():
        members.take(member, value)
    value_member = VALUE_MEMBERS[kind]
    if value_member not in members.values:
        raise FragmentMalformed(where=name, reason=f"a {kind.value} needs {value_member}")
    if len(members.values) > 1:
        raise FragmentMalformed(where=name, reason=f"a {kind.value} has {value_member} only")
    rest, quality = _quality_apart(members.sub_attributes)
    return AttributeInstance(
        name=iri,
        value=_value(kind, members.values[value_member], reader.terms, name),
        kind=kind,
        unit=members.kept.pop("unitCode", None),
        observed_at=members.kept.pop("observedAt", None),
        dataset_id=members.kept.pop("datasetId", None),
        quality=quality or Quality.VALID,
        sub_attributes=tuple(rest),
        members=members.kept,
    )


def _quality_apart(
    sub_attributes: Sequence[AttributeInstance],
) -> tuple[list[AttributeInstance], Quality | None]:
    """Sub-attributes without the one that is the quality of the value, and that."""
    rest: list[AttributeInstance] = []
    quality: Quality | None = None
    for one in sub_attributes:
        if one.name != QUALITY:
            rest.append(one)
            continue
        try:
            quality = Quality(one.value)
        except ValueError:
            raise FragmentMalformed(where="quality", reason=f"{one.value!s:.40} is not one") from None
    return rest, quality


def _kind_of_value(member: str, value: Any) -> AttributeKind:
    if member == "value" and isinstance(value, dict) and value.get("type") in GEOMETRIES:
        return AttributeKind.GEO_PROPERTY
    return _VALUE_MEMBERS[member]


def _kind(value: str, name: str) -> AttributeKind:
    if value not in VALUE_MEMBERS:
        raise FragmentMalformed(where=name, reason=f"{value:.60} is not an attribute type")
    return AttributeKind(value)


def _value(kind: AttributeKind, value: Any, terms: TermContext, name: str) -> Any:
    """The value, if it is one for this kind of attribute; terms of a vocabulary are expanded."""
    if value is None:
        raise FragmentMalformed(where=name, reason="its value must not be null")
    if value == []:
        raise FragmentMalformed(where=name, reason="its value must not be empty")
    if kind is AttributeKind.VOCAB_PROPERTY:
        return _typed(value, terms, name)
    check = _CHECKS.get(kind)
    if check is not None:
        check(value, name)
    return value


def _check_object(value: Any, name: str) -> None:
    for one in value if isinstance(value, list) else [value]:
        _check_uri(one, name)


def _check_object_list(value: Any, name: str) -> None:
    _check_list(value, name)
    for one in value:
        _check_uri(one.get("object") if isinstance(one, dict) else one, name)


def _check_list(value: Any, name: str) -> None:
    if not isinstance(value, list):
        raise FragmentMalformed(where=name, reason="its value must be a list")


def _check_geometry(value: Any, _name: str) -> None:
    check_geometry(value)


def _check_uri(value: Any, name: str) -> None:
    if not isinstance(value, str) or not is_uri(value):
        raise FragmentMalformed(where=name, reason=f"{value!s:.100} is not a URI")


def _check_language_map(value: Any, name: str) -> None:
    if not isinstance(value, dict) or not value:
        raise FragmentMalformed(where=name, reason="languageMap must be an object of languages")
    for language, text in value.items():
        texts = text if isinstance(text, list) else [text]
        if not _LANGUAGE.fullmatch(language) or not all(isinstance(one, str) for one in texts):
            raise FragmentMalformed(where=name, reason=f"languageMap is wrong at {language!s:.40}")


def _typed(value: Any, terms: TermContext, where: str) -> Any:
    """Terms of a vocabulary as IRIs."""
    if isinstance(value, list):
        return [_typed(one, terms, where) for one in value]
    if not isinstance(value, str):
        raise FragmentMalformed(where=where, reason="it must be a term or a list of terms")
    return terms.expand(value)


def _unit(value: Any, _terms: TermContext, where: str) -> str:
    if not isinstance(value, str) or not 1 <= len(value) <= 64 or not value.isprintable():
        raise FragmentMalformed(where=where, reason="it must be a UN/CEFACT code")
    return value


def _instant(value: Any, _terms: TermContext, where: str) -> Instant:
    if isinstance(value, dict):
        value = value.get("@value")
    try:
        return parse_instant(value if isinstance(value, str) and "T" in value else "")
    except InstantUnreadable:
        raise FragmentMalformed(where=where, reason=f"{value!s:.60} is not a date and time") from None


def _dataset(value: Any, _terms: TermContext, where: str) -> str | None:
    if value == "@none":
        return None
    if not isinstance(value, str) or not is_uri(value):
        raise FragmentMalformed(where=where, reason="it must be a URI")
    return value


def _verbatim(value: Any, _terms: TermContext, _where: str) -> Any:
    return value


_MEMBERS: Final[Mapping[str, Callable[[Any, TermContext, str], Any]]] = {
    "unitCode": _unit,
    "observedAt": _instant,
    "datasetId": _dataset,
    "objectType": _typed,
    "valueType": _typed,
    "ngsildproof": _verbatim,
    "lang": _verbatim,
}
_CHECKS: Final[Mapping[AttributeKind, Callable[[Any, str], None]]] = {
    AttributeKind.RELATIONSHIP: _check_object,
    AttributeKind.GEO_PROPERTY: _check_geometry,
    AttributeKind.LANGUAGE_PROPERTY: _check_language_map,
    AttributeKind.LIST_PROPERTY: _check_list,
    AttributeKind.LIST_RELATIONSHIP: _check_object_list,
}


def _entity_id(value: Any) -> str:
    if not isinstance(value, str) or not is_uri(value):
        raise EntityIdMalformed(entity_id=f"{value!s:.200}")
    return value


def _types(value: Any, terms: TermContext) -> tuple[str, ...]:
    names = value if isinstance(value, list) else [value]
    if not names or not all(isinstance(one, str) and one for one in names):
        raise FragmentMalformed(where="type", reason="it must be a name or a list of names")
    return tuple(dict.fromkeys(terms.expand(one) for one in names))


def _scope(value: Any) -> tuple[str, ...]:
    scopes = value if isinstance(value, list) else [value]
    for one in scopes:
        if not isinstance(one, str) or not _SCOPE.fullmatch(one):
            raise FragmentMalformed(where="scope", reason=f"{one!s:.60} is not a scope")
    return tuple(one if one.startswith("/") else f"/{one}" for one in scopes)
