"""The conformance suite on time: how long keys live."""

from __future__ import annotations

import time
from typing import Any

from session_store.testing._async._flavour import sleep
from session_store.testing._async.place import PATIENCE, SOON_MS, TTL_MS, AsyncPlace, AsyncSuite, otherwise

_ODD_MS = 100_500  # a TTL that shows what rounds to seconds
_SLACK_MS = 100  # by which two clocks may differ meanwhile


class AsyncExpiryRules(AsyncSuite):
    """What a client must do with times."""

    @otherwise("slots live for longer or shorter than asked for, and ttl() says something else again")
    async def test_times_are_in_milliseconds(self, place: AsyncPlace) -> None:
        """SET PX, PEXPIRE and PTTL keep to the millisecond, directly and in a script."""
        direct, later, by_script = place.key("direct"), place.key("later"), place.key("script")
        began = time.monotonic()
        await place.write(direct, ttl_ms=_ODD_MS)
        await place.write(later, ttl_ms=TTL_MS)
        await place.do("PEXPIRE", later, _ODD_MS)
        script = "redis.call('HSET', KEYS[1], 'a', '1') redis.call('PEXPIRE', KEYS[1], ARGV[1]) return 1"
        await place.do("EVAL", script, 1, by_script, _ODD_MS)
        left = {key: await place.do("PTTL", key) for key in (direct, later, by_script)}
        inside = await place.do("EVAL", "return redis.call('PTTL', KEYS[1])", 1, direct)
        elapsed_ms = (time.monotonic() - began) * 1000
        for command, seen in (
            ("SET PX", left[direct]),
            ("PEXPIRE", left[later]),
            ("PEXPIRE in a script", left[by_script]),
            ("SET PX", inside),
        ):
            in_time = _ODD_MS - elapsed_ms - _SLACK_MS <= seen <= _ODD_MS
            place.expect(in_time, f"after {command} of {_ODD_MS} and {elapsed_ms:.0f} ms PTTL answered", seen)

    @otherwise("an ended session goes on being served, or its keys never leave the server")
    async def test_a_key_is_gone_when_its_time_is_over(self, place: AsyncPlace) -> None:
        """A key whose time is over is gone for every command, whether it is a string or a hash."""
        text, fields = place.key("text"), place.key("fields")
        await place.write(text, ttl_ms=SOON_MS)
        await place.do("HSET", fields, "a", "1")
        await place.do("PEXPIRE", fields, SOON_MS)
        place.expect(await place.gone(text, fields), "EXISTS went on answering 1")
        seen: list[Any] = [await place.do(command, text) for command in ("GET", "EXISTS", "PTTL")]
        seen += [await place.do(command, fields) for command in ("HGETALL", "EXISTS", "PTTL")]
        place.expect(seen == [None, 0, -2, {}, 0, -2], "GET or HGETALL, EXISTS and PTTL answered", seen)
        kind = await place.do("EVAL", "return redis.call('TYPE', KEYS[1]).ok", 1, text)
        place.expect(kind == b"none", "TYPE in a script answered", kind)

    @otherwise("a page view renews a session, and costs a write")
    async def test_a_read_leaves_the_ttl_alone(self, place: AsyncPlace) -> None:
        """A read does not renew a key, and takes no TTL away."""
        text, fields = place.key("text"), place.key("fields")
        await place.write(text)
        await place.do("HSET", fields, "a", "1")
        for key in (text, fields):
            await place.do("PEXPIRE", key, _ODD_MS)
        before = [await place.do("PTTL", key) for key in (text, fields)]
        await sleep(0.01)
        for command in (("GET", text), ("EXISTS", text), ("HGETALL", fields), ("HGET", fields, "a"), ("HLEN", fields)):
            await place.do(*command)
        after = [await place.do("PTTL", key) for key in (text, fields)]
        fine = all(0 < now < then for now, then in zip(after, before, strict=True))
        place.expect(fine, "PTTL before and after the reads answered", (before, after))

    @otherwise("a fence ends too soon or never")
    async def test_the_clock_of_scripts_goes_on(self, place: AsyncPlace) -> None:
        """TIME in a script is the server's clock, and goes at the pace that keys expire at."""
        key = place.key()
        script = (
            "local time = redis.call('TIME') "
            "return {tostring(time[1] * 1000 + math.floor(time[2] / 1000)), redis.call('PTTL', KEYS[1])}"
        )
        await place.write(key)
        first_ms, first_left = await place.do("EVAL", script, 1, key)
        deadline = time.monotonic() + PATIENCE
        passed, spent = 0.0, 0
        while passed < SOON_MS and time.monotonic() < deadline:
            await sleep(0.005)
            now_ms, left = await place.do("EVAL", script, 1, key)
            passed, spent = float(now_ms) - float(first_ms), first_left - left
        place.expect(passed >= SOON_MS, "TIME did not go on; milliseconds:", passed)
        place.expect(abs(passed - spent) <= _SLACK_MS, "milliseconds of TIME, and of a TTL:", (passed, spent))
