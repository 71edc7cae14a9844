"""Entities on tiles: each one where they are few, counted in squares where they are many, by who may see."""

from datetime import UTC, datetime
from typing import Any

import mapbox_vector_tile
import numpy as np
import pytest

from haidang.context.model import AttributeInstance, CreateEntity, DeleteEntity
from haidang.context.store import restrict_types
from haidang.context.tiles import entity_tile
from haidang.context.writer import apply_commands
from haidang.infra.database import Connection
from haidang.kernel.actors import Actor, anonymous, part
from haidang.kernel.tiles import Tile, check_tile, mercator
from haidang.sdk.model import AttributeKind

LAMP = "https://smartdatamodels.org/dataModel.Streetlighting/Streetlight"
SEALED = "https://example.org/Sealed"
LOCATION = "https://uri.etsi.org/ngsi-ld/location"
NOW = datetime(2026, 11, 21, 5, tzinfo=UTC)
PHAN_THIET = check_tile(14, 13111, 7692)


def lamp(number: int, longitude: float, latitude: float, *types: str) -> CreateEntity:
    place = {"type": "Point", "coordinates": [longitude, latitude]}
    return CreateEntity(
        entity_id=f"urn:ngsi-ld:Streetlight:{number}",
        types=types or (LAMP,),
        attributes=(AttributeInstance(LOCATION, place, kind=AttributeKind.GEO_PROPERTY),),
    )


async def put(connection: Connection, *lamps: CreateEntity) -> None:
    outcomes = await apply_commands(connection, part("test"), lamps, now=NOW)
    assert [one.error for one in outcomes if one.error] == []


async def features(
    connection: Connection, tile: Tile, actor: Actor | None = None, **limits: int
) -> list[dict[str, Any]]:
    content = await entity_tile(actor or anonymous(), connection, "Streetlight", LAMP, tile, **limits)
    if not content:
        return []
    found: list[dict[str, Any]] = mapbox_vector_tile.decode(content)["entity"]["features"]
    return found


def middle(tile: Tile) -> tuple[float, float]:
    box = tile.box()
    return (box.west + box.east) / 2, (box.south + box.north) / 2


async def test_few_entities_are_shown_one_by_one_at_every_zoom(connection: Connection) -> None:
    longitude, latitude = middle(PHAN_THIET)
    await put(connection, lamp(1, longitude, latitude), lamp(2, 107.6, 10.6))
    for zoom in (5, 9, 14):
        tile = Tile(zoom, PHAN_THIET.x >> 14 - zoom, PHAN_THIET.y >> 14 - zoom)
        found = await features(connection, tile)
        assert [one["properties"] for one in found if one["properties"]["id"].endswith(":1")] == [
            {"id": "urn:ngsi-ld:Streetlight:1", "type": "Streetlight"}
        ]
    assert len(await features(connection, Tile(5, PHAN_THIET.x >> 9, PHAN_THIET.y >> 9))) == 2
    (alone,) = await features(connection, PHAN_THIET)
    assert alone["geometry"]["coordinates"] == pytest.approx([2048, 2048], abs=2)


async def test_the_database_keeps_places_in_the_cells_of_the_grid(connection: Connection) -> None:
    longitudes = np.linspace(-179.9, 179.9, 40)
    latitudes = np.linspace(-84.9, 84.9, 40)
    x, y = mercator(longitudes, latitudes)
    for place in range(40):
        cell = await connection.fetchval(
            "SELECT context.cell_of(box(point($1, $2), point($1, $2)))", longitudes[place], latitudes[place]
        )
        first, last = Tile(18, int(x[place] * 2**18), int(y[place] * 2**18)).cells()
        assert first <= cell <= last


async def test_many_are_counted_in_squares_and_none_is_lost(connection: Connection) -> None:
    box = PHAN_THIET.box()
    west, south = box.west, box.south
    width, height = (box.east - box.west) / 8, (box.north - box.south) / 8
    crowd = [lamp(number, west + width / 2, south + height / 2) for number in range(15)]
    few = [lamp(100 + number, west + 5.5 * width, south + 6.5 * height) for number in range(7)]
    await put(connection, *crowd, *few)
    found = sorted(
        (one["properties"] for one in await features(connection, PHAN_THIET, most_points=20, counted_to=10)),
        key=lambda one: one["count"],
    )
    assert found == [
        {"count": 7, "type": "Streetlight"},
        {"count": 10, "more": True, "type": "Streetlight"},
    ]


async def test_an_entity_is_found_under_both_of_its_types_and_once_it_is_gone_under_none(
    connection: Connection,
) -> None:
    await put(connection, lamp(1, *middle(PHAN_THIET), "https://example.org/Pole", LAMP))
    assert len(await features(connection, PHAN_THIET)) == 1
    await apply_commands(
        connection, part("test"), [DeleteEntity(entity_id="urn:ngsi-ld:Streetlight:1")], now=NOW
    )
    assert await features(connection, PHAN_THIET) == []


async def test_who_may_not_see_an_entity_does_not_count_it_either(connection: Connection) -> None:
    await put(
        connection,
        *(lamp(number, *middle(PHAN_THIET), LAMP, *([SEALED] if number < 3 else [])) for number in range(5)),
    )
    await restrict_types(connection, {SEALED: "officer"})
    assert len(await features(connection, PHAN_THIET)) == 2
    assert len(await features(connection, PHAN_THIET, part("test"))) == 5
    assert [one["properties"]["count"] for one in await features(connection, PHAN_THIET, most_points=1)] == [
        2
    ]


async def test_another_tenants_entities_are_not_there(connection: Connection) -> None:
    await put(connection, lamp(1, *middle(PHAN_THIET)))
    assert await features(connection, PHAN_THIET, anonymous("another")) == []
