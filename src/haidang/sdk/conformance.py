"""The pack test kit: what a pack promises by being installed, checked by a program.

`check_pack` runs every check on one pack, `check_packs` what packs promise each other. A finding is
something to mend; a pack without findings may be installed. Nothing here needs a database.
"""

import ast
import re
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import chain
from math import isfinite
from pathlib import Path
from typing import Any, TypeAlias

from babel.messages.pofile import PoFileError, read_po
from jinja2 import TemplateSyntaxError

from haidang.kernel.errors import HaidangError
from haidang.kernel.ids import check_urn
from haidang.kernel.units import convert, unit_of
from haidang.sdk.facts import read_facts
from haidang.sdk.hostile import hostile_payloads
from haidang.sdk.loading import pack_folder
from haidang.sdk.model import (
    Attribute,
    CsvTable,
    Derivation,
    DerivedValue,
    EntityType,
    EntityView,
    History,
    LatestEntities,
    LevelSign,
    Message,
    MqttSource,
    Observation,
    OneEntity,
    Pack,
    Page,
    PageRequest,
    Quality,
    Reading,
    Rejected,
)
from haidang.sdk.sentences import (
    fields_of,
    message_ids,
    template_environment,
    template_files,
    translations_of,
)

LANGUAGE = "vi"
LIBRARIES = frozenset({"msgspec"})
"""What a pack may import beside the standard library, `haidang.sdk` and `haidang.kernel`."""

_WORD = re.compile(r"[a-z][a-z0-9]*(?:-[a-z0-9]+)*")
_IRI = re.compile(r"(?:https?://|urn:)[^\s<>\"{}|\\^`]+")
_LICENCE = re.compile(r"[A-Za-z0-9][A-Za-z0-9.+-]*")
_PARAMETER = re.compile(r"\{(\w+)\}")
_COLOUR = re.compile(r"#[0-9a-f]{6}")
_RANKS = range(1, 7)
_NOON = datetime(2026, 11, 21, 5, tzinfo=UTC)
_HOUR = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Finding:
    """Something in a pack to mend: which check, what it is about, and what is wrong with it."""

    check: str
    subject: str
    fault: str

    def __str__(self) -> str:
        return f"{self.check}: {self.subject}: {self.fault}"


Check: TypeAlias = Callable[[Pack, Path], Iterator[Finding]]


def check_pack(pack: Pack, folder: Path | None = None) -> list[Finding]:
    """Every finding in a pack; `folder` is where it lies, if it is not installed."""
    where = pack_folder(pack.pack_id) if folder is None else folder
    return [finding for check in CHECKS.values() for finding in check(pack, where)]


def check_packs(packs: Sequence[Pack]) -> list[Finding]:
    """What several packs may not share: ids, paths of pages, types, topics."""
    findings = []
    for what, names in (
        ("pack", [pack.pack_id for pack in packs]),
        ("entity type", [one.iri for pack in packs for one in pack.entity_types]),
        ("source", [one.source_id for pack in packs for one in pack.sources]),
        ("topic", [one.topic for pack in packs for one in pack.sources]),
        ("derivation", [one.derivation_id for pack in packs for one in pack.derivations]),
        ("page", [one.page_id for pack in packs for one in pack.pages]),
        ("path", [one.path for pack in packs for one in pack.pages]),
        ("dataset", [one.dataset_id for pack in packs for one in pack.datasets]),
        ("indicator", [one.indicator_id for pack in packs for one in pack.indicators]),
        ("map layer", [one.layer_id for pack in packs for one in pack.map_layers]),
        ("searchable", [one.searchable_id for pack in packs for one in pack.searchables]),
        ("rule", [one.rule_id for pack in packs for one in pack.rules]),
    ):
        findings += [
            Finding("unique", f"{what} {name}", f"declared {count} times")
            for name, count in Counter(names).items()
            if count > 1
        ]
    return findings


# Ids and names


def check_ids(pack: Pack, _folder: Path) -> Iterator[Finding]:
    """Ids are small words with hyphens and stand once; IRIs are absolute and stand once."""
    for what, ids in _ids(pack):
        for name, count in Counter(ids).items():
            if not _WORD.fullmatch(name):
                yield Finding("ids", f"{what} {name!r}", "use small letters, digits and single hyphens")
            if count > 1:
                yield Finding("ids", f"{what} {name}", f"declared {count} times")
    for kind in pack.entity_types:
        yield from _check_iris(f"entity type {kind.name}", kind)
    yield from _twice("entity type", [kind.name for kind in pack.entity_types])
    yield from _twice("path", [page.path for page in pack.pages])


def _ids(pack: Pack) -> Iterator[tuple[str, list[str]]]:
    yield "pack", [pack.pack_id]
    yield "source", [one.source_id for one in pack.sources]
    yield "derivation", [one.derivation_id for one in pack.derivations]
    yield "page", [one.page_id for one in pack.pages]
    yield "dataset", [one.dataset_id for one in pack.datasets]
    yield "indicator", [one.indicator_id for one in pack.indicators]
    yield "map layer", [one.layer_id for one in pack.map_layers]
    yield "facts", [one.facts_id for one in pack.facts]
    yield "searchable", [one.searchable_id for one in pack.searchables]
    yield "rule", [one.rule_id for one in pack.rules]
    yield "procedure", [one.procedure_id for one in pack.procedures]
    yield "case type", [one.case_type_id for one in pack.case_types]
    yield "report category", [one.category_id for one in pack.report_categories]
    yield "notice", [one.notice_id for one in pack.notices]


def _twice(what: str, names: Iterable[str]) -> Iterator[Finding]:
    for name, count in Counter(names).items():
        if count > 1:
            yield Finding("ids", f"{what} {name}", f"declared {count} times")


def _check_iris(subject: str, kind: EntityType) -> Iterator[Finding]:
    for name, iri in ((kind.name, kind.iri), *((one.name, one.iri) for one in kind.attributes)):
        if not _IRI.fullmatch(iri):
            yield Finding("ids", f"{subject}: {name}", f"{iri!r} is no absolute IRI")
    yield from _twice(f"{subject}: attribute", [one.name for one in kind.attributes])
    yield from _twice(f"{subject}: IRI", [one.iri for one in kind.attributes])


def check_names(pack: Pack, folder: Path) -> Iterator[Finding]:
    """Every name in a declaration is that of something declared."""
    kinds = {kind.name: kind for kind in pack.entity_types}
    for source in pack.sources:
        if source.entity_type not in kinds:
            yield _unknown(f"source {source.source_id}", "entity type", source.entity_type)
    for derivation in pack.derivations:
        yield from _check_derivation_names(derivation, kinds)
    for page in pack.pages:
        yield from _check_page_names(page, kinds, folder)
    yield from _check_names_of_things(pack, kinds)
    measured = {one.name for kind in pack.entity_types for one in kind.attributes}
    for limit in pack.limits:
        if limit.attribute not in measured:
            yield _unknown(f"limit {limit.norm}", "attribute", limit.attribute)


def _check_names_of_things(pack: Pack, kinds: Mapping[str, EntityType]) -> Iterator[Finding]:
    for dataset in pack.datasets:
        if dataset.entity_type not in kinds:
            yield _unknown(f"dataset {dataset.dataset_id}", "entity type", dataset.entity_type)
    for layer in pack.map_layers:
        yield from _resolve(f"map layer {layer.layer_id}", kinds, layer.entity_type, [layer.attribute])
    for facts in pack.facts:
        yield from _resolve(f"facts {facts.facts_id}", kinds, facts.entity_type, ())
    for searchable in pack.searchables:
        subject = f"searchable {searchable.searchable_id}"
        yield from _resolve(subject, kinds, searchable.entity_type, ("name",))


def check_rules(pack: Pack, _folder: Path) -> Iterator[Finding]:
    """A rule has one condition over a declared type, durations that make sense, and a name."""
    kinds = {kind.name: kind for kind in pack.entity_types}
    for rule in pack.rules:
        subject = f"rule {rule.rule_id}"
        asked = [rule.absent] if rule.absent else [rule.rate.attribute] if rule.rate else []
        yield from _resolve(subject, kinds, rule.entity_type, asked)
        if (rule.q != "") + (rule.absent != "") + (rule.rate is not None) != 1:
            yield Finding("rules", subject, "needs exactly one of a query, an absence and a rate")
        if rule.absent and (rule.absent_for > timedelta(0)) + (rule.absent_rhythms > 0) != 1:
            yield Finding("rules", subject, "says neither for how long nor for how many rhythms, or both")
        if min(rule.lasting, rule.clear_lasting, rule.absent_for) < timedelta(0):
            yield Finding("rules", subject, "has a negative duration")
        if not rule.label.strip():
            yield Finding("rules", subject, "does not say what its alarm is called")


def _unknown(subject: str, what: str, name: str) -> Finding:
    return Finding("names", subject, f"the {what} {name!r} is not declared")


def _resolve(
    subject: str, kinds: Mapping[str, EntityType], name: str, attributes: Iterable[str]
) -> Iterator[Finding]:
    kind = kinds.get(name)
    if kind is None:
        yield _unknown(subject, "entity type", name)
        return
    for attribute in attributes:
        if kind.attribute(attribute) is None:
            yield _unknown(subject, f"attribute of {name}", attribute)


def _check_derivation_names(derivation: Derivation, kinds: Mapping[str, EntityType]) -> Iterator[Finding]:
    subject = f"derivation {derivation.derivation_id}"
    named = (*derivation.inputs, *derivation.outputs)
    yield from _resolve(subject, kinds, derivation.entity_type, named)
    kind = kinds.get(derivation.entity_type)
    for name in derivation.outputs:
        attribute = kind.attribute(name) if kind else None
        if attribute is not None and not attribute.derived:
            yield Finding("names", subject, f"its output {name!r} is not declared as derived")
    for name in set(derivation.inputs) & set(derivation.outputs):
        yield Finding("names", subject, f"{name!r} is input and output: it would wake itself for ever")
    if derivation.reach <= timedelta(0):
        yield Finding("names", subject, "its reach is not positive")


def _check_page_names(page: Page, kinds: Mapping[str, EntityType], folder: Path) -> Iterator[Finding]:
    subject = f"page {page.page_id}"
    if not page.path.startswith("/") or page.path != page.path.rstrip("/"):
        yield Finding("names", subject, f"the path {page.path!r} begins with / and does not end with it")
    parameters = set(_PARAMETER.findall(page.path))
    entities: dict[str, str] = {}
    for query in page.queries:
        about = f"{subject}: query {query.name}"
        match query:
            case LatestEntities(entity_type=name):
                yield from _resolve(about, kinds, name, ())
                entities[query.name] = name
            case OneEntity(entity_type=name, parameter=parameter):
                yield from _resolve(about, kinds, name, ())
                entities[query.name] = name
                if parameter not in parameters:
                    yield _unknown(about, "path parameter", parameter)
            case History(of=of, attributes=attributes):
                if of in entities:
                    yield from _resolve(about, kinds, entities[of], attributes)
                else:
                    yield _unknown(about, "query before it", of)
    yield from _twice(f"{subject}: query", [query.name for query in page.queries])
    for template in _templates_of(page):
        if not (folder / "templates" / template).is_file():
            yield Finding("names", subject, f"there is no templates/{template}")


def _templates_of(page: Page) -> list[str]:
    """The templates a page names: its own, and that of its glance if it has one."""
    return [name for name in (page.template, page.glance) if name]


# Units


def check_units(pack: Pack, _folder: Path) -> Iterator[Finding]:
    """Units are known, ranges and sentinels make sense, limits are in units of their attribute."""
    for kind in pack.entity_types:
        for attribute in kind.attributes:
            yield from _check_attribute(f"{kind.name}.{attribute.name}", attribute)
    for limit in pack.limits:
        for kind in pack.entity_types:
            declared = kind.attribute(limit.attribute)
            if declared is not None:
                about = f"limit {limit.norm}: {limit.attribute} {limit.averaging}"
                yield from _convertible(about, limit.unit, declared)
        if limit.valid_to is not None and limit.valid_to < limit.valid_from:
            yield Finding("units", f"limit {limit.norm}: {limit.attribute}", "ends before it begins")
    for indicator in pack.indicators:
        with _caught() as caught:
            unit_of(indicator.unit)
        yield from (Finding("units", f"indicator {indicator.indicator_id}", fault) for fault in caught)


def _check_attribute(subject: str, attribute: Attribute) -> Iterator[Finding]:
    if attribute.unit is not None:
        with _caught() as caught:
            unit_of(attribute.unit)
        yield from (Finding("units", subject, fault) for fault in caught)
    least, most = attribute.least, attribute.most
    if least is not None and most is not None and least >= most:
        yield Finding("units", subject, f"its range from {least} to {most} is empty")
    for sentinel in attribute.sentinels:
        if (least is None or least <= sentinel) and (most is None or sentinel <= most):
            yield Finding("units", subject, f"the sentinel {sentinel} is a possible value too")


def _convertible(subject: str, unit: str | None, attribute: Attribute) -> Iterator[Finding]:
    if unit is None:
        return
    if attribute.unit is None:
        yield Finding("units", subject, f"is in {unit}, but {attribute.name} has no unit")
        return
    with _caught() as caught:
        convert(1.0, unit, attribute.unit)
    yield from (Finding("units", subject, fault) for fault in caught)


class _caught:  # noqa: N801 - a context manager, read as a verb
    """Collects what a declaration's own code raises, as text, instead of failing the kit."""

    def __init__(self) -> None:
        self.faults: list[str] = []

    def __enter__(self) -> list[str]:
        return self.faults

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> bool:
        if isinstance(error, HaidangError):
            self.faults.append(str(error))
            return True
        if isinstance(error, Exception):
            self.faults.append(f"raised {type(error).__name__}: {error}")
            return True
        return False


# Sources


def check_sources(pack: Pack, _folder: Path) -> Iterator[Finding]:
    """The example is read whole; nothing that arrives instead of it makes the decoder raise."""
    kinds = {kind.name: kind for kind in pack.entity_types}
    for source in pack.sources:
        subject = f"source {source.source_id}"
        if source.rhythm <= timedelta(0) or source.silent_after < 1:
            yield Finding("sources", subject, "its rhythm is not positive, or it is late before its time")
        if not topic_matches(source.topic, source.example_topic):
            fault = f"the example's topic {source.example_topic!r} does not match {source.topic!r}"
            yield Finding("sources", subject, fault)
        yield from _check_example(subject, source, kinds)
        yield from _check_hostile(subject, source)


def topic_matches(topic_filter: str, topic: str) -> bool:
    """Whether an MQTT topic matches a filter with + and # (MQTT 5, 4.7)."""
    wanted, given = topic_filter.split("/"), topic.split("/")
    for place, level in enumerate(wanted):
        if level == "#":
            return True
        if place >= len(given) or level not in ("+", given[place]):
            return False
    return len(wanted) == len(given)


def _decoded(source: MqttSource, payload: bytes, faults: list[str]) -> list[Any]:
    """What a decoder yields for a payload; what it raises goes to `faults`."""
    message = Message(payload, source.example_topic, _NOON)
    with _caught() as caught:
        return list(source.decode(message))
    faults += caught
    return []


def _check_example(subject: str, source: MqttSource, kinds: Mapping[str, EntityType]) -> Iterator[Finding]:
    faults: list[str] = []
    found = _decoded(source, source.example, faults)
    yield from (Finding("sources", subject, f"its own example: {fault}") for fault in faults)
    if not any(isinstance(one, Reading) for one in found):
        yield Finding("sources", subject, "its own example holds no reading")
    for one in found:
        if isinstance(one, Rejected):
            yield Finding("sources", subject, f"rejects {one.reason} ({one.detail}) in its own example")
        elif isinstance(one, Reading):
            yield from _check_reading(subject, source, one, kinds)


def _check_reading(
    subject: str, source: MqttSource, reading: Reading, kinds: Mapping[str, EntityType]
) -> Iterator[Finding]:
    if reading.entity_type != source.entity_type:
        yield Finding("sources", subject, f"declares {source.entity_type}, yields {reading.entity_type}")
    with _caught() as caught:
        check_urn(reading.entity_id)
    yield from (Finding("sources", subject, fault) for fault in caught)
    if reading.observed_at.utcoffset() != timedelta(0):
        yield Finding("sources", subject, f"the instant {reading.observed_at} is not in UTC")
    kind = kinds.get(reading.entity_type)
    for value in reading.values if kind else ():
        declared = kind.attribute(value.attribute) if kind else None
        about = f"{subject}: {value.attribute}"
        if declared is None:
            yield Finding("sources", about, f"is no attribute of {reading.entity_type}")
        elif declared.derived:
            yield Finding("sources", about, "is derived: no source may say it")
        else:
            yield from _convertible(about, value.unit, declared)


def _check_hostile(subject: str, source: MqttSource) -> Iterator[Finding]:
    """One finding a kind of failure is enough: a decoder that raises once raises hundreds of times."""
    told: set[str] = set()
    for what, payload in chain([("the example", source.example)], hostile_payloads(source.example)):
        faults: list[str] = []
        first = _decoded(source, payload, faults)
        again = _decoded(source, payload, faults)
        faults += [
            f"yields a {type(one).__name__}" for one in first if not isinstance(one, Reading | Rejected)
        ]
        if not faults and repr(first) != repr(again):  # by text: a NaN is not equal to itself
            faults.append("is not pure: the same payload gave something else")
        for fault in faults:
            sort = fault.split(":")[0]
            if sort not in told:
                told.add(sort)
                yield Finding("sources", subject, f"payload {what}: {fault}")


# Derivations and pages


def check_derivations(pack: Pack, _folder: Path) -> Iterator[Finding]:
    """A derivation is pure, keeps to its outputs, and bears windows that are empty, flagged or odd."""
    for derivation in pack.derivations:
        subject = f"derivation {derivation.derivation_id}"
        moments: Sequence[datetime] = ()
        with _caught() as caught:
            moments = derivation.moments(_NOON)
        yield from (Finding("derivations", subject, f"moments: {fault}") for fault in caught)
        if not moments and not caught:
            yield Finding("derivations", subject, "an observation changes no moment")
        if any(moment.utcoffset() != timedelta(0) for moment in moments):
            yield Finding("derivations", subject, "a moment is not in UTC")
        for what, window in _windows(derivation):
            for moment in moments:
                yield from _check_derived(f"{subject}: {what} window", derivation, window, moment)


def _windows(derivation: Derivation) -> Iterator[tuple[str, dict[str, list[Observation]]]]:
    yield "empty", {}
    hours = [_NOON - hour * _HOUR for hour in range(48)][::-1]
    for what, numbers in (("ordinary", (20.0, 21.5)), ("odd", (float("nan"), float("inf"), -999.0, None))):
        for quality in Quality:
            column = [
                Observation(at, numbers[place % len(numbers)], quality) for place, at in enumerate(hours)
            ]
            yield f"{what} {quality.value}", dict.fromkeys(derivation.inputs, column)


def _check_derived(
    subject: str, derivation: Derivation, window: dict[str, list[Observation]], moment: datetime
) -> Iterator[Finding]:
    reached = {
        name: [one for one in column if moment - derivation.reach < one.observed_at <= moment]
        for name, column in window.items()
    }
    found: Sequence[DerivedValue] = ()
    again: Sequence[DerivedValue] = ()
    with _caught() as caught:
        found = derivation.derive(reached, moment)
        again = derivation.derive(reached, moment)
    yield from (Finding("derivations", subject, fault) for fault in caught)
    if repr(found) != repr(again):
        yield Finding("derivations", subject, "is not pure: the same window gave something else")
    for one in found:
        if one.attribute not in derivation.outputs:
            yield Finding("derivations", subject, f"{one.attribute!r} is none of its outputs")
        if isinstance(one.value, float) and not isfinite(one.value):
            yield Finding("derivations", subject, f"{one.attribute} is {one.value}")
        if one.observed_at.utcoffset() != timedelta(0):
            yield Finding("derivations", subject, f"the instant {one.observed_at} is not in UTC")


def check_pages(pack: Pack, folder: Path) -> Iterator[Finding]:
    """A page bears a city without entities, and entities of which nothing is known yet; templates parse."""
    for page in pack.pages:
        subject = f"page {page.page_id}"
        for what, results in (("an empty city", _results(page, [])), ("a bare entity", _results(page, None))):
            for locale in (LANGUAGE, "en"):
                request = PageRequest(
                    results, dict.fromkeys(_PARAMETER.findall(page.path), "x"), _NOON, locale
                )
                with _caught() as caught:
                    page.view(request)
                    if page.csv is not None:
                        _drain(page.csv(request))
                yield from (Finding("pages", subject, f"{what}: {fault}") for fault in caught)
    yield from _check_bare_marks(pack)
    for path in template_files(folder):
        try:
            template_environment().parse(path.read_text("utf-8"))
        except (TemplateSyntaxError, UnicodeDecodeError) as trouble:
            yield Finding("pages", f"templates/{path.relative_to(folder / 'templates')}", str(trouble))


def _check_bare_marks(pack: Pack) -> Iterator[Finding]:
    """What marks an entity on a map and lists it in a search bears one of which nothing is known."""
    for layer in pack.map_layers:
        with _caught() as caught:
            if layer.mark is not None:
                layer.mark(_bare(layer.entity_type), _NOON, LANGUAGE)
        yield from (Finding("pages", f"map layer {layer.layer_id}", fault) for fault in caught)
        signs: Sequence[LevelSign] = []
        with _caught() as caught:
            signs = layer.levels(LANGUAGE) if layer.levels is not None else []
        caught += [
            f"the level {one.words!r} needs a rank of 1 to 6 and a colour as #rrggbb"
            for one in signs
            if one.rank not in _RANKS or _COLOUR.fullmatch(one.colour) is None
        ]
        yield from (Finding("pages", f"map layer {layer.layer_id}", fault) for fault in caught)
    for searchable in pack.searchables:
        with _caught() as caught:
            searchable.hit(_bare(searchable.entity_type), LANGUAGE)
        yield from (Finding("pages", f"searchable {searchable.searchable_id}", fault) for fault in caught)


def _results(page: Page, entities: list[EntityView] | None) -> dict[str, Any]:
    """Results of a page's queries with no entities, or (None) with one that says nothing."""
    results: dict[str, Any] = {}
    for query in page.queries:
        match query:
            case LatestEntities(entity_type=kind):
                results[query.name] = [_bare(kind)] if entities is None else entities
            case OneEntity(entity_type=kind):
                results[query.name] = _bare(kind)
            case History():
                results[query.name] = {}
    return results


def _bare(kind: str) -> EntityView:
    return EntityView(f"urn:ngsi-ld:{kind}:x", kind, {}, {}, {}, {}, {}, _NOON)


def _drain(table: CsvTable) -> None:
    for row in table.rows:
        if len(row) != len(table.header):
            raise ValueError(f"a row of {len(row)} cells under {len(table.header)} headings")


# Facts, open data, translations, imports


def check_facts(pack: Pack, folder: Path) -> Iterator[Finding]:
    """Each file of facts is read whole, says only what is declared, and has its licence beside it."""
    kinds = {kind.name: kind for kind in pack.entity_types}
    for facts in pack.facts:
        subject = f"facts {facts.facts_id}"
        path = folder / facts.file
        if not _LICENCE.fullmatch(facts.licence):
            yield Finding("facts", subject, f"{facts.licence!r} is no SPDX licence identifier")
        if not facts.attribution.strip():
            yield Finding("facts", subject, "names nobody whom its licence asks to be named")
        if not path.with_suffix(".LICENCE.txt").is_file():
            yield Finding("facts", subject, f"has no {path.stem}.LICENCE.txt beside its file")
        if not path.is_file():
            yield Finding("facts", subject, f"its file {facts.file} is not there")
            continue
        with _caught() as caught:
            yield from _check_fact_entities(subject, kinds.get(facts.entity_type), path.read_bytes())
        yield from (Finding("facts", subject, fault) for fault in caught)


def _check_fact_entities(subject: str, kind: EntityType | None, content: bytes) -> Iterator[Finding]:
    read = read_facts(subject, content)
    for name, count in Counter(one.id for one in read.entities).items():
        check_urn(name)
        if count > 1:
            yield Finding("facts", subject, f"{name} stands {count} times")
    said = {name for one in read.entities for name in one.values} | set(read.shared)
    for name in sorted(said) if kind else ():
        if kind is not None and kind.attribute(name) is None:
            yield _unknown(subject, f"attribute of {kind.name}", name)


# Open data, translations, imports


def check_datasets(pack: Pack, _folder: Path) -> Iterator[Finding]:
    """Each dataset has a licence (by its SPDX identifier), a publisher and a description."""
    for dataset in pack.datasets:
        subject = f"dataset {dataset.dataset_id}"
        if not _LICENCE.fullmatch(dataset.licence):
            yield Finding("datasets", subject, f"{dataset.licence!r} is no SPDX licence identifier")
        if not dataset.publisher.strip() or not dataset.description.strip():
            yield Finding("datasets", subject, "has no publisher or no description")
        if dataset.update_frequency <= timedelta(0):
            yield Finding("datasets", subject, "its update frequency is not positive")


def check_translations(pack: Pack, folder: Path) -> Iterator[Finding]:
    """Every sentence of the pack has its Vietnamese in `locale/vi.po`, with the same fields."""
    path = folder / "locale" / f"{LANGUAGE}.po"
    try:
        with path.open("rb") as file:
            catalogue = read_po(file, locale=LANGUAGE, abort_invalid=True)
    except (OSError, PoFileError, ValueError) as trouble:
        yield Finding("translations", f"locale/{LANGUAGE}.po", f"cannot be read: {trouble}")
        return
    for sentence, where in message_ids(pack, folder).items():
        translations = translations_of(catalogue, sentence)
        if not translations:
            yield Finding("translations", where, f"no Vietnamese for {sentence!r}")
        for translation in translations:
            if fields_of(translation) - fields_of(sentence):
                yield Finding("translations", where, f"{translation!r} has fields that {sentence!r} has not")


def check_imports(_pack: Pack, folder: Path) -> Iterator[Finding]:
    """A pack imports the standard library, `haidang.sdk`, `haidang.kernel`, msgspec, and itself."""
    own = _package_of(folder)
    for path in sorted(folder.rglob("*.py")):
        for module in _imports(path):
            top = module.split(".")[0]
            allowed = (
                top in sys.stdlib_module_names
                or top in LIBRARIES
                or any(
                    module == one or module.startswith(f"{one}.")
                    for one in ("haidang.sdk", "haidang.kernel", own)
                )
            )
            if not allowed:
                yield Finding("imports", str(path.relative_to(folder)), f"imports {module}")


def _package_of(folder: Path) -> str:
    """The dotted name of the package in a folder, by the `__init__.py` files above it."""
    parts = [folder.name]
    for above in folder.parents:
        if not (above / "__init__.py").is_file():
            break
        parts.append(above.name)
    return ".".join(reversed(parts))


def _imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level and node.module:
            yield node.module


CHECKS: Mapping[str, Check] = {
    "ids": check_ids,
    "names": check_names,
    "units": check_units,
    "sources": check_sources,
    "derivations": check_derivations,
    "pages": check_pages,
    "facts": check_facts,
    "rules": check_rules,
    "datasets": check_datasets,
    "translations": check_translations,
    "imports": check_imports,
}
