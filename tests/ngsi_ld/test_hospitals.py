"""Hospitals are entities like any other: found by type, read one by one through NGSI-LD."""

from urllib.parse import quote

from haidang.context.facts import load_facts
from haidang.infra.database import transaction
from haidang.kernel.instants import SystemClock
from haidang.packs.health.hospitals import POINT_OF_INTEREST
from haidang.packs.health.pack import PACK
from tests.ngsi_ld.conftest import Face


async def test_hospitals_are_found_by_type(face: Face) -> None:
    async with transaction(face.pool) as connection:
        await load_facts(face.actor, connection, [PACK], now=SystemClock().now())
    wanted = quote(POINT_OF_INTEREST.iri, safe="")
    answer = await face.get(f"/entities?type={wanted}&limit=100")
    assert answer.status == 200, answer.body
    ids = {one["id"] for one in answer.json}
    assert len(ids) == 75
    assert "urn:ngsi-ld:PointOfInterest:benh-vien-da-lieu-binh-thuan-22945" in ids


async def test_one_hospital_says_where_it_is_and_whose_licence_it_has(face: Face) -> None:
    async with transaction(face.pool) as connection:
        await load_facts(face.actor, connection, [PACK], now=SystemClock().now())
    answer = await face.get("/entities/urn:ngsi-ld:PointOfInterest:benh-vien-da-lieu-binh-thuan-22945")
    assert answer.status == 200
    text = answer.body.decode()
    assert "Bệnh viện Da liễu Bình Thuận" in text
    assert "ODbL-1.0" in text
    assert "Phường Phan Thiết" in text
