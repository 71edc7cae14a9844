"""Who acts before sign-in: a name that was said here, only from a page of ours, never lost on the way."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import NoReturn
from urllib.parse import quote, urlencode

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from litestar import Litestar

from haidang.kernel.actors import Audience
from haidang.web.asgi import build_application
from haidang.web.shared.acts import Change, RoomAct, act_routes
from haidang.web.shared.answers import Answer
from haidang.web.shared.audiences import guard_audience
from haidang.web.shared.desks import NameUnusable, name_cookie, officer_of, read_name, said_by
from haidang.web.shared.dispatch import Dispatcher
from haidang.web.shared.frame import Frame
from haidang.web.shared.house import House
from tests.web.client import HTML, Client, Reply

OURS = ("origin", "http://127.0.0.1:8000")
FORM = ("content-type", "application/x-www-form-urlencoded")
LAN = ("cookie", f"haidang-desk={quote('Trần Thị Lan')}")


async def post(
    web: Client, path: str, fields: Mapping[str, str], *headers: tuple[str, str], ours: bool = True
) -> Reply:
    """A form as a browser sends it, from a page of ours unless it is said that it is not."""
    sent = [HTML, FORM, *((OURS,) if ours else ()), *headers]
    return await web.ask("POST", path, headers=sent, chunks=[urlencode(fields).encode()])


async def test_a_name_that_was_said_is_kept_on_the_machine_and_shown_as_not_verified(web: Client) -> None:
    reply = await post(web, "/ioc/duty", {"desk_name": "  Trần  Thị Lan ", "back": "/admin"})
    assert (reply.status, reply.header("location")) == (303, "/admin")
    cookie = reply.header("set-cookie") or ""
    assert cookie.startswith(f"haidang-desk={quote('Trần Thị Lan')};")
    assert {"HttpOnly", "SameSite=Strict", "Max-Age=43200", "Path=/"} <= set(cookie.split("; "))
    page = await web.page("/admin", ("cookie", cookie.partition(";")[0]))
    assert "Đang trực: <b>Trần Thị Lan</b>" in page.text
    assert "(chưa xác thực)" in page.text


async def test_the_bar_asks_who_is_on_duty_and_comes_back_where_one_was(web: Client) -> None:
    text = (await web.page("/en/work")).text
    assert 'href="/en/ioc/duty?back=/work"' in text
    page = await web.page("/en/ioc/duty?back=/work")
    assert page.status == 200
    assert '<input type="hidden" name="back" value="/work">' in page.text
    reply = await post(web, "/en/ioc/duty", {"desk_name": "Lan", "back": "/work"})
    assert reply.header("location") == "/en/work"


async def test_who_leaves_is_forgotten(web: Client) -> None:
    reply = await post(web, "/ioc/duty", {"desk_name": "", "leave": "1", "back": "/ioc"}, LAN)
    assert reply.status == 303
    assert "Max-Age=0" in (reply.header("set-cookie") or "")


@pytest.mark.parametrize(
    "back", ["https://evil.vn/", "//evil.vn", "/\\evil.vn", "/admin\r\nx: y", "/iocx", "", "/khong-khi"]
)
async def test_nobody_is_led_out_of_the_frames(web: Client, back: str) -> None:
    reply = await post(web, "/ioc/duty", {"desk_name": "Lan", "back": back})
    assert reply.header("location") == "/ioc"
    assert f'value="{back}"' not in (await web.page(f"/ioc/duty?back={quote(back)}")).text or not back


@pytest.mark.parametrize("name", ["", "x", "12 34", "a" * 61, "\u202e\u200b"])
async def test_a_name_that_nobody_bears_is_asked_for_again(web: Client, name: str) -> None:
    reply = await post(web, "/ioc/duty", {"desk_name": name, "back": "/ioc"})
    assert reply.status == 422
    assert 'aria-invalid="true"' in reply.text
    assert reply.header("set-cookie") is None


@pytest.mark.parametrize(
    "headers",
    [
        (),  # no browser
        (("origin", "https://evil.vn"),),
        (("origin", "null"),),
        (("origin", "http://127.0.0.1:3000"),),  # another program of this machine
        (("origin", "http://127.0.0.1:8000"), ("sec-fetch-site", "cross-site")),
        (("sec-fetch-site", "same-site"),),
        (("sec-fetch-site", "none"),),
        (("origin", "http://127.0.0.1:8000"), ("x-forwarded-for", "203.0.113.9")),
        (("origin", "https://city.example"), ("sec-fetch-site", "same-origin")),  # through a proxy
    ],
    ids=str,
)
async def test_what_does_not_come_from_a_page_of_ours_at_this_machine_is_refused(
    web: Client, headers: Iterable[tuple[str, str]]
) -> None:
    reply = await post(web, "/ioc/duty", {"desk_name": "Lan"}, *headers, ours=False)
    assert reply.status == 403
    assert reply.header("set-cookie") is None


@pytest.mark.parametrize("headers", [(("sec-fetch-site", "same-origin"),), (OURS,)], ids=str)
async def test_what_a_browser_says_of_itself_is_enough(
    web: Client, headers: Iterable[tuple[str, str]]
) -> None:
    assert (await post(web, "/ioc/duty", {"desk_name": "Lan"}, *headers, ours=False)).status == 303


async def test_a_form_is_a_form_and_no_larger_than_a_form(web: Client) -> None:
    sent = [HTML, OURS, ("content-type", "application/json")]
    assert (await web.ask("POST", "/ioc/duty", headers=sent, chunks=[b"{}"])).status == 422
    assert (await post(web, "/ioc/duty", {"desk_name": "Lan" * 30_000})).status == 413


async def test_where_others_are_listened_to_nothing_can_be_said(house: House) -> None:
    beyond = replace(house, settings=msgspec.structs.replace(house.settings, host="203.0.113.7"))
    web = Client(build_application(beyond))
    assert (await post(web, "/ioc/duty", {"desk_name": "Lan"})).status in {403, 404}


async def test_whom_a_proxy_carried_on_is_a_visitor(web: Client) -> None:
    text = (await web.page("/ioc", ("x-forwarded-for", "203.0.113.9"), LAN)).text
    assert "Lan" not in text
    assert "/ioc/duty" not in text


@pytest.fixture
def done() -> list[Change]:
    """What was done."""
    return []


def _pass_on(_request: object, error: Exception) -> NoReturn:
    raise error


@pytest.fixture
def acting(house: House, done: list[Change]) -> Client:
    """A web with one act."""

    async def note(change: Change) -> str | Answer:
        done.append(change)
        return "/ioc?noted=1"

    frame = Frame(house)
    build_application(house)  # gives the templates what draws
    portal = Litestar(
        route_handlers=act_routes(house, frame, [RoomAct("/admin/notes/{note_id:str}", note)]),
        guards=[guard_audience],
        exception_handlers={Exception: _pass_on},
        openapi_config=None,
        logging_config=None,
    )
    return Client(Dispatcher(house, portal, frame))  # type: ignore[arg-type]  # Litestar's scopes are TypedDicts


async def test_an_act_is_done_under_the_name_and_leads_on(acting: Client, done: list[Change]) -> None:
    reply = await post(acting, "/en/admin/notes/n:1", {"text": "xin chào"}, LAN)
    assert (reply.status, reply.header("location")) == (303, "/en/ioc?noted=1")
    (change,) = done
    assert (change.parameters["note_id"], change.fields) == ("n:1", {"text": "xin chào"})
    assert change.officer.by == "unverified:Trần Thị Lan"
    assert {Audience.OFFICER, Audience.ADMINISTRATOR} <= change.officer.actor.audiences


async def test_who_has_no_name_is_asked_and_nothing_they_sent_is_lost(
    acting: Client, done: list[Change]
) -> None:
    asked = await post(acting, "/admin/notes/n1", {"text": '"><script>alert(1)</script>'})
    assert asked.status == 422
    assert done == []
    assert "<script>alert" not in asked.text
    assert 'value="&#34;&gt;&lt;script&gt;' in asked.text
    assert 'action="/admin/notes/n1"' in asked.text
    reply = await post(acting, "/admin/notes/n1", {"text": "x", "desk_name": "Lan"})
    assert reply.status == 303
    assert "haidang-desk=Lan" in (reply.header("set-cookie") or "")
    assert [(one.officer.name, dict(one.fields)) for one in done] == [("Lan", {"text": "x"})]


async def test_an_act_from_elsewhere_is_not_done(acting: Client, done: list[Change]) -> None:
    reply = await post(
        acting, "/admin/notes/n1", {"text": "x"}, LAN, ("origin", "https://evil.vn"), ours=False
    )
    assert reply.status == 403
    assert done == []


@given(st.text(max_size=80))
def test_a_name_comes_back_from_its_cookie_as_it_was_read(text: str) -> None:
    try:
        name = read_name(text)
    except NameUnusable:
        return
    kept = name_cookie(name)[1].partition(b";")[0]
    scope = {"path": "/ioc", "headers": [(b"cookie", b"a=b; " + kept)], "client": ("127.0.0.1", 1)}
    assert officer_of(scope).name == name
    assert said_by(officer_of(scope).by) == (name, False)


@given(st.binary(max_size=80))
def test_a_hostile_cookie_is_nobody_or_a_name(raw: bytes) -> None:
    scope = {"path": "/ioc", "headers": [(b"cookie", b"haidang-desk=" + raw)], "client": ("::1", 1)}
    name = officer_of(scope).name
    assert not name or read_name(name) == name
