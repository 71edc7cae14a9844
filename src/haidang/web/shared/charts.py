"""Charts as SVG, drawn on the server: pure functions from numbers to markup.

They need no script and no inline style, print as they are, and carry a title and a description;
a page puts the same numbers beside them as a table. See ADR 0034.
"""

from collections.abc import Sequence
from math import floor, log10

from markupsafe import Markup, escape

from haidang.sdk.charts import Band, Bar, Point, Threshold

WIDTH, HEIGHT = 360, 190
"""In the SVG's own units: on a telephone of 390 pixels one unit is about one pixel."""

_LEFT, _RIGHT, _TOP, _BOTTOM = 36, 66, 8, 22
_NARROW = 12  # right of a line, which has no words beside it
_STRIP, _GAP = 3, 6  # the strip of colours is a scale and stands apart from the bars
_LEAST_WORD_ROOM = 10  # a band lower than a line of text goes without its word
_BAR_SHARE = 0.76
_LEAST_BAR = 1.5  # a value near zero is there, and is seen


def bar_chart(
    bars: Sequence[Bar],
    bands: Sequence[Band],
    *,
    name: str,
    title: str,
    description: str,
    at_least: float = 0.0,
    missing: str = "",
) -> Markup:
    """Bars in time order over the bands they reach; `name` makes the ids on the page unique.

    The scale ends with the band that holds the greatest value, and not below `at_least`, so that
    a clean day does not look like a bad one. A missing value is a dashed gap that says `missing`
    when pointed at, never a zero.
    """
    top = _top_of_scale(bars, bands, at_least)
    plot_width, plot_height = WIDTH - _LEFT - _RIGHT, HEIGHT - _TOP - _BOTTOM
    bottom = _TOP + plot_height

    def height_of(value: float) -> float:
        return min(max(value, 0.0), top) / top * plot_height

    parts: list[str] = []
    below = 0.0
    for band in bands:
        if below >= top:
            break
        most = min(band.most, top)
        upper, lower = bottom - height_of(most), bottom - height_of(below)
        parts.append(
            f'<rect class="band" x="{_LEFT - _GAP - _STRIP}" y="{_n(upper)}" width="{_STRIP}" '
            f'height="{_n(lower - upper)}" fill="{escape(band.colour)}"/>'
            f'<path class="threshold" d="M{_LEFT} {_n(upper)}H{WIDTH - _RIGHT}"/>'
            f'<text x="{_LEFT - _GAP - _STRIP - 3}" y="{_n(upper + 4)}" text-anchor="end">{_n(most)}</text>'
        )
        if lower - upper >= _LEAST_WORD_ROOM:
            middle = (upper + lower) / 2
            parts.append(f'<text x="{WIDTH - _RIGHT + 6}" y="{_n(middle + 4)}">{escape(band.word)}</text>')
        below = band.most
    step = plot_width / max(len(bars), 1)
    width = step * _BAR_SHARE
    for place, bar in enumerate(bars):
        left = _LEFT + place * step + (step - width) / 2
        if bar.value is None:
            words = f"{bar.words} · {missing}" if missing else bar.words
            parts.append(
                f'<path class="gap" d="M{_n(left)} {_n(bottom - 3)}h{_n(width)}">'
                f"<title>{escape(words)}</title></path>"
            )
        else:
            tall = max(height_of(bar.value), _LEAST_BAR)
            parts.append(
                f'<rect class="bar" x="{_n(left)}" y="{_n(bottom - tall)}" width="{_n(width)}" '
                f'height="{_n(tall)}" fill="{escape(bar.colour)}"><title>{escape(bar.words)}</title></rect>'
            )
        if bar.tick:
            parts.append(
                f'<text x="{_n(left + width / 2)}" y="{HEIGHT - 6}" text-anchor="middle">'
                f"{escape(bar.tick)}</text>"
            )
    if missing and all(bar.value is None for bar in bars):
        parts.append(
            f'<text class="strong" x="{_n(_LEFT + plot_width / 2)}" y="{_n(_TOP + plot_height / 2)}" '
            f'text-anchor="middle">{escape(missing)}</text>'
        )
    parts.append(f'<path class="axis" d="M{_LEFT} {bottom}H{WIDTH - _RIGHT}"/>')
    named = escape(name)
    return Markup(  # noqa: S704 - numbers of ours, and every word escaped above
        f'<svg class="bars" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
        f'aria-labelledby="{named}-title {named}-desc" focusable="false">'
        f'<title id="{named}-title">{escape(title)}</title>'
        f'<desc id="{named}-desc">{escape(description)}</desc>{"".join(parts)}</svg>'
    )


def line_chart(
    points: Sequence[Point],
    *,
    name: str,
    title: str,
    description: str,
    unit: str = "",
    missing: str = "",
    span: tuple[float, float] | None = None,
    thresholds: Sequence[Threshold] = (),
    comma: bool = False,
) -> Markup:
    """A line in time order from zero to a round number; a missing value breaks it, never bridges it.

    `span` is another lowest and highest value of the scale, for what is not counted from zero (a water
    level above the sea); `thresholds` inside it are dashed lines with their word. A point without words
    belongs to the line and has no dot. `comma` writes the scale as Vietnamese does.
    A live chart may stand over it: see `frontend/islands/charts.ts`.
    """
    greatest = max((point.value for point in points if point.value is not None), default=0.0)
    base, top = span if span is not None and span[0] < span[1] else (0.0, _round_above(greatest))
    plot_width, plot_height = WIDTH - _LEFT - _NARROW, HEIGHT - _TOP - _BOTTOM
    bottom = _TOP + plot_height
    above = [_from_base(point, base) for point in points]
    places = _places(above, left=_LEFT, width=plot_width, bottom=bottom, height=plot_height, top=top - base)
    parts = [
        f'<path class="threshold" d="M{_LEFT} {_n(bottom - share * plot_height)}H{WIDTH - _NARROW}"/>'
        f'<text x="{_LEFT - 6}" y="{_n(bottom - share * plot_height + 4)}" text-anchor="end">'
        f"{_n(base + share * (top - base)).replace('.', ',' if comma else '.')}</text>"
        for share in (0.0, 0.5, 1.0)
    ]
    for one in thresholds:
        if base < one.value < top:
            y = bottom - (one.value - base) / (top - base) * plot_height
            parts.append(
                f'<path class="gap" d="M{_LEFT} {_n(y)}H{WIDTH - _NARROW}"/>'
                f'<text x="{_LEFT + 4}" y="{_n(y - 3)}">{escape(one.word)}</text>'
            )
    parts += _line(places)
    step = plot_width / max(len(points) - 1, 1)
    for number, (point, place) in enumerate(zip(points, places, strict=True)):
        left = _LEFT + number * step
        if point.tick:
            parts.append(
                f'<text x="{_n(left)}" y="{HEIGHT - 6}" text-anchor="middle">{escape(point.tick)}</text>'
            )
        if place is not None and point.words:
            said = f"{point.words} · {_n(point.value or 0.0)} {unit}".rstrip() if unit else point.words
            parts.append(
                f'<circle class="point" cx="{_n(place[0])}" cy="{_n(place[1])}" r="2.5">'
                f"<title>{escape(said)}</title></circle>"
            )
    if missing and not any(places):
        parts.append(
            f'<text class="strong" x="{_n(_LEFT + plot_width / 2)}" y="{_n(_TOP + plot_height / 2)}" '
            f'text-anchor="middle">{escape(missing)}</text>'
        )
    named = escape(name)
    return Markup(  # noqa: S704 - numbers of ours, and every word escaped above
        f'<svg class="lines" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
        f'aria-labelledby="{named}-title {named}-desc" focusable="false">'
        f'<title id="{named}-title">{escape(title)}</title>'
        f'<desc id="{named}-desc">{escape(description)}</desc>{"".join(parts)}</svg>'
    )


def spark_line(values: Sequence[float | None]) -> Markup:
    """The course of a few values beside their last one, between their own least and greatest.

    It has no scale, so it is silent: the figure beside it, its unit and its age say what there is.
    """
    some = [value for value in values if value is not None]
    least, span = min(some, default=0.0), (max(some, default=0.0) - min(some, default=0.0)) or 1.0
    points = [Point(None if value is None else value - least, "") for value in values]
    places = _places(points, left=2, width=92, bottom=24, height=20, top=span)
    end = next((place for place in reversed(places) if place is not None), None)
    dot = "" if end is None else f'<circle class="point" cx="{_n(end[0])}" cy="{_n(end[1])}" r="2.5"/>'
    return Markup(  # noqa: S704 - numbers only
        '<svg class="spark" viewBox="0 0 96 28" aria-hidden="true" focusable="false">'
        f"{''.join(_line(places))}{dot}</svg>"
    )


def _places(
    points: Sequence[Point], *, left: float, width: float, bottom: float, height: float, top: float
) -> list[tuple[float, float] | None]:
    """Where each point stands, from left to right; None for one without a value."""
    step = width / max(len(points) - 1, 1)
    return [
        None
        if point.value is None
        else (left + place * step, bottom - min(max(point.value, 0.0), top) / top * height)
        for place, point in enumerate(points)
    ]


def _from_base(point: Point, base: float) -> Point:
    return point if point.value is None else Point(point.value - base, point.words, point.tick)


def _line(places: Sequence[tuple[float, float] | None]) -> list[str]:
    """One path for each unbroken run of places."""
    runs: list[list[tuple[float, float]]] = [[]]
    for place in places:
        if place is None:
            runs.append([])
        else:
            runs[-1].append(place)
    return [
        f'<path class="line" d="M{" L".join(f"{_n(x)} {_n(y)}" for x, y in run)}"/>'
        for run in runs
        if len(run) > 1
    ]


def _round_above(value: float) -> float:
    """The least of 1, 2, 5, 10, 20, 50 … that is not below the value."""
    if value <= 0:
        return 1.0
    size = 10.0 ** max(-300, floor(log10(value)))  # smaller powers are no longer numbers
    return next(step * size for step in (1, 2, 5, 10, 20) if step * size >= value)


def _top_of_scale(bars: Sequence[Bar], bands: Sequence[Band], at_least: float) -> float:
    greatest = max((bar.value for bar in bars if bar.value is not None), default=0.0)
    wanted = max(greatest, at_least)
    return next((band.most for band in bands if band.most >= wanted), max(wanted, 1.0))


def _n(number: float) -> str:
    """A number as short as SVG allows: at most one decimal."""
    return f"{number:.1f}".removesuffix(".0")
