"""Outgoing HTTP: never inward, however the address is written; within limits of size, time and patience."""

import asyncio
import gzip
from collections.abc import AsyncIterator, Callable, Sequence
from ipaddress import IPv4Address, IPv6Address
from typing import Any

import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st

from haidang.infra.http import (
    AddressGuard,
    AddressNotPublic,
    AnswerTooLarge,
    AnswerUnreadable,
    GuardedHttp,
    HostBusy,
    HostRefused,
    HostTookTooLong,
    HostUnreachable,
    HttpLimits,
    RedirectRefused,
    TrustedHttp,
    UrlUnusable,
    is_public,
)
from haidang.infra.telemetry import current_trace_id, trace
from haidang.kernel.errors import Invalid

PRIVATE_4 = st.sampled_from(
    [
        ("0.0.0.0", 8),  # noqa: S104 - an address to refuse
        ("10.0.0.0", 8),
        ("100.64.0.0", 10),
        ("127.0.0.0", 8),
        ("169.254.0.0", 16),
        ("172.16.0.0", 12),
        ("192.168.0.0", 16),
        ("198.18.0.0", 15),
        ("224.0.0.0", 4),
        ("240.0.0.0", 4),
    ]
).flatmap(
    lambda net: st.integers(0, 2 ** (32 - net[1]) - 1).map(
        lambda n: IPv4Address(int(IPv4Address(net[0])) + n)
    )
)
LIMITS = HttpLimits(answer_bytes=10_000, patience_s=0.5, connect_patience_s=0.3, first_wait_s=0.001)


def forms_of(address: IPv4Address) -> list[str]:
    """Every way a program might read this IPv4 address from the host of a URL."""
    a, b, c, d = address.packed
    number = int(address)
    return [
        f"{address}",
        f"{address}.",
        f"{number}",
        f"0x{number:x}",
        f"0{number:o}",
        f"{a}.{(b << 16) + (c << 8) + d}",
        f"{a}.{b}.{(c << 8) + d}",
        f"0{a:o}.0{b:o}.0{c:o}.0{d:o}",
        f"0x{a:x}.0x{b:x}.0x{c:x}.0x{d:x}",
        f"{a}.{b}.{c}.0x{d:X}",
        f"{address}".translate(str.maketrans("0123456789.", "０１２３４５６７８９．")),
        f"[::ffff:{address}]",
        f"[::{address}]",
        f"[64:ff9b::{address}]",
        f"[64:ff9b:1::{address}]",
        f"[{IPv6Address((0x2002 << 112) | (number << 80))}]",
        f"[{IPv6Address((0x2001_0000 << 96) | (number ^ 0xFFFF_FFFF))}]",
        f"[fe80::{address}]",
    ]


@given(PRIVATE_4, st.sampled_from(["http", "https"]), st.sampled_from(["", ":80", ":8443"]))
def test_no_form_of_a_private_address_is_admitted(address: IPv4Address, scheme: str, port: str) -> None:
    for form in forms_of(address):
        with pytest.raises((AddressNotPublic, UrlUnusable)):
            AddressGuard().check(f"{scheme}://{form}{port}/x")


@given(st.ip_addresses(v=6))
def test_only_global_unicast_is_public_of_ipv6(address: IPv6Address) -> None:
    if is_public(str(address)):
        assert address.is_global
        assert address.sixtofour is None
        assert address.ipv4_mapped is None
        assert address.teredo is None


@given(st.ip_addresses(v=4))
def test_what_the_library_calls_global_agrees(address: IPv4Address) -> None:
    if is_public(str(address)):
        assert address.is_global
        assert not address.is_multicast


@pytest.mark.parametrize(
    "address",
    ["::", "::1", "fe80::1", "fe80::1%eth0", "fc00::1", "fec0::1", "ff02::1", "2001:db8::1", "nonsense", ""],
)
def test_addresses_that_are_not_public(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize("address", ["8.8.8.8", "203.162.4.190", "2400:cb00::1", "2001:4860:4860::8888"])
def test_addresses_that_are_public(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize(
    "url",
    [
        "ftp://example.vn/x",
        "file:///etc/passwd",
        "//example.vn/x",
        "example.vn",
        "http://",
        "http:///x",
        "http://u:p@example.vn/",
        "http://u@example.vn/",
        "http://:p@example.vn/",
        "http://exa mple.vn/",
        "http://example.vn\\@127.0.0.1/",
        "http://exa\tmple.vn/",
        "http://example.vn/\r\nX: y",
        "http://127%2e0%2e0%2e1/",
        "http://example..vn/",
        "http://example.vn:99999/",
        "http://[::1/",
        "http://" + "a" * 64 + ".vn/",
        "http://example.vn/" + "a" * 3000,
    ],
)
def test_urls_that_cannot_be_used(url: str) -> None:
    with pytest.raises(UrlUnusable) as raised:
        AddressGuard().check(url)
    assert ":p@" not in str(raised.value)


@given(st.text(max_size=60))
def test_any_text_is_a_url_or_refused(text: str) -> None:
    for url in (text, f"http://{text}", f"http://{text}/", f"http://example.vn/{text}"):
        try:
            host = AddressGuard().check(url).raw_host
        except Invalid:
            continue
        assert host
        assert host.isascii()


# --- against a real server ---


@pytest.fixture
async def server() -> AsyncIterator[Callable[..., Any]]:
    """A starter of servers, from a handler and a host to the base URL."""
    runners: list[web.AppRunner] = []

    async def start(handler: Any, host: str = "127.0.0.1") -> str:
        application = web.Application()
        application.router.add_route("*", "/{tail:.*}", handler)
        runner = web.AppRunner(application, shutdown_timeout=0.1)
        await runner.setup()
        runners.append(runner)
        site = web.TCPSite(runner, host, 0)
        await site.start()
        port = runner.addresses[0][1]
        return f"http://{host}:{port}"

    yield start
    for runner in runners:
        await runner.cleanup()


def guarded(lookup: Callable[[str], Any] | None = None, **changed: Any) -> GuardedHttp:
    """A client that may reach 127.0.0.1 and nothing else that is not public."""
    limits = HttpLimits(
        **{
            **{name: getattr(LIMITS, name) for name in HttpLimits.__dataclass_fields__},
            **changed,
        }
    )
    guard = AddressGuard.allowing("127.0.0.1/32")
    return (
        GuardedHttp(limits, guard=guard)
        if lookup is None
        else GuardedHttp(limits, guard=guard, lookup=lookup)
    )


async def say(request: web.Request) -> web.Response:
    return web.Response(text=f"{request.method} {request.path_qs} {(await request.read()).decode()}")


async def test_an_answer_comes_whole(server: Callable[..., Any]) -> None:
    base = await server(say)
    async with guarded() as http:
        answer = await http.get(f"{base}/a?b=c")
        assert answer.accepted().body == b"GET /a?b=c "
        assert answer.headers["content-type"] == "text/plain; charset=utf-8"
        posted = await http.request("POST", f"{base}/p", body=b"x")
        assert posted.body == b"POST /p x"
        assert (await http.request("HEAD", base)).body == b""


async def test_without_the_exception_loopback_is_refused(server: Callable[..., Any]) -> None:
    reached = 0

    async def handler(_request: web.Request) -> web.Response:
        nonlocal reached
        reached += 1
        return web.Response()

    base = await server(handler)
    port = base.rpartition(":")[2]
    async with GuardedHttp(LIMITS) as http:
        for host in ("127.0.0.1", "localhost", "2130706433", "[::ffff:127.0.0.1]", "127.1", "0x7f000001"):
            with pytest.raises((AddressNotPublic, UrlUnusable)):
                await http.get(f"http://{host}:{port}/")
    assert reached == 0


async def test_a_name_that_leads_inward_is_refused(server: Callable[..., Any]) -> None:
    base = await server(say)

    async def lookup(host: str) -> Sequence[str]:
        return {
            "inward.test": ["127.0.0.2"],
            "mixed.test": ["127.0.0.1", "10.0.0.1"],
            "fine.test": ["127.0.0.1"],
        }[host]

    port = base.rpartition(":")[2]
    async with guarded(lookup) as http:
        assert (await http.get(f"http://fine.test:{port}/")).status == 200
        for host in ("inward.test", "mixed.test"):
            with pytest.raises(AddressNotPublic):
                await http.get(f"http://{host}:{port}/")


async def test_a_name_that_changes_its_mind_is_checked_each_time(server: Callable[..., Any]) -> None:
    base = await server(say)
    inner = await server(say, "127.0.0.2")
    assert inner
    answers = iter([["127.0.0.1"], ["127.0.0.2"]])
    asked: list[str] = []

    async def lookup(host: str) -> Sequence[str]:
        asked.append(host)
        return next(answers)

    port = base.rpartition(":")[2]
    async with guarded(lookup) as http:
        # One look-up serves the check and the connection: there is no second one to lie in.
        assert (
            await http.request("GET", f"http://rebind.test:{port}/", headers={"connection": "close"})
        ).status == 200
        assert asked == ["rebind.test"]
        with pytest.raises(AddressNotPublic):
            await http.get(f"http://rebind.test:{int(inner.rpartition(':')[2])}/")


async def test_the_connection_itself_is_checked_even_past_the_resolver(server: Callable[..., Any]) -> None:
    base = await server(say, "127.0.0.2")
    async with guarded() as http:
        assert http._session is not None
        with pytest.raises(AddressNotPublic):
            await http._session.get(base)


async def test_a_name_that_is_not_there_is_trouble_that_may_pass() -> None:
    async def lookup(host: str) -> Sequence[str]:
        raise OSError(host)

    async def nothing(_host: str) -> Sequence[str]:
        return []

    for each in (lookup, nothing):
        async with guarded(each) as http:
            with pytest.raises(HostUnreachable):
                await http.get("http://nowhere.test/")


async def test_redirects_are_followed_and_each_is_checked(server: Callable[..., Any]) -> None:
    inner = await server(say, "127.0.0.2")
    seen: list[tuple[str, str | None]] = []

    async def other(request: web.Request) -> web.Response:
        seen.append((request.path, request.headers.get("authorization")))
        return web.Response(text="other")

    elsewhere = await server(other)

    async def handler(request: web.Request) -> web.Response:
        seen.append((request.path, request.headers.get("authorization")))
        to = {
            "/once": "/end",
            "/inward": inner,
            "/inward-hidden": "http://2130706434/",
            "/file": "file:///etc/passwd",
            "/loop": "/loop",
            "/broken": "http://[",
            "/elsewhere": elsewhere + "/caught",
        }.get(request.path)
        return web.Response(text="end") if to is None else web.Response(status=302, headers={"location": to})

    base = await server(handler)
    async with guarded() as http:
        assert (await http.get(f"{base}/once")).body == b"end"
        for path, error in (
            ("inward", AddressNotPublic),
            ("inward-hidden", AddressNotPublic),
            ("file", UrlUnusable),
            ("loop", RedirectRefused),
            ("broken", RedirectRefused),
        ):
            with pytest.raises(error):
                await http.get(f"{base}/{path}")
        seen.clear()
        answer = await http.request("GET", f"{base}/elsewhere", headers={"Authorization": "Bearer x"})
        assert answer.body == b"other"
        assert answer.url.startswith(elsewhere)
    assert seen == [("/elsewhere", "Bearer x"), ("/caught", None)]


@pytest.mark.parametrize(
    ("status", "method", "arrives"),
    [
        (301, "POST", "GET /end "),
        (303, "PUT", "GET /end "),
        (307, "POST", "POST /end x"),
        (308, "PUT", "PUT /end x"),
    ],
)
async def test_what_a_redirect_makes_of_the_method(
    server: Callable[..., Any], status: int, method: str, arrives: str
) -> None:
    async def handler(request: web.Request) -> web.Response:
        if request.path == "/end":
            return await say(request)
        return web.Response(status=status, headers={"location": "/end"})

    base = await server(handler)
    async with guarded() as http:
        assert (await http.request(method, base, body=b"x")).body.decode() == arrives


async def test_an_answer_that_is_too_large_is_left_unread(server: Callable[..., Any]) -> None:
    sent = 0

    async def endless(request: web.Request) -> web.StreamResponse:
        nonlocal sent
        response = web.StreamResponse()
        await response.prepare(request)
        try:
            while sent < 100_000_000:
                await response.write(b"x" * 65_536)
                sent += 65_536
        except ConnectionError:
            pass
        return response

    async def announced(_request: web.Request) -> web.Response:
        return web.Response(body=b"x" * 10_001)

    async def bomb(_request: web.Request) -> web.Response:
        return web.Response(body=gzip.compress(b"\0" * 50_000_000), headers={"content-encoding": "gzip"})

    async with guarded(patience_s=5) as http:
        for handler in (endless, announced, bomb):
            with pytest.raises(AnswerTooLarge):
                await http.get(await server(handler))
    assert sent < 20_000_000


async def test_an_answer_that_is_broken(server: Callable[..., Any]) -> None:
    async def broken(_request: web.Request) -> web.Response:
        return web.Response(body=b"not gzip", headers={"content-encoding": "gzip"})

    base = await server(broken)
    async with guarded() as http:
        with pytest.raises(AnswerUnreadable):
            await http.get(base)


async def test_a_slow_server_is_given_up(server: Callable[..., Any]) -> None:
    asked = 0

    async def slow(request: web.Request) -> web.StreamResponse:
        nonlocal asked
        asked += 1
        response = web.StreamResponse()
        await response.prepare(request)
        for _ in range(100):
            await response.write(b".")
            await asyncio.sleep(0.05)
        return response

    base = await server(slow)
    async with guarded(patience_s=0.2, attempts=2) as http:
        with pytest.raises(HostTookTooLong):
            await http.get(base)
    assert asked == 2


async def test_trouble_that_may_pass_is_tried_again(server: Callable[..., Any]) -> None:
    asked: list[str] = []

    async def moody(request: web.Request) -> web.Response:
        asked.append(request.method)
        if len(asked) < 3:
            return web.Response(status=503, headers={"retry-after": "0"})
        return web.Response(text="at last")

    base = await server(moody)
    async with guarded() as http:
        assert (await http.get(base)).body == b"at last"
        assert asked == ["GET"] * 3
        asked.clear()
        with pytest.raises(HostBusy):
            await http.request("POST", base, body=b"x")
        assert asked == ["POST"]  # a write is not repeated unless the caller says it may be
        asked.clear()
        assert (await http.request("POST", base, body=b"x", repeatable=True)).status == 200


async def test_a_server_that_asks_for_a_long_pause_is_left_alone(server: Callable[..., Any]) -> None:
    asked = 0

    async def busy(_request: web.Request) -> web.Response:
        nonlocal asked
        asked += 1
        return web.Response(status=429, headers={"retry-after": "3600"})

    base = await server(busy)
    async with guarded() as http:
        with pytest.raises(HostBusy):
            await http.get(base)
    assert asked == 1


async def test_what_will_not_pass_is_not_tried_again(server: Callable[..., Any]) -> None:
    asked = 0

    async def gone(_request: web.Request) -> web.Response:
        nonlocal asked
        asked += 1
        return web.Response(status=404)

    base = await server(gone)
    async with guarded() as http:
        with pytest.raises(HostRefused):
            (await http.get(base)).accepted()
    assert asked == 1


async def test_nobody_listens() -> None:
    async with guarded(attempts=2) as http:
        with pytest.raises(HostUnreachable):
            await http.get("http://127.0.0.1:1/")


async def test_a_trusted_endpoint_may_be_anywhere_and_is_told_the_trace(server: Callable[..., Any]) -> None:
    async def handler(request: web.Request) -> web.Response:
        return web.Response(
            text=f"{request.headers.get('traceparent')} {request.headers.get('authorization')}"
        )

    base = await server(handler, "127.0.0.2")
    async with TrustedHttp(LIMITS) as http:
        with trace("test"):
            answer = await http.get(base.replace("http://", "http://u:p@"))
            assert f"00-{current_trace_id()}-" in answer.body.decode()
        assert b"Basic dTpw" in answer.body
        assert "u:p" not in answer.url
        with pytest.raises(UrlUnusable):
            await http.get("file:///etc/passwd")


async def test_the_environment_cannot_put_a_proxy_between(
    server: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    base = await server(say)
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    async with guarded() as http:
        assert (await http.get(base)).status == 200


async def test_a_cookie_is_not_kept(server: Callable[..., Any]) -> None:
    async def handler(request: web.Request) -> web.Response:
        return web.Response(text=str(dict(request.cookies)), headers={"set-cookie": "s=1"})

    base = await server(handler)
    async with guarded() as http:
        await http.get(base)
        assert (await http.get(base)).body == b"{}"
