"""What can go wrong in the context, as sentences with fields."""

from haidang.kernel.errors import Conflict, Denied, Invalid, NotFound, Unavailable


class EntityUnknown(NotFound):
    """There is no entity {entity_id}."""


class AttributeUnknown(NotFound):
    """The entity {entity_id} has no attribute {attribute}."""


class EntityAlreadyExists(Conflict):
    """The entity {entity_id} exists already."""


class WritingIsForMachines(Denied):
    """Only machines and parts of the platform may write to the context."""


class EntityWithoutType(Invalid):
    """The entity {entity_id} needs at least one type."""


class EntityIdMalformed(Invalid):
    """{entity_id} cannot be an entity id: it must be a URI."""


class ObservedInFuture(Invalid):
    """{attribute} was observed at {observed_at}, later than {latest}: check the device's clock."""


class ObservedTooEarly(Invalid):
    """{attribute} was observed at {observed_at}, before the year 1900: that cannot be meant."""


class TextUnstorable(Invalid):
    """The text of {where} contains a character that cannot be stored (U+0000 or a lone surrogate)."""


class NameUnusable(Invalid):
    """{name} cannot be a name here: it must be a URI of at most {longest} characters."""


class ValueUnstorable(Invalid):
    """The value of {attribute} cannot be stored: {reason}."""


class AttributeIsDerived(Invalid):
    """{attribute} of a {entity_type} is computed by the platform and cannot be written."""


class AttributeKindWrong(Invalid):
    """{attribute} of a {entity_type} is a {declared}, not a {given}."""


class AttributeKindDiffers(Invalid):
    """{attribute} is a {present}; a partial update cannot make it a {given}."""


class AttributeUnitWrong(Invalid):
    """{attribute} of a {entity_type} is measured in {declared}, not in {given}."""


class AttributeValueNotNumber(Invalid):
    """{attribute} of a {entity_type} is measured in {declared} and needs a number."""


class SameInstanceTwice(Invalid):
    """{attribute} is given more than once for the same dataset."""


class WriterBusy(Unavailable):
    """Too much is waiting to be written; nothing of this was. Please send it again in a moment."""


class WriterStopped(Unavailable):
    """The writer is stopping; nothing of this was written."""


class WriteFailed(Unavailable):
    """The database did not confirm this write; send the same again, with an Idempotency-Key."""


class PatternUnreadable(Invalid):
    """{pattern} is not a regular expression that can be used here."""


class QueryTookTooLong(Invalid):
    """The question takes too long to answer: narrow it."""


class FactsRefused(Invalid):
    """The facts {facts_id} were not loaded: {entity_id}: {reason}."""
