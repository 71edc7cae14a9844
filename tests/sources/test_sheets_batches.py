"""A sheet goes all the way: read, understood, previewed, taken as one batch, and taken back."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import msgspec
import pytest

from haidang.context.model import AttributeInstance, MergeObservations
from haidang.context.service import latest_entities, one_entity
from haidang.context.writer import apply_commands
from haidang.infra.database import Pool, reading, transaction
from haidang.infra.jobs import JobRun
from haidang.infra.objects import ObjectFiles, open_objects
from haidang.infra.tables import TableChoice, TableRow, look_into, read_rows
from haidang.kernel.actors import DEFAULT_TENANT, Actor, Audience, part
from haidang.kernel.instants import SetClock
from haidang.packs.environment.pack import PACK
from haidang.sdk.model import EntityView
from haidang.sources.errors import IntakeIsForMachines
from haidang.sources.sheets.errors import (
    SheetBatchNotTaken,
    SheetBatchUnknown,
    SheetMappingIncomplete,
    SheetsAreForOfficers,
    SheetTakenAlready,
)
from haidang.sources.sheets.jobs import sheet_jobs
from haidang.sources.sheets.judging import RowJudge
from haidang.sources.sheets.mapping import SheetMapping, find_headings, suggest
from haidang.sources.sheets.model import BatchState, SheetBatch
from haidang.sources.sheets.service import (
    TAKE_JOB,
    TROUBLE_MESSAGES,
    UNDO_JOB,
    Asked,
    BatchJob,
    ask_to_take,
    ask_to_undo,
    batch_refusals,
    begin_batch,
    keep_sheet,
    list_batches,
    mapping_known,
    preview,
    sheet_batch,
    take_rows,
    things_named,
    type_named,
)

OFFICER = Actor("urn:haidang:actor:desk", frozenset({Audience.PUBLIC, Audience.OFFICER}))
NOW = datetime(2026, 11, 21, 5, tzinfo=UTC)
AIR = type_named([PACK], "AirQualityObserved")
STATION = "urn:ngsi-ld:AirQualityObserved:LH-01"
SHEET = """\
Mã trạm;Tên trạm;Thời điểm;PM2.5 (µg/m³);Nhiệt độ (°C)
LH-01;Trạm một;21/11/2026 08:00;12,5;20
LH-01;Trạm một;21/11/2026 09:00;13,5;21
LH-02;Trạm hai;21/11/2026 08:00;không rõ;22
LH-02;Trạm hai;21/11/2026 09:00;5000;23,5
"""
WORDS = {"temperature": ["Nhiệt độ"], "name": ["Tên trạm"], "pm25": ["PM2.5"]}

Run = Callable[[str, UUID], Awaitable[None]]


@pytest.fixture
def objects(tmp_path: Path) -> ObjectFiles:
    return open_objects((tmp_path / "objects").as_uri(), {})


@pytest.fixture
def run(pool: Pool, objects: ObjectFiles, clock: SetClock) -> Run:
    jobs = {one.name: one for one in sheet_jobs([PACK], clock, lambda: objects)}

    async def now(name: str, batch_id: UUID) -> None:
        clock.advance(timedelta(minutes=1))
        payload = msgspec.json.encode(BatchJob(batch_id))
        await jobs[name].handle(
            pool, JobRun(1, name, payload, 1, OFFICER.actor_id, DEFAULT_TENANT, clock.now())
        )

    return now


async def first_rows(path: Path, choice: TableChoice) -> list[TableRow]:
    return [row async for rows in read_rows(path, choice, most_rows=400) for row in rows]


async def sent(
    pool: Pool, objects: ObjectFiles, tmp_path: Path, text: str = SHEET, *, create: bool = True
) -> Asked:
    path = tmp_path / "sheet.csv"
    path.write_text(text)
    look = await look_into(path)
    choice = TableChoice(0, look.letters, look.encoding, look.separator)
    rows = await first_rows(path, choice)
    headings = find_headings(rows)
    assert headings is not None
    mapping = msgspec.structs.replace(suggest(headings, rows, AIR, WORDS).mapping, create=create)
    async with transaction(pool) as connection:
        file = await keep_sheet(
            OFFICER, connection, objects, path, name="trạm.csv", size_bytes=len(text.encode()), look=look,
            by="unverified:Lan", now=NOW,
        )  # fmt: skip
    return Asked(file, choice, headings, mapping, "Không khí")


async def asked_for(pool: Pool, asked: Asked, *, again: bool = False) -> UUID:
    async with transaction(pool) as connection:
        return await ask_to_take(
            OFFICER, connection, [PACK], asked, by="unverified:Lan", now=NOW, again=again
        )


async def station(pool: Pool, entity_id: str = STATION) -> EntityView | None:
    async with reading(pool) as connection:
        return await one_entity(OFFICER, connection, AIR, entity_id)


async def batch_of(pool: Pool, batch_id: UUID) -> SheetBatch:
    async with reading(pool) as connection:
        return await sheet_batch(OFFICER, connection, batch_id)


async def test_a_sheet_is_previewed_before_anything_is_written(
    pool: Pool, objects: ObjectFiles, tmp_path: Path
) -> None:
    asked = await sent(pool, objects, tmp_path)
    async with reading(pool) as connection:
        things = await things_named(OFFICER, connection, AIR)
    rows = await first_rows(tmp_path / "sheet.csv", asked.choice)
    seen = await preview(OFFICER, rows, asked.headings, asked.mapping, AIR, things, now=NOW)
    assert (seen.rows, seen.enter, seen.cells_refused, seen.things, seen.whole) == (4, 4, 2, 2, True)
    assert [(one.row, one.column, one.reason) for one in seen.refusals] == [
        (4, "PM2.5 (µg/m³)", "not-a-number"),
        (5, "PM2.5 (µg/m³)", "out-of-range"),
    ]
    assert seen.new_things == (STATION, STATION.replace("01", "02"))
    assert await station(pool) is None


async def test_a_sheet_is_taken_as_one_batch_and_taken_back_whole(
    pool: Pool, objects: ObjectFiles, tmp_path: Path, run: Run
) -> None:
    batch_id = await asked_for(pool, await sent(pool, objects, tmp_path))
    await run(TAKE_JOB, batch_id)
    taken = await batch_of(pool, batch_id)
    assert (taken.state, taken.rows_taken, taken.cells_refused) == (BatchState.TAKEN, 4, 2)
    view = await station(pool)
    assert view is not None
    assert (view.values["pm25"], view.values["temperature"], view.values["name"]) == (13.5, 21, "Trạm một")
    async with reading(pool) as connection:
        refused = await batch_refusals(OFFICER, connection, batch_id)
    assert [one.row for one in refused] == [4, 5]
    async with transaction(pool) as connection:
        await ask_to_undo(OFFICER, connection, batch_id, by="unverified:Minh", now=NOW)
    await run(UNDO_JOB, batch_id)
    undone = await batch_of(pool, batch_id)
    assert (undone.state, undone.undo_asked_by) == (BatchState.UNDONE, "unverified:Minh")
    assert undone.values_withdrawn > 0
    async with reading(pool) as connection:
        assert await latest_entities(OFFICER, connection, AIR, 10) == []


async def test_what_stood_before_the_batch_stands_again(
    pool: Pool, objects: ObjectFiles, tmp_path: Path, run: Run
) -> None:
    pm25, name = AIR.attribute("pm25"), AIR.attribute("name")
    assert pm25 is not None
    assert name is not None
    before = MergeObservations(
        entity_id=STATION,
        type_iri=AIR.iri,
        attributes=(
            AttributeInstance(pm25.iri, 9.0, unit="GQ", observed_at=datetime(2026, 11, 21, 0, tzinfo=UTC)),
            AttributeInstance(name.iri, "Trạm Liên Hiệp"),
        ),
    )
    async with transaction(pool) as connection:
        await apply_commands(connection, part("tests"), [before], now=NOW - timedelta(hours=1))
    batch_id = await asked_for(pool, await sent(pool, objects, tmp_path))
    await run(TAKE_JOB, batch_id)
    async with transaction(pool) as connection:
        await ask_to_undo(OFFICER, connection, batch_id, by="unverified:Minh", now=NOW)
    await run(UNDO_JOB, batch_id)
    view = await station(pool)
    assert view is not None
    assert (view.values["pm25"], view.values["name"]) == (9.0, "Trạm Liên Hiệp")
    assert "temperature" not in view.values


async def test_the_same_file_twice_is_told(pool: Pool, objects: ObjectFiles, tmp_path: Path) -> None:
    first = await asked_for(pool, await sent(pool, objects, tmp_path))
    again = await sent(pool, objects, tmp_path)
    with pytest.raises(SheetTakenAlready) as told:
        await asked_for(pool, again)
    assert told.value.fields["batch_id"] == first
    assert await asked_for(pool, again, again=True) != first


async def test_a_mapping_is_agreed_on_once(pool: Pool, objects: ObjectFiles, tmp_path: Path) -> None:
    asked = await sent(pool, objects, tmp_path)
    await asked_for(pool, asked)
    later = await sent(pool, objects, tmp_path, SHEET.replace("12,5", "12,7"))
    async with reading(pool) as connection:
        known = await mapping_known(OFFICER, connection, later.headings)
    assert known is not None
    assert (known.version, known.mapping, known.name) == (1, asked.mapping, "Không khí")
    await asked_for(pool, changed(later, create=False))
    async with reading(pool) as connection:
        known = await mapping_known(OFFICER, connection, later.headings)
    assert known is not None
    assert known.version == 2


def changed(asked: Asked, **changes: bool) -> Asked:
    mapping: SheetMapping = msgspec.structs.replace(asked.mapping, **changes)
    return Asked(asked.file, asked.choice, asked.headings, mapping, asked.name)


async def test_things_that_are_not_there_are_refused_unless_they_may_be_made(
    pool: Pool, objects: ObjectFiles, tmp_path: Path, run: Run
) -> None:
    batch_id = await asked_for(pool, await sent(pool, objects, tmp_path, create=False))
    await run(TAKE_JOB, batch_id)
    taken = await batch_of(pool, batch_id)
    assert (taken.state, taken.rows_taken, taken.rows_refused) == (BatchState.TAKEN, 0, 4)


async def test_a_worker_that_died_goes_on_where_it_was(
    pool: Pool, objects: ObjectFiles, tmp_path: Path, run: Run
) -> None:
    asked = await sent(pool, objects, tmp_path)
    batch_id = await asked_for(pool, asked)
    judge = RowJudge(asked.mapping, AIR, {}, now=NOW)
    rows = [row for row in await first_rows(tmp_path / "sheet.csv", asked.choice) if row.number in {2, 3}]
    async with transaction(pool) as connection:
        batch = await begin_batch(part("sources"), connection, batch_id)
        assert batch is not None
        judged = [judge.judge(row) for row in rows]
        assert await take_rows(part("sources"), connection, batch, AIR, judged, last_row=3, now=NOW)
    assert (await batch_of(pool, batch_id)).rows_taken == 2
    await run(TAKE_JOB, batch_id)
    taken = await batch_of(pool, batch_id)
    assert (taken.state, taken.rows_read, taken.rows_taken) == (BatchState.TAKEN, 5, 4)


async def test_a_batch_can_be_taken_back_while_it_is_taken(
    pool: Pool, objects: ObjectFiles, tmp_path: Path, run: Run
) -> None:
    asked = await sent(pool, objects, tmp_path)
    batch_id = await asked_for(pool, asked)
    async with transaction(pool) as connection:
        batch = await begin_batch(part("sources"), connection, batch_id)
    assert batch is not None
    async with transaction(pool) as connection:
        await ask_to_undo(OFFICER, connection, batch_id, by="unverified:Minh", now=NOW)
    async with transaction(pool) as connection:
        assert not await take_rows(part("sources"), connection, batch, AIR, [], last_row=9, now=NOW)
    await run(TAKE_JOB, batch_id)
    await run(UNDO_JOB, batch_id)
    assert (await batch_of(pool, batch_id)).state is BatchState.UNDONE
    async with transaction(pool) as connection:
        with pytest.raises(SheetBatchNotTaken):
            await ask_to_undo(OFFICER, connection, batch_id, by="unverified:Minh", now=NOW)


async def test_a_batch_that_was_given_up_says_so_and_goes_on_when_its_job_is_replayed(
    pool: Pool, objects: ObjectFiles, tmp_path: Path, clock: SetClock, run: Run
) -> None:
    batch_id = await asked_for(pool, await sent(pool, objects, tmp_path))
    async with transaction(pool) as connection:
        assert await begin_batch(part("sources"), connection, batch_id) is not None
    (job,) = (one for one in sheet_jobs([PACK], clock, lambda: objects) if one.name == TAKE_JOB)
    assert job.given_up is not None
    payload = msgspec.json.encode(BatchJob(batch_id))
    await job.given_up(pool, JobRun(1, TAKE_JOB, payload, 10, OFFICER.actor_id, DEFAULT_TENANT, clock.now()))
    left = await batch_of(pool, batch_id)
    assert (left.state, left.trouble) == (BatchState.FAILED, TROUBLE_MESSAGES["given-up"])
    await run(TAKE_JOB, batch_id)
    taken = await batch_of(pool, batch_id)
    assert (taken.state, taken.trouble, taken.rows_taken) == (BatchState.TAKEN, None, 4)


async def test_an_unclear_sheet_is_not_taken(pool: Pool, objects: ObjectFiles, tmp_path: Path) -> None:
    asked = await sent(pool, objects, tmp_path, "Mã trạm;Ghi chú\nA;b\nB;c\n")
    with pytest.raises(SheetMappingIncomplete):
        await asked_for(pool, asked)


async def test_sheets_are_for_officers_and_their_work_for_machines(pool: Pool) -> None:
    anybody = Actor("urn:haidang:actor:anybody", frozenset({Audience.PUBLIC}))
    async with transaction(pool) as connection:
        with pytest.raises(SheetsAreForOfficers):
            await list_batches(anybody, connection)
        with pytest.raises(IntakeIsForMachines):
            await begin_batch(OFFICER, connection, UUID(int=1))
        with pytest.raises(SheetBatchUnknown):
            await sheet_batch(OFFICER, connection, UUID(int=1))
