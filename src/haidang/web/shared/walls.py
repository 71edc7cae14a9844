"""How large everything must be on a wall, so that who sits far from it can read the smallest word."""

from math import ceil

from haidang.kernel.errors import Invalid

CAP_HEIGHT = 0.7
"""Height of a capital of Be Vietnam Pro, in its font size (OS/2 sCapHeight 700 of 1000)."""

SMALLEST_REM = 0.8125
"""The smallest text of the control room (`--tiny`), in root sizes."""

SIGHT = 200
"""A capital is at least a two-hundredth of the viewing distance high: about 17 minutes of arc."""

SIZES = range(16, 97, 2)
"""Root sizes in CSS pixels that `data-wall` offers: steps, because no page has a style of its own."""


class WallCannotBeRead(Invalid):
    """At {distance_m} m the smallest word would need {needed_px} px; this wall offers {most_px} at most."""


class WallSizeImpossible(Invalid):
    """A wall is 0.3 to 30 m wide, 640 to 16,384 px, and seen from 0.3 to 60 m."""


def wall_root_px(*, width_m: float, width_px: int, distance_m: float) -> int:
    """The root size for a wall so wide, with so many CSS pixels, seen from so far.

    Raises WallSizeImpossible for figures that no wall has, WallCannotBeRead when even the largest
    size is too small: the wall then needs fewer things on it, nearer people or a larger screen.
    """
    if not (0.3 <= width_m <= 30 and 640 <= width_px <= 16_384 and 0.3 <= distance_m <= 60):
        raise WallSizeImpossible
    metres_per_px = width_m / width_px
    needed = ceil(round(distance_m / SIGHT / (CAP_HEIGHT * SMALLEST_REM * metres_per_px), 6))
    found = next((size for size in SIZES if size >= needed), None)
    if found is None:
        raise WallCannotBeRead(distance_m=distance_m, needed_px=needed, most_px=SIZES[-1])
    return found


def cap_height_m(root_px: int, *, width_m: float, width_px: int) -> float:
    """How high a capital of the smallest text then is, in metres."""
    return root_px * SMALLEST_REM * CAP_HEIGHT * width_m / width_px
