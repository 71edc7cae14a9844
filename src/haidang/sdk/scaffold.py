"""Writes a new pack: a folder that runs and passes its checks before a line of it is changed."""

import keyword
import re
from collections.abc import Mapping
from pathlib import Path
from string import Template

from haidang.kernel.errors import Conflict, Invalid

SKELETON = Path(__file__).with_name("skeleton")

_PACK_ID = re.compile(r"[a-z][a-z0-9]*(?:-[a-z0-9]+)*")
_LONGEST = 24


class PackNameUnusable(Invalid):
    """{pack_id} cannot be the name of a pack: at most 24 small letters, digits and single hyphens."""


class PackFileThere(Conflict):
    """There is a file {path} already; nothing was written."""


def new_pack(folder: Path, pack_id: str) -> list[Path]:
    """Write a pack and say what was written; nothing is, if any of it is there already.

    In a clone of the platform it goes beside the built-in packs, with its test, its page of the
    reference and its line of the changelog; anywhere else it becomes a distribution of its own,
    `haidang-pack-NAME`, that announces itself by an entry point.
    """
    if len(pack_id) > _LONGEST or not _PACK_ID.fullmatch(pack_id) or keyword.iskeyword(pack_id):
        raise PackNameUnusable(pack_id=pack_id[: 2 * _LONGEST])
    package = pack_id.replace("-", "_")
    if (folder / "src" / "haidang" / "packs").is_dir():
        module = f"haidang.packs.{package}"
        places = _beside_the_others(folder, pack_id, package)
    else:
        module = f"haidang_pack_{package}"
        places = _on_its_own(folder / f"haidang-pack-{pack_id}", module, package)
    for path in places:
        if path.exists():
            raise PackFileThere(path=path)
    words = {
        "pack_id": pack_id,
        "module": module,
        "type": "".join(part.capitalize() for part in pack_id.split("-")) + "Station",
        "test_imports": _test_imports(module),
    }
    for path, skeleton in places.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        text = (SKELETON / f"{skeleton}.tmpl").read_text("utf-8") if skeleton else ""
        path.write_text(Template(text).substitute(words), encoding="utf-8")
    return list(places)


def _package_files(package: Path) -> Mapping[Path, str]:
    return {
        package / "__init__.py": "",
        package / "pack.py": "pack.py",
        package / "stations.py": "stations.py",
        package / "pages.py": "pages.py",
        package / "templates" / "stations.html": "stations.html",
        package / "locale" / "vi.po": "vi.po",
    }


def _beside_the_others(root: Path, pack_id: str, package: str) -> Mapping[Path, str]:
    return {
        **_package_files(root / "src" / "haidang" / "packs" / package),
        root / "tests" / "packs" / f"test_{package}.py": "test_pack.py",
        root / "docs" / "reference" / f"pack-{pack_id}.md": "page.md",
        root / "changes" / f"+pack-{pack_id}.added.md": "changelog.md",
    }


def _on_its_own(root: Path, module: str, package: str) -> Mapping[Path, str]:
    return {
        root / "pyproject.toml": "pyproject.toml",
        **_package_files(root / "src" / module),
        root / "tests" / f"test_{package}.py": "test_pack.py",
        root / "README.md": "page.md",
        root / "CHANGELOG.md": "changelog.md",
    }


def _test_imports(module: str) -> str:
    """The imports of the pack's test, in the order that ruff wants them."""
    own = [
        f"from {module} import pages",
        f"from {module}.pack import PACK",
        f"from {module}.stations import EXAMPLE, decode",
    ]
    sdk = [
        "from haidang.sdk.conformance import check_pack",
        "from haidang.sdk.model import EntityView, Message, PageRequest, Reading, Rejected",
    ]
    fuzz = ["from hypothesis import given", "from hypothesis import strategies as st"]
    ours = own + sdk if module.startswith("haidang.") else sdk + own
    return "\n\n".join("\n".join(block) for block in (fuzz, ours))
