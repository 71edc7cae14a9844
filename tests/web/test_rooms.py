"""The frames of the officers' faces: only what is public, only for this machine, no dead links."""

import re
from dataclasses import replace
from datetime import date
from typing import Any

import msgspec
import pytest

from haidang.places.changes import Change, ChangeState, Draft
from haidang.places.model import Level
from haidang.web.asgi import build_application
from haidang.web.shared.house import House
from haidang.web.shared.rooms import ROOM_TITLES
from tests.web.client import Client

ROOMS = tuple(ROOM_TITLES)


@pytest.mark.parametrize("prefix", ["", "/en"])
@pytest.mark.parametrize("path", ROOMS)
async def test_every_frame_opens_in_every_language_and_is_indexed_by_nobody(
    city: Client, path: str, prefix: str
) -> None:
    page = await city.page(prefix + path)
    assert page.status == 200
    assert 'data-theme="night"' in page.text
    assert '<meta name="robots" content="noindex">' in page.text
    assert page.text.count("<h1") == 1
    assert page.text.count("<main") == 1
    assert '<a class="skip" href="#main">' in page.text
    assert f'href="{prefix}{path}" aria-current="true"' in page.text


@pytest.mark.parametrize("path", ROOMS)
async def test_every_link_of_a_frame_leads_somewhere(city: Client, path: str) -> None:
    page = await city.page(path)
    for address in set(re.findall(r'<a [^>]*href="(/[^"#]*)', page.text)):
        assert (await city.page(address)).status == 200, address


@pytest.mark.parametrize("path", ROOMS)
async def test_a_frame_has_no_inline_script_style_or_foreign_address(city: Client, path: str) -> None:
    text = (await city.page(path)).text
    assert re.findall(r"<script(?![^>]*\ssrc=)", text) == []
    assert re.findall(r"\sstyle=", text) == []
    assert re.findall(r'(?:src|href)="(?:https?:)?//', text) == []


@pytest.mark.parametrize("host", ["0.0.0.0", "203.0.113.7"])  # noqa: S104 - that it is refused is the test
async def test_where_others_are_listened_to_there_are_no_frames(house: House, host: str) -> None:
    open_to_all = replace(house, settings=msgspec.structs.replace(house.settings, host=host))
    web = Client(build_application(open_to_all))
    for path in ROOMS:
        assert (await web.page(path)).status == 404
    assert (await web.page("/")).status == 200


@pytest.mark.parametrize("path", ROOMS)
async def test_a_frame_is_only_read(city: Client, path: str) -> None:
    assert (await city.ask("POST", path)).status == 405


async def test_no_citizens_page_leads_into_a_frame(city: Client) -> None:
    text = (await city.page("/")).text
    assert [path for path in ROOMS if f'href="{path}"' in text] == []


async def test_administration_shows_health_and_sources_and_says_that_it_only_shows(city: Client) -> None:
    text = (await city.page("/admin")).text
    assert "Cơ sở dữ liệu" in text
    assert "sẵn sàng" in text
    assert "chưa gửi lần nào" in text
    assert "Trang này chỉ để xem" in text
    assert "Không có thay đổi đơn vị nào được hẹn ngày" in text
    assert "<form" not in text
    assert "<button" not in text


async def test_administration_shows_what_units_are_scheduled_to_change_and_no_draft(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    def change(state: ChangeState, title: str) -> Change:
        draft = Draft(
            title=title, takes_effect=date(2027, 1, 1), legal_basis="x", level=Level.WARD, begins=()
        )
        return Change(f"urn:haidang:unit-change:{title}", state, draft)

    async def known(*_: object) -> list[Change]:
        return [change(ChangeState.SCHEDULED, "Nhập A vào B"), change(ChangeState.APPLIED, "Đã xong")]

    monkeypatch.setattr("haidang.web.admin.overview.changes", known)
    text = (await Client(build_application(house)).page("/admin")).text
    assert "<b>01/01/2027</b> Nhập A vào B" in text
    assert "Đã xong" not in text


class _Away:
    """A database that nobody can reach."""

    def acquire(self) -> Any:
        raise OSError("away")


async def test_administration_stands_when_the_database_is_away(house: House) -> None:
    away = Client(build_application(replace(house, pool=_Away())))
    page = await away.page("/admin")
    assert page.status == 200
    assert "Không tới được cơ sở dữ liệu" in page.text


async def test_the_centre_has_the_province_now_and_does_not_call_nothing_well(city: Client) -> None:
    text = (await city.page("/ioc")).text
    assert "Tỉnh lúc này" in text
    assert "402" in text
    assert 'id="alarm-cards"' in text


async def test_data_lists_what_packs_declare_with_its_licence(city: Client) -> None:
    text = (await city.page("/data")).text
    assert "AirQualityObserved" in text
    assert "CC-BY-4.0" in text
