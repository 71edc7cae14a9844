"""Serving: from the very process, on a socket that may have been handed over, gracefully ended."""

import asyncio
import resource
import socket
from pathlib import Path
from typing import Any

import pytest

from haidang.infra.serving import PortTaken, allowed_connections, listen, serve_application
from haidang.infra.settings import Settings

SERVERS = ["granian", "uvicorn"]


class Application:
    """Answers with the raw path; `/slow` takes a while; remembers its lifespan."""

    def __init__(self) -> None:
        self.lifespan: list[str] = []
        self.slow_begun = asyncio.Event()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """The ASGI application."""
        if scope["type"] == "lifespan":
            for answer in ("startup", "shutdown"):
                await receive()
                self.lifespan.append(answer)
                await send({"type": f"lifespan.{answer}.complete"})
            return
        if scope["path"] == "/slow":
            self.slow_begun.set()
            await asyncio.sleep(0.5)
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": scope["raw_path"]})


async def ask(port: int, path: str) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
    answer = await reader.read()
    writer.close()
    return answer


def handed_over(server: str) -> tuple[Settings, int]:
    listening = socket.create_server(("127.0.0.1", 0))
    port = listening.getsockname()[1]
    return Settings(home=Path("/nowhere"), server=server, listen_fd=listening.detach()), port  # type: ignore[arg-type]


@pytest.mark.parametrize("server", SERVERS)
async def test_it_answers_on_the_socket_it_was_given_until_it_is_stopped(server: str) -> None:
    settings, port = handed_over(server)
    application, stop = Application(), asyncio.Event()
    serving = asyncio.ensure_future(serve_application(application, settings, stop))
    answer = await asyncio.wait_for(ask(port, "/a%2Fb//c?q=1"), 10)
    assert answer.startswith(b"HTTP/1.1 200")
    assert b"/a%2Fb//c" in answer.partition(b"\r\n\r\n")[2]  # undecoded: NGSI-LD ids stand in paths
    stop.set()
    await asyncio.wait_for(serving, 15)
    assert application.lifespan == ["startup", "shutdown"]
    with pytest.raises(OSError, match=r"refused|Connect"):
        await ask(port, "/")


@pytest.mark.parametrize("server", SERVERS)
async def test_a_request_in_flight_is_finished(server: str) -> None:
    settings, port = handed_over(server)
    application, stop = Application(), asyncio.Event()
    serving = asyncio.ensure_future(serve_application(application, settings, stop))
    answering = asyncio.ensure_future(ask(port, "/slow"))
    await asyncio.wait_for(application.slow_begun.wait(), 10)
    stop.set()
    assert b"/slow" in await asyncio.wait_for(answering, 10)
    await asyncio.wait_for(serving, 15)


def test_a_taken_port_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(PortTaken, match=str(port)):
            listen(Settings(home=Path("/nowhere"), port=port))


@pytest.mark.parametrize("server", SERVERS)
async def test_clients_that_open_connections_and_say_nothing_do_not_stop_others(server: str) -> None:
    settings, port = handed_over(server)
    stop = asyncio.Event()
    serving = asyncio.ensure_future(serve_application(Application(), settings, stop))
    await asyncio.wait_for(ask(port, "/"), 10)
    silent = []
    for _ in range(400):
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET / HTTP/1.1\r\nHost: x")
        silent.append(writer)
    answer = await asyncio.wait_for(ask(port, "/"), 5)
    assert answer.startswith(b"HTTP/1.1 200")
    for writer in silent:
        writer.close()
    stop.set()
    await asyncio.wait_for(serving, 30)


def test_as_many_connections_as_files_may_be_opened_and_never_more() -> None:
    assert 1 <= allowed_connections() <= resource.getrlimit(resource.RLIMIT_NOFILE)[0] // 2
