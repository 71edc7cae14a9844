"""Settings of the machine: the environment over `haidang.toml` over defaults, each one described.

What a province decides about itself (its name, its emblem) is not here but in the database,
in `infra/province.py`.
"""

import ipaddress
import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints
from urllib.parse import urlsplit

import msgspec
from msgspec import Meta

from haidang.kernel.errors import Denied, Invalid

PREFIX = "HAIDANG_"
CONFIG_VARIABLE = "HAIDANG_CONFIG"
CONFIG_NAME = "haidang.toml"
_BARE_ADDRESS = re.compile(r"https?://([A-Za-z0-9][A-Za-z0-9.-]*|\[[0-9A-Fa-f:]+\])(:[0-9]{1,5})?/?")


class SettingWrong(Invalid):
    """The setting {name} (from {origin}) cannot be used: {reason}."""


class SettingNotAChoice(SettingWrong):
    """The setting {name} (from {origin}) must be one of: {choices}."""


class SettingNotANumber(SettingWrong):
    """The setting {name} (from {origin}) must be a whole number, at least {least}, at most {most}."""


class SettingNotAnAddress(SettingWrong):
    """The setting {name} (from {origin}) must be an address that begins with {schemes}."""


class PublicUrlNotBare(SettingWrong):
    """The setting {name} (from {origin}) must be the address of the site and nothing after it, like https://lamdong.gov.vn."""


class WmtsAddressIncomplete(SettingWrong):
    """The setting {name} (from {origin}) needs the numbers of a tile in it, each once, in braces: z, x, y."""


class WmtsWithoutAttribution(SettingWrong):
    """The setting {name} must say whose map the one of wmts_url is (from {origin})."""


class SettingUnknown(Invalid):
    """There is no setting {name} (in {origin}); docs/reference/settings.md lists them all."""


class SettingsUnreadable(Invalid):
    """The settings file {path} cannot be read: {reason}."""


class PublicBindRefused(Denied):
    """The setting {name} would bind to {host}, which others can reach; until people can sign in, only this machine's own addresses (127.0.0.1, ::1, localhost) are allowed."""  # noqa: E501 - a message id is one line


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """All settings of one installation. Each is set as `HAIDANG_<NAME>` or in `haidang.toml`."""

    home: Annotated[
        Path,
        Meta(
            description="Folder of everything this installation keeps: database, object files, locks. "
            "Default: `/var/lib/haidang` for root, otherwise `haidang` in `$XDG_DATA_HOME` "
            "(`~/.local/share`). `make run` sets it to `.haidang` in the checkout."
        ),
    ]
    database_url: Annotated[
        str | None,
        Meta(
            description="PostgreSQL 15 or newer to use, as `postgresql://user:password@host/database`. "
            "Also read from `DATABASE_URL`. Without it, `haidang up` runs its own PostgreSQL."
        ),
    ] = None
    database_pool: Annotated[
        int, Meta(ge=2, le=500, description="The most database connections that one process holds.")
    ] = 10
    statement_timeout_s: Annotated[
        int, Meta(ge=1, le=3600, description="Seconds after which the database gives up a statement.")
    ] = 30
    host: Annotated[
        str,
        Meta(
            description="Address the web server binds to. Only this machine's own addresses are allowed "
            "until people can sign in; put a proxy in front to serve others."
        ),
    ] = "127.0.0.1"
    port: Annotated[int, Meta(ge=0, le=65535, description="Port of the web server; 0 takes a free one.")] = (
        8000
    )
    public_url: Annotated[
        str | None,
        Meta(
            description="The address people reach the site by, like `https://lamdong.gov.vn`: search engines "
            "are told absolute addresses (`canonical`, `hreflang`, `/sitemap.xml`, `/robots.txt`). Without "
            "it pages name no canonical address and there is no sitemap."
        ),
    ] = None
    web_processes: Annotated[
        int, Meta(ge=1, le=64, description="How many web processes `haidang up` runs on the one port.")
    ] = 1
    server: Annotated[
        Literal["granian", "uvicorn"], Meta(description="Which ASGI server the web processes run.")
    ] = "granian"
    mqtt_url: Annotated[
        str | None,
        Meta(
            description="MQTT broker to read from, as `mqtt://user:password@host:1883`. Without it, "
            "`haidang up` runs a small broker of its own on this machine only, whose sessions "
            "live in memory."
        ),
    ] = None
    broker_port: Annotated[
        int, Meta(ge=0, le=65535, description="Port of the broker of our own; 0 takes a free one.")
    ] = 1883
    objects_url: Annotated[
        str | None,
        Meta(
            description="Where object files are kept: `file:///folder` or `s3://bucket/prefix`. "
            "Default: the folder `objects` in the home."
        ),
    ] = None
    otlp_endpoint: Annotated[
        str | None,
        Meta(description="Where traces are sent (OTLP over HTTP). Without it no trace leaves the machine."),
    ] = None
    wmts_url: Annotated[
        str | None,
        Meta(
            description="Tiles of the province's own map service (WMTS), told of in `/tiles/catalog.json`: "
            "an `https:` address with `{z}`, `{x}` and `{y}` in it, in the usual grid of web maps. Say in "
            "`wmts_attribution` what must stand under it."
        ),
    ] = None
    wmts_attribution: Annotated[
        str | None, Meta(description="The line that the map service of `wmts_url` asks for.")
    ] = None
    log_format: Annotated[
        Literal["auto", "console", "json"],
        Meta(description="How log lines are written; `auto` is `console` on a terminal, otherwise `json`."),
    ] = "auto"
    log_level: Annotated[
        Literal["debug", "info", "warning", "error"], Meta(description="The least grave lines to log.")
    ] = "info"
    body_limit_bytes: Annotated[
        int, Meta(ge=1024, le=2**31, description="The largest request body that is accepted, in bytes.")
    ] = 10 * 1024 * 1024
    event_streams: Annotated[
        int,
        Meta(
            ge=1,
            le=8192,
            description="The most live streams (server-sent events) that one web process keeps open; who "
            "comes later is told to try again (503). Each takes a connection, of which a process has half as "
            "many as it may open files.",
        ),
    ] = 5000
    demo_scenario: Annotated[
        Literal["calm", "smog", "rain"],
        Meta(
            description="What kind of day `haidang up --demo` plays: a calm one, one of smog that lasts, or "
            "a rainy night that swells the rivers. Without `--demo` nothing is played and nothing is made up."
        ),
    ] = "calm"
    scan_command: Annotated[
        str | None,
        Meta(
            description="What scans an uploaded file for malware: ClamAV's daemon as `clamd://host:3310` or "
            "`clamd:///run/clamav/clamd.ctl`, or a command given the file's path as the last argument "
            "(exit status 0 clean, 1 infected). Without it files are not scanned. Sheets that officers "
            "upload are scanned before they are opened."
        ),
    ] = None
    sheet_limit_bytes: Annotated[
        int, Meta(ge=1024, le=2**31, description="The largest sheet that an officer may upload, bytes.")
    ] = 256 * 1024 * 1024
    sheet_folder: Annotated[
        Path | None,
        Meta(
            description="Folder below which `/admin/sheets/feeds` may name folders that are looked at for "
            "new sheets. Whoever can write there can bring in what an agreed mapping lets through. Links in "
            "it are not followed. Without it feeds read addresses only."
        ),
    ] = None
    default_locale: Annotated[
        Literal["vi", "en"],
        Meta(description="Language of the command line. A page has its language in its address."),
    ] = "vi"
    events_kept_days: Annotated[
        int,
        Meta(
            ge=1,
            le=3650,
            description="Days the event log keeps what every consumer has handled. What a held consumer "
            "has not handled is kept however old it is.",
        ),
    ] = 30
    stop_deadline_s: Annotated[
        int, Meta(ge=1, le=600, description="Seconds a part has to stop by itself before it is killed.")
    ] = 20
    listen_fd: Annotated[
        int | None,
        Meta(
            description="File descriptor of a socket that already listens. `haidang up` gives it to its "
            "web processes, so that requests wait while one of them restarts.",
        ),
    ] = None

    ready_fd: Annotated[
        int | None,
        Meta(
            description="File descriptor to which a part writes one byte when it hears what it is there "
            "for. `haidang up` gives it to its intake and waits for it.",
        ),
    ] = None

    @property
    def site(self) -> str:
        """What stands before a path to make it an address of the whole web; empty while nobody has said."""
        return (self.public_url or "").rstrip("/")

    @property
    def objects_location(self) -> str:
        """Where object files are kept, as a URL."""
        return self.objects_url or (self.home / "objects").as_uri()


@dataclass(frozen=True, slots=True)
class SettingDescription:
    """One setting as the reference page shows it."""

    name: str
    variable: str
    type_name: str
    default: str
    description: str


def default_home(environ: Mapping[str, str], *, root: bool) -> Path:
    """`/var/lib/haidang` for root, `haidang` in the user's data folder otherwise."""
    if root:
        return Path("/var/lib/haidang")
    data = environ.get("XDG_DATA_HOME")
    return (Path(data) if data else Path("~/.local/share").expanduser()) / "haidang"


def read_settings(environ: Mapping[str, str]) -> Settings:
    """Read all settings; raises SettingWrong, SettingUnknown, SettingsUnreadable, PublicBindRefused.

    The file is the one that `HAIDANG_CONFIG` names, else `haidang.toml` in the current folder
    if there is one.
    """
    chosen: dict[str, tuple[Any, str]] = {
        "home": (str(default_home(environ, root=os.geteuid() == 0)), "default")
    }
    chosen |= _from_file(environ)
    chosen |= _from_environment(environ)
    hints = get_type_hints(Settings, include_extras=True)
    values: dict[str, Any] = {}
    for name, (value, origin) in chosen.items():
        try:
            values[name] = msgspec.convert(
                value, hints[name], strict=origin.endswith(".toml"), dec_hook=_read_path
            )
        except (msgspec.ValidationError, ValueError) as wrong:
            raise _wrong(name, origin, hints[name], str(wrong)) from None
    settings = Settings(**values)
    if not is_loopback(settings.host):
        raise PublicBindRefused(name="host", host=settings.host)
    _check_url(settings, "database_url", ("postgresql", "postgres"), chosen)
    _check_url(settings, "mqtt_url", ("mqtt", "mqtts"), chosen)
    _check_url(settings, "objects_url", ("file", "s3"), chosen)
    _check_url(settings, "otlp_endpoint", ("http", "https"), chosen)
    _check_url(settings, "public_url", ("http", "https"), chosen)
    if settings.public_url is not None and not _BARE_ADDRESS.fullmatch(settings.public_url):
        raise PublicUrlNotBare(name="public_url", origin=chosen["public_url"][1])
    _check_url(settings, "wmts_url", ("https",), chosen)
    _check_wmts(settings, chosen)
    return settings


def _check_wmts(settings: Settings, chosen: Mapping[str, tuple[Any, str]]) -> None:
    """A map service needs a tile's numbers in its address, and a line that says whose it is."""
    if settings.wmts_url is None:
        return
    if not all(settings.wmts_url.count(part) == 1 for part in ("{z}", "{x}", "{y}")):
        raise WmtsAddressIncomplete(name="wmts_url", origin=chosen["wmts_url"][1])
    if not settings.wmts_attribution:
        raise WmtsWithoutAttribution(name="wmts_attribution", origin=chosen["wmts_url"][1])


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach a socket bound to `host`."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def environment_of(settings: Settings) -> dict[str, str]:
    """The settings as environment variables, for a part that is started with the same ones."""
    return {
        PREFIX + name.upper(): str(value)
        for name in Settings.__struct_fields__
        if (value := getattr(settings, name)) is not None
    }


def _from_file(environ: Mapping[str, str]) -> dict[str, tuple[Any, str]]:
    named = environ.get(CONFIG_VARIABLE)
    path = Path(named) if named else Path(CONFIG_NAME)
    if not named and not path.is_file():
        return {}
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError) as trouble:
        raise SettingsUnreadable(path=path, reason=trouble) from None
    for name in table:
        if name not in Settings.__struct_fields__:
            raise SettingUnknown(name=name, origin=str(path))
    return {name: (value, "haidang.toml") for name, value in table.items()}


def _from_environment(environ: Mapping[str, str]) -> dict[str, tuple[Any, str]]:
    found: dict[str, tuple[Any, str]] = {}
    if environ.get("DATABASE_URL"):
        found["database_url"] = (environ["DATABASE_URL"], "DATABASE_URL")
    for name in Settings.__struct_fields__:
        variable = PREFIX + name.upper()
        if environ.get(variable):  # An empty variable is one that was not set.
            found[name] = (environ[variable], variable)
    return found


def _read_path(kind: type, value: Any) -> Any:
    if kind is Path and isinstance(value, str):
        return Path(value).expanduser().absolute()
    raise ValueError(f"expected {kind.__name__}, got {type(value).__name__}")


def _wrong(name: str, origin: str, hint: Any, reason: str) -> SettingWrong:
    plain, *notes = get_args(hint)
    if get_origin(plain) is Literal:
        return SettingNotAChoice(name=name, origin=origin, choices=", ".join(get_args(plain)))
    if plain is int:
        limits = next(note for note in notes if isinstance(note, Meta))
        return SettingNotANumber(name=name, origin=origin, least=limits.ge, most=limits.le)
    return SettingWrong(name=name, origin=origin, reason=reason)


def _check_url(
    settings: Settings, name: str, schemes: tuple[str, ...], chosen: Mapping[str, tuple[Any, str]]
) -> None:
    url = getattr(settings, name)
    if url is not None and urlsplit(url).scheme not in schemes:
        # The value is not repeated: it may carry a password.
        raise SettingNotAnAddress(
            name=name, origin=chosen[name][1], schemes=", ".join(f"{scheme}:" for scheme in schemes)
        )


def describe_settings() -> list[SettingDescription]:
    """Every setting, in order of declaration, from the declaration itself."""
    hints = get_type_hints(Settings, include_extras=True)
    described = []
    for field in msgspec.structs.fields(Settings):
        plain, *notes = get_args(hints[field.name])
        description = next((note.description for note in notes if isinstance(note, Meta)), None) or ""
        default = "" if field.default is msgspec.NODEFAULT or field.default is None else str(field.default)
        described.append(
            SettingDescription(
                field.name, PREFIX + field.name.upper(), _type_name(plain), default, description
            )
        )
    return described


def _type_name(plain: Any) -> str:
    if get_origin(plain) is Literal:
        return " or ".join(f"`{choice}`" for choice in get_args(plain))
    kinds = [kind for kind in get_args(plain) if kind is not type(None)] or [plain]
    return {int: "whole number", str: "text", Path: "folder"}[kinds[0]]


def settings_page() -> str:
    """The reference page `docs/reference/settings.md`, in Markdown."""
    lines = [
        "# Settings",
        "",
        "<!-- Generated by `haidang settings --markdown`; a test compares. -->",
        "",
        "A setting is read from the environment (`HAIDANG_PORT=8001`), else from the file that",
        "`HAIDANG_CONFIG` names or `haidang.toml` in the current folder (`port = 8001`), else it has its",
        "default. A wrong value stops the program with a sentence that names the setting. What a province",
        "decides about itself (name, emblem, emergency numbers) is kept in the database: see",
        "`haidang province` in [Commands](commands.md).",
        "",
    ]
    for one in describe_settings():
        lines += [f"## `{one.name}`", "", one.description, ""]
        lines += [
            f"- Environment: `{one.variable}`" + (" or `DATABASE_URL`" if one.name == "database_url" else "")
        ]
        lines += [f"- Kind: {one.type_name}"]
        lines += [f"- Default: `{one.default}`" if one.default else "- Default: none", ""]
    return "\n".join(lines).rstrip() + "\n"
