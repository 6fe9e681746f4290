"""The back ends of the state machine, with the methods of its model: stores, another program, and time.

On a server time passes without waiting: every key under the prefix loses some of what it has left.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from typing import Any

from session_store import CasPolicy, Namespace, SessionStore
from session_store._sync.commands import AS_BYTES, scan
from session_store.testing.memory import InMemoryClient
from session_store.testing.model._calls import DEFAULT_TTL, twenties
from session_store.testing.model._namespace import Slot
from session_store.testing.model._reference import OUTSIDER

_POLICY = CasPolicy(backoff_base=0.0005, backoff_cap=0.0005, lock_timeout=0.001)  # nobody is really in the way
_BYSTANDERS_LIVE = 86_400  # seconds; so that nothing stays for ever when a run is killed

# What makes keys of one namespace older by ARGV[1] milliseconds, all at one moment, since no key may outlive its index for
# having come later; with ARGV[2] "times", only what an index says of times. A key that has no TTL keeps none: it is for
# the tests to find.
AGE = """
local function plus(value, difference) return string.format('%.0f', value + difference) end
for _, key in ipairs(KEYS) do
  local left, fields = redis.call('PTTL', key), {}
  if left >= 0 and ARGV[2] ~= 'times' then redis.call('PEXPIRE', key, plus(left, -ARGV[1])) end  -- below 1 it is deleted
  if string.sub(key, -7) == ':~index' and redis.call('TYPE', key).ok == 'hash' then fields = redis.call('HGETALL', key) end
  for at = 1, #fields, 2 do
    local name, value = fields[at], fields[at + 1]
    local colon = string.find(value, ':', 1, true)
    if name == '~fence' or name == '~until' then
      value = plus(value, -ARGV[1])
    elseif string.sub(name, 1, 6) == '~lock:' then
      value = plus(string.sub(value, 1, colon - 1), -ARGV[1]) .. string.sub(value, colon)
    elseif string.sub(name, 1, 1) == '~' then
      local made = tonumber(string.sub(value, 1, 8), 16) - math.floor(ARGV[1] / 1000)
      value = string.format('%08x', made) .. string.sub(value, 9)
    elseif string.sub(value, 1, 1) == '-' then
      value = plus(value, math.floor(ARGV[1] / 1000))
    end
    redis.call('HSET', key, name, value)
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
        self._backend = backend
        self._base = backend.bases[name]

    def delete(self, slot: str) -> None:
        self._backend.send([("DEL", to_bytes(self._base + slot))])

    def write(self, slot: str, kind: str, value: Any, ttl: int) -> None:
        """A string, hash or list in place of whatever there is.

        An index may forget a slot, or may not yet, whose time is over by what it says: what this one says then is made
        certain, since it decides what `touch`, `purge` and `slots` find.
        """
        key, index = to_bytes(self._base + slot), to_bytes(self._base + "~index")
        lives, entry = self._backend.send([("EXISTS", key), ("HGET", index, to_bytes(slot))])
        if entry is not None and entry.startswith(b"-"):  # no counter
            self._backend.send(
                [("HSET", index, to_bytes(slot), b"-9999999999") if lives else ("HDEL", index, to_bytes(slot))]
            )
        if kind == "string":
            command: tuple[Any, ...] = ("SET", key, to_bytes(value))
        elif kind == "hash":
            command = ("HSET", key, *(to_bytes(text) for field in value.items() for text in field))
        else:
            command = ("RPUSH", key, *value)
        self._backend.send([("DEL", key), command, ("PEXPIRE", key, ttl * 1000)])

    def outlive(self, seconds: int) -> None:
        self._backend.advance(seconds)


class Backend:
    """Two stores on one server, and a client to look at it with. Only keys that begin with the root are looked at."""

    def __init__(
        self,
        title: str,
        client: Any,
        clients: Iterable[Any],
        *,
        root: str,
        prefix: str,
        names: Sequence[str],
        hash_tags: bool,
    ) -> None:
        self.client = client
        self._title, self._root = title, root
        self.stores = [
            SessionStore(each, prefix=prefix, default_ttl=DEFAULT_TTL, cas_policy=_POLICY, hash_tags=hash_tags)
            for each in clients
        ]
        self.bases = {name: self.stores[0].namespace(name).key("a")[:-1] for name in names}

    def __repr__(self) -> str:
        return self._title

    def send(self, commands: Iterable[tuple[Any, ...]]) -> list[Any]:
        """Plain commands in one pipeline, each of one key; replies are bytes. The first error is raised."""
        pipeline = self.client.pipeline(transaction=False)
        for command in commands:
            pipeline.execute_command(*command, **AS_BYTES)
        replies: list[Any] = pipeline.execute()
        return replies

    def handle(self, who: int, name: str, *, existing: bool = False) -> Namespace | Program:
        """The namespace of a store, or another program."""
        return Program(self, name) if who == OUTSIDER else self.stores[who].namespace(name, existing=existing)

    def namespaces(self, who: int) -> list[str]:
        """Those that a store lists; SCAN may name one twice."""
        return sorted(set(self.stores[who].namespaces()))

    def add_bystanders(self, keys: Iterable[str], index: str) -> None:
        """Strings, and a hash that may be taken for an index. In memory nothing but the stores' keys has a TTL."""
        lives = () if isinstance(self.client, InMemoryClient) else ("PX", _BYSTANDERS_LIVE * 1000)
        self.send([*(("SET", key, "1", *lives) for key in keys), ("HSET", index, "a", "1")])
        if lives:
            self.send([("PEXPIRE", index, _BYSTANDERS_LIVE * 1000)])

    def advance(self, seconds: int) -> None:
        """Lets time pass: on a server, by taking it from what is left of every key of the namespaces."""
        if isinstance(self.client, InMemoryClient):
            self.client.advance(seconds)
            return
        bases = tuple(map(to_bytes, self.bases.values()))
        keys = sorted(key for key in self._found() if key.startswith(bases))
        for _, group in groupby(
            keys, lambda key: key.split(b":", 2)[1]
        ):  # on a cluster each has a hash slot of its own
            some = list(group)
            self.client.execute_command("EVAL", AGE, len(some), *some, seconds * 1000, "all")

    def _found(self) -> Iterator[bytes]:
        return scan(self.client, b"%b*" % self._root.encode())

    def look(self) -> dict[str, Slot]:
        """All keys under the root, and what they hold."""
        keys = sorted(set(self._found()))
        facts = self.send(fact for key in keys for fact in (("TYPE", key), ("PTTL", key))) if keys else []
        kinds, left = [kind.decode() for kind in facts[::2]], facts[1::2]
        reads = {"string": ("GET",), "hash": ("HGETALL",), "list": ("LRANGE", 0, -1)}
        commands = ((reads[kind][0], key, *reads[kind][1:]) for key, kind in zip(keys, kinds, strict=True))
        values = map(to_text, self.send(commands)) if keys else ()
        return {
            to_text(key): Slot(kind, value, twenties(ms / 1000))
            for key, kind, value, ms in zip(keys, kinds, values, left, strict=True)
        }

    def remove(self) -> None:
        """Deletes all keys under the root."""
        self.send([("DEL", key) for key in self._found()])
