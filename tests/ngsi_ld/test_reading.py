"""Reading JSON costs memory and time in proportion to what was sent, whatever stands in it."""

import tracemalloc

import pytest

from haidang.web.api.ngsi_ld.problems import JsonBroken
from haidang.web.api.ngsi_ld.requests import read_json


@pytest.mark.parametrize("piece", [b"a", b"\\\\", b'\\"', b":", "ơ".encode()])
def test_a_long_text_is_read_in_little_memory(piece: bytes) -> None:
    body = b'{"text": "' + piece * 1_000_000 + b'"}'
    tracemalloc.start()
    try:
        document = read_json(body)
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(document) == 1
    assert most < 20 * len(body)  # orjson alone takes 13


@pytest.mark.parametrize(
    "body",
    [
        b'{"a": 1, "a": 2}',
        b'{"a": 1, "\\u0061" : 2}',
        b'[{"b": {"a": "\\"a\\":", "a"\n:2}}]',
        b'{"a":{},"a":[]}',
    ],
)
def test_a_member_given_twice_is_found(body: bytes) -> None:
    with pytest.raises(JsonBroken, match="twice"):
        read_json(body)


def test_what_looks_like_a_member_within_a_text_is_none() -> None:
    assert read_json(b'{"a": "\\"a\\": 1", "b": "\\\\", "c": ["a", ":"]}') == {
        "a": '"a": 1',
        "b": "\\",
        "c": ["a", ":"],
    }
