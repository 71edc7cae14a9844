"""Tokens: shown once, kept as a hash, ended at once."""

from datetime import timedelta

import pytest

from haidang.infra.database import Connection
from haidang.infra.tokens import (
    TokenLabelWrong,
    TokensAreForAdministrators,
    TokenUnknown,
    actor_of_token,
    issue_token,
    list_tokens,
    revoke_token,
    revoke_tokens_labelled,
)
from haidang.kernel.actors import Audience, anonymous, machine, part
from haidang.kernel.instants import SetClock

ME = part("test")


async def test_a_token_speaks_for_one_machine(connection: Connection, clock: SetClock) -> None:
    token = await issue_token(ME, connection, "station-1", now=clock.now(), lasts=None)
    assert token.startswith("hd_")
    assert len(token) == 46
    actor = await actor_of_token(connection, token, now=clock.now())
    assert actor == machine("station-1")
    assert not actor.belongs_to(Audience.ADMINISTRATOR)
    assert not actor.belongs_to(Audience.OFFICER)


async def test_the_token_itself_is_kept_nowhere(connection: Connection, clock: SetClock) -> None:
    token = await issue_token(ME, connection, "station-1", now=clock.now(), lasts=None)
    row = await connection.fetchval("SELECT array_agg(t::text)::text FROM infra.access_token AS t")
    assert token not in row
    assert token.removeprefix("hd_") not in row
    assert token.encode().hex() not in row


@pytest.mark.parametrize("token", ["", "hd_", "hd_" + "a" * 43, "x" * 46, "hd_" + "a" * 10_000, "hd_\udcff"])
async def test_what_is_no_token_speaks_for_nobody(
    connection: Connection, clock: SetClock, token: str
) -> None:
    assert await actor_of_token(connection, token, now=clock.now()) is None


async def test_a_token_ends_when_it_expires(connection: Connection, clock: SetClock) -> None:
    token = await issue_token(ME, connection, "demo", now=clock.now(), lasts=timedelta(hours=1))
    clock.advance(timedelta(minutes=59))
    assert await actor_of_token(connection, token, now=clock.now()) is not None
    clock.advance(timedelta(minutes=1))
    assert await actor_of_token(connection, token, now=clock.now()) is None


async def test_a_token_ends_when_it_is_revoked(connection: Connection, clock: SetClock) -> None:
    token = await issue_token(ME, connection, "demo", now=clock.now(), lasts=None)
    kept = await issue_token(ME, connection, "other", now=clock.now(), lasts=None)
    listed = {one.label: one for one in await list_tokens(ME, connection)}
    await revoke_token(ME, connection, listed["demo"].token_id, now=clock.now())
    assert await actor_of_token(connection, token, now=clock.now()) is None
    assert await actor_of_token(connection, kept, now=clock.now()) is not None
    assert [one.usable(clock.now()) for one in await list_tokens(ME, connection)].count(True) == 1
    with pytest.raises(TokenUnknown):
        await revoke_token(ME, connection, "000000000000", now=clock.now())


async def test_all_tokens_of_a_label_can_be_ended(connection: Connection, clock: SetClock) -> None:
    tokens = [await issue_token(ME, connection, "demo", now=clock.now(), lasts=None) for _ in range(3)]
    await revoke_tokens_labelled(ME, connection, "demo", now=clock.now())
    assert [await actor_of_token(connection, one, now=clock.now()) for one in tokens] == [None] * 3


async def test_a_tenant_sees_and_ends_its_own_tokens_only(connection: Connection, clock: SetClock) -> None:
    token = await issue_token(ME, connection, "demo", now=clock.now(), lasts=None)
    other = part("test", "another")
    assert await list_tokens(other, connection) == []
    [mine] = await list_tokens(ME, connection)
    with pytest.raises(TokenUnknown):
        await revoke_token(other, connection, mine.token_id, now=clock.now())
    actor = await actor_of_token(connection, token, now=clock.now())
    assert actor is not None
    assert actor.tenant == ME.tenant


@pytest.mark.parametrize("label", ["", "Trạm 1", "a b", "a" * 61, "a:b"])
async def test_a_label_must_fit_into_a_name(connection: Connection, clock: SetClock, label: str) -> None:
    with pytest.raises(TokenLabelWrong):
        await issue_token(ME, connection, label, now=clock.now(), lasts=None)


async def test_only_an_administrator_issues_lists_and_revokes(
    connection: Connection, clock: SetClock
) -> None:
    for actor in (anonymous(), machine("station-1")):
        with pytest.raises(TokensAreForAdministrators):
            await issue_token(actor, connection, "x", now=clock.now(), lasts=None)
        with pytest.raises(TokensAreForAdministrators):
            await list_tokens(actor, connection)
        with pytest.raises(TokensAreForAdministrators):
            await revoke_token(actor, connection, "x", now=clock.now())
