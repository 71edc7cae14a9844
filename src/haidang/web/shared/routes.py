"""The little that pages need to know of the framework."""

from collections.abc import Sequence

from litestar.types import ASGIApp

from haidang.infra.translations import LOCALES
from haidang.web.shared.answers import Answer
from haidang.web.shared.frame import in_locale
from haidang.web.shared.house import Receive, Scope, Send


def sent(answer: Answer) -> ASGIApp:
    """An answer as the small application that Litestar calls to send it."""

    async def application(_scope: Scope, _receive: Receive, send: Send) -> None:
        await answer.send(send)

    return application  # type: ignore[return-value]  # Litestar's scopes are TypedDicts of the same


def paths_in_every_locale(path: str) -> Sequence[str]:
    """The addresses of a page, one a language."""
    return [in_locale(path, locale) for locale in LOCALES]
