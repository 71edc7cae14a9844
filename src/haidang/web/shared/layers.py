"""What packs put on a map: the entities of a layer as marks, ready to be drawn."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from math import isfinite
from typing import Any
from uuid import UUID

from markupsafe import Markup

from haidang.context import service as context
from haidang.infra.database import Connection, reading
from haidang.infra.province import ProvinceSettings
from haidang.infra.telemetry import logger
from haidang.kernel.actors import Actor
from haidang.kernel.geometry import Box
from haidang.kernel.instants import VIETNAM, Instant
from haidang.kernel.text import fold
from haidang.places.model import Level, Unit
from haidang.places.service import edition, outlines, units_on
from haidang.sdk.model import MapLayer, Pack
from haidang.web.shared.editions import KeptByEdition
from haidang.web.shared.house import House
from haidang.web.shared.maps import HEIGHT, MAP_ATTRIBUTION, WIDTH, MapMarker, Outline, map_picture

_MOST_MARKS = 500
_AROUND = 0.12  # degrees around the outermost marks: the wards they stand in and their neighbours
_log = logger("web")

PICTURE_TITLES = (
    "Map of the province right now",
    "The stations stand where they are; the list beside the map says the same.",
)
"""What the picture is called, and what is said of it: message ids."""


@dataclass(frozen=True, slots=True)
class ProvinceMap:
    """What a map of the province right now shows."""

    outlines: Sequence[Outline]
    markers: Sequence[MapMarker]
    box: Box
    attributions: tuple[str, ...]
    on: date
    edition: UUID | None
    held_finely: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ProvincePicture:
    """That map drawn, and the lines that must stand under it."""

    picture: Markup
    attributions: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Ground:
    """What of the map depends on the units of a day alone."""

    province: Unit | None
    wards: Sequence[Unit]
    held_finely: tuple[str, ...]


_grounds: KeptByEdition[_Ground] = KeptByEdition(4)
"""By the province and the day."""
_outlines: KeptByEdition[list[Outline]] = KeptByEdition(8)
"""By the box as well: marks that come or go may widen it."""
_pictures: KeptByEdition[Markup] = KeptByEdition(16)
"""By everything that is drawn: two languages, two pages, and whatever the packs' marks were a moment ago."""


async def markers_of(
    actor: Actor, connection: Connection, pack: Pack, layer: MapLayer, *, now: Instant, locale: str
) -> list[MapMarker]:
    """The marks of a layer, of those entities that say where they are and are to be shown."""
    if layer.mark is None:
        return []
    declared = next(one for one in pack.entity_types if one.name == layer.entity_type)
    found = []
    for view in await context.latest_entities(actor, connection, declared, _MOST_MARKS):
        position = position_of(view.values.get("location"))
        mark = layer.mark(view, now, locale)
        if position is not None and mark is not None:
            found.append(
                MapMarker(
                    *position,
                    mark.short,
                    mark.colour,
                    mark.rank,
                    mark.path,
                    words=mark.label,
                    key=view.entity_id,
                    synthetic=view.synthetic,
                )
            )
    return found


def position_of(location: Any) -> tuple[float, float] | None:
    """Longitude and latitude of a GeoJSON point; None for anything else."""
    if not isinstance(location, Mapping) or location.get("type") != "Point":
        return None
    position = location.get("coordinates")
    if not isinstance(position, Sequence) or isinstance(position, str) or len(position) < 2:
        return None
    longitude, latitude = position[0], position[1]
    if not all(isinstance(one, int | float) and isfinite(one) for one in (longitude, latitude)):
        return None
    return float(longitude), float(latitude)


async def province_map(
    house: House, actor: Actor, province: ProvinceSettings, locale: str
) -> ProvinceMap | None:
    """The marks of the layers that packs want on the home page, on the wards of the province around them.

    None where there is nothing to show.
    """
    async with reading(house.pool) as connection:
        return await _shown(house, actor, connection, province, locale)


async def province_picture(
    house: House,
    actor: Actor,
    province: ProvinceSettings,
    locale: str,
    *,
    name: str,
    width: int = WIDTH,
    height: int = HEIGHT,
) -> ProvincePicture | None:
    """The map of the province right now as a picture; None where there is nothing to show.

    It is drawn away from the event loop, and anew only when its marks or the units have changed. Trouble
    with the map costs the map, not the page it stands on.
    """
    try:
        async with reading(house.pool) as connection:
            shown = await _shown(house, actor, connection, province, locale)
        if shown is None:
            return None
        say = house.translations.gettext
        key = (locale, name, width, height, province.name, shown.on, shown.box, tuple(shown.markers))

        async def draw() -> Markup:
            return await asyncio.to_thread(
                map_picture,
                shown.outlines,
                shown.markers,
                shown.box,
                width=width,
                height=height,
                name=name,
                title=say(locale, PICTURE_TITLES[0]),
                description=say(locale, PICTURE_TITLES[1]),
                locale=locale,
            )

        return ProvincePicture(await _pictures.get(shown.edition, key, draw), shown.attributions)
    except Exception as trouble:  # noqa: BLE001 - a picture that cannot be drawn must not take the page with it
        _log.error("province-map-broke", exc_info=trouble)
        return None


async def _shown(
    house: House,
    actor: Actor,
    connection: Connection,
    settings: ProvinceSettings,
    locale: str,
) -> ProvinceMap | None:
    present, now = await edition(actor, connection), house.clock.now()
    layers = [(pack, layer) for pack in house.packs for layer in pack.map_layers if layer.on_home]
    markers = [
        marker
        for pack, layer in layers
        for marker in await markers_of(actor, connection, pack, layer, now=now, locale=locale)
    ]
    on = now.astimezone(VIETNAM).date()
    province_name = settings.name if settings.named else ""

    async def read() -> _Ground:
        provinces = await units_on(actor, connection, on, level=Level.PROVINCE)
        finely = await held_finely(actor, connection, provinces, on)
        province = province_of(provinces, province_name)
        if province is None:
            return _Ground(None, (), finely)
        wards = await units_on(actor, connection, on, level=Level.WARD, parent_id=province.unit_id)
        return _Ground(province, [one for one in wards if one.box is not None], finely)

    ground = await _grounds.get(present, (province_name, on), read)
    province = ground.province
    if province is not None and province.box is not None:
        inside = province.box
        markers = [one for one in markers if inside.contains(one.longitude, one.latitude)]
    # The picture is one image to who hears the page: the ways onward stand in the list beside it.
    markers = [replace(one, path="") for one in markers]
    box = box_around_marks(markers) or (province.box if province is not None else None)
    if box is None:
        return None
    around = _beyond(box)  # land that is not drawn would look like the sea

    async def outline() -> list[Outline]:
        wards = [one for one in ground.wards if one.box is not None and one.box.meets(around)]
        shapes = await outlines(actor, connection, [one.unit_id for one in wards])
        return [
            Outline(shapes[one.unit_id], one.name, words=one.full_name)
            for one in wards
            if one.unit_id in shapes
        ]

    drawn = await _outlines.get(present, (province_name, on, around), outline)
    attributions = tuple(layer.attribution for _, layer in layers if layer.attribution)
    credits_ = (MAP_ATTRIBUTION, *attributions)
    return ProvinceMap(drawn, markers, box, credits_, on, present, ground.held_finely)


def _beyond(box: Box) -> Box:
    """A box with as much again on every side: a picture of any form around the box lies in it."""
    reach = max(box.east - box.west, box.north - box.south)
    return Box(box.west - reach, box.south - reach, box.east + reach, box.north + reach)


async def held_finely(
    actor: Actor, connection: Connection, provinces: Sequence[Unit], on: date
) -> tuple[str, ...]:
    """Codes of the provinces all of whose wards have outlines: close by, these stand for the coarse land."""
    wards = await units_on(actor, connection, on, level=Level.WARD)
    without = {one.parent_id for one in wards if one.accuracy_m is None}
    above = {one.parent_id for one in wards} - without
    return tuple(one.code for one in provinces if one.unit_id in above)


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
