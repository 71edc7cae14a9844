"""Outlines in memory: edges count, the more accurate one wins, each has its time."""

from concurrent.futures import ThreadPoolExecutor
from datetime import date
from threading import Barrier

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


def test_threads_that_ask_first_together_get_the_same_answers() -> None:
    """Prepared shapes of GEOS cannot do that by themselves: without a lock this ends the process."""
    chance, asking = np.random.default_rng(20261122), 4
    turns = np.linspace(0, 2 * np.pi, 2_000, endpoint=False)
    east, north = chance.uniform(107, 109, 2_000), chance.uniform(11, 13, 2_000)
    for _ in range(20):
        stars = []
        for number in range(16):
            reach = 0.2 * (1 + 0.3 * chance.random(turns.size))
            x, y = 107.25 + number % 4 * 0.5, 11.25 + number // 4 * 0.5
            corners = np.column_stack([x + reach * np.cos(turns), y + reach * np.sin(turns)])
            stars.append(Outline(str(number), shapely.Polygon(corners), 5.0))
        mosaic, start = Mosaic(stars, [(None, None)] * len(stars)), Barrier(asking)

        def ask(_: int, mosaic: Mosaic = mosaic, start: Barrier = start) -> list[str | None]:
            start.wait()
            return mosaic.units_at(east, north, BREAK)

        with ThreadPoolExecutor(asking) as threads:
            found = list(threads.map(ask, range(asking)))
        assert all(one == found[0] for one in found)
        assert any(found[0])
