"""Verbs of the context: write entities, read them as they are, as they were, as they were known.

Who reads passes a connection; who writes passes a `Writer`: the `GroupedWriter` of the process,
or `OwnTransaction` for whoever has a transaction already. `known_at` asks for what the platform
knew at that moment, with later corrections left out (ADR 0022).
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, Literal, Protocol

import orjson

from haidang.context import store
from haidang.context.errors import (
    EntityUnknown,
    PatternUnreadable,
    QueryTookTooLong,
    WritingIsForMachines,
)
from haidang.context.merging import EntityState
from haidang.context.model import (
    EARLIEST,
    FUTURE_TOLERANCE,
    AppendAttributes,
    AttributeInstance,
    Command,
    CreateEntity,
    DeleteAttribute,
    DeleteEntity,
    Outcome,
    PatchAttribute,
    Rules,
    Selection,
    Stored,
    UpdateAttributes,
    quality_of,
    value_of,
)
from haidang.context.store import Held, Moment
from haidang.context.writer import apply_commands
from haidang.infra.database import Connection, PatternRefused, StatementGivenUp
from haidang.kernel.actors import Actor, Audience
from haidang.kernel.errors import HaidangError
from haidang.kernel.instants import Clock, Instant, parse_instant
from haidang.kernel.text import collation_key
from haidang.sdk.model import Attribute, EntityType, EntityView, Observation, Pack, Quality

MOST_INSTANCES = 10_000
"""How many instances one temporal answer holds at most; the rest is asked for by time."""

_DAYS_A_QUERY = 45
_PATTERN_PATIENCE_MS = 2_000


class Writer(Protocol):
    """Whoever writes commands down and says so after the commit, or inside the caller's transaction."""

    async def submit_all(
        self, actor: Actor, commands: Sequence[Command], *, weight: int = 1024
    ) -> list[Outcome]:
        """Write commands; what is wrong with one stands in its outcome."""
        ...


class OwnTransaction:
    """A writer for whoever has opened a transaction: what is written is durable when that commits."""

    def __init__(self, connection: Connection, clock: Clock) -> None:
        self._connection = connection
        self._clock = clock

    async def submit_all(
        self, actor: Actor, commands: Sequence[Command], *, weight: int = 1024
    ) -> list[Outcome]:
        """Write commands in the transaction."""
        del weight
        return await apply_commands(self._connection, actor, commands, now=self._clock.now())


async def create_entity(
    actor: Actor,
    writer: Writer,
    entity_id: str,
    types: Sequence[str],
    attributes: Sequence[AttributeInstance],
    *,
    scope: Sequence[str] = (),
    rules: Rules | None = None,
    weight: int = 1024,
) -> Outcome:
    """Make an entity; raises EntityAlreadyExists."""
    command = CreateEntity(
        entity_id=entity_id,
        types=tuple(types),
        attributes=tuple(attributes),
        scope=tuple(scope),
        rules=rules,
    )
    return await write_command(actor, writer, command, weight=weight)


async def append_attributes(
    actor: Actor,
    writer: Writer,
    entity_id: str,
    attributes: Sequence[AttributeInstance],
    *,
    types: Sequence[str] = (),
    scope: Sequence[str] | None = None,
    overwrite: bool = True,
    rules: Rules | None = None,
    weight: int = 1024,
) -> Outcome:
    """Add attributes to an entity; raises EntityUnknown."""
    command = AppendAttributes(
        entity_id=entity_id,
        attributes=tuple(attributes),
        types=tuple(types),
        scope=None if scope is None else tuple(scope),
        overwrite=overwrite,
        rules=rules,
    )
    return await write_command(actor, writer, command, weight=weight)


async def update_attributes(
    actor: Actor,
    writer: Writer,
    entity_id: str,
    attributes: Sequence[AttributeInstance],
    *,
    removed: Sequence[tuple[str, str | None]] = (),
    types: Sequence[str] = (),
    scope: Sequence[str] | None = None,
    rules: Rules | None = None,
    weight: int = 1024,
) -> Outcome:
    """Write attributes of an entity and take some away; raises EntityUnknown."""
    command = UpdateAttributes(
        entity_id=entity_id,
        attributes=tuple(attributes),
        removed=tuple(removed),
        types=tuple(types),
        scope=None if scope is None else tuple(scope),
        rules=rules,
    )
    return await write_command(actor, writer, command, weight=weight)


async def patch_attribute(
    actor: Actor, writer: Writer, command: PatchAttribute, *, weight: int = 1024
) -> Outcome:
    """Change some members of one attribute instance; raises AttributeUnknown."""
    return await write_command(actor, writer, command, weight=weight)


async def delete_attribute(
    actor: Actor,
    writer: Writer,
    entity_id: str,
    name: str,
    *,
    dataset_id: str | None = None,
    every: bool = False,
) -> Outcome:
    """Take one instance of an attribute away, or all of them; raises AttributeUnknown."""
    command = DeleteAttribute(entity_id=entity_id, name=name, dataset_id=dataset_id, every=every)
    return await write_command(actor, writer, command)


async def delete_entity(actor: Actor, writer: Writer, entity_id: str) -> Outcome:
    """Take an entity away; its history stays. Raises EntityUnknown."""
    return await write_command(actor, writer, DeleteEntity(entity_id=entity_id))


async def write_commands(
    actor: Actor, writer: Writer, commands: Sequence[Command], *, weight: int = 1024
) -> list[Outcome]:
    """Write many commands in one commit; what is wrong with one stands in its outcome."""
    _require_machine(actor)
    return await writer.submit_all(actor, commands, weight=weight)


async def write_command(actor: Actor, writer: Writer, command: Command, *, weight: int = 1024) -> Outcome:
    """Write one command; raises what is wrong with it."""
    _require_machine(actor)
    (outcome,) = await writer.submit_all(actor, [command], weight=weight)
    if outcome.error is not None:
        raise outcome.error
    return outcome


def _require_machine(actor: Actor) -> None:
    if not actor.belongs_to(Audience.MACHINE):
        raise WritingIsForMachines


async def retrieve_entity(
    actor: Actor, connection: Connection, entity_id: str, *, known_at: Instant | None = None
) -> EntityState:
    """One entity as it is, or as it was known at a moment; raises EntityUnknown."""
    audiences = _audiences(actor)
    if known_at is None:
        held = await store.entity_visible(connection, actor.tenant, audiences, entity_id)
    else:
        selection = Selection(entity_ids=(entity_id,))
        found = await store.entities_known_at(
            connection, actor.tenant, audiences, selection, known_at, most=1
        )
        held = found[0] if found else None
    if held is None:
        raise EntityUnknown(entity_id=entity_id)
    return held.state


async def query_entities(
    actor: Actor,
    connection: Connection,
    selection: Selection,
    *,
    limit: int,
    offset: int = 0,
    known_at: Instant | None = None,
) -> list[EntityState]:
    """A page of entities, in the order in which they were first made."""
    audiences = _audiences(actor)
    async with _patience(connection, selection):
        if known_at is None:
            found = await store.page_of_entities(
                connection, actor.tenant, audiences, selection, most=limit, skip=offset
            )
        else:
            found = await store.entities_known_at(
                connection, actor.tenant, audiences, selection, known_at, most=limit, skip=offset
            )
    return [held.state for held in found]


async def count_entities(actor: Actor, connection: Connection, selection: Selection) -> int:
    """How many present entities are selected."""
    async with _patience(connection, selection):
        return await store.count_entities(connection, actor.tenant, _audiences(actor), selection)


class _patience:  # noqa: N801  # reads as the statement it is: async with _patience(…)
    """A pattern is the caller's program: it runs for two seconds at most, and must be readable."""

    def __init__(self, connection: Connection, selection: Selection) -> None:
        self._connection = connection
        self._pattern = selection.id_pattern
        self._transaction: Any = None

    async def __aenter__(self) -> None:
        if self._pattern is None:
            return
        self._transaction = self._connection.transaction()
        await self._transaction.start()
        await self._connection.execute(f"SET LOCAL statement_timeout = {_PATTERN_PATIENCE_MS}")

    async def __aexit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        if self._transaction is None:
            return
        await self._transaction.rollback()
        if isinstance(error, PatternRefused):
            raise PatternUnreadable(pattern=self._pattern) from error
        if isinstance(error, StatementGivenUp):
            raise QueryTookTooLong from error


@dataclass(frozen=True, slots=True)
class Evolution:
    """An entity through time: instances by attribute, oldest first; `whole` is false when cut short.

    `state` is the present state, or the last one of a deleted entity.
    """

    state: EntityState
    instances: Mapping[str, Sequence[Moment]]
    whole: bool


@dataclass(frozen=True, slots=True)
class TimeFrame:
    """Which moments: [since, upto) of observedAt, or of when instances were written or deleted.

    `last_n` keeps the newest so many of each attribute and dataset, `most` the newest so many at all.
    """

    by: Literal["any", "observedAt", "createdAt", "modifiedAt", "deletedAt"] = "any"
    since: Instant | None = None
    upto: Instant | None = None
    last_n: int | None = None
    most: int = MOST_INSTANCES


async def temporal_evolution(
    actor: Actor,
    connection: Connection,
    entity_id: str,
    frame: TimeFrame,
    *,
    attributes: Sequence[str] | None = None,
    known_at: Instant | None = None,
    now: Instant,
) -> Evolution:
    """How one entity's attributes went through time; raises EntityUnknown."""
    held = await store.entity_visible(
        connection, actor.tenant, _audiences(actor), entity_id, deleted_too=True
    )
    if held is None:
        raise EntityUnknown(entity_id=entity_id)
    (evolution,) = await _evolutions(
        actor, connection, [held], frame, attributes=attributes, known_at=known_at, now=now
    )
    return evolution


async def query_temporal(
    actor: Actor,
    connection: Connection,
    selection: Selection,
    frame: TimeFrame,
    *,
    limit: int,
    offset: int = 0,
    known_at: Instant | None = None,
    now: Instant,
) -> list[Evolution]:
    """How a page of entities went through time; entities without an instance in the frame are left out."""
    async with _patience(connection, selection):
        held = await store.page_of_entities(
            connection,
            actor.tenant,
            _audiences(actor),
            selection,
            most=limit,
            skip=offset,
            deleted_too=True,
        )
    evolutions = await _evolutions(
        actor, connection, held, frame, attributes=selection.attributes, known_at=known_at, now=now
    )
    return [one for one in evolutions if one.instances]


async def _evolutions(
    actor: Actor,
    connection: Connection,
    held: Sequence[Held],
    frame: TimeFrame,
    *,
    attributes: Sequence[str] | None,
    known_at: Instant | None,
    now: Instant,
) -> list[Evolution]:
    if not held:
        return []
    attribute_nos: list[int] | None = None
    if attributes is not None:
        attribute_nos = list((await store.numbers_of_names(connection, actor.tenant, attributes)).values())
    horizon = now + FUTURE_TOLERANCE
    by_moment = frame.by in {"any", "observedAt"}
    since = (frame.since if by_moment else None) or EARLIEST
    upto = (frame.upto if by_moment else None) or horizon
    found: list[Moment] = []
    kept: dict[tuple[int, str, str | None], int] = {}
    whole = True
    days = await store.observation_days(connection, since.date(), upto.date())
    for first, last in _stretches_of_days(days):
        room = frame.most + 1 - len(found)
        moments = await store.evolution_newest_first(
            connection,
            actor.tenant,
            [one.entity_no for one in held],
            attribute_nos,
            since=max(since, first),
            upto=min(upto, last),
            known_at=known_at or horizon,
            observed_only=frame.by == "observedAt",
            learned_since=EARLIEST if by_moment else frame.since or EARLIEST,
            learned_upto=horizon if by_moment else frame.upto or horizon,
            deleted_too=frame.by == "deletedAt",
            last_n=frame.last_n,
            most=room,
        )
        for moment in moments:
            if frame.by == "deletedAt" and not moment.deleted:
                continue
            series = (moment.entity_no, moment.attribute, moment.dataset_id)
            if frame.last_n is not None and kept.get(series, 0) >= frame.last_n:
                continue
            kept[series] = kept.get(series, 0) + 1
            found.append(moment)
        if len(moments) >= room:
            found = found[: frame.most]
            whole = False
            break
        if frame.last_n is not None and _satisfied(held, attributes, kept, frame.last_n):
            break
    by_entity: dict[int, dict[str, list[Moment]]] = {}
    for moment in reversed(found):
        by_entity.setdefault(moment.entity_no, {}).setdefault(moment.attribute, []).append(moment)
    return [Evolution(one.state, by_entity.get(one.entity_no, {}), whole) for one in held]


def _satisfied(
    held: Sequence[Held],
    attributes: Sequence[str] | None,
    kept: Mapping[tuple[int, str, str | None], int],
    last_n: int,
) -> bool:
    """Whether every series that the entities have now is full; series they once had may add more."""
    if any(one.state.deleted_at is not None for one in held):
        return False
    return all(
        kept.get((one.entity_no, name, stored.get("datasetId")), 0) >= last_n
        for one in held
        for name, instances in one.state.attributes.items()
        if attributes is None or name in attributes
        for stored in instances
    )


def _stretches_of_days(days: Sequence[date]) -> Iterable[tuple[Instant, Instant]]:
    """The days that have partitions, newest first, so many a query that each touches few of them."""
    for end in range(len(days), 0, -_DAYS_A_QUERY):
        chunk = days[max(0, end - _DAYS_A_QUERY) : end]
        yield _midnight(chunk[0]), _midnight(chunk[-1]) + timedelta(days=1)


def _midnight(day: date) -> Instant:
    return datetime(day.year, day.month, day.day, tzinfo=EARLIEST.tzinfo)


def _audiences(actor: Actor) -> list[str]:
    return sorted({Audience.PUBLIC.value, *(one.value for one in actor.audiences)})


# --- what pages read ---------------------------------------------------------------------------


async def latest_entities(
    actor: Actor, connection: Connection, entity_type: EntityType, limit: int
) -> list[EntityView]:
    """The present entities of a type with their values by short names, in the order of their names."""
    selection = Selection(type_groups=((entity_type.iri,),))
    held = await store.page_of_entities(connection, actor.tenant, _audiences(actor), selection, most=limit)
    views = [view_of(one.state, entity_type) for one in held]
    return sorted(views, key=lambda view: (collation_key(str(view.values.get("name") or "")), view.entity_id))


async def one_entity(
    actor: Actor, connection: Connection, entity_type: EntityType, entity_id: str
) -> EntityView | None:
    """One entity of a type, or None when there is none that this actor may see."""
    held = await store.entity_visible(connection, actor.tenant, _audiences(actor), entity_id)
    if held is None or entity_type.iri not in held.state.types:
        return None
    return view_of(held.state, entity_type)


async def history(  # noqa: PLR0917  # whose, of what, from when to when: in the order one says it
    actor: Actor,
    connection: Connection,
    entity_ids: Sequence[str],
    attributes: Sequence[Attribute],
    since: Instant,
    until: Instant,
    *,
    known_at: Instant | None = None,
) -> dict[str, dict[str, list[Observation]]]:
    """Observations of declared attributes in (since, until], oldest first, by entity id and short name.

    Values of every quality are there, each with its own; where a value is no number, `number` is None.
    """
    short = {attribute.iri: attribute.name for attribute in attributes}
    numbers = await store.numbers_of_entities(connection, actor.tenant, _audiences(actor), entity_ids)
    names = await store.numbers_of_names(connection, actor.tenant, short)
    found: dict[str, dict[str, list[Observation]]] = {
        entity_id: {name: [] for name in short.values()} for entity_id in entity_ids
    }
    if not numbers or not names:
        return found
    entity_of = {number: entity_id for entity_id, number in numbers.items()}
    attribute_of = {number: short[iri] for iri, number in names.items()}
    rows = await store.numbers_observed(
        connection,
        actor.tenant,
        list(entity_of),
        list(attribute_of),
        since=since,
        upto=until,
        known_at=known_at,
    )
    for row in rows:
        found[entity_of[row["entity_no"]]][attribute_of[row["attribute_no"]]].append(
            Observation(row["observed_at"], number_of(row), Quality(row["quality"]))
        )
    return found


def number_of(row: Mapping[str, Any]) -> float | None:
    """The number of a row of the history, if its value is one, wherever it stands."""
    if row["number"] is not None:
        number: float = row["number"]
        return number
    if row["document"] is None:
        return None
    value = orjson.loads(row["document"]).get("value")
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def view_of(state: EntityState, entity_type: EntityType) -> EntityView:
    """An entity as pages see it: the declared attributes by their short names, default datasets only."""
    values: dict[str, Any] = {}
    observed_at: dict[str, Instant] = {}
    quality: dict[str, Quality] = {}
    units: dict[str, str] = {}
    sub_attributes: dict[str, Mapping[str, Any]] = {}
    short = {declared.iri: declared.name for declared in entity_type.attributes}
    for declared in entity_type.attributes:
        stored = next((one for one in state.attributes.get(declared.iri, ()) if "datasetId" not in one), None)
        if stored is None:
            continue
        name = declared.name
        values[name] = value_of(stored)
        quality[name] = quality_of(stored)
        unit = stored.get("unitCode", declared.unit)
        if unit is not None:
            units[name] = unit
        if "observedAt" in stored:
            observed_at[name] = parse_instant(stored["observedAt"])
        below = _sub_attribute_values(stored, short)
        if below:
            sub_attributes[name] = below
    source = values.get("source")
    return EntityView(
        entity_id=state.entity_id,
        entity_type=entity_type.name,
        values=values,
        observed_at=observed_at,
        quality=quality,
        units=units,
        sub_attributes=sub_attributes,
        modified_at=state.modified_at,
        synthetic=source == "synthetic",
        replayed=isinstance(source, str) and source.startswith("replay"),
    )


def _sub_attribute_values(stored: Stored, short: Mapping[str, str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for iri, instances in stored.items():
        if ":" in iri and isinstance(instances, list) and instances:
            found[short.get(iri) or local_name(iri)] = value_of(instances[0])
    return found


def local_name(iri: str) -> str:
    """The last part of an IRI: what stands after its last #, / or colon."""
    return iri.rsplit("#", 1)[-1].rsplit("/", 1)[-1].rsplit(":", 1)[-1]


# --- what the house does -----------------------------------------------------------------------


async def register_entity_types(actor: Actor, connection: Connection, packs: Iterable[Pack]) -> None:
    """Keep which declared types are for fewer than everybody; called when the house starts."""
    del actor  # a part of the house: every verb takes its actor
    restricted = {
        entity_type.iri: entity_type.audience.value
        for pack in packs
        for entity_type in pack.entity_types
        if entity_type.audience is not Audience.PUBLIC
    }
    await store.restrict_types(connection, restricted)


async def prepare_days(actor: Actor, connection: Connection, *, now: Instant, ahead: int = 3) -> list[date]:
    """Make the partitions of yesterday, today and the next days, ahead of need; which were missing."""
    del actor
    return await store.ensure_days(
        connection, [now.date() + timedelta(days=offset) for offset in range(-1, ahead + 1)]
    )


def errors_of(outcomes: Iterable[Outcome]) -> list[tuple[str, HaidangError]]:
    """The mistakes among outcomes, with the entities they are about."""
    return [(outcome.entity_id, outcome.error) for outcome in outcomes if outcome.error is not None]
