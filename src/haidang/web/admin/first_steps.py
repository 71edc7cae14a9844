"""What a clean install needs until it serves its province; whether each step is done is read from the state.

Nothing is ticked by hand, and nothing is asked for that the platform cannot do yet.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from haidang.infra.database import Connection
from haidang.infra.province import province_settings
from haidang.infra.settings import Settings
from haidang.kernel.actors import Actor
from haidang.kernel.instants import VIETNAM, Instant
from haidang.places.basemap.maps import base_map_in_use
from haidang.places.model import Level, Unit
from haidang.places.service import units_on
from haidang.sdk.model import MqttSource
from haidang.sources.model import DeclaredSource, Freshness
from haidang.sources.service import list_source_counts
from haidang.web.shared.layers import province_of
from haidang.web.shared.units import unit_path

STEP_TITLES = {
    "name": "Name the province",
    "units": "See its wards and communes",
    "source": "Connect a first source",
    "reading": "See a first reading arrive",
    "base-map": "Lay streets and rivers under the map",
    "backup": "Make a backup, and try to restore it",
}
"""The steps in their order: message ids. The last two can wait."""

_NEEDED = ("name", "units", "source", "reading")
_GUIDES = {
    "vi": {
        "name": "docs/how-to/cai-dat.md",
        "units": "docs/how-to/tra-cuu-don-vi.md",
        "source": "docs/how-to/use-mosquitto.md",
        "reading": "docs/tutorials/so-do-dau-tien.md",
        "base-map": "docs/how-to/dung-ban-do-nen.md",
        "backup": "docs/how-to/sao-luu-va-khoi-phuc.md",
    },
    "en": {
        "name": "docs/how-to/install.md",
        "units": "docs/how-to/look-up-a-unit.md",
        "source": "docs/how-to/use-mosquitto.md",
        "reading": "docs/tutorials/first-reading.md",
        "base-map": "docs/how-to/build-a-base-map.md",
        "backup": "docs/how-to/backup-and-restore.md",
    },
}
"""The page of the documentation that tells each step in full, by language."""


@dataclass(frozen=True, slots=True)
class FirstStep:
    """One step: its key in STEP_TITLES, whether it is done (None: not to be seen from here), its guide."""

    key: str
    done: bool | None
    guide: str


@dataclass(frozen=True, slots=True)
class FirstSteps:
    """All steps, and what they say: what is there already, and what there is to copy.

    `broker` is where stations send to (no user, no password), `example` a source whose recorded message may
    be sent. `messages` were received so far, `refusals` of them were refused; `heard` is what spoke last.
    """

    steps: Sequence[FirstStep]
    name: str
    province: Unit | None
    province_path: str
    wards: int
    broker: tuple[str, int]
    example: MqttSource | None
    messages: int
    refusals: int
    heard: Freshness | None

    @property
    def open(self) -> bool:
        """Whether something is missing without which the platform serves nobody."""
        return any(one.key in _NEEDED and not one.done for one in self.steps)

    @property
    def next(self) -> str:
        """The key of the first step that is not done; empty when only the unseen ones are left."""
        return next((one.key for one in self.steps if one.done is False), "")


async def first_steps(
    actor: Actor,
    connection: Connection,
    *,
    declared: Sequence[DeclaredSource],
    heard: Sequence[Freshness],
    settings: Settings,
    now: Instant,
    locale: str,
) -> FirstSteps:
    """The steps as they are now."""
    chosen = await province_settings(connection, actor.tenant)
    on = now.astimezone(VIETNAM).date()
    province, wards = None, 0
    if chosen.named:
        province = province_of(await units_on(actor, connection, on, level=Level.PROVINCE), chosen.name)
    if province is not None:
        below = await units_on(actor, connection, on, level=Level.WARD, parent_id=province.unit_id)
        wards = len(below)
    counts = await list_source_counts(actor, connection)
    own = {one.urn for one in declared}
    spoken = [one for one in heard if one.subject not in own]
    done: dict[str, bool | None] = {
        "name": chosen.named,
        "units": wards > 0,
        "source": bool(counts),
        "reading": bool(spoken),
        "base-map": await base_map_in_use(actor, connection) is not None,
        "backup": None,
    }
    guides = _GUIDES.get(locale, _GUIDES["en"])
    return FirstSteps(
        steps=[FirstStep(key, done[key], guides[key]) for key in STEP_TITLES],
        name=chosen.name if chosen.named else "",
        province=province,
        province_path=unit_path(province.unit_id) if province is not None else "",
        wards=wards,
        broker=_broker(settings),
        example=declared[0].source if declared else None,
        messages=sum(one.messages for one in counts),
        refusals=sum(one.refusals for one in counts),
        heard=max(spoken, key=lambda one: one.last_received_at, default=None),
    )


def _broker(settings: Settings) -> tuple[str, int]:
    """Host and port that stations send to."""
    if settings.mqtt_url is None:
        return "127.0.0.1", settings.broker_port
    address = urlsplit(settings.mqtt_url)
    return address.hostname or "127.0.0.1", address.port or (8883 if address.scheme == "mqtts" else 1883)
