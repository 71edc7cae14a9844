"""Pages as text: one Jinja environment per language, every value escaped, nothing undefined.

Templates are named by the face that owns them (`portal/home.html` is
`web/portal/templates/home.html`) or by their pack (`packs/environment/air.html`).
"""

from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import orjson
from jinja2 import (
    BaseLoader,
    Environment,
    FileSystemLoader,
    PrefixLoader,
    StrictUndefined,
    TemplateNotFound,
)

import haidang
from haidang.infra.translations import (
    Translations,
    clock_text,
    date_text,
    moment_text,
    number_text,
)
from haidang.kernel.errors import HaidangError
from haidang.kernel.instants import format_instant
from haidang.kernel.units import UnitUnknown, unit_of

STATIC_URL = "/static/"

_MINUTE, _HOUR, _DAY = 60, 3_600, 86_400
_DATED_AFTER_DAYS = 30  # an age in days says little after a month: the date is shown instead


class TemplateMissing(HaidangError):
    """There is no template {name}."""


class AssetMissing(HaidangError):
    """The front end has no file {name}; it has to be built first."""


class Assets:
    """Files of the front end under the names Vite gave them, which change with their content."""

    def __init__(self, manifest: Path) -> None:
        self._path = manifest
        self._read: Mapping[str, Mapping[str, Any]] | None = None

    def url(self, name: str) -> str:
        """The address of a source file's built form (`islands/chart.ts`); raises AssetMissing."""
        return STATIC_URL + str(self._entry(name)["file"])

    def styles(self, name: str) -> list[str]:
        """The addresses of the style sheets that an entry brings, those of what it imports first."""
        found: dict[str, None] = {}

        def gather(entry_name: str, seen: set[str]) -> None:
            if entry_name in seen:
                return
            seen.add(entry_name)
            entry = self._entry(entry_name)
            for imported in entry.get("imports", ()):
                gather(imported, seen)
            found.update(dict.fromkeys(STATIC_URL + css for css in entry.get("css", ())))

        gather(name, set())
        return list(found)

    def _entry(self, name: str) -> Mapping[str, Any]:
        if self._read is None:
            try:
                self._read = orjson.loads(self._path.read_bytes())
            except (OSError, orjson.JSONDecodeError) as trouble:
                raise AssetMissing(name=name) from trouble
        try:
            return self._read[name]
        except KeyError:
            raise AssetMissing(name=name) from None


def manifest_path() -> Path:
    """Where Vite writes its manifest."""
    return Path(haidang.__file__ or "").parent / "web" / "static" / ".vite" / "manifest.json"


def face_folders() -> dict[str, Path]:
    """The templates of every face of this package: `portal` is `web/portal/templates`."""
    web = Path(haidang.__file__ or "").parent / "web"
    return {folder.parent.name: folder for folder in sorted(web.glob("**/templates")) if folder.is_dir()}


class Templates:
    """Every template of the faces and packs, in every language.

    `packs` maps a pack's id to its folder. A unit is written by its symbol, or by its name where it
    has none; a code we do not know as it stands.
    """

    def __init__(
        self,
        translations: Translations,
        *,
        packs: Mapping[str, Path] | None = None,
        faces: Mapping[str, Path] | None = None,
        assets: Assets | None = None,
    ) -> None:
        self._translations = translations
        self._assets = assets or Assets(manifest_path())
        loader = _loader(face_folders() if faces is None else faces, packs or {})
        self._environments = {locale: self._environment(locale, loader) for locale in translations.locales}

    def render(self, template: str, locale: str, /, *, nonce: str = "", **context: Any) -> str:
        """Render a template in a language; raises TemplateMissing, and jinja2's errors for our mistakes.

        `nonce` is what the page's content-security policy allows inline scripts and styles by.
        """
        environment = self.environment(locale)
        try:
            found = environment.get_template(template)
        except TemplateNotFound as trouble:
            raise TemplateMissing(name=trouble.name) from trouble
        return found.render({**context, "locale": locale, "nonce": nonce})

    def environment(self, locale: str) -> Environment:
        """The Jinja environment of a language; of the first one when there is none."""
        return self._environments.get(locale) or self._environments[self._translations.locales[0]]

    def names(self) -> list[str]:
        """Every template there is, for the test that compiles them all."""
        return self.environment(self._translations.locales[0]).list_templates()

    def _environment(self, locale: str, loader: BaseLoader) -> Environment:
        translations = self._translations
        environment = Environment(
            loader=loader,
            autoescape=True,
            undefined=StrictUndefined,
            extensions=["jinja2.ext.i18n", "jinja2.ext.do"],
            trim_blocks=True,
            lstrip_blocks=True,
            auto_reload=False,
            cache_size=-1,
        )
        environment.policies["json.dumps_kwargs"] = {"ensure_ascii": False, "separators": (",", ":")}
        environment.policies["ext.i18n.trimmed"] = True
        # The i18n extension adds this method to the environment and has no type for it.
        install: Callable[..., None] = environment.install_gettext_callables  # type: ignore[attr-defined]
        install(
            gettext=lambda msgid: translations.gettext(locale, msgid),
            ngettext=lambda one, many, number: translations.ngettext(locale, one, many, number),
            pgettext=lambda context, msgid: translations.pgettext(locale, context, msgid),
            npgettext=lambda context, one, many, number: translations.npgettext(
                locale, context, one, many, number
            ),
            newstyle=True,
        )
        texts: dict[str, Callable[..., Any]] = {
            "number": lambda value, digits=None: number_text(value, digits, locale),
            "clock": clock_text,
            "date": date_text,
            "moment": moment_text,
            "iso": format_instant,
            "ago": lambda at, now: ago_text(at, now, locale, translations),
            "unit": lambda code: unit_text(code, locale, translations),
            "label": lambda msgid: translations.gettext(locale, msgid),
        }
        environment.filters.update(texts)
        environment.globals.update(texts)
        environment.globals.update(
            asset=self._assets.url,
            styles=self._assets.styles,
            locales=translations.locales,
        )
        return environment


def ago_text(at: datetime, now: datetime, locale: str, translations: Translations) -> str:
    """How long ago: "2 phút trước"; after a month, the date. A moment ahead is said as such."""
    seconds = (now - at).total_seconds()
    if abs(seconds) < _MINUTE:
        return translations.gettext(locale, "just now")
    if abs(seconds) >= _DATED_AFTER_DAYS * _DAY:
        return date_text(at)
    past = seconds > 0
    seconds = abs(seconds)
    one, many, number = next(
        (one, many, int(seconds // size))
        for size, one, many in (_SPANS_PAST if past else _SPANS_AHEAD)
        if seconds >= size
    )
    return translations.ngettext(locale, one, many, number, number=number)


def unit_text(code: str | None, locale: str, translations: Translations) -> str:
    """A unit by its UN/CEFACT code as people write it: µg/m³; nothing for no unit."""
    if not code:
        return ""
    try:
        unit = unit_of(code)
    except UnitUnknown:
        return code
    if unit.symbol == "1":  # a plain number
        return ""
    return unit.symbol or translations.gettext(locale, unit.name)


_SPANS_PAST = (
    (_DAY, "{number} day ago", "{number} days ago"),
    (_HOUR, "{number} hour ago", "{number} hours ago"),
    (_MINUTE, "{number} minute ago", "{number} minutes ago"),
)
_SPANS_AHEAD = (
    (_DAY, "in {number} day", "in {number} days"),
    (_HOUR, "in {number} hour", "in {number} hours"),
    (_MINUTE, "in {number} minute", "in {number} minutes"),
)


def _loader(faces: Mapping[str, Path], packs: Mapping[str, Path]) -> BaseLoader:
    in_packs = PrefixLoader(
        {pack_id: FileSystemLoader(folder / "templates") for pack_id, folder in packs.items()}
    )
    in_faces = {face: FileSystemLoader(folder) for face, folder in faces.items()}
    return PrefixLoader({**in_faces, "packs": in_packs})
