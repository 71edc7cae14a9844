"""The tide at Quy Nhơn as a sum of harmonic constituents: computed, never observed.

Constituents are those of TICON-4, from the gauge's record; their astronomical arguments are Doodson's
numbers as the International Hydrographic Organization lists them, with the mean longitudes of Meeus
(Astronomical Algorithms, chapters 22, 25 and 47), and the 18.6-year corrections of Schureman (Manual of
Harmonic Analysis and Prediction of Tides, 1958, articles 73 to 78 and 122 to 134). Weather is not in
it: wind and pressure lift or lower the sea by decimetres beside it. Not for navigation.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import pairwise
from math import acos, asin, atan, atan2, cos, degrees, pi, radians, sin, sqrt, tan
from pathlib import Path
from typing import Any

from haidang.kernel.instants import Instant
from haidang.sdk.facts import read_facts
from haidang.sdk.model import Attribute, AttributeKind, EntityType, Facts

FILE = "tide.json"
OWN = "urn:haidang:term:"
COMMON = "https://smartdatamodels.org/"
ATTRIBUTION = "TICON-4 (Hart-Davis et al., SEANOE 109129), openwatersio/tide-database, CC BY 4.0"

TIDE_STATION = EntityType(
    name="TideStation",
    iri=OWN + "TideStation",
    label="Tide station",
    attributes=(
        Attribute("name", COMMON + "name", label="Name", lasting=True),
        Attribute(
            "location",
            "https://uri.etsi.org/ngsi-ld/location",
            kind=AttributeKind.GEO_PROPERTY,
            label="Location",
            lasting=True,
        ),
        Attribute("constituents", OWN + "constituents", label="Harmonic constituents", lasting=True),
        Attribute("datum", OWN + "datum", label="Height datum", lasting=True),
        Attribute(
            "meanLevel", OWN + "meanLevel", unit="MTR", label="Mean level above the datum", lasting=True
        ),
        Attribute("record", OWN + "record", label="Record the constituents come from", lasting=True),
        Attribute("forecast", OWN + "forecast", label="Forecast as a table", lasting=True),
        Attribute("source", COMMON + "source", label="Source", lasting=True),
        Attribute("dataProvider", COMMON + "dataProvider", label="Data provider", lasting=True),
        Attribute("license", OWN + "license", label="Licence", lasting=True),
    ),
)

TIDE_FACTS = Facts(
    facts_id="tide-stations",
    title="Tide stations",
    entity_type=TIDE_STATION.name,
    file=FILE,
    licence="CC-BY-4.0",
    attribution=ATTRIBUTION,
)

STEP = timedelta(minutes=15)
SMALL_M = 0.03
"""A high and a low water nearer to each other than this are one stand of the tide, and are not listed."""

_J2000 = datetime(2000, 1, 1, 12, tzinfo=UTC)
_CENTURY = timedelta(days=36_525)

# Doodson's numbers: multiples of the mean lunar time τ, s, h, p (and quarter turns), and the constituents
# whose 18.6-year correction it shares, with exponents. What is left out of the table is not predicted.
_Argument = tuple[int, int, int, int, int, Mapping[str, float]]
_M2: Mapping[str, float] = {"M2": 1}
_O1: Mapping[str, float] = {"O1": 1}
_NONE: Mapping[str, float] = {}
ARGUMENTS: Mapping[str, _Argument] = {
    "SA": (0, 0, 1, 0, 0, _NONE),
    "SSA": (0, 0, 2, 0, 0, _NONE),
    "MM": (0, 1, 0, -1, 0, {"MM": 1}),
    "MSF": (0, 2, -2, 0, 0, {"M2": -1}),
    "MF": (0, 2, 0, 0, 0, {"MF": 1}),
    "MTM": (0, 3, 0, -1, 0, {"MF": 1}),
    "MSQM": (0, 4, -2, 0, 0, {"MF": 1}),
    "2Q1": (1, -3, 0, 2, 1, _O1),
    "SGM": (1, -3, 2, 0, 1, _O1),
    "Q1": (1, -2, 0, 1, 1, _O1),
    "RHO1": (1, -2, 2, -1, 1, _O1),
    "O1": (1, -1, 0, 0, 1, _O1),
    "M1": (1, 0, 0, 1, -1, {"M1": 1}),
    "P1": (1, 1, -2, 0, 1, _NONE),
    "S1": (1, 1, -1, 0, 0, _NONE),
    "K1": (1, 1, 0, 0, -1, {"K1": 1}),
    "J1": (1, 2, 0, -1, -1, {"J1": 1}),
    "OO1": (1, 3, 0, 0, -1, {"OO1": 1}),
    "EP2": (2, -3, 2, 1, 0, _M2),
    "2N2": (2, -2, 0, 2, 0, _M2),
    "MU2": (2, -2, 2, 0, 0, _M2),
    "N2": (2, -1, 0, 1, 0, _M2),
    "NU2": (2, -1, 2, -1, 0, _M2),
    "MA2": (2, 0, -1, 0, 0, _M2),
    "M2": (2, 0, 0, 0, 0, _M2),
    "MB2": (2, 0, 1, 0, 0, _M2),
    "MKS2": (2, 0, 2, 0, 0, {"M2": 1, "K2": 1}),
    "LAMBDA2": (2, 1, -2, 1, 2, _M2),
    "L2": (2, 1, 0, -1, 2, {"L2": 1}),
    "T2": (2, 2, -3, 0, 0, _NONE),
    "S2": (2, 2, -2, 0, 0, _NONE),
    "K2": (2, 2, 0, 0, 0, {"K2": 1}),
    "M3": (3, 0, 0, 0, 2, {"M2": 1.5}),
    "M4": (4, 0, 0, 0, 0, {"M2": 2}),
    "MS4": (4, 2, -2, 0, 0, _M2),
    "M6": (6, 0, 0, 0, 0, {"M2": 3}),
    "2MS6": (6, 2, -2, 0, 0, {"M2": 2}),
}


@dataclass(frozen=True, slots=True)
class Constituent:
    """One harmonic of a station: its amplitude in metres and its Greenwich phase lag in degrees."""

    name: str
    amplitude_m: float
    phase_deg: float


@dataclass(frozen=True, slots=True)
class TideStation:
    """A station whose tide is known; heights are above the lowest astronomical tide (LAT)."""

    entity_id: str
    name: str
    latitude: float
    longitude: float
    mean_level_m: float
    record: str
    constituents: tuple[Constituent, ...]


@dataclass(frozen=True, slots=True)
class Turn:
    """A high or a low water: its moment and its height in metres above the station's datum."""

    at: Instant
    height_m: float
    high: bool


def station_from(entity_id: str, values: Mapping[str, Any]) -> TideStation:
    """A station as its file says it."""
    longitude, latitude = values["location"]["coordinates"]
    return TideStation(
        entity_id=entity_id,
        name=values["name"],
        latitude=latitude,
        longitude=longitude,
        mean_level_m=values["meanLevel"],
        record=values["record"],
        constituents=tuple(
            Constituent(one["name"], one["amplitude"], one["phase"]) for one in values["constituents"]
        ),
    )


@cache
def quy_nhon() -> TideStation:
    """The station that ships with the pack."""
    read = read_facts("environment.tide-stations", Path(__file__).with_name(FILE).read_bytes())
    (one,) = read.entities
    return station_from(one.id, one.values)


def heights(station: TideStation, times: Sequence[Instant]) -> list[float]:
    """The predicted height at each time, in metres above the station's datum.

    The 18.6-year corrections are those of the middle of the times: over a month they move the height by
    less than two millimetres.
    """
    if not times:
        return []
    first, middle = times[0], times[len(times) // 2]
    at_first, slow = _angles(first), _corrections(middle)
    waves: list[tuple[float, float, float]] = []
    for one in station.constituents:
        tau, s, h, p, quarters, corrected = ARGUMENTS[one.name]
        factor, turn = 1.0, 0.0
        for name, power in corrected.items():
            its_factor, its_turn = slow[name]
            factor *= its_factor ** abs(power)
            turn += its_turn * power
        solar = _solar_part(one.name)
        angle = tau * at_first.tau + s * at_first.s + h * at_first.h + p * at_first.p
        angle += quarters * 90 + solar * at_first.perihelion + turn - one.phase_deg
        speed = tau * _SPEED.tau + s * _SPEED.s + h * _SPEED.h + p * _SPEED.p  # degrees an hour
        waves.append((one.amplitude_m * factor, radians(angle), radians(speed)))
    found = []
    for at in times:
        hours = (at - first) / timedelta(hours=1)
        found.append(
            station.mean_level_m
            + sum(amplitude * cos(angle + speed * hours) for amplitude, angle, speed in waves)
        )
    return found


def curve(station: TideStation, since: Instant, until: Instant) -> list[tuple[Instant, float]]:
    """The height every 15 minutes, both ends included."""
    times = [since + number * STEP for number in range(int((until - since) / STEP) + 1)]
    return list(zip(times, heights(station, times), strict=True))


def turns(station: TideStation, since: Instant, until: Instant) -> list[Turn]:
    """High and low waters of a stretch of time, to the minute, in order.

    Where the tide all but stands (a high and a low within 3 cm) it is one stand and neither is listed.
    """
    reach = 4 * STEP
    points = curve(station, since - reach, until + reach)
    found: list[Turn] = []
    for (_, before), (at, height), (_, after) in zip(points, points[1:], points[2:], strict=False):
        if before < height >= after or before > height <= after:
            found.append(_refined(station, at, before < height))
    while True:
        gaps = [
            (abs(one.height_m - other.height_m), place) for place, (one, other) in enumerate(pairwise(found))
        ]
        least = min(gaps, default=(SMALL_M, 0))
        if least[0] >= SMALL_M:
            return [one for one in found if since <= one.at <= until]
        del found[least[1] : least[1] + 2]


def _refined(station: TideStation, about: Instant, high: bool) -> Turn:  # noqa: FBT001 (private)
    times = [about + timedelta(minutes=minute) for minute in range(-15, 16)]
    there = heights(station, times)
    height = max(there) if high else min(there)
    return Turn(times[there.index(height)], height, high)


@dataclass(frozen=True, slots=True)
class _Angles:
    """Mean lunar time, the mean longitudes of moon, sun and lunar perigee, and of the sun's: degrees."""

    tau: float
    s: float
    h: float
    p: float
    perihelion: float


def _angles(at: Instant) -> _Angles:
    t = (at - _J2000) / _CENTURY
    s = 218.3164477 + 481_267.88123421 * t
    h = 280.46646 + 36_000.76983 * t
    p = 83.3532465 + 4_069.0137287 * t
    midnight = at.replace(hour=0, minute=0, second=0, microsecond=0)
    solar = 15 * ((at - midnight) / timedelta(hours=1)) + 180
    return _Angles((solar + h - s) % 360, s % 360, h % 360, p % 360, (282.93735 + 1.71946 * t) % 360)


_HOURS_A_CENTURY = 36_525 * 24
_SPEED = _Angles(
    tau=15 + (36_000.76983 - 481_267.88123421) / _HOURS_A_CENTURY,
    s=481_267.88123421 / _HOURS_A_CENTURY,
    h=36_000.76983 / _HOURS_A_CENTURY,
    p=4_069.0137287 / _HOURS_A_CENTURY,
    perihelion=0.0,
)


def _solar_part(name: str) -> int:
    """Multiples of the longitude of the sun's perigee: only T2 has one that is kept."""
    return 1 if name == "T2" else 0


def _corrections(at: Instant) -> dict[str, tuple[float, float]]:
    """Factor f and angle u (degrees) by which the moon's node (18.6 years) changes a constituent."""
    t = (at - _J2000) / _CENTURY
    node = radians((125.04452 - 1_934.136261 * t) % 360)
    perigee = radians((83.3532465 + 4_069.0137287 * t) % 360)
    inclination, nu, xi = _moon_path(node)
    doubled = sin(2 * inclination)
    nu_first = atan2(doubled * sin(nu), doubled * cos(nu) + 0.3347)
    square = sin(inclination) ** 2
    nu_second = atan2(square * sin(2 * nu), square * cos(2 * nu) + 0.0727) / 2
    half = inclination / 2
    m2 = cos(half) ** 4 / 0.9154
    o1 = sin(inclination) * cos(half) ** 2 / 0.3800
    far = perigee - xi  # P: the longitude of the lunar perigee from the moon's crossing of the equator
    m1 = sqrt(
        0.25
        + 1.5 * cos(inclination) / cos(half) ** 2 * cos(2 * far)
        + 2.25 * cos(inclination) ** 2 / cos(half) ** 4
    )
    q = atan2((5 * cos(inclination) - 1) * sin(far), (7 * cos(inclination) + 1) * cos(far))
    r = atan2(sin(2 * far), 1 / (6 * tan(half) ** 2) - cos(2 * far))
    l2 = sqrt(1 - 12 * tan(half) ** 2 * cos(2 * far) + 36 * tan(half) ** 4)
    found = {
        "MM": ((2 / 3 - square) / 0.5021, 0.0),
        "MF": (square / 0.1578, -2 * xi),
        "O1": (o1, 2 * xi - nu),
        "K1": (sqrt(0.8965 * doubled**2 + 0.6001 * doubled * cos(nu) + 0.1006), -nu_first),
        "J1": (doubled / 0.7214, -nu),
        "OO1": (sin(inclination) * sin(half) ** 2 / 0.0164, -2 * xi - nu),
        "M1": (o1 * m1, xi - nu + q - far),
        "M2": (m2, 2 * xi - 2 * nu),
        "L2": (m2 * l2, 2 * xi - 2 * nu - r),
        "K2": (sqrt(19.0444 * square**2 + 2.7702 * square * cos(2 * nu) + 0.0981), -2 * nu_second),
    }
    return {name: (factor, degrees(turn)) for name, (factor, turn) in found.items()}


def _moon_path(node: float) -> tuple[float, float, float]:
    """I, ν and ξ of Schureman in radians: how the moon's path lies to the equator."""
    inclination = acos(0.91370 - 0.03569 * cos(node))
    nu = asin(0.08968 * sin(node) / sin(inclination))
    half = node if node <= pi else node - 2 * pi
    xi = half - 2 * atan(0.64412 * tan(half / 2)) - nu
    return inclination, nu, xi
