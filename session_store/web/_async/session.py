"""The session of one request."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection
from copy import deepcopy
from typing import Any, TypeVar

from session_store._core.extension import check_wait, kind_of
from session_store.errors import CasContentionError, NamespacePurgedError
from session_store.web._async.stored import AsyncStoredSession
from session_store.web._core.cookies import delete_cookie, set_cookie
from session_store.web._core.outcome import NOT_SAVED, Facts, Step, decide
from session_store.web._core.policy import FLASHES, lifetime_ms, ttl_ms
from session_store.web._core.records import MOVED, SLOT, Answer, Changes, Record
from session_store.web._core.state import differences
from session_store.web._core.tokens import new_token
from session_store.web.errors import SessionConflictError, SessionEndedError, SessionSentError

R = TypeVar("R")
RETRIES = 20  # of a transaction, where the caller says nothing


class AsyncWebSession(AsyncStoredSession):
    """The session of one request: a dict of the application's, which is saved when the response begins.

    Values are what the store's codec takes. At the end of a request each key that was asked for or set is compared with what
    was loaded, nested values too, and only what differs is sent: requests that change different keys do not get into each
    other's way. For what two requests change together, a counter or a basket, there is `transaction`, and `namespace`.

    - `id`: names the session, and is no secret; None until it is stored.
    - `owner`: who is logged in, None where nobody is. `created`, `authenticated`, `deadline`: seconds since the epoch by the
      server's clock; when it began, when its owner logged in last, when it ends at the latest.
    - `new`: whether it was not there when the request began. `accessed`, `modified`: what the request has done.
    """

    # Logins.

    async def login(
        self, owner: str, *, label: Any = None, keep: bool | Collection[str] = True, grace: float | None = None
    ) -> None:
        """Somebody has proved who they are: from now on the session is theirs, by a new token, and the old one is dead.

        `owner`: who, any str. `label`: what `Sessions.of` shows of it, a device perhaps; a value that the codec takes.
        `keep`: whether the session's keys stay, or which. `grace`: seconds for which requests that began before may still
        save; None: the policy's. The lifetime begins anew. A session of another owner ends, and nothing of it stays.

        Raises `SessionSupersededError` where another login was faster (of many at once with one token, one wins),
        `SessionEndedError` where the session has ended meanwhile, `TooManySessionsError` where the policy refuses one more,
        `SessionSentError` where the response has begun; `ReplicationError` where it was done and fewer replicas than the
        store's `min_replicas` have it: the session has the new token then, and so has the response that you make of it.
        3 round trips: directory, list of slots, one script call; and 1 before where there is no session yet.
        """
        if not isinstance(owner, str):
            raise TypeError(f"owner must be a str, got {kind_of(owner)}")
        if self._sent:
            raise SessionSentError
        site = self._site
        await site.make_room(owner)
        if self._state == "live" and self._owner not in (None, owner):
            await self.logout()
        if keep is not True:
            kept = set(keep or ())
            for key in [key for key in dict.keys(self) if key not in kept]:
                dict.pop(self, key)
        if site.policy.owner_key is not None and str(dict.get(self, site.policy.owner_key)) != owner:
            self[site.policy.owner_key] = owner
        if self._state != "live":  # by a token that is none, or one that was replaced: whoever logs in gets another
            self._state = "new"
            await self._create(self._changes())
        # In this order: who logs out everywhere finds the session by the list, and then the rotation finds it ended.
        token = self._live()
        await site.owners.add(owner, token.id, ttl=lifetime_ms(site.policy) / 1000)
        stored = {**self._encoded(token.id, self._changes()), **self._owned(token.id, owner, label)}
        grace = site.policy.grace if grace is None else grace
        answer = await self._rotate(stored, grace, "save", is_login=True)
        self._owner, self.was_cleared = owner, False  # if it was, that was before
        await site.end_oldest(owner)
        if answer.lacking is not None:
            raise answer.lacking

    async def rotate(self, grace: float = 10.0) -> None:
        """Give the session a new token; what a browser does with the old one is still done for `grace` seconds.

        Raises `SessionSupersededError`, `SessionEndedError`, `SessionSentError`, and `ReplicationError` as `login` does. 2
        round trips.
        """
        if self._sent:
            raise SessionSentError
        if self._state == "new":
            return
        answer = await self._rotate(self._encoded(self._live().id, self._changes()), grace, "load", is_login=False)
        if answer.lacking is not None:
            raise answer.lacking

    async def _rotate(self, changes: Changes, grace: float, mode: str, *, is_login: bool) -> Answer:
        site, token = self._site, self._live()
        new, ttl = new_token(token.id), ttl_ms(self.policy, has_owner=is_login or self._owner is not None)
        grace_ms = int(check_wait(grace, "grace") * 1000)
        answer, stored = await self._merging(
            changes,
            lambda changes: site.records.rotate(
                token, new, changes, grace_ms=grace_ms, mode=mode, is_login=is_login, ttl_ms=ttl
            ),
        )
        self._done(answer)
        self._token, now = new, answer.now_ms
        self._record.fields["~secret"] = new.digest
        lifetime = lifetime_ms(site.policy)
        self._note(stored, now, renewed=now, **({"auth": now, "deadline": now + lifetime} if is_login else {}))
        left = (self._record.ms("deadline") or now) - now
        self._cookie = set_cookie(site.cookie, new, left / 1000)
        site.event("rotated", new.id)
        return answer

    async def logout(self) -> None:
        """End the session, with all that is in it, for good: writes of requests that are slower are dropped.

        What is written afterwards in this request begins another session. 2 round trips, and 1 for the owner's list.
        """
        owner, token = self._owner, self._token
        if self._state == "away":
            self._live()  # nobody is to believe that it has ended
        if self._state == "live" and token is not None:
            await self._site.end_session(token.id, owner)
            self._cookie = delete_cookie(self._site.cookie)
            self.was_logged_out = True
        self._forget()

    def _forget(self) -> None:
        dict.clear(self)
        self.was_cleared = False
        self._token, self._owner, self._state, self._record = None, None, "new", Record({})
        self._fill({}, lambda key, data: None)

    @property
    def login_age(self) -> float | None:
        """Seconds since the owner logged in; None where nobody is."""
        since = self._record.ms("auth")
        return None if since is None or self._owner is None else (self._site.now_ms() - since) / 1000

    @property
    def time_left(self) -> float | None:
        """Seconds until it ends at the latest; None where it is not stored."""
        until = self._record.ms("deadline")
        return None if until is None else (until - self._site.now_ms()) / 1000

    # For adapters of frameworks that keep the cookie themselves.

    @property
    def token(self) -> str | None:
        """What the browser is to have. It is a secret."""
        return None if self._token is None else self._token.text

    @property
    def moved_from(self) -> str | None:
        """The mark of a session of another library that it was, until it is known that the browser has the token."""
        mark = self._record.fields.get(MOVED)
        return None if mark is None else mark.decode()

    @property
    def is_superseded(self) -> bool:
        """Whether the token of this request was replaced, by a login or a rotation: nothing is loaded or saved by it."""
        return self._state == "superseded"

    def changed(self) -> frozenset[str]:
        """The keys that differ from what is stored."""
        return frozenset(self._changes())

    async def transaction(self, fn: Callable[[dict[str, Any]], R], max_retries: int | None = None) -> R:
        """Change the session by what is in it now, whatever other requests do: commit what a function makes of it.

        `fn(data)`: changes a dict of all keys in place, and may run again. It is a plain function in both flavours, since it
        must not wait for anything. What it returned at the attempt that committed is returned; what it raises passes through,
        and nothing is written. What this request had changed before goes along. `max_retries`: as in `with_cas`; None: 20,
        as an attempt is lost to a save of any key, and saves wait for nobody.

        Raises `SessionConflictError` where others were faster each time, and what `with_cas` and `save` raise. 2 round
        trips, and 1 more for each attempt that was lost.
        """
        if not callable(fn) or inspect.iscoroutinefunction(fn):
            raise TypeError(f"fn must be a plain function of the data, got {kind_of(fn)}")
        if self._state == "new":
            self._check_open()
            data = deepcopy(dict(dict.items(self)))
            result = fn(data)
            self._replace(data)
            await self._create(self._changes())
            return result
        token, pending = self._live(), self._changes()
        decode = self._decoding(token.id)

        async def attempt(snap: Any, ops: Any) -> tuple[R, Record]:
            record = Record(await snap.hgetall(SLOT))
            self._check_standing(record, token)
            data = {key: decode(key, held) for key, held in record.keys().items()}
            for key, change in pending.items():
                if change.is_gone:
                    data.pop(key, None)
                else:
                    data[key] = deepcopy(change.value)  # of an attempt that is lost nothing may stay
            result = fn(data)
            stored = self._encoded(token.id, differences(record.keys(), data, decode), record)
            gone = [name for name, (_, after) in stored.items() if after is None]
            kept = {name: after for name, (_, after) in stored.items() if after is not None}
            if kept:
                ops.hset(SLOT, mapping=kept, keepttl=True)
            if gone:
                ops.hdel(SLOT, *gone, keepttl=True)
            fields = {name: held for name, held in record.fields.items() if name not in gone}
            return result, Record({**fields, **kept})

        retries = RETRIES if max_retries is None else max_retries
        try:
            result, record = await self._site.records.raw(token.id).with_cas(SLOT, attempt, max_retries=retries)
        except NamespacePurgedError:
            self._dropped("ended")
            raise SessionEndedError from None
        except CasContentionError as error:
            raise SessionConflictError(()) from error
        self._load(record)
        return result

    # The end of a request.

    def _facts(self, status: int, *, is_changed: bool) -> Facts:
        key, owner = self._site.policy.owner_key, self._owner
        wanted = dict.get(self, key) if key is not None else None if self.was_cleared else owner
        return Facts(
            status=status,
            exists=self._state == "live",
            is_empty=not dict.__len__(self),
            was_cleared=self.was_cleared,
            is_changed=is_changed,
            owner=owner,
            wanted_owner=None if wanted is None else str(wanted),
        )

    async def finish(self, status: int) -> list[tuple[str, str]]:
        """Save what has changed, before the response begins; the headers that it needs: Vary, Set-Cookie, Cache-Control.

        For adapters of frameworks. `status`: the response's. From 500 on nothing is saved. Raises what `save` raises.
        """
        if self._state not in ("ended", "away"):
            changes = self._changes()
            facts = self._facts(status, is_changed=bool(changes))
            step = decide(facts)
            if step is Step.LOGIN:
                if facts.owner is not None:
                    await self._begin_anew(self._written)
                await self.login(str(facts.wanted_owner))
            elif step is Step.LOGOUT:
                await self._begin_anew(self._written if self.was_cleared else self._written & {FLASHES})
                await self.save()
            elif step in (Step.SAVE, Step.CREATE):
                await self._store(changes)
            if status < NOT_SAVED:
                await self.renew()
        self._sent = True
        self._has_failed = status >= NOT_SAVED
        return self._headers()

    async def _begin_anew(self, keys: set[str]) -> None:
        """Logs out, and keeps what this request has set of these keys: a message for the next page, whoever logs in."""
        kept = {key: dict.__getitem__(self, key) for key in keys if dict.__contains__(self, key)}
        await self.logout()
        self.update(kept)

    async def renew(self, *, now: bool = False) -> None:
        """Have it live on, where that is due, or `now`; adapters do. It is no error where it has ended. 2 round trips."""
        if self._state != "live" or not (now or self._site.is_due(self._record, self.policy)):
            return
        ttl = ttl_ms(self.policy, has_owner=self._owner is not None)
        answer = await self._site.records.renew(self._live(), ttl_ms=ttl)
        if answer.outcome == "done":
            self._note({}, answer.now_ms, renewed=answer.now_ms)

    def _headers(self) -> list[tuple[str, str]]:
        headers = [("Vary", "Cookie")] if self.accessed else []
        if self._cookie is not None:
            headers.append(("Set-Cookie", self._cookie))
        if self._cookie is not None or (self.accessed and self._owner is not None):
            headers.append(("Cache-Control", "no-store"))
        return headers

    async def finish_late(self) -> None:
        """Save what has changed since the response began: by a stream, a background task, a websocket."""
        if self._state == "live" and not self._has_failed:
            await self.save()
