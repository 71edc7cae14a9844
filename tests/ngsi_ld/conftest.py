"""An NGSI-LD face on a database of its own, called as an ASGI server would call it."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import asyncpg
import orjson
import pytest

from haidang.context.writer import GroupedWriter
from haidang.infra.database import Pool, open_pool
from haidang.infra.embedded import TemporaryCluster
from haidang.kernel.actors import Actor, anonymous, machine
from haidang.kernel.instants import SetClock
from haidang.sdk.model import Attribute, AttributeKind, EntityType, Pack
from haidang.web.api.ngsi_ld.asgi import NgsiLdApplication

TERMS = "https://example.vn/terms/"
AIR = EntityType(
    name="AirStation",
    iri=TERMS + "AirStation",
    label="Air station",
    attributes=(
        Attribute("pm25", TERMS + "pm25", unit="GQ", least=0, most=2000, sentinels=(-999.0,)),
        Attribute("index", TERMS + "index", derived=True),
        Attribute("where", TERMS + "where", kind=AttributeKind.GEO_PROPERTY),
    ),
)
PACK = Pack("test", "1", "Test", entity_types=(AIR,))
PACKS_LINK = '<http://test/ngsi-ld/v1/jsonldContexts/packs>; rel="http://www.w3.org/ns/json-ld#context"'


@dataclass(frozen=True, slots=True)
class Said:
    """An answer."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body as JSON."""
        return orjson.loads(self.body)


class Face:
    """Calls the application with raw ASGI messages."""

    def __init__(self, limited: Callable[..., NgsiLdApplication], pool: Pool) -> None:
        self.pool = pool
        self.limited = limited
        self.application = limited()
        tenant = f"t{uuid4().hex}"
        self.actor: Actor = machine("test", tenant)
        self.nobody: Actor = anonymous(tenant)
        self.pieces_left = 0

    async def ask(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        headers: Mapping[str, str] | None = None,
        actor: Actor | None = None,
        content_type: str = "application/json",
        chunks: list[bytes] | None = None,
    ) -> Said:
        """Ask for a raw path under /ngsi-ld/v1, with a document or bytes as body."""
        raw = body if isinstance(body, bytes) else b"" if body is None else orjson.dumps(body)
        sent = {"host": "test", **{name.lower(): value for name, value in (headers or {}).items()}}
        if body is not None or chunks is not None:
            sent.setdefault("content-type", content_type)
        raw_path, _, query = f"/ngsi-ld/v1{path}".encode("latin-1").partition(b"?")
        pieces = [raw] if chunks is None else list(chunks)
        answer: dict[str, Any] = {"body": b""}

        async def receive() -> dict[str, Any]:
            piece = pieces.pop(0)
            return {"type": "http.request", "body": piece, "more_body": bool(pieces)}

        async def send(message: Any) -> None:
            if message["type"] == "http.response.start":
                answer["status"] = message["status"]
                answer["headers"] = message["headers"]
            else:
                answer["body"] += message.get("body", b"")

        await self.application(
            {
                "type": "http",
                "method": method,
                "path": "ignored",
                "raw_path": raw_path,
                "query_string": query,
                "headers": [(name.encode(), value.encode("latin-1")) for name, value in sent.items()],
                "state": {"actor": actor or self.actor},
            },
            receive,
            send,
        )
        self.pieces_left = len(pieces)
        found: dict[str, str] = {}
        for name, value in answer["headers"]:
            key = name.decode()
            found[key] = f"{found[key]}, {value.decode()}" if key in found else value.decode()
        return Said(answer["status"], found, answer["body"])

    async def get(self, path: str, **more: Any) -> Said:
        """GET."""
        return await self.ask("GET", path, **more)

    async def post(self, path: str, body: Any, **more: Any) -> Said:
        """POST."""
        return await self.ask("POST", path, body, **more)

    async def patch(self, path: str, body: Any, **more: Any) -> Said:
        """PATCH."""
        return await self.ask("PATCH", path, body, **more)

    async def delete(self, path: str, **more: Any) -> Said:
        """DELETE."""
        return await self.ask("DELETE", path, **more)

    async def count(self, table: str) -> int:
        """How many rows of a table of the context this test has made."""
        found: int = await self.pool.fetchval(
            f"SELECT count(*) FROM context.{table} WHERE tenant = $1",  # noqa: S608  # a name of our own
            self.actor.tenant,
        )
        return found


@pytest.fixture(scope="session")
async def face_pool(cluster: TemporaryCluster, template: str) -> AsyncIterator[Pool]:
    """One database for all tests of the face: each works in a tenant of its own."""
    admin = await asyncpg.connect(cluster.dsn())
    await admin.execute(f"CREATE DATABASE haidang_face TEMPLATE {template}")
    await admin.close()
    opened = await open_pool(cluster.dsn("haidang_face"))
    yield opened
    await opened.close()


@pytest.fixture
async def face(face_pool: Pool, clock: SetClock) -> AsyncIterator[Face]:
    """The face with its writer running."""
    writer = GroupedWriter(face_pool, clock)
    stop = asyncio.Event()
    running = asyncio.create_task(writer.run(stop))

    def made(**limits: Any) -> NgsiLdApplication:
        return NgsiLdApplication(face_pool, writer, clock, packs=[PACK], body_limit=100_000, **limits)

    yield Face(made, face_pool)
    stop.set()
    await running
