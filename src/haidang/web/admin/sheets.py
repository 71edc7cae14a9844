"""Sheets in administration: send one, say what its columns are, look at what would enter, take it or undo it.

Everything up to taking is a GET with the choices in the address: looking changes nothing, and a page can
be reloaded or handed to a colleague. See ADR 0063.
"""

import csv
import io
import os
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import quote
from uuid import UUID

import msgspec
from litestar import Request, get, post
from litestar.handlers import HTTPRouteHandler
from litestar.types import ASGIApp

from haidang.infra.database import reading, transaction
from haidang.infra.intake import FileInfected, ScannerUnavailable, Verdict, open_scanner
from haidang.infra.objects import ObjectFiles, open_objects
from haidang.infra.settings import is_loopback
from haidang.infra.tables import TableChoice, TableKind, TableRow, look_into, read_rows
from haidang.infra.uploads import receive_upload
from haidang.kernel.actors import Actor, Audience
from haidang.kernel.errors import HaidangError, Invalid
from haidang.kernel.legacy_text import Confidence, Encoding, Letters
from haidang.kernel.units import UNITS
from haidang.sdk.model import EntityType
from haidang.sources.model import REASON_TITLES
from haidang.sources.sheets import service
from haidang.sources.sheets.cells import DayOrder, Decimal, read_moment, shown
from haidang.sources.sheets.errors import (
    SheetBatchNotTaken,
    SheetBatchUnknown,
    SheetFileUnknown,
    SheetTakenAlready,
    SheetWithoutHeadings,
)
from haidang.sources.sheets.judging import RowRefusal
from haidang.sources.sheets.mapping import (
    LOOKED_AT,
    Column,
    Doubt,
    Headings,
    Role,
    SheetMapping,
    faults_of,
    find_headings,
    mappable,
    suggest,
)
from haidang.sources.sheets.model import CAN_BE_UNDONE, GOING, Preview, SheetFile
from haidang.web.shared.acts import Change, RoomAct
from haidang.web.shared.answers import Answer, header_of
from haidang.web.shared.desks import Officer, check_change, name_cookie, officer_of, read_name
from haidang.web.shared.forms import read_form
from haidang.web.shared.frame import Frame, in_locale, locale_of
from haidang.web.shared.house import House, Scope
from haidang.web.shared.rooms import RoomPage, room_around
from haidang.web.shared.routes import paths_in_every_locale, sent

SHEETS_PATH = "/admin/sheets"
UPLOAD_PATH = SHEETS_PATH + "/upload"
_FILES_PATH = SHEETS_PATH + "/files"
_BATCHES_PATH = SHEETS_PATH + "/batches"

MOST_MAPPED = 45
"""Columns that the page lets one choose for: a form has so many fields. Further ones are left out."""

PAGE_TITLES = {"sheets": "Sheets", "file": "A sheet", "batch": "A batch"}

ROLE_LABELS = {
    Role.SKIP: "Leave out",
    Role.ID: "Which thing: its code or name",
    Role.MOMENT: "Day and time",
    Role.DAY: "Day",
    Role.TIME: "Time of day",
    Role.LATITUDE: "Latitude",
    Role.LONGITUDE: "Longitude",
}

STATE_LABELS = {
    "waiting": "waiting",
    "taking": "being taken",
    "taken": "taken",
    "failed": "stopped by an error",
    "undoing": "being taken back",
    "undone": "taken back",
}

TEXT_LABELS = {
    "utf-8:unicode": "Unicode (UTF-8)",
    "utf-16-le:unicode": "Unicode (UTF-16)",
    "utf-16-be:unicode": "Unicode (UTF-16, most significant byte first)",
    "windows-1258:unicode": "Windows-1258 (Vietnamese)",
    "windows-1252:tcvn3": "TCVN3 (ABC fonts, .VnTime)",
    "windows-1252:vni": "VNI Windows (VNI-Times)",
    "utf-8:tcvn3": "TCVN3 typed in Unicode",
    "utf-8:vni": "VNI typed in Unicode",
    "windows-1252:unicode": "Windows-1252 (Western)",
}

SEPARATOR_LABELS = {";": "semicolon ;", ",": "comma ,", "\t": "tab", "|": "bar |"}

ORDER_LABELS = {DayOrder.DAY_FIRST: "day/month/year", DayOrder.MONTH_FIRST: "month/day/year"}

DECIMAL_LABELS = {Decimal.COMMA: "1.234,5 (comma)", Decimal.POINT: "1,234.5 (point)"}

DOUBT_MESSAGES = {
    "decimal": "It cannot be told whether the comma or the point stands before the fraction: please check",
    "order": "It cannot be told whether the day or the month comes first: please check",
    "short-years": "Years have two digits here: say which century is meant, or those rows are refused",
    "no-id": "No column says which thing a row is about",
    "no-moment": "No column says when: choose one, or write the day and time for all rows",
    "no-attribute": "No column holds a value",
    "no-unit": "The unit of this column is not known: choose it",
    "role-twice": "Two columns are both chosen as",
    "attribute-twice": "Two columns are chosen for the same attribute",
    "attribute-unknown": "The type has no such attribute",
    "half-position": "Latitude and longitude belong together: choose both or neither",
}

REFUSAL_LABELS = {
    "error-cell": "The cell shows an error of the workbook",
    "not-a-number": "This is not a number",
    "not-a-moment": "This is not a day and time",
    "short-year": "The year has two digits: say which century is meant",
    "no-moment": "There is no day or time",
    "no-thing": "The row does not say which thing it is about",
    "thing-unknown": "There is no thing with this code or name, and new ones are not to be made",
    "same-row": "The same thing at the same time stands in an earlier row already",
    "nothing-to-take": "The row holds no value",
    "out-of-range": "The value is physically impossible",
    "half-position": "Latitude or longitude is missing",
    "position-impossible": "There is no such place on Earth",
}

CONFIDENCE_LABELS = {
    Confidence.CERTAIN: "certain",
    Confidence.LIKELY: "likely; look whether the words below are right",
    Confidence.UNSURE: "not sure; choose until the words below are right",
}


class NoNameSaid(Invalid):
    """Say your name first: what is sent is recorded under it."""


@dataclass(frozen=True, slots=True)
class Chosen:
    """A sheet as it is to be read: what was guessed, or agreed on before, or chosen on the page."""

    file: SheetFile
    choice: TableChoice
    rows: Sequence[TableRow]
    headings: Headings
    entity_type: EntityType
    mapping: SheetMapping
    doubts: Sequence[Doubt]
    known_name: str
    typed: Mapping[str, str]


def sheet_pages(house: House) -> list[RoomPage]:
    """The list of batches with the form to send a sheet, a sheet with its columns, a batch."""
    pages = _SheetPages(house)
    return [
        RoomPage(SHEETS_PATH, PAGE_TITLES["sheets"], "admin/sheets.html", pages.every),
        RoomPage(
            _FILES_PATH + "/{file_id:str}", PAGE_TITLES["file"], "admin/sheet.html", pages.file, in_menu=False
        ),
        RoomPage(
            _BATCHES_PATH + "/{batch_id:str}",
            PAGE_TITLES["batch"],
            "admin/sheet_batch.html",
            pages.batch,
            in_menu=False,
        ),
    ]


def sheet_acts(house: House) -> list[RoomAct]:
    """Taking a sheet, and taking a batch back."""
    acts = _SheetActs(house)
    return [
        RoomAct(_FILES_PATH + "/{file_id:str}/take", acts.take),
        RoomAct(_BATCHES_PATH + "/{batch_id:str}/undo", acts.undo),
    ]


def upload_limits(house: House) -> dict[str, int]:
    """The paths that take a whole sheet, for the dispatcher: with room for the form around it."""
    limit = house.settings.sheet_limit_bytes + 64 * 1024
    return dict.fromkeys(paths_in_every_locale(UPLOAD_PATH), limit)


def sheet_routes(house: House, frame: Frame, pages: Sequence[RoomPage]) -> list[HTTPRouteHandler]:
    """Where a sheet is sent to, and what did not enter as a table to download."""
    if not is_loopback(house.settings.host):
        return []
    doors = _SheetDoors(house, frame, pages)
    return [
        post(
            list(paths_in_every_locale(UPLOAD_PATH)),
            opt={"audience": Audience.PUBLIC},
            name="act.admin.sheets.upload",
            status_code=HTTPStatus.SEE_OTHER,
        )(doors.upload),
        get(
            list(paths_in_every_locale(_BATCHES_PATH + "/{batch_id:str}/refused.csv")),
            opt={"audience": Audience.PUBLIC},
            name="room.admin.sheets.refused",
        )(doors.refused),
    ]


def _uuid(text: object, missing: type[HaidangError]) -> UUID:
    try:
        return UUID(str(text))
    except ValueError:
        raise missing from None


class _Store:
    """The store of object files, opened when the first sheet comes."""

    def __init__(self, house: House) -> None:
        self._house = house
        self._objects: ObjectFiles | None = None

    def open(self) -> ObjectFiles:
        """The store."""
        if self._objects is None:
            self._objects = open_objects(self._house.settings.objects_location, os.environ)
        return self._objects


class _SheetPages:
    """What the pages show."""

    def __init__(self, house: House) -> None:
        self._house = house
        self._store = _Store(house)
        self._types = {one.name: one for pack in house.packs for one in pack.entity_types if mappable(one)}

    async def every(self, scope: Scope) -> Mapping[str, Any]:
        """The newest batches, and the form that sends a sheet."""
        async with reading(self._house.pool) as connection:
            batches = await service.list_batches(officer_of(scope).actor, connection)
        return {
            "batches": batches,
            "going": any(one.state in GOING for one in batches),
            "states": STATE_LABELS,
            "limit_megabytes": self._house.settings.sheet_limit_bytes // (1024 * 1024),
            "error": "",
        }

    async def file(self, scope: Scope) -> Mapping[str, Any]:
        """A sheet: how it is read, what its columns are, what would enter."""
        query = read_form(bytes(scope.get("query_string") or b""))
        return await self.sheet(scope, officer_of(scope).actor, query)

    async def sheet(self, scope: Scope, actor: Actor, query: Mapping[str, str]) -> dict[str, Any]:
        """What the page of a sheet shows."""
        locale = locale_of(str(scope["path"]))
        say = partial(self._house.translations.translate_error, locale=locale)
        file_id = _uuid(scope["path_params"]["file_id"], SheetFileUnknown)
        async with reading(self._house.pool) as connection:
            file = await service.sheet_file(actor, connection, file_id)
            taken = await service.batch_of_content(actor, connection, file.content_id)
        around: dict[str, Any] = {
            "file": file,
            "title": file.name,
            "taken": taken,
            "path": f"{_FILES_PATH}/{file.file_id}",
            "kinds": TableKind,
            "texts": TEXT_LABELS,
            "separators": SEPARATOR_LABELS,
            "confidence": CONFIDENCE_LABELS[file.look.confidence],
            "error": "",
            "chosen": None,
            "seen": None,
            "refused": "",
        }
        try:
            chosen = await self.chosen(actor, file, query, most_rows=service.PREVIEWED_ROWS)
            seen = await self._seen(actor, chosen)
        except Invalid as wrong:
            return {**around, "error": say(wrong), "status": HTTPStatus.UNPROCESSABLE_ENTITY}
        faults = faults_of(chosen.mapping, chosen.entity_type)
        return {
            **around,
            "chosen": chosen,
            "seen": seen,
            "faults": faults,
            "doubts": DOUBT_MESSAGES,
            "types": sorted(self._types.values(), key=lambda one: one.name),
            "attributes": mappable(chosen.entity_type),
            "roles": ROLE_LABELS,
            "orders": ORDER_LABELS,
            "decimals": DECIMAL_LABELS,
            "units": self._units(chosen.entity_type),
            "reasons": {**REASON_TITLES, **REFUSAL_LABELS},
            "text": f"{chosen.choice.encoding or Encoding.UTF_8}:{chosen.choice.letters}",
            "cell": shown,
            "samples": _samples(chosen),
            "numbers": {one.name for one in mappable(chosen.entity_type) if one.unit},
            "most_mapped": MOST_MAPPED,
        }

    def _units(self, entity_type: EntityType) -> dict[str, list[tuple[str, str]]]:
        """For each attribute with a unit, the units that measure the same: code and symbol."""
        return {
            one.name: [
                (code, unit.symbol or code)
                for code, unit in UNITS.items()
                if unit.dimension == UNITS[one.unit or ""].dimension
            ]
            for one in mappable(entity_type)
            if one.unit in UNITS
        }

    async def chosen(
        self, actor: Actor, file: SheetFile, query: Mapping[str, str], *, most_rows: int = LOOKED_AT
    ) -> Chosen:
        """How a sheet is to be read: by what the address says, else as agreed on before, else as guessed."""
        choice = _choice(file, query)
        async with self._store.open().as_file(actor, file.content_id) as path:
            every = [row async for batch in read_rows(path, choice, most_rows=most_rows) for row in batch]
        rows = every[:LOOKED_AT]
        headings = find_headings(rows)
        if headings is None:
            raise SheetWithoutHeadings
        async with reading(self._house.pool) as connection:
            known = await service.mapping_known(actor, connection, headings)
        if known is not None and "type" not in query and known.mapping.entity_type in self._types:
            entity_type = self._types[known.mapping.entity_type]
            doubts = suggest(headings, rows, entity_type, self._words(entity_type)).doubts
            mapping = known.mapping
        else:
            entity_type = self._types.get(query.get("type", "")) or self._likely(headings, rows)
            suggested = suggest(headings, rows, entity_type, self._words(entity_type))
            mapping, doubts = suggested.mapping, suggested.doubts
        if "edited" in query and query.get("type") == query.get("shown_type"):
            mapping = edited(mapping, query)
        elif "edited" in query:
            mapping = msgspec.structs.replace(mapping, create="create" in query)
        return Chosen(
            file=file,
            choice=choice,
            rows=every,
            headings=headings,
            entity_type=entity_type,
            mapping=mapping,
            doubts=doubts,
            known_name=query.get("name") or (known.name if known else Path(file.name).stem),
            typed=query,
        )

    def _words(self, entity_type: EntityType) -> dict[str, list[str]]:
        """What the attributes of a type are called, in every language."""
        say = self._house.translations.gettext
        return {one.name: [one.label, say("vi", one.label)] for one in entity_type.attributes if one.label}

    def _likely(self, headings: Headings, rows: Sequence[TableRow]) -> EntityType:
        """The type most of whose attributes the headings name."""

        def found(entity_type: EntityType) -> tuple[int, int]:
            columns = suggest(headings, rows, entity_type, self._words(entity_type)).mapping.columns
            named = sum(one.role is Role.ATTRIBUTE for one in columns)
            return named, -len(entity_type.attributes)

        return max(self._types.values(), key=found)

    async def _seen(self, actor: Actor, chosen: Chosen) -> Preview | None:
        """What would enter, by the first rows."""
        if faults_of(chosen.mapping, chosen.entity_type):
            return None
        async with reading(self._house.pool) as connection:
            things = await service.things_named(actor, connection, chosen.entity_type)
        return await service.preview(
            actor,
            chosen.rows,
            chosen.headings,
            chosen.mapping,
            chosen.entity_type,
            things,
            now=self._house.clock.now(),
        )

    async def batch(self, scope: Scope) -> Mapping[str, Any]:
        """A batch: how far it is, what did not enter, and the way to take it back."""
        return await self.one_batch(scope, officer_of(scope).actor)

    async def one_batch(self, scope: Scope, actor: Actor) -> dict[str, Any]:
        """What the page of a batch shows; raises SheetBatchUnknown."""
        batch_id = _uuid(scope["path_params"]["batch_id"], SheetBatchUnknown)
        async with reading(self._house.pool) as connection:
            batch = await service.sheet_batch(actor, connection, batch_id)
            refusals = await service.batch_refusals(actor, connection, batch_id)
        return {
            "batch": batch,
            "title": batch.file_name,
            "path": f"{_BATCHES_PATH}/{batch.batch_id}",
            "going": batch.state in GOING,
            "can_undo": batch.state in CAN_BE_UNDONE,
            "states": STATE_LABELS,
            "refusals": refusals,
            "reasons": {**REASON_TITLES, **REFUSAL_LABELS},
            "refused": "",
        }


def _choice(file: SheetFile, query: Mapping[str, str]) -> TableChoice:
    """How the bytes are read: as looking found, or as chosen."""
    look = file.look
    first = next((place for place, one in enumerate(look.sheets) if not one.hidden), 0)
    wanted = query.get("sheet", "")
    sheet = int(wanted) if wanted.isascii() and wanted.isdigit() and len(wanted) < 4 else first
    encoding, letters = look.encoding, look.letters
    text = query.get("text", "")
    if text in TEXT_LABELS:
        before, _, after = text.partition(":")
        letters = Letters(after)
        encoding = Encoding(before) if look.kind is TableKind.CSV else None
    separator = query.get("separator", look.separator)
    separator = "\t" if separator == "tab" else separator
    return TableChoice(
        sheet, letters, encoding, separator if separator in SEPARATOR_LABELS else look.separator
    )


def edited(mapping: SheetMapping, query: Mapping[str, str]) -> SheetMapping:
    """A mapping as the form of the page changes it; what the form does not say stays as it was."""
    columns = []
    for column in mapping.columns:
        said = query.get(f"c{column.place}")
        if said is None:
            columns.append(
                column if column.place < MOST_MAPPED else Column(place=column.place, title=column.title)
            )
            continue
        role, _, attribute = said.partition(".")
        changed = msgspec.structs.replace(
            column,
            role=Role(role) if role in set(Role) else Role.SKIP,
            attribute=attribute[:100],
            unit=query.get(f"u{column.place}", column.unit)[:10],
            decimal=_one_of(Decimal, query.get(f"d{column.place}"), column.decimal),
            order=_one_of(DayOrder, query.get(f"o{column.place}"), column.order),
        )
        columns.append(changed)
    at = read_moment(query.get("moment") or None, DayOrder.DAY_FIRST)
    return msgspec.structs.replace(
        mapping,
        columns=columns,
        create="create" in query,
        hidden_rows="hidden_rows" in query,
        century={"1900": 1900, "2000": 2000}.get(query.get("century", ""), 0),
        moment=at if isinstance(at, datetime) else None,
        prefix=query.get("prefix", mapping.prefix)[:200],
    )


def _one_of(kind: Any, said: str | None, otherwise: Any) -> Any:
    return kind(said) if said in set(kind) else otherwise


def _samples(chosen: Chosen) -> dict[int, list[str]]:
    """The first values below each heading."""
    body = [row for row in chosen.rows[:LOOKED_AT] if row.number > chosen.headings.last]
    found: dict[int, list[str]] = {}
    for column in chosen.mapping.columns:
        texts = [shown(row.cells[column.place]) for row in body if column.place < len(row.cells)]
        found[column.place] = [one[:40] for one in texts if one][:3]
    return found


class _SheetActs:
    """What is done."""

    def __init__(self, house: House) -> None:
        self._house = house
        self._pages = _SheetPages(house)

    async def take(self, change: Change) -> str | Answer:
        """Take a sheet as it was last looked at."""
        actor = change.officer.actor
        file_id = _uuid(change.parameters["file_id"], SheetFileUnknown)
        async with reading(self._house.pool) as connection:
            file = await service.sheet_file(actor, connection, file_id)
        try:
            chosen = await self._pages.chosen(actor, file, change.fields)
            asked = service.Asked(
                file, chosen.choice, chosen.headings, chosen.mapping, chosen.known_name[:120]
            )
            async with transaction(self._house.pool) as connection:
                batch_id = await service.ask_to_take(
                    actor,
                    connection,
                    self._house.packs,
                    asked,
                    by=change.officer.by,
                    now=self._house.clock.now(),
                    again="again" in change.fields,
                )
        except (SheetTakenAlready, Invalid) as wrong:
            status = (
                HTTPStatus.CONFLICT
                if isinstance(wrong, SheetTakenAlready)
                else HTTPStatus.UNPROCESSABLE_ENTITY
            )
            shown_again = await self._pages.sheet(change.scope, actor, change.fields)
            said = self._house.translations.translate_error(wrong, change.locale)
            context = {**shown_again, "refused": said, "status": status}
            return await change.page("admin/sheet.html", **context)
        return f"{_BATCHES_PATH}/{batch_id}"

    async def undo(self, change: Change) -> str | Answer:
        """Take a batch back; it has to be confirmed."""
        actor = change.officer.actor
        batch_id = _uuid(change.parameters["batch_id"], SheetBatchUnknown)
        wrong: HaidangError | None = None if "sure" in change.fields else UndoNotConfirmed()
        if wrong is None:
            try:
                async with transaction(self._house.pool) as connection:
                    await service.ask_to_undo(
                        actor, connection, batch_id, by=change.officer.by, now=self._house.clock.now()
                    )
            except SheetBatchNotTaken as gone:
                wrong = gone
        if wrong is None:
            return f"{_BATCHES_PATH}/{batch_id}"
        context = await self._pages.one_batch(change.scope, actor)
        status = (
            HTTPStatus.CONFLICT if isinstance(wrong, SheetBatchNotTaken) else HTTPStatus.UNPROCESSABLE_ENTITY
        )
        said = self._house.translations.translate_error(wrong, change.locale)
        return await change.page("admin/sheet_batch.html", **{**context, "refused": said, "status": status})


class UndoNotConfirmed(Invalid):
    """Say that you are sure: tick the box before taking the batch back."""


class _SheetDoors:
    """The upload, and the table of what did not enter."""

    def __init__(self, house: House, frame: Frame, pages: Sequence[RoomPage]) -> None:
        self._house = house
        self._frame = frame
        self._rooms = pages
        self._pages = _SheetPages(house)
        self._store = _Store(house)

    async def upload(self, request: Request[Any, Any, Any]) -> ASGIApp:
        """Receive a sheet, look into it, keep it, and go on to its columns."""
        scope: Scope = request.scope  # type: ignore[assignment]  # a TypedDict of the same
        check_change(self._house, scope)
        locale = locale_of(str(scope["path"]))
        folder = self._house.settings.home / "uploads"
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder) as place:
            try:
                officer, file = await self._received(request, scope, Path(place))
            except Invalid as wrong:
                return sent(await self._again(scope, wrong))
        location = in_locale(f"{_FILES_PATH}/{file.file_id}", locale)
        headers = [(b"location", quote(location).encode()), (b"cache-control", b"no-store")]
        return sent(Answer(HTTPStatus.SEE_OTHER, (*headers, name_cookie(officer.name))))

    async def _received(
        self, request: Request[Any, Any, Any], scope: Scope, place: Path
    ) -> tuple[Officer, SheetFile]:
        upload = await receive_upload(
            request.stream(),
            header_of(scope["headers"], b"content-type"),
            place,
            limit_bytes=self._house.settings.sheet_limit_bytes,
        )
        officer = officer_of(scope)
        if upload.fields.get("desk_name"):
            officer = Officer(officer.actor, read_name(upload.fields["desk_name"]))
        if not officer.name:
            raise NoNameSaid
        await self._scan(upload.path, upload.name)
        look = await look_into(upload.path)
        async with transaction(self._house.pool) as connection:
            file = await service.keep_sheet(
                officer.actor,
                connection,
                self._store.open(),
                upload.path,
                name=upload.name,
                size_bytes=upload.size_bytes,
                look=look,
                by=officer.by,
                now=self._house.clock.now(),
            )
        return officer, file

    async def _scan(self, path: Path, name: str) -> None:
        """Have the file looked at for malware, where a scanner is set."""
        if not self._house.settings.scan_command:
            return
        try:
            scan = await open_scanner(self._house.settings.scan_command).scan(path.read_bytes())  # noqa: ASYNC240 - a scanner takes it whole
        except (OSError, TimeoutError) as trouble:
            raise ScannerUnavailable(name=name) from trouble
        if scan.verdict is Verdict.INFECTED:
            raise FileInfected(name=name, signature=scan.signature)

    async def _again(self, scope: Scope, wrong: Invalid) -> Answer:
        """The form once more, with what was wrong."""
        locale = locale_of(str(scope["path"]))
        context = {
            **await self._pages.every(scope),
            "error": self._house.translations.translate_error(wrong, locale),
        }
        whole = await self._frame.page(
            scope,
            "admin/sheets.html",
            title=self._house.translations.gettext(locale, PAGE_TITLES["sheets"]),
            status=HTTPStatus.UNPROCESSABLE_ENTITY,
            **{**room_around(scope, self._rooms), **context},
        )
        return whole.answer(())

    async def refused(self, request: Request[Any, Any, Any]) -> ASGIApp:
        """What of a batch did not enter, as a table to be opened beside the sheet."""
        scope: Scope = request.scope  # type: ignore[assignment]  # a TypedDict of the same
        batch_id = _uuid(scope["path_params"]["batch_id"], SheetBatchUnknown)
        actor = officer_of(scope).actor
        async with reading(self._house.pool) as connection:
            await service.sheet_batch(actor, connection, batch_id)
            refusals = await service.batch_refusals(actor, connection, batch_id, most=10_000)
        locale = locale_of(str(scope["path"]))
        table = refused_table(refusals, partial(self._house.translations.gettext, locale))
        headers = (
            (b"content-type", b"text/csv; charset=utf-8"),
            (b"content-disposition", f'attachment; filename="{batch_id}.csv"'.encode()),
            (b"cache-control", b"no-store"),
        )
        return sent(Answer(HTTPStatus.OK, headers, table.encode("utf-8-sig")))


REFUSED_LABELS = {
    "row": "Row",
    "column": "Column",
    "shown": "What stands there",
    "reason": "Why it did not enter",
}


def refused_table(refusals: Sequence[RowRefusal], gettext: Any) -> str:
    """A csv of refusals that a spreadsheet opens and runs nothing of."""
    written = io.StringIO()
    table = csv.writer(written)
    table.writerow([gettext(label) for label in REFUSED_LABELS.values()])
    reasons = {**REASON_TITLES, **REFUSAL_LABELS}
    for one in refusals:
        reason = gettext(reasons.get(one.reason, one.reason))
        table.writerow([one.row, harmless(one.column), harmless(one.shown), reason])
    return written.getvalue()


def harmless(text: str) -> str:
    """A text that no spreadsheet takes for a formula (OWASP: CSV injection)."""
    return f"'{text}" if text.lstrip()[:1] in {"=", "+", "-", "@", "\t", "\r"} else text
