"""The conformance suite on WATCH: whose changes make EXEC answer nil, and whose do not."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

from session_store.testing._async.place import SOON_MS, TTL_MS, AsyncPlace, AsyncSuite, otherwise

_LOST_UPDATES = "a commit overwrites what others have just written: with_cas loses updates"
_NEVER_WINS = "with_cas gives up though nobody was in the way"


class AsyncWatchRules(AsyncSuite):
    """What a client must do with WATCH, MULTI and EXEC."""

    @otherwise(_LOST_UPDATES)
    async def test_exec_is_nil_after_a_change_by_the_same_client(self, place: AsyncPlace) -> None:
        """EXEC answers nil when a watched key was changed by another connection of the same client."""
        await _expect_nil(place, "SET", lambda: place.do("SET", place.key(), "2", "PX", TTL_MS))
        await _expect_nil(place, "DEL", lambda: place.do("DEL", place.key()))

    @otherwise(_LOST_UPDATES)
    async def test_exec_is_nil_after_a_change_by_another_client(self, place: AsyncPlace) -> None:
        """EXEC answers nil when a watched key was changed by another client, even to the same value."""
        await _expect_nil(place, "SET", lambda: place.other_does("SET", place.key(), "1", "PX", TTL_MS))
        script = "return redis.call('APPEND', KEYS[1], '2')"
        await _expect_nil(place, "a script", lambda: place.other_does("EVAL", script, 1, place.key()))

    @otherwise(_LOST_UPDATES)
    async def test_exec_is_nil_after_a_commit_of_another_connection(self, place: AsyncPlace) -> None:
        """EXEC answers nil when a watched key was changed by an EXEC of another connection."""

        async def commit() -> None:
            rival = await place.pin()
            replies = await rival.begin(
                ("WATCH", place.key()), ("MULTI",), ("SET", place.key(), "2", "PX", TTL_MS), ("EXEC",)
            )
            rival.settle()
            place.expect(replies[-1] == [b"OK"], "the first EXEC of two answered", replies[-1])

        await _expect_nil(place, "another EXEC", commit)

    @otherwise("a commit is based on a key that was about to go, and brings it back: with_cas loses updates")
    async def test_exec_is_nil_after_a_change_of_the_ttl(self, place: AsyncPlace) -> None:
        """EXEC answers nil when the expiry of a watched key was changed."""
        await _expect_nil(place, "PEXPIRE", lambda: place.other_does("PEXPIRE", place.key(), TTL_MS // 2))

    @otherwise("two writers create the same slot, and one of them is lost")
    async def test_exec_is_nil_after_a_key_came_into_being(self, place: AsyncPlace) -> None:
        """EXEC answers nil when a watched key did not exist and was created by another client."""
        await _expect_nil(place, "HSET", lambda: place.other_does("HSET", place.key("new"), "a", "1"), place.key("new"))

    @otherwise("a commit brings back what had ended: with_cas loses updates")
    async def test_exec_is_nil_after_a_watched_key_expired(self, place: AsyncPlace) -> None:
        """EXEC answers nil when a watched key has expired since, though nobody looked at it."""
        key, clock = place.key("short"), place.key("clock")
        pinned = await place.pin()
        ttl_ms = SOON_MS
        lives = 0
        while not lives and ttl_ms < TTL_MS:  # until the way to WATCH is shorter than the time
            ttl_ms *= 2
            await place.write(key, ttl_ms=ttl_ms)
            await place.write(clock, ttl_ms=ttl_ms)
            _, _, lives = await pinned.exchange(("UNWATCH",), ("WATCH", key), ("EXISTS", key))
        place.expect(await place.gone(clock), "a key that was written later did not expire")
        replies = await pinned.exchange(("MULTI",), ("SET", place.key("mark"), "1", "PX", TTL_MS), ("EXEC",))
        pinned.settle()
        place.expect(replies[-1] is None, "EXEC answered", replies[-1])

    @otherwise("a commit across two slots is based on one that has changed: write skew")
    async def test_every_watched_key_counts(self, place: AsyncPlace) -> None:
        """EXEC answers nil when any one of several watched keys was changed."""
        keys = [place.key(name) for name in ("one", "two", "three")]
        for key in keys:
            change = partial(place.other_does, "SET", key, "2", "PX", TTL_MS)
            await _expect_nil(place, f"SET of one of {len(keys)}", change, *keys)

    @otherwise(_NEVER_WINS)
    async def test_exec_commits_when_nothing_was_changed(self, place: AsyncPlace) -> None:
        """EXEC commits when others only read the watched key, or wrote other keys."""
        key, fields = place.key(), place.key("fields")
        await place.do("HSET", fields, "a", "1")

        async def look() -> None:
            for command in (("GET", key), ("EXISTS", key), ("PTTL", key), ("HGETALL", fields)):
                await place.other_does(*command)
                await place.do(*command)
            await place.other_does("EVAL", "return redis.call('GET', KEYS[1])", 1, key)
            await place.write(place.key("elsewhere"))

        seen = await _watched(place, look, key, fields)
        place.expect(seen == [b"OK"], "EXEC answered", seen)
        place.expect(await place.other_does("GET", place.key("mark")) == b"1", "EXEC said so, but wrote nothing")

    @otherwise(_NEVER_WINS)
    async def test_unwatch_and_exec_forget(self, place: AsyncPlace) -> None:
        """UNWATCH, and every EXEC, forgets what was watched before."""
        key = place.key()
        await place.write(key)
        pinned = await place.pin()
        for forget in ((("UNWATCH",),), (("MULTI",), ("EXEC",))):
            await pinned.exchange(("WATCH", key))
            await pinned.exchange(*forget)
            await place.other_does("SET", key, "2", "PX", TTL_MS)
            replies = await pinned.exchange(("MULTI",), ("GET", key), ("EXEC",))
            place.expect(replies[-1] == [b"2"], f"EXEC after {forget[-1][0]} and a change answered", replies[-1])
        pinned.settle()


async def _watched(place: AsyncPlace, change: Callable[[], Awaitable[Any]], *keys: bytes) -> Any:
    """What EXEC of a SET answers when something has happened since WATCH."""
    pinned = await place.pin()
    (reply,) = await pinned.begin(("WATCH", *keys))
    place.expect(reply == b"OK", "WATCH answered", reply)
    await change()
    replies = await pinned.exchange(("MULTI",), ("SET", place.key("mark"), "1", "PX", TTL_MS), ("EXEC",))
    pinned.settle()
    return replies[-1]


async def _expect_nil(place: AsyncPlace, what: str, change: Callable[[], Awaitable[Any]], *keys: bytes) -> None:
    """Expects that a commit loses to a change, and writes nothing. Without keys, it watches one that exists."""
    if not keys:
        keys = (place.key(),)
        await place.write(keys[0])
    seen = await _watched(place, change, *keys)
    place.expect(seen is None, f"after {what}, EXEC answered", seen)
    place.expect(await place.other_does("EXISTS", place.key("mark")) == 0, f"after {what}, EXEC wrote all the same")
