"""People in a drawn area: an estimate by area that says what it lacks."""

from datetime import date

import pytest
import shapely
from shapely.geometry.base import BaseGeometry

from haidang.infra.database import Connection
from haidang.kernel.actors import Actor
from haidang.kernel.errors import Invalid
from haidang.kernel.shapes import ShapeCrossesItself, geojson_of
from haidang.places import service
from haidang.places.errors import AreaNotDrawn, AreaTooDetailed

TODAY = date(2026, 11, 22)
PHAN_THIET = "urn:haidang:unit:phuong-phan-thiet-lam-dong"
PHU_THUY = "urn:haidang:unit:phuong-phu-thuy-lam-dong"


async def test_the_whole_of_a_ward_has_its_people(visitor: Actor, country: Connection) -> None:
    ward = await service.unit(visitor, country, PHAN_THIET)
    shape = (await service.outlines(visitor, country, [PHAN_THIET]))[PHAN_THIET]
    found = await service.people_within(visitor, country, shape, TODAY)
    assert found.people == pytest.approx(ward.population, rel=1e-3)
    assert found.covered == pytest.approx(1, abs=1e-3)
    assert found.units[0].unit == ward
    assert found.area_km2 == pytest.approx(float(ward.area_km2 or 0), rel=0.05)


async def test_half_of_it_by_geojson_has_about_half(visitor: Actor, country: Connection) -> None:
    shape = (await service.outlines(visitor, country, [PHAN_THIET]))[PHAN_THIET]
    west, south, east, north = shape.bounds
    half = shape.intersection(shapely.box(west, south, (west + east) / 2, north))
    found = await service.people_within(visitor, country, geojson_of(half), TODAY)
    whole = await service.people_within(visitor, country, shape, TODAY)
    assert found.people is not None
    assert whole.people is not None
    assert 0 < found.people < whole.people
    assert found.people == pytest.approx(whole.people * found.area_km2 / whole.area_km2, rel=0.02)


async def test_a_ward_without_a_figure_is_named_and_not_counted(visitor: Actor, country: Connection) -> None:
    shape = (await service.outlines(visitor, country, [PHU_THUY]))[PHU_THUY]
    inside = shape.buffer(-0.002)
    found = await service.people_within(visitor, country, inside, TODAY)
    assert found.people is None
    assert [one.full_name for one in found.without_figure] == ["Phường Phú Thuỷ"]
    assert (found.counted, round(found.covered, 3)) == (0.0, 1.0)


async def test_a_doubtful_figure_is_not_added_up(visitor: Actor, country: Connection) -> None:
    wards = await service.units_on(visitor, country, TODAY)
    doubtful = next(one for one in wards if one.population_doubtful)
    shape = (await service.outlines(visitor, country, [doubtful.unit_id]))[doubtful.unit_id]
    found = await service.people_within(visitor, country, shape.buffer(-0.005), TODAY)
    assert found.people is None
    assert doubtful in found.without_figure


async def test_the_sea_has_nobody_and_says_so(visitor: Actor, country: Connection) -> None:
    found = await service.people_within(visitor, country, shapely.box(108.6, 10.2, 108.7, 10.3), TODAY)
    assert (found.people, found.covered, found.units) == (None, 0.0, ())


@pytest.mark.parametrize(
    "shape", [shapely.Point(108, 11), shapely.Polygon(), shapely.LineString([(0, 0), (1, 1)])]
)
async def test_what_is_no_area_is_refused(visitor: Actor, country: Connection, shape: BaseGeometry) -> None:
    with pytest.raises(AreaNotDrawn):
        await service.people_within(visitor, country, shape, TODAY)


async def test_geojson_is_checked(visitor: Actor, country: Connection) -> None:
    bow = {"type": "Polygon", "coordinates": [[[108, 11], [109, 12], [109, 11], [108, 12], [108, 11]]]}
    with pytest.raises(ShapeCrossesItself):
        await service.people_within(visitor, country, bow, TODAY)
    with pytest.raises(Invalid):
        await service.people_within(visitor, country, {"type": "Polygon"}, TODAY)


async def test_an_area_of_very_many_positions_is_refused(visitor: Actor, country: Connection) -> None:
    """It would keep a thread for many seconds."""
    circle = shapely.Point(108, 12).buffer(1, quad_segs=25_000)
    with pytest.raises(AreaTooDetailed):
        await service.people_within(visitor, country, circle, TODAY)
    with pytest.raises(AreaTooDetailed):
        await service.people_within(visitor, country, geojson_of(circle, digits=9), TODAY)
