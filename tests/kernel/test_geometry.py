"""Geometries: a good one is boxed, a bad one is refused with the place where it is wrong."""

from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from haidang.kernel.geometry import (
    Box,
    CoordinatesMalformed,
    GeometryMalformed,
    GeometryTypeUnknown,
    LineTooShort,
    PositionMalformed,
    PositionOutsideEarth,
    RingOpen,
    RingTooShort,
    box_of,
    check_geometry,
)

PHAN_THIET = [108.1, 10.93]
SQUARE = [[108.0, 10.0], [109.0, 10.0], [109.0, 11.0], [108.0, 10.0]]


def test_each_kind_of_geometry_has_a_box() -> None:
    assert box_of({"type": "Point", "coordinates": PHAN_THIET}) == Box(108.1, 10.93, 108.1, 10.93)
    assert box_of({"type": "Point", "coordinates": [*PHAN_THIET, 12.0]}) == Box(108.1, 10.93, 108.1, 10.93)
    for kind, coordinates in (
        ("MultiPoint", SQUARE),
        ("LineString", SQUARE),
        ("MultiLineString", [SQUARE]),
        ("Polygon", [SQUARE]),
        ("MultiPolygon", [[SQUARE]]),
    ):
        assert box_of({"type": kind, "coordinates": coordinates}) == Box(108.0, 10.0, 109.0, 11.0)


@pytest.mark.parametrize(
    ("geometry", "error", "said"),
    [
        (None, GeometryMalformed, "not a GeoJSON object"),
        ([], GeometryMalformed, "not a GeoJSON object"),
        ({"type": "Point"}, GeometryMalformed, "not a GeoJSON object"),
        ({"type": ["Point"], "coordinates": PHAN_THIET}, GeometryMalformed, "not a GeoJSON object"),
        ({"type": "Circle", "coordinates": PHAN_THIET}, GeometryTypeUnknown, "Circle"),
        ({"type": "GeometryCollection", "coordinates": []}, GeometryTypeUnknown, "GeometryCollection"),
        ({"type": "Point", "coordinates": [10.93]}, PositionMalformed, "coordinates"),
        ({"type": "Point", "coordinates": "10"}, PositionMalformed, "coordinates"),
        ({"type": "Point", "coordinates": [True, False]}, PositionMalformed, "coordinates"),
        ({"type": "Point", "coordinates": ["108.1", "10.93"]}, PositionMalformed, "coordinates"),
        ({"type": "Point", "coordinates": [108.1, float("nan")]}, PositionMalformed, "coordinates"),
        ({"type": "Point", "coordinates": [10**400, 10]}, PositionOutsideEarth, "coordinates"),
        ({"type": "Point", "coordinates": [108.1, 10.9, "3"]}, PositionMalformed, "coordinates"),
        ({"type": "LineString", "coordinates": [PHAN_THIET, [1, 2], 3]}, PositionMalformed, r"\[2\]"),
        ({"type": "Point", "coordinates": [10.93, 108.1]}, PositionOutsideEarth, "longitude comes first"),
        ({"type": "LineString", "coordinates": [PHAN_THIET]}, LineTooShort, "fewer than two"),
        ({"type": "LineString", "coordinates": []}, CoordinatesMalformed, "LineString"),
        ({"type": "Polygon", "coordinates": SQUARE}, RingTooShort, r"coordinates\[0\]"),
        ({"type": "Polygon", "coordinates": [SQUARE[:3]]}, RingTooShort, r"coordinates\[0\]"),
        (
            {"type": "Polygon", "coordinates": [SQUARE, [*SQUARE[:3], PHAN_THIET]]},
            RingOpen,
            r"coordinates\[1\]",
        ),
        ({"type": "MultiPolygon", "coordinates": [[{"a": 1}]]}, CoordinatesMalformed, r"\[0\]\[0\]"),
    ],
)
def test_a_bad_geometry_is_refused_with_its_place(
    geometry: Any, error: type[GeometryMalformed], said: str
) -> None:
    with pytest.raises(error, match=said):
        check_geometry(geometry)


def test_boxes_meet_and_contain() -> None:
    box = Box(108.0, 10.0, 109.0, 11.0)
    assert box.contains(*PHAN_THIET)
    assert box.contains(108.0, 11.0)
    assert not box.contains(109.1, 10.5)
    assert box.meets(Box(109.0, 11.0, 110.0, 12.0))
    assert not box.meets(Box(109.1, 10.0, 110.0, 11.0))


@given(st.lists(st.tuples(st.floats(-180, 180), st.floats(-90, 90)), min_size=2, max_size=20))
def test_a_box_holds_every_position_and_no_more(positions: list[tuple[float, float]]) -> None:
    box = box_of({"type": "LineString", "coordinates": positions})
    assert all(box.contains(*position) for position in positions)
    assert {box.west, box.east} <= {longitude for longitude, _ in positions}
    assert {box.south, box.north} <= {latitude for _, latitude in positions}


@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=5),
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
        max_leaves=20,
    ),
    st.sampled_from(["Point", "LineString", "Polygon", "MultiPolygon"]),
)
def test_whatever_is_sent_is_accepted_or_refused_but_never_crashes(coordinates: Any, kind: str) -> None:
    with suppress(GeometryMalformed):
        box_of({"type": kind, "coordinates": coordinates})
