"""The quarantine from the command line: what an officer on duty sees and does."""

import asyncio
from datetime import timedelta

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
from haidang.sources.model import declared_sources
from haidang.sources.service import take_messages
from tests.sources.test_service import station

ACTOR = part("sources")
(AIR,) = (one for one in declared_sources([PACK]) if one.source_id == "air-stations")


async def run(dsn: str, *arguments: str) -> Result:
    """One command, in a thread: it has an event loop of its own."""
    runner = CliRunner(env={"DATABASE_URL": dsn, "HAIDANG_DEFAULT_LOCALE": "vi"})
    return await asyncio.to_thread(runner.invoke, cli.haidang, list(arguments), catch_exceptions=False)


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


def test_the_quarantine_is_for_officers() -> None:
    for name in ("list", "replay"):
        assert cli.quarantine.commands[name].audience is Audience.OFFICER  # type: ignore[attr-defined]  # set by @audience


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
