"""Sheets as they are kept: the file, the agreed mapping, the batch and how far it is. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID

import msgspec

from haidang.infra.tables import TableChoice, TableLook, TableRow
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
