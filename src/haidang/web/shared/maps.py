"""Maps as SVG, drawn on the server: land, units and marks, complete without a script.

Pure functions from shapes to markup, in Web Mercator like the live map that may take their place.
Colours are classes of `styles/map.css`; only an official level colour is an attribute, as in charts.
See ADR 0048.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date
from functools import cache
from html import escape
from math import atan, cos, degrees, log10, pi, sinh
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
"""In the SVG's own units: on a telephone of 390 pixels one unit is about one pixel."""

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
_FONT, _SMALL_FONT = 11.0, 9.0
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

    `label` is short and drawn where there is room; `words` (or else the label) is said on pointing.
    """

    longitude: float
    latitude: float
    label: str
    colour: str = ""
    rank: int = 0
    path: str = ""
    words: str = ""
    key: str = ""


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


@dataclass(slots=True)
class _Room:
    """Where labels stand already."""

    width: float
    height: float
    taken: list[tuple[float, float, float, float]] = field(default_factory=list)

    def take(self, x: float, y: float, wide: float, high: float) -> bool:
        """Take the rectangle with this upper left corner if it is free and inside the picture."""
        if x < 2 or y < 2 or x + wide > self.width - 2 or y + high > self.height - 2:
            return False
        if any(
            x < left + breadth and left < x + wide and y < top + depth and top < y + high
            for left, top, breadth, depth in self.taken
        ):
            return False
        self.taken.append((x, y, wide, high))
        return True


@dataclass(frozen=True, slots=True)
class _View:
    """The part of the map's square that is shown, and how it becomes the picture's units."""

    west: float
    north: float
    scale: float
    width: int
    height: int

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
    shapes = np.array([one.geometry for one in outlines] or [], dtype=np.object_)
    placed = _thinned(view.placed(on_mercator(shapes))) if len(shapes) else shapes
    room = _Room(width, height, [(0, height - 22, 96, 22), (width - 186, height - 14, 186, 14)])
    gravest_last = sorted(markers, key=lambda one: one.rank if one.colour else 0)
    marks = [(one, *view.point(one.longitude, one.latitude)) for one in gravest_last]
    marks = [(one, x, y) for one, x, y in marks if 0 <= x <= width and 0 <= y <= height]
    reach = 8.0 if len(marks) <= _MANY_MARKERS else 5.0
    room.taken += [(x - reach, y - reach, 2 * reach, 2 * reach) for _, x, y in marks]
    ground, coast, solid = _ground(view, placed)
    parts = [
        _sea(view),
        *ground,
        '<g class="map-units">',
        *(_area(one, shape, locale) for one, shape in zip(outlines, placed, strict=True)),
        "</g>",
        coast,
        *_archipelagos(view, room, locale),
        *_marker_labels(marks, room, reach),
        *_outline_labels(outlines, placed, room),
        *_sea_name(view, room, solid, locale),
        *(_marker(one, x, y, reach, locale) for one, x, y in marks),
        _scale_bar(view),
        _attribution(view),
    ]
    drawn = "".join(parts)
    # An image may hold nothing that can be reached: with ways in it, it is a group.
    role = "group" if "<a " in drawn else "img"
    named = escape(name)
    return Markup(  # noqa: S704 - numbers of ours, and every word escaped
        f'<svg class="map-picture" viewBox="0 0 {width} {height}" role="{role}" '
        f'aria-labelledby="{named}-title {named}-desc" focusable="false">'
        f'<title id="{named}-title">{escape(title)}</title>'
        f'<desc id="{named}-desc">{escape(description)}</desc><g aria-hidden="true">{drawn}</g></svg>'
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
    """The view that shows the whole box in a picture of this form, with a margin around it."""
    middle_x, middle_y = (box.west + box.east) / 2, (box.south + box.north) / 2
    half_x = max(box.east - box.west, _LEAST_SPAN) / 2
    half_y = max(box.north - box.south, _LEAST_SPAN) / 2
    x, y = mercator(
        np.array([middle_x - half_x, middle_x + half_x]), np.array([middle_y + half_y, middle_y - half_y])
    )
    scale = (1 - 2 * _MARGIN) * min(width / float(x[1] - x[0]), height / float(y[1] - y[0]))
    end_x, end_y = mercator(np.array([_HELD.west, _HELD.east]), np.array([_HELD.north, _HELD.south]))
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


def _ground(view: _View, placed: Shapes) -> tuple[list[str], str, BaseGeometry]:
    """The neighbours, our land and its provinces; the coast, drawn after the units; and all of it as one."""
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
    return parts, f'<path class="map-coast" d="{_path(whole)}"/>', solid


def _sea(view: _View) -> str:
    """The sea as far as we hold the land around it; beyond, nothing is said."""
    west, north = view.point(_HELD.west, _HELD.north)
    east, south = view.point(_HELD.east, _HELD.south)
    left, top = max(west, 0.0), max(north, 0.0)
    wide, high = min(east, view.width) - left, min(south, view.height) - top
    return f'<rect class="map-sea" x="{_n(left)}" y="{_n(top)}" width="{_n(wide)}" height="{_n(high)}"/>'


def _area(one: Outline, shape: BaseGeometry, locale: str) -> str:
    drawn = _path(shape)
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


def _word(x: float, y: float, text: str, kind: str) -> str:
    return f'<text class="{kind}" x="{_n(x)}" y="{_n(y)}" text-anchor="middle">{escape(text)}</text>'


def _outline_labels(outlines: Sequence[Outline], placed: Shapes, room: _Room) -> Iterator[str]:
    """The name of each area where it has room for it: first the chosen, then the largest."""
    areas = shapely.area(placed) if len(placed) else placed
    order = sorted(
        (number for number, one in enumerate(outlines) if one.label and one.emphasis != "ground"),
        key=lambda number: (outlines[number].emphasis != "chosen", -areas[number]),
    )
    for number in order:
        one, shape = outlines[number], placed[number]
        wide = _wide(one.label, _FONT)
        left, _, right, _ = shapely.bounds(shape)
        if shapely.is_empty(shape) or (one.emphasis != "chosen" and wide > 1.15 * (right - left)):
            continue
        spot = shapely.centroid(shape)
        if not shape.covers(spot):
            spot = shapely.point_on_surface(shape)
        if room.take(spot.x - wide / 2, spot.y - _FONT * 0.75, wide, _FONT * 1.25):
            yield _word(spot.x, spot.y + _FONT * 0.3, one.label, f"map-label {one.emphasis}")


def _marker_labels(
    marks: Sequence[tuple[MapMarker, float, float]], room: _Room, reach: float
) -> Iterator[str]:
    """The label of each marker beside, above or below it, where it covers nothing."""
    for one, x, y in marks:
        wide, gap = _wide(one.label, _FONT), reach + 3
        spots: tuple[tuple[float, float], ...] = (
            (x + gap + wide / 2, y),
            (x - gap - wide / 2, y),
            (x, y - gap - _FONT * 0.5),
            (x, y + gap + _FONT * 0.5),
        )
        for across, down in spots if one.label else ():
            if room.take(across - wide / 2, down - _FONT * 0.6, wide, _FONT * 1.25):
                yield _word(across, down + _FONT * 0.35, one.label, "map-label mark")
                break


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
        drawn = (
            f'<circle class="map-mark"{key} cx="{_n(x)}" cy="{_n(y)}" r="{_n(reach * 0.8)}">{inner}</circle>'
        )
    return _led(drawn, one.path, locale)


def _archipelagos(view: _View, room: _Room, locale: str) -> Iterator[str]:
    """Hoàng Sa and Trường Sa: each island a dot that can be seen, and whose they are."""
    for one in land().archipelagos:
        dots = [(x, y) for x, y in one.islands.tolist() if view.shows(x, y)]
        if not dots:
            continue
        places = [view.point(x, y) for x, y in dots]
        drawn = "".join(f"M{_n(x)} {_n(y)}h0" for x, y in places)
        yield f'<path class="map-islet" d="{drawn}"/>'
        name = _archipelago_name(one, locale)
        held = f"({_holder(one.box)})"
        x, y = view.point(*one.islands.mean(axis=0).tolist())
        wide = max(_wide(name, _FONT), _wide(held, _FONT))
        x = min(max(x, wide / 2 + 3), view.width - wide / 2 - 3)
        lowest = max(down for _, down in places)
        y = lowest + _FONT * 1.4 if lowest + _FONT * 3 < view.height - 20 else y - _FONT * 2
        room.take(x - wide / 2, y - _FONT, wide, _FONT * 2.4)
        yield _word(x, y, name, "map-label sea")
        yield _word(x, y + _FONT * 1.15, held, "map-label sea")


@cache
def _holder(box: Box) -> str:
    """The province that an archipelago belongs to."""
    frame = shapely.box(box.west, box.south, box.east, box.north)
    inside = shapely.area(shapely.intersection(land().provinces, frame))
    return land().names[int(np.argmax(inside))]


def _sea_name(view: _View, room: _Room, solid: BaseGeometry, locale: str) -> Iterator[str]:
    """The name of the sea, where the picture has enough of it."""
    frame = shapely.box(0, 0, view.width, view.height)
    labels = [shapely.box(x, y, x + wide, y + high) for x, y, wide, high in room.taken]
    sea = shapely.difference(frame, shapely.union_all([shapely.simplify(solid, 1.5), *labels]))
    text = _SEA_NAMES.get(locale, _SEA_NAMES["vi"])
    wide = _wide(text, _FONT)
    widest = max(shapely.get_parts(sea), key=shapely.area, default=None)
    if widest is None or widest.area < wide * wide:
        return
    spot = shapely.get_point(shapely.maximum_inscribed_circle(widest, 4), 0)
    if _SEA_WATERS.contains(*view.position(spot.x, spot.y)) and room.take(
        spot.x - wide / 2, spot.y - _FONT, wide, _FONT * 1.5
    ):
        yield _word(spot.x, spot.y + _FONT * 0.3, text, "map-label sea")


def _attribution(view: _View) -> str:
    x, y = view.width - 4, view.height - 4
    return f'<text class="map-small" x="{x}" y="{y}" text-anchor="end">© {SHORT_ATTRIBUTION}</text>'


def _scale_bar(view: _View) -> str:
    """A round distance, at most a quarter of the picture wide."""
    most = min(view.width / 4, 90) * view.metres_a_unit()
    metres = 10 ** int(log10(most))
    metres *= next(step for step in (5, 2, 1) if step * metres <= most)
    wide, y = metres / view.metres_a_unit(), view.height - 8
    text = f"{metres // 1000} km" if metres >= 1000 else f"{metres} m"
    return (
        f'<path class="map-scale" d="M8 {y - 4}v4h{_n(wide)}v-4"/>'
        f'<text class="map-small" x="{_n(8 + wide / 2)}" y="{y - 3}" text-anchor="middle">{text}</text>'
    )
