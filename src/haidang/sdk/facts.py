"""The file of facts that a pack ships: JSON, one line an entity, so that releases can be compared.

```
{"facts": 1, "provenance": "…", "retrieved": "2026-02-09", "shared": {"source": "…"},
"entities": [
{"id": "urn:ngsi-ld:PointOfInterest:…", "values": {"name": "…", "location": {…}}}
]}
```

Values stand under the short names of the entity type; `shared` ones belong to every entity.
"""

from collections.abc import Mapping
from datetime import date
from typing import Any, Literal

import msgspec

from haidang.kernel.errors import Invalid


class FactsUnreadable(Invalid):
    """The facts {facts_id} cannot be read: {reason}."""


class FactEntity(msgspec.Struct, frozen=True):
    """One thing: its id and its values by short names."""

    id: str
    values: Mapping[str, Any]


class FactsFile(msgspec.Struct, frozen=True):
    """What the file says of itself, and its things."""

    facts: Literal[1]
    provenance: str
    retrieved: date
    entities: tuple[FactEntity, ...]
    shared: Mapping[str, Any] = {}


_READER = msgspec.json.Decoder(FactsFile)


def read_facts(facts_id: str, content: bytes) -> FactsFile:
    """The file, read; raises FactsUnreadable."""
    try:
        return _READER.decode(content)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as wrong:
        raise FactsUnreadable(facts_id=facts_id, reason=str(wrong)) from None
