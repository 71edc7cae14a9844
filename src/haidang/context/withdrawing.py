"""Taking back what some commits wrote: values return to what they were known to be before (ADR 0064).

A commit of one entity is named by the entity and when it was learned. What it wrote and others have
written over since is theirs and stays. Nothing is erased: what is taken back is superseded like any
other value, with the reason, so that what was known in between can still be asked for.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from haidang.context import store
from haidang.context.errors import WritingIsForMachines
from haidang.context.merging import EntityState
from haidang.context.model import (
    QUALITY,
    VALUE_MEMBERS,
    AttributeInstance,
    Command,
    DeleteEntity,
    MergeObservations,
    Stored,
    UpdateAttributes,
    quality_of,
    value_of,
)
from haidang.context.store import Locked, instance_of_row
from haidang.context.writer import apply_commands
from haidang.infra.database import Connection
from haidang.kernel.actors import Actor, Audience
from haidang.kernel.instants import Instant, format_instant, parse_instant
from haidang.sdk.model import AttributeKind, Quality


@dataclass(frozen=True, slots=True)
class Commit:
    """One commit of one entity, the moments it wrote about, and whether it made the entity."""

    entity_id: str
    learned_at: Instant
    first_moment: Instant
    last_moment: Instant
    created: bool = False


@dataclass(frozen=True, slots=True)
class Withdrawn:
    """What taking back came to: values taken back, values left because others wrote since, entities gone."""

    values: int
    left: int
    entities: int


@dataclass(slots=True)
class _Work:
    """One entity whose commits are taken back."""

    held: Locked
    learned: list[Instant]
    created: bool
    merged: list[AttributeInstance] = field(default_factory=list)
    candidates: dict[tuple[str, str | None], AttributeInstance] = field(default_factory=dict)
    open: dict[tuple[str, str | None], bool] = field(default_factory=dict)
    values: int = 0
    left: int = 0


async def withdraw_commits(
    actor: Actor,
    connection: Connection,
    commits: Sequence[Commit],
    *,
    why: str,
    now: Instant,
    computed: Collection[str] = (),
) -> Withdrawn:
    """Take back what these commits wrote, in the caller's transaction; all those of an entity at once.

    An entity that one of them made, and that then holds nothing but what the platform itself
    `computed` (IRIs), is taken away; its history stays.
    """
    if not actor.belongs_to(Audience.MACHINE):
        raise WritingIsForMachines
    locked = await store.lock_entities(connection, actor.tenant, sorted({one.entity_id for one in commits}))
    works: dict[int, _Work] = {}
    for one in commits:
        held = locked.get(one.entity_id)
        if held is not None:
            work = works.setdefault(held.entity_no, _Work(held, [], created=False))
            work.learned.append(one.learned_at)
            work.created = work.created or one.created
    present = [one for one in commits if one.entity_id in locked]
    async for row in store.written_by_commits(
        connection,
        actor.tenant,
        [
            (locked[one.entity_id].entity_no, one.learned_at, one.first_moment, one.last_moment)
            for one in present
        ],
    ):
        _note(works[row["entity_no"]], row, why)
    await _find_newest(connection, actor.tenant, works, why)
    gone = 0
    commands: list[Command] = []
    for work in works.values():
        made = _commands(work, computed)
        gone += any(isinstance(one, DeleteEntity) for one in made)
        commands += made
    for outcome in await apply_commands(connection, actor, commands, now=now):
        if outcome.error is not None:
            raise outcome.error
    return Withdrawn(sum(one.values for one in works.values()), sum(one.left for one in works.values()), gone)


def _note(work: _Work, row: Mapping[str, Any], why: str) -> None:
    """One value that a commit wrote: take it back if it stands; see whether the present state shows it."""
    key = (row["attribute"], row["dataset"])
    state = work.held.state
    shown = next((one for one in state.attributes.get(key[0], ()) if one.get("datasetId") == key[1]), None)
    if row["deleted"] or state.deleted_at is not None:
        return
    if not row["observed"]:
        if shown is None or parse_instant(shown["modifiedAt"]) != row["observed_at"]:
            work.left += 1
            return
        work.values += 1
        work.open[key] = False
        return
    if not row["standing"]:
        work.left += 1
        return
    work.values += 1
    if row["learned_at"] is not None:
        earlier = instance_of(
            key[0], instance_of_row(row, dataset_id=key[1], observed_at=row["observed_at"]), why=why
        )
        work.merged.append(earlier)
        known = work.candidates.get(key)
        if earlier.value is not None and (known is None or _moment(known) < _moment(earlier)):
            work.candidates[key] = earlier
    else:
        work.merged.append(
            AttributeInstance(
                name=key[0],
                value=None,
                kind=_kind_of(shown),
                observed_at=row["observed_at"],
                quality=Quality.MISSING,
                dataset_id=key[1],
                why=why,
            )
        )
    if shown is not None and shown.get("observedAt") == format_instant(row["observed_at"]):
        work.open[key] = True


def _kind_of(shown: Stored | None) -> AttributeKind:
    return AttributeKind.PROPERTY if shown is None else AttributeKind(shown["type"])


def _moment(instance: AttributeInstance) -> Instant:
    assert instance.observed_at is not None  # noqa: S101 - candidates are observed
    return instance.observed_at


async def _find_newest(connection: Connection, tenant: str, works: Mapping[int, _Work], why: str) -> None:
    """For what the present state shows of the commits: the newest value that others have told."""
    wanted = [
        (entity_no, key, observed) for entity_no, work in works.items() for key, observed in work.open.items()
    ]
    if not wanted:
        return
    async for row in store.newest_of_others(
        connection,
        tenant,
        [(entity_no, key, observed, works[entity_no].learned) for entity_no, key, observed in wanted],
    ):
        entity_no, key, observed = wanted[row["place"] - 1]
        moment = row["observed_at"] if observed else None
        found = instance_of(key[0], instance_of_row(row, dataset_id=key[1], observed_at=moment), why=why)
        known = works[entity_no].candidates.get(key)
        if known is None or not observed or _moment(known) < _moment(found):
            works[entity_no].candidates[key] = found


def _commands(work: _Work, computed: Collection[str]) -> list[Command]:
    state: EntityState = work.held.state
    if not work.values:
        return []
    made: list[Command] = []

    def merge(attributes: Sequence[AttributeInstance], *, replace: bool) -> None:
        if attributes:
            made.append(
                MergeObservations(
                    entity_id=state.entity_id,
                    type_iri=state.types[0],
                    attributes=tuple(attributes),
                    late="replace" if replace else "history",
                    create=False,
                )
            )

    merge(work.merged, replace=False)
    returned = [work.candidates[key] for key in work.open if key in work.candidates]
    nothing = [key for key in work.open if key not in work.candidates]
    held = {(name, one.get("datasetId")) for name, instances in state.attributes.items() for one in instances}
    if work.created and all(key in nothing or key[0] in computed for key in held):
        made.append(DeleteEntity(entity_id=state.entity_id))
        return made
    merge(returned, replace=True)
    if nothing:
        made.append(UpdateAttributes(entity_id=state.entity_id, attributes=(), removed=tuple(nothing)))
    return made


_OWN_MEMBERS = frozenset({"type", "unitCode", "observedAt", "datasetId", "createdAt", "modifiedAt", QUALITY})


def instance_of(name: str, stored: Stored, *, why: str | None = None) -> AttributeInstance:
    """The instance that stands in a document, to be written again."""
    own = {*_OWN_MEMBERS, VALUE_MEMBERS[stored["type"]]}
    below = {key: value for key, value in stored.items() if ":" in key and key not in own}
    return AttributeInstance(
        name=name,
        value=value_of(stored),
        kind=AttributeKind(stored["type"]),
        unit=stored.get("unitCode"),
        observed_at=parse_instant(stored["observedAt"]) if "observedAt" in stored else None,
        quality=quality_of(stored),
        dataset_id=stored.get("datasetId"),
        sub_attributes=tuple(instance_of(key, one) for key, instances in below.items() for one in instances),
        members={key: value for key, value in stored.items() if key not in own and key not in below},
        why=why,
    )
