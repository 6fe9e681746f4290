"""How arguments are looked at, and how a message shows one that is refused."""

from __future__ import annotations

_SHOWN = 80  # characters of a refused value that a message shows


def shorten(value: object) -> str:
    """The repr of a value, cut where it gets long."""
    try:
        text = repr(value)
    except ValueError:  # an integer of thousands of digits
        return f"a very long {type(value).__name__}"
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}... ({len(text)} characters)"


def has_methods(thing: object, *names: str) -> bool:
    """Whether an object has methods of these names."""
    return all(callable(getattr(thing, name, None)) for name in names)
