"""What a base map shows: five layers, their kinds, from which zoom on, and whose words are taken over.

The schema is ours, whatever the file was. Boundaries, countries, provinces, seas and claims are never
taken from a file: the official units draw those (docs/explanation of the look; ADR 0047).
"""

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from haidang.kernel.text import fold, nfc
from haidang.kernel.tiles import Shapes

LEAST_ZOOM, MOST_ZOOM = 5, 14
"""The zooms an archive holds; maps enlarge the last one."""
LONGEST_NAME = 120


class MapLayer(StrEnum):
    """The layers of a base map, in the order in which they are drawn."""

    LANDUSE = "landuse"
    WATER = "water"
    BUILDING = "building"
    STREET = "street"
    PLACE = "place"


@dataclass(frozen=True, slots=True)
class Shown:
    """How a feature is shown: its layer, its kind there, and the first zoom at which it is."""

    layer: MapLayer
    kind: str
    from_zoom: int


@dataclass(slots=True)
class MapFeatures:
    """Features of a base map, column by column; shapes in degrees, of WGS 84."""

    shapes: Shapes
    layers: list[str]
    kinds: list[str]
    names: list[str | None]
    names_en: list[str | None]
    from_zooms: list[int]


_STREETS: Mapping[str, tuple[str, int]] = {
    "motorway": ("motorway", 5),
    "trunk": ("trunk", 6),
    "primary": ("primary", 7),
    "secondary": ("secondary", 9),
    "tertiary": ("tertiary", 10),
    "unclassified": ("local", 12),
    "residential": ("local", 12),
    "living_street": ("local", 12),
    "road": ("local", 12),
    "service": ("service", 13),
    "track": ("service", 13),
    "pedestrian": ("path", 13),
    "footway": ("path", 14),
    "cycleway": ("path", 14),
    "path": ("path", 14),
    "steps": ("path", 14),
    # What other schemas call them.
    "highway": ("trunk", 6),
    "major_road": ("primary", 7),
    "medium_road": ("secondary", 9),
    "minor": ("local", 12),
    "minor_road": ("local", 12),
    "local": ("local", 12),
    "rail": ("rail", 9),
}
_WATERWAYS: Mapping[str, tuple[str, int]] = {
    "river": ("river", 8),
    "canal": ("canal", 10),
    "stream": ("stream", 12),
    "drain": ("drain", 13),
    "ditch": ("drain", 13),
}
_LANDUSE: Mapping[str, tuple[str, int]] = {
    "forest": ("wood", 8),
    "wood": ("wood", 8),
    "scrub": ("wood", 10),
    "grass": ("grass", 11),
    "grassland": ("grass", 11),
    "meadow": ("grass", 11),
    "park": ("park", 10),
    "garden": ("park", 12),
    "golf_course": ("park", 12),
    "pitch": ("pitch", 13),
    "stadium": ("pitch", 13),
    "farmland": ("farm", 10),
    "orchard": ("farm", 10),
    "plant_nursery": ("farm", 12),
    "residential": ("residential", 9),
    "commercial": ("commercial", 11),
    "retail": ("commercial", 11),
    "industrial": ("industrial", 10),
    "cemetery": ("cemetery", 12),
    "beach": ("sand", 10),
    "sand": ("sand", 10),
    "wetland": ("wetland", 10),
    "salt_pond": ("wetland", 11),
    "aerodrome": ("airport", 9),
    "school": ("school", 13),
    "university": ("school", 12),
    "hospital": ("hospital", 12),
}
_PLACES: Mapping[str, tuple[str, int]] = {
    "city": ("city", 5),
    "town": ("town", 7),
    "suburb": ("quarter", 11),
    "quarter": ("quarter", 12),
    "neighbourhood": ("quarter", 13),
    "village": ("village", 11),
    "hamlet": ("village", 12),
    "isolated_dwelling": ("village", 13),
    "island": ("island", 9),
    "islet": ("island", 12),
    "locality": ("locality", 13),
    "square": ("square", 14),
    "peak": ("peak", 11),
    "beach": ("beach", 12),
    "station": ("station", 12),
    "bus_station": ("station", 13),
    "aerodrome": ("airport", 9),
    "hospital": ("hospital", 13),
    "clinic": ("hospital", 14),
    "school": ("school", 14),
    "university": ("school", 13),
    "college": ("school", 14),
    "kindergarten": ("school", 14),
    "marketplace": ("market", 13),
    "townhall": ("office", 13),
    "police": ("police", 14),
    "fire_station": ("fire-station", 14),
    "post_office": ("post-office", 14),
    "library": ("library", 14),
    "place_of_worship": ("worship", 14),
    "museum": ("sight", 13),
    "attraction": ("sight", 13),
    "viewpoint": ("sight", 14),
    "monument": ("sight", 14),
    "memorial": ("sight", 14),
    "ruins": ("sight", 14),
}
_WATER_AREAS = frozenset(
    {"water", "riverbank", "reservoir", "basin", "dock", "aquaculture", "lake", "river", "pond"}
)
_NOT_OURS_TO_TAKE = frozenset(
    {"boundary", "admin_level", "border_type", "disputed", "claimed_by", "military"}
)
"""Tags of lines and areas that only the law draws, or that no public map shows."""
_NOT_A_BUILDING = frozenset({"no", "ruins", "collapsed"})


def shown_by_tags(tags: Mapping[str, str], dimension: int) -> Shown | None:  # noqa: PLR0911 - one way out a layer
    """How a feature with OpenStreetMap's tags is shown, if it is. Dimension: 0 point, 1 line, 2 area."""
    if any(tag in tags for tag in _NOT_OURS_TO_TAKE) or "military" in tags.values():
        return None
    if dimension == 1:
        if "highway" in tags:
            return _of(MapLayer.STREET, _STREETS, tags["highway"])
        if tags.get("railway") in {"rail", "light_rail", "subway"}:
            return Shown(MapLayer.STREET, "rail", 9)
        return _of(MapLayer.WATER, _WATERWAYS, tags.get("waterway", ""))
    if dimension == 2:
        if tags.get("building", "no") not in _NOT_A_BUILDING:
            return Shown(MapLayer.BUILDING, "building", 14)
        if {tags.get("natural"), tags.get("waterway"), tags.get("landuse")} & _WATER_AREAS:
            return Shown(MapLayer.WATER, "water", 5)
        for key in ("landuse", "leisure", "natural", "aeroway", "amenity"):
            found = _of(MapLayer.LANDUSE, _LANDUSE, tags.get(key, ""))
            if found is not None:
                return found
        return None
    return place_by_tags(tags)


def place_by_tags(tags: Mapping[str, str]) -> Shown | None:
    """The place a feature is, for its name: only what has one can be found."""
    if any(tag in tags for tag in _NOT_OURS_TO_TAKE) or not (tags.get("name") or tags.get("name:vi")):
        return None
    for key in ("place", "amenity", "tourism", "historic", "natural", "railway", "aeroway"):
        found = _of(MapLayer.PLACE, _PLACES, tags.get(key, ""))
        if found is not None:
            return found
    return None


def _of(layer: MapLayer, kinds: Mapping[str, tuple[str, int]], value: str) -> Shown | None:
    found = kinds.get(value.removesuffix("_link"))
    return None if found is None else Shown(layer, *found)


def _of_ours(layer: MapLayer, kind: str) -> Shown | None:
    """A kind in our own words: the file is a base map of ours, of another house."""
    from_zooms = [zoom for ours, zoom in _KINDS[layer].values() if ours == kind]
    return Shown(layer, kind, min(from_zooms)) if from_zooms else None


_LAYER_WORDS: tuple[tuple[MapLayer | None, tuple[str, ...]], ...] = (
    (None, ("ranh gioi", "dia gioi", "bien gioi", "boundary", "boundaries", "border", "admin", "hanh chinh")),
    (
        MapLayer.STREET,
        ("giao thong", "duong", "street", "road", "highway", "transportation", "railway", "tim duong"),
    ),
    (MapLayer.WATER, ("thuy he", "mat nuoc", "song", "ho", "kenh", "water", "waterway", "river", "lake")),
    (MapLayer.BUILDING, ("nha", "cong trinh", "building", "buildings")),
    (
        MapLayer.LANDUSE,
        ("su dung dat", "lop phu", "cay xanh", "landuse", "landcover", "park", "natural", "forest"),
    ),
    (MapLayer.PLACE, ("dia danh", "diem", "place", "places", "poi", "pois", "dan cu")),
)
_DEFAULTS: Mapping[MapLayer, Shown] = {
    MapLayer.STREET: Shown(MapLayer.STREET, "local", 12),
    MapLayer.WATER: Shown(MapLayer.WATER, "water", 8),
    MapLayer.BUILDING: Shown(MapLayer.BUILDING, "building", 14),
    MapLayer.LANDUSE: Shown(MapLayer.LANDUSE, "other", 11),
    MapLayer.PLACE: Shown(MapLayer.PLACE, "locality", 13),
}
_DIMENSIONS: Mapping[MapLayer, tuple[int, ...]] = {
    MapLayer.STREET: (1,),
    MapLayer.WATER: (1, 2),
    MapLayer.BUILDING: (2,),
    MapLayer.LANDUSE: (2,),
    MapLayer.PLACE: (0,),
}
_KINDS: Mapping[MapLayer, Mapping[str, tuple[str, int]]] = {
    MapLayer.STREET: _STREETS,
    MapLayer.WATER: _WATERWAYS,
    MapLayer.BUILDING: {},
    MapLayer.LANDUSE: _LANDUSE,
    MapLayer.PLACE: _PLACES,
}


def layer_by_name(name: str) -> MapLayer | None:
    """Which of our layers a file's layer is, by its name; None when that says nothing, or a boundary."""
    words = f" {fold(name)} "
    for layer, known in _LAYER_WORDS:
        if any(f" {word} " in words for word in known):
            return layer
    return None


def shown_by_layer(layer: MapLayer, kind: str, dimension: int) -> Shown | None:
    """How a feature of a layer is shown, by the kind the file gives it if we know that word."""
    if dimension not in _DIMENSIONS[layer]:
        return None
    known = _of(layer, _KINDS[layer], fold(kind).replace(" ", "_")) or _of_ours(layer, kind)
    return known or _DEFAULTS[layer]


_TAG = re.compile(r'"((?:[^"\\]|\\.)*)"=>"((?:[^"\\]|\\.)*)"')
_ESCAPED = re.compile(r"\\(.)")


def read_other_tags(text: str) -> dict[str, str]:
    """The tags that GDAL puts into one field, in the form of PostgreSQL's hstore."""
    return {_ESCAPED.sub(r"\1", key): _ESCAPED.sub(r"\1", value) for key, value in _TAG.findall(text)}


def usable_name(text: object) -> str | None:
    """A name as it may be shown: composed, on one line, in Latin letters; None when it is none.

    A name in another script is left out: nobody here could read it, and it may be a claim.
    """
    if not isinstance(text, str):
        return None
    plain = "".join(" " if unicodedata.category(sign)[0] in "CZ" else sign for sign in nfc(text))
    name = " ".join(plain.split())
    letters = [sign for sign in name if sign.isalpha()]
    if not name or len(name) > LONGEST_NAME or not (letters or name.isdecimal()):
        return None
    if any("LATIN" not in unicodedata.name(sign, "") for sign in letters):
        return None
    return name
