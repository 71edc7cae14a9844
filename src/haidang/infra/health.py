"""Whether this process lives (`/healthz`) and whether it can do its work (`/readyz`): plain answers.

Each part names what it needs; a check says nothing when all is well and raises when it is not.
A process that is alive and not ready is left alone; one that is not alive is restarted.
"""

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable
from typing import TypeAlias

import msgspec

from haidang.infra.database import Pool, reading
from haidang.infra.migrations import read_migrations
from haidang.infra.telemetry import gauge, logger, measure_process
from haidang.kernel.errors import HaidangError, Unavailable
from haidang.kernel.instants import Clock, Instant

Check: TypeAlias = Callable[[], Awaitable[None]]

READY = gauge("ready", "1 where a part has what it needs.", ("part", "need"), over_processes="livemin")
_log = logger("infra")

_FRESH_S = 1.0  # however often it is asked, the database is not asked more than once a second


class CheckTookTooLong(Unavailable):
    """The check {name} gave no answer within {patience_s} seconds."""


class MigrationsOutstanding(Unavailable):
    """The database is not up to date: {outstanding} migrations are still to be applied."""


class ConsumersHeld(Unavailable):
    """{held} consumers of the event log are held; somebody has to look at them."""


class NotConnected(Unavailable):
    """{name} is not connected right now."""


class Health(msgspec.Struct, frozen=True, kw_only=True):
    """The process runs its loop: that it answered is the answer."""

    status: str = "alive"
    part: str
    version: str
    started_at: Instant


class CheckAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """One check: `trouble` is an error's code, never its text, because anyone may read it."""

    name: str
    ready: bool
    essential: bool
    trouble: str | None = None


class Readiness(msgspec.Struct, frozen=True, kw_only=True):
    """`status` is ready, degraded (something that is not essential fails) or not-ready."""

    status: str
    part: str
    checked_at: Instant
    checks: tuple[CheckAnswer, ...]

    @property
    def ready(self) -> bool:
        """Whether requests should be sent here."""
        return self.status != "not-ready"


class _Named(msgspec.Struct, frozen=True):
    name: str
    check: Check
    essential: bool
    patience_s: float


class HealthChecks:
    """What one process needs, by name; asked all at once, each with its own patience."""

    def __init__(self, part: str, version: str, clock: Clock) -> None:
        self._part = part
        self._version = version
        self._clock = clock
        self._started_at = clock.now()
        self._checks: list[_Named] = []
        self._latest: tuple[float, Readiness] | None = None
        self._asking = asyncio.Lock()
        self._stopping = False

    def need(self, name: str, check: Check, *, essential: bool = True, patience_s: float = 2.0) -> None:
        """Add a check; `essential=False` where the rest of the work goes on without it."""
        self._checks.append(_Named(name, check, essential, patience_s))

    def stop(self) -> None:
        """Say "not ready" from now on: the process is leaving and finishes what it has."""
        self._stopping = True
        self._latest = None

    def health(self) -> Health:
        """That the process is alive."""
        return Health(part=self._part, version=self._version, started_at=self._started_at)

    async def readiness(self) -> Readiness:
        """Ask every check, or answer from less than a second ago."""
        async with self._asking:
            if self._latest is not None and time.monotonic() - self._latest[0] < _FRESH_S:
                return self._latest[1]
            answers = await asyncio.gather(*(self._ask(one) for one in self._checks))
            if self._stopping:
                answers.append(CheckAnswer(name="running", ready=False, essential=True, trouble="stopping"))
            if any(not one.ready and one.essential for one in answers):
                status = "not-ready"
            else:
                status = "ready" if all(one.ready for one in answers) else "degraded"
            answer = Readiness(
                status=status, part=self._part, checked_at=self._clock.now(), checks=tuple(answers)
            )
            self._latest = (time.monotonic(), answer)
            return answer

    async def watch(self, stop: asyncio.Event, *, every_s: float = 10.0, first_after_s: float = 2.0) -> None:
        """Until `stop`: say in the figures what this process has and uses, and in the log when that changes.

        For parts that nobody can ask: a worker has no `/readyz`, but its figures are on any page.
        """
        before: dict[str, str | None] = {}
        measure_process(self._part)
        await _pause(stop, first_after_s)  # to connect first
        while not stop.is_set():
            answer = await self.readiness()
            for one in answer.checks:
                READY.labels(self._part, one.name).set(one.ready)
                if one.trouble != before.get(one.name):
                    say = _log.info if one.ready else _log.warning
                    say("need-met" if one.ready else "need-unmet", need=one.name, trouble=one.trouble)
                before[one.name] = one.trouble
            measure_process(self._part)
            await _pause(stop, every_s)

    async def _ask(self, one: _Named) -> CheckAnswer:
        trouble: str | None = None
        try:
            async with asyncio.timeout(one.patience_s):
                await one.check()
        except TimeoutError:
            trouble = CheckTookTooLong.code()
        except HaidangError as error:
            trouble = error.code()
        except Exception as error:  # noqa: BLE001 - whatever a check stumbles over, it is not ready
            trouble = type(error).__name__
        return CheckAnswer(name=one.name, ready=trouble is None, essential=one.essential, trouble=trouble)


async def _pause(stop: asyncio.Event, longest_s: float) -> None:
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(stop.wait(), longest_s)


def database_reachable(pool: Pool) -> Check:
    """The database answers a query."""

    async def check() -> None:
        async with reading(pool) as connection:
            await connection.fetchval("SELECT 1")

    return check


def migrations_current(pool: Pool) -> Check:
    """Every `pre` migration of this code has been applied."""
    wanted = {one.number for one in read_migrations() if one.phase == "pre"}

    async def check() -> None:
        async with reading(pool) as connection:
            applied = {row["number"] for row in await connection.fetch("SELECT number FROM infra.migration")}
        if wanted - applied:
            raise MigrationsOutstanding(outstanding=len(wanted - applied))

    return check


def consumers_going(pool: Pool) -> Check:
    """No consumer of the event log is held."""

    async def check() -> None:
        async with reading(pool) as connection:
            held = await connection.fetchval(
                "SELECT count(*) FROM infra.event_consumer WHERE held_at IS NOT NULL"
            )
        if held:
            raise ConsumersHeld(held=held)

    return check


def connected(name: str, probe: Callable[[], bool]) -> Check:
    """Something that knows by itself whether it is connected, such as the intake to its broker."""

    async def check() -> None:
        if not probe():
            raise NotConnected(name=name)

    return check
