"""A TCP proxy between clients and a server: it loses replies and delays commands, at the command that a test names.

One thread serves all connections, so a fault has happened completely before the client can notice it. Commands are
told apart as RESP arrays of bulk strings, which is how every client sends them; calls of scripts by the script, too.
"""

from __future__ import annotations

import selectors
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import NamedTuple

from session_store.testing.interleavings.commands import parse
from session_store.testing.interleavings.commands import script_of as called

PATIENCE = 20  # seconds; only a test that fails waits for so long
_CHUNK = 65_536


def first_command(data: bytes) -> tuple[str, int] | None:
    """The name of the first command in what a client has sent, and where it ends; None when it is not all there."""
    line, found, _ = data.partition(b"\r\n")
    if not found:
        return None
    end, name = len(line) + 2, b""
    for _ in range(int(line[1:])):  # '*<count>', then '$<bytes>' and the bytes for each
        line, found, _ = data[end:].partition(b"\r\n")
        begin = end + len(line) + 2
        end = begin + int(line[1:] or 0) + 2
        if not found or len(data) < end:
            return None
        name = name or data[begin : end - 2]
    return name.decode().upper(), end


def script_of(command: bytes) -> str | None:
    """Which of our scripts a command calls, as `BEGIN` or `COMMIT`; None for any other command."""
    (parts,) = parse(command)
    script = called(parts)
    return None if script is None else script.name.upper()


def first_reply(data: bytes, at: int = 0) -> int | None:
    """Where the first reply in what a server has sent ends; None when it is not all there."""
    end = data.find(b"\r\n", at)
    if end < 0:
        return None
    kind, size, end = data[at : at + 1], data[at + 1 : end], end + 2
    if kind in b"$=!" and size != b"-1":
        end += int(size) + 2
        return end if end <= len(data) else None
    members = int(size) * (2 if kind == b"%" else 1) if kind in b"*~>%" else 0
    for _ in range(members):
        inner = first_reply(data, end)
        if inner is None:
            return None
        end = inner
    return end


@dataclass(eq=False)
class _Link:
    """One client's connection, and the one to the server that belongs to it."""

    client: socket.socket
    server: socket.socket
    pending: bytes = b""  # from the client, not yet passed on

    def finish(self) -> None:
        """Passes the last bytes on, and returns when the server has executed them and hung up."""
        self.server.sendall(self.pending)
        self.server.shutdown(socket.SHUT_WR)  # the server reads this after the commands, and only then closes
        while self.server.recv(_CHUNK):
            pass
        self.server.close()

    def close(self) -> None:
        self.client.close()
        self.server.close()


class Held:
    """A command that is on its way: the server has yet to see it, and its connection is no longer served."""

    def __init__(self) -> None:
        self._arrived = threading.Event()
        self._link: _Link | None = None

    def keep(self, link: _Link) -> None:
        self._link = link
        self._arrived.set()

    def release(self) -> None:
        """Lets it through, and returns when the server has executed it."""
        if not self._arrived.wait(PATIENCE) or self._link is None:
            raise AssertionError("no command was held")
        self._link.finish()


class _Rule(NamedTuple):
    command: str
    end: Callable[[_Link], object]  # what becomes of the command
    then: Callable[[], object] = bool  # what else happens before the client notices
    cut: bool = True  # whether it does at once


class Proxy:
    """`port` is where clients connect; `close` ends it, and raises what went wrong in it.

    Each fault happens once: `proxy.lose_reply("EXEC")` is for the next EXEC of any connection, a second call for the
    one after it, and `proxy.lose_reply("COMMIT")` for the next call of that script. `then` runs in the proxy's thread before the client notices, so it must not go through the proxy.
    """

    def __init__(self, server_port: int) -> None:
        self._server_port = server_port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._refusing = False
        self._rules: list[_Rule] = []
        self._links: set[_Link] = set()
        self._ended: list[_Link] = []  # those that a rule has ended
        self._failure: BaseException | None = None
        self._selector = selectors.DefaultSelector()
        self._stop, self._stopped = socket.socketpair()
        for source, handle in ((self._listener, self._accept), (self._stopped, None)):
            self._selector.register(source, selectors.EVENT_READ, handle)
        self._thread = threading.Thread(target=self._run, name="proxy")
        self._thread.start()

    def close(self) -> None:
        self._stop.send(b"x")
        self._thread.join(PATIENCE)
        for each in (*self._links, *self._ended, self._selector, self._listener, self._stop, self._stopped):
            each.close()
        if self._failure is not None:
            raise self._failure

    def unused(self) -> list[str]:
        """The commands whose faults have not happened."""
        return [rule.command for rule in self._rules]

    def lose_reply(self, command: str, *, then: Callable[[], object] = bool, cut: bool = True) -> None:
        """The server executes the command, and the client is cut before the reply comes through, or left without one."""
        self._rules.append(_Rule(command, _Link.finish, then, cut))

    def drop(self, command: str, *, then: Callable[[], object] = bool) -> None:
        """The client's connection is cut, and the server never sees the command."""
        self._rules.append(_Rule(command, lambda link: link.server.close(), then))

    def hold(self, command: str, *, then: Callable[[], object] = bool, cut: bool = True) -> Held:
        """The server sees the command when it is released. Until then the client is cut, or left without an answer."""
        held = Held()
        self._rules.append(_Rule(command, held.keep, then, cut))
        return held

    def refuse(self) -> None:
        """From now on the server is out of reach: a connection is cut when it is made or used."""
        self._refusing = True

    def _run(self) -> None:
        while True:
            for key, _ in self._selector.select():
                if key.data is None:
                    return
                key.data()

    def _accept(self) -> None:
        client, _ = self._listener.accept()
        link = _Link(client, socket.create_connection(("127.0.0.1", self._server_port), PATIENCE))
        if self._refusing:
            link.close()
            return
        self._links.add(link)
        for source, serve in ((client, self._from_client), (link.server, self._from_server)):
            source.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._selector.register(source, selectors.EVENT_READ, lambda serve=serve: self._serve(link, serve))

    def _serve(self, link: _Link, serve: Callable[[_Link], bool]) -> None:
        if link not in self._links:  # gone since this round of events began
            return
        try:
            goes_on = serve(link) and not self._refusing
        except OSError:  # the other side has hung up
            goes_on = False
        if not goes_on and link in self._links:  # otherwise a rule has ended it
            self._detach(link)
            link.close()

    def _detach(self, link: _Link) -> None:
        self._links.discard(link)
        self._selector.unregister(link.client)
        self._selector.unregister(link.server)

    def _from_server(self, link: _Link) -> bool:
        data = link.server.recv(_CHUNK)
        link.client.sendall(data)
        return bool(data)

    def _from_client(self, link: _Link) -> bool:
        data = link.client.recv(_CHUNK)
        link.pending += data
        while found := first_command(link.pending):
            name, end = found
            names = (name, script_of(link.pending[:end]))
            for rule in self._rules:
                if rule.command in names:
                    self._fire(rule, link)
                    return True
            link.server.sendall(link.pending[:end])
            link.pending = link.pending[end:]
        return bool(data)

    def _fire(self, rule: _Rule, link: _Link) -> None:
        self._rules.remove(rule)
        self._detach(link)
        self._ended.append(link)
        try:
            rule.end(link)
            rule.then()
        except BaseException as error:  # it is raised in the test
            self._failure = error
        if rule.cut:
            link.client.close()


@contextmanager
def proxied(port: int) -> Iterator[Proxy]:
    """A proxy before a server. Every fault that is asked for must have happened at its end."""
    proxy = Proxy(port)
    try:
        yield proxy
        assert proxy.unused() == []
    finally:
        proxy.close()
