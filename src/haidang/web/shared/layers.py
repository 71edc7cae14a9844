"""What packs put on a map: the entities of a layer as marks, ready to be drawn."""

from collections.abc import Mapping, Sequence
from math import isfinite
from typing import Any

from haidang.context import service as context
from haidang.infra.database import Connection
from haidang.kernel.actors import Actor
from haidang.kernel.instants import Instant
from haidang.sdk.model import MapLayer, Pack
from haidang.web.shared.maps import MapMarker

_MOST_MARKS = 500


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
