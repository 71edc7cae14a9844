"""What people write into cells: numbers with either comma, days in either order, units in headings. Pure."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from enum import StrEnum

from haidang.infra.tables import Cell, CellMoment, CellWrong
from haidang.kernel.instants import VIETNAM, Instant
from haidang.kernel.text import fold, nfc
from haidang.kernel.units import UNITS


class Decimal(StrEnum):
    """Which sign stands before the fraction; the other one may part thousands."""

    COMMA = ","
    POINT = "."


class DayOrder(StrEnum):
    """How a day of numbers is written: day first as here, or month first."""

    DAY_FIRST = "dmy"
    MONTH_FIRST = "mdy"


class CellReason(StrEnum):
    """Why a cell cannot be taken."""

    ERROR_CELL = "error-cell"
    NOT_A_NUMBER = "not-a-number"
    NOT_A_MOMENT = "not-a-moment"
    SHORT_YEAR = "short-year"
    NO_MOMENT = "no-moment"


@dataclass(frozen=True, slots=True)
class Unread:
    """A cell that cannot be read as what its column holds."""

    reason: CellReason
    shown: str


@dataclass(frozen=True, slots=True)
class Guess:
    """What the cells of a column say of how they are written, and whether they leave it open."""

    choice: str
    open: bool = False


# --- Numbers ---

_NOTHING = frozenset({"", "-", "--", "---", "–", "—", "n/a", "na", "null", "none", "không có", "k", "x"})
_SPACES = re.compile(r"[\s\u00a0\u202f\u2009']")
_WITH = {
    Decimal.COMMA: re.compile(r"[+-]?(?:\d{1,3}(?:\.\d{3})+|\d+)(?:,\d+)?(?:[eE][+-]?\d{1,3})?"),
    Decimal.POINT: re.compile(r"[+-]?(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?(?:[eE][+-]?\d{1,3})?"),
}
_LONGEST_NUMBER = 60


def is_nothing(cell: Cell) -> bool:
    """Whether a cell says that there is no value: empty, a dash, n/a."""
    return cell is None or (isinstance(cell, str) and cell.strip().casefold() in _NOTHING)


def read_number(cell: Cell, decimal: Decimal) -> float | int | Unread | None:
    """The number of a cell; None for no value."""
    if isinstance(cell, CellWrong):
        return Unread(CellReason.ERROR_CELL, cell.code)
    if is_nothing(cell):
        return None
    if isinstance(cell, int | float) and not isinstance(cell, bool):
        return cell
    text = shown(cell)
    plain = _SPACES.sub("", text.replace("−", "-"))
    if len(plain) > _LONGEST_NUMBER or not _WITH[decimal].fullmatch(plain):
        return Unread(CellReason.NOT_A_NUMBER, text)
    thousands = "." if decimal is Decimal.COMMA else ","
    plain = plain.replace(thousands, "").replace(",", ".")
    number = float(plain)
    return int(plain) if re.fullmatch(r"[+-]?\d{1,15}", plain) else number


def decimal_of(cells: Iterable[Cell]) -> Guess:
    """Which sign stands before the fraction in a column; the comma, and open, where the cells do not say.

    `1.234` alone is one thousand and more, or one and a fraction: only other cells can tell.
    """
    said = {Decimal.COMMA: 0, Decimal.POINT: 0}
    unsaid = 0
    for cell in cells:
        if not isinstance(cell, str) or not re.search(r"[.,]", cell):
            continue
        text = _SPACES.sub("", cell)
        fits = [one for one, pattern in _WITH.items() if pattern.fullmatch(text)]
        if len(fits) == 1:
            said[fits[0]] += 1
        elif fits:
            unsaid += 1
    if said[Decimal.COMMA] or said[Decimal.POINT]:
        chosen = Decimal.COMMA if said[Decimal.COMMA] >= said[Decimal.POINT] else Decimal.POINT
        return Guess(chosen, open=bool(said[Decimal.COMMA] and said[Decimal.POINT]))
    return Guess(Decimal.COMMA, open=unsaid > 0)


# --- Days and times ---

_DAY = r"(?P<one>\d{1,4})\s*[/.\-]\s*(?P<two>\d{1,2})\s*[/.\-]\s*(?P<three>\d{1,4})"
_WORDS = r"(?:ngày\s+)?(?P<day>\d{1,2})\s+tháng\s+(?P<month>\d{1,2})\s+năm\s+(?P<year>\d{2,4})"
_TIME = (
    r"(?P<hour>\d{1,2})\s*(?:[:hg]|giờ)\s*(?:(?P<minute>\d{1,2})\s*(?:[:m']|ph|phút)?\s*(?P<second>\d{1,2})?(?:\.\d+)?)?"
    r"\s*(?P<half>am|pm|sa|ch)?"
)
_MOMENTS = tuple(
    re.compile(pattern, re.IGNORECASE)
    for day in (_DAY, _WORDS)
    for pattern in (
        rf"{day}(?:\s*[T,]?\s+|T){_TIME}(?P<zone>Z|[+-]\d\d:?\d\d)?",
        rf"{_TIME}[\s,]+(?:ngày\s+)?{day}",
        day,
    )
)
_ONLY_TIME = re.compile(_TIME, re.IGNORECASE)
_SERIALS = (20_000.0, 80_000.0)
"""Days since 1899-12-30 that stand for 1954 to 2119: how a workbook that lost its formats shows days."""
_FIRST_SERIAL = datetime(1899, 12, 30)  # noqa: DTZ001 - a place in a calendar, not an instant


def read_moment(cell: Cell, order: DayOrder, *, century: int = 0) -> datetime | Unread | None:
    """The local day and time of a cell; midnight where it names a day only; None for no value.

    An offset in the text is followed (the result is then in local time). Two digits of a year are
    read in `century` (2000), or refused where that was not chosen (0).
    """
    if isinstance(cell, CellWrong):
        return Unread(CellReason.ERROR_CELL, cell.code)
    if is_nothing(cell):
        return None
    if isinstance(cell, CellMoment):
        return _local(datetime.fromisoformat(cell.at))
    text = nfc(shown(cell)).strip()
    found = next((match for pattern in _MOMENTS if (match := pattern.fullmatch(text[:80]))), None)
    if found is not None:
        return _composed(found.groupdict(), order, century, text)
    return _of_serial(cell) or Unread(CellReason.NOT_A_MOMENT, text)


def _of_serial(cell: Cell) -> datetime | None:
    """A day as the number by which a workbook counts it."""
    if isinstance(cell, bool) or not isinstance(cell, int | float):
        return None
    return (
        _rounded(_FIRST_SERIAL + timedelta(days=float(cell))) if _SERIALS[0] <= cell <= _SERIALS[1] else None
    )


def read_time(cell: Cell) -> timedelta | Unread | None:
    """The time of day of a cell that holds nothing else (08:30, 8h30, 0.354 of a day)."""
    if isinstance(cell, CellWrong):
        return Unread(CellReason.ERROR_CELL, cell.code)
    if is_nothing(cell):
        return None
    of_day: timedelta | None = None
    if isinstance(cell, CellMoment):
        at = datetime.fromisoformat(cell.at)
        of_day = timedelta(hours=at.hour, minutes=at.minute, seconds=at.second)
    elif isinstance(cell, float) and 0 <= cell < 1:
        of_day = timedelta(seconds=round(cell * 86_400))
    elif re.fullmatch(r"[01]?\d|2[0-4]", shown(cell).strip()):  # 17 is five in the afternoon
        of_day = timedelta(hours=int(shown(cell)))
    elif (found := _ONLY_TIME.fullmatch(shown(cell).strip()[:40])) is not None:
        of_day = _time_of(found.groupdict())
    return Unread(CellReason.NOT_A_MOMENT, shown(cell)) if of_day is None else of_day


def _composed(parts: Mapping[str, str | None], order: DayOrder, century: int, text: str) -> datetime | Unread:
    first, second, third = (
        parts.get("one") or parts.get("day") or "",
        parts.get("two") or parts.get("month") or "",
        parts.get("three") or parts.get("year") or "",
    )
    if len(first) == 4:
        year, month, day = first, second, third
    elif order is DayOrder.MONTH_FIRST and parts.get("day") is None:
        month, day, year = first, second, third
    else:
        day, month, year = first, second, third
    if len(year) == 2:
        if not century:
            return Unread(CellReason.SHORT_YEAR, text)
        year = str(century + int(year))
    if len(year) != 4:
        return Unread(CellReason.NOT_A_MOMENT, text)
    of_day = _time_of(parts) if parts.get("hour") is not None else timedelta()
    try:
        midnight = datetime(int(year), int(month), int(day))  # noqa: DTZ001 - local, made an instant later
    except ValueError:
        return Unread(CellReason.NOT_A_MOMENT, text)
    if of_day is None:
        return Unread(CellReason.NOT_A_MOMENT, text)
    zone = parts.get("zone")
    if zone is None:
        return midnight + of_day
    return _local(datetime.fromisoformat(f"{(midnight + of_day).isoformat()}{zone}"))


def _time_of(parts: Mapping[str, str | None]) -> timedelta | None:
    hour, minute, second = (int(parts.get(name) or 0) for name in ("hour", "minute", "second"))
    half = (parts.get("half") or "").lower()
    if half:
        if not 1 <= hour <= 12:
            return None
        hour = hour % 12 + (12 if half in {"pm", "ch"} else 0)
    # 24:00 is the end of a day: midnight of the next.
    if hour > 24 or minute > 59 or second > 59 or (hour == 24 and (minute or second)):
        return None
    return timedelta(hours=hour, minutes=minute, seconds=second)


def _local(at: datetime) -> datetime:
    return _rounded(at if at.tzinfo is None else at.astimezone(VIETNAM).replace(tzinfo=None))


def _rounded(at: datetime) -> datetime:
    """To the second: a workbook keeps times as fractions of a day."""
    return (at + timedelta(microseconds=500_000)).replace(microsecond=0)


def instant_of(local: datetime) -> Instant:
    """The instant of a local day and time."""
    return local.replace(tzinfo=VIETNAM).astimezone(UTC)


def order_of(cells: Iterable[Cell]) -> Guess:
    """Whether a column writes the day or the month first; the day, and open, where no cell says."""
    day_first = month_first = unsaid = 0
    for cell in cells:
        if not isinstance(cell, str):
            continue
        found = re.search(r"(?<!\d)(\d{1,2})[/.\-](\d{1,2})[/.\-](\d{2,4})(?!\d)", cell)
        if found is None:
            continue
        one, two = int(found[1]), int(found[2])
        day_first += one > 12
        month_first += two > 12
        unsaid += one <= 12 and two <= 12 and one != two
    if month_first > day_first:
        return Guess(DayOrder.MONTH_FIRST, open=day_first > 0)
    return Guess(DayOrder.DAY_FIRST, open=month_first > 0 or (day_first == 0 and unsaid > 0))


def has_short_years(cells: Iterable[Cell]) -> bool:
    """Whether a column writes years with two digits."""
    return any(
        isinstance(cell, str) and re.search(r"(?<!\d)\d{1,2}[/.\-]\d{1,2}[/.\-]\d{2}(?!\d)", cell)
        for cell in cells
    )


def shown(cell: Cell) -> str:
    """A cell as a person would see it."""
    if isinstance(cell, CellMoment):
        at = datetime.fromisoformat(cell.at)
        return f"{at:%d/%m/%Y}" if at.time() == time() else f"{at:%d/%m/%Y %H:%M}"
    if isinstance(cell, CellWrong):
        return cell.code
    return "" if cell is None else str(cell)


# --- Units in headings ---

_UNIT_AT_END = re.compile(
    r"^(?P<bare>.*?)\s*(?:\((?P<round>[^()]{1,20})\)|\[(?P<square>[^\[\]]{1,20})\])\s*$", re.DOTALL
)
_UNIT_AFTER_COMMA = re.compile(r"^(?P<bare>.+?)\s*[,;:-]\s*(?P<unit>\S{1,10})\s*$", re.DOTALL)
_POWERS = str.maketrans({"³": "3", "²": "2", "μ": "µ", "º": "°", "˚": "°"})


def _plain_unit(text: str) -> str:
    return re.sub(r"\s+|\.(?!\d)", "", nfc(text).translate(_POWERS)).casefold().replace("^", "")


_OTHER_WAYS: Mapping[str, str] = {
    "ug/m3": "GQ",
    "mcg/m3": "GQ",
    "ugr/m3": "GQ",
    "μg/nm3": "GQ",
    "oc": "CEL",
    "độc": "CEL",
    "doc": "CEL",
    "c": "CEL",
    "phầntrăm": "P1",
    "mét": "MTR",
    "met": "MTR",
    "mét/giây": "MTS",
    "m3/giây": "MQS",
    "m3/ngày": "",
    "độ": "DD",
    "giờ": "HUR",
    "phút": "MIN",
    "giây": "SEC",
    "km/giờ": "KMH",
    "lít": "LTR",
    "tấn": "TNE",
    "người": "IE",
    "hécta": "H18",
}
_SYMBOLS: Mapping[str, str] = {
    **{_plain_unit(unit.symbol): code for code, unit in reversed(list(UNITS.items())) if unit.symbol},
    **{way: code for way, code in _OTHER_WAYS.items() if code},
}
_EXACT_CASE: Mapping[str, str] = {"MW": "", "mW": "", "M": "NMI", "m": "MTR", "K": "KEL"}


def unit_named(text: str) -> str:
    """The code of a unit as people write it (µg/m³, ug/m3, oC, m3/s); empty for what is none we know."""
    if text.strip() in _EXACT_CASE:
        return _EXACT_CASE[text.strip()]
    return _SYMBOLS.get(_plain_unit(text), "")


def unit_in(title: str) -> tuple[str, str]:
    """A heading without its unit, and the unit's code: “Mực nước (m)” is “Mực nước” and MTR."""
    found = _UNIT_AT_END.match(title)
    if found is not None:
        code = unit_named(found["round"] or found["square"])
        if code:
            return found["bare"].strip(), code
    found = _UNIT_AFTER_COMMA.match(title)
    if found is not None:
        code = unit_named(found["unit"])
        if code:
            return found["bare"].strip(), code
    return title.strip(), ""


def folded(title: str) -> str:
    """A heading in the form in which headings are compared, indices among its letters."""
    return fold(title.translate(str.maketrans("₀₁₂₃₄₅₆₇₈₉", "0123456789"))).replace("pm2 5", "pm25")
