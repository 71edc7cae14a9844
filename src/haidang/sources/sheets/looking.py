"""The work of looking at feeds: each minute those that are due, each file in a transaction of its own."""

import asyncio
import tempfile
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from hashlib import sha256
from os import fsencode
from pathlib import Path
from urllib.parse import unquote, urlsplit

from haidang.infra.database import Pool, reading, transaction
from haidang.infra.drop_folders import DroppedFile, copy_dropped, list_dropped
from haidang.infra.http import GuardedHttp, HttpLimits
from haidang.infra.intake import (
    FileInfected,
    ScannerUnavailable,
    Verdict,
    content_id,
    open_scanner,
    safe_name,
)
from haidang.infra.jobs import Job, JobRun
from haidang.infra.objects import ObjectFiles
from haidang.infra.tables import TableChoice, look_into, read_rows
from haidang.kernel.actors import Actor, Audience, part
from haidang.kernel.errors import HaidangError, Invalid
from haidang.kernel.instants import Clock
from haidang.sdk.model import Pack
from haidang.sources.sheets.errors import SheetAddressRefused, SheetFeedUnknown, SheetFoldersNotSet
from haidang.sources.sheets.feeds import (
    FEED_JOB,
    FEEDS_JOB,
    FeedJob,
    FeedRules,
    FeedSheet,
    ask_for_due,
    bring_sheet,
    check_place,
    not_brought_yet,
    note_look,
    refuse_file,
    sheet_feed,
)
from haidang.sources.sheets.model import FeedOutcome, SheetFeed
from haidang.sources.sheets.service import PREVIEWED_ROWS

MOST_FILES = 100
"""Of a folder at one look; the others come at the next."""

SETTLED_AFTER = timedelta(seconds=5)
"""A file that changed less than this ago may still be being written."""

_LARGEST_ANSWER_BYTES = 32 * 1024 * 1024
"""An answer of the web is held in memory whole."""


@dataclass(frozen=True, slots=True)
class _Looked:
    """What one look came to."""

    brought: bool
    etag: str | None = None
    last_modified: str | None = None


def feed_jobs(
    packs: Sequence[Pack], clock: Clock, objects: Callable[[], ObjectFiles], rules: FeedRules
) -> list[Job]:
    """The job of each minute that finds the feeds whose time has come, and the one that looks at a feed."""

    async def find_due(pool: Pool, run: JobRun) -> None:
        async with transaction(pool) as connection:
            await ask_for_due(part("sources", run.tenant), connection, now=clock.now())

    async def look(pool: Pool, run: JobRun) -> None:
        actor = part("sources", run.tenant)
        try:
            async with reading(pool) as connection:
                feed = await sheet_feed(actor, connection, run.read(FeedJob).feed_id)
        except SheetFeedUnknown:
            return
        looked, trouble = _Looked(brought=False, etag=feed.etag, last_modified=feed.last_modified), None
        try:
            check_place(rules, feed.place)
            looker = _Looker(pool, clock, packs, objects(), rules, actor, feed)
            looked = await (looker.look_at_address() if feed.is_address else looker.look_at_folder())
        except HaidangError as wrong:
            trouble = wrong
        async with transaction(pool) as connection:
            await note_look(
                actor,
                connection,
                feed,
                brought=looked.brought,
                etag=looked.etag,
                last_modified=looked.last_modified,
                trouble=trouble,
                now=clock.now(),
            )

    return [
        Job(name=FEEDS_JOB, handle=find_due, audience=Audience.MACHINE, every="* * * * *"),
        Job(name=FEED_JOB, handle=look, audience=Audience.OFFICER),
    ]


@dataclass(frozen=True, slots=True)
class _Looker:
    """One look at one feed."""

    pool: Pool
    clock: Clock
    packs: Sequence[Pack]
    objects: ObjectFiles
    rules: FeedRules
    actor: Actor
    feed: SheetFeed

    async def look_at_folder(self) -> _Looked:
        """Bring the files of the folder that are new or have changed."""
        root = self.rules.folder
        if root is None:
            raise SheetFoldersNotSet
        latest_ns = int((self.clock.now() - SETTLED_AFTER).timestamp() * 1e9)
        listed = await asyncio.to_thread(list_dropped, root, self.feed.place)
        files = {_fingerprint(one): one for one in listed if one.changed_ns <= latest_ns}
        async with reading(self.pool) as connection:
            new = await not_brought_yet(self.actor, connection, self.feed, list(files))
        brought = False
        for fingerprint in [one for one in files if one in new][:MOST_FILES]:
            name = files[fingerprint].name
            async with self._place() as path:
                try:
                    size = await asyncio.to_thread(
                        copy_dropped,
                        root,
                        self.feed.place,
                        name,
                        path,
                        limit_bytes=self.rules.limit_bytes,
                    )
                except Invalid as wrong:
                    await self._refuse(fingerprint, name, wrong)
                    continue
                brought |= await self._bring(fingerprint, name, path, size)
        return _Looked(brought)

    async def look_at_address(self) -> _Looked:
        """Ask for the sheet at the address, if it has changed, and bring it."""
        asked = {"if-none-match": self.feed.etag, "if-modified-since": self.feed.last_modified}
        limit = min(self.rules.limit_bytes, _LARGEST_ANSWER_BYTES)
        limits = HttpLimits(answer_bytes=limit, patience_s=60)
        async with GuardedHttp(limits, guard=self.rules.guard, clock=self.clock) as http:
            answer = await http.get(
                self.feed.place, headers={name: value for name, value in asked.items() if value}
            )
        if answer.status == 304:
            return _Looked(False, self.feed.etag, self.feed.last_modified)
        if answer.status != 200:
            raise SheetAddressRefused(status=answer.status)
        looked = _Looked(
            False, _header(answer.headers.get("etag")), _header(answer.headers.get("last-modified"))
        )
        fingerprint = content_id(answer.body)
        async with reading(self.pool) as connection:
            new = await not_brought_yet(self.actor, connection, self.feed, [fingerprint])
        if not new:
            return looked
        name = unquote(urlsplit(answer.url).path.rpartition("/")[2]) or self.feed.name
        async with self._place() as path:
            await asyncio.to_thread(path.write_bytes, answer.body)
            return replace(looked, brought=await self._bring(fingerprint, name, path, len(answer.body)))

    async def _bring(self, fingerprint: str, name: str, path: Path, size_bytes: int) -> bool:
        """Whether a file was something new that could be read."""
        try:
            await self._scan(path, name)
            look = await look_into(path)
            first = next((place for place, one in enumerate(look.sheets) if not one.hidden), 0)
            choice = TableChoice(first, look.letters, look.encoding, look.separator)
            rows = [row async for some in read_rows(path, choice, most_rows=PREVIEWED_ROWS) for row in some]
        except Invalid as wrong:
            await self._refuse(fingerprint, name, wrong)
            return False
        sheet = FeedSheet(fingerprint, safe_name(name), path, size_bytes, look, choice, rows)
        async with transaction(self.pool) as connection:
            outcome = await bring_sheet(
                self.actor, connection, self.objects, self.packs, self.feed, sheet, now=self.clock.now()
            )
        return outcome is not FeedOutcome.KNOWN

    async def _scan(self, path: Path, name: str) -> None:
        """Have the file looked at for malware, where a scanner is set."""
        if not self.rules.scan_command:
            return
        try:
            content = await asyncio.to_thread(path.read_bytes)
            scan = await open_scanner(self.rules.scan_command).scan(content)
        except (OSError, TimeoutError) as trouble:
            raise ScannerUnavailable(name=safe_name(name)) from trouble
        if scan.verdict is Verdict.INFECTED:
            raise FileInfected(name=safe_name(name), signature=scan.signature)

    async def _refuse(self, fingerprint: str, name: str, wrong: Invalid) -> None:
        async with transaction(self.pool) as connection:
            await refuse_file(
                self.actor,
                connection,
                self.feed,
                fingerprint,
                safe_name(name),
                wrong,
                now=self.clock.now(),
            )

    @asynccontextmanager
    async def _place(self) -> AsyncIterator[Path]:
        """Where a file is copied to while it is looked at."""
        with tempfile.TemporaryDirectory(prefix="haidang-feed-") as folder:
            yield Path(folder) / "sheet"


def _fingerprint(file: DroppedFile) -> str:
    """What tells a file of a folder from what it was before, without reading it."""
    told = b"\n".join((fsencode(file.name), str(file.size_bytes).encode(), str(file.changed_ns).encode()))
    return sha256(told).hexdigest()


def _header(value: str | None) -> str | None:
    """A header to be sent back as it came, if it is of a sensible length."""
    return value if value and len(value) <= 300 else None
