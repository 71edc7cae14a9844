"""Carry the hospitals of the pilot provinces into the health pack's own file of facts.

    python tools/carry_hospitals.py FOLDER

FOLDER holds `hospitals_osm.geojson`: places with a name, a rough class, an address and the ward of
1 July 2025 they lie in. Kept is what its name says to be a hospital or a medical centre (trung tâm y
tế, which in most districts is the hospital); what is left out is printed with the reason. The file
is a Derivative Database of OpenStreetMap under the ODbL and stays by itself for that.
"""

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from haidang.kernel.text import collation_key, fold, nfc

CARRIED = Path(__file__).parents[1] / "src" / "haidang" / "packs" / "health" / "hospitals.json"
SOURCE = "hospitals_osm.geojson"
PROVENANCE = (
    "Hospitals and medical centres of Lâm Đồng and Gia Lai, (c) OpenStreetMap contributors, ODbL 1.0,"
    " as gathered in github.com/Benkaz3/hospital-search at 6815508c5e151ced476d8d27c1b1a3be51d02f17"
    " (2026-02-09). Changed: places that are no hospital left out, names tidied, ward and province of"
    " 1 July 2025 added, by tools/carry_hospitals.py."
)
RETRIEVED = "2026-02-09"
KINDS = {
    "hospital": re.compile(r"(?:bệnh viện|bv)\s", re.IGNORECASE),
    "medical-centre": re.compile(r"trung tâm y tế\s", re.IGNORECASE),
}
LEFT_OUT = {
    "an phuoc": "no hospital, as the source's own description says",
    "nguyen hong trang ke toan truong bv cu jut": "the name of a private person",
}
PROVINCES = {
    "Tỉnh Bình Thuận": "Tỉnh Lâm Đồng",
    "Tỉnh Đắk Nông": "Tỉnh Lâm Đồng",
    "Tỉnh Lâm Đồng": "Tỉnh Lâm Đồng",
    "Tỉnh Bình Định": "Tỉnh Gia Lai",
    "Tỉnh Gia Lai": "Tỉnh Gia Lai",
}


def kind_of(name: str) -> str | None:
    """`hospital` or `medical-centre` by how the name begins; None for anything else."""
    return next((kind for kind, pattern in KINDS.items() if pattern.match(nfc(name))), None)


def tidy_street(address: str) -> str:
    """The address without what says no more than the province or the ward; empty when nothing is left."""
    provinces = {name.removeprefix("Tỉnh ") for name in PROVINCES}
    parts = [part.strip() for part in nfc(address).split(",")]
    kept = [
        part
        for part in parts
        if re.search(r"[^\W\d_]", part)
        and part not in provinces
        and not re.match(r"(?:tỉnh|phường|xã|đặc khu)\s", part, re.IGNORECASE)
    ]
    return ", ".join(kept)


def entity_of(properties: dict[str, Any], coordinates: list[float], kind: str) -> dict[str, Any]:
    """One hospital as the facts file has it; what the source does not know is not there."""
    name = nfc(" ".join(properties["name"].split()))
    values: dict[str, Any] = {
        "name": name[0].upper() + name[1:],
        "category": [kind],
        "location": {"type": "Point", "coordinates": [round(coordinates[0], 6), round(coordinates[1], 6)]},
        "address": {
            "addressCountry": "VN",
            "addressRegion": PROVINCES[nfc(properties["oldProvince"])],
            "addressLocality": nfc(properties["ward"]),
        },
    }
    if street := tidy_street(properties["address"]):
        values["address"]["streetAddress"] = street
    if properties["phone"]:
        values["contactPoint"] = {"telephone": properties["phone"]}
    slug = f"{fold(name).replace(' ', '-')}-{properties['wardCode']}"
    return {"id": f"urn:ngsi-ld:PointOfInterest:{slug}", "values": values}


def carry(source: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Every hospital and medical centre; prints what is left out and why."""
    for feature in source["features"]:
        properties = feature["properties"]
        reason = LEFT_OUT.get(fold(properties["name"]))
        kind = kind_of(properties["name"])
        if reason is None and kind is not None:
            yield entity_of(properties, feature["geometry"]["coordinates"], kind)
        else:
            shown = properties["name"] if reason is None else fold(properties["name"])[:10] + "…"
            print(f"left out: {shown}: {reason or 'neither a hospital nor a medical centre by its name'}")


def main(folder: Path) -> None:
    """Write the file."""
    found = sorted(
        carry(json.loads((folder / SOURCE).read_text("utf-8"))),
        key=lambda one: (collation_key(one["values"]["address"]["addressRegion"]), one["id"]),
    )
    if len({one["id"] for one in found}) != len(found):
        raise ValueError("two hospitals of one name in one ward")
    head = {
        "facts": 1,
        "provenance": PROVENANCE,
        "retrieved": RETRIEVED,
        "shared": {"dataProvider": "OpenStreetMap", "source": "OpenStreetMap", "license": "ODbL-1.0"},
    }
    lines = [json.dumps(one, ensure_ascii=False, separators=(",", ":")) for one in found]
    opening = json.dumps(head, ensure_ascii=False, indent=0)[:-2]
    CARRIED.write_text(opening + ',\n"entities": [\n' + ",\n".join(lines) + "\n]\n}\n", "utf-8")
    print(f"{CARRIED.name}: {len(found)} entities, {CARRIED.stat().st_size:,} bytes")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
