"""What addresses mean: the labelled ones, the rules one by one, and what must hold of any text."""

import unicodedata
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from functools import cache
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from haidang.kernel.text import collation_key
from haidang.places import loading
from haidang.places.loading import FOLDER, read_links, read_units
from haidang.places.model import Level, Link, LinkKind, Unit
from haidang.places.naming import (
    MOST_CANDIDATES,
    Needs,
    Outcome,
    PointIn,
    Resolution,
    UnitNames,
    find,
    resolve,
    words_of,
)

TODAY = date(2026, 11, 22)
EVE = date(2025, 6, 30)
TURN = date(2025, 7, 1)
LABELLED = Path(__file__).parent / "addresses.tsv"


@cache
def country() -> UnitNames:
    """The names of every unit that the product carries."""
    laws = dict.fromkeys(_laws(), "")
    units = read_units(FOLDER / "units.tsv", laws)
    return UnitNames(units, read_links(FOLDER / "links.tsv", laws, loading._by_code(units)))


def _laws() -> set[str]:
    return set(loading._described(FOLDER, "units.toml")[0]["laws"])


@cache
def today_by_label() -> dict[str, str]:
    """Units of today by "name, province"; where the tone stands makes no difference."""
    return {collation_key(label(one)): one.unit_id for one in country().units.values() if one.stood_on(TODAY)}


def label(unit: Unit) -> str:
    return f"{unit.full_name}, {country().path_of(unit.unit_id)[0].name}"


@dataclass(frozen=True)
class Labelled:
    """One line of the labelled addresses."""

    text: str
    within: str | None
    point: PointIn | None
    means: str
    units: tuple[str, ...]

    def judged(self, change: Callable[[str], str]) -> tuple[str, Resolution]:
        """What came of it, written another way: hit, asked, none, or what it should not be."""
        found = resolve(country(), change(self.text), TODAY, within=self.within, point=self.point)
        listed = [one.unit.unit_id for one in found.candidates]
        if found.outcome is Outcome.ONE:
            right = self.means == "one" and listed[0] == self.units[0]
            return "hit" if right else "wrong", found
        if found.outcome is Outcome.NONE:
            return "none" if self.means == "none" else "missed", found
        if self.means == "ask":
            return "asked" if set(self.units) <= set(listed) else "asked about others", found
        return "asked instead", found


def labelled() -> list[Labelled]:
    """The labelled addresses."""
    lines = [line for line in LABELLED.read_text(encoding="utf-8").splitlines() if line[:1] != "#"]
    found = []
    for line in lines[1:]:
        text, within, at, means, units = line.split("\t")
        known = today_by_label()
        found.append(
            Labelled(
                text,
                known[collation_key(f"Tỉnh {within}, {within}")] if within else None,
                PointIn(known[collation_key(at)]) if at else None,
                means,
                tuple(known[collation_key(one)] for one in units.split("; ") if one),
            )
        )
    return found


def bare(text: str) -> str:
    """As typed without diacritics."""
    apart = unicodedata.normalize("NFD", text.replace("đ", "d").replace("Đ", "D").replace("Ð", "D"))
    return "".join(letter for letter in apart if not unicodedata.combining(letter))


def without_commas(text: str) -> str:
    return text.replace(",", " ")


def test_every_labelled_address_means_what_its_label_says() -> None:
    assert len(labelled()) >= 250
    judged = {one.text: one.judged(str)[0] for one in labelled()}
    # The official list spells it N'Thol Hạ, the resolution N'Thôn Hạ: we ask.
    assert {text: how for text, how in judged.items() if how not in ("hit", "asked", "none")} == {
        "xã N'Thôn Hạ, Đức Trọng": "asked instead"
    }


@pytest.mark.parametrize("change", [lambda text: unicodedata.normalize("NFD", text), str.upper, str.lower])
def test_letters_apart_capitals_and_small_letters_change_nothing(change: Callable[[str], str]) -> None:
    for one in labelled():
        assert one.judged(change)[0] == one.judged(str)[0], one.text


@pytest.mark.parametrize(
    ("change", "least"),
    [(str, 198), (bare, 195), (without_commas, 195), (lambda text: bare(without_commas(text)), 190)],
    ids=["as written", "bare", "without commas", "bare, without commas"],
)
def test_nothing_is_wrong_above_nine_tenths(change: Callable[[str], str], least: int) -> None:
    judged = [one.judged(change) for one in labelled()]
    tally = Counter(how for how, _ in judged)
    assert tally["wrong"] == 0
    assert tally["hit"] >= least


@pytest.mark.parametrize(
    "form",
    [
        lambda path: f"12 Lê Lợi, {path[2].full_name}, {path[1].full_name}, {path[0].full_name}",
        lambda path: bare(f"12 le loi {path[2].full_name} {path[1].name} {path[0].name}"),
    ],
    ids=["in full", "bare, without commas"],
)
def test_no_former_ward_of_the_country_is_taken_for_another(
    form: Callable[[tuple[Unit, ...]], str],
) -> None:
    """Every tenth of the ten thousand; bench/addresses.py looks at as many as one likes."""
    names = country()
    goings = names.day(TODAY).goings
    wards = [one for one in names.units.values() if one.level is Level.WARD and not one.stood_on(TODAY)]
    tally = Counter[str]()
    for unit in wards[::10]:
        became = {going.today_id for going in goings[unit.unit_id]}
        found = resolve(names, form(names.path_of(unit.unit_id)), TODAY)
        if found.outcome is Outcome.ONE:
            assert {found.candidates[0].unit.unit_id} == became, unit.unit_id
        tally[found.outcome] += 1
    assert tally[Outcome.ONE] > 0.9 * tally.total()
    assert tally[Outcome.NONE] <= 1


def test_a_district_that_is_not_the_wards_is_never_overlooked() -> None:
    names = country()
    goings = names.day(TODAY).goings
    wards = [one for one in names.units.values() if one.level is Level.WARD and not one.stood_on(TODAY)]
    districts = [one for one in names.units.values() if one.level is Level.DISTRICT]
    for place, ward in enumerate(wards[::20]):
        district = districts[place * 97 % len(districts)]
        text = f"{ward.full_name}, {district.full_name}, {names.path_of(district.unit_id)[0].full_name}"
        found = resolve(names, text, TODAY)
        if found.confidence > 0.9:
            answer = found.candidates[0]
            through = (answer.former or answer.unit).unit_id
            assert any(district.unit_id in going.around for going in goings[through]), text


# -- a small province, made up -----------------------------------------------------------------


def unit(unit_id: str, level: Level, kind: str, name: str, above: str | None, *, former: bool) -> Unit:
    return Unit(
        unit_id=unit_id,
        level=level,
        kind=kind,
        code="0",
        name=name,
        full_name=f"{kind} {name}",
        parent_id=above,
        valid_from=None if former else TURN,
        valid_to=TURN if former else None,
    )


def small() -> UnitNames:
    """Two districts; Hoa Mai split, Bình An in both, two names that fold alike."""
    units = [
        unit("old", Level.PROVINCE, "Tỉnh", "Đông Hải", None, former=True),
        unit("new", Level.PROVINCE, "Tỉnh", "Nam Sơn", None, former=False),
        unit("d1", Level.DISTRICT, "Huyện", "Sông Cả", "old", former=True),
        unit("d2", Level.DISTRICT, "Thành phố", "Cảng Lớn", "old", former=True),
        unit("a1", Level.WARD, "Xã", "Bình An", "d1", former=True),
        unit("a2", Level.WARD, "Phường", "Bình An", "d2", former=True),
        unit("split", Level.WARD, "Xã", "Hoa Mai", "d1", former=True),
        unit("tan", Level.WARD, "Xã", "Tân Lộ", "d1", former=True),
        unit("tan2", Level.WARD, "Xã", "Tần Lộ", "d2", former=True),
        unit("n1", Level.WARD, "Xã", "Sông Cả", "new", former=False),
        unit("n2", Level.WARD, "Phường", "Cảng Lớn", "new", former=False),
        unit("n3", Level.WARD, "Phường", "Bình An", "new", former=False),
    ]
    steps = [("a1", "n1"), ("a2", "n2"), ("tan", "n1"), ("tan2", "n2")]
    links = [Link(one, two, LinkKind.MERGE, 1.0, TURN) for one, two in steps]
    links += [
        Link("split", "n1", LinkKind.PART, 0.25, TURN),
        Link("split", "n3", LinkKind.PART, 0.75, TURN),
    ]
    return UnitNames(units, links)


def means(text: str, on: date = TODAY, point: PointIn | None = None) -> tuple[str, list[str]]:
    found = resolve(small(), text, on, point=point)
    sure = [one for one in found.candidates if one.confidence > 0.1]
    return found.outcome.value, [one.unit.unit_id for one in sure]


def test_a_district_decides_between_two_wards_of_a_name() -> None:
    assert means("xã Bình An, huyện Sông Cả") == ("one", ["n1"])
    assert means("Bình An, TP Cảng Lớn, Đông Hải") == ("one", ["n2"])


def test_a_name_that_stands_today_and_stood_elsewhere_is_asked_about() -> None:
    outcome, units = means("Bình An, Nam Sơn")
    assert outcome == "ask"
    assert units[0] == "n3"
    assert set(units) == {"n1", "n2", "n3"}


def test_marks_decide_and_without_them_we_ask() -> None:
    assert means("xã Tân Lộ") == ("one", ["n1"])
    assert means("xã Tần Lộ") == ("one", ["n2"])
    assert means("xa tan lo") == ("ask", ["n2", "n1"])


def test_a_tone_decides_wherever_it_stands_in_its_syllable() -> None:
    assert resolve(small(), "xã Tấn Lộ", TODAY).outcome is Outcome.ASK  # neither Tân nor Tần
    assert [one.marked for one in words_of("hoà thuỷ")] == [one.marked for one in words_of("hòa thủy")]


def test_a_split_commune_needs_a_coordinate_and_its_larger_piece_comes_first() -> None:
    found = resolve(small(), "xã Hoa Mai, Sông Cả", TODAY)
    assert found.outcome is Outcome.ASK
    assert found.needs is Needs.COORDINATE
    assert [one.unit.unit_id for one in found.candidates] == ["n3", "n1"]
    assert found.candidates[0].why.reason == "part"
    assert "Hoa Mai" in found.candidates[0].why.sentence()


def test_a_point_decides_a_split_only_when_it_lies_well_inside() -> None:
    assert means("xã Hoa Mai, Sông Cả", point=PointIn("n1")) == ("one", ["n1"])
    assert means("xã Hoa Mai, Sông Cả", point=PointIn("n1", certain=False))[0] == "ask"


def test_a_point_elsewhere_is_a_question_and_not_an_answer() -> None:
    found = resolve(small(), "xã Tân Lộ", TODAY, point=PointIn("n2"))
    assert found.outcome is Outcome.ASK
    assert [one.unit.unit_id for one in found.candidates] == ["n1"]
    assert found.candidates[0].why.reason == "elsewhere"


def test_a_point_outside_every_outline_changes_nothing() -> None:
    assert means("xã Tân Lộ", point=PointIn(None)) == means("xã Tân Lộ")


def test_a_district_alone_is_asked_about_and_needs_a_coordinate() -> None:
    found = resolve(small(), "12 Lê Lợi, huyện Sông Cả", TODAY)
    assert (found.outcome, found.needs, found.rest) == (Outcome.ASK, Needs.COORDINATE, "12 Lê Lợi")
    assert {one.unit.unit_id for one in found.candidates} == {"n1", "n3"}


def test_before_the_change_the_units_of_that_day_answer() -> None:
    assert means("xã Hoa Mai, huyện Sông Cả", on=EVE) == ("one", ["split"])
    assert means("phường Cảng Lớn, tỉnh Nam Sơn", on=EVE) == ("none", [])


def test_former_and_new_are_told_apart_when_the_text_says_which() -> None:
    assert means("phường Bình An mới, Nam Sơn") == ("one", ["n3"])
    assert means("phường Bình An cũ, TP Cảng Lớn") == ("one", ["n2"])


def test_a_ward_with_its_marker_comes_before_a_name_among_other_words() -> None:
    found = resolve(small(), "12 le loi xa hoa mai song ca dong hai", TODAY)
    assert [one.unit.unit_id for one in found.candidates] == ["n3", "n1"]
    assert all(one.former and one.former.unit_id == "split" for one in found.candidates)


def test_a_slip_of_a_letter_is_proposed_and_never_answered() -> None:
    found = resolve(small(), "xã Tân Lộô, huyện Sông Cả", TODAY)
    assert found.outcome is Outcome.ASK
    assert [(one.unit.unit_id, one.why.reason) for one in found.candidates] == [("n1", "nearly")]
    assert resolve(small(), "xã Tân Lộô", TODAY).outcome is Outcome.NONE  # in what district?


def test_what_a_street_is_called_after_is_no_unit() -> None:
    assert means("đường Bình An, xã Tân Lộ") == ("one", ["n1"])
    assert means("34 Bình An") == ("none", [])
    assert means("34/7 Cảng Lớn") == ("none", [])


def test_a_hint_that_contradicts_makes_it_a_question() -> None:
    found = resolve(small(), "xã Tân Lộ, TP Cảng Lớn", TODAY)
    assert found.outcome is Outcome.ASK
    assert found.confidence <= 0.5


def test_only_what_lies_within_is_a_candidate() -> None:
    found = resolve(small(), "Bình An", TODAY, within="d2")
    assert [one.unit.unit_id for one in found.candidates] == ["n2"]


@pytest.mark.parametrize("text", ["", " ", "12", "22945", "P.", "phường", ",,,", "\x00", "x" * 2_000])
def test_what_is_no_address_is_nothing(text: str) -> None:
    assert resolve(country(), text, TODAY).outcome is Outcome.NONE


@given(st.text(max_size=80))
def test_any_text_is_answered(text: str) -> None:
    found = resolve(small(), text, TODAY)
    assert found.text == text
    assert 0 <= found.confidence <= 1
    assert (found.outcome is Outcome.NONE) == (not found.candidates)


BEFORE = ["xã", "phường", "huyện", "TP", "tỉnh", "P.", "X.", "đường", "12", ",", "cũ"]
NAMES = ["Bình An", "Tân Lộ", "Tần Lộ", "Hoa Mai", "Sông Cả", "Cảng Lớn", "Nam Sơn", "Đông Hải", "Sơn"]
PIECES = st.sampled_from([*BEFORE, *NAMES])


@given(st.lists(PIECES, max_size=12).map(" ".join))
def test_an_answer_is_a_unit_of_the_day_and_confidences_are_shared(text: str) -> None:
    found = resolve(small(), text, TODAY)
    assert all(one.unit.stood_on(TODAY) for one in found.candidates)
    assert len({one.unit.unit_id for one in found.candidates}) == len(found.candidates) <= MOST_CANDIDATES
    listed = [one.confidence for one in found.candidates]
    assert listed == sorted(listed, reverse=True)
    assert sum(listed) <= 1.3  # those that nearly fit are named beside what fits, and rounding
    assert found.outcome is not Outcome.ONE or found.needs is None


WARDS = st.sampled_from(["Bình An", "Tân Lộ", "Tần Lộ", "Hoa Mai", "Sông Cả", "Cảng Lớn"])
DISTRICTS = st.sampled_from(["Sông Cả", "Cảng Lớn", "huyện Sông Cả", "TP Cảng Lớn", ""])
PROVINCES = st.sampled_from(["Đông Hải", "Nam Sơn", "tỉnh Đông Hải", "tỉnh Nam Sơn", ""])
KINDS = st.sampled_from(["xã ", "X. ", "phường ", "P.", ""])
BEGINNINGS = st.sampled_from(["", "12 Lê Lợi, ", "đường Bình An, ", "thôn 3 "])


@st.composite
def addresses(draw: st.DrawFn) -> str:
    """A ward, perhaps with a district and a province, which may contradict it."""
    parts = [draw(KINDS) + draw(WARDS), draw(DISTRICTS), draw(PROVINCES)]
    between = draw(st.sampled_from([", ", " "]))
    return draw(BEGINNINGS) + between.join(part for part in parts if part)


@given(addresses())
def test_without_marks_no_answer_turns_into_another(text: str) -> None:
    marked, unmarked = resolve(small(), text, TODAY), resolve(small(), bare(text), TODAY)
    if marked.outcome is Outcome.ONE and unmarked.outcome is Outcome.ONE:
        one, other = marked.candidates[0].unit.unit_id, unmarked.candidates[0].unit.unit_id
        assert one == other or min(marked.confidence, unmarked.confidence) <= 0.9


# -- typeahead ---------------------------------------------------------------------------------


def found_labels(words: str, most: int = 10) -> list[str]:
    return [label(one.unit) for one in find(country(), words, TODAY, most=most)]


@pytest.mark.parametrize("words", ["phan thi", "Phan Thi", "phường phan thi", "P. Phan Thi", "PHAN THIE"])
def test_a_beginning_finds_the_unit_of_today_first(words: str) -> None:
    assert found_labels(words)[0] == "Phường Phan Thiết, Lâm Đồng"


def test_former_units_come_after_with_what_they_became() -> None:
    found = find(country(), "binh hung", TODAY)
    former = [one for one in found if one.former]
    begins = [one.former for one in found if one.unit.name.startswith("Bình Hưng")]
    assert begins == [one.former for one in found][: len(begins)] == sorted(begins)
    assert {False, True} == set(begins)
    assert "Phường Phan Thiết" in {became.full_name for one in former for became in one.became}
    assert not any(one.became for one in found if not one.former)


def test_further_words_may_be_of_the_units_above() -> None:
    found = find(country(), "an nghia hoai an", TODAY)
    assert [one.unit.full_name for one in found] == ["Xã Ân Nghĩa"]
    assert [one.full_name for one in found[0].became] == ["Xã Kim Sơn"]


@pytest.mark.parametrize("words", ["", "  ", "…", "qqqq"])
def test_nothing_begins_so(words: str) -> None:
    assert find(country(), words, TODAY) == []


def test_no_more_are_found_than_asked_for() -> None:
    assert len(find(country(), "p", TODAY, most=7)) == 7
