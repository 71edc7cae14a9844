"""The @context: core inside, remote ones fetched once, wrong ones told."""

import re
from collections import Counter
from typing import Any

import orjson
import pytest

from haidang.context.jsonld import (
    CORE_URL,
    PACKS_PATH,
    PATIENCE,
    ContextNotAvailable,
    Contexts,
    ContextUnreadable,
    NameForbidden,
    fetching_with,
    is_core_url,
    read_references,
)
from haidang.infra.http import GuardedHttp
from haidang.kernel.errors import Unavailable
from haidang.kernel.instants import SetClock
from haidang.packs.environment.pack import PACK as ENVIRONMENT

DEFAULT = "https://uri.etsi.org/ngsi-ld/default-context/"
NGSI_LD = "https://uri.etsi.org/ngsi-ld/"


class ServerAway(Unavailable):
    """The server is away."""


class Shelf:
    """Serves contexts by URL and counts how often each was asked for."""

    def __init__(self, documents: dict[str, Any]) -> None:
        self.documents = documents
        self.asked: Counter[str] = Counter()

    async def fetch(self, url: str) -> bytes:
        """The document, or ServerAway."""
        self.asked[url] += 1
        if url not in self.documents:
            raise ServerAway
        document = self.documents[url]
        return document if isinstance(document, bytes) else orjson.dumps(document)


def test_the_core_is_inside() -> None:
    core = Contexts().core
    assert core.expand("location") == NGSI_LD + "location"
    assert core.expand("pm25") == DEFAULT + "pm25"
    assert core.compact(DEFAULT + "pm25") == "pm25"
    assert core.compact(NGSI_LD + "location") == "location"
    assert core.expand("https://example.org/a") == "https://example.org/a"
    assert core.compact("https://example.org/a") == "https://example.org/a"
    assert core.expand("đường") == DEFAULT + "đường"
    assert core.expand("description") == "http://purl.org/dc/terms/description"


@pytest.mark.parametrize(
    "version", ["", "-v1.0", "-v1.3", "-v1.4", "-v1.5", "-v1.6", "-v1.7", "-v1.8", "-v1.9"]
)
def test_every_version_of_the_core_is_the_core(version: str) -> None:
    assert is_core_url(f"https://uri.etsi.org/ngsi-ld/v1/ngsi-ld-core-context{version}.jsonld")
    assert not is_core_url(f"https://uri.etsi.org.example.org/v1/ngsi-ld-core-context{version}.jsonld")


@pytest.mark.parametrize("name", ["", "a b", "a<b", 'a"b', "a(b)", "@graph", "a;b", "x:y z", "a\x00"])
def test_forbidden_names(name: str) -> None:
    with pytest.raises(NameForbidden):
        Contexts().core.expand(name)


async def test_a_context_gives_names_and_the_core_cannot_be_overridden() -> None:
    terms = await Contexts().of(
        [
            {
                "ex": "https://example.org/",
                "speed": "ex:speed",
                "owner": {"@id": "ex:owner", "@type": "@id"},
                "location": "ex:elsewhere",
                "type": "@type",
                "nothing": None,
            }
        ]
    )
    assert terms.expand("speed") == "https://example.org/speed"
    assert terms.expand("owner") == "https://example.org/owner"
    assert terms.expand("ex:colour") == "https://example.org/colour"
    assert terms.expand("location") == NGSI_LD + "location"
    assert terms.expand("nothing") == DEFAULT + "nothing"
    assert terms.compact("https://example.org/speed") == "speed"
    assert terms.compact("https://example.org/colour") == "ex:colour"


async def test_remote_contexts_are_fetched_once_even_when_nested() -> None:
    shelf = Shelf(
        {
            "https://a.example/1": {
                "@context": ["https://a.example/2", {"own": "https://a.example/own"}, CORE_URL]
            },
            "https://a.example/2": {"@context": {"far": "https://a.example/far"}},
        }
    )
    contexts = Contexts((), shelf.fetch)
    for _ in range(3):
        terms = await contexts.of(["https://a.example/1"])
    assert terms.expand("far") == "https://a.example/far"
    assert terms.expand("own") == "https://a.example/own"
    assert shelf.asked == {"https://a.example/1": 1, "https://a.example/2": 1}


async def test_a_server_that_is_away_is_not_asked_again_at_once() -> None:
    shelf = Shelf({})
    contexts = Contexts((), shelf.fetch)
    for _ in range(3):
        with pytest.raises(ContextNotAvailable):
            await contexts.of(["https://away.example/c"])
    assert shelf.asked == {"https://away.example/c": 1}


async def test_a_cyclic_context_ends() -> None:
    shelf = Shelf(
        {
            "https://a.example/1": {"@context": "https://a.example/2"},
            "https://a.example/2": {"@context": ["https://a.example/1", {"x": "https://a.example/x"}]},
        }
    )
    with pytest.raises(ContextUnreadable, match="Cyclical"):
        await Contexts((), shelf.fetch).of(["https://a.example/1"])


@pytest.mark.parametrize(
    "document", [b"<html>", b"[1]", {"no": "context"}, {"@context": 5}, {"@context": {"a": 5}}]
)
async def test_what_is_not_a_context_is_refused(document: Any) -> None:
    with pytest.raises(ContextUnreadable):
        await Contexts((), Shelf({"https://a.example/c": document}).fetch).of(["https://a.example/c"])


async def test_a_context_is_never_fetched_from_an_address_within(clock: SetClock) -> None:
    async with GuardedHttp(PATIENCE, clock=clock) as http:
        contexts = Contexts((), fetching_with(http))
        for url in ("http://127.0.0.1/c", "http://[::1]/c", "http://169.254.169.254/c", "file:///etc/passwd"):
            with pytest.raises(ContextNotAvailable):
                await contexts.of([url])


async def test_too_many_contexts_within_contexts() -> None:
    shelf = Shelf({f"https://a.example/{n}": {"@context": f"https://a.example/{n + 1}"} for n in range(100)})
    with pytest.raises(ContextUnreadable):
        await Contexts((), shelf.fetch).of(["https://a.example/0"])
    assert sum(shelf.asked.values()) < 30


async def test_the_packs_context_is_ours_by_any_of_its_names() -> None:
    contexts = Contexts([ENVIRONMENT])
    for url in (PACKS_PATH, f"http://127.0.0.1:8000{PACKS_PATH}"):
        terms = await contexts.of([url, CORE_URL], own_host="127.0.0.1:8000")
        assert terms.expand("pm25") == "https://smartdatamodels.org/dataModel.Environment/pm25"
        assert terms.compact("urn:haidang:term:quality") == "quality"
    with pytest.raises(ContextNotAvailable):
        await contexts.of([f"http://elsewhere.example{PACKS_PATH}"], own_host="127.0.0.1:8000")
    assert all(re.match("https?:|urn:", iri) for iri in contexts.packs_context.values())


@pytest.mark.parametrize("wrong", [None, 5, "", ["https://a.example", None]])
def test_references_must_be_urls_or_objects(wrong: Any) -> None:
    with pytest.raises(ContextUnreadable):
        read_references(wrong)


async def test_a_context_that_cannot_be_read_or_is_too_large_is_not_asked_for_again_at_once() -> None:
    asked: list[str] = []

    async def fetch(url: str) -> bytes:
        asked.append(url)
        return b"<html>" if "html" in url else b'{"@context": {"a": "' + b"x" * 300_000 + b'"}}'

    contexts = Contexts((), fetch)
    for url in ("https://a.example/html", "https://a.example/large"):
        with pytest.raises(ContextUnreadable):
            await contexts.of([url])
        with pytest.raises(ContextNotAvailable):
            await contexts.of([url])
    assert len(asked) == 2
