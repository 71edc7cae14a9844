"""What is kept of an edition of units: made once for all who ask, bounded, and gone with the edition."""

import asyncio
from pathlib import Path
from uuid import uuid4

import pytest

from haidang.infra.database import transaction
from haidang.infra.embedded import TemporaryCluster
from haidang.infra.settings import read_settings
from haidang.infra.translations import Translations
from haidang.kernel.instants import SetClock
from haidang.places import store
from haidang.web.asgi import build_application
from haidang.web.shared.editions import KeptByEdition
from tests.web.client import Client
from tests.web.country import lam_dong
from tests.web.houses import house_on


async def test_a_thing_is_made_once_for_all_who_wait_and_anew_for_another_edition() -> None:
    kept, made = KeptByEdition[int](8), []

    async def make() -> int:
        made.append(1)
        await asyncio.sleep(0)
        return len(made)

    edition = uuid4()
    assert await asyncio.gather(*(kept.get(edition, "a", make) for _ in range(9))) == [1] * 9
    assert await kept.get(edition, "b", make) == 2
    assert await kept.get(uuid4(), "a", make) == 3
    assert await kept.get(edition, "a", make) == 1


async def test_the_longest_unasked_goes_first_and_before_any_edition_nothing_is_kept() -> None:
    kept, made = KeptByEdition[str](2), []
    edition = uuid4()

    async def get(key: str) -> None:
        async def make() -> str:
            made.append(key)
            return key

        await kept.get(None if key == "-" else edition, key, make)

    for key in "abacbab--":
        await get(key)
    assert "".join(made) == "abcba--"


async def test_what_could_not_be_made_is_not_kept_and_who_waited_makes_it() -> None:
    kept, edition = KeptByEdition[str](2), uuid4()
    going = asyncio.Event()

    async def broken() -> str:
        await going.wait()
        raise LookupError

    async def whole() -> str:
        return "whole"

    first = asyncio.create_task(kept.get(edition, "a", broken))
    await asyncio.sleep(0)
    second = asyncio.create_task(kept.get(edition, "a", whole))
    await asyncio.sleep(0)
    going.set()
    with pytest.raises(LookupError):
        await first
    assert await second == "whole"


async def test_pages_and_outlines_follow_a_change_of_units_at_once(
    cluster: TemporaryCluster,
    country_template: str,
    clock: SetClock,
    translations: Translations,
    tmp_path: Path,
) -> None:
    """The day is the same and so is the clock: only the edition tells that units have changed."""
    paths = (
        "/don-vi?tinh=tinh-lam-dong",
        "/don-vi/tinh-lam-dong",
        "/api/places/outlines?parent=tinh-lam-dong&level=ward",
    )
    async with lam_dong(cluster, country_template, clock.now()) as pool:
        settings = read_settings({"HAIDANG_HOME": str(tmp_path)})
        web = Client(build_application(house_on(pool, clock, translations, settings)))
        before = [(await web.page(path)).text for path in paths]
        again = [(await web.page(path)).text for path in paths]
        async with transaction(pool) as connection:
            await connection.execute(
                "UPDATE places.unit SET full_name = 'Phường Đổi Tên' WHERE full_name = 'Phường Phan Thiết'"
            )
            await store.begin_edition(connection)
        # Typed words, or the other language, make a page anew: the five seconds of a shared page are
        # not what is tested.
        after = [
            (await web.page(path)).text for path in (paths[0] + "&tim=phuong", "/en" + paths[1], paths[2])
        ]
    assert all("Phường Phan Thiết" in page for page in before)
    assert again == before
    for page in after:
        assert "Đổi Tên" in page
        assert "Phường Phan Thiết" not in page
