"""A terminal is told from a pipe: colours, the pager and the bar are for people who look."""

from __future__ import annotations

import asyncio
import os
import pty
import re
import select
import signal
import socket
import subprocess
import termios
import threading
import time
from collections.abc import Callable, Iterator
from fcntl import ioctl
from struct import pack
from typing import Any

import pytest
import redis
from cli.conftest import PROGRAM, Run
from cli.filling import fill
from support.servers import Server

from session_store import SessionStore

COLOUR = "\x1b[3"
PATIENCE = 30  # seconds


class Terminal:
    """A terminal of so many lines, on which a command runs."""

    def __init__(self, *words: str, env: dict[str, str], lines: int = 24, columns: int = 80, **streams: Any) -> None:
        self._master, slave = pty.openpty()
        ioctl(slave, termios.TIOCSWINSZ, pack("HHHH", lines, columns, 0, 0))
        every = {"stdin": slave, "stdout": slave, "stderr": slave} | streams
        self.process = subprocess.Popen([*PROGRAM, *words], env=env, start_new_session=True, close_fds=True, **every)
        os.close(slave)
        self.shown = ""

    def until(self, condition: Callable[[str], object] = lambda shown: False) -> str:
        """All that is shown until a condition holds, or to the end."""
        deadline = time.monotonic() + PATIENCE
        while not condition(self.shown):
            assert time.monotonic() < deadline, self.shown
            if not select.select([self._master], [], [], 0.1)[0]:
                continue
            try:
                more = os.read(self._master, 65_536)
            except OSError:  # the other side is closed
                break
            if not more:
                break
            self.shown += more.decode(errors="replace")
        return self.shown

    def type(self, keys: str) -> None:
        os.write(self._master, keys.encode())

    def end(self) -> tuple[int, str]:
        """The exit status, and all that was shown."""
        self.until()
        os.close(self._master)
        return self.process.wait(PATIENCE), self.shown


@pytest.fixture
def many(server: Server, prefix: str) -> None:
    """More than a screen has lines."""
    asyncio.run(fill(server.url, 100, prefix))


def test_a_pipe(filled: None, environment: dict[str, str]) -> None:
    """Nothing but text, all of it, on stdout; stderr is empty."""
    done = subprocess.run([*PROGRAM, "list"], env=environment, capture_output=True, text=True, check=True, timeout=60)
    assert len(done.stdout.splitlines()) == 11
    assert "\x1b" not in done.stdout
    assert done.stderr == ""


@pytest.mark.parametrize("command", ["list", "list --json", "list --names"])
def test_a_pipe_that_is_closed(store: SessionStore[str], environment: dict[str, str], command: str) -> None:
    """As by `head`: nothing is said of it, and the status is that of a program that SIGPIPE ends."""
    for number in range(3_000):
        store.namespace(f"{'visitor-' * 20}{number}").set("step", "x")
    process = subprocess.Popen(
        [*PROGRAM, *command.split()], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdout and process.stderr
    process.stdout.readline()
    process.stdout.close()
    assert process.stderr.read() == b""
    process.stderr.close()
    assert process.wait(60) == 141


def test_a_terminal_has_colours(filled: None, environment: dict[str, str]) -> None:
    """Of a short output every line is shown at once, with no pager."""
    status, shown = Terminal("list", env=environment | {"PAGER": "false"}).end()
    assert status == 0
    assert COLOUR in shown
    assert shown.count("\r\n") == 11


@pytest.mark.parametrize("setting", [{"NO_COLOR": "1"}, {"TERM": "dumb"}])
def test_a_terminal_without_colours(filled: None, environment: dict[str, str], setting: dict[str, str]) -> None:
    for command in ("list", "stats", "doctor"):
        assert "\x1b[" not in Terminal(command, env=environment | setting, lines=60).end()[1]


def test_a_long_output_goes_to_the_pager(many: None, environment: dict[str, str]) -> None:
    """To $PAGER, with colours; with `cat`, or nothing, it is not paged."""
    status, shown = Terminal("list", env=environment | {"PAGER": "sed s/^/paged:/"}).end()
    assert status == 0
    assert shown.count("paged:") == 101 and COLOUR in shown
    for none in ("cat", ""):
        status, shown = Terminal("list", env=environment | {"PAGER": none}).end()
        assert (status, shown.count("\r\n")) == (0, 101)
    status, shown = Terminal("list", env=environment | {"PAGER": "sed s/^/paged:/"}, lines=200).end()
    assert (status, shown.count("paged:")) == (0, 0)


def test_less_is_left(many: None, environment: dict[str, str]) -> None:
    """Where nothing else is set; what it is left with is no error."""
    terminal = Terminal("list", env=environment)
    terminal.until(lambda shown: shown.count("\n") > 20)
    terminal.type("q")
    status, shown = terminal.end()
    assert status == 0
    assert "Traceback" not in shown and "session-store:" not in shown


def test_actions_are_not_paged(many: None, run: Run, environment: dict[str, str], server: Server) -> None:
    names = run("list", "--names").out.split()
    status, shown = Terminal("end", *names, env=environment | {"PAGER": "sed s/^/paged:/"}).end()
    assert status == 0
    assert shown.count("ended ") == 100 and "paged" not in shown


class Relay:
    """Between clients and a server, each of whose replies takes a while."""

    def __init__(self, port: int, seconds: float = 0.02) -> None:
        self._to, self._seconds = port, seconds
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = self._listening.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listening.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with client, socket.create_connection(("127.0.0.1", self._to)) as server:
            while True:
                ready, _, _ = select.select([client, server], [], [])
                for each in ready:
                    try:
                        data = each.recv(65_536)
                        (server if each is client else client).sendall(data)
                    except OSError:
                        return
                    if not data:
                        return
                if server in ready:
                    time.sleep(self._seconds)

    def close(self) -> None:
        self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()


@pytest.fixture
def slow(prefix: str) -> Iterator[dict[str, str]]:
    """A server of which a scan takes more than a second."""
    server = Server()
    with redis.Redis(port=server.port) as client:
        client.eval("for at = 1, 60000 do redis.call('SET', 'other:' .. at, 'x') end", 0)
        SessionStore(client, prefix=prefix, default_ttl=600).namespace("visitor").set("step", "x")
    relay = Relay(server.port)
    yield {"SESSION_STORE_URL": f"redis://127.0.0.1:{relay.port}"}
    relay.close()
    server.stop()


def test_a_long_scan_shows_a_bar_on_a_terminal(slow: dict[str, str], environment: dict[str, str]) -> None:
    """On stderr, so that the output is what it is; taken away in the end. None where stderr is no terminal."""
    env = environment | slow
    terminal = Terminal("count", env=env, stdout=subprocess.PIPE)
    status, shown = terminal.end()
    assert terminal.process.stdout is not None
    assert (status, terminal.process.stdout.read()) == (0, b"1\n")
    terminal.process.stdout.close()
    assert "looking at keys" in shown and re.search(r"\d+/60002", shown)
    assert shown.endswith(("\x1b[2K", "\x1b[2K\x1b[?25h", "\x1b[?25h\r\x1b[1A\x1b[2K")), repr(shown[-40:])
    done = subprocess.run([*PROGRAM, "count"], env=env, capture_output=True, text=True, check=True, timeout=60)
    assert (done.stdout, done.stderr) == ("1\n", "")


def test_ctrl_c_ends_a_scan(slow: dict[str, str], environment: dict[str, str]) -> None:
    """At once, and without a word; it would go on for ten seconds."""
    slower = Relay(int(slow["SESSION_STORE_URL"].rpartition(":")[2]), 0.2)
    terminal = Terminal("stats", env=environment | {"SESSION_STORE_URL": f"redis://127.0.0.1:{slower.port}"})
    terminal.until(lambda shown: "looking at keys" in shown)
    terminal.process.send_signal(signal.SIGINT)
    status, shown = terminal.end()
    slower.close()
    assert status == 130
    assert "Traceback" not in shown and "session-store" not in shown


@pytest.mark.parametrize("as_json", [(), ("--json",)], ids=["text", "json"])
def test_what_is_followed_is_told_at_once(
    store: SessionStore[str], environment: dict[str, str], as_json: tuple[str, ...]
) -> None:
    """In a pipe, too; Ctrl-C ends it, without a word."""
    ns = store.namespace("visitor")
    ns.set("step", "x")
    command = [*PROGRAM, "follow", "visitor", "--interval", "100ms", *as_json]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout and process.stderr
        told = threading.Event()

        def go_on() -> None:
            for number in range(PATIENCE * 10):
                ns.hset("basket", str(number), "x")
                if told.wait(0.1):
                    return

        writer = threading.Thread(target=go_on)
        writer.start()
        assert b"basket" in process.stdout.readline()
        told.set()
        writer.join()
        process.send_signal(signal.SIGINT)
        try:
            assert process.wait(PATIENCE) == 130
        finally:
            process.kill()
        assert process.stderr.read().count(b"\n") <= 2


def test_names_that_an_encoding_has_not(run: Run, store: SessionStore[str], environment: dict[str, str]) -> None:
    store.namespace("カフェ").set("step", "x")
    done = subprocess.run(
        [*PROGRAM, "list"],
        env=environment | {"PYTHONIOENCODING": "ascii"},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert r"\u30ab\u30d5\u30a7" in done.stdout


def test_wide_names_do_not_move_columns(run: Run, store: SessionStore[str]) -> None:
    """A character may take two cells."""
    store.namespace("a").set("カフェ", "x")
    store.namespace("a").set("cafe", "x")
    head, *rows = run("show", "a").out.splitlines()[3:]
    assert {len(row) - len(row.split()[-1]) for row in rows} == {head.index("SLOT")}
