"""Vietnamese text from before Unicode: TCVN3 (ABC fonts), VNI, Windows-1258; and which of them a file is in.

The tables are those of TCVN 5712:1993 (its third set, which ABC fonts show) and of the VNI fonts for
Windows; the first is compared with iconv's TCVN5712-1 by a test. Both put their letters on the places of
Latin letters, so that the same text also stands in workbooks, as Unicode that means something else:
`Tr¹m` for Trạm. A capital ABC font (.VnTimeH) draws small letters as capitals; the text does not say so.
"""

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from haidang.kernel.errors import Invalid
from haidang.kernel.text import nfc


class Encoding(StrEnum):
    """How signs are written as bytes."""

    UTF_8 = "utf-8"
    UTF_16_LE = "utf-16-le"
    UTF_16_BE = "utf-16-be"
    WINDOWS_1258 = "windows-1258"
    WINDOWS_1252 = "windows-1252"


class Letters(StrEnum):
    """Which letters the signs stand for: those of Unicode, or those that an ABC or VNI font shows."""

    UNICODE = "unicode"
    TCVN3 = "tcvn3"
    VNI = "vni"


class Confidence(StrEnum):
    """How sure a guess is: it can be nothing else, it reads as Vietnamese, or a person should look."""

    CERTAIN = "certain"
    LIKELY = "likely"
    UNSURE = "unsure"


class TextNotInEncoding(Invalid):
    """This text is not written in {encoding}."""


@dataclass(frozen=True, slots=True)
class Detected:
    """A guess, how sure it is, and the share (0 to 1) of words with marks that read as Vietnamese."""

    encoding: Encoding
    letters: Letters
    confidence: Confidence
    share: float


_TCVN3_PLACES = (
    (0xA1, "ĂÂÊÔƠƯĐăâêôơưđ"),
    (0xB5, "àảãáạ"),
    (0xBB, "ằẳẵắ"),
    (0xC6, "ặầẩẫấậè"),
    (0xCE, "ẻẽéẹềểễếệìỉ"),
    (0xDC, "ĩíịò"),
    (0xE1, "ỏõóọồổỗốộờởỡớợù"),
    (0xF1, "ủũúụừửữứựỳỷỹýỵ"),
)
TCVN3_LETTERS: Mapping[str, str] = {
    chr(first + offset): letter for first, letters in _TCVN3_PLACES for offset, letter in enumerate(letters)
}
"""From the Latin letter on a place to the Vietnamese one that an ABC font shows there."""

_VNI_TONES = {"ù": "\u0301", "ø": "\u0300", "û": "\u0309", "õ": "\u0303", "ï": "\u0323"}
_VNI_ON_A_AND_E_AND_O = {
    "â": "\u0302",
    "á": "\u0302\u0301",
    "à": "\u0302\u0300",
    "å": "\u0302\u0309",
    "ã": "\u0302\u0303",
    "ä": "\u0302\u0323",
}
_VNI_ON_A = {
    "ê": "\u0306",
    "é": "\u0306\u0301",
    "è": "\u0306\u0300",
    "ú": "\u0306\u0309",
    "ü": "\u0306\u0303",
    "ë": "\u0306\u0323",
}
_VNI_ALONE = {"í": "í", "ì": "ì", "æ": "ỉ", "ó": "ĩ", "ò": "ị", "ô": "ơ", "ö": "ư", "î": "ỵ", "ñ": "đ"}


def _vni_letters() -> dict[str, str]:
    """Each letter as one or two signs of a VNI font, in both cases."""
    found = dict(_VNI_ALONE)
    for base in "aeiouyôö":
        plain = _VNI_ALONE.get(base, base)
        if base != "i":  # the five forms of i stand alone
            found |= {base + sign: nfc(plain + mark) for sign, mark in _VNI_TONES.items()}
        if base in "aeo":
            found |= {base + sign: nfc(plain + mark) for sign, mark in _VNI_ON_A_AND_E_AND_O.items()}
    found |= {"a" + sign: nfc("a" + mark) for sign, mark in _VNI_ON_A.items()}
    del found["yï"]  # ỵ stands alone
    capitals = {signs.upper(): letter.upper() for signs, letter in found.items()}
    mixed = {
        signs[0].upper() + signs[1]: letter.upper() for signs, letter in found.items() if len(signs) == 2
    }
    return found | mixed | capitals


VNI_LETTERS: Mapping[str, str] = _vni_letters()
"""From one or two Latin letters to the Vietnamese one that a VNI font shows."""

_VNI = re.compile("|".join(sorted(map(re.escape, VNI_LETTERS), key=len, reverse=True)))
_TCVN3 = str.maketrans(dict(TCVN3_LETTERS))
# Units are typed with the signs of Latin fonts even there: no syllable is à and one consonant.
_MICRO = re.compile(r"(?<![A-Za-z\u00a1-\u00ff])µ(?=[gmlLSs](?![A-Za-z\u00a1-\u00ff]))")
_MICRO_KEPT = "\ue0b5"


def from_tcvn3(text: str) -> str:
    """Text as an ABC font shows it, from the Latin letters that stand for it."""
    return nfc(_MICRO.sub(_MICRO_KEPT, text).translate(_TCVN3).replace(_MICRO_KEPT, "µ"))


def from_vni(text: str) -> str:
    """Text as a VNI font shows it, from the Latin letters that stand for it."""
    return nfc(_VNI.sub(lambda found: VNI_LETTERS[found[0]], text))


def read_text(content: bytes, encoding: Encoding, letters: Letters = Letters.UNICODE) -> str:
    """Bytes as text in one form (NFC), without a mark at the beginning; raises TextNotInEncoding."""
    try:
        # Five places of Windows-1252 have no sign: a font's text is read in spite of them.
        text = content.decode(encoding, "strict" if letters is Letters.UNICODE else "replace")
    except UnicodeDecodeError:
        raise TextNotInEncoding(encoding=encoding.value) from None
    return read_letters(text.removeprefix("\ufeff"), letters)


def read_letters(text: str, letters: Letters) -> str:
    """Text whose Latin letters may stand for others, as what is meant."""
    if letters is Letters.TCVN3:
        return from_tcvn3(text)
    if letters is Letters.VNI:
        return from_vni(text)
    return nfc(text)


def detect(content: bytes) -> Detected:
    """How a file, or its beginning, is most likely written."""
    for mark, encoding in _MARKS:
        if content.startswith(mark):
            return _meant(content[: len(content) - len(content) % 2] if len(mark) == 2 else content, encoding)
    wide = _wide(content)
    if wide is not None:
        found = _meant(content[: len(content) - len(content) % 2], wide)
        return Detected(wide, found.letters, Confidence.LIKELY, found.share)
    try:
        _whole_signs(content).decode("utf-8")
    except UnicodeDecodeError:
        return _among(content)
    return _meant(content, Encoding.UTF_8)


_MARKS = (
    (b"\xef\xbb\xbf", Encoding.UTF_8),
    (b"\xff\xfe", Encoding.UTF_16_LE),
    (b"\xfe\xff", Encoding.UTF_16_BE),
)


def _meant(content: bytes, encoding: Encoding) -> Detected:
    letters, confidence, share = detect_letters(content.decode(encoding, "replace").strip("\ufeff\ufffd"))
    return Detected(encoding, letters, confidence, share)


def detect_letters(text: str) -> tuple[Letters, Confidence, float]:
    """Whether text is meant as it stands or was typed in an ABC or VNI font, how sure that is, its share."""
    plain = vietnamese_share(text)
    if plain is None:
        return Letters.UNICODE, Confidence.CERTAIN, 1.0
    best, share = max(
        ((one, vietnamese_share(read_letters(text, one)) or 0.0) for one in (Letters.TCVN3, Letters.VNI)),
        key=lambda found: found[1],
    )
    if share >= _READS and share - plain >= _CLEARLY:
        return best, Confidence.LIKELY, share
    return Letters.UNICODE, Confidence.CERTAIN if plain >= _READS else Confidence.LIKELY, plain


_READS = 0.7
_CLEARLY = 0.3


_ONE_BYTE = (
    (Encoding.WINDOWS_1258, Letters.UNICODE),
    (Encoding.WINDOWS_1252, Letters.TCVN3),
    (Encoding.WINDOWS_1252, Letters.VNI),
    (Encoding.WINDOWS_1252, Letters.UNICODE),
)


def _among(content: bytes) -> Detected:
    """One byte a letter: the reading in which most words with marks are Vietnamese syllables."""
    found: list[tuple[float, Encoding, Letters]] = []
    for encoding, letters in _ONE_BYTE:
        try:
            share = vietnamese_share(read_text(content, encoding, letters))
        except TextNotInEncoding:
            continue
        found.append((share or 0.0, encoding, letters))
    share, encoding, letters = max(found, key=lambda one: one[0])  # of equals the first
    second = sorted(one[0] for one in found)[-2] if len(found) > 1 else 0.0
    likely = share >= _READS and share - second >= _CLEARLY
    return Detected(encoding, letters, Confidence.LIKELY if likely else Confidence.UNSURE, share)


def _wide(content: bytes) -> Encoding | None:
    """UTF-16 without its mark: every other byte of what is mostly ASCII is zero."""
    sample = content[:4096]
    if len(sample) < 4 or b"\0" not in sample:
        return None
    even, odd = sample[::2].count(0), sample[1::2].count(0)
    if odd > len(sample) * 0.15 and even * 4 < odd:
        return Encoding.UTF_16_LE
    if even > len(sample) * 0.15 and odd * 4 < even:
        return Encoding.UTF_16_BE
    return None


def _whole_signs(content: bytes) -> bytes:
    """Without the first bytes of a sign that a cut left at the end."""
    for back in range(1, min(4, len(content)) + 1):
        lead = content[-back]
        if lead < 0x80:
            break
        if lead >= 0xC0:
            wanted = 2 if lead < 0xE0 else 3 if lead < 0xF0 else 4
            return content[:-back] if back < wanted else content
    return content


_WORD = re.compile(r"[^\s\x00-\x26\x28-\x40\x5b-\x60\x7b-\x7f]+")
_UNIT_SIGNS = frozenset("µμ°²³·×±–—“”‘’…№€")
_TONES = frozenset("\u0300\u0301\u0303\u0309\u0323")
_SYLLABLE = re.compile(
    "(?:b|ch?|d|đ|gh?|gi|h|kh?|l|m|ngh?|nh?|ph?|qu|r|s|th?|tr|v|x)?"
    "(?:(?:uyê|iê|oa|oă|oe|oo|uâ|uê|uy|uô|ươ|yê|a|ă|â|e|ê|i|o|ô|ơ|u|ư|y)(?:ch|c|m|ng|nh|n|p|t)?"
    "|iêu|yêu|oai|oay|oao|oeo|uây|uya|uyu|uôi|ươi|ươu"
    "|ai|ao|au|ay|âu|ây|eo|êu|ia|iu|oi|ôi|ơi|ua|ui|uơ|ưa|ưi|ưu)"
)


def vietnamese_share(text: str) -> float | None:
    """Of the words with a letter that is not ASCII, the share that could be Vietnamese syllables.

    None where there is no such word; signs of units and typography do not count.
    """
    counted = read = 0
    for found in _WORD.finditer(text):
        word = found[0]
        if word.isascii():
            continue
        bare = "".join(sign for sign in word if sign not in _UNIT_SIGNS)
        if bare.isascii():
            continue
        counted += 1
        read += is_syllable(bare)
    return read / counted if counted else None


def is_syllable(word: str) -> bool:
    """Whether a word could be one Vietnamese syllable: its letters in order, one tone at most, one case."""
    if not (word.islower() or word.isupper() or word.istitle()):
        return False
    apart = unicodedata.normalize("NFD", word.lower())
    tones = sum(mark in _TONES for mark in apart)
    bare = nfc("".join(mark for mark in apart if mark not in _TONES))
    return tones <= 1 and _SYLLABLE.fullmatch(bare) is not None
