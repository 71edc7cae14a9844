"""HTTP by hand, byte for byte: what no decent client would send, and what comes back."""

import json
import socket
from collections.abc import Iterable, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass
from typing import Any

PIECE = 65_536
PACKS_LINK = (
    'Link: </ngsi-ld/v1/jsonldContexts/packs>; rel="http://www.w3.org/ns/json-ld#context"; '
    'type="application/ld+json"\r\n'
)


@dataclass(frozen=True, slots=True)
class Answered:
    """An answer, and how much of what followed the head had been sent when it came."""

    status: int
    headers: dict[str, str]
    body: bytes
    sent: int

    @property
    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)

    @property
    def kind(self) -> str:
        """The last part of the type of a problem."""
        return str(self.json["type"]).replace(":", "/").rpartition("/")[2]


class Wire:
    """The door of a platform, by raw sockets."""

    def __init__(self, port: int, token: str) -> None:
        self.port = port
        self._token = token

    def open(self, *, within_s: float = 30) -> socket.socket:
        """A connection; the caller closes it."""
        return socket.create_connection(("127.0.0.1", self.port), timeout=within_s)

    def head(self, method: str, path: str, *more: str, host: str = "localhost", known: bool = True) -> bytes:
        """The head of a request with JSON, `known` with the operator's token; without its last line."""
        lines = [f"{method} {path} HTTP/1.1", f"Host: {host}", "Content-Type: application/json"]
        if known:
            lines.append(f"Authorization: Bearer {self._token}")
        return "".join(f"{line}\r\n" for line in lines).encode() + "".join(more).encode()

    def send(self, head: bytes, pieces: Iterable[bytes] = (), *, within_s: float = 30) -> Answered:
        """Send a head and what follows it until the other side has had enough; read one answer."""
        sent, received = 0, b""
        with closing(self.open(within_s=within_s)) as connection:
            with suppress(ConnectionError):
                connection.sendall(head)
                for piece in pieces:
                    connection.sendall(piece)
                    sent += len(piece)
            with suppress(ConnectionResetError):
                while not _whole(received) and (part := connection.recv(PIECE)):
                    received += part
        if not received:
            raise ConnectionError("closed without an answer")
        first, _, rest = received.partition(b"\r\n")
        lines, _, body = rest.partition(b"\r\n\r\n")
        headers = {
            name.strip().lower(): value.strip()
            for name, _, value in (line.partition(":") for line in lines.decode("latin-1").split("\r\n"))
        }
        assert first.startswith(b"HTTP/1."), received[:200]
        return Answered(int(first.split()[1]), headers, body, sent)

    def ask(
        self,
        method: str,
        path: str,
        document: Any = None,
        *more: str,
        host: str = "localhost",
        known: bool = True,
    ) -> Answered:
        """One request: a document goes as JSON, bytes go as they are."""
        head = self.head(method, path, *more, host=host, known=known)
        if document is None:
            return self.send(head + b"\r\n")
        body = document if isinstance(document, bytes) else json.dumps(document).encode()
        return self.send(head + f"Content-Length: {len(body)}\r\n\r\n".encode() + body)

    def create(self, document: Any, *more: str, host: str = "localhost", known: bool = True) -> Answered:
        """POST an entity."""
        return self.ask("POST", "/ngsi-ld/v1/entities", document, *more, host=host, known=known)


def _whole(received: bytes) -> bool:
    head, end, body = received.partition(b"\r\n\r\n")
    if not end:
        return False
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            return len(body) >= int(line.partition(b":")[2])
    return b"\r\n" in head and head.split()[1] in {b"204", b"304"}


def chunks(total: int) -> Iterator[bytes]:
    """A body of so many blanks, in chunks."""
    for _ in range(total // PIECE):
        yield b"%x\r\n" % PIECE + b" " * PIECE + b"\r\n"
    yield b"0\r\n\r\n"
