"""The child that reads a table: a path and limits in, rows out. Started by `tables`, never imported by it."""

import csv
import io
import re
import resource
import signal
import sys
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, datetime, time
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO
from xml.etree import ElementTree as ET

import msgspec
from python_calamine import (
    CalamineError,
    CalamineWorkbook,
    PasswordError,
    SheetTypeEnum,
    SheetVisibleEnum,
)

from haidang.infra.tables import (
    HEADER,
    Cell,
    CellMoment,
    CellWrong,
    ReaderAnswer,
    ReaderEnd,
    ReaderError,
    ReaderLook,
    ReaderRequest,
    ReaderRows,
    SheetLook,
    SheetMissing,
    TableChoice,
    TableDamaged,
    TableExpandsTooFar,
    TableHasEntities,
    TableIsWebPage,
    TableKind,
    TableKindUnknown,
    TableLimits,
    TableLineTooLong,
    TableLook,
    TableProtected,
    TableRow,
    TableTooLarge,
    TableTooWide,
)
from haidang.kernel.errors import Invalid
from haidang.kernel.legacy_text import Confidence, Encoding, Letters, detect, detect_letters, read_letters

_SAMPLE_BYTES = 256 * 1024
_SAMPLE_ROWS = 300
_ROWS_A_FRAME = 500
_CHUNK = 1 << 20
_MOST_PARTS = 5_000
_PLAIN_RATIO = 20
"""XML of sheets packs ten to fifteen to one; what packs far better is made to."""
_RATIO_MATTERS_FROM = 200_000_000


def main() -> None:
    """Answer the request in the first argument on standard output."""
    request = msgspec.json.decode(sys.argv[1], type=ReaderRequest)
    limits = request.limits
    resource.setrlimit(resource.RLIMIT_AS, (limits.memory_bytes, limits.memory_bytes))
    resource.setrlimit(resource.RLIMIT_CPU, (limits.processor_s, limits.processor_s))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    try:
        for answer in _answers(request):
            _send(answer)
    except Invalid as wrong:
        _send(ReaderError(type(wrong).__name__, dict(wrong.fields)))
        return
    except MemoryError:
        _send(ReaderError(TableTooLarge.__name__, {}))
        return
    _send(ReaderEnd())


def _send(answer: ReaderAnswer) -> None:
    frame = msgspec.msgpack.encode(answer)
    sys.stdout.buffer.write(HEADER.pack(len(frame)) + frame)
    sys.stdout.buffer.flush()


def _answers(request: ReaderRequest) -> Iterator[ReaderAnswer]:
    path = Path(request.path)
    kind = _kind_of(path)
    if request.choice is None:
        yield ReaderLook(_look(path, kind, request.limits))
        return
    rows = _rows(path, kind, request.choice, request.limits)
    if request.most_rows is not None:
        rows = islice(rows, request.most_rows)
    while batch := list(islice(rows, _ROWS_A_FRAME)):
        yield ReaderRows(batch)


# --- What a file is -----------------------------------------------------------------------------

_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_ENCRYPTED = "EncryptedPackage".encode("utf-16-le")
_MARKUP = re.compile(
    rb"(?:\xef\xbb\xbf)?\s*<(?:!doctype|html|head|body|table|\?xml|meta|style|script|svg)", re.IGNORECASE
)
_OTHER = (
    b"%PDF",
    b"\x89PNG",
    b"\xff\xd8\xff",
    b"GIF8",
    b"Rar!",
    b"7z\xbc\xaf",
    b"\x1f\x8b",
    b"\x7fELF",
    b"MZ",
    b"{\\rtf",
    b"PAR1",
)


def _kind_of(path: Path) -> TableKind:
    """The kind by the content; the name is not looked at."""
    with path.open("rb") as file:
        head = file.read(_SAMPLE_BYTES)
    if head.startswith(b"PK"):
        return _kind_of_archive(path)
    if head.startswith(_OLE):
        if _ENCRYPTED in head or _ENCRYPTED in path.read_bytes()[-_CHUNK:]:
            raise TableProtected
        return TableKind.XLS
    if _MARKUP.match(head):
        raise TableIsWebPage
    if not head or head.startswith(_OTHER):
        raise TableKindUnknown
    wide = detect(head).encoding in (Encoding.UTF_16_LE, Encoding.UTF_16_BE)
    if not wide and b"\0" in head:
        raise TableKindUnknown
    return TableKind.CSV


def _kind_of_archive(path: Path) -> TableKind:
    try:
        with zipfile.ZipFile(path) as archive:
            names = set(archive.namelist())
            if "xl/workbook.xml" in names:
                return TableKind.XLSX
            if "content.xml" in names and "mimetype" in names:
                mime = archive.open("mimetype").read(200)
                if mime.startswith(b"application/vnd.oasis.opendocument.spreadsheet"):
                    return TableKind.ODS
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, OSError):
        raise TableDamaged from None
    raise TableKindUnknown


def _look(path: Path, kind: TableKind, limits: TableLimits) -> TableLook:
    if kind is TableKind.CSV:
        with path.open("rb") as file:
            sample = file.read(_SAMPLE_BYTES)
        found = detect(_whole_lines(sample))
        text = read_letters(sample.decode(found.encoding, "replace"), found.letters)
        return TableLook(
            kind,
            [SheetLook("")],
            letters=found.letters,
            confidence=found.confidence,
            encoding=found.encoding,
            separator=separator_of(text.removeprefix("\ufeff")),
        )
    macros = False
    if kind is not TableKind.XLS:
        macros = _check_archive(path, limits)
    workbook = _open(path)
    visible = [
        SheetLook(one.name, one.visible is not SheetVisibleEnum.Visible)
        for one in workbook.sheets_metadata
        if one.typ is SheetTypeEnum.WorkSheet
    ]
    macros = macros or len(visible) < len(workbook.sheets_metadata)
    first = next((place for place, one in enumerate(visible) if not one.hidden), 0)
    letters, confidence = Letters.UNICODE, Confidence.CERTAIN
    if visible:
        rows = islice(_of_workbook(workbook, visible[first].name, limits, _Scanned()), _SAMPLE_ROWS)
        sample_text = " ".join(cell for row in rows for cell in row.cells if isinstance(cell, str))
        letters, confidence, _ = detect_letters(sample_text)
    return TableLook(kind, visible, letters=letters, confidence=confidence, macros=macros)


def _whole_lines(sample: bytes) -> bytes:
    """Without a last line that was cut, where there is another."""
    if len(sample) < _SAMPLE_BYTES:
        return sample
    cut = sample.rfind(b"\n")
    return sample[:cut] if cut > 0 else sample


SEPARATORS = ";\t,|"
_SEP_LINE = re.compile(r"sep=(.)\r?\n?\Z", re.IGNORECASE)


def separator_of(text: str) -> str:
    """What separates the cells of a csv: what most lines have as often as each other, and most of."""
    lines = text.splitlines(keepends=True)[:60]
    if not lines:
        return ","
    told = _SEP_LINE.match(lines[0])
    if told:
        return told[1]
    best = (0.0, 0.0)
    chosen = ","
    for one in SEPARATORS:
        widths = [len(row) for row in csv.reader(lines, delimiter=one) if row]
        widths = [width for width in widths if width > 1]
        if not widths:
            continue
        usual = max(set(widths), key=widths.count)
        # A decimal comma separates too, but not the same number of times in the line of headings.
        score = (widths.count(usual) / len(lines), float(usual))
        if score > best:
            best, chosen = score, one
    return chosen


# --- Workbooks ----------------------------------------------------------------------------------


@dataclass(slots=True)
class _Scanned:
    """What the XML of a sheet says beside its values: rows that are hidden, cells that show an error."""

    hidden: set[int] = field(default_factory=set)
    wrong: dict[int, dict[int, str]] = field(default_factory=dict)


def _check_archive(path: Path, limits: TableLimits) -> bool:
    """Refuse what unpacks too far, by what it says and by what it does; say whether it holds macros."""
    try:
        with zipfile.ZipFile(path) as archive:
            parts = archive.infolist()
            if len(parts) > _MOST_PARTS:
                raise TableTooLarge
            if any(part.flag_bits & 1 for part in parts):
                raise TableProtected
            packed, unpacked = sum(one.compress_size for one in parts), sum(one.file_size for one in parts)
            megabytes = limits.expanded_bytes // 1_000_000
            if unpacked > limits.expanded_bytes or (
                unpacked > _RATIO_MATTERS_FROM and unpacked > packed * _PLAIN_RATIO * 5
            ):
                raise TableExpandsTooFar(limit_megabytes=megabytes)
            for part in parts:
                if part.filename.endswith((".xml", ".rels")):
                    with archive.open(part) as opened:
                        if re.search(rb"<!(?:DOCTYPE|ENTITY)", opened.read(4096), re.IGNORECASE):
                            raise TableHasEntities
            return any(Path(part.filename).name.lower() == "vbaproject.bin" for part in parts)
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, OSError, EOFError):
        raise TableDamaged from None


def _open(path: Path) -> CalamineWorkbook:
    try:
        return CalamineWorkbook.from_path(path)
    except PasswordError:
        raise TableProtected from None
    except (CalamineError, OSError):
        raise TableDamaged from None


def _rows(path: Path, kind: TableKind, choice: TableChoice, limits: TableLimits) -> Iterator[TableRow]:
    if kind is TableKind.CSV:
        return _of_csv(path, choice, limits)
    if kind is not TableKind.XLS:
        _check_archive(path, limits)
    workbook = _open(path)
    sheets = [one.name for one in workbook.sheets_metadata if one.typ is SheetTypeEnum.WorkSheet]
    if not 0 <= choice.sheet < len(sheets):
        raise SheetMissing(number=choice.sheet + 1)
    scanned = _scan(path, sheets[choice.sheet]) if kind is TableKind.XLSX else _Scanned()
    rows = _of_workbook(workbook, sheets[choice.sheet], limits, scanned)
    if choice.letters is Letters.UNICODE:
        return rows
    return (
        TableRow(
            row.number,
            [read_letters(one, choice.letters) if isinstance(one, str) else one for one in row.cells],
            row.hidden,
        )
        for row in rows
    )


def _of_workbook(
    workbook: CalamineWorkbook, name: str, limits: TableLimits, scanned: _Scanned
) -> Iterator[TableRow]:
    try:
        sheet = workbook.get_sheet_by_name(name)
    except CalamineError:
        raise TableDamaged from None
    if sheet.start is None:
        return
    if sheet.width > limits.columns:
        raise TableTooWide(row=sheet.start[0] + 1, columns=sheet.width, most=limits.columns)
    # Rows come from the top of the sheet, cells from the first column that holds something.
    left = sheet.start[1]
    for number, cells in enumerate(sheet.iter_rows(), 1):
        row: list[Cell] = [None] * left
        row += [_cell(one) for one in cells]
        for place in scanned.wrong.get(number, {}):
            if place < len(row):
                row[place] = CellWrong(scanned.wrong[number][place])
        if any(one is not None for one in row):
            yield TableRow(number, row, number in scanned.hidden)


def _cell(value: Any) -> Cell:
    """A cell as it is sent: no text is None, a whole number is whole, a date says that it is one."""
    if value is None or value == "":
        return None
    if isinstance(value, float):
        return int(value) if value.is_integer() and abs(value) < 2**53 else value
    if isinstance(value, bool | int | str):
        return value
    if isinstance(value, datetime | date):
        return CellMoment(value.isoformat())
    return value.isoformat() if isinstance(value, time) else str(value)


_TAGS = re.compile(rb"<(?:\w+:)?(row|c|v)\b([^>]*?)/?>([^<]*)")
_ATTRIBUTE = re.compile(rb'\b(r|t|hidden)="([^"]*)"')
_ROW_END = re.compile(rb"</(?:\w+:)?row>|<(?:\w+:)?row\b[^>]*/>")


def _scan(path: Path, name: str) -> _Scanned:
    """Read the XML of a sheet as a stream for what its values do not tell."""
    scanned = _Scanned()
    try:
        with zipfile.ZipFile(path) as archive:
            part = _part_of(archive, name)
            if part is None:
                return scanned
            with archive.open(part) as opened:
                _scan_stream(opened, scanned)
    except (zipfile.BadZipFile, KeyError, ET.ParseError, OSError, EOFError):
        raise TableDamaged from None
    return scanned


def _scan_stream(opened: Any, scanned: _Scanned) -> None:
    rest = b""
    row = 0
    while chunk := opened.read(_CHUNK):
        text = rest + chunk
        ends = [found.end() for found in _ROW_END.finditer(text)]
        if not ends:
            rest = text
            if len(rest) > 64 * _CHUNK:
                raise TableTooLarge
            continue
        text, rest = text[: ends[-1]], text[ends[-1] :]
        row = _scan_rows(text, row, scanned)


def _scan_rows(text: bytes, row: int, scanned: _Scanned) -> int:
    """Look at whole rows; the number of the last one."""
    if b't="e"' not in text and b"hidden=" not in text and b' r="' in text:
        return row  # nothing to be found, and rows say their numbers themselves
    column, wrong = -1, False
    for tag in _TAGS.finditer(text):
        told = dict(_ATTRIBUTE.findall(tag[2]))
        if tag[1] == b"row":
            row = int(told.get(b"r", row + 1))
            column = -1
            if told.get(b"hidden") in (b"1", b"true"):
                scanned.hidden.add(row)
        elif tag[1] == b"c":
            column = _column_of(told[b"r"]) if b"r" in told else column + 1
            wrong = told.get(b"t") == b"e"
        elif wrong:
            scanned.wrong.setdefault(row, {})[column] = tag[3].decode("ascii", "replace")[:20] or "#ERROR"
            wrong = False
    return row


def _column_of(reference: bytes) -> int:
    """The place of a column from 0, of a reference like AB12."""
    place = 0
    for sign in reference:
        if not 0x41 <= sign <= 0x5A:
            break
        place = place * 26 + sign - 0x40
    return place - 1


def _part_of(archive: zipfile.ZipFile, name: str) -> str | None:
    """The file of a sheet inside a workbook. Declarations were refused before: these are plain XML."""
    workbook = ET.fromstring(archive.read("xl/workbook.xml"))  # noqa: S314 - no DOCTYPE in it: checked
    links = ET.fromstring(archive.read("xl/_rels/workbook.xml.rels"))  # noqa: S314 - the same
    targets = {link.get("Id"): link.get("Target", "") for link in links}
    for element in workbook.iter():
        if element.tag.endswith("}sheet") and element.get("name") == name:
            link = next((value for key, value in element.items() if key.endswith("}id")), "")
            target = targets.get(link, "")
            part = target.lstrip("/") if target.startswith("/") else f"xl/{target}"
            return part if part in archive.namelist() else None
    return None


# --- Text ---------------------------------------------------------------------------------------


def _of_csv(path: Path, choice: TableChoice, limits: TableLimits) -> Iterator[TableRow]:
    encoding = choice.encoding or Encoding.UTF_8
    with path.open("rb") as file:
        lines = _text_lines(file, encoding, choice.letters, limits)
        reader = csv.reader(lines, delimiter=choice.separator or ",")
        try:
            for cells in reader:
                if len(cells) > limits.columns:
                    raise TableTooWide(row=reader.line_num, columns=len(cells), most=limits.columns)
                if len(cells) == 1 and reader.line_num == 1 and _SEP_LINE.match(cells[0]):
                    continue
                row: list[Cell] = [one.strip() or None for one in cells]
                if any(one is not None for one in row):
                    yield TableRow(reader.line_num, row)
        except csv.Error:
            raise TableDamaged from None


def _text_lines(file: BinaryIO, encoding: Encoding, letters: Letters, limits: TableLimits) -> Iterator[str]:
    """The lines of a file, each in one form; what is not in the encoding is shown as the sign for that."""
    csv.field_size_limit(limits.line_signs)
    text = io.TextIOWrapper(file, encoding.value, errors="replace", newline="")
    number = 0
    while line := text.readline(limits.line_signs + 1):
        number += 1
        if len(line) > limits.line_signs:
            raise TableLineTooLong(line=number, most=limits.line_signs)
        if number == 1:
            line = line.removeprefix("\ufeff")
            told = _SEP_LINE.match(line)
            if told:
                line = "\r\n"
        yield read_letters(line, letters)


if __name__ == "__main__":
    main()
