"""From a sheet of somebody's own making to one of our types: where its headings stand, what its columns are.

A mapping is agreed on once; the next sheet with the same headings is recognised by them. Pure.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from hashlib import sha256

import msgspec

from haidang.infra.tables import Cell, CellMoment, TableRow
from haidang.kernel.text import fold
from haidang.sdk.model import Attribute, AttributeKind, EntityType
from haidang.sources.model import is_numeric
from haidang.sources.sheets.cells import (
    DayOrder,
    Decimal,
    decimal_of,
    folded,
    has_short_years,
    is_nothing,
    order_of,
    read_moment,
    read_number,
    shown,
    unit_in,
)

LOOKED_AT = 200
"""Rows by which headings are found and columns are guessed."""

_HEADING_WITHIN = 30


class Role(StrEnum):
    """What a column is."""

    SKIP = "skip"
    ID = "id"
    MOMENT = "moment"
    DAY = "day"
    TIME = "time"
    LATITUDE = "latitude"
    LONGITUDE = "longitude"
    ATTRIBUTE = "attribute"


class Column(msgspec.Struct, frozen=True, kw_only=True):
    """One column: its heading, what it is, and how its cells are written.

    `place` counts from 0. `unit` is the unit of the numbers as they stand in the sheet.
    """

    place: int
    title: str
    role: Role = Role.SKIP
    attribute: str = ""
    unit: str = ""
    decimal: Decimal = Decimal.COMMA
    order: DayOrder = DayOrder.DAY_FIRST


class Headings(msgspec.Struct, frozen=True):
    """Where the headings of a sheet stand (row numbers as shown), and what they say by place."""

    first: int
    last: int
    titles: list[str]

    @property
    def key(self) -> str:
        """What makes two sheets the same kind of sheet: their headings, in order, however they are typed."""
        return sha256("\n".join(fold(title) for title in self.titles).encode()).hexdigest()


class SheetMapping(msgspec.Struct, frozen=True, kw_only=True):
    """What was agreed on: the type, its columns, and what to do with things that are not known yet.

    `century` is added to years of two digits; 0 refuses them. `moment` is for sheets without a
    column of time. `create` false refuses rows about things that are not there.
    """

    entity_type: str
    columns: list[Column]
    prefix: str = ""
    create: bool = False
    century: int = 0
    moment: datetime | None = None
    hidden_rows: bool = False


@dataclass(frozen=True, slots=True)
class Doubt:
    """Something that cells leave open and a person should look at: its kind, and the column it is about."""

    kind: str
    title: str = ""


@dataclass(frozen=True, slots=True)
class Suggestion:
    """A mapping as far as it can be guessed, and what should be looked at."""

    mapping: SheetMapping
    doubts: tuple[Doubt, ...]


def find_headings(rows: Sequence[TableRow]) -> Headings | None:
    """The row, or the two rows, of headings: words above values, below a title that spans the sheet.

    Where two rows of words stand above the values the upper one spans columns (merged cells): its
    words go before those below. None for a sheet in which nothing looks like headings.
    """
    near = [row for row in rows if not row.hidden][:_HEADING_WITHIN]
    width = max((_filled(row) for row in near), default=0)
    for place, row in enumerate(near):
        if not _is_words(row) or _filled(row) < max(2, (width + 1) // 2):
            continue
        following = near[place + 1 : place + 6]
        if following and _is_words(following[0]) and _goes_below(row, following):
            return Headings(row.number, following[0].number, _joined(row, following[0]))
        return Headings(row.number, row.number, [_title(cell) for cell in row.cells])
    return None


def _filled(row: TableRow) -> int:
    return sum(not is_nothing(cell) for cell in row.cells)


def _title(cell: Cell) -> str:
    return " ".join(shown(cell).split())[:200]


def _is_words(row: TableRow) -> bool:
    """Whether all that a row holds is text without numbers or days for values."""
    held = [cell for cell in row.cells if not is_nothing(cell)]
    return bool(held) and all(isinstance(cell, str) and not _is_value(cell) for cell in held)


def _is_value(cell: str) -> bool:
    return isinstance(read_number(cell, Decimal.COMMA), int | float) or isinstance(
        read_moment(cell, DayOrder.DAY_FIRST, century=2000), datetime
    )


def _goes_below(upper: TableRow, following: Sequence[TableRow]) -> bool:
    """Whether the row after the headings belongs to them: it fills their gaps, and values come after it."""
    lower = following[0]
    gaps = [
        place
        for place, cell in enumerate(lower.cells)
        if not is_nothing(cell) and (place >= len(upper.cells) or is_nothing(upper.cells[place]))
    ]
    repeated = any(
        is_nothing(below) and not is_nothing(above)
        for above, below in zip(upper.cells, lower.cells, strict=False)
    )
    values_after = any(not _is_words(row) for row in following[1:])
    return values_after and bool(gaps) and (repeated or _filled(lower) > 1)


def _joined(upper: TableRow, lower: TableRow) -> list[str]:
    titles: list[str] = []
    above = ""
    for place in range(max(len(upper.cells), len(lower.cells))):
        own = _title(upper.cells[place]) if place < len(upper.cells) else ""
        below = _title(lower.cells[place]) if place < len(lower.cells) else ""
        above = own or (above if below else "")
        titles.append(" ".join(one for one in (above, below) if one))
    return titles


# --- Guessing ---

_ID = ("ma tram", "ma", "ma so", "ma diem", "id", "code", "station", "station id", "ky hieu", "ma ho")
_THING = (
    "ten tram",
    "tram",
    "ten",
    "diem do",
    "diem quan trac",
    "vi tri",
    "ten diem",
    "name",
    "ho chua",
    "ten ho",
)
_MOMENT = (
    "thoi gian", "thoi diem", "ngay gio", "ngay gio do", "thoi gian do", "thoi diem do",
    "thoi gian quan trac",
    "timestamp", "datetime", "date time", "observedat", "dateobserved", "thoi diem quan trac",
)  # fmt: skip
_DAY = ("ngay", "ngay do", "ngay thang", "date", "ngay quan trac", "ngay lay mau", "ngay thang nam")
_TIME = ("gio", "gio do", "time", "hour", "gio quan trac", "luc")
_LATITUDE = ("vi do", "lat", "latitude", "toa do y", "vi do b", "y wgs84")
_LONGITUDE = ("kinh do", "lon", "lng", "long", "longitude", "toa do x", "kinh do d", "x wgs84")
_ROLES: tuple[tuple[Role, tuple[str, ...]], ...] = (
    (Role.ID, _ID),
    (Role.MOMENT, _MOMENT),
    (Role.DAY, _DAY),
    (Role.TIME, _TIME),
    (Role.LATITUDE, _LATITUDE),
    (Role.LONGITUDE, _LONGITUDE),
)


def suggest(
    headings: Headings,
    rows: Sequence[TableRow],
    entity_type: EntityType,
    words: Mapping[str, Sequence[str]],
) -> Suggestion:
    """Guess what each column is by its heading and its cells; `words` are what attributes are called."""
    names = {
        folded(word): attribute
        for attribute in mappable(entity_type)
        for word in (*words.get(attribute.name, ()), attribute.name)
        if word
    }
    columns: list[Column] = []
    doubts: list[Doubt] = []
    used: set[str] = set()
    body = [row for row in rows if row.number > headings.last]
    for place, title in enumerate(headings.titles):
        cells = [row.cells[place] for row in body if place < len(row.cells)]
        column = _guess(place, title, cells, names, used)
        if column.role is not Role.SKIP:
            used.add(column.attribute or column.role)
        columns.append(column)
        doubts += _doubts(column, cells)
    if Role.ID not in used:
        columns = _first_thing(columns)
    if any(has_short_years(_cells(body, one)) for one in columns if one.role in _DATED):
        doubts.append(Doubt("short-years"))
    mapping = SheetMapping(
        entity_type=entity_type.name,
        columns=columns,
        prefix=f"urn:ngsi-ld:{entity_type.name}:",
    )
    return Suggestion(mapping, tuple(doubts))


_DATED = (Role.MOMENT, Role.DAY)


def _cells(body: Sequence[TableRow], column: Column) -> list[Cell]:
    return [row.cells[column.place] for row in body if column.place < len(row.cells)]


def _guess(
    place: int, title: str, cells: Sequence[Cell], names: Mapping[str, Attribute], used: set[str]
) -> Column:
    bare, unit = unit_in(title)
    key = folded(bare)
    decimal, order = Decimal(decimal_of(cells).choice), DayOrder(order_of(cells).choice)
    column = Column(place=place, title=title, unit=unit, decimal=decimal, order=order)
    for role, wordings in _ROLES:
        if key in wordings and role not in used:
            return msgspec.structs.replace(column, role=role, unit="")
    attribute = _attribute_called(key, names)
    if attribute is not None and attribute.name not in used:
        return msgspec.structs.replace(
            column, role=Role.ATTRIBUTE, attribute=attribute.name, unit=unit or attribute.unit or ""
        )
    if (
        Role.MOMENT not in used
        and cells
        and all(isinstance(one, CellMoment) for one in cells if one is not None)
    ):
        dated = [datetime.fromisoformat(one.at) for one in cells if isinstance(one, CellMoment)]
        whole = all(at.hour == at.minute == 0 for at in dated)
        role = Role.DAY if whole and Role.DAY not in used else Role.MOMENT
        return msgspec.structs.replace(column, role=role) if dated else column
    return column


def _attribute_called(key: str, names: Mapping[str, Attribute]) -> Attribute | None:
    """The attribute that is called so; or the only one whose name stands whole within the heading.

    Or the only one whose name the heading begins: “Độ ẩm” is said for “Độ ẩm tương đối”.
    """
    if key in names or not key:
        return names.get(key)
    within = {
        one.name: one for name, one in names.items() if re.search(rf"(?:^| ){re.escape(name)}(?: |$)", key)
    }
    if not within and len(key) >= _SHORTEST_BEGINNING:
        within = {one.name: one for name, one in names.items() if name.startswith(key + " ")}
    return next(iter(within.values())) if len(within) == 1 else None


_SHORTEST_BEGINNING = 4


def _first_thing(columns: list[Column]) -> list[Column]:
    """Without a column of codes the column of names says which thing a row is about."""
    for place, column in enumerate(columns):
        if folded(unit_in(column.title)[0]) in _THING:
            columns[place] = msgspec.structs.replace(column, role=Role.ID, attribute="", unit="")
            break
    return columns


def _doubts(column: Column, cells: Sequence[Cell]) -> list[Doubt]:
    found = []
    numeric = column.role in {Role.ATTRIBUTE, Role.LATITUDE, Role.LONGITUDE}
    if numeric and decimal_of(cells).open:
        found.append(Doubt("decimal", column.title))
    if column.role in _DATED and order_of(cells).open:
        found.append(Doubt("order", column.title))
    return found


def mappable(entity_type: EntityType) -> list[Attribute]:
    """The attributes that a column can hold: numbers and texts that are not derived."""
    return [
        one
        for one in entity_type.attributes
        if not one.derived and (is_numeric(one) or one.kind is AttributeKind.PROPERTY)
    ]


def faults_of(mapping: SheetMapping, entity_type: EntityType) -> list[Doubt]:
    """What stands against taking a sheet by this mapping; nothing when it can be taken."""
    faults: list[Doubt] = []
    roles = [one.role for one in mapping.columns]
    if Role.ID not in roles:
        faults.append(Doubt("no-id"))
    faults += [
        Doubt("role-twice", one.value)
        for one in Role
        if one not in {Role.SKIP, Role.ATTRIBUTE} and roles.count(one) > 1
    ]
    if not mapping.moment and Role.MOMENT not in roles and Role.DAY not in roles:
        faults.append(Doubt("no-moment"))
    if (Role.LATITUDE in roles) is not (Role.LONGITUDE in roles):
        faults.append(Doubt("half-position"))
    attributes = [one.attribute for one in mapping.columns if one.role is Role.ATTRIBUTE]
    if not attributes and Role.LATITUDE not in roles:
        faults.append(Doubt("no-attribute"))
    faults += [
        Doubt("attribute-twice", name)
        for name in sorted({one for one in attributes if attributes.count(one) > 1})
    ]
    known = {one.name: one for one in mappable(entity_type)}
    for column in mapping.columns:
        if column.role is not Role.ATTRIBUTE:
            continue
        attribute = known.get(column.attribute)
        if attribute is None:
            faults.append(Doubt("attribute-unknown", column.attribute))
        elif attribute.unit is not None and not column.unit:
            faults.append(Doubt("no-unit", column.title))
    return faults


def id_of(code: str, prefix: str) -> str:
    """The id of a thing that a sheet names by a code: `LH-01` behind the prefix of its type."""
    plain = re.sub(r"[^A-Za-z0-9._:-]+", "-", fold_code(code)).strip("-")
    return f"{prefix}{plain}" if plain else ""


def fold_code(code: str) -> str:
    """A code without diacritics, in its own case."""
    letters = []
    for sign in code.strip():
        if sign.isascii():
            letters.append(sign)
            continue
        bare = fold(sign)
        letters.append(bare.upper() if sign.isupper() else bare)
    return "".join(letters)


def moment_here(day: datetime, of_day: timedelta) -> datetime:
    """A day's column and a time's column together."""
    return datetime.combine(day.date(), datetime.min.time()) + of_day
