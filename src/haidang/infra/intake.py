"""Files from people: known by their content, scanned, made anew where that is possible.

Nothing a sender says of a file is believed: neither its name nor its type. What is not on the
list of kinds is refused, archives always. A picture is decoded and written again, so that what
comes out holds pixels only: no place where it was taken, no script, no second file behind it.
A PDF cannot be written again; it is refused where it shows active content, and is only ever
to be served as a download.
"""

import asyncio
import csv
import hashlib
import io
import re
import shlex
import struct
import tempfile
import unicodedata
from collections.abc import AsyncIterable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path, PurePosixPath
from typing import Protocol
from urllib.parse import urlsplit

import orjson
import puremagic
from PIL import Image, ImageOps

from haidang.kernel.errors import Invalid, Unavailable

# --- What can be wrong with a file --------------------------------------------------------------


class FileEmpty(Invalid):
    """The file {name} is empty."""


class FileTooLarge(Invalid):
    """The file {name} is larger than {limit_bytes} bytes."""


class FileKindRefused(Invalid):
    """Files of this kind are not accepted here: {name} ({kind})."""


class ArchiveRefused(Invalid):
    """{name} is an archive; please send the files in it one by one."""


class FileKindUnknown(Invalid):
    """The kind of the file {name} cannot be told; it was not accepted."""


class FileBroken(Invalid):
    """The file {name} is damaged or incomplete; it cannot be read as {kind}."""


class TableRowUneven(Invalid):
    """Row {row} of the table {name} has {found} cells; the first row has {expected}."""


class TableRowTooLarge(Invalid):
    """Row {row} of the table {name} is too large."""


class PictureTooLarge(Invalid):
    """The picture {name} has {megapixels} million points; {most} million is the most."""


class DocumentHasMoreBehind(Invalid):
    """Something else follows the end of the document {name}; it was not accepted."""


class DocumentActive(Invalid):
    """The document {name} holds active content ({what}); please send it without."""


class FileInfected(Invalid):
    """The file {name} was refused by the malware scanner ({signature})."""


class ScannerUnavailable(Unavailable):
    """The malware scanner does not answer; the file {name} was not accepted."""


# --- Scanning -----------------------------------------------------------------------------------


class Verdict(StrEnum):
    """What is known of a file after scanning."""

    CLEAN = "clean"
    INFECTED = "infected"
    NOT_SCANNED = "not-scanned"


@dataclass(frozen=True, slots=True)
class Scan:
    """A verdict, by whom, and the name of what was found."""

    verdict: Verdict
    scanner: str
    signature: str = ""


class Scanner(Protocol):
    """Whatever can say whether a file is harmful; raises OSError or TimeoutError when it cannot."""

    async def scan(self, content: bytes) -> Scan:
        """Look at the file as it was sent."""
        ...


class NoScanner:
    """No scanner is configured: every result says so."""

    async def scan(self, content: bytes) -> Scan:
        """Say that nobody looked."""
        del content
        return Scan(Verdict.NOT_SCANNED, "none")


class ClamdScanner:
    """ClamAV's daemon, by its INSTREAM command, over TCP or a unix socket (clamd(8))."""

    _CHUNK = 64 * 1024

    def __init__(
        self, *, host: str = "", port: int = 3310, path: Path | None = None, patience_s: float = 30.0
    ) -> None:
        self._host = host
        self._port = port
        self._path = path
        self._patience_s = patience_s

    async def scan(self, content: bytes) -> Scan:
        """Send the file and read the verdict."""
        async with asyncio.timeout(self._patience_s):
            if self._path is not None:
                reader, writer = await asyncio.open_unix_connection(str(self._path))
            else:
                reader, writer = await asyncio.open_connection(self._host, self._port)
            try:
                writer.write(b"zINSTREAM\0")
                for start in range(0, len(content), self._CHUNK):
                    chunk = content[start : start + self._CHUNK]
                    writer.write(struct.pack("!I", len(chunk)) + chunk)
                    await writer.drain()
                writer.write(struct.pack("!I", 0))
                await writer.drain()
                answer = (await reader.readuntil(b"\0")).rstrip(b"\0").decode("utf-8", "replace")
            except asyncio.IncompleteReadError as trouble:
                raise OSError("clamd closed the connection") from trouble
            finally:
                writer.close()
        if answer == "stream: OK":
            return Scan(Verdict.CLEAN, "clamd")
        if answer.startswith("stream: ") and answer.endswith(" FOUND"):
            return Scan(Verdict.INFECTED, "clamd", answer[8:-6])
        raise OSError(f"clamd answered {answer!r}")


class CommandScanner:
    """A program that is given the file's path: exit status 0 clean, 1 infected, else a failure."""

    def __init__(self, command: Sequence[str], *, patience_s: float = 60.0) -> None:
        self._command = tuple(command)
        self._patience_s = patience_s

    async def scan(self, content: bytes) -> Scan:
        """Write the file to a folder of its own and run the program on it."""
        with tempfile.TemporaryDirectory(prefix="haidang-scan-") as folder:
            path = Path(folder) / "file"
            await asyncio.to_thread(path.write_bytes, content)
            child = await asyncio.create_subprocess_exec(
                *self._command,
                str(path),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.DEVNULL,
            )
            try:
                async with asyncio.timeout(self._patience_s):
                    said, _ = await child.communicate()
            finally:
                if child.returncode is None:
                    child.kill()
                    await child.wait()
        if child.returncode == 0:
            return Scan(Verdict.CLEAN, self._command[0])
        if child.returncode == 1:
            words = said.decode("utf-8", "replace").strip().splitlines()
            return Scan(Verdict.INFECTED, self._command[0], words[-1][:200] if words else "")
        raise OSError(f"{self._command[0]} ended with status {child.returncode}")


def open_scanner(setting: str | None) -> Scanner:
    """The scanner of a setting: `clamd://host:3310`, `clamd:///run/clamav/clamd.ctl`, or a command."""
    if not setting:
        return NoScanner()
    if not setting.startswith("clamd:"):
        return CommandScanner(shlex.split(setting))
    place = urlsplit(setting)
    if place.hostname:
        return ClamdScanner(host=place.hostname, port=place.port or 3310)
    return ClamdScanner(path=Path(place.path))


# --- Taking a file ------------------------------------------------------------------------------

_ENDINGS = {
    "image/jpeg": ".jpg",
    "image/png": ".png",
    "application/pdf": ".pdf",
    "text/csv": ".csv",
    "text/plain": ".txt",
    "application/json": ".json",
    "application/geo+json": ".geojson",
}
PICTURES = frozenset({"image/jpeg", "image/png"})
DOCUMENTS = frozenset({"application/pdf"})
TABLES = frozenset({"text/csv", "text/plain", "application/json", "application/geo+json"})


@dataclass(frozen=True, slots=True)
class IntakeRules:
    """What one place takes. `kinds` are those a file may have *after* intake: see PICTURES.

    Pictures come out as JPEG, or as PNG where they are drawings or have transparent parts; the
    longer side is at most `longest_side`.
    """

    kinds: frozenset[str] = PICTURES
    limit_bytes: int = 10 * 1024 * 1024
    limit_megapixels: int = 50
    longest_side: int = 4096
    scanner: Scanner = field(default_factory=NoScanner)


@dataclass(frozen=True, slots=True)
class TakenFile:
    """A file as it may be kept: `content_id` is made from `content`, so equal files are one.

    `name` is safe to show and to save under and ends as its kind does; it may still hold what
    its sender wrote, which can be personal.
    """

    content_id: str
    name: str
    media_type: str
    content: bytes
    scan: Scan
    width: int | None = None
    height: int | None = None


async def take_file(stream: AsyncIterable[bytes], *, name: str, rules: IntakeRules) -> TakenFile:
    """Take one file from its bytes as they arrive; raises one of the errors above and keeps nothing.

    Reading stops at the limit. The file is scanned as it was sent, before anything decodes it.
    """
    shown = safe_name(name)
    content = await _received(stream, shown, rules.limit_bytes)
    try:
        scan = await rules.scanner.scan(content)
    except (OSError, TimeoutError) as trouble:
        raise ScannerUnavailable(name=shown) from trouble
    if scan.verdict is Verdict.INFECTED:
        raise FileInfected(name=shown, signature=scan.signature)
    async with _decoding():
        checked = await asyncio.to_thread(_checked, content, shown, rules)
    return TakenFile(
        content_id=content_id(checked.content),
        name=PurePosixPath(shown).stem + _ENDINGS[checked.media_type],
        media_type=checked.media_type,
        content=checked.content,
        scan=scan,
        width=checked.width,
        height=checked.height,
    )


def content_id(content: bytes) -> str:
    """The id of content: `sha256-` and 64 hexadecimal digits."""
    return f"sha256-{hashlib.sha256(content).hexdigest()}"


_LONGEST_NAME = 120
_RESERVED = re.compile(r"(?i)(con|prn|aux|nul|com\d|lpt\d)(\..*)?")


def safe_name(name: str) -> str:
    """A file name without folders, control or direction marks, that any system can save under."""
    last = re.split(r"[/\\]", unicodedata.normalize("NFC", name))[-1]
    kept = "".join(
        " " if unicodedata.category(sign)[0] == "Z" else sign
        for sign in last
        # C: control, format (direction marks), surrogate, private, unassigned.
        if unicodedata.category(sign)[0] != "C" and sign not in '<>:"|?*'
    )
    kept = re.sub(r" +", " ", kept).strip(" .")
    stem, dot, ending = kept.rpartition(".")
    if not dot:
        stem, ending = kept, ""
    stem = stem[: _LONGEST_NAME - len(ending[:10]) - 1].strip(" .")
    kept = f"{stem}.{ending[:10]}" if ending else stem
    if not stem or _RESERVED.fullmatch(kept):
        kept = f"file-{kept.lstrip('.')}" if kept else "file"
    return kept


async def _received(stream: AsyncIterable[bytes], name: str, limit_bytes: int) -> bytes:
    received = bytearray()
    async for chunk in stream:
        received += chunk
        if len(received) > limit_bytes:
            raise FileTooLarge(name=name, limit_bytes=limit_bytes)
    if not received:
        raise FileEmpty(name=name)
    return bytes(received)


# A large picture takes hundreds of megabytes while it is decoded: two at a time, not twenty.
_DECODERS = 2
_decoders: dict[asyncio.AbstractEventLoop, asyncio.Semaphore] = {}


def _decoding() -> asyncio.Semaphore:
    loop = asyncio.get_running_loop()
    if loop not in _decoders:
        for closed in [one for one in _decoders if one.is_closed()]:
            del _decoders[closed]
        _decoders[loop] = asyncio.Semaphore(_DECODERS)
    return _decoders[loop]


@dataclass(frozen=True, slots=True)
class _Checked:
    media_type: str
    content: bytes
    width: int | None = None
    height: int | None = None


_PICTURE_SIGNS: tuple[tuple[re.Pattern[bytes], str], ...] = (
    (re.compile(rb"\xff\xd8\xff"), "JPEG"),
    (re.compile(rb"\x89PNG\r\n\x1a\n"), "PNG"),
    (re.compile(rb"GIF8[79]a"), "GIF"),
    (re.compile(rb"RIFF....WEBP", re.DOTALL), "WEBP"),
    (re.compile(rb"....ftypavi[fs]", re.DOTALL), "AVIF"),
)
_ARCHIVE_ENDINGS = frozenset(
    {
        *(".zip", ".jar", ".apk", ".docx", ".xlsx", ".pptx", ".odt", ".ods", ".odp", ".epub", ".cbz"),
        *(".gz", ".tgz", ".bz2", ".xz", ".zst", ".lz", ".lz4", ".br", ".z"),
        *(".7z", ".rar", ".tar", ".cab", ".iso", ".dmg", ".ar", ".deb", ".rpm", ".arj", ".lzh", ".cpio"),
    }
)
_ACTIVE_TEXT = frozenset(
    {"text/html", "image/svg+xml", "application/xml", "text/xml", "application/xhtml+xml", "application/rtf"}
)


def _checked(content: bytes, name: str, rules: IntakeRules) -> _Checked:
    """The file by its content, checked, made anew if it is a picture."""
    for sign, decoder in _PICTURE_SIGNS:
        if sign.match(content):
            if not rules.kinds & PICTURES:
                raise FileKindRefused(name=name, kind=decoder)
            return _picture(content, decoder, name, rules)
    if content.startswith(b"%PDF-"):
        return _pdf(content, name, rules)
    return _text(content, name, rules)


def _known(content: bytes) -> list[puremagic.PureMagicWithConfidence]:
    """What the beginning of the file looks like, the surest first."""
    try:
        return puremagic.magic_string(content[: 64 * 1024])
    except (puremagic.PureError, ValueError):
        return []


def _refusal(content: bytes, name: str) -> Invalid:
    """Why a file that is neither a picture, a PDF nor text is refused, by what it is known as."""
    known = _known(content)
    if any(one.extension.lower() in _ARCHIVE_ENDINGS for one in known):
        return ArchiveRefused(name=name)
    return FileKindRefused(name=name, kind=known[0].name) if known else FileKindUnknown(name=name)


# --- Pictures ---

_UNREADABLE = (OSError, ValueError, SyntaxError, EOFError, struct.error, IndexError, KeyError)


def _picture(content: bytes, decoder: str, name: str, rules: IntakeRules) -> _Checked:
    try:
        # Before it is opened: the decoder of WebP takes memory for the whole picture at once.
        _check_size(_webp_size(content) if decoder == "WEBP" else (0, 0), name, rules)
        with Image.open(io.BytesIO(content), formats=[decoder]) as opened:
            _check_size(opened.size, name, rules)
            return _made_anew(opened, rules)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise PictureTooLarge(name=name, most=rules.limit_megapixels) from None
    except _UNREADABLE as trouble:
        raise FileBroken(name=name, kind=decoder) from trouble


def _check_size(size: tuple[int, int], name: str, rules: IntakeRules) -> None:
    megapixels = size[0] * size[1] / 1_000_000
    if megapixels > rules.limit_megapixels:
        raise PictureTooLarge(name=name, megapixels=round(megapixels), most=rules.limit_megapixels)


def _webp_size(content: bytes) -> tuple[int, int]:
    """Width and height as the first chunk says (RFC 9649, 2.5–2.7)."""
    kind = content[12:16]
    if kind == b"VP8X":
        return 1 + int.from_bytes(content[24:27], "little"), 1 + int.from_bytes(content[27:30], "little")
    if kind == b"VP8 ":
        width, height = struct.unpack("<HH", content[26:30])
        return width & 0x3FFF, height & 0x3FFF
    if kind == b"VP8L":
        bits = int.from_bytes(content[21:25], "little")
        return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    raise ValueError("no such chunk")


def _upright(opened: Image.Image) -> Image.Image:
    """The picture turned as its camera was held; as it is where that cannot be read."""
    opened.load()
    try:
        return ImageOps.exif_transpose(opened)
    except (*_UNREADABLE, TypeError, ZeroDivisionError):
        return opened


def _made_anew(opened: Image.Image, rules: IntakeRules) -> _Checked:
    """The first picture of the file, upright, within bounds, as new pixels without anything beside them."""
    bounds = (rules.longest_side, rules.longest_side)
    opened.draft("RGB", bounds)  # a JPEG much larger than that is decoded at a fraction of its size
    upright = _upright(opened)
    if upright.mode.startswith(("I", "F")):  # 16 and 32 bits of grey
        upright = upright.convert("I").point(lambda grey: grey * (1 / 256)).convert("L")
    drawn = opened.format in {"PNG", "GIF"}
    alpha = "A" in upright.getbands() or "transparency" in upright.info
    pixels = upright.convert("RGBA" if alpha else "RGB")
    transparent = alpha and pixels.getchannel("A").getextrema() != (255, 255)
    if not transparent:
        pixels = pixels.convert("RGB")
    pixels.thumbnail(bounds, Image.Resampling.LANCZOS)
    clean = Image.new(pixels.mode, pixels.size)
    clean.paste(pixels)
    written = io.BytesIO()
    as_png = (drawn or transparent) and "image/png" in rules.kinds
    if as_png:
        clean.save(written, "PNG", optimize=False)
    else:
        if transparent:
            ground = Image.new("RGB", clean.size, "white")
            ground.paste(clean, mask=clean.getchannel("A"))
            clean = ground
        clean.save(written, "JPEG", quality=85, optimize=True, progressive=True)
    media_type = "image/png" if as_png else "image/jpeg"
    return _Checked(media_type, written.getvalue(), clean.width, clean.height)


# --- PDF ---

_PDF_END = re.compile(rb"%%EOF[\s\0]*\Z")
_PDF_ACTIVE = re.compile(rb"/(JavaScript|JS|Launch|EmbeddedFiles?|RichMedia|XFA|SubmitForm|ImportData)\b")
_ZIP_END = b"PK\x05\x06"


def _pdf(content: bytes, name: str, rules: IntakeRules) -> _Checked:
    if "application/pdf" not in rules.kinds:
        raise FileKindRefused(name=name, kind="PDF")
    if not re.match(rb"%PDF-[12]\.\d", content) or b"startxref" not in content[-2048:]:
        raise FileBroken(name=name, kind="PDF")
    if not _PDF_END.search(content[-2048:]) or _ZIP_END in content[-65_600:]:
        raise DocumentHasMoreBehind(name=name)
    plain = re.sub(rb"#([0-9A-Fa-f]{2})", lambda code: bytes([int(code[1], 16)]), content)
    active = _PDF_ACTIVE.search(plain)
    if active is not None:
        raise DocumentActive(name=name, what=active[1].decode())
    return _Checked("application/pdf", content)


# --- Text ---

_NOT_TEXT = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_MARKUP = re.compile(
    r"\s*(<(!doctype|!--|\?xml|\?php|html|head|body|script|svg|iframe|math|x:)|%!PS|#!|\{\\rtf|BEGIN:VCARD|MIME-)",
    re.IGNORECASE,
)
_MOST_COLUMNS = 1_000
_LONGEST_CELL = 32_768


def _text(content: bytes, name: str, rules: IntakeRules) -> _Checked:
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise _refusal(content, name) from None
    if _NOT_TEXT.search(text):
        raise _refusal(content, name)
    if _MARKUP.match(text) or any(one.mime_type in _ACTIVE_TEXT for one in _known(content)):
        raise FileKindRefused(name=name, kind="HTML, XML, …")
    ending = PurePosixPath(name).suffix.lower()
    kind = {kept: kind for kind, kept in _ENDINGS.items()}.get(ending, "text/plain")
    if kind not in rules.kinds or kind not in TABLES:
        raise FileKindRefused(name=name, kind="TXT, CSV, JSON")
    if kind == "text/csv":
        _check_csv(text, name)
    elif kind != "text/plain":
        try:
            orjson.loads(text)
        except orjson.JSONDecodeError as trouble:
            raise FileBroken(name=name, kind="JSON") from trouble
    return _Checked(kind, text.encode())


def _check_csv(text: str, name: str) -> None:
    """Rows of one width, by whichever separator the heading uses; quotes closed."""
    heading = text.partition("\n")[0]
    separator = max(",;\t", key=heading.count)
    width: int | None = None
    try:
        for number, row in enumerate(
            csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True), 1
        ):
            if width is None:
                width = len(row)
            if row and len(row) != width:
                raise TableRowUneven(name=name, row=number, found=len(row), expected=width)
            if len(row) > _MOST_COLUMNS or any(len(cell) > _LONGEST_CELL for cell in row):
                raise TableRowTooLarge(name=name, row=number)
    except csv.Error as trouble:
        raise FileBroken(name=name, kind="CSV") from trouble
