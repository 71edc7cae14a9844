"""The pages of the environment pack: today's air, one station, and how the index is worked out.

What Decision 1459/QĐ-TCMT wants published stands on them: colour, station and coordinates, all
parameters with the dominant one, advice, method and source. Views are pure: results in, what
the templates show out.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from math import isfinite
from typing import Any
from urllib.parse import quote

from haidang.kernel.actors import Audience
from haidang.kernel.errors import Invalid
from haidang.kernel.instants import VIETNAM, Instant, parse_instant
from haidang.packs.environment import aqi
from haidang.packs.environment.air import AIR_QUALITY_OBSERVED
from haidang.packs.environment.completeness import required_share
from haidang.packs.environment.limits import LIMITS, limit_of
from haidang.sdk.charts import Band, Bar
from haidang.sdk.model import (
    CsvTable,
    EntityView,
    History,
    LatestEntities,
    LevelSign,
    Limit,
    Mark,
    Observation,
    OneEntity,
    Page,
    PageRequest,
    Quality,
    SearchHit,
)

CATCHING_UP = timedelta(minutes=15)
"""A station whose figures are old but came within this time is not silent: it sends what it had kept."""

STALE_AFTER = timedelta(hours=3)
"""Three rhythms of an hourly station: an older index is shown hollow, with its age."""

HOURS, DAYS = 24, 30
LICENCE = "CC BY 4.0"
"""Of what our own stations measure, as the pack's dataset says; a replay keeps that of its source."""

RECORD_LICENCE_LABELS = {"AirNow": "Public domain"}
"""What is known of the records that are replayed, by a word of their source; of others nothing is said."""

FOR_MACHINES = f"/ngsi-ld/v1/entities?type={quote(AIR_QUALITY_OBSERVED.iri, safe='')}"
LIST_PATH = "/khong-khi"
STATION_PATH = "/khong-khi/tram/{station}"
METHOD_PATH = "/khong-khi/cach-tinh"

BANDS_LEAST = 100.0
"""Charts reach at least to here, so that a good day looks like one."""

_FORMULAS = {
    "pm25": ("PM2.5", ""),
    "pm10": ("PM10", ""),
    "o3": ("O", "3"),
    "no2": ("NO", "2"),
    "so2": ("SO", "2"),
    "co": ("CO", ""),
}
_MEASURED = tuple(one.value for one in aqi.Pollutant)
_ALSO = (
    "tsp",
    "pb",
    "temperature",
    "relativeHumidity",
    "windSpeed",
    "windDirection",
    "precipitation",
    "pressure",
)
_COMPARED = {"1h": 1, "8h": 8, "24h": 24}
_HOUR = timedelta(hours=1)
_SAFE = re.compile(r"[A-Za-z0-9_-]+")
_REPLAY = "replay:"
_PREFIX = f"urn:ngsi-ld:{AIR_QUALITY_OBSERVED.name}:"


@dataclass(frozen=True, slots=True)
class Parameter:
    """One measured parameter of a station as the page shows it.

    `formula` is its sign and the subscript after it; `label` a message id where it has no sign.
    """

    name: str
    formula: tuple[str, str]
    label: str
    value: float | None
    digits: int
    unit: str | None
    at: Instant | None
    quality: Quality
    sub_index: int | None = None
    averaging: str | None = None
    concentration: float | None = None
    dominant: bool = False
    stale: bool = False


@dataclass(frozen=True, slots=True)
class Station:
    """One station with its newest index, parameters and charts. `rank` is 1 (good) to 6."""

    entity_id: str
    slug: str
    name: str
    place: str
    coordinates: tuple[float, float] | None
    provider: str
    source: str
    synthetic: bool
    replayed: bool
    recorded_at: Instant | None
    index: int | None
    level: aqi.Level | None
    rank: int
    at: Instant | None
    newest_at: Instant | None
    late: bool
    catching_up: bool
    dominant: Parameter | None
    parameters: tuple[Parameter, ...]
    others: tuple[Parameter, ...]
    hours: tuple[Bar, ...] = ()
    days: tuple[Bar, ...] = ()
    hour_rows: tuple[tuple[Instant, int | None, aqi.Level | None], ...] = ()
    day_rows: tuple[tuple[date, int | None, aqi.Level | None], ...] = ()

    @property
    def path(self) -> str:
        """The page of the station, in Vietnamese."""
        return STATION_PATH.replace("{station}", quote(self.slug, safe=""))

    @property
    def short_name(self) -> str:
        """The name without the words after its dash that a mark beside it says: simulated, replayed."""
        return _plain_name(self.name, synthetic=self.synthetic, replayed=self.replayed)

    @property
    def anchor(self) -> str:
        """A word for ids on the page, for each station its own: a slug has no full stop."""
        return self.slug.replace("%", ".")

    @property
    def record(self) -> str:
        """The source without the word that it is replayed, for where the page says so itself."""
        return self.source.removeprefix(_REPLAY).strip()

    @property
    def licence(self) -> str:
        """The licence of its figures; empty where it is that of a source we know nothing of."""
        if not self.replayed:
            return LICENCE
        return next((one for word, one in RECORD_LICENCE_LABELS.items() if word in self.source), "")


@dataclass(frozen=True, slots=True)
class Comparison:
    """A mean of the station beside a limit of the norm that is in force."""

    parameter: Parameter
    averaging: str
    mean: float | None
    limit: Limit

    @property
    def over(self) -> bool | None:
        """Whether the mean is over the limit; None without a mean."""
        return None if self.mean is None else self.mean > self.limit.value


def bands(locale: str) -> list[Band]:
    """The six levels as a chart's bands."""
    return [Band(float(level.most), level.colour, level.word.read(locale)) for level in aqi.LEVELS]


def rank_of(level: aqi.Level) -> int:
    """1 for the best level, 6 for the worst."""
    return aqi.LEVELS.index(level) + 1


def station_of(
    entity: EntityView,
    now: Instant,
    locale: str,
    hourly: Sequence[Observation] = (),
    daily: Sequence[Observation] = (),
    *,
    charted: bool = True,
) -> Station:
    """What the pages show of one entity and the history of its two indices; without charts for a mark alone.

    The bars of a day and a month, empty or not, are nearly all of the work: 0.46 of 0.48 ms.
    """
    values = entity.values
    at = entity.observed_at.get("airQualityIndex")
    index = _whole(values.get("airQualityIndex")) if at is not None else None  # no figure without its moment
    at = at if index is not None else None
    level = aqi.level_of(index) if index is not None else None
    details = entity.sub_attributes.get("airQualityIndex", {})
    parameters = tuple(
        _parameter(entity, name, details, now) for name in _MEASURED if name in values or _sub(details, name)
    )
    newest = max((one for name, one in entity.observed_at.items() if name in _MEASURED), default=None)
    spoken = at or newest
    late = spoken is not None and now - spoken > STALE_AFTER
    return Station(
        entity_id=entity.entity_id,
        slug=_slug_of(entity.entity_id),
        name=str(values.get("name") or entity.entity_id.removeprefix(_PREFIX)),
        place=_place(values),
        coordinates=_coordinates(values.get("location")),
        provider=str(values.get("dataProvider") or ""),
        source=str(values.get("source") or ""),
        synthetic=entity.synthetic,
        replayed=entity.replayed,
        recorded_at=_instant(values.get("recordedAt")) if entity.replayed else None,
        index=index,
        level=level,
        rank=rank_of(level) if level else 0,
        at=at,
        newest_at=newest,
        late=late,
        catching_up=late and now - entity.modified_at < CATCHING_UP,
        dominant=next((one for one in parameters if one.dominant), None),
        parameters=parameters,
        others=tuple(_parameter(entity, name, {}, now) for name in _ALSO if name in values),
        hours=tuple(_hour_bars(hourly, now, locale)) if charted else (),
        days=tuple(_day_bars(daily, now, locale)) if charted else (),
        hour_rows=tuple(_hour_rows(hourly, now)) if charted else (),
        day_rows=tuple(_day_rows(daily, now)) if charted else (),
    )


def show_list(request: PageRequest) -> Mapping[str, Any]:
    """Every station: those that speak first, the worst air on top; the silent ones last."""
    entities: Sequence[EntityView] = request.results["stations"]
    hourly: Mapping[str, Mapping[str, Sequence[Observation]]] = request.results["hours"]
    daily: Mapping[str, Mapping[str, Sequence[Observation]]] = request.results["days"]
    stations = [
        station_of(
            entity,
            request.now,
            request.locale,
            hourly.get(entity.entity_id, {}).get("airQualityIndex", ()),
            daily.get(entity.entity_id, {}).get("airQualityIndexDaily", ()),
        )
        for entity in entities
    ]
    stations.sort(key=lambda one: (one.late or one.index is None, -(one.index or 0)))
    speaking = [one for one in stations if one.index is not None and not one.late]
    own = [one for one in speaking if not one.replayed]
    return {
        "stations": stations,
        "worst": next(iter(own or speaking), None),
        "newest": max((one.at for one in speaking if one.at is not None), default=None),
        "speaking": len(speaking),
        "catching_up": max(
            (one.newest_at for one in stations if one.catching_up and one.newest_at), default=None
        ),
        "any_synthetic": any(one.synthetic for one in stations),
        "levels": aqi.LEVELS,
        "bands": bands(request.locale),
        "bands_least": BANDS_LEAST,
        "licence": LICENCE,
        "method_path": METHOD_PATH,
        "for_machines": FOR_MACHINES,
    }


def show_station(request: PageRequest) -> Mapping[str, Any]:
    """One station: everything that is known of it."""
    entity: EntityView = request.results["station"]
    history: Mapping[str, Sequence[Observation]] = request.results["hours"].get(entity.entity_id, {})
    daily: Mapping[str, Sequence[Observation]] = request.results["days"].get(entity.entity_id, {})
    station = station_of(
        entity,
        request.now,
        request.locale,
        history.get("airQualityIndex", ()),
        daily.get("airQualityIndexDaily", ()),
    )
    measured = {name: history.get(name, ()) for name in (*_MEASURED, aqi.PERIOD)}
    return {
        "heading": station.short_name,
        "station": station,
        "comparisons": [] if station.replayed else compare(station, measured, request.now),
        "levels": aqi.LEVELS,
        "bands": bands(request.locale),
        "bands_least": BANDS_LEAST,
        "list_path": LIST_PATH,
        "method_path": METHOD_PATH,
    }


def show_method(request: PageRequest) -> Mapping[str, Any]:
    """The tables of the Decision and our own choices."""
    columns = [
        (_FORMULAS[pollutant.value], averaging.value, steps)
        for (pollutant, averaging), steps in aqi.BREAKPOINTS.items()
        if averaging is not aqi.Averaging.DAY
    ]
    return {
        "levels": aqi.LEVELS,
        "steps": aqi.INDEX_STEPS,
        "columns": columns,
        "required_share": round(required_share(aqi.day_of(request.now)) * 100),
        "nowcast_hours": aqi.NOWCAST_HOURS,
        "list_path": LIST_PATH,
    }


def compare(station: Station, window: Mapping[str, Sequence[Observation]], now: Instant) -> list[Comparison]:
    """The means that end with the last full hour, beside the limits that were checked in their norm.

    Limits from memory are left out: a figure that may be wrong is not shown as law.
    """
    end = _last_hour(now)
    share = required_share(aqi.day_of(end))
    today = now.astimezone(VIETNAM).date()
    found: list[Comparison] = []
    for parameter in station.parameters:
        for averaging, hours in _COMPARED.items():
            limit = limit_of(LIMITS, parameter.name, averaging, today)
            if limit is None or not limit.verified:
                continue
            means = aqi.hourly_means(window.get(parameter.name, ()), end, hours, window.get(aqi.PERIOD, ()))
            found.append(Comparison(parameter, averaging, aqi.mean_of(means, share), limit))
    return found


def _plain_name(name: str, *, synthetic: bool, replayed: bool = False) -> str:
    """A station's name without what a mark beside it says."""
    plain, _, said = name.rpartition(" – ")
    told = (synthetic and "mô phỏng" in said.lower()) or (replayed and "phát lại" in said.lower())
    return plain if plain and told else name


def mark_station(entity: EntityView, now: Instant, locale: str) -> Mark | None:
    """How a station stands on a map: its index in the colour of its level, no colour when it is late.

    One whose figures were measured years ago is not shown as if they were of now.
    """
    station = station_of(entity, now, locale, charted=False)
    if station.replayed:
        return None
    if station.level is None or station.late:
        return Mark(station.short_name, path=station.path)
    label = f"{station.short_name}: {station.index} {station.level.word.read(locale)}"
    return Mark(label, station.level.colour, station.rank, station.path, str(station.index))


def level_signs(locale: str) -> list[LevelSign]:
    """The six levels of VN_AQI as they are shown: range and word."""
    return [
        LevelSign(f"{one.least}–{one.most} {one.word.read(locale)}", one.colour, rank)
        for rank, one in enumerate(aqi.LEVELS, 1)
    ]


def hit_station(entity: EntityView, _locale: str) -> SearchHit:
    """How a search lists a station."""
    values = entity.values
    path = STATION_PATH.replace("{station}", quote(_slug_of(entity.entity_id), safe=""))
    name = str(values.get("name") or entity.entity_id)
    return SearchHit(_plain_name(name, synthetic=entity.synthetic), path, _place(values))


def list_table(request: PageRequest) -> CsvTable:
    """One row for each parameter of each station, with where it comes from beside it."""
    entities: Sequence[EntityView] = request.results["stations"]
    return CsvTable(
        "khong-khi",
        (
            "station_id", "station", "latitude", "longitude", "parameter", "value", "unit", "quality",
            "observed_at", "sub_index", "vn_aqi", "vn_aqi_at", "level", "dominant", "source", "data_provider",
            "synthetic", "replayed", "recorded_at", "licence", "retrieved_at",
        ),
        [
            (*about, one.name, one.value, one.unit, one.quality.value, one.at, one.sub_index, *rated)
            for station in (station_of(entity, request.now, request.locale) for entity in entities)
            for about, rated in [_provenance(station, request.now)]
            for one in (*station.parameters, *station.others)
        ],
    )  # fmt: skip


def station_table(request: PageRequest) -> CsvTable:
    """What one station measured in the last hours, one row a value, oldest first."""
    entity: EntityView = request.results["station"]
    history: Mapping[str, Sequence[Observation]] = request.results["hours"].get(entity.entity_id, {})
    station = station_of(entity, request.now, request.locale)
    units = {one.name: one.unit for one in AIR_QUALITY_OBSERVED.attributes}
    rows = [
        (one.observed_at, name, one.number, units.get(name), one.quality.value)
        for name, observations in history.items()
        if name != aqi.PERIOD
        for one in observations
    ]
    rows.sort(key=lambda row: row[:2])
    latitude, longitude = station.coordinates or (None, None)
    recorded = {entity.observed_at.get("recordedAt", station.newest_at): station.recorded_at}
    return CsvTable(
        f"khong-khi-{station.anchor}",
        (
            "station_id", "station", "latitude", "longitude", "observed_at", "parameter", "value", "unit",
            "quality", "source", "data_provider", "synthetic", "replayed", "recorded_at", "licence",
            "retrieved_at",
        ),
        [
            (
                station.entity_id, station.name, latitude, longitude, *row, station.source, station.provider,
                station.synthetic, station.replayed, recorded.get(row[0]), station.licence, request.now,
            )
            for row in rows
        ],
    )  # fmt: skip


def _slug_of(entity_id: str) -> str:
    """What names the station in an address: the end of a plain id, the whole of any other, encoded."""
    end = entity_id.removeprefix(_PREFIX)
    if end != entity_id and _SAFE.fullmatch(end):
        return end
    return quote(entity_id, safe="").replace(".", "%2E")


def _parameter(entity: EntityView, name: str, details: Mapping[str, Any], now: Instant) -> Parameter:
    value = _number(entity.values.get(name))
    unit = entity.units.get(name)
    declared = AIR_QUALITY_OBSERVED.attribute(name)
    if name == "relativeHumidity" and value is not None:
        value, unit = value * 100, "P1"  # the model keeps a share, people read percent
    if name == "windDirection" and value is not None:
        value %= 360  # the model counts from -180 to 180, people from 0 to 360
    sub = _sub(details, name)
    quality = entity.quality.get(name, Quality.VALID)
    at = entity.observed_at.get(name)
    return Parameter(
        name=name,
        formula=_FORMULAS.get(name, ("", "")),
        label=declared.label if declared is not None else name,
        value=value if quality is Quality.VALID else None,
        digits=0 if value is not None and abs(value) >= 100 else 1,
        unit=unit or (declared.unit if declared is not None else None),
        at=at,
        quality=quality,
        sub_index=_whole(sub.get("index")),
        averaging=str(sub["averaging"]) if "averaging" in sub else None,
        concentration=_number(sub.get("concentration")),
        dominant=details.get("dominantPollutant") == name,
        stale=at is not None and now - at > STALE_AFTER,
    )


def _sub(details: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    indices = details.get("subIndices")
    sub = indices.get(name) if isinstance(indices, Mapping) else None
    return sub if isinstance(sub, Mapping) else {}


def _hour_bars(observations: Sequence[Observation], now: Instant, locale: str) -> Iterator[Bar]:
    for at, index, level in _hour_rows(observations, now):
        local = at.astimezone(VIETNAM)
        yield _bar(f"{local:%H:%M}", index, level, f"{local:%H:%M}" if local.hour % 6 == 0 else "", locale)


def _day_bars(observations: Sequence[Observation], now: Instant, locale: str) -> Iterator[Bar]:
    for day, index, level in _day_rows(observations, now):
        yield _bar(f"{day:%d/%m}", index, level, f"{day:%d/%m}" if day.weekday() == 0 else "", locale)


def _bar(when: str, index: int | None, level: aqi.Level | None, tick: str, locale: str) -> Bar:
    if index is None or level is None:
        return Bar(None, "", when, tick)
    return Bar(float(index), level.colour, f"{when} · {index} {level.word.read(locale)}", tick)


def _hour_rows(
    observations: Sequence[Observation], now: Instant
) -> Iterator[tuple[Instant, int | None, aqi.Level | None]]:
    """The index of each of the last 24 full hours, by the end of the hour, oldest first."""
    indices = _indices(observations)
    last = _last_hour(now)
    for back in range(HOURS - 1, -1, -1):
        at = last - back * _HOUR
        index = indices.get(at)
        yield at, index, None if index is None else aqi.level_of(index)


def _day_rows(
    observations: Sequence[Observation], now: Instant
) -> Iterator[tuple[date, int | None, aqi.Level | None]]:
    """The index of each of the last 30 whole days of Vietnam time, oldest first."""
    indices = _indices(observations)
    today = now.astimezone(VIETNAM).date()
    for back in range(DAYS, 0, -1):
        day = today - timedelta(days=back)
        index = indices.get(aqi.end_of_day(day))
        yield day, index, None if index is None else aqi.level_of(index)


def _indices(observations: Sequence[Observation]) -> dict[Instant, int]:
    found: dict[Instant, int] = {}
    for one in observations:
        index = _whole(one.number) if one.quality is Quality.VALID else None
        if index is not None:
            found[one.observed_at] = index
    return found


def _last_hour(now: Instant) -> Instant:
    return now.replace(minute=0, second=0, microsecond=0)


def _provenance(station: Station, now: Instant) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
    latitude, longitude = station.coordinates or (None, None)
    return (
        (station.entity_id, station.name, latitude, longitude),
        (
            station.index,
            station.at,
            station.level.code if station.level else None,
            station.dominant.name if station.dominant else None,
            station.source,
            station.provider,
            station.synthetic,
            station.replayed,
            station.recorded_at,
            station.licence,
            now,
        ),
    )


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        number = float(value)
    except OverflowError:  # JSON allows whole numbers that no float holds
        return None
    return number if isfinite(number) else None


def _whole(value: Any) -> int | None:
    number = _number(value)
    return None if number is None else min(max(round(number), 0), 500)


def _instant(value: Any) -> Instant | None:
    if isinstance(value, datetime):
        return value
    try:
        return parse_instant(value) if isinstance(value, str) else None
    except Invalid:
        return None


def _place(values: Mapping[str, Any]) -> str:
    """The address as one line: a text, or the parts of the Smart Data Models' structure."""
    address = values.get("address")
    if isinstance(address, Mapping):
        parts = [address.get(part) for part in ("streetAddress", "addressLocality", "addressRegion")]
        return ", ".join(str(part) for part in parts if part)
    return str(address or values.get("areaServed") or "")


def _coordinates(location: Any) -> tuple[float, float] | None:
    """Latitude and longitude of a GeoJSON point; None for anything else."""
    if not isinstance(location, Mapping) or location.get("type") != "Point":
        return None
    position = location.get("coordinates")
    if not isinstance(position, Sequence) or len(position) < 2:
        return None
    longitude, latitude = _number(position[0]), _number(position[1])
    return None if longitude is None or latitude is None else (latitude, longitude)


_STATIONS = LatestEntities("stations", AIR_QUALITY_OBSERVED.name)
_STATION = OneEntity("station", AIR_QUALITY_OBSERVED.name, "station")
_DAY_REACH = timedelta(days=DAYS + 1)

PAGES: tuple[Page, ...] = (
    Page(
        page_id="air",
        path=LIST_PATH,
        title="Air quality today",
        summary="The index of every station, what it means and what to do.",
        audience=Audience.PUBLIC,
        queries=(
            _STATIONS,
            History("hours", "stations", ("airQualityIndex",), timedelta(hours=HOURS + 1)),
            History("days", "stations", ("airQualityIndexDaily",), _DAY_REACH),
        ),
        template="air.html",
        view=show_list,
        csv=list_table,
        glance="air_glance.html",
    ),
    Page(
        page_id="air-method",
        path=METHOD_PATH,
        title="How the air quality index is worked out",
        audience=Audience.PUBLIC,
        queries=(),
        template="air_method.html",
        view=show_method,
        in_menu=False,
    ),
    Page(
        page_id="air-station",
        path=STATION_PATH,
        title="Air quality station",
        audience=Audience.PUBLIC,
        queries=(
            _STATION,
            History(
                "hours",
                "station",
                ("airQualityIndex", *_MEASURED, aqi.PERIOD),
                timedelta(hours=HOURS + 1),
            ),
            History("days", "station", ("airQualityIndexDaily",), _DAY_REACH),
        ),
        template="air_station.html",
        view=show_station,
        csv=station_table,
        in_menu=False,
    ),
)
