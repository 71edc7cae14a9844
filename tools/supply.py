"""What the platform is made of, and whether the world knows a hole in it.

    python tools/supply.py bom       CycloneDX bills of materials into build/bom
    python tools/supply.py audit     known vulnerabilities of the locked packages

The audit fails on a finding that `requirements/audit-exceptions.toml` does not excuse, or excuses
no longer. Where no vulnerability service can be reached it says so, loudly, and passes: what was
not looked at is never reported as clean.
"""

import json
import os
import subprocess
import sys
import tomllib
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from prepare import FRONTEND, LOCKS, ROOT, VENV, node_environment

BIN = VENV / "bin"
BOM = ROOT / "build" / "bom"
EXCEPTIONS = LOCKS / "audit-exceptions.toml"


@dataclass(frozen=True, slots=True)
class Finding:
    """One known vulnerability of one locked package."""

    package: str
    version: str
    vulnerability: str
    ecosystem: str

    def __str__(self) -> str:
        return f"{self.ecosystem}: {self.package} {self.version}: {self.vulnerability}"


class ServiceNotReached(Exception):
    """The service that knows vulnerabilities did not answer for these packages."""


def write_bom() -> None:
    """One bill for what runs, one for what builds and tests it, one for the front end."""
    BOM.mkdir(parents=True, exist_ok=True)
    for name in ("run", "dev"):
        options = ["--pyproject", "pyproject.toml", "--output-reproducible", "--of", "JSON"]
        options += ["-o", str(BOM / f"python-{name}.cdx.json")]
        subprocess.run(
            [BIN / "cyclonedx-py", "requirements", LOCKS / f"{name}.txt", *options],
            cwd=ROOT,
            check=True,
            stderr=subprocess.DEVNULL,
        )
    done = subprocess.run(
        [BIN / "npm", "sbom", "--sbom-format", "cyclonedx", "--package-lock-only", "--prefix", FRONTEND],
        cwd=ROOT,
        env=node_environment(os.environ),
        check=True,
        capture_output=True,
        text=True,
    )
    (BOM / "frontend.cdx.json").write_text(done.stdout, "utf-8")
    for path in sorted(BOM.glob("*.cdx.json")):
        count = len(json.loads(path.read_text("utf-8"))["components"])
        print(f"{path.relative_to(ROOT)}: {count} thành phần · components")


def audit_python(lock: Path) -> list[Finding]:
    """Findings of one lock; raises ServiceNotReached."""
    command: list[str | Path] = [BIN / "pip-audit", "-r", lock, "--require-hashes", "--disable-pip"]
    done = subprocess.run(
        [*command, "-f", "json", "--progress-spinner", "off", "--timeout", "20"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    try:
        packages = json.loads(done.stdout)["dependencies"]
    except (ValueError, KeyError) as trouble:
        raise ServiceNotReached(done.stderr.strip()[-300:]) from trouble
    unknown = [one["name"] for one in packages if "skip_reason" in one]
    if unknown:
        raise ServiceNotReached(f"no answer for {len(unknown)} of {len(packages)} packages: {unknown[:3]}")
    return [
        Finding(one["name"], one["version"], found["id"], "python")
        for one in packages
        for found in one["vulns"]
    ]


def audit_node() -> list[Finding]:
    """Findings of the front end's lock; raises ServiceNotReached."""
    done = subprocess.run(
        [BIN / "npm", "audit", "--json", "--package-lock-only", "--prefix", FRONTEND],
        cwd=ROOT,
        env=node_environment(os.environ),
        capture_output=True,
        text=True,
        check=False,
    )
    try:
        vulnerable: dict[str, Any] = json.loads(done.stdout)["vulnerabilities"]
    except (ValueError, KeyError) as trouble:
        said = [line for line in done.stderr.splitlines() if " audit" in line]
        raise ServiceNotReached("; ".join(said)) from trouble
    return [
        Finding(name, str(one.get("range", "")), str(via["url"]), "npm")
        for name, one in vulnerable.items()
        for via in one["via"]
        if isinstance(via, dict)
    ]


def excused(today: date) -> set[tuple[str, str]]:
    """(package, vulnerability) pairs that are excused today; an exception ends on its date."""
    listed = tomllib.loads(EXCEPTIONS.read_text("utf-8")).get("exception", [])
    return {(one["package"], one["id"]) for one in listed if one["reason"] and today <= one["until"]}


def audit_locks() -> list[Finding]:
    """Findings of every Python lock; raises ServiceNotReached."""
    # uv.txt is one package: if the service does not answer for it, it is not asked for the rest.
    return [found for lock in ("uv", "dev") for found in audit_python(LOCKS / f"{lock}.txt")]


def audit() -> int:
    """0 when nothing unexcused was found; what could not be looked at is named."""
    findings: list[Finding] = []
    for name, look in (("Python", audit_locks), ("npm", audit_node)):
        try:
            findings += look()
        except ServiceNotReached as trouble:
            print(f"!! {name}: CHƯA DÒ LỖ HỔNG · NOT SCANNED: no vulnerability service reached. {trouble}")
        else:
            print(f"{name}: đã dò · scanned")
    pardoned = excused(datetime.now(UTC).date())
    open_findings = [one for one in findings if (one.package, one.vulnerability) not in pardoned]
    print(*(f"!! {one}" for one in open_findings), sep="\n")
    return 1 if open_findings else 0


if __name__ == "__main__":
    if sys.argv[1:] == ["bom"]:
        write_bom()
    else:
        sys.exit(audit())
