"""Addresses: how many are resolved in a second, how sure and how right the answers are.

    python bench/addresses.py [--addresses 10000]

The addresses are made of former wards of the whole country, as people write them: in full, without
diacritics, without commas, names only, ward and province only. What each became is known from the
links, so every answer is judged. One thread; the facts come from the product's own files.
"""

import argparse
import asyncio
import random
import time
import unicodedata
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import date

import asyncpg
import machine
from measure import spread_of, table, use

from haidang.infra.database import Connection, prepare_connection
from haidang.infra.embedded import TemporaryCluster
from haidang.infra.migrations import migrate
from haidang.kernel.actors import part
from haidang.places import finding_store
from haidang.places.finding import find_units, resolve_place, resolve_places
from haidang.places.loading import load_facts
from haidang.places.model import Level, Unit
from haidang.places.naming import Outcome, Resolution, UnitNames

TODAY = date(2026, 11, 22)
ACTOR = part("bench")
TYPED = ("p", "ph", "phan", "phan t", "phan thiet", "quy nh", "xa ia", "an nghia hoai", "phường 1", "b'l")

Path = tuple[Unit, ...]


def bare(text: str) -> str:
    """As typed without diacritics."""
    apart = unicodedata.normalize("NFD", text.replace("đ", "d").replace("Đ", "D"))
    return "".join(letter for letter in apart if not unicodedata.combining(letter))


FORMS: dict[str, Callable[[Path], str]] = {
    "in full": lambda path: f"12 Lê Lợi, {', '.join(one.full_name for one in reversed(path))}",
    "bare": lambda path: bare(f"12 Lê Lợi, {', '.join(one.full_name for one in reversed(path))}"),
    "bare, without commas": lambda path: bare(
        f"12 le loi {path[-1].full_name} {' '.join(one.name for one in reversed(path[:-1]))}"
    ),
    "names only": lambda path: ", ".join(one.name for one in reversed(path)),
    "ward and province, bare": lambda path: bare(f"{path[-1].full_name}, {path[0].name}"),
}


def judge(found: Sequence[Resolution], became: Sequence[frozenset[str]]) -> Counter[str]:
    """How many were right, asked about (the right unit among the candidates, or not), wrong."""
    tally = Counter[str]()
    for one, right in zip(found, became, strict=True):
        listed = {candidate.unit.unit_id for candidate in one.candidates}
        if one.outcome is Outcome.ONE:
            good = {one.candidates[0].unit.unit_id} == right
            tally["right" if good else "wrong"] += 1
            tally["wrong above 0.9"] += not good and one.confidence > 0.9
        elif one.outcome is Outcome.ASK:
            tally["asked" if listed & right else "asked about others"] += 1
        else:
            tally["nothing"] += 1
    return tally


async def bulk(connection: Connection, names: UnitNames, count: int) -> None:
    """Each form of as many addresses, in one call."""
    goings = names.day(TODAY).goings
    wards = [
        one
        for one in names.units.values()
        if one.level is Level.WARD and not one.stood_on(TODAY) and goings[one.unit_id]
    ]
    chosen = random.Random(20261122).choices(wards, k=count)  # noqa: S311 -- a bench
    became = [frozenset(going.today_id for going in goings[one.unit_id]) for one in chosen]
    rows = []
    for form, write in FORMS.items():
        texts = [write(names.path_of(one.unit_id)) for one in chosen]
        # A text that comes again costs nothing: a number makes each its own.
        texts = [f"{text}, {number:05}" for number, text in enumerate(texts)]
        with use() as used:
            found = await resolve_places(ACTOR, connection, texts, on=TODAY)
        tally = judge(found, became)
        rows.append(
            [
                form,
                round(count / used.seconds),
                used.micros_each("us", count),
                *(100 * tally[how] / count for how in ("right", "asked", "asked about others", "nothing")),
                tally["wrong"],
                tally["wrong above 0.9"],
            ]
        )
    header = ["form", "per second", "CPU µs", "right %", "asked %", "others %", "nothing %", "wrong", "> 0.9"]
    table(header, rows)


async def singles(connection: Connection, count: int) -> None:
    """One by one, with the question for the edition that each call asks."""
    rows = []
    for name, act in (
        ("resolve_place", lambda n: resolve_place(ACTOR, connection, f"{n} Lê Lợi, {ADDRESS}", on=TODAY)),
        ("find_units", lambda n: find_units(ACTOR, connection, TYPED[n % len(TYPED)], on=TODAY)),
    ):
        took = []
        for number in range(count):
            begun = time.perf_counter()
            await act(number)
            took.append((time.perf_counter() - begun) * 1e3)
        spread = spread_of(took)
        rows.append([name, spread.median, spread.p95, spread.p99])
    table(["verb", "p50 ms", "p95 ms", "p99 ms"], rows)


ADDRESS = "P. Phu Thuy, Phan Thiet, Binh Thuan"


async def main(count: int) -> None:
    """A server of its own, with the country's facts."""
    machine.main()
    with TemporaryCluster() as cluster:
        connection = await asyncpg.connect(cluster.dsn())
        await prepare_connection(connection)
        await migrate(connection)
        await load_facts(ACTOR, connection)
        with use() as used:
            units, links = await finding_store.every_unit_and_link(connection)
            names = UnitNames(units, links)
            names.day(TODAY)
        print(f"names of {len(units):,} units, {len(links):,} links: made in {used.seconds:.2f} s\n")
        await resolve_place(ACTOR, connection, ADDRESS, on=TODAY)
        await bulk(connection, names, count)
        print()
        await singles(connection, 500)
        await connection.close()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--addresses", type=int, default=10_000)
    asyncio.run(main(parser.parse_args().addresses))
