"""Other people's map files, read by GDAL and moved to WGS 84 by PROJ: the one module that imports them.

What a file is, its first bytes say, not its name; GDAL is only ever given a file of the four kinds
we know, so that none of its other readers (some of which follow addresses) can be reached.
"""

import warnings
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyogrio
import shapely
from pyogrio.errors import CRSError as UnreadableSystem
from pyogrio.errors import DataLayerError, DataSourceError, FeatureError, FieldError, GeometryError
from pyogrio.raw import read
from pyproj import CRS, Transformer
from pyproj.exceptions import CRSError, ProjError

from haidang.infra.progress import _
from haidang.kernel.tiles import Shapes
from haidang.places.basemap.errors import (
    MapArchiveTooLarge,
    MapFileBroken,
    MapFileEmpty,
    MapFileKindUnknown,
    MapFileMissing,
    MapFileWithoutSystem,
    MapOutsideVietnam,
    MapSystemUnknown,
)
from haidang.places.basemap.features import (
    MapFeatures,
    MapLayer,
    Shown,
    layer_by_name,
    place_by_tags,
    read_other_tags,
    shown_by_layer,
    shown_by_tags,
    usable_name,
)
from haidang.places.land import home_ground

OUTSIDE = _("outside Vietnam, or at the islands that official units draw")
SHAPELESS = _("without a usable shape")
NOT_SHOWN = _("of a kind that a base map does not show")
"""Why features are left out: message ids."""

_VN_2000 = 4756
_WGS_84 = 4326
_WEB = 3857
_UNPACKED_LIMIT_MB = 4_000
_UNPACKED_TIMES = 100
_MOST_MEMBERS = 1_000
_NAME_FIELDS = ("name:vi", "name", "ten", "ten_duong", "tenduong", "ten_goi", "tengoi", "tên")
_ENGLISH_FIELDS = ("name:en", "name_en", "int_name", "ten_en")
_KIND_FIELDS = ("fclass", "class", "kind", "loai", "type", "subclass")


@dataclass(frozen=True, slots=True)
class MapFile:
    """A file whose kind is known, as GDAL is to be given it."""

    path: Path
    kind: str
    sources: tuple[str, ...]
    drivers: frozenset[str]


@dataclass(slots=True)
class Taken:
    """What was taken from one file, and what was left: features by reason, layers by name."""

    features: MapFeatures
    system: str
    left_out: dict[str, int]
    layers_not_understood: list[str]


def recognise(path: Path) -> MapFile:
    """The kind of a file by its first bytes; raises when it is missing, unknown or a trap."""
    try:
        with path.open("rb") as file:
            head = file.read(4096)
    except OSError:
        raise MapFileMissing(path=path) from None
    whole = (str(path),)
    if head.startswith(b"PMTiles\x03"):
        return MapFile(path, "pmtiles", whole, frozenset({"PMTiles"}))
    if head.startswith(b"SQLite format 3\0"):
        return MapFile(path, "geopackage", whole, frozenset({"GPKG"}))
    if b"OSMHeader" in head[:64]:
        return MapFile(path, "osm", whole, frozenset({"OSM"}))
    if head.startswith(b"\x00\x00\x27\x0a"):
        return MapFile(path, "shapefile", whole, frozenset({"ESRI Shapefile"}))
    if head.startswith(b"PK\x03\x04"):
        return MapFile(path, "shapefile", _zipped_shapefiles(path), frozenset({"ESRI Shapefile"}))
    raise MapFileKindUnknown(path=path)


def _zipped_shapefiles(path: Path) -> tuple[str, ...]:
    """The Shapefiles in an archive, judged by its table of contents before anything is unpacked."""
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
    except (zipfile.BadZipFile, NotImplementedError, OSError, ValueError) as trouble:
        # Besides BadZipFile, a damaged archive makes zipfile raise NotImplementedError (a version it does not
        # know), ValueError (offsets before the file) and OSError (the disk): all end in one told sentence.
        raise MapFileBroken(path=path, reason=trouble) from None
    unpacked = sum(one.file_size for one in members)
    packed = max(1, path.stat().st_size)
    if (
        len(members) > _MOST_MEMBERS
        or unpacked > _UNPACKED_LIMIT_MB * 1_000_000
        or unpacked > max(_UNPACKED_TIMES * packed, 1_000_000)
    ):
        raise MapArchiveTooLarge(path=path, limit_mb=_UNPACKED_LIMIT_MB, times=_UNPACKED_TIMES)
    found = [one.filename for one in members if one.filename.lower().endswith(".shp")]
    if not found or any(".." in Path(one).parts or one.startswith("/") for one in found):
        raise MapFileKindUnknown(path=path)
    return tuple(f"/vsizip/{{{path}}}/{one}" for one in found)


def take_features(file: MapFile, *, epsg: int | None = None) -> Taken:
    """Everything of a file that a base map shows, in WGS 84, within Vietnam.

    `epsg` says the coordinate system of a file that does not. Raises MapFileBroken, MapFileEmpty,
    MapFileWithoutSystem, MapSystemUnknown, MapOutsideVietnam.
    """
    taking = _Taking(file, epsg)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # GDAL's remarks on odd rings and fields: judged below by us
            for source in file.sources:
                taking.take(source)
    except (
        DataSourceError,
        DataLayerError,
        FeatureError,
        FieldError,
        GeometryError,
        UnreadableSystem,
        shapely.errors.GEOSException,
        UnicodeDecodeError,
        UnboundLocalError,  # pyogrio 0.13 on a coordinate system that PROJ cannot write out
    ) as bad:
        raise MapFileBroken(path=file.path, reason=_first_line(bad)) from None
    return taking.taken()


def _first_line(trouble: Exception) -> str:
    return (str(trouble).strip().splitlines() or [type(trouble).__name__])[0][:200]


class _Taking:
    """The features of one file, collected layer by layer."""

    def __init__(self, file: MapFile, epsg: int | None) -> None:
        self._file = file
        self._epsg = epsg
        self._shapes: list[Shapes] = []
        self._found = MapFeatures(np.empty(0, dtype=np.object_), [], [], [], [], [])
        self._system = ""
        self._left_out = {OUTSIDE: 0, SHAPELESS: 0, NOT_SHOWN: 0}
        self._not_understood: list[str] = []
        self._first_outside: tuple[float, float] | None = None

    def take(self, source: str) -> None:
        """Read one source: a file, or a Shapefile in an archive."""
        for name, _geometry in pyogrio.list_layers(source):
            if self._file.kind == "osm" and name == "other_relations":
                continue
            columns = self._columns(source, str(name))
            if columns is None:
                self._not_understood.append(str(name))
                continue
            meta, _, content, values = read(source, layer=name, columns=columns, encoding=None)
            fields = {
                str(field).lower(): column for field, column in zip(meta["fields"], values, strict=True)
            }
            self._take_layer(str(name), meta, content, fields)

    def _columns(self, source: str, layer: str) -> list[str] | None:
        """The fields worth reading; None for a layer that is not understood."""
        meta = pyogrio.read_info(source, layer=layer)
        if meta["driver"] not in self._file.drivers:
            raise MapFileKindUnknown(path=self._file.path)
        fields = [str(one) for one in meta["fields"]]
        if self._has_tags(fields) or layer_by_name(layer) is not None:
            wanted = {*_NAME_FIELDS, *_ENGLISH_FIELDS, *_KIND_FIELDS, *_TAG_FIELDS, "other_tags"}
            return [one for one in fields if one.lower() in wanted]
        return None

    def _has_tags(self, fields: Sequence[str]) -> bool:
        """Whether the layer has OpenStreetMap's tags as fields."""
        return self._file.kind == "osm" or len(_TELLING_FIELDS & {one.lower() for one in fields}) > 0

    def _take_layer(self, name: str, meta: dict[str, Any], content: Any, fields: dict[str, Any]) -> None:
        if content is None or not len(content):
            return
        shapes: Shapes = shapely.force_2d(shapely.from_wkb(content, on_invalid="ignore"))
        shapes = self._moved(shapes, meta.get("crs"))
        usable = ~(shapely.is_missing(shapes) | shapely.is_empty(shapes))
        finite = np.isfinite(shapely.bounds(shapes)).all(axis=1)
        self._left_out[SHAPELESS] += int((~(usable & finite)).sum())
        kept = np.flatnonzero(usable & finite)
        shapes = shapes[kept]
        dimensions = shapely.get_dimensions(shapes)
        numbers: list[int] = []
        shown: list[Shown] = []
        as_points: list[bool] = []
        tagged = self._has_tags(list(fields))
        for place, row in enumerate(kept.tolist()):
            for one, as_point in self._shown(name, fields, row, int(dimensions[place]), tagged=tagged):
                numbers.append(place)
                shown.append(one)
                as_points.append(as_point)
        self._left_out[NOT_SHOWN] += len(kept) - len(set(numbers))
        if numbers:
            chosen = shapes[numbers]
            points = np.array(as_points)
            if points.any():
                chosen[points] = shapely.point_on_surface(shapely.make_valid(chosen[points]))
            self._keep(chosen, shown, [int(kept[one]) for one in numbers], fields)

    def _shown(
        self, layer: str, fields: dict[str, Any], row: int, dimension: int, *, tagged: bool
    ) -> Iterator[tuple[Shown, bool]]:
        """How a row is shown, and whether by a point of it: an area may be land and a named place at once."""
        if tagged:
            tags = _tags(fields, row)
            first = shown_by_tags(tags, dimension)
            if first is not None:
                yield first, False
            named = place_by_tags(tags) if dimension == 2 else None
            if named is not None:
                yield named, True
            return
        known = layer_by_name(layer)
        found = (
            shown_by_layer(known, _first_of(fields, _KIND_FIELDS, row) or "", dimension) if known else None
        )
        if found is not None:
            yield found, False

    def _keep(self, shapes: Shapes, shown: list[Shown], rows: list[int], fields: dict[str, Any]) -> None:
        """Keep what lies on our ground, cut to it; places need a name in our letters."""
        ground = home_ground()
        areas = shapely.get_dimensions(shapes) == 2
        wrong = areas & ~shapely.is_valid(shapes)
        if wrong.any():
            shapes[wrong] = shapely.make_valid(shapes[wrong])
        within = shapely.covers(ground, shapes)
        crossing = ~within & shapely.intersects(ground, shapes)
        shapes[crossing] = shapely.intersection(shapes[crossing], ground)
        inside = within | (crossing & ~shapely.is_empty(shapes))
        outside = np.flatnonzero(~inside)
        self._left_out[OUTSIDE] += len(outside)
        if len(outside) and self._first_outside is None:
            at = shapely.get_coordinates(shapes[outside[0]])[0]
            self._first_outside = (round(float(at[0]), 4), round(float(at[1]), 4))
        kept: list[int] = []
        for place in np.flatnonzero(inside).tolist():
            tags = _tags(fields, rows[place])
            name = usable_name(_first(tags, _NAME_FIELDS))
            if shown[place].layer is MapLayer.PLACE and name is None:
                self._left_out[NOT_SHOWN] += 1
                continue
            kept.append(place)
            self._found.layers.append(shown[place].layer.value)
            self._found.kinds.append(shown[place].kind)
            self._found.from_zooms.append(shown[place].from_zoom)
            self._found.names.append(name)
            self._found.names_en.append(usable_name(_first(tags, _ENGLISH_FIELDS)))
        self._shapes.append(shapes[kept])

    def _moved(self, shapes: Shapes, system: object) -> Shapes:
        """Shapes in WGS 84, longitude first."""
        epsg = self._system_of(system)
        self._system = f"EPSG:{epsg}"
        if epsg == _WGS_84:
            return shapes
        mover = Transformer.from_crs(epsg, _WGS_84, always_xy=True, allow_ballpark=False, only_best=True)

        def moved(at: "np.typing.NDArray[np.float64]") -> "np.typing.NDArray[np.float64]":
            return np.column_stack(mover.transform(at[:, 0], at[:, 1]))

        try:
            found: Shapes = shapely.transform(shapes, moved)
        except ProjError as bad:
            raise MapFileBroken(path=self._file.path, reason=_first_line(bad)) from None
        return found

    def _system_of(self, system: object) -> int:
        """The EPSG number of the coordinate system, if it is one that is accepted."""
        if self._file.kind == "osm":
            return _WGS_84
        if self._epsg is None and not system:
            raise MapFileWithoutSystem(path=self._file.path)
        try:
            named = CRS.from_user_input(self._epsg or system)
            number = named.to_epsg(min_confidence=70)
        except CRSError:
            raise MapSystemUnknown(path=self._file.path, system=self._epsg or str(system)[:80]) from None
        if str(system) == "OGC:CRS84" and self._epsg is None:
            return _WGS_84
        if number == _WGS_84 or (number == _WEB and self._file.kind == "pmtiles"):
            return int(number)
        ground = named.geodetic_crs
        if number is None or ground is None or ground.to_epsg() != _VN_2000:
            raise MapSystemUnknown(path=self._file.path, system=f"{named.name} ({named.to_string()[:40]})")
        return int(number)

    def taken(self) -> Taken:
        """What was found; raises when that is nothing."""
        if not self._shapes or not any(len(one) for one in self._shapes):
            if self._first_outside is not None:
                longitude, latitude = self._first_outside
                raise MapOutsideVietnam(path=self._file.path, longitude=longitude, latitude=latitude)
            raise MapFileEmpty(path=self._file.path)
        self._found.shapes = np.concatenate(self._shapes)
        left = {why: count for why, count in self._left_out.items() if count}
        return Taken(self._found, self._system, left, self._not_understood)


_TELLING_FIELDS = frozenset({"highway", "waterway", "landuse", "building"})
_TAG_FIELDS = frozenset(
    {
        *("highway", "railway", "waterway", "natural", "landuse", "leisure", "building", "place", "amenity"),
        *("tourism", "historic", "aeroway", "boundary", "admin_level", "military"),
    }
)


def _tags(fields: dict[str, Any], row: int) -> dict[str, str]:
    """The fields of a row that say something, as tags."""
    found: dict[str, str] = {}
    for field, column in fields.items():
        value = column[row]
        if value is None or value == "" or value != value:  # noqa: PLR0124 - NaN is what GDAL gives for NULL
            continue
        if field == "other_tags":
            found = {**read_other_tags(str(value)), **found}
        else:
            found[field] = str(value)
    return found


def _first(tags: dict[str, str], names: Sequence[str]) -> str | None:
    return next((tags[one] for one in names if tags.get(one)), None)


def _first_of(fields: dict[str, Any], names: Sequence[str], row: int) -> str | None:
    return _first(_tags({name: fields[name] for name in names if name in fields}, row), names)
