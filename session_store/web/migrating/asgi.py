"""Any ASGI application whose sessions are moved from another middleware's: starsessions, or your own."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from typing import Any, cast

from redis.exceptions import ConnectionError, TimeoutError

from session_store.web._async.session import AsyncWebSession
from session_store.web._core.http import merged, refusal_of
from session_store.web.asgi import REFUSED, App, Message, Receive, Scope, Send, SessionMiddleware
from session_store.web.migrating._async.migration import AsyncMigration, Found
from session_store.web.migrating._core.formats import METADATA

_FOUND = "session_store.migrating"  # where the scope holds what `find` has found


class _Ours(SessionMiddleware):
    """With the session that was found already."""

    async def _loaded(self, scope: Scope) -> AsyncWebSession:
        found: AsyncWebSession | None = scope[_FOUND].session
        return self.sessions.new() if found is None else found

    def skips(self, scope: Scope) -> bool:
        """Whether it has nothing to do with a request."""
        return scope["type"] not in ("http", "websocket") or scope["path"].startswith(self._skip or ("\0",))

    @property
    def may_be_empty(self) -> bool:
        """Whether a request is served without its session where Redis is away."""
        return self._may_be_empty


class MigratingMiddleware:
    """In place of `SessionMiddleware` while sessions are moved: each request is served by the old library, or by ours.

    - `migration`: an `AsyncMigration`. `old`: puts the other library's middleware around an application, as the application
      had it before; None when all has been moved. `settings`: those of `SessionMiddleware`.

    Handlers find a dict in `scope["session"]` either way. `load_session` and `SessionDep` are for afterwards.
    """

    def __init__(
        self, app: App, migration: AsyncMigration, *, old: Callable[[App], App] | None = None, **settings: Any
    ) -> None:
        self._migration = migration
        self._ours = _Ours(app, migration.sessions, **settings)
        self._old = None if old is None else old(app)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request, websocket or lifespan, as ASGI has it."""
        if self._ours.skips(scope):
            await self._ours(scope, receive, send)
            return
        try:
            found = await self._migration.find([value for name, value in scope["headers"] if name == b"cookie"])
        except (ConnectionError, TimeoutError) as error:
            if not self._ours.may_be_empty:
                await _refuse(scope, send, error)
                return
            found = Found(self._migration.sessions.unavailable())
        scope[_FOUND] = found
        if found.session is None and self._old is not None:
            await self._by_the_old(self._old, scope, receive, send)
        else:
            await self._ours(scope, receive, self._telling(found, send))

    def _telling(self, found: Found, send: Send) -> Send:
        """Sends on, with the cookies of a move."""

        async def telling(message: Message) -> None:
            if message["type"] in ("http.response.start", "websocket.accept"):
                try:
                    headers = await self._migration.headers(found)
                except (ConnectionError, TimeoutError):
                    headers = []  # the browser is told with its next request
                message = {**message, "headers": merged(message.get("headers", ()), headers)}
            await send(message)

        return telling

    async def _by_the_old(self, old: App, scope: Scope, receive: Receive, send: Send) -> None:
        found: Found = scope[_FOUND]
        if found.old_id is None or scope["type"] == "websocket":
            await old(scope, receive, send)
            return
        try:
            before = await self._migration.old.read(found.old_id)
        except ValueError:  # the old library will say so
            before = None
        data = {} if before is None else deepcopy(before.data)
        is_refused = False

        async def following(message: Message) -> None:
            nonlocal is_refused
            if message["type"] == "http.response.start":
                try:
                    message = await self._followed(scope, message, data)
                except REFUSED as error:
                    is_refused = True
                    await _refuse(scope, send, error)
            if not is_refused:
                await send(message)

        await old(scope, receive, following)

    async def _followed(self, scope: Scope, message: Message, before: dict[str, Any]) -> Message:
        """The old library has saved by now: the same for a session that was moved meanwhile, and its cookie."""
        session, name = scope["session"], self._migration.cookie.name or ""
        after = {key: session[key] for key in session if key != METADATA} if type(session) is dict else before
        given = list(message.get("headers", ()))
        sent = [value.decode("latin-1") for key, value in given if key.lower() == b"set-cookie"]
        ours = await self._migration.follow(
            cast("str", scope[_FOUND].old_id), before, after, sent_id=self._migration.sent_id(sent)
        )
        if ours is None:
            return message
        found = Found(ours, token=ours.token)
        headers = await ours.finish(message["status"])
        headers += await self._migration.headers(found)
        begin = f"{name}=".encode()
        kept = [(key, value) for key, value in given if key.lower() != b"set-cookie" or not value.startswith(begin)]
        return {**message, "headers": merged(kept, headers)}


async def _refuse(scope: Scope, send: Send, error: Exception) -> None:
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": 1013, "reason": ""})
        return
    status, text, headers = refusal_of(error)
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": text})
