"""What the edges cost: lines, figures, templates, repeated writes, kept files, pictures taken in.

python bench/edges.py [--operations 2000]
"""

import argparse
import asyncio
import io
import os
import tempfile
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import asyncpg
from measure import Spread, Used, drive, micros_of, spread_of, table, use
from PIL import Image

from haidang.infra.database import Connection, open_pool, transaction
from haidang.infra.embedded import TemporaryCluster
from haidang.infra.idempotency import Receipt, answer_once, keyed_request
from haidang.infra.intake import IntakeRules, take_file
from haidang.infra.migrations import migrate
from haidang.infra.objects import open_objects
from haidang.infra.settings import read_settings
from haidang.infra.telemetry import configure_logging, count_request, logger, span, trace
from haidang.infra.templates import Templates
from haidang.infra.translations import Translations, number_text
from haidang.kernel.actors import machine

CLIENT = machine("bench")


def calls() -> None:
    """Things that happen many times a request."""
    with Path(os.devnull).open("w", encoding="utf-8") as nowhere:
        configure_logging(read_settings({"HAIDANG_LOG_FORMAT": "json"}), "bench", stream=nowhere)
        log = logger("bench")
        translations = Translations.load()
        page = (
            Templates(translations)
            .environment("vi")
            .from_string(
                "{% for one in numbers %}<td>{{ one|number(1) }}</td><td>{{ _('just now') }}</td>{% endfor %}"
            )
        )
        numbers = [float(number) for number in range(200)]

        def in_span() -> None:
            with span("step"):
                pass

        def in_trace() -> None:
            with trace("request"):
                pass

        rows: list[tuple[str, float]] = [
            ("a log line", micros_of(lambda: log.info("seen", route="/x", status=200, seconds=0.01))),
            ("a log line below the level", micros_of(lambda: log.debug("seen", route="/x"))),
            ("a request counted", micros_of(lambda: count_request("bench", "GET", 200, 0.01))),
            ("a trace", micros_of(in_trace)),
            ("a span nobody collects", micros_of(in_span)),
            ("a sentence", micros_of(lambda: translations.gettext("vi", "just now"))),
            ("a figure", micros_of(lambda: number_text(1234.5, 1, "vi"))),
            (
                "a page of 200 figures and sentences",
                micros_of(lambda: page.render(numbers=numbers), times=50),
            ),
        ]
    table(("call", "CPU µs"), rows)


async def writes(operations: int) -> None:
    """An insert by itself and with an idempotency key, on a durable PostgreSQL, 10 at once."""
    now = datetime.now(UTC)
    with TemporaryCluster(settings={"fsync": "on", "synchronous_commit": "on"}) as cluster:
        connection = await asyncpg.connect(cluster.dsn())
        await migrate(connection)
        await connection.execute("CREATE TABLE effect (effect_no bigint GENERATED ALWAYS AS IDENTITY)")
        await connection.close()
        pool = await open_pool(cluster.dsn(), smallest=10)

        async def write(connection: Connection) -> Receipt:
            await connection.execute("INSERT INTO effect DEFAULT VALUES")
            return Receipt(201, (), b"{}")

        async def bare(_number: int) -> None:
            async with transaction(pool) as connection:
                await write(connection)

        async def keyed(number: int) -> None:
            request = keyed_request(
                str(number), method="POST", path=b"/x", query=b"", content_type="", body=b"{}"
            )
            await answer_once(pool, CLIENT, request, write, now=now)

        rows: list[tuple[object, ...]] = []
        for name, act in (("bare", bare), ("with a new key", keyed), ("with a key used before", keyed)):
            with use() as used:
                took = await drive(act, operations=operations, at_once=10)
            rows.append(_row(name, operations, used, spread_of(took)))
        await pool.close()
    table(("write", "a second", "CPU µs", "median ms", "p95 ms", "p99 ms", "worst ms"), rows)


async def files(operations: int) -> None:
    """Files put durably into a folder, and photographs taken in."""
    rows: list[tuple[object, ...]] = []
    with tempfile.TemporaryDirectory() as folder:
        store = open_objects(Path(folder).as_uri(), {})
        contents = [os.urandom(200_000) for _ in range(operations)]
        with use() as used:
            took = await drive(
                lambda number: store.put(CLIENT, contents[number]), operations=operations, at_once=4
            )
        rows.append(_row("200 kB put into a folder", operations, used, spread_of(took)))
    photo = _photo(4000, 3000)

    async def sent() -> AsyncIterator[bytes]:
        for start in range(0, len(photo), 65_536):
            yield photo[start : start + 65_536]

    with use() as used:
        took = await drive(
            lambda _: take_file(sent(), name="photo.jpg", rules=IntakeRules()), operations=8, at_once=2
        )
    rows.append(_row("12 million points taken in", 8, used, spread_of(took)))
    table(("file", "a second", "CPU µs", "median ms", "p95 ms", "p99 ms", "worst ms"), rows)


def _photo(width: int, height: int) -> bytes:
    small = Image.frombytes("RGB", (width // 8, height // 8), os.urandom(width // 8 * (height // 8) * 3))
    written = io.BytesIO()
    small.resize((width, height), Image.Resampling.BICUBIC).save(written, "JPEG", quality=90)
    return written.getvalue()


def _row(name: str, operations: int, used: Used, spread: Spread) -> tuple[object, ...]:
    return (
        name,
        operations / used.seconds,
        used.micros_each("us", operations),
        *(seconds * 1e3 for seconds in (spread.median, spread.p95, spread.p99, spread.worst)),
    )


def main() -> None:
    """Print the tables."""
    arguments = argparse.ArgumentParser(description="What the edges cost.")
    arguments.add_argument("--operations", type=int, default=2_000)
    operations = arguments.parse_args().operations
    calls()
    print()
    asyncio.run(writes(operations))
    print()
    asyncio.run(files(operations // 10))


if __name__ == "__main__":
    main()
