"""The command line: `session-store`, which is `python -m session_store`. What it needs comes with the extra `cli`.

The demo needs nothing of it, and is reached without.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

_OF_THE_EXTRA = ("click", "rich")


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line; `argv` is what follows the program's name. Returns the exit status."""
    words = list(sys.argv[1:] if argv is None else argv)
    if words[:1] == ["demo"]:
        from session_store.demo import main as demo

        return demo(words)
    try:
        from session_store.cli.app import run
    except ModuleNotFoundError as error:
        if str(error.name).partition(".")[0] not in _OF_THE_EXTRA:
            raise
        print(f"session-store: the command line needs {error.name}: pip install 'session-store[cli]'", file=sys.stderr)  # noqa: T201  # to the user
        return 2
    return run(words)
