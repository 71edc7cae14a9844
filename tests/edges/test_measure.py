"""The benches' own ruler: percentiles, processor time of other processes, tables."""

import asyncio
import importlib.util
import math
import subprocess
import sys
import time
from pathlib import Path
from types import ModuleType

import pytest

BENCH = Path(__file__).parents[2] / "bench" / "measure.py"


@pytest.fixture(scope="module")
def measure() -> ModuleType:
    """The module, from its file: the benches' folder is on nobody's path."""
    spec = importlib.util.spec_from_file_location("measure_of_benches", BENCH)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def test_percentiles_are_values_that_were_measured(measure: ModuleType) -> None:
    values = [float(n) for n in range(100, 0, -1)]
    assert [measure.percentile(values, percent) for percent in (0, 1, 50, 95, 99, 100)] == [
        1,
        1,
        50,
        95,
        99,
        100,
    ]
    assert measure.percentile([7.0], 50) == 7.0
    assert math.isnan(measure.percentile([], 50))
    assert measure.spread_of(values).worst == 100


def test_processor_time_of_a_process_and_those_under_it(measure: ModuleType) -> None:
    burning = "x = 0\nfor n in range(30_000_000): x += n"
    shell = subprocess.Popen(
        [sys.executable, "-c", f"import subprocess, sys\nsubprocess.run([sys.executable, '-c', {burning!r}])"]
    )
    deadline = time.monotonic() + 20
    try:
        while measure.cpu_seconds(shell.pid) < 0.3:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        with measure.use({"child": shell.pid}) as used:
            time.sleep(0.3)
        assert used.seconds >= 0.3
        assert used.cpu["us"] < 0.2
        assert used.micros_each("child", 10) == pytest.approx(used.cpu["child"] * 1e5)
    finally:
        for pid in reversed(measure.descendants(shell.pid)):
            subprocess.run(["/bin/kill", "-9", str(pid)], check=False)
        shell.wait()


async def test_a_load_is_carried_out_so_many_times_so_many_at_once(measure: ModuleType) -> None:
    seen: list[int] = []
    now, most = 0, 0

    async def act(number: int) -> None:
        nonlocal now, most
        now += 1
        most = max(most, now)
        await asyncio.sleep(0.001)
        now -= 1
        seen.append(number)

    took = await measure.drive(act, operations=50, at_once=7)
    assert sorted(seen) == list(range(50))
    assert most == 7
    assert len(took) == 50
    assert min(took) >= 0.001


def test_a_call_takes_its_time(measure: ModuleType) -> None:
    assert measure.micros_of(lambda: sum(range(10_000)), times=20) > 10 * measure.micros_of(
        lambda: None, times=20
    )


def test_a_table_lines_up(measure: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    measure.table(("what", "µs"), [("one", 12345.678), ("two", 1.234), ("three", 7), ("four", math.nan)])
    assert capsys.readouterr().out.splitlines() == [
        "what       µs",
        "-----  ------",
        "one    12,346",
        "two      1.23",
        "three       7",
        "four        –",
    ]
