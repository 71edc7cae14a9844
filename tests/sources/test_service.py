"""Taking messages: what is good enters, what is not is kept with its reason, all in one transaction."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import msgspec
import pytest

from haidang.infra.database import Connection, Pool, transaction
from haidang.kernel.actors import Audience, anonymous, part
from haidang.kernel.instants import Instant
from haidang.packs.environment.pack import PACK
from haidang.sdk.model import Message
from haidang.sources.errors import (
    IntakeIsForMachines,
    QuarantinedMessageCut,
    QuarantinedMessageUnknown,
    QuarantineIsForOfficers,
)
from haidang.sources.model import LARGEST_PAYLOAD_BYTES, Reason, declared_sources
from haidang.sources.service import (
    Taken,
    forget_old_quarantine,
    list_freshness,
    list_quarantine,
    list_quarantine_tallies,
    list_source_counts,
    list_unsettled_ids,
    mark_late_sources,
    quarantine_unread,
    replay_quarantined,
    take_messages,
)
from haidang.sources.store import MOST_BYTES_A_DAY, MOST_KEPT_A_DAY

ACTOR = part("sources")
NOW = datetime(2026, 11, 21, 5, tzinfo=UTC)
DECLARED = declared_sources([PACK])
(AIR,) = (one for one in DECLARED if one.source_id == "air-stations")
STATION = "urn:ngsi-ld:AirQualityObserved:thu"


def station(*, at: Instant = NOW, received: Instant = NOW, entity: str = STATION, **values: Any) -> Message:
    """A station's message."""
    sent = {"id": entity, "observedAt": at.isoformat(), "period": 600, "values": values}
    return Message(msgspec.json.encode(sent), "haidang/air/thu", received)


async def observations(connection: Connection) -> list[tuple[str, datetime, float | None]]:
    """Every present number in the history, by attribute and moment."""
    rows = await connection.fetch(
        "SELECT n.iri, o.observed_at, o.number FROM context.observation AS o"
        " JOIN context.name AS n ON n.name_no = o.attribute_no"
        " WHERE o.superseded_at IS NULL AND n.iri LIKE '%/pm25' ORDER BY 1, 2, 3"
    )
    return [tuple(row) for row in rows]


async def test_a_reading_enters_and_a_repetition_changes_nothing(connection: Connection) -> None:
    message = station(pm25={"value": 31.5, "unit": "GQ"})
    assert await take_messages(ACTOR, connection, AIR, [message], now=NOW) == Taken(1, 0)
    once = await observations(connection)
    assert [row[2] for row in once] == [31.5]
    taken = await take_messages(ACTOR, connection, AIR, [message, message], now=NOW + timedelta(seconds=1))
    assert taken == Taken(2, 0)
    assert await observations(connection) == once
    (counts,) = await list_source_counts(ACTOR, connection)
    assert (counts.messages, counts.refusals) == (3, 0)


async def test_bad_and_good_travel_together_and_each_goes_its_way(connection: Connection) -> None:
    batch = [
        station(pm25={"value": 10.0, "unit": "GQ"}),
        Message(b'{"id": ', "haidang/air/thu", NOW),
        station(
            at=NOW - timedelta(minutes=10),
            pm25={"value": 11.0, "unit": "GQ"},
            no2={"value": 1, "unit": "KGM"},
        ),
        station(at=NOW + timedelta(hours=1), pm25={"value": 12.0, "unit": "GQ"}),
        station(at=NOW - timedelta(minutes=20), pm25={"value": -999, "unit": "GQ"}),
    ]
    assert await take_messages(ACTOR, connection, AIR, batch, now=NOW) == Taken(3, 3)
    assert [row[2] for row in await observations(connection)] == [None, 11.0, 10.0]
    kept = await list_quarantine(ACTOR, connection)
    assert {one.reason for one in kept} == {"not-json", Reason.UNIT_DIFFERS, Reason.OBSERVED_IN_FUTURE}
    (broken,) = (one for one in kept if one.reason == "not-json")
    assert (broken.payload, broken.topic, broken.decoder_version) == (
        b'{"id": ',
        "haidang/air/thu",
        f"environment {PACK.version}",
    )


async def test_what_the_context_refuses_is_quarantined_and_the_rest_enters(connection: Connection) -> None:
    sent = {"id": STATION, "observedAt": NOW.isoformat(), "values": {"pm25": {"value": 1.0, "unit": "GQ"}}}
    nul = msgspec.json.encode({**sent, "name": "a\x00b"})
    taken = await take_messages(
        ACTOR,
        connection,
        AIR,
        [Message(nul, "haidang/air/thu", NOW), station(pm25={"value": 2.0, "unit": "GQ"})],
        now=NOW,
    )
    assert taken == Taken(1, 1)
    (kept,) = await list_quarantine(ACTOR, connection)
    assert kept.reason == "text-unstorable"
    assert [row[2] for row in await observations(connection)] == [2.0]


async def test_garbage_a_million_times_is_counted_and_kept_once(connection: Connection) -> None:
    garbage = [Message(b"\x00garbage", "haidang/air/thu", NOW) for _ in range(500)]
    for _ in range(4):
        await take_messages(ACTOR, connection, AIR, garbage, now=NOW)
    (kept,) = await list_quarantine(ACTOR, connection)
    assert kept.times == 2_000
    (tally,) = await list_quarantine_tallies(ACTOR, connection, since=NOW)
    assert (tally.times, tally.kept, tally.kept_bytes) == (2_000, 1, 8)


async def test_different_garbage_is_kept_up_to_a_bound_and_then_counted(connection: Connection) -> None:
    for start in range(0, 300, 60):
        batch = [Message(b"garbage %d" % n, "haidang/air/thu", NOW) for n in range(start, start + 60)]
        await take_messages(ACTOR, connection, AIR, batch, now=NOW)
    assert len(await list_quarantine(ACTOR, connection, most=500)) == MOST_KEPT_A_DAY
    (tally,) = await list_quarantine_tallies(ACTOR, connection, since=NOW)
    assert (tally.times, tally.kept) == (300, MOST_KEPT_A_DAY)
    tomorrow = NOW + timedelta(days=1)
    await take_messages(ACTOR, connection, AIR, [Message(b"new", "haidang/air/thu", tomorrow)], now=tomorrow)
    assert len(await list_quarantine(ACTOR, connection, most=500)) == MOST_KEPT_A_DAY + 1


async def test_large_garbage_is_bounded_by_its_size(connection: Connection) -> None:
    size = LARGEST_PAYLOAD_BYTES - 1
    batch = [Message(b"x%02d" % n + bytes(size - 3), "haidang/air/thu", NOW) for n in range(15)]
    await take_messages(ACTOR, connection, AIR, batch, now=NOW)
    (tally,) = await list_quarantine_tallies(ACTOR, connection, since=NOW)
    assert tally.times == 15
    assert tally.kept == MOST_BYTES_A_DAY // size
    assert tally.kept_bytes <= MOST_BYTES_A_DAY


async def test_two_megabytes_are_refused_and_their_beginning_kept(connection: Connection) -> None:
    huge = Message(b"{" + bytes(2_000_000), "haidang/air/thu", NOW)
    assert await take_messages(ACTOR, connection, AIR, [huge], now=NOW) == Taken(0, 1)
    (kept,) = await list_quarantine(ACTOR, connection)
    assert (kept.reason, kept.payload_bytes, len(kept.payload)) == (
        Reason.PAYLOAD_TOO_LARGE,
        2_000_001,
        4_096,
    )
    with pytest.raises(QuarantinedMessageCut):
        await replay_quarantined(ACTOR, connection, DECLARED, kept.quarantine_id, now=NOW)


async def test_a_replay_lets_in_what_may_enter_now(connection: Connection) -> None:
    early = station(at=NOW + timedelta(hours=1), pm25={"value": 12.0, "unit": "GQ"})
    await take_messages(ACTOR, connection, AIR, [early], now=NOW)
    (kept,) = await list_quarantine(ACTOR, connection)
    again = await replay_quarantined(ACTOR, connection, DECLARED, kept.quarantine_id, now=NOW)
    assert (again.settled, again.still_refused) == (0, 1)
    assert await list_unsettled_ids(ACTOR, connection) == [kept.quarantine_id]
    later = NOW + timedelta(hours=1)
    for _ in range(2):
        done = await replay_quarantined(ACTOR, connection, DECLARED, kept.quarantine_id, now=later)
        assert (done.settled, done.still_refused) == (1, 0)
    assert [row[2] for row in await observations(connection)] == [12.0]
    assert await list_quarantine(ACTOR, connection) == []
    (settled,) = await list_quarantine(ACTOR, connection, settled=True)
    assert (settled.replays, settled.settled_at) == (3, later)


async def test_a_replay_that_meets_another_reason_keeps_it_too(connection: Connection) -> None:
    message = station(at=NOW + timedelta(hours=1), pm25={"value": 1.0, "unit": "KGM"})
    await take_messages(ACTOR, connection, AIR, [message], now=NOW)
    (kept,) = await list_quarantine(ACTOR, connection)
    await replay_quarantined(ACTOR, connection, DECLARED, kept.quarantine_id, now=NOW + timedelta(hours=1))
    (other,) = await list_quarantine(ACTOR, connection)
    assert other.reason == Reason.UNIT_DIFFERS


async def present(connection: Connection, attribute: str) -> Any:
    """What the thing has now as an attribute, by its local name."""
    document = msgspec.json.decode(
        await connection.fetchval(
            "SELECT CAST(document AS text) FROM context.entity WHERE entity_id = $1", STATION
        )
    )
    (instances,) = (found for iri, found in document.items() if iri.endswith(f"/{attribute}"))
    return instances[0]["value"]


def named(name: str, at: Instant, received: Instant, pm25: float = 1.0) -> Message:
    """A station's message that also says its name."""
    sent = {
        "id": STATION,
        "name": name,
        "observedAt": at.isoformat(),
        "period": 600,
        "values": {"pm25": {"value": pm25, "unit": "GQ"}},
    }
    return Message(msgspec.json.encode(sent), "haidang/air/thu", received)


async def quarantine_ahead(connection: Connection, message: Message) -> UUID:
    """Take a message whose moment is still to come: it waits whole in the quarantine."""
    await take_messages(ACTOR, connection, AIR, [message], now=message.received_at)
    (kept,) = await list_quarantine(ACTOR, connection)
    return kept.quarantine_id


async def test_a_replay_does_not_undo_a_later_correction(connection: Connection) -> None:
    at = NOW + timedelta(hours=1)
    waiting = await quarantine_ahead(connection, named("Thu", at, NOW, 12.0))
    correction = station(at=at, received=at, pm25={"value": 13.0, "unit": "GQ"})
    await take_messages(ACTOR, connection, AIR, [correction], now=at)
    for hours in (1, 2):  # as the present value, and then as one of the past
        now = NOW + timedelta(hours=1 + hours)
        done = await replay_quarantined(ACTOR, connection, DECLARED, waiting, now=now)
        assert done.settled == 1
        assert [row[2] for row in await observations(connection) if row[1] == at] == [13.0]
        newer = station(at=now, received=now, pm25={"value": 20.0 + hours, "unit": "GQ"})
        await take_messages(ACTOR, connection, AIR, [newer], now=now)
        assert await present(connection, "pm25") == 20.0 + hours


async def test_a_replay_corrects_what_was_known_before(connection: Connection) -> None:
    at = NOW + timedelta(minutes=4)
    first = station(at=at, received=NOW, pm25={"value": 5.0, "unit": "GQ"})
    await take_messages(ACTOR, connection, AIR, [first], now=NOW)
    received = NOW - timedelta(minutes=4)  # by a clock that runs behind
    correction = Message(
        named("Thu", at, received, 6.0).payload, "haidang/air/thu", NOW + timedelta(seconds=1)
    )
    await take_messages(ACTOR, connection, AIR, [correction], now=received)
    (kept,) = await list_quarantine(ACTOR, connection)
    await replay_quarantined(ACTOR, connection, DECLARED, kept.quarantine_id, now=NOW + timedelta(minutes=1))
    assert [row[2] for row in await observations(connection)] == [6.0]
    assert await present(connection, "pm25") == 6.0


async def test_an_old_message_does_not_rename_a_thing(connection: Connection) -> None:
    """Neither one that comes late nor one that is replayed."""
    ahead = NOW + timedelta(hours=1)
    waiting = await quarantine_ahead(connection, named("Before", ahead, NOW))
    now = NOW + timedelta(hours=2)
    batch = [named("Now", now, now), named("Late", now - timedelta(minutes=90), now)]
    assert await take_messages(ACTOR, connection, AIR, batch, now=now) == Taken(2, 0)
    assert await present(connection, "name") == "Now"
    await take_messages(ACTOR, connection, AIR, [named("Late", NOW, now)], now=now)
    assert await present(connection, "name") == "Now"
    await replay_quarantined(ACTOR, connection, DECLARED, waiting, now=now)
    assert await present(connection, "name") == "Now"
    assert len(await observations(connection)) == 4
    later = now + timedelta(minutes=10)
    await take_messages(ACTOR, connection, AIR, [named("Next", later, later)], now=later)
    assert await present(connection, "name") == "Next"


async def test_an_old_message_names_what_has_no_name(connection: Connection) -> None:
    await take_messages(ACTOR, connection, AIR, [station(pm25={"value": 2.0, "unit": "GQ"})], now=NOW)
    await take_messages(ACTOR, connection, AIR, [named("Thu", NOW - timedelta(hours=1), NOW)], now=NOW)
    assert await present(connection, "name") == "Thu"


async def test_a_topic_that_a_pack_declares_since_is_replayed(connection: Connection) -> None:
    message = station(pm25={"value": 3.0, "unit": "GQ"}, no2={"value": 1, "unit": "KGM"})
    await quarantine_unread(ACTOR, connection, None, message, reason=Reason.NO_SOURCE, detail=message.topic)
    (kept,) = await list_quarantine(ACTOR, connection)
    still = await replay_quarantined(ACTOR, connection, (), kept.quarantine_id, now=NOW)
    assert (still.settled, still.still_refused) == (0, 1)
    done = await replay_quarantined(ACTOR, connection, DECLARED, kept.quarantine_id, now=NOW)
    assert (done.settled, done.still_refused) == (1, 0)
    assert [row[2] for row in await observations(connection)] == [3.0]
    (other,) = await list_quarantine(ACTOR, connection)
    assert (other.source_id, other.reason) == (AIR.source_id, Reason.UNIT_DIFFERS)


async def test_the_list_is_paged_without_gaps_or_repeats(connection: Connection) -> None:
    for minute in range(7):
        at = NOW + timedelta(minutes=minute)
        await take_messages(ACTOR, connection, AIR, [Message(b"x%d" % minute, "haidang/air/thu", at)], now=at)
    seen: list[bytes] = []
    before = None
    while page := await list_quarantine(ACTOR, connection, before=before, most=3):
        seen += [one.payload for one in page]
        before = (page[-1].last_received_at, page[-1].quarantine_id)
    assert seen == [b"x%d" % minute for minute in reversed(range(7))]
    assert await list_quarantine(ACTOR, connection, source_id="another") == []
    assert await list_quarantine(ACTOR, connection, reason="another") == []


async def test_who_may_not_is_told_so(connection: Connection) -> None:
    visitor = anonymous()
    with pytest.raises(IntakeIsForMachines):
        await take_messages(visitor, connection, AIR, [station()], now=NOW)
    with pytest.raises(IntakeIsForMachines):
        await mark_late_sources(visitor, connection, DECLARED, now=NOW, watching_since=NOW)
    with pytest.raises(QuarantineIsForOfficers):
        await list_quarantine(visitor, connection)
    with pytest.raises(QuarantineIsForOfficers):
        await replay_quarantined(visitor, connection, DECLARED, uuid4(), now=NOW)
    with pytest.raises(QuarantinedMessageUnknown):
        await replay_quarantined(ACTOR, connection, DECLARED, uuid4(), now=NOW)
    assert Audience.OFFICER in ACTOR.audiences


async def test_tenants_do_not_see_each_other(connection: Connection) -> None:
    other = part("sources", tenant="other")
    await take_messages(other, connection, AIR, [Message(b"x", "haidang/air/thu", NOW)], now=NOW)
    assert await list_quarantine(ACTOR, connection) == []
    assert await list_source_counts(ACTOR, connection) == []
    (kept,) = await list_quarantine(other, connection)
    with pytest.raises(QuarantinedMessageUnknown):
        await replay_quarantined(ACTOR, connection, DECLARED, kept.quarantine_id, now=NOW)


async def events_of(connection: Connection) -> list[tuple[str, str]]:
    """Kind and subject of what `sources` has published."""
    rows = await connection.fetch(
        "SELECT kind, subject FROM infra.event WHERE kind LIKE 'sources.%' ORDER BY event_no"
    )
    return [(row["kind"], row["subject"]) for row in rows]


async def test_silence_is_told_once_and_so_is_the_return(connection: Connection) -> None:
    await take_messages(ACTOR, connection, AIR, [station(pm25={"value": 1.0, "unit": "GQ"})], now=NOW)
    allowed = AIR.silence_allowed

    async def look(after: timedelta) -> list[str]:
        late = await mark_late_sources(
            ACTOR, connection, DECLARED, now=NOW + after, watching_since=NOW - timedelta(days=1)
        )
        return [one.subject for one in late]

    assert await look(allowed) == []
    assert await look(allowed + timedelta(seconds=1)) == [AIR.urn, STATION]
    assert await look(allowed + timedelta(seconds=2)) == []
    back_at = NOW + allowed + timedelta(minutes=1)
    for _ in range(2):
        message = station(at=back_at, received=back_at, pm25={"value": 2.0, "unit": "GQ"})
        await take_messages(ACTOR, connection, AIR, [message], now=back_at)
    assert await events_of(connection) == [
        ("sources.source-late", AIR.urn),
        ("sources.source-late", STATION),
        ("sources.source-back", AIR.urn),
        ("sources.source-back", STATION),
    ]
    assert all(one.late_since is None for one in await list_freshness(ACTOR, connection))


async def test_garbage_is_not_a_sign_of_life(connection: Connection) -> None:
    await take_messages(ACTOR, connection, AIR, [Message(b"x", "haidang/air/thu", NOW)], now=NOW)
    assert await list_freshness(ACTOR, connection) == []


async def test_nobody_is_late_for_our_own_absence(connection: Connection) -> None:
    await take_messages(ACTOR, connection, AIR, [station(pm25={"value": 1.0, "unit": "GQ"})], now=NOW)
    woke = NOW + timedelta(days=2)
    late = await mark_late_sources(ACTOR, connection, DECLARED, now=woke, watching_since=woke)
    assert late == []


async def test_an_unreadable_topic_is_kept_under_no_source(connection: Connection) -> None:
    message = Message(b"?", "elsewhere", NOW)
    await quarantine_unread(ACTOR, connection, None, message, reason=Reason.NO_SOURCE, detail="elsewhere")
    (kept,) = await list_quarantine(ACTOR, connection)
    assert (kept.source_id, kept.reason) == ("unknown", Reason.NO_SOURCE)


async def test_payloads_are_forgotten_after_thirty_days(connection: Connection) -> None:
    old = NOW - timedelta(days=31)
    await take_messages(ACTOR, connection, AIR, [Message(b"old", "t", old)], now=old)
    await take_messages(ACTOR, connection, AIR, [Message(b"new", "t", NOW)], now=NOW)
    await forget_old_quarantine(ACTOR, connection, now=NOW)
    assert [one.payload for one in await list_quarantine(ACTOR, connection)] == [b"new"]
    tallies = await list_quarantine_tallies(ACTOR, connection, since=old)
    assert len(tallies) == 2


async def test_a_batch_that_fails_leaves_nothing(pool: Pool) -> None:
    async def take_and_fail() -> None:
        async with transaction(pool) as held:
            batch = [station(pm25={"value": 1.0, "unit": "GQ"}), Message(b"x", "haidang/air/thu", NOW)]
            await take_messages(ACTOR, held, AIR, batch, now=NOW)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await take_and_fail()
    async with transaction(pool) as held:
        assert await observations(held) == []
        assert await list_quarantine(ACTOR, held) == []
        assert await list_freshness(ACTOR, held) == []
