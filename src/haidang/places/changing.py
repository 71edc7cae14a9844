"""Verbs over changes of units: draft, preview, schedule, apply on the day, undo before it.

Everything about what a change does is worked out by `changes.py`, anew at each step: the country may
have changed since the draft. A unit that a draft would end is held by it, so that two changes never
disagree about one unit.
"""

import re
import unicodedata
from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import TypeAlias

import msgspec
import shapely
from shapely.geometry.base import BaseGeometry

from haidang.infra.database import Connection, Pool, Row, transaction
from haidang.infra.events import publish
from haidang.infra.failures import a_retry_helps, reason_of
from haidang.infra.jobs import Job, JobRun
from haidang.infra.queries import load_queries
from haidang.infra.telemetry import logger
from haidang.kernel.actors import Actor, Audience, part
from haidang.kernel.errors import Conflict, Denied, Invalid, NotFound
from haidang.kernel.geometry import Box
from haidang.kernel.ids import new_urn
from haidang.kernel.instants import VIETNAM, Clock, Instant
from haidang.places import store
from haidang.places.changes import (
    Change,
    ChangeState,
    ChangeStep,
    Draft,
    Plan,
    Step,
    Surroundings,
    plan_change,
)
from haidang.places.days import check_day_of_change
from haidang.places.drafting import WrittenChange, named_units, resolve_draft
from haidang.places.events import UnitsChanged
from haidang.places.model import Unit
from haidang.places.store import CHANGE, NewOutline, StoredOutline

log = logger("places")
queries = load_queries(Path(__file__).parent / "sql" / "changing.sql")

_PUBLIC_STATES = (ChangeState.SCHEDULED, ChangeState.APPLIED)


class ChangesAreForAdministrators(Denied):
    """Only an administrator may change units."""


class DraftsAreForOfficers(Denied):
    """Only officers may see what a change of units would do."""


class ChangeUnknown(NotFound):
    """There is no change of units {change_id}."""


class UnitInAnotherChange(Conflict):
    """{unit} is part of another change still to come: {title}, {on}. Undo that one first, or wait for it."""


class ChangeUnsound(Invalid):
    """The change cannot be scheduled: {count} findings forbid it. The preview names them."""


class ChangeNotADraft(Conflict):
    """The change {title} is no draft any more."""


class ChangeAlreadyApplied(Conflict):
    """The change {title} was applied and cannot be undone; to put it right, make another change."""


class ChangeAlreadyUndone(Conflict):
    """The change {title} was undone already."""


class NothingToPreview(Conflict):
    """The change {title} was applied or undone already; there is nothing to preview."""


class ChangeReasonMissing(Invalid):
    """Say why: the reason is kept with the change."""


@dataclass(frozen=True, slots=True)
class TouchedPlace:
    """Where a change happens: the units that end, and their land as far as we hold its outline."""

    unit_ids: tuple[str, ...]
    shape: BaseGeometry | None
    box: Box | None


CountTouched: TypeAlias = Callable[[Actor, Connection, TouchedPlace], Awaitable[int | None]]
"""How many things of a kind a change would touch; None where that cannot be told."""


@dataclass(frozen=True, slots=True)
class TouchedKind:
    """A kind of thing that a room above holds by unit or by place; `label` is a message id."""

    label: str
    count: CountTouched


@dataclass(frozen=True, slots=True)
class Touched:
    """How many things of a kind a change would touch."""

    label: str
    count: int | None


@dataclass(frozen=True, slots=True)
class Preview:
    """What a change would do, as things are now."""

    change: Change
    plan: Plan
    touched: tuple[Touched, ...]


@dataclass(frozen=True, slots=True)
class Attempt:
    """What came of a change whose day has begun: applied, or refused by these findings."""

    change_id: str
    applied: bool
    refused_by: tuple[str, ...] = ()


def day_in_vietnam(now: Instant) -> date:
    """The day it is in Vietnam: it begins at midnight there, at 17:00 the day before in UTC."""
    return now.astimezone(VIETNAM).date()


async def draft_change(
    actor: Actor, connection: Connection, written: WrittenChange, *, now: Instant
) -> Change:
    """Keep a draft and hold the units that it would end; its findings are shown by the preview.

    Raises UnitOfChangeUnknown, OutlineMalformed, UnitSaidTwice, UnitInAnotherChange, DayOutOfReach.
    """
    _require_administrator(actor)
    draft = resolve_draft(written, await _known(connection, written), _new_unit_id)
    plan = plan_change(draft, await _surroundings(connection, draft), _new_unit_id)
    change_id = new_urn("unit-change")
    await queries.add_change(
        connection,
        change_id=change_id,
        title=draft.title,
        takes_effect=draft.takes_effect,
        document=msgspec.to_builtins(draft),
    )
    await _hold(connection, change_id, plan.ended)
    await _note(actor, connection, change_id, Step.DRAFTED, now=now)
    return await change(actor, connection, change_id)


async def changes(actor: Actor, connection: Connection) -> list[Change]:
    """Changes of units by their day: all for officers, with what was done and why; else those made known."""
    return await _changes(actor, connection, None)


async def change(actor: Actor, connection: Connection, change_id: str) -> Change:
    """One change; raises ChangeUnknown, also for a draft that the actor may not see."""
    found = await _changes(actor, connection, change_id)
    if not found:
        raise ChangeUnknown(change_id=change_id)
    return found[0]


async def change_named(actor: Actor, connection: Connection, ending: str) -> Change:
    """The one change whose id ends so, as people type it; raises ChangeUnknown when none or several do."""
    found = [one for one in await changes(actor, connection) if ending and one.change_id.endswith(ending)]
    if len(found) != 1:
        raise ChangeUnknown(change_id=ending)
    return found[0]


async def preview_change(
    actor: Actor,
    connection: Connection,
    change_id: str,
    *,
    now: Instant,
    touched_kinds: Sequence[TouchedKind] = (),
) -> Preview:
    """What a change would do to units, people and what other rooms hold there; nothing is written.

    Raises NothingToPreview for one that was applied or undone.
    """
    if not actor.belongs_to(Audience.OFFICER):
        raise DraftsAreForOfficers
    found = await change(actor, connection, change_id)
    if found.state in (ChangeState.APPLIED, ChangeState.UNDONE):
        raise NothingToPreview(title=found.title)
    around = await _surroundings(connection, found.draft)
    plan = plan_change(found.draft, around, _new_unit_id, today=day_in_vietnam(now))
    place = _touched_place(plan, around)
    touched = [Touched(kind.label, await kind.count(actor, connection, place)) for kind in touched_kinds]
    return Preview(change=found, plan=plan, touched=tuple(touched))


async def schedule_change(
    actor: Actor, connection: Connection, change_id: str, *, reason: str, now: Instant
) -> Change:
    """Let a draft be applied on its day; raises ChangeNotADraft, ChangeUnsound, UnitInAnotherChange."""
    _require_administrator(actor)
    _require_reason(reason)
    found = await _locked(connection, change_id)
    if found.state is not ChangeState.DRAFT:
        raise ChangeNotADraft(title=found.title)
    around = await _surroundings(connection, found.draft)
    plan = plan_change(found.draft, around, _new_unit_id, today=day_in_vietnam(now))
    if not plan.may_be_applied:
        raise ChangeUnsound(count=sum(one.blocks for one in plan.findings))
    # Units below those that end may have come since the draft: they are held from now on.
    await _hold(connection, change_id, plan.ended)
    await queries.set_change_state(connection, change_id=change_id, state=ChangeState.SCHEDULED)
    await _note(actor, connection, change_id, Step.SCHEDULED, reason=reason, now=now)
    return await change(actor, connection, change_id)


async def undo_change(
    actor: Actor, connection: Connection, change_id: str, *, reason: str, now: Instant
) -> Change:
    """Take back a draft or a scheduled change, and let its units go; raises ChangeAlreadyApplied."""
    _require_administrator(actor)
    _require_reason(reason)
    found = await _locked(connection, change_id)
    if found.state is ChangeState.APPLIED:
        raise ChangeAlreadyApplied(title=found.title)
    if found.state is ChangeState.UNDONE:
        raise ChangeAlreadyUndone(title=found.title)
    await queries.release_units(connection, change_id=change_id)
    await queries.set_change_state(connection, change_id=change_id, state=ChangeState.UNDONE)
    await _note(actor, connection, change_id, Step.UNDONE, reason=reason, now=now)
    return await change(actor, connection, change_id)


async def apply_due_changes(actor: Actor, connection: Connection, *, now: Instant) -> list[Attempt]:
    """Apply every scheduled change whose day has begun, earlier days first; doing it again does nothing.

    One that can no longer be applied, or that cannot be written, stays scheduled, with a step that says
    what forbids it; the others are applied.
    """
    _require_administrator(actor)
    await store.wait_for_loading(connection)
    due = [row["change_id"] async for row in queries.due_change_ids(connection, today=day_in_vietnam(now))]
    attempts = [await _attempt(actor, connection, change_id, now=now) for change_id in due]
    return [one for one in attempts if one is not None]


def change_jobs(clock: Clock) -> tuple[Job, ...]:
    """The job that applies changes: at midnight in Vietnam, and each hour in case that was missed."""

    async def apply(pool: Pool, _run: JobRun) -> None:
        async with transaction(pool) as connection:
            await apply_due_changes(part("places"), connection, now=clock.now())

    return (Job(name="apply-unit-changes", handle=apply, audience=Audience.ADMINISTRATOR, every="0 * * * *"),)


async def _attempt(actor: Actor, connection: Connection, change_id: str, *, now: Instant) -> Attempt | None:
    try:
        async with connection.transaction():
            return await _apply(actor, connection, change_id, now=now)
    except Exception as error:
        if a_retry_helps(error):
            raise
        # A mistake of ours in one change must not keep those of every other province from their day.
        log.exception("unit-change-not-applied", change_id=change_id)
        why = reason_of(error)
        await _refuse(actor, connection, change_id, why, now=now)
        return Attempt(change_id, applied=False, refused_by=(why,))


async def _apply(actor: Actor, connection: Connection, change_id: str, *, now: Instant) -> Attempt | None:
    found = await _locked(connection, change_id)
    if found.state is not ChangeState.SCHEDULED:
        return None
    draft = found.draft
    plan = plan_change(draft, await _surroundings(connection, draft), _new_unit_id)
    if not plan.may_be_applied:
        troubles = tuple(dict.fromkeys(one.trouble for one in plan.findings if one.blocks))
        await _refuse(actor, connection, change_id, ", ".join(troubles), now=now)
        return Attempt(change_id, applied=False, refused_by=troubles)
    begun = (*plan.begun, *plan.carried)
    await store.put_units(connection, begun, origin=CHANGE)
    await store.put_links(connection, plan.links, origin=CHANGE)
    await store.put_outlines(connection, _new_outlines(begun, plan.outlines), origin=CHANGE)
    ended = [one.unit_id for one in plan.ended]
    rows = queries.end_units(connection, unit_ids=ended, day=draft.takes_effect, ended_by=draft.legal_basis)
    gone = {row["unit_id"] async for row in rows}
    if gone != set(ended):  # somebody else ended one since the plan was made: nothing of this one stays
        raise ChangeUnsound(count=len(set(ended) - gone))
    await queries.release_units(connection, change_id=change_id)
    await queries.set_change_state(connection, change_id=change_id, state=ChangeState.APPLIED)
    await _note(actor, connection, change_id, Step.APPLIED, now=now)
    await store.begin_edition(connection)
    await publish(
        connection,
        actor,
        UnitsChanged(
            subject=change_id,
            takes_effect=draft.takes_effect,
            ended=tuple(ended),
            begun=tuple(one.unit_id for one in begun),
        ),
    )
    log.info("unit-change-applied", change_id=change_id, ended=len(ended), begun=len(begun))
    return Attempt(change_id, applied=True)


async def _refuse(actor: Actor, connection: Connection, change_id: str, reason: str, *, now: Instant) -> None:
    """Say it once, not each hour."""
    steps = (await _steps(connection, [change_id]))[change_id]
    if not steps or (steps[-1].step, steps[-1].reason) != (Step.REFUSED, reason):
        await _note(actor, connection, change_id, Step.REFUSED, reason=reason, now=now)
    log.warning("unit-change-refused", change_id=change_id, reason=reason)


def _new_outlines(begun: Sequence[Unit], shapes: Mapping[str, BaseGeometry]) -> list[NewOutline]:
    return [
        NewOutline(StoredOutline(one.unit_id, shapely.to_wkb(shapes[one.unit_id]), one.accuracy_m), one.box)
        for one in begun
        if one.unit_id in shapes and one.accuracy_m is not None and one.box is not None
    ]


def _new_unit_id(full_name: str, code: str, on: date) -> str:
    """A readable id that is given once: no two units that begin on one day bear one code."""
    apart = unicodedata.normalize("NFD", full_name.lower().replace("đ", "d"))
    letters = "".join(sign for sign in apart if not unicodedata.combining(sign))
    return f"urn:haidang:unit:{'-'.join(re.findall('[a-z0-9]+', letters))}-{on:%Y%m%d}-{code}"


async def _known(connection: Connection, written: WrittenChange) -> dict[str, Unit]:
    eve = check_day_of_change(written.takes_effect) - timedelta(days=1)
    rows = [row async for row in queries.ids_named(connection, names=sorted(named_units(written)), eve=eve)]
    units = await store.units(connection, [row["unit_id"] for row in rows])
    by_code = {row["code"]: units[row["unit_id"]] for row in rows if units[row["unit_id"]].stood_on(eve)}
    return by_code | units


async def _surroundings(connection: Connection, draft: Draft) -> Surroundings:
    """All that a draft meets: its units, what is below them, its superiors, neighbours, codes, outlines."""
    day = draft.takes_effect
    below: dict[str, list[str]] = defaultdict(list)
    ended = list(draft.ended_ids)
    layer = ended
    while layer:
        rows = [row async for row in queries.ids_below(connection, unit_ids=layer, day=day)]
        for row in rows:
            below[row["parent_id"]].append(row["unit_id"])
        layer = [row["unit_id"] for row in rows]
    children = [one for ids in below.values() for one in ids]
    parents = [one.parent_id for one in draft.begins if one.parent_id]
    codes = sorted({one.code for one in draft.begins})
    bore = [row async for row in queries.ids_that_bore(connection, level=draft.level, codes=codes)]
    units = await store.units(
        connection, list(dict.fromkeys([*ended, *children, *parents, *(row["unit_id"] for row in bore)]))
    )
    formerly: dict[str, list[Unit]] = defaultdict(list)
    for row in bore:
        formerly[row["code"]].append(units[row["unit_id"]])
    stored = await store.outlines_of(connection, [*ended, *children])
    return Surroundings(
        units=units,
        standing=await store.units_on(connection, day, level=draft.level, parent_id=None),
        below={above: [units[one] for one in ids] for above, ids in below.items()},
        formerly=formerly,
        outlines={one.unit_id: shapely.from_wkb(one.shape) for one in stored},
    )


def _touched_place(plan: Plan, around: Surroundings) -> TouchedPlace:
    unit_ids = tuple(one.unit_id for one in plan.ended)
    shapes = [around.outlines[one] for one in unit_ids if one in around.outlines]
    shape = shapely.union_all(shapes) if shapes else None
    return TouchedPlace(unit_ids, shape, None if shape is None else Box(*map(float, shapely.bounds(shape))))


async def _hold(connection: Connection, change_id: str, units: Sequence[Unit]) -> None:
    """Hold units for a change; raises UnitInAnotherChange."""
    ids = [one.unit_id for one in units]
    rows = queries.hold_units(connection, unit_ids=ids, change_id=change_id)
    held = {row["unit_id"] async for row in rows}
    for unit in units:
        if unit.unit_id not in held:
            other = await queries.holder(connection, unit_id=unit.unit_id)
            if other is not None and other["change_id"] != change_id:
                raise UnitInAnotherChange(unit=unit.full_name, title=other["title"], on=other["takes_effect"])


async def _locked(connection: Connection, change_id: str) -> Change:
    row = await queries.lock_change(connection, change_id=change_id)
    if row is None:
        raise ChangeUnknown(change_id=change_id)
    return _change(row, ())


async def _changes(actor: Actor, connection: Connection, change_id: str | None) -> list[Change]:
    officer = actor.belongs_to(Audience.OFFICER)
    states = list(ChangeState) if officer else list(_PUBLIC_STATES)
    rows = [row async for row in queries.changes(connection, states=states, change_id=change_id)]
    steps = await _steps(connection, [row["change_id"] for row in rows]) if officer else {}
    return [_change(row, tuple(steps.get(row["change_id"], ()))) for row in rows]


async def _steps(connection: Connection, change_ids: Sequence[str]) -> dict[str, list[ChangeStep]]:
    steps: dict[str, list[ChangeStep]] = defaultdict(list)
    async for row in queries.change_steps(connection, change_ids=list(change_ids)):
        steps[row["change_id"]].append(
            ChangeStep(Step(row["step"]), row["done_at"], row["done_by"], row["reason"])
        )
    return steps


def _change(row: Row, steps: tuple[ChangeStep, ...]) -> Change:
    return Change(
        change_id=row["change_id"],
        state=ChangeState(row["state"]),
        draft=msgspec.convert(row["document"], Draft),
        steps=steps,
    )


async def _note(
    actor: Actor,
    connection: Connection,
    change_id: str,
    step: Step,
    *,
    now: Instant,
    reason: str | None = None,
) -> None:
    await queries.note_change_step(
        connection,
        change_id=change_id,
        step=step,
        done_at=now,
        done_by=actor.actor_id,
        reason=reason.strip() if reason else None,
    )


def _require_administrator(actor: Actor) -> None:
    if not actor.belongs_to(Audience.ADMINISTRATOR):
        raise ChangesAreForAdministrators


def _require_reason(reason: str) -> None:
    if not reason.strip():
        raise ChangeReasonMissing
