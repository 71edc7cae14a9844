"""The tide at Quy Nhơn on a page and on the map: computed when asked, and said to be so everywhere."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from math import ceil, floor
from typing import Any

from haidang.kernel.actors import Audience
from haidang.kernel.instants import VIETNAM, Instant
from haidang.packs.environment.tide import (
    ATTRIBUTION,
    TIDE_STATION,
    Turn,
    curve,
    heights,
    quy_nhon,
    turns,
)
from haidang.sdk.charts import Point
from haidang.sdk.model import CsvTable, EntityView, Mark, Page, PageRequest, SearchHit

PATH = "/thuy-trieu"
DAYS = 7
LICENCE = "CC BY 4.0"
ERROR_CM = 3
"""How far two analyses of other years of the same gauge stray from ours at the most (ADR 0065), in cm."""

FOR_MACHINES = f"/ngsi-ld/v1/entities?type={TIDE_STATION.iri}"


@dataclass(frozen=True, slots=True)
class TideDay:
    """A day (Vietnam time) with its high and low waters, and its course every 15 minutes."""

    day: date
    turns: tuple[Turn, ...]
    points: tuple[Point, ...]


def show(request: PageRequest) -> Mapping[str, Any]:
    """Where the tide stands, and seven days of high and low waters from today."""
    station = quy_nhon()
    now = request.now
    first = now.astimezone(VIETNAM).date()
    days = [_day(first + timedelta(days=number)) for number in range(DAYS)]
    (height, later) = heights(station, [now, now + timedelta(minutes=10)])
    coming = [turn for one in days for turn in one.turns if turn.at > now]
    every = [point.value for one in days for point in one.points if point.value is not None]
    return {
        "station": station,
        "height_m": height,
        "rising": later > height,
        "coming": coming[:2],
        "days": days,
        "span": (float(floor(min(0.0, *every))), float(ceil(max(every)))),
        "mean_level": station.mean_level_m,
        "record": tuple(date.fromisoformat(day) for day in station.record.split("/")),
        "error_cm": ERROR_CM,
        "attribution": ATTRIBUTION,
        "licence": LICENCE,
        "for_machines": FOR_MACHINES,
    }


def table(request: PageRequest) -> CsvTable:
    """The course every 15 minutes over seven days from today's midnight, Vietnam time."""
    station = quy_nhon()
    since = _midnight(request.now.astimezone(VIETNAM).date())
    return CsvTable(
        "thuy-trieu-quy-nhon",
        (
            "station_id", "station", "at", "height_m", "datum", "kind", "source", "licence", "computed_at",
        ),
        [
            (
                station.entity_id, station.name, at, round(height, 3), "LAT", "forecast", ATTRIBUTION,
                LICENCE, request.now,
            )
            for at, height in curve(station, since, since + timedelta(days=DAYS))
        ],
    )  # fmt: skip


def mark_tide(entity: EntityView, now: Instant, locale: str) -> Mark | None:
    """How the tide station stands on a map: the height computed for now, without a level's colour."""
    station = quy_nhon()
    if entity.entity_id != station.entity_id:
        return None
    (height,) = heights(station, [now])
    words = f"{height:.2f}"
    if locale == "vi":
        words = words.replace(".", ",")
        return Mark(
            f"Thủy triều {station.name}, tính toán: {words} m trên LAT", path=PATH, short=f"{words} m"
        )
    return Mark(f"Tide at {station.name}, computed: {words} m above LAT", path=PATH, short=f"{words} m")


def hit_tide(entity: EntityView, locale: str) -> SearchHit:
    """How a search lists the tide station."""
    name = str(entity.values.get("name") or entity.entity_id)
    if locale == "vi":
        return SearchHit(f"Thủy triều {name}", PATH, "Nước lớn, nước ròng 7 ngày")
    return SearchHit(f"Tide at {name}", PATH, "High and low waters of 7 days")


def _day(day: date) -> TideDay:
    station = quy_nhon()
    since = _midnight(day)
    until = since + timedelta(days=1)
    found = tuple(turns(station, since, until - timedelta(minutes=1)))
    points = []
    for at, height in curve(station, since, until):
        local = at.astimezone(VIETNAM)
        tick = f"{local:%H:%M}" if local.minute == 0 and local.hour % 6 == 0 and at < until else ""
        near = any(abs(one.at - at) <= timedelta(minutes=7, seconds=30) for one in found)
        words = f"{local:%H:%M} · {height:.2f} m".replace(".", ",") if near else ""
        points.append(Point(height, words, tick))
    return TideDay(day, found, tuple(points))


def _midnight(day: date) -> Instant:
    """The first moment of a day in Vietnam."""
    return datetime.combine(day, time(), tzinfo=VIETNAM).astimezone(UTC)


PAGES: tuple[Page, ...] = (
    Page(
        page_id="tide",
        path=PATH,
        title="Tide at Quy Nhơn",
        summary="High and low waters of the next seven days, computed; not for navigation.",
        audience=Audience.PUBLIC,
        queries=(),
        template="tide.html",
        view=show,
        csv=table,
    ),
)
