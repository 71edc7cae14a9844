"""GeoJSON geometries in WGS 84: whether one is well formed, and its bounding box.

Only structure is judged here (RFC 7946; NGSI-LD leaves out GeometryCollection). What lies inside
what is for those who have the shapes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import inf
from typing import Any, TypeAlias

from haidang.kernel.errors import Invalid

Position: TypeAlias = tuple[float, float]
"""Longitude and latitude in degrees."""

_DEPTHS: Mapping[str, int] = {
    "Point": 0,
    "MultiPoint": 1,
    "LineString": 1,
    "MultiLineString": 2,
    "Polygon": 2,
    "MultiPolygon": 3,
}


class GeometryMalformed(Invalid):
    """The geometry is not a GeoJSON object with a type and coordinates."""


class GeometryTypeUnknown(GeometryMalformed):
    """{type} is not a geometry type that can be stored here."""


class CoordinatesMalformed(GeometryMalformed):
    """The coordinates at {path} are not a list of the depth that a {type} needs."""


class PositionMalformed(GeometryMalformed):
    """The position at {path} is not a longitude and a latitude in degrees."""


class PositionOutsideEarth(GeometryMalformed):
    """The position at {path} ({longitude}, {latitude}) is not on Earth; the longitude comes first."""


class LineTooShort(GeometryMalformed):
    """The line at {path} has fewer than two positions."""


class RingTooShort(GeometryMalformed):
    """The ring at {path} has fewer than four positions."""


class RingOpen(GeometryMalformed):
    """The ring at {path} does not end where it begins."""


@dataclass(frozen=True, slots=True)
class Box:
    """The smallest rectangle of longitudes and latitudes around something, in degrees."""

    west: float
    south: float
    east: float
    north: float

    def contains(self, longitude: float, latitude: float) -> bool:
        """Whether a position lies in the box or on its edge."""
        return self.west <= longitude <= self.east and self.south <= latitude <= self.north

    def meets(self, other: "Box") -> bool:
        """Whether two boxes share a point."""
        return (
            self.west <= other.east
            and other.west <= self.east
            and self.south <= other.north
            and other.south <= self.north
        )


def check_geometry(geometry: Any) -> None:
    """Refuse what is not a well-formed GeoJSON geometry on Earth, and say where it is wrong."""
    box_of(geometry)


def box_of(geometry: Any) -> Box:
    """The bounding box of a geometry, which is checked on the way.

    A geometry across the 180th meridian is to be cut there (RFC 7946, 3.1.9); none is here.
    """
    if not isinstance(geometry, Mapping):
        raise GeometryMalformed
    kind = geometry.get("type")
    if not isinstance(kind, str) or "coordinates" not in geometry:
        raise GeometryMalformed
    if kind not in _DEPTHS:
        raise GeometryTypeUnknown(type=kind)
    coordinates = geometry["coordinates"]
    if kind == "Point":
        longitude, latitude = _position(coordinates, "coordinates")
        return Box(longitude, latitude, longitude, latitude)
    return _box(coordinates, kind, _DEPTHS[kind], "coordinates")


def _box(coordinates: Any, kind: str, depth: int, path: str) -> Box:
    """The box of lists of positions, `depth` deep; raises at the first thing that is wrong."""
    if not isinstance(coordinates, Sequence) or isinstance(coordinates, str) or not coordinates:
        raise CoordinatesMalformed(path=path, type=kind)
    if depth == 1:
        return _box_of_line(coordinates, kind, path)
    boxes = [_box(part, kind, depth - 1, f"{path}[{place}]") for place, part in enumerate(coordinates)]
    return Box(
        min(box.west for box in boxes),
        min(box.south for box in boxes),
        max(box.east for box in boxes),
        max(box.north for box in boxes),
    )


def _box_of_line(line: Sequence[Any], kind: str, path: str) -> Box:
    """The box of one list of positions: points, a line, or a ring."""
    if kind.endswith("LineString") and len(line) < 2:
        raise LineTooShort(path=path)
    if kind.endswith("Polygon"):
        if len(line) < 4:
            raise RingTooShort(path=path)
        if line[0] != line[-1]:
            raise RingOpen(path=path)
    positions = [_position(part, path, place) for place, part in enumerate(line)]
    longitudes = [longitude for longitude, _ in positions]
    latitudes = [latitude for _, latitude in positions]
    return Box(min(longitudes), min(latitudes), max(longitudes), max(latitudes))


_NUMBERS = frozenset({float, int})


def _position(coordinates: Any, path: str, place: int | None = None) -> Position:
    """A position that was checked; its place in `path` is only spelt out when it is wrong."""
    if type(coordinates) not in (list, tuple) or len(coordinates) not in (2, 3):
        raise PositionMalformed(path=_at(path, place))
    longitude, latitude = coordinates[0], coordinates[1]
    if type(longitude) not in _NUMBERS or type(latitude) not in _NUMBERS:
        raise PositionMalformed(path=_at(path, place))
    if not (-180 <= longitude <= 180 and -90 <= latitude <= 90):
        if not (abs(longitude) < inf and abs(latitude) < inf):
            raise PositionMalformed(path=_at(path, place))
        raise PositionOutsideEarth(path=_at(path, place), longitude=longitude, latitude=latitude)
    if len(coordinates) == 3 and not (type(coordinates[2]) in _NUMBERS and abs(coordinates[2]) < inf):
        raise PositionMalformed(path=_at(path, place))
    return longitude, latitude


def _at(path: str, place: int | None) -> str:
    return path if place is None else f"{path}[{place}]"
