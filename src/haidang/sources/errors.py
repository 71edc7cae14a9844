"""What can go wrong with sources and with what they sent."""

from haidang.kernel.errors import Conflict, Denied, Invalid, NotFound


class IntakeIsForMachines(Denied):
    """Only machines and parts of the platform may bring in readings."""


class QuarantineIsForOfficers(Denied):
    """Only officers may see or replay what was quarantined."""


class QuarantinedMessageUnknown(NotFound):
    """There is no quarantined message {quarantine_id}."""


class QuarantinedMessageCut(Conflict):
    """Message {quarantine_id} was too large to be kept whole; it cannot be replayed."""


class SourceUnknown(NotFound):
    """No pack declares a source named {source_id}."""


class SourcesShareAName(Conflict):
    """Two packs declare a source named {source_id}."""


class SourceOfUnknownType(Invalid):
    """Source {source_id} speaks of {entity_type}, a type that its pack does not declare."""


class ReplayUnknown(NotFound):
    """There is no replay {replay_id}."""


class NothingWaits(Conflict):
    """No message waits in quarantine for this."""
