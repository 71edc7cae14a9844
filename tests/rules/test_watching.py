"""Rules at work on a real database: in time, behind, late, corrected, silent, restarted."""

from datetime import timedelta

import pytest

from haidang.context.events import EntitiesChanged
from haidang.context.model import AttributeInstance, DeleteEntity, MergeObservations
from haidang.infra.database import Connection
from haidang.infra.events import settle
from haidang.kernel.instants import SetClock
from haidang.rules import watching
from haidang.rules.model import AlarmAct, AlarmState, ClearedBy
from haidang.rules.service import alarm, rules, save_rule
from haidang.sdk.model import Quality, Rule, Severity
from tests.rules.town import (
    BASE,
    GAUGE,
    HIGH,
    HYSTERESIS,
    LASTING,
    MINUTE,
    NOON,
    OFFICER,
    RISING,
    SILENT,
    SOURCE,
    Town,
    gauge_rule,
)


async def town(connection: Connection, *declared: Rule) -> Town:
    built = Town(connection, SetClock(NOON), *declared)
    await built.begin()
    return built


async def test_a_condition_raises_once_and_clears_once(connection: Connection) -> None:
    here = await town(connection, HIGH)
    await here.state("a", "name", "Cầu Phú Long")
    await here.state("a", "location", {"type": "Point", "coordinates": [108.1, 10.9]}, "GeoProperty")
    for minute, level in enumerate([2.9, 3.1, 3.2, 2.8, 2.7]):
        here.clock.advance(MINUTE)
        await here.observe("a", minute, level)
    (found,) = await here.alarms()
    assert (found.label, found.advice, found.severity) == ("High water", "Look at the river", Severity.SEVERE)
    assert (found.entity_name, found.position) == ("Cầu Phú Long", (108.1, 10.9))
    assert (found.value, found.unit, found.synthetic) == (3.2, "MTR", False)
    assert (found.since, found.cleared_at) == (NOON + MINUTE, NOON + 3 * MINUTE)
    assert await here.told() == ["raised", "updated", "cleared"]
    _, lines = await alarm(OFFICER, connection, found.alarm_id)
    assert [line.kind for line in lines] == [AlarmAct.RAISED, AlarmAct.UPDATED, AlarmAct.CLEARED]
    assert lines[-1].text == ClearedBy.CONDITION.value


async def test_an_open_alarm_is_updated_once_a_minute_at_most(connection: Connection) -> None:
    here = await town(connection, HIGH)
    for second in range(0, 150, 10):
        here.clock.advance(timedelta(seconds=10))
        await here.observe("a", second / 60, 3.1 + second / 1000)
    (found,) = await here.alarms()
    assert await here.told() == ["raised", "updated", "updated"]
    assert found.version == 3


async def test_a_duration_ends_by_the_clock(connection: Connection) -> None:
    here = await town(connection, LASTING)
    for minute in (0, 10, 20):
        await here.to_minute(minute)
        await here.observe("a", minute, 3.5)
    await here.to_minute(29)
    assert await here.story() == []
    here.restart()
    await here.to_minute(30)
    assert await here.story() == [("a", 0, None)]
    await here.to_minute(31)
    await here.observe("a", 30, 2.0)
    assert await here.story() == [("a", 0, 30)]


async def test_a_deadline_waits_for_what_was_written_before_it(connection: Connection) -> None:
    """The consumer is behind: what it has not handled may say that there was nothing."""
    here = await town(connection, LASTING)
    await here.observe("a", 0, 3.5)
    await connection.execute(
        "INSERT INTO infra.event_consumer (consumer, listens_to, position) VALUES ($1, $2, $3)",
        watching.CONSUMER,
        [EntitiesChanged.kind],
        here.after,
    )
    here.clock.advance(10 * MINUTE)
    await here.observe("a", 10, 1.0, take=False)
    await settle(connection)
    await connection.execute("UPDATE infra.event SET published_at = $1", here.clock.now())
    await here.to_minute(40)
    assert await here.story() == []
    await here.take()
    await connection.execute("DELETE FROM infra.event_consumer")
    await here.to_minute(42)
    assert await here.story() == []


async def test_a_condition_of_which_nothing_more_is_heard_raises_nothing(connection: Connection) -> None:
    here = await town(connection, gauge_rule(lasting=60 * MINUTE))
    await here.observe("a", 0, 3.5)
    await here.to_minute(100)
    assert await here.story() == []
    assert await connection.fetchval("SELECT count(*) FROM rules.watch") == 0


async def test_it_clears_only_when_the_clearing_condition_has_held(connection: Connection) -> None:
    here = await town(connection, HYSTERESIS)
    for minute, level in [(0, 3.5), (10, 2.5), (20, 1.5), (30, 2.5), (40, 1.5), (50, 1.4)]:
        await here.to_minute(minute)
        await here.observe("a", minute, level)
    assert await here.story() == [("a", 0, None)]
    await here.to_minute(60)
    assert await here.story() == [("a", 0, 60)]


async def test_silence_raises_after_three_rhythms_and_ends_when_heard(connection: Connection) -> None:
    here = await town(connection, SILENT)
    await here.observe("a", 0, 1.0)  # ten minutes: the rhythm of its source
    await here.state("b", "period", 120)
    await here.observe("b", 0, 1.0)
    await here.to_minute(5)
    await here.observe("b", 5, 1.0)
    await here.to_minute(10)
    assert await here.story() == []
    await here.to_minute(12)
    assert await here.story() == [("b", 5, None)]
    await here.to_minute(29)
    await here.observe("b", 29, None, quality=Quality.MISSING)
    await here.to_minute(31)
    assert await here.story() == [("b", 5, 29), ("a", 0, None)]
    await here.observe("a", 31, 1.0, quality=Quality.SUSPECT)
    assert await here.story() == [("b", 5, 29), ("a", 0, 31)]
    assert await here.told() == ["raised", "cleared", "raised", "cleared"]


async def test_nobody_is_silent_for_our_own_absence(connection: Connection) -> None:
    here = await town(connection, SILENT)
    await here.observe("a", 0, 1.0)
    here.clock.advance(timedelta(hours=8))
    await here.watcher.look(connection, "default")
    assert await here.story() == []
    await here.pass_time(29)
    assert await here.story() == []
    await here.pass_time(2)
    assert await here.story() == [("a", 0, None)]


async def test_a_rate_of_change_raises(connection: Connection) -> None:
    here = await town(connection, RISING)
    for minute, level in [(0, 1.0), (20, 1.4), (40, 1.9), (50, 2.1), (90, 2.2), (130, 2.2)]:
        await here.to_minute(minute)
        await here.observe("a", minute, level)
    assert await here.story() == [("a", 50, 90)]


async def test_what_came_and_went_while_nobody_looked_is_told(connection: Connection) -> None:
    """The consumer is behind: the entity's present state is long another one."""
    here = await town(connection, LASTING)
    for minute in range(0, 100, 10):
        here.clock.advance(10 * MINUTE)
        await here.observe("a", minute, 3.5 if minute <= 50 else 1.0, take=False)
    here.restart()
    assert await here.take() == 10
    assert await here.story() == [("a", 0, 60)]
    assert await here.told() == ["raised", "cleared"]


async def test_one_commit_with_many_moments_is_followed_moment_by_moment(connection: Connection) -> None:
    here = await town(connection, HIGH)
    instances = [
        AttributeInstance(BASE + "level", level, observed_at=NOON + minute * MINUTE)
        for minute, level in enumerate([1.0, 3.5, 1.0, 3.6])
    ]
    await here.write(
        *(
            MergeObservations(entity_id="urn:ngsi-ld:Gauge:a", type_iri=GAUGE.iri, attributes=(one,))
            for one in instances
        )
    )
    assert await here.story() == [("a", 1, 2), ("a", 3, None)]


async def test_late_data_may_show_that_there_was_nothing(connection: Connection) -> None:
    here = await town(connection, LASTING)
    for minute in (0, 10, 20, 30):
        await here.to_minute(minute)
        if minute != 20:
            await here.observe("a", minute, 3.5)
    assert await here.story() == [("a", 0, None)]
    await here.observe("a", 15, 1.0)  # late
    (found,) = await here.alarms()
    assert found.state is AlarmState.CLEARED
    _, lines = await alarm(OFFICER, connection, found.alarm_id)
    assert lines[-1].text == ClearedBy.CORRECTION.value
    await here.to_minute(40)
    await here.observe("a", 40, 3.5)
    await here.to_minute(61)
    assert [since for _, since, _ in await here.story()] == [0, 30]


async def test_late_data_may_show_that_it_began_earlier(connection: Connection) -> None:
    here = await town(connection, LASTING)
    await here.to_minute(20)
    await here.observe("a", 20, 3.5)
    await here.observe("a", 0, 3.5)
    await here.observe("a", 10, 3.5)
    await here.to_minute(31)
    assert await here.story() == [("a", 0, None)]


async def test_a_correction_of_the_same_moment_counts(connection: Connection) -> None:
    here = await town(connection, HIGH)
    await here.observe("a", 0, 9.9)
    await here.observe("a", 0, 1.0)
    (found,) = await here.alarms()
    assert found.state is AlarmState.CLEARED
    await here.observe("a", 0, 9.9)
    assert [one.state for one in await here.alarms()].count(AlarmState.OPEN) == 1


async def test_what_cannot_be_trusted_neither_raises_nor_clears(connection: Connection) -> None:
    here = await town(connection, HIGH)
    await here.observe("a", 0, 99.0, quality=Quality.INVALID)
    assert await here.story() == []
    await here.observe("a", 1, 3.5)
    await here.observe("a", 2, 0.0, quality=Quality.SUSPECT)
    await here.observe("a", 3, None, quality=Quality.MISSING)
    assert await here.story() == [("a", 1, None)]


async def test_history_that_is_filled_in_raises_nothing_about_long_ago(connection: Connection) -> None:
    here = await town(connection, HIGH)
    for hour in range(-90, -30):
        await here.observe("a", hour * 60, 3.5 if hour % 10 == 0 else 1.0)
    assert await here.story() == []
    await here.observe("a", -60, 3.5)
    assert await here.story() == [("a", -60, None)]


async def test_a_rule_may_ask_for_several_attributes_at_their_own_moments(connection: Connection) -> None:
    here = await town(connection, gauge_rule(q='level>3;(flow>100|status=="open")'))
    await here.observe("a", 0, 3.5)
    assert await here.story() == []
    here.clock.advance(6 * MINUTE)
    await here.observe("a", 5, 120.0, attribute="flow")
    await here.observe("a", 6, 50.0, attribute="flow")
    await here.state("a", "status", "open")
    assert [(since, cleared) for _, since, cleared in await here.story()] == [(5, 6), (6, None)]


async def test_an_entity_that_is_gone_has_no_alarm(connection: Connection) -> None:
    here = await town(connection, HIGH, SILENT)
    await here.observe("a", 0, 3.5)
    await here.write(DeleteEntity(entity_id="urn:ngsi-ld:Gauge:a"))
    (found,) = await here.alarms()
    assert found.state is AlarmState.CLEARED
    assert await connection.fetchval("SELECT count(*) FROM rules.watch") == 0


async def test_a_new_rule_is_taken_to_what_is_there(connection: Connection) -> None:
    here = await town(connection)
    here.clock.advance(41 * MINUTE)
    for gauge, level in (("a", 3.5), ("b", 1.0)):
        for minute in (0, 10, 20, 30, 40):
            await here.observe(gauge, minute, level)
    await save_rule(OFFICER, connection, LASTING, by="Lan", now=here.clock.now(), packs=here.packs)
    await save_rule(OFFICER, connection, SILENT, by="Lan", now=here.clock.now(), packs=here.packs)
    await here.look_over()
    assert await here.story() == [("a", 0, None)]
    await here.to_minute(80)
    assert [(one.rule_id, one.entity_id[-1]) for one in await here.alarms()] == [
        ("high-water", "a"),
        ("silent", "a"),
        ("silent", "b"),
    ]


async def test_one_rule_that_fails_is_held_and_the_others_go_on(
    connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = await town(connection, HIGH, gauge_rule("broken", q="level>2"))
    folded = watching._folded

    def trouble(one: watching._Work, history: object) -> object:
        if one.case.plan.rule.rule_id == "broken":
            raise ZeroDivisionError("by a bug")
        return folded(one, history)  # type: ignore[arg-type]  # handed on

    monkeypatch.setattr(watching, "_folded", trouble)
    await here.observe("a", 0, 3.5)
    assert await here.story() == [("a", 0, None)]
    states = {one.rule.rule_id: one for one in await rules(OFFICER, connection, packs=here.packs)}
    assert "ZeroDivisionError: by a bug" in states["broken"].held
    assert not states["high-water"].held
    await here.observe("a", 1, 1.0)
    assert await here.story() == [("a", 0, 1)]


async def test_an_alarm_of_synthetic_data_says_so(connection: Connection) -> None:
    here = await town(connection, HIGH)
    await here.state("a", "source", "synthetic")
    await here.observe("a", 0, 3.5)
    (found,) = await here.alarms()
    assert found.synthetic
    assert SOURCE
