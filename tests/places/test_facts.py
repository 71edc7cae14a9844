"""The facts that are carried: how many, from when to when, what is known and what is not."""

import shutil
from collections import Counter
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from carry_units import written_description

from haidang.infra.database import Connection
from haidang.kernel.actors import Actor, anonymous
from haidang.kernel.instants import SetClock
from haidang.kernel.text import collation_key
from haidang.places import loading, service, store
from haidang.places.errors import FactsAreForAdministrators, FactsMalformed, UnitUnknown
from haidang.places.loading import FOLDER, load_facts
from haidang.places.model import Level, Unit

TODAY = date(2026, 11, 22)
BEFORE = date(2025, 6, 30)
BREAK = date(2025, 7, 1)


async def test_the_country_before_and_after(visitor: Actor, country: Connection) -> None:
    counted = {
        (on, level): len(await service.units_on(visitor, country, on, level=level))
        for on in (BEFORE, BREAK, TODAY)
        for level in Level
    }
    assert counted == {
        (BEFORE, Level.PROVINCE): 63,
        (BEFORE, Level.DISTRICT): 696,
        (BEFORE, Level.WARD): 10_047 - 4,  # four that the list still had had ended before
        (BREAK, Level.PROVINCE): 34,
        (BREAK, Level.DISTRICT): 0,
        (BREAK, Level.WARD): 3_321,
        (TODAY, Level.PROVINCE): 34,
        (TODAY, Level.DISTRICT): 0,
        (TODAY, Level.WARD): 3_321,
    }


async def pilots(visitor: Actor, country: Connection) -> dict[str, list[Unit]]:
    """The wards of the two pilot provinces today, by the province's full name."""
    found = {}
    for province in await service.units_on(visitor, country, TODAY, level=Level.PROVINCE):
        wards = await service.units_on(visitor, country, TODAY, parent_id=province.unit_id)
        if all(one.accuracy_m for one in wards):
            found[province.full_name] = wards
    return found


async def test_the_pilot_provinces_by_the_resolutions_own_count(visitor: Actor, country: Connection) -> None:
    found = await pilots(visitor, country)
    assert {name: dict(Counter(one.kind for one in wards)) for name, wards in found.items()} == {
        "Tỉnh Lâm Đồng": {"Xã": 103, "Phường": 20, "Đặc khu": 1},
        "Tỉnh Gia Lai": {"Xã": 110, "Phường": 25},
    }
    wards = [one for group in found.values() for one in group]
    assert Counter(one.accuracy_m for one in wards) == {5.0: 13, 66.0: 246}
    assert all(one.verified and one.legal_basis and "khoản" in one.legal_basis for one in wards)
    assert all(one.area_km2 for one in wards)
    unknown = [one.full_name for one in wards if one.population is None]
    assert len(unknown) == 17
    assert "Phường Phú Thuỷ" in unknown
    assert not any(one.population_doubtful for one in wards if one.population is None)
    assert all(one.population > 0 for one in wards if one.population is not None)


@pytest.mark.parametrize(
    ("code", "name", "province"),
    [
        ("498", "Hoàng Sa", "Thành phố Đà Nẵng"),
        ("536", "Lý Sơn", "Tỉnh Quảng Ngãi"),
        ("755", "Côn Đảo", "Tỉnh Bà Rịa - Vũng Tàu"),
        ("318", "Bạch Long Vĩ", "Thành phố Hải Phòng"),
        ("471", "Cồn Cỏ", "Tỉnh Quảng Trị"),
    ],
)
async def test_an_island_district_without_communes_became_a_special_zone(
    visitor: Actor, country: Connection, code: str, name: str, province: str
) -> None:
    """It stood before 1 July 2025, though a list of communes does not know it."""
    districts = await service.units_on(visitor, country, BEFORE, level=Level.DISTRICT)
    (district,) = [one for one in districts if one.code == code]
    path = await service.path_of(visitor, country, district.unit_id)
    assert [one.full_name for one in path] == [province, f"Huyện {name}"]
    (step,) = await service.became(visitor, country, district.unit_id)
    assert (step.unit.full_name, step.unit.level, step.link.whole) == (f"Đặc khu {name}", Level.WARD, True)
    assert [one.unit for one in await service.came_from(visitor, country, step.unit.unit_id)] == [district]


async def test_a_code_is_used_again_for_another_unit(visitor: Actor, country: Connection) -> None:
    rows = await country.fetch("SELECT unit_id FROM places.unit WHERE level = 'ward' AND code = '22945'")
    both = await service.units(visitor, country, [row["unit_id"] for row in rows])
    assert sorted((one.full_name, one.stood_on(BEFORE), one.stood_on(BREAK)) for one in both.values()) == [
        ("Phường Lạc Đạo", True, False),
        ("Phường Phan Thiết", False, True),
    ]


async def test_no_code_stands_for_two_units_of_a_level_at_once(country: Connection) -> None:
    rows = await country.fetch(
        "SELECT a.code FROM places.unit AS a JOIN places.unit AS b"
        " ON a.level = b.level AND a.code = b.code AND a.unit_id < b.unit_id"
        " AND daterange(a.valid_from, a.valid_to) && daterange(b.valid_from, b.valid_to)"
    )
    assert rows == []


async def test_every_unit_stands_under_one_of_its_time(country: Connection) -> None:
    rows = await country.fetch(
        "SELECT u.unit_id FROM places.unit AS u LEFT JOIN places.unit AS p ON p.unit_id = u.parent_id"
        " WHERE u.level <> 'province' AND (p.unit_id IS NULL"
        " OR NOT daterange(u.valid_from, u.valid_to) && daterange(p.valid_from, p.valid_to))"
    )
    assert rows == []


async def test_a_path_goes_by_the_time_of_the_unit(visitor: Actor, country: Connection) -> None:
    rows = await country.fetch("SELECT unit_id FROM places.unit WHERE level = 'ward' AND code = '22945'")
    paths = [[one.full_name for one in await service.path_of(visitor, country, row[0])] for row in rows]
    assert sorted(paths) == [
        ["Tỉnh Bình Thuận", "Thành phố Phan Thiết", "Phường Lạc Đạo"],
        ["Tỉnh Lâm Đồng", "Phường Phan Thiết"],
    ]


async def test_units_come_in_vietnamese_order(visitor: Actor, country: Connection) -> None:
    names = [one.name for one in await service.units_on(visitor, country, TODAY, level=Level.PROVINCE)]
    assert names == sorted(names, key=collation_key)
    assert names.index("Đà Nẵng") > names.index("Cà Mau")
    assert names[0] == "An Giang"


async def test_who_ended_earlier_says_what_is_known(visitor: Actor, country: Connection) -> None:
    rows = await country.fetch(
        "SELECT unit_id FROM places.unit WHERE level = 'ward' AND code = ANY($1)",
        ["25102", "25174", "25177", "25186"],
    )
    found = await service.units(visitor, country, [row["unit_id"] for row in rows])
    assert len(found) == 4
    for one in found.values():
        assert one.valid_to == date(2024, 12, 1)
        assert one.ended_by is not None
        assert "chưa rõ" in one.ended_by
        assert not one.verified


async def test_an_unknown_unit_is_not_found(visitor: Actor, country: Connection) -> None:
    with pytest.raises(UnitUnknown):
        await service.unit(visitor, country, "urn:haidang:unit:atlantis")
    with pytest.raises(UnitUnknown):
        await service.path_of(visitor, country, "22945")


async def test_facts_are_loaded_once(visitor: Actor, country: Connection) -> None:
    before = await service.edition(visitor, country)
    assert await load_facts(visitor, country) == []
    assert await service.edition(visitor, country) == before
    (release,) = [one for one in await service.releases(visitor, country) if one.name == "units"]
    assert "1671/NQ-UBTVQH15" in release.provenance
    assert "Units before 1 July 2025: no licence given" in release.licence
    assert "no copyright" in release.licence
    assert release.records_since == date(2025, 3, 1)
    assert await service.records_since(visitor, country) == date(2025, 3, 1)


def test_the_description_is_what_the_script_writes() -> None:
    text = (FOLDER / "units.toml").read_text("utf-8")
    assert written_description(text) == text


async def test_the_latest_release_is_known_though_the_clock_went_back(
    visitor: Actor, country: Connection
) -> None:
    (held,) = [one for one in await service.releases(visitor, country) if one.name == "units"]
    newer = replace(held, checksum="f" * 64, title="Newer")
    await store.note_release(country, newer, now=datetime(2001, 1, 1, tzinfo=UTC))
    assert await store.release_loaded(country, "units") == newer.checksum
    assert newer in await service.releases(visitor, country)
    await store.note_release(country, held, now=datetime(2000, 1, 1, tzinfo=UTC))
    assert await store.release_loaded(country, "units") == held.checksum


async def test_nothing_loaded_is_known_since_two_levels(visitor: Actor, connection: Connection) -> None:
    assert await service.records_since(visitor, connection) == BREAK


async def test_only_administrators_load_facts(country: Connection) -> None:
    with pytest.raises(FactsAreForAdministrators):
        await load_facts(anonymous(), country)


@pytest.fixture
def newer(tmp_path: Path) -> Path:
    """A copy of the facts that a test may change."""
    folder = tmp_path / "facts"
    shutil.copytree(FOLDER, folder)
    return folder


def rewrite(folder: Path, old: str, new: str, *, file: str = "units.tsv") -> None:
    text = (folder / file).read_text("utf-8")
    assert old in text
    (folder / file).write_text(text.replace(old, new), "utf-8")


async def test_a_newer_release_corrects_and_keeps_what_was_changed_here(
    visitor: Actor, country: Connection, newer: Path, clock: SetClock
) -> None:
    """A name is corrected; a unit that a change made here ended stays ended; its own links stay."""
    rewrite(newer, "\tPhan Thiết\tPhan Thiet\t", "\tPhan Thiết Mới\tPhan Thiet\t")
    unit_id = "urn:haidang:unit:phuong-mui-ne-lam-dong"
    await country.execute(
        "UPDATE places.unit SET valid_to = '2027-01-01', ended_by = 'QĐ 1', end_origin = 'change'"
        " WHERE unit_id = $1",
        unit_id,
    )
    made = Unit(
        "urn:haidang:unit:test", Level.WARD, "Phường", "99999", "Thử", "Phường Thử",
        valid_from=date(2027, 1, 1), verified=True,
    )  # fmt: skip
    await store.put_units(country, [made], origin=store.CHANGE)
    before = await service.edition(visitor, country)
    assert await load_facts(visitor, country, folder=newer, clock=clock) == ["units"]
    assert await service.edition(visitor, country) != before
    renamed = await service.unit(visitor, country, "urn:haidang:unit:phuong-phan-thiet-lam-dong")
    assert renamed.name == "Phan Thiết Mới"
    ended = await service.unit(visitor, country, unit_id)
    assert (ended.valid_to, ended.ended_by) == (date(2027, 1, 1), "QĐ 1")
    assert await service.unit(visitor, country, made.unit_id) == made
    assert len(await service.outlines(visitor, country, [unit_id])) == 1


async def test_facts_that_cannot_be_read_leave_the_old_ones(
    visitor: Actor, country: Connection, newer: Path
) -> None:
    rewrite(
        newer, "\tmerge\t1\t1\t2025-07-01\tNQ202\t", "\tmarry\t1\t1\t2025-07-01\tNQ202\t", file="links.tsv"
    )
    with pytest.raises(FactsMalformed, match=r"links\.tsv"):
        await load_facts(visitor, country, folder=newer)
    assert len(await service.units_on(visitor, country, TODAY, level=Level.PROVINCE)) == 34
    assert await country.fetchval("SELECT count(*) FROM places.link") > 10_000


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("outlines.txt", "= a 5 5\n+ 1 2 3\n"),
        ("outlines.txt", "= a 5 5\n- 1 2 3 4 5 6\n"),
        ("outlines.txt", "= a 5 5\n+ 1 2 x 4 5 6\n"),
        ("outlines.txt", "nonsense\n"),
    ],
)
def test_a_malformed_outline_is_refused_with_its_line(tmp_path: Path, file: str, text: str) -> None:
    path = tmp_path / file
    path.write_text(text, "utf-8")
    with pytest.raises(FactsMalformed) as refused:
        loading.read_outlines(path)
    assert refused.value.fields["file"] == file
