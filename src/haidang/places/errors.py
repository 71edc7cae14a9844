"""What can go wrong with places."""

from haidang.kernel.errors import Conflict, Denied, Invalid, NotFound


class UnitUnknown(NotFound):
    """There is no administrative unit {unit_id}."""


class ReportingAreaUnknown(NotFound):
    """There is no reporting area {area_id}."""


class PointsDoNotPair(Invalid):
    """{longitudes} longitudes were sent with {latitudes} latitudes."""


class AreaNotDrawn(Invalid):
    """What was sent is not an area: a polygon, or several."""


class AreaTooDetailed(Invalid):
    """The area has {positions} positions; no more than {most} can be looked at."""


class FactsAreForAdministrators(Denied):
    """Only administrators may load or change the facts of places."""


class FactsMalformed(Conflict):
    """Line {line} of the facts file {file} cannot be read: {problem}."""
