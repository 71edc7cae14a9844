"""VN_AQI, hourly and daily, as Decision 1459/QĐ-TCMT (12 November 2019) sets it; pure.

Where the Decision leaves something open, the choice is ours, named in `docs/explanation/vn-aqi.md`
and marked OUR CHOICE here. Concentrations are µg/m³ (GQ). An hourly mean is stamped with the end
of its hour; lists of means run from the oldest to the newest. Indices are whole numbers, rounded
half up at the very end.
"""

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from math import ceil, floor, inf, isfinite
from typing import Any

from haidang.kernel.errors import Invalid
from haidang.kernel.instants import VIETNAM, Instant
from haidang.packs.environment.completeness import required_share
from haidang.sdk.model import DerivedValue, Observation, Quality, Window

NOWCAST_HOURS = 12
RUNNING_HOURS = 8
DAY_HOURS = 24
HOURLY_REACH = timedelta(hours=NOWCAST_HOURS)
DAILY_REACH = timedelta(hours=DAY_HOURS + RUNNING_HOURS - 1)
PERIOD = "averagingPeriod"

_HOUR = timedelta(hours=1)
_HOUR_SECONDS = 3600.0


class NoBreakpoints(Invalid):
    """VN_AQI has no breakpoints for {pollutant} averaged over {averaging}."""


class Pollutant(StrEnum):
    """The six parameters of VN_AQI, by their attribute names; of equal indices the first is dominant."""

    PM25 = "pm25"
    PM10 = "pm10"
    O3 = "o3"
    NO2 = "no2"
    SO2 = "so2"
    CO = "co"


class Averaging(StrEnum):
    """Over what a concentration is averaged before it becomes a sub-index."""

    HOUR = "1h"
    EIGHT_HOURS = "8h"
    DAY = "24h"
    NOWCAST = "nowcast"


INDEX_STEPS = (0, 50, 100, 150, 200, 300, 400, 500)
"""Ii of the Decision. The segments are continuous: there is no "51" at which a level starts."""

_PM25 = (0.0, 25.0, 50.0, 80.0, 150.0, 250.0, 350.0, 500.0)
_PM10 = (0.0, 50.0, 150.0, 250.0, 350.0, 420.0, 500.0, 600.0)

BREAKPOINTS: Mapping[tuple[Pollutant, Averaging], tuple[float, ...]] = {
    (Pollutant.O3, Averaging.HOUR): (0.0, 160.0, 200.0, 300.0, 400.0, 800.0, 1000.0, 1200.0),
    (Pollutant.O3, Averaging.EIGHT_HOURS): (0.0, 100.0, 120.0, 170.0, 210.0, 400.0),
    (Pollutant.CO, Averaging.HOUR): (
        0.0,
        10_000.0,
        30_000.0,
        45_000.0,
        60_000.0,
        90_000.0,
        120_000.0,
        150_000.0,
    ),
    (Pollutant.SO2, Averaging.HOUR): (0.0, 125.0, 350.0, 550.0, 800.0, 1600.0, 2100.0, 2630.0),
    (Pollutant.NO2, Averaging.HOUR): (0.0, 100.0, 200.0, 700.0, 1200.0, 2350.0, 3100.0, 3850.0),
    (Pollutant.PM10, Averaging.NOWCAST): _PM10,
    (Pollutant.PM10, Averaging.DAY): _PM10,
    (Pollutant.PM25, Averaging.NOWCAST): _PM25,
    (Pollutant.PM25, Averaging.DAY): _PM25,
}
"""BPi of the Decision in µg/m³. O3 over 8 hours ends at 400: above it there is no 8-hour index."""


@dataclass(frozen=True, slots=True)
class LegalText:
    """Words of the Decision, exactly as printed, with our unofficial English translation.

    They stand outside the message catalogue on purpose: a translator must not change the law.
    """

    vi: str
    en: str

    def read(self, locale: str) -> str:
        """The original for Vietnamese readers, the unofficial translation for all others."""
        return self.vi if locale.startswith("vi") else self.en

    def __str__(self) -> str:
        return self.vi


@dataclass(frozen=True, slots=True)
class Level:
    """One of the six levels: its range of indices, word, colour, effects and advice (tables 4 and 5)."""

    code: str
    least: int
    most: int
    word: LegalText
    rgb: tuple[int, int, int]
    effects: LegalText
    advice: LegalText
    advice_sensitive: LegalText

    @property
    def colour(self) -> str:
        """The official colour as CSS writes it: `#00e400`."""
        return "#{:02x}{:02x}{:02x}".format(*self.rgb)


_FREE = LegalText(
    "Tự do thực hiện các hoạt động ngoài trời",
    "Enjoy outdoor activities freely",
)
_STAY_INSIDE = LegalText(
    "Mọi người nên ở trong nhà, đóng cửa ra vào và cửa sổ. "
    "Nếu cần thiết phải ra ngoài, hãy đeo khẩu trang đạt tiêu chuẩn.",
    "Everyone should stay indoors with doors and windows closed. "
    "If you must go out, wear a mask that meets the standard.",
)

LEVELS: tuple[Level, ...] = (
    Level(
        code="good",
        least=0,
        most=50,
        word=LegalText("Tốt", "Good"),
        rgb=(0, 228, 0),
        effects=LegalText(
            "Chất lượng không khí tốt, không ảnh hưởng tới sức khỏe",
            "Air quality is good and does not affect health",
        ),
        advice=_FREE,
        advice_sensitive=_FREE,
    ),
    Level(
        code="moderate",
        least=51,
        most=100,
        word=LegalText("Trung bình", "Moderate"),
        rgb=(255, 255, 0),
        effects=LegalText(
            "Chất lượng không khí ở mức chấp nhận được. Tuy nhiên, đối với những người nhạy cảm "
            "(người già, trẻ em, người mắc các bệnh hô hấp, tim mạch…) có thể chịu những tác động "
            "nhất định tới sức khỏe.",
            "Air quality is acceptable. However, sensitive people (the elderly, children, people with "
            "respiratory or heart disease…) may experience some effects on their health.",
        ),
        advice=_FREE,
        advice_sensitive=LegalText(
            "Nên theo dõi các triệu chứng như ho hoặc khó thở, nhưng vẫn có thể hoạt động bên ngoài.",
            "Watch for symptoms such as coughing or shortness of breath; you can still be active outside.",
        ),
    ),
    Level(
        code="poor",
        least=101,
        most=150,
        word=LegalText("Kém", "Poor"),
        rgb=(255, 126, 0),
        effects=LegalText(
            "Những người nhạy cảm gặp phải các vấn đề về sức khỏe, những người bình thường ít ảnh hưởng.",
            "Sensitive people experience health problems; most other people are little affected.",
        ),
        advice=LegalText(
            "Những người thấy có triệu chứng đau mắt, ho hoặc đau họng… nên cân nhắc giảm các hoạt động "
            "ngoài trời. Đối với học sinh, có thể hoạt động bên ngoài, nhưng nên giảm bớt việc tập thể dục "
            "kéo dài.",
            "People with sore eyes, a cough or a sore throat… should consider reducing outdoor activities. "
            "Pupils can be active outside but should cut down on prolonged exercise.",
        ),
        advice_sensitive=LegalText(
            "Nên giảm các hoạt động mạnh và giảm thời gian hoạt động ngoài trời. Những người mắc bệnh hen "
            "suyễn có thể cần sử dụng thuốc thường xuyên hơn.",
            "Reduce vigorous activity and time outdoors. People with asthma may need their medicine more "
            "often.",
        ),
    ),
    Level(
        code="bad",
        least=151,
        most=200,
        word=LegalText("Xấu", "Bad"),
        rgb=(255, 0, 0),
        effects=LegalText(
            "Những người bình thường bắt đầu có các ảnh hưởng tới sức khỏe, nhóm người nhạy cảm có thể gặp "
            "những vấn đề sức khỏe nghiêm trọng hơn.",
            "Everyone may begin to feel effects on their health; sensitive groups may have more serious "
            "health problems.",
        ),
        advice=LegalText(
            "Mọi người nên giảm các hoạt động mạnh khi ở ngoài trời, tránh tập thể dục kéo dài và nghỉ ngơi "
            "nhiều hơn trong nhà.",
            "Everyone should reduce vigorous outdoor activity, avoid prolonged exercise and rest more "
            "indoors.",
        ),
        advice_sensitive=LegalText(
            "Nên ở trong nhà và giảm hoạt động mạnh. Nếu cần thiết phải ra ngoài, hãy đeo khẩu trang đạt "
            "tiêu chuẩn.",
            "Stay indoors and reduce vigorous activity. If you must go out, wear a mask that meets the "
            "standard.",
        ),
    ),
    Level(
        code="very-bad",
        least=201,
        most=300,
        word=LegalText("Rất xấu", "Very bad"),
        rgb=(143, 63, 151),
        effects=LegalText(
            "Cảnh báo hưởng tới sức khỏe: mọi người bị ảnh hưởng tới sức khỏe nghiêm trọng hơn.",
            "Health warning: everyone is more seriously affected.",
        ),
        advice=LegalText(
            "Mọi người hạn chế tối đa các hoạt động ngoài trời và chuyển tất cả các hoạt động vào trong nhà. "
            "Nếu cần thiết phải ra ngoài, hãy đeo khẩu trang đạt tiêu chuẩn.",
            "Everyone should keep outdoor activity to a minimum and move all activities indoors. "
            "If you must go out, wear a mask that meets the standard.",
        ),
        advice_sensitive=LegalText(
            "Nên ở trong nhà và giảm hoạt động mạnh.",
            "Stay indoors and reduce vigorous activity.",
        ),
    ),
    Level(
        code="hazardous",
        least=301,
        most=500,
        word=LegalText("Nguy hại", "Hazardous"),
        rgb=(126, 0, 35),
        effects=LegalText(
            "Cảnh báo khẩn cấp về sức khỏe: Toàn bộ dân số bị ảnh hưởng tới sức khỏe tới mức nghiêm trọng.",
            "Health emergency warning: the health of the whole population is seriously affected.",
        ),
        advice=_STAY_INSIDE,
        advice_sensitive=_STAY_INSIDE,
    ),
)


def level_of(index: int) -> Level:
    """The level of a rounded index from 0 to 500."""
    return next(level for level in LEVELS if index <= level.most)


def round_half_up(index: float) -> int:
    """A whole index: 42.5 is 43, as in the Decision's examples; noise of the last bits is not a half."""
    return floor(round(index, 9) + 0.5)


def sub_index(pollutant: Pollutant, averaging: Averaging, concentration: float) -> float | None:
    """AQIx of a concentration in µg/m³, not yet rounded, at most 500.

    `None` where there is none: a negative or not finite concentration, or O3 over 8 hours above 400.
    """
    steps = BREAKPOINTS.get((pollutant, averaging))
    if steps is None:
        raise NoBreakpoints(pollutant=pollutant.value, averaging=averaging.value)
    if not isfinite(concentration) or concentration < 0:
        return None
    for above in range(1, len(steps)):
        high = steps[above]
        if concentration <= high:
            low, below = steps[above - 1], INDEX_STEPS[above - 1]
            return (INDEX_STEPS[above] - below) / (high - low) * (concentration - low) + below
    return float(INDEX_STEPS[-1]) if len(steps) == len(INDEX_STEPS) else None


@dataclass(frozen=True, slots=True)
class SubIndex:
    """The index of one parameter, the concentration it came from (µg/m³) and how that was averaged."""

    pollutant: Pollutant
    averaging: Averaging
    concentration: float
    exact: float

    @property
    def index(self) -> int:
        """The index, rounded half up."""
        return round_half_up(self.exact)


@dataclass(frozen=True, slots=True)
class Index:
    """An index for the period that ends at `at`; `index` is None where the Decision gives none.

    `sub_indices` holds every parameter that has one, one entry each, in the order of `Pollutant`.
    """

    at: Instant
    sub_indices: tuple[SubIndex, ...]

    @property
    def index(self) -> int | None:
        """The highest sub-index; none without PM10 or PM2.5."""
        highest = self.highest
        return None if highest is None else highest.index

    @property
    def highest(self) -> SubIndex | None:
        """The sub-index that decides; none without PM10 or PM2.5."""
        if not any(one.pollutant in _PARTICLES for one in self.sub_indices):
            return None
        return max(self.sub_indices, key=lambda one: one.exact)

    @property
    def dominant(self) -> Pollutant | None:
        """The parameter with the highest sub-index."""
        highest = self.highest
        return None if highest is None else highest.pollutant

    @property
    def level(self) -> Level | None:
        """The level of the index."""
        index = self.index
        return None if index is None else level_of(index)


_PARTICLES = frozenset({Pollutant.PM25, Pollutant.PM10})


@dataclass(frozen=True, slots=True)
class HourlyIndex(Index):
    """AQI^h of the hour that ends at `at`."""


@dataclass(frozen=True, slots=True)
class DailyIndex(Index):
    """AQI^d of a day of Vietnam time; `at` is the midnight that ends it."""

    day: date


def nowcast(means: Sequence[float | None]) -> float | None:
    """NowCast of up to twelve hourly means, oldest first, `None` for a missing hour.

    Normalised for every weight, w = 1/2 included (OUR CHOICE; the printed form understates when an
    hour is missing). Needs two of the three latest hours; nothing but zeros is 0.
    """
    latest_first = list(reversed(means[-NOWCAST_HOURS:]))
    present = [mean for mean in latest_first if mean is not None]
    if sum(mean is not None for mean in latest_first[:3]) < 2:
        return None
    greatest = max(present)
    if greatest == 0:
        return 0.0
    weight = max(0.5, min(present) / greatest)
    total = weights = 0.0
    power = 1.0
    for mean in latest_first:
        if mean is not None:
            total += power * mean
            weights += power
        power *= weight
    return total / weights


def hourly_means(
    observations: Sequence[Observation],
    end: Instant,
    hours: int,
    periods: Sequence[Observation] = (),
) -> list[float | None]:
    """The means of the `hours` hours that end at `end` (a full hour), oldest first.

    An observation at t speaks for the seconds before t that its station averages over, as `periods`
    (the attribute `averagingPeriod`, oldest first) says at t; where that is unknown, for those since
    the observation before it. It never speaks for seconds before its hour or before the observation
    before it. Only valid, finite, not negative numbers count, and an hour has a mean when they speak
    for the share of its seconds that `completeness.toml` asks (OUR CHOICE).
    """
    last = end.timestamp()
    start = last - hours * _HOUR_SECONDS
    totals = [0.0] * hours
    covered = [0.0] * hours
    upcoming = 0
    period = _seconds(periods[0]) if periods else _HOUR_SECONDS
    before = start
    for one in observations[bisect_right(observations, end - hours * _HOUR, key=_observed_at) :]:
        at = one.observed_at.timestamp()
        if at > last:
            break
        while upcoming < len(periods) and periods[upcoming].observed_at <= one.observed_at:
            period = _seconds(periods[upcoming])
            upcoming += 1
        hour = ceil((at - start) / _HOUR_SECONDS) - 1
        since = max(start + hour * _HOUR_SECONDS, before, at - period)
        before = at
        number = one.number
        if (
            one.quality is Quality.VALID
            and number is not None
            and 0 <= number < inf
            and period <= _HOUR_SECONDS
        ):
            totals[hour] += number * (at - since)
            covered[hour] += at - since
    needed = required_share(day_of(end)) * _HOUR_SECONDS - 1e-6
    return [
        total / seconds if seconds >= needed else None for total, seconds in zip(totals, covered, strict=True)
    ]


def _observed_at(one: Observation) -> Instant:
    return one.observed_at


def _changes(periods: Sequence[Observation]) -> list[Observation]:
    """The periods without those that only repeat the one before."""
    return [
        one
        for place, one in enumerate(periods)
        if place == 0 or (one.number, one.quality) != (periods[place - 1].number, periods[place - 1].quality)
    ]


def _seconds(period: Observation) -> float:
    """How many seconds a station averages over; an hour at most counts where nothing is said."""
    seconds = period.number
    if period.quality is not Quality.VALID or seconds is None or not isfinite(seconds) or seconds <= 0:
        return _HOUR_SECONDS
    return seconds


def running_means(
    means: Sequence[float | None], share: float, hours: int = RUNNING_HOURS
) -> list[float | None]:
    """The mean of the last `hours` values at each position that has so many behind it, oldest first.

    Each needs that share of its hours.
    """
    return [mean_of(means[end - hours : end], share) for end in range(hours, len(means) + 1)]


def mean_of(means: Sequence[float | None], share: float) -> float | None:
    """The mean of hourly means, when that share of them is there."""
    present = [mean for mean in means if mean is not None]
    if not present or len(present) < share * len(means):
        return None
    return sum(present) / len(present)


def hourly_index(window: Window, at: Instant) -> HourlyIndex:
    """AQI^h of the hour that ends at `at`: NowCast for PM10 and PM2.5, the hour's mean for the gases."""
    periods = _changes(window.get(PERIOD, ()))
    found: list[SubIndex | None] = []
    for pollutant in Pollutant:
        observations = window.get(pollutant.value, ())
        if pollutant in _PARTICLES:
            concentration = nowcast(hourly_means(observations, at, NOWCAST_HOURS, periods))
            found.append(_sub_index(pollutant, Averaging.NOWCAST, concentration))
        else:
            (mean,) = hourly_means(observations, at, 1, periods)
            found.append(_sub_index(pollutant, Averaging.HOUR, mean))
    return HourlyIndex(at, tuple(one for one in found if one is not None))


def daily_index(window: Window, day: date) -> DailyIndex:
    """AQI^d of a day: its hours end at 01:00, 02:00 … and the midnight after, Vietnam time.

    PM10 and PM2.5: the mean of the day. NO2, SO2, CO: the greatest hourly mean. O3: the higher
    sub-index of the greatest hourly mean and the greatest running 8-hour mean (24 of them, reaching
    into the day before); an 8-hour mean above 400 has none. A greatest value is taken from the hours
    there are (OUR CHOICE: what was measured is not hidden because other hours are missing).
    """
    end, share = end_of_day(day), required_share(day)
    periods = _changes(window.get(PERIOD, ()))
    found: list[SubIndex | None] = []
    for pollutant in Pollutant:
        observations = window.get(pollutant.value, ())
        if pollutant is Pollutant.O3:
            means = hourly_means(observations, end, DAY_HOURS + RUNNING_HOURS - 1, periods)
            over_hour = _sub_index(pollutant, Averaging.HOUR, _greatest(means[-DAY_HOURS:]))
            over_eight = _sub_index(pollutant, Averaging.EIGHT_HOURS, _greatest(running_means(means, share)))
            found.append(max((over_eight, over_hour), key=lambda one: -1.0 if one is None else one.exact))
            continue
        means = hourly_means(observations, end, DAY_HOURS, periods)
        if pollutant in _PARTICLES:
            found.append(_sub_index(pollutant, Averaging.DAY, mean_of(means, share)))
        else:
            found.append(_sub_index(pollutant, Averaging.HOUR, _greatest(means)))
    return DailyIndex(end, tuple(one for one in found if one is not None), day)


def _greatest(means: Sequence[float | None]) -> float | None:
    return max((mean for mean in means if mean is not None), default=None)


def _sub_index(pollutant: Pollutant, averaging: Averaging, concentration: float | None) -> SubIndex | None:
    if concentration is None:
        return None
    exact = sub_index(pollutant, averaging, concentration)
    return None if exact is None else SubIndex(pollutant, averaging, concentration, exact)


def end_of_hour(at: Instant) -> Instant:
    """The full hour at or after `at`: the stamp of the hour that `at` belongs to."""
    full = at.replace(minute=0, second=0, microsecond=0)
    return full if full == at else full + _HOUR


def day_of(at: Instant) -> date:
    """The day of Vietnam time that `at` belongs to; midnight belongs to the day it ends."""
    return (at.astimezone(VIETNAM) - timedelta(microseconds=1)).date()


def end_of_day(day: date) -> Instant:
    """The midnight of Vietnam time that ends `day`."""
    return datetime.combine(day + timedelta(days=1), time(), VIETNAM).astimezone(UTC)


def hourly_moments(at: Instant) -> Sequence[Instant]:
    """The hours whose AQI^h an observation at `at` may change.

    Its own and the eleven after it, through NowCast; and the hour before, which a late or missing
    last reading may have left without its index. Those that are still to come are left to the runner.
    """
    end = end_of_hour(at)
    return [end + step * _HOUR for step in range(-1, NOWCAST_HOURS)]


def daily_moments(at: Instant) -> Sequence[Instant]:
    """The midnights whose AQI^d an observation at `at` may change.

    Its day's; the day before's, in case nothing came at or soon after midnight; and the next day's in
    the last seven hours, through the running means of O3.
    """
    day = day_of(at)
    moments = [end_of_day(day - timedelta(days=1)), end_of_day(day)]
    if moments[-1] - at < timedelta(hours=RUNNING_HOURS - 1):
        moments.append(end_of_day(day + timedelta(days=1)))
    return moments


def derive_hourly(window: Window, at: Instant) -> Sequence[DerivedValue]:
    """The attributes of AQI^h; without an index they are None, which takes an earlier one back."""
    return _derived(hourly_index(window, at), "airQualityIndex", "airQualityLevel")


def derive_daily(window: Window, at: Instant) -> Sequence[DerivedValue]:
    """The attributes of AQI^d of the day that ends at `at`."""
    return _derived(daily_index(window, day_of(at)), "airQualityIndexDaily", "airQualityLevelDaily")


def _derived(found: Index, index_attribute: str, level_attribute: str) -> Sequence[DerivedValue]:
    highest = found.highest
    if highest is None:
        return (DerivedValue(index_attribute, found.at, None), DerivedValue(level_attribute, found.at, None))
    details: Mapping[str, Any] = {
        "dominantPollutant": highest.pollutant.value,
        "subIndices": {
            one.pollutant.value: {
                "index": one.index,
                "concentration": round(one.concentration, 2),
                "averaging": one.averaging.value,
            }
            for one in found.sub_indices
        },
    }
    return (
        DerivedValue(index_attribute, found.at, highest.index, details),
        DerivedValue(level_attribute, found.at, level_of(highest.index).code),
    )
