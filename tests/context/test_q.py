"""The query language of NGSI-LD (clause 4.9): read, written, evaluated; hostile texts are refused in time."""

import re
from datetime import UTC, date, datetime, time
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from haidang.context.patterns import PatternMalformed, read_pattern
from haidang.context.q import (
    AllOf,
    AnyOf,
    Comparator,
    Compared,
    Exists,
    Expression,
    OneOf,
    Path,
    QueryBracketOpen,
    QueryLeftOver,
    QueryLinked,
    QueryNameMissing,
    QueryPatternRefused,
    QueryRangeMixed,
    QueryTextUnending,
    QueryTextUnquoted,
    QueryTooComplex,
    QueryTooLong,
    QueryTruthOrdered,
    QueryValueMisplaced,
    QueryValueMissing,
    Range,
    Uri,
    evaluate,
    expand,
    names_of,
    parse,
    written,
)
from haidang.kernel.errors import Invalid

# --- reading and writing -----------------------------------------------------------------------

NAMES = st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,8}", fullmatch=True)
PATHS = st.builds(
    Path,
    st.lists(NAMES, min_size=1, max_size=3).map(tuple),
    st.lists(NAMES, max_size=2).map(tuple),
)
NUMBERS = st.integers(-(10**14), 10**14) | st.floats(allow_nan=False, allow_infinity=False)
TIMES = st.one_of(
    st.datetimes(timezones=st.just(UTC)),
    st.dates(),
    st.times(),
)
TEXTS = st.text(st.characters(codec="utf-8"), max_size=12)
LITERALS = st.one_of(st.booleans(), NUMBERS, TEXTS, TIMES, st.just(Uri("urn:ngsi-ld:Vehicle:A4567")))
RANGES = st.one_of(
    st.builds(Range, NUMBERS, NUMBERS),
    st.builds(Range, TEXTS, TEXTS),
    st.builds(Range, st.dates(), st.dates()),
)
TERMS = st.one_of(
    st.builds(Exists, PATHS),
    st.builds(
        Compared,
        PATHS,
        st.sampled_from([Comparator.EQUAL, Comparator.UNEQUAL]),
        LITERALS | RANGES | st.builds(OneOf, st.lists(LITERALS, min_size=2, max_size=4).map(tuple)),
    ),
    st.builds(
        Compared,
        PATHS,
        st.sampled_from(
            [Comparator.GREATER, Comparator.GREATER_EQUAL, Comparator.LESS, Comparator.LESS_EQUAL]
        ),
        NUMBERS | TEXTS | TIMES,
    ),
    st.builds(
        Compared,
        PATHS,
        st.sampled_from([Comparator.PATTERN, Comparator.NOT_PATTERN]),
        st.sampled_from(["a.*b", "^(x|y)+$", 'say "no"', "[;|]"]),
    ),
)
EXPRESSIONS: st.SearchStrategy[Expression] = st.recursive(
    TERMS,
    lambda below: (
        st.builds(AllOf, st.lists(below, min_size=2, max_size=4).map(tuple))
        | st.builds(AnyOf, st.lists(below, min_size=2, max_size=4).map(tuple))
    ),
    max_leaves=8,
)


@given(EXPRESSIONS)
def test_what_is_written_down_is_read_as_the_same(expression: Expression) -> None:
    text = written(expression)
    assume(len(text) <= 2_000)
    assert parse(text) == expression
    assert written(parse(text)) == text


def test_and_binds_more_than_or() -> None:
    a, b, c = (Exists(Path((name,))) for name in "abc")
    assert parse("a;b|c") == AnyOf((AllOf((a, b)), c))
    assert parse("a;(b|c)") == AllOf((a, AnyOf((b, c))))
    assert parse(" a ; ( b | c ) ") == parse("a;(b|c)")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("a==1", 1),
        ("a==-1.5e3", -1500.0),
        ("a==true", True),
        ('a=="Phú Thuỷ"', "Phú Thuỷ"),
        ("a==2018-12-04T12:00:00Z", datetime(2018, 12, 4, 12, tzinfo=UTC)),
        ("a==2018-12-04T19:00:00+07:00", datetime(2018, 12, 4, 12, tzinfo=UTC)),
        ("a==2018-12-04", date(2018, 12, 4)),
        ("a==12:30:00Z", time(12, 30)),
        ("a==urn:ngsi-ld:OffStreetParking:Downtown1", Uri("urn:ngsi-ld:OffStreetParking:Downtown1")),
        ("a==40..50", Range(40, 50)),
        ("a==1.5..2.5", Range(1.5, 2.5)),
        ('a=="black","white"', OneOf(("black", "white"))),
    ],
)
def test_values_are_what_the_standard_says(text: str, value: Any) -> None:
    assert parse(text) == Compared(Path(("a",)), Comparator.EQUAL, value)


def test_paths_go_below_attributes_and_into_values() -> None:
    assert parse("speed.reliability.observedAt>=2017-12-24T12:00:00Z") == Compared(
        Path(("speed", "reliability", "observedAt")),
        Comparator.GREATER_EQUAL,
        datetime(2017, 12, 24, 12, tzinfo=UTC),
    )
    assert parse('sensor.rawdata[airquality.particulate]=="high"').path == Path(  # type: ignore[union-attr]  # it is a Compared
        ("sensor", "rawdata"), ("airquality", "particulate")
    )


@pytest.mark.parametrize(
    ("text", "error", "position"),
    [
        ("", QueryNameMissing, 1),
        ("a==1;", QueryNameMissing, 6),
        ("a>", QueryValueMissing, 3),
        ("a==black", QueryTextUnquoted, 4),
        ('a=="black', QueryTextUnending, 4),
        ("(a==1", QueryBracketOpen, 1),
        ("a[b", QueryBracketOpen, 2),
        ("a==1)", QueryLeftOver, 5),
        ("a==1 b", QueryLeftOver, 6),
        ("a>1..2", QueryValueMisplaced, 4),
        ("a>1,2", QueryValueMisplaced, 4),
        ('a==1.."b"', QueryRangeMixed, 4),
        ("a>true", QueryTruthOrdered, 3),
        ("a{T:b}==1", QueryLinked, 2),
        ("a~=(", QueryValueMissing, 4),
        ('a~="("', QueryPatternRefused, 4),
        ("a==2018-13-04", QueryTextUnquoted, 4),
        ("a==1e999", QueryTextUnquoted, 4),
    ],
)
def test_a_mistake_is_told_with_its_place(text: str, error: type[Invalid], position: int) -> None:
    with pytest.raises(error) as told:
        parse(text)
    assert told.value.fields["position"] == position


@given(st.text('ab.[]();|=!<>~,"01-T:Z {}*', max_size=40))
def test_any_text_is_read_or_refused_with_a_sentence(text: str) -> None:
    try:
        expression = parse(text)
    except Invalid:
        return
    assert parse(written(expression)) == expression


def test_hostile_texts_are_refused() -> None:
    with pytest.raises(QueryTooLong):
        parse("a" * 3_000)
    with pytest.raises(QueryTooComplex):
        parse("(" * 500 + "a" + ")" * 500)
    with pytest.raises(QueryTooComplex):
        parse(";".join(["a"] * 500))
    with pytest.raises(QueryTooComplex):
        parse("a==" + ",".join(["1"] * 500))


# --- evaluating --------------------------------------------------------------------------------

ENTITY: dict[str, list[dict[str, Any]]] = {
    "iri:pm25": [
        {
            "type": "Property",
            "value": 61.5,
            "unitCode": "GQ",
            "observedAt": "2026-11-21T05:00:00Z",
            "iri:accuracy": [{"type": "Property", "value": 0.9}],
        }
    ],
    "iri:name": [{"type": "Property", "value": "Phú Thuỷ"}],
    "iri:on": [{"type": "Property", "value": True}],
    "iri:tags": [{"type": "Property", "value": ["river", "gauge"]}],
    "iri:address": [{"type": "Property", "value": {"ward": {"code": "00001"}, "street": "Lê Lợi"}}],
    "iri:since": [
        {"type": "Property", "value": {"@type": "DateTime", "@value": "2026-01-05T00:00:00Z"}},
    ],
    "iri:day": [{"type": "Property", "value": {"@type": "Date", "@value": "2026-01-05"}}],
    "iri:standsIn": [{"type": "Relationship", "object": "urn:ngsi-ld:Ward:1"}],
    "iri:title": [{"type": "LanguageProperty", "languageMap": {"vi": "Trạm", "en": "Station"}}],
    "iri:level": [
        {"type": "Property", "value": 1},
        {"type": "Property", "value": 9, "datasetId": "urn:second"},
    ],
}


def holds(text: str) -> bool:
    return evaluate(expand(parse(text), lambda name: f"iri:{name}"), ENTITY)


@pytest.mark.parametrize(
    "text",
    [
        "pm25",
        "pm25>60",
        "pm25>=61.5;pm25<=61.5",
        "pm25==61.5",
        "pm25==60..62",
        "pm25!=1",
        "pm25!=1..2",
        "pm25==1,61.5",
        'pm25.unitCode=="GQ"',
        "pm25.observedAt>2026-11-21T04:00:00Z",
        "pm25.accuracy>0.5",
        'name=="Phú Thuỷ"',
        'name~="^Phú"',
        'name!~="^Bình"',
        'name>"P"',
        "on==true",
        "on!=false",
        'tags=="gauge"',
        'tags!="roof"',
        'address[ward.code]=="00001"',
        "since>2026-01-01T00:00:00Z",
        "day==2026-01-01..2026-01-31",
        "standsIn==urn:ngsi-ld:Ward:1",
        'standsIn=="urn:ngsi-ld:Ward:1"',
        'title[vi]=="Trạm"',
        'title[*]=="Station"',
        "level>8",
        "level<2",
        "absent|pm25>60",
        "(absent|pm25>60);on==true",
    ],
)
def test_it_holds(text: str) -> None:
    assert holds(text)


@pytest.mark.parametrize(
    "text",
    [
        "absent",
        "absent!=1",
        'absent!~="x"',
        "pm25>61.5",
        "pm25==1..2",
        "pm25!=60..62",
        'pm25=="61.5"',
        'pm25>"a"',
        "on==1",
        "on>0",
        'tags!="river"',
        'address=="Lê Lợi"',
        "address[ward.name]",
        "pm25.absent",
        "pm25.observedAt.x",
        'standsIn>"urn"',
        "name==2026-01-05",
        "pm25>60;absent",
        "pm25>60;(absent|on==false)",
    ],
)
def test_it_does_not_hold(text: str) -> None:
    assert not holds(text)


def test_attributes_are_named_once_and_in_their_order() -> None:
    assert names_of(parse("b>1;(a==2|b<3);c.d")) == ("b", "a", "c")


# --- patterns ----------------------------------------------------------------------------------

PATTERNS: st.SearchStrategy[str] = st.recursive(
    st.sampled_from(["a", "b", ".", "[ab]", "[^a]", "^", "$", r"\.", "[[:digit:]]"]),
    lambda below: st.one_of(
        st.tuples(below, below).map("".join),
        st.tuples(below, below).map(lambda pair: f"({pair[0]}|{pair[1]})"),
        st.tuples(below, st.sampled_from(["*", "+", "?", "{2}", "{1,3}", "{0,2}", "{2,}", "{0}"])).map(
            lambda pair: f"({pair[0]}){pair[1]}"
        ),
    ),
    max_leaves=5,
)


@given(PATTERNS, st.text("ab.1", max_size=8))
def test_a_pattern_finds_what_re_finds(pattern: str, text: str) -> None:
    try:
        found = read_pattern(pattern).found_in(text)
    except PatternMalformed as wrong:
        assert "complex" in str(wrong)  # noqa: PT017  # three repetitions within each other
        return
    expected = pattern.replace("[[:digit:]]", "[0-9]").replace("$", r"\Z")
    assert found == bool(re.search(expected, text, re.DOTALL))


@given(st.text(max_size=30))
def test_any_pattern_is_read_or_refused(text: str) -> None:
    try:
        read_pattern(text).found_in("aaaa")
    except PatternMalformed:
        return


def test_a_pattern_that_would_hang_re_is_answered() -> None:
    assert not read_pattern("^(a|a)*(a*)*(a+)+b$").found_in("a" * 1_000)
    with pytest.raises(PatternMalformed):
        read_pattern("((((a{20}){20}){20}){20})")
