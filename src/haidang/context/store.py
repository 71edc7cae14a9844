"""Runs the SQL of the context, and nobody else's: rows in, structs out."""

import random
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import orjson

from haidang.context.merging import EntityState, EntityWork, Key, Observed, Settled
from haidang.context.model import LOCATION, QUALITY, Selection, Stored, moment_of
from haidang.infra.database import Connection, Row
from haidang.infra.queries import load_queries
from haidang.kernel.geometry import box_of
from haidang.kernel.instants import Instant, format_instant

queries = load_queries(Path(__file__).parent / "sql")

_SEPARATOR = "\x1f"
_EPOCH_1900 = datetime(1900, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)
_STRETCH = timedelta(days=31)


@dataclass(frozen=True, slots=True)
class Locked:
    """An entity that this transaction holds, with its number inside."""

    entity_no: int
    state: EntityState


@dataclass(frozen=True, slots=True)
class Written:
    """What one entity comes to in one commit: its work, what is settled, and its number (None: new)."""

    work: EntityWork
    settled: Settled
    entity_no: int


async def lock_entities(connection: Connection, tenant: str, entity_ids: Sequence[str]) -> dict[str, Locked]:
    """Lock those of these entities that exist, in id order, so that writers never wait in a circle."""
    rows = queries.lock_entities(connection, tenant=tenant, entity_ids=list(entity_ids))
    return {row["entity_id"]: Locked(row["entity_no"], _state(row)) async for row in rows}


def _state(row: Row) -> EntityState:
    return EntityState(
        entity_id=row["entity_id"],
        types=tuple(row["types"]),
        scope=tuple(row["scope"]),
        attributes=orjson.loads(row["document"]),
        created_at=row["created_at"],
        modified_at=row["modified_at"],
        deleted_at=row["deleted_at"],
    )


async def prepare_flush(
    connection: Connection, tenant: str, iris: Iterable[str], days: Iterable[date]
) -> dict[str, int]:
    """The number of each name, new ones entered; and a partition for each day."""
    rows = queries.prepare_flush(connection, tenant=tenant, iris=sorted(set(iris)), days=sorted(set(days)))
    return {row["name_iri"]: row["name_number"] async for row in rows}


async def ensure_days(connection: Connection, days: Iterable[date]) -> list[date]:
    """Make the partitions of these days that are missing; which were made."""
    return [
        row["day"] async for row in queries.ensure_days(connection, days=sorted(set(days))) if row["made"]
    ]


async def insert_entities(
    connection: Connection, tenant: str, states: Sequence[EntityState]
) -> dict[str, int]:
    """Numbers of the new entities; one that another writer made in the meantime is left out."""
    rows = queries.insert_entities(
        connection,
        tenant=tenant,
        entity_ids=[state.entity_id for state in states],
        types=[_joined(state.types) for state in states],
        scopes=[_joined(state.scope) for state in states],
        documents=[_text(state.attributes) for state in states],
        boxes=[_box(state) for state in states],
        created_at=[state.created_at for state in states],
        modified_at=[state.modified_at for state in states],
        deleted_at=[state.deleted_at for state in states],
    )
    return {row["entity_id"]: row["entity_no"] async for row in rows}


async def update_entities(connection: Connection, tenant: str, written: Sequence[Written]) -> None:
    """Write the new present state of locked entities."""
    states = [_present(one) for one in written]
    moved = [_moved(one.work) for one in written]
    await queries.update_entities(
        connection,
        tenant=tenant,
        entity_nos=[one.entity_no for one in written],
        types=[_joined(state.types) for state in states],
        scopes=[_joined(state.scope) for state in states],
        documents=[_text(state.attributes) for state in states],
        moved=moved,
        boxes=[_box(state) if went else None for state, went in zip(states, moved, strict=True)],
        created_at=[state.created_at for state in states],
        modified_at=[state.modified_at for state in states],
        deleted_at=[state.deleted_at for state in states],
    )


async def change_types(
    connection: Connection, tenant: str, written: Sequence[Written], names: Mapping[str, int]
) -> None:
    """Keep the lists of types in step with the entities."""
    left: list[tuple[int, int]] = []
    entered: list[tuple[int, int]] = []
    for one in written:
        before = _listed(one.work.before)
        after = _listed(one.work.state)
        left += [(names[type_iri], one.entity_no) for type_iri in before - after]
        entered += [(names[type_iri], one.entity_no) for type_iri in after - before]
    for rows, run in ((left, queries.leave_types), (entered, queries.enter_types)):
        if rows:
            type_nos, entity_nos = zip(*rows, strict=True)
            await run(connection, tenant=tenant, type_nos=list(type_nos), entity_nos=list(entity_nos))


async def insert_versions(
    connection: Connection, tenant: str, written: Sequence[Written], names: Mapping[str, int]
) -> None:
    """What each entity consists of from this commit on."""
    states = [_present(one) for one in written]
    pointers = [_pointers(state, names) for state in states]
    await queries.insert_versions(
        connection,
        tenant=tenant,
        entity_nos=[one.entity_no for one in written],
        learned_at=[one.work.at for one in written],
        created_at=[state.created_at for state in states],
        deleted=[state.deleted_at is not None for state in states],
        type_nos=[_array(str(names[type_iri]) for type_iri in state.types) for state in states],
        scopes=[_joined(state.scope) for state in states],
        attribute_nos=[_array(str(pointer[0]) for pointer in found) for found in pointers],
        dataset_nos=[_array(str(pointer[1]) for pointer in found) for found in pointers],
        moments=[_array(format_instant(pointer[2]) for pointer in found) for found in pointers],
        observed=[_array("t" if pointer[3] else "f" for pointer in found) for found in pointers],
    )


async def present_observations(
    connection: Connection, tenant: str, keys: Sequence[tuple[int, Key]], names: Mapping[str, int]
) -> dict[tuple[int, Key], Stored]:
    """What the history holds for these keys of entities, as instances that say when they were learned."""
    found: dict[tuple[int, Key], Stored] = {}
    for stretch in _stretches(keys):
        rows = queries.present_observations(
            connection,
            tenant=tenant,
            entity_nos=[entity_no for entity_no, _ in stretch],
            attribute_nos=[names[key[0]] for _, key in stretch],
            dataset_nos=[names[key[1]] if key[1] is not None else 0 for _, key in stretch],
            moments=[key[2] for _, key in stretch],
            earliest=stretch[0][1][2],
            latest=stretch[-1][1][2],
        )
        async for row in rows:
            entity_no, key = stretch[row["place"] - 1]
            instance = instance_of_row(row, dataset_id=key[1], observed_at=key[2])
            found[entity_no, key] = {**instance, "modifiedAt": format_instant(row["learned_at"])}
    return found


async def supersede(
    connection: Connection, tenant: str, written: Sequence[Written], names: Mapping[str, int]
) -> None:
    """Close the rows that later values replace; they stay, with since when and why."""
    closing = {
        (one.entity_no, key): (why, one.work.at) for one in written for key, why in one.settled.supersedes
    }
    for stretch in _stretches(list(closing)):
        await queries.supersede_observations(
            connection,
            tenant=tenant,
            entity_nos=[entity_no for entity_no, _ in stretch],
            attribute_nos=[names[key[0]] for _, key in stretch],
            dataset_nos=[names[key[1]] if key[1] is not None else 0 for _, key in stretch],
            moments=[key[2] for _, key in stretch],
            whys=[closing[one][0] for one in stretch],
            at=[closing[one][1] for one in stretch],
            earliest=stretch[0][1][2],
            latest=stretch[-1][1][2],
        )


async def insert_observations(
    connection: Connection, tenant: str, written: Sequence[Written], names: Mapping[str, int]
) -> None:
    """Append to the history."""
    rows = [(one, observed) for one in written for observed in one.settled.inserts]
    if not rows:
        return
    await queries.insert_observations(
        connection,
        tenant=tenant,
        entity_nos=[one.entity_no for one, _ in rows],
        observed_at=[observed.key[2] for _, observed in rows],
        learned_at=[one.work.at for one, _ in rows],
        superseded_at=[one.work.at if observed.superseded_why else None for one, observed in rows],
        numbers=[observed.number for _, observed in rows],
        attribute_nos=[names[observed.key[0]] for _, observed in rows],
        dataset_nos=[names[observed.key[1]] if observed.key[1] is not None else 0 for _, observed in rows],
        unit_nos=[_unit_no(observed, names) for _, observed in rows],
        qualities=[observed.quality.value for _, observed in rows],
        whole=[
            observed.content is not None and type(observed.content.get("value")) is int
            for _, observed in rows
        ],
        observed=[observed.key[3] for _, observed in rows],
        deleted=[observed.content is None for _, observed in rows],
        instance_ids=[instance_id_at(observed.key[2]) for _, observed in rows],
        whys=[observed.superseded_why for _, observed in rows],
        documents=[observed.document for _, observed in rows],
    )


def instance_of_row(row: Mapping[str, Any], *, dataset_id: str | None, observed_at: Instant | None) -> Stored:
    """The instance that a row of the history stands for, as it stands in a document."""
    if row["document"] is not None:
        document = row["document"]
        instance: Stored = orjson.loads(document) if isinstance(document, str) else document
        return instance
    number = row["number"]
    instance = {"type": "Property", "value": int(number) if row["whole"] else number}
    if row["unit"] is not None:
        instance["unitCode"] = row["unit"]
    if observed_at is not None:
        instance["observedAt"] = format_instant(observed_at)
    if dataset_id is not None:
        instance["datasetId"] = dataset_id
    if row["quality"] != "valid":
        instance[QUALITY] = [{"type": "Property", "value": row["quality"]}]
    return instance


def instance_id_at(moment: Instant) -> UUID:
    """A UUIDv8 whose first 48 bits are the moment (milliseconds since 1900): it names its partition."""
    milliseconds = max(0, (moment - _EPOCH_1900) // _MILLISECOND)
    # An id, not a secret: it needs to be unique, not unguessable.
    noise = random.getrandbits(74)
    return UUID(int=milliseconds << 80 | 0x8 << 76 | (noise >> 62) << 64 | 0b10 << 62 | noise & (1 << 62) - 1)


def names_of(work: EntityWork) -> set[str]:
    """Every name that writing this entity needs a number for."""
    names: set[str] = set()
    for state in (work.before, work.state):
        if state is not None:
            names.update(state.types)
    if work.state is not None:
        for name, instances in work.state.attributes.items():
            names.add(name)
            names.update(one["datasetId"] for one in instances if "datasetId" in one)
    for observed in work.observed:
        names.add(observed.key[0])
        if observed.key[1] is not None:
            names.add(observed.key[1])
        if observed.number is not None and observed.content is not None and "unitCode" in observed.content:
            names.add(observed.content["unitCode"])
    return names


def _unit_no(observed: Observed, names: Mapping[str, int]) -> int:
    if observed.number is None or observed.content is None:
        return 0
    unit = observed.content.get("unitCode")
    return 0 if unit is None else names[unit]


def _stretches(keys: Sequence[tuple[int, Key]]) -> Iterable[list[tuple[int, Key]]]:
    """Keys in order of their moments, cut so that each query's bounds touch few partitions."""
    stretch: list[tuple[int, Key]] = []
    for one in sorted(keys, key=lambda key: key[1][2]):
        if stretch and one[1][2] - stretch[0][1][2] > _STRETCH:
            yield stretch
            stretch = []
        stretch.append(one)
    if stretch:
        yield stretch


def _pointers(state: EntityState, names: Mapping[str, int]) -> list[tuple[int, int, Instant, bool]]:
    found: list[tuple[int, int, Instant, bool]] = []
    for name, instances in state.attributes.items():
        for instance in instances:
            dataset_id = instance.get("datasetId")
            found.append((names[name], 0 if dataset_id is None else names[dataset_id], *moment_of(instance)))
    return found


def _present(one: Written) -> EntityState:
    if one.work.state is None:
        raise ValueError("an entity without a state is not written")
    return one.work.state


def _listed(state: EntityState | None) -> set[str]:
    return set() if state is None or state.deleted_at is not None else set(state.types)


def _moved(work: EntityWork) -> bool:
    before = work.before.attributes.get(LOCATION) if work.before else None
    after = work.state.attributes.get(LOCATION) if work.state else None
    return before != after


def _box(state: EntityState) -> str | None:
    for instance in state.attributes.get(LOCATION, ()):
        if instance["type"] == "GeoProperty" and "value" in instance:
            box = box_of(instance["value"])
            return f"(({box.east},{box.north}),({box.west},{box.south}))"
    return None


def _joined(texts: Sequence[str]) -> str:
    return _SEPARATOR.join(texts)


def _array(items: Iterable[str]) -> str:
    return "{" + ",".join(items) + "}"


def _text(document: Mapping[str, Any]) -> str:
    return orjson.dumps(document).decode()


@dataclass(frozen=True, slots=True)
class Held:
    """An entity as it is held, for reading: its number inside, and its state then or now."""

    entity_no: int
    state: EntityState


@dataclass(frozen=True, slots=True)
class Moment:
    """One instance of an attribute as the history has it."""

    entity_no: int
    attribute: str
    dataset_id: str | None
    observed_at: Instant
    observed: bool
    learned_at: Instant
    deleted: bool
    instance_id: UUID
    instance: Stored


async def entity_visible(
    connection: Connection,
    tenant: str,
    audiences: Sequence[str],
    entity_id: str,
    *,
    deleted_too: bool = False,
) -> Held | None:
    """One entity, if it may be seen."""
    ask = queries.entity_ever_visible if deleted_too else queries.entity_visible
    row = await ask(connection, tenant=tenant, audiences=audiences, entity_id=entity_id)
    return None if row is None else Held(row["entity_no"], _state(row))


async def entities_present(
    connection: Connection, tenant: str, audiences: Sequence[str], entity_ids: Sequence[str]
) -> list[EntityState]:
    """The present ones of these entities that may be seen."""
    rows = queries.entities_present(
        connection, tenant=tenant, audiences=list(audiences), entity_ids=list(entity_ids)
    )
    return [_state(row) async for row in rows]


async def page_of_entities(
    connection: Connection,
    tenant: str,
    audiences: Sequence[str],
    selection: Selection,
    *,
    most: int,
    skip: int = 0,
    deleted_too: bool = False,
) -> list[Held]:
    """A page of the entities that may be seen, in the order in which they were first made."""
    only_type = _only_type(selection)
    attributes = None if selection.attributes is None else list(selection.attributes)
    if only_type is not None and not deleted_too:
        rows = queries.page_of_type(
            connection,
            tenant=tenant,
            audiences=audiences,
            type_iri=only_type,
            attributes=attributes,
            most=most,
            skip=skip,
        )
    else:
        rows = queries.page_of_entities(
            connection,
            tenant=tenant,
            audiences=audiences,
            deleted_too=deleted_too,
            most=most,
            skip=skip,
            **_conditions(selection),
        )
    return [Held(row["entity_no"], _state(row)) async for row in rows]


async def count_entities(
    connection: Connection, tenant: str, audiences: Sequence[str], selection: Selection
) -> int:
    """How many present entities there are of what is selected."""
    only_type = _only_type(selection)
    if only_type is not None:
        counted: int = await queries.count_of_type(
            connection,
            tenant=tenant,
            audiences=audiences,
            type_iri=only_type,
            attributes=None if selection.attributes is None else list(selection.attributes),
        )
    else:
        counted = await queries.count_of_entities(
            connection, tenant=tenant, audiences=audiences, **_conditions(selection)
        )
    return counted


def _only_type(selection: Selection) -> str | None:
    """The type, if that is all that is asked for but attributes."""
    if selection.entity_ids is not None or selection.id_pattern is not None:
        return None
    if len(selection.type_groups) == 1 and len(selection.type_groups[0]) == 1:
        return selection.type_groups[0][0]
    return None


def _conditions(selection: Selection) -> dict[str, Any]:
    return {
        "type_groups": orjson.dumps(selection.type_groups).decode() if selection.type_groups else None,
        "entity_ids": None if selection.entity_ids is None else list(selection.entity_ids),
        "id_pattern": selection.id_pattern,
        "attributes": None if selection.attributes is None else list(selection.attributes),
    }


async def entities_known_at(
    connection: Connection,
    tenant: str,
    audiences: Sequence[str],
    selection: Selection,
    known_at: Instant,
    *,
    most: int,
    skip: int = 0,
) -> list[Held]:
    """Entities as they were known at a moment, put together from their versions and the history."""
    versions = [
        row
        async for row in queries.versions_known_at(
            connection,
            tenant=tenant,
            audiences=audiences,
            known_at=known_at,
            most=most,
            skip=skip,
            **_conditions(selection),
        )
    ]
    attributes: list[dict[str, list[Stored]]] = [{} for _ in versions]
    pointers = [
        (place, row["entity_no"], *pointer)
        for place, row in enumerate(versions)
        for pointer in zip(
            row["attribute_nos"], row["dataset_nos"], row["moments"], row["observed"], strict=True
        )
    ]
    if pointers:
        places, entity_nos, attribute_nos, dataset_nos, moments, observed = zip(*pointers, strict=True)
        rows = queries.instances_known_at(
            connection,
            tenant=tenant,
            places=list(places),
            entity_nos=list(entity_nos),
            attribute_nos=list(attribute_nos),
            dataset_nos=list(dataset_nos),
            moments=list(moments),
            observed=list(observed),
            all_moments=sorted(set(moments)),
            known_at=known_at,
        )
        async with pruned(connection):
            async for row in rows:
                stored = instance_of_row(
                    row,
                    dataset_id=row["dataset"],
                    observed_at=row["observed_at"] if row["observed"] else None,
                )
                stored["modifiedAt"] = format_instant(row["learned_at"])
                attributes[row["place"]].setdefault(row["attribute"], []).append(stored)
    return [
        Held(
            row["entity_no"],
            EntityState(
                entity_id=row["entity_id"],
                types=tuple(row["types"]),
                scope=tuple(row["scope"]),
                attributes=attributes[place],
                created_at=row["created_at"],
                modified_at=row["learned_at"],
            ),
        )
        for place, row in enumerate(versions)
    ]


@asynccontextmanager
async def pruned(connection: Connection) -> AsyncIterator[None]:
    """Inside, statements are planned for the days they ask for, and lock no others."""
    if connection.is_in_transaction():
        await queries.plan_each_call(connection)
        yield
    else:
        async with connection.transaction():
            await queries.plan_each_call(connection)
            yield


async def numbers_of_entities(
    connection: Connection, tenant: str, audiences: Sequence[str], entity_ids: Iterable[str]
) -> dict[str, int]:
    """Numbers inside of the entities that may be seen."""
    rows = queries.numbers_of_entities(
        connection, tenant=tenant, audiences=audiences, entity_ids=sorted(set(entity_ids))
    )
    return {row["entity_id"]: row["entity_no"] async for row in rows}


async def numbers_of_names(connection: Connection, tenant: str, iris: Iterable[str]) -> dict[str, int]:
    """Numbers inside of names; a name that was never written has none."""
    rows = queries.numbers_of_names(connection, tenant=tenant, iris=sorted(set(iris)))
    return {row["iri"]: row["name_no"] async for row in rows}


async def observation_days(connection: Connection, earliest: date, latest: date) -> list[date]:
    """The days that have a partition, oldest first."""
    return [
        row["day"] async for row in queries.observation_days(connection, earliest=earliest, latest=latest)
    ]


async def numbers_observed(
    connection: Connection,
    tenant: str,
    entity_nos: Sequence[int],
    attribute_nos: Sequence[int],
    *,
    since: Instant,
    upto: Instant,
    known_at: Instant | None = None,
) -> list[Row]:
    """Rows (entity_no, attribute_no, observed_at, number, quality, document) in (since, upto], in order."""
    if known_at is None:
        rows = queries.numbers_observed(
            connection,
            tenant=tenant,
            entity_nos=list(entity_nos),
            attribute_nos=list(attribute_nos),
            since=since,
            upto=upto,
        )
    else:
        rows = queries.numbers_observed_known_at(
            connection,
            tenant=tenant,
            entity_nos=list(entity_nos),
            attribute_nos=list(attribute_nos),
            since=since,
            upto=upto,
            known_at=known_at,
        )
    async with pruned(connection):
        return [row async for row in rows]


async def entities_observed(
    connection: Connection, tenant: str, attribute_nos: Sequence[int], *, since: Instant, upto: Instant
) -> list[str]:
    """The ids of present entities with an observation of one of the attributes in (since, upto]."""
    rows = queries.entities_observed(
        connection, tenant=tenant, attribute_nos=list(attribute_nos), since=since, upto=upto
    )
    async with pruned(connection):
        return [row["entity_id"] async for row in rows]


async def times_observed(
    connection: Connection, tenant: str, attribute_nos: Sequence[int], *, since: Instant, upto: Instant
) -> list[Instant]:
    """The times at which one of the attributes was observed in (since, upto], each once."""
    rows = queries.times_observed(
        connection, tenant=tenant, attribute_nos=list(attribute_nos), since=since, upto=upto
    )
    async with pruned(connection):
        return [row["observed_at"] async for row in rows]


async def evolution_newest_first(
    connection: Connection,
    tenant: str,
    entity_nos: Sequence[int],
    attribute_nos: Sequence[int] | None,
    *,
    since: Instant,
    upto: Instant,
    known_at: Instant,
    observed_only: bool,
    learned_since: Instant,
    learned_upto: Instant,
    deleted_too: bool,
    last_n: int | None,
    most: int,
) -> list[Moment]:
    """Instances through time in [since, upto), newest moment first, the newest `last_n` of each series."""
    rows = queries.evolution_newest_first(
        connection,
        tenant=tenant,
        entity_nos=list(entity_nos),
        attribute_nos=None if attribute_nos is None else list(attribute_nos),
        since=since,
        upto=upto,
        known_at=known_at,
        observed_only=observed_only,
        learned_since=learned_since,
        learned_upto=learned_upto,
        deleted_too=deleted_too,
        last_n=last_n,
        most=most,
    )
    async with pruned(connection):
        return [
            Moment(
                entity_no=row["entity_no"],
                attribute=row["attribute"],
                dataset_id=row["dataset"],
                observed_at=row["observed_at"],
                observed=row["observed"],
                learned_at=row["learned_at"],
                deleted=row["deleted"],
                instance_id=row["instance_id"],
                instance=instance_of_row(
                    row,
                    dataset_id=row["dataset"],
                    observed_at=row["observed_at"] if row["observed"] else None,
                ),
            )
            async for row in rows
        ]


async def restrict_types(connection: Connection, audiences: Mapping[str, str]) -> None:
    """Keep which types are for fewer than everybody; those not named are released."""
    await queries.release_types(connection, type_iris=sorted(audiences))
    await queries.restrict_types(
        connection, type_iris=sorted(audiences), audiences=[audiences[one] for one in sorted(audiences)]
    )


@dataclass(frozen=True, slots=True)
class FactsRelease:
    """What was loaded of a set of facts: the checksum of its file and the entities it made."""

    checksum: str
    entity_ids: tuple[str, ...]


async def hold_facts(connection: Connection, tenant: str, facts_id: str, *, now: Instant) -> FactsRelease:
    """What was loaded of a set, locked until the transaction ends; nothing the first time."""
    await queries.hold_facts(connection, tenant=tenant, facts_id=facts_id, now=now)
    row = await queries.facts_release(connection, tenant=tenant, facts_id=facts_id)
    return FactsRelease(row["checksum"], tuple(row["entity_ids"]))


async def keep_facts(
    connection: Connection,
    tenant: str,
    facts_id: str,
    checksum: str,
    entity_ids: Sequence[str],
    *,
    now: Instant,
) -> None:
    """Note which release is loaded."""
    await queries.keep_facts_release(
        connection, tenant=tenant, facts_id=facts_id, checksum=checksum, entity_ids=list(entity_ids), now=now
    )


async def written_by_commits(
    connection: Connection, tenant: str, commits: Sequence[tuple[int, Instant, Instant, Instant]]
) -> AsyncIterator[Row]:
    """What commits (entity, learned, first and last moment) wrote, with what stood there before."""
    rows = queries.written_by_commits(
        connection,
        tenant=tenant,
        entity_nos=[one[0] for one in commits],
        learned_at=[one[1] for one in commits],
        first_moments=[one[2] for one in commits],
        last_moments=[one[3] for one in commits],
    )
    async for row in rows:
        yield row


async def newest_of_others(
    connection: Connection,
    tenant: str,
    wanted: Sequence[tuple[int, tuple[str, str | None], bool, Sequence[Instant]]],
) -> AsyncIterator[Row]:
    """The newest standing value of attributes (entity, name and dataset, observed) of other commits."""
    rows = queries.newest_of_others(
        connection,
        tenant=tenant,
        entity_nos=[one[0] for one in wanted],
        attributes=[one[1][0] for one in wanted],
        datasets=[one[1][1] for one in wanted],
        observed=[one[2] for one in wanted],
        without=[_array(format_instant(at) for at in one[3]) for one in wanted],
    )
    async for row in rows:
        yield row
