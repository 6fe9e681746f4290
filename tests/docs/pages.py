"""The pages of the documentation, taken apart."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, NamedTuple

import redis
from support.servers import Server

ROOT = Path(__file__).parents[2]
_FENCED = re.compile(r"^```([a-z]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_CLIENT = re.compile(r"\bRedis\(\)")  # how an example reaches its server: by the defaults


class Block(NamedTuple):
    """A fenced block of code. One that begins with the name of a file, as a comment, is that file."""

    language: str
    line: int  # of the page, where its code begins
    code: str

    @property
    def file(self) -> str:
        """The name of the file that it is; empty for others."""
        named = re.match(r"[#;] (\w+\.(?:conf\.)?\w+)\n", self.code)
        return named[1] if named else ""


class Page:
    """One page: its text, its blocks of code, and the prose between them."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.path = ROOT / name
        self.text = self.path.read_text(encoding="utf-8")
        self.blocks = [
            Block(match[1], self.text.count("\n", 0, match.start(2)), match[2]) for match in _FENCED.finditer(self.text)
        ]
        self.prose = _FENCED.sub("", self.text)

    def table(self, heading: str) -> list[list[str]]:
        """The rows of a table, found by its first heading; code marks are left as they are."""
        _, found, rest = self.text.partition(f"\n| {heading} |")
        assert found, heading
        lines = rest.partition("\n\n")[0].splitlines()[2:]
        return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]

    def run(self, server: Server) -> dict[str, Any]:
        """Runs its Python, block by block, in one namespace and on this server. Returns the names that it defines."""
        names: dict[str, Any] = {"__name__": self.path.stem}
        for block in self.blocks:
            if block.language == "python" and not block.file:
                code = _CLIENT.sub(f"Redis(port={server.port})", block.code)
                code = code.replace("redis://localhost:6379", f"redis://localhost:{server.port}")
                assert len(re.findall(r"\b(?:Redis\((?!connection_pool)|redis://)", block.code)) == code.count(
                    str(server.port)
                ), block.code
                source = "\n" * block.line + code  # a traceback then shows the line of the page
                exec(compile(source, self.path, "exec", dont_inherit=True), names)
        return names


README = Page("README.md")
DOCS = {path.stem: Page(f"docs/{path.name}") for path in sorted((ROOT / "docs").glob("*.md"))}
INDEX = DOCS["README"]
OTHERS = [Page(name) for name in ("SECURITY.md", "CHANGELOG.md", "CONTRIBUTING.md")]
PAGES = {page.name: page for page in [README, *OTHERS, *DOCS.values()]}


def code_words(text: str) -> list[str]:
    """What stands in code marks."""
    return re.findall(r"`([^`]+)`", text)


def clean(server: Server) -> None:
    """Removes what examples wrote; all of it has a TTL."""
    with redis.Redis(port=server.port) as client:
        keys = client.keys("shop:*")
        left = {key: client.pttl(key) for key in keys}
        if keys:
            client.delete(*keys)
    assert [key for key, ttl in left.items() if ttl == -1] == []
