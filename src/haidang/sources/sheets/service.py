"""Verbs of sheets: keep a file, read it by a mapping, ask for it to be taken, ask for it to be taken back.

A batch is taken in transactions of a thousand rows, each with its place in the sheet: a worker that dies
goes on where the last one ended, and nothing is written twice. Until it ends, and at any time after, the
whole batch can be taken back (ADR 0063, ADR 0064).
"""

from asyncio import to_thread
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol
from uuid import UUID

import msgspec

from haidang.context.model import AttributeInstance, MergeObservations
from haidang.context.service import latest_entities
from haidang.context.withdrawing import Commit, withdraw_commits
from haidang.context.writer import apply_commands
from haidang.infra.database import Connection
from haidang.infra.jobs import enqueue
from haidang.infra.tables import TableChoice, TableLook, TableRow
from haidang.kernel.actors import Actor, Audience
from haidang.kernel.ids import new_uuid
from haidang.kernel.instants import Instant
from haidang.sdk.model import EntityType, Pack
from haidang.sources.errors import IntakeIsForMachines
from haidang.sources.sheets import store
from haidang.sources.sheets.errors import (
    SheetBatchNotTaken,
    SheetBatchUnknown,
    SheetFileUnknown,
    SheetMappingIncomplete,
    SheetsAreForOfficers,
    SheetTakenAlready,
    SheetTypeUnknown,
)
from haidang.sources.sheets.judging import JudgedRow, RowJudge, RowRefusal, SheetRow, things_by_word
from haidang.sources.sheets.mapping import Headings, SheetMapping, faults_of
from haidang.sources.sheets.model import (
    CAN_BE_UNDONE,
    GOING,
    BatchState,
    KeptMapping,
    Preview,
    PreviewRow,
    SheetBatch,
    SheetFile,
)

TAKE_JOB = "sources.take-sheet"
UNDO_JOB = "sources.undo-sheet"

MOST_THINGS = 20_000
"""Things of a type whose codes and names a sheet may use."""

ROWS_A_COMMIT = 1_000
COMMITS_AT_ONCE = 100
"""Taken back in one transaction, or those of one thing: some thousands of values."""

PREVIEWED_ROWS = 10_000
"""Rows that are read for a page: what is beyond is judged when it is taken."""

TROUBLE_MESSAGES = {"given-up": "It was tried several times and could not be ended."}

SHOWN_ROWS = 12
SHOWN_REFUSALS = 200


class BatchJob(msgspec.Struct, frozen=True):
    """What the jobs of a batch are asked with."""

    batch_id: UUID


class KeepsFiles(Protocol):
    """Where the content of a sheet is kept: the store of object files."""

    async def put_file(self, actor: Actor, path: Path) -> str:
        """Keep a file and return its content id."""
        ...


@dataclass(frozen=True, slots=True)
class Asked:
    """What a person decided to take: a file, how to read it, by which mapping."""

    file: SheetFile
    choice: TableChoice
    headings: Headings
    mapping: SheetMapping
    name: str


async def keep_sheet(
    actor: Actor,
    connection: Connection,
    files: KeepsFiles,
    path: Path,
    *,
    name: str,
    size_bytes: int,
    look: TableLook,
    by: str,
    now: Instant,
    feed_id: str | None = None,
) -> SheetFile:
    """Keep a file that was looked into."""
    _require_officer(actor)
    file = SheetFile(
        file_id=new_uuid(),
        content_id=await files.put_file(actor, path),
        name=name,
        size_bytes=size_bytes,
        look=look,
        uploaded_at=now,
        uploaded_by=by,
        feed_id=feed_id,
    )
    await store.keep_file(connection, actor.tenant, file)
    return file


async def sheet_file(actor: Actor, connection: Connection, file_id: UUID) -> SheetFile:
    """One file; raises SheetFileUnknown."""
    _require_officer(actor)
    found = await store.sheet_file(connection, actor.tenant, file_id)
    if found is None:
        raise SheetFileUnknown
    return found


async def mapping_known(actor: Actor, connection: Connection, headings: Headings) -> KeptMapping | None:
    """How a sheet with these headings was read the last time, if one was."""
    _require_officer(actor)
    return await store.newest_mapping(connection, actor.tenant, headings.key)


async def batch_of_content(actor: Actor, connection: Connection, content_id: str) -> UUID | None:
    """The batch by which the same content was taken already, if it was not taken back."""
    _require_officer(actor)
    return await store.standing_batch_of_content(connection, actor.tenant, content_id)


def type_named(packs: Sequence[Pack], name: str) -> EntityType:
    """The declared type of a name; raises SheetTypeUnknown."""
    for pack in packs:
        for entity_type in pack.entity_types:
            if entity_type.name == name:
                return entity_type
    raise SheetTypeUnknown(entity_type=name[:80])


async def things_named(actor: Actor, connection: Connection, entity_type: EntityType) -> dict[str, str]:
    """From codes and names of the things of a type to their ids."""
    _require_officer(actor)
    views = await latest_entities(actor, connection, entity_type, MOST_THINGS)
    return things_by_word([(one.entity_id, str(one.values.get("name") or "")) for one in views])


async def preview(  # noqa: PLR0917 - what is read, into what: in the order one says it
    actor: Actor,
    rows: Sequence[TableRow],
    headings: Headings,
    mapping: SheetMapping,
    entity_type: EntityType,
    things: Mapping[str, str],
    *,
    now: Instant,
) -> Preview:
    """What taking would come to, by the first ten thousand rows; nothing is written."""
    _require_officer(actor)
    judge = RowJudge(mapping, entity_type, things, now=now)
    return await to_thread(_preview, rows, headings, judge, _Seen(set(things.values())))


def _preview(rows: Sequence[TableRow], headings: Headings, judge: RowJudge, seen: "_Seen") -> Preview:
    for row in rows:
        if row.number <= headings.last:
            continue
        if row.hidden and not judge.hidden_rows:
            seen.hidden += 1
        elif seen.rows < PREVIEWED_ROWS:
            seen.note(row, judge.judge(row))
    seen.whole = len(rows) < PREVIEWED_ROWS
    return seen.preview()


@dataclass(slots=True)
class _Seen:
    """What a preview has seen so far."""

    known: set[str]
    shown: list[PreviewRow] = field(default_factory=list)
    refusals: list[RowRefusal] = field(default_factory=list)
    by_reason: Counter[str] = field(default_factory=Counter)
    things: set[str] = field(default_factory=set)
    rows: int = 0
    enter: int = 0
    values: int = 0
    hidden: int = 0
    first_at: Instant | None = None
    last_at: Instant | None = None
    whole: bool = True

    def note(self, row: TableRow, judged: JudgedRow) -> None:
        self.rows += 1
        enters = judged.sheet_row
        if enters is not None:
            self.enter += 1
            self.values += len(enters.values)
            self.things.add(enters.entity_id)
            self.first_at = min(self.first_at or enters.observed_at, enters.observed_at)
            self.last_at = max(self.last_at or enters.observed_at, enters.observed_at)
        for refusal in judged.refusals:
            self.by_reason[refusal.reason] += 1
            if len(self.refusals) < SHOWN_REFUSALS:
                self.refusals.append(refusal)
        if len(self.shown) < SHOWN_ROWS:
            self.shown.append(PreviewRow(row, enters, judged.refusals))

    def preview(self) -> Preview:
        return Preview(
            shown=tuple(self.shown),
            refusals=tuple(self.refusals),
            rows=self.rows,
            enter=self.enter,
            values=self.values,
            cells_refused=sum(self.by_reason.values()),
            hidden=self.hidden,
            things=len(self.things),
            new_things=tuple(sorted(self.things - self.known)),
            by_reason=dict(self.by_reason.most_common()),
            first_at=self.first_at,
            last_at=self.last_at,
            whole=self.whole,
        )


async def ask_to_take(
    actor: Actor,
    connection: Connection,
    packs: Sequence[Pack],
    asked: Asked,
    *,
    by: str,
    now: Instant,
    again: bool = False,
) -> UUID:
    """Keep the mapping and ask for the sheet to be taken as one batch; returns its id.

    Raises SheetMappingIncomplete, and SheetTakenAlready for content that was taken, unless `again`.
    """
    _require_officer(actor)
    if faults_of(asked.mapping, type_named(packs, asked.mapping.entity_type)):
        raise SheetMappingIncomplete
    taken = await store.standing_batch_of_content(connection, actor.tenant, asked.file.content_id)
    if taken is not None and not again:
        raise SheetTakenAlready(batch_id=taken)
    kept = await _kept_mapping(actor, connection, asked, by=by, now=now)
    batch = SheetBatch(
        batch_id=new_uuid(),
        file_id=asked.file.file_id,
        file_name=asked.file.name,
        mapping_id=kept.mapping_id,
        mapping_version=kept.version,
        mapping_name=kept.name,
        choice=asked.choice,
        last_heading=asked.headings.last,
        mapping=asked.mapping,
        state=BatchState.WAITING,
        rows_read=0,
        rows_taken=0,
        rows_refused=0,
        values_written=0,
        cells_refused=0,
        values_withdrawn=0,
        values_left=0,
        asked_at=now,
        asked_by=by,
        ended_at=None,
        undo_asked_at=None,
        undo_asked_by=None,
        undone_at=None,
        trouble=None,
    )
    await store.add_batch(connection, actor.tenant, batch)
    await enqueue(connection, actor, TAKE_JOB, BatchJob(batch.batch_id))
    return batch.batch_id


async def _kept_mapping(
    actor: Actor, connection: Connection, asked: Asked, *, by: str, now: Instant
) -> KeptMapping:
    """The mapping as it is kept: the known version, a new version of it, or a new one."""
    # The moment that was typed for one sheet is not part of what was agreed on for all.
    agreed = msgspec.structs.replace(asked.mapping, moment=None)
    known = await store.newest_mapping(connection, actor.tenant, asked.headings.key)
    if known is not None and known.mapping == agreed and known.name == asked.name:
        return known
    kept = KeptMapping(
        mapping_id=known.mapping_id if known else new_uuid(),
        version=known.version + 1 if known else 1,
        name=asked.name,
        heading_key=asked.headings.key,
        mapping=agreed,
        saved_at=now,
        saved_by=by,
    )
    await store.save_mapping(connection, actor.tenant, kept)
    return kept


async def list_batches(
    actor: Actor, connection: Connection, *, before: Instant | None = None, most: int = 50
) -> list[SheetBatch]:
    """The newest batches."""
    _require_officer(actor)
    return await store.sheet_batches(connection, actor.tenant, before=before, most=most)


async def sheet_batch(actor: Actor, connection: Connection, batch_id: UUID) -> SheetBatch:
    """One batch; raises SheetBatchUnknown."""
    _require_officer(actor)
    found = await store.sheet_batches(connection, actor.tenant, batch_id=batch_id, most=1)
    if not found:
        raise SheetBatchUnknown
    return found[0]


async def batch_refusals(
    actor: Actor, connection: Connection, batch_id: UUID, *, most: int = SHOWN_REFUSALS
) -> list[RowRefusal]:
    """What of a batch did not enter, in the order of its rows."""
    _require_officer(actor)
    return await store.refusals(connection, actor.tenant, batch_id, most=most)


async def ask_to_undo(actor: Actor, connection: Connection, batch_id: UUID, *, by: str, now: Instant) -> None:
    """Ask for a batch to be taken back, also while it is being taken; raises SheetBatchNotTaken."""
    _require_officer(actor)
    state = await store.hold_batch(connection, actor.tenant, batch_id)
    if state is None:
        raise SheetBatchUnknown
    if state not in CAN_BE_UNDONE:
        raise SheetBatchNotTaken(batch_id=batch_id)
    await store.ask_undo(connection, actor.tenant, batch_id, by=by, now=now)
    await enqueue(connection, actor, UNDO_JOB, BatchJob(batch_id))


async def begin_batch(actor: Actor, connection: Connection, batch_id: UUID) -> SheetBatch | None:
    """Begin to take a batch, or go on with it; None where there is nothing to take (any more)."""
    _require_machine(actor)
    state = await store.hold_batch(connection, actor.tenant, batch_id)
    # A failed one is begun again by a dead letter that was replayed, unless somebody asked for it to go.
    if state not in {BatchState.WAITING, BatchState.TAKING, BatchState.FAILED}:
        return None
    (batch,) = await store.sheet_batches(connection, actor.tenant, batch_id=batch_id, most=1)
    if batch.undo_asked_at is not None:
        return None
    await store.move_batch(connection, actor.tenant, batch_id, BatchState.TAKING)
    return batch


async def take_rows(
    actor: Actor,
    connection: Connection,
    batch: SheetBatch,
    entity_type: EntityType,
    judged: Sequence[JudgedRow],
    *,
    last_row: int,
    now: Instant,
) -> bool:
    """Write some rows of a batch in the caller's transaction; false when it is to be taken no further."""
    _require_machine(actor)
    state = await store.hold_batch(connection, actor.tenant, batch.batch_id)
    if state is not BatchState.TAKING:
        return False
    rows = [one.sheet_row for one in judged if one.sheet_row is not None]
    refused = [refusal for one in judged for refusal in one.refusals]
    commands = [
        MergeObservations(
            entity_id=row.entity_id,
            type_iri=entity_type.iri,
            attributes=tuple(_instances(row)),
            origin=batch.urn,
        )
        for row in rows
    ]
    outcomes = await apply_commands(connection, actor, commands, now=now)
    commits: dict[tuple[str, Instant], Commit] = {}
    taken = written = 0
    for row, outcome in zip(rows, outcomes, strict=True):
        if outcome.error is not None:
            refused.append(RowRefusal(row.number, "", outcome.error.code(), str(outcome.error)[:200]))
            continue
        taken += 1
        if outcome.learned_at is None:
            continue
        written += len(row.values)
        key = (row.entity_id, outcome.learned_at)
        known = commits.get(key)
        commits[key] = Commit(
            row.entity_id,
            outcome.learned_at,
            min(known.first_moment, row.observed_at) if known else row.observed_at,
            max(known.last_moment, row.observed_at) if known else row.observed_at,
            created=outcome.created or (known.created if known else False),
        )
    await store.note_commits(connection, actor.tenant, batch.batch_id, list(commits.values()))
    await store.note_refusals(connection, actor.tenant, batch.batch_id, refused)
    await store.count_taken(
        connection,
        actor.tenant,
        batch.batch_id,
        rows_read=last_row,
        rows_taken=taken,
        rows_refused=len(judged) - taken,
        values_written=written,
        cells_refused=len(refused),
    )
    return True


def _instances(row: SheetRow) -> list[AttributeInstance]:
    return [
        AttributeInstance(
            name=value.attribute.iri,
            value=value.value,
            kind=value.attribute.kind,
            unit=value.attribute.unit,
            observed_at=None if value.attribute.lasting else row.observed_at,
            quality=value.quality,
        )
        for value in row.values
    ]


async def end_batch(
    actor: Actor, connection: Connection, batch_id: UUID, *, now: Instant, trouble: str | None = None
) -> None:
    """A batch is taken, or cannot be taken further: `trouble` is a sentence."""
    _require_machine(actor)
    if await store.hold_batch(connection, actor.tenant, batch_id) is BatchState.TAKING:
        state = BatchState.FAILED if trouble else BatchState.TAKEN
        await store.move_batch(connection, actor.tenant, batch_id, state, ended_at=now, trouble=trouble)


async def give_up_batch(actor: Actor, connection: Connection, batch_id: UUID, *, now: Instant) -> None:
    """Nothing will be done with a batch by itself any more: its page says so, and it can be taken back."""
    _require_machine(actor)
    if await store.hold_batch(connection, actor.tenant, batch_id) in GOING:
        trouble = TROUBLE_MESSAGES["given-up"]
        await store.move_batch(
            connection, actor.tenant, batch_id, BatchState.FAILED, ended_at=now, trouble=trouble
        )


async def undo_some(
    actor: Actor,
    connection: Connection,
    batch_id: UUID,
    entity_type: EntityType,
    *,
    now: Instant,
) -> bool:
    """Take back what a batch wrote on the next things; false when there was nothing left."""
    _require_machine(actor)
    if await store.hold_batch(connection, actor.tenant, batch_id) is not BatchState.UNDOING:
        return False
    commits = await store.commits_to_withdraw(connection, actor.tenant, batch_id, most=COMMITS_AT_ONCE)
    if not commits:
        await store.move_batch(connection, actor.tenant, batch_id, BatchState.UNDONE, ended_at=now)
        return False
    withdrawn = await withdraw_commits(
        actor,
        connection,
        commits,
        why=f"sheet taken back: {batch_id}",
        now=now,
        computed={one.iri for one in entity_type.attributes if one.derived},
    )
    entities = sorted({one.entity_id for one in commits})
    await store.note_withdrawn(connection, actor.tenant, batch_id, entities, withdrawn, now=now)
    return True


def _require_officer(actor: Actor) -> None:
    if not actor.belongs_to(Audience.OFFICER):
        raise SheetsAreForOfficers


def _require_machine(actor: Actor) -> None:
    if not actor.belongs_to(Audience.MACHINE):
        raise IntakeIsForMachines
