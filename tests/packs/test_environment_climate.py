"""What is usual: normals of the national stations, the same that the demo's made-up weather follows."""

from datetime import UTC, datetime
from typing import Any

import pytest

from haidang.demo import synthetic
from haidang.packs.environment import climate
from haidang.packs.environment.climate import NORMALS
from haidang.sdk.model import PageRequest

DECEMBER = datetime(2026, 11, 30, 17, 30, tzinfo=UTC)  # 1 December in Vietnam


def test_five_stations_have_twelve_months_of_39_years() -> None:
    assert [one.name for one in NORMALS.stations] == ["Phan Thiết", "Phú Quý", "Đà Lạt", "Quy Nhơn", "Pleiku"]
    for one in NORMALS.stations:
        assert (one.since, one.until) == (1979, 2017)
        assert len(one.months) == 12
        for mean, highest, lowest, rain, humidity, sunshine in one.months:
            assert mean is not None
            assert highest is not None
            assert lowest is not None
            assert lowest < mean < highest
            assert rain is not None
            assert rain >= 0
            assert humidity is not None
            assert 60 < humidity < 95
            assert sunshine is not None
            assert 90 < sunshine < 310


def test_the_source_itself_gives_the_same_january() -> None:
    """Phan Thiết: the mean of 39 Januaries, as the carrying script printed it once."""
    (phan_thiet,) = [one for one in NORMALS.stations if one.name == "Phan Thiết"]
    assert phan_thiet.mean_c[0] == 25.1
    assert phan_thiet.rain_of_year == 1135


@pytest.mark.parametrize("coast", [synthetic.PHAN_THIET, synthetic.QUY_NHON], ids=lambda one: one.name)
def test_the_demo_follows_the_same_normals(coast: synthetic.Climate) -> None:
    (normals,) = [one for one in NORMALS.stations if one.name == coast.name]
    assert coast.mean_c == normals.mean_c
    assert coast.highest_c == normals.highest_c
    assert coast.lowest_c == normals.lowest_c
    assert coast.humidity_pct == tuple(
        pytest.approx(one, abs=0.51) for one in normals.humidity_pct if one is not None
    )


def test_the_month_is_that_of_vietnam() -> None:
    request = PageRequest({}, {}, DECEMBER, "vi")
    assert climate.show(request)["this_month"] == 12
    rows: list[Any] = list(climate.table(request).rows)
    assert len(rows) == 60
