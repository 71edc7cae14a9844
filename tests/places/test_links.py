"""What units became: by the text of the resolutions, step by step, and followed to a day."""

import csv
from collections import Counter
from datetime import date
from pathlib import Path

import pytest
from carry_units import name_key
from hypothesis import given
from hypothesis import strategies as st

from haidang.infra.database import Connection
from haidang.kernel.actors import Actor
from haidang.places import service
from haidang.places.errors import UnitUnknown
from haidang.places.model import Level, Link, LinkKind, Unit
from haidang.places.successions import links_by_former, ways_onward

TODAY = date(2026, 11, 22)
BEFORE = date(2025, 6, 30)
BREAK = date(2025, 7, 1)

KINDS = {
    "whole": {LinkKind.MERGE},
    "part": {LinkKind.PART},
    "rest": {LinkKind.PART, LinkKind.SPLIT},
    "renamed": {LinkKind.CONTINUES},
    "kept": {LinkKind.CONTINUES},
}


def pairs() -> list[dict[str, str]]:
    """What the resolutions say, as the other script carried it."""
    text = (Path(__file__).parent / "resolution_pairs.tsv").read_text("utf-8")
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    return list(csv.DictReader(lines, delimiter="\t", quoting=csv.QUOTE_NONE))


async def test_every_pair_of_the_resolutions_is_a_link_and_no_other_is(country: Connection) -> None:
    """By item: as many links as the law has pairs, of the same kinds, to the same unit, from the same."""
    rows = await country.fetch(
        "SELECT l.legal_basis, l.kind, l.people_share, a.kind AS old_kind, a.name AS old_name,"
        " b.kind AS new_kind, b.name AS new_name"
        " FROM places.link AS l JOIN places.unit AS a ON a.unit_id = l.from_id"
        " JOIN places.unit AS b ON b.unit_id = l.to_id WHERE l.verified"
    )
    wanted = pairs()
    assert len(rows) == len(wanted) == 707
    by_item: dict[str, list[dict[str, str]]] = {}
    for pair in wanted:
        basis = f"Nghị quyết {pair['law']} (16/6/2025), Điều 1 khoản {pair['item']}"
        by_item.setdefault(basis, []).append(pair)
    misspelt = 0
    for basis, group in by_item.items():
        links = [row for row in rows if row["legal_basis"] == basis]
        assert Counter(row["old_kind"].lower() for row in links) == Counter(one["old_kind"] for one in group)
        assert {name_key(row["new_name"]) for row in links} == {name_key(one["new_name"]) for one in group}
        for pair in group:
            same = [row for row in links if name_key(row["old_name"]) == name_key(pair["old_name"])]
            if not same:
                misspelt += 1  # the list of the time spells it otherwise; the number of links agrees
                continue
            assert any(row["kind"] in KINDS[pair["how"]] for row in same), pair
            if pair["people"] == "no":
                assert [row["people_share"] for row in same] == [0.0]
    assert misspelt < 30


async def unit_of(country: Connection, visitor: Actor, code: str, on: date) -> Unit:
    rows = await country.fetch("SELECT unit_id FROM places.unit WHERE level = 'ward' AND code = $1", code)
    found = await service.units(visitor, country, [row["unit_id"] for row in rows])
    return next(one for one in found.values() if one.stood_on(on))


@pytest.mark.parametrize(
    ("code", "became"),
    [
        ("22945", {"Phường Phan Thiết"}),
        ("21727", {"Xã Kim Sơn"}),  # Ân Nghĩa, which the table confused with An Nghĩa
        ("21634", {"Xã An Hoà", "Xã An Toàn"}),  # An Nghĩa
        ("23710", {"Xã Ia Băng"}),
        ("23053", {"Xã Hồng Thái", "Xã Hoà Thắng"}),
        ("22978", {"Xã Tuy Phong", "Xã Phan Rí Cửa"}),
        ("22000", {"Xã Vân Canh", "Xã Canh Vinh"}),
        ("21997", {"Xã Canh Vinh", "Xã Canh Liên"}),
        ("25114", {"Xã Đạ Huoai 3"}),  # renamed
        ("23938", {"Xã Ia Mơ"}),  # kept
    ],
)
async def test_what_a_commune_became(
    visitor: Actor, country: Connection, code: str, became: set[str]
) -> None:
    former = await unit_of(country, visitor, code, BEFORE)
    found = await service.became(visitor, country, former.unit_id)
    assert {one.unit.full_name for one in found} == became
    assert {
        one.unit.full_name for one in await service.became_on(visitor, country, former.unit_id, TODAY)
    } == (became)
    for one in found:
        assert one.link.verified
        assert one.link.whole is (len(became) == 1)
        back = await service.came_from(visitor, country, one.unit.unit_id)
        assert former in [other.unit for other in back]
    assert await service.became_on(visitor, country, former.unit_id, BEFORE) == []


async def test_who_ended_earlier_is_followed_through_two_steps(visitor: Actor, country: Connection) -> None:
    former = await unit_of(country, visitor, "25174", date(2024, 1, 1))
    (first,) = await service.became(visitor, country, former.unit_id)
    assert first.unit.full_name == "Xã Nam Ninh"
    (last,) = await service.became_on(visitor, country, former.unit_id, TODAY)
    assert last.unit.full_name == "Xã Cát Tiên"
    assert (last.link.from_id, last.link.share, last.link.verified) == (former.unit_id, 1.0, False)
    (then,) = await service.became_on(visitor, country, former.unit_id, BEFORE)
    assert then.unit.full_name == "Xã Nam Ninh"


async def test_all_but_one_of_the_old_communes_lead_somewhere(country: Connection) -> None:
    """The table sends one commune of An Giang into another province: that row is not believed."""
    rows = await country.fetch(
        "SELECT u.code FROM places.unit AS u WHERE u.level = 'ward' AND u.valid_to IS NOT NULL"
        " AND NOT EXISTS (SELECT 1 FROM places.link AS l WHERE l.from_id = u.unit_id)"
    )
    assert [row["code"] for row in rows] == ["30622"]


async def test_links_lead_from_the_end_of_one_to_a_unit_of_that_day(country: Connection) -> None:
    rows = await country.fetch(
        "SELECT l.from_id FROM places.link AS l JOIN places.unit AS a ON a.unit_id = l.from_id"
        " JOIN places.unit AS b ON b.unit_id = l.to_id"
        " WHERE a.valid_to <> l.takes_effect OR b.valid_from > l.takes_effect"
        " OR b.valid_to <= l.takes_effect OR a.level <> b.level"
        " AND EXISTS (SELECT FROM places.unit AS c WHERE c.parent_id = a.unit_id)"
    )
    assert rows == []


async def test_an_unknown_unit_became_nothing(visitor: Actor, country: Connection) -> None:
    for verb in (service.became, service.came_from):
        with pytest.raises(UnitUnknown):
            await verb(visitor, country, "urn:haidang:unit:atlantis")


async def test_the_old_province_by_todays_wards(visitor: Actor, country: Connection) -> None:
    areas = {one.name: one for one in await service.reporting_areas(visitor, country)}
    counted = {
        name: len(await service.units_of_area(visitor, country, area.area_id, TODAY))
        for name, area in areas.items()
    }
    assert counted == {
        "Địa bàn Bình Định cũ": 58,
        "Địa bàn Bình Thuận cũ": 45,
        "Địa bàn Đắk Nông cũ": 28,
        "Địa bàn Gia Lai cũ": 77,
        "Địa bàn Lâm Đồng cũ": 51,
    }
    area = areas["Địa bàn Bình Thuận cũ"]
    before = await service.units_of_area(visitor, country, area.area_id, BEFORE)
    assert len(before) == 121
    assert {one.level for one in before} == {Level.WARD}


def link(former: str, later: str, day: date, *, kind: LinkKind = LinkKind.MERGE) -> Link:
    return Link(former, later, kind, 1.0, day)


DAYS = st.dates(date(2020, 1, 1), date(2030, 1, 1))


@given(
    links=st.lists(
        st.builds(link, st.sampled_from("abcdef"), st.sampled_from("abcdef"), DAYS).filter(
            lambda one: one.from_id != one.to_id
        ),
        max_size=25,
    ),
    on=DAYS,
)
def test_following_links_ends_and_never_goes_back_in_time(links: list[Link], on: date) -> None:
    for way in ways_onward("a", links_by_former(links, on)):
        days = [one.takes_effect for one in way.links]
        assert days == sorted(days)
        assert days[-1] <= on
        assert all(one.to_id == two.from_id for one, two in zip(way.links, way.links[1:], strict=False))
        assert len({one.to_id for one in way.links}) == len(way.links)
        assert "a" not in {one.to_id for one in way.links}
