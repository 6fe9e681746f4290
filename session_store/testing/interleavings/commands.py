"""What a task is about to send, and which keys it will read and write."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from typing import NamedTuple

from session_store._core.names import INDEX
from session_store._core.scripts import BEGIN, COMMIT, READ, RELEASE, Script, known

SCRIPT_CACHE = b"\nscripts"  # stands for the server's cache of scripts among the keys; no key is named so
EVERYTHING = b"\neverything"  # the same for the whole database

Command = tuple[bytes, ...]

# What the rest of a command is keys for. A command that is in no table is taken to write everything, so that it
# commutes with nothing: a table that lacks one costs schedules, and hides none.
_READ_FIRST = frozenset(
    b"GET STRLEN GETRANGE GETBIT BITCOUNT TTL PTTL EXPIRETIME PEXPIRETIME TYPE DUMP HGET HMGET HGETALL HKEYS HVALS HLEN "
    b"HEXISTS HSTRLEN HRANDFIELD HSCAN LLEN LRANGE LINDEX SCARD SISMEMBER SMISMEMBER SMEMBERS SRANDMEMBER ZCARD ZRANGE "
    b"ZRANGEBYSCORE ZRANK ZSCORE ZCOUNT XLEN XRANGE XREVRANGE".split()
)
_WRITE_FIRST = frozenset(
    b"SET SETEX PSETEX SETNX GETSET GETDEL GETEX APPEND SETRANGE INCR INCRBY INCRBYFLOAT DECR DECRBY EXPIRE PEXPIRE "
    b"EXPIREAT PEXPIREAT PERSIST HSET HSETNX HMSET HDEL HINCRBY HINCRBYFLOAT LPUSH RPUSH LPOP RPOP LSET LREM LTRIM SADD "
    b"SREM SPOP ZADD ZREM ZINCRBY XADD XDEL XTRIM".split()
)
_READ_ALL = frozenset(b"MGET EXISTS WATCH TOUCH SINTER SUNION SDIFF".split())
_WRITE_ALL = frozenset(b"DEL UNLINK".split())
_KEYLESS = frozenset(b"MULTI DISCARD UNWATCH PING ECHO TIME CLIENT HELLO AUTH SELECT".split())


class Access(NamedTuple):
    """The keys that a move reads, those that it writes, and those that it adds to."""

    reads: frozenset[bytes] = frozenset()
    writes: frozenset[bytes] = frozenset()
    adds: frozenset[bytes] = frozenset()  # in a way in which the order of several does not matter

    def conflicts(self, other: Access) -> bool:
        """Whether the order of two moves can matter."""
        if EVERYTHING in self.writes or EVERYTHING in other.writes:
            return True
        return bool(
            self.writes & (other.reads | other.writes | other.adds)
            or other.writes & (self.reads | self.adds)
            or self.adds & other.reads
            or other.adds & self.reads
        )


NOTHING = Access()


class Now(NamedTuple):
    """The server as a command would find it."""

    cache: Container[bytes]  # the digests of the scripts that it knows
    locks: bool  # whether anybody can hold one
    is_as_before: Callable[[bytes, bytes, bytes], bool]  # whether a key is what it was, by its mark and content mark

    def after(self) -> Now:
        """As it may be when something else has been done: any key may be what it was."""
        return self._replace(is_as_before=lambda key, mark, content_mark: True)


def parse(data: bytes) -> Iterator[Command]:
    """The commands in what a client sends: RESP arrays of bulk strings."""
    at = 0

    def number() -> int:
        nonlocal at
        end = data.index(b"\r\n", at)
        begin, at = at + 1, end + 2
        return int(data[begin:end])

    while at < len(data):
        parts = []
        for _ in range(number()):
            length = number()
            parts.append(data[at : at + length])
            at += length + 2
        yield tuple(parts)


def is_script(command: Command) -> bool:
    """Whether a command calls a script."""
    return command[0].upper() in (b"EVAL", b"EVALSHA", b"EVAL_RO", b"EVALSHA_RO")


def keys_of(command: Command) -> tuple[bytes, ...]:
    """The keys that a command names, in their order; none for one that is in no table."""
    name = command[0].upper()
    if is_script(command):
        return command[3 : 3 + int(command[2])]
    if name in _READ_ALL or name in _WRITE_ALL:
        return command[1:]
    return command[1:2] if name in _READ_FIRST or name in _WRITE_FIRST else ()


def in_cache(digest: bytes) -> bytes:
    """What stands for a script's place in the server's cache."""
    return b"%b %b" % (SCRIPT_CACHE, digest)


def script_of(command: Command) -> Script | None:
    """The script that a command calls, if it is one of the library or of a layer."""
    return known.get(command[1]) if len(command) > 1 and is_script(command) else None


def digest_of(source: bytes) -> bytes:
    """What `redis.sha1hex` gives."""
    return hashlib.sha1(source, usedforsecurity=False).hexdigest().encode()


def _access(command: Command, now: Now) -> Access:
    name, keys = command[0].upper(), keys_of(command)
    if name == b"SCRIPT":
        return _loading(digest_of(command[2]), now) if command[1].upper() == b"LOAD" else _of(writes=[EVERYTHING])
    if is_script(command):
        return _calling(command, keys, now)
    if name in _READ_FIRST or name in _READ_ALL:
        return _of(reads=keys)
    if name in _WRITE_FIRST or name in _WRITE_ALL:
        return _of(writes=keys)
    return _of(writes=[] if name in _KEYLESS or name == b"EXEC" else [EVERYTHING])


def _loading(digest: bytes, now: Now) -> Access:
    """What it takes to leave a script in the cache, which may have it already."""
    return _of(reads=[in_cache(digest)]) if digest in now.cache else _of(adds=[SCRIPT_CACHE, in_cache(digest)])


def _calling(command: Command, keys: Sequence[bytes], now: Now) -> Access:
    if b"SHA" in command[0].upper():
        found = _of(reads=[in_cache(command[1])])
        if command[1] not in now.cache:
            return found  # it will not be run
    else:
        found = _loading(digest_of(command[1]), now)
    script = script_of(command)
    if script is None:
        return _union([found, _of(writes=keys)])
    return _union([found, _access_of_known(script, keys, command[3 + len(keys) :], now)])


def _access_of_known(script: Script, keys: Sequence[bytes], args: Sequence[bytes], now: Now) -> Access:
    """What a script does, by its header and, of those that deal with locks, by their arguments.

    The fence and the locks are told apart from the rest of the index, which has a field per slot and a record per producer:
    writes of different slots add to it, and nobody but `slots`, `touch` and `purge` reads it.
    """
    index, *slots = keys
    fence = index + b"\nfence"
    if script is RELEASE:
        return _of(writes=[_lock(index, name) for name in args[2:]] if now.locks else [])
    if script is BEGIN:
        locks, about_locks = _locks_of(index, slots, now), int(args[3])
        reads = [fence, *(locks if about_locks >= 0 else [])]
        return _of(reads=[*reads, *slots], writes=locks if about_locks > 0 else [])
    if script is COMMIT:
        return _committing(keys, args, now)
    if script.effects == "reads":
        return _of(reads=slots if script is READ else keys)
    if script.effects == "once":
        return _of(reads=[fence], writes=slots, adds=[index])
    return _of(writes=[fence, *keys])


def _committing(keys: Sequence[bytes], args: Sequence[bytes], now: Now) -> Access:
    """What `lua/commit.lua` does: to the slots nothing, where one of the watched ones is not what it was."""
    index, watched, operations = keys[0], keys[1 : 1 + int(args[5])], list(operations_of(args))
    locks, about_locks = _locks_of(index, watched, now), int(args[4])
    if about_locks < 0:
        locks = []
    reads = [index + b"\nfence", *watched, *locks]
    marks = zip(watched, args[6::2], args[7::2], strict=False)
    if not all(now.is_as_before(*each) for each in marks):
        return _of(reads=reads, writes=locks if about_locks > 0 else [])
    adds = [index] if operations or args[2] == b"0" else []
    return _of(reads=reads, writes=[*locks, *(keys[place] for _, place, _ in operations)], adds=adds)


def _locks_of(index: bytes, slots: Sequence[bytes], now: Now) -> list[bytes]:
    return [_lock(index, b"~lock:" + slot[len(index) - len(INDEX) :]) for slot in slots] if now.locks else []


def _lock(index: bytes, name: bytes) -> bytes:
    """What stands for a lock among the keys: a field of the index."""
    return b"%b\n%b" % (index, name)


def operations_of(args: Sequence[bytes]) -> Iterator[tuple[bytes, int, tuple[bytes, ...]]]:
    """The operations in the arguments of `lua/commit.lua`: verb, place of the key in KEYS from 0, arguments."""
    at = 6 + 2 * int(args[5])
    while at < len(args):
        end = at + 4 + int(args[at + 3])
        yield args[at], int(args[at + 1]) - 1, tuple(args[at + 4 : end])
        at = end


def _of(reads: Iterable[bytes] = (), writes: Iterable[bytes] = (), adds: Iterable[bytes] = ()) -> Access:
    return Access(frozenset(reads), frozenset(writes), frozenset(adds))


def _union(each: Sequence[Access]) -> Access:
    reads, writes, adds = (frozenset[bytes]().union(*sets) for sets in zip(*each, strict=True))
    return Access(reads, writes, adds)


class Write:
    """What a task sends in one write: the unit of interleaving. `watching`: the keys that its connection watches."""

    __slots__ = ("_is_transaction", "_watching", "commands")

    def __init__(self, data: bytes, watching: Iterable[bytes] = ()) -> None:
        self.commands = tuple(parse(data))
        ends = [command[0].upper() for command in self.commands if command[0].upper() in (b"MULTI", b"EXEC")]
        self._watching = frozenset(watching) if ends else frozenset()
        self._is_transaction = ends == [b"MULTI", b"EXEC"] and self.commands[0][0].upper() == b"MULTI"

    def access(self, now: Now, *, has_lost: bool) -> Access:
        """What it will read and write as things stand: nothing, when it is a transaction that has lost already."""
        if has_lost and self._is_transaction:
            return NOTHING
        # A change of a watched key decides what EXEC does.
        first, *rest = self.commands
        later = [_access(command, now.after()) for command in rest]
        return _union([_of(reads=self._watching), _access(first, now), *later])

    @property
    def watched(self) -> Access:
        """What decides whether it can be sent for anything."""
        return _of(reads=self._watching)

    def names(self) -> tuple[bytes, ...]:
        """What stays the same when the same task sends it in another run: no values, no tokens."""
        return tuple(part for command in self.commands for part in (command[0].upper(), *keys_of(command)))
