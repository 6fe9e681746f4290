"""Sessions for any ASGI application: Starlette, FastAPI and others that read `scope["session"]`. Imports no framework."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, MutableMapping
from typing import Any, Literal

from redis.exceptions import ConnectionError, TimeoutError

from session_store.web._async.session import AsyncWebSession
from session_store.web._async.sessions import AsyncSessions
from session_store.web._core.http import merged, refusal_of
from session_store.web._core.outcome import NOT_SAVED
from session_store.web._core.state import NotLoaded
from session_store.web.errors import SessionConflictError, SessionEndedError, SessionSupersededError

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

REFUSED = (SessionConflictError, SessionEndedError, SessionSupersededError, ConnectionError, TimeoutError)
_LOADER = "session_store.load"  # where the scope holds the way to load a session that is not yet


class SessionMiddleware:
    """Loads the session of each request into `scope["session"]`, and saves it before the first byte of the response.

    - `sessions`: an `AsyncSessions`.
    - `skip`: beginnings of paths whose requests have no session: files, health checks.
    - `load`: "eager", before the application is called; "lazy", when it is asked for with `load_session` (FastAPI:
      `SessionDep`): then a request that does not ask costs nothing.
    - `on_unavailable`: where Redis is away, "raise" answers 503, "empty" gives an empty session that is not saved.
    - `clear_site_data`: what browsers are to forget at a logout, as ("cache", "storage").

    A response with a status of 500 or more saves nothing, and neither does an exception. Where two requests were in each
    other's way (see `SessionPolicy`), the response is a 409 instead; where the session has ended and the policy wants to
    know, a 401. What a stream, a background task or a websocket changes later is saved when it has ended, if the session
    exists; else it is a `SessionSentError` there. A websocket's cookie is sent when it is accepted.
    """

    def __init__(
        self,
        app: App,
        sessions: AsyncSessions,
        *,
        skip: Collection[str] = (),
        load: Literal["eager", "lazy"] = "eager",
        on_unavailable: Literal["raise", "empty"] = "raise",
        clear_site_data: Collection[str] = (),
    ) -> None:
        if not isinstance(sessions, AsyncSessions):
            raise TypeError("sessions must be an AsyncSessions")
        if isinstance(skip, str) or isinstance(clear_site_data, str):
            raise TypeError("skip and clear_site_data must be collections of str, not one str")
        if load not in ("eager", "lazy") or on_unavailable not in ("raise", "empty"):
            raise ValueError("load must be 'eager' or 'lazy', and on_unavailable 'raise' or 'empty'")
        self.app = app
        self.sessions = sessions
        self._skip = tuple(skip)
        self._is_lazy = load == "lazy"
        self._may_be_empty = on_unavailable == "empty"
        self._clear_site_data = ", ".join(f'"{what}"' for what in clear_site_data)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request, websocket or lifespan, as ASGI has it."""
        if scope["type"] not in ("http", "websocket") or scope["path"].startswith(self._skip or ("\0",)):
            await self.app(scope, receive, send)
            return
        response = _Response(scope, send, self._clear_site_data)

        async def load() -> AsyncWebSession:
            if not isinstance(scope["session"], AsyncWebSession):
                scope["session"] = await self._loaded(scope)
            session: AsyncWebSession = scope["session"]
            return session

        scope["session"], scope[_LOADER] = NotLoaded(), load
        try:
            if not self._is_lazy:
                await load()
            await self.app(scope, receive, response.send)
            await response.ended()
        except REFUSED as error:
            if response.has_begun:
                raise
            await response.refuse(error)

    async def _loaded(self, scope: Scope) -> AsyncWebSession:
        cookies = [value for name, value in scope["headers"] if name == b"cookie"]
        try:
            return await self.sessions.load(cookies)
        except (ConnectionError, TimeoutError):
            if not self._may_be_empty:
                raise
            return self.sessions.unavailable()


class _Response:
    """What is sent, with what the session has to say when it begins."""

    def __init__(self, scope: Scope, send: Send, clear_site_data: str) -> None:
        self._scope = scope
        self._send = send
        self._clear_site_data = clear_site_data
        self.has_begun = False
        self._is_replaced = False  # by a refusal

    async def send(self, message: Message) -> None:
        if self._is_replaced:
            return
        if message["type"] in ("http.response.start", "websocket.accept"):
            session = self._scope["session"]
            if isinstance(session, AsyncWebSession):
                try:
                    headers = await session.finish(message.get("status", 101))
                except REFUSED as error:
                    await self.refuse(error)
                    return
                if session.was_logged_out and self._clear_site_data:
                    headers.append(("Clear-Site-Data", self._clear_site_data))
                message = {**message, "headers": merged(message.get("headers", ()), headers)}
            self.has_begun = True
        await self._send(message)

    async def ended(self) -> None:
        """Saves what came after the beginning."""
        session = self._scope["session"]
        if isinstance(session, AsyncWebSession) and not self._is_replaced:
            await session.finish_late()

    async def refuse(self, error: Exception) -> None:
        """Answers with what keeps the session from being used or saved."""
        self._is_replaced = self.has_begun = True
        if self._scope["type"] == "websocket":
            await self._send({"type": "websocket.close", "code": 1013, "reason": ""})
            return
        status, text, headers = refusal_of(error)
        if isinstance(session := self._scope["session"], AsyncWebSession):
            headers = merged(headers, await session.finish(NOT_SAVED))  # the cookie of a login that was done before
        await self._send({"type": "http.response.start", "status": status, "headers": headers})
        await self._send({"type": "http.response.body", "body": text})


async def load_session(connection: Any) -> AsyncWebSession:
    """The session of a request or websocket, loaded if it is not yet. `connection`: it, or its scope."""
    scope = connection if isinstance(connection, MutableMapping) and _LOADER in connection else connection.scope
    session: AsyncWebSession = await scope[_LOADER]()
    return session
