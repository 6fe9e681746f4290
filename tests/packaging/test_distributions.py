"""What users get: the sdist, and the wheel that is built from it, installed alone, run from a zip, or frozen."""

from __future__ import annotations

import runpy
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Iterable, Iterator
from importlib.metadata import Distribution, distribution, distributions
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement

import session_store

pytestmark = pytest.mark.long

ROOT = Path(__file__).parents[2]
BUILD = "import sys; from hatchling import build; print(getattr(build, sys.argv[1])(sys.argv[2]))"
# Of the tests, those that open most of the files that are neither in the package nor beside them.
OPENING = ("tests/docs/test_pages.py", "tests/docs/test_benchmarks.py", "tests/scripts/test_generated.py")
PROGRAM = """
import asyncio
import sys

port, prefix, *paths = sys.argv[1:]
sys.path[:0] = paths

import redis.asyncio
import session_store

def copy(snap, ops):
    ops.hset("basket", "total", snap.hget("basket", "tea"))

with redis.Redis(port=int(port)) as client:
    ns = session_store.SessionStore(client, prefix=prefix, default_ttl=60).namespace("visitor-1")
    ns.hincrby("basket", "tea")
    ns.with_cas("basket", copy)

async def end():
    async with redis.asyncio.Redis(port=int(port)) as client:
        ns = session_store.AsyncSessionStore(client, prefix=prefix, default_ttl=60).namespace("visitor-1")
        return await ns.hgetall("basket"), await ns.purge()

print(asyncio.run(end()))
print(session_store.__file__)
try:
    session_store.InMemoryClient
except ImportError as error:
    print(error)
"""


def run(*arguments: Any, folder: Path) -> str:
    """What a Python prints; it must end well."""
    command = [sys.executable, *map(str, arguments)]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def sdist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The unpacked sdist."""
    folder = tmp_path_factory.mktemp("sdist")
    name = run("-c", BUILD, "build_sdist", folder, folder=ROOT).strip()
    with tarfile.open(folder / name) as archive:
        # Python has the filter from 3.11.4 on, and later versions warn without it.
        archive.extractall(folder, **({"filter": "data"} if hasattr(tarfile, "data_filter") else {}))
    return folder / name.removesuffix(".tar.gz")


@pytest.fixture(scope="module")
def wheel(sdist: Path) -> Path:
    """The wheel, built where there is nothing but the sdist."""
    return sdist.parent / run("-c", BUILD, "build_wheel", sdist.parent, folder=sdist).strip()


@pytest.fixture(scope="module")
def installed(wheel: Path) -> Path:
    """The folder into which the wheel is unpacked: more is not done to install it."""
    folder = wheel.parent / "installed"
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder)
    return folder


@pytest.fixture(scope="module")
def required(installed: Path) -> Path:
    """A folder with the distributions that the wheel requires, and no others."""
    folder = installed.parent / "required"
    folder.mkdir()
    for each in needed(metadata(installed).requires, {""}):
        for name in {file.parts[0] for file in each.files or ()} - {"..", "__pycache__"}:
            if not (folder / name).exists():
                (folder / name).symlink_to(str(each.locate_file(name)))
    return folder


def metadata(folder: Path) -> Distribution:
    """What the only distribution of a folder says of itself."""
    [found] = distributions(path=[str(folder)])
    return found


def needed(requires: Iterable[str] | None, extras: set[str]) -> Iterator[Distribution]:
    """The distributions that these requirements come to, as they are here."""
    for requirement in map(Requirement, requires or ()):
        if requirement.marker is None or any(requirement.marker.evaluate({"extra": extra}) for extra in extras):
            found = distribution(requirement.name)
            yield found
            yield from needed(found.requires, {"", *requirement.extras})


def test_the_tests_of_the_sdist_find_what_they_open(sdist: Path) -> None:
    """A distributor runs them where nothing else is: pages, what they link to, figures, the generator."""
    run("-m", "pytest", "-q", "-p", "no:cacheprovider", *OPENING, folder=sdist)


def test_the_wheel_holds_the_package_and_nothing_else(wheel: Path) -> None:
    """All of it: modules, scripts, the mark that it is typed. And beside it no tests, only what pip reads."""
    package = {
        str(path.relative_to(ROOT))
        for path in (ROOT / "session_store").rglob("*")
        if path.is_file() and path.suffix != ".pyc"
    }
    assert {"session_store/py.typed", "session_store/lua/prelude.lua"} < package
    with zipfile.ZipFile(wheel) as archive:
        assert {name for name in archive.namelist() if ".dist-info/" not in name} == package
        assert any(name.endswith(".dist-info/licenses/LICENSE") for name in archive.namelist())


@pytest.mark.parametrize("form", ["installed", "wheel"])
def test_it_works_with_nothing_but_what_it_requires(
    form: str, required: Path, server: Any, prefix: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    """Installed, and from a zip, which a wheel is. Neither this project nor its environment is in reach (-I, -S)."""
    place = request.getfixturevalue(form)
    said = run("-I", "-S", "-W", "error", "-c", PROGRAM, server.port, prefix, place, required, folder=tmp_path)
    assert said.splitlines() == [
        "({'tea': '1', 'total': '1'}, 1)",
        str(place / "session_store" / "__init__.py"),
        "session_store.testing.InMemoryClient needs fakeredis: pip install 'session-store[testing]'",
    ]


def test_pyinstaller_is_told_of_the_scripts(installed: Path) -> None:
    """It asks the entry point for folders, and reads in the hook which files go into a frozen program, and where to."""
    [entry] = metadata(installed).entry_points.select(group="pyinstaller40", name="hook-dirs")
    [folder] = entry.load()()
    hook = runpy.run_path(f"{folder}/hook-session_store.py")
    assert (str(Path(session_store.__file__).parent / "lua"), "session_store/lua") in hook["datas"]
