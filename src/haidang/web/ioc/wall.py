"""The wall: the situation in letters that can be read from where people sit, without controls."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qs

from haidang.infra.database import reading
from haidang.kernel.errors import Invalid, Unavailable
from haidang.sources.model import declared_sources
from haidang.sources.service import list_freshness
from haidang.web.ioc.alarms import alarm_cards
from haidang.web.ioc.desk import Glances, SituationScenes, source_counts
from haidang.web.ioc.scene import AskedScene
from haidang.web.shared.desks import officer_of
from haidang.web.shared.frame import Frame, locale_of
from haidang.web.shared.house import House, Scope
from haidang.web.shared.rooms import RoomPage
from haidang.web.shared.walls import cap_height_m, wall_root_px

WALL_PATH = "/ioc/wall"
WALL_MESSAGES = ("Wall",)
_USUAL = {"width_m": "2.4", "distance_m": "4", "width_px": "1920"}
_ALARMS = 4


def wall_page(house: House, frame: Frame, glances: Glances) -> RoomPage:
    """Asks how wide the wall is and from where it is seen, and is that wall from then on."""
    scenes = SituationScenes(house)
    declared = declared_sources(house.packs)

    async def show(scope: Scope) -> Mapping[str, Any]:
        actor, locale = officer_of(scope).actor, locale_of(str(scope["path"]))
        given = {name: one[0] for name, one in parse_qs(scope["query_string"].decode("latin-1")).items()}
        figures = {**_USUAL, **{name: given[name][:20] for name in _USUAL if name in given}}
        told: dict[str, Any] = {"figures": figures, "root": None, "wrong": None, "asked": AskedScene()}
        if not given:
            return told
        width_m, distance_m = _number(figures["width_m"]), _number(figures["distance_m"])
        width_px = int(_number(figures["width_px"]))
        try:
            root = wall_root_px(width_m=width_m, width_px=width_px, distance_m=distance_m)
        except Invalid as wrong:
            return {**told, "wrong": house.translations.translate_error(wrong, locale)}
        province, layers, drawn, heard = await frame.province(actor.tenant), None, None, None
        try:
            async with reading(house.pool) as connection:
                layers = await scenes.read(actor, connection, AskedScene(), locale)
                heard = await list_freshness(actor, connection)
            drawn = await scenes.picture(actor, province, layers, locale, name="wall-map")
        except Unavailable:
            layers = None
        return {
            **told,
            "root": root,
            "capital_mm": 1000 * cap_height_m(root, width_m=width_m, width_px=width_px),
            "distance_m": distance_m,
            "rows": await glances(scope),
            "layers": layers,
            "drawn": drawn,
            "sources": source_counts(declared, heard),
            "alarm_cards": await alarm_cards(house, actor, locale, most=_ALARMS),
        }

    return RoomPage(WALL_PATH, WALL_MESSAGES[0], "ioc/wall.html", show)


def _number(text: str) -> float:
    """A figure as people write it, with a comma or a point; no figure is 0, which no wall has."""
    try:
        return float(text.replace(",", "."))
    except ValueError:
        return 0.0
