"""What a citizen's pages cost on the wire: every byte that Chromium receives, with an empty cache.

    python bench/page_weight.py [--address http://127.0.0.1:8000]

Without an address a province of ten stations is served from a database of its own. A promise of
at most 150 kB with two font weights is kept by `tests/journeys`; this shows where the bytes go.
"""

import argparse
import asyncio
import sys
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from tests.absent import chromium  # noqa: E402  (after the path)
from tests.journeys.browser import PHONE, Weight, browser, served, weigh  # noqa: E402  (after the path)
from tests.web.houses import house_on  # noqa: E402  (after the path)
from tests.web.stations import FIVE, write_stations  # noqa: E402  (after the path)

from haidang.context.facts import load_facts  # noqa: E402  (after the path)
from haidang.infra.database import open_pool, transaction  # noqa: E402 (after the line that finds tests)
from haidang.infra.embedded import TemporaryCluster  # noqa: E402  (after the path)
from haidang.infra.migrations import migrate  # noqa: E402  (after the path)
from haidang.infra.province import change_province_setting  # noqa: E402  (after the path)
from haidang.infra.settings import read_settings  # noqa: E402  (after the path)
from haidang.infra.telemetry import configure_logging  # noqa: E402  (after the path)
from haidang.infra.templates import Templates  # noqa: E402  (after the path)
from haidang.infra.translations import Translations  # noqa: E402  (after the path)
from haidang.kernel.actors import part  # noqa: E402  (after the path)
from haidang.kernel.instants import SystemClock  # noqa: E402  (after the path)
from haidang.places.loading import load_facts as load_places  # noqa: E402  (after the path)
from haidang.sdk.loading import installed_packs, pack_folder  # noqa: E402  (after the path)

PAGES = (
    "/",
    "/khong-khi",
    "/khong-khi/tram/phu-thuy",
    "/khong-khi/cach-tinh",
    "/en/khong-khi",
    "/tim?q=phan+thiet",
    "/tra-cuu-don-vi",
    "/tra-cuu-don-vi?q=phuong+binh+hung+phan+thiet",
    "/don-vi",
    "/ban-do",
    "/benh-vien",
)
KINDS = ("Document", "Stylesheet", "Font", "Script", "Other")
BUDGET = 150_000


@asynccontextmanager
async def province() -> AsyncIterator[str]:
    """A served province with ten stations, every unit of the country and the facts of packs; its address."""
    settings = read_settings({"HAIDANG_HOME": tempfile.gettempdir(), "HAIDANG_LOG_LEVEL": "error"})
    configure_logging(settings, "bench")
    clock = SystemClock()
    with TemporaryCluster() as cluster:
        pool = await open_pool(cluster.dsn())
        try:
            async with transaction(pool) as connection:
                await migrate(connection)
                await load_places(part("bench"), connection)
                packs = installed_packs()
                await load_facts(part("bench"), connection, packs, now=clock.now())
                await change_province_setting(part("bench"), connection, "name", "Lâm Đồng", now=clock.now())
            stations = [*FIVE, *(replace(one, slug=f"{one.slug}-2", name=f"{one.name} 2") for one in FIVE)]
            await write_stations(pool, stations, clock.now(), hours=24, days=30)
            house = house_on(pool, clock, Translations.load(), settings)
            folders = {pack.pack_id: pack_folder(pack.pack_id) for pack in packs}
            templates = Templates(house.translations, packs=folders)
            async with served(replace(house, packs=packs, templates=templates)) as address:
                yield address
        finally:
            await pool.close()


async def weights(address: str) -> list[tuple[str, Weight]]:
    """Each page, weighed with a cache of its own."""
    found = []
    async with browser() as chrome:
        for path in PAGES:
            # The shell fetches what the next visit needs, after the page: that is not the page's weight.
            context = await chrome.new_context(viewport=PHONE, service_workers="block")
            found.append((path, await weigh(await context.new_page(), address + path)))
            await context.close()
    return found


def show(found: Sequence[tuple[str, Weight]]) -> None:
    """One line a page, in bytes with headers."""
    print(f"{'page':<48}" + "".join(f"{kind:>12}" for kind in (*KINDS, "total")))
    for path, weight in found:
        other = sum(size for kind, size in weight.by_kind.items() if kind not in KINDS[:-1])
        sizes = [*(weight.by_kind.get(kind, 0) for kind in KINDS[:-1]), other, weight.total]
        mark = "" if weight.total <= BUDGET else "  over 150 kB"
        print(f"{path:<48}" + "".join(f"{size:>12,}" for size in sizes) + mark)


async def main() -> int:
    """Weigh, and say so."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--address", help="a platform that runs already")
    chosen = parser.parse_args()
    if chromium() is None:
        print("not measured: no Chromium on this machine")
        return 0
    if chosen.address:
        show(await weights(str(chosen.address).rstrip("/")))
    else:
        async with province() as address:
            show(await weights(address))
    return 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
