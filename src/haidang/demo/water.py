"""Synthetic rivers and rain: gauges that do not exist, near stations that do, made up and labelled so.

A gauge names the official station it stands near, so that the platform can hold its level against that
station's alarm levels. Levels of stations whose alarm levels nobody found are invented altogether.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta

from haidang.demo.scenarios import Scenario
from haidang.demo.stations import METRES, MILLIMETRES, RAIN, RIVER, Station, Value
from haidang.demo.synthetic import PERIOD, PHAN_THIET, QUY_NHON, SYNTHETIC, Climate, drift, weather
from haidang.kernel.instants import VIETNAM, Instant

HISTORY = timedelta(days=3)
"""Rivers and rain are played from three days back: longer is not shown anywhere."""

_GIA_LAI, _LAM_DONG = "Tỉnh Gia Lai", "Tỉnh Lâm Đồng"


@dataclass(frozen=True, slots=True)
class River:
    """A river at a gauge: its ordinary level (m), what a rainy night adds (m), and when that crests."""

    base_m: float
    rise_m: float
    crest: timedelta


@dataclass(frozen=True, slots=True)
class Catch:
    """A rain gauge: its coast, how hard a storm hits it (1: 45 mm an hour), and whether it fails in one."""

    climate: Climate
    share: float
    fails: bool = False


def _hours(number: float) -> timedelta:
    return timedelta(hours=number)


def _standing(slug: str, name: str, place: tuple[str, str], position: tuple[float, float]) -> Station:
    """A rain gauge at a latitude and a longitude, in a ward of a province."""
    return Station(
        slug=f"mo-phong-{slug}",
        name=f"{name} – số liệu mô phỏng",
        ward=place[0],
        province=place[1],
        latitude=position[0],
        longitude=position[1],
        source=SYNTHETIC,
        provider="Hải Đăng demo",
        period=PERIOD,
        kind=RAIN,
    )


_VINH_SON = ("Xã Vĩnh Sơn", _GIA_LAI)
_TAY_SON = ("Xã Tây Sơn", _GIA_LAI)
_BINH_DINH = ("Phường Bình Định", _GIA_LAI)
_VAN_CANH = ("Xã Vân Canh", _GIA_LAI)
_TUY_PHUOC = ("Xã Tuy Phước", _GIA_LAI)
_BONG_SON = ("Phường Bồng Sơn", _GIA_LAI)
_AN_KHE = ("Phường An Khê", _GIA_LAI)
_QUY_NHON = ("Phường Quy Nhơn", _GIA_LAI)
_DONG_KHO = ("Xã Đồng Kho", _LAM_DONG)
_SONG_LUY = ("Xã Sông Lũy", _LAM_DONG)
_PHAN_THIET = ("Phường Phan Thiết", _LAM_DONG)

_KON, _HA_THANH, _LAI_GIANG, _BA = "Sông Kôn", "Sông Hà Thanh", "Sông Lại Giang", "Sông Ba"

_GAUGES = (
    ("kon-vinh-son", _KON, "Vĩnh Sơn", _VINH_SON, (14.345, 108.725), River(69.4, 2.2, _hours(7))),
    ("kon-binh-nghi", _KON, "Bình Nghi", _TAY_SON, (13.895, 108.965), River(13.4, 3.6, _hours(10))),
    ("kon-thanh-hoa", _KON, "Thạnh Hòa", _BINH_DINH, (13.893, 109.075), River(4.3, 3.8, _hours(11))),
    ("ha-thanh-van-canh", _HA_THANH, "Vân Canh", _VAN_CANH, (13.622, 109.0), River(40.9, 3.4, _hours(7))),
    ("ha-thanh-dieu-tri", _HA_THANH, "Diêu Trì", _TUY_PHUOC, (13.803, 109.146), River(1.9, 3.1, _hours(11))),
    ("lai-giang-bong-son", _LAI_GIANG, "Bồng Sơn", _BONG_SON, (14.434, 109.018), River(4.2, 2.3, _hours(10))),
    ("ba-an-khe", _BA, "An Khê", _AN_KHE, (13.955, 108.655), River(403.8, 1.3, _hours(10))),
    ("la-nga-ta-pao", "Sông La Ngà", "Tà Pao", _DONG_KHO, (11.115, 107.715), River(117.3, 1.2, _hours(12))),
    ("luy-song-luy", "Sông Lũy", "Sông Lũy", _SONG_LUY, (11.205, 108.335), River(24.5, 1.5, _hours(9))),
)

RIVERS: Mapping[str, tuple[Station, River]] = {
    station.slug: (replace(station, kind=RIVER, code=code, river=river), gauge)
    for code, river, name, ward, position, gauge in _GAUGES
    for station in (_standing(code, name, ward, position),)
}

CATCHES: Mapping[str, tuple[Station, Catch]] = {
    station.slug: (station, catch)
    for station, catch in (
        (
            _standing("mua-vinh-son", "Mưa Vĩnh Sơn", _VINH_SON, (14.35, 108.72)),
            Catch(QUY_NHON, 0.9, fails=True),
        ),
        (_standing("mua-van-canh", "Mưa Vân Canh", _VAN_CANH, (13.62, 108.995)), Catch(QUY_NHON, 1.0)),
        (_standing("mua-bong-son", "Mưa Bồng Sơn", _BONG_SON, (14.43, 109.02)), Catch(QUY_NHON, 0.7)),
        (_standing("mua-quy-nhon", "Mưa Quy Nhơn", _QUY_NHON, (13.775, 109.231)), Catch(QUY_NHON, 0.75)),
        (_standing("mua-an-khe", "Mưa An Khê", _AN_KHE, (13.956, 108.657)), Catch(QUY_NHON, 0.5)),
        (_standing("mua-ta-pao", "Mưa Tà Pao", _DONG_KHO, (11.116, 107.717)), Catch(PHAN_THIET, 0.35)),
        (
            _standing("mua-phan-thiet", "Mưa Phan Thiết", _PHAN_THIET, (10.929, 108.1025)),
            Catch(PHAN_THIET, 0.25),
        ),
    )
}

HARDEST_MM_H = 45.0
_FAILS_AT, _FAILS_FOR = 1.5, 5.0  # hours after midnight


class SyntheticRiver:
    """The level at one synthetic gauge, in metres of the official station's own gauge."""

    def __init__(self, station: Station, river: River, scenario: Scenario) -> None:
        self._station = station
        self._river = river
        self._scenario = scenario

    def recorded_at(self, _at: Instant) -> Instant | None:
        """Nothing is replayed here."""
        return None

    def values_at(self, at: Instant) -> Mapping[str, Value]:
        """The level at an instant, to a centimetre."""
        river, slug = self._river, self._station.slug
        level = river.base_m + river.rise_m * self._scenario.swell(at, river.crest)
        level += 0.12 * drift(f"{slug} level", at, timedelta(hours=30))
        level += 0.01 * drift(f"{slug} waves", at, timedelta(minutes=15))
        return {"waterLevel": Value(round(level, 2), METRES)}


class SyntheticRain:
    """What falls into one synthetic rain gauge."""

    def __init__(self, station: Station, catch: Catch, scenario: Scenario) -> None:
        self._station = station
        self._catch = catch
        self._scenario = scenario

    def recorded_at(self, _at: Instant) -> Instant | None:
        """Nothing is replayed here."""
        return None

    def values_at(self, at: Instant) -> Mapping[str, Value]:
        """What fell in the ten minutes that end at an instant, to two tenths; nothing while it has failed."""
        middle = at - self._station.period / 2
        storm = self._scenario.storm(middle)
        local = middle.astimezone(VIETNAM)
        hour = local.hour + local.minute / 60
        if self._catch.fails and storm > 0 and _FAILS_AT <= hour < _FAILS_AT + _FAILS_FOR:
            return {}
        gusts = 1 + 0.4 * drift(f"{self._station.slug} rain", middle, timedelta(minutes=25))
        showers = 3.0 * max(0.0, weather(self._catch.climate, middle).wet - 0.55)
        fell = (storm * self._catch.share * HARDEST_MM_H + showers) / 6 * gusts
        return {"precipitation": Value(round(fell * 5) / 5, MILLIMETRES)}
