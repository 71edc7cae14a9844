"""A house whose parts are every room's own; only the NGSI-LD face is an echo."""

import orjson

from haidang.infra.database import Pool
from haidang.infra.health import HealthChecks, database_reachable
from haidang.infra.settings import Settings
from haidang.infra.templates import Templates
from haidang.infra.translations import Translations
from haidang.kernel.instants import Clock
from haidang.packs.environment.pack import PACK
from haidang.sdk.loading import pack_folder
from haidang.web.shared.house import House, Receive, Scope, Send


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    """Stands where the NGSI-LD face stands: says what reached it, reading the whole body."""
    size, more = 0, True
    while more:
        message = await receive()
        size += len(message.get("body", b""))
        more = message.get("more_body", False)
    said = {
        "raw_path": scope["raw_path"].decode(),
        "method": scope["method"],
        "actor": scope["state"]["actor"].actor_id,
        "size": size,
    }
    headers = [(b"Content-Type", b"application/json")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": orjson.dumps(said)})


def house_on(pool: Pool, clock: Clock, translations: Translations, settings: Settings) -> House:
    """The web's parts over a database, with the environment pack."""
    health = HealthChecks("web", "0", clock)
    health.need("database", database_reachable(pool))
    return House(
        settings=settings,
        clock=clock,
        packs=(PACK,),
        translations=translations,
        templates=Templates(translations, packs={PACK.pack_id: pack_folder(PACK.pack_id)}),
        pool=pool,
        health=health,
        ngsi_ld=echo,
    )
