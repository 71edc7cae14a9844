"""Who listens to an event stream of an application in this process, and the time in which it may."""

import asyncio
from collections.abc import AsyncIterator, MutableMapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any

import orjson

from haidang.web.shared.house import AsgiApplication


@dataclass(frozen=True, slots=True)
class Told:
    """One event as it came."""

    kind: str
    content: Any
    position: int | None


class Listening:
    """One open stream. It takes what it is sent at once, unless `reads` is cleared."""

    def __init__(self) -> None:
        self.status = 0
        self.headers: dict[str, str] = {}
        self.retry_ms = 0
        self.reads = asyncio.Event()
        self.reads.set()
        self.over = False
        self._said = b""
        self._body = b""
        self._news = asyncio.Event()
        self._hung_up = asyncio.Event()
        self._asking: asyncio.Future[None] | None = None

    async def next(self, kind: str, *, within_s: float = 60) -> Told:
        """The next event of a kind; others are passed over."""
        async with asyncio.timeout(within_s):
            while True:
                told = self._take()
                if told is None:
                    assert not self.over, "the stream has ended"
                    self._news.clear()
                    await self._news.wait()
                elif told.kind == kind:
                    return told

    async def end(self, *, within_s: float = 60) -> None:
        """Wait for the other side to end it."""
        async with asyncio.timeout(within_s):
            while not self.over:
                self._news.clear()
                await self._news.wait()

    async def let_go(self, *, within_s: float = 60) -> None:
        """Wait for the application to have done with it, whatever it could send."""
        assert self._asking is not None
        async with asyncio.timeout(within_s):
            await asyncio.wait({self._asking})

    def hang_up(self) -> None:
        """End it from this side."""
        self._hung_up.set()

    @property
    def body(self) -> Any:
        """The body of an answer that is no stream, as JSON."""
        return orjson.loads(self._body)

    @property
    def heard(self) -> bytes:
        """Everything that has come."""
        return self._body

    def _take(self) -> Told | None:
        block, found, rest = self._said.partition(b"\n\n")
        if not found:
            return None
        self._said = rest
        fields = dict(line.split(b": ", 1) for line in block.split(b"\n"))
        if b"retry" in fields:
            self.retry_ms = int(fields[b"retry"])
        position = int(fields[b"id"]) if b"id" in fields else None
        return Told(fields[b"event"].decode(), orjson.loads(fields[b"data"]), position)

    async def _receive(self) -> MutableMapping[str, Any]:
        await self._hung_up.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self.headers = {key.decode(): value.decode("latin-1") for key, value in message["headers"]}
        else:
            await self.reads.wait()
            self._body += message.get("body", b"")
            self._said += message.get("body", b"")
            self.over = not message.get("more_body", False)
        self._news.set()


@asynccontextmanager
async def listening(
    application: AsgiApplication, path: str, *headers: tuple[str, str], method: str = "GET"
) -> AsyncIterator[Listening]:
    """Ask for a stream and wait until its head has come; hang up at the end."""
    path, _, query = path.partition("?")
    sent = [("host", "127.0.0.1:8000"), *headers]
    scope: MutableMapping[str, Any] = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": query.encode(),
        "root_path": "",
        "headers": [(key.encode(), value.encode("latin-1")) for key, value in sent],
        "client": ("127.0.0.1", 40_000),
        "server": ("127.0.0.1", 8000),
        "extensions": {},
    }
    stream = Listening()
    asking = asyncio.ensure_future(application(scope, stream._receive, stream._send))
    stream._asking = asking
    try:
        async with asyncio.timeout(60):
            while not stream.status and not asking.done():
                stream._news.clear()
                await asyncio.wait(
                    {asking, waiting := asyncio.ensure_future(stream._news.wait())},
                    return_when=asyncio.FIRST_COMPLETED,
                )
                waiting.cancel()
        yield stream
    finally:
        stream.reads.set()
        stream.hang_up()
        async with asyncio.timeout(60):
            await asking


@asynccontextmanager
async def alive(application: AsgiApplication) -> AsyncIterator[None]:
    """The lifespan of an application, as its server speaks it."""
    told: asyncio.Queue[MutableMapping[str, Any]] = asyncio.Queue()
    said: asyncio.Queue[MutableMapping[str, Any]] = asyncio.Queue()
    scope: MutableMapping[str, Any] = {"type": "lifespan", "asgi": {"version": "3.0"}, "state": {}}
    living = asyncio.ensure_future(application(scope, told.get, said.put))
    try:
        await told.put({"type": "lifespan.startup"})
        assert (await said.get())["type"] == "lifespan.startup.complete"
        yield
        await told.put({"type": "lifespan.shutdown"})
        async with asyncio.timeout(30):
            assert (await said.get())["type"] == "lifespan.shutdown.complete"
            await living
    finally:
        living.cancel()
        with suppress(asyncio.CancelledError):
            await living
