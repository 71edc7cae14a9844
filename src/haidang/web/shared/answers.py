"""Whole answers: made once, then sent by the dispatcher or by the framework, compressed and conditional."""

import gzip
import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from http import HTTPStatus

import brotli

from haidang.web.shared.house import Send

HTML = b"text/html; charset=utf-8"
CSV = b"text/csv; charset=utf-8"
JSON = b"application/json"

_WORTH_COMPRESSING = 1024
_BROTLI_QUALITY = 5
_GZIP_LEVEL = 6
_ETAG_HEX = 32

Header = tuple[bytes, bytes]


@dataclass(frozen=True, slots=True)
class Answer:
    """A status, headers without `content-length`, and the whole body."""

    status: int
    headers: tuple[Header, ...]
    body: bytes = b""

    async def send(self, send: Send) -> None:
        """Send it as ASGI messages."""
        headers = list(self.headers)
        if self.status not in {HTTPStatus.NOT_MODIFIED, HTTPStatus.NO_CONTENT}:
            headers.append((b"content-length", str(len(self.body)).encode()))
        await send({"type": "http.response.start", "status": self.status, "headers": headers})
        await send({"type": "http.response.body", "body": self.body})


def header_of(headers: Iterable[Header], name: bytes) -> str:
    """The value of a request header, several joined by commas; empty when it was not sent."""
    return ", ".join(value.decode("latin-1") for key, value in headers if key == name)


def accepted_encodings(accept_encoding: str) -> list[str]:
    """Which of `br` and `gzip` a client takes, the better one first."""
    taken: set[str] = set()
    for part in accept_encoding.lower().split(","):
        name, _, parameters = part.strip().partition(";")
        weight = parameters.replace(" ", "").removeprefix("q=")
        try:
            refused = bool(weight) and float(weight) == 0
        except ValueError:
            refused = True
        if not refused:
            taken.add(name.strip())
    return [name for name in ("br", "gzip") if name in taken]


def etag_of(body: bytes) -> str:
    """A strong entity tag of these bytes; each encoding of them has one of its own (RFC 9110, 8.8.3.3)."""
    return f'"{hashlib.sha256(body).hexdigest()[:_ETAG_HEX]}"'


def matches(if_none_match: str, etag: str) -> bool:
    """Whether If-None-Match names this tag: compared weakly, as RFC 9110 wants it."""
    wanted = {one.strip().removeprefix("W/") for one in if_none_match.split(",")}
    return "*" in wanted or etag in wanted


class Whole:
    """A whole body that any number of clients may be given, each as it can read it.

    The entity tag and each encoding are made once, when the first client wants them.
    """

    def __init__(
        self,
        body: bytes,
        content_type: bytes,
        *,
        status: int = 200,
        cache_control: bytes = b"no-cache",
        headers: Iterable[Header] = (),
    ) -> None:
        self._content_type = content_type
        self._status = status
        self._headers: tuple[Header, ...] = (
            (b"cache-control", cache_control),
            (b"vary", b"accept-encoding"),
            *headers,
        )
        self._bodies = {"": body}
        self._etag = etag_of(body)

    @property
    def size(self) -> int:
        """Bytes of the body, not packed."""
        return len(self._bodies[""])

    def answer(self, request_headers: Iterable[Header]) -> Answer:
        """304 for who has it already, else the body, compressed where that pays."""
        asked = list(request_headers)
        encodings = accepted_encodings(header_of(asked, b"accept-encoding"))
        encoding = encodings[0] if encodings and len(self._bodies[""]) >= _WORTH_COMPRESSING else ""
        shared = list(self._headers)
        if self._status == HTTPStatus.OK:
            etag = f'{self._etag[:-1]}-{encoding}"' if encoding else self._etag
            shared.append((b"etag", etag.encode()))
            if matches(header_of(asked, b"if-none-match"), etag):
                return Answer(HTTPStatus.NOT_MODIFIED, tuple(shared))
        if encoding:
            shared.append((b"content-encoding", encoding.encode()))
        return Answer(self._status, ((b"content-type", self._content_type), *shared), self._packed(encoding))

    def _packed(self, encoding: str) -> bytes:
        found = self._bodies.get(encoding)
        if found is None:
            plain = self._bodies[""]
            if encoding == "br":
                found = brotli.compress(plain, mode=brotli.MODE_TEXT, quality=_BROTLI_QUALITY)
            else:
                found = gzip.compress(plain, _GZIP_LEVEL, mtime=0)
            self._bodies[encoding] = found
        return found
