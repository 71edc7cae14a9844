"""The demo as a process against a real broker, intake, database and NGSI-LD face."""

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import uvicorn

from haidang.context.writer import GroupedWriter
from haidang.infra.database import Pool, transaction
from haidang.infra.tokens import actor_of_token, issue_token
from haidang.kernel.actors import Actor, anonymous, part
from haidang.kernel.instants import SystemClock
from haidang.packs.environment.pack import PACK
from haidang.sources.intake import MqttIntake
from haidang.sources.model import declared_sources
from haidang.web.api.ngsi_ld.asgi import NgsiLdApplication
from tests.sources.brokers import RealBroker, free_port

CLOCK = SystemClock()
HOURS = 5
STATIONS = 7
GAUGES = 16


@contextlib.asynccontextmanager
async def platform(pool: Pool, broker: RealBroker) -> AsyncIterator[tuple[str, str]]:
    """The public doors of a platform: its address and a token."""
    stop = asyncio.Event()
    writer = GroupedWriter(pool, CLOCK)

    async def authenticate(authorization: str) -> Actor:
        async with transaction(pool) as connection:
            token = authorization.removeprefix("Bearer ")
            return await actor_of_token(connection, token, now=CLOCK.now()) or anonymous()

    face = NgsiLdApplication(pool, writer, CLOCK, packs=[PACK], authenticate=authenticate)

    async def application(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http" and scope["path"] == "/readyz":
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b""})
            return
        await face(scope, receive, send)

    port = free_port()
    server = uvicorn.Server(
        uvicorn.Config(application, port=port, lifespan="off", log_level="warning", ws="none")
    )
    async with transaction(pool) as connection:
        token = await issue_token(part("test"), connection, "demo", now=CLOCK.now(), lasts=timedelta(hours=1))
    intake = MqttIntake(pool, CLOCK, declared_sources([PACK]), broker.address)
    parts = [
        asyncio.create_task(server.serve()),
        asyncio.create_task(writer.run(stop)),
        asyncio.create_task(intake.run(stop)),
    ]
    try:
        await intake.ready(patience_s=15)
        yield f"http://127.0.0.1:{port}", token
    finally:
        server.should_exit = True
        stop.set()
        await asyncio.gather(*parts)


@contextlib.asynccontextmanager
async def demo(url: str, token: str, broker: RealBroker) -> AsyncIterator[asyncio.subprocess.Process]:
    """The demo as `haidang up --demo` starts it, stopped as it stops it."""
    environment = {
        **os.environ,
        "HAIDANG_URL": url,
        "HAIDANG_MQTT_URL": broker.url,
        "HAIDANG_DEMO_TOKEN": token,
        "HAIDANG_DEMO_DAYS": str(HOURS / 24),
    }
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "haidang.demo", env=environment, cwd=Path(__file__).parents[2]
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
            await asyncio.wait_for(process.wait(), 30)


async def stations(pool: Pool) -> list[Any]:
    """Name, source and number of distinct moments of each station."""
    rows: list[Any] = await pool.fetch(
        "SELECT e.entity_id, count(DISTINCT o.observed_at) AS moments, max(o.observed_at) AS latest,"
        " e.document::text AS document"
        "  FROM context.entity AS e JOIN context.observation AS o USING (tenant, entity_no)"
        "  JOIN context.name AS n ON n.name_no = o.attribute_no AND n.iri LIKE '%/pm25'"
        " GROUP BY e.entity_id, e.document::text"
    )
    return rows


async def until_caught_up(pool: Pool) -> list[Any]:
    """The stations, once each has its latest reading."""
    async with asyncio.timeout(60):
        while True:
            rows = await stations(pool)
            now = CLOCK.now()
            if len(rows) == STATIONS and all(now - row["latest"] < timedelta(minutes=61) for row in rows):
                made_up = [row for row in rows if "mo-phong" in row["entity_id"]]
                if all(now - row["latest"] < timedelta(minutes=11) for row in made_up):
                    return rows
            await asyncio.sleep(0.1)


async def test_the_demo_plays_through_the_public_doors_and_goes_on_after_a_restart(
    pool: Pool, embedded_broker: RealBroker
) -> None:
    async with platform(pool, embedded_broker) as (url, token):
        async with demo(url, token, embedded_broker) as first:
            rows = await until_caught_up(pool)
        assert first.returncode == 0
        now = CLOCK.now()
        for row in rows:
            replayed = "ha-noi" in row["entity_id"]
            assert row["latest"] <= now
            assert row["moments"] >= (HOURS - 1 if replayed else HOURS * 6 - 1)
            assert ("replay" if replayed else '"synthetic"') in row["document"]
            assert "addressLocality" in row["document"]
        gauges = await pool.fetch(
            "SELECT entity_id, document::text AS document FROM context.entity"
            " WHERE entity_id LIKE 'urn:ngsi-ld:W%'"
        )
        assert len(gauges) == GAUGES
        assert all('"synthetic"' in row["document"] for row in gauges)
        taken = await pool.fetchval("SELECT sum(messages) FROM sources.source")
        refused = await pool.fetchval("SELECT count(*) FROM sources.quarantine")
        assert refused == 0
        async with demo(url, token, embedded_broker):
            await asyncio.sleep(3)
        again = await pool.fetchval("SELECT sum(messages) FROM sources.source")
        assert again - taken <= STATIONS + GAUGES  # what fell due meanwhile, and nothing of the past


async def test_a_wrong_token_is_said_and_ends_the_demo(pool: Pool, embedded_broker: RealBroker) -> None:
    async with (
        platform(pool, embedded_broker) as (url, _),
        demo(url, "wrong", embedded_broker) as process,
    ):
        assert await asyncio.wait_for(process.wait(), 60) == 1


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_the_demo_stops_while_it_waits_for_a_platform(
    number: signal.Signals, embedded_broker: RealBroker
) -> None:
    asked = asyncio.Event()

    async def hang_up(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.set()
        writer.close()

    async with await asyncio.start_server(hang_up, "127.0.0.1", 0) as nobody:
        port = nobody.sockets[0].getsockname()[1]
        async with demo(f"http://127.0.0.1:{port}", "none", embedded_broker) as process:
            await asyncio.wait_for(asked.wait(), 60)
            process.send_signal(number)
            assert await asyncio.wait_for(process.wait(), 30) == 0
