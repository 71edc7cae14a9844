"""What is done in the officers' frames: a form is posted, somebody by name does it, and is led back.

An act is a `RoomAct`: where it is posted to, and what then happens. It comes from a page of ours at
this machine (`desks.check_change`), works without a script, and is answered by 303. Who has not said a
name is asked for one, and the form that asks carries on what was sent: nothing is typed twice.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

from litestar import Request, post
from litestar.handlers import HTTPRouteHandler
from litestar.types import ASGIApp

from haidang.infra.settings import is_loopback
from haidang.kernel.actors import Audience
from haidang.kernel.errors import Invalid
from haidang.web.shared.answers import Answer, header_of
from haidang.web.shared.desks import (
    NameUnusable,
    Officer,
    check_change,
    name_cookie,
    officer_of,
    read_name,
)
from haidang.web.shared.errors import BodyTooLarge
from haidang.web.shared.forms import read_form
from haidang.web.shared.frame import Frame, in_locale, locale_of, without_locale
from haidang.web.shared.house import House, Scope
from haidang.web.shared.rooms import ROOM_TITLES, RoomPage, room_around
from haidang.web.shared.routes import paths_in_every_locale, sent

DUTY_PATH = "/ioc/duty"
MOST_BYTES = 64 * 1024
"""Of a form. What is larger (a sheet) has a way in of its own, after `check_change`."""

_DUTY_TITLES = {DUTY_PATH: "Who is on duty at this machine?"}
_NAME_FIELD = "desk_name"
_FORM = "application/x-www-form-urlencoded"


class FormNeeded(Invalid):
    """This takes a form as a page sends it."""


@dataclass(frozen=True, slots=True)
class Change:
    """One act on its way: who does it, at which address, with which fields."""

    scope: Scope
    officer: Officer
    parameters: Mapping[str, Any]
    fields: Mapping[str, str]
    shown: Callable[..., Awaitable[Answer]]

    @property
    def locale(self) -> str:
        """The language of the page it came from."""
        return locale_of(str(self.scope["path"]))

    async def page(self, template: str, *, title: str, status: int, **context: Any) -> Answer:
        """A page of the face instead of going on: what is wrong (422), or what somebody else did (409)."""
        return await self.shown(self.scope, template, title=title, status=status, **context)


Act = Callable[[Change], Awaitable[str | Answer]]
"""Does it, and says where to go then (a Vietnamese path), or answers with a page of its own (422, 409)."""


@dataclass(frozen=True, slots=True)
class RoomAct:
    """Something that is done in a face: where it is posted to, and what then happens."""

    path: str
    act: Act


def duty_page() -> RoomPage:
    """The page that asks who is on duty at this machine; the bar leads to it, no navigation does."""

    async def show(scope: Scope) -> Mapping[str, Any]:
        asked = read_form(bytes(scope.get("query_string") or b""))
        return {
            "action": DUTY_PATH,
            "back": inside(asked.get("back", "")),
            "typed": officer_of(scope).name,
            "error": "",
            "kept": (),
        }

    return RoomPage(DUTY_PATH, _DUTY_TITLES[DUTY_PATH], "shared/duty.html", show, in_menu=False)


def act_routes(
    house: House, frame: Frame, acts: Sequence[RoomAct], pages: Sequence[RoomPage] = ()
) -> list[HTTPRouteHandler]:
    """A route for each act in each language, and for saying who is on duty; none beyond loopback."""
    if not is_loopback(house.settings.host):
        return []
    doors = _Acts(house, frame, pages)
    return [doors.route(one.path, one.act) for one in (RoomAct(DUTY_PATH, _back), *acts)]


async def _back(change: Change) -> str:
    return inside(change.fields.get("back", ""))


class _Acts:
    """What the routes do."""

    def __init__(self, house: House, frame: Frame, pages: Sequence[RoomPage]) -> None:
        self._house = house
        self._frame = frame
        self._pages = pages

    def route(self, path: str, act: Act) -> HTTPRouteHandler:
        """The route of an act, in every language."""

        async def receive(request: Request[Any, Any, Any]) -> ASGIApp:
            scope: Scope = request.scope  # type: ignore[assignment]  # a TypedDict of the same
            check_change(self._house, scope)
            fields = dict(read_form(await _body_of(request, scope)))
            said = fields.pop(_NAME_FIELD, None)
            officer = officer_of(scope)
            if path == DUTY_PATH and "leave" in fields:
                return sent(_see_other(inside(fields.get("back", "")), scope, name_cookie("")))
            if said is not None:
                try:
                    officer = replace(officer, name=read_name(said))
                except NameUnusable as wrong:
                    return sent(await self._ask(scope, fields, said, wrong))
            if not officer.name or (path == DUTY_PATH and said is None):
                return sent(await self._ask(scope, fields, "", None))
            done = await act(Change(scope, officer, request.path_params, fields, self._shown))
            answer = _see_other(done, scope) if isinstance(done, str) else done
            if said is not None:
                answer = replace(answer, headers=(*answer.headers, name_cookie(officer.name)))
            return sent(answer)

        return post(
            list(paths_in_every_locale(path)),
            opt={"audience": Audience.PUBLIC},
            name=f"act.{path.strip('/').replace('/', '.')}",
            status_code=HTTPStatus.SEE_OTHER,
        )(receive)

    async def _ask(
        self, scope: Scope, fields: Mapping[str, str], typed: str, wrong: NameUnusable | None
    ) -> Answer:
        """Ask for the name before the act; the form carries on what was sent."""
        path = str(scope["path"])
        gettext, locale = self._house.translations.gettext, locale_of(path)
        return await self._shown(
            scope,
            "shared/duty.html",
            title=gettext(locale, _DUTY_TITLES[DUTY_PATH]),
            status=HTTPStatus.UNPROCESSABLE_ENTITY,
            action=without_locale(path),
            back="",
            typed=typed,
            error="" if wrong is None else wrong.sentence(gettext(locale, wrong.message_id())),
            kept=sorted(fields.items()),
        )

    async def _shown(self, scope: Scope, template: str, *, title: str, status: int, **context: Any) -> Answer:
        around = room_around(scope, self._pages)
        whole = await self._frame.page(scope, template, title=title, status=status, **{**around, **context})
        return whole.answer(())


async def _body_of(request: Request[Any, Any, Any], scope: Scope) -> bytes:
    """The body of a form, within our limit; raises FormNeeded, BodyTooLarge."""
    given = header_of(scope["headers"], b"content-type").partition(";")[0].strip().lower()
    if given != _FORM:
        raise FormNeeded
    parts: list[bytes] = []
    size = 0
    async for part in request.stream():
        size += len(part)
        if size > MOST_BYTES:
            raise BodyTooLarge(limit=MOST_BYTES)
        parts.append(part)
    return b"".join(parts)


def inside(path: str) -> str:
    """A Vietnamese path of an officers' face to go back to; the operations centre for anything else."""
    plain = without_locale(path)
    ours = plain.isascii() and plain.isprintable() and "\\" not in plain
    inside = any(plain == room or plain.startswith((f"{room}/", f"{room}?")) for room in ROOM_TITLES)
    return plain if ours and inside and not plain.startswith(DUTY_PATH) else "/ioc"


def _see_other(path: str, scope: Scope, *more: tuple[bytes, bytes]) -> Answer:
    location = quote(in_locale(path, locale_of(str(scope["path"]))), safe="/:?&=%#+,;~")
    headers = ((b"location", location.encode()), (b"cache-control", b"no-store"), *more)
    return Answer(HTTPStatus.SEE_OTHER, headers)
