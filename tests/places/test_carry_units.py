"""The script that carries the units: names as the law spells them, ids that stay, outlines that fit."""

from pathlib import Path

import numpy as np
import pytest
import shapely
from carry_units import (
    OUTLINES_HEADER,
    Country,
    SourceNotUnderstood,
    Unit,
    fit,
    known_ids,
    letters,
    name_key,
    name_units,
    parted,
    steps,
    written_units,
)
from hypothesis import assume, given
from hypothesis import strategies as st

from haidang.places.loading import read_outlines


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("Adơk", "A Dơk", True),
        ("Hoà Bình", "Hòa Bình", True),
        ("Phú Thuỷ", "Phú Thủy", True),
        ("N'Thol Hạ", "N' Thol Hạ", True),
        ("Ân Nghĩa", "An Nghĩa", False),
        ("Lộc Thạnh", "Lộc Thành", False),
        ("Đăk Đoa", "Đắk Đoa", False),
    ],
)
def test_names_are_one_when_only_their_spelling_differs(one: str, other: str, *, same: bool) -> None:
    assert (name_key(one) == name_key(other)) is same


def test_a_name_has_a_kind() -> None:
    assert parted("Thị Trấn Đạ M'ri") == ("Thị trấn", "Đạ M'ri")
    with pytest.raises(SourceNotUnderstood):
        parted("Đạ M'ri")


def country(*wards: Unit) -> Country:
    return Country(wards={ward.code: ward for ward in wards})


def test_an_id_is_given_once(tmp_path: Path) -> None:
    """A newer release renames one and corrects a code: ids stay; another time has its own."""
    province = Unit("province", "Tỉnh", "01", "Bình An", valid_from="2025-07-01")
    first = country(
        Unit("ward", "Xã", "00001", "Mỹ Đức", province, valid_from="2025-07-01"),
        Unit("ward", "Xã", "00002", "Hội Sơn", province, valid_from="2025-07-01"),
    )
    assert name_units(first, {}) == (0, 2)
    assert [one.unit_id for one in first.units()] == ["xa-my-duc-binh-an", "xa-hoi-son-binh-an"]
    (tmp_path / "units.tsv").write_text(written_units(first), "utf-8")
    second = country(
        Unit("ward", "Phường", "00001", "Mỹ Đức Mới", province, valid_from="2025-07-01"),
        Unit("ward", "Xã", "00003", "Hội Sơn", province, valid_from="2025-07-01"),
        Unit("ward", "Xã", "00002", "Mỹ Đức", province, valid_from="2027-01-01"),
    )
    assert name_units(second, known_ids(tmp_path / "units.tsv")) == (2, 1)
    assert [one.unit_id for one in second.units()] == [
        "xa-my-duc-binh-an",
        "xa-hoi-son-binh-an",
        "xa-my-duc-binh-an-2",
    ]


def test_ids_are_plain_letters() -> None:
    assert letters("Phường B'Lao") == "phuong-b-lao"
    assert letters("Xuân Hương - Đà Lạt") == "xuan-huong-da-lat"


RINGS = st.lists(
    st.tuples(st.integers(-1_000_000, 1_000_000), st.integers(-1_000_000, 1_000_000)),
    min_size=3,
    max_size=12,
    unique=True,
)


@given(ring=RINGS, digits=st.sampled_from([4, 5, 6]))
def test_a_written_outline_is_read_as_it_was(
    tmp_path_factory: pytest.TempPathFactory, ring: list[tuple[int, int]], digits: int
) -> None:
    shape = shapely.Polygon([(x / 10**digits, y / 10**digits) for x, y in ring])
    assume(shape.is_valid and shape.area > 0)
    path = tmp_path_factory.mktemp("outlines") / "outlines.txt"
    path.write_text(f"{OUTLINES_HEADER}= a 66 {digits}\n+ {steps(shape.exterior, digits)}\n", "utf-8")
    (one,) = read_outlines(path)
    again = shapely.from_wkb(one.outline.shape)
    assert (one.outline.unit_id, one.outline.accuracy_m) == ("urn:haidang:unit:a", 66.0)
    assert again.geom_type == "MultiPolygon"
    assert np.allclose(shapely.get_coordinates(again), shapely.get_coordinates(shape), atol=10**-9)
    assert (one.box.west, one.box.south, one.box.east, one.box.north) == pytest.approx(shape.bounds)


def test_a_hole_stays_a_hole(tmp_path: Path) -> None:
    path = tmp_path / "outlines.txt"
    path.write_text("= a 5 0\n+ 0 0 10 0 0 10 -10 0\n- 2 2 2 0 0 2\n+ 20 0 1 0 0 1\n", "utf-8")
    (one,) = read_outlines(path)
    shape = shapely.from_wkb(one.outline.shape)
    assert shape.is_valid
    assert shape.area == pytest.approx(100 - 2 + 0.5)


def test_detailed_outlines_fit_among_coarse_ones() -> None:
    """No overlap, and no gap where two wards meet; the coast is the detailed one's."""
    coarse = {"a": shapely.box(0, 0, 1, 1), "b": shapely.box(1, 0, 2, 1), "c": shapely.box(9, 9, 10, 10)}
    finer = {"a": shapely.Polygon([(0.001, 0), (0.9995, 0), (1.0004, 0.5), (0.9995, 1), (0.001, 1)])}
    fitted = fit(coarse, finer)
    assert fitted["a"].equals(finer["a"])
    assert fitted["b"].intersection(fitted["a"]).area == pytest.approx(0, abs=1e-12)
    together = shapely.union_all([fitted["a"], fitted["b"]])
    assert together.geom_type == "Polygon"
    assert together.bounds[0] == 0.001
    assert shapely.get_num_interior_rings(together) == 0
    assert fitted["c"] is coarse["c"]
