"""What changes while somebody looks: the event stream of the control room, and all marks to begin with.

On this machine only, like the frames of the rooms, until people can sign in (ADR 0054).
"""

import asyncio
from http import HTTPStatus
from typing import Any

from litestar import Request, get
from litestar.handlers import HTTPRouteHandler
from litestar.types import ASGIApp

from haidang.infra.settings import is_loopback
from haidang.infra.telemetry import logger
from haidang.kernel.actors import Audience
from haidang.web.shared.answers import Header, header_of
from haidang.web.shared.audiences import actor_of
from haidang.web.shared.frame import locale_of
from haidang.web.shared.house import House, Receive, Scope, Send
from haidang.web.shared.routes import paths_in_every_locale, sent
from haidang.web.shared.streams import Client, Streams

_MOST_DIGITS = 18
_WORTH_A_THREAD = 100_000  # bytes: packing more would hold everybody up
_HEADERS: tuple[Header, ...] = (
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-store"),
    (b"x-accel-buffering", b"no"),  # a proxy in front must not gather
)
_log = logger("web")


def live_routes(house: House, streams: Streams) -> list[HTTPRouteHandler]:
    """The stream and the marks; none where others than this machine are listened to."""
    if not is_loopback(house.settings.host):
        return []

    async def live(request: Request[Any, Any, Any]) -> ASGIApp:
        scope: Scope = request.scope  # type: ignore[assignment]  # a TypedDict of the same
        actor, locale = actor_of(scope), locale_of(str(scope["path"]))
        layers = streams.layers_for(actor, request.query_params.get("layers"))
        if scope.get("state", {}).get("head_only"):
            return _stream(streams, None)
        after = _position(header_of(scope["headers"], b"last-event-id") or request.query_params.get("after"))
        return _stream(streams, await streams.open(actor, locale, layers, after))

    async def marks(request: Request[Any, Any, Any]) -> ASGIApp:
        scope: Scope = request.scope  # type: ignore[assignment]  # a TypedDict of the same
        actor, locale = actor_of(scope), locale_of(str(scope["path"]))
        layers = streams.layers_for(actor, request.query_params.get("layers"))
        after = _position(request.query_params.get("after"))
        whole = await streams.snapshot(actor, locale, layers, after)
        headers: list[Header] = list(scope["headers"])
        if whole.size > _WORTH_A_THREAD:
            return sent(await asyncio.to_thread(whole.answer, headers))
        return sent(whole.answer(headers))

    public = {"audience": Audience.PUBLIC}
    return [
        get(list(paths_in_every_locale("/ioc/live")), opt=public, name="ioc.live")(live),
        get(list(paths_in_every_locale("/ioc/marks.json")), opt=public, name="ioc.marks")(marks),
    ]


def _position(text: str | None) -> int | None:
    """A position that a client names; None for what is none, which is answered as to a newcomer."""
    if text and text.isascii() and text.isdigit() and len(text) <= _MOST_DIGITS:
        return int(text)
    return None


def _stream(streams: Streams, client: Client | None) -> ASGIApp:
    """The small application that sends a stream until somebody ends it; only its head without a client."""

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        start = {"type": "http.response.start", "status": HTTPStatus.OK.value, "headers": list(_HEADERS)}
        if client is None:
            await send(start)
            await send({"type": "http.response.body", "body": b""})
            return
        hanging_up = asyncio.create_task(_end_when_gone(client, receive))
        try:
            async with asyncio.timeout(None) as client.patience:
                await send(start)
                # Chunks need nothing more of the door and the framework; the way through them costs as
                # much as they do.
                await _send_all(client, scope.get("state", {}).get("straight_out", send))
        except TimeoutError:
            _log.info("stream-let-go")  # it took nothing for too long
        finally:
            hanging_up.cancel()
            streams.close(client)

    return application  # type: ignore[return-value]  # Litestar's scopes are TypedDicts of the same


async def _send_all(client: Client, send: Send) -> None:
    clock = asyncio.get_running_loop()
    chunk: bytes | None = client.greeting
    while chunk is not None:
        if chunk:
            client.sending_since = clock.time()
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
            client.sending_since = None
        chunk = await client.next()
    client.sending_since = clock.time()
    await send({"type": "http.response.body", "body": b""})


async def _end_when_gone(client: Client, receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    client.end()
