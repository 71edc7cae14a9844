"""Feeds of sheets in administration: folders and addresses that are looked at, and what each brought."""

from collections.abc import Mapping
from functools import partial
from http import HTTPStatus
from typing import Any
from uuid import UUID

from haidang.infra.database import reading, transaction
from haidang.kernel.actors import Actor
from haidang.kernel.errors import HaidangError, Invalid
from haidang.sources.sheets import feeds
from haidang.sources.sheets.errors import SheetFeedRhythmUnusable, SheetFeedUnknown, SheetMappingUnknown
from haidang.sources.sheets.model import FeedOutcome, FeedReason
from haidang.web.shared.acts import Change, RoomAct
from haidang.web.shared.answers import Answer
from haidang.web.shared.desks import officer_of
from haidang.web.shared.frame import locale_of
from haidang.web.shared.house import House, Scope
from haidang.web.shared.rooms import RoomPage

FEEDS_PATH = "/admin/sheets/feeds"
SHOWN_FILES = 10

_PROPOSED = {"name": "", "place": "", "mapping": "", "every": "60", "most": "5"}

PAGE_TITLES = {"feeds": "Sheets that come by themselves"}

OUTCOME_LABELS = {
    FeedOutcome.TAKEN: "taken as a batch",
    FeedOutcome.WAITS: "waits for a person",
    FeedOutcome.REFUSED: "cannot be read",
    FeedOutcome.KNOWN: "known already",
}


def feed_pages(house: House) -> list[RoomPage]:
    """The page of all feeds, reached from the page of sheets."""
    pages = _FeedPages(house)
    return [RoomPage(FEEDS_PATH, PAGE_TITLES["feeds"], "admin/sheet_feeds.html", pages.every, in_menu=False)]


def feed_acts(house: House) -> list[RoomAct]:
    """Adding a feed, letting it rest, beginning again, looking at once."""
    acts = _FeedActs(house)
    return [
        RoomAct(FEEDS_PATH, acts.add),
        RoomAct(FEEDS_PATH + "/{feed_id:str}/pause", partial(acts.pause, paused=True)),
        RoomAct(FEEDS_PATH + "/{feed_id:str}/resume", partial(acts.pause, paused=False)),
        RoomAct(FEEDS_PATH + "/{feed_id:str}/look", acts.look),
    ]


class _FeedPages:
    """What the page shows."""

    def __init__(self, house: House) -> None:
        self._house = house

    async def every(self, scope: Scope) -> Mapping[str, Any]:
        """All feeds, with the newest files of each."""
        return await self.shown(officer_of(scope).actor, locale_of(str(scope["path"])))

    async def shown(self, actor: Actor, locale: str) -> dict[str, Any]:
        """What the page needs."""
        async with reading(self._house.pool) as connection:
            every = await feeds.list_feeds(actor, connection)
            files = {
                one.feed_id: await feeds.feed_files(actor, connection, one.feed_id, most=SHOWN_FILES)
                for one in every
            }
            mappings = await feeds.agreed_mappings(actor, connection)
        return {
            "feeds": every,
            "files": files,
            "mappings": mappings,
            "mapping_names": {one.mapping_id: one.name for one in mappings},
            "folder": self._house.settings.sheet_folder,
            "outcomes": OUTCOME_LABELS,
            "late": {one.feed_id for one in every if one.late(self._house.clock.now())},
            "why": partial(self._why, locale),
            "path": FEEDS_PATH,
            "typed": _PROPOSED,
            "refused": "",
        }

    def _why(self, locale: str, reason: FeedReason) -> str:
        """The sentence of a reason in the language of the page."""
        template = self._house.translations.gettext(locale, reason.message)
        return HaidangError(**reason.fields).sentence(template)


class _FeedActs:
    """What is done."""

    def __init__(self, house: House) -> None:
        self._house = house
        self._pages = _FeedPages(house)

    async def add(self, change: Change) -> str | Answer:
        """Look at a folder or an address from now on."""
        settings, fields = self._house.settings, change.fields
        rules = feeds.FeedRules(settings.sheet_folder, settings.sheet_limit_bytes)
        try:
            async with transaction(self._house.pool) as connection:
                await feeds.add_feed(
                    change.officer.actor,
                    connection,
                    rules,
                    name=fields.get("name", ""),
                    place=fields.get("place", ""),
                    mapping_id=_mapping_of(fields),
                    every_minutes=_number_in(fields, "every"),
                    most_refused_percent=_number_in(fields, "most"),
                    by=change.officer.by,
                    now=self._house.clock.now(),
                )
        except Invalid as wrong:
            said = self._house.translations.translate_error(wrong, change.locale)
            context = await self._pages.shown(change.officer.actor, change.locale)
            title = self._house.translations.gettext(change.locale, PAGE_TITLES["feeds"])
            return await change.page(
                "admin/sheet_feeds.html",
                title=title,
                status=HTTPStatus.UNPROCESSABLE_ENTITY,
                **{**context, "refused": said, "typed": {**_PROPOSED, **fields}},
            )
        return FEEDS_PATH

    async def pause(self, change: Change, *, paused: bool) -> str | Answer:
        """Let a feed rest, or begin again."""
        async with transaction(self._house.pool) as connection:
            await feeds.pause_feed(
                change.officer.actor,
                connection,
                _feed_of(change),
                paused=paused,
                by=change.officer.by,
                now=self._house.clock.now(),
            )
        return FEEDS_PATH

    async def look(self, change: Change) -> str | Answer:
        """Look at a feed at once."""
        async with transaction(self._house.pool) as connection:
            await feeds.look_now(change.officer.actor, connection, _feed_of(change))
        return FEEDS_PATH


def _feed_of(change: Change) -> UUID:
    try:
        return UUID(str(change.parameters["feed_id"]))
    except ValueError:
        raise SheetFeedUnknown from None


def _mapping_of(fields: Mapping[str, str]) -> UUID:
    try:
        return UUID(fields.get("mapping", ""))
    except ValueError:
        raise SheetMappingUnknown from None


def _number_in(fields: Mapping[str, str], name: str) -> int:
    text = fields.get(name, "").strip()
    if not (text.isascii() and text.isdigit() and len(text) < 7):
        raise SheetFeedRhythmUnusable
    return int(text)
