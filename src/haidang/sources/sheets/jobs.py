"""The work of taking a sheet and of taking it back, done by workers, with its progress in the database."""

from collections.abc import Callable, Sequence

from haidang.infra.database import Pool, reading, transaction
from haidang.infra.jobs import Job, JobRun
from haidang.infra.objects import ObjectFiles
from haidang.infra.tables import read_rows
from haidang.kernel.actors import Actor, Audience, part
from haidang.kernel.errors import Invalid
from haidang.kernel.instants import Clock
from haidang.sdk.model import EntityType, Pack
from haidang.sources.sheets.judging import JudgedRow, RowJudge
from haidang.sources.sheets.model import SheetBatch
from haidang.sources.sheets.service import (
    ROWS_A_COMMIT,
    TAKE_JOB,
    UNDO_JOB,
    BatchJob,
    begin_batch,
    end_batch,
    give_up_batch,
    sheet_batch,
    sheet_file,
    take_rows,
    things_named,
    type_named,
    undo_some,
)


def sheet_jobs(packs: Sequence[Pack], clock: Clock, objects: Callable[[], ObjectFiles]) -> list[Job]:
    """The two jobs; `objects` opens the store of object files when the first sheet is to be taken."""

    async def take(pool: Pool, run: JobRun) -> None:
        actor = part("sources", run.tenant)
        asked = run.read(BatchJob)
        async with transaction(pool) as connection:
            batch = await begin_batch(actor, connection, asked.batch_id)
        if batch is None:
            return
        trouble: str | None = None
        try:
            ended = await _take(
                actor, pool, batch, type_named(packs, batch.mapping.entity_type), clock, objects()
            )
        except Invalid as wrong:  # the file is at fault: trying again would not help
            ended, trouble = True, str(wrong)
        if ended:
            async with transaction(pool) as connection:
                await end_batch(actor, connection, asked.batch_id, now=clock.now(), trouble=trouble)

    async def undo(pool: Pool, run: JobRun) -> None:
        actor = part("sources", run.tenant)
        asked = run.read(BatchJob)
        async with reading(pool) as connection:
            batch = await sheet_batch(actor, connection, asked.batch_id)
        entity_type = type_named(packs, batch.mapping.entity_type)
        going = True
        while going:
            async with transaction(pool) as connection:
                going = await undo_some(actor, connection, asked.batch_id, entity_type, now=clock.now())

    async def give_up(pool: Pool, run: JobRun) -> None:
        async with transaction(pool) as connection:
            await give_up_batch(
                part("sources", run.tenant), connection, run.read(BatchJob).batch_id, now=clock.now()
            )

    return [
        Job(name=TAKE_JOB, handle=take, audience=Audience.OFFICER, given_up=give_up),
        Job(name=UNDO_JOB, handle=undo, audience=Audience.OFFICER, given_up=give_up),
    ]


async def _take(  # noqa: PLR0917 - parts of the house, in their usual order
    actor: Actor, pool: Pool, batch: SheetBatch, entity_type: EntityType, clock: Clock, objects: ObjectFiles
) -> bool:
    """Take the rows that were not taken yet; false when somebody asked to take the batch back meanwhile.

    Rows before the place that was reached are judged again and not written: who repeats one of them is
    found, whoever took it.
    """
    async with reading(pool) as connection:
        file = await sheet_file(actor, connection, batch.file_id)
        things = await things_named(actor, connection, entity_type)
    judge = RowJudge(batch.mapping, entity_type, things, now=batch.asked_at)
    waiting: list[JudgedRow] = []
    last_row = 0

    async def write() -> bool:
        async with transaction(pool) as connection:
            return await take_rows(
                actor, connection, batch, entity_type, waiting, last_row=last_row, now=clock.now()
            )

    async with objects.as_file(actor, file.content_id) as path:
        async for rows in read_rows(path, batch.choice):
            for row in rows:
                if row.number <= batch.last_heading or (row.hidden and not batch.mapping.hidden_rows):
                    continue
                judged = judge.judge(row)
                if row.number <= batch.rows_read:
                    continue
                waiting.append(judged)
                last_row = row.number
            if len(waiting) >= ROWS_A_COMMIT:
                if not await write():
                    return False
                waiting.clear()
    return not waiting or await write()
