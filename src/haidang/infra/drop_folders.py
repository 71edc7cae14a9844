"""Folders into which others put files: read below one named folder, never through a link, within bounds.

Each part of a path is opened from the one before it and may not be a link, so that nothing that is
changed while it is read leads out of the named folder.
"""

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from haidang.infra.intake import FileTooLarge, safe_name
from haidang.kernel.errors import Invalid

_MOST_ENTRIES = 10_000
_PIECE_BYTES = 1024 * 1024
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class DropFolderUnusable(Invalid):
    """There is no folder {folder} that can be read below the folder for sheets; links are not followed."""


class DroppedFileUnusable(Invalid):
    """The file {name} cannot be read, or is not an ordinary file."""


@dataclass(frozen=True, slots=True)
class DroppedFile:
    """An ordinary file as the folder lists it."""

    name: str
    size_bytes: int
    changed_ns: int


def parts_of(folder: str) -> list[str]:
    """The parts of a path below the named folder (`.` is that itself); raises DropFolderUnusable."""
    if folder == ".":
        return []
    parts = folder.split("/")
    if any(one in {"", ".", ".."} or "\\" in one or not one.isprintable() for one in parts):
        raise DropFolderUnusable(folder=folder[:200])
    return parts


def list_dropped(root: Path, folder: str) -> list[DroppedFile]:
    """The ordinary files of a folder, oldest change first; hidden ones are left out."""
    found = []
    with _opened(root, folder) as place, os.scandir(place) as entries:
        for entry in islice(entries, _MOST_ENTRIES):
            told = entry.stat(follow_symlinks=False)
            if stat.S_ISREG(told.st_mode) and not entry.name.startswith((".", "~")):
                found.append(DroppedFile(entry.name, told.st_size, told.st_mtime_ns))
    return sorted(found, key=lambda one: (one.changed_ns, one.name))


def copy_dropped(root: Path, folder: str, name: str, to: Path, *, limit_bytes: int) -> int:
    """Copy one file out of a folder and return its size; raises FileTooLarge, DroppedFileUnusable."""
    with _opened(root, folder) as place:
        try:
            source = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=place)
        except OSError:
            raise DroppedFileUnusable(name=safe_name(name)) from None
    with os.fdopen(source, "rb") as file, to.open("wb") as copy:
        if not stat.S_ISREG(os.fstat(source).st_mode):
            raise DroppedFileUnusable(name=safe_name(name))
        size = 0
        while piece := file.read(_PIECE_BYTES):
            size += len(piece)
            if size > limit_bytes:
                raise FileTooLarge(name=safe_name(name), limit_bytes=limit_bytes)
            copy.write(piece)
    return size


@contextmanager
def _opened(root: Path, folder: str) -> Iterator[int]:
    parts = parts_of(folder)
    try:
        place = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError:
        raise DropFolderUnusable(folder=folder[:200]) from None
    try:
        for part in parts:
            try:
                inner = os.open(part, _FOLDER, dir_fd=place)
            except OSError:
                raise DropFolderUnusable(folder=folder[:200]) from None
            os.close(place)
            place = inner
        yield place
    finally:
        os.close(place)
