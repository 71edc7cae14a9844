"""Runs the SQL of `sources`: who was heard, what was refused."""

from collections.abc import AsyncIterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date
from pathlib import Path
from uuid import UUID

from haidang.infra.database import Connection, Row
from haidang.infra.queries import load_queries
from haidang.kernel.ids import new_uuid
from haidang.kernel.instants import Instant
from haidang.sources.model import (
    Freshness,
    Quarantined,
    QuarantinedMessage,
    QuarantineTally,
    Replay,
    SourceCounts,
)

queries = load_queries(Path(__file__).parent / "sql")

MOST_KEPT_A_DAY = 100
"""Different payloads kept of one reason of one source on one day; further ones are only counted."""

MOST_BYTES_A_DAY = 10_000_000
"""And their size together."""

_Key = tuple[str, str, date]


@dataclass(slots=True)
class _Repeated:
    """The same payload refused for the same reason, counted."""

    first: Quarantined
    times: int
    last_received_at: Instant


async def count_messages(
    connection: Connection, tenant: str, source_id: str, *, messages: int, refusals: int, received_at: Instant
) -> None:
    """Add a batch to the counters of its source."""
    await queries.count_messages(
        connection,
        tenant=tenant,
        source_ids=[source_id],
        messages=[messages],
        refusals=[refusals],
        received_ats=[received_at],
    )


async def mark_heard(
    connection: Connection, tenant: str, source_id: str, heard: Mapping[str, tuple[Instant, Instant]]
) -> dict[str, Instant]:
    """Note who was heard (received, observed); the result names those that were late, and since when."""
    subjects = sorted(heard)
    rows = queries.mark_heard(
        connection,
        tenant=tenant,
        source_id=source_id,
        subjects=subjects,
        received_ats=[heard[subject][0] for subject in subjects],
        observed_ats=[heard[subject][1] for subject in subjects],
    )
    return {row["subject"]: row["late_since"] async for row in rows}


async def observed_until(
    connection: Connection, tenant: str, source_id: str, subjects: Sequence[str]
) -> dict[str, Instant]:
    """The newest moment that a source has told of each of these, where it has told of them."""
    rows = queries.observed_until(connection, tenant=tenant, source_id=source_id, subjects=subjects)
    return {row["subject"]: row["last_observed_at"] async for row in rows}


async def mark_late(
    connection: Connection, tenant: str, source_id: str, heard_before: Instant, now: Instant
) -> list[Freshness]:
    """Mark whoever fell silent, once."""
    rows = queries.mark_late(
        connection, tenant=tenant, source_id=source_id, heard_before=heard_before, now=now
    )
    return [
        Freshness(
            source_id=source_id,
            subject=row["subject"],
            last_received_at=row["last_received_at"],
            last_observed_at=row["last_observed_at"],
            late_since=now,
        )
        async for row in rows
    ]


async def freshness(connection: Connection, tenant: str) -> list[Freshness]:
    """Everything that was ever heard."""
    return [Freshness(**row) async for row in queries.freshness(connection, tenant=tenant)]


async def source_counts(connection: Connection, tenant: str) -> list[SourceCounts]:
    """The counters of every source."""
    return [SourceCounts(**row) async for row in queries.source_counts(connection, tenant=tenant)]


async def quarantine(connection: Connection, tenant: str, refused: Sequence[Quarantined]) -> None:
    """Keep what was refused: once for each payload, reason and day, and never without bound."""
    gathered = _gathered(refused)
    if not gathered:
        return
    tallies: dict[_Key, int] = {}
    for key, repeated in gathered.items():
        tallies[key[:3]] = tallies.get(key[:3], 0) + repeated.times
    keys = sorted(tallies)
    bounds = {
        (row["source_id"], row["reason"], row["day"]): (row["kept"], row["kept_bytes"])
        async for row in queries.tally_refusals(
            connection,
            tenant=tenant,
            source_ids=[key[0] for key in keys],
            reasons=[key[1] for key in keys],
            days=[key[2] for key in keys],
            times=[tallies[key] for key in keys],
        )
    }
    known = await _count_repeats(connection, tenant, gathered)
    await _keep(connection, tenant, _within(gathered, known, bounds))


def _gathered(refused: Sequence[Quarantined]) -> dict[tuple[str, str, date, bytes], _Repeated]:
    gathered: dict[tuple[str, str, date, bytes], _Repeated] = {}
    for one in refused:
        received_at = one.message.received_at
        key = (one.source_id, one.refusal.reason, received_at.astimezone(UTC).date(), one.digest)
        repeated = gathered.get(key)
        if repeated is None:
            gathered[key] = _Repeated(one, 1, received_at)
        else:
            repeated.times += 1
            repeated.last_received_at = max(repeated.last_received_at, received_at)
    return gathered


async def _count_repeats(
    connection: Connection, tenant: str, gathered: Mapping[tuple[str, str, date, bytes], _Repeated]
) -> set[tuple[str, str, date, bytes]]:
    keys = sorted(gathered)
    rows = queries.count_repeats(
        connection,
        tenant=tenant,
        source_ids=[key[0] for key in keys],
        reasons=[key[1] for key in keys],
        days=[key[2] for key in keys],
        digests=[key[3] for key in keys],
        times=[gathered[key].times for key in keys],
        received_ats=[gathered[key].last_received_at for key in keys],
    )
    return {(row["source_id"], row["reason"], row["day"], row["digest"]) async for row in rows}


def _within(
    gathered: Mapping[tuple[str, str, date, bytes], _Repeated],
    known: set[tuple[str, str, date, bytes]],
    bounds: Mapping[_Key, tuple[int, int]],
) -> list[tuple[date, bytes, _Repeated]]:
    """Those that are new and for which there is room today."""
    room = {key: [MOST_KEPT_A_DAY - kept, MOST_BYTES_A_DAY - size] for key, (kept, size) in bounds.items()}
    chosen = []
    for key, repeated in gathered.items():
        left = room[key[:3]]
        size = len(repeated.first.kept_payload)
        if key in known or left[0] < 1 or left[1] < size:
            continue
        left[0] -= 1
        left[1] -= size
        chosen.append((key[2], key[3], repeated))
    return chosen


async def _keep(connection: Connection, tenant: str, chosen: Sequence[tuple[date, bytes, _Repeated]]) -> None:
    if not chosen:
        return
    firsts = [repeated.first for _, _, repeated in chosen]
    await queries.keep_refused(
        connection,
        tenant=tenant,
        quarantine_ids=[new_uuid() for _ in chosen],
        source_ids=[one.source_id for one in firsts],
        reasons=[one.refusal.reason for one in firsts],
        days=[day for day, _, _ in chosen],
        digests=[digest for _, digest, _ in chosen],
        details=[one.refusal.detail for one in firsts],
        topics=[one.message.topic for one in firsts],
        payloads=[one.kept_payload for one in firsts],
        sizes=[len(one.message.payload) for one in firsts],
        decoder_versions=[one.decoder_version for one in firsts],
        times=[repeated.times for _, _, repeated in chosen],
        first_received_ats=[one.message.received_at for one in firsts],
        last_received_ats=[repeated.last_received_at for _, _, repeated in chosen],
    )
    kept: dict[_Key, list[int]] = {}
    for day, _, repeated in chosen:
        one = repeated.first
        counted = kept.setdefault((one.source_id, one.refusal.reason, day), [0, 0])
        counted[0] += 1
        counted[1] += len(one.kept_payload)
    await queries.count_kept(
        connection,
        tenant=tenant,
        source_ids=[key[0] for key in kept],
        reasons=[key[1] for key in kept],
        days=[key[2] for key in kept],
        kept=[counted[0] for counted in kept.values()],
        kept_bytes=[counted[1] for counted in kept.values()],
    )


async def list_quarantine(
    connection: Connection,
    tenant: str,
    *,
    source_id: str | None,
    reason: str | None,
    settled: bool,
    before: tuple[Instant, UUID] | None,
    payload_most: int,
    most: int,
) -> list[QuarantinedMessage]:
    """Quarantined messages, newest first, after the place `before` in the list."""
    rows = queries.list_quarantine(
        connection,
        tenant=tenant,
        source_id=source_id,
        reason=reason,
        settled=settled,
        before_at=before[0] if before else None,
        before_id=before[1] if before else None,
        payload_most=payload_most,
        most=most,
    )
    return await _messages(rows)


async def quarantine_tallies(connection: Connection, tenant: str, since: date) -> list[QuarantineTally]:
    """The counts of each day since `since`."""
    rows = queries.quarantine_tallies(connection, tenant=tenant, since=since)
    return [QuarantineTally(**row) async for row in rows]


async def quarantined_message(
    connection: Connection, tenant: str, quarantine_id: UUID
) -> QuarantinedMessage | None:
    """One quarantined message, whole."""
    row = await queries.quarantined_message(connection, tenant=tenant, quarantine_id=quarantine_id)
    return QuarantinedMessage(**row) if row else None


async def hold_for_replay(
    connection: Connection, tenant: str, quarantine_id: UUID
) -> QuarantinedMessage | None:
    """One quarantined message, locked until the transaction ends."""
    row = await queries.hold_for_replay(connection, tenant=tenant, quarantine_id=quarantine_id)
    return QuarantinedMessage(**row) if row else None


async def note_replay(
    connection: Connection, tenant: str, quarantine_id: UUID, now: Instant, *, settled: bool, detail: str
) -> None:
    """Note a replay and what came of it."""
    await queries.note_replay(
        connection, tenant=tenant, quarantine_id=quarantine_id, now=now, settled=settled, detail=detail
    )


async def note_tried(connection: Connection, tenant: str, quarantine_id: UUID, now: Instant) -> None:
    """Note that a message was taken up and could not be judged."""
    await queries.note_tried(connection, tenant=tenant, quarantine_id=quarantine_id, now=now)


async def unsettled_ids(
    connection: Connection,
    tenant: str,
    *,
    source_id: str | None,
    reason: str | None,
    asked_at: Instant | None = None,
) -> list[UUID]:
    """Every message that still waits, oldest first; of a moment: those there then and not tried since."""
    rows = queries.unsettled_ids(
        connection, tenant=tenant, source_id=source_id, reason=reason, asked_at=asked_at
    )
    return [row["quarantine_id"] async for row in rows]


async def count_unsettled(
    connection: Connection, tenant: str, *, source_id: str | None, reason: str | None
) -> int:
    """How many messages wait."""
    counted: int = await queries.count_unsettled(
        connection, tenant=tenant, source_id=source_id, reason=reason
    )
    return counted


async def begin_replay(connection: Connection, tenant: str, replay: Replay) -> None:
    """Note a replay that begins."""
    await queries.begin_replay(
        connection,
        tenant=tenant,
        replay_id=replay.replay_id,
        quarantine_id=replay.quarantine_id,
        source_id=replay.source_id,
        reason=replay.reason,
        asked_by=replay.asked_by,
        asked_at=replay.asked_at,
        messages=replay.messages,
    )


async def count_replayed(
    connection: Connection,
    tenant: str,
    replay_id: UUID,
    *,
    settled: int = 0,
    still_refused: int = 0,
    failed: int = 0,
) -> None:
    """Add to what came of a replay."""
    await queries.count_replayed(
        connection,
        tenant=tenant,
        replay_id=replay_id,
        settled=settled,
        still_refused=still_refused,
        failed=failed,
    )


async def end_replay(connection: Connection, tenant: str, replay_id: UUID, now: Instant) -> None:
    """Note the end of a replay."""
    await queries.end_replay(connection, tenant=tenant, replay_id=replay_id, now=now)


async def replay(connection: Connection, tenant: str, replay_id: UUID) -> Replay | None:
    """One replay, or None."""
    row = await queries.replay(connection, tenant=tenant, replay_id=replay_id)
    return Replay(**row) if row else None


async def newest_replays(
    connection: Connection, tenant: str, *, quarantine_id: UUID | None, most: int
) -> list[Replay]:
    """The newest replays, of one message or of any."""
    rows = queries.newest_replays(connection, tenant=tenant, quarantine_id=quarantine_id, most=most)
    return [Replay(**row) async for row in rows]


async def forget(
    connection: Connection, tenant: str, *, received_before: Instant, before_day: date, asked_before: Instant
) -> None:
    """Delete payloads and replays of before a moment, and counts of before a day."""
    await queries.forget_replays(connection, tenant=tenant, asked_before=asked_before)
    await queries.forget_quarantined(connection, tenant=tenant, received_before=received_before)
    await queries.forget_tallies(connection, tenant=tenant, before_day=before_day)


async def _messages(rows: AsyncIterable[Row]) -> list[QuarantinedMessage]:
    return [QuarantinedMessage(**row) async for row in rows]
