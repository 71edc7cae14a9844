"""Charts as SVG, drawn on the server: pure functions from numbers to markup.

They need no script and no inline style, print as they are, and carry a title and a description;
a page puts the same numbers beside them as a table. See ADR 0034.
"""

from collections.abc import Sequence

from markupsafe import Markup

from haidang.sdk.charts import Band, Bar

WIDTH, HEIGHT = 360, 190
"""In the SVG's own units: on a telephone of 390 pixels one unit is about one pixel."""

_LEFT, _RIGHT, _TOP, _BOTTOM = 36, 66, 8, 22
_STRIP = 5
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

    parts: list[Markup] = []
    below = 0.0
    for band in bands:
        if below >= top:
            break
        most = min(band.most, top)
        upper, lower = floor - height_of(most), floor - height_of(below)
        parts.append(
            Markup(
                '<rect class="band" x="{}" y="{}" width="{}" height="{}" fill="{}"/>'
                '<path class="threshold" d="M{} {}H{}"/>'
                '<text x="{}" y="{}" text-anchor="end">{}</text>'
            ).format(
                _LEFT - _STRIP, _n(upper), _STRIP, _n(lower - upper), band.colour,
                _LEFT, _n(upper), WIDTH - _RIGHT,
                _LEFT - _STRIP - 4, _n(upper + 4), _n(most),
            )
        )  # fmt: skip
        if lower - upper >= _LEAST_WORD_ROOM:
            parts.append(
                Markup('<text x="{}" y="{}">{}</text>').format(
                    WIDTH - _RIGHT + 6, _n((upper + lower) / 2 + 4), band.word
                )
            )
        below = band.most
    step = plot_width / max(len(bars), 1)
    width = step * _BAR_SHARE
    for place, bar in enumerate(bars):
        left = _LEFT + place * step + (step - width) / 2
        if bar.value is None:
            parts.append(
                Markup('<path class="gap" d="M{} {}h{}"><title>{}</title></path>').format(
                    _n(left), _n(floor - 3), _n(width), f"{bar.words} · {missing}" if missing else bar.words
                )
            )
        else:
            tall = max(height_of(bar.value), _LEAST_BAR)
            parts.append(
                Markup(
                    '<rect class="bar" x="{}" y="{}" width="{}" height="{}" fill="{}">'
                    "<title>{}</title></rect>"
                ).format(_n(left), _n(floor - tall), _n(width), _n(tall), bar.colour, bar.words)
            )
        if bar.tick:
            parts.append(
                Markup('<text x="{}" y="{}" text-anchor="middle">{}</text>').format(
                    _n(left + width / 2), HEIGHT - 6, bar.tick
                )
            )
    if missing and all(bar.value is None for bar in bars):
        parts.append(
            Markup('<text class="strong" x="{}" y="{}" text-anchor="middle">{}</text>').format(
                _n(_LEFT + plot_width / 2), _n(_TOP + plot_height / 2), missing
            )
        )
    parts.append(Markup('<path class="axis" d="M{} {}H{}"/>').format(_LEFT, floor, WIDTH - _RIGHT))
    return Markup(
        '<svg class="bars" viewBox="0 0 {} {}" role="img" aria-labelledby="{}-title {}-desc" '
        'focusable="false">'
        '<title id="{}-title">{}</title><desc id="{}-desc">{}</desc>{}</svg>'
    ).format(WIDTH, HEIGHT, name, name, name, title, name, description, Markup().join(parts))


def _top_of_scale(bars: Sequence[Bar], bands: Sequence[Band], at_least: float) -> float:
    greatest = max((bar.value for bar in bars if bar.value is not None), default=0.0)
    wanted = max(greatest, at_least)
    return next((band.most for band in bands if band.most >= wanted), max(wanted, 1.0))


def _n(number: float) -> str:
    """A number as short as SVG allows: at most one decimal."""
    return f"{number:.1f}".removesuffix(".0")
