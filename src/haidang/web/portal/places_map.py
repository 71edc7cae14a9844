"""The map of the province: its wards and what the packs put on maps, as a picture, a live map and a list."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from litestar import Request, get
from litestar.handlers import HTTPRouteHandler
from litestar.types import ASGIApp

from haidang.infra.database import Connection, reading
from haidang.infra.province import ProvinceSettings
from haidang.kernel.actors import Actor, Audience, anonymous
from haidang.kernel.geometry import Box
from haidang.kernel.instants import VIETNAM
from haidang.places.basemap.maps import base_map_in_use
from haidang.places.model import Level, Unit
from haidang.places.service import edition, outlines, units_on
from haidang.web.shared.answers import Whole
from haidang.web.shared.audiences import actor_of
from haidang.web.shared.editions import KeptByEdition
from haidang.web.shared.frame import Frame, locale_of
from haidang.web.shared.house import House, Scope
from haidang.web.shared.layers import held_finely, markers_of, province_of
from haidang.web.shared.maps import HEIGHT, WIDTH, MapArea, MapMarker, Outline, box_around, map_picture
from haidang.web.shared.maps import VIETNAM as WHOLE_COUNTRY
from haidang.web.shared.routes import paths_in_every_locale, sent
from haidang.web.shared.security import live_map_headers
from haidang.web.shared.sharing import SharedPages
from haidang.web.shared.units import unit_path

MAP_PATH = "/ban-do"
PICTURE_DESCRIPTION_MESSAGE = "The list beside this picture has everything that is drawn on it."


@dataclass(frozen=True, slots=True)
class ListedUnit:
    """A unit as the list beside the map has it: the key it is found by on the map, and its page."""

    unit: Unit
    path: str


@dataclass(frozen=True, slots=True)
class ListedLayer:
    """A layer of a pack: its label (a message id), its marks in the picture, whose data it is."""

    label: str
    markers: Sequence[MapMarker]
    attribution: str


@dataclass(frozen=True, slots=True)
class PlacesMap:
    """What the map shows and the list repeats."""

    province: Unit | None
    units: Sequence[ListedUnit]
    outlines: Sequence[Outline]
    layers: Sequence[ListedLayer]
    area: MapArea
    backgrounds: Sequence[str] = ()
    """The lines that the base map in use and the province's own map service ask for."""

    @property
    def markers(self) -> list[MapMarker]:
        """The marks of every layer."""
        return [marker for layer in self.layers for marker in layer.markers]

    @property
    def attributions(self) -> list[str]:
        """Whose data the backgrounds and the layers are, each once."""
        lines = (*self.backgrounds, *(layer.attribution for layer in self.layers))
        return list(dict.fromkeys(line for line in lines if line))


@dataclass(frozen=True, slots=True)
class _Ground:
    """What of the map depends on the units of a day alone."""

    province: Unit | None
    units: Sequence[Unit]
    outlines: Sequence[Outline]
    box: Box | None
    held_finely: tuple[str, ...]


_grounds: KeptByEdition[_Ground] = KeptByEdition(4)
"""Of the province and the day: for each, the wards of the whole country are read, to know which are fine."""


def map_route(house: House, frame: Frame) -> HTTPRouteHandler:
    """The route of `/ban-do`, in every language."""
    shared = SharedPages(house.clock)

    async def show(request: Request[Any, Any, Any]) -> ASGIApp:
        scope: Scope = request.scope  # type: ignore[assignment]  # a TypedDict of the same
        actor = actor_of(scope)

        async def make() -> Whole:
            locale = locale_of(str(scope["path"]))
            settings = await frame.province(actor.tenant)
            async with reading(house.pool) as connection:
                shown = await places_map(house, actor, connection, settings, locale)
            name = shown.province.name if shown.province is not None else ""
            say = house.translations
            if name:
                title = say.gettext(locale, "Map of {name}", name=name)
            else:
                title = say.gettext(locale, "Map of the country")
            # Drawing takes a tenth of a second: others are answered meanwhile.
            picture = await asyncio.to_thread(
                map_picture,
                shown.outlines,
                shown.markers,
                shown.area.box,
                width=2 * WIDTH,
                height=2 * HEIGHT,
                name="places",
                title=title,
                description=say.gettext(locale, PICTURE_DESCRIPTION_MESSAGE),
                locale=locale,
            )
            return await frame.page(
                scope,
                "portal/places_map.html",
                title=title,
                headers=live_map_headers(house.settings.wmts_url),
                shown=shown,
                picture=picture,
            )

        if actor != anonymous():
            whole = await make()
        else:
            whole = await shared.get(str(scope["path"]), make)
        return sent(whole.answer(scope["headers"]))

    return get(list(paths_in_every_locale(MAP_PATH)), opt={"audience": Audience.PUBLIC}, name="map")(show)


async def places_map(
    house: House, actor: Actor, connection: Connection, settings: ProvinceSettings, locale: str
) -> PlacesMap:
    """The wards of the portal's province with the marks that lie there; all provinces while it has none."""
    now = house.clock.now()
    on = now.astimezone(VIETNAM).date()

    async def read() -> _Ground:
        return await _ground(actor, connection, settings.name, on)

    ground = await _grounds.get(await edition(actor, connection), (settings.name, on), read)
    box = ground.box
    layers = [
        ListedLayer(layer.label, _within(markers, box), layer.attribution)
        for pack in house.packs
        for layer in pack.map_layers
        if (markers := await markers_of(actor, connection, pack, layer, now=now, locale=locale))
    ]
    return PlacesMap(
        province=ground.province,
        units=[ListedUnit(one, unit_path(one.unit_id)) for one in ground.units],
        outlines=ground.outlines,
        layers=[layer for layer in layers if layer.markers],
        area=MapArea(box or WHOLE_COUNTRY, on, ground.held_finely),
        backgrounds=await _background_lines(house, actor, connection),
    )


async def _background_lines(house: House, actor: Actor, connection: Connection) -> list[str]:
    """What must stand under a map that shows the base map in use, or the map service of the province."""
    base = await base_map_in_use(actor, connection)
    settings = house.settings
    lines = [base.licence if base is not None else ""]
    if settings.wmts_url is not None:
        lines.append(settings.wmts_attribution or "")
    return lines


async def _ground(actor: Actor, connection: Connection, province_name: str, on: date) -> _Ground:
    provinces = await units_on(actor, connection, on, level=Level.PROVINCE)
    province = province_of(provinces, province_name)
    shown = provinces
    if province is not None:
        shown = await units_on(actor, connection, on, level=Level.WARD, parent_id=province.unit_id)
    shapes = await outlines(actor, connection, [one.unit_id for one in shown])
    drawn = [
        Outline(shapes[one.unit_id], one.name, unit_path(one.unit_id), words=one.full_name, key=one.unit_id)
        for one in shown
        if one.unit_id in shapes
    ]
    return _Ground(
        province=province,
        units=shown,
        outlines=drawn,
        box=box_around(drawn) if province is not None else None,
        held_finely=await held_finely(actor, connection, provinces, on),
    )


def _within(markers: Sequence[MapMarker], box: Box | None) -> list[MapMarker]:
    return [one for one in markers if box is None or box.contains(one.longitude, one.latitude)]
