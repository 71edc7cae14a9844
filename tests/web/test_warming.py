"""What a fresh process makes ready by itself: what it asks for is there, and nothing of it stops a start."""

from collections.abc import MutableMapping
from typing import Any

import pytest

from haidang.kernel.instants import VIETNAM
from haidang.web.asgi import build_application
from haidang.web.shared.house import House, Receive, Scope, Send
from haidang.web.shared.warming import first_asked, warm


class Noted:
    """An application that notes what it answered."""

    def __init__(self, house: House) -> None:
        self._application = build_application(house)
        self.answered: list[tuple[str, int]] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on."""

        async def noting(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "http.response.start":
                query = scope["query_string"].decode()
                self.answered.append((scope["path"] + (f"?{query}" if query else ""), message["status"]))
            await send(message)

        await self._application(scope, receive, noting)


async def test_everything_it_asks_for_is_answered(country_house: House) -> None:
    noted = Noted(country_house)
    await warm(noted, country_house)
    today = country_house.clock.now().astimezone(VIETNAM).date()
    assert noted.answered == [(path, 200) for path in first_asked(today)]


async def test_without_a_database_a_start_goes_on(house: House) -> None:
    await house.pool.close()
    noted = Noted(house)
    await warm(noted, house)
    assert 503 in {status for _, status in noted.answered}


async def test_a_broken_template_breaks_its_own_page_alone(
    country_house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    def explode() -> list[str]:
        raise ValueError("a broken template")

    monkeypatch.setattr(country_house.templates, "names", explode)
    noted = Noted(country_house)
    await warm(noted, country_house)
    assert {status for _, status in noted.answered} == {200}
