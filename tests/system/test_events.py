"""Events are a room's public word: well named, one name each, readable by whoever finds them in the log."""

import re
from collections import Counter

import msgspec
import pytest

from haidang.kernel.events import Event
from tests.system.rooms import SOURCE, imported, room_of


def event_classes() -> list[type[Event]]:
    """Every event that a room declares."""
    for path in sorted(SOURCE.rglob("events.py")):
        imported(path)
    found: list[type[Event]] = []
    waiting = list(Event.__subclasses__())
    while waiting:
        one = waiting.pop()
        waiting += one.__subclasses__()
        if one.__module__.startswith("haidang."):
            found.append(one)
    return sorted(found, key=lambda one: one.__name__)


def test_events_are_declared() -> None:
    assert event_classes()


@pytest.mark.parametrize("event", event_classes(), ids=lambda one: one.__name__)
def test_an_event_is_named_by_its_room_and_what_happened(event: type[Event]) -> None:
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "-", event.__name__).lower()
    assert event.kind == f"{room_of(event.__module__)}.{words}"
    assert event.version >= 1
    assert event.__doc__, "say what happened, for those who listen"


def test_no_two_events_share_a_kind() -> None:
    shared = [kind for kind, times in Counter(one.kind for one in event_classes()).items() if times > 1]
    assert shared == []


@pytest.mark.parametrize("event", event_classes(), ids=lambda one: one.__name__)
def test_an_event_can_be_written_down_and_read_back(event: type[Event]) -> None:
    """Its schema is one that msgspec can read; fields may be added with a default, not changed."""
    assert msgspec.json.schema(event)["$defs"][event.__name__]["required"][0] == "subject"
