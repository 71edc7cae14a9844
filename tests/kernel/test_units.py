"""Units: every code converts exactly, and what cannot be converted is refused."""

from fractions import Fraction
from math import inf, isclose, nan

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from haidang.kernel.units import (
    UNITS,
    GasConditions,
    GasConditionsImpossible,
    NumberNotFinite,
    UnitsDiffer,
    UnitUnknown,
    convert,
    gas_mass_concentration,
    unit_of,
)

CODES = st.sampled_from(sorted(UNITS))


@pytest.mark.parametrize(
    ("value", "from_code", "to_code", "expected"),
    [
        (1.2, "GP", "GQ", 1200.0),
        (0.1, "GP", "GQ", 100.0),
        (1.001, "GP", "GQ", 1001.0),  # by floats 1000.9999999999999
        (35.4, "GQ", "GP", 0.0354),
        (54.0, "P1", "C62", 0.54),
        (0.0, "CEL", "KEL", 273.15),
        (32.0, "FAH", "CEL", 0.0),
        (212.0, "FAH", "CEL", 100.0),
        (36.0, "KMH", "MTS", 10.0),
        (1.0, "KNT", "KMH", 1.852),
        (1013.25, "A97", "KPA", 101.325),
        (1.0, "MBR", "A97", 1.0),
        (5.0, "M1", "H29", 5000.0),
        (3.6, "MQH", "G51", 1.0),
        (1.0, "D10", "G42", 10_000.0),
        (1.0, "H61", "G42", 1000.0),
        (5.0, "MIN", "SEC", 300.0),
        (1000.0, "61", "59", 1.0),
    ],
)
def test_known_conversions(value: float, from_code: str, to_code: str, expected: float) -> None:
    assert convert(value, from_code, to_code) == expected


def test_an_unknown_code_is_refused() -> None:
    for given_code, wanted in (("ug/m3", "GQ"), ("GQ", ""), ("gq", "gq")):
        with pytest.raises(UnitUnknown):
            convert(1.0, given_code, wanted)
    with pytest.raises(UnitUnknown, match="XXX is not a unit"):
        unit_of("XXX")


def test_parts_per_billion_are_never_silently_micrograms() -> None:
    with pytest.raises(UnitsDiffer):
        convert(40.0, "61", "GQ")


@pytest.mark.parametrize("value", [nan, inf, -inf, 10**400])
def test_what_is_no_number_is_not_converted(value: float) -> None:
    with pytest.raises(NumberNotFinite):
        convert(value, "GP", "GQ")


def test_a_gas_is_converted_for_stated_conditions() -> None:
    at_25 = GasConditions(kelvin=298.15, pascal=101_325)
    at_0 = GasConditions(kelvin=273.15, pascal=101_325)
    assert gas_mass_concentration(1, "61", "GQ", molar_mass=46.0055, conditions=at_25) == pytest.approx(
        1.880, abs=5e-4
    )
    assert gas_mass_concentration(1, "61", "GQ", molar_mass=46.0055, conditions=at_0) == pytest.approx(
        2.053, abs=5e-4
    )
    assert gas_mass_concentration(1, "59", "GP", molar_mass=28.010, conditions=at_25) == pytest.approx(
        1.145, abs=5e-4
    )
    with pytest.raises(UnitsDiffer):
        gas_mass_concentration(1, "GQ", "GQ", molar_mass=48, conditions=at_25)
    with pytest.raises(GasConditionsImpossible):
        gas_mass_concentration(1, "61", "GQ", molar_mass=48, conditions=GasConditions(0, 101_325))


@given(st.floats(-1e9, 1e9), CODES, CODES)
def test_there_and_back_again(value: float, from_code: str, to_code: str) -> None:
    assume(unit_of(from_code).dimension == unit_of(to_code).dimension)
    there = convert(value, from_code, to_code)
    back = convert(there, to_code, from_code)
    # One rounding each way, where an offset (temperature) may be as large as the value.
    assert isclose(back, value, rel_tol=1e-12, abs_tol=1e-10)


@given(st.floats(-1e300, 1e300), CODES, CODES)
def test_a_conversion_is_exact_arithmetic_rounded_once(value: float, from_code: str, to_code: str) -> None:
    given_unit, wanted = unit_of(from_code), unit_of(to_code)
    assume(given_unit.dimension == wanted.dimension)
    in_first = Fraction(repr(value)) * given_unit.factor + given_unit.offset
    exact = float((in_first - wanted.offset) / wanted.factor)
    assert convert(value, from_code, to_code) == (value if from_code == to_code else exact)


def test_a_result_that_no_float_can_hold_is_refused() -> None:
    with pytest.raises(NumberNotFinite):
        convert(1e308, "KGM", "GRM")


@given(CODES, CODES)
def test_what_measures_something_else_is_refused(from_code: str, to_code: str) -> None:
    assume(unit_of(from_code).dimension != unit_of(to_code).dimension)
    with pytest.raises(UnitsDiffer):
        convert(1.0, from_code, to_code)


@given(st.floats(allow_nan=False), CODES)
def test_the_same_unit_changes_nothing(value: float, code: str) -> None:
    assert convert(value, code, code) == value


def test_every_dimension_has_one_unit_that_the_others_are_counted_in() -> None:
    for dimension in {unit.dimension for unit in UNITS.values()}:
        counted = [one for one in UNITS.values() if one.dimension == dimension]
        assert any(one.factor == 1 and one.offset == 0 for one in counted)
