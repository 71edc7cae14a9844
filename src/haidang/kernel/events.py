"""What every room's `events.py` is made of: facts, told after they happened."""

from typing import ClassVar

import msgspec


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """A fact that a room publishes in the transaction that made it true.

    A subclass names itself (`kind`, "room.sentence" as in `context.entities-changed`) and its
    schema `version`; `subject` is the URN the fact is about. The envelope (position, tenant,
    actor, cause, trace id, time) is added by the log.
    """

    kind: ClassVar[str]
    version: ClassVar[int] = 1

    subject: str
