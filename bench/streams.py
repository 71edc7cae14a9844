"""Event streams: 5,000 on one process; and from a reading to the screens at 1,000 readings a second.

    python bench/streams.py [--streams 5000] [--seconds 20] [--batches 10]
    python bench/streams.py --readings 1000 [--screens 200] [--stations 1000]

The web is the real one with its one door, in a process of its own; another process writes through the
grouped writer and gives events their positions; the clients are raw sockets in this process. The
database is on this machine. A reading carries in its `observedAt` the moment at which it was handed to
the writer: what is measured is from there to the bytes at the client's socket, commit included. Of the
screens four are read to the last mark; of the others the bytes are taken and the batches counted.

The product tells a screen four times a second at most; `--batches 10` lets it do so ten times.
"""

import argparse
import asyncio
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, cast

import asyncpg
import machine
import msgspec
import orjson
from measure import percentile, table, use

from haidang.app import build_house
from haidang.context.errors import WriterBusy
from haidang.context.model import AttributeInstance, MergeObservations
from haidang.context.writer import GroupedWriter
from haidang.infra.database import open_pool, prepare_connection
from haidang.infra.embedded import TemporaryCluster
from haidang.infra.events import Sequencer
from haidang.infra.migrations import migrate
from haidang.infra.serving import allowed_connections, serve_application
from haidang.infra.settings import read_settings
from haidang.infra.telemetry import configure_logging
from haidang.kernel.actors import part
from haidang.kernel.instants import Instant, SystemClock, parse_instant
from haidang.packs.environment.air import AIR_QUALITY_OBSERVED
from haidang.sdk.loading import installed_packs
from haidang.web.asgi import build_application
from haidang.web.shared.streams import Streams

HOME = Path("/tmp/haidang-bench-streams")  # noqa: S108 - nothing is kept there
CLOCK = SystemClock()
READ_TO_THE_END = 4


def readings_of(number: int, at: Instant, index: int) -> MergeObservations:
    """One reading of the n-th station: its index, its name and its place."""

    def one(name: str, value: object, observed_at: Instant | None) -> AttributeInstance:
        declared = next(each for each in AIR_QUALITY_OBSERVED.attributes if each.name == name)
        return AttributeInstance(
            declared.iri, value, kind=declared.kind, unit=declared.unit, observed_at=observed_at
        )

    point = {"type": "Point", "coordinates": [107.5 + number % 100 / 100, 10.8 + number // 100 / 100]}
    return MergeObservations(
        entity_id=f"urn:ngsi-ld:AirQualityObserved:bench-{number}",
        type_iri=AIR_QUALITY_OBSERVED.iri,
        attributes=(
            one("name", f"Trạm {number}", None),
            one("location", point, None),
            one("airQualityIndex", index, at),
        ),
    )


async def serve(dsn: str, listen_fd: int, batches: float) -> None:
    """The web, until SIGTERM."""
    (Streams.__init__.__kwdefaults__ or {})["every_s"] = 1 / batches
    settings = read_settings({"HAIDANG_HOME": str(HOME), "HAIDANG_LOG_LEVEL": "error"})
    settings = msgspec.structs.replace(settings, listen_fd=listen_fd, event_streams=8192)
    configure_logging(settings, "web")
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    pool = await open_pool(dsn)
    writer = GroupedWriter(pool, CLOCK)
    house = build_house(settings, CLOCK, installed_packs(), pool, writer, stopping=stop)
    await serve_application(build_application(house), settings, stop)
    await pool.close()


async def write(dsn: str, stations: int, readings: float, tick_s: float) -> None:
    """Hand over so many readings a second, each in a commit that it shares with others, until SIGTERM."""
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    pool = await open_pool(dsn)
    writer = GroupedWriter(pool, CLOCK)
    actor = part("bench")
    written = 0

    async def hand_over(number: int) -> None:
        nonlocal written
        with suppress(WriterBusy):  # the machine does not keep up: what was written is counted and told
            await writer.submit_all(actor, [readings_of(number % stations, CLOCK.now(), 20 + number % 300)])
            written += 1

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(writer.run(stop))
        tasks.create_task(Sequencer(pool).run(stop))
        for number in range(stations):
            await hand_over(number) if number % 100 == 0 else tasks.create_task(hand_over(number))
        print("ready", flush=True)
        number, begun, base = 0, time.perf_counter(), written
        while not stop.is_set():
            due = int((time.perf_counter() - begun) * readings)
            for one in range(number, due):
                tasks.create_task(hand_over(one))
            number = max(number, due)
            await asyncio.sleep(tick_s)
        print(f"written {(written - base) / (time.perf_counter() - begun):.0f}", flush=True)
    await pool.close()


class Screen(asyncio.Protocol):
    """One client: a socket that asks once and counts what comes."""

    def __init__(self, *, read: bool) -> None:
        self.read = read
        self.greeted = asyncio.get_running_loop().create_future()
        self.batches = 0
        self.bytes = 0
        self.took: list[float] = []
        self.lost = False
        self._rest = b""
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask."""
        self.transport = cast("asyncio.Transport", transport)
        self.transport.write(b"GET /ioc/live?layers=air-quality HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")

    def data_received(self, content: bytes) -> None:
        """Count, and of a few screens look at every mark."""
        self.bytes += len(content)
        self.batches += content.count(b"event: marks")
        if not self.greeted.done() and b"event: hello" in content:
            self.greeted.set_result(None)
        if self.read:
            now = CLOCK.now()
            self._rest += content
            *blocks, self._rest = self._rest.split(b"\n\n")
            for block in blocks:
                if b"event: marks" in block:
                    marks = orjson.loads(block.rpartition(b"data: ")[2])["layers"].get("air-quality", ())
                    self.took += [(now - parse_instant(one["observedAt"])).total_seconds() for one in marks]

    def connection_lost(self, _error: Exception | None) -> None:
        """It should not be."""
        self.lost = True
        if not self.greeted.done():
            self.greeted.set_exception(ConnectionError("the stream was refused"))


def resident_mib(pid: int) -> float:
    """Memory of a process."""
    return int(Path(f"/proc/{pid}/statm").read_text("ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


@contextmanager
def child(*arguments: str, pass_fds: tuple[int, ...] = ()) -> Iterator[subprocess.Popen[str]]:
    """This program in another role."""
    running = subprocess.Popen(
        [sys.executable, __file__, *arguments], stdout=subprocess.PIPE, text=True, pass_fds=pass_fds
    )
    try:
        yield running
    finally:
        running.terminate()
        running.wait(20)


async def open_screens(port: int, streams: int) -> tuple[list[Screen], float]:
    """Open the streams, two hundred at once; how long it took."""
    loop = asyncio.get_running_loop()
    screens: list[Screen] = []
    begun = time.perf_counter()
    for start in range(0, streams, 200):
        some = [Screen(read=start + n < READ_TO_THE_END) for n in range(min(200, streams - start))]
        await asyncio.gather(
            *(loop.create_connection(lambda one=one: one, "127.0.0.1", port) for one in some)  # type: ignore[misc]
        )
        await asyncio.wait_for(asyncio.gather(*(one.greeted for one in some)), 60)
        screens += some
    return screens, time.perf_counter() - begun


async def measure(asked: argparse.Namespace) -> None:
    """Everything, and the table."""
    with TemporaryCluster() as cluster, socket.socket() as listening:
        connection = await asyncpg.connect(cluster.dsn())
        await prepare_connection(connection)
        await migrate(connection)
        await connection.close()
        listening.bind(("127.0.0.1", 0))
        listening.listen(2048)
        listening.setblocking(False)
        descriptor, port = listening.fileno(), listening.getsockname()[1]
        tick_s = 0.005 if asked.readings > 100 else 0.02
        how = ("--write", cluster.dsn(), str(asked.stations), str(asked.readings), str(tick_s))
        serving = ("--serve", cluster.dsn(), str(descriptor), str(asked.batches))
        with child(*how) as writing, child(*serving, pass_fds=(descriptor,)) as web:
            said = cast("IO[str]", writing.stdout)
            await asyncio.to_thread(said.readline)
            before, _ = await open_screens(port, 1)
            empty = resident_mib(web.pid)
            screens, opened_s = await open_screens(port, asked.streams)
            await asyncio.sleep(3)
            full = resident_mib(web.pid)
            for one in screens:
                one.batches, one.bytes, one.took = 0, 0, []
            with use({"web": web.pid, "writer": writing.pid}) as used:
                await asyncio.sleep(asked.seconds)
            batches, size = sum(one.batches for one in screens), sum(one.bytes for one in screens)
            took = [seconds for one in screens for seconds in one.took]
            lost = sum(one.lost for one in screens)
            fewest = min(one.batches for one in screens)
            begun = time.perf_counter()
            web.terminate()
            await asyncio.to_thread(web.wait, 60)
            ended_s = time.perf_counter() - begun
            writing.terminate()
            written = (await asyncio.to_thread(said.read)).split()[-1]
            for one in (*before, *screens):
                if one.transport is not None:
                    one.transport.abort()
    rows: list[tuple[object, object]] = [
        ("streams open", asked.streams - lost),
        ("opened in, s", opened_s),
        ("readings written a second", float(written)),
        ("batches a stream and second", batches / asked.streams / used.seconds),
        ("the stream with the fewest, a second", fewest / used.seconds),
        ("events sent a second", batches / used.seconds),
        ("MB sent a second", size / used.seconds / 1e6),
        ("web: memory with one stream, MiB", empty),
        ("web: memory with all of them, MiB", full),
        ("web: kB a stream", (full - empty) * 1024 / max(asked.streams - 1, 1)),
        ("web: processor, %", used.cpu["web"] / used.seconds * 100),
        ("web: processor, µs an event sent", used.micros_each("web", max(batches, 1))),
        ("writer: processor, %", used.cpu["writer"] / used.seconds * 100),
        ("clients: processor, %", used.cpu["us"] / used.seconds * 100),
        ("reading to screen, p50 ms", percentile(took, 50) * 1000),
        ("reading to screen, p99 ms", percentile(took, 99) * 1000),
        ("reading to screen, worst ms", max(took, default=float("nan")) * 1000),
        ("marks looked at", len(took)),
        ("server stopped with all of them open in, s", ended_s),
    ]
    table(("what", "figure"), rows)


def main() -> None:
    """Read the arguments and play a role."""
    match sys.argv[1:]:
        case ["--serve", dsn, descriptor, batches]:
            asyncio.run(serve(dsn, int(descriptor), float(batches)))
        case ["--write", dsn, stations, readings, tick_s]:
            asyncio.run(write(dsn, int(stations), float(readings), float(tick_s)))
        case _:
            parser = argparse.ArgumentParser(
                description=__doc__, formatter_class=argparse.RawTextHelpFormatter
            )
            parser.add_argument("--streams", "--screens", type=int, default=5000)
            parser.add_argument("--seconds", type=float, default=20)
            parser.add_argument("--batches", type=float, default=4, help="a second, at most")
            parser.add_argument("--readings", type=float, default=10, help="a second")
            parser.add_argument("--stations", type=int, default=10)
            machine.main()
            allowed_connections()  # lifts the limit of files of this process too
            asyncio.run(measure(parser.parse_args()))


if __name__ == "__main__":
    main()
