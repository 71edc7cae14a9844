"""A file that a person sends with a form, written to a folder as it arrives: it is never whole in memory."""

import asyncio
from collections.abc import AsyncIterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from multipart import (
    MultipartError,
    MultipartSegment,
    ParserLimitReached,
    PushMultipartParser,
    parse_options_header,
)

from haidang.infra.intake import FileEmpty, FileTooLarge, safe_name
from haidang.kernel.errors import Invalid

_MOST_PARTS = 20
_LONGEST_FIELD = 4_096


class UploadUnreadable(Invalid):
    """What was sent is not a form with a file that can be read."""


@dataclass(frozen=True, slots=True)
class Upload:
    """A form's fields, and its one file: where it stands, a name safe to show, its size."""

    fields: Mapping[str, str]
    path: Path
    name: str
    size_bytes: int


@dataclass(slots=True)
class _Arriving:
    """What has arrived so far."""

    file: BinaryIO
    limit_bytes: int
    fields: dict[str, str] = field(default_factory=dict)
    name: str = ""
    size_bytes: int = 0
    segment: MultipartSegment | None = None
    text: bytearray = field(default_factory=bytearray)

    def take(self, event: MultipartSegment | bytes | bytearray | None) -> None:
        """One event of the parser: a part begins, some of it, or its end."""
        if isinstance(event, MultipartSegment):
            if event.filename and self.name:
                raise UploadUnreadable  # one file at a time
            self.segment = event
            self.text.clear()
            if event.filename:
                self.name = safe_name(event.filename)
        elif event is None:
            if self.segment is not None and not self.segment.filename:
                self.fields[self.segment.name] = self.text.decode("utf-8", "replace").strip()
        elif self.segment is not None and self.segment.filename:
            self.size_bytes += len(event)
            if self.size_bytes > self.limit_bytes:
                raise FileTooLarge(name=self.name, limit_bytes=self.limit_bytes)
            self.file.write(event)
        else:
            self.text += event
            if len(self.text) > _LONGEST_FIELD:
                raise UploadUnreadable


async def receive_upload(
    stream: AsyncIterable[bytes], content_type: str, folder: Path, *, limit_bytes: int
) -> Upload:
    """Write the file of a `multipart/form-data` body into `folder`, which the caller empties.

    Raises UploadUnreadable, FileEmpty, FileTooLarge.
    """
    kind, options = parse_options_header(content_type)
    boundary = options.get("boundary", "")
    if kind != "multipart/form-data" or not boundary:
        raise UploadUnreadable
    path = folder / "upload"
    try:
        with path.open("xb") as file:
            arriving = _Arriving(file, limit_bytes)
            parser = PushMultipartParser(boundary, max_segment_count=_MOST_PARTS)
            with parser:
                async for chunk in stream:
                    if chunk and not parser.closed:
                        await asyncio.to_thread(_parse, parser, chunk, arriving)
    except (MultipartError, ParserLimitReached, UnicodeDecodeError):
        raise UploadUnreadable from None
    if not arriving.name or not arriving.size_bytes:
        raise FileEmpty(name=arriving.name or "–")
    return Upload(arriving.fields, path, arriving.name, arriving.size_bytes)


def _parse(parser: PushMultipartParser, chunk: bytes, arriving: _Arriving) -> None:
    for event in parser.parse(chunk):
        arriving.take(event)
