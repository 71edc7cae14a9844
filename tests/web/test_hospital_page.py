"""The page of hospitals, from the pack's own file to the table and to NGSI-LD's short names."""

import csv
import io
from dataclasses import replace

import pytest

from haidang.context.facts import load_facts
from haidang.infra.database import transaction
from haidang.infra.templates import Templates
from haidang.kernel.actors import part
from haidang.packs.health.pack import PACK
from haidang.sdk.loading import pack_folder
from haidang.web.asgi import build_application
from haidang.web.shared.house import House
from tests.web.client import Client


@pytest.fixture
def health(house: House) -> House:
    """A house with the health pack alone."""
    templates = Templates(house.translations, packs={PACK.pack_id: pack_folder(PACK.pack_id)})
    return replace(house, packs=(PACK,), templates=templates)


@pytest.fixture
async def hospitals(health: House) -> Client:
    """Its web, with the hospitals loaded."""
    async with transaction(health.pool) as connection:
        await load_facts(part("test"), connection, [PACK], now=health.clock.now())
    return Client(build_application(health))


async def test_hospitals_are_listed_by_ward_with_what_is_not_known(hospitals: Client) -> None:
    page = await hospitals.page("/benh-vien")
    assert page.status == 200
    assert "34 bệnh viện và 41 trung tâm y tế" in page.text
    assert "Bệnh viện Đa khoa Bình Thuận" in page.text
    assert page.text.count("Chưa có số điện thoại: nguồn của chúng tôi chưa ghi.") == 1
    assert "Điện thoại:" not in page.text  # said once for all, not 75 times
    assert "chưa có cơ quan y tế nào kiểm tra" in page.text


async def test_openstreetmap_is_named_on_the_page_and_on_its_map(hospitals: Client) -> None:
    text = (await hospitals.page("/benh-vien")).text
    assert "https://www.openstreetmap.org/copyright" in text
    captions = [
        one for one in text.split("<figcaption") if "OpenStreetMap" in one.partition("</figcaption>")[0]
    ]
    assert len(captions) >= 2


async def test_an_address_of_a_hospital_leads_to_it(hospitals: Client) -> None:
    page = await hospitals.page("/tim?q=da+khoa+binh+thuan")
    assert 'href="/benh-vien#benh-vien-da-khoa-binh-thuan-22960"' in page.text
    assert 'id="benh-vien-da-khoa-binh-thuan-22960"' in (await hospitals.page("/benh-vien")).text


async def test_the_table_has_every_hospital_with_its_licence(hospitals: Client) -> None:
    reply = await hospitals.get("/benh-vien.csv")
    rows = list(csv.DictReader(io.StringIO(reply.text.removeprefix("\ufeff"))))
    assert len(rows) == 75
    assert {row["licence"] for row in rows} == {"© OpenStreetMap contributors, ODbL 1.0"}
    assert all(row["ward"] and row["province"] and row["latitude"] for row in rows)


async def test_before_the_facts_are_loaded_the_page_says_so(health: House) -> None:
    page = await Client(build_application(health)).page("/benh-vien")
    assert page.status == 200
    assert "Ở đây chưa có gì" in page.text


async def test_the_list_is_only_read(hospitals: Client) -> None:
    assert (await hospitals.ask("POST", "/benh-vien")).status == 405
