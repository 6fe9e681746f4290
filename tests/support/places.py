"""The back ends of the state machine, with the methods of its model: stores, another program, and time.

On a server time passes without waiting: every key under the prefix loses some of what it has left.
"""

from __future__ import annotations

from typing import Any

import redis

from session_store import CasPolicy, InMemoryClient, Namespace, SessionStore
from support.calls import DEFAULT_TTL, tens
from support.model import OUTSIDER
from support.space import Slot

# What makes a server's keys older; a fence is a time of its clock.
_AGE = """
for _, key in ipairs(redis.call('KEYS', ARGV[1])) do
  local left = redis.call('PTTL', key) - ARGV[2]
  if left <= 0 then
    redis.call('DEL', key)
  else
    redis.call('PEXPIRE', key, left)
    if string.sub(key, -7) == ':~index' and redis.call('HEXISTS', key, '~fence') == 1 then
      redis.call('HINCRBY', key, '~fence', -ARGV[2])
    end
  end
end
"""


def to_bytes(text: str) -> bytes:
    """What a text of the model stands for."""
    return text.encode(errors="surrogateescape")


def to_text(data: Any) -> Any:
    """A reply with its bytes as text."""
    if isinstance(data, dict):
        return {to_text(name): to_text(value) for name, value in data.items()}
    return [to_text(value) for value in data] if isinstance(data, list) else data.decode(errors="surrogateescape")


class Program:
    """Another program on a back end: plain commands."""

    def __init__(self, backend: Backend, name: str) -> None:
        self._backend, self._client = backend, backend.client
        self._base = f"{backend.prefix}:{name}:"

    def delete(self, slot: str) -> None:
        self._client.delete(self._base + slot)

    def write(self, slot: str, kind: str, value: Any, ttl: int) -> None:
        """A string, hash or list in place of whatever there is, by one transaction."""
        key = self._base + slot
        with self._client.pipeline() as pipeline:
            pipeline.delete(key)
            if kind == "string":
                pipeline.set(key, to_bytes(value))
            elif kind == "hash":
                pipeline.hset(key, mapping={field: to_bytes(text) for field, text in value.items()})
            else:
                pipeline.rpush(key, *value)
            pipeline.pexpire(key, ttl * 1000)
            pipeline.execute()

    def outlive(self, seconds: int) -> None:
        self._backend.advance(seconds)


class Backend:
    """Two stores on one server, and a client to look at it with."""

    def __init__(self, client: redis.Redis, prefix: str, clients: list[redis.Redis]) -> None:
        self.client, self.prefix = client, prefix
        policy = CasPolicy(backoff_base=0.0005, backoff_cap=0.0005)  # nobody is really in the way
        self.stores = [
            SessionStore(each, prefix=prefix, default_ttl=DEFAULT_TTL, cas_policy=policy) for each in clients
        ]

    def __repr__(self) -> str:
        return "memory" if isinstance(self.client, InMemoryClient) else "server"

    def handle(self, who: int, name: str) -> Namespace | Program:
        return Program(self, name) if who == OUTSIDER else self.stores[who].namespace(name)

    def namespaces(self, who: int) -> list[str]:
        return sorted(set(self.stores[who].namespaces()))

    def advance(self, seconds: int) -> None:
        """Lets time pass: on a server, by taking it from what is left of every key under the prefix."""
        if isinstance(self.client, InMemoryClient):
            self.client.advance(seconds)
        else:
            self.client.eval(_AGE, 0, f"{self.prefix}:*", seconds * 1000)

    def look(self) -> dict[str, Slot]:
        """All keys of the database."""
        keys = self.client.keys("*")
        with self.client.pipeline(transaction=False) as pipeline:
            for key in keys:
                pipeline.type(key).pttl(key)
            facts = pipeline.execute()
            kinds, left = [kind.decode() for kind in facts[::2]], facts[1::2]
            for key, kind in zip(keys, kinds, strict=True):
                args = {"string": ("GET", key), "hash": ("HGETALL", key)}.get(kind, ("LRANGE", key, 0, -1))
                pipeline.execute_command(*args)
            values = map(to_text, pipeline.execute())
        return {
            key.decode(): Slot(kind, value, tens(ms / 1000))
            for key, kind, value, ms in zip(keys, kinds, values, left, strict=True)
        }
