"""Vector tiles: the grid of web maps, cutting shapes to a tile, and the bytes of the tile.

The grid is the usual one (Web Mercator, 2^z by 2^z tiles, y to the south). A tile is written as
Mapbox Vector Tile 2.1: whole arrays at a time, because a feature-by-feature writer takes longer
than a tile may (ADR 0045 has the figures).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import atan, degrees, pi, sinh
from typing import TypeAlias

import numpy as np
import shapely
from numpy.typing import NDArray

from haidang.kernel.errors import NotFound
from haidang.kernel.geometry import Box

EXTENT = 4096
"""Steps along one side of a tile."""
BUFFER = 64
"""Steps that shapes reach over the edge, so that no line is drawn along it."""
MOST_ZOOM = 18
"""The closest zoom a tile is made for; maps enlarge it beyond that."""
CELL_ZOOM = 22
"""The zoom whose tiles are the cells by which places are kept in order: 10 m a side in Vietnam."""

Floats: TypeAlias = NDArray[np.float64]
Integers: TypeAlias = NDArray[np.int64]
Shapes: TypeAlias = NDArray[np.object_]
Value: TypeAlias = str | int | float | bool | None

_LATITUDE_LIMIT = 85.0511287798066
_POINT, _LINE, _POLYGON = 1, 2, 3


class TileOutsideGrid(NotFound):
    """There is no tile {z}/{x}/{y}; zoom goes from 0 to {most}."""


@dataclass(frozen=True, slots=True)
class Tile:
    """One square of the grid."""

    z: int
    x: int
    y: int

    def box(self, *, buffer: float = 0.0) -> Box:
        """Its longitudes and latitudes, and `buffer` (in sides of the tile) beyond each edge."""
        return Box(
            _longitude(self.x - buffer, self.z),
            _latitude(self.y + 1 + buffer, self.z),
            _longitude(self.x + 1 + buffer, self.z),
            _latitude(self.y - buffer, self.z),
        )

    def cells(self) -> tuple[int, int]:
        """The first and the last of the cells in it: in the order they are kept, one unbroken stretch."""
        shift = 2 * (CELL_ZOOM - self.z)
        first = _interleaved(self.x, self.y) << shift
        return first, first + (1 << shift) - 1

    def steps(self, longitudes: Floats, latitudes: Floats) -> tuple[Floats, Floats]:
        """Positions in steps from the tile's north-west corner, fractions kept."""
        x, y = mercator(longitudes, latitudes)
        scale = float(1 << self.z)
        return (x * scale - self.x) * EXTENT, (y * scale - self.y) * EXTENT


def check_tile(z: int, x: int, y: int, *, most: int = MOST_ZOOM) -> Tile:
    """The tile of these numbers; raises TileOutsideGrid."""
    if not (0 <= z <= most and 0 <= x < 1 << z and 0 <= y < 1 << z):
        raise TileOutsideGrid(z=z, x=x, y=y, most=most)
    return Tile(z, x, y)


def mercator(longitudes: Floats, latitudes: Floats) -> tuple[Floats, Floats]:
    """Positions on the map as a square from 0 to 1, y to the south."""
    bounded = np.clip(latitudes, -_LATITUDE_LIMIT, _LATITUDE_LIMIT)
    return (longitudes + 180.0) / 360.0, 0.5 - np.arcsinh(np.tan(np.radians(bounded))) / (2 * pi)


def on_mercator(shapes: Shapes) -> Shapes:
    """Shapes in degrees as shapes in the square from 0 to 1."""

    def moved(coordinates: Floats) -> Floats:
        return np.column_stack(mercator(coordinates[:, 0], coordinates[:, 1]))

    changed: Shapes = shapely.transform(shapes, moved)
    return changed


def cut(shapes: Shapes, tile: Tile) -> Shapes:
    """Shapes of the square as shapes in steps of a tile, cut to it; what is left of some may be empty.

    Lines and outlines are thinned to a step first, since nothing smaller can be seen.
    """
    scale = float(1 << tile.z)
    step = 1.0 / (scale * EXTENT)
    beyond = BUFFER * step
    west, north = tile.x / scale, tile.y / scale
    side = 1.0 / scale
    kept = shapely.clip_by_rect(
        shapes, west - beyond, north - beyond, west + side + beyond, north + side + beyond
    )
    kept = shapely.simplify(kept, step, preserve_topology=False)
    placed: Shapes = shapely.transform(kept, lambda at: (at - (west, north)) / step)
    return placed


@dataclass(frozen=True, slots=True)
class Layer:
    """One layer of a tile: a shape in steps for each feature, and its properties, column by column.

    A property that is None is left out. Empty shapes, and those smaller than a step, are left out.
    """

    name: str
    shapes: Shapes
    properties: Mapping[str, Sequence[Value]]


@dataclass(frozen=True, slots=True)
class PointLayer:
    """A layer of points, given as arrays of steps."""

    name: str
    x: Floats
    y: Floats
    properties: Mapping[str, Sequence[Value]]


def tile_bytes(layers: Sequence[Layer | PointLayer]) -> bytes:
    """The tile; empty when nothing is in it."""
    return b"".join(found for layer in layers if (found := _layer_bytes(layer)))


def _layer_bytes(layer: Layer | PointLayer) -> bytes:
    columns = _Columns(layer.properties)
    if isinstance(layer, PointLayer):
        numbers = np.arange(len(layer.x))
        features = _features(columns, _POINT, *_point_commands(numbers, layer.x, layer.y))
    else:
        features = [
            one
            for kind, commands in (
                (_POINT, _commands_of_points),
                (_LINE, _commands_of_lines),
                (_POLYGON, _commands_of_polygons),
            )
            for one in _features(columns, kind, *commands(layer.shapes))
        ]
    if not features:
        return b""
    parts = [b"\x78\x02", _block(0x0A, layer.name.encode()), *features]
    parts += [_block(0x1A, name.encode()) for name in columns.names]
    parts += columns.values
    parts.append(b"\x28" + _varint(EXTENT))
    return _block(0x1A, b"".join(parts))


class _Columns:
    """Properties as the standard keeps them: each name once, each value once, features hold numbers."""

    def __init__(self, properties: Mapping[str, Sequence[Value]]) -> None:
        self.names = list(properties)
        self.values: list[bytes] = []
        self._known: dict[tuple[type, Value], int] = {}
        self._columns = [
            (_varint(place), [self._number(value) for value in column])
            for place, column in enumerate(properties.values())
        ]

    def of(self, feature: int) -> bytes:
        """The names and values of one feature."""
        return b"".join(
            name + value for name, column in self._columns if (value := column[feature]) is not None
        )

    def _number(self, value: Value) -> bytes | None:
        if value is None:
            return None
        number = self._known.setdefault((type(value), value), len(self.values))
        if number == len(self.values):
            self.values.append(_block(0x22, _value(value)))
        return _varint(number)


def _value(value: str | float) -> bytes:
    if isinstance(value, str):
        return _block(0x0A, value.encode())
    if isinstance(value, bool):
        return b"\x38" + _varint(int(value))
    if isinstance(value, int):
        return b"\x28" + _varint(value) if value >= 0 else b"\x30" + _varint(((-value) << 1) - 1)
    return b"\x19" + np.float64(value).tobytes()


def _block(tag: int, content: bytes) -> bytes:
    return bytes((tag,)) + _varint(len(content)) + content


def _varint(number: int) -> bytes:
    if number < 0x80:
        return bytes((number,))
    found = bytearray()
    while number >= 0x80:
        found.append(number & 0x7F | 0x80)
        number >>= 7
    found.append(number)
    return bytes(found)


def _features(
    columns: _Columns, kind: int, numbers: Integers, commands: Integers, ends: Integers
) -> list[bytes]:
    """Feature messages: `numbers` name the features, `ends` say where the commands of each one end."""
    if not len(numbers):
        return []
    packed, widths = _varints(commands)
    stops = np.concatenate(([0], np.cumsum(widths)))[ends].tolist()
    found, start = [], 0
    for number, stop in zip(numbers.tolist(), stops, strict=True):
        geometry = packed[start:stop]
        start = stop
        tags = columns.of(number)
        content = (_block(0x12, tags) if tags else b"") + bytes((0x18, kind)) + _block(0x22, geometry)
        found.append(_block(0x12, content))
    return found


def _varints(numbers: Integers) -> tuple[bytes, Integers]:
    """Numbers under 2^35 as variable-length integers, and how many bytes each takes."""
    widths = 1 + sum((numbers >= 1 << 7 * more).astype(np.int64) for more in range(1, 5))
    widths = np.asarray(widths, dtype=np.int64)
    starts = np.cumsum(widths) - widths
    packed = np.zeros(int(widths.sum()), dtype=np.uint8)
    for place in range(int(widths.max(initial=0))):
        has = widths > place
        more = (widths[has] > place + 1) * 0x80
        packed[starts[has] + place] = ((numbers[has] >> 7 * place) & 0x7F) | more
    return packed.tobytes(), widths


def _zigzag(numbers: Integers) -> Integers:
    return (numbers << 1) ^ (numbers >> 63)


def _point_commands(numbers: Integers, x: Floats, y: Floats) -> tuple[Integers, Integers, Integers]:
    commands = np.empty((len(numbers), 3), dtype=np.int64)
    commands[:, 0] = 9  # move to, once
    commands[:, 1] = _zigzag(np.floor(x).astype(np.int64))
    commands[:, 2] = _zigzag(np.floor(y).astype(np.int64))
    return numbers, commands.ravel(), 3 * (np.arange(len(numbers)) + 1)


def _commands_of_points(shapes: Shapes) -> tuple[Integers, Integers, Integers]:
    numbers = np.flatnonzero((shapely.get_type_id(shapes) == 0) & ~shapely.is_empty(shapes))
    points = shapes[numbers]
    return _point_commands(numbers, shapely.get_x(points), shapely.get_y(points))


def _commands_of_lines(shapes: Shapes) -> tuple[Integers, Integers, Integers]:
    parts, owners = _parts(shapes, 1)
    coordinates, part_of = shapely.get_coordinates(parts, return_index=True)
    return _path_commands(np.rint(coordinates).astype(np.int64), owners[part_of], part_of, closed=False)


def _commands_of_polygons(shapes: Shapes) -> tuple[Integers, Integers, Integers]:
    parts, owners = _parts(shapes, 3)
    rings, polygon_of = shapely.get_rings(parts, return_index=True)
    coordinates, ring_of = shapely.get_coordinates(rings, return_index=True)
    steps = np.rint(coordinates).astype(np.int64)
    outer = np.diff(polygon_of, prepend=-1) != 0
    wanted = _wound(steps, ring_of, outer)
    return _path_commands(steps[wanted], owners[polygon_of[ring_of[wanted]]], ring_of[wanted], closed=True)


def _parts(shapes: Shapes, kind: int) -> tuple[Shapes, Integers]:
    """The single lines or polygons of shapes, also of those within collections, and whose they are."""
    parts, owners = shapely.get_parts(shapes, return_index=True)
    while (shapely.get_type_id(parts) > 3).any():
        parts, within = shapely.get_parts(parts, return_index=True)
        owners = owners[within]
    kept = (shapely.get_type_id(parts) == kind) & ~shapely.is_empty(parts)
    return parts[kept], owners[kept]


def _wound(steps: Integers, ring_of: Integers, outer: NDArray[np.bool_]) -> Integers:
    """The order of corners in which outer rings turn clockwise on the screen and holes the other way.

    Rings without an area are left out, and the last corner, which repeats the first.
    """
    count = len(outer)
    if not count:
        return np.empty(0, dtype=np.int64)
    sizes = np.bincount(ring_of, minlength=count)
    starts = np.cumsum(sizes) - sizes
    following = np.roll(steps, -1, axis=0)
    crossed = steps[:, 0] * following[:, 1] - following[:, 0] * steps[:, 1]
    crossed[starts + sizes - 1] = 0
    areas = np.add.reduceat(crossed, starts)
    places = np.arange(len(steps))
    turned = np.where(((areas > 0) != outer)[ring_of], (2 * starts + sizes - 1)[ring_of] - places, places)
    last = np.zeros(len(steps), dtype=bool)
    last[starts + sizes - 1] = True
    order: Integers = turned[(areas != 0)[ring_of] & ~last]
    return order


def _path_commands(
    steps: Integers, owners: Integers, path_of: Integers, *, closed: bool
) -> tuple[Integers, Integers, Integers]:
    """Commands of lines or rings: positions that repeat the one before are left out, then short paths."""
    least = 3 if closed else 2
    new_path = np.diff(path_of, prepend=-1) != 0
    moves = new_path | (np.diff(steps, axis=0, prepend=-1) != 0).any(axis=1)
    steps, owners, path_of = steps[moves], owners[moves], path_of[moves]
    lengths = np.bincount(path_of) if len(path_of) else np.empty(0, dtype=np.int64)
    enough = (lengths >= least)[path_of]
    steps, owners, path_of = steps[enough], owners[enough], path_of[enough]
    if not len(steps):
        nothing = np.empty(0, dtype=np.int64)
        return nothing, nothing, nothing
    begins = np.flatnonzero(np.diff(path_of, prepend=-1) != 0)
    sizes = np.diff(np.append(begins, len(steps)))
    moved = np.diff(steps, axis=0, prepend=0)
    first_of_owner = np.flatnonzero(np.diff(owners, prepend=-1) != 0)
    moved[first_of_owner] = steps[first_of_owner]
    moved = _zigzag(moved)
    taken = 2 * sizes + (3 if closed else 2)
    outputs = np.cumsum(taken) - taken
    commands = np.empty(int(taken.sum()), dtype=np.int64)
    within = np.arange(len(steps)) - np.repeat(begins, sizes)
    at = np.repeat(outputs, sizes) + np.where(within == 0, 1, 2 * within + 2)
    commands[at], commands[at + 1] = moved[:, 0], moved[:, 1]
    commands[outputs] = 9  # move to, once
    commands[outputs + 3] = (sizes - 1) << 3 | 2  # line to, so many times
    if closed:
        commands[outputs + taken - 1] = 15  # back to where it began
    path_owners = owners[begins]
    last_paths = np.append(np.flatnonzero(np.diff(path_owners)), len(begins) - 1)
    return path_owners[last_paths], commands, (outputs + taken)[last_paths]


def _longitude(x: float, z: int) -> float:
    return x / (1 << z) * 360.0 - 180.0


def _latitude(y: float, z: int) -> float:
    return degrees(atan(sinh(pi * (1 - 2 * y / (1 << z)))))


def _interleaved(x: int, y: int) -> int:
    """The bits of x and y by turns, y's the higher: neighbours in the plane stay together in the row."""
    found = 0
    for bit in range(CELL_ZOOM):
        found |= (x >> bit & 1) << 2 * bit | (y >> bit & 1) << 2 * bit + 1
    return found
