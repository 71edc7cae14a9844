"""GeoJSON geometries in WGS 84: whether one is well formed, and its bounding box.

Only structure is judged here (RFC 7946; NGSI-LD leaves out GeometryCollection). What lies inside
what is for those who have the shapes.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
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
    for _ in _positions(geometry):
        pass


def box_of(geometry: Any) -> Box:
    """The bounding box of a geometry, which is checked on the way.

    A geometry across the 180th meridian is to be cut there (RFC 7946, 3.1.9); none is here.
    """
    positions = list(_positions(geometry))
    longitudes = [longitude for longitude, _ in positions]
    latitudes = [latitude for _, latitude in positions]
    return Box(min(longitudes), min(latitudes), max(longitudes), max(latitudes))


def _positions(geometry: Any) -> Iterator[Position]:
    """Every position of a geometry; raises at the first thing that is wrong."""
    if not isinstance(geometry, Mapping):
        raise GeometryMalformed
    kind = geometry.get("type")
    if not isinstance(kind, str) or "coordinates" not in geometry:
        raise GeometryMalformed
    if kind not in _DEPTHS:
        raise GeometryTypeUnknown(type=kind)
    yield from _walk(geometry["coordinates"], kind, _DEPTHS[kind], "coordinates")


def _walk(coordinates: Any, kind: str, depth: int, path: str) -> Iterator[Position]:
    if depth == 0:
        yield _position(coordinates, path)
        return
    if not isinstance(coordinates, Sequence) or isinstance(coordinates, str) or not coordinates:
        raise CoordinatesMalformed(path=path, type=kind)
    if depth == 1 and kind.endswith("LineString") and len(coordinates) < 2:
        raise LineTooShort(path=path)
    if depth == 1 and kind.endswith("Polygon"):
        if len(coordinates) < 4:
            raise RingTooShort(path=path)
        if coordinates[0] != coordinates[-1]:
            raise RingOpen(path=path)
    for place, part in enumerate(coordinates):
        yield from _walk(part, kind, depth - 1, f"{path}[{place}]")


def _position(coordinates: Any, path: str) -> Position:
    if (
        not isinstance(coordinates, Sequence)
        or isinstance(coordinates, str)
        or len(coordinates) not in (2, 3)
        or not all(_is_number(one) for one in coordinates)
    ):
        raise PositionMalformed(path=path)
    longitude, latitude = coordinates[0], coordinates[1]
    if not (-180 <= longitude <= 180 and -90 <= latitude <= 90):
        raise PositionOutsideEarth(path=path, longitude=longitude, latitude=latitude)
    return longitude, latitude


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and isfinite(value)
