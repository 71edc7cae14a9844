"""The NGSI-LD face: a raw ASGI 3 application, at half of a framework's CPU (ADR 0026).

It reads `raw_path`, because an entity id may hold `%2F`; it knows who asks, lets through whom a
route is for, answers every mistake in the standard's form, and carries out a POST with an
Idempotency-Key once.
"""

from collections.abc import Awaitable, Callable, Sequence

from haidang.context.errors import EntityIdMalformed
from haidang.context.fragments import Declarations
from haidang.context.jsonld import Contexts
from haidang.context.service import MOST_INSTANCES, OwnTransaction, Writer
from haidang.infra.database import Connection, Pool
from haidang.infra.idempotency import Receipt, answer_once, keyed_request, read_key
from haidang.kernel.actors import Actor, anonymous
from haidang.kernel.errors import HaidangError
from haidang.kernel.instants import Clock
from haidang.sdk.model import Pack
from haidang.web.api.ngsi_ld.problems import PathUnknown, TenantUnknown, answer_of
from haidang.web.api.ngsi_ld.requests import Request, read_parameters, split_path
from haidang.web.api.ngsi_ld.routes import PREFIX, ROUTES, City, Route
from haidang.web.shared.answers import Answer, header_of
from haidang.web.shared.errors import MethodNotOffered, TokenNeeded
from haidang.web.shared.house import Receive, Scope, Send

Authenticate = Callable[[str], Awaitable[Actor]]
"""From an Authorization header (empty: none) to who asks; raises TokenRefused."""


class NgsiLdApplication:
    """Answers `/ngsi-ld/v1/…`. Who asks is what the dispatcher found, or else what `authenticate` says."""

    def __init__(
        self,
        pool: Pool,
        writer: Writer,
        clock: Clock,
        *,
        packs: Sequence[Pack] = (),
        contexts: Contexts | None = None,
        authenticate: Authenticate | None = None,
        body_limit: int = 10 * 1024 * 1024,
        most_instances: int = MOST_INSTANCES,
    ) -> None:
        self._city = City(
            pool=pool,
            writer=writer,
            clock=clock,
            contexts=contexts or Contexts(packs),
            declarations=Declarations.of(packs),
            most_instances=most_instances,
        )
        self._authenticate = authenticate
        self._body_limit = body_limit
        self._routes = _by_length(ROUTES)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return
        try:
            answer = await self._answer(scope, receive)
        except HaidangError as error:
            answer = answer_of(error)
        tenant = header_of(scope["headers"], b"ngsild-tenant")
        if tenant:
            answer = Answer(
                answer.status,
                (*answer.headers, (b"ngsild-tenant", tenant.encode("latin-1", "replace"))),
                answer.body,
            )
        await answer.send(send)

    async def _answer(self, scope: Scope, receive: Receive) -> Answer:
        raw_path: bytes = scope.get("raw_path") or str(scope["path"]).encode()
        segments = split_path(raw_path)
        if segments is None:
            raise PathUnknown
        method = "GET" if scope["method"] == "HEAD" else str(scope["method"])
        route, arguments = self._find(method, segments)
        scope["path_template"] = PREFIX + route.pattern
        if "" in arguments:
            raise EntityIdMalformed(entity_id="")
        actor = await self._actor(scope)
        if not actor.belongs_to(route.audience):
            raise TokenNeeded
        _check_tenant(actor, header_of(scope["headers"], b"ngsild-tenant"))
        request = Request(
            scope=scope,
            receive=receive,
            method=method,
            segments=segments,
            body_limit=self._body_limit,
            actor=actor,
            parameters=read_parameters(scope.get("query_string") or b""),
            arguments=arguments,
        )
        if method in {"GET", "DELETE"}:
            return await route.verb(self._city, request, self._city.writer)
        request.media_type()
        if method == "POST":
            key = read_key(request.header(b"idempotency-key") or None)
            if key is not None:
                return await self._answer_once(route, request, key, raw_path)
        return await route.verb(self._city, request, self._city.writer)

    def _find(self, method: str, segments: tuple[str, ...]) -> tuple[Route, tuple[str, ...]]:
        """The route for a path and its arguments; raises PathUnknown, and MethodNotOffered with Allow."""
        allowed: list[str] = []
        for route, parts in self._routes.get(len(segments), ()):
            arguments = _matched(parts, segments)
            if arguments is None:
                continue
            if route.method == method:
                return route, arguments
            allowed.append(route.method)
        if not allowed:
            raise PathUnknown
        raise MethodNotOffered(method=method[:20], allow=", ".join(sorted(set(allowed))))

    async def _actor(self, scope: Scope) -> Actor:
        found: Actor | None = (scope.get("state") or {}).get("actor")
        if found is not None:
            return found
        if self._authenticate is None:
            return anonymous()
        return await self._authenticate(header_of(scope["headers"], b"authorization"))

    async def _answer_once(self, route: Route, request: Request, key: str, raw_path: bytes) -> Answer:
        """Carry out a POST in a transaction of its own, with its receipt, or repeat what was answered."""
        city = self._city
        keyed = keyed_request(
            key,
            method=request.method,
            path=raw_path,
            query=request.scope.get("query_string") or b"",
            content_type=request.header(b"content-type") + "\n" + request.header(b"link"),
            body=await request.body(),
        )

        async def write(connection: Connection) -> Receipt:
            answer = await route.verb(city, request, OwnTransaction(connection, city.clock))
            headers = tuple((name.decode(), value.decode("latin-1")) for name, value in answer.headers)
            return Receipt(answer.status, headers, answer.body)

        receipt = await answer_once(city.pool, request.actor, keyed, write, now=city.clock.now())
        headers = tuple((name.encode(), value.encode("latin-1")) for name, value in receipt.headers)
        return Answer(receipt.status, headers, receipt.body)


def _check_tenant(actor: Actor, tenant: str) -> None:
    """The tenant is that of the token; a header that names another one is told that there is none."""
    if tenant and tenant != actor.tenant:
        raise TenantUnknown(tenant=tenant[:80])


def _by_length(routes: Sequence[Route]) -> dict[int, list[tuple[Route, tuple[str, ...]]]]:
    found: dict[int, list[tuple[Route, tuple[str, ...]]]] = {}
    for route in routes:
        found.setdefault(len(route.parts), []).append((route, route.parts))
    return found


def _matched(parts: tuple[str, ...], segments: tuple[str, ...]) -> tuple[str, ...] | None:
    arguments: list[str] = []
    for part, segment in zip(parts, segments, strict=True):
        if part.startswith("{"):
            arguments.append(segment)
        elif part != segment:
            return None
    return tuple(arguments)
