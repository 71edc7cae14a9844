"""A rule tried on history: the observations of the past through the very same fold, a window at a time."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final

from haidang.context.model import Selection, Stored
from haidang.context.series import Heard, instances_observed
from haidang.context.service import count_entities, query_entities, view_of
from haidang.infra.database import Connection
from haidang.kernel.actors import Actor
from haidang.kernel.instants import Instant
from haidang.rules.conditions import IDLE, Cleared, Raised, Timing, Turn, Watch, fold
from haidang.rules.errors import TrialOfTooManyEntities, TrialReadsTooMuch, TrialTooLong
from haidang.rules.model import Trial, TrialAlarm
from haidang.rules.plans import LONGEST, Known, Plan, samples_of, standing_of
from haidang.rules.telling import name_of

MOST_ENTITIES: Final = 10_000
MOST_OBSERVATIONS: Final = 5_000_000
MOST_RAISED: Final = 10_000

_ENTITIES_A_QUERY: Final = 200
_WINDOW: Final = timedelta(days=1)


@dataclass(slots=True)
class _Course:
    """One entity on its way through the windows; `tail` is what later windows still need to see."""

    entity_id: str
    name: str
    timing: Timing
    standing: Mapping[str, Sequence[Stored]]
    watch: Watch = IDLE
    tail: dict[str, list[Heard]] = field(default_factory=dict)
    turns: list[Turn] = field(default_factory=list)


async def try_plan(
    actor: Actor, connection: Connection, plan: Plan, *, since: Instant, until: Instant
) -> Trial:
    """What a rule would have raised in (since, until]; in memory are the entities and a window of them.

    It begins to look a day, or the rule's longest duration, before `since`, so that what was under way
    then is known.
    """
    if not timedelta(0) < until - since <= LONGEST:
        raise TrialTooLong(days=LONGEST.days)
    selection = Selection(type_groups=((plan.entity_type.iri,),))
    found = await count_entities(actor, connection, selection)
    if found > MOST_ENTITIES:
        raise TrialOfTooManyEntities(most=MOST_ENTITIES, found=found)
    rate = plan.rule.rate
    back = max(
        _WINDOW,
        plan.rule.lasting + plan.rule.clear_lasting,
        plan.rule.absent_for,
        timedelta(0) if rate is None else 2 * rate.over,
    )
    read = 0
    raised: list[TrialAlarm] = []
    for skip in range(0, found, _ENTITIES_A_QUERY):
        states = await query_entities(actor, connection, selection, limit=_ENTITIES_A_QUERY, offset=skip)
        courses = [
            _Course(
                state.entity_id,
                name_of(view_of(state, plan.entity_type).values),
                plan.timing(state.attributes),
                standing_of(state.attributes, plan.iris),
            )
            for state in states
        ]
        ids = [one.entity_id for one in courses]
        first = since - back
        while first < until and ids:
            last = min(first + _WINDOW, until)
            series = await instances_observed(actor, connection, ids, plan.iris, first, last)
            read += sum(len(heard) for one in series.values() for heard in one.values())
            if read > MOST_OBSERVATIONS:
                raise TrialReadsTooMuch(most=MOST_OBSERVATIONS)
            for course in courses:
                _advance(plan, course, series.get(course.entity_id, {}), last)
            first = last
        for course in courses:
            raised += _raised(course, since)
    raised.sort(key=lambda one: (one.raised_at, one.entity_id))
    return Trial(plan.rule, since, until, raised[:MOST_RAISED], found, read)


def _advance(plan: Plan, course: _Course, series: Mapping[str, Sequence[Heard]], last: Instant) -> None:
    """Take an entity through a window."""
    whole = {iri: [*course.tail.get(iri, ()), *series.get(iri, ())] for iri in plan.iris}
    known = Known(whole, course.standing)
    moments = sorted({one.at for heard in series.values() for one in heard})
    new = set(moments)
    samples = [one for one in samples_of(plan, known, course.timing, None) if one.at in new]
    course.watch, turns = fold(course.timing, course.watch, samples, last)
    course.turns += turns
    rate = plan.rule.rate
    keep_since = last - (timedelta(0) if rate is None else rate.over)
    # Of each attribute the last value, and what a rate looks back to.
    course.tail = {
        iri: [one for place, one in enumerate(heard) if one.at >= keep_since or place == len(heard) - 1]
        for iri, heard in whole.items()
    }


def _raised(course: _Course, since: Instant) -> list[TrialAlarm]:
    found: list[TrialAlarm] = []
    for place, turn in enumerate(course.turns):
        if not isinstance(turn, Raised) or turn.at <= since:
            continue
        following = course.turns[place + 1] if place + 1 < len(course.turns) else None
        cleared_at = following.at if isinstance(following, Cleared) else None
        found.append(TrialAlarm(course.entity_id, course.name, turn.since, turn.at, cleared_at, turn.value))
    return found
