"""What can be wrong with a request before any room has seen it."""

from haidang.kernel.errors import Denied, HaidangError, Invalid, NotFound, Unavailable


class PageNotFound(NotFound):
    """There is no page at this address."""


class MethodNotOffered(Invalid):
    """This address does not answer {method}."""


class RequestUnreadable(Invalid):
    """The request cannot be read: {reason}."""


class BodyTooLarge(Invalid):
    """What was sent is larger than the {limit} bytes that are accepted."""


class HostNotOurs(Invalid):
    """This server does not answer for the host {host}."""


class TokenRefused(Denied):
    """The access token is unknown, expired or revoked."""


class TokenNeeded(Denied):
    """This needs an access token."""


class RequestTookTooLong(Unavailable):
    """The answer took over {seconds} seconds and was given up; what was to be written may have been."""


class SomethingBroke(HaidangError):
    """Something broke on our side; it has been noted under the number {trace_id}."""


class RouteWithoutAudience(HaidangError):
    """The route {route} does not say whom it is for."""
