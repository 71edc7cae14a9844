"""What no database and no geometry can hold is refused with a sentence, not with an accident."""

from datetime import date

import pytest

from haidang.infra.database import Connection
from haidang.kernel.actors import part
from haidang.kernel.instants import SystemClock
from haidang.places.changing import draft_change
from haidang.places.days import LAST_DAY, DayOutOfReach, DayTooFarAhead, check_day
from haidang.places.drafting import ChangeMalformed, _outline, read_change

RENAMED = b'{"title": "x", "takes_effect": "%s", "rename": [{"unit": "a", "name": "%s"}]}'


def test_days_end_before_what_the_database_calls_never() -> None:
    assert check_day(LAST_DAY) == LAST_DAY
    with pytest.raises(DayTooFarAhead):
        check_day(date.max)


@pytest.mark.parametrize("on", [b"0001-01-01", b"1799-12-31", b"9999-12-31"])
async def test_no_change_at_the_ends_of_time(connection: Connection, on: bytes) -> None:
    written = read_change(RENAMED % (on, b"B"), toml=False)
    with pytest.raises(DayOutOfReach):
        await draft_change(part("tests"), connection, written, now=SystemClock().now())


@pytest.mark.parametrize(
    ("text", "toml"),
    [
        (RENAMED % (b"2027-01-01", b"B\\u0000"), False),
        (b"[" * 100_000, False),
        (b"a = " + b"[" * 100_000, True),
    ],
    ids=["nul", "deep-json", "deep-toml"],
)
def test_what_cannot_be_read_is_said(text: bytes, *, toml: bool) -> None:
    with pytest.raises(ChangeMalformed):
        read_change(text, toml=toml)


def test_altitudes_are_left_out_however_high() -> None:
    high = 10**400
    ring = [[108.0, 11.0, high], [108.1, 11.0, high], [108.1, 11.1, high], [108.0, 11.0, high]]
    drawn = _outline({"type": "Polygon", "coordinates": [ring]}, "x")
    assert drawn == {"type": "Polygon", "coordinates": [[one[:2] for one in ring]]}
