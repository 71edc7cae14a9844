"""Loads the facts that the product carries, once for each release of them.

A collection of facts is a TOML file in `facts/` that says what it is and which files it has, and a loader.
Nothing here needs shapely: the supervisor loads facts too, and stays small.
"""

import hashlib
import struct
import tomllib
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from itertools import accumulate, chain
from pathlib import Path
from typing import Any

from haidang.infra.database import Connection
from haidang.kernel.actors import Actor, Audience
from haidang.kernel.geometry import Box
from haidang.kernel.instants import Clock, SystemClock
from haidang.places import store
from haidang.places.calendars import load_calendar
from haidang.places.errors import FactsAreForAdministrators, FactsMalformed
from haidang.places.model import Level, Link, LinkKind, ReportingArea, Unit
from haidang.places.store import FACTS, NewOutline, Release, StoredOutline

FOLDER = Path(__file__).parent / "facts"

_URN = "urn:haidang:unit:"
_EARLIEST, _LATEST = date.min, date.max


@dataclass(frozen=True, slots=True)
class Collection:
    """Facts that are loaded together: their description, and what writes them."""

    description: str
    load: Callable[[Connection, Mapping[str, Any], Path], Awaitable[None]]


async def load_facts(
    actor: Actor, connection: Connection, *, folder: Path = FOLDER, clock: Clock | None = None
) -> list[str]:
    """Load what is not loaded yet, each collection in its own transaction; returns the names loaded.

    Units, links and outlines that a change made here stay; what the release before brought is replaced.
    Who asks while somebody loads waits, and finds it done.
    """
    if not actor.belongs_to(Audience.ADMINISTRATOR):
        raise FactsAreForAdministrators
    loaded: list[str] = []
    for collection in COLLECTIONS:
        description, release = _described(folder, collection.description)
        if await store.release_loaded(connection, release.name) == release.checksum:
            continue
        async with connection.transaction():
            await store.wait_for_loading(connection)
            if await store.release_loaded(connection, release.name) == release.checksum:
                continue
            await collection.load(connection, description, folder)
            await store.note_release(connection, release, now=(clock or SystemClock()).now())
            await store.begin_edition(connection)
        loaded.append(release.name)
    return loaded


def _described(folder: Path, name: str) -> tuple[Mapping[str, Any], Release]:
    """A collection's description, and its release: the checksum is over the description and every file."""
    text = (folder / name).read_bytes()
    description = tomllib.loads(text.decode())
    digest = hashlib.sha256(text)
    for file in description["files"]:
        digest.update((folder / file).read_bytes())
    return description, Release(
        name=description["name"],
        checksum=digest.hexdigest(),
        as_of=description["as_of"],
        title=description["title"],
        provenance=description["provenance"],
        licence=description["licence"],
        attribution=description["attribution"],
        records_since=description.get("records_since"),
    )


# -- units, links, outlines --------------------------------------------------------------------


async def load_units(connection: Connection, description: Mapping[str, Any], folder: Path) -> None:
    """Write the units, links, outlines and reporting areas of `units.toml`."""
    units = read_units(folder / "units.tsv", description["laws"])
    by_code = _by_code(units)
    links = read_links(folder / "links.tsv", description["laws"], by_code)
    outlines = read_outlines(folder / "outlines.txt")
    areas = [
        ReportingArea(
            one["area_id"], one["name"], _ending(by_code, Level.PROVINCE, one["former_code"]).unit_id
        )
        for one in description["reporting_areas"]
    ]
    await store.drop_facts(connection)
    await store.put_units(connection, units, origin=FACTS)
    await store.put_links(connection, links, origin=FACTS)
    await store.put_outlines(connection, outlines, origin=FACTS)
    await store.put_reporting_areas(connection, areas, origin=FACTS)
    await store.drop_units_not_in(connection, [one.unit_id for one in units])


ByCode = Mapping[tuple[Level, str], Sequence[Unit]]


def read_units(path: Path, laws: Mapping[str, str]) -> list[Unit]:
    """The units of a facts file, those above before those below; raises FactsMalformed."""
    units: list[Unit] = []
    above: dict[tuple[Level, str], list[Unit]] = {}
    for number, row in _rows(path):
        with _on_line(path, number):
            unit = _unit_of(row, laws, above)
        units.append(unit)
        above.setdefault((unit.level, unit.code), []).append(unit)
    return units


@contextmanager
def _on_line(path: Path, number: int) -> Iterator[None]:
    """Whatever cannot be read there is a FactsMalformed that says where."""
    try:
        yield
    except (ValueError, LookupError, ArithmeticError) as problem:
        raise FactsMalformed(file=path.name, line=number, problem=repr(problem)) from None


def _unit_of(row: Mapping[str, str], laws: Mapping[str, str], above: ByCode) -> Unit:
    level = Level(row["level"])
    valid_from, valid_to = _day(row["valid_from"]), _day(row["valid_to"])
    parent_id = None
    if row["parent_code"]:
        over = Level.DISTRICT if level is Level.WARD and valid_from is None else Level.PROVINCE
        parent_id = _overlapping(above[over, row["parent_code"]], valid_from, valid_to).unit_id
    people = row["population"]
    return Unit(
        unit_id=_URN + row["unit_id"],
        level=level,
        kind=row["kind"],
        code=row["code"],
        name=row["name"],
        full_name=f"{row['kind']} {row['name']}",
        name_en=row["name_en"] or None,
        parent_id=parent_id,
        valid_from=valid_from,
        valid_to=valid_to,
        legal_basis=_law(row["legal_basis"], laws),
        ended_by=_law(row["ended_by"], laws),
        area_km2=Decimal(row["area_km2"]) if row["area_km2"] else None,
        population=int(people.removesuffix("?")) if people else None,
        population_on=_day(row["population_on"]),
        population_doubtful=people.endswith("?"),
        centre=row["centre"] or None,
        label_point=(float(row["longitude"]), float(row["latitude"])) if row["longitude"] else None,
        verified=row["verified"] == "yes",
    )


def read_links(path: Path, laws: Mapping[str, str], by_code: ByCode) -> list[Link]:
    """The links of a facts file; a code means the unit that ended, or stood from, that day."""
    return list(_links(path, laws, by_code))


def _links(path: Path, laws: Mapping[str, str], by_code: ByCode) -> Iterator[Link]:
    for number, row in _rows(path):
        with _on_line(path, number):
            yield _link_of(row, laws, by_code)


def _link_of(row: Mapping[str, str], laws: Mapping[str, str], by_code: ByCode) -> Link:
    day = date.fromisoformat(row["takes_effect"])
    former_level, _, later_level = row["level"].partition(">")
    later = by_code[Level(later_level or former_level), row["to_code"]]
    return Link(
        from_id=_ending(by_code, Level(former_level), row["from_code"], day).unit_id,
        to_id=_standing(later, day).unit_id,
        kind=LinkKind(row["kind"]),
        share=float(row["share"]) if row["share"] else None,
        people_share=float(row["people_share"]) if row["people_share"] else None,
        takes_effect=day,
        legal_basis=_law(row["legal_basis"], laws),
        verified=row["verified"] == "yes",
    )


def _by_code(units: Sequence[Unit]) -> dict[tuple[Level, str], list[Unit]]:
    found: dict[tuple[Level, str], list[Unit]] = {}
    for unit in units:
        found.setdefault((unit.level, unit.code), []).append(unit)
    return found


def _overlapping(units: Sequence[Unit], since: date | None, until: date | None) -> Unit:
    """The unit that stood at the end of a time; raises LookupError."""
    for unit in units:
        if (unit.valid_from or _EARLIEST) < (until or _LATEST) and (since or _EARLIEST) < (
            unit.valid_to or _LATEST
        ):
            return unit
    raise LookupError(f"no unit stood between {since} and {until}")


def _ending(by_code: ByCode, level: Level, code: str, day: date | None = None) -> Unit:
    """The unit of a code that ended, on that day if one is given; raises LookupError."""
    for unit in by_code[level, code]:
        if unit.valid_to is not None and (day is None or unit.valid_to == day):
            return unit
    raise LookupError(f"no {level} {code} ended on {day}")


def _standing(units: Sequence[Unit], day: date) -> Unit:
    for unit in units:
        if unit.stood_on(day):
            return unit
    raise LookupError(f"none of them stood on {day}")


def _law(keys: str, laws: Mapping[str, str]) -> str | None:
    """What people read for `NQ1671:43+44;NQ30`."""
    if not keys:
        return None
    texts = []
    for one in keys.split(";"):
        key, _, items = one.partition(":")
        texts.append(laws[key].format(items=items.replace("+", " và ")))
    return "; ".join(texts)


def _day(text: str) -> date | None:
    return date.fromisoformat(text) if text else None


def _rows(path: Path) -> Iterator[tuple[int, dict[str, str]]]:
    """The rows of a tab-separated file, by the names of its columns; raises FactsMalformed."""
    columns: list[str] = []
    for number, line in enumerate(path.read_text("utf-8").splitlines(), 1):
        if line.startswith("#"):
            continue
        cells = line.split("\t")
        if not columns:
            columns = cells
        elif len(cells) != len(columns):
            raise FactsMalformed(file=path.name, line=number, problem=f"{len(cells)} columns")
        else:
            yield number, dict(zip(columns, cells, strict=True))


def read_outlines(path: Path) -> list[NewOutline]:
    """The outlines of a facts file, as well-known binary; raises FactsMalformed."""
    outlines: list[NewOutline] = []
    head: list[str] = []
    parts: list[list[list[float]]] = []
    for number, line in enumerate(path.read_text("utf-8").splitlines(), 1):
        if line.startswith("#"):
            continue
        with _on_line(path, number):
            if line.startswith("= "):
                if head:
                    outlines.append(_outline_of(head, parts))
                head, parts = line.split()[1:], []
            elif line.startswith("+ "):
                parts.append([_ring(line[2:], int(head[2]))])
            else:
                parts[-1].append(_ring(line.removeprefix("- "), int(head[2])))
    if head:
        outlines.append(_outline_of(head, parts))
    return outlines


def _ring(steps: str, digits: int) -> list[float]:
    """A closed ring, longitude and latitude in turn, from its first point and the steps to each next one."""
    moves = list(map(int, steps.split()))
    if len(moves) < 6 or len(moves) % 2:
        raise ValueError(f"{len(moves)} numbers")
    scale = 10**digits
    longitudes = [number / scale for number in accumulate(moves[0::2])]
    latitudes = [number / scale for number in accumulate(moves[1::2])]
    ring = list(chain.from_iterable(zip(longitudes, latitudes, strict=True)))
    return [*ring, *ring[:2]]


def _outline_of(head: Sequence[str], parts: Sequence[Sequence[Sequence[float]]]) -> NewOutline:
    """A multipolygon in well-known binary, little-endian (OGC 06-103r4, 8.2.8)."""
    unit_id, accuracy, _ = head
    pieces = [struct.pack("<BII", 1, 6, len(parts))]
    longitudes: list[float] = []
    latitudes: list[float] = []
    for part in parts:
        pieces.append(struct.pack("<BII", 1, 3, len(part)))
        pieces += [struct.pack(f"<I{len(ring)}d", len(ring) // 2, *ring) for ring in part]
        longitudes += part[0][0::2]
        latitudes += part[0][1::2]
    box = Box(min(longitudes), min(latitudes), max(longitudes), max(latitudes))
    return NewOutline(StoredOutline(_URN + unit_id, b"".join(pieces), float(accuracy)), box)


COLLECTIONS: tuple[Collection, ...] = (
    Collection("units.toml", load_units),
    Collection("calendar.toml", load_calendar),
)
"""Everything that is loaded, in this order."""
