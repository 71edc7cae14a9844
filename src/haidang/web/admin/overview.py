"""What an administrator can see already, and only see: health, sources, changes of units to come."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from haidang.infra.database import reading
from haidang.infra.health import CheckAnswer
from haidang.kernel.errors import Unavailable
from haidang.kernel.instants import Instant
from haidang.places.changes import ChangeState
from haidang.places.changing import changes
from haidang.sources.model import DeclaredSource, Freshness, declared_sources
from haidang.sources.service import list_freshness
from haidang.web.admin.first_steps import STEP_TITLES, FirstSteps, first_steps
from haidang.web.shared.audiences import actor_of
from haidang.web.shared.frame import locale_of
from haidang.web.shared.house import House, Scope
from haidang.web.shared.rooms import ROOM_TITLES, RoomPage

CHECK_LABELS = {
    "database": "Database",
    "migrations": "Migrations",
    "consumers": "Consumers",
    "broker": "Broker",
}
"""What the checks of the web part are called: message ids; another one shows its own name."""


@dataclass(frozen=True, slots=True)
class SourceRow:
    """A declared source and when it was last heard; `last` is None for one that never spoke."""

    label: str
    last: Instant | None
    late_since: Instant | None
    entities: int


def overview_page(house: House) -> RoomPage:
    """First steps while there are any, health, freshness of sources, changes of units to come: one page."""
    declared = declared_sources(house.packs)

    async def show(scope: Scope) -> Mapping[str, Any]:
        readiness = await house.health.readiness()
        rows: list[SourceRow] | None
        first: FirstSteps | None
        try:
            async with reading(house.pool) as connection:
                heard = await list_freshness(actor_of(scope), connection)
                planned = await changes(actor_of(scope), connection)
                first = await first_steps(
                    actor_of(scope),
                    connection,
                    declared=declared,
                    heard=heard,
                    settings=house.settings,
                    now=house.clock.now(),
                    locale=locale_of(str(scope["path"])),
                )
            rows = [_row(one, heard) for one in declared]
        except Unavailable:  # the page that says that the database is away must stand without it
            rows, planned, first = None, [], None
        return {
            "checks": [(CHECK_LABELS.get(one.name, one.name), one) for one in _worst_first(readiness.checks)],
            "sources": rows,
            "first": first,
            "step_titles": STEP_TITLES,
            "unit_changes": [one for one in planned if one.state is ChangeState.SCHEDULED],
        }

    return RoomPage("/admin", ROOM_TITLES["/admin"], "admin/overview.html", show)


def _worst_first(checks: tuple[CheckAnswer, ...]) -> list[CheckAnswer]:
    return sorted(checks, key=lambda one: (one.ready, not one.essential))


def _row(source: DeclaredSource, heard: list[Freshness]) -> SourceRow:
    own = [one for one in heard if one.source_id == source.source_id]
    late = [one.late_since for one in own if one.late_since is not None]
    return SourceRow(
        label=source.source.label,
        last=max((one.last_received_at for one in own), default=None),
        late_since=min(late, default=None),
        entities=sum(one.subject != source.urn for one in own),
    )
