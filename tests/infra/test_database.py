"""The pool: trouble of the world becomes one error that says whether trying again helps."""

import asyncio

import asyncpg
import pytest
from tests.infra.processes import limit_file_size

from haidang.infra.database import (
    TRANSIENT,
    Connection,
    DatabaseFull,
    DatabaseUnavailable,
    Pool,
    is_transient,
    open_pool,
    reading,
    transaction,
    wait_until_reachable,
)
from haidang.kernel.errors import Unavailable


async def test_a_transaction_is_whole_or_not_at_all(pool: Pool) -> None:
    async with transaction(pool) as connection:
        await connection.execute("CREATE TABLE public.kept (n integer CONSTRAINT kept_once UNIQUE)")

    async def keep_twice() -> None:
        async with transaction(pool) as connection:
            await connection.execute("INSERT INTO public.kept VALUES (1)")
            await connection.execute("INSERT INTO public.kept VALUES (1)")

    with pytest.raises(asyncpg.UniqueViolationError):  # A mistake of ours passes unchanged.
        await keep_twice()
    async with reading(pool) as connection:
        assert await connection.fetchval("SELECT count(*) FROM public.kept") == 0


async def test_a_statement_that_takes_too_long_is_ended_by_the_server(dsn: str) -> None:
    pool = await open_pool(dsn, statement_timeout_s=0.2)
    with pytest.raises(DatabaseUnavailable) as raised:
        async with transaction(pool) as connection:
            await connection.execute("SELECT pg_sleep(30)")
    assert isinstance(raised.value.__cause__, asyncpg.QueryCanceledError)
    async with reading(pool) as connection:
        assert await connection.fetchval("SHOW statement_timeout") == "200ms"
    await pool.close()


async def test_the_pool_outlives_its_connections(pool: Pool) -> None:
    async def end_every_session(connection: Connection) -> None:
        await connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )

    async with reading(pool) as one, reading(pool) as another:
        pids = {
            await one.fetchval("SELECT pg_backend_pid()"),
            await another.fetchval("SELECT pg_backend_pid()"),
        }
        await end_every_session(one)
        with pytest.raises(TRANSIENT):
            await another.fetchval("SELECT 1")
    async with reading(pool) as one, reading(pool) as another:
        assert await one.fetchval("SELECT 1") == 1
        assert await another.fetchval("SELECT pg_backend_pid()") not in pids


async def test_a_deadlock_is_worth_another_try(pool: Pool) -> None:
    await pool.execute(
        "CREATE TABLE public.pair (n integer PRIMARY KEY); INSERT INTO public.pair VALUES (1), (2)"
    )
    both = asyncio.Barrier(2)

    async def lock(first: int, second: int) -> None:
        async with transaction(pool) as connection:
            await connection.execute("SELECT n FROM public.pair WHERE n = $1 FOR UPDATE", first)
            await both.wait()
            await connection.execute("SELECT n FROM public.pair WHERE n = $1 FOR UPDATE", second)

    outcomes = await asyncio.gather(lock(1, 2), lock(2, 1), return_exceptions=True)
    [trouble] = [one for one in outcomes if one is not None]
    assert isinstance(trouble, Unavailable)
    assert trouble.retry


async def test_a_server_whose_files_cannot_grow_is_full(pool: Pool) -> None:
    async def fill() -> None:
        async with transaction(pool) as connection:
            # Larger than a segment of the log: a server that cannot write its log stops.
            limit_file_size([await connection.fetchval("SELECT pg_backend_pid()")], 17 * 2**20)
            await connection.execute(
                "INSERT INTO public.much SELECT repeat('x', 1000) FROM generate_series(1, 20000)"
            )

    await pool.execute("CREATE UNLOGGED TABLE public.much (text text)")
    with pytest.raises(DatabaseFull) as raised:
        await fill()
    assert raised.value.retry
    cause = raised.value.__cause__
    assert isinstance(cause, asyncpg.InternalServerError)
    assert "could not extend file" in str(cause)
    assert await pool.fetchval("SELECT count(*) FROM public.much") == 0
    await pool.expire_connections()  # the limited backend ends with its connection


async def test_a_full_disk_has_a_sentence_and_an_internal_error_stays_one(pool: Pool) -> None:
    async def meet(trouble: Exception) -> None:
        async with transaction(pool):
            raise trouble

    with pytest.raises(DatabaseFull):
        await meet(asyncpg.DiskFullError("No space left on device"))
    with pytest.raises(DatabaseUnavailable):
        await meet(asyncpg.PostgresIOError("could not read block 7: Input/output error"))
    internal = asyncpg.InternalServerError("cache lookup failed for type 5")
    assert not is_transient(internal)
    with pytest.raises(asyncpg.InternalServerError):
        await meet(internal)


async def test_json_travels_as_objects(connection: Connection) -> None:
    document = {"số": [1, 2.5, None], "tên": "Hải Đăng"}
    assert await connection.fetchval("SELECT $1::jsonb", document) == document


async def test_a_server_that_is_away_is_said_so() -> None:
    away = "postgresql://nobody@127.0.0.1:1/none"
    with pytest.raises(DatabaseUnavailable):
        await open_pool(away)
    with pytest.raises(DatabaseUnavailable):
        await wait_until_reachable(away, patience_s=0.2)
