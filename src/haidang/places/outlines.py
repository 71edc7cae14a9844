"""Outlines in memory: which of them a point lies in, for one point and for many; who lives in an area.

Pure: shapes come in as well-known binary, nothing is asked of the database here.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from threading import Lock

import numpy as np
import shapely
from shapely.geometry.base import BaseGeometry

from haidang.kernel.shapes import metres_to_edge, on_equal_area_plane
from haidang.places.model import PeopleEstimate, PeopleShare, Unit


@dataclass(frozen=True, slots=True)
class Outline:
    """The shape of a unit, and how far it may be off."""

    unit_id: str
    shape: BaseGeometry
    accuracy_m: float


@dataclass(frozen=True, slots=True)
class Hit:
    """The outline a point lies in: how far from its edge, and whether that is further than it may be off."""

    unit_id: str
    metres_to_edge: float
    certain: bool


def hit_of(outlines: Sequence[Outline], longitude: float, latitude: float) -> Hit | None:
    """The most accurate outline that a point lies in (its edge counts), if there is one."""
    point = shapely.Point(longitude, latitude)
    for one in sorted(outlines, key=lambda outline: (outline.accuracy_m, outline.unit_id)):
        if one.shape.covers(point):
            away = metres_to_edge(one.shape, longitude, latitude)
            return Hit(one.unit_id, away, away > one.accuracy_m)
    return None


class Mosaic:
    """The outlines of a level of all times, ready for many points at once; the most accurate come first.

    One thread asks at a time: GEOS builds the index of a prepared shape at the first questions, and two
    threads that ask first together get wrong answers or end the process (libgeos/geos issue 825).
    """

    def __init__(
        self,
        outlines: Sequence[Outline],
        times: Sequence[tuple[date | None, date | None]],
    ) -> None:
        self._outlines = list(outlines)
        self._times = list(times)
        self._bounds = shapely.bounds([one.shape for one in self._outlines]) if self._outlines else None
        self._asking = Lock()
        for one in self._outlines:
            shapely.prepare(one.shape)

    def units_at(
        self,
        longitudes: "np.typing.NDArray[np.float64]",
        latitudes: "np.typing.NDArray[np.float64]",
        on: date,
    ) -> list[str | None]:
        """The unit of each point on a day; None where no outline covers it."""
        order = np.argsort(longitudes, kind="stable")
        east, north = longitudes[order], latitudes[order]
        owner = np.full(len(east), -1, dtype=np.int32)
        for number, (outline, (since, until)) in enumerate(zip(self._outlines, self._times, strict=True)):
            if self._bounds is None or (since is not None and on < since):
                continue
            if until is not None and on >= until:
                continue
            west, south, right, top = self._bounds[number]
            first = np.searchsorted(east, west, side="left")
            last = np.searchsorted(east, right, side="right")
            near = np.flatnonzero(
                (north[first:last] >= south) & (north[first:last] <= top) & (owner[first:last] < 0)
            )
            if near.size == 0:
                continue
            near += first
            with self._asking:
                inside = shapely.intersects_xy(outline.shape, east[near], north[near])
            owner[near[inside]] = number
        found: list[str | None] = [None] * len(east)
        for place, number in zip(order.tolist(), owner.tolist(), strict=True):
            if number >= 0:
                found[place] = self._outlines[number].unit_id
        return found


def people_in(area: BaseGeometry, wards: Sequence[tuple[Unit, BaseGeometry]]) -> PeopleEstimate:
    """People in an area, as if each ward's lived evenly over it.

    A ward without a figure, or with a doubtful one, gives no people and is named.
    """
    drawn = on_equal_area_plane(area)
    whole = float(shapely.area(drawn))
    shares: list[PeopleShare] = []
    without: list[Unit] = []
    covered = counted = people = 0.0
    for unit, outline in wards:
        ward = on_equal_area_plane(outline)
        common = float(shapely.area(shapely.intersection(drawn, ward)))
        if common <= 0:
            continue
        share = min(1.0, common / float(shapely.area(ward)))
        covered += common
        if unit.population is None or unit.population_doubtful:
            without.append(unit)
            shares.append(PeopleShare(unit, share, None))
            continue
        counted += common
        people += unit.population * share
        shares.append(PeopleShare(unit, share, unit.population * share))
    return PeopleEstimate(
        people=round(people) if counted else None,
        area_km2=whole / 1e6,
        covered=min(1.0, covered / whole) if whole else 0.0,
        counted=min(1.0, counted / whole) if whole else 0.0,
        units=tuple(sorted(shares, key=lambda one: -one.share)),
        without_figure=tuple(without),
    )
