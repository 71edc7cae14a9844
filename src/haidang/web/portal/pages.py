"""Mounts the pages that packs declare: runs their queries, calls their `view`, renders their template."""

import csv
import io
import re
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from math import isfinite
from typing import Any
from urllib.parse import quote, unquote

from litestar import Request, get
from litestar.handlers import HTTPRouteHandler
from litestar.types import ASGIApp
from markupsafe import Markup

from haidang.context import service as context
from haidang.infra.database import Connection, reading
from haidang.infra.telemetry import logger, span
from haidang.kernel.actors import Actor, anonymous
from haidang.kernel.errors import HaidangError, NotFound
from haidang.kernel.ids import UrnMalformed, check_urn
from haidang.kernel.instants import Instant, format_instant
from haidang.sdk.model import (
    Attribute,
    CsvTable,
    EntityType,
    EntityView,
    History,
    LatestEntities,
    OneEntity,
    Pack,
    Page,
    PageQuery,
    PageRequest,
)
from haidang.web.shared.answers import CSV, Whole
from haidang.web.shared.audiences import actor_of
from haidang.web.shared.errors import PageNotFound
from haidang.web.shared.frame import Frame, in_locale, locale_of
from haidang.web.shared.house import House, Scope
from haidang.web.shared.routes import paths_in_every_locale, sent
from haidang.web.shared.sharing import SharedPages

CSV_ENDING = ".csv"
_PARAMETER = re.compile(r"\{(\w+)\}")
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")
_BOM = "\ufeff"
_log = logger("web")


class PageAsksForUnknown(HaidangError):
    """The page {page_id} asks for {name}, which its pack does not declare."""


class NothingByThatName(NotFound):
    """There is nothing here by the name {name}."""


class PackPages:
    """The pages of every pack, ready to be routed."""

    def __init__(self, house: House, frame: Frame) -> None:
        self._house = house
        self._frame = frame
        self._shared = SharedPages(house.clock)
        self._mounted = [(pack, page) for pack in house.packs for page in pack.pages]
        for pack, page in self._mounted:
            _check_queries(pack, page)

    def routes(self) -> list[HTTPRouteHandler]:
        """A route for each page in each language, and one for its CSV."""
        routes: list[HTTPRouteHandler] = []
        for pack, page in self._mounted:
            routes.append(self._page_route(pack, page))
            if page.csv is not None and not page.path.endswith("}"):
                routes.append(self._csv_route(pack, page))
        return routes

    async def glances(self, scope: Scope) -> list[Markup]:
        """The rows of "the province right now", one for each page that has one and is open to the actor.

        A pack that stumbles loses its row, not the home page; a database that is away is everyone's.
        """
        rows: list[Markup] = []
        for pack, page in self._mounted:
            if not page.glance or not actor_of(scope).belongs_to(page.audience):
                continue
            request = await self._ask(scope, pack, page, {}, with_history=False)
            try:
                rows.append(self._row(pack, page, request))
            except Exception as trouble:  # noqa: BLE001 - whatever a pack's view raises, home must stand
                _log.error("glance-broke", pack_id=pack.pack_id, page_id=page.page_id, exc_info=trouble)
        return rows

    async def shared(self, scope: Scope, make: Callable[[], Awaitable[Whole]]) -> Whole:
        """A page as `make` makes it; for visitors of whom nothing is known, one for all of them."""
        if actor_of(scope) != anonymous():
            return await make()
        return await self._shared.get(str(scope["path"]), make)

    def _page_route(self, pack: Pack, page: Page) -> HTTPRouteHandler:
        async def show(request: Request[Any, Any, Any]) -> ASGIApp:
            scope: Scope = request.scope  # type: ignore[assignment]  # a TypedDict of the same
            parameters = {name: str(value) for name, value in request.path_params.items()}
            last = page.path.rsplit("/", 1)[-1]
            asked_for_csv = False
            if last.startswith("{") and parameters[last[1:-1]].endswith(CSV_ENDING):
                if page.csv is None:
                    raise PageNotFound
                parameters[last[1:-1]] = parameters[last[1:-1]].removesuffix(CSV_ENDING)
                asked_for_csv = True

            async def make() -> Whole:
                asked = await self._ask(scope, pack, page, parameters)
                return self._csv(page, asked) if asked_for_csv else await self._html(scope, pack, page, asked)

            whole = await self.shared(scope, make)
            return sent(whole.answer(scope["headers"]))

        return get(
            [_PARAMETER.sub(r"{\1:str}", one) for one in paths_in_every_locale(page.path)],
            opt={"audience": page.audience},
            name=f"{pack.pack_id}.{page.page_id}",
        )(show)

    def _csv_route(self, pack: Pack, page: Page) -> HTTPRouteHandler:
        async def download(request: Request[Any, Any, Any]) -> ASGIApp:
            scope: Scope = request.scope  # type: ignore[assignment]  # a TypedDict of the same
            parameters = {name: str(value) for name, value in request.path_params.items()}

            async def make() -> Whole:
                return self._csv(page, await self._ask(scope, pack, page, parameters))

            whole = await self.shared(scope, make)
            return sent(whole.answer(scope["headers"]))

        return get(
            [_PARAMETER.sub(r"{\1:str}", one) + CSV_ENDING for one in paths_in_every_locale(page.path)],
            opt={"audience": page.audience},
            name=f"{pack.pack_id}.{page.page_id}.csv",
        )(download)

    async def _ask(
        self,
        scope: Scope,
        pack: Pack,
        page: Page,
        parameters: Mapping[str, str],
        *,
        with_history: bool = True,
    ) -> PageRequest:
        """Run the page's queries, each after those it builds on, on one connection."""
        now = self._house.clock.now()
        results: dict[str, Any] = {}
        if page.queries:  # a page that asks for nothing stands even when the database is away
            with span("page", page_id=page.page_id):
                async with reading(self._house.pool) as connection:
                    reader = _Reader(actor_of(scope), connection, pack, page, parameters, now)
                    for query in page.queries:
                        skipped = isinstance(query, History) and not with_history
                        results[query.name] = {} if skipped else await reader.read(query, results)
        return PageRequest(results, parameters, now, locale_of(str(scope["path"])))

    async def _html(self, scope: Scope, pack: Pack, page: Page, request: PageRequest) -> Whole:
        shown = page.view(request)
        heading = shown.get("heading")
        title = str(heading) if heading else self._house.translations.gettext(request.locale, page.title)
        return await self._frame.page(
            scope,
            template_of(pack, page.template),
            title=title,
            page=page,
            csv_path=csv_path(page, request.parameters, request.locale) if page.csv else None,
            **shown,
        )

    def _csv(self, page: Page, request: PageRequest) -> Whole:
        if page.csv is None:
            raise PageNotFound
        table = page.csv(request)
        disposition = f'attachment; filename="{_plain_filename(table.filename)}.csv"'
        named = (b"content-disposition", disposition.encode())
        return Whole(csv_text(table).encode(), CSV, headers=(named,))

    def _row(self, pack: Pack, page: Page, request: PageRequest) -> Markup:
        text = self._house.templates.render(
            template_of(pack, page.glance),
            request.locale,
            page=page,
            now=request.now,
            home=in_locale("/", request.locale),
            link=lambda to: in_locale(to, request.locale),
            **page.view(request),
        )
        return Markup(text)  # noqa: S704 - rendered by a template that escapes every value


def template_of(pack: Pack, template: str) -> str:
    """The full name of a template in a pack's folder."""
    return f"packs/{pack.pack_id}/{template}"


def csv_path(page: Page, parameters: Mapping[str, str], locale: str) -> str:
    """The address of a page's table."""
    path = _PARAMETER.sub(lambda found: quote(parameters[found[1]], safe=":"), page.path)
    return in_locale(path, locale) + CSV_ENDING


def csv_text(table: CsvTable) -> str:
    """The table as RFC 4180 text with a byte order mark, so that a spreadsheet reads Vietnamese.

    Numbers are plain (a point, no groups), moments RFC 3339 in UTC. Text that a spreadsheet
    would run as a formula gets an apostrophe in front; numbers never do.
    """
    sheet = io.StringIO()
    sheet.write(_BOM)
    writer = csv.writer(sheet, lineterminator="\r\n")
    writer.writerow([csv_cell(one) for one in table.header])
    for row in table.rows:
        writer.writerow([csv_cell(one) for one in row])
    return sheet.getvalue()


def csv_cell(value: Any) -> str:
    """One cell: see `csv_text`."""
    match value:
        case None:
            text = ""
        case bool():
            text = "true" if value else "false"
        case datetime():
            text = format_instant(value)
        case float():
            text = format(Decimal(repr(value)), "f").removesuffix(".0") if isfinite(value) else ""
        case int() | Decimal() | date():
            text = str(value)
        case _:
            text = str(value)
            text = f"'{text}" if text.startswith(_FORMULA) else text
    return text


def entity_id_of(entity_type: EntityType, name: str) -> str:
    """The URN that a path parameter means: itself, plain or encoded, or the entity of that type so named."""
    if name.startswith("urn%3A"):  # what stands twice encoded in an address: a slash would end the segment
        name = unquote(name)
    return name if name.startswith("urn:") else f"urn:ngsi-ld:{entity_type.name}:{name}"


@dataclass(frozen=True, slots=True)
class _Reader:
    """Runs one page's queries for one actor, each after those it builds on."""

    actor: Actor
    connection: Connection
    pack: Pack
    page: Page
    parameters: Mapping[str, str]
    now: Instant

    async def read(self, query: PageQuery, results: Mapping[str, Any]) -> Any:
        """The result of a query; raises NothingByThatName where there is no such entity."""
        match query:
            case LatestEntities():
                kind = _type_of(self.pack, self.page, query.entity_type)
                return await context.latest_entities(self.actor, self.connection, kind, query.limit)
            case OneEntity():
                kind = _type_of(self.pack, self.page, query.entity_type)
                name = self.parameters[query.parameter]
                try:
                    entity_id = check_urn(entity_id_of(kind, name))
                except UrnMalformed:
                    raise NothingByThatName(name=name[:100]) from None
                found = await context.one_entity(self.actor, self.connection, kind, entity_id)
                if found is None:
                    raise NothingByThatName(name=name[:100])
                return found
            case History():
                ids = [one.entity_id for one in _entities(results[query.of])]
                if not ids:
                    return {}
                since = self.now - query.reach
                kind = _type_of(self.pack, self.page, _type_behind(self.page, query))
                declared = [one for name in query.attributes if (one := kind.attribute(name))]
                return await context.history(self.actor, self.connection, ids, declared, since, self.now)


def _entities(result: EntityView | Sequence[EntityView]) -> Iterable[EntityView]:
    return [result] if isinstance(result, EntityView) else result


def _type_behind(page: Page, history: History) -> str:
    """The entity type that the history's entities are of."""
    return next(
        query.entity_type
        for query in page.queries
        if not isinstance(query, History) and query.name == history.of
    )


def _type_of(pack: Pack, page: Page, name: str) -> EntityType:
    found = next((one for one in pack.entity_types if one.name == name), None)
    if found is None:
        raise PageAsksForUnknown(page_id=page.page_id, name=name)
    return found


def _attributes_of(pack: Pack, page: Page, query: History) -> list[Attribute]:
    """The declared attributes of a history, of the type that the query it builds on selects."""
    source = next((one for one in page.queries if one.name == query.of), None)
    if not isinstance(source, LatestEntities | OneEntity):
        raise PageAsksForUnknown(page_id=page.page_id, name=query.of)
    kind = _type_of(pack, page, source.entity_type)
    found: list[Attribute] = []
    for name in query.attributes:
        attribute = kind.attribute(name)
        if attribute is None:
            raise PageAsksForUnknown(page_id=page.page_id, name=name)
        found.append(attribute)
    return found


def _check_queries(pack: Pack, page: Page) -> None:
    """Refuse at start what could only fail at the first visit."""
    known: set[str] = set()
    parameters = set(_PARAMETER.findall(page.path))
    for query in page.queries:
        match query:
            case LatestEntities():
                _type_of(pack, page, query.entity_type)
            case OneEntity():
                _type_of(pack, page, query.entity_type)
                if query.parameter not in parameters:
                    raise PageAsksForUnknown(page_id=page.page_id, name=query.parameter)
            case History():
                if query.of not in known:
                    raise PageAsksForUnknown(page_id=page.page_id, name=query.of)
                _attributes_of(pack, page, query)
        known.add(query.name)


def _plain_filename(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip("-.") or "table"
