"""Sessions of browsers: two tabs of one browser in each other's way, and what a request costs.

What two tabs do is the same in every run: one request has read its session and waits, another is answered meanwhile, then
the first goes on. So a loss is no matter of luck.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, NamedTuple

import redis

from benchmarks.measure import ratio_of, spread_of, turns
from benchmarks.results import OURS, Context, Result, not_run
from benchmarks.shops import PLAIN, SHOPS, Entry
from benchmarks.shops.face import Answer, Browser, Gate, Shop, Slow

OWNER = "ann"
LOGIN = f"/login/{OWNER}"
TABS, REQUESTS = "two tabs", "web requests"
SESSIONS = 50  # of which the mean size is taken
COUNTED = 20  # requests whose commands are counted


class Kept(NamedTuple):
    """What came of two tabs: what was acknowledged, and how much of that was there afterwards."""

    acknowledged: int
    kept: int
    attempted: int


async def overlapping(browser: Browser, slow: str, quick: str) -> tuple[Answer, Answer]:
    """Both answers: `slow` has read its session before `quick` begins, and writes after that has ended."""
    Slow.gate = gate = Gate()
    waiting = asyncio.create_task(browser.ask(slow, "slow"))
    try:
        await gate.reached.wait()
        answer = await browser.ask(quick)
    finally:
        gate.opened.set()
        slow_answer = await waiting
        Slow.gate = None
    return slow_answer, answer


async def different_keys(browser: Browser) -> Kept:
    """Each tab sets a key of its own."""
    answers = await overlapping(browser, "/mark/left", "/mark/right")
    data = (await browser.ask("/page")).data
    done = [key for key, answer in zip(("left", "right"), answers, strict=True) if answer.acknowledged]
    return Kept(len(done), sum(key in data for key in done), 2)


async def same_key(browser: Browser) -> Kept:
    """Both add one to a number."""
    answers = await overlapping(browser, "/count", "/count")
    return Kept(sum(answer.acknowledged for answer in answers), (await browser.ask("/page")).data["count"], 2)


async def nested_list(browser: Browser) -> Kept:
    """Each appends to a list where it lies."""
    answers = await overlapping(browser, "/append/left", "/append/right")
    lines = (await browser.ask("/page")).data["lines"]
    done = [value for value, answer in zip(("left", "right"), answers, strict=True) if answer.acknowledged]
    return Kept(len(done), sum(value in lines for value in done), 2)


async def logout(browser: Browser) -> Kept:
    """A logout while the other tab is about to save; lost if the browser, or who has a copy of its cookie, is logged in."""
    await browser.ask(LOGIN)
    copied = browser.cookie
    _, answer = await overlapping(browser, "/mark/left", "/logout")
    seen = [(await browser.ask("/page")).data, (await browser.ask("/page", cookie=copied)).data]
    return Kept(int(answer.acknowledged), int(all(data.get("user_id") != OWNER for data in seen)), 1)


async def login(browser: Browser) -> Kept:
    """A login while the other tab is about to save: both are lost unless they are there afterwards."""
    slow, answer = await overlapping(browser, "/mark/left", LOGIN)
    data = (await browser.ask("/page")).data
    done = [(slow, data.get("left") is True), (answer, data.get("user_id") == OWNER)]
    return Kept(sum(each.acknowledged for each, _ in done), sum(kept for each, kept in done if each.acknowledged), 2)


CASES: dict[str, Callable[[Browser], Awaitable[Kept]]] = {
    "different keys": different_keys,
    "the same key": same_key,
    "a nested list": nested_list,
    "logout beside a save": logout,
    "login beside a save": login,
}


async def opened(shop: Shop) -> Browser:
    """A browser with a session that has something in it."""
    browser = Browser(shop)
    answer = await browser.ask("/begin")
    if not answer.acknowledged or not browser.cookies:
        raise RuntimeError(f"no session: {answer.status}")
    return browser


async def lost(entry: Entry, shop: Shop, case: str, rounds: int) -> Result:
    """A line of the table of two tabs."""
    found = [await CASES[case](await opened(shop)) for _ in range(rounds)]
    acknowledged = sum(each.acknowledged for each in found)
    kept = sum(each.kept for each in found)
    share = 100 * (acknowledged - kept) / acknowledged if acknowledged else 0.0
    attempted = sum(each.attempted for each in found)
    counts: dict[str, float] = {
        "attempted": attempted,
        "acknowledged": acknowledged,
        "given up": attempted - acknowledged,
        "lost": acknowledged - kept,
    }
    return Result(TABS, case, f"{entry.framework}: {entry.peer}", "% lost", *(share,) * 3, None, counts, shop.note)


def commands(client: redis.Redis, port: int) -> Callable[[], int]:
    """Begins to count what others send; what is returned ends it. Commands within scripts are not counted."""
    monitor: Any = client.monitor().__enter__()  # type: ignore[no-untyped-call]

    def ended() -> int:
        with redis.Redis(port=port) as other:
            other.echo("the end")
        count = 0
        while (seen := monitor.next_command())["command"] != "ECHO the end":
            count += seen["client_type"] != "lua" and not seen["command"].startswith(("CLIENT ", "HELLO"))
        monitor.__exit__(None, None, None)
        return count

    return ended


KINDS: dict[str, Callable[[int], str]] = {
    "page view": lambda number: "/page",
    "write of one key": lambda number: f"/see/{number}",
}


def size(client: redis.Redis) -> int:
    """Bytes of all keys."""
    return sum(client.memory_usage(key, samples=0) or 0 for key in client.scan_iter(count=1_000))


class Measured:
    """One shop's numbers."""

    def __init__(self, entry: Entry, shop: Shop) -> None:
        self.entry, self.shop = entry, shop
        self.rates: dict[str, list[float]] = {kind: [] for kind in KINDS}
        self.commands: dict[str, float] = {}
        self.bytes = 0.0

    async def count(self, client: redis.Redis, port: int) -> None:
        """Counts commands and bytes."""
        before = size(client)
        for number in range(SESSIONS):
            await (await opened(self.shop)).ask(f"/login/{number}-{self.entry.framework}")
        self.bytes = (size(client) - before) / SESSIONS
        browser = await opened(self.shop)
        for kind, path in KINDS.items():
            await browser.ask("/page")
            ended = commands(client, port)
            for number in range(COUNTED):
                await browser.ask(path(number))
            self.commands[kind] = ended() / COUNTED

    async def time(self, kind: str, requests: int, *, counts: bool) -> None:
        """One round."""
        browser = await opened(self.shop)
        seconds = await self.shop.timed([KINDS[kind](number) for number in range(requests)], browser.cookie)
        if counts:
            self.rates[kind].append(requests / seconds)


def lines(measured: Iterable[Measured], missing: dict[Entry, str]) -> list[Result]:
    """The table of requests: for each framework ours, and beside it whose sessions are usual there."""
    all_of_them = list(measured)
    ours = {each.entry.framework: each for each in all_of_them if each.entry.peer == OURS}
    made: list[Result] = []
    for kind in KINDS:
        for each in all_of_them:
            case, reference = f"{kind}, {each.entry.framework}", ours.get(each.entry.framework)
            ratio = (
                None
                if each.entry.peer == OURS or reference is None
                else ratio_of(reference.rates[kind], each.rates[kind])
            )
            counts: dict[str, float] = {"commands": each.commands[kind], "bytes per session": round(each.bytes)}
            made.append(
                Result(REQUESTS, case, each.entry.peer, "requests/s", *spread_of(each.rates[kind]), ratio, counts)
            )
    return made + [not_run(TABS, "all", f"{entry.framework}: {entry.peer}", why) for entry, why in missing.items()]


async def all_shops(context: Context) -> list[Result]:
    """Everything, one shop after the other where things are counted, in turns where they are timed."""
    shops, missing = {}, {}
    for entry in SHOPS:
        try:
            shop = entry.make(context.port)
            await shop.open()
            await opened(shop)
        except Exception as error:  # noqa: PERF203  # whatever goes wrong there is shown, and stops nobody else
            missing[entry] = f"{type(error).__name__}: {error}".splitlines()[0]
        else:
            shops[entry] = shop
    tabs = [await lost(entry, shop, case, context.pick(20, 2)) for case in CASES for entry, shop in shops.items()]
    with redis.Redis(port=context.port, decode_responses=True) as client:
        compared = {entry: Measured(entry, shop) for entry, shop in shops.items() if entry.peer != PLAIN}
        for each in compared.values():
            await each.count(client, context.port)
    for kind in KINDS:
        for entry, counts in turns(compared, context.rounds(10, 4), 1):
            await compared[entry].time(kind, context.pick(500, 50), counts=counts)
    for shop in shops.values():
        await shop.close()
    return [*tabs, *lines(compared.values(), missing)]


def run(context: Context) -> list[Result]:
    """What two tabs lose; requests per second, commands per request and bytes per session."""
    return asyncio.run(all_shops(context))
