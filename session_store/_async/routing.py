"""Which server the commands of a namespace go to, and what is done when a cluster answers that it is another one."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from redis.exceptions import (
    AskError,
    ClusterDownError,
    MaxConnectionsError,
    MovedError,
    RedisClusterException,
    RedisError,
    SlotNotCoveredError,
    TryAgainError,
)

from session_store._async._flavour import Cluster, pool_of, sleep
from session_store._async.connection import NO_ANSWER, REFUSALS, AsyncPinnedConnection, closed_by_others
from session_store._core.policy import CasPolicy
from session_store._core.replication import wait_command

ASTRAY = (*REFUSALS, *NO_ANSWER, SlotNotCoveredError)  # what a cluster's client may raise for lack of a better way
_MOST_TURNS = 16  # as many redirections as redis-py follows for one command
_PACE = CasPolicy(max_retries=_MOST_TURNS)  # while a slot is split between two nodes, or not served


class AsyncRoute:
    """The way to the server of a key. In a cluster it may turn, up to 16 times; elsewhere there is one way.

    - MOVED, a node out of reach, a slot without a node: the client looks for the owner, with one cheap read that it
      retries as it is configured.
    - ASK: the next connection, and only that, is to the node that was named, and announces itself there (ASKING).
    - TRYAGAIN, CLUSTERDOWN: a wait, jittered, of up to 0.25 s.
    """

    __slots__ = ("_client", "_key", "_named", "_turns")

    def __init__(self, client: Any, key: bytes) -> None:
        self._client = client
        self._key = key
        self._named: tuple[str, int] | None = None  # the node of an ASK
        self._turns = 0

    async def take(self) -> AsyncPinnedConnection:
        """A connection to the server. Raises the pool's errors."""
        named, self._named = self._named, None
        pool = await pool_of(self._client, self._key, named)
        if pool is None:  # the client does not know the node yet: the owner will name it again
            await sleep(_PACE.delay(self._turns))
            return await self.take()
        try:
            connection = await pool.get_connection()
        except AttributeError as error:
            raise closed_by_others(error) from error
        return AsyncPinnedConnection(pool, connection, asking=named is not None)

    async def turn(self, error: Exception) -> None:
        """Turns after an error, or raises it: where there is no other way, or after too many turns."""
        self._turns += 1
        if self._turns > _MOST_TURNS or not isinstance(self._client, Cluster) or isinstance(error, MaxConnectionsError):
            raise error
        if isinstance(error, (TryAgainError, ClusterDownError)):
            await sleep(_PACE.delay(self._turns))
        elif isinstance(error, AskError) and not isinstance(error, MovedError):
            self._named = (error.host, error.port)
        else:
            await self._find_owner()

    async def turn_if_possible(self) -> None:
        """Turns after a commit that had no answer: it is to be settled wherever the namespace is by then."""
        if isinstance(self._client, Cluster):
            with suppress(RedisError, RedisClusterException):
                await self._find_owner()

    async def _find_owner(self) -> None:
        with suppress(AttributeError):  # see `closed_by_others`
            await self._client.execute_command("EXISTS", self._key)


async def routed(client: Any, key: bytes, command: tuple[object, ...], *, min_replicas: int = 0) -> list[Any]:
    """The reply to a command of a key, sent on one connection to its server; with `min_replicas` also that of WAIT."""
    route = AsyncRoute(client, key)
    while True:
        try:
            return await _answers(await route.take(), command, min_replicas)
        except ASTRAY as error:  # noqa: PERF203  # seldom more than one turn
            await route.turn(error)


async def _answers(connection: AsyncPinnedConnection, command: tuple[object, ...], min_replicas: int) -> list[Any]:
    try:
        wait = [wait_command(min_replicas, connection.socket_timeout)] if min_replicas else []
        replies = await connection.begin(command, *wait)
        connection.settle()
    finally:
        await connection.give_back()
    if isinstance(replies[0], Exception):
        raise replies[0]
    return replies
