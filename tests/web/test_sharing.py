"""A page made once for many: one at a time, young, and never what could not be made."""

import asyncio
from datetime import timedelta

import pytest

from haidang.infra.tokens import issue_token
from haidang.kernel.actors import part
from haidang.kernel.errors import Unavailable
from haidang.kernel.instants import SetClock
from haidang.web.asgi import build_application
from haidang.web.shared.answers import HTML, Whole
from haidang.web.shared.house import House
from haidang.web.shared.sharing import SHARED_FOR, SharedPages
from tests.web.client import Client
from tests.web.stations import FIVE, write_stations


class Maker:
    """Makes a page, slowly, and counts how often."""

    def __init__(self) -> None:
        self.made = 0
        self.fails = False

    async def __call__(self) -> Whole:
        """The next page, numbered."""
        self.made += 1
        number = self.made
        await asyncio.sleep(0.01)
        if self.fails:
            raise Unavailable
        return Whole(str(number).encode(), HTML)


async def test_a_hundred_who_ask_at_once_are_given_one_page(clock: SetClock) -> None:
    pages, maker = SharedPages(clock), Maker()
    given = await asyncio.gather(*(pages.get("/", maker) for _ in range(100)))
    assert maker.made == 1
    assert len({id(one) for one in given}) == 1


async def test_a_page_is_made_anew_when_it_is_no_longer_young(clock: SetClock) -> None:
    pages, maker = SharedPages(clock), Maker()
    first = await pages.get("/", maker)
    clock.advance(SHARED_FOR - timedelta(milliseconds=1))
    assert await pages.get("/", maker) is first
    clock.advance(timedelta(milliseconds=1))
    assert await pages.get("/", maker) is not first
    assert await pages.get("/other", maker) is not first


async def test_what_could_not_be_made_is_heard_by_all_who_wait_and_kept_from_the_next(
    clock: SetClock,
) -> None:
    pages, maker = SharedPages(clock), Maker()
    maker.fails = True
    given = await asyncio.gather(*(pages.get("/", maker) for _ in range(5)), return_exceptions=True)
    assert maker.made == 1
    assert all(isinstance(one, Unavailable) for one in given)
    maker.fails = False
    assert (await pages.get("/", maker)).answer([]).body == b"2"


async def test_who_hangs_up_does_not_take_the_page_from_the_others(clock: SetClock) -> None:
    pages, maker = SharedPages(clock), Maker()
    impatient = asyncio.create_task(pages.get("/", maker))
    patient = asyncio.create_task(pages.get("/", maker))
    await asyncio.sleep(0)
    impatient.cancel()
    with pytest.raises(asyncio.CancelledError):
        await impatient
    assert (await patient).answer([]).body == b"1"
    assert maker.made == 1


async def test_visitors_share_a_page_and_who_is_known_has_their_own(house: House, clock: SetClock) -> None:
    web = Client(build_application(house))
    async with house.pool.acquire() as connection:
        token = await issue_token(part("test"), connection, "m", now=clock.now(), lasts=None)
    assert "61 Trung bình" not in (await web.page("/khong-khi")).text
    await write_stations(house.pool, FIVE[:1], clock.now())
    assert "61 Trung bình" not in (await web.page("/khong-khi")).text
    known = await web.page("/khong-khi", ("authorization", f"Bearer {token}"))
    assert "61 Trung bình" in known.text
    clock.advance(SHARED_FOR)
    assert "61 Trung bình" in (await web.page("/khong-khi")).text
