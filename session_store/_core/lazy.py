"""Names of a package that are loaded when they are first used: an application has one flavour, and only its tests have fakeredis."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any


def lazily(
    package: dict[str, Any], homes: Mapping[str, tuple[str, ...]], *, extra: str = ""
) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """`__getattr__` and `__dir__` of a package. `package`: its globals; `homes`: the names, by the module that has them.

    `extra`: with which dependencies are installed that a module may lack; the error then says so.
    """
    own = package["__name__"]
    home_of = {name: f"{own}.{home}" for home, names in homes.items() for name in names}

    def load(name: str) -> Any:
        if name not in home_of:
            raise AttributeError(f"module {own!r} has no attribute {name!r}")
        from importlib import import_module

        try:
            home = import_module(home_of[name])
        except ModuleNotFoundError as error:
            if not extra:
                raise
            raise ImportError(f"{own}.{name} needs {error.name}: pip install 'session-store[{extra}]'") from error
        package[name] = getattr(home, name)
        return package[name]

    def names() -> list[str]:
        return sorted({*package, *package["__all__"]})

    return load, names
