"""The NGSI-LD query language (ETSI GS CIM 009, clause 4.9): read, written down again, and evaluated.

`parse` makes a neutral tree of a text, `written` a text of a tree, `expand` gives names their IRIs,
and `predicate` makes a function over the attributes that an entity holds. A tree says nothing about
where it is evaluated: here over documents, one day in SQL. What is not there satisfies nothing: a
term over an attribute that the entity does not have is false, `!=` and `!~=` too (4.9).
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from enum import StrEnum
from math import isfinite
from operator import ge, gt, le, lt
from typing import Any, Final, TypeAlias

import orjson

from haidang.context.model import Stored, value_of
from haidang.context.patterns import PatternMalformed, read_pattern
from haidang.kernel.errors import Invalid
from haidang.kernel.instants import InstantUnreadable, parse_instant

LONGEST_QUERY: Final = 2_000
DEEPEST: Final = 20
MOST_TERMS: Final = 200


class QueryTooLong(Invalid):
    """The query is longer than {most} characters."""


class QueryTooComplex(Invalid):
    """The query has too many terms or too many brackets within brackets."""


class QueryNameMissing(Invalid):
    """At character {position} of the query the name of an attribute is missing."""


class QueryValueMissing(Invalid):
    """At character {position} of the query a value is missing."""


class QueryTextUnquoted(Invalid):
    """At character {position} of the query: text stands in double quotes, like "{text}"."""


class QueryTextUnending(Invalid):
    """The text that begins at character {position} of the query does not end."""


class QueryBracketOpen(Invalid):
    """The bracket at character {position} of the query is not closed."""


class QueryLeftOver(Invalid):
    """At character {position} of the query a ; or | or the end is missing."""


class QueryValueMisplaced(Invalid):
    """At character {position} of the query: lists and ranges stand after == or != only."""


class QueryRangeMixed(Invalid):
    """The range at character {position} of the query goes from one kind of value to another."""


class QueryTruthOrdered(Invalid):
    """At character {position} of the query: true and false stand after == or != only."""


class QueryPatternRefused(Invalid):
    """The pattern at character {position} of the query cannot be used: {reason}."""


class QueryLinked(Invalid):
    """At character {position} of the query: the attributes of other entities cannot be asked for here."""


# --- the tree ----------------------------------------------------------------------------------


class Comparator(StrEnum):
    """The operators of a term."""

    EQUAL = "=="
    UNEQUAL = "!="
    GREATER_EQUAL = ">="
    GREATER = ">"
    LESS_EQUAL = "<="
    LESS = "<"
    PATTERN = "~="
    NOT_PATTERN = "!~="


@dataclass(frozen=True, slots=True)
class Path:
    """What a term is about: an attribute, below it sub-attributes, and (in brackets) inside its value."""

    names: tuple[str, ...]
    within: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Uri:
    """A URI as a value, written without quotes."""

    text: str


Literal: TypeAlias = bool | int | float | str | datetime | date | time | Uri


@dataclass(frozen=True, slots=True)
class Range:
    """From `least` to `most`, both included."""

    least: Literal
    most: Literal


@dataclass(frozen=True, slots=True)
class OneOf:
    """Any of two or more values."""

    values: tuple[Literal, ...]


@dataclass(frozen=True, slots=True)
class Exists:
    """The path leads somewhere."""

    path: Path


@dataclass(frozen=True, slots=True)
class Compared:
    """What the path leads to compares so with the value; a pattern is a text."""

    path: Path
    by: Comparator
    value: Literal | Range | OneOf


@dataclass(frozen=True, slots=True)
class AllOf:
    """Each of two or more expressions (`;`)."""

    terms: tuple["Expression", ...]


@dataclass(frozen=True, slots=True)
class AnyOf:
    """At least one of two or more expressions (`|`), which binds less than `;`."""

    terms: tuple["Expression", ...]


Expression: TypeAlias = Exists | Compared | AllOf | AnyOf


def terms_of(expression: Expression) -> Iterator[Exists | Compared]:
    """Every term, from left to right."""
    if isinstance(expression, AllOf | AnyOf):
        for one in expression.terms:
            yield from terms_of(one)
    else:
        yield expression


def names_of(expression: Expression) -> tuple[str, ...]:
    """The attributes that an expression asks for, each once, from left to right."""
    return tuple(dict.fromkeys(term.path.names[0] for term in terms_of(expression)))


MEMBERS: Final = frozenset({"observedAt", "unitCode", "datasetId", "createdAt", "modifiedAt", "instanceId"})
"""What stands in an instance beside its value and sub-attributes: these names are never expanded."""


def expand(expression: Expression, iri_of: Callable[[str], str]) -> Expression:
    """The same expression with the IRIs of its attributes and sub-attributes."""
    match expression:
        case AllOf(terms):
            return AllOf(tuple(expand(one, iri_of) for one in terms))
        case AnyOf(terms):
            return AnyOf(tuple(expand(one, iri_of) for one in terms))
        case Exists(path):
            return Exists(_expanded(path, iri_of))
        case Compared(path, by, value):
            return Compared(_expanded(path, iri_of), by, value)


def _expanded(path: Path, iri_of: Callable[[str], str]) -> Path:
    below = (name if name in MEMBERS else iri_of(name) for name in path.names[1:])
    return Path((iri_of(path.names[0]), *below), path.within)


# --- text to tree ------------------------------------------------------------------------------

_BLANK = re.compile(r"[ \t]*")
_NAME = re.compile(r"[^\W\d][\w:#/%-]*")
_WITHIN = re.compile(r"[^\s\[\].\"]+")
_OPERATOR = re.compile(r"!~=|==|!=|>=|<=|~=|>|<")
_QUOTED = re.compile(r'"(?:[^"\\\x00-\x1f]|\\.)*"')
_BARE = re.compile(r"(?:(?!\.\.)[^\s;|(),\"])+")
_BARE_PATTERN = re.compile(r"[^\s;|()\"]+")
_NUMBER = re.compile(r"-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d{1,3})?")
_MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:[.,]\d{1,6})?(?:Z|[+-]\d\d:\d\d)")
_DAY = re.compile(r"\d{4}-\d\d-\d\d")
_HOUR = re.compile(r"(\d\d:\d\d:\d\d(?:[.,]\d{1,6})?)Z?")
_URI = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:[^\s\"<>\\^`{|}]+")


def parse(text: str) -> Expression:
    """The tree of a query; raises an error that says at which character what is wrong."""
    if len(text) > LONGEST_QUERY:
        raise QueryTooLong(most=LONGEST_QUERY)
    return _Reader(text).read()


class _Reader:
    """Reads a query from left to right, one rule of the grammar a function."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._place = 0
        self._depth = 0
        self._terms = 0

    def read(self) -> Expression:
        expression = self._any()
        if self._place < len(self._text):
            raise QueryLeftOver(position=self._place + 1)
        return expression

    def _blank(self) -> None:
        found = _BLANK.match(self._text, self._place)
        self._place = found.end() if found else self._place

    def _sees(self, sign: str) -> bool:
        return self._text.startswith(sign, self._place)

    def _take(self, sign: str) -> bool:
        if not self._sees(sign):
            return False
        self._place += len(sign)
        self._blank()
        return True

    def _match(self, pattern: re.Pattern[str]) -> str | None:
        found = pattern.match(self._text, self._place)
        if found is None:
            return None
        self._place = found.end()
        return found.group(0)

    def _any(self) -> Expression:
        terms = [self._all()]
        while self._take("|"):
            terms.append(self._all())
        return terms[0] if len(terms) == 1 else AnyOf(tuple(terms))

    def _all(self) -> Expression:
        terms = [self._term()]
        while self._take(";"):
            terms.append(self._term())
        return terms[0] if len(terms) == 1 else AllOf(tuple(terms))

    def _term(self) -> Expression:
        self._blank()
        opened = self._place
        if self._take("("):
            self._depth += 1
            if self._depth > DEEPEST:
                raise QueryTooComplex
            expression = self._any()
            self._depth -= 1
            if not self._take(")"):
                raise QueryBracketOpen(position=opened + 1)
            return expression
        self._terms += 1
        if self._terms > MOST_TERMS:
            raise QueryTooComplex
        path = self._path()
        found = self._match(_OPERATOR)
        if found is None:
            return Exists(path)
        self._blank()
        by = Comparator(found)
        if by in (Comparator.PATTERN, Comparator.NOT_PATTERN):
            return Compared(path, by, self._pattern())
        return Compared(path, by, self._value(by))

    def _path(self) -> Path:
        names = [self._name()]
        while self._sees(".") and not self._sees(".."):
            self._place += 1
            names.append(self._name())
        if self._sees("{"):
            raise QueryLinked(position=self._place + 1)
        within: tuple[str, ...] = ()
        opened = self._place
        if self._take("["):
            within = self._within()
            if not self._take("]"):
                raise QueryBracketOpen(position=opened + 1)
        self._blank()
        return Path(tuple(names), within)

    def _name(self) -> str:
        name = self._match(_NAME)
        if name is None:
            raise QueryNameMissing(position=self._place + 1)
        return name

    def _within(self) -> tuple[str, ...]:
        keys: list[str] = []
        while True:
            key = self._match(_WITHIN)
            if key is None:
                raise QueryNameMissing(position=self._place + 1)
            keys.append(key)
            if not self._take("."):
                return tuple(keys)

    def _value(self, by: Comparator) -> Literal | Range | OneOf:
        equality = by in (Comparator.EQUAL, Comparator.UNEQUAL)
        place = self._place
        first = self._literal()
        if isinstance(first, bool) and not equality:
            raise QueryTruthOrdered(position=place + 1)
        if (self._sees("..") or self._sees(",")) and not equality:
            raise QueryValueMisplaced(position=self._place + 1)
        if self._take(".."):
            last = self._literal()
            if isinstance(first, bool | Uri) or _kind(first) is not _kind(last):
                raise QueryRangeMixed(position=place + 1)
            return Range(first, last)
        if not self._sees(","):
            return first
        values = [first]
        while self._take(","):
            values.append(self._literal())
        if len(values) > MOST_TERMS:
            raise QueryTooComplex
        return OneOf(tuple(values))

    def _quoted(self) -> str | None:
        if not self._sees('"'):
            return None
        place = self._place
        found = self._match(_QUOTED)
        if found is None:
            raise QueryTextUnending(position=place + 1)
        try:
            text = orjson.loads(found)
        except orjson.JSONDecodeError:
            raise QueryTextUnending(position=place + 1) from None
        self._blank()
        return str(text)

    def _literal(self) -> Literal:
        text = self._quoted()
        if text is not None:
            return text
        place = self._place
        bare = self._match(_BARE)
        self._blank()
        if bare is None:
            raise QueryValueMissing(position=place + 1)
        literal = _read_bare(bare)
        if literal is None:
            raise QueryTextUnquoted(position=place + 1, text=bare)
        return literal

    def _pattern(self) -> str:
        place = self._place
        text = self._quoted()
        if text is None:
            text = self._match(_BARE_PATTERN)
            self._blank()
        if text is None:
            raise QueryValueMissing(position=place + 1)
        try:
            read_pattern(text)
        except PatternMalformed as wrong:
            raise QueryPatternRefused(position=place + 1, reason=str(wrong)) from None
        return text


def _read_bare(text: str) -> Literal | None:
    """A value that needs no quotes: true, false, a number, a date and time, a date, a time, a URI."""
    if text in ("true", "false"):
        return text == "true"
    if _NUMBER.fullmatch(text):
        number = float(text)
        whole = re.fullmatch(r"-?\d{1,15}", text) is not None
        return int(text) if whole else number if isfinite(number) else None
    if text[0].isdecimal():
        return _read_time(text)
    return Uri(text) if _URI.fullmatch(text) else None


def _read_time(text: str) -> Literal | None:
    try:
        if _MOMENT.fullmatch(text):
            return parse_instant(text.replace(",", "."))
        if _DAY.fullmatch(text):
            return date.fromisoformat(text)
        hour = _HOUR.fullmatch(text)
        return time.fromisoformat(hour[1].replace(",", ".")) if hour else None
    except (ValueError, InstantUnreadable):
        return None


def _kind(literal: Literal) -> type:
    """Kinds that can be put in order with each other: whole and broken numbers are one."""
    return float if isinstance(literal, int | float) and not isinstance(literal, bool) else type(literal)


# --- tree to text ------------------------------------------------------------------------------


def written(expression: Expression) -> str:
    """The text of a tree, without blanks: `parse` makes the same tree of it."""
    match expression:
        case AnyOf(terms):
            return "|".join(f"({written(one)})" if isinstance(one, AnyOf) else written(one) for one in terms)
        case AllOf(terms):
            return ";".join(
                f"({written(one)})" if isinstance(one, AllOf | AnyOf) else written(one) for one in terms
            )
        case Exists(path):
            return _written_path(path)
        case Compared(path, by, value):
            return f"{_written_path(path)}{by}{_written_value(value)}"


def _written_path(path: Path) -> str:
    return ".".join(path.names) + (f"[{'.'.join(path.within)}]" if path.within else "")


def _written_value(value: Literal | Range | OneOf) -> str:
    match value:
        case Range(least, most):
            return f"{_written_literal(least)}..{_written_literal(most)}"
        case OneOf(values):
            return ",".join(map(_written_literal, values))
        case _:
            return _written_literal(value)


def _written_literal(value: Literal) -> str:
    match value:
        case bool() | str():
            text = orjson.dumps(value).decode()
        case int() | float():
            text = repr(value)
        case datetime():
            text = value.astimezone(UTC).isoformat().replace("+00:00", "Z")
        case time():
            text = value.isoformat() + "Z"
        case date():
            text = value.isoformat()
        case Uri(text):
            pass
    return text


# --- evaluated ---------------------------------------------------------------------------------

Attributes: TypeAlias = Mapping[str, Sequence[Stored]]
"""What an entity holds: instances by the IRI of their attribute, as documents have them."""

Predicate: TypeAlias = Callable[[Attributes], bool]

_ORDER: Final[Mapping[Comparator, Callable[[Any, Any], bool]]] = {
    Comparator.GREATER: gt,
    Comparator.GREATER_EQUAL: ge,
    Comparator.LESS: lt,
    Comparator.LESS_EQUAL: le,
}


def evaluate(expression: Expression, attributes: Attributes) -> bool:
    """Whether an expanded expression holds of these attributes."""
    return predicate(expression)(attributes)


def predicate(expression: Expression) -> Predicate:
    """An expanded expression as a function; any instance of an attribute (`datasetId`) may satisfy it.

    Keep it with the expression: no cache does it here, to which `a==1` and `a==true` are one key.
    """
    match expression:
        case AllOf(terms):
            every = tuple(predicate(one) for one in terms)
            return lambda attributes: all(one(attributes) for one in every)
        case AnyOf(terms):
            some = tuple(predicate(one) for one in terms)
            return lambda attributes: any(one(attributes) for one in some)
        case Exists(path):
            return lambda attributes: any(True for _ in _targets(path, attributes))
        case Compared(path, by, value):
            return _compared(path, by, value)


def _compared(path: Path, by: Comparator, value: Literal | Range | OneOf) -> Predicate:
    if by in _ORDER and isinstance(value, int | float) and len(path.names) == 1 and not path.within:
        return _number_compared(path.names[0], _ORDER[by], float(value))
    if by in (Comparator.PATTERN, Comparator.NOT_PATTERN):
        pattern, wanted = read_pattern(str(value)), by is Comparator.PATTERN
        return lambda attributes: any(
            isinstance(one, str) and pattern.found_in(one) is wanted
            for target, _ in _targets(path, attributes)
            for one in _each(target)
        )
    if by in _ORDER:
        order = _ORDER[by]
        return lambda attributes: any(
            not linked and _ordered(one, order, value)
            for target, linked in _targets(path, attributes)
            for one in _each(target)
        )
    if by is Comparator.EQUAL:
        return lambda attributes: any(
            _equals(one, value) for target, _ in _targets(path, attributes) for one in _each(target)
        )
    return lambda attributes: any(
        not any(_equals(one, value) for one in _each(target)) for target, _ in _targets(path, attributes)
    )


def _number_compared(iri: str, order: Callable[[Any, Any], bool], limit: float) -> Predicate:
    """What nearly every rule is: a number over or under a limit, found without a detour."""

    def holds(attributes: Attributes) -> bool:
        for instance in attributes.get(iri, ()):
            number = instance.get("value")
            if isinstance(number, list):
                if any(_ordered(one, order, limit) for one in number):
                    return True
            elif isinstance(number, int | float) and not isinstance(number, bool) and order(number, limit):
                return True
        return False

    return holds


def _targets(path: Path, attributes: Attributes) -> Iterator[tuple[Any, bool]]:
    """What a path leads to in each instance, and whether that is a link to another entity."""
    for instance in attributes.get(path.names[0], ()):
        yield from _below(instance, path.names[1:], path.within)


def _below(instance: Stored, names: tuple[str, ...], within: tuple[str, ...]) -> Iterator[tuple[Any, bool]]:
    if not names:
        target = value_of(instance)
        for key in within:
            if key == "*" and isinstance(target, dict):
                target = list(target.values())
            else:
                target = target.get(key) if isinstance(target, dict) else None
        if target is not None:
            yield target, instance["type"] in ("Relationship", "ListRelationship")
        return
    found = instance.get(names[0])
    if names[0] in MEMBERS:
        if found is not None and len(names) == 1 and not within:
            yield found, False
    elif isinstance(found, list):
        for one in found:
            yield from _below(one, names[1:], within)


def _each(target: Any) -> Iterator[Any]:
    """The elements of a list, or the one value there is; typed JSON-LD values without their type."""
    for one in target if isinstance(target, list) else (target,):
        yield one["@value"] if isinstance(one, dict) and "@value" in one else one


def _ordered(given: Any, order: Callable[[Any, Any], bool], value: Any) -> bool:
    comparable = _as_kind_of(given, value)
    return comparable is not None and order(comparable, value)


def _equals(given: Any, value: Literal | Range | OneOf) -> bool:
    match value:
        case Range(least, most):
            comparable = _as_kind_of(given, least)
            return comparable is not None and least <= comparable <= most
        case OneOf(values):
            return any(_equals(given, one) for one in values)
        case _:
            comparable = _as_kind_of(given, value)
            return comparable is not None and bool(comparable == value)


def _as_kind_of(given: Any, value: Any) -> Any:
    """What an entity holds as something that can be compared with a literal; None where it cannot."""
    if isinstance(value, bool) or isinstance(given, bool):
        return given if isinstance(value, bool) and isinstance(given, bool) else None
    if isinstance(value, int | float):
        return given if isinstance(given, int | float) else None
    if not isinstance(given, str):
        return None
    if isinstance(value, Uri):
        return Uri(given)
    return given if isinstance(value, str) else _as_time(given, type(value))


def _as_time(text: str, kind: type) -> datetime | date | time | None:
    try:
        if kind is datetime:
            return parse_instant(text)
        if kind is date:
            return date.fromisoformat(text)
        return time.fromisoformat(text.removesuffix("Z"))
    except (ValueError, InstantUnreadable):
        return None
