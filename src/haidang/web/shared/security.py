"""Headers that every answer carries, and the hosts we answer for."""

from collections.abc import Iterable, Sequence
from functools import lru_cache
from urllib.parse import urlsplit

from haidang.infra.settings import is_loopback

CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; font-src 'self'; "
    "connect-src 'self'; manifest-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
"""No inline script or style, no other host, no frame: see ADR 0036. No page needs a nonce."""

LIVE_MAP_POLICY = (
    CONTENT_SECURITY_POLICY.replace("img-src 'self'", "img-src 'self' data: blob:") + "; worker-src 'self'"
)
"""A page with a live map: its worker is a file of ours, and it makes pictures in memory. See ADR 0049."""

_ALWAYS: tuple[tuple[bytes, bytes], ...] = (
    (b"content-security-policy", CONTENT_SECURITY_POLICY.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"strict-origin-when-cross-origin"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"permissions-policy", b"camera=(), geolocation=(), microphone=(), payment=(), usb=()"),
    (b"x-frame-options", b"DENY"),
)
_HERE_ALLOWED = b"camera=(), geolocation=(self), microphone=(), payment=(), usb=()"
_HSTS = (b"strict-transport-security", b"max-age=31536000; includeSubDomains")
_NAMES = frozenset(name for name, _ in (*_ALWAYS, _HSTS))


def security_headers(*, loopback: bool, present: Iterable[bytes] = ()) -> list[tuple[bytes, bytes]]:
    """The headers to add to an answer that has `present` already; HSTS never on loopback."""
    had = set(present)
    wanted: Sequence[tuple[bytes, bytes]] = _ALWAYS if loopback else (*_ALWAYS, _HSTS)
    if had.isdisjoint(_NAMES):
        return list(wanted)
    return [pair for pair in wanted if pair[0] not in had]


def live_map_headers(wmts_url: str | None = None, *, geolocation: bool = False) -> list[tuple[bytes, bytes]]:
    """What a page with a live map says instead; a province's own map service is the one other host.

    `geolocation` lets the page ask the browser where the visitor is, who is asked in turn.
    """
    policy = LIVE_MAP_POLICY
    if wmts_url:
        address = urlsplit(wmts_url)
        service = f"{address.scheme}://{address.netloc}"
        for directive in ("img-src", "connect-src"):
            policy = policy.replace(f"{directive} 'self'", f"{directive} 'self' {service}")
    headers = [(b"content-security-policy", policy.encode())]
    if geolocation:
        headers.append((b"permissions-policy", _HERE_ALLOWED))
    return headers


def host_name(host_header: str) -> str:
    """The name in a Host header, without its port: `localhost`, `127.0.0.1`, `::1`."""
    host = host_header.strip().lower()
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.rpartition(":")[0] if host.count(":") == 1 else host


@lru_cache(maxsize=256)
def answers_for(host_header: str, bound_to: str) -> bool:
    """Whether we answer a request for that host.

    Bound to loopback, only loopback names are ours: a page of another site whose name was made
    to resolve to 127.0.0.1 (DNS rebinding) sends its own name here and is turned away.
    """
    return not is_loopback(bound_to) or is_loopback(host_name(host_header))
