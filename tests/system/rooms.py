"""The rooms of the house as the contract in pyproject.toml lists them, and their files."""

import tomllib
from functools import cache
from pathlib import Path
from types import ModuleType

import haidang

ROOT = Path(__file__).resolve().parents[2]
SOURCE = Path(haidang.__file__ or "").parent


@cache
def layers() -> tuple[tuple[str, ...], ...]:
    """The rooms, highest line first; those on one line do not know each other."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    contract = next(one for one in project["tool"]["importlinter"]["contracts"] if one["id"] == "layers")
    return tuple(
        tuple(room.strip(" ()") for room in line.replace(":", "|").split("|")) for line in contract["layers"]
    )


def below(room: str) -> frozenset[str]:
    """The rooms on the lines under a room's; all of them for what is no room."""
    lines = layers()
    place = next((number for number, line in enumerate(lines) if room in line), -1)
    return frozenset(name for line in lines[place + 1 :] for name in line)


def room_of(module_or_path: str | Path) -> str:
    """The room a module (`haidang.context.store`) or file belongs to."""
    if isinstance(module_or_path, Path):
        return module_or_path.relative_to(SOURCE).parts[0].removesuffix(".py")
    return module_or_path.split(".")[1] if "." in module_or_path else ""


def python_files() -> list[Path]:
    """Every module of the package."""
    return sorted(SOURCE.rglob("*.py"))


def module_name(path: Path) -> str:
    """The dotted name of a module of the package."""
    parts = path.relative_to(SOURCE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imported(path: Path) -> ModuleType:
    """The module of a file, imported."""
    import importlib  # noqa: PLC0415  (only this function imports by name)

    return importlib.import_module(module_name(path))
