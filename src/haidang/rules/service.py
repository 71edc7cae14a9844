"""Verbs of `rules`: alarms and what people do to them; rules, switched, changed and tried on history.

An alarm is seen by whoever sees entities of its type. Officers act on it, and `by` is the name under
which it is recorded.
"""

from haidang.infra.database import Connection
from haidang.kernel.actors import Actor
from haidang.kernel.instants import Instant
from haidang.rules.model import Alarm, AlarmCounts, AlarmLine, RuleState, Trial
from haidang.sdk.model import Rule, Severity

MOST_AT_ONCE = 500


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
    """Alarms that the actor may see: open ones gravest first and then newest, cleared ones newest first.

    `state` is open, cleared or all; those put aside are shown only where `shelved`. `before` is the
    `raised_at` of the last one of the page before.
    """
    raise NotImplementedError


async def alarm(actor: Actor, connection: Connection, alarm_id: str) -> tuple[Alarm, list[AlarmLine]]:
    """One alarm and what happened to it, oldest first; raises AlarmUnknown."""
    raise NotImplementedError


async def count_alarms(actor: Actor, connection: Connection, *, now: Instant) -> AlarmCounts:
    """How many alarms are open and not put aside, by severity, and how many nobody has acknowledged."""
    raise NotImplementedError


async def acknowledge_alarm(
    actor: Actor, connection: Connection, alarm_id: str, *, by: str, now: Instant
) -> Alarm:
    """Take note of an alarm. The second of two is told who was first: AlarmAlreadyAcknowledged."""
    raise NotImplementedError


async def comment_alarm(
    actor: Actor, connection: Connection, alarm_id: str, *, text: str, by: str, now: Instant
) -> Alarm:
    """Say something about an alarm, open or cleared."""
    raise NotImplementedError


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
    raise NotImplementedError


async def unshelve_alarm(
    actor: Actor, connection: Connection, alarm_id: str, *, by: str, now: Instant
) -> Alarm:
    """Take an alarm back before its time; raises AlarmNotShelved."""
    raise NotImplementedError


async def rules(actor: Actor, connection: Connection) -> list[RuleState]:
    """Every rule, by its id, with how many alarms it has open."""
    raise NotImplementedError


async def switch_rule(
    actor: Actor, connection: Connection, rule_id: str, *, on: bool, reason: str, by: str, now: Instant
) -> RuleState:
    """Switch a rule on or off; what it has open is cleared when it goes off. Raises RuleAlreadySwitched."""
    raise NotImplementedError


async def save_rule(actor: Actor, connection: Connection, rule: Rule, *, by: str, now: Instant) -> RuleState:
    """Keep the province's own rule, or its version of a pack's; raises RuleMalformed."""
    raise NotImplementedError


async def try_rule(
    actor: Actor, connection: Connection, rule: Rule, *, since: Instant, until: Instant
) -> Trial:
    """What a rule would have raised in (since, until], by the observations held now; changes nothing.

    Raises RuleMalformed, and TrialTooLarge for more than 31 days or 10,000 entities.
    """
    raise NotImplementedError
