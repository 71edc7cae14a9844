"""The pages of units: an old address becomes a ward of today, trees of any day, one unit, every state."""

import re
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from haidang.web.asgi import build_application
from haidang.web.portal.units import pages
from haidang.web.shared import units
from haidang.web.shared.house import House
from tests.web.client import Client

LOOKUP, TREE = "/tra-cuu-don-vi", "/don-vi"


def words(page: str) -> str:
    """The text of a page as it is read: without tags, spaces folded."""
    return " ".join(re.sub(r"<[^>]+>", " ", page).replace("&#39;", "'").split())


async def look_up(web: Client, text: str, more: str = "") -> str:
    reply = await web.page(f"{LOOKUP}?q={quote(text)}{more}")
    assert reply.status == 200, text
    return words(reply.text)


async def test_an_old_address_becomes_todays_ward_with_its_law(country_web: Client) -> None:
    said = await look_up(country_web, "72 tran hung dao, p. phu thuy, phan thiet")
    assert "Nay là Phường Phú Thuỷ Tỉnh Lâm Đồng · mã 22924" in said
    assert "Trước 1/7/2025 là Phường Phú Thủy , Thành phố Phan Thiết, Tỉnh Bình Thuận." in said
    assert "Chúng tôi chắc chắn." in said
    assert "72 tran hung dao, Phường Phú Thuỷ, Tỉnh Lâm Đồng" in said
    assert "Nghị quyết 1671/NQ-UBTVQH15 (16/6/2025), Điều 1 khoản 111" in said


async def test_a_split_commune_is_asked_about_and_a_point_settles_it(country_web: Client) -> None:
    said = await look_up(country_web, "xã Hòa Thắng, huyện Bắc Bình")
    assert "Xã Hòa Thắng đã được chia ra" in said
    assert "Xã Hoà Thắng Tỉnh Lâm Đồng" in said
    assert "Xã Hồng Thái Tỉnh Lâm Đồng" in said
    assert "Nay là" not in said
    settled = await look_up(
        country_web, "xã Hòa Thắng, huyện Bắc Bình", "&latitude=11,0966&longitude=108.384"
    )
    assert "Nay là Xã Hoà Thắng" in settled


async def test_what_is_left_open_is_asked_with_the_own_province_first(country_web: Client) -> None:
    said = await look_up(country_web, "lạc đạo")
    assert "Ý bạn là nơi nào?" in said
    assert said.index("Phường Phan Thiết Tỉnh Lâm Đồng") < said.index("Xã Lạc Đạo Tỉnh Hưng Yên")


async def test_a_former_province_narrows_it_down(country_web: Client) -> None:
    said = await look_up(country_web, "lạc đạo", "&tinh-cu=tinh-binh-thuan")
    assert "Nay là Phường Phan Thiết" in said


async def test_a_point_alone_says_its_ward_and_how_sure(country_web: Client) -> None:
    reply = await country_web.page(f"{LOOKUP}?latitude=10,933&longitude=108,100")
    assert "Vị trí này thuộc Phường Phan Thiết" in words(reply.text)
    assert "chúng tôi chắc chắn" in reply.text
    sea = words((await country_web.page(f"{LOOKUP}?latitude=10&longitude=111")).text)
    assert "Không có đơn vị nào tại vị trí này" in sea


async def test_what_is_unknown_says_what_to_try_and_a_code_alone_why_not(country_web: Client) -> None:
    assert "Không tìm thấy đơn vị nào như vậy" in await look_up(country_web, "qwrtzx")
    assert "Chỉ có mã thì chưa đủ" in await look_up(country_web, "22945")
    assert "Nay là Xã D'Ran" in await look_up(country_web, "xã d'ran, lâm đồng")


@pytest.mark.parametrize(
    "query",
    [
        "q=" + "a" * 10_000,
        "q=" + quote("ế") * 10_000,
        "q=abc&latitude=NaN&longitude=1",
        "q=abc&latitude=1e999&longitude=1",
        "q=abc&latitude=11",
        "latitude=%00&longitude=%00",
    ],
)
async def test_what_cannot_be_read_is_said_beside_the_form(country_web: Client, query: str) -> None:
    reply = await country_web.page(f"{LOOKUP}?{query}")
    assert reply.status == 422
    assert 'role="alert"' in reply.text
    assert 'name="q"' in reply.text
    assert len(reply.text) < 20_000


async def test_what_was_typed_comes_back_beside_what_is_wrong_with_it(country_web: Client) -> None:
    reply = await country_web.page(f"{LOOKUP}?q=phu+thuy&latitude=m%C6%B0%E1%BB%9Di&longitude=108")
    assert "“mười” không phải là số hợp lệ cho Vĩ độ." in words(reply.text)
    assert {"phu thuy", "mười", "108"} <= set(re.findall(r'value="([^"]*)"', reply.text))


@pytest.mark.parametrize(
    "typed",
    [
        "<script>alert(1)</script>",
        "'; DROP TABLE places.unit; --",
        "\x00\x01\x1f",
        "%00%ff%fe",
        "{{ 7*7 }} %s {0}",
        "\u202ephường Phú Thủy",
        " ",
    ],
)
async def test_hostile_words_find_nothing_and_break_nothing(country_web: Client, typed: str) -> None:
    for path in (f"{LOOKUP}?q=", f"{TREE}?tinh=tinh-lam-dong&tim=", f"/en{LOOKUP}?q="):
        reply = await country_web.page(path + quote(typed))
        assert reply.status == 200
        assert "<script>alert" not in reply.text
        assert "\x00" not in reply.text
        assert "49" not in re.findall(r'value="([^"]*)"', reply.text)
    raw = await country_web.page(f"{LOOKUP}?q=%ff%fe&q=x&&=&tinh-cu=%00'")
    assert raw.status == 200


async def test_the_tree_of_today_says_what_each_ward_was_made_of(country_web: Client) -> None:
    reply = await country_web.page(TREE)
    said = words(reply.text)
    assert "Trước 1/7/2025 3 tỉnh, thành, 28 huyện, quận, thị xã, 329 xã, phường" in said
    assert "Từ 1/7/2025 1 tỉnh, thành, 124 xã, phường" in said
    assert "Từ Tỉnh Bình Thuận cũ" in said
    row = said[said.index("Phường Bình Thuận Xã Hàm Hiệp") :][:200]
    assert "Xã Phong Nẫm ; Phường Phú Tài 22960" in row
    assert 'class="map-picture"' in reply.text
    assert reply.text.count('<th scope="row">') == 124


async def test_the_tree_of_an_old_day_stands_by_district_with_what_became_of_it(country_web: Client) -> None:
    reply = await country_web.page(f"{TREE}?tinh=tinh-lam-dong&ngay=30/06/2025")
    said = words(reply.text)
    assert "Các đơn vị này không còn từ 1/7/2025" in said
    assert "Ngày đó là: Tỉnh Bình Thuận , Tỉnh Đắk Nông , Tỉnh Lâm Đồng ." in said
    assert "Thành phố Phan Thiết 15" in said
    assert "Phường Lạc Đạo Phường Phan Thiết 22945" in said
    assert reply.text.count('<th scope="row">') == 329
    iso = await country_web.page(f"{TREE}?tinh=tinh-lam-dong&ngay=2025-06-30")
    assert iso.text.count('<th scope="row">') == 329


async def test_a_province_is_narrowed_to_the_area_of_a_former_one(country_web: Client) -> None:
    whole = (await country_web.page("/don-vi?tinh=tinh-lam-dong")).text
    links = re.findall(r'href="(/don-vi\?tinh=tinh-lam-dong&amp;dia-ban=[^"]+)">([^<]+)</a>', whole)
    assert [name for _, name in links] == [
        "Địa bàn Bình Thuận cũ",
        "Địa bàn Đắk Nông cũ",
        "Địa bàn Lâm Đồng cũ",
    ]
    area = (await country_web.page(links[0][0].replace("&amp;", "&"))).text
    rows = re.findall(r'<th scope="row"><a href="/don-vi/([^"]+)"', area)
    wards = (await country_web.get("/api/places/areas/binh-thuan-cu?on=2026-11-21")).json["units"]
    assert sorted(rows) == sorted(one["path"].removeprefix("/don-vi/") for one in wards)
    assert 'aria-current="true">Địa bàn Bình Thuận cũ</a>' in area
    assert f"Địa bàn Bình Thuận cũ: {len(wards)} xã, phường" in area
    assert area.count('class="chosen"') == len(wards)
    before = (await country_web.page("/don-vi?tinh=tinh-lam-dong&ngay=30/06/2025&dia-ban=binh-thuan-cu")).text
    assert "Thành phố Phan Thiết" in before
    assert "Thành phố Đà Lạt" not in before


@pytest.mark.parametrize(
    "query", ["tinh=tinh-lam-dong&dia-ban=gia-lai-cu", "tinh=tinh-lam-dong&dia-ban=%00<", "tinh=&dia-ban=x"]
)
async def test_an_area_of_elsewhere_narrows_nothing(country_web: Client, query: str) -> None:
    page = await country_web.page(f"/don-vi?{query}")
    assert page.status == 200
    assert 'name="dia-ban"' not in page.text


async def test_a_province_that_was_not_merged_has_no_areas(country_web: Client) -> None:
    page = await country_web.page("/don-vi?tinh=thanh-pho-ha-noi")
    assert "dia-ban=" not in page.text


async def test_the_tree_finds_old_and_new_names_and_says_when_none_fits(country_web: Client) -> None:
    found = await country_web.page(f"{TREE}?tinh=tinh-lam-dong&tim=hoa+thang")
    assert "2 trong 124 đơn vị khớp" in words(found.text)
    none = await country_web.page(f"{TREE}?tinh=tinh-lam-dong&tim=qwrtzx")
    assert none.status == 200
    assert "Không có đơn vị nào khớp “qwrtzx”" in words(none.text)


async def test_days_outside_our_records_are_said_and_no_day_is_refused(country_web: Client) -> None:
    old = words((await country_web.page(f"{TREE}?ngay=01/01/1990")).text)
    assert "Danh sách đơn vị cũ của chúng tôi là của ngày 01/03/2025" in old
    ahead = words((await country_web.page(f"{TREE}?ngay=01/01/2030")).text)
    assert "Ngày này chưa tới" in ahead
    wrong = await country_web.page(f"{TREE}?ngay=31/02/2025")
    assert wrong.status == 422
    assert "không phải là ngày" in wrong.text


async def test_other_provinces_are_listed_by_name(country_web: Client) -> None:
    nation = words((await country_web.page(f"{TREE}?tinh=")).text)
    assert "Tỉnh, thành phố 34 Tỉnh An Giang" in nation
    other = await country_web.page(f"{TREE}?tinh=tinh-hung-yen")
    assert other.status == 200
    assert "Xã Lạc Đạo" in other.text
    former = await country_web.page(f"{TREE}?tinh=tinh-binh-thuan")  # gone: today's province of its land
    assert "Ngày đó thuộc: Tỉnh Lâm Đồng" in words(former.text)


async def test_one_unit_says_its_names_figures_and_law(country_web: Client) -> None:
    reply = await country_web.page("/don-vi/phuong-phan-thiet-lam-dong")
    said = words(reply.text)
    for fact in (
        "Cấp xã · mã 22945 · Tỉnh Lâm Đồng",
        "Phường Bình Hưng (Thành phố Phan Thiết, Tỉnh Bình Thuận)",
        "4,46 km²",
        "85.493 theo công bố ngày 17/07/2025",
        "Điều 1 khoản 112",
        "chính xác khoảng 5 m",
    ):
        assert fact in said, fact
    missing = words((await country_web.page("/don-vi/phuong-phu-thuy-lam-dong")).text)
    assert "Dân số chưa có số liệu" in missing


async def test_a_former_unit_says_what_it_is_today_and_a_former_district_is_a_table(
    country_web: Client,
) -> None:
    ward = words((await country_web.page("/don-vi/phuong-lac-dao-phan-thiet-binh-thuan")).text)
    assert "đã kết thúc ngày 01/07/2025. Nay là Phường Phan Thiết" in ward
    district = await country_web.page("/don-vi/thanh-pho-phan-thiet-binh-thuan")
    assert district.text.count('<th scope="row">') == 15
    assert "Phường Mũi Né Phường Mũi Né 22915" in words(district.text)
    assert "Không có đơn vị nào thay thế" in words(district.text)
    assert "Không có đơn vị nào thay thế" not in ward


@pytest.mark.parametrize("slug", ["khong-co", "..%2f..%2fetc", "A'B", "x" * 500, "urn:ngsi-ld:Device:1"])
async def test_an_unknown_unit_is_a_page_of_its_own(country_web: Client, slug: str) -> None:
    reply = await country_web.page(f"/don-vi/{quote(slug, safe='%')}")
    assert reply.status == 404
    assert "<h1" in reply.text
    assert (await country_web.page(f"{TREE}?tinh={slug[:60]}")).status == 404


@pytest.mark.parametrize(
    "path",
    [
        LOOKUP,
        f"{LOOKUP}?q=phu+thuy",
        TREE,
        f"{TREE}?ngay=2025-06-30",
        "/don-vi/phuong-phan-thiet-lam-dong",
        "/don-vi/tinh-binh-thuan",
    ],
)
@pytest.mark.parametrize("prefix", ["", "/en"])
async def test_every_page_is_whole_in_both_languages_and_strict(
    country_web: Client, country_house: House, path: str, prefix: str
) -> None:
    before = country_house.translations.missing_total
    reply = await country_web.page(prefix + path, ("accept-encoding", "br"))
    assert reply.status == 200
    assert reply.text.count("<h1") == 1
    assert re.findall(r"<script(?![^>]*\ssrc=)|\sstyle=|\son[a-z]+=", reply.text) == []
    ids = re.findall(r'\sid="([^"]+)"', reply.text)
    assert len(ids) == len(set(ids))
    assert country_house.translations.missing_total == before, list(country_house.translations.missing)
    etag = reply.header("etag")
    assert etag
    again = await country_web.page(prefix + path, ("accept-encoding", "br"), ("if-none-match", etag))
    assert again.status == 304


async def test_a_province_without_facts_still_has_its_pages(web: Client) -> None:
    for path in (LOOKUP, f"{LOOKUP}?q=phu+thuy", TREE):
        assert (await web.page(path)).status == 200


class _Away:
    """A database that nobody can reach."""

    def acquire(self) -> Any:
        raise OSError("away")


async def test_without_the_database_the_page_says_so_with_the_emergency_numbers(
    country_house: House,
) -> None:
    away = Client(build_application(replace(country_house, pool=_Away())))
    for path in (LOOKUP, TREE, "/don-vi/phuong-phan-thiet-lam-dong"):
        page = await away.page(path)
        assert page.status == 503
        assert 'href="tel:115"' in page.text


@pytest.mark.parametrize("path", [LOOKUP, TREE, "/don-vi/phuong-phan-thiet-lam-dong"])
async def test_the_pages_only_answer_reading(country_web: Client, path: str) -> None:
    assert (await country_web.ask("POST", path)).status == 405


async def test_a_coordinate_that_cannot_be_read_is_told_at_its_own_field(country_web: Client) -> None:
    for query, fields in (("latitude=abc&longitude=108", 1), ("latitude=10,9", 2)):
        reply = await country_web.page(f"{LOOKUP}?{query}")
        assert reply.status == 422
        pointed = re.findall(r'<input id="([a-z]+)"[^>]* aria-describedby="position-error"', reply.text)
        assert pointed == ["latitude", "longitude"][:fields]
        assert 'id="position-error" role="alert"' in reply.text


async def test_a_former_district_is_drawn_as_the_units_that_its_land_went_to(country_web: Client) -> None:
    text = (await country_web.page("/don-vi/thanh-pho-phan-thiet-binh-thuan")).text
    assert len(re.findall(r'<path class="chosen"', text)) > 3
    assert "các đơn vị nay giữ toàn bộ hoặc một phần đất của nó" in text


def test_every_word_of_a_query_that_a_page_reads_makes_a_page_of_its_own() -> None:
    source = Path(pages.__file__).read_text("utf-8") + Path(units.__file__).read_text("utf-8")
    read = set(re.findall(r'query\.get\("([a-z-]+)"', source))
    assert read == set(pages._CHOSEN) | pages._TYPED


@pytest.mark.parametrize(
    ("query", "key"),
    [
        ({}, (None, None)),
        ({"fbclid": "IwAR0", "utm_source": "zalo"}, (None, None)),
        ({"tinh": "tinh-lam-dong", "fbclid": "x"}, ("tinh-lam-dong", None)),
        ({"tinh": ""}, ("", None)),
        ({"q": ""}, None),
        ({"tinh": "x" * 1000}, None),
    ],
)
def test_what_a_page_does_not_read_shares_the_page(
    query: dict[str, str], key: tuple[str | None, ...] | None
) -> None:
    found = pages._chosen(query)
    assert (found[: len(key)] if found and key else found) == key
