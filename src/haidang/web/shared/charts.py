"""Charts as SVG, drawn on the server: pure functions from numbers to markup.

They need no script and no inline style, print as they are, and carry a title and a description;
a page puts the same numbers beside them as a table. See ADR 0034.
"""

from collections.abc import Sequence

from markupsafe import Markup, escape

from haidang.sdk.charts import Band, Bar

WIDTH, HEIGHT = 360, 190
"""In the SVG's own units: on a telephone of 390 pixels one unit is about one pixel."""

_LEFT, _RIGHT, _TOP, _BOTTOM = 36, 66, 8, 22
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
    floor = _TOP + plot_height

    def height_of(value: float) -> float:
        return min(max(value, 0.0), top) / top * plot_height

    parts: list[str] = []
    below = 0.0
    for band in bands:
        if below >= top:
            break
        most = min(band.most, top)
        upper, lower = floor - height_of(most), floor - height_of(below)
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
                f'<path class="gap" d="M{_n(left)} {_n(floor - 3)}h{_n(width)}">'
                f"<title>{escape(words)}</title></path>"
            )
        else:
            tall = max(height_of(bar.value), _LEAST_BAR)
            parts.append(
                f'<rect class="bar" x="{_n(left)}" y="{_n(floor - tall)}" width="{_n(width)}" '
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
    parts.append(f'<path class="axis" d="M{_LEFT} {floor}H{WIDTH - _RIGHT}"/>')
    named = escape(name)
    return Markup(  # noqa: S704 - numbers of ours, and every word escaped above
        f'<svg class="bars" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
        f'aria-labelledby="{named}-title {named}-desc" focusable="false">'
        f'<title id="{named}-title">{escape(title)}</title>'
        f'<desc id="{named}-desc">{escape(description)}</desc>{"".join(parts)}</svg>'
    )


def _top_of_scale(bars: Sequence[Bar], bands: Sequence[Band], at_least: float) -> float:
    greatest = max((bar.value for bar in bars if bar.value is not None), default=0.0)
    wanted = max(greatest, at_least)
    return next((band.most for band in bands if band.most >= wanted), max(wanted, 1.0))


def _n(number: float) -> str:
    """A number as short as SVG allows: at most one decimal."""
    return f"{number:.1f}".removesuffix(".0")
