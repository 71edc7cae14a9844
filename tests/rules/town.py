"""A town of gauges with a few rules, driven by hand: what is observed, and when it is learned."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from haidang.context.events import EntitiesChanged
from haidang.context.model import AttributeInstance, Command, MergeObservations
from haidang.context.writer import apply_commands
from haidang.infra.database import Connection
from haidang.infra.events import events_after, head_position, settle
from haidang.kernel.actors import Actor, Audience, part
from haidang.kernel.instants import SetClock
from haidang.rules.model import Alarm
from haidang.rules.service import LookOver, alarms, load_rules
from haidang.rules.watching import Watcher
from haidang.sdk.model import (
    Attribute,
    AttributeKind,
    EntityType,
    Message,
    MqttSource,
    Pack,
    Quality,
    Rate,
    Reading,
    Rejected,
    Rule,
    Severity,
)

NOON = datetime(2026, 11, 21, 5, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
OFFICER = Actor("urn:haidang:officer:1", frozenset({Audience.PUBLIC, Audience.OFFICER}))
VISITOR = Actor("urn:haidang:actor:anonymous", frozenset({Audience.PUBLIC}))
SOURCE = part("test")

BASE = "https://example.vn/"
GAUGE = EntityType(
    name="Gauge",
    iri=BASE + "Gauge",
    label="Gauge",
    attributes=(
        Attribute("level", BASE + "level", unit="MTR"),
        Attribute("flow", BASE + "flow", unit="MQS"),
        Attribute("period", BASE + "period", unit="SEC"),
        Attribute("status", BASE + "status"),
        Attribute("name", BASE + "name", lasting=True),
        Attribute("source", BASE + "source", lasting=True),
        Attribute("location", BASE + "location", kind=AttributeKind.GEO_PROPERTY, lasting=True),
    ),
)
CAMERA = EntityType(
    name="Camera",
    iri=BASE + "Camera",
    label="Camera",
    attributes=(Attribute("count", BASE + "count", least=0),),
    audience=Audience.OFFICER,
)


def decode(message: Message) -> Sequence[Reading | Rejected]:
    return [Rejected("nothing", message.topic)]


SOURCES = (MqttSource("gauges", "Gauges", "gauges/+", "Gauge", decode, 10 * MINUTE, b"", "gauges/1"),)


def gauge_rule(rule_id: str = "high-water", **changes: object) -> Rule:
    """Water above 3 m; whatever else is said."""
    told: dict[str, object] = {
        "label": "High water",
        "entity_type": "Gauge",
        "severity": Severity.SEVERE,
        "q": "level>3",
        "advice": "Look at the river",
        **changes,
    }
    return Rule(rule_id=rule_id, **told)  # type: ignore[arg-type]  # a test's own fields


HIGH = gauge_rule()
LASTING = gauge_rule(lasting=30 * MINUTE)
HYSTERESIS = gauge_rule(clear_q="level<2", clear_lasting=20 * MINUTE)
SILENT = gauge_rule("silent", q="", absent="level", absent_rhythms=3)
RISING = gauge_rule("rising", q="", rate=Rate("level", 60 * MINUTE, rises=1.0))


def pack_of(*rules: Rule, version: str = "1") -> Pack:
    """A pack with these rules."""
    return Pack("town", version, "Town", entity_types=(GAUGE, CAMERA), sources=SOURCES, rules=rules)


class Town:
    """The house with one pack, on one connection, and a clock that is set by hand."""

    def __init__(self, connection: Connection, clock: SetClock, *rules: Rule) -> None:
        self.connection = connection
        self.clock = clock
        self.packs = (pack_of(*rules),)
        self.watcher = Watcher(self.packs, clock)
        self.after = 0

    async def begin(self) -> None:
        """Load the rules and look at deadlines once, as the house does when it starts."""
        await settle(self.connection)
        self.after = await head_position(self.connection)
        await load_rules(SOURCE, self.connection, self.packs, now=self.clock.now())
        await self.watcher.look(self.connection, "default")

    def restart(self) -> None:
        """The work part dies and comes again: nothing but the database is left of it."""
        self.watcher = Watcher(self.packs, self.clock)

    async def observe(
        self,
        gauge: str,
        minute: float,
        level: object,
        *,
        attribute: str = "level",
        quality: Quality = Quality.VALID,
        take: bool = True,
    ) -> None:
        """One value of one gauge at a minute after noon, learned now."""
        instance = AttributeInstance(
            BASE + attribute, level, unit="MTR", observed_at=NOON + minute * MINUTE, quality=quality
        )
        await self.merge(gauge, instance, take=take)

    async def state(self, gauge: str, attribute: str, value: object, kind: str = "Property") -> None:
        """Something about a gauge that has no moment of its own."""
        await self.merge(gauge, AttributeInstance(BASE + attribute, value, kind=AttributeKind(kind)))

    async def merge(self, gauge: str, *instances: AttributeInstance, take: bool = True) -> None:
        """Write instances of a gauge, and let the rules hear of them."""
        command = MergeObservations(
            entity_id=f"urn:ngsi-ld:Gauge:{gauge}", type_iri=GAUGE.iri, attributes=instances
        )
        await self.write(command, take=take)

    async def write(self, *commands: Command, take: bool = True) -> None:
        """Do commands in one commit, and let the rules hear of it."""
        for outcome in await apply_commands(self.connection, SOURCE, commands, now=self.clock.now()):
            assert outcome.error is None
        if take:
            await self.take()

    async def take(self) -> int:
        """Handle what has been told since; how many events."""
        await settle(self.connection)
        told = await events_after(self.connection, self.after, [EntitiesChanged.kind], 10_000)
        for envelope in told:
            await self.watcher.take(self.connection, envelope)
            self.after = envelope.position
        return len(told)

    async def pass_time(self, minutes: float) -> None:
        """Let minutes pass, looking at deadlines every two of them."""
        end = self.clock.now() + minutes * MINUTE
        while self.clock.now() < end:
            self.clock.advance(min(2 * MINUTE, end - self.clock.now()))
            await self.watcher.look(self.connection, "default")

    async def to_minute(self, minute: float) -> None:
        """Let time pass until a minute after noon, and the grace that deadlines are given."""
        await self.pass_time((NOON + minute * MINUTE - self.clock.now()) / MINUTE + 0.05)

    async def look_over(self) -> None:
        """Do what the queue was asked to: take each rule to every gauge."""
        rows = await self.connection.fetch(
            "SELECT payload FROM infra.pgqueuer WHERE entrypoint = 'rules-look-over' ORDER BY id"
        )
        for row in rows:
            rule_id = row["payload"].decode().split('"')[3]
            assert LookOver(rule_id)
            await self.watcher.look_over(self.connection, "default", rule_id, 0)
        await self.connection.execute("DELETE FROM infra.pgqueuer WHERE entrypoint = 'rules-look-over'")

    async def alarms(self, state: str = "all", **asked: object) -> list[Alarm]:
        """Alarms, oldest first."""
        found = await alarms(OFFICER, self.connection, now=self.clock.now(), state=state, most=500, **asked)  # type: ignore[arg-type]  # handed on
        return sorted(found, key=lambda one: (one.raised_at, one.since))

    async def story(self) -> list[tuple[str, float, float | None]]:
        """Of each alarm: at which gauge, since which minute, cleared at which minute."""
        return [
            (
                one.entity_id.rsplit(":", 1)[-1],
                (one.since - NOON) / MINUTE,
                None if one.cleared_at is None else (one.cleared_at - NOON) / MINUTE,
            )
            for one in await self.alarms()
        ]

    async def told(self) -> list[str]:
        """The kinds of events about alarms, in their order."""
        await settle(self.connection)
        rows = await self.connection.fetch(
            "SELECT p.kind FROM infra.event_position AS p WHERE p.kind LIKE 'rules.%' ORDER BY p.position"
        )
        return [row["kind"].removeprefix("rules.alarm-") for row in rows]
