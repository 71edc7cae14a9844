"""Which alarms a page of the list shows, and where the next page begins.

An alarm is the cursor: pages stay right while alarms come and go, and when a hundred are raised in one
moment, because whoever shares the cursor's moment is asked for again and told apart by id.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from haidang.infra.database import Connection
from haidang.kernel.actors import Actor
from haidang.kernel.instants import Instant
from haidang.rules import service
from haidang.rules.model import GRAVEST_FIRST, Alarm
from haidang.sdk.model import Severity

PAGE = 50
_BATCH = 100
_TICK = timedelta(microseconds=1)

Read = Callable[[Instant | None, int], Awaitable[list[Alarm]]]


class View(StrEnum):
    """The parts of the list: each is a tab."""

    OPEN = "open"
    UNACKNOWLEDGED = "unacknowledged"
    SHELVED = "shelved"
    CLEARED = "cleared"


@dataclass(frozen=True, slots=True)
class Asked:
    """What of the list somebody wants to see."""

    view: View = View.OPEN
    severity: Severity | None = None
    rule_id: str | None = None

    def shows(self, alarm: Alarm, now: Instant) -> bool:
        """Whether an alarm belongs into the tab."""
        aside = alarm.shelved_until is not None and alarm.shelved_until > now
        match self.view:
            case View.SHELVED:
                return aside
            case View.UNACKNOWLEDGED:
                return not aside and alarm.acknowledged_at is None
            case _:
                return True


@dataclass(frozen=True, slots=True)
class Listed:
    """One page: its alarms in order, and the id that the next page begins after, or none."""

    alarms: list[Alarm]
    after: str


async def list_alarms(
    actor: Actor,
    connection: Connection,
    asked: Asked,
    *,
    now: Instant,
    after: Alarm | None = None,
    most: int = PAGE,
) -> Listed:
    """A page of the list: open alarms gravest first and then newest, cleared ones newest first."""
    state = "cleared" if asked.view is View.CLEARED else "open"
    found: list[Alarm] = []
    for severity in _severities(asked, after):

        async def read(
            before: Instant | None, batch: int, severity: Severity | None = severity
        ) -> list[Alarm]:
            return await service.alarms(
                actor,
                connection,
                now=now,
                state=state,
                severity=severity,
                rule_id=asked.rule_id,
                shelved=asked.view is View.SHELVED,
                before=before,
                most=batch,
            )

        begins = after if after is not None and severity in {None, asked.severity, after.severity} else None
        async for one in in_order(read, begins):
            if asked.shows(one, now):
                found.append(one)
            if len(found) > most:
                return Listed(found[:most], found[most - 1].alarm_id)
    return Listed(found, "")


async def in_order(read: Read, after: Alarm | None) -> AsyncIterator[Alarm]:
    """Every alarm behind one, newest first, each once, in as many batches as it takes."""
    seen: set[str] = set()
    before = None if after is None else after.raised_at + _TICK
    batch = _BATCH
    while True:
        alarms = await read(before, batch)
        whole = len(alarms) < batch or batch == service.MOST_AT_ONCE
        ids = [one.alarm_id for one in alarms]
        first = ids.index(after.alarm_id) + 1 if after is not None and after.alarm_id in ids else 0
        fresh = [one for one in alarms[first:] if one.alarm_id not in seen]
        one_moment = bool(alarms) and alarms[0].raised_at == alarms[-1].raised_at
        if one_moment and not whole:  # more of one moment than a batch holds
            batch = min(batch * 2, service.MOST_AT_ONCE)
            continue
        for one in fresh:
            seen.add(one.alarm_id)
            yield one
        if len(alarms) < batch or not fresh:
            return
        after, before = None, alarms[-1].raised_at + _TICK


def _severities(asked: Asked, after: Alarm | None) -> tuple[Severity | None, ...]:
    """What is asked for one after the other: by severity where the gravest come first."""
    if asked.severity is not None or asked.view is View.CLEARED:
        return (asked.severity,)
    return GRAVEST_FIRST if after is None else GRAVEST_FIRST[GRAVEST_FIRST.index(after.severity) :]
