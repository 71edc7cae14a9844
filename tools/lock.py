"""Lock the packages: from `pyproject.toml` to `requirements/*.txt`, with hashes, without addresses.

python tools/lock.py             add what is missing, keep every version that still fits
python tools/lock.py --upgrade   the newest of everything
python tools/lock.py --check     do the locks still answer to pyproject.toml? (no network)
"""

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from prepare import LOCKS, ROOT, VENV, uv_environment

# Each lock: what goes in, and the locks whose versions it must agree with.
PLAN: tuple[tuple[str, list[str], list[str]], ...] = (
    ("uv.txt", ["--group", "lock"], []),
    ("run.txt", ["pyproject.toml"], []),
    ("build.txt", ["--group", "build"], ["run.txt"]),
    ("basemap.txt", ["--extra", "basemap", "pyproject.toml"], ["run.txt"]),
    ("dev.txt", ["--group", "dev", "--extra", "basemap", "pyproject.toml"], ["run.txt", "build.txt"]),
)


def lock(*, upgrade: bool) -> None:
    """Write every lock, each in agreement with those before it."""
    for name, sources, constraints in PLAN:
        command: list[str | Path] = [VENV / "bin" / "uv", "pip", "compile", "--quiet", "--universal"]
        command += ["--python-version", "3.11", "--generate-hashes", "--no-header", *sources]
        for constraint in constraints:
            command += ["-c", LOCKS / constraint]
        if upgrade:
            command.append("--upgrade")
        print(f"requirements/{name}", flush=True)
        command += ["-o", LOCKS / name]
        subprocess.run(command, cwd=ROOT, env=uv_environment(os.environ), check=True)


def locked(name: str) -> dict[str, str]:
    """The version of each package in a lock."""
    text = (LOCKS / name).read_text("utf-8")
    return {
        canonicalize_name(package): version
        for package, version in re.findall(r"^([A-Za-z0-9._-]+)==([^\s;\\]+)", text, re.MULTILINE)
    }


def wanted(sources: list[str]) -> list[Requirement]:
    """What pyproject.toml asks of a lock."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    lines: list[str] = []
    if "pyproject.toml" in sources:
        lines += project["project"]["dependencies"]
    if "--extra" in sources:
        lines += project["project"]["optional-dependencies"][sources[sources.index("--extra") + 1]]
    if "--group" in sources:
        group = project["dependency-groups"][sources[sources.index("--group") + 1]]
        lines += [line for line in group if isinstance(line, str)]
        lines += [
            line
            for included in group
            if not isinstance(included, str)
            for line in project["dependency-groups"][included["include-group"]]
        ]
    return [Requirement(line) for line in lines]


def troubles() -> list[str]:
    """Where a lock does not answer to pyproject.toml or to another lock, lacks a hash, or names a host."""
    found = []
    for name, sources, constraints in PLAN:
        versions = locked(name)
        text = (LOCKS / name).read_text("utf-8")
        for requirement in wanted(sources):
            version = versions.get(canonicalize_name(requirement.name))
            if version is None or not requirement.specifier.contains(version, prereleases=True):
                found.append(f"{name}: {requirement} is locked as {version}; run `make lock`")
        for constraint in constraints:
            for package, version in locked(constraint).items():
                if versions.get(package, version) != version:
                    found.append(f"{name}: {package} {versions[package]}, but {version} in {constraint}")
        bare = re.findall(r"^\S+==[^\\\n]+$", text, re.MULTILINE)
        found += [f"{name}: {package} has no hash" for package in bare]
        if "://" in text:
            found.append(f"{name}: an address stands in it")
    return found


def main(arguments: list[str]) -> int:
    """Write the locks, or check them; 0 when all is well."""
    if "--check" in arguments:
        found = troubles()
        print(*found, sep="\n")
        return 1 if found else 0
    lock(upgrade="--upgrade" in arguments)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
