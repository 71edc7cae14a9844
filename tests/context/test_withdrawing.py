"""What commits wrote can be taken back: values return, what others wrote stays, nothing is erased."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from haidang.context.errors import EntityUnknown, WritingIsForMachines
from haidang.context.merging import same_content
from haidang.context.model import (
    AttributeInstance,
    MergeObservations,
    Outcome,
    as_stored,
    value_of,
)
from haidang.context.service import TimeFrame, retrieve_entity, temporal_evolution
from haidang.context.withdrawing import Commit, Withdrawn, instance_of, withdraw_commits
from haidang.context.writer import apply_commands
from haidang.infra.database import Connection
from haidang.kernel.actors import Actor, Audience, part
from haidang.kernel.instants import Instant, parse_instant
from haidang.sdk.model import AttributeKind, Quality

SHEETS = part("sources")
STATION = "urn:ngsi-ld:Station:withdrawn-1"
TYPE = "https://example.test/Station"
LEVEL = "https://example.test/level"
NAME = "https://example.test/name"
NOON = datetime(2026, 11, 21, 5, tzinfo=UTC)
EIGHT, NINE = NOON - timedelta(hours=4), NOON - timedelta(hours=3)


async def tell(connection: Connection, now: Instant, *values: tuple[str, object, Instant | None]) -> Outcome:
    (outcome,) = await apply_commands(
        connection,
        SHEETS,
        [
            MergeObservations(
                entity_id=STATION,
                type_iri=TYPE,
                attributes=tuple(
                    AttributeInstance(name, value, observed_at=at, unit="MTR" if name == LEVEL else None)
                    for name, value, at in values
                ),
            )
        ],
        now=now,
    )
    assert outcome.error is None
    return outcome


def commit_of(outcome: Outcome, first: Instant = EIGHT, last: Instant = NINE) -> Commit:
    assert outcome.learned_at is not None
    return Commit(STATION, outcome.learned_at, first, last, created=outcome.created)


async def take_back(connection: Connection, *commits: Commit, minutes: int = 30) -> Withdrawn:
    return await withdraw_commits(
        SHEETS, connection, commits, why="sheet taken back", now=NOON + timedelta(minutes=minutes)
    )


async def level(connection: Connection, known_at: Instant | None = None) -> tuple[object, object]:
    state = await retrieve_entity(SHEETS, connection, STATION, known_at=known_at)
    if LEVEL not in state.attributes:
        return None, None
    stored = state.attributes[LEVEL][0]
    return value_of(stored), stored.get("observedAt")


async def past(connection: Connection, known_at: Instant | None = None) -> list[tuple[Instant, object]]:
    evolution = await temporal_evolution(
        SHEETS, connection, STATION, TimeFrame(), known_at=known_at, now=NOON + timedelta(hours=1)
    )
    return [
        (parse_instant(one.instance["observedAt"]), value_of(one.instance))
        for one in evolution.instances.get(LEVEL, ())
    ]


async def test_a_value_returns_to_the_one_before_it_in_time(connection: Connection) -> None:
    await tell(connection, NOON, (LEVEL, 12, EIGHT))
    batch = await tell(connection, NOON + timedelta(minutes=1), (LEVEL, 40, NINE))
    assert await take_back(connection, commit_of(batch)) == Withdrawn(values=1, left=0, entities=0)
    assert await level(connection) == (12, "2026-11-21T01:00:00Z")
    assert await past(connection) == [(EIGHT, 12), (NINE, None)]


async def test_a_corrected_value_returns_to_what_it_was(connection: Connection) -> None:
    await tell(connection, NOON, (LEVEL, 12, EIGHT))
    batch = await tell(connection, NOON + timedelta(minutes=1), (LEVEL, 13, EIGHT))
    await take_back(connection, commit_of(batch))
    assert await level(connection) == (12, "2026-11-21T01:00:00Z")
    assert await past(connection) == [(EIGHT, 12)]


async def test_what_was_known_in_between_can_still_be_asked_for(connection: Connection) -> None:
    await tell(connection, NOON, (LEVEL, 12, EIGHT))
    batch = await tell(connection, NOON + timedelta(minutes=1), (LEVEL, 13, EIGHT), (LEVEL, 40, NINE))
    await take_back(connection, commit_of(batch))
    between = NOON + timedelta(minutes=10)
    assert await level(connection, known_at=between) == (40, "2026-11-21T02:00:00Z")
    assert await past(connection, known_at=between) == [(EIGHT, 13), (NINE, 40)]
    assert await past(connection, known_at=NOON) == [(EIGHT, 12)]


async def test_what_others_wrote_since_is_left_alone(connection: Connection) -> None:
    batch = await tell(connection, NOON, (LEVEL, 40, EIGHT), (NAME, "Sheet", None))
    await tell(connection, NOON + timedelta(minutes=1), (LEVEL, 50, EIGHT), (NAME, "Station", None))
    assert await take_back(connection, commit_of(batch)) == Withdrawn(values=0, left=2, entities=0)
    assert await level(connection) == (50, "2026-11-21T01:00:00Z")


async def test_the_newest_of_others_is_shown_and_not_the_one_of_long_ago(connection: Connection) -> None:
    await tell(connection, NOON, (LEVEL, 12, EIGHT - timedelta(days=3)))
    batch = await tell(connection, NOON + timedelta(minutes=1), (LEVEL, 40, NINE))
    await tell(connection, NOON + timedelta(minutes=2), (LEVEL, 14, EIGHT))  # late: history only
    await take_back(connection, commit_of(batch))
    assert await level(connection) == (14, "2026-11-21T01:00:00Z")


async def test_a_thing_that_the_batch_made_is_gone(connection: Connection) -> None:
    batch = await tell(connection, NOON, (LEVEL, 40, EIGHT), (NAME, "Sheet", None))
    assert (await take_back(connection, commit_of(batch))).entities == 1
    with pytest.raises(EntityUnknown):
        await retrieve_entity(SHEETS, connection, STATION)


async def test_a_thing_of_which_others_have_told_since_stays(connection: Connection) -> None:
    batch = await tell(connection, NOON, (LEVEL, 40, EIGHT), (NAME, "Sheet", None))
    await tell(connection, NOON + timedelta(minutes=1), (LEVEL, 50, NINE))
    assert await take_back(connection, commit_of(batch)) == Withdrawn(values=2, left=0, entities=0)
    state = await retrieve_entity(SHEETS, connection, STATION)
    assert NAME not in state.attributes
    assert await level(connection) == (50, "2026-11-21T02:00:00Z")


async def test_a_name_returns_over_two_commits_of_one_batch(connection: Connection) -> None:
    await tell(connection, NOON, (NAME, "Old", None))
    one = await tell(connection, NOON + timedelta(minutes=1), (NAME, "New", None))
    two = await tell(connection, NOON + timedelta(minutes=2), (NAME, "Newer", None))
    await take_back(connection, commit_of(one), commit_of(two))
    state = await retrieve_entity(SHEETS, connection, STATION)
    assert value_of(state.attributes[NAME][0]) == "Old"


async def test_taking_back_twice_changes_nothing_more(connection: Connection) -> None:
    await tell(connection, NOON, (LEVEL, 12, EIGHT))
    batch = await tell(connection, NOON + timedelta(minutes=1), (LEVEL, 40, NINE))
    await take_back(connection, commit_of(batch))
    again = await take_back(connection, commit_of(batch), minutes=40)
    assert again.values == 0
    assert await level(connection) == (12, "2026-11-21T01:00:00Z")


async def test_only_machines_take_back(connection: Connection) -> None:
    with pytest.raises(WritingIsForMachines):
        await withdraw_commits(
            Actor("urn:haidang:actor:anybody", frozenset({Audience.PUBLIC})), connection, [], why="", now=NOON
        )


@given(
    st.builds(
        AttributeInstance,
        name=st.just(LEVEL),
        value=st.one_of(st.integers(-1000, 1000), st.text(max_size=9)),
        kind=st.just(AttributeKind.PROPERTY),
        unit=st.sampled_from([None, "MTR"]),
        observed_at=st.sampled_from([None, EIGHT]),
        quality=st.sampled_from(list(Quality)),
        dataset_id=st.sampled_from([None, "urn:x:1"]),
        sub_attributes=st.sampled_from([(), (AttributeInstance(NAME, "below"),)]),
        members=st.sampled_from([{}, {"valueType": "x"}]),
    )
)
def test_an_instance_comes_back_from_its_document(instance: AttributeInstance) -> None:
    stored = as_stored(instance)
    assert same_content(as_stored(instance_of(LEVEL, stored)), stored)
