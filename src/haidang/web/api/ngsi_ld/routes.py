"""The verbs of the NGSI-LD face: each parses, calls one service, and renders. Which there are: `ROUTES`."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias
from urllib.parse import quote

import msgspec
import orjson

from haidang.context import service
from haidang.context.errors import EntityUnknown
from haidang.context.fragments import (
    Declarations,
    Fragment,
    FragmentMalformed,
    NotOfferedYet,
    read_attribute,
    read_entity,
    read_fragment,
    read_partial,
)
from haidang.context.jsonld import Contexts, ContextUnreadable, TermContext
from haidang.context.model import Command, CreateEntity, DeleteEntity, Outcome, UpsertEntity, check_entity_id
from haidang.context.representations import show_entity, show_evolution
from haidang.context.service import Writer
from haidang.infra.database import Pool, reading
from haidang.kernel.actors import Audience
from haidang.kernel.errors import HaidangError
from haidang.kernel.instants import Clock, format_instant
from haidang.web.api.ngsi_ld.problems import ParameterWrong, RequestMalformed, problem_of
from haidang.web.api.ngsi_ld.requests import (
    JSON,
    LD_JSON,
    Request,
    context_link,
    context_member,
)
from haidang.web.api.ngsi_ld.selecting import (
    KNOWN_AT,
    LATER,
    PAGING,
    PROJECTING,
    SELECTING,
    TIMING,
    Paging,
    picked,
    read_frame,
    read_look,
    read_paging,
    read_selection,
    read_types,
)
from haidang.web.shared.answers import Answer

PREFIX: Final = "/ngsi-ld/v1"
MOST_IN_BATCH: Final = 5_000
_NONE: Final[frozenset[str]] = frozenset()


@dataclass(frozen=True, slots=True)
class City:
    """What the verbs need of the house."""

    pool: Pool
    writer: Writer
    clock: Clock
    contexts: Contexts
    declarations: Declarations
    most_instances: int = service.MOST_INSTANCES


Verb: TypeAlias = Callable[[City, Request, Writer], Awaitable[Answer]]


@dataclass(frozen=True, slots=True)
class Route:
    """One route: method, pattern ({…} stands for one part of the path), whom it is for, and its verb."""

    method: str
    pattern: str
    audience: Audience
    verb: Verb

    @property
    def parts(self) -> tuple[str, ...]:
        """The parts of the pattern."""
        return tuple(self.pattern.strip("/").split("/"))


# --- contexts and answers ----------------------------------------------------------------------


async def _terms(city: City, request: Request) -> TermContext:
    """The context of a request without a body."""
    references = request.link_references()
    return await city.contexts.of(references, own_host=request.host) if references else city.contexts.core


async def _terms_of_body(city: City, request: Request, document: Any) -> TermContext:
    """The context of a request with a body, from where its media type says."""
    inside = request.body_references(document)
    references = request.link_references() if inside is None else inside
    return await city.contexts.of(references, own_host=request.host) if references else city.contexts.core


def _json(status: int, document: Any, headers: Sequence[tuple[bytes, bytes]] = ()) -> Answer:
    return Answer(status, ((b"content-type", JSON.encode()), *headers), orjson.dumps(document))


def _shown(
    request: Request,
    terms: TermContext,
    document: Any,
    *,
    status: int = 200,
    headers: Sequence[tuple[bytes, bytes]] = (),
) -> Answer:
    """Entities as JSON with a Link to their context, or as JSON-LD with the context inside."""
    if not request.wants_ld():
        link = (b"link", context_link(terms.references))
        return _json(status, document, (link, *headers))
    context = context_member(terms)
    if isinstance(document, list):
        document = [{"@context": context, **one} for one in document]
    else:
        document = {"@context": context, **document}
    return Answer(status, ((b"content-type", LD_JSON.encode()), *headers), orjson.dumps(document))


_NO_CONTENT = Answer(204, ())


def _updated(outcome: Outcome) -> Answer:
    """204, or 207 with what was not updated and why (UpdateResult, clause 5.2.18); names are IRIs."""
    if not outcome.not_updated:
        return _NO_CONTENT
    return _json(
        207,
        {
            "updated": list(outcome.updated),
            "notUpdated": [
                {"attributeName": one.attribute, "reason": one.reason} for one in outcome.not_updated
            ],
        },
    )


# --- entities ----------------------------------------------------------------------------------


async def create_entity(city: City, request: Request, writer: Writer) -> Answer:
    """POST /entities."""
    request.check_parameters(frozenset({"options", "format", "local"}), _NONE)
    document = await request.document()
    if not document:
        raise RequestMalformed(reason="there is no entity in it")
    terms = await _terms_of_body(city, request, document)
    fragment = read_entity(document, terms, simplified="simplified" in request.options())
    entity_id = fragment.entity_id or ""
    await service.create_entity(
        request.actor,
        writer,
        entity_id,
        fragment.types,
        fragment.attributes,
        scope=fragment.scope or (),
        rules=city.declarations,
        weight=len(await request.body()),
    )
    location = f"{PREFIX}/entities/{quote(entity_id, safe=':')}"
    return Answer(201, ((b"location", location.encode()),))


async def retrieve_entity(city: City, request: Request, _writer: Writer) -> Answer:
    """GET /entities/{id}."""
    request.check_parameters(PROJECTING | {"type", "local", KNOWN_AT}, LATER)
    terms = await _terms(city, request)
    look = read_look(request, terms)
    wanted = read_types(request, terms)
    (entity_id,) = request.arguments
    check_entity_id(entity_id)
    async with reading(city.pool) as connection:
        state = await service.retrieve_entity(
            request.actor, connection, entity_id, known_at=request.instant(KNOWN_AT)
        )
    of_type = not wanted or any(set(group) <= set(state.types) for group in wanted)
    asked = request.parameters.get("attrs") is not None and look.attributes is not None
    if not of_type or (asked and not any(name in state.attributes for name in look.attributes or ())):
        raise EntityUnknown(entity_id=entity_id)
    shown = show_entity(state, terms, look)
    if not shown:
        raise EntityUnknown(entity_id=entity_id)
    return _shown(request, terms, shown)


async def query_entities(city: City, request: Request, _writer: Writer) -> Answer:
    """GET /entities."""
    request.check_parameters(SELECTING | PROJECTING | PAGING | {KNOWN_AT}, LATER)
    terms = await _terms(city, request)
    request.wants_ld()
    look, paging = read_look(request, terms), read_paging(request)
    selection = picked(read_selection(request, terms), look)
    known_at = request.instant(KNOWN_AT)
    if paging.count and known_at is not None:
        raise NotOfferedYet(what="count together with knownAt")
    headers: list[tuple[bytes, bytes]] = []
    async with reading(city.pool) as connection:
        found = (
            await service.query_entities(
                request.actor,
                connection,
                selection,
                limit=paging.limit + 1,
                offset=paging.offset,
                known_at=known_at,
            )
            if paging.limit
            else []
        )
        if paging.count:
            total = await service.count_entities(request.actor, connection, selection)
            headers.append((b"ngsild-results-count", str(total).encode()))
    headers += _page_links(request, paging, more=len(found) > paging.limit)
    shown = [one for state in found[: paging.limit] if (one := show_entity(state, terms, look))]
    return _shown(request, terms, shown, headers=headers)


def _page_links(request: Request, paging: Paging, *, more: bool) -> list[tuple[bytes, bytes]]:
    """Links to the next and the previous page, relative to this server."""
    links: list[tuple[bytes, bytes]] = []
    steps = {"prev": max(0, paging.offset - paging.limit)} if paging.offset and paging.limit else {}
    if more and paging.limit:
        steps["next"] = paging.offset + paging.limit
    path = f"{PREFIX}/{'/'.join(quote(one, safe=':') for one in request.segments)}"
    for relation, offset in steps.items():
        parameters = {**request.parameters, "limit": str(paging.limit), "offset": str(offset)}
        query = "&".join(f"{quote(name)}={quote(value, safe=':,/')}" for name, value in parameters.items())
        links.append((b"link", f'<{path}?{query}>; rel="{relation}"'.encode()))
    return links


async def delete_entity(_city: City, request: Request, writer: Writer) -> Answer:
    """DELETE /entities/{id}."""
    request.check_parameters(frozenset({"local"}), frozenset({"type"}))
    (entity_id,) = request.arguments
    check_entity_id(entity_id)
    await service.delete_entity(request.actor, writer, entity_id)
    return _NO_CONTENT


# --- attributes --------------------------------------------------------------------------------


async def _fragment(city: City, request: Request, *, nulls: bool) -> Fragment:
    """The attributes in a request's body, for the entity in its path."""
    (entity_id,) = request.arguments
    check_entity_id(entity_id)
    document = await request.document()
    terms = await _terms_of_body(city, request, document)
    simplified = "simplified" in request.options()
    fragment = read_fragment(document, terms, simplified=simplified, nulls=nulls)
    if fragment.entity_id not in {None, entity_id}:
        raise FragmentMalformed(where="id", reason="it differs from the id in the path")
    return fragment


async def append_attributes(city: City, request: Request, writer: Writer) -> Answer:
    """POST /entities/{id}/attrs."""
    request.check_parameters(frozenset({"options", "format", "local"}), frozenset({"type"}))
    fragment = await _fragment(city, request, nulls=False)
    outcome = await service.append_attributes(
        request.actor,
        writer,
        request.arguments[0],
        fragment.attributes,
        types=fragment.types,
        scope=fragment.scope,
        overwrite="noOverwrite" not in request.options(),
        rules=city.declarations,
        weight=len(await request.body()),
    )
    return _updated(outcome)


async def update_attributes(city: City, request: Request, writer: Writer) -> Answer:
    """PATCH /entities/{id}/attrs."""
    request.check_parameters(frozenset({"options", "format", "local"}), frozenset({"type"}))
    fragment = await _fragment(city, request, nulls=True)
    outcome = await service.update_attributes(
        request.actor,
        writer,
        request.arguments[0],
        fragment.attributes,
        removed=fragment.removed,
        types=fragment.types,
        scope=fragment.scope,
        rules=city.declarations,
        weight=len(await request.body()),
    )
    return _updated(outcome)


async def patch_attribute(city: City, request: Request, writer: Writer) -> Answer:
    """PATCH /entities/{id}/attrs/{attr}."""
    request.check_parameters(frozenset({"local"}), frozenset({"type"}))
    entity_id, name = request.arguments
    check_entity_id(entity_id)
    document = await request.document()
    terms = await _terms_of_body(city, request, document)
    if document == {} or (isinstance(document, dict) and document.keys() == {"@context"}):
        raise ParameterWrong(reason="there is nothing to change in an empty object")
    if isinstance(document, list):
        read_attribute(document, terms, name)
        raise NotOfferedYet(what="a list of instances in a partial update")
    command = msgspec.structs.replace(read_partial(document, terms, entity_id, name), rules=city.declarations)
    await service.patch_attribute(request.actor, writer, command, weight=len(await request.body()))
    return _NO_CONTENT


async def delete_attribute(city: City, request: Request, writer: Writer) -> Answer:
    """DELETE /entities/{id}/attrs/{attr}."""
    request.check_parameters(frozenset({"datasetId", "deleteAll", "local"}), frozenset({"type"}))
    entity_id, name = request.arguments
    check_entity_id(entity_id)
    terms = await _terms(city, request)
    await service.delete_attribute(
        request.actor,
        writer,
        entity_id,
        terms.expand(name),
        dataset_id=request.parameters.get("datasetId"),
        every=request.flag("deleteAll"),
    )
    return _NO_CONTENT


# --- batches -----------------------------------------------------------------------------------


async def upsert_entities(city: City, request: Request, writer: Writer) -> Answer:
    """POST /entityOperations/upsert."""
    replace = "update" not in request.options()

    def command(fragment: Fragment) -> Command:
        return UpsertEntity(
            entity_id=fragment.entity_id or "",
            types=fragment.types,
            scope=fragment.scope,
            attributes=fragment.attributes,
            replace=replace,
            rules=city.declarations,
        )

    return await _batch(city, request, writer, command)


async def create_entities(city: City, request: Request, writer: Writer) -> Answer:
    """POST /entityOperations/create."""

    def command(fragment: Fragment) -> Command:
        return CreateEntity(
            entity_id=fragment.entity_id or "",
            types=fragment.types,
            scope=fragment.scope or (),
            attributes=fragment.attributes,
            rules=city.declarations,
        )

    return await _batch(city, request, writer, command)


async def delete_entities(_city: City, request: Request, writer: Writer) -> Answer:
    """POST /entityOperations/delete: a list of ids."""
    request.check_parameters(frozenset({"local"}), _NONE)
    ids = _batch_of(await request.document())
    errors: list[dict[str, Any]] = []
    commands: list[Command] = []
    for entity_id in ids:
        try:
            check_entity_id(entity_id if isinstance(entity_id, str) else "")
        except HaidangError as mistake:
            errors.append(_batch_error(_id_of({"id": entity_id}), mistake))
        else:
            commands.append(DeleteEntity(entity_id=entity_id))
    return await _write_batch(request, writer, commands, errors)


async def _batch(
    city: City, request: Request, writer: Writer, command: Callable[[Fragment], Command]
) -> Answer:
    """Read a list of entities and write them in one commit; what is wrong with one is told of that one."""
    request.check_parameters(frozenset({"options", "format", "local"}), _NONE)
    if request.media_type() == LD_JSON and request.link_references():
        raise ContextUnreadable(reason="it is in the Link header of an application/ld+json request")
    simplified = "simplified" in request.options()
    errors: list[dict[str, Any]] = []
    commands: list[Command] = []
    for document in _batch_of(await request.document()):
        try:
            terms = await _terms_of_body(city, request, document)
            commands.append(command(read_entity(document, terms, simplified=simplified)))
        except HaidangError as mistake:
            errors.append(_batch_error(_id_of(document), mistake))
    return await _write_batch(request, writer, commands, errors)


def _batch_of(documents: Any) -> list[Any]:
    if not isinstance(documents, list) or not documents:
        raise ParameterWrong(reason="a batch is a list of one or more")
    if len(documents) > MOST_IN_BATCH:
        raise ParameterWrong(reason=f"a batch has {MOST_IN_BATCH} entries at most")
    return documents


async def _write_batch(
    request: Request, writer: Writer, commands: Sequence[Command], errors: list[dict[str, Any]]
) -> Answer:
    """201 with the ids that were created, 204, or 207 with what succeeded and what did not."""
    outcomes = (
        await service.write_commands(request.actor, writer, commands, weight=len(await request.body()))
        if commands
        else []
    )
    errors += [_batch_error(entity_id, mistake) for entity_id, mistake in service.errors_of(outcomes)]
    done = [outcome for outcome in outcomes if outcome.error is None]
    created = list(dict.fromkeys(outcome.entity_id for outcome in done if outcome.created))
    if errors:
        success = list(dict.fromkeys(outcome.entity_id for outcome in done))
        return _json(207, {"success": success, "errors": errors})
    return _json(201, created) if created else _NO_CONTENT


def _batch_error(entity_id: str, mistake: HaidangError) -> dict[str, Any]:
    return {"entityId": entity_id, "error": problem_of(mistake)}


def _id_of(document: Any) -> str:
    given = document.get("id", document.get("@id")) if isinstance(document, Mapping) else None
    return given[:1024] if isinstance(given, str) else "urn:ngsi-ld:unknown"


# --- through time ------------------------------------------------------------------------------

_TEMPORAL = TIMING | PROJECTING | {KNOWN_AT, "local"}


def _temporal_form(request: Request) -> tuple[bool, bool]:
    options = request.options()
    for one in options - {"temporalValues", "simplified", "normalized", "sysAttrs"}:
        raise NotOfferedYet(what=f"the representation {one}")
    if request.names("pick") is not None or request.names("omit") is not None:
        raise NotOfferedYet(what="pick and omit of temporal queries")
    return bool(options & {"temporalValues", "simplified"}), "sysAttrs" in options


async def retrieve_temporal(city: City, request: Request, _writer: Writer) -> Answer:
    """GET /temporal/entities/{id}."""
    request.check_parameters(_TEMPORAL, LATER)
    terms = await _terms(city, request)
    request.wants_ld()
    frame = read_frame(request, needed=False, most=city.most_instances)
    temporal_values, sys_attrs = _temporal_form(request)
    attributes = request.names("attrs")
    (entity_id,) = request.arguments
    check_entity_id(entity_id)
    async with reading(city.pool) as connection:
        evolution = await service.temporal_evolution(
            request.actor,
            connection,
            entity_id,
            frame,
            attributes=None if attributes is None else [terms.expand(one) for one in attributes],
            known_at=request.instant(KNOWN_AT),
            now=city.clock.now(),
        )
    shown = show_evolution(
        evolution, terms, temporal_values=temporal_values, sys_attrs=sys_attrs, by=_shown_by(frame.by)
    )
    return _partly(request, terms, shown, [evolution])


async def query_temporal(city: City, request: Request, _writer: Writer) -> Answer:
    """GET /temporal/entities."""
    request.check_parameters(_TEMPORAL | SELECTING | PAGING, LATER)
    terms = await _terms(city, request)
    request.wants_ld()
    frame = read_frame(request, needed=True, most=city.most_instances)
    temporal_values, sys_attrs = _temporal_form(request)
    paging = read_paging(request)
    if paging.count:
        raise NotOfferedYet(what="count of temporal queries")
    selection = read_selection(request, terms)
    async with reading(city.pool) as connection:
        evolutions = await service.query_temporal(
            request.actor,
            connection,
            selection,
            frame,
            limit=paging.limit,
            offset=paging.offset,
            known_at=request.instant(KNOWN_AT),
            now=city.clock.now(),
        )
    shown = [
        show_evolution(
            one, terms, temporal_values=temporal_values, sys_attrs=sys_attrs, by=_shown_by(frame.by)
        )
        for one in evolutions
    ]
    more = len(evolutions) == paging.limit
    return _partly(request, terms, shown, evolutions, headers=_page_links(request, paging, more=more))


def _shown_by(by: str) -> str:
    return "observedAt" if by == "any" else by


def _partly(
    request: Request,
    terms: TermContext,
    shown: Any,
    evolutions: Sequence[service.Evolution],
    *,
    headers: Sequence[tuple[bytes, bytes]] = (),
) -> Answer:
    """The whole answer as 200; one that was cut short as 206 with the range of moments it holds."""
    if all(one.whole for one in evolutions):
        return _shown(request, terms, shown, headers=headers)
    moments = [
        moment.observed_at for one in evolutions for moments in one.instances.values() for moment in moments
    ]
    held = f"date-time {format_instant(min(moments))}-{format_instant(max(moments))}/*"
    return _shown(request, terms, shown, status=206, headers=(*headers, (b"content-range", held.encode())))


# --- contexts ----------------------------------------------------------------------------------


async def serve_packs_context(city: City, request: Request, _writer: Writer) -> Answer:
    """GET /jsonldContexts/packs: the terms of all packs."""
    request.check_parameters(frozenset({"details"}), _NONE)
    document = {"@context": dict(city.contexts.packs_context)}
    headers = ((b"content-type", LD_JSON.encode()), (b"cache-control", b"public, max-age=300"))
    return Answer(200, headers, orjson.dumps(document))


ROUTES: Final[tuple[Route, ...]] = (
    Route("POST", "/entities", Audience.MACHINE, create_entity),
    Route("GET", "/entities", Audience.PUBLIC, query_entities),
    Route("GET", "/entities/{id}", Audience.PUBLIC, retrieve_entity),
    Route("DELETE", "/entities/{id}", Audience.MACHINE, delete_entity),
    Route("POST", "/entities/{id}/attrs", Audience.MACHINE, append_attributes),
    Route("PATCH", "/entities/{id}/attrs", Audience.MACHINE, update_attributes),
    Route("PATCH", "/entities/{id}/attrs/{attr}", Audience.MACHINE, patch_attribute),
    Route("DELETE", "/entities/{id}/attrs/{attr}", Audience.MACHINE, delete_attribute),
    Route("POST", "/entityOperations/create", Audience.MACHINE, create_entities),
    Route("POST", "/entityOperations/upsert", Audience.MACHINE, upsert_entities),
    Route("POST", "/entityOperations/delete", Audience.MACHINE, delete_entities),
    Route("GET", "/temporal/entities", Audience.PUBLIC, query_temporal),
    Route("GET", "/temporal/entities/{id}", Audience.PUBLIC, retrieve_temporal),
    Route("GET", "/jsonldContexts/packs", Audience.PUBLIC, serve_packs_context),
)
