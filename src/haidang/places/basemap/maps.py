"""The base maps of a province: kept, chosen, removed. One is in use; the one before it stays for undo."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID, uuid4

from haidang.infra.database import Connection, Row
from haidang.infra.objects import ObjectFiles
from haidang.infra.queries import load_queries
from haidang.kernel.actors import Actor, Audience
from haidang.kernel.geometry import Box
from haidang.kernel.instants import Instant
from haidang.places.basemap.errors import BaseMapsAreForAdministrators, BaseMapUnknown
from haidang.places.gazetteer import NamedPlace, keep_named_places

_queries = load_queries(Path(__file__).parents[1] / "sql" / "basemap.sql")

KEPT = 2
"""How many maps are kept: the one in use, and the one before it."""


@dataclass(frozen=True, slots=True)
class BuiltMap:
    """A base map that was built and is kept nowhere yet: its archive, and what is known of it."""

    archive: bytes
    sources: tuple[str, ...]
    systems: tuple[str, ...]
    licence: str
    features: Mapping[str, int]
    tiles: int
    box: Box
    named_places: tuple[NamedPlace, ...]


@dataclass(frozen=True, slots=True)
class BaseMap:
    """A base map that is kept; `content_id` names its archive among the object files."""

    base_map_id: UUID
    content_id: str
    archive_bytes: int
    sources: tuple[str, ...]
    systems: tuple[str, ...]
    licence: str
    features: Mapping[str, int]
    tiles: int
    box: Box
    built_at: Instant
    in_use: bool


async def keep_base_map(
    actor: Actor,
    connection: Connection,
    objects: ObjectFiles,
    built: BuiltMap,
    *,
    now: Instant,
) -> tuple[UUID, list[str]]:
    """Keep a map and use it from this commit on; maps older than the one before are forgotten.

    Gives the map's id, and the archives that nothing needs any more: delete them after the commit.
    Raises BaseMapsAreForAdministrators.
    """
    _require_administrator(actor)
    content_id = await objects.put(actor, built.archive)
    before = [row async for row in _queries.lock_base_maps(connection, tenant=actor.tenant)]
    base_map_id = uuid4()
    box = built.box
    await _queries.insert_base_map(
        connection,
        tenant=actor.tenant,
        base_map_id=base_map_id,
        content_id=content_id,
        archive_bytes=len(built.archive),
        sources=list(built.sources),
        systems=list(built.systems),
        licence=built.licence,
        layers=list(built.features),
        features=list(built.features.values()),
        tiles=built.tiles,
        box=f"(({box.east},{box.north}),({box.west},{box.south}))",
        built_at=now,
        built_by=actor.actor_id,
    )
    await keep_named_places(actor, connection, base_map_id, built.named_places)
    await _use(connection, actor.tenant, base_map_id)
    staying = sorted(before, key=lambda row: not row["in_use"])[: KEPT - 1]
    leaving = [row for row in before if row not in staying]
    for row in leaving:
        await _queries.remove_base_map(connection, tenant=actor.tenant, base_map_id=row["base_map_id"])
    needed = {content_id, *(row["content_id"] for row in staying)}
    return base_map_id, sorted({row["content_id"] for row in leaving} - needed)


async def use_base_map(actor: Actor, connection: Connection, base_map_id: UUID) -> None:
    """Use another map that is kept; raises BaseMapUnknown."""
    _require_administrator(actor)
    await _kept(connection, actor.tenant, base_map_id)
    await _use(connection, actor.tenant, base_map_id)


async def remove_base_map(actor: Actor, connection: Connection, base_map_id: UUID) -> list[str]:
    """Forget a map, in use or not; the archives to delete after the commit. Raises BaseMapUnknown."""
    _require_administrator(actor)
    rows = await _kept(connection, actor.tenant, base_map_id)
    await _queries.remove_base_map(connection, tenant=actor.tenant, base_map_id=base_map_id)
    gone = {row["content_id"] for row in rows if row["base_map_id"] == base_map_id}
    return sorted(gone - {row["content_id"] for row in rows if row["base_map_id"] != base_map_id})


async def list_base_maps(actor: Actor, connection: Connection) -> list[BaseMap]:
    """Every map that is kept, newest first."""
    return [
        BaseMap(
            base_map_id=row["base_map_id"],
            content_id=row["content_id"],
            archive_bytes=row["archive_bytes"],
            sources=tuple(row["sources"]),
            systems=tuple(row["systems"]),
            licence=row["licence"],
            features=dict(zip(row["layers"], row["features"], strict=True)),
            tiles=row["tiles"],
            box=Box(row["west"], row["south"], row["east"], row["north"]),
            built_at=row["built_at"],
            in_use=row["in_use"],
        )
        async for row in _queries.base_maps(connection, tenant=actor.tenant)
    ]


async def base_map_in_use(actor: Actor, connection: Connection) -> BaseMap | None:
    """The map that people see; None when none was built."""
    return next((one for one in await list_base_maps(actor, connection) if one.in_use), None)


async def _use(connection: Connection, tenant: str, base_map_id: UUID) -> None:
    await _queries.leave_base_maps(connection, tenant=tenant)
    await _queries.use_base_map(connection, tenant=tenant, base_map_id=base_map_id)


async def _kept(connection: Connection, tenant: str, base_map_id: UUID) -> list[Row]:
    rows = [row async for row in _queries.lock_base_maps(connection, tenant=tenant)]
    if not any(row["base_map_id"] == base_map_id for row in rows):
        raise BaseMapUnknown(base_map_id=base_map_id)
    return rows


def _require_administrator(actor: Actor) -> None:
    if not actor.belongs_to(Audience.ADMINISTRATOR):
        raise BaseMapsAreForAdministrators
