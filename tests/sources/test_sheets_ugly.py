"""Sheets as they come: each is made here, and each must be understood, or refused in words, by row."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest
import xlsxwriter

from haidang.infra.tables import TableChoice, look_into, read_rows
from haidang.kernel.instants import VIETNAM, Instant
from haidang.packs.environment.pack import PACK
from haidang.sources.sheets.judging import RowJudge, things_by_word
from haidang.sources.sheets.mapping import Suggestion, faults_of, find_headings, suggest
from haidang.sources.sheets.service import type_named

AIR = type_named([PACK], "AirQualityObserved")
NOW = datetime(2026, 11, 21, 5, tzinfo=UTC)
WORDS = {
    "pm25": ["PM2.5"],
    "pm10": ["PM10"],
    "temperature": ["Temperature", "Nhiệt độ"],
    "relativeHumidity": ["Relative humidity", "Độ ẩm tương đối"],
    "windSpeed": ["Wind speed", "Tốc độ gió"],
    "pressure": ["Air pressure", "Khí áp"],
    "precipitation": ["Rain", "Lượng mưa"],
    "name": ["Name", "Tên"],
}
THINGS = things_by_word([(f"urn:ngsi-ld:AirQualityObserved:LH-0{n}", f"Trạm Liên Hiệp {n}") for n in (1, 2)])
ONE = "urn:ngsi-ld:AirQualityObserved:LH-01"


def local(text: str) -> Instant:
    return datetime.fromisoformat(text).replace(tzinfo=VIETNAM).astimezone(UTC)


class Understood:
    """What became of a sheet: values by thing, moment and attribute; refusals; doubts."""

    def __init__(self, suggestion: Suggestion) -> None:
        self.suggestion = suggestion
        self.values: dict[tuple[str, Instant], dict[str, Any]] = {}
        self.refusals: list[tuple[int, str, str]] = []
        self.hidden = 0

    def at(self, moment: str, thing: str = ONE) -> dict[str, Any]:
        """The values of a thing at a local moment."""
        return self.values[thing, local(moment)]

    @property
    def doubts(self) -> set[str]:
        """What a person should look at."""
        return {one.kind for one in self.suggestion.doubts}


async def understood(path: Path, sheet: int | None = None, **changes: Any) -> Understood:
    look = await look_into(path)
    first = next(place for place, one in enumerate(look.sheets) if not one.hidden)
    choice = TableChoice(first if sheet is None else sheet, look.letters, look.encoding, look.separator)
    rows = [row async for batch in read_rows(path, choice) for row in batch]
    headings = find_headings(rows)
    assert headings is not None
    suggestion = suggest(headings, rows, AIR, WORDS)
    found = Understood(suggestion)
    mapping = msgspec.structs.replace(suggestion.mapping, **changes)
    assert faults_of(mapping, AIR) == []
    judge = RowJudge(mapping, AIR, THINGS, now=NOW)
    for row in rows:
        if row.number <= headings.last:
            continue
        if row.hidden:
            found.hidden += 1
            continue
        judged = judge.judge(row)
        if judged.sheet_row is not None:
            found.values[judged.sheet_row.entity_id, judged.sheet_row.observed_at] = {
                value.attribute.name: value.value for value in judged.sheet_row.values
            }
        found.refusals += [(one.row, one.column, one.reason) for one in judged.refusals]
    return found


@pytest.fixture
def text(tmp_path: Path) -> Callable[..., Path]:
    def made(content: str, encoding: str = "utf-8") -> Path:
        path = tmp_path / "sheet.csv"
        path.write_bytes(content.encode(encoding))
        return path

    return made


@pytest.fixture
def book(tmp_path: Path) -> Callable[..., Path]:
    def made(fill: Callable[[Any, Any], None], **options: Any) -> Path:
        path = tmp_path / "sheet.xlsx"
        workbook = xlsxwriter.Workbook(str(path), options)
        fill(workbook, workbook.add_worksheet("Số liệu"))
        workbook.close()
        return path

    return made


Text = Callable[..., Path]
Book = Callable[..., Path]


async def test_01_decimal_commas_and_days_of_here(text: Text) -> None:
    found = await understood(text("Mã trạm;Thời gian;PM2.5 (µg/m³)\nLH-01;21/11/2026 08:00;12,5\n"))
    assert found.at("2026-11-21T08:00") == {"pm25": 12.5}
    assert found.doubts == set()


async def test_02_thousands_with_points(text: Text) -> None:
    found = await understood(text("Mã trạm;Thời gian;PM2.5 (µg/m³)\nLH-01;21/11/2026 08:00;1.234,5\n"))
    assert found.at("2026-11-21T08:00") == {"pm25": 1234.5}


async def test_03_decimal_points_and_thousands_with_commas(text: Text) -> None:
    sheet = (
        'station,datetime,"PM2.5 (ug/m3)"\nLH-01,2026-11-21 08:00,"1,234.5"\nLH-01,2026-11-21 09:00,12.5\n'
    )
    found = await understood(text(sheet))
    assert found.at("2026-11-21T08:00") == {"pm25": 1234.5}
    assert found.at("2026-11-21T09:00") == {"pm25": 12.5}


async def test_04_numbers_that_can_be_read_both_ways_are_told(text: Text) -> None:
    found = await understood(text("Mã trạm;Thời gian;PM2.5 (µg/m³)\nLH-01;21/11/2026 08:00;1.234\n"))
    assert found.doubts == {"decimal"}
    assert found.at("2026-11-21T08:00") == {"pm25": 1234}


async def test_05_a_title_two_rows_of_headings_and_merged_cells(book: Book) -> None:
    def fill(workbook: Any, sheet: Any) -> None:
        del workbook
        sheet.merge_range("A1:E1", "BÁO CÁO QUAN TRẮC KHÔNG KHÍ THÁNG 11")
        sheet.merge_range("A3:A4", "Mã trạm")
        sheet.merge_range("B3:B4", "Thời gian")
        sheet.merge_range("C3:D3", "Bụi")
        sheet.write_row("C4", ["PM2.5 (µg/m³)", "PM10 (µg/m³)"])
        sheet.write("E3", "Nhiệt độ (°C)")
        sheet.write_row("A5", ["LH-01", "21/11/2026 08:00", 12.5, 30, 20])

    found = await understood(book(fill))
    assert [one.title for one in found.suggestion.mapping.columns] == [
        "Mã trạm", "Thời gian", "Bụi PM2.5 (µg/m³)", "Bụi PM10 (µg/m³)", "Nhiệt độ (°C)",
    ]  # fmt: skip
    assert found.at("2026-11-21T08:00") == {"pm25": 12.5, "pm10": 30, "temperature": 20}


async def test_06_units_are_converted(text: Text) -> None:
    sheet = (
        "Mã trạm;Thời gian;Độ ẩm (%);Tốc độ gió (km/h);Bụi PM10 (mg/m³)\nLH-01;21/11/2026 08:00;85;36;0,05\n"
    )
    found = await understood(text(sheet))
    assert found.at("2026-11-21T08:00") == {"relativeHumidity": 0.85, "windSpeed": 10.0, "pm10": 50.0}


async def test_07_a_unit_of_something_else_is_refused(text: Text) -> None:
    found = await understood(text("Mã trạm;Thời gian;Nhiệt độ (m/s);PM10\nLH-01;21/11/2026 08:00;20;5\n"))
    assert found.refusals == [(2, "Nhiệt độ (m/s)", "unit-differs")]


async def test_08_tcvn3(text: Text) -> None:
    sheet = "M· tr¹m;Thêi gian;NhiÖt ®é (°C);§é Èm (%)\nLH-01;21/11/2026 08:00;20,5;80\n"
    found = await understood(text(sheet, "cp1252"))
    assert found.at("2026-11-21T08:00") == {"temperature": 20.5, "relativeHumidity": 0.8}


async def test_09_vni(text: Text) -> None:
    sheet = "Maõ traïm;Thôøi gian;Nhieät ñoä (°C)\nLH-01;21/11/2026 08:00;20,5\n"
    found = await understood(text(sheet, "cp1252"))
    assert found.at("2026-11-21T08:00") == {"temperature": 20.5}


async def test_10_utf_16_with_tabs_as_a_spreadsheet_saves_it(text: Text) -> None:
    found = await understood(
        text("Mã trạm\tThời gian\tNhiệt độ (°C)\r\nLH-01\t21/11/2026 08:00\t20,5\r\n", "utf-16")
    )
    assert found.at("2026-11-21T08:00") == {"temperature": 20.5}


async def test_11_windows_1258(tmp_path: Path) -> None:
    path = tmp_path / "sheet.csv"
    path.write_bytes(
        "Ma\u0303 tra\u0323m;Thơ\u0300i gian;Nhiê\u0323t đô\u0323 (°C)\nLH-01;21/11/2026 08:00;20,5\n".encode(
            "cp1258"
        )
    )
    assert (await understood(path)).at("2026-11-21T08:00") == {"temperature": 20.5}


async def test_12_the_day_and_the_hour_in_two_columns(text: Text) -> None:
    sheet = (
        "Mã trạm;Ngày;Giờ;PM10\nLH-01;20/11/2026;8h30;5\nLH-01;20/11/2026;24:00;6\nLH-01;20/11/2026;17;7\n"
    )
    found = await understood(text(sheet))
    assert found.at("2026-11-20T08:30") == {"pm10": 5}
    assert found.at("2026-11-21T00:00") == {"pm10": 6}
    assert found.at("2026-11-20T17:00") == {"pm10": 7}


async def test_13_dates_of_a_workbook_and_serials_that_lost_their_format(book: Book) -> None:
    def fill(workbook: Any, sheet: Any) -> None:
        sheet.write_row(0, 0, ["Mã trạm", "Thời gian", "PM10"])
        dated = workbook.add_format({"num_format": "dd/mm/yyyy hh:mm"})
        sheet.write(1, 0, "LH-01")
        sheet.write_datetime(1, 1, datetime.fromisoformat("2026-11-20T08:00"), dated)
        sheet.write(1, 2, 5)
        sheet.write_row(2, 0, ["LH-01", 46346.5, 6])

    found = await understood(book(fill))
    assert found.at("2026-11-20T08:00") == {"pm10": 5}
    assert found.at("2026-11-20T12:00") == {"pm10": 6}


async def test_14_months_first_are_recognised_by_their_days(text: Text) -> None:
    found = await understood(
        text("Station,Date time,PM10\nLH-01,11/20/2026 08:00,5\nLH-01,11/3/2026 8:00 PM,6\n")
    )
    assert found.at("2026-11-20T08:00") == {"pm10": 5}
    assert found.at("2026-11-03T20:00") == {"pm10": 6}


async def test_15_days_that_leave_the_order_open_are_told(text: Text) -> None:
    found = await understood(text("Mã trạm;Thời gian;PM10\nLH-01;03/11/2026 08:00;5\n"))
    assert found.doubts == {"order"}
    assert found.at("2026-11-03T08:00") == {"pm10": 5}


async def test_16_years_of_two_digits_are_asked_about(text: Text) -> None:
    sheet = text("Mã trạm;Thời gian;PM10\nLH-01;20/11/26 08:00;5\n")
    refused = await understood(sheet)
    assert "short-years" in refused.doubts
    assert refused.refusals == [(2, "Thời gian", "short-year")]
    assert (await understood(sheet, century=2000)).at("2026-11-20T08:00") == {"pm10": 5}


async def test_17_error_cells_dashes_and_words_among_numbers(book: Book) -> None:
    def fill(workbook: Any, sheet: Any) -> None:
        del workbook
        sheet.write_row(0, 0, ["Mã trạm", "Thời gian", "PM10", "Nhiệt độ (°C)"])
        sheet.write_row(1, 0, ["LH-01", "20/11/2026 08:00"])
        sheet.write_formula(1, 2, "=NA()", None, "#N/A")
        sheet.write(1, 3, "-")
        sheet.write_row(2, 0, ["LH-01", "20/11/2026 09:00", "hỏng máy", 20])
        sheet.write_row(3, 0, ["LH-01", "20/11/2026 10:00"])
        sheet.write_formula(3, 2, "=2*3", None, 6)

    found = await understood(book(fill))
    assert found.refusals == [(2, "PM10", "error-cell"), (3, "PM10", "not-a-number")]
    assert found.at("2026-11-20T09:00") == {"temperature": 20}
    assert found.at("2026-11-20T10:00") == {"pm10": 6}


async def test_18_hidden_sheets_and_rows_are_left_out(book: Book) -> None:
    def fill(workbook: Any, sheet: Any) -> None:
        sheet.write_row(0, 0, ["Mã trạm", "Thời gian", "PM10"])
        sheet.write_row(1, 0, ["LH-01", "20/11/2026 08:00", 5])
        sheet.write_row(2, 0, ["LH-01", "20/11/2026 09:00", 999])
        sheet.set_row(2, None, None, {"hidden": True})
        workbook.add_worksheet("Nháp").hide()

    found = await understood(book(fill))
    assert (len(found.values), found.hidden) == (1, 1)


async def test_19_things_by_name_and_unknown_ones(text: Text) -> None:
    sheet = (
        "Tên trạm;Thời gian;PM10\ntram lien hiep 2;20/11/2026 08:00;5\n"
        "Trạm Lạ;20/11/2026 08:00;6\n;20/11/2026 08:00;7\n"
    )
    found = await understood(text(sheet))
    assert found.at("2026-11-20T08:00", ONE.replace("01", "02")) == {"pm10": 5}
    assert [one[2] for one in found.refusals] == ["thing-unknown", "no-thing"]


async def test_20_rows_that_repeat_or_contradict_an_earlier_one(text: Text) -> None:
    sheet = "Mã trạm;Thời gian;PM10\nLH-01;20/11/2026 08:00;5\nLH-01;20/11/2026 8h;6\n"
    found = await understood(text(sheet))
    assert found.refusals == [(3, "", "same-row")]
    assert found.at("2026-11-20T08:00") == {"pm10": 5}


async def test_21_what_cannot_be_is_refused_where_it_stands(text: Text) -> None:
    sheet = (
        "Mã trạm;Thời gian;PM10;Nhiệt độ (°C)\nLH-01;31/02/2026 08:00;5;20\nLH-01;20/11/2027 08:00;5;20\n"
        "LH-01;20/11/1998 08:00;5;20\nLH-01;20/11/2026 08:00;-5;200\nLH-01;20/11/2026 09:00;-999;20\n"
    )
    found = await understood(text(sheet))
    assert found.refusals == [
        (2, "Thời gian", "not-a-moment"),
        (3, "Thời gian", "observed-in-future"),
        (4, "Thời gian", "observed-too-long-ago"),
        (5, "PM10", "out-of-range"),
        (5, "Nhiệt độ (°C)", "out-of-range"),
    ]


async def test_22_positions(text: Text) -> None:
    sheet = (
        "Mã trạm;Thời gian;Kinh độ;Vĩ độ\nLH-01;20/11/2026 8:00;108,44;11,94\nLH-02;20/11/2026 8:00;108,44;\n"
    )
    found = await understood(text(sheet))
    assert found.at("2026-11-20T08:00")["location"] == {"type": "Point", "coordinates": [108.44, 11.94]}
    assert [one[2] for one in found.refusals] == ["half-position"]


async def test_23_rows_shorter_and_longer_than_the_headings(text: Text) -> None:
    sheet = (
        "Mã trạm;Thời gian;PM10;Nhiệt độ (°C)\nLH-01;20/11/2026 8:00;5\nLH-01;20/11/2026 9:00;6;20;thừa;x\n"
    )
    found = await understood(text(sheet))
    assert found.at("2026-11-20T08:00") == {"pm10": 5}
    assert found.at("2026-11-20T09:00") == {"pm10": 6, "temperature": 20}
    assert found.refusals == []


async def test_24_days_in_words(text: Text) -> None:
    found = await understood(text("Mã trạm;Thời điểm;PM10\nLH-01;08:30 ngày 20 tháng 11 năm 2026;5\n"))
    assert found.at("2026-11-20T08:30") == {"pm10": 5}
