"""Events that only tests publish."""

from haidang.kernel.events import Event


class PumpCounted(Event, frozen=True, kw_only=True):
    """A pump's counter stood at a number."""

    kind = "test.pump-counted"

    number: int
    writer: int = 0


class PumpStopped(Event, frozen=True, kw_only=True):
    """A pump stopped."""

    kind = "test.pump-stopped"
