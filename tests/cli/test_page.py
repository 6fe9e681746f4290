"""docs/cli.md: its commands run as they stand, and say what stands behind them."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable, Iterator
from itertools import pairwise

import pytest
import redis
from cli.conftest import PROGRAM, Run
from cli.shop import go_on_shopping, grow_old, open_shop
from docs.pages import DOCS, Block, code_words
from support.servers import Server

from session_store.cli.app import cli

PAGE = DOCS["cli"]
EXAMPLES = [
    (block.code, after.code if after.language == "text" else "")
    for block, after in pairwise([*PAGE.blocks, Block("", 0, "")])
    if block.language == "sh" and "session-store " in block.code
]
SIZES = "stats"  # of which the page shows another server's, with more in it


@pytest.fixture(scope="module")
def shop() -> Iterator[Server]:
    """The page's server."""
    server = Server()
    yield server
    server.stop()


def plain(text: str) -> list[str]:
    """Lines without what differs from run to run, in an order of their own."""
    for pattern, word in (
        (r"\d\d:\d\d:\d\d", "<clock>"),
        (r"redis://\S+", "<url>"),
        (r"[0-9a-f]{8}\.(\d+)", r"<epoch>.\1"),
        (r"\b\d+(\.\d+)?(ms|[smhd])( \d+[smhd])?\b", "<time>"),
        (r"[\d.]+ (B|KiB|MiB)\b", "<size>"),
        (r"(?<!\S)[A-Za-z0-9_-]{22}$", "<id>"),
        (r"[\d.]*\d of this|\d+ in all|(Redis|redis-py) [\d.]+|connections +\d+", "<number>"),
        (r" +", " "),
    ):
        text = re.sub(pattern, word, text, flags=re.MULTILINE)
    return sorted(text.splitlines())


@pytest.mark.parametrize(("code", "says"), EXAMPLES, ids=lambda text: text.partition("\n")[0][14:40])
def test_the_commands_say_what_the_page_shows(shop: Server, environment: dict[str, str], code: str, says: str) -> None:
    with redis.Redis(port=shop.port) as client:
        client.flushdb()  # a server of this module's own
        store = open_shop(client)
        grow_old(client, "shop:*:~index", 24)
        command = code.replace("session-store ", f"{' '.join(PROGRAM)} ")
        env = environment | {"SESSION_STORE_URL": shop.url, "SESSION_STORE_PREFIX": "shop"}
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        with subprocess.Popen(command, shell=True, env=env, text=True, **pipes) as process:  # type: ignore[call-overload]
            if "follow" in code:
                assert "2 slots now" in process.stderr.readline()
                go_on_shopping(store)
            said, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors
    assert "Traceback" not in errors
    if SIZES in code:
        heads = [[line.split()[0] for line in text.splitlines() if line] for text in (said, says)]
        assert heads[0][3:] == heads[1][3:]
    elif says:
        assert plain(said) == plain(says)


def test_every_command_is_on_the_page(run: Run) -> None:
    """In its table, and each of its options somewhere."""
    named = {re.match(r"[a-z]+", code_words(row[0])[0])[0] for row in PAGE.table("command")}  # type: ignore[index]
    assert named == set(cli.commands)
    for command in cli.commands.values():
        for option in command.params:
            if option.opts[0].startswith("--"):
                assert f"{option.opts[0]}" in PAGE.text, option.opts


def test_the_rights_that_it_names(run: Callable[..., object]) -> None:
    """Those that `doctor` tries for this command itself."""
    from session_store.cli.rights import NEEDS

    own = {right for need in NEEDS[-2:] for right in need.calls}
    (line,) = re.findall(r"This command itself asks for more: (.*?)\. What", PAGE.text, re.DOTALL)
    assert own | {"scan"} == {word for word in code_words(line) if word not in ("doctor", "list", "count", "stats")}
