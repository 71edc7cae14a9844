"""What can go wrong with sheets."""

from haidang.kernel.errors import Conflict, Denied, Invalid, NotFound


class SheetsAreForOfficers(Denied):
    """Only officers may bring in sheets and take them back."""


class SheetFileUnknown(NotFound):
    """There is no such sheet."""


class SheetBatchUnknown(NotFound):
    """There is no such batch."""


class SheetTypeUnknown(Invalid):
    """There is no type named {entity_type} that a sheet can be mapped to."""


class SheetWithoutHeadings(Invalid):
    """No row of this sheet looks like headings above values."""


class SheetMappingIncomplete(Invalid):
    """This sheet cannot be taken yet: its columns are not all clear."""


class SheetTakenAlready(Conflict):
    """The very same file was taken already."""


class SheetBatchNotTaken(Conflict):
    """This batch was taken back already, or is being taken back."""
