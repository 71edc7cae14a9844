"""The tiles face: land, units of any day, the base map, entities; and the catalogue of what there is.

Addresses in the catalogue carry the version of what they show (`?v=`). Asked for by that version a
tile never changes and may be kept for a year; without it, for five minutes.
"""

import asyncio
import gzip
import hashlib
import os
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import date
from http import HTTPStatus
from typing import Any

import orjson
from litestar import Request, get
from litestar.handlers import HTTPRouteHandler
from litestar.types import ASGIApp

from haidang.context.tiles import entity_tile
from haidang.infra.database import reading
from haidang.infra.objects import ObjectFiles, open_objects
from haidang.kernel.actors import Actor, Audience, anonymous
from haidang.kernel.tiles import MOST_ZOOM, Tile, check_tile
from haidang.places.basemap.archive import Archive
from haidang.places.basemap.features import LEAST_ZOOM as BASE_LEAST_ZOOM
from haidang.places.basemap.features import MOST_ZOOM as BASE_MOST_ZOOM
from haidang.places.basemap.maps import BaseMap, base_map_in_use
from haidang.places.days import check_day
from haidang.places.land import ATTRIBUTION, land, land_tile
from haidang.places.service import edition
from haidang.places.unit_tiles import UnitTiles
from haidang.sdk.model import EntityType
from haidang.web.api.tiles.errors import DayUnreadable, EntityTypeUnknown
from haidang.web.shared.answers import JSON, Answer, Header, Whole, accepted_encodings, header_of, matches
from haidang.web.shared.audiences import actor_of
from haidang.web.shared.errors import PageNotFound
from haidang.web.shared.house import House, Scope
from haidang.web.shared.routes import sent
from haidang.web.shared.sharing import SharedPages

MVT = b"application/vnd.mapbox-vector-tile"
ENDING = ".mvt"
UNITS_MOST_ZOOM = 14

_FOR_EVER = b"public, max-age=31536000, immutable"
_FOR_A_WHILE = b"public, max-age=300"
_FOR_A_MOMENT = b"public, max-age=15"
_FOR_ONE = b"private, max-age=15"
_BASE_MAP_KEPT_S = 5.0


def tile_routes(house: House) -> list[HTTPRouteHandler]:
    """Every route under `/tiles`."""
    face = _TilesFace(house)
    return [
        _route("/tiles/catalog.json", "tiles.catalog", face.catalog),
        _route("/tiles/land/{z:int}/{x:int}/{name:str}", "tiles.land", face.land),
        _route("/tiles/units/{on:str}/{z:int}/{x:int}/{name:str}", "tiles.units", face.units),
        _route("/tiles/base/{z:int}/{x:int}/{name:str}", "tiles.base", face.base),
        _route("/tiles/entities/{type_name:str}/{z:int}/{x:int}/{name:str}", "tiles.entities", face.entities),
    ]


def _route(path: str, name: str, answer: Callable[["_Asked"], Awaitable[Answer]]) -> HTTPRouteHandler:
    async def show(request: Request[Any, Any, Any]) -> ASGIApp:
        scope: Scope = request.scope  # type: ignore[assignment]  # a TypedDict of the same
        asked = _Asked(scope, request.path_params, request.query_params.get("v"))
        return sent(await answer(asked))

    return get(path, opt={"audience": Audience.PUBLIC}, name=name)(show)


@dataclass(frozen=True, slots=True)
class _Asked:
    """A request for a tile."""

    scope: Scope
    parameters: Mapping[str, Any]
    version: str | None

    @property
    def actor(self) -> Actor:
        return actor_of(self.scope)

    @property
    def headers(self) -> list[Header]:
        return list(self.scope["headers"])

    def tile(self, *, most: int = MOST_ZOOM) -> Tile:
        """Which tile; raises PageNotFound for an address of another form, TileOutsideGrid."""
        y = str(self.parameters["name"]).removesuffix(ENDING)
        if y == self.parameters["name"] or not (y.isascii() and y.isdigit() and len(y) < 8):
            raise PageNotFound
        return check_tile(self.parameters["z"], self.parameters["x"], int(y), most=most)

    def keeping(self, version: str) -> bytes:
        """How long the answer may be kept, when this is the version it would show."""
        return _FOR_EVER if self.version == version else _FOR_A_WHILE


class _TilesFace:
    """What the routes answer with."""

    def __init__(self, house: House) -> None:
        self._house = house
        self._units = UnitTiles()
        self._shared = SharedPages(house.clock)
        self._base = _BaseMaps(house)
        self._types: dict[str, EntityType] = {
            one.name: one for pack in house.packs for one in pack.entity_types
        }

    async def land(self, asked: _Asked) -> Answer:
        """The ground of every map."""
        tile = asked.tile()
        keeping = asked.keeping(land().version)

        async def make() -> Whole:
            return _tile(await asyncio.to_thread(land_tile, tile), keeping)

        return (await self._shared.get(("land", tile, keeping), make)).answer(asked.headers)

    async def units(self, asked: _Asked) -> Answer:
        """Provinces and wards of a day."""
        tile = asked.tile(most=UNITS_MOST_ZOOM)
        on = _day(str(asked.parameters["on"]))
        async with reading(self._house.pool) as connection:
            present = await edition(asked.actor, connection)
        keeping = asked.keeping(_short(str(present)))

        async def make() -> Whole:
            async with reading(self._house.pool) as connection:
                return _tile(await self._units.tile(anonymous(), connection, on, tile), keeping)

        return (await self._shared.get(("units", on, tile, present, keeping), make)).answer(asked.headers)

    async def entities(self, asked: _Asked) -> Answer:
        """Entities of a type, of what the asker may see."""
        tile = asked.tile()
        name = str(asked.parameters["type_name"])
        known = self._types.get(name)
        if known is None or not asked.actor.belongs_to(known.audience):
            raise EntityTypeUnknown(name=name[:100])
        everybody = asked.actor == anonymous()

        async def make() -> Whole:
            async with reading(self._house.pool) as connection:
                content = await entity_tile(asked.actor, connection, known.name, known.iri, tile)
            return _tile(content, _FOR_A_MOMENT if everybody else _FOR_ONE)

        if not everybody:
            return (await make()).answer(asked.headers)
        return (await self._shared.get(("entities", name, tile), make)).answer(asked.headers)

    async def base(self, asked: _Asked) -> Answer:
        """The base map in use; nothing (204) where it has nothing, or when none was built."""
        tile = asked.tile(most=BASE_MOST_ZOOM)
        found = await self._base.in_use(asked.actor)
        if found is None:
            return Answer(HTTPStatus.NO_CONTENT, ((b"cache-control", _FOR_A_WHILE),))
        keeping = asked.keeping(_short(found.content_id))
        content = await self._base.tile(asked.actor, found, tile)
        if content is None:
            return Answer(HTTPStatus.NO_CONTENT, ((b"cache-control", keeping),))
        packed = "gzip" in accepted_encodings(header_of(asked.headers, b"accept-encoding"))
        etag = f'"{_short(found.content_id)}-{tile.z}-{tile.x}-{tile.y}{"-gzip" if packed else ""}"'
        shared: list[Header] = [
            (b"cache-control", keeping),
            (b"vary", b"accept-encoding"),
            (b"etag", etag.encode()),
        ]
        if matches(header_of(asked.headers, b"if-none-match"), etag):
            return Answer(HTTPStatus.NOT_MODIFIED, tuple(shared))
        if packed:
            shared.append((b"content-encoding", b"gzip"))
        body = content if packed else gzip.decompress(content)
        return Answer(HTTPStatus.OK, ((b"content-type", MVT), *shared), body)

    async def catalog(self, asked: _Asked) -> Answer:
        """What there is: addresses, zooms, layers, and the lines that must stand under a map."""
        async with reading(self._house.pool) as connection:
            present = await edition(asked.actor, connection)
            found = await base_map_in_use(asked.actor, connection)
        settings = self._house.settings
        places: dict[str, Any] = {
            "land": {
                "tiles": f"/tiles/land/{{z}}/{{x}}/{{y}}{ENDING}?v={land().version}",
                "zooms": [0, MOST_ZOOM],
                "layers": ["neighbour", "province", "island"],
                "attribution": ATTRIBUTION,
            },
            "units": {
                "tiles": f"/tiles/units/{{on}}/{{z}}/{{x}}/{{y}}{ENDING}?v={_short(str(present))}",
                "zooms": [0, UNITS_MOST_ZOOM],
                "layers": ["province", "ward"],
                "attribution": ATTRIBUTION,
            },
            "base": None if found is None else _described(found),
            "entities": {
                one.name: {
                    "tiles": f"/tiles/entities/{one.name}/{{z}}/{{x}}/{{y}}{ENDING}",
                    "zooms": [0, MOST_ZOOM],
                    "layers": ["entity"],
                }
                for one in self._types.values()
                if asked.actor.belongs_to(one.audience)
            },
            "wmts": None
            if settings.wmts_url is None
            else {"tiles": settings.wmts_url, "attribution": settings.wmts_attribution},
        }
        keeping = _FOR_A_MOMENT if asked.actor == anonymous() else _FOR_ONE
        return Whole(orjson.dumps(places), JSON, cache_control=keeping).answer(asked.headers)


class _BaseMaps:
    """The archive of the map in use, in a file of this machine that is read in place."""

    def __init__(self, house: House) -> None:
        self._house = house
        self._asked_at = -_BASE_MAP_KEPT_S
        self._in_use: BaseMap | None = None
        self._open: tuple[str, Archive] | None = None
        self._fetching = asyncio.Lock()
        self._objects: ObjectFiles | None = None

    async def in_use(self, actor: Actor) -> BaseMap | None:
        """The map in use, as it was five seconds ago at most."""
        if time.monotonic() - self._asked_at >= _BASE_MAP_KEPT_S:
            async with reading(self._house.pool) as connection:
                self._in_use = await base_map_in_use(actor, connection)
            self._asked_at = time.monotonic()
        return self._in_use

    async def tile(self, actor: Actor, found: BaseMap, tile: Tile) -> bytes | None:
        """A tile as the archive has it, packed by gzip."""
        if self._open is None or self._open[0] != found.content_id:
            async with self._fetching:
                if self._open is None or self._open[0] != found.content_id:
                    self._open = (found.content_id, await self._fetch(actor, found.content_id))
        return self._open[1].tile(tile)

    async def _fetch(self, actor: Actor, content_id: str) -> Archive:
        """Bring the archive out of the object files, checked; it may stand in a bucket far away."""
        if self._objects is None:
            self._objects = open_objects(self._house.settings.objects_location, os.environ)
        folder = self._house.settings.home / "base-map"
        path = folder / f"{content_id}.pmtiles"
        if not path.exists():
            content = await self._objects.get(actor, content_id)
            await asyncio.to_thread(_put_down, path, content)
        return await asyncio.to_thread(Archive, path)


def _put_down(path: Any, content: bytes) -> None:
    """Write a file whole or not at all, and clear away the archives of maps that are not in use."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    written = path.with_suffix(f".{os.getpid()}")
    written.write_bytes(content)
    written.replace(path)
    for other in path.parent.glob("*.pmtiles"):
        if other != path:
            other.unlink(missing_ok=True)


def _described(found: BaseMap) -> dict[str, Any]:
    return {
        "tiles": f"/tiles/base/{{z}}/{{x}}/{{y}}{ENDING}?v={_short(found.content_id)}",
        "zooms": [BASE_LEAST_ZOOM, BASE_MOST_ZOOM],
        "layers": list(found.features),
        "bounds": [found.box.west, found.box.south, found.box.east, found.box.north],
        "attribution": found.licence,
        "built_at": found.built_at,
    }


def _tile(content: bytes, keeping: bytes) -> Whole:
    status = HTTPStatus.OK if content else HTTPStatus.NO_CONTENT
    return Whole(content, MVT, status=status, cache_control=keeping)


def _day(text: str) -> date:
    try:
        day = date.fromisoformat(text)
    except ValueError:
        raise DayUnreadable(text=text[:40]) from None
    return check_day(day)


def _short(version: str) -> str:
    return hashlib.sha256(version.encode()).hexdigest()[:12]
