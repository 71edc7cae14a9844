"""Settings of the province: defaults, changes by name, and who made them."""

from datetime import timedelta
from typing import Any

import pytest

from haidang.infra.database import Connection
from haidang.infra.province import (
    PROVINCE_LABELS,
    EmergencyNumber,
    ProvinceSettings,
    ProvinceSettingsAreForAdministrators,
    ProvinceSettingUnknown,
    ProvinceSettingWrong,
    change_province_setting,
    province_changes,
    province_settings,
)
from haidang.kernel.actors import machine, part
from haidang.kernel.instants import SetClock

ME = part("test")


async def test_a_new_province_has_defaults(connection: Connection) -> None:
    assert await province_settings(connection, "default") == ProvinceSettings()


async def test_a_change_is_kept_with_who_made_it(connection: Connection, clock: SetClock) -> None:
    await change_province_setting(ME, connection, "name", "Lâm Đồng", now=clock.now())
    clock.advance(timedelta(hours=1))
    await change_province_setting(ME, connection, "name", "Gia Lai", now=clock.now())
    await change_province_setting(ME, connection, "name", "Gia Lai", now=clock.now())  # no change
    assert (await province_settings(connection, "default")).name == "Gia Lai"
    assert await province_settings(connection, "another") == ProvinceSettings()
    changes = await province_changes(ME, connection)
    assert [(one.former, one.value) for one in changes] == [("Lâm Đồng", "Gia Lai"), (None, "Lâm Đồng")]
    assert {one.changed_by for one in changes} == {ME.actor_id}
    assert changes[0].changed_at == clock.now()

    await change_province_setting(ME, connection, "name", None, now=clock.now())
    assert (await province_settings(connection, "default")).name == ProvinceSettings().name


async def test_a_list_is_read_back_as_it_was_meant(connection: Connection, clock: SetClock) -> None:
    numbers = [{"number": "0256 3822 112", "label": "Trực ban tỉnh"}]
    await change_province_setting(ME, connection, "emergency_numbers", numbers, now=clock.now())
    found = (await province_settings(connection, "default")).emergency_numbers
    assert found == (EmergencyNumber("0256 3822 112", "Trực ban tỉnh"),)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("name", ""),
        ("name", 3),
        ("name", "x" * 121),
        ("emblem", "https://elsewhere.example/emblem.svg"),
        ("emblem", '/a" onload="x'),
        ("emergency_numbers", [{"number": "<b>", "label": "x"}]),
    ],
)
async def test_a_wrong_value_changes_nothing(
    connection: Connection, clock: SetClock, name: str, value: Any
) -> None:
    with pytest.raises(ProvinceSettingWrong, match=name):
        await change_province_setting(ME, connection, name, value, now=clock.now())
    assert await province_changes(ME, connection) == []


async def test_an_unknown_setting_is_refused_and_one_of_the_future_is_passed_over(
    connection: Connection, clock: SetClock
) -> None:
    for value in ("x", None):
        with pytest.raises(ProvinceSettingUnknown, match="colour"):
            await change_province_setting(ME, connection, "colour", value, now=clock.now())
    await connection.execute(
        "INSERT INTO infra.province_setting (tenant, name, value, modified_at, modified_by)"
        " VALUES ('default', 'colour', '\"blue\"', now(), 'later')"
    )
    assert await province_settings(connection, "default") == ProvinceSettings()


async def test_only_an_administrator_changes_the_province(connection: Connection, clock: SetClock) -> None:
    with pytest.raises(ProvinceSettingsAreForAdministrators):
        await change_province_setting(machine("x"), connection, "name", "Mine", now=clock.now())
    with pytest.raises(ProvinceSettingsAreForAdministrators):
        await province_changes(machine("x"), connection)


def test_every_setting_is_described() -> None:
    assert PROVINCE_LABELS.keys() == set(ProvinceSettings.__struct_fields__)
    assert all(len(text) > 10 for text in PROVINCE_LABELS.values())
