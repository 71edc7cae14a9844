"""What data there is: the datasets and facts that packs declare, with their licences."""

from collections.abc import Mapping
from typing import Any

from haidang.web.shared.house import House, Scope
from haidang.web.shared.rooms import ROOM_TITLES, RoomPage


def datasets_page(house: House) -> RoomPage:
    """Each dataset beside its entity type; figures of the warehouse come with its room."""
    datasets = [(pack, one) for pack in house.packs for one in pack.datasets]

    async def show(_scope: Scope) -> Mapping[str, Any]:
        return {"datasets": datasets}

    return RoomPage("/data", ROOM_TITLES["/data"], "data/datasets.html", show)
