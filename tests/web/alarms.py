"""Alarms as rules raise them: stations are written, a rule is kept, and taken to every one of them."""

from collections.abc import Sequence

from haidang.infra.database import transaction
from haidang.kernel.actors import part
from haidang.rules.model import Alarm
from haidang.rules.service import alarms, save_rule
from haidang.rules.watching import Watcher
from haidang.sdk.model import Rule, Severity
from haidang.web.shared.house import House
from tests.web.stations import Given, write_stations

SMOG = Rule(
    rule_id="smog",
    label="Khói mù",
    entity_type="AirQualityObserved",
    severity=Severity.SEVERE,
    q="airQualityIndex>150",
    advice="Báo cho các trường học",
)
QUY_NHON = Given("quy-nhon", "Quy Nhơn", 402)


async def raise_alarms(
    house: House, stations: Sequence[Given] = (QUY_NHON,), rule: Rule = SMOG
) -> list[Alarm]:
    """Write the stations, keep the rule, and let it look at them: the open alarms, gravest first."""
    await write_stations(house.pool, stations, house.clock.now())
    async with transaction(house.pool) as connection:
        await save_rule(part("test"), connection, rule, by="Test", now=house.clock.now(), packs=house.packs)
        await Watcher(house.packs, house.clock).look_over(connection, "default", rule.rule_id, 0)
        return await alarms(part("test"), connection, now=house.clock.now())
