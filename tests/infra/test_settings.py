"""Settings: environment over file over defaults; a wrong one is named; each one is documented."""

from pathlib import Path

import msgspec
import pytest

from haidang.infra.settings import (
    PublicBindRefused,
    Settings,
    SettingsUnreadable,
    SettingUnknown,
    SettingWrong,
    default_home,
    describe_settings,
    environment_of,
    read_settings,
    settings_page,
)

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "settings.md"


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No `haidang.toml` of the checkout takes part."""
    monkeypatch.chdir(tmp_path)


def written(folder: Path, text: str) -> None:
    (folder / "haidang.toml").write_text(text, encoding="utf-8")


def test_defaults_are_enough() -> None:
    settings = read_settings({})
    assert (settings.host, settings.port, settings.database_url) == ("127.0.0.1", 8000, None)
    assert settings.objects_location == (settings.home / "objects").as_uri()


def test_the_environment_wins_over_the_file_and_the_file_over_defaults(tmp_path: Path) -> None:
    written(tmp_path, 'port = 8001\nlog_level = "debug"\n')
    assert read_settings({}).port == 8001
    settings = read_settings({"HAIDANG_PORT": "8002"})
    assert (settings.port, settings.log_level) == (8002, "debug")
    assert read_settings({"HAIDANG_PORT": ""}).port == 8001  # empty is not set


def test_a_file_of_another_name_is_used_when_named(tmp_path: Path) -> None:
    (tmp_path / "province.toml").write_text("port = 8003")
    assert read_settings({"HAIDANG_CONFIG": "province.toml"}).port == 8003
    with pytest.raises(SettingsUnreadable, match=r"none\.toml"):
        read_settings({"HAIDANG_CONFIG": "none.toml"})
    (tmp_path / "broken.toml").write_text("port = ")
    with pytest.raises(SettingsUnreadable):
        read_settings({"HAIDANG_CONFIG": "broken.toml"})


def test_the_usual_name_of_the_database_is_understood() -> None:
    url = "postgresql://a@b/c"
    assert read_settings({"DATABASE_URL": url}).database_url == url
    own = "postgresql://own@b/c"
    assert read_settings({"DATABASE_URL": url, "HAIDANG_DATABASE_URL": own}).database_url == own


@pytest.mark.parametrize(
    ("variable", "value", "said"),
    [
        ("HAIDANG_PORT", "eight", "port"),
        ("HAIDANG_PORT", "70000", "port"),
        ("HAIDANG_SERVER", "apache", "granian"),
        ("HAIDANG_BODY_LIMIT_BYTES", "-1", "body_limit_bytes"),
        ("HAIDANG_MQTT_URL", "http://broker", "mqtt_url"),
        ("HAIDANG_OBJECTS_URL", "/srv/objects", "objects_url"),
        ("DATABASE_URL", "mysql://root@db/x", "DATABASE_URL"),
    ],
)
def test_a_wrong_value_names_the_setting_and_where_it_came_from(variable: str, value: str, said: str) -> None:
    with pytest.raises(SettingWrong) as raised:
        read_settings({variable: value})
    assert said in str(raised.value)
    assert variable in str(raised.value)


def test_a_wrong_address_is_not_repeated_with_its_password() -> None:
    with pytest.raises(SettingWrong) as raised:
        read_settings({"DATABASE_URL": "mysql://root:secret@db/x"})
    assert "secret" not in str(raised.value)


def test_a_setting_that_does_not_exist_is_refused_in_the_file(tmp_path: Path) -> None:
    written(tmp_path, "prot = 8001")
    with pytest.raises(SettingUnknown, match="prot"):
        read_settings({})
    written(tmp_path, 'port = "8001"')
    with pytest.raises(SettingWrong, match="port"):
        read_settings({})


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.4", "haidang.example.vn", "", "127.0.0.1.evil"])  # noqa: S104  (must be refused)
def test_a_public_bind_is_refused(host: str, tmp_path: Path) -> None:
    written(tmp_path, f'host = "{host}"')
    with pytest.raises(PublicBindRefused, match="until people can sign in"):
        read_settings({})


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost", "127.8.8.8"])
def test_this_machine_may_be_bound(host: str) -> None:
    assert read_settings({"HAIDANG_HOST": host}).host == host


def test_a_part_gets_the_same_settings_by_its_environment() -> None:
    settings = read_settings(
        {"HAIDANG_PORT": "8005", "HAIDANG_HOME": "/tmp/x", "DATABASE_URL": "postgresql:///a?host=/tmp"}  # noqa: S108  (only read)
    )
    assert read_settings(environment_of(settings)) == settings


def test_the_home_of_root_is_the_systems() -> None:
    assert default_home({}, root=True) == Path("/var/lib/haidang")
    assert default_home({"XDG_DATA_HOME": "/data"}, root=False) == Path("/data/haidang")
    assert read_settings({"HAIDANG_HOME": "relative"}).home.is_absolute()


def test_every_setting_is_described() -> None:
    described = describe_settings()
    assert [one.name for one in described] == [field.name for field in msgspec.structs.fields(Settings)]
    for one in described:
        assert len(one.description) > 20, one.name
        assert one.description.rstrip().endswith((".", "`")), one.name


def test_the_reference_page_is_what_the_code_says() -> None:
    """Write it anew with `haidang settings --markdown > docs/reference/settings.md`."""
    assert PAGE.read_text(encoding="utf-8") == settings_page()
