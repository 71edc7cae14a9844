"""Derivations of packs at work: consumers of the event log that turn observations into attributes.

For each event: which inputs changed when, which moments that touches, their windows in one query
for many entities and moments, the pack's pure function, and one write. Computing again what is
known writes nothing, so an event may come twice (ADR 0027).

A moment that still lies ahead when its last reading comes (the end of the hour) has no event of
its own: a job waits for it, one for each derivation and moment, and waits for the next one as
long as there is a value. So a station that falls silent keeps its index for as long as the rule
gives it one, and loses it when the rule says so. A job that was given up would end that chain: a
sweep every ten minutes waits again for the next moment of whatever was observed within reach.
"""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

import msgspec

from haidang.context import store
from haidang.context.events import EntitiesChanged
from haidang.context.model import ORIGIN, OWN_TERMS, AttributeInstance, MergeObservations
from haidang.context.service import number_of
from haidang.context.writer import apply_commands
from haidang.infra.consumers import Consumer
from haidang.infra.database import Connection, Pool, transaction
from haidang.infra.events import Envelope
from haidang.infra.jobs import Job, JobRun, enqueue
from haidang.kernel.actors import Audience, part
from haidang.kernel.errors import Conflict, HaidangError
from haidang.kernel.instants import Clock, Instant, SystemClock, format_instant
from haidang.sdk.model import Attribute, Derivation, DerivedValue, EntityType, Observation, Pack, Quality

_LONGEST_STRETCH = timedelta(days=45)
_INSTANT = timedelta(microseconds=1)
_AUDIENCES = [one.value for one in Audience]


class DerivationOfUnknown(Conflict):
    """The derivation {derivation_id} speaks of {name}, which its pack does not declare."""


class DerivationFeedsItself(Conflict):
    """The derivation {derivation_id} has {name} both as input and as output."""


@dataclass(frozen=True, slots=True)
class DeclaredDerivation:
    """A derivation with the entity type it is about, names resolved."""

    pack_id: str
    derivation: Derivation
    entity_type: EntityType
    inputs: Mapping[str, str]
    outputs: Mapping[str, Attribute]

    @property
    def origin(self) -> str:
        """How values that come from it are marked."""
        return f"urn:haidang:derivation:{self.pack_id}:{self.derivation.derivation_id}"


@dataclass(slots=True)
class _Stretch:
    """Moments of entities that one query covers."""

    since: Instant
    upto: Instant
    moments: dict[str, list[Instant]]


def declared_derivations(packs: Iterable[Pack]) -> list[DeclaredDerivation]:
    """The derivations of packs; raises for one whose names do not resolve or that feeds itself."""
    found: list[DeclaredDerivation] = []
    for pack in packs:
        types = {entity_type.name: entity_type for entity_type in pack.entity_types}
        for derivation in pack.derivations:
            entity_type = types.get(derivation.entity_type)
            if entity_type is None:
                raise DerivationOfUnknown(derivation_id=derivation.derivation_id, name=derivation.entity_type)
            for name in derivation.inputs:
                if name in derivation.outputs:
                    raise DerivationFeedsItself(derivation_id=derivation.derivation_id, name=name)
            inputs = {_attribute(derivation, entity_type, name).iri: name for name in derivation.inputs}
            outputs = {name: _attribute(derivation, entity_type, name) for name in derivation.outputs}
            found.append(DeclaredDerivation(pack.pack_id, derivation, entity_type, inputs, outputs))
    return found


def _attribute(derivation: Derivation, entity_type: EntityType, name: str) -> Attribute:
    attribute = entity_type.attribute(name)
    if attribute is None:
        raise DerivationOfUnknown(derivation_id=derivation.derivation_id, name=name)
    return attribute


def derivation_consumers(packs: Iterable[Pack], clock: Clock | None = None) -> list[Consumer]:
    """One consumer for each derivation of the packs, from the beginning of the log."""
    return [_consumer(declared, clock or SystemClock()) for declared in declared_derivations(packs)]


def _consumer(declared: DeclaredDerivation, clock: Clock) -> Consumer:
    async def handle(connection: Connection, envelope: Envelope) -> None:
        event, now = envelope.read(EntitiesChanged), clock.now()
        await derive(connection, declared, envelope.tenant, event, now=now)
        ahead = next_moment(declared, event, now)
        if ahead is not None:
            await _wait_for(connection, declared, envelope.tenant, ahead)

    return Consumer(
        name=f"derivation:{declared.pack_id}:{declared.derivation.derivation_id}",
        listens_to=(EntitiesChanged,),
        handle=handle,
        audience=Audience.MACHINE,
        # One event, one write, entities locked once and in order. Several events in one transaction
        # would gather locks in any order: 65 deadlocks with the intake in two minutes of catching up.
        batch=1,
    )


DERIVE_MOMENT = "derive-moment"
DERIVE_SWEEP = "derive-sweep"
_SWEPT_EVERY = "*/10 * * * *"


class MomentAhead(msgspec.Struct, frozen=True):
    """A moment that a derivation waits for."""

    origin: str
    moment: Instant


def derivation_jobs(packs: Iterable[Pack], clock: Clock) -> tuple[Job, ...]:
    """The job that derives a moment when it has come, and the sweep that sees to it that one waits."""
    by_origin = {declared.origin: declared for declared in declared_derivations(packs)}

    async def derive_when_come(pool: Pool, run: JobRun) -> None:
        ahead = run.read(MomentAhead)
        declared = by_origin.get(ahead.origin)
        if declared is None:
            return  # its pack has been taken out since
        async with transaction(pool) as connection:
            await derive_moment(connection, declared, run.tenant, ahead.moment, now=clock.now())

    async def sweep(pool: Pool, run: JobRun) -> None:
        for declared in by_origin.values():
            async with transaction(pool) as connection:
                await wait_again(connection, declared, run.tenant, now=clock.now())

    return (
        Job(name=DERIVE_MOMENT, handle=derive_when_come, audience=Audience.MACHINE),
        Job(name=DERIVE_SWEEP, handle=sweep, audience=Audience.MACHINE, every=_SWEPT_EVERY),
    )


async def derive_moment(
    connection: Connection, declared: DeclaredDerivation, tenant: str, moment: Instant, *, now: Instant
) -> bool:
    """Derive one moment of every entity observed in its reach; whether any got a value.

    While there is one, the next moment is waited for.
    """
    names = await store.numbers_of_names(connection, tenant, declared.inputs)
    entity_ids = await store.entities_observed(
        connection, tenant, list(names.values()), since=moment - declared.derivation.reach, upto=moment
    )
    _, valued = await _derive_touched(
        connection, declared, tenant, {entity_id: [moment] for entity_id in entity_ids}, now=now
    )
    if valued:
        later = [one for one in declared.derivation.moments(moment) if one > moment]
        if later:
            await _wait_for(connection, declared, tenant, min(later))
    return valued


async def wait_again(
    connection: Connection, declared: DeclaredDerivation, tenant: str, *, now: Instant
) -> Instant | None:
    """Wait for the next moment after now, if any input was observed in its reach; that moment.

    Nothing new where it is waited for already: one job for each derivation and moment.
    """
    names = await store.numbers_of_names(connection, tenant, declared.inputs)
    recent = await store.times_observed(
        connection, tenant, list(names.values()), since=now - declared.derivation.reach, upto=now
    )
    ahead = _earliest_ahead(declared, recent, now)
    if ahead is not None:
        await _wait_for(connection, declared, tenant, ahead)
    return ahead


def next_moment(declared: DeclaredDerivation, event: EntitiesChanged, now: Instant) -> Instant | None:
    """The earliest moment ahead of now that the event's observations reach."""
    recent = {
        attribute.observed_at
        for change in event.changes
        if declared.entity_type.iri in change.types and change.origin != declared.origin
        for attribute in change.attributes
        if attribute.observed_at is not None
        and attribute.dataset_id is None
        and attribute.name in declared.inputs
        and attribute.observed_at > now - declared.derivation.reach
    }
    return _earliest_ahead(declared, recent, now)


def _earliest_ahead(declared: DeclaredDerivation, times: Iterable[Instant], now: Instant) -> Instant | None:
    return min(
        (moment for at in times for moment in declared.derivation.moments(at) if moment > now), default=None
    )


async def _wait_for(
    connection: Connection, declared: DeclaredDerivation, tenant: str, moment: Instant
) -> None:
    await enqueue(
        connection,
        part(declared.origin, tenant),
        DERIVE_MOMENT,
        MomentAhead(declared.origin, moment),
        run_at=moment,
        dedupe=f"{declared.origin}@{format_instant(moment)}",
    )


async def derive(
    connection: Connection, declared: DeclaredDerivation, tenant: str, event: EntitiesChanged, *, now: Instant
) -> int:
    """Derive again what an event touches, in the caller's transaction; how many moments that were."""
    touched = affected_moments(declared, event, now)
    count, _ = await _derive_touched(connection, declared, tenant, touched, now=now)
    return count


async def _derive_touched(
    connection: Connection,
    declared: DeclaredDerivation,
    tenant: str,
    touched: Mapping[str, list[Instant]],
    *,
    now: Instant,
) -> tuple[int, bool]:
    """Derive moments of entities and write what was found: how many moments, and whether any has a value."""
    if not touched:
        return 0, False
    numbers = await store.numbers_of_entities(connection, tenant, _AUDIENCES, touched)
    names = await store.numbers_of_names(connection, tenant, declared.inputs)
    commands: list[MergeObservations] = []
    count, valued = 0, False
    for stretch in stretches({one: touched[one] for one in numbers}, declared.derivation.reach):
        windows = await _observations(connection, tenant, declared, stretch, numbers=numbers, names=names)
        ahead = {
            entity_id: _ahead_of_station(declared, windows.get(entity_id, {}), moments, now)
            for entity_id, moments in stretch.moments.items()
        }
        derived_before = await _derived_before(connection, tenant, declared, ahead, numbers)
        for entity_id, all_moments in stretch.moments.items():
            moments = [
                moment
                for moment in all_moments
                if moment not in ahead[entity_id] or (entity_id, moment) in derived_before
            ]
            count += len(moments)
            found = [
                instance
                for moment in moments
                for value in declared.derivation.derive(
                    _window(declared, windows.get(entity_id, {}), moment), moment
                )
                for instance in (_instance(declared, value),)
            ]
            if found:
                valued = valued or any(one.value is not None for one in found)
                commands.append(_command(declared, entity_id, found))
    outcomes = await apply_commands(connection, part(declared.origin, tenant), commands, now=now)
    wrong: HaidangError | None = next((one.error for one in outcomes if one.error is not None), None)
    if wrong is not None:
        raise wrong
    return count, valued


def affected_moments(
    declared: DeclaredDerivation, event: EntitiesChanged, now: Instant
) -> dict[str, list[Instant]]:
    """The moments, by entity, that the event's changes touch: each once, in order, none after now."""
    observed: defaultdict[str, set[Instant]] = defaultdict(set)
    for change in event.changes:
        if declared.entity_type.iri not in change.types or change.origin == declared.origin:
            continue
        for attribute in change.attributes:
            if attribute.observed_at is None or attribute.dataset_id is not None:
                continue
            if attribute.name in declared.inputs:
                observed[change.entity_id].add(attribute.observed_at)
    return {
        entity_id: moments
        for entity_id, times in observed.items()
        if (
            moments := sorted(
                {moment for at in times for moment in declared.derivation.moments(at) if moment <= now}
            )
        )
    }


def stretches(touched: Mapping[str, Sequence[Instant]], reach: timedelta) -> Iterator[_Stretch]:
    """Moments gathered so that each query reads one stretch of time, for as many entities as share it."""
    runs: list[tuple[Instant, Instant, str, list[Instant]]] = []
    for entity_id, moments in touched.items():
        run: list[Instant] = []
        for moment in moments:
            if run and (moment - run[-1] > reach or moment - run[0] > _LONGEST_STRETCH):
                runs.append((run[0] - reach, run[-1], entity_id, run))
                run = []
            run.append(moment)
        if run:
            runs.append((run[0] - reach, run[-1], entity_id, run))
    runs.sort(key=lambda one: (one[0], one[1], one[2]))
    stretch: _Stretch | None = None
    for since, upto, entity_id, run in runs:
        if stretch is None or since > stretch.upto or upto - stretch.since > 2 * _LONGEST_STRETCH:
            if stretch is not None:
                yield stretch
            stretch = _Stretch(since, upto, {})
        stretch.upto = max(stretch.upto, upto)
        stretch.moments.setdefault(entity_id, []).extend(run)
    if stretch is not None:
        yield stretch


@dataclass(slots=True)
class _Series:
    """Observations of one attribute of one entity, oldest first, with their times for searching."""

    times: list[Instant]
    observations: list[Observation]


async def _observations(
    connection: Connection,
    tenant: str,
    declared: DeclaredDerivation,
    stretch: _Stretch,
    *,
    numbers: Mapping[str, int],
    names: Mapping[str, int],
) -> dict[str, dict[str, _Series]]:
    entity_of = {numbers[entity_id]: entity_id for entity_id in stretch.moments}
    input_of = {number: declared.inputs[iri] for iri, number in names.items()}
    rows = await store.numbers_observed(
        connection, tenant, list(entity_of), list(input_of), since=stretch.since, upto=stretch.upto
    )
    found: dict[str, dict[str, _Series]] = {}
    for row in rows:
        inputs = found.setdefault(entity_of[row["entity_no"]], {})
        series = inputs.setdefault(input_of[row["attribute_no"]], _Series([], []))
        series.times.append(row["observed_at"])
        series.observations.append(Observation(row["observed_at"], number_of(row), Quality(row["quality"])))
    return found


def _ahead_of_station(
    declared: DeclaredDerivation, inputs: Mapping[str, _Series], moments: Sequence[Instant], now: Instant
) -> set[Instant]:
    """The moments beyond the first one after a station's last observation, where that lies far back.

    Then the past is being filled in: those moments' own readings are still on their way.
    """
    last = max((series.times[-1] for series in inputs.values() if series.times), default=None)
    if last is None or last > now - declared.derivation.reach:
        return set()
    return {moment for moment in moments if moment > last} - {
        min((moment for moment in moments if moment >= last), default=last)
    }


async def _derived_before(
    connection: Connection,
    tenant: str,
    declared: DeclaredDerivation,
    ahead: Mapping[str, set[Instant]],
    numbers: Mapping[str, int],
) -> set[tuple[str, Instant]]:
    """Those of the moments ahead that were derived all the same, while the station was silent."""
    asked = {entity_id: moments for entity_id, moments in ahead.items() if moments}
    if not asked:
        return set()
    entity_of = {numbers[entity_id]: entity_id for entity_id in asked}
    outputs = await store.numbers_of_names(connection, tenant, [one.iri for one in declared.outputs.values()])
    every = set().union(*asked.values())
    rows = await store.numbers_observed(
        connection,
        tenant,
        list(entity_of),
        list(outputs.values()),
        since=min(every) - _INSTANT,
        upto=max(every),
    )
    return {(entity_of[row["entity_no"]], row["observed_at"]) for row in rows}


def _window(
    declared: DeclaredDerivation, inputs: Mapping[str, _Series], moment: Instant
) -> dict[str, Sequence[Observation]]:
    """The observations in (moment − reach, moment] of each input."""
    window: dict[str, Sequence[Observation]] = {}
    since = moment - declared.derivation.reach
    for name in declared.derivation.inputs:
        series = inputs.get(name)
        if series is None:
            window[name] = ()
        else:
            first, last = bisect_right(series.times, since), bisect_right(series.times, moment)
            window[name] = series.observations[first:last]
    return window


def _instance(declared: DeclaredDerivation, derived: DerivedValue) -> AttributeInstance:
    attribute = declared.outputs.get(derived.attribute)
    if attribute is None:
        raise DerivationOfUnknown(derivation_id=declared.derivation.derivation_id, name=derived.attribute)
    below = [AttributeInstance(ORIGIN, declared.origin)]
    below += [
        AttributeInstance(_sub_attribute_iri(declared.entity_type, name), value)
        for name, value in derived.sub_attributes.items()
    ]
    return AttributeInstance(
        name=attribute.iri,
        value=derived.value,
        kind=attribute.kind,
        unit=attribute.unit,
        observed_at=derived.observed_at,
        quality=Quality.MISSING if derived.value is None else Quality.VALID,
        sub_attributes=tuple(below),
        why="derived again",
    )


def _sub_attribute_iri(entity_type: EntityType, name: str) -> str:
    declared = entity_type.attribute(name)
    return declared.iri if declared is not None else OWN_TERMS + name


def _command(
    declared: DeclaredDerivation, entity_id: str, found: Sequence[AttributeInstance]
) -> MergeObservations:
    return MergeObservations(
        entity_id=entity_id,
        type_iri=declared.entity_type.iri,
        attributes=tuple(found),
        origin=declared.origin,
        late="history",
        absent="forget",
        create=False,
    )
