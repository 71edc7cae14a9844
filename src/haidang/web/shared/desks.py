"""Who acts in the officers' frames before anybody can sign in: the name that was said at this machine.

The person on duty says a name once; a cookie of this machine keeps it for a shift. It proves nothing,
so what is done under it is kept as `unverified:NAME` for ever, and every page says so beside it. An
act comes from a page of ours, opened at this machine, or is refused. Signing in replaces this. See
ADR 0058.
"""

import re
from dataclasses import dataclass
from urllib.parse import quote, unquote, urlsplit

from haidang.infra.settings import is_loopback
from haidang.kernel.actors import Actor, Audience
from haidang.kernel.errors import Denied, Invalid
from haidang.kernel.text import nfc
from haidang.web.shared.answers import Header, header_of
from haidang.web.shared.audiences import actor_of
from haidang.web.shared.frame import without_locale
from haidang.web.shared.house import House, Scope

UNVERIFIED = "unverified:"
"""Before the name that an act is recorded under: nobody proved to be who they said."""

LONGEST_NAME = 60
_COOKIE = "haidang-desk"
_KEPT_S = 12 * 3600
_CARRIED_ON = frozenset({b"forwarded", b"via", b"x-forwarded-for", b"x-forwarded-host", b"x-real-ip"})
_UNSEEN = re.compile(r"[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]")


class NameUnusable(Invalid):
    """Say a name that colleagues know you by: 2 to {longest} characters, with a letter in it."""


class ChangeFromElsewhere(Denied):
    """This change did not come from a page of this platform opened on this machine, so nothing was done."""


@dataclass(frozen=True, slots=True)
class Officer:
    """Who works at this machine: an actor for services, and the name they said; empty until then."""

    actor: Actor
    name: str

    @property
    def here(self) -> bool:
        """Whether they are at this machine itself: whom a proxy carried on is a visitor like any other."""
        return self.actor.belongs_to(Audience.OFFICER)

    @property
    def by(self) -> str:
        """What an act is recorded under: the name, marked as not verified."""
        return UNVERIFIED + self.name


def officer_of(scope: Scope) -> Officer:
    """Who works at the machine that asks; an administrator where the page is one of `/admin`."""
    if not _at_this_machine(scope):
        return Officer(actor_of(scope), "")
    audiences = {Audience.PUBLIC, Audience.OFFICER}
    if without_locale(str(scope["path"])).split("/")[1:2] == ["admin"]:
        audiences.add(Audience.ADMINISTRATOR)
    actor = Actor("urn:haidang:actor:desk", frozenset(audiences), actor_of(scope).tenant)
    return Officer(actor, _name_in(header_of(scope["headers"], b"cookie")))


def check_change(house: House, scope: Scope) -> None:
    """Refuse what was not sent by a page of ours that was opened at this machine itself.

    A browser says where a form comes from by `Origin`, newer ones by `Sec-Fetch-Site` too; whoever says
    neither is no browser. Raises ChangeFromElsewhere.
    """
    headers = scope["headers"]
    site = header_of(headers, b"sec-fetch-site")
    origin = header_of(headers, b"origin")
    host = header_of(headers, b"host").strip().lower()
    ours = (not site or site == "same-origin") and (not origin or urlsplit(origin).netloc == host)
    here = is_loopback(house.settings.host) and _at_this_machine(scope)
    if not (here and ours and (site or origin)):
        raise ChangeFromElsewhere


def read_name(text: str) -> str:
    """A name as it was typed, composed and trimmed; raises NameUnusable."""
    name = " ".join(nfc(_UNSEEN.sub(" ", text)).split())
    if not 2 <= len(name) <= LONGEST_NAME or not any(one.isalpha() for one in name):
        raise NameUnusable(longest=LONGEST_NAME)
    return name


def said_by(recorded: str) -> tuple[str, bool]:
    """The name in what an act is recorded under, and whether somebody proved to bear it."""
    unverified = recorded.startswith(UNVERIFIED)
    return recorded.removeprefix(UNVERIFIED), not unverified


def name_cookie(name: str) -> Header:
    """The header that keeps a name on this machine for a shift; no name takes it away."""
    kept_s = _KEPT_S if name else 0
    text = f"{_COOKIE}={quote(name, safe='')}; Path=/; Max-Age={kept_s}; HttpOnly; SameSite=Strict"
    return (b"set-cookie", text.encode("ascii"))


def _at_this_machine(scope: Scope) -> bool:
    client = scope.get("client")
    carried_on = any(name in _CARRIED_ON for name, _ in scope["headers"])
    return not carried_on and (client is None or is_loopback(str(client[0])))


def _name_in(cookies: str) -> str:
    """The name in the cookies of a request; none when it could not have been said on a page of ours."""
    for part in cookies.replace(", ", ";").split(";"):
        key, _, value = part.strip().partition("=")
        if key == _COOKIE:
            try:
                return read_name(unquote(value, errors="strict"))
            except (NameUnusable, UnicodeDecodeError):
                return ""
    return ""
