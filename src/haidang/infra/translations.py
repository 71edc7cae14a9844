"""What people read, in their language: gettext catalogues of every room and pack, merged at start.

A message id is an English sentence, so English needs no catalogue. A sentence that a language
does not have is shown in English and counted. Catalogues are read as they were written
(`<room or pack>/locale/<language>.po`); no compiled file exists.
"""

import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import ROUND_HALF_UP, Decimal, localcontext
from functools import cache
from gettext import c2py
from math import isfinite
from pathlib import Path
from typing import Any, Self

from babel import Locale, UnknownLocaleError
from babel.messages.pofile import PoFileError, read_po

import haidang
from haidang.infra.telemetry import counter
from haidang.kernel.errors import HaidangError
from haidang.kernel.instants import VIETNAM

SOURCE_LOCALE = "en"
"""The language message ids are written in."""

LOCALES = ("vi", "en")
"""The languages of the screen; the first is the one people get who asked for none."""

_MISSING_REMEMBERED = 5_000  # distinct sentences kept by name; beyond them only the total grows

MISSING = counter(
    "translations_missing", "Sentences shown in English for want of a translation.", ("locale",)
)

_Key = str | tuple[str, str]  # a message id, alone or with its context


class CatalogueBroken(HaidangError):
    """The catalogue {path} cannot be read: {reason}."""


class _Shown(dict[str, Any]):
    """Fields of a sentence; one that was not given shows as a dash instead of failing."""

    def __missing__(self, key: str) -> str:
        return "–"


@dataclass(slots=True)
class _Language:
    """One language: its sentences, the sentences with plural forms, and which form a number takes."""

    sentences: dict[_Key, str] = field(default_factory=dict)
    plurals: dict[_Key, tuple[tuple[str, ...], Callable[[int], int]]] = field(default_factory=dict)


def room_folders() -> list[Path]:
    """Every room, face and pack of this package that brings a catalogue, in the order of their names."""
    package = Path(haidang.__file__ or "").parent
    return sorted(found.parent for found in package.rglob("locale") if found.is_dir())


class Translations:
    """Every catalogue, by language.

    `missing` counts, by language and message id, what was asked for and not found; `clashes`
    names the message ids that two catalogues translate differently (the first one wins).
    """

    def __init__(self) -> None:
        self._languages: dict[str, _Language] = {}
        self.missing: Counter[tuple[str, str]] = Counter()
        self.missing_total = 0
        self.clashes: list[tuple[str, str]] = []

    @classmethod
    def load(cls, folders: Iterable[Path] | None = None) -> Self:
        """Read `<folder>/locale/*.po` of each folder; of every room when none are named."""
        translations = cls()
        for folder in dict.fromkeys(room_folders() if folders is None else folders):
            for path in sorted((folder / "locale").glob("*.po")):
                translations.add_catalogue(path)
        return translations

    @property
    def locales(self) -> tuple[str, ...]:
        """The languages people can choose from, Vietnamese first."""
        return LOCALES

    def add_catalogue(self, path: Path) -> None:
        """Merge one file, whose name is its language; raises CatalogueBroken."""
        locale = path.stem
        try:
            with path.open("rb") as file:
                catalogue = read_po(file, locale=Locale.parse(locale), abort_invalid=True)
            form_of = c2py(catalogue.plural_expr)
        except (OSError, ValueError, UnknownLocaleError, PoFileError) as trouble:
            raise CatalogueBroken(path=path, reason=trouble) from trouble
        language = self._languages.setdefault(locale, _Language())
        for message in catalogue:
            if not message.id or message.fuzzy:
                continue
            texts = message.string if isinstance(message.string, (tuple, list)) else (message.string,)
            if not all(texts):
                continue
            forms = tuple(unicodedata.normalize("NFC", str(text)) for text in texts)
            msgid = message.id if isinstance(message.id, str) else message.id[0]
            key: _Key = (message.context, msgid) if message.context else msgid
            if language.sentences.setdefault(key, forms[0]) != forms[0]:
                self.clashes.append((locale, msgid))
            if message.pluralizable:
                language.plurals.setdefault(key, (forms, form_of))

    def gettext(self, locale: str, msgid: str, /, **fields: Any) -> str:
        """The sentence in that language; `{fields}` in braces are filled in when any are given."""
        return self._filled(self._sentence(locale, msgid, msgid), fields)

    def pgettext(self, locale: str, context: str, msgid: str, /, **fields: Any) -> str:
        """As `gettext`, for a message id that means different things in different contexts."""
        return self._filled(self._sentence(locale, (context, msgid), msgid), fields)

    def ngettext(self, locale: str, singular: str, plural: str, number: int, /, **fields: Any) -> str:
        """The form of the sentence that `number` takes in that language."""
        return self._filled(self._form(locale, singular, singular, plural, number), fields)

    def npgettext(
        self, locale: str, context: str, singular: str, plural: str, number: int, /, **fields: Any
    ) -> str:
        """As `ngettext`, with a context."""
        return self._filled(self._form(locale, (context, singular), singular, plural, number), fields)

    def translate_error(self, error: HaidangError, locale: str) -> str:
        """The sentence of an error, with its fields as people of that language write them.

        A field that is itself a sentence of the catalogue (a reason) is translated too.
        """
        template = self.gettext(locale, error.message_id())
        sentences = self._language(locale).sentences
        shown = {
            name: sentences.get(value, value) if isinstance(value, str) else _shown(value, locale)
            for name, value in error.fields.items()
        }
        return template.format_map(_Shown(shown))

    def has(self, locale: str, msgid: str) -> bool:
        """Whether that language says this sentence: English says all of them."""
        return locale == SOURCE_LOCALE or msgid in self._language(locale).sentences

    def _language(self, locale: str) -> _Language:
        found = self._languages.get(locale)
        if found is None:
            found = self._languages.setdefault(locale, _Language())
        return found

    def _sentence(self, locale: str, key: _Key, msgid: str) -> str:
        if not msgid:
            return ""
        found = self._language(locale).sentences.get(key)
        if found is None:
            self._count_missing(locale, msgid)
            return msgid
        return found

    def _form(self, locale: str, key: _Key, singular: str, plural: str, number: int) -> str:
        found = self._language(locale).plurals.get(key)
        if found is None:
            self._count_missing(locale, singular)
            return singular if number == 1 else plural
        forms, form_of = found
        return forms[min(form_of(number), len(forms) - 1)]

    def _count_missing(self, locale: str, msgid: str) -> None:
        if locale == SOURCE_LOCALE:
            return
        self.missing_total += 1
        MISSING.labels(locale).inc()
        if len(self.missing) < _MISSING_REMEMBERED or (locale, msgid) in self.missing:
            self.missing[locale, msgid] += 1

    @staticmethod
    def _filled(text: str, fields: Mapping[str, Any]) -> str:
        return text.format_map(_Shown(fields)) if fields else text


def choose_locale(wanted: str | None, accept_language: str | None, default: str = LOCALES[0]) -> str:
    """The language of a page: the one asked for, else the first the browser accepts, else the default."""
    if wanted in LOCALES:
        return str(wanted)
    ranked: list[tuple[float, int, str]] = []
    for place, part in enumerate((accept_language or "").split(",")[:20]):
        name, _, parameters = part.strip().partition(";")
        weight = 1.0
        if parameters.strip().startswith("q="):
            try:
                weight = float(parameters.strip()[2:])
            except ValueError:
                continue
        language = name.strip().lower().split("-")[0]
        if language in LOCALES and weight > 0:
            ranked.append((-weight, place, language))
    return min(ranked)[2] if ranked else default


def number_text(value: float | None, digits: int | None, locale: str) -> str:
    """A number as people write it: 1.234,5 in Vietnamese, 1,234.5 in English; a dash for none.

    With `digits` given, exactly so many decimals, halves away from zero; else as many as it has.
    """
    if value is None or (isinstance(value, float) and not isfinite(value)):
        return "–"
    exact = Decimal(repr(value)) if isinstance(value, float) else Decimal(value)
    if digits is not None:
        with localcontext(prec=400):  # the widest float has 309 digits before the point
            exact = exact.quantize(Decimal(1).scaleb(-digits), rounding=ROUND_HALF_UP)
    elif exact == exact.to_integral_value():
        exact = exact.to_integral_value()
    if not exact:
        exact = abs(exact)  # no "-0"
    return f"{exact:,f}".translate(_separators(locale))


@cache
def _separators(locale: str) -> Mapping[int, str]:
    symbols = Locale.parse(locale).number_symbols["latn"]
    return str.maketrans({",": symbols["group"], ".": symbols["decimal"]})


def clock_text(at: datetime) -> str:
    """The time of day in Vietnam: 17:05."""
    return f"{at.astimezone(VIETNAM):%H:%M}"


def date_text(on: date) -> str:
    """A day as people write it: 21/11/2026; of a moment, the day it is in Vietnam."""
    local = on.astimezone(VIETNAM) if isinstance(on, datetime) else on
    return f"{local:%d/%m/%Y}"


def moment_text(at: datetime) -> str:
    """A moment in Vietnam: 17:05, 21/11/2026."""
    return f"{clock_text(at)}, {date_text(at)}"


def _shown(value: Any, locale: str) -> Any:
    if isinstance(value, datetime) and value.tzinfo is not None:
        return moment_text(value)
    if isinstance(value, date) and not isinstance(value, datetime):
        return date_text(value)
    if isinstance(value, float):
        return number_text(value, None, locale)
    return value
