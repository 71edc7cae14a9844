"""Alarms in the operations centre: the list, one alarm, the cards beside the map, and what is done to them.

Complete without a script; where one runs (`islands/alarms.ts`) acts happen in place and the list lives.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from http import HTTPStatus
from typing import Any
from urllib.parse import urlencode

from markupsafe import Markup

from haidang.context import service as context
from haidang.context.model import Selection
from haidang.infra.database import Connection, reading, transaction
from haidang.kernel.actors import Actor
from haidang.kernel.errors import Conflict, HaidangError, Invalid, Unavailable
from haidang.kernel.geometry import Box
from haidang.kernel.instants import VIETNAM, Instant
from haidang.places.model import Level
from haidang.places.service import edition, outlines, unit_at, units_on
from haidang.rules import service
from haidang.rules.errors import AlarmAlreadyAcknowledged, AlarmUnknown
from haidang.rules.model import Alarm, AlarmAct, AlarmCounts, AlarmLine, AlarmState, RuleState
from haidang.sdk.model import EntityType, Quality, Rule, Severity
from haidang.web.ioc.alarm_chart import AlarmChart, alarm_chart
from haidang.web.ioc.alarm_listing import Asked, View, list_alarms
from haidang.web.shared.acts import Change, RoomAct, inside
from haidang.web.shared.answers import Answer
from haidang.web.shared.desks import officer_of
from haidang.web.shared.editions import KeptByEdition
from haidang.web.shared.errors import PageNotFound
from haidang.web.shared.forms import read_form
from haidang.web.shared.frame import locale_of
from haidang.web.shared.house import House, Scope
from haidang.web.shared.maps import MapMarker, Outline, map_picture
from haidang.web.shared.rooms import RoomPage
from haidang.web.shared.rule_words import SEVERITY_LABELS, RuleWords, limits_of, plainly, watched_of

ALARMS_PATH = "/ioc/alarms"
CARDS = 8

PAGE_TITLES = {"alarms": "Automatic alarms", "alarm": "An automatic alarm"}

VIEW_LABELS = {
    View.OPEN: "Open",
    View.UNACKNOWLEDGED: "Not acknowledged",
    View.SHELVED: "Put aside",
    View.CLEARED: "Over",
}

ACT_LABELS = {
    AlarmAct.RAISED: "raised",
    AlarmAct.UPDATED: "updated",
    AlarmAct.ACKNOWLEDGED: "acknowledged",
    AlarmAct.COMMENTED: "noted",
    AlarmAct.SHELVED: "put aside",
    AlarmAct.UNSHELVED: "taken back",
    AlarmAct.CLEARED: "over",
}

SHELF_LABELS = {
    "15": "for 15 minutes",
    "60": "for an hour",
    "shift": "to the end of the shift",
    "until": "until a time of day",
}

DONE_MESSAGES = {
    "acknowledged": "You have acknowledged: {alarm}.",
    "commented": "Your note is kept with: {alarm}.",
    "shelved": "Put aside: {alarm}. It comes back by itself.",
    "unshelved": "Taken back: {alarm}.",
}

SAID_MESSAGES = {
    "first": "{name} acknowledged this before you, at {time}.",
    "around": "{what} around the alarm",
    "values": "{number} values; the last one is {value}. The shaded part is the time of the alarm.",
    "limit": "limit",
    "where": "Where it is",
    "in": "{name}, in {ward}.",
}

SHIFT_STARTS = (6, 14, 22)
"""Hours at which a shift begins, in Vietnam: three a day, until shifts are kept as they are worked."""

_AROUND = timedelta(hours=6)
_LONGEST_CHART = timedelta(days=3)
_NEAR = 0.045
"""Degrees around a place on its picture: some five kilometres."""

_MOST_PICTURES = 64


class TimeOfDayUnreadable(Invalid):
    """“{text}” is not a time of day: write it as 20:45."""


@dataclass(frozen=True, slots=True)
class AlarmCards:
    """The gravest alarms for the column beside the map, and what an empty column means."""

    alarms: list[Alarm]
    counts: AlarmCounts | None
    rules_on: int | None
    more: int
    titles: Mapping[str, str] = field(default_factory=dict)
    severities: Mapping[Severity, str] = field(default_factory=lambda: SEVERITY_LABELS)

    @property
    def away(self) -> bool:
        """Whether the database could not be asked: nothing is known, which is not "nothing to do"."""
        return self.counts is None


async def alarm_cards(house: House, actor: Actor, locale: str, *, most: int = CARDS) -> AlarmCards:
    """The gravest open alarms, gravest first; when the database is away it says so instead of none."""
    now = house.clock.now()
    try:
        async with reading(house.pool) as connection:
            counts = await service.count_alarms(actor, connection, now=now)
            found = await service.alarms(actor, connection, now=now, most=most)
            on = await _rules_on(house, actor, connection)
    except Unavailable:
        return AlarmCards([], None, None, 0)
    titles = {one.alarm_id: house.translations.gettext(locale, one.label) for one in found}
    return AlarmCards(found, counts, on, max(counts.open - len(found), 0), titles)


async def _rules_on(house: House, actor: Actor, connection: Connection) -> int | None:
    """How many rules are on and can be evaluated; None for whom that is not open."""
    try:
        states = await service.rules(actor, connection, packs=house.packs)
    except HaidangError as closed:
        if closed.kind == "denied":
            return None
        raise
    return sum(one.on and not one.held for one in states)


def alarm_pages(house: House) -> list[RoomPage]:
    """The list, one alarm, and the cards alone."""
    pages = _AlarmPages(house)
    return [
        RoomPage(ALARMS_PATH, PAGE_TITLES["alarms"], "ioc/alarms.html", pages.list),
        RoomPage(
            ALARMS_PATH + "/cards", PAGE_TITLES["alarms"], "ioc/alarm_cards.html", pages.cards, in_menu=False
        ),
        RoomPage(
            ALARMS_PATH + "/{alarm_id:str}", PAGE_TITLES["alarm"], "ioc/alarm.html", pages.one, in_menu=False
        ),
    ]


def alarm_acts(house: House) -> list[RoomAct]:
    """What is done to an alarm."""
    acts = _AlarmActs(house)
    path = ALARMS_PATH + "/{alarm_id:str}/"
    return [
        RoomAct(path + "acknowledge", acts.acknowledge),
        RoomAct(path + "comment", acts.comment),
        RoomAct(path + "shelve", acts.shelve),
        RoomAct(path + "unshelve", acts.unshelve),
    ]


class _AlarmPages:
    """What the pages show."""

    def __init__(self, house: House) -> None:
        self._house = house
        self._pictures: KeptByEdition[Markup | None] = KeptByEdition(_MOST_PICTURES)
        self._types = {one.name: one for pack in house.packs for one in pack.entity_types}

    async def list(self, scope: Scope) -> Mapping[str, Any]:
        """The list as it was asked for: tab, severity, rule, page."""
        officer, locale, now = officer_of(scope), locale_of(str(scope["path"])), self._house.clock.now()
        if not officer.here:
            raise PageNotFound  # the lines name people
        query = read_form(bytes(scope.get("query_string") or b""))
        asked = asked_of(query)
        async with reading(self._house.pool) as connection:
            after = await _alarm_named(officer.actor, connection, query.get("after", ""))
            listed = await list_alarms(officer.actor, connection, asked, now=now, after=after)
            counts = await service.count_alarms(officer.actor, connection, now=now)
            states = await service.rules(officer.actor, connection, packs=self._house.packs)
            heard = await self._heard(officer.actor, connection, listed.alarms, states)
            of = await _alarm_named(officer.actor, connection, query.get("of", ""))
        say = self._house.translations.gettext
        return {
            "asked": asked,
            "views": [
                (view, VIEW_LABELS[view], _path(asked, view=view), _count(view, counts)) for view in View
            ],
            "alarms": listed.alarms,
            "heard": heard,
            "titles": {one.alarm_id: say(locale, one.label) for one in listed.alarms},
            "next_page": _path(asked, after=listed.after) if listed.after else "",
            "first_page": _path(asked) if after is not None else "",
            "here_again": _path(asked, after=after.alarm_id if after is not None else ""),
            "counts": counts,
            "rules": [(one.rule.rule_id, one.rule.label) for one in states],
            "rules_on": sum(one.on and not one.held for one in states),
            "severities": SEVERITY_LABELS,
            "shelves": SHELF_LABELS,
            "gravest": _next_act(listed.alarms, now),
            "note": self._done(locale, query.get("done", ""), of),
        }

    async def cards(self, scope: Scope) -> Mapping[str, Any]:
        """The cards alone, for the page that exchanges them."""
        locale = locale_of(str(scope["path"]))
        return {"alarm_cards": await alarm_cards(self._house, officer_of(scope).actor, locale)}

    async def one(self, scope: Scope) -> Mapping[str, Any]:
        """One alarm, whole."""
        query = read_form(bytes(scope.get("query_string") or b""))
        shown = await self.whole(scope, str(scope["path_params"]["alarm_id"]))
        note = self._done(locale_of(str(scope["path"])), query.get("done", ""), shown["alarm"])
        return {**shown, "note": note}

    async def whole(self, scope: Scope, alarm_id: str) -> dict[str, Any]:
        """Everything that the page of an alarm shows; raises AlarmUnknown."""
        officer, locale, now = officer_of(scope), locale_of(str(scope["path"])), self._house.clock.now()
        if not officer.here:
            raise PageNotFound
        async with reading(self._house.pool) as connection:
            alarm, lines = await service.alarm(officer.actor, connection, alarm_id)
            states = await service.rules(officer.actor, connection, packs=self._house.packs)
            state = next((one for one in states if one.rule.rule_id == alarm.rule_id), None)
            heard = await self._heard(officer.actor, connection, [alarm], states)
            words = self._words(self._types.get(alarm.entity_type), locale)
            rule = state.rule if state is not None else None
            chart = await self._chart(officer.actor, connection, alarm, rule, locale)
            picture = await self._picture(officer.actor, connection, alarm, locale)
        say = self._house.translations.gettext
        return {
            "alarm": alarm,
            "heard": heard,
            "title": f"{say(locale, alarm.label)} · {alarm.entity_name or alarm.entity_id}",
            "titles": {alarm.alarm_id: say(locale, alarm.label)},
            "lines": [_line(one) for one in reversed(lines)],
            "rule": state,
            "condition": words.condition(rule) if rule is not None else "",
            "clearing": words.clearing(rule) if rule is not None else "",
            "chart": chart,
            "picture": picture,
            "severities": SEVERITY_LABELS,
            "shelves": SHELF_LABELS,
            "acts": ACT_LABELS,
            "here_again": f"{ALARMS_PATH}/{alarm.alarm_id}",
            "note": "",
            "refused": "",
            "errors": {},
            "typed": {},
            "is_open": alarm.state is AlarmState.OPEN,
            "aside": alarm.shelved_until is not None and alarm.shelved_until > now,
        }

    async def _heard(
        self, actor: Actor, connection: Connection, alarms: Sequence[Alarm], states: Sequence[RuleState]
    ) -> dict[str, Instant]:
        """When the value of each open alarm was observed, by alarm id; none where that is not known."""
        rules = {one.rule.rule_id: one.rule for one in states}
        standing = [one for one in alarms if one.state is AlarmState.OPEN and one.rule_id in rules]
        if not standing:
            return {}
        ids = tuple({one.entity_id for one in standing})
        found = await context.query_entities(actor, connection, Selection(entity_ids=ids), limit=len(ids))
        entities = {one.entity_id: one for one in found}
        heard = {}
        for one in standing:
            entity_type = self._types.get(one.entity_type)
            if one.entity_id in entities and entity_type is not None:
                view = context.view_of(entities[one.entity_id], entity_type)
                at = view.observed_at.get(watched_of(rules[one.rule_id]))
                if at is not None:
                    heard[one.alarm_id] = at
        return heard

    def _done(self, locale: str, done: str, alarm: Alarm | None) -> str:
        if done not in DONE_MESSAGES or alarm is None:
            return ""
        say = self._house.translations.gettext
        name = f"{say(locale, alarm.label)}, {alarm.entity_name or alarm.entity_id}"
        return say(locale, DONE_MESSAGES[done], alarm=name)

    def _words(self, entity_type: EntityType | None, locale: str) -> RuleWords:
        texts = self._house.templates.environment(locale).filters
        say = partial(self._house.translations.gettext, locale)
        return RuleWords(entity_type, say, texts["number"], texts["unit"])

    async def _chart(
        self, actor: Actor, connection: Connection, alarm: Alarm, rule: Rule | None, locale: str
    ) -> Markup | None:
        """The values around the alarm; None where its rule watches no number."""
        entity_type = self._types.get(alarm.entity_type)
        watched = watched_of(rule) if rule is not None else ""
        attribute = entity_type.attribute(watched) if entity_type is not None else None
        if rule is None or attribute is None:
            return None
        now = self._house.clock.now()
        ends = min((alarm.cleared_at + _AROUND) if alarm.cleared_at is not None else now, now)
        begins = max(min(alarm.since - _AROUND, alarm.since - rule.lasting * 2), ends - _LONGEST_CHART)
        seen = await context.history(actor, connection, [alarm.entity_id], [attribute], begins, ends)
        points = [
            (one.observed_at, one.number)
            for one in seen[alarm.entity_id][attribute.name]
            if one.number is not None and one.quality is Quality.VALID
        ]
        if not points:
            return None
        say = self._house.translations.gettext
        number = self._house.templates.environment(locale).filters["number"]
        label = self._words(entity_type, locale).attribute(attribute.name)
        return alarm_chart(
            AlarmChart(
                points, limits_of(rule.q, attribute.name), alarm.since, alarm.cleared_at or now, begins, ends
            ),
            name="around",
            title=say(locale, SAID_MESSAGES["around"], what=label),
            description=say(
                locale,
                SAID_MESSAGES["values"],
                number=len(points),
                value=number(points[-1][1]),
            ),
            limit_word=say(locale, SAID_MESSAGES["limit"]),
            number=number,
        )

    async def _picture(
        self, actor: Actor, connection: Connection, alarm: Alarm, locale: str
    ) -> Markup | None:
        """Where it is, on the wards around; None without a position or where no unit is known."""
        if alarm.position is None:
            return None
        position = alarm.position

        async def draw() -> Markup | None:
            return await self._drawn(actor, connection, alarm, position, locale)

        return await self._pictures.get(
            await edition(actor, connection), (locale, position, alarm.entity_name), draw
        )

    async def _drawn(
        self, actor: Actor, connection: Connection, alarm: Alarm, position: tuple[float, float], locale: str
    ) -> Markup | None:
        longitude, latitude = position
        on = self._house.clock.now().astimezone(VIETNAM).date()
        at = await unit_at(actor, connection, longitude, latitude, on)
        if at is None:
            return None
        wards = await units_on(actor, connection, on, level=Level.WARD, parent_id=at.unit.parent_id)
        shown = Box(longitude - 2 * _NEAR, latitude - 2 * _NEAR, longitude + 2 * _NEAR, latitude + 2 * _NEAR)
        near = [one for one in wards if one.box is not None and one.box.meets(shown)]
        shapes = await outlines(actor, connection, [one.unit_id for one in near])
        drawn = [Outline(shapes[one.unit_id], one.name) for one in near if one.unit_id in shapes]
        marker = MapMarker(longitude, latitude, "", words=alarm.entity_name)
        say = self._house.translations.gettext
        return await asyncio.to_thread(
            map_picture,
            drawn,
            [marker],
            Box(longitude - _NEAR, latitude - _NEAR, longitude + _NEAR, latitude + _NEAR),
            width=360,
            height=280,
            name="where",
            title=say(locale, SAID_MESSAGES["where"]),
            description=say(locale, SAID_MESSAGES["in"], name=alarm.entity_name, ward=at.unit.full_name),
            locale=locale,
        )


class _AlarmActs:
    """What people do to alarms."""

    def __init__(self, house: House) -> None:
        self._house = house
        self._pages = _AlarmPages(house)

    async def acknowledge(self, change: Change) -> str | Answer:
        """Take note of it."""

        async def verb(connection: Connection, **who: Any) -> Alarm:
            return await service.acknowledge_alarm(change.officer.actor, connection, _id(change), **who)

        return await self._do(change, "acknowledged", verb)

    async def comment(self, change: Change) -> str | Answer:
        """Say something about it."""

        async def verb(connection: Connection, **who: Any) -> Alarm:
            text = change.fields.get("text", "")
            return await service.comment_alarm(
                change.officer.actor, connection, _id(change), text=text, **who
            )

        return await self._do(change, "commented", verb, wrong="text")

    async def shelve(self, change: Change) -> str | Answer:
        """Put it aside for a while, and say why."""

        async def verb(connection: Connection, **who: Any) -> Alarm:
            until = shelf_end(change.fields.get("how_long", ""), change.fields.get("until", ""), who["now"])
            return await service.shelve_alarm(
                change.officer.actor,
                connection,
                _id(change),
                until=until,
                reason=change.fields.get("reason", ""),
                **who,
            )

        return await self._do(change, "shelved", verb, wrong="reason")

    async def unshelve(self, change: Change) -> str | Answer:
        """Take it back before its time."""

        async def verb(connection: Connection, **who: Any) -> Alarm:
            return await service.unshelve_alarm(change.officer.actor, connection, _id(change), **who)

        return await self._do(change, "unshelved", verb)

    async def _do(
        self, change: Change, done: str, verb: Callable[..., Awaitable[Alarm]], *, wrong: str = ""
    ) -> str | Answer:
        """Do it in one transaction; what was refused is said on the alarm's own page, with what was typed."""
        try:
            async with transaction(self._house.pool) as connection:
                await verb(connection, by=change.officer.by, now=self._house.clock.now())
        except Conflict as first:
            return await self._refused(change, HTTPStatus.CONFLICT, refused=self._said(change, first))
        except Invalid as trouble:
            field_name = "until" if isinstance(trouble, TimeOfDayUnreadable) else wrong
            said = self._house.translations.translate_error(trouble, change.locale)
            return await self._refused(
                change, HTTPStatus.UNPROCESSABLE_ENTITY, errors={field_name: said}, typed=dict(change.fields)
            )
        back = inside(change.fields.get("back", "") or ALARMS_PATH)
        joined = "&" if "?" in back else "?"
        return f"{back}{joined}{urlencode({'done': done, 'of': _id(change)})}"

    def _said(self, change: Change, conflict: Conflict) -> str:
        told = plainly(conflict)
        if isinstance(told, AlarmAlreadyAcknowledged):
            say = self._house.translations.gettext
            time = self._house.templates.environment(change.locale).filters["moment"](told.fields["at"])
            return say(change.locale, SAID_MESSAGES["first"], name=told.fields["by"], time=time)
        return self._house.translations.translate_error(told, change.locale)

    async def _refused(self, change: Change, status: int, **told: Any) -> Answer:
        shown = {**await self._pages.whole(change.scope, _id(change)), **told}
        title = shown.pop("title")
        return await change.page("ioc/alarm.html", title=title, status=status, **shown)


def asked_of(query: Mapping[str, str]) -> Asked:
    """What an address asks for; words that mean nothing are as if they were not there."""
    view, severity = query.get("view", ""), query.get("severity", "")
    return Asked(
        View(view) if view in set(View) else View.OPEN,
        Severity(severity) if severity in set(Severity) else None,
        query.get("rule", "")[:200] or None,
    )


def shelf_end(how_long: str, until: str, now: Instant) -> Instant:
    """When an alarm that is put aside comes back; raises TimeOfDayUnreadable.

    A time of day is the next one there is; "shift" is the next beginning of a shift.
    """
    local = now.astimezone(VIETNAM)
    match how_long:
        case "60":
            return now + timedelta(hours=1)
        case "shift":
            midnight = local.replace(hour=0, minute=0, second=0, microsecond=0)
            starts = [midnight + timedelta(hours=hour) for hour in (*SHIFT_STARTS, SHIFT_STARTS[0] + 24)]
            return next(one for one in starts if one > local).astimezone(now.tzinfo)
        case "until":
            hour, _, minute = until.replace("h", ":").replace("g", ":").partition(":")
            try:
                at = local.replace(hour=int(hour), minute=int(minute or "0"), second=0, microsecond=0)
            except ValueError:
                raise TimeOfDayUnreadable(text=until[:20]) from None
            return (at if at > local else at + timedelta(days=1)).astimezone(now.tzinfo)
        case _:
            return now + timedelta(minutes=15)


def _id(change: Change) -> str:
    return str(change.parameters["alarm_id"])


def _path(asked: Asked, *, view: View | None = None, after: str = "") -> str:
    """The address of a page of the list, without its language."""
    query = {
        "view": str(view or asked.view) if (view or asked.view) is not View.OPEN else "",
        "severity": str(asked.severity or ""),
        "rule": asked.rule_id or "",
        "after": after,
    }
    said = urlencode({key: value for key, value in query.items() if value})
    return f"{ALARMS_PATH}?{said}" if said else ALARMS_PATH


def _count(view: View, counts: AlarmCounts) -> int | None:
    match view:
        case View.OPEN:
            return counts.open
        case View.UNACKNOWLEDGED:
            return counts.unacknowledged
        case View.SHELVED:
            return counts.shelved
        case View.CLEARED:
            return None


def _next_act(alarms: Sequence[Alarm], now: Instant) -> str:
    """The alarm whose acknowledgement is the next act: the gravest that nobody has taken note of."""
    waiting = (
        one.alarm_id
        for one in alarms
        if one.state is AlarmState.OPEN
        and one.acknowledged_at is None
        and (one.shelved_until is None or one.shelved_until <= now)
    )
    return next(waiting, "")


async def _alarm_named(actor: Actor, connection: Connection, alarm_id: str) -> Alarm | None:
    """An alarm that an address names, or None for a name of nothing."""
    if not alarm_id:
        return None
    try:
        return (await service.alarm(actor, connection, alarm_id))[0]
    except (AlarmUnknown, Invalid):
        return None


def _line(line: AlarmLine) -> dict[str, Any]:
    """A line of an alarm's history; the platform's own words are message ids."""
    return {"at": line.at, "kind": line.kind, "by": line.by, "text": line.text, "ours": not line.by}
