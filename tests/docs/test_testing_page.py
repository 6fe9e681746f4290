"""What docs/testing.md shows is what happens: its files are run by pytest as they stand, and print what it says."""

from __future__ import annotations

import inspect
import re
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

from session_store.testing import explore
from session_store.testing.interleavings.moves import FAULTS

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "testing.md").read_text()


class File(NamedTuple):
    """A test file of the page, and what it is said to print, if that is shown."""

    name: str
    code: str
    printed: str


BLOCKS = [(match[1], match[2]) for match in re.finditer(r"^```(\w+)\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)]
FILES = [
    File(code.splitlines()[0].removeprefix("# "), code, after[1] if after[0] == "text" else "")
    for (language, code), after in zip(BLOCKS, [*BLOCKS[1:], ("", "")], strict=True)
    if language == "python"
]


def run(file: File, folder: Path) -> subprocess.CompletedProcess[str]:
    """Runs it as a user would."""
    (folder / file.name).write_text(file.code)
    options = ["-q", "-s", "-p", "no:cacheprovider", "-p", "no:randomly", "--hypothesis-seed=0"]
    command = [sys.executable, "-m", "pytest", *options, file.name]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300, check=False)


@pytest.mark.parametrize("file", FILES, ids=[file.name for file in FILES])
def test_the_files_do_what_the_page_says(file: File, tmp_path: Path) -> None:
    """A file after which a table is shown fails with that table; the others pass, and print what their comments say."""
    done = run(file, tmp_path)
    if file.printed:
        assert done.returncode == 1, done.stdout
        # pytest puts its mark before each line of an error.
        printed = "\n".join(line.removeprefix("E").strip() for line in done.stdout.splitlines())
        assert "\n".join(line.strip() for line in file.printed.splitlines()) in printed
    else:
        assert done.returncode == 0, done.stdout
        for said in re.findall(r"print\(.*?\)  # (.*?), \.\.\.$", file.code, re.MULTILINE):
            assert said in done.stdout


def test_a_lost_update_is_found_in_less_than_20_lines() -> None:
    """From nothing: the first file, imports and all, and its table is in the page."""
    assert len(FILES[0].code.splitlines()) < 20
    assert "step  tab one" in FILES[0].printed


def test_every_block_is_looked_at() -> None:
    """Each is a file, what a file prints, or a line for the shell."""
    assert {language for language, _ in BLOCKS} == {"python", "text", "sh"}
    assert len({file.name for file in FILES}) == len(FILES) == PAGE.count("\n# test_")
    assert len(BLOCKS) * 2 == PAGE.count("```")


def test_the_defaults_and_faults_are_the_explorer_s() -> None:
    """What the prose says of arguments, and the table of faults."""
    defaults = {name: each.default for name, each in inspect.signature(explore).parameters.items()}
    assert f"a budget** of {defaults['budget']:,}" in PAGE
    assert f"{defaults['samples']} others (`samples=`)" in PAGE
    for name in ("patience", "max_steps", "time_limit"):
        assert f"`{name}={defaults[name]}`" in PAGE
    assert re.findall(r"^\| `(\w+)` \| (?:the|one)", PAGE, re.MULTILINE)[: len(FAULTS)] == list(FAULTS)


def test_everything_public_is_named() -> None:
    """Each name of `session_store.testing`."""
    import session_store.testing

    for name in session_store.testing.__all__:
        assert re.search(rf"\b{name}\b", PAGE), name
