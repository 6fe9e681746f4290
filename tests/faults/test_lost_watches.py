"""A closure during which the connection is lost: redis-py connects anew, and the new connection watches nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
import redis
from support.closures import in_flavour, settled
from support.proxy import Proxy
from support.servers import Server


class Scene:
    """An increment of n that another program also increments while the first run of the closure lasts.

    `lose` makes the connection break; the closure reads a slot that is not watched, and puts up with the error.
    """

    def __init__(self, ns: Any, rival: redis.Redis, lose: Callable[[], object]) -> None:
        self._ns = ns
        self._rival = rival
        self._lose = lose
        self._runs = 0
        ns.set("n", "5")
        ns.set("beside", "read on the way")

    def _first_run(self) -> bool:
        self._runs += 1
        return self._runs == 1

    def _meet_rival(self) -> None:
        assert self._rival.incr(self._ns.key("n")) == 6

    def _closure(self, reads: int) -> Callable[..., Any]:
        async def closure(snap: Any, ops: Any) -> int:
            total = int(await settled(snap.get("n"))) + 1
            if self._first_run():
                await settled(self._lose())
                for _ in range(reads):
                    try:
                        await settled(snap.get("beside"))
                    except redis.ConnectionError:
                        continue
                self._meet_rival()
            ops.set("n", str(total))
            return total

        return in_flavour(closure, is_async=self._ns.is_async)

    def check(self, reads: int) -> None:
        """Both increments count, or ours ends with the error."""
        try:
            assert self._ns.with_cas("n", self._closure(reads)) == 7
        except redis.ConnectionError:
            assert self._ns.get("n") == "6"
        else:
            assert self._ns.get("n") == "7"


@pytest.mark.parametrize("reads", [1, 2], ids=["then commits", "then reads again"])
def test_failed_read_that_the_closure_puts_up_with(connect, proxy: Proxy, rival: redis.Redis, reads: int) -> None:
    """A commit is never sent on a connection that does not watch, or the other program's update would be lost."""
    scene = Scene(connect(proxy.port), rival, lambda: proxy.drop("GET"))
    scene.check(reads)


def test_connection_that_a_health_check_replaces(connect, server: Server, rival: redis.Redis) -> None:
    """redis-py's health check before the commit finds the connection dead, and connects anew by itself."""
    ns = connect(server.port, health_check_interval=3600)

    def lose() -> None:
        (connection,) = ns.client.connection_pool._in_use_connections
        connection.next_health_check = 0.0  # an hour has passed
        rival.client_kill_filter(_type="normal", skipme=True)

    Scene(ns, rival, lose).check(0)


@pytest.mark.parametrize("reads", [0, 1])
def test_connection_that_the_pool_closes(connect, server: Server, rival: redis.Redis, reads: int) -> None:
    """Closing a client's pool closes the connections that are in use as well; redis-py opens them again."""
    ns = connect(server.port)
    Scene(ns, rival, lambda: ns.client.connection_pool.disconnect()).check(reads)


def test_connection_that_dies_unnoticed(connect, server: Server, rival: redis.Redis) -> None:
    """Without a health check the commit itself meets the dead connection."""
    scene = Scene(connect(server.port), rival, lambda: rival.client_kill_filter(_type="normal", skipme=True))
    scene.check(0)


@pytest.mark.parametrize("connect", ["async"], indirect=True)
def test_cancelled_read(connect, server: Server, rival: redis.Redis) -> None:
    """A read that a closure cancels, as a timeout of its own does, ends the connection too."""
    ns = connect(server.port, socket_timeout=None)  # with one, Python before 3.12 may swallow the cancelling
    ns.set("n", "5")

    async def closure(snap: Any, ops: Any) -> int:
        total = int(await snap.get("n")) + 1
        if total == 6:
            reader = asyncio.ensure_future(snap.get("beside"))
            await asyncio.sleep(0)  # it has sent its command, and no event of the network has been looked at since
            reader.cancel()
            await asyncio.wait([reader])
            assert reader.cancelled()
            assert rival.incr(ns.key("n")) == 6
        ops.set("n", str(total))
        return total

    try:
        assert ns.with_cas("n", closure) == 7
    except redis.ConnectionError:
        assert ns.get("n") == "6"
    else:
        assert ns.get("n") == "7"
