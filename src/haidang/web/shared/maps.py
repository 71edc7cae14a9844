"""Maps as SVG, drawn on the server: land, units and marks, complete without a script.

Pure functions from shapes to markup, in Web Mercator like the live map that may take their place.
Colours are classes of `styles/map.css`; only an official level colour is an attribute, as in charts.
See ADR 0048.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date
from functools import cache, lru_cache
from html import escape
from math import atan, ceil, cos, degrees, inf, log10, pi, sinh
from typing import Literal, TypeAlias

import numpy as np
import shapely
from markupsafe import Markup
from shapely.geometry.base import BaseGeometry

from haidang.kernel.geometry import Box
from haidang.kernel.tiles import Shapes, mercator, on_mercator
from haidang.places.land import ATTRIBUTION, Archipelago, land
from haidang.web.shared.frame import in_locale
from haidang.web.shared.levels import level_outline

WIDTH, HEIGHT = 360, 300
"""In the SVG's own units: on a telephone of 390 pixels one unit is about one pixel.

Of twice the width it is as fine again, for the control room; words and marks are as large as in this one.
On wider pages the style sheet makes words and marks small again (`styles/map.css`): they keep the size of
the page's own small print, and more labels find room.
"""

VIETNAM = Box(102.1, 6.6, 117.9, 23.5)
"""The whole country, with Hoàng Sa and Trường Sa."""

SHORT_ATTRIBUTION = "sapnhap.bando.com.vn, Natural Earth"
MAP_ATTRIBUTION = ATTRIBUTION
"""What stands in full under every map."""

Emphasis: TypeAlias = Literal["plain", "chosen", "ground"]

_HELD = Box(100, 6, 120, 24)  # what the carried neighbouring land covers
_EARTH_M = 40_075_016.686
_MARGIN = 0.05  # of the picture, around what it is about
_LEAST_SPAN = 0.02  # degrees: a single mark still has a neighbourhood around it
_BEYOND = 6.0  # units over the edge, so that no line runs along it
_FONT = 11.0
_LESSER = 0.5  # of the font's size, on pages so wide that the picture is twice a telephone's
_KEPT_LANDS = 16
_LINE = 1.15
_LETTER = 0.56  # of the font's size: the mean width of a letter
_CLOSING = 0.06  # degrees: slivers between our outline of a border and a neighbour's are not sea
_COVERED = 0.75  # outlines that cover so much of a coarse province stand for it
_MANY_MARKERS = 14
_LEAST_CORNER, _LEAST_OF_MANY, _MANY = 1.8, 3.3, 60  # units: a corner of less than a square of it is left out
_LEAST_AREA = 0.3
_SEAM = 1.5  # units: where coarse and fine outlines meet there is no coast
_SEA_NAMES = {"vi": "Biển Đông", "en": "East Sea"}
_SEA_NAME_AT = (112.5, 13.6)
_SEA_WATERS = Box(107.3, 7.5, 118.0, 17.2)


@dataclass(frozen=True, slots=True)
class Outline:
    """An area on the picture, in degrees: its short label, its full words, the Vietnamese path it leads to.

    `ground` is drawn as land with a border and neither labelled nor led to: what lies around.
    """

    geometry: BaseGeometry
    label: str = ""
    path: str = ""
    emphasis: Emphasis = "plain"
    words: str = ""
    key: str = ""


@dataclass(frozen=True, slots=True)
class MapMarker:
    """A point on the picture. `rank` 1 (best) to 6 gives the level's shape, 0 a thing without a level.

    `label` is short and drawn where there is room; `words` (or else the label) is said on pointing. What is
    `synthetic` is made up: the list beside the picture says so.
    """

    longitude: float
    latitude: float
    label: str
    colour: str = ""
    rank: int = 0
    path: str = ""
    words: str = ""
    key: str = ""
    synthetic: bool = False
    stale: bool = False


@dataclass(frozen=True, slots=True)
class MapArea:
    """What the live map opens on: a box in degrees, the day of its units, provinces held finely by code."""

    box: Box
    on: date
    detailed: tuple[str, ...] = ()

    @property
    def bounds(self) -> list[float]:
        """West, south, east, north."""
        box = self.box
        return [round(one, 5) for one in (box.west, box.south, box.east, box.north)]


def fixed_names(locale: str = "vi") -> list[dict[str, str | float]]:
    """The names on every live map: the provinces, the sea, the archipelagos with whose they are."""
    longitude, latitude = _SEA_NAME_AT
    named = [("sea", _SEA_NAMES.get(locale, _SEA_NAMES["vi"]), longitude, latitude)]
    for one in land().archipelagos:
        across, down = one.islands.mean(axis=0).tolist()
        named.append(("islands", f"{_archipelago_name(one, locale)}\n({_holder(one.box)})", across, down))
    named += [("province", name, *at) for name, at in zip(land().names, _label_points(), strict=True)]
    return [
        {"kind": kind, "name": name, "longitude": round(across, 3), "latitude": round(down, 3)}
        for kind, name, across, down in named
    ]


@cache
def _label_points() -> list[tuple[float, float]]:
    """A place inside the largest part of each province."""
    points = []
    for province in land().provinces:
        largest = max(shapely.get_parts(province), key=shapely.area)
        point = shapely.get_point(shapely.maximum_inscribed_circle(largest, 0.02), 0)
        points.append((point.x, point.y))
    return points


def _archipelago_name(one: Archipelago, locale: str) -> str:
    return one.name_en.partition(" (")[0] if locale == "en" else one.name


_Rectangle: TypeAlias = tuple[float, float, float, float]
"""Left, top, width, height."""


@dataclass(slots=True)
class _Room:
    """Where labels stand already."""

    width: float
    height: float
    taken: list[_Rectangle] = field(default_factory=list)

    def free(self, rectangle: _Rectangle) -> bool:
        """Whether the rectangle is inside the picture, and nothing stands there."""
        x, y, wide, high = rectangle
        if x < 2 or y < 2 or x + wide > self.width - 2 or y + high > self.height - 2:
            return False
        return not any(
            x < left + breadth and left < x + wide and y < top + depth and top < y + high
            for left, top, breadth, depth in self.taken
        )


@dataclass(frozen=True, slots=True)
class _Spot:
    """Where the words of a thing stand, by their own size: right of it (`across` 1), left (-1) or over it.

    `off` ems lie between it and words beside it, `down` ems between it and the middle of the first line.
    """

    x: float
    y: float
    across: Literal[-1, 0, 1] = 0
    off: float = 0.0
    down: float = 0.0

    def rectangle(self, lines: Sequence[str], font: float) -> _Rectangle:
        """What the words cover in a size."""
        wide = max(_wide(one, font) for one in lines)
        left = {0: self.x - wide / 2, 1: self.x + self.off * font, -1: self.x - self.off * font - wide}
        high = font * (0.1 + _LINE * len(lines))
        return left[self.across], self.y + font * (self.down - 0.65), wide, high

    def words(self, lines: Sequence[str], kind: str) -> str:
        """Their markup: everything but the place itself is in ems, so that it follows the size."""
        anchor = {0: "", 1: ' text-anchor="start"', -1: ' text-anchor="end"'}[self.across]
        aside = f' dx="{_n(self.across * self.off)}em"' if self.across else ""
        return "".join(
            f'<text class="{kind}" x="{_n(self.x)}" y="{_n(self.y)}"{aside} '
            f'dy="{self.down + 0.33 + _LINE * number:.2g}em"{anchor}>{escape(one)}</text>'
            for number, one in enumerate(lines)
        )


@dataclass(slots=True)
class _Lettering:
    """The labels of a picture: those of every page, and between them those of wide pages alone."""

    every: _Room
    wide: _Room
    font: float

    def keep_off(self, x: float, y: float, reach: float, reach_wide: float) -> None:
        """Let no label cover what stands at a place, so far around it."""
        for room, far in ((self.every, reach), (self.wide, reach_wide)):
            room.taken.append((x - far, y - far, 2 * far, 2 * far))

    def put(
        self,
        lines: Sequence[str],
        spots: Sequence[_Spot],
        kind: str,
        *,
        most: float = inf,
        must: bool = False,
    ) -> str:
        """The words at the first spot where they fit, on every page or else on wide ones; or nothing.

        `most` is how wide they may be; what `must` stand stands at the first spot in any case.
        """
        lesser = self.font * _LESSER
        widest = max(_wide(one, self.font) for one in lines)
        for spot in spots if widest <= most else ():
            large, small = spot.rectangle(lines, self.font), spot.rectangle(lines, lesser)
            if self.every.free(large) and self.wide.free(small):
                return self._stand(spot, lines, kind, large, small)
        if must:
            spot = spots[0]
            return self._stand(
                spot, lines, kind, spot.rectangle(lines, self.font), spot.rectangle(lines, lesser)
            )
        for spot in spots if widest * _LESSER <= most else ():
            small = spot.rectangle(lines, lesser)
            if self.wide.free(small):
                self.wide.taken.append(small)
                return spot.words(lines, f"{kind} on-wide")
        return ""

    def _stand(
        self, spot: _Spot, lines: Sequence[str], kind: str, large: _Rectangle, small: _Rectangle
    ) -> str:
        self.every.taken.append(large)
        self.wide.taken.append(small)
        return spot.words(lines, kind)


@dataclass(frozen=True, slots=True)
class _View:
    """The part of the map's square that is shown, and how it becomes the picture's units."""

    west: float
    north: float
    scale: float
    width: int
    height: int

    @property
    def fine(self) -> int:
        """How many units stand for one of the picture of a telephone."""
        return 2 if self.width >= 2 * WIDTH else 1

    def placed(self, shapes: Shapes) -> Shapes:
        """Shapes of the square, cut to the picture and in its units."""
        beyond = _BEYOND / self.scale
        kept = shapely.clip_by_rect(
            shapes,
            self.west - beyond,
            self.north - beyond,
            self.west + self.width / self.scale + beyond,
            self.north + self.height / self.scale + beyond,
        )
        moved: Shapes = shapely.transform(kept, lambda at: (at - (self.west, self.north)) * self.scale)
        return moved

    def point(self, longitude: float, latitude: float) -> tuple[float, float]:
        """A position in the picture's units."""
        x, y = mercator(np.array([longitude]), np.array([latitude]))
        return float((x[0] - self.west) * self.scale), float((y[0] - self.north) * self.scale)

    def shows(self, longitude: float, latitude: float) -> bool:
        """Whether a position is in the picture."""
        x, y = self.point(longitude, latitude)
        return 0 <= x <= self.width and 0 <= y <= self.height

    def metres_a_unit(self) -> float:
        """On the ground, in the middle of the picture."""
        middle = self.north + self.height / self.scale / 2
        latitude = atan(sinh(pi * (1 - 2 * middle)))
        return _EARTH_M * cos(latitude) / self.scale

    def position(self, x: float, y: float) -> tuple[float, float]:
        """The longitude and latitude of a place in the picture."""
        across, down = self.west + x / self.scale, self.north + y / self.scale
        return across * 360 - 180, degrees(atan(sinh(pi * (1 - 2 * down))))


def map_picture(
    outlines: Sequence[Outline] = (),
    markers: Sequence[MapMarker] = (),
    box: Box | None = None,
    *,
    width: int = WIDTH,
    height: int = HEIGHT,
    name: str = "map",
    title: str = "",
    description: str = "",
    locale: str = "vi",
) -> Markup:
    """A picture of the map with these outlines and markers; `name` makes the ids on the page unique.

    Without `box` it shows what it is about, or the whole country when that is nothing. It has a
    title and a description, and is hidden otherwise from who listens: a page puts the same things
    beside it as a list.
    """
    view = _view_of(box or _box_of(outlines, markers), width, height)
    fine = view.fine
    ground = _drawn_land(view, tuple(one.geometry for one in outlines))
    gravest_last = sorted(markers, key=lambda one: one.rank if one.colour else 0)
    marks = [(one, *view.point(one.longitude, one.latitude)) for one in gravest_last]
    marks = [(one, x, y) for one, x, y in marks if 0 <= x <= view.width and 0 <= y <= view.height]
    reach = fine * (8.0 if len(marks) <= _MANY_MARKERS else 5.0)
    corners = [
        (0.0, view.height - 22 * fine, 96 * fine, 22 * fine),
        (view.width - 186 * fine, view.height - 14 * fine, 186 * fine, 14 * fine),
    ]
    lettering = _Lettering(
        _Room(view.width, view.height, list(corners)),
        _Room(view.width, view.height, list(corners)),
        _FONT * fine,
    )
    for _, x, y in marks:
        lettering.keep_off(x, y, reach, reach * _LESSER)
    parts = [
        _sea(view),
        ground.around,
        '<g class="map-units">',
        *(_area(one, path, locale) for one, path in zip(outlines, ground.paths, strict=True)),
        "</g>",
        f'<path class="map-coast" d="{ground.coast}"/>',
        *_archipelagos(view, lettering, locale),
        *_marker_labels(marks, lettering, reach),
        *_outline_labels(outlines, ground.shapes, lettering),
        _sea_name(view, lettering, ground.solid, locale),
        *(_marker(one, x, y, reach, locale) for one, x, y in marks),
        _scale_bar(view),
        _attribution(view),
    ]
    drawn = "".join(parts)
    # An image may hold nothing that can be reached: with ways in it, it is a group.
    role = "group" if "<a " in drawn else "img"
    named = escape(name)
    return Markup(  # noqa: S704 - numbers of ours, and every word escaped
        f'<div class="map-scene"><svg class="map-picture{" fine" if fine > 1 else ""}" '
        f'viewBox="0 0 {view.width} {view.height}" role="{role}" '
        f'aria-labelledby="{named}-title {named}-desc" focusable="false">'
        f'<title id="{named}-title">{escape(title)}</title>'
        f'<desc id="{named}-desc">{escape(description)}</desc><g aria-hidden="true">{drawn}</g></svg></div>'
    )


def box_around(outlines: Sequence[Outline], markers: Sequence[MapMarker] = ()) -> Box | None:
    """The box of what a map is about, in degrees; None when that is nothing."""
    bounds = [shapely.bounds(one.geometry) for one in outlines if one.emphasis != "ground"]
    bounds += [np.array([one.longitude, one.latitude] * 2) for one in markers]
    if not bounds:
        return None
    every = np.array(bounds)
    west, south = every[:, :2].min(axis=0)
    east, north = every[:, 2:].max(axis=0)
    return Box(float(west), float(south), float(east), float(north))


def _box_of(outlines: Sequence[Outline], markers: Sequence[MapMarker]) -> Box:
    return box_around(outlines, markers) or VIETNAM


def _view_of(box: Box, width: int, height: int) -> _View:
    """The view that shows the whole box in a picture of this width, with a margin around it.

    It never shows what we do not hold: a country that is higher than wide makes the picture higher.
    """
    middle_x, middle_y = (box.west + box.east) / 2, (box.south + box.north) / 2
    half_x = max(box.east - box.west, _LEAST_SPAN) / 2
    half_y = max(box.north - box.south, _LEAST_SPAN) / 2
    x, y = mercator(
        np.array([middle_x - half_x, middle_x + half_x]), np.array([middle_y + half_y, middle_y - half_y])
    )
    wide, high = float(x[1] - x[0]), float(y[1] - y[0])
    end_x, end_y = mercator(np.array([_HELD.west, _HELD.east]), np.array([_HELD.north, _HELD.south]))
    most_wide, most_high = float(end_x[1] - end_x[0]), float(end_y[1] - end_y[0])
    scale = (1 - 2 * _MARGIN) * min(width / wide, height / high)
    if width / scale > most_wide:
        scale = width / most_wide
        height = max(height, ceil(scale * high / (1 - 2 * _MARGIN)))
    height = min(height, int(scale * most_high))
    west = _within(float(x.mean()) - width / scale / 2, width / scale, float(end_x[0]), float(end_x[1]))
    north = _within(float(y.mean()) - height / scale / 2, height / scale, float(end_y[0]), float(end_y[1]))
    return _View(west, north, scale, width, height)


def _within(start: float, length: float, least: float, most: float) -> float:
    """Where a stretch begins so that it stays inside what we hold; in its middle when it is longer."""
    if length > most - least:
        return (least + most - length) / 2
    return min(max(start, least), most - length)


def _thinned(placed: Shapes) -> Shapes:
    """Shapes in the picture's units without what is too small to see; borders between them stay shared."""
    areas = np.empty(len(placed), dtype=np.object_)
    areas[:] = [_area_only(one) for one in placed]
    thinned: Shapes = shapely.coverage_simplify(
        areas, _LEAST_CORNER if len(areas) < _MANY else _LEAST_OF_MANY
    )
    return thinned


def _area_only(shape: BaseGeometry) -> BaseGeometry:
    """What of a cut shape is an area; an edge that only touched the frame is a line."""
    whole = shapely.make_valid(shape)
    kept = [one for one in shapely.get_parts(whole) if one.geom_type == "Polygon" and one.area > _LEAST_AREA]
    return shapely.MultiPolygon(kept)


@cache
def _neighbours() -> Shapes:
    """The neighbouring lands as one, in the map's square, grown over the slivers at our border."""
    ours = shapely.union_all(land().provinces_on_map)
    theirs = shapely.union_all(land().neighbours_on_map)
    reach = _CLOSING / 360
    closed = shapely.buffer(shapely.buffer(shapely.union(ours, theirs), reach), -reach)
    grown = shapely.intersection(closed, shapely.buffer(theirs, 2 * reach))
    found = np.empty(1, dtype=np.object_)
    found[0] = shapely.simplify(shapely.union(theirs, grown), 0.002 / 360)
    return found


@dataclass(frozen=True, slots=True)
class _Land:
    """What of a picture stays while its marks change: the outlines placed, and all ground as paths."""

    shapes: Shapes
    paths: Sequence[str]
    around: str
    coast: str
    solid: BaseGeometry


@lru_cache(maxsize=_KEPT_LANDS)
def _drawn_land(view: _View, geometries: tuple[BaseGeometry, ...]) -> _Land:
    """The neighbours, our land and its provinces, the outlines and the coast: nearly all of the work."""
    shapes = np.array(geometries or [], dtype=np.object_)
    placed = _thinned(view.placed(on_mercator(shapes))) if len(shapes) else shapes
    neighbours = shapely.simplify(view.placed(_neighbours())[0], 1.0)
    provinces = view.placed(land().provinces_on_map)
    areas = shapely.area(provinces)
    shown = np.flatnonzero(areas > 0)
    detailed = shapely.union_all(shapely.buffer(placed, 0))
    kept = [
        number
        for number in shown.tolist()
        if shapely.area(shapely.intersection(provinces[number], detailed)) < _COVERED * areas[number]
    ]
    coarse = shapely.simplify(provinces[kept], 1.0) if kept else provinces[:0]
    seamed = shapely.buffer([*coarse, shapely.simplify(detailed, 0.3)], _SEAM, quad_segs=2)
    whole = shapely.simplify(shapely.buffer(shapely.union_all(seamed), -_SEAM, quad_segs=2), 0.6)
    parts = []
    if not shapely.is_empty(neighbours):
        parts.append(f'<path class="map-neighbour" d="{_path(neighbours)}"/>')
    if kept:
        parts.append(f'<path class="map-land" d="{"".join(_path(one) for one in coarse)}"/>')
    solid = shapely.union(shapely.make_valid(whole), shapely.make_valid(neighbours))
    paths = [_path(one) for one in placed]
    return _Land(placed, paths, "".join(parts), _path(whole), shapely.simplify(solid, 1.5))


def _sea(view: _View) -> str:
    return f'<rect class="map-sea" width="{view.width}" height="{view.height}"/>'


def _area(one: Outline, drawn: str, locale: str) -> str:
    if not drawn:
        return ""
    words = one.words or one.label
    key = f' data-key="{escape(one.key)}"' if one.key else ""
    inner = f"<title>{escape(words)}</title>" if words and one.emphasis != "ground" else ""
    kind = "" if one.emphasis == "plain" else f' class="{one.emphasis}"'
    area = f'<path{kind}{key} d="{drawn}">{inner}</path>'
    return _led(area, one.path if one.emphasis != "ground" else "", locale)


def _led(drawn: str, path: str, locale: str) -> str:
    """A drawing that leads somewhere. The list beside the picture has the same way for the keyboard."""
    return f'<a href="{escape(in_locale(path, locale))}" tabindex="-1">{drawn}</a>' if path else drawn


def _path(shape: BaseGeometry) -> str:
    """An outline in half units, each corner as the difference from the one before."""
    text: list[str] = []
    for polygon in shapely.get_parts(shape):
        if polygon.geom_type != "Polygon" or polygon.is_empty:
            continue
        for ring in (polygon.exterior, *polygon.interiors):
            corners = np.rint(shapely.get_coordinates(ring) * 2).astype(int)
            steps = np.diff(corners, axis=0)
            steps = steps[np.any(steps != 0, axis=1)][:-1]
            if len(steps) < 2:
                continue
            text.append(f"M{_n(corners[0][0] / 2)} {_n(corners[0][1] / 2)}l{_steps(steps)}z")
    return "".join(text)


def _steps(steps: "np.typing.NDArray[np.int_]") -> str:
    said = []
    for x, y in steps.tolist():
        across, down = _n(x / 2), _n(y / 2)
        said.append(f"{across}{down}" if down.startswith("-") else f"{across} {down}")
    return " ".join(said).replace(" -", "-")


def _n(number: float) -> str:
    """A number as short as SVG allows: at most one decimal, no zero before the point."""
    text = f"{number:.1f}".removesuffix(".0")
    if text == "-0":
        return "0"
    return text.replace("0.", ".", 1) if text.startswith(("0.", "-0.")) else text


def _wide(text: str, font: float) -> float:
    return len(text) * font * _LETTER


def _outline_labels(outlines: Sequence[Outline], placed: Shapes, lettering: _Lettering) -> Iterator[str]:
    """The name of each area where it has room for it: first the chosen, then the largest."""
    areas = shapely.area(placed) if len(placed) else placed
    order = sorted(
        (number for number, one in enumerate(outlines) if one.label and one.emphasis != "ground"),
        key=lambda number: (outlines[number].emphasis != "chosen", -areas[number]),
    )
    for number in order:
        one, shape = outlines[number], placed[number]
        if shapely.is_empty(shape):
            continue
        left, _, right, _ = shapely.bounds(shape)
        most = inf if one.emphasis == "chosen" else 1.15 * (right - left)
        inside = shapely.centroid(shape)
        if not shape.covers(inside):
            inside = shapely.point_on_surface(shape)
        spot = _Spot(inside.x, inside.y)
        yield lettering.put([one.label], [spot], f"map-label {one.emphasis}", most=most)


def _marker_labels(
    marks: Sequence[tuple[MapMarker, float, float]], lettering: _Lettering, reach: float
) -> Iterator[str]:
    """The label of each marker beside, above or below it, where it covers nothing."""
    gap = (reach + 3) / lettering.font
    for one, x, y in marks:
        spots = (
            _Spot(x, y, 1, gap),
            _Spot(x, y, -1, gap),
            _Spot(x, y, down=-gap - 0.5),
            _Spot(x, y, down=gap + 0.5),
        )
        if one.label:
            yield lettering.put([one.label], spots, "map-label mark")


def _marker(one: MapMarker, x: float, y: float, reach: float, locale: str) -> str:
    inner = f"<title>{escape(one.words or one.label)}</title>"
    key = f' data-key="{escape(one.key)}"' if one.key else ""
    if one.colour:
        size = reach / 8
        drawn = (
            f'<g class="map-level"{key} fill="{escape(one.colour)}" '
            f'transform="translate({_n(x - reach)} {_n(y - reach)}) scale({size:.3g})">'
            f"{inner}{level_outline(one.rank)}</g>"
        )
    else:
        kind = "map-mark stale" if one.stale else "map-mark"
        drawn = (
            f'<circle class="{kind}"{key} cx="{_n(x)}" cy="{_n(y)}" r="{_n(reach * 0.8)}">{inner}</circle>'
        )
    return _led(drawn, one.path, locale)


def _archipelagos(view: _View, lettering: _Lettering, locale: str) -> Iterator[str]:
    """Hoàng Sa and Trường Sa: each island a dot that can be seen, and whose they are."""
    shown = []
    for one in land().archipelagos:
        places = [view.point(x, y) for x, y in one.islands.tolist() if view.shows(x, y)]
        shown.append((one, places))
        for x, y in places:
            lettering.keep_off(x, y, 1.5 * view.fine, view.fine)
    for one, places in shown:
        if not places:
            continue
        drawn = "".join(f"M{_n(x)} {_n(y)}h0" for x, y in places)
        yield f'<path class="map-islet" d="{drawn}"/>'
        lines = [_archipelago_name(one, locale), f"({_holder(one.box)})"]
        half = max(_wide(line, lettering.font) for line in lines) / 2 + 3 * view.fine
        across, down = np.array(places).T
        x = min(max(float(across.mean()), half), view.width - half)
        # Below or above all of them, or beside them; never left out.
        spots = [_Spot(x, float(down.max()), down=1.1), _Spot(x, float(down.min()), down=-2.1)]
        spots += [_Spot(float(end), float(down.mean()), side, 0.8) for end, side in _ends(across)]
        yield lettering.put(lines, spots, "map-label sea", must=True)


def _ends(
    across: "np.typing.NDArray[np.float64]",
) -> tuple[tuple[float, Literal[1]], tuple[float, Literal[-1]]]:
    return (float(across.max()), 1), (float(across.min()), -1)


@cache
def _holder(box: Box) -> str:
    """The province that an archipelago belongs to."""
    frame = shapely.box(box.west, box.south, box.east, box.north)
    inside = shapely.area(shapely.intersection(land().provinces, frame))
    return land().names[int(np.argmax(inside))]


def _sea_name(view: _View, lettering: _Lettering, solid: BaseGeometry, locale: str) -> str:
    """The name of the sea, where the picture has enough of it."""
    frame = shapely.box(0, 0, view.width, view.height)
    labels = [shapely.box(x, y, x + wide, y + high) for x, y, wide, high in lettering.every.taken]
    sea = shapely.difference(frame, shapely.union_all([solid, *labels]))
    text = _SEA_NAMES.get(locale, _SEA_NAMES["vi"])
    wide = _wide(text, lettering.font)
    widest = max(shapely.get_parts(sea), key=shapely.area, default=None)
    if widest is None or widest.area < wide * wide:
        return ""
    spot = shapely.get_point(shapely.maximum_inscribed_circle(widest, 4), 0)
    if not _SEA_WATERS.contains(*view.position(spot.x, spot.y)):
        return ""
    return lettering.put([text], [_Spot(spot.x, spot.y)], "map-label sea")


def _attribution(view: _View) -> str:
    x, y = view.width - 4 * view.fine, view.height - 4 * view.fine
    return f'<text class="map-small" x="{x}" y="{y}" text-anchor="end">© {SHORT_ATTRIBUTION}</text>'


def _scale_bar(view: _View) -> str:
    """A round distance, at most a quarter of the picture wide."""
    fine = view.fine
    most = 90 * fine * view.metres_a_unit()
    metres = 10 ** int(log10(most))
    metres *= next(step for step in (5, 2, 1) if step * metres <= most)
    wide, y = metres / view.metres_a_unit(), view.height - 8 * fine
    text = f"{metres // 1000} km" if metres >= 1000 else f"{metres} m"
    return (
        f'<path class="map-scale" d="M{8 * fine} {y - 4 * fine}v{4 * fine}h{_n(wide)}v{-4 * fine}"/>'
        f'<text class="map-small" x="{_n(8 * fine + wide / 2)}" y="{y - 3 * fine}" text-anchor="middle">'
        f"{text}</text>"
    )
