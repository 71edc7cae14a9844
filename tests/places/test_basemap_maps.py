"""Base maps are swapped whole, the one before stays for undo, and what they name can be found."""

import os
import subprocess
import sys
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from haidang.infra.database import Connection
from haidang.infra.objects import ObjectFiles, open_objects
from haidang.kernel.actors import anonymous, part
from haidang.places.basemap.building import build_map, read_map_file
from haidang.places.basemap.errors import BaseMapsAreForAdministrators, BaseMapUnknown
from haidang.places.basemap.maps import (
    BuiltMap,
    base_map_in_use,
    keep_base_map,
    list_base_maps,
    remove_base_map,
    use_base_map,
)
from haidang.places.gazetteer import find_named_places, starts_of
from haidang.places.service import unit
from tests.places.map_files import TOWN, Extract, Way, write_osm_pbf

NOW = datetime(2026, 11, 21, 5, tzinfo=UTC)
KEEPER = part("test")


@pytest.fixture
def objects(tmp_path: Path) -> ObjectFiles:
    return open_objects((tmp_path / "objects").as_uri(), {})


def built(folder: Path, licence: str, extract: Extract = TOWN) -> BuiltMap:
    path = write_osm_pbf(folder / f"{uuid4().hex}.osm.pbf", extract)
    return build_map([read_map_file(path)], licence)


async def keep(
    connection: Connection, objects: ObjectFiles, one: BuiltMap, hours: int = 0
) -> tuple[UUID, list[str]]:
    return await keep_base_map(KEEPER, connection, objects, one, now=NOW + timedelta(hours=hours))


async def test_names_are_found_without_marks_by_any_of_their_words(
    country: Connection, objects: ObjectFiles, tmp_path: Path
) -> None:
    await keep(country, objects, built(tmp_path, "ODbL"))

    async def found(words: str) -> list[str]:
        return [one.place.name for one in await find_named_places(anonymous(), country, words, on=NOW.date())]

    assert await found("tran hung") == ["Trần Hưng Đạo"]
    assert await found("ĐẠO") == ["Trần Hưng Đạo"]
    assert (await found("phan thiet"))[:2] == ["Phan Thiết", "Chợ Phan Thiết"]
    assert await found("ca ty") == ["Sông Cà Ty"]
    assert await found("Phan Thiết xyz") == []
    assert await found("") == []
    assert await found("%") == []
    (street,) = await find_named_places(anonymous(), country, "nguyễn huệ", on=NOW.date())
    assert (street.place.layer, street.place.kind) == ("street", "local")
    assert street.unit_id is not None
    assert (await unit(KEEPER, country, street.unit_id)).full_name.startswith("Phường")
    before = date(2025, 6, 30)  # another ward then, of which we hold no outline
    (then,) = await find_named_places(anonymous(), country, "nguyễn huệ", on=before)
    assert then.unit_id is None


async def test_what_is_near_comes_first(country: Connection, objects: ObjectFiles, tmp_path: Path) -> None:
    two = Extract(
        ways=[
            Way([(108.10, 10.93), (108.11, 10.93)], {"highway": "primary", "name": "Lê Lợi"}),
            Way([(109.20, 13.77), (109.22, 13.77)], {"highway": "primary", "name": "Lê Lợi"}),
        ]
    )
    await keep(country, objects, built(tmp_path, "ODbL", two))
    for near in ((108.1, 10.9), (109.2, 13.8)):
        first, second = await find_named_places(anonymous(), country, "le loi", near=near, on=NOW.date())
        assert abs(first.place.longitude - near[0]) < 0.1 < abs(second.place.longitude - near[0])


async def test_a_new_map_takes_the_place_of_the_old_one_and_can_be_undone(
    country: Connection, objects: ObjectFiles, tmp_path: Path
) -> None:
    first, _ = await keep(country, objects, built(tmp_path, "A"))
    other = Extract(
        ways=[Way([(108.1, 10.93), (108.2, 10.93)], {"highway": "primary", "name": "Hùng Vương"})]
    )
    second, unneeded = await keep(country, objects, built(tmp_path, "B", other), hours=1)
    assert unneeded == []
    assert [one.base_map_id for one in await list_base_maps(KEEPER, country)] == [second, first]
    assert await find_named_places(anonymous(), country, "tran hung dao", on=NOW.date()) == []
    assert len(await find_named_places(anonymous(), country, "hung vuong", on=NOW.date())) == 1
    await use_base_map(KEEPER, country, first)
    used = await base_map_in_use(anonymous(), country)
    assert used is not None
    assert (used.base_map_id, used.licence) == (first, "A")
    assert len(await find_named_places(anonymous(), country, "tran hung dao", on=NOW.date())) == 1


async def test_only_the_map_in_use_and_the_one_before_are_kept(
    country: Connection, objects: ObjectFiles, tmp_path: Path
) -> None:
    first, _ = await keep(country, objects, built(tmp_path, "A"))
    (archive,) = [one.content_id for one in await list_base_maps(KEEPER, country)]
    second, _ = await keep(country, objects, built(tmp_path, "B"), hours=1)
    third, unneeded = await keep(country, objects, built(tmp_path, "C"), hours=2)
    assert [one.base_map_id for one in await list_base_maps(KEEPER, country)] == [third, second]
    assert unneeded == [archive]
    with pytest.raises(BaseMapUnknown):
        await use_base_map(KEEPER, country, first)


async def test_an_archive_that_two_maps_share_is_not_given_up(
    country: Connection, objects: ObjectFiles, tmp_path: Path
) -> None:
    same = built(tmp_path, "A")
    first, _ = await keep(country, objects, same)
    second, _ = await keep(country, objects, same, hours=1)
    assert await remove_base_map(KEEPER, country, first) == []
    (left,) = await list_base_maps(KEEPER, country)
    assert await remove_base_map(KEEPER, country, second) == [left.content_id]
    assert await base_map_in_use(anonymous(), country) is None
    assert await find_named_places(anonymous(), country, "phan thiet", on=NOW.date()) == []


async def test_only_administrators_change_base_maps(
    country: Connection, objects: ObjectFiles, tmp_path: Path
) -> None:
    with pytest.raises(BaseMapsAreForAdministrators):
        await keep_base_map(anonymous(), country, objects, built(tmp_path, "A"), now=NOW)
    for change in (use_base_map, remove_base_map):
        with pytest.raises(BaseMapsAreForAdministrators):
            await change(anonymous(), country, uuid4())
        with pytest.raises(BaseMapUnknown):
            await change(KEEPER, country, uuid4())


def test_a_name_is_found_from_each_of_its_words_on() -> None:
    assert starts_of("Đường Nguyễn Huệ") == ["duong nguyen hue", "nguyen hue", "hue"]


@pytest.mark.timeout(400)
def test_the_command_builds_lists_and_removes(dsn: str, tmp_path: Path) -> None:
    environ = {
        **os.environ,
        "DATABASE_URL": dsn,
        "HAIDANG_HOME": str(tmp_path / "home"),
        "HAIDANG_DEFAULT_LOCALE": "en",
    }

    def run(*words: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "haidang", "basemap", *words]
        return subprocess.run(command, env=environ, cwd=tmp_path, capture_output=True, text=True, check=False)

    source = write_osm_pbf(tmp_path / "town.osm.pbf")
    done = run("build", str(source))
    assert (done.returncode, done.stderr) == (0, "")
    assert "OpenStreetMap" in done.stdout
    listed = run("list").stdout
    assert "in use" in listed
    (tmp_path / "wrong.gpkg").write_bytes(b"not a map")
    wrong = run("build", str(tmp_path / "wrong.gpkg"))
    assert wrong.returncode == 2
    assert "is not a map file" in wrong.stderr
    assert run("list").stdout == listed
    only = run("build", str(source), "--out", str(tmp_path / "a.pmtiles"))
    assert only.returncode == 0
    assert (tmp_path / "a.pmtiles").read_bytes().startswith(b"PMTiles")
    assert run("list").stdout == listed
    base_map_id = listed.splitlines()[1].split()[0]
    assert run("remove", base_map_id).returncode == 2
    assert run("remove", base_map_id, "--yes").returncode == 0
    assert "There are none." in run("list").stdout
    assert not [path for path in (tmp_path / "home" / "objects").rglob("sha256-*") if path.is_file()]


def test_without_gdal_the_command_says_how_to_get_it(dsn: str, tmp_path: Path) -> None:
    """As on a machine that has only what running takes: the module is told that there is no pyogrio."""
    environ = {
        **os.environ,
        "DATABASE_URL": dsn,
        "HAIDANG_HOME": str(tmp_path),
        "HAIDANG_DEFAULT_LOCALE": "en",
    }
    program = "import sys; sys.modules['pyogrio'] = None; from haidang.cli import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", program, "basemap", "build", "a.osm.pbf"],
        env=environ,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "docs/how-to/build-a-base-map.md" in done.stderr
