"""A client that speaks ASGI to an application in this process: raw paths, chunks, every header as sent."""

import asyncio
import gzip
from collections.abc import Iterable, MutableMapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

import brotli
import orjson

from haidang.web.shared.house import AsgiApplication

HTML = ("accept", "text/html,application/xhtml+xml,*/*;q=0.8")


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back."""

    status: int
    headers: tuple[tuple[str, str], ...]
    raw: bytes

    def header(self, name: str) -> str | None:
        """The value of a header, or None."""
        return next((value for key, value in self.headers if key == name), None)

    @property
    def body(self) -> bytes:
        """The body, unpacked."""
        match self.header("content-encoding"):
            case "br":
                return bytes(brotli.decompress(self.raw))
            case "gzip":
                return gzip.decompress(self.raw)
            case _:
                return self.raw

    @property
    def text(self) -> str:
        """The body as text."""
        return self.body.decode()

    @property
    def json(self) -> Any:
        """The body as JSON."""
        return orjson.loads(self.body)


class Client:
    """Asks one application, from this machine."""

    def __init__(self, application: AsgiApplication) -> None:
        self._application = application

    async def get(self, path: str, *headers: tuple[str, str]) -> Reply:
        """GET, as a program asks."""
        return await self.ask("GET", path, headers=headers)

    async def page(self, path: str, *headers: tuple[str, str]) -> Reply:
        """GET, as a browser asks."""
        return await self.ask("GET", path, headers=[HTML, *headers])

    async def ask(
        self,
        method: str,
        path: str,
        *,
        headers: Iterable[tuple[str, str]] = (),
        chunks: Sequence[bytes] = (b"",),
    ) -> Reply:
        """One request; `chunks` are the pieces its body arrives in."""
        raw_path, _, query = path.partition("?")
        given = {key for key, _ in headers}
        sent = [*headers] if "host" in given else [("host", "127.0.0.1:8000"), *headers]
        scope: MutableMapping[str, Any] = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1",
            "method": method,
            "scheme": "http",
            "path": unquote(raw_path),
            "raw_path": raw_path.encode(),
            "query_string": query.encode(),
            "root_path": "",
            "headers": [(key.encode(), value.encode("latin-1")) for key, value in sent],
            "client": ("127.0.0.1", 40_000),
            "server": ("127.0.0.1", 8000),
            "extensions": {},
        }
        waiting = [
            {"type": "http.request", "body": chunk, "more_body": place < len(chunks) - 1}
            for place, chunk in enumerate(chunks)
        ]
        messages: list[MutableMapping[str, Any]] = []

        async def receive() -> MutableMapping[str, Any]:
            if waiting:
                return waiting.pop(0)
            await asyncio.sleep(3600)
            return {"type": "http.disconnect"}

        async def send(message: MutableMapping[str, Any]) -> None:
            messages.append(message)

        await self._application(scope, receive, send)
        start = next(one for one in messages if one["type"] == "http.response.start")
        return Reply(
            start["status"],
            tuple((key.decode("latin-1"), value.decode("latin-1")) for key, value in start["headers"]),
            b"".join(one.get("body", b"") for one in messages if one["type"] == "http.response.body"),
        )
