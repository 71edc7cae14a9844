"""What may arrive instead of a good payload: the pack test kit sends it all to every decoder."""

import json
import random
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Any

_GARBAGE_PAYLOADS = 200
_DEEP, _LONG = "\x1bdeep", "\x1blong"
"""Stand for what Python's own JSON cannot write: lists in lists in lists, a number of 5,000 digits."""
_WRITTEN = {_DEEP: b"[" * 50_000 + b"]" * 50_000, _LONG: b"9" * 5_000}
_ODD: Sequence[Any] = (
    None,
    True,
    "",
    "x",
    -1,
    1e308,
    10**400,
    [],
    {},
    [[]],
    {"": ""},
    "2026-02-30",
    "\ud800",
    _DEEP,
    _LONG,
)


def hostile_payloads(example: bytes) -> Iterator[tuple[str, bytes]]:
    """What may arrive instead of an example: empty, cut anywhere, doubled, odd, in other encodings."""
    yield "empty", b""
    for cut in range(1, len(example)):
        yield f"cut after {cut} bytes", example[:cut]
    yield "twice in a row", example + example
    yield "on two lines", example + b"\n" + example
    yield "with a byte order mark", b"\xef\xbb\xbf" + example
    text = example.decode("utf-8", errors="replace")
    for encoding in ("utf-16", "utf-32", "cp1258", "latin-1"):
        yield f"in {encoding}", text.encode(encoding, errors="replace")
    for odd in (
        b"\x00",
        b"\xff\xfe\xfd",
        b"null",
        b"[]",
        b"{}",
        b'""',
        b"0",
        b"NaN",
        b"1e999",
        b"[" * 100_000,
    ):
        yield f"{odd[:8]!r}", odd
    drawn = random.Random(20261121)  # noqa: S311 - the same garbage every time, not a secret
    for number in range(_GARBAGE_PAYLOADS):
        yield f"garbage {number}", drawn.randbytes(drawn.randrange(1, 200))
        spoilt = bytearray(example)
        for _ in range(drawn.randrange(1, 6)):
            if spoilt:
                spoilt[drawn.randrange(len(spoilt))] = drawn.randrange(256)
        yield f"spoilt {number}", bytes(spoilt)
    with suppress(ValueError):
        whole = json.loads(example)
        for place, changed in _with_odd_parts(whole):
            payload = json.dumps(changed).encode("utf-8")
            for marker, written in _WRITTEN.items():
                payload = payload.replace(json.dumps(marker).encode(), written)
            yield place, payload


def _with_odd_parts(whole: Any, path: str = "$") -> Iterator[tuple[str, Any]]:
    """A JSON value with each of its parts, one at a time, left out or replaced by something odd."""
    for odd in _ODD:
        yield f"{path} = {odd!r}", odd
    if isinstance(whole, dict):
        for name, part in whole.items():
            yield f"{path} without {name}", {other: whole[other] for other in whole if other != name}
            for place, changed in _with_odd_parts(part, f"{path}.{name}"):
                yield place, {**whole, name: changed}
    elif isinstance(whole, list):
        for index, part in enumerate(whole):
            for place, changed in _with_odd_parts(part, f"{path}[{index}]"):
                yield place, [*whole[:index], changed, *whole[index + 1 :]]
