"""What the pages name is there: files, and headings that are linked."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = ("README.md", "SECURITY.md", "docs/guarantees.md", "docs/testing.md")


@pytest.mark.parametrize("page", PAGES)
def test_the_links_lead_somewhere(page: str) -> None:
    """Files of this project, and their headings."""
    path = ROOT / page
    links = re.findall(r"\]\((?!https?:)([^)]+)\)", path.read_text())
    for link in links:
        file, _, anchor = link.partition("#")
        target = path.parent / file if file else path
        assert target.is_file(), link
        headings = re.findall(r"^#+ (.+)$", target.read_text(), re.MULTILINE) if anchor else []
        assert not anchor or anchor in {heading.lower().replace(" ", "-") for heading in headings}, link


@pytest.mark.parametrize("page", PAGES)
def test_the_files_that_are_named_exist(page: str) -> None:
    named = re.findall(r"`((?:tests|docs|session_store)/[^`*]+)`", (ROOT / page).read_text())
    assert [name for name in named if not (ROOT / name).exists()] == []
