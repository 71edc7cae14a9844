"""The home page of the portal: the way in, and the province right now."""

from dataclasses import dataclass
from typing import Any

from litestar import Request, get
from litestar.handlers import HTTPRouteHandler
from litestar.types import ASGIApp

from haidang.infra.database import Connection, reading
from haidang.infra.province import ProvinceSettings
from haidang.infra.telemetry import logger
from haidang.kernel.actors import Actor, Audience
from haidang.kernel.geometry import Box
from haidang.kernel.instants import VIETNAM
from haidang.kernel.text import fold
from haidang.places.model import Level, Unit
from haidang.places.service import outlines, units_on
from haidang.web.portal.pages import PackPages
from haidang.web.shared.answers import Whole
from haidang.web.shared.audiences import actor_of
from haidang.web.shared.frame import Frame, locale_of
from haidang.web.shared.house import House, Scope
from haidang.web.shared.layers import markers_of
from haidang.web.shared.maps import MAP_ATTRIBUTION, MapMarker, Outline, map_picture
from haidang.web.shared.routes import paths_in_every_locale, sent

_AROUND = 0.12  # degrees around the outermost marks: the wards they stand in and their neighbours
_log = logger("web")


@dataclass(frozen=True, slots=True)
class HomeMap:
    """What the map of the home page shows."""

    outlines: list[Outline]
    markers: list[MapMarker]
    box: Box | None
    attributions: tuple[str, ...]


def home_route(house: House, frame: Frame, pages: PackPages) -> HTTPRouteHandler:
    """The route of `/`, in every language."""

    async def home(request: Request[Any, Any, Any]) -> ASGIApp:
        scope: Scope = request.scope  # type: ignore[assignment]  # a TypedDict of the same

        async def make() -> Whole:
            actor = actor_of(scope)
            province = await frame.province(actor.tenant)
            cards = [entry for entry in frame.menu(actor) if entry.path != "/"]
            locale, say = locale_of(str(scope["path"])), house.translations
            named = province.name != ProvinceSettings().name  # the platform's name is not yet the province's
            if named:
                title = say.gettext(locale, "{name} today, in one place", name=province.name)
            else:
                title = say.gettext(locale, "The province today, in one place")
            rows = await pages.glances(scope)
            shown = await _map(house, actor, province.name if named else "", locale)
            return await frame.page(
                scope,
                "portal/home.html",
                title=title,
                cards=cards,
                rows=rows,
                home_map=shown,
                draw_map=map_picture,
                map_page=frame.serves("/ban-do"),
            )

        whole = await pages.shared(scope, make)
        return sent(whole.answer(scope["headers"]))

    return get(list(paths_in_every_locale("/")), opt={"audience": Audience.PUBLIC}, name="home")(home)


async def _map(house: House, actor: Actor, province_name: str, locale: str) -> HomeMap | None:
    """The map, or None where there is nothing to show on one; trouble with it costs the map, not the page."""
    try:
        async with reading(house.pool) as connection:
            return await home_map(house, actor, connection, province_name, locale)
    except Exception as trouble:  # noqa: BLE001 - a picture that cannot be drawn must not take the page with it
        _log.error("home-map-broke", exc_info=trouble)
        return None


async def home_map(
    house: House, actor: Actor, connection: Connection, province_name: str, locale: str
) -> HomeMap | None:
    """The marks of the layers that packs want on the home page, on the wards of the province around them."""
    now = house.clock.now()
    layers = [(pack, layer) for pack in house.packs for layer in pack.map_layers if layer.on_home]
    markers = [
        marker
        for pack, layer in layers
        for marker in await markers_of(actor, connection, pack, layer, now=now, locale=locale)
    ]
    on = now.astimezone(VIETNAM).date()
    province = province_of(await units_on(actor, connection, on, level=Level.PROVINCE), province_name)
    if province is not None and province.box is not None:
        inside = province.box
        markers = [one for one in markers if inside.contains(one.longitude, one.latitude)]
    box = box_around_marks(markers) or (province.box if province is not None else None)
    if box is None:
        return None
    wards: list[Unit] = []
    if province is not None:
        below = await units_on(actor, connection, on, level=Level.WARD, parent_id=province.unit_id)
        wards = [one for one in below if one.box is not None and one.box.meets(box)]
    shapes = await outlines(actor, connection, [one.unit_id for one in wards])
    drawn = [
        Outline(shapes[one.unit_id], one.name, words=one.full_name) for one in wards if one.unit_id in shapes
    ]
    attributions = tuple(layer.attribution for _, layer in layers if layer.attribution)
    return HomeMap(drawn, markers, box, (MAP_ATTRIBUTION, *attributions))


def province_of(provinces: list[Unit], name: str) -> Unit | None:
    """The province that a portal names itself after, with or without diacritics and "Tỉnh"."""
    wanted = fold(name)
    return next((one for one in provinces if wanted in {fold(one.name), fold(one.full_name)}), None)


def box_around_marks(markers: list[MapMarker]) -> Box | None:
    """The box that marks need, with their surroundings; None without a mark."""
    if not markers:
        return None
    longitudes, latitudes = [one.longitude for one in markers], [one.latitude for one in markers]
    return Box(
        min(longitudes) - _AROUND,
        min(latitudes) - _AROUND,
        max(longitudes) + _AROUND,
        max(latitudes) + _AROUND,
    )
