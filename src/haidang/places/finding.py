"""Verbs of `places` over names: which unit an address means, and which units a name begins.

Names stay in memory, made once for each edition of the units: every call asks for the edition first,
so that a release of facts or a change of units is seen by the next call of any process.
"""

import asyncio
from collections.abc import Sequence
from datetime import date
from uuid import UUID

from haidang.infra.database import Connection
from haidang.kernel.actors import Actor
from haidang.kernel.geometry import Position
from haidang.places import finding_store, naming, service, store
from haidang.places.errors import UnitUnknown
from haidang.places.naming import PointIn, Resolution, UnitFound, UnitNames

MOST_FOUND = 50
"""A typeahead shows no more than these."""


async def resolve_place(
    actor: Actor,
    connection: Connection,
    text: str,
    *,
    on: date,
    within: str | None = None,
    at: Position | None = None,
) -> Resolution:
    """Which unit of a day an address or a name means: one, a question, or nothing; never a guess.

    `within` leaves out whatever is not in a unit, of any time; `at` (longitude, latitude) decides
    between the units that the text allows, and is told when it contradicts them. Raises UnitUnknown.
    """
    names = await _names(connection, within)
    point = None
    if at is not None:
        found = await service.unit_at(actor, connection, *at, on)
        point = None if found is None else PointIn(found.unit.unit_id, certain=found.certain)
    return await asyncio.to_thread(naming.resolve, names, text, on, within=within, point=point)


async def resolve_places(
    actor: Actor,  # noqa: ARG001 - every verb takes the actor first
    connection: Connection,
    texts: Sequence[str],
    *,
    on: date,
    within: str | None = None,
) -> list[Resolution]:
    """The same for many texts, in their order; a text that comes again costs nothing. Raises UnitUnknown."""
    names = await _names(connection, within)

    def each() -> list[Resolution]:
        known = {text: naming.resolve(names, text, on, within=within) for text in dict.fromkeys(texts)}
        return [known[text] for text in texts]

    return await asyncio.to_thread(each)


async def find_units(
    actor: Actor,  # noqa: ARG001 - every verb takes the actor first
    connection: Connection,
    words: str,
    *,
    on: date,
    most: int = 10,
) -> list[UnitFound]:
    """Units, then and now, whose name begins so; former ones with what they became."""
    names = await _names(connection, None)
    return await asyncio.to_thread(naming.find, names, words, on, most=max(1, min(most, MOST_FOUND)))


_kept: dict[UUID, UnitNames] = {}
"""The names of the edition that was asked for last: an edition is never changed, only followed."""
_making = asyncio.Lock()
"""Whoever comes while names are being made waits for them, instead of making them again."""


async def _names(connection: Connection, within: str | None) -> UnitNames:
    edition = await store.current_edition(connection)
    names = _kept.get(edition) if edition is not None else None
    if names is None:
        async with _making:
            names = _kept.get(edition) if edition is not None else None
            if names is None:
                units, links = await finding_store.every_unit_and_link(connection)
                names = await asyncio.to_thread(UnitNames, units, links)
                if edition is not None:
                    _kept.clear()
                    _kept[edition] = names
    if within is not None and within not in names.units:
        raise UnitUnknown(unit_id=within)
    return names
