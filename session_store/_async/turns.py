"""Turns: writers of one slot go one after the other, as far as they can know of each other. Advisory, and bounded."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from contextlib import suppress

from redis.exceptions import RedisClusterException, RedisError

from session_store._async._flavour import Waiter, sleep
from session_store._async.commands import AsyncCommands
from session_store._core.lines import Lines
from session_store._core.numbers import to_milliseconds
from session_store._core.policy import CasPolicy
from session_store._core.scripts import LEAVE

LOOK, IGNORE = 0, -1  # for `begin.lua`: wait for the turns of others; leave turns alone


class AsyncTurns:
    """The turns of one call of `with_cas`: in line with others of its process, and on the server with all others.

    It waits for `turn_wait` seconds in all, and then goes ahead without.
    """

    __slots__ = (
        *("_joined", "_keys", "_left", "_lines", "_looks", "_policy", "_uniform"),
        *("clock", "mode"),
    )

    def __init__(
        self,
        lines: Lines,
        policy: CasPolicy,
        keys: Sequence[bytes],
        *,
        clock: Callable[[], float] = time.monotonic,
        uniform: Callable[[float, float], float] = random.uniform,
    ) -> None:
        self._lines = lines
        self._policy = policy
        self._keys = sorted(keys)  # so that two who want the same lines do not wait for each other
        self.clock = clock
        self._uniform = uniform
        self._left = policy.turn_wait  # seconds
        self._looks = 0
        self._joined: list[tuple[bytes, Waiter]] = []
        self.mode = LOOK if self._left else IGNORE  # what `begin.lua` is to do about the turns on the server

    async def line_up(self) -> None:
        """Waits until the calls of this process that came first are done."""
        for key in self._keys if self._left else ():
            waiter = Waiter()
            first = self._lines.join(key, waiter)
            self._joined.append((key, waiter))
            while not first and self._left > 0:
                begin = self.clock()
                await waiter.wait(min(self._left, self._policy.turn_lease))
                self._spend(self.clock() - begin)
                first = self._lines.is_first(key, waiter)

    def step_out(self) -> None:
        """Lets the next one go."""
        for key, waiter in self._joined:
            self._lines.leave(key, waiter)

    def want(self) -> bool:
        """The next attempt takes the turns on the server, after one that lost. False where there are none."""
        if self.mode == LOOK:
            self.mode = to_milliseconds(self._policy.turn_lease, "turn_lease")
        return self.mode != IGNORE

    def forgo(self) -> bool:
        """Goes on without turns: where a cluster's slot is on the move, keys that do not exist stand in the way.

        False where there were none.
        """
        had, self.mode = self.mode != IGNORE, IGNORE
        return had

    @property
    def held(self) -> bool:
        """Whether the turns on the server may be this call's: they were wanted."""
        return self.mode > LOOK

    def given_back(self) -> None:
        """A commit has given the turns back."""
        if self.held:
            self.mode = LOOK

    async def wait(self, since: float) -> None:
        """Waits before the next look at them. The time counts from when the last look began, by the clock.

        Who has waited takes them when they are free: it must not lose as well.
        """
        self._looks += 1
        await sleep(min(self._left, self._policy.poll(self._looks, self._uniform)))
        self.want()
        self._spend(self.clock() - since)

    def _spend(self, seconds: float) -> None:
        self._left -= seconds
        if self._left <= 0:
            self.mode = IGNORE

    async def give_back(self, commands: AsyncCommands, turn_keys: tuple[bytes, ...], call: bytes) -> None:
        """Gives back the turns on the server, if that can be done now; else they run out."""
        if self.held:
            with suppress(RedisError, RedisClusterException):
                await commands.run(LEAVE, turn_keys, (call,))
