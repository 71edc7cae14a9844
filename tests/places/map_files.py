"""Small map files of other people, as the tests of the base map need them: made here, of nothing real."""

import struct
import warnings
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyogrio
import pyogrio.raw
import shapely
from pyproj import Transformer


@dataclass(frozen=True, slots=True)
class Way:
    """A line or an outline with its tags; a closed one whose tags say so is an area."""

    positions: Sequence[tuple[float, float]]
    tags: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Extract:
    """What an OpenStreetMap extract holds: points and ways."""

    points: Sequence[tuple[tuple[float, float], Mapping[str, str]]] = ()
    ways: Sequence[Way] = field(default_factory=tuple)


def square(longitude: float, latitude: float, side: float) -> list[tuple[float, float]]:
    """A closed outline with its south-west corner there."""
    return [
        (longitude, latitude),
        (longitude + side, latitude),
        (longitude + side, latitude + side),
        (longitude, latitude + side),
        (longitude, latitude),
    ]


TOWN = Extract(
    points=[
        ((108.10, 10.93), {"place": "city", "name": "Phan Thiết", "name:en": "Phan Thiet"}),
        ((108.105, 10.935), {"amenity": "marketplace", "name": "Chợ Phan Thiết"}),
        ((108.106, 10.936), {"place": "village", "name": "潘切"}),
        ((108.30, 10.95), {"place": "state", "name": "Bang nào đó"}),
        ((112.34, 16.83), {"place": "island", "name": "Yongxing Dao"}),
        ((114.36, 10.38), {"place": "town", "name": "Itu Aba"}),
    ],
    ways=[
        Way(
            [(108.09, 10.92), (108.10, 10.93), (108.12, 10.94)],
            {"highway": "primary", "name": "Trần Hưng Đạo"},
        ),
        Way([(108.12, 10.94), (108.14, 10.95)], {"highway": "primary", "name": "Trần Hưng Đạo"}),
        Way([(108.10, 10.925), (108.11, 10.926)], {"highway": "residential", "name": "Nguyễn Huệ"}),
        Way([(108.08, 10.90), (108.10, 10.96)], {"waterway": "river", "name": "Sông Cà Ty"}),
        Way(
            [(108.0, 10.9), (108.2, 10.9)],
            {"boundary": "administrative", "admin_level": "4", "name": "Một ranh giới"},
        ),
        Way(square(108.101, 10.931, 0.0003), {"building": "yes"}),
        Way(square(108.11, 10.95, 0.01), {"natural": "water", "name": "Hồ thử"}),
        Way(square(108.13, 10.95, 0.01), {"landuse": "forest"}),
        Way(square(108.10, 10.94, 0.003), {"amenity": "hospital", "name": "Bệnh viện thử"}),
        Way(square(111.0, 15.0, 3), {"natural": "water", "name": "South Sea"}),
        Way([(112.3, 16.8), (112.4, 16.9)], {"highway": "primary", "name": "Beijing Lu"}),
    ],
)
"""A made-up Phan Thiết, with what must not be taken over: borders, foreign words, the islands."""


def write_osm_pbf(path: Path, extract: Extract = TOWN) -> Path:
    """Write an .osm.pbf by hand: a block of nodes and one of ways (OpenStreetMap wiki, "PBF Format")."""
    strings: dict[str, int] = {"": 0}

    def text(value: str) -> int:
        return strings.setdefault(value, len(strings))

    nodes, ways, number = b"", b"", 0
    for position, tags in extract.points:
        number += 1
        nodes += _field(1, _node(number, position, tags, text))
    for way_number, way in enumerate(extract.ways, 1):
        references = []
        for position in way.positions[: -1 if way.positions[0] == way.positions[-1] else None]:
            number += 1
            references.append(number)
            nodes += _field(1, _node(number, position, {}, text))
        if way.positions[0] == way.positions[-1]:
            references.append(references[0])
        steps = [now - before for before, now in zip([0, *references], references, strict=False)]
        ways += _field(
            3,
            _number(1, way_number)
            + _field(2, b"".join(_varint(text(key)) for key in way.tags))
            + _field(3, b"".join(_varint(text(value)) for value in way.tags.values()))
            + _field(8, b"".join(_varint(_zigzag(step)) for step in steps)),
        )
    table = _field(1, b"".join(_field(1, one.encode()) for one in strings))
    header = _field(4, b"OsmSchema-V0.6") + _field(16, b"haidang-test")
    blocks = [
        ("OSMHeader", header),
        ("OSMData", table + _field(2, nodes)),
        ("OSMData", table + _field(2, ways)),
    ]
    path.write_bytes(b"".join(_blob(kind, content) for kind, content in blocks))
    return path


def _node(number: int, position: tuple[float, float], tags: Mapping[str, str], text: Any) -> bytes:
    content = _number(1, _zigzag(number))
    if tags:
        content += _field(2, b"".join(_varint(text(key)) for key in tags))
        content += _field(3, b"".join(_varint(text(value)) for value in tags.values()))
    content += _number(8, _zigzag(round(position[1] * 10_000_000)))
    return content + _number(9, _zigzag(round(position[0] * 10_000_000)))


def _blob(kind: str, content: bytes) -> bytes:
    blob = _number(2, len(content)) + _field(3, zlib.compress(content))
    header = _field(1, kind.encode()) + _number(3, len(blob))
    return struct.pack("!I", len(header)) + header + blob


def _zigzag(number: int) -> int:
    return number << 1 if number >= 0 else ((-number) << 1) - 1


def _varint(number: int) -> bytes:
    found = bytearray()
    while number >= 0x80:
        found.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*found, number])


def _number(tag: int, value: int) -> bytes:
    return _varint(tag << 3) + _varint(value)


def _field(tag: int, content: bytes) -> bytes:
    return _varint(tag << 3 | 2) + _varint(len(content)) + content


def write_layer(
    path: Path,
    geometries: Sequence[Any],
    fields: Mapping[str, Sequence[str]],
    *,
    layer: str,
    epsg: int | None,
    moved_to: int | None = None,
    driver: str = "GPKG",
) -> Path:
    """Write a layer of shapes given in WGS 84, moved to a system: `moved_to`, or the one written down."""
    system = moved_to or epsg or 4326
    mover = Transformer.from_crs(4326, system, always_xy=True)
    shapes = np.empty(len(geometries), dtype=np.object_)
    shapes[:] = geometries
    shapes = shapely.transform(shapes, lambda at: np.column_stack(mover.transform(at[:, 0], at[:, 1])))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that a file has no system is what some tests want
        _write(path, shapes, fields, geometries[0].geom_type, epsg=epsg, layer=layer, driver=driver)
    return path


def _write(
    path: Path,
    shapes: Any,
    fields: Mapping[str, Sequence[str]],
    geometry_type: str,
    *,
    epsg: int | None,
    layer: str,
    driver: str,
) -> None:
    pyogrio.raw.write(
        path,
        geometry=shapely.to_wkb(shapes),
        field_data=[np.array(list(values), dtype=object) for values in fields.values()],
        fields=list(fields),
        geometry_type=geometry_type,
        crs=None if epsg is None else f"EPSG:{epsg}",
        layer=layer,
        driver=driver,
        append=path.exists() and driver == "GPKG",
    )
