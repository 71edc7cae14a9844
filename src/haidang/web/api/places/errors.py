"""What can be wrong with a question about places."""

from haidang.kernel.errors import Invalid


class LevelUnknown(Invalid):
    """There is no level {text}; there are: {known}."""


class WardsNeedParent(Invalid):
    """The whole country's units of that level are too many for one answer; name the unit above: parent."""


class PointNeeded(Invalid):
    """Say where: longitude and latitude."""


class JsonNeeded(Invalid):
    """Send JSON, and say so: Content-Type: application/json."""


class SentUnreadable(Invalid):
    """What was sent cannot be read: {reason}."""


class AreaTooWide(Invalid):
    """The box around the area has {km2} km²; no more than {most} km² can be looked at."""


class TooManyFigures(Invalid):
    """There are {figures} figures; no more than {most} can be re-based at once."""


class FigureOutOfRange(Invalid):
    """The figure of {unit} is no number with at most 15 digits before and 6 after the point."""


class FigureTwice(Invalid):
    """There are two figures of {unit}; send their sum, or one of them."""
