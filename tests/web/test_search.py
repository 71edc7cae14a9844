"""One box finds pages, stations and hospitals, however people type, and says what it matched."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from haidang.context.facts import load_facts
from haidang.infra.database import transaction
from haidang.infra.templates import Templates
from haidang.kernel.actors import part
from haidang.packs.environment.pack import PACK as ENVIRONMENT
from haidang.packs.health.pack import PACK as HEALTH
from haidang.sdk.loading import pack_folder
from haidang.sdk.model import SearchHit
from haidang.web.asgi import build_application
from haidang.web.shared.house import House
from haidang.web.shared.searching import LONGEST, best_hits, question_of
from tests.web.client import Client
from tests.web.stations import FIVE, write_stations


@pytest.fixture
async def town(house: House) -> Client:
    """The web of a province with stations and hospitals."""
    packs = (ENVIRONMENT, HEALTH)
    folders = {pack.pack_id: pack_folder(pack.pack_id) for pack in packs}
    house = replace(house, packs=packs, templates=Templates(house.translations, packs=folders))
    await write_stations(house.pool, FIVE, house.clock.now())
    async with transaction(house.pool) as connection:
        await load_facts(part("test"), connection, packs, now=house.clock.now())
    return Client(build_application(house))


@pytest.mark.parametrize(
    ("typed", "found", "marked"),
    [
        ("benh vien mat", "/benh-vien#benh-vien-mat-tinh-gia-lai-21583", "<mark>Mắt</mark>"),
        ("B%E1%BB%86NH+VI%E1%BB%86N+M%E1%BA%AET", "/benh-vien#benh-vien-mat-tinh-gia-lai-21583", "Mắt"),
        ("khong khi", "/khong-khi", "<mark>Không</mark> <mark>khí</mark>"),
        ("phu thuy", "/khong-khi/tram/phu-thuy", "<mark>Phú</mark> <mark>Thủy</mark>"),
        ("quan y 13", "/benh-vien#benh-vien-quan-y-13-21592", "<mark>Quân</mark>"),
        ("benh vien quy nhon", "/benh-vien#benh-vien-tam-than-quy-nhon-21553", "<mark>Nhơn</mark>"),
    ],
)
async def test_things_are_found_with_or_without_diacritics(
    town: Client, typed: str, found: str, marked: str
) -> None:
    page = await town.page(f"/tim?q={typed.replace(' ', '+')}")
    assert page.status == 200
    assert f'href="{found}"' in page.text
    assert marked in page.text
    assert 'name="robots" content="noindex"' in page.text


async def test_the_search_speaks_the_language_of_the_page(town: Client) -> None:
    page = await town.page("/en/tim?q=hospital")
    assert 'href="/en/benh-vien"' in page.text
    assert "<mark>Hospitals</mark>" in page.text
    assert 'action="/en/tim"' in page.text


async def test_what_is_made_up_says_so_once(house: House) -> None:
    made_up = replace(FIVE[0], slug="mo-phong", name="Trạm Mũi Né – số liệu mô phỏng")
    await write_stations(house.pool, [made_up], house.clock.now())
    text = (await Client(build_application(house)).page("/tim?q=tram+mui+ne")).text
    assert '<mark>Trạm</mark> <mark>Mũi</mark> <mark>Né</mark></a> <span class="synthetic">' in text


async def test_a_page_that_is_not_there_offers_to_search(town: Client) -> None:
    page = await town.page("/khong-co")
    assert page.status == 404
    assert '<form class="search-form" role="search" action="/tim" method="get">' in page.text


async def test_what_is_not_there_is_answered_with_what_to_try(town: Client) -> None:
    page = await town.page("/tim?q=xyzzy")
    assert page.status == 200
    assert "Không tìm thấy gì cho “xyzzy”" in page.text
    assert "gõ ít từ hơn" in page.text


async def test_an_empty_search_says_what_can_be_found(town: Client) -> None:
    page = await town.page("/tim")
    assert "Ở đây tìm được" in page.text
    assert "Bệnh viện, trung tâm y tế" in page.text
    assert 'name="robots"' not in page.text


@pytest.mark.parametrize(
    "typed",
    [
        "%3Cscript%3Ealert(1)%3C/script%3E",
        "%22%3E%3Cimg%20src=x%3E",
        "%00%0a%E2%80%AE",
        "%ff%fe",
        "a" * 6_000,
        "'; DROP TABLE x",
    ],
)
async def test_a_hostile_question_is_only_a_question(town: Client, typed: str) -> None:
    page = await town.page(f"/tim?q={typed.replace(' ', '+')}")
    assert page.status == 200
    assert "<script>alert" not in page.text
    assert "<img src=x" not in page.text
    assert "\u202e" not in page.text
    assert "\x00" not in page.text


@pytest.mark.parametrize("query", ["?q=a&q=b", "?x=1", "?q", "?" + "a=1&" * 900])
async def test_a_strange_address_is_answered_too(town: Client, query: str) -> None:
    assert (await town.page(f"/tim{query}")).status == 200


async def test_two_questions_are_two_pages(town: Client) -> None:
    first = await town.page("/tim?q=pleiku")
    second = await town.page("/tim?q=mui+ne")
    assert "Pleiku" in first.text
    assert "<mark>Mũi</mark>" in second.text
    assert "Pleiku" not in second.text


async def test_searching_is_reading(town: Client) -> None:
    assert (await town.ask("POST", "/tim?q=a")).status == 405


def test_the_best_stand_first() -> None:
    hits = [
        SearchHit(name, "/")
        for name in ("Chợ Phan Thiết", "Thiết bị Phan Rang", "Phan Thiết", "Phan Thiết Mới")
    ]
    found = [one.title for one in best_hits(question_of("phan thiet"), hits, 10)]
    assert found == ["Phan Thiết", "Phan Thiết Mới", "Chợ Phan Thiết", "Thiết bị Phan Rang"]
    assert [one.title for one in best_hits(question_of("phan thiet"), hits, 1)] == ["Phan Thiết"]


@given(st.text(), st.text())
def test_marking_only_marks(typed: str, text: str) -> None:
    question = question_of(typed)
    assert len(question.text) <= LONGEST
    shown = str(question.marked(text))
    assert "<" not in shown.replace("<mark>", "").replace("</mark>", "")
    assert question.marked(text).striptags() == question_of("").marked(text).striptags()
