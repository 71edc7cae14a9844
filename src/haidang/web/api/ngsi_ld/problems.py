"""Errors in the standard's form: `application/json`, with a type of uri.etsi.org (clause 5.5.2)."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final

import orjson

from haidang.context.errors import (
    AttributeUnknown,
    EntityAlreadyExists,
    EntityUnknown,
    QueryTookTooLong,
    WritingIsForMachines,
)
from haidang.context.fragments import NotOfferedYet
from haidang.context.jsonld import ContextNotAvailable
from haidang.infra.idempotency import IdempotencyKeyInUse, IdempotencyKeyReused
from haidang.kernel.errors import Denied, HaidangError, Invalid, NotFound
from haidang.web.shared.answers import Answer
from haidang.web.shared.errors import BodyTooLarge, MethodNotOffered, TokenNeeded, TokenRefused

ERRORS: Final = "https://uri.etsi.org/ngsi-ld/errors/"
RETRY_AFTER_S: Final = 2


class RequestMalformed(Invalid):
    """The request cannot be carried out: {reason}."""


class ParameterWrong(Invalid):
    """The request cannot be answered: {reason}."""


class OptionUnknown(RequestMalformed):
    """{name} is not a value of options or format."""


class JsonBroken(RequestMalformed):
    """The body is not JSON: {reason}."""


class ParameterUnknown(RequestMalformed):
    """There is no query parameter {name} here."""


class MediaTypeUnusable(Invalid):
    """The body is {given}; it must be one of {accepted}."""


class NothingAcceptable(Invalid):
    """An answer can be application/json or application/ld+json; the request accepts neither."""


class TooManyAsked(Invalid):
    """The limit is {most} at most."""


class TenantUnknown(NotFound):
    """There is no tenant {tenant} that you belong to."""


class PathUnknown(NotFound):
    """There is nothing at this path."""


_TABLE: Final[Mapping[type[HaidangError], tuple[int, str]]] = {
    EntityUnknown: (404, ERRORS + "ResourceNotFound"),
    AttributeUnknown: (404, ERRORS + "ResourceNotFound"),
    TenantUnknown: (404, ERRORS + "NonexistentTenant"),
    EntityAlreadyExists: (409, ERRORS + "AlreadyExists"),
    NotOfferedYet: (422, ERRORS + "OperationNotSupported"),
    MethodNotOffered: (405, ERRORS + "OperationNotSupported"),
    QueryTookTooLong: (403, ERRORS + "TooComplexQuery"),
    TooManyAsked: (403, ERRORS + "TooManyResults"),
    ContextNotAvailable: (503, ERRORS + "LdContextNotAvailable"),
    MediaTypeUnusable: (415, ERRORS + "InvalidRequest"),
    NothingAcceptable: (406, ERRORS + "InvalidRequest"),
    BodyTooLarge: (413, ERRORS + "InvalidRequest"),
    RequestMalformed: (400, ERRORS + "InvalidRequest"),
    IdempotencyKeyReused: (422, "urn:haidang:problem:idempotency-key-reused"),
    IdempotencyKeyInUse: (409, "urn:haidang:problem:idempotency-key-in-use"),
    TokenNeeded: (401, "urn:haidang:problem:token-needed"),
    TokenRefused: (401, "urn:haidang:problem:token-refused"),
    WritingIsForMachines: (403, "urn:haidang:problem:writing-is-for-machines"),
    Denied: (403, "urn:haidang:problem:denied"),
    NotFound: (404, ERRORS + "ResourceNotFound"),
    Invalid: (400, ERRORS + "BadRequestData"),
}
"""Status and type of each error; a class that is not named goes by the nearest of its ancestors."""


def status_and_type(error: HaidangError) -> tuple[int, str]:
    """The HTTP status and the problem type of an error."""
    for ancestor in type(error).__mro__:
        if ancestor in _TABLE:
            return _TABLE[ancestor]
    if error.kind == "conflict":
        return 409, ERRORS + "Conflict"
    return (503 if error.retry else 500), ERRORS + "InternalError"


def problem_of(error: HaidangError) -> dict[str, Any]:
    """An error as ProblemDetails."""
    status, kind = status_and_type(error)
    return {
        "type": kind,
        "title": type(error).code().replace("-", " ").capitalize(),
        "detail": error.sentence(),
        "status": status,
    }


def answer_of(error: HaidangError) -> Answer:
    """An error as an answer."""
    problem = problem_of(error)
    status = int(problem["status"])
    headers: list[tuple[bytes, bytes]] = [(b"content-type", b"application/json")]
    if status == HTTPStatus.SERVICE_UNAVAILABLE:
        headers.append((b"retry-after", str(RETRY_AFTER_S).encode()))
    if status == HTTPStatus.UNAUTHORIZED:
        headers.append((b"www-authenticate", b'Bearer realm="haidang"'))
    if status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
        headers.append((b"connection", b"close"))
    if isinstance(error, MethodNotOffered):
        headers.append((b"allow", str(error.fields.get("allow", "")).encode()))
    return Answer(status, tuple(headers), orjson.dumps(problem))
