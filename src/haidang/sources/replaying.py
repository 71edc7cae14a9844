"""Replays by somebody with a name: of one message at once, of all that a filter chose as a job.

The job judges one message after another, each in a transaction of its own together with the count of
what came of it, so that a worker that dies leaves what is done done: who takes the job over goes on with
what was not tried since it was asked for. See ADR 0067.
"""

from collections.abc import Sequence
from uuid import UUID

import msgspec

from haidang.infra.database import Connection, Pool, reading, transaction
from haidang.infra.failures import a_retry_helps
from haidang.infra.jobs import Job, JobRun, enqueue
from haidang.infra.telemetry import logger
from haidang.kernel.actors import Actor, Audience, part
from haidang.kernel.ids import new_uuid
from haidang.kernel.instants import Clock, Instant
from haidang.sources import store
from haidang.sources.errors import (
    NothingWaits,
    QuarantinedMessageCut,
    QuarantinedMessageUnknown,
    QuarantineIsForOfficers,
    ReplayUnknown,
    SourceUnknown,
)
from haidang.sources.model import DeclaredSource, Replay
from haidang.sources.service import Replayed, replay_quarantined

REPLAY_JOB = "replay-quarantine"
_log = logger("sources")


class ReplayAsked(msgspec.Struct, frozen=True):
    """What the job is given."""

    replay_id: UUID


async def replay_one(
    actor: Actor,
    connection: Connection,
    declared: Sequence[DeclaredSource],
    quarantine_id: UUID,
    *,
    by: str,
    now: Instant,
) -> Replayed:
    """Replay one message now, noting who wanted it.

    Raises what `replay_quarantined` raises, SourceUnknown where no pack declares its source any more.
    """
    replayed = await replay_quarantined(actor, connection, declared, quarantine_id, now=now)
    noted = _asked(by, now, messages=1, quarantine_id=quarantine_id)
    await store.begin_replay(connection, actor.tenant, noted)
    await store.count_replayed(
        connection,
        actor.tenant,
        noted.replay_id,
        settled=replayed.settled,
        still_refused=replayed.still_refused,
    )
    await store.end_replay(connection, actor.tenant, noted.replay_id, now)
    return replayed


async def begin_replay(
    actor: Actor,
    connection: Connection,
    *,
    source_id: str | None = None,
    reason: str | None = None,
    by: str,
    now: Instant,
) -> Replay:
    """Have all that wait, of a source or a reason, replayed after the commit; raises NothingWaits."""
    _require_officer(actor)
    waiting = await count_waiting(actor, connection, source_id=source_id, reason=reason)
    if not waiting:
        raise NothingWaits
    replay = _asked(by, now, messages=waiting, source_id=source_id, reason=reason)
    await store.begin_replay(connection, actor.tenant, replay)
    await enqueue(connection, actor, REPLAY_JOB, ReplayAsked(replay.replay_id))
    return replay


async def count_waiting(
    actor: Actor, connection: Connection, *, source_id: str | None = None, reason: str | None = None
) -> int:
    """How many messages wait in quarantine."""
    _require_officer(actor)
    return await store.count_unsettled(connection, actor.tenant, source_id=source_id, reason=reason)


async def replay(actor: Actor, connection: Connection, replay_id: UUID) -> Replay:
    """How far a replay has come; raises ReplayUnknown."""
    _require_officer(actor)
    found = await store.replay(connection, actor.tenant, replay_id)
    if found is None:
        raise ReplayUnknown(replay_id=replay_id)
    return found


async def newest_replays(
    actor: Actor, connection: Connection, *, quarantine_id: UUID | None = None, most: int = 10
) -> list[Replay]:
    """The newest replays, of one message or of any, running or over."""
    _require_officer(actor)
    return await store.newest_replays(connection, actor.tenant, quarantine_id=quarantine_id, most=most)


def replay_jobs(declared: Sequence[DeclaredSource], clock: Clock) -> tuple[Job, ...]:
    """The job that replays what a filter chose."""

    async def work(pool: Pool, run: JobRun) -> None:
        asked = run.read(ReplayAsked)
        actor = part("sources", run.tenant)
        async with reading(pool) as connection:
            wanted = await replay(actor, connection, asked.replay_id)
            waiting = await store.unsettled_ids(
                connection,
                run.tenant,
                source_id=wanted.source_id,
                reason=wanted.reason,
                asked_at=wanted.asked_at,
            )
        if wanted.ended_at is None:
            for quarantine_id in waiting:
                await _replay_next(actor, pool, declared, asked.replay_id, quarantine_id, now=clock.now())
        async with transaction(pool) as connection:
            await store.end_replay(connection, run.tenant, asked.replay_id, clock.now())

    return (Job(name=REPLAY_JOB, handle=work, audience=Audience.OFFICER),)


async def _replay_next(
    actor: Actor,
    pool: Pool,
    declared: Sequence[DeclaredSource],
    replay_id: UUID,
    quarantine_id: UUID,
    *,
    now: Instant,
) -> None:
    """One message of a replay, with its count; one that fails is counted and keeps nobody from the next."""
    try:
        async with transaction(pool) as connection:
            done = await replay_quarantined(actor, connection, declared, quarantine_id, now=now)
            await store.count_replayed(
                connection, actor.tenant, replay_id, settled=done.settled, still_refused=done.still_refused
            )
    except QuarantinedMessageUnknown:
        return  # forgotten meanwhile
    except (QuarantinedMessageCut, SourceUnknown):
        async with transaction(pool) as connection:
            await store.note_tried(connection, actor.tenant, quarantine_id, now)
            await store.count_replayed(connection, actor.tenant, replay_id, still_refused=1)
    except Exception as trouble:
        if a_retry_helps(trouble):
            raise
        _log.exception("message-not-replayed", quarantine_id=str(quarantine_id))
        async with transaction(pool) as connection:
            await store.note_tried(connection, actor.tenant, quarantine_id, now)
            await store.count_replayed(connection, actor.tenant, replay_id, failed=1)


def _asked(
    by: str,
    now: Instant,
    *,
    messages: int,
    quarantine_id: UUID | None = None,
    source_id: str | None = None,
    reason: str | None = None,
) -> Replay:
    return Replay(
        replay_id=new_uuid(),
        quarantine_id=quarantine_id,
        source_id=source_id,
        reason=reason,
        asked_by=by,
        asked_at=now,
        messages=messages,
        settled=0,
        still_refused=0,
        failed=0,
        ended_at=None,
    )


def _require_officer(actor: Actor) -> None:
    if not actor.belongs_to(Audience.OFFICER):
        raise QuarantineIsForOfficers
