"""Conversations: what a message costs at each size, and what becomes of messages when replies are lost."""

from __future__ import annotations

import asyncio
import multiprocessing
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import redis
import redis.asyncio
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from benchmarks.chats import KINDS, LEFT_OUT, BareHset, Chat, GoogleAdk, Ours
from benchmarks.cores import AWAKE, STATES, kept
from benchmarks.delay import delayed
from benchmarks.measure import AsyncSide, async_block, interleave_async, summed, turns
from benchmarks.results import OURS, Context, Result, not_run
from benchmarks.workloads.web import commands, size

WORKLOAD, LOSSES = "conversations", "lost replies"
SIZES = (10, 1_000, 10_000)
LONG, SHORT = 100_000, 100
SHORT_ONE = f"{OURS}, {SHORT} messages"
TEXT = "x" * 469  # 500 bytes as JSON, with its role
LATEST = 50
ANEW = 1_000  # up to this size a conversation is made anew for each round, so that it has not grown
PROCESSES, APPENDS, SHARE = 4, 250, 0.01
MOST_S = 60  # that a process waits for the others to start
ATTEMPTS = 10  # of a caller who meets errors
CLIENT, CALLER = "the client tries again", "the caller tries again"  # redis-py does by default, up to 3 times
COUNTED = 10  # appends whose commands are counted


def run(context: Context) -> list[Result]:
    """Microseconds a call, bytes a message, commands an append; and what 4 processes have appended through a bad network."""
    timed = asyncio.run(_timed(context))
    context.say(f"{WORKLOAD}: timed")
    missing = {line.peer for line in timed if not line.ran}
    peers = [name for name in KINDS if name not in missing and name != BareHset.name]
    lossy = [line for case in (CLIENT, CALLER) for line in _lossy(context, case, peers)]
    return timed + lossy


# What a call costs.


async def _timed(context: Context) -> list[Result]:
    results: list[Result] = []
    missing = dict(LEFT_OUT)
    async with redis.asyncio.Redis(port=context.port) as client:
        peers = [name for name in KINDS if await _works(client, name, missing)]
        with redis.Redis(port=context.port) as counter:
            sent = {name: await _commands(counter, context.port, KINDS[name](client, "counted")) for name in peers}
        for count in SIZES[:2] if context.quick else SIZES:
            chats = {name: KINDS[name](client, f"{count}-{name}") for name in peers}
            results += await _at(context, chats, count, sent)
            context.say(f"{WORKLOAD}: {count}")
        results += await _growth(context, client)
    return results + [not_run(WORKLOAD, "all", name, why) for name, why in missing.items()]


async def _works(client: redis.asyncio.Redis, name: str, missing: dict[str, str]) -> bool:
    """Whether a peer can be used; why not is put down."""
    try:
        chat = KINDS[name](client, "tried")
        await chat.begin(["a"])
        await chat.append("b")
        if name != BareHset.name and await chat.latest(LATEST) != ["a", "b"]:
            missing[name] = "it does not keep what is appended"
    except Exception as error:  # whatever goes wrong there is shown, and stops nobody else
        missing[name] = f"{type(error).__name__}: {error}".splitlines()[0]
    return name not in missing


async def _commands(counter: redis.Redis, port: int, chat: Chat) -> float:
    """Commands an append."""
    await chat.begin(["a"])
    await chat.append("b")
    ended = commands(counter, port)
    for _ in range(COUNTED):
        await chat.append(TEXT)
    return ended() / COUNTED


def _calls(chat: Chat, count: int) -> int:
    """Calls in one round: some take a thousand times as long as others."""
    return 20 if not isinstance(chat, GoogleAdk) or count < ANEW else 1


def _appends(chat: Chat, count: int) -> AsyncSide:
    timed = async_block(lambda: chat.append(TEXT), _calls(chat, count))

    async def side() -> float:
        if count <= ANEW:
            await chat.begin([TEXT] * count)
        return await timed()

    return side


async def _at(context: Context, chats: dict[str, Chat], count: int, sent: dict[str, float]) -> list[Result]:
    """Everything at one size."""
    counts: dict[str, dict[str, Any]] = {}
    with redis.Redis(port=context.port) as counter:
        for name, chat in chats.items():
            before = size(counter)
            await chat.begin([TEXT] * count)
            counts[name] = {"commands": sent[name], "bytes per message": round((size(counter) - before) / count)}
    reading = {name: chat for name, chat in chats.items() if name != BareHset.name}
    sides: dict[str, dict[str, AsyncSide]] = {
        "append": {name: _appends(chat, count) for name, chat in chats.items()},
        f"latest {LATEST}": {
            name: async_block(lambda chat=chat: chat.latest(LATEST), _calls(chat, count))  # type: ignore[misc]
            for name, chat in reading.items()
        },
        "edit": {
            name: async_block(lambda chat=chat: chat.edit(count // 2, TEXT), _calls(chat, count))  # type: ignore[misc]
            for name, chat in reading.items()
            if chat.edits
        },
    }
    results: list[Result] = []
    notes = {name: chat.note for name, chat in chats.items()}
    for what, each in sides.items():
        for cores in STATES:
            with kept(cores):
                samples = await interleave_async(each, context.rounds(12 if count <= ANEW else 8, 3))
            case = f"{what}, {count:,} messages"
            told = counts if (what, cores) == ("append", AWAKE) else {}  # once
            results += summed(WORKLOAD, case, "µs", samples, counts=told, notes=notes, cores=cores)
    return results


async def _growth(context: Context, client: redis.asyncio.Redis) -> list[Result]:
    """Our append to a long conversation, beside that to a short one."""
    long, short = Ours(client, "long"), Ours(client, "short")
    await long.begin([TEXT] * LONG)
    sides = {OURS: _appends(long, LONG), SHORT_ONE: _appends(short, SHORT)}
    results: list[Result] = []
    for cores in STATES:
        with kept(cores):
            samples = await interleave_async(sides, context.rounds(20, 3))
        results += summed(WORKLOAD, f"append, {LONG:,} messages", "µs", samples, cores=cores)
    return results


# What is kept.


@dataclass(frozen=True)
class Job:
    """What a process appends, through the port of a bad network; it ends after so many seconds, done or not."""

    peer: str
    chat_id: str
    port: int
    case: str
    process: int
    seconds: float


@dataclass
class Report:
    """Appends, errors that came to their caller, and those that it gave up in the end."""

    attempted: int = 0
    errors: int = 0
    given_up: int = 0


def _lossy(context: Context, case: str, peers: list[str]) -> list[Result]:
    """Each peer in turn, all processes of it at once."""
    seconds = context.pick(40, 10)
    there: dict[str, list[float]] = {name: [] for name in peers}
    counts: dict[str, Counter[str]] = {name: Counter() for name in peers}
    spawn = multiprocessing.get_context("spawn")
    with (
        delayed(context.port, 0, lost=SHARE) as port,
        spawn.Pool(PROCESSES, _meet, (spawn.Barrier(PROCESSES),)) as pool,
    ):
        for number, (name, _) in enumerate(turns(peers, 1, 0)):
            chat_id = f"lossy-{number}"
            asyncio.run(_begun(context.port, name, chat_id))
            jobs = [Job(name, chat_id, port, case, process, seconds) for process in range(PROCESSES)]
            reports = pool.map(_appended, jobs, 1)
            found = asyncio.run(_found(context.port, name, chat_id))
            distinct = found.pop("kept")
            attempted = sum(report.attempted for report in reports)
            acknowledged = attempted - sum(report.given_up for report in reports)
            counts[name].update(
                {
                    "attempted": attempted,
                    "acknowledged": acknowledged,
                    "lost": max(acknowledged - distinct, 0),
                    "errors": sum(report.errors for report in reports),
                    **found,
                }
            )
            there[name].append(distinct)
        context.say(f"{LOSSES}: {case}")
    return summed(LOSSES, case, "messages kept", there, counts={**counts}, ours="")


async def _begun(port: int, name: str, chat_id: str) -> None:
    async with redis.asyncio.Redis(port=port) as client:
        await KINDS[name](client, chat_id).begin([])


async def _found(port: int, name: str, chat_id: str) -> dict[str, int]:
    """Messages that are there, more than once, and after one that their process appended later; and numbers left out."""
    async with redis.asyncio.Redis(port=port) as client:
        chat = KINDS[name](client, chat_id)
        texts = await chat.texts()
        numbers = await chat.numbers() if isinstance(chat, Ours) else []
    firsts = list(dict.fromkeys(texts))
    behind, last = 0, [-1] * PROCESSES
    for process, number in (map(int, text.split()) for text in firsts):
        behind += number < last[process]
        last[process] = max(last[process], number)
    found = {"kept": len(firsts), "doubled": len(texts) - len(firsts), "out of order": behind}
    return found | ({"gaps": numbers[-1] - len(numbers)} if numbers else {})


def _meet(barrier: Any) -> None:
    """In each process: what all of them wait at before they append."""
    global _barrier  # noqa: PLW0603  # a pool's processes are told nothing else
    _barrier = barrier


_barrier: Any = None


def _appended(job: Job) -> Report:
    return asyncio.run(_append(job))


async def _append(job: Job) -> Report:
    """As an application would: what raises an error of Redis is tried again."""
    report = Report()
    options: dict[str, Any] = {} if job.case == CLIENT else {"retry": Retry(NoBackoff(), 0)}
    async with redis.asyncio.Redis(port=job.port, **options) as client:
        chat = KINDS[job.peer](client, job.chat_id)
        await _tried(chat.join, Report())
        _barrier.wait(MOST_S)
        deadline = time.monotonic() + job.seconds
        for number in range(APPENDS):
            if time.monotonic() > deadline:
                break
            report.attempted += 1
            text = f"{job.process} {number}"
            await _tried(partial(chat.append, text, text), report)
    return report


async def _tried(call: Callable[[], Awaitable[object]], report: Report) -> None:
    for _ in range(ATTEMPTS):
        try:
            await call()
        except redis.RedisError:  # noqa: PERF203  # that is what is measured
            report.errors += 1
        else:
            return
    report.given_up += 1
