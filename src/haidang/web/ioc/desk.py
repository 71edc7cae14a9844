"""The operations centre: what the province is like now, and where alarms and incidents will stand."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from markupsafe import Markup

from haidang.web.shared.house import Scope
from haidang.web.shared.rooms import ROOM_TITLES, RoomPage

Glances = Callable[[Scope], Awaitable[Sequence[Markup]]]


def desk_page(glances: Glances) -> RoomPage:
    """The desk: rows of "the province now" as the portal has them, for want of anything of its own."""

    async def show(scope: Scope) -> Mapping[str, Any]:
        return {"rows": await glances(scope)}

    return RoomPage("/ioc", ROOM_TITLES["/ioc"], "ioc/desk.html", show)
