"""The conformance suite on single commands: what their replies look like, and that they are true."""

from __future__ import annotations

from redis.exceptions import ResponseError

from session_store._async.commands import AS_BYTES
from session_store.testing._async.place import TTL_MS, AsyncPlace, AsyncSuite, otherwise

_EVERY_BYTE = bytes(range(256))
_MEGABYTE = _EVERY_BYTE * 4096
_GLOBS = ("*", "?", "[a]", "[^a]", "a\\b", "a-b")
_LARGEST = 2**63 - 1


class AsyncReplyRules(AsyncSuite):
    """What a client must do with single commands."""

    @otherwise("values of other programs that are no UTF-8 fail in the client, and no codec sees bytes")
    async def test_replies_are_bytes_when_decoding_is_refused(self, place: AsyncPlace) -> None:
        """A command that is sent with NEVER_DECODE is answered in bytes, whatever decode_responses says."""
        text, fields = place.key("text"), place.key("fields")
        await place.write(text, b"\xff\x00")
        await place.do("HSET", fields, b"\xfe", b"\xfd")
        for command, reply in (
            (("GET", text), b"\xff\x00"),
            (("HGET", fields, b"\xfe"), b"\xfd"),
            (("HMGET", fields, b"\xfe"), [b"\xfd"]),
            (("HKEYS", fields), [b"\xfe"]),
            (("EVAL", "return {KEYS[1], ARGV[1]}", 1, text, b"\xff"), [text, b"\xff"]),
        ):
            seen = await place.do(*command)
            place.expect(seen == reply, f"{command[0]} answered", seen)

    @otherwise("hgetall fails, or mixes fields and values up")
    async def test_hgetall_is_a_dict(self, place: AsyncPlace) -> None:
        """HGETALL is answered with a dict of bytes, by RESP2 and RESP3 alike, empty when there is no such key."""
        key, fields = place.key(), {b"a": b"1", b"b": b"", b"\xff": b"\xfe"}
        seen = await place.do("HGETALL", key)
        place.expect(isinstance(seen, dict) and seen == {}, "HGETALL of no key answered", seen)
        await place.do("HSET", key, *(part for field in fields.items() for part in field))
        seen = await place.do("HGETALL", key)
        place.expect(seen == fields, "HGETALL answered", seen)

    @otherwise("a slot that does not exist looks as if it did")
    async def test_what_is_missing_is_none(self, place: AsyncPlace) -> None:
        """A key or field that does not exist is answered with None, 0 or nothing, as redis-py has it."""
        key, missing = place.key(), place.key("missing")
        await place.do("HSET", key, "field", "1")
        for command, reply in (
            (("GET", missing), None),
            (("HGET", key, "none"), None),
            (("HMGET", key, "none", "field"), [None, b"1"]),
            (("HKEYS", missing), []),
            (("HLEN", missing), 0),
            (("HEXISTS", key, "none"), 0),
            (("EXISTS", missing), 0),
            (("PTTL", missing), -2),
            (("PTTL", key), -1),
        ):
            seen = await place.do(*command)
            place.expect(seen == reply, f"{command[0]} answered", seen)

    @otherwise("blank strings come back as something else, or not at all")
    async def test_blank_values_come_back(self, place: AsyncPlace) -> None:
        """A blank value is a value: in a string, in a field, and as the name of a field."""
        text, fields = place.key("text"), place.key("fields")
        await place.write(text, b"")
        await place.do("HSET", fields, "", "")
        seen = [
            await place.do("GET", text),
            await place.do("EXISTS", text),
            await place.do("HGETALL", fields),
            await place.do("HMGET", fields, "", "none"),
        ]
        place.expect(seen == [b"", 1, {b"": b""}, [b"", None]], "GET, EXISTS, HGETALL and HMGET answered", seen)

    @otherwise("encrypted, packed and large values come back changed")
    async def test_any_bytes_and_a_megabyte_come_back(self, place: AsyncPlace) -> None:
        """A value of any bytes and of a megabyte comes back as it was written, directly and through a script."""
        key = place.key()
        await place.write(key, _MEGABYTE)
        place.expect(await place.do("GET", key) == _MEGABYTE, "GET answered something else after SET")
        script = "redis.call('HSET', KEYS[1], ARGV[1], ARGV[2]) return redis.call('HGET', KEYS[1], ARGV[1])"
        reply = await place.do("EVAL", script, 1, place.key("fields"), _EVERY_BYTE, _MEGABYTE)
        place.expect(reply == _MEGABYTE, "a script answered something else than it was given")
        seen = await place.do("HGETALL", place.key("fields"))
        place.expect(seen == {_EVERY_BYTE: _MEGABYTE}, "HGETALL answered something else than the script wrote")

    @otherwise("large counters repeat an id, or pass the end of 64 bits unnoticed")
    async def test_integers_have_64_bits(self, place: AsyncPlace) -> None:
        """An integer of 64 bits is counted and answered exactly, and a sum beyond is a ResponseError."""
        text, fields = place.key("text"), place.key("fields")
        await place.write(text, b"%d" % (_LARGEST - 1))
        await place.do("HSET", fields, "n", -_LARGEST)
        sums = [await place.do("INCRBY", text, 1), await place.do("HINCRBY", fields, "n", -1)]
        place.expect(sums == [_LARGEST, -_LARGEST - 1], "INCRBY and HINCRBY answered", sums)
        for command in (("INCRBY", text, 1), ("HINCRBY", fields, "n", -1)):
            await place.expect_reply_error(ResponseError, "overflow", *command)

    @otherwise("a slot of the wrong type is no WrongTypeError")
    async def test_the_wrong_type_is_an_error_that_says_so(self, place: AsyncPlace) -> None:
        """A read of the wrong type is a ResponseError whose text begins with WRONGTYPE."""
        text, fields = place.key("text"), place.key("fields")
        await place.write(text)
        await place.do("HSET", fields, "a", "1")
        for command in (("GET", fields), ("HGET", text, "a"), ("HGETALL", text), ("HLEN", text)):
            await place.expect_reply_error(ResponseError, "WRONGTYPE", *command)

    @otherwise("slots() and namespaces() name the wrong slots")
    async def test_pipelines_answer_in_order(self, place: AsyncPlace) -> None:
        """A pipeline without a transaction answers in order, errors in their places, and can be used again."""
        text, fields = place.key("text"), place.key("fields")
        await place.write(text)
        await place.do("HSET", fields, "a", "1")
        pipeline = place.client.pipeline(transaction=False)
        for key in (fields, text, place.key("missing")):
            pipeline.execute_command("HKEYS", key, **AS_BYTES)
        replies = await pipeline.execute(raise_on_error=False)
        place.expect(len(replies) == 3 and [replies[0], replies[2]] == [[b"a"], []], "HKEYS answered", replies)
        place.expect(isinstance(replies[1], ResponseError), "HKEYS of a string answered", replies[1])
        for key in (text, fields, place.key("missing")):
            pipeline.execute_command("EXISTS", key)
        replies = await pipeline.execute()
        place.expect(replies == [1, 1, 0], "the same pipeline then answered", replies)

    @otherwise("purge(scan=True) misses keys, deletes those of another session, or fails")
    async def test_a_scan_finds_what_matches(self, place: AsyncPlace) -> None:
        """SCAN finds every key that matches, in bytes, and escaped glob characters match only themselves."""
        names = [f"{glob}{number}" for glob in _GLOBS for number in range(3)]
        for name in names:
            await place.write(place.key(name))
        await place.write(place.foreign(f"{place.keyspace.base('sessions')}a"))
        seen = await place.found()
        place.expect(seen == {place.key(name) for name in names}, "SCAN of all the test's keys found", seen)
        for glob in _GLOBS:
            seen = await place.found(glob)
            place.expect(seen == {place.key(f"{glob}{number}") for number in range(3)}, f"SCAN for {glob} found", seen)

    @otherwise("a request does not see what the one before it has stored")
    async def test_a_write_is_seen_by_other_clients_at_once(self, place: AsyncPlace) -> None:
        """What one client has written the next read of another one sees: no cache and no replica answers it."""
        text, fields = place.key("text"), place.key("fields")
        for number in range(10):
            value = b"%d" % number
            await place.write(text, value)
            seen = await place.other_does("GET", text)
            place.expect(seen == value, f"after {number} another client's GET answered", seen)
            await place.other_does("HSET", fields, "a", value)
            await place.other_does("SET", text, value + b"!", "PX", TTL_MS)
            replies = [await place.do("GET", text), await place.do("HGETALL", fields)]
            place.expect(replies == [value + b"!", {b"a": value}], "GET and HGETALL answered", replies)
