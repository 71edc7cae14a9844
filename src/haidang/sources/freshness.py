"""The watch over silence: marks sources and entities late by their rhythm, and tells it once."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta

import structlog

from haidang.infra.database import Pool, transaction
from haidang.infra.failures import a_retry_helps, reason_of
from haidang.kernel.actors import Actor, part
from haidang.kernel.instants import Clock, Instant
from haidang.sources.model import DeclaredSource
from haidang.sources.service import forget_old_quarantine, mark_late_sources

log = structlog.get_logger(__name__)

_FORGET_EVERY = timedelta(hours=1)


class FreshnessWatch:
    """Looks every few seconds who has fallen silent. Several may run: each change is told once.

    A loop and not a scheduled job, because it must know since when it has been able to hear:
    after a restart nobody is called late for our own absence. See ADR 0030.
    """

    def __init__(
        self,
        pool: Pool,
        clock: Clock,
        declared: Sequence[DeclaredSource],
        *,
        actor: Actor | None = None,
        every_s: float = 15.0,
    ) -> None:
        self._pool = pool
        self._clock = clock
        self._declared = tuple(declared)
        self._actor = actor or part("sources")
        self._every_s = every_s
        self._forgot_at: Instant | None = None

    async def run(self, stop: asyncio.Event) -> None:
        """Watch until told to stop."""
        watching_since = self._clock.now()
        while not stop.is_set():
            try:
                await self.look(watching_since)
            except Exception as error:
                if not a_retry_helps(error):
                    raise
                log.warning("watch waits", reason=reason_of(error))
            try:
                async with asyncio.timeout(self._every_s):
                    await stop.wait()
            except TimeoutError:
                continue

    async def look(self, watching_since: Instant) -> None:
        """Look once; now and then also drop what the quarantine has kept long enough."""
        now = self._clock.now()
        async with transaction(self._pool) as connection:
            late = await mark_late_sources(
                self._actor, connection, self._declared, now=now, watching_since=watching_since
            )
        for one in late:
            log.warning("source late", source=one.source_id, subject=one.subject)
        if self._forgot_at is None or now - self._forgot_at >= _FORGET_EVERY:
            async with transaction(self._pool) as connection:
                await forget_old_quarantine(self._actor, connection, now=now)
            self._forgot_at = now
