"""Days that units may be asked for or changed on."""

from datetime import date

from haidang.kernel.errors import Invalid

FIRST_DAY, LAST_DAY = date(1800, 1, 1), date(2999, 12, 31)
"""Of changes; to the database the last day that a date can be is "never", so none near it is let in."""


class DayTooFarAhead(Invalid):
    """{on} is too far ahead: days up to {last} can be asked for."""


class DayOutOfReach(Invalid):
    """Units can change on days from {first} to {last}, not on {on}."""


def check_day(on: date) -> date:
    """The day, which may be asked for; raises DayTooFarAhead."""
    if on > LAST_DAY:
        raise DayTooFarAhead(on=on, last=LAST_DAY)
    return on


def check_day_of_change(on: date) -> date:
    """The day, which a change may take effect on; raises DayOutOfReach."""
    if not FIRST_DAY <= on <= LAST_DAY:
        raise DayOutOfReach(on=on, first=FIRST_DAY, last=LAST_DAY)
    return on
