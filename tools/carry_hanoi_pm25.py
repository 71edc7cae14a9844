"""Carry the Hà Nội hourly PM2.5 record into the demo's own compact form.

    python tools/carry_hanoi_pm25.py SOURCE.csv

SOURCE has the columns local_time (ISO 8601, +07:00), pm25_raw_ugm3 and qc; the foreign index
and NowCast columns beside them are not carried. One line a day: the date and its hours ending
01:00 … 24:00, each a concentration in µg/m³ followed by `?` when flagged suspect or `!` when
flagged invalid; `-` where the record says missing, `.` where it has no row.
"""

import csv
import sys
from collections import defaultdict
from datetime import date, datetime, timedelta
from pathlib import Path

CARRIED = Path(__file__).parents[1] / "src" / "haidang" / "demo" / "hanoi_pm25.txt"

MARKS = {"Valid": "", "Suspect": "?", "Invalid": "!"}

HEADER = """\
# Hourly PM2.5 in Hà Nội, January 2016 to July 2020, in µg/m³.
# Measured by: the U.S. Embassy in Hà Nội, published by AirNow (U.S. EPA and Department of State).
# Source: files of airnow.gov / dosairnowdata, as kept in github.com/kikyou21/hanoiair
#   at d86c986c16b74dfa14510f2e54d4ecdc2814ee78 (MIT); duplicate hours had been dropped there on.
# Licence: work of the U.S. government, in the public domain. AirNow asks to be named and says:
#   these data are not fully verified or validated, and are subject to change.
# Carried by tools/carry_hanoi_pm25.py: only the raw hourly concentration and its quality flag.
#   The U.S. index and NowCast of the source are not used: Viet Nam has its own.
# One line a day, its hours ending 01:00 to 24:00 (UTC+7). After a value: ? suspect, ! invalid.
#   In place of a value: - missing (the source's -999), . no row in the source.
"""


def carry(source: Path) -> str:
    """The compact form of the record; raises on a flag or an hour that is not understood."""
    days: dict[date, list[str]] = defaultdict(lambda: ["."] * 24)
    with source.open(encoding="utf-8", newline="") as lines:
        for row in csv.DictReader(lines):
            ends = datetime.fromisoformat(row["local_time"])
            if (ends.minute, ends.second) != (0, 0) or ends.utcoffset() != timedelta(hours=7):
                raise ValueError(f"not an hour of Hà Nội: {row['local_time']}")
            begins = ends - timedelta(hours=1)
            value = float(row["pm25_raw_ugm3"])
            if row["qc"] == "Missing":
                if value != -999:
                    raise ValueError(f"missing, yet {value}: {row['local_time']}")
                text = "-"
            else:
                text = f"{value:g}{MARKS[row['qc']]}"
            days[begins.date()][begins.hour] = text
    return HEADER + "".join(f"{day} {' '.join(days[day])}\n" for day in sorted(days))


if __name__ == "__main__":
    text = carry(Path(sys.argv[1]))
    CARRIED.write_text(text, encoding="utf-8")
    print(f"{CARRIED.name}: {len(text.encode()):,} bytes")
