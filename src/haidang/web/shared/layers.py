"""What packs put on a map: the entities of a layer as marks, ready to be drawn."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import isfinite
from typing import Any

from haidang.context import service as context
from haidang.infra.database import Connection, reading
from haidang.infra.province import ProvinceSettings
from haidang.infra.telemetry import logger
from haidang.kernel.actors import Actor
from haidang.kernel.geometry import Box
from haidang.kernel.instants import VIETNAM, Instant
from haidang.kernel.text import fold
from haidang.places.model import Level, Unit
from haidang.places.service import outlines, units_on
from haidang.sdk.model import MapLayer, Pack
from haidang.web.shared.house import House
from haidang.web.shared.maps import MAP_ATTRIBUTION, MapMarker, Outline

_MOST_MARKS = 500
_AROUND = 0.12  # degrees around the outermost marks: the wards they stand in and their neighbours
_log = logger("web")


@dataclass(frozen=True, slots=True)
class ProvinceMap:
    """What a map of the province right now shows."""

    outlines: list[Outline]
    markers: list[MapMarker]
    box: Box | None
    attributions: tuple[str, ...]


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

    None where there is nothing to show; trouble with the map costs the map, not the page it stands on.
    """
    try:
        async with reading(house.pool) as connection:
            name = province.name if province.named else ""
            return await _drawn(house, actor, connection, name, locale)
    except Exception as trouble:  # noqa: BLE001 - a picture that cannot be drawn must not take the page with it
        _log.error("province-map-broke", exc_info=trouble)
        return None


async def _drawn(
    house: House, actor: Actor, connection: Connection, province_name: str, locale: str
) -> ProvinceMap | None:
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
    # The picture is one image to who hears the page: the ways onward stand in the list beside it.
    markers = [replace(one, path="") for one in markers]
    box = box_around_marks(markers) or (province.box if province is not None else None)
    if box is None:
        return None
    wards: list[Unit] = []
    if province is not None:
        below = await units_on(actor, connection, on, level=Level.WARD, parent_id=province.unit_id)
        shown = _beyond(box)  # land that is not drawn would look like the sea
        wards = [one for one in below if one.box is not None and one.box.meets(shown)]
    shapes = await outlines(actor, connection, [one.unit_id for one in wards])
    drawn = [
        Outline(shapes[one.unit_id], one.name, words=one.full_name) for one in wards if one.unit_id in shapes
    ]
    attributions = tuple(layer.attribution for _, layer in layers if layer.attribution)
    return ProvinceMap(drawn, markers, box, (MAP_ATTRIBUTION, *attributions))


def _beyond(box: Box) -> Box:
    """A box with as much again on every side: a picture of any form around the box lies in it."""
    reach = max(box.east - box.west, box.north - box.south)
    return Box(box.west - reach, box.south - reach, box.east + reach, box.north + reach)


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
