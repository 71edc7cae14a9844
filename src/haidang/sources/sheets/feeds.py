"""Verbs of feeds: folders and addresses that are looked at for new sheets, each taken like one that was sent.

What an officer agreed on for one sheet holds for those that come after it, as long as their headings are the
same. What differs, or would mostly be refused, waits for a person. See ADR 0069.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from uuid import UUID

import msgspec

from haidang.infra.database import Connection
from haidang.infra.drop_folders import DropFolderUnusable, parts_of
from haidang.infra.http import AddressGuard
from haidang.infra.jobs import enqueue
from haidang.infra.tables import TableChoice, TableLook, TableRow
from haidang.kernel.actors import Actor, Audience
from haidang.kernel.errors import HaidangError
from haidang.kernel.ids import new_uuid
from haidang.kernel.instants import Instant
from haidang.kernel.legacy_text import Confidence
from haidang.sdk.model import Pack
from haidang.sources.errors import IntakeIsForMachines
from haidang.sources.sheets import store
from haidang.sources.sheets.errors import (
    SheetBroughtBefore,
    SheetFeedNameless,
    SheetFeedPlaceUnusable,
    SheetFeedRhythmUnusable,
    SheetFeedUnknown,
    SheetFoldersNotSet,
    SheetHeadingsChanged,
    SheetHoldsNothing,
    SheetLettersUncertain,
    SheetMappingIncomplete,
    SheetMappingUnknown,
    SheetMostlyRefused,
    SheetsAreForOfficers,
    SheetWithoutHeadings,
)
from haidang.sources.sheets.mapping import LOOKED_AT, Headings, faults_of, find_headings
from haidang.sources.sheets.model import (
    FeedFile,
    FeedOutcome,
    FeedReason,
    KeptMapping,
    SheetFeed,
)
from haidang.sources.sheets.service import (
    Asked,
    KeepsFiles,
    ask_to_take,
    keep_sheet,
    preview,
    things_named,
    type_named,
)

FEEDS_JOB = "sources.look-at-feeds"
FEED_JOB = "sources.look-at-feed"

BY_FEED = "feed:"
"""Before the name of a feed, where the name of a person would stand."""

_LONGEST_RHYTHM_MINUTES = 31 * 24 * 60


@dataclass(frozen=True, slots=True)
class FeedRules:
    """What feeds may reach: the folder below which they read, sizes, and which addresses."""

    folder: Path | None = None
    limit_bytes: int = 256 * 1024 * 1024
    scan_command: str | None = None
    guard: AddressGuard = field(default_factory=AddressGuard)
    schemes: tuple[str, ...] = ("https",)


class FeedJob(msgspec.Struct, frozen=True):
    """What the job of a feed is asked with."""

    feed_id: UUID


@dataclass(frozen=True, slots=True)
class FeedSheet:
    """A file as a feed brought it: looked into, its first rows read."""

    fingerprint: str
    name: str
    path: Path
    size_bytes: int
    look: TableLook
    choice: TableChoice
    rows: Sequence[TableRow]


async def list_feeds(actor: Actor, connection: Connection) -> list[SheetFeed]:
    """All feeds, by name."""
    _require_officer(actor)
    return await store.feeds(connection, actor.tenant)


async def sheet_feed(actor: Actor, connection: Connection, feed_id: UUID) -> SheetFeed:
    """One feed; raises SheetFeedUnknown."""
    _require_officer(actor)
    found = await store.feeds(connection, actor.tenant, feed_id=feed_id)
    if not found:
        raise SheetFeedUnknown
    return found[0]


async def feed_files(actor: Actor, connection: Connection, feed_id: UUID, *, most: int) -> list[FeedFile]:
    """The newest files of a feed."""
    _require_officer(actor)
    return await store.feed_files(connection, actor.tenant, feed_id, most=most)


async def agreed_mappings(actor: Actor, connection: Connection) -> list[KeptMapping]:
    """What was agreed on, newest versions, by name."""
    _require_officer(actor)
    found = await store.mappings(connection, actor.tenant)
    return sorted(found, key=lambda one: (one.name, one.saved_at))


async def add_feed(
    actor: Actor,
    connection: Connection,
    rules: FeedRules,
    *,
    name: str,
    place: str,
    mapping_id: UUID,
    every_minutes: int,
    most_refused_percent: int,
    by: str,
    now: Instant,
) -> UUID:
    """Look at a folder or an address from now on; returns the id of the feed."""
    _require_officer(actor)
    name, place = " ".join(name.split()), place.strip()
    if not 2 <= len(name) <= 80:
        raise SheetFeedNameless
    if not (1 <= every_minutes <= _LONGEST_RHYTHM_MINUTES and 0 <= most_refused_percent <= 100):
        raise SheetFeedRhythmUnusable
    check_place(rules, place)
    if not await store.mappings(connection, actor.tenant, mapping_id=mapping_id):
        raise SheetMappingUnknown
    feed = SheetFeed(
        feed_id=new_uuid(),
        name=name,
        place=place,
        mapping_id=mapping_id,
        every_minutes=every_minutes,
        most_refused_percent=most_refused_percent,
        paused=False,
        added_at=now,
        changed_at=now,
        changed_by=by,
        next_look_at=now,
        looked_at=None,
        brought_at=None,
        etag=None,
        last_modified=None,
        trouble=None,
    )
    await store.add_feed(connection, actor.tenant, feed)
    await enqueue(connection, actor, FEED_JOB, FeedJob(feed.feed_id), dedupe=str(feed.feed_id))
    return feed.feed_id


def check_place(rules: FeedRules, place: str) -> None:
    """Raise what is wrong with the place of a feed: SheetFeedPlaceUnusable, AddressNotPublic and others."""
    if "://" in place:
        if place.partition("://")[0].lower() not in rules.schemes:
            raise SheetFeedPlaceUnusable
        rules.guard.check(place)
        return
    try:
        parts_of(place)
    except DropFolderUnusable:
        raise SheetFeedPlaceUnusable from None
    if rules.folder is None:
        raise SheetFoldersNotSet


async def pause_feed(
    actor: Actor, connection: Connection, feed_id: UUID, *, paused: bool, by: str, now: Instant
) -> None:
    """Let a feed rest, or begin again; raises SheetFeedUnknown."""
    _require_officer(actor)
    if not await store.pause_feed(connection, actor.tenant, feed_id, paused=paused, by=by, now=now):
        raise SheetFeedUnknown


async def look_now(actor: Actor, connection: Connection, feed_id: UUID) -> None:
    """Ask for a feed to be looked at at once, also one that rests; raises SheetFeedUnknown."""
    feed = await sheet_feed(actor, connection, feed_id)
    await enqueue(connection, actor, FEED_JOB, FeedJob(feed.feed_id), dedupe=str(feed.feed_id))


async def ask_for_due(actor: Actor, connection: Connection, *, now: Instant) -> int:
    """Ask for every feed whose time has come to be looked at; how many."""
    _require_machine(actor)
    due = await store.feeds_due(connection, actor.tenant, now)
    for feed_id in due:
        await enqueue(connection, actor, FEED_JOB, FeedJob(feed_id), dedupe=str(feed_id))
    return len(due)


async def not_brought_yet(
    actor: Actor, connection: Connection, feed: SheetFeed, fingerprints: Sequence[str]
) -> set[str]:
    """Which of these files a feed has not brought before."""
    _require_machine(actor)
    known = await store.fingerprints_known(connection, actor.tenant, feed.feed_id, fingerprints)
    return set(fingerprints) - known


async def bring_sheet(  # noqa: PLR0917 - what, from where, to where: in the order one says it
    actor: Actor,
    connection: Connection,
    files: KeepsFiles,
    packs: Sequence[Pack],
    feed: SheetFeed,
    sheet: FeedSheet,
    *,
    now: Instant,
) -> FeedOutcome:
    """Keep a file of a feed and take it as agreed on; what is not as agreed on waits for a person."""
    _require_machine(actor)
    content_id = await files.put_file(actor, sheet.path)
    taken = await store.standing_batch_of_content(connection, actor.tenant, content_id)
    if taken is not None or await store.feed_has_content(connection, actor.tenant, feed.feed_id, content_id):
        known = FeedFile(
            name=sheet.name,
            outcome=FeedOutcome.KNOWN,
            file_id=None,
            batch_id=taken,
            reason=FeedReason.of(SheetBroughtBefore()),
            seen_at=now,
        )
        await store.note_feed_file(connection, actor.tenant, feed.feed_id, sheet.fingerprint, known)
        return known.outcome
    by = BY_FEED + feed.name
    file = await keep_sheet(
        actor,
        connection,
        files,
        sheet.path,
        name=sheet.name,
        size_bytes=sheet.size_bytes,
        look=sheet.look,
        by=by,
        now=now,
        feed_id=str(feed.feed_id),
    )
    batch_id: UUID | None = None
    reason: FeedReason | None = None
    try:
        headings, kept = await _as_agreed(actor, connection, packs, feed, sheet, now=now)
        asked = Asked(file, sheet.choice, headings, kept.mapping, kept.name)
        batch_id = await ask_to_take(actor, connection, packs, asked, by=by, now=now)
    except HaidangError as differs:
        if differs.retry:
            raise
        reason = FeedReason.of(differs)
    brought = FeedFile(
        name=sheet.name,
        outcome=FeedOutcome.TAKEN if batch_id else FeedOutcome.WAITS,
        file_id=file.file_id,
        batch_id=batch_id,
        reason=reason,
        seen_at=now,
    )
    await store.note_feed_file(connection, actor.tenant, feed.feed_id, sheet.fingerprint, brought)
    return brought.outcome


async def _as_agreed(
    actor: Actor,
    connection: Connection,
    packs: Sequence[Pack],
    feed: SheetFeed,
    sheet: FeedSheet,
    *,
    now: Instant,
) -> tuple[Headings, KeptMapping]:
    """Where the headings of a sheet stand, if it is as agreed on; raises what a person has to look at."""
    if sheet.look.confidence is Confidence.UNSURE:
        raise SheetLettersUncertain
    headings = find_headings(sheet.rows[:LOOKED_AT])
    if headings is None:
        raise SheetWithoutHeadings
    agreed = await store.mappings(connection, actor.tenant, mapping_id=feed.mapping_id)
    if not agreed or agreed[0].heading_key != headings.key:
        raise SheetHeadingsChanged
    kept = agreed[0]
    entity_type = type_named(packs, kept.mapping.entity_type)
    if faults_of(kept.mapping, entity_type):
        raise SheetMappingIncomplete
    things = await things_named(actor, connection, entity_type)
    seen = await preview(actor, sheet.rows, headings, kept.mapping, entity_type, things, now=now)
    if not seen.enter:
        raise SheetHoldsNothing
    cells = seen.values + seen.cells_refused
    if 100 * seen.cells_refused > feed.most_refused_percent * cells:
        raise SheetMostlyRefused(
            percent=-(-100 * seen.cells_refused // cells), most=feed.most_refused_percent
        )
    return headings, kept


async def refuse_file(  # noqa: PLR0917 - which file of which feed, and why
    actor: Actor,
    connection: Connection,
    feed: SheetFeed,
    fingerprint: str,
    name: str,
    wrong: HaidangError,
    *,
    now: Instant,
) -> None:
    """Note a file that cannot be read at all, and why; it is tried again when it has changed."""
    _require_machine(actor)
    refused = FeedFile(
        name=name,
        outcome=FeedOutcome.REFUSED,
        file_id=None,
        batch_id=None,
        reason=FeedReason.of(wrong),
        seen_at=now,
    )
    await store.note_feed_file(connection, actor.tenant, feed.feed_id, fingerprint, refused)


async def note_look(
    actor: Actor,
    connection: Connection,
    feed: SheetFeed,
    *,
    brought: bool,
    etag: str | None,
    last_modified: str | None,
    trouble: HaidangError | None,
    now: Instant,
) -> None:
    """A feed was looked at: when next, whether it brought something, or why it could not be read."""
    _require_machine(actor)
    await store.note_look(
        connection,
        actor.tenant,
        feed,
        brought=brought,
        etag=etag,
        last_modified=last_modified,
        trouble=None if trouble is None else FeedReason.of(trouble),
        now=now,
    )


def _require_officer(actor: Actor) -> None:
    if not actor.belongs_to(Audience.OFFICER):
        raise SheetsAreForOfficers


def _require_machine(actor: Actor) -> None:
    if not actor.belongs_to(Audience.MACHINE):
        raise IntakeIsForMachines
