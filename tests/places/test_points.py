"""Which unit a point is in: the promised ones, the edge, the sea, abroad, before our records, in bulk."""

import asyncio
from datetime import date
from pathlib import Path

import numpy as np
import pytest
import shapely

from haidang.infra.database import Connection, Pool
from haidang.infra.queries import load_queries
from haidang.kernel.actors import Actor
from haidang.kernel.shapes import area_km2, metres_a_degree
from haidang.places import service, store
from haidang.places.errors import PointsDoNotPair
from haidang.places.model import Level
from haidang.places.store import DatedOutline

TODAY = date(2026, 11, 22)
BEFORE = date(2025, 6, 30)


@pytest.mark.parametrize(
    ("point", "full_name", "code"),
    [
        ((108.100, 10.933), "Phường Phan Thiết", "22945"),
        ((109.224, 13.776), "Phường Quy Nhơn", "21583"),
    ],
)
async def test_the_promised_points(
    visitor: Actor, country: Connection, point: tuple[float, float], full_name: str, code: str
) -> None:
    found = await service.unit_at(visitor, country, *point, TODAY)
    assert found is not None
    assert (found.unit.full_name, found.unit.code) == (full_name, code)
    assert found.certain
    assert found.unit.accuracy_m == 5
    # Before 1 July 2025 we hold no outlines of wards, but those of the old provinces.
    assert await service.unit_at(visitor, country, *point, BEFORE) is None
    old = await service.unit_at(visitor, country, *point, BEFORE, level=Level.PROVINCE)
    assert old is not None
    assert old.unit.full_name in {"Tỉnh Bình Thuận", "Tỉnh Bình Định"}
    new = await service.unit_at(visitor, country, *point, TODAY, level=Level.PROVINCE)
    assert new is not None
    assert new.unit.full_name in {"Tỉnh Lâm Đồng", "Tỉnh Gia Lai"}


@pytest.mark.parametrize(
    ("longitude", "latitude", "where"),
    [
        (108.5, 10.5, "at sea"),
        (104.9, 11.56, "Phnôm Pênh"),
        (0.0, 0.0, "nowhere"),
        (105.85, 21.03, "a ward of which we hold no outline"),
    ],
)
async def test_no_ward_at_sea_abroad_or_where_we_hold_no_outline(
    visitor: Actor, country: Connection, longitude: float, latitude: float, where: str
) -> None:
    assert await service.unit_at(visitor, country, longitude, latitude, TODAY) is None, where


async def test_a_point_at_an_edge_is_not_certain(visitor: Actor, country: Connection) -> None:
    """In Phan Thiết 4 m from the edge is not, 8 m is; where the outline is good to 66 m, 40 m is not."""
    for name, near, far in (("Phường Phan Thiết", 3.0, 9.0), ("Xã Đơn Dương", 40.0, 90.0)):
        unit = next(
            one
            for one in await service.units_on(visitor, country, TODAY, level=Level.WARD)
            if one.full_name == name and one.accuracy_m is not None
        )
        shape = (await service.outlines(visitor, country, [unit.unit_id]))[unit.unit_id]
        largest = max(shapely.get_parts(shape), key=lambda part: part.area)
        for metres, certain in ((near, False), (far, True)):
            degrees = metres / metres_a_degree(shape.centroid.y)[1]
            inner = max(shapely.get_parts(largest.buffer(-degrees * 1.03)), key=lambda part: part.area)
            point = inner.exterior.interpolate(0.3, normalized=True)
            found = await service.unit_at(visitor, country, point.x, point.y, TODAY)
            assert found is not None
            assert found.unit.unit_id == unit.unit_id
            assert found.certain is certain, (name, metres, found.metres_to_edge)


async def test_hoang_sa_and_truong_sa_are_units_of_vietnam(visitor: Actor, country: Connection) -> None:
    """With every island and shoal of the source, down to the westernmost at 109.47 degrees east."""
    for name, province, islands in (
        ("Đặc khu Hoàng Sa", "Thành phố Đà Nẵng", 46),
        ("Đặc khu Trường Sa", "Tỉnh Khánh Hoà", 140),
    ):
        zone = next(
            one
            for one in await service.units_on(visitor, country, TODAY, level=Level.WARD)
            if one.full_name == name
        )
        path = await service.path_of(visitor, country, zone.unit_id)
        assert [one.full_name for one in path] == [province, name]
        shape = (await service.outlines(visitor, country, [zone.unit_id]))[zone.unit_id]
        assert len(shapely.get_parts(shape)) == islands
        assert zone.label_point is not None
        for level in (Level.WARD, Level.PROVINCE):
            found = await service.unit_at(visitor, country, *zone.label_point, TODAY, level=level)
            assert found is not None
            assert found.unit.full_name in (name, province)


async def test_every_label_point_is_in_its_unit(visitor: Actor, country: Connection) -> None:
    for level, on in ((Level.WARD, TODAY), (Level.PROVINCE, TODAY), (Level.PROVINCE, BEFORE)):
        drawn = [
            one
            for one in await service.units_on(visitor, country, on, level=level)
            if one.accuracy_m is not None
        ]
        assert drawn
        assert all(one.label_point for one in drawn)
        points = np.array([one.label_point for one in drawn])
        found = await service.units_at(visitor, country, points[:, 0], points[:, 1], on, level=level)
        assert [(one.full_name, unit_id) for one, unit_id in zip(drawn, found, strict=True)] == [
            (one.full_name, one.unit_id) for one in drawn
        ]


async def test_wards_of_a_province_cover_it_and_do_not_overlap(visitor: Actor, country: Connection) -> None:
    """Beyond what rounding leaves: one part in 10,000. The pilot wards were fitted among the others."""
    provinces = await service.units_on(visitor, country, TODAY, level=Level.PROVINCE)
    pilots = [one for one in provinces if one.accuracy_m == 66]
    assert len(pilots) == 2
    for province in pilots:
        wards = await service.units_on(visitor, country, TODAY, parent_id=province.unit_id)
        shapes = await service.outlines(visitor, country, [one.unit_id for one in wards])
        assert len(shapes) == len(wards)
        separate = sum(area_km2(shape) for shape in shapes.values())
        together = area_km2(shapely.union_all(list(shapes.values())))
        assert separate / together - 1 < 1e-4
        outline = (await service.outlines(visitor, country, [province.unit_id]))[province.unit_id]
        assert abs(together / area_km2(outline) - 1) < 1e-3


async def test_many_points_at_once_are_as_one_by_one(visitor: Actor, country: Connection) -> None:
    chance = np.random.default_rng(20261122)
    east, north = chance.uniform(107.0, 109.5, 3_000), chance.uniform(10.5, 14.8, 3_000)
    found = await service.units_at(visitor, country, east, north, TODAY)
    assert sum(one is not None for one in found) > 1_000
    for place in range(0, 3_000, 60):
        single = await service.unit_at(visitor, country, east[place], north[place], TODAY)
        assert found[place] == (single.unit.unit_id if single else None)
    assert await service.units_at(visitor, country, east, north, BEFORE) == [None] * 3_000


async def test_a_point_in_a_ward_is_in_its_province_then_and_now(visitor: Actor, country: Connection) -> None:
    """Along the coast and the rivers too: provinces are drawn as their wards, old ones as the later wards."""
    chance = np.random.default_rng(1)
    points = chance.uniform(107.0, 109.5, 40_000), chance.uniform(10.4, 14.8, 40_000)
    wards = await service.units_at(visitor, country, *points, TODAY)
    now = await service.units_at(visitor, country, *points, TODAY, level=Level.PROVINCE)
    then = await service.units_at(visitor, country, *points, BEFORE, level=Level.PROVINCE)
    parents = await service.units(visitor, country, sorted({one for one in wards if one}))
    former = {
        one.unit_id: area.former_id
        for area in await service.reporting_areas(visitor, country)
        for one in await service.units_of_area(visitor, country, area.area_id, TODAY)
    }
    found = [
        (ward, province, old)
        for ward, province, old in zip(wards, now, then, strict=True)
        if ward is not None
    ]
    assert len(found) > 10_000
    assert [(ward, parents[ward].parent_id, former[ward]) for ward, _, _ in found] == found


async def test_points_that_do_not_pair_are_refused(visitor: Actor, country: Connection) -> None:
    with pytest.raises(PointsDoNotPair):
        await service.units_at(visitor, country, np.zeros(3), np.zeros(2), TODAY)
    nowhere = np.array([np.nan, np.inf, -np.inf])
    assert await service.units_at(visitor, country, nowhere, np.zeros(3), TODAY) == [None] * 3


async def test_outlines_in_memory_follow_the_edition(visitor: Actor, country: Connection) -> None:
    point = (np.array([108.100]), np.array([10.933]))
    (unit_id,) = await service.units_at(visitor, country, *point, TODAY)
    assert unit_id is not None
    await country.execute("DELETE FROM places.outline WHERE unit_id = $1", unit_id)
    assert await service.units_at(visitor, country, *point, TODAY) == [unit_id]
    await store.begin_edition(country)
    assert await service.units_at(visitor, country, *point, TODAY) == [None]


async def test_unit_at_a_point_uses_the_index_of_boxes(country: Connection) -> None:
    queries = load_queries(Path(store.__file__).parent / "sql" / "places.sql")
    sql = queries.outlines_at_point.sql
    await country.execute("ANALYZE places.unit, places.outline")
    plan = await country.fetch(f"EXPLAIN {sql}", 108.1, 10.933, "ward", TODAY)
    text = "\n".join(row[0] for row in plan)
    assert "Index Scan using outline_box" in text, text


async def test_who_asks_first_together_waits_for_one_reading(
    visitor: Actor, country_pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "_mosaics", {})
    read: list[Level] = []
    outlines_of_level = store.outlines_of_level

    async def counted(connection: Connection, level: Level) -> list[DatedOutline]:
        read.append(level)
        return await outlines_of_level(connection, level)

    monkeypatch.setattr(store, "outlines_of_level", counted)

    async def ask() -> list[str | None]:
        async with country_pool.acquire() as connection:
            at = np.array([108.1]), np.array([10.933])
            return await service.units_at(visitor, connection, *at, TODAY, level=Level.PROVINCE)

    answers = await asyncio.gather(ask(), ask(), ask())
    assert answers[0] == answers[1] == answers[2]
    assert read == [Level.PROVINCE]
