"""The pages of the tide and of what is usual: they need no entity, and say what they are not."""

from haidang.web.asgi import build_application
from haidang.web.shared.house import House
from tests.web.client import Client


async def test_the_tide_is_said_to_be_computed_and_not_for_navigation(house: House) -> None:
    text = (await Client(build_application(house)).page("/thuy-trieu")).text
    assert "Số tính toán, không phải số đo. Không dùng cho hàng hải." in text
    assert "Phan Thiết không có trạm đo triều nên không có số thủy triều." in text
    assert "TICON-4" in text
    assert "CC BY 4.0" in text
    assert text.count('<svg class="lines"') == 7
    assert "nước lớn" in text
    english = (await Client(build_application(house)).page("/en/thuy-trieu")).text
    assert "Computed, not measured. Not for navigation." in english


async def test_the_tide_is_a_table_too(house: House) -> None:
    lines = (await Client(build_application(house)).get("/thuy-trieu.csv")).text.strip().splitlines()
    assert len(lines) == 1 + 7 * 96 + 1
    assert ",forecast," in lines[1]


async def test_the_climate_says_of_which_years_it_is(house: House) -> None:
    text = (await Client(build_application(house)).page("/khi-hau")).text
    assert text.count("Trung bình nhiều năm 1979–2017") == 5
    assert "tháng này" in text
    assert "%%" not in text
    assert (await Client(build_application(house)).get("/en/khi-hau.csv")).status == 200
