"""A TCP proxy that does to commands and replies what networks do to them, by script or at random from a seed.

One thread serves all connections and never waits: what is delayed is put on a clock. Faults are decided command by
command, also within one write: a transaction can be cut anywhere between its MULTI and its EXEC's reply.
"""

from __future__ import annotations

import heapq
import itertools
import selectors
import socket
import struct
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator
from functools import partial

from support.plans import CONNECT, PIECES, Fault, Plan
from support.proxy import PATIENCE, first_command, first_reply

_OF_REPLIES = frozenset({"lose", "delay reply", "truncate reply", "split reply"})
_CHUNK = 65_536
_QUIET = 0.005  # seconds in which nothing comes: then nothing is on its way any more


def pieces(data: bytes) -> list[bytes]:
    """What is split, in the order in which it comes."""
    size = len(data) // PIECES + 1
    return [data[at : at + size] for at in range(0, len(data), size)]


class _Way:
    """One direction of a connection: what is to be done there, each step in its turn, after a pause or at once."""

    def __init__(self, chaos: Chaos) -> None:
        self._chaos = chaos
        self._steps: deque[tuple[float, Callable[[], object]]] = deque()
        self._pauses = False

    def __len__(self) -> int:
        return len(self._steps)

    def put(self, *steps: tuple[float, Callable[[], object]]) -> None:
        self._steps.extend(steps)
        self._go_on()

    def clear(self) -> None:
        self._steps.clear()

    def _go_on(self) -> None:
        while self._steps and not self._pauses:
            seconds, step = self._steps.popleft()
            if seconds:
                self._steps.appendleft((0, step))
                self._pauses = True
                self._chaos.after(seconds, self._resume)
            else:
                step()

    def _resume(self) -> None:
        self._pauses = False
        self._go_on()


class _Link:
    """One client's connection, and the one to the server that belongs to it.

    A client that has hung up, or was cut off, leaves behind what it had sent: the server still gets that, and answers
    nobody. Only then the server is told that there is no more to come.
    """

    def __init__(self, chaos: Chaos, port: int, client: socket.socket, server: socket.socket) -> None:
        self._chaos = chaos
        self._port = port
        self.client: socket.socket | None = client
        self._server: socket.socket | None = server
        self._sent = self._answered = b""  # the beginning of a command, and of a reply
        self._commands, self._replies = _Way(chaos), _Way(chaos)
        self._faults: deque[Fault | None] = deque()  # of the replies to come

    def from_client(self, data: bytes) -> None:
        self._sent += data
        while found := first_command(self._sent):
            name, end = found
            command, self._sent = self._sent[:end], self._sent[end:]
            fault = self._chaos.plan(name)
            on_the_way_back = fault is not None and fault.kind in _OF_REPLIES
            self._faults.append(fault if on_the_way_back else None)
            self._commands.put(*self._steps(None if on_the_way_back else fault, command, self._to_server))
        if not data:
            self.hang_up()

    def from_server(self, data: bytes) -> None:
        self._answered += data
        while end := first_reply(self._answered):
            reply, self._answered = self._answered[:end], self._answered[end:]
            fault = self._faults.popleft() if self._faults and reply[:1] != b">" else None
            self._replies.put(*self._steps(fault, reply, self._to_client))
        if not data:
            self.end()

    def _steps(
        self, fault: Fault | None, data: bytes, send: Callable[[bytes], None]
    ) -> Iterator[tuple[float, Callable[[], object]]]:
        """What becomes of a command or reply."""
        kind = fault.kind.removesuffix(" reply") if fault else "pass"
        if fault:
            yield 0, lambda: self._chaos.happened(self._port, fault.kind)
        if kind == "split":
            for number, piece in enumerate(pieces(data)):
                yield (fault.seconds if number else 0), partial(send, piece)
        elif kind == "truncate":
            yield 0, partial(send, data[: fault.at % len(data)])
        elif kind not in ("drop", "lose"):
            if kind == "late":
                yield 0, self.hang_up
            yield (fault.seconds if fault else 0), partial(send, data)
        if kind in ("drop", "lose", "truncate"):
            yield 0, self._cut

    def _to_client(self, data: bytes) -> None:
        try:
            if self.client:
                self.client.sendall(data)
        except OSError:
            self.hang_up()

    def _to_server(self, data: bytes) -> None:
        try:
            if self._server:
                self._server.sendall(data)
        except OSError:
            self.end()
        if not self.client:
            self._say_no_more()

    def _cut(self) -> None:
        self._sent = b""
        self._commands.clear()
        self.hang_up()

    def hang_up(self) -> None:
        """The client is gone, or is made to believe that the server is."""
        if self.client:
            self._chaos.forget(self.client)
            self.client = None
        self._say_no_more()

    def _say_no_more(self) -> None:
        """The server reads this after the commands, if no more are on their way, and closes when it has executed them."""
        if self._server and not self._commands:
            try:
                self._server.shutdown(socket.SHUT_WR)
            except OSError:
                self.end()

    def end(self) -> None:
        """The server has closed the connection."""
        if self._server:
            self._chaos.forget(self._server)
            self._server = None
            self._chaos.links.discard(self)
            self._cut()


class Chaos:
    """`port` is where clients connect; `begin` starts the faults, `calm` ends them, `close` ends it all.

    `note(port, kind)` is told of each fault when it happens, with the port of the client's end of the connection, and
    `faults` counts them. Both are the proxy's thread's.
    """

    def __init__(self, server_port: int, note: Callable[[int, str], object] = lambda port, kind: None) -> None:
        self._server_port = server_port
        self._note = note
        self._plan: Plan | None = None
        self.faults: Counter[str] = Counter()
        self.links: set[_Link] = set()
        self._clock: list[tuple[float, int, Callable[[], None]]] = []
        self._numbers = itertools.count()
        self._failure: BaseException | None = None
        self._wanted, self._calm, self._ends = threading.Event(), threading.Event(), threading.Event()
        self._selector = selectors.DefaultSelector()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self._wake, self._woken = socket.socketpair()
        self.port: int = self._listener.getsockname()[1]
        self._selector.register(self._listener, selectors.EVENT_READ, self._accept)
        self._selector.register(self._woken, selectors.EVENT_READ, lambda: self._woken.recv(_CHUNK))
        self._thread = threading.Thread(target=self._run, name="chaos")
        self._thread.start()

    def begin(self, plan: Plan) -> None:
        """From now on this is what happens."""
        self._plan = plan

    def calm(self) -> None:
        """Ends the faults, and returns when all that was on its way has come and has been executed."""
        self._plan = None
        self._calm.clear()
        self._wanted.set()
        self._wake.send(b"x")
        if self._failure is None and not self._calm.wait(PATIENCE):
            raise AssertionError(f"not all that was on its way has come, on {len(self.links)} connections")
        if self._failure is not None:
            raise self._failure

    def close(self) -> None:
        """Ends it, and raises what went wrong in it."""
        self._ends.set()
        self._wake.send(b"x")
        self._thread.join(PATIENCE)
        for each in (self._listener, self._wake, self._woken, self._selector):
            each.close()
        if self._failure is not None:
            raise self._failure

    def plan(self, name: str) -> Fault | None:
        return self._plan(name) if self._plan else None

    def happened(self, port: int, kind: str) -> None:
        self.faults[kind] += 1
        self._note(port, kind)

    def after(self, seconds: float, then: Callable[[], None]) -> None:
        heapq.heappush(self._clock, (time.monotonic() + seconds, next(self._numbers), then))

    def forget(self, end: socket.socket) -> None:
        self._selector.unregister(end)
        end.close()

    def _run(self) -> None:
        try:
            while not self._ends.is_set():
                was_wanted = self._wanted.is_set()
                quiet = not self._serve(_QUIET if was_wanted else None)
                while self._clock and (was_wanted or self._clock[0][0] <= time.monotonic()):
                    heapq.heappop(self._clock)[2]()
                    quiet = False
                if was_wanted and quiet and all(link.client for link in self.links):
                    self._wanted.clear()
                    self._calm.set()
        except BaseException as error:  # it is raised in the test
            self._failure = error
            self._calm.set()
        finally:
            for link in tuple(self.links):
                link.end()

    def _serve(self, most: float | None) -> bool:
        """Whether anything came, after a wait for it or for what is next on the clock."""
        if self._clock:
            due = max(self._clock[0][0] - time.monotonic(), 0)
            most = due if most is None else min(most, due)
        events = self._selector.select(most)
        for key, _ in events:
            if key.fileobj.fileno() >= 0:  # not closed since this round of events began
                key.data()
        return bool(events)

    def _accept(self) -> None:
        client, (_, port) = self._listener.accept()
        fault = self.plan(CONNECT)
        if fault is not None:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # a reset, not an end
            client.close()
            self.happened(port, fault.kind)
            return
        server = socket.create_connection(("127.0.0.1", self._server_port), PATIENCE)
        link = _Link(self, port, client, server)
        self.links.add(link)
        for end, serve in ((client, link.from_client), (server, link.from_server)):
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._selector.register(end, selectors.EVENT_READ, partial(self._receive, end, serve))

    def _receive(self, end: socket.socket, serve: Callable[[bytes], None]) -> None:
        try:
            data = end.recv(_CHUNK)
        except OSError:  # a reset ends a connection as well
            data = b""
        serve(data)
