"""What `sources` tells the others: that something fell silent, and that it is heard again."""

from typing import ClassVar

from haidang.kernel.events import Event
from haidang.kernel.instants import Instant


class SourceLate(Event, frozen=True, kw_only=True):
    """Nothing was heard for longer than the rhythm allows. Told once, until it is heard again.

    `subject` is the entity that fell silent, or the source itself (urn:haidang:source:…)
    when nothing at all came from it.
    """

    kind: ClassVar[str] = "sources.source-late"

    source_id: str
    last_received_at: Instant
    last_observed_at: Instant
    late_since: Instant


class SourceBack(Event, frozen=True, kw_only=True):
    """What was late is heard again."""

    kind: ClassVar[str] = "sources.source-back"

    source_id: str
    late_since: Instant
    back_at: Instant
