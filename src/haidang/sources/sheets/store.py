"""Runs the SQL of sheets: files, mappings, batches, what each wrote and refused."""

from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from uuid import UUID

import msgspec

from haidang.context.withdrawing import Commit, Withdrawn
from haidang.infra.database import Connection
from haidang.infra.queries import load_queries
from haidang.infra.tables import TableChoice, TableLook
from haidang.kernel.instants import Instant
from haidang.sources.sheets.judging import RowRefusal
from haidang.sources.sheets.mapping import SheetMapping
from haidang.sources.sheets.model import (
    MOST_REFUSALS_KEPT,
    BatchState,
    FeedFile,
    FeedOutcome,
    FeedReason,
    KeptMapping,
    SheetBatch,
    SheetFeed,
    SheetFile,
)

queries = load_queries(Path(__file__).parent / "sql")


def _text(kept: msgspec.Struct) -> str:
    return msgspec.json.encode(kept).decode()


async def keep_file(connection: Connection, tenant: str, file: SheetFile) -> None:
    """Keep what is known of a file."""
    await queries.keep_file(
        connection,
        tenant=tenant,
        file_id=file.file_id,
        content_id=file.content_id,
        name=file.name,
        size_bytes=file.size_bytes,
        look=_text(file.look),
        uploaded_at=file.uploaded_at,
        uploaded_by=file.uploaded_by,
        feed_id=file.feed_id,
    )


async def sheet_file(connection: Connection, tenant: str, file_id: UUID) -> SheetFile | None:
    """One file."""
    row = await queries.sheet_file(connection, tenant=tenant, file_id=file_id)
    if row is None:
        return None
    return SheetFile(**{**row, "look": msgspec.json.decode(row["look"], type=TableLook)})


async def standing_batch_of_content(connection: Connection, tenant: str, content_id: str) -> UUID | None:
    """The newest batch of the same content that was not taken back."""
    row = await queries.standing_batch_of_content(connection, tenant=tenant, content_id=content_id)
    found: UUID | None = row["batch_id"] if row else None
    return found


async def newest_mapping(connection: Connection, tenant: str, heading_key: str) -> KeptMapping | None:
    """How sheets with these headings were read the last time."""
    row = await queries.newest_mapping(connection, tenant=tenant, heading_key=heading_key)
    if row is None:
        return None
    return KeptMapping(**{**row, "mapping": msgspec.json.decode(row["mapping"], type=SheetMapping)})


async def save_mapping(connection: Connection, tenant: str, kept: KeptMapping) -> None:
    """Keep a version of a mapping."""
    await queries.save_mapping(
        connection,
        tenant=tenant,
        mapping_id=kept.mapping_id,
        version=kept.version,
        name=kept.name,
        heading_key=kept.heading_key,
        mapping=_text(kept.mapping),
        saved_at=kept.saved_at,
        saved_by=kept.saved_by,
    )


async def add_batch(connection: Connection, tenant: str, batch: SheetBatch) -> None:
    """Add a batch that waits to be taken."""
    await queries.add_batch(
        connection,
        tenant=tenant,
        batch_id=batch.batch_id,
        file_id=batch.file_id,
        mapping_id=batch.mapping_id,
        mapping_version=batch.mapping_version,
        choice=_text(batch.choice),
        last_heading=batch.last_heading,
        mapping=_text(batch.mapping),
        asked_at=batch.asked_at,
        asked_by=batch.asked_by,
    )


async def sheet_batches(
    connection: Connection,
    tenant: str,
    *,
    batch_id: UUID | None = None,
    before: Instant | None = None,
    most: int = 50,
) -> list[SheetBatch]:
    """One batch, or the newest ones."""
    rows = queries.sheet_batches(connection, tenant=tenant, batch_id=batch_id, before_at=before, most=most)
    return [
        SheetBatch(
            **{
                **row,
                "choice": msgspec.json.decode(row["choice"], type=TableChoice),
                "mapping": msgspec.json.decode(row["mapping"], type=SheetMapping),
                "state": BatchState(row["state"]),
            }
        )
        async for row in rows
    ]


async def hold_batch(connection: Connection, tenant: str, batch_id: UUID) -> BatchState | None:
    """The state of a batch, locked until the transaction ends."""
    state = await queries.hold_batch(connection, tenant=tenant, batch_id=batch_id)
    return None if state is None else BatchState(state)


async def move_batch(
    connection: Connection,
    tenant: str,
    batch_id: UUID,
    state: BatchState,
    *,
    ended_at: Instant | None = None,
    trouble: str | None = None,
) -> None:
    """Let a batch go on to another state."""
    await queries.move_batch(
        connection, tenant=tenant, batch_id=batch_id, state=state.value, ended_at=ended_at, trouble=trouble
    )


async def ask_undo(connection: Connection, tenant: str, batch_id: UUID, *, by: str, now: Instant) -> None:
    """Note who asked to take a batch back."""
    await queries.ask_undo(connection, tenant=tenant, batch_id=batch_id, now=now, by=by)


async def count_taken(
    connection: Connection,
    tenant: str,
    batch_id: UUID,
    *,
    rows_read: int,
    rows_taken: int,
    rows_refused: int,
    values_written: int,
    cells_refused: int,
) -> None:
    """Note how far a batch has come."""
    await queries.count_taken(
        connection,
        tenant=tenant,
        batch_id=batch_id,
        rows_read=rows_read,
        rows_taken=rows_taken,
        rows_refused=rows_refused,
        values_written=values_written,
        cells_refused=cells_refused,
    )


async def note_commits(
    connection: Connection, tenant: str, batch_id: UUID, commits: Sequence[Commit]
) -> None:
    """Note which commits of the context a batch has made."""
    await queries.note_commits(
        connection,
        tenant=tenant,
        batch_id=batch_id,
        entity_ids=[one.entity_id for one in commits],
        learned_at=[one.learned_at for one in commits],
        first_moments=[one.first_moment for one in commits],
        last_moments=[one.last_moment for one in commits],
        created=[one.created for one in commits],
    )


async def note_refusals(
    connection: Connection, tenant: str, batch_id: UUID, refusals: Sequence[RowRefusal]
) -> None:
    """Keep what did not enter, up to a bound a batch."""
    await queries.note_refusals(
        connection,
        tenant=tenant,
        batch_id=batch_id,
        most=MOST_REFUSALS_KEPT,
        rows=[one.row for one in refusals],
        columns=[_storable(one.column) for one in refusals],
        reasons=[one.reason for one in refusals],
        shown=[_storable(one.shown) for one in refusals],
    )


def _storable(text: str) -> str:
    """PostgreSQL's text has no NUL and no half of a sign."""
    return text.replace("\0", "�").encode("utf-8", "replace").decode()


async def refusals(connection: Connection, tenant: str, batch_id: UUID, *, most: int) -> list[RowRefusal]:
    """What of a batch did not enter."""
    rows = queries.refusals(connection, tenant=tenant, batch_id=batch_id, most=most)
    return [
        RowRefusal(row["row_number"], row["column_title"], row["reason"], row["shown"]) async for row in rows
    ]


async def commits_to_withdraw(
    connection: Connection, tenant: str, batch_id: UUID, *, most: int
) -> list[Commit]:
    """All commits of the next entities of a batch that were not taken back yet; so many, or one entity's."""
    rows = queries.commits_to_withdraw(connection, tenant=tenant, batch_id=batch_id, most=most)
    return [Commit(**row) async for row in rows]


async def note_withdrawn(
    connection: Connection,
    tenant: str,
    batch_id: UUID,
    entity_ids: Sequence[str],
    withdrawn: Withdrawn,
    *,
    now: Instant,
) -> None:
    """Note that the commits of these entities are taken back, and what came of it."""
    await queries.note_withdrawn(
        connection,
        tenant=tenant,
        batch_id=batch_id,
        entity_ids=list(entity_ids),
        now=now,
        withdrawn=withdrawn.values,
        left_alone=withdrawn.left,
    )


# --- Feeds ---


async def mappings(
    connection: Connection, tenant: str, *, mapping_id: UUID | None = None
) -> list[KeptMapping]:
    """The newest version of one agreed mapping, or of all."""
    return [
        KeptMapping(**{**row, "mapping": msgspec.json.decode(row["mapping"], type=SheetMapping)})
        async for row in queries.mappings(connection, tenant=tenant, mapping_id=mapping_id)
    ]


async def add_feed(connection: Connection, tenant: str, feed: SheetFeed) -> None:
    """Keep a new feed."""
    await queries.add_feed(
        connection,
        tenant=tenant,
        feed_id=feed.feed_id,
        name=feed.name,
        place=feed.place,
        mapping_id=feed.mapping_id,
        every_minutes=feed.every_minutes,
        most_refused_percent=feed.most_refused_percent,
        now=feed.added_at,
        by=feed.changed_by,
    )


async def feeds(connection: Connection, tenant: str, *, feed_id: UUID | None = None) -> list[SheetFeed]:
    """One feed, or all."""
    return [
        SheetFeed(**{**row, "trouble": _reason(row["trouble"])})
        async for row in queries.feeds(connection, tenant=tenant, feed_id=feed_id)
    ]


async def feeds_due(connection: Connection, tenant: str, now: Instant) -> list[UUID]:
    """Feeds whose time has come."""
    return [row["feed_id"] async for row in queries.feeds_due(connection, tenant=tenant, now=now)]


async def pause_feed(
    connection: Connection, tenant: str, feed_id: UUID, *, paused: bool, by: str, now: Instant
) -> bool:
    """Let a feed rest or begin again; false when there is none."""
    return (
        await queries.pause_feed(connection, tenant=tenant, feed_id=feed_id, paused=paused, now=now, by=by)
        is not None
    )


async def note_look(
    connection: Connection,
    tenant: str,
    feed: SheetFeed,
    *,
    brought: bool,
    etag: str | None,
    last_modified: str | None,
    trouble: FeedReason | None,
    now: Instant,
) -> None:
    """Note that a feed was looked at."""
    await queries.note_look(
        connection,
        tenant=tenant,
        feed_id=feed.feed_id,
        now=now,
        next_look_at=now + timedelta(minutes=feed.every_minutes),
        brought=brought,
        etag=etag,
        last_modified=last_modified,
        trouble=None if trouble is None else _text(trouble),
    )


async def fingerprints_known(
    connection: Connection, tenant: str, feed_id: UUID, fingerprints: Sequence[str]
) -> set[str]:
    """Which of these files a feed has brought before."""
    rows = queries.fingerprints_known(
        connection, tenant=tenant, feed_id=feed_id, fingerprints=list(fingerprints)
    )
    return {row["fingerprint"] async for row in rows}


async def feed_has_content(connection: Connection, tenant: str, feed_id: UUID, content_id: str) -> bool:
    """Whether a feed has brought the same content before."""
    return bool(
        await queries.feed_has_content(connection, tenant=tenant, feed_id=str(feed_id), content_id=content_id)
    )


async def note_feed_file(
    connection: Connection, tenant: str, feed_id: UUID, fingerprint: str, file: FeedFile
) -> None:
    """Note what came of a file."""
    await queries.note_feed_file(
        connection,
        tenant=tenant,
        feed_id=feed_id,
        fingerprint=fingerprint,
        name=file.name,
        outcome=file.outcome.value,
        file_id=file.file_id,
        batch_id=file.batch_id,
        reason=None if file.reason is None else _text(file.reason),
        now=file.seen_at,
    )


async def feed_files(connection: Connection, tenant: str, feed_id: UUID, *, most: int) -> list[FeedFile]:
    """The newest files of a feed."""
    return [
        FeedFile(**{**row, "outcome": FeedOutcome(row["outcome"]), "reason": _reason(row["reason"])})
        async for row in queries.feed_files(connection, tenant=tenant, feed_id=feed_id, most=most)
    ]


def _reason(text: str | None) -> FeedReason | None:
    return None if text is None else msgspec.json.decode(text, type=FeedReason)
