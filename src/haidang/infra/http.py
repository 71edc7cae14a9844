"""Requests to other servers, within limits; and to addresses that people gave us, never inward.

A URL that a person or a client gave (a subscription's endpoint, a dataset's address) may only
lead to a public address: it is checked as written, when its name is resolved, when the
connection is made, and again at each redirect. Resolution and connection use one answer, so a
name that changes its mind between the two gains nothing. Proxies in the environment and
cookies are not used.
"""

import asyncio
import contextlib
import random
import re
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Any, Self, TypeAlias

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from multidict import CIMultiDict
from yarl import URL

from haidang.infra.telemetry import span, traceparent
from haidang.kernel.errors import Invalid, Unavailable
from haidang.kernel.instants import Clock, SystemClock

Network: TypeAlias = IPv4Network | IPv6Network
Lookup: TypeAlias = Callable[[str], Awaitable[Sequence[str]]]
"""From a host name to its addresses, as text."""


URL_MESSAGES = {
    "credentials": "it holds a user name or password",
    "host": "it names no host",
    "malformed": "it is malformed",
    "scheme": "it does not begin with http:// or https://",
    "signs": "it holds a blank or a backslash",
    "too-long": "it is too long",
}
REDIRECT_MESSAGES = {
    "downgrade": "from https to http",
    "malformed": "it is malformed",
    "too-many": "too many times",
}


class UrlUnusable(Invalid):
    """The address {url} cannot be used: {reason}."""


class AddressNotPublic(Invalid):
    """The address of {host} is not a public one; only public servers may be named here."""


class AnswerTooLarge(Invalid):
    """The answer of {host} is larger than {limit_bytes} bytes."""


class AnswerUnreadable(Invalid):
    """The answer of {host} cannot be read."""


class RedirectRefused(Invalid):
    """{host} sends us elsewhere in a way we do not follow: {reason}."""


class HostUnreachable(Unavailable):
    """{host} cannot be reached."""


class HostTookTooLong(Unavailable):
    """{host} did not answer within {patience_s} seconds."""


class HostBusy(Unavailable):
    """{host} cannot answer now (status {status})."""


class HostRefused(Invalid):
    """{host} refused the request (status {status})."""


# Everything in the IANA special-purpose address registries that is not an ordinary public server,
# and of IPv6 only what is unicast at all: forms that carry an IPv4 address within (mapped,
# compatible, NAT64, Teredo, 6to4) lie outside 2000::/3 or are named here.
_NOT_PUBLIC_4 = tuple(
    IPv4Network(text)
    for text in (
        "0.0.0.0/8",
        "10.0.0.0/8",
        "100.64.0.0/10",
        "127.0.0.0/8",
        "169.254.0.0/16",
        "172.16.0.0/12",
        "192.0.0.0/24",
        "192.0.2.0/24",
        "192.31.196.0/24",
        "192.52.193.0/24",
        "192.88.99.0/24",
        "192.168.0.0/16",
        "192.175.48.0/24",
        "198.18.0.0/15",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "224.0.0.0/4",
        "240.0.0.0/4",
    )
)
_UNICAST_6 = IPv6Network("2000::/3")
_NOT_PUBLIC_6 = tuple(
    IPv6Network(text)
    for text in ("2001::/23", "2001:db8::/32", "2002::/16", "2620:4f:8000::/48", "3fff::/20")
)
_NAME = re.compile(
    r"(?=.{1,253}\Z)[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?(?:\.[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?)*\.?"
)
_ENDS_IN_A_NUMBER = re.compile(r"(?:.*\.)?(?:\d+|0x[0-9a-f]*)\.?")
_UNWRITABLE = re.compile(r"[\x00-\x20\x7f\\]")
_LONGEST_URL = 2_048

_REPEATABLE = frozenset({"GET", "HEAD", "OPTIONS", "PUT", "DELETE"})
_BUSY = frozenset({408, 425, 429, 500, 502, 503, 504})
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_SECRET_HEADERS = ("authorization", "cookie", "proxy-authorization")
_LONGEST_WAIT_S = 60.0


def is_public(address: str) -> bool:
    """Whether an address, in its usual form, is that of an ordinary public server."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return False
    if isinstance(parsed, IPv4Address):
        return not any(parsed in network for network in _NOT_PUBLIC_4)
    return (
        parsed.scope_id is None
        and parsed in _UNICAST_6
        and not any(parsed in network for network in _NOT_PUBLIC_6)
    )


@dataclass(frozen=True, slots=True)
class AddressGuard:
    """Which addresses may be reached: public ones, and the networks that the operator names."""

    allowed: tuple[Network, ...] = ()

    @classmethod
    def allowing(cls, *networks: str) -> Self:
        """A guard that lets these networks through as well: receivers within the province's own net."""
        return cls(tuple(ip_network(network) for network in networks))

    def admits(self, address: str) -> bool:
        """Whether a connection to this address may be made."""
        if is_public(address):
            return True
        try:
            parsed = ip_address(address)
        except ValueError:
            return False
        return any(parsed.version == network.version and parsed in network for network in self.allowed)

    def check(self, url: str) -> URL:
        """The URL, taken apart; raises UrlUnusable, and AddressNotPublic for an address written out.

        A name is checked when it is resolved. A number that only some programs read as an
        address (`2130706433`, `0177.1`, `0x7f.1`) is refused, whatever it would mean.
        """
        parsed = _parse(url)
        host = (parsed.raw_host or "").rstrip(".")
        if parsed.raw_user is not None or parsed.raw_password is not None:
            raise UrlUnusable(url=_shown(parsed), reason=URL_MESSAGES["credentials"])
        if ":" in host or _ENDS_IN_A_NUMBER.fullmatch(host):
            if not self.admits(host):
                raise AddressNotPublic(host=host)
        elif not _NAME.fullmatch(host):
            raise UrlUnusable(url=_shown(parsed), reason=URL_MESSAGES["host"])
        return parsed


@dataclass(frozen=True, slots=True)
class HttpLimits:
    """How much of other servers we put up with."""

    answer_bytes: int = 5 * 1024 * 1024
    patience_s: float = 10.0
    connect_patience_s: float = 5.0
    redirects: int = 3
    attempts: int = 3
    first_wait_s: float = 0.25


@dataclass(frozen=True, slots=True)
class HttpAnswer:
    """What a server answered, whole. Header names are small letters."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    url: str

    def accepted(self) -> Self:
        """The answer itself if its status is a 2xx; raises HostRefused."""
        if not 200 <= self.status < 300:
            raise HostRefused(host=_host(self.url), status=self.status)
        return self


class _GuardedResolver(AbstractResolver):
    """Names to addresses, every one of them admitted, or none."""

    def __init__(self, guard: AddressGuard, lookup: Lookup) -> None:
        self._guard = guard
        self._lookup = lookup

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        addresses = await self._lookup(host)
        if not addresses:
            raise OSError(f"{host} has no address")
        if not all(self._guard.admits(address) for address in addresses):
            raise AddressNotPublic(host=host)
        return [
            ResolveResult(
                hostname=host,
                host=address,
                port=port,
                family=_family(address),
                proto=0,
                flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
            )
            for address in addresses
            if family in {socket.AF_UNSPEC, _family(address)}
        ]

    async def close(self) -> None:
        """Nothing is held."""


async def system_lookup(host: str) -> Sequence[str]:
    """The addresses of a name as this machine resolves it."""
    found = await asyncio.get_running_loop().getaddrinfo(host, None, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(place[0]) for *_, place in found))


class _Http:
    """One session; what the two clients share."""

    def __init__(self, limits: HttpLimits, clock: Clock, guard: AddressGuard | None, lookup: Lookup) -> None:
        self._limits = limits
        self._clock = clock
        self._guard = guard
        self._lookup = lookup
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        guard = self._guard

        def open_socket(address: tuple[Any, ...]) -> socket.socket:
            family, kind, protocol, _, place = address
            if guard is not None and not guard.admits(str(place[0])):
                raise AddressNotPublic(host=str(place[0]))
            return socket.socket(family, kind, protocol)

        connector = aiohttp.TCPConnector(
            resolver=None if guard is None else _GuardedResolver(guard, self._lookup),
            use_dns_cache=guard is None,
            socket_factory=open_socket,
            limit=50,
            limit_per_host=8,
        )
        self._session = aiohttp.ClientSession(
            connector=connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            trust_env=False,
            headers={"user-agent": "haidang/0.1"},
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=self._limits.connect_patience_s),
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def get(self, url: str, *, headers: Mapping[str, str] | None = None) -> HttpAnswer:
        """GET, with retries; see `request`."""
        return await self.request("GET", url, headers=headers)

    async def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
        repeatable: bool | None = None,
    ) -> HttpAnswer:
        """Send a request and return the whole answer, whatever its status, redirects followed.

        Trouble that may pass (unreachable, too slow, busy) is tried again after a growing,
        random wait, if the method may be repeated or `repeatable` says so, and raised when the
        attempts are used up: HostUnreachable, HostTookTooLong, HostBusy. What will not pass is
        raised at once: UrlUnusable, AddressNotPublic, AnswerTooLarge, RedirectRefused.
        """
        may_repeat = method in _REPEATABLE if repeatable is None else repeatable
        attempts = self._limits.attempts if may_repeat else 1
        for attempt in range(1, attempts + 1):
            wait_s = 0.0
            try:
                answer = await self._attempt(method, url, headers or {}, body)
            except Unavailable:
                if attempt == attempts:
                    raise
            else:
                if answer.status not in _BUSY:
                    return answer
                wait_s = self._asked_to_wait(answer)
                if attempt == attempts or wait_s > _LONGEST_WAIT_S:
                    raise HostBusy(host=_host(answer.url), status=answer.status)
            # Full jitter: those who failed together do not come back together.
            most = self._limits.first_wait_s * 2.0 ** (attempt - 1)
            await asyncio.sleep(max(wait_s, random.uniform(0, most)))  # noqa: S311 - a wait is no secret
        raise AssertionError("attempts is at least 1")

    async def _attempt(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes | None
    ) -> HttpAnswer:
        host = _host(url)
        try:
            with span("http", method=method, host=host):
                async with asyncio.timeout(self._limits.patience_s):
                    return await self._follow(method, self._checked(url), CIMultiDict(headers), body)
        except TimeoutError:
            raise HostTookTooLong(host=host, patience_s=self._limits.patience_s) from None
        except (aiohttp.InvalidURL, aiohttp.ClientResponseError, aiohttp.ContentTypeError) as trouble:
            raise AnswerUnreadable(host=host) from trouble
        except aiohttp.ClientPayloadError as trouble:
            if isinstance(trouble.__cause__, aiohttp.http_exceptions.ContentEncodingError):
                raise AnswerUnreadable(host=host) from trouble
            raise HostUnreachable(host=host) from trouble
        except (aiohttp.ClientError, OSError) as trouble:
            raise HostUnreachable(host=host) from trouble

    async def _follow(
        self, method: str, url: URL, headers: CIMultiDict[str], body: bytes | None
    ) -> HttpAnswer:
        for _ in range(self._limits.redirects + 1):
            async with self._send(method, url, headers, body) as response:
                location = response.headers.get("location")
                if response.status not in _REDIRECTS or location is None:
                    return HttpAnswer(
                        response.status,
                        {name.lower(): value for name, value in response.headers.items()},
                        b"" if method == "HEAD" else await self._read(response),
                        str(url.with_user(None)),
                    )
                status = response.status
            onward = self._onward(url, location)
            if onward.origin() != url.origin():
                for secret in _SECRET_HEADERS:
                    headers.popall(secret, None)
            if status == 303 or (status in {301, 302} and method == "POST"):
                method, body = ("HEAD" if method == "HEAD" else "GET"), None
                headers.popall("content-type", None)
            url = onward
        raise RedirectRefused(host=url.raw_host, reason=REDIRECT_MESSAGES["too-many"])

    @contextlib.asynccontextmanager
    async def _send(
        self, method: str, url: URL, headers: Mapping[str, str], body: bytes | None
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        if self._session is None:
            raise AssertionError("the client is used inside `async with`")
        sent = CIMultiDict(headers)
        place = traceparent()
        if place is not None:
            sent["traceparent"] = place
        async with self._session.request(
            method, url, headers=sent, data=body, allow_redirects=False
        ) as response:
            yield response

    async def _read(self, response: aiohttp.ClientResponse) -> bytes:
        """The body, unpacked, as long as it stays within the limit; never more of it in memory."""
        limit = self._limits.answer_bytes
        if (response.content_length or 0) > limit:
            response.close()
            raise AnswerTooLarge(host=response.url.raw_host, limit_bytes=limit)
        read = bytearray()
        async for chunk in response.content.iter_chunked(64 * 1024):
            read += chunk
            if len(read) > limit:
                response.close()
                raise AnswerTooLarge(host=response.url.raw_host, limit_bytes=limit)
        return bytes(read)

    def _checked(self, url: str) -> URL:
        return _parse(url) if self._guard is None else self._guard.check(url)

    def _onward(self, url: URL, location: str) -> URL:
        try:
            joined = str(url.join(URL(location)))
        except ValueError:
            raise RedirectRefused(host=url.raw_host, reason=REDIRECT_MESSAGES["malformed"]) from None
        onward = self._checked(joined)
        if url.scheme == "https" and onward.scheme != "https":
            raise RedirectRefused(host=url.raw_host, reason=REDIRECT_MESSAGES["downgrade"])
        return onward

    def _asked_to_wait(self, answer: HttpAnswer) -> float:
        """The seconds of `Retry-After`, given as a number or as a date."""
        text = answer.headers.get("retry-after", "")
        if text.isascii() and text.isdigit():
            return float(text[:9])
        with contextlib.suppress(ValueError, TypeError):
            return max(0.0, (parsedate_to_datetime(text) - self._clock.now()).total_seconds())
        return 0.0


class GuardedHttp(_Http):
    """The client for addresses that others gave us."""

    def __init__(
        self,
        limits: HttpLimits | None = None,
        *,
        guard: AddressGuard | None = None,
        clock: Clock | None = None,
        lookup: Lookup = system_lookup,
    ) -> None:
        super().__init__(limits or HttpLimits(), clock or SystemClock(), guard or AddressGuard(), lookup)


class TrustedHttp(_Http):
    """The client for endpoints that the operator configured, which may be anywhere."""

    def __init__(self, limits: HttpLimits | None = None, *, clock: Clock | None = None) -> None:
        super().__init__(limits or HttpLimits(), clock or SystemClock(), None, system_lookup)


def _parse(url: str) -> URL:
    if len(url) > _LONGEST_URL:
        raise UrlUnusable(url=url[:100], reason=URL_MESSAGES["too-long"])
    if _UNWRITABLE.search(url):
        raise UrlUnusable(url=_UNWRITABLE.sub("?", url), reason=URL_MESSAGES["signs"])
    try:
        parsed = URL(url)
        host = parsed.raw_host
    except ValueError:
        raise UrlUnusable(url="", reason=URL_MESSAGES["malformed"]) from None
    if parsed.scheme not in {"http", "https"}:
        raise UrlUnusable(url=_shown(parsed), reason=URL_MESSAGES["scheme"])
    if not host:
        raise UrlUnusable(url=_shown(parsed), reason=URL_MESSAGES["host"])
    return parsed


def _shown(url: URL) -> str:
    """The URL without what may be secret in it."""
    return (
        f"{url.scheme}://{url.raw_host or ''}{'' if url.explicit_port is None else f':{url.explicit_port}'}"
    )


def _host(url: str) -> str:
    try:
        return URL(url).raw_host or ""
    except ValueError:
        return ""


def _family(address: str) -> socket.AddressFamily:
    return socket.AF_INET6 if isinstance(ip_address(address), IPv6Address) else socket.AF_INET
