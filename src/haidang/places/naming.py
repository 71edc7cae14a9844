"""Names of units as people write them, and which unit of a day each of them means.

Pure: `UnitNames` are made of units and links once, and answer from memory. An address is taken
apart into mentions (a name, perhaps with the word for its kind before it); every unit that a mention
may mean is followed to the units of the day, and weighed by how much of the text it explains. What
the text leaves open is asked, never guessed (ADR 0040); confidences are calibrated on the labelled
addresses of `tests/places/addresses.tsv`.
"""

import re
import unicodedata
from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from enum import StrEnum
from functools import lru_cache
from itertools import pairwise

from haidang.kernel.text import collation_key, fold, nfc
from haidang.places.model import Level, Link, Unit

MOST_CANDIDATES = 20
"""More than these are not worth asking about; how many were left off is said."""

SURE_ENOUGH = 0.6
"""Below this the one unit that is found is asked about as well."""

MOST_LETTERS = 500
"""Longer than any address; what comes after is not read."""

WHY_MESSAGES = {
    "today": "{unit} is a unit of that name.",
    "whole": "{former} went whole into {unit}.",
    "part": "A part of {former} went into {unit}.",
    "inside": "{unit} holds land of {former}.",
    "nearly": "{former} is written nearly like it.",
    "point": "The point lies in {unit}.",
    "elsewhere": "The name fits {unit}, but the point lies elsewhere.",
    "contradicted": "The name fits {unit}, but something else in the text does not.",
}
"""Why a unit is a candidate, by its reason."""


class Outcome(StrEnum):
    """What came of a text: one unit, a question, or nothing."""

    ONE = "one"
    ASK = "ask"
    NONE = "none"


class Needs(StrEnum):
    """What would settle a question."""

    COORDINATE = "coordinate"


@dataclass(frozen=True, slots=True)
class Why:
    """Why a unit is a candidate: a key of WHY_MESSAGES, and the fields of its sentence."""

    reason: str
    fields: Mapping[str, str]

    @property
    def message_id(self) -> str:
        """The sentence, untranslated, with its fields in braces."""
        return WHY_MESSAGES[self.reason]

    def sentence(self, template: str | None = None) -> str:
        """The sentence with its fields filled in; `template` is its translation, if any."""
        return (template or self.message_id).format_map(self.fields)


@dataclass(frozen=True, slots=True)
class Candidate:
    """A unit of the day that a text may mean, through the former unit that it names, if it does."""

    unit: Unit
    former: Unit | None
    confidence: float
    why: Why


@dataclass(frozen=True, slots=True)
class Resolution:
    """What a text means. `rest` is what stood before the unit: house number, street, hamlet.

    `left_off`: how many further candidates there are beyond those listed.
    """

    text: str
    outcome: Outcome
    confidence: float
    candidates: tuple[Candidate, ...] = ()
    needs: Needs | None = None
    rest: str = ""
    left_off: int = 0


@dataclass(frozen=True, slots=True)
class UnitFound:
    """A unit whose name begins so. `became`: the units of the day that a former one went into."""

    unit: Unit
    path: tuple[Unit, ...]
    former: bool
    became: tuple[Unit, ...]


@dataclass(frozen=True, slots=True)
class PointIn:
    """The unit of the day that holds the point that came with a text; None: outside all of them."""

    unit_id: str | None
    certain: bool = True


# -- words -------------------------------------------------------------------------------------

_WORDS = re.compile(r"[^\W_]+(?:['’‘ʼ`´][^\W_]+)*")
_QUOTES = re.compile(r"['’‘ʼ`´]")
_HARD = re.compile(r"[,;:|\n\r()\[\]]")
_INVISIBLE = re.compile("[\u200b-\u200f\u2060\ufeff\u00ad]")
_GLUED = re.compile(r"(?:p|q|f)(?=\d{1,2}$)|tp(?=[^\W\d_]{2,}$)", re.IGNORECASE)
_TONES = frozenset("\u0300\u0301\u0303\u0309\u0323")


@dataclass(frozen=True, slots=True)
class Word:
    """One word of a text: where it stands, folded, and as it is marked.

    `segment` counts the commas before it; `filler`: it names nothing ("nay là", "Việt Nam").
    """

    start: int
    end: int
    folded: str
    marked: str
    segment: int
    filler: bool = False

    @property
    def bare(self) -> bool:
        """Whether it is written without a diacritic, as far as one can see."""
        return self.folded == self.marked


@lru_cache(maxsize=65_536)
def _spelt(word: str) -> tuple[str, str]:
    """A word folded, and marked: small letters with their marks and the tone after them, y as i."""
    plain = _QUOTES.sub("", word)
    if plain.isdecimal():
        number = str(int(plain))
        return number, number
    small = plain.lower()
    letters: list[str] = []
    tones: list[str] = []
    for letter in unicodedata.normalize("NFD", small):
        (tones if letter in _TONES else letters).append(letter)
    marked = unicodedata.normalize("NFC", "".join(letters)).replace("y", "i") + "".join(tones)
    short = small in _SHORT
    return (small if short else fold(plain).replace(" ", "").replace("y", "i")), marked


def words_of(text: str) -> list[Word]:
    """The words of a text (NFC), abbreviations taken apart from the number they are glued to."""
    found: list[Word] = []
    segment = last = 0
    for match in _WORDS.finditer(text):
        if found and _HARD.search(text, last, match.start()):
            segment += 1
        last = match.end()
        glued = _GLUED.match(match[0])
        middle = match.start() + (glued.end() if glued else 0)
        for start, end in ((match.start(), middle), (middle, match.end())):
            if start < end:
                found.append(Word(start, end, *_spelt(text[start:end]), segment))
    if not found:
        return []
    folded = [word.folded for word in found]
    pairs = [pair in _PAIRS_SAY_NOTHING for pair in pairwise(folded)]
    return [
        replace(word, filler=True) if word.folded in _SAYS_NOTHING or before or behind else word
        for word, before, behind in zip(found, [False, *pairs], [*pairs, False], strict=True)
    ]


def clean(text: str) -> str:
    """The text in one form: NFC, no invisible characters, the Icelandic Ð taken for the Đ it stands for."""
    return nfc(_INVISIBLE.sub("", text[:MOST_LETTERS]).replace("Ð", "Đ").replace("ð", "đ"))


# -- words before names ------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Marker:
    """A word for a kind of unit, as it stands before a name."""

    kind: str
    levels: frozenset[Level]

    def may_name(self, named: "Named") -> bool:
        """Whether it may stand before that unit; a province that is no city is no "thành phố"."""
        return named.level in self.levels and (named.level is not Level.PROVINCE or named.kind == self.kind)


_PHUONG = Marker("phuong", frozenset({Level.WARD}))
_XA = Marker("xa", frozenset({Level.WARD}))
_THI_TRAN = Marker("thitran", frozenset({Level.WARD}))
_DAC_KHU = Marker("dackhu", frozenset({Level.WARD}))
_QUAN = Marker("quan", frozenset({Level.DISTRICT}))
_HUYEN = Marker("huien", frozenset({Level.DISTRICT}))
_THI_XA = Marker("thixa", frozenset({Level.DISTRICT}))
_THANH_PHO = Marker("thanhpho", frozenset({Level.DISTRICT, Level.PROVINCE}))
_TINH = Marker("tinh", frozenset({Level.PROVINCE}))

_MARKERS: Mapping[tuple[str, ...], Marker] = {
    ("phường",): _PHUONG,
    ("p",): _PHUONG,
    ("f",): _PHUONG,
    ("xã",): _XA,
    ("x",): _XA,
    ("thị", "trấn"): _THI_TRAN,
    ("tt",): _THI_TRAN,
    ("t", "t"): _THI_TRAN,
    ("đặc", "khu"): _DAC_KHU,
    ("đk",): _DAC_KHU,
    ("quận",): _QUAN,
    ("q",): _QUAN,
    ("huyện",): _HUYEN,
    ("huyện", "đảo"): _HUYEN,
    ("h",): _HUYEN,
    ("thị", "xã"): _THI_XA,
    ("tx",): _THI_XA,
    ("t", "x"): _THI_XA,
    ("thành", "phố"): _THANH_PHO,
    ("tp",): _THANH_PHO,
    ("t", "p"): _THANH_PHO,
    ("tỉnh",): _TINH,
    ("t",): _TINH,
}
_SHORT = frozenset(word for words in _MARKERS for word in words if len(word) <= 2 and word.isascii())

# Words after which a name is no unit: the street, hamlet or building is called after it.
_NAMES_OTHER_THINGS = frozenset(
    """
    duong d pho ngo ngach hem kiet lo ql tl hl so thon ap khom xom buon bon lang ban to khu kcn kdc cho truong
    thpt thcs vien cau ho song cang ga cu lau toa nha chua dinh den suoi deo nui doc
    """.split()  # noqa: SIM905 -- a list of words reads best as words
)
_SAYS_NOTHING = frozenset(
    "cu moi la truoc thuoc o tai vietnam vn va gan".split()  # noqa: SIM905 -- the same
)
_PAIRS_SAY_NOTHING = frozenset({("nai", "la"), ("hien", "nai"), ("truoc", "dai"), ("viet", "nam")})


@lru_cache(maxsize=1)
def _markers() -> Mapping[tuple[str, ...], tuple[tuple[str, ...], Marker]]:
    """Markers by their folded words, with the marked spelling that a marked word must have."""
    return {
        tuple(_spelt(word)[0] for word in words): (tuple(_spelt(word)[1] for word in words), marker)
        for words, marker in _MARKERS.items()
    }


def marker_at(words: Sequence[Word], place: int) -> tuple[Marker, int] | None:
    """The marker that stands at a place, and how many words it takes; "Phương" is no "phường"."""
    for many in (2, 1):
        standing = words[place : place + many]
        known = _markers().get(tuple(word.folded for word in standing))
        if known is None or len(standing) < many or standing[-1].segment != standing[0].segment:
            continue
        if all(word.bare or word.marked == right for word, right in zip(standing, known[0], strict=True)):
            return known[1], many
    return None


# -- the unit_names -----------------------------------------------------------------------------


class Spelling(StrEnum):
    """How a name in a text agrees with the name of a unit, best first."""

    EXACT = "exact"
    PARTLY = "partly"  # some of its marks are left out
    BARE = "bare"  # all of them are
    NEARLY = "nearly"  # a letter or two is another
    OTHER = "other"  # they are there, and others


_SPELLINGS = tuple(Spelling)


@dataclass(frozen=True, slots=True)
class Named:
    """A unit under one of its names: in full, or the part before a dash."""

    unit_id: str
    level: Level
    kind: str
    words: tuple[str, ...]
    key: str


@dataclass(frozen=True, slots=True)
class Going:
    """The way of a unit to one of the units of the day: itself, if it is one.

    `around`: every unit that may be named beside it in an address, before or after; `own`: those
    right above it in its own time. `pieces`: it was split, so that the name alone does not decide.
    """

    unit_id: str
    today_id: str
    share: float | None
    pieces: bool
    own: frozenset[str]
    around: frozenset[str]


@dataclass(frozen=True, slots=True)
class Shown:
    """A unit as the typeahead looks for it: folded, with a space before each word."""

    unit_id: str
    kind: str
    name: str
    above: str


@dataclass(slots=True)
class Day:
    """Names and ways of one stretch of days in which no unit begins or ends."""

    names: dict[str, list[Named]] = field(default_factory=lambda: defaultdict(list))
    goings: dict[str, tuple[Going, ...]] = field(default_factory=dict)
    districts: dict[str, frozenset[str]] = field(default_factory=dict)
    shown: list[Shown] = field(default_factory=list)
    longest: int = 1
    _below: dict[str, list[Named]] = field(default_factory=dict)

    def wards_below(self, unit_id: str) -> Sequence[Named]:
        """The wards that may be written with a district or province, then or now."""
        if not self._below:
            below: dict[str, list[Named]] = defaultdict(list)
            for named in (one for names in self.names.values() for one in names):
                if named.level is Level.WARD:
                    for above in {one for going in self.goings[named.unit_id] for one in going.around}:
                        below[above].append(named)
            self._below = below
        return self._below.get(unit_id, ())


_HEIGHTS = {Level.PROVINCE: 0, Level.DISTRICT: 1, Level.WARD: 2}


def squeezed(words: Iterable[str]) -> str:
    """The key of a name: its folded words without spaces, which people leave out and put in."""
    return "".join(words)


class UnitNames:
    """Every unit by its names, then and now. Made once per release of the facts; answers any day."""

    def __init__(self, units: Iterable[Unit], links: Iterable[Link]) -> None:
        self.units = {unit.unit_id: unit for unit in units}
        self._links_from: dict[str, list[Link]] = defaultdict(list)
        for link in links:
            self._links_from[link.from_id].append(link)
        self._children: dict[str, list[str]] = defaultdict(list)
        for unit in self.units.values():
            if unit.parent_id is not None:
                self._children[unit.parent_id].append(unit.unit_id)
        turns = {unit.valid_from for unit in self.units.values()} | {
            unit.valid_to for unit in self.units.values()
        }
        self._turns = sorted(turn for turn in turns if turn is not None)
        self._days: dict[int, Day] = {}

    def day(self, on: date) -> Day:
        """The names of a day; made when first asked for, kept for all days up to the next change."""
        stretch = bisect_right(self._turns, on)
        if stretch not in self._days:
            self._days[stretch] = self._made(on)
        return self._days[stretch]

    def path_of(self, unit_id: str) -> tuple[Unit, ...]:
        """The units above one at its time, from the province down to itself."""
        return tuple(self.units[one] for one in (*reversed(self._above(unit_id)), unit_id))

    def _above(self, unit_id: str) -> list[str]:
        found: list[str] = []
        parent = self.units[unit_id].parent_id
        while parent is not None and parent in self.units and parent not in found:
            found.append(parent)
            parent = self.units[parent].parent_id
        return found

    def _made(self, on: date) -> Day:
        day = Day()
        begun = [unit for unit in self.units.values() if unit.valid_from is None or unit.valid_from <= on]
        wards = [unit for unit in begun if unit.level is Level.WARD]
        ends = {unit.unit_id: self._ends(unit.unit_id, on) for unit in wards}
        came: dict[str, set[str]] = defaultdict(set)
        for unit_id, ways in ends.items():
            for today_id, _, _, passed in ways:
                came[today_id] |= {unit_id, *passed} - {today_id}
        for unit in wards:
            day.districts[unit.unit_id] = frozenset(
                above
                for one in (unit.unit_id, *came[unit.unit_id])
                for above in self._above(one)
                if self.units[above].level is Level.DISTRICT
            )
            day.goings[unit.unit_id] = tuple(self._ward_goings(unit.unit_id, ends[unit.unit_id], came))
        for unit in begun:
            if unit.level is not Level.WARD:
                day.goings[unit.unit_id] = tuple(self._higher_goings(unit, on, day))
        for unit in begun:
            for words in _names_of(unit):
                folded = [_spelt(word)[0] for word in words]
                marked = tuple(_spelt(word)[1] for word in words)
                key = squeezed(folded)
                day.names[key].append(Named(unit.unit_id, unit.level, _kind_key(unit.kind), marked, key))
                day.longest = max(day.longest, len(words))
        day.shown = [
            _shown(unit, [self.units[one] for one in self._above(unit.unit_id)])
            for unit in sorted(
                begun,
                key=lambda one: (not one.stood_on(on), _HEIGHTS[one.level], collation_key(one.name)),
            )
        ]
        return day

    def _ends(self, unit_id: str, on: date) -> list[tuple[str, float | None, bool, frozenset[str]]]:
        """The units of the day that one went into: share, whether in pieces, what it was in between."""
        merged: dict[str, tuple[float | None, bool, frozenset[str]]] = {}
        standing = [(unit_id, 1.0 if unit_id in self.units else None, False, frozenset[str]())]
        while standing:
            at, share, pieces, passed = standing.pop()
            unit = self.units.get(at)
            if unit is None or (unit.valid_from is not None and unit.valid_from > on):
                continue
            if unit.stood_on(on):
                before = merged.get(at)
                if before is not None:
                    share = None if share is None or before[0] is None else share + before[0]
                    passed |= before[2]
                merged[at] = share, pieces, passed
                continue
            for link in self._links_from.get(at, ()):
                if link.takes_effect <= on and link.to_id not in passed:
                    part = link.share if link.share is not None else (1.0 if link.whole else None)
                    product = None if part is None or share is None else share * part
                    standing.append((link.to_id, product, pieces or not link.whole, passed | {at}))
        several = len(merged) > 1
        return [(at, share, pieces and several, passed) for at, (share, pieces, passed) in merged.items()]

    def _ward_goings(
        self,
        unit_id: str,
        ends: Iterable[tuple[str, float | None, bool, frozenset[str]]],
        came: Mapping[str, set[str]],
    ) -> Iterator[Going]:
        own = frozenset(self._above(unit_id))
        for today_id, share, pieces, passed in ends:
            around = {*own, *passed, today_id, *self._above(today_id)}
            for other in came[today_id] if today_id == unit_id else ():
                around |= {other, *self._above(other)}
            yield Going(unit_id, today_id, share, pieces, own, frozenset(around))

    def _higher_goings(self, unit: Unit, on: date, day: Day) -> Iterator[Going]:
        """A district or province of the day is itself; a former one is where its wards are now."""
        own = frozenset(self._above(unit.unit_id))
        if unit.stood_on(on):
            yield Going(unit.unit_id, unit.unit_id, 1.0, False, own, own)
            return
        wards = [going for ward in self._wards_below(unit.unit_id) for going in day.goings.get(ward, ())]
        if unit.level is Level.DISTRICT:
            today_ids = dict.fromkeys(going.today_id for going in wards)
            if not today_ids:  # an island district had no communes: it became a special zone itself
                today_ids = dict.fromkeys(today_id for today_id, *_ in self._ends(unit.unit_id, on))
            for today_id in today_ids:
                around = own | {*self._above(today_id)}
                yield Going(unit.unit_id, today_id, 1 / len(today_ids), True, own, around)
            return
        held = Counter(above for going in wards for above in self._above(going.today_id)[-1:])
        for today_id, _ in held.most_common(1):
            yield Going(unit.unit_id, today_id, None, len(held) > 1, own, own | {today_id})

    def _wards_below(self, unit_id: str) -> Iterator[str]:
        for child in self._children.get(unit_id, ()):
            if self.units[child].level is Level.WARD:
                yield child
            else:
                yield from self._wards_below(child)


def _shown(unit: Unit, above: Sequence[Unit]) -> Shown:
    return Shown(
        unit.unit_id,
        _folded(unit.kind)[1:],
        _folded(unit.full_name),
        "".join(_folded(one.full_name) for one in above),
    )


@lru_cache(maxsize=32_768)
def _folded(name: str) -> str:
    return f" {fold(name)}"


@lru_cache(maxsize=64)
def _kind_key(kind: str) -> str:
    return squeezed(_spelt(word)[0] for word in kind.split())


def _names_of(unit: Unit) -> Iterator[list[str]]:
    """The names a unit goes by, each as its words; initials for what is too long to say."""
    name = nfc(unit.name)
    if name.startswith(unit.kind + " ") and name[len(unit.kind) :].strip().isdecimal():
        name = name[len(unit.kind) :].strip()
    names = [name]
    if " - " in name:
        names.append(name.split(" - ")[0])
    for one in names:
        words = [match[0] for match in _WORDS.finditer(one)]
        if words:
            yield words
    words = [match[0] for match in _WORDS.finditer(name)]
    if unit.level is Level.PROVINCE and len(words) > 2:
        yield ["".join(word[0] for word in words)]


# -- mentions ----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Mention:
    """A stretch of words that is the name of units, perhaps with a marker; `named` may be empty then.

    `ids`: the units it speaks of; `beside_ids`: the districts of wards that it may mean besides.
    `alone`: it fills what stands between two commas; `last`: it ends the text. `beside`: it stands
    among other words of a house number or street: a unit only if something else speaks for it.
    """

    start: int
    end: int
    marker: Marker | None
    named: tuple[tuple[Named, Spelling], ...]
    ids: frozenset[str]
    beside_ids: frozenset[str]
    alone: bool
    beside: bool
    last: bool = False

    def meets(self, other: "Mention") -> bool:
        """Whether they share a word."""
        return self.start < other.end and other.start < self.end


def mentions_in(words: Sequence[Word], day: Day) -> list[Mention]:
    """Every stretch that may be a unit: with and without its marker, the long and the short."""
    anything_marked = any(not word.bare for word in words)
    fillers = [word.filler for word in words]
    found: list[Mention] = []
    unknown: list[tuple[int, int, Marker]] = []
    spoken_for: set[int] = set()  # words that belong to a marker, or to the name after it
    for place in range(len(words)):
        marked = marker_at(words, place) if place not in spoken_for else None
        if marked is not None:
            marker, many = marked
            with_marker = list(_named_from(words, place + many, day, marker, anything_marked))
            found += [
                _mention(words, place, end, marker=marker, named=named, fillers=fillers, day=day)
                for end, named in with_marker
            ]
            # "Tứ Xã, Lâm Thao": what may be the end of another name speaks for nothing.
            if with_marker and not any(one.start < place < one.end for one in found):
                spoken_for |= set(range(place + 1, place + many + 1))
            if not with_marker:
                found += _unknown(words, place, many, marker, day)
            if not with_marker or _goes_on(words, with_marker[-1][0]):
                unknown.append((place, many, marker))
        follows_a_unit = any(one.end == place and one.marker and one.named for one in found)
        if place not in spoken_for and (follows_a_unit or not _names_something_else(words, place)):
            found += [
                _mention(words, place, end, marker=None, named=named, fillers=fillers, day=day)
                for end, named in _named_from(words, place, day, None, anything_marked)
            ]
    begun = {one.start for one in found}
    for place, many, marker in unknown:
        longest = max((one.end for one in found if one.start == place and one.named), default=None)
        if marker.levels == {Level.WARD} and longest not in begun:
            found += _nearly_named(words, place, many, marker, day=day, found=found)
    return found


def _goes_on(words: Sequence[Word], end: int) -> bool:
    """Whether a word follows, with nothing between, that may belong to the name."""
    if end >= len(words) or words[end].segment != words[end - 1].segment:
        return False
    follows = words[end]
    return follows.folded.isalpha() and not follows.filler and marker_at(words, end) is None


def _nearly_named(
    words: Sequence[Word], place: int, many: int, marker: Marker, *, day: Day, found: Sequence[Mention]
) -> list[Mention]:
    """Wards of the districts and provinces that the text names whose name differs in a letter or two."""
    end = place + _rest_of_segment(words, place)
    elsewhere = [one for one in found if not place <= one.start <= place + many]
    above = {one for other in elsewhere for one in other.ids}
    best, nearest = 3, list[tuple[int, Named]]()
    for known in (named for one in above for named in day.wards_below(one)):
        name = known.key
        for stop in range(place + many + 1, min(end, place + many + day.longest) + 1):
            written = squeezed(word.folded for word in words[place + many : stop])
            allowed = min(best, 1 if len(name) < 8 else 2)
            distance = letters_apart(written, name, allowed) if len(name) > 3 else allowed + 1
            if distance > allowed:
                continue
            if distance < best:
                best, nearest = distance, []
            nearest.append((stop, known))
    by_end: dict[int, dict[str, Named]] = defaultdict(dict)
    for stop, known in nearest:
        by_end[stop][known.unit_id] = known
    return [
        Mention(
            place,
            stop,
            marker,
            tuple((one, Spelling.NEARLY) for one in known.values()),
            frozenset(),
            frozenset(),
            alone=False,
            beside=False,
        )
        for stop, known in by_end.items()
    ]


def letters_apart(one: str, other: str, most: int) -> int:
    """How many letters must be put in, left out or changed (Levenshtein); `most` + 1 when it is more."""
    if abs(len(one) - len(other)) > most:
        return most + 1
    row = list(range(len(other) + 1))
    for place, letter in enumerate(one, start=1):
        before, row[0] = row[0], place
        for column, against in enumerate(other, start=1):
            before, row[column] = (
                row[column],
                min(row[column] + 1, row[column - 1] + 1, before + (letter != against)),
            )
        if min(row) > most:
            return most + 1
    return row[-1]


def _mention(
    words: Sequence[Word],
    start: int,
    end: int,
    *,
    marker: Marker | None,
    named: tuple[tuple[Named, Spelling], ...],
    fillers: Sequence[bool],
    day: Day,
) -> Mention:
    before = [
        place for place in range(start) if words[place].segment == words[start].segment and not fillers[place]
    ]
    after = [
        place
        for place in range(end, len(words))
        if words[place].segment == words[end - 1].segment and not fillers[place]
    ]
    return Mention(
        start,
        end,
        marker,
        named,
        # A ward without its marker speaks for nothing else: it may be a street's name.
        frozenset(one.unit_id for one, _ in named if marker is not None or one.level is not Level.WARD),
        frozenset(
            district
            for one, _ in named
            if marker is None and one.level is Level.WARD
            for district in day.districts[one.unit_id]
        ),
        alone=not before and not after,
        beside=marker is None and any(_is_street(words, place) for place in before),
        last=end - start > 1 and all(fillers[end:]),
    )


def _unknown(words: Sequence[Word], place: int, many: int, marker: Marker, day: Day) -> Iterator[Mention]:
    """What a marker says, of which there is no unit: a typing error, or a district that ended long ago.

    Of the latter there may be a ward by its name today, which lies where it was.
    """
    if marker.levels <= {Level.DISTRICT, Level.PROVINCE}:
        named = list(_named_from(words, place + many, day, None, anything_marked=True))
        if named:
            end, wards = named[-1]
            ids = frozenset(
                district for one, _ in wards for district in day.districts.get(one.unit_id, frozenset())
            )
            yield Mention(place, end, marker, (), frozenset(), ids, alone=True, beside=False)
            return
    end = place + _rest_of_segment(words, place)
    starts = place == 0 or words[place - 1].segment != words[place].segment
    if starts and end > place + many and words[place + many].folded.isalpha():
        yield Mention(place, end, marker, (), frozenset(), frozenset(), alone=True, beside=False)


def _rest_of_segment(words: Sequence[Word], place: int) -> int:
    return sum(word.segment == words[place].segment for word in words[place:])


def _is_street(words: Sequence[Word], place: int) -> bool:
    """Whether a word begins a house number, a street or a hamlet."""
    word = words[place]
    first = place == 0 or words[place - 1].segment != word.segment
    return word.folded in _NAMES_OTHER_THINGS or (first and any(letter.isdigit() for letter in word.folded))


def _names_something_else(words: Sequence[Word], place: int) -> bool:
    """Whether what begins here is called after a name: "đường Phan Thiết", "72/5 Trần Phú"."""
    before = place - 1
    if before < 0 or words[before].segment != words[place].segment:
        return False
    if words[before].folded in _NAMES_OTHER_THINGS:
        return True
    while before >= 0 and words[before].segment == words[place].segment:
        if not words[before].folded[:1].isdigit():
            return words[before].folded in ("so", "lo") and before < place - 1
        before -= 1
    return True


def _named_from(
    words: Sequence[Word],
    start: int,
    day: Day,
    marker: Marker | None,
    anything_marked: bool,  # noqa: FBT001 -- a fact about the text, not a switch
) -> Iterator[tuple[int, tuple[tuple[Named, Spelling], ...]]]:
    """Where names that begin at a word end, and the units they name."""
    if start >= len(words) or (marker and words[start].segment != words[start - 1].segment):
        return
    key, segment = "", words[start].segment
    for end in range(start, min(start + day.longest, len(words))):
        # "Phường 3, Bảo Lộc" is one name with a comma in it; no other name is.
        if words[end].segment != segment:
            if not key.isdecimal():
                return
            segment = words[end].segment
        if key.isdecimal() and words[end].folded[0].isdigit():
            return
        key += words[end].folded
        known = day.names.get(key)
        if known is None or (marker is None and key[0].isdigit()):
            continue
        written = words[start : end + 1]
        single = marker is None and len(written) == 1
        if single and len(key) < 3:
            continue
        graded = [
            (one, _spelling(one, written, anything_marked=anything_marked))
            for one in known
            if (marker is None or marker.may_name(one))
            and (not single or one.level is not Level.WARD or _stands_alone(words, start))
        ]
        if graded:
            yield end + 1, tuple(_best_spelt(graded))


def _best_spelt(graded: Sequence[tuple[Named, Spelling]]) -> Iterator[tuple[Named, Spelling]]:
    """Of each level those that are spelt like it, if any are: marks decide between An Nghĩa and Ân Nghĩa."""
    best: dict[Level, int] = {}
    for named, spelling in graded:
        best[named.level] = min(best.get(named.level, len(_SPELLINGS)), _SPELLINGS.index(spelling))
    for named, spelling in graded:
        if _SPELLINGS[best[named.level]] is spelling:
            yield named, spelling


def _stands_alone(words: Sequence[Word], place: int) -> bool:
    """Whether a single word may be a name without a marker: between commas, or at the very end."""
    starts = place == 0 or words[place - 1].segment != words[place].segment
    ends = place + 1 == len(words) or words[place + 1].segment != words[place].segment
    return ends and (starts or place + 1 == len(words))


def _spelling(named: Named, written: Sequence[Word], *, anything_marked: bool) -> Spelling:
    """How the marks of the words agree with those of the name."""
    marked = tuple(word.marked for word in written)
    if all(word.bare for word in written):
        if not anything_marked:
            return Spelling.BARE
        return Spelling.EXACT if squeezed(marked) == squeezed(named.words) else Spelling.BARE
    if squeezed(marked) == squeezed(named.words):
        return Spelling.EXACT
    if len(marked) == len(named.words) and all(
        word.bare or word.marked == right for word, right in zip(written, named.words, strict=True)
    ):
        return Spelling.PARTLY
    return Spelling.OTHER


# -- weighing ----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Reading:
    """One way to read a text: a mention as a unit, on its way to a unit of the day, and how well it fits.

    `hints`: other mentions that agree; `own`: how many words name what was above it in its own
    time; `neighbours`: how many name a ward of the same district; `against`: how many mentions
    disagree; `loose`: it has no marker and stands among other words; `cut`: the name seems to go on;
    `gap`: 1 when something stands between it and its hints, or they come first; `left`: how many words
    are not explained.
    """

    mention: Mention
    level: Level
    spelling: Spelling
    going: Going
    hints: tuple[Mention, ...]
    own: int
    neighbours: int
    against: int
    loose: bool
    cut: bool
    gap: int
    left: int
    other_kind: bool
    score: int

    @property
    def today(self) -> bool:
        """Whether the unit that is named is itself one of the day."""
        return self.going.unit_id == self.going.today_id


@dataclass(frozen=True, slots=True)
class _Text:
    """A text taken apart."""

    shown: str
    words: tuple[Word, ...]
    mentions: tuple[Mention, ...]
    commas: bool


_SPELLING_COSTS = {
    Spelling.EXACT: 0,
    Spelling.PARTLY: 1,
    Spelling.BARE: 2,
    Spelling.NEARLY: 5,
    Spelling.OTHER: 6,
}
_SPELLING_DOUBTS = {
    Spelling.EXACT: 0,
    Spelling.PARTLY: 0.03,
    Spelling.BARE: 0.02,
    Spelling.NEARLY: 0.45,
    Spelling.OTHER: 0.3,
}
_AGAINST_COSTS = 8
_KIND_COSTS = 3
_LOOSE_COSTS = 2
_CUT_COSTS = 3
_OTHER_TIME_COSTS = 4
_NEAR = 4
"""Readings that fit this much worse are alternatives still."""


def resolve(
    unit_names: UnitNames, text: str, on: date, *, within: str | None = None, point: PointIn | None = None
) -> Resolution:
    """Which unit of a day a text means; `within` (a unit of any time) leaves out all that is not in it."""
    day = unit_names.day(on)
    shown = clean(text)
    words = tuple(words_of(shown))
    taken = _Text(shown, words, tuple(mentions_in(words, day)), bool(words) and words[-1].segment > 0)
    readings = _readings(taken, day, within)
    if not readings:
        return Resolution(text, Outcome.NONE, 0.0)
    best = max(reading.score for reading in readings)
    fits = [reading for reading in readings if reading.score == best]
    near = [reading for reading in readings if best - _NEAR <= reading.score < best]
    return _resolution(unit_names, text, taken, fits=fits, near=near, point=point)


@dataclass(frozen=True, slots=True)
class _Guess:
    """A reading before it is weighed; `most`: the score that it cannot pass."""

    mention: Mention
    named: Named
    spelling: Spelling
    going: Going
    others: Sequence[Mention]
    hints: tuple[Mention, ...]
    most: int


def _readings(taken: _Text, day: Day, within: str | None) -> list[Reading]:
    """The readings of a text that fit best, and those that fit nearly as well."""
    guesses = [guess for mention in taken.mentions for guess in _guesses(taken, mention, day)]
    guesses.sort(key=lambda guess: -guess.most)
    readings: list[Reading] = []
    best = 0
    for guess in guesses:
        if readings and guess.most < best - _NEAR:
            break
        if within is not None and within not in guess.going.around and within != guess.going.unit_id:
            continue
        reading = _weighed(taken, guess)
        if reading.level is Level.PROVINCE and reading.against:
            continue
        if reading.hints or not (reading.loose or reading.mention.beside):
            best = max(best, reading.score) if readings else reading.score
            readings.append(reading)
    return readings


def _guesses(taken: _Text, mention: Mention, day: Day) -> Iterator[_Guess]:
    if mention.beside and taken.commas:
        return
    others = sorted(
        (one for one in taken.mentions if not one.meets(mention)),
        key=lambda one: (one.start - one.end, abs(one.start - mention.end)),
    )
    speaking = [one for one in others if one.ids]
    beside = sum(1 for one in others if one.beside_ids)
    for named, spelling in mention.named:
        for going in day.goings[named.unit_id]:
            hints: list[Mention] = []
            for other in speaking:
                if not going.around.isdisjoint(other.ids) and not any(other.meets(hint) for hint in hints):
                    hints.append(other)
            many = mention.end - mention.start + sum(hint.end - hint.start for hint in hints)
            yield _Guess(mention, named, spelling, going, others, tuple(hints), 2 * many + beside)


def _weighed(taken: _Text, guess: _Guess) -> Reading:
    mention, named, spelling, going = guess.mention, guess.named, guess.spelling, guess.going
    others, hints = guess.others, guess.hints
    neighbours = _neighbours(others, hints, mention, going)
    named_words = {place for one in (mention, *hints) for place in range(one.start, one.end)}
    explained = named_words | {place for one in neighbours for place in range(one.start, one.end)}
    against = {
        other.start
        for other in others
        if _is_clear(other, mention) and explained.isdisjoint(range(other.start, other.end))
    }
    loose = mention.marker is None and any(
        word.segment == taken.words[mention.start].segment and place not in explained and not word.filler
        for place, word in enumerate(taken.words)
    )
    cut = mention.marker is not None and _goes_on(taken.words, mention.end) and mention.end not in explained
    other_kind = (
        mention.marker is not None and named.level is Level.WARD and mention.marker.kind != named.kind
    )
    gap = _gap(taken, mention, [*hints, *neighbours])
    cost = (
        _SPELLING_COSTS[spelling]
        + _AGAINST_COSTS * len(against)
        + _KIND_COSTS * other_kind
        + _LOOSE_COSTS * loose
        + _CUT_COSTS * cut
        + gap
        + _OTHER_TIME_COSTS * _is_of_another_time(taken, mention, going)
    )
    return Reading(
        mention=mention,
        level=named.level,
        spelling=spelling,
        going=going,
        hints=hints,
        own=sum(hint.end - hint.start for hint in hints if not hint.ids.isdisjoint(going.own)),
        against=len(against),
        loose=loose,
        cut=cut,
        gap=gap,
        left=sum(place not in explained and not word.filler for place, word in enumerate(taken.words)),
        other_kind=other_kind,
        neighbours=len(neighbours),
        score=2 * len(named_words) + len(neighbours) - cost,
    )


def _neighbours(
    others: Sequence[Mention], hints: Sequence[Mention], mention: Mention, going: Going
) -> list[Mention]:
    """Mentions after a ward that are in its district, where the text names no district that we know.

    "Mỹ Đức, Đạ Tẻh": the district ended in 2024, but a commune has its name and lies there.
    """
    if any(
        named.level is Level.DISTRICT and named.unit_id in going.around
        for hint in hints
        for named, _ in hint.named
    ):
        return []
    found: list[Mention] = []
    for other in others:
        if (
            (other.alone or other.last)
            and other.start >= mention.end
            and not other.beside_ids.isdisjoint(going.around)
            and not any(other.meets(one) for one in (*hints, *found))
        ):
            found.append(other)
    return found


def _is_clear(other: Mention, mention: Mention) -> bool:
    """Whether what a mention says must agree: it has a marker, or stands alone or last after the unit."""
    if other.marker is not None:
        return True
    return other.start >= mention.end and (other.alone or (other.last and bool(other.ids)))


def _gap(taken: _Text, mention: Mention, hints: Sequence[Mention]) -> int:
    """1 when something stands between the unit and the next hint: "Trần Phú, Ghềnh Ráng, Quy Nhơn".

    And when all hints stand before it, though people go from the small to the large.
    """
    if hints and all(hint.start < mention.start for hint in hints):
        return 1
    following = min((hint.start for hint in hints if hint.start >= mention.end), default=mention.end)
    between = taken.words[mention.end : following]
    return int(any(not word.filler for word in between))


def _is_of_another_time(taken: _Text, mention: Mention, going: Going) -> bool:
    """Whether "cũ" or "mới" right after the name says that it is not this one."""
    after = taken.words[mention.end : mention.end + 1]
    if not after or after[0].segment != taken.words[mention.end - 1].segment:
        return False
    today = going.unit_id == going.today_id
    return today if after[0].folded == "cu" else not today if after[0].folded == "moi" else False


def _resolution(
    unit_names: UnitNames,
    text: str,
    taken: _Text,
    *,
    fits: Sequence[Reading],
    near: Sequence[Reading],
    point: PointIn | None,
) -> Resolution:
    by_today: dict[str, list[Reading]] = defaultdict(list)
    for reading in fits:
        by_today[reading.going.today_id].append(reading)
    told = {today_id: max(readings, key=_telling) for today_id, readings in by_today.items()}
    sure = max(map(_sureness, fits))
    weights = {today_id: max(map(_weight, readings)) for today_id, readings in by_today.items()}
    whole = sum(weights.values())
    shares = _with_point(
        {today_id: sure * weight / whole for today_id, weight in weights.items()}, sure, point
    )
    others = [one for one in near if one.going.today_id not in told]
    if others and len(shares) == 1:
        shares = {today_id: share - _RIVALS_COST for today_id, share in shares.items()}
    for reading in sorted(others, key=lambda one: -one.score)[:_MOST_NEAR]:
        told.setdefault(reading.going.today_id, reading)
    candidates = [
        Candidate(
            unit=unit_names.units[today_id],
            former=None if reading.today else unit_names.units[reading.going.unit_id],
            confidence=round(max(shares.get(today_id, _NEAR_SHARE * sure), 0.01), 2),
            why=_why(unit_names, reading, point),
        )
        for today_id, reading in told.items()
        if point is None or today_id in shares or today_id not in by_today
    ]
    candidates.sort(key=lambda one: (-one.confidence, collation_key(one.unit.name), one.unit.unit_id))
    one = len(shares) == 1 and candidates[0].confidence >= SURE_ENOUGH
    pieces = any(told[today_id].going.pieces for today_id in shares)
    return Resolution(
        text=text,
        outcome=Outcome.ONE if one else Outcome.ASK,
        confidence=candidates[0].confidence,
        candidates=tuple(candidates[:MOST_CANDIDATES]),
        needs=Needs.COORDINATE if pieces and not one else None,
        rest=_rest(taken, told[candidates[0].unit.unit_id]),
        left_off=max(0, len(candidates) - MOST_CANDIDATES),
    )


def _telling(reading: Reading) -> tuple[int, bool]:
    """Through which unit to tell it: the one in whose time the address is written, else today's."""
    return reading.own, reading.today


_RIVALS_COST = 0.03
_NEAR_SHARE = 0.05
_MOST_NEAR = 5


def _sureness(reading: Reading) -> float:
    """How sure a reading is, if it is the only one: calibrated on the labelled addresses."""
    sure = 0.99
    if reading.mention.marker is None:
        sure -= 0.04 if reading.hints else 0.2
    elif not reading.hints:
        sure -= 0.06
    sure -= _SPELLING_DOUBTS[reading.spelling] + 0.4 * reading.cut
    sure -= 0.25 * (reading.loose + reading.mention.beside) + 0.15 * reading.other_kind
    sure -= 0.5 * reading.against + 0.1 * (reading.neighbours + reading.gap)
    if reading.level is Level.PROVINCE and reading.left:
        sure -= 0.5
    return max(sure, 0.05)


def _weight(reading: Reading) -> float:
    """How the sureness is shared among several: a name of today weighs more, a piece by its share."""
    if reading.today or reading.level is Level.PROVINCE:
        return 3.0
    return 1.5 * (reading.going.share if reading.going.pieces and reading.going.share else 1.0)


def _with_point(shares: dict[str, float], sure: float, point: PointIn | None) -> dict[str, float]:
    """The point decides among what the text allows, if it lies well inside; it never adds to it."""
    if point is None or point.unit_id is None:
        return shares
    if point.unit_id not in shares:
        return {today_id: share * 0.3 for today_id, share in shares.items()}
    if not point.certain:
        return shares
    return {point.unit_id: min(0.97, sure + (0.05 if len(shares) > 1 else 0.2))}


def _why(unit_names: UnitNames, reading: Reading, point: PointIn | None) -> Why:
    today = unit_names.units[reading.going.today_id]
    former = unit_names.units[reading.going.unit_id]
    if reading.against:
        return Why("contradicted", {"unit": today.full_name})
    if point is not None and point.unit_id is not None and point.certain:
        there = point.unit_id == today.unit_id
        if not there or reading.going.pieces:
            return Why("point" if there else "elsewhere", {"unit": today.full_name})
    fields = {"unit": today.full_name, "former": former.full_name}
    if reading.spelling is Spelling.NEARLY:
        return Why("nearly", fields)
    if reading.today:
        return Why("today", fields)
    if reading.level is not Level.WARD:
        return Why("inside", fields)
    return Why("part" if reading.going.pieces else "whole", fields)


def _rest(taken: _Text, reading: Reading) -> str:
    """What of the text names no unit: what stands before all that does, or else behind it."""
    explained = (reading.mention, *reading.hints)
    first = taken.words[min(one.start for one in explained)]
    last = taken.words[max(one.end for one in explained) - 1]
    before = taken.shown[: first.start].strip(_EDGES)
    if before:
        return before
    after = [word for word in taken.words if word.start >= last.end]
    if all(word.filler for word in after):
        return ""
    return taken.shown[last.end :].strip(_EDGES)


_EDGES = " \t\r\n,;:.-–—|()[]"


# -- typeahead ---------------------------------------------------------------------------------


def find(unit_names: UnitNames, words: str, on: date, *, most: int = 10) -> list[UnitFound]:
    """Units, then and now, whose name has words that begin so; further words may be of what is above.

    First those whose name begins so, those of the day before former ones; then those that have it inside.
    """
    asked = f" {fold(clean(words))}"
    if not asked.strip():
        return []
    inside = [one for one in unit_names.day(on).shown if asked in one.name]
    found = sorted(inside, key=lambda one: not one.name.startswith((asked, f" {one.kind}{asked}")))
    if len(found) < most:
        found += _found_with_above(unit_names.day(on).shown, asked.split())
    unit_ids = dict.fromkeys(one.unit_id for one in found)
    return [_unit_found(unit_names, unit_id, on) for unit_id in list(unit_ids)[:most]]


def _found_with_above(shown: Sequence[Shown], words: Sequence[str]) -> list[Shown]:
    """Units named by the first words in full, below units that the further words begin."""
    found: list[Shown] = []
    for many in range(len(words) - 1, 0, -1):
        name = f" {' '.join(words[:many])} "
        found += [
            one
            for one in shown
            if name in f"{one.name} " and all(f" {word}" in one.above for word in words[many:])
        ]
    return found


def _unit_found(unit_names: UnitNames, unit_id: str, on: date) -> UnitFound:
    unit = unit_names.units[unit_id]
    former = not unit.stood_on(on)
    became = dict.fromkeys(going.today_id for going in unit_names.day(on).goings[unit_id] if former)
    return UnitFound(
        unit, unit_names.path_of(unit_id), former, tuple(unit_names.units[one] for one in became)
    )
