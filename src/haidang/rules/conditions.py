"""The life of one condition at one entity, as a pure fold over what was observed of it.

A condition is *idle*, *pending* since a moment, *open*, or *clearing* since a moment. All moments are
those of the observations. `step` takes the next observation, `lapse` lets time pass without one; a
duration that ends between two observations ends at the same moment whether the clock or the next
observation shows it, so that the same observations make the same alarms however they are cut into
pieces (ADR 0057).

A value counts for as long as it is fresh. A duration ends only while the last value still counts: a
condition that held and of which nothing more was heard does not become an alarm. An open alarm is
never cleared by silence, only by an observation that says otherwise.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from enum import StrEnum
from typing import Final, TypeAlias

from haidang.kernel.instants import Instant

_NONE: Final = timedelta(0)


class Phase(StrEnum):
    """Where a condition stands."""

    IDLE = "idle"
    PENDING = "pending"
    OPEN = "open"
    CLEARING = "clearing"


@dataclass(frozen=True, slots=True)
class Timing:
    """What of a rule and an entity the fold needs.

    `fresh_for` is how long a value counts after its moment; None: until another comes. `silence`, if
    given, is how long nothing may be observed: then the condition is an absence.
    """

    lasting: timedelta = _NONE
    clear_lasting: timedelta = _NONE
    fresh_for: timedelta | None = None
    silence: timedelta | None = None


@dataclass(frozen=True, slots=True)
class Sample:
    """What a condition makes of the entity at one moment: whether it holds, and whether it is over."""

    at: Instant
    holds: bool
    over: bool
    value: float | str | None = None


@dataclass(frozen=True, slots=True)
class Watch:
    """A condition at an entity: its phase, since when, and the last moment that was looked at.

    `since` is when the condition began to hold (of an absence: when something was last observed),
    `turning_since` when it began to be over. `upto` is the moment of the last sample.
    """

    phase: Phase = Phase.IDLE
    since: Instant | None = None
    turning_since: Instant | None = None
    upto: Instant | None = None
    value: float | str | None = None

    @property
    def stands(self) -> bool:
        """Whether an alarm is due: open, and not yet over."""
        return self.phase in (Phase.OPEN, Phase.CLEARING)


IDLE: Final = Watch()


@dataclass(frozen=True, slots=True)
class Raised:
    """From `at` on there is an alarm about what began at `since`."""

    at: Instant
    since: Instant
    value: float | str | None


@dataclass(frozen=True, slots=True)
class Cleared:
    """From `at` on there is none."""

    at: Instant


Turn: TypeAlias = Raised | Cleared


def due_at(timing: Timing, watch: Watch) -> Instant | None:
    """When time alone changes something: a duration ends, a value stops to count, a silence is too long."""
    if watch.upto is None:
        return None
    if timing.silence is not None:
        return None if watch.stands else _later(watch.upto, timing.silence)
    ends = _ends_at(timing, watch)
    stale = _stale_at(timing, watch)
    return ends if ends is None or stale is None else min(ends, stale)


def _ends_at(timing: Timing, watch: Watch) -> Instant | None:
    if watch.phase is Phase.PENDING and watch.since is not None:
        return _later(watch.since, timing.lasting)
    if watch.phase is Phase.CLEARING and watch.turning_since is not None:
        return _later(watch.turning_since, timing.clear_lasting)
    return None


def _stale_at(timing: Timing, watch: Watch) -> Instant | None:
    if timing.fresh_for is None or watch.upto is None:
        return None
    return _later(watch.upto, timing.fresh_for)


def _later(moment: Instant, by: timedelta) -> Instant:
    try:
        return moment + by
    except OverflowError:
        return Instant.max.replace(tzinfo=moment.tzinfo)


def lapse(timing: Timing, watch: Watch, until: Instant) -> tuple[Watch, list[Turn]]:
    """Let time pass up to a moment without an observation."""
    if timing.silence is not None:
        return _lapse_silence(timing.silence, watch, until)
    ends, stale = _ends_at(timing, watch), _stale_at(timing, watch)
    if ends is None:
        return watch, []
    if stale is not None and stale < ends:
        return _forgotten(watch) if stale < until else watch, []
    if ends > until:
        return watch, []
    if watch.phase is Phase.PENDING:
        return replace(watch, phase=Phase.OPEN), [Raised(ends, watch.since or ends, watch.value)]
    return IDLE, [Cleared(ends)]


def _forgotten(watch: Watch) -> Watch:
    """The watch when its last value counts no more: what was under way is not; what is open stays open."""
    return IDLE if watch.phase is Phase.PENDING else replace(watch, phase=Phase.OPEN, turning_since=None)


def _lapse_silence(silence: timedelta, watch: Watch, until: Instant) -> tuple[Watch, list[Turn]]:
    if watch.upto is None or watch.stands:
        return watch, []
    ends = _later(watch.upto, silence)
    if ends > until:
        return watch, []
    opened = replace(watch, phase=Phase.OPEN, since=watch.upto)
    return opened, [Raised(ends, watch.upto, watch.value)]


def step(timing: Timing, watch: Watch, sample: Sample) -> tuple[Watch, list[Turn]]:
    """Take the next sample; its moment is not before that of the last one."""
    watch, turns = lapse(timing, watch, sample.at)
    if timing.silence is not None:
        if watch.stands:
            turns.append(Cleared(sample.at))
        return Watch(Phase.IDLE, upto=sample.at, value=sample.value), turns
    taken = replace(_turned(watch, sample), upto=sample.at, value=sample.value)
    if taken.phase is Phase.IDLE:
        return IDLE, turns
    # A duration of nothing ends at once.
    after, more = lapse(timing, taken, sample.at)
    return after, [*turns, *more]


def _turned(watch: Watch, sample: Sample) -> Watch:
    """The watch after what a sample says, durations left aside."""
    match watch.phase:
        case Phase.IDLE:
            turned = Watch(Phase.PENDING, since=sample.at) if sample.holds else watch
        case Phase.PENDING:
            turned = watch if sample.holds else IDLE
        case Phase.OPEN:
            turned = replace(watch, phase=Phase.CLEARING, turning_since=sample.at) if sample.over else watch
        case Phase.CLEARING:
            turned = watch if sample.over else replace(watch, phase=Phase.OPEN, turning_since=None)
    return turned


def fold(
    timing: Timing, watch: Watch, samples: Iterable[Sample], until: Instant | None = None
) -> tuple[Watch, list[Turn]]:
    """Take samples in their order, then let time pass to `until` if that is given."""
    turns: list[Turn] = []
    for sample in samples:
        watch, more = step(timing, watch, sample)
        turns += more
    if until is not None:
        watch, more = lapse(timing, watch, until)
        turns += more
    return watch, turns


@dataclass(frozen=True, slots=True)
class Episode:
    """One time that a condition was open; `cleared` is None while it is."""

    raised: Raised | None
    cleared: Cleared | None


def episodes(turns: Sequence[Turn]) -> list[Episode]:
    """Turns, put together: the first may only end what was open before, the last may still be open."""
    found: list[Episode] = []
    for turn in turns:
        if isinstance(turn, Raised):
            found.append(Episode(turn, None))
        elif found and found[-1].cleared is None:
            found[-1] = Episode(found[-1].raised, turn)
        else:
            found.append(Episode(None, turn))
    return found


def rate_samples(
    observations: Sequence[tuple[Instant, float]],
    moments: Iterable[Instant],
    *,
    over: timedelta,
    rises: float | None,
    falls: float | None,
) -> list[Sample]:
    """What a rate of change makes of these moments; observations are in order, one a moment.

    At a moment the value is set against the lowest and highest of the time before it, itself included.
    """
    found: list[Sample] = []
    places = {at: number for number, (at, _) in enumerate(observations)}
    for moment in moments:
        place = places.get(moment)
        if place is None:
            continue
        value = lowest = highest = observations[place][1]
        while place > 0 and moment - observations[place - 1][0] <= over:
            place -= 1
            lowest, highest = min(lowest, observations[place][1]), max(highest, observations[place][1])
        holds = (rises is not None and _difference(value, lowest) >= rises) or (
            falls is not None and _difference(highest, value) >= falls
        )
        found.append(Sample(moment, holds, not holds, value))
    return found


def _difference(larger: float, smaller: float) -> float:
    """Of decimal numbers, as people subtract them: 1.4 − 1.0 is 0.4."""
    return round(larger - smaller, 9)
