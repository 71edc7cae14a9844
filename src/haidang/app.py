"""The composition root: reads settings, loads packs, wires rooms, runs one part of the platform; no logic."""

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from functools import partial

from haidang.context import upkeep as context_upkeep
from haidang.context.derivations import derivation_consumers, derivation_jobs
from haidang.context.facts import load_facts
from haidang.context.jsonld import PATIENCE as CONTEXT_PATIENCE
from haidang.context.jsonld import Contexts, fetching_with
from haidang.context.service import prepare_days, register_entity_types
from haidang.context.touched import ENTITIES_TOUCHED
from haidang.context.writer import GroupedWriter
from haidang.infra import upkeep as infra_upkeep
from haidang.infra.consumers import Consumer, ConsumerRunner
from haidang.infra.database import Pool, open_pool, transaction
from haidang.infra.events import Sequencer
from haidang.infra.health import (
    HealthChecks,
    connected,
    consumers_going,
    database_reachable,
    migrations_current,
)
from haidang.infra.http import GuardedHttp
from haidang.infra.jobs import Job, JobRunner
from haidang.infra.mqtt import read_mqtt_url
from haidang.infra.objects import ObjectFiles, ObjectsUnavailable, open_objects
from haidang.infra.processes import stop_on_signals
from haidang.infra.serving import serve_application
from haidang.infra.settings import Settings
from haidang.infra.telemetry import configure_logging, configure_tracing
from haidang.infra.templates import Templates
from haidang.infra.translations import Translations, room_folders
from haidang.infra.version import program_version
from haidang.infra.workload import WorkloadWatch
from haidang.kernel.actors import part
from haidang.kernel.errors import Invalid
from haidang.kernel.instants import Clock, SystemClock
from haidang.places.changing import TouchedKind, change_jobs
from haidang.rules.service import load_rules
from haidang.rules.working import DeadlineWatch, rule_consumers, rule_jobs
from haidang.sdk.loading import installed_packs, pack_folder
from haidang.sdk.model import Pack
from haidang.sources.freshness import FreshnessWatch
from haidang.sources.intake import MqttIntake
from haidang.sources.model import declared_sources
from haidang.sources.replaying import replay_jobs
from haidang.sources.sheets.feeds import FeedRules
from haidang.sources.sheets.jobs import sheet_jobs
from haidang.sources.sheets.looking import feed_jobs
from haidang.web.api.ngsi_ld.asgi import NgsiLdApplication
from haidang.web.asgi import build_application
from haidang.web.shared.house import House
from haidang.web.shared.warming import warm


class BrokerNotNamed(Invalid):
    """The intake needs the address of an MQTT broker: set HAIDANG_MQTT_URL."""


def run_web(settings: Settings) -> None:
    """Serve the faces until SIGTERM; what was submitted by then is written before the pool closes."""

    async def serve(stop: asyncio.Event) -> None:
        clock, packs = SystemClock(), installed_packs()
        async with (
            _pool(settings, "web") as pool,
            _writing(GroupedWriter(pool, clock)) as writer,
            GuardedHttp(CONTEXT_PATIENCE, clock=clock) as http,
        ):
            async with transaction(pool) as connection:
                await register_entity_types(part("web"), connection, packs)
            contexts = Contexts(packs, fetching_with(http))
            house = build_house(settings, clock, packs, pool, writer, contexts=contexts, stopping=stop)
            application = build_application(house)
            warming = asyncio.create_task(warm(application, house))
            async with _watched(house.health, stop):
                await serve_application(application, settings, stop)
            warming.cancel()

    _run("web", settings, serve)


def build_house(
    settings: Settings,
    clock: Clock,
    packs: Sequence[Pack],
    pool: Pool,
    writer: GroupedWriter,
    *,
    contexts: Contexts | None = None,
    stopping: asyncio.Event | None = None,
) -> House:
    """What the faces are made from, wired."""
    folders = {pack.pack_id: pack_folder(pack.pack_id) for pack in packs}
    translations = Translations.load([*room_folders(), *folders.values()])
    health = _health("web", clock, pool)
    health.need("consumers", consumers_going(pool), essential=False)
    return House(
        settings=settings,
        clock=clock,
        packs=packs,
        translations=translations,
        templates=Templates(translations, packs=folders),
        pool=pool,
        health=health,
        ngsi_ld=NgsiLdApplication(
            pool, writer, clock, packs=packs, contexts=contexts, body_limit=settings.body_limit_bytes
        ),
        stopping=stopping or asyncio.Event(),
    )


def run_work(settings: Settings) -> None:
    """Order events, feed consumers, do jobs and watch for silence until SIGTERM."""

    async def work(stop: asyncio.Event) -> None:
        clock, packs = SystemClock(), installed_packs()
        async with _pool(settings, "work") as pool, asyncio.TaskGroup() as tasks:
            async with transaction(pool) as connection:
                await prepare_days(part("work"), connection, now=clock.now())
                await load_facts(part("work"), connection, packs, now=clock.now())
                await load_rules(part("work"), connection, packs, now=clock.now())
            health = _health("work", clock, pool)
            health.need("consumers", consumers_going(pool), essential=False)
            tasks.create_task(health.watch(stop))
            tasks.create_task(Sequencer(pool).run(stop))
            tasks.create_task(ConsumerRunner(pool, clock, consumers_of(packs, clock)).run(stop))
            events_kept = timedelta(days=settings.events_kept_days)
            objects = partial(open_objects, settings.objects_location, os.environ)
            feeds = FeedRules(settings.sheet_folder, settings.sheet_limit_bytes, settings.scan_command)
            jobs = jobs_of(packs, clock, events_kept=events_kept, objects=objects, feeds=feeds)
            grace_s = 0.75 * settings.stop_deadline_s
            tasks.create_task(JobRunner(pool, clock, jobs, grace_s=grace_s).run(stop))
            tasks.create_task(WorkloadWatch(pool, clock).run(stop))
            tasks.create_task(FreshnessWatch(pool, clock, declared_sources(packs)).run(stop))
            tasks.create_task(DeadlineWatch(pool, clock, packs).run(stop))

    _run("work", settings, work)


def run_intake(settings: Settings) -> None:
    """Take in what sources send until SIGTERM; raises BrokerNotNamed without a broker to listen to."""
    if settings.mqtt_url is None:
        raise BrokerNotNamed
    address = read_mqtt_url(settings.mqtt_url)

    async def take_in(stop: asyncio.Event) -> None:
        clock = SystemClock()
        async with _pool(settings, "intake") as pool:
            intake = MqttIntake(pool, clock, declared_sources(installed_packs()), address)
            health = _health("intake", clock, pool)
            health.need("broker", connected("broker", lambda: intake.connected))
            announcing = asyncio.create_task(_announce(intake, settings))
            async with _watched(health, stop):
                await intake.run(stop)
            announcing.cancel()

    _run("intake", settings, take_in)


async def _announce(intake: MqttIntake, settings: Settings) -> None:
    """Tell who started us that readings are heard from now on."""
    while not intake.connected:  # noqa: ASYNC110 - another thread's state, looked at only while starting
        await asyncio.sleep(0.05)
    if settings.ready_fd is not None:
        os.write(settings.ready_fd, b"!")


def consumers_of(packs: Sequence[Pack], clock: Clock) -> tuple[Consumer, ...]:
    """Every consumer of the event log."""
    return (*derivation_consumers(packs, clock), *rule_consumers(packs, clock))


def _no_objects() -> ObjectFiles:
    raise ObjectsUnavailable


_NO_FEEDS = FeedRules()


def jobs_of(
    packs: Sequence[Pack],
    clock: Clock,
    *,
    events_kept: timedelta = infra_upkeep.EVENTS_KEPT,
    objects: Callable[[], ObjectFiles] = _no_objects,
    feeds: FeedRules = _NO_FEEDS,
) -> tuple[Job, ...]:
    """Every job that can be enqueued or stands in the timetable; `objects` opens the store of files.

    `feeds` says what feeds of sheets may reach.
    """
    return (
        *infra_upkeep.upkeep_jobs(clock, events_kept=events_kept),
        *context_upkeep.upkeep_jobs(clock),
        *derivation_jobs(packs, clock),
        *rule_jobs(packs, clock),
        *change_jobs(clock),
        *replay_jobs(declared_sources(packs), clock),
        *sheet_jobs(packs, clock, objects),
        *feed_jobs(packs, clock, objects, feeds),
    )


def touched_kinds() -> tuple[TouchedKind, ...]:
    """What the rooms above places hold by unit or by place: counted in the preview of a change of units."""
    return (ENTITIES_TOUCHED,)


def _run(name: str, settings: Settings, work: Callable[[asyncio.Event], Awaitable[None]]) -> None:
    """One part in its own process: logs, metrics and traces first, then the work until a signal."""
    configure_logging(settings, name)
    end_tracing = configure_tracing(settings.otlp_endpoint, name)

    async def until_told() -> None:
        await work(stop_on_signals())

    try:
        asyncio.run(until_told())
    finally:
        end_tracing()


def _health(name: str, clock: Clock, pool: Pool) -> HealthChecks:
    """What every part needs."""
    health = HealthChecks(name, program_version(), clock)
    health.need("database", database_reachable(pool))
    health.need("migrations", migrations_current(pool))
    return health


@asynccontextmanager
async def _watched(health: HealthChecks, stop: asyncio.Event) -> AsyncIterator[None]:
    async with asyncio.TaskGroup() as tasks:
        watching = tasks.create_task(health.watch(stop))
        try:
            yield
        finally:
            watching.cancel()


@asynccontextmanager
async def _writing(writer: GroupedWriter) -> AsyncIterator[GroupedWriter]:
    stop = asyncio.Event()
    flushing = asyncio.create_task(writer.run(stop))
    try:
        yield writer
    finally:
        stop.set()
        await flushing


@asynccontextmanager
async def _pool(settings: Settings, name: str) -> AsyncIterator[Pool]:
    pool = await open_pool(
        settings.database_url or "",
        largest=settings.database_pool,
        statement_timeout_s=settings.statement_timeout_s,
        name=name,
    )
    try:
        yield pool
    finally:
        await pool.close()
