"""The conformance suite on a connection of one's own: what an attempt of `with_cas` has from begin to commit."""

from __future__ import annotations

from typing import Any
from unittest import SkipTest
from uuid import uuid4

from hiredis import pack_command
from redis.exceptions import ConnectionError, NoScriptError, ResponseError, TimeoutError

from session_store._async.connection import AsyncPinnedConnection
from session_store.testing._async.place import TTL_MS, AsyncPlace, AsyncSuite, otherwise

_LOST_UPDATES = "a commit could overwrite what others have just written: with_cas loses updates"
_MIXED_UP = "a request is given what another one asked for"


class AsyncPinningRules(AsyncSuite):
    """What a client must do with one connection of its pool."""

    @otherwise("with_cas reads a slot as another one's value")
    async def test_commands_of_one_write_are_answered_in_order(self, place: AsyncPlace) -> None:
        """Several commands in one write are all answered, in their order, in bytes."""
        text, fields = place.key("text"), place.key("fields")
        pinned = await place.pin()
        seen = await pinned.begin(
            ("SET", text, b"\xff", "PX", TTL_MS),
            ("GET", text),
            ("HSET", fields, "a", b"\xfe"),
            ("HGET", fields, "a"),
            ("HMGET", fields, "a", "none"),
            ("EXISTS", text, fields),
            ("HKEYS", fields),
        )
        pinned.settle()
        reply = [b"OK", b"\xff", 1, b"\xfe", [b"\xfe", None], 2, [b"a"]]
        place.expect(seen == reply, "the connection answered", seen)

    @otherwise("a hash over 256 fields cannot be read in a closure")
    async def test_hgetall_is_a_list_or_a_dict(self, place: AsyncPlace) -> None:
        """HGETALL on one connection is a flat list or a dict, in bytes."""
        key = place.key()
        await place.do("HSET", key, "a", "1", "b", "2")
        pinned = await place.pin()
        (seen,) = await pinned.begin(("HGETALL", key))
        pinned.settle()
        as_dict = dict(zip(seen[::2], seen[1::2], strict=True)) if isinstance(seen, list) else seen
        place.expect(as_dict == {b"a": b"1", b"b": b"2"}, "HGETALL was answered with", seen)

    @otherwise("after a slot of the wrong type, every read is answered with the reply to another one")
    async def test_an_error_takes_the_place_of_one_reply(self, place: AsyncPlace) -> None:
        """An error reply is raised for its command alone, and the replies to the next commands follow."""
        text = place.key("text")
        pinned = await place.pin()
        seen = await pinned.begin(("SET", text, "1", "PX", TTL_MS), ("HGET", text, "a"), ("GET", text), ("HLEN", text))
        seen += await pinned.exchange(("EXISTS", text))
        pinned.settle()
        kinds = [isinstance(reply, ResponseError) for reply in seen]
        place.expect(kinds == [False, True, False, True, False], "the connection answered", seen)
        place.expect([seen[0], seen[2], seen[4]] == [b"OK", b"1", 1], "the connection answered", seen)

    @otherwise("a commit after a restart of the server fails, or is taken for one that was made")
    async def test_exec_answers_what_each_command_did(self, place: AsyncPlace) -> None:
        """EXEC answers with a list of replies, in which an unknown script is a NoScriptError."""
        key = place.key()
        pinned = await place.pin()
        await pinned.begin(("WATCH", key))
        script = ("EVAL", "return {0, redis.call('SET', KEYS[1], ARGV[1], 'PX', 9000) and 'done'}", 1, key, b"\xff")
        seen = await pinned.exchange(("MULTI",), script, ("EVALSHA", uuid4().hex + "0" * 8, 1, key), ("EXEC",))
        pinned.settle()
        place.expect(seen[:3] == [b"OK", b"QUEUED", b"QUEUED"], "MULTI and two scripts were answered with", seen[:3])
        executed = seen[3]
        place.expect(isinstance(executed, list) and len(executed) == 2, "EXEC answered", executed)
        place.expect(executed[0] == [0, b"done"], "the script in EXEC answered", executed[0])
        place.expect(isinstance(executed[1], NoScriptError), "the unknown script in EXEC answered", executed[1])

    @otherwise(_MIXED_UP)
    async def test_two_borrowers_have_two_connections(self, place: AsyncPlace) -> None:
        """The pool lends a connection to one borrower at a time: what one begins the other does not end."""
        first, second = await place.pin(), await place.pin()
        key = place.key()
        await first.begin(("MULTI",))
        seen = await second.begin(("SET", key, "1", "PX", TTL_MS), ("GET", key))
        place.expect(seen == [b"OK", b"1"], "beside a MULTI of another borrower, SET and GET answered", seen)
        await first.exchange(("DISCARD",))
        first.settle()
        second.settle()

    @otherwise(_LOST_UPDATES)
    async def test_connect_callbacks_run(self, place: AsyncPlace) -> None:
        """A connection runs its registered connect callbacks whenever it connects, until they are deregistered."""
        pool, connection = await place.borrow()
        counter = _Counter()
        try:
            connection.register_connect_callback(counter.note)
            await connection.disconnect()
            await connection.connect()
            place.expect(counter.calls == 1, "times that the callback ran when it connected anew:", counter.calls)
            connection.deregister_connect_callback(counter.note)
            await connection.disconnect()
            await connection.connect()
            place.expect(counter.calls == 1, "times that it ran, deregistered before the second:", counter.calls)
        finally:
            await connection.disconnect()
            await pool.release(connection)

    @otherwise(_LOST_UPDATES)
    async def test_a_lost_connection_is_not_replaced(self, place: AsyncPlace) -> None:
        """A connection that was lost in the middle of an attempt raises, and never sends on a new one."""
        key = place.key()
        await place.write(key)
        pool, connection = await place.borrow()
        pinned = AsyncPinnedConnection(pool, connection)
        try:
            await pinned.begin(("WATCH", key))
            await connection.disconnect()
            await _refused(place, pinned, key)
        finally:
            await pinned.give_back()
        place.expect(await place.do("GET", key) == b"1", "the commands were executed")

    @otherwise(_LOST_UPDATES)
    async def test_a_connection_that_the_server_cut_is_not_replaced(self, place: AsyncPlace) -> None:
        """A connection that the server closed raises when it is used, and what was sent is not sent again."""
        key = place.key()
        await place.write(key)
        pinned, killer = await place.pin(), await place.pin(place.other)
        _, number = await pinned.begin(("WATCH", key), ("CLIENT", "ID"))
        killed = number
        if not isinstance(number, Exception):
            (killed,) = await killer.begin(("CLIENT", "KILL", "ID", number))
            killer.settle()
        if killed != 1:
            raise SkipTest(f"needs a server with CLIENT ID and CLIENT KILL, this one answers {killed}")
        await _refused(place, pinned, key)
        place.expect(await place.do("GET", key) == b"1", "the commands were executed")

    @otherwise(_MIXED_UP)
    async def test_a_connection_closed_with_a_reply_on_its_way_is_clean(self, place: AsyncPlace) -> None:
        """A connection that is closed before its replies were read, and given back, gives them to nobody."""
        key, other = place.key("a"), place.key("b")
        await place.write(key, b"of a")
        await place.write(other, b"of b")
        pool, connection = await place.borrow()
        command: Any = ("GET", key)
        await connection.send_packed_command([pack_command(command) * 3])
        await connection.disconnect()
        await pool.release(connection)
        again = await place.pin()
        seen = [await place.do("GET", other), *await again.begin(("GET", other)), await place.do("GET", other)]
        again.settle()
        place.expect(seen == [b"of b"] * 3, "the next borrowers were answered", seen)

    @otherwise("a commit loses to a change that it does not depend on, or a write is only queued and never done")
    async def test_a_connection_given_back_watches_nothing(self, place: AsyncPlace) -> None:
        """A connection that was closed and given back has forgotten what it watched, and its MULTI."""
        key = place.key()
        first = await place.pin()
        await first.begin(("WATCH", key), ("MULTI",))
        await place.give_back(first)
        again = await place.pin()
        (seen,) = await again.begin(("SET", key, "1", "PX", TTL_MS))
        place.expect(seen == b"OK", "SET by the next borrower answered", seen)
        replies = await again.exchange(("MULTI",), ("GET", key), ("EXEC",))
        again.settle()
        place.expect(replies[-1] == [b"1"], "EXEC by the next borrower answered", replies[-1])


class _Counter:
    """Counts how often it is told of a connection."""

    calls = 0

    def note(self, connection: Any) -> None:  # a method: redis-py takes no other callbacks
        self.calls += 1


async def _refused(place: AsyncPlace, pinned: AsyncPinnedConnection, key: bytes) -> None:
    """Expects that a connection is of no use any more."""
    for _ in range(2):
        await place.expect_error(
            (ConnectionError, TimeoutError),
            lambda: pinned.exchange(("MULTI",), ("APPEND", key, "2"), ("EXEC",)),
            "the connection",
        )
