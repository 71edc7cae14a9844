"""Places for programs: units of any day, where a point is, what an address means; public, read only.

Documented with examples that a test runs: docs/reference/places-api.md.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import orjson
from litestar import Request, get
from litestar.handlers import HTTPRouteHandler
from litestar.types import ASGIApp
from shapely.geometry.base import BaseGeometry

from haidang.infra.database import Connection, reading
from haidang.infra.translations import choose_locale
from haidang.kernel.actors import Actor, Audience
from haidang.places import finding, service
from haidang.places.gazetteer import find_named_places
from haidang.places.land import ATTRIBUTION
from haidang.places.model import Level, Unit
from haidang.web.api.places.documents import (
    found_document,
    named,
    named_place_document,
    outlines_document,
    resolution_document,
    succession_document,
    unit_at_document,
    unit_document,
)
from haidang.web.api.places.errors import LevelUnknown, PointNeeded, WardsNeedParent
from haidang.web.api.places.reckonings import area_document, reckoning_routes
from haidang.web.shared.answers import JSON, Header, Whole, header_of
from haidang.web.shared.audiences import actor_of
from haidang.web.shared.editions import KeptByEdition
from haidang.web.shared.house import House, Scope
from haidang.web.shared.routes import sent
from haidang.web.shared.units import area_id_of, day_of, plain_text, position_of, query_of, unit_id_of

MOST_FOUND = 20
_WORTH_A_THREAD = 100_000
"""Bytes of an answer whose packing would keep others waiting: half a millisecond of it or more."""
_MOST_OUTLINES = 16
"""Answers with outlines that are kept: a province's is a megabyte, half as much again when packed."""
_GEOJSON = b"application/geo+json"
_FACTS = b"public, max-age=300"
_TYPED = b"private, no-cache"
"""What somebody typed may be where they live: no shared cache keeps it."""


def places_routes(house: House) -> list[HTTPRouteHandler]:
    """Every route under `/api/places`."""
    face = _PlacesFace(house)
    return [
        face.route("/api/places/units", "places.units", face.units),
        face.route("/api/places/units/{unit_id:str}", "places.unit", face.unit),
        face.route("/api/places/unit-at", "places.unit-at", face.unit_at),
        face.route("/api/places/resolve", "places.resolve", face.resolve),
        face.route("/api/places/search", "places.search", face.search),
        face.route("/api/places/outlines", "places.outlines", face.outlines),
        face.route("/api/places/areas", "places.areas", face.areas),
        face.route("/api/places/areas/{area_id:str}", "places.area", face.area),
        *reckoning_routes(house),
    ]


@dataclass(frozen=True, slots=True)
class _Asked:
    """One question: by whom, about what, on which day, in which language."""

    actor: Actor
    parameters: Mapping[str, Any]
    query: Mapping[str, str]
    on: date
    locale: str


class _PlacesFace:
    """What the routes answer with; each answer reads on one connection."""

    def __init__(self, house: House) -> None:
        self._house = house
        self._outlines: KeptByEdition[Whole] = KeptByEdition(_MOST_OUTLINES)

    def route(
        self, path: str, name: str, answer: Callable[[_Asked, Connection], Awaitable[Whole]]
    ) -> HTTPRouteHandler:
        """A public route that answers with JSON, or 304 to who has it already."""

        async def show(request: Request[Any, Any, Any]) -> ASGIApp:
            scope: Scope = request.scope  # type: ignore[assignment]  # a TypedDict of the same
            query = query_of(scope)
            language = header_of(scope["headers"], b"accept-language")
            asked = _Asked(
                actor_of(scope),
                request.path_params,
                query,
                day_of(query.get("on", ""), self._house.clock.now()),
                choose_locale(None, language, default="en"),
            )
            async with reading(self._house.pool) as connection:
                whole = await answer(asked, connection)
            if whole.size < _WORTH_A_THREAD:
                return sent(whole.answer(scope["headers"]))
            return sent(await asyncio.to_thread(whole.answer, scope["headers"]))

        return get(path, opt={"audience": Audience.PUBLIC}, name=name)(show)

    async def units(self, asked: _Asked, connection: Connection) -> Whole:
        """The units of a day: provinces, or those right below a unit."""
        found = await self._listed(asked, connection)
        since = await service.records_since(asked.actor, connection)
        listed = [unit_document(one) for one in found]
        return _json({"on": asked.on, "records_since": since, "units": listed}, _FACTS)

    async def unit(self, asked: _Asked, connection: Connection) -> Whole:
        """One unit with what stands above it, what it was made of and what it became."""
        unit_id = unit_id_of(str(asked.parameters["unit_id"]))
        path = await service.path_of(asked.actor, connection, unit_id)
        became = await service.became(asked.actor, connection, unit_id)
        came_from = await service.came_from(asked.actor, connection, unit_id)
        through = await service.became_through_wards(asked.actor, connection, unit_id, asked.on)
        document = {
            **unit_document(path[-1]),
            "above": [named(one) for one in path[:-1]],
            "came_from": [succession_document(one) for one in came_from],
            "became": [succession_document(one) for one in became],
            "became_through_wards": [named(one) for one in through],
        }
        return _json(document, _FACTS)

    async def unit_at(self, asked: _Asked, connection: Connection) -> Whole:
        """The unit that a point was in on a day."""
        at = position_of(asked.query)
        if at is None:
            raise PointNeeded
        level = _level(asked.query) or Level.WARD
        found = await service.unit_at(asked.actor, connection, *at, asked.on, level=level)
        path: list[Unit] = []
        if found is not None:
            path = await service.path_of(asked.actor, connection, found.unit.unit_id)
        since = await service.records_since(asked.actor, connection)
        return _json({**unit_at_document(found, path, asked.on, *at), "records_since": since}, _TYPED)

    async def resolve(self, asked: _Asked, connection: Connection) -> Whole:
        """What an address or a name means today, or on a day."""
        within = asked.query.get("within", "")
        resolved = await finding.resolve_place(
            asked.actor,
            connection,
            plain_text(asked.query.get("text", "")),
            on=asked.on,
            within=unit_id_of(within) if within else None,
            at=position_of(asked.query),
        )
        say = self._house.translations.gettext
        sentences = [one.why.sentence(say(asked.locale, one.why.message_id)) for one in resolved.candidates]
        language = ((b"content-language", asked.locale.encode()),)
        since = await service.records_since(asked.actor, connection)
        document = {**resolution_document(resolved, asked.on, sentences), "records_since": since}
        return _json(document, _TYPED, headers=language)

    async def search(self, asked: _Asked, connection: Connection) -> Whole:
        """Units, then and now, and named places of the base map, whose name begins so."""
        words = plain_text(asked.query.get("q", ""))
        found = await finding.find_units(asked.actor, connection, words, on=asked.on, most=MOST_FOUND)
        places = await find_named_places(
            asked.actor, connection, words, on=asked.on, most=MOST_FOUND, near=position_of(asked.query)
        )
        ids = sorted({one.unit_id for one in places if one.unit_id})
        wards = await service.units(asked.actor, connection, ids)
        hits = [found_document(one) for one in found]
        hits += [named_place_document(one.place, wards.get(one.unit_id or "")) for one in places]
        since = await service.records_since(asked.actor, connection)
        return _json({"on": asked.on, "records_since": since, "hits": hits[:MOST_FOUND]}, _TYPED)

    async def outlines(self, asked: _Asked, connection: Connection) -> Whole:
        """The outlines of the units of a day, as GeoJSON."""
        edition = await service.edition(asked.actor, connection)

        async def make() -> Whole:
            found = await self._listed(asked, connection)
            shapes = await service.outlines(asked.actor, connection, [one.unit_id for one in found])
            since = await service.records_since(asked.actor, connection)
            return await asyncio.to_thread(_outlines, found, shapes, asked.on, since)

        key = (asked.on, asked.query.get("level", "").strip(), asked.query.get("parent", ""))
        return await self._outlines.get(edition, key, make)

    async def areas(self, asked: _Asked, connection: Connection) -> Whole:
        """The former units that people still report by."""
        areas = await service.reporting_areas(asked.actor, connection)
        formers = await service.units(asked.actor, connection, [one.former_id for one in areas])
        return _json({"areas": [area_document(one, formers[one.former_id]) for one in areas]}, _FACTS)

    async def area(self, asked: _Asked, connection: Connection) -> Whole:
        """One of them with its wards of a day."""
        area_id = area_id_of(str(asked.parameters["area_id"]))
        wards = await service.units_of_area(asked.actor, connection, area_id, asked.on)
        areas = await service.reporting_areas(asked.actor, connection)
        area = next(one for one in areas if one.area_id == area_id)
        former = await service.unit(asked.actor, connection, area.former_id)
        document = {
            **area_document(area, former),
            "on": asked.on,
            "units": [unit_document(one) for one in wards],
        }
        return _json(document, _FACTS)

    async def _listed(self, asked: _Asked, connection: Connection) -> list[Unit]:
        """Those asked for: of a level, right below a unit; raises WardsNeedParent, UnitUnknown."""
        level, parent = _level(asked.query), asked.query.get("parent", "")
        if not parent:
            if level is Level.WARD:
                raise WardsNeedParent
            level = level or Level.PROVINCE
            return await service.units_on(asked.actor, connection, asked.on, level=level)
        above = await service.unit(asked.actor, connection, unit_id_of(parent))
        return await service.units_on(asked.actor, connection, asked.on, level=level, parent_id=above.unit_id)


def _outlines(units: Sequence[Unit], shapes: Mapping[str, BaseGeometry], on: date, since: date) -> Whole:
    document = {**outlines_document(units, shapes, on, ATTRIBUTION), "records_since": since}
    return _json(document, _FACTS, content_type=_GEOJSON)


def _level(query: Mapping[str, str]) -> Level | None:
    text = query.get("level", "").strip()
    if not text:
        return None
    try:
        return Level(text)
    except ValueError:
        raise LevelUnknown(text=text[:40], known=", ".join(Level)) from None


def _json(
    document: Any, cache_control: bytes, *, content_type: bytes = JSON, headers: tuple[Header, ...] = ()
) -> Whole:
    return Whole(orjson.dumps(document), content_type, cache_control=cache_control, headers=headers)
