"""The State's calendar: what is carried, what is not confirmed, and what an administrator decides."""

import asyncio
from collections import Counter
from dataclasses import replace
from datetime import date, timedelta

import pytest
from carry_holidays import in_words

from haidang.infra.database import Connection, Pool
from haidang.kernel.actors import Actor, Audience, anonymous, part
from haidang.kernel.instants import SetClock
from haidang.places.calendars import (
    AppliesTo,
    CalendarDay,
    CalendarDayConfirmed,
    CalendarDayJustDecided,
    CalendarDayNameless,
    CalendarDayUnknown,
    CalendarHistoryIsForOfficers,
    CalendarIsForAdministrators,
    CalendarReasonMissing,
    DayKind,
    DayStatus,
    calendar_days,
    calendar_decisions,
    confirm_calendar_day,
    load_calendar,
    read_calendar,
    set_calendar_day,
)
from haidang.places.loading import COLLECTIONS, FOLDER

ADMINISTRATOR = part("test")
OFFICER = Actor("urn:haidang:person:1", frozenset({Audience.PUBLIC, Audience.OFFICER}))
CULTURE_DAY = (date(2026, 11, 24), DayKind.HOLIDAY, AppliesTo.ALL)
BASIS, REASON = "Luật số 1/2026/QH16", "Đã đăng Công báo"


async def load(connection: Connection) -> None:
    await load_calendar(connection, {}, FOLDER)


def test_the_calendar_is_loaded_with_the_facts() -> None:
    assert load_calendar in [one.load for one in COLLECTIONS]


def test_what_is_carried_is_in_pairs_and_in_order() -> None:
    days = read_calendar((FOLDER / "calendar.tsv").read_text(encoding="utf-8"))
    assert days == sorted(days, key=lambda day: (day.on, day.kind))
    assert len({(day.on, day.kind, day.applies_to) for day in days}) == len(days) == 77
    kinds = Counter(day.kind for day in days)
    assert kinds[DayKind.SWAPPED_DAY_OFF] == kinds[DayKind.MAKEUP_WORKDAY] == 4
    for day in days:
        if day.kind is DayKind.MAKEUP_WORKDAY:
            assert day.on.weekday() == 5, f"{day.on} is no Saturday"
            assert day.applies_to is AppliesTo.STATE_BODIES
        if day.on.year >= 2027:
            assert not day.confirmed, f"the decision on {day.on.year} is not out"
        assert day.legal_basis


def test_the_swap_of_2_january_2026_is_there_and_24_november_is_not_confirmed() -> None:
    days = {
        (day.on, day.kind): day
        for day in read_calendar((FOLDER / "calendar.tsv").read_text(encoding="utf-8"))
    }
    assert days[date(2026, 1, 2), DayKind.SWAPPED_DAY_OFF].applies_to is AppliesTo.STATE_BODIES
    assert days[date(2026, 1, 10), DayKind.MAKEUP_WORKDAY].confirmed
    assert days[date(2026, 11, 24), DayKind.HOLIDAY].status is DayStatus.TO_BE_CONFIRMED


def test_dates_in_names_are_written_as_people_write_them() -> None:
    assert in_words("Làm bù cho 2024-04-29") == "Làm bù cho ngày 29/04/2024"
    assert in_words("Nghỉ hoán đổi, làm bù 10/01/2026") == "Nghỉ hoán đổi, làm bù ngày 10/01/2026"
    assert in_words("Ngày nghỉ (thay cho ngày 22/08/2026)") == "Ngày nghỉ (thay cho ngày 22/08/2026)"


async def test_anybody_may_read_the_calendar(connection: Connection) -> None:
    await load(connection)
    days = await calendar_days(anonymous(), connection, date(2026, 11, 24), date(2026, 11, 24))
    assert [(day.name, day.confirmed) for day in days] == [("Ngày Văn hóa Việt Nam", False)]
    year = await calendar_days(anonymous(), connection, date(2026, 1, 1), date(2026, 12, 31))
    assert len(year) == 17
    assert year[0].on == date(2026, 1, 1)


async def test_loading_again_changes_nothing(connection: Connection) -> None:
    await load(connection)
    before = await calendar_days(anonymous(), connection, date(2024, 1, 1), date(2028, 12, 31))
    await load(connection)
    assert await calendar_days(anonymous(), connection, date(2024, 1, 1), date(2028, 12, 31)) == before
    assert len(before) == 77


async def test_a_day_is_confirmed_once_with_its_basis_and_the_history_says_who(
    connection: Connection, clock: SetClock
) -> None:
    await load(connection)
    day = await confirm_calendar_day(
        ADMINISTRATOR, connection, *CULTURE_DAY, legal_basis=BASIS, reason=REASON, now=clock.now()
    )
    assert (day.status, day.legal_basis, day.note) == (DayStatus.PUBLISHED, BASIS, "")
    (decision,) = await calendar_decisions(OFFICER, connection, CULTURE_DAY[0], CULTURE_DAY[0])
    assert decision.former is not None
    assert (decision.former["status"], decision.later["status"]) == ("to-be-confirmed", "published")
    assert (decision.reason, decision.decided_by) == (REASON, ADMINISTRATOR.actor_id)
    with pytest.raises(CalendarDayConfirmed):
        await confirm_calendar_day(
            ADMINISTRATOR, connection, *CULTURE_DAY, legal_basis=BASIS, reason=REASON, now=clock.now()
        )


async def test_a_release_leaves_what_was_decided_alone_and_drops_what_it_lacks(
    connection: Connection, clock: SetClock
) -> None:
    await load(connection)
    await confirm_calendar_day(
        ADMINISTRATOR, connection, *CULTURE_DAY, legal_basis=BASIS, reason=REASON, now=clock.now()
    )
    own = CalendarDay(
        date(2027, 3, 1), DayKind.HOLIDAY, AppliesTo.ALL, "Ngày thử", BASIS, DayStatus.PUBLISHED
    )
    await set_calendar_day(ADMINISTRATOR, connection, own, reason=REASON, now=clock.now())
    await connection.execute(
        "INSERT INTO places.calendar_day (on_day, kind, applies_to, name, legal_basis, status)"
        " VALUES ('2027-06-01', 'holiday', 'all', 'Nhầm', '-', 'published')"
    )
    await load(connection)
    days = await calendar_days(anonymous(), connection, date(2026, 11, 24), date(2027, 12, 31))
    names = {day.name for day in days}
    assert "Ngày thử" in names
    assert "Nhầm" not in names
    assert days[0].confirmed


async def test_a_day_that_turns_out_not_to_be_is_struck_and_stays_on_record(
    connection: Connection, clock: SetClock
) -> None:
    await load(connection)
    (day,) = await calendar_days(anonymous(), connection, CULTURE_DAY[0], CULTURE_DAY[0])
    struck = replace(day, status=DayStatus.STRUCK)
    await set_calendar_day(ADMINISTRATOR, connection, struck, reason="Luật chưa thông qua", now=clock.now())
    assert await calendar_days(anonymous(), connection, day.on, day.on) == []
    (kept,) = await calendar_days(anonymous(), connection, day.on, day.on, struck=True)
    assert kept.status is DayStatus.STRUCK
    nothing = replace(day, on=day.on + timedelta(days=1), status=DayStatus.STRUCK)
    with pytest.raises(CalendarDayUnknown):
        await set_calendar_day(ADMINISTRATOR, connection, nothing, reason=REASON, now=clock.now())


async def test_who_may_not_and_what_may_not(connection: Connection, clock: SetClock) -> None:
    await load(connection)
    (day,) = await calendar_days(anonymous(), connection, CULTURE_DAY[0], CULTURE_DAY[0])
    with pytest.raises(CalendarIsForAdministrators):
        await set_calendar_day(OFFICER, connection, day, reason=REASON, now=clock.now())
    with pytest.raises(CalendarIsForAdministrators):
        await confirm_calendar_day(
            OFFICER, connection, *CULTURE_DAY, legal_basis=BASIS, reason=REASON, now=clock.now()
        )
    with pytest.raises(CalendarHistoryIsForOfficers):
        await calendar_decisions(anonymous(), connection, day.on, day.on)
    with pytest.raises(CalendarReasonMissing):
        await set_calendar_day(ADMINISTRATOR, connection, day, reason=" ", now=clock.now())
    with pytest.raises(CalendarDayNameless):
        await set_calendar_day(
            ADMINISTRATOR, connection, replace(day, name=" "), reason=REASON, now=clock.now()
        )
    with pytest.raises(CalendarDayUnknown):
        await confirm_calendar_day(
            ADMINISTRATOR,
            connection,
            date(2026, 3, 1),
            DayKind.HOLIDAY,
            AppliesTo.ALL,
            legal_basis=BASIS,
            reason=REASON,
            now=clock.now(),
        )


async def test_of_two_who_add_one_day_at_once_the_second_is_told(pool: Pool, clock: SetClock) -> None:
    day = CalendarDay(date(2031, 3, 3), DayKind.HOLIDAY, AppliesTo.ALL, "Lễ một", BASIS, DayStatus.PUBLISHED)

    async def add(name: str, written: asyncio.Event | None, go_on: asyncio.Event | None) -> None:
        async with pool.acquire() as connection, connection.transaction():
            await set_calendar_day(
                ADMINISTRATOR, connection, replace(day, name=name), reason=REASON, now=clock.now()
            )
            if written is not None and go_on is not None:
                written.set()
                await go_on.wait()

    written, go_on = asyncio.Event(), asyncio.Event()
    first = asyncio.create_task(add("Lễ một", written, go_on))
    await written.wait()
    second = asyncio.create_task(add("Lễ hai", None, None))
    await asyncio.sleep(0.3)  # it finds no such day, and then waits for the first to end
    go_on.set()
    await first
    with pytest.raises(CalendarDayJustDecided):
        await second
    async with pool.acquire() as connection:
        (held,) = await calendar_days(ADMINISTRATOR, connection, day.on, day.on)
        assert held.name == "Lễ một"
        (made,) = await calendar_decisions(OFFICER, connection, day.on, day.on)
        assert made.later["name"] == "Lễ một"
