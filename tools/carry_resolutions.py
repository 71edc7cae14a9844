"""Carry which commune went into which out of the resolutions of 2025: facts, and no sentence of them.

    python tools/carry_resolutions.py FOLDER

FOLDER holds the texts as Markdown, named by their number (1664_NQ-UBTVQH15.md). One line a pair:
the law and its item, the unit before with the district where the law names one, how it went
(whole, part, rest, renamed, kept), whether people went with the land, and the unit after. Every
item is parsed to its last word or the script stops; the counts are checked against the law's own.
"""

import re
import sys
import unicodedata
from collections import Counter
from collections.abc import Iterator
from dataclasses import astuple, dataclass, fields, replace
from pathlib import Path

CARRIED = Path(__file__).parents[1] / "tests" / "places" / "resolution_pairs.tsv"

HEADER = """\
# Which commune-level unit went into which on 1 July 2025, by the resolutions of the Standing Committee
# of the National Assembly on Gia Lai (1664/NQ-UBTVQH15) and Lâm Đồng (1671/NQ-UBTVQH15).
# Facts taken from the texts in github.com/dvhcvn/20250701 at dd94887ce32324380bc5bb0a76fe39867dafc73b
# (MIT; legal documents carry no copyright: Law on Intellectual Property, article 15).
# Carried by tools/carry_resolutions.py. `how`: whole; part; rest (what was left of it after the item
# that took the part); renamed; kept (not rearranged). `people`: whether people went with the land; empty
# where the law does not say, for the rest. Names are spelt as the law spells them.
"""

KINDS = ("xã", "phường", "thị trấn", "đặc khu")
_KIND = "|".join((*KINDS, "Phường"))
_DISTRICT = r"\((?P<district>(?:huyện|thị xã|thành phố) [^()]+)\)"
_MEMBER = re.compile(
    rf"(?P<how>[«<\[]?)\s*(?P<many>các )?(?:(?P<kind>{_KIND}) )?(?P<name>[^()«<\[@]+?)"
    rf"(?: {_DISTRICT})?(?: @(?P<after>\d+))?"
)
_HOW = {"": ("whole", "yes"), "«": ("part", "yes"), "<": ("part", "no"), "[": ("rest", "")}
_SHORTHAND = (
    # Item 122 of 1664 forgets "số", item 19 of 1671 "của".
    (re.compile(r"^toàn bộ diện tích tự nhiên, quy mô dân(?: số)?(?: của)? "), ""),
    (re.compile(r"một phần diện tích tự nhiên, quy mô dân số của "), "«"),
    (re.compile(r"một phần diện tích tự nhiên của "), "<"),
    (re.compile(r"phần còn lại của "), "["),
    (re.compile(r" sau khi sắp xếp theo quy định tại khoản (\d+) Điều này"), r" @\1"),
)
_MADE = re.compile(
    rf"Sắp xếp (?P<members>.+) thành (?P<becomes>{_KIND})(?: mới)? có tên gọi là (?P<unit>.+)\."
)
_RENAMED = re.compile(rf"Đổi tên (?P<kind>{_KIND}) (?P<name>.+) thành (?P<unit>.+)\.")
_TOTALS = re.compile(
    r"Sau khi sắp xếp, tỉnh (?P<province>.+) có (?P<all>\d+) đơn vị hành chính cấp xã, gồm (?P<kinds>[^;]+); "
    r"trong đó có (?P<made>.+?) hình thành sau sắp xếp,?.* quy định tại Điều này "
    r"và (?P<unmoved>\d+) xã không thực hiện sắp xếp là các xã (?P<kept>.+)\."
)
_UNIT = re.compile(rf"(?P<kind>{_KIND}) (?P<name>.+)")
_COUNTED = re.compile(rf"(\d+) ({_KIND})")


class NotUnderstood(ValueError):
    """A sentence of the law that this script cannot parse: nothing is written."""


@dataclass(frozen=True, slots=True)
class Pair:
    """One unit before, one unit after, and the item that says so."""

    law: str
    item: int
    province: str
    old_kind: str
    old_name: str
    district: str
    how: str
    people: str
    new_kind: str
    new_name: str


@dataclass(frozen=True, slots=True)
class Member:
    """A unit as an item names it; `after` is the item that had taken its part of it."""

    kind: str
    name: str
    district: str
    how: str
    people: str
    after: int | None


def items_of(text: str) -> Iterator[tuple[int, str]]:
    """The numbered items of article 1, each on one line and without emphasis."""
    text = unicodedata.normalize("NFC", text)  # the texts mix both forms
    article = text.split("**Điều 1.", 1)[1].split("**Điều 2.", 1)[0].replace("\\", "").replace("*", "")
    parts = re.split(r"\n\n(\d+)\.\s", article)
    for expected, (number, sentence) in enumerate(zip(parts[1::2], parts[2::2], strict=True), start=1):
        if int(number) != expected:
            raise NotUnderstood(f"item {expected} is missing: {number} follows")
        yield expected, " ".join(sentence.split())


def members_of(phrase: str) -> list[Member]:
    """The units that an item lists; "các xã A, B và C" gives each of them the kind."""
    for long, short in _SHORTHAND:
        phrase = long.sub(short, phrase)
    found: list[Member] = []
    of_all = ""
    for part in re.split(r", | và ", phrase):
        match = _MEMBER.fullmatch(part)
        if match is None or not (match["kind"] or of_all):
            raise NotUnderstood(f"not a unit: {part!r}")
        if match["kind"]:
            of_all = match["kind"].lower() if match["many"] else ""
        how, people = _HOW[match["how"]]
        after = int(match["after"]) if match["after"] else None
        if (how == "rest") != (after is not None):
            raise NotUnderstood(f"the rest of what: {part!r}")
        kind = (match["kind"] or of_all).lower()
        found.append(Member(kind, match["name"], match["district"] or "", how, people, after))
    return found


def shares_district(phrase: str, name: str, district: str) -> bool:
    """Whether the law writes "A và B (district)", where the district may be meant for both."""
    return re.search(rf"\b{re.escape(name)} và [^,()]+ \({re.escape(district)}\)", phrase) is not None


def carry(law: str, text: str) -> list[Pair]:
    """Every pair of one resolution, in its order; raises where anything is not understood."""
    sentences = list(items_of(text))
    *changes, (last_item, totals) = sentences
    closing = _TOTALS.fullmatch(totals)
    if closing is None:
        raise NotUnderstood(f"{law}, item {last_item}: {totals}")
    province = closing["province"]
    pairs: list[Pair] = []
    for item, sentence in changes:
        try:
            pairs += [Pair(law, item, province, *rest) for rest in _changes(sentence)]
        except NotUnderstood as problem:
            raise NotUnderstood(f"{law}, item {item}: {problem}") from None
    pairs += [
        Pair(law, last_item, province, "xã", one.name, one.district, "kept", "yes", "xã", one.name)
        for one in members_of("các xã " + closing["kept"])
    ]
    pairs = _with_shared_districts(pairs, dict(changes))
    _check_parts(law, pairs, dict(changes))
    _check_totals(law, pairs, closing)
    return pairs


def _changes(sentence: str) -> Iterator[tuple[str, str, str, str, str, str, str]]:
    renamed = _RENAMED.fullmatch(sentence)
    made = _MADE.fullmatch(sentence)
    if renamed:
        unit = _unit(renamed["unit"])
        yield renamed["kind"].lower(), renamed["name"], "", "renamed", "yes", *unit
    elif made:
        unit = _unit(made["unit"])
        if made["becomes"].lower() != unit[0]:
            raise NotUnderstood(f"a {made['becomes']} that is a {unit[0]}")
        for one in members_of(made["members"]):
            yield one.kind, one.name, one.district, one.how, one.people, *unit
    else:
        raise NotUnderstood(sentence)


def _unit(text: str) -> tuple[str, str]:
    match = _UNIT.fullmatch(text)
    if match is None:
        raise NotUnderstood(f"not a unit: {text!r}")
    return match["kind"].lower(), match["name"]


def _with_shared_districts(pairs: list[Pair], sentences: dict[int, str]) -> list[Pair]:
    """In "Phường 1 và Phường 2 (thành phố Đà Lạt)" the district is Phường 1's too: there are two of it."""
    names = Counter((pair.old_kind, pair.old_name) for pair in pairs)
    found: list[Pair] = []
    for pair in pairs:
        district = pair.district
        if not district and names[pair.old_kind, pair.old_name] > 1:
            others = {one.district for one in pairs if one.item == pair.item and one.district}
            sentence = sentences.get(pair.item, "")
            district = next((one for one in others if shares_district(sentence, pair.old_name, one)), "")
        found.append(replace(pair, district=district))
    return found


def _check_parts(law: str, pairs: list[Pair], sentences: dict[int, str]) -> None:
    """A unit goes once as a whole, or in parts of which the last is the rest and names the item before."""
    ways: dict[tuple[str, str, str], list[Pair]] = {}
    for pair in pairs:
        ways.setdefault((pair.old_kind, pair.old_name, pair.district), []).append(pair)
    for unit, went in ways.items():
        hows = [pair.how for pair in went]
        if hows not in (["whole"], ["renamed"], ["kept"], ["part", "rest"]):
            raise NotUnderstood(f"{law}: {' '.join(unit)} went {', '.join(hows)}")
        if hows == ["part", "rest"] and f"tại khoản {went[0].item} Điều này" not in sentences[went[1].item]:
            raise NotUnderstood(
                f"{law}, item {went[1].item}: the rest after another item than {went[0].item}"
            )


def _check_totals(law: str, pairs: list[Pair], closing: re.Match[str]) -> None:
    """The law counts its units itself: all, by kind, made, and not rearranged."""
    after = Counter(kind for kind, _, _ in {(pair.new_kind, pair.new_name, pair.item) for pair in pairs})
    kept = sum(pair.how == "kept" for pair in pairs)
    made = after - Counter({"xã": kept})
    claims = {
        "all": (sum(after.values()), int(closing["all"])),
        "kinds": (dict(after), {kind: int(count) for count, kind in _COUNTED.findall(closing["kinds"])}),
        "made": (dict(made), {kind: int(count) for count, kind in _COUNTED.findall(closing["made"])}),
        "kept": (kept, int(closing["unmoved"])),
    }
    for what, (ours, theirs) in claims.items():
        if ours != theirs:
            raise NotUnderstood(f"{law}: {what}: {ours} parsed, the law counts {theirs}")


def written(pairs: list[Pair]) -> str:
    """The file: its provenance, the names of the columns, one line a pair."""
    columns = "\t".join(field.name for field in fields(Pair))
    return HEADER + columns + "\n" + "".join("\t".join(map(str, astuple(pair))) + "\n" for pair in pairs)


if __name__ == "__main__":
    every: list[Pair] = []
    for path in sorted(Path(sys.argv[1]).glob("*_NQ-UBTVQH15.md")):
        name = path.stem.replace("_", "/", 1)
        found = carry(name, path.read_text(encoding="utf-8"))
        hows = Counter(pair.how for pair in found)
        print(f"{name}: {found[-1].item} items, {len(found)} pairs: {dict(hows)}")
        every += found
    CARRIED.write_text(written(every), encoding="utf-8")
