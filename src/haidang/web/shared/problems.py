"""One table from kinds of errors to HTTP, and the two forms a problem takes: RFC 9457 and a page.

Machines get `application/problem+json`; whoever accepts `text/html` gets a page in their
language. Neither ever holds a stack trace, a query or a path of the server.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

import orjson

from haidang.infra.translations import Translations
from haidang.kernel.errors import HaidangError
from haidang.web.shared.errors import (
    BodyTooLarge,
    HostNotOurs,
    MethodNotOffered,
    RequestUnreadable,
    SomethingBroke,
    TokenNeeded,
    TokenRefused,
)

STATUS_OF_KIND: Mapping[str, int] = {
    "not-found": HTTPStatus.NOT_FOUND,
    "denied": HTTPStatus.FORBIDDEN,
    "invalid": HTTPStatus.UNPROCESSABLE_ENTITY,
    "conflict": HTTPStatus.CONFLICT,
    "unavailable": HTTPStatus.SERVICE_UNAVAILABLE,
}

STATUS_OF_ERROR: Mapping[type[HaidangError], int] = {
    RequestUnreadable: HTTPStatus.BAD_REQUEST,
    TokenNeeded: HTTPStatus.UNAUTHORIZED,
    TokenRefused: HTTPStatus.UNAUTHORIZED,
    MethodNotOffered: HTTPStatus.METHOD_NOT_ALLOWED,
    BodyTooLarge: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    HostNotOurs: HTTPStatus.MISDIRECTED_REQUEST,
    SomethingBroke: HTTPStatus.INTERNAL_SERVER_ERROR,
}
"""Where HTTP has a finer word than the kind."""

TITLES: Mapping[int, str] = {
    400: "The request cannot be read",
    401: "An access token is needed",
    403: "This is not open to you",
    404: "There is nothing here",
    405: "This cannot be done here",
    409: "This contradicts what is already there",
    413: "Too much was sent",
    421: "Wrong address",
    422: "Something in what was sent has to be corrected",
    500: "Something broke on our side",
    503: "We cannot answer right now",
}
"""Message ids of the headings, by status."""

RETRY_AFTER_S = 10
PROBLEM_JSON = b"application/problem+json"


@dataclass(frozen=True, slots=True)
class Problem:
    """What went wrong, ready to be said: status, code, heading, sentence and headers of HTTP."""

    status: int
    code: str
    title: str
    detail: str
    headers: tuple[tuple[bytes, bytes], ...] = ()


def status_of(error: HaidangError) -> int:
    """The HTTP status of an error: that of its class where the table names it, else of its kind."""
    for ancestor in type(error).__mro__:
        if ancestor in STATUS_OF_ERROR:
            return int(STATUS_OF_ERROR[ancestor])
    return int(STATUS_OF_KIND[error.kind])


def problem_of(error: HaidangError, translations: Translations, locale: str) -> Problem:
    """Say an error in a language."""
    status = status_of(error)
    headers: list[tuple[bytes, bytes]] = []
    if status == HTTPStatus.UNAUTHORIZED:
        headers.append((b"www-authenticate", b'Bearer realm="haidang"'))
    if status == HTTPStatus.SERVICE_UNAVAILABLE:
        headers.append((b"retry-after", str(RETRY_AFTER_S).encode()))
    if status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
        headers.append((b"connection", b"close"))
    if isinstance(error, MethodNotOffered) and "allow" in error.fields:
        headers.append((b"allow", str(error.fields["allow"]).encode("latin-1", "replace")))
    return Problem(
        status,
        error.code(),
        translations.gettext(locale, TITLES[status]),
        translations.translate_error(error, locale),
        tuple(headers),
    )


def problem_document(problem: Problem, trace_id: str) -> bytes:
    """The problem as RFC 9457 writes it."""
    document: dict[str, Any] = {
        "type": f"urn:haidang:problem:{problem.code}",
        "title": problem.title,
        "status": problem.status,
        "detail": problem.detail,
        "traceId": trace_id,
    }
    return orjson.dumps(document)


def wants_page(accept: str) -> bool:
    """Whether an Accept header asks for HTML by name: a browser does, a program rarely."""
    for part in accept.split(","):
        kind, _, parameters = part.strip().partition(";")
        if kind.strip().lower() in {"text/html", "application/xhtml+xml"}:
            return not parameters.replace(" ", "").startswith(("q=0;", "q=0,")) and (
                parameters.replace(" ", "") not in {"q=0", "q=0.0", "q=0.00", "q=0.000"}
            )
    return False
