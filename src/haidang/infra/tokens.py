"""Access tokens of machines: shown once, kept only as a hash."""

import hashlib
import secrets
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from haidang.infra.database import Connection
from haidang.infra.queries import load_queries
from haidang.kernel.actors import Actor, Audience, machine
from haidang.kernel.errors import Denied, Invalid, NotFound
from haidang.kernel.instants import Instant

PREFIX = "hd_"
_BYTES = 32
_LONGEST = 200
_MACHINE = "urn:haidang:machine:"

_queries = load_queries(Path(__file__).parent / "sql" / "tokens.sql")


class TokenLabelWrong(Invalid):
    """The label of a token has 1 to 60 lower-case letters, digits and hyphens; “{label}” does not."""


class TokenUnknown(NotFound):
    """There is no token {token_id}."""


class TokensAreForAdministrators(Denied):
    """Only an administrator may issue, list or revoke tokens."""


@dataclass(frozen=True, slots=True)
class AccessToken:
    """What is known of a token: never the token itself. `token_id` is the start of its hash."""

    token_id: str
    label: str
    actor_id: str
    created_at: Instant
    expires_at: Instant | None
    revoked_at: Instant | None

    def usable(self, now: Instant) -> bool:
        """Whether it opens anything at `now`."""
        return self.revoked_at is None and (self.expires_at is None or now < self.expires_at)


def hash_of_token(token: str) -> bytes:
    """SHA-256 of the token. It has 256 random bits, so that a slow hash would protect nothing."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()


async def issue_token(
    actor: Actor, connection: Connection, label: str, *, now: Instant, lasts: timedelta | None
) -> str:
    """Make a token that acts as `machine(label)` in the actor's tenant; it is never shown again."""
    _require_administrator(actor)
    if not _is_label(label):
        raise TokenLabelWrong(label=label[:80])
    token = PREFIX + secrets.token_urlsafe(_BYTES)
    await _queries.insert_token(
        connection,
        token_hash=hash_of_token(token),
        actor_id=machine(label, actor.tenant).actor_id,
        tenant=actor.tenant,
        label=label,
        created_at=now,
        created_by=actor.actor_id,
        expires_at=now + lasts if lasts is not None else None,
    )
    return token


async def actor_of_token(connection: Connection, token: str, *, now: Instant) -> Actor | None:
    """The machine that a token speaks for, or `None` for one that is unknown, expired or revoked.

    Constant-time where it matters: the token is hashed before it is compared, so the time that
    the index takes tells nothing about a token; and the stored hash is compared once more whole.
    """
    if not token.startswith(PREFIX) or len(token) > _LONGEST:
        return None
    wanted = hash_of_token(token)
    row = await _queries.token_by_hash(connection, token_hash=wanted, now=now)
    if row is None or not secrets.compare_digest(bytes(row["token_hash"]), wanted):
        return None
    return Actor(row["actor_id"], frozenset({Audience.PUBLIC, Audience.MACHINE}), row["tenant"])


async def list_tokens(actor: Actor, connection: Connection) -> list[AccessToken]:
    """Every token of the tenant, oldest first, revoked and expired ones too."""
    _require_administrator(actor)
    return [
        AccessToken(
            row["token_hash"].hex()[:12],
            row["label"],
            row["actor_id"],
            row["created_at"],
            row["expires_at"],
            row["revoked_at"],
        )
        async for row in _queries.tokens_of_tenant(connection, tenant=actor.tenant)
    ]


async def revoke_token(actor: Actor, connection: Connection, token_id: str, *, now: Instant) -> None:
    """End a token by the id that `list_tokens` shows; raises TokenUnknown."""
    _require_administrator(actor)
    revoked = await _queries.revoke_token(connection, tenant=actor.tenant, token_id=token_id, now=now)
    if revoked is None:
        raise TokenUnknown(token_id=token_id)


async def revoke_tokens_labelled(actor: Actor, connection: Connection, label: str, *, now: Instant) -> None:
    """End every living token of that label, before one that replaces them is issued."""
    _require_administrator(actor)
    await _queries.revoke_tokens_labelled(connection, tenant=actor.tenant, label=label, now=now)


def _require_administrator(actor: Actor) -> None:
    if not actor.belongs_to(Audience.ADMINISTRATOR):
        raise TokensAreForAdministrators


def _is_label(label: str) -> bool:
    return 0 < len(label) <= 60 and all(letter in "abcdefghijklmnopqrstuvwxyz0123456789-" for letter in label)
