"""One thing of the map: every attribute with its age, unit, quality and source, and how it went."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs, quote

from markupsafe import Markup

from haidang.context import service as context
from haidang.context.errors import EntityUnknown
from haidang.context.model import Selection, is_uri
from haidang.infra.database import reading
from haidang.kernel.instants import Instant
from haidang.sdk.model import EntityType, EntityView, Observation, Quality
from haidang.web.ioc.scene import AskedScene, SeenThing, asked_scene, seen_thing, states_at
from haidang.web.shared.charts import spark_line
from haidang.web.shared.desks import officer_of
from haidang.web.shared.frame import locale_of
from haidang.web.shared.house import House, Scope
from haidang.web.shared.marks import LiveLayer, live_layers
from haidang.web.shared.rooms import RoomPage

ENTITY_PATH = "/ioc/entity"
PANEL_MESSAGES = ("One thing on the map",)
QUALITY_LABELS = {
    Quality.VALID: "",
    Quality.SUSPECT: "in doubt",
    Quality.MISSING: "no value",
}
"""What is said of a value's quality: message ids; of a valid one nothing."""

DEGREES = "DD"
"""The code of degrees of an angle (UN/CEFACT recommendation 20)."""

_SPARK_POINTS = 120


@dataclass(frozen=True, slots=True)
class PanelRow:
    """One attribute: what it is worth, since when, how far it holds; `other` is what is known of it today."""

    name: str
    label: str
    value: Any
    unit: str
    observed_at: Instant | None
    quality: str
    stale: bool
    other: Any = None
    differs: bool = False
    spark: Markup | None = None
    least: float | None = None
    greatest: float | None = None


@dataclass(frozen=True, slots=True)
class _Told:
    """An entity of a declared type at the asked moment, as known and (of a past moment) as corrected."""

    declared: EntityType
    view: EntityView
    corrected: EntityView | None
    history: Mapping[str, list[Observation]]


class _Panel:
    """What the panel of an entity shows."""

    def __init__(self, house: House) -> None:
        self._house = house
        self._layers = live_layers(house.packs)
        self._types = {one.iri: one for pack in house.packs for one in pack.entity_types}

    async def show(self, scope: Scope) -> Mapping[str, Any]:
        actor, locale, now = officer_of(scope).actor, locale_of(str(scope["path"])), self._house.clock.now()
        query = bytes(scope["query_string"])
        asked = asked_scene(query, now)
        given = parse_qs(query.decode("latin-1"))
        entity_id = given.get("id", [""])[0]
        days = 7 if given.get("days") == ["7"] else 1
        if not is_uri(entity_id):
            raise EntityUnknown(entity_id=entity_id[:200])
        told = await self._told(actor, entity_id, asked, days=days, now=now)
        live = next((one for one in self._layers.values() if one.declared.iri == told.declared.iri), None)
        moment = asked.at or now
        thing = seen_thing(live, told.view, now=moment, locale=locale) if live is not None else None
        return {
            "title": str(told.view.values.get("name") or context.local_name(entity_id)),
            "asked": asked,
            "view": told.view,
            "thing": thing,
            "own_page": self._own_page(live, thing, told.view, moment, locale),
            "rows": self._rows(told, live, moment, locale),
            "days": days,
            "address": f"{ENTITY_PATH}?id={quote(entity_id, safe='')}",
            "machine": f"/ngsi-ld/v1/entities/{quote(entity_id, safe='')}",
        }

    async def _told(self, actor: Any, entity_id: str, asked: AskedScene, *, days: int, now: Instant) -> _Told:
        async with reading(self._house.pool) as connection:
            present = await context.retrieve_entity(actor, connection, entity_id)
            declared = next((self._types[iri] for iri in present.types if iri in self._types), None)
            if declared is None:
                raise EntityUnknown(entity_id=entity_id)
            view, corrected = context.view_of(present, declared), None
            if asked.at is not None:
                selection = Selection(entity_ids=(entity_id,))
                both = [
                    await states_at(
                        actor, connection, selection, declared, AskedScene(at=asked.at, seen=seen), now=now
                    )
                    for seen in ("known", "corrected")
                ]
                known, today = ([context.view_of(one, declared) for one in states] for states in both)
                if not known and not today:
                    raise EntityUnknown(entity_id=entity_id)
                shown, other = (known, today) if asked.seen == "known" else (today, known)
                view, corrected = (shown or other)[0], (other or shown)[0]
            until = asked.at or now
            history = await context.history(
                actor,
                connection,
                [entity_id],
                [one for one in declared.attributes if not one.lasting],
                until - timedelta(days=days),
                until,
                known_at=asked.at if asked.seen == "known" else None,
            )
        return _Told(declared, view, corrected, history[entity_id])

    def _rows(self, told: _Told, live: LiveLayer | None, moment: Instant, locale: str) -> list[PanelRow]:
        view, say = told.view, self._house.translations.gettext
        fresh_for = live.fresh_for if live is not None else None
        rows = []
        for attribute in told.declared.attributes:
            name = attribute.name
            if name in {"name", "location", "source"} or name not in view.values:
                continue
            observed_at = view.observed_at.get(name)
            other = told.corrected.values.get(name) if told.corrected is not None else None
            unit = view.units.get(name, "")
            numbers = [
                turned(one.number, unit)
                for one in told.history.get(name, ())
                if one.number is not None and one.quality is Quality.VALID
            ]
            quality = view.quality.get(name, Quality.VALID)
            words = QUALITY_LABELS.get(quality, str(quality.value))
            rows.append(
                PanelRow(
                    name=name,
                    label=say(locale, attribute.label) if attribute.label else name,
                    value=said_value(view.values[name], unit),
                    unit=unit,
                    observed_at=observed_at,
                    quality=say(locale, words) if words else "",
                    stale=bool(observed_at and fresh_for and observed_at + fresh_for < moment),
                    other=said_value(other, unit),
                    differs=told.corrected is not None and other != view.values[name],
                    spark=spark_line(thinned(numbers)) if len(numbers) > 1 else None,
                    least=min(numbers, default=None),
                    greatest=max(numbers, default=None),
                )
            )
        return rows

    @staticmethod
    def _own_page(
        live: LiveLayer | None, thing: SeenThing | None, view: EntityView, moment: Instant, locale: str
    ) -> str:
        """The Vietnamese address of the thing's own page, if its layer says one."""
        if live is None or live.layer.mark is None or thing is None:
            return ""
        mark = live.layer.mark(view, moment, locale)
        return mark.path if mark is not None else ""


def said_value(value: Any, unit: str = "") -> str | float | int | None:
    """A value as a row can show it: a number, or words; what has a form of its own as its words in a row."""
    if isinstance(value, bool) or value is None or isinstance(value, str):
        return value if not isinstance(value, bool) else str(value).lower()
    if isinstance(value, int | float):
        return turned(value, unit)
    if isinstance(value, Mapping):
        return ", ".join(f"{key}: {one}" for key, one in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(str(one) for one in value)
    return str(value)


def turned(number: float, unit: str) -> float:
    """A direction from 0 to 360, as people count it, not from −180 as the model does; all else as it is."""
    return number % 360 if unit == DEGREES else number


def thinned(numbers: list[float]) -> list[float | None]:
    """At most so many numbers as a small line can show, evenly taken, the last one among them."""
    step = max(1, -(-len(numbers) // _SPARK_POINTS))
    kept: list[float | None] = list(numbers[::-step])
    return kept[::-1]


def entity_page(house: House) -> RoomPage:
    """The panel of one entity: a page, and what the map takes from it."""
    return RoomPage(ENTITY_PATH, PANEL_MESSAGES[0], "ioc/entity.html", _Panel(house).show, in_menu=False)
