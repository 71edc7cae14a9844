"""What comes of conditions, written down and told: alarms raised, updated and cleared, in one transaction."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any, Final

from haidang.context.merging import EntityState
from haidang.context.model import value_of
from haidang.context.service import view_of
from haidang.infra.database import Connection
from haidang.infra.events import publish
from haidang.kernel.actors import Actor
from haidang.kernel.geometry import GeometryMalformed, box_of
from haidang.kernel.ids import new_urn
from haidang.kernel.instants import Instant
from haidang.rules import store
from haidang.rules.conditions import Timing, Turn, Watch, due_at, episodes
from haidang.rules.events import AlarmCleared, AlarmRaised, AlarmUpdated
from haidang.rules.model import Alarm, AlarmAct, AlarmState, ClearedBy
from haidang.rules.plans import Plan
from haidang.rules.store import ClearedAlarm, Kept, News, Standing
from haidang.sdk.model import AttributeKind

TOLD_WITHIN: Final = timedelta(hours=24)
"""Alarms are about now: what began and ended longer ago than this is not told any more."""

_UPDATED_AT_MOST_EVERY: Final = timedelta(minutes=1)


@dataclass(slots=True)
class Tale:
    """What one transaction has to write down and to tell."""

    now: Instant
    raised: list[Alarm] = field(default_factory=list)
    cleared: list[tuple[str, Instant, ClearedBy]] = field(default_factory=list)
    news: list[News] = field(default_factory=list)
    kept: list[Kept] = field(default_factory=list)
    dropped: list[tuple[str, str]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Case:
    """A rule at an entity: how long things take there, and where it stood before.

    Until `quiet_until` nobody need look at it again.
    """

    plan: Plan
    state: EntityState
    timing: Timing
    before: Standing | None
    quiet_until: Instant | None = None

    @property
    def alarm_id(self) -> str | None:
        """The alarm that is open."""
        return self.before.alarm_id if self.before else None


def settle(tale: Tale, case: Case, after: Watch, turns: Sequence[Turn]) -> None:
    """What the turns of a condition come to: which alarms, and where it stands from now on."""
    alarm_id = case.alarm_id
    for episode in episodes(turns):
        raised, cleared = episode.raised, episode.cleared
        if cleared is None:
            continue  # still open: below
        if raised is not None and cleared.at >= tale.now - TOLD_WITHIN:
            passed = _alarm(case, since=raised.since, value=raised.value, now=tale.now)
            tale.raised.append(replace(passed, state=AlarmState.CLEARED, cleared_at=cleared.at))
        elif raised is None and alarm_id is not None:
            tale.cleared.append((alarm_id, cleared.at, ClearedBy.CONDITION))
            alarm_id = None
    _stand(tale, case, after, alarm_id)


def correct(tale: Tale, case: Case, after: Watch) -> None:
    """What a condition, followed anew with later data, comes to: only how it ends up counts."""
    alarm_id = case.alarm_id
    if alarm_id is not None and not after.stands:
        tale.cleared.append((alarm_id, tale.now, ClearedBy.CORRECTION))
        alarm_id = None
    _stand(tale, case, after, alarm_id)


def _stand(tale: Tale, case: Case, after: Watch, alarm_id: str | None) -> None:
    before, entity_id, rule_id = case.before, case.state.entity_id, case.plan.rule.rule_id
    if after.stands and alarm_id is None and _is_recent(case.timing, after, tale.now):
        alarm = _alarm(case, since=after.since or tale.now, value=after.value, now=tale.now)
        tale.raised.append(alarm)
        alarm_id = alarm.alarm_id
    elif after.stands and alarm_id is not None and before is not None:
        _update(tale, case, before, after, alarm_id)
    if after.upto is None:
        if before is not None:
            tale.dropped.append((entity_id, rule_id))
    elif before is None or before.watch != after or before.alarm_id != alarm_id:
        due = due_at(case.timing, after)
        if due is not None and case.quiet_until is not None:
            due = max(due, case.quiet_until)
        tale.kept.append(Kept(entity_id, rule_id, after, due, alarm_id))


def _is_recent(timing: Timing, watch: Watch, now: Instant) -> bool:
    """Whether what stands open is about now: heard of in the last day, or of a kind that needs no hearing."""
    if timing.silence is not None or timing.fresh_for is None or watch.upto is None:
        return True
    return watch.upto + max(timing.fresh_for, TOLD_WITHIN) >= now


def _update(tale: Tale, case: Case, before: Standing, after: Watch, alarm_id: str) -> None:
    severity = case.plan.rule.severity
    other = before.told_value != after.value or before.watch.since != after.since
    told_at = before.told_at or tale.now
    if before.told_severity != severity.value or (other and tale.now - told_at >= _UPDATED_AT_MOST_EVERY):
        since = after.since or tale.now
        tale.news.append(News(alarm_id, before.rule_id, before.entity_id, severity, since, after.value))


def _alarm(case: Case, *, since: Instant, value: float | str | None, now: Instant) -> Alarm:
    plan, state = case.plan, case.state
    rule, view = plan.rule, view_of(state, plan.entity_type)
    return Alarm(
        alarm_id=new_urn("alarm"),
        rule_id=rule.rule_id,
        label=rule.label,
        advice=rule.advice,
        entity_id=state.entity_id,
        entity_type=plan.entity_type.name,
        entity_name=name_of(view.values),
        severity=rule.severity,
        state=AlarmState.OPEN,
        since=since,
        raised_at=now,
        updated_at=now,
        cleared_at=None,
        value=value,
        unit=view.units.get(plan.shown.name, plan.shown.unit),
        acknowledged_at=None,
        acknowledged_by="",
        shelved_until=None,
        comments=0,
        version=1,
        synthetic=view.synthetic,
        position=_position(plan, state),
        audience=plan.entity_type.audience,
    )


def name_of(values: Mapping[str, Any]) -> str:
    """What people call an entity: its name, in Vietnamese where it has several; empty if it has none."""
    name = values.get("name")
    if isinstance(name, dict):
        name = name.get("vi") or next(iter(name.values()), "")
    return name[:200] if isinstance(name, str) else ""


def _position(plan: Plan, state: EntityState) -> tuple[float, float] | None:
    """Where an entity stands: the middle of the box of its first geometry."""
    for attribute in plan.entity_type.attributes:
        if attribute.kind is not AttributeKind.GEO_PROPERTY:
            continue
        for instance in state.attributes.get(attribute.iri, ()):
            geometry = value_of(instance)
            try:
                box = box_of(geometry) if isinstance(geometry, dict) else None
            except GeometryMalformed:
                box = None
            if box is not None:
                return (box.west + box.east) / 2, (box.south + box.north) / 2
    return None


async def tell(actor: Actor, connection: Connection, tale: Tale) -> None:
    """Write everything down and publish it."""
    tenant, now = actor.tenant, tale.now
    # What is over goes first: an alarm is open once.
    over = [(alarm_id, at) for alarm_id, at, _ in tale.cleared]
    cleared = await store.clear_alarms(connection, tenant, over, now) if over else []
    if tale.raised:
        await store.insert_alarms(connection, tenant, tale.raised, now)
    if tale.news:
        await store.update_alarms(connection, tenant, tale.news, now)
    passed = [
        ClearedAlarm(one.alarm_id, one.rule_id, one.entity_id, one.severity, one.cleared_at)
        for one in tale.raised
        if one.cleared_at is not None
    ]
    why = {alarm_id: reason for alarm_id, _, reason in tale.cleared}
    why |= {one.alarm_id: ClearedBy.CONDITION for one in passed}
    lines = [
        *((one.alarm_id, AlarmAct.RAISED, "") for one in tale.raised),
        *((one.alarm_id, AlarmAct.UPDATED, _shown(one.value)) for one in tale.news),
        *((one.alarm_id, AlarmAct.CLEARED, why[one.alarm_id].value) for one in (*cleared, *passed)),
    ]
    if lines:
        await store.insert_lines(connection, tenant, lines, by="", now=now)
    await store.drop_watches(connection, tenant, tale.dropped)
    await store.keep_watches(connection, tenant, tale.kept)
    await publish(
        connection,
        actor,
        *(
            AlarmRaised(
                subject=one.alarm_id,
                alarm_id=one.alarm_id,
                rule_id=one.rule_id,
                entity_id=one.entity_id,
                severity=one.severity,
                since=one.since,
            )
            for one in tale.raised
        ),
        *(
            AlarmUpdated(
                subject=one.alarm_id,
                alarm_id=one.alarm_id,
                rule_id=one.rule_id,
                entity_id=one.entity_id,
                severity=one.severity,
            )
            for one in tale.news
        ),
        *(
            AlarmCleared(
                subject=one.alarm_id,
                alarm_id=one.alarm_id,
                rule_id=one.rule_id,
                entity_id=one.entity_id,
                severity=one.severity,
                cleared_at=one.cleared_at,
            )
            for one in (*cleared, *passed)
        ),
        at=now,
    )


def _shown(value: float | str | None) -> str:
    return f"{value:g}" if isinstance(value, int | float) else value or ""
