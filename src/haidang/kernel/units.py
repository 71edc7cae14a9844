"""Units by their UN/CEFACT Recommendation 20 code: name, symbol, dimension, exact conversion.

Only the codes that the city's environment, weather, water, transport and energy need. A unit is
`value × factor + offset` of the first unit of its dimension; factors are exact fractions.
"""

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Context, Decimal
from fractions import Fraction
from functools import lru_cache

from haidang.kernel.errors import Invalid

GAS_CONSTANT = 8.31446261815324
"""J/(mol·K), exact since 2019 (CODATA)."""


_LARGEST = sys.float_info.max


class UnitUnknown(Invalid):
    """{code} is not a unit that is known here (UN/CEFACT Recommendation 20)."""


class UnitsDiffer(Invalid):
    """A value in {from_code} cannot be expressed in {to_code}: they measure different things."""


class NumberNotFinite(Invalid):
    """{value} is not a number that can be converted."""


class GasConditionsImpossible(Invalid):
    """A gas cannot have a molar mass of {molar_mass} g/mol at {kelvin} K and {pascal} Pa."""


@dataclass(frozen=True, slots=True)
class Unit:
    """A unit of measure; `name` is a message id, `dimension` what it measures."""

    code: str
    symbol: str
    name: str
    dimension: str
    factor: Fraction
    offset: Fraction = Fraction(0)


@dataclass(frozen=True, slots=True)
class GasConditions:
    """Temperature and pressure for which a concentration of a gas is stated."""

    kelvin: float
    pascal: float


def _unit(
    dimension: str, code: str, symbol: str, name: str, factor: Fraction | int | str, *, offset: str = "0"
) -> tuple[str, Unit]:
    return code, Unit(code, symbol, name, dimension, Fraction(factor), Fraction(offset))


UNITS: Mapping[str, Unit] = dict(
    (
        _unit("ratio", "C62", "1", "one", 1),
        _unit("ratio", "P1", "%", "percent", "1/100"),
        _unit("volume fraction", "59", "ppm", "part per million", 1),
        _unit("volume fraction", "61", "ppb", "part per billion", "1/1000"),
        _unit("mass concentration", "KMQ", "kg/m³", "kilogram per cubic metre", 1),
        _unit("mass concentration", "A93", "g/m³", "gram per cubic metre", "1/1000"),
        _unit("mass concentration", "GL", "g/L", "gram per litre", 1),
        _unit("mass concentration", "GP", "mg/m³", "milligram per cubic metre", "1/1000000"),
        _unit("mass concentration", "M1", "mg/L", "milligram per litre", "1/1000"),
        _unit("mass concentration", "GQ", "µg/m³", "microgram per cubic metre", "1/1000000000"),
        _unit("mass concentration", "H29", "µg/L", "microgram per litre", "1/1000000"),
        _unit("temperature", "KEL", "K", "kelvin", 1),
        _unit("temperature", "CEL", "°C", "degree Celsius", 1, offset="273.15"),
        _unit("temperature", "FAH", "°F", "degree Fahrenheit", "5/9", offset="45967/180"),
        _unit("speed", "MTS", "m/s", "metre per second", 1),
        _unit("speed", "KMH", "km/h", "kilometre per hour", "1000/3600"),
        _unit("speed", "KNT", "kn", "knot", "1852/3600"),
        _unit("speed", "H67", "mm/h", "millimetre per hour", "1/3600000"),
        _unit("plane angle", "DD", "°", "degree", 1),
        _unit("pressure", "PAL", "Pa", "pascal", 1),
        _unit("pressure", "A97", "hPa", "hectopascal", 100),
        _unit("pressure", "KPA", "kPa", "kilopascal", 1000),
        _unit("pressure", "MBR", "mbar", "millibar", 100),
        _unit("length", "MTR", "m", "metre", 1),
        _unit("length", "4H", "µm", "micrometre", "1/1000000"),
        _unit("length", "MMT", "mm", "millimetre", "1/1000"),
        _unit("length", "CMT", "cm", "centimetre", "1/100"),
        _unit("length", "KMT", "km", "kilometre", 1000),
        _unit("length", "NMI", "M", "nautical mile", 1852),
        _unit("area", "MTK", "m²", "square metre", 1),
        _unit("area", "H18", "ha", "hectare", 10_000),
        _unit("area", "KMK", "km²", "square kilometre", 1_000_000),
        _unit("volume", "MTQ", "m³", "cubic metre", 1),
        _unit("volume", "LTR", "L", "litre", "1/1000"),
        _unit("volume flow", "MQS", "m³/s", "cubic metre per second", 1),
        _unit("volume flow", "MQH", "m³/h", "cubic metre per hour", "1/3600"),
        _unit("volume flow", "G51", "L/s", "litre per second", "1/1000"),
        _unit("time", "SEC", "s", "second", 1),
        _unit("time", "C26", "ms", "millisecond", "1/1000"),
        _unit("time", "MIN", "min", "minute", 60),
        _unit("time", "HUR", "h", "hour", 3600),
        _unit("time", "DAY", "d", "day", 86_400),
        _unit("mass", "KGM", "kg", "kilogram", 1),
        _unit("mass", "GRM", "g", "gram", "1/1000"),
        _unit("mass", "TNE", "t", "tonne", 1000),
        _unit("acidity", "Q30", "pH", "pH", 1),
        _unit("turbidity", "NTU", "NTU", "nephelometric turbidity unit", 1),
        _unit("conductivity", "D10", "S/m", "siemens per metre", 1),
        _unit("conductivity", "G42", "µS/cm", "microsiemens per centimetre", "1/10000"),
        _unit("conductivity", "H61", "mS/cm", "millisiemens per centimetre", "1/10"),
        _unit("sound level", "2N", "dB", "decibel", 1),
        _unit("illuminance", "LUX", "lx", "lux", 1),
        _unit("irradiance", "D54", "W/m²", "watt per square metre", 1),
        _unit("power", "WTT", "W", "watt", 1),
        _unit("power", "KWT", "kW", "kilowatt", 1000),
        _unit("energy", "KWH", "kWh", "kilowatt hour", 1),
        _unit("voltage", "VLT", "V", "volt", 1),
        _unit("current", "AMP", "A", "ampere", 1),
        _unit("people", "IE", "", "person", 1),
    )
)


def unit_of(code: str) -> Unit:
    """The unit of a code; refuses one that is not known."""
    try:
        return UNITS[code]
    except KeyError:
        raise UnitUnknown(code=code) from None


def convert(value: float, from_code: str, to_code: str) -> float:
    """The same quantity in another unit: exact arithmetic on the decimal digits, rounded once.

    Never turns parts per billion into µg/m³: that needs a gas and conditions, see
    `gas_mass_concentration`.
    """
    if from_code == to_code:
        unit_of(from_code)
        return value
    conversion = _conversion(from_code, to_code)
    if not -_LARGEST <= value <= _LARGEST:
        raise NumberNotFinite(value=value)
    digits = repr(float(value))
    if conversion.decimal is None:
        return float(Fraction(digits) * conversion.ratio + conversion.offset)
    ratio, offset = conversion.decimal
    converted = float(_EXACT.add(_EXACT.multiply(Decimal(digits), ratio), offset))
    if not -_LARGEST <= converted <= _LARGEST:
        raise NumberNotFinite(value=value)
    return converted


@dataclass(frozen=True, slots=True)
class _Conversion:
    """`value × ratio + offset`; also in decimals where both end, which is ten times as fast."""

    ratio: Fraction
    offset: Fraction
    decimal: tuple[Decimal, Decimal] | None


_EXACT = Context(prec=800)
"""Enough digits for every float times every factor: nothing is rounded before the end."""


@lru_cache(maxsize=1024)
def _conversion(from_code: str, to_code: str) -> _Conversion:
    """How a value in one unit becomes a value in another."""
    given, wanted = unit_of(from_code), unit_of(to_code)
    if given.dimension != wanted.dimension:
        raise UnitsDiffer(from_code=from_code, to_code=to_code)
    ratio, offset = given.factor / wanted.factor, (given.offset - wanted.offset) / wanted.factor
    return _Conversion(ratio, offset, (_decimal(ratio), _decimal(offset)) if _ends(ratio, offset) else None)


def _ends(*fractions: Fraction) -> bool:
    """Whether fractions end when written as decimals: their denominators divide a power of ten."""
    return all(10**30 % one.denominator == 0 for one in fractions)


def _decimal(fraction: Fraction) -> Decimal:
    return _EXACT.divide(Decimal(fraction.numerator), Decimal(fraction.denominator))


def gas_mass_concentration(
    value: float, code: str, to_code: str, *, molar_mass: float, conditions: GasConditions
) -> float:
    """A volume fraction of a gas (59 ppm, 61 ppb) as a mass concentration (GQ, GP …).

    `molar_mass` in g/mol and the `conditions` for which the mass is stated have no defaults on
    purpose: the same ppb is 9 % less µg/m³ at 25 °C than at 0 °C. Ideal gas: c = x·M·p / (R·T).
    """
    fraction = convert(value, code, "59") * 1e-6
    if not (molar_mass > 0 and conditions.kelvin > 0 and conditions.pascal >= 0):
        raise GasConditionsImpossible(
            molar_mass=molar_mass, kelvin=conditions.kelvin, pascal=conditions.pascal
        )
    kilograms = (
        fraction * molar_mass / 1000 * conditions.pascal / (GAS_CONSTANT * conditions.kelvin)
    )  # per cubic metre
    return convert(kilograms, "KMQ", to_code)
