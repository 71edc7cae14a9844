"""The colours of the look as the browser gets them, and how well each pair that is used can be read."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from haidang.kernel.errors import HaidangError
from haidang.sdk.model import Pack
from haidang.web.shared.levels import NIGHT, contrast, needs_plate
from haidang.web.shared.risks import RISK_LEVELS

TEXT, SIGN = 4.5, 3.0
"""What WCAG 2.2 AA asks of text (1.4.3) and of what is no text but has to be seen (1.4.11)."""

THEMES = {"day": ":root", "night": "[data-theme=night]"}
"""The two themes and the rule of the style sheet that sets each."""

PAIRS: tuple[tuple[str, str, float], ...] = (
    ("text", "ground", TEXT),
    ("text", "panel", TEXT),
    ("text", "notice", TEXT),
    ("text", "changed", TEXT),
    ("dim", "ground", TEXT),
    ("dim", "panel", TEXT),
    ("link", "ground", TEXT),
    ("link", "panel", TEXT),
    ("link", "notice", TEXT),
    ("ground", "link", TEXT),
    ("on-act", "act", TEXT),
    ("on-sea", "sea", TEXT),
    ("dim-on-sea", "sea", TEXT),
    ("good", "ground", TEXT),
    ("warning", "ground", TEXT),
    ("critical", "ground", TEXT),
    ("good", "panel", TEXT),
    ("warning", "panel", TEXT),
    ("critical", "panel", TEXT),
    ("stale", "ground", TEXT),
    ("stale", "panel", TEXT),
    ("control", "ground", SIGN),
    ("focus", "ground", SIGN),
    ("focus", "panel", SIGN),
    ("ring", "ground", SIGN),
)
"""Every pair that a style sheet puts together: what stands on what, and the contrast it needs."""

_COLOUR = re.compile(r"--([\w-]+):\s*(#[0-9a-fA-F]{3,8})\s*(?=[;}])")


class ThemeMissing(HaidangError):
    """The style sheet has no rule {selector} with the colours of a theme."""


class TokenMissing(HaidangError):
    """The theme {theme} has no colour {name}."""


@dataclass(frozen=True, slots=True)
class MeasuredPair:
    """Two tokens, one on the other: their colours, their contrast (1 to 21), and what it must be."""

    theme: str
    token: str
    ground: str
    colour: str
    ground_colour: str
    ratio: float
    least: float

    @property
    def passes(self) -> bool:
        """Whether it reaches level AA."""
        return self.ratio >= self.least


def read_themes(css: str) -> dict[str, dict[str, str]]:
    """The colours of each theme by token, as `#rrggbb`: night has day's where it sets none of its own.

    Raises ThemeMissing. Works on the source and on what the build made of it.
    """
    plain = re.sub(r"/\*.*?\*/", "", css, flags=re.DOTALL).replace('"', "")
    themes: dict[str, dict[str, str]] = {}
    for theme, selector in THEMES.items():
        bodies = re.findall(re.escape(selector) + r"\s*\{([^}]*)\}", plain)
        found = {name: _long(value) for body in bodies for name, value in _COLOUR.findall(body)}
        if not found:
            raise ThemeMissing(selector=selector)
        themes[theme] = {**themes.get("day", {}), **found}
    return themes


def measure(themes: Mapping[str, Mapping[str, str]]) -> list[MeasuredPair]:
    """Each pair in each theme; raises TokenMissing."""
    measured = []
    for theme, colours in themes.items():
        for token, ground, least in PAIRS:
            missing = next((name for name in (token, ground) if name not in colours), None)
            if missing is not None:
                raise TokenMissing(theme=theme, name=missing)
            one, other = colours[token], colours[ground]
            ratio = int(contrast(one, other) * 100) / 100  # down: 4.499 is not 4.5
            measured.append(MeasuredPair(theme, token, ground, one, other, ratio, least))
    return measured


def measure_levels() -> list[tuple[int, str, str, float]]:
    """The words of each level of disaster risk on what they stand on: rank, message id, colour, contrast."""
    return [(one.level, one.label, one.colour, _on_level(one.colour)) for one in RISK_LEVELS.values()]


def measure_signs(packs: Iterable[Pack], locale: str) -> list[tuple[str, list[tuple[int, str, str, float]]]]:
    """The same of the levels that installed packs put on maps: the layer's label, and each level's words."""
    return [
        (
            layer.label,
            [(one.rank, one.words, one.colour, _on_level(one.colour)) for one in layer.levels(locale)],
        )
        for pack in packs
        for layer in pack.map_layers
        if layer.levels is not None
    ]


def _on_level(colour: str) -> float:
    """The contrast of words on a level's colour, or on the plate where they could not be read on it."""
    return contrast("#ffffff" if needs_plate(colour) else colour, NIGHT)


def _long(colour: str) -> str:
    """`#abc` as `#aabbcc`; without transparency."""
    digits = colour[1:].lower()
    if len(digits) in {3, 4}:
        digits = "".join(2 * one for one in digits)
    return f"#{digits[:6]}"
