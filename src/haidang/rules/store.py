"""Runs the SQL of `rules`, and nobody else's: rows in, structs out."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from haidang.infra.database import Connection, Row
from haidang.infra.queries import load_queries
from haidang.kernel.actors import Audience
from haidang.kernel.instants import Instant
from haidang.rules.conditions import Phase, Watch
from haidang.rules.model import (
    Alarm,
    AlarmAct,
    AlarmCounts,
    AlarmLine,
    AlarmState,
    RuleOrigin,
)
from haidang.sdk.model import Rule, Severity

queries = load_queries(Path(__file__).parent / "sql")


def document_of(rule: Rule) -> Any:
    """A rule as JSON keeps it."""
    return msgspec.to_builtins(rule)


def rule_of(document: Any) -> Rule:
    """A rule as JSON kept it."""
    return msgspec.convert(document, Rule)


# --- the book ----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Book:
    """Which rules run, and since when somebody has looked at their deadlines without a gap."""

    revision: int
    alive_at: Instant | None
    listening_since: Instant | None


async def hold_book(connection: Connection, tenant: str) -> Book:
    """The tenant's book, made if need be, held until the transaction ends."""
    row = await queries.hold_book(connection, tenant=tenant)
    if row is None:
        await queries.open_book(connection, tenant=tenant)
        row = await queries.hold_book(connection, tenant=tenant)
    return Book(row["revision"], row["alive_at"], row["listening_since"])


async def turn_page(connection: Connection, tenant: str) -> None:
    """Say that the rules have changed; the book is held."""
    await queries.turn_page(connection, tenant=tenant)


async def note_alive(connection: Connection, tenant: str, now: Instant, listening_since: Instant) -> None:
    """Deadlines were looked at now."""
    await queries.note_alive(connection, tenant=tenant, now=now, listening_since=listening_since)


@dataclass(frozen=True, slots=True)
class StoredRule:
    """A rule as it is kept. `shipped` and `compared` are its pack's version now, and when last compared."""

    rule: Rule
    pack_id: str
    origin: RuleOrigin
    shipped: Rule | None
    compared: Rule | None
    on: bool
    switched: bool
    changed_at: Instant
    changed_by: str
    reason: str
    held: str = ""
    open_alarms: int = 0


async def all_rules(connection: Connection, tenant: str) -> list[StoredRule]:
    """Every rule, by its id."""
    return [
        StoredRule(
            rule=rule_of(row["document"]),
            pack_id=row["pack_id"],
            origin=RuleOrigin(row["origin"]),
            shipped=None if row["shipped"] is None else rule_of(row["shipped"]),
            compared=None if row["compared"] is None else rule_of(row["compared"]),
            on=row["is_on"],
            switched=row["switched"],
            changed_at=row["changed_at"],
            changed_by=row["changed_by"],
            reason=row["reason"],
            held=row["held"],
            open_alarms=row["open_alarms"],
        )
        async for row in queries.all_rules(connection, tenant=tenant)
    ]


async def keep_rule(connection: Connection, tenant: str, kept: StoredRule, what: str | None) -> None:
    """Keep a rule as it is from now on, and (`what`) a line about the change."""
    await queries.keep_rule(
        connection,
        tenant=tenant,
        rule_id=kept.rule.rule_id,
        pack_id=kept.pack_id,
        origin=kept.origin.value,
        document=document_of(kept.rule),
        shipped=None if kept.shipped is None else document_of(kept.shipped),
        compared=None if kept.compared is None else document_of(kept.compared),
        is_on=kept.on,
        switched=kept.switched,
        changed_at=kept.changed_at,
        changed_by=kept.changed_by,
        reason=kept.reason,
    )
    if what is not None:
        await note_change(connection, tenant, kept, what)


async def note_change(connection: Connection, tenant: str, kept: StoredRule, what: str) -> None:
    """A line about a change of a rule."""
    await queries.note_change(
        connection,
        tenant=tenant,
        rule_id=kept.rule.rule_id,
        what=what,
        document=document_of(kept.rule),
        changed_at=kept.changed_at,
        changed_by=kept.changed_by,
        reason=kept.reason,
    )


async def withdraw_rule(connection: Connection, tenant: str, rule_id: str) -> None:
    """Delete a rule that nobody declares any more; its alarms stay."""
    await queries.withdraw_rule(connection, tenant=tenant, rule_id=rule_id)


async def hold_rule(connection: Connection, tenant: str, rule_id: str, held: str) -> None:
    """Hold a rule that failed."""
    await queries.hold_rule(connection, tenant=tenant, rule_id=rule_id, held=held[:500])


# --- where rules stand -------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a rule stands at an entity, and what its open alarm says, if it has one."""

    entity_id: str
    rule_id: str
    watch: Watch
    alarm_id: str | None = None
    told_at: Instant | None = None
    told_value: float | str | None = None
    told_severity: str | None = None


def _standing(row: Row) -> Standing:
    watch = Watch(Phase(row["phase"]), row["since"], row["turning_since"], row["upto"], row["value"])
    return Standing(
        row["entity_id"],
        row["rule_id"],
        watch,
        row["alarm_id"],
        row["told_at"],
        row["told_value"],
        row["told_severity"],
    )


async def watches_of_entities(
    connection: Connection, tenant: str, entity_ids: Iterable[str]
) -> dict[tuple[str, str], Standing]:
    """Where rules stand at entities, by entity and rule."""
    rows = queries.watches_of_entities(connection, tenant=tenant, entity_ids=sorted(entity_ids))
    return {(row["entity_id"], row["rule_id"]): _standing(row) async for row in rows}


async def watches_due(connection: Connection, tenant: str, until: Instant, most: int) -> list[Standing]:
    """Where time alone changes something by then."""
    rows = queries.watches_due(connection, tenant=tenant, until=until, most=most)
    return [_standing(row) async for row in rows]


@dataclass(frozen=True, slots=True)
class Kept:
    """Where a rule stands from now on, and when to look again."""

    entity_id: str
    rule_id: str
    watch: Watch
    due_at: Instant | None
    alarm_id: str | None


async def keep_watches(connection: Connection, tenant: str, kept: Sequence[Kept]) -> None:
    """Write down where rules stand; an entity and rule once."""
    if not kept:
        return
    await queries.keep_watches(
        connection,
        tenant=tenant,
        entity_ids=[one.entity_id for one in kept],
        rule_ids=[one.rule_id for one in kept],
        phases=[one.watch.phase.value for one in kept],
        since=[one.watch.since for one in kept],
        turning_since=[one.watch.turning_since for one in kept],
        upto=[one.watch.upto for one in kept],
        values_=[one.watch.value for one in kept],
        due_at=[one.due_at for one in kept],
        alarm_ids=[one.alarm_id for one in kept],
    )


async def drop_watches(connection: Connection, tenant: str, pairs: Sequence[tuple[str, str]]) -> None:
    """These rules stand idle at these entities."""
    if pairs:
        entity_ids, rule_ids = zip(*pairs, strict=True)
        await queries.drop_watches(
            connection, tenant=tenant, entity_ids=list(entity_ids), rule_ids=list(rule_ids)
        )


async def drop_watches_of_rule(connection: Connection, tenant: str, rule_id: str, *, open_too: bool) -> None:
    """Forget where a rule stands: where it has no open alarm, or everywhere."""
    await queries.drop_watches_of_rule(connection, tenant=tenant, rule_id=rule_id, open_too=open_too)


async def drop_watches_of_entities(connection: Connection, tenant: str, entity_ids: Sequence[str]) -> None:
    """Forget where rules stand at entities that are gone."""
    await queries.drop_watches_of_entities(connection, tenant=tenant, entity_ids=list(entity_ids))


# --- alarms ------------------------------------------------------------------------------------

_SAID_AT_MOST = 2_000


def _alarm(row: Row) -> Alarm:
    placed = row["longitude"] is not None and row["latitude"] is not None
    return Alarm(
        alarm_id=row["alarm_id"],
        rule_id=row["rule_id"],
        label=row["label"],
        advice=row["advice"],
        entity_id=row["entity_id"],
        entity_type=row["entity_type"],
        entity_name=row["entity_name"],
        severity=Severity(row["severity"]),
        state=AlarmState(row["state"]),
        since=row["since"],
        raised_at=row["raised_at"],
        updated_at=row["updated_at"],
        cleared_at=row["cleared_at"],
        value=row["value"],
        unit=row["unit"],
        acknowledged_at=row["acknowledged_at"],
        acknowledged_by=row["acknowledged_by"],
        shelved_until=row["shelved_until"],
        comments=row["comments"],
        version=row["version"],
        synthetic=row["synthetic"],
        position=(row["longitude"], row["latitude"]) if placed else None,
        audience=Audience(row["audience"]),
    )


async def insert_alarms(connection: Connection, tenant: str, alarms: Sequence[Alarm], now: Instant) -> None:
    """New alarms, raised now; some are over already."""
    await queries.insert_alarms(
        connection,
        tenant=tenant,
        alarm_ids=[one.alarm_id for one in alarms],
        rule_ids=[one.rule_id for one in alarms],
        labels=[one.label for one in alarms],
        advices=[one.advice for one in alarms],
        entity_ids=[one.entity_id for one in alarms],
        entity_types=[one.entity_type for one in alarms],
        entity_names=[one.entity_name for one in alarms],
        audiences=[one.audience.value for one in alarms],
        severities=[one.severity.value for one in alarms],
        states=[one.state.value for one in alarms],
        since=[one.since for one in alarms],
        cleared_at=[one.cleared_at for one in alarms],
        raised_at=now,
        values_=[one.value for one in alarms],
        units=[one.unit for one in alarms],
        synthetic=[one.synthetic for one in alarms],
        longitudes=[one.position[0] if one.position else None for one in alarms],
        latitudes=[one.position[1] if one.position else None for one in alarms],
    )


@dataclass(frozen=True, slots=True)
class News:
    """What an open alarm says from now on."""

    alarm_id: str
    rule_id: str
    entity_id: str
    severity: Severity
    since: Instant
    value: float | str | None


async def update_alarms(connection: Connection, tenant: str, news: Sequence[News], now: Instant) -> None:
    """Open alarms say something else."""
    await queries.update_alarms(
        connection,
        tenant=tenant,
        alarm_ids=[one.alarm_id for one in news],
        severities=[one.severity.value for one in news],
        since=[one.since for one in news],
        values_=[one.value for one in news],
        now=now,
    )


@dataclass(frozen=True, slots=True)
class ClearedAlarm:
    """An alarm that was open and is cleared now, as its event tells it."""

    alarm_id: str
    rule_id: str
    entity_id: str
    severity: Severity
    cleared_at: Instant


async def clear_alarms(
    connection: Connection, tenant: str, cleared: Sequence[tuple[str, Instant]], now: Instant
) -> list[ClearedAlarm]:
    """Clear those of these alarms that are open."""
    rows = queries.clear_alarms(
        connection,
        tenant=tenant,
        alarm_ids=[alarm_id for alarm_id, _ in cleared],
        cleared_at=[at for _, at in cleared],
        now=now,
    )
    return [
        ClearedAlarm(
            row["alarm_id"], row["rule_id"], row["entity_id"], Severity(row["severity"]), row["cleared_at"]
        )
        async for row in rows
    ]


async def insert_lines(
    connection: Connection,
    tenant: str,
    lines: Sequence[tuple[str, AlarmAct, str]],
    *,
    by: str,
    now: Instant,
) -> None:
    """What happened to alarms: which, what, in which words."""
    await queries.insert_lines(
        connection,
        tenant=tenant,
        alarm_ids=[alarm_id for alarm_id, _, _ in lines],
        at=now,
        kinds=[kind.value for _, kind, _ in lines],
        said_by=by,
        said=[said[:_SAID_AT_MOST] for _, _, said in lines],
    )


async def open_alarms_of_rule(connection: Connection, tenant: str, rule_id: str) -> list[str]:
    """The open alarms of a rule."""
    rows = queries.open_alarms_of_rule(connection, tenant=tenant, rule_id=rule_id)
    return [row["alarm_id"] async for row in rows]


async def open_alarms_of_entities(
    connection: Connection, tenant: str, entity_ids: Sequence[str]
) -> list[str]:
    """The open alarms of entities."""
    rows = queries.open_alarms_of_entities(connection, tenant=tenant, entity_ids=list(entity_ids))
    return [row["alarm_id"] async for row in rows]


async def alarms_seen(
    connection: Connection,
    tenant: str,
    audiences: Sequence[str],
    *,
    now: Instant,
    state: str,
    severity: Severity | None,
    rule_id: str | None,
    shelved: bool,
    before: Instant | None,
    most: int,
) -> list[Alarm]:
    """A page of alarms that may be seen."""
    rows = queries.alarms_seen(
        connection,
        tenant=tenant,
        audiences=list(audiences),
        now=now,
        state=state,
        severity=None if severity is None else severity.value,
        rule_id=rule_id,
        shelved=shelved,
        before=before,
        most=most,
    )
    return [_alarm(row) async for row in rows]


async def alarm_seen(
    connection: Connection, tenant: str, audiences: Sequence[str], alarm_id: str, *, hold: bool = False
) -> Alarm | None:
    """One alarm, if it may be seen; held until the transaction ends if `hold`."""
    query = queries.alarm_held if hold else queries.alarm_seen
    row = await query(connection, tenant=tenant, audiences=list(audiences), alarm_id=alarm_id)
    return None if row is None else _alarm(row)


async def lines_of_alarm(connection: Connection, tenant: str, alarm_id: str) -> list[AlarmLine]:
    """What happened to an alarm, oldest first."""
    rows = queries.lines_of_alarm(connection, tenant=tenant, alarm_id=alarm_id)
    return [AlarmLine(row["at"], AlarmAct(row["kind"]), row["said_by"], row["said"]) async for row in rows]


async def count_open(
    connection: Connection, tenant: str, audiences: Sequence[str], now: Instant
) -> AlarmCounts:
    """How many are open."""
    by_severity = dict.fromkeys(Severity, 0)
    unacknowledged = shelved = 0
    async for row in queries.count_open(connection, tenant=tenant, audiences=list(audiences), now=now):
        if row["shelved"]:
            shelved += row["alarms"]
        else:
            by_severity[Severity(row["severity"])] += row["alarms"]
            unacknowledged += row["unacknowledged"]
    return AlarmCounts(by_severity, unacknowledged, shelved)


async def mark_acknowledged(
    connection: Connection, tenant: str, alarm_id: str, *, by: str, now: Instant
) -> None:
    """Somebody has taken note."""
    await queries.mark_acknowledged(connection, tenant=tenant, alarm_id=alarm_id, said_by=by, now=now)


async def count_comment(connection: Connection, tenant: str, alarm_id: str, *, now: Instant) -> None:
    """Somebody has said something."""
    await queries.count_comment(connection, tenant=tenant, alarm_id=alarm_id, now=now)


async def mark_shelved(
    connection: Connection, tenant: str, alarm_id: str, *, until: Instant | None, now: Instant
) -> None:
    """Somebody has put it aside, or taken it back."""
    await queries.mark_shelved(connection, tenant=tenant, alarm_id=alarm_id, until=until, now=now)
