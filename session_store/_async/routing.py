"""Commands of a key on one connection to its server, wherever a cluster has it by then."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from redis.exceptions import (
    AskError,
    ClusterDownError,
    MaxConnectionsError,
    MovedError,
    SlotNotCoveredError,
    TryAgainError,
)

from session_store._async._flavour import Cluster, pool_of, sleep
from session_store._async.connection import NO_ANSWER, REFUSALS, exchange_all
from session_store._core.policy import CasPolicy

ASTRAY = (*REFUSALS, *NO_ANSWER, SlotNotCoveredError)  # after these the server of a key is looked for again
_MOST_FOLLOWED = 16  # as many redirections as redis-py follows for one command
_PACE = CasPolicy(max_retries=_MOST_FOLLOWED)  # while a slot is split between two nodes, or not served


async def routed(
    client: Any, key: bytes, *commands: tuple[object, ...], named: tuple[str, int] | None = None
) -> list[Any]:
    """The replies to a command of a key, and to those that are to follow it on the same connection.

    `named`: the node that has been named by ASK already.

    Raises an error reply to the first. On a cluster it follows up to 16 redirections; elsewhere there are none.

    - MOVED, a node out of reach, a slot without a node: the client looks for the owner, with one cheap read that it
      retries as it is configured.
    - ASK: the next time, and only then, it goes to the node that was named, and announces itself there (ASKING).
    - TRYAGAIN, CLUSTERDOWN: a wait, jittered, of up to 0.25 s.
    """
    followed, most = 0, _MOST_FOLLOWED if isinstance(client, Cluster) else 0
    while True:
        try:
            return await _answers(client, key, named, list(commands))
        except ASTRAY as error:  # noqa: PERF203  # seldom more than one is followed
            followed += 1
            if followed > most or isinstance(error, MaxConnectionsError):
                raise
            named = None
            if isinstance(error, (TryAgainError, ClusterDownError)):
                await sleep(_PACE.delay(followed))
            elif isinstance(error, AskError) and not isinstance(error, MovedError):
                named = (error.host, error.port)
            else:
                with suppress(AttributeError):  # see `closed_by_others`
                    await client.execute_command("EXISTS", key)


async def _answers(
    client: Any, key: bytes, named: tuple[str, int] | None, commands: list[tuple[object, ...]]
) -> list[Any]:
    pool = await pool_of(client, key, named)
    if pool is None:  # the client does not know the node yet: the owner will name it again
        await sleep(_PACE.delay(1))
        pool, named = await pool_of(client, key, None), None
    if named:
        _, *replies = await exchange_all(pool, [("ASKING",), *commands])
    else:
        replies = await exchange_all(pool, commands)
    if isinstance(replies[0], Exception):
        raise replies[0]
    return replies
