"""What stands on the situation map: now, as was known at a past moment, or as that moment is known today."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Literal
from urllib.parse import parse_qs, urlencode

from haidang.context import service as context
from haidang.context.merging import EntityState
from haidang.context.model import Selection
from haidang.infra.database import Connection
from haidang.kernel.actors import Actor
from haidang.kernel.errors import Invalid
from haidang.kernel.instants import VIETNAM, Instant
from haidang.kernel.text import collation_key, fold
from haidang.sdk.model import EntityType, EntityView, LevelSign
from haidang.web.shared.layers import position_of
from haidang.web.shared.maps import MapMarker
from haidang.web.shared.marks import MOST_MARKS, LiveLayer, words_beside

LONGEST_AGO = timedelta(hours=48)
"""How far back the map goes."""

MOST_LISTED = 500
"""Things of a layer that the page draws and lists itself; the live map has the others as well."""

ORDER_LABELS = {"level": "gravest first", "name": "by name", "age": "newest first"}
"""Orders of the list: message ids."""


class MomentUnreadable(Invalid):
    """“{text}” is not a moment of the past 48 hours: choose one like 21/11/2026 20:45."""


@dataclass(frozen=True, slots=True)
class AskedScene:
    """What an address asks for: layers (None: the usual ones), a past moment and how it is seen, the list."""

    layers: frozenset[str] | None = None
    at: Instant | None = None
    seen: Literal["known", "corrected"] = "known"
    search: str = ""
    order: str = "level"

    def path(self, path: str = "/ioc", **other: object) -> str:
        """The address that asks for this, or for something other of it."""
        asked = replace(self, **other)  # type: ignore[arg-type]  # names of the fields above
        query: list[tuple[str, str]] = []
        if asked.layers is not None:
            query += [("layers", "some"), *(("layer", one) for one in sorted(asked.layers))]
        if asked.at is not None:
            query += [("at", local_text(asked.at)), ("seen", asked.seen)]
        query += [("q", asked.search)] if asked.search else []
        query += [("order", asked.order)] if asked.order != "level" else []
        return f"{path}?{urlencode(query)}" if query else path


@dataclass(frozen=True, slots=True)
class SeenThing:
    """One thing on the map and in the list, with the words beside its name; `stale`: these no longer hold."""

    marker: MapMarker
    name: str
    words: str
    observed_at: Instant | None
    stale: bool


@dataclass(frozen=True, slots=True)
class SeenLayer:
    """A layer with what stands in it; `count` is of everything, also of what is not listed."""

    layer_id: str
    label: str
    on: bool
    things: Sequence[SeenThing] = ()
    count: int = 0
    levels: Sequence[LevelSign] = ()
    attribution: str = ""
    tiles: str = ""
    """The entity type whose tiles the live map draws, where there are too many for marks."""


def asked_scene(query: bytes, now: Instant) -> AskedScene:
    """What a query asks for; raises MomentUnreadable for a moment that is not in the past 48 hours."""
    found = parse_qs(query.decode("latin-1"))

    def one(name: str) -> str:
        return found.get(name, [""])[0].strip()

    seen: Literal["known", "corrected"] = "corrected" if one("seen") == "corrected" else "known"
    order = one("order")
    return AskedScene(
        layers=frozenset(found.get("layer", ())) if one("layers") else None,
        at=past_moment(one("at"), now) if one("at") else None,
        seen=seen,
        search=one("q")[:200],
        order=order if order in ORDER_LABELS else "level",
    )


def past_moment(text: str, now: Instant) -> Instant:
    """A local moment as a browser's field writes it (2026-11-21T20:45), within the past 48 hours."""
    try:
        local = datetime.strptime(text[:16], "%Y-%m-%dT%H:%M").replace(tzinfo=VIETNAM)
    except ValueError:
        raise MomentUnreadable(text=text[:40]) from None
    if not now - LONGEST_AGO - timedelta(minutes=1) <= local <= now:
        raise MomentUnreadable(text=text[:40])
    return local.astimezone(now.tzinfo)


def local_text(at: Instant) -> str:
    """A moment as a browser's field for a local moment has it."""
    return at.astimezone(VIETNAM).strftime("%Y-%m-%dT%H:%M")


async def seen_layer(
    actor: Actor,
    connection: Connection,
    live: LiveLayer,
    asked: AskedScene,
    *,
    label: str,
    on: bool,
    now: Instant,
    locale: str,
) -> SeenLayer:
    """A layer at the asked moment, in the asked order; one that is off keeps only its name."""
    levels = live.layer.levels(locale) if live.layer.levels is not None else ()
    if not on:
        return SeenLayer(live.layer_id, label, on=False)
    views = await _views(actor, connection, live.declared, asked, now=now)
    things = [
        thing
        for view in views
        if (thing := seen_thing(live, view, now=asked.at or now, locale=locale)) is not None
    ]
    count = len(things)
    if len(views) == MOST_LISTED and asked.at is None:
        selection = Selection(type_groups=((live.declared.iri,),))
        count = await context.count_entities(actor, connection, selection)
    return SeenLayer(
        live.layer_id,
        label,
        on=True,
        things=in_order(things, asked),
        count=count,
        levels=levels,
        attribution=live.layer.attribution,
        tiles=live.declared.name if count > MOST_MARKS else "",
    )


def seen_thing(live: LiveLayer, view: EntityView, *, now: Instant, locale: str) -> SeenThing | None:
    """An entity as the layer shows it at a moment; None for one it does not show, or that is nowhere."""
    position = position_of(view.values.get("location"))
    mark = live.layer.mark(view, now, locale) if live.layer.mark is not None else None
    if position is None or mark is None:
        return None
    observed_at = view.observed_at.get(live.layer.attribute) or max(view.observed_at.values(), default=None)
    stale = observed_at is not None and live.fresh_for is not None and observed_at + live.fresh_for < now
    marker = MapMarker(
        *position,
        mark.short,
        "" if stale else mark.colour,
        0 if stale else mark.rank,
        words=mark.label,
        key=view.entity_id,
        synthetic=view.synthetic,
        stale=stale,
    )
    name = str(view.values.get("name") or context.local_name(view.entity_id))
    return SeenThing(marker, name, words_beside(name, mark.label), observed_at, stale)


def in_order(things: Sequence[SeenThing], asked: AskedScene) -> list[SeenThing]:
    """Those that match the search (with or without diacritics), in the asked order."""
    wanted = fold(asked.search)
    found = sorted(
        (one for one in things if wanted in fold(f"{one.name} {one.marker.words}")),
        key=lambda one: (collation_key(one.name), one.marker.key),
    )
    if asked.order == "age":
        found.sort(key=lambda one: one.observed_at.timestamp() if one.observed_at else 0.0, reverse=True)
    elif asked.order == "level":
        found.sort(key=lambda one: one.marker.rank, reverse=True)
    return found


async def _views(
    actor: Actor, connection: Connection, declared: EntityType, asked: AskedScene, *, now: Instant
) -> list[EntityView]:
    if asked.at is None:
        return await context.latest_entities(actor, connection, declared, MOST_LISTED)
    selection = Selection(type_groups=((declared.iri,),))
    states = await states_at(actor, connection, selection, declared, asked, now=now)
    return [context.view_of(one, declared) for one in states]


async def states_at(
    actor: Actor,
    connection: Connection,
    selection: Selection,
    declared: EntityType,
    asked: AskedScene,
    *,
    now: Instant,
) -> list[EntityState]:
    """Entities at the asked moment: as the platform knew them then, or as it knows of that moment today."""
    if asked.at is None or asked.seen == "known":
        return await context.query_entities(
            actor, connection, selection, limit=MOST_LISTED, known_at=asked.at
        )
    frame = context.TimeFrame(upto=asked.at + timedelta(microseconds=1), last_n=1)
    found = await context.query_temporal(actor, connection, selection, frame, limit=MOST_LISTED, now=now)
    return [_state_then(one, declared) for one in found]


def _state_then(evolution: context.Evolution, declared: EntityType) -> EntityState:
    """What held at the end of a time; what lasts (a name, a place) is today's where it is missing."""
    then = {
        iri: [one.instance for one in moments if not one.deleted]
        for iri, moments in evolution.instances.items()
    }
    for attribute in declared.attributes:
        present = evolution.state.attributes.get(attribute.iri)
        if present and (attribute.lasting or attribute.name == "location") and not then.get(attribute.iri):
            then[attribute.iri] = list(present)
    return replace(evolution.state, attributes=then)
