"""What the client is, holds for every call: whoever looks at its commands, or changes them, is asked for each of them."""

from __future__ import annotations

import asyncio
import functools
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import redis
import redis.asyncio
import wrapt
from opentelemetry.instrumentation.redis import RedisInstrumentor
from support.callers import FLAVOURS, NAME, READS, WRITES, Caller, fill
from support.closures import in_flavour, settled
from support.recorder import Recorder
from support.servers import Server

from session_store import AsyncInMemoryClient, AsyncSessionStore, CasPolicy, InMemoryClient
from session_store._async import fast_path
from session_store._sync import fast_path as sync_fast_path

pytestmark = pytest.mark.long

KINDS = {"sync": InMemoryClient, "async": AsyncInMemoryClient}
BASES = {"sync": redis.Redis, "async": redis.asyncio.Redis}

Tell = Callable[..., Any]  # a function in the place of `execute_command`, which notes the command and passes it on


class Told:
    """Ways to have a look at each command of a client in memory. `commands` holds their names."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, flavour: str) -> None:
        self._monkeypatch = monkeypatch
        self._kind: Any = KINDS[flavour]
        self._base: Any = BASES[flavour]
        self._module = self._base.__module__.removesuffix(".client")
        self.commands: list[str] = []
        self._undo: list[Callable[[], object]] = []

    def _note(self, wrapped: Any, instance: Any, args: Any, options: Any) -> Any:
        """As wrapt calls it."""
        self.commands.append(args[0])
        return wrapped(*args, **options)

    def _look(self) -> Tell:
        original = self._base.execute_command

        def execute_command(client: Any, *args: Any, **options: Any) -> Any:
            self.commands.append(args[0])
            return original(client, *args, **options)

        return execute_command

    def _restored_at_the_end(self) -> None:
        self._monkeypatch.setattr(self._base, "execute_command", self._base.execute_command)

    def class_by_wrapt(self) -> Any:
        """As tracing does it, and long after this library was imported."""
        self._restored_at_the_end()
        wrapt.wrap_function_wrapper(self._module, "Redis.execute_command", self._note)
        return self._kind()

    def class_by_wrapt_after_the_client_was_made(self) -> Any:
        client = self._kind()
        self._restored_at_the_end()
        wrapt.wrap_function_wrapper(self._module, "Redis.execute_command", self._note)
        return client

    def client_by_wrapt(self) -> Any:
        client = self._kind()
        wrapt.wrap_function_wrapper(client, "execute_command", self._note)
        return client

    def proxy(self) -> Any:
        """An object around the client; what it does not have is the client's own, `scan_iter` for one."""
        note = self._note

        class Proxy(wrapt.ObjectProxy):
            def execute_command(self, *args: Any, **options: Any) -> Any:
                return note(self.__wrapped__.execute_command, self, args, options)

        return Proxy(self._kind())

    def class_by_functools(self) -> Any:
        wrapper = functools.wraps(self._base.execute_command)(self._look())
        self._monkeypatch.setattr(self._base, "execute_command", wrapper)
        return self._kind()

    def class_without_a_trace(self) -> Any:
        """What is there says that it is another function of another module, and no more."""
        self._monkeypatch.setattr(self._base, "execute_command", self._look())
        return self._kind()

    def client_by_partial(self) -> Any:
        client = self._kind()
        client.execute_command = functools.partial(self._look(), client)
        return client

    def subclass(self) -> Any:
        return type("Traced", (self._kind,), {"execute_command": self._look()})()

    def mixin(self) -> Any:
        look = self._look()

        class Tracing:
            def execute_command(self, *args: Any, **options: Any) -> Any:
                return look(self, *args, **options)

        return type("Traced", (Tracing, self._kind), {})()

    def _hook(self, span: Any, instance: Any, args: Any, options: Any) -> None:
        self.commands.append(args[0])

    def class_by_opentelemetry(self) -> Any:
        instrumentor = RedisInstrumentor()
        self._restored_at_the_end()
        instrumentor.instrument(request_hook=self._hook)
        self._undo.append(instrumentor.uninstrument)
        return self._kind()

    def client_by_opentelemetry(self) -> Any:
        client = self._kind()
        RedisInstrumentor.instrument_client(client, request_hook=self._hook)
        return client


WAYS = [name for name in vars(Told) if not name.startswith("_")]


@pytest.fixture(params=FLAVOURS)
def flavour(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch, flavour: str) -> Iterator[Told]:
    told = Told(monkeypatch, flavour)
    yield told
    for undo in told._undo:
        undo()


@pytest.fixture
def caller_of(flavour: str) -> Iterator[Callable[..., Caller]]:
    """Makes a caller of a client. What is laid in the queue of its loop is done at the end."""
    made: list[Caller] = []

    def caller_of(client: Any, **settings: Any) -> Caller:
        loop = asyncio.new_event_loop() if flavour == "async" else None
        made.append(Caller(client, loop, **{"prefix": "shop", **settings}))
        return made[-1]

    yield caller_of
    for caller in made:
        caller.close()


def reading(ns: Any) -> Any:
    """A closure that reads more than is watched: a large slot that is, and some that are not."""

    async def closure(snap: Any, ops: Any) -> tuple[Any, ...]:
        found = [await settled(snap.get(slot)) for slot in ("large", "n")]
        return (*map(len, found), await settled(snap.hgetall("h")), await settled(snap.kind("ids")))

    return ns.with_cas("large", in_flavour(closure, is_async=ns.is_async))


def losing(ns: Any) -> Any:
    """A commit that another writer makes lose twice."""
    for _ in range(2):
        ns.client.simulate_concurrent_change(ns.key("n"))
    return ns.cas("n", lambda value, ops: ops.set("n", "2"))


def nesting_calls(ns: Any) -> Any:
    """A closure that calls the namespace itself."""

    async def closure(snap: Any, ops: Any) -> tuple[Any, ...]:
        await settled(ns._namespace.set("beside", "1"))
        return await settled(ns._namespace.get("n")), await settled(ns._namespace.incr("ids"))

    return ns.with_cas("n", in_flavour(closure, is_async=ns.is_async))


MORE: dict[str, Callable[[Any], object]] = {
    "kind": lambda ns: ns.kind("n"),
    "load": lambda ns: ns.load("n", "h"),
    "load of all": lambda ns: ns.load(),
    "load_many": lambda ns: ns.wait(ns._store.load_many([NAME, "nobody"], "h")),
    "touch of one": lambda ns: ns.touch("n", "no"),
    "with_cas that reads more": reading,
    "with_cas that loses": losing,
    "with_cas around calls": nesting_calls,
}
CALLS = {**READS, **MORE, **WRITES}
SCANS = {"namespaces", "touch of what a scan finds", "purge of what a scan finds"}
POLICY = CasPolicy(backoff_base=0)


def filled(ns: Caller) -> Caller:
    """The same each time, whatever its server held before."""
    with InMemoryClient(server=ns.client.server) as plain:
        plain.flushall()  # a server in memory, which is this test's alone
    fill(ns)
    ns.set("large", "x" * 100_000)
    return ns


def calls_behind(way: str) -> list[str]:
    """What can be called there."""
    return [name for name in CALLS if not (way == "proxy" and name in SCANS)]


@pytest.mark.parametrize("way", WAYS)
def test_who_looks_at_commands_sees_them_all(
    told: Told, flavour: str, caller_of: Callable[..., Caller], monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    """Every command that is written has been told, whatever method sends it; and each gives what it gives without."""
    plain = caller_of(KINDS[flavour]())
    expected = {name: CALLS[name](filled(plain)) for name in calls_behind(way)}
    ns = caller_of(getattr(told, way)(), cas_policy=POLICY)
    recorder = Recorder(monkeypatch)
    for name in calls_behind(way):
        filled(ns)
        recorder.clear()
        told.commands.clear()
        assert (name, CALLS[name](ns)) == (name, expected[name])
        written = Counter(each for write in recorder.writes for each in write)
        assert (name, Counter(told.commands)) == (name, written)
        assert written


@pytest.mark.parametrize("way", WAYS)
def test_who_looks_at_commands_sees_those_that_wait_for_replicas(
    told: Told, caller_of: Callable[..., Caller], monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    """But WAIT itself, and the write before it, which have to be on one connection."""
    ns = filled(caller_of(getattr(told, way)(), min_replicas=1))
    recorder = Recorder(monkeypatch)
    waiting = {
        "incr": lambda: ns.incr("ids"),
        "with_cas": lambda: ns.cas("n", lambda value, ops: ops.set("n", "2")),
        "purge": lambda: ns.purge(fence=60),
    }
    for name, call in waiting.items():
        recorder.clear()
        told.commands.clear()
        call()
        written = Counter(each for write in recorder.writes for each in write)
        assert (name, written - Counter(told.commands)) == (name, Counter(EVAL=1, WAIT=1))
        assert not Counter(told.commands) - written
        assert recorder.writes[-1] == ("EVAL", "WAIT")


def test_clients_of_redis_py_are_not_looked_at(flavour: str, caller_of: Callable[..., Caller]) -> None:
    """So the tests above have tried something."""
    client: Any = KINDS[flavour]()
    caller_of(client)
    assert (fast_path if flavour == "async" else sync_fast_path).is_plain(client)


TENANT = b"t1:"
_KEYS_BEHIND_COUNT = ("EVAL", "EVALSHA")


def _renamed(args: tuple[Any, ...]) -> list[Any]:
    """A command with its keys renamed, and the pattern of SCAN."""
    command = list(args)
    if args[0] == "SCAN":
        at = command.index(b"MATCH") + 1
        places = range(at, at + 1)
    else:
        places = range(3, 3 + args[2]) if args[0] in _KEYS_BEHIND_COUNT else range(1, 2)
    for place in places:
        command[place] = TENANT + command[place]
    return command


def _scanned(args: tuple[Any, ...], reply: Any) -> Any:
    """The reply of SCAN, with the names that the caller gave its keys."""
    return (reply[0], [key.removeprefix(TENANT) for key in reply[1]]) if args[0] == "SCAN" else reply


class TenantClient(InMemoryClient):
    """The usual answer to "a key prefix for redis-py", for SCAN as well."""

    def execute_command(self, *args: Any, **options: Any) -> Any:
        return _scanned(args, super().execute_command(*_renamed(args), **options))


class AsyncTenantClient(AsyncInMemoryClient):
    async def execute_command(self, *args: Any, **options: Any) -> Any:
        return _scanned(args, await super().execute_command(*_renamed(args), **options))


TENANTS: dict[str, Any] = {"sync": TenantClient, "async": AsyncTenantClient}


def keys_of(client: Any) -> list[bytes]:
    """All on its server, by their names there."""
    with InMemoryClient(server=client.server) as plain:
        return [key for key in plain.keys("*") if plain.pttl(key) != -2]


@pytest.mark.parametrize("min_replicas", [0, 1])
def test_a_client_that_renames_keys_does_so_everywhere(
    flavour: str, caller_of: Callable[..., Caller], min_replicas: int
) -> None:
    """Each method gives what it gives without, and no key of another name comes into being."""
    client = TENANTS[flavour]()
    ns = filled(caller_of(client, min_replicas=min_replicas))
    other = filled(caller_of(KINDS[flavour](), min_replicas=min_replicas))
    for name, call in CALLS.items():
        filled(ns)
        filled(other)
        assert (name, call(ns)) == (name, call(other))
        assert sorted(keys_of(client)) == sorted(TENANT + key for key in keys_of(other.client))
        assert all(key.startswith(b"t1:shop:") for key in keys_of(client))


def test_a_basket_is_moved_into_an_order_behind_it(flavour: str, caller_of: Callable[..., Caller]) -> None:
    """Single calls and commits use the same keys."""
    ns = caller_of(TENANTS[flavour]())
    ns.hset("basket", "tea", "2")

    async def order(snap: Any, ops: Any) -> Any:
        basket = await settled(snap.hgetall("basket"))
        ops.hset("order", mapping=basket)
        ops.delete("basket")
        return basket

    assert ns.with_cas("basket", in_flavour(order, is_async=ns.is_async)) == {"tea": "2"}
    assert (ns.hgetall("basket"), ns.hgetall("order")) == ({}, {"tea": "2"})


def test_tenants_of_one_server_are_apart(flavour: str, caller_of: Callable[..., Caller]) -> None:
    """With names of namespaces, slots and locks that are the same, and with a scan."""
    client = TENANTS[flavour]()
    one, other = caller_of(client), caller_of(KINDS[flavour](server=client.server))
    one.set("n", "1")
    assert other.get("n") is None
    assert other.cas("n", lambda value, ops: ops.set("n", "2") or value) is None
    other.set("more", "1")
    assert one.cas("n", lambda value, ops: value) == "1"
    assert (one.slots(), other.slots()) == (["n"], ["more", "n"])
    assert (one.namespaces(), other.namespaces()) == ([NAME], [NAME])
    assert other.purge(scan=True) == 2
    assert (one.get("n"), one.purge(scan=True), keys_of(client)) == ("1", 1, [])


def test_a_scan_whose_reply_is_not_renamed_back_finds_nothing(
    flavour: str, caller_of: Callable[..., Caller], monkeypatch: pytest.MonkeyPatch
) -> None:
    """And harms nobody: names that are not the namespace's are left alone. What the index names is found all the same."""
    monkeypatch.setitem(globals(), "_scanned", lambda args, reply: reply)
    client = TENANTS[flavour]()
    ns = filled(caller_of(client))
    assert (ns.namespaces(), ns.touch(scan=True)) == ([], 4)
    with InMemoryClient(server=client.server) as plain:
        plain.set("t1:shop:session:foreign", "1", ex=60)
    assert ns.purge(scan=True) == 4
    assert keys_of(client) == [b"t1:shop:session:foreign"]


async def test_a_key_that_only_looks_like_an_index_is_passed_over(server: Server, prefix: str) -> None:
    """By a client that is called for each command, too: its error stands in the place of a reply."""

    class Traced(redis.asyncio.Redis):
        async def execute_command(self, *args: Any, **options: Any) -> Any:
            return await super().execute_command(*args, **options)

    async with Traced(port=server.port) as client:
        store = AsyncSessionStore(client, prefix=prefix, default_ttl=60)
        await store.namespace("u").set("a", "1")
        await client.set(f"{prefix}:v:~index", "text", ex=60)
        assert [name async for name in store.namespaces()] == ["u"]
        await client.delete(f"{prefix}:v:~index")
        await store.namespace("u").purge()
