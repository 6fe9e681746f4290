"""The examples in docstrings are true, in both flavours."""

from __future__ import annotations

import doctest
import importlib
import pkgutil
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import pytest

import session_store
import session_store.testing

MODULES = [
    importlib.import_module(module.name)
    for module in pkgutil.walk_packages(session_store.__path__, "session_store.")
    if not module.name.endswith("__main__")  # importing that runs it
    and not module.name.startswith("session_store.integrations.")  # which need frameworks
]


def examples(module: ModuleType) -> list[doctest.DocTest]:
    """The docstrings of a module that hold examples."""
    return [test for test in doctest.DocTestFinder(exclude_empty=True).find(module) if test.examples]


@pytest.mark.parametrize(
    "module", [module for module in MODULES if examples(module)], ids=lambda module: module.__name__
)
def test_the_examples_run(module: ModuleType) -> None:
    """Each prints what it says it does."""
    result = doctest.testmod(module)
    assert result.attempted > 0
    assert result.failed == 0


@pytest.mark.parametrize("name", ["SessionStore", "Namespace", "InMemoryClient", "CasPolicy", "TextCodec", "JsonCodec"])
def test_the_entrances_have_examples(name: str) -> None:
    """What a newcomer looks up first shows how it is used; where there are two flavours, both do."""
    flavours = [name, f"Async{name}"] if name in ("SessionStore", "Namespace") else [name]
    for flavour in flavours:
        assert ">>> " in (getattr(session_store, flavour).__doc__ or "")


@pytest.mark.parametrize("module", [session_store, session_store.testing], ids=lambda module: module.__name__)
def test_everything_public_has_a_docstring(module: ModuleType) -> None:
    """The functions and classes, and the methods that these define or inherit from ours."""
    for name in module.__all__:
        assert getattr(module, name).__doc__, name
        assert list(undocumented(getattr(module, name))) == []


def undocumented(public: Any) -> Iterator[str]:
    """The methods and properties of a class that say nothing."""
    for base in getattr(public, "__mro__", ()):
        if base.__module__.startswith("session_store."):
            for member, value in vars(base).items():
                if (
                    not member.startswith("_")
                    and (callable(value) or isinstance(value, property))
                    and not value.__doc__
                ):
                    yield f"{base.__name__}.{member}"
