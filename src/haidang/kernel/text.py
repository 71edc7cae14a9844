"""Vietnamese text: one form inside, one folded form for search, one key for dictionary order."""

import re
import unicodedata
from functools import lru_cache

_ABBREVIATIONS = {
    "p": "phuong",
    "q": "quan",
    "h": "huyen",
    "x": "xa",
    "tp": "thanh pho",
    "tx": "thi xa",
    "tt": "thi tran",
}
_DOTTED = re.compile(r"(?<![^\W_])(tp|tx|tt|[pqhx])\.\s*(?=[^\W\d_])|(?<![^\W_])(tp|tx|tt|[pq])\.\s*(?=\d)")
_BARE = re.compile(r"(?<![^\W_])(tp|tx)(?![^\W_])")
_NOT_ALPHANUMERIC = re.compile(r"[\W_]+")
_FINAL_Y = re.compile(r"\b(b|c|ch|d|g|gh|h|k|kh|l|m|n|ng|ngh|nh|p|ph|r|s|t|th|tr|v|x)y\b")
_QUI = re.compile(r"\bqui\b")


def nfc(text: str) -> str:
    """The form in which all text is kept: one code point for each Vietnamese letter with its marks."""
    return unicodedata.normalize("NFC", text)


def fold(text: str) -> str:
    """The form in which text is searched; fold both what is searched and what is looked for.

    Without case, diacritics and punctuation, đ as d, so that where the tone stands (hoà, hòa;
    Thuỷ, Thủy) makes no difference; Kỳ as Kì and Qui as Quy, which are spelt both ways; and P., Q.,
    H., X., TP., TX., TT. before a name as the words they stand for.
    """
    letters = _without_marks(text)
    letters = _DOTTED.sub(lambda found: _ABBREVIATIONS[found[1] or found[2]] + " ", letters)
    letters = _BARE.sub(lambda found: _ABBREVIATIONS[found[1]], letters)
    words = _NOT_ALPHANUMERIC.sub(" ", letters).strip()
    return _QUI.sub("quy", _FINAL_Y.sub(r"\1i", words))


def _without_marks(text: str) -> str:
    if text.isascii():
        return text.lower()
    # Apart first, for capitals that only then show (ᴬ), and after, for marks that small letters bring (İ).
    apart = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", text).casefold())
    bare = "".join(letter for letter in apart if not unicodedata.category(letter).startswith("M"))
    return unicodedata.normalize("NFC", bare.replace("đ", "d"))


_LETTERS = "aăâbcdđeêfghijklmnoôơpqrstuưvwxyz"
_PRIMARY = {letter: chr(0x41 + place) for place, letter in enumerate(_LETTERS)}
_TONES = {"\u0300": "1", "\u0309": "2", "\u0303": "3", "\u0301": "4", "\u0323": "5"}
_LETTER_MARKS = frozenset("\u0302\u0306\u031b")
_LEVEL_END = "\x01"
_WORD_END = "\x02"
_NUMBER = "\x03"
_WORDS = re.compile(r"\d+|[^\W\d_]+")


def collation_key(text: str) -> str:
    """A key whose code-point order is Vietnamese dictionary order, in Python and in a C collation.

    First the letters of the whole text (a ă â b c d đ e ê …; a space before every letter; whole
    numbers by their value, before letters), then the tones (ngang, huyền, hỏi, ngã, sắc, nặng), then
    small before capital. A tone belongs to its syllable: hoà and hòa have the same key.
    """
    letters: list[str] = []
    tones: list[str] = []
    cases: list[str] = []
    for word in _WORDS.findall(nfc(text)):
        if word.isdecimal():
            digits = str(int(word))
            letters.append(f"{_NUMBER}{len(digits):03d}{digits}")
            continue
        primary, tone, case = _weights(word)
        letters.append(primary)
        tones.append(tone)
        cases.append(case)
    return _LEVEL_END.join(_WORD_END.join(level) for level in (letters, tones, cases))


def _weights(word: str) -> tuple[str, str, str]:
    """The weights of one word: its letters without tones, its tones, which of its letters are capitals."""
    primary: list[str] = []
    tones: list[str] = []
    cases: list[str] = []
    for letter in word:
        small = letter.lower()
        for part in _letters_and_tones(small):
            if part in _TONES:
                tones.append(_TONES[part])
            else:
                primary.append(_PRIMARY.get(part, part))
                cases.append("0" if letter == small else "1")
    return "".join(primary), "".join(tones) or "0", "".join(cases)


@lru_cache(maxsize=1024)
def _letters_and_tones(letter: str) -> tuple[str, ...]:
    """A small letter as Vietnamese sees it: ệ is the letter ê and the tone nặng."""
    marks = unicodedata.normalize("NFD", letter)
    base = marks[0] + "".join(mark for mark in marks[1:] if mark in _LETTER_MARKS)
    found = [unicodedata.normalize("NFC", base)]
    found += [mark for mark in marks[1:] if mark in _TONES]
    found += [mark for mark in marks[1:] if not unicodedata.combining(mark)]
    return tuple(found)
