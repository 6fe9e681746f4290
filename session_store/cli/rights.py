"""What the user may do, by trying it: each right by a call that changes nothing, whatever comes of it.

A server looks at rights before it looks at what a call would do. So a write is one that must fail, or has nothing to do: on a key
that is not there, or with an argument that is none. What the user may not do, the server says.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError

from session_store.cli.place import Place

_PROBE = "~doctor.probe"  # no namespace of anybody's: none begins with a tilde

Call = tuple[Any, ...]


class Need(NamedTuple):
    """Rights that something asks for."""

    what: str
    calls: dict[str, Call]  # by right; KEY stands for a key under the prefix
    is_vital: bool = False


KEY = object()
_NONE = "no-number"  # where a number is wanted

NEEDS = (
    Need(
        "a store",
        {
            **{
                right: (right.upper(), KEY)
                for right in ("get", "exists", "pttl", "type", "strlen", "hgetall", "hkeys", "hlen")
            },
            **{right: (right.upper(), KEY, "f") for right in ("hget", "hmget", "hexists", "hstrlen", "hdel")},
            **{right: (right.upper(), KEY) for right in ("hrandfield", "del", "unlink")},
            "time": ("TIME",),
            "set": ("SET", KEY, "", "XX"),
            "incrby": ("INCRBY", KEY, _NONE),
            "hset": ("HSET", KEY, "field", "value", "without-value"),
            "hincrby": ("HINCRBY", KEY, "field", _NONE),
            "pexpire": ("PEXPIRE", KEY, _NONE),
            "evalsha": ("EVALSHA", "0" * 40, 0),
            "eval": ("EVAL", "return 1", 0),
        },
        is_vital=True,
    ),
    Need("with_cas, to be fast", {"dump": ("DUMP", KEY), "object|encoding": ("OBJECT", "ENCODING", KEY)}),
    Need("namespaces(), scan=True, and `list`, `count` and `stats` of this command", {"scan": ("SCAN", 0, "COUNT", 1)}),
    Need("min_replicas", {"wait": ("WAIT", 0, 1)}),
    Need(
        "directories (lists of web sessions, conversations, snapshots, channels)",
        {
            "zadd": ("ZADD", KEY, "XX", 1, "m"),
            "zscore": ("ZSCORE", KEY, "m"),
            "zrem": ("ZREM", KEY, "m"),
            "zrevrangebyscore": ("ZREVRANGEBYSCORE", KEY, 0, 0),
        },
    ),
    Need("sizes in `show` and `stats`", {"memory|usage": ("MEMORY", "USAGE", KEY)}),
    Need(
        "what else `doctor` and `stats` ask",
        {
            "info": ("INFO", "server"),
            "dbsize": ("DBSIZE",),
            "config|get": ("CONFIG", "GET", "maxmemory-policy"),
            "script|exists": ("SCRIPT", "EXISTS", "0" * 40),
        },
    ),
)
_CHANNELS = "channels"  # whose rights are tried on a connection of its own
_ON_CLUSTERS = Need(
    "a cluster's client",
    {"cluster|slots": ("CLUSTER", "SLOTS"), "command": ("COMMAND",), "asking": ("ASKING",)},
    is_vital=True,
)


class Lack(NamedTuple):
    """What is missing for something. `rights`: as ACL SETUSER takes them."""

    what: str
    rights: list[str]
    is_vital: bool


def lacking(place: Place, *, has_prefix: bool) -> list[Lack]:
    """What the user of the URL may not do; `has_prefix`: with keys and channels of that prefix."""
    key = place.keyspace.written(_PROBE) + "slot"
    node = place.nodes()[0]
    needs = [*NEEDS, *([_ON_CLUSTERS] if place.is_cluster else [])]
    found = [_tried(node, need, key) for need in needs]
    found.insert(-1, _channels(node, place, has_prefix=has_prefix))
    if has_prefix and _key_pattern(node, key):
        found.insert(0, Lack("keys of this prefix", [f"~{place.prefix}:*"], is_vital=True))
    return [lack for lack in found if lack.rights]


def _key_pattern(node: Any, key: str) -> bool:
    """Whether keys under the prefix are refused."""
    try:
        node.execute_command("EXISTS", key)
    except RedisError as error:
        return _is_of_keys(error)
    return False


def _tried(node: Any, need: Need, key: str) -> Lack:
    pipeline = node.pipeline(transaction=False)
    for call in need.calls.values():
        pipeline.execute_command(*(key if part is KEY else part for part in call))
    replies = pipeline.execute(raise_on_error=False)
    return Lack(
        need.what,
        [f"+{right}" for right, reply in zip(need.calls, replies, strict=True) if _is_refused(reply)],
        need.is_vital,
    )


def _is_refused(reply: Any) -> bool:
    """Whether a right is missing. A command that is renamed or turned off is missing as well."""
    if not isinstance(reply, Exception) or _is_of_keys(reply):
        return False
    text = str(reply).lower()
    return "noperm" in text or "no permissions" in text or "unknown command" in text or "unknown subcommand" in text


def _is_of_keys(error: Exception) -> bool:
    """Servers say so in different words: "access a key", "access one of the keys", "the 'k' key"."""
    text = str(error).lower()
    return ("permission" in text or "noperm" in text) and " key" in text


def _is_of_channels(error: Exception) -> bool:
    text = str(error).lower()
    return ("permission" in text or "noperm" in text) and " channel" in text


def _channels(node: Any, place: Place, *, has_prefix: bool) -> Lack:
    """PUBLISH and SUBSCRIBE, to a bell that nobody hears; PING, which a subscriber sends."""
    database = getattr(node.connection_pool, "connection_kwargs", {}).get("db") or 0
    bell = f"{database}:{place.keyspace.written(_PROBE)}slot"
    lacks: list[str] = []
    connection = node.connection_pool.make_connection()
    try:
        for words in (("PUBLISH", bell, ""), ("SUBSCRIBE", bell), ("UNSUBSCRIBE", bell), ("PING",)):
            error = _refusal(connection, words)
            if error is None:
                continue
            if _is_of_channels(error):
                lacks += [f"&*:{place.prefix}:*"] if has_prefix else []
            elif _is_refused(error):
                lacks.append(f"+{words[0].lower()}")
    finally:
        connection.disconnect()
    # Of a command that is refused it does not show whether its channel would be.
    unseen = has_prefix and {"+publish", "+subscribe"} <= set(lacks)
    what = f"{_CHANNELS} (and whether it has &*:{place.prefix}:* shows when it has these)" if unseen else _CHANNELS
    return Lack(what, list(dict.fromkeys(lacks)), is_vital=False)


def _refusal(connection: Any, words: Sequence[str]) -> Exception | None:
    try:
        connection.send_command(*words)
        connection.read_response(**({"push_request": True} if connection.protocol in (3, "3") else {}))
    except (RedisConnectionError, OSError):
        raise
    except RedisError as error:
        return error
    return None
