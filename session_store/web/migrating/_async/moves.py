"""The move of one session: what is written, and in which order."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Callable
from typing import Any, Protocol

from session_store._async.extension import of_bytes
from session_store._async.namespace import AsyncNamespace
from session_store._core.extension import to_milliseconds
from session_store.errors import NamespacePurgedError
from session_store.web._async.session import AsyncWebSession
from session_store.web._async.sessions import AsyncSessions
from session_store.web._async.site import AsyncSite
from session_store.web._core.policy import lifetime_ms, ttl_ms
from session_store.web._core.records import MOVED, OWNER, encoded
from session_store.web._core.records import SLOT as SESSION
from session_store.web._core.tokens import WebToken, read_token
from session_store.web.errors import SessionTooLargeError
from session_store.web.migrating._core.formats import OldSession
from session_store.web.migrating._core.marks import IN_FLIGHT, SLOT, Mark, Outcome, mark_name, portion

_SLACK = 60  # seconds for which a mark outlives the session


class AsyncOldSessions(Protocol):
    """Where sessions come from; `AsyncRedisBlobs` is one. `form`: a compiled pattern of what an id looks like."""

    form: Any

    async def read(self, old_id: str) -> OldSession | None:
        """The session of an id, None where there is none. Raises `ValueError` where it cannot be read."""

    async def remove(self, old_id: str) -> None:
        """Ends it."""

    def ids(self) -> AsyncIterator[str]:
        """All ids, for `move_all`."""


class AsyncMoves:
    """What moves sessions of `old` to `sessions`; see `AsyncMigration`."""

    def __init__(
        self,
        sessions: AsyncSessions,
        old: AsyncOldSessions,
        share: float,
        convert: Callable[[dict[str, Any]], dict[str, Any]],
        owner_of: Callable[[dict[str, Any]], str | None],
    ) -> None:
        self.sessions = sessions
        self.old = old
        self.share = share
        self._convert = convert
        self._owner_of = owner_of
        self._site = AsyncSite(sessions.store, sessions.policy, sessions.cookie)
        self._marks = of_bytes(sessions.store)

    def _mark(self, old_id: str) -> AsyncNamespace[bytes]:
        return self._marks.namespace(mark_name(old_id))

    async def take(self, old_id: str, *, always: bool = False) -> tuple[Outcome, WebToken | None]:
        """Moves a session, if it is this process' to move, or was begun to be, or `always`; its token if it was moved."""
        namespace = self._mark(old_id)
        mark = Mark(await namespace.hgetall(SLOT))
        if mark.is_closed(self._site.now_ms()):
            return "gone", None
        if mark.is_made:
            return "known", mark.token(old_id)
        if not (mark.has_begun or always or portion(old_id) < self.share):
            return "left", None
        try:
            return await self._move(old_id, namespace)
        except (TypeError, ValueError, SessionTooLargeError) as error:
            is_read = isinstance(error, (TypeError, SessionTooLargeError))
            reason = ("not encodable" if isinstance(error, TypeError) else "too large") if is_read else "unreadable"
            self._site.event("move-failed", namespace.name, reason=reason)
            return "failed", None

    async def _move(self, old_id: str, namespace: AsyncNamespace[bytes]) -> tuple[Outcome, WebToken | None]:
        if await self._read(old_id) is None:  # nothing is written for ids that are none
            return await self._moved_by_another(old_id, namespace)
        mark = await self._begin(namespace)
        if mark.is_closed(self._site.now_ms()):
            return "gone", None
        # Again: from the mark on the old library's requests look after themselves (`follow`); what they saved before is in it.
        old = None if mark.is_made else await self._read(old_id)
        if old is None:
            return await self._moved_by_another(old_id, namespace)
        token = mark.token(old_id)
        try:
            await self._create(token, old, namespace.name)
        except NamespacePurgedError:  # it was moved, and has ended, while this request stood still
            return "gone", None
        await namespace.hset(SLOT, "made", b"1", keepttl=True)
        await self.old.remove(old_id)
        self._site.event("moved", token.id)
        return "moved", token

    async def _moved_by_another(self, old_id: str, namespace: AsyncNamespace[bytes]) -> tuple[Outcome, WebToken | None]:
        mark = Mark(await namespace.hgetall(SLOT))
        if mark.is_made and not mark.is_closed(self._site.now_ms()):
            return "known", mark.token(old_id)
        return "gone", None

    async def _read(self, old_id: str) -> OldSession | None:
        """The old session as it can be stored; raises where it cannot."""
        old = await self.old.read(old_id)
        if old is None:
            return None
        old = old._replace(data=self._owned(self._convert(old.data)))
        size = sum(len(f".{key}".encode()) + len(value) for key, value in self._encoded("moved", old.data).items())
        if size > self.sessions.policy.max_bytes:
            raise SessionTooLargeError(size, self.sessions.policy.max_bytes)
        return old

    def _owned(self, data: dict[str, Any]) -> dict[str, Any]:
        """With the key that says who is logged in, as a login sets it: without, they would be logged out by the next change."""
        key, owner = self.sessions.policy.owner_key, self._owner_of(data)
        return data if key is None or owner is None or str(data.get(key)) == owner else {**data, key: owner}

    def _encoded(self, session_id: str, data: dict[str, Any]) -> dict[str, bytes]:
        codec = self._site.records.codec(session_id)
        return {key: encoded(codec, key, value) for key, value in data.items()}

    async def _begin(self, namespace: AsyncNamespace[bytes]) -> Mark:
        """Of two that begin at once one wins, and both go on with its nonce."""
        nonce = secrets.token_bytes(32)
        ttl = lifetime_ms(self.sessions.policy) / 1000 + _SLACK

        async def begin(snap: Any, ops: Any) -> Mark:
            fields = await snap.hgetall(SLOT)
            if not fields:
                fields = {"nonce": nonce}
                ops.hset(SLOT, mapping=fields, ttl=ttl)
            return Mark(fields)

        return await namespace.with_cas(SLOT, begin)

    async def _create(self, token: WebToken, old: OldSession, mark: str) -> None:
        """Each step may be done again, by another request that found the move half done."""
        site, policy, owner = self._site, self.sessions.policy, self._owner_of(old.data)
        most = lifetime_ms(policy) if old.at_most is None else min(lifetime_ms(policy), int(old.at_most * 1000) or 1)
        ttl = ttl_ms(policy, has_owner=owner is not None)
        ttl = ttl if old.left is None else min(ttl, int(old.left * 1000) or 1)
        fields = {f".{key}": (..., data) for key, data in self._encoded(token.id, old.data).items()}
        now = await site.records.create(token, {MOVED: (..., mark.encode()), **fields}, ttl_ms=ttl, most_ms=most)
        site.learn(now or site.now_ms())
        if owner is not None:  # the list first, as at a login: who logs out everywhere meanwhile ends it
            await site.owners.add(owner, token.id, ttl=most / 1000)
            data = site.records.codec(token.id).encode(SESSION, owner, OWNER)
            await site.records.save(token, {OWNER: (..., data)})

    async def settle(self, session: AsyncWebSession) -> bool:
        """Where the browser shows the new cookie for the first time: the old id is on its way out. 2 round trips then."""
        token, mark = read_token(session.token), session.moved_from
        if token is None or mark is None:
            return False
        await self._close(self._marks.namespace(mark), IN_FLIGHT)
        await self._site.records.save(token, {MOVED: (..., None)})
        return True

    async def _close(self, namespace: AsyncNamespace[bytes], seconds: int) -> None:
        until = self._site.now_ms() + seconds * 1000
        # It outlives what an old request could still write to the old store, which is not to be moved a second time.
        await namespace.hset(
            SLOT, "until", b"%d" % until, ttl=to_milliseconds(self.sessions.policy.fence, "fence") / 1000 + IN_FLIGHT
        )
