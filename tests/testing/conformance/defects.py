"""Clients that each have one defect."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import redis
import redis.asyncio
from redis.client import NEVER_DECODE
from redis.exceptions import NoScriptError, ResponseError

SOCKET_TIMEOUT = 2  # seconds; what a defect makes wait ends then


def client(
    port: int, *, client_class: Any = redis.Redis, connection_class: Any = redis.Connection, **options: Any
) -> Any:
    """A client whose connections are of this class."""
    module = redis if issubclass(connection_class, redis.Connection) else redis.asyncio
    pool = module.ConnectionPool(
        connection_class=connection_class, host="127.0.0.1", port=port, socket_timeout=SOCKET_TIMEOUT, **options
    )
    return client_class.from_pool(pool)


# What becomes of replies


class Changing(redis.Redis):
    """Answers something else."""

    def change(self, command: str, reply: Any) -> Any:
        raise NotImplementedError

    def execute_command(self, *args: Any, **options: Any) -> Any:
        return self.change(args[0], super().execute_command(*args, **options))


def changing(rule: Callable[[str, Any], Any]) -> dict[str, Any]:
    """The options of a client whose replies go by a rule."""
    return {"client_class": type("Client", (Changing,), {"change": staticmethod(rule)})}


def blank_is_none(command: str, reply: Any) -> Any:
    return None if reply == b"" else reply


def none_is_blank(command: str, reply: Any) -> Any:
    return b"" if reply is None else reply


def as_double(command: str, reply: Any) -> Any:
    return int(float(reply)) if type(reply) is int else reply


def flattened(command: str, reply: Any) -> Any:
    if not isinstance(reply, list):
        return reply
    return [part for each in reply for part in (each if isinstance(each, list) else [each])]


def flat(command: str, reply: Any) -> Any:
    return [part for item in reply.items() for part in item] if isinstance(reply, dict) else reply


class Decoding(redis.Redis):
    """Decodes what it is told not to."""

    def execute_command(self, *args: Any, **options: Any) -> Any:
        options.pop(NEVER_DECODE, None)
        return super().execute_command(*args, **options)


class SwallowsUnknownScripts(redis.Redis):
    def execute_command(self, *args: Any, **options: Any) -> Any:
        try:
            return super().execute_command(*args, **options)
        except NoScriptError:
            return None


class SwallowsErrors(redis.Redis):
    """Takes a refusal for an answer."""

    def execute_command(self, *args: Any, **options: Any) -> Any:
        try:
            return super().execute_command(*args, **options)
        except NoScriptError:
            raise
        except ResponseError:
            return None


class Remembers(redis.Redis):
    """A cache that nobody tells of changes."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.seen: dict[Any, Any] = {}

    def execute_command(self, *args: Any, **options: Any) -> Any:
        if args[0] not in ("GET", "HGETALL"):
            return super().execute_command(*args, **options)
        if args not in self.seen:
            self.seen[args] = super().execute_command(*args, **options)
        return self.seen[args]


class ReadsElsewhere(redis.Redis):
    """Its reads go to another database, as if to a replica that is far behind."""

    def execute_command(self, *args: Any, **options: Any) -> Any:
        if args[0] not in ("GET", "HGETALL", "HGET"):
            return super().execute_command(*args, **options)
        here = self.connection_pool.connection_kwargs
        with redis.Redis(port=here["port"], db=9) as replica:
            return replica.execute_command(*args, **options)


class Renews(redis.Redis):
    """A read makes the key live longer."""

    def execute_command(self, *args: Any, **options: Any) -> Any:
        reply = super().execute_command(*args, **options)
        if args[0] in ("GET", "HGETALL"):
            super().execute_command("PEXPIRE", args[1], 600_000)
        return reply


class SplitsScripts(redis.Redis):
    """Runs a script over several keys for one key after the other."""

    def execute_command(self, *args: Any, **options: Any) -> Any:
        if args[0] == "EVAL" and "ipairs(KEYS)" in str(args[1]):
            _, source, count, *rest = args
            for key in rest[:count]:
                reply = super().execute_command("EVAL", source, 1, key, *rest[count:], **options)
                time.sleep(0.001)
            return reply
        return super().execute_command(*args, **options)


class Backwards(redis.Redis):
    """Its pipelines answer from the end."""

    def pipeline(self, *args: Any, **options: Any) -> Any:
        pipeline = super().pipeline(*args, **options)
        execute = pipeline.execute
        pipeline.execute = lambda *args, **options: execute(*args, **options)[::-1]
        return pipeline


# What becomes of connections


class ClosesAfterErrors(redis.Connection):
    """Takes every error for the end."""

    _connected = False  # a handshake may have errors

    def connect(self) -> None:
        super().connect()
        self._connected = True

    def disconnect(self, *args: Any, **options: Any) -> None:
        self._connected = False
        super().disconnect(*args, **options)

    def read_response(self, *args: Any, **options: Any) -> Any:
        try:
            return super().read_response(*args, **options)
        except ResponseError:
            if self._connected:
                self.disconnect()
            raise


# What becomes of async clients


class AsyncSwallowsUnknownScripts(redis.asyncio.Redis):
    async def execute_command(self, *args: Any, **options: Any) -> Any:
        try:
            return await super().execute_command(*args, **options)
        except NoScriptError:
            return None
