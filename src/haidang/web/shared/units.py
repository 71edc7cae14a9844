"""How faces name units in addresses, and how they read days, texts and numbers out of a query.

The address of a unit is made of the last part of its id; nothing is read out of that part.
"""

import re
from collections.abc import Mapping
from datetime import date, datetime
from math import isfinite
from urllib.parse import parse_qsl

from haidang.kernel.errors import Invalid
from haidang.kernel.geometry import Position
from haidang.kernel.ids import UrnMalformed, check_urn
from haidang.kernel.instants import VIETNAM, Instant
from haidang.kernel.text import nfc
from haidang.places.days import check_day
from haidang.places.errors import ReportingAreaUnknown, UnitUnknown
from haidang.web.shared.house import Scope

UNITS_PATH = "/don-vi"
LOOKUP_PATH = "/tra-cuu-don-vi"

LONGEST_ADDRESS = 300
"""An address or name that is longer is refused, not cut: the cut half may have been the better one."""

_UNIT = "urn:haidang:unit:"
_AREA = "urn:haidang:reporting-area:"
_SLUG = re.compile(r"[a-z0-9][a-z0-9-]{0,494}")
"""As long as the longest URN (512) leaves room for: a unit of 300 letters has its whole name in its id."""

_UNSEEN = re.compile(r"[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\ufeff\ud800-\udfff]+")
_MOST_BYTES = 16_000
_SHOWN = 40
_WRITTEN = ("%Y-%m-%d", "%d/%m/%Y", "%d-%m-%Y", "%d.%m.%Y")


class DateUnreadable(Invalid):
    """“{text}” is not a day; write it as 30/06/2025 or 2025-06-30."""


class NumberUnreadable(Invalid):
    """“{text}” is not a number that {name} can be."""


class PositionHalfGiven(Invalid):
    """A point needs both its longitude and its latitude."""


class TextTooLong(Invalid):
    """That is {length} characters long; an address or a name has {limit} at most."""


def unit_path(unit_id: str) -> str:
    """The Vietnamese address of a unit's page."""
    return f"{UNITS_PATH}/{slug_of(unit_id)}"


def slug_of(unit_id: str) -> str:
    """The last part of a unit's id, as it stands in addresses."""
    return unit_id.rpartition(":")[2]


def unit_id_of(slug: str) -> str:
    """The id that a slug, or the id itself, means; raises UnitUnknown for what can be neither."""
    if slug.startswith("urn:"):
        try:
            return check_urn(slug)
        except UrnMalformed:
            raise UnitUnknown(unit_id=_short(slug)) from None
    if not _SLUG.fullmatch(slug):
        raise UnitUnknown(unit_id=_short(slug))
    return _UNIT + slug


def area_id_of(slug: str) -> str:
    """The id of the reporting area that its last part, or the id, means; raises ReportingAreaUnknown."""
    last = slug.removeprefix(_AREA)
    if not _SLUG.fullmatch(last):
        raise ReportingAreaUnknown(area_id=_short(slug))
    return _AREA + last


def query_of(scope: Scope) -> Mapping[str, str]:
    """What stands behind the question mark: the first value of each name; what is no UTF-8 is replaced."""
    query = bytes(scope.get("query_string", b""))[:_MOST_BYTES].decode("latin-1")
    found: dict[str, str] = {}
    for name, value in parse_qsl(query, keep_blank_values=True, errors="replace"):
        found.setdefault(name, value)
    return found


def plain_text(typed: str) -> str:
    """What was typed in one form, without what cannot be seen; raises TextTooLong."""
    text = " ".join(_UNSEEN.sub(" ", nfc(typed)).split())
    if len(text) > LONGEST_ADDRESS:
        raise TextTooLong(length=len(text), limit=LONGEST_ADDRESS)
    return text


def shown_again(typed: str) -> str:
    """The beginning of what was typed, as a field may show it again when it could not be read."""
    return " ".join(_UNSEEN.sub(" ", nfc(typed[:LONGEST_ADDRESS])).split())


def day_of(text: str, now: Instant) -> date:
    """A day as people or programs write it; today in Vietnam for none.

    Raises DateUnreadable, DayTooFarAhead.
    """
    text = text.strip()
    if not text:
        return now.astimezone(VIETNAM).date()
    for form in _WRITTEN:
        try:
            day = datetime.strptime(text[:_SHOWN], form).date()  # noqa: DTZ007 - a day, not a moment
        except ValueError:
            continue
        return check_day(day)
    raise DateUnreadable(text=_short(text))


def position_of(query: Mapping[str, str]) -> Position | None:
    """The point of `longitude` and `latitude`; raises NumberUnreadable, PositionHalfGiven."""
    longitude, latitude = query.get("longitude", "").strip(), query.get("latitude", "").strip()
    if not longitude and not latitude:
        return None
    if not longitude or not latitude:
        raise PositionHalfGiven
    return _degrees("Longitude", longitude, 180), _degrees("Latitude", latitude, 90)


def _degrees(name: str, text: str, most: int) -> float:
    """A coordinate, also with the comma that Vietnamese keyboards write."""
    try:
        number = float(text[:_SHOWN].replace(",", "."))
    except ValueError:
        raise NumberUnreadable(text=_short(text), name=name) from None
    if not isfinite(number) or abs(number) > most:
        raise NumberUnreadable(text=_short(text), name=name)
    return number


def _short(text: str) -> str:
    return _UNSEEN.sub(" ", text[:_SHOWN])
