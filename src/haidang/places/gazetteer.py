"""Streets, waters and places by name, from the base map in use: the search box finds them, without marks."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from uuid import UUID

import numpy as np
import shapely

from haidang.infra.database import Connection
from haidang.infra.queries import load_queries
from haidang.kernel.actors import Actor
from haidang.kernel.geometry import Position
from haidang.kernel.text import fold
from haidang.kernel.tiles import Shapes
from haidang.places.basemap.features import MapFeatures
from haidang.places.service import units_at

_queries = load_queries(Path(__file__).parent / "sql" / "gazetteer.sql")

_WEIGHTS = {"city": 0, "town": 1, "village": 2, "quarter": 2}
_PLACE_WEIGHT, _STREET_WEIGHT, _WATER_WEIGHT = 3, 4, 5
_NAMED_LAYERS = frozenset({"street", "water", "place"})
_NEAR_DEGREES = 0.02
"""Pieces of one name with gaps no wider than this are one street or river: about 2 km."""
_LIKE = re.compile(r"([\\%_])")


@dataclass(frozen=True, slots=True)
class NamedPlace:
    """A street, a water or a place that the base map names, and where to look.

    `layer` is `street`, `water` or `place`; `kind` is the map's finer word (docs/reference/tiles.md).
    """

    name: str
    name_en: str | None
    layer: str
    kind: str
    longitude: float
    latitude: float


@dataclass(frozen=True, slots=True)
class PlaceFound:
    """A named place with the ward it lies in on the day of the question, if we hold that ward's outline."""

    place: NamedPlace
    unit_id: str | None


async def find_named_places(
    actor: Actor,
    connection: Connection,
    words: str,
    *,
    on: date,
    most: int = 10,
    near: Position | None = None,
) -> list[PlaceFound]:
    """Names with a word that begins like `words`, folded; those near a position first. None without a map.

    The ward is looked up each time: a change of units moves streets to other wards, and no map is built anew.
    """
    folded = fold(words)
    if not folded:
        return []
    longitude, latitude = near or (None, None)
    rows = _queries.named_places_beginning(
        connection,
        tenant=actor.tenant,
        pattern=_LIKE.sub(r"\\\1", folded) + "%",
        longitude=longitude,
        latitude=latitude,
        most=max(1, min(most, 50)),
    )
    places = [NamedPlace(**dict(row)) async for row in rows]
    if not places:
        return []
    longitudes = np.array([one.longitude for one in places], dtype=np.float64)
    latitudes = np.array([one.latitude for one in places], dtype=np.float64)
    wards = await units_at(actor, connection, longitudes, latitudes, on)
    return [PlaceFound(place, ward) for place, ward in zip(places, wards, strict=True)]


def named_places_of(features: MapFeatures) -> list[NamedPlace]:
    """Each name once, though its street or river came in many pieces; in the middle of its largest piece.

    Pieces of one name are one street or river where they are near: two towns may each have a Trần Hưng Đạo.
    """
    groups: dict[tuple[str, str], list[int]] = {}
    for number, name in enumerate(features.names):
        if name and features.layers[number] in _NAMED_LAYERS:
            groups.setdefault((features.layers[number], fold(name)), []).append(number)
    chosen = sorted(
        number for pieces in groups.values() for number in _largest_of_each(features.shapes, pieces)
    )
    at = _middles(features.shapes[chosen]) if chosen else []
    return [
        NamedPlace(
            name=features.names[number] or "",
            name_en=features.names_en[number],
            layer=features.layers[number],
            kind=features.kinds[number],
            longitude=longitude,
            latitude=latitude,
        )
        for number, (longitude, latitude) in zip(chosen, at, strict=True)
    ]


def _largest_of_each(shapes: Shapes, pieces: list[int]) -> list[int]:
    """The largest of each cluster of pieces that lie near to one another."""
    if len(pieces) == 1:
        return pieces
    found = shapes[pieces]
    left, right = shapely.STRtree(found).query(found, predicate="dwithin", distance=_NEAR_DEGREES)
    cluster = list(range(len(pieces)))

    def root(place: int) -> int:
        while cluster[place] != place:
            cluster[place] = cluster[cluster[place]]
            place = cluster[place]
        return place

    for one, other in zip(left.tolist(), right.tolist(), strict=True):
        cluster[root(one)] = root(other)
    sizes = shapely.length(found).tolist()
    largest: dict[int, int] = {}
    for place in range(len(pieces)):
        kept = largest.setdefault(root(place), place)
        if sizes[place] > sizes[kept]:
            largest[root(place)] = place
    return [pieces[place] for place in largest.values()]


def _middles(shapes: Shapes) -> list[tuple[float, float]]:
    """Half way along a line, otherwise a point within."""
    points = shapely.point_on_surface(shapes)
    lines = shapely.get_type_id(shapes) == 1
    points[lines] = shapely.line_interpolate_point(shapes[lines], 0.5, normalized=True)
    return [(float(x), float(y)) for x, y in shapely.get_coordinates(points)]


async def keep_named_places(
    actor: Actor,
    connection: Connection,
    base_map_id: UUID,
    places: Sequence[NamedPlace],
) -> None:
    """Write down what a new map names."""
    numbers = list(range(len(places)))
    await _queries.insert_named_places(
        connection,
        tenant=actor.tenant,
        base_map_id=base_map_id,
        place_nos=numbers,
        names=[one.name for one in places],
        names_en=[one.name_en for one in places],
        layers=[one.layer for one in places],
        kinds=[one.kind for one in places],
        weights=[weight_of(one) for one in places],
        longitudes=[one.longitude for one in places],
        latitudes=[one.latitude for one in places],
    )
    starts = [
        (start, word, number)
        for number, one in zip(numbers, places, strict=True)
        for name in (one.name, one.name_en)
        if name
        for word, start in enumerate(starts_of(name))
    ]
    await _queries.insert_starts(
        connection,
        tenant=actor.tenant,
        base_map_id=base_map_id,
        starts=[start for start, _, _ in starts],
        words=[word for _, word, _ in starts],
        place_nos=[number for _, _, number in starts],
    )


def starts_of(name: str) -> list[str]:
    """A folded name from each of its words on: "nguyen hue", "hue"."""
    words = fold(name).split()
    return [" ".join(words[place:]) for place in range(len(words))]


def weight_of(place: NamedPlace) -> int:
    """Which names come first: towns, villages, other places, streets, waters."""
    if place.layer == "place":
        return _WEIGHTS.get(place.kind, _PLACE_WEIGHT)
    return _STREET_WEIGHT if place.layer == "street" else _WATER_WEIGHT
