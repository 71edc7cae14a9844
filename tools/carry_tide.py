"""Carry the tidal constituents of Quy Nhơn into the environment pack's own file of facts.

    python tools/carry_tide.py FOLDER

FOLDER holds `qui_nhon-381-vnm-uhslc_fd.json` of openwatersio/tide-database (TICON-4, CC BY 4.0).
Kept are the constituents of a millimetre and more; what is left out is printed with what it amounts
to together. Heights are counted from the lowest astronomical tide, as the source gives it.
"""

import json
import sys
from pathlib import Path
from typing import Any

from haidang.packs.environment.tide import ARGUMENTS, FILE

CARRIED = Path(__file__).parents[1] / "src" / "haidang" / "packs" / "environment" / FILE
SOURCE = "qui_nhon-381-vnm-uhslc_fd.json"
LEAST_M = 0.001
PROVENANCE = (
    "Tidal constituents of Quy Nhơn from TICON-4 (Hart-Davis, Dettmering, Seitz: SEANOE 109129; from"
    " GESLA-4, UHSLC gauge 381), as kept in github.com/openwatersio/tide-database at"
    " f7465efa0ece09263c93123b5024e6a6da897867, CC BY 4.0. Changed: constituents under a millimetre left"
    " out, figures rounded, heights counted from the lowest astronomical tide, by tools/carry_tide.py."
)
RETRIEVED = "2026-11-21"


def carried(source: dict[str, Any]) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The entity, and the constituents that were left out; refuses one that has no argument here."""
    every = source["harmonic_constituents"]
    kept = [one for one in every if one["amplitude"] >= LEAST_M]
    unknown = [one["name"] for one in kept if one["name"] not in ARGUMENTS]
    if unknown:
        raise SystemExit(f"no astronomical argument for {', '.join(unknown)}")
    datums = source["datums"]
    values = {
        "name": "Quy Nhơn",
        "location": {"type": "Point", "coordinates": [source["longitude"], source["latitude"]]},
        "datum": "LAT",
        "meanLevel": round(datums["MSL"] - datums["LAT"], 3),
        "record": f"{source['epoch']['start']}/{source['epoch']['end']}",
        "constituents": [
            {"name": one["name"], "amplitude": round(one["amplitude"], 4), "phase": round(one["phase"], 2)}
            for one in sorted(kept, key=lambda one: -one["amplitude"])
        ],
        "forecast": "/thuy-trieu.csv",
    }
    return {"id": "urn:ngsi-ld:TideStation:quy-nhon", "values": values}, [
        one for one in every if one not in kept
    ]


def main(folder: Path) -> None:
    """Write the file anew."""
    entity, left_out = carried(json.loads((folder / SOURCE).read_text(encoding="utf-8")))
    shared = {
        "source": "TICON-4 (SEANOE 109129)",
        "dataProvider": "University of Hawaii Sea Level Center, GESLA-4",
        "license": "CC-BY-4.0",
    }
    head = {"facts": 1, "provenance": PROVENANCE, "retrieved": RETRIEVED, "shared": shared}
    lines = json.dumps(head, ensure_ascii=False)[:-1] + ',\n"entities": [\n'
    lines += json.dumps(entity, ensure_ascii=False, separators=(",", ":")) + "\n]}\n"
    CARRIED.write_text(lines, encoding="utf-8")
    together = sum(one["amplitude"] for one in left_out)
    print(
        f"kept {len(entity['values']['constituents'])}; left out, together at most {together * 1000:.1f} mm:"
    )
    print("  ", ", ".join(one["name"] for one in left_out))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
