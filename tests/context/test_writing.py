"""Writing: create, merge, supersede, repeat; read as it is and as it was known."""

from datetime import UTC, datetime, timedelta

import pytest

from haidang.context.errors import EntityUnknown
from haidang.context.model import (
    AttributeInstance,
    CreateEntity,
    DeleteEntity,
    MergeObservations,
    Outcome,
    UpdateAttributes,
    value_of,
)
from haidang.context.service import history, latest_entities, one_entity, retrieve_entity
from haidang.context.writer import apply_commands
from haidang.infra.database import Connection
from haidang.kernel.actors import part
from haidang.kernel.instants import Instant
from haidang.sdk.model import Attribute, EntityType, Quality

ACTOR = part("test")
NOON = datetime(2026, 11, 21, 5, tzinfo=UTC)
HOUR = timedelta(hours=1)
STATION = "urn:ngsi-ld:AirQualityObserved:phu-thuy"
TYPE = "https://example.vn/AirQualityObserved"
PM25 = "https://example.vn/pm25"
NAME = "https://example.vn/name"

AIR = EntityType(
    name="AirQualityObserved",
    iri=TYPE,
    label="Air",
    attributes=(Attribute("pm25", PM25, unit="GQ"), Attribute("name", NAME, lasting=True)),
)


def pm25(value: float | None, observed_at: Instant, why: str | None = None) -> AttributeInstance:
    quality = Quality.MISSING if value is None else Quality.VALID
    return AttributeInstance(PM25, value, unit="GQ", observed_at=observed_at, why=why, quality=quality)


async def merge(connection: Connection, now: Instant, *instances: AttributeInstance) -> Outcome:
    command = MergeObservations(entity_id=STATION, type_iri=TYPE, attributes=instances)
    (outcome,) = await apply_commands(connection, ACTOR, [command], now=now)
    return outcome


async def values_known_at(
    connection: Connection, known_at: Instant | None
) -> list[tuple[Instant, float | None]]:
    found = await history(
        ACTOR,
        connection,
        [STATION],
        AIR.attributes[:1],
        NOON - 99 * HOUR,
        NOON + 99 * HOUR,
        known_at=known_at,
    )
    return [(one.observed_at, one.number) for one in found[STATION]["pm25"]]


async def test_a_reading_becomes_an_entity_with_a_history(connection: Connection) -> None:
    outcome = await merge(
        connection, NOON, AttributeInstance(NAME, "Phú Thủy"), pm25(18.4, NOON - HOUR), pm25(20.0, NOON)
    )
    assert outcome.created
    view = await one_entity(ACTOR, connection, AIR, STATION)
    assert view is not None
    assert view.values == {"name": "Phú Thủy", "pm25": 20.0}
    assert view.observed_at == {"pm25": NOON}
    assert view.units == {"pm25": "GQ"}
    assert await values_known_at(connection, None) == [(NOON - HOUR, 18.4), (NOON, 20.0)]
    assert await latest_entities(ACTOR, connection, AIR, 10) == [view]


async def test_a_later_value_for_the_same_moment_supersedes_and_keeps_the_earlier(
    connection: Connection,
) -> None:
    await merge(connection, NOON, pm25(18.4, NOON))
    corrected = await merge(connection, NOON + HOUR, pm25(19.0, NOON, why="recalibrated"))
    assert corrected.superseded == 1
    assert await values_known_at(connection, None) == [(NOON, 19.0)]
    assert await values_known_at(connection, NOON + HOUR / 2) == [(NOON, 18.4)]
    assert await values_known_at(connection, NOON - HOUR) == []
    then = await retrieve_entity(ACTOR, connection, STATION, known_at=NOON + HOUR / 2)
    assert value_of(then.attributes[PM25][0]) == 18.4
    now = await retrieve_entity(ACTOR, connection, STATION, known_at=NOON + 2 * HOUR)
    assert value_of(now.attributes[PM25][0]) == 19.0
    kept = await connection.fetchrow(
        "SELECT number, superseded_at, superseded_why FROM context.observation"
        " WHERE superseded_at IS NOT NULL"
    )
    assert dict(kept) == {"number": 18.4, "superseded_at": NOON + HOUR, "superseded_why": "recalibrated"}


async def test_an_identical_repeat_adds_nothing(connection: Connection) -> None:
    await merge(connection, NOON, AttributeInstance(NAME, "Phú Thủy"), pm25(18.4, NOON))
    for late in (NOON, NOON + HOUR):
        again = await merge(connection, late, AttributeInstance(NAME, "Phú Thủy"), pm25(18.4, NOON))
        assert not again.changed
    assert await connection.fetchval("SELECT count(*) FROM context.observation") == 2
    assert await connection.fetchval("SELECT count(*) FROM context.entity_version") == 1


async def test_a_late_reading_enters_the_history_and_not_the_present(connection: Connection) -> None:
    await merge(connection, NOON, pm25(18.4, NOON))
    late = await merge(connection, NOON + HOUR, pm25(12.0, NOON - HOUR))
    assert late.changed
    state = await retrieve_entity(ACTOR, connection, STATION)
    assert value_of(state.attributes[PM25][0]) == 18.4
    assert await values_known_at(connection, None) == [(NOON - HOUR, 12.0), (NOON, 18.4)]
    assert not (await merge(connection, NOON + 2 * HOUR, pm25(12.0, NOON - HOUR))).changed


async def test_no_index_takes_back_an_index_and_is_not_written_where_there_was_none(
    connection: Connection,
) -> None:
    async def derive(value: float | None, moment: Instant, now: Instant) -> Outcome:
        command = MergeObservations(
            entity_id=STATION, type_iri=TYPE, attributes=(pm25(value, moment),), absent="forget"
        )
        (outcome,) = await apply_commands(connection, ACTOR, [command], now=now)
        return outcome

    await derive(50, NOON - HOUR, NOON)
    await derive(60, NOON, NOON)
    assert not (await derive(None, NOON - 2 * HOUR, NOON)).changed
    assert (await derive(None, NOON - HOUR, NOON + HOUR)).superseded == 1
    assert not (await derive(None, NOON - HOUR, NOON + HOUR)).changed
    assert await values_known_at(connection, None) == [(NOON - HOUR, None), (NOON, 60)]
    assert (await derive(None, NOON, NOON + HOUR)).superseded == 1
    view = await one_entity(ACTOR, connection, AIR, STATION)
    assert view is not None
    assert view.values == {"pm25": None}
    assert view.quality == {"pm25": Quality.MISSING}


async def test_what_one_command_got_wrong_does_not_touch_its_neighbours(connection: Connection) -> None:
    good = MergeObservations(entity_id=STATION, type_iri=TYPE, attributes=(pm25(1, NOON),))
    future = MergeObservations(
        entity_id=STATION, type_iri=TYPE, attributes=(pm25(1, NOON - HOUR), pm25(2, NOON + HOUR))
    )
    unknown = DeleteEntity(entity_id="urn:x:none")
    twice = CreateEntity(entity_id=STATION, types=(TYPE,))
    outcomes = await apply_commands(connection, ACTOR, [good, future, unknown, twice], now=NOON)
    assert [outcome.error and outcome.error.code() for outcome in outcomes] == [
        None,
        "observed-in-future",
        "entity-unknown",
        "entity-already-exists",
    ]
    assert await values_known_at(connection, None) == [(NOON, 1)]


async def test_a_deleted_entity_is_gone_and_was_there(connection: Connection) -> None:
    await merge(connection, NOON, pm25(18.4, NOON))
    await apply_commands(connection, ACTOR, [DeleteEntity(entity_id=STATION)], now=NOON + HOUR)
    with pytest.raises(EntityUnknown):
        await retrieve_entity(ACTOR, connection, STATION)
    then = await retrieve_entity(ACTOR, connection, STATION, known_at=NOON)
    assert value_of(then.attributes[PM25][0]) == 18.4
    with pytest.raises(EntityUnknown):
        await retrieve_entity(ACTOR, connection, STATION, known_at=NOON + HOUR)
    await merge(connection, NOON + 2 * HOUR, pm25(5, NOON + HOUR))
    again = await retrieve_entity(ACTOR, connection, STATION)
    assert again.created_at == NOON + 2 * HOUR


async def test_an_update_may_go_back_in_time_and_the_past_is_still_known(connection: Connection) -> None:
    await merge(connection, NOON, pm25(18.4, NOON))
    back = UpdateAttributes(entity_id=STATION, attributes=(pm25(7.5, NOON - HOUR),))
    await apply_commands(connection, ACTOR, [back], now=NOON + HOUR)
    state = await retrieve_entity(ACTOR, connection, STATION)
    assert value_of(state.attributes[PM25][0]) == 7.5
    then = await retrieve_entity(ACTOR, connection, STATION, known_at=NOON)
    assert value_of(then.attributes[PM25][0]) == 18.4
