"""Whatever NGSI-LD can say is stored and said again, in every form that loses nothing."""

from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from haidang.context.errors import SameInstanceTwice
from haidang.context.fragments import FragmentMalformed, NotOfferedYet, read_entity, read_fragment
from haidang.context.jsonld import CORE_URL, Contexts
from haidang.context.merging import EntityState, fold, settle
from haidang.context.model import CreateEntity
from haidang.context.representations import Look, show_entity
from haidang.context.service import retrieve_entity
from haidang.context.writer import apply_commands
from haidang.infra.database import Connection
from haidang.kernel.actors import part
from haidang.kernel.instants import format_instant

TERMS = Contexts().core
NOON = datetime(2026, 11, 21, 5, tzinfo=UTC)
ID = "urn:ngsi-ld:Thing:1"

texts = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=12)
numbers = st.one_of(
    st.integers(-(2**63), 2**63 - 1), st.floats(allow_nan=False, allow_infinity=False, width=64)
)
scalars = st.one_of(st.booleans(), numbers, texts)
json_values = st.recursive(
    scalars,
    lambda below: st.one_of(
        st.lists(below, min_size=1, max_size=3), st.dictionaries(texts, below, max_size=3)
    ),
    max_leaves=6,
)
terms = st.sampled_from(["speed", "colour", "owner", "https://example.org/x#y", "đường"])
uris = st.sampled_from(["urn:ngsi-ld:Thing:2", "https://example.org/a/b?c=d", "urn:x:ô"])
moments = st.integers(0, 10**9).map(lambda seconds: format_instant(NOON - timedelta(seconds=seconds)))
points = st.tuples(st.floats(-180, 180), st.floats(-90, 90)).map(
    lambda place: {"type": "Point", "coordinates": [*place]}
)
languages = st.dictionaries(
    st.sampled_from(["vi", "en", "zh-Hant", "@none"]),
    st.one_of(texts, st.lists(texts, min_size=1)),
    min_size=1,
)
NULL = "urn:ngsi-ld:null"
values: dict[str, tuple[str, st.SearchStrategy[Any]]] = {
    "Property": ("value", json_values.filter(lambda value: value not in ([], NULL))),
    "Relationship": ("object", st.one_of(uris, st.lists(uris, min_size=1, max_size=2))),
    "GeoProperty": ("value", points),
    "LanguageProperty": ("languageMap", languages.filter(lambda one: one != {"@none": NULL})),
    "VocabProperty": ("vocab", st.one_of(terms, st.lists(terms, min_size=1, max_size=2))),
    "JsonProperty": ("json", json_values.filter(lambda value: value not in ([], NULL))),
    "ListProperty": ("valueList", st.lists(json_values, min_size=1, max_size=3)),
    "ListRelationship": (
        "objectList",
        st.lists(st.one_of(uris, uris.map(lambda uri: {"object": uri})), min_size=1, max_size=2),
    ),
}


@st.composite
def instances(draw: st.DrawFn, depth: int = 0) -> dict[str, Any]:
    """One attribute instance, normalized, with what may hang on it."""
    kind = draw(st.sampled_from(sorted(values)))
    member, value = values[kind]
    instance: dict[str, Any] = {"type": kind, member: draw(value)}
    if kind == "Property" and draw(st.booleans()):
        instance["unitCode"] = draw(st.sampled_from(["CEL", "GQ", "KMH"]))
    if draw(st.booleans()):
        instance["observedAt"] = draw(moments)
    if kind == "Relationship" and draw(st.booleans()):
        instance["objectType"] = draw(terms)
    if depth < 2 and draw(st.booleans()):
        instance[draw(st.sampled_from(["accuracy", "providedBy"]))] = draw(instances(depth + 1))
    return instance


@st.composite
def entities(draw: st.DrawFn) -> dict[str, Any]:
    """A whole entity, normalized."""
    entity: dict[str, Any] = {"id": ID, "type": draw(st.sampled_from(["Thing", ["Bus", "Vehicle"]]))}
    if draw(st.booleans()):
        entity["scope"] = draw(st.sampled_from(["/a/b", ["/a", "/b/c"]]))
    for name in draw(st.lists(terms, max_size=3, unique=True)):
        held = [draw(instances())]
        if draw(st.booleans()):
            held.append(draw(instances()) | {"datasetId": "urn:x:dataset"})
        entity[name] = held if len(held) > 1 else held[0]
    return entity


def as_sent(document: Any) -> Any:
    """A document after it has travelled as JSON."""
    return orjson.loads(orjson.dumps(document))


def stored(document: dict[str, Any], *, simplified: bool = False) -> EntityState:
    """What is stored of a document, without a database."""
    fragment = read_entity(as_sent(document), TERMS, simplified=simplified)
    command = CreateEntity(
        entity_id=ID, types=fragment.types, scope=fragment.scope or (), attributes=fragment.attributes
    )
    work = fold(None, [("urn:x:actor", command)], NOON)
    assert settle(work, {}).outcomes[0].error is None
    assert work.state is not None
    return work.state


@given(entities())
def test_normalized_comes_back_as_it_was_sent(entity: dict[str, Any]) -> None:
    assert as_sent(show_entity(stored(entity), TERMS, Look())) == as_sent(entity)


@given(entities())
def test_concise_loses_nothing(entity: dict[str, Any]) -> None:
    concise = show_entity(stored(entity), TERMS, Look(form="concise"))
    assert as_sent(show_entity(stored(concise), TERMS, Look())) == as_sent(entity)


@given(entities())
def test_sys_attrs_are_ignored_when_sent_back(entity: dict[str, Any]) -> None:
    shown = show_entity(stored(entity), TERMS, Look(sys_attrs=True))
    assert as_sent(show_entity(stored(shown), TERMS, Look())) == as_sent(entity)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(entities())
async def test_the_database_loses_nothing_now_and_as_known(
    connection: Connection, entity: dict[str, Any]
) -> None:
    fragment = read_entity(as_sent(entity), TERMS)
    command = CreateEntity(
        entity_id=ID, types=fragment.types, scope=fragment.scope or (), attributes=fragment.attributes
    )
    undone = connection.transaction()
    await undone.start()
    try:
        (outcome,) = await apply_commands(connection, part("test"), [command], now=NOON)
        assert outcome.error is None
        for known_at in (None, NOON):
            state = await retrieve_entity(part("test"), connection, ID, known_at=known_at)
            shown = as_sent(show_entity(state, TERMS, Look()))
            assert by_dataset(shown) == by_dataset(as_sent(entity))
    finally:
        await undone.rollback()


def by_dataset(entity: dict[str, Any]) -> dict[str, Any]:
    """The entity with large whole numbers as doubles: PostgreSQL writes them without exponent."""
    found: dict[str, Any] = _doubles(entity)
    return found


def _doubles(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _doubles(below) for name, below in value.items()}
    if isinstance(value, list):
        return [_doubles(below) for below in value]
    return float(value) if isinstance(value, int) and abs(value) > 2**53 else value


def test_simplified_input_becomes_properties_and_geometries() -> None:
    sent = {
        "id": ID,
        "type": "Thing",
        "a": 5,
        "b": {"type": "PostalAddress", "street": "Trần Phú"},
        "c": {"type": "Point", "coordinates": [108.1, 10.9]},
        "d": {"languageMap": {"vi": "đèn"}},
        "e": [1, 2],
        "f": {"vocab": "on"},
    }
    shown = show_entity(stored(sent, simplified=True), TERMS, Look())
    assert [shown[name]["type"] for name in "abcdef"] == [
        "Property",
        "Property",
        "GeoProperty",
        "LanguageProperty",
        "Property",
        "VocabProperty",
    ]
    assert show_entity(stored(sent, simplified=True), TERMS, Look(form="simplified")) == sent


def test_vocabularies_are_expanded_with_the_context_they_came_with() -> None:
    state = stored({"id": ID, "type": "Thing", "state": {"type": "VocabProperty", "vocab": "open"}})
    (instance,) = state.attributes["https://uri.etsi.org/ngsi-ld/default-context/state"]
    assert instance["vocab"] == "https://uri.etsi.org/ngsi-ld/default-context/open"


@pytest.mark.parametrize(
    "wrong", [{"expiresAt": "2027-01-01T00:00:00Z"}, {"a": {"value": 1, "expiresAt": "x"}}]
)
def test_what_is_not_offered_yet_is_refused_and_not_dropped(wrong: dict[str, Any]) -> None:
    with pytest.raises(NotOfferedYet):
        read_entity({"id": ID, "type": "Thing"} | wrong, TERMS)


def test_nested_too_deeply() -> None:
    deep: dict[str, Any] = {"value": 1}
    for _ in range(30):
        deep = {"value": 1, "below": deep}
    with pytest.raises(FragmentMalformed):
        read_entity({"id": ID, "type": "Thing", "a": deep}, TERMS)


def test_null_takes_away_in_updates_only() -> None:
    fragment = read_fragment({"a": NULL, "b": {"value": NULL, "datasetId": "urn:x:d"}}, TERMS, nulls=True)
    vocabulary = "https://uri.etsi.org/ngsi-ld/default-context/"
    assert fragment.removed == ((vocabulary + "a", None), (vocabulary + "b", "urn:x:d"))
    with pytest.raises(FragmentMalformed):
        read_fragment({"a": NULL}, TERMS)


def test_two_names_for_one_attribute_are_one_too_many() -> None:
    with pytest.raises(SameInstanceTwice):
        read_fragment({"location": {"type": "Point", "coordinates": [1, 1]}, "ngsi-ld:location": 2}, TERMS)
    assert CORE_URL.endswith("v1.9.jsonld")
