"""Plays the stations: first the past as fast as the platform takes it, then the present as it comes.

What the platform has is asked of the platform and remembered nowhere else: after a restart of
either side the play goes on where the platform stands. At most a window of readings is under
way; the next one is sent when the platform *has* the last one, so a slow platform slows the play.
"""

import heapq
import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import islice
from threading import Event
from typing import Protocol

from haidang.demo.stations import Measuring, Station, payload_of, slots
from haidang.kernel.errors import Unavailable
from haidang.kernel.instants import Clock, Instant, format_instant

log = logging.getLogger(__name__)

WINDOW = 1_000
"""Readings under way at the most."""

_FIRST_PATIENCE_S = 3.0
_PATIENCE_S = 30.0
_LONGEST_PATIENCE_S = 300.0
_MOST_REPEATS = 5
_LONGEST_SLEEP_S = 5.0


class AheadOfNow(AssertionError):
    """A reading was about to be sent before its moment: that must never happen."""


class KnowsStations(Protocol):
    """Where stations are described, and which says how far it has got."""

    def describe(self, stations: Sequence[Station]) -> None:
        """Create the stations, or bring their description up to date."""
        ...

    def reached(self, stations: Sequence[Station]) -> Mapping[str, Instant]:
        """The moment of the latest reading of each station, by slug."""
        ...


Publish = Callable[[str, bytes], None]
"""Sends one message and returns when the broker has taken it, or will have."""


@dataclass(frozen=True, slots=True)
class Played:
    """A station with what it measures, and how far back its past is played at the most."""

    station: Station
    instrument: Measuring
    history: timedelta = timedelta.max


@dataclass(slots=True)
class Progress:
    """How far the play has come: what was sent, how long the platform took."""

    sent: int = 0
    repeated: int = 0
    waited_s: float = 0.0
    started_s: float = field(default_factory=time.monotonic)

    @property
    def per_second(self) -> float:
        """Readings a second since the beginning."""
        return self.sent / max(time.monotonic() - self.started_s, 0.001)


class Player:
    """Sends what is due, in time order, and never anything that lies ahead of now."""

    def __init__(
        self,
        played: Sequence[Played],
        platform: KnowsStations,
        publish: Publish,
        clock: Clock,
        *,
        history: timedelta = timedelta(days=30),
        window: int = WINDOW,
        interruptions: Callable[[], int] = lambda: 0,
    ) -> None:
        self._played = tuple(played)
        self._stations = tuple(one.station for one in played)
        self._by_slug = {one.station.slug: one for one in played}
        self._platform = platform
        self._publish = publish
        self._clock = clock
        self._history = history
        self._window = window
        self._interruptions = interruptions
        self._interrupted = interruptions()
        self._under_way: list[tuple[str, bytes]] = []
        self._sent: dict[str, Instant] = {}
        self._expected: dict[str, Instant] = {}
        self.progress = Progress()

    def begin(self) -> None:
        """Describe the stations and find where to go on; raises Unavailable."""
        self._platform.describe(self._stations)
        self._resume(self._platform.reached(self._stations))

    def _resume(self, reached: Mapping[str, Instant]) -> None:
        for one in self._played:
            earliest = self._earliest(one)
            self._sent[one.station.slug] = max(reached.get(one.station.slug, earliest), earliest)
        self._expected.clear()

    def _earliest(self, one: Played) -> Instant:
        return self._clock.now() - min(self._history, one.history)

    def play(self, stop: Event) -> None:
        """Play until told to stop; trouble with the platform is waited out."""
        caught_up = False
        window = len(self._stations)  # Small, until the platform has shown that it listens.
        pauses = 0
        while not stop.is_set():
            try:
                sent = self._send(window)
                if sent:
                    if self._confirm(stop, _FIRST_PATIENCE_S if window < self._window else _PATIENCE_S):
                        window = self._window
                    continue
                if not caught_up:
                    caught_up = True
                    log.info(
                        "caught up with now: %d readings, %.0f a second; waited %.0f s for the platform",
                        self.progress.sent,
                        self.progress.per_second,
                        self.progress.waited_s,
                    )
                stop.wait(min(self._until_next_s(), _LONGEST_SLEEP_S))
                pauses = 0
            except Unavailable as trouble:
                pauses += 1
                log.warning("%s", trouble)
                stop.wait(min(0.5 * 2**pauses, 15.0))

    def due(self, until: Instant) -> Iterator[tuple[Instant, Played]]:
        """Every reading after what was sent and not after `until`, oldest first."""

        def of(index: int, one: Played) -> Iterator[tuple[Instant, int]]:
            return ((at, index) for at in slots(one.station.period, self._sent[one.station.slug], until))

        for at, index in heapq.merge(*(of(index, one) for index, one in enumerate(self._played))):
            yield at, self._played[index]

    def _send(self, window: int) -> int:
        """Send what is due, `window` readings at the most; returns how many."""
        count = 0
        self._under_way.clear()
        self._interrupted = self._interruptions()
        # A window goes station by station: what is then computed for an hour is computed once, and
        # not again for each reading of it that comes with another commit.
        due = sorted(islice(self.due(self._clock.now()), window), key=lambda pair: pair[1].station.slug)
        for at, one in due:
            station = one.station
            values = one.instrument.values_at(at)
            if values:
                payload = payload_of(station, at, values, one.instrument.recorded_at(at))
                if at > self._clock.now():
                    raise AheadOfNow(f"{station.slug} at {format_instant(at)}")
                self._under_way.append((station.topic, payload))
                self._publish(station.topic, payload)
                self._expected[station.slug] = at
            self._sent[station.slug] = at
            count += 1
        self.progress.sent += count
        return count

    def _confirm(self, stop: Event, patience_s: float) -> bool:
        """Wait until the platform has what was sent; send again what did not arrive in time.

        A connection that broke meanwhile may have cost messages in the middle of the window,
        which the last ones do not show: then all of it is sent again. While nothing at all
        arrives the play stands still; a single station that the platform will not take after
        so many times is left behind.
        """
        repeats = 0
        while not stop.is_set():
            began = time.monotonic()
            missing = self._wait_for(stop, patience_s)
            self.progress.waited_s += time.monotonic() - began
            if self._interrupted != (interrupted := self._interruptions()):
                self._interrupted = interrupted
                self._send_window_again()
                continue
            if not missing:
                self._expected.clear()
                return True
            if len(missing) < len(self._expected):
                repeats += 1
            if repeats >= _MOST_REPEATS:
                log.error("the platform does not take %s: left behind", ", ".join(sorted(missing)))
                self._expected.clear()
                return True
            if not stop.is_set():
                log.warning("not arrived yet, sending again: %s", ", ".join(sorted(missing)))
                self._send_again(missing)
                patience_s = min(patience_s * 2, _LONGEST_PATIENCE_S)
        return False

    def _send_window_again(self) -> None:
        log.warning("the connection broke: sending %d readings again", len(self._under_way))
        for topic, payload in self._under_way:
            self._publish(topic, payload)
        self.progress.repeated += len(self._under_way)

    def _wait_for(self, stop: Event, patience_s: float) -> dict[str, Instant | None]:
        """The stations whose readings have not arrived when no more arrived for `patience_s`."""
        pause = 0.1
        before: dict[str, Instant | None] = {}
        deadline = time.monotonic() + patience_s
        while True:
            reached = self._platform.reached(self._stations)
            missing = {
                slug: reached.get(slug)
                for slug, at in self._expected.items()
                if slug not in reached or reached[slug] < at
            }
            if not missing:
                return missing
            if missing != before:
                before, deadline = missing, time.monotonic() + patience_s
            if time.monotonic() > deadline or stop.wait(pause):
                return missing
            pause = min(pause * 1.5, 0.5)

    def _send_again(self, missing: Mapping[str, Instant | None]) -> None:
        if any(at is None for at in missing.values()):
            self._platform.describe(self._stations)
        for slug, reached in missing.items():
            one = self._by_slug[slug]
            for at in slots(one.station.period, reached or self._earliest(one), self._expected[slug]):
                values = one.instrument.values_at(at)
                if values:
                    self._publish(
                        one.station.topic, payload_of(one.station, at, values, one.instrument.recorded_at(at))
                    )
                    self.progress.repeated += 1

    def _until_next_s(self) -> float:
        now = self._clock.now()
        following = min(self._sent[one.slug] + one.period for one in self._stations)
        return max((following - now).total_seconds(), 0.05)
