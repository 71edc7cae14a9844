"""How a level looks apart from its colour: a shape of its own, and whether dark letters can stand on it."""

from markupsafe import Markup

NIGHT = "#07131f"
_READABLE = 4.5  # WCAG 2.2, 1.4.3: contrast of text, level AA

_SHAPES = (
    '<circle cx="8" cy="8" r="5.5"/>',
    '<path d="M8 2.5 14 13.5H2z"/>',
    '<path d="M8 1.5 14.5 8 8 14.5 1.5 8z"/>',
    '<path d="M2.5 2.5h11v11h-11z"/>',
    '<path d="M5.2 1.5h5.6l3.7 3.7v5.6l-3.7 3.7H5.2l-3.7-3.7V5.2z"/>',
    '<path d="m8 0 2 5.2L15.2 3 13 8l2.2 5-5.2-2.2L8 16l-2-5.2L.8 13 3 8 .8 3 6 5.2z"/>',
)
"""Circle, triangle, diamond, square, octagon, star: from harmless to grave, told apart at 12 pixels."""


def level_outline(rank: int) -> str:
    """The shape of a level from 1 (best) to 6 in a square of 16, to be filled by what is around it."""
    return _SHAPES[min(max(rank, 1), len(_SHAPES)) - 1]


def level_shape(rank: int, plate: bool = False) -> Markup:  # noqa: FBT001, FBT002 - called from templates
    """The shape of a level from 1 (best) to 6, as a small drawing; filled white on a dark colour."""
    shape = level_outline(rank)
    fill = "#ffffff" if plate else NIGHT
    return Markup(  # noqa: S704 - made of our own constants only
        '<svg class="level-shape" viewBox="0 0 16 16" aria-hidden="true" focusable="false" '
        f'fill="{fill}">{shape}</svg>'
    )


def luminance(colour: str) -> float:
    """Relative luminance of `#rrggbb`, 0 to 1 (WCAG 2.2)."""
    parts = [int(colour[start : start + 2], 16) / 255 for start in (1, 3, 5)]
    red, green, blue = (
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    """Contrast of two colours, 1 to 21 (WCAG 2.2)."""
    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


def needs_plate(colour: str) -> bool:
    """Whether dark letters on this colour could not be read: they then stand on a white plate inside it."""
    return contrast(colour, NIGHT) < _READABLE
