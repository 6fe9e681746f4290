"""Keeps the spelling of the public API: every public name, signature and property, in `tests/public_api.txt`.

python scripts/public_api.py            writes the file
python scripts/public_api.py --check    compares it, and shows what differs
"""

from __future__ import annotations

import builtins
import difflib
import inspect
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import session_store
import session_store.channels
import session_store.conversations
import session_store.snapshots
import session_store.testing
import session_store.web
import session_store.web.migrating

_LONGEST = 120  # characters of a default; a strategy may have many
FILE = Path(__file__).parent.parent / "tests" / "public_api.txt"


def describe(name: str, thing: object) -> str:
    """One line for a member of a class."""
    if isinstance(thing, property):
        return f"{name}: property"
    if not callable(thing):
        return f"{name}: {type(thing).__name__}"
    kind = "async " if inspect.iscoroutinefunction(thing) or inspect.isasyncgenfunction(thing) else ""
    signature = inspect.signature(thing)
    shortened = [
        each.replace(default=...) if len(repr(each.default)) > _LONGEST else each
        for each in signature.parameters.values()
    ]
    text = str(signature.replace(parameters=shortened)).replace("= Ellipsis", "= ...")
    return f"{kind}{name}{re.sub(' at 0x[0-9a-f]+', '', text)}"


def members(public: type) -> Iterator[str]:
    """The public members of a class, its constructor first."""
    yield f"    {describe('__init__', public.__init__)}"  # type: ignore[misc]  # only its signature is read
    for name in sorted(dir(public)):
        if name.startswith(("_", "test_")) or issubclass(public, BaseException):
            continue
        home = next(base for base in public.__mro__ if name in vars(base))
        thing = vars(home)[name]
        if home.__module__.startswith("session_store") and (callable(thing) or isinstance(thing, property)):
            yield f"    {describe(name, thing)}"


def lines() -> Iterator[str]:
    """The whole public API."""
    modules = (
        session_store,
        session_store.testing,
        session_store.web,
        session_store.web.migrating,
        session_store.conversations,
        session_store.snapshots,
        session_store.channels,
    )
    named = {name for module in modules for name in module.__all__}
    for module in modules:
        yield f"# {module.__name__}"
        for name in sorted(module.__all__):
            public = getattr(module, name)
            if not isinstance(public, type):
                yield describe(name, public)
                continue
            bases = [base.__name__ for base in public.__mro__[1:-1] if base.__name__ in (*named, *dir(builtins))]
            yield f"{name}({', '.join(bases)})"
            if module is session_store or name not in session_store.__all__:  # else it has been described
                yield from members(public)


def main() -> int:
    actual = [f"{line}\n" for line in lines()]
    if sys.argv[1:] != ["--check"]:
        FILE.write_text("".join(actual))
        return 0
    expected = FILE.read_text().splitlines(keepends=True)
    difference = list(difflib.unified_diff(expected, actual, str(FILE.name), "session_store"))
    sys.stdout.writelines(difference)
    return 1 if difference else 0


if __name__ == "__main__":
    sys.exit(main())
