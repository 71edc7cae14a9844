"""Running parts for the length of a block, and waiting for what they do."""

import asyncio
import contextlib
import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Protocol

from haidang.infra.database import Pool, transaction
from haidang.infra.events import publish
from haidang.kernel.actors import machine
from haidang.kernel.events import Event

GAUGE = machine("gauge")


class Part(Protocol):
    """What runs until it is told to stop."""

    async def run(self, stop: asyncio.Event) -> None:
        """Run."""
        ...


@contextlib.asynccontextmanager
async def running(*parts: Part) -> AsyncIterator[asyncio.Event]:
    """These parts at work until the block ends; their errors are the test's."""
    stop = asyncio.Event()
    tasks = [asyncio.create_task(part.run(stop)) for part in parts]
    try:
        yield stop
    finally:
        stop.set()
        async with asyncio.timeout(30):
            await asyncio.gather(*tasks)


async def until(so: Callable[[], Awaitable[bool]], *, within_s: float = 30) -> None:
    """Wait for something to become true."""
    async with asyncio.timeout(within_s):
        while not await so():  # noqa: ASYNC110  (what is waited for is in the database)
            await asyncio.sleep(0.02)


async def holds(pool: Pool, sql: str, *arguments: object) -> bool:
    """Whether a query says so."""
    return bool(await pool.fetchval(sql, *arguments))


async def tell(pool: Pool, *events: Event) -> None:
    """Publish events in a transaction of their own."""
    async with transaction(pool) as connection:
        await publish(connection, GAUGE, *events)


async def start_child(module: str, *arguments: str) -> asyncio.subprocess.Process:
    """Start `python -m module` as a process of its own, which says "ready" once it works."""
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        module,
        *arguments,
        cwd=Path(__file__).parents[2],
        env={**os.environ, "PYTHONPATH": "src"},
    )
