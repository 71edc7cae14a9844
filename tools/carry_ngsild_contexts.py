"""Carry ETSI's NGSI-LD core @context into the product's own compact form.

    python tools/carry_ngsild_contexts.py FOLDER

FOLDER holds `ngsi-ld-core-context-v1.9.jsonld` as ETSI publishes it. Each term becomes its IRI with
the vocabulary `https://uri.etsi.org/ngsi-ld/` left out (a leading `~` stands for it), or that and
its type or container. The scoped context of `ngsildproof`, which would have to be fetched from
another server, is left out.
"""

import json
import sys
from pathlib import Path
from typing import Any

CARRIED = Path(__file__).parents[1] / "src" / "haidang" / "context" / "core_context.json"
SOURCE = "ngsi-ld-core-context-v1.9.jsonld"
VOCABULARY = "https://uri.etsi.org/ngsi-ld/"
NOTICE = (
    "Terms of the NGSI-LD core @context v1.9, Copyright ETSI, licensed under BSD-3-Clause"
    " (https://forge.etsi.org/legal-matters), from https://uri.etsi.org/ngsi-ld/v1/"
    + SOURCE
    + ", in a compact form of our own written by tools/carry_ngsild_contexts.py."
)


def carry(source: dict[str, Any]) -> dict[str, Any]:
    """The compact form; raises on a term that is defined in a way not understood."""
    context = source["@context"]
    prefixes = {name: context[name] for name in ("ngsi-ld", "geojson")}
    terms: dict[str, Any] = {}
    for term, definition in context.items():
        if term.startswith("@") or term in prefixes:
            continue
        if isinstance(definition, str):
            terms[term] = short(definition, prefixes)
            continue
        unknown = set(definition) - {"@id", "@type", "@container", "@context"}
        if unknown:
            raise ValueError(f"{term}: {sorted(unknown)}")
        entry = [short(definition["@id"], prefixes)]
        entry += [definition[name] for name in ("@type", "@container") if name in definition]
        terms[term] = entry if len(entry) > 1 else entry[0]
    return {"notice": NOTICE, "prefixes": prefixes, "vocab": context["@vocab"], "terms": terms}


def short(iri: str, prefixes: dict[str, str]) -> str:
    """An IRI with its prefix expanded and the vocabulary written as `~`."""
    prefix, colon, rest = iri.partition(":")
    whole = prefixes[prefix] + rest if colon and prefix in prefixes else iri
    return "~" + whole.removeprefix(VOCABULARY) if whole.startswith(VOCABULARY) else whole


if __name__ == "__main__":
    document = carry(json.loads((Path(sys.argv[1]) / SOURCE).read_text(encoding="utf-8")))
    CARRIED.write_text(json.dumps(document, ensure_ascii=False, indent=0) + "\n", encoding="utf-8")
    print(f"{CARRIED.name}: {len(document['terms'])} terms")
