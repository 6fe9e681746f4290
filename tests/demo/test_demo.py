"""The demo tells the truth: its numbers, its promises and its exit status."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import redis
from support.servers import Server, free_port

from session_store import CasContentionError, CasOps, Namespace
from session_store.demo import main


@pytest.fixture(params=["memory", "server"])
def run(request: pytest.FixtureRequest, capsys: pytest.CaptureFixture[str]) -> Iterator[Callable[[], tuple[int, str]]]:
    """Runs the demo, in memory or on the server; afterwards the server holds what it held before."""
    if request.param == "memory":
        yield lambda: (main(["demo"]), capsys.readouterr().out)
        return
    server: Server = request.getfixturevalue("server")
    url = f"{server.url}/5"
    yield lambda: (main(["demo", "--redis-url", url]), capsys.readouterr().out)
    with redis.Redis.from_url(url) as client:
        assert client.keys("session-store-demo-*") == []


def rows(output: str) -> dict[str, list[str]]:
    """The table: the words of each row, by its way."""
    table = output.partition("\nway ")[2].partition("\n\n")[0].splitlines()
    return {line[:13].strip(): line[13:].split() for line in table[2:]}


def broken(output: str) -> list[str]:
    """The promises that do not hold, by their first word."""
    lines = output.partition("The promises\n")[2].splitlines()
    return [line.split()[1] for line in lines if line.startswith("  BROKEN  ")]


def test_every_promise_holds(run: Callable[[], tuple[int, str]]) -> None:
    """The exit status is 0; the table shows what each way keeps, and what follows is counted right."""
    status, output = run()
    assert status == 0
    assert re.search(r"^way +writes sent +writes kept +writes lost +retries +TTL left$", output, re.MULTILINE)
    table = rows(output)
    ttls = [row.pop(4) for row in table.values()]
    retries = table["with_cas"].pop(3)
    assert table == {
        "one JSON blob": ["120", "40", "80", "0", "s"],
        "field writes": ["120", "120", "0", "0", "s"],
        "with_cas": ["120", "120", "0", "s"],
    }
    assert all(1700 < int(ttl) <= 1800 for ttl in ttls)
    assert 80 <= int(retries) <= 120  # in each of 40 rounds one wins at once, one after a retry, one after one or two
    assert "The total is 672.00 in the end, and was the sum of its lines at every look." in output
    assert "\nids     120 drawn by 3 threads, 120 different, 1 to 120;" in output
    assert "\ntouch   4 live slots counted, 4 of them renewed to 3600 s\n" in output
    assert "\npurge   4 live slots counted, 0 keys left\n" in output
    assert output.count("\n  held  ") == 6
    assert broken(output) == []
    assert "\nAll 6 promises held, in " in output


def test_it_fits_a_terminal(run: Callable[[], tuple[int, str]]) -> None:
    """No line is longer than 100 columns, the first, which names the place, included."""
    assert max(map(len, run()[1].splitlines())) <= 100


def repeat_ids(ns: Namespace, original: Any, slot: str) -> int:
    return (original(ns, slot) + 1) // 2


def lose_a_write(ns: Namespace, original: Any, slot: str, field: str) -> int:
    return 0 if field == "cup" else original(ns, slot, field)


def tear_the_commit(ops: CasOps, original: Any, slot: str, *, mapping: dict[str, str]) -> None:
    original(ops, slot, mapping={name: value for name, value in mapping.items() if name != "total"})


def forget_the_ttl(ns: Namespace, original: Any, slot: str, value: str, **options: Any) -> bool:
    return original(ns, slot, value, **options) and ns._commands.client.persist(ns.key(slot))


def count_too_many(ns: Namespace, original: Any, **options: Any) -> int:
    return original(ns, **options) + 1


def leave_all(ns: Namespace, original: Any) -> int:
    return 4


BREAKS = [
    (Namespace, "incr", repeat_ids, ["no"]),
    (Namespace, "hincrby", lose_a_write, ["field"]),
    (CasOps, "hset", tear_the_commit, ["a"]),
    (Namespace, "set", forget_the_ttl, ["every"]),
    (Namespace, "touch", count_too_many, ["touch"]),
    (Namespace, "touch", lambda ns, original, ttl: 4, ["touch"]),
    (Namespace, "purge", count_too_many, ["purge"]),
    (Namespace, "purge", leave_all, ["purge"]),
]


@pytest.mark.parametrize("run", ["server"], indirect=True)
@pytest.mark.parametrize(("owner", "method", "fault", "expected"), BREAKS)
def test_a_broken_promise_is_named_and_exits_1(
    monkeypatch: pytest.MonkeyPatch,
    run: Callable[[], tuple[int, str]],
    owner: type,
    method: str,
    fault: Callable[..., Any],
    expected: list[str],
) -> None:
    """Each fault breaks the promise it touches and no other, and what it leaves behind is removed."""
    original = getattr(owner, method)
    monkeypatch.setattr(owner, method, lambda self, *args, **options: fault(self, original, *args, **options))
    status, output = run()
    assert broken(output) == expected
    assert status == 1
    assert "\n1 of 6 promises BROKEN, in " in output


@pytest.mark.parametrize("run", ["memory"], indirect=True)
def test_a_slot_without_ttl_shows_in_the_table(
    monkeypatch: pytest.MonkeyPatch, run: Callable[[], tuple[int, str]]
) -> None:
    """Where the TTL is gone, the table does not show a number."""
    monkeypatch.setattr(Namespace, "ttl", lambda ns, slot: {"fields": None}.get(slot, float("inf")))
    status, output = run()
    assert status == 1
    assert [row[-1] for row in rows(output).values()] == ["s", "none", "none"]


@pytest.mark.parametrize("run", ["server"], indirect=True)
def test_a_writer_that_gives_up_stops_the_others(
    monkeypatch: pytest.MonkeyPatch, run: Callable[[], tuple[int, str]]
) -> None:
    """An error of the library's is a broken promise; the other threads end, and nothing is left."""

    def fail_in_the_middle(ns: Namespace, original: Any, slot: str) -> int:
        value = original(ns, slot)
        if value == 50:
            raise CasContentionError(ns.key(slot), 4)
        return value

    original = Namespace.incr
    monkeypatch.setattr(Namespace, "incr", lambda ns, slot: fail_in_the_middle(ns, original, slot))
    status, output = run()
    assert status == 1
    assert "\nBROKEN: CasContentionError: " in output


def test_a_server_that_goes_away_exits_2(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Redis's own troubles break no promise; the message says what becomes of the keys."""

    def touch(ns: Namespace, **options: Any) -> int:
        raise redis.ConnectionError("gone")

    monkeypatch.setattr(Namespace, "touch", touch)
    assert main(["demo"]) == 2
    message = "session_store demo: Redis stopped answering: gone; what the demo wrote expires within an hour\n"
    assert capsys.readouterr().err == message


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("redis://:hush@127.0.0.1:{port}", "cannot use this Redis: Error"),
        ("localhost", "Redis URL must specify"),
        ("redis://localhost:{port}?colour=red", "unexpected keyword argument 'colour'"),
    ],
)
def test_what_is_no_server_exits_2_with_one_line(url: str, reason: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The line says why, and shows no password."""
    assert main(["demo", "--redis-url", url.format(port=free_port())]) == 2
    output = capsys.readouterr()
    assert output.out == ""
    assert output.err.startswith("session_store demo: ")
    assert output.err.count("\n") == 1
    assert reason in output.err
    assert "hush" not in output.err


def test_without_the_extra_it_says_what_to_install() -> None:
    """The client in memory comes with an extra. In a process of its own: modules are not taken from other tests."""
    script = (
        "import sys; sys.modules['fakeredis'] = None; from session_store.demo import main; sys.exit(main(['demo']))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "pip install 'session-store[testing]'" in done.stderr


def run_module(*arguments: str) -> subprocess.CompletedProcess[str]:
    """The command as a user types it."""
    command = [sys.executable, "-m", "session_store", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_the_command_line() -> None:
    """`python -m session_store demo` is the command; without a word, it shows its usage."""
    done = run_module("demo")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("session_store demo, in memory\n")
    lost = run_module("demo", "--redis-url", f"redis://127.0.0.1:{free_port()}")
    assert (lost.returncode, lost.stdout) == (2, "")
    assert "Traceback" not in lost.stderr
    assert run_module().returncode == 2
