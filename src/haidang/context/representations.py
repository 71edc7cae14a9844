"""Entities as NGSI-LD clients read them: normalized, concise, simplified, and through time."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from haidang.context.fragments import GEOMETRIES, NULL
from haidang.context.jsonld import TermContext
from haidang.context.merging import EntityState
from haidang.context.model import VALUE_MEMBERS, Stored
from haidang.context.service import Evolution
from haidang.context.store import Moment
from haidang.kernel.instants import format_instant

_TIMES: Final = frozenset({"createdAt", "modifiedAt"})
_TERMS: Final = frozenset({"vocab", "objectType", "valueType"})
_PLURALS: Final[Mapping[str, str]] = {
    "value": "values",
    "object": "objects",
    "languageMap": "languageMaps",
    "vocab": "vocabs",
    "json": "jsons",
    "valueList": "valueLists",
    "objectList": "objectLists",
}


@dataclass(frozen=True, slots=True)
class Look:
    """How a client wants to see entities.

    `attributes` (IRIs) leaves the others out, `omitted` leaves these out; `members` says which of
    id, type and scope are shown.
    """

    form: Literal["normalized", "concise", "simplified"] = "normalized"
    sys_attrs: bool = False
    attributes: Collection[str] | None = None
    omitted: Collection[str] = ()
    members: Collection[str] | None = None


def show_entity(state: EntityState, terms: TermContext, look: Look) -> dict[str, Any]:
    """An entity as a JSON object, without @context."""
    shown = _head(state, terms, look)
    show = _SHOWN[look.form]
    for name, instances in state.attributes.items():
        if (look.attributes is not None and name not in look.attributes) or name in look.omitted:
            continue
        present = [one for one in instances if VALUE_MEMBERS[one["type"]] in one]
        if not present:
            continue
        if look.form == "simplified" and (len(present) > 1 or "datasetId" in present[0]):
            shown[terms.compact(name)] = {
                "dataset": {one.get("datasetId", "@none"): _simplified(one, terms) for one in present}
            }
        elif len(present) == 1:
            shown[terms.compact(name)] = show(present[0], terms, look.sys_attrs)
        else:
            shown[terms.compact(name)] = [_whole(show(one, terms, look.sys_attrs)) for one in present]
    return shown


def _whole(shown: Any) -> Any:
    """A concise instance among others keeps its member: a list of bare values would be one value."""
    return shown if isinstance(shown, dict) and shown.keys() & _PLURALS.keys() else {"value": shown}


def _head(state: EntityState, terms: TermContext, look: Look) -> dict[str, Any]:
    head: dict[str, Any] = {
        "id": state.entity_id,
        "type": _one_or_many([terms.compact(t) for t in state.types]),
    }
    if state.scope:
        head["scope"] = _one_or_many(state.scope)
    if look.members is not None:
        head = {name: value for name, value in head.items() if name in look.members}
    if look.sys_attrs:
        head["createdAt"] = format_instant(state.created_at)
        head["modifiedAt"] = format_instant(state.modified_at)
        if state.deleted_at is not None:
            head["deletedAt"] = format_instant(state.deleted_at)
    return head


def _one_or_many(names: Sequence[str]) -> Any:
    return names[0] if len(names) == 1 else list(names)


def _normalized(instance: Stored, terms: TermContext, sys_attrs: bool) -> dict[str, Any]:  # noqa: FBT001  # a look
    shown: dict[str, Any] = {}
    for member, value in instance.items():
        if ":" in member and isinstance(value, list):
            present = [_normalized(one, terms, sys_attrs) for one in value]
            shown[terms.compact(member)] = present[0] if len(present) == 1 else present
        elif member in _TERMS:
            shown[member] = _compacted(value, terms)
        elif sys_attrs or member not in _TIMES:
            shown[member] = value
    return shown


def _concise(instance: Stored, terms: TermContext, sys_attrs: bool) -> Any:  # noqa: FBT001  # a look
    shown: dict[str, Any] = {}
    for member, value in instance.items():
        if member == "type":
            continue
        if ":" in member and isinstance(value, list):
            present = [_concise(one, terms, sys_attrs) for one in value]
            shown[terms.compact(member)] = (
                present[0] if len(present) == 1 else [_whole(one) for one in present]
            )
        elif member in _TERMS:
            shown[member] = _compacted(value, terms)
        elif sys_attrs or member not in _TIMES:
            shown[member] = value
    if shown.keys() == {"value"} and _stands_alone(instance["type"], shown["value"]):
        return shown["value"]
    return shown


def _stands_alone(kind: str, value: Any) -> bool:
    """Whether a bare value is read back as what it is."""
    if kind == "GeoProperty":
        return isinstance(value, dict) and value.get("type") in GEOMETRIES and "coordinates" in value
    if isinstance(value, dict):
        return not (value.keys() & {"type", "@type", *_PLURALS})
    if isinstance(value, list):
        return not any(isinstance(one, dict) for one in value)
    return bool(value != NULL)


def _simplified(instance: Stored, terms: TermContext) -> Any:
    kind = instance["type"]
    member = VALUE_MEMBERS[kind]
    value = _compacted(instance[member], terms) if member == "vocab" else instance[member]
    return value if member in {"value", "object"} else {member: value}


def _simplified_like(instance: Stored, terms: TermContext, _sys_attrs: bool) -> Any:  # noqa: FBT001  # a look
    return _simplified(instance, terms)


def _compacted(value: Any, terms: TermContext) -> Any:
    if isinstance(value, list):
        return [_compacted(one, terms) for one in value]
    return terms.compact(value) if isinstance(value, str) else value


_SHOWN: Final[Mapping[str, Callable[[Stored, TermContext, bool], Any]]] = {
    "normalized": _normalized,
    "concise": _concise,
    "simplified": _simplified_like,
}


def show_evolution(
    evolution: Evolution,
    terms: TermContext,
    *,
    temporal_values: bool = False,
    sys_attrs: bool = False,
    by: str = "observedAt",
) -> dict[str, Any]:
    """An entity through time: instances, or (`temporal_values`) pairs of value and moment by `by`."""
    look = Look(sys_attrs=sys_attrs)
    shown = _head(evolution.state, terms, look)
    for name, moments in evolution.instances.items():
        if temporal_values:
            shown[terms.compact(name)] = _pairs(moments, terms, by)
        else:
            instances = [_instance_through_time(one, terms, sys_attrs=sys_attrs, by=by) for one in moments]
            shown[terms.compact(name)] = instances
    return shown


def _instance_through_time(moment: Moment, terms: TermContext, *, sys_attrs: bool, by: str) -> dict[str, Any]:
    shown = _normalized(moment.instance, terms, sys_attrs)
    member = VALUE_MEMBERS[moment.instance["type"]]
    if member not in shown:
        shown[member] = NULL
    shown["instanceId"] = moment.instance_id.urn
    learned_at = format_instant(moment.learned_at)
    if moment.deleted:
        shown["deletedAt"] = learned_at
    if sys_attrs:
        shown["createdAt"] = learned_at
        shown["modifiedAt"] = learned_at
    elif by in {"createdAt", "modifiedAt"} and not moment.deleted:
        shown[by] = learned_at
    return shown


def _pairs(moments: Sequence[Moment], terms: TermContext, by: str) -> Any:
    series: dict[tuple[str | None, str], dict[str, Any]] = {}
    for moment in moments:
        instance = moment.instance
        kind = instance["type"]
        member = VALUE_MEMBERS[kind]
        plural = _PLURALS[member]
        value = instance.get(member, NULL)
        at = moment.observed_at if by == "observedAt" and moment.observed else moment.learned_at
        pairs = series.setdefault((moment.dataset_id, kind), {"type": kind, plural: []})
        if moment.dataset_id is not None:
            pairs["datasetId"] = moment.dataset_id
        shown = _compacted(value, terms) if member == "vocab" else value
        pairs[plural].append([shown, format_instant(at)])
    found = list(series.values())
    return found[0] if len(found) == 1 else found
