"""A change of units as an operation: drafted, previewed, scheduled, applied on its day, undone before it."""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from haidang.infra.database import Connection, open_pool, transaction
from haidang.infra.embedded import TemporaryCluster
from haidang.infra.events import events_after, settle
from haidang.infra.jobs import JobRun
from haidang.kernel.actors import Actor, Audience, anonymous, part
from haidang.kernel.instants import SetClock
from haidang.places import service, store
from haidang.places.changes import Change, ChangeState, Step, Trouble
from haidang.places.changing import (
    ChangeAlreadyApplied,
    ChangeAlreadyUndone,
    ChangeNotADraft,
    ChangeReasonMissing,
    ChangesAreForAdministrators,
    ChangeUnknown,
    ChangeUnsound,
    DraftsAreForOfficers,
    NothingToPreview,
    TouchedKind,
    TouchedPlace,
    UnitInAnotherChange,
    apply_due_changes,
    change,
    change_jobs,
    changes,
    draft_change,
    preview_change,
    schedule_change,
    undo_change,
)
from haidang.places.drafting import UnitOfChangeUnknown, WrittenChange, read_change
from haidang.places.events import UnitsChanged
from haidang.places.loading import load_facts
from haidang.places.model import Level, LinkKind

ADMINISTRATOR = part("tests")
OFFICER = Actor("urn:haidang:person:1", frozenset({Audience.PUBLIC, Audience.OFFICER}))
NOW = datetime(2026, 11, 22, 1, tzinfo=UTC)
DAY = date(2027, 1, 1)
MIDNIGHT = datetime(2026, 12, 31, 17, tzinfo=UTC)
"""In Vietnam: the first moment of 1 January 2027."""
EVE = MIDNIGHT - timedelta(seconds=1)
REASON = "Diễn tập"

PHAN_THIET, PHU_THUY, MUI_NE = "22945", "22924", "22918"
IN_PHAN_THIET = (108.100, 10.933)


def written(**acts: Any) -> WrittenChange:
    return msgspec.convert(
        {"title": "Diễn tập sáp nhập", "takes_effect": DAY, "legal_basis": "Nghị quyết diễn tập"} | acts,
        WrittenChange,
    )


def merger(*codes: str, name: str = "Phan Thiết", code: str = PHAN_THIET) -> dict[str, Any]:
    return {"merge": [{"from": list(codes), "kind": "Phường", "name": name, "code": code}]}


async def drafted(country: Connection, **acts: Any) -> Change:
    return await draft_change(
        ADMINISTRATOR, country, written(**(acts or merger(PHAN_THIET, PHU_THUY))), now=NOW
    )


async def scheduled(country: Connection, **acts: Any) -> Change:
    made = await drafted(country, **acts)
    return await schedule_change(ADMINISTRATOR, country, made.change_id, reason=REASON, now=NOW)


async def ward_of(country: Connection, code: str, on: date) -> str:
    wards = await service.units_on(ADMINISTRATOR, country, on, level=Level.WARD)
    return next(one.unit_id for one in wards if one.code == code)


async def test_a_merger_is_applied_at_midnight_in_vietnam_and_only_once(country: Connection) -> None:
    made = await scheduled(country)
    old = await service.unit_at(ADMINISTRATOR, country, *IN_PHAN_THIET, date(2026, 11, 22))
    assert old is not None
    edition = await service.edition(ADMINISTRATOR, country)
    assert await apply_due_changes(ADMINISTRATOR, country, now=EVE) == []
    (attempt,) = await apply_due_changes(ADMINISTRATOR, country, now=MIDNIGHT)
    assert attempt.applied
    assert await apply_due_changes(ADMINISTRATOR, country, now=MIDNIGHT + timedelta(hours=1)) == []
    assert await service.edition(ADMINISTRATOR, country) != edition

    new = await service.unit_at(ADMINISTRATOR, country, *IN_PHAN_THIET, DAY)
    before = await service.unit_at(ADMINISTRATOR, country, *IN_PHAN_THIET, date(2026, 12, 31))
    assert new is not None
    assert before is not None
    assert before.unit.unit_id == old.unit.unit_id != new.unit.unit_id
    assert (before.unit.valid_to, before.unit.ended_by) == (DAY, "Nghị quyết diễn tập")
    assert (new.unit.code, new.unit.full_name, new.unit.valid_from) == (PHAN_THIET, "Phường Phan Thiết", DAY)
    assert new.unit.parent_id == old.unit.parent_id
    steps = await service.became(ADMINISTRATOR, country, old.unit.unit_id)
    assert [(one.unit.unit_id, one.link.kind) for one in steps] == [(new.unit.unit_id, LinkKind.MERGE)]
    assert len(await service.came_from(ADMINISTRATOR, country, new.unit.unit_id)) == 2
    today = await service.units_on(
        ADMINISTRATOR, country, DAY, level=Level.WARD, parent_id=old.unit.parent_id
    )
    eve = await service.units_on(
        ADMINISTRATOR, country, date(2026, 12, 31), level=Level.WARD, parent_id=old.unit.parent_id
    )
    assert (len(eve), len(today)) == (124, 123)
    done = await change(OFFICER, country, made.change_id)
    assert done.state is ChangeState.APPLIED
    assert [one.step for one in done.steps] == [Step.DRAFTED, Step.SCHEDULED, Step.APPLIED]

    await settle(country)
    (told,) = await events_after(country, 0, [UnitsChanged.kind], 10)
    fact = told.read(UnitsChanged)
    assert (fact.subject, fact.takes_effect, fact.begun) == (made.change_id, DAY, (new.unit.unit_id,))
    assert old.unit.unit_id in fact.ended


async def test_the_preview_says_what_would_change_and_writes_nothing(country: Connection) -> None:
    seen: list[TouchedPlace] = []

    async def count(_actor: Actor, _connection: Connection, place: TouchedPlace) -> int | None:
        seen.append(place)
        return 7

    made = await drafted(country)
    before = await service.edition(ADMINISTRATOR, country)
    kinds = [TouchedKind("things", count)]
    shown = await preview_change(OFFICER, country, made.change_id, now=NOW, touched_kinds=kinds)
    assert {one.code for one in shown.plan.ended} == {PHAN_THIET, PHU_THUY}
    assert [(one.label, one.count) for one in shown.touched] == [("things", 7)]
    (place,) = seen
    assert place.box is not None
    assert place.shape is not None
    assert place.box.contains(*IN_PHAN_THIET)
    (people,) = shown.plan.people.values()
    # Phường Phú Thủy has no figure of its people: it is named, and not taken for nobody.
    assert people.without_figure == (await ward_of(country, PHU_THUY, DAY),)
    assert Trouble.NO_POPULATION in {one.trouble for one in shown.plan.findings}
    assert shown.plan.may_be_applied
    assert await service.edition(ADMINISTRATOR, country) == before
    assert (await service.unit(ADMINISTRATOR, country, place.unit_ids[0])).valid_to is None


async def test_undone_before_its_day_it_leaves_nothing_and_may_be_drafted_again(country: Connection) -> None:
    made = await scheduled(country)
    undone = await undo_change(ADMINISTRATOR, country, made.change_id, reason="Nghị quyết bị rút", now=NOW)
    assert undone.state is ChangeState.UNDONE
    assert (undone.steps[-1].reason, undone.steps[-1].by) == ("Nghị quyết bị rút", ADMINISTRATOR.actor_id)
    assert await apply_due_changes(ADMINISTRATOR, country, now=MIDNIGHT) == []
    with pytest.raises(ChangeAlreadyUndone):
        await undo_change(ADMINISTRATOR, country, made.change_id, reason=REASON, now=NOW)
    again = await scheduled(country)
    assert again.state is ChangeState.SCHEDULED


async def test_an_applied_change_is_only_followed_by_another(country: Connection) -> None:
    made = await scheduled(country)
    await apply_due_changes(ADMINISTRATOR, country, now=MIDNIGHT)
    with pytest.raises(ChangeAlreadyApplied):
        await undo_change(ADMINISTRATOR, country, made.change_id, reason=REASON, now=MIDNIGHT)
    with pytest.raises(ChangeNotADraft):
        await schedule_change(ADMINISTRATOR, country, made.change_id, reason=REASON, now=MIDNIGHT)
    with pytest.raises(NothingToPreview):
        await preview_change(OFFICER, country, made.change_id, now=MIDNIGHT)
    later = written(takes_effect=date(2027, 2, 1), rename=[{"unit": PHAN_THIET, "name": "Phan Thiết Mới"}])
    following = await draft_change(ADMINISTRATOR, country, later, now=MIDNIGHT)
    await schedule_change(ADMINISTRATOR, country, following.change_id, reason=REASON, now=MIDNIGHT)
    february = datetime(2027, 1, 31, 17, tzinfo=UTC)
    assert [one.applied for one in await apply_due_changes(ADMINISTRATOR, country, now=february)] == [True]
    found = await service.unit_at(ADMINISTRATOR, country, *IN_PHAN_THIET, date(2027, 2, 1))
    assert found is not None
    assert found.unit.full_name == "Phường Phan Thiết Mới"
    old = await ward_of(country, PHU_THUY, date(2026, 12, 31))
    ways = await service.became_on(ADMINISTRATOR, country, old, date(2027, 2, 1))
    assert [one.unit.unit_id for one in ways] == [found.unit.unit_id]


async def test_two_drafts_may_not_have_one_unit(country: Connection) -> None:
    first = await drafted(country)
    with pytest.raises(UnitInAnotherChange) as raised:
        async with country.transaction():
            await drafted(country, **merger(PHU_THUY, MUI_NE, name="Mũi Né", code=MUI_NE))
    assert raised.value.fields["title"] == first.title
    assert len(await changes(OFFICER, country)) == 1


async def test_a_province_holds_its_wards_and_carries_them_over(country: Connection) -> None:
    made = await scheduled(country, level="province", rename=[{"unit": "68", "name": "Nam Tây Nguyên"}])
    with pytest.raises(UnitInAnotherChange):
        async with country.transaction():
            await drafted(country)
    await apply_due_changes(ADMINISTRATOR, country, now=MIDNIGHT)
    provinces = await service.units_on(ADMINISTRATOR, country, DAY, level=Level.PROVINCE)
    assert len(provinces) == 34
    (new,) = (one for one in provinces if one.code == "68")
    wards = await service.units_on(ADMINISTRATOR, country, DAY, parent_id=new.unit_id)
    assert len(wards) == 124
    assert all(one.valid_from == DAY for one in wards)
    found = await service.unit_at(ADMINISTRATOR, country, *IN_PHAN_THIET, DAY)
    assert found is not None
    assert (await service.path_of(ADMINISTRATOR, country, found.unit.unit_id))[0].name == "Nam Tây Nguyên"
    assert made.change_id


async def test_what_is_unsound_is_kept_as_a_draft_and_not_scheduled(country: Connection) -> None:
    made = await drafted(country, **merger(PHAN_THIET, PHU_THUY, code=MUI_NE))
    with pytest.raises(ChangeUnsound):
        await schedule_change(ADMINISTRATOR, country, made.change_id, reason=REASON, now=NOW)
    late = await drafted(country, takes_effect=date(2026, 11, 22), rename=[{"unit": MUI_NE, "name": "X"}])
    with pytest.raises(ChangeUnsound):
        await schedule_change(ADMINISTRATOR, country, late.change_id, reason=REASON, now=NOW)
    assert (await change(OFFICER, country, made.change_id)).state is ChangeState.DRAFT


async def test_what_became_unsound_is_refused_on_its_day_and_says_so_once(country: Connection) -> None:
    """Two sound changes that take the same new code on one day: the first has it."""
    first = await scheduled(country, rename=[{"unit": PHAN_THIET, "code": "29998"}])
    second = await scheduled(country, rename=[{"unit": MUI_NE, "code": "29998"}])
    attempts = await apply_due_changes(ADMINISTRATOR, country, now=MIDNIGHT)
    assert [(one.change_id, one.applied, one.refused_by) for one in attempts] == [
        (first.change_id, True, ()),
        (second.change_id, False, (Trouble.CODE_IN_USE,)),
    ]
    await apply_due_changes(ADMINISTRATOR, country, now=MIDNIGHT + timedelta(hours=1))
    refused = await change(OFFICER, country, second.change_id)
    assert [one.step for one in refused.steps] == [Step.DRAFTED, Step.SCHEDULED, Step.REFUSED]
    assert refused.state is ChangeState.SCHEDULED
    await undo_change(ADMINISTRATOR, country, second.change_id, reason=REASON, now=MIDNIGHT)


async def test_a_new_release_of_the_facts_leaves_what_was_applied(country: Connection) -> None:
    await scheduled(country)
    await apply_due_changes(ADMINISTRATOR, country, now=MIDNIGHT)
    await country.execute("DELETE FROM places.release")
    assert "units" in await load_facts(ADMINISTRATOR, country)
    found = await service.unit_at(ADMINISTRATOR, country, *IN_PHAN_THIET, DAY)
    assert found is not None
    assert found.unit.valid_from == DAY
    former = [one.unit for one in await service.came_from(ADMINISTRATOR, country, found.unit.unit_id)]
    assert [(one.valid_to, one.ended_by) for one in former] == [(DAY, "Nghị quyết diễn tập")] * 2


async def test_visitors_see_what_is_settled_and_not_who_settled_it(country: Connection) -> None:
    settled = await scheduled(country)
    draft = await drafted(country, rename=[{"unit": MUI_NE, "name": "X"}])
    (seen,) = await changes(anonymous(), country)
    assert (seen.change_id, seen.steps) == (settled.change_id, ())
    with pytest.raises(ChangeUnknown):
        await change(anonymous(), country, draft.change_id)
    assert len(await changes(OFFICER, country)) == 2
    with pytest.raises(DraftsAreForOfficers):
        await preview_change(anonymous(), country, settled.change_id, now=NOW)


async def test_who_may_not_and_what_may_not(country: Connection) -> None:
    made = await drafted(country)
    with pytest.raises(ChangesAreForAdministrators):
        await draft_change(OFFICER, country, written(**merger(MUI_NE)), now=NOW)
    with pytest.raises(ChangesAreForAdministrators):
        await schedule_change(OFFICER, country, made.change_id, reason=REASON, now=NOW)
    with pytest.raises(ChangesAreForAdministrators):
        await undo_change(OFFICER, country, made.change_id, reason=REASON, now=NOW)
    with pytest.raises(ChangesAreForAdministrators):
        await apply_due_changes(OFFICER, country, now=MIDNIGHT)
    with pytest.raises(ChangeReasonMissing):
        await schedule_change(ADMINISTRATOR, country, made.change_id, reason=" ", now=NOW)
    with pytest.raises(ChangeUnknown):
        await undo_change(ADMINISTRATOR, country, "urn:haidang:unit-change:x", reason=REASON, now=NOW)
    with pytest.raises(UnitOfChangeUnknown):
        await drafted(country, rename=[{"unit": "00000", "name": "X"}])


async def test_a_code_is_read_as_of_the_eve(country: Connection) -> None:
    """22945 was Phường Lạc Đạo until 30 June 2025; on the eve of the change it is Phường Phan Thiết."""
    made = await drafted(country, rename=[{"unit": PHAN_THIET, "name": "X"}])
    (old,) = made.draft.ended_ids
    assert (await store.units(country, [old]))[old].full_name == "Phường Phan Thiết"


async def test_one_that_cannot_be_written_does_not_stop_the_others(country: Connection) -> None:
    """Whatever the mistake of ours was; it is said once, and the change stays scheduled."""
    broken = await scheduled(country, rename=[{"unit": MUI_NE, "name": "Mũi Né Mới"}])
    sound = await scheduled(country)
    await country.execute(
        "ALTER TABLE places.unit ADD CONSTRAINT unit_is_not_this_one CHECK (name <> 'Mũi Né Mới') NOT VALID"
    )
    for applied in ([False, True], [False]):
        attempts = await apply_due_changes(ADMINISTRATOR, country, now=MIDNIGHT)
        assert [one.applied for one in attempts] == applied
        assert attempts[0].change_id == broken.change_id
        assert "unit_is_not_this_one" in attempts[0].refused_by[0]
    found = await change(OFFICER, country, broken.change_id)
    assert found.state is ChangeState.SCHEDULED
    assert [one.step for one in found.steps].count(Step.REFUSED) == 1
    assert (await change(OFFICER, country, sound.change_id)).state is ChangeState.APPLIED


async def test_a_unit_that_somebody_else_ended_refuses_the_change_and_leaves_nothing_of_it(
    country: Connection,
) -> None:
    """Between the plan and the writing: here the database itself lets the unit not be ended."""
    made = await scheduled(country, rename=[{"unit": MUI_NE, "name": "Mũi Né Mới"}])
    await country.execute(
        "CREATE FUNCTION pg_temp.already_ended() RETURNS trigger LANGUAGE plpgsql"
        " AS 'BEGIN RETURN NULL; END';"
        " CREATE TRIGGER already_ended BEFORE UPDATE ON places.unit"
        " FOR EACH ROW EXECUTE FUNCTION pg_temp.already_ended()"
    )
    (attempt,) = await apply_due_changes(ADMINISTRATOR, country, now=MIDNIGHT)
    assert not attempt.applied
    assert "change-unsound" in attempt.refused_by[0]
    assert (await change(OFFICER, country, made.change_id)).state is ChangeState.SCHEDULED
    assert await country.fetchval("SELECT count(*) FROM places.unit WHERE name = 'Mũi Né Mới'") == 0


async def test_the_job_applies_what_is_due(cluster: TemporaryCluster, country_template: str) -> None:
    admin_pool = await open_pool(cluster.dsn())
    async with admin_pool.acquire() as admin:
        await admin.execute(f"CREATE DATABASE haidang_changing TEMPLATE {country_template}")
    pool = await open_pool(cluster.dsn("haidang_changing"))
    try:
        async with transaction(pool) as connection:
            made = await scheduled(connection)
        clock = SetClock(EVE)
        (job,) = change_jobs(clock)
        assert (job.audience, job.every) == (Audience.ADMINISTRATOR, "0 * * * *")
        run = JobRun(1, job.name, b"{}", 1, ADMINISTRATOR.actor_id, "default", EVE)
        for state in (ChangeState.SCHEDULED, ChangeState.APPLIED, ChangeState.APPLIED):
            await job.handle(pool, run)
            async with transaction(pool) as connection:
                assert (await change(OFFICER, connection, made.change_id)).state is state
            clock.advance(timedelta(seconds=1))
    finally:
        await pool.close()
        async with admin_pool.acquire() as admin:
            await admin.execute("DROP DATABASE haidang_changing WITH (FORCE)")
        await admin_pool.close()


@pytest.mark.parametrize("page", ["change-units.md", "thay-doi-don-vi.md"])
async def test_the_draft_in_the_guide_can_be_applied(country: Connection, page: str) -> None:
    text = (Path(__file__).parents[2] / "docs" / "how-to" / page).read_text(encoding="utf-8")
    written = read_change(text.split("```toml\n")[1].split("```")[0].encode(), toml=True)
    made = await draft_change(ADMINISTRATOR, country, written, now=NOW)
    shown = await preview_change(OFFICER, country, made.change_id, now=NOW)
    assert [one for one in shown.plan.findings if one.blocks] == []
    await schedule_change(ADMINISTRATOR, country, made.change_id, reason=REASON, now=NOW)
    (attempt,) = await apply_due_changes(ADMINISTRATOR, country, now=MIDNIGHT)
    assert attempt.applied
