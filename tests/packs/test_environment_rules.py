"""The pack's rules on histories: what lasts is raised once, what only flickers is not."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta

import pytest

from haidang.context.model import AttributeInstance, MergeObservations
from haidang.context.writer import apply_commands
from haidang.demo.__main__ import everyone
from haidang.demo.scenarios import Kind, Scenario
from haidang.demo.stations import slots
from haidang.infra.database import Connection
from haidang.kernel.actors import Actor, Audience, part
from haidang.kernel.instants import VIETNAM, Instant
from haidang.packs.environment.alarm_levels import ALARM_LEVELS, levels_on
from haidang.packs.environment.pack import PACK
from haidang.packs.environment.rules import RULES
from haidang.packs.environment.water import derive_alarm_level, mark_name
from haidang.rules.model import TrialAlarm
from haidang.rules.plans import declared_of, plan_rule
from haidang.rules.service import try_rule
from haidang.sdk.model import Observation, Rule

NOON = datetime(2026, 11, 22, 5, tzinfo=UTC)
HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)
OFFICER = Actor("urn:haidang:officer:1", frozenset({Audience.PUBLIC, Audience.OFFICER}))
BY_ID = {rule.rule_id: rule for rule in RULES}
TYPES = {one.name: one for one in PACK.entity_types}


async def observed(
    connection: Connection, kind: str, slug: str, rows: Iterable[tuple[Instant, str, float]]
) -> None:
    """Write what was observed of one entity, by short names."""
    declared = TYPES[kind]
    instances = []
    for at, name, value in rows:
        attribute = declared.attribute(name)
        assert attribute is not None, name
        instances.append(AttributeInstance(attribute.iri, value, unit=attribute.unit, observed_at=at))
    commands = [
        MergeObservations(entity_id=f"urn:ngsi-ld:{kind}:{slug}", type_iri=declared.iri, attributes=(one,))
        for one in instances
    ]
    for outcome in await apply_commands(connection, part("test"), commands, now=NOON):
        assert outcome.error is None


async def tried(connection: Connection, rule: Rule, back: timedelta = timedelta(days=2)) -> list[TrialAlarm]:
    trial = await try_rule(OFFICER, connection, rule, since=NOON - back, until=NOON, packs=[PACK])
    return trial.raised


def indices(values: Sequence[float]) -> list[tuple[Instant, str, float]]:
    """An hourly index that ends at noon, oldest first."""
    last = len(values) - 1
    return [(NOON - (last - place) * HOUR, "airQualityIndex", value) for place, value in enumerate(values)]


@pytest.mark.parametrize("rule", RULES, ids=lambda one: one.rule_id)
def test_every_rule_can_be_planned(rule: Rule) -> None:
    assert plan_rule(rule, declared_of([PACK])).entity_type.name == rule.entity_type


async def test_bad_air_is_raised_when_it_has_lasted_two_hours(connection: Connection) -> None:
    await observed(
        connection, "AirQualityObserved", "lasting", indices([90, 151, 160, 170, 180, 140, 130, 90])
    )
    await observed(connection, "AirQualityObserved", "brief", indices([90, 151, 140, 90, 170, 150, 151, 90]))
    (alarm,) = await tried(connection, BY_ID["vn-aqi-above-150"])
    assert alarm.entity_id.endswith(":lasting")
    assert alarm.since == NOON - 6 * HOUR
    assert alarm.raised_at == NOON - 4 * HOUR
    assert alarm.cleared_at == NOON - HOUR  # an hour after it was 140


async def test_exactly_150_is_not_above(connection: Connection) -> None:
    await observed(connection, "AirQualityObserved", "x", indices([150] * 8))
    assert await tried(connection, BY_ID["vn-aqi-above-150"]) == []


async def test_water_that_swings_about_a_level_is_one_alarm(connection: Connection) -> None:
    """Hysteresis: 5 cm below does not clear, 10 cm below for half an hour does."""
    above = [-0.3, 0.0, -0.05, 0.04, -0.09, 0.2, -0.12, -0.02, -0.2, -0.21, -0.22, -0.25, -0.3]
    rows = [
        (NOON - (len(above) - 1 - place) * 10 * MINUTE, "aboveAlarmMark2", value)
        for place, value in enumerate(above)
    ]
    await observed(connection, "WaterObserved", "x", rows)
    (alarm,) = await tried(connection, BY_ID["water-above-alarm-2"])
    assert alarm.since == rows[1][0]
    assert alarm.cleared_at == rows[8][0] + 30 * MINUTE
    assert await tried(connection, BY_ID["water-above-alarm-3"]) == []


@pytest.mark.parametrize(
    ("rule_id", "kind", "name", "rhythm"),
    [
        ("river-gauge-silent", "WaterObserved", "waterLevel", 10 * MINUTE),
        ("rain-gauge-silent", "WeatherObserved", "precipitation", 10 * MINUTE),
    ],
)
async def test_a_gauge_is_silent_after_three_periods(
    connection: Connection, rule_id: str, kind: str, name: str, rhythm: timedelta
) -> None:
    moments = [NOON - back * rhythm for back in (20, 19, 18, 16, 14, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0)]
    await observed(connection, kind, "x", [(at, name, 1.0) for at in moments])
    (alarm,) = await tried(connection, BY_ID[rule_id])
    assert alarm.since == NOON - 14 * rhythm  # two periods without are none
    assert alarm.cleared_at == NOON - 9 * rhythm


async def test_the_rainy_night_of_the_demo_raises_and_clears(connection: Connection) -> None:
    """From what the demo's gauges say to the alarms: level by level, as the pack derives them."""
    night = (NOON - HOUR).astimezone(VIETNAM).date() - timedelta(days=1)
    played = {one.station.slug: one for one in everyone(Scenario(Kind.RAIN, night))}
    for slug in ("mo-phong-kon-binh-nghi", "mo-phong-la-nga-ta-pao"):
        one = played[slug]
        levels = levels_on(ALARM_LEVELS, one.station.code, night)
        assert levels is not None
        rows = []
        for at in slots(one.station.period, NOON - 24 * HOUR, NOON):
            level = one.instrument.values_at(at)["waterLevel"].value
            window = {
                "waterLevel": [Observation(at, level)],
                **{mark_name(mark.grade): [Observation(at, mark.metres)] for mark in levels.levels},
            }
            rows += [
                (at, value.attribute, value.value)
                for value in derive_alarm_level(window, at)
                if value.value is not None and value.attribute.startswith("above")
            ]
        await observed(connection, "WaterObserved", slug, rows)
    (second,) = await tried(connection, BY_ID["water-above-alarm-2"])
    assert second.entity_id.endswith("binh-nghi")
    assert second.since.astimezone(VIETNAM).hour in {22, 23, 0, 1}
    assert second.cleared_at is not None
    (first,) = await tried(connection, BY_ID["water-above-alarm-1"])
    assert first.since < second.since
    assert await tried(connection, BY_ID["water-above-alarm-3"]) == []
