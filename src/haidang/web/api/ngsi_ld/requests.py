"""One request, taken apart: raw path, query, media types, @context, body. Nothing is guessed."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import parse_qsl, unquote_to_bytes

import orjson

from haidang.context.fragments import NotOfferedYet
from haidang.context.jsonld import (
    CORE_URL,
    ContextUnreadable,
    Reference,
    TermContext,
    is_core_url,
    read_references,
)
from haidang.kernel.actors import Actor
from haidang.kernel.instants import Instant, InstantUnreadable, parse_instant
from haidang.web.api.ngsi_ld.problems import (
    JsonBroken,
    MediaTypeUnusable,
    NothingAcceptable,
    OptionUnknown,
    ParameterUnknown,
    ParameterWrong,
    RequestMalformed,
)
from haidang.web.shared.answers import header_of
from haidang.web.shared.errors import BodyTooLarge
from haidang.web.shared.house import Receive, Scope

JSON: Final = "application/json"
LD_JSON: Final = "application/ld+json"
MERGE_PATCH: Final = "application/merge-patch+json"
CONTEXT_REL: Final = "http://www.w3.org/ns/json-ld#context"

MOST_DEPTH: Final = 64

FORMATS: Final = frozenset(
    {"normalized", "concise", "simplified", "keyValues", "temporalValues", "aggregatedValues"}
)
OPTIONS: Final = FORMATS | {"sysAttrs", "noOverwrite", "replace", "update"}
"""Every value that the standard knows for `options` and `format`."""

_LINK = re.compile(r"<([^<>]*)>\s*((?:;\s*[\w*-]+\s*=\s*(?:\"[^\"]*\"|[^\s;,\"]+)\s*)*)")
_REL = re.compile(r";\s*rel\s*=\s*(?:\"([^\"]*)\"|([^\s;,\"]+))", re.IGNORECASE)
# Every string of a JSON text, and whether a colon follows: then it is the name of a member.
# Possessive: a repetition that may be given back remembers 100 bytes for each letter of a text.
_STRINGS = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"(\s*+:)?+')


@dataclass(slots=True)
class Request:
    """A request on its way to a verb. `segments` are the decoded parts of the path after the version."""

    scope: Scope
    receive: Receive
    method: str
    segments: tuple[str, ...]
    body_limit: int
    actor: Actor
    parameters: Mapping[str, str] = field(default_factory=dict)
    arguments: tuple[str, ...] = ()
    _body: bytes | None = None

    def header(self, name: bytes) -> str:
        """A header; empty when it was not sent."""
        return header_of(self.scope["headers"], name)

    @property
    def host(self) -> str:
        """The host this server was called by."""
        return self.header(b"host")

    async def body(self) -> bytes:
        """The whole body; raises BodyTooLarge before more than the limit was read."""
        if self._body is not None:
            return self._body
        announced = self.header(b"content-length")
        if announced.isdigit() and int(announced) > self.body_limit:
            raise BodyTooLarge(limit=self.body_limit)
        parts: list[bytes] = []
        size = 0
        while True:
            message = await self.receive()
            if message["type"] == "http.disconnect":
                raise JsonBroken(reason="it ended in the middle")
            part = message.get("body", b"")
            size += len(part)
            if size > self.body_limit:
                raise BodyTooLarge(limit=self.body_limit)
            parts.append(part)
            if not message.get("more_body", False):
                break
        self._body = b"".join(parts)
        return self._body

    def media_type(self) -> str:
        """The media type of the body; raises MediaTypeUnusable for one that is not JSON."""
        given = self.header(b"content-type").partition(";")[0].strip().lower()
        accepted = (JSON, LD_JSON, MERGE_PATCH) if self.method == "PATCH" else (JSON, LD_JSON)
        if given not in accepted:
            raise MediaTypeUnusable(given=given[:80] or "of no type", accepted=", ".join(accepted))
        return given

    async def document(self) -> Any:
        """The body as JSON; refuses what is broken, doubled or nested beyond reason."""
        return read_json(await self.body())

    def link_references(self) -> list[Reference]:
        """The @context that a Link header names; more than one is refused."""
        header = self.header(b"link")
        found: list[Reference] = [
            target
            for target, parameters in _LINK.findall(header)
            if CONTEXT_REL in (rel[0] or rel[1] for rel in _REL.findall(parameters))
        ]
        if len(found) > 1:
            raise ContextUnreadable(reason="there is more than one in the Link header")
        return found

    def body_references(self, document: Any) -> list[Reference] | None:
        """The @context in a document, as its media type demands it; None where the Link header says."""
        inside = isinstance(document, dict) and "@context" in document
        if self.media_type() == LD_JSON:
            if self.link_references():
                raise ContextUnreadable(reason="it is in the Link header of an application/ld+json request")
            if not inside:
                raise ContextUnreadable(reason="an application/ld+json body must hold it")
            return read_references(document["@context"])
        if inside:
            raise ContextUnreadable(reason="an application/json body must not hold it")
        return None

    def wants_ld(self) -> bool:
        """Whether the answer shall be JSON-LD; raises NothingAcceptable."""
        return _wants_ld(self.header(b"accept"))

    def flag(self, name: str) -> bool:
        """A parameter that is true or false."""
        text = self.parameters.get(name)
        if text is None:
            return False
        if text not in {"true", "false"}:
            raise ParameterWrong(reason=f"{name} must be true or false")
        return text == "true"

    def number(self, name: str, default: int) -> int:
        """A parameter that is a whole number, not negative."""
        text = self.parameters.get(name)
        if text is None:
            return default
        if not text.isascii() or not text.isdigit() or len(text) > 9:
            raise ParameterWrong(reason=f"{name} must be a whole number, 0 or more")
        return int(text)

    def instant(self, name: str) -> Instant | None:
        """A parameter that is a date and time."""
        text = self.parameters.get(name)
        if text is None:
            return None
        try:
            return parse_instant(text.replace(" ", "+"))
        except InstantUnreadable as unreadable:
            raise ParameterWrong(reason=f"{name}: {unreadable}") from None

    def names(self, name: str) -> list[str] | None:
        """A parameter that is a list of names, separated by commas."""
        text = self.parameters.get(name)
        if text is None:
            return None
        names = [one.strip() for one in text.split(",")]
        if not all(names):
            raise ParameterWrong(reason=f"{name} must be a list of names")
        return names

    def options(self) -> set[str]:
        """`options` and `format` together; of two representations the one in `format` counts."""
        given = {*(self.names("options") or ()), *(self.names("format") or ())}
        for one in given - OPTIONS:
            raise OptionUnknown(name=one[:80])
        chosen = self.names("format")
        if chosen is not None:
            given = (given - FORMATS) | set(chosen)
        return {"simplified" if one == "keyValues" else one for one in given}

    def check_parameters(self, known: frozenset[str], later: frozenset[str]) -> None:
        """Refuse a parameter that is unknown, and say of those to come that they are to come."""
        for name in self.parameters:
            if name in later:
                raise NotOfferedYet(what=f"the query parameter {name}")
            if name not in known:
                raise ParameterUnknown(name=name[:80])


def split_path(raw_path: bytes) -> tuple[str, ...] | None:
    """The decoded parts of a raw path after `/ngsi-ld/v1/`; None for any other path."""
    parts = raw_path.partition(b"?")[0].split(b"/")
    if len(parts) < 4 or parts[1] != b"ngsi-ld" or parts[2] != b"v1":
        return None
    parts = parts[3:-1] if parts[-1] == b"" else parts[3:]
    try:
        return tuple(unquote_to_bytes(part).decode("utf-8") for part in parts)
    except UnicodeDecodeError:
        raise RequestMalformed(reason="The path is not UTF-8") from None


def read_parameters(query: bytes) -> dict[str, str]:
    """The query parameters; one that is given twice is refused."""
    found: dict[str, str] = {}
    try:
        pairs = parse_qsl(query.decode("ascii"), keep_blank_values=True, max_num_fields=50, errors="strict")
    except (UnicodeDecodeError, ValueError):
        raise RequestMalformed(reason="The query cannot be read") from None
    for name, value in pairs:
        if name in found:
            raise RequestMalformed(reason=f"The query parameter {name[:80]} is given twice")
        found[name] = value
    return found


def read_json(body: bytes) -> Any:
    """A JSON text; refuses NaN, members given twice, and nesting beyond 64 levels."""
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError as broken:
        raise JsonBroken(reason=str(broken)) from None
    members = _count_members(document)
    if sum(1 for one in _STRINGS.finditer(body) if one[1] is not None) != members:
        raise JsonBroken(reason="a member is given twice")
    return document


def _count_members(document: Any) -> int:
    """How many members all objects have together; refuses what is nested too deeply."""
    members = 0
    level: list[Any] = [document]
    for _ in range(MOST_DEPTH):
        below: list[Any] = []
        for one in level:
            if isinstance(one, dict):
                members += len(one)
                below.extend(value for value in one.values() if isinstance(value, dict | list))
            elif isinstance(one, list):
                below.extend(value for value in one if isinstance(value, dict | list))
        if not below:
            return members
        level = below
    raise JsonBroken(reason=f"it is nested more than {MOST_DEPTH} levels deep")


def _wants_ld(accept: str) -> bool:
    if not accept.strip():
        return False
    weights = {JSON: -1.0, LD_JSON: -1.0}
    precision = {JSON: -1, LD_JSON: -1}
    for part in accept.split(","):
        kind, _, parameters = part.strip().partition(";")
        kind = kind.strip().lower()
        weight = _weight(parameters)
        for mine in weights:
            exact = 2 if kind == mine else 1 if kind == "application/*" else 0 if kind == "*/*" else -1
            if exact > precision[mine]:
                precision[mine], weights[mine] = exact, weight
    if max(weights.values()) <= 0:
        raise NothingAcceptable
    return weights[LD_JSON] > weights[JSON]


def _weight(parameters: str) -> float:
    for one in parameters.split(";"):
        name, _, value = one.strip().partition("=")
        if name.strip().lower() == "q":
            try:
                return float(value)
            except ValueError:
                return 0.0
    return 1.0


def context_member(terms: TermContext) -> Any:
    """The value of `@context` in an answer: the caller's own, or the core's."""
    named = [one for one in terms.references if not (isinstance(one, str) and is_core_url(one))]
    if not named:
        return CORE_URL
    return named[0] if len(named) == 1 else named


def context_link(references: Sequence[Reference]) -> bytes:
    """The Link header of an answer without @context."""
    urls = [one for one in references if isinstance(one, str)]
    url = urls[0] if urls else CORE_URL
    return f'<{url}>; rel="{CONTEXT_REL}"; type="{LD_JSON}"'.encode("latin-1", "replace")
