"""What is stored of a request's session, and how."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Literal, TypeVar

from redis.exceptions import ConnectionError

from session_store._async.namespace import AsyncNamespace
from session_store.web._async.site import AsyncSite
from session_store.web._core.cookies import set_cookie
from session_store.web._core.policy import has_a_say, lifetime_ms, merge_of, ttl_ms
from session_store.web._core.records import LABEL, OWNER, SLOT, Answer, Changes, Record, encoded
from session_store.web._core.state import Change, SessionData
from session_store.web._core.tokens import WebToken, new_token
from session_store.web.errors import (
    SessionConflictError,
    SessionEndedError,
    SessionSentError,
    SessionSupersededError,
    SessionTooLargeError,
)

R = TypeVar("R")
State = Literal["new", "live", "superseded", "ended", "away"]
_MOST_MERGES = 16  # of one save, before giving up on others who change the same keys faster


class AsyncStoredSession(SessionData):
    """A session that is loaded, changed and saved; see `AsyncWebSession`."""

    def __init__(
        self, site: AsyncSite, token: WebToken | None = None, record: Record | None = None, state: State = "new"
    ) -> None:
        super().__init__()
        self._site = site
        self._token = token
        self._record = record or Record({})
        self._owner: str | None = None
        self._state: State = state
        self._sent = self._has_failed = False  # the beginning of the response; and by its status
        self._cookie: str | None = None  # what the browser is to be told
        self.policy = site.policy  # an adapter may give it one that differs in how long it lives without use
        self.was_logged_out = False  # by this request
        self.new = state == "new"
        if state == "live":
            self._load(self._record)

    def _load(self, record: Record) -> None:
        session_id, owner = self._live().id, record.fields.get(OWNER)
        self._fill(record.keys(), self._decoding(session_id))
        self._owner = None if owner is None else str(self._site.records.codec(session_id).decode(SLOT, owner, OWNER))
        self._record = record

    def _decoding(self, session_id: str) -> Callable[[str, bytes], Any]:
        codec = self._site.records.codec(session_id)
        return lambda key, data: codec.decode(SLOT, data, f".{key}")

    @property
    def id(self) -> str | None:
        return None if self._token is None else self._token.id

    @property
    def owner(self) -> str | None:
        self._asked()  # a page that depends on who is logged in is nobody else's
        return self._owner

    @property
    def created(self) -> float | None:
        return self._seconds("created")

    @property
    def authenticated(self) -> float | None:
        return self._seconds("auth")

    @property
    def deadline(self) -> float | None:
        return self._seconds("deadline")

    def _seconds(self, name: str) -> float | None:
        ms = self._record.ms(name)
        return None if ms is None else ms / 1000

    def _check_open(self) -> None:
        if self._sent and self._state == "new":
            raise SessionSentError

    # What is stored.

    def _encoded(self, session_id: str, changes: dict[str, Change], record: Record | None = None) -> Changes:
        """Changes as they are stored. What was read has to be what it was, where somebody wants to know."""
        codec, fields, size = self._site.records.codec(session_id), {}, (record or self._record).size()
        for key, change in changes.items():
            name, data = f".{key}", None
            if not change.is_gone:
                data = encoded(codec, key, change.value)
            is_checked = change.was_read and has_a_say(self._site.policy, key)
            fields[name] = (change.before if is_checked else ..., data)
            size += 0 if data is None else len(name.encode()) + len(data)
            size -= 0 if change.before is None else len(name.encode()) + len(change.before)
        if size > self._site.policy.max_bytes:
            raise SessionTooLargeError(size, self._site.policy.max_bytes)
        return fields

    def _owned(self, session_id: str, owner: str, label: Any) -> Changes:
        codec = self._site.records.codec(session_id)
        return {
            OWNER: (..., codec.encode(SLOT, owner, OWNER)),
            LABEL: (..., None if label is None else encoded(codec, "label", label, LABEL)),
        }

    def _note(self, changes: Changes, now: int, **times: int) -> None:
        """Takes note of what is stored by now."""
        for name, (_, data) in changes.items():
            if data is None:
                self._record.fields.pop(name, None)
            else:
                self._record.fields[name] = data
        self._record.fields.update((f"~{name}", b"%d" % ms) for name, ms in times.items())
        self._took({name[1:]: data for name, (_, data) in changes.items() if name.startswith(".")})
        self._site.learn(now)

    async def _create(self, changes: dict[str, Change]) -> None:
        """Under an id that nobody has had."""
        site, now = self._site, 0
        lifetime = lifetime_ms(site.policy)
        while not now:  # a second time only where another one drew the same 128 bits
            token = new_token()
            stored = self._encoded(token.id, changes)
            now = await site.records.create(token, stored, ttl_ms=ttl_ms(self.policy, has_owner=False))
        self._token, self._state, self._record = token, "live", Record({"~secret": token.digest})
        self._decode = self._decoding(token.id)
        self._note(stored, now, created=now, renewed=now, deadline=now + lifetime)
        self._cookie = set_cookie(site.cookie, token, lifetime / 1000)
        site.event("created", token.id)

    async def _merging(self, changes: Changes, send: Callable[[Changes], Awaitable[Answer]]) -> tuple[Answer, Changes]:
        """Sends changes, until nobody else has changed the same keys meanwhile."""
        for _ in range(_MOST_MERGES):
            answer = await send(changes)
            if answer.outcome != "changed":
                return answer, changes
            changes = self._merged(changes, answer.held)
        raise SessionConflictError(tuple(name[1:] for name in answer.held))

    def _merged(self, changes: Changes, held: dict[str, bytes | None]) -> Changes:
        """The same changes, merged with what others have stored."""
        policy, token, merged = self._site.policy, self._live(), dict(changes)
        self._site.event("conflict", token.id, keys=len(held))
        merges = {name: merge_of(policy, name[1:]) for name in held}
        refused = tuple(name[1:] for name, merge in merges.items() if merge is None)
        if refused:
            raise SessionConflictError(refused)
        codec = self._site.records.codec(token.id)
        for name, merge in merges.items():
            three = (changes[name][0], held[name], changes[name][1])
            value = merge(*(None if data is None else codec.decode(SLOT, data, name) for data in three))  # type: ignore[misc]
            merged[name] = (held[name], None if value is None else encoded(codec, name[1:], value))
            if value is None:
                dict.pop(self, name[1:], None)
            else:
                dict.__setitem__(self, name[1:], value)
        return merged

    def _live(self) -> WebToken:
        """The token, of a session that can be written to."""
        if self._state == "superseded":
            raise SessionSupersededError
        if self._state == "away":
            raise ConnectionError("the session could not be loaded")
        if self._state == "ended" or self._token is None:
            raise SessionEndedError
        return self._token

    def _done(self, answer: Answer, *, drops: bool = False) -> bool:
        """Whether something was done; raises where somebody is to know that it was not."""
        if answer.outcome == "done":
            return True
        self._dropped("superseded" if answer.outcome == "superseded" else "ended")
        if not drops or self._state == "superseded":
            self._live()
        return False

    def _dropped(self, state: State) -> None:
        self._site.event("write-dropped", self._live().id)
        self._state = state

    def _check_standing(self, record: Record, token: WebToken) -> None:
        """Raises where the token has been replaced, or the session has ended."""
        standing = record.standing(token, self._site.now_ms())
        if standing in ("ended", "superseded"):
            self._done(Answer("ended" if standing == "ended" else "superseded"))

    async def _save(self, changes: dict[str, Change]) -> None:
        token = self._live()
        answer, stored = await self._merging(
            self._encoded(token.id, changes), lambda changes: self._site.records.save(token, changes)
        )
        if self._done(answer, drops=self._site.policy.on_ended == "drop"):
            self._note(stored, answer.now_ms)

    async def save(self) -> None:
        """Save now what has changed, instead of when the response begins. Nothing is sent where nothing has.

        Raises `SessionSupersededError`, `SessionConflictError`, `SessionTooLargeError`, `SessionSentError`, and
        `SessionEndedError` where the policy says so; `TypeError` for a value that the codec does not take. One script call,
        1 round trip.
        """
        await self._store(self._changes())

    async def _store(self, changes: dict[str, Change]) -> None:
        if not changes or self._state in ("ended", "away"):
            return
        self._check_open()
        await (self._create(changes) if self._state == "new" else self._save(changes))

    async def begin(self) -> None:
        """Store a session that is new, be it empty. One script call, 1 round trip."""
        if self._state == "new":
            self._check_open()
            await self._create(self._changes())

    async def refresh(self) -> None:
        """Load it again; what this request has changed and not saved is forgotten. HGETALL, 1 round trip.

        Raises `SessionEndedError` and `SessionSupersededError`.
        """
        if self._state == "new":
            return
        token = self._live()
        record = await self._site.records.load(token.id)
        self._check_standing(record, token)
        self._load(record)

    async def alive(self) -> bool:
        """Whether it lives, and this request's token is its own; for a websocket, now and then. HGETALL, 1 round trip."""
        if self._state != "live":
            return False
        token = self._live()
        return (await self._site.records.load(token.id)).standing(token, self._site.now_ms()) == "current"

    async def namespace(self) -> AsyncNamespace[Any]:
        """Slots of the application's own that live as long as the session: a basket, a form. No I/O where it is stored.

        A session that is new is stored first. What has ended stays so: writes are refused then with `NamespacePurgedError`.
        A slot that is given a TTL of its own ends by itself.
        """
        await self.begin()
        ttl = ttl_ms(self.policy, has_owner=self._owner is not None)
        return self._site.records.namespace(self._live().id, ttl_ms=ttl)
