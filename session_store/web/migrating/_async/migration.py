"""Sessions of another library become ours, while both are in use."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from typing import Any, NamedTuple

from session_store._core.extension import kind_of
from session_store.web._async.session import AsyncWebSession
from session_store.web._async.sessions import AsyncSessions
from session_store.web._core.cookies import CookiePolicy, delete_cookie, set_cookie
from session_store.web._core.tokens import WebToken
from session_store.web.migrating._async.moves import AsyncMoves, AsyncOldSessions
from session_store.web.migrating._core.marks import (
    SLOT,
    Mark,
    Outcome,
    changes,
    cookie_values,
    owner_by_key,
    sent_value,
)


class Found(NamedTuple):
    """What a request has: a session of ours, or None where the old library is to serve it."""

    session: AsyncWebSession | None
    old_id: str | None = None  # that it came with, instead of a token
    token: str | None = None  # that the browser is to be told, if it is the session's still when the response begins
    is_settled: bool = False  # it is known by now that the browser has the new cookie: the old one can go


class AsyncMigration(AsyncMoves):
    """Moves the sessions of another library to `sessions`, each once, when its browser comes or when `move_all` is called.

    - `sessions`: an `AsyncSessions`. `old`: where the others are, an `AsyncRedisBlobs` or what has its methods.
    - `cookie`: the other library's cookie, as a `CookiePolicy`: its name, and the path and domain by which it is deleted.
    - `share`: which part of the sessions this process moves, from 0.0 (none, but it follows those that others move) to 1.0.
    - `id_of`: makes the id of the cookie's value, or None of a forged one, where the value is not the id: it is signed, say.
    - `convert`: makes what is to be stored of the old session's keys, where they hold what the store's codec does not take.
    - `owner_of`: who is logged in, by the keys; else the policy's `owner_key` says it.

    An old id is no credential any more ten minutes after the browser has shown that it has the new cookie. It stands in no
    key, event or error. Logs `session-store: session-moved` (info) and `session-move-failed` (warning).
    """

    def __init__(
        self,
        sessions: AsyncSessions,
        old: AsyncOldSessions,
        *,
        cookie: CookiePolicy,
        share: float = 1.0,
        id_of: Callable[[str], str | None] | None = None,
        convert: Callable[[dict[str, Any]], dict[str, Any]] | None = None,
        owner_of: Callable[[dict[str, Any]], str | None] | None = None,
    ) -> None:
        if not isinstance(sessions, AsyncSessions):
            raise TypeError(f"sessions must be of the class AsyncSessions, got {kind_of(sessions)}")
        if not isinstance(cookie, CookiePolicy):
            raise TypeError(f"cookie must be a CookiePolicy, got {kind_of(cookie)}")
        if isinstance(share, bool) or not isinstance(share, (int, float)) or not 0 <= share <= 1:
            raise ValueError("share must be a number from 0 to 1")
        super().__init__(
            sessions, old, float(share), convert or (lambda data: data), owner_of or owner_by_key(sessions.policy)
        )
        self.cookie = cookie
        self._id_of = id_of or (lambda value: value)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.sessions!r}, {self.old!r}, share={self.share})"

    def old_id(self, cookies: Iterable[bytes]) -> str | None:
        """The old id in a request's Cookie headers, if there is one that looks like it. No I/O."""
        return next(filter(None, map(self._checked, cookie_values(self.cookie.name or "", cookies))), None)

    def _checked(self, value: str) -> str | None:
        old_id = self._id_of(value)
        return old_id if old_id is not None and self.old.form.fullmatch(old_id) else None

    def sent_id(self, headers: Iterable[str]) -> str | None:
        """What the old library's Set-Cookie headers say: an id, "" for a deleted cookie, None for nothing. No I/O."""
        value = sent_value(self.cookie.name or "", headers)
        return value and (self._checked(value) or "")

    def begins(self) -> bool:
        """Whether a visitor without any session is to get one of ours."""
        return random.random() < self.share

    # A request.

    async def find(self, cookies: Iterable[bytes], sessions: AsyncSessions | None = None) -> Found:
        """What a request has by its Cookie headers; moves its session where that is due.

        With our cookie: 1 round trip, 3 when it comes for the first time. With the old one alone: 1 where it is left to the
        old library; some 10 where it is moved; 4 after that, until the browser has the new one. `sessions`: those of an
        adapter.
        """
        sessions, headers = sessions or self.sessions, list(cookies)
        session = await sessions.load(headers)
        if session.id is not None:
            return Found(session, is_settled=await self.settle(session))
        old_id = self.old_id(headers)
        if old_id is None:
            return Found(session if self.begins() else None)
        outcome, token = await self.take(old_id)
        if token is not None:
            session = await sessions.open(token.text)
            await session.renew(now=True)
        elif outcome in ("left", "failed"):
            return Found(None, old_id)
        return Found(session, old_id, session.token)

    # Requests of the old library.

    async def follow(
        self,
        old_id: str,
        before: Mapping[str, Any],
        after: Mapping[str, Any],
        *,
        sent_id: str | None = None,
        sessions: AsyncSessions | None = None,
    ) -> AsyncWebSession | None:
        """After the old library has saved: if the session was moved meanwhile, does the same to ours. 1 round trip if not.

        `before`, `after`: what the request found in the session, and what it left. `sent_id`: what `sent_id` says. Returns
        our session, saved and with `finish` to be called, or None.
        """
        mark = Mark(await self._mark(old_id).hgetall(SLOT))
        if not mark.has_begun:
            return None
        if sent_id not in (None, old_id):  # a logout, or a login
            await self.end(old_id)
        _, token = await self.take(sent_id or old_id, always=True) if sent_id != "" else ("gone", None)
        if token is None:
            return None
        await self.old.remove(old_id)  # it was saved there once more
        session = await (sessions or self.sessions).open(token.text)
        if session.id is None:
            self._site.event("write-dropped", token.id)
            return None
        if sent_id in (None, old_id):
            changed, gone = changes(self._convert(dict(before)), self._convert(dict(after)))
            session.update(changed)
            for key in gone:
                session.pop(key, None)
        return session

    async def end(self, old_id: str) -> None:
        """Ends a session by its old id, moved or not: nothing is left of it, here and there."""
        namespace = self._mark(old_id)
        mark = Mark(await namespace.hgetall(SLOT))
        if mark.has_begun:
            await self._close(namespace, 0)
        if "nonce" in mark.fields:  # also where it is just being made: that is refused then
            session = await self.sessions.open(mark.token(old_id).text)
            await self._site.end_session(mark.token(old_id).id, session.owner)
        await self.old.remove(old_id)

    async def headers(self, found: Found, cookie: CookiePolicy | None = None) -> list[tuple[str, str]]:
        """What the browser is to be told of a session that was saved, if it came with the old cookie. 1 round trip then.

        The token is asked for again: a login that was faster has another one, which this response must not take away.
        `cookie`: that of an adapter.
        """
        session, cookie = found.session, cookie or self.sessions.cookie
        if found.is_settled and self.cookie.name != cookie.name:
            return [("Set-Cookie", delete_cookie(self.cookie))]
        if session is None or found.token is None or found.token != session.token or not await session.alive():
            return []
        set_ours = set_cookie(cookie, WebToken(found.token), session.time_left or 0)
        return [("Set-Cookie", set_ours), ("Cache-Control", "no-store")]

    # The rest.

    async def move_all(self) -> AsyncIterator[Outcome]:
        """Moves all that are there, one after the other, whatever the share; tells what became of each.

        Browsers find them as if they had been moved at their own request. Some 10 round trips each, and a SCAN.
        """
        async for old_id in self.old.ids():
            outcome, _ = await self.take(old_id, always=True)
            yield outcome
