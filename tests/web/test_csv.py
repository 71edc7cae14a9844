"""Tables for download: plain numbers, whole moments, no formulas."""

import csv
import io
from datetime import UTC, date, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as some

from haidang.sdk.model import CsvTable
from haidang.web.portal.pages import csv_cell, csv_text


@pytest.mark.parametrize(
    ("value", "cell"),
    [
        (None, ""),
        (True, "true"),
        (30.0, "30"),
        (30.25, "30.25"),
        (1e-7, "0.0000001"),
        (1e21, "1000000000000000000000"),
        (-999.0, "-999"),
        (float("nan"), ""),
        (float("inf"), ""),
        (12, "12"),
        (Decimal("1.50"), "1.50"),
        (datetime(2026, 11, 21, 5, tzinfo=UTC), "2026-11-21T05:00:00Z"),
        (date(2026, 11, 21), "2026-11-21"),
        ("Phú Thủy", "Phú Thủy"),
        ("=1+1", "'=1+1"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("-1", "'-1"),
        ("\t=1", "'\t=1"),
        ("", ""),
    ],
)
def test_a_cell_is_plain(value: object, cell: str) -> None:
    assert csv_cell(value) == cell


@given(some.floats(allow_nan=False, allow_infinity=False))
def test_a_number_comes_back_as_it_was(number: float) -> None:
    text = csv_cell(number)
    assert float(text) == number
    assert "e" not in text


@given(some.lists(some.lists(some.text(), min_size=2, max_size=2)))
def test_whatever_stands_in_a_cell_no_cell_is_a_formula_and_no_row_breaks(rows: list[list[str]]) -> None:
    text = csv_text(CsvTable("t", ("a", "b"), rows))
    read = list(csv.reader(io.StringIO(text.removeprefix("\ufeff"), newline="")))
    assert len(read) == len(rows) + 1
    for cells, row in zip(read[1:], rows, strict=True):
        assert [cell.removeprefix("'") if cell.startswith("'") else cell for cell in cells] == [
            cell.removeprefix("'") if cell.startswith("'") else cell for cell in row
        ]
        assert not any(cell.startswith(("=", "+", "-", "@", "\t", "\r", "\n")) for cell in cells)
