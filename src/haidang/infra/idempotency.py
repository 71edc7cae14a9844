"""A write that is sent twice is done once: the client's `Idempotency-Key` and what was answered.

The header is that of the IETF draft draft-ietf-httpapi-idempotency-key-header. The receipt is
kept in the transaction of the write, so that either both are there or neither: the primary key
decides between requests that arrive together. A write that failed leaves no receipt and can be
repeated under the same key.
"""

import asyncio
import hashlib
import re
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from haidang.infra.database import Connection, Pool, transaction
from haidang.infra.queries import load_queries
from haidang.kernel.actors import Actor
from haidang.kernel.errors import Conflict, Invalid
from haidang.kernel.instants import Instant

KEPT_FOR = timedelta(hours=24)
"""How long a client may repeat a request and get the same answer."""

_WAIT_S = 5.0  # for another request that is using the key just now
_KEPT_HEADERS = frozenset(
    {"content-type", "content-language", "content-location", "etag", "link", "location"}
)
_LONGEST_KEY = 255
# RFC 9651, 3.3.3: a string is visible ASCII in double quotes, with \" and \\ escaped.
_QUOTED = re.compile(r'"((?:[\x20\x21\x23-\x5b\x5d-\x7e]|\\["\\])*)"')
_BARE = re.compile(r"[A-Za-z0-9_.:~+/=-]+")

_queries = load_queries(Path(__file__).parent / "sql" / "idempotency.sql")


class IdempotencyKeyMissing(Invalid):
    """This write needs an Idempotency-Key header, so that sending it again does nothing twice."""


class IdempotencyKeyMalformed(Invalid):
    """The Idempotency-Key must be a quoted string of 1 to 255 visible ASCII characters."""


class IdempotencyKeyReused(Invalid):
    """The Idempotency-Key {key} was used for another request; use a new key for a new request."""


class IdempotencyKeyInUse(Conflict):
    """A request with the Idempotency-Key {key} is being carried out; ask again in a moment."""


@dataclass(frozen=True, slots=True)
class KeyedRequest:
    """A request that carries a key: the key, the route it went to, and the fingerprint of its content."""

    key: str
    route: str
    fingerprint: bytes


@dataclass(frozen=True, slots=True)
class Receipt:
    """What was answered: status, the headers worth repeating, body; `replayed` if it was kept before."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes
    replayed: bool = False


def read_key(header: str | None, *, required: bool = False) -> str | None:
    """The key in an `Idempotency-Key` header; refuses a malformed one, and a missing one if required.

    The draft wants it quoted; what many clients send, the same without quotes, is understood.
    """
    if header is None:
        if required:
            raise IdempotencyKeyMissing
        return None
    text = header.strip()
    quoted = _QUOTED.fullmatch(text)
    if quoted is not None:
        key = re.sub(r"\\(.)", r"\1", quoted[1])
    elif _BARE.fullmatch(text):
        key = text
    else:
        raise IdempotencyKeyMalformed
    if not 1 <= len(key) <= _LONGEST_KEY:
        raise IdempotencyKeyMalformed
    return key


def keyed_request(
    key: str, *, method: str, path: bytes, query: bytes, content_type: str, body: bytes
) -> KeyedRequest:
    """The request as receipts know it. Two are the same when every byte given here is."""
    digest = hashlib.sha256()
    for part in (method.encode(), path, query, content_type.encode(), body):
        digest.update(len(part).to_bytes(8, "big"))
        digest.update(part)
    return KeyedRequest(key, f"{method} {path.decode('utf-8', 'replace')}", digest.digest())


async def find_receipt(
    connection: Connection, actor: Actor, request: KeyedRequest, *, now: Instant
) -> Receipt | None:
    """What was answered to this request before; raises IdempotencyKeyReused for another content."""
    row = await _queries.idempotency_receipt_of(
        connection,
        tenant=actor.tenant,
        actor_id=actor.actor_id,
        route=request.route,
        key=request.key,
        now=now,
    )
    if row is None:
        return None
    if row["fingerprint"] != request.fingerprint:
        raise IdempotencyKeyReused(key=request.key)
    if row["status"] is None:  # claimed earlier in this very transaction: two of a kind in one group
        raise IdempotencyKeyInUse(key=request.key)
    headers = tuple((name, value) for name, value in row["headers"])
    return Receipt(row["status"], headers, row["body"], replayed=True)


async def claim_key(
    connection: Connection, actor: Actor, request: KeyedRequest, *, now: Instant
) -> Receipt | None:
    """Take the key for this transaction, first thing in it; the receipt if there is one already.

    Waits a few seconds for another transaction that has it, then raises IdempotencyKeyInUse:
    this transaction is then lost. Raises IdempotencyKeyReused for another content.
    """
    claim = {
        "tenant": actor.tenant,
        "actor_id": actor.actor_id,
        "route": request.route,
        "key": request.key,
        "fingerprint": request.fingerprint,
        "created_at": now,
        "expires_at": now + KEPT_FOR,
    }
    try:
        async with asyncio.timeout(_WAIT_S):
            if await _queries.claim_idempotency_key(connection, **claim) is not None:
                return None
            found = await find_receipt(connection, actor, request, now=now)
            if found is not None:
                return found
            if await _queries.claim_expired_idempotency_key(connection, **claim) is not None:
                return None
    except TimeoutError:
        pass
    raise IdempotencyKeyInUse(key=request.key)


async def keep_receipt(
    connection: Connection,
    actor: Actor,
    request: KeyedRequest,
    *,
    status: int,
    headers: Iterable[tuple[str, str]],
    body: bytes,
) -> Receipt:
    """Keep the answer beside the claim, in the transaction of the write; cookies are not kept.

    Raises IdempotencyKeyInUse when this transaction has not claimed the key.
    """
    kept = tuple((name, value) for name, value in headers if name.lower() in _KEPT_HEADERS)
    written = await _queries.keep_idempotency_receipt(
        connection,
        tenant=actor.tenant,
        actor_id=actor.actor_id,
        route=request.route,
        key=request.key,
        fingerprint=request.fingerprint,
        status=status,
        headers=kept,
        body=body,
    )
    if written is None:
        raise IdempotencyKeyInUse(key=request.key)
    return Receipt(status, kept, body)


async def answer_once(
    pool: Pool,
    actor: Actor,
    request: KeyedRequest,
    write: Callable[[Connection], Awaitable[Receipt]],
    *,
    now: Instant,
) -> Receipt:
    """Carry out a write at most once: in one transaction the claim, the write and its receipt.

    A request that was answered before gets that answer; one that arrives while the first is
    being carried out waits for it. When `write` raises, nothing is kept.
    """
    async with transaction(pool) as connection:
        found = await claim_key(connection, actor, request, now=now)
        if found is not None:
            return found
        answer = await write(connection)
        return await keep_receipt(
            connection, actor, request, status=answer.status, headers=answer.headers, body=answer.body
        )


async def purge_receipts(actor: Actor, connection: Connection, *, now: Instant, most: int = 10_000) -> int:
    """Delete receipts that may no longer be repeated, at most so many; how many there were."""
    del actor  # a job of the platform: every verb takes its actor
    purged: int = await _queries.purge_idempotency_receipts(connection, now=now, most=most)
    return purged
