"""Features cut into the tiles of an archive, from the widest zoom to the closest.

A tile's features are cut from those of the tile above it, so that a forest of ten thousand corners
is not walked along once for each of the thousand tiles it covers.
"""

import gzip
from collections.abc import Iterator

import numpy as np
import shapely

from haidang.kernel.tiles import BUFFER, EXTENT, Layer, Shapes, Tile, on_mercator, tile_bytes
from haidang.places.basemap.features import LEAST_ZOOM, MOST_ZOOM, MapFeatures, MapLayer

_SMALLEST_AREA = 24.0
"""Areas of fewer square steps are not worth a tile's bytes: a third of a screen's point."""


def tiles_of(features: MapFeatures) -> Iterator[tuple[Tile, bytes]]:
    """Every tile that has something in it, packed by gzip."""
    cutting = _Cutting(features)
    for start in cutting.starts():
        yield from cutting.below(start, *cutting.within(start))


class _Cutting:
    def __init__(self, features: MapFeatures) -> None:
        self._features = features
        self._shapes = on_mercator(features.shapes)
        self._from_zooms = np.array(features.from_zooms, dtype=np.int64)
        self._layers = np.array(features.layers, dtype=np.object_)

    def starts(self) -> list[Tile]:
        """The tiles of the widest zoom that the features reach."""
        side = float(1 << LEAST_ZOOM)
        west, north, east, south = shapely.total_bounds(self._shapes) * side
        return [
            Tile(LEAST_ZOOM, x, y)
            for x in range(int(west), min(int(east), (1 << LEAST_ZOOM) - 1) + 1)
            for y in range(int(north), min(int(south), (1 << LEAST_ZOOM) - 1) + 1)
        ]

    def within(self, tile: Tile) -> tuple[Shapes, "np.typing.NDArray[np.int64]"]:
        """The features that reach a tile, cut to it, and their numbers."""
        return _cut(self._shapes, np.arange(len(self._shapes)), tile)

    def below(
        self, tile: Tile, shapes: Shapes, numbers: "np.typing.NDArray[np.int64]"
    ) -> Iterator[tuple[Tile, bytes]]:
        """This tile and all that are within it."""
        if not len(shapes):
            return
        content = self._tile(tile, shapes, numbers)
        if content:
            yield tile, gzip.compress(content, 6, mtime=0)
        if tile.z == MOST_ZOOM:
            return
        for quarter in (0, 1, 2, 3):
            child = Tile(tile.z + 1, 2 * tile.x + (quarter & 1), 2 * tile.y + (quarter >> 1))
            yield from self.below(child, *_cut(shapes, numbers, child))

    def _tile(self, tile: Tile, shapes: Shapes, numbers: "np.typing.NDArray[np.int64]") -> bytes:
        visible = self._from_zooms[numbers] <= tile.z
        shapes, numbers = shapes[visible], numbers[visible]
        scale = float(1 << tile.z)
        step = 1.0 / (scale * EXTENT)
        if tile.z < MOST_ZOOM:
            shapes = shapely.simplify(shapes, 2 * step, preserve_topology=False)
        else:
            shapes = shapely.simplify(shapes, step, preserve_topology=False)
        corner = np.array((tile.x / scale, tile.y / scale))
        shapes = shapely.transform(shapes, lambda at: (at - corner) / step)
        layers = []
        for name in MapLayer:
            chosen = self._layers[numbers] == name.value
            if name in (MapLayer.WATER, MapLayer.LANDUSE):
                areas = shapely.area(shapes)
                chosen &= (areas >= _SMALLEST_AREA) | (shapely.get_dimensions(shapes) < 2)
            if chosen.any():
                layers.append(self._layer(name, shapes[chosen], numbers[chosen].tolist()))
        return tile_bytes(layers)

    def _layer(self, name: MapLayer, shapes: Shapes, numbers: list[int]) -> Layer:
        given = self._features
        if name is MapLayer.BUILDING:
            return Layer(name.value, shapes, {})
        return Layer(
            name.value,
            shapes,
            {
                "kind": [given.kinds[one] for one in numbers],
                "name": [given.names[one] for one in numbers],
                "name_en": [given.names_en[one] for one in numbers],
            },
        )


def _cut(
    shapes: Shapes, numbers: "np.typing.NDArray[np.int64]", tile: Tile
) -> tuple[Shapes, "np.typing.NDArray[np.int64]"]:
    """Shapes that reach a tile and its rim, cut where they go beyond."""
    side = 1.0 / (1 << tile.z)
    beyond = side * BUFFER / EXTENT
    west, north = tile.x * side - beyond, tile.y * side - beyond
    east, south = (tile.x + 1) * side + beyond, (tile.y + 1) * side + beyond
    bounds = shapely.bounds(shapes)
    meets = (
        (bounds[:, 0] <= east) & (bounds[:, 2] >= west) & (bounds[:, 1] <= south) & (bounds[:, 3] >= north)
    )
    shapes, numbers, bounds = shapes[meets], numbers[meets], bounds[meets]
    inside = (
        (bounds[:, 0] >= west) & (bounds[:, 2] <= east) & (bounds[:, 1] >= north) & (bounds[:, 3] <= south)
    )
    if not inside.all():
        shapes = shapes.copy()
        shapes[~inside] = shapely.clip_by_rect(shapes[~inside], west, north, east, south)
        left = ~shapely.is_empty(shapes)
        shapes, numbers = shapes[left], numbers[left]
    return shapes, numbers
