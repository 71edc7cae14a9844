"""The search finds administrative units, then and now, from the facts of the whole country."""

from tests.web.client import Client


async def test_a_ward_of_today_is_found_with_what_it_is_in(country_web: Client) -> None:
    page = await country_web.page("/tim?q=phan+thiet")
    assert page.status == 200
    assert ">Đơn vị hành chính</h2>" in page.text
    assert "<mark>Phan</mark> <mark>Thiết</mark>" in page.text
    assert "Lâm Đồng" in page.text
    assert 'href="/don-vi/' in page.text


async def test_a_former_ward_is_found_with_what_it_became(country_web: Client) -> None:
    page = await country_web.page("/tim?q=duc+thang")
    assert "<mark>Đức</mark> <mark>Thắng</mark>" in page.text
    assert "nay là" in page.text
    english = await country_web.page("/en/tim?q=duc+thang")
    assert "today" in english.text
    assert 'href="/en/don-vi/' in english.text


async def test_no_unit_is_found_for_what_no_unit_is_called(country_web: Client) -> None:
    text = (await country_web.page("/tim?q=xyzzy")).text
    assert 'href="/don-vi/' not in text
    assert "Không tìm thấy gì cho “xyzzy”" in text
