"""A session that is moved: what it has, how long it lives, what the old id is worth, and what cannot be moved."""

from __future__ import annotations

import asyncio  # async only
import json
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from redis.exceptions import ConnectionError

from session_store import AsyncInMemoryClient, AsyncSessionStore, CommitUnknownError, JsonCodec
from session_store.web import AsyncSessions, CookiePolicy, SessionPolicy
from session_store.web.migrating import AsyncMigration, AsyncRedisBlobs, json_object
from session_store.web.migrating._async import moves

ID = "0123456789abcdef0123456789abcdef"
COOKIE = [f"a=1; session={ID}; b=2".encode()]


class Log(list[tuple[str, dict[str, Any]]]):
    def info(self, event: str, **fields: Any) -> None:
        self.append((event, fields))

    warning = info


class Old:
    """Sessions of another library, in the memory of the same client."""

    def __init__(self, client: Any) -> None:
        self.client = client

    async def put(self, data: Any = None, *, old_id: str = ID, ttl: float | None = 300) -> None:
        content = {"user": "ann", "basket": {"tea": 1}} if data is None else data
        blob = content if isinstance(content, bytes) else json.dumps(content)
        await self.client.set(f"blob:{old_id}", blob, px=None if ttl is None else int(ttl * 1000))

    async def is_there(self, old_id: str = ID) -> bool:
        return bool(await self.client.exists(f"blob:{old_id}"))


@pytest.fixture
async def client() -> AsyncIterator[Any]:
    async with AsyncInMemoryClient() as client:
        yield client


@pytest.fixture
def old(client: Any) -> Old:
    return Old(client)


@pytest.fixture
def log() -> Log:
    return Log()


@pytest.fixture
def made(client: Any, log: Log) -> Callable[..., AsyncMigration]:
    """Makes the migration of a worker."""

    def made(
        client: Any = client, *, fixed: bool = False, policy: dict[str, Any] | None = None, **settings: Any
    ) -> AsyncMigration:
        store = AsyncSessionStore(client, prefix="p", default_ttl=600, codec=JsonCodec(), logger=log)
        given = {"idle": 600, "lifetime": 6_000, "owner_key": "user", **(policy or {})}
        sessions = AsyncSessions(store, policy=SessionPolicy(**given))
        blobs = AsyncRedisBlobs(client, "blob:", json_object, fixed=fixed)
        return AsyncMigration(sessions, blobs, **{"cookie": CookiePolicy(name="session"), **settings})

    return made


def cookie_of(token: str | None) -> list[bytes]:
    return [f"session={ID}; __Host-session={token}".encode()]


async def test_it_has_what_it_had(made: Any, old: Old) -> None:
    """Its keys, and its owner, who sees it in the list, and is not taken for somebody who has just logged in."""
    await old.put()
    migration = made()
    found = await migration.find(COOKIE)
    assert dict(found.session) == {"user": "ann", "basket": {"tea": 1}}
    assert (found.session.owner, found.session.login_age, found.session.new) == ("ann", None, False)
    assert [info.id for info in await migration.sessions.of("ann")] == [found.session.id]
    assert not await old.is_there()
    assert ID not in found.token


async def test_the_browser_is_told_once_it_has_been_saved(made: Any, old: Old) -> None:
    await old.put()
    migration = made()
    found = await migration.find(COOKIE)
    assert await found.session.finish(200) == []  # nobody has asked for it
    (set_cookie, cache) = await migration.headers(found)
    assert set_cookie[1].startswith(f"__Host-session={found.token}; Max-Age=59")
    assert cache == ("Cache-Control", "no-store")


async def test_the_old_cookie_goes_when_the_new_one_comes(made: Any, old: Old) -> None:
    """Once: what the browser shows afterwards costs nothing."""
    await old.put()
    migration = made()
    token = (await migration.find(COOKIE)).token
    found = await migration.find(cookie_of(token))
    assert found.is_settled
    assert (await migration.headers(found))[0][1].startswith("session=; Max-Age=0; Path=/")
    again = await migration.find(cookie_of(token))
    assert dict(again.session) == {"user": "ann", "basket": {"tea": 1}}
    assert await migration.headers(again) == []


async def test_a_request_that_was_on_its_way_with_the_old_cookie(made: Any, old: Old) -> None:
    """Has the same session, also when the browser has shown the new cookie meanwhile."""
    await old.put()
    migration = made()
    token = (await migration.find(COOKIE)).token
    await migration.find(cookie_of(token))
    assert (await migration.find(COOKIE)).token == token


async def test_the_old_id_is_worth_nothing_then(made: Any, old: Old, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not even where a slow request of the old library has written it once more."""
    monkeypatch.setattr(moves, "IN_FLIGHT", 0)
    await old.put()
    migration = made()
    await migration.find(cookie_of((await migration.find(COOKIE)).token))
    await old.put()
    for worker in (migration, made(share=0.0)):
        found = await worker.find(COOKIE)
        assert (found.session.id, found.token) == (None, None)


async def test_a_login_leaves_the_old_id_nothing(made: Any, old: Old) -> None:
    """By whoever sent a victim an old cookie that they know: its token was replaced."""
    await old.put({"basket": {}})
    migration = made()
    found = await migration.find(COOKIE)
    found.session["user"] = "ann"
    headers = await found.session.finish(200)
    assert [name for name, _ in headers].count("Set-Cookie") == 1
    assert found.session.token != found.token
    assert await migration.headers(found) == []  # lest it take the new one away
    late = await migration.find(COOKIE)
    assert dict(late.session) == {}
    assert await migration.headers(late) == []


async def test_a_logout_is_final(made: Any, old: Old) -> None:
    """Also for who comes with the old cookie alone, and finds what a slow request has written to the old place."""
    await old.put()
    migration = made()
    await (await migration.find(COOKIE)).session.logout()
    await old.put()
    assert dict((await migration.find(COOKIE)).session) == {}


async def test_it_lives_no_longer_than_it_would_have(made: Any, old: Old, client: Any) -> None:
    """Moved by the script: it ends when it would have, unless somebody comes."""
    await old.put(ttl=30)
    migration = made()
    assert [outcome async for outcome in migration.move_all()] == ["moved"]
    client.advance(31)
    assert (await migration.find(COOKIE)).session.id is None


async def test_it_lives_on_when_it_is_used(made: Any, old: Old, client: Any) -> None:
    await old.put(ttl=30)
    migration = made()
    await migration.find(COOKIE)
    client.advance(500)
    assert (await migration.find(COOKIE)).session.owner == "ann"


async def test_an_end_that_was_fixed_stays(made: Any, old: Old, client: Any) -> None:
    await old.put(ttl=30)
    migration = made(fixed=True)
    found = await migration.find(COOKIE)
    assert found.session.time_left == pytest.approx(30, abs=2)
    client.advance(31)
    assert (await migration.find(COOKIE)).session.id is None


async def test_one_without_an_end_gets_one(made: Any, old: Old, client: Any) -> None:
    await old.put(ttl=None)
    await made().find(COOKIE)
    assert [key for key in await client.keys("*") if await client.pttl(key) < 0] == []


@pytest.mark.parametrize("cookie", [ID, "x" * 43, "../../etc/passwd", "*", "", "a" * 300, f"{'A' * 22}.{'B' * 43}"])
async def test_an_id_that_is_none_gets_nothing_and_writes_nothing(made: Any, client: Any, cookie: str) -> None:
    found = await made().find([f"session={cookie}".encode("latin-1")])
    assert found.session.id is None
    assert await client.keys("*") == []


async def test_what_does_not_look_like_an_id_is_not_looked_up(made: Any, old: Old) -> None:
    """Whatever lies under such a key, as a guess or a pattern may be."""
    await old.put(old_id="short")
    assert (await made().find([b"session=short"])).session.id is None


async def test_the_old_id_is_in_no_key_and_no_event(made: Any, old: Old, client: Any, log: Log) -> None:
    await old.put()
    migration = made()
    await migration.find(cookie_of((await migration.find(COOKIE)).token))
    for key in await client.keys("*"):
        held = await client.hgetall(key) if await client.type(key) == b"hash" else {}
        assert ID.encode() not in b" ".join([key, *held, *held.values()])
    assert [event for event, _ in log] == ["session-store: session-moved"]
    assert ID not in repr(log) + repr(migration)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"\x80\x04}.", "unreadable"),
        (b"[1]", "unreadable"),
        ({"basket": "x" * 70_000}, "too large"),
    ],
)
async def test_what_cannot_be_moved_stays_where_it_is(made: Any, old: Old, log: Log, data: Any, reason: str) -> None:
    """The old library goes on with it, and somebody is told."""
    await old.put(data)
    migration = made()
    found = await migration.find(COOKIE)
    assert (found.session, found.old_id) == (None, ID)
    assert [outcome async for outcome in migration.move_all()] == ["failed"]
    assert [(event, fields["reason"]) for event, fields in log] == [("session-store: session-move-failed", reason)] * 2
    assert await old.is_there()


async def test_values_that_are_converted(made: Any, old: Old) -> None:
    """And the owner by a function of one's own."""
    await old.put({"uid": 7, "_own": [1]})
    migration = made(
        convert=lambda data: {key: value for key, value in data.items() if key != "_own"},
        owner_of=lambda data: f"user-{data['uid']}",
        policy={"owner_key": None},
    )
    session = (await migration.find(COOKIE)).session
    assert (dict(session), session.owner) == ({"uid": 7}, "user-7")


async def test_an_owner_by_a_function_where_a_key_tells_of_logins(made: Any, old: Old) -> None:
    """The key is set as a login sets it: else the next change would be a logout."""
    await old.put({"uid": 7})
    migration = made(owner_of=lambda data: str(data["uid"]))
    found = await migration.find(COOKIE)
    found.session["a"] = 1
    await found.session.finish(200)
    found = await migration.find(COOKIE)
    assert (dict(found.session), found.session.owner) == ({"uid": 7, "a": 1, "user": "7"}, "7")


async def test_a_share_of_them(made: Any, old: Old) -> None:
    """The same ones in every worker; who follows moves none, and serves those that were moved."""
    ids = [f"id-of-a-session-{number}" for number in range(200)]
    for each in ids:
        await old.put(old_id=each)
    some, none = made(share=0.25), made(share=0.0)
    moved = set[str]()
    for each in ids:
        cookie = [f"session={each}".encode()]
        assert (await none.find(cookie)).session is None
        if (await some.find(cookie)).session is not None:
            moved.add(each)
            assert (await none.find(cookie)).session.owner == "ann"
    assert 25 <= len(moved) <= 75


async def test_visitors_who_are_new_stay_with_the_old_library_in_step_a(made: Any) -> None:
    assert (await made(share=0.0).find([])).session is None
    assert (await made(share=1.0).find([])).session.id is None


async def test_a_signed_cookie(made: Any, old: Old) -> None:
    """Who has forged it is nobody."""
    await old.put()
    migration = made(id_of=lambda value: value.removesuffix(".signed") if value.endswith(".signed") else None)
    assert (await migration.find(COOKIE)).session.id is None
    assert (await migration.find([f"session={ID}.signed".encode()])).session.owner == "ann"


async def test_two_tabs_at_once(made: Any, old: Old) -> None:  # async only
    """Sixteen requests with the old cookie alone have one session, and one token."""  # async only
    await old.put()  # async only
    migration = made()  # async only
    found = await asyncio.gather(*(migration.find(COOKIE) for _ in range(16)))  # async only
    assert len({each.token for each in found} - {None}) == 1  # async only
    assert {each.session.owner for each in found} == {"ann"}  # async only


async def test_a_move_that_was_broken_off_is_gone_on_with(made: Any, old: Old, client: Any) -> None:
    """Wherever the first request is cut off, the next one has the session, its owner, and nothing twice."""
    for most in range(30):
        await client.flushall()
        await old.put()
        cutting = client.sibling()
        send, left = cutting.execute_command, [most]

        async def cut(*args: Any, send: Any = send, left: list[int] = left, **options: Any) -> Any:
            left[0] -= 1
            if left[0] < 0:
                raise ConnectionError
            return await send(*args, **options)

        cutting.execute_command = cut
        try:
            await made(cutting).find(COOKIE)
        except (ConnectionError, CommitUnknownError):
            pass
        migration = made()
        found = await migration.find(COOKIE)
        assert (dict(found.session), found.session.owner) == ({"user": "ann", "basket": {"tea": 1}}, "ann")
        assert [info.id for info in await migration.sessions.of("ann")] == [found.session.id]
        await cutting.aclose()
        if left[0] >= 0:
            break
    assert most > 8
    assert not await old.is_there()


@pytest.mark.parametrize("share", [-0.1, 1.1, True, "1", None])
async def test_shares_that_are_none(made: Any, share: Any) -> None:
    with pytest.raises(ValueError, match="share must be a number from 0 to 1"):
        made(share=share)


async def test_other_arguments_that_are_wrong(made: Any) -> None:
    with pytest.raises(TypeError, match="cookie must be a CookiePolicy, got str"):
        made(cookie="session")
    with pytest.raises(TypeError, match="sessions must be of the class"):
        AsyncMigration("sessions", made().old, cookie=CookiePolicy())  # type: ignore[arg-type]


# Requests of the old library, in step A.


async def test_what_the_old_library_saves_is_followed(made: Any, old: Old) -> None:
    """Where it was moved meanwhile: what the request has set, and taken away."""
    await old.put({"basket": 1, "draft": 1})
    migration = made()
    assert await migration.follow(ID, {}, {"a": 1}) is None  # nobody has moved it
    token = (await migration.find(COOKIE)).token
    session = await migration.follow(ID, {"basket": 1, "draft": 1}, {"basket": 2, "form": 1})
    await session.finish(200)
    assert dict((await migration.find(COOKIE)).session) == {"basket": 2, "form": 1}
    assert session.token == token


async def test_a_login_that_the_old_library_has_done(made: Any, old: Old) -> None:
    """Under another id, as it is to be: that one is moved, and the anonymous one is over."""
    await old.put({"basket": 1})
    migration = made()
    token = (await migration.find(COOKIE)).token
    other = "f" * 32
    await old.put({"user": "ann"}, old_id=other)
    session = await migration.follow(ID, {"basket": 1}, {"user": "ann"}, sent_id=other)
    assert (session.owner, dict(session)) == ("ann", {"user": "ann"})
    assert (await migration.sessions.open(token)).id is None
    assert (await migration.find(COOKIE)).session.id is None


async def test_a_login_without_another_id(made: Any, old: Old) -> None:
    """As Flask-Login has it: the token is replaced here."""
    await old.put({"basket": 1})
    migration = made()
    token = (await migration.find(COOKIE)).token
    session = await migration.follow(ID, {"basket": 1}, {"basket": 1, "user": "ann"})
    await session.finish(200)
    assert session.owner == "ann"
    assert session.token != token


async def test_a_logout_that_the_old_library_has_done(made: Any, old: Old) -> None:
    await old.put()
    migration = made()
    token = (await migration.find(COOKIE)).token
    assert migration.sent_id(["other=1", "session=''; path=/; expires=Thu, 01 Jan 1970 00:00:00 GMT"]) == ""
    assert await migration.follow(ID, {"user": "ann"}, {}, sent_id="") is None
    assert (await migration.sessions.open(token)).id is None
    assert await migration.sessions.of("ann") == []


async def test_what_comes_after_a_logout_is_dropped(made: Any, old: Old, log: Log) -> None:
    await old.put()
    migration = made()
    await (await migration.find(COOKIE)).session.logout()
    assert await migration.follow(ID, {}, {"late": 1}) is None
    assert ("session-store: session-write-dropped") in [event for event, _ in log]


async def test_one_that_was_not_moved_is_ended(made: Any, old: Old, client: Any) -> None:
    """By its old id, and also where a move was begun and nothing of it was made."""
    await old.put()
    migration = made()
    await migration.end(ID)
    assert await client.keys("*") == []
    await old.put()
    await migration._begin(migration._mark(ID))
    await migration.end(ID)
    await old.put()
    assert (await migration.find(COOKIE)).session.id is None
    await migration.end(ID)
    assert not await old.is_there()


async def test_a_mover_that_stood_still_brings_nothing_back(made: Any, old: Old) -> None:
    """It has found an old session, and by the time that it goes on what it was about to make has ended."""
    await old.put()
    migration = made()
    mark = await migration._begin(migration._mark(ID))
    await migration._site.end_session(mark.token(ID).id, None)
    assert await migration._move(ID, migration._mark(ID)) == ("gone", None)
    await migration.end(ID)
    await old.put()
    assert await migration._move(ID, migration._mark(ID)) == ("gone", None)
