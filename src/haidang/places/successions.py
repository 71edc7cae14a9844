"""What units became, followed from link to link, and figures re-based along the way; pure rules."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from haidang.places.model import (
    SHARE_TOLERANCE,
    Contribution,
    How,
    Link,
    LinkKind,
    NotPlaced,
    Rebased,
    RebasedAmount,
    Unit,
    Unplaced,
    Weight,
)

_ONE, _NONE = Decimal(1), Decimal(0)
_TOLERANCE = Decimal(str(SHARE_TOLERANCE))


@dataclass(frozen=True, slots=True)
class Way:
    """One way that leads from a unit to a unit of a day: its links in their order."""

    links: tuple[Link, ...]

    @property
    def to_id(self) -> str:
        """Where it leads."""
        return self.links[-1].to_id

    @property
    def whole(self) -> bool:
        """Whether every step took all of the unit."""
        return all(link.whole for link in self.links)

    def share(self, weight: Weight) -> Decimal | None:
        """How much of the first unit went this way; None when one step does not say."""
        product = _ONE
        for link in self.links:
            step = share_of(link, weight)
            if step is None:
                return None
            product *= step
        return product

    def as_one(self) -> Link:
        """The whole way as one link, of the day and by the law of its last step."""
        first, last = self.links[0], self.links[-1]
        area, people = self.share(Weight.AREA), self.share(Weight.PEOPLE)
        return Link(
            from_id=first.from_id,
            to_id=last.to_id,
            kind=_kind_of(self.links),
            share=None if area is None else float(area),
            takes_effect=last.takes_effect,
            legal_basis=last.legal_basis,
            verified=all(link.verified for link in self.links),
            people_share=None if people is None else float(people),
        )


def share_of(link: Link, weight: Weight) -> Decimal | None:
    """How much of the former unit's land, or people, one link took; None: not known."""
    if link.whole:
        return _ONE
    share = link.share if weight is Weight.AREA else link.people_share
    return None if share is None else Decimal(str(share))


def _kind_of(links: Sequence[Link]) -> LinkKind:
    """The kind of a way: a part once is a part for good, and a merger hides a rename."""
    order = (LinkKind.CONTINUES, LinkKind.MERGE, LinkKind.SPLIT, LinkKind.PART)
    return max((link.kind for link in links), key=order.index)


def links_by_former(links: Iterable[Link], on: date) -> dict[str, list[Link]]:
    """The links that had taken effect by a day, by the unit they lead from."""
    found: dict[str, list[Link]] = {}
    for link in links:
        if link.takes_effect <= on:
            found.setdefault(link.from_id, []).append(link)
    return found


def ways_onward(unit_id: str, onward: Mapping[str, Sequence[Link]]) -> list[Way]:
    """Every way from a unit through the links of `links_by_former`, to where each of them ends."""
    found: list[Way] = []
    open_ways: list[tuple[Link, ...]] = [(link,) for link in onward.get(unit_id, ())]
    while open_ways:
        way = open_ways.pop(0)
        last = way[-1]
        passed = {unit_id, *(link.to_id for link in way)}
        further = [
            link
            for link in onward.get(last.to_id, ())
            if link.takes_effect >= last.takes_effect and link.to_id not in passed
        ]
        if further:
            open_ways += [(*way, link) for link in further]
        else:
            found.append(Way(way))
    return found


def rebase_figures(
    figures: Mapping[str, Decimal],
    units: Mapping[str, Unit],
    links: Sequence[Link],
    *,
    to: date,
    how: How,
    weight: Weight,
) -> Rebased:
    """Figures by former units on the units of a day. What is given is never lost: it is placed, or listed.

    `units` holds every unit that a figure or a link names.
    """
    onward = links_by_former(links, to)
    gathered: dict[str, list[Contribution]] = {}
    left: list[NotPlaced] = []
    for former_id, amount in figures.items():
        unit = units[former_id]
        if unit.stood_on(to):
            gathered.setdefault(former_id, []).append(Contribution(former_id, amount, _ONE, ()))
            continue
        if unit.valid_from is not None and to < unit.valid_from:
            left.append(NotPlaced(former_id, amount, Unplaced.NOT_THERE_YET, ()))
            continue
        ways = [way for way in ways_onward(former_id, onward) if units[way.to_id].stood_on(to)]
        placed, remainder = _place(former_id, amount, ways, how, weight)
        for way_to, contribution in placed:
            gathered.setdefault(way_to, []).append(contribution)
        if remainder is not None:
            left.append(remainder)
    return Rebased(
        amounts={
            unit_id: RebasedAmount(
                unit_id=unit_id,
                amount=sum((one.amount for one in given), _NONE),
                estimated=any(one.share != _ONE for one in given),
                from_units=tuple(given),
            )
            for unit_id, given in gathered.items()
        },
        not_placed=tuple(left),
    )


def _place(
    former_id: str, amount: Decimal, ways: Sequence[Way], how: How, weight: Weight
) -> tuple[list[tuple[str, Contribution]], NotPlaced | None]:
    """Where one figure goes, and what of it goes nowhere for sure."""
    if not ways:
        return [], NotPlaced(former_id, amount, Unplaced.NO_SUCCESSOR, ())
    candidates = tuple(dict.fromkeys(way.to_id for way in ways))
    if len(candidates) == 1 and all(way.whole for way in ways):
        return [(candidates[0], Contribution(former_id, amount, _ONE, ways[0].links))], None
    if how is How.WHOLE:
        return [], NotPlaced(former_id, amount, Unplaced.SPLIT, candidates)
    shares = [way.share(weight) for way in ways]
    if any(share is None for share in shares):
        return [], NotPlaced(former_id, amount, Unplaced.SHARE_UNKNOWN, candidates)
    known = [share for share in shares if share is not None]
    given = [amount * share for share in known]
    rest = amount - sum(given)
    if abs(sum(known) - _ONE) <= _TOLERANCE:
        # They are a whole: the largest takes what rounding left over, or gave twice.
        given[known.index(max(known))] += rest
        rest = _NONE
    placed = [
        (way.to_id, Contribution(former_id, part, share, way.links))
        for way, share, part in zip(ways, known, given, strict=True)
        if share
    ]
    if rest:
        return placed, NotPlaced(former_id, rest, Unplaced.SHARE_UNKNOWN, candidates)
    return placed, None
