"""What was made from units is kept while their edition lasts: drawings, trees, documents.

The edition changes with every change of units and every release of facts (`places.service.edition`), in
the transaction that changes them. Who asks reads the edition before the units: what is kept under an
edition may be newer than it, never older.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, TypeVar
from uuid import UUID

Made = TypeVar("Made")


class KeptByEdition(Generic[Made]):
    """At most so many things made from an edition; those that nobody asked for the longest go first.

    Who asks while a thing is being made waits for it. What could not be made is not kept.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._kept: OrderedDict[Hashable, Made] = OrderedDict()
        self._making: dict[Hashable, asyncio.Event] = {}

    async def get(self, edition: UUID | None, key: Hashable, make: Callable[[], Awaitable[Made]]) -> Made:
        """What `make` makes, or made before from the same edition; before any edition nothing is kept."""
        if edition is None:
            return await make()
        wanted = (edition, key)
        while wanted not in self._kept:
            making = self._making.get(wanted)
            if making is None:
                return await self._make(wanted, make)
            await making.wait()
        self._kept.move_to_end(wanted)
        return self._kept[wanted]

    async def _make(self, wanted: Hashable, make: Callable[[], Awaitable[Made]]) -> Made:
        done = self._making[wanted] = asyncio.Event()
        try:
            made = await make()
        finally:
            del self._making[wanted]
            done.set()
        self._kept[wanted] = made
        while len(self._kept) > self._most:
            self._kept.popitem(last=False)
        return made
