"""The sentences of a pack that people read: where they stand, and their translations."""

import ast
import re
from collections.abc import Callable, Iterator
from dataclasses import fields
from itertools import chain
from pathlib import Path
from typing import Any

from babel.messages.catalog import Catalog
from jinja2 import Environment, TemplateSyntaxError, nodes
from jinja2.ext import extract_from_ast

from haidang.sdk.model import Pack

SENTENCES = ("label", "title", "summary", "description", "method", "note", "owner", "publisher", "advice")
"""The fields of declarations that hold message ids."""

TABLES = ("TITLES", "LABELS", "MESSAGES")
"""How the names of tables end whose strings are message ids."""

_FIELD = re.compile(r"\{(\w*)\}|%\((\w+)\)")


def translations_of(catalogue: Catalog, sentence: str) -> list[str]:
    """The translations of a sentence (one for each plural form); none when fuzzy, missing or partly so."""
    message = catalogue.get(sentence)
    if message is None or message.fuzzy:
        return []
    forms = [message.string] if isinstance(message.string, str) else list(message.string or ())
    return forms if all(forms) else []


def fields_of(text: str) -> set[str]:
    """The names of the fields in a sentence: `{field}` or `%(field)s`."""
    return {brace or percent for brace, percent in _FIELD.findall(text)}


def message_ids(pack: Pack, folder: Path) -> dict[str, str]:
    """Every sentence of a pack that people read, with the first place it stands in."""
    places: dict[str, str] = {}
    for place, sentence in chain(
        _declared("pack", pack),
        *(_declared(one.name, one) for one in pack.entity_types),
        *(_declared(f"{kind.name}.{one.name}", one) for kind in pack.entity_types for one in kind.attributes),
        *(_declared(_name_of(one), one) for one in _declarations(pack)),
        _in_files(folder),
    ):
        places.setdefault(sentence, place)
    return places


def _declarations(pack: Pack) -> Iterator[Any]:
    """Every declaration of a pack but its entity types."""
    for part in fields(pack):
        declared = getattr(pack, part.name)
        if isinstance(declared, tuple) and part.name != "entity_types":
            yield from declared


def _name_of(declaration: Any) -> str:
    """A declaration by its kind and its first field, which is its id."""
    return f"{type(declaration).__name__} {getattr(declaration, fields(declaration)[0].name)}"


def _declared(place: str, declaration: Any) -> Iterator[tuple[str, str]]:
    for name in SENTENCES:
        sentence = getattr(declaration, name, "")
        if sentence:
            yield place, sentence


def _in_files(folder: Path) -> Iterator[tuple[str, str]]:
    for path in sorted(folder.rglob("*.py")):
        tree = ast.parse(path.read_text("utf-8"))
        for sentence in chain(_error_sentences(tree), _table_sentences(tree)):
            yield str(path.relative_to(folder)), sentence
    for path in template_files(folder):
        for sentence in _template_sentences(path):
            yield str(path.relative_to(folder)), sentence


_KINDS = frozenset({"HaidangError", "NotFound", "Denied", "Invalid", "Conflict", "Unavailable"})


def _error_sentences(tree: ast.Module) -> Iterator[str]:
    """The first line of the docstring of each error class in a module."""
    errors = set(_KINDS)
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef) and any(
            isinstance(base, ast.Name) and base.id in errors for base in node.bases
        ):
            errors.add(node.name)
            yield (ast.get_docstring(node) or node.name).splitlines()[0].strip()


def _table_sentences(tree: ast.Module) -> Iterator[str]:
    """The strings of tables of sentences: the values of a mapping, the members of a sequence."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None:
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            if any(isinstance(one, ast.Name) and one.id.endswith(TABLES) for one in targets):
                table = node.value
                parts = table.values if isinstance(table, ast.Dict) else getattr(table, "elts", [])
                for part in parts:
                    if isinstance(part, ast.Constant) and isinstance(part.value, str):
                        yield part.value


def template_files(folder: Path) -> list[Path]:
    """Every file under `templates/`."""
    return sorted(path for path in (folder / "templates").rglob("*") if path.is_file())


def template_environment() -> Environment:
    """Jinja as the platform sets it up: line breaks in a sentence do not count."""
    environment = Environment(
        extensions=["jinja2.ext.i18n", "jinja2.ext.do"], autoescape=True, trim_blocks=True, lstrip_blocks=True
    )
    environment.policies["ext.i18n.trimmed"] = True
    install: Callable[..., None] = environment.install_null_translations  # type: ignore[attr-defined]  # the extension adds it
    install(newstyle=True)
    return environment


def _template_sentences(path: Path) -> Iterator[str]:
    """The sentences of a template: `{% trans %}`, `_("…")`, `"…"|label`."""
    try:
        tree = template_environment().parse(path.read_text("utf-8"))
    except (TemplateSyntaxError, UnicodeDecodeError):
        return  # a finding of the pages
    for _line, function, found in extract_from_ast(tree):
        strings = [part for part in (found if isinstance(found, tuple) else (found,)) if part]
        if "pgettext" in function:
            strings = strings[1:]
        yield from strings[:1]
    for filtered in tree.find_all(nodes.Filter):
        if filtered.name == "label" and isinstance(filtered.node, nodes.Const):
            yield str(filtered.node.value)
