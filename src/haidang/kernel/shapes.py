"""Shapes of places: GeoJSON in and out, area on the ellipsoid, distance to an edge in metres.

Shapely does the planar work on degrees; what is a length or an area is measured in metres of WGS 84.
"""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import shapely
from shapely.geometry.base import BaseGeometry

from haidang.kernel.errors import Invalid
from haidang.kernel.geometry import Box, check_geometry

_EQUATOR_M = 6_378_137.0
_FLATTENING = 1 / 298.257223563
_E2 = _FLATTENING * (2 - _FLATTENING)
_E = math.sqrt(_E2)


class ShapeCrossesItself(Invalid):
    """The drawn shape crosses itself: {problem}."""


def shape_of(geometry: Mapping[str, Any]) -> BaseGeometry:
    """The shape of a GeoJSON geometry, which is checked; raises GeometryMalformed or ShapeCrossesItself.

    Altitudes are left out: positions with and without one may stand in one geometry (RFC 7946, 3.1.1).
    """
    check_geometry(geometry)
    shape: BaseGeometry = shapely.geometry.shape(
        {"type": geometry["type"], "coordinates": _without_altitude(geometry["coordinates"])}
    )
    if not shape.is_valid:
        raise ShapeCrossesItself(problem=shapely.is_valid_reason(shape))
    return shape


def _without_altitude(coordinates: Any) -> Any:
    if isinstance(coordinates[0], (int, float)):
        return (coordinates[0], coordinates[1])
    return [_without_altitude(part) for part in coordinates]


def geojson_of(shape: BaseGeometry, *, digits: int = 6) -> dict[str, Any]:
    """The GeoJSON geometry of a shape; six decimals of a degree are a decimetre."""
    rounded = shapely.transform(shape, lambda points: np.round(points, digits))
    return {"type": shape.geom_type, "coordinates": shapely.geometry.mapping(rounded)["coordinates"]}


def box_of_shape(shape: BaseGeometry) -> Box:
    """The bounding box of a shape, in degrees."""
    west, south, east, north = shape.bounds
    return Box(west, south, east, north)


def metres_a_degree(latitude: float) -> tuple[float, float]:
    """Metres of a degree of longitude and of latitude at a latitude, on WGS 84."""
    sine = math.sin(math.radians(latitude))
    across = math.sqrt(1 - _E2 * sine * sine)
    east = math.radians(1) * _EQUATOR_M * math.cos(math.radians(latitude)) / across
    north = math.radians(1) * _EQUATOR_M * (1 - _E2) / across**3
    return east, north


def metres_to_edge(shape: BaseGeometry, longitude: float, latitude: float) -> float:
    """How far a point is from the edge of a shape, inside or outside, in metres.

    Measured on the plane that touches the Earth there: within a province the error is below one per cent.
    """
    east, north = metres_a_degree(latitude)
    here = shapely.transform(
        shape.boundary if shape.geom_type.endswith("Polygon") else shape,
        lambda points: (points - (longitude, latitude)) * (east, north),
    )
    return float(shapely.distance(here, shapely.Point(0, 0)))


def area_km2(shape: BaseGeometry) -> float:
    """The area of a shape on WGS 84, in square kilometres."""
    return float(shapely.area(on_equal_area_plane(shape))) / 1e6


def on_equal_area_plane(shape: BaseGeometry) -> BaseGeometry:
    """A shape on the cylindrical equal-area plane of WGS 84, in metres: only areas mean something there.

    Snyder, Map Projections: A Working Manual (USGS 1395), p. 81: y is the authalic latitude's sine.
    """
    return shapely.transform(shape, _equal_area)


def _equal_area(degrees: "np.typing.NDArray[np.float64]") -> "np.typing.NDArray[np.float64]":
    radians = np.radians(degrees)
    sine = np.sin(radians[:, 1])
    inner = sine / (1 - _E2 * sine**2) - np.log((1 - _E * sine) / (1 + _E * sine)) / (2 * _E)
    return np.column_stack([_EQUATOR_M * radians[:, 0], _EQUATOR_M * (1 - _E2) * inner / 2])
