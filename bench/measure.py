"""What the benches share: driving a load, processor time of processes, spreads, and one form of table."""

import asyncio
import math
import os
import statistics
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Spread:
    """How long operations took, in seconds."""

    median: float
    p95: float
    p99: float
    worst: float


def percentile(values: Sequence[float], percent: float) -> float:
    """The value that so many per cent of the values do not exceed (nearest rank)."""
    if not values:
        return math.nan
    ordered = sorted(values)
    return ordered[max(0, math.ceil(len(ordered) * percent / 100) - 1)]


def spread_of(seconds: Sequence[float]) -> Spread:
    """Median, 95th and 99th percentile and the worst."""
    return Spread(
        percentile(seconds, 50),
        percentile(seconds, 95),
        percentile(seconds, 99),
        max(seconds, default=math.nan),
    )


def descendants(pid: int) -> list[int]:
    """A process and all that it started, that those started, and so on."""
    found = [pid]
    for each in found:
        try:
            tasks = list(Path(f"/proc/{each}/task").iterdir())
            found += [
                int(child) for task in tasks for child in (task / "children").read_text("ascii").split()
            ]
        except OSError:  # it has ended
            continue
    return found


def cpu_seconds(pid: int) -> float:
    """Processor time of a process, of those under it, and of those that have ended and been waited for."""
    ticks = 0
    for each in descendants(pid):
        try:
            fields = Path(f"/proc/{each}/stat").read_text("ascii").rpartition(")")[2].split()
        except OSError:
            continue
        ticks += sum(int(one) for one in fields[11:15])  # user, system, and those of waited-for children
    return ticks / _TICKS


@dataclass(slots=True)
class Used:
    """What a stretch of work took: seconds by the clock, and of the processor by process."""

    seconds: float = 0.0
    cpu: dict[str, float] = field(default_factory=dict)

    def micros_each(self, name: str, operations: int) -> float:
        """Microseconds of processor time that a process spent on each operation."""
        return self.cpu[name] / operations * 1e6


@contextmanager
def use(processes: Mapping[str, int] | None = None) -> Iterator[Used]:
    """Measure a stretch of work: the clock, this process ("us"), and the processes named by their ids."""
    watched = {"us": os.getpid(), **(processes or {})}
    ours = time.process_time()
    before = {name: cpu_seconds(pid) for name, pid in watched.items() if name != "us"}
    used = Used()
    begun = time.perf_counter()
    try:
        yield used
    finally:
        used.seconds = time.perf_counter() - begun
        used.cpu = {name: cpu_seconds(watched[name]) - before[name] for name in before}
        used.cpu["us"] = time.process_time() - ours  # finer than a tick, without children


async def drive(act: Callable[[int], Awaitable[object]], *, operations: int, at_once: int) -> list[float]:
    """Carry out `act(n)` so many times, so many at once; how long each took, in seconds."""
    numbers = iter(range(operations))
    took: list[float] = []

    async def work() -> None:
        for number in numbers:
            begun = time.perf_counter()
            await act(number)
            took.append(time.perf_counter() - begun)

    await asyncio.gather(*(work() for _ in range(at_once)))
    return took


def micros_of(act: Callable[[], object], *, times: int = 5_000, rounds: int = 5) -> float:
    """Microseconds of processor time of one call: the median of some rounds, after a first one."""
    seconds = []
    for _ in range(rounds + 1):
        begun = time.process_time()
        for _ in range(times):
            act()
        seconds.append(time.process_time() - begun)
    return statistics.median(seconds[1:]) / times * 1e6


def table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print a table: the first column to the left, figures to the right, three digits that count."""
    cells = [list(header), *([_cell(one) for one in row] for row in rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(header))]
    for number, row in enumerate(cells):
        if number == 1:
            print("  ".join("-" * width for width in widths))
        print(
            "  ".join(
                text.rjust(width) if column else text.ljust(width)
                for column, (text, width) in enumerate(zip(row, widths, strict=True))
            )
        )


def _cell(value: object) -> str:
    if isinstance(value, float):
        if math.isnan(value):
            return "–"
        digits = 0 if abs(value) >= 100 else 1 if abs(value) >= 10 else 2
        return f"{value:,.{digits}f}"
    return f"{value:,}" if isinstance(value, int) else str(value)
