"""What all sessions of a site share: where they lie, the clock, the events, and who owns them."""

from __future__ import annotations

import time
from typing import Any

from session_store._async.extension import audit_of
from session_store._async.store import AsyncSessionStore
from session_store.fingerprints import fingerprint
from session_store.web._async.records import AsyncRecords
from session_store.web._core.cookies import CookiePolicy
from session_store.web._core.info import SessionInfo, info_of
from session_store.web._core.policy import SessionPolicy, renew_after_ms
from session_store.web._core.records import OWNER, SLOT, Record
from session_store.web.errors import TooManySessionsError

_PAGE = 200  # of an owner's sessions that are looked at together


class AsyncSite:
    """What all sessions of a site share."""

    def __init__(self, store: AsyncSessionStore[Any], policy: SessionPolicy, cookie: CookiePolicy) -> None:
        self.store = store
        self.policy = policy
        self.cookie = cookie
        self.records = AsyncRecords(store, policy)
        self.owners = store.directory("session-owner")
        self._audit = audit_of(store)
        self._ahead_ms = 0  # the server's clock before ours, as the latest answer told

    def now_ms(self) -> int:
        """The time of the server's clock, as far as it is known."""
        return int(time.time() * 1000) + self._ahead_ms

    def learn(self, now_ms: int) -> None:
        """Takes note of what the server's clock said just now."""
        self._ahead_ms = now_ms - int(time.time() * 1000)

    def is_due(self, record: Record, policy: SessionPolicy) -> bool:
        """Whether a session is to be renewed; also where it seems to have been in the future: then the clocks differ."""
        since = self.now_ms() - (record.ms("renewed") or 0)
        return not 0 <= since < renew_after_ms(policy, has_owner=OWNER in record.fields)

    def event(self, what: str, session_id: str, **fields: Any) -> None:
        """Writes an event; never an id, nor anything of a session."""
        level = "info" if what in ("created", "rotated", "ended") else "warning"
        self._audit.layer_event(
            level, f"session-store: session-{what}", lambda: {"session": fingerprint(session_id), **fields}
        )

    async def _listed(self, owner: str) -> dict[str, Record]:
        """The sessions that live and are on an owner's list; not all are the owner's."""
        found: dict[str, Record] = {}
        cursor: str | None = None
        while True:
            page = await self.owners.list(owner, slot=SLOT, limit=_PAGE, cursor=cursor)
            found |= await self.records.load_many([entry.name for entry in page])
            cursor = page.cursor
            if cursor is None:
                return found

    async def of(self, owner: str) -> list[SessionInfo]:
        """Those that live, the latest login first."""
        listed = await self._listed(owner)
        infos = [info_of(name, record, self.records.codec(name), owner) for name, record in listed.items()]
        return sorted((info for info in infos if info is not None), key=lambda info: info.authenticated, reverse=True)

    async def end_all(self, owner: str, but: str | None) -> int:
        """Ends all, but perhaps one.

        Also those that somebody is just logging in to: else a password that was changed before this call, and checked before
        it was changed, would be good for a session that outlives it.
        """
        listed = await self._listed(owner)
        theirs = [name for name, record in listed.items() if info_of(name, record, self.records.codec(name), owner)]
        under_way = [name for name, record in listed.items() if OWNER not in record.fields]
        ended = [name for name in (*theirs, *under_way) if name != but]
        await self.store.purge_many(ended, fence=self.policy.fence)
        for session_id in ended:
            await self.owners.remove(owner, session_id)
            self.event("ended", session_id)
        return sum(name != but for name in theirs)

    async def end_session(self, session_id: str, owner: str | None) -> None:
        """End one for good, and take it off its owner's list."""
        await self.records.end(session_id)
        if owner is not None:
            await self.owners.remove(owner, session_id)
        self.event("ended", session_id)

    async def make_room(self, owner: str) -> None:
        """Raises `TooManySessionsError` where an owner may have no more sessions."""
        policy = self.policy
        if policy.max_per_owner is None or policy.at_limit != "refuse":
            return
        if len(await self.of(owner)) >= policy.max_per_owner:
            raise TooManySessionsError(policy.max_per_owner)

    async def end_oldest(self, owner: str) -> None:
        """Ends those that are too many. Of many logins at once each sees those before it, and the last one sees all."""
        most = self.policy.max_per_owner
        for info in [] if most is None else (await self.of(owner))[most:]:
            await self.end_session(info.id, owner)
            self.event("limit", info.id)
