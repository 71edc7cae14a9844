"""What machines that look after the platform ask: alive, ready, figures."""

from typing import Any

import msgspec
from litestar import Request, get
from litestar.handlers import HTTPRouteHandler
from litestar.types import ASGIApp

from haidang.infra.telemetry import metrics_page
from haidang.kernel.actors import Audience
from haidang.web.shared.answers import JSON, Answer, Header
from haidang.web.shared.house import House
from haidang.web.shared.routes import sent

_NOT_KEPT: Header = (b"cache-control", b"no-store")


def health_routes(house: House) -> list[HTTPRouteHandler]:
    """`/healthz` and `/readyz` for anyone; `/metrics` for machines with a token.

    The first two say only names of parts and codes of errors. Figures tell how busy a province is.
    That a request comes from this machine proves nothing: behind a proxy every request does.
    """

    async def healthz(request: Request[Any, Any, Any]) -> ASGIApp:  # noqa: ARG001 - Litestar names it
        return sent(_json(200, house.health.health()))

    async def readyz(request: Request[Any, Any, Any]) -> ASGIApp:  # noqa: ARG001 - Litestar names it
        readiness = await house.health.readiness()
        return sent(_json(200 if readiness.ready else 503, readiness))

    async def metrics(request: Request[Any, Any, Any]) -> ASGIApp:  # noqa: ARG001 - Litestar names it
        page, content_type = metrics_page()
        return sent(Answer(200, ((b"content-type", content_type.encode()), _NOT_KEPT), page))

    return [
        get("/healthz", opt={"audience": Audience.PUBLIC}, name="healthz")(healthz),
        get("/readyz", opt={"audience": Audience.PUBLIC}, name="readyz")(readyz),
        get("/metrics", opt={"audience": Audience.MACHINE}, name="metrics")(metrics),
    ]


def _json(status: int, document: msgspec.Struct) -> Answer:
    return Answer(status, ((b"content-type", JSON), _NOT_KEPT), msgspec.json.encode(document))
