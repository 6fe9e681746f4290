"""The proxy that drops, delays, cuts and splits: what the client sees of each fault, and what the server does."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry
from support.chaos import Chaos
from support.plans import CONNECT, KINDS, Fault, dice, script
from support.proxy import PATIENCE, first_reply
from support.servers import Server

LONG = PATIENCE  # seconds of a delay that only `calm` cuts short
IMPATIENCE = 0.5  # seconds that a client waits which is to give up


@pytest.fixture
def noted() -> list[tuple[int, str]]:
    return []


@pytest.fixture
def chaos(server: Server, noted: list[tuple[int, str]]) -> Iterator[Chaos]:
    chaos = Chaos(server.port, lambda port, kind: noted.append((port, kind)))
    yield chaos
    chaos.close()


def connect(chaos: Chaos, seconds: float = PATIENCE) -> redis.Redis:
    """A client that tries nothing twice, and has a connection."""
    client = redis.Redis(port=chaos.port, socket_timeout=seconds, retry=Retry(NoBackoff(), 0), decode_responses=True)
    client.ping()
    return client


@pytest.fixture
def client(chaos: Chaos) -> Iterator[redis.Redis]:
    with connect(chaos) as client:
        yield client


def wait_until(condition: Callable[[], bool]) -> None:
    """The server may be slower than the client to notice."""
    deadline = time.monotonic() + PATIENCE / 2
    while not condition():
        assert time.monotonic() < deadline


def add(client: redis.Redis, key: str) -> Any:
    """A transaction, in one write. Its result, or the error's name."""
    try:
        return client.pipeline().incr(key).expire(key, 60).execute()[0]
    except redis.RedisError as error:
        return type(error).__name__


@pytest.mark.parametrize(
    ("fault", "seen", "at_once", "in_the_end"),
    [
        (Fault("drop"), "ConnectionError", None, None),
        (Fault("lose"), "ConnectionError", "1", "1"),
        (Fault("late", seconds=LONG), "ConnectionError", None, "1"),
        (Fault("delay", seconds=LONG), "TimeoutError", None, "1"),
        (Fault("delay", seconds=0.01), 1, "1", "1"),
        (Fault("delay reply", seconds=LONG), "TimeoutError", "1", "1"),
        (Fault("delay reply", seconds=0.01), 1, "1", "1"),
        (Fault("truncate", at=5), "ConnectionError", None, None),
        (Fault("truncate reply", at=5), "ConnectionError", "1", "1"),
        (Fault("split", seconds=0.01), 1, "1", "1"),
        (Fault("split reply", seconds=0.01), 1, "1", "1"),
    ],
    ids=str,
)
def test_fault(
    chaos: Chaos,
    rival: redis.Redis,
    prefix: str,
    fault: Fault,
    seen: object,
    at_once: str | None,
    in_the_end: str | None,
) -> None:
    """What the client sees, what the server has done by then, and what it has done when all has come."""
    with connect(chaos, IMPATIENCE if seen == "TimeoutError" else PATIENCE) as client:
        chaos.begin(script(("EXEC", fault)))
        assert add(client, prefix) == seen
        wait_until(lambda: rival.get(prefix) == at_once)
        chaos.calm()
        assert rival.get(prefix) == in_the_end
        assert chaos.faults == {fault.kind: 1}
        assert add(client, prefix) == int(in_the_end or 0) + 1  # nothing is left of it


def test_clients_that_give_up(chaos: Chaos, rival: redis.Redis, prefix: str) -> None:
    """The server gets what they have sent all the same, behind what came since."""
    with connect(chaos, IMPATIENCE) as client:
        chaos.begin(script(("EXEC", Fault("delay", seconds=LONG))))
        assert add(client, prefix) == "TimeoutError"
        rival.set(prefix, "10", ex=60)
        chaos.calm()
        assert rival.get(prefix) == "11"


def test_refusal(chaos: Chaos, client: redis.Redis) -> None:
    """A connection that is refused once is made the next time; one that stands goes on."""
    chaos.begin(script((CONNECT, Fault("refuse"))))
    assert client.ping()
    client.connection_pool.disconnect()
    with pytest.raises(redis.ConnectionError):
        client.ping()
    assert client.ping()
    assert chaos.faults == {"refuse": 1}


@pytest.mark.parametrize("command", ["MULTI", "INCRBY", "EXPIRE", "EXEC"])
@pytest.mark.parametrize("kind", ["drop", "lose", "late", "truncate", "truncate reply"])
def test_cut_within_a_transaction(
    chaos: Chaos, client: redis.Redis, rival: redis.Redis, prefix: str, command: str, kind: str
) -> None:
    """A cut between any two commands of one write: the server executes the transaction if it gets its last byte."""
    chaos.begin(script((command, Fault(kind, 3, 0.01))))
    assert add(client, prefix) == "ConnectionError"
    chaos.calm()
    assert rival.get(prefix) == (None if kind in ("drop", "truncate") else "1")


def test_each_fault_is_told_with_its_connection(
    chaos: Chaos, client: redis.Redis, prefix: str, noted: list[tuple[int, str]]
) -> None:
    """By the port of the client's end."""
    connection = client.connection_pool.get_connection()
    port = connection._sock.getsockname()[1]
    client.connection_pool.release(connection)
    chaos.begin(script(("GET", Fault("split")), ("GET", Fault("split reply"))))
    for _ in range(3):
        assert client.get(prefix) is None
    assert noted == [(port, "split"), (port, "split reply")]


@pytest.mark.parametrize("size", [0, 1, 100_000])
@pytest.mark.parametrize("kind", ["split", "split reply"])
def test_pieces_of_any_size(chaos: Chaos, client: redis.Redis, prefix: str, kind: str, size: int) -> None:
    """Commands and replies in pieces are what they were, those behind them in the same write too."""
    value = "\r\n$*" * size
    chaos.begin(script(("SET", Fault(kind, seconds=0.001)), ("GET", Fault(kind, seconds=0.001))))
    assert client.pipeline(transaction=False).set(prefix, value, ex=60).get(prefix).execute() == [True, value]


def test_calm_waits_for_what_is_on_its_way(chaos: Chaos, rival: redis.Redis, prefix: str) -> None:
    """Also for what a client sent that hung up a moment ago."""
    command = b"*2\r\n$4\r\nINCR\r\n$%d\r\n%b\r\n" % (len(prefix), prefix.encode())
    for number in range(1, 51):
        with socket.create_connection(("127.0.0.1", chaos.port), PATIENCE) as end:
            end.sendall(command)
        chaos.calm()
        assert rival.get(prefix) == str(number)
    rival.expire(prefix, 60)


def test_seed_draws_the_same_faults() -> None:
    """The same at every command; another seed, others. A rate is how often; connections are refused, commands are not."""
    rates = dict.fromkeys(KINDS, 0.02)

    def draw(seed: object, name: str = "GET") -> list[Fault | None]:
        plan = dice(rates, seed)
        return [plan(name) for _ in range(5_000)]

    assert draw(1) == draw(1) != draw(2)
    kinds = [fault.kind for fault in draw(1) if fault]
    assert set(kinds) == KINDS.keys() - {"refuse"}
    assert 0.12 < len(kinds) / 5_000 < 0.24
    assert {fault and fault.kind for fault in draw(1, CONNECT)} == {None, "refuse"}


@pytest.mark.parametrize(
    "reply",
    [b"+OK\r\n", b":1\r\n", b"$-1\r\n", b"$2\r\n\r\n\r\n", b"*-1\r\n", b"*2\r\n$1\r\na\r\n*1\r\n:1\r\n", b"_\r\n",
     b"%1\r\n+a\r\n*0\r\n", b"~1\r\n#t\r\n", b"-ERR no\r\n", b",1.5\r\n", b"=5\r\ntxt:a\r\n"],
)  # fmt: skip
def test_replies_that_come_in_pieces(reply: bytes) -> None:
    """A reply is recognised as soon as its last byte is there, and not before, in either protocol."""
    assert [first_reply(reply[:end]) for end in range(len(reply))] == [None] * len(reply)
    assert first_reply(reply + b"+OK\r\n") == len(reply)


def test_error_of_the_proxy_reaches_the_test(server: Server) -> None:
    """It is not taken for a fault."""

    def plan(name: str) -> Fault | None:
        return None if name == CONNECT else Fault(str(1 // 0))

    chaos = Chaos(server.port)
    with connect(chaos) as client:
        chaos.begin(plan)
        with pytest.raises(redis.ConnectionError):
            client.ping()
    for check in (chaos.calm, chaos.close):
        with pytest.raises(ZeroDivisionError):
            check()
