"""What a pack's page gives to be drawn: `web` draws it on the server, so that no script is needed."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar: its value (None leaves a gap), `#rrggbb`, what to say of it, and a tick below it or none."""

    value: float | None
    colour: str
    words: str
    tick: str = ""


@dataclass(frozen=True, slots=True)
class Band:
    """A level behind the bars: it ends at `most`; its word stands beside it, its colour at the axis."""

    most: float
    colour: str
    word: str


@dataclass(frozen=True, slots=True)
class Point:
    """One point of a line: its value (None breaks it), its moment in words (or no dot), a tick or none."""

    value: float | None
    words: str
    tick: str = ""


@dataclass(frozen=True, slots=True)
class Threshold:
    """A level that a line is read against: its value and the word beside it."""

    value: float
    word: str
