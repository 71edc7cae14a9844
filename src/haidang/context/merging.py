"""What a command makes of an entity, decided in memory: pure, no I/O.

`fold` runs the commands of one commit over one entity; `settle` compares what they observed with
what the history has for the same moments, and says what to insert and what that supersedes.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Literal, TypeAlias

from haidang.context.errors import (
    AttributeKindDiffers,
    AttributeUnknown,
    EntityAlreadyExists,
    EntityUnknown,
    EntityWithoutType,
)
from haidang.context.events import AttributeChange, EntityChange
from haidang.context.model import (
    QUALITY,
    SCOPE,
    VALUE_MEMBERS,
    AppendAttributes,
    AttributeInstance,
    Command,
    CreateEntity,
    DeleteAttribute,
    DeleteEntity,
    MergeObservations,
    NotUpdated,
    Outcome,
    PatchAttribute,
    Stored,
    UpdateAttributes,
    UpsertEntity,
    as_stored,
    check_entity_id,
    check_name,
    check_stored,
    moment_of,
    plain_number,
    quality_of,
    storable,
    value_of,
)
from haidang.kernel.errors import HaidangError
from haidang.kernel.instants import Instant, format_instant, parse_instant
from haidang.sdk.model import Quality

LATER_VALUE = "later value for the same moment"

_TICK = timedelta(microseconds=1)
_TIMES = ("createdAt", "modifiedAt")

Operation: TypeAlias = Literal["created", "updated", "deleted"]

Key: TypeAlias = tuple[str, str | None, Instant, bool]
"""Attribute, dataset, moment, and whether the moment is an observedAt: one place in the history."""


@dataclass(frozen=True, slots=True)
class EntityState:
    """An entity as it is: attribute IRIs to their instances, one a dataset."""

    entity_id: str
    types: tuple[str, ...]
    scope: tuple[str, ...]
    attributes: Mapping[str, Sequence[Stored]]
    created_at: Instant
    modified_at: Instant
    deleted_at: Instant | None = None


@dataclass(slots=True)
class Observed:
    """One instance on its way into the history. `content` is None for a deletion."""

    key: Key
    content: Stored | None
    number: float | None
    document: str | None
    quality: Quality
    why: str | None
    change: AttributeChange
    command: int
    only_over_value: bool = False
    state_changed: bool = True
    superseded_why: str | None = None


@dataclass(slots=True)
class EntityWork:
    """What the commands of one commit make of one entity."""

    state: EntityState | None
    at: Instant
    before: EntityState | None
    changed: bool = False
    observed: list[Observed] = field(default_factory=list)
    operations: list[Operation | None] = field(default_factory=list)
    commands: list[Command] = field(default_factory=list)
    actor_ids: list[str] = field(default_factory=list)
    outcomes: list[Outcome] = field(default_factory=list)
    taken: set[tuple[str, str | None, Instant]] = field(default_factory=set)
    last_moment: Instant | None = None


@dataclass(frozen=True, slots=True)
class Settled:
    """What to write: rows to insert, keys in the history to supersede and why, and what to tell.

    A change stands beside the id of the actor who made it.
    """

    inserts: tuple[Observed, ...]
    supersedes: tuple[tuple[Key, str], ...]
    outcomes: tuple[Outcome, ...]
    changes: tuple[tuple[str, EntityChange], ...]


def learned_at(state: EntityState | None, now: Instant) -> Instant:
    """The moment of a commit for one entity: now, but always after the entity's last change."""
    return now if state is None else max(now, state.modified_at + _TICK)


def fold(state: EntityState | None, commands: Iterable[tuple[str, Command]], now: Instant) -> EntityWork:
    """Run commands, each with its actor's id, over an entity; one that is refused leaves no trace."""
    at = learned_at(state, now)
    work = EntityWork(state=state, at=at, before=state)
    for actor_id, command in commands:
        draft = _Draft(work, command, now)
        try:
            outcome = draft.run()
        except HaidangError as mistake:
            work.operations.append(None)
            work.outcomes.append(Outcome(entity_id=command.entity_id, error=mistake))
        else:
            draft.keep()
            work.outcomes.append(outcome)
        work.commands.append(command)
        work.actor_ids.append(actor_id)
    if work.state is not None and work.changed:
        modified_at = max(at, work.last_moment or at)
        work.state = _with(work.state, modified_at=modified_at)
    return work


def settle(work: EntityWork, existing: Mapping[Key, Stored]) -> Settled:
    """Compare with what the history holds for the same moments: repeat, supersede or insert."""
    present: dict[Key, Stored] = dict(existing)
    pending: dict[Key, Observed] = {}
    inserts: list[Observed] = []
    supersedes: list[tuple[Key, str]] = []
    superseded = [0] * len(work.commands)
    written = [False] * len(work.commands)
    told: list[list[AttributeChange]] = [[] for _ in work.commands]
    for observed in work.observed:
        earlier = present.get(observed.key)
        if earlier is None:
            repeated = observed.only_over_value
        else:
            repeated = observed.content is not None and same_content(earlier, observed.content)
            repeated = repeated or (observed.only_over_value and value_of(earlier) is None)
            repeated = repeated or _learned_since(work.commands[observed.command], earlier)
        if not repeated:
            if earlier is not None:
                why = observed.why or LATER_VALUE
                superseded[observed.command] += 1
                if observed.key in pending:
                    pending[observed.key].superseded_why = why
                else:
                    supersedes.append((observed.key, why))
            if observed.content is not None:
                present[observed.key] = observed.content
            pending[observed.key] = observed
            inserts.append(observed)
        if observed.state_changed or not repeated:
            written[observed.command] = True
            told[observed.command].append(observed.change)
    outcomes = tuple(
        Outcome(
            entity_id=outcome.entity_id,
            created=outcome.created,
            changed=outcome.error is None and (outcome.changed or written[place]),
            superseded=superseded[place],
            updated=outcome.updated,
            not_updated=outcome.not_updated,
            error=outcome.error,
            learned_at=work.at if outcome.error is None and (outcome.changed or written[place]) else None,
        )
        for place, outcome in enumerate(work.outcomes)
    )
    return Settled(tuple(inserts), tuple(supersedes), outcomes, tuple(_changes(work, outcomes, told)))


def _changes(
    work: EntityWork, outcomes: Sequence[Outcome], told: Sequence[Sequence[AttributeChange]]
) -> Iterable[tuple[str, EntityChange]]:
    """One change for each actor and origin, in the order in which they came."""
    state = work.state or work.before
    if state is None:
        return
    merged: dict[tuple[str, str | None, bool], tuple[Operation, list[AttributeChange]]] = {}
    for place, outcome in enumerate(outcomes):
        operation = work.operations[place]
        if not outcome.changed or operation is None:
            continue
        group = (work.actor_ids[place], work.commands[place].origin, operation == "deleted")
        first, attributes = merged.setdefault(group, (operation, []))
        if operation == "created" and first != "created":
            merged[group] = (operation, attributes)
        attributes.extend(told[place])
    for (actor_id, origin, _), (operation, attributes) in merged.items():
        yield (
            actor_id,
            EntityChange(
                entity_id=state.entity_id,
                types=state.types,
                operation=operation,
                attributes=tuple(attributes),
                origin=origin,
            ),
        )


def _outdated(command: MergeObservations, instance: AttributeInstance, present: Stored | None) -> bool:
    """Whether the present instance stays although a command has another one."""
    if present is None:
        return False
    if instance.observed_at is None:
        return command.lasting == "fill"
    same_moment = "observedAt" in present and moment_of(present)[0] == instance.observed_at
    return same_moment and _learned_since(command, present)


def _learned_since(command: Command, stored: Stored) -> bool:
    """Whether an instance was learned after the command was heard; one without times was written just now."""
    heard_at = command.heard_at if isinstance(command, MergeObservations) else None
    if heard_at is None or "modifiedAt" not in stored:
        return False
    return parse_instant(stored["modifiedAt"]) > heard_at


def same_content(stored: Stored, content: Stored) -> bool:
    """Whether two instances say the same, whenever each was written."""
    for name, value in content.items():
        if name in _TIMES:
            continue
        if name not in stored or not _equal(stored[name], value):
            return False
    return sum(name not in _TIMES for name in stored) == sum(name not in _TIMES for name in content)


def _equal(one: Any, other: Any) -> bool:
    """Equality of JSON values: `true` is not 1, and times of sub-attributes do not count."""
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, dict) and isinstance(other, dict):
        if one.get("type") in VALUE_MEMBERS and other.get("type") in VALUE_MEMBERS:
            return same_content(one, other)
        return one.keys() == other.keys() and all(_equal(one[name], other[name]) for name in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_equal, one, other))
    if {type(one), type(other)} == {int, float}:
        # PostgreSQL writes large doubles without exponent, and then they are read as integers.
        return float(one) == float(other)
    return bool(one == other)


def _with(state: EntityState, **changes: Any) -> EntityState:
    return EntityState(**{name: changes.get(name, getattr(state, name)) for name in EntityState.__slots__})


def timed(content: Stored, previous: Stored | None, moment: str) -> Stored:
    """The instance with createdAt and modifiedAt, and its sub-attributes with theirs."""
    stored = dict(content)
    for name, value in content.items():
        if ":" not in name or not isinstance(value, list):
            continue
        earlier = {one.get("datasetId"): one for one in (previous or {}).get(name, ())}
        stored[name] = [_timed_sub_attribute(one, earlier.get(one.get("datasetId")), moment) for one in value]
    stored["createdAt"] = moment if previous is None else previous.get("createdAt", moment)
    stored["modifiedAt"] = moment
    return stored


def _timed_sub_attribute(content: Stored, previous: Stored | None, moment: str) -> Stored:
    if previous is not None and same_content(previous, content):
        return previous
    return timed(content, previous, moment)


class _Draft:
    """One command at work on a copy, so that a refusal in its middle leaves nothing behind."""

    def __init__(self, work: EntityWork, command: Command, now: Instant) -> None:
        self.work = work
        self.command = command
        self.now = now
        self.place = len(work.commands)
        living = work.state if work.state is not None and work.state.deleted_at is None else None
        self.living = living
        self.types: tuple[str, ...] = living.types if living else ()
        self.scope: tuple[str, ...] = living.scope if living else ()
        # A copy of the names only: a list of instances is replaced, never changed.
        self.attributes: dict[str, Sequence[Stored]] = dict(living.attributes) if living else {}
        self.observed: list[Observed] = []
        self.taken: set[tuple[str, str | None, Instant]] = set()
        self.last_moment = work.last_moment
        self.operation: Operation = "updated"
        self.deleted = False
        self.changed = False

    def keep(self) -> None:
        """Make the draft the entity's state."""
        work = self.work
        work.operations.append(self.operation)
        work.observed.extend(self.observed)
        work.taken |= self.taken
        work.last_moment = self.last_moment
        if not self.changed:
            return
        work.changed = True
        created_at = self.living.created_at if self.living and self.operation != "created" else work.at
        work.state = EntityState(
            entity_id=self.command.entity_id,
            types=self.types,
            scope=self.scope,
            attributes=self.attributes,
            created_at=created_at,
            modified_at=work.at,
            deleted_at=work.at if self.deleted else None,
        )

    def run(self) -> Outcome:
        """What the command comes to; raises what is wrong with it."""
        outcome: Outcome
        match self.command:
            case MergeObservations() as command:
                outcome = self._merge(command)
            case UpsertEntity() as command:
                outcome = self._upsert(command)
            case CreateEntity() as command:
                if self.living is not None:
                    raise EntityAlreadyExists(entity_id=command.entity_id)
                outcome = self._create(command.types, command.attributes, command.scope)
            case AppendAttributes() as command:
                outcome = self._append(command)
            case UpdateAttributes() as command:
                outcome = self._update(command)
            case PatchAttribute() as command:
                outcome = self._patch(command)
            case DeleteAttribute() as command:
                outcome = self._delete_attribute(command)
            case DeleteEntity():
                outcome = self._delete_entity()
            case _:
                raise TypeError(self.command)
        return outcome

    def _require(self) -> None:
        if self.living is None:
            raise EntityUnknown(entity_id=self.command.entity_id)

    def _create(
        self, types: tuple[str, ...], attributes: Sequence[AttributeInstance], scope: tuple[str, ...]
    ) -> Outcome:
        if not types:
            raise EntityWithoutType(entity_id=self.command.entity_id)
        check_entity_id(self.command.entity_id)
        for type_iri in types:
            check_name(type_iri)
        self.operation = "created"
        self.types = tuple(dict.fromkeys(types))
        self.scope = scope
        self.changed = True
        for instance in attributes:
            self._write(instance)
        return Outcome(entity_id=self.command.entity_id, created=True, changed=True)

    def _upsert(self, command: UpsertEntity) -> Outcome:
        if self.living is None:
            return self._create(command.types, command.attributes, command.scope or ())
        if not command.replace:
            return self._append(
                AppendAttributes(
                    entity_id=command.entity_id,
                    attributes=command.attributes,
                    types=command.types,
                    scope=command.scope,
                )
            )
        wanted = {(one.name, one.dataset_id) for one in command.attributes}
        for name, instances in list(self.attributes.items()):
            for stored in list(instances):
                if (name, stored.get("datasetId")) not in wanted:
                    self._remove(name, stored)
        self._retype(command.types, replace=True)
        self._rescope(command.scope or ())
        for instance in command.attributes:
            self._write(instance)
        return Outcome(entity_id=command.entity_id, changed=self.changed)

    def _merge(self, command: MergeObservations) -> Outcome:
        if self.living is None:
            if not command.create:
                return Outcome(entity_id=command.entity_id)
            return self._create((command.type_iri,), command.attributes, ())
        for instance in command.attributes:
            if not _outdated(command, instance, self._instance(instance.name, instance.dataset_id)):
                self._write(instance, late=command.late, absent=command.absent)
        return Outcome(entity_id=command.entity_id, changed=self.changed)

    def _append(self, command: AppendAttributes) -> Outcome:
        self._require()
        self._retype(command.types)
        updated: list[str] = []
        refused: list[NotUpdated] = []
        if command.scope is not None:
            kept = () if command.overwrite else self.scope
            self._rescope(tuple(dict.fromkeys((*kept, *command.scope))))
            updated.append(SCOPE)
        for instance in command.attributes:
            if not command.overwrite and self._instance(instance.name, instance.dataset_id) is not None:
                refused.append(NotUpdated(instance.name, "the attribute is there already"))
                continue
            self._write(instance)
            updated.append(instance.name)
        return Outcome(
            entity_id=command.entity_id,
            changed=self.changed,
            updated=tuple(dict.fromkeys(updated)),
            not_updated=tuple(refused),
        )

    def _update(self, command: UpdateAttributes) -> Outcome:
        self._require()
        self._retype(command.types)
        updated: list[str] = []
        refused: list[NotUpdated] = []
        if command.scope is not None:
            if self.scope:
                self._rescope(command.scope)
                updated.append(SCOPE)
            else:
                refused.append(NotUpdated(SCOPE, "the entity has no scope"))
        for instance in command.attributes:
            self._write(instance)
            updated.append(instance.name)
        for name, dataset_id in command.removed:
            stored = self._instance(name, dataset_id)
            if stored is None:
                refused.append(NotUpdated(name, "the entity has no such attribute"))
                continue
            self._remove(name, stored)
            updated.append(name)
        return Outcome(
            entity_id=command.entity_id,
            changed=self.changed,
            updated=tuple(dict.fromkeys(updated)),
            not_updated=tuple(refused),
        )

    def _patch(self, command: PatchAttribute) -> Outcome:
        self._require()
        earlier = self._instance(command.name, command.dataset_id)
        if earlier is None:
            raise AttributeUnknown(entity_id=command.entity_id, attribute=command.name)
        content = {name: value for name, value in earlier.items() if name not in _TIMES}
        if command.kind is not None and command.kind.value != content["type"]:
            raise AttributeKindDiffers(
                attribute=command.name, present=content["type"], given=command.kind.value
            )
        content.update(command.members)
        replaced: dict[str, list[Stored]] = {}
        for sub_attribute in command.sub_attributes:
            replaced.setdefault(sub_attribute.name, []).append(as_stored(sub_attribute))
        content.update(replaced)
        for name in command.removed:
            content.pop(name, None)
        if command.quality is not None:
            content.pop(QUALITY, None)
            if command.quality is not Quality.VALID:
                content[QUALITY] = [{"type": "Property", "value": command.quality.value}]
        self._place(command.name, content, why=None)
        return Outcome(entity_id=command.entity_id, changed=self.changed, updated=(command.name,))

    def _delete_attribute(self, command: DeleteAttribute) -> Outcome:
        self._require()
        if command.name == SCOPE and self.scope:
            self._rescope(())
            return Outcome(entity_id=command.entity_id, changed=True, updated=(SCOPE,))
        gone = [
            stored
            for stored in self.attributes.get(command.name, ())
            if command.every or stored.get("datasetId") == command.dataset_id
        ]
        if not gone:
            raise AttributeUnknown(entity_id=command.entity_id, attribute=command.name)
        for stored in gone:
            self._remove(command.name, stored)
        return Outcome(entity_id=command.entity_id, changed=True, updated=(command.name,))

    def _delete_entity(self) -> Outcome:
        self._require()
        for name, instances in list(self.attributes.items()):
            for stored in list(instances):
                self._remove(name, stored)
        self.operation = "deleted"
        self.deleted = True
        self.changed = True
        return Outcome(entity_id=self.command.entity_id, changed=True)

    def _retype(self, types: tuple[str, ...], *, replace: bool = False) -> None:
        wanted = tuple(dict.fromkeys(types if replace else (*self.types, *types)))
        if wanted and set(wanted) != set(self.types):
            for type_iri in wanted:
                check_name(type_iri)
            self.types = wanted
            self.changed = True

    def _rescope(self, scope: tuple[str, ...]) -> None:
        if scope != self.scope:
            self.scope = scope
            self.changed = True

    def _instance(self, name: str, dataset_id: str | None) -> Stored | None:
        for stored in self.attributes.get(name, ()):
            if stored.get("datasetId") == dataset_id:
                return stored
        return None

    def _write(self, instance: AttributeInstance, *, late: str = "replace", absent: str = "record") -> None:
        self._place(instance.name, as_stored(instance), why=instance.why, late=late, absent=absent)

    def _place(
        self, name: str, content: Stored, *, why: str | None, late: str = "replace", absent: str = "record"
    ) -> None:
        """Put an instance into the present state, or only into the history, or nowhere if it is known."""
        dataset_id = content.get("datasetId")
        present = self._instance(name, dataset_id)
        observed = "observedAt" in content
        check_stored(name, content, self.now)
        if self.command.rules is not None:
            content = self.command.rules.admit(self.types, name, content)
        number = plain_number(name, content)
        document = None if number is not None else storable(name, content)
        same_moment = present is not None and present.get("observedAt") == content.get("observedAt")
        if present is not None and same_moment and same_content(present, content):
            return
        only_over_value = absent == "forget" and value_of(content) is None
        if observed:
            moment, _ = moment_of(content)
            older = False
            if present is not None and "observedAt" in present and late == "history":
                older = moment_of(present)[0] > moment
            if only_over_value and (present is None or value_of(present) is None):
                older = True
        else:
            moment = self._fresh_moment(name, dataset_id)
            older = False
        if not older:
            written_at = self.work.at if observed else moment
            stored = timed(content, present, format_instant(written_at))
            instances = [*self.attributes.get(name, ())]
            if present is None:
                instances.append(stored)
            else:
                instances[next(i for i, one in enumerate(instances) if one is present)] = stored
            self.attributes[name] = instances
            self.changed = True
        self.observed.append(
            Observed(
                key=(name, dataset_id, moment, observed),
                content=content,
                number=number,
                document=document,
                quality=quality_of(content),
                why=why,
                change=AttributeChange(
                    name=name,
                    dataset_id=dataset_id,
                    observed_at=moment if observed else None,
                    created=present is None and not older,
                    late=older,
                ),
                command=self.place,
                only_over_value=only_over_value and older,
                state_changed=not older,
            )
        )

    def _remove(self, name: str, stored: Stored) -> None:
        dataset_id = stored.get("datasetId")
        left = [one for one in self.attributes[name] if one is not stored]
        if left:
            self.attributes[name] = left
        else:
            del self.attributes[name]
        self.changed = True
        moment = self._fresh_moment(name, dataset_id)
        self.observed.append(
            Observed(
                key=(name, dataset_id, moment, False),
                content=None,
                number=None,
                document=storable(name, {"type": stored["type"]}),
                quality=Quality.VALID,
                why=None,
                change=AttributeChange(name=name, dataset_id=dataset_id, deleted=True),
                command=self.place,
            )
        )

    def _fresh_moment(self, name: str, dataset_id: str | None) -> Instant:
        """When an instance without observedAt was written: later ones of one commit a tick later."""
        moment = self.work.at
        while (name, dataset_id, moment) in self.work.taken or (name, dataset_id, moment) in self.taken:
            moment += _TICK
        self.taken.add((name, dataset_id, moment))
        if self.last_moment is None or moment > self.last_moment:
            self.last_moment = moment
        return moment
