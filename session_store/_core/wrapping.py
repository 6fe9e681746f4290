"""Whether somebody has put something around a function of redis-py."""

from __future__ import annotations

from collections.abc import Callable
from types import FunctionType
from typing import Any


def unwrapped(function: Callable[..., Any]) -> Callable[..., Any] | None:
    """The function, if it is what a module of redis-py defines; None where tracing, say, has replaced it."""
    if (
        isinstance(function, FunctionType)
        and function.__module__.partition(".")[0] == "redis"
        and function.__globals__["__name__"] == function.__module__
    ):
        code = function.__code__
        if code.co_name == function.__name__ and not hasattr(function, "__wrapped__"):
            return function
    return None
