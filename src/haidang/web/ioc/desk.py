"""The situation map of the operations centre: the province now or at a past moment, and what needs an act."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from markupsafe import Markup

from haidang.infra.database import Connection, reading
from haidang.infra.province import ProvinceSettings
from haidang.infra.telemetry import logger
from haidang.kernel.actors import Actor
from haidang.kernel.errors import HaidangError, Unavailable
from haidang.kernel.instants import VIETNAM
from haidang.places.service import edition
from haidang.sources.model import DeclaredSource, Freshness, declared_sources
from haidang.sources.service import list_freshness
from haidang.web.ioc.alarms import alarm_cards
from haidang.web.ioc.scene import (
    LONGEST_AGO,
    ORDER_LABELS,
    AskedScene,
    SeenLayer,
    asked_scene,
    local_text,
    seen_layer,
)
from haidang.web.shared.desks import officer_of
from haidang.web.shared.editions import KeptByEdition
from haidang.web.shared.frame import Frame, locale_of
from haidang.web.shared.house import House, Scope
from haidang.web.shared.layers import province_map
from haidang.web.shared.maps import VIETNAM as WHOLE_COUNTRY
from haidang.web.shared.maps import MapArea, map_picture
from haidang.web.shared.marks import LiveLayer, live_layers
from haidang.web.shared.rooms import ROOM_TITLES, RoomPage
from haidang.web.shared.security import live_map_headers

Glances = Callable[[Scope], Awaitable[Sequence[Markup]]]

MAP_WIDTH, MAP_HEIGHT = 720, 600
_MAP_MESSAGES = ("Situation map", "The list beside this picture has everything that is drawn on it.")
_pictures: KeptByEdition[Markup] = KeptByEdition(16)
_log = logger("web")


class SituationScenes:
    """Reads what the situation page, the wall and the panel show of the map."""

    def __init__(self, house: House) -> None:
        self.house = house
        self.layers = live_layers(house.packs)

    def on(self, asked: AskedScene) -> frozenset[str]:
        """The layers that are on: those asked for, else those that packs want on the home page, else all."""
        if asked.layers is not None:
            return asked.layers & self.layers.keys()
        usual = frozenset(one.layer_id for one in self.layers.values() if one.layer.on_home)
        return usual or frozenset(self.layers)

    async def read(
        self, actor: Actor, connection: Connection, asked: AskedScene, locale: str
    ) -> list[SeenLayer]:
        """Every layer that this actor may see, with what stands in those that are on."""
        on, now = self.on(asked), self.house.clock.now()
        return [
            await seen_layer(
                actor,
                connection,
                live,
                asked,
                label=self.house.translations.gettext(locale, live.layer.label),
                on=live.layer_id in on,
                now=now,
                locale=locale,
            )
            for live in self.layers.values()
            if self._open(actor, live)
        ]

    async def picture(
        self, actor: Actor, province: ProvinceSettings, layers: Sequence[SeenLayer], locale: str, *, name: str
    ) -> tuple[Markup, MapArea, tuple[str, ...]]:
        """The layers drawn on the wards around them, what the live map opens on, whose the facts are."""
        ground = await province_map(self.house, actor, province, locale)
        markers = [thing.marker for layer in layers for thing in layer.things]
        outlines = ground.outlines if ground is not None else ()
        box = ground.box if ground is not None else WHOLE_COUNTRY
        on = self.house.clock.now().astimezone(VIETNAM).date()
        say = self.house.translations.gettext
        async with reading(self.house.pool) as connection:
            present = await edition(actor, connection)

        async def draw() -> Markup:
            return await asyncio.to_thread(
                map_picture,
                outlines,
                markers,
                box,
                width=MAP_WIDTH,
                height=MAP_HEIGHT,
                name=name,
                title=say(locale, _MAP_MESSAGES[0]),
                description=say(locale, _MAP_MESSAGES[1]),
                locale=locale,
            )

        key = (locale, name, province.name, on, box, tuple(markers))
        drawn = await _pictures.get(present, key, draw)
        attributions = tuple(dict.fromkeys(one.attribution for one in layers if one.attribution))
        finely = ground.held_finely if ground is not None else ()
        return drawn, MapArea(box, on, finely), attributions

    @staticmethod
    def _open(actor: Actor, live: LiveLayer) -> bool:
        return actor.belongs_to(live.declared.audience)


def desk_page(house: House, frame: Frame, glances: Glances) -> RoomPage:
    """The situation page: rows of the province now, the map with its list, alarms, the time."""
    scenes = SituationScenes(house)
    declared = declared_sources(house.packs)

    async def show(scope: Scope) -> Mapping[str, Any]:
        actor, locale = officer_of(scope).actor, locale_of(str(scope["path"]))
        now, wrong = house.clock.now(), ""
        try:
            asked = asked_scene(scope["query_string"], now)
        except HaidangError as refused:
            asked, wrong = AskedScene(), house.translations.translate_error(refused, locale)
        province = await frame.province(actor.tenant)
        layers: list[SeenLayer] | None = None
        drawn, heard = None, None
        try:
            async with reading(house.pool) as connection:
                layers = await scenes.read(actor, connection, asked, locale)
                heard = await list_freshness(actor, connection)
            drawn = await scenes.picture(actor, province, layers, locale, name="desk-map")
        except Unavailable:
            _log.warning("situation-without-database")
        return {
            "headers": live_map_headers(house.settings.wmts_url),
            "asked": asked,
            "wrong": wrong,
            "rows": await glances(scope),
            "layers": layers,
            "drawn": drawn,
            "orders": ORDER_LABELS,
            "earliest": local_text(now - LONGEST_AGO),
            "latest": local_text(now),
            "chosen_moment": local_text(asked.at or now),
            "sources": source_counts(declared, heard),
            "alarm_cards": await alarm_cards(house, actor, locale),
        }

    return RoomPage("/ioc", ROOM_TITLES["/ioc"], "ioc/desk.html", show)


def source_counts(
    declared: Sequence[DeclaredSource], heard: Sequence[Freshness] | None
) -> dict[str, int] | None:
    """How many sources are live, silent, and never heard at all; None where that cannot be known."""
    if heard is None:
        return None
    own = [[one for one in heard if one.source_id == source.source_id] for source in declared]
    silent = sum(any(one.late_since is not None for one in rows) for rows in own)
    never = sum(not rows for rows in own)
    return {"live": len(own) - silent - never, "silent": silent, "never": never}
