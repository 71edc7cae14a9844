"""What a province has decided about itself: kept in the database, changed by name, with a history."""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, get_type_hints

import msgspec
from msgspec import Meta

from haidang.infra.database import Connection
from haidang.infra.queries import load_queries
from haidang.kernel.actors import Actor, Audience
from haidang.kernel.errors import Denied, Invalid
from haidang.kernel.instants import Instant

_queries = load_queries(Path(__file__).parent / "sql" / "province.sql")


class ProvinceSettingUnknown(Invalid):
    """The province has no setting {name}; there are: {known}."""


class ProvinceSettingWrong(Invalid):
    """The setting {name} of the province cannot be {value}: {reason}."""


class ProvinceSettingsAreForAdministrators(Denied):
    """Only an administrator may change the settings of the province."""


PROVINCE_LABELS = {
    "name": "Name of the province, as its people write it.",
    "emblem": "Path of the emblem on this site, shown beside the mark; empty for none.",
    "emergency_numbers": "Numbers to dial in need, as a list.",
    "contact": "How to reach who runs this site: an address or a telephone.",
    "bulletin": "The warning in force, with issuer, number, hours and level; shown until it ends.",
}
"""What each setting of a province is: message ids."""

EMERGENCY_LABELS = {"112": "Search and rescue", "113": "Police", "114": "Fire", "115": "Ambulance"}
"""The nation's emergency numbers (a province may put its own before them): message ids."""


class EmergencyNumber(msgspec.Struct, frozen=True):
    """A telephone number that people dial in need, and what it is for."""

    number: Annotated[str, Meta(pattern=r"^[0-9+ .]{2,20}$")]
    label: Annotated[str, Meta(min_length=1, max_length=80)]


class Bulletin(msgspec.Struct, frozen=True, kw_only=True):
    """A warning as its issuer gave it: nothing of it is computed here.

    `level` is the disaster-risk level that the bulletin itself names (1 to 5, Decision 18/2021/QĐ-TTg,
    Article 4), `link` what to do: an address of this site or of the issuer.
    """

    title: Annotated[str, Meta(min_length=1, max_length=120)]
    text: Annotated[str, Meta(max_length=300)] = ""
    issuer: Annotated[str, Meta(min_length=1, max_length=160)]
    number: Annotated[str, Meta(max_length=40)] = ""
    issued_at: Annotated[datetime, Meta(tz=True)]
    valid_until: Annotated[datetime, Meta(tz=True)]
    level: Annotated[int, Meta(ge=1, le=5)] | None = None
    link: Annotated[str, Meta(pattern=r"^(https://[^\s\"<>]+|/[^\s\"<>]*)?$", max_length=300)] = ""

    def __post_init__(self) -> None:
        """Refuse one that ends before it begins; msgspec makes its own error of this."""
        if self.valid_until <= self.issued_at:
            raise ValueError("valid_until must be after issued_at")

    def in_force(self, now: Instant) -> bool:
        """Whether it is to be shown: it has been issued and has not ended."""
        return self.issued_at <= now < self.valid_until


class ProvinceSettings(msgspec.Struct, frozen=True, kw_only=True):
    """The settings of one province, defaults filled in."""

    name: Annotated[str, Meta(min_length=1, max_length=120)] = "Hải Đăng"
    emblem: Annotated[str, Meta(pattern=r"^(/[A-Za-z0-9._/-]*)?$", max_length=200)] = ""
    emergency_numbers: Annotated[tuple[EmergencyNumber, ...], Meta(max_length=10)] = tuple(
        EmergencyNumber(number, label) for number, label in EMERGENCY_LABELS.items()
    )
    contact: Annotated[str, Meta(max_length=300)] = ""
    bulletin: Bulletin | None = None

    @property
    def named(self) -> bool:
        """Whether the province has said its name: until then it bears the platform's."""
        return self.name != ProvinceSettings().name


@dataclass(frozen=True, slots=True)
class ProvinceSettingChange:
    """One change of one setting: `None` stands for its default."""

    name: str
    former: Any
    value: Any
    changed_at: Instant
    changed_by: str


async def province_settings(connection: Connection, tenant: str) -> ProvinceSettings:
    """The settings of a province. One that a newer version wrote and this one cannot read is left out."""
    chosen: dict[str, Any] = {}
    async for row in _queries.settings_of_province(connection, tenant=tenant):
        try:
            chosen[row["name"]] = _read(row["name"], row["value"])
        except (ProvinceSettingUnknown, ProvinceSettingWrong):
            continue
    return ProvinceSettings(**chosen)


async def change_province_setting(
    actor: Actor, connection: Connection, name: str, value: Any, *, now: Instant
) -> None:
    """Set one setting, or give it its default back with `None`; keeps who did it."""
    if not actor.belongs_to(Audience.ADMINISTRATOR):
        raise ProvinceSettingsAreForAdministrators
    if name not in ProvinceSettings.__struct_fields__:
        raise ProvinceSettingUnknown(name=name, known=", ".join(ProvinceSettings.__struct_fields__))
    plain = None if value is None else msgspec.to_builtins(_read(name, value))
    former = {
        row["name"]: row["value"]
        async for row in _queries.settings_of_province(connection, tenant=actor.tenant)
    }.get(name)
    if former == plain:
        return
    if plain is None:
        await _queries.forget_province_setting(connection, tenant=actor.tenant, name=name)
    else:
        await _queries.keep_province_setting(
            connection,
            tenant=actor.tenant,
            name=name,
            value=plain,
            modified_at=now,
            modified_by=actor.actor_id,
        )
    await _queries.note_province_change(
        connection,
        tenant=actor.tenant,
        name=name,
        former=former,
        value=plain,
        changed_at=now,
        changed_by=actor.actor_id,
    )


async def province_changes(
    actor: Actor, connection: Connection, *, most: int = 100
) -> list[ProvinceSettingChange]:
    """Who changed what, latest first."""
    if not actor.belongs_to(Audience.ADMINISTRATOR):
        raise ProvinceSettingsAreForAdministrators
    return [
        ProvinceSettingChange(**dict(row))
        async for row in _queries.changes_of_province(connection, tenant=actor.tenant, most=most)
    ]


def _read(name: str, value: Any) -> Any:
    hints = get_type_hints(ProvinceSettings, include_extras=True)
    if name not in hints:
        raise ProvinceSettingUnknown(name=name, known=", ".join(hints))
    try:
        return msgspec.convert(value, hints[name])
    except msgspec.ValidationError as wrong:
        raise ProvinceSettingWrong(name=name, value=value, reason=str(wrong)) from None
