"""Alarms, what was said of them, and rules as the province runs them."""

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Final

from haidang.infra.progress import _
from haidang.kernel.actors import Audience
from haidang.kernel.errors import HaidangError
from haidang.kernel.instants import Instant
from haidang.sdk.model import Rule, Severity

LONGEST_SHELF: Final = timedelta(hours=24)
"""An alarm is put aside for a day at most: whoever still does not want it says so again."""

GRAVEST_FIRST: Final = (Severity.EXTREME, Severity.SEVERE, Severity.MODERATE, Severity.MINOR)


class AlarmState(StrEnum):
    """Whether what the rule watches for is still so."""

    OPEN = "open"
    CLEARED = "cleared"


class AlarmAct(StrEnum):
    """What happened to an alarm: the kinds of its lines."""

    RAISED = "raised"
    UPDATED = "updated"
    ACKNOWLEDGED = "acknowledged"
    COMMENTED = "commented"
    SHELVED = "shelved"
    UNSHELVED = "unshelved"
    CLEARED = "cleared"


class ClearedBy(StrEnum):
    """Why an alarm was cleared: the words of its last line; each is a message id."""

    CONDITION = _("the condition no longer holds")
    CORRECTION = _("later data showed otherwise")
    SWITCHED_OFF = _("the rule was switched off")
    ENTITY_GONE = _("the entity was deleted")
    RULE_GONE = _("the rule is no longer declared")
    RULE_CHANGED = _("the rule is about other things now")


@dataclass(frozen=True, slots=True)
class Alarm:
    """One time that a rule held of one entity.

    `since` is the observed moment at which the condition began (of a silence: the last observation),
    `raised_at` the moment at which it was told. `value` is that of the rule's first attribute, as it
    was last heard of, in `unit` (UN/CEFACT). `label` and `advice` are the rule's message ids, or its
    own words where the province wrote it. `position` is longitude, latitude.
    """

    alarm_id: str
    rule_id: str
    label: str
    advice: str
    entity_id: str
    entity_type: str
    entity_name: str
    severity: Severity
    state: AlarmState
    since: Instant
    raised_at: Instant
    updated_at: Instant
    cleared_at: Instant | None
    value: float | str | None
    unit: str | None
    acknowledged_at: Instant | None
    acknowledged_by: str
    shelved_until: Instant | None
    comments: int
    version: int
    synthetic: bool
    position: tuple[float, float] | None
    audience: Audience = Audience.PUBLIC


@dataclass(frozen=True, slots=True)
class AlarmLine:
    """One thing that happened to an alarm: when, what, by whom (empty: the platform), in which words."""

    at: Instant
    kind: AlarmAct
    by: str
    text: str


class RuleOrigin(StrEnum):
    """Who wrote the version of a rule that runs."""

    PACK = "pack"
    PROVINCE = "province"


@dataclass(frozen=True, slots=True)
class RuleState:
    """A rule as it runs: whose version, whether it is on and since when, and what hinders it.

    `held` says why it cannot be evaluated, and is empty where it can; `fault` is the same as an error,
    to be translated. `draft` is the newer version
    that a pack ships of a rule the province has changed: to compare, it does not run.
    """

    rule: Rule
    pack_id: str
    origin: RuleOrigin
    on: bool
    changed_at: Instant
    changed_by: str
    reason: str
    open_alarms: int
    held: str = ""
    fault: HaidangError | None = None
    draft: Rule | None = None


@dataclass(frozen=True, slots=True)
class AlarmCounts:
    """Open alarms that are not put aside, by severity; those nobody has acknowledged; those put aside."""

    by_severity: dict[Severity, int]
    unacknowledged: int
    shelved: int

    @property
    def open(self) -> int:
        """How many there are."""
        return sum(self.by_severity.values())


@dataclass(frozen=True, slots=True)
class TrialAlarm:
    """An alarm that a rule would have raised."""

    entity_id: str
    entity_name: str
    since: Instant
    raised_at: Instant
    cleared_at: Instant | None
    value: float | str | None


@dataclass(frozen=True, slots=True)
class Trial:
    """What a rule would have raised between two moments, and over how much it was tried."""

    rule: Rule
    since: Instant
    until: Instant
    raised: list[TrialAlarm]
    entities: int
    observations: int
