"""From other people's files to a base map of ours: read, cut, packed. Nothing is kept here.

This module reaches GDAL; import it where a map is built and nowhere else (ADR 0047).
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import shapely

from haidang.kernel.geometry import Box
from haidang.places.basemap.archive import write_archive
from haidang.places.basemap.cutting import tiles_of
from haidang.places.basemap.errors import MapLicenceNotGiven
from haidang.places.basemap.features import MapFeatures, MapLayer
from haidang.places.basemap.maps import BuiltMap
from haidang.places.basemap.reading import Taken, recognise, take_features
from haidang.places.gazetteer import named_places_of

OPENSTREETMAP = "© OpenStreetMap contributors, ODbL 1.0 (openstreetmap.org/copyright)"


@dataclass(frozen=True, slots=True)
class ReadFile:
    """A file that was read, and what was taken from it."""

    path: Path
    kind: str
    taken: Taken


def read_map_file(path: Path, *, epsg: int | None = None) -> ReadFile:
    """Read one file; raises what is wrong with it."""
    file = recognise(path)
    return ReadFile(path, file.kind, take_features(file, epsg=epsg))


def licence_of(files: Sequence[ReadFile], given: str | None) -> str:
    """The line that must stand under the map; raises MapLicenceNotGiven where nobody has said it."""
    lines = [given.strip()] if given and given.strip() else []
    for file in files:
        if file.kind == "osm" and OPENSTREETMAP not in lines:
            lines.append(OPENSTREETMAP)
        elif file.kind != "osm" and not given:
            raise MapLicenceNotGiven(path=file.path)
    return " · ".join(lines)


def build_map(files: Sequence[ReadFile], licence: str) -> BuiltMap:
    """Cut the features of all files into one archive, and gather what they name."""
    features = _together([file.taken.features for file in files])
    box = Box(*(float(one) for one in shapely.total_bounds(features.shapes)))
    archive, tiles = write_archive(tiles_of(features), box, licence)
    counted = Counter(features.layers)
    return BuiltMap(
        archive=archive,
        sources=tuple(file.path.name for file in files),
        systems=tuple(dict.fromkeys(file.taken.system for file in files)),
        licence=licence,
        features={layer.value: counted[layer.value] for layer in MapLayer if counted[layer.value]},
        tiles=tiles,
        box=box,
        named_places=tuple(named_places_of(features)),
    )


def _together(parts: Sequence[MapFeatures]) -> MapFeatures:
    return MapFeatures(
        shapes=np.concatenate([one.shapes for one in parts]),
        layers=[value for one in parts for value in one.layers],
        kinds=[value for one in parts for value in one.kinds],
        names=[value for one in parts for value in one.names],
        names_en=[value for one in parts for value in one.names_en],
        from_zooms=[value for one in parts for value in one.from_zooms],
    )
