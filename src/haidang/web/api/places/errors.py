"""What can be wrong with a question about places."""

from haidang.kernel.errors import Invalid


class LevelUnknown(Invalid):
    """There is no level {text}; there are: {known}."""


class WardsNeedParent(Invalid):
    """The whole country's units of that level are too many for one answer; name the unit above: parent."""


class PointNeeded(Invalid):
    """Say where: longitude and latitude."""
