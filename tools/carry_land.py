"""Carry the land that maps are drawn on: the 34 provinces, coarse, and the land of the neighbours.

    python tools/carry_land.py PROVINCES.geojson NEIGHBOURS.geojson

PROVINCES has `code`, `name`, `fullName`, `nameEn`; the islands of Hoàng Sa and Trường Sa are parts of
Đà Nẵng and Khánh Hòa there. NEIGHBOURS has whatever other countries claim in the East Sea taken out;
neighbours are land to us and bear no names. Positions become whole steps of 1/10,000 degree, each as
the difference to the one before; the names of the two archipelagos are ours.
"""

import json
import sys
from pathlib import Path
from typing import Any

CARRIED = Path(__file__).parents[1] / "src" / "haidang" / "places" / "facts" / "land.json"
STEPS_A_DEGREE = 10_000
PROVENANCE = (
    "Provinces: coarse outlines as of 1 July 2025, from github.com/thanglequoc/vietnamese-provinces-database "
    "at cd58063299585146ded3981f2272946ef19ced54 (MIT, (c) 2021 Thang Le Quoc), which derived them from "
    "sapnhap.bando.com.vn (Vietnam Natural Resources, Environment and Cartography Publishing House), "
    "simplified to about 660 m. Neighbours: Natural Earth 1:10m (public domain) as in world-atlas 2.0.2 "
    "(ISC), clipped, with Vietnam and every foreign feature among the islands of the East Sea taken out."
)
ARCHIPELAGOS = (
    {
        "name": "Quần đảo Hoàng Sa",
        "name_en": "Hoàng Sa (Paracel Islands)",
        "code": "48",
        "box": [110, 15.3, 114, 17.5],
    },
    {
        "name": "Quần đảo Trường Sa",
        "name_en": "Trường Sa (Spratly Islands)",
        "code": "56",
        "box": [109.4, 6, 118, 12],
    },
)


def steps(ring: list[list[float]]) -> list[int]:
    """A ring without its last corner, which repeats the first: x and y by turns, differences."""
    found: list[int] = []
    before = (0, 0)
    for longitude, latitude in ring[:-1]:
        at = (round(longitude * STEPS_A_DEGREE), round(latitude * STEPS_A_DEGREE))
        found += [at[0] - before[0], at[1] - before[1]]
        before = at
    return found


def carried(feature: dict[str, Any], **properties: Any) -> dict[str, Any]:
    """A feature with its polygons in steps."""
    geometry = feature["geometry"]
    polygons = geometry["coordinates"] if geometry["type"] == "MultiPolygon" else [geometry["coordinates"]]
    return {**properties, "polygons": [[steps(ring) for ring in polygon] for polygon in polygons]}


def carry(provinces: dict[str, Any], neighbours: dict[str, Any]) -> dict[str, Any]:
    """The facts; refuses a list that is not one of 34 provinces with both archipelagos."""
    found = [
        carried(
            one,
            code=one["properties"]["code"],
            name=one["properties"]["name"],
            full_name=one["properties"]["fullName"],
            name_en=one["properties"]["nameEn"],
        )
        for one in provinces["features"]
    ]
    if len(found) != 34:
        raise ValueError(f"{len(found)} provinces, not 34")
    for archipelago in ARCHIPELAGOS:
        west, south, east, north = archipelago["box"]
        (province,) = [one for one in found if one["code"] == archipelago["code"]]
        corners = [polygon[0][:2] for polygon in province["polygons"]]
        if not any(
            west <= x / STEPS_A_DEGREE <= east and south <= y / STEPS_A_DEGREE <= north for x, y in corners
        ):
            raise ValueError(f"{province['name']} has no island in {archipelago['name']}")
    return {
        "provenance": PROVENANCE,
        "steps_a_degree": STEPS_A_DEGREE,
        "archipelagos": ARCHIPELAGOS,
        "provinces": found,
        "neighbours": [carried(one) for one in neighbours["features"]],
    }


if __name__ == "__main__":
    sources = [json.loads(Path(one).read_text(encoding="utf-8")) for one in sys.argv[1:3]]
    text = json.dumps(carry(*sources), ensure_ascii=False, separators=(",", ":"))
    CARRIED.write_text(text.replace('},{"', '},\n{"') + "\n", encoding="utf-8")
    print(f"{CARRIED.name}: {len(text.encode()):,} bytes")
