"""Rules at work: what changed is looked at as it is told, deadlines as they come, a new rule at once.

`take` follows the event log: for each event, which rules ask for an attribute that changed, where
they stand at those entities, what they make of the moments that changed, and what comes of it, in
one transaction. Where a moment is no longer the entity's present one (the consumer is behind), or
comes late, or corrects an earlier one, the history is read. `look` lets time pass: durations end,
values stop to count, silences grow too long. `look_over` takes a rule that is new or switched on to
every entity of its type. Whoever moves conditions on holds the tenant's book. See ADR 0057.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Final

from haidang.context.events import EntitiesChanged, EntityChange
from haidang.context.merging import EntityState
from haidang.context.model import FUTURE_TOLERANCE, Selection
from haidang.context.series import Heard, instances_observed, present_entities
from haidang.context.service import query_entities
from haidang.infra.consumers import consumer_states
from haidang.infra.database import Connection
from haidang.infra.events import Envelope
from haidang.infra.failures import reason_of
from haidang.infra.telemetry import logger
from haidang.kernel.actors import Actor, part
from haidang.kernel.errors import HaidangError
from haidang.kernel.instants import Clock, Instant, parse_instant
from haidang.rules import store
from haidang.rules.conditions import IDLE, Phase, Sample, Timing, Turn, Watch, due_at, fold, lapse, step
from haidang.rules.model import ClearedBy
from haidang.rules.plans import (
    LONGEST,
    Declared,
    Known,
    Plan,
    declared_of,
    latest_of,
    plan_rule,
    samples_of,
    shown_value,
    standing_of,
)
from haidang.rules.store import Book, Kept, Standing
from haidang.rules.telling import Case, Tale, correct, settle, tell
from haidang.sdk.model import Pack, Quality

log = logger("rules")

CONSUMER: Final = "rules"
GRACE: Final = timedelta(seconds=2)
"""So long after its moment a deadline is looked at: what was written before it has its position by then."""

GAP: Final = timedelta(minutes=2)
"""Whoever has not looked at deadlines for so long was away, and nobody is silent for our own absence."""

AT_ONCE: Final = 500
_LATE_WITH_HYSTERESIS: Final = timedelta(days=1)
_TICK: Final = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Roll:
    """The rules that run, as of a revision of the book: by id, by the attributes they ask for, by type."""

    revision: int
    plans: Mapping[str, Plan]
    asking: Mapping[tuple[str, str], Sequence[Plan]]
    type_iris: frozenset[str]


@dataclass(slots=True)
class Touch:
    """What an event says of one rule at one entity: moments that are new, and moments that are late.

    What changed without a moment of its own (`written`) is looked at at the moment it was learned.
    """

    plan: Plan
    learned_at: Instant
    moments: set[Instant] = field(default_factory=set)
    late: set[Instant] = field(default_factory=set)
    written: bool = False


@dataclass(slots=True)
class _Work:
    """One rule at one entity on its way: what it is folded from, and how it began.

    `anew` is followed anew from the history up to `until`: only how it ends up counts.
    """

    case: Case
    touch: Touch
    moments: list[Instant]
    begins: Watch
    read_since: Instant | None = None
    anew: bool = False
    until: Instant | None = None


class Watcher:
    """Keeps the rules of packs and province ready, and moves their conditions on."""

    def __init__(self, packs: Iterable[Pack], clock: Clock) -> None:
        self._declared: Declared = declared_of(packs)
        self._clock = clock
        self._rolls: dict[str, Roll] = {}

    # --- the book ------------------------------------------------------------------------------

    async def _hold(self, connection: Connection, tenant: str) -> tuple[Roll, Book]:
        book = await store.hold_book(connection, tenant)
        roll = self._rolls.get(tenant)
        if roll is None or roll.revision != book.revision:
            roll = self._call_the_roll(book.revision, await store.all_rules(connection, tenant))
            self._rolls[tenant] = roll
        return roll, book

    def _call_the_roll(self, revision: int, kept: Iterable[store.StoredRule]) -> Roll:
        plans: dict[str, Plan] = {}
        asking: defaultdict[tuple[str, str], list[Plan]] = defaultdict(list)
        for one in kept:
            if not one.on or one.held:
                continue
            try:
                plan = plan_rule(one.rule, self._declared)
            except HaidangError as wrong:
                log.warning("rule-held", rule=one.rule.rule_id, reason=str(wrong))
                continue
            plans[one.rule.rule_id] = plan
            for iri in plan.iris:
                asking[plan.entity_type.iri, iri].append(plan)
        type_iris = frozenset(plan.entity_type.iri for plan in plans.values())
        return Roll(revision, plans, asking, type_iris)

    async def _hold_failed(self, connection: Connection, tenant: str, failed: Mapping[str, str]) -> None:
        """Hold rules that raised something, so that the others go on."""
        for rule_id, reason in failed.items():
            log.error("rule-failed", rule=rule_id, reason=reason)
            await store.hold_rule(connection, tenant, rule_id, reason)
        if failed:
            await store.turn_page(connection, tenant)
            self._rolls.pop(tenant, None)

    # --- what is told --------------------------------------------------------------------------

    async def take(self, connection: Connection, envelope: Envelope) -> None:
        """Move on what an event touches, in the caller's transaction."""
        event, tenant = envelope.read(EntitiesChanged), envelope.tenant
        roll, _ = await self._hold(connection, tenant)
        touched, gone = touched_by(roll, event)
        if not touched and not gone:
            return
        actor, tale = part("rules", tenant), Tale(self._clock.now())
        states = await present_entities(actor, connection, sorted({*touched, *gone}))
        standings = await store.watches_of_entities(connection, tenant, {*touched, *gone})
        work: list[_Work] = []
        for entity_id, touches in touched.items():
            state = states.get(entity_id)
            if state is None:
                continue
            for rule_id, touch in touches.items():
                before = standings.get((entity_id, rule_id))
                if before is not None or not _stays_idle(touch, state):
                    work += self._work(touch, state, before, tale)
        await self._do(actor, connection, work, tale)
        await self._bury(connection, tenant, [one for one in gone if one not in states], tale)
        await tell(actor, connection, tale)

    def _work(self, touch: Touch, state: EntityState, before: Standing | None, tale: Tale) -> list[_Work]:
        """What has to be folded for a touch; absences are settled at once."""
        plan = touch.plan
        case = Case(plan, state, plan.timing(state.attributes), before)
        if plan.rule.absent:
            _hear(case, tale)
            return []
        upto = before.watch.upto if before else None
        ahead = sorted(one for one in touch.moments if upto is None or one > upto)
        again = touch.late | {one for one in touch.moments if upto is not None and one <= upto}
        if again and (since := _read_anew_since(case, min(again), tale.now)) is not None:
            begins = IDLE
            if _came_after_raising(case, min(again)) and before is not None:
                begins = Watch(Phase.OPEN, before.watch.since, None, min(again), before.watch.value)
            until = max(touch.learned_at, upto or touch.learned_at, *touch.late, *touch.moments)
            return [_Work(case, touch, [], begins, since, anew=True, until=until)]
        if not ahead:
            return []
        begins = before.watch if before else IDLE
        since = None if _is_present(case, ahead) else _history_of(case, ahead[0])
        return [_Work(case, touch, ahead, begins, since)]

    async def _do(self, actor: Actor, connection: Connection, work: Sequence[_Work], tale: Tale) -> None:
        """Fold everything, reading the history once where it is needed, and once more for what has begun."""
        failed: dict[str, str] = {}
        begun: list[_Work] = []
        heard = await _read(actor, connection, work, tale.now)
        for one in work:
            rule = one.case.plan.rule
            if rule.rule_id in failed:
                continue
            try:
                after, turns = _folded(one, heard.get(one.case.state.entity_id, {}))
            except Exception as wrong:  # noqa: BLE001  # one rule's trouble is not another's
                failed[rule.rule_id] = reason_of(wrong)
                continue
            if one.anew:
                correct(tale, one.case, after)
            elif after.phase is Phase.PENDING and one.case.before is None and rule.lasting and not turns:
                since = (after.since or tale.now) - rule.lasting - (one.case.timing.fresh_for or timedelta(0))
                begun.append(_Work(one.case, one.touch, [], IDLE, since, anew=True, until=one.moments[-1]))
            else:
                settle(tale, one.case, after, turns)
        if begun:
            await self._do(actor, connection, begun, tale)
        await self._hold_failed(connection, actor.tenant, failed)

    async def _bury(self, connection: Connection, tenant: str, entity_ids: Sequence[str], tale: Tale) -> None:
        """Clear what is open at entities that are gone, and forget where rules stood there."""
        if not entity_ids:
            return
        alarms = await store.open_alarms_of_entities(connection, tenant, entity_ids)
        tale.cleared += [(alarm_id, tale.now, ClearedBy.ENTITY_GONE) for alarm_id in alarms]
        await store.drop_watches_of_entities(connection, tenant, entity_ids)

    # --- time ----------------------------------------------------------------------------------

    async def look(self, connection: Connection, tenant: str) -> int:
        """Let time pass at what is due, in the caller's transaction; how many conditions that were.

        Not beyond what the consumer has handled: what was written before a deadline counts for it.
        """
        now = self._clock.now()
        until = now - GRACE
        for one in await consumer_states(connection):
            if one.consumer == CONSUMER and one.waiting_since is not None:
                until = min(until, one.waiting_since)
        roll, book = await self._hold(connection, tenant)
        away = book.alive_at is None or now - book.alive_at > GAP
        listening_since = now if away or book.listening_since is None else book.listening_since
        await store.note_alive(connection, tenant, now, listening_since)
        due = await store.watches_due(connection, tenant, until, AT_ONCE)
        if not due:
            return 0
        actor, tale = part("rules", tenant), Tale(now)
        states = await present_entities(actor, connection, sorted({one.entity_id for one in due}))
        for standing in due:
            plan, state = roll.plans.get(standing.rule_id), states.get(standing.entity_id)
            if plan is None:
                # Held, or gone: what is open stays until somebody decides; nothing else is waited for.
                kept = Kept(standing.entity_id, standing.rule_id, standing.watch, None, standing.alarm_id)
                tale.kept.append(kept)
            elif state is not None:
                timing = plan.timing(state.attributes)
                quiet = None if timing.silence is None else listening_since + timing.silence
                _pass_time(Case(plan, state, timing, standing, quiet), tale, until)
        await self._bury(connection, tenant, sorted({one.entity_id for one in due} - set(states)), tale)
        await tell(actor, connection, tale)
        return len(due)

    # --- a rule that is new --------------------------------------------------------------------

    async def look_over(self, connection: Connection, tenant: str, rule_id: str, skip: int) -> int:
        """Take a rule to a page of the entities of its type as they are now; how many there were."""
        roll, _ = await self._hold(connection, tenant)
        plan = roll.plans.get(rule_id)
        if plan is None:
            return 0
        actor, tale = part("rules", tenant), Tale(self._clock.now())
        selection = Selection(type_groups=((plan.entity_type.iri,),))
        states = await query_entities(actor, connection, selection, limit=AT_ONCE, offset=skip)
        standings = await store.watches_of_entities(connection, tenant, [one.entity_id for one in states])
        work: list[_Work] = []
        for state in states:
            before = standings.get((state.entity_id, rule_id))
            moment = _newest(plan, state)
            upto = before.watch.upto if before else None
            if moment is not None and (upto is None or moment > upto):
                written = not any(latest_of(state.attributes, iri) for iri in plan.iris)
                touch = Touch(plan, tale.now, {moment}, written=written)
                work += self._work(touch, state, before, tale)
        await self._do(actor, connection, work, tale)
        await tell(actor, connection, tale)
        return len(states)


def touched_by(roll: Roll, event: EntitiesChanged) -> tuple[dict[str, dict[str, Touch]], list[str]]:
    """Which rules an event touches at which entities, and which entities it says are gone."""
    touched: dict[str, dict[str, Touch]] = {}
    gone: list[str] = []
    for change in event.changes:
        types = roll.type_iris.intersection(change.types)
        if not types:
            continue
        if change.operation == "deleted":
            gone.append(change.entity_id)
            continue
        for type_iri in types:
            _touch(roll, type_iri, change, event.learned_at, touched)
    return touched, gone


def _touch(
    roll: Roll,
    type_iri: str,
    change: EntityChange,
    learned_at: Instant,
    touched: dict[str, dict[str, Touch]],
) -> None:
    for attribute in change.attributes:
        plans = roll.asking.get((type_iri, attribute.name))
        if not plans or attribute.dataset_id is not None or attribute.deleted:
            continue
        touches = touched.setdefault(change.entity_id, {})
        for plan in plans:
            touch = touches.get(plan.rule.rule_id)
            if touch is None:
                touch = touches[plan.rule.rule_id] = Touch(plan, learned_at)
            if attribute.observed_at is None:
                touch.moments.add(learned_at)
                touch.written = True
            elif attribute.late:
                touch.late.add(attribute.observed_at)
            else:
                touch.moments.add(attribute.observed_at)


def _stays_idle(touch: Touch, state: EntityState) -> bool:
    """Whether an idle rule about one attribute has nothing to do: what nearly every change comes to.

    A shortcut: the fold would come to the same, at thirty times the cost.
    """
    plan = touch.plan
    if (
        plan.holds is None
        or len(plan.attributes) > 1
        or touch.late
        or len(touch.moments) > 1
        or touch.written
    ):
        return False
    iri = plan.attributes[0].iri
    latest = latest_of(state.attributes, iri)
    if latest is None or latest.at not in touch.moments:
        return False
    try:
        return latest.quality is not Quality.VALID or not plan.holds({iri: (latest.instance,)})
    except Exception:  # noqa: BLE001  # the long way holds the rule
        return False


def _newest(plan: Plan, state: EntityState) -> Instant | None:
    """The moment at which a rule is to be looked at first; None where it has nothing to look at."""
    moments = [one.at for iri in plan.iris if (one := latest_of(state.attributes, iri)) is not None]
    if moments:
        return max(moments)
    written = [
        parse_instant(instance["modifiedAt"])
        for instances in standing_of(state.attributes, plan.iris).values()
        for instance in instances
        if "modifiedAt" in instance
    ]
    return max(written, default=None)


def _is_present(case: Case, moments: Sequence[Instant]) -> bool:
    """Whether the document alone says what a rule needs: one moment, the latest of all its attributes."""
    plan = case.plan
    if len(moments) > 1 or plan.rule.rate is not None:
        return False
    for iri in plan.iris:
        latest = latest_of(case.state.attributes, iri)
        if latest is None:
            continue
        if latest.at > moments[0] or (latest.quality is not Quality.VALID and len(plan.iris) > 1):
            return False
    return True


def _history_of(case: Case, moment: Instant) -> Instant:
    """Since when the history is read for a moment: back to where other attributes may have been said."""
    rate = case.plan.rule.rate
    back = rate.over if rate is not None else timedelta(0)
    if len(case.plan.iris) > 1:
        back = max(back, case.timing.fresh_for or LONGEST)
    return moment - back - _TICK


def _came_after_raising(case: Case, moment: Instant) -> bool:
    before = case.before
    if before is None or not before.watch.stands or before.watch.since is None:
        return False
    return moment > before.watch.since + case.timing.lasting


def _read_anew_since(case: Case, moment: Instant, now: Instant) -> Instant | None:
    """Since when a condition is followed anew for a late moment; None where that changes nothing now."""
    rule, before = case.plan.rule, case.before
    back = rule.lasting + rule.clear_lasting + (_LATE_WITH_HYSTERESIS if rule.clear_q else timedelta(0))
    if before is None:
        newest = _newest(case.plan, case.state)
        if not back or newest is None or moment <= newest - back:
            return None
        since = moment - rule.lasting - (case.timing.fresh_for or timedelta(0))
    elif _came_after_raising(case, moment):
        since = moment
    else:
        since = min(moment, before.watch.since or moment) - rule.lasting
        since -= case.timing.fresh_for or timedelta(0)
    return max(_history_of(case, since), now - 2 * LONGEST)


async def _read(
    actor: Actor, connection: Connection, work: Sequence[_Work], now: Instant
) -> dict[str, dict[str, list[Heard]]]:
    """The history that is needed, one query for those that need about as much."""
    found: dict[str, dict[str, list[Heard]]] = {}
    groups: defaultdict[int, list[_Work]] = defaultdict(list)
    for one in work:
        if one.read_since is not None:
            groups[max(0, (now - one.read_since) // timedelta(hours=6)).bit_length()].append(one)
    for group in groups.values():
        ids = sorted({one.case.state.entity_id for one in group})
        iris = sorted({iri for one in group for iri in one.case.plan.iris})
        since = min(one.read_since for one in group if one.read_since is not None)
        read = await instances_observed(actor, connection, ids, iris, since, now + FUTURE_TOLERANCE)
        for entity_id, series in read.items():
            known = found.setdefault(entity_id, {})
            for iri, heard in series.items():
                if len(heard) > len(known.get(iri, ())):
                    known[iri] = heard
    return found


def _folded(one: _Work, history: Mapping[str, Sequence[Heard]]) -> tuple[Watch, list[Turn]]:
    case = one.case
    attributes, plan = case.state.attributes, case.plan
    heard = history
    if one.read_since is None:
        heard = {iri: [latest] for iri in plan.iris if (latest := latest_of(attributes, iri)) is not None}
    known = Known(heard, standing_of(attributes, plan.iris))
    if one.anew:
        samples = [
            sample
            for sample in samples_of(plan, known, case.timing, None)
            if (one.begins.upto is None or sample.at >= one.begins.upto)
            and (one.until is None or sample.at <= one.until)
        ]
        return fold(case.timing, one.begins, samples, one.until)
    told = {item.at for iri in plan.iris for item in heard.get(iri, ()) if item.quality is Quality.VALID}
    if one.touch.written:
        told.add(one.touch.learned_at)
        told.update(one.moments if not heard else ())
    moments = [moment for moment in one.moments if moment in told]
    return fold(case.timing, one.begins, samples_of(plan, known, case.timing, moments))


def _hear(case: Case, tale: Tale) -> None:
    """Something was heard of what an absence waits for: begin to wait, or end the silence."""
    latest = latest_of(case.state.attributes, case.plan.shown.iri)
    if latest is None:
        return
    if case.before is None:
        after = Watch(Phase.IDLE, upto=latest.at, value=shown_value(latest.instance))
        settle(tale, case, after, [])
    elif case.before.watch.stands and _is_heard(case.timing, latest.at, tale.now):
        sample = Sample(latest.at, holds=True, over=False, value=shown_value(latest.instance))
        settle(tale, case, *step(case.timing, case.before.watch, sample))


def _is_heard(timing: Timing, at: Instant, now: Instant) -> bool:
    return timing.silence is not None and at + timing.silence > now


def _pass_time(case: Case, tale: Tale, until: Instant) -> None:
    """Let time pass at one condition; what stays as it is is looked at again in a minute at the earliest."""
    before = case.before
    if before is None:
        return
    watch = before.watch
    turns: list[Turn] = []
    if case.quiet_until is not None:
        latest = latest_of(case.state.attributes, case.plan.shown.iri)
        if latest is not None and (watch.upto is None or latest.at > watch.upto):
            watch = replace(watch, upto=latest.at, value=shown_value(latest.instance))
    if case.quiet_until is None or case.quiet_until <= until:
        watch, turns = lapse(case.timing, watch, until)
    if turns or watch != before.watch:
        settle(tale, case, watch, turns)
        return
    due = due_at(case.timing, watch)
    if due is not None:
        due = max(due, until + timedelta(minutes=1), case.quiet_until or due)
    tale.kept.append(Kept(before.entity_id, before.rule_id, watch, due, before.alarm_id))
