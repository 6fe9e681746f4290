"""How arguments are looked at, and how a message tells of one that is refused."""

from __future__ import annotations

_SHOWN = 80  # characters of a refused value that a message shows


def kind_of(value: object) -> str:
    """The type of a refused value, and nothing of the value: it may be a secret that came to the wrong place."""
    if value is None:
        return "None"
    return f"the class {value.__name__}" if isinstance(value, type) else type(value).__name__


def shorten(value: object) -> str:
    """The repr of a value that no session holds, a setting or a TTL; cut where it gets long."""
    try:
        text = repr(value)
    except ValueError:  # an integer of thousands of digits
        return f"a very long {type(value).__name__}"
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}... ({len(text)} characters)"


def has_methods(thing: object, *names: str) -> bool:
    """Whether an object has methods of these names."""
    return all(callable(getattr(thing, name, None)) for name in names)
