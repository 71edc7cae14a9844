"""What the pages of units show, made from units and links; pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from haidang.kernel.text import fold
from haidang.places.model import TWO_LEVELS_SINCE, Level, Succession, Unit
from haidang.places.naming import Candidate, Resolution
from haidang.web.shared.units import unit_path

EVE_OF_TWO_LEVELS = TWO_LEVELS_SINCE - timedelta(days=1)

_SURE, _LIKELY = 0.95, 0.8

CONFIDENCE_MESSAGES = {
    "sure": "We are sure of this.",
    "likely": "This is very likely right.",
    "possible": "This is possible; check the former name below.",
}
"""How sure an answer is, in words: message ids."""

LEVEL_LABELS = {"province": "Province", "district": "District", "ward": "Ward"}


@dataclass(frozen=True, slots=True)
class Step:
    """A unit at the other end of a link: its name, where it lies, how much of the land went that way."""

    unit: Unit
    path: str
    where: str
    whole: bool
    share: float | None
    certain: bool


@dataclass(frozen=True, slots=True)
class Row:
    """A unit and what it was made of, or what it became."""

    unit: Unit
    path: str
    steps: tuple[Step, ...]


@dataclass(slots=True)
class Group:
    """Rows under one heading: a former province, a district. `groups` stand below it."""

    title: str
    name: str
    path: str = ""
    where: str = ""
    rows: list[Row] = field(default_factory=list)
    groups: list["Group"] = field(default_factory=list)

    @property
    def size(self) -> int:
        """How many rows stand in it and below."""
        return len(self.rows) + sum(one.size for one in self.groups)


@dataclass(frozen=True, slots=True)
class Guess:
    """A candidate as the page shows it, with the units above it and above the former one."""

    unit: Unit
    path: str
    where: str
    former: Unit | None
    former_path: str
    former_where: str
    district: Unit | None
    why: str
    percent: int


@dataclass(frozen=True, slots=True)
class Answer:
    """What the look-up says: the outcome, its candidates, how sure, and what would settle it."""

    outcome: str
    guesses: tuple[Guess, ...]
    sureness: str
    rest: str
    split: bool
    only_code: bool
    left_off: int


def place_words(above: Sequence[Unit]) -> str:
    """Where a unit lies: the units above it, the nearest first, as an address names them."""
    return ", ".join(one.full_name for one in above)


def steps_of(successions: Iterable[Succession], above: Mapping[str, Sequence[Unit]]) -> tuple[Step, ...]:
    """The other ends of some links."""
    return tuple(
        Step(
            one.unit,
            unit_path(one.unit.unit_id),
            place_words(above.get(one.unit.unit_id, ())),
            one.link.whole,
            one.link.share,
            one.link.verified,
        )
        for one in successions
    )


def rows_of(
    units: Iterable[Unit],
    successions: Mapping[str, Sequence[Succession]],
    above: Mapping[str, Sequence[Unit]],
) -> list[Row]:
    """Units with their links, in the order given."""
    return [
        Row(one, unit_path(one.unit_id), steps_of(successions.get(one.unit_id, ()), above)) for one in units
    ]


def groups_of_former(
    rows: Iterable[Row], provinces: Sequence[Unit], districts: Sequence[Unit]
) -> list[Group]:
    """Former wards under their districts under their provinces, in the order given."""
    by_district = {
        one.unit_id: Group(one.full_name, one.unit_id.rpartition(":")[2], unit_path(one.unit_id))
        for one in districts
    }
    for row in rows:
        group = by_district.get(row.unit.parent_id or "")
        if group is not None:
            group.rows.append(row)
    found = []
    for province in provinces:
        below = [by_district[one.unit_id] for one in districts if one.parent_id == province.unit_id]
        found.append(
            Group(
                province.full_name,
                province.unit_id.rpartition(":")[2],
                unit_path(province.unit_id),
                groups=[one for one in below if one.rows],
            )
        )
    return [one for one in found if one.groups]


def groups_by_former_province(
    rows: Iterable[Row], above: Mapping[str, Sequence[Unit]], otherwise: str
) -> list[Group]:
    """Wards of today under the former provinces that their land comes from, the largest share deciding."""
    groups: dict[str, Group] = {}
    for row in rows:
        province = _former_province(row, above)
        key = province.unit_id if province else ""
        if key not in groups:
            groups[key] = Group(
                province.full_name if province else otherwise,
                key.rpartition(":")[2] or "khac",
                unit_path(key) if province else "",
            )
        groups[key].rows.append(row)
    return sorted(groups.values(), key=lambda one: (not one.path, one.title))


def _former_province(row: Row, above: Mapping[str, Sequence[Unit]]) -> Unit | None:
    for step in row.steps:
        chain = above.get(step.unit.unit_id, ())
        if chain and chain[-1].level is Level.PROVINCE:
            return chain[-1]
    return None


def matching(rows: Iterable[Row], words: str) -> list[Row]:
    """The rows whose unit, former or later, has the words in its name, diacritics or none."""
    wanted = f" {fold(words)}".rstrip()
    if not wanted:
        return list(rows)

    def has(unit: Unit) -> bool:
        return wanted in f" {fold(unit.full_name)}" or wanted.strip() == unit.code

    return [row for row in rows if has(row.unit) or any(has(step.unit) for step in row.steps)]


def answer_of(
    resolved: Resolution,
    above: Mapping[str, Sequence[Unit]],
    why: Mapping[int, str],
    home: str | None,
) -> Answer:
    """A resolution as the page says it; between what is left open, those of the own province stand first."""
    order = list(enumerate(resolved.candidates))
    if resolved.outcome == "ask" and home is not None:
        order.sort(key=lambda one: not _lies_in(one[1].unit, above, home))
    guesses = tuple(_guess(one, above, why[place]) for place, one in order)
    formers = {one.former.unit_id for one in guesses if one.former is not None}
    split = resolved.needs is not None and len(formers) == 1 and all(one.former for one in guesses)
    return Answer(
        resolved.outcome.value,
        guesses,
        sureness_of(resolved.confidence),
        resolved.rest,
        split,
        bool(resolved.text) and fold(resolved.text).replace(" ", "").isdecimal(),
        resolved.left_off,
    )


def sureness_of(confidence: float) -> str:
    """A message id that says how sure an answer is."""
    key = "sure" if confidence >= _SURE else "likely" if confidence >= _LIKELY else "possible"
    return CONFIDENCE_MESSAGES[key]


def _lies_in(unit: Unit, above: Mapping[str, Sequence[Unit]], province_id: str) -> bool:
    return any(one.unit_id == province_id for one in (unit, *above.get(unit.unit_id, ())))


def _guess(candidate: Candidate, above: Mapping[str, Sequence[Unit]], why: str) -> Guess:
    former = candidate.former
    chain = above.get(former.unit_id, ()) if former is not None else ()
    return Guess(
        candidate.unit,
        unit_path(candidate.unit.unit_id),
        place_words(above.get(candidate.unit.unit_id, ())),
        former,
        unit_path(former.unit_id) if former is not None else "",
        place_words(chain),
        next((one for one in chain if one.level is Level.DISTRICT), None),
        why,
        round(candidate.confidence * 100),
    )
