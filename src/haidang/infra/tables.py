"""Tables that people send (xlsx, xls, ods, csv …), read in a process of their own that has little to lose.

A sheet is somebody else's file: it may be made to exhaust memory, and its reader is native code. The
child (`table_reader`) gets a path and limits, and sends rows as values; whatever happens to it, here it
is one sentence. Macros are never run: nothing that could run them is there. See ADR 0062.
"""

import asyncio
import contextlib
import struct
import sys
from collections.abc import AsyncGenerator
from enum import StrEnum
from pathlib import Path
from typing import TypeAlias

import msgspec

from haidang.kernel.errors import Invalid
from haidang.kernel.legacy_text import Confidence, Encoding, Letters


class TableKindUnknown(Invalid):
    """This file is not a table that can be read here: send xlsx, xlsm, xls, ods or csv."""


class TableIsWebPage(Invalid):
    """This file is a web page or XML under the name of a sheet: open it and save it as xlsx or csv."""


class TableProtected(Invalid):
    """This workbook is protected by a password: save it without one."""


class TableDamaged(Invalid):
    """This file is damaged or incomplete; it cannot be read to its end."""


class TableExpandsTooFar(Invalid):
    """Unpacked, this workbook would be larger than {limit_megabytes} MB; it was not opened."""


class TableHasEntities(Invalid):
    """This workbook holds declarations that no sheet needs (DOCTYPE); it was not opened."""


class TableTooLarge(Invalid):
    """This table is too large to be read as a workbook: save it as csv, or split it."""


class TableLineTooLong(Invalid):
    """Line {line} is longer than {most} characters: this is hardly a table."""


class TableTooWide(Invalid):
    """Row {row} has {columns} columns; {most} is the most."""


class SheetMissing(Invalid):
    """The workbook has no sheet number {number}."""


_ERRORS: tuple[type[Invalid], ...] = (
    TableKindUnknown,
    TableIsWebPage,
    TableProtected,
    TableDamaged,
    TableExpandsTooFar,
    TableHasEntities,
    TableTooLarge,
    TableLineTooLong,
    TableTooWide,
    SheetMissing,
)
ERRORS_BY_NAME = {one.__name__: one for one in _ERRORS}


class TableKind(StrEnum):
    """What a file is by its content."""

    CSV = "csv"
    XLSX = "xlsx"
    XLS = "xls"
    ODS = "ods"


class CellMoment(msgspec.Struct, frozen=True, array_like=True, tag=1):
    """A cell that the workbook itself holds as a date, or a date and time: ISO 8601, local, no offset."""

    at: str


class CellWrong(msgspec.Struct, frozen=True, array_like=True, tag=2):
    """A cell that shows an error, like #N/A."""

    code: str


Cell: TypeAlias = bool | int | float | str | CellMoment | CellWrong | None


class TableRow(msgspec.Struct, frozen=True, array_like=True):
    """One row: its number as the sheet shows it (from 1), its cells, and whether the sheet hides it."""

    number: int
    cells: list[Cell]
    hidden: bool = False


class SheetLook(msgspec.Struct, frozen=True):
    """A sheet of a workbook by its name, and whether it is hidden."""

    name: str
    hidden: bool = False


class TableLook(msgspec.Struct, frozen=True):
    """What a file is, before its rows are read. A csv has one sheet without a name, and a separator."""

    kind: TableKind
    sheets: list[SheetLook]
    letters: Letters = Letters.UNICODE
    confidence: Confidence = Confidence.CERTAIN
    encoding: Encoding | None = None
    separator: str = ""
    macros: bool = False


class TableChoice(msgspec.Struct, frozen=True):
    """How a file is to be read: what was found by looking, or what a person chose instead."""

    sheet: int = 0
    letters: Letters = Letters.UNICODE
    encoding: Encoding | None = None
    separator: str = ""


class TableLimits(msgspec.Struct, frozen=True):
    """What reading may cost: of memory for the child, of its time, of what a workbook unpacks to."""

    expanded_bytes: int = 1_000_000_000
    memory_bytes: int = 2_000_000_000
    processor_s: int = 600
    columns: int = 300
    line_signs: int = 1_000_000


class ReaderRequest(msgspec.Struct, frozen=True):
    """What the child is asked: to look (`choice` None) or to read, at most `most_rows` rows."""

    path: str
    limits: TableLimits
    choice: TableChoice | None = None
    most_rows: int | None = None


class ReaderError(msgspec.Struct, frozen=True, array_like=True, tag="error"):
    """What is wrong with the file, by the name of one of the errors above."""

    name: str
    fields: dict[str, int | str]


class ReaderLook(msgspec.Struct, frozen=True, array_like=True, tag="look"):
    """The answer to looking."""

    look: TableLook


class ReaderRows(msgspec.Struct, frozen=True, array_like=True, tag="rows"):
    """Some rows, in their order."""

    rows: list[TableRow]


class ReaderEnd(msgspec.Struct, frozen=True, array_like=True, tag="end"):
    """Everything that was asked for has been sent."""


ReaderAnswer: TypeAlias = ReaderError | ReaderLook | ReaderRows | ReaderEnd
HEADER = struct.Struct("!I")
_decoder = msgspec.msgpack.Decoder(ReaderAnswer)
_PIPE_BYTES = 1 << 20


async def look_into(path: Path, *, limits: TableLimits | None = None) -> TableLook:
    """What a file is by its content, its sheets, how its text is written; raises one of the errors above."""
    request = ReaderRequest(str(path), limits or TableLimits())
    async with contextlib.aclosing(_answers(request)) as answers:
        async for answer in answers:
            if isinstance(answer, ReaderLook):
                return answer.look
    raise TableDamaged


async def read_rows(
    path: Path, choice: TableChoice, *, most_rows: int | None = None, limits: TableLimits | None = None
) -> AsyncGenerator[list[TableRow], None]:
    """The rows of one sheet, some hundreds at a time; only so many are in memory here as were asked for."""
    request = ReaderRequest(str(path), limits or TableLimits(), choice, most_rows)
    async with contextlib.aclosing(_answers(request)) as answers:
        async for answer in answers:
            if isinstance(answer, ReaderRows):
                yield answer.rows


async def _answers(request: ReaderRequest) -> AsyncGenerator[ReaderAnswer, None]:
    child = await asyncio.create_subprocess_exec(
        sys.executable,
        "-I",
        "-m",
        "haidang.infra.table_reader",
        msgspec.json.encode(request).decode(),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        limit=_PIPE_BYTES,
    )
    assert child.stdout is not None  # noqa: S101 - PIPE was asked for
    ended = False
    try:
        while not ended:
            try:
                (size,) = HEADER.unpack(await child.stdout.readexactly(HEADER.size))
                answer = _decoder.decode(await child.stdout.readexactly(size))
            except asyncio.IncompleteReadError:
                # The child died: of its limits, or of a file that its native reader could not bear.
                raise TableTooLarge from None
            if isinstance(answer, ReaderError):
                raise ERRORS_BY_NAME[answer.name](**answer.fields)
            ended = isinstance(answer, ReaderEnd)
            yield answer
    finally:
        if child.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                child.kill()
        # The pipe is read to its end, so that its transport closes with the child.
        with contextlib.suppress(Exception):
            await child.stdout.read()
        await child.wait()
