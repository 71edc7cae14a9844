"""A change of units worked out: what goes where, what is found wrong, and that no land or people are lost."""

from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from itertools import pairwise
from typing import Any

import msgspec
import pytest
import shapely
from hypothesis import example, given
from hypothesis import strategies as st
from shapely.geometry.base import BaseGeometry

from haidang.places.changes import (
    FINDING_MESSAGES,
    Beginning,
    Draft,
    Plan,
    Source,
    Surroundings,
    Trouble,
    _km2,
    plan_change,
)
from haidang.places.drafting import (
    ChangeMalformed,
    ChangeSaysNothing,
    OutlineMalformed,
    UnitOfChangeUnknown,
    UnitSaidTwice,
    WrittenChange,
    named_units,
    read_change,
    resolve_draft,
)
from haidang.places.model import Level, LinkKind, Unit

DAY = date(2027, 1, 1)
TODAY = date(2026, 11, 22)
BASIS = "Nghị quyết thử nghiệm 1/NQ"


def unit(unit_id: str, name: str, code: str, **more: Any) -> Unit:
    given: dict[str, Any] = {
        "unit_id": unit_id,
        "level": Level.WARD,
        "kind": "Xã",
        "code": code,
        "name": name,
        "full_name": f"{more.get('kind', 'Xã')} {name}",
        "parent_id": "p",
        "area_km2": Decimal(100),
        "population": 1000,
        "population_on": date(2025, 7, 1),
        "accuracy_m": 5.0,
    }
    return Unit(**(given | more))


PROVINCE = unit("p", "Thử", "99", level=Level.PROVINCE, kind="Tỉnh", parent_id=None)
A, B, C = unit("a", "An", "90001"), unit("b", "Bình", "90002"), unit("c", "Cát", "90003")
FAR = unit("f", "Ân Xa", "90009")


def square(west: float, south: float = 14.0, width: float = 0.1, height: float = 0.1) -> BaseGeometry:
    return shapely.box(west, south, west + width, south + height)


OUTLINES: dict[str, BaseGeometry] = {"a": square(108.0), "b": square(108.1), "c": square(108.2)}


def geojson(shape: BaseGeometry) -> dict[str, Any]:
    drawn: dict[str, Any] = msgspec.json.decode(shapely.to_geojson(shape))
    return drawn


def new_id(full_name: str, code: str, on: date) -> str:
    return f"new:{code}:{full_name}:{on}"


def around(*more: Unit, outlines: Mapping[str, BaseGeometry] | None = None, **named: Any) -> Surroundings:
    units = {one.unit_id: one for one in (PROVINCE, A, B, C, FAR, *more)}
    wards = [one for one in units.values() if one.level is Level.WARD]
    return Surroundings(
        units=units,
        standing=named.get("standing", wards),
        below=named.get("below", {}),
        formerly=named.get("formerly", {}),
        outlines=OUTLINES if outlines is None else outlines,
    )


def draft(**acts: Any) -> Draft:
    """A draft from acts as a file writes them; units are named by code."""
    written = msgspec.convert(
        {"title": "Thử", "takes_effect": DAY, "legal_basis": BASIS} | acts, WrittenChange
    )
    known = {one.code: one for one in (PROVINCE, A, B, C, FAR)} | {"a": A}
    return resolve_draft(written, known, new_id)


def plan(surroundings: Surroundings | None = None, **acts: Any) -> Plan:
    return plan_change(draft(**acts), surroundings or around(), new_id, today=TODAY)


def troubles(worked_out: Plan) -> set[Trouble]:
    return {one.trouble for one in worked_out.findings}


def named(name: str, code: str, **more: Any) -> dict[str, Any]:
    return {"kind": "Phường", "name": name, "code": code} | more


def test_a_merge_takes_land_people_and_links_of_both() -> None:
    made = plan(merge=[named("An Bình", "90001") | {"from": ["90001", "90002"]}])
    (new,) = made.begun
    assert (new.full_name, new.code, new.parent_id, new.valid_from) == ("Phường An Bình", "90001", "p", DAY)
    assert (new.area_km2, new.population, new.population_on) == (Decimal(200), 2000, date(2025, 7, 1))
    assert new.accuracy_m == 5.0
    assert {(one.from_id, one.kind, one.share) for one in made.links} == {
        ("a", LinkKind.MERGE, 1.0),
        ("b", LinkKind.MERGE, 1.0),
    }
    assert made.outlines[new.unit_id].equals(shapely.union_all([OUTLINES["a"], OUTLINES["b"]]))
    assert [one.unit_id for one in made.ended] == ["a", "b"]
    assert made.may_be_applied
    assert made.findings == ()


def test_a_split_by_outline_measures_its_shares() -> None:
    west, east = square(108.0, width=0.025), square(108.025, width=0.075)
    made = plan(
        split=[
            {
                "from": "90001",
                "into": [
                    named("An Tây", "90001", outline=geojson(west)),
                    named("An Đông", "90010", outline=geojson(east), population=700),
                ],
            }
        ]
    )
    assert [(one.kind, round(one.share or 0, 4)) for one in made.links] == [
        (LinkKind.SPLIT, 0.25),
        (LinkKind.SPLIT, 0.75),
    ]
    assert [one.area_km2 for one in made.begun] == [Decimal("25.00"), Decimal("75.00")]
    # A part's people are an estimate, which is shown as one and never written down as a figure.
    assert [one.population for one in made.begun] == [None, 700]
    assert [(one.people, one.estimated) for one in made.people.values()] == [(250, True), (750, True)]
    assert troubles(made) == {Trouble.NO_POPULATION}
    assert made.may_be_applied


def test_a_split_by_share_leaves_the_rest_to_the_piece_without_one() -> None:
    pieces = [named("An Tây", "90001", share=0.4), named("An Đông", "90010")]
    made = plan(split=[{"from": "90001", "into": pieces}])
    assert [one.share for one in made.links] == [0.4, pytest.approx(0.6)]
    assert troubles(made) == {Trouble.NO_OUTLINE, Trouble.NO_POPULATION}


def test_a_rename_continues_and_keeps_what_it_does_not_say() -> None:
    made = plan(rename=[{"unit": "90001", "name": "An Mới"}])
    (new,), (link,) = made.begun, made.links
    assert (new.full_name, new.code, new.population, new.area_km2) == (
        "Xã An Mới",
        "90001",
        1000,
        Decimal(100),
    )
    assert (link.kind, link.share) == (LinkKind.CONTINUES, 1.0)
    assert made.findings == ()


def test_a_moved_part_ends_both_and_they_go_on_as_themselves() -> None:
    strip = square(108.09, width=0.01)
    made = plan(move=[{"from": "90001", "to": "90002", "outline": geojson(strip)}])
    assert {
        (one.from_id, one.to_id.split(":")[1], one.kind, round(one.share or 0, 4)) for one in made.links
    } == {
        ("a", "90001", LinkKind.SPLIT, 0.9),
        ("a", "90002", LinkKind.PART, 0.1),
        ("b", "90002", LinkKind.MERGE, 1.0),
    }
    assert {one.full_name for one in made.begun} == {"Xã An", "Xã Bình"}
    assert sum(one.people or 0 for one in made.people.values()) == 2000
    assert made.may_be_applied


def test_a_redrawn_boundary_says_what_went_where() -> None:
    between = [
        {"unit": "90001", "outline": geojson(square(108.0, width=0.08))},
        {"unit": "90002", "outline": geojson(square(108.08, width=0.12))},
    ]
    made = plan(boundary=[{"between": between}])
    assert {(one.from_id, one.to_id.split(":")[1], one.kind) for one in made.links} == {
        ("a", "90001", LinkKind.SPLIT),
        ("a", "90002", LinkKind.PART),
        ("b", "90002", LinkKind.MERGE),
    }
    assert next(one.share for one in made.links if one.kind is LinkKind.PART) == pytest.approx(0.2)
    assert made.may_be_applied


def test_what_is_left_of_a_unit_may_be_kept() -> None:
    merge = named("An Cát", "90003") | {"from": ["90003"], "parts": [{"unit": "90001", "share": 0.3}]}
    assert Trouble.GOES_NOWHERE in troubles(plan(merge=[merge]))
    made = plan(merge=[merge], keep=["90001"])
    assert made.may_be_applied
    assert {(one.from_id, one.kind, one.share) for one in made.links} == {
        ("c", LinkKind.MERGE, 1.0),
        ("a", LinkKind.PART, 0.3),
        ("a", LinkKind.SPLIT, 0.7),
    }


FIFTH_OF_A = square(108.0, width=0.02)


def halves(share: float | None) -> list[dict[str, Any]]:
    return [{"from": "90001", "into": [named("X", "90001", share=share), named("Y", "90010", share=share)]}]


def pieces_of_a(west: BaseGeometry, east: BaseGeometry) -> list[dict[str, Any]]:
    return [
        {
            "from": "90001",
            "into": [
                named("An Tây", "90001", outline=geojson(west)),
                named("An Đông", "90010", outline=geojson(east)),
            ],
        }
    ]


@pytest.mark.parametrize(
    ("acts", "found"),
    [
        ({"legal_basis": " "}, Trouble.NO_LEGAL_BASIS),
        ({"takes_effect": TODAY}, Trouble.DATE_NOT_AHEAD),
        ({"level": "province"}, Trouble.LEVELS_MIXED),
        ({"merge": [named("B", "90002") | {"from": ["90001", "90002"]}]}, None),
        ({"merge": [named("B", "9002") | {"from": ["90001", "90002"]}]}, Trouble.CODE_MALFORMED),
        ({"merge": [named("B", "90003") | {"from": ["90001", "90002"]}]}, Trouble.CODE_IN_USE),
        ({"merge": [named("B", "90008") | {"from": ["90001", "90002"]}]}, Trouble.CODE_REUSED),
        ({"merge": [named("An Xa", "90002") | {"from": ["90001", "90002"]}]}, Trouble.NAMES_ALIKE),
        ({"merge": [named("B", "90001") | {"from": ["90001", "90003"]}]}, Trouble.PIECES_APART),
        ({"merge": [named("B", "90002", parent="90003") | {"from": ["90001", "90002"]}]}, None),
        (
            {"split": halves(None)},
            Trouble.SHARE_UNKNOWN,
        ),
        (
            {"split": halves(0.4)},
            Trouble.GOES_NOWHERE,
        ),
        (
            {"split": halves(0.7)},
            Trouble.GOES_TWICE,
        ),
        ({"split": pieces_of_a(square(108.0, width=0.05), square(108.06, width=0.04))}, Trouble.GAP),
        ({"split": pieces_of_a(square(108.0, width=0.05), square(108.04, width=0.06))}, Trouble.OVERLAP),
        ({"split": pieces_of_a(square(108.0, width=0.05), square(109.0))}, Trouble.PIECE_ELSEWHERE),
        (
            {
                "boundary": [
                    {
                        "between": [
                            {"unit": "90001", "outline": geojson(square(107.9, width=0.2))},
                            {"unit": "90002", "outline": geojson(square(108.1))},
                        ]
                    }
                ]
            },
            Trouble.OUTSIDE,
        ),
        (
            {"move": [{"from": "90001", "to": "90002", "share": 0.5, "outline": geojson(FIFTH_OF_A)}]},
            Trouble.SHARE_DIFFERS,
        ),
    ],
)
def test_what_is_wrong_is_found(acts: dict[str, Any], found: Trouble | None) -> None:
    about_the_whole = set(acts) <= {"legal_basis", "takes_effect", "level"}
    written = {"rename": [{"unit": "90001", "name": "Mới"}]} if about_the_whole else {}
    former = unit("old", "Cũ", "90008", valid_to=date(2025, 7, 1))
    made = plan(around(former, standing=[A, B, C, FAR], formerly={"90008": [former]}), **written, **acts)
    assert (found in troubles(made)) if found else made.may_be_applied
    assert all(FINDING_MESSAGES[one.trouble].format(**one.fields) for one in made.findings)


def test_outlines_may_differ_by_what_they_are_accurate_to() -> None:
    """A slit of six metres is inaccuracy where outlines are five metres off on either side."""
    slit = 6 / 111_320
    west, east = square(108.0, width=0.05), square(108.05 + slit, width=0.05 - slit)
    made = plan(split=pieces_of_a(west, east))
    assert made.may_be_applied
    assert sum(one.share or 0 for one in made.links) == pytest.approx(1)
    wide = square(108.05 + 4 * slit, width=0.05 - 4 * slit)
    assert Trouble.GAP in troubles(plan(split=pieces_of_a(west, wide)))


def test_land_that_hangs_together_by_a_third_is_not_apart() -> None:
    made = plan(merge=[named("An Cát", "90001") | {"from": ["90001", "90003", "90002"]}])
    assert made.findings == ()


def test_a_unit_that_ended_or_has_not_begun_cannot_end_again() -> None:
    for gone in (unit("a", "An", "90001", valid_to=DAY), unit("a", "An", "90001", valid_from=DAY)):
        found = troubles(plan(around(gone), rename=[{"unit": "90001", "name": "Mới"}]))
        assert Trouble.UNIT_NOT_THERE in found


def test_a_superior_must_be_named_and_stand() -> None:
    loose = unit("a", "An", "90001", parent_id=None)
    known = {"90001": loose}
    written = msgspec.convert(
        {"title": "Thử", "takes_effect": DAY, "rename": [{"unit": "90001", "name": "Mới"}]}, WrittenChange
    )
    made = plan_change(resolve_draft(written, known, new_id), around(loose), new_id)
    assert Trouble.PARENT_MISSING in troubles(made)
    gone = unit("p", "Thử", "99", level=Level.PROVINCE, parent_id=None, valid_to=DAY)
    assert Trouble.PARENT_NOT_THERE in troubles(plan(around(gone), rename=[{"unit": "90001", "name": "Mới"}]))


def test_units_below_go_on_under_the_successor_and_are_asked_for_where_there_are_two() -> None:
    below = {"p": [A, B, C]}
    other = unit("q", "Khác", "98", level=Level.PROVINCE, kind="Tỉnh", parent_id=None)
    known = {"99": PROVINCE, "98": other, "90001": A, "90002": B}

    def made(**acts: Any) -> Plan:
        written = msgspec.convert(
            {"title": "T", "takes_effect": DAY, "legal_basis": BASIS, "level": "province"} | acts,
            WrittenChange,
        )
        surroundings = around(other, below=below, standing=[PROVINCE, other])
        return plan_change(resolve_draft(written, known, new_id), surroundings, new_id)

    merged = made(merge=[{"kind": "Tỉnh", "name": "Lớn", "code": "99", "from": ["99", "98"]}])
    assert merged.may_be_applied
    assert {one.name for one in merged.carried} == {"An", "Bình", "Cát"}
    assert {one.parent_id for one in merged.carried} == {merged.begun[0].unit_id}
    assert {one.unit_id for one in merged.ended} == {"p", "q", "a", "b", "c"}
    assert len(merged.links) == 5
    pieces = [
        {"kind": "Tỉnh", "name": "Một", "code": "99", "share": 0.5, "holds": ["90001"]},
        {"kind": "Tỉnh", "name": "Hai", "code": "97"},
    ]
    split = made(split=[{"from": "99", "into": pieces}])
    (found,) = (one for one in split.findings if one.trouble is Trouble.CHILDREN_WITHOUT_PARENT)
    assert found.fields["count"] == 2
    assert [(one.name, one.parent_id) for one in split.carried] == [("An", split.begun[0].unit_id)]


@given(st.lists(st.integers(1, 1000), min_size=2, max_size=6), st.integers(0, 10_000_000))
@example([999, 1], 1000)  # a sliver is a part too: the rest did not go whole
def test_no_people_and_no_land_are_lost_by_a_split(weights: list[int], population: int) -> None:
    whole = unit("a", "An", "90001", population=population)
    shares = [weight / sum(weights) for weight in weights]
    begins = tuple(
        Beginning(
            unit_id=f"n{place}",
            level=Level.WARD,
            kind="Xã",
            code=f"9100{place}",
            name=f"Mới {place}",
            parent_id="p",
            # The last one gets the rest.
            made_of=(Source(from_id="a", share=share) if place else Source(from_id="a", rest=True),),
        )
        for place, share in enumerate(shares)
    )
    written = Draft(title="T", takes_effect=DAY, legal_basis=BASIS, level=Level.WARD, begins=begins)
    made = plan_change(written, around(whole), new_id)
    if shares[0] > 0.002:
        assert made.may_be_applied
        assert sum(one.share or 0 for one in made.links) == pytest.approx(1, abs=1e-4)
        assert sum(one.people or 0 for one in made.people.values()) == pytest.approx(population, abs=6)


@given(st.lists(st.floats(0.003, 0.097), min_size=1, max_size=4, unique_by=lambda x: round(x, 3)))
def test_any_cutting_of_a_unit_has_neither_gap_nor_overlap(cuts: list[float]) -> None:
    edges = [0.0, *sorted(cuts), 0.1]
    pieces = [
        named(f"Mảnh {place}", f"9100{place}", outline=geojson(square(108.0 + west, width=east - west)))
        for place, (west, east) in enumerate(pairwise(edges))
    ]
    made = plan(split=[{"from": "90001", "into": pieces}])
    assert not troubles(made) & {Trouble.GAP, Trouble.OVERLAP, Trouble.OUTSIDE, Trouble.GOES_TWICE}
    assert sum(one.share or 0 for one in made.links) == pytest.approx(1, abs=1e-5)


def test_a_draft_can_be_kept_as_json_and_read_back() -> None:
    kept = draft(
        move=[{"from": "90001", "to": "90002", "outline": geojson(square(108.09, width=0.01))}],
        rename=[{"unit": "90003", "name": "Mới"}],
    )
    assert msgspec.convert(msgspec.to_builtins(kept), Draft) == kept
    assert msgspec.json.decode(msgspec.json.encode(kept), type=Draft) == kept


def test_files_are_toml_or_json() -> None:
    toml = b"""
title = "Sap xep"
takes_effect = 2027-01-01
legal_basis = "NQ"
[[merge]]
from = ["90001", "90002"]
kind = "X\xc3\xa3"
name = "An"
code = "90001"
"""
    read = read_change(toml, toml=True)
    assert (read.takes_effect, read.merge[0].wholes) == (DAY, ("90001", "90002"))
    assert read_change(msgspec.json.encode(read), toml=False) == read
    assert named_units(read) == {"90001", "90002"}


@pytest.mark.parametrize(
    "text", [b"title = ", b'title = "x"', b"\xff", b'title = "x"\ntakes_effect = 2027-01-01\nodd = 1']
)
def test_a_file_that_cannot_be_read_says_why(text: bytes) -> None:
    with pytest.raises(ChangeMalformed) as raised:
        read_change(text, toml=True)
    assert raised.value.fields["problem"]


def test_a_draft_that_makes_no_sense_is_refused() -> None:
    with pytest.raises(ChangeSaysNothing):
        draft()
    with pytest.raises(UnitOfChangeUnknown):
        draft(rename=[{"unit": "12345", "name": "X"}])
    with pytest.raises(UnitSaidTwice):
        draft(rename=[{"unit": "90001", "name": "X"}, {"unit": "a", "name": "Y"}])
    with pytest.raises(UnitSaidTwice):
        draft(merge=[named("X", "90001") | {"from": ["90001"]}], rename=[{"unit": "90001", "name": "Y"}])
    with pytest.raises(ChangeMalformed):
        draft(merge=[named("X", "90001")])
    for bad in (
        {"type": "Point", "coordinates": [108, 14]},
        {"type": "Polygon", "coordinates": [[[0, 0], [1, 1], [0, 1], [1, 0], [0, 0]]]},
        {"type": "Polygon"},
    ):
        with pytest.raises(OutlineMalformed):
            draft(move=[{"from": "90001", "to": "90002", "outline": bad}])


def test_people_go_where_it_is_told_and_a_doubtful_figure_is_not_added_up() -> None:
    strip = {"from": "90001", "to": "90002", "share": 0.1, "people_share": 0}
    made = plan(move=[strip])
    assert {one.code: made.people[one.unit_id].people for one in made.begun} == {"90001": 1000, "90002": 1000}
    assert sorted(one.people_share or 0 for one in made.links) == [0.0, 1.0, 1.0]
    doubtful = unit("b", "Bình", "90002", population_doubtful=True)
    merged = plan(around(doubtful), merge=[named("An Bình", "90001") | {"from": ["90001", "90002"]}])
    (people,) = merged.people.values()
    assert (people.people, people.without_figure, merged.begun[0].population) == (1000, ("b",), None)


def test_a_sliver_has_no_area_rather_than_none_at_all() -> None:
    """0.0001 of 10 km² is 0.00 km²: a missing figure is missing, never 0."""
    small = unit("a", "An", "90001", area_km2=Decimal(10))
    pieces = [
        {"kind": "Xã", "name": "Mới", "code": "90011", "share": 0.0001},
        {"kind": "Xã", "name": "Lớn", "code": "90012"},
    ]
    made = plan(around(small), split=[{"from": "a", "into": pieces}])
    assert made.may_be_applied
    assert [one.area_km2 for one in made.begun] == [None, Decimal("10.00")]


@pytest.mark.parametrize("figure", ["area_km2 = inf", "area_km2 = 1e7", f"population = {10**20}"])
def test_figures_are_of_this_country(figure: str) -> None:
    text = 'title = "x"\ntakes_effect = 2027-01-01\n[[merge]]\nkind = "Xã"\nname = "A"\ncode = "1"\n'
    assert read_change(text.encode(), toml=True).merge
    with pytest.raises(ChangeMalformed):
        read_change((text + figure).encode(), toml=True)


def test_areas_of_findings_are_measured_on_the_ellipsoid() -> None:
    """A box of a tenth of a degree at 12° N: 120.4 km² on WGS 84, 121.2 on a plane of 111,320 m a degree."""
    assert _km2(shapely.box(108.0, 12.0, 108.1, 12.1)) == pytest.approx(120.45, abs=0.01)
