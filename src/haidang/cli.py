"""The command `haidang`: parses, calls one verb, says what happened, Vietnamese first."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NoReturn, TypeVar
from uuid import UUID

import click
import msgspec
from rich.console import Console

from haidang.infra.backup import Manifest, make_backup, restore_backup
from haidang.infra.broker import run_broker
from haidang.infra.consumers import (
    consumer_states,
    dead_events,
    discard_event,
    forget_consumer,
    hold_consumer,
    replay_event,
    resume_consumer,
    rewind_consumer,
    skip_event,
)
from haidang.infra.database import Connection
from haidang.infra.failures import reason_of
from haidang.infra.jobs import dead_jobs, discard_job, job_states, replay_job
from haidang.infra.migrations import migrate as apply_migrations
from haidang.infra.objects import open_objects
from haidang.infra.parts import Supervisor, connected, database_of, running_database
from haidang.infra.progress import Progress, _
from haidang.infra.province import (
    PROVINCE_LABELS,
    change_province_setting,
    province_changes,
    province_settings,
)
from haidang.infra.settings import Settings, environment_of, read_settings, settings_page
from haidang.infra.tokens import issue_token, list_tokens, revoke_token
from haidang.infra.translations import LOCALES, Translations, date_text, moment_text, number_text
from haidang.infra.version import program_version
from haidang.kernel.actors import Actor, Audience, part
from haidang.kernel.errors import Conflict, HaidangError, Invalid, Unavailable
from haidang.kernel.instants import VIETNAM, SystemClock
from haidang.places.basemap.errors import BaseMapToolsMissing
from haidang.places.calendars import (
    APPLIES_TO_LABELS,
    KIND_LABELS,
    STATUS_LABELS,
    WEEKDAY_LABELS,
    AppliesTo,
    CalendarDay,
    CalendarDayUnknown,
    CalendarDecision,
    DayKind,
    DayStatus,
    calendar_days,
    calendar_decisions,
    confirm_calendar_day,
    set_calendar_day,
)
from haidang.places.loading import load_facts
from haidang.places.model import Level, Unit, UnitAt
from haidang.sdk.conformance import check_pack, check_packs
from haidang.sdk.loading import installed_packs, pack_folder
from haidang.sdk.scaffold import new_pack
from haidang.sources.errors import QuarantinedMessageCut, SourceUnknown
from haidang.sources.model import (
    REASON_TITLES,
    Freshness,
    QuarantinedMessage,
    QuarantineTally,
    SourceCounts,
    declared_sources,
)
from haidang.sources.service import (
    list_freshness,
    list_quarantine,
    list_quarantine_tallies,
    list_source_counts,
    list_unsettled_ids,
    replay_quarantined,
)

if TYPE_CHECKING:  # shapes are imported by the commands that need them
    from haidang.places.changes import Change, PeopleAfter
    from haidang.places.changing import Preview
    from haidang.places.naming import Resolution, UnitFound

C = TypeVar("C", bound=click.Command)

_CLOCK = SystemClock()
_EXIT_INVALID = 2
_EXIT_UNAVAILABLE = 75  # EX_TEMPFAIL: whoever supervises us may try again


class MustNotBeEmpty(Invalid):
    """{name} must not be empty."""


class MustBeConfirmed(Invalid):
    """This cannot be undone; add --yes to do it."""


class PackKeepsNotItsPromises(Invalid):
    """{count} findings; each is to be mended in its pack."""


class LongitudeComesFirst(Invalid):
    """{latitude} is no latitude: the longitude comes first, as in 108.1 10.933."""


class ReplayFailed(Conflict):
    """{count} messages could not be replayed; they wait for another try."""


def audience(who: Audience) -> Callable[[C], C]:
    """Declare whom a command is for; a test walks all commands and finds those without."""

    def declare(command: C) -> C:
        command.audience = who  # type: ignore[attr-defined]  # read by the test of audiences
        return command

    return declare


def operator() -> Actor:
    """Whoever may run this command on this machine may run the platform: every audience."""
    return part("command-line")


@cache
def _translations() -> Translations:
    return Translations.load()


def _locale() -> str:
    try:
        return _settings().default_locale
    except HaidangError:  # Also said in some language: the environment's.
        wanted = os.environ.get("HAIDANG_DEFAULT_LOCALE", LOCALES[0])
        return wanted if wanted in LOCALES else LOCALES[0]


def translate(msgid: str, **fields: object) -> str:
    """A sentence in the language of the command line."""
    return _translations().gettext(_locale(), msgid, **fields)


def say(msgid: str, **fields: object) -> None:
    """Print one sentence in the language of the command line."""
    click.echo(translate(msgid, **fields))


class SpokenCommand(click.Command):
    """A command whose help is translated when it is shown, and kept in English for the reference."""

    def format_help_text(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the help in the language of the command line."""
        _spoken(self, lambda: click.Command.format_help_text(self, ctx, formatter))

    def get_short_help_str(self, limit: int = 45) -> str:
        """The first sentence in the language of the command line."""
        shown: list[str] = []
        _spoken(self, lambda: shown.append(click.Command.get_short_help_str(self, max(limit, 90))))
        return shown[0]


class SpokenGroup(click.Group, SpokenCommand):
    """A group of such commands."""

    command_class = SpokenCommand

    def format_help_text(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the help in the language of the command line."""
        SpokenCommand.format_help_text(self, ctx, formatter)


SpokenGroup.group_class = SpokenGroup


class SpokenOption(click.Option):
    """An option whose help is translated when it is shown."""

    def get_help_record(self, ctx: click.Context) -> tuple[str, str] | None:
        """Its names and its help in the language of the command line."""
        written = self.help
        self.help = translate(written) if written else written
        try:
            return super().get_help_record(ctx)
        finally:
            self.help = written


def _spoken(command: click.Command, show: Callable[[], None]) -> None:
    written = command.help
    command.help = translate(written) if written else written
    try:
        show()
    finally:
        command.help = written


@audience(Audience.ADMINISTRATOR)
@click.group(cls=SpokenGroup, help=_("Hải Đăng: the smart-city platform of a province."))
@click.version_option(program_version(), prog_name="haidang")
def haidang() -> None:
    """The root of all commands."""


def main() -> None:
    """Run the command line; an error of ours is one sentence and an exit status, never a traceback."""
    try:
        haidang.main(prog_name="haidang")
    except HaidangError as error:
        _fail(error)


def _fail(error: HaidangError) -> NoReturn:
    click.echo(_translations().translate_error(error, _locale()), err=True)
    if isinstance(error, Unavailable):
        sys.exit(_EXIT_UNAVAILABLE)
    sys.exit(_EXIT_INVALID if isinstance(error, Invalid) else 1)


def say_table(titles: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print rows in columns under their translated titles, or say that there are none."""
    cells = [[str(cell) for cell in row] for row in rows]
    if not cells:
        say(_("There are none."))
        return
    lines = [[translate(title) for title in titles], *cells]
    widths = [max(len(line[column]) for line in lines) for column in range(len(titles))]
    for line in lines:
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())


def _settings() -> Settings:
    return read_settings(os.environ)


@asynccontextmanager
async def _connection() -> AsyncIterator[Connection]:
    async with database_of(_settings()) as dsn, connected(dsn) as connection:
        await _bring_up_to_date(connection)
        yield connection


async def _bring_up_to_date(connection: Connection) -> list[str]:
    """Apply the migrations and load the facts that are missing; returns their names."""
    return [*await apply_migrations(connection), *await load_facts(operator(), connection)]


@asynccontextmanager
async def _transaction() -> AsyncIterator[Connection]:
    async with _connection() as connection, connection.transaction():
        yield connection


# -- running ---------------------------------------------------------------------------------


@audience(Audience.ADMINISTRATOR)
@haidang.command(help=_("Run the whole platform on this machine: database, broker, web, worker, intake."))
@click.option("--demo", is_flag=True, cls=SpokenOption, help=_("Also run the demo province."))
@click.option(
    "--scenario",
    type=click.Choice(["calm", "smog", "rain"]),
    cls=SpokenOption,
    help=_("What kind of day the demo plays: calm, smog, or a rainy night."),
)
def up(*, demo: bool, scenario: Literal["calm", "smog", "rain"] | None) -> None:
    """Run every part and restart what dies, until Ctrl-C."""
    progress = Progress(Console(), translate)
    settings = _settings()
    if scenario is not None:
        settings = msgspec.structs.replace(settings, demo_scenario=scenario)
    supervisor = Supervisor(settings, progress, _CLOCK, demo=demo, load=load_facts)
    asyncio.run(supervisor.run())


@audience(Audience.ADMINISTRATOR)
@haidang.command(help=_("Run a web process: pages and interfaces."))
def web() -> None:
    """Serve until stopped."""
    _run_part("web")


@audience(Audience.ADMINISTRATOR)
@haidang.command(help=_("Run a worker: events, consumers and jobs."))
def work() -> None:
    """Work until stopped."""
    _run_part("work")


@audience(Audience.ADMINISTRATOR)
@haidang.command(help=_("Run the embedded MQTT broker, on this machine only."))
@click.option("--port", default=1883, show_default=True, cls=SpokenOption, help=_("Its port."))
def broker(port: int) -> None:
    """`haidang broker`."""
    run_broker(port)


@audience(Audience.ADMINISTRATOR)
@haidang.command(help=_("Run the intake: what sources send."))
def intake() -> None:
    """Take in until stopped."""
    _run_part("intake")


def _run_part(name: str) -> None:
    # The rooms are loaded by the parts alone: they cost 1.5 s of CPU and 60 MB, which neither
    # the supervisor nor a small command should pay.
    from haidang import app  # noqa: PLC0415 - see above

    run = {"web": app.run_web, "work": app.run_work, "intake": app.run_intake}[name]
    settings = _settings()
    dsn = asyncio.run(running_database(settings))
    run(msgspec.structs.replace(settings, database_url=dsn))


@audience(Audience.ADMINISTRATOR)
@haidang.command(help=_("Bring the database up to date with this version."))
def migrate() -> None:
    """Apply the migrations and load the facts that are missing."""

    async def run() -> list[str]:
        async with database_of(_settings()) as dsn, connected(dsn) as connection:
            return await _bring_up_to_date(connection)

    names = asyncio.run(run())
    for name in names:
        click.echo(name)
    if not names:
        say(_("The database is up to date."))


@audience(Audience.ADMINISTRATOR)
@haidang.command(help=_("Write everything into one new FILE: the database and the object files."))
@click.argument("file", type=click.Path(dir_okay=False, resolve_path=True, path_type=Path))
@click.option("--without-objects", is_flag=True, cls=SpokenOption, help=_("Leave out the object files."))
def backup(file: Path, *, without_objects: bool) -> None:
    """Back up while the platform runs or stands still."""
    settings = _settings()
    progress = Progress(Console(), translate)

    async def run() -> Manifest:
        objects = None if without_objects else open_objects(settings.objects_location, os.environ)
        async with database_of(settings) as dsn, connected(dsn) as connection:
            with progress.step(_("Backing up")):
                return await make_backup(
                    operator(),
                    connection,
                    file,
                    now=_CLOCK.now(),
                    program=program_version(),
                    objects=objects,
                )

    _say_what_is_in(asyncio.run(run()), file)


@audience(Audience.ADMINISTRATOR)
@haidang.command(help=_("Fill an empty installation from the backup FILE, and prove that it is the same."))
@click.argument("file", type=click.Path(dir_okay=False, resolve_path=True, path_type=Path))
def restore(file: Path) -> None:
    """Restore before the first `haidang up` of a new home or database."""
    settings = _settings()
    progress = Progress(Console(), translate)

    async def run() -> Manifest:
        objects = open_objects(settings.objects_location, os.environ)
        async with database_of(settings) as dsn, connected(dsn) as connection:
            with progress.step(_("Restoring")):
                return await restore_backup(operator(), connection, file, objects=objects)

    _say_what_is_in(asyncio.run(run()), file)


def _say_what_is_in(manifest: Manifest, file: Path) -> None:
    say(
        _("{file}: {tables} tables, {rows} rows, {objects} object files; checksums agree."),
        file=file,
        tables=len(manifest.tables),
        rows=manifest.rows,
        objects=len(manifest.objects),
    )


@audience(Audience.ADMINISTRATOR)
@haidang.command(help=_("Show every setting of this machine and its present value."))
@click.option("--markdown", is_flag=True, cls=SpokenOption, help=_("Print the reference page instead."))
def settings(*, markdown: bool) -> None:
    """Show settings; addresses that may carry a password are not shown."""
    if markdown:
        click.echo(settings_page(), nl=False)
        return
    for name, value in environment_of(_settings()).items():
        click.echo(f"{name}={'…' if name.endswith('_URL') else value}")


@audience(Audience.ADMINISTRATOR)
@haidang.command("commands", help=_("Print the reference page of all commands, in Markdown."))
def commands() -> None:
    """What docs/reference/commands.md holds."""
    click.echo(commands_page(), nl=False)


def commands_page() -> str:
    """The reference page `docs/reference/commands.md`, in Markdown."""
    lines = [
        "# Commands",
        "",
        "<!-- Generated by `haidang commands`; a test compares. -->",
        "",
        "Every command reads the [settings](settings.md). It exits with 0 when it has done what it was",
        "asked, 2 when what it was given cannot be accepted, 75 when trying again later can help, and 1",
        "otherwise; trouble is one sentence on standard error. Help is shown in Vietnamese, or in English",
        "with `HAIDANG_DEFAULT_LOCALE=en`.",
        "",
    ]
    for path, command in walk_commands(haidang):
        if isinstance(command, click.Group):
            continue
        usage = " ".join(command.collect_usage_pieces(click.Context(command, info_name=path)))
        lines += [f"## `{path}`", "", command.help or "", "", "```", f"{path} {usage}".rstrip(), "```", ""]
        options = [one for one in command.params if isinstance(one, click.Option) and one.help]
        for one in options:
            lines.append(f"- `{', '.join(one.opts)}`: {one.help}")
        lines += [""] if options else []
        lines += [f"For: {getattr(command, 'audience', '–')}", ""]
    return "\n".join(lines).rstrip() + "\n"


def walk_commands(root: click.Group, path: str = "haidang") -> Iterator[tuple[str, click.Command]]:
    """Every command below a group with its whole name, groups too, by name."""
    yield path, root
    for name in sorted(root.commands):
        command = root.commands[name]
        if isinstance(command, click.Group):
            yield from walk_commands(command, f"{path} {name}")
        else:
            yield f"{path} {name}", command


# -- tokens ----------------------------------------------------------------------------------


@audience(Audience.ADMINISTRATOR)
@haidang.group(help=_("Access tokens of machines."))
def token() -> None:
    """Access tokens of machines."""


@audience(Audience.ADMINISTRATOR)
@token.command("issue", help=_("Make a token for the machine NAME; it is shown once."))
@click.argument("name")
@click.option("--days", type=click.IntRange(1, 3650), cls=SpokenOption, help=_("Days until it expires."))
def token_issue(name: str, days: int | None) -> None:
    """Print the token alone on a line."""

    async def run() -> str:
        async with _transaction() as connection:
            lasts = timedelta(days=days) if days else None
            return await issue_token(operator(), connection, name, now=_CLOCK.now(), lasts=lasts)

    click.echo(asyncio.run(run()))


@audience(Audience.ADMINISTRATOR)
@token.command("list", help=_("List tokens; never the tokens themselves."))
def token_list() -> None:
    """One line a token."""

    async def run() -> None:
        now = _CLOCK.now()
        async with _transaction() as connection:
            tokens = await list_tokens(operator(), connection)
        say_table(
            [_("Id"), _("Name"), _("Made"), _("Expires"), _("State")],
            [
                (
                    one.token_id,
                    one.label,
                    moment_text(one.created_at),
                    _moment(one.expires_at),
                    translate(_("usable") if one.usable(now) else _("ended")),
                )
                for one in tokens
            ],
        )

    asyncio.run(run())


@audience(Audience.ADMINISTRATOR)
@token.command("revoke", help=_("End the token ID (as `token list` shows it) at once."))
@click.argument("token_id", metavar="ID")
def token_revoke(token_id: str) -> None:
    """End a token."""

    async def run() -> None:
        async with _transaction() as connection:
            await revoke_token(operator(), connection, token_id, now=_CLOCK.now())

    asyncio.run(run())
    say(_("Token {token_id} is ended."), token_id=token_id)


# -- the province ------------------------------------------------------------------------------


@audience(Audience.ADMINISTRATOR)
@haidang.group(help=_("What the province has decided about itself."))
def province() -> None:
    """Settings of the province."""


@audience(Audience.ADMINISTRATOR)
@province.command("show", help=_("Show the settings of the province."))
def province_show() -> None:
    """One line a setting: its name, its value as JSON, and what it is."""

    async def run() -> None:
        async with _transaction() as connection:
            chosen = msgspec.to_builtins(await province_settings(connection, operator().tenant))
        for name, text in PROVINCE_LABELS.items():
            click.echo(f"{name} = {msgspec.json.encode(chosen[name]).decode()}\n    {translate(text)}")

    asyncio.run(run())


@audience(Audience.ADMINISTRATOR)
@province.command("set", help=_("Set NAME of the province to VALUE (text, or JSON for a list)."))
@click.argument("name")
@click.argument("value")
def province_set(name: str, value: str) -> None:
    """Set one setting."""
    asyncio.run(_change_province(name, _text_or_json(value)))
    say(_("{name} is set."), name=name)


@audience(Audience.ADMINISTRATOR)
@province.command("reset", help=_("Give NAME of the province its default back."))
@click.argument("name")
def province_reset(name: str) -> None:
    """Forget one setting."""
    asyncio.run(_change_province(name, None))
    say(_("{name} has its default again."), name=name)


@audience(Audience.ADMINISTRATOR)
@province.command("history", help=_("Show who changed which setting of the province."))
def province_history() -> None:
    """One line a change, latest first."""

    async def run() -> None:
        async with _transaction() as connection:
            changes = await province_changes(operator(), connection)
        say_table(
            [_("When"), _("By"), _("Setting"), _("Before"), _("After")],
            [
                (
                    moment_text(one.changed_at),
                    one.changed_by,
                    one.name,
                    *(msgspec.json.encode(side).decode() for side in (one.former, one.value)),
                )
                for one in changes
            ],
        )

    asyncio.run(run())


async def _change_province(name: str, value: Any) -> None:
    async with _transaction() as connection:
        await change_province_setting(operator(), connection, name, value, now=_CLOCK.now())


def _text_or_json(text: str) -> Any:
    if text[:1] in "[{":
        try:
            return msgspec.json.decode(text)
        except msgspec.DecodeError:
            return text
    return text


# -- events ------------------------------------------------------------------------------------


@audience(Audience.ADMINISTRATOR)
@haidang.group(help=_("The event log and its consumers."))
def events() -> None:
    """The event log and its consumers."""


@audience(Audience.ADMINISTRATOR)
@events.command("status", help=_("Show every consumer: where it stands, how far behind, what holds it."))
def events_status() -> None:
    """One line a consumer."""

    async def run() -> None:
        async with _transaction() as connection:
            consumers = await consumer_states(connection)
        say_table(
            [
                _("Consumer"),
                _("State"),
                _("Position"),
                _("Behind"),
                _("Since"),
                _("Skipped"),
                _("Trouble"),
            ],
            [
                (
                    one.consumer,
                    translate(_("held") if one.held_at else _("running")),
                    one.position,
                    one.lag,
                    _moment(one.held_at or one.waiting_since),
                    one.dead_letters,
                    one.held_reason or one.last_error or "",
                )
                for one in consumers
            ],
        )

    asyncio.run(run())


@audience(Audience.ADMINISTRATOR)
@events.command("hold", help=_("Hold CONSUMER before its next event."))
@click.argument("consumer")
@click.option("--why", required=True, cls=SpokenOption, help=_("The reason, kept with your act."))
def events_hold(consumer: str, why: str) -> None:
    """Hold a consumer."""

    async def run() -> None:
        async with _transaction() as connection:
            await hold_consumer(operator(), connection, consumer, reason=_given(why), now=_CLOCK.now())

    asyncio.run(run())
    say(_("{consumer} is held."), consumer=consumer)


@audience(Audience.ADMINISTRATOR)
@events.command("resume", help=_("Let a held CONSUMER try again at the event where it stands."))
@click.argument("consumer")
def events_resume(consumer: str) -> None:
    """Resume a consumer."""

    async def run() -> None:
        async with _transaction() as connection:
            await resume_consumer(operator(), connection, consumer)

    asyncio.run(run())
    say(_("{consumer} goes on."), consumer=consumer)


@audience(Audience.ADMINISTRATOR)
@events.command("skip", help=_("Pass a held CONSUMER over the event it stands before; the event is kept."))
@click.argument("consumer")
@click.option("--why", required=True, cls=SpokenOption, help=_("The reason, kept with your act."))
def events_skip(consumer: str, why: str) -> None:
    """Skip one event."""

    async def run() -> int:
        async with _transaction() as connection:
            return await skip_event(operator(), connection, consumer, why=_given(why), now=_CLOCK.now())

    position = asyncio.run(run())
    say(_("{consumer} was passed over the event at {position}."), consumer=consumer, position=position)


@audience(Audience.ADMINISTRATOR)
@events.command("rewind", help=_("Have a held CONSUMER handle again every event after POSITION."))
@click.argument("consumer")
@click.argument("position", type=click.IntRange(min=0))
@click.option("--yes", is_flag=True, cls=SpokenOption, help=_("Do it; it cannot be undone."))
def events_rewind(consumer: str, position: int, *, yes: bool) -> None:
    """Rewind a consumer."""
    _confirmed(yes=yes)

    async def run() -> None:
        async with _transaction() as connection:
            await rewind_consumer(operator(), connection, consumer, position=position)

    asyncio.run(run())
    say(
        _("{consumer} stands at {position}; let it go on when you are ready."),
        consumer=consumer,
        position=position,
    )


@audience(Audience.ADMINISTRATOR)
@events.command("forget", help=_("Forget where CONSUMER stands, which no program runs any more."))
@click.argument("consumer")
@click.option("--yes", is_flag=True, cls=SpokenOption, help=_("Do it; it cannot be undone."))
def events_forget(consumer: str, *, yes: bool) -> None:
    """Forget a consumer."""
    _confirmed(yes=yes)

    async def run() -> None:
        async with _transaction() as connection:
            await forget_consumer(operator(), connection, consumer)

    asyncio.run(run())
    say(_("{consumer} is forgotten."), consumer=consumer)


@audience(Audience.ADMINISTRATOR)
@events.command("dead", help=_("List the events that consumers were passed over."))
def events_dead() -> None:
    """One line a skipped event, newest first."""

    async def run() -> None:
        async with _transaction() as connection:
            skipped = await dead_events(operator(), connection)
        say_table(
            [
                _("Id"),
                _("Consumer"),
                _("Position"),
                _("Event"),
                _("When"),
                _("By"),
                _("Reason"),
                _("Trouble"),
            ],
            [
                (
                    one.dead_letter_id,
                    one.consumer,
                    one.envelope.position,
                    one.envelope.kind,
                    moment_text(one.skipped_at),
                    one.skipped_by,
                    one.why,
                    one.last_error or "",
                )
                for one in skipped
            ],
        )

    asyncio.run(run())


@audience(Audience.ADMINISTRATOR)
@events.command("replay", help=_("Have the skipped event ID handled after all."))
@click.argument("dead_letter_id", metavar="ID", type=int)
def events_replay(dead_letter_id: int) -> None:
    """Replay one skipped event."""

    async def run() -> str:
        async with _transaction() as connection:
            return await replay_event(operator(), connection, dead_letter_id, now=_CLOCK.now())

    say(_("{consumer} will handle it."), consumer=asyncio.run(run()))


@audience(Audience.ADMINISTRATOR)
@events.command("discard", help=_("Delete the skipped event ID for good."))
@click.argument("dead_letter_id", metavar="ID", type=int)
def events_discard(dead_letter_id: int) -> None:
    """Discard one skipped event."""

    async def run() -> None:
        async with _transaction() as connection:
            await discard_event(operator(), connection, dead_letter_id)

    asyncio.run(run())
    say(_("Deleted."))


# -- jobs --------------------------------------------------------------------------------------


@audience(Audience.ADMINISTRATOR)
@haidang.group(help=_("Jobs: what waits, what was given up."))
def jobs() -> None:
    """Jobs."""


@audience(Audience.ADMINISTRATOR)
@jobs.command("status", help=_("Show every queue: waiting, due, running, given up."))
def jobs_status() -> None:
    """One line a job name."""

    async def run() -> None:
        async with _transaction() as connection:
            queues = await job_states(connection)
        say_table(
            [_("Job"), _("Waiting"), _("Due"), _("Running"), _("Given up")],
            [(one.job, one.queued, one.due, one.running, one.dead) for one in queues],
        )

    asyncio.run(run())


@audience(Audience.ADMINISTRATOR)
@jobs.command("dead", help=_("List the jobs that were given up, and why."))
def jobs_dead() -> None:
    """One line a job, newest first."""

    async def run() -> None:
        async with _transaction() as connection:
            given_up = await dead_jobs(operator(), connection)
        say_table(
            [_("Id"), _("Job"), _("Attempts"), _("When"), _("Trouble")],
            [
                (one.job_id, one.job, one.attempts, moment_text(one.failed_at), one.reason or "")
                for one in given_up
            ],
        )

    asyncio.run(run())


@audience(Audience.ADMINISTRATOR)
@jobs.command("replay", help=_("Do the given-up job ID again, with all its attempts."))
@click.argument("job_id", metavar="ID", type=int)
def jobs_replay(job_id: int) -> None:
    """Replay one job."""

    async def run() -> str:
        async with _transaction() as connection:
            return await replay_job(operator(), connection, job_id)

    say(_("{job} is queued again."), job=asyncio.run(run()))


@audience(Audience.ADMINISTRATOR)
@jobs.command("discard", help=_("Delete the given-up job ID for good."))
@click.argument("job_id", metavar="ID", type=int)
def jobs_discard(job_id: int) -> None:
    """Discard one job."""

    async def run() -> None:
        async with _transaction() as connection:
            await discard_job(operator(), connection, job_id)

    asyncio.run(run())
    say(_("Deleted."))


# -- quarantine ------------------------------------------------------------------------------


@audience(Audience.OFFICER)
@haidang.group(help=_("Look into the quarantine: what sources sent that could not enter."))
def quarantine() -> None:
    """Messages that were refused, with their payload and reason."""


@audience(Audience.OFFICER)
@quarantine.command("list", help=_("List quarantined messages, newest first, with their reasons."))
@click.option("--source", "source_id", cls=SpokenOption, help=_("Only those of this source."))
@click.option("--reason", cls=SpokenOption, help=_("Only those with this reason."))
@click.option("--all", "settled", is_flag=True, cls=SpokenOption, help=_("Also those that were settled."))
@click.option("--most", default=50, show_default=True, cls=SpokenOption, help=_("How many at most."))
def quarantine_list(source_id: str | None, reason: str | None, *, settled: bool, most: int) -> None:
    """Two lines a message: where and why, and the beginning of what it was."""

    async def run() -> list[QuarantinedMessage]:
        async with _transaction() as connection:
            return await list_quarantine(
                operator(), connection, source_id=source_id, reason=reason, settled=settled, most=most
            )

    for one in asyncio.run(run()):
        title = REASON_TITLES.get(one.reason)
        why = f"{one.reason}: {translate(title)}" if title else one.reason
        mark = "✓ " if one.settled_at else ""
        click.echo(
            f"{mark}{one.quarantine_id}  {moment_text(one.last_received_at)}  ×{one.times}  "
            f"{_harmless(one.topic)}  {why} ({_harmless(one.detail)})"
        )
        click.echo(f"    {one.payload_bytes} B  {one.payload[:100]!r}")


@audience(Audience.OFFICER)
@quarantine.command("replay", help=_("Judge the quarantined message ID again, or all of them without ID."))
@click.argument("quarantine_id", metavar="[ID]", required=False, type=click.UUID)
@click.option("--source", "source_id", cls=SpokenOption, help=_("Only those of this source."))
@click.option("--reason", cls=SpokenOption, help=_("Only those with this reason."))
def quarantine_replay(quarantine_id: UUID | None, source_id: str | None, reason: str | None) -> None:
    """Let in what may enter now, by today's declarations; a transaction for each message."""

    async def run() -> tuple[int, int, int]:
        declared = declared_sources(installed_packs())
        settled = refused = failed = 0
        async with _connection() as connection:
            wanted = (
                [quarantine_id]
                if quarantine_id
                else await list_unsettled_ids(operator(), connection, source_id=source_id, reason=reason)
            )
            for one in wanted:
                try:
                    async with connection.transaction():
                        replayed = await replay_quarantined(
                            operator(), connection, declared, one, now=_CLOCK.now()
                        )
                except (QuarantinedMessageCut, SourceUnknown) as impossible:
                    if quarantine_id:
                        raise
                    click.echo(_translations().translate_error(impossible, _locale()), err=True)
                    refused += 1
                except Exception as trouble:
                    if quarantine_id or connection.is_closed():
                        raise
                    click.echo(f"{one}: {_harmless(reason_of(trouble))}", err=True)
                    failed += 1
                else:
                    settled += replayed.settled
                    refused += replayed.still_refused
        return settled, refused, failed

    settled, refused, failed = asyncio.run(run())
    if not failed:
        say(_("{settled} settled, {refused} still refused."), settled=settled, refused=refused)
        return
    say(
        _("{settled} settled, {refused} still refused, {failed} failed."),
        settled=settled,
        refused=refused,
        failed=failed,
    )
    raise ReplayFailed(count=failed)


# -- sources ---------------------------------------------------------------------------------


@audience(Audience.OFFICER)
@haidang.group(help=_("The sources of readings: who is heard, and who fell silent."))
def sources() -> None:
    """What sends readings to the platform."""


@audience(Audience.OFFICER)
@sources.command(
    "status", help=_("Show what each source has sent, who is late, and what was refused lately.")
)
@click.option(
    "--all", "everything", is_flag=True, cls=SpokenOption, help=_("Also the things that are not late.")
)
def sources_status(*, everything: bool) -> None:
    """Three tables: the sources, the things that are late, the refusals of the last seven days."""

    async def run() -> tuple[list[SourceCounts], list[Freshness], list[QuarantineTally]]:
        since = _CLOCK.now() - timedelta(days=7)
        async with _transaction() as connection:
            return (
                await list_source_counts(operator(), connection),
                await list_freshness(operator(), connection),
                await list_quarantine_tallies(operator(), connection, since=since),
            )

    counts, heard, tallies = asyncio.run(run())
    sent = {one.source_id: one for one in counts}
    declared = declared_sources(installed_packs())
    urns = {one.urn for one in declared}
    things = [one for one in heard if one.subject not in urns]
    say_table(
        [_("Source"), _("Messages"), _("Refused"), _("Last message"), _("Things"), _("Late")],
        [
            (
                name,
                sent[name].messages if name in sent else 0,
                sent[name].refusals if name in sent else 0,
                _moment(sent[name].last_received_at if name in sent else None),
                sum(one.source_id == name for one in things),
                sum(one.source_id == name and one.late_since is not None for one in things),
            )
            for name in sorted({one.source_id for one in declared} | set(sent))
        ],
    )
    shown = [one for one in things if everything or one.late_since]
    if shown:
        click.echo()
        say_table(
            [_("Source"), _("Thing"), _("Last received"), _("Last observed"), _("Late since")],
            [
                (
                    one.source_id,
                    _harmless(one.subject),
                    moment_text(one.last_received_at),
                    moment_text(one.last_observed_at),
                    _moment(one.late_since),
                )
                for one in shown
            ],
        )
    refusals: dict[tuple[str, str], tuple[int, int]] = {}
    for tally in tallies:
        times, kept = refusals.get((tally.source_id, tally.reason), (0, 0))
        refusals[tally.source_id, tally.reason] = (times + tally.times, kept + tally.kept)
    if refusals:
        click.echo()
        say_table(
            [_("Source"), _("Reason"), _("Refused in 7 days"), _("Kept")],
            [(*key, times, kept) for key, (times, kept) in sorted(refusals.items())],
        )


# -- the base map ------------------------------------------------------------------------------


@audience(Audience.ADMINISTRATOR)
@haidang.group(help=_("The base map: streets, waters, buildings and places under the city's own facts."))
def basemap() -> None:
    """Base maps made of other people's files."""


@audience(Audience.ADMINISTRATOR)
@basemap.command(
    "build",
    help=_("Make the base map out of map files (.osm.pbf, GeoPackage, Shapefile, PMTiles), and use it."),
)
@click.argument("files", metavar="FILE...", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--epsg", type=int, cls=SpokenOption, help=_("The coordinate system of files that do not say theirs.")
)
@click.option("--licence", cls=SpokenOption, help=_("The line that must stand under the map."))
@click.option(
    "--out",
    type=click.Path(dir_okay=False, path_type=Path),
    cls=SpokenOption,
    help=_("Only write the archive to this file; the map in use stays."),
)
def basemap_build(files: tuple[Path, ...], epsg: int | None, licence: str | None, out: Path | None) -> None:
    """Read everything before anything is changed: a file that is wrong leaves the old map in place."""
    # GDAL and PROJ are an extra, and shapes cost every other command a second: loaded here alone.
    try:
        from haidang.places.basemap import building  # noqa: PLC0415 - see above
    except ImportError as missing:
        raise BaseMapToolsMissing from missing
    from haidang.places.basemap.maps import keep_base_map  # noqa: PLC0415 - see above

    settings = _settings()
    progress = Progress(Console(), translate)
    read = []
    for file in files:
        with progress.step(_("Reading {file}"), file=_harmless(file.name)):
            read.append(building.read_map_file(file.absolute(), epsg=epsg))
    line = building.licence_of(read, licence)
    with progress.step(_("Cutting tiles")):
        built = building.build_map(read, line)
    for one in read:
        for why, count in one.taken.left_out.items():
            progress.say(
                _("  {file}: {count} left out, {why}"), file=one.path.name, count=count, why=translate(why)
            )
        for layer in one.taken.layers_not_understood:
            progress.say(
                _("  {file}: the layer {layer} was not understood and left out"),
                file=one.path.name,
                layer=_harmless(layer),
            )
    if out is not None:
        out.write_bytes(built.archive)
    else:

        async def keep() -> None:
            objects = open_objects(settings.objects_location, os.environ)
            async with _connection() as connection:
                async with connection.transaction():
                    _base_map_id, unneeded = await keep_base_map(
                        operator(), connection, objects, built, now=_CLOCK.now()
                    )
                for content_id in unneeded:
                    await objects.delete(operator(), content_id)

        with progress.step(
            _("Keeping {places} names and {tiles} tiles"), places=len(built.named_places), tiles=built.tiles
        ):
            asyncio.run(keep())
    say(
        _("The base map is built: {tiles} tiles, {megabytes} MB, {features} features. {licence}"),
        tiles=built.tiles,
        megabytes=f"{len(built.archive) / 1e6:.1f}",
        features=sum(built.features.values()),
        licence=built.licence,
    )


@audience(Audience.ADMINISTRATOR)
@basemap.command("list", help=_("List the base maps that are kept, newest first."))
def basemap_list() -> None:
    """One line a map."""
    from haidang.places.basemap.maps import list_base_maps  # noqa: PLC0415 - shapes cost a second

    async def run() -> None:
        async with _transaction() as connection:
            maps = await list_base_maps(operator(), connection)
        say_table(
            [_("Id"), _("Built"), _("State"), _("Tiles"), _("MB"), _("Made of"), _("Licence")],
            [
                (
                    one.base_map_id,
                    moment_text(one.built_at),
                    translate(_("in use") if one.in_use else _("kept")),
                    one.tiles,
                    f"{one.archive_bytes / 1e6:.1f}",
                    _harmless(", ".join(one.sources)),
                    _harmless(one.licence),
                )
                for one in maps
            ],
        )

    asyncio.run(run())


@audience(Audience.ADMINISTRATOR)
@basemap.command("use", help=_("Use the kept base map ID: the way back after a build."))
@click.argument("base_map_id", metavar="ID", type=click.UUID)
def basemap_use(base_map_id: UUID) -> None:
    """Choose another map."""
    from haidang.places.basemap.maps import use_base_map  # noqa: PLC0415 - shapes cost a second

    async def run() -> None:
        async with _transaction() as connection:
            await use_base_map(operator(), connection, base_map_id)

    asyncio.run(run())
    say(_("The base map {base_map_id} is in use."), base_map_id=base_map_id)


@audience(Audience.ADMINISTRATOR)
@basemap.command("remove", help=_("Remove the base map ID, its tiles and its names for good."))
@click.argument("base_map_id", metavar="ID", type=click.UUID)
@click.option("--yes", is_flag=True, cls=SpokenOption, help=_("Do it; it cannot be undone."))
def basemap_remove(base_map_id: UUID, *, yes: bool) -> None:
    """Remove a map, in use or not: without one, maps show land and units."""
    _confirmed(yes=yes)
    from haidang.places.basemap.maps import remove_base_map  # noqa: PLC0415 - shapes cost a second

    async def run() -> None:
        objects = open_objects(_settings().objects_location, os.environ)
        async with _connection() as connection:
            async with connection.transaction():
                unneeded = await remove_base_map(operator(), connection, base_map_id)
            for content_id in unneeded:
                await objects.delete(operator(), content_id)

    asyncio.run(run())
    say(_("Deleted."))


# -- administrative units ----------------------------------------------------------------------

# Shapes cost 0.3 s and 30 MB that only these commands need: what works with them is imported by them.


class DayOfCalendar(click.ParamType[date]):
    """A day as people write it, 30/06/2025, or as machines do, 2025-06-30."""

    name = "day"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> date:
        """The day; fails in a sentence."""
        for form in ("%d/%m/%Y", "%Y-%m-%d"):
            with suppress(ValueError):
                return datetime.strptime(str(value), form).replace(tzinfo=UTC).date()
        wrong = translate(_("{text} is not a day: write it as 30/06/2025."), text=value)
        raise click.BadParameter(wrong, ctx=ctx, param=param)


_DAY = DayOfCalendar()
_on_a_day = click.option("--on", type=_DAY, cls=SpokenOption, help=_("The day; today without it."))
_with_reason = click.option(
    "--why", required=True, cls=SpokenOption, help=_("The reason, kept with your act.")
)
_without_asking = click.option("--yes", is_flag=True, cls=SpokenOption, help=_("Do it without asking."))

CHANGE_STATE_LABELS = {
    "draft": "draft",
    "scheduled": "scheduled",
    "applied": "applied",
    "undone": "undone",
}
CHANGE_STEP_LABELS = {
    "drafted": "drafted",
    "scheduled": "scheduled",
    "applied": "applied",
    "refused": "could not be applied",
    "undone": "undone",
}


@audience(Audience.PUBLIC)
@haidang.group(help=_("Administrative units: where a point is, what a name means, and changes of units."))
def units() -> None:
    """Administrative units."""


@audience(Audience.PUBLIC)
@units.command("at", help=_("Say which unit the point at LONGITUDE LATITUDE was in on a day."))
@click.argument("longitude", type=float)
@click.argument("latitude", type=float)
@_on_a_day
def units_at(longitude: float, latitude: float, on: date | None) -> None:
    """One line from the province down, and how near the edge is."""
    from haidang.places import service  # noqa: PLC0415 - see above

    if abs(latitude) > 90 or abs(longitude) > 180:
        raise LongitudeComesFirst(latitude=latitude)
    day = on or _today()

    async def run() -> tuple[UnitAt | None, list[Unit]]:
        async with _transaction() as connection:
            for level in (Level.WARD, Level.PROVINCE):
                found = await service.unit_at(operator(), connection, longitude, latitude, day, level=level)
                if found is not None:
                    return found, await service.path_of(operator(), connection, found.unit.unit_id)
            return None, []

    found, path = asyncio.run(run())
    if found is None:
        say(_("No unit that we hold an outline of was there on {day}."), day=date_text(day))
        return
    click.echo(f"{' › '.join(one.full_name for one in path)} ({found.unit.code})")
    if found.unit.level is not Level.WARD:
        say(_("We hold no outlines of smaller units on {day}."), day=date_text(day))
    if not found.certain:
        say(
            _("The point is {metres} m from the edge, and the outline may be off by {accuracy_m} m."),
            metres=_number(round(found.metres_to_edge)),
            accuracy_m=_number(found.unit.accuracy_m),
        )


@audience(Audience.PUBLIC)
@units.command("find", help=_("Say what TEXT means: an address, or a unit's old or new name."))
@click.argument("text")
@_on_a_day
def units_find(text: str, on: date | None) -> None:
    """The units that the text may mean, with why; else those whose name begins so."""
    from haidang.places.finding import find_units, resolve_place  # noqa: PLC0415 - see above

    day = on or _today()

    async def run() -> "tuple[Resolution, list[UnitFound]]":
        async with _transaction() as connection:
            return (
                await resolve_place(operator(), connection, text, on=day),
                await find_units(operator(), connection, text, on=day),
            )

    meant, begun = asyncio.run(run())
    if meant.candidates:
        say_table(
            [_("Unit"), _("Code"), _("Certainty"), _("Why")],
            [
                (
                    one.unit.full_name,
                    one.unit.code,
                    f"{one.confidence:.0%}",
                    translate(one.why.message_id, **one.why.fields),
                )
                for one in meant.candidates
            ],
        )
        if meant.needs:
            say(_("The name alone does not say which one: a coordinate is needed."))
        return
    say_table(
        [_("Unit"), _("Code"), _("In"), _("Became")],
        [
            (
                one.unit.full_name,
                one.unit.code,
                ", ".join(above.full_name for above in reversed(one.path[:-1])),
                ", ".join(new.full_name for new in one.became),
            )
            for one in begun
        ],
    )


@audience(Audience.ADMINISTRATOR)
@units.command("draft", help=_("Keep a change of units from FILE (TOML or JSON) as a draft, and preview it."))
@click.argument("file", type=click.Path(dir_okay=False, exists=True, path_type=Path))
def units_draft(file: Path) -> None:
    """Say its number and what it would do."""
    from haidang.places.changing import draft_change  # noqa: PLC0415 - see above
    from haidang.places.drafting import read_change  # noqa: PLC0415 - see above

    written = read_change(file.read_bytes(), toml=file.suffix.lower() != ".json")

    async def run() -> str:
        async with _transaction() as connection:
            made = await draft_change(operator(), connection, written, now=_CLOCK.now())
            return made.change_id

    change_id = asyncio.run(run())
    say(_("Kept as draft {change}."), change=_short(change_id))
    click.echo()
    _say_preview(change_id)


@audience(Audience.OFFICER)
@units.command("preview", help=_("Show what CHANGE would do: units, people, pages, and what stands there."))
@click.argument("change")
def units_preview(change: str) -> None:
    """As things are now; nothing is written."""
    _say_preview(change)


def _say_preview(change: str) -> None:
    from haidang.app import touched_kinds  # noqa: PLC0415 - see above
    from haidang.places.changes import FINDING_MESSAGES  # noqa: PLC0415 - see above
    from haidang.places.changing import change_named, preview_change  # noqa: PLC0415 - see above

    async def run() -> "Preview":
        async with _transaction() as connection:
            found = await change_named(operator(), connection, change)
            return await preview_change(
                operator(), connection, found.change_id, now=_CLOCK.now(), touched_kinds=touched_kinds()
            )

    shown = asyncio.run(run())
    plan, made = shown.plan, shown.change
    say(
        _("{title}: {state}, from {day}."),
        title=made.title,
        state=translate(CHANGE_STATE_LABELS[made.state]),
        day=date_text(made.takes_effect),
    )
    if made.draft.legal_basis:
        say(_("Legal basis: {basis}."), basis=made.draft.legal_basis)
    former = {one.unit_id: one for one in plan.ended}
    new = {one.unit_id: one for one in plan.begun}
    click.echo()
    say_table(
        [_("Unit that ends"), _("Code"), _("Goes to"), _("Share of its area")],
        [
            (
                former[link.from_id].full_name,
                former[link.from_id].code,
                new[link.to_id].full_name,
                "–" if link.share is None else f"{_number(round(100 * link.share, 1))} %",
            )
            for link in plan.links
            if link.to_id in new and link.from_id in former
        ],
    )
    click.echo()
    say_table(
        [_("Unit that begins"), _("Code"), _("Square kilometres"), _("People"), _("Its page")],
        [
            (
                one.full_name,
                one.code,
                "–" if one.area_km2 is None else _number(one.area_km2),
                _people_of(one, plan.people[one.unit_id]),
                f"/don-vi/{one.unit_id.rpartition(':')[2]}",
            )
            for one in plan.begun
        ],
    )
    click.echo()
    say(_("The pages of units that end stay where they are, and say what became of them."))
    if plan.carried:
        say(_("{count} units go on as they are under the new unit above them."), count=len(plan.carried))
    for kind in shown.touched:
        count = translate(_("not known")) if kind.count is None else _number(kind.count)
        click.echo(f"{translate(kind.label)}: {count}")
    for finding in sorted(plan.findings, key=lambda one: not one.blocks):
        mark = translate(_("To be put right:") if finding.blocks else _("Take note:"))
        click.echo(
            f"{mark} {translate(FINDING_MESSAGES[finding.trouble], **_as_people_write(finding.fields))}"
        )


def _people_of(unit: Unit, rebased: "PeopleAfter") -> str:
    if unit.population is not None:
        return _number(unit.population)
    if rebased.people is None:
        return translate(_("no figure yet"))
    if rebased.without_figure:
        return translate(
            _("no figure yet; about {people} in the parts that have one"), people=_number(rebased.people)
        )
    return translate(_("about {people}, estimated by area"), people=_number(rebased.people))


@audience(Audience.ADMINISTRATOR)
@units.command("schedule", help=_("Let the draft CHANGE be applied when its day begins in Vietnam."))
@click.argument("change")
@_with_reason
@_without_asking
def units_schedule(change: str, why: str, *, yes: bool) -> None:
    """Ask first: once applied it cannot be undone."""
    from haidang.places.changing import change_named, schedule_change  # noqa: PLC0415 - see above

    async def run() -> "Change":
        async with _transaction() as connection:
            found = await change_named(operator(), connection, change)
            question = _(
                "Schedule {title}? It is applied when {day} begins, and cannot be undone from then on."
            )
            _asked(question, yes=yes, title=found.title, day=date_text(found.takes_effect))
            return await schedule_change(
                operator(), connection, found.change_id, reason=_given(why), now=_CLOCK.now()
            )

    made = asyncio.run(run())
    say(
        _("{title} is scheduled; until {day} begins it can be undone."),
        title=made.title,
        day=date_text(made.takes_effect),
    )


@audience(Audience.ADMINISTRATOR)
@units.command("undo", help=_("Take back CHANGE, a draft or one that was not applied yet."))
@click.argument("change")
@_with_reason
@_without_asking
def units_undo(change: str, why: str, *, yes: bool) -> None:
    """Ask first: it would have to be drafted again."""
    from haidang.places.changing import change_named, undo_change  # noqa: PLC0415 - see above

    async def run() -> "Change":
        async with _transaction() as connection:
            found = await change_named(operator(), connection, change)
            _asked(_("Undo {title}? It would have to be drafted again."), yes=yes, title=found.title)
            return await undo_change(
                operator(), connection, found.change_id, reason=_given(why), now=_CLOCK.now()
            )

    made = asyncio.run(run())
    say(_("{title} is undone; nothing was changed."), title=made.title)


@audience(Audience.OFFICER)
@units.command("list", help=_("List the changes of units, planned and done."))
def units_list() -> None:
    """One line a change, by its day."""
    from haidang.places.changing import changes  # noqa: PLC0415 - see above

    async def run() -> "list[Change]":
        async with _transaction() as connection:
            return await changes(operator(), connection)

    say_table(
        [_("Change"), _("From"), _("State"), _("Title")],
        [
            (
                _short(one.change_id),
                date_text(one.takes_effect),
                translate(CHANGE_STATE_LABELS[one.state]),
                one.title,
            )
            for one in asyncio.run(run())
        ],
    )


@audience(Audience.OFFICER)
@units.command("show", help=_("Show everything that was done with CHANGE, by whom and why."))
@click.argument("change")
def units_show(change: str) -> None:
    """One line a step, the first one first."""
    from haidang.places.changing import change_named  # noqa: PLC0415 - see above

    async def run() -> "Change":
        async with _transaction() as connection:
            return await change_named(operator(), connection, change)

    made = asyncio.run(run())
    say(
        _("{title}: {state}, from {day}."),
        title=made.title,
        state=translate(CHANGE_STATE_LABELS[made.state]),
        day=date_text(made.takes_effect),
    )
    say_table(
        [_("When"), _("By"), _("What"), _("Reason")],
        [
            (moment_text(one.at), one.by, translate(CHANGE_STEP_LABELS[one.step]), one.reason or "")
            for one in made.steps
        ],
    )


# -- the calendar ------------------------------------------------------------------------------


@audience(Audience.PUBLIC)
@haidang.group("calendar", help=_("The State's days off and make-up workdays."))
def calendar() -> None:
    """The State's calendar."""


def _naming_a_day(command: click.decorators.FC) -> click.decorators.FC:
    """The day, its kind and whom it is for: what tells one entry from another."""
    kind = click.option(
        "--kind",
        type=click.Choice([one.value for one in DayKind]),
        default=DayKind.HOLIDAY.value,
        show_default=True,
        cls=SpokenOption,
        help=_("What is different about the day."),
    )
    whom = click.option(
        "--for",
        "whom",
        type=click.Choice([one.value for one in AppliesTo]),
        default=AppliesTo.ALL.value,
        show_default=True,
        cls=SpokenOption,
        help=_("Whom it is for."),
    )
    return click.argument("day", type=_DAY)(kind(whom(command)))


_with_basis = click.option(
    "--basis", required=True, cls=SpokenOption, help=_("The law or decision that it rests on.")
)


@audience(Audience.PUBLIC)
@calendar.command("list", help=_("List the days of a year, and which of them are not confirmed."))
@click.option(
    "--year", type=click.IntRange(1900, 2200), cls=SpokenOption, help=_("The year; this one without it.")
)
@click.option(
    "--all", "everything", is_flag=True, cls=SpokenOption, help=_("Also the days that were struck out.")
)
def calendar_list(year: int | None, *, everything: bool) -> None:
    """One line a day."""
    wanted = year or _today().year

    async def run() -> list[CalendarDay]:
        async with _transaction() as connection:
            return await calendar_days(
                operator(), connection, date(wanted, 1, 1), date(wanted, 12, 31), struck=everything
            )

    days = asyncio.run(run())
    say_table(
        [_("Day"), _("Kind of day"), _("For whom"), _("Name"), _("Status")],
        [
            (
                f"{translate(WEEKDAY_LABELS[one.on.weekday()])}, {date_text(one.on)}",
                translate(KIND_LABELS[one.kind]),
                translate(APPLIES_TO_LABELS[one.applies_to]),
                one.name,
                " · ".join(part for part in (translate(STATUS_LABELS[one.status]), one.note) if part),
            )
            for one in days
        ],
    )
    unsure = sum(one.status is DayStatus.TO_BE_CONFIRMED for one in days)
    if unsure:
        say(_("{count} of these days are not confirmed yet: do not rely on them."), count=unsure)


@audience(Audience.ADMINISTRATOR)
@calendar.command("confirm", help=_("Say that DAY is confirmed."))
@_naming_a_day
@_with_basis
@_with_reason
def calendar_confirm(day: date, kind: str, whom: str, basis: str, why: str) -> None:
    """Confirm a day that was computed ahead."""

    async def run() -> CalendarDay:
        async with _transaction() as connection:
            return await confirm_calendar_day(
                operator(),
                connection,
                day,
                DayKind(kind),
                AppliesTo(whom),
                legal_basis=basis,
                reason=_given(why),
                now=_CLOCK.now(),
            )

    made = asyncio.run(run())
    say(_("{name}, {day}, is confirmed."), name=made.name, day=date_text(made.on))


@audience(Audience.ADMINISTRATOR)
@calendar.command("set", help=_("Add DAY to the calendar under NAME, or correct it."))
@_naming_a_day
@click.argument("name")
@_with_basis
@_with_reason
def calendar_set(day: date, name: str, *, kind: str, whom: str, basis: str, why: str) -> None:
    """Add or correct a published day."""
    _decide_day(CalendarDay(day, DayKind(kind), AppliesTo(whom), name, basis, DayStatus.PUBLISHED), why=why)
    say(_("{name}, {day}, is in the calendar."), name=name, day=date_text(day))


@audience(Audience.ADMINISTRATOR)
@calendar.command("strike", help=_("Strike DAY out: it turned out not to be one; it stays on record."))
@_naming_a_day
@_with_basis
@_with_reason
def calendar_strike(day: date, kind: str, whom: str, basis: str, why: str) -> None:
    """Strike a day out."""

    async def run() -> CalendarDay:
        async with _transaction() as connection:
            found = next(
                (
                    one
                    for one in await calendar_days(operator(), connection, day, day)
                    if (one.kind, one.applies_to) == (kind, whom)
                ),
                None,
            )
            if found is None:
                raise CalendarDayUnknown(on=day)
            struck = replace(found, status=DayStatus.STRUCK, legal_basis=basis, note="")
            return await set_calendar_day(
                operator(), connection, struck, reason=_given(why), now=_CLOCK.now()
            )

    made = asyncio.run(run())
    say(_("{name}, {day}, is struck out."), name=made.name, day=date_text(made.on))


@audience(Audience.OFFICER)
@calendar.command("history", help=_("Show who decided what about the days of a year, and why."))
@click.option(
    "--year", type=click.IntRange(1900, 2200), cls=SpokenOption, help=_("The year; this one without it.")
)
def calendar_history(year: int | None) -> None:
    """One line a decision, the first one first."""
    wanted = year or _today().year

    async def run() -> list[CalendarDecision]:
        async with _transaction() as connection:
            return await calendar_decisions(operator(), connection, date(wanted, 1, 1), date(wanted, 12, 31))

    say_table(
        [_("When"), _("By"), _("Day"), _("Before"), _("After"), _("Reason")],
        [
            (
                moment_text(one.decided_at),
                one.decided_by,
                date_text(one.on),
                *(_day_in_words(side) for side in (one.former, one.later)),
                one.reason,
            )
            for one in asyncio.run(run())
        ],
    )


def _decide_day(day: CalendarDay, *, why: str) -> None:
    async def run() -> None:
        async with _transaction() as connection:
            await set_calendar_day(operator(), connection, day, reason=_given(why), now=_CLOCK.now())

    asyncio.run(run())


def _day_in_words(side: Mapping[str, str] | None) -> str:
    if side is None:
        return "–"
    return f"{side['name']} ({translate(STATUS_LABELS[DayStatus(side['status'])])})"


def _today() -> date:
    return _CLOCK.now().astimezone(VIETNAM).date()


def _short(change_id: str) -> str:
    """What people type of a change's id: its end, which is by chance."""
    return change_id[-8:]


def _number(number: float | Decimal | None) -> str:
    return number_text(None if number is None else float(number), None, _locale())


def _as_people_write(fields: Mapping[str, object]) -> dict[str, object]:
    """Fields of a finding with dates and numbers in the form of the language."""
    written: dict[str, object] = {}
    for name, value in fields.items():
        if isinstance(value, date):
            written[name] = date_text(value)
        else:
            written[name] = _number(value) if isinstance(value, int | float) else value
    return written


def _asked(question: str, *, yes: bool, **fields: object) -> None:
    """Ask on a terminal; elsewhere --yes must say so. Raises MustBeConfirmed."""
    if yes:
        return
    if not sys.stdin.isatty() or not click.confirm(translate(question, **fields), default=False):
        raise MustBeConfirmed


# -- packs -----------------------------------------------------------------------------------


@audience(Audience.ADMINISTRATOR)
@haidang.group("pack", help=_("The domains of the city that are installed."))
def packs() -> None:
    """The installed packs."""


@audience(Audience.ADMINISTRATOR)
@packs.command("list", help=_("List the installed packs and their folders."))
def pack_list() -> None:
    """One line a pack."""
    for pack in installed_packs():
        click.echo(f"{pack.pack_id}  {pack.version}  {translate(pack.title)}  {pack_folder(pack.pack_id)}")


@audience(Audience.ADMINISTRATOR)
@packs.command("new", help=_("Write a new pack called NAME that runs and passes its checks as it is."))
@click.argument("pack_id", metavar="NAME")
@click.option(
    "--folder",
    type=click.Path(file_okay=False, exists=True, resolve_path=True, path_type=Path),
    default=Path(),
    cls=SpokenOption,
    help=_("A clone of the platform, or where a distribution of its own shall be made."),
)
def pack_new(pack_id: str, folder: Path) -> None:
    """Say every file that was written."""
    for path in new_pack(folder.resolve(), pack_id):
        click.echo(path)
    say(_("The pack {pack_id} is written."), pack_id=pack_id)


@audience(Audience.ADMINISTRATOR)
@packs.command("check", help=_("Check the pack NAME, or every installed one, and say what is to be mended."))
@click.argument("pack_ids", metavar="[NAME]...", nargs=-1)
def pack_check(pack_ids: tuple[str, ...]) -> None:
    """One line a finding; a pack with findings is an error."""
    for pack_id in pack_ids:
        pack_folder(pack_id)  # refuses a name that is not installed
    checked = [pack for pack in installed_packs() if not pack_ids or pack.pack_id in pack_ids]
    findings = [(pack.pack_id, finding) for pack in checked for finding in check_pack(pack)]
    findings += [("*", finding) for finding in check_packs(installed_packs())]
    for pack_id, finding in findings:
        click.echo(f"{pack_id}  {finding}")
    if findings:
        raise PackKeepsNotItsPromises(count=len(findings))
    say(_("Checked, nothing to mend: {names}."), names=", ".join(pack.pack_id for pack in checked))


def _confirmed(*, yes: bool) -> None:
    if not yes:
        raise MustBeConfirmed


def _given(text: str) -> str:
    if not text.strip():
        raise MustNotBeEmpty(name="--why")
    return text


def _harmless(text: str) -> str:
    """What a stranger sent, with every sign that a terminal may obey written out."""
    return "".join(sign if sign.isprintable() else repr(sign)[1:-1] for sign in text)


def _moment(at: datetime | None) -> str:
    return moment_text(at) if at else "–"
