"""What the web needs of the house; the composition root gives it."""

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from haidang.infra.database import Pool
from haidang.infra.health import HealthChecks
from haidang.infra.settings import Settings
from haidang.infra.templates import Templates
from haidang.infra.translations import Translations
from haidang.kernel.instants import Clock
from haidang.sdk.model import Pack

Scope: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send: TypeAlias = Callable[[MutableMapping[str, Any]], Awaitable[None]]
AsgiApplication: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class House:
    """The parts that pages and faces are made from.

    `ngsi_ld` is the raw application of `/ngsi-ld/`; `lifespan` is entered while the server runs,
    for what has to be opened in its loop and closed with it; `stopping` is set when it is told to stop,
    while requests are still under way.
    """

    settings: Settings
    clock: Clock
    packs: Sequence[Pack]
    translations: Translations
    templates: Templates
    pool: Pool
    health: HealthChecks
    ngsi_ld: AsgiApplication
    lifespan: Callable[[], AbstractAsyncContextManager[None]] = nullcontext
    stopping: asyncio.Event = field(default_factory=asyncio.Event)
