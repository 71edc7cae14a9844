"""A rule as a sentence: what is watched, for how long, and when it is over. Pure.

`say` translates a message id and fills its fields; attributes are named by their labels, with units.
"""

from collections.abc import Callable, Mapping
from datetime import date, datetime, time, timedelta

from haidang.context import q
from haidang.kernel.errors import HaidangError, Invalid
from haidang.kernel.instants import parse_instant
from haidang.sdk.model import EntityType, Rule, Severity
from haidang.web.shared.desks import said_by

Say = Callable[..., str]
"""Translates a message id and fills in its fields, given by name."""

SEVERITY_LABELS: Mapping[Severity, str] = {
    Severity.EXTREME: "Extremely grave",
    Severity.SEVERE: "Grave",
    Severity.MODERATE: "To be watched",
    Severity.MINOR: "Slight",
}
"""The words of CAP's severities: message ids. Colour and shape: `shared/alarms.html`."""

COMPARATOR_LABELS: Mapping[q.Comparator, str] = {
    q.Comparator.EQUAL: "{what} is {value}",
    q.Comparator.UNEQUAL: "{what} is not {value}",
    q.Comparator.GREATER: "{what} is above {value}",
    q.Comparator.GREATER_EQUAL: "{what} is {value} or more",
    q.Comparator.LESS: "{what} is below {value}",
    q.Comparator.LESS_EQUAL: "{what} is {value} or less",
    q.Comparator.PATTERN: "{what} fits the pattern {value}",
    q.Comparator.NOT_PATTERN: "{what} does not fit the pattern {value}",
}

WORD_MESSAGES = {
    "for": "{condition}, without a break for {time}",
    "clears": "It is over when {condition}.",
    "clears-for": "It is over when {condition} for {time}.",
    "absent": "nothing is heard of {what} for {time}",
    "absent-rhythms": "nothing is heard of {what} for {number} times its usual rhythm",
    "rises": "{what} rises by {value} or more within {time}",
    "falls": "{what} falls by {value} or more within {time}",
    "and": "{one} and {other}",
    "or": "{one} or {other}",
    "range": "between {least} and {most}",
    "exists": "{what} is known",
    "days": "{number} days",
    "hours": "{number} hours",
    "minutes": "{number} minutes",
    "seconds": "{number} seconds",
}

_SPANS = (("days", 86_400), ("hours", 3_600), ("minutes", 60), ("seconds", 1))


class RuleWords:
    """Says rules over one entity type."""

    def __init__(
        self,
        entity_type: EntityType | None,
        say: Say,
        number: Callable[[float], str],
        unit: Callable[[str], str],
    ) -> None:
        self._entity_type = entity_type
        self._say = say
        self._number = number
        self._unit = unit

    def condition(self, rule: Rule) -> str:
        """What raises it, with its duration; the query as it is written where it cannot be read."""
        if rule.q:
            words = self.query(rule.q)
            return self._for(words, rule.lasting)
        if rule.absent:
            what = self.attribute(rule.absent)
            if rule.absent_rhythms:
                number = self._number(rule.absent_rhythms)
                return self._word("absent-rhythms", what=what, number=number)
            return self._word("absent", what=what, time=self.span(rule.absent_for))
        if rule.rate is not None:
            rate, what = rule.rate, self.attribute(rule.rate.attribute)
            said = [
                self._word(
                    kind, what=what, value=self._value(rate.attribute, limit), time=self.span(rate.over)
                )
                for kind, limit in (("rises", rate.rises), ("falls", rate.falls))
                if limit is not None
            ]
            return self._joined("or", said)
        return ""

    def clearing(self, rule: Rule) -> str:
        """When it is over, where the rule says so itself; empty where it just no longer holds."""
        if not rule.clear_q:
            return ""
        words = self.query(rule.clear_q)
        if rule.clear_lasting:
            return self._word("clears-for", condition=words, time=self.span(rule.clear_lasting))
        return self._word("clears", condition=words)

    def query(self, text: str) -> str:
        """A query in words; as it is written where it cannot be read."""
        try:
            return self._expression(q.parse(text))
        except Invalid:
            return text

    def attribute(self, name: str) -> str:
        """An attribute by its label, or by its name where it has none."""
        declared = self._entity_type.attribute(name) if self._entity_type is not None else None
        return self._say(declared.label) if declared is not None and declared.label else name

    def span(self, time_: timedelta) -> str:
        """A duration in its largest whole unit: 2 hours, 90 minutes."""
        seconds = round(time_.total_seconds())
        kind, size = next(
            ((kind, size) for kind, size in _SPANS if seconds and seconds % size == 0), ("seconds", 1)
        )
        return self._word(kind, number=self._number(seconds / size))

    def _for(self, words: str, lasting: timedelta) -> str:
        return self._word("for", condition=words, time=self.span(lasting)) if lasting else words

    def _expression(self, expression: q.Expression) -> str:
        match expression:
            case q.AllOf(terms):
                return self._joined("and", [self._inner(one) for one in terms])
            case q.AnyOf(terms):
                return self._joined("or", [self._inner(one) for one in terms])
            case q.Exists(path):
                return self._word("exists", what=self._path(path))
            case q.Compared(path, by, value):
                fields = {"what": self._path(path), "value": self._literal(path.names[0], value)}
                return self._say(COMPARATOR_LABELS[by], **fields)

    def _inner(self, expression: q.Expression) -> str:
        words = self._expression(expression)
        return f"({words})" if isinstance(expression, q.AllOf | q.AnyOf) else words

    def _path(self, path: q.Path) -> str:
        return ".".join([self.attribute(path.names[0]), *path.names[1:], *path.within])

    def _literal(self, name: str, value: q.Literal | q.Range | q.OneOf) -> str:
        if isinstance(value, q.Range):
            return self._word(
                "range", least=self._literal(name, value.least), most=self._literal(name, value.most)
            )
        if isinstance(value, q.OneOf):
            return ", ".join(self._literal(name, one) for one in value.values)
        if isinstance(value, int | float) and not isinstance(value, bool):
            return self._value(name, value)
        if isinstance(value, datetime | date | time):
            return value.isoformat()
        if isinstance(value, q.Uri):
            return value.text
        return str(value).lower() if isinstance(value, bool) else f"“{value}”"

    def _value(self, name: str, value: float) -> str:
        declared = self._entity_type.attribute(name) if self._entity_type is not None else None
        unit = self._unit(declared.unit) if declared is not None and declared.unit else ""
        return f"{self._number(value)} {unit}".rstrip()

    def _joined(self, kind: str, words: list[str]) -> str:
        if not words:
            return ""
        said = words[0]
        for one in words[1:]:
            said = self._word(kind, one=said, other=one)
        return said

    def _word(self, kind: str, **fields: str) -> str:
        return self._say(WORD_MESSAGES[kind], **fields)


def plainly(error: HaidangError) -> HaidangError:
    """An error of `rules` whose moment is one, and whose name is bare: as people are to read it."""
    fields = dict(error.fields)
    if isinstance(fields.get("at"), str):
        fields["at"] = parse_instant(fields["at"])
    if isinstance(fields.get("by"), str):
        fields["by"] = said_by(fields["by"])[0]
    return type(error)(**fields)


def watched_of(rule: Rule) -> str:
    """The short name of the attribute that a rule's value and chart are about; empty where it has none."""
    if rule.absent:
        return rule.absent
    if rule.rate is not None:
        return rule.rate.attribute
    try:
        names = q.names_of(q.parse(rule.q))
    except Invalid:
        return ""
    return names[0] if names else ""


def limits_of(text: str, name: str) -> tuple[float, ...]:
    """The numbers that a query holds an attribute against, least first."""
    if not text:
        return ()
    try:
        terms = list(q.terms_of(q.parse(text)))
    except Invalid:
        return ()
    found: set[float] = set()
    for term in terms:
        if isinstance(term, q.Compared) and term.path == q.Path((name,)):
            values = (term.value.least, term.value.most) if isinstance(term.value, q.Range) else (term.value,)
            found |= {
                float(one) for one in values if isinstance(one, int | float) and not isinstance(one, bool)
            }
    return tuple(sorted(found))
