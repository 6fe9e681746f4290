"""Who has a channel for himself, for as long as he is heard of."""

from __future__ import annotations

import secrets
from types import TracebackType
from typing import Any, Generic

from redis.exceptions import RedisError

from session_store.channels._async._flavour import Repeating, to_its_end
from session_store.channels._async.log import AsyncLog
from session_store.channels._core.records import CLAIM, RENEW, checked_kind, new_epoch, read_answer
from session_store.channels.errors import ChannelEndedError, HeldError, LeaseLostError
from session_store.codecs import V
from session_store.errors import SessionStoreError


class AsyncLease(Generic[V]):
    """Has a channel for itself within its `async with`: claims it, renews it in the background, and leaves it."""

    _role = ""

    def __init__(self, log: AsyncLog[V], lease_ms: int, *, takeover: bool = False) -> None:
        self._log = log
        self._lease_ms = lease_ms
        self._takeover = takeover
        self._token = ""  # while it is not entered
        self._told_ms = log.shared.settings.told_ms
        self._renewal: Repeating | None = None

    async def _enter(self) -> None:
        token = secrets.token_urlsafe(8)
        try:
            claim = (new_epoch(), token, self._lease_ms, int(self._takeover), self._told_ms)
            rest = await self._call(CLAIM, *claim)
            self._renewal = Repeating(self._renew, min(self._lease_ms, self._log.shared.settings.ttl_ms) / 3000)
            self._token = token
            await self._tell(rest)
        except (ChannelEndedError, HeldError):
            raise
        except BaseException:  # it may have been claimed, and nobody will leave what was not entered
            self._token = token
            await self._leave(is_lost=False)
            raise

    async def _call(self, script: Any, epoch: str, token: str, *args: object) -> str:
        return read_answer(await self._log.once(script, epoch, self._role, token, *args))

    async def _tell(self, rest: str) -> None:
        if rest.endswith("1") and self._role == "c":
            await self._log.enlist()

    async def _renew(self) -> bool:
        try:
            await self._tell(await self._call(RENEW, "", self._token, self._lease_ms, "", self._told_ms))
        except LeaseLostError:
            return False
        except (RedisError, OSError, SessionStoreError):  # the server may be back before the lease ends
            return True
        return True

    async def _leave(self, *, is_lost: bool) -> None:
        token, self._token = self._token, ""
        await to_its_end(lambda: self._left(token, is_lost=is_lost))

    async def _left(self, token: str, *, is_lost: bool) -> None:
        if self._renewal is not None:
            await self._renewal.stop()
        if not token:  # it has ended the channel
            return
        try:
            await self._call(RENEW, "", token, -1 if is_lost else 0, "", self._told_ms)
        except (RedisError, OSError, SessionStoreError):  # it ends by itself
            pass


class AsyncProducer(AsyncLease[V]):
    """Who produces a channel, and no other. Made by `AsyncChannel.produce`, for `async with`.

    Entering raises `HeldError` while another one produces it, and `ChannelEndedError`. The lease is renewed in the background, and by
    each event. Who leaves by an error, without having ended the channel, tells its followers at once that he is lost.
    """

    _role = "p"

    async def __aenter__(self) -> AsyncProducer[V]:
        await self._enter()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._leave(is_lost=error is not None)

    async def publish(self, data: V, *, kind: str = "message") -> str:
        """Add an event. Returns its id. Raises `LeaseLostError` where another one has taken the channel over, or the lease has ended.

        One script call, 1 round trip, O(size).
        """
        return await self._log.add(kind, data, token=self._checked(), lease_ms=self._lease_ms)

    async def end(self, data: V | None = None, *, kind: str = "end") -> str:
        """End the channel, with a last event unless `data` is None. Returns the last event's id. 1 round trip."""
        checked_kind(kind)
        last = await self._log.add(kind, data, token=self._checked(), lease_ms=self._lease_ms, ends=True)
        self._token = ""
        return last

    def _checked(self) -> str:
        if not self._token:
            raise RuntimeError("a producer publishes within its `with`, and until it has ended the channel")
        return self._token
