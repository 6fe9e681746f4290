"""What is lost with an index that was evicted, what is not, and how it is made anew."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
import redis
from support.callers import HALF, TTL, Caller, contents, fill
from support.proxy import Proxy, proxied
from support.servers import Server


@pytest.fixture
def ns(connect, own_server: Server, rival: redis.Redis) -> Caller:
    ns = connect(own_server.port)
    fill(ns)
    return ns


def unlist(ns: Caller, rival: redis.Redis) -> None:
    """Deletes the index."""
    assert rival.unlink(ns.key("n").removesuffix("n") + "~index") == 1


def test_slots_that_nobody_lists(ns: Caller, rival: redis.Redis) -> None:
    """`slots`, `touch` and `purge` do not know them, until each is written again."""
    unlist(ns, rival)
    assert (ns.slots(), ns.touch(), ns.purge()) == ([], 0, 0)
    assert (ns.get("n"), ns.hgetall("h")) == ("1", {"f": "1", "g": "1"})
    ns.hdel("h", "g")
    assert (ns.slots(), ns.touch(), ns.purge()) == (["h"], 1, 1)
    assert ns.get("n") == "1"


def test_fence_that_is_lost(ns: Caller, rival: redis.Redis) -> None:
    """The namespace can be written again."""
    ns.purge(fence=TTL)
    unlist(ns, rival)
    assert ns.set("n", "late") is True


def test_counter_that_is_left(ns: Caller, rival: redis.Redis) -> None:
    """It is as good as its own key: it goes on, and is remembered again; but not if that key goes first."""
    unlist(ns, rival)
    assert ns.incr("ids") == 3
    rival.unlink(ns.key("ids"))
    assert ns.incr("ids") == 4
    unlist(ns, rival)
    rival.unlink(ns.key("ids"))
    assert ns.incr("ids") == 1


@pytest.fixture
def through_proxy(connect, own_server: Server, ns: Caller) -> Iterator[tuple[Caller, Proxy]]:
    """The same namespace, on a way where replies are lost."""
    with proxied(own_server.port) as proxy:
        yield connect(proxy.port), proxy


def add(value: str | None, ops: object) -> int:
    total = int(value or 0) + 1
    ops.set("n", str(total))
    return total


@pytest.mark.parametrize(("lost", "times"), [("slot", 1), ("index", 2)])
def test_lost_replies(through_proxy: tuple[Caller, Proxy], rival: redis.Redis, lost: str, times: int) -> None:
    """A call that had no answer is recognised by the index: without it, but only then, it happens a second time."""
    ns, proxy = through_proxy

    def lose(slot: str) -> Callable[[], object]:
        return lambda: unlist(ns, rival) if lost == "index" else rival.unlink(ns.key(slot))

    ns.cas("n", lambda value, ops: None)  # the server knows the scripts
    proxy.lose_reply("EVALSHA", then=lose("h"))
    assert ns.hincrby("h", "f", 10) == 1 + 10 * times
    proxy.lose_reply("COMMIT", then=lose("n"))
    assert ns.cas("n", add) == 1 + times
    proxy.lose_reply("EVALSHA", then=lose("ids"))
    assert ns.incr("ids") == 2 + times
    assert ns.incr("ids") == 3 + times


def test_touch_of_what_a_scan_finds(ns: Caller, rival: redis.Redis) -> None:
    """It lists every slot again, renews it, and the index for as long; counters do not go back even then."""
    base = ns.key("n").removesuffix("n")
    unlist(ns, rival)
    assert ns.touch(scan=True) == 3
    assert ns.slots() == ["h", "ids", "n"]
    assert {left for _, left in contents(rival, base).values()} == {"all"}
    assert rival.pttl(f"{base}~index") >= max(rival.pttl(ns.key(slot)) for slot in ("h", "ids", "n"))
    rival.unlink(ns.key("ids"))
    assert ns.incr("ids") == 3
    assert ns.purge() == 3


def test_purge_of_what_a_scan_finds(ns: Caller, rival: redis.Redis) -> None:
    unlist(ns, rival)
    assert ns.purge(scan=True) == 3
    assert rival.keys() == []


@pytest.mark.parametrize("name", ["a*", "a?", "[ab]b", "*", "\\a*", "ab"])
def test_namespaces_of_others(connect, own_server: Server, rival: redis.Redis, prefix: str, name: str) -> None:
    """A scan for one namespace finds that one alone, whatever its name and theirs are like."""
    others = [connect(own_server.port, name=each) for each in ("b", "abb", "bb", "a", "ax")]
    others.append(connect(own_server.port, settings={"prefix": f"{prefix}-x"}, name=name))
    mine = connect(own_server.port, name=name)
    for ns in (mine, *others):
        ns.set("n", "1", ttl=HALF)
        unlist(ns, rival)
    before = contents(rival, "")
    assert mine.touch(scan=True) == 1
    after = contents(rival, "")
    changed = {key for key in after if after[key] != before.get(key)}
    assert changed == {mine.key("n"), mine.key("n").removesuffix("n") + "~index"}
    assert mine.purge(scan=True) == 1
    del before[mine.key("n")]
    assert contents(rival, "") == before
