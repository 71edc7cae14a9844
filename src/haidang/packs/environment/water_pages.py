"""The page of rivers and rain: each gauge with its level, its course and what stands above which alarm level.

Views are pure: results in, what the templates show out.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from math import ceil, floor, isfinite
from typing import Any
from urllib.parse import quote

from haidang.kernel.actors import Audience
from haidang.kernel.instants import VIETNAM, Instant
from haidang.packs.environment.alarm_levels import (
    ALARM_LEVELS,
    GRADES,
    AlarmLevel,
    StationLevels,
    levels_on,
)
from haidang.packs.environment.water import (
    WATER_OBSERVED,
    WEATHER_OBSERVED,
    mark_name,
    reached,
)
from haidang.sdk.charts import Point, Threshold
from haidang.sdk.model import (
    CsvTable,
    EntityView,
    History,
    LatestEntities,
    Mark,
    Observation,
    Page,
    PageRequest,
    Quality,
    SearchHit,
)

PATH = "/muc-nuoc"
STALE_AFTER = timedelta(minutes=30)
"""Three rhythms of a gauge: an older level is shown hollow, with its age, and compared with nothing."""

TREND_OVER = timedelta(hours=1)
STEADY_M = 0.02
"""Less change than this in an hour is called steady: two centimetres, twice what a staff is read to."""

CHART_HOURS = 48
LICENCE = "CC BY 4.0"

COLOURS = ("#4ad295", "#35c2c9", "#ffb02e", "#ff5a4f")
"""Of the grades 0 to 3 on a map: our own, and none of the official levels of disaster risk or of the air."""

RANKS = (1, 3, 4, 5)
KINDS = ("good", "notice", "warning", "critical")
GRADE_LABELS = ("below alarm 1", "alarm 1", "alarm 2", "alarm 3")

_TYPE = quote(WATER_OBSERVED.iri, safe="")
FOR_MACHINES = f"/ngsi-ld/v1/entities?type={_TYPE}"


@dataclass(frozen=True, slots=True)
class Gauge:
    """One river gauge as the page shows it; `above` is metres above (or below) the alarm level at hand.

    `grade` is the alarm level it has reached, None where the levels are not known; `mark` the level
    that `above` is counted from: the highest reached, else the lowest known.
    """

    entity_id: str
    name: str
    river: str
    place: str
    coordinates: tuple[float, float] | None
    synthetic: bool
    replayed: bool
    provider: str
    source: str
    level: float | None
    flow: float | None
    at: Instant | None
    stale: bool
    change: float | None
    grade: int | None
    mark: AlarmLevel | None
    above: float | None
    marks: tuple[AlarmLevel, ...]
    norm: str
    points: tuple[Point, ...] = ()
    rows: tuple[tuple[Instant, float | None], ...] = ()
    span: tuple[float, float] | None = None
    thresholds: tuple[Threshold, ...] = ()

    @property
    def anchor(self) -> str:
        """A word for ids on the page."""
        return _anchor(self.entity_id)

    @property
    def short_name(self) -> str:
        """The name without the words that the badge beside it says."""
        return _short(self.name, self.synthetic)

    @property
    def trend(self) -> str | None:
        """`rising`, `falling` or `steady` over the last hour; None where it is not known."""
        if self.change is None or self.stale:
            return None
        if abs(self.change) < STEADY_M:
            return "steady"
        return "rising" if self.change > 0 else "falling"

    @property
    def kind(self) -> str | None:
        """Which of the house's signs of gravity it has; None without a grade."""
        return None if self.grade is None or self.stale else KINDS[self.grade]

    @property
    def all_verified(self) -> bool:
        """Whether every level of it was checked in an official bulletin."""
        return all(one.verified for one in self.marks)


@dataclass(frozen=True, slots=True)
class RainGauge:
    """One rain gauge: what fell in the last hour and the last 24 hours, in mm."""

    entity_id: str
    name: str
    place: str
    coordinates: tuple[float, float] | None
    synthetic: bool
    replayed: bool
    provider: str
    source: str
    one_hour: float | None
    one_day: float | None
    at: Instant | None
    stale: bool

    @property
    def anchor(self) -> str:
        """A word for ids on the page."""
        return _anchor(self.entity_id)

    @property
    def short_name(self) -> str:
        """The name without the words that the badge beside it says."""
        return _short(self.name, self.synthetic)


def gauge_of(entity: EntityView, now: Instant, history: Sequence[Observation] = ()) -> Gauge:
    """What is shown of a river gauge and the course of its level."""
    values = entity.values
    at = entity.observed_at.get("waterLevel")
    level = _valid(entity, "waterLevel") if at is not None else None
    stale = at is not None and now - at > STALE_AFTER
    day = (at or now).astimezone(VIETNAM).date()
    norm, marks = _marks(entity, day)
    above = {
        grade: next((_difference(level, one.metres) for one in marks if one.grade == grade), None)
        for grade in GRADES
    }
    grade = reached(above) if level is not None else None
    mark = next((one for one in marks if one.grade == grade), marks[0] if marks else None)
    hourly = tuple(_hourly(history, now))
    return Gauge(
        entity_id=entity.entity_id,
        name=str(values.get("name") or entity.entity_id),
        river=str(values.get("riverName") or ""),
        place=_place(values),
        coordinates=_coordinates(values.get("location")),
        synthetic=entity.synthetic,
        replayed=entity.replayed,
        provider=str(values.get("dataProvider") or ""),
        source=str(values.get("source") or ""),
        level=level,
        flow=_valid(entity, "flow"),
        at=at,
        stale=stale,
        change=_change(history, level, at),
        grade=grade,
        mark=mark,
        above=above[mark.grade] if mark is not None else None,
        marks=marks,
        norm=norm,
        points=tuple(_point(at, value) for at, value in hourly),
        rows=hourly,
        span=_span([value for _, value in hourly if value is not None], marks),
        thresholds=tuple(Threshold(one.metres, f"BĐ{one.grade}") for one in marks),
    )


def rain_gauge_of(entity: EntityView, now: Instant) -> RainGauge:
    """What is shown of a rain gauge: the sums that stand for its newest reading."""
    at = entity.observed_at.get("precipitation")
    return RainGauge(
        entity_id=entity.entity_id,
        name=str(entity.values.get("name") or entity.entity_id),
        place=_place(entity.values),
        coordinates=_coordinates(entity.values.get("location")),
        synthetic=entity.synthetic,
        replayed=entity.replayed,
        provider=str(entity.values.get("dataProvider") or ""),
        source=str(entity.values.get("source") or ""),
        one_hour=_sum(entity, "rainOneHour", at),
        one_day=_sum(entity, "rainOneDay", at),
        at=at,
        stale=at is not None and now - at > STALE_AFTER,
    )


def show(request: PageRequest) -> Mapping[str, Any]:
    """The gauges: what has reached the highest alarm first, the silent last; rain by how much fell."""
    levels: Mapping[str, Mapping[str, Sequence[Observation]]] = request.results["levels"]
    gauges = [
        gauge_of(entity, request.now, levels.get(entity.entity_id, {}).get("waterLevel", ()))
        for entity in request.results["rivers"]
    ]
    rains = [rain_gauge_of(entity, request.now) for entity in request.results["rain"]]
    gauges.sort(key=_gravest_first)
    rains.sort(key=lambda one: (one.stale, -(one.one_day or 0), one.name))
    speaking = [one for one in gauges if one.level is not None and not one.stale]
    wet = [one for one in rains if not one.stale and one.one_day is not None]
    return {
        "gauges": gauges,
        "rains": rains,
        "speaking": len(speaking),
        "alarmed": sum(1 for one in speaking if one.grade),
        "gravest": next(iter(speaking), None),
        "wettest": next(iter(wet), None),
        "any_synthetic": any(one.synthetic for one in gauges) or any(one.synthetic for one in rains),
        "norms": sorted({one.norm for one in gauges if one.norm}),
        "stations": _levels_in_force(request.now),
        "kinds": KINDS,
        "grade_labels": GRADE_LABELS,
        "licence": LICENCE,
        "for_machines": FOR_MACHINES,
    }


def _levels_in_force(now: Instant) -> list[tuple[StationLevels, list[tuple[int, AlarmLevel | None]]]]:
    """The stations of the norm today, with the level of each grade or none."""
    today = now.astimezone(VIETNAM).date()
    return [
        (
            one,
            [
                (grade, next((level for level in one.levels if level.grade == grade), None))
                for grade in GRADES
            ],
        )
        for one in ALARM_LEVELS
        if levels_on((one,), one.code, today) is not None
    ]


def _gravest_first(one: Gauge) -> tuple[bool, int, float, str]:
    silent = one.stale or one.level is None
    return silent, -(one.grade if one.grade is not None else -1), -(one.above or 0.0), one.name


def mark_gauge(entity: EntityView, now: Instant, locale: str) -> Mark | None:
    """How a river gauge stands on a map: its level, in the colour of the alarm level it has reached."""
    gauge = gauge_of(entity, now)
    path = f"{PATH}#{gauge.anchor}"
    if gauge.replayed:
        return None
    if gauge.level is None or gauge.stale:
        return Mark(gauge.short_name, path=path)
    label = f"{gauge.short_name}: {_metres(gauge.level, locale)}{_standing(gauge, locale)}"
    short = _number_words(gauge.level, locale)
    if gauge.grade is None:
        return Mark(label, path=path, short=short)
    return Mark(label, COLOURS[gauge.grade], RANKS[gauge.grade], path, short)


def mark_rain(entity: EntityView, now: Instant, locale: str) -> Mark | None:
    """How a rain gauge stands on a map: what fell in the last hour; no colour, for no level is official."""
    rain = rain_gauge_of(entity, now)
    path = f"{PATH}#{rain.anchor}"
    if rain.replayed:
        return None
    if rain.one_hour is None or rain.stale:
        return Mark(rain.short_name, path=path)
    fell = f"{_number_words(rain.one_hour, locale, 1)} mm"
    during = "trong 1 giờ" if locale == "vi" else "in 1 hour"
    return Mark(f"{rain.short_name}: {fell} {during}", path=path, short=fell)


def hit_gauge(entity: EntityView, _locale: str) -> SearchHit:
    """How a search lists a river gauge; that it is made up is said by whoever lists it."""
    values = entity.values
    name = _short(str(values.get("name") or entity.entity_id), entity.synthetic)
    detail = " · ".join(part for part in (str(values.get("riverName") or ""), _place(values)) if part)
    return SearchHit(name, f"{PATH}#{_anchor(entity.entity_id)}", detail)


def hit_rain(entity: EntityView, locale: str) -> SearchHit:
    """How a search lists a rain gauge."""
    return hit_gauge(entity, locale)


def table(request: PageRequest) -> CsvTable:
    """One row for each gauge: what it said last, with where that comes from beside it."""
    rows: list[tuple[Any, ...]] = []
    for entity in request.results["rivers"]:
        one = gauge_of(entity, request.now)
        latitude, longitude = one.coordinates or (None, None)
        marks = {mark.grade: mark for mark in one.marks}
        rows.append(
            (
                one.entity_id, "river", one.name, one.river, latitude, longitude, one.at, one.level,
                *(marks[grade].metres if grade in marks else None for grade in GRADES),
                one.all_verified if one.marks else None, one.grade, None, None, one.source, one.provider,
                one.synthetic, one.replayed, request.now,
            )
        )  # fmt: skip
    for entity in request.results["rain"]:
        rain = rain_gauge_of(entity, request.now)
        latitude, longitude = rain.coordinates or (None, None)
        rows.append(
            (
                rain.entity_id, "rain", rain.name, None, latitude, longitude, rain.at, None, None, None, None,
                None, None, rain.one_hour, rain.one_day, rain.source, rain.provider, rain.synthetic,
                rain.replayed, request.now,
            )
        )  # fmt: skip
    return CsvTable(
        "muc-nuoc",
        (
            "station_id", "kind", "station", "river", "latitude", "longitude", "observed_at", "water_level_m",
            "alarm_1_m", "alarm_2_m", "alarm_3_m", "alarm_levels_verified", "alarm_level", "rain_1h_mm",
            "rain_24h_mm", "source", "data_provider", "synthetic", "replayed", "retrieved_at",
        ),
        rows,
    )  # fmt: skip


def _marks(entity: EntityView, day: date) -> tuple[str, tuple[AlarmLevel, ...]]:
    """The alarm levels of a gauge: of the norm by its code, else those its own entity says."""
    code = entity.values.get("stationCode")
    station: StationLevels | None = levels_on(ALARM_LEVELS, code if isinstance(code, str) else None, day)
    if station is not None:
        return station.norm, station.levels
    own = ((grade, _valid(entity, mark_name(grade))) for grade in GRADES)
    return "", tuple(AlarmLevel(grade, metres, verified=False) for grade, metres in own if metres is not None)


def _change(history: Sequence[Observation], level: float | None, at: Instant | None) -> float | None:
    """How far the level has moved over the hour before its moment, in metres; None without one then."""
    if level is None or at is None:
        return None
    about = timedelta(minutes=10)
    before = [
        one.number
        for one in history
        if one.quality is Quality.VALID
        and one.number is not None
        and abs(at - TREND_OVER - one.observed_at) <= about
    ]
    return round(level - before[-1], 3) if before and isfinite(before[-1]) else None


def _hourly(history: Sequence[Observation], now: Instant) -> Iterator[tuple[Instant, float | None]]:
    """The last valid level of each of the last hours, by the hour's end, oldest first."""
    found: dict[Instant, float] = {}
    for one in history:
        if one.quality is Quality.VALID and one.number is not None and isfinite(one.number):
            hour = one.observed_at.replace(minute=0, second=0, microsecond=0)
            found[hour if one.observed_at == hour else hour + timedelta(hours=1)] = one.number
    last = now.replace(minute=0, second=0, microsecond=0)
    for back in range(CHART_HOURS, -1, -1):
        at = last - timedelta(hours=back)
        yield at, found.get(at)


def _point(at: Instant, value: float | None) -> Point:
    local = at.astimezone(VIETNAM)
    words = "" if value is None else f"{local:%H:%M %d/%m} · {_metres(value)}"
    return Point(value, words, f"{local:%H:%M}" if local.hour % 12 == 0 else "")


def _span(values: Sequence[float], marks: Sequence[AlarmLevel]) -> tuple[float, float] | None:
    """The scale of a chart: what was measured, and the alarm levels that are not far from it."""
    if not values:
        return None
    low, high = min(values), max(values)
    near = [one.metres for one in marks if low - 2 <= one.metres <= high + 2]
    low, high = min((low, *near)), max((high, *near))
    return float(floor(low - 0.1)), float(ceil(high + 0.1))


def _standing(gauge: Gauge, locale: str) -> str:
    """`, trên BĐ2 0,35 m`: as bulletins say it; empty where no level is known."""
    if gauge.mark is None or gauge.above is None:
        return ""
    by = _metres(abs(gauge.above), locale)
    if locale == "vi":
        return f", {'trên' if gauge.above >= 0 else 'dưới'} BĐ{gauge.mark.grade} {by}"
    return f", {by} {'above' if gauge.above >= 0 else 'below'} alarm {gauge.mark.grade}"


def _number_words(value: float, locale: str, digits: int = 2) -> str:
    text = f"{value:.{digits}f}"
    return text.replace(".", ",") if locale == "vi" else text


def _metres(value: float, locale: str = "vi") -> str:
    return f"{_number_words(value, locale)} m"


def _difference(level: float | None, metres: float) -> float | None:
    return None if level is None else round(level - metres, 3)


def _sum(entity: EntityView, name: str, at: Instant | None) -> float | None:
    """A sum of rain, where it stands for the newest reading and not for an older one."""
    return _valid(entity, name) if at is not None and entity.observed_at.get(name) == at else None


def _valid(entity: EntityView, name: str) -> float | None:
    value = entity.values.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    if entity.quality.get(name, Quality.VALID) is not Quality.VALID or abs(value) > 1e9:
        return None
    return float(value) if isfinite(value) else None


def _anchor(entity_id: str) -> str:
    """A word for an id on the page, from the end of the URN; others keep their letters apart."""
    kind, _, end = entity_id.removeprefix("urn:ngsi-ld:").partition(":")
    first = "mua" if kind == WEATHER_OBSERVED.name else "tram"
    return f"{first}-{re.sub(r'[^A-Za-z0-9_-]', '.', end)}"


def _short(name: str, synthetic: bool) -> str:  # noqa: FBT001 (private)
    short, _, said = name.rpartition(" – ")
    return short if synthetic and short and "mô phỏng" in said.lower() else name


def _place(values: Mapping[str, Any]) -> str:
    address = values.get("address")
    if isinstance(address, Mapping):
        parts = [address.get(part) for part in ("addressLocality", "addressRegion")]
        return ", ".join(str(part) for part in parts if part)
    return str(address or values.get("areaServed") or "")


def _coordinates(location: Any) -> tuple[float, float] | None:
    """Latitude and longitude of a GeoJSON point; None for anything else."""
    if not isinstance(location, Mapping) or location.get("type") != "Point":
        return None
    position = location.get("coordinates")
    if not isinstance(position, Sequence) or isinstance(position, str) or len(position) < 2:
        return None
    longitude, latitude = position[:2]
    if not all(isinstance(one, int | float) and not isinstance(one, bool) for one in (longitude, latitude)):
        return None
    return float(latitude), float(longitude)


PAGES: tuple[Page, ...] = (
    Page(
        page_id="water",
        path=PATH,
        title="Rivers and rain",
        summary="The water level at each gauge, beside the flood alarm levels, and how much it has rained.",
        audience=Audience.PUBLIC,
        queries=(
            LatestEntities("rivers", WATER_OBSERVED.name),
            LatestEntities("rain", WEATHER_OBSERVED.name),
            History("levels", "rivers", ("waterLevel",), timedelta(hours=CHART_HOURS + 1)),
        ),
        template="water.html",
        view=show,
        csv=table,
        glance="water_glance.html",
    ),
)
