"""What screens are told at once, as bytes that all who see the same are sent; pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import orjson

from haidang.kernel.instants import Instant, format_instant

Layers: TypeAlias = frozenset[str]
"""Ids of layers."""
Changed: TypeAlias = dict[str, dict[str, bytes | None]]
"""Marks by layer and entity; None is one that is gone."""


def event_bytes(kind: str, content: bytes, position: int | None = None) -> bytes:
    """One server-sent event; its id is the position in the log from which a client can go on."""
    line = b"" if position is None else b"id: %d\n" % position
    return b"%bevent: %b\ndata: %b\n\n" % (line, kind.encode(), content)


@dataclass(frozen=True, slots=True)
class SourceNews:
    """That a source, or one thing of it, fell silent or is heard again."""

    source_id: str
    subject: str
    since: Instant

    def document(self) -> dict[str, str]:
        """As a screen gets it."""
        return {"sourceId": self.source_id, "subject": self.subject, "since": format_instant(self.since)}


@dataclass(frozen=True, slots=True)
class AlarmNews:
    """What happened to alarms; `changed` is None when nobody knows to which."""

    raised: int = 0
    changed: tuple[str, ...] | None = ()
    counts: Mapping[str, int] = field(default_factory=dict)

    def document(self) -> dict[str, Any]:
        """As a screen gets it."""
        return {"raised": self.raised, "changed": self.changed, "counts": self.counts}

    def then(self, later: "AlarmNews") -> "AlarmNews":
        """This and what came after it, as one."""
        both = self.changed is not None and later.changed is not None
        changed = tuple(dict.fromkeys((*(self.changed or ()), *(later.changed or ())))) if both else None
        return AlarmNews(self.raised + later.raised, changed, later.counts)


@dataclass(slots=True)
class Batch:
    """What screens are told at once. `marks` are by layer and entity; None is one that is gone.

    `said` are events of their own by their kind, whole: how the database is, and the beat.
    """

    position: int
    marks: Mapping[str, Mapping[str, bytes | None]] = field(default_factory=dict)
    alarms: AlarmNews | None = None
    late: tuple[SourceNews, ...] = ()
    back: tuple[SourceNews, ...] = ()
    said: Mapping[str, bytes] = field(default_factory=dict)
    made: dict[Layers, bytes] = field(default_factory=dict)

    def bytes_for(self, layers: Layers) -> bytes:
        """The events of these layers, made once for all who have the same; empty where there are none."""
        found = self.made.get(layers)
        if found is None:
            found = self.made[layers] = self._make(layers)
        return found

    def marks_of(self, layers: Layers) -> int:
        """How many marks these layers are told."""
        return sum(len(marks) for layer, marks in self.marks.items() if layer in layers)

    def then(self, later: "Batch") -> "Batch":
        """This batch and the one after it as one, the newest of each thing."""
        marks = {layer: dict(mine) for layer, mine in self.marks.items()}
        for layer, theirs in later.marks.items():
            marks.setdefault(layer, {}).update(theirs)
        alarms = (
            self.alarms.then(later.alarms) if self.alarms and later.alarms else later.alarms or self.alarms
        )
        return Batch(
            position=later.position,
            marks=marks,
            alarms=alarms,
            late=self.late + later.late,
            back=self.back + later.back,
            said={**self.said, **later.said},
        )

    def _make(self, layers: Layers) -> bytes:
        wanted = {layer: marks for layer, marks in self.marks.items() if layer in layers and marks}
        parts = list(self.said.values())
        if wanted:
            shown = {
                layer: [one for one in marks.values() if one is not None] for layer, marks in wanted.items()
            }
            there = b",".join(
                b"%b:[%b]" % (orjson.dumps(layer), b",".join(marks))
                for layer, marks in shown.items()
                if marks
            )
            gone = {entity_id for marks in wanted.values() for entity_id, one in marks.items() if one is None}
            content = b'{"layers":{%b},"gone":%b}' % (there, orjson.dumps(sorted(gone)))
            parts.append(event_bytes("marks", content, self.position))
        if self.alarms is not None:
            parts.append(event_bytes("alarms", orjson.dumps(self.alarms.document()), self.position))
        if self.late or self.back:
            sources = {
                "late": [one.document() for one in self.late],
                "back": [one.document() for one in self.back],
            }
            parts.append(event_bytes("sources", orjson.dumps(sources), self.position))
        return b"".join(parts)
