"""The quarantine from the command line: what an officer on duty sees and does."""

import asyncio
import re
from datetime import timedelta
from typing import Any

import asyncpg
import pytest
from click.testing import CliRunner, Result

from haidang import cli
from haidang.infra.database import DatabaseUnavailable, Pool, transaction
from haidang.kernel.actors import Audience, part
from haidang.kernel.instants import SystemClock
from haidang.packs.environment.pack import PACK
from haidang.sdk.model import Message
from haidang.sources.intake import _waiting_helps
from haidang.sources.model import Reason, declared_sources
from haidang.sources.service import (
    Replayed,
    list_unsettled_ids,
    mark_late_sources,
    quarantine_unread,
    replay_quarantined,
    take_messages,
)
from tests.sources.test_service import STATION, station

ACTOR = part("sources")
(AIR,) = (one for one in declared_sources([PACK]) if one.source_id == "air-stations")


async def run(dsn: str, *arguments: str, fails: bool = False) -> Result:
    """One command, in a thread: it has an event loop of its own."""
    runner = CliRunner(env={"DATABASE_URL": dsn, "HAIDANG_DEFAULT_LOCALE": "vi"})
    return await asyncio.to_thread(runner.invoke, cli.haidang, list(arguments), catch_exceptions=fails)


async def test_an_officer_lists_and_replays_the_quarantine(dsn: str, pool: Pool) -> None:
    now = SystemClock().now()
    soon = station(
        at=now - timedelta(hours=1), received=now - timedelta(hours=2), pm25={"value": 5, "unit": "GQ"}
    )
    async with transaction(pool) as connection:
        then = now - timedelta(hours=2)
        await take_messages(ACTOR, connection, AIR, [soon, Message(b"{", "haidang/air/thu", then)], now=then)
    listed = await run(dsn, "quarantine", "list")
    assert "observed-in-future: Thời điểm đo nằm trong tương lai" in listed.output
    assert "not-json" in listed.output
    assert "not-json" not in (await run(dsn, "quarantine", "list", "--reason", "observed-in-future")).output
    replayed = await run(dsn, "quarantine", "replay")
    assert "1 đã xử lý, 1 vẫn bị từ chối." in replayed.output
    assert "observed-in-future" not in (await run(dsn, "quarantine", "list")).output
    assert "✓" in (await run(dsn, "quarantine", "list", "--all")).output
    identity = listed.output.split()[0]
    assert (await run(dsn, "quarantine", "replay", identity)).exit_code == 0


async def test_one_replay_that_fails_loses_only_itself(
    dsn: str, pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = SystemClock().now()
    then = now - timedelta(hours=2)
    early = [
        station(at=now - timedelta(minutes=minute), received=then, pm25={"value": minute, "unit": "GQ"})
        for minute in (30, 20, 10)
    ]
    async with transaction(pool) as connection:
        await take_messages(ACTOR, connection, AIR, early, now=then)
        wanted = await list_unsettled_ids(ACTOR, connection)
    seen: list[int] = []

    async def deadlocks_once(*arguments: Any, **named: Any) -> Replayed:
        other = await asyncpg.connect(dsn)
        seen.append(await other.fetchval("SELECT count(*) FROM sources.quarantine WHERE settled_at IS NULL"))
        await other.close()
        if arguments[3] == wanted[1]:
            raise asyncpg.DeadlockDetectedError("deadlock detected")
        return await replay_quarantined(*arguments, **named)

    monkeypatch.setattr(cli, "replay_quarantined", deadlocks_once)
    replayed = await run(dsn, "quarantine", "replay", fails=True)
    assert seen == [3, 2, 2]  # what was entered is committed before the next one is tried
    assert "2 đã xử lý, 0 vẫn bị từ chối, 1 không thành." in replayed.output
    assert f"{wanted[1]}: DeadlockDetectedError" in replayed.output
    assert isinstance(replayed.exception, cli.ReplayFailed)
    async with transaction(pool) as connection:
        assert await list_unsettled_ids(ACTOR, connection) == [wanted[1]]


async def test_what_a_stranger_sent_does_not_reach_the_terminal_raw(dsn: str, pool: Pool) -> None:
    evil = "trạm\x1b]0;owned\x07\x9b2J\u202e\r"
    now = SystemClock().now()
    message = Message(b"\x1b[2J", evil, now)
    async with transaction(pool) as connection:
        await quarantine_unread(ACTOR, connection, None, message, reason=Reason.NO_SOURCE, detail=evil)
    listed = await run(dsn, "quarantine", "list")
    assert listed.output.count(r"trạm\x1b]0;owned\x07\x9b2J\u202e\r") == 2
    assert r"\x1b[2J" in listed.output
    assert all(sign.isprintable() for sign in listed.output.replace("\n", ""))


async def test_an_officer_sees_who_is_heard_who_is_late_and_what_was_refused(dsn: str, pool: Pool) -> None:
    now = SystemClock().now()
    then = now - timedelta(days=1)
    good = station(at=then, received=then, pm25={"value": 5, "unit": "GQ"})
    async with transaction(pool) as connection:
        await take_messages(ACTOR, connection, AIR, [good, Message(b"{", "haidang/air/thu", then)], now=then)
    quiet = await run(dsn, "sources", "status")
    assert re.search(r"air-stations +2 +1 +\S+ \S+ +1 +0$", quiet.output, re.MULTILINE)
    assert re.search(r"air-stations +not-json +1 +1$", quiet.output, re.MULTILINE)
    assert STATION not in quiet.output
    assert STATION in (await run(dsn, "sources", "status", "--all")).output
    async with transaction(pool) as connection:
        await mark_late_sources(ACTOR, connection, [AIR], now=now, watching_since=then - timedelta(days=1))
    late = await run(dsn, "sources", "status")
    assert re.search(r"air-stations +2 +1 +\S+ \S+ +1 +1$", late.output, re.MULTILINE)
    assert STATION in late.output


def test_the_quarantine_is_for_officers() -> None:
    for command in (*cli.quarantine.commands.values(), *cli.sources.commands.values()):
        assert command.audience is Audience.OFFICER  # type: ignore[attr-defined]  # set by @audience


@pytest.mark.parametrize(
    ("error", "waits"),
    [
        (asyncpg.DiskFullError("no space left"), True),
        (asyncpg.InternalServerError("File too large"), True),
        (asyncpg.UndefinedTableError("not migrated yet"), True),
        (asyncpg.ReadOnlySQLTransactionError("a standby"), True),
        (asyncpg.InsufficientPrivilegeError("not ours"), True),
        (OSError("refused"), True),
        (DatabaseUnavailable(), True),
        (asyncpg.DataError("not a number"), False),
        (asyncpg.CheckViolationError("impossible"), False),
        (asyncpg.ProgramLimitExceededError("row too big"), False),
        (KeyError("a bug"), False),
    ],
)
def test_the_worlds_trouble_waits_and_a_messages_own_fault_does_not(error: Exception, *, waits: bool) -> None:
    assert _waiting_helps(error) is waits
