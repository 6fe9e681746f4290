"""An adapter without its framework says what to install [X6]; so this runs where none of them is installed."""

from __future__ import annotations

import pkgutil
import re
import subprocess
import sys

import pytest
from docs.pages import ROOT

from session_store import integrations

ADAPTERS = [module.name for module in pkgutil.iter_modules(integrations.__path__) if not module.name.startswith("_")]

# A program that finds the standard library, and what the package depends on, alone, as after an installation without extras.
PROGRAM = """
import importlib, sys

OURS = {"session_store", "redis", "hiredis", "structlog", "typing_extensions", "async_timeout"}

class Nothing:
    def find_spec(self, name, path=None, target=None):
        top = name.partition(".")[0]
        if top not in OURS and top not in sys.stdlib_module_names:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Nothing())
try:
    importlib.import_module(f"session_store.integrations.{sys.argv[1]}")
except ImportError as error:
    print(error)
"""


def test_there_are_adapters() -> None:
    assert ADAPTERS


@pytest.mark.parametrize("adapter", ADAPTERS)
def test_the_extra_is_named(adapter: str) -> None:
    """By its own import; and there is such an extra."""
    run = subprocess.run([sys.executable, "-c", PROGRAM, adapter], cwd=ROOT, capture_output=True, text=True, check=True)
    extra = adapter.replace("_", "-")
    message = rf"session_store\.integrations\.{adapter} needs \S+: pip install 'session-store\[{extra}\]'\n"
    assert re.fullmatch(message, run.stdout), run.stdout
    assert re.search(rf"^{extra} = \[", (ROOT / "pyproject.toml").read_text(encoding="utf-8"), re.MULTILINE)
