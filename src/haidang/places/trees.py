"""Verbs of `places` over many units at once: all that stand below some, what each was made of, what is above.

Each is a query or three, however many units: a page of a whole province asks once.
"""

from collections.abc import Iterable, Sequence
from datetime import date
from pathlib import Path

from haidang.infra.database import Connection
from haidang.infra.queries import load_queries
from haidang.kernel.actors import Actor
from haidang.places import service, store
from haidang.places.model import Succession, Unit

_queries = load_queries(Path(__file__).parent / "sql" / "trees.sql")

_MOST_STEPS = 3
"""Above a ward stand a district and a province, no more."""


async def units_below(actor: Actor, connection: Connection, unit_ids: Sequence[str], on: date) -> list[Unit]:
    """Every unit of a day under some units, through any level between, in Vietnamese order."""
    rows = _queries.ids_below(connection, unit_ids=unit_ids, day=on)
    ids = [row["unit_id"] async for row in rows]
    return list((await service.units(actor, connection, ids)).values())


async def made_of_all(
    actor: Actor, connection: Connection, unit_ids: Sequence[str]
) -> dict[str, list[Succession]]:
    """What each of many units was made of, as `came_from` says it of one."""
    links = [store.link_of(row) async for row in _queries.links_to_all(connection, unit_ids=unit_ids)]
    found = await service.units(actor, connection, sorted({link.from_id for link in links}))
    made: dict[str, list[Succession]] = {unit_id: [] for unit_id in unit_ids}
    for link in links:
        made[link.to_id].append(Succession(link, found[link.from_id]))
    return made


async def above_all(
    actor: Actor, connection: Connection, units: Iterable[Unit]
) -> dict[str, tuple[Unit, ...]]:
    """The units above each of many units at its time, the nearest first."""
    given = list(units)
    known: dict[str, Unit] = {one.unit_id: one for one in given}
    for _ in range(_MOST_STEPS):
        missing = {one.parent_id for one in known.values() if one.parent_id} - known.keys()
        if not missing:
            break
        known |= await service.units(actor, connection, sorted(missing))
    return {one.unit_id: tuple(_climb(one, known)) for one in given}


def _climb(unit: Unit, known: dict[str, Unit]) -> Iterable[Unit]:
    for _ in range(_MOST_STEPS):
        if unit.parent_id is None or unit.parent_id not in known:
            return
        unit = known[unit.parent_id]
        yield unit
