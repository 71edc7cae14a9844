"""What officers do to alarms and rules: once, under a name, and with its reason."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from haidang.context.model import AttributeInstance, MergeObservations
from haidang.context.writer import apply_commands
from haidang.infra.database import Connection, Pool, transaction
from haidang.kernel.errors import Invalid
from haidang.kernel.instants import SetClock
from haidang.rules.errors import (
    AlarmAlreadyAcknowledged,
    AlarmAlreadyCleared,
    AlarmNotShelved,
    AlarmsAreForOfficers,
    AlarmUnknown,
    NameMissing,
    ReasonMissing,
    RuleAbsenceUntimed,
    RuleAbsenceWithMore,
    RuleAlreadySwitched,
    RuleAttributeUnknown,
    RuleComparesOtherKinds,
    RuleDurationWrong,
    RuleIdUnusable,
    RuleNeedsNumber,
    RuleNeedsOneCondition,
    RuleRateIncomplete,
    RuleRhythmUnknown,
    RulesAreForOfficers,
    RuleTypeUnknown,
    RuleUnknown,
    RuleUnnamed,
    ShelfEndWrong,
    TrialOfTooManyEntities,
    TrialReadsTooMuch,
    TrialTooLong,
    WordsMissing,
    WordsTooLong,
)
from haidang.rules.model import Alarm, AlarmAct, AlarmState, ClearedBy, RuleOrigin
from haidang.rules.plans import declared_of, plan_rule
from haidang.rules.service import (
    acknowledge_alarm,
    alarm,
    alarms,
    comment_alarm,
    count_alarms,
    load_rules,
    rules,
    save_rule,
    shelve_alarm,
    switch_rule,
    try_rule,
    unshelve_alarm,
)
from haidang.sdk.model import EntityType, Pack, Rate, Rule, Severity
from tests.rules.town import (
    BASE,
    CAMERA,
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
    VISITOR,
    Town,
    gauge_rule,
    pack_of,
)


async def flooded(connection: Connection, *declared: Rule) -> tuple[Town, Alarm]:
    here = Town(connection, SetClock(NOON), *(declared or (HIGH,)))
    await here.begin()
    await here.observe("a", 0, 3.5)
    (found,) = await here.alarms()
    return here, found


# --- alarms ------------------------------------------------------------------------------------


async def test_of_two_who_acknowledge_the_second_is_told_who_was_first(pool: Pool) -> None:
    async with transaction(pool) as connection:
        here, found = await flooded(connection)

    async def acknowledge(name: str) -> Alarm:
        async with transaction(pool) as connection:
            return await acknowledge_alarm(OFFICER, connection, found.alarm_id, by=name, now=here.clock.now())

    async with transaction(pool) as connection:
        first = await acknowledge_alarm(OFFICER, connection, found.alarm_id, by="Lan", now=here.clock.now())
        second = asyncio.create_task(acknowledge("Minh"))
        async with asyncio.timeout(30):  # until the second waits for the first
            waits = "SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted)"
            while not await connection.fetchval(waits):  # noqa: ASYNC110  # the server knows
                await asyncio.sleep(0.01)
    with pytest.raises(AlarmAlreadyAcknowledged) as told:
        await second
    assert told.value.fields["by"] == "Lan"
    async with transaction(pool) as connection:
        kept, lines = await alarm(OFFICER, connection, found.alarm_id)
    assert kept == first
    assert [line.kind for line in lines] == [AlarmAct.RAISED, AlarmAct.ACKNOWLEDGED]
    assert lines[-1].by == first.acknowledged_by


async def test_a_cleared_alarm_is_not_acknowledged_or_put_aside_but_spoken_of(
    connection: Connection,
) -> None:
    here, found = await flooded(connection)
    await here.observe("a", 1, 1.0)
    now = here.clock.now()
    with pytest.raises(AlarmAlreadyCleared):
        await acknowledge_alarm(OFFICER, connection, found.alarm_id, by="Lan", now=now)
    with pytest.raises(AlarmAlreadyCleared):
        await shelve_alarm(
            OFFICER, connection, found.alarm_id, until=now + MINUTE, reason="x", by="Lan", now=now
        )
    spoken = await comment_alarm(
        OFFICER, connection, found.alarm_id, text=" Gate was shut ", by="Lan", now=now
    )
    assert spoken.comments == 1
    _, lines = await alarm(OFFICER, connection, found.alarm_id)
    assert (lines[-1].by, lines[-1].text) == ("Lan", "Gate was shut")


async def test_an_alarm_is_put_aside_until_an_end_and_taken_back(connection: Connection) -> None:
    here, found = await flooded(connection)
    now = here.clock.now()
    for until in (now, now - MINUTE, now + timedelta(hours=25)):
        with pytest.raises(ShelfEndWrong):
            await shelve_alarm(
                OFFICER, connection, found.alarm_id, until=until, reason="x", by="Lan", now=now
            )
    with pytest.raises(AlarmNotShelved):
        await unshelve_alarm(OFFICER, connection, found.alarm_id, by="Lan", now=now)
    hour = now + timedelta(hours=1)
    await shelve_alarm(OFFICER, connection, found.alarm_id, until=hour, reason="Test", by="Lan", now=now)
    assert await here.alarms("open") == []
    assert len(await here.alarms("open", shelved=True)) == 1
    assert (await count_alarms(OFFICER, connection, now=now)).shelved == 1
    counts = await count_alarms(OFFICER, connection, now=hour)
    assert (counts.open, counts.unacknowledged, counts.by_severity[Severity.SEVERE]) == (1, 1, 1)
    await unshelve_alarm(OFFICER, connection, found.alarm_id, by="Minh", now=now)
    assert len(await here.alarms("open")) == 1
    assert await here.told() == ["raised", "shelved", "shelved"]


async def test_the_gravest_comes_first_and_then_the_newest(connection: Connection) -> None:
    grave = gauge_rule("flood", q="level>5", severity=Severity.EXTREME)
    here = Town(connection, SetClock(NOON), HIGH, grave)
    await here.begin()
    for gauge, level in (("a", 3.5), ("b", 5.5), ("c", 3.5)):
        here.clock.advance(MINUTE)
        await here.observe(gauge, 0, level)
    listed = await alarms(OFFICER, connection, now=here.clock.now())
    assert [(one.entity_id[-1], one.severity) for one in listed] == [
        ("b", Severity.EXTREME),
        ("c", Severity.SEVERE),
        ("b", Severity.SEVERE),
        ("a", Severity.SEVERE),
    ]
    severe = await alarms(OFFICER, connection, now=here.clock.now(), severity=Severity.EXTREME)
    assert [one.rule_id for one in severe] == ["flood"]


async def test_alarms_are_seen_by_whoever_sees_the_things(connection: Connection) -> None:
    crowd = replace(HIGH, rule_id="crowd", entity_type="Camera", q="count>10")
    here = Town(connection, SetClock(NOON), crowd)
    await here.begin()
    instance = AttributeInstance(BASE + "count", 11, observed_at=NOON)
    camera = MergeObservations(entity_id="urn:ngsi-ld:Camera:1", type_iri=CAMERA.iri, attributes=(instance,))
    await here.write(camera)
    (found,) = await here.alarms()
    assert await alarms(VISITOR, connection, now=NOON) == []
    assert (await count_alarms(VISITOR, connection, now=NOON)).open == 0
    with pytest.raises(AlarmUnknown):
        await alarm(VISITOR, connection, found.alarm_id)


async def test_only_officers_act_and_under_a_name(connection: Connection) -> None:
    here, found = await flooded(connection)
    now = here.clock.now()
    with pytest.raises(AlarmsAreForOfficers):
        await acknowledge_alarm(VISITOR, connection, found.alarm_id, by="Lan", now=now)
    with pytest.raises(NameMissing):
        await acknowledge_alarm(OFFICER, connection, found.alarm_id, by="  ", now=now)
    with pytest.raises(AlarmUnknown):
        await acknowledge_alarm(OFFICER, connection, "urn:haidang:alarm:none", by="Lan", now=now)
    with pytest.raises(WordsMissing):
        await comment_alarm(OFFICER, connection, found.alarm_id, text=" ", by="Lan", now=now)
    with pytest.raises(WordsTooLong):
        await comment_alarm(OFFICER, connection, found.alarm_id, text="x" * 3_000, by="Lan", now=now)
    with pytest.raises(ReasonMissing):
        await shelve_alarm(
            OFFICER, connection, found.alarm_id, until=now + MINUTE, reason="", by="Lan", now=now
        )
    for refused in (
        rules(VISITOR, connection),
        save_rule(VISITOR, connection, HIGH, by="Lan", now=now),
        switch_rule(VISITOR, connection, "high-water", on=False, reason="x", by="Lan", now=now),
        try_rule(VISITOR, connection, HIGH, since=now - MINUTE, until=now),
    ):
        with pytest.raises(RulesAreForOfficers):
            await refused


# --- rules -------------------------------------------------------------------------------------


async def test_a_rule_is_switched_off_with_its_alarms_and_on_again(connection: Connection) -> None:
    here, found = await flooded(connection)
    now = here.clock.now()
    off = await switch_rule(
        OFFICER, connection, "high-water", on=False, reason="Dredging", by="Lan", now=now, packs=here.packs
    )
    assert (off.on, off.changed_by, off.reason, off.open_alarms) == (False, "Lan", "Dredging", 0)
    kept, lines = await alarm(OFFICER, connection, found.alarm_id)
    assert (kept.state, lines[-1].text) == (AlarmState.CLEARED, ClearedBy.SWITCHED_OFF.value)
    with pytest.raises(RuleAlreadySwitched):
        await switch_rule(OFFICER, connection, "high-water", on=False, reason="x", by="Minh", now=now)
    await here.observe("a", 1, 4.0)
    assert len(await here.alarms()) == 1
    # A newer version of the pack does not switch it on again.
    newer = pack_of(replace(HIGH, q="level>3.2"), version="2")
    assert await load_rules(SOURCE, connection, [newer], now=now) == ["high-water"]
    (state,) = await rules(OFFICER, connection, packs=[newer])
    assert (state.on, state.rule.q) == (False, "level>3.2")
    await switch_rule(OFFICER, connection, "high-water", on=True, reason="Done", by="Lan", now=now)
    await here.look_over()
    assert len(await here.alarms("open")) == 1
    changes = await connection.fetch("SELECT what FROM rules.rule_change ORDER BY change_no")
    assert [row["what"] for row in changes] == ["shipped", "off", "shipped", "on"]
    with pytest.raises(RuleUnknown):
        await switch_rule(OFFICER, connection, "none", on=True, reason="x", by="Lan", now=now)


async def test_what_the_province_wrote_wins_and_a_newer_one_is_there_to_compare(
    connection: Connection,
) -> None:
    here, _ = await flooded(connection)
    now = here.clock.now()
    ours = replace(HIGH, q="level>2.5", label="Nước cao")
    saved = await save_rule(OFFICER, connection, ours, by="Lan", now=now, packs=here.packs)
    assert (saved.origin, saved.draft, saved.pack_id) == (RuleOrigin.PROVINCE, None, "town")
    assert await load_rules(SOURCE, connection, here.packs, now=now) == []
    newer = replace(HIGH, q="level>2.9")
    assert await load_rules(SOURCE, connection, [pack_of(newer)], now=now) == []
    (state,) = await rules(OFFICER, connection, packs=here.packs)
    assert (state.rule, state.draft) == (ours, newer)
    again = await save_rule(OFFICER, connection, newer, by="Lan", now=now, packs=here.packs)
    assert again.draft is None
    await here.observe("b", 0, 3.0)
    assert len(await here.alarms("open")) == 2


async def test_a_rule_that_is_no_longer_declared_is_taken_out_with_its_alarms(
    connection: Connection,
) -> None:
    here, found = await flooded(connection)
    assert await load_rules(SOURCE, connection, [pack_of()], now=here.clock.now()) == ["high-water"]
    assert await rules(OFFICER, connection, packs=here.packs) == []
    kept, lines = await alarm(OFFICER, connection, found.alarm_id)
    assert (kept.state, lines[-1].text) == (AlarmState.CLEARED, ClearedBy.RULE_GONE.value)


async def test_loading_again_changes_nothing(connection: Connection) -> None:
    here, _ = await flooded(connection)
    assert await load_rules(SOURCE, connection, here.packs, now=here.clock.now()) == []
    assert len(await here.alarms("open")) == 1


async def test_a_rule_that_cannot_be_used_is_held_with_its_reason_and_the_others_run(
    connection: Connection,
) -> None:
    here, _ = await flooded(connection, gauge_rule("broken", q="level>"), HIGH)
    states = {one.rule.rule_id: one for one in await rules(OFFICER, connection, packs=here.packs)}
    assert states["broken"].held == "At character 7 of the query a value is missing."
    assert (states["high-water"].held, states["high-water"].open_alarms) == ("", 1)
    with pytest.raises(Invalid):
        await save_rule(OFFICER, connection, gauge_rule(q="level>"), by="Lan", now=NOON, packs=here.packs)


BARE = EntityType("Bare", BASE + "Bare", "Bare", GAUGE.attributes[:2])
DECLARED = declared_of([pack_of(), Pack("bare", "1", "Bare", entity_types=(BARE,))])
NO_Q = replace(HIGH, q="")


@pytest.mark.parametrize(
    ("rule", "error"),
    [
        (replace(HIGH, rule_id="Không"), RuleIdUnusable),
        (replace(HIGH, label=" "), RuleUnnamed),
        (replace(HIGH, entity_type="River"), RuleTypeUnknown),
        (NO_Q, RuleNeedsOneCondition),
        (replace(HIGH, absent="level"), RuleNeedsOneCondition),
        (replace(HIGH, q="depth>3"), RuleAttributeUnknown),
        (replace(HIGH, clear_q="depth<3"), RuleAttributeUnknown),
        (replace(HIGH, q='level=="high"'), RuleComparesOtherKinds),
        (replace(HIGH, q="level==true"), RuleComparesOtherKinds),
        (replace(HIGH, lasting=-MINUTE), RuleDurationWrong),
        (replace(HIGH, lasting=timedelta(days=32)), RuleDurationWrong),
        (replace(NO_Q, absent="level"), RuleAbsenceUntimed),
        (replace(NO_Q, absent="level", absent_for=MINUTE, absent_rhythms=3), RuleAbsenceUntimed),
        (replace(NO_Q, absent="level", absent_for=MINUTE, lasting=MINUTE), RuleAbsenceWithMore),
        (replace(NO_Q, absent="level", absent_rhythms=3, entity_type="Bare"), RuleRhythmUnknown),
        (replace(NO_Q, rate=Rate("level", 60 * MINUTE)), RuleRateIncomplete),
        (replace(NO_Q, rate=Rate("level", timedelta(0), rises=1)), RuleRateIncomplete),
        (replace(NO_Q, rate=Rate("level", 60 * MINUTE, rises=-1)), RuleRateIncomplete),
        (replace(NO_Q, rate=Rate("status", 60 * MINUTE, rises=1)), RuleNeedsNumber),
    ],
)
def test_what_is_wrong_with_a_rule_is_said(rule: Rule, error: type[Exception]) -> None:
    with pytest.raises(error):
        plan_rule(rule, DECLARED)


# --- on history --------------------------------------------------------------------------------


@pytest.mark.parametrize("rule", [HIGH, LASTING, HYSTERESIS, SILENT, RISING], ids=lambda one: str(one.q))
async def test_a_trial_finds_what_would_have_been_raised(connection: Connection, rule: Rule) -> None:
    """The rule at work and the rule on history come to the same alarms."""
    here = Town(connection, SetClock(NOON), rule)
    await here.begin()
    levels = [
        3.5,
        3.6,
        3.4,
        3.5,
        1.5,
        1.4,
        1.3,
        1.2,
        3.9,
        None,
        None,
        None,
        None,
        3.8,
        2.5,
        1.0,
        1.0,
        1.0,
        1.0,
    ]
    for place, level in enumerate(levels):
        await here.to_minute(10 * place)
        if level is not None:
            await here.observe("a", 10 * place, level)
    await here.to_minute(200)
    worked = [(since, cleared) for _, since, cleared in await here.story()]
    assert worked
    trial = await try_rule(
        OFFICER,
        connection,
        replace(rule, rule_id="tried"),
        since=NOON - MINUTE,
        until=here.clock.now(),
        packs=here.packs,
    )
    tried = [
        (
            (one.since - NOON) / MINUTE,
            None if one.cleared_at is None else (one.cleared_at - NOON) / MINUTE,
        )
        for one in trial.raised
    ]
    assert tried == worked
    assert (trial.entities, trial.observations) == (1, 15)
    assert await connection.fetchval("SELECT count(*) FROM rules.rule") == 1


async def test_a_trial_goes_over_days_and_entities_and_knows_what_was_under_way(
    connection: Connection,
) -> None:
    here = Town(connection, SetClock(NOON), HIGH)
    for gauge in ("a", "b", "c"):
        commands = [
            MergeObservations(
                entity_id=f"urn:ngsi-ld:Gauge:{gauge}",
                type_iri=GAUGE.iri,
                attributes=(
                    AttributeInstance(
                        BASE + "level",
                        3.5 if hour in range(-75, -70) or (gauge == "b" and hour > -2) else 1.0,
                        observed_at=NOON + timedelta(hours=hour),
                    ),
                ),
            )
            for hour in range(-100, 1)
        ]
        await apply_commands(connection, SOURCE, commands, now=NOON)
    trial = await try_rule(
        OFFICER, connection, HIGH, since=NOON - timedelta(hours=72), until=NOON, packs=here.packs
    )
    # What was raised at hour -75 was raised before.
    assert [(one.entity_id[-1], one.since) for one in trial.raised] == [("b", NOON - timedelta(hours=1))]
    assert trial.entities == 3
    earlier = await try_rule(
        OFFICER, connection, HIGH, since=NOON - timedelta(hours=90), until=NOON, packs=here.packs
    )
    assert len(earlier.raised) == 4


async def test_a_trial_has_limits(connection: Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    here, _ = await flooded(connection)

    async def trial(days: float) -> None:
        now = here.clock.now()
        await try_rule(
            OFFICER, connection, HIGH, since=now - timedelta(days=days), until=now, packs=here.packs
        )

    for days in (0, -1, 32):
        with pytest.raises(TrialTooLong):
            await trial(days)
    monkeypatch.setattr("haidang.rules.trying.MOST_OBSERVATIONS", 0)
    with pytest.raises(TrialReadsTooMuch):
        await trial(1)
    monkeypatch.setattr("haidang.rules.trying.MOST_ENTITIES", 0)
    with pytest.raises(TrialOfTooManyEntities):
        await trial(1)
