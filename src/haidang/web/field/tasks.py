"""Where people in the field will find their tasks; there are none before the operations room."""

from haidang.web.shared.rooms import ROOM_TITLES, RoomPage

TASKS = RoomPage("/field", ROOM_TITLES["/field"], "field/tasks.html")
"""The empty frame, with the emergency numbers at hand."""
