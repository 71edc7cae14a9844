"""The composition root: reads settings, wires rooms, runs one part of the platform; no logic."""

import asyncio
from collections.abc import Awaitable, Callable
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import msgspec

from haidang.infra.consumers import ConsumerRunner
from haidang.infra.database import Pool, open_pool
from haidang.infra.events import Sequencer
from haidang.infra.health import HealthChecks, database_reachable, migrations_current
from haidang.infra.jobs import JobRunner
from haidang.infra.processes import stop_on_signals
from haidang.infra.serving import serve_application
from haidang.infra.settings import Settings
from haidang.infra.telemetry import configure_logging
from haidang.kernel.instants import SystemClock


def program_version() -> str:
    """The version of the installed package, or a word for a checkout that is only on the path."""
    try:
        return version("haidang")
    except PackageNotFoundError:
        return "checkout"


def run_web(settings: Settings) -> None:
    """Serve the faces until SIGTERM."""
    asyncio.run(_run("web", settings, _serve))


def run_work(settings: Settings) -> None:
    """Order events, feed consumers and do jobs until SIGTERM."""
    asyncio.run(_run("work", settings, _work))


def run_intake(settings: Settings) -> None:
    """Take in what sources send until SIGTERM."""
    asyncio.run(_run("intake", settings, _take_in))


async def _run(
    part: str, settings: Settings, run: Callable[[Pool, Settings, asyncio.Event], Awaitable[None]]
) -> None:
    configure_logging(settings, part)
    stop = stop_on_signals()
    pool = await open_pool(settings.database_url or "", largest=settings.database_pool, name=part)
    try:
        await run(pool, settings, stop)
    finally:
        await pool.close()


async def _serve(pool: Pool, settings: Settings, stop: asyncio.Event) -> None:
    checks = HealthChecks("web", program_version(), SystemClock())
    checks.need("database", database_reachable(pool))
    checks.need("migrations", migrations_current(pool))

    async def application(scope: Any, _receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return
        readiness = await checks.readiness()
        await send(
            {
                "type": "http.response.start",
                "status": 200 if readiness.ready else 503,
                "headers": [(b"content-type", b"application/json")],
            }
        )
        await send({"type": "http.response.body", "body": msgspec.json.encode(readiness)})

    await serve_application(application, settings, stop)


async def _work(pool: Pool, _settings: Settings, stop: asyncio.Event) -> None:
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(Sequencer(pool).run(stop))
        tasks.create_task(ConsumerRunner(pool, SystemClock(), ()).run(stop))
        tasks.create_task(JobRunner(pool, SystemClock(), ()).run(stop))


async def _take_in(_pool: Pool, _settings: Settings, stop: asyncio.Event) -> None:
    await stop.wait()
