"""Marks as screens get them: each made once for a change and a language, as bytes that all are sent."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

import orjson

from haidang.context import service as context
from haidang.context.merging import EntityState
from haidang.context.model import Selection
from haidang.infra.database import Connection
from haidang.infra.telemetry import logger
from haidang.kernel.actors import Actor
from haidang.kernel.instants import Instant, format_instant
from haidang.sdk.model import EntityType, EntityView, MapLayer, Mark, Pack
from haidang.web.shared.frame import in_locale
from haidang.web.shared.layers import position_of

MOST_MARKS = 10_000
"""How many marks of a layer a screen is given one by one; a layer with more is drawn from tiles."""

_AT_ONCE = 200  # made between two breaths of the loop
_log = logger("web")


@dataclass(frozen=True, slots=True)
class LiveLayer:
    """A layer of the map with what its marks are made from; `fresh_for` is how long a value holds good."""

    layer: MapLayer
    declared: EntityType
    fresh_for: timedelta | None

    @property
    def layer_id(self) -> str:
        """What it is called in addresses."""
        return self.layer.layer_id


def live_layers(packs: Sequence[Pack]) -> dict[str, LiveLayer]:
    """The layers that have marks, by their ids.

    What a mark says holds for as long as its slowest source may be silent; where no source sends
    (a hospital stands where it stands) it holds for ever.
    """
    found: dict[str, LiveLayer] = {}
    for pack in packs:
        types = {one.name: one for one in pack.entity_types}
        for layer in pack.map_layers:
            if layer.mark is None:
                continue
            rhythms = [
                one.rhythm * one.silent_after for one in pack.sources if one.entity_type == layer.entity_type
            ]
            found.setdefault(
                layer.layer_id, LiveLayer(layer, types[layer.entity_type], max(rhythms, default=None))
            )
    return found


def mark_bytes(live: LiveLayer, view: EntityView, now: Instant, locale: str) -> bytes | None:
    """One mark as JSON; None for an entity that the layer does not show, or that is nowhere."""
    position = position_of(view.values.get("location"))
    mark = _mark_of(live.layer, view, now, locale)
    if position is None or mark is None:
        return None
    observed_at = view.observed_at.get(live.layer.attribute) or max(view.observed_at.values(), default=None)
    stale_after = None if observed_at is None or live.fresh_for is None else observed_at + live.fresh_for
    longitude, latitude = position
    name = str(view.values.get("name") or context.local_name(view.entity_id))
    return orjson.dumps(
        {
            "id": view.entity_id,
            "layer": live.layer_id,
            "name": name,
            "lon": round(longitude, 6),
            "lat": round(latitude, 6),
            "rank": mark.rank,
            "colour": mark.colour,
            "short": mark.short,
            "label": words_beside(name, mark.label),
            "observedAt": None if observed_at is None else format_instant(observed_at),
            "staleAfter": None if stale_after is None else format_instant(stale_after),
            "path": in_locale(mark.path, locale) if mark.path else "",
            "synthetic": view.synthetic,
        }
    )


def words_beside(name: str, label: str) -> str:
    """What a label says besides the name that stands before it; all of it where it does not begin so."""
    head, parted, rest = label.partition(": ")
    if parted and (name == head or name.startswith(f"{head} – ")):
        return rest
    return "" if name == label or name.startswith(f"{label} – ") else label


def _mark_of(layer: MapLayer, view: EntityView, now: Instant, locale: str) -> Mark | None:
    """A pack that stumbles over one entity costs that mark, not the screen."""
    if layer.mark is None:
        return None
    try:
        return layer.mark(view, now, locale)
    except Exception as trouble:  # noqa: BLE001 - whatever a pack stumbles over
        _log.error("mark-broke", layer=layer.layer_id, entity=view.entity_id, exc_info=trouble)
        return None


async def states_of(
    actor: Actor, connection: Connection, entity_ids: Sequence[str]
) -> dict[str, EntityState]:
    """Entities as they are, by their ids, in one query; without those that are gone or not for this actor."""
    if not entity_ids:
        return {}
    selection = Selection(entity_ids=tuple(entity_ids))
    states = await context.query_entities(actor, connection, selection, limit=len(entity_ids))
    return {one.entity_id: one for one in states}


async def marks_of_states(
    live: LiveLayer, states: Iterable[EntityState], now: Instant, locale: str
) -> dict[str, bytes | None]:
    """The mark of each entity of the layer's type; the loop breathes between every few hundred."""
    found: dict[str, bytes | None] = {}
    for state in states:
        if live.declared.iri in state.types:
            found[state.entity_id] = mark_bytes(live, context.view_of(state, live.declared), now, locale)
            if len(found) % _AT_ONCE == 0:
                await asyncio.sleep(0)
    return found


@dataclass(slots=True)
class MarksOfLayer:
    """The marks of one layer for one audience and language: all of them, or of a tiled layer the latest.

    `since` is the position of the log that they were loaded at.
    """

    live: LiveLayer
    marks: dict[str, bytes]
    count: int
    tiled: bool
    since: int

    def put(self, entity_id: str, mark: bytes | None) -> bool:
        """Keep a mark, or its absence; whether that is news to who has seen the one before."""
        before = self.marks.pop(entity_id, None)
        if mark is not None:
            self.marks[entity_id] = mark
            if self.tiled and len(self.marks) > 2 * MOST_MARKS:
                self.marks.pop(next(iter(self.marks)))
        elif not self.tiled:
            return before is not None
        return before != mark or mark is None

    def document(self, label: str) -> bytes:
        """What `marks.json` says of it; nothing but its size where tiles are to be drawn."""
        marks = b"" if self.tiled else b",".join(self.marks.values())
        count = self.count if self.tiled else len(self.marks)
        return (
            (
                b'{"label":%b,"tiled":%b,"count":%d,"marks":['
                % (orjson.dumps(label), _BOOLEAN[self.tiled], count)
            )
            + marks
            + b"]}"
        )


_BOOLEAN: Mapping[bool, bytes] = {False: b"false", True: b"true"}


async def load_marks(
    actor: Actor, connection: Connection, live: LiveLayer, *, now: Instant, locale: str, position: int
) -> MarksOfLayer:
    """Every mark of a layer, or how many entities it has where they are too many."""
    selection = Selection(type_groups=((live.declared.iri,),))
    count = await context.count_entities(actor, connection, selection)
    if count > MOST_MARKS:
        return MarksOfLayer(live, {}, count, tiled=True, since=position)
    states = await context.query_entities(actor, connection, selection, limit=MOST_MARKS)
    made = await marks_of_states(live, states, now, locale)
    marks = {entity_id: mark for entity_id, mark in made.items() if mark is not None}
    return MarksOfLayer(live, marks, len(marks), tiled=False, since=position)
