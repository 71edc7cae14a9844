"""Days that our records do not reach are said; days that no database can hold are refused."""

import pytest

from tests.web.client import Client


@pytest.mark.parametrize(
    "address",
    [
        "/api/places/units?",
        "/api/places/unit-at?longitude=108.1&latitude=10.933&",
        "/api/places/resolve?text=phan+thiet&",
        "/api/places/search?q=phan+thiet&",
        "/api/places/outlines?",
    ],
)
async def test_the_answer_says_since_when_units_are_known(country_web: Client, address: str) -> None:
    reply = await country_web.get(f"{address}on=1960-01-01")
    assert reply.status == 200
    assert (reply.json["on"], reply.json["records_since"]) == ("1960-01-01", "2025-03-01")


@pytest.mark.parametrize("on", ["9999-12-31", "3000-01-01"])
async def test_days_beyond_reach_are_refused(country_web: Client, on: str) -> None:
    reply = await country_web.get(f"/api/places/units?on={on}")
    assert reply.status == 422
    assert reply.json["type"] == "urn:haidang:problem:day-too-far-ahead"
    last = await country_web.get("/api/places/units?on=2999-12-31")
    assert len(last.json["units"]) == 34
