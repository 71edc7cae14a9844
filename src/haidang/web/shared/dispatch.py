"""The one door: every request passes here before the framework or the NGSI-LD face sees it.

It reads `raw_path` (a framework's mount decodes and folds NGSI-LD paths), knows who asks, keeps
bodies and times within limits, answers every error in one of two forms, and counts, logs and
traces what passed. It holds no page and no rule of the city. See ADR 0032.
"""

import asyncio
import time
from collections.abc import Callable, Mapping, MutableMapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import lru_cache
from html import escape
from http import HTTPStatus
from typing import Any

from litestar.exceptions import HTTPException, MethodNotAllowedException, NotFoundException
from prometheus_client import Histogram

from haidang.infra.telemetry import count_request, histogram, logger, parse_traceparent, trace
from haidang.infra.translations import choose_locale
from haidang.kernel.errors import HaidangError
from haidang.web.shared.answers import Answer, header_of
from haidang.web.shared.bearers import Bearers
from haidang.web.shared.errors import (
    BodyTooLarge,
    HostNotOurs,
    MethodNotOffered,
    PageNotFound,
    RequestTookTooLong,
    RequestUnreadable,
    SomethingBroke,
)
from haidang.web.shared.frame import Frame, locale_of
from haidang.web.shared.house import AsgiApplication, House, Receive, Scope, Send
from haidang.web.shared.problems import PROBLEM_JSON, problem_document, problem_of, wants_page
from haidang.web.shared.security import answers_for, security_headers

PATIENCE_S = 30.0
"""How long an answer may take to begin. Event streams have begun by then and may last."""

UPLOAD_PATIENCE_S = 600.0
"""The same where a large file is sent: half a megabyte a second for the largest."""

NGSI_LD_PREFIX = b"/ngsi-ld/"
_FALLBACK = (
    "<!doctype html><html lang={locale}><meta charset=utf-8>"
    '<meta name=viewport content="width=device-width,initial-scale=1">'
    "<title>{title}</title><h1>{title}</h1><p>{detail}</p><p>112 · 113 · 114 · 115</p>"
)

ROUTE_SECONDS = histogram("http_route_seconds", "Time to answer, by route.", ("route", "method"))
_log = logger("web")
_ROUTINE = frozenset({"/healthz", "/readyz", "/metrics", "/static/{name}"})
"""Routes that are asked all day long: their lines are for who debugs."""
_KNOWN_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


@dataclass(slots=True)
class _Passage:
    """One request on its way through the door."""

    scope: Scope
    face: str
    trace_id: str
    asked_method: str
    started_at: float = field(default_factory=time.perf_counter)
    status: int = 0
    received: int = 0
    too_large: bool = False
    began_after_s: float | None = None  # of a stream: how long it lasts says nothing of how quick we are


class Dispatcher:
    """A raw ASGI 3 application in front of the framework and of the NGSI-LD face."""

    def __init__(
        self,
        house: House,
        portal: AsgiApplication,
        frame: Frame,
        *,
        answer_machines: Callable[[HaidangError], Answer] | None = None,
        patience_s: float = PATIENCE_S,
        uploads: Mapping[str, int] | None = None,
    ) -> None:
        """`answer_machines` says an error in the form of the NGSI-LD standard; RFC 9457 without it.

        `uploads` are the paths that take more than a form, with the largest body of each, in bytes.
        """
        self._house = house
        self._portal = portal
        self._frame = frame
        self._bearers = Bearers(house)
        self._answer_machines = answer_machines
        self._patience_s = patience_s
        self._uploads = uploads or {}
        self._loopback = answers_for("localhost", house.settings.host) and not answers_for(
            "example.vn", house.settings.host
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or run the lifespan."""
        if scope["type"] == "lifespan":
            await self._portal(scope, receive, send)
            return
        if scope["type"] != "http":
            await send({"type": "websocket.close", "code": 1008})
            return
        raw_path: bytes = scope.get("raw_path") or str(scope["path"]).encode()
        is_ngsi_ld = raw_path.startswith(NGSI_LD_PREFIX)
        method = str(scope["method"])
        parent = parse_traceparent(header_of(scope["headers"], b"traceparent"))
        with trace("http", parent=parent, method=method) as place:
            passage = _Passage(scope, "ngsi-ld" if is_ngsi_ld else "portal", place.trace_id, method)
            scope["state"] = dict(scope.get("state") or {})
            scope["state"]["trace_id"] = place.trace_id
            if method == "HEAD" and not is_ngsi_ld:
                scope["method"] = "GET"
                scope["state"]["head_only"] = True  # of a body without an end the face has to know
            try:
                await self._pass(passage, self._house.ngsi_ld if is_ngsi_ld else self._portal, receive, send)
            finally:
                self._note(passage)

    async def _pass(
        self, passage: _Passage, application: AsgiApplication, receive: Receive, send: Send
    ) -> None:
        """Let the request through the checks to its face; turn whatever is raised into an answer."""
        larger = self._uploads.get(str(passage.scope["path"])) if passage.face == "portal" else None
        limit = larger or self._house.settings.body_limit_bytes
        patience_s = UPLOAD_PATIENCE_S if larger else self._patience_s
        answer_out = self._outward(passage, send)

        async def limited_receive() -> MutableMapping[str, Any]:
            message = await receive()
            if message["type"] == "http.request":
                passage.received += len(message.get("body", b""))
                if passage.received > limit:
                    passage.too_large = True
                    raise BodyTooLarge(limit=limit)
            return message

        async def guarded_send(message: MutableMapping[str, Any]) -> None:
            if passage.too_large and not passage.status:
                raise BodyTooLarge(limit=limit)  # the face made an answer of its own out of our refusal
            if message["type"] == "http.response.start" and _is_stream(message):
                passage.scope["state"]["straight_out"] = send  # the way that chunks may take
                patience.reschedule(None)
                passage.began_after_s = time.perf_counter() - passage.started_at
            await answer_out(message)

        try:
            async with asyncio.timeout(patience_s) as patience:
                self._check_host(passage.scope)
                self._check_length(passage.scope, limit)
                self._check_method(passage)
                authorization = header_of(passage.scope["headers"], b"authorization")
                passage.scope["state"]["actor"] = await self._bearers.actor_of(authorization)
                await application(passage.scope, limited_receive, guarded_send)
        except asyncio.CancelledError:
            raise
        except TimeoutError:
            _log.warning("request-took-too-long", face=passage.face)
            await self._say(passage, RequestTookTooLong(seconds=round(patience_s)), answer_out)
        except Exception as trouble:  # noqa: BLE001 - the last place that can answer; unknown ones are logged
            await self._say(passage, self._as_ours(passage, trouble), answer_out)

    def _check_host(self, scope: Scope) -> None:
        host = header_of(scope["headers"], b"host")
        if not answers_for(host, self._house.settings.host):
            raise HostNotOurs(host=host[:100])

    def _check_length(self, scope: Scope, limit: int) -> None:
        """Refuse by the length that was announced, before a byte of it is read."""
        announced = header_of(scope["headers"], b"content-length")
        if announced and (not announced.isascii() or not announced.isdigit()):
            raise RequestUnreadable(reason="content-length")
        if announced and int(announced[:20]) > limit:
            raise BodyTooLarge(limit=limit)

    def _check_method(self, passage: _Passage) -> None:
        if passage.face == "portal" and passage.asked_method not in _KNOWN_METHODS - {"OPTIONS"}:
            raise MethodNotOffered(method=passage.asked_method[:20])

    def _outward(self, passage: _Passage, send: Send) -> Send:
        """Add what every answer carries, and take the body from an answer to HEAD."""

        async def outward(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "http.response.start":
                passage.status = int(message["status"])
                headers = [(bytes(name).lower(), bytes(value)) for name, value in message.get("headers", ())]
                headers += security_headers(loopback=self._loopback, present=(name for name, _ in headers))
                headers.append((b"x-trace-id", passage.trace_id.encode()))
                await send({**message, "headers": headers})
            elif passage.asked_method == "HEAD" and message["type"] == "http.response.body":
                if not message.get("more_body", False):
                    await send({"type": "http.response.body", "body": b""})
            else:
                await send(message)

        return outward

    def _as_ours(self, passage: _Passage, trouble: Exception) -> HaidangError:
        """The error to answer with; one that is not ours is logged and told only as a number."""
        match trouble:
            case HaidangError() if trouble.kind in {"not-found", "denied", "invalid", "conflict"}:
                return trouble
            case HaidangError() if trouble.retry:
                _log.warning("request-unavailable", code=trouble.code())
                return trouble
            case NotFoundException():
                return PageNotFound()
            case MethodNotAllowedException():
                allow = (trouble.headers or {}).get("allow", "")
                return MethodNotOffered(method=passage.asked_method[:20], allow=allow)
            case HTTPException() if (
                HTTPStatus.BAD_REQUEST <= trouble.status_code < HTTPStatus.INTERNAL_SERVER_ERROR
            ):
                return RequestUnreadable(reason=HTTPStatus(trouble.status_code).phrase)
            case _:
                _log.error("request-broke", face=passage.face, exc_info=trouble)
                return SomethingBroke(trace_id=passage.trace_id)

    async def _say(self, passage: _Passage, error: HaidangError, send: Send) -> None:
        """Answer an error as a page or as RFC 9457; once an answer has begun there is nothing left to say."""
        if passage.status:
            _log.error("request-cut-short", code=error.code())
            raise error
        answer = await self._answer_of(passage, error)
        with suppress(OSError):  # who asked has hung up
            await answer.send(send)

    async def _answer_of(self, passage: _Passage, error: HaidangError) -> Answer:
        scope = passage.scope
        headers = scope["headers"]
        if passage.face == "portal" and wants_page(header_of(headers, b"accept")):
            locale = locale_of(str(scope["path"]))
            problem = problem_of(error, self._house.translations, locale)
            try:
                page = await self._frame.page(
                    scope,
                    "shared/problem.html",
                    title=problem.title,
                    status=problem.status,
                    headers=problem.headers,
                    problem=problem,
                    trace_id=passage.trace_id,
                )
                return page.answer(headers)
            except Exception as worse:  # noqa: BLE001 - a page about trouble must not be the next trouble
                _log.error("problem-page-broke", exc_info=worse)
                text = _FALLBACK.format(
                    locale=locale, title=escape(problem.title), detail=escape(problem.detail)
                )
                return Answer(
                    problem.status,
                    ((b"content-type", b"text/html; charset=utf-8"), *problem.headers),
                    text.encode(),
                )
        if passage.face == "ngsi-ld" and self._answer_machines is not None:
            return self._answer_machines(error)
        locale = choose_locale(None, header_of(headers, b"accept-language"), default="en")
        problem = problem_of(error, self._house.translations, locale)
        return Answer(
            problem.status,
            (
                (b"content-type", PROBLEM_JSON),
                (b"cache-control", b"no-store"),
                (b"content-language", locale.encode()),
                *problem.headers,
            ),
            problem_document(problem, passage.trace_id),
        )

    def _note(self, passage: _Passage) -> None:
        """Count, time and log what passed: by route, never by the address somebody typed."""
        seconds = passage.began_after_s or time.perf_counter() - passage.started_at
        route = _route_of(passage)
        method = passage.asked_method if passage.asked_method in _KNOWN_METHODS else "other"
        status = passage.status or 499  # hung up before there was an answer
        count_request(passage.face, method, status, seconds)
        _timer_of(route, method).observe(seconds)
        note = _log.debug if route in _ROUTINE and status < HTTPStatus.INTERNAL_SERVER_ERROR else _log.info
        note(
            "request",
            face=passage.face,
            method=method,
            route=route,
            status=status,
            ms=round(seconds * 1000, 1),
        )


@lru_cache(maxsize=1024)
def _timer_of(route: str, method: str) -> Histogram:
    """The timer of a route: finding it by its labels costs more than using it."""
    return ROUTE_SECONDS.labels(route, method)


def _is_stream(message: MutableMapping[str, Any]) -> bool:
    return any(
        bytes(name).lower() == b"content-type" and bytes(value).startswith(b"text/event-stream")
        for name, value in message.get("headers", ())
    )


def _route_of(passage: _Passage) -> str:
    """The template of the route that was taken; one word for all that were not found."""
    template = passage.scope.get("path_template")
    if isinstance(template, str) and template:
        return template
    return passage.face if passage.face == "ngsi-ld" and passage.status != HTTPStatus.NOT_FOUND else "none"
