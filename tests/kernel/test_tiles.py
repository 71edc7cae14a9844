"""The grid, and tiles that another program reads back as they were meant."""

from itertools import pairwise
from typing import Any

import mapbox_vector_tile
import numpy as np
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st

from haidang.kernel.tiles import (
    CELL_ZOOM,
    EXTENT,
    Layer,
    PointLayer,
    Tile,
    TileOutsideGrid,
    check_tile,
    cut,
    on_mercator,
    tile_bytes,
)

tiles = st.integers(0, 18).flatmap(
    lambda z: st.builds(Tile, st.just(z), st.integers(0, 2**z - 1), st.integers(0, 2**z - 1))
)


def read(content: bytes) -> dict[str, Any]:
    """The tile as the reference reader of the standard sees it, y to the south."""
    found: dict[str, Any] = mapbox_vector_tile.decode(content, default_options={"y_coord_down": True})
    return found


def shapes(*geometries: Any) -> Any:
    """Shapes as the array that layers take."""
    array = np.empty(len(geometries), dtype=object)
    array[:] = geometries
    return array


@given(tiles)
def test_the_four_tiles_within_a_tile_hold_its_cells_in_order(tile: Tile) -> None:
    first, last = tile.cells()
    quarters = [Tile(tile.z + 1, 2 * tile.x + dx, 2 * tile.y + dy).cells() for dy in (0, 1) for dx in (0, 1)]
    assert quarters[0][0] == first
    assert quarters[-1][1] == last
    assert all(before[1] + 1 == after[0] for before, after in pairwise(quarters))
    assert last - first + 1 == 4 ** (CELL_ZOOM - tile.z)


@given(tiles)
def test_the_corners_of_a_tile_are_its_first_and_last_step(tile: Tile) -> None:
    box = tile.box()
    x, y = tile.steps(np.array([box.west, box.east]), np.array([box.north, box.south]))
    assert x == pytest.approx([0, EXTENT], abs=0.01)
    assert y == pytest.approx([0, EXTENT], abs=0.01)


@pytest.mark.parametrize("numbers", [(-1, 0, 0), (19, 0, 0), (3, 8, 0), (3, 0, 8), (3, -1, 0)])
def test_a_tile_outside_the_grid_is_refused(numbers: tuple[int, int, int]) -> None:
    with pytest.raises(TileOutsideGrid):
        check_tile(*numbers)


def test_phan_thiet_is_in_the_tile_that_maps_ask_for() -> None:
    box = check_tile(12, 3277, 1922).box()
    assert box.contains(108.1, 10.933)


@given(st.lists(st.tuples(st.integers(0, 4095), st.integers(0, 4095), st.text(max_size=9)), max_size=60))
def test_points_come_back_with_their_properties(points: list[tuple[int, int, str]]) -> None:
    layer = PointLayer(
        "entity",
        np.array([x for x, _, _ in points], dtype=np.float64),
        np.array([y for _, y, _ in points], dtype=np.float64),
        {"id": [name for _, _, name in points], "n": list(range(len(points)))},
    )
    content = tile_bytes([layer])
    if not points:
        assert content == b""
        return
    features = read(content)["entity"]["features"]
    assert [
        (*one["geometry"]["coordinates"], one["properties"]["id"], one["properties"]["n"]) for one in features
    ] == [(x, y, name, number) for number, (x, y, name) in enumerate(points)]


corners = st.tuples(st.integers(-60, 4150), st.integers(-60, 4150))


@given(st.lists(st.lists(corners, min_size=2, max_size=30), min_size=1, max_size=6))
def test_lines_come_back_without_repeated_positions(lines: list[list[tuple[int, int]]]) -> None:
    kept = [[one for place, one in enumerate(line) if place == 0 or one != line[place - 1]] for line in lines]
    expected = [(number, line) for number, line in enumerate(kept) if len(line) >= 2]
    content = tile_bytes([Layer("street", shapes(*map(shapely.LineString, lines)), {"n": range(len(lines))})])
    features = read(content)["street"]["features"] if content else []
    assert [
        (one["properties"]["n"], [tuple(at) for at in one["geometry"]["coordinates"]]) for one in features
    ] == expected


@given(
    st.lists(
        st.tuples(
            st.integers(0, 3000),
            st.integers(0, 3000),
            st.integers(20, 900),
            st.integers(20, 900),
            st.booleans(),
        ),
        min_size=1,
        max_size=5,
    )
)
def test_polygons_come_back_with_their_holes_and_turn_as_the_standard_wants(
    boxes: list[tuple[int, int, int, int, bool]],
) -> None:
    polygons = []
    for x, y, width, height, with_hole in boxes:
        outer = [(x, y), (x + width, y), (x + width, y + height), (x, y + height)]
        hole = [(x + 5, y + 5), (x + 5, y + 15), (x + 15, y + 15), (x + 15, y + 5)]
        polygons.append(shapely.Polygon(outer, [hole] if with_hole else []))
    content = tile_bytes([Layer("water", shapes(shapely.MultiPolygon(), *polygons), {})])
    features = read(content)["water"]["features"]
    assert len(features) == len(polygons)
    for feature, polygon in zip(features, polygons, strict=True):
        rings = feature["geometry"]["coordinates"]
        assert shapely.Polygon(rings[0], rings[1:]).equals(polygon)
        assert shapely.LinearRing(rings[0]).is_ccw  # y runs to the south: clockwise on the screen
        assert not any(shapely.LinearRing(ring).is_ccw for ring in rings[1:])


def test_several_parts_stay_one_feature_and_kinds_may_be_mixed() -> None:
    two = shapely.MultiPolygon([shapely.box(0, 0, 10, 10), shapely.box(20, 20, 40, 40)])
    line = shapely.MultiLineString([[(0, 0), (5, 5)], [(9, 9), (12, 9), (12, 9)]])
    mixed = shapely.GeometryCollection([shapely.Point(1, 1), shapely.box(50, 50, 60, 60)])
    layer = Layer("water", shapes(line, two, mixed, shapely.Point(7, 8)), {"name": ["a", "b", "c", None]})
    features = read(tile_bytes([layer]))["water"]["features"]
    assert [(one["geometry"]["type"], one["properties"].get("name")) for one in features] == [
        ("Point", None),
        ("MultiLineString", "a"),
        ("MultiPolygon", "b"),
        ("Polygon", "c"),
    ]


def test_values_keep_their_kinds() -> None:
    layer = PointLayer(
        "entity",
        np.zeros(1),
        np.zeros(1),
        {"yes": [True], "one": [1], "minus": [-300], "half": [0.5], "name": ["Hòa"], "none": [None]},
    )
    (feature,) = read(tile_bytes([layer]))["entity"]["features"]
    assert feature["properties"] == {"yes": True, "one": 1, "minus": -300, "half": 0.5, "name": "Hòa"}
    assert feature["properties"]["yes"] is True


def test_a_shape_is_cut_to_its_tile_and_thinned() -> None:
    tile = check_tile(12, 3277, 1922)
    box = tile.box(buffer=3)
    line = shapely.LineString([(box.west, 10.95), (108.1, 10.9500000001), (box.east, 10.95)])
    (placed,) = cut(on_mercator(shapes(line)), tile)
    assert shapely.get_num_points(placed) == 2
    assert placed.bounds[0] == pytest.approx(-64)
    assert placed.bounds[2] == pytest.approx(EXTENT + 64)


def test_what_is_smaller_than_a_step_is_left_out() -> None:
    assert tile_bytes([Layer("water", shapes(shapely.box(5, 5, 5.2, 5.2)), {"name": ["x"]})]) == b""
    assert tile_bytes([Layer("street", shapes(shapely.LineString([(5, 5), (5.1, 5.1)])), {})]) == b""
    assert tile_bytes([]) == b""
