"""A browser and a served house for journeys: Chromium of the system, a free port, real requests."""

import asyncio
import os
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace

import msgspec
from playwright.async_api import Browser, Page, Request, ViewportSize, async_playwright

from haidang.infra.serving import serve_application
from haidang.web.asgi import build_application
from haidang.web.shared.house import House
from tests.absent import chromium

FLAGS = (
    "--no-sandbox",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader",
)
PHONE: ViewportSize = {"width": 390, "height": 844}
DESK: ViewportSize = {"width": 1920, "height": 1080}


@asynccontextmanager
async def served(house: House, port: int = 0) -> AsyncIterator[str]:
    """Serve the house on a port of loopback, a free one by default; its address."""
    with socket.socket() as listening:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(("127.0.0.1", port))
        listening.listen()
        listening.setblocking(False)
        port = listening.getsockname()[1]
        settings = msgspec.structs.replace(house.settings, listen_fd=os.dup(listening.fileno()))
        stop = asyncio.Event()
        serving = asyncio.create_task(
            serve_application(
                build_application(replace(house, settings=settings, stopping=stop)), settings, stop
            )
        )
        try:
            yield f"http://127.0.0.1:{port}"
        finally:
            stop.set()
            await serving


@asynccontextmanager
async def browser() -> AsyncIterator[Browser]:
    """The system's Chromium, without a sandbox of its own (CI runs as root)."""
    async with async_playwright() as playwright:
        started = await playwright.chromium.launch(executable_path=chromium(), args=list(FLAGS))
        try:
            yield started
        finally:
            await started.close()


async def open_details(page: Page, which: str = "details") -> None:
    """Open everything that is folded away; `which` is the selector of what to open."""
    await page.evaluate(
        "which => document.querySelectorAll(which).forEach(one => { one.open = true })", which
    )


async def grave_findings(page: Page, axe: str) -> list[tuple[str, str, list[str]]]:
    """What axe finds serious or critical: the rule, how grave, the first elements."""
    await page.evaluate(axe)
    found = await page.evaluate("axe.run(document, {resultTypes: ['violations']})")
    return [
        (one["id"], one["impact"], [node["html"][:200] for node in one["nodes"]][:3])
        for one in found["violations"]
        if one["impact"] in {"serious", "critical"}
    ]


async def page_width(page: Page) -> int:
    """How wide the page is, with what runs off the screen."""
    return int(await page.evaluate("document.documentElement.scrollWidth"))


def complaints_of(page: Page, address: str) -> list[str]:
    """What the page will complain of, and ask of others than its own house: filled as it comes."""
    complaints: list[str] = []

    def asked(request: Request) -> None:
        if not request.url.startswith((address, f"blob:{address}", "data:")):
            complaints.append(request.url)

    page.on("console", lambda one: complaints.append(one.text) if one.type in {"error", "warning"} else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("request", asked)
    return complaints


@dataclass(slots=True)
class Weight:
    """What a page cost on the wire, by kind of resource, in bytes with headers."""

    by_kind: dict[str, int]

    @property
    def total(self) -> int:
        """All of it."""
        return sum(self.by_kind.values())


async def weigh(page: Page, address: str) -> Weight:
    """Load a page with an empty cache and count every byte that Chromium received for it."""
    session = await page.context.new_cdp_session(page)
    await session.send("Network.enable")
    await session.send("Network.setCacheDisabled", {"cacheDisabled": True})
    kinds: dict[str, str] = {}
    weight = Weight({})

    def kind(event: dict[str, object]) -> None:
        kinds[str(event["requestId"])] = str(event.get("type", "Other"))

    def finished(event: dict[str, object]) -> None:
        name = kinds.get(str(event["requestId"]), "Other")
        weight.by_kind[name] = weight.by_kind.get(name, 0) + int(float(str(event["encodedDataLength"])))

    session.on("Network.requestWillBeSent", kind)
    session.on("Network.loadingFinished", finished)
    await page.goto(address, wait_until="networkidle")
    await session.detach()
    return weight
