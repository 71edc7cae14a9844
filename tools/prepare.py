"""Makes what `make` needs, once: the Python environment, its packages, the front end.

Runs on a bare Python 3.11 (standard library only). A step whose inputs have not changed since
it last succeeded is skipped: what it was made from is remembered as a checksum beside the result.

    python3 tools/prepare.py run        what running takes
    python3 tools/prepare.py dev        what tests and checks take; it contains the former
"""

import ast
import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
LOCKS = ROOT / "requirements"
FRONTEND = ROOT / "frontend"
STATIC = ROOT / "src" / "haidang" / "web" / "static"
SETS = {"run": ("run.txt", "build.txt"), "dev": ("dev.txt",)}
LEAST_PYTHON = (3, 11)
_SIGNS_OF_NO_REGISTRY = (
    "from versions: none", "failed to fetch", "connection", "network", "resolve", "certificate", "timed out",
)  # fmt: skip


class StepFailed(Exception):
    """A program that a step ran ended with an error; `output` is what it printed."""

    def __init__(self, output: str) -> None:
        self.output = output
        super().__init__(output)


class Progress:
    """One line a step, in plain words: what is being done, then how long it took."""

    def __init__(self) -> None:
        self._lively = sys.stdout.isatty()
        self._began = time.monotonic()
        self.steps = 0

    def run(
        self, words: str, english: str, commands: Iterable[list[str | Path]], environ: Mapping[str, str]
    ) -> None:
        """Run the commands one after the other; raises StepFailed with what the failed one printed."""
        self.steps += 1
        line = f"  • {words} · {english}"
        began = time.monotonic()
        finished = threading.Event()
        if self._lively:
            threading.Thread(target=self._tick, args=(line, began, finished), daemon=True).start()
        else:
            print(f"{line} …", flush=True)
        try:
            for command in commands:
                done = subprocess.run(
                    command,
                    cwd=ROOT,
                    env=dict(environ),
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.STDOUT,
                    text=True,
                    errors="replace",
                    check=False,
                )
                if done.returncode:
                    raise StepFailed(done.stdout)
        finally:
            finished.set()
            spent = _seconds(time.monotonic() - began)
            print(f"\r\033[K{line}: {spent}" if self._lively else f"    {spent}", flush=True)

    @staticmethod
    def _tick(line: str, began: float, finished: threading.Event) -> None:
        while not finished.wait(0.2):
            print(f"\r\033[K{line} … {time.monotonic() - began:.0f} s", end="", flush=True)

    def close(self) -> None:
        """Say how long it all took, if there was anything to do."""
        if self.steps:
            spent = _seconds(time.monotonic() - self._began)
            print(f"  Chuẩn bị xong sau {spent} · ready", flush=True)


def _seconds(spent: float) -> str:
    return f"{spent:.1f}".replace(".", ",") + " s"


def checksum(paths: Iterable[Path], *words: str) -> str:
    """One SHA-256 over the names and contents of files, and over some words."""
    sum_ = hashlib.sha256("\0".join(words).encode())
    for path in sorted(paths):
        sum_.update(f"\0{path.relative_to(ROOT)}\0".encode())
        sum_.update(path.read_bytes())
    return sum_.hexdigest()


def is_made(stamp: Path, expected: str) -> bool:
    """Whether the step that writes `stamp` already succeeded with these inputs."""
    return stamp.is_file() and stamp.read_text(encoding="utf-8") == expected


def uv_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """What uv must be told: it does not read pip's configuration, so pip is asked for it."""
    listed = subprocess.run(
        [PYTHON, "-m", "pip", "config", "list"],
        env=dict(environ),
        capture_output=True,
        text=True,
        check=False,
    ).stdout
    configured: dict[str, str] = {}
    # The environment's lines last, so that they win over files.
    for line in sorted(listed.splitlines(), key=lambda line: line.startswith(":env:")):
        key, _, quoted = line.partition("=")
        scope, _, name = key.rpartition(".")
        if scope in {"global", "install", ":env:"}:
            configured[name.replace("_", "-")] = str(ast.literal_eval(quoted))
    told = {
        "UV_DEFAULT_INDEX": configured.get("index-url"),
        "UV_INDEX": _words(configured.get("extra-index-url"), " "),
        "UV_FIND_LINKS": _words(configured.get("find-links"), ","),
        "UV_NO_INDEX": "1" if configured.get("no-index", "").lower() in {"1", "true", "yes", "on"} else None,
        "UV_INSECURE_HOST": _words(configured.get("trusted-host"), " "),
        "UV_HTTP_TIMEOUT": configured.get("default-timeout") or configured.get("timeout"),
        "SSL_CERT_FILE": configured.get("cert"),
        "HTTPS_PROXY": configured.get("proxy"),
        # As pip does: every index is equal. Safe here, because every package is pinned by its hash.
        "UV_INDEX_STRATEGY": "unsafe-best-match",
        "UV_PYTHON_DOWNLOADS": "never",
        "UV_NO_PROGRESS": "1",
    }
    return {name: value for name, value in told.items() if value} | dict(environ)


def _words(value: str | None, separator: str) -> str | None:
    return separator.join(value.split()) if value else None


def node_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """Node from our environment first on the path, with the certificates the machine trusts."""
    told = {}
    if certificates := environ.get("SSL_CERT_FILE"):
        told["NODE_EXTRA_CA_CERTS"] = certificates
    if Path("/etc/npmrc").is_file():
        told["NPM_CONFIG_GLOBALCONFIG"] = "/etc/npmrc"
    path = f"{VENV / 'bin'}:{environ.get('PATH', '/usr/bin:/bin')}"
    return told | dict(environ) | {"PATH": path, "CI": "1", "NO_UPDATE_NOTIFIER": "1"}


def prepare_python(wanted: str, progress: Progress, environ: Mapping[str, str]) -> None:
    """The environment in `.venv`, with exactly the packages of the set, and the platform itself."""
    made_by = f"{sys.version_info.major}.{sys.version_info.minor} {VENV}"
    uv_stamp = VENV / ".made-uv"
    uv_lock = LOCKS / "uv.txt"
    expected = checksum([uv_lock], made_by)
    if not is_made(uv_stamp, expected):
        if VENV.exists():
            shutil.rmtree(VENV)
        commands: list[list[str | Path]] = [
            [sys.executable, "-m", "venv", VENV],
            [PYTHON, "-m", "pip", "install", "--quiet", "--require-hashes", "-r", uv_lock],
        ]
        progress.run("Tạo môi trường Python", "creating the Python environment", commands, environ)
        uv_stamp.write_text(expected, encoding="utf-8")

    def stamp(name: str) -> Path:
        return VENV / f".made-{name}"

    def inputs(name: str) -> str:
        return checksum([*(LOCKS / lock for lock in SETS[name]), ROOT / "pyproject.toml"], made_by)

    # The larger set contains the smaller: after `make test`, `make run` takes nothing away.
    if any(is_made(stamp(name), inputs(name)) for name in ("dev", wanted)):
        return
    if stamp("dev").exists():
        wanted = "dev"
    locks = [LOCKS / lock for lock in SETS[wanted]]
    count = sum(line[:1].isalnum() for lock in locks for line in lock.read_text("utf-8").splitlines())
    uv, told = VENV / "bin" / "uv", uv_environment(environ)
    commands = [
        [uv, "pip", "sync", "--quiet", "--python", PYTHON, "--require-hashes", *locks],
        [uv, "pip", "install", "--quiet", "--python", PYTHON, "--no-deps", "--no-build-isolation", "-e", "."],
    ]
    progress.run(f"Cài {count} gói Python", f"installing {count} Python packages", commands, told)
    stamp(wanted).write_text(inputs(wanted), encoding="utf-8")


def frontend_sources() -> list[Path]:
    """Every file the front end is built from."""
    return [
        path
        for top in FRONTEND.iterdir()
        if top.name != "node_modules"
        for path in (top.rglob("*") if top.is_dir() else [top])
        if path.is_file()
    ]


def prepare_frontend(progress: Progress, environ: Mapping[str, str]) -> None:
    """Node packages in `frontend/node_modules`, and the built files in `src/haidang/web/static`."""
    node = node_environment(uv_environment(environ) if "SSL_CERT_FILE" not in environ else environ)
    npm = VENV / "bin" / "npm"
    packages_stamp = FRONTEND / "node_modules" / ".made"
    manifests = [FRONTEND / "package.json", FRONTEND / "package-lock.json", LOCKS / "build.txt"]
    expected = checksum(manifests)
    if not is_made(packages_stamp, expected):
        ci: list[list[str | Path]] = [[npm, "ci", "--prefix", FRONTEND, "--no-audit", "--no-fund"]]
        progress.run("Tải các gói của giao diện", "fetching the packages of the front end", ci, node)
        packages_stamp.write_text(expected, encoding="utf-8")
    built_stamp = STATIC / ".made"
    expected = checksum([*frontend_sources(), LOCKS / "build.txt"])
    if not is_made(built_stamp, expected):
        build: list[list[str | Path]] = [[npm, "run", "build", "--prefix", FRONTEND]]
        progress.run("Dựng giao diện", "building the front end", build, node)
        STATIC.mkdir(parents=True, exist_ok=True)
        built_stamp.write_text(expected, encoding="utf-8")


def explain(trouble: StepFailed | OSError) -> None:
    """Say what went wrong in the program's own words, and what usually mends it."""
    output = trouble.output if isinstance(trouble, StepFailed) else str(trouble)
    print(output.strip()[-4000:], file=sys.stderr)
    lowered = output.lower()
    if "ensurepip" in lowered:
        print("\nThiếu python3-venv. Hãy cài: apt install python3-venv", file=sys.stderr)
        print("python3-venv is missing: apt install python3-venv", file=sys.stderr)
    elif "permission denied" in lowered:
        print(f"\nKhông ghi được vào {ROOT}. Thư mục này thuộc về người khác?", file=sys.stderr)
        print(f"{ROOT} cannot be written to. Does it belong to somebody else?", file=sys.stderr)
    elif any(sign in lowered for sign in _SIGNS_OF_NO_REGISTRY):
        print("\nKhông tới được kho gói. Hãy kiểm tra mạng, proxy, chứng chỉ rồi chạy lại.", file=sys.stderr)
        print("The package registry was not reached: check network, proxy, certificates.", file=sys.stderr)


def main(wanted: str) -> int:
    """Prepare one of the sets; 0 when everything is ready."""
    if sys.version_info < LEAST_PYTHON:
        print("Cần Python 3.11 trở lên. · Python 3.11 or newer is needed.", file=sys.stderr)
        return 1
    progress = Progress()
    # Only what the caller's environment says; an environment of theirs must not leak into ours.
    environ = {name: value for name, value in os.environ.items() if name not in {"PYTHONPATH", "VIRTUAL_ENV"}}
    try:
        with (ROOT / "Makefile").open("rb") as one_at_a_time:
            fcntl.flock(one_at_a_time, fcntl.LOCK_EX)
            prepare_python(wanted, progress, environ)
            prepare_frontend(progress, environ)
    except (StepFailed, OSError) as trouble:
        explain(trouble)
        return 1
    progress.close()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
