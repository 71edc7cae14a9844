"""Shapes: area and distance on the ellipsoid against published values, GeoJSON there and back."""

import math

import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st

from haidang.kernel.geometry import Box
from haidang.kernel.shapes import (
    ShapeCrossesItself,
    area_km2,
    box_of_shape,
    geojson_of,
    metres_a_degree,
    metres_to_edge,
    shape_of,
)


def test_the_area_of_the_earth() -> None:
    """WGS 84's surface is 510,065,621.7 km² (NGA.STND.0036, from its axes)."""
    assert area_km2(shapely.box(-180, -90, 180, 90)) == pytest.approx(510_065_621.7, rel=1e-9)


@pytest.mark.parametrize(
    ("latitude", "east", "north"),
    [(0, 111_319.49, 110_574.28), (15, 107_550.0, 110_649.0), (45, 78_847.0, 111_132.0)],
)
def test_the_length_of_a_degree(latitude: float, east: float, north: float) -> None:
    """Lengths on WGS 84, as its axes give them."""
    found = metres_a_degree(latitude)
    assert found[0] == pytest.approx(east, rel=1e-4)
    assert found[1] == pytest.approx(north, rel=1e-4)


SQUARES = st.tuples(st.floats(102, 114), st.floats(7, 23), st.floats(0.001, 0.5))


@given(SQUARES)
def test_a_small_square_measures_as_its_sides(square: tuple[float, float, float]) -> None:
    west, south, side = square
    east_m, north_m = metres_a_degree(south + side / 2)
    plane = side * east_m * side * north_m / 1e6
    assert area_km2(shapely.box(west, south, west + side, south + side)) == pytest.approx(plane, rel=1e-4)


@given(SQUARES, st.floats(0.01, 0.99), st.floats(0.01, 0.99))
def test_the_distance_to_an_edge_is_the_nearest_sides(
    square: tuple[float, float, float], right: float, up: float
) -> None:
    west, south, side = square
    longitude, latitude = west + right * side, south + up * side
    east_m, north_m = metres_a_degree(latitude)
    nearest = min(min(right, 1 - right) * side * east_m, min(up, 1 - up) * side * north_m)
    found = metres_to_edge(shapely.box(west, south, west + side, south + side), longitude, latitude)
    assert math.isclose(found, nearest, rel_tol=1e-6)


@given(SQUARES)
def test_geojson_there_and_back(square: tuple[float, float, float]) -> None:
    west, south, side = square
    shape = shapely.box(west, south, west + side, south + side)
    again = shape_of(geojson_of(shape, digits=9))
    assert again.equals_exact(shape, 1e-8)
    found = box_of_shape(again)
    assert isinstance(found, Box)
    assert found.west == pytest.approx(west, abs=1e-8)


def test_a_bow_tie_is_refused() -> None:
    with pytest.raises(ShapeCrossesItself):
        shape_of({"type": "Polygon", "coordinates": [[[0, 0], [1, 1], [1, 0], [0, 1], [0, 0]]]})


def test_altitudes_are_left_out_of_a_shape() -> None:
    """They may stand at some positions only, and be of any size."""
    ring = [[108, 11], [109, 11, 5.5], [109, 12, 10**400], [108, 11]]
    found = shape_of({"type": "Polygon", "coordinates": [ring]})
    assert not found.has_z
    assert found.equals(shapely.Polygon([(108, 11), (109, 11), (109, 12)]))
    assert shape_of({"type": "Point", "coordinates": [108, 11, 3]}) == shapely.Point(108, 11)
