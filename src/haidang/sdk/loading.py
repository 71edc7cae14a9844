"""Which packs are installed: the folders beside ours, and what other distributions announce."""

import importlib
import pkgutil
from collections.abc import Iterator
from functools import cache
from importlib.metadata import entry_points
from pathlib import Path
from types import ModuleType

from haidang.kernel.errors import Conflict, Invalid, NotFound
from haidang.sdk.model import Pack

ENTRY_POINTS = "haidang.packs"
BUILT_IN = "haidang.packs"
"""The package whose sub-packages are packs; it has the name of the entry point group on purpose."""


class PackUnknown(NotFound):
    """There is no pack {pack_id} here."""


class PackUndeclared(Invalid):
    """{module} declares no PACK."""


class PackTwice(Conflict):
    """Two packs are called {pack_id}: in {folder} and in {other_folder}."""


@cache
def installed_packs() -> tuple[Pack, ...]:
    """Every installed pack, in the order of their ids; read once a process."""
    return tuple(pack for pack, _ in _packs_and_folders())


def pack_folder(pack_id: str) -> Path:
    """The folder of an installed pack: its `templates/`, `locale/` and files are in it."""
    for pack, folder in _packs_and_folders():
        if pack.pack_id == pack_id:
            return folder
    raise PackUnknown(pack_id=pack_id)


@cache
def _packs_and_folders() -> tuple[tuple[Pack, Path], ...]:
    """Packs with their folders; refuses two of one id."""
    found: dict[str, tuple[Pack, Path]] = {}
    for module in _pack_modules():
        pack = pack_of(module)
        folder = folder_of(module)
        if pack.pack_id in found and found[pack.pack_id][1] != folder:
            raise PackTwice(pack_id=pack.pack_id, folder=folder, other_folder=found[pack.pack_id][1])
        found[pack.pack_id] = (pack, folder)
    return tuple(found[pack_id] for pack_id in sorted(found))


def _pack_modules() -> Iterator[ModuleType]:
    """The `pack` modules of the built-in folders, then those that entry points name."""
    built_in = importlib.import_module(BUILT_IN)
    for one in pkgutil.iter_modules(built_in.__path__):
        if one.ispkg:
            yield importlib.import_module(f"{BUILT_IN}.{one.name}.pack")
    for point in entry_points(group=ENTRY_POINTS):
        yield importlib.import_module(point.module)


def pack_of(module: ModuleType) -> Pack:
    """The declaration in a pack module."""
    pack = getattr(module, "PACK", None)
    if not isinstance(pack, Pack):
        raise PackUndeclared(module=module.__name__)
    return pack


def folder_of(module: ModuleType) -> Path:
    """The folder a pack module lies in."""
    if module.__file__ is None:
        raise PackUndeclared(module=module.__name__)
    return Path(module.__file__).parent
