"""What can go wrong with rules and alarms, as sentences with fields."""

from haidang.kernel.errors import Conflict, Denied, Invalid, NotFound


class AlarmsAreForOfficers(Denied):
    """Only officers may do something to an alarm."""


class RulesAreForOfficers(Denied):
    """Only officers may see, try, switch or change rules."""


class AlarmUnknown(NotFound):
    """There is no alarm {alarm_id}."""


class RuleUnknown(NotFound):
    """There is no rule {rule_id}."""


class AlarmAlreadyAcknowledged(Conflict):
    """The alarm was acknowledged by {by} at {at}."""


class AlarmAlreadyCleared(Conflict):
    """The alarm was cleared at {at}."""


class AlarmNotShelved(Conflict):
    """The alarm is not put aside."""


class RuleAlreadySwitched(Conflict):
    """The rule {rule_id} was switched by {by} at {at} already."""


class RuleMalformed(Invalid):
    """The rule {rule_id} cannot be used: {reason}."""


class WordsMissing(Invalid):
    """Say {what}."""


class WordsTooLong(Invalid):
    """That is too long: {most} characters at most."""


class ShelfEndWrong(Invalid):
    """An alarm is put aside until a moment after now and at most {hours} hours ahead."""


class TrialTooLarge(Invalid):
    """A trial takes {most} at most; this one would take {asked}. Choose a shorter time."""
