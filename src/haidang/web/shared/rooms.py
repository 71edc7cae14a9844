"""The frame of the officers' faces: one bar, one navigation a face, in the theme of the control room.

Until people can sign in these frames hold nothing that is not public, and are served only where
nobody but this machine is listened to (ADR 0054).
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from litestar import Request, get
from litestar.handlers import HTTPRouteHandler
from litestar.types import ASGIApp

from haidang.infra.settings import is_loopback
from haidang.kernel.actors import Audience
from haidang.web.shared.desks import officer_of
from haidang.web.shared.frame import Frame, locale_of, without_locale
from haidang.web.shared.house import House, Scope
from haidang.web.shared.routes import paths_in_every_locale, sent

ROOM_TITLES = {
    "/ioc": "Operations centre",
    "/work": "Cases",
    "/field": "In the field",
    "/data": "Data",
    "/admin": "Administration",
}
"""The faces of officers in the order of their bar, by path: message ids."""

Shown = Callable[[Scope], Awaitable[Mapping[str, Any]]]
"""What a page of a face shows, beside what stands around it."""


async def nothing_of_its_own(_scope: Scope) -> Mapping[str, Any]:
    """What a page shows that is only its template."""
    return {}


@dataclass(frozen=True, slots=True)
class RoomPage:
    """One page of a face: its path, its name in the face's navigation, its template, what it shows.

    What it shows may hold its `title` (already translated) and `status`. A page with a parameter in its
    path (`scope["path_params"]`) stands in no navigation: `in_menu` is False.
    """

    path: str
    label: str
    template: str
    show: Shown = nothing_of_its_own
    in_menu: bool = True

    @property
    def room(self) -> str:
        """The path of the face it belongs to."""
        return "/" + self.path.split("/")[1]


def room_routes(house: House, frame: Frame, pages: list[RoomPage]) -> list[HTTPRouteHandler]:
    """A route for each page in each language; none at all where others than this machine are listened to."""
    if not is_loopback(house.settings.host):
        return []
    return [_route(house, frame, page, pages) for page in pages]


def room_around(scope: Scope, pages: Sequence[RoomPage]) -> dict[str, Any]:
    """What the frame around a page of a face needs: its face, navigation, who works here."""
    room = "/" + without_locale(str(scope["path"])).split("/")[1]
    return {
        "room": room,
        "room_titles": ROOM_TITLES,
        "room_pages": [one for one in pages if one.room == room and one.in_menu],
        "officer": officer_of(scope),
    }


def _route(house: House, frame: Frame, page: RoomPage, pages: Sequence[RoomPage]) -> HTTPRouteHandler:
    async def show(request: Request[Any, Any, Any]) -> ASGIApp:
        scope: Scope = request.scope  # type: ignore[assignment]  # a TypedDict of the same
        locale = locale_of(str(scope["path"]))
        around = {"title": house.translations.gettext(locale, page.label), **room_around(scope, pages)}
        whole = await frame.page(scope, page.template, **{**around, **await page.show(scope)})
        return sent(whole.answer(scope["headers"]))

    return get(
        list(paths_in_every_locale(page.path)),
        opt={"audience": Audience.PUBLIC},
        name=f"room.{page.path.strip('/').replace('/', '.')}",
    )(show)
