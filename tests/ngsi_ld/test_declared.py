"""What packs declare holds at this door too: sentinels, ranges, units, and what is derived."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from haidang.context.model import AttributeInstance, MergeObservations
from haidang.context.writer import apply_commands
from tests.ngsi_ld.conftest import PACKS_LINK, Face

LINK = {"link": PACKS_LINK}
STATION = "urn:ngsi-ld:AirStation:declared"


def station(**attributes: Any) -> dict[str, Any]:
    return {"id": STATION, "type": "AirStation", **attributes}


@pytest.mark.parametrize(
    ("sent", "kept", "quality"),
    [(-999, None, None), (2001, 2001, "invalid"), (12.5, 12.5, None)],
)
async def test_a_sentinel_is_missing_and_an_impossible_number_never_counts(
    face: Face, sent: float, kept: float | None, quality: str | None
) -> None:
    value = {"type": "Property", "value": sent, "observedAt": "2026-11-21T04:00:00Z"}
    made = await face.ask("POST", "/entities", station(pm25=value), headers=LINK)
    assert made.status == 201, made.body
    pm25 = (await face.ask("GET", f"/entities/{STATION}", headers=LINK)).json.get("pm25", {})
    assert pm25.get("value") == kept
    assert pm25.get("unitCode") == (None if kept is None else "GQ")
    assert pm25.get("quality", {}).get("value") == quality


async def test_what_the_platform_derives_is_not_written_by_others(face: Face) -> None:
    index = {"type": "Property", "value": 5}
    refused = await face.ask("POST", "/entities", station(index=index), headers=LINK)
    assert refused.status == 400
    assert "computed by the platform" in refused.json["detail"]
    assert (await face.ask("GET", f"/entities/{STATION}", headers=LINK)).status == 404


async def test_the_newest_of_each_series_is_there_however_many_another_one_has(face: Face) -> None:
    start = datetime(2026, 11, 20, tzinfo=UTC)
    often = tuple(
        AttributeInstance("https://example.vn/often", n, observed_at=start + timedelta(seconds=n))
        for n in range(10_100)
    )
    rare = AttributeInstance("https://example.vn/rare", 1, observed_at=start - timedelta(hours=3))
    command = MergeObservations(
        entity_id=STATION, type_iri="https://example.vn/Station", attributes=(*often, rare)
    )
    async with face.pool.acquire() as connection, connection.transaction():
        await apply_commands(connection, face.actor, [command], now=start + timedelta(days=1))
    answer = await face.get(f"/temporal/entities/{STATION}?lastN=3&options=temporalValues")
    assert answer.status == 200
    assert [value for value, _ in answer.json["https://example.vn/rare"]["values"]] == [1]
    assert len(answer.json["https://example.vn/often"]["values"]) == 3
