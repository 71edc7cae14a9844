"""Idempotency keys: one effect however often and however closely together a request is sent."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from haidang.infra.database import Connection, Pool
from haidang.infra.idempotency import (
    KEPT_FOR,
    IdempotencyKeyInUse,
    IdempotencyKeyMalformed,
    IdempotencyKeyMissing,
    IdempotencyKeyReused,
    KeyedRequest,
    Receipt,
    answer_once,
    claim_key,
    find_receipt,
    keep_receipt,
    keyed_request,
    purge_receipts,
    read_key,
)
from haidang.kernel.actors import Actor, machine, part
from haidang.kernel.instants import SetClock

STATION = machine("station")


def request(key: str = "k1", body: bytes = b"{}", path: bytes = b"/reports") -> KeyedRequest:
    return keyed_request(key, method="POST", path=path, query=b"", content_type="application/json", body=body)


@pytest.fixture
async def ledger(pool: Pool) -> Pool:
    """The pool, with a table whose rows are the effects."""
    async with pool.acquire() as connection:
        await connection.execute("CREATE TABLE effect (effect_no bigint GENERATED ALWAYS AS IDENTITY)")
    return pool


def write(lasting_s: float = 0.0) -> Callable[[Connection], Awaitable[Receipt]]:
    async def carry_out(connection: Connection) -> Receipt:
        number = await connection.fetchval("INSERT INTO effect DEFAULT VALUES RETURNING effect_no")
        await asyncio.sleep(lasting_s)
        return Receipt(201, (("Location", f"/reports/{number}"), ("Set-Cookie", "s=1")), b"{}")

    return carry_out


async def effects(pool: Pool) -> int:
    async with pool.acquire() as connection:
        return int(await connection.fetchval("SELECT count(*) FROM effect"))


async def test_a_repeated_request_gets_the_same_answer(ledger: Pool, clock: SetClock) -> None:
    first = await answer_once(ledger, STATION, request(), write(), now=clock.now())
    clock.advance(timedelta(hours=23))
    again = await answer_once(ledger, STATION, request(), write(), now=clock.now())
    assert first == Receipt(201, (("Location", "/reports/1"),), b"{}", replayed=False)
    assert again == Receipt(201, (("Location", "/reports/1"),), b"{}", replayed=True)
    assert await effects(ledger) == 1


async def test_twenty_at_once_have_one_effect(ledger: Pool, clock: SetClock) -> None:
    answers = await asyncio.gather(
        *(answer_once(ledger, STATION, request(), write(0.05), now=clock.now()) for _ in range(20))
    )
    assert await effects(ledger) == 1
    assert sorted(answer.replayed for answer in answers) == [False] + [True] * 19
    assert {answer.headers for answer in answers} == {(("Location", "/reports/1"),)}


async def test_twenty_at_once_after_one_that_failed_have_one_effect(ledger: Pool, clock: SetClock) -> None:
    async def fails(connection: Connection) -> Receipt:
        await write(0.05)(connection)
        raise ZeroDivisionError

    failing = asyncio.create_task(answer_once(ledger, STATION, request(), fails, now=clock.now()))
    await asyncio.sleep(0.02)
    answers = await asyncio.gather(
        *(answer_once(ledger, STATION, request(), write(), now=clock.now()) for _ in range(20))
    )
    with pytest.raises(ZeroDivisionError):
        await failing
    assert await effects(ledger) == 1
    assert sum(not answer.replayed for answer in answers) == 1


async def test_a_key_is_not_for_another_request(ledger: Pool, clock: SetClock) -> None:
    await answer_once(ledger, STATION, request(), write(), now=clock.now())
    with pytest.raises(IdempotencyKeyReused):
        await answer_once(ledger, STATION, request(body=b"{} "), write(), now=clock.now())
    assert await effects(ledger) == 1


async def test_a_key_is_its_actors_its_tenants_and_its_routes_own(ledger: Pool, clock: SetClock) -> None:
    others: list[tuple[Actor, KeyedRequest]] = [
        (STATION, request()),
        (machine("other"), request()),
        (machine("station", tenant="t2"), request()),
        (STATION, request(path=b"/dossiers")),
        (STATION, request(key="k2")),
    ]
    for actor, sent in others:
        assert not (await answer_once(ledger, actor, sent, write(), now=clock.now())).replayed
    assert await effects(ledger) == 5


async def test_one_who_waits_too_long_is_told_so(
    ledger: Pool, clock: SetClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("haidang.infra.idempotency._WAIT_S", 0.05)
    slow = asyncio.create_task(answer_once(ledger, STATION, request(), write(0.5), now=clock.now()))
    await asyncio.sleep(0.1)
    with pytest.raises(IdempotencyKeyInUse):
        await answer_once(ledger, STATION, request(), write(), now=clock.now())
    assert (await slow).status == 201
    assert await effects(ledger) == 1


async def test_two_of_a_kind_in_one_group_are_done_once(connection: Connection, clock: SetClock) -> None:
    assert await claim_key(connection, STATION, request(), now=clock.now()) is None
    with pytest.raises(IdempotencyKeyInUse):
        await claim_key(connection, STATION, request(), now=clock.now())
    await keep_receipt(connection, STATION, request(), status=204, headers=(), body=b"")
    again = await claim_key(connection, STATION, request(), now=clock.now())
    assert again is not None
    assert again.replayed


async def test_an_answer_is_kept_only_beside_its_claim(connection: Connection) -> None:
    with pytest.raises(IdempotencyKeyInUse):
        await keep_receipt(connection, STATION, request(), status=201, headers=(), body=b"")


async def test_after_a_day_a_key_is_new(ledger: Pool, clock: SetClock) -> None:
    await answer_once(ledger, STATION, request(), write(), now=clock.now())
    clock.advance(KEPT_FOR)
    again = await answer_once(ledger, STATION, request(body=b"another"), write(), now=clock.now())
    assert not again.replayed
    assert await effects(ledger) == 2


async def test_old_receipts_are_purged_and_only_they(connection: Connection, clock: SetClock) -> None:
    old, new = request("old"), request("new")
    for each in (old, new):
        await claim_key(connection, STATION, each, now=clock.now())
        await keep_receipt(connection, STATION, each, status=201, headers=(), body=b"")
        clock.advance(timedelta(hours=12))
    assert await purge_receipts(part("jobs"), connection, now=clock.now()) == 1
    assert await purge_receipts(part("jobs"), connection, now=clock.now()) == 0
    assert await find_receipt(connection, STATION, old, now=clock.now() - timedelta(days=9)) is None
    assert await find_receipt(connection, STATION, new, now=clock.now()) is not None


@pytest.mark.parametrize(
    ("header", "key"),
    [
        ('"8e03978e-40d5-43dd-bc93-6894a57f9324"', "8e03978e-40d5-43dd-bc93-6894a57f9324"),
        ("8e03978e-40d5-43dd-bc93-6894a57f9324", "8e03978e-40d5-43dd-bc93-6894a57f9324"),
        (r'  "a\"b\\c"  ', 'a"b\\c'),
        (None, None),
    ],
)
def test_a_key_is_read(header: str | None, key: str | None) -> None:
    assert read_key(header) == key


@pytest.mark.parametrize("header", ["", '""', '"a', "a b", '"é"', '"a";p=1', "x" * 256, '"a\nb"', '"\\x"'])
def test_a_malformed_key_is_refused(header: str) -> None:
    with pytest.raises(IdempotencyKeyMalformed):
        read_key(header)


def test_a_missing_key_is_refused_where_it_is_required() -> None:
    with pytest.raises(IdempotencyKeyMissing):
        read_key(None, required=True)


@given(st.binary(), st.binary(), st.binary(), st.binary())
def test_a_fingerprint_tells_its_parts_apart(path: bytes, query: bytes, other: bytes, body: bytes) -> None:
    def of(path: bytes, query: bytes) -> bytes:
        return keyed_request(
            "k", method="POST", path=path, query=query, content_type="", body=body
        ).fingerprint

    assert (of(path, query) == of(path + other, query)) == (other == b"")
    if query:
        assert of(path, query) != of(path + query, b"")
