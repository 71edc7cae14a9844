"""Carry the outlines of the wards that the demo's stations name, for the test that they are inside.

    python tools/carry_demo_wards.py SOURCE.geojson

SOURCE is a GeoJSON of ward polygons with `code` and `name`. Rings are simplified to about
20 m (Douglas-Peucker) and written as one JSON file with its provenance.
"""

import json
import math
import sys
from pathlib import Path
from typing import Any

CARRIED = Path(__file__).parents[1] / "tests" / "demo" / "ward_outlines.json"

WARDS = {"22945", "22924", "22918", "21583", "21592", "21553"}

PROVENANCE = (
    "Outlines of six wards as of 1 July 2025, from github.com/thanglequoc/vietnamese-provinces-database "
    "at cd58063299585146ded3981f2272946ef19ced54 (MIT, (c) 2021 Thang Le Quoc), which derived them from "
    "sapnhap.bando.com.vn (Vietnam Natural Resources, Environment and Cartography Publishing House). "
    "Simplified to about 20 m by tools/carry_demo_wards.py. Names are those of the product's glossary."
)

_METRES_A_DEGREE = 111_320.0
_TOLERANCE_M = 20.0

Position = tuple[float, float]


def simplify(line: list[Position]) -> list[Position]:
    """The line without the points that lie within the tolerance of what remains."""
    keep = {0, len(line) - 1}
    spans = [(0, len(line) - 1)]
    while spans:
        first, last = spans.pop()
        farthest, distance = first, _TOLERANCE_M
        for index in range(first + 1, last):
            away = _metres_from(line[index], line[first], line[last])
            if away > distance:
                farthest, distance = index, away
        if farthest != first:
            keep.add(farthest)
            spans += [(first, farthest), (farthest, last)]
    return [line[index] for index in sorted(keep)]


def _metres_from(point: Position, start: Position, end: Position) -> float:
    east = math.cos(math.radians(point[1]))
    ax, ay = (start[0] - point[0]) * east, start[1] - point[1]
    bx, by = (end[0] - point[0]) * east, end[1] - point[1]
    dx, dy = bx - ax, by - ay
    along = 0.0 if dx == dy == 0 else max(0.0, min(1.0, -(ax * dx + ay * dy) / (dx * dx + dy * dy)))
    return math.hypot(ax + along * dx, ay + along * dy) * _METRES_A_DEGREE


def simplify_ring(ring: list[Position]) -> list[Position]:
    """A closed ring, simplified in two halves: its ends are one point, which has no direction."""
    middle = len(ring) // 2
    return simplify(ring[: middle + 1])[:-1] + simplify(ring[middle:])


def carry(source: Path) -> dict[str, Any]:
    """The outlines by ward code."""
    found: dict[str, Any] = {}
    for feature in json.loads(source.read_text(encoding="utf-8"))["features"]:
        code = feature["properties"]["code"]
        if code not in WARDS:
            continue
        found[code] = {
            "name": feature["properties"]["fullName"].replace("Thuỷ", "Thủy"),
            "province": feature["properties"]["province"],
            "polygons": [
                [
                    [[round(x, 5), round(y, 5)] for x, y in simplify_ring([(p[0], p[1]) for p in ring])]
                    for ring in polygon
                ]
                for polygon in feature["geometry"]["coordinates"]
            ],
        }
    if set(found) != WARDS:
        raise ValueError(f"wards not found: {', '.join(sorted(WARDS - set(found)))}")
    return {"provenance": PROVENANCE, "wards": dict(sorted(found.items()))}


if __name__ == "__main__":
    text = json.dumps(carry(Path(sys.argv[1])), ensure_ascii=False, separators=(",", ":"))
    CARRIED.write_text(text.replace('},"', '},\n"') + "\n", encoding="utf-8")
    print(f"{CARRIED.name}: {len(text.encode()):,} bytes")
