"""Deny by default: every route says whom it is for, and a route that does not is refused at start."""

from typing import Any

from litestar import Litestar
from litestar.connection import ASGIConnection
from litestar.handlers import BaseRouteHandler

from haidang.kernel.actors import Actor, Audience, anonymous
from haidang.web.shared.errors import PageNotFound, RouteWithoutAudience, TokenNeeded
from haidang.web.shared.house import Scope

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


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
    check_audience(actor_of(scope), audience, str(scope.get("method", "GET")))


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
