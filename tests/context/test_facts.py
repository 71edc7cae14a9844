"""Facts of packs become entities once a release, and what the province did with them stays done."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
import pytest

from haidang.context.errors import EntityUnknown, FactsRefused
from haidang.context.facts import FactsLoaded, load_facts, load_facts_file
from haidang.context.model import AppendAttributes, AttributeInstance
from haidang.context.service import (
    OwnTransaction,
    delete_entity,
    latest_entities,
    retrieve_entity,
    write_command,
)
from haidang.infra.database import Connection
from haidang.kernel.actors import part
from haidang.kernel.instants import SetClock
from haidang.sdk.facts import FactsUnreadable, read_facts
from haidang.sdk.loading import installed_packs
from haidang.sdk.model import Attribute, AttributeKind, EntityType, Facts, Pack

KIND = EntityType(
    name="Pump",
    iri="https://example.vn/Pump",
    label="Pump",
    attributes=(
        Attribute("name", "https://example.vn/name", lasting=True),
        Attribute("location", "https://uri.etsi.org/ngsi-ld/location", kind=AttributeKind.GEO_PROPERTY),
    ),
)
PUMPS = Facts("pumps", "Pumps", KIND.name, "pumps.json", "CC0-1.0", "Nobody")
PACK = Pack("drains", "1", "Drains", entity_types=(KIND,), facts=(PUMPS,))
US = part("test")


def written(folder: Path, pumps: Mapping[str, Mapping[str, Any]]) -> Path:
    """A file of facts with these pumps."""
    path = folder / PUMPS.file
    entities = [{"id": f"urn:ngsi-ld:Pump:{name}", "values": values} for name, values in pumps.items()]
    path.write_bytes(
        orjson.dumps({"facts": 1, "provenance": "test", "retrieved": "2026-01-01", "entities": entities})
    )
    return path


async def names(connection: Connection) -> list[str]:
    return [view.values["name"] for view in await latest_entities(US, connection, KIND, 100)]


async def test_a_release_is_loaded_once(connection: Connection, clock: SetClock, tmp_path: Path) -> None:
    path = written(tmp_path, {"a": {"name": "Một"}, "b": {"name": "Hai"}})
    first = await load_facts_file(US, connection, PACK, PUMPS, path, now=clock.now())
    assert first == FactsLoaded("drains.pumps", 2, 0)
    assert await load_facts_file(US, connection, PACK, PUMPS, path, now=clock.now()) is None
    assert await names(connection) == ["Hai", "Một"]


async def test_a_newer_release_changes_adds_and_takes_away(
    connection: Connection, clock: SetClock, tmp_path: Path
) -> None:
    path = written(tmp_path, {"a": {"name": "Một"}, "b": {"name": "Hai"}})
    await load_facts_file(US, connection, PACK, PUMPS, path, now=clock.now())
    path = written(tmp_path, {"b": {"name": "Hai mới"}, "c": {"name": "Ba"}})
    loaded = await load_facts_file(US, connection, PACK, PUMPS, path, now=clock.now())
    assert loaded == FactsLoaded("drains.pumps", 2, 1)
    assert await names(connection) == ["Ba", "Hai mới"]


async def test_what_the_province_did_stays(connection: Connection, clock: SetClock, tmp_path: Path) -> None:
    writer = OwnTransaction(connection, clock)
    path = written(tmp_path, {"a": {"name": "Một"}, "b": {"name": "Hai"}})
    await load_facts_file(US, connection, PACK, PUMPS, path, now=clock.now())
    await delete_entity(US, writer, "urn:ngsi-ld:Pump:a")
    note = AttributeInstance("https://example.vn/note", "hỏng van")
    await write_command(US, writer, AppendAttributes(entity_id="urn:ngsi-ld:Pump:b", attributes=(note,)))
    await load_facts_file(US, connection, PACK, PUMPS, path, now=clock.now())
    with pytest.raises(EntityUnknown):
        await retrieve_entity(US, connection, "urn:ngsi-ld:Pump:a")
    path = written(tmp_path, {"b": {"name": "Hai mới"}})
    loaded = await load_facts_file(US, connection, PACK, PUMPS, path, now=clock.now())
    assert loaded == FactsLoaded("drains.pumps", 1, 0)  # what is gone already is no trouble
    kept = await retrieve_entity(US, connection, "urn:ngsi-ld:Pump:b")
    assert kept.attributes["https://example.vn/note"][0]["value"] == "hỏng van"


async def test_what_cannot_be_stored_refuses_the_whole_release(
    connection: Connection, clock: SetClock, tmp_path: Path
) -> None:
    path = written(tmp_path, {"a": {"name": "Một", "location": {"type": "Point", "coordinates": [999, 0]}}})
    with pytest.raises(FactsRefused):
        await load_facts_file(US, connection, PACK, PUMPS, path, now=clock.now())
    path = written(tmp_path, {"a": {"colour": "red"}})
    with pytest.raises(FactsRefused, match="colour"):
        await load_facts_file(US, connection, PACK, PUMPS, path, now=clock.now())


@pytest.mark.parametrize("content", [b"", b"[]", b'{"facts": 2}', b"\xff", b"[" * 10_000])
def test_what_is_no_file_of_facts_is_refused_with_a_sentence(content: bytes) -> None:
    with pytest.raises(FactsUnreadable):
        read_facts("x", content)


async def test_the_installed_packs_facts_load_and_are_loaded_then(
    connection: Connection, clock: SetClock
) -> None:
    loaded = await load_facts(US, connection, installed_packs(), now=clock.now())
    assert FactsLoaded("health.hospitals", 75, 0) in loaded
    assert await load_facts(US, connection, installed_packs(), now=clock.now()) == []
    without = [replace(pack, facts=()) for pack in installed_packs()]
    assert await load_facts(US, connection, without, now=clock.now()) == []
