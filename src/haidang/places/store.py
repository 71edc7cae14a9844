"""Runs the SQL of `places`: units, links, outlines, reporting areas, releases."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from uuid import UUID

from haidang.infra.database import Connection, Row
from haidang.infra.queries import load_queries
from haidang.kernel.geometry import Box
from haidang.kernel.ids import new_uuid
from haidang.kernel.instants import Instant
from haidang.kernel.text import collation_key
from haidang.places.model import Level, Link, LinkKind, ReportingArea, Unit

_queries = load_queries(Path(__file__).parent / "sql" / "places.sql")

FACTS, CHANGE = "facts", "change"
"""Who wrote a row: a release of facts, or a change of units made here."""


@dataclass(frozen=True, slots=True)
class StoredOutline:
    """An outline as it is kept: well-known binary, and how far it may be off."""

    unit_id: str
    shape: bytes
    accuracy_m: float


@dataclass(frozen=True, slots=True)
class DatedOutline:
    """An outline with the time of its unit."""

    outline: StoredOutline
    valid_from: date | None
    valid_to: date | None


@dataclass(frozen=True, slots=True)
class NewOutline:
    """An outline to be kept, with its box."""

    outline: StoredOutline
    box: Box


@dataclass(frozen=True, slots=True)
class Release:
    """A release of a collection of facts: what it is, as of when, where it comes from, on which terms.

    `records_since`: for earlier days it only repeats what it knows of that day; None: it does not say.
    """

    name: str
    checksum: str
    as_of: date
    title: str
    provenance: str
    licence: str
    attribution: str
    records_since: date | None = None


async def units(connection: Connection, unit_ids: Sequence[str]) -> dict[str, Unit]:
    """Those of the units that are known, by id."""
    found = {row["unit_id"]: _unit(row) async for row in _queries.unit_rows(connection, unit_ids=unit_ids)}
    return {unit_id: found[unit_id] for unit_id in unit_ids if unit_id in found}


async def units_on(
    connection: Connection, on: date, *, level: Level | None, parent_id: str | None
) -> list[Unit]:
    """The units of a day, in Vietnamese order."""
    rows = _queries.units_on(connection, day=on, level=level, parent_id=parent_id)
    return [_unit(row) async for row in rows]


async def path_ids(connection: Connection, unit_id: str) -> list[str]:
    """A unit and those above it, the highest first; empty for an unknown one."""
    return [row["unit_id"] async for row in _queries.path_ids(connection, unit_id=unit_id)]


async def outlines_at_point(
    connection: Connection, longitude: float, latitude: float, on: date, level: Level
) -> list[StoredOutline]:
    """Outlines whose box holds a point on a day, the most accurate first."""
    rows = _queries.outlines_at_point(connection, longitude=longitude, latitude=latitude, day=on, level=level)
    return [_outline(row) async for row in rows]


async def outlines_in_box(connection: Connection, box: Box, on: date, level: Level) -> list[StoredOutline]:
    """Outlines whose box meets a box on a day."""
    rows = _queries.outlines_in_box(
        connection, west=box.west, south=box.south, east=box.east, north=box.north, day=on, level=level
    )
    return [_outline(row) async for row in rows]


async def outlines_of_level(connection: Connection, level: Level) -> list[DatedOutline]:
    """Every outline of a level, of any time, the most accurate first."""
    rows = _queries.outlines_of_level(connection, level=level)
    return [DatedOutline(_outline(row), row["valid_from"], row["valid_to"]) async for row in rows]


async def outlines_of(connection: Connection, unit_ids: Sequence[str]) -> list[StoredOutline]:
    """The outlines of those units that have one."""
    return [_outline(row) async for row in _queries.outlines_of(connection, unit_ids=unit_ids)]


async def links_onward(connection: Connection, unit_ids: Sequence[str], until: date) -> list[Link]:
    """Every link that leads on from some units, step by step, up to a day."""
    rows = _queries.links_onward(connection, unit_ids=unit_ids, until=until)
    return [link_of(row) async for row in rows]


async def links_from(connection: Connection, unit_id: str) -> list[Link]:
    """What a unit became, one step, in Vietnamese order."""
    return [link_of(row) async for row in _queries.links_from(connection, unit_id=unit_id)]


async def links_to(connection: Connection, unit_id: str) -> list[Link]:
    """What a unit came from, one step, in Vietnamese order."""
    return [link_of(row) async for row in _queries.links_to(connection, unit_id=unit_id)]


async def wards_under(connection: Connection, unit_id: str, on: date) -> list[str]:
    """The wards of a day under a unit, through any level between."""
    return [row["unit_id"] async for row in _queries.wards_under(connection, unit_id=unit_id, day=on)]


async def reporting_areas(connection: Connection) -> list[ReportingArea]:
    """The reporting areas, in Vietnamese order."""
    return [_area(row) async for row in _queries.reporting_areas(connection)]


async def reporting_area(connection: Connection, area_id: str) -> ReportingArea | None:
    """One reporting area."""
    row = await _queries.reporting_area(connection, area_id=area_id)
    return None if row is None else _area(row)


async def current_edition(connection: Connection) -> UUID | None:
    """Which state of units, links and outlines this is; None before anything was loaded."""
    edition: UUID | None = await _queries.current_edition(connection)
    return edition


async def begin_edition(connection: Connection) -> None:
    """Note that units, links or outlines have changed: what is kept in memory of them is old from now on."""
    await _queries.begin_edition(connection, edition=new_uuid())


async def wait_for_loading(connection: Connection) -> None:
    """Hold the place of the one who loads facts until the transaction ends."""
    await _queries.wait_for_loading(connection)


async def records_since(connection: Connection, name: str) -> date | None:
    """Since when the release of a collection that is loaded knows what was there."""
    since: date | None = await _queries.records_since(connection, name=name)
    return since


async def release_loaded(connection: Connection, name: str) -> str | None:
    """The checksum of the release of a collection that is loaded."""
    checksum: str | None = await _queries.release_loaded(connection, name=name)
    return checksum


async def note_release(connection: Connection, release: Release, *, now: Instant) -> None:
    """Note a release as the one that is loaded from now on."""
    await _queries.note_release(
        connection,
        name=release.name,
        checksum=release.checksum,
        as_of=release.as_of,
        records_since=release.records_since,
        title=release.title,
        provenance=release.provenance,
        licence=release.licence,
        attribution=release.attribution,
        loaded_at=now,
    )


async def releases(connection: Connection) -> list[Release]:
    """The release of each collection that is loaded."""
    return [
        Release(
            row["name"],
            row["checksum"],
            row["as_of"],
            row["title"],
            row["provenance"],
            row["licence"],
            row["attribution"],
            row["records_since"],
        )
        async for row in _queries.releases(connection)
    ]


async def drop_facts(connection: Connection) -> None:
    """Forget the links, outlines and reporting areas of the release before."""
    await _queries.drop_links_of_facts(connection)
    await _queries.drop_outlines_of_facts(connection)
    await _queries.drop_reporting_areas_of_facts(connection)


async def drop_units_not_in(connection: Connection, unit_ids: Sequence[str]) -> None:
    """Forget units that a new release no longer has and that nothing names."""
    await _queries.drop_units_not_in(connection, unit_ids=unit_ids)


async def put_units(connection: Connection, given: Sequence[Unit], *, origin: str) -> None:
    """Write units, those above before those below; their boxes are kept with their outlines."""
    await _queries.put_units(
        connection,
        unit_ids=[one.unit_id for one in given],
        levels=[one.level for one in given],
        kinds=[one.kind for one in given],
        codes=[one.code for one in given],
        names=[one.name for one in given],
        full_names=[one.full_name for one in given],
        name_keys=[collation_key(one.name) for one in given],
        names_en=[one.name_en for one in given],
        parent_ids=[one.parent_id for one in given],
        valid_froms=[one.valid_from for one in given],
        valid_tos=[one.valid_to for one in given],
        legal_bases=[one.legal_basis for one in given],
        ended_bys=[one.ended_by for one in given],
        areas=[one.area_km2 for one in given],
        populations=[one.population for one in given],
        population_ons=[one.population_on for one in given],
        population_doubtfuls=[one.population_doubtful for one in given],
        centres=[one.centre for one in given],
        longitudes=[one.label_point[0] if one.label_point else None for one in given],
        latitudes=[one.label_point[1] if one.label_point else None for one in given],
        verifieds=[one.verified for one in given],
        origin=origin,
    )


async def put_links(connection: Connection, given: Sequence[Link], *, origin: str) -> None:
    """Write links."""
    await _queries.put_links(
        connection,
        from_ids=[one.from_id for one in given],
        to_ids=[one.to_id for one in given],
        kinds=[one.kind for one in given],
        shares=[one.share for one in given],
        people_shares=[one.people_share for one in given],
        takes_effects=[one.takes_effect for one in given],
        legal_bases=[one.legal_basis for one in given],
        verifieds=[one.verified for one in given],
        origin=origin,
    )


async def put_outlines(connection: Connection, given: Sequence[NewOutline], *, origin: str) -> None:
    """Write outlines."""
    await _queries.put_outlines(
        connection,
        unit_ids=[one.outline.unit_id for one in given],
        wests=[one.box.west for one in given],
        souths=[one.box.south for one in given],
        easts=[one.box.east for one in given],
        norths=[one.box.north for one in given],
        shapes=[one.outline.shape for one in given],
        accuracies=[one.outline.accuracy_m for one in given],
        origin=origin,
    )


async def put_reporting_areas(connection: Connection, given: Sequence[ReportingArea], *, origin: str) -> None:
    """Write reporting areas."""
    await _queries.put_reporting_areas(
        connection,
        area_ids=[one.area_id for one in given],
        names=[one.name for one in given],
        name_keys=[collation_key(one.name) for one in given],
        former_ids=[one.former_id for one in given],
        origin=origin,
    )


def _unit(row: Row) -> Unit:
    corners = row["box"]
    return Unit(
        unit_id=row["unit_id"],
        level=Level(row["level"]),
        kind=row["kind"],
        code=row["code"],
        name=row["name"],
        full_name=row["full_name"],
        name_en=row["name_en"],
        parent_id=row["parent_id"],
        valid_from=row["valid_from"],
        valid_to=row["valid_to"],
        legal_basis=row["legal_basis"],
        ended_by=row["ended_by"],
        area_km2=row["area_km2"],
        population=row["population"],
        population_on=row["population_on"],
        population_doubtful=row["population_doubtful"],
        centre=row["centre"],
        label_point=None if row["longitude"] is None else (row["longitude"], row["latitude"]),
        box=None if corners is None else Box(corners.low.x, corners.low.y, corners.high.x, corners.high.y),
        accuracy_m=row["accuracy_m"],
        verified=row["verified"],
    )


def link_of(row: Row) -> Link:
    """A row of `places.link` as a link."""
    return Link(
        from_id=row["from_id"],
        to_id=row["to_id"],
        kind=LinkKind(row["kind"]),
        share=row["share"],
        people_share=row["people_share"],
        takes_effect=row["takes_effect"],
        legal_basis=row["legal_basis"],
        verified=row["verified"],
    )


def _outline(row: Row) -> StoredOutline:
    return StoredOutline(row["unit_id"], row["shape"], row["accuracy_m"])


def _area(row: Row) -> ReportingArea:
    return ReportingArea(row["area_id"], row["name"], row["former_id"])
