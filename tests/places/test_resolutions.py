"""What the resolutions of 2025 say, as carried: the grammar, the file, and the links that must equal it."""

from collections import Counter, defaultdict

import pytest
from carry_resolutions import CARRIED, Member, NotUnderstood, Pair, carry, members_of

GIA_LAI, LAM_DONG = "1664/NQ-UBTVQH15", "1671/NQ-UBTVQH15"


def pairs() -> list[Pair]:
    """The carried file, read back."""
    lines = [line for line in CARRIED.read_text(encoding="utf-8").splitlines() if not line.startswith("#")]
    rows = [line.split("\t") for line in lines[1:]]
    return [Pair(row[0], int(row[1]), *row[2:]) for row in rows]


def whole(kind: str, name: str, district: str = "") -> Member:
    return Member(kind, name, district, "whole", "yes", None)


def law(*items: str, totals: str) -> str:
    """A made-up law of these items, in the form of the texts."""
    lines = [f"{number}\\. {item}" for number, item in enumerate([*items, totals], start=1)]
    return (
        "**Điều 1. Sắp xếp**\n\nnhư sau:\n\n" + "\n\n".join(lines) + "\n\n**Điều 2. Hiệu lực**\n\n1\\. Hết.\n"
    )


@pytest.mark.parametrize(
    ("phrase", "members"),
    [
        ("các xã A Na, Bê và Xê", [whole("xã", "A Na"), whole("xã", "Bê"), whole("xã", "Xê")]),
        (
            "thị trấn A và các xã Bê, Xê",
            [whole("thị trấn", "A"), whole("xã", "Bê"), whole("xã", "Xê")],
        ),
        (
            "các phường A (thành phố Na), Bê và xã Xê",
            [whole("phường", "A", "thành phố Na"), whole("phường", "Bê"), whole("xã", "Xê")],
        ),
        ("Phường 1 và phường D'Ê", [whole("phường", "1"), whole("phường", "D'Ê")]),
        (
            "xã A và một phần diện tích tự nhiên, quy mô dân số của xã Bê",
            [whole("xã", "A"), Member("xã", "Bê", "", "part", "yes", None)],
        ),
        (
            "xã A và một phần diện tích tự nhiên của xã Bê",
            [whole("xã", "A"), Member("xã", "Bê", "", "part", "no", None)],
        ),
        (
            "xã A và phần còn lại của xã Bê sau khi sắp xếp theo quy định tại khoản 7 Điều này",
            [whole("xã", "A"), Member("xã", "Bê", "", "rest", "", 7)],
        ),
    ],
)
def test_every_form_of_a_list_is_understood(phrase: str, members: list[Member]) -> None:
    whole_of = "toàn bộ diện tích tự nhiên, quy mô dân số của "
    assert members_of(whole_of + phrase) == members


@pytest.mark.parametrize(
    "phrase",
    [
        "A và Bê",  # no kind
        "xã A, Bê",  # one xã does not give its kind to the next; only "các xã" does
        "phần còn lại của xã A",  # after which item?
        "xã A (khu vực Na)",  # not a district
    ],
)
def test_a_form_that_is_not_known_stops_the_script(phrase: str) -> None:
    with pytest.raises(NotUnderstood):
        members_of(phrase)


MADE = (
    "Sắp xếp toàn bộ diện tích tự nhiên, quy mô dân số của xã A và xã Bê "
    "thành xã mới có tên gọi là **xã Xê**."
)
TOTALS = (
    "Sau khi sắp xếp, tỉnh Na có 02 đơn vị hành chính cấp xã, gồm 02 xã; trong đó có 01 xã hình thành "
    "sau sắp xếp quy định tại Điều này và 01 xã không thực hiện sắp xếp là các xã Đê."
)


def test_a_law_is_carried_whole_with_what_was_kept() -> None:
    found = carry("1/NQ", law(MADE, totals=TOTALS))
    assert [(one.item, one.old_name, one.how, one.new_name) for one in found] == [
        (1, "A", "whole", "Xê"),
        (1, "Bê", "whole", "Xê"),
        (2, "Đê", "kept", "Đê"),
    ]


def test_a_count_that_is_not_the_laws_own_stops_the_script() -> None:
    with pytest.raises(NotUnderstood, match="the law counts"):
        carry("1/NQ", law(MADE, totals=TOTALS.replace("có 02 đơn vị", "có 03 đơn vị")))


def test_a_sentence_that_is_not_known_names_its_item() -> None:
    with pytest.raises(NotUnderstood, match="item 1: Giải thể xã A"):
        carry("1/NQ", law("Giải thể xã A.", totals=TOTALS))


def test_a_unit_that_goes_twice_as_a_whole_stops_the_script() -> None:
    again = MADE.replace("xã Bê", "xã Ê").replace("Xê", "Hát")
    totals = TOTALS.replace("02", "03").replace("có 01 xã hình", "có 02 xã hình")
    with pytest.raises(NotUnderstood, match="xã A"):
        carry("1/NQ", law(MADE, again, totals=totals))


def test_every_item_of_both_resolutions_is_in_the_file() -> None:
    items = defaultdict(set)
    for pair in pairs():
        items[pair.law].add(pair.item)
    assert items == {GIA_LAI: set(range(1, 128)), LAM_DONG: set(range(1, 122))}


def test_the_units_after_are_as_many_as_the_laws_say() -> None:
    after = {law: Counter[str]() for law in (GIA_LAI, LAM_DONG)}
    for name, kind, _ in {(pair.law, pair.new_kind, pair.new_name) for pair in pairs()}:
        after[name][kind] += 1
    assert after == {
        GIA_LAI: {"xã": 110, "phường": 25},
        LAM_DONG: {"xã": 103, "phường": 20, "đặc khu": 1},
    }


def test_five_communes_were_split_each_in_two() -> None:
    ways = defaultdict(list)
    for pair in pairs():
        if pair.how in ("part", "rest"):
            ways[pair.old_name].append(pair.new_name)
    assert ways == {
        "Canh Hiệp": ["Vân Canh", "Canh Vinh"],
        "Canh Liên": ["Canh Vinh", "Canh Liên"],
        "An Nghĩa": ["An Hòa", "An Toàn"],
        "Phong Phú": ["Tuy Phong", "Phan Rí Cửa"],
        "Hòa Thắng": ["Hồng Thái", "Hòa Thắng"],
    }


def test_two_communes_of_one_name_are_told_apart_by_their_districts() -> None:
    named: dict[tuple[str, str, str], set[str]] = defaultdict(set)
    for pair in pairs():
        named[pair.law, pair.old_kind, pair.old_name].add(pair.district)
    for pair in pairs():
        if pair.how not in ("part", "rest") and len(named[pair.law, pair.old_kind, pair.old_name]) > 1:
            assert pair.district
