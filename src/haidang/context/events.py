"""What the context tells the others: entities changed. One event for each commit and actor."""

from typing import ClassVar, Literal

import msgspec

from haidang.kernel.events import Event
from haidang.kernel.instants import Instant


class AttributeChange(msgspec.Struct, frozen=True, omit_defaults=True):
    """One instance of an attribute that was written or removed.

    `name` is its IRI; `observed_at` is its own observedAt, if it has one; `created` when the entity
    had no such instance before; `late` when it changed the history only and not the present state.
    """

    name: str
    dataset_id: str | None = None
    observed_at: Instant | None = None
    deleted: bool = False
    created: bool = False
    late: bool = False


class EntityChange(msgspec.Struct, frozen=True, omit_defaults=True):
    """What happened to one entity; `types` are IRIs, `origin` the derivation or source that did it."""

    entity_id: str
    types: tuple[str, ...]
    operation: Literal["created", "updated", "deleted"]
    attributes: tuple[AttributeChange, ...] = ()
    origin: str | None = None


class EntitiesChanged(Event, frozen=True, kw_only=True):
    """Entities were created, changed or deleted in one commit; `learned_at` is its moment."""

    kind: ClassVar[str] = "context.entities-changed"

    learned_at: Instant
    changes: tuple[EntityChange, ...]
