"""Makes entities of the files of facts that packs ship, once a release (ADR 0053)."""

from asyncio import to_thread
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from haidang.context import store
from haidang.context.errors import FactsRefused
from haidang.context.model import AttributeInstance, Command, DeleteEntity, UpsertEntity
from haidang.context.writer import apply_commands
from haidang.infra.database import Connection
from haidang.kernel.actors import Actor
from haidang.kernel.instants import Instant
from haidang.sdk.facts import FactEntity, FactsFile, read_facts
from haidang.sdk.loading import pack_folder
from haidang.sdk.model import EntityType, Facts, Pack


@dataclass(frozen=True, slots=True)
class FactsLoaded:
    """What loading a set of facts came to."""

    facts_id: str
    written: int
    removed: int


async def load_facts(
    actor: Actor, connection: Connection, packs: Sequence[Pack], *, now: Instant
) -> list[FactsLoaded]:
    """Load every set of facts whose file is another than the one loaded last, in the caller's transaction.

    What the province has said of an entity meanwhile under other attributes stays; a set that was
    loaded is not looked at again, so that an entity the province has deleted stays deleted.
    """
    found = []
    for pack in packs:
        for facts in pack.facts:
            loaded = await load_facts_file(
                actor, connection, pack, facts, pack_folder(pack.pack_id) / facts.file, now=now
            )
            if loaded is not None:
                found.append(loaded)
    return found


async def load_facts_file(
    actor: Actor, connection: Connection, pack: Pack, facts: Facts, path: Path, *, now: Instant
) -> FactsLoaded | None:
    """Load one set from its file, or None when this release is loaded; raises FactsRefused."""
    content = await to_thread(path.read_bytes)
    checksum = sha256(content).hexdigest()
    facts_id = f"{pack.pack_id}.{facts.facts_id}"
    held = await store.hold_facts(connection, actor.tenant, facts_id, now=now)
    if held.checksum == checksum:
        return None
    declared = next(one for one in pack.entity_types if one.name == facts.entity_type)
    read = read_facts(facts_id, content)
    ids = [one.id for one in read.entities]
    gone = sorted(set(held.entity_ids) - set(ids))
    commands: list[Command] = [_upsert(declared, read, one) for one in read.entities]
    outcomes = await apply_commands(connection, actor, commands, now=now)
    for outcome in outcomes:
        if outcome.error is not None:
            raise FactsRefused(facts_id=facts_id, entity_id=outcome.entity_id, reason=str(outcome.error))
    deleted = await apply_commands(connection, actor, [DeleteEntity(entity_id=one) for one in gone], now=now)
    await store.keep_facts(connection, actor.tenant, facts_id, checksum, ids, now=now)
    removed = sum(outcome.error is None for outcome in deleted)  # one that is gone already is no trouble
    return FactsLoaded(facts_id, len(ids), removed)


def _upsert(declared: EntityType, read: FactsFile, entity: FactEntity) -> UpsertEntity:
    attributes = []
    for name, value in {**read.shared, **entity.values}.items():
        attribute = declared.attribute(name)
        if attribute is None:
            raise FactsRefused(facts_id=declared.name, entity_id=entity.id, reason=f"{name} is not declared")
        attributes.append(AttributeInstance(attribute.iri, value, kind=attribute.kind, unit=attribute.unit))
    return UpsertEntity(
        entity_id=entity.id, types=(declared.iri,), attributes=tuple(attributes), replace=False
    )
