"""Figures of former units on today's: whole, by share, and what could not be placed."""

from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from haidang.infra.database import Connection
from haidang.kernel.actors import Actor
from haidang.places import service
from haidang.places.errors import UnitUnknown
from haidang.places.model import How, Level, Link, LinkKind, Unit, Unplaced, Weight
from haidang.places.successions import rebase_figures

TODAY = date(2026, 11, 22)
BEFORE = date(2025, 6, 30)
BREAK = date(2025, 7, 1)
OLD = "urn:haidang:unit:"
HOA_THANG = OLD + "xa-hoa-thang-bac-binh-binh-thuan"


async def test_a_figure_of_the_old_wards_becomes_todays_sum(visitor: Actor, country: Connection) -> None:
    """Phan Thiết today is Phú Trinh, Lạc Đạo and Bình Hưng."""
    figures = {
        f"{OLD}phuong-{name}-phan-thiet-binh-thuan": Decimal(amount)
        for name, amount in (("phu-trinh", "10.5"), ("lac-dao", "20"), ("binh-hung", "30"))
    }
    found = await service.rebase(visitor, country, figures, to=TODAY, how=How.WHOLE)
    assert found.not_placed == ()
    (one,) = found.amounts.values()
    assert (one.unit_id, one.amount, one.estimated) == (
        f"{OLD}phuong-phan-thiet-lam-dong",
        Decimal("60.5"),
        False,
    )
    assert {each.former_id for each in one.from_units} == set(figures)
    assert all(each.links[0].legal_basis for each in one.from_units)


async def test_a_split_commune_is_not_guessed(visitor: Actor, country: Connection) -> None:
    figures = {HOA_THANG: Decimal(1000)}
    for how, why in ((How.WHOLE, Unplaced.SPLIT), (How.BY_SHARE, Unplaced.SHARE_UNKNOWN)):
        found = await service.rebase(visitor, country, figures, to=TODAY, how=how)
        assert found.amounts == {}
        (left,) = found.not_placed
        assert (left.former_id, left.amount, left.why) == (HOA_THANG, Decimal(1000), why)
        assert len(left.candidates) == 2


async def test_its_people_all_stayed_with_the_rest(visitor: Actor, country: Connection) -> None:
    """1671/NQ-UBTVQH15, item 46: of Hòa Thắng only land went to Hồng Thái, no people."""
    found = await service.rebase(
        visitor, country, {HOA_THANG: Decimal(9_000)}, to=TODAY, how=How.BY_SHARE, weight=Weight.PEOPLE
    )
    assert found.not_placed == ()
    assert {key: one.amount for key, one in found.amounts.items()} == {
        f"{OLD}xa-hoa-thang-lam-dong": Decimal(9_000)
    }


async def test_provinces_add_up(visitor: Actor, country: Connection) -> None:
    provinces = await service.units_on(visitor, country, BEFORE, level=Level.PROVINCE)
    found = await service.rebase(
        visitor, country, {one.unit_id: Decimal(1) for one in provinces}, to=TODAY, how=How.WHOLE
    )
    assert len(found.amounts) == 34
    assert sum(one.amount for one in found.amounts.values()) == 63
    lam_dong = found.amounts[f"{OLD}tinh-lam-dong"]
    assert lam_dong.amount == 3


async def test_districts_have_no_successor_and_new_units_no_past(visitor: Actor, country: Connection) -> None:
    district = f"{OLD}thanh-pho-phan-thiet-binh-thuan"
    ward = f"{OLD}phuong-phan-thiet-lam-dong"
    later = await service.rebase(visitor, country, {district: Decimal(5)}, to=TODAY, how=How.BY_SHARE)
    assert [one.why for one in later.not_placed] == [Unplaced.NO_SUCCESSOR]
    earlier = await service.rebase(visitor, country, {ward: Decimal(5)}, to=BEFORE, how=How.BY_SHARE)
    assert [one.why for one in earlier.not_placed] == [Unplaced.NOT_THERE_YET]
    with pytest.raises(UnitUnknown):
        await service.rebase(visitor, country, {"urn:x:y": Decimal(5)}, to=TODAY, how=How.WHOLE)


def unit(unit_id: str, since: date | None = None, until: date | None = None) -> Unit:
    return Unit(
        unit_id, Level.WARD, "Xã", unit_id, unit_id, f"Xã {unit_id}", valid_from=since, valid_to=until
    )


FORMER = [unit(f"old{number}", until=BREAK) for number in range(4)]
LATER = [unit(f"new{number}", since=BREAK) for number in range(3)]
UNITS = {one.unit_id: one for one in (*FORMER, *LATER)}

SHARES = st.one_of(st.none(), st.floats(0, 1).map(lambda share: round(share, 3)))


@st.composite
def histories(draw: st.DrawFn) -> list[Link]:
    """Each former unit went nowhere, whole, or in parts whose shares may be unknown or not add up."""
    links = []
    for former in FORMER:
        targets = draw(st.lists(st.sampled_from(LATER), unique=True, max_size=3))
        for later in targets:
            kind = LinkKind.MERGE if len(targets) == 1 and draw(st.booleans()) else LinkKind.PART
            links.append(Link(former.unit_id, later.unit_id, kind, draw(SHARES), BREAK))
    return links


@given(
    links=histories(),
    figures=st.dictionaries(
        st.sampled_from(sorted(UNITS)),
        st.decimals(min_value=-(10**9), max_value=10**9, places=3, allow_nan=False),
    ),
    how=st.sampled_from(How),
)
def test_nothing_is_lost_and_nothing_is_made(
    links: list[Link], figures: dict[str, Decimal], how: How
) -> None:
    found = rebase_figures(figures, UNITS, links, to=TODAY, how=how, weight=Weight.AREA)
    placed = sum((one.amount for one in found.amounts.values()), Decimal(0))
    left = sum((one.amount for one in found.not_placed), Decimal(0))
    assert placed + left == sum(figures.values(), Decimal(0))
    for unit_id, amount in found.amounts.items():
        assert UNITS[unit_id].stood_on(TODAY)
        assert sum((one.amount for one in amount.from_units), Decimal(0)) == amount.amount
        assert how is How.BY_SHARE or not amount.estimated


def test_shares_of_area_divide_a_figure() -> None:
    links = [
        Link("old0", "new0", LinkKind.PART, 0.25, BREAK),
        Link("old0", "new1", LinkKind.PART, 0.75, BREAK),
        Link("old1", "new1", LinkKind.MERGE, 1.0, BREAK),
    ]
    figures = {"old0": Decimal(100), "old1": Decimal(10)}
    found = rebase_figures(figures, UNITS, links, to=TODAY, how=How.BY_SHARE, weight=Weight.AREA)
    assert {key: (one.amount, one.estimated) for key, one in found.amounts.items()} == {
        "new0": (Decimal(25), True),
        "new1": (Decimal(85), True),
    }


def test_what_rounding_leaves_goes_to_the_last() -> None:
    links = [
        Link("old0", "new0", LinkKind.PART, 1 / 3, BREAK),
        Link("old0", "new1", LinkKind.PART, 0.6666666666666667, BREAK),
    ]
    given = {"old0": Decimal("123456789012345.678")}
    found = rebase_figures(given, UNITS, links, to=TODAY, how=How.BY_SHARE, weight=Weight.AREA)
    assert found.not_placed == ()
    assert sum(one.amount for one in found.amounts.values()) == given["old0"]


@pytest.mark.parametrize("thirds", [(0.333333, 0.333333, 0.333333), (0.333334, 0.333333, 0.333334)])
def test_thirds_written_with_six_decimals_are_a_whole(thirds: tuple[float, ...]) -> None:
    """As a change of units writes them: nothing is left over, and nothing is owed."""
    links = [
        Link("old0", f"new{number}", LinkKind.SPLIT, share, BREAK) for number, share in enumerate(thirds)
    ]
    found = rebase_figures(
        {"old0": Decimal(100_000)}, UNITS, links, to=TODAY, how=How.BY_SHARE, weight=Weight.AREA
    )
    assert found.not_placed == ()
    assert sum(one.amount for one in found.amounts.values()) == 100_000
