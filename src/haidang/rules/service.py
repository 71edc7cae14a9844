"""Verbs of `rules`: alarms and what people do to them; rules, switched, changed and tried on history.

An alarm is seen by whoever sees entities of its type. Officers act on it, and `by` is the name under
which it is recorded.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

import msgspec

from haidang.infra.database import Connection
from haidang.infra.events import publish
from haidang.infra.jobs import enqueue
from haidang.kernel.actors import Actor, Audience
from haidang.kernel.errors import HaidangError
from haidang.kernel.instants import Instant, format_instant
from haidang.rules import store
from haidang.rules.errors import (
    AlarmAlreadyAcknowledged,
    AlarmAlreadyCleared,
    AlarmNotShelved,
    AlarmsAreForOfficers,
    AlarmUnknown,
    NameMissing,
    ReasonMissing,
    RuleAlreadySwitched,
    RuleFailed,
    RulesAreForOfficers,
    RuleUnknown,
    ShelfEndWrong,
    WordsMissing,
    WordsTooLong,
)
from haidang.rules.events import AlarmAcknowledged, AlarmCleared, AlarmCommented, AlarmShelved
from haidang.rules.model import (
    LONGEST_SHELF,
    Alarm,
    AlarmAct,
    AlarmCounts,
    AlarmLine,
    AlarmState,
    ClearedBy,
    RuleOrigin,
    RuleState,
    Trial,
)
from haidang.rules.plans import Declared, declared_of, plan_rule
from haidang.rules.store import StoredRule
from haidang.rules.trying import try_plan
from haidang.sdk.loading import installed_packs
from haidang.sdk.model import Pack, Rule, Severity

MOST_AT_ONCE = 500
LOOK_OVER = "rules-look-over"

_LONGEST_NAME = 200
_LONGEST_TEXT = 2_000


class LookOver(msgspec.Struct, frozen=True):
    """A rule that is to be taken to every entity of its type."""

    rule_id: str


# --- alarms ------------------------------------------------------------------------------------


async def alarms(
    actor: Actor,
    connection: Connection,
    *,
    now: Instant,
    state: str = "open",
    severity: Severity | None = None,
    rule_id: str | None = None,
    shelved: bool = False,
    before: Instant | None = None,
    most: int = 50,
) -> list[Alarm]:
    """Alarms that the actor may see: open ones gravest first and then newest, others newest first.

    `state` is open, cleared or all; those put aside are shown only where `shelved`, and then alone.
    `before` is the `raised_at` of the last one of the page before, where they come newest first.
    """
    return await store.alarms_seen(
        connection,
        actor.tenant,
        _audiences(actor),
        now=now,
        state=state,
        severity=severity,
        rule_id=rule_id,
        shelved=shelved,
        before=before,
        most=min(most, MOST_AT_ONCE),
    )


async def alarm(actor: Actor, connection: Connection, alarm_id: str) -> tuple[Alarm, list[AlarmLine]]:
    """One alarm and what happened to it, oldest first; raises AlarmUnknown."""
    found = await store.alarm_seen(connection, actor.tenant, _audiences(actor), alarm_id)
    if found is None:
        raise AlarmUnknown(alarm_id=alarm_id[:200])
    return found, await store.lines_of_alarm(connection, actor.tenant, alarm_id)


async def count_alarms(actor: Actor, connection: Connection, *, now: Instant) -> AlarmCounts:
    """How many alarms are open and not put aside, by severity, and how many nobody has acknowledged."""
    return await store.count_open(connection, actor.tenant, _audiences(actor), now)


async def acknowledge_alarm(
    actor: Actor, connection: Connection, alarm_id: str, *, by: str, now: Instant
) -> Alarm:
    """Take note of an alarm. The second of two is told who was first: AlarmAlreadyAcknowledged."""
    by = _name(by)
    held = await _held(actor, connection, alarm_id)
    if held.acknowledged_at is not None:
        raise AlarmAlreadyAcknowledged(by=held.acknowledged_by, at=format_instant(held.acknowledged_at))
    _refuse_cleared(held)
    await store.mark_acknowledged(connection, actor.tenant, alarm_id, by=by, now=now)
    await _line(actor, connection, alarm_id, AlarmAct.ACKNOWLEDGED, "", by=by, now=now)
    told = AlarmAcknowledged(
        subject=alarm_id,
        alarm_id=alarm_id,
        rule_id=held.rule_id,
        entity_id=held.entity_id,
        severity=held.severity,
    )
    await publish(connection, actor, told, at=now)
    return replace(held, acknowledged_at=now, acknowledged_by=by, updated_at=now, version=held.version + 1)


async def comment_alarm(
    actor: Actor, connection: Connection, alarm_id: str, *, text: str, by: str, now: Instant
) -> Alarm:
    """Say something about an alarm, open or cleared."""
    by, text = _name(by), text.strip()
    if not text:
        raise WordsMissing
    if len(text) > _LONGEST_TEXT:
        raise WordsTooLong(most=_LONGEST_TEXT)
    held = await _held(actor, connection, alarm_id)
    await store.count_comment(connection, actor.tenant, alarm_id, now=now)
    await _line(actor, connection, alarm_id, AlarmAct.COMMENTED, text, by=by, now=now)
    told = AlarmCommented(
        subject=alarm_id,
        alarm_id=alarm_id,
        rule_id=held.rule_id,
        entity_id=held.entity_id,
        severity=held.severity,
    )
    await publish(connection, actor, told, at=now)
    return replace(held, comments=held.comments + 1, updated_at=now, version=held.version + 1)


async def shelve_alarm(
    actor: Actor,
    connection: Connection,
    alarm_id: str,
    *,
    until: Instant,
    reason: str,
    by: str,
    now: Instant,
) -> Alarm:
    """Put an open alarm aside until a moment, at most 24 hours ahead; raises ShelfEndWrong."""
    by, reason = _name(by), _reason(reason)
    if not now < until <= now + LONGEST_SHELF:
        raise ShelfEndWrong(hours=LONGEST_SHELF // timedelta(hours=1))
    held = await _held(actor, connection, alarm_id)
    _refuse_cleared(held)
    return await _shelve(actor, connection, held, until, reason, by=by, now=now)


async def unshelve_alarm(
    actor: Actor, connection: Connection, alarm_id: str, *, by: str, now: Instant
) -> Alarm:
    """Take an alarm back before its time; raises AlarmNotShelved."""
    by = _name(by)
    held = await _held(actor, connection, alarm_id)
    if held.shelved_until is None or held.shelved_until <= now:
        raise AlarmNotShelved
    return await _shelve(actor, connection, held, None, "", by=by, now=now)


async def _shelve(
    actor: Actor,
    connection: Connection,
    held: Alarm,
    until: Instant | None,
    reason: str,
    *,
    by: str,
    now: Instant,
) -> Alarm:
    act = AlarmAct.UNSHELVED if until is None else AlarmAct.SHELVED
    await store.mark_shelved(connection, actor.tenant, held.alarm_id, until=until, now=now)
    await _line(actor, connection, held.alarm_id, act, reason, by=by, now=now)
    told = AlarmShelved(
        subject=held.alarm_id,
        alarm_id=held.alarm_id,
        rule_id=held.rule_id,
        entity_id=held.entity_id,
        severity=held.severity,
        until=until,
    )
    await publish(connection, actor, told, at=now)
    return replace(held, shelved_until=until, updated_at=now, version=held.version + 1)


async def _held(actor: Actor, connection: Connection, alarm_id: str) -> Alarm:
    """An alarm to act on, held until the transaction ends."""
    if not actor.belongs_to(Audience.OFFICER):
        raise AlarmsAreForOfficers
    held = await store.alarm_seen(connection, actor.tenant, _audiences(actor), alarm_id, hold=True)
    if held is None:
        raise AlarmUnknown(alarm_id=alarm_id[:200])
    return held


def _refuse_cleared(held: Alarm) -> None:
    if held.state is AlarmState.CLEARED and held.cleared_at is not None:
        raise AlarmAlreadyCleared(at=format_instant(held.cleared_at))


async def _line(
    actor: Actor, connection: Connection, alarm_id: str, act: AlarmAct, text: str, *, by: str, now: Instant
) -> None:
    await store.insert_lines(connection, actor.tenant, [(alarm_id, act, text)], by=by, now=now)


def _audiences(actor: Actor) -> list[str]:
    return sorted({Audience.PUBLIC.value, *(one.value for one in actor.audiences)})


def _name(by: str) -> str:
    name = " ".join(by.split())
    if not name:
        raise NameMissing
    if len(name) > _LONGEST_NAME:
        raise WordsTooLong(most=_LONGEST_NAME)
    return name


def _reason(reason: str) -> str:
    reason = reason.strip()
    if not reason:
        raise ReasonMissing
    if len(reason) > _LONGEST_TEXT:
        raise WordsTooLong(most=_LONGEST_TEXT)
    return reason


# --- rules -------------------------------------------------------------------------------------


async def rules(
    actor: Actor, connection: Connection, *, packs: Sequence[Pack] | None = None
) -> list[RuleState]:
    """Every rule, by its id, with how many alarms it has open; `packs` are the installed ones."""
    _require_officer(actor)
    declared = _declared(packs)
    return [_state(kept, declared) for kept in await store.all_rules(connection, actor.tenant)]


def _state(kept: StoredRule, declared: Declared) -> RuleState:
    fault: HaidangError | None = None
    try:
        plan_rule(kept.rule, declared)
    except HaidangError as wrong:
        fault = wrong
    if fault is None and kept.held:
        fault = RuleFailed(rule_id=kept.rule.rule_id, reason=kept.held)
    newer = kept.origin is RuleOrigin.PROVINCE and kept.shipped != kept.compared
    return RuleState(
        rule=kept.rule,
        pack_id=kept.pack_id,
        origin=kept.origin,
        on=kept.on,
        changed_at=kept.changed_at,
        changed_by=kept.changed_by,
        reason=kept.reason,
        open_alarms=kept.open_alarms,
        held="" if fault is None else str(fault),
        fault=fault,
        draft=kept.shipped if newer else None,
    )


async def switch_rule(
    actor: Actor,
    connection: Connection,
    rule_id: str,
    *,
    on: bool,
    reason: str,
    by: str,
    now: Instant,
    packs: Sequence[Pack] | None = None,
) -> RuleState:
    """Switch a rule on or off; what it has open is cleared when it goes off. Raises RuleAlreadySwitched."""
    _require_officer(actor)
    by, reason = _name(by), _reason(reason)
    await store.hold_book(connection, actor.tenant)
    kept = (await _stored(actor, connection)).get(rule_id)
    if kept is None:
        raise RuleUnknown(rule_id=rule_id[:200])
    if kept.on == on:
        raise RuleAlreadySwitched(rule_id=rule_id, by=kept.changed_by, at=format_instant(kept.changed_at))
    kept = replace(
        kept, on=on, switched=True, changed_at=now, changed_by=by, reason=reason, held="", open_alarms=0
    )
    await store.keep_rule(connection, actor.tenant, kept, "on" if on else "off")
    await store.turn_page(connection, actor.tenant)
    if on:
        await _have_looked_over(actor, connection, rule_id, now)
    else:
        await _end_alarms(actor, connection, rule_id, ClearedBy.SWITCHED_OFF, now)
    return _state(kept, _declared(packs))


async def save_rule(
    actor: Actor,
    connection: Connection,
    rule: Rule,
    *,
    by: str,
    now: Instant,
    reason: str = "",
    packs: Sequence[Pack] | None = None,
) -> RuleState:
    """Keep the province's own rule, or its version of a pack's; raises a RuleMalformed.

    One that exists stays on or off as it is; a new one is on if it says so. What has begun to hold
    begins anew; what is open stays open until the new condition says otherwise.
    """
    _require_officer(actor)
    by = _name(by)
    declared = _declared(packs)
    plan_rule(rule, declared)
    await store.hold_book(connection, actor.tenant)
    before = (await _stored(actor, connection)).get(rule.rule_id)
    kept = StoredRule(
        rule=rule,
        pack_id=before.pack_id if before else "",
        origin=RuleOrigin.PROVINCE,
        shipped=before.shipped if before else None,
        compared=before.shipped if before else None,
        on=before.on if before else rule.on,
        switched=before.switched if before else False,
        changed_at=now,
        changed_by=by,
        reason=reason.strip()[:_LONGEST_TEXT],
        open_alarms=before.open_alarms if before else 0,
    )
    await store.keep_rule(connection, actor.tenant, kept, "saved")
    await store.turn_page(connection, actor.tenant)
    if before is not None and before.rule.entity_type != rule.entity_type:
        await _end_alarms(actor, connection, rule.rule_id, ClearedBy.RULE_CHANGED, now)
    else:
        await store.drop_watches_of_rule(connection, actor.tenant, rule.rule_id, open_too=False)
    if kept.on:
        await _have_looked_over(actor, connection, rule.rule_id, now)
    return _state(kept, declared)


async def load_rules(
    actor: Actor, connection: Connection, packs: Sequence[Pack], *, now: Instant
) -> list[str]:
    """Take over what packs ship, when the house starts; the ids of the rules that changed by it.

    A rule that the province has changed keeps the province's version: the pack's newer one is kept
    beside it, to compare. A switch of the province holds for newer versions too. A rule that no pack
    declares any more is taken out, and what it has open is cleared.
    """
    await store.hold_book(connection, actor.tenant)
    known = await _stored(actor, connection)
    shipped = {rule.rule_id: (pack.pack_id, rule) for pack in packs for rule in pack.rules}
    changed: list[str] = []
    for rule_id, (pack_id, rule) in shipped.items():
        before = known.get(rule_id)
        if before is not None and before.shipped == rule and before.pack_id == pack_id:
            continue
        if before is not None and before.origin is RuleOrigin.PROVINCE:
            await store.keep_rule(
                connection, actor.tenant, replace(before, shipped=rule, pack_id=pack_id), None
            )
            continue
        kept = StoredRule(
            rule=rule,
            pack_id=pack_id,
            origin=RuleOrigin.PACK,
            shipped=rule,
            compared=rule,
            on=before.on if before and before.switched else rule.on,
            switched=before.switched if before else False,
            changed_at=now,
            changed_by="",
            reason="",
        )
        await store.keep_rule(connection, actor.tenant, kept, "shipped")
        await store.drop_watches_of_rule(connection, actor.tenant, rule_id, open_too=False)
        changed.append(rule_id)
    for rule_id, before in known.items():
        if before.origin is RuleOrigin.PACK and rule_id not in shipped:
            gone = replace(before, changed_at=now, changed_by="", reason="")
            await store.note_change(connection, actor.tenant, gone, "withdrawn")
            await store.withdraw_rule(connection, actor.tenant, rule_id)
            await _end_alarms(actor, connection, rule_id, ClearedBy.RULE_GONE, now)
            changed.append(rule_id)
    if changed:
        await store.turn_page(connection, actor.tenant)
    for rule_id in changed:
        if rule_id in shipped:
            await _have_looked_over(actor, connection, rule_id, now)
    return changed


async def try_rule(
    actor: Actor,
    connection: Connection,
    rule: Rule,
    *,
    since: Instant,
    until: Instant,
    packs: Sequence[Pack] | None = None,
) -> Trial:
    """What a rule would have raised in (since, until], by the observations held now; changes nothing.

    Raises a RuleMalformed, or says what is too large: 31 days, 10,000 entities, five million
    observations are the most.
    """
    _require_officer(actor)
    plan = plan_rule(rule, _declared(packs))
    return await try_plan(actor, connection, plan, since=since, until=until)


async def _stored(actor: Actor, connection: Connection) -> dict[str, StoredRule]:
    return {one.rule.rule_id: one for one in await store.all_rules(connection, actor.tenant)}


async def _have_looked_over(actor: Actor, connection: Connection, rule_id: str, now: Instant) -> None:
    """Have a rule taken to the entities that are there, after the commit."""
    dedupe = f"{rule_id}@{format_instant(now)}"
    await enqueue(connection, actor, LOOK_OVER, LookOver(rule_id), dedupe=dedupe)


async def _end_alarms(
    actor: Actor, connection: Connection, rule_id: str, why: ClearedBy, now: Instant
) -> None:
    """Clear what a rule has open, and forget where it stands."""
    open_now = await store.open_alarms_of_rule(connection, actor.tenant, rule_id)
    ended = await store.clear_alarms(connection, actor.tenant, [(one, now) for one in open_now], now)
    if ended:
        lines = [(one.alarm_id, AlarmAct.CLEARED, why.value) for one in ended]
        await store.insert_lines(connection, actor.tenant, lines, by="", now=now)
    await store.drop_watches_of_rule(connection, actor.tenant, rule_id, open_too=True)
    told = [
        AlarmCleared(
            subject=one.alarm_id,
            alarm_id=one.alarm_id,
            rule_id=one.rule_id,
            entity_id=one.entity_id,
            severity=one.severity,
            cleared_at=one.cleared_at,
        )
        for one in ended
    ]
    await publish(connection, actor, *told, at=now)


def _declared(packs: Sequence[Pack] | None) -> Declared:
    return declared_of(installed_packs() if packs is None else packs)


def _require_officer(actor: Actor) -> None:
    if not actor.belongs_to(Audience.OFFICER):
        raise RulesAreForOfficers
