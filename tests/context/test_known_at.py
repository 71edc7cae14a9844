"""Against a model: whatever is written, every past knowledge stays as it was."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from asyncpg import DivisionByZeroError
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from haidang.context.errors import EntityUnknown
from haidang.context.model import (
    AppendAttributes,
    AttributeInstance,
    Command,
    DeleteAttribute,
    DeleteEntity,
    MergeObservations,
    Selection,
    UpdateAttributes,
    UpsertEntity,
    value_of,
)
from haidang.context.service import history, query_entities, retrieve_entity
from haidang.context.writer import apply_commands
from haidang.infra.database import Connection
from haidang.kernel.actors import part
from haidang.kernel.instants import Instant
from haidang.sdk.model import Attribute

ACTOR = part("test")
START = datetime(2026, 11, 21, 5, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
ENTITY = "urn:x:one"
TYPE = "https://example.vn/T"
NAMES = ("https://example.vn/a", "https://example.vn/b")
DATASETS = (None, "urn:x:dataset")
DECLARED = [Attribute(iri[-1], iri) for iri in NAMES]

Place = tuple[str, str | None]


@dataclass
class Model:
    """What the context ought to know, kept in the most naive way."""

    alive: bool = False
    state: dict[Place, tuple[int, Instant | None]] = field(default_factory=dict)
    history: dict[tuple[str, Instant], int] = field(default_factory=dict)

    def apply(self, command: Command) -> None:
        """Do what the command says, or nothing where it would be refused."""
        match command:
            case DeleteEntity():
                self.alive = False
                self.state = {}
            case DeleteAttribute():
                self.state.pop((command.name, command.dataset_id), None)
            case MergeObservations():
                self.write_all(command.attributes, late=command.late if self.alive else "replace")
                self.alive = True
            case UpsertEntity():
                if command.replace:
                    wanted = {(one.name, one.dataset_id) for one in command.attributes}
                    self.state = {place: held for place, held in self.state.items() if place in wanted}
                self.write_all(command.attributes)
                self.alive = True
            case AppendAttributes() if self.alive:
                self.write_all([one for one in command.attributes if command.overwrite or not self.has(one)])
            case UpdateAttributes() if self.alive:
                self.write_all(command.attributes)
            case _:
                pass

    def has(self, one: AttributeInstance) -> bool:
        """Whether the state has such an instance."""
        return (one.name, one.dataset_id) in self.state

    def write_all(self, instances: Sequence[AttributeInstance], *, late: str = "replace") -> None:
        """Write several instances, in order."""
        for one in instances:
            self.write(one, late=late)

    def write(self, one: AttributeInstance, *, late: str = "replace") -> None:
        """Put an instance into the history and, unless it is late, into the state."""
        place = (one.name, one.dataset_id)
        if one.observed_at is not None and one.dataset_id is None:
            self.history[one.name, one.observed_at] = one.value
        held = self.state.get(place)
        older = (
            late == "history"
            and held is not None
            and held[1] is not None
            and one.observed_at is not None
            and held[1] > one.observed_at
        )
        if not older:
            self.state[place] = (one.value, one.observed_at)


instances = st.builds(
    AttributeInstance,
    name=st.sampled_from(NAMES),
    value=st.integers(0, 3),
    observed_at=st.one_of(st.none(), st.integers(-5, 0).map(lambda hours: START + timedelta(hours=hours))),
    dataset_id=st.sampled_from(DATASETS),
)
some = st.lists(instances, min_size=1, max_size=3, unique_by=lambda one: (one.name, one.dataset_id)).map(
    tuple
)
commands = st.one_of(
    st.builds(
        MergeObservations,
        entity_id=st.just(ENTITY),
        type_iri=st.just(TYPE),
        attributes=st.lists(instances, min_size=1, max_size=4).map(tuple),
        late=st.sampled_from(["history", "replace"]),
    ),
    st.builds(
        UpsertEntity,
        entity_id=st.just(ENTITY),
        types=st.just((TYPE,)),
        attributes=some,
        replace=st.booleans(),
    ),
    st.builds(AppendAttributes, entity_id=st.just(ENTITY), attributes=some, overwrite=st.booleans()),
    st.builds(UpdateAttributes, entity_id=st.just(ENTITY), attributes=some),
    st.builds(
        DeleteAttribute,
        entity_id=st.just(ENTITY),
        name=st.sampled_from(NAMES),
        dataset_id=st.sampled_from(DATASETS),
    ),
    st.builds(DeleteEntity, entity_id=st.just(ENTITY)),
)
# Each commit holds one command or several: those of one commit become known together.
commits = st.lists(st.lists(commands, min_size=1, max_size=3), min_size=1, max_size=8)


async def known(
    connection: Connection, known_at: Instant | None
) -> dict[Place, tuple[Any, str | None]] | None:
    """The entity's state as it was known: None where there was none."""
    try:
        state = await retrieve_entity(ACTOR, connection, ENTITY, known_at=known_at)
    except EntityUnknown:
        return None
    return {
        (name, stored.get("datasetId")): (value_of(stored), stored.get("observedAt"))
        for name, held in state.attributes.items()
        for stored in held
    }


async def observed(connection: Connection, known_at: Instant | None) -> dict[tuple[str, Instant], Any]:
    found = await history(
        ACTOR,
        connection,
        [ENTITY],
        DECLARED,
        START - timedelta(days=1),
        START + timedelta(days=1),
        known_at=known_at,
    )
    return {
        (declared.iri, one.observed_at): one.number
        for declared in DECLARED
        for one in found[ENTITY][declared.name]
    }


def as_text(state: Mapping[Place, tuple[int, Instant | None]]) -> dict[Place, tuple[Any, str | None]]:
    return {
        place: (value, None if at is None else at.isoformat().replace("+00:00", "Z"))
        for place, (value, at) in state.items()
    }


@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(commits)
async def test_every_moment_of_knowledge_is_kept(
    connection: Connection, commits: list[list[Command]]
) -> None:
    model = Model()
    knowledge: list[tuple[Instant, Any, dict[tuple[str, Instant], int]]] = []
    now = START + timedelta(hours=1)
    try:
        async with connection.transaction():
            for group in commits:
                now += MINUTE
                await apply_commands(connection, ACTOR, group, now=now)
                for command in group:
                    model.apply(command)
                state = as_text(model.state) if model.alive else None
                assert await known(connection, None) == state
                assert await observed(connection, None) == model.history
                knowledge.append((now, state, dict(model.history)))
            assert await known(connection, START) is None
            for at, state, values in knowledge:
                assert await known(connection, at) == state
                assert await known(connection, at + MINUTE / 2) == state
                assert await observed(connection, at) == values
                listed = await query_entities(
                    ACTOR, connection, Selection(type_groups=((TYPE,),)), limit=5, known_at=at
                )
                assert [one.entity_id for one in listed] == ([] if state is None else [ENTITY])
            await connection.execute("SELECT 1 / 0")
    except DivisionByZeroError:
        pass  # the example is rolled back


async def test_two_commits_at_the_same_instant_stay_apart(connection: Connection) -> None:
    for value in (1, 2, 3):
        merge = MergeObservations(
            entity_id=ENTITY, type_iri=TYPE, attributes=(AttributeInstance(NAMES[0], value),)
        )
        await apply_commands(connection, ACTOR, [merge], now=START)
    rows = await connection.fetch("SELECT number, observed_at FROM context.observation ORDER BY observed_at")
    tick = timedelta(microseconds=1)
    assert [tuple(row) for row in rows] == [(1, START), (2, START + tick), (3, START + 2 * tick)]
    assert (await known(connection, START + tick)) == {(NAMES[0], None): (2, None)}


async def test_values_of_one_commit_are_all_kept(connection: Connection) -> None:
    merges = [
        MergeObservations(
            entity_id=ENTITY,
            type_iri=TYPE,
            attributes=(
                AttributeInstance(NAMES[0], value, observed_at=START),
                AttributeInstance(NAMES[1], value),
            ),
        )
        for value in (1, 2, 3)
    ]
    outcomes = await apply_commands(connection, ACTOR, merges, now=START)
    assert [outcome.superseded for outcome in outcomes] == [0, 1, 1]
    kept = await connection.fetch(
        "SELECT number, superseded_at IS NULL AS present FROM context.observation"
        " WHERE observed ORDER BY number"
    )
    assert [tuple(row) for row in kept] == [(1, False), (2, False), (3, True)]
    unobserved = await connection.fetch(
        "SELECT number FROM context.observation WHERE NOT observed ORDER BY observed_at"
    )
    assert [row["number"] for row in unobserved] == [1, 2, 3]
