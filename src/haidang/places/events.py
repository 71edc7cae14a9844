"""What `places` tells the others: that units have changed."""

from datetime import date
from typing import ClassVar

from haidang.kernel.events import Event


class UnitsChanged(Event, frozen=True, kw_only=True):
    """A change of units was applied on its day: units have ended, and others have begun.

    `subject` is the change (urn:haidang:unit-change:…). What a unit became is asked of `places`.
    """

    kind: ClassVar[str] = "places.units-changed"

    takes_effect: date
    ended: tuple[str, ...]
    begun: tuple[str, ...]
