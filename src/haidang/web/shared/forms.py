"""What a person sent with a form, and days as people write them. Pure: bytes and text in, values out."""

import re
from collections.abc import Mapping
from datetime import date
from urllib.parse import parse_qsl

from haidang.kernel.errors import Invalid

_MOST_FIELDS = 200
_LOCAL = re.compile(r"(\d{1,2})[/.\-\s](\d{1,2})[/.\-\s](\d{4})", re.ASCII)
_ISO = re.compile(r"(\d{4})-(\d{1,2})-(\d{1,2})", re.ASCII)
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")


class FormUnreadable(Invalid):
    """What was sent is not a form that can be read."""


class DayUnreadable(Invalid):
    """“{text}” is not a day: write day/month/year, for example 21/11/2026."""


def read_form(body: bytes) -> Mapping[str, str]:
    """The fields of an `application/x-www-form-urlencoded` body: the last of each name, trimmed.

    Control characters are dropped: no one types them. Raises FormUnreadable for what is not UTF-8
    or has over 200 fields.
    """
    try:
        pairs = parse_qsl(
            body.decode("ascii"),
            keep_blank_values=True,
            encoding="utf-8",
            errors="strict",
            max_num_fields=_MOST_FIELDS,
        )
    except ValueError as trouble:
        raise FormUnreadable from trouble
    return {name: _CONTROL.sub("", value).strip() for name, value in pairs}


def read_day(text: str) -> date:
    """The day that was typed: 21/11/2026, 1-2-2026, 21.11.2026 or 2026-11-21; raises DayUnreadable."""
    wanted = text.strip()
    local, iso = _LOCAL.fullmatch(wanted), _ISO.fullmatch(wanted)
    try:
        if local is not None:
            return date(int(local[3]), int(local[2]), int(local[1]))
        if iso is not None:
            return date(int(iso[1]), int(iso[2]), int(iso[3]))
    except ValueError:
        pass  # the thirtieth of February
    raise DayUnreadable(text=wanted[:40])
