"""The living page of the design system: every part in every state, in both themes, and a form that answers.

It is made of the same macros and the same style sheet as every other page, so that it cannot lie.
Nothing that is sent to it is kept.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from functools import cache, lru_cache
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode

from litestar import Request, get, route
from litestar.enums import HttpMethod
from litestar.handlers import HTTPRouteHandler
from litestar.types import ASGIApp
from markupsafe import Markup

from haidang.infra.database import reading
from haidang.infra.templates import Assets, manifest_path
from haidang.infra.translations import Translations
from haidang.kernel.actors import Audience
from haidang.kernel.errors import HaidangError, Invalid
from haidang.kernel.geometry import Box
from haidang.kernel.instants import VIETNAM
from haidang.places.finding import resolve_place
from haidang.sdk.charts import Band, Bar, Point
from haidang.web.design.tokens import (
    THEMES,
    MeasuredPair,
    measure,
    measure_levels,
    measure_signs,
    read_themes,
)
from haidang.web.shared.audiences import actor_of
from haidang.web.shared.forms import DayUnreadable, read_day, read_form
from haidang.web.shared.frame import Frame, in_locale, locale_of
from haidang.web.shared.house import House, Scope
from haidang.web.shared.maps import MapArea, MapMarker, map_picture
from haidang.web.shared.risks import RISK_LEVELS
from haidang.web.shared.routes import paths_in_every_locale, sent
from haidang.web.shared.security import live_map_headers
from haidang.web.shared.walls import cap_height_m, wall_root_px

DESIGN_PATH = "/_design"
ASK_PATH = "/_design/hoi"
WALL_PATH = "/_design/tuong"
PLACE_PATH = "/_design/noi"
_NOT_INDEXED = ((b"x-robots-tag", b"noindex"),)
_MOST_CANDIDATES = 6
_WALL = {"width_m": "3.6", "width_px": "3840", "distance_m": "5"}

SECTION_TITLES = {
    "tokens": "Colours",
    "type": "Type",
    "levels": "Levels and severity",
    "buttons": "Buttons and links",
    "forms": "Forms",
    "tables": "Tables",
    "states": "States",
    "dialogs": "Dialogs and short news",
    "charts": "Charts",
    "icons": "Icons",
    "maps": "Maps and places",
    "ways": "Finding one's way",
    "wall": "On a wall",
    "print": "On paper",
}
"""The sections of the page in their order, by anchor: message ids."""

KIND_LABELS = {"lamp": "A street lamp is out", "road": "A hole in the road", "waste": "Rubbish left lying"}
"""What one can choose in the sample form: message ids."""

_SAMPLES = (
    ("Trạm A", 41.0, 1203),
    ("Trạm B", 61.2, 985),
    ("Trạm C", None, 0),
    ("Trạm Đ", 118.5, 12_450),
)
_SORTABLE = {"name": 0, "value": 1, "count": 2}
MARKS = (
    *(
        MapMarker(
            107.4 + 0.35 * one.level,
            11.0 + 0.25 * one.level,
            str(one.level),
            one.colour,
            one.level,
            words=f"Trạm {one.level}",
        )
        for one in RISK_LEVELS.values()
    ),
    MapMarker(107.5, 11.9, "", words="Nơi không có mức"),
)
"""Marks of every level and one without: made up, and off the places that one could take them for."""

_PICTURE_MESSAGE = "The list beside this picture has everything that is drawn on it."
_SAMPLE_BOX = Box(107.2, 10.6, 109.6, 12.6)

_HOURS: tuple[float | None, ...] = (12, 14, 13, 19, 24, 31, None, None, 38, 35, 29, 22)


class NameMissing(Invalid):
    """Write your name."""


class DayMissing(Invalid):
    """Write the day."""


class DayTooEarly(Invalid):
    """The day must not lie before {least}."""


class UnitNotFound(Invalid):
    """We know no unit “{text}”: try the name of the ward or commune alone."""


class UnitToBeChosen(Invalid):
    """Several units are called so: choose one below."""


class KindMissing(Invalid):
    """Choose what it is about."""


@dataclass(slots=True)
class Filled:
    """What the sample form was filled in with, and what is wrong with it, field by field."""

    values: Mapping[str, str] = field(default_factory=dict)
    errors: dict[str, HaidangError] = field(default_factory=dict)
    candidates: list[tuple[str, str]] = field(default_factory=list)
    unit_id: str = ""
    unit_name: str = ""
    day: date | None = None
    sent: bool = False


def design_routes(house: House, frame: Frame) -> list[HTTPRouteHandler]:
    """The page, the question that a dialog would ask, and a sample of a wall."""
    assets = Assets(manifest_path())
    public = {"audience": Audience.PUBLIC}

    async def design(request: Request[Any, Any, Any]) -> ASGIApp:
        scope: Scope = request.scope  # type: ignore[assignment]  # a TypedDict of the same
        locale = locale_of(str(scope["path"]))
        filled = Filled()
        if request.method == "POST":
            filled = await _fill(house, scope, read_form(await request.body()))
        asked = parse_qs(scope["query_string"].decode("latin-1"))
        order = asked.get("order", ["name"])[-1]
        order = order if order.lstrip("-") in _SORTABLE else "name"
        whole = await frame.page(
            scope,
            "design/design.html",
            title=house.translations.gettext(locale, "The design system"),
            status=HTTPStatus.UNPROCESSABLE_ENTITY if filled.errors else HTTPStatus.OK,
            headers=_NOT_INDEXED,
            sections=SECTION_TITLES,
            pairs=_pairs(manifest_path().parent.parent / assets.url("styles/public.css").rsplit("/", 1)[-1]),
            levels=measure_levels(),
            signs=measure_signs(house.packs, locale),
            marks=MARKS,
            pictures=await asyncio.to_thread(_pictures, house.translations, locale),
            filled=filled,
            wrong={
                name: house.translations.translate_error(error, locale)
                for name, error in filled.errors.items()
            },
            kinds=[(kind, house.translations.gettext(locale, label)) for kind, label in KIND_LABELS.items()],
            rows=_sorted_rows(order),
            order=order,
            sorted_by=lambda by: f"{in_locale(DESIGN_PATH, locale)}?{urlencode({'order': by})}#tables",
            page_of=lambda page: f"{in_locale(DESIGN_PATH, locale)}?{urlencode({'page': page})}#tables",
            hours=_hours(),
            bars=[Bar(one.value, "#5c6b79", one.words, one.tick) for one in _hours()],
            bands=[Band(20, "#5c6b79", ""), Band(40, "#5c6b79", "")],
            ages={
                "fresh": house.clock.now() - timedelta(minutes=2),
                "old": house.clock.now() - timedelta(hours=5),
            },
            wall=_WALL,
        )
        return sent(whole.answer(scope["headers"]))

    async def ask(request: Request[Any, Any, Any]) -> ASGIApp:
        scope: Scope = request.scope  # type: ignore[assignment]  # a TypedDict of the same
        title = house.translations.gettext(locale_of(str(scope["path"])), "Send this report?")
        whole = await frame.page(scope, "design/ask.html", title=title, headers=_NOT_INDEXED)
        return sent(whole.answer(scope["headers"]))

    async def wall(request: Request[Any, Any, Any]) -> ASGIApp:
        scope: Scope = request.scope  # type: ignore[assignment]  # a TypedDict of the same
        asked = {**_WALL, **dict(request.query_params.items())}
        width_m, distance_m = (_number(str(asked[name])) for name in ("width_m", "distance_m"))
        width_px = int(_number(str(asked["width_px"])))
        root = wall_root_px(width_m=width_m, width_px=width_px, distance_m=distance_m)
        whole = await frame.page(
            scope,
            "design/wall.html",
            title=house.translations.gettext(locale_of(str(scope["path"])), "On a wall"),
            headers=_NOT_INDEXED,
            root=root,
            capital_mm=1000 * cap_height_m(root, width_m=width_m, width_px=width_px),
            distance_m=distance_m,
            hours=_hours(),
        )
        return sent(whole.answer(scope["headers"]))

    async def place(request: Request[Any, Any, Any]) -> ASGIApp:
        scope: Scope = request.scope  # type: ignore[assignment]  # a TypedDict of the same
        locale = locale_of(str(scope["path"]))
        sent_values: dict[str, str] = {}
        if request.method == "POST":
            sent_values = dict(read_form(await request.body()))
        whole = await frame.page(
            scope,
            "design/place.html",
            title=house.translations.gettext(locale, "Maps and places"),
            headers=(*live_map_headers(house.settings.wmts_url, geolocation=True), *_NOT_INDEXED),
            values=sent_values,
            picture=(await asyncio.to_thread(_pictures, house.translations, locale))["day"],
            area=MapArea(_SAMPLE_BOX, house.clock.now().astimezone(VIETNAM).date()),
        )
        return sent(whole.answer(scope["headers"]))

    return [
        route(
            list(paths_in_every_locale(PLACE_PATH)),
            http_method=[HttpMethod.GET, HttpMethod.POST],
            status_code=HTTPStatus.OK,
            opt=public,
            name="design.place",
        )(place),
        route(
            list(paths_in_every_locale(DESIGN_PATH)),
            http_method=[HttpMethod.GET, HttpMethod.POST],
            status_code=HTTPStatus.OK,
            opt=public,
            name="design",
        )(design),
        get(list(paths_in_every_locale(ASK_PATH)), opt=public, name="design.ask")(ask),
        get(list(paths_in_every_locale(WALL_PATH)), opt=public, name="design.wall")(wall),
    ]


async def _fill(house: House, scope: Scope, values: Mapping[str, str]) -> Filled:
    """Read the sample form as a real one would be: every field, so that every error is told at once."""
    filled = Filled(values, sent=True)
    if not values.get("name"):
        filled.errors["name"] = NameMissing()
    try:
        filled.day = read_day(values["day"]) if values.get("day") else None
        if filled.day is None:
            filled.errors["day"] = DayMissing()
        elif filled.day < date(2025, 7, 1):
            filled.errors["day"] = DayTooEarly(least=date(2025, 7, 1))
    except DayUnreadable as unreadable:
        filled.errors["day"] = unreadable
    if values.get("unit"):
        await _resolve(house, scope, filled, values["unit"])
    if values.get("kind") not in KIND_LABELS:
        filled.errors["kind"] = KindMissing()
    return filled


async def _resolve(house: House, scope: Scope, filled: Filled, text: str) -> None:
    """Say which unit was meant, or offer those that it may have been."""
    today = house.clock.now().astimezone(VIETNAM).date()
    async with reading(house.pool) as connection:
        found = await resolve_place(actor_of(scope), connection, text, on=today)
    known = {one.unit.unit_id: one.unit.full_name for one in found.candidates}
    wanted = filled.values.get("unit_choice") or filled.values.get("unit_id", "")
    if found.outcome == "one":
        wanted = found.candidates[0].unit.unit_id
    if wanted in known:
        filled.unit_id, filled.unit_name = wanted, known[wanted]
    elif found.outcome == "ask":
        filled.candidates = list(known.items())[:_MOST_CANDIDATES]
        filled.errors["unit"] = UnitToBeChosen()
    else:
        filled.errors["unit"] = UnitNotFound(text=text[:60])


@cache
def _pictures(translations: Translations, locale: str) -> dict[str, Markup]:
    """The sample map once for each theme, which has ids of its own; drawn once."""
    return {
        theme: map_picture(
            markers=MARKS,
            box=_SAMPLE_BOX,
            name=f"map-{theme}",
            title=translations.gettext(locale, "Map, a sample"),
            description=translations.gettext(locale, _PICTURE_MESSAGE),
            locale=locale,
        )
        for theme in THEMES
    }


@lru_cache(maxsize=2)
def _pairs(css: Path) -> list[MeasuredPair]:
    """The contrasts of a built style sheet, whose name changes with its content."""
    return measure(read_themes(css.read_text("utf-8")))


def _sorted_rows(order: str) -> list[tuple[str, float | None, int]]:
    """The sample rows; a missing figure stands last, whichever way."""
    key = _SORTABLE[order.lstrip("-")]
    some = [row for row in _SAMPLES if row[key] is not None]
    some.sort(key=lambda row: row[key] or 0 if key else row[0], reverse=order.startswith("-"))
    return [*some, *(row for row in _SAMPLES if row[key] is None)]


def _hours() -> list[Point]:
    """Twelve made-up hours, two of them missing."""
    return [
        Point(value, f"{hour:02d}:00", f"{hour:02d}:00" if hour % 4 == 2 else "")
        for hour, value in enumerate(_HOURS, 6)
    ]


def _number(text: str) -> float:
    """A number as people write it, with a comma or a point; no number is 0, which no wall has."""
    try:
        return float(text.replace(",", ".")[:20])
    except ValueError:
        return 0.0
