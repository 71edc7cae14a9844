"""Where officers will work on cases; the room of cases is not built yet."""

from haidang.web.shared.rooms import ROOM_TITLES, RoomPage

INBOX = RoomPage("/work", ROOM_TITLES["/work"], "work/inbox.html")
"""The empty frame."""
