"""PostgreSQL: one pool, explicit transactions, and the errors of the driver turned into ours.

A transaction opens once, in the face or the job, and the connection is passed down.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import TypeAlias

import asyncpg
import orjson

from haidang.kernel.errors import Unavailable

# The driver has no types: a connection is Any to the checker and itself to the reader.
Connection: TypeAlias = asyncpg.Connection
Pool: TypeAlias = asyncpg.Pool


class DatabaseUnavailable(Unavailable):
    """The database does not answer right now; nothing was written."""


class DatabaseFull(DatabaseUnavailable):
    """The database has no room left to write in; nothing was written. Somebody must make room for it."""


# What the driver raises when the server is away, full, starting or stopping: the world's
# trouble, worth another try. Everything else is a mistake of ours and passes unchanged.
TRANSIENT: tuple[type[BaseException], ...] = (
    OSError,
    TimeoutError,
    asyncpg.PostgresConnectionError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,  # "another operation is in progress", when the server is killed in one
    asyncpg.CannotConnectNowError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.TooManyConnectionsError,
    asyncpg.InsufficientResourcesError,
    asyncpg.PostgresSystemError,  # class 58: its files cannot be read or written
    asyncpg.SerializationError,
    asyncpg.DeadlockDetectedError,
    asyncpg.QueryCanceledError,
    asyncpg.LockNotAvailableError,
)


# What to catch before asking `is_transient`: the server has no better word than "internal error"
# for a file that may not grow any more (EFBIG: a limit on the size of files), nor for real faults.
SERVER_TROUBLE: tuple[type[BaseException], ...] = (*TRANSIENT, asyncpg.InternalServerError)
_INTERNAL_ERROR = "XX000"
_FILE_SOURCES = frozenset({"md.c", "fd.c", "buffile.c", "slru.c", "bulk_write.c"})
"""Where the server's own code writes files; its words may be in any language."""


def is_transient(error: BaseException) -> bool:
    """Whether the world is to blame, so that another try may pass: the server is away, or full."""
    return isinstance(error, TRANSIENT) or _cannot_write_files(error)


def unavailable(trouble: BaseException) -> DatabaseUnavailable:
    """Our error for transient trouble: that nothing can be written has a sentence of its own."""
    full = isinstance(trouble, asyncpg.DiskFullError) or _cannot_write_files(trouble)
    return DatabaseFull() if full else DatabaseUnavailable()


def _cannot_write_files(error: BaseException) -> bool:
    return (
        isinstance(error, asyncpg.InternalServerError)
        and error.sqlstate == _INTERNAL_ERROR
        and error.server_source_filename in _FILE_SOURCES
    )


# What rooms tell apart: another transaction was in the way and this one was undone by the server
# (the same again may pass); a pattern is no regular expression; a statement was given up.
COLLISIONS: tuple[type[BaseException], ...] = (
    asyncpg.DeadlockDetectedError,
    asyncpg.SerializationError,
    asyncpg.LockNotAvailableError,
)
PatternRefused: type[BaseException] = asyncpg.InvalidRegularExpressionError
StatementGivenUp: type[BaseException] = asyncpg.QueryCanceledError


async def prepare_connection(connection: Connection) -> None:
    """Give a connection our codecs: json and jsonb travel as Python objects through orjson."""
    for name in ("json", "jsonb"):
        await connection.set_type_codec(
            name,
            schema="pg_catalog",
            encoder=lambda document: orjson.dumps(document).decode(),
            decoder=orjson.loads,
        )


async def _leave_as_it_is(_connection: Connection) -> None:
    """Nothing to reset: settings are LOCAL here, and whoever listens or locks ends it himself.

    The driver has rolled back what was open and dropped its listeners by then. Its own reset is
    one more round trip for each use of a connection: a third of the time of a read by id.
    """


async def open_pool(
    dsn: str,
    *,
    smallest: int = 1,
    largest: int = 10,
    name: str = "haidang",
    statement_timeout_s: float = 30.0,
) -> Pool:
    """Open a pool on `dsn`; raises DatabaseUnavailable when the server cannot be reached.

    The pool outlives a restart of the server: a connection that was lost is replaced when it
    is next asked for, and what was under way on it raised DatabaseUnavailable. The server ends
    a statement after `statement_timeout_s`; we stop waiting a little later, should it hang.
    """
    try:
        return await asyncpg.create_pool(
            dsn,
            min_size=smallest,
            max_size=largest,
            init=prepare_connection,
            server_settings={
                "application_name": name,
                "timezone": "UTC",
                "statement_timeout": f"{int(statement_timeout_s * 1000)}ms",
                "idle_in_transaction_session_timeout": "300s",
            },
            reset=_leave_as_it_is,
            timeout=10,
            command_timeout=statement_timeout_s + 5,
        )
    except TRANSIENT as trouble:
        raise DatabaseUnavailable from trouble


@contextmanager
def _trouble_named() -> Iterator[None]:
    try:
        yield
    except SERVER_TROUBLE as trouble:
        if not is_transient(trouble):
            raise
        raise unavailable(trouble) from trouble


@asynccontextmanager
async def transaction(pool: Pool) -> AsyncIterator[Connection]:
    """One transaction on a connection of the pool; transient trouble becomes DatabaseUnavailable."""
    with _trouble_named():
        async with pool.acquire() as connection, connection.transaction():
            yield connection


@asynccontextmanager
async def reading(pool: Pool) -> AsyncIterator[Connection]:
    """A connection for reading without an explicit transaction."""
    with _trouble_named():
        async with pool.acquire() as connection:
            yield connection


async def wait_until_reachable(dsn: str, *, patience_s: float = 30.0) -> None:
    """Wait for the server to accept connections; raises DatabaseUnavailable when patience ends."""
    deadline = asyncio.get_running_loop().time() + patience_s
    while True:
        try:
            connection = await asyncpg.connect(dsn, timeout=5)
        except TRANSIENT as trouble:
            if asyncio.get_running_loop().time() > deadline:
                raise DatabaseUnavailable from trouble
            await asyncio.sleep(0.1)
        else:
            await connection.close()
            return


Row: TypeAlias = asyncpg.Record
