"""The warning in force stands on every page while it is in force, in its issuer's words."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from haidang.infra.province import Bulletin, ProvinceSettingWrong, change_province_setting, province_settings
from haidang.kernel.actors import part
from haidang.kernel.instants import SetClock
from haidang.web.asgi import build_application
from haidang.web.shared.house import House
from haidang.web.shared.levels import NIGHT, contrast, needs_plate
from haidang.web.shared.risks import RISK_LEVELS
from tests.web.client import Client

STORM = {
    "title": "Mưa lớn",
    "text": "Phan Thiết, Phú Thủy, Hàm Thắng.",
    "issuer": "Đài Khí tượng Thủy văn tỉnh Lâm Đồng",
    "number": "12",
    "issued_at": "2026-11-21T11:00:00+07:00",
    "valid_until": "2026-11-21T19:00:00+07:00",
    "level": 1,
    "link": "https://example.vn/can-lam-gi",
}


async def warn(house: House, **changes: Any) -> Client:
    """The web of a province with that bulletin; the clock stands at noon."""
    async with house.pool.acquire() as connection:
        await change_province_setting(
            part("test"), connection, "bulletin", {**STORM, **changes}, now=house.clock.now()
        )
    return Client(build_application(house))


@pytest.mark.parametrize("path", ["/", "/khong-khi", "/khong-co-trang-nay"])
async def test_a_bulletin_in_force_stands_on_every_page_with_who_says_so(house: House, path: str) -> None:
    text = (await (await warn(house)).page(path)).text
    assert "Mưa lớn" in text
    assert "Rủi ro cấp 1 (thấp)" in text
    assert "Bản tin số 12, Đài Khí tượng Thủy văn tỉnh Lâm Đồng" in text
    assert "11:00, 21/11/2026" in text
    assert "19:00, 21/11/2026" in text
    assert 'href="https://example.vn/can-lam-gi"' in text


async def test_a_bulletin_is_gone_when_it_has_ended_or_is_not_yet_issued(
    house: House, clock: SetClock
) -> None:
    web = await warn(house)
    clock.advance(timedelta(hours=8))
    assert "Mưa lớn" not in (await web.page("/")).text
    later = await warn(house, issued_at="2026-11-21T21:00:00+07:00", valid_until="2026-11-22T21:00:00+07:00")
    assert "Mưa lớn" not in (await later.page("/")).text


async def test_a_bulletin_without_a_level_says_none(house: House) -> None:
    web = await warn(house, level=None, number="", link="", text="")
    text = (await web.page("/en")).text
    assert "Warning in force" in text
    assert "Risk level" not in text
    assert "Bulletin no." not in text


@pytest.mark.parametrize(
    "wrong",
    [
        {"level": 6},
        {"level": 0},
        {"issuer": ""},
        {"issued_at": "2026-11-21T11:00:00"},
        {"valid_until": "2026-11-21T11:00:00+07:00"},
        {"link": "javascript:alert(1)"},
        {"link": "http://plain.example.vn"},
        {"title": "x" * 121},
    ],
)
async def test_a_bulletin_that_cannot_be_is_refused(house: House, wrong: dict[str, Any]) -> None:
    with pytest.raises(ProvinceSettingWrong):
        await warn(house, **wrong)


async def test_a_bulletin_is_escaped_like_everything(house: House) -> None:
    text = (await (await warn(house, title="<script>x</script>", text='"><img src=x>')).page("/")).text
    assert "<script>x" not in text
    assert "<img src=x" not in text


async def test_a_bulletin_survives_being_kept(house: House) -> None:
    await warn(house)
    async with house.pool.acquire() as connection:
        kept = (await province_settings(connection, "default")).bulletin
    assert isinstance(kept, Bulletin)
    assert kept.level == 1
    assert replace(house).clock.now() < kept.valid_until


def test_words_can_be_read_on_the_colour_of_every_level() -> None:
    for level in RISK_LEVELS.values():
        ground = "#ffffff" if needs_plate(level.colour) else level.colour
        assert contrast(ground, NIGHT) >= 4.5, level
    assert len({level.colour for level in RISK_LEVELS.values()}) == 5
