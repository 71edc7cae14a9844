"""Synthetic stations: plausible air by the sea, made up, and labelled so everywhere.

Nothing here was measured. What gives it a likely shape: monthly normals of temperature and
humidity of Phan Thiết and Quy Nhơn, a sun, a sea breeze, morning and evening traffic, and
air that is stirred by day and lies still at night. Everything follows from (station, instant)
by hashing, so the same instant always has the same values.
"""

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from functools import lru_cache

from haidang.demo.scenarios import Scenario
from haidang.demo.stations import (
    CELSIUS,
    DEGREES,
    METRES_A_SECOND,
    MICROGRAMS,
    MILLIGRAMS,
    PERCENT,
    SENTINEL,
    Station,
    Value,
)
from haidang.kernel.instants import VIETNAM, Instant

PERIOD = timedelta(minutes=10)
SYNTHETIC = "synthetic"
SEED = "hải đăng 1"


@dataclass(frozen=True, slots=True)
class Climate:
    """A coast: monthly means of the daily mean, highest and lowest temperature and of humidity.

    Normals 1979–2017 of the national station, from IMHEN records as kept in
    github.com/epix-project/imhen (MIT), rounded. `sea_from` is where the sea breeze comes from.
    """

    name: str
    mean_c: tuple[float, ...]
    highest_c: tuple[float, ...]
    lowest_c: tuple[float, ...]
    humidity_pct: tuple[float, ...]
    sea_from_deg: float
    land_from_deg: float
    wet_months: frozenset[int]


PHAN_THIET = Climate(
    "Phan Thiết",
    (25.1, 25.6, 27.1, 28.5, 28.8, 28.0, 27.3, 27.4, 27.3, 27.2, 26.8, 25.9),
    (29.4, 29.7, 30.8, 32.2, 32.8, 32.3, 31.6, 31.6, 31.4, 31.0, 30.9, 30.0),
    (21.8, 22.3, 24.0, 25.6, 26.0, 25.4, 24.8, 24.9, 24.8, 24.5, 23.7, 22.6),
    (75, 75, 77, 77, 79, 81, 83, 83, 84, 83, 80, 76),
    sea_from_deg=150,
    land_from_deg=330,
    wet_months=frozenset({5, 6, 7, 8, 9, 10}),
)
QUY_NHON = Climate(
    "Quy Nhơn",
    (23.4, 24.3, 25.8, 27.8, 29.3, 30.0, 30.0, 30.0, 28.8, 27.1, 25.7, 24.0),
    (26.8, 28.1, 29.8, 31.8, 33.5, 34.4, 34.5, 34.5, 33.0, 30.3, 28.4, 26.6),
    (21.3, 21.9, 23.3, 25.2, 26.5, 26.6, 27.2, 27.1, 25.9, 24.7, 23.8, 22.1),
    (81, 82, 82, 82, 79, 73, 72, 71, 78, 82, 83, 82),
    sea_from_deg=95,
    land_from_deg=290,
    wet_months=frozenset({9, 10, 11, 12}),
)


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What is around a station, each against an ordinary street (1.0)."""

    climate: Climate
    traffic: float
    works: float = 0.0
    """Industry and port: sulphur dioxide and a steady load."""
    sand: float = 0.0
    """Bare sand that wind lifts."""
    open_to_sea: float = 0.5
    smog: float = 0.6
    """How thick smog gathers here when there is any."""


def _station(slug: str, ward: str, province: str, latitude: float, longitude: float) -> Station:
    return Station(
        slug=slug,
        name=f"{ward} – số liệu mô phỏng",
        ward=ward,
        province=province,
        latitude=latitude,
        longitude=longitude,
        source=SYNTHETIC,
        provider="Hải Đăng demo",
        period=PERIOD,
    )


STATIONS: Mapping[str, tuple[Station, Surroundings]] = {
    station.slug: (station, surroundings)
    for station, surroundings in (
        (
            _station("mo-phong-phan-thiet", "Phường Phan Thiết", "Tỉnh Lâm Đồng", 10.9289, 108.1022),
            Surroundings(PHAN_THIET, traffic=1.2, open_to_sea=0.5, smog=1.0),
        ),
        (
            _station("mo-phong-phu-thuy", "Phường Phú Thủy", "Tỉnh Lâm Đồng", 10.937, 108.118),
            Surroundings(PHAN_THIET, traffic=0.8, open_to_sea=0.8),
        ),
        (
            _station("mo-phong-mui-ne", "Phường Mũi Né", "Tỉnh Lâm Đồng", 10.943, 108.283),
            Surroundings(PHAN_THIET, traffic=0.35, sand=1.0, open_to_sea=1.0, smog=0.3),
        ),
        (
            _station("mo-phong-quy-nhon", "Phường Quy Nhơn", "Tỉnh Gia Lai", 13.776, 109.23),
            Surroundings(QUY_NHON, traffic=1.0, works=0.6, open_to_sea=0.9, smog=0.35),
        ),
        (
            _station("mo-phong-quy-nhon-nam", "Phường Quy Nhơn Nam", "Tỉnh Gia Lai", 13.76, 109.219),
            Surroundings(QUY_NHON, traffic=1.1, open_to_sea=0.7),
        ),
        (
            _station("mo-phong-quy-nhon-bac", "Phường Quy Nhơn Bắc", "Tỉnh Gia Lai", 13.785, 109.17),
            Surroundings(QUY_NHON, traffic=0.9, works=1.0, open_to_sea=0.2, smog=0.75),
        ),
    )
}


@lru_cache(maxsize=65_536)
def _lattice(name: str, index: int) -> float:
    """A number in [−1, 1) that belongs to this name and index for ever."""
    hashed = hashlib.blake2b(f"{SEED}|{name}|{index}".encode(), digest_size=8).digest()
    return int.from_bytes(hashed, "big") / 2**63 - 1.0


def drift(name: str, at: Instant, every: timedelta) -> float:
    """Smooth noise in [−1, 1): a new random point each `every`, joined without corners."""
    position = at.timestamp() / every.total_seconds()
    index = math.floor(position)
    along = position - index
    eased = along * along * (3 - 2 * along)
    return _lattice(name, index) * (1 - eased) + _lattice(name, index + 1) * eased


def monthly(normals: tuple[float, ...], at: Instant) -> float:
    """A monthly normal at an instant, joined from mid-month to mid-month."""
    local = at.astimezone(VIETNAM)
    position = local.month - 1 + (local.day - 1) / 30.5 - 0.5
    index = math.floor(position)
    along = position - index
    return normals[index % 12] * (1 - along) + normals[(index + 1) % 12] * along


def bump(hour: float, peak: float, width: float) -> float:
    """A bell over the hours of a day, 1 at its peak, which wraps around midnight."""
    away = (hour - peak + 12) % 24 - 12
    return math.exp(-((away / width) ** 2) / 2)


@dataclass(frozen=True, slots=True)
class Weather:
    """The air over a coast at an instant, shared by its stations but for small differences."""

    sun: float
    """0 at night, up to 1 at noon under a clear sky."""
    breeze: float
    """0 none, 1 a full sea breeze."""
    wet: float
    """0 dry, 1 raining."""
    monsoon: float
    """0 none, 1 a strong north-east monsoon."""
    temperature_c: float
    humidity_pct: float
    wind_ms: float
    wind_from_deg: float
    mixing: float
    """How well the lowest air is stirred: about 0.45 on a still night, 1.6 on a windy afternoon."""


def weather(climate: Climate, at: Instant, storm: float = 0.0) -> Weather:
    """The weather over a coast at an instant, under a storm (0 to 1) or none."""
    local = at.astimezone(VIETNAM)
    hour = local.hour + local.minute / 60 + local.second / 3600
    name = climate.name
    spell = drift(f"{name} spell", at, timedelta(hours=40))
    season = 0.25 if local.month in climate.wet_months else -0.35
    wet = max(0.0, min(1.0, (spell + season - 0.15) * 2)) * (
        0.6 + 0.4 * drift(f"{name} shower", at, timedelta(hours=2))
    )
    wet = max(wet, storm)
    clear = 1 - 0.65 * wet
    sun = max(0.0, math.sin(math.pi * (hour - 5.6) / 12.4)) * clear if 5.6 < hour < 18.0 else 0.0
    winter = max(0.0, math.cos(2 * math.pi * (local.timetuple().tm_yday - 5) / 365))
    monsoon = winter * max(0.0, 0.5 + 0.7 * drift(f"{name} monsoon", at, timedelta(hours=60)))
    breeze = bump(hour, 14.5, 2.6) * clear * (1 - 0.5 * monsoon)
    mean, highest, lowest = (
        monthly(normals, at) for normals in (climate.mean_c, climate.highest_c, climate.lowest_c)
    )
    warmth = bump(hour, 13.0, 3.4) * (highest - mean) - bump(hour, 4.5, 4.0) * (mean - lowest)
    temperature = mean + warmth * (0.55 + 0.45 * clear) - 1.2 * monsoon - 0.8 * wet
    temperature += 0.5 * drift(f"{name} warmth", at, timedelta(hours=9))
    humidity = monthly(climate.humidity_pct, at) - 2.6 * warmth + 9 * wet
    humidity += 3 * drift(f"{name} humidity", at, timedelta(hours=7))
    wind = 1.1 + 3.4 * breeze + 3.2 * monsoon + 0.5 * drift(f"{name} wind", at, timedelta(hours=3))
    toward = max(breeze, 0.05)
    angle = _between(
        (climate.land_from_deg, max(0.0, 0.7 - breeze)), (climate.sea_from_deg, toward), (45.0, 1.5 * monsoon)
    )
    angle += 18 * drift(f"{name} direction", at, timedelta(hours=2))
    mixing = 0.45 + 0.65 * sun + 0.16 * (wind - 1.1)
    return Weather(
        sun=sun,
        breeze=breeze,
        wet=wet,
        monsoon=monsoon,
        temperature_c=temperature,
        humidity_pct=max(35.0, min(99.0, humidity)),
        wind_ms=max(0.2, wind),
        wind_from_deg=angle % 360,
        mixing=max(0.4, mixing),
    )


def _between(*directions: tuple[float, float]) -> float:
    """The direction of a weighted sum of directions, in degrees."""
    east = sum(weight * math.sin(math.radians(angle)) for angle, weight in directions)
    north = sum(weight * math.cos(math.radians(angle)) for angle, weight in directions)
    return math.degrees(math.atan2(east, north)) % 360


def traffic(at: Instant) -> float:
    """How busy an ordinary street is: a little at night, peaks at 7 and 17:30, Sunday later and less."""
    local = at.astimezone(VIETNAM)
    hour = local.hour + local.minute / 60
    sunday = local.weekday() == 6
    morning = bump(hour, 8.5 if sunday else 7.0, 1.2) * (0.55 if sunday else 1.0)
    evening = bump(hour, 17.6, 1.5) * (0.9 if sunday else 1.0)
    return 0.10 + 0.35 * bump(hour, 13, 4.5) + 0.75 * morning + 0.85 * evening + 0.2 * bump(hour, 20.5, 1.5)


class SyntheticAir:
    """The air at one synthetic station."""

    def __init__(
        self, station: Station, surroundings: Surroundings, scenario: Scenario | None = None
    ) -> None:
        self._station = station
        self._around = surroundings
        self._scenario = scenario or Scenario()

    def recorded_at(self, _at: Instant) -> Instant | None:
        """Nothing is replayed here."""
        return None

    def values_at(self, at: Instant) -> Mapping[str, Value]:
        """What the station says of the ten minutes that end at `at`."""
        middle = at - self._station.period / 2
        around, slug = self._around, self._station.slug
        air = weather(around.climate, middle, self._scenario.storm(middle))
        fumes = around.traffic * traffic(middle) * (1 + 0.25 * self._drift("fumes", middle, minutes=50))
        still = 1 / air.mixing * (1 - 0.3 * around.open_to_sea * air.breeze)
        washed = 1 - 0.55 * air.wet
        carried = (
            9.0 + 7.0 * air.monsoon + 4.0 * drift(f"{around.climate.name} haze", middle, timedelta(hours=30))
        )
        smoke = 34.0 * self._straw_fire(middle)
        pm25 = (carried + (9.5 * fumes + 4.5 * around.works + smoke) * still) * washed
        smog = self._scenario.smog(middle) * around.smog
        pm25 += 165.0 * smog * (1 + 0.06 * drift(f"{around.climate.name} smog", middle, timedelta(hours=4)))
        pm25 *= 1 + 0.10 * self._drift("pm25", middle, minutes=25) / (1 + 2 * smog)
        dust = 7.0 + 6.0 * fumes + around.sand * 3.2 * max(0.0, air.wind_ms - 3.0) ** 1.5
        pm10 = pm25 * 1.25 + dust * washed * (1 + 0.15 * self._drift("dust", middle, minutes=35))
        no2 = (4.0 + 30.0 * fumes * still * (1 - 0.35 * air.sun) + 5.0 * around.works) * (
            1 + 0.10 * self._drift("no2", middle, minutes=30)
        )
        o3 = 32.0 + 14.0 * around.open_to_sea + 62.0 * air.sun * (0.75 + 0.25 * air.breeze)
        o3 = (o3 - 0.45 * no2) * (1 + 0.06 * self._drift("o3", middle, minutes=90))
        so2 = (
            3.0
            + 2.0 * fumes
            + 16.0 * around.works * still * (0.55 + 0.45 * self._drift("works", middle, minutes=140))
        )
        co_mg = (0.22 + 0.62 * fumes * still + 0.006 * smoke) * (
            1 + 0.12 * self._drift("co", middle, minutes=40)
        )
        calibrating = self._is_calibrating(at)
        return {
            "pm25": Value(round(max(1.0, pm25), 1), MICROGRAMS),
            "pm10": Value(round(max(2.0, pm10), 1), MICROGRAMS),
            "no2": _gas(max(1.0, no2), 1, MICROGRAMS, calibrating),
            "o3": _gas(max(2.0, o3), 1, MICROGRAMS, calibrating),
            "so2": _gas(max(0.5, so2), 1, MICROGRAMS, calibrating),
            "co": _gas(max(0.05, co_mg), 3, MILLIGRAMS, calibrating),
            "temperature": Value(round(air.temperature_c + 0.4 * _lattice(f"{slug} site", 0), 1), CELSIUS),
            "relativeHumidity": Value(round(air.humidity_pct, 1), PERCENT),
            "windSpeed": Value(round(air.wind_ms * (0.7 + 0.4 * around.open_to_sea), 1), METRES_A_SECOND),
            "windDirection": Value(round(air.wind_from_deg) % 360, DEGREES),
        }

    def _drift(self, name: str, at: Instant, *, minutes: int) -> float:
        return drift(f"{self._station.slug} {name}", at, timedelta(minutes=minutes))

    def _straw_fire(self, at: Instant) -> float:
        """Straw is burnt upwind on about one evening in nine: 0 none, 1 thick smoke."""
        local = (at - timedelta(hours=12)).astimezone(VIETNAM)  # an evening ends at noon
        tonight = (_lattice(f"{self._station.slug} straw", local.toordinal()) + 1) / 2
        hour = local.hour + local.minute / 60 + 12
        return bump(hour % 24, 19.5, 1.7) * (0.5 + 4.5 * tonight) if tonight < 0.11 else 0.0

    def _is_calibrating(self, at: Instant) -> bool:
        """The gas analysers check their zero once a night, ten minutes each, and have no value then."""
        local = at.astimezone(VIETNAM)
        return local.hour == 2 and local.minute == 10 * (len(self._station.slug) % 6)


def _gas(value: float, digits: int, unit: str, calibrating: bool) -> Value:  # noqa: FBT001 (private, one caller)
    return Value(SENTINEL, unit, "missing") if calibrating else Value(round(value, digits), unit)
