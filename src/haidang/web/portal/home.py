"""The home page of the portal: the way in, and the province right now."""

from typing import Any

from litestar import Request, get
from litestar.handlers import HTTPRouteHandler
from litestar.types import ASGIApp

from haidang.kernel.actors import Audience
from haidang.web.portal.pages import PackPages
from haidang.web.shared.answers import Whole
from haidang.web.shared.audiences import actor_of
from haidang.web.shared.frame import Frame, locale_of
from haidang.web.shared.house import House, Scope
from haidang.web.shared.layers import province_picture
from haidang.web.shared.routes import paths_in_every_locale, sent


def home_route(house: House, frame: Frame, pages: PackPages) -> HTTPRouteHandler:
    """The route of `/`, in every language."""

    async def home(request: Request[Any, Any, Any]) -> ASGIApp:
        scope: Scope = request.scope  # type: ignore[assignment]  # a TypedDict of the same

        async def make() -> Whole:
            actor = actor_of(scope)
            province = await frame.province(actor.tenant)
            cards = frame.menu(actor)
            locale, say = locale_of(str(scope["path"])), house.translations
            if province.named:
                title = say.gettext(locale, "{name} today, in one place", name=province.name)
            else:
                title = say.gettext(locale, "The province today, in one place")
            rows = await pages.glances(scope)
            shown = await province_picture(house, actor, province, locale, name="home-map")
            return await frame.page(
                scope,
                "portal/home.html",
                title=title,
                cards=cards,
                rows=rows,
                home_map=shown,
                map_page=frame.serves("/ban-do"),
                set_up_at="/admin" if frame.serves("/admin") and not province.named else "",
            )

        whole = await pages.shared(scope, make)
        return sent(whole.answer(scope["headers"]))

    return get(list(paths_in_every_locale("/")), opt={"audience": Audience.PUBLIC}, name="home")(home)
