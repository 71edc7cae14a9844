"""A house with a real database and every room's own parts; only the NGSI-LD face is an echo."""

from pathlib import Path

import orjson
import pytest

from haidang.infra.database import Pool
from haidang.infra.health import HealthChecks, database_reachable
from haidang.infra.province import change_province_setting
from haidang.infra.settings import read_settings
from haidang.infra.templates import Templates
from haidang.infra.translations import Translations
from haidang.kernel.actors import part
from haidang.kernel.instants import SetClock
from haidang.packs.environment.pack import PACK
from haidang.sdk.loading import pack_folder
from haidang.web.asgi import build_application
from haidang.web.shared.house import House, Receive, Scope, Send
from tests.web.client import Client
from tests.web.stations import FIVE, write_stations


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
    await send(
        {"type": "http.response.start", "status": 200, "headers": [(b"Content-Type", b"application/json")]}
    )
    await send({"type": "http.response.body", "body": orjson.dumps(said)})


@pytest.fixture(scope="session")
def translations() -> Translations:
    """Every catalogue there is."""
    return Translations.load()


@pytest.fixture
async def house(pool: Pool, clock: SetClock, translations: Translations, tmp_path: Path) -> House:
    """The province is called Lâm Đồng; there is no station yet."""
    async with pool.acquire() as connection:
        await change_province_setting(part("test"), connection, "name", "Lâm Đồng", now=clock.now())
    health = HealthChecks("web", "0", clock)
    health.need("database", database_reachable(pool))
    return House(
        settings=read_settings({"HAIDANG_HOME": str(tmp_path)}),
        clock=clock,
        packs=(PACK,),
        translations=translations,
        templates=Templates(translations, packs={PACK.pack_id: pack_folder(PACK.pack_id)}),
        pool=pool,
        health=health,
        ngsi_ld=echo,
    )


@pytest.fixture
def web(house: House) -> Client:
    """The whole web on an empty province."""
    return Client(build_application(house))


@pytest.fixture
async def city(house: House) -> Client:
    """The whole web with five stations: good, moderate, hazardous, silent, replayed."""
    await write_stations(house.pool, FIVE, house.clock.now())
    return Client(build_application(house))
