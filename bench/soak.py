"""The whole platform under a steady load for hours: what grows, slows down or gets lost.

    python bench/soak.py --hours 1

Stations send over MQTT, a machine writes and reads over NGSI-LD. Every sample says the memory and
open files of each part, how long answers took, and what the database weighs. It fails when a part's
memory or files keep growing, when answers fail, or when something that was acknowledged is gone.
"""

import argparse
import asyncio
import statistics
import sys
import tempfile
import time
from collections import defaultdict
from contextlib import suppress
from dataclasses import dataclass, field
from http.client import HTTPException
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

# After the path: the harness of the tests starts the platform for us too.
from measure import descendants, percentile  # noqa: E402  (after the path)
from tests.platform.city import City, all_is_there, running  # noqa: E402  (after the path)
from tests.platform.load import Door, MqttLoad  # noqa: E402  (after the path)

from haidang.infra.embedded import place_of  # noqa: E402  (after the path)

GROUPS_OF_STATIONS = 5
PACE_S = 0.05  # of each group: in all 100 readings a second
GROWN_BY = 1.25
GROWN_BY_MIB = 24


@dataclass(slots=True)
class Sample:
    """How the platform was at one moment, by part."""

    mib: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    files: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    milliseconds: list[float] = field(default_factory=list)
    failed: int = 0


def part_of(pid: int) -> str:
    """Which part a process is, by how it was started."""
    words = Path(f"/proc/{pid}/cmdline").read_text("utf-8", errors="replace").split("\0")
    if "postgres" in words[0]:
        return "database"
    line = " ".join(words)
    named = (
        part for part in ("broker", "intake", "work", "web", "up") if f" {part}" in line or f".{part}" in line
    )
    return next(named, "other")


def take(city: City, sample: Sample) -> None:
    """Read what each process holds: memory with its share of what is common, and open files."""
    for pid in descendants(city.platform.process.pid):
        try:
            part = part_of(pid)
            rollup = Path(f"/proc/{pid}/smaps_rollup").read_text("ascii")
            sample.mib[part] += int(rollup.split("Pss:")[1].split()[0]) / 1024
            sample.files[part] += len(list(Path(f"/proc/{pid}/fd").iterdir()))
        except (OSError, IndexError):  # it has ended
            continue


def weight_mib(folder: Path) -> float:
    """What the files of a folder weigh; one that goes while we look weighs nothing."""
    total = 0
    for path in folder.rglob("*"):
        with suppress(OSError):
            total += path.stat().st_size if path.is_file() else 0
    return total / 2**20


def use(door: Door, sample: Sample, number: int) -> None:
    """One round of a machine: write a lamp, read it, list lamps, ask how the platform is."""
    lamp = f"/ngsi-ld/v1/entities/urn:ngsi-ld:Lamp:soak-{number % 100}"
    level = {"level": {"type": "Property", "value": number}}
    rounds: list[tuple[str, str, object]] = [
        ("POST", "/ngsi-ld/v1/entities", {"id": lamp.rsplit("/", 1)[1], "type": "Lamp", **level}),
        ("PATCH", f"{lamp}/attrs", level),
        ("GET", lamp, None),
        ("GET", "/ngsi-ld/v1/entities?type=Lamp&limit=20", None),
        ("GET", "/readyz", None),
    ]
    if number >= 100:
        del rounds[0]
    for method, path, body in rounds:
        began = time.monotonic()
        try:
            status, _ = door.ask(method, path, body)
        except (OSError, HTTPException):
            status = 0
        sample.milliseconds.append((time.monotonic() - began) * 1000)
        sample.failed += not 200 <= status < 300


def grown(samples: list[Sample]) -> list[str]:
    """What still grew at the end: the last third of the samples against the middle one."""
    third = len(samples) // 3
    if third < 3:
        return []
    found = []
    for part in samples[-1].mib:
        before = statistics.median(one.mib[part] for one in samples[third : 2 * third])
        after = statistics.median(one.mib[part] for one in samples[2 * third :])
        if after > before * GROWN_BY and after > before + GROWN_BY_MIB:
            found.append(f"{part}: {before:.0f} MiB became {after:.0f}")
        files_before = statistics.median(one.files[part] for one in samples[third : 2 * third])
        files_after = statistics.median(one.files[part] for one in samples[2 * third :])
        if files_after > files_before * GROWN_BY and files_after > files_before + 10:
            found.append(f"{part}: {files_before:.0f} open files became {files_after:.0f}")
    return found


async def soak(city: City, hours: float, every_s: float) -> tuple[list[Sample], list[MqttLoad]]:
    """Load it for that long, and print a line a sample."""
    loads = [MqttLoad(city.mqtt_url, name=f"soak{group}") for group in range(GROUPS_OF_STATIONS)]
    for load in loads:
        load.pace_s = PACE_S
        load.start()
    door = Door(city.port, city.token)
    samples: list[Sample] = []
    began = time.monotonic()
    number = 0
    while time.monotonic() - began < hours * 3600:
        sample, until = Sample(), time.monotonic() + every_s
        while time.monotonic() < until:
            await asyncio.to_thread(use, door, sample, number)
            number += 1
            await asyncio.sleep(0.1)
        take(city, sample)
        samples.append(sample)
        memory = ", ".join(f"{part} {mib:.0f}" for part, mib in sorted(sample.mib.items()))
        p50, p99 = (percentile(sample.milliseconds, percent) for percent in (50, 99))
        failed = f"failed {sample.failed} of {len(sample.milliseconds)}"
        said = [
            f"{(time.monotonic() - began) / 60:5.1f} min",
            f"MiB: {memory}",
            f"files {sum(sample.files.values())}",
            f"answers p50 {p50:.0f} ms, p99 {p99:.0f} ms, {failed}",
            f"database {weight_mib(place_of(city.platform.home).data):.0f} MiB",
            f"readings sent {sum(load.sent for load in loads)}",
        ]
        print("; ".join(said), flush=True)
    door.close()
    for load in loads:
        load.end()
    return samples, loads


async def main(home: Path, hours: float, every_s: float) -> int:
    """Run it; 0 when nothing grew, failed or was lost."""
    async with running(home) as city:
        samples, loads = await soak(city, hours, every_s)
        for load in loads:
            await all_is_there(city, [], load, within_s=120)
        print(f"{sum(len(load.kept) for load in loads)} acknowledged readings: all there")
    troubles = grown(samples)
    if failed := sum(sample.failed for sample in samples):
        troubles.append(f"{failed} answers failed")
    print("\n".join(troubles) or "nothing grew, nothing failed, nothing was lost")
    return 1 if troubles else 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--hours", type=float, default=1.0)
    parser.add_argument("--every", type=float, default=60.0, help="seconds between samples")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="hd-soak-", dir="/tmp") as folder:
        # As root the database runs as another user, who must be able to enter.
        Path(folder).chmod(0o755)
        sys.exit(asyncio.run(main(Path(folder) / "home", chosen.hours, chosen.every)))
