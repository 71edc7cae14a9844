"""Sheets that come by themselves: from a folder, from an address, as agreed on or waiting for a person."""

import os
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import msgspec
import pytest
from aiohttp import web

from haidang.infra.database import Pool, reading, transaction
from haidang.infra.drop_folders import (
    DropFolderUnusable,
    DroppedFileUnusable,
    copy_dropped,
    list_dropped,
)
from haidang.infra.http import AddressGuard, AddressNotPublic
from haidang.infra.intake import FileTooLarge
from haidang.infra.jobs import JobRun
from haidang.infra.objects import ObjectFiles, open_objects
from haidang.infra.tables import TableChoice, look_into, read_rows
from haidang.kernel.actors import DEFAULT_TENANT, Actor, Audience, part
from haidang.kernel.errors import HaidangError
from haidang.kernel.instants import SetClock
from haidang.packs.environment.pack import PACK
from haidang.sources.errors import IntakeIsForMachines
from haidang.sources.sheets import service, store
from haidang.sources.sheets.errors import (
    SheetAddressRefused,
    SheetBroughtBefore,
    SheetFeedNameless,
    SheetFeedPlaceUnusable,
    SheetFeedRhythmUnusable,
    SheetFeedUnknown,
    SheetFoldersNotSet,
    SheetHeadingsChanged,
    SheetHoldsNothing,
    SheetMappingUnknown,
    SheetMostlyRefused,
    SheetsAreForOfficers,
)
from haidang.sources.sheets.feeds import (
    FEED_JOB,
    FEEDS_JOB,
    FeedJob,
    FeedRules,
    add_feed,
    ask_for_due,
    feed_files,
    list_feeds,
    look_now,
    pause_feed,
    sheet_feed,
)
from haidang.sources.sheets.jobs import sheet_jobs
from haidang.sources.sheets.looking import feed_jobs
from haidang.sources.sheets.mapping import find_headings, suggest
from haidang.sources.sheets.model import BatchState, FeedFile, FeedOutcome, SheetFeed

OFFICER = Actor("urn:haidang:actor:desk", frozenset({Audience.PUBLIC, Audience.OFFICER}))
AIR = service.type_named([PACK], "AirQualityObserved")
WORDS = {"temperature": ["Nhiệt độ"], "name": ["Tên trạm"], "pm25": ["PM2.5"]}
SHEET = """\
Mã trạm;Tên trạm;Thời điểm;PM2.5 (µg/m³);Nhiệt độ (°C)
LH-01;Trạm một;21/11/2026 08:00;12,5;20
LH-02;Trạm hai;21/11/2026 09:00;13,5;22
"""
NOBODYS = UUID(int=0)
LATER = SHEET.replace("21/11/2026 0", "21/11/2026 1")


@dataclass
class Desk:
    """Where a feed is looked at: a folder for sheets, and a mapping that somebody agreed on."""

    pool: Pool
    objects: ObjectFiles
    rules: FeedRules
    folder: Path
    clock: SetClock
    mapping_id: UUID = NOBODYS

    async def add(
        self, place: str = "air", *, rules: FeedRules | None = None, name: str = "Trạm  một",
        every: int = 60, most: int = 10, mapping_id: UUID | None = None,
    ) -> UUID:  # fmt: skip
        """A feed that an officer added."""
        async with transaction(self.pool) as connection:
            return await add_feed(
                OFFICER, connection, rules or self.rules, name=name, place=place,
                mapping_id=mapping_id or self.mapping_id, every_minutes=every, most_refused_percent=most,
                by="unverified:Lan", now=self.clock.now(),
            )  # fmt: skip

    async def run(self, name: str, payload: msgspec.Struct | None, rules: FeedRules | None = None) -> None:
        """What a worker does."""
        jobs = (
            *feed_jobs([PACK], self.clock, lambda: self.objects, rules or self.rules),
            *sheet_jobs([PACK], self.clock, lambda: self.objects),
        )
        (job,) = (one for one in jobs if one.name == name)
        sent = b"{}" if payload is None else msgspec.json.encode(payload)
        await job.handle(self.pool, JobRun(1, name, sent, 1, "urn:x", DEFAULT_TENANT, self.clock.now()))

    async def look(self, feed_id: UUID, rules: FeedRules | None = None) -> None:
        """A look, a minute after the last one."""
        self.clock.advance(timedelta(minutes=1))
        await self.run(FEED_JOB, FeedJob(feed_id), rules)

    async def feed(self, feed_id: UUID) -> SheetFeed:
        """The feed as it is now."""
        async with reading(self.pool) as connection:
            return await sheet_feed(OFFICER, connection, feed_id)

    async def files(self, feed_id: UUID) -> list[FeedFile]:
        """What it brought, newest first."""
        async with reading(self.pool) as connection:
            return await feed_files(OFFICER, connection, feed_id, most=50)

    def put(self, name: str, text: str, *, ago_s: int = 60) -> None:
        """A file in the folder, written so long ago."""
        path = self.folder / "air" / name
        path.write_text(text)
        at = self.clock.now().timestamp() - ago_s
        os.utime(path, (at, at))


@pytest.fixture
async def desk(pool: Pool, tmp_path: Path, clock: SetClock) -> Desk:
    clock.advance(datetime(2026, 11, 22, 5, tzinfo=UTC) - clock.now())
    folder = tmp_path / "sheets"
    (folder / "air").mkdir(parents=True)
    rules = FeedRules(folder, 20_000, guard=AddressGuard.allowing("127.0.0.1/32"), schemes=("https", "http"))
    desk = Desk(pool, open_objects((tmp_path / "objects").as_uri(), {}), rules, folder, clock)
    desk.mapping_id = await agreed(desk, tmp_path / "first.csv")
    return desk


async def agreed(desk: Desk, path: Path) -> UUID:
    """A sheet that somebody sent by hand and took: what its columns are is agreed on from then."""
    path.write_text(SHEET.replace("21/11/2026", "20/11/2026"))  # noqa: ASYNC240 - a few bytes
    looked = await look_into(path)
    choice = TableChoice(0, looked.letters, looked.encoding, looked.separator)
    rows = [row async for some in read_rows(path, choice, most_rows=400) for row in some]
    headings = find_headings(rows)
    assert headings is not None
    mapping = msgspec.structs.replace(suggest(headings, rows, AIR, WORDS).mapping, create=True)
    now = desk.clock.now()
    async with transaction(desk.pool) as connection:
        file = await service.keep_sheet(
            OFFICER, connection, desk.objects, path, name="first.csv", size_bytes=9, look=looked,
            by="unverified:Lan", now=now,
        )  # fmt: skip
        asked = service.Asked(file, choice, headings, mapping, "Không khí")
        await service.ask_to_take(OFFICER, connection, [PACK], asked, by="unverified:Lan", now=now)
        known = await service.mapping_known(OFFICER, connection, headings)
    assert known is not None
    return known.mapping_id


def why(file: FeedFile) -> str:
    assert file.reason is not None
    return file.reason.message


def _named(files: list[FeedFile]) -> dict[str, FeedFile]:
    return {one.name: one for one in files}


async def test_a_new_sheet_in_a_folder_becomes_a_batch(desk: Desk) -> None:
    feed_id = await desk.add("air")
    desk.put("một.csv", SHEET)
    (desk.folder / "air" / ".hidden.csv").write_text(LATER)
    await desk.look(feed_id)
    (file,) = _named(await desk.files(feed_id)).values()
    assert (file.name, file.outcome, file.reason) == ("một.csv", FeedOutcome.TAKEN, None)
    assert file.batch_id is not None
    await desk.run(service.TAKE_JOB, service.BatchJob(file.batch_id))
    async with reading(desk.pool) as connection:
        batch = await service.sheet_batch(OFFICER, connection, file.batch_id)
    assert (batch.state, batch.rows_taken, batch.asked_by) == (BatchState.TAKEN, 2, "feed:Trạm một")
    feed = await desk.feed(feed_id)
    assert (feed.brought_at, feed.trouble) == (desk.clock.now(), None)
    assert feed.next_look_at == desk.clock.now() + timedelta(hours=1)


async def test_what_was_brought_is_not_brought_again(desk: Desk) -> None:
    feed_id = await desk.add("air")
    desk.put("a.csv", SHEET)
    await desk.look(feed_id)
    first = await desk.feed(feed_id)
    await desk.look(feed_id)
    assert len(_named(await desk.files(feed_id))) == 1
    desk.put("copy.csv", SHEET)
    await desk.look(feed_id)
    copy = _named(await desk.files(feed_id))["copy.csv"]
    assert (copy.outcome, why(copy)) == (FeedOutcome.KNOWN, SheetBroughtBefore.message_id())
    later = await desk.feed(feed_id)
    assert later.brought_at == first.brought_at
    assert not later.late(later.brought_at + timedelta(hours=3) if later.brought_at else desk.clock.now())
    assert later.late(desk.clock.now() + timedelta(hours=4))
    desk.put("a.csv", LATER)
    await desk.look(feed_id)
    assert [one.outcome for one in await desk.files(feed_id)] == [
        FeedOutcome.TAKEN,
        FeedOutcome.KNOWN,
        FeedOutcome.TAKEN,
    ]


async def test_a_file_that_is_being_written_is_left_to_the_next_look(desk: Desk) -> None:
    feed_id = await desk.add("air")
    desk.put("a.csv", SHEET, ago_s=-59)
    await desk.look(feed_id)
    assert _named(await desk.files(feed_id)) == {}
    await desk.look(feed_id)
    assert len(_named(await desk.files(feed_id))) == 1


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (SHEET.replace("Nhiệt độ (°C)", "Độ ẩm (%)"), SheetHeadingsChanged),
        (SHEET.replace("13,5", "không rõ"), SheetMostlyRefused),
        (SHEET.partition("LH-01")[0] + "LH-01;Trạm một;hôm qua;1;2\n", SheetHoldsNothing),
    ],
)
async def test_what_is_not_as_agreed_on_waits_for_a_person(
    desk: Desk, text: str, reason: type[HaidangError]
) -> None:
    feed_id = await desk.add("air")
    desk.put("a.csv", text)
    await desk.look(feed_id)
    file = _named(await desk.files(feed_id))["a.csv"]
    assert (file.outcome, file.batch_id, why(file)) == (FeedOutcome.WAITS, None, reason.message_id())
    assert file.file_id is not None
    async with reading(desk.pool) as connection:
        assert (await service.sheet_file(OFFICER, connection, file.file_id)).name == "a.csv"


async def test_files_that_cannot_be_read_are_named_and_stop_no_other(desk: Desk, tmp_path: Path) -> None:
    feed_id = await desk.add("air")
    desk.put("large.csv", SHEET + "x" * 20_000)
    desk.put("page.csv", "<html><body>404</body></html>")
    desk.put("good.csv", SHEET)
    outside = tmp_path / "outside.csv"
    outside.write_text(LATER)
    (desk.folder / "air" / "link.csv").symlink_to(outside)
    os.mkfifo(desk.folder / "air" / "pipe.csv")
    await desk.look(feed_id)
    files = _named(await desk.files(feed_id))
    assert {name: file.outcome for name, file in files.items()} == {
        "large.csv": FeedOutcome.REFUSED,
        "page.csv": FeedOutcome.REFUSED,
        "good.csv": FeedOutcome.TAKEN,
    }
    assert why(files["large.csv"]) == FileTooLarge.message_id()
    await desk.look(feed_id)
    assert len(_named(await desk.files(feed_id))) == 3


@pytest.mark.parametrize("place", ["..", "air/../..", "/etc", "air//x", "./air", "", "a\\b", "a\nb"])
async def test_a_path_that_leads_elsewhere_is_refused(desk: Desk, place: str) -> None:
    with pytest.raises(SheetFeedPlaceUnusable):
        await desk.add(place)
    with pytest.raises(DropFolderUnusable):
        list_dropped(desk.folder, place)


async def test_links_are_never_followed(desk: Desk, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "secret.csv").write_text(SHEET)
    (desk.folder / "way").symlink_to(tmp_path / "elsewhere")
    (desk.folder / "file.csv").symlink_to(tmp_path / "elsewhere" / "secret.csv")
    assert list_dropped(desk.folder, ".") == []
    for place in ("way", "air/inner", "file.csv"):
        with pytest.raises(DropFolderUnusable):
            list_dropped(desk.folder, place)
    with pytest.raises(DroppedFileUnusable):
        copy_dropped(desk.folder, ".", "file.csv", tmp_path / "copy", limit_bytes=1000)
    with pytest.raises(DropFolderUnusable):
        list_dropped(desk.folder / "none", ".")


async def test_a_folder_that_is_gone_is_told(desk: Desk) -> None:
    feed_id = await desk.add("air")
    (desk.folder / "air").rmdir()
    await desk.look(feed_id)
    feed = await desk.feed(feed_id)
    assert feed.trouble is not None
    assert feed.trouble.message == DropFolderUnusable.message_id()
    assert feed.looked_at == desk.clock.now()
    (desk.folder / "air").mkdir()
    await desk.look(feed_id)
    assert (await desk.feed(feed_id)).trouble is None


class Site:
    """A server with one sheet, which knows when it has not changed."""

    def __init__(self) -> None:
        self.text = SHEET
        self.status = 200
        self.answered: list[int] = []
        self.base = ""

    async def answer(self, request: web.Request) -> web.Response:
        """The sheet, or that it is the same."""
        tag = f'"{hash(self.text)}"'
        status = 304 if request.headers.get("if-none-match") == tag else self.status
        self.answered.append(status)
        body = "" if status == 304 else self.text
        return web.Response(status=status, text=body, headers={"etag": tag})


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    one = Site()
    application = web.Application()
    application.router.add_get("/{tail:.*}", one.answer)
    runner = web.AppRunner(application, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    one.base = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield one
    await runner.cleanup()


async def test_a_sheet_at_an_address_is_taken_when_it_has_changed(desk: Desk, site: Site) -> None:
    feed_id = await desk.add(f"{site.base}/tr%E1%BA%A1m.csv")
    await desk.look(feed_id)
    await desk.look(feed_id)
    assert site.answered == [200, 304]
    (file,) = _named(await desk.files(feed_id)).values()
    assert (file.name, file.outcome) == ("trạm.csv", FeedOutcome.TAKEN)
    site.text = LATER
    await desk.look(feed_id)
    assert site.answered == [200, 304, 200]
    async with reading(desk.pool) as connection:
        assert len(await feed_files(OFFICER, connection, feed_id, most=50)) == 2


async def test_an_address_that_fails_or_sends_too_much_is_told(desk: Desk, site: Site) -> None:
    feed_id = await desk.add(site.base)
    site.status = 404
    await desk.look(feed_id)
    trouble = (await desk.feed(feed_id)).trouble
    assert trouble is not None
    assert (trouble.message, trouble.fields) == (SheetAddressRefused.message_id(), {"status": "404"})
    site.status, site.text = 200, SHEET + "x" * 20_000
    await desk.look(feed_id)
    trouble = (await desk.feed(feed_id)).trouble
    assert trouble is not None
    assert "larger than" in trouble.message
    assert _named(await desk.files(feed_id)) == {}


async def test_an_inner_address_is_refused_when_added_and_when_looked_at(desk: Desk, site: Site) -> None:
    strict = FeedRules(desk.folder)
    with pytest.raises(SheetFeedPlaceUnusable):
        await desk.add(site.base, rules=strict)
    with pytest.raises(AddressNotPublic):
        await desk.add("https://169.254.169.254/latest", rules=strict)
    feed_id = await desk.add(site.base)
    await desk.look(feed_id, FeedRules(desk.folder, schemes=("http",)))
    trouble = (await desk.feed(feed_id)).trouble
    assert trouble is not None
    assert trouble.message == AddressNotPublic.message_id()
    assert site.answered == []


async def test_feeds_are_looked_at_when_due_and_not_while_they_rest(desk: Desk) -> None:
    feed_id = await desk.add("air")

    async def due() -> int:
        async with transaction(desk.pool) as connection:
            return await ask_for_due(part("sources"), connection, now=desk.clock.now())

    assert await due() == 1
    await desk.look(feed_id)
    assert await due() == 0
    desk.clock.advance(timedelta(hours=1))
    assert await due() == 1
    async with transaction(desk.pool) as connection:
        await pause_feed(
            OFFICER, connection, feed_id, paused=True, by="unverified:Minh", now=desk.clock.now()
        )
    feed = await desk.feed(feed_id)
    assert (feed.paused, feed.changed_by, feed.late(desk.clock.now() + timedelta(days=9))) == (
        True,
        "unverified:Minh",
        False,
    )
    assert await due() == 0
    await desk.run(FEEDS_JOB, None)
    async with reading(desk.pool) as connection:
        waiting = await connection.fetchval(
            "SELECT count(*) FROM infra.pgqueuer WHERE entrypoint = $1", FEED_JOB
        )
    assert waiting == 1


async def test_a_feed_that_says_too_little_is_refused(desk: Desk) -> None:
    with pytest.raises(SheetFeedNameless):
        await desk.add(name=" x ")
    for every, most in ((0, 5), (44_641, 5), (5, 101)):
        with pytest.raises(SheetFeedRhythmUnusable):
            await desk.add(every=every, most=most)
    with pytest.raises(SheetMappingUnknown):
        await desk.add(mapping_id=UUID(int=1))
    with pytest.raises(SheetFoldersNotSet):
        await desk.add(rules=FeedRules())
    async with reading(desk.pool) as connection:
        assert await list_feeds(OFFICER, connection) == []


async def test_feeds_are_for_officers_and_their_work_for_machines(desk: Desk) -> None:
    anybody = Actor("urn:haidang:actor:anybody", frozenset({Audience.PUBLIC}))
    await desk.look(UUID(int=1))
    async with transaction(desk.pool) as connection:
        with pytest.raises(SheetsAreForOfficers):
            await list_feeds(anybody, connection)
        with pytest.raises(IntakeIsForMachines):
            await ask_for_due(OFFICER, connection, now=desk.clock.now())
        with pytest.raises(SheetFeedUnknown):
            await look_now(OFFICER, connection, UUID(int=1))
        with pytest.raises(SheetFeedUnknown):
            await pause_feed(OFFICER, connection, UUID(int=1), paused=True, by="x", now=desk.clock.now())
        assert await store.feeds(connection, DEFAULT_TENANT) == []
