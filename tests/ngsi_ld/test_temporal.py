"""Entities through time over NGSI-LD, and as they were known at a moment."""

from datetime import timedelta
from typing import Any

import pytest

from haidang.kernel.instants import SetClock
from tests.ngsi_ld.conftest import Face

ID = "urn:ngsi-ld:Vehicle:A4567"
NULL = "urn:ngsi-ld:null"


def speed(value: float, observed_at: str, **more: Any) -> dict[str, Any]:
    return {"type": "Property", "value": value, "observedAt": f"2026-11-21T{observed_at}:00Z", **more}


@pytest.fixture
async def driven(face: Face, clock: SetClock) -> Face:
    """A vehicle created at 05:00 whose speed was observed at 02, 03 and 04 o'clock."""
    await face.post(
        "/entities", {"id": ID, "type": "Vehicle", "brand": "Mercedes", "speed": speed(50, "02:00")}
    )
    for value, hour in ((55, "03:00"), (60.5, "04:00")):
        clock.advance(timedelta(minutes=10))
        await face.patch(f"/entities/{ID}/attrs", {"speed": speed(value, hour, unitCode="KMH")})
    return face


async def test_the_whole_evolution(driven: Face) -> None:
    said = await driven.get(f"/temporal/entities/{ID}", actor=driven.nobody)
    assert said.status == 200
    shown = said.json
    assert (shown["id"], shown["type"]) == (ID, "Vehicle")
    instances = shown["speed"]
    assert [one["value"] for one in instances] == [50, 55, 60.5]
    assert instances[1]["unitCode"] == "KMH"
    assert len({one["instanceId"] for one in instances}) == 3
    assert all(one["instanceId"].startswith("urn:uuid:") for one in instances)
    assert shown["brand"][0]["value"] == "Mercedes"


@pytest.mark.parametrize(
    ("query", "values"),
    [
        ("timerel=after&timeAt=2026-11-21T02:00:00Z", [55, 60.5]),
        ("timerel=before&timeAt=2026-11-21T03:00:00Z", [50]),
        ("timerel=between&timeAt=2026-11-21T03:00:00Z&endTimeAt=2026-11-21T04:00:00Z", [55]),
        ("timerel=between&timeAt=2026-11-21T10:00:00%2B07:00&endTimeAt=2026-11-21T11:00:00%2B07:00", [55]),
        ("lastN=2", [55, 60.5]),
        ("lastN=1&timerel=before&timeAt=2026-11-21T04:00:00Z", [55]),
        ("timerel=after&timeAt=2026-11-21T05:05:00Z&timeproperty=modifiedAt", [55, 60.5]),
        ("timerel=before&timeAt=2015-01-01T00:00:00Z", []),
    ],
)
async def test_time_frames(driven: Face, query: str, values: list[float]) -> None:
    shown = (await driven.get(f"/temporal/entities/{ID}?{query}&attrs=speed")).json
    assert [one["value"] for one in shown.get("speed", [])] == values


async def test_temporal_values(driven: Face) -> None:
    said = await driven.get(f"/temporal/entities/{ID}?options=temporalValues&attrs=speed")
    assert said.json["speed"] == {
        "type": "Property",
        "values": [
            [50, "2026-11-21T02:00:00Z"],
            [55, "2026-11-21T03:00:00Z"],
            [60.5, "2026-11-21T04:00:00Z"],
        ],
    }


async def test_a_query_over_types(driven: Face) -> None:
    await driven.post("/entities", {"id": "urn:x:old", "type": "Vehicle", "speed": speed(1, "01:00")})
    found = await driven.get("/temporal/entities?type=Vehicle&timerel=after&timeAt=2026-11-21T01:30:00Z")
    assert [one["id"] for one in found.json] == [ID]
    assert (await driven.get("/temporal/entities?type=Vehicle")).status == 400
    assert (await driven.get("/temporal/entities?timerel=after&timeAt=2026-11-21T01:30:00Z")).status == 400


async def test_a_correction_is_kept_and_can_be_asked_around(driven: Face, clock: SetClock) -> None:
    clock.advance(timedelta(hours=1))
    await driven.patch(f"/entities/{ID}/attrs", {"speed": speed(61, "04:00", unitCode="KMH")})

    async def values(query: str = "") -> list[float]:
        said = await driven.get(f"/temporal/entities/{ID}?attrs=speed{query}")
        return [one["value"] for one in said.json["speed"]]

    assert await values() == [50, 55, 61]
    assert await values("&knownAt=2026-11-21T06:00:00Z") == [50, 55, 60.5]
    assert await values("&knownAt=2026-11-21T05:15:00Z") == [50, 55]
    then = (await driven.get(f"/entities/{ID}?options=keyValues&knownAt=2026-11-21T05:15:00Z")).json
    assert then == {"id": ID, "type": "Vehicle", "brand": "Mercedes", "speed": 55}
    assert (await driven.get(f"/entities/{ID}?knownAt=2026-11-21T04:00:00Z")).status == 404
    listed = await driven.get("/entities?type=Vehicle&options=keyValues&knownAt=2026-11-21T05:00:00Z")
    assert [one["speed"] for one in listed.json] == [50]


async def test_what_was_deleted_has_a_history(driven: Face, clock: SetClock) -> None:
    clock.advance(timedelta(hours=1))
    await driven.delete(f"/entities/{ID}/attrs/speed")
    after = "timerel=after&timeAt=2026-11-21T06:00:00Z&timeproperty=deletedAt"
    gone = (await driven.get(f"/temporal/entities/{ID}?{after}")).json["speed"]
    assert [(one["value"], one["deletedAt"]) for one in gone] == [(NULL, "2026-11-21T06:20:00Z")]
    await driven.delete(f"/entities/{ID}")
    assert (await driven.get(f"/entities/{ID}")).status == 404
    shown = (await driven.get(f"/temporal/entities/{ID}?attrs=speed")).json
    assert [one["value"] for one in shown["speed"]] == [50, 55, 60.5]
    assert (await driven.get("/temporal/entities/urn:x:never")).status == 404


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("timerel=after", 400),
        ("timeAt=2026-11-21T06:00:00Z", 400),
        ("timerel=since&timeAt=2026-11-21T06:00:00Z", 400),
        ("timerel=between&timeAt=2026-11-21T06:00:00Z", 400),
        ("timerel=between&timeAt=2026-11-21T06:00:00Z&endTimeAt=2026-11-21T05:00:00Z", 400),
        ("timerel=after&timeAt=today", 400),
        ("lastN=0", 400),
        ("timeproperty=when", 400),
        ("options=aggregatedValues", 422),
        ("aggrMethods=sum", 422),
        ("nonsense=1", 400),
    ],
)
async def test_wrong_temporal_queries(driven: Face, query: str, status: int) -> None:
    assert (await driven.get(f"/temporal/entities/{ID}?{query}")).status == status


async def test_an_answer_that_would_be_too_long_is_partial(driven: Face) -> None:
    driven.application = driven.limited(most_instances=2)
    said = await driven.get(f"/temporal/entities/{ID}?attrs=speed")
    assert said.status == 206
    assert said.headers["content-range"] == "date-time 2026-11-21T03:00:00Z-2026-11-21T04:00:00Z/*"
    assert [one["value"] for one in said.json["speed"]] == [55, 60.5]
