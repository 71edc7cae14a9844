"""The built front end: read once, served for ever, in the encoding it was compressed to at build."""

import mimetypes
from collections.abc import Iterable
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path

from haidang.infra.templates import STATIC_URL, manifest_path
from haidang.web.shared.answers import Answer, Header, accepted_encodings, etag_of, header_of, matches
from haidang.web.shared.errors import PageNotFound

_IMMUTABLE = b"public, max-age=31536000, immutable"
_ENDINGS = {"br": ".br", "gzip": ".gz"}
_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".mjs": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
    ".woff2": "font/woff2",
}


@dataclass(frozen=True, slots=True)
class _File:
    content_type: bytes
    etag: str
    bodies: dict[str, bytes]


class StaticFiles:
    """Every file of the build, by name. A name that is not in it does not exist: no path is ever joined."""

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder or manifest_path().parent.parent
        self._files: dict[str, _File] | None = None

    def answer(self, name: str, request_headers: Iterable[Header]) -> Answer:
        """The file of that name; raises PageNotFound."""
        found = self._read().get(name)
        if found is None:
            raise PageNotFound
        asked = list(request_headers)
        encoding = next(
            (one for one in accepted_encodings(header_of(asked, b"accept-encoding")) if one in found.bodies),
            "",
        )
        etag = f'"{found.etag}-{encoding}"' if encoding else f'"{found.etag}"'
        headers: list[Header] = [
            (b"cache-control", _IMMUTABLE),
            (b"vary", b"accept-encoding"),
            (b"etag", etag.encode()),
        ]
        if matches(header_of(asked, b"if-none-match"), etag):
            return Answer(HTTPStatus.NOT_MODIFIED, tuple(headers))
        if encoding:
            headers.append((b"content-encoding", encoding.encode()))
        return Answer(
            HTTPStatus.OK, ((b"content-type", found.content_type), *headers), found.bodies[encoding]
        )

    def body(self, name: str) -> bytes:
        """The content of a file; raises PageNotFound."""
        found = self._read().get(name)
        if found is None:
            raise PageNotFound
        return found.bodies[""]

    def address(self, name: str) -> str:
        """Where a file whose name stays the same stands: another content is another address."""
        found = self._read().get(name)
        return f"{STATIC_URL}{name}?{found.etag[:8]}" if found is not None else f"{STATIC_URL}{name}"

    def _read(self) -> dict[str, _File]:
        if self._files is None:
            self._files = {
                path.name: _read_file(path)
                for path in sorted(self._folder.glob("*"))
                if path.is_file() and path.suffix not in _ENDINGS.values()
            }
        return self._files


def _read_file(path: Path) -> _File:
    plain = path.read_bytes()
    bodies = {"": plain}
    for encoding, ending in _ENDINGS.items():
        twin = path.with_name(path.name + ending)
        if twin.is_file():
            bodies[encoding] = twin.read_bytes()
    guessed = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
    return _File(_TYPES.get(path.suffix, guessed).encode(), etag_of(plain).strip('"'), bodies)
