"""Serves an ASGI application from this very process: one process, no grandchildren to lose.

granian's own process manager starts workers that outlive a killed manager, so its embedded
server is used; `haidang up` runs as many web processes as are wanted on one socket.
"""

import asyncio
import errno
import os
import resource
import socket
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeAlias

import uvicorn
from granian import net as granian_net
from granian.constants import Interfaces
from granian.http import HTTP1Settings
from granian.server.embed import Server as GranianServer

from haidang.infra.settings import Settings
from haidang.kernel.errors import Conflict, Denied

Application: TypeAlias = Callable[[Any, Any, Any], Awaitable[None]]
"""An ASGI 3 application."""

_BACKLOG = 2048
_GRACE_S = 10.0
_MOST_CONNECTIONS = 8192
_HEADER_PATIENCE_MS = 15_000
"""How long a request may take to say what it wants, and a connection may stay open without one."""


class PortTaken(Conflict):
    """Port {port} of {host} is already in use by another program; set HAIDANG_PORT to a free one."""


class PortUnusable(Denied):
    """Port {port} of {host} cannot be used: {reason}."""


def listen(settings: Settings) -> socket.socket:
    """The socket that `haidang up` handed over, or one of our own; raises PortTaken, PortUnusable."""
    if settings.listen_fd is not None:
        return socket.socket(fileno=settings.listen_fd)
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((settings.host, settings.port))
        listening.listen(_BACKLOG)
    except OSError as trouble:
        listening.close()
        if trouble.errno == errno.EADDRINUSE:
            raise PortTaken(port=settings.port, host=settings.host) from None
        raise PortUnusable(port=settings.port, host=settings.host, reason=trouble.strerror) from None
    listening.setblocking(False)
    return listening


async def serve_application(application: Application, settings: Settings, stop: asyncio.Event) -> None:
    """Serve until `stop` is set, then let requests in flight finish; the lifespan protocol is spoken."""
    with listen(settings) as listening:
        run = _serve_with_uvicorn if settings.server == "uvicorn" else _serve_with_granian
        await run(application, listening, stop)


def allowed_connections() -> int:
    """How many connections may be open at once: half of the files that this process may open.

    A client that opens connections and says nothing takes one of these for as long as our
    patience lasts, and once all are taken nobody else is heard: granian's own 128 are a handful
    of browsers. The soft limit of files is lifted first; it is kept low for programs with select().
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _MOST_CONNECTIONS * 2
    if soft != resource.RLIM_INFINITY and soft < wanted:
        soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return _MOST_CONNECTIONS if soft == resource.RLIM_INFINITY else min(_MOST_CONNECTIONS, soft // 2)


class _Granian(GranianServer):
    """granian's embedded server on a socket that already listens."""

    def __init__(self, application: Application, listening: socket.socket) -> None:
        super().__init__(
            application,
            interface=Interfaces.ASGI,
            log_enabled=False,
            websockets=False,
            backpressure=allowed_connections(),
            http1_settings=HTTP1Settings(header_read_timeout=_HEADER_PATIENCE_MS),
        )
        self._listening = listening

    def _init_shared_socket(self) -> None:
        holder: Any = granian_net.SocketHolder  # type: ignore[attr-defined] # its stub lacks the constructor
        self._ssp = None
        # granian closes the descriptor that it is given.
        self._shd = holder(os.dup(self._listening.fileno()), False, _BACKLOG)


async def _serve_with_granian(
    application: Application, listening: socket.socket, stop: asyncio.Event
) -> None:
    server = _Granian(application, listening)
    await _serve_until(server.serve(), server.stop, stop)


class _Uvicorn(uvicorn.Server):
    """uvicorn without signal handlers of its own: the part that serves owns its signals."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


async def _serve_with_uvicorn(
    application: Application, listening: socket.socket, stop: asyncio.Event
) -> None:
    config = uvicorn.Config(
        application,
        log_config=None,
        access_log=False,
        ws="none",
        server_header=False,
        timeout_graceful_shutdown=int(_GRACE_S),
    )
    server = _Uvicorn(config)

    def ask() -> None:
        server.should_exit = True

    await _serve_until(server.serve(sockets=[listening]), ask, stop)


async def _serve_until(serving: Awaitable[None], ask: Callable[[], None], stop: asyncio.Event) -> None:
    served = asyncio.ensure_future(serving)
    asked = asyncio.ensure_future(stop.wait())
    try:
        await asyncio.wait({served, asked}, return_when=asyncio.FIRST_COMPLETED)
        if not served.done():
            ask()
            await asyncio.wait_for(asyncio.shield(served), _GRACE_S + 2)
        await served
    finally:
        asked.cancel()
        served.cancel()
