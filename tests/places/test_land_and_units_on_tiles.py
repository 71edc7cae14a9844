"""The ground of every map, where other people's maps may speak, and units that follow each change."""

from datetime import date
from typing import Any

import mapbox_vector_tile
import numpy as np
import shapely

from haidang.infra.database import Connection
from haidang.kernel.actors import anonymous
from haidang.kernel.tiles import Tile, mercator
from haidang.places import store
from haidang.places.land import home_ground, land, land_tile
from haidang.places.unit_tiles import UnitTiles


def tile_at(longitude: float, latitude: float, zoom: int) -> Tile:
    x, y = mercator(np.array([longitude]), np.array([latitude]))
    return Tile(zoom, int(x[0] * 2**zoom), int(y[0] * 2**zoom))


def layers(content: bytes) -> dict[str, list[dict[str, Any]]]:
    decoded = mapbox_vector_tile.decode(content) if content else {}
    return {name: [one["properties"] for one in layer["features"]] for name, layer in decoded.items()}


def test_the_land_has_34_provinces_and_every_island_is_ours() -> None:
    assert len(set(land().codes)) == 34
    assert shapely.is_valid(land().provinces).all()
    hoang_sa, truong_sa = land().archipelagos
    assert (len(hoang_sa.islands), len(truong_sa.islands)) == (46, 140)
    owners = {
        name: shapely.intersects_xy(province, *hoang_sa.islands.mean(axis=0))
        or shapely.bounds(province)[2] > 110
        for name, province in zip(land().names, land().provinces, strict=True)
    }
    assert {name for name, owns in owners.items() if owns} == {"Đà Nẵng", "Khánh Hoà"}


def test_no_neighbours_land_lies_among_the_islands() -> None:
    for archipelago in land().archipelagos:
        box = archipelago.box
        sea = shapely.box(max(box.west, 111), box.south, min(box.east, 116), box.north)
        west_north = np.column_stack(mercator(*np.array(sea.exterior.coords).T))
        assert not shapely.intersects(land().neighbours_on_map, shapely.Polygon(west_north)).any()


def test_other_peoples_maps_speak_on_our_ground_only() -> None:
    ground = home_ground()
    for ours in ((108.1, 10.93), (109.22, 13.77), (108.94, 10.53), (106.6, 8.69), (105.85, 21.03)):
        assert shapely.intersects_xy(ground, *ours)
    for beyond in (
        (112.34, 16.83),
        (114.36, 10.38),
        (111.93, 8.65),
        (109.9, 7.5),
        (110.3, 20.0),
        (104.9, 11.55),
    ):
        assert not shapely.intersects_xy(ground, *beyond)


def test_no_two_ask_one_prepared_ground() -> None:
    assert home_ground() is not home_ground()
    assert shapely.is_prepared(home_ground())


def test_a_tile_of_the_open_sea_is_empty() -> None:
    assert land_tile(tile_at(118, 19, 8)) == b""


async def test_units_on_tiles_follow_a_change_of_units(country: Connection) -> None:
    tiles, tile = UnitTiles(), tile_at(108.1, 10.933, 12)

    async def names() -> set[str]:
        content = await tiles.tile(anonymous(), country, date(2026, 11, 21), tile)
        return {one["full_name"] for one in layers(content)["ward"]}

    assert "Phường Phan Thiết" in await names()
    await country.execute(
        "UPDATE places.unit SET full_name = 'Phường Thử'"
        " WHERE full_name = 'Phường Phan Thiết' AND valid_to IS NULL"
    )
    assert "Phường Phan Thiết" in await names()
    await store.begin_edition(country)
    assert "Phường Thử" in await names()


async def test_wards_are_drawn_from_the_zoom_at_which_they_can_be_told_apart(country: Connection) -> None:
    tiles, today = UnitTiles(), date(2026, 11, 21)
    far = layers(await tiles.tile(anonymous(), country, today, tile_at(108.1, 10.933, 5)))
    near = layers(await tiles.tile(anonymous(), country, today, tile_at(108.1, 10.933, 8)))
    assert set(far) == {"province"}
    assert set(near) == {"province", "ward"}
    wards = [one["unit_id"] for one in near["ward"]]
    assert len(wards) == len(set(wards)) > 20
