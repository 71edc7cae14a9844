"""Carry the State's calendar of 2024 to 2028 into the product's own facts.

    python tools/carry_holidays.py FILE.csv

FILE has one line a day: date, kind, who it applies to, name, legal basis and how sure it is. What is
written about it in English is put into Vietnamese here; days are kept in order, one line each.
"""

import csv
import re
import sys
from collections.abc import Iterator
from pathlib import Path

CARRIED = Path(__file__).parents[1] / "src" / "haidang" / "places" / "facts" / "calendar.tsv"

HEADER = """\
# The State's calendar, 2024 to 2028: days off, days off in exchange, and the workdays that make up for them.
# Carried by tools/carry_holidays.py; provenance in calendar.toml. `published`: decided; `to-be-confirmed`:
# computed ahead, or by a law of which it is not known whether it is in force. An administrator confirms it.
"""

COLUMNS = ("on", "kind", "applies_to", "name", "legal_basis", "status", "note")

BASES = {
    "Labour Code Art. 112 and the decision on the year's holidays": (
        "Bộ luật Lao động, Điều 112, và quyết định về ngày nghỉ của năm"
    ),
    "decision on the year's holidays": "Quyết định về ngày nghỉ của năm",
    "agreed by the Government on 25/12/2025": "Chính phủ đồng ý ngày 25/12/2025",
    "NQ 30/NQ-CP 2026 orders the amendment of Art. 112 of the Labour Code": (
        "Nghị quyết 30/NQ-CP năm 2026, giao sửa đổi Điều 112 Bộ luật Lao động"
    ),
}

STATUSES = {
    "published": ("published", ""),
    "published (press)": ("published", "theo báo chí"),
    "computed; the year's decision is not out": ("to-be-confirmed", "tính trước, chưa có quyết định của năm"),
    "to be confirmed: in force?": ("to-be-confirmed", "chưa rõ luật sửa đổi đã có hiệu lực"),
}

_ISO = re.compile(r"(?:ngày )?(\d{4})-(\d\d)-(\d\d)")
_SLASHED = re.compile(r"(?<!ngày )(?=\b\d\d/\d\d/\d{4})")


def in_words(name: str) -> str:
    """A name with its dates as people write them: 2024-04-29 is ngày 29/04/2024."""
    return _SLASHED.sub("ngày ", _ISO.sub(r"ngày \3/\2/\1", name))


def carried(source: Path) -> Iterator[tuple[str, ...]]:
    """One line a day; what the source says in words that are not known here stops the script."""
    with source.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            status, note = STATUSES[row["status"]]
            yield (
                row["date"],
                row["kind"].replace("_", "-"),
                row["applies_to"].replace("_", "-"),
                in_words(row["name_vi"]),
                BASES[row["legal_basis"].strip()],
                status,
                note,
            )


if __name__ == "__main__":
    lines = sorted(carried(Path(sys.argv[1])))
    text = HEADER + "\n".join("\t".join(line) for line in (COLUMNS, *lines)) + "\n"
    CARRIED.write_text(text, encoding="utf-8")
    print(f"{CARRIED.name}: {len(lines)} days")
