"""The @context of NGSI-LD: from short names to IRIs and back, without asking the Internet for the core.

PyLD processes a context once; from its result come plain maps, and names are looked up in those
(ADR 0024). The core context is always applied last and cannot be overridden, whatever its URL.
"""

import asyncio
import re
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, TypeAlias
from urllib.parse import urlsplit

import orjson
from pyld import jsonld

from haidang.context.model import ORIGIN, QUALITY, is_uri
from haidang.infra.http import GuardedHttp, HttpLimits
from haidang.kernel.errors import HaidangError, Invalid, Unavailable
from haidang.sdk.model import Pack

DEFAULT_VOCABULARY: Final = "https://uri.etsi.org/ngsi-ld/default-context/"
CORE_URL: Final = "https://uri.etsi.org/ngsi-ld/v1/ngsi-ld-core-context-v1.9.jsonld"
PACKS_PATH: Final = "/ngsi-ld/v1/jsonldContexts/packs"

_CORE_URLS = re.compile(
    r"https?://uri\.etsi\.org/ngsi-ld/(?:v1/ngsi-ld-core-context(?:-v1\.[0-9]+)?\.jsonld|v1)"
)
_FORBIDDEN = re.compile(r"[<>\"'=;()\s\x00-\x1f]")
_VOCABULARY: Final = "https://uri.etsi.org/ngsi-ld/"
_KEPT_CONTEXTS = 512
_KEPT_DOCUMENTS = 64
_ASKED_AT_ONCE = 4
_LARGEST_DOCUMENT = 256 * 1024
_KEPT_NAMES = 20_000
_FRESH_S = 3600.0
_FAILED_S = 15.0
_MOST_DOCUMENTS = 24

Reference: TypeAlias = "str | Mapping[str, Any]"
"""A context as somebody names it: its URL, or the thing itself."""

Fetch: TypeAlias = Callable[[str], Awaitable[bytes]]
"""Gets a context from its URL; raises one of our errors."""


PATIENCE: Final = HttpLimits(answer_bytes=2 * 1024 * 1024, patience_s=5, connect_patience_s=3, attempts=1)
"""A request waits for a context: it is had at once or not at all."""


class ContextUnreadable(Invalid):
    """The @context cannot be used: {reason}."""


class ContextNotAvailable(Unavailable):
    """The @context {url} cannot be had: {reason}."""


class NameForbidden(Invalid):
    """{name} cannot be the name of an attribute or type: it contains a character that may not be there."""


def _core() -> dict[str, Any]:
    carried = orjson.loads((Path(__file__).parent / "core_context.json").read_bytes())
    context: dict[str, Any] = {"@version": 1.1, **carried["prefixes"]}
    for term, definition in carried["terms"].items():
        iri, *more = definition if isinstance(definition, list) else [definition]
        entry: dict[str, Any] = {"@id": _VOCABULARY + iri[1:] if iri.startswith("~") else iri}
        for one in more:
            container = one in {"@list", "@set", "@language", "@index"}
            entry["@container" if container else "@type"] = _VOCABULARY + one if one == "DateTime" else one
        context[term] = entry["@id"] if len(entry) == 1 else entry
    context["@vocab"] = carried["vocab"]
    return context


CORE_CONTEXT: Final[Mapping[str, Any]] = _core()


class TermContext:
    """One @context made ready: short names to IRIs and back. Lookups are remembered."""

    def __init__(self, references: Sequence[Reference], active: Mapping[str, Any]) -> None:
        self.references = tuple(references)
        mappings: Mapping[str, Any] = active["mappings"]
        self._terms: dict[str, str] = {}
        self._prefixes: list[tuple[str, str]] = []
        self._keywords: set[str] = set()
        for term, mapping in mappings.items():
            iri = mapping.get("@id") if mapping else None
            if not isinstance(iri, str):
                continue
            if iri.startswith("@"):
                self._keywords.add(term)
                continue
            self._terms[term] = iri
            if mapping.get("_prefix"):
                self._prefixes.append((iri, term))
        self._vocab: str = active.get("@vocab") or DEFAULT_VOCABULARY
        # The shortest name wins, then the first in the alphabet: as JSON-LD's inverse context has it.
        self._short: dict[str, str] = {}
        for term in sorted(self._terms, key=lambda one: (len(one), one)):
            self._short.setdefault(self._terms[term], term)
        self._prefixes.sort(key=lambda one: -len(one[0]))
        self._expanded: dict[str, str] = {}
        self._compacted: dict[str, str] = {}

    def expand(self, name: str) -> str:
        """The IRI of a term, a compact IRI or an IRI; refuses names with characters that may not be."""
        known = self._expanded.get(name)
        if known is not None:
            return known
        iri = self._expand(name)
        if len(self._expanded) < _KEPT_NAMES:
            self._expanded[name] = iri
        return iri

    def _expand(self, name: str) -> str:
        if name in self._terms:
            return self._terms[name]
        prefix, colon, rest = name.partition(":")
        if colon:
            if not rest.startswith("//") and prefix in self._terms:
                name = self._terms[prefix] + rest
            if not is_uri(name):
                raise NameForbidden(name=name[:200])
            return name
        if not name or name.startswith("@") or name in self._keywords or _FORBIDDEN.search(name):
            raise NameForbidden(name=name[:200])
        return self._vocab + name

    def compact(self, iri: str) -> str:
        """The short name of an IRI: a term, what follows the default vocabulary, or a compact IRI."""
        known = self._compacted.get(iri)
        if known is not None:
            return known
        name = self._compact(iri)
        if len(self._compacted) < _KEPT_NAMES:
            self._compacted[iri] = name
        return name

    def _compact(self, iri: str) -> str:
        term = self._short.get(iri)
        if term is not None:
            return term
        if iri.startswith(self._vocab):
            rest = iri.removeprefix(self._vocab)
            if rest and ":" not in rest and rest not in self._terms:
                return rest
        for prefix_iri, prefix in self._prefixes:
            if iri.startswith(prefix_iri) and iri != prefix_iri:
                candidate = f"{prefix}:{iri.removeprefix(prefix_iri)}"
                if candidate not in self._terms:
                    return candidate
        return iri


class _NotHere(Exception):
    """A context that the processor needs has not been fetched yet."""

    def __init__(self, url: str) -> None:
        self.url = url
        super().__init__(url)


class Contexts:
    """All contexts the platform has met: the core, that of the packs, and remote ones, remembered.

    A remote context is kept for an hour and used longer when its server is away; one that could
    not be had is not asked for again for fifteen seconds, so that nobody waits for it twice.
    """

    def __init__(self, packs: Iterable[Pack] = (), fetch: Fetch | None = None) -> None:
        self._fetch = fetch
        # Anybody may name a context: few are asked for at once, and what is kept is bounded.
        self._asking = asyncio.Semaphore(_ASKED_AT_ONCE)
        self._documents: OrderedDict[str, tuple[float, Any]] = OrderedDict()
        self._failed: dict[str, tuple[float, str]] = {}
        self._ready: OrderedDict[bytes, tuple[float, TermContext]] = OrderedDict()
        self.packs_context: Mapping[str, str] = packs_context(packs)
        self.core = TermContext([], _process([], {}, CORE_URL))

    async def of(self, references: Sequence[Reference], *, own_host: str = "") -> TermContext:
        """The context that these references make together; raises ContextUnreadable, ContextNotAvailable."""
        named = [one for one in references if not (isinstance(one, str) and is_core_url(one))]
        if not named:
            return self.core
        key = orjson.dumps([named, own_host])
        ready = self._ready.get(key)
        if ready is not None and time.monotonic() - ready[0] < _FRESH_S:
            self._ready.move_to_end(key)
            return ready[1]
        known: dict[str, Any] = {}
        wanted: list[Reference] = [
            self.packs_context if isinstance(one, str) and self._is_packs(one, own_host) else one
            for one in named
        ]
        for _ in range(_MOST_DOCUMENTS):
            try:
                active = await asyncio.to_thread(_process, wanted, known, CORE_URL)
            except _NotHere as missing:
                if self._is_packs(missing.url, own_host):
                    known[missing.url] = {"@context": dict(self.packs_context)}
                else:
                    known[missing.url] = await self._document(missing.url)
            else:
                made = TermContext(named, active)
                self._ready[key] = (time.monotonic(), made)
                if len(self._ready) > _KEPT_CONTEXTS:
                    self._ready.popitem(last=False)
                return made
        raise ContextUnreadable(reason="it refers to too many other contexts")

    def _is_packs(self, url: str, own_host: str) -> bool:
        if url == PACKS_PATH:
            return True
        parts = urlsplit(url)
        return bool(own_host) and parts.path == PACKS_PATH and parts.netloc == own_host

    async def _document(self, url: str) -> Any:
        now = time.monotonic()
        kept = self._documents.get(url)
        if kept is not None and now - kept[0] < _FRESH_S:
            return kept[1]
        failed = self._failed.get(url)
        if failed is not None and now - failed[0] < _FAILED_S:
            raise ContextNotAvailable(url=url, reason=failed[1])
        try:
            async with self._asking:
                document = await self._get(url)
        except HaidangError as trouble:
            if kept is not None:
                return kept[1]
            if len(self._failed) > _KEPT_CONTEXTS:
                self._failed.clear()
            self._failed[url] = (now, str(trouble).rstrip("."))
            if isinstance(trouble, ContextUnreadable | ContextNotAvailable):
                raise
            raise ContextNotAvailable(url=url, reason=str(trouble).rstrip(".")) from trouble
        self._documents[url] = (now, document)
        if len(self._documents) > _KEPT_DOCUMENTS:
            self._documents.popitem(last=False)
        return document

    async def _get(self, url: str) -> Any:
        if self._fetch is None:
            raise ContextNotAvailable(url=url, reason="this server fetches nothing")
        body = await self._fetch(url)
        if len(body) > _LARGEST_DOCUMENT:
            raise ContextUnreadable(reason=f"{url} is larger than {_LARGEST_DOCUMENT} bytes")
        try:
            document = orjson.loads(body)
        except orjson.JSONDecodeError:
            raise ContextUnreadable(reason=f"{url} is not JSON") from None
        if not isinstance(document, dict) or "@context" not in document:
            raise ContextUnreadable(reason=f"{url} has no @context")
        return {"@context": document["@context"]}


def fetching_with(http: GuardedHttp) -> Fetch:
    """Fetch contexts with the client that reaches public addresses only."""

    async def fetch(url: str) -> bytes:
        accepted = {"accept": "application/ld+json, application/json;q=0.9"}
        return (await http.get(url, headers=accepted)).accepted().body

    return fetch


def is_core_url(url: str) -> bool:
    """Whether a URL names the core context, of whatever version."""
    return _CORE_URLS.fullmatch(url) is not None


def packs_context(packs: Iterable[Pack]) -> dict[str, str]:
    """The terms of all packs' entity types; of two packs that use one word, the first has it."""
    terms: dict[str, str] = {"quality": QUALITY, "origin": ORIGIN}
    for pack in packs:
        for entity_type in pack.entity_types:
            terms.setdefault(entity_type.name, entity_type.iri)
            for attribute in entity_type.attributes:
                terms.setdefault(attribute.name, attribute.iri)
    return terms


def read_references(context: Any) -> list[Reference]:
    """The value of an `@context` member as a list of references; raises ContextUnreadable."""
    found: list[Reference] = []
    for one in context if isinstance(context, list) else [context]:
        if (isinstance(one, str) and one) or isinstance(one, Mapping):
            found.append(one)
        elif isinstance(one, list):
            found.extend(read_references(one))
        else:
            raise ContextUnreadable(reason="it must be a URL, an object, or a list of these")
    return found


def _process(references: Sequence[Reference], documents: Mapping[str, Any], base: str) -> Mapping[str, Any]:
    """Let PyLD process references and then the core; raises _NotHere for what is not in `documents`."""

    def load(url: str, _options: object) -> dict[str, Any]:
        if is_core_url(url):
            return {"contentType": None, "contextUrl": None, "documentUrl": url, "document": {"@context": {}}}
        if url not in documents:
            raise _NotHere(url)
        return {"contentType": None, "contextUrl": None, "documentUrl": url, "document": documents[url]}

    options = {"base": base, "documentLoader": load, "processingMode": "json-ld-1.1"}
    options["contextResolver"] = jsonld.ContextResolver({}, load)
    processor = jsonld.JsonLdProcessor()
    active: Mapping[str, Any]
    try:
        initial = processor.process_context(None, None, options)
        given = processor.process_context(initial, [*references], options)
        active = processor.process_context(given, dict(CORE_CONTEXT), options)
    except jsonld.JsonLdError as wrong:
        missing = _cause(wrong)
        if missing is not None:
            raise missing from None
        raise ContextUnreadable(reason=str(wrong.args[0] if wrong.args else wrong)) from None
    except (TypeError, ValueError, AttributeError, KeyError, RecursionError) as wrong:
        raise ContextUnreadable(reason=type(wrong).__name__) from None
    return active


def _cause(error: BaseException | None) -> _NotHere | None:
    while error is not None:
        if isinstance(error, _NotHere):
            return error
        error = getattr(error, "cause", None) or error.__cause__ or error.__context__
    return None
