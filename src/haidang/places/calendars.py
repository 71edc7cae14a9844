"""The State's calendar as dated facts: days off, days exchanged, make-up workdays, each with a status.

What is carried from a source may be computed ahead, before the year's decision is out. Such a day is
shown as not confirmed until an administrator confirms it, corrects it or strikes it, with a reason
that is kept. How working days are counted is no matter of this module (ADR 0043).
"""

import csv
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date
from enum import StrEnum
from pathlib import Path
from typing import Any

from haidang.infra.database import Connection, Row
from haidang.infra.queries import load_queries
from haidang.kernel.actors import Actor, Audience
from haidang.kernel.errors import Conflict, Denied, Invalid, NotFound
from haidang.kernel.instants import Instant

queries = load_queries(Path(__file__).parent / "sql" / "calendars.sql")


class CalendarIsForAdministrators(Denied):
    """Only an administrator may decide about a day of the calendar."""


class CalendarHistoryIsForOfficers(Denied):
    """Only officers may see who decided about a day of the calendar."""


class CalendarDayUnknown(NotFound):
    """The calendar has no such day on {on}."""


class CalendarDayConfirmed(Conflict):
    """{name}, {on}, is confirmed already."""


class CalendarDayJustDecided(Conflict):
    """Somebody else has just written {name}, {on}: look at it before you write it again."""


class CalendarReasonMissing(Invalid):
    """A decision about a day needs its legal basis and the reason for it."""


class CalendarDayNameless(Invalid):
    """A day of the calendar needs a name."""


class DayKind(StrEnum):
    """What is different about a day. Days exchanged and their make-up days come in pairs."""

    HOLIDAY = "holiday"
    SWAPPED_DAY_OFF = "swapped-day-off"
    MAKEUP_WORKDAY = "makeup-workday"


class AppliesTo(StrEnum):
    """For whom: everybody who works (Labour Code), or State bodies only."""

    ALL = "all"
    STATE_BODIES = "state-bodies"


class DayStatus(StrEnum):
    """How sure a day is. A struck one turned out not to be: it stays on record, and no longer counts."""

    PUBLISHED = "published"
    TO_BE_CONFIRMED = "to-be-confirmed"
    STRUCK = "struck"


KIND_LABELS: Mapping[DayKind, str] = {
    DayKind.HOLIDAY: "public holiday",
    DayKind.SWAPPED_DAY_OFF: "day off in exchange",
    DayKind.MAKEUP_WORKDAY: "make-up workday",
}
APPLIES_TO_LABELS: Mapping[AppliesTo, str] = {
    AppliesTo.ALL: "everybody",
    AppliesTo.STATE_BODIES: "State bodies",
}
STATUS_LABELS: Mapping[DayStatus, str] = {
    DayStatus.PUBLISHED: "published",
    DayStatus.TO_BE_CONFIRMED: "not confirmed yet",
    DayStatus.STRUCK: "struck out",
}
WEEKDAY_LABELS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
"""What people read: message ids; weekdays as `date.weekday()` counts them."""


@dataclass(frozen=True, slots=True)
class CalendarDay:
    """A day that is off, or worked, otherwise than its weekday says.

    `note` says where a status comes from, in Vietnamese; `decided_at` is None for what was carried and
    never decided about here.
    """

    on: date
    kind: DayKind
    applies_to: AppliesTo
    name: str
    legal_basis: str
    status: DayStatus
    note: str = ""
    decided_at: Instant | None = None

    @property
    def confirmed(self) -> bool:
        """Whether it may be relied on."""
        return self.status is DayStatus.PUBLISHED


@dataclass(frozen=True, slots=True)
class CalendarDecision:
    """Who decided what about a day, when and why; `former` is None where there was no such day."""

    on: date
    kind: DayKind
    applies_to: AppliesTo
    former: Mapping[str, str] | None
    later: Mapping[str, str]
    reason: str
    decided_at: Instant
    decided_by: str


def read_calendar(text: str) -> list[CalendarDay]:
    """The days of a facts file: tab-separated lines under their titles, comments with #."""
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    return [
        CalendarDay(
            on=date.fromisoformat(row["on"]),
            kind=DayKind(row["kind"]),
            applies_to=AppliesTo(row["applies_to"]),
            name=row["name"],
            legal_basis=row["legal_basis"],
            status=DayStatus(row["status"]),
            note=row["note"],
        )
        for row in csv.DictReader(lines, delimiter="\t", quoting=csv.QUOTE_NONE)
    ]


async def calendar_days(
    actor: Actor, connection: Connection, since: date, until: date, *, struck: bool = False
) -> list[CalendarDay]:
    """The days from `since` to `until`, both included; `struck`: also those that turned out not to be."""
    del actor  # public facts
    return [
        _day(row) async for row in queries.calendar_days(connection, since=since, until=until, struck=struck)
    ]


async def confirm_calendar_day(
    actor: Actor,
    connection: Connection,
    on: date,
    kind: DayKind,
    applies_to: AppliesTo,
    *,
    legal_basis: str,
    reason: str,
    now: Instant,
) -> CalendarDay:
    """Say that a day is published, by which decision and why one knows.

    Raises CalendarDayUnknown and CalendarDayConfirmed.
    """
    _require_administrator(actor)
    found = await _held(connection, on, kind, applies_to)
    if found is None:
        raise CalendarDayUnknown(on=on)
    if found.confirmed:
        raise CalendarDayConfirmed(on=on, name=found.name)
    day = replace(found, legal_basis=legal_basis.strip(), status=DayStatus.PUBLISHED, note="")
    return await _decide(actor, connection, found, day, reason=reason, now=now)


async def set_calendar_day(
    actor: Actor, connection: Connection, day: CalendarDay, *, reason: str, now: Instant
) -> CalendarDay:
    """Add a day, correct one, or strike it out (its status says which); later releases leave it so.

    Raises CalendarDayJustDecided when another adds the same day at the same moment.
    """
    _require_administrator(actor)
    found = await _held(connection, day.on, day.kind, day.applies_to)
    if found is None and day.status is DayStatus.STRUCK:
        raise CalendarDayUnknown(on=day.on)
    return await _decide(actor, connection, found, day, reason=reason, now=now)


async def calendar_decisions(
    actor: Actor, connection: Connection, since: date, until: date
) -> list[CalendarDecision]:
    """What was decided about the days from `since` to `until`, oldest decision first."""
    if not actor.belongs_to(Audience.OFFICER):
        raise CalendarHistoryIsForOfficers
    return [
        CalendarDecision(
            on=row["on_day"],
            kind=DayKind(row["kind"]),
            applies_to=AppliesTo(row["applies_to"]),
            former=row["former"],
            later=row["later"],
            reason=row["reason"],
            decided_at=row["decided_at"],
            decided_by=row["decided_by"],
        )
        async for row in queries.calendar_decisions(connection, since=since, until=until)
    ]


async def load_calendar(connection: Connection, _description: Mapping[str, Any], folder: Path) -> None:
    """Bring a release's days in, and take away what it no longer has.

    What an administrator has decided about is left alone.
    """
    days = read_calendar((folder / "calendar.tsv").read_text(encoding="utf-8"))
    key = {
        "on_days": [day.on for day in days],
        "kinds": [day.kind for day in days],
        "applies_to": [day.applies_to for day in days],
    }
    await queries.drop_calendar_days(connection, **key)
    await queries.load_calendar_days(
        connection,
        **key,
        names=[day.name for day in days],
        legal_bases=[day.legal_basis for day in days],
        statuses=[day.status for day in days],
        notes=[day.note for day in days],
    )


async def _held(connection: Connection, on: date, kind: DayKind, applies_to: AppliesTo) -> CalendarDay | None:
    row = await queries.hold_calendar_day(connection, on_day=on, kind=kind, applies_to=applies_to)
    return None if row is None else _day(row)


async def _decide(
    actor: Actor,
    connection: Connection,
    former: CalendarDay | None,
    day: CalendarDay,
    *,
    reason: str,
    now: Instant,
) -> CalendarDay:
    if not reason.strip() or not day.legal_basis.strip():
        raise CalendarReasonMissing
    if not day.name.strip():
        raise CalendarDayNameless
    decided = replace(day, decided_at=now)
    write = queries.add_calendar_day if former is None else queries.keep_calendar_day
    written = await write(
        connection,
        on_day=day.on,
        kind=day.kind,
        applies_to=day.applies_to,
        name=day.name,
        legal_basis=day.legal_basis,
        status=day.status,
        note=day.note,
        decided_at=now,
    )
    if written is None:
        raise CalendarDayJustDecided(on=day.on, name=day.name)
    await queries.note_calendar_decision(
        connection,
        on_day=day.on,
        kind=day.kind,
        applies_to=day.applies_to,
        former=None if former is None else _as_words(former),
        later=_as_words(day),
        reason=reason.strip(),
        decided_at=now,
        decided_by=actor.actor_id,
    )
    return decided


def _as_words(day: CalendarDay) -> dict[str, Any]:
    return {"name": day.name, "legal_basis": day.legal_basis, "status": day.status, "note": day.note}


def _day(row: Row) -> CalendarDay:
    return CalendarDay(
        on=row["on_day"],
        kind=DayKind(row["kind"]),
        applies_to=AppliesTo(row["applies_to"]),
        name=row["name"],
        legal_basis=row["legal_basis"],
        status=DayStatus(row["status"]),
        note=row["note"],
        decided_at=row["decided_at"],
    )


def _require_administrator(actor: Actor) -> None:
    if not actor.belongs_to(Audience.ADMINISTRATOR):
        raise CalendarIsForAdministrators
