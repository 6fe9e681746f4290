"""The server, and what is wrong with it in one line."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, urlsplit

import click
import redis
from redis.backoff import NoBackoff
from redis.exceptions import (
    AuthenticationError,
    BusyLoadingError,
    NoPermissionError,
    ReadOnlyError,
    RedisClusterException,
    RedisError,
    ResponseError,
)
from redis.retry import Retry

from session_store._core.names import KeySpace
from session_store._sync.connection import exchange_all
from session_store._sync.store import SessionStore
from session_store.cli.words import shown
from session_store.errors import InvalidNameError

_OPTIONS: dict[str, Any] = {"socket_connect_timeout": 5, "socket_timeout": 30, "health_check_interval": 0}
_SCHEMES = ("redis", "rediss", "unix")
_LOOKED_AT = 10_000  # keys, for a hint
_STEP = 1_000

_SAYS: tuple[tuple[Any, str, str], ...] = (
    (ReadOnlyError, "READONLY ", "is a replica, to which nothing can be written: give the URL of the primary"),
    (BusyLoadingError, "LOADING ", "is loading its data: try again in a while"),
    (
        (redis.TimeoutError, TimeoutError),
        "",
        "does not answer in time: is it busy, behind a firewall, or does it want rediss://?",
    ),
)

_REFUSED = re.compile("NOPERM|can't run this command|No permissions")

UNREACHABLE = (RedisError, RedisClusterException, OSError)


class Trouble(click.ClickException):
    """What ends a command: one line that says what to do."""

    exit_code = 2


class Nothing(Trouble):
    """There is nothing to be shown."""

    exit_code = 1


@dataclass
class Place:
    """A prefix of a server."""

    client: Any
    store: SessionStore[str]
    keyspace: KeySpace
    url: str  # without its password
    is_cluster: bool
    ahead: float = 0.0  # seconds that the server's clock is before ours
    matched: int = 0  # keys that a scan of namespaces came across

    @property
    def prefix(self) -> str:
        """What its keys begin with."""
        return self.keyspace.prefix

    def now(self) -> float:
        """Seconds since the epoch, by the server's clock."""
        return time.time() + self.ahead

    def nodes(self) -> list[Any]:
        """A client for each server that has keys of its own."""
        if not self.is_cluster:
            return [self.client]
        return [self.client.get_redis_connection(node) for node in self.client.get_primaries()]

    def pipelined(self, commands: list[tuple[Any, ...]], *, may_lack: bool = False) -> list[Any]:
        """The replies to commands that travel together. A key of another type is an error in place; others are raised.

        `may_lack`: it can be done without; what the user may not do is in place, too.
        """
        if not commands:
            return []
        if not self.is_cluster:
            # A scan asks for several things of each of many namespaces: a pipeline of redis-py takes three times as long.
            words = [(*str(name).split(), *rest) for name, *rest in commands]
            replies = exchange_all(self.client.connection_pool, words)
        else:
            pipeline = self.client.pipeline(transaction=False)
            for command in commands:
                pipeline.execute_command(*command)
            replies = pipeline.execute(raise_on_error=False)
        for reply in replies:
            if isinstance(reply, Exception) and not (may_lack or "WRONGTYPE " in str(reply)):
                raise reply
        return replies

    def key(self, namespace: str, slot: str) -> bytes:
        """The key of a slot, whatever its name: the index may name what others have put there."""
        return (self.keyspace.base(namespace) + slot).encode(errors="surrogateescape")

    def database_size(self) -> int | None:
        """How many keys there are, if that may be asked."""
        try:
            return sum(int(node.dbsize()) for node in self.nodes())
        except ResponseError:
            return None

    def scan(self, pattern: bytes, least: int = 0) -> Iterator[tuple[list[bytes], int]]:
        """The keys that match, and how many were looked at for them, step by step: none keeps the server long.

        `least`: stop after so many were looked at; 0: all.
        """
        looked_at = 0
        for node in self.nodes():
            cursor = 0
            while True:
                cursor, keys = node.scan(cursor, match=pattern, count=_STEP)
                yield keys, _STEP
                looked_at += _STEP
                if cursor == 0 or (least and looked_at >= least):
                    break

    def prefixes_seen(self) -> list[str]:
        """Prefixes of others, of the first keys that come: a hint for whoever has mistyped one."""
        found: set[str] = set()
        try:
            for keys, _ in self.scan(b"*:~index", _LOOKED_AT):
                found |= {key.partition(b":")[0].decode(errors="replace") for key in keys}
        except ResponseError:  # it may not be asked
            return []
        return sorted(name for name in found if re.fullmatch("[A-Za-z0-9-]+", name))


def connect(url: str, prefix: str, *, cluster: bool | None, hash_tags: bool) -> Place:
    """Finds out what the server is. Raises `Trouble`."""
    place = without_password(url)
    client: Any
    try:
        client = redis.Redis.from_url(url, **_given(url), retry=Retry(NoBackoff(), 0))
    except ValueError:  # whose text may have a part of the password
        raise Trouble("--url must be redis://, rediss:// or unix://, as in redis://user:password@host:6379/0") from None
    try:
        mode = _mode(client)
        ahead = _ahead(client)
    except TypeError as error:  # redis-py's, of an option in the URL
        named = re.search(r"argument '(\w+)'", str(error))
        raise Trouble(f"--url has an option that redis-py does not know: {named[1] if named else '?'}") from None
    except UNREACHABLE as error:
        client.close()
        raise Trouble(explain(error, place)) from None
    if mode == "sentinel":
        raise Trouble(f"{place} is a Sentinel: give the URL of the server that it watches")
    is_cluster = mode == "cluster" if cluster is None else cluster
    try:
        if is_cluster:
            client.close()
            client = redis.RedisCluster.from_url(url, **_given(url))
        store = SessionStore(client, prefix=prefix, default_ttl=3600, hash_tags=hash_tags or is_cluster)
    except UNREACHABLE as error:
        raise Trouble(explain(error, place)) from None
    except InvalidNameError:
        raise Trouble("--prefix must be ASCII letters, digits and dashes") from None
    keyspace = KeySpace(prefix, hash_tags=hash_tags or is_cluster)
    return Place(client, store, keyspace, place, is_cluster, ahead)


def _given(url: str) -> dict[str, Any]:
    """Our settings, where the URL has none."""
    named = parse_qs(urlsplit(url).query)
    return {name: value for name, value in _OPTIONS.items() if name not in named}


def _ahead(client: Any) -> float:
    """Seconds that the server's clock is before ours; 0 where it may not be asked."""
    try:
        seconds, micros = client.time()
    except NoPermissionError:
        return 0.0
    return float(seconds + micros / 1e6 - time.time())


def _mode(client: Any) -> str:
    """What the server says that it is: "standalone", "cluster" or "sentinel". HELLO is allowed to everybody."""
    try:
        reply = client.execute_command("HELLO")
    except AuthenticationError:
        raise
    except ResponseError as error:
        if "NOAUTH" in str(error):
            raise
        return "standalone"  # a proxy
    fields = reply if isinstance(reply, dict) else dict(zip(reply[::2], reply[1::2], strict=True))
    mode = fields.get(b"mode", fields.get("mode", b"standalone"))
    return mode.decode() if isinstance(mode, bytes) else str(mode)


def without_password(url: str) -> str:
    """A URL as it may be shown; its options may hold a password as well."""
    try:
        parts = urlsplit(url)
        host, port, user = parts.hostname or "", parts.port, parts.username
    except ValueError:
        return "the server"
    if parts.scheme not in _SCHEMES:
        return "the server"
    if parts.scheme == "unix":
        return shown(f"unix://{parts.path}")
    path = parts.path if re.fullmatch(r"/\d+", parts.path) else ""
    return shown(f"{parts.scheme}://{f'{user}@' if user else ''}{host or 'localhost'}:{port or 6379}{path}")


def explain(error: BaseException, url: str) -> str:
    """What is wrong, and what to do."""
    text = shown(" ".join(str(error).split()))
    if isinstance(error, AuthenticationError) or re.search("NOAUTH|WRONGPASS|Authentication required", text):
        return f"{url} wants another user or password: give --url redis://user:password@.., or SESSION_STORE_URL"
    if isinstance(error, NoPermissionError) or _REFUSED.search(text):
        named = re.search(r"the '([\w|]+)' command", text)
        what = named[1].upper().replace("|", " ") if named else "this, or not under this prefix"
        return f"the user of {url} may not do {what}: `session-store doctor` shows what it lacks"
    for kinds, said, says in _SAYS:
        if isinstance(error, kinds) or (said and said in text):  # a script tells of an error of another class
            return f"{url} {says}"
    if isinstance(error, (redis.ConnectionError, RedisClusterException, OSError)):
        return f"cannot reach {url}: is it running, and is --url (SESSION_STORE_URL) right? ({text})"
    return f"{url} refused: {text}"
