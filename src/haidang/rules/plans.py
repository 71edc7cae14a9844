"""A rule made ready: its names resolved, its query read, and what it makes of an entity's values.

What is wrong with a rule is found here, before it runs, and said in a sentence.
"""

import re
from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from haidang.context.model import Stored, quality_of, value_of
from haidang.context.q import (
    Compared,
    Expression,
    OneOf,
    Path,
    Predicate,
    Range,
    expand,
    names_of,
    parse,
    predicate,
    terms_of,
)
from haidang.context.series import Heard
from haidang.kernel.instants import Instant, parse_instant
from haidang.rules.conditions import Sample, Timing, rate_samples
from haidang.rules.errors import (
    RuleAbsenceUntimed,
    RuleAbsenceWithMore,
    RuleAttributeUnknown,
    RuleComparesOtherKinds,
    RuleDurationWrong,
    RuleIdUnusable,
    RuleNeedsNumber,
    RuleNeedsOneCondition,
    RuleRateIncomplete,
    RuleRhythmUnknown,
    RuleTypeUnknown,
    RuleUnnamed,
)
from haidang.sdk.model import Attribute, AttributeKind, Derivation, EntityType, Pack, Quality, Rule

FRESH_RHYTHMS: Final = 3
"""A value counts for three times the rhythm in which it is expected."""

LONGEST: Final = timedelta(days=31)
"""No duration of a rule is longer."""

PERIODS: Final = ("period", "averagingPeriod")
"""Attributes in which a station says its own rhythm, in seconds."""

_WORD: Final = re.compile(r"[a-z][a-z0-9]*(?:-[a-z0-9]+)*")
_LONGEST_ID: Final = 100
_LONGEST_LABEL: Final = 200
_MOST_RHYTHMS: Final = 1_000
_A_MOMENT: Final = datetime(2026, 1, 5, 5, 17, tzinfo=UTC)
_TICK: Final = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Declared:
    """What rules need of packs: types by name, the rhythm in which each and each derived value comes."""

    types: Mapping[str, EntityType]
    rhythms: Mapping[str, timedelta]
    steps: Mapping[tuple[str, str], timedelta]


def declared_of(packs: Iterable[Pack]) -> Declared:
    """The declarations of packs, as rules need them."""
    types: dict[str, EntityType] = {}
    rhythms: dict[str, timedelta] = {}
    steps: dict[tuple[str, str], timedelta] = {}
    for pack in packs:
        types |= {one.name: one for one in pack.entity_types}
        for source in pack.sources:
            rhythms[source.entity_type] = max(source.rhythm, rhythms.get(source.entity_type, source.rhythm))
        for derivation in pack.derivations:
            # What is derived at the moment of each reading comes as often as readings do.
            step = _step_of(derivation)
            if step is not None and step <= _TICK:
                step = rhythms.get(derivation.entity_type)
            for output in derivation.outputs if step else ():
                steps[derivation.entity_type, output] = step or timedelta(0)
    return Declared(types, rhythms, steps)


def _step_of(derivation: Derivation) -> timedelta | None:
    """The time from one moment of a derivation to the next; the longest of three, None if there is none."""
    found: list[timedelta] = []
    moment = min((one for one in derivation.moments(_A_MOMENT) if one >= _A_MOMENT), default=None)
    for _ in range(3):
        if moment is None:
            break
        before = moment
        moment = min((one for one in derivation.moments(before + _TICK) if one > before), default=None)
        if moment is not None:
            found.append(moment - before)
    return max(found, default=None)


@dataclass(frozen=True, slots=True)
class Plan:
    """A rule that can be evaluated. The first of `attributes` is the one whose value an alarm shows."""

    rule: Rule
    entity_type: EntityType
    attributes: tuple[Attribute, ...]
    holds: Predicate | None
    clears: Predicate | None
    rhythm: timedelta | None

    @property
    def iris(self) -> tuple[str, ...]:
        """The attributes, as documents name them."""
        return tuple(one.iri for one in self.attributes)

    @property
    def shown(self) -> Attribute:
        """The attribute whose value an alarm shows."""
        return self.attributes[0]

    def timing(self, attributes: Mapping[str, Sequence[Stored]]) -> Timing:
        """The durations at an entity, which may say its own rhythm."""
        rhythm = self._rhythm_of(attributes)
        rule = self.rule
        if rule.absent:
            silence = rule.absent_for
            if rule.absent_rhythms:
                silence = LONGEST if rhythm is None else rhythm * rule.absent_rhythms
            return Timing(silence=silence)
        return Timing(rule.lasting, rule.clear_lasting, None if rhythm is None else rhythm * FRESH_RHYTHMS)

    def _rhythm_of(self, attributes: Mapping[str, Sequence[Stored]]) -> timedelta | None:
        if any(one.derived for one in self.attributes):
            return self.rhythm
        for name in PERIODS:
            period = self.entity_type.attribute(name)
            for instance in attributes.get(period.iri, ()) if period else ():
                seconds = instance.get("value")
                if isinstance(seconds, int | float) and not isinstance(seconds, bool) and seconds > 0:
                    return timedelta(seconds=min(float(seconds), LONGEST.total_seconds()))
        return self.rhythm


def plan_rule(rule: Rule, declared: Declared) -> Plan:
    """Make a rule ready; raises a RuleMalformed, or what is wrong with its query."""
    if not _WORD.fullmatch(rule.rule_id) or len(rule.rule_id) > _LONGEST_ID:
        raise RuleIdUnusable(rule_id=rule.rule_id[:_LONGEST_ID])
    if not 0 < len(rule.label.strip()) <= _LONGEST_LABEL or len(rule.advice) > 10 * _LONGEST_LABEL:
        raise RuleUnnamed(most=_LONGEST_LABEL)
    entity_type = declared.types.get(rule.entity_type)
    if entity_type is None:
        raise RuleTypeUnknown(entity_type=rule.entity_type)
    if (rule.q != "") + (rule.absent != "") + (rule.rate is not None) != 1:
        raise RuleNeedsOneCondition
    _check_durations(rule)
    expressions = [parse(text) for text in (rule.q, rule.clear_q) if text]
    names = [name for expression in expressions for name in names_of(expression)]
    if rule.rate is not None:
        names.insert(0, rule.rate.attribute)
    if rule.absent:
        names.insert(0, rule.absent)
    attributes = tuple(_attribute(rule, entity_type, name) for name in dict.fromkeys(names))
    for expression in expressions:
        _check_kinds(rule, entity_type, expression)
    ready = [predicate(_expanded(entity_type, expression)) for expression in expressions]
    rhythm = _rhythm(declared, entity_type, attributes)
    if rule.absent_rhythms and rhythm is None and not any(map(entity_type.attribute, PERIODS)):
        raise RuleRhythmUnknown(attribute=rule.absent)
    return Plan(
        rule,
        entity_type,
        attributes,
        holds=ready[0] if rule.q else None,
        clears=ready[-1] if rule.clear_q else None,
        rhythm=rhythm,
    )


def _check_durations(rule: Rule) -> None:
    rate_over = timedelta(0) if rule.rate is None else rule.rate.over
    for duration in (rule.lasting, rule.clear_lasting, rule.absent_for, rate_over):
        if not timedelta(0) <= duration <= LONGEST:
            raise RuleDurationWrong(days=LONGEST.days)
    if rule.absent:
        if rule.clear_q or rule.lasting or rule.clear_lasting:
            raise RuleAbsenceWithMore
        if (rule.absent_for > timedelta(0)) + (0 < rule.absent_rhythms <= _MOST_RHYTHMS) != 1:
            raise RuleAbsenceUntimed
    if rule.rate is not None:
        limits = [one for one in (rule.rate.rises, rule.rate.falls) if one is not None]
        if not limits or not all(0 < one < float("inf") for one in limits) or not rate_over:
            raise RuleRateIncomplete


def _attribute(rule: Rule, entity_type: EntityType, name: str) -> Attribute:
    attribute = entity_type.attribute(name)
    if attribute is None:
        raise RuleAttributeUnknown(entity_type=entity_type.name, attribute=name)
    if rule.rate is not None and name == rule.rate.attribute and not _is_number(attribute):
        raise RuleNeedsNumber(attribute=name)
    return attribute


def _expanded(entity_type: EntityType, expression: Expression) -> Expression:
    def iri_of(name: str) -> str:
        attribute = entity_type.attribute(name)
        return attribute.iri if attribute else name

    return expand(expression, iri_of)


def _check_kinds(rule: Rule, entity_type: EntityType, expression: Expression) -> None:
    """A number is not compared with a text: that would never hold, and nobody would hear of it."""
    for term in terms_of(expression):
        if not isinstance(term, Compared):
            continue
        attribute = _attribute(rule, entity_type, term.path.names[0])
        if _is_number(attribute) and term.path == Path(term.path.names[:1]):
            for literal in _literals(term.value):
                if isinstance(literal, bool) or not isinstance(literal, int | float):
                    raise RuleComparesOtherKinds(attribute=attribute.name)


def _literals(value: Any) -> tuple[Any, ...]:
    match value:
        case Range(least, most):
            return (least, most)
        case OneOf(values):
            return values
        case _:
            return (value,)


def _is_number(attribute: Attribute) -> bool:
    return attribute.kind is AttributeKind.PROPERTY and (
        attribute.unit is not None or attribute.least is not None or attribute.most is not None
    )


def _rhythm(declared: Declared, entity_type: EntityType, attributes: Sequence[Attribute]) -> timedelta | None:
    """The slowest rhythm of the attributes; None where one of them comes when it comes."""
    found = [
        declared.steps.get((entity_type.name, one.name))
        if one.derived
        else declared.rhythms.get(entity_type.name)
        for one in attributes
        if not one.lasting
    ]
    known = [one for one in found if one is not None]
    return max(known) if known and len(known) == len(found) else None


# --- what a rule makes of values ---------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of an entity for a rule: instances through time, and those that have no moment.

    Both by IRI; instances through time are in order.
    """

    heard: Mapping[str, Sequence[Heard]]
    standing: Mapping[str, Sequence[Stored]]


def standing_of(attributes: Mapping[str, Sequence[Stored]], iris: Iterable[str]) -> dict[str, list[Stored]]:
    """The instances that have no moment of their own and can be trusted, of default datasets."""
    found: dict[str, list[Stored]] = {}
    for iri in iris:
        for instance in attributes.get(iri, ()):
            if "datasetId" in instance or "observedAt" in instance:
                continue
            if quality_of(instance) is Quality.VALID and value_of(instance) is not None:
                found[iri] = [instance]
    return found


def latest_of(attributes: Mapping[str, Sequence[Stored]], iri: str) -> Heard | None:
    """The present instance of an attribute that has a moment, of the default dataset."""
    for instance in attributes.get(iri, ()):
        if "datasetId" not in instance and "observedAt" in instance:
            return Heard(parse_instant(instance["observedAt"]), quality_of(instance), instance)
    return None


def samples_of(plan: Plan, known: Known, timing: Timing, moments: Sequence[Instant] | None) -> list[Sample]:
    """What a rule makes of moments, or of every one at which one of its attributes was observed.

    Only what can be trusted counts: a value that is invalid, suspect or missing neither begins
    nor ends anything. For an absence whatever was heard counts.
    """
    if plan.rule.absent:
        heard = known.heard.get(plan.shown.iri, ())
        return [Sample(one.at, True, False, shown_value(one.instance)) for one in heard]
    trusted = {
        iri: [one for one in known.heard.get(iri, ()) if one.quality is Quality.VALID] for iri in plan.iris
    }
    if moments is None:
        moments = sorted({one.at for series in trusted.values() for one in series})
    rate = plan.rule.rate
    if rate is None:
        return _query_samples(plan, trusted, known.standing, timing, moments)
    numbers = [
        (one.at, float(value))
        for one in trusted[plan.shown.iri]
        for value in (value_of(one.instance),)
        if isinstance(value, int | float) and not isinstance(value, bool)
    ]
    samples = rate_samples(numbers, moments, over=rate.over, rises=rate.rises, falls=rate.falls)
    if plan.clears is None:
        return samples
    clearing = _query_samples(plan, trusted, known.standing, timing, [one.at for one in samples])
    over = {one.at: one.over for one in clearing}
    return [Sample(one.at, one.holds, over.get(one.at, False), one.value) for one in samples]


def _query_samples(
    plan: Plan,
    trusted: Mapping[str, Sequence[Heard]],
    standing: Mapping[str, Sequence[Stored]],
    timing: Timing,
    moments: Sequence[Instant],
) -> list[Sample]:
    times = {iri: [one.at for one in series] for iri, series in trusted.items()}
    shown = plan.shown.iri
    found: list[Sample] = []
    for moment in moments:
        values: dict[str, Sequence[Stored]] = dict(standing)
        for iri, series in trusted.items():
            place = bisect_right(times[iri], moment)
            if place and (timing.fresh_for is None or moment - times[iri][place - 1] <= timing.fresh_for):
                values[iri] = (series[place - 1].instance,)
        holds = plan.holds is not None and plan.holds(values)
        over = not holds if plan.clears is None else plan.clears(values) and not holds
        instances = values.get(shown)
        found.append(Sample(moment, holds, over, shown_value(instances[0]) if instances else None))
    return found


def shown_value(instance: Stored) -> float | str | None:
    """The value of an instance as an alarm shows it: a number, or a short text."""
    value = value_of(instance) if "type" in instance else None
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return float(value)
    return value[:200] if isinstance(value, str) else None
