"""Other people's map files: what is taken from them, what never is, and what a wrong one says."""

import gzip
import zipfile
from pathlib import Path
from typing import Any

import mapbox_vector_tile
import numpy as np
import pytest
import shapely

from haidang.kernel.errors import HaidangError
from haidang.kernel.tiles import Tile, mercator
from haidang.places.basemap.archive import Archive
from haidang.places.basemap.building import OPENSTREETMAP, build_map, licence_of, read_map_file
from haidang.places.basemap.errors import (
    MapArchiveTooLarge,
    MapFileBroken,
    MapFileEmpty,
    MapFileKindUnknown,
    MapFileMissing,
    MapFileWithoutSystem,
    MapLicenceNotGiven,
    MapOutsideVietnam,
    MapSystemUnknown,
)
from haidang.places.basemap.features import MapFeatures, layer_by_name, shown_by_tags, usable_name
from haidang.places.gazetteer import named_places_of
from tests.places.map_files import TOWN, Extract, Way, square, write_layer, write_osm_pbf

STREET = shapely.LineString([(108.10, 10.93), (108.11, 10.94), (108.13, 10.94)])
STREET_FIELDS = {"ten": ["Võ Thị Sáu"], "loai": ["primary"]}


def taken(path: Path, epsg: int | None = None) -> MapFeatures:
    return read_map_file(path, epsg=epsg).taken.features


def rows(features: MapFeatures) -> list[tuple[str, str, str | None]]:
    return sorted(zip(features.layers, features.kinds, features.names, strict=True), key=str)


def shapefile(folder: Path, **how: Any) -> Path:
    return write_layer(
        folder / "duong.shp", [STREET], STREET_FIELDS, layer="duong", driver="ESRI Shapefile", **how
    )


def zipped(folder: Path) -> Path:
    shapefile(folder, epsg=9218)
    path = folder / "duong.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for part in folder.glob("duong.*"):
            if part != path:
                archive.write(part, part.name)
    return path


def test_an_extract_of_openstreetmap_is_taken_over_in_our_layers(tmp_path: Path) -> None:
    features = taken(write_osm_pbf(tmp_path / "town.osm.pbf"))
    assert rows(features) == sorted(
        [
            ("building", "building", None),
            ("landuse", "hospital", "Bệnh viện thử"),
            ("landuse", "wood", None),
            ("place", "city", "Phan Thiết"),
            ("place", "hospital", "Bệnh viện thử"),
            ("place", "market", "Chợ Phan Thiết"),
            ("street", "local", "Nguyễn Huệ"),
            ("street", "primary", "Trần Hưng Đạo"),
            ("street", "primary", "Trần Hưng Đạo"),
            ("water", "river", "Sông Cà Ty"),
            ("water", "water", "Hồ thử"),
        ],
        key=str,
    )
    assert features.names_en[features.names.index("Phan Thiết")] == "Phan Thiet"


def test_no_boundary_no_country_and_nothing_among_the_islands_is_taken_over(tmp_path: Path) -> None:
    read = read_map_file(write_osm_pbf(tmp_path / "town.osm.pbf"))
    names = {name for name in read.taken.features.names if name}
    assert names.isdisjoint(
        {"Yongxing Dao", "Itu Aba", "South Sea", "Beijing Lu", "Một ranh giới", "Bang nào đó", "潘切"}
    )
    assert shapely.total_bounds(read.taken.features.shapes)[2] < 109.6
    assert sum(read.taken.left_out.values()) == 7


def test_a_shape_that_reaches_over_the_border_is_cut_at_it(tmp_path: Path) -> None:
    far = Extract(ways=[Way([(108.1, 10.93), (116.0, 10.93)], {"highway": "primary", "name": "Ra khơi"})])
    (line,) = taken(write_osm_pbf(tmp_path / "far.osm.pbf", far)).shapes
    assert line.bounds[2] < 109.6


@pytest.mark.parametrize("epsg", [9217, 9218, 5899, 3406, 4756, 4326])
def test_every_accepted_system_leads_to_the_same_place(tmp_path: Path, epsg: int) -> None:
    path = write_layer(tmp_path / "a.gpkg", [STREET], STREET_FIELDS, layer="giao thông", epsg=epsg)
    features = taken(path)
    assert rows(features) == [("street", "primary", "Võ Thị Sáu")]
    assert shapely.get_coordinates(features.shapes) == pytest.approx(
        shapely.get_coordinates(STREET), abs=1e-7
    )


def test_vn_2000_is_not_taken_for_wgs_84(tmp_path: Path) -> None:
    """The two differ by about 190 m: a map that is off by a street would be drawn without this."""
    path = write_layer(tmp_path / "a.gpkg", [STREET], STREET_FIELDS, layer="duong", epsg=4326, moved_to=4756)
    off = shapely.get_coordinates(taken(path).shapes) - shapely.get_coordinates(STREET)
    assert np.hypot(*off.T).min() * 111_000 == pytest.approx(190, abs=40)


def test_a_file_that_does_not_say_its_system_can_be_told(tmp_path: Path) -> None:
    path = shapefile(tmp_path, epsg=None, moved_to=9218)
    with pytest.raises(MapFileWithoutSystem):
        taken(path)
    assert shapely.get_coordinates(taken(path, 9218).shapes)[0] == pytest.approx((108.10, 10.93), abs=1e-6)
    with pytest.raises(MapSystemUnknown):
        taken(path, 3857)
    with pytest.raises(MapSystemUnknown):
        taken(path, 999_999)


@pytest.mark.parametrize(
    ("written", "wrong"),
    [
        (b"garbage", MapFileWithoutSystem),
        (b'PROJCS["VN', MapFileBroken),
        (b'LOCAL_CS["x"]', MapSystemUnknown),
        (b'GEOGCS["a",DATUM["b",SPHEROID["c",-1,-1]],PRIMEM["G",0],UNIT["d",0]]', MapFileBroken),
    ],
)
def test_a_system_that_cannot_be_understood_is_refused(
    tmp_path: Path, written: bytes, wrong: type[HaidangError]
) -> None:
    path = shapefile(tmp_path, epsg=9218)
    path.with_suffix(".prj").write_bytes(written)
    with pytest.raises(wrong):
        read_map_file(path)


def test_a_shapefile_may_come_zipped(tmp_path: Path) -> None:
    assert rows(taken(zipped(tmp_path))) == [("street", "primary", "Võ Thị Sáu")]


def test_layers_are_known_by_their_names_and_boundaries_are_left(tmp_path: Path) -> None:
    path = write_layer(tmp_path / "a.gpkg", [STREET], STREET_FIELDS, layer="giao_thong", epsg=9218)
    write_layer(path, [STREET], {"ten": ["x"]}, layer="Ranh giới xã", epsg=9218)
    read = read_map_file(path)
    assert rows(read.taken.features) == [("street", "primary", "Võ Thị Sáu")]
    assert read.taken.layers_not_understood == ["Ranh giới xã"]
    assert layer_by_name("Thủy hệ") == "water"
    assert layer_by_name("Ranh giới giao thông") is None


def test_an_archive_of_ours_can_be_read_again(tmp_path: Path) -> None:
    read = [read_map_file(write_osm_pbf(tmp_path / "town.osm.pbf"))]
    (tmp_path / "a.pmtiles").write_bytes(build_map(read, licence_of(read, None)).archive)
    again = taken(tmp_path / "a.pmtiles")
    assert set(rows(again)) == set(rows(read[0].taken.features))
    with pytest.raises(MapLicenceNotGiven):
        licence_of([read_map_file(tmp_path / "a.pmtiles")], None)


@pytest.mark.parametrize(
    ("content", "wrong"),
    [
        (b"", MapFileKindUnknown),
        (b"<VRTDataset><SourceFilename>/etc/passwd</SourceFilename></VRTDataset>", MapFileKindUnknown),
        (b'{"type": "FeatureCollection", "features": []}', MapFileKindUnknown),
        (b"PK\x03\x04 not an archive", MapFileBroken),
        (b"SQLite format 3\0" + bytes(200), MapFileBroken),
        (b"PMTiles\x03" + bytes(200), MapFileBroken),
        (b"\x00\x00\x00\x0d\x0a\x09OSMHeader\x18\x05hello", MapFileBroken),
        (b"\x00\x00\x27\x0a" + bytes(96), MapFileBroken),
    ],
)
def test_what_is_no_map_is_refused_with_its_reason(
    tmp_path: Path, content: bytes, wrong: type[HaidangError]
) -> None:
    path = tmp_path / "map.osm.pbf"
    path.write_bytes(content)
    with pytest.raises(wrong):
        read_map_file(path)


def test_a_file_that_is_cut_short_is_refused(tmp_path: Path) -> None:
    whole = write_osm_pbf(tmp_path / "town.osm.pbf").read_bytes()
    (tmp_path / "cut.osm.pbf").write_bytes(whole[: len(whole) * 2 // 3])
    with pytest.raises(MapFileBroken):
        read_map_file(tmp_path / "cut.osm.pbf")


def test_an_archive_of_a_version_nobody_writes_is_refused(tmp_path: Path) -> None:
    content = bytearray(zipped(tmp_path).read_bytes())
    content[content.rindex(b"PK\x01\x02") + 6] = 250  # the version needed to unpack
    (tmp_path / "odd.zip").write_bytes(content)
    with pytest.raises(MapFileBroken):
        read_map_file(tmp_path / "odd.zip")


def test_a_missing_file_and_an_address_are_not_opened(tmp_path: Path) -> None:
    for path in (tmp_path / "none.gpkg", tmp_path, Path("/vsicurl/https://example.org/a.gpkg")):
        with pytest.raises(MapFileMissing):
            read_map_file(path)


def test_an_archive_that_unpacks_to_a_hundred_times_its_size_is_not_opened(tmp_path: Path) -> None:
    path = tmp_path / "bomb.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("duong.shp", bytes(30_000_000))
    with pytest.raises(MapArchiveTooLarge):
        read_map_file(path)


def test_an_archive_without_a_shapefile_is_no_map(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("../../evil.shp", b"x")
    with pytest.raises(MapFileKindUnknown):
        read_map_file(path)


def test_a_map_of_nothing_and_a_map_of_elsewhere_say_so(tmp_path: Path) -> None:
    nothing = Extract(points=[((108.1, 10.93), {"name": "Không rõ là gì"})])
    with pytest.raises(MapFileEmpty):
        taken(write_osm_pbf(tmp_path / "a.osm.pbf", nothing))
    elsewhere = Extract(ways=[Way([(2.3, 48.8), (2.4, 48.9)], {"highway": "primary"})])
    with pytest.raises(MapOutsideVietnam, match=r"2\.3, 48\.8"):
        taken(write_osm_pbf(tmp_path / "b.osm.pbf", elsewhere))


def test_the_licence_of_openstreetmap_is_always_said(tmp_path: Path) -> None:
    read = [read_map_file(write_osm_pbf(tmp_path / "town.osm.pbf"))]
    assert licence_of(read, None) == OPENSTREETMAP
    assert licence_of(read, "Sở Xây dựng") == f"Sở Xây dựng · {OPENSTREETMAP}"


def test_tiles_hold_what_their_zoom_shows(tmp_path: Path) -> None:
    read = [read_map_file(write_osm_pbf(tmp_path / "town.osm.pbf"))]
    built = build_map(read, "ODbL")
    (tmp_path / "a.pmtiles").write_bytes(built.archive)
    archive = Archive(tmp_path / "a.pmtiles")
    x, y = mercator(np.array([108.1011]), np.array([10.9311]))

    def layers(zoom: int) -> set[str]:
        found = archive.tile(Tile(zoom, int(x[0] * 2**zoom), int(y[0] * 2**zoom)))
        return set(mapbox_vector_tile.decode(gzip.decompress(found))) if found else set()

    assert layers(5) == {"place"}
    assert layers(9) >= {"place", "street", "water"}
    assert "building" not in layers(13)
    assert layers(14) >= {"building", "place", "street"}
    assert archive.tile(Tile(14, 0, 0)) is None
    assert built.features == {"landuse": 2, "water": 2, "building": 1, "street": 3, "place": 3}


def test_a_street_in_pieces_is_named_once_and_two_towns_keep_theirs() -> None:
    ways = [
        *(way for way in TOWN.ways if way.tags.get("name") == "Trần Hưng Đạo"),
        Way([(109.20, 13.77), (109.22, 13.77)], {"highway": "primary", "name": "Trần Hưng Đạo"}),
    ]
    shapes = np.empty(len(ways), dtype=np.object_)
    shapes[:] = [shapely.LineString(way.positions) for way in ways]
    count = len(ways)
    features = MapFeatures(
        shapes,
        ["street"] * count,
        ["primary"] * count,
        ["Trần Hưng Đạo"] * count,
        [None] * count,
        [7] * count,
    )
    found = sorted(named_places_of(features), key=lambda one: one.longitude)
    assert [round(one.longitude, 1) for one in found] == [108.1, 109.2]


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("  Đường \n Lê  Lợi ", "Đường Lê Lợi"),
        ("Đường 3/2", "Đường 3/2"),
        ("A" * 121, None),
        ("南海", None),
        ("Phố 广场", None),
        ("\u202eevil", "evil"),
        ("", None),
        ("—", None),
        (None, None),
        ("706", "706"),
    ],
)
def test_a_name_is_shown_only_when_people_here_can_read_it(text: object, name: str | None) -> None:
    assert usable_name(text) == name


@pytest.mark.parametrize(
    "tags",
    [
        {"boundary": "administrative", "highway": "primary"},
        {"admin_level": "2", "natural": "water"},
        {"landuse": "military"},
        {"military": "base", "building": "yes"},
        {"highway": "proposed"},
    ],
)
def test_what_only_the_law_draws_is_not_taken_from_a_file(tags: dict[str, str]) -> None:
    assert [shown_by_tags(tags, dimension) for dimension in (1, 2)] == [None, None]


def test_an_outline_that_crosses_itself_is_mended(tmp_path: Path) -> None:
    bow = [(108.1, 10.93), (108.12, 10.95), (108.12, 10.93), (108.1, 10.95), (108.1, 10.93)]
    extract = Extract(
        ways=[Way(bow, {"building": "yes"}), Way(square(108.2, 10.9, 0.01), {"building": "yes"})]
    )
    features = taken(write_osm_pbf(tmp_path / "a.osm.pbf", extract))
    assert shapely.is_valid(features.shapes).all()
