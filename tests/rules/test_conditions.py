"""The life of a condition: raised once, cleared once, the same however its observations are cut up."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from haidang.kernel.instants import Instant
from haidang.rules.conditions import (
    IDLE,
    Cleared,
    Phase,
    Raised,
    Sample,
    Timing,
    Turn,
    Watch,
    due_at,
    episodes,
    fold,
    lapse,
    rate_samples,
    step,
)

NINE = datetime(2026, 11, 21, 9, tzinfo=UTC)


def minutes(number: float) -> timedelta:
    return timedelta(minutes=number)


def at(minute: float) -> Instant:
    return NINE + minutes(minute)


def sample(minute: float, *, holds: bool, over: bool | None = None) -> Sample:
    return Sample(at(minute), holds, (not holds) if over is None else over, float(minute))


def told(turns: list[Turn]) -> list[tuple[str, float]]:
    return [(type(turn).__name__.lower(), (turn.at - NINE) / minutes(1)) for turn in turns]


# --- examples ----------------------------------------------------------------------------------


def test_without_a_duration_it_raises_and_clears_with_the_observation() -> None:
    _, turns = fold(Timing(), IDLE, [sample(0, holds=False), sample(1, holds=True), sample(2, holds=False)])
    assert told(turns) == [("raised", 1), ("cleared", 2)]


def test_a_duration_ends_by_observations_or_by_the_clock_at_the_same_moment() -> None:
    timing = Timing(lasting=minutes(120), fresh_for=minutes(180))
    hours = [sample(0, holds=True), sample(60, holds=True)]
    watch, turns = fold(timing, IDLE, hours)
    assert (turns, due_at(timing, watch)) == ([], at(120))
    _, by_clock = lapse(timing, watch, at(125))
    _, by_observation = step(timing, watch, sample(180, holds=True))
    assert by_clock == by_observation == [Raised(at(120), at(0), 60.0)]


def test_a_short_excess_raises_nothing() -> None:
    timing = Timing(lasting=minutes(120))
    _, turns = fold(timing, IDLE, [sample(0, holds=True), sample(119, holds=False)], at(500))
    assert turns == []


def test_a_condition_of_which_nothing_more_is_heard_does_not_become_an_alarm() -> None:
    timing = Timing(lasting=minutes(120), fresh_for=minutes(15))
    watch, turns = fold(timing, IDLE, [sample(0, holds=True), sample(10, holds=True)], at(500))
    assert (watch, turns) == (IDLE, [])
    # Heard again, it begins anew: nobody knows what was in between.
    watch, turns = fold(
        timing, IDLE, [sample(0, holds=True), sample(10, holds=True), sample(300, holds=True)]
    )
    assert (watch.since, turns) == (at(300), [])


def test_an_open_alarm_is_not_cleared_by_silence() -> None:
    timing = Timing(fresh_for=minutes(15))
    watch, turns = fold(timing, IDLE, [sample(0, holds=True)], at(10_000))
    assert (watch.phase, told(turns)) == (Phase.OPEN, [("raised", 0)])


def test_it_clears_when_the_clearing_condition_has_held() -> None:
    timing = Timing(clear_lasting=minutes(10))
    high, between, low = (True, False), (False, False), (False, True)
    values = [high, between, low, between, low, low, low]
    watch, turns = fold(
        timing,
        IDLE,
        [sample(5 * n, holds=holds, over=over) for n, (holds, over) in enumerate(values)],
    )
    assert (watch, told(turns)) == (IDLE, [("raised", 0), ("cleared", 30)])


def test_a_silence_raises_once_and_ends_with_what_is_heard() -> None:
    timing = Timing(silence=minutes(15))
    heard = [sample(0, holds=True), sample(5, holds=True), sample(60, holds=True)]
    watch, turns = fold(timing, IDLE, heard, at(74))
    assert told(turns) == [("raised", 20), ("cleared", 60)]
    assert isinstance(turns[0], Raised)
    assert turns[0].since == at(5)
    assert due_at(timing, watch) == at(75)


@pytest.mark.parametrize(
    ("values", "rises", "falls", "holds"),
    [
        ([1.0, 1.2, 1.6], 0.5, None, [False, False, True]),
        ([1.6, 1.2, 1.0], None, 0.5, [False, False, True]),
        ([1.6, 1.2, 1.0], 0.5, None, [False, False, False]),
        ([1.0, 1.0, 1.0, 1.0, 1.3], 0.3, None, [False, False, False, False, True]),
        ([1.0, 1.4, 1.4, 1.4, 1.4], 0.4, None, [False, True, True, True, False]),
    ],
)
def test_a_rate_is_told_within_its_time(
    values: list[float], rises: float | None, falls: float | None, holds: list[bool]
) -> None:
    observed = [(at(10 * n), value) for n, value in enumerate(values)]
    found = rate_samples(observed, [one for one, _ in observed], over=minutes(30), rises=rises, falls=falls)
    assert [one.holds for one in found] == holds


# --- properties --------------------------------------------------------------------------------

DURATIONS = st.integers(0, 6).map(lambda number: minutes(5 * number))
TIMINGS = st.builds(
    Timing,
    lasting=DURATIONS,
    clear_lasting=DURATIONS,
    fresh_for=st.none() | st.integers(1, 5).map(lambda number: minutes(5 * number)),
)
SILENCES = st.builds(Timing, silence=st.integers(1, 6).map(lambda number: minutes(5 * number)))
STATES = st.sampled_from([(True, False), (False, False), (False, True)])
SERIES = st.lists(st.tuples(st.integers(1, 6), STATES), max_size=20).map(
    lambda found: [
        sample(5 * sum(gap for gap, _ in found[: place + 1]), holds=holds, over=over)
        for place, (_, (holds, over)) in enumerate(found)
    ]
)


@given(TIMINGS | SILENCES, SERIES, st.lists(st.integers(0, 400), max_size=6))
def test_the_same_observations_make_the_same_alarms_however_they_are_cut(
    timing: Timing, series: list[Sample], looks: list[int]
) -> None:
    """In one go; and with a restart after each, the clock looking in between at any time."""
    end = at(1_000)
    whole = fold(timing, IDLE, series, end)
    watch, turns = IDLE, []
    clock = sorted(at(minute) for minute in looks)
    for one in series:
        while clock and clock[0] < one.at:
            watch, more = lapse(timing, watch, clock.pop(0))
            turns += more
        watch, more = step(timing, watch, one)
        turns += more
    watch, more = lapse(timing, watch, end)
    assert (watch, turns + more) == whole


@given(TIMINGS | SILENCES, SERIES)
def test_alarms_are_raised_once_and_cleared_once(timing: Timing, series: list[Sample]) -> None:
    watch, turns = fold(timing, IDLE, series, at(1_000))
    kinds = [isinstance(turn, Raised) for turn in turns]
    assert kinds == [place % 2 == 0 for place in range(len(kinds))]
    assert watch.stands == (len(turns) % 2 == 1)
    assert [turn.at for turn in turns] == sorted(turn.at for turn in turns)
    assert len(episodes(turns)) == (len(turns) + 1) // 2


@given(TIMINGS, SERIES)
def test_there_is_no_alarm_without_the_condition(timing: Timing, series: list[Sample]) -> None:
    """Between its beginning and its raising no sample says otherwise, and none is missing for too long."""
    _, turns = fold(timing, IDLE, series, at(1_000))
    for turn in turns:
        if isinstance(turn, Raised):
            within = [one for one in series if turn.since <= one.at < turn.at or one.at == turn.since]
            assert within
            assert all(one.holds for one in within)
            assert turn.at - turn.since == timing.lasting
            moments = [one.at for one in within] + [turn.at]
            fresh = timing.fresh_for or minutes(10_000)
            assert all(b - a <= fresh for a, b in pairwise(moments))
        elif isinstance(turn, Cleared):
            over = [one for one in series if turn.at - timing.clear_lasting <= one.at < turn.at]
            assert all(one.over for one in over)


@given(SILENCES, SERIES)
def test_a_silence_is_as_long_as_it_says(timing: Timing, series: list[Sample]) -> None:
    _, turns = fold(timing, IDLE, series, at(1_000))
    heard = [*(one.at for one in series), at(1_000)] if series else []
    gaps = [(a, b) for a, b in pairwise(heard) if timing.silence is not None and b - a >= timing.silence]
    assert [turn.since for turn in turns if isinstance(turn, Raised)] == [a for a, _ in gaps]


class ConditionLife(RuleBasedStateMachine):
    """Samples and looks of the clock in any order; a plain model says when there must be an alarm."""

    def __init__(self) -> None:
        super().__init__()
        self.timing = Timing(lasting=minutes(10), clear_lasting=minutes(5), fresh_for=minutes(15))
        self.watch = Watch()
        self.now = at(0)
        self.open = False
        self.samples: list[Sample] = []
        self.turns: list[Turn] = []

    def take(self, turns: list[Turn]) -> None:
        """Raised only while closed, cleared only while open."""
        for turn in turns:
            assert isinstance(turn, Raised) is not self.open, "raised while open, or cleared while closed"
            self.open = not self.open
        self.turns += turns

    @rule(gap=st.integers(1, 4), state=STATES)
    def observe(self, gap: int, state: tuple[bool, bool]) -> None:
        """The next observation."""
        self.now += minutes(5 * gap)
        one = Sample(self.now, state[0], state[1])
        self.samples.append(one)
        self.watch, turns = step(self.timing, self.watch, one)
        self.take(turns)

    @rule(gap=st.integers(1, 10))
    def wait(self, gap: int) -> None:
        """The clock looks."""
        self.now += minutes(gap)
        self.watch, turns = lapse(self.timing, self.watch, self.now)
        self.take(turns)

    @precondition(lambda self: self.samples)
    @rule()
    def restart(self) -> None:
        """Everything again from the beginning: nothing else comes of it."""
        assert fold(self.timing, IDLE, self.samples, self.now) == (self.watch, self.turns)

    @invariant()
    def an_open_alarm_has_a_beginning(self) -> None:
        """And only an idle one has none."""
        assert self.watch.stands == self.open
        assert self.watch.phase is Phase.IDLE or self.watch.since is not None


TestConditionLife = ConditionLife.TestCase
