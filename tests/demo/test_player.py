"""The play: never ahead of now, no faster than the platform, nothing lost, nothing said twice."""

import json
import random
import threading
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from haidang.demo import player as player_module
from haidang.demo.__main__ import everyone
from haidang.demo.player import AheadOfNow, Player
from haidang.demo.stations import Station, slots
from haidang.kernel.errors import Unavailable
from haidang.kernel.instants import Instant, SetClock, parse_instant

NOW = datetime(2026, 11, 21, 5, 3, 20, tzinfo=UTC)
NEW_YEAR = datetime(2026, 1, 1, tzinfo=UTC)
EVERYONE = everyone()
STATIONS = [one.station for one in EVERYONE]


class PlatformOfTheTest:
    """Behind the player's two doors: takes messages, forgets some, says how far it has got."""

    def __init__(self, clock: SetClock, *, loses: float = 0.0, seed: int = 1) -> None:
        self.clock = clock
        self.loses = loses
        self.chance = random.Random(seed)  # noqa: S311 (repeatable on purpose)
        self.described: set[str] = set()
        self.taken: dict[str, dict[Instant, bytes]] = {}
        self.published = 0
        self.most_under_way = 0
        self.under_way = 0
        self.away = 0

    def publish(self, topic: str, payload: bytes) -> None:
        """The broker's door."""
        message = json.loads(payload)
        at = parse_instant(message["observedAt"])
        assert at <= self.clock.now(), "ahead of now"
        self.published += 1
        self.under_way += 1
        self.most_under_way = max(self.most_under_way, self.under_way)
        if self.chance.random() >= self.loses:
            self.taken.setdefault(topic.rpartition("/")[2], {})[at] = payload

    def describe(self, stations: Sequence[Station]) -> None:
        """The NGSI-LD door, to write."""
        self._answer()
        self.described |= {station.slug for station in stations}

    def reached(self, stations: Sequence[Station]) -> Mapping[str, Instant]:
        """The NGSI-LD door, to read."""
        self._answer()
        self.under_way = 0
        return {one.slug: max(self.taken[one.slug]) for one in stations if self.taken.get(one.slug)}

    def _answer(self) -> None:
        if self.away:
            self.away -= 1
            raise Unavailable


class StopWhenDone(threading.Event):
    """Told to stop as soon as the player has nothing left to send and wants to wait."""

    def __init__(self, clock: SetClock, until: Instant) -> None:
        super().__init__()
        self.clock = clock
        self.until = until

    def wait(self, timeout: float | None = None) -> bool:
        """Time passes only while somebody waits."""
        time.sleep(0.001)
        self.clock.advance(timedelta(seconds=timeout or 0))
        if self.clock.now() >= self.until:
            self.set()
        return self.is_set()


@pytest.fixture(autouse=True)
def _patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Patience is real time: tests have little."""
    monkeypatch.setattr(player_module, "_FIRST_PATIENCE_S", 0.003)
    monkeypatch.setattr(player_module, "_PATIENCE_S", 0.003)
    monkeypatch.setattr(player_module, "_LONGEST_PATIENCE_S", 0.006)


def playing(platform: PlatformOfTheTest, clock: SetClock, days: float = 2, window: int = 100) -> Player:
    """A player that has begun."""
    player = Player(EVERYONE, platform, platform.publish, clock, history=timedelta(days=days), window=window)
    player.begin()
    return player


def wanted(since: Instant, until: Instant) -> set[tuple[str, Instant]]:
    """Every reading that a play from `since` to `until` owes."""
    return {
        (one.station.slug, at)
        for one in EVERYONE
        for at in slots(one.station.period, since, until)
        if one.instrument.values_at(at)
    }


def received(platform: PlatformOfTheTest) -> set[tuple[str, Instant]]:
    """Every reading that arrived."""
    return {(slug, at) for slug, readings in platform.taken.items() for at in readings}


def test_the_past_is_played_whole_then_the_present_as_it_comes() -> None:
    clock = SetClock(NOW)
    platform = PlatformOfTheTest(clock)
    player = playing(platform, clock)
    until = NOW + timedelta(hours=3)
    player.play(StopWhenDone(clock, until))
    late = clock.now() - timedelta(seconds=10)  # what fell due during the last wait was not sent
    assert wanted(NOW - timedelta(days=2), late) <= received(platform)
    assert platform.described == {station.slug for station in STATIONS}
    assert platform.published == len(received(platform))
    assert platform.most_under_way <= 100


@settings(max_examples=25, deadline=None)
@given(
    st.integers(0, 4 * 365 * 86_400).map(lambda seconds: NEW_YEAR + timedelta(seconds=seconds)),
    st.lists(st.integers(0, 5_000), max_size=8),
    st.floats(0.01, 0.5),
)
def test_nothing_is_ever_ahead_of_now(start: datetime, steps: list[int], days: float) -> None:
    """Whatever the clock does, each reading's moment has passed when it is sent (asserted at the door)."""
    clock = SetClock(start)
    platform = PlatformOfTheTest(clock)
    player = playing(platform, clock, days=days)
    for step in steps:
        clock.advance(timedelta(seconds=step))
        while player._send(50):
            player._expected.clear()
    assert all(at <= clock.now() for _, at in received(platform))


def test_a_clock_set_back_stops_the_play_rather_than_running_ahead() -> None:
    """Between the question what is due and the sending, the clock may jump: then nothing is sent."""
    clock = SetClock(NOW)
    platform = PlatformOfTheTest(clock)
    player = playing(platform, clock, days=0.1)
    due = player.due
    player.due = lambda until: due(until + timedelta(hours=1))  # type: ignore[method-assign]  # a faulty clock
    with pytest.raises(AheadOfNow):
        player._send(10_000)
    assert all(at <= NOW for _, at in received(platform))


def test_after_a_restart_the_play_goes_on_where_the_platform_stands() -> None:
    clock = SetClock(NOW)
    platform = PlatformOfTheTest(clock)
    playing(platform, clock).play(StopWhenDone(clock, NOW + timedelta(seconds=30)))
    before = platform.published
    again = playing(platform, clock)
    again.play(StopWhenDone(clock, clock.now() + timedelta(hours=1)))
    assert platform.published == len(received(platform))
    assert 0 < platform.published - before < 8 * len(STATIONS)


def test_what_was_lost_on_the_way_is_sent_again() -> None:
    clock = SetClock(NOW)
    platform = PlatformOfTheTest(clock, loses=0.3)
    player = playing(platform, clock, days=0.5, window=40)
    player.play(StopWhenDone(clock, NOW + timedelta(hours=4)))
    assert player.progress.repeated > 0
    # The last reading of each window is confirmed; those before it are the broker's promise.
    last = {slug: max(readings) for slug, readings in platform.taken.items()}
    assert all(clock.now() - at < timedelta(hours=1, minutes=10) for at in last.values())


def test_a_platform_that_lost_everything_is_told_everything_again() -> None:
    clock = SetClock(NOW)
    platform = PlatformOfTheTest(clock)
    player = playing(platform, clock, days=0.5)
    player.play(StopWhenDone(clock, NOW + timedelta(seconds=30)))
    platform.taken.clear()
    platform.described.clear()
    again = playing(platform, clock, days=0.5)
    again.play(StopWhenDone(clock, clock.now() + timedelta(minutes=5)))
    assert wanted(NOW - timedelta(days=0.4), NOW) <= received(platform)
    assert platform.described


def test_a_platform_that_is_away_is_waited_for() -> None:
    clock = SetClock(NOW)
    platform = PlatformOfTheTest(clock)
    player = playing(platform, clock, days=0.2)
    platform.away = 3
    player.play(StopWhenDone(clock, NOW + timedelta(minutes=2)))
    assert wanted(NOW - timedelta(days=0.2), NOW) <= received(platform)


def test_a_connection_that_broke_has_its_window_sent_again() -> None:
    """What was lost in the middle of a window does not show in its last readings."""
    clock = SetClock(NOW)
    platform = PlatformOfTheTest(clock)
    interrupted = [0]

    def publish(topic: str, payload: bytes) -> None:
        if platform.published == 20 and not interrupted[0]:
            interrupted[0] = 1
            return  # lost with the connection
        platform.publish(topic, payload)

    player = Player(
        EVERYONE,
        platform,
        publish,
        clock,
        history=timedelta(hours=1),
        window=500,
        interruptions=lambda: interrupted[0],
    )
    player.begin()
    player.play(StopWhenDone(clock, NOW + timedelta(seconds=30)))
    assert player.progress.repeated > 0
    assert wanted(NOW - timedelta(hours=1), NOW) <= received(platform)


def test_while_nothing_arrives_the_play_stands_still_and_leaves_no_hole() -> None:
    clock = SetClock(NOW)
    platform = PlatformOfTheTest(clock, loses=1.0)
    player = playing(platform, clock, days=0.2)

    class Mended(StopWhenDone):
        def wait(self, timeout: float | None = None) -> bool:
            if platform.published > 100:
                platform.loses = 0.0
            return super().wait(timeout)

    player.play(Mended(clock, NOW + timedelta(hours=2)))
    assert wanted(NOW - timedelta(days=0.2), NOW) <= received(platform)


def test_a_station_that_the_platform_will_not_take_is_left_behind_by_the_others() -> None:
    clock = SetClock(NOW)
    platform = PlatformOfTheTest(clock)

    def publish(topic: str, payload: bytes) -> None:
        if "mui-ne" not in topic:
            platform.publish(topic, payload)

    player = Player(EVERYONE, platform, publish, clock, history=timedelta(hours=2))
    player.begin()
    player.play(StopWhenDone(clock, NOW + timedelta(hours=1)))
    assert {slug for slug, _ in received(platform)} == {
        one.slug for one in STATIONS if "mui-ne" not in one.slug
    }
    assert {pair for pair in wanted(NOW - timedelta(hours=2), NOW) if "mui-ne" not in pair[0]} <= received(
        platform
    )
