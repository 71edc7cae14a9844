"""Outlines in memory: edges count, the more accurate one wins, each has its time."""

from datetime import date

import numpy as np
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st

from haidang.places.outlines import Mosaic, Outline, hit_of

BREAK = date(2025, 7, 1)
COARSE = Outline("coarse", shapely.box(108.0, 11.0, 108.2, 11.2), 66.0)
FINE = Outline("fine", shapely.box(108.1, 11.0, 108.3, 11.2), 5.0)


def test_where_outlines_overlap_the_more_accurate_one_is_right() -> None:
    for order in ([COARSE, FINE], [FINE, COARSE]):
        found = hit_of(order, 108.15, 11.1)
        assert found is not None
        assert (found.unit_id, found.certain) == ("fine", True)
    assert hit_of([COARSE, FINE], 108.4, 11.1) is None


def test_the_edge_is_inside_and_not_certain() -> None:
    found = hit_of([COARSE], 108.0, 11.1)
    assert found is not None
    assert (found.metres_to_edge, found.certain) == (0.0, False)


@pytest.mark.parametrize(("on", "unit_id"), [(date(2025, 6, 30), "coarse"), (BREAK, "fine")])
def test_a_unit_is_no_more_on_the_day_it_ends(on: date, unit_id: str) -> None:
    mosaic = Mosaic([COARSE, FINE], [(None, BREAK), (BREAK, None)])
    assert mosaic.units_at(np.array([108.15]), np.array([11.1]), on) == [unit_id]


def test_no_outlines_hold_no_points() -> None:
    assert Mosaic([], []).units_at(np.array([108.0]), np.array([11.0]), BREAK) == [None]


PLACES = st.tuples(st.floats(107.9, 108.4), st.floats(10.9, 11.3))


@given(points=st.lists(PLACES, max_size=40))
def test_many_points_are_found_as_each_alone(points: list[tuple[float, float]]) -> None:
    mosaic = Mosaic([FINE, COARSE], [(None, None), (None, None)])
    east = np.array([one[0] for one in points], dtype=np.float64)
    north = np.array([one[1] for one in points], dtype=np.float64)
    alone = [hit_of([FINE, COARSE], *point) for point in points]
    assert mosaic.units_at(east, north, BREAK) == [one.unit_id if one else None for one in alone]
