"""What import-linter cannot say: stores, packs, faces, the demo and events keep to their rooms."""

import unicodedata
from collections.abc import Iterator
from functools import cache

import grimp
import pytest

from tests.system.rooms import SOURCE, module_name, python_files, room_of


@cache
def graph() -> grimp.ImportGraph:
    return grimp.build_graph("haidang", cache_dir=None)


def imports() -> Iterator[tuple[str, str]]:
    """Every import of ours by ours: importer and imported."""
    for importer in graph().modules:
        for imported in graph().find_modules_directly_imported_by(importer):
            yield importer, imported


def is_within(module: str, *packages: str) -> bool:
    return any(module == package or module.startswith(f"{package}.") for package in packages)


def owner_of_store(module: str) -> str | None:
    """The package whose store a module is part of, if it is part of one."""
    parts = module.split(".")
    return ".".join(parts[: parts.index("store")]) if "store" in parts else None


def test_the_graph_is_not_empty() -> None:
    assert ("haidang.sdk.model", "haidang.kernel.instants") in set(imports())


def test_a_store_is_imported_by_its_own_room_only() -> None:
    strangers = [
        f"{importer} imports {imported}: call a verb of {owner}.service"
        for importer, imported in imports()
        if (owner := owner_of_store(imported)) and not is_within(importer, owner)
    ]
    assert strangers == []


@pytest.mark.parametrize(
    ("room", "allowed"), [("kernel", ("kernel",)), ("sdk", ("sdk", "kernel")), ("demo", ("demo", "kernel"))]
)
def test_a_room_that_promises_to_import_little_does(room: str, allowed: tuple[str, ...]) -> None:
    packages = tuple(f"haidang.{name}" for name in allowed)
    strangers = [
        f"{importer} imports {imported}"
        for importer, imported in imports()
        if is_within(importer, f"haidang.{room}") and not is_within(imported, *packages)
    ]
    assert strangers == []


def test_nobody_imports_the_demo() -> None:
    assert [pair for pair in imports() if room_of(pair[1]) == "demo" and room_of(pair[0]) != "demo"] == []


def test_a_pack_imports_the_sdk_the_kernel_and_itself() -> None:
    strangers = [
        f"{importer} imports {imported}"
        for importer, imported in imports()
        if is_within(importer, "haidang.packs")
        and not is_within(
            imported, "haidang.sdk", "haidang.kernel", ".".join(importer.split(".")[:3]), "haidang.packs"
        )
    ] + [
        f"{importer} imports another pack, {imported}"
        for importer, imported in imports()
        if is_within(importer, "haidang.packs")
        and is_within(imported, "haidang.packs")
        and importer.split(".")[:3] != imported.split(".")[:3]
    ]
    assert strangers == []


def test_nobody_imports_a_pack_by_name() -> None:
    strangers = [
        f"{importer} imports {imported}: packs are found, not named"
        for importer, imported in imports()
        if imported.startswith("haidang.packs.") and not is_within(importer, "haidang.packs")
    ]
    assert strangers == []


def test_a_face_imports_no_other_face() -> None:
    """A face is a package under `web`; `shared` is for all of them, `asgi` mounts them."""

    def face(module: str) -> str | None:
        parts = module.split(".")
        return parts[2] if len(parts) > 2 and parts[1] == "web" and parts[2] != "asgi" else None

    strangers = [
        f"{importer} imports {imported}"
        for importer, imported in imports()
        if face(importer) and face(imported) and face(imported) not in {face(importer), "shared"}
    ]
    assert strangers == []


def test_the_events_of_a_room_import_the_kernel_only() -> None:
    strangers = [
        f"{importer} imports {imported}"
        for importer, imported in imports()
        # infra's events are the log itself.
        if importer.endswith(".events") and importer not in {"haidang.kernel.events", "haidang.infra.events"}
        if not is_within(imported, "haidang.kernel", importer)
    ]
    assert strangers == []


def test_the_event_log_is_imported_from_above_only() -> None:
    """The layers contract lets anyone import a room's `events`; infra's are no public word."""
    strangers = [
        pair
        for pair in imports()
        if pair[1] == "haidang.infra.events" and room_of(pair[0]) in {"kernel", "sdk"}
    ]
    assert strangers == []


def test_package_files_are_empty() -> None:
    written = [
        path for path in python_files() if path.name == "__init__.py" and path.read_text("utf-8").strip()
    ]
    assert [module_name(path) for path in written] == []


def test_vietnamese_text_in_the_source_is_composed() -> None:
    """Decomposed letters look the same and compare unequal."""
    suffixes = {".py", ".sql", ".html", ".po", ".toml", ".txt", ".css", ".ts"}
    decomposed = [
        str(path.relative_to(SOURCE))
        for path in SOURCE.rglob("*")
        if path.suffix in suffixes and "static" not in path.parts
        if not unicodedata.is_normalized("NFC", path.read_text("utf-8"))
    ]
    assert decomposed == []
