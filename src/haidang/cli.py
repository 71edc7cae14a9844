"""The command `haidang`: parses, calls one verb, says what happened, Vietnamese first."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any, NoReturn, TypeVar
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
from haidang.infra.translations import LOCALES, Translations, moment_text
from haidang.infra.version import program_version
from haidang.kernel.actors import Actor, Audience, part
from haidang.kernel.errors import Conflict, HaidangError, Invalid, Unavailable
from haidang.kernel.instants import SystemClock
from haidang.places.loading import load_facts
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
def up(*, demo: bool) -> None:
    """Run every part and restart what dies, until Ctrl-C."""
    progress = Progress(Console(), translate)
    supervisor = Supervisor(_settings(), progress, _CLOCK, demo=demo, load=load_facts)
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
