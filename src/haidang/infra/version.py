"""Which version of the program this is."""

from importlib.metadata import PackageNotFoundError, version


def program_version() -> str:
    """The version of the installed package, or a word for a checkout that is only on the path."""
    try:
        return version("haidang")
    except PackageNotFoundError:
        return "checkout"
