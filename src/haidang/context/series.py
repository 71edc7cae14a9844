"""Many entities as they are, and what was observed of them through time as whole instances."""

from collections.abc import Sequence
from dataclasses import dataclass

import orjson

from haidang.context import store
from haidang.context.merging import EntityState
from haidang.context.model import Stored
from haidang.infra.database import Connection
from haidang.kernel.actors import Actor, Audience
from haidang.kernel.instants import Instant
from haidang.sdk.model import Quality


@dataclass(frozen=True, slots=True)
class Heard:
    """One instance of an attribute that was observed, as it is known now. A missing value has no member."""

    at: Instant
    quality: Quality
    instance: Stored


async def present_entities(
    actor: Actor, connection: Connection, entity_ids: Sequence[str]
) -> dict[str, EntityState]:
    """The present ones of many entities, by their ids: read by their keys, whatever the planner guesses."""
    found = await store.entities_present(connection, actor.tenant, _audiences(actor), entity_ids)
    return {one.entity_id: one for one in found}


def _audiences(actor: Actor) -> list[str]:
    return sorted({Audience.PUBLIC.value, *(one.value for one in actor.audiences)})


async def instances_observed(  # noqa: PLR0917  # whose, of what, from when to when: in the order one says it
    actor: Actor,
    connection: Connection,
    entity_ids: Sequence[str],
    iris: Sequence[str],
    since: Instant,
    until: Instant,
) -> dict[str, dict[str, list[Heard]]]:
    """Instances of attributes observed in (since, until], of default datasets; of every quality."""
    numbers = await store.numbers_of_entities(connection, actor.tenant, _audiences(actor), entity_ids)
    names = await store.numbers_of_names(connection, actor.tenant, iris)
    found: dict[str, dict[str, list[Heard]]] = {}
    if not numbers or not names:
        return found
    entity_of = {number: entity_id for entity_id, number in numbers.items()}
    iri_of = {number: iri for iri, number in names.items()}
    rows = await store.numbers_observed(
        connection, actor.tenant, list(entity_of), list(iri_of), since=since, upto=until
    )
    for row in rows:
        quality = Quality(row["quality"])
        if row["number"] is not None:
            instance: Stored = {"type": "Property", "value": row["number"]}
        elif row["document"] is not None:
            instance = orjson.loads(row["document"])
        else:
            instance = {"type": "Property"}
        series = found.setdefault(entity_of[row["entity_no"]], {})
        series.setdefault(iri_of[row["attribute_no"]], []).append(
            Heard(row["observed_at"], quality, instance)
        )
    return found
