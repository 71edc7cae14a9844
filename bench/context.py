"""NGSI-LD by HTTP: GET and PATCH of an entity, beside a bare ASGI handler doing the same query.

    python bench/context.py [--seconds 5] [--connections 32] [--entities 1000]

The real server is `haidang web` with everything in front of the face: the one door, tokens,
limits, logs. The bare one answers with one statement on the same pool and does nothing else: GET
selects the stored document and sends it as it is; PATCH changes one number in it, each in a
commit of its own. PostgreSQL is durable (fsync and synchronous commits on) and on this machine,
as is the client: what they use of the processor is told apart.
"""

import argparse
import asyncio
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import machine
import orjson
from measure import percentile, table, use

from haidang.context.model import AttributeInstance, CreateEntity
from haidang.context.writer import apply_commands
from haidang.infra.database import open_pool, transaction
from haidang.infra.embedded import TemporaryCluster
from haidang.infra.migrations import migrate
from haidang.infra.serving import serve_application
from haidang.infra.settings import Settings
from haidang.infra.tokens import issue_token
from haidang.kernel.actors import part
from haidang.kernel.instants import SystemClock
from haidang.packs.environment.air import AIR_QUALITY_OBSERVED

PARAMETERS = ("pm25", "pm10", "o3", "no2", "so2", "co", "temperature", "relativeHumidity")


def entity_id(number: int) -> str:
    """The n-th station."""
    return f"urn:ngsi-ld:AirQualityObserved:bench-{number}"


async def seed(dsn: str, entities: int) -> str:
    """Make the stations; a token that may write."""
    pool = await open_pool(dsn)
    now = SystemClock().now()
    declared = [one for name in PARAMETERS if (one := AIR_QUALITY_OBSERVED.attribute(name))]
    async with pool.acquire() as connection:
        await migrate(connection)
    for start in range(0, entities, 500):
        commands = [
            CreateEntity(
                entity_id=entity_id(number),
                types=(AIR_QUALITY_OBSERVED.iri,),
                attributes=(
                    AttributeInstance("https://smartdatamodels.org/name", f"Trạm {number}"),
                    *(AttributeInstance(one.iri, 0.5, unit=one.unit, observed_at=now) for one in declared),
                ),
            )
            for number in range(start, min(start + 500, entities))
        ]
        async with transaction(pool) as connection:
            await apply_commands(connection, part("bench"), commands, now=now)
    async with transaction(pool) as connection:
        token = await issue_token(part("bench"), connection, "bench", now=now, lasts=None)
    await pool.close()
    return token


async def serve_bare(settings: Settings) -> None:
    """One statement a request, and nothing else."""
    pool = await open_pool(settings.database_url or "", largest=settings.database_pool)
    get = "SELECT document::text FROM context.entity WHERE tenant = 'default' AND entity_id = $1"
    patch = (
        "UPDATE context.entity SET document = jsonb_set(document, $2::text[], $3::text::jsonb)"
        " WHERE tenant = 'default' AND entity_id = $1"
    )
    pm25 = AIR_QUALITY_OBSERVED.attribute("pm25")
    place = [pm25.iri if pm25 else "", "0", "value"]

    async def application(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return
        name = scope["path"].split("/")[4]
        if scope["method"] == "GET":
            async with pool.acquire() as connection:
                body = (await connection.fetchval(get, name)).encode()
            status = 200
        else:
            value = orjson.loads((await receive())["body"])["value"]
            async with pool.acquire() as connection:
                await connection.execute(patch, name, place, str(value))
            body, status = b"", 204
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    await serve_application(application, settings, asyncio.Event())


@contextmanager
def serving(kind: str, server: str, dsn: str, port: int, home: Path) -> Iterator[int]:
    """A server in a process of its own; its id."""
    environment = os.environ | {
        "HAIDANG_HOME": str(home),
        "HAIDANG_DATABASE_URL": dsn,
        "HAIDANG_PORT": str(port),
        "HAIDANG_SERVER": server,
        "HAIDANG_LOG_LEVEL": "warning",
        "HAIDANG_LOG_FORMAT": "json",
    }
    command = [__file__, "--serve", dsn, str(port), server] if kind == "bare" else ["-m", "haidang", "web"]
    process = subprocess.Popen([sys.executable, *command], env=environment, stdout=subprocess.DEVNULL)
    try:
        yield process.pid
    finally:
        process.terminate()
        process.wait(30)


class Client:
    """One kept connection that speaks just enough HTTP."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def ask(self, request: bytes) -> int:
        """Send a request, read the answer whole; its status."""
        self._writer.write(request)
        head = await self._reader.readuntil(b"\r\n\r\n")
        status = int(head[9:12])
        lowered = head.lower()
        at = lowered.find(b"content-length:")
        if at >= 0:
            await self._reader.readexactly(int(lowered[at + 15 : lowered.index(b"\r\n", at)]))
        return status

    async def close(self) -> None:
        """Hang up."""
        self._writer.close()


@asynccontextmanager
async def connected(port: int, connections: int) -> AsyncIterator[list[Client]]:
    """So many connections, once the server answers."""
    for _ in range(300):
        try:
            _, probe = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            await asyncio.sleep(0.1)
        else:
            probe.close()
            break
    clients = [Client(*await asyncio.open_connection("127.0.0.1", port)) for _ in range(connections)]
    yield clients
    for client in clients:
        await client.close()


async def load(
    clients: list[Client], request: Callable[[int], bytes], status: int, seconds: float
) -> list[float]:
    """Ask as fast as answers come; how long each took."""
    took: list[float] = []
    end = time.perf_counter() + seconds
    number = 0

    async def work(client: Client) -> None:
        nonlocal number
        while (begun := time.perf_counter()) < end:
            number += 1
            got = await client.ask(request(number))
            took.append(time.perf_counter() - begun)
            if got != status:
                raise RuntimeError(f"answered {got}, not {status}")

    await asyncio.gather(*(work(client) for client in clients))
    return took


def requests(token: str, entities: int, port: int) -> dict[str, tuple[Callable[[int], bytes], int]]:
    """What is asked, by name, and the status that is right."""

    def get(number: int) -> bytes:
        path = f"/ngsi-ld/v1/entities/{entity_id(number % entities)}"
        return f"GET {path} HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\n\r\n".encode()

    def patch(number: int) -> bytes:
        pm25 = AIR_QUALITY_OBSERVED.attribute("pm25")
        name = "https:%2F%2F" + (pm25.iri if pm25 else "").removeprefix("https://").replace("/", "%2F")
        path = f"/ngsi-ld/v1/entities/{entity_id(number % entities)}/attrs/{name}"
        at = SystemClock().now().isoformat().replace("+00:00", "Z")
        body = f'{{"value":{number % 1000 / 10 + 0.05:.2f},"observedAt":"{at}"}}'
        return (
            f"PATCH {path} HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\nauthorization: Bearer {token}\r\n"
            f"content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n{body}"
        ).encode()

    return {"GET": (get, 200), "PATCH": (patch, 204)}


async def run(seconds: float, connections: int, entities: int) -> None:
    """All rows of the table."""
    rows: list[tuple[object, ...]] = []
    with TemporaryCluster(settings={"fsync": "on", "synchronous_commit": "on"}) as cluster:
        dsn = cluster.dsn()
        token = await seed(dsn, entities)
        port = 18_000 + os.getpid() % 10_000
        for server in ("granian", "uvicorn"):
            for kind in ("haidang", "bare"):
                port += 1
                with serving(kind, server, dsn, port, cluster.home / "web") as pid:
                    async with connected(port, connections) as clients:
                        for name, (request, status) in requests(token, entities, port).items():
                            await load(clients, request, status, min(1.0, seconds))
                            watched = {"server": pid, "postgres": cluster.process.pid}
                            with use(watched) as used:
                                took = await load(clients, request, status, seconds)
                            rows.append(
                                (
                                    f"{name} {server} {kind}",
                                    len(took) / used.seconds,
                                    percentile(took, 50) * 1000,
                                    percentile(took, 99) * 1000,
                                    used.micros_each("server", len(took)),
                                    used.micros_each("postgres", len(took)),
                                    used.micros_each("us", len(took)),
                                )
                            )
    machine.main()
    print()
    table(("", "a second", "median ms", "99 % ms", "server µs", "postgres µs", "client µs"), rows)


def main() -> None:
    """Parse and run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--connections", type=int, default=32)
    parser.add_argument("--entities", type=int, default=1000)
    parser.add_argument("--serve", nargs=3, metavar=("DSN", "PORT", "SERVER"), help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.serve:
        dsn, port, server = given.serve
        settings = Settings(home=Path.cwd(), database_url=dsn, port=int(port), server=server)
        asyncio.run(serve_bare(settings))
    else:
        asyncio.run(run(given.seconds, given.connections, given.entities))


if __name__ == "__main__":
    main()
