"""Carry monthly climate normals into the environment pack: means over the years of the station's record.

    python tools/carry_normals.py FOLDER

FOLDER holds `monthly_climate_stations_1976_2017.csv`: one row a station and month. Kept are the stations
of the pilot provinces, each month's mean over the years that have a value, and how many those are.
"""

import csv
import json
import sys
from collections import defaultdict
from pathlib import Path
from statistics import mean

CARRIED = Path(__file__).parents[1] / "src" / "haidang" / "packs" / "environment" / "normals.json"
SOURCE = "monthly_climate_stations_1976_2017.csv"
PROVENANCE = (
    "Monthly climate at stations of the Viet Nam Institute of Meteorology, Hydrology and Climate Change"
    " (IMHEN), as kept in github.com/epix-project/imhen at c6455575f9b9ed9adeba5a411df8a856737ff924 (MIT,"
    " (c) 2018 Marc Choisy; IMHEN's own terms are not stated). Changed: five stations, means over the years,"
    " by tools/carry_normals.py."
)
STATIONS = {
    "Phan Thiet": ("Phan Thiết", "Tỉnh Lâm Đồng"),
    "Phu Quy": ("Phú Quý", "Tỉnh Lâm Đồng"),
    "Da Lat": ("Đà Lạt", "Tỉnh Lâm Đồng"),
    "Quy Nhon": ("Quy Nhơn", "Tỉnh Gia Lai"),
    "Pleiku": ("Pleiku", "Tỉnh Gia Lai"),
}
COLUMNS = {
    "mean_c": "t_mean_c",
    "highest_c": "t_max_c",
    "lowest_c": "t_min_c",
    "rain_mm": "rain_mm",
    "humidity_pct": "rel_humidity_pct",
    "sunshine_h": "sunshine_h",
}


def normals_of(rows: list[dict[str, str]], since: int, until: int) -> dict[str, list[float | None]]:
    """Each quantity's twelve means, to a tenth; None for a month that has fewer than 30 years."""
    found: dict[str, list[float | None]] = {}
    for name, column in COLUMNS.items():
        by_month: dict[int, list[float]] = defaultdict(list)
        for row in rows:
            if since <= int(row["year"]) <= until and row[column] not in ("", "NA"):
                by_month[int(row["month"])].append(float(row[column]))
        found[name] = [
            round(mean(by_month[month]), 1) if len(by_month[month]) >= 30 else None for month in range(1, 13)
        ]
    return found


def main(folder: Path) -> None:
    """Write the file anew."""
    with (folder / SOURCE).open(encoding="utf-8", newline="") as source:
        rows = list(csv.DictReader(source))
    lines = []
    for name, (shown, province) in STATIONS.items():
        own = [row for row in rows if row["station"] == name]
        years = sorted({int(row["year"]) for row in own})
        since, until = max(years[0], 1979), years[-1]
        station = {"name": shown, "province": province, "since": since, "until": until}
        lines.append(json.dumps(station | normals_of(own, since, until), ensure_ascii=False))
    text = json.dumps({"provenance": PROVENANCE}, ensure_ascii=False)[:-1]
    CARRIED.write_text(text + ',\n"stations": [\n' + ",\n".join(lines) + "\n]}\n", encoding="utf-8")
    print(f"carried {len(lines)} stations")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
