"""Units and the calendar from the command line: what an administrator types, and what anybody may ask."""

import asyncio
import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from haidang import cli
from haidang.infra.embedded import TemporaryCluster
from haidang.places.calendars import CalendarDayConfirmed, CalendarDayUnknown
from haidang.places.changing import ChangeUnknown, ChangeUnsound, UnitInAnotherChange
from haidang.places.drafting import ChangeMalformed
from tests.databases import copy_of

MERGER = """
title = "Diễn tập sáp nhập"
takes_effect = 2099-01-01
legal_basis = "Nghị quyết diễn tập"

[[merge]]
from = ["22945", "22924"]
kind = "Phường"
name = "Phan Thiết"
code = "22945"
"""


@pytest.fixture
async def country_dsn(cluster: TemporaryCluster, country_template: str) -> AsyncIterator[str]:
    """A database of the test's own with all facts."""
    async with copy_of(cluster, country_template) as dsn:
        yield dsn


async def run(dsn: str, *arguments: str) -> Result:
    """One command, in a thread: it has an event loop of its own. An error of ours is raised."""
    runner = CliRunner(env={"DATABASE_URL": dsn, "HAIDANG_DEFAULT_LOCALE": "vi"})
    return await asyncio.to_thread(runner.invoke, cli.haidang, list(arguments), catch_exceptions=False)


def draft_file(folder: Path, text: str = MERGER) -> str:
    path = folder / "thay-doi.toml"
    path.write_text(text, encoding="utf-8")
    return str(path)


def number_of(drafted: Result) -> str:
    found = re.search(r"dự thảo (\w{8})", drafted.output)
    assert found, drafted.output
    return found[1]


async def test_a_change_is_drafted_shown_scheduled_and_undone(country_dsn: str, tmp_path: Path) -> None:
    drafted = await run(country_dsn, "units", "draft", draft_file(tmp_path))
    change = number_of(drafted)
    for said in (
        "Diễn tập sáp nhập: dự thảo, từ ngày 01/01/2099.",
        "Căn cứ: Nghị quyết diễn tập.",
        "100 %",
        "chưa có số liệu; các phần có số liệu khoảng",
        "/don-vi/phuong-phan-thiet-20990101-22945",
        "Số đối tượng của thành phố nằm ở đó: 0",
        "Lưu ý: Chưa có số liệu dân số của Phường Phan Thiết",
    ):
        assert said in drafted.output, drafted.output
    assert "Cần sửa" not in drafted.output
    assert (await run(country_dsn, "units", "preview", change)).output in drafted.output
    with pytest.raises(UnitInAnotherChange):
        await run(country_dsn, "units", "draft", draft_file(tmp_path))

    with pytest.raises(cli.MustBeConfirmed):
        await run(country_dsn, "units", "schedule", change, "--why", "Diễn tập")
    done = await run(country_dsn, "units", "schedule", change, "--why", "Diễn tập", "--yes")
    assert "Trước 0 giờ ngày 01/01/2099 vẫn có thể hủy." in done.output
    assert "đã lên lịch" in (await run(country_dsn, "units", "list")).output
    with pytest.raises(cli.MustBeConfirmed):
        await run(country_dsn, "units", "undo", change, "--why", "Thôi")
    assert "Đã hủy" in (await run(country_dsn, "units", "undo", change, "--why", "Thôi", "--yes")).output
    history = (await run(country_dsn, "units", "show", change)).output
    assert [history.index(step) for step in ("lập dự thảo", "đã lên lịch", "Thôi")] == sorted(
        history.index(step) for step in ("lập dự thảo", "đã lên lịch", "Thôi")
    )


async def test_what_is_wrong_is_named_and_forbids_scheduling(country_dsn: str, tmp_path: Path) -> None:
    late = MERGER.replace("2099-01-01", "2026-01-01").replace('code = "22945"', 'code = "22918"')
    drafted = await run(country_dsn, "units", "draft", draft_file(tmp_path, late))
    assert "Cần sửa: Ngày hiệu lực là 01/01/2026" in drafted.output
    assert "Cần sửa: Mã 22918 của Phường Phan Thiết đang là mã của Phường Mũi Né." in drafted.output
    with pytest.raises(ChangeUnsound):
        await run(country_dsn, "units", "schedule", number_of(drafted), "--why", "Diễn tập", "--yes")
    with pytest.raises(ChangeUnknown):
        await run(country_dsn, "units", "show", "khong-co")
    with pytest.raises(ChangeMalformed):
        await run(country_dsn, "units", "draft", draft_file(tmp_path, "title = 1"))


async def test_anybody_may_ask_where_a_point_is_and_what_a_name_means(country_dsn: str) -> None:
    today = await run(country_dsn, "units", "at", "108.1", "10.933", "--on", "2026-11-22")
    assert today.output == "Tỉnh Lâm Đồng › Phường Phan Thiết (22945)\n"
    before = await run(country_dsn, "units", "at", "108.1", "10.933", "--on", "30/06/2025")
    assert before.output.startswith("Tỉnh Bình Thuận (60)\n")
    assert "30/06/2025" in before.output
    assert "không có đơn vị nào" in (await run(country_dsn, "units", "at", "100.5", "13.7")).output
    with pytest.raises(cli.LongitudeComesFirst):
        await run(country_dsn, "units", "at", "10.933", "108.1")
    wrong = await run(country_dsn, "units", "at", "108.1", "10.933", "--on", "31/13/2025")
    assert (wrong.exit_code, "31/13/2025 không phải là ngày" in wrong.output) == (2, True)
    found = await run(country_dsn, "units", "find", "phuong lac dao, phan thiet", "--on", "22/11/2026")
    assert "Phường Phan Thiết" in found.output
    assert "22945" in found.output


async def test_the_calendar_is_listed_and_decided_about(country_dsn: str) -> None:
    listed = (await run(country_dsn, "calendar", "list", "--year", "2026")).output
    (line,) = (one for one in listed.splitlines() if "24/11/2026" in one)
    assert line.startswith("Thứ Ba, 24/11/2026")
    assert "chưa xác nhận" in line
    assert "1 ngày chưa được xác nhận" in listed
    why = ("--basis", "Luật số 1/2026/QH16", "--why", "Đã đăng Công báo")
    confirmed = await run(country_dsn, "calendar", "confirm", "24/11/2026", *why)
    assert confirmed.output == "Đã xác nhận Ngày Văn hóa Việt Nam, ngày 24/11/2026.\n"
    assert "chưa xác nhận" not in (await run(country_dsn, "calendar", "list", "--year", "2026")).output
    with pytest.raises(CalendarDayConfirmed):
        await run(country_dsn, "calendar", "confirm", "24/11/2026", *why)
    await run(country_dsn, "calendar", "set", "25/11/2026", "Ngày thử", "--for", "state-bodies", *why)
    with pytest.raises(CalendarDayUnknown):
        await run(country_dsn, "calendar", "strike", "25/11/2026", *why)
    await run(country_dsn, "calendar", "strike", "25/11/2026", "--for", "state-bodies", *why)
    assert "Ngày thử" not in (await run(country_dsn, "calendar", "list", "--year", "2026")).output
    assert "đã gạch bỏ" in (await run(country_dsn, "calendar", "list", "--year", "2026", "--all")).output
    history = (await run(country_dsn, "calendar", "history", "--year", "2026")).output
    assert "Ngày Văn hóa Việt Nam (chưa xác nhận)" in history
    assert "Đã đăng Công báo" in history
