"""The quarantine: what was refused, from where, why, how often; tried by today's decoder and replayed.

Complete without a script. Who is not at this machine finds nothing here: payloads are whatever a device
sent, and replays bear names. See ADR 0067.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from litestar import Request, get
from litestar.handlers import HTTPRouteHandler
from litestar.types import ASGIApp

from haidang.infra.database import Connection, reading, transaction
from haidang.infra.settings import is_loopback
from haidang.kernel.actors import Audience
from haidang.kernel.instants import Instant
from haidang.sources.errors import QuarantinedMessageUnknown, ReplayUnknown
from haidang.sources.model import (
    REASON_TITLES,
    AdmittedValue,
    DeclaredSource,
    QuarantinedMessage,
    QuarantineTally,
    Reason,
    Trial,
    declared_sources,
)
from haidang.sources.replaying import begin_replay, count_waiting, newest_replays, replay, replay_one
from haidang.sources.service import (
    NO_SOURCE,
    list_quarantine,
    list_quarantine_tallies,
    quarantined_message,
    try_quarantined,
)
from haidang.web.admin.payloads import json_line, one_line, shown_payload, visible
from haidang.web.shared.acts import Change, RoomAct
from haidang.web.shared.answers import Whole
from haidang.web.shared.desks import Officer, officer_of
from haidang.web.shared.errors import PageNotFound
from haidang.web.shared.forms import read_form
from haidang.web.shared.frame import locale_of
from haidang.web.shared.house import House, Scope
from haidang.web.shared.rooms import RoomPage
from haidang.web.shared.routes import sent

QUARANTINE_PATH = "/admin/quarantine"
REPLAYS_PATH = QUARANTINE_PATH + "/replays"
A_PAGE = 25
DAYS_SHOWN = 30

PAGE_TITLES = {"list": "Quarantine", "one": "A message in quarantine", "replay": "Judging messages again"}

SHOWN_REASON_TITLES = {
    **REASON_TITLES,
    "not-json": "The message is no JSON that can be read",
    "shape-unknown": "The message has another form than agreed",
    "no-values": "The message holds no value",
    "not-a-number": "A value is no number",
    "unit-unreadable": "The unit cannot be read",
    "quality-unknown": "The quality is a word that nobody declared",
    "urn-malformed": "The id of the thing is not a URN",
    "text-unstorable": "A text holds signs that cannot be stored",
}
"""What people read for each reason: message ids. Beside ours those that decoders commonly give."""

REMEDY_MESSAGES = {
    Reason.PAYLOAD_TOO_LARGE: "Have the device send less at a time: no reading needs a megabyte.",
    Reason.DECODER_FAILED: "The decoder of the pack has a bug. Mend the pack, then judge the message again.",
    Reason.NOTHING_READ: "Compare the message with the device's manual: the decoder found nothing it knows.",
    Reason.NO_SOURCE: "Declare a source for this topic in a pack, or correct the topic in the device.",
    Reason.ENTITY_TYPE_UNKNOWN: "Correct the type in the pack's decoder, or send it to another source.",
    Reason.ENTITY_ID_MALFORMED: "Give the device an id of the form urn:ngsi-ld:Type:name.",
    Reason.OBSERVED_IN_FUTURE: "Set the device's clock. The message is good once its moment has passed.",
    Reason.OBSERVED_TOO_LONG_AGO: "Set the device's clock: it was probably never set.",
    Reason.ATTRIBUTE_UNKNOWN: "Correct the name in the device, or declare the attribute in the pack.",
    Reason.ATTRIBUTE_DERIVED: "Switch this value off in the device: the platform computes it itself.",
    Reason.VALUE_OF_WRONG_KIND: "Have the device send the value as it is declared: a number as a number.",
    Reason.UNIT_UNKNOWN: "Correct the unit in the device: a UN/CEFACT code such as GQ for µg/m³.",
    Reason.UNIT_MISSING: "Have the device say the unit with the value.",
    Reason.UNIT_DIFFERS: "The device measures something else under this name: compare it with the manual.",
    Reason.NOT_STORABLE: "This is ours to mend: the log has the error. Then judge the message again.",
}
"""What mends each reason: message ids."""

OTHER_REMEDY_MESSAGES = ("The decoder of this source gave this reason itself: the detail says what it met.",)

DONE_MESSAGES = {
    "settled": "Judged again: the reason is gone, and what the message says has entered.",
    "refused": "Judged again: it is still refused.",
}

_MOST_SHOWN = 80
_HEAD_BYTES = 400
_HEAD_LETTERS = 120
_MOST_IN_FILE, _MOST_BYTES_IN_FILE, _IN_LOT = 500, 20_000_000, 25
_JSON_LINES = b"application/jsonl; charset=utf-8"


@dataclass(frozen=True, slots=True)
class Asked:
    """Which messages are wanted: of a source, for a reason, also those that are settled."""

    source_id: str | None
    reason: str | None
    settled: bool

    @property
    def filters(self) -> dict[str, str]:
        """As they stand in an address."""
        given = {"source": self.source_id, "reason": self.reason, "all": "1" if self.settled else None}
        return {name: value for name, value in given.items() if value}

    def path(self, under: str = QUARANTINE_PATH, **more: str) -> str:
        """The address of what is wanted."""
        query = urlencode({**self.filters, **more})
        return f"{under}?{query}" if query else under


@dataclass(frozen=True, slots=True)
class Refused:
    """How often a source met a reason: in the last seven days and in all that are shown, and when last."""

    source_id: str
    reason: str
    week: int
    month: int
    last: date


@dataclass(frozen=True, slots=True)
class Column:
    """A day of the chart: how often, and how high its column is, in hundredths."""

    day: date
    times: int
    height: float


def quarantine_pages(house: House) -> list[RoomPage]:
    """The list, one message, and how far a replay has come."""
    pages = _QuarantinePages(house)
    return [
        RoomPage(QUARANTINE_PATH, PAGE_TITLES["list"], "admin/quarantine.html", pages.list),
        RoomPage(
            REPLAYS_PATH + "/{replay_id:str}",
            PAGE_TITLES["replay"],
            "admin/quarantine_replay.html",
            pages.replay,
            in_menu=False,
        ),
        RoomPage(
            QUARANTINE_PATH + "/{quarantine_id:str}",
            PAGE_TITLES["one"],
            "admin/quarantine_one.html",
            pages.one,
            in_menu=False,
        ),
    ]


def quarantine_acts(house: House) -> list[RoomAct]:
    """Judge again: one message, or all that a filter chose."""
    acts = _QuarantineActs(house)
    return [
        RoomAct(QUARANTINE_PATH + "/replay", acts.replay_all),
        RoomAct(QUARANTINE_PATH + "/{quarantine_id:str}/replay", acts.replay_one),
    ]


def quarantine_file_routes(house: House) -> list[HTTPRouteHandler]:
    """The file for who made the device; none where others than this machine are listened to."""
    if not is_loopback(house.settings.host):
        return []

    async def download(request: Request[Any, Any, Any]) -> ASGIApp:
        scope: Scope = request.scope  # type: ignore[assignment]  # a TypedDict of the same
        return sent((await _file(house, scope)).answer(scope["headers"]))

    path = QUARANTINE_PATH + "/download"
    return [get(path, opt={"audience": Audience.PUBLIC}, name="room.admin.quarantine.download")(download)]


class _QuarantinePages:
    """What the pages show."""

    def __init__(self, house: House) -> None:
        self._house = house
        self._declared = declared_sources(house.packs)
        self._labels = {one.source_id: one.source.label for one in self._declared}

    async def list(self, scope: Scope) -> Mapping[str, Any]:
        """How often, why, and the messages that were kept, newest first."""
        officer, now = _officer(scope), self._house.clock.now()
        query = read_form(bytes(scope.get("query_string") or b""))
        asked = asked_of(query)
        today = now.date()  # tallies are by the day in UTC
        async with reading(self._house.pool) as connection:
            after = await _place(officer, connection, query.get("after", ""))
            kept = await list_quarantine(
                officer.actor,
                connection,
                source_id=asked.source_id,
                reason=asked.reason,
                settled=asked.settled,
                before=after,
                payload_most=_HEAD_BYTES,
                most=A_PAGE + 1,
            )
            since = now - timedelta(days=DAYS_SHOWN - 1)
            tallies = await list_quarantine_tallies(officer.actor, connection, since=since)
            waiting = await count_waiting(
                officer.actor, connection, source_id=asked.source_id, reason=asked.reason
            )
            replays = await newest_replays(officer.actor, connection, most=5)
        shown = kept[:A_PAGE]
        chosen = [
            one
            for one in tallies
            if asked.source_id in (None, one.source_id) and asked.reason in (None, one.reason)
        ]
        return {
            "asked": asked,
            "messages": [(one, visible(one.topic), one_line(one.payload, _HEAD_LETTERS)) for one in shown],
            "refused": refused_of(chosen, today),
            "columns": columns_of(chosen, today),
            "most_a_day": max((one.times for one in columns_of(chosen, today)), default=0),
            "waiting": waiting,
            "replays": replays,
            "source_ids": sorted(
                {*self._labels, *(one.source_id for one in tallies), *_given(asked.source_id)}
            ),
            "reasons": sorted({*(one.reason for one in tallies), *_given(asked.reason)}),
            "next_page": asked.path(after=str(shown[-1].quarantine_id)) if len(kept) > A_PAGE else "",
            "first_page": asked.path() if after is not None else "",
            "download": asked.path(QUARANTINE_PATH + "/download"),
            **self._words(),
        }

    async def one(self, scope: Scope) -> Mapping[str, Any]:
        """One message, what today's decoder makes of it, and who judged it again."""
        officer, now, locale = _officer(scope), self._house.clock.now(), locale_of(str(scope["path"]))
        quarantine_id = message_id_of(scope["path_params"]["quarantine_id"])
        query = read_form(bytes(scope.get("query_string") or b""))
        async with reading(self._house.pool) as connection:
            kept = await quarantined_message(officer.actor, connection, quarantine_id)
            trial = await try_quarantined(officer.actor, connection, self._declared, quarantine_id, now=now)
            replays = await newest_replays(officer.actor, connection, quarantine_id=quarantine_id)
        say = self._house.translations.gettext
        note = DONE_MESSAGES.get(query.get("done", ""))
        reason = SHOWN_REASON_TITLES.get(kept.reason)
        return {
            "title": say(locale, reason) if reason else kept.reason,
            "kept": kept,
            "topic": visible(kept.topic),
            "payload": shown_payload(kept.payload),
            "trial": trial,
            "values": values_of(trial),
            "entities": sorted({one.entity_id for one in trial.verdict.admitted}) if trial.verdict else [],
            "replays": replays,
            "note": say(locale, note) if note else "",
            **self._words(),
        }

    async def replay(self, scope: Scope) -> Mapping[str, Any]:
        """How far a replay has come."""
        officer = _officer(scope)
        text = str(scope["path_params"]["replay_id"])
        async with reading(self._house.pool) as connection:
            found = await replay(officer.actor, connection, _uuid(text, ReplayUnknown(replay_id=text[:40])))
        left = Asked(found.source_id, found.reason, settled=False)
        return {"replay": found, "back": left.path(), **self._words()}

    def _words(self) -> dict[str, Any]:
        return {
            "source_labels": self._labels,
            "reason_titles": SHOWN_REASON_TITLES,
            "remedies": REMEDY_MESSAGES,
            "other_remedy": OTHER_REMEDY_MESSAGES[0],
            "no_source": NO_SOURCE,
        }


class _QuarantineActs:
    """What is done here, each under a name."""

    def __init__(self, house: House) -> None:
        self._house = house
        self._declared = declared_sources(house.packs)

    async def replay_one(self, change: Change) -> str:
        """Judge one message again, now."""
        quarantine_id = message_id_of(change.parameters["quarantine_id"])
        async with transaction(self._house.pool) as connection:
            done = await replay_one(
                change.officer.actor,
                connection,
                self._declared,
                quarantine_id,
                by=change.officer.by,
                now=self._house.clock.now(),
            )
        return f"{QUARANTINE_PATH}/{quarantine_id}?done={'settled' if done.settled else 'refused'}"

    async def replay_all(self, change: Change) -> str:
        """Have all that wait judged again, and go to where one sees how far it is."""
        asked = asked_of(change.fields)
        async with transaction(self._house.pool) as connection:
            begun = await begin_replay(
                change.officer.actor,
                connection,
                source_id=asked.source_id,
                reason=asked.reason,
                by=change.officer.by,
                now=self._house.clock.now(),
            )
        return f"{REPLAYS_PATH}/{begun.replay_id}"


def asked_of(query: Mapping[str, str]) -> Asked:
    """What an address or a form asks for."""
    return Asked(
        query.get("source", "")[:200] or None, query.get("reason", "")[:200] or None, bool(query.get("all"))
    )


def message_id_of(text: object) -> UUID:
    """The id of a message in an address; raises QuarantinedMessageUnknown."""
    return _uuid(str(text), QuarantinedMessageUnknown(quarantine_id=str(text)[:40]))


def refused_of(tallies: Sequence[QuarantineTally], today: date) -> list[Refused]:
    """Sources and reasons, the most frequent of the last seven days first."""
    found: dict[tuple[str, str], Refused] = {}
    for one in tallies:
        key = (one.source_id, one.reason)
        known = found.get(key, Refused(*key, 0, 0, one.day))
        this_week = one.times if one.day > today - timedelta(days=7) else 0
        found[key] = Refused(*key, known.week + this_week, known.month + one.times, max(known.last, one.day))
    return sorted(found.values(), key=lambda one: (-one.week, -one.month, one.source_id, one.reason))


def columns_of(tallies: Sequence[QuarantineTally], today: date) -> list[Column]:
    """Each day of the last thirty with how often something was refused; a day without is a day with none."""
    days = [today - timedelta(days=back) for back in reversed(range(DAYS_SHOWN))]
    times = dict.fromkeys(days, 0)
    for one in tallies:
        if one.day in times:
            times[one.day] += one.times
    most = max(times.values()) or 1
    return [Column(day, number, 100 * number / most) for day, number in times.items()]


def values_of(trial: Trial) -> list[tuple[str, Instant, AdmittedValue, str]]:
    """What would enter: the entity, the moment, the value, and its text when it is no number."""
    if trial.verdict is None:
        return []
    return [
        (reading.entity_id, reading.observed_at, value, _text(value.value))
        for reading in trial.verdict.admitted
        for value in reading.values
    ]


def decoder_now(declared: Sequence[DeclaredSource], source_id: str) -> str:
    """The version of the decoder that reads a source today; empty where there is none."""
    return next((one.decoder_version for one in declared if one.source_id == source_id), "")


async def _file(house: House, scope: Scope) -> Whole:
    """The newest messages of a filter as JSON lines, so many and so large at most."""
    officer = _officer(scope)
    asked = asked_of(read_form(bytes(scope.get("query_string") or b"")))
    declared = declared_sources(house.packs)
    lines: list[bytes] = []
    size = 0
    async with reading(house.pool) as connection:
        after: tuple[Instant, UUID] | None = None
        while len(lines) < _MOST_IN_FILE and size < _MOST_BYTES_IN_FILE:
            lot = await list_quarantine(
                officer.actor,
                connection,
                source_id=asked.source_id,
                reason=asked.reason,
                settled=asked.settled,
                before=after,
                most=_IN_LOT,
            )
            for one in lot:
                lines.append(json_line(one, decoder_now(declared, one.source_id)))
                size += len(lines[-1])
            if len(lot) < _IN_LOT:
                break
            after = (lot[-1].last_received_at, lot[-1].quarantine_id)
    name = f"quarantine-{house.clock.now():%Y%m%d-%H%M}.jsonl"
    headers = ((b"content-disposition", f'attachment; filename="{name}"'.encode()),)
    return Whole(b"".join(lines), _JSON_LINES, cache_control=b"no-store", headers=headers)


async def _place(officer: Officer, connection: Connection, text: str) -> tuple[Instant, UUID] | None:
    """Where a page of the list begins; the first one for a message that is gone."""
    try:
        kept: QuarantinedMessage = await quarantined_message(officer.actor, connection, message_id_of(text))
    except QuarantinedMessageUnknown:
        return None
    return kept.last_received_at, kept.quarantine_id


def _officer(scope: Scope) -> Officer:
    officer = officer_of(scope)
    if not officer.here:
        raise PageNotFound
    return officer


def _uuid(text: str, unknown: Exception) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise unknown from None


def _given(value: str | None) -> tuple[str, ...]:
    return () if value is None else (value,)


def _text(value: Any) -> str:
    """A value that is no number, on one line of a table."""
    if value is None or (isinstance(value, int | float) and not isinstance(value, bool)):
        return ""
    text = str(value)
    return text if len(text) <= _MOST_SHOWN else text[:_MOST_SHOWN] + "…"
