"""Verbs of `sources`: take what was sent, watch who falls silent, look into the quarantine."""

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, timedelta
from uuid import UUID

from haidang.context.model import AttributeInstance, MergeObservations
from haidang.context.writer import apply_commands
from haidang.infra.database import Connection
from haidang.infra.events import publish
from haidang.infra.mqtt import topic_matches
from haidang.kernel.actors import Actor, Audience
from haidang.kernel.instants import Instant
from haidang.sdk.model import Message
from haidang.sources import store
from haidang.sources.errors import (
    IntakeIsForMachines,
    QuarantinedMessageCut,
    QuarantinedMessageUnknown,
    QuarantineIsForOfficers,
    SourceUnknown,
)
from haidang.sources.events import SourceBack, SourceLate
from haidang.sources.model import (
    LARGEST_PAYLOAD_BYTES,
    AdmittedReading,
    AdmittedValue,
    DeclaredSource,
    Freshness,
    Quarantined,
    QuarantinedMessage,
    QuarantineTally,
    Reason,
    Refusal,
    SourceCounts,
    Trial,
    judge,
    merge_refusals,
)

REPLAYED = "replayed from quarantine"

PAYLOADS_ARE_KEPT = timedelta(days=30)
COUNTS_ARE_KEPT = timedelta(days=400)

NO_SOURCE = "unknown"
"""The source of messages on a topic that no pack declares."""


@dataclass(frozen=True, slots=True)
class Taken:
    """What became of a batch: messages of which something entered, and messages with a refusal."""

    accepted: int
    quarantined: int


@dataclass(frozen=True, slots=True)
class Replayed:
    """What became of replayed messages: their reason is gone, or it is still there."""

    settled: int
    still_refused: int


@dataclass(slots=True)
class _Judged:
    """One message on its way: what may enter of it, and why the rest may not."""

    message: Message
    readings: Sequence[AdmittedReading]
    refusals: list[Refusal]
    entered: bool = False


async def take_messages(
    actor: Actor,
    connection: Connection,
    declared: DeclaredSource,
    messages: Sequence[Message],
    *,
    now: Instant,
) -> Taken:
    """Decode, judge and store one source's messages in the caller's transaction, in their order.

    What is good is merged into the context, what is not is quarantined with its reason, and
    whoever was heard is marked so. Taking the same message again changes nothing but counts.
    What describes a thing and not a moment (`lasting`) is believed from the newest moment that
    the source has told of it: a reading of an earlier one only fills what is not known.
    """
    if not actor.belongs_to(Audience.MACHINE):
        raise IntakeIsForMachines
    if not messages:
        return Taken(0, 0)
    judged = _judge_all(declared, messages, now)
    await _enter(actor, connection, declared, judged, now)
    refused = [
        Quarantined(declared.source_id, declared.decoder_version, one.message, refusal)
        for one in judged
        for refusal in merge_refusals(one.refusals)
    ]
    if refused:
        await store.quarantine(connection, actor.tenant, refused)
    back = await _note_heard(actor, connection, declared, judged)
    quarantined = sum(1 for one in judged if one.refusals)
    await store.count_messages(
        connection,
        actor.tenant,
        declared.source_id,
        messages=len(messages),
        refusals=quarantined,
        received_at=max(message.received_at for message in messages),
    )
    await publish(connection, actor, *back)
    return Taken(accepted=sum(1 for one in judged if one.entered), quarantined=quarantined)


def _judge_all(declared: DeclaredSource, messages: Sequence[Message], now: Instant) -> list[_Judged]:
    judged: list[_Judged] = []
    for message in messages:
        verdict = judge(declared, message, now=now)
        judged.append(_Judged(message, verdict.admitted, list(verdict.refusals)))
    return judged


async def _enter(
    actor: Actor,
    connection: Connection,
    declared: DeclaredSource,
    judged: Sequence[_Judged],
    now: Instant,
    *,
    heard_at: Instant | None = None,
) -> None:
    """Merge what may enter into the context; what the context refuses becomes a refusal too.

    `heard_at` is for a replay: when the message was first received.
    """
    owners = [one for one in judged for _ in one.readings]
    readings = [reading for one in judged for reading in one.readings]
    if not readings:
        return
    outdated = await _outdated(actor, connection, declared, readings, replayed=heard_at is not None)
    commands = [
        MergeObservations(
            entity_id=reading.entity_id,
            type_iri=declared.entity_type.iri,
            attributes=tuple(
                _instance(value, reading.observed_at, REPLAYED if heard_at else None)
                for value in reading.values
            ),
            origin=declared.urn,
            heard_at=heard_at,
            lasting="fill" if old else "replace",
        )
        for reading, old in zip(readings, outdated, strict=True)
    ]
    outcomes = await apply_commands(connection, actor, commands, now=now)
    for owner, outcome in zip(owners, outcomes, strict=True):
        if outcome.error is None:
            owner.entered = True
        else:
            owner.refusals.append(Refusal(outcome.error.code(), str(outcome.error)))


async def _outdated(
    actor: Actor,
    connection: Connection,
    declared: DeclaredSource,
    readings: Sequence[AdmittedReading],
    *,
    replayed: bool,
) -> list[bool]:
    """Of each reading, whether its source has told of a newer moment; a replay yields to the same one too."""
    entities = {
        reading.entity_id for reading in readings if any(value.attribute.lasting for value in reading.values)
    }
    newest = await store.observed_until(connection, actor.tenant, declared.source_id, sorted(entities))
    outdated: list[bool] = []
    for reading in readings:
        known = newest.get(reading.entity_id)
        yields = known is not None and (
            reading.observed_at < known or (replayed and reading.observed_at == known)
        )
        outdated.append(yields)
        newest[reading.entity_id] = reading.observed_at if known is None else max(known, reading.observed_at)
    return outdated


def _instance(value: AdmittedValue, observed_at: Instant, why: str | None) -> AttributeInstance:
    attribute = value.attribute
    return AttributeInstance(
        name=attribute.iri,
        value=value.value,
        kind=attribute.kind,
        unit=attribute.unit,
        # What describes the thing and not a moment is not repeated in the history.
        observed_at=None if attribute.lasting else observed_at,
        quality=value.quality,
        why=why,
    )


async def _note_heard(
    actor: Actor, connection: Connection, declared: DeclaredSource, judged: Iterable[_Judged]
) -> list[SourceBack]:
    heard: dict[str, tuple[Instant, Instant]] = {}
    for one in judged:
        if not one.entered:
            continue
        received_at = one.message.received_at
        for reading in one.readings:
            for subject in (reading.entity_id, declared.urn):
                known = heard.get(subject, (received_at, reading.observed_at))
                heard[subject] = (max(known[0], received_at), max(known[1], reading.observed_at))
    if not heard:
        return []
    back = await store.mark_heard(connection, actor.tenant, declared.source_id, heard)
    return [
        SourceBack(
            subject=subject, source_id=declared.source_id, late_since=late_since, back_at=heard[subject][0]
        )
        for subject, late_since in sorted(back.items())
    ]


async def quarantine_unread(
    actor: Actor,
    connection: Connection,
    declared: DeclaredSource | None,
    message: Message,
    *,
    reason: Reason,
    detail: str,
) -> None:
    """Quarantine a message whole: no source reads its topic, or what it says could not be stored."""
    if not actor.belongs_to(Audience.MACHINE):
        raise IntakeIsForMachines
    source_id = declared.source_id if declared else NO_SOURCE
    version = declared.decoder_version if declared else "none"
    refusal = merge_refusals([Refusal(reason, detail)])[0]
    await store.quarantine(connection, actor.tenant, [Quarantined(source_id, version, message, refusal)])
    await store.count_messages(
        connection, actor.tenant, source_id, messages=1, refusals=1, received_at=message.received_at
    )


async def mark_late_sources(
    actor: Actor,
    connection: Connection,
    declared: Sequence[DeclaredSource],
    *,
    now: Instant,
    watching_since: Instant,
) -> list[SourceLate]:
    """Find who has been silent for longer than its rhythm allows, mark it and tell it, once.

    Nobody is late before the watch itself has lasted as long as the silence allowed: while we
    were away we could not hear.
    """
    if not actor.belongs_to(Audience.MACHINE):
        raise IntakeIsForMachines
    told: list[SourceLate] = []
    for one in declared:
        heard_before = now - one.silence_allowed
        if watching_since > heard_before:
            continue
        late = await store.mark_late(connection, actor.tenant, one.source_id, heard_before, now)
        told += [
            SourceLate(
                subject=silent.subject,
                source_id=one.source_id,
                last_received_at=silent.last_received_at,
                last_observed_at=silent.last_observed_at,
                late_since=now,
            )
            for silent in sorted(late, key=lambda silent: silent.subject)
        ]
    await publish(connection, actor, *told)
    return told


async def list_freshness(actor: Actor, connection: Connection) -> list[Freshness]:
    """When every source and each of its entities was last heard."""
    return await store.freshness(connection, actor.tenant)


async def list_source_counts(actor: Actor, connection: Connection) -> list[SourceCounts]:
    """What each source has sent since the beginning."""
    return await store.source_counts(connection, actor.tenant)


async def list_quarantine(
    actor: Actor,
    connection: Connection,
    *,
    source_id: str | None = None,
    reason: str | None = None,
    settled: bool = False,
    before: tuple[Instant, UUID] | None = None,
    payload_most: int = LARGEST_PAYLOAD_BYTES,
    most: int = 50,
) -> list[QuarantinedMessage]:
    """Quarantined messages, newest first; `settled` shows also those whose reason is gone.

    `before` is the `last_received_at` and id of the last message of the page before. Of each payload no
    more than `payload_most` bytes are read.
    """
    _require_officer(actor)
    return await store.list_quarantine(
        connection,
        actor.tenant,
        source_id=source_id,
        reason=reason,
        settled=settled,
        before=before,
        payload_most=payload_most,
        most=min(most, 500),
    )


async def list_quarantine_tallies(
    actor: Actor, connection: Connection, *, since: Instant
) -> list[QuarantineTally]:
    """How often each reason was met on each day, kept or only counted."""
    _require_officer(actor)
    return await store.quarantine_tallies(connection, actor.tenant, since.astimezone(UTC).date())


async def list_unsettled_ids(
    actor: Actor, connection: Connection, *, source_id: str | None = None, reason: str | None = None
) -> list[UUID]:
    """Every message that still waits in quarantine, oldest first, to be replayed one by one."""
    _require_officer(actor)
    return await store.unsettled_ids(connection, actor.tenant, source_id=source_id, reason=reason)


async def quarantined_message(
    actor: Actor, connection: Connection, quarantine_id: UUID
) -> QuarantinedMessage:
    """One quarantined message, whole; raises QuarantinedMessageUnknown."""
    _require_officer(actor)
    kept = await store.quarantined_message(connection, actor.tenant, quarantine_id)
    if kept is None:
        raise QuarantinedMessageUnknown(quarantine_id=quarantine_id)
    return kept


async def try_quarantined(
    actor: Actor,
    connection: Connection,
    declared: Sequence[DeclaredSource],
    quarantine_id: UUID,
    *,
    now: Instant,
) -> Trial:
    """What a replay would judge, and nothing enters; raises QuarantinedMessageUnknown."""
    kept = await quarantined_message(actor, connection, quarantine_id)
    try:
        source = _source_of(kept, declared)
    except SourceUnknown:
        source = None
    if source is None or not kept.is_whole:
        return Trial(source, None, kept.reason)
    message = Message(kept.payload, kept.topic, kept.last_received_at)
    # In a thread: a megabyte of a message takes its time.
    verdict = await asyncio.to_thread(judge, source, message, now=now)
    return Trial(source, verdict, kept.reason)


async def replay_quarantined(
    actor: Actor,
    connection: Connection,
    declared: Sequence[DeclaredSource],
    quarantine_id: UUID,
    *,
    now: Instant,
) -> Replayed:
    """Judge a quarantined message again, by today's declarations, and let in what may enter now.

    It is settled when the reason it was kept for is gone; another reason of the same payload
    has an entry of its own, or gets one now. What entered before is not entered again, and what
    was learned about the same moment after the message was first received is not superseded.
    A message that no source was declared for is read by the one whose topic fits by now.
    """
    _require_officer(actor)
    kept = await store.hold_for_replay(connection, actor.tenant, quarantine_id)
    if kept is None:
        raise QuarantinedMessageUnknown(quarantine_id=quarantine_id)
    if not kept.is_whole:
        raise QuarantinedMessageCut(quarantine_id=quarantine_id)
    source = _source_of(kept, declared)
    if source is None:
        await store.note_replay(
            connection, actor.tenant, quarantine_id, now, settled=False, detail=kept.detail
        )
        return Replayed(settled=0, still_refused=1)
    message = Message(kept.payload, kept.topic, kept.last_received_at)
    judged = _judge_all(source, [message], now)
    await _enter(actor, connection, source, judged, now, heard_at=kept.first_received_at)
    refusals = merge_refusals(judged[0].refusals)
    same = next((refusal for refusal in refusals if refusal.reason == kept.reason), None)
    others = [refusal for refusal in refusals if refusal.reason != kept.reason]
    await store.quarantine(
        connection,
        actor.tenant,
        [Quarantined(source.source_id, source.decoder_version, message, refusal) for refusal in others],
    )
    await store.note_replay(
        connection,
        actor.tenant,
        quarantine_id,
        now,
        settled=same is None,
        detail=kept.detail if same is None else same.detail,
    )
    return Replayed(settled=int(same is None), still_refused=int(same is not None))


def _source_of(kept: QuarantinedMessage, declared: Sequence[DeclaredSource]) -> DeclaredSource | None:
    """The source that reads a message today; none where no pack declares its topic still."""
    if kept.source_id == NO_SOURCE:
        return next((one for one in declared if topic_matches(one.source.topic, kept.topic)), None)
    source = next((one for one in declared if one.source_id == kept.source_id), None)
    if source is None:
        raise SourceUnknown(source_id=kept.source_id)
    return source


async def forget_old_quarantine(actor: Actor, connection: Connection, *, now: Instant) -> None:
    """Delete payloads of more than 30 days, counts and replays of more than 400: what we declare."""
    _require_officer(actor)
    await store.forget(
        connection,
        actor.tenant,
        received_before=now - PAYLOADS_ARE_KEPT,
        before_day=(now - COUNTS_ARE_KEPT).astimezone(UTC).date(),
        asked_before=now - COUNTS_ARE_KEPT,
    )


def _require_officer(actor: Actor) -> None:
    if not actor.belongs_to(Audience.OFFICER):
        raise QuarantineIsForOfficers
