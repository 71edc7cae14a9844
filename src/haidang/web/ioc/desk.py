"""The operations centre: what the province is like now, and where alarms and incidents will stand."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from markupsafe import Markup

from haidang.web.shared.audiences import actor_of
from haidang.web.shared.frame import Frame, locale_of
from haidang.web.shared.house import House, Scope
from haidang.web.shared.layers import province_picture
from haidang.web.shared.rooms import ROOM_TITLES, RoomPage

Glances = Callable[[Scope], Awaitable[Sequence[Markup]]]


def desk_page(house: House, frame: Frame, glances: Glances) -> RoomPage:
    """The desk: rows and map of "the province now", as the portal has them."""

    async def show(scope: Scope) -> Mapping[str, Any]:
        actor, locale = actor_of(scope), locale_of(str(scope["path"]))
        province = await frame.province(actor.tenant)
        return {
            "rows": await glances(scope),
            "province_map": await province_picture(
                house, actor, province, locale, name="desk-map", width=720, height=600
            ),
        }

    return RoomPage("/ioc", ROOM_TITLES["/ioc"], "ioc/desk.html", show)
