"""The tiles face by HTTP: what is served, kept, refused, and what nobody may see."""

import dataclasses
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import mapbox_vector_tile
import pytest

from haidang.infra.database import Pool, open_pool
from haidang.infra.embedded import TemporaryCluster
from haidang.infra.objects import open_objects
from haidang.infra.settings import WmtsAddressIncomplete, WmtsWithoutAttribution, read_settings
from haidang.infra.translations import Translations
from haidang.kernel.actors import Audience, part
from haidang.kernel.instants import SetClock
from haidang.places.basemap.building import build_map, licence_of, read_map_file
from haidang.places.basemap.maps import keep_base_map
from haidang.web.asgi import build_application
from haidang.web.shared.house import House
from tests.databases import copy_of
from tests.places.map_files import write_osm_pbf
from tests.web.client import Client, Reply
from tests.web.houses import house_on

NOW = datetime(2026, 11, 21, 5, tzinfo=UTC)
PHAN_THIET_12 = "12/3277/1922"


def layers(reply: Reply) -> dict[str, list[dict[str, Any]]]:
    """The properties of the features of each layer."""
    assert reply.header("content-type") == "application/vnd.mapbox-vector-tile"
    decoded = mapbox_vector_tile.decode(reply.body)
    return {name: [one["properties"] for one in layer["features"]] for name, layer in decoded.items()}


@pytest.fixture(scope="module")
async def country_dsn(cluster: TemporaryCluster, country_template: str) -> AsyncIterator[str]:
    """A database with the facts of places."""
    async with copy_of(cluster, country_template) as dsn:
        yield dsn


@pytest.fixture
async def country_pool(country_dsn: str) -> AsyncIterator[Pool]:
    opened = await open_pool(country_dsn)
    yield opened
    await opened.close()


@pytest.fixture
def country(country_pool: Pool, clock: SetClock, translations: Translations, tmp_path: Path) -> Client:
    """The whole web over the facts of places."""
    settings = read_settings({"HAIDANG_HOME": str(tmp_path)})
    return Client(build_application(house_on(country_pool, clock, translations, settings)))


async def test_the_land_has_both_archipelagos_and_no_foreign_name(web: Client) -> None:
    east_sea = layers(await web.get("/tiles/land/3/6/3.mvt"))
    assert {one.get("name") for one in east_sea["island"]} >= {"Quần đảo Hoàng Sa", "Quần đảo Trường Sa"}
    assert "Đà Nẵng" in {one["name"] for one in east_sea["province"]}
    assert all(not one for one in east_sea["neighbour"])


async def test_a_tile_is_kept_for_a_year_only_under_its_version(web: Client) -> None:
    catalog = (await web.get("/tiles/catalog.json")).json
    path = catalog["land"]["tiles"].format(z=4, x=12, y=7)
    kept = await web.get(path)
    assert kept.header("cache-control") == "public, max-age=31536000, immutable"
    etag = kept.header("etag")
    assert etag
    assert (await web.get(path, ("if-none-match", etag))).status == 304
    assert (await web.get("/tiles/land/4/12/7.mvt?v=old")).header("cache-control") == "public, max-age=300"
    assert (await web.get(path, ("accept-encoding", "gzip"))).header("content-encoding") == "gzip"


@pytest.mark.parametrize(
    "path",
    [
        "/tiles/land/19/0/0.mvt",
        "/tiles/land/4/16/0.mvt",
        "/tiles/land/4/0/16.mvt",
        "/tiles/land/4/0/0.png",
        "/tiles/land/4/0/x.mvt",
        "/tiles/land/-1/0/0.mvt",
        "/tiles/units/2026-11-21/15/0/0.mvt",
        "/tiles/base/15/0/0.mvt",
        "/tiles/entities/Nothing/4/0/0.mvt",
    ],
)
async def test_what_is_no_tile_is_not_found(web: Client, path: str) -> None:
    reply = await web.get(path)
    assert reply.status == 404
    assert reply.header("content-type") == "application/problem+json"


async def test_a_day_that_is_none_is_refused(web: Client) -> None:
    reply = await web.get("/tiles/units/hôm%20nay/4/12/7.mvt")
    assert reply.status == 422
    assert reply.json["type"] == "urn:haidang:problem:day-unreadable"


async def test_units_are_those_of_the_day(country: Client) -> None:
    now = layers(await country.get(f"/tiles/units/2026-11-21/{PHAN_THIET_12}.mvt"))
    assert "Phường Phan Thiết" in {one["full_name"] for one in now["ward"]}
    assert all(one["unit_id"].startswith("urn:haidang:unit:") for one in now["ward"])
    before = await country.get(f"/tiles/units/2025-06-30/{PHAN_THIET_12}.mvt")
    assert "Phường Phan Thiết" not in {
        one["full_name"] for one in (layers(before).get("ward", []) if before.status == 200 else [])
    }


async def test_where_nothing_is_the_answer_is_empty(web: Client) -> None:
    for path in (f"/tiles/base/{PHAN_THIET_12}.mvt", f"/tiles/units/2026-11-21/{PHAN_THIET_12}.mvt"):
        reply = await web.get(path)
        assert (reply.status, reply.raw, reply.header("content-length")) == (204, b"", None)


async def test_entities_are_on_their_tiles(city: Client) -> None:
    found = layers(await city.get("/tiles/entities/AirQualityObserved/5/25/14.mvt"))
    south = layers(await city.get("/tiles/entities/AirQualityObserved/5/25/15.mvt"))
    seen = [*found.get("entity", []), *south.get("entity", [])]
    assert seen
    assert {one["type"] for one in seen} == {"AirQualityObserved"}
    assert all(one["id"].startswith("urn:ngsi-ld:AirQualityObserved:") for one in seen)


async def test_a_type_that_is_for_officers_is_not_there_for_others(house: House) -> None:
    (only,) = house.packs
    types = [dataclasses.replace(one, audience=Audience.OFFICER) for one in only.entity_types]
    sealed = dataclasses.replace(
        house, packs=(dataclasses.replace(only, entity_types=tuple(types), pages=()),)
    )
    web = Client(build_application(sealed))
    assert (await web.get("/tiles/entities/AirQualityObserved/5/25/14.mvt")).status == 404
    assert (await web.get("/tiles/catalog.json")).json["entities"] == {}


async def test_the_base_map_is_served_from_its_archive(
    country: Client, country_pool: Pool, tmp_path: Path
) -> None:
    read = [read_map_file(write_osm_pbf(tmp_path / "town.osm.pbf"))]
    built = build_map(read, licence_of(read, None))
    objects = open_objects((tmp_path / "objects").as_uri(), {})
    async with country_pool.acquire() as connection, connection.transaction():
        await keep_base_map(part("test"), connection, objects, built, now=NOW)
    catalog = (await country.get("/tiles/catalog.json")).json
    assert "OpenStreetMap" in catalog["base"]["attribution"]
    path = catalog["base"]["tiles"].format(z=12, x=3277, y=1922)
    reply = await country.get(path)
    assert "Trần Hưng Đạo" in {one.get("name") for one in layers(reply)["street"]}
    assert reply.header("cache-control") == "public, max-age=31536000, immutable"
    packed = await country.get(path, ("accept-encoding", "gzip, br"))
    assert packed.header("content-encoding") == "gzip"
    assert packed.body == reply.raw
    assert (await country.get(path, ("if-none-match", reply.header("etag") or ""))).status == 304
    assert (await country.get("/tiles/base/12/0/0.mvt")).status == 204


async def test_the_catalogue_tells_of_a_configured_map_service(
    house: House, pool: Pool, clock: SetClock, translations: Translations, tmp_path: Path
) -> None:
    url = "https://ban-do.example.vn/wmts/{z}/{x}/{y}.png"
    named = {
        "HAIDANG_HOME": str(tmp_path),
        "HAIDANG_WMTS_URL": url,
        "HAIDANG_WMTS_ATTRIBUTION": "Sở Nông nghiệp và Môi trường",
    }
    web = Client(build_application(house_on(pool, clock, translations, read_settings(named))))
    assert (await web.get("/tiles/catalog.json")).json["wmts"] == {
        "tiles": url,
        "attribution": "Sở Nông nghiệp và Môi trường",
    }
    without = Client(build_application(house))
    assert (await without.get("/tiles/catalog.json")).json["wmts"] is None
    with pytest.raises(WmtsAddressIncomplete):
        read_settings({**named, "HAIDANG_WMTS_URL": "https://ban-do.example.vn/{z}/{x}.png"})
    with pytest.raises(WmtsWithoutAttribution):
        read_settings({**named, "HAIDANG_WMTS_ATTRIBUTION": ""})
