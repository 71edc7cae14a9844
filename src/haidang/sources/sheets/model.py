"""Sheets as they are kept: the file, the agreed mapping, the batch and how far it is. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Self
from uuid import UUID

import msgspec

from haidang.infra.tables import TableChoice, TableLook, TableRow
from haidang.kernel.errors import HaidangError
from haidang.kernel.instants import Instant
from haidang.sources.sheets.judging import RowRefusal, SheetRow
from haidang.sources.sheets.mapping import SheetMapping

MOST_REFUSALS_KEPT = 10_000
"""Of one batch, each with its row and reason; further ones are only counted."""


class BatchState(StrEnum):
    """How far a batch is."""

    WAITING = "waiting"
    TAKING = "taking"
    TAKEN = "taken"
    FAILED = "failed"
    UNDOING = "undoing"
    UNDONE = "undone"


GOING = frozenset({BatchState.WAITING, BatchState.TAKING, BatchState.UNDOING})
"""States in which something is being done: a page that shows one asks again."""

CAN_BE_UNDONE = frozenset({BatchState.WAITING, BatchState.TAKING, BatchState.TAKEN, BatchState.FAILED})


class SheetFile(msgspec.Struct, frozen=True, kw_only=True):
    """A sheet as it was sent."""

    file_id: UUID
    content_id: str
    name: str
    size_bytes: int
    look: TableLook
    uploaded_at: Instant
    uploaded_by: str
    feed_id: str | None = None


class KeptMapping(msgspec.Struct, frozen=True, kw_only=True):
    """A version of an agreed mapping, by whom and since when."""

    mapping_id: UUID
    version: int
    name: str
    heading_key: str
    mapping: SheetMapping
    saved_at: Instant
    saved_by: str


class SheetBatch(msgspec.Struct, frozen=True, kw_only=True):
    """A sheet that was taken, or is being taken, as one batch."""

    batch_id: UUID
    file_id: UUID
    file_name: str
    mapping_id: UUID
    mapping_version: int
    mapping_name: str
    choice: TableChoice
    last_heading: int
    mapping: SheetMapping
    state: BatchState
    rows_read: int
    rows_taken: int
    rows_refused: int
    values_written: int
    cells_refused: int
    values_withdrawn: int
    values_left: int
    asked_at: Instant
    asked_by: str
    ended_at: Instant | None
    undo_asked_at: Instant | None
    undo_asked_by: str | None
    undone_at: Instant | None
    trouble: str | None

    @property
    def urn(self) -> str:
        """The batch as the origin of what it wrote."""
        return f"urn:haidang:sheet:{self.batch_id}"


class FeedOutcome(StrEnum):
    """What came of a file that a feed brought."""

    TAKEN = "taken"
    WAITS = "waits"
    REFUSED = "refused"
    KNOWN = "known"


class FeedReason(msgspec.Struct, frozen=True):
    """Why something did not go on by itself: a sentence of the catalogue with its fields."""

    message: str
    fields: dict[str, str]

    @classmethod
    def of(cls, error: HaidangError) -> Self:
        """The sentence of an error."""
        return cls(error.message_id(), {name: str(value) for name, value in error.fields.items()})


RHYTHMS_UNTIL_LATE = 3


class SheetFeed(msgspec.Struct, frozen=True, kw_only=True):
    """A folder or an address that is looked at for new sheets, all read by one agreed mapping."""

    feed_id: UUID
    name: str
    place: str
    mapping_id: UUID
    every_minutes: int
    most_refused_percent: int
    paused: bool
    added_at: Instant
    changed_at: Instant
    changed_by: str
    next_look_at: Instant
    looked_at: Instant | None
    brought_at: Instant | None
    etag: str | None
    last_modified: str | None
    trouble: FeedReason | None

    @property
    def is_address(self) -> bool:
        """Whether it is an address of the web, and not a folder."""
        return "://" in self.place

    def late(self, now: Instant) -> bool:
        """Whether it has brought nothing new for three rhythms, since it was added or begun again."""
        since = max(self.brought_at or self.added_at, self.changed_at)
        return not self.paused and now - since > RHYTHMS_UNTIL_LATE * timedelta(minutes=self.every_minutes)


class FeedFile(msgspec.Struct, frozen=True, kw_only=True):
    """A file that a feed brought, and what came of it."""

    name: str
    outcome: FeedOutcome
    file_id: UUID | None
    batch_id: UUID | None
    reason: FeedReason | None
    seen_at: Instant


@dataclass(frozen=True, slots=True)
class PreviewRow:
    """A row as it stands in the sheet beside what may enter of it."""

    row: TableRow
    enters: SheetRow | None
    refusals: tuple[RowRefusal, ...]


@dataclass(frozen=True, slots=True)
class Preview:
    """What taking a sheet would come to, by its first rows (all of them where `whole`)."""

    shown: tuple[PreviewRow, ...]
    refusals: tuple[RowRefusal, ...]
    rows: int
    enter: int
    values: int
    cells_refused: int
    hidden: int
    things: int
    new_things: tuple[str, ...]
    by_reason: Mapping[str, int]
    first_at: Instant | None
    last_at: Instant | None
    whole: bool
