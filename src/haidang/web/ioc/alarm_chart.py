"""What was measured around an alarm, as SVG: the values, the limit, and the time it was so. Pure.

Unlike `shared/charts.py` the horizontal axis is time itself: a gap in the data is a gap in the line.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise

from markupsafe import Markup, escape

from haidang.kernel.instants import VIETNAM, Instant

WIDTH, HEIGHT = 440, 200
_LEFT, _RIGHT, _TOP, _BOTTOM = 44, 14, 12, 24
_ROUND_HOURS = (1, 2, 3, 6, 12, 24, 48, 96, 168, 336, 720)
_TICKS = 5
_MOST_POINTS = 600
_GAP = 4
"""A pause of more than so many usual steps breaks the line."""


@dataclass(frozen=True, slots=True)
class AlarmChart:
    """What to draw: values by moment, limits, and from when to when the alarm stood."""

    points: Sequence[tuple[Instant, float]]
    limits: Sequence[float]
    since: Instant
    until: Instant
    begins: Instant
    ends: Instant


def alarm_chart(
    chart: AlarmChart,
    *,
    name: str,
    title: str,
    description: str,
    limit_word: str,
    number: Callable[[float], str],
) -> Markup:
    """The chart; `number` writes a figure in the language of the page, `limit_word` names a limit's line."""
    points = _thinned(chart.points)
    values = [value for _, value in points] + list(chart.limits)
    least, most = min([0.0, *values]), max([*values, 0.0])
    span = (most - least) or 1.0
    most += span * 0.08
    span = most - least
    whole = (chart.ends - chart.begins).total_seconds() or 1.0
    wide, high = WIDTH - _LEFT - _RIGHT, HEIGHT - _TOP - _BOTTOM

    def x(at: Instant) -> float:
        return _LEFT + min(max((at - chart.begins).total_seconds() / whole, 0.0), 1.0) * wide

    def y(value: float) -> float:
        return _TOP + (most - value) / span * high

    stood = max(x(chart.until) - x(chart.since), 2)
    parts = [f'<rect class="stood" x="{x(chart.since):.1f}" y="{_TOP}" width="{stood:.1f}" height="{high}"/>']
    for share in (0.0, 0.5, 1.0):
        value = least + share * (max(values, default=1.0) - least)
        parts.append(
            f'<path class="threshold" d="M{_LEFT} {y(value):.1f}H{WIDTH - _RIGHT}"/>'
            f'<text x="{_LEFT - 6}" y="{y(value) + 4:.1f}" text-anchor="end">'
            f"{escape(number(_short(value, span)))}</text>"
        )
    for at in _ticks(chart.begins, chart.ends):
        local = at.astimezone(VIETNAM)
        words = f"{local:%d/%m}" if local.hour == 0 else f"{local:%H:%M}"
        parts.append(f'<text x="{x(at):.1f}" y="{HEIGHT - 6}" text-anchor="middle">{words}</text>')
    parts += [
        f'<path class="line" d="M{" L".join(f"{x(at):.1f} {y(value):.1f}" for at, value in run)}"/>'
        for run in _runs(points)
        if len(run) > 1
    ]
    parts += [
        f'<circle class="point" cx="{x(run[0][0]):.1f}" cy="{y(run[0][1]):.1f}" r="2.5"/>'
        for run in _runs(points)
        if len(run) == 1
    ]
    for limit in chart.limits:
        parts.append(
            f'<path class="limit" d="M{_LEFT} {y(limit):.1f}H{WIDTH - _RIGHT}"/>'
            f'<text class="limit-word" x="{WIDTH - _RIGHT}" y="{y(limit) - 5:.1f}" text-anchor="end">'
            f"{escape(limit_word)} {escape(number(limit))}</text>"
        )
    parts.append(f'<path class="axis" d="M{_LEFT} {_TOP + high}H{WIDTH - _RIGHT}"/>')
    named = escape(name)
    return Markup(  # noqa: S704 - numbers of ours, and every word escaped above
        f'<svg class="alarm-chart" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
        f'aria-labelledby="{named}-title {named}-desc" focusable="false">'
        f'<title id="{named}-title">{escape(title)}</title>'
        f'<desc id="{named}-desc">{escape(description)}</desc>{"".join(parts)}</svg>'
    )


def _runs(points: Sequence[tuple[Instant, float]]) -> list[list[tuple[Instant, float]]]:
    """The points in unbroken runs: a pause of several usual steps ends one."""
    if not points:
        return []
    steps = sorted(after[0] - before[0] for before, after in pairwise(points))
    longest = (steps[len(steps) // 2] if steps else timedelta(0)) * _GAP
    runs = [[points[0]]]
    for before, after in pairwise(points):
        if after[0] - before[0] > longest:
            runs.append([])
        runs[-1].append(after)
    return runs


def _thinned(points: Sequence[tuple[Instant, float]]) -> list[tuple[Instant, float]]:
    """So many that they can be seen: of each stretch the least and the greatest stay."""
    if len(points) <= _MOST_POINTS:
        return list(points)
    size = -(-len(points) * 2 // _MOST_POINTS)
    kept: list[tuple[Instant, float]] = []
    for start in range(0, len(points), size):
        stretch = points[start : start + size]
        ends = {min(stretch, key=lambda one: one[1]), max(stretch, key=lambda one: one[1])}
        kept += sorted(ends)
    return kept


def _ticks(begins: Instant, ends: Instant) -> list[Instant]:
    """Whole local hours or days along the axis, some five of them."""
    hours = (ends - begins).total_seconds() / 3600
    step = next((one for one in _ROUND_HOURS if hours / one <= _TICKS), _ROUND_HOURS[-1])
    local = begins.astimezone(VIETNAM)
    at = datetime(local.year, local.month, local.day, tzinfo=VIETNAM)
    found = []
    while at <= ends:
        if at >= begins:
            found.append(at)
        at += timedelta(hours=step)
    return found


def _short(value: float, span: float) -> float:
    """As many digits as a scale of that span needs."""
    return round(value, 0 if span >= 20 else 1 if span >= 2 else 3)
