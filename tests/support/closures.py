"""Closures of either flavour, written once: as coroutines, or as generators that say what is to be called."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Coroutine, Generator
from typing import Any

# What the generator of `stepping` yields: a method of `snap` or a function, and its arguments.
Steps = Generator[tuple[Any, ...], Any, Any]
AsyncClosure = Callable[[Any, Any], Coroutine[Any, Any, Any]]


async def settled(result: Any) -> Any:
    """What a call of either flavour has returned."""
    return await result if inspect.isawaitable(result) else result


def drive(coroutine: Coroutine[Any, Any, Any]) -> Any:
    """Runs a coroutine that never waits: one in which all calls are sync."""
    try:
        coroutine.send(None)
    except StopIteration as end:
        return end.value
    raise AssertionError("it has waited")


def in_flavour(closure: AsyncClosure, *, is_async: bool) -> Callable[[Any, Any], Any]:
    """A closure as a store of that flavour takes it."""
    return closure if is_async else lambda snap, ops: drive(closure(snap, ops))


def stepping(fn: Callable[[Any], Steps]) -> AsyncClosure:
    """A closure made of a generator, which is given `ops`. What it yields is called, and it is given the answer, or the
    error is raised in it."""

    async def closure(snap: Any, ops: Any) -> Any:
        steps, answer = fn(ops), None
        go_on: Callable[[Any], tuple[Any, ...]] = steps.send
        while True:
            try:
                what, *args = go_on(answer)
            except StopIteration as end:
                return end.value
            try:
                call = getattr(snap, what) if isinstance(what, str) else what
                go_on, answer = steps.send, await settled(call(*args))
            except Exception as error:
                go_on, answer = steps.throw, error

    return closure
