"""Reads every unit and every link at once, for the names that are kept in memory."""

from datetime import date
from pathlib import Path

from haidang.infra.database import Connection
from haidang.infra.queries import load_queries
from haidang.places import store
from haidang.places.model import Link, Unit

_queries = load_queries(Path(__file__).parent / "sql" / "finding.sql")


async def every_unit_and_link(connection: Connection) -> tuple[list[Unit], list[Link]]:
    """All units of all times, and every step of one into another."""
    unit_ids = [row["unit_id"] async for row in _queries.all_unit_ids(connection)]
    units = await store.units(connection, unit_ids)
    return list(units.values()), await store.links_onward(connection, unit_ids, date.max)
