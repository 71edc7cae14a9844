"""Builds the web: the portal's routes in Litestar, the NGSI-LD face beside it, one dispatcher before both."""

from functools import partial
from typing import Any, NoReturn

from litestar import Litestar, Request, get
from litestar.handlers import HTTPRouteHandler
from litestar.types import ASGIApp

from haidang.infra.templates import Templates
from haidang.infra.translations import LOCALES
from haidang.kernel.actors import Audience
from haidang.web.admin.overview import overview_page
from haidang.web.admin.quarantine import quarantine_acts, quarantine_file_routes, quarantine_pages
from haidang.web.admin.rules import rule_acts, rule_pages
from haidang.web.admin.sheet_feeds import feed_acts, feed_pages
from haidang.web.admin.sheets import sheet_acts, sheet_pages, sheet_routes, upload_limits
from haidang.web.api.ngsi_ld.problems import answer_of
from haidang.web.api.places.routes import places_routes
from haidang.web.api.tiles.routes import tile_routes
from haidang.web.data.datasets import datasets_page
from haidang.web.design.page import design_routes
from haidang.web.field.tasks import TASKS
from haidang.web.ioc.alarms import alarm_acts, alarm_pages
from haidang.web.ioc.desk import desk_page
from haidang.web.ioc.live import live_routes
from haidang.web.ioc.panel import entity_page
from haidang.web.ioc.wall import wall_page
from haidang.web.portal.home import home_route
from haidang.web.portal.pages import PackPages
from haidang.web.portal.places_map import map_route
from haidang.web.portal.search import search_route, sources_of
from haidang.web.portal.shell import shell_routes
from haidang.web.portal.sitemap import sitemap_routes
from haidang.web.portal.units.pages import unit_page_routes
from haidang.web.shared.acts import RoomAct, act_routes, duty_page
from haidang.web.shared.audiences import audiences_of, guard_audience
from haidang.web.shared.charts import bar_chart, line_chart, spark_line
from haidang.web.shared.desks import said_by
from haidang.web.shared.dispatch import Dispatcher
from haidang.web.shared.frame import Frame
from haidang.web.shared.health import health_routes
from haidang.web.shared.house import House, Scope
from haidang.web.shared.levels import level_shape, needs_plate
from haidang.web.shared.maps import MAP_ATTRIBUTION, fixed_names, map_picture
from haidang.web.shared.rooms import room_routes
from haidang.web.shared.routes import sent
from haidang.web.shared.static import StaticFiles
from haidang.web.shared.streams import Streams
from haidang.web.work.inbox import INBOX


def build_application(house: House) -> Dispatcher:
    """The ASGI application of the whole web; raises RouteWithoutAudience for a route that is for nobody."""
    frame = Frame(house)
    portal = build_portal(house, frame)
    audiences_of(portal)
    uploads = upload_limits(house)
    return Dispatcher(house, portal, frame, answer_machines=answer_of, uploads=uploads)  # type: ignore[arg-type]  # Litestar's scopes are TypedDicts


def build_portal(house: House, frame: Frame) -> Litestar:
    """The portal's routes, guarded by audience, behind no middleware: the dispatcher is before them."""
    build_globals(house.templates)
    pages = PackPages(house, frame)
    files = StaticFiles()
    rooms = [
        desk_page(house, frame, pages.glances),
        INBOX,
        TASKS,
        datasets_page(house),
        overview_page(house),
        *quarantine_pages(house),
        duty_page(),
        *alarm_pages(house),
        entity_page(house),
        wall_page(house, frame, pages.glances),
        *rule_pages(house),
        *sheet_pages(house),
        *feed_pages(house),
    ]
    acts: list[RoomAct] = [
        *alarm_acts(house),
        *quarantine_acts(house),
        *rule_acts(house),
        *sheet_acts(house),
        *feed_acts(house),
    ]
    streams = Streams(house)
    portal = Litestar(
        route_handlers=[
            home_route(house, frame, pages),
            search_route(house, frame, sources_of(house, frame)),
            *unit_page_routes(house, frame),
            map_route(house, frame),
            *pages.routes(),
            *health_routes(house),
            *tile_routes(house),
            *places_routes(house),
            *shell_routes(house, frame, files),
            *sitemap_routes(house, frame),
            *room_routes(house, frame, rooms),
            *act_routes(house, frame, acts, rooms),
            *quarantine_file_routes(house),
            *sheet_routes(house, frame, rooms),
            *live_routes(house, streams),
            *design_routes(house, frame),
            _static_route(files),
        ],
        guards=[guard_audience],
        lifespan=[lambda _: house.lifespan(), lambda _: streams.lifespan()],
        exception_handlers={Exception: _pass_on},
        openapi_config=None,
        logging_config=None,
        request_max_body_size=None,  # the dispatcher limits bodies, before a route is known
        debug=False,
    )
    frame.serve({route.path for route in portal.routes})
    return portal


def build_globals(templates: Templates) -> None:
    """Give the templates what draws: charts and the shapes of levels."""
    for locale in LOCALES:
        templates.environment(locale).globals.update(
            chart=bar_chart,
            line_chart=line_chart,
            spark_line=spark_line,
            level_shape=level_shape,
            needs_plate=needs_plate,
            said_by=said_by,
            map_picture=partial(map_picture, locale=locale),
            map_attribution=MAP_ATTRIBUTION,
            fixed_names=partial(fixed_names, locale=locale),
        )


def _static_route(files: StaticFiles) -> HTTPRouteHandler:
    async def static(request: Request[Any, Any, Any]) -> ASGIApp:
        scope: Scope = request.scope  # type: ignore[assignment]  # a TypedDict of the same
        return sent(files.answer(str(request.path_params["name"]), scope["headers"]))

    return get("/static/{name:str}", opt={"audience": Audience.PUBLIC}, name="static")(static)


def _pass_on(_request: Request[Any, Any, Any], error: Exception) -> NoReturn:
    """Errors are answered in one place: the dispatcher."""
    raise error
