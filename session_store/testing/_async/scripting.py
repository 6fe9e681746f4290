"""The conformance suite on Lua scripts, which every write of the store is one of."""

from __future__ import annotations

import hashlib
from typing import Any
from uuid import uuid4

from redis.exceptions import NoScriptError, ResponseError

from session_store.testing._async._flavour import gather
from session_store.testing._async.place import TTL_MS, AsyncPlace, AsyncSuite, otherwise

_MANY = 10_000  # arguments of one script
_ROUNDS = 25  # of writers and readers that run together
_SET_BOTH = "for _, key in ipairs(KEYS) do redis.call('SET', key, ARGV[1], 'PX', ARGV[2]) end return 1"
_GET_BOTH = "return {redis.call('GET', KEYS[1]), redis.call('GET', KEYS[2])}"
# What the store's scripts ask of redis.call; the replies are those of RESP2, whatever the connection speaks.
_EVERYTHING = """
local call, text, fields, none = redis.call, KEYS[1], KEYS[2], KEYS[3]
local set = call('SET', text, '41', 'PX', ARGV[1])
local many = {}
for number = 1, 4000 do many[number] = tostring(number) end
local added = call('HSET', fields, unpack(many))
redis.pcall('OBJECT', 'ENCODING', fields)  -- may be unknown, and must not end the script
return {
  type(set) == 'table' and set.ok or 'not a status', added,
  call('SET', text, '0', 'PX', ARGV[1], 'NX') and 1 or 0, call('SET', none, '0', 'PX', ARGV[1], 'XX') and 1 or 0,
  call('INCRBY', text, '1'), call('STRLEN', text), call('GET', none) and 1 or 0, call('PTTL', none),
  #call('HGETALL', fields), #call('HKEYS', fields), call('HLEN', fields), call('HSTRLEN', fields, '3999'),
  call('HDEL', fields, '1', '2'), call('HEXISTS', fields, '3'), call('HMGET', fields, '1', '3')[1] and 1 or 0,
  call('HINCRBY', fields, 'n', '-9223372036854775808') and call('HGET', fields, 'n'),
  call('TYPE', fields).ok, call('TYPE', none).ok,
  call('PEXPIRE', none, '5'), call('PEXPIRE', fields, ARGV[1]), call('UNLINK', fields, none), call('DEL', text),
}
"""
_ANSWERS = [
    *(b"OK", 2000),
    *(0, 0),
    *(42, 2, 0, -2),
    *(4000, 2000, 2000, 4),
    *(1, 1, 0),
    b"-9223372036854775808",
    *(b"hash", b"none"),
    *(0, 1, 1, 1),
]


def _digest(source: str) -> str:
    """What the protocol names a script by; nothing rests on its strength."""
    return hashlib.sha1(source.encode(), usedforsecurity=False).hexdigest()


class AsyncScriptRules(AsyncSuite):
    """What a client must do with scripts."""

    @otherwise("the first write after a restart of the server fails, and so does every one after it")
    async def test_an_unknown_script_is_a_no_script_error(self, place: AsyncPlace) -> None:
        """EVALSHA of a script that the server does not know is a NoScriptError."""
        await place.expect_reply_error(NoScriptError, "", "EVALSHA", uuid4().hex + "0" * 8, 1, place.key())

    @otherwise("every write sends its script along, or fails")
    async def test_a_script_that_ran_is_known(self, place: AsyncPlace) -> None:
        """EVAL leaves its script with the server, where EVALSHA of any connection finds it."""
        key = place.key()
        source = f"return '{uuid4().hex}'"
        value = await place.do("EVAL", source, 1, key)
        digest = _digest(source)
        seen = [await place.do("EVALSHA", digest, 1, key), await place.other_does("EVALSHA", digest, 1, key)]
        place.expect(seen == [value] * 2, "EVALSHA by two clients answered", seen)

    @otherwise("no write of the store works")
    async def test_a_script_gets_keys_and_arguments(self, place: AsyncPlace) -> None:
        """A script gets its KEYS and ARGV byte by byte, many of them too, and its reply keeps its shape."""
        key = place.key()
        script = "return {KEYS[1], KEYS[2], ARGV[1], #ARGV, ARGV[#ARGV], {1, {'x'}}, false, 2.9, 'end'}"
        arguments = (b"\xff\x00", *range(_MANY))
        seen = await place.do("EVAL", script, 2, key, place.key("b"), *arguments)
        reply = [key, place.key("b"), b"\xff\x00", _MANY + 1, b"%d" % (_MANY - 1), [1, [b"x"]], None, 2, b"end"]
        place.expect(seen == reply, "EVAL answered", seen)

    @otherwise("values, counters and TTLs are written wrongly")
    async def test_a_script_can_call_what_the_store_calls(self, place: AsyncPlace) -> None:
        """A script's redis.call does what the server's commands do, and answers as RESP2 has it."""
        keys = [place.key(name) for name in ("text", "fields", "none")]
        seen = await place.do("EVAL", _EVERYTHING, 3, *keys, TTL_MS)
        for number, (one, wanted) in enumerate(zip(seen, _ANSWERS, strict=True), 1):
            place.expect(one == wanted, f"instead of {wanted!r}, answer {number} of the script was", one)

    @otherwise("a refusal of the server, such as an overflow, is taken for an answer")
    async def test_an_error_of_a_script_is_a_response_error(self, place: AsyncPlace) -> None:
        """A script that returns an error, or fails at a command, is a ResponseError with the server's text."""
        key = place.key()
        await place.do("HSET", key, "a", "1")
        for script, text in (
            ("return redis.error_reply('ERR increment or decrement would overflow')", "would overflow"),
            ("return redis.call('GET', KEYS[1])", "WRONGTYPE"),
        ):
            await place.expect_reply_error(ResponseError, text, "EVAL", script, 1, key)

    @otherwise("others see half of a commit")
    async def test_nobody_sees_half_of_a_script(self, place: AsyncPlace) -> None:
        """A script runs as one: nobody sees one of its writes without the others."""
        keys = (place.key("a"), place.key("b"))

        async def write() -> None:
            for number in range(_ROUNDS):
                await place.do("EVAL", _SET_BOTH, 2, *keys, number, TTL_MS)

        async def look() -> list[Any]:
            return [await place.other_does("EVAL", _GET_BOTH, 2, *keys) for _ in range(_ROUNDS)]

        *_, seen, others = await gather([write, write, look, look])
        halves = [pair for pair in seen + others if pair[0] != pair[1]]
        place.expect(not halves, "a script saw different values in two keys that are written together:", halves)
