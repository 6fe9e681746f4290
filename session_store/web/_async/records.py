"""The session of one id in Redis: each method is one call, or as few as it takes."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from session_store._async.extension import AsyncExtension, min_replicas_of, of_bytes
from session_store._async.namespace import AsyncNamespace
from session_store._async.store import AsyncSessionStore
from session_store.errors import NamespacePurgedError, ReplicationError
from session_store.web._core.policy import SessionPolicy, lifetime_ms
from session_store.web._core.records import (
    CREATE,
    RENEW,
    ROTATE,
    SAVE,
    SLOT,
    Answer,
    Changes,
    Record,
    change_args,
    read_answer,
)
from session_store.web._core.tokens import WebToken

_MOST_LISTINGS = 16  # before giving up on writers that add slots faster than they are listed
_ENDED = Answer("ended")


class AsyncRecords:
    """The sessions of a store."""

    def __init__(self, store: AsyncSessionStore[Any], policy: SessionPolicy) -> None:
        self._store = store
        self._raw = of_bytes(store)
        self._policy = policy

    def namespace(self, session_id: str, *, ttl_ms: int) -> AsyncNamespace[Any]:
        """The application's slots of a session, which are to live as long as it."""
        return self._store.namespace(session_id, existing=True, default_ttl=ttl_ms / 1000)

    def codec(self, session_id: str) -> AsyncExtension[Any]:
        """What encodes and decodes the values of a session."""
        return AsyncExtension(self._store.namespace(session_id))

    def raw(self, session_id: str) -> AsyncNamespace[bytes]:
        """The session's slots as they are stored."""
        return self._raw.namespace(session_id, existing=True)

    def _extension(self, session_id: str) -> AsyncExtension[bytes]:
        return AsyncExtension(self.raw(session_id))

    async def load(self, session_id: str) -> Record:
        """HGETALL."""
        return Record(await self._raw.namespace(session_id).hgetall(SLOT))

    async def load_many(self, session_ids: Iterable[str]) -> dict[str, Record]:
        """Those that live, by id."""
        found = await self._raw.load_many(session_ids, SLOT)
        return {name: Record(fields) for name, fields in found.items() if isinstance(fields, dict)}

    async def create(self, token: WebToken, changes: Changes, *, ttl_ms: int, most_ms: int | None = None) -> int:
        """The time at which it began; 0 where there is such a namespace already. `most_ms`: in place of the lifetime."""
        args = (most_ms or lifetime_ms(self._policy), ttl_ms, token.digest)
        reply = await self._extension(token.id).once(CREATE, [SLOT], *args, *change_args(changes), creates=True)
        return int(reply)

    async def save(self, token: WebToken, changes: Changes) -> Answer:
        try:
            return read_answer(await self._extension(token.id).once(SAVE, [SLOT], token.digest, *change_args(changes)))
        except NamespacePurgedError:
            return _ENDED

    async def rotate(
        self,
        token: WebToken,
        new: WebToken,
        changes: Changes,
        *,
        grace_ms: int,
        mode: str,
        is_login: bool,
        ttl_ms: int,
    ) -> Answer:
        lifetime = lifetime_ms(self._policy) if is_login else ""
        args = (token.digest, new.digest, grace_ms, mode, lifetime, ttl_ms, *change_args(changes))
        return await self._on_all_slots(ROTATE, token.id, args, min_replicas_of(self._store))

    async def renew(self, token: WebToken, *, ttl_ms: int) -> Answer:
        return await self._on_all_slots(RENEW, token.id, (token.digest, ttl_ms))

    async def _on_all_slots(self, script: Any, session_id: str, args: tuple[Any, ...], min_replicas: int = 0) -> Answer:
        """A script that wants all slots of the namespace, which are listed before."""
        extension = self._extension(session_id)
        slots = await extension.listed()
        for _ in range(_MOST_LISTINGS):
            others = [slot for slot in slots if slot != SLOT]
            try:
                answer = read_answer(await extension.once(script, [SLOT, *others], *args, min_replicas=min_replicas))
            except NamespacePurgedError:
                return _ENDED
            except ReplicationError as error:
                answer = read_answer(error.reply)._replace(lacking=error)
            if answer.outcome != "listed":
                return answer
            slots = answer.slots
        raise RuntimeError("slots of the session are added faster than they can be listed")

    async def end(self, session_id: str) -> None:
        """For good."""
        await self._store.namespace(session_id).purge(fence=self._policy.fence)
