"""Prints the lower bound of each dependency as a constraint for pip: what `make lowest` installs.

python scripts/lowest.py > constraints.txt
"""

from __future__ import annotations

import sys
from pathlib import Path

from packaging.requirements import Requirement

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

PROJECT = Path(__file__).parent.parent / "pyproject.toml"


def bounds(project: str) -> dict[str, str]:
    """The lower bound of each direct dependency, those of the extras too. One without a bound is an error."""
    table = tomllib.loads(project)["project"]
    found = {}
    for extra in (table["dependencies"], *table["optional-dependencies"].values()):
        for requirement in map(Requirement, extra):
            if requirement.name == table["name"]:  # an extra of ours that takes in others
                continue
            lowest = [bound.version for bound in requirement.specifier if bound.operator == ">="]
            if len(lowest) != 1:
                raise SystemExit(f"pyproject.toml: {requirement} has no lower bound")
            found[requirement.name] = lowest[0]
    return found


if __name__ == "__main__":
    for name, version in bounds(PROJECT.read_text()).items():
        print(f"{name}=={version}")
