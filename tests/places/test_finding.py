"""The verbs over names, on the database: the issue's own cases, every pair of the laws, the edition."""

import csv
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest

from haidang.infra.database import Connection
from haidang.kernel.actors import Actor
from haidang.kernel.text import collation_key
from haidang.places import store
from haidang.places.errors import UnitUnknown
from haidang.places.finding import MOST_FOUND, find_units, resolve_place, resolve_places
from haidang.places.model import Level, Unit
from haidang.places.naming import Needs, Outcome
from haidang.places.service import units_on

TODAY = date(2026, 11, 22)
EVE = date(2025, 6, 30)
PAIRS = Path(__file__).parent / "resolution_pairs.tsv"


async def province(visitor: Actor, country: Connection, name: str) -> Unit:
    found = await units_on(visitor, country, TODAY, level=Level.PROVINCE)
    return next(one for one in found if one.name == name)


async def test_an_old_address_without_diacritics_becomes_todays_ward(
    visitor: Actor, country: Connection
) -> None:
    text = "72 Tran Hung Dao, P. Phu Thuy, Phan Thiet, Binh Thuan"
    found = await resolve_place(visitor, country, text, on=TODAY)
    assert found.outcome is Outcome.ONE
    assert found.confidence > 0.9
    assert found.rest == "72 Tran Hung Dao"
    answer = found.candidates[0]
    assert collation_key(answer.unit.full_name) == collation_key("Phường Phú Thuỷ")
    assert answer.former is not None
    assert answer.former.valid_to == date(2025, 7, 1)
    assert answer.why.reason == "whole"


@pytest.mark.parametrize("ward", ["Xã Hoà Thắng", "Xã Hồng Thái"])
async def test_a_split_commune_needs_a_coordinate_and_is_decided_by_it(
    visitor: Actor, country: Connection, ward: str
) -> None:
    text = "xã Hòa Thắng, huyện Bắc Bình, Bình Thuận"
    asked = await resolve_place(visitor, country, text, on=TODAY)
    assert (asked.outcome, asked.needs) == (Outcome.ASK, Needs.COORDINATE)
    point = next(one.unit.label_point for one in asked.candidates if one.unit.full_name == ward)
    told = await resolve_place(visitor, country, text, on=TODAY, at=point)
    assert (told.outcome, told.candidates[0].unit.full_name) == (Outcome.ONE, ward)
    assert told.candidates[0].why.reason == "point"


async def test_a_point_at_sea_decides_nothing(visitor: Actor, country: Connection) -> None:
    text = "xã Hòa Thắng, huyện Bắc Bình, Bình Thuận"
    asked = await resolve_place(visitor, country, text, on=TODAY)
    assert await resolve_place(visitor, country, text, on=TODAY, at=(110.5, 10.0)) == asked


async def test_every_pair_of_the_resolutions_is_found_by_its_old_address(
    visitor: Actor, country: Connection
) -> None:
    """Kind, name, district where the law names one, and today's province: the right unit, or a question."""
    lines = [line for line in PAIRS.read_text(encoding="utf-8").splitlines() if line[:1] != "#"]
    rows = list(csv.DictReader(lines, delimiter="\t"))
    texts = [
        ", ".join(
            part
            for part in (f"{row['old_kind']} {row['old_name']}", row["district"], f"tỉnh {row['province']}")
            if part
        )
        for row in rows
    ]
    found = await resolve_places(visitor, country, texts, on=TODAY)
    missing, sure = [], 0
    for row, one in zip(rows, found, strict=True):
        wanted = collation_key(f"{row['new_kind'].capitalize()} {row['new_name']}")
        listed = [collation_key(candidate.unit.full_name) for candidate in one.candidates]
        split = row["how"] in ("part", "rest")
        if one.outcome is Outcome.ONE and not split and listed[0] == wanted:
            sure += 1
        elif one.outcome is not Outcome.ASK or wanted not in listed:
            missing.append(f"{one.text}: {[candidate.unit.full_name for candidate in one.candidates]}")
    assert missing == []
    assert sure > 0.9 * len(rows)


async def test_bulk_answers_in_the_order_asked(visitor: Actor, country: Connection) -> None:
    gia_lai = await province(visitor, country, "Gia Lai")
    texts = ["xã Ân Nghĩa", "22945", "xa an nghia", "xã Ân Nghĩa"]
    found = await resolve_places(visitor, country, texts, on=TODAY, within=gia_lai.unit_id)
    assert [one.text for one in found] == texts
    assert [one.outcome for one in found] == [Outcome.ONE, Outcome.NONE, Outcome.ASK, Outcome.ONE]
    assert found[0].candidates[0].unit.full_name == "Xã Kim Sơn"


async def test_before_the_change_the_old_ward_answers(visitor: Actor, country: Connection) -> None:
    found = await resolve_place(visitor, country, "phường Bình Hưng, TP Phan Thiết", on=EVE)
    assert found.outcome is Outcome.ONE
    assert found.candidates[0].unit.full_name == "Phường Bình Hưng"


async def test_within_an_unknown_unit_is_refused(visitor: Actor, country: Connection) -> None:
    with pytest.raises(UnitUnknown):
        await resolve_place(visitor, country, "Phan Thiết", on=TODAY, within="urn:haidang:unit:nowhere")


async def test_a_unit_that_is_added_is_found_by_the_next_call(visitor: Actor, country: Connection) -> None:
    assert (await resolve_place(visitor, country, "xã Hải Đăng Thử", on=TODAY)).outcome is Outcome.NONE
    lam_dong = await province(visitor, country, "Lâm Đồng")
    added = replace(
        lam_dong,
        unit_id="urn:haidang:unit:test",
        level=Level.WARD,
        kind="Xã",
        code="99999",
        name="Hải Đăng Thử",
        full_name="Xã Hải Đăng Thử",
        parent_id=lam_dong.unit_id,
    )
    await store.put_units(country, [added], origin=store.CHANGE)
    await store.begin_edition(country)
    found = await resolve_place(visitor, country, "xã Hải Đăng Thử", on=TODAY)
    assert [one.unit.unit_id for one in found.candidates][:1] == ["urn:haidang:unit:test"]


async def test_a_typeahead_finds_both_times_and_is_bounded(visitor: Actor, country: Connection) -> None:
    found = await find_units(visitor, country, "phan thi", on=TODAY)
    assert found[0].unit.full_name == "Phường Phan Thiết"
    assert not found[0].former
    assert any(one.former for one in found)
    assert len(await find_units(visitor, country, "p", on=TODAY, most=1_000)) == MOST_FOUND
    assert await find_units(visitor, country, "", on=TODAY) == []


async def test_nothing_is_found_before_facts_are_loaded(visitor: Actor, connection: Connection) -> None:
    assert (await resolve_place(visitor, connection, "Phan Thiết", on=TODAY)).outcome is Outcome.NONE
    assert await find_units(visitor, connection, "phan", on=TODAY) == []


@pytest.mark.parametrize(
    "text",
    [
        "huyện Hoàng Sa, Đà Nẵng",
        "Huyen Ly Son, Quang Ngai",
        "huyện Côn Đảo, Bà Rịa - Vũng Tàu",
        "Huyện Cồn Cỏ",
    ],
)
async def test_an_island_district_without_communes_is_found(
    visitor: Actor, country: Connection, text: str
) -> None:
    found = await resolve_place(visitor, country, text, on=TODAY)
    assert found.outcome is Outcome.ONE
    assert found.confidence > 0.9
    assert found.rest == ""
    (answer,) = found.candidates
    assert answer.unit.kind == "Đặc khu"
    assert answer.former is not None
    assert answer.former.kind == "Huyện"
