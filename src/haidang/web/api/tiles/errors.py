"""What can be wrong with a request for a tile."""

from haidang.kernel.errors import Invalid, NotFound


class DayUnreadable(Invalid):
    """{text} is not a day; write it as 2025-07-01."""


class EntityTypeUnknown(NotFound):
    """There is no entity type {name}."""
