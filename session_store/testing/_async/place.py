"""Where a test of the conformance suite takes place: clients of one server, and keys of its own."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, NoReturn, TypeVar
from unittest import SkipTest
from uuid import uuid4

from session_store._async._flavour import check_client
from session_store._async.commands import AS_BYTES, scan
from session_store._async.namespace import AsyncNamespace
from session_store._async.store import AsyncSessionStore
from session_store._core.arguments import shorten
from session_store._core.names import INDEX, KeySpace, base_pattern, listed_keys
from session_store._core.policy import CasPolicy
from session_store.testing._async._flavour import run_test, sleep

NAME = "session"  # the namespace that a test's keys lie in, unless it names another
TTL_MS = 60_000  # of keys that are removed at the end; should that fail, they go by themselves
SOON_MS = 50  # of keys whose end a test waits for
PATIENCE = 10  # seconds until a key must have expired; only a test that fails waits for so long
_READS = frozenset({"EXISTS", "GET", "HEXISTS", "HGET", "HGETALL", "HKEYS", "HLEN", "HMGET", "PTTL"})
_POLICY = CasPolicy(max_retries=1000, backoff_base=0.002, backoff_cap=0.02)  # a slow client may lose often


class AsyncSuite:
    """What every part of the suite begins with."""

    def make_client(self) -> Any:
        """A new client to test. To be overridden.

        It is called several times in each test, in an event loop for an async client, and returns clients of the same
        server and database. Making one does no I/O, or little. The test closes what it returned.
        """
        raise NotImplementedError(f"{type(self).__name__} must define make_client(self), which returns a client")


S = TypeVar("S", bound=AsyncSuite)


class AsyncPlace:
    """The clients and keys of one test. `client` is the one under test, `other` another of the same server."""

    client: Any
    other: Any
    keyspace: KeySpace

    def __init__(self, suite: AsyncSuite, must: str, breaks: str) -> None:
        self._suite = suite
        self._must = must
        self._breaks = breaks
        self._clients: list[Any] = []
        self._keys: set[bytes] = set()
        self._names: set[str] = set()

    async def open(self) -> None:
        """Makes the clients. What that raises is not for the test to judge.

        Each sends a first command by itself: the cluster client of redis-py 8.1 fails when several tasks are its first.
        """
        self.client = self.make_client()
        self.other = self.make_client()
        self.keyspace = KeySpace(f"conformance-{uuid4().hex[:12]}", hash_tags=check_client(self.client))
        for client in (self.client, self.other):
            await _send(client, ("EXISTS", self.key()))

    def make_client(self) -> Any:
        """One more client of the server; it is closed when the test ends."""
        client = self._suite.make_client()
        check_client(client)  # one of another kind could not be closed either
        self._clients.append(client)
        return client

    def expect(self, condition: object, seen: str, value: object = "") -> None:
        """Fails the test unless the condition holds. The message shows what was seen, and the value with it."""
        __tracebackhide__ = True
        if not condition:
            self.fail(seen, value)

    def fail(self, seen: str, value: object = "") -> NoReturn:
        """Fails the test."""
        __tracebackhide__ = True
        raise AssertionError(
            self.complaint(seen if isinstance(value, str) and not value else f"{seen} {shorten(value)}")
        )

    async def expect_error(
        self,
        error_class: type[Exception] | tuple[type[Exception], ...],
        call: Callable[[], Awaitable[Any]],
        who: str,
        text: str = "",
    ) -> None:
        """Fails the test unless the call raises an error of this class, with this text in its message."""
        __tracebackhide__ = True
        try:
            seen = await call()
        except error_class as error:
            self.expect(text in str(error), f"{who} raised", str(error))
            return
        self.fail(f"{who} answered", seen)

    async def expect_reply_error(self, error_class: type[Exception], text: str, *command: Any) -> None:
        """The same for a command of the client under test."""
        __tracebackhide__ = True
        await self.expect_error(error_class, lambda: self.do(*command), str(command[0]), text)

    def complaint(self, seen: str) -> str:
        """The message of a failure."""
        return f"{self._must}\n  Seen: {seen}\n  Otherwise: {self._breaks}."

    def key(self, name: str = "a") -> bytes:
        """A key of the test's namespace; all of them lie in one hash slot of a cluster."""
        key = f"{self.keyspace.base(NAME)}{name}".encode()
        self._keys.add(key)
        return key

    def foreign(self, key: str) -> bytes:
        """A key that belongs to no namespace of the test. It must not be anybody else's either."""
        self._keys.add(key.encode())
        return key.encode()

    def store(self, client: Any = None) -> AsyncSessionStore[str]:
        """A store on the client, or on another one."""
        return AsyncSessionStore(
            client or self.client, prefix=self.keyspace.prefix, default_ttl=TTL_MS / 1000, cas_policy=_POLICY
        )

    def namespace(self, client: Any = None, *, name: str = NAME) -> AsyncNamespace[str]:
        """A namespace of a store on the client, or on another one."""
        self._names.add(name)
        return self.store(client).namespace(name)

    async def do(self, *command: Any) -> Any:
        """The reply to a command by the client under test."""
        return await _send(self.client, command)

    async def other_does(self, *command: Any) -> Any:
        """The reply to a command by the other client."""
        return await _send(self.other, command)

    async def write(self, key: bytes, value: bytes = b"1", ttl_ms: int = TTL_MS) -> None:
        """A string key, written by the client under test."""
        await self.do("SET", key, value, "PX", ttl_ms)

    async def gone(self, *keys: bytes) -> bool:
        """Whether the keys have expired, as the other client sees it, within a time that is ample."""
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            lives = [await self.other_does("EXISTS", key) for key in keys]
            if not any(lives):
                return True
            await sleep(0.005)
        return False

    async def found(self, begin: str = "") -> set[bytes]:
        """The keys of the test's namespace, of which the slots begin like this, that a scan finds."""
        return {key async for key in scan(self.client, base_pattern(self.keyspace.base(NAME) + begin))}

    async def close(self) -> None:
        """Gives back and closes everything, and removes the keys, by a client that has seen nothing of the test."""
        try:
            await self._remove(self.make_client())
        finally:
            while self._clients:
                await self._clients.pop().aclose()

    async def _remove(self, client: Any) -> None:
        for name in self._names:
            base = self.keyspace.base(name)
            index = base.encode() + INDEX
            fields = await _send(client, ("HKEYS", index))
            named = [field.encode() if isinstance(field, str) else field for field in fields or ()]  # even so
            self._keys.update(listed_keys(base, named), [index])
        for key in self._keys:
            await _send(client, ("DEL", key))


async def _send(client: Any, command: tuple[Any, ...]) -> Any:
    """The reply to a command that is sent as the store sends it: client-side caching asks for the keys of reads."""
    keys = {"keys": [command[1]]} if command[0] in _READS else {}
    return await client.execute_command(*command, **keys, **AS_BYTES)


Test = Callable[[S, AsyncPlace], Awaitable[None]]


def otherwise(breaks: str) -> Callable[[Test[S]], Callable[[S], None]]:
    """Makes a test of a method that takes a place. Its docstring is the rule, `breaks` what a breach of it breaks.

    The test is a plain method without arguments. Whatever goes wrong in it is an `AssertionError` that names both.
    """

    def decorate(test: Test[S]) -> Callable[[S], None]:
        must = (test.__doc__ or test.__name__).partition("\n")[0]  # python -OO takes docstrings away

        def run(suite: S) -> None:
            __tracebackhide__ = True
            run_test(lambda: _run(suite, test, AsyncPlace(suite, must, breaks)))

        for attribute in ("__module__", "__name__", "__qualname__", "__doc__"):  # and no __wrapped__, since pytest
            setattr(run, attribute, getattr(test, attribute))  # would take the test's arguments for fixtures
        return run

    return decorate


async def _run(suite: S, test: Test[S], place: AsyncPlace) -> None:
    __tracebackhide__ = True
    try:
        await place.open()
        try:
            await test(suite, place)
        except (AssertionError, SkipTest):
            raise
        except Exception as error:
            raise AssertionError(place.complaint(f"{type(error).__name__}: {shorten(str(error))}")) from error
    except BaseException:
        with suppress(Exception):  # what went wrong first says more
            await place.close()
        raise
    try:
        await place.close()
    except Exception as error:
        raise AssertionError(place.complaint(f"its keys could not be removed: {type(error).__name__}")) from error
