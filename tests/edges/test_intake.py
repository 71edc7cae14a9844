"""File intake: known by content, scanned, made anew; hostile files are refused with a reason."""

import asyncio
import gzip
import io
import os
import struct
import sys
import tarfile
import unicodedata
import zipfile
import zlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from PIL import Image, ImageDraw, PngImagePlugin

from haidang.infra.intake import (
    DOCUMENTS,
    PICTURES,
    TABLES,
    ArchiveRefused,
    ClamdScanner,
    CommandScanner,
    DocumentActive,
    DocumentHasMoreBehind,
    FileBroken,
    FileEmpty,
    FileInfected,
    FileKindRefused,
    FileKindUnknown,
    FileTooLarge,
    IntakeRules,
    NoScanner,
    PictureTooLarge,
    Scan,
    Scanner,
    ScannerUnavailable,
    TableRowTooLarge,
    TableRowUneven,
    TakenFile,
    Verdict,
    open_scanner,
    safe_name,
    take_file,
)
from haidang.kernel.errors import HaidangError

ANYTHING = IntakeRules(kinds=PICTURES | DOCUMENTS | TABLES)


async def stream(content: bytes, chunk: int = 1000) -> AsyncIterator[bytes]:
    for start in range(0, len(content), chunk):
        yield content[start : start + chunk]


async def take(content: bytes, name: str = "anh.jpg", rules: IntakeRules = ANYTHING) -> TakenFile:
    return await take_file(stream(content), name=name, rules=rules)


def picture(form: str = "JPEG", size: tuple[int, int] = (64, 32), mode: str = "RGB", **options: Any) -> bytes:
    """Red on the left, blue on the right."""
    image = Image.new("RGB", size, "red")
    ImageDraw.Draw(image).rectangle([size[0] // 2, 0, *size], fill="blue")
    written = io.BytesIO()
    image.convert(mode).save(written, form, **options)
    return written.getvalue()


def opened(taken: TakenFile) -> Image.Image:
    image = Image.open(io.BytesIO(taken.content))
    image.load()
    return image


def zipped(**files: bytes) -> bytes:
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return written.getvalue()


def pdf(inside: bytes = b"") -> bytes:
    return b"%PDF-1.7\n1 0 obj\n<< /Type /Catalog " + inside + b" >>\nendobj\nstartxref\n9\n%%EOF\n"


# --- pictures ---


async def test_a_photo_comes_out_as_pixels_only() -> None:
    exif = Image.Exif()
    exif[0x010F] = "MakerOfThePhone"
    exif.get_ifd(0x8825).update({1: "N", 2: (10.0, 55.0, 30.0), 3: "E", 4: (108.0, 6.0, 0.0)})
    original = picture(exif=exif, comment=b"Nguyen Van An", icc_profile=b"profile")
    assert b"MakerOfThePhone" in original
    taken = await take(original)
    assert (taken.media_type, taken.width, taken.height) == ("image/jpeg", 64, 32)
    assert not opened(taken).getexif()
    assert set(opened(taken).info) <= {
        "jfif",
        "jfif_version",
        "jfif_unit",
        "jfif_density",
        "progressive",
        "progression",
    }
    for secret in (b"MakerOfThePhone", b"Nguyen Van An", b"profile", b"Exif"):
        assert secret not in taken.content


async def test_a_photo_is_turned_as_the_camera_was_held() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # turned a quarter to the right: red comes to the top
    taken = await take(picture(exif=exif))
    image = opened(taken)
    assert image.size == (32, 64)
    red, blue = image.getpixel((16, 8)), image.getpixel((16, 56))
    assert isinstance(red, tuple)
    assert isinstance(blue, tuple)
    assert red[0] > 200
    assert blue[2] > 200


@pytest.mark.filterwarnings("ignore:Corrupt EXIF:UserWarning")
async def test_a_broken_orientation_is_ignored() -> None:
    original = picture(exif=b"Exif\0\0MM\0*\0\0\0\x08\0\x05broken")
    assert (await take(original)).width == 64


@pytest.mark.parametrize(
    ("form", "mode", "media_type"),
    [
        ("JPEG", "L", "image/jpeg"),
        ("JPEG", "CMYK", "image/jpeg"),
        ("PNG", "RGB", "image/png"),
        ("PNG", "RGBA", "image/png"),
        ("PNG", "P", "image/png"),
        ("PNG", "1", "image/png"),
        ("PNG", "I;16", "image/png"),
        ("GIF", "P", "image/png"),
        ("WEBP", "RGB", "image/jpeg"),
        ("WEBP", "RGBA", "image/jpeg"),
        ("AVIF", "RGB", "image/jpeg"),
    ],
)
async def test_every_kind_of_picture_people_send(form: str, mode: str, media_type: str) -> None:
    original = picture(form, mode="L" if mode == "I;16" else mode)
    if mode == "I;16":
        written = io.BytesIO()
        Image.new("I;16", (64, 32), 40_000).save(written, "PNG")
        original = written.getvalue()
    taken = await take(original, name="x.bin")
    assert taken.media_type == media_type
    assert opened(taken).size == (64, 32)
    if mode == "I;16":
        assert opened(taken).getpixel((3, 3)) == (156, 156, 156)


async def test_transparent_parts_are_white_where_only_photos_are_taken() -> None:
    written = io.BytesIO()
    Image.new("RGBA", (8, 8), (255, 0, 0, 0)).save(written, "PNG")
    rules = IntakeRules(kinds=frozenset({"image/jpeg"}))
    assert opened(await take(written.getvalue(), rules=rules)).getpixel((4, 4)) == (255, 255, 255)
    kept = await take(written.getvalue())
    assert opened(kept).getpixel((4, 4)) == (255, 0, 0, 0)


async def test_a_large_photo_is_brought_within_bounds() -> None:
    taken = await take(picture(size=(3000, 1000)), rules=IntakeRules(longest_side=600))
    assert (taken.width, taken.height) == (600, 200)


async def test_a_moving_picture_stands_still() -> None:
    written = io.BytesIO()
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "lime", "blue")]
    frames[0].save(written, "GIF", save_all=True, append_images=frames[1:])
    taken = await take(written.getvalue())
    assert getattr(opened(taken), "n_frames", 1) == 1
    assert opened(taken).getpixel((4, 4)) == (255, 0, 0)


async def test_a_second_file_behind_a_picture_does_not_come_through() -> None:
    for original in (picture(), picture("PNG"), picture("WEBP")):
        taken = await take(original + zipped(**{"evil.html": b"<script>"}))
        assert b"PK\x03\x04" not in taken.content
        assert b"script" not in taken.content


async def test_a_script_within_a_picture_does_not_come_through() -> None:
    text = PngImagePlugin.PngInfo()
    text.add_text("Comment", "<script>alert(1)</script>")
    original = picture("PNG", pnginfo=text)
    assert b"<script>" in original
    assert b"<script>" not in (await take(original)).content


def png_claiming(width: int, height: int) -> bytes:
    def chunk(kind: bytes, content: bytes) -> bytes:
        return (
            struct.pack("!I", len(content)) + kind + content + struct.pack("!I", zlib.crc32(kind + content))
        )

    header = struct.pack("!IIBBBBB", width, height, 8, 2, 0, 0, 0)
    pixels = zlib.compress(b"\0" * 10_000_000, 9)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


@pytest.mark.parametrize("side", [8_000, 12_000, 60_000])
async def test_a_picture_that_would_fill_the_memory_is_refused(side: int) -> None:
    with pytest.raises(PictureTooLarge):
        await take(png_claiming(side, side))


@pytest.mark.parametrize("form", ["lossy", "lossless", "extended"])
async def test_a_webp_that_would_fill_the_memory_is_refused_before_it_is_opened(
    form: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    forms: dict[str, dict[str, Any]] = {
        "lossy": {},
        "lossless": {"lossless": True},
        "extended": {"exif": b"Exif\0\0x"},
    }
    original = bytearray(picture("WEBP", **forms[form]))
    kind = bytes(original[12:16])
    assert kind == {"lossy": b"VP8 ", "lossless": b"VP8L", "extended": b"VP8X"}[form]
    if form == "lossy":
        original[26:30] = struct.pack("<HH", 16_383, 16_383)
    elif form == "lossless":
        original[21:25] = (16_382 | 16_382 << 14).to_bytes(4, "little")
    else:
        original[24:30] = (16_382).to_bytes(3, "little") * 2

    def must_not_be_called(*_: object, **__: object) -> None:
        raise AssertionError("opened")

    monkeypatch.setattr(Image, "open", must_not_be_called)
    with pytest.raises(PictureTooLarge):
        await take(bytes(original))


async def test_a_png_whose_text_unpacks_to_gigabytes_is_refused() -> None:
    def chunk(kind: bytes, content: bytes) -> bytes:
        return (
            struct.pack("!I", len(content)) + kind + content + struct.pack("!I", zlib.crc32(kind + content))
        )

    bomb = b"key\0\0" + zlib.compress(b"a" * 100_000_000, 9)
    original = picture("PNG")
    with pytest.raises(FileBroken):
        await take(original[:33] + chunk(b"zTXt", bomb) + original[33:])


@pytest.mark.parametrize("form", ["JPEG", "PNG", "GIF", "WEBP", "AVIF"])
@pytest.mark.parametrize("kept", [0.1, 0.5, 0.9])
async def test_a_truncated_picture_is_refused(form: str, kept: float) -> None:
    noisy = Image.frombytes("RGB", (200, 200), os.urandom(120_000))
    written = io.BytesIO()
    noisy.save(written, form)
    whole = written.getvalue()
    with pytest.raises(FileBroken):
        await take(whole[: int(len(whole) * kept)])


@pytest.mark.filterwarnings("ignore::Warning")
@given(st.data())
def test_a_damaged_picture_is_taken_or_refused_and_nothing_else(data: st.DataObject) -> None:
    form = data.draw(st.sampled_from(["JPEG", "PNG", "GIF", "WEBP"]))
    content = bytearray(picture(form, size=(16, 16)))
    for _ in range(data.draw(st.integers(1, 6))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    try:
        taken = asyncio.run(take(bytes(content)))
    except HaidangError:
        return
    assert taken.media_type in {"image/jpeg", "image/png", "text/plain"}


# --- what is not taken ---


async def test_an_empty_file_is_refused() -> None:
    with pytest.raises(FileEmpty):
        await take(b"")


async def test_reading_stops_at_the_limit() -> None:
    given_out = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal given_out
        while True:
            given_out += 1000
            yield b"x" * 1000

    with pytest.raises(FileTooLarge):
        await take_file(endless(), name="x", rules=IntakeRules(limit_bytes=5000))
    assert given_out == 6000


def tarred() -> bytes:
    written = io.BytesIO()
    with tarfile.open(fileobj=written, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("x"), io.BytesIO())
    return written.getvalue()


@pytest.mark.parametrize(
    "content",
    [
        zipped(a=b"b"),
        zipped(**{"word/document.xml": b"x", "[Content_Types].xml": b"x"}),
        gzip.compress(b"x", mtime=0),
        b"7z\xbc\xaf\x27\x1c\0\4" + b"\0" * 40,
        b"Rar!\x1a\x07\x01\0" + b"\0" * 40,
        tarred(),
    ],
    ids=["zip", "docx", "gz", "7z", "rar", "tar"],
)
@pytest.mark.parametrize("name", ["ho-so.zip", "anh.jpg", "bang.csv"])
async def test_archives_are_refused_whatever_their_name(content: bytes, name: str) -> None:
    with pytest.raises(ArchiveRefused):
        await take(content, name=name)


@pytest.mark.parametrize(
    "content",
    [
        b"<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>",
        b"<?xml version='1.0'?><!DOCTYPE svg><svg onload='alert(1)'/>",
        b"\xef\xbb\xbf  <!-- --><svg/>",
        b"<!DOCTYPE html><html><body onload=alert(1)>",
        b"GIF89a/*" + b"\0" * 20 + b"*/=1;alert(1)",
        b"MZ\x90\0" + b"\0" * 100,
        b"\x7fELF\x02\x01\x01" + b"\0" * 100,
        b"#!/bin/sh\nrm -rf /\n",
        b"%!PS-Adobe-3.0\n(x) show",
        b"{\\rtf1 x}",
        b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 600,
        b"BM" + b"\0" * 60,
        b"II*\0" + b"\0" * 60,
        bytes(range(128, 256)) + b"\0",
        "chữ".encode("utf-16"),
    ],
    ids=[
        *("svg", "svg-xml", "svg-comment", "html", "gif-script", "exe", "elf", "shell", "postscript", "rtf"),
        *("ole", "bmp", "tiff", "noise", "utf-16"),
    ],
)
@pytest.mark.parametrize("name", ["anh.jpg", "anh.svg", "bang.csv", "vb.pdf"])
async def test_what_is_not_on_the_list_is_refused_whatever_its_name(content: bytes, name: str) -> None:
    with pytest.raises((FileKindRefused, FileKindUnknown, FileBroken)):
        await take(content, name=name)


async def test_a_place_takes_only_its_kinds() -> None:
    with pytest.raises(FileKindRefused):
        await take(pdf(), rules=IntakeRules())
    with pytest.raises(FileKindRefused):
        await take(picture(), rules=IntakeRules(kinds=DOCUMENTS))
    with pytest.raises(FileKindRefused):
        await take(b"a,b\n1,2\n", name="a.csv", rules=IntakeRules())


# --- documents and tables ---


async def test_a_plain_pdf_is_taken_as_it_is() -> None:
    taken = await take(pdf(), name="cong-van.jpg")
    assert (taken.media_type, taken.name, taken.content) == ("application/pdf", "cong-van.pdf", pdf())


@pytest.mark.parametrize(
    "content",
    [
        pdf(b"/OpenAction << /S /JavaScript /JS (app.alert) >>"),
        pdf(b"/OpenAction << /S /J#61vaScript >>"),
        pdf(b"/AA << /S /Launch >>"),
        pdf(b"/Names << /EmbeddedFiles 3 0 R >>"),
        pdf() + zipped(a=b"b"),
        pdf() + zipped(a=b"b")[:-2] + struct.pack("<H", 20) + b"\nstartxref\n9\n%%EOF\n",  # as its comment
        pdf() + b"<html><script>alert(1)</script>",
    ],
    ids=["script", "hidden-script", "launch", "attached", "zip-behind", "zip-around", "html-behind"],
)
async def test_a_pdf_with_something_else_in_it_is_refused(content: bytes) -> None:
    with pytest.raises((DocumentActive, DocumentHasMoreBehind)):
        await take(content)


@pytest.mark.parametrize("content", [b"%PDF-1.7\n" + b"x" * 3000, pdf()[:-20], b"%PDF-9.9\n" + pdf()[9:]])
async def test_a_pdf_without_beginning_or_end_is_refused(content: bytes) -> None:
    with pytest.raises(FileBroken):
        await take(content)


@pytest.mark.parametrize(
    ("name", "content", "media_type"),
    [
        ("tram.csv", "mã,tên\n1,Phú Thủy\n".encode(), "text/csv"),
        ("tram.csv", 'mã;tên;ghi chú\n1;"Phú; Thủy";"hai\ndòng"\n'.encode(), "text/csv"),
        ("MZ.csv", b"MZ,BM\n1,2\n", "text/csv"),
        ("ghi-chu.TXT", "xin chào".encode(), "text/plain"),
        ("ghi-chu", "xin chào".encode(), "text/plain"),
        ("a.json", b'{"a": [1]}', "application/json"),
        ("a.geojson", b'{"type": "Point"}', "application/geo+json"),
    ],
)
async def test_text_is_checked_by_what_it_claims_to_be(name: str, content: bytes, media_type: str) -> None:
    assert (await take(content, name=name)).media_type == media_type


async def test_a_byte_order_mark_goes() -> None:
    assert (await take(b"\xef\xbb\xbfa,b\n", name="a.csv")).content == b"a,b\n"


@pytest.mark.parametrize(
    ("name", "content", "error"),
    [
        ("a.csv", b"a,b\n1,2,3\n", TableRowUneven),
        ("a.csv", b'a,b\n1,"2\n', FileBroken),
        ("a.csv", b"a,b\n" + b"x" * 40_000 + b",1\n", TableRowTooLarge),
        ("a.csv", b"," * 2000, TableRowTooLarge),
        ("a.json", b'{"a": ', FileBroken),
        ("a.json", b"[" * 100_000, FileBroken),
        ("a.json", b"NaN", FileBroken),
    ],
)
async def test_broken_tables_are_refused(name: str, content: bytes, error: type[HaidangError]) -> None:
    with pytest.raises(error):
        await take(content, name=name)


# --- names and ids ---


@pytest.mark.parametrize(
    ("sent", "safe"),
    [
        ("ảnh sụt lún.jpg", "ảnh sụt lún.jpg"),
        ("../../etc/passwd", "passwd"),
        ("C:\\Users\\An\\anh.png", "anh.png"),
        ("a\0b\n.jpg", "ab.jpg"),
        ("anh\u202egpj.exe", "anhgpj.exe"),
        (".htaccess", "htaccess"),
        ("con.jpg", "file-con.jpg"),
        ("", "file"),
        ("...", "file"),
        ("a" * 300 + ".jpeg", "a" * 115 + ".jpeg"),
        ('<img src=x onerror="x">.png', "img src=x onerror=x.png"),
        ("a\u0302\u0309nh.jpg", "ẩnh.jpg"),
    ],
)
def test_names_are_made_safe(sent: str, safe: str) -> None:
    assert safe_name(sent) == safe


@given(st.text(max_size=300))
@example("con")
@example("\u00a0.a")
def test_any_name_becomes_a_safe_one(sent: str) -> None:
    safe = safe_name(sent)
    assert 0 < len(safe) <= 130
    assert not set(safe) & set('/\\<>:"|?*\0\n')
    assert not any(unicodedata.category(sign) == "Cf" for sign in safe)
    assert safe not in {".", ".."}
    assert safe[0] != "."


async def test_a_name_ends_as_its_content_is() -> None:
    assert (await take(picture(), name="bao-cao.pdf")).name == "bao-cao.jpg"
    assert (await take(picture("PNG"), name="anh.jpg.exe")).name == "anh.jpg.png"


async def test_equal_files_have_one_id_and_different_ones_two() -> None:
    first, again = await take(picture()), await take(picture(), name="other.jpg")
    assert first.content_id == again.content_id
    assert first.content_id.startswith("sha256-")
    assert (await take(picture(size=(10, 10)))).content_id != first.content_id


# --- scanning ---


class FakeClamd:
    """Speaks clamd's side of INSTREAM as clamd(8) has it, and finds one signature."""

    MARK = b"a harmless mark that this scanner takes for harm"

    def __init__(self, answer: bytes | None = None, *, hangs: bool = False, closes: bool = False) -> None:
        self._answer = answer
        self._hangs = hangs
        self._closes = closes
        self.received: list[bytes] = []

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one connection."""
        try:
            assert await reader.readuntil(b"\0") == b"zINSTREAM\0"
            content = b""
            while length := struct.unpack("!I", await reader.readexactly(4))[0]:
                assert length <= 65_536
                content += await reader.readexactly(length)
            self.received.append(content)
            if self._hangs:
                await asyncio.sleep(5)
            found = b"stream: Test.Mark FOUND\0" if self.MARK in content else b"stream: OK\0"
            if not self._closes:
                writer.write(self._answer or found)
                await writer.drain()
        finally:
            writer.close()


@pytest.fixture(params=["tcp", "unix"])
async def clamd(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[tuple[FakeClamd, str]]:
    """A scanner's daemon and the setting that names it."""
    daemon = FakeClamd()
    if request.param == "tcp":
        server = await asyncio.start_server(daemon, "127.0.0.1", 0)
        setting = f"clamd://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    else:
        server = await asyncio.start_unix_server(daemon, tmp_path / "clamd.ctl")
        setting = f"clamd://{tmp_path / 'clamd.ctl'}"
    async with server:
        yield daemon, setting


async def test_clamd_sees_the_file_as_it_was_sent(clamd: tuple[FakeClamd, str]) -> None:
    daemon, setting = clamd
    rules = IntakeRules(kinds=PICTURES | TABLES, scanner=open_scanner(setting))
    original = picture(size=(800, 800), comment=b"x" * 60_000, quality=100) + b"\0" * 200_000
    taken = await take(original, rules=rules)
    assert taken.scan == Scan(Verdict.CLEAN, "clamd")
    assert daemon.received == [original]
    with pytest.raises(FileInfected, match=r"Test\.Mark"):
        await take(picture() + FakeClamd.MARK, rules=rules)


@pytest.mark.parametrize(
    "daemon",
    [
        FakeClamd(b"INSTREAM size limit exceeded. ERROR\0"),
        FakeClamd(b"nonsense\0"),
        FakeClamd(closes=True),
        FakeClamd(hangs=True),
    ],
)
async def test_a_file_is_not_accepted_while_the_scanner_is_in_trouble(
    daemon: FakeClamd, tmp_path: Path
) -> None:
    server = await asyncio.start_unix_server(daemon, tmp_path / "clamd.ctl")
    async with server:
        scanner = ClamdScanner(path=tmp_path / "clamd.ctl", patience_s=0.2)
        with pytest.raises(ScannerUnavailable):
            await take(picture(), rules=IntakeRules(scanner=scanner))


async def test_a_file_is_not_accepted_while_the_scanner_is_away(tmp_path: Path) -> None:
    for scanner in (ClamdScanner(path=tmp_path / "none"), ClamdScanner(host="127.0.0.1", port=1)):
        with pytest.raises(ScannerUnavailable):
            await take(picture(), rules=IntakeRules(scanner=scanner))


SCANNING = """
import sys
content = open(sys.argv[-1], "rb").read()
if b"broken" in content:
    sys.exit(2)
if b"harm" in content:
    print("Found.It")
    sys.exit(1)
"""


async def test_a_command_may_be_the_scanner() -> None:
    scanner = CommandScanner([sys.executable, "-c", SCANNING])
    rules = IntakeRules(kinds=TABLES, scanner=scanner)
    assert (await take(b"fine", name="a.txt", rules=rules)).scan.verdict is Verdict.CLEAN
    with pytest.raises(FileInfected, match=r"Found\.It"):
        await take(b"harm", name="a.txt", rules=rules)
    with pytest.raises(ScannerUnavailable):
        await take(b"broken", name="a.txt", rules=rules)
    with pytest.raises(ScannerUnavailable):
        await take(
            b"fine", name="a.txt", rules=IntakeRules(kinds=TABLES, scanner=CommandScanner(["/nowhere"]))
        )


async def test_a_command_that_hangs_is_ended() -> None:
    scanner = CommandScanner([sys.executable, "-c", "import time; time.sleep(60)"], patience_s=0.3)
    with pytest.raises(ScannerUnavailable):
        await take(b"fine", name="a.txt", rules=IntakeRules(kinds=TABLES, scanner=scanner))


async def test_without_a_scanner_the_result_says_so() -> None:
    assert (await take(picture())).scan == Scan(Verdict.NOT_SCANNED, "none")


@pytest.mark.parametrize(
    ("setting", "kind"),
    [
        (None, NoScanner),
        ("", NoScanner),
        ("clamd://scan:3310", ClamdScanner),
        ("clamd:///run/clamav/clamd.ctl", ClamdScanner),
        ("clamdscan --no-summary --fdpass", CommandScanner),
    ],
)
def test_the_setting_names_the_scanner(setting: str | None, kind: type[Scanner]) -> None:
    assert type(open_scanner(setting)) is kind
