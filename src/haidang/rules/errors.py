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


class RuleIdUnusable(RuleMalformed):
    """A rule is named by small letters, digits and single hyphens, and {rule_id} is not."""


class RuleUnnamed(RuleMalformed):
    """Say what the alarm of the rule is called, in at most {most} characters."""


class RuleTypeUnknown(RuleMalformed):
    """No pack declares the entity type {entity_type}."""


class RuleAttributeUnknown(RuleMalformed):
    """{entity_type} has no attribute {attribute}."""


class RuleNeedsOneCondition(RuleMalformed):
    """A rule has exactly one of a query, an absence and a rate of change."""


class RuleAbsenceWithMore(RuleMalformed):
    """An absence has no other duration, and ends with the next observation."""


class RuleAbsenceUntimed(RuleMalformed):
    """Say for how long nothing is observed, or for how many rhythms, and not both."""


class RuleRhythmUnknown(RuleMalformed):
    """Nothing says in which rhythm {attribute} comes: say for how long nothing is observed instead."""


class RuleDurationWrong(RuleMalformed):
    """A duration of a rule is not negative, and at most {days} days."""


class RuleRateIncomplete(RuleMalformed):
    """A rate says by how much the value rises or falls, and within which time."""


class RuleComparesOtherKinds(RuleMalformed):
    """{attribute} is a number and is compared with something else."""


class RuleNeedsNumber(RuleMalformed):
    """{attribute} is no number."""


class RuleFailed(RuleMalformed):
    """The rule {rule_id} failed and is held: {reason}."""


class NameMissing(Invalid):
    """Say who is on duty here."""


class ReasonMissing(Invalid):
    """Say why."""


class WordsMissing(Invalid):
    """There is nothing written yet."""


class WordsTooLong(Invalid):
    """That is too long: {most} characters at most."""


class ShelfEndWrong(Invalid):
    """An alarm is put aside until a moment after now and at most {hours} hours ahead."""


class TrialTooLong(Invalid):
    """A rule is tried over {days} days at most, and the end comes after the beginning."""


class TrialOfTooManyEntities(Invalid):
    """A rule is tried on {most} things at most; of this type there are {found}."""


class TrialReadsTooMuch(Invalid):
    """A trial reads {most} observations at most. Choose a shorter time."""
