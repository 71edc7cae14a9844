"""Derivations: the moments a change touches, derived once, written once, taken back honestly."""

import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest

from haidang.context.derivations import (
    DerivationFeedsItself,
    declared_derivations,
    derivation_consumers,
    derivation_jobs,
    derive,
    derive_moment,
    next_moment,
    stretches,
)
from haidang.context.events import AttributeChange, EntitiesChanged, EntityChange
from haidang.context.model import AttributeInstance, DeleteEntity, MergeObservations
from haidang.context.service import history, one_entity
from haidang.context.writer import apply_commands
from haidang.infra.consumers import ConsumerRunner
from haidang.infra.database import Connection, Pool, transaction
from haidang.infra.events import assign_positions, events_after, settle
from haidang.infra.jobs import JobRun
from haidang.kernel.actors import part
from haidang.kernel.instants import Instant, SetClock
from haidang.packs.environment.pack import PACK as ENVIRONMENT
from haidang.sdk.model import Attribute, Derivation, DerivedValue, EntityType, Pack, Quality, Window

ACTOR = part("test")
NOON = datetime(2026, 11, 21, 5, tzinfo=UTC)
HOUR = timedelta(hours=1)
STATION = "urn:ngsi-ld:Station:a"
TYPE = "https://example.vn/Station"
KIND = EntityType(
    name="Station",
    iri=TYPE,
    label="Station",
    attributes=(
        Attribute("level", "https://example.vn/level", unit="MTR"),
        Attribute("mean", "https://example.vn/mean", unit="MTR", derived=True),
    ),
)


def mean_of_three_hours(window: Window, at: Instant) -> Sequence[DerivedValue]:
    valid = [one.number for one in window["level"] if one.quality is Quality.VALID and one.number is not None]
    value = sum(valid) / len(valid) if len(valid) > 1 else None
    return (DerivedValue("mean", at, value, {"count": len(valid)}),)


MEAN = Derivation(
    derivation_id="mean",
    entity_type="Station",
    inputs=("level",),
    outputs=("mean",),
    reach=3 * HOUR,
    moments=lambda at: [at, at + HOUR, at + 2 * HOUR],
    derive=mean_of_three_hours,
)
PACK = Pack("test", "1", "Test", entity_types=(KIND,), derivations=(MEAN,))
(DECLARED,) = declared_derivations([PACK])


async def observe(
    connection: Connection,
    now: Instant,
    *values: tuple[Instant, float | None],
    quality: Quality = Quality.VALID,
) -> None:
    instances = tuple(
        AttributeInstance("https://example.vn/level", value, unit="MTR", observed_at=at, quality=quality)
        for at, value in values
    )
    command = MergeObservations(entity_id=STATION, type_iri=TYPE, attributes=instances)
    (outcome,) = await apply_commands(connection, ACTOR, [command], now=now)
    assert outcome.error is None


async def derive_all(connection: Connection, now: Instant, after: int = 0) -> int:
    await settle(connection)
    moments = 0
    for envelope in await events_after(connection, after, [EntitiesChanged.kind], 1000):
        moments += await derive(connection, DECLARED, "default", envelope.read(EntitiesChanged), now=now)
    return moments


async def means(connection: Connection) -> dict[int, float | None]:
    found = await history(
        ACTOR, connection, [STATION], KIND.attributes[1:], NOON - 99 * HOUR, NOON + 99 * HOUR
    )
    return {int((one.observed_at - NOON) / HOUR): one.number for one in found[STATION]["mean"]}


async def test_values_are_derived_for_the_moments_that_a_change_touches(connection: Connection) -> None:
    await observe(connection, NOON, (NOON - 2 * HOUR, 1), (NOON - HOUR, 2), (NOON, 6))
    assert await derive_all(connection, NOON) == 3
    assert await means(connection) == {-1: 1.5, 0: 3.0}
    view = await one_entity(ACTOR, connection, KIND, STATION)
    assert view is not None
    assert view.values["mean"] == 3.0
    assert view.sub_attributes["mean"] == {"origin": "urn:haidang:derivation:test:mean", "count": 3}


async def test_deriving_again_writes_nothing(connection: Connection) -> None:
    await observe(connection, NOON, (NOON - HOUR, 2), (NOON, 6))
    await derive_all(connection, NOON)
    rows = "SELECT count(*) FROM context.observation"
    before = await connection.fetchval(rows)
    events = "SELECT count(*) FROM infra.event"
    told = await connection.fetchval(events)
    await derive_all(connection, NOON)
    assert await connection.fetchval(rows) == before
    assert await connection.fetchval(events) == told


async def test_a_correction_derives_again_and_keeps_what_was_derived(connection: Connection) -> None:
    await observe(connection, NOON, (NOON - HOUR, 2), (NOON, 6))
    await derive_all(connection, NOON)
    await observe(connection, NOON + HOUR, (NOON, 8))
    await derive_all(connection, NOON + HOUR)
    assert await means(connection) == {0: 5.0, 1: 5.0}
    kept = await connection.fetchval(
        "SELECT superseded_why FROM context.observation WHERE document->>'value' = '4.0'"
    )
    assert kept == "derived again"


async def test_a_value_whose_basis_is_gone_is_taken_back(connection: Connection) -> None:
    await observe(connection, NOON, (NOON - HOUR, 2), (NOON, 6))
    await derive_all(connection, NOON)
    assert await means(connection) == {0: 4.0}
    await observe(connection, NOON + HOUR, (NOON, None), quality=Quality.MISSING)
    await derive_all(connection, NOON)
    assert await means(connection) == {0: None}
    view = await one_entity(ACTOR, connection, KIND, STATION)
    assert view is not None
    assert view.values["mean"] is None
    assert view.quality["mean"] is Quality.MISSING


async def test_a_deleted_entity_is_not_brought_back(connection: Connection) -> None:
    await observe(connection, NOON, (NOON - HOUR, 2), (NOON, 6))
    await apply_commands(connection, ACTOR, [DeleteEntity(entity_id=STATION)], now=NOON)
    await derive_all(connection, NOON)
    assert await one_entity(ACTOR, connection, KIND, STATION) is None


def test_a_derivation_must_not_feed_itself() -> None:
    circle = Derivation(
        derivation_id="circle",
        entity_type="Station",
        inputs=("level", "mean"),
        outputs=("mean",),
        reach=HOUR,
        moments=lambda at: [at],
        derive=mean_of_three_hours,
    )
    with pytest.raises(DerivationFeedsItself):
        declared_derivations([Pack("test", "1", "Test", entity_types=(KIND,), derivations=(circle,))])


def test_one_query_serves_the_entities_that_share_a_stretch_of_time() -> None:
    old = NOON - timedelta(days=3650)
    found = list(stretches({"a": [NOON - HOUR, NOON], "b": [NOON], "c": [old, old + HOUR, NOON]}, 3 * HOUR))
    assert [(one.since, one.upto, sorted(one.moments)) for one in found] == [
        (old - 3 * HOUR, old + HOUR, ["c"]),
        (NOON - 4 * HOUR, NOON, ["a", "b", "c"]),
    ]


async def test_the_consumer_follows_the_log(pool: Pool, clock: SetClock) -> None:
    async with transaction(pool) as connection:
        await observe(connection, NOON, (NOON - HOUR, 2), (NOON, 6))
        await connection.execute("SELECT 1")
    async with transaction(pool) as connection:
        await assign_positions(connection)
    runner = ConsumerRunner(pool, clock, derivation_consumers([PACK], clock))
    await runner.catch_up()
    async with pool.acquire() as connection:
        assert await means(connection) == {0: 4.0}


async def test_the_air_of_a_station_gets_its_index(connection: Connection) -> None:
    """The pack's own derivations on 30 hours of one station."""
    hourly, daily, *_ = declared_derivations([ENVIRONMENT])
    kind = ENVIRONMENT.entity_types[0]
    pm25 = kind.attribute("pm25")
    assert pm25 is not None
    station = "urn:ngsi-ld:AirQualityObserved:x"
    instances = tuple(
        AttributeInstance(pm25.iri, 20.0 + hour, unit="GQ", observed_at=NOON - hour * HOUR)
        for hour in range(30)
    )
    command = MergeObservations(entity_id=station, type_iri=kind.iri, attributes=instances)
    await apply_commands(connection, ACTOR, [command], now=NOON)
    await settle(connection)
    (envelope,) = await events_after(connection, 0, [EntitiesChanged.kind], 10)
    started = time.perf_counter()
    for declared in (hourly, daily):
        await derive(connection, declared, "default", envelope.read(EntitiesChanged), now=NOON)
    assert time.perf_counter() - started < 5
    view = await one_entity(ACTOR, connection, kind, station)
    assert view is not None
    assert 40 < view.values["airQualityIndex"] < 60
    assert view.observed_at["airQualityIndex"] == NOON


async def test_the_hour_in_which_a_station_falls_silent_is_derived_when_it_has_come(
    connection: Connection,
) -> None:
    await observe(connection, NOON, (NOON - HOUR, 1.0), (NOON, 3.0))
    waited = NOON + HOUR
    assert await derive_moment(connection, DECLARED, "default", waited, now=waited)
    (queued,) = await connection.fetch(
        "SELECT payload FROM infra.pgqueuer WHERE entrypoint = 'derive-moment'"
    )
    assert b"2026-11-21T07:00:00Z" in queued["payload"]  # the next one is waited for
    means = await history(ACTOR, connection, [STATION], KIND.attributes[1:], NOON, waited)
    assert [one.number for one in means[STATION]["mean"]] == [2.0]
    # Two hours later one value is left in reach: no index, and nothing more to wait for.
    await connection.execute("DELETE FROM infra.pgqueuer")
    assert not await derive_moment(connection, DECLARED, "default", NOON + 2 * HOUR, now=NOON + 2 * HOUR)
    assert await connection.fetchval("SELECT count(*) FROM infra.pgqueuer") == 0


async def test_a_chain_that_was_given_up_is_taken_up_again(pool: Pool) -> None:
    waiting = "SELECT convert_from(payload, 'UTF8') FROM infra.pgqueuer WHERE entrypoint = 'derive-moment'"
    set_clock = SetClock(NOON)
    (sweep,) = (job for job in derivation_jobs([PACK], set_clock) if job.name == "derive-sweep")
    assert sweep.every == "*/10 * * * *"

    async def swept(at: Instant) -> list[str]:
        set_clock.advance(at - set_clock.now())
        await sweep.handle(pool, JobRun(1, sweep.name, b"{}", 1, ACTOR.actor_id, "default", at))
        return [row[0] for row in await pool.fetch(waiting)]

    assert await swept(NOON) == []  # nothing was observed: nothing to wait for
    async with transaction(pool) as connection:
        await observe(connection, NOON, (NOON - HOUR, 1.0), (NOON, 3.0))
    minutes = timedelta(minutes=1)
    (queued,) = await swept(NOON + 10 * minutes)
    assert '"2026-11-21T06:00:00Z"' in queued
    assert await swept(NOON + 20 * minutes) == [queued]  # once
    await pool.execute("DELETE FROM infra.pgqueuer")
    assert await swept(NOON + 9 * HOUR) == []  # out of reach


def test_a_reading_leads_to_the_next_moment_ahead_of_now() -> None:
    event = EntitiesChanged(
        subject=STATION,
        learned_at=NOON,
        changes=(
            EntityChange(
                entity_id=STATION,
                types=(TYPE,),
                operation="updated",
                attributes=(AttributeChange(name="https://example.vn/level", observed_at=NOON),),
            ),
        ),
    )
    assert next_moment(DECLARED, event, NOON) == NOON + HOUR
    assert next_moment(DECLARED, event, NOON + 5 * HOUR) is None


async def test_while_the_past_is_filled_in_no_hole_is_derived_ahead_of_the_station(
    connection: Connection,
) -> None:
    later = NOON + timedelta(days=20)
    await observe(connection, later, (NOON - HOUR, 1.0), (NOON, 3.0))
    await derive_all(connection, later)
    means = await history(ACTOR, connection, [STATION], KIND.attributes[1:], NOON - 9 * HOUR, NOON + 9 * HOUR)
    assert [(one.observed_at, one.number) for one in means[STATION]["mean"]] == [(NOON, 2.0)]


async def test_a_late_correction_reaches_moments_derived_in_a_silence_long_ago(
    connection: Connection,
) -> None:
    later = NOON + timedelta(days=20)
    await observe(connection, NOON, (NOON - HOUR, 1.0), (NOON, 3.0))
    await derive_moment(connection, DECLARED, "default", NOON + HOUR, now=NOON + HOUR)
    await observe(connection, later, (NOON, 5.0))
    await derive_all(connection, later)
    means = await history(ACTOR, connection, [STATION], KIND.attributes[1:], NOON, NOON + 9 * HOUR)
    assert [(one.observed_at, one.number) for one in means[STATION]["mean"]] == [(NOON + HOUR, 3.0)]
