"""Who asks: the bearer token of a request, read into an Actor and remembered for a few seconds."""

import time

from haidang.infra.database import reading
from haidang.infra.tokens import actor_of_token, hash_of_token
from haidang.kernel.actors import Actor, anonymous
from haidang.web.shared.errors import TokenRefused
from haidang.web.shared.house import House

REMEMBERED_S = 5.0
"""How long a token is taken on its word: a station that writes a hundred times a second is looked up
once in this time, and a revoked token is refused after it at the latest."""

_MOST = 4096


class Bearers:
    """Tokens that were good a moment ago, by their hash; wrong ones are looked up each time."""

    def __init__(self, house: House, *, remembered_s: float = REMEMBERED_S) -> None:
        self._house = house
        self._remembered_s = remembered_s
        self._good: dict[bytes, tuple[float, Actor]] = {}

    async def actor_of(self, authorization: str) -> Actor:
        """The actor of an Authorization header, anonymous without a bearer token; raises TokenRefused.

        A wrong token is refused, not ignored: who thinks they are known should hear that they are not.
        Other schemes are ignored: a proxy that asks for a password passes it on with each request.
        """
        scheme, _, token = authorization.partition(" ")
        if scheme.lower() != "bearer":
            return anonymous()
        token = token.strip()
        if not token:
            raise TokenRefused
        key = hash_of_token(token)
        now = time.monotonic()
        known = self._good.get(key)
        if known is not None and now - known[0] < self._remembered_s:
            return known[1]
        self._good.pop(key, None)
        async with reading(self._house.pool) as connection:
            actor = await actor_of_token(connection, token, now=self._house.clock.now())
        if actor is None:
            raise TokenRefused
        if len(self._good) >= _MOST:
            self._good.clear()
        self._good[key] = (now, actor)
        return actor
