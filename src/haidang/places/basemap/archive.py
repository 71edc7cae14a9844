"""The archive of a base map: tiles in one PMTiles file, written once, read in place."""

import io
import mmap
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path
from typing import Any, cast

from pmtiles.tile import (
    Compression,
    TileType,
    deserialize_directory,
    deserialize_header,
    find_tile,
    zxy_to_tileid,
)
from pmtiles.writer import Writer

from haidang.kernel.geometry import Box
from haidang.kernel.tiles import Tile
from haidang.places.basemap.errors import BaseMapArchiveBroken
from haidang.places.basemap.features import LEAST_ZOOM, MOST_ZOOM, MapLayer

_HEADER_BYTES = 127
_DEEPEST = 4


def write_archive(tiles: Iterable[tuple[Tile, bytes]], box: Box, attribution: str) -> tuple[bytes, int]:
    """The archive of tiles packed by gzip, and how many there are."""
    file = io.BytesIO()
    writer = cast("Any", Writer)(file)
    count = 0
    for tile, content in sorted(tiles, key=lambda one: zxy_to_tileid(one[0].z, one[0].x, one[0].y)):
        writer.write_tile(zxy_to_tileid(tile.z, tile.x, tile.y), content)
        count += 1
    degrees = {
        "min_lon_e7": box.west,
        "min_lat_e7": box.south,
        "max_lon_e7": box.east,
        "max_lat_e7": box.north,
        "center_lon_e7": (box.west + box.east) / 2,
        "center_lat_e7": (box.south + box.north) / 2,
    }
    header = {name: round(value * 10_000_000) for name, value in degrees.items()}
    writer.finalize(
        {"tile_type": TileType.MVT, "tile_compression": Compression.GZIP, "center_zoom": 9, **header},
        {"attribution": attribution, "vector_layers": [_described(one) for one in MapLayer]},
    )
    return file.getvalue(), count


def _described(layer: MapLayer) -> dict[str, Any]:
    """A layer as readers of archives want to be told of it (TileJSON 3.0, 3.3)."""
    fields = {} if layer is MapLayer.BUILDING else {"kind": "String", "name": "String", "name_en": "String"}
    return {"id": layer.value, "fields": fields, "minzoom": LEAST_ZOOM, "maxzoom": MOST_ZOOM}


class Archive:
    """An archive that stands in a file of this machine; reading a tile touches only its part of it."""

    def __init__(self, path: Path) -> None:
        with path.open("rb") as file:
            self._content = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        try:
            self._header = deserialize_header(self._content[:_HEADER_BYTES])
        except Exception as bad:
            raise BaseMapArchiveBroken from bad
        self._directory = lru_cache(maxsize=64)(self._read_directory)

    def tile(self, tile: Tile) -> bytes | None:
        """The tile as it is kept, packed by gzip; None when nothing is there."""
        wanted = zxy_to_tileid(tile.z, tile.x, tile.y)
        offset, length = self._header["root_offset"], self._header["root_length"]
        for _ in range(_DEEPEST):
            entry = find_tile(self._directory(offset, length), wanted)
            if entry is None:
                return None
            if entry.run_length:
                start = self._header["tile_data_offset"] + entry.offset
                return self._content[start : start + entry.length]
            offset = self._header["leaf_directory_offset"] + entry.offset
            length = entry.length
        return None

    def _read_directory(self, offset: int, length: int) -> Any:
        return deserialize_directory(self._content[offset : offset + length])
