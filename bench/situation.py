"""The situation map with 10,000 things: how soon it can be used, and how long its frames take.

    python bench/situation.py [--things 10000] [--seconds 8]

A province of its own is served with so many air stations (made up, and said to be), and looked at in headless
Chromium of 1920 × 1080 that draws with a software renderer (SwiftShader): what a graphics card does in a
millisecond takes a processor many. What compares is one representation with another on the same machine.

A page counts as usable at the end of its last long task (50 ms) before two quiet seconds; the live map
when it is open as well and every mark has come. Frames are those of the browser while the map is dragged
and while it is zoomed.
"""

import argparse
import asyncio
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

import machine  # noqa: E402  (after the path)
import numpy as np  # noqa: E402  (after the path)
from measure import percentile, table  # noqa: E402  (after the path)
from playwright.async_api import Page  # noqa: E402  (after the path)
from tests.absent import chromium  # noqa: E402  (after the path)
from tests.journeys.browser import DESK, browser, served  # noqa: E402  (after the path)
from tests.web.houses import house_on  # noqa: E402  (after the path)
from tests.web.stations import instance  # noqa: E402  (after the path)

from haidang.context.model import MergeObservations  # noqa: E402  (after the path)
from haidang.context.writer import apply_commands  # noqa: E402  (after the path)
from haidang.infra.database import Pool, open_pool, transaction  # noqa: E402  (after the path)
from haidang.infra.embedded import TemporaryCluster  # noqa: E402  (after the path)
from haidang.infra.migrations import migrate  # noqa: E402  (after the path)
from haidang.infra.province import change_province_setting  # noqa: E402  (after the path)
from haidang.infra.settings import read_settings  # noqa: E402  (after the path)
from haidang.infra.telemetry import configure_logging  # noqa: E402  (after the path)
from haidang.infra.translations import Translations  # noqa: E402  (after the path)
from haidang.kernel.actors import part  # noqa: E402  (after the path)
from haidang.kernel.instants import SystemClock  # noqa: E402  (after the path)
from haidang.packs.environment.air import AIR_QUALITY_OBSERVED  # noqa: E402  (after the path)
from haidang.places.loading import load_facts  # noqa: E402  (after the path)
from haidang.web.shared.marks import MOST_MARKS  # noqa: E402  (after the path)

CLOCK = SystemClock()
AT_ONCE = 1_000
QUIET_MS = 2_000
PATIENCE_MS = 40_000
WATCH = """
window.tasks = [];
const noted = list => list.getEntries().forEach(one => window.tasks.push([one.startTime, one.duration]));
new PerformanceObserver(noted).observe({ type: "longtask", buffered: true });
window.lastTask = () => Math.max(0, ...window.tasks.map(([start, took]) => start + took));
"""
QUIET = f"() => performance.now() - window.lastTask() > {QUIET_MS}"
USABLE = "Math.max(performance.getEntriesByName('first-contentful-paint')[0].startTime, window.lastTask())"
MARKS_CAME = "() => performance.getEntriesByType('resource').some(one => one.name.includes('marks.json'))"
FRAMES = """
window.frames_ms = []; window.counting = true;
let before = performance.now();
const count = now => {
  window.frames_ms.push(now - before); before = now;
  if (window.counting) requestAnimationFrame(count);
};
requestAnimationFrame(count);
"""


async def write(pool: Pool, things: int) -> None:
    """Say the air of some stations, made up."""
    now, chance = CLOCK.now(), np.random.default_rng(7)
    west, south = chance.uniform(107.2, 109.2, things), chance.uniform(10.7, 12.6, things)
    for start in range(0, things, AT_ONCE):
        commands = [
            MergeObservations(
                entity_id=f"urn:ngsi-ld:AirQualityObserved:bench-{number}",
                type_iri=AIR_QUALITY_OBSERVED.iri,
                attributes=(
                    instance("name", f"Trạm {number}", None),
                    instance("source", "synthetic", None),
                    instance(
                        "location", {"type": "Point", "coordinates": [west[number], south[number]]}, None
                    ),
                    instance("airQualityIndex", number * 37 % 320 + 1, now),
                ),
            )
            for number in range(start, min(start + AT_ONCE, things))
        ]
        async with transaction(pool) as connection:
            await apply_commands(connection, part("bench"), commands, now=now)


@asynccontextmanager
async def province(things: int) -> AsyncIterator[str]:
    """A served province with so many stations; its address."""
    settings = read_settings({"HAIDANG_HOME": tempfile.gettempdir(), "HAIDANG_LOG_LEVEL": "error"})
    configure_logging(settings, "bench")
    with TemporaryCluster() as cluster:
        pool = await open_pool(cluster.dsn())
        try:
            async with transaction(pool) as connection:
                await migrate(connection)
                await load_facts(part("bench"), connection)
                await change_province_setting(part("bench"), connection, "name", "Lâm Đồng", now=CLOCK.now())
            await write(pool, things)
            async with served(house_on(pool, CLOCK, Translations.load(), settings)) as address:
                yield address
        finally:
            await pool.close()


async def frames(page: Page, seconds: float, *, zooming: bool) -> list[float]:
    """How long each frame took while the map was dragged, or zoomed, to and fro."""
    box = await page.locator(".maplibregl-canvas").bounding_box()
    if box is None:
        raise SystemExit("the live map is not there")
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    await page.mouse.move(x, y)
    if zooming:
        await page.keyboard.down("Control")
    else:
        await page.mouse.down()
    await page.evaluate(FRAMES)
    begun, step = CLOCK.now(), 0
    while (CLOCK.now() - begun).total_seconds() < seconds:
        step += 1
        forth = step // 12 % 2 == 0
        if zooming:
            await page.mouse.wheel(0, -60 if forth else 60)
        else:
            await page.mouse.move(x + (step % 12 if forth else 12 - step % 12) * 18, y)
    taken: list[float] = await page.evaluate("window.counting = false, window.frames_ms.slice(1)")
    if zooming:
        await page.keyboard.up("Control")
    else:
        await page.mouse.up()
    return taken


async def look(address: str, things: int, seconds: float) -> None:
    """Open it, move it; the table."""
    rows: list[tuple[object, ...]] = []
    async with browser() as chrome:
        context = await chrome.new_context(viewport=DESK)
        page = await context.new_page()
        page.set_default_timeout(PATIENCE_MS)
        await page.add_init_script(WATCH)
        await page.goto(f"{address}/ioc?layers=some")
        await page.wait_for_function(QUIET)
        rows.append(("/ioc without a layer, usable", await page.evaluate(USABLE) / 1000, "–", "–", "–"))
        await page.goto(f"{address}/ioc?layers=some&layer=air-quality")
        await page.wait_for_selector(".is-live")
        open_ms = await page.evaluate("performance.now()")
        rows.append(("live map open", open_ms / 1000, "–", "–", "–"))
        if things <= MOST_MARKS:
            await page.wait_for_function(MARKS_CAME)
        await page.wait_for_function(QUIET)
        usable_ms = max(open_ms, await page.evaluate(USABLE))
        rows.append((f"live map with {things:,} marks, usable", usable_ms / 1000, "–", "–", "–"))
        for name, zooming in (("dragged", False), ("zoomed", True)):
            taken = await frames(page, seconds, zooming=zooming)
            spread = [percentile(taken, one) for one in (50, 99)]
            rows.append((f"frames while it is {name}", "–", len(taken), *spread))
        print(f"Chromium {chrome.version}, software GL")
    table(("what", "s", "n", "p50 ms", "p99 ms"), rows)


async def main() -> int:
    """Fill, look, say."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--things", type=int, default=10_000)
    parser.add_argument("--seconds", type=float, default=8)
    asked = parser.parse_args()
    if chromium() is None:
        print("not measured: no Chromium on this machine")
        return 0
    machine.main()
    async with province(asked.things) as address:
        await look(address, asked.things, asked.seconds)
    return 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
