"""The page of events is what the rooms declare; their names are in order."""

import re
from pathlib import Path

from event_reference import events, page

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "events.md"


def test_the_reference_page_is_what_the_rooms_declare() -> None:
    """Write it anew with `python tools/event_reference.py > docs/reference/events.md`."""
    assert PAGE.read_text(encoding="utf-8") == page()


def test_kinds_name_the_room_and_the_sentence_and_are_unique() -> None:
    kinds = [event.kind for event in events()]
    assert len(set(kinds)) == len(kinds)
    for event in events():
        room = event.__module__.split(".")[-2]
        words = re.sub(r"(?<=[a-z])(?=[A-Z])", "-", event.__name__).lower()
        assert event.kind == f"{room}.{words}"
        assert event.__doc__
