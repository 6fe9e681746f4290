"""A script call that happens once, however often the client sends it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from redis.exceptions import ResponseError

from session_store._async.commands import AsyncCommands
from session_store._core.operations import Operations
from session_store._core.outcomes import FENCED, STALE, WRONG_TYPE, outcome_of
from session_store._core.replication import check_replicas
from session_store._core.scripts import Script
from session_store._core.tokens import Ticket
from session_store.errors import NamespacePurgedError, ReplicationError


async def once(
    commands: AsyncCommands,
    operations: Operations[Any],
    script: Script,
    keys: Sequence[bytes],
    args: Sequence[object],
    *,
    min_replicas: int = 0,
    creates: bool = False,
) -> Any:
    """The reply to a call of a script that enters and leaves by lua/once.lua, whatever its form. One round trip.

    `keys`: of the slots that it names, KEYS from the second on. `args`: ARGV from the third on. `creates`: whether it is to
    begin the namespace, which then need not exist. Raises `NamespacePurgedError` where the namespace is fenced, or should
    exist and does not, `ReplicationError` where fewer than `min_replicas` have it.
    """
    all_keys, replicas = (operations.index, *keys), None
    existing = operations.existing and not creates
    while True:
        ticket = Ticket(operations.index, existing=existing)
        call = script, all_keys, (*ticket.token, *args)
        try:
            if min_replicas:
                reply, replicas = await commands.run_replicated(*call, ticket.token, min_replicas)
            else:
                reply = await commands.run(*call)
        except ResponseError:
            ticket.give_back()
            raise
        except BaseException:
            ticket.abandon()
            raise
        outcome = outcome_of(reply)
        if outcome != STALE:
            break
        ticket.abandon()
    ticket.give_back()
    if outcome == FENCED:
        raise NamespacePurgedError(operations.namespace)
    if min_replicas and outcome != WRONG_TYPE:
        try:
            check_replicas(replicas, all_keys[-1], min_replicas)
        except ReplicationError as error:
            error.reply = reply
            raise
    return reply
