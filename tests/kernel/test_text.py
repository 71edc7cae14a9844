"""Vietnamese text: what is equal for search, and what comes first in a dictionary."""

import unicodedata
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from haidang.kernel.text import collation_key, fold, nfc

VIETNAMESE = st.text(
    alphabet=st.sampled_from(
        "aàảãáạăằẳẵắặâầẩẫấậbcdđeèẻẽéẹêềểễếệghiìỉĩíịklmnoòỏõóọôồổỗốộơờởỡớợpqrstuùủũúụưừửữứựvxyỳỷỹýỵ"
        "AÀẢÃÁẠĐÊỀƯỪƠỜ .,-0123456789PQHXTtp"
    ),
    max_size=40,
)


@pytest.mark.parametrize(
    ("written", "searched"),
    [
        ("Hoà", "hòa"),
        ("Thuỷ", "Thủy"),
        ("Luỹ Bán Bích", "lũy bán bích"),
        ("Kỳ Hoà", "Kì Hòa"),
        ("Mỹ Tho", "Mĩ Tho"),
        ("Qui Nhơn", "Quy Nhơn"),
        ("P. Phú Thủy", "phuong phu thuy"),
        ("p.Phú Thủy", "Phường Phú Thuỷ"),
        ("Q. 1", "Quận 1"),
        ("P.12", "phường 12"),
        ("TP. Phan Thiết", "Thành phố Phan Thiết"),
        ("TP.Quy Nhơn", "tp Quy Nhơn"),
        ("TP Quy Nhơn", "thành phố quy nhơn"),
        ("TX. An Nhơn", "thị xã An Nhơn"),
        ("TT. Phú Long", "Thị trấn Phú Long"),
        ("H. Tuy Phước", "huyện Tuy Phước"),
        ("X. Nhơn Châu", "xã Nhơn Châu"),
        ("P. Đống Đa, TP. Quy Nhơn", "phuong dong da thanh pho quy nhon"),
        ("Mu\u0303i Ne\u0301", "Mũi Né"),
        ("ĐƯỜNG Trần-Phú", "duong tran phu"),
    ],
)
def test_two_spellings_of_one_name_are_found_by_each_other(written: str, searched: str) -> None:
    assert fold(written) == fold(searched)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Thúy", "Thúi"),
        ("tay", "tai"),
        ("Phú Hài", "Phú Hay"),
        ("Vitamin X.", "Vitamin xã"),
        ("H. 25", "huyện 25"),
        ("Hoa", "Hao"),
    ],
)
def test_different_words_stay_different(one: str, other: str) -> None:
    assert fold(one) != fold(other)


def test_folding_leaves_plain_words_between_single_spaces() -> None:
    assert fold("  P. Phú Thủy,  TP. Phan-Thiết! ") == "phuong phu thuy thanh pho phan thiet"


@given(st.one_of(VIETNAMESE, st.text(max_size=40)))
def test_folding_twice_changes_nothing_more(text: str) -> None:
    assert fold(fold(text)) == fold(text)


@given(st.one_of(VIETNAMESE, st.text(max_size=40)))
def test_composed_and_decomposed_text_fold_and_sort_alike(text: str) -> None:
    apart = unicodedata.normalize("NFD", text)
    assert fold(apart) == fold(nfc(text))
    assert collation_key(apart) == collation_key(nfc(text))
    assert nfc(apart) == nfc(text)


def test_every_letter_there_is_folds_for_good() -> None:
    every = (chr(code) for code in range(0x110000))
    letters = [one for one in every if unicodedata.decomposition(one) or one.casefold() != one]
    assert len(letters) > 1000
    assert [letter for letter in letters if fold(fold(letter)) != fold(letter)] == []


@given(VIETNAMESE)
def test_folded_vietnamese_is_ascii(text: str) -> None:
    assert fold(text).isascii()


@given(VIETNAMESE)
def test_search_does_not_see_capitals(text: str) -> None:
    assert fold(text.upper()) == fold(text.lower()) == fold(text)


def sorted_from_the_end(names: list[str]) -> list[str]:
    """Sorted from the reverse, so that a key that decides nothing is seen."""
    upside_down = names[::-1]
    return sorted(upside_down, key=collation_key)


def test_letters_come_in_the_order_of_the_vietnamese_alphabet() -> None:
    alphabet = list("aăâbcdđeêghiklmnoôơpqrstuưvxy")
    assert sorted_from_the_end(alphabet) == alphabet


def test_tones_come_in_the_order_of_the_dictionary() -> None:
    tones = ["ma", "mà", "mả", "mã", "má", "mạ"]
    assert sorted_from_the_end(tones) == tones


def test_letters_decide_before_tones_and_words_before_letters() -> None:
    names = ["An", "Ấn", "Bình Định", "Bình Thuận", "Da", "Dạ Lan", "Đà Lạt", "Đà Nẵng", "Em", "Ếm"]
    assert sorted_from_the_end(names) == names
    assert collation_key("hà tĩnh") < collation_key("ha trung") < collation_key("hán")


def test_numbers_come_by_their_value() -> None:
    wards = ["Phường 2", "Phường 10", "Phường 100", "Phường An Lạc"]
    assert sorted_from_the_end(wards) == wards
    assert collation_key("Hồ sơ 999999999") < collation_key("Hồ sơ 1000000000")


def test_old_and_new_tone_placement_have_one_place_in_the_dictionary() -> None:
    for old, new in (("hoà", "hòa"), ("Thuỷ", "Thủy"), ("Luỹ", "Lũy"), ("khoẻ", "khỏe")):
        assert collation_key(old) == collation_key(new)


def test_small_letters_come_before_capitals_only_when_all_else_is_equal() -> None:
    assert collation_key("hoa") < collation_key("Hoa") < collation_key("hoà")


@given(VIETNAMESE, VIETNAMESE)
def test_keys_order_alike_in_python_and_in_a_c_collation(one: str, other: str) -> None:
    one_key, other_key = collation_key(one), collation_key(other)
    assert (one_key < other_key) == (one_key.encode() < other_key.encode())
    assert "\0" not in one_key


@given(st.lists(VIETNAMESE, max_size=8))
def test_the_order_is_total_and_does_not_depend_on_the_start(names: list[str]) -> None:
    ordered = sorted(names, key=collation_key)
    again = sorted_from_the_end(names)
    assert [collation_key(name) for name in ordered] == [collation_key(name) for name in again]
    for lower, higher in pairwise(ordered):
        assert collation_key(lower) <= collation_key(higher)


@given(VIETNAMESE, VIETNAMESE)
def test_equal_keys_mean_equal_letters(one: str, other: str) -> None:
    if collation_key(one) == collation_key(other):
        assert fold(one.replace(".", " ")) == fold(other.replace(".", " ")) or any(
            letter.isdigit() for letter in one + other
        )
