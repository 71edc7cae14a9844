"""Every sentence that people read, gathered from where it stands, against the Vietnamese catalogues.

    python tools/messages.py            what has no Vietnamese yet; 1 when there is any
    python tools/messages.py --write    add those to the catalogues, to be translated there

A sentence stands in a template (`{% trans %}`, `_()`, `"…"|label`), in a call of a gettext function,
in the docstring of an error (its message id), in a table whose name ends in TITLES, LABELS or
MESSAGES, or in a declaration of a pack (`label=`, `title=`, `summary=`, `description=`).
"""

import ast
import sys
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeAlias

from babel.messages.catalog import Catalog
from babel.messages.pofile import read_po, write_po
from jinja2 import Environment, nodes
from jinja2.ext import extract_from_ast

SOURCE = Path(__file__).resolve().parents[1] / "src" / "haidang"
LANGUAGE = "vi"

Sentence: TypeAlias = str | tuple[str, str]
"""A message id, or one with its plural."""

_GETTEXT = {"_", "gettext", "ngettext", "pgettext", "npgettext"}
_TABLES = ("TITLES", "LABELS", "MESSAGES")
_DECLARED = {"label", "title", "summary", "description", "advice"}
_ERROR_KINDS = {"HaidangError", "NotFound", "Denied", "Invalid", "Conflict", "Unavailable"}


def in_template(text: str) -> Iterator[Sentence]:
    """The sentences of one Jinja template."""
    environment = Environment(
        extensions=["jinja2.ext.i18n", "jinja2.ext.do"], trim_blocks=True, lstrip_blocks=True, autoescape=True
    )
    environment.policies["ext.i18n.trimmed"] = True
    install: Callable[..., None] = environment.install_null_translations  # type: ignore[attr-defined]
    install(newstyle=True)  # as the platform does: a percent sign is doubled
    tree = environment.parse(text)
    for _, function, found in extract_from_ast(tree):
        strings = [part for part in (found if isinstance(found, tuple) else (found,)) if part]
        if function.startswith(("pgettext", "npgettext")):
            strings = strings[1:]
        if strings:
            yield (strings[0], strings[1]) if function.startswith("n") else strings[0]
    for filtered in tree.find_all(nodes.Filter):
        if filtered.name == "label" and isinstance(filtered.node, nodes.Const):
            yield str(filtered.node.value)


def in_python(text: str, *, declarations: bool) -> Iterator[Sentence]:
    """The sentences of one module; those of declarations only when asked."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Call):
            yield from _in_call(node, declarations=declarations)
        elif isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None:
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            if any(isinstance(one, ast.Name) and one.id.endswith(_TABLES) for one in targets):
                yield from _in_table(node.value)


def _in_call(call: ast.Call, *, declarations: bool) -> Iterator[Sentence]:
    name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
    strings = [_constant(argument) for argument in call.args]
    if name in _GETTEXT:
        # `translations.gettext(locale, msgid)` and `_(msgid)`: what is no literal is not ours to see.
        literal = [text for text in strings if text is not None]
        if name in {"pgettext", "npgettext"}:
            literal = literal[1:]
        if name in {"ngettext", "npgettext"} and len(literal) >= 2:
            yield literal[0], literal[1]
        elif literal:
            yield literal[0]
    if declarations:
        for keyword in call.keywords:
            if keyword.arg in _DECLARED and (text := _constant(keyword.value)):
                yield text


def _in_table(value: ast.expr) -> Iterator[Sentence]:
    parts = value.values if isinstance(value, ast.Dict) else getattr(value, "elts", [])
    for part in parts:
        if text := _constant(part):
            yield text


def _constant(node: ast.expr) -> str | None:
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else None


def error_sentences(modules: dict[Path, str]) -> Iterator[tuple[Path, str]]:
    """The sentence of every error class: its docstring's first line. Kinds are found by ancestry."""
    classes = [
        (path, node)
        for path, text in modules.items()
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.ClassDef)
    ]
    errors = set(_ERROR_KINDS)
    grew = True
    while grew:
        found = {
            node.name
            for _, node in classes
            if any((getattr(base, "id", None) or getattr(base, "attr", "")) in errors for base in node.bases)
        }
        grew = not found <= errors
        errors |= found
    for path, node in classes:
        if node.name in errors:
            yield path, (ast.get_docstring(node) or node.name).splitlines()[0].strip()


def owner(path: Path) -> Path:
    """The room, face or pack whose catalogue holds a file's sentences."""
    for folder in path.parents:
        if (folder / "locale").is_dir():
            return folder
        if folder.parent in {SOURCE, SOURCE / "packs"} or folder == SOURCE:
            return folder
    return SOURCE


def gather() -> dict[Path, dict[Sentence, Path]]:
    """Every sentence, by the folder that owns it, with a file it stands in."""
    gathered: dict[Path, dict[Sentence, Path]] = defaultdict(dict)
    modules = {
        path: path.read_text("utf-8")
        for path in sorted(SOURCE.rglob("*.py"))
        # The demo is the outside world: what it prints is its own affair.
        if SOURCE / "demo" not in path.parents
    }
    for path, text in modules.items():
        for sentence in in_python(text, declarations=SOURCE / "packs" in path.parents):
            gathered[owner(path)].setdefault(sentence, path)
    for path, sentence in error_sentences(modules):
        gathered[owner(path)].setdefault(sentence, path)
    for path in sorted(SOURCE.rglob("templates/**/*")):
        if path.is_file():
            for sentence in in_template(path.read_text("utf-8")):
                gathered[owner(path)].setdefault(sentence, path)
    return gathered


def catalogue_path(folder: Path) -> Path:
    """Where the Vietnamese of a folder stands."""
    return folder / "locale" / f"{LANGUAGE}.po"


def read_catalogue(folder: Path) -> Catalog:
    """The Vietnamese of a folder; empty when there is none yet."""
    path = catalogue_path(folder)
    if not path.is_file():
        return Catalog(locale=LANGUAGE, project="haidang", charset="utf-8")
    with path.open("rb") as file:
        return read_po(file, locale=LANGUAGE)


def translated(catalogue: Catalog) -> set[str]:
    """Message ids that have a translation that is not marked as fuzzy."""
    return {
        message.id if isinstance(message.id, str) else message.id[0]
        for message in catalogue
        if message.id
        and not message.fuzzy
        and all(message.string if isinstance(message.string, tuple | list) else (message.string,))
    }


def missing() -> dict[Path, dict[Sentence, Path]]:
    """Sentences without Vietnamese in any catalogue (they are merged when the platform starts)."""
    gathered = gather()
    folders = {*gathered, *(found.parent for found in SOURCE.rglob("locale"))}
    known = set().union(*(translated(read_catalogue(folder)) for folder in folders))
    return {
        folder: {
            sentence: path
            for sentence, path in sentences.items()
            if (sentence if isinstance(sentence, str) else sentence[0]) not in known
        }
        for folder, sentences in gathered.items()
    }


def write(folder: Path, sentences: dict[Sentence, Path]) -> None:
    """Add sentences to the catalogue of a folder, untranslated."""
    catalogue = read_catalogue(folder)
    for sentence in sentences:
        catalogue.add(sentence)
    catalogue_path(folder).parent.mkdir(exist_ok=True)
    with catalogue_path(folder).open("wb") as file:
        write_po(file, catalogue, width=110, omit_header=False, no_location=True)


def main(arguments: list[str]) -> int:
    """Report or write what is missing."""
    lacking = {folder: sentences for folder, sentences in missing().items() if sentences}
    for folder, sentences in sorted(lacking.items()):
        for sentence, path in sentences.items():
            print(f"{catalogue_path(folder).relative_to(SOURCE)}: {sentence!r} ({path.relative_to(SOURCE)})")
        if "--write" in arguments:
            write(folder, sentences)
    if not lacking:
        print("Mọi câu đã có tiếng Việt · every sentence has its Vietnamese")
    return 1 if lacking and "--write" not in arguments else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
