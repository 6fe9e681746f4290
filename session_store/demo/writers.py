"""Two tabs and a webhook write to one basket at the same moment, three ways."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier, BrokenBarrierError
from typing import Any, NamedTuple

from session_store._core.commits import CasOps
from session_store._core.policy import CasPolicy
from session_store._sync.namespace import Namespace
from session_store._sync.snapshot import CasSnapshot
from session_store._sync.store import SessionStore
from session_store.demo.promise import Promise

PRICES = {"tea": 450, "cup": 1_200, "sticker": 30}  # in cents; a tab adds tea, a tab adds cups, the webhook stickers
WRITES = 40  # of each writer
TTL = 1_800  # seconds
NAMESPACE = "visitor"

# The writers stand for three processes: they do not wait in line for each other, as the threads of one would.
POLICY = CasPolicy(lock_timeout=0)

Write = Callable[[str, int, Callable[[], object]], None]


class Way(NamedTuple):
    """What became of the writes that went one way."""

    name: str
    kept: int
    retries: int
    ttl: float | None  # seconds
    sent: int = WRITES * len(PRICES)


class Basket(NamedTuple):
    """What became of the basket, all three ways."""

    ways: tuple[Way, Way, Way]
    total: int  # cents
    torn: int  # how many times the total was not the sum of its lines

    def promises(self) -> list[Promise]:
        """What the library promises of it. The blob is not the library's."""
        _, fields, cas = self.ways
        return [
            Promise("field writes and with_cas lose no write", fields.kept == fields.sent and cas.kept == cas.sent),
            Promise("a commit is whole: whoever looks finds a total that is the sum of its lines", self.torn == 0),
        ]


def write_together(write: Write) -> None:
    """Runs `write(article, number, meet)` for each writer and each of its writes, a thread per writer.

    At `meet`, which every write calls once, it waits until the others have come as far.
    """
    meeting = Barrier(len(PRICES))

    def write_all(article: str) -> None:
        try:
            for number in range(WRITES):
                write(article, number, meeting.wait)
        except BaseException:
            meeting.abort()  # or the others would wait for ever
            raise

    with ThreadPoolExecutor(len(PRICES)) as threads:
        running = [threads.submit(write_all, article) for article in PRICES]
    errors = [each.exception() for each in running]
    for error in sorted(filter(None, errors), key=lambda error: isinstance(error, BrokenBarrierError)):
        raise error  # the one that made the others' meeting fail


def as_json_blob(client: Any, key: str) -> Way:
    """GET, change, SET, as applications do it by hand."""
    client.set(key, json.dumps(dict.fromkeys(PRICES, 0)), ex=TTL)

    def write(article: str, number: int, meet: Callable[[], object]) -> None:
        basket = json.loads(client.get(key))
        meet()
        basket[article] += 1
        client.set(key, json.dumps(basket), ex=TTL)

    write_together(write)
    kept = sum(json.loads(client.get(key)).values())
    ttl = client.pttl(key) / 1000
    client.delete(key)
    return Way("one JSON blob", kept, 0, ttl)


def as_fields(ns: Namespace, slot: str) -> Way:
    """A field for each writer's article: enough where no field depends on another."""

    def write(article: str, number: int, meet: Callable[[], object]) -> None:
        meet()
        ns.hincrby(slot, article)

    write_together(write)
    kept = sum(map(int, ns.hgetall(slot).values()))
    return Way("field writes", kept, 0, ns.ttl(slot))


def is_whole(basket: Mapping[str, str]) -> bool:
    """Whether the total is the sum of the lines, both of which every write changes."""
    return int(basket.get("total", 0)) == sum(int(basket.get(article, 0)) * PRICES[article] for article in PRICES)


def with_cas(ns: Namespace, slot: str) -> tuple[Way, int, int]:
    """A line and the total, together. Beside the way: the total in the end, and how often it was not the sum."""
    looks: list[bool] = []  # one for each run of a closure: was the basket whole?

    def write(article: str, number: int, meet: Callable[[], object]) -> None:
        meetings = [meet]  # all meet in their first attempts; who has to try again goes on alone

        def add(snap: CasSnapshot, ops: CasOps) -> None:
            basket = snap.hgetall(slot)
            looks.append(is_whole(basket))
            if meetings:
                meetings.pop()()
            count = int(basket.get(article, 0)) + 1
            total = int(basket.get("total", 0)) + PRICES[article]
            ops.hset(slot, mapping={article: str(count), "total": str(total)})

        # Between two meetings each of the others commits once: with 3 retries, the default, nobody gives up.
        ns.with_cas(slot, add)

    write_together(write)
    basket = ns.hgetall(slot)
    looks.append(is_whole(basket))
    total = int(basket.pop("total", 0))
    way = Way("with_cas", sum(map(int, basket.values())), len(looks) - 1 - WRITES * len(PRICES), ns.ttl(slot))
    return way, total, looks.count(False)


def write_three_ways(client: Any, prefix: str) -> Basket:
    """All writers, all writes, three times."""
    ns = SessionStore(client, prefix=prefix, default_ttl=TTL, cas_policy=POLICY).namespace(NAMESPACE)
    blob = as_json_blob(client, ns.key("blob"))
    fields = as_fields(ns, "fields")
    cas, total, torn = with_cas(ns, "basket")
    return Basket((blob, fields, cas), total, torn)
