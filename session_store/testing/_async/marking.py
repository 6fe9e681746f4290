"""The conformance suite on marks, by which a commit tells whether a slot is what it was."""

from __future__ import annotations

from typing import Any

from session_store._core.marks import content_mark
from session_store._core.scripts import Script
from session_store.testing._async.place import TTL_MS, AsyncPlace, AsyncSuite, otherwise

_LOST_UPDATES = "a commit overwrites what others have just written: with_cas loses updates"
_NEVER_WINS = "with_cas gives up though nobody was in the way"
# The functions that the store's scripts decide by, called alone.
_MARKS = b"local call, sub = redis.call, string.sub\n%b\nreturn {mark(KEYS[1]), content_mark(KEYS[1])}"


class AsyncMarkRules(AsyncSuite):
    """What a client must do with DUMP and SHA-1 in scripts."""

    @otherwise(_LOST_UPDATES)
    async def test_a_mark_changes_with_what_a_key_holds(self, place: AsyncPlace) -> None:
        """DUMP and redis.sha1hex tell what a key holds apart, in a script, whatever its type."""
        text, fields, none = place.key("text"), place.key("fields"), place.key("none")
        seen = [await _marks(place, none)]
        for value in (b"", b"1", b"2", b"\xff" * 1000):
            await place.write(text, value)
            seen.append(await _marks(place, text))
        for field, text_value in (("a", "1"), ("a", "2"), ("b", "1"), ("c", "x" * 1000)):
            await place.do("HSET", fields, field, text_value)
            seen.append(await _marks(place, fields))
        for number in (0, 1):
            marks = [each[number] for each in seen]
            place.expect(len(set(marks)) == len(seen) and marks[0] == b"", "marks of different contents were", marks)

    @otherwise(_NEVER_WINS)
    async def test_a_mark_stays_when_a_key_is_read_or_renewed(self, place: AsyncPlace) -> None:
        """The marks of a key stay when others read it, or give it another TTL."""
        text, fields = place.key("text"), place.key("fields")
        await place.write(text)
        await place.do("HSET", fields, "a", "1", "b", "2")
        before = [await _marks(place, key) for key in (text, fields)]
        for key in (text, fields):
            await place.other_does("PEXPIRE", key, TTL_MS // 2)
        await place.other_does("GET", text)
        await place.other_does("HGETALL", fields)
        after = [await _marks(place, key) for key in (text, fields)]
        place.expect(before == after, "marks before and after were", (before, after))

    @otherwise(_NEVER_WINS)
    async def test_the_content_mark_is_the_one_that_the_client_works_out(self, place: AsyncPlace) -> None:
        """A script's digest of what a key holds is that of the library, of any bytes."""
        text, fields = place.key("text"), place.key("fields")
        parts = [b"a", b"1", b"\xff\x00", b"", b"", b"\xfe"]
        await place.write(text, b"\xff\x00")
        await place.do("HSET", fields, *parts)
        seen = [(await _marks(place, text))[1], (await _marks(place, fields))[1]]
        expected = [content_mark("string", b"\xff\x00"), content_mark("hash", parts)]
        place.expect(seen == expected, "the content marks were", seen)


async def _marks(place: AsyncPlace, key: bytes) -> Any:
    """Both marks of a key, as the client under test gets them."""
    return await place.do("EVAL", _MARKS % Script("view").source, 1, key)
