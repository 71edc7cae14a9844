"""Administrative units as dated facts: what they are, what they became, and what follows from it."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from enum import StrEnum

from haidang.kernel.geometry import Box, Position

TWO_LEVELS_SINCE = date(2025, 7, 1)
"""Provinces and their wards only, without districts (Luật 72/2025/QH15; NQ 203/2025/QH15)."""

SHARE_TOLERANCE = 0.001
"""Shares are written with two or three decimals: what is left over below this is rounding."""


class Level(StrEnum):
    """How high a unit stands. A ward is any unit of the commune level: phường, xã, thị trấn, đặc khu."""

    PROVINCE = "province"
    DISTRICT = "district"
    WARD = "ward"


class LinkKind(StrEnum):
    """How a unit went on: the same land, all of it into a larger one, or pieces of it into several."""

    CONTINUES = "continues"
    MERGE = "merge"
    SPLIT = "split"
    PART = "part"


@dataclass(frozen=True, slots=True)
class Unit:
    """A unit as it was for a time. Its code may be used again for another unit; its id never is.

    `valid_to` is half-open; `valid_from` is None when it began before our records. `accuracy_m` is how
    far the outline we hold may be off; None: we hold no outline. `verified`: checked against the text
    of the law, not only taken from a list. A missing figure is None, never 0. `population_doubtful`: the
    figure as published may lack its last zero; show it as doubtful, add nothing up from it.
    """

    unit_id: str
    level: Level
    kind: str
    code: str
    name: str
    full_name: str
    name_en: str | None = None
    parent_id: str | None = None
    valid_from: date | None = None
    valid_to: date | None = None
    legal_basis: str | None = None
    ended_by: str | None = None
    area_km2: Decimal | None = None
    population: int | None = None
    population_on: date | None = None
    population_doubtful: bool = False
    centre: str | None = None
    label_point: Position | None = None
    box: Box | None = None
    accuracy_m: float | None = None
    verified: bool = False

    def stood_on(self, on: date) -> bool:
        """Whether the unit was there on a day, as far as our records tell."""
        return (self.valid_from is None or self.valid_from <= on) and (
            self.valid_to is None or on < self.valid_to
        )


@dataclass(frozen=True, slots=True)
class Link:
    """One step of one unit into another; `share` is how much of the former's area went there, 0 to 1.

    `people_share` is how much of its people: of some parts the law says that only land went (0), and so
    that all the people stayed with the rest (1). None: not known.
    """

    from_id: str
    to_id: str
    kind: LinkKind
    share: float | None
    takes_effect: date
    legal_basis: str | None = None
    verified: bool = False
    people_share: float | None = None

    @property
    def whole(self) -> bool:
        """Whether all of the former unit went there."""
        return self.kind in (LinkKind.CONTINUES, LinkKind.MERGE)


@dataclass(frozen=True, slots=True)
class UnitAt:
    """The unit a point lies in. `certain`: further from its edge than the outline's accuracy."""

    unit: Unit
    metres_to_edge: float
    certain: bool


@dataclass(frozen=True, slots=True)
class Succession:
    """One step back or forth: the link, and the unit at its other end."""

    link: Link
    unit: Unit


@dataclass(frozen=True, slots=True)
class ReportingArea:
    """A former unit that people still report by: "địa bàn Bình Thuận cũ"."""

    area_id: str
    name: str
    former_id: str


class How(StrEnum):
    """How a figure of a former unit is re-based: only where it went whole, or also by share of area."""

    WHOLE = "whole"
    BY_SHARE = "by-share"


class Weight(StrEnum):
    """What a figure goes with when a unit was split: its land, or its people."""

    AREA = "area"
    PEOPLE = "people"


class Unplaced(StrEnum):
    """Why a figure could not be re-based."""

    SPLIT = "split"
    SHARE_UNKNOWN = "share-unknown"
    NO_SUCCESSOR = "no-successor"
    NOT_THERE_YET = "not-there-yet"


@dataclass(frozen=True, slots=True)
class Contribution:
    """What one former unit gave to a figure of today: its amount, the share taken of it, by which way."""

    former_id: str
    amount: Decimal
    share: Decimal
    links: tuple[Link, ...]


@dataclass(frozen=True, slots=True)
class RebasedAmount:
    """A figure by today's units, and what it was added up from."""

    unit_id: str
    amount: Decimal
    estimated: bool
    from_units: tuple[Contribution, ...]


@dataclass(frozen=True, slots=True)
class NotPlaced:
    """A figure of a former unit (or what is left of it) that belongs to no unit of today for sure."""

    former_id: str
    amount: Decimal
    why: Unplaced
    candidates: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Rebased:
    """Figures by former units on the units of a later day; the sum of both parts is what was given."""

    amounts: Mapping[str, RebasedAmount]
    not_placed: tuple[NotPlaced, ...]


@dataclass(frozen=True, slots=True)
class PeopleShare:
    """How much of a unit's area lies in the drawn one, and the people that makes of its figure."""

    unit: Unit
    share: float
    people: float | None


@dataclass(frozen=True, slots=True)
class PeopleEstimate:
    """People in a drawn area, as if each unit's people lived evenly over it: an estimate, always.

    `people` is None when no unit that it meets has a figure. `counted` is the part of the area
    (0 to 1) that units with a figure cover, `covered` the part that any unit covers.
    """

    people: int | None
    area_km2: float
    covered: float
    counted: float
    units: tuple[PeopleShare, ...]
    without_figure: tuple[Unit, ...]
