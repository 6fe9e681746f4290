"""Asks pip-audit for known vulnerabilities of what the library and its extras install: `make audit`.

Exit code 1 when there are some, 3 when it could not be found out: pip-audit itself passes over what the service does not
know, and ends well.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from importlib.metadata import distribution
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement

PROJECT = "session-store"
EXTRAS = ("encryption", "json", "testing")  # not dev: what only we use
SERVICES = ("pypi", "osv")  # the second is asked when the first does not answer
VULNERABLE, NOT_AUDITED = 1, 3


def installed(name: str, extras: frozenset[str]) -> dict[str, str]:
    """The versions of what this installation of a project has brought along, by name."""
    found: dict[str, str] = {}
    seen = set()
    waiting = [(name, extras)]
    while waiting:
        name, extras = waiting.pop()
        if (name, extras) in seen:
            continue
        seen.add((name, extras))
        for requirement in map(Requirement, distribution(name).requires or ()):
            markers = [{"extra": extra} for extra in ("", *extras)]
            if requirement.marker is None or any(requirement.marker.evaluate(each) for each in markers):
                found[requirement.name.lower()] = distribution(requirement.name).version
                waiting.append((requirement.name, frozenset(requirement.extras)))
    return dict(sorted(found.items()))


def asked(service: str, requirements: Path) -> tuple[list[dict[str, Any]], str]:
    """What the service said of each dependency; or why it said nothing."""
    command = [*(sys.executable, "-m", "pip_audit", "--vulnerability-service", service, "--requirement")]
    command += [str(requirements), "--no-deps", "--disable-pip", "--format", "json", "--progress-spinner", "off"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    try:
        said: list[dict[str, Any]] = json.loads(done.stdout)["dependencies"]
    except ValueError:
        return [], (done.stderr.strip() or f"exit code {done.returncode}").splitlines()[-1]
    skipped = [each["skip_reason"] for each in said if "skip_reason" in each]
    return said, f"{len(skipped)} of {len(said)} left out: {skipped[0]}" if skipped else ""


def audit(versions: dict[str, str]) -> int:
    """Prints what is known of these versions, and returns the exit code."""
    failures = {}
    with tempfile.TemporaryDirectory() as folder:
        requirements = Path(folder, "requirements.txt")
        requirements.write_text("".join(f"{name}=={version}\n" for name, version in versions.items()))
        for service in SERVICES:
            said, failure = asked(service, requirements)
            bad = [each for each in said if each.get("vulns")]
            for each in bad:
                for vulnerability in each["vulns"]:
                    fixed = ", ".join(vulnerability["fix_versions"]) or "none yet"
                    print(f"{each['name']} {each['version']}: {vulnerability['id']}, fixed in {fixed}")
            if bad:
                return VULNERABLE
            if not failure:
                print(f"no known vulnerabilities in {len(said)} packages: {', '.join(versions)}")
                return 0
            failures[service] = failure
    print(f"NOT AUDITED: no service could be asked for all of {', '.join(versions)}")
    for service, failure in failures.items():
        print(f"  {service}: {failure}")
    return NOT_AUDITED


if __name__ == "__main__":
    sys.exit(audit(installed(PROJECT, frozenset(EXTRAS))))
