"""What the web needs of the house; the composition root gives it."""

from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol, TypeAlias

from haidang.infra.database import Pool
from haidang.infra.health import HealthChecks
from haidang.infra.settings import Settings
from haidang.infra.templates import Templates
from haidang.infra.translations import Translations
from haidang.kernel.instants import Clock
from haidang.sdk.model import Pack

Scope: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send: TypeAlias = Callable[[MutableMapping[str, Any]], Awaitable[None]]
AsgiApplication: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]


class House(Protocol):
    """The parts that pages are made from. `pool` exists between entering and leaving `opened()`."""

    @property
    def settings(self) -> Settings:
        """Settings of the machine."""
        ...

    @property
    def clock(self) -> Clock:
        """What time it is."""
        ...

    @property
    def packs(self) -> Sequence[Pack]:
        """The packs whose pages are mounted."""
        ...

    @property
    def translations(self) -> Translations:
        """The message catalogues."""
        ...

    @property
    def templates(self) -> Templates:
        """The templates of faces and packs."""
        ...

    @property
    def pool(self) -> Pool:
        """The database."""
        ...

    @property
    def ngsi_ld(self) -> AsgiApplication:
        """The raw application of `/ngsi-ld/`."""
        ...

    @property
    def health(self) -> HealthChecks:
        """What `/healthz` and `/readyz` answer from."""
        ...

    def opened(self) -> AbstractAsyncContextManager[None]:
        """Open what needs a running loop (the pool, the writer) and close it again, in order."""
        ...
