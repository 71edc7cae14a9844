"""Payloads that devices sent, as a page and a file can show them: text or bytes, never obeyed. Pure."""

import base64
import codecs
from dataclasses import dataclass
from typing import Any

import orjson

from haidang.kernel.instants import format_instant
from haidang.sources.model import QuarantinedMessage

MOST_TEXT_BYTES = 6_000
MOST_HEX_BYTES = 512
_LINE = 16
_PLAIN = frozenset("\n\t ")
_STRANGE = 0.1
"""What part of the signs may be control signs before it is shown as bytes."""


@dataclass(frozen=True, slots=True)
class ShownPayload:
    """What is shown of a payload: as text, with whatever cannot be seen written out, and as bytes."""

    text: str | None
    text_bytes: int
    lines: tuple[str, ...]
    hex_bytes: int
    all_bytes: int


def shown_payload(payload: bytes) -> ShownPayload:
    """Text where it is UTF-8 that people can read, and its first bytes in any case."""
    text = readable(payload[:MOST_TEXT_BYTES])
    head = payload[:MOST_HEX_BYTES]
    return ShownPayload(
        text=text,
        text_bytes=min(len(payload), MOST_TEXT_BYTES),
        lines=tuple(_hex_line(head, start) for start in range(0, len(head), _LINE)),
        hex_bytes=len(head),
        all_bytes=len(payload),
    )


def readable(head: bytes) -> str | None:
    """The beginning of a payload as text; None when it is none. A letter cut at its end is left off.

    Signs that a page or a terminal might obey, or that nobody sees (controls, marks that turn the direction
    of writing), are written out as escapes.
    """
    try:
        text = codecs.getincrementaldecoder("utf-8")().decode(head)
    except UnicodeDecodeError:
        return None
    strange = sum(not (one.isprintable() or one in _PLAIN or one == "\r") for one in text)
    if strange > _STRANGE * len(text):
        return None
    return visible(text)


def visible(text: str) -> str:
    """A text with whatever nobody sees written out."""
    return "".join(one if one.isprintable() or one in _PLAIN else _written(one) for one in text)


def one_line(head: bytes, most: int) -> str:
    """The beginning of a payload for a line of a list: its text, or its first bytes."""
    text = readable(head)
    if text is None:
        return head[: most // 3].hex(" ")
    return " ".join(text.split())[:most]


def json_line(kept: QuarantinedMessage, decoder_now: str) -> bytes:
    """A quarantined message as a line of JSON, for who made the device: its text, or base64 of its bytes."""
    try:
        body: dict[str, Any] = {"payload": kept.payload.decode()}
    except UnicodeDecodeError:
        body = {"payload_base64": base64.b64encode(kept.payload).decode()}
    return orjson.dumps(
        {
            "id": str(kept.quarantine_id),
            "source": kept.source_id,
            "topic": kept.topic,
            "reason": kept.reason,
            "detail": kept.detail,
            "times": kept.times,
            "first_received_at": format_instant(kept.first_received_at),
            "last_received_at": format_instant(kept.last_received_at),
            "settled_at": None if kept.settled_at is None else format_instant(kept.settled_at),
            "decoder_then": kept.decoder_version,
            "decoder_now": decoder_now,
            "payload_bytes": kept.payload_bytes,
            "payload_cut": not kept.is_whole,
            **body,
        },
        option=orjson.OPT_APPEND_NEWLINE,
    )


def _written(sign: str) -> str:
    return sign.encode("unicode_escape").decode("ascii")


def _hex_line(head: bytes, start: int) -> str:
    part = head[start : start + _LINE]
    signs = "".join(chr(one) if 32 <= one < 127 else "." for one in part)
    return f"{start:06x}  {part.hex(' '):<{3 * _LINE - 1}}  {signs}"
