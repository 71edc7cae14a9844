"""Files of people are read as what they are, within limits, and whatever they do is one sentence."""

import io
import zipfile
from datetime import datetime
from pathlib import Path

import pytest
import xlsxwriter

from haidang.infra.tables import (
    Cell,
    CellMoment,
    CellWrong,
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
    look_into,
    read_rows,
)
from haidang.kernel.errors import Invalid
from haidang.kernel.legacy_text import Confidence, Encoding, Letters

VIETNAMESE = "Mã trạm;Tên trạm;Ghi chú\nA1;Trạm Đà Lạt;thiết bị hỏng, chờ sửa\nA2;Trạm Bảo Lộc;bình thường\n"


def workbook(path: Path, **options: object) -> xlsxwriter.Workbook:
    return xlsxwriter.Workbook(str(path), options)


async def rows_of(
    path: Path, choice: TableChoice | None = None, *, most_rows: int | None = None
) -> list[TableRow]:
    if choice is None:
        look = await look_into(path)
        choice = TableChoice(0, look.letters, look.encoding, look.separator)
    return [row async for rows in read_rows(path, choice, most_rows=most_rows) for row in rows]


async def cells_of(path: Path, choice: TableChoice | None = None) -> list[list[Cell]]:
    return [row.cells for row in await rows_of(path, choice)]


def csv_file(tmp_path: Path, content: bytes) -> Path:
    path = tmp_path / "sheet.bin"
    path.write_bytes(content)
    return path


@pytest.mark.parametrize(
    ("content", "encoding", "letters"),
    [
        (VIETNAMESE.encode(), Encoding.UTF_8, Letters.UNICODE),
        (VIETNAMESE.encode("utf-8-sig"), Encoding.UTF_8, Letters.UNICODE),
        (VIETNAMESE.encode("utf-16"), Encoding.UTF_16_LE, Letters.UNICODE),
        (VIETNAMESE.encode("utf-16-be"), Encoding.UTF_16_BE, Letters.UNICODE),
        ("M· tr¹m;Tªn tr¹m\nA1;Tr¹m §µ L¹t\n".encode("cp1252"), Encoding.WINDOWS_1252, Letters.TCVN3),
        ("Maõ traïm;Teân traïm\nA1;Traïm Ñaø Laït\n".encode("cp1252"), Encoding.WINDOWS_1252, Letters.VNI),
        ("M· tr¹m;Tªn tr¹m\nA1;Tr¹m §µ L¹t\n".encode(), Encoding.UTF_8, Letters.TCVN3),
    ],
)
async def test_a_csv_is_read_in_its_own_encoding(
    tmp_path: Path, content: bytes, encoding: Encoding, letters: Letters
) -> None:
    path = csv_file(tmp_path, content)
    look = await look_into(path)
    assert (look.kind, look.encoding, look.letters) == (TableKind.CSV, encoding, letters)
    cells = await cells_of(path)
    assert cells[0][:2] == ["Mã trạm", "Tên trạm"]
    assert cells[1][1] == "Trạm Đà Lạt"


@pytest.mark.parametrize(
    ("text", "separator"),
    [
        ("a;b;c\n1,5;2,5;3\n", ";"),
        ("a,b,c\n1.5,2.5,3\n", ","),
        ("a\tb\n1,5\t2\n", "\t"),
        ("a|b\n1|2\n", "|"),
        ('a,b\n"x;y;z",2\n"p;q;r",3\n', ","),
        ("sep=;\na;b\n1;2\n", ";"),
        ("alone\n1\n", ","),
    ],
)
async def test_the_separator_is_found(tmp_path: Path, text: str, separator: str) -> None:
    path = csv_file(tmp_path, text.encode())
    assert (await look_into(path)).separator == separator
    assert "sep=" not in str((await cells_of(path))[0][0])


async def test_quotes_hold_lines_and_rows_keep_the_numbers_they_have(tmp_path: Path) -> None:
    path = csv_file(tmp_path, b'a;b\r\n\r\n"two\r\nlines";2\r\n;;\r\n"say ""x""";3\r\n')
    rows = await rows_of(path)
    assert [(row.number, row.cells) for row in rows] == [
        (1, ["a", "b"]),
        (4, ["two\r\nlines", "2"]),
        (6, ['say "x"', "3"]),
    ]


async def test_a_workbook_gives_values_moments_errors_and_what_is_hidden(tmp_path: Path) -> None:
    path = tmp_path / "book.xlsx"
    book = workbook(path)
    hidden = book.add_worksheet("Ẩn")
    sheet = book.add_worksheet("Số liệu")
    sheet.activate()
    hidden.hide()
    sheet.write_row("C5", ["Mã", "PM2.5"])
    sheet.write_formula("D6", "=1/0", None, "#DIV/0!")
    sheet.write_formula("E6", "=1+1", None, 2)
    sheet.write_datetime(
        "C6", datetime.fromisoformat("2026-11-21T08:30"), book.add_format({"num_format": "dd/mm/yyyy hh:mm"})
    )
    sheet.write_row("C7", ["x", 1.25, True])
    sheet.set_row(6, None, None, {"hidden": True})
    book.close()
    look = await look_into(path)
    assert [(one.name, one.hidden) for one in look.sheets] == [("Ẩn", True), ("Số liệu", False)]
    rows = await rows_of(path, TableChoice(1))
    assert rows == [
        TableRow(5, [None, None, "Mã", "PM2.5", None]),
        TableRow(6, [None, None, CellMoment("2026-11-21T08:30:00"), CellWrong("#DIV/0!"), 2]),
        TableRow(7, [None, None, "x", 1.25, True], hidden=True),
    ]


async def test_text_of_old_fonts_in_a_workbook_is_recognised(tmp_path: Path) -> None:
    path = tmp_path / "book.xlsx"
    book = workbook(path)
    sheet = book.add_worksheet()
    sheet.write_row(0, 0, ["M· tr¹m", "Tªn tr¹m", "NhiÖt ®é (°C)"])
    sheet.write_row(1, 0, ["A1", "Hå Xu©n H­¬ng", 21.5])
    book.close()
    look = await look_into(path)
    assert (look.letters, look.confidence) == (Letters.TCVN3, Confidence.LIKELY)
    cells = await cells_of(path)
    assert cells == [["Mã trạm", "Tên trạm", "Nhiệt độ (°C)"], ["A1", "Hồ Xuân Hương", 21.5]]


async def test_macros_are_told_and_not_run(tmp_path: Path) -> None:
    path = tmp_path / "book.xlsm"
    book = workbook(tmp_path / "plain.xlsx")
    book.add_worksheet().write(0, 0, "a")
    book.close()
    with zipfile.ZipFile(tmp_path / "plain.xlsx") as plain, zipfile.ZipFile(path, "w") as made:
        for name in plain.namelist():
            made.writestr(name, plain.read(name))
        made.writestr("xl/vbaProject.bin", b"\xd0\xcf\x11\xe0macro")
    assert (await look_into(path)).macros
    assert await cells_of(path) == [["a"]]


async def look(path: Path, limits: TableLimits | None = None) -> TableLook:
    return await look_into(path, limits=limits)


@pytest.mark.parametrize(
    ("content", "error"),
    [
        (b"%PDF-1.7", TableKindUnknown),
        (b"\x89PNG\r\n", TableKindUnknown),
        (b"\x00\x01\x02\x03\x04\x05\x06\x07\x00\x00", TableKindUnknown),
        (b"<html><table><tr><td>1</td></tr></table></html>", TableIsWebPage),
        (b'<?xml version="1.0"?><Workbook/>', TableIsWebPage),
        (b"PK\x03\x04not a zip", TableDamaged),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 600, TableDamaged),
        (
            b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
            + b"\0" * 64
            + "EncryptedPackage".encode("utf-16-le")
            + b"\0" * 600,
            TableProtected,
        ),
    ],
)
async def test_what_is_no_table_is_refused_by_its_content(
    tmp_path: Path, content: bytes, error: type[Invalid]
) -> None:
    with pytest.raises(error):
        await look(csv_file(tmp_path, content))


def archive(path: Path, parts: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as made:
        for name, content in parts.items():
            made.writestr(name, content)
    return path


async def test_an_archive_that_is_no_workbook_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TableKindUnknown):
        await look(archive(tmp_path / "a.zip", {"evil.exe": b"MZ"}))


async def test_a_bomb_is_not_unpacked(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "bomb.xlsx", "w", zipfile.ZIP_DEFLATED) as made:
        made.writestr("xl/workbook.xml", b"<workbook/>")
        with made.open("xl/worksheets/sheet1.xml", "w", force_zip64=True) as part:
            for _ in range(250):
                part.write(b" " * 1_000_000)
    with pytest.raises(TableExpandsTooFar):
        await look(tmp_path / "bomb.xlsx")
    with pytest.raises(TableExpandsTooFar):
        await look(tmp_path / "bomb.xlsx", TableLimits(expanded_bytes=100_000_000))


async def test_a_workbook_with_entities_is_not_opened(tmp_path: Path) -> None:
    laughs = (
        b'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a "ha"><!ENTITY b "&a;&a;">]><workbook>&b;</workbook>'
    )
    with pytest.raises(TableHasEntities):
        await look(archive(tmp_path / "laughs.xlsx", {"xl/workbook.xml": laughs}))


async def test_a_sheet_that_spans_the_whole_grid_costs_one_sentence(tmp_path: Path) -> None:
    path = tmp_path / "wide.xlsx"
    book = workbook(path)
    sheet = book.add_worksheet()
    sheet.write("A1", "a")
    sheet.write("XFD1048576", "z")
    book.close()
    with pytest.raises((TableTooLarge, TableTooWide)):
        await look(path)


async def test_limits_of_lines_and_columns(tmp_path: Path) -> None:
    with pytest.raises(TableLineTooLong):
        await rows_of(csv_file(tmp_path, b"x" * 1_100_000), TableChoice())
    with pytest.raises(TableTooWide):
        await rows_of(csv_file(tmp_path, b"," * 400), TableChoice(separator=","))


async def test_a_sheet_that_is_not_there(tmp_path: Path) -> None:
    book = workbook(tmp_path / "one.xlsx")
    book.add_worksheet().write(0, 0, 1)
    book.close()
    with pytest.raises(SheetMissing):
        await rows_of(tmp_path / "one.xlsx", TableChoice(7))


async def test_only_as_many_rows_are_read_as_were_asked_for(tmp_path: Path) -> None:
    text = io.StringIO()
    text.writelines(f"{n};{n}\n" for n in range(5_000))
    path = csv_file(tmp_path, text.getvalue().encode())
    assert len(await rows_of(path, TableChoice(separator=";"), most_rows=7)) == 7


async def test_a_reader_that_dies_is_one_sentence(tmp_path: Path) -> None:
    path = csv_file(tmp_path, b"a;b\n" * 10)
    with pytest.raises(TableTooLarge):
        await look(path, TableLimits(memory_bytes=20_000_000))
