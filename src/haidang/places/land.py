"""The land that every map is drawn on: the provinces of today, coarse, the islands, the neighbours.

It is carried in the program (`facts/land.json`, by tools/carry_land.py), so a map has its ground
before anything was ever imported.
"""

import hashlib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import shapely

from haidang.kernel.geometry import Box
from haidang.kernel.tiles import Floats, Layer, PointLayer, Shapes, Tile, cut, on_mercator, tile_bytes

ATTRIBUTION = (
    "Nhà xuất bản Tài nguyên, Môi trường và Bản đồ Việt Nam (sapnhap.bando.com.vn), "
    "vietnamese-provinces-database (MIT), Natural Earth"
)
NEAR_SHORE_DEGREES = 0.03
"""How far beyond the coarse outline something may lie and still be taken for ours: about 3 km."""

_FILE = Path(__file__).parent / "facts" / "land.json"


@dataclass(frozen=True, slots=True)
class Archipelago:
    """One of the two archipelagos: its names, the box of sea around it, and its islands."""

    name: str
    name_en: str
    box: Box
    islands: Floats


@dataclass(frozen=True, slots=True)
class Land:
    """What is carried: shapes in degrees, and the same on the map's square."""

    version: str
    codes: tuple[str, ...]
    names: tuple[str, ...]
    full_names: tuple[str, ...]
    provinces: Shapes
    provinces_on_map: Shapes
    neighbours_on_map: Shapes
    archipelagos: tuple[Archipelago, ...]


@cache
def land() -> Land:
    """The carried land, read once."""
    content = _FILE.read_bytes()
    facts = orjson.loads(content)
    steps = facts["steps_a_degree"]
    provinces = _shapes(facts["provinces"], steps)
    parts = shapely.get_parts(provinces)
    at = shapely.get_coordinates(shapely.centroid(parts))
    archipelagos = []
    for one in facts["archipelagos"]:
        box = Box(*one["box"])
        within = [box.contains(longitude, latitude) for longitude, latitude in at]
        archipelagos.append(Archipelago(one["name"], one["name_en"], box, at[within]))
    return Land(
        version=hashlib.sha256(content).hexdigest()[:12],
        codes=tuple(one["code"] for one in facts["provinces"]),
        names=tuple(one["name"] for one in facts["provinces"]),
        full_names=tuple(one["full_name"] for one in facts["provinces"]),
        provinces=provinces,
        provinces_on_map=on_mercator(provinces),
        neighbours_on_map=on_mercator(_shapes(facts["neighbours"], steps)),
        archipelagos=tuple(archipelagos),
    )


def home_ground() -> Any:
    """The provinces without the two archipelagos, and a strip of sea: where other people's maps may speak.

    What a file says of Hoàng Sa and Trường Sa is never drawn; the official units draw them.

    Whoever asks gets a shape of their own: a prepared one may be asked by one thread at a time only
    (libgeos/geos issue 825).
    """
    ground = shapely.from_wkb(_home_ground())
    shapely.prepare(ground)
    return ground


@cache
def _home_ground() -> bytes:
    parts = shapely.get_parts(land().provinces)
    at = shapely.get_coordinates(shapely.centroid(parts))
    far = [any(one.box.contains(x, y) for one in land().archipelagos) for x, y in at]
    ground = shapely.buffer(shapely.union_all(parts[~np.array(far)]), NEAR_SHORE_DEGREES, quad_segs=2)
    drawn: bytes = shapely.to_wkb(ground)
    return drawn


def land_tile(tile: Tile) -> bytes:
    """A tile of the land: `neighbour`, `province`, and the islands of the archipelagos as points too.

    The islands are smaller than a step on most maps; a point (kind `islet`) keeps them in sight, and
    each archipelago has one that bears its name (kind `archipelago`).
    """
    ground = land()
    return tile_bytes(
        [
            Layer("neighbour", cut(ground.neighbours_on_map, tile), {}),
            Layer(
                "province",
                cut(ground.provinces_on_map, tile),
                {"code": ground.codes, "name": ground.names, "full_name": ground.full_names},
            ),
            _islands(ground, tile),
        ]
    )


def _islands(ground: Land, tile: Tile) -> PointLayer:
    positions = [
        (x, y, "islet", None, None) for one in ground.archipelagos for x, y in one.islands.tolist()
    ] + [
        (*one.islands.mean(axis=0).tolist(), "archipelago", one.name, one.name_en)
        for one in ground.archipelagos
    ]
    box = tile.box()
    kept = [one for one in positions if box.contains(one[0], one[1])]
    x, y = tile.steps(np.array([one[0] for one in kept]), np.array([one[1] for one in kept]))
    return PointLayer(
        "island",
        x,
        y,
        {
            "kind": [one[2] for one in kept],
            "name": [one[3] for one in kept],
            "name_en": [one[4] for one in kept],
        },
    )


def _shapes(features: list[dict[str, Any]], steps_a_degree: int) -> Shapes:
    """Shapes of features whose rings are differences of steps."""
    found = np.empty(len(features), dtype=np.object_)
    for place, feature in enumerate(features):
        polygons = [
            shapely.Polygon(_ring(outer, steps_a_degree), [_ring(hole, steps_a_degree) for hole in holes])
            for outer, *holes in feature["polygons"]
        ]
        found[place] = shapely.make_valid(shapely.MultiPolygon(polygons))
    return found


def _ring(differences: list[int], steps_a_degree: int) -> Floats:
    corners: Floats = np.cumsum(np.array(differences, dtype=np.int64).reshape(-1, 2), axis=0) / steps_a_degree
    return corners
