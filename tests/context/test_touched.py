"""Entities that a change of units touches: those that stand in its land, by who may see them."""

import shapely

from haidang.app import touched_kinds
from haidang.context.model import DeleteEntity
from haidang.context.store import restrict_types
from haidang.context.touched import ENTITIES_TOUCHED, entities_touched
from haidang.context.writer import apply_commands
from haidang.infra.database import Connection
from haidang.kernel.actors import anonymous, part
from haidang.kernel.geometry import Box
from haidang.places.changing import TouchedPlace
from tests.context.test_tiles import LAMP, NOW, SEALED, lamp, put

# Half a square: its box holds more than it does.
TRIANGLE = TouchedPlace(
    ("urn:haidang:unit:thu",),
    shapely.Polygon([(108.0, 10.9), (108.2, 10.9), (108.0, 11.1)]),
    Box(108.0, 10.9, 108.2, 11.1),
)


async def test_entities_are_counted_where_they_stand(connection: Connection) -> None:
    assert await entities_touched(part("test"), connection, TRIANGLE) == 0
    await put(connection, lamp(1, 108.05, 10.95), lamp(2, 108.19, 11.09), lamp(3, 109.0, 12.0))
    assert await entities_touched(part("test"), connection, TRIANGLE) == 1
    gone = DeleteEntity(entity_id=lamp(1, 0, 0).entity_id)
    await apply_commands(connection, part("test"), [gone], now=NOW)
    assert await entities_touched(part("test"), connection, TRIANGLE) == 0


async def test_many_are_counted_in_lots_and_none_is_missed(connection: Connection) -> None:
    within = [lamp(number, 108.01 + number / 10_000, 10.91) for number in range(600)]
    beside = [lamp(600 + number, 108.19, 11.09) for number in range(450)]
    await put(connection, *within, *beside)
    assert await entities_touched(part("test"), connection, TRIANGLE, at_once=500) == 600


async def test_without_an_outline_nothing_is_claimed(connection: Connection) -> None:
    assert await entities_touched(part("test"), connection, TouchedPlace(("u",), None, None)) is None


async def test_what_an_actor_may_not_see_is_not_counted(connection: Connection) -> None:
    await put(connection, lamp(1, 108.05, 10.95, LAMP), lamp(2, 108.06, 10.96, SEALED))
    await restrict_types(connection, {SEALED: "officer"})
    assert await entities_touched(part("test"), connection, TRIANGLE) == 2
    assert await entities_touched(anonymous(), connection, TRIANGLE) == 1


def test_the_house_registers_it() -> None:
    assert ENTITIES_TOUCHED in touched_kinds()
