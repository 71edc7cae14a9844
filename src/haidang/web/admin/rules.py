"""Rules in administration: which run, why one does not, what one would have raised, what was changed.

Nothing is switched on unseen: the form that changes a rule tries it on history first, and keeps it then.
"""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from functools import partial
from http import HTTPStatus
from math import isfinite
from typing import Any
from urllib.parse import quote, urlencode

from haidang.context import q
from haidang.infra.database import Connection, reading, transaction
from haidang.kernel.actors import Actor
from haidang.kernel.errors import Conflict, Invalid
from haidang.kernel.instants import VIETNAM, Instant
from haidang.rules import service
from haidang.rules.errors import RuleUnknown
from haidang.rules.model import RuleState, Trial
from haidang.sdk.model import EntityType, Rule, Severity
from haidang.web.shared.acts import Change, RoomAct
from haidang.web.shared.answers import Answer
from haidang.web.shared.desks import officer_of
from haidang.web.shared.errors import PageNotFound
from haidang.web.shared.forms import read_day, read_form
from haidang.web.shared.frame import locale_of
from haidang.web.shared.house import House, Scope
from haidang.web.shared.rooms import RoomPage
from haidang.web.shared.rule_words import SEVERITY_LABELS, RuleWords, plainly, watched_of

RULES_PATH = "/admin/rules"
PATIENCE_S = 25.0
"""How long a trial may take: below what a request may."""

MOST_ROWS = 200
_DAYS = 7
_LONGEST_TEXT = 300
_MINUTE = timedelta(minutes=1)

PAGE_TITLES = {"rules": "Rules", "rule": "A rule", "edit": "Change a rule", "try": "Try a rule on history"}

DONE_MESSAGES = {
    "on": "The rule is on.",
    "off": "The rule is off; what it had open is over.",
    "saved": "The province's version is kept and runs from now on.",
}

FIELD_LABELS = {
    "label": "What the alarm is called",
    "severity": "How grave",
    "q": "Condition",
    "lasting": "Without a break for (minutes)",
    "clear_q": "It is over when",
    "clear_lasting": "… for (minutes)",
    "absent_for": "Nothing heard for (minutes)",
    "absent_rhythms": "Or for so many times its usual rhythm",
    "over": "Within (minutes)",
    "rises": "Rises by",
    "falls": "Falls by",
    "advice": "What to do",
}


class FigureUnreadable(Invalid):
    """“{text}” is not a number of 0 or more: write it as 150 or 1,5."""


class TextMissing(Invalid):
    """Something has to stand here."""


class TextTooLongHere(Invalid):
    """This is too long: {most} characters at most."""


class AttributeNotDeclared(Invalid):
    """There is no attribute “{name}” here; those there are stand below."""


class DaysBackwards(Invalid):
    """The last day comes before the first one."""


class DayAhead(Invalid):
    """There is no history of days to come."""


class TrialTookTooLong(Invalid):
    """The trial took over {seconds} seconds and was given up: choose fewer days."""


@dataclass(frozen=True, slots=True)
class Edited:
    """A rule as a form changes it, and what is wrong with which field."""

    rule: Rule
    errors: Mapping[str, Invalid] = field(default_factory=dict)


def rule_pages(house: House) -> list[RoomPage]:
    """The list of rules, one rule, its form, and a trial."""
    pages = _RulePages(house)
    one = RULES_PATH + "/{rule_id:str}"
    return [
        RoomPage(RULES_PATH, PAGE_TITLES["rules"], "admin/rules.html", pages.every),
        RoomPage(one, PAGE_TITLES["rule"], "admin/rule.html", pages.one, in_menu=False),
        RoomPage(one + "/edit", PAGE_TITLES["edit"], "admin/rule_edit.html", pages.edit, in_menu=False),
        RoomPage(one + "/try", PAGE_TITLES["try"], "admin/rule_try.html", pages.try_out, in_menu=False),
    ]


def rule_acts(house: House) -> list[RoomAct]:
    """Switching a rule, and keeping the province's version."""
    acts = _RuleActs(house)
    one = RULES_PATH + "/{rule_id:str}"
    return [RoomAct(one + "/switch", acts.switch), RoomAct(one + "/save", acts.save)]


class _RulePages:
    """What the pages show."""

    def __init__(self, house: House) -> None:
        self._house = house
        self._types = {one.name: one for pack in house.packs for one in pack.entity_types}

    async def every(self, scope: Scope) -> Mapping[str, Any]:
        """Every rule, those that cannot run first."""
        locale = locale_of(str(scope["path"]))
        states = await self._states(scope)
        states.sort(key=lambda one: (not one.held, not one.on, one.rule.rule_id))
        return {
            "rules": [
                (one, self._words(one.rule, locale).condition(one.rule), self._fault(one, locale))
                for one in states
            ],
            "types": self._types,
            "severities": SEVERITY_LABELS,
        }

    async def one(self, scope: Scope) -> Mapping[str, Any]:
        """One rule in words, and what can be done with it."""
        query = read_form(bytes(scope.get("query_string") or b""))
        shown = await self.whole(scope)
        return {**shown, "note": DONE_MESSAGES.get(query.get("done", ""), "")}

    async def whole(self, scope: Scope) -> dict[str, Any]:
        """What the page of a rule shows; raises RuleUnknown."""
        locale = locale_of(str(scope["path"]))
        state = await self._state(scope)
        words = self._words(state.rule, locale)
        today = self._house.clock.now().astimezone(VIETNAM).date()
        return {
            "state": state,
            "rule": state.rule,
            "fault": self._fault(state, locale),
            "title": self._house.translations.gettext(locale, state.rule.label),
            "entity_type": self._types.get(state.rule.entity_type),
            "condition": words.condition(state.rule),
            "clearing": words.clearing(state.rule),
            "severities": SEVERITY_LABELS,
            "path": f"{RULES_PATH}/{quote(state.rule.rule_id, safe='.:-')}",
            "since": _text_of(today - timedelta(days=_DAYS)),
            "until": _text_of(today),
            "note": "",
            "refused": "",
            "error": "",
            "typed": {},
        }

    async def edit(self, scope: Scope) -> Mapping[str, Any]:
        """The form, filled with the rule as it runs, or with what somebody has tried."""
        query = read_form(bytes(scope.get("query_string") or b""))
        locale = locale_of(str(scope["path"]))
        shown = await self.whole(scope)
        rule: Rule = shown["rule"]
        said = partial(self._house.translations.gettext, locale)
        fields = fields_of(rule)
        typed = {
            **fields,
            "label": said(fields["label"]),
            "advice": fields["advice"] and said(fields["advice"]),
        }
        if "edited" not in query:
            return {**shown, **self.form(rule, typed, {}, locale)}
        typed |= {name: query[name] for name in fields if name in query}
        read = read_rule(typed, rule, self._types.get(rule.entity_type), said)
        return {**shown, **self.form(rule, typed, read.errors, locale)}

    def form(
        self, rule: Rule, typed: Mapping[str, str], errors: Mapping[str, Invalid], locale: str
    ) -> dict[str, Any]:
        """What the form of a rule shows: what was typed, and what is wrong with it."""
        entity_type = self._types.get(rule.entity_type)
        say = self._house.translations.translate_error
        return {
            "typed": dict(typed),
            "errors": {name: say(error, locale) for name, error in errors.items()},
            "labels": FIELD_LABELS,
            "attributes": entity_type.attributes if entity_type is not None else (),
        }

    async def try_out(self, scope: Scope) -> Mapping[str, Any]:
        """What the rule, or the version that a form describes, would have raised in those days."""
        query = read_form(bytes(scope.get("query_string") or b""))
        locale, now = locale_of(str(scope["path"])), self._house.clock.now()
        shown = await self.whole(scope)
        rule: Rule = shown["rule"]
        since, until = query.get("since", "") or shown["since"], query.get("until", "") or shown["until"]
        kept: dict[str, str] = {}
        errors: Mapping[str, Invalid] = {}
        if "edited" in query:
            kept = {name: query.get(name, "") for name in fields_of(rule)}
            said = partial(self._house.translations.gettext, locale)
            read = read_rule(kept, rule, self._types.get(rule.entity_type), said)
            rule, errors = read.rule, read.errors
        words = self._words(rule, locale)
        shown |= {
            **self.form(rule, kept, errors, locale),
            "condition": words.condition(rule),
            "clearing": words.clearing(rule),
            "kept": kept,
            "back": urlencode({**kept, "edited": "1"}) if kept else "",
            "since": since,
            "until": until,
            "unit": self._unit(rule),
            "trial": None,
            "rows": (),
            "days": 0,
        }
        if errors:
            return {**shown, "status": HTTPStatus.UNPROCESSABLE_ENTITY}
        try:
            first, last = days_of(since, until, now.astimezone(VIETNAM).date())
            trial = await self._tried(officer_of(scope).actor, rule, *span_of(first, last, now))
        except Invalid as wrong:
            error = self._house.translations.translate_error(wrong, locale)
            return {**shown, "error": error, "status": HTTPStatus.UNPROCESSABLE_ENTITY}
        return {**shown, "trial": trial, "rows": trial.raised[:MOST_ROWS], "days": (last - first).days + 1}

    async def _tried(self, actor: Actor, rule: Rule, since: Instant, until: Instant) -> Trial:
        try:
            async with asyncio.timeout(PATIENCE_S), reading(self._house.pool) as connection:
                return await service.try_rule(
                    actor, connection, rule, since=since, until=until, packs=self._house.packs
                )
        except TimeoutError:
            raise TrialTookTooLong(seconds=round(PATIENCE_S)) from None

    def _unit(self, rule: Rule) -> str | None:
        """The unit of the values that a rule watches."""
        entity_type = self._types.get(rule.entity_type)
        watched = entity_type.attribute(watched_of(rule)) if entity_type is not None else None
        return watched.unit if watched is not None else None

    def _fault(self, state: RuleState, locale: str) -> str:
        """Why a rule cannot run, in the language of the page."""
        if state.fault is None:
            return state.held
        return self._house.translations.translate_error(plainly(state.fault), locale)

    async def _states(self, scope: Scope) -> list[RuleState]:
        officer = officer_of(scope)
        if not officer.here:
            raise PageNotFound
        async with reading(self._house.pool) as connection:
            return await service.rules(officer.actor, connection, packs=self._house.packs)

    async def _state(self, scope: Scope) -> RuleState:
        rule_id = str(scope["path_params"]["rule_id"])
        found = next((one for one in await self._states(scope) if one.rule.rule_id == rule_id), None)
        if found is None:
            raise RuleUnknown(rule_id=rule_id[:100])
        return found

    def _words(self, rule: Rule, locale: str) -> RuleWords:
        texts = self._house.templates.environment(locale).filters
        say = partial(self._house.translations.gettext, locale)
        return RuleWords(self._types.get(rule.entity_type), say, texts["number"], texts["unit"])


class _RuleActs:
    """What is done to rules."""

    def __init__(self, house: House) -> None:
        self._house = house
        self._pages = _RulePages(house)
        self._types = {one.name: one for pack in house.packs for one in pack.entity_types}

    async def switch(self, change: Change) -> str | Answer:
        """Switch it on or off, with a reason."""
        on = change.fields.get("on") == "1"
        rule_id, now = str(change.parameters["rule_id"]), self._house.clock.now()
        try:
            reason = _text(change.fields.get("reason", ""))
            async with transaction(self._house.pool) as connection:
                await service.switch_rule(
                    change.officer.actor,
                    connection,
                    rule_id,
                    on=on,
                    reason=reason,
                    by=change.officer.by,
                    now=now,
                    packs=self._house.packs,
                )
        except (Invalid, Conflict) as wrong:
            shown = await self._pages.whole(change.scope)
            said = self._house.translations.translate_error(plainly(wrong), change.locale)
            conflict = isinstance(wrong, Conflict)
            shown |= {"typed": dict(change.fields), "refused" if conflict else "error": said}
            status = HTTPStatus.CONFLICT if conflict else HTTPStatus.UNPROCESSABLE_ENTITY
            return await change.page("admin/rule.html", title=shown.pop("title"), status=status, **shown)
        return _led(rule_id, "on" if on else "off")

    async def save(self, change: Change) -> str | Answer:
        """Keep the province's version of it."""
        rule_id = str(change.parameters["rule_id"])
        shown = await self._pages.whole(change.scope)
        base: Rule = shown["rule"]
        said = partial(self._house.translations.gettext, change.locale)
        read = read_rule(change.fields, base, self._types.get(base.entity_type), said)
        errors = dict(read.errors)
        if not errors:
            try:
                async with transaction(self._house.pool) as connection:
                    await self._keep(change, connection, read.rule)
            except Invalid as wrong:
                errors["q" if base.q else "label"] = wrong
            else:
                return _led(rule_id, "saved")
        shown |= self._pages.form(base, change.fields, errors, change.locale)
        status = HTTPStatus.UNPROCESSABLE_ENTITY
        return await change.page("admin/rule_edit.html", title=shown.pop("title"), status=status, **shown)

    async def _keep(self, change: Change, connection: Connection, rule: Rule) -> None:
        now = self._house.clock.now()
        await service.save_rule(
            change.officer.actor,
            connection,
            rule,
            by=change.officer.by,
            now=now,
            reason=change.fields.get("reason", ""),
            packs=self._house.packs,
        )


# --- pure ---------------------------------------------------------------------------------------


def fields_of(rule: Rule) -> dict[str, str]:
    """A rule as its form shows it: the fields of its kind only."""
    fields = {"label": rule.label, "severity": rule.severity.value, "advice": rule.advice}
    if rule.q:
        fields |= {
            "q": rule.q,
            "lasting": _minutes(rule.lasting),
            "clear_q": rule.clear_q,
            "clear_lasting": _minutes(rule.clear_lasting),
        }
    if rule.absent:
        fields |= {"absent_for": _minutes(rule.absent_for), "absent_rhythms": _figure(rule.absent_rhythms)}
    if rule.rate is not None:
        fields |= {
            "over": _minutes(rule.rate.over),
            "rises": "" if rule.rate.rises is None else _figure(rule.rate.rises),
            "falls": "" if rule.rate.falls is None else _figure(rule.rate.falls),
        }
    return fields


def read_rule(
    fields: Mapping[str, str], base: Rule, entity_type: EntityType | None, said: Callable[[str], str]
) -> Edited:
    """A rule with what a form says in place of what it said, and what is wrong by field.

    A field that the form does not have stays as it was. A label and an advice that stand as they are
    `said` in the language of the form stay message ids, so that they go on being translated.
    """
    errors: dict[str, Invalid] = {}

    def read(name: str, of: Callable[[str], Any], had: Any) -> Any:
        text = fields.get(name, "").strip()
        if name not in fields or (isinstance(had, str) and text == said(had)):
            return had
        try:
            return of(text)
        except Invalid as wrong:
            errors[name] = wrong
            return had

    rule = replace(
        base,
        label=read("label", _text, base.label),
        severity=read("severity", _severity, base.severity),
        advice=read("advice", _optional_text, base.advice),
    )
    if base.q:
        checked = partial(_query, entity_type=entity_type)
        rule = replace(
            rule,
            q=read("q", checked, base.q),
            lasting=read("lasting", _span, base.lasting),
            clear_q=read("clear_q", lambda text: checked(text) if text else "", base.clear_q),
            clear_lasting=read("clear_lasting", _span, base.clear_lasting),
        )
    if base.absent:
        rule = replace(
            rule,
            absent_for=read("absent_for", _span, base.absent_for),
            absent_rhythms=read("absent_rhythms", _number, base.absent_rhythms),
        )
    if base.rate is not None:
        rate = replace(
            base.rate,
            over=read("over", _span, base.rate.over),
            rises=read("rises", _optional_number, base.rate.rises),
            falls=read("falls", _optional_number, base.rate.falls),
        )
        rule = replace(rule, rate=rate)
    return Edited(rule, errors)


def days_of(since: str, until: str, today: date) -> tuple[date, date]:
    """The first and the last day of a trial; raises what is wrong with them."""
    first, last = read_day(since), read_day(until)
    if last < first:
        raise DaysBackwards
    if first > today:
        raise DayAhead
    return first, min(last, today)


def span_of(first: date, last: date, now: Instant) -> tuple[Instant, Instant]:
    """From the first midnight in Vietnam to the one after the last day, or now."""
    begins = datetime(first.year, first.month, first.day, tzinfo=VIETNAM)
    ends = datetime(last.year, last.month, last.day, tzinfo=VIETNAM) + timedelta(days=1)
    return begins.astimezone(now.tzinfo), min(ends.astimezone(now.tzinfo), now)


def _query(text: str, *, entity_type: EntityType | None) -> str:
    expression = q.parse(_text(text))
    if entity_type is not None:
        for name in q.names_of(expression):
            if entity_type.attribute(name) is None:
                raise AttributeNotDeclared(name=name[:60])
    return text


def _text(text: str) -> str:
    if not text:
        raise TextMissing
    return _optional_text(text)


def _optional_text(text: str) -> str:
    if len(text) > _LONGEST_TEXT:
        raise TextTooLongHere(most=_LONGEST_TEXT)
    return text


def _severity(text: str) -> Severity:
    try:
        return Severity(text)
    except ValueError:
        raise TextMissing from None


def _number(text: str) -> float:
    try:
        number = float(text.replace(",", ".") or "0")
    except ValueError:
        number = -1.0
    if not isfinite(number) or number < 0:
        raise FigureUnreadable(text=text[:40])
    return number


def _optional_number(text: str) -> float | None:
    return _number(text) if text else None


def _span(text: str) -> timedelta:
    try:
        return _number(text) * _MINUTE
    except OverflowError:
        raise FigureUnreadable(text=text[:40]) from None


def _minutes(span: timedelta) -> str:
    return _figure(span / _MINUTE)


def _figure(number: float) -> str:
    """A figure as a form takes it, with a decimal comma."""
    return f"{number:.6f}".rstrip("0").rstrip(".").replace(".", ",")


def _text_of(day: date) -> str:
    return f"{day:%d/%m/%Y}"


def _led(rule_id: str, done: str) -> str:
    return f"{RULES_PATH}/{quote(rule_id, safe='.:-')}?{urlencode({'done': done})}"
