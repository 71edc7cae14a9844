"""Replays by somebody with a name: what would happen is told before, who wanted it is kept, a job goes on."""

from datetime import timedelta
from uuid import UUID, uuid4

import pytest

from haidang.infra.database import Connection, Pool, reading, transaction
from haidang.infra.jobs import JobRun
from haidang.kernel.actors import anonymous, part
from haidang.kernel.instants import SetClock
from haidang.sdk.model import Message
from haidang.sources import store
from haidang.sources.errors import (
    NothingWaits,
    QuarantinedMessageUnknown,
    QuarantineIsForOfficers,
    ReplayUnknown,
)
from haidang.sources.model import Reason, Replay
from haidang.sources.replaying import (
    ReplayAsked,
    begin_replay,
    count_waiting,
    newest_replays,
    replay,
    replay_jobs,
    replay_one,
)
from haidang.sources.service import (
    list_quarantine,
    quarantine_unread,
    quarantined_message,
    take_messages,
    try_quarantined,
)
from tests.sources.test_service import ACTOR, AIR, DECLARED, NOW, observations, station

BY = "unverified:Lan"
LATER = NOW + timedelta(hours=2)


async def refuse_early(connection: Connection, *minutes: int) -> list[UUID]:
    """Messages whose moment is yet to come: quarantined now, good later."""
    ahead = [
        station(at=NOW + timedelta(hours=1, minutes=one), pm25={"value": 20.0 + one, "unit": "GQ"})
        for one in minutes
    ]
    await take_messages(ACTOR, connection, AIR, ahead, now=NOW)
    return [one.quarantine_id for one in await list_quarantine(ACTOR, connection)]


async def test_a_trial_says_what_would_enter_and_nothing_enters(connection: Connection) -> None:
    (early,) = await refuse_early(connection, 1)
    now = await try_quarantined(ACTOR, connection, DECLARED, early, now=NOW)
    assert (now.settles, now.source) == (False, AIR)
    then = await try_quarantined(ACTOR, connection, DECLARED, early, now=LATER)
    assert then.settles
    assert then.verdict is not None
    assert 21.0 in [value.value for one in then.verdict.admitted for value in one.values]
    assert await observations(connection) == []
    assert (await quarantined_message(ACTOR, connection, early)).replays == 0


async def test_a_trial_without_a_source_or_a_whole_payload_judges_nothing(connection: Connection) -> None:
    await take_messages(ACTOR, connection, AIR, [Message(bytes(1_000_001), "haidang/air/a", NOW)], now=NOW)
    stray = Message(b"{}", "elsewhere/x", NOW)
    await quarantine_unread(ACTOR, connection, None, stray, reason=Reason.NO_SOURCE, detail="")
    kept = {one.reason: one.quarantine_id for one in await list_quarantine(ACTOR, connection)}
    cut = await try_quarantined(ACTOR, connection, DECLARED, kept[Reason.PAYLOAD_TOO_LARGE], now=NOW)
    assert (cut.verdict, cut.settles, cut.source) == (None, False, AIR)
    unread = await try_quarantined(ACTOR, connection, DECLARED, kept[Reason.NO_SOURCE], now=NOW)
    assert (unread.verdict, unread.settles, unread.source) == (None, False, None)
    gone = await try_quarantined(ACTOR, connection, (), kept[Reason.PAYLOAD_TOO_LARGE], now=NOW)
    assert gone.source is None


async def test_a_list_may_ask_for_the_beginning_of_payloads_alone(connection: Connection) -> None:
    await refuse_early(connection, 1)
    (short,) = await list_quarantine(ACTOR, connection, payload_most=5)
    assert (len(short.payload), short.is_whole) == (5, True)
    assert short.kept_bytes == short.payload_bytes > 5


async def test_one_message_is_replayed_under_a_name(connection: Connection) -> None:
    (early,) = await refuse_early(connection, 1)
    done = await replay_one(ACTOR, connection, DECLARED, early, by=BY, now=LATER)
    assert done.settled == 1
    (noted,) = await newest_replays(ACTOR, connection, quarantine_id=early)
    assert (noted.asked_by, noted.messages, noted.settled, noted.ended_at) == (BY, 1, 1, LATER)
    assert [row[2] for row in await observations(connection)] == [21.0]


async def test_nobody_but_officers_and_nothing_of_nothing(connection: Connection) -> None:
    nobody = anonymous()
    for verb in (
        quarantined_message(nobody, connection, uuid4()),
        try_quarantined(nobody, connection, DECLARED, uuid4(), now=NOW),
        replay_one(nobody, connection, DECLARED, uuid4(), by=BY, now=NOW),
        begin_replay(nobody, connection, by=BY, now=NOW),
        count_waiting(nobody, connection),
        replay(nobody, connection, uuid4()),
        newest_replays(nobody, connection),
    ):
        with pytest.raises(QuarantineIsForOfficers):
            await verb
    with pytest.raises(QuarantinedMessageUnknown):
        await try_quarantined(ACTOR, connection, DECLARED, uuid4(), now=NOW)
    with pytest.raises(ReplayUnknown):
        await replay(ACTOR, connection, uuid4())
    with pytest.raises(NothingWaits):
        await begin_replay(ACTOR, connection, by=BY, now=NOW)


def run_of(asked: Replay) -> JobRun:
    """A run of the job, as a worker gets it."""
    payload = b'{"replay_id": "%s"}' % str(asked.replay_id).encode()
    return JobRun(1, "replay-quarantine", payload, 1, part("sources").actor_id, "default", NOW)


async def test_the_job_replays_what_waited_and_counts_what_cannot_be(pool: Pool) -> None:
    async with transaction(pool) as connection:
        await refuse_early(connection, 1, 2, 3)
        await take_messages(
            ACTOR, connection, AIR, [Message(bytes(1_000_001), "haidang/air/a", NOW)], now=NOW
        )
        asked = await begin_replay(ACTOR, connection, source_id="air-stations", by=BY, now=LATER)
    assert asked.messages == 4
    clock = SetClock(LATER)
    (job,) = replay_jobs(DECLARED, clock)
    await job.handle(pool, run_of(asked))
    async with reading(pool) as connection:
        done = await replay(ACTOR, connection, asked.replay_id)
        assert (done.settled, done.still_refused, done.failed, done.ended_at) == (3, 1, 0, LATER)
        assert sorted(row[2] or 0 for row in await observations(connection)) == [21.0, 22.0, 23.0]
    clock.advance(timedelta(hours=1))
    await job.handle(pool, run_of(asked))  # a job may be run twice
    async with reading(pool) as connection:
        assert await replay(ACTOR, connection, asked.replay_id) == done


async def test_a_job_that_is_taken_over_goes_on_where_it_stood(pool: Pool) -> None:
    async with transaction(pool) as connection:
        ids = await refuse_early(connection, 1, 2)
        asked = await begin_replay(ACTOR, connection, reason=Reason.OBSERVED_IN_FUTURE, by=BY, now=LATER)
    async with transaction(pool) as connection:  # as far as the first worker came
        await store.note_tried(connection, "default", ids[0], LATER)
        await store.count_replayed(connection, "default", asked.replay_id, failed=1)
    (job,) = replay_jobs(DECLARED, SetClock(LATER))
    await job.handle(pool, run_of(asked))
    async with reading(pool) as connection:
        done = await replay(ACTOR, connection, asked.replay_id)
    assert (done.settled, done.failed, done.done) == (1, 1, 2)


def test_the_payload_of_the_job_is_what_it_reads() -> None:
    asked = uuid4()
    run = JobRun(1, "replay-quarantine", b'{"replay_id": "%s"}' % str(asked).encode(), 1, "a", "t", NOW)
    assert run.read(ReplayAsked) == ReplayAsked(asked)
