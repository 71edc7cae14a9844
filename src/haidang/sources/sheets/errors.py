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


class SheetFeedUnknown(NotFound):
    """There is no such feed of sheets."""


class SheetFeedPlaceUnusable(Invalid):
    """Name an https address, or a folder below the folder for sheets (. for that folder itself)."""


class SheetFoldersNotSet(Invalid):
    """No folder for sheets is set on this machine (setting sheet_folder), so only addresses can be read."""


class SheetFeedNameless(Invalid):
    """Give the feed a name of 2 to 80 characters."""


class SheetFeedRhythmUnusable(Invalid):
    """A feed is looked at every 1 to 44640 minutes, and its share of refused cells is 0 to 100 percent."""


class SheetMappingUnknown(Invalid):
    """Choose how the sheets are read: send one of them by hand first, and take it."""


class SheetHeadingsChanged(Conflict):
    """Its headings are not those that were agreed on."""


class SheetLettersUncertain(Conflict):
    """It is not certain how its letters are written."""


class SheetHoldsNothing(Conflict):
    """Nothing in it would enter."""


class SheetMostlyRefused(Conflict):
    """Of its cells {percent} percent would be refused; more than {most} percent wait for a person."""


class SheetBroughtBefore(Conflict):
    """The same content was brought or taken before."""


class SheetAddressRefused(Invalid):
    """The address answered with status {status}."""
