"""The pages hang together: what they link to and name is there, and none is too long to be read."""

from __future__ import annotations

import re
from importlib.metadata import metadata

import pytest
from docs.pages import DOCS, INDEX, PAGES, README, ROOT, Page, code_words

LINK = re.compile(r"\]\((?!https?:)([^)]+)\)")


def anchors(text: str) -> set[str]:
    """What GitHub makes of a page's headings."""
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES.values(), ids=PAGES)
def test_the_links_lead_somewhere(page: Page) -> None:
    """Files of this project, and their headings."""
    for link in LINK.findall(page.text):
        file, _, anchor = link.partition("#")
        target = page.path.parent / file if file else page.path
        assert target.is_file(), link
        assert not anchor or anchor in anchors(target.read_text(encoding="utf-8")), link


@pytest.mark.parametrize("page", PAGES.values(), ids=PAGES)
def test_the_files_that_are_named_exist(page: Page) -> None:
    named = re.findall(r"`((?:tests|docs|session_store)/[^`*<]+)`", page.text)
    assert [name for name in named if not (ROOT / name).exists()] == []


def test_the_pages_are_short_and_the_index_leads_to_each() -> None:
    """The index fits a screen; the site has all of them too."""
    assert README.text.count("\n") <= 250
    assert INDEX.text.count("\n") <= 50
    assert "docs/README.md" in LINK.findall(README.text)
    assert {f"{name}.md" for name in DOCS} - {"README.md"} <= {
        link.partition("#")[0] for link in LINK.findall(INDEX.text)
    }
    site = set(re.findall(r": (\S+\.md)$", (ROOT / "mkdocs.yml").read_text(encoding="utf-8"), re.MULTILINE))
    assert site == {*PAGES, "benchmarks/README.md"}
    long = {name for name, page in DOCS.items() if page.text.count("\n") > 250}
    assert long <= {"guarantees", "testing"}


def test_every_block_of_code_is_looked_at() -> None:
    """Each is Python, which is run, a file or what it prints, or for the shell; or rights or a table, which a test uses."""
    for page in PAGES.values():
        assert len(page.blocks) * 2 == len(re.findall(r"^ *(?:```|~~~)", page.text, re.MULTILINE)), page.name
        for block in page.blocks:
            assert block.language in ("python", "sh", "text", "ini", "json", "hcl") or block.code.startswith(
                "ACL SETUSER"
            ), page.name


def test_the_commands_exist() -> None:
    """Every make target is named, and no other, and each extra is one."""
    targets = re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    texts = [
        text
        for page in (README, *DOCS.values())
        for text in [*code_words(page.prose), *(block.code for block in page.blocks)]
    ]
    assert set(re.findall(r"\bmake ([a-z]+(?:-[a-z]+)*)", "\n".join(texts))) == set(targets) - {"clean"}
    installed = re.findall(r"pip install '?(\S+?)(?:\[([a-z,-]+)\])?'?\s", "\n".join(texts))
    assert installed
    for what, extras in installed:
        assert what == "."  # it is not on PyPI yet
        assert set(filter(None, extras.split(","))) <= {*metadata("session-store").get_all("Provides-Extra", [])}


def test_the_changelog_has_this_version() -> None:
    """Its newest section is the version that is installed."""
    headings = re.findall(r"^## \[(.+?)\]", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert headings[0] == metadata("session-store")["Version"]
