"""What `rules` tells the others: alarms raised, updated, cleared, and what people said to them.

The `subject` of each is the alarm, as its `alarm_id` is; `severity` is a word of CAP 1.2.
"""

from typing import ClassVar

from haidang.kernel.events import Event
from haidang.kernel.instants import Instant


class AlarmRaised(Event, frozen=True, kw_only=True):
    """A rule holds of an entity; told once. `since` is the observed moment at which it began to hold."""

    kind: ClassVar[str] = "rules.alarm-raised"

    alarm_id: str
    rule_id: str
    entity_id: str
    severity: str
    since: Instant


class AlarmUpdated(Event, frozen=True, kw_only=True):
    """An open alarm's value, severity or beginning is another now; at most once a minute."""

    kind: ClassVar[str] = "rules.alarm-updated"

    alarm_id: str
    rule_id: str
    entity_id: str
    severity: str


class AlarmCleared(Event, frozen=True, kw_only=True):
    """What an alarm was raised for is over; told once. `cleared_at` is the moment it is over since."""

    kind: ClassVar[str] = "rules.alarm-cleared"

    alarm_id: str
    rule_id: str
    entity_id: str
    severity: str
    cleared_at: Instant


class AlarmAcknowledged(Event, frozen=True, kw_only=True):
    """A person has taken note of an alarm."""

    kind: ClassVar[str] = "rules.alarm-acknowledged"

    alarm_id: str
    rule_id: str
    entity_id: str
    severity: str


class AlarmCommented(Event, frozen=True, kw_only=True):
    """A person has said something about an alarm."""

    kind: ClassVar[str] = "rules.alarm-commented"

    alarm_id: str
    rule_id: str
    entity_id: str
    severity: str


class AlarmShelved(Event, frozen=True, kw_only=True):
    """A person has put an alarm aside until a moment, or (`until` is None) taken it back from there."""

    kind: ClassVar[str] = "rules.alarm-shelved"

    alarm_id: str
    rule_id: str
    entity_id: str
    severity: str
    until: Instant | None = None
