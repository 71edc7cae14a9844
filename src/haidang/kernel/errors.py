"""Errors of five kinds: what went wrong, for whom, and whether trying again can help.

A concrete error is a class named as a sentence, whose docstring is the sentence a person
reads (its message id in the catalogue), with the fields it was raised with in braces.
"""

import re
from typing import Any, ClassVar


class HaidangError(Exception):
    """Something went wrong."""

    kind: ClassVar[str] = "unavailable"
    retry: ClassVar[bool] = False

    def __init__(self, **fields: Any) -> None:
        self.fields = fields
        super().__init__(self.sentence())

    @classmethod
    def code(cls) -> str:
        """The class name in kebab case: `IncidentAlreadyClosed` is `incident-already-closed`."""
        return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "-", cls.__name__).lower()

    @classmethod
    def message_id(cls) -> str:
        """The sentence of the class, untranslated, with its fields in braces."""
        return (cls.__doc__ or cls.__name__).strip().splitlines()[0].strip()

    def sentence(self, template: str | None = None) -> str:
        """The sentence with its fields filled in; `template` is its translation, if any."""
        return (template or self.message_id()).format_map(_Fields(self.fields))


class _Fields(dict[str, Any]):
    """Fields of a sentence; one that was not given shows as a dash instead of failing."""

    def __missing__(self, key: str) -> str:
        return "–"


class NotFound(HaidangError):
    """There is nothing here by that name."""

    kind = "not-found"


class Denied(HaidangError):
    """You may not do this."""

    kind = "denied"


class Invalid(HaidangError):
    """What was sent cannot be accepted."""

    kind = "invalid"


class Conflict(HaidangError):
    """This contradicts what is already there."""

    kind = "conflict"


class Unavailable(HaidangError):
    """This cannot be done right now; please try again later."""

    kind = "unavailable"
    retry = True
