"""What a pack declares: the city, once. Storage, APIs, freshness, pages and open data follow.

Packs import `haidang.sdk` and `haidang.kernel` only. Everything here is frozen and pure.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from enum import StrEnum
from typing import Any, TypeAlias

from haidang.kernel.actors import Audience
from haidang.kernel.instants import Instant


class Quality(StrEnum):
    """How far a value can be trusted; only `VALID` ones count in derivations and figures."""

    VALID = "valid"
    SUSPECT = "suspect"
    INVALID = "invalid"
    MISSING = "missing"


class AttributeKind(StrEnum):
    """The NGSI-LD attribute types (ETSI GS CIM 009, clause 4.5)."""

    PROPERTY = "Property"
    RELATIONSHIP = "Relationship"
    GEO_PROPERTY = "GeoProperty"
    LANGUAGE_PROPERTY = "LanguageProperty"
    VOCAB_PROPERTY = "VocabProperty"
    JSON_PROPERTY = "JsonProperty"
    LIST_PROPERTY = "ListProperty"
    LIST_RELATIONSHIP = "ListRelationship"


@dataclass(frozen=True, slots=True)
class Attribute:
    """One attribute of an entity type.

    `name` is the short name in the pack's context, `iri` its expanded name, `unit` the
    UN/CEFACT code a number is stored in, `least` and `most` the physically possible range,
    `sentinels` the values a device sends when it has none (−999): those are missing.
    `label` is a message id.
    A `lasting` attribute describes the thing and not a moment (its name, its place): a reading
    that repeats it adds nothing to the history.
    """

    name: str
    iri: str
    kind: AttributeKind = AttributeKind.PROPERTY
    unit: str | None = None
    label: str = ""
    least: float | None = None
    most: float | None = None
    sentinels: tuple[float, ...] = ()
    derived: bool = False
    lasting: bool = False

    def quality_of(self, number: float) -> Quality:
        """Missing for a sentinel, invalid outside the physically possible range, otherwise valid."""
        if number in self.sentinels:
            return Quality.MISSING
        below = self.least is not None and number < self.least
        above = self.most is not None and number > self.most
        return Quality.INVALID if below or above else Quality.VALID


@dataclass(frozen=True, slots=True)
class EntityType:
    """A kind of thing the city knows, with its attributes and whom it is shown to."""

    name: str
    iri: str
    label: str
    attributes: tuple[Attribute, ...]
    audience: Audience = Audience.PUBLIC

    def attribute(self, name: str) -> Attribute | None:
        """The attribute of that short name, if declared."""
        return next((one for one in self.attributes if one.name == name), None)


@dataclass(frozen=True, slots=True)
class AttributeReading:
    """One measured value as a source sent it: number or text, with its unit code and quality."""

    attribute: str
    value: Any
    unit: str | None = None
    quality: Quality = Quality.VALID


@dataclass(frozen=True, slots=True)
class Reading:
    """What one source says of one entity at one moment. Attribute names are short names."""

    entity_id: str
    entity_type: str
    observed_at: Instant
    values: tuple[AttributeReading, ...]


@dataclass(frozen=True, slots=True)
class Rejected:
    """A part of a payload that cannot be a reading: why, as a short code, and what it was."""

    reason: str
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Message:
    """A payload as it arrived: bytes, the topic or path it came by, and when."""

    payload: bytes
    topic: str
    received_at: Instant


Decoder: TypeAlias = Callable[[Message], Iterable[Reading | Rejected]]


@dataclass(frozen=True, slots=True)
class MqttSource:
    """Readings that arrive by MQTT on `topic` (a filter with + and #).

    `decode` is pure. A source that is silent for `silent_after` times its `rhythm` is late.
    `example` is a recorded payload that the pack test kit truncates, repeats and empties.
    """

    source_id: str
    label: str
    topic: str
    entity_type: str
    decode: Decoder
    rhythm: timedelta
    example: bytes
    example_topic: str
    silent_after: float = 3.0
    owner: str = ""


@dataclass(frozen=True, slots=True)
class Observation:
    """One value of one attribute at one moment, as derivations and pages see it."""

    observed_at: Instant
    number: float | None
    quality: Quality = Quality.VALID


@dataclass(frozen=True, slots=True)
class DerivedValue:
    """What a derivation found: a value for an attribute at a moment, or `None` for "no index"."""

    attribute: str
    observed_at: Instant
    value: Any
    sub_attributes: Mapping[str, Any] = field(default_factory=dict)


Window: TypeAlias = Mapping[str, Sequence[Observation]]
"""Observations by short attribute name, oldest first, valid and not: the function decides."""


@dataclass(frozen=True, slots=True)
class Derivation:
    """A pure function from a window of observations to attributes, run as a consumer.

    When an input attribute of an entity changes at `t`, `moments(t)` names the moments whose
    outputs may change (an hour's end, a day's end); for each of them that is not after now,
    `derive(window, moment)` is called with the observations in (moment − reach, moment].
    A derived value of None takes an earlier value back; where there is none nothing is written.
    """

    derivation_id: str
    entity_type: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    reach: timedelta
    moments: Callable[[Instant], Sequence[Instant]]
    derive: Callable[[Window, Instant], Sequence[DerivedValue]]
    method: str = ""


@dataclass(frozen=True, slots=True)
class Limit:
    """A limit of a norm as dated data: value over an averaging time, in force in a period."""

    attribute: str
    averaging: str
    value: float
    unit: str
    norm: str
    valid_from: date
    valid_to: date | None = None
    verified: bool = False
    note: str = ""


@dataclass(frozen=True, slots=True)
class LatestEntities:
    """A page query: the entities of a type with their current attributes, in name order."""

    name: str
    entity_type: str
    limit: int = 500


@dataclass(frozen=True, slots=True)
class OneEntity:
    """A page query: the entity whose id stands in the page's path parameter `parameter`."""

    name: str
    entity_type: str
    parameter: str


@dataclass(frozen=True, slots=True)
class History:
    """A page query: observations of `attributes` of every entity that `of` selected.

    `of` names a LatestEntities or OneEntity query of the same page; the window is
    (now − reach, now]. The result maps entity id to attribute to observations.
    """

    name: str
    of: str
    attributes: tuple[str, ...]
    reach: timedelta


PageQuery: TypeAlias = LatestEntities | OneEntity | History


@dataclass(frozen=True, slots=True)
class EntityView:
    """An entity as a page sees it: short names, current values, and their moments."""

    entity_id: str
    entity_type: str
    values: Mapping[str, Any]
    observed_at: Mapping[str, Instant]
    quality: Mapping[str, Quality]
    units: Mapping[str, str]
    sub_attributes: Mapping[str, Mapping[str, Any]]
    modified_at: Instant
    synthetic: bool = False
    replayed: bool = False


@dataclass(frozen=True, slots=True)
class PageRequest:
    """What a page's `view` is given: query results by name, path parameters, now, locale."""

    results: Mapping[str, Any]
    parameters: Mapping[str, str]
    now: Instant
    locale: str


@dataclass(frozen=True, slots=True)
class CsvTable:
    """A table for download: a file name without ending, header cells and rows."""

    filename: str
    header: Sequence[str]
    rows: Iterable[Sequence[Any]]


@dataclass(frozen=True, slots=True)
class Page:
    """A page that `web` mounts: path (with {parameters}), title, audience, queries, template.

    `view` is pure: from results to what the template shows. `template` is a file in the
    pack's `templates/`. `csv`, if given, serves the same results at `path + ".csv"`. `glance`,
    if given, is the template of this page's row of "the province right now" on the home page: it
    shows what `view` makes of the page's LatestEntities, with every history empty.
    """

    page_id: str
    path: str
    title: str
    audience: Audience
    queries: tuple[PageQuery, ...]
    template: str
    view: Callable[[PageRequest], Mapping[str, Any]]
    csv: Callable[[PageRequest], CsvTable] | None = None
    summary: str = ""
    in_menu: bool = True
    glance: str = ""


@dataclass(frozen=True, slots=True)
class Dataset:
    """A dataset that the pack publishes: an entity type as open data, with its licence."""

    dataset_id: str
    title: str
    description: str
    entity_type: str
    licence: str
    publisher: str
    update_frequency: timedelta


@dataclass(frozen=True, slots=True)
class Indicator:
    """A number with a unit, a target and an owner; its place in a pack is kept for that room."""

    indicator_id: str
    label: str
    unit: str


@dataclass(frozen=True, slots=True)
class Facts:
    """Things that stand where they stand, shipped with the pack as a file (see `sdk.facts`).

    They become entities when the platform starts; a newer file changes what it says otherwise and
    takes away what it no longer has. `licence` is an SPDX identifier, `attribution` the words that
    its licence asks to be shown wherever the things are.
    """

    facts_id: str
    title: str
    entity_type: str
    file: str
    licence: str
    attribution: str


@dataclass(frozen=True, slots=True)
class Mark:
    """How one entity stands on a map: its words, a level's colour and rank if it has one, and its page.

    `rank` is 1 (best) to 6 and gives the shape; 0 is a thing without a level. `path` is the Vietnamese
    address of what tells more, `short` what is drawn beside the mark where there is room.
    """

    label: str
    colour: str = ""
    rank: int = 0
    path: str = ""
    short: str = ""


@dataclass(frozen=True, slots=True)
class LevelSign:
    """How a level looks wherever it is shown: its words, its official colour (#rrggbb), its rank 1 to 6."""

    words: str
    colour: str
    rank: int


@dataclass(frozen=True, slots=True)
class MapLayer:
    """A layer of the map: an entity type, the attribute that colours its marks, and how one is marked.

    `mark` is pure: from an entity, now and the language to its `Mark`, or None for one that is not
    shown. A layer `on_home` stands on the map of the home page. `attribution` is shown with the map.
    `levels` gives the levels that marks can have, in a language: the legend, from harmless to grave.
    """

    layer_id: str
    label: str
    entity_type: str
    attribute: str
    mark: Callable[[EntityView, Instant, str], Mark | None] | None = None
    on_home: bool = False
    attribution: str = ""
    levels: Callable[[str], Sequence[LevelSign]] | None = None


@dataclass(frozen=True, slots=True)
class Searchable:
    """Entities of a type that the search box finds by their name.

    `hit` is pure: from an entity and the language to what is listed (its path and a line about it),
    or None for one that is not to be found.
    """

    searchable_id: str
    label: str
    entity_type: str
    hit: Callable[[EntityView, str], "SearchHit | None"]


@dataclass(frozen=True, slots=True)
class SearchHit:
    """One thing that a search found: its name, the Vietnamese address of its page, a line about it.

    The search itself marks those whose entity is `synthetic`; a pack leaves the field alone.
    """

    title: str
    path: str
    detail: str = ""
    synthetic: bool = False


class Severity(StrEnum):
    """How grave an alarm is, in the words of the Common Alerting Protocol (CAP 1.2, `severity`)."""

    MINOR = "minor"
    MODERATE = "moderate"
    SEVERE = "severe"
    EXTREME = "extreme"


@dataclass(frozen=True, slots=True)
class Rate:
    """How fast a number changes: by how much it may rise or fall within a time, in its declared unit.

    A value *rises* by what it stands above the lowest one of the time before it, itself included, and
    *falls* by what it stands below the highest; both limits are positive and belong to the condition.
    """

    attribute: str
    over: timedelta
    rises: float | None = None
    falls: float | None = None


@dataclass(frozen=True, slots=True)
class Rule:
    """A condition over the entities of a type that raises an alarm, and clears it.

    Exactly one of `q`, `absent` and `rate` says what is watched. `q` is the NGSI-LD query language
    over short names (`airQualityIndex>150`); it raises when it has held for `lasting`, by the moments
    of the observations. It clears when it no longer holds, or, where `clear_q` is given, when that
    has held for `clear_lasting` (hysteresis). `absent` is an attribute of which nothing is observed
    for `absent_for`, or for `absent_rhythms` times the rhythm of its station or source. `label` names
    the alarm and `advice` the next act: message ids. A rule is shipped `on` or off; a province may
    switch it, and change it.
    """

    rule_id: str
    label: str
    entity_type: str
    severity: Severity
    q: str = ""
    lasting: timedelta = timedelta(0)
    clear_q: str = ""
    clear_lasting: timedelta = timedelta(0)
    absent: str = ""
    absent_for: timedelta = timedelta(0)
    absent_rhythms: float = 0
    rate: Rate | None = None
    advice: str = ""
    on: bool = True


@dataclass(frozen=True, slots=True)
class Procedure:
    """An administrative procedure; its place is kept for that room."""

    procedure_id: str
    title: str


@dataclass(frozen=True, slots=True)
class CaseType:
    """A type of case with its workflow; its place is kept for that room."""

    case_type_id: str
    title: str


@dataclass(frozen=True, slots=True)
class ReportCategory:
    """A category of citizens' reports; its place is kept for that room."""

    category_id: str
    label: str


@dataclass(frozen=True, slots=True)
class Notice:
    """A message template to people; its place is kept for that room."""

    notice_id: str
    title: str


@dataclass(frozen=True, slots=True)
class Pack:
    """One domain of the city. The tuples not yet used by a room have their place here."""

    pack_id: str
    version: str
    title: str
    entity_types: tuple[EntityType, ...] = ()
    sources: tuple[MqttSource, ...] = ()
    derivations: tuple[Derivation, ...] = ()
    limits: tuple[Limit, ...] = ()
    pages: tuple[Page, ...] = ()
    datasets: tuple[Dataset, ...] = ()
    indicators: tuple[Indicator, ...] = ()
    map_layers: tuple[MapLayer, ...] = ()
    facts: tuple[Facts, ...] = ()
    searchables: tuple[Searchable, ...] = ()
    rules: tuple[Rule, ...] = ()
    procedures: tuple[Procedure, ...] = ()
    case_types: tuple[CaseType, ...] = ()
    report_categories: tuple[ReportCategory, ...] = ()
    notices: tuple[Notice, ...] = ()
