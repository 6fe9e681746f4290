"""What the pages show is what happens: their Python is run, their test files by pytest, and print what the page says."""

from __future__ import annotations

import re
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest
from docs.pages import DOCS, PAGES, Block, Page, clean
from support.servers import Server

INLINE = {
    name: page
    for name, page in PAGES.items()
    if any(block.language == "python" and not block.file for block in page.blocks)
    and name != "docs/integrations.md"  # tests/integrations runs it, where the frameworks are installed
    and name != "docs/dynamodb.md"  # test_dynamodb.py runs it, on another server
}
# Test files, each with what is said to be printed, if a block of text follows.
FILES = {
    block.file: (block, after.code if after.language == "text" else "")
    for page in PAGES.values()
    for block, after in pairwise([*page.blocks, Block("", 0, "")])
    if block.file.startswith("test_")
}


@pytest.mark.parametrize("page", INLINE.values(), ids=INLINE)
def test_the_code_of_a_page_runs(page: Page, server: Server) -> None:
    """From its first block to its last, and so do the tests that it shows. Whatever is stored has a TTL."""
    for package in ("flask_session", "starsessions") if page.name == "docs/migrating.md" else ():
        pytest.importorskip(package, reason=f"{package} is not installed: sessions are moved from it")
    names = page.run(server)
    for name, value in names.items():
        if name.startswith("test_"):
            value()
    if "client" in names:
        names["client"].close()
    clean(server)


@pytest.mark.long
@pytest.mark.parametrize("file", FILES)
def test_the_files_do_what_the_page_says(file: str, tmp_path: Path) -> None:
    """A file after which a table is shown fails with that table; the others pass, and print what their comments say."""
    block, expected = FILES[file]
    (tmp_path / file).write_text(block.code)
    options = ["-q", "-s", "-p", "no:cacheprovider", "-p", "no:randomly", "--hypothesis-seed=0"]
    command = [sys.executable, "-m", "pytest", *options, file]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=300, check=False)
    if expected:
        assert done.returncode == 1, done.stdout
        # pytest puts its mark before each line of an error.
        printed = "\n".join(line.removeprefix("E").strip() for line in done.stdout.splitlines())
        assert "\n".join(line.strip() for line in expected.splitlines()) in printed
    else:
        assert done.returncode == 0, done.stdout
        for said in re.findall(r"print\(.*?\)  # (.*?), \.\.\.$", block.code, re.MULTILINE):
            assert said in done.stdout


def test_a_lost_update_is_found_in_less_than_20_lines() -> None:
    """From nothing: the first file of its page, imports and all, and its table is shown."""
    first = next(block.file for block in DOCS["testing"].blocks if block.file)
    code, printed = FILES[first]
    assert len(code.code.splitlines()) < 20
    assert "step  tab one" in printed


def test_no_file_hides_another() -> None:
    shown = [block.file for page in PAGES.values() for block in page.blocks if block.file.startswith("test_")]
    assert len(shown) == len(FILES) == sum(page.text.count("\n# test_") for page in PAGES.values())
