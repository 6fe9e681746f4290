"""Which closures are running, so that `with_cas` inside one of the same namespace is refused."""

from __future__ import annotations

from contextvars import ContextVar

from session_store.errors import NestedCasError


class _Closure:
    """A closure that runs, or has ended: a task that it started may outlive it."""

    __slots__ = ("outer", "place", "running")

    def __init__(self, place: tuple[int, str], outer: _Closure | None) -> None:
        self.place = place
        self.outer = outer
        self.running = True


_innermost: ContextVar[_Closure | None] = ContextVar("session_store_closure", default=None)


def refuse_nesting(client: object, base: str, namespace: str) -> None:
    """Raises `NestedCasError` inside a running closure of this namespace."""
    closure = _innermost.get()
    while closure is not None:
        if closure.running and closure.place == (id(client), base):
            raise NestedCasError(namespace)
        closure = closure.outer


class closure_of:  # noqa: N801  # used like a function; made by contextlib it would take twice the time
    """The time in which a closure of this namespace runs."""

    __slots__ = ("_closure", "_reset")

    def __init__(self, client: object, base: str) -> None:
        self._closure = _Closure((id(client), base), _innermost.get())

    def __enter__(self) -> None:
        self._reset = _innermost.set(self._closure)

    def __exit__(self, *_: object) -> None:
        self._closure.running = False
        _innermost.reset(self._reset)
