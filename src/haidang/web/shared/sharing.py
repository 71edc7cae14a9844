"""A public page is made once for everybody who asks within a few seconds.

On the day of a storm a province's people ask for the same page at the same time. What is shared
is made for nobody in particular: the anonymous actor, the province's own tenant.
"""

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from datetime import timedelta

from haidang.kernel.instants import Clock, Instant
from haidang.web.shared.answers import Whole

SHARED_FOR = timedelta(seconds=5)
"""The most by which a page may be older than the database."""

_MOST = 512


class SharedPages:
    """Pages that were made a moment ago, and those that are being made just now.

    Who asks while a page is being made waits for that one. A page that could not be made is not
    kept: each who waited hears why, and the next one tries anew.
    """

    def __init__(self, clock: Clock, *, shared_for: timedelta = SHARED_FOR) -> None:
        self._clock = clock
        self._shared_for = shared_for
        self._made: dict[Hashable, tuple[Instant, Whole]] = {}
        self._making: dict[Hashable, asyncio.Task[Whole]] = {}

    async def get(self, key: Hashable, make: Callable[[], Awaitable[Whole]]) -> Whole:
        """The page of that key, made by `make` unless there is a young one."""
        known = self._made.get(key)
        if known is not None and timedelta() <= self._clock.now() - known[0] < self._shared_for:
            return known[1]
        making = self._making.get(key)
        if making is None:
            making = asyncio.create_task(self._make(key, make))
            self._making[key] = making
            making.add_done_callback(lambda done: self._forget(key, done))
        return await asyncio.shield(making)

    async def _make(self, key: Hashable, make: Callable[[], Awaitable[Whole]]) -> Whole:
        begun = self._clock.now()  # the page is as old as its oldest figure
        whole = await make()
        if len(self._made) >= _MOST:
            self._made.clear()
        self._made[key] = (begun, whole)
        return whole

    def _forget(self, key: Hashable, done: asyncio.Task[Whole]) -> None:
        self._making.pop(key, None)
        if not done.cancelled():
            done.exception()  # heard by those who wait; when all have hung up, by nobody
