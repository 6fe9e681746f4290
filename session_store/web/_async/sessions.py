"""The sessions of a site."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from session_store._async.store import AsyncSessionStore
from session_store._core.extension import kind_of
from session_store.errors import CodecError
from session_store.web._async.session import AsyncWebSession
from session_store.web._async.site import AsyncSite
from session_store.web._core.cookies import MOST_TOKENS, CookiePolicy, find_tokens
from session_store.web._core.info import SessionInfo
from session_store.web._core.policy import SessionPolicy, idle_ms
from session_store.web._core.tokens import WebToken, read_token

_DEFAULT_COOKIE = CookiePolicy()
_IN_FLIGHT_MS = 60_000  # after a token was replaced: so long a request may have been on its way with it


class AsyncSessions:
    """The sessions of a site's visitors. Make one per process, next to the store; it does no I/O of its own accord.

    - `store`: where they live. Its `default_ttl` must be at least the policy's `idle`; its codec must take a str.
    - `policy`: how long they live, and what happens where requests meet. `cookie`: what the cookie is like.

    Raises `TypeError` and `ValueError`. A framework's adapter takes it: `session_store.web.asgi`, `.flask`, `.django`.
    Logs `session-store: session-created`, `session-rotated`, `session-ended`, `session-refused`, `session-write-dropped`,
    `session-conflict` and `session-limit`, with fingerprints of ids.
    """

    def __init__(
        self, store: AsyncSessionStore[Any], *, policy: SessionPolicy, cookie: CookiePolicy = _DEFAULT_COOKIE
    ) -> None:
        if not isinstance(store, AsyncSessionStore):
            raise TypeError(f"store must be of the class AsyncSessionStore, got {kind_of(store)}")
        for argument, value, kind in (("policy", policy, SessionPolicy), ("cookie", cookie, CookiePolicy)):
            if not isinstance(value, kind):
                raise TypeError(f"{argument} must be a {kind.__name__}, got {kind_of(value)}")
        if store.default_ttl * 1000 < idle_ms(policy, has_owner=True):
            raise ValueError("the store's default_ttl must be at least the policy's idle")
        self.store = store
        self.policy = policy
        self.cookie = cookie
        self._site = AsyncSite(store, policy, cookie)
        self._kind = AsyncWebSession

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.store!r})"

    def adapted(self, kind: type[AsyncWebSession], cookie: CookiePolicy) -> AsyncSessions:
        """The same sessions for the adapter of a framework, which has a class of its own for them, and a cookie."""
        twin = type(self)(self.store, policy=self.policy, cookie=cookie)
        twin._kind = kind  # noqa: SLF001  # of the same class
        return twin

    async def load(self, cookies: Iterable[bytes]) -> AsyncWebSession:
        """The session of a request. `cookies`: the values of its Cookie headers.

        Without a token of the right form nothing is sent; else HGETALL, 1 round trip, for each of up to 3 tokens. A token that
        is nobody's, or of a session that the codec cannot read, is none: the request has a new session, which is stored when
        something is written to it.
        """
        tokens = find_tokens(self.cookie, cookies)
        if len(tokens) > MOST_TOKENS:
            self._site.event("refused", tokens[0].id, reason="ambiguous")
            return self.new()
        found = [await self._session(token) for token in tokens]
        live = [session for session in found if session.id is not None]
        if len(live) > 1:  # somebody else may have set one of them
            self._site.event("refused", tokens[0].id, reason="ambiguous")
            return self.new()
        return live[0] if live else self.new()

    async def open(self, token: str | None) -> AsyncWebSession:
        """The session of a token that a framework found in a cookie of its own; else as `load`."""
        read = read_token(token)
        return self.new() if read is None else await self._session(read)

    def new(self) -> AsyncWebSession:
        """A session that is stored when something is written to it. No I/O."""
        return self._kind(self._site)

    async def _session(self, token: WebToken) -> AsyncWebSession:
        record = await self._site.records.load(token.id)
        standing: str = record.standing(token, self._site.now_ms())
        if standing == "old" and not record.may_load_old:
            standing = "superseded"
        if standing in ("current", "old"):
            try:
                return self._kind(self._site, token, record, "live")
            except CodecError:
                standing = "unreadable"  # by a wrong key, perhaps: nothing is deleted
        self._site.event("refused", token.id, reason={"ended": "unknown"}.get(standing, standing))
        # A request that was on its way while the token was replaced must not take the browser's new cookie from it.
        if standing == "superseded" and self._site.now_ms() - (record.ms("rotated") or 0) < _IN_FLIGHT_MS:
            return self._kind(self._site, token, None, "superseded")
        return self.new()

    def unavailable(self) -> AsyncWebSession:
        """An empty session that is not saved, for a request that is answered while Redis is away. No I/O."""
        return self._kind(self._site, state="away")

    async def of(self, owner: str) -> list[SessionInfo]:
        """The sessions of an owner that live, the latest login first: for a page that shows devices.

        3 round trips for each 200. What it shows holds no token: an id can only be used to end a session.
        """
        return await self._site.of(owner)

    async def count(self, owner: str) -> int:
        """How many sessions of an owner live. As many round trips as `of`."""
        return len(await self._site.of(owner))

    async def end(self, owner: str, session_id: str) -> bool:
        """End one session of an owner, by its id. False, and nothing is done, where it is not theirs, or has ended.

        The round trips of `of`, and 3 more.
        """
        if all(info.id != session_id for info in await self._site.of(owner)):
            return False
        await self._site.end_session(session_id, owner)
        return True

    async def end_all(self, owner: str, but: str | None = None) -> int:
        """End all sessions of an owner, but perhaps the one of this id. Returns how many there were.

        Requests under way write to none of them any more. A login that is under way meanwhile either fails, or comes after
        this. The round trips of `of`, 2 for each 500, and 1 for each.
        """
        return await self._site.end_all(owner, but)
