"""Text from before Unicode is read as it was meant, and a guess says how sure it is."""

import shutil
import subprocess
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from haidang.kernel.legacy_text import (
    TCVN3_LETTERS,
    VNI_LETTERS,
    Confidence,
    Encoding,
    Letters,
    TextNotInEncoding,
    detect,
    detect_letters,
    from_tcvn3,
    from_vni,
    is_syllable,
    read_text,
    vietnamese_share,
)

SAMPLE = (
    "Trạm quan trắc chất lượng không khí Đà Lạt, phường Xuân Hương; nhiệt độ nước, mực nước hồ, "
    "lưu lượng xả, độ ẩm, ghi chú: thiết bị hỏng, chờ sửa chữa, kỹ thuật viên trực"
)
_TCVN3 = {letter: sign for sign, letter in TCVN3_LETTERS.items()}
_VNI = {letter: signs for signs, letter in reversed(list(VNI_LETTERS.items()))}
_TONES = "\u0300\u0301\u0303\u0309\u0323"


def in_tcvn3(text: str) -> str:
    return "".join(_TCVN3.get(letter, letter) for letter in text)


def in_vni(text: str) -> str:
    return "".join(_VNI.get(letter, letter) for letter in text)


def in_windows_1258(text: str) -> bytes:
    written = b""
    for letter in text:
        apart = unicodedata.normalize("NFD", letter)
        base = unicodedata.normalize("NFC", "".join(mark for mark in apart if mark not in _TONES))
        written += (base + "".join(mark for mark in apart if mark in _TONES)).encode("cp1258")
    return written


@pytest.mark.parametrize(
    ("content", "encoding", "letters"),
    [
        (SAMPLE.encode(), Encoding.UTF_8, Letters.UNICODE),
        (SAMPLE.encode("utf-8-sig"), Encoding.UTF_8, Letters.UNICODE),
        (SAMPLE.encode("utf-16"), Encoding.UTF_16_LE, Letters.UNICODE),
        (b"\xfe\xff" + SAMPLE.encode("utf-16-be"), Encoding.UTF_16_BE, Letters.UNICODE),
        (SAMPLE.encode("utf-16-le"), Encoding.UTF_16_LE, Letters.UNICODE),
        (SAMPLE.encode("utf-16-be"), Encoding.UTF_16_BE, Letters.UNICODE),
        (in_windows_1258(SAMPLE), Encoding.WINDOWS_1258, Letters.UNICODE),
        (in_tcvn3(SAMPLE).encode("cp1252"), Encoding.WINDOWS_1252, Letters.TCVN3),
        (in_vni(SAMPLE).encode("cp1252"), Encoding.WINDOWS_1252, Letters.VNI),
        (in_tcvn3(SAMPLE).encode(), Encoding.UTF_8, Letters.TCVN3),
        (in_vni(SAMPLE).encode("utf-16"), Encoding.UTF_16_LE, Letters.VNI),
    ],
    ids=lambda given: str(given) if isinstance(given, str) else "",
)
def test_an_encoding_is_recognised(content: bytes, encoding: Encoding, letters: Letters) -> None:
    found = detect(content)
    assert (found.encoding, found.letters) == (encoding, letters)
    assert found.confidence is not Confidence.UNSURE


@pytest.mark.parametrize(
    ("content", "encoding", "letters"),
    [
        (SAMPLE.encode("utf-16"), Encoding.UTF_16_LE, Letters.UNICODE),
        (in_windows_1258(SAMPLE), Encoding.WINDOWS_1258, Letters.UNICODE),
        (in_tcvn3(SAMPLE).encode("cp1252"), Encoding.WINDOWS_1252, Letters.TCVN3),
        (in_vni(SAMPLE).encode("cp1252"), Encoding.WINDOWS_1252, Letters.VNI),
    ],
    ids=lambda given: str(given) if isinstance(given, str) else "",
)
def test_a_file_is_read_as_it_was_meant(content: bytes, encoding: Encoding, letters: Letters) -> None:
    assert read_text(content, encoding, letters) == SAMPLE


def test_a_cut_in_the_middle_of_a_letter_is_still_utf_8() -> None:
    content = SAMPLE.encode()
    for cut in range(20, len(content)):
        assert detect(content[:cut]).encoding is Encoding.UTF_8


def test_what_could_be_anything_is_not_claimed_to_be_known() -> None:
    assert detect(bytes(range(0xC0, 0x100))).confidence is Confidence.UNSURE
    assert detect(b"station,pm25\nA1,12.5\n").confidence is Confidence.CERTAIN


def test_text_in_another_language_is_left_as_it_is() -> None:
    assert detect_letters("Café Münster, Ærøskøbing")[0] is Letters.UNICODE


def test_units_keep_their_signs() -> None:
    header = "Bụi PM2.5 (µg/m³); Nhiệt độ (°C); Độ dẫn (µS/cm)"
    assert vietnamese_share(header) == 1.0
    assert from_tcvn3(in_tcvn3(header)) == header
    assert from_tcvn3("lµm") == "làm"


def test_bytes_of_another_encoding_are_refused() -> None:
    with pytest.raises(TextNotInEncoding):
        read_text(b"Tr\xb9m", Encoding.UTF_8)


@given(st.text(st.sampled_from(sorted(_TCVN3) + list(" abcxyz019-;"))))
def test_every_letter_comes_back_from_tcvn3(text: str) -> None:
    assert from_tcvn3(in_tcvn3(text)) == text


@given(st.lists(st.sampled_from(["Trạm", "ĐÀ", "nước", "ươn", "ưỡn", "kỵ", "ỉa", "ý", "ệ", "oẵn", "QUẬN"])))
def test_every_letter_comes_back_from_vni(words: list[str]) -> None:
    text = " ".join(words)
    assert from_vni(in_vni(text)) == text


@given(st.binary(max_size=300))
def test_any_bytes_get_an_answer(content: bytes) -> None:
    found = detect(content)
    assert 0 <= found.share <= 1


def test_syllables_are_told_from_what_only_looks_so() -> None:
    assert all(map(is_syllable, ["Trạm", "nghiêng", "KHUYẾN", "quý", "giếng", "ỷ", "xoèn", "thuở"]))
    assert not any(map(is_syllable, ["Tr¹m", "kh«ng", "thaùng", "ấấ", "trạM", "zưa"]))


@pytest.mark.skipif(shutil.which("iconv") is None, reason="iconv is not installed")
def test_the_table_of_tcvn3_is_that_of_iconv() -> None:
    given = "".join(TCVN3_LETTERS).encode("latin-1")
    read = subprocess.run(
        ["iconv", "-f", "TCVN5712-1", "-t", "UTF-8"], input=given, capture_output=True, check=True
    )
    assert unicodedata.normalize("NFC", read.stdout.decode()) == "".join(TCVN3_LETTERS.values())
