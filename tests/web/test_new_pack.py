"""A pack as the scaffold writes it, in the whole house: from a station's message to a citizen's page."""

import dataclasses
import importlib
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from haidang.infra.database import transaction
from haidang.infra.templates import Templates
from haidang.infra.translations import Translations, room_folders
from haidang.kernel.actors import part
from haidang.sdk.loading import folder_of, pack_of
from haidang.sdk.model import Message, Pack
from haidang.sdk.scaffold import new_pack
from haidang.sources.model import declared_sources
from haidang.sources.service import Taken, take_messages
from haidang.web.asgi import build_application
from haidang.web.shared.house import House
from tests.web.client import Client


@pytest.fixture
def rivers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Pack, Path]]:
    """A new pack of somebody else's distribution, with its folder."""
    new_pack(tmp_path, "rivers")
    monkeypatch.syspath_prepend(str(tmp_path / "haidang-pack-rivers" / "src"))
    module = importlib.import_module("haidang_pack_rivers.pack")
    yield pack_of(module), folder_of(module)
    for name in [name for name in sys.modules if name.startswith("haidang_pack_rivers")]:
        del sys.modules[name]


async def test_a_new_pack_carries_a_reading_to_its_page(house: House, rivers: tuple[Pack, Path]) -> None:
    pack, folder = rivers
    translations = Translations.load([*room_folders(), folder])
    assert translations.clashes == []
    with_rivers = dataclasses.replace(
        house,
        packs=(*house.packs, pack),
        translations=translations,
        templates=Templates(translations, packs={pack.pack_id: folder}),
    )
    web = Client(build_application(with_rivers))
    empty = await web.page("/rivers")
    assert empty.status == 200
    assert "Chưa có trạm nào gửi số liệu." in empty.text

    (declared,) = declared_sources([pack])
    now = house.clock.now()
    message = Message(pack.sources[0].example, pack.sources[0].example_topic, now)
    async with transaction(house.pool) as connection:
        taken = await take_messages(part("sources"), connection, declared, [message], now=now)
    assert taken == Taken(accepted=1, quarantined=0)

    web = Client(build_application(with_rivers))  # the first one shares what it made for a few seconds
    page = await web.page("/rivers")
    assert "Trạm một" in page.text
    assert "1,25" in page.text
    assert "Số liệu mô phỏng" in page.text
    assert "Stations of rivers" in (await web.page("/en/rivers")).text
    table = await web.get("/rivers.csv")
    assert table.text.splitlines()[1] == "Trạm một,1.25,2026-11-21T05:00:00Z"
