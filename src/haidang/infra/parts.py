"""The supervisor behind `haidang up`: runs every part as a direct child, and runs it again when it dies.

Parts carry a parent-death signal, so that not even `kill -9` of the supervisor leaves an orphan.
"""

import asyncio
import contextlib
import fcntl
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import asyncpg
import msgspec

from haidang.infra.broker import broker_command
from haidang.infra.database import (
    SERVER_TROUBLE,
    TRANSIENT,
    Connection,
    DatabaseUnavailable,
    prepare_connection,
    wait_until_reachable,
)
from haidang.infra.embedded import EmbeddedDatabase, place_of
from haidang.infra.migrations import migrate
from haidang.infra.processes import dies_with_us, ended, stop, stop_on_signals
from haidang.infra.progress import Progress, _
from haidang.infra.serving import listen
from haidang.infra.settings import Settings, environment_of
from haidang.infra.telemetry import forget_process, prepare_metrics_folder
from haidang.infra.tokens import issue_token, list_tokens, revoke_tokens_labelled
from haidang.kernel.actors import Actor, part
from haidang.kernel.errors import Conflict, Denied, HaidangError, Unavailable
from haidang.kernel.instants import Clock

OPERATOR_LABEL = "operator"
DEMO_LABEL = "demo"
_DEMO_TOKEN_LASTS = timedelta(hours=24)
_DEMO_RESTARTED_AFTER_S = 23 * 3600.0
_FIRST_PAUSE_S = 0.5
_LONGEST_PAUSE_S = 30.0
_HEALTHY_AFTER_S = 60.0
_TRIES_BEFORE_READY = 5
_INTAKE_PATIENCE_S = 15.0
_READY_PATIENCE_S = 90.0
_LOG_LIMIT_BYTES = 20 * 1024 * 1024
_UPKEEP_EVERY_S = 600.0
_PATIENCE_S = 1.0
_KEEPS_FROM_STARTING: tuple[type[BaseException], ...] = (HaidangError, *SERVER_TROUBLE)


class HomeInUse(Conflict):
    """Another `haidang up` (process {pid}) already runs on {home}."""


class HomeUnusable(Denied):
    """The folder {home} cannot be used: {reason}. Set HAIDANG_HOME to one that can."""


class DatabaseNotRunning(Unavailable):
    """The database of {home} does not run: start `haidang up`, or name a server with DATABASE_URL."""


class BrokerPortTaken(Conflict):
    """Port {port} is already in use by another program; set HAIDANG_BROKER_PORT to a free one, or HAIDANG_MQTT_URL to that broker."""  # noqa: E501 - a message id is one line


class PartDidNotStart(Unavailable):
    """The part “{name}” ended {tries} times before the platform was ready. Its last words: {words}"""  # noqa: D400 - ends with a quotation


class PlatformNotReady(Unavailable):
    """The platform was not ready within {seconds} seconds: {reason}"""  # noqa: D400 - ends with a quotation


@dataclass(slots=True)
class Part:
    """One part: how it is started, and how it has fared."""

    name: str
    command: Sequence[str]
    environment: Callable[[], Mapping[str, str]]
    descriptors: tuple[int, ...] = ()
    restarted_after_s: float | None = None
    process: subprocess.Popen[bytes] | None = None
    failures: int = 0
    started_at: float = 0.0
    starts: int = field(default=0)


@contextmanager
def hold_home(home: Path) -> Iterator[None]:
    """Be the only supervisor of a home; raises HomeInUse. The kernel frees the lock when we die."""
    try:
        home.mkdir(parents=True, exist_ok=True, mode=0o711 if os.geteuid() == 0 else 0o700)
        descriptor = os.open(home / "up.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as trouble:
        raise HomeUnusable(home=home, reason=trouble.strerror) from None
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            pid = os.read(descriptor, 20).decode("ascii", "replace").strip()
            raise HomeInUse(pid=pid or "?", home=home) from None
        os.ftruncate(descriptor, 0)
        os.write(descriptor, f"{os.getpid()}\n".encode("ascii"))
        yield
    finally:
        os.close(descriptor)


def pause_before_restart(failures: int, *, chance: float) -> float:
    """Seconds to wait after the n-th failure in a row: doubling to 30, between half and all of it."""
    whole = min(_LONGEST_PAUSE_S, _FIRST_PAUSE_S * 2.0 ** max(0, failures - 1))
    return whole * (0.5 + 0.5 * chance)


class Supervisor:
    """Starts the parts in order, restarts what dies, stops them in reverse order."""

    def __init__(
        self,
        settings: Settings,
        progress: Progress,
        clock: Clock,
        *,
        demo: bool = False,
        environ: Mapping[str, str] | None = None,
        load: Callable[[Actor, Connection], Awaitable[object]] | None = None,
    ) -> None:
        """`load` brings in what the rooms carry, after the migrations and before the parts start."""
        self._settings = settings
        self._progress = progress
        self._clock = clock
        self._demo = demo
        self._load = load
        self._environ = dict(os.environ if environ is None else environ)
        self._actor: Actor = part("up")
        self._database: EmbeddedDatabase | None = None
        self._dsn = settings.database_url or ""
        self._parts: list[Part] = []
        self._watchers: list[asyncio.Task[None]] = []
        self._fatal: asyncio.Future[None] | None = None
        self._ready = False
        self._stopping = False
        self._demo_token = ""
        self._metrics_folder = settings.home / "metrics"

    async def run(self) -> None:
        """Run the platform until SIGTERM or SIGINT; raises what kept it from starting."""
        stop_asked = stop_on_signals()
        self._fatal = asyncio.get_running_loop().create_future()
        with hold_home(self._settings.home), listen(self._settings) as web_socket:
            self._environ |= prepare_metrics_folder(self._metrics_folder)
            os.set_inheritable(web_socket.fileno(), True)
            stopping: asyncio.Future[Any] = asyncio.ensure_future(stop_asked.wait())
            running: asyncio.Future[Any] = asyncio.ensure_future(self._start(web_socket))
            upkeep = asyncio.ensure_future(self._upkeep())
            try:
                await asyncio.wait({stopping, running, self._fatal}, return_when=asyncio.FIRST_COMPLETED)
                if running.done():
                    running.result()
                    await asyncio.wait({stopping, self._fatal}, return_when=asyncio.FIRST_COMPLETED)
                if self._fatal.done():
                    self._fatal.result()
            finally:
                self._stopping = True
                for task in (running, stopping, upkeep):
                    task.cancel()
                with contextlib.suppress(asyncio.CancelledError, Exception):
                    await running
                stop_asked.clear()
                await self._stop_all(stop_asked)

    async def _start(self, web_socket: socket.socket) -> None:
        settings = self._settings
        await self._start_database()
        async with connected(self._dsn) as connection:
            with self._progress.step(_("Bringing the database up to date")):
                await migrate(connection)
                if self._load is not None:
                    await self._load(self._actor, connection)
            await self._show_operator_token(connection)
        port = web_socket.getsockname()[1]
        host = f"[{settings.host}]" if ":" in settings.host else settings.host
        url = f"http://{host}:{port}"
        mqtt_url = settings.mqtt_url
        if mqtt_url is None:
            broker_port = _free_port(settings.broker_port)
            mqtt_url = f"mqtt://127.0.0.1:{broker_port}"
            with self._progress.step(_("Starting the broker")):
                self._launch(Part("broker", broker_command(broker_port), self._bare_environment))
                await _until_listening(broker_port)
        shared = msgspec.structs.replace(settings, database_url=self._dsn, mqtt_url=mqtt_url, port=port)

        def environment() -> Mapping[str, str]:
            return self._environ | environment_of(shared)

        descriptor = web_socket.fileno()

        def web_environment() -> Mapping[str, str]:
            return self._environ | environment_of(msgspec.structs.replace(shared, listen_fd=descriptor))

        with self._progress.step(_("Starting the platform")):
            self._launch(Part("work", _command("work"), environment))
            for number in range(settings.web_processes):
                name = "web" if settings.web_processes == 1 else f"web-{number + 1}"
                self._launch(Part(name, _command("web"), web_environment, descriptors=(descriptor,)))
            ready_to_read, ready_to_write = os.pipe()

            def intake_environment() -> Mapping[str, str]:
                return self._environ | environment_of(
                    msgspec.structs.replace(shared, ready_fd=ready_to_write)
                )

            self._launch(
                Part("intake", _command("intake"), intake_environment, descriptors=(ready_to_write,))
            )
            await _until_ready(settings.host, port)
            hears = await _until_written(ready_to_read, within_s=_INTAKE_PATIENCE_S)
        self._ready = True
        if self._demo:
            await self._start_demo(url, mqtt_url)
        if not hears:
            self._progress.say(
                _("The broker at {url} has not answered yet; the intake keeps trying."), url=_shown(mqtt_url)
            )
        self._progress.say(_("Devices publish to: {url}"), url=_shown(mqtt_url))
        self._progress.say(_("Hải Đăng is ready: {url}"), url=url)
        self._progress.say(_("Press Ctrl-C to stop."))

    async def _start_database(self) -> None:
        if self._settings.database_url is not None:
            with self._progress.step(_("Waiting for the database")):
                await wait_until_reachable(self._dsn)
            return
        database = self._database = EmbeddedDatabase(self._settings.home)
        with self._progress.step(_("Preparing the database")):
            database.prepare()
            database.start()
            await database.until_it_answers()
        self._dsn = database.place.dsn()
        held = Part("database", (), dict, process=database.process, started_at=time.monotonic(), starts=1)
        self._parts.append(held)
        self._keep_watch(held)

    async def _show_operator_token(self, connection: Connection) -> None:
        """Make and show the first token once: shown before it is committed, so that none is lost."""
        async with connection.transaction():
            known = await list_tokens(self._actor, connection)
            if any(token.label == OPERATOR_LABEL for token in known):
                self._progress.say(
                    _("The write token was shown at the first start. Make another: haidang token issue NAME")
                )
                return
            token = await issue_token(
                self._actor, connection, OPERATOR_LABEL, now=self._clock.now(), lasts=None
            )
            self._progress.say(_("Write token, shown only this once; keep it safe:"))
            self._progress.show(f"  {token}")

    async def _start_demo(self, url: str, mqtt_url: str) -> None:
        await self._renew_demo_token()

        def environment() -> Mapping[str, str]:
            # The demo is an outside world: it gets the public doors' addresses and nothing else of ours.
            return self._bare_environment() | {
                "HAIDANG_URL": url,
                "HAIDANG_MQTT_URL": mqtt_url,
                "HAIDANG_TOKEN": self._demo_token,
                "HAIDANG_DEMO_SCENARIO": self._settings.demo_scenario,
            }

        with self._progress.step(_("Starting the demo")):
            self._launch(
                Part(
                    "demo",
                    (sys.executable, "-P", "-m", "haidang.demo"),
                    environment,
                    restarted_after_s=_DEMO_RESTARTED_AFTER_S,
                )
            )

    async def _renew_demo_token(self) -> None:
        async with connected(self._dsn) as connection, connection.transaction():
            now = self._clock.now()
            await revoke_tokens_labelled(self._actor, connection, DEMO_LABEL, now=now)
            self._demo_token = await issue_token(
                self._actor, connection, DEMO_LABEL, now=now, lasts=_DEMO_TOKEN_LASTS
            )

    def _bare_environment(self) -> dict[str, str]:
        """The environment without our settings: a child that needs none shall not know them."""
        return {
            name: value
            for name, value in self._environ.items()
            if name != "DATABASE_URL"
            and (not name.startswith("HAIDANG_") or name.startswith(("HAIDANG_LOG_", "HAIDANG_DEMO_")))
        }

    def _launch(self, one: Part) -> None:
        self._parts.append(one)
        self._spawn(one)
        self._keep_watch(one)

    def _keep_watch(self, one: Part) -> None:
        watcher = asyncio.ensure_future(self._watch(one))
        watcher.add_done_callback(self._hear)
        self._watchers.append(watcher)

    def _hear(self, watcher: asyncio.Task[None]) -> None:
        """A part that nobody watches any more is not a platform that runs: end it, and say why."""
        if not watcher.cancelled() and (trouble := watcher.exception()) is not None:
            self._give_up(trouble)

    def _spawn(self, one: Part) -> None:
        with contextlib.ExitStack() as held:
            output = held.enter_context(self._log_of(one).open("ab")) if self._progress.on_terminal else None
            one.process = subprocess.Popen(
                one.command,
                env=dict(one.environment()) | {"PYTHONUNBUFFERED": "1"},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT if output else None,
                pass_fds=one.descriptors,
                preexec_fn=dies_with_us(),  # noqa: PLW1509 - only two system calls; see processes.py
            )
        one.started_at = time.monotonic()
        one.starts += 1

    def _log_of(self, one: Part) -> Path:
        """Where a part writes when a person looks at the terminal."""
        folder = self._settings.home / "parts-log"
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        return folder / f"{one.name}.log"

    async def _watch(self, one: Part) -> None:
        """Run a part again whenever it ends, until we stop."""
        while one.process is not None:
            pid = one.process.pid
            status = await self._until_it_ends(one)
            forget_process(pid, self._metrics_folder)
            if self._stopping:
                return
            if status is None:
                await self._start_again(one)
                continue
            healthy = time.monotonic() - one.started_at > _HEALTHY_AFTER_S
            one.failures = 1 if healthy else one.failures + 1
            if not self._ready and one.failures >= _TRIES_BEFORE_READY:
                self._give_up(
                    PartDidNotStart(name=one.name, tries=one.failures, words=self._last_words_of(one))
                )
                return
            pause = pause_before_restart(one.failures, chance=secrets.randbelow(1000) / 1000)
            self._progress.say(
                _("The part “{name}” ended ({how}); it starts again in {seconds} s."),
                name=one.name,
                how=_how_it_ended(status),
                seconds=f"{pause:.1f}",
            )
            await asyncio.sleep(pause)
            await self._start_again(one)

    async def _start_again(self, one: Part) -> None:
        try:
            if one.name == "database" and self._database is not None:
                self._database.start()
                one.process = self._database.process
                one.started_at = time.monotonic()
                one.starts += 1
                return
            await self._renew_demo_token_if(one)
            self._spawn(one)
        except _KEEPS_FROM_STARTING as trouble:
            one.started_at = time.monotonic()  # Not healthy since long ago: the pauses grow.
            self._progress.say(
                _("The part “{name}” cannot start: {reason}"), name=one.name, reason=str(trouble)
            )

    async def _renew_demo_token_if(self, one: Part) -> None:
        if one.name == "demo":
            await self._renew_demo_token()

    async def _until_it_ends(self, one: Part) -> int | None:
        """Its exit status; `None` when its time was over and it was stopped on purpose."""
        if one.process is None:
            return 0
        if one.restarted_after_s is None:
            return await ended(one.process)
        try:
            return await asyncio.wait_for(ended(one.process), one.restarted_after_s)
        except TimeoutError:
            await stop(one.process, signal.SIGTERM, within_s=self._settings.stop_deadline_s)
            return None

    def _give_up(self, trouble: BaseException) -> None:
        if self._fatal is not None and not self._fatal.done():
            self._fatal.set_exception(trouble)

    def _last_words_of(self, one: Part) -> str:
        if one.name == "database" and self._database is not None:
            return self._database.last_words()
        if not self._progress.on_terminal:
            return "see above"
        with contextlib.suppress(OSError):
            lines = self._log_of(one).read_text(encoding="utf-8", errors="replace").splitlines()
            return " / ".join(line for line in lines[-5:] if line.strip())
        return "–"

    async def _upkeep(self) -> None:
        """Keep logs from growing without end."""
        while True:
            await asyncio.sleep(_UPKEEP_EVERY_S)
            if self._database is not None:
                self._database.prune_logs()
            for one in self._parts:
                log = self._log_of(one)
                with contextlib.suppress(OSError):
                    if log.stat().st_size > _LOG_LIMIT_BYTES:
                        # The part keeps its descriptor, which appends: copy, then empty.
                        log.with_suffix(".log.1").write_bytes(log.read_bytes())
                        os.truncate(log, 0)

    async def _stop_all(self, asked_again: asyncio.Event) -> None:
        """Stop in reverse order of start, each with its deadline; a second Ctrl-C ends all at once."""
        for watcher in self._watchers:
            watcher.cancel()
        await asyncio.gather(*self._watchers, return_exceptions=True)
        living = [one for one in self._parts if one.process is not None and one.process.poll() is None]
        if not living:
            if self._database is not None:  # It was starting, and nobody watched it yet.
                await self._database.stop(within_s=self._settings.stop_deadline_s)
            return
        self._progress.say(_("Stopping …"))

        async def lose_patience() -> None:
            # Whoever signals a whole process group signals us twice at once: that is no impatience.
            await asyncio.sleep(_PATIENCE_S)
            asked_again.clear()
            await asked_again.wait()

        in_order = asyncio.ensure_future(self._stop_in_order(list(reversed(living))))
        impatient = asyncio.ensure_future(lose_patience())
        await asyncio.wait({in_order, impatient}, return_when=asyncio.FIRST_COMPLETED)
        if not in_order.done():
            in_order.cancel()
            for one in living:
                if one.process is not None and one.process.poll() is None:
                    one.process.send_signal(signal.SIGQUIT if one.name == "database" else signal.SIGKILL)
                    await asyncio.wait_for(ended(one.process), 10)
        impatient.cancel()
        self._progress.say(_("Stopped."))

    async def _stop_in_order(self, parts: Sequence[Part]) -> None:
        deadline = self._settings.stop_deadline_s
        for one in parts:
            if one.process is None:
                continue
            if one.name == "database" and self._database is not None:
                await self._database.stop(within_s=deadline)
            elif not await stop(one.process, signal.SIGTERM, within_s=deadline):
                self._progress.say(
                    _("The part “{name}” did not stop within {seconds} s and was killed."),
                    name=one.name,
                    seconds=deadline,
                )


@asynccontextmanager
async def database_of(settings: Settings) -> AsyncIterator[str]:
    """Where a command finds the database.

    The configured one; else the running one of the home; else that one, started for as long
    as the command needs it.
    """
    if settings.database_url is not None:
        yield settings.database_url
        return
    dsn = place_of(settings.home).dsn()
    try:
        await (await asyncpg.connect(dsn, timeout=5)).close()
    except TRANSIENT:
        pass
    else:
        yield dsn
        return
    with hold_home(settings.home):
        database = EmbeddedDatabase(settings.home)
        database.prepare()
        database.start()
        try:
            await database.until_it_answers()
            yield dsn
        finally:
            await database.stop(within_s=settings.stop_deadline_s)


async def running_database(settings: Settings) -> str:
    """Where a part that runs apart finds the database; raises DatabaseNotRunning."""
    if settings.database_url is not None:
        return settings.database_url
    dsn = place_of(settings.home).dsn()
    try:
        await (await asyncpg.connect(dsn, timeout=5)).close()
    except TRANSIENT:
        raise DatabaseNotRunning(home=settings.home) from None
    return dsn


@asynccontextmanager
async def connected(dsn: str) -> AsyncIterator[Connection]:
    """One connection for a command; raises DatabaseUnavailable."""
    try:
        connection = await asyncpg.connect(dsn, timeout=10)
    except TRANSIENT as trouble:
        raise DatabaseUnavailable from trouble
    try:
        await prepare_connection(connection)
        yield connection
    finally:
        await connection.close()


def _command(verb: str) -> tuple[str, ...]:
    # -P: a folder named haidang where we were started must not shadow the program.
    return (sys.executable, "-P", "-m", "haidang", verb)


def _how_it_ended(status: int) -> str:
    if status >= 0:
        return f"exit {status}"
    with contextlib.suppress(ValueError):
        return signal.Signals(-status).name
    return str(status)


def _free_port(wanted: int) -> int:
    """The port itself when it is free, any free one for 0; raises BrokerPortTaken."""
    with socket.socket() as tried:
        tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            tried.bind(("127.0.0.1", wanted))
        except OSError:
            raise BrokerPortTaken(port=wanted) from None
        return int(tried.getsockname()[1])


async def _until_listening(port: int) -> None:
    deadline = time.monotonic() + _READY_PATIENCE_S
    while True:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            if time.monotonic() > deadline:
                raise PlatformNotReady(seconds=int(_READY_PATIENCE_S), reason="broker") from None
            await asyncio.sleep(0.05)
        else:
            writer.close()
            return


async def _until_ready(host: str, port: int) -> None:
    """Wait for 200 from /readyz; raises PlatformNotReady with what it said last."""
    deadline = time.monotonic() + _READY_PATIENCE_S
    said = "no answer"
    while time.monotonic() < deadline:
        try:
            said = await asyncio.wait_for(_ask_readiness(host, port), 5)
        except (OSError, TimeoutError, asyncio.IncompleteReadError) as trouble:
            said = str(trouble) or type(trouble).__name__
        if said.split(" ", 2)[1:2] == ["200"]:
            return
        await asyncio.sleep(0.05)
    raise PlatformNotReady(seconds=int(_READY_PATIENCE_S), reason=said[:400])


async def _until_written(descriptor: int, *, within_s: float) -> bool:
    """Wait for a byte on a pipe, which stays open for whoever writes again; whether it came."""
    written = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_reader(descriptor, written.set)
    try:
        await asyncio.wait_for(written.wait(), within_s)
    except TimeoutError:
        return False
    else:
        return True
    finally:
        loop.remove_reader(descriptor)


def _shown(url: str) -> str:
    """An address without the password that may be in it."""
    parts = urlsplit(url)
    return (
        f"{parts.scheme}://{parts.hostname}:{parts.port}"
        if parts.port
        else f"{parts.scheme}://{parts.hostname}"
    )


async def _ask_readiness(host: str, port: int) -> str:
    reader, writer = await asyncio.open_connection(host, port)
    try:
        writer.write(
            f"GET /readyz HTTP/1.1\r\nHost: {host}:{port}\r\nConnection: close\r\n\r\n".encode("ascii")
        )
        await writer.drain()
        return (await reader.read(2000)).decode("utf-8", "replace")
    finally:
        writer.close()
