"""The conformance suite on the store itself: its promises, as far as they show while nothing fails."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from session_store.errors import NamespacePurgedError, WrongTypeError
from session_store.testing._async._flavour import gather
from session_store.testing._async.place import NAME, TTL_MS, AsyncPlace, AsyncSuite, otherwise

_LARGE = "x" * 100_000  # characters; over the size up to which a watched slot is sent along
_FENCE = 30  # seconds
_WRITERS = 6  # at once, each on a connection of its own
_TURNS = 4  # writes of each
_ODD_NAME = "a*[b]?\\c"  # every character of which a glob pattern takes for something else


class AsyncStorePromises(AsyncSuite):
    """What a store on the client keeps to."""

    @otherwise("what a handler stores is not what the next one reads")
    async def test_values_come_back(self, place: AsyncPlace) -> None:
        """A store on the client reads what it wrote: strings, hashes and counters."""
        ns, there = place.namespace(), place.namespace(place.other)
        await ns.set("text", "naïve ✓")
        await ns.set("blank", "")
        await ns.hset("fields", mapping={"a": "1", "ü": "", "": "x"})
        seen: list[Any] = [await there.get("text"), await there.get("blank"), await there.get("none")]
        place.expect(seen == ["naïve ✓", "", None], "get gave", seen)
        place.expect(await there.hgetall("fields") == {"a": "1", "ü": "", "": "x"}, "hgetall gave something else")
        seen = [await there.hincrby("fields", "n", 7), await there.incr("ids"), await ns.incr("ids", 3)]
        place.expect(seen == [7, 1, 4], "hincrby, incr and incr by 3 gave", seen)
        seen = [await ns.set("text", "2", nx=True), await ns.set("none", "2", xx=True), await ns.get("text")]
        place.expect(seen == [False, False, "naïve ✓"], "set with nx, set with xx, and get gave", seen)
        slots = await ns.slots()
        place.expect(slots == ["blank", "fields", "ids", "text"], "slots gave", slots)
        seen = [await ns.delete("blank"), await ns.hdel("fields", "a", "none"), await there.exists("blank")]
        place.expect(seen == [True, 1, False], "delete, hdel and exists gave", seen)

    @otherwise("keys pile up that no session needs any more")
    async def test_every_key_has_a_ttl(self, place: AsyncPlace) -> None:
        """Every key of the store has a TTL after every call."""
        ns = place.namespace()

        async def commit(snap: Any, ops: Any) -> None:
            ops.set("committed", "1")
            ops.hset("gathered", "a", "1")

        calls: dict[str, Callable[[], Awaitable[Any]]] = {
            "set": lambda: ns.set("text", "1"),
            "hset": lambda: ns.hset("fields", "a", "1"),
            "hincrby": lambda: ns.hincrby("sums", "n"),
            "incr": lambda: ns.incr("ids"),
            "with_cas": lambda: ns.with_cas("committed", commit),
            "hdel": lambda: ns.hdel("fields", "none"),
            "touch": lambda: ns.touch(ttl=30),
            "purge": lambda: ns.purge(fence=_FENCE),
        }
        for name, call in calls.items():
            await call()
            left = {key: await place.other_does("PTTL", key) for key in await place.found()}
            endless = sorted(key for key, ms in left.items() if ms == -1)
            place.expect(not endless, f"keys without a TTL after {name}:", endless)

    @otherwise("two orders get the same number")
    async def test_no_id_comes_twice(self, place: AsyncPlace) -> None:
        """Callers that take ids at the same time, through two clients, get different ones."""
        handles = [place.namespace(), place.namespace(place.other)]

        async def take() -> list[int]:
            return [await handles[turn % 2].incr("ids") for turn in range(_TURNS)]

        seen = sorted(number for numbers in await gather([take] * _WRITERS) for number in numbers)
        place.expect(seen == list(range(1, _WRITERS * _TURNS + 1)), "the ids were", seen)

    @otherwise("ids begin anew when a server evicts a counter")
    async def test_an_id_does_not_come_again_without_its_counter(self, place: AsyncPlace) -> None:
        """A counter whose key is gone goes on above the ids that it has given."""
        ns = place.namespace()
        await ns.incr("ids", 41)
        await place.other_does("DEL", ns.key("ids"))
        seen = await ns.incr("ids")
        place.expect(seen == 42, "after 41 and the end of the counter's key, incr gave", seen)

    @otherwise("a basket loses what the other tab has put in")
    async def test_with_cas_loses_no_update(self, place: AsyncPlace) -> None:
        """Writers that add to one value at the same time, through two clients, are all counted, each once."""
        handles = [place.namespace(), place.namespace(place.other)]

        async def add(snap: Any, ops: Any) -> None:
            ops.set("total", str(int(await snap.get("total") or 0) + 1))

        async def write() -> None:
            for turn in range(_TURNS):
                await handles[turn % 2].with_cas("total", add)

        async def overtaken(snap: Any, ops: Any) -> None:
            total = int(await snap.get("total") or 0)
            if total == _WRITERS * _TURNS:  # at the first attempt: these writers are sure to meet
                await handles[1].set("total", str(total + 1))
            ops.set("total", str(total + 1))

        await gather([write] * _WRITERS)
        await handles[0].with_cas("total", overtaken)
        seen, times = await handles[0].get("total"), _WRITERS * _TURNS + 2
        place.expect(seen == str(times), f"after {times} times plus one there was", seen)

    @otherwise("a handler decides by what was never there together")
    async def test_with_cas_shows_the_slots_and_commits_them_together(self, place: AsyncPlace) -> None:
        """A closure sees the watched slots, large ones too, and others, and its writes come all together."""
        ns = place.namespace()
        await ns.set("large", _LARGE)
        await ns.hset("many", mapping={f"field {number}": "1" for number in range(600)})
        await ns.set("unwatched", "here")

        async def move(snap: Any, ops: Any) -> list[Any]:
            ops.set("large", "small")
            ops.hset("many", "field 0", "2")
            ops.delete("unwatched")
            return [await snap.get("large") == _LARGE, await snap.hlen("many"), await snap.get("unwatched")]

        seen = await ns.with_cas(["large", "many"], move)
        place.expect(seen == [True, 600, "here"], "the closure saw", seen)
        seen = [await ns.get("large"), await ns.hget("many", "field 0"), await ns.exists("unwatched")]
        place.expect(seen == ["small", "2", False], "after its commit there was", seen)

    @otherwise("a handler that fails leaves half of its work, or a connection that others trip over")
    async def test_a_closure_that_raises_writes_nothing(self, place: AsyncPlace) -> None:
        """What a closure recorded before it raised is not written, and its connection serves the next one."""
        ns = place.namespace()

        async def fail(snap: Any, ops: Any) -> None:
            ops.set("total", "1")
            raise LookupError("on purpose")

        for _ in range(3):
            await place.expect_error(LookupError, lambda: ns.with_cas("total", fail), "with_cas")
        place.expect(not await ns.exists("total"), "what the closure recorded was written")

    @otherwise("a logout is undone by a slow request")
    async def test_a_fence_refuses_writes(self, place: AsyncPlace) -> None:
        """A purge with a fence is final: writes that began before it are refused, and so are later ones."""
        ns, there = place.namespace(), place.namespace(place.other)
        await ns.set("user", "1")

        async def slow(snap: Any, ops: Any) -> None:
            await there.purge(fence=_FENCE)
            ops.set("user", "2")

        for call in (lambda: ns.with_cas("user", slow), lambda: ns.set("user", "3"), lambda: ns.incr("ids")):
            await place.expect_error(NamespacePurgedError, call, "behind the fence, a write")
        place.expect(await ns.slots() == [], "the namespace has slots again")

    @otherwise("a page view makes writers lose, and costs replication traffic")
    async def test_reads_write_nothing(self, place: AsyncPlace) -> None:
        """Reads of a store renew no key, and disturb no writer."""
        ns, there = place.namespace(), place.namespace(place.other)
        await ns.set("text", "1")
        await ns.hset("fields", "a", "1")
        keys = sorted(await place.found())
        before = {key: await place.other_does("PTTL", key) for key in keys}

        async def look(snap: Any, ops: Any) -> None:
            await there.get("text")
            await there.hgetall("fields")
            await there.slots()
            await there.ttl("text")
            ops.set("other", "1")

        await ns.with_cas(["text", "fields"], look, max_retries=0)
        after = {key: await place.other_does("PTTL", key) for key in keys}
        renewed = [key for key in keys if after[key] > before[key] and not key.endswith(b"~index")]
        place.expect(not renewed, "keys with more time than before:", renewed)

    @otherwise("the data of another session, or of another program, is lost")
    async def test_other_keys_are_left_alone(self, place: AsyncPlace) -> None:
        """A purge deletes the keys of its namespace, and none that only look like them."""
        odd, near = place.namespace(name=_ODD_NAME), place.namespace(name="axb_c")
        foreign = place.foreign(f"{place.keyspace.prefix}x:{_ODD_NAME}:text")
        inside = place.foreign(odd.key("inside"))
        await near.set("text", "1")
        await odd.set("text", "1")
        await place.write(foreign)
        await place.write(inside)
        count = await odd.purge(scan=True)
        place.expect(count == 2, "keys that purge says it has deleted, of 2:", count)
        seen = [await place.other_does("EXISTS", key) for key in (foreign, near.key("text"), odd.key("text"), inside)]
        place.expect(seen == [1, 1, 0, 0], "of two foreign keys and two of the namespace, there lived", seen)

    @otherwise("a mistake of one handler destroys the data of another")
    async def test_the_wrong_type_is_refused(self, place: AsyncPlace) -> None:
        """A write to a slot that holds something else is a WrongTypeError, and changes nothing."""
        ns = place.namespace()
        await ns.set("text", "no number")
        for call in (lambda: ns.hset("text", "a", "1"), lambda: ns.incr("text"), lambda: ns.hgetall("text")):
            await place.expect_error(WrongTypeError, call, "a call for another type")
        place.expect(await ns.get("text") == "no number", "the slot was changed")

    @otherwise("sessions end while they are in use, or are not found by an administrator")
    async def test_touch_renews_every_slot(self, place: AsyncPlace) -> None:
        """A touch renews every slot, and namespaces() names the session."""
        ns = place.namespace()
        await ns.set("text", "1", ttl=30)
        await ns.hset("fields", "a", "1", ttl=30)
        place.expect(await ns.touch(ttl=TTL_MS / 1000) == 2, "touch did not count 2 slots")
        seen = [await ns.ttl("text"), await ns.ttl("fields")]
        place.expect(all(left and left > 30 for left in seen), "seconds that the slots had left:", seen)
        names = [name async for name in place.store().namespaces()]
        place.expect(NAME in names, "namespaces() named", names)
