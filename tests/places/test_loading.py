"""Facts come in with the migrations: from the command line, once, whoever else loads at the same time."""

import asyncio
from datetime import date
from pathlib import Path

import pytest
from click.testing import CliRunner

from haidang import cli
from haidang.infra.database import Connection, Pool
from haidang.kernel.actors import Actor
from haidang.places import loading, service
from haidang.places.loading import load_facts, read_links
from haidang.places.model import Level, Unit

TODAY = date(2026, 11, 22)


async def test_the_command_that_migrates_loads_the_facts(dsn: str) -> None:
    runner = CliRunner(env={"DATABASE_URL": dsn, "HAIDANG_DEFAULT_LOCALE": "vi"})
    first = await asyncio.to_thread(runner.invoke, cli.haidang, ["migrate"], catch_exceptions=False)
    assert "units" in first.output.split()
    again = await asyncio.to_thread(runner.invoke, cli.haidang, ["migrate"], catch_exceptions=False)
    assert again.output.strip() == "Cơ sở dữ liệu đã được cập nhật."


async def test_two_who_load_at_once_load_once(pool: Pool, visitor: Actor) -> None:
    async def load() -> list[str]:
        async with pool.acquire() as connection:
            return await load_facts(visitor, connection)

    both = await asyncio.gather(load(), load())
    assert sorted([*both[0], *both[1]]).count("units") == 1
    async with pool.acquire() as connection:
        assert len(await service.units_on(visitor, connection, TODAY, level=Level.PROVINCE)) == 34


async def test_rooms_above_find_units_by_the_published_views(country: Connection) -> None:
    row = await country.fetchrow(
        "SELECT a.full_name FROM places.unit_at AS a"
        " WHERE a.box @> box(point(108.1, 10.933), point(108.1, 10.933)) AND a.level = 'ward'"
        " AND coalesce(a.valid_from, '-infinity') <= $1 AND coalesce(a.valid_to, 'infinity') > $1"
        " ORDER BY a.accuracy_m, area(a.box)",
        TODAY,
    )
    assert row is not None
    assert row["full_name"] == "Phường Phan Thiết"
    levels = await country.fetch(
        "SELECT n.level, count(*) AS units FROM places.unit_now AS n GROUP BY n.level"
    )
    assert {one["level"]: one["units"] for one in levels} == {"province": 34, "ward": 3_321}


def test_a_code_of_a_link_means_the_unit_that_ended_that_day(tmp_path: Path) -> None:
    """A code may end twice: each link is of the unit that ended on its own day."""

    def ward(unit_id: str, since: date | None, until: date | None) -> Unit:
        return Unit(unit_id, Level.WARD, "Xã", "00001", "A", "Xã A", valid_from=since, valid_to=until)

    first, second = date(2025, 7, 1), date(2027, 1, 1)
    by_code = {
        (Level.WARD, "00001"): [ward("a", None, first), ward("b", first, second), ward("c", second, None)]
    }
    path = tmp_path / "links.tsv"
    head = "level\tfrom_code\tto_code\tkind\tshare\tpeople_share\ttakes_effect\tlegal_basis\tverified\n"
    lines = [f"ward\t00001\t00001\tcontinues\t1\t1\t{day}\tX:1+2\tyes\n" for day in (first, second)]
    path.write_text(head + "".join(lines), "utf-8")
    links = read_links(path, {"X": "Luật X, khoản {items}"}, by_code)
    assert [(one.from_id, one.to_id) for one in links] == [("a", "b"), ("b", "c")]
    assert links[0].legal_basis == "Luật X, khoản 1 và 2"


@pytest.mark.parametrize("file", ["units.tsv", "links.tsv", "outlines.txt"])
def test_every_file_of_the_facts_is_described(file: str) -> None:
    """A file that the description does not name would change without being loaded again."""
    described = (loading.FOLDER / "units.toml").read_text("utf-8")
    assert f'"{file}"' in described
    page = (Path(__file__).parents[2] / "docs" / "reference" / "units.md").read_text("utf-8")
    assert f"`{file}`" in page


@pytest.mark.parametrize("file", ["units.tsv", "links.tsv"])
def test_every_column_stands_in_the_reference(file: str) -> None:
    lines = (loading.FOLDER / file).read_text("utf-8").splitlines()
    columns = next(line for line in lines if not line.startswith("#")).split("\t")
    page = (Path(__file__).parents[2] / "docs" / "reference" / "units.md").read_text("utf-8")
    assert [one for one in columns if f"`{one}`" not in page] == []
