"""What programs let us reckon: people in a drawn area, figures by former units on those of a later day.

Asked with POST because a drawing or a list of figures is too long for an address. Nothing is written,
so nobody needs a token and a request that is sent twice is answered twice.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import replace
from datetime import date
from decimal import Decimal
from http import HTTPStatus
from typing import Any

import msgspec
import orjson
import shapely
from litestar import Request, post
from litestar.handlers import HTTPRouteHandler
from litestar.types import ASGIApp
from shapely.geometry.base import BaseGeometry

from haidang.infra.database import reading
from haidang.infra.translations import choose_locale
from haidang.kernel.actors import Audience
from haidang.kernel.shapes import area_km2, shape_of
from haidang.places import service
from haidang.places.model import How, PeopleEstimate, Rebased, ReportingArea, Unit, Weight
from haidang.web.api.places.documents import named
from haidang.web.api.places.errors import (
    AreaTooWide,
    FigureOutOfRange,
    FigureTwice,
    JsonNeeded,
    SentUnreadable,
    TooManyFigures,
)
from haidang.web.shared.answers import JSON, Answer, Whole, header_of
from haidang.web.shared.audiences import actor_of
from haidang.web.shared.errors import BodyTooLarge
from haidang.web.shared.house import House, Scope
from haidang.web.shared.routes import sent
from haidang.web.shared.units import day_of, query_of, slug_of, unit_id_of

MOST_BYTES = 2 * 1024 * 1024
MOST_KM2 = 60_000
"""Of the box around a drawn area: the largest province, with its islands, fits."""
MOST_FIGURES = 12_000
"""All former wards of the country are some ten thousand."""

_AT_A_TIME = 2
"""Reckonings that run at once: they take a processor for up to a second, and anybody may ask for them."""
_TYPES = frozenset({"application/json", "application/geo+json"})
_MOST_AMOUNT = Decimal(10) ** 15
_SMALLEST_EXPONENT = -6


class _Figure(msgspec.Struct, forbid_unknown_fields=True):
    unit: str
    amount: Decimal


class _Figures(msgspec.Struct, forbid_unknown_fields=True):
    figures: list[_Figure]
    to: str = ""
    how: How = How.WHOLE
    weight: Weight = Weight.AREA


def reckoning_routes(house: House) -> list[HTTPRouteHandler]:
    """`/api/places/people` and `/api/places/rebase`."""
    face = _Reckonings(house)
    return [
        face.route("/api/places/people", "places.people", face.people),
        face.route("/api/places/rebase", "places.rebase", face.rebase),
    ]


class _Reckonings:
    """What the routes answer with."""

    def __init__(self, house: House) -> None:
        self._house = house
        self._turns = asyncio.Semaphore(_AT_A_TIME)

    def route(
        self, path: str, name: str, answer: Callable[[Scope, bytes], Awaitable[Any]]
    ) -> HTTPRouteHandler:
        """A public route that takes JSON and writes nothing; no cache keeps what it answers."""

        async def reckon(request: Request[Any, Any, Any]) -> ASGIApp:
            scope: Scope = request.scope  # type: ignore[assignment]  # a TypedDict of the same
            body = await _body_of(request, scope)
            async with self._turns:
                document = await answer(scope, body)
            return sent(await asyncio.to_thread(_answer_of, document, scope))

        return post(path, opt={"audience": Audience.PUBLIC}, name=name, status_code=HTTPStatus.OK)(reckon)

    async def people(self, scope: Scope, body: bytes) -> Any:
        """How many people live in a drawn area, about."""
        on = day_of(query_of(scope).get("on", ""), self._house.clock.now())
        area = await asyncio.to_thread(_drawn, body)
        async with reading(self._house.pool) as connection:
            found = await service.people_within(actor_of(scope), connection, area, on)
        language = header_of(scope["headers"], b"accept-language")
        locale = choose_locale(None, language, default="en")
        note = self._house.translations.gettext(
            locale,
            "An estimate: as if the people of each ward lived evenly over it. "
            "Wards without a figure, or with a doubtful one, give no people.",
        )
        return people_document(found, on, note)

    async def rebase(self, scope: Scope, body: bytes) -> Any:
        """Figures by former units on the units of a day, and those that could not be placed."""
        sent_in = await asyncio.to_thread(_decoded, body)
        to = day_of(sent_in.to, self._house.clock.now())
        figures = _figures_of(sent_in)
        actor = actor_of(scope)
        async with reading(self._house.pool) as connection:
            found = await service.rebase(
                actor, connection, figures, to=to, how=sent_in.how, weight=sent_in.weight
            )
            ids = {*found.amounts, *(one.former_id for one in found.not_placed)}
            ids |= {each for one in found.not_placed for each in one.candidates}
            ids |= {each.former_id for one in found.amounts.values() for each in one.from_units}
            units = await service.units(actor, connection, sorted(ids))
        return {"to": to, "how": sent_in.how, "weight": sent_in.weight, **rebased_document(found, units)}


def area_document(area: ReportingArea, former: Unit) -> dict[str, Any]:
    """A reporting area, with the former unit whose land it is."""
    return {"id": area.area_id, "name": area.name, "former": named(former)}


def people_document(found: PeopleEstimate, on: date, note: str) -> dict[str, Any]:
    """People in an area, about: what is not counted, and why, stands beside the number."""
    return {
        "on": on,
        "estimate": True,
        "method": "area-weighted",
        "note": note,
        "people": found.people,
        "area_km2": round(found.area_km2, 3),
        "covered": round(found.covered, 4),
        "counted": round(found.counted, 4),
        "units": [
            {
                "unit": named(one.unit),
                "share": round(one.share, 4),
                "people": None if one.people is None else round(one.people),
            }
            for one in found.units
        ],
        "without_figure": [named(one) for one in found.without_figure if one.population is None],
        "doubtful": [named(one) for one in found.without_figure if one.population is not None],
    }


def rebased_document(found: Rebased, units: Mapping[str, Unit]) -> dict[str, Any]:
    """Amounts as text, which keeps every digit: together they are what was sent."""
    return {
        "amounts": [
            {
                "unit": named(units[one.unit_id]),
                "amount": _plain(one.amount),
                "estimated": one.estimated,
                "from": [
                    {
                        "unit": named(units[each.former_id]),
                        "amount": _plain(each.amount),
                        "share": _plain(each.share),
                    }
                    for each in one.from_units
                ],
            }
            for one in found.amounts.values()
        ],
        "not_placed": [
            {
                "unit": named(units[one.former_id]),
                "amount": _plain(one.amount),
                "why": one.why.value,
                "candidates": [named(units[each]) for each in one.candidates],
            }
            for one in found.not_placed
        ],
    }


def _plain(number: Decimal) -> str:
    return format(number.normalize(), "f") if number else "0"


async def _body_of(request: Request[Any, Any, Any], scope: Scope) -> bytes:
    """The body, within our limit, which is below the platform's; raises JsonNeeded, BodyTooLarge."""
    given = header_of(scope["headers"], b"content-type").partition(";")[0].strip().lower()
    if given not in _TYPES:
        raise JsonNeeded
    parts: list[bytes] = []
    size = 0
    async for part in request.stream():
        size += len(part)
        if size > MOST_BYTES:
            raise BodyTooLarge(limit=MOST_BYTES)
        parts.append(part)
    return b"".join(parts)


def _answer_of(document: Any, scope: Scope) -> Answer:
    """Packed as the client takes it; without an entity tag, which would be one of what was sent."""
    whole = Whole(orjson.dumps(document), JSON, cache_control=b"no-store")
    taken: Iterable[tuple[bytes, bytes]] = scope["headers"]
    answer = whole.answer((name, value) for name, value in taken if name == b"accept-encoding")
    return replace(answer, headers=tuple(one for one in answer.headers if one[0] != b"etag"))


def _drawn(body: bytes) -> BaseGeometry:
    """The area of a GeoJSON geometry, or of the Feature around one."""
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError as broken:
        raise SentUnreadable(reason=str(broken)) from None
    if isinstance(document, dict) and document.get("type") == "Feature":
        document = document.get("geometry")
    shape = shape_of(document)
    box = area_km2(shapely.box(*shape.bounds))
    if box > MOST_KM2:
        raise AreaTooWide(km2=round(box), most=MOST_KM2)
    return shape


def _decoded(body: bytes) -> _Figures:
    try:
        return msgspec.json.decode(body, type=_Figures)
    except (msgspec.DecodeError, UnicodeDecodeError) as broken:
        raise SentUnreadable(reason=str(broken)) from None


def _figures_of(sent_in: _Figures) -> dict[str, Decimal]:
    """By the units' ids; raises TooManyFigures, FigureOutOfRange, FigureTwice, UnitUnknown."""
    if len(sent_in.figures) > MOST_FIGURES:
        raise TooManyFigures(figures=len(sent_in.figures), most=MOST_FIGURES)
    found: dict[str, Decimal] = {}
    for one in sent_in.figures:
        unit_id = unit_id_of(one.unit)
        exponent = one.amount.as_tuple().exponent
        if not isinstance(exponent, int) or exponent < _SMALLEST_EXPONENT or abs(one.amount) >= _MOST_AMOUNT:
            raise FigureOutOfRange(unit=slug_of(unit_id))
        if unit_id in found:
            raise FigureTwice(unit=slug_of(unit_id))
        found[unit_id] = one.amount
    return found
