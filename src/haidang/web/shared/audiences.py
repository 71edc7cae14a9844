"""Deny by default: every route says whom it is for, and a route that does not is refused at start."""

import ipaddress
from typing import Any

from litestar import Litestar
from litestar.connection import ASGIConnection
from litestar.handlers import BaseRouteHandler

from haidang.kernel.actors import Actor, Audience, anonymous
from haidang.web.shared.errors import PageNotFound, RouteWithoutAudience, TokenNeeded
from haidang.web.shared.house import Scope

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
OPEN_ON_LOOPBACK = "open_on_loopback"
_FORWARDED = frozenset({b"forwarded", b"x-forwarded-for", b"x-real-ip", b"via"})


def actor_of(scope: Scope) -> Actor:
    """Who asks: set by the dispatcher; nobody known when it was not."""
    actor: Actor | None = scope.get("state", {}).get("actor")
    return actor or anonymous()


def check_audience(actor: Actor, audience: Audience, method: str) -> None:
    """Let an actor through or not.

    Who may not read a thing is told that it does not exist; who may not write is told what is missing.
    """
    if actor.belongs_to(audience):
        return
    if method in SAFE_METHODS:
        raise PageNotFound
    raise TokenNeeded


async def guard_audience(connection: ASGIConnection[Any, Any, Any, Any], handler: BaseRouteHandler) -> None:
    """Litestar's guard, on every route; async, because it hands a plain function to a thread each time."""
    audience = handler.opt.get("audience")
    if not isinstance(audience, Audience):
        raise RouteWithoutAudience(route=str(handler))
    scope: Scope = connection.scope  # type: ignore[assignment]  # Litestar's is a TypedDict of the same
    if handler.opt.get(OPEN_ON_LOOPBACK) and came_from_loopback(scope):
        return
    check_audience(actor_of(scope), audience, str(scope.get("method", "GET")))


def came_from_loopback(scope: Scope) -> bool:
    """Whether the request comes from this machine and no proxy says that it carried it here."""
    client = scope.get("client")
    if not client or any(name in _FORWARDED for name, _ in scope["headers"]):
        return False
    try:
        return ipaddress.ip_address(client[0]).is_loopback
    except ValueError:
        return False


def audiences_of(application: Litestar) -> dict[str, Audience]:
    """The audience of every route, by method and path; raises RouteWithoutAudience for one that has none."""
    found: dict[str, Audience] = {}
    for route in application.routes:
        handlers = getattr(route, "route_handlers", None) or [route.route_handler]  # type: ignore[union-attr]
        for handler in handlers:
            for method in sorted(getattr(handler, "http_methods", None) or {"*"}):
                name = f"{method} {route.path}"
                audience = handler.opt.get("audience")
                if not isinstance(audience, Audience):
                    if method == "OPTIONS":  # made by the framework for each path: says only what is allowed
                        continue
                    raise RouteWithoutAudience(route=name)
                found[name] = audience
    return found
