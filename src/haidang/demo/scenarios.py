"""What kind of day the demo plays: a calm one, one of smog, or a rainy night that swells the rivers.

Everything follows from the scenario, the day on which it began and the instant. Before the day it
began (yesterday, seen from the start) every scenario is the calm one, so that the weeks before are
an ordinary past. Each night after it is another of the same kind; the rivers fall again by day.
"""

import math
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum

from haidang.kernel.instants import VIETNAM, Instant

ONSET = time(18)
"""When it begins to rain on a rainy night, Vietnam time."""

_NIGHTS_FELT = 4
"""How many nights back a river still feels."""


class Kind(StrEnum):
    """The days that can be chosen."""

    CALM = "calm"
    SMOG = "smog"
    RAIN = "rain"


@dataclass(frozen=True, slots=True)
class Scenario:
    """A kind of day, from the first day on which it is played (Vietnam time)."""

    kind: Kind = Kind.CALM
    first_day: date = date.max

    def _has_begun(self, at: Instant) -> bool:
        return at.astimezone(VIETNAM).date() >= self.first_day

    def smog(self, at: Instant) -> float:
        """How thick the smog lies: 0 none, 1 thickest (at six in the morning), never under ½ once begun."""
        if self.kind is not Kind.SMOG or not self._has_begun(at):
            return 0.0
        local = at.astimezone(VIETNAM)
        hour = local.hour + local.minute / 60
        return 0.75 + 0.25 * math.cos(2 * math.pi * (hour - 6) / 24)

    def storm(self, at: Instant) -> float:
        """How hard it rains: 0 not at all, 1 hardest (an hour before midnight)."""
        return max((_bell(since) for since in self._since_onsets(at)), default=0.0)

    def swell(self, at: Instant, crest: timedelta) -> float:
        """How far the last nights raised a river that crests so long after an onset; 1 at a first crest."""
        return sum((since / crest) ** 2 * math.exp(2 - 2 * since / crest) for since in self._since_onsets(at))

    def _since_onsets(self, at: Instant) -> list[timedelta]:
        """How long ago it began to rain in each of the nights that are still felt."""
        if self.kind is not Kind.RAIN:
            return []
        today = at.astimezone(VIETNAM).date()
        nights = (today - timedelta(days=back) for back in range(_NIGHTS_FELT))
        since = (at - onset(night) for night in nights if night >= self.first_day)
        return [one for one in since if one > timedelta(0)]


def onset(night: date) -> Instant:
    """When the rain of a night begins."""
    return datetime.combine(night, ONSET, tzinfo=VIETNAM).astimezone(UTC)


def _bell(since: timedelta) -> float:
    """Rain over the hours since its onset: hardest after five, over after ten."""
    hours = since / timedelta(hours=1)
    return math.exp(-(((hours - 5) / 2.2) ** 2) / 2) if hours < 12 else 0.0


def scenario_from(kind: str, now: Instant) -> Scenario:
    """The scenario as it is played from now: it began yesterday."""
    return Scenario(Kind(kind), now.astimezone(VIETNAM).date() - timedelta(days=1))
