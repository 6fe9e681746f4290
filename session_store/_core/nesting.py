"""Which closures are running, so that `with_cas` inside one of the same namespace is refused."""

from __future__ import annotations

from contextvars import ContextVar

from session_store.errors import NestedCasError


class closure_of:  # noqa: N801  # used like a function; made by contextlib it would take twice the time
    """The time in which a closure of this namespace runs, or has run: the context of a task that it started may outlive it.

    One that has ended lets go of its name, and of those around it that ended earlier: else each round of a heartbeat,
    which starts the next one in its closure, would keep all rounds before it alive.
    """

    __slots__ = ("outer", "place")

    def __init__(self, client: object, base: str) -> None:
        self.place: tuple[int, str] | None = (id(client), base)  # None once it has ended
        self.outer = _innermost.get()  # once this one has ended: the next one around it that ran then

    def __enter__(self) -> None:
        _innermost.set(self)

    def __exit__(self, *_: object) -> None:
        self.place, self.outer = None, _running(self.outer)
        if _innermost.get() is self:  # else a coroutine is being closed by whoever let go of it
            _innermost.set(self.outer)


_innermost: ContextVar[closure_of | None] = ContextVar("session_store_closure", default=None)


def _running(closure: closure_of | None) -> closure_of | None:
    """The closure itself, or else the next one around it that has not ended."""
    while closure is not None and closure.place is None:
        closure = closure.outer
    return closure


def refuse_nesting(client: object, base: str, namespace: str) -> None:
    """Raises `NestedCasError` inside a running closure of this namespace."""
    closure = _innermost.get()
    while closure is not None:
        if closure.place == (id(client), base):
            raise NestedCasError(namespace)
        closure = closure.outer
