"""What of a row may enter, and why the rest may not: the same judge as for messages, cell by cell. Pure."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import msgspec

from haidang.infra.tables import Cell, CellWrong, TableRow
from haidang.kernel.instants import Instant
from haidang.kernel.text import fold, nfc
from haidang.sdk.model import AttributeReading, EntityType, Quality
from haidang.sources.model import (
    FUTURE_TOLERANCE,
    OLDEST,
    AdmittedValue,
    Reason,
    Refusal,
    attributes_by_name,
    is_entity_id,
    is_numeric,
    judge_value,
)
from haidang.sources.sheets.cells import (
    CellReason,
    Unread,
    instant_of,
    is_nothing,
    read_moment,
    read_number,
    read_time,
    shown,
)
from haidang.sources.sheets.mapping import Column, Role, SheetMapping, id_of, moment_here

MOST_REMEMBERED = 500_000
"""Rows among which one that says the same thing and moment again is found."""

NO_THING = "no-thing"
THING_UNKNOWN = "thing-unknown"
SAME_ROW = "same-row"
NOTHING_TO_TAKE = "nothing-to-take"
OUT_OF_RANGE = "out-of-range"
HALF_POSITION = "half-position"
POSITION_IMPOSSIBLE = "position-impossible"


class RowRefusal(msgspec.Struct, frozen=True):
    """A cell, or (column empty) a whole row, that does not enter, and what stands there."""

    row: int
    column: str
    reason: str
    shown: str = ""


@dataclass(frozen=True, slots=True)
class SheetRow:
    """What may enter of one row."""

    number: int
    entity_id: str
    observed_at: Instant
    values: tuple[AdmittedValue, ...]


@dataclass(frozen=True, slots=True)
class JudgedRow:
    """A row and what became of it; `sheet_row` None where nothing of it enters."""

    sheet_row: SheetRow | None
    refusals: tuple[RowRefusal, ...]


class RowJudge:
    """Judges the rows of one sheet in their order.

    `things` leads from a code or a name, folded, to the id of a thing that is there.
    """

    def __init__(
        self, mapping: SheetMapping, entity_type: EntityType, things: Mapping[str, str], *, now: Instant
    ) -> None:
        self._mapping = mapping
        self._attributes = attributes_by_name(entity_type)
        self._location = next((one for one in entity_type.attributes if one.name == "location"), None)
        self._things = things
        self._now = now
        self._seen: dict[tuple[str, Instant], int] = {}
        by_role: dict[Role, Column] = {}
        for column in mapping.columns:
            by_role.setdefault(column.role, column)
        self._by_role = by_role
        self._columns = [one for one in mapping.columns if one.role is Role.ATTRIBUTE]

    @property
    def hidden_rows(self) -> bool:
        """Whether rows that the sheet hides are taken too."""
        return self._mapping.hidden_rows

    def judge(self, row: TableRow) -> JudgedRow:
        """Judge one row. Never raises for what stands in it."""
        entity_id = self._thing(row)
        if isinstance(entity_id, RowRefusal):
            return JudgedRow(None, (entity_id,))
        observed_at = self._moment(row)
        if isinstance(observed_at, RowRefusal):
            return JudgedRow(None, (observed_at,))
        earlier = self._seen.get((entity_id, observed_at))
        if earlier is not None:
            return JudgedRow(None, (RowRefusal(row.number, "", SAME_ROW, str(earlier)),))
        if len(self._seen) < MOST_REMEMBERED:
            self._seen[entity_id, observed_at] = row.number
        judged = [*(self._value(row, column) for column in self._columns), self._position(row)]
        values = tuple(one for one in judged if isinstance(one, AdmittedValue))
        refusals = tuple(one for one in judged if isinstance(one, RowRefusal))
        if not values:
            return JudgedRow(None, refusals or (RowRefusal(row.number, "", NOTHING_TO_TAKE),))
        return JudgedRow(SheetRow(row.number, entity_id, observed_at, values), refusals)

    def _cell(self, row: TableRow, column: Column) -> Cell:
        return row.cells[column.place] if column.place < len(row.cells) else None

    def _thing(self, row: TableRow) -> str | RowRefusal:
        column = self._by_role.get(Role.ID)
        cell = self._cell(row, column) if column else None
        title = column.title if column else ""
        if isinstance(cell, CellWrong):
            return RowRefusal(row.number, title, CellReason.ERROR_CELL, cell.code)
        if column is None or is_nothing(cell):
            return RowRefusal(row.number, title, NO_THING)
        code = nfc(shown(cell)).strip()
        known = self._things.get(code) or self._things.get(fold(code))
        if known:
            return known
        made = code if code.startswith("urn:") else id_of(code, self._mapping.prefix)
        if not is_entity_id(made):
            return RowRefusal(row.number, title, Reason.ENTITY_ID_MALFORMED, code[:80])
        if made not in self._things.values() and not self._mapping.create:
            return RowRefusal(row.number, title, THING_UNKNOWN, code[:80])
        return made

    def _moment(self, row: TableRow) -> Instant | RowRefusal:
        local, column = self._local(row)
        title = column.title if column else ""
        if isinstance(local, Unread):
            return RowRefusal(row.number, title, local.reason, local.shown[:80])
        if local is None:
            return RowRefusal(row.number, title, CellReason.NO_MOMENT)
        try:
            at = instant_of(local)
        except OverflowError:
            return RowRefusal(row.number, title, CellReason.NOT_A_MOMENT, str(local))
        if at > self._now + FUTURE_TOLERANCE:
            return RowRefusal(row.number, title, Reason.OBSERVED_IN_FUTURE, f"{local:%d/%m/%Y %H:%M}")
        if at < self._now - OLDEST:
            return RowRefusal(row.number, title, Reason.OBSERVED_TOO_LONG_AGO, f"{local:%d/%m/%Y}")
        return at

    def _local(self, row: TableRow) -> tuple[datetime | Unread | None, Column | None]:
        century = self._mapping.century
        moment = self._by_role.get(Role.MOMENT)
        if moment is not None:
            return read_moment(self._cell(row, moment), moment.order, century=century), moment
        day = self._by_role.get(Role.DAY)
        if day is None:
            return self._mapping.moment, None
        found = read_moment(self._cell(row, day), day.order, century=century)
        time = self._by_role.get(Role.TIME)
        if time is None or not isinstance(found, datetime):
            return found, day
        of_day = read_time(self._cell(row, time))
        if isinstance(of_day, timedelta):
            return moment_here(found, of_day), day
        return (found if of_day is None else of_day), time

    def _value(self, row: TableRow, column: Column) -> AdmittedValue | RowRefusal | None:
        cell = self._cell(row, column)
        attribute = self._attributes[column.attribute]
        if isinstance(cell, CellWrong):
            return RowRefusal(row.number, column.title, CellReason.ERROR_CELL, cell.code)
        if is_nothing(cell):
            return None
        if not is_numeric(attribute):
            given = AttributeReading(column.attribute, nfc(shown(cell)).strip())
            return self._judged(row, column, given, shown(cell))
        number = read_number(cell, column.decimal)
        if isinstance(number, Unread):
            return RowRefusal(row.number, column.title, number.reason, number.shown[:80])
        if number is None:
            return None
        return self._judged(
            row, column, AttributeReading(column.attribute, number, column.unit or None), shown(cell)
        )

    def _judged(
        self, row: TableRow, column: Column, given: AttributeReading, text: str
    ) -> AdmittedValue | RowRefusal:
        """As a message's value is judged; but what is out of the possible range does not enter.

        A device's impossible value shows what the device does; a sheet's is a slip of somebody's hand,
        and they are there to mend it.
        """
        judged = judge_value(self._attributes, given)
        if isinstance(judged, Refusal):
            return RowRefusal(row.number, column.title, judged.reason, text[:80])
        if judged.quality is Quality.INVALID:
            return RowRefusal(row.number, column.title, OUT_OF_RANGE, text[:80])
        return judged

    def _position(self, row: TableRow) -> AdmittedValue | RowRefusal | None:
        latitude, longitude = self._by_role.get(Role.LATITUDE), self._by_role.get(Role.LONGITUDE)
        if latitude is None or longitude is None or self._location is None:
            return None
        numbers = [read_number(self._cell(row, column), column.decimal) for column in (latitude, longitude)]
        for column, number in zip((latitude, longitude), numbers, strict=True):
            if isinstance(number, Unread):
                return RowRefusal(row.number, column.title, number.reason, number.shown[:80])
        north, east = numbers
        if north is None and east is None:
            return None
        if not isinstance(north, int | float) or not isinstance(east, int | float):
            return RowRefusal(row.number, longitude.title if east is None else latitude.title, HALF_POSITION)
        if not (-90 <= north <= 90 and -180 <= east <= 180):
            return RowRefusal(row.number, latitude.title, POSITION_IMPOSSIBLE, f"{north}; {east}")
        point = {"type": "Point", "coordinates": [float(east), float(north)]}
        return AdmittedValue(self._location, point, Quality.VALID)


def things_by_word(known: Sequence[tuple[str, str]]) -> dict[str, str]:
    """From ids, their last parts and names (folded) to ids, of (id, name); what means two is left out."""
    found: dict[str, str] = {}
    twice: set[str] = set()

    def note(word: str, entity_id: str) -> None:
        if word and found.setdefault(word, entity_id) != entity_id:
            twice.add(word)

    readings: tuple[Callable[[str, str], str], ...] = (
        lambda entity_id, _: entity_id,
        lambda entity_id, _: fold(entity_id.rsplit(":", 1)[-1]),
        lambda _, name: fold(name),
    )
    for entity_id, name in known:
        for word in {reading(entity_id, name) for reading in readings}:
            note(word, entity_id)
    return {word: entity_id for word, entity_id in found.items() if word not in twice}
