"""Have ready what the first visitors ask for: a fresh process answers them like one that ran all day.

It asks its own application, as a visitor would, so that whatever a page keeps (outlines, trees, drawings,
names) is kept; templates are compiled before, in a thread. Nothing here is needed: who asks before it is done
waits for what is being made, and what cannot be made yet is made for who asks later.
"""

import asyncio
from collections.abc import Iterator, MutableMapping
from datetime import date
from typing import Any

from haidang.infra.telemetry import logger
from haidang.infra.templates import Templates
from haidang.infra.translations import LOCALES
from haidang.kernel.instants import VIETNAM
from haidang.web.shared.house import AsgiApplication, House

FIRST_PAGES = ("/", "/don-vi", "/ban-do", "/tra-cuu-don-vi?q=phuong+1")
"""What most people come for. Looking up any name brings all of them into memory: the longest, so the last."""

_COUNTRY_TILE = "5/25/14"
"""A tile with the south of the country: drawing one brings the outlines of all."""

_log = logger("web")


async def warm(application: AsgiApplication, house: House) -> None:
    """Ask for the pages and tiles that a first visitor may ask for, one after the other. Never raises."""
    try:
        await asyncio.to_thread(_compile, house.templates)
    except Exception as trouble:  # noqa: BLE001 - a template that is broken breaks its own page, not the start
        _log.error("template-broke", exc_info=trouble)
    for path in first_asked(house.clock.now().astimezone(VIETNAM).date()):
        status = await _ask(application, path)
        _log.debug("warmed", path=path, status=status)


def first_asked(today: date) -> Iterator[str]:
    """The addresses, those of a day with the day."""
    *pages, lookup = FIRST_PAGES
    yield from pages
    yield f"/tiles/units/{today.isoformat()}/{_COUNTRY_TILE}.mvt"
    yield lookup


def _compile(templates: Templates) -> None:
    """Compile every template in the first language: the longest that a first page would hold up others."""
    environment = templates.environment(LOCALES[0])
    for name in templates.names():
        environment.get_template(name)


async def _ask(application: AsgiApplication, path: str) -> int:
    """One request from inside, as a browser of this machine sends it; the status of its answer."""
    asked = False
    statuses: list[int] = []

    async def receive() -> MutableMapping[str, Any]:
        nonlocal asked
        if asked:
            return {"type": "http.disconnect"}
        asked = True
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            statuses.append(int(message["status"]))

    raw_path, _, query = path.partition("?")
    scope = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": raw_path,
        "raw_path": raw_path.encode(),
        "query_string": query.encode(),
        "root_path": "",
        "headers": [(b"host", b"127.0.0.1"), (b"accept", b"text/html,*/*"), (b"accept-encoding", b"br")],
        "client": ("127.0.0.1", 0),
        "server": ("127.0.0.1", 80),
        "extensions": {},
    }
    await application(scope, receive, send)
    return statuses[0] if statuses else 0
