"""The mark of a slot's content, as the client works it out and as servers do."""

from __future__ import annotations

import random
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
from hypothesis import given
from hypothesis import strategies as st
from support import versions
from support.servers import Server

from session_store import InMemoryClient
from session_store._core.marks import content_mark
from session_store._core.scripts import Script

pytestmark = pytest.mark.long

# Of KEYS[2]: its mark, its content mark, its type, and what it holds.
LOOK = (
    Script("view", "prelude").source
    + b"""
local key = KEYS[2]
local kind = call('TYPE', key).ok
local content = false
if kind == 'string' then content = call('GET', key) elseif kind == 'hash' then content = call('HGETALL', key) end
return {mark(key), content_mark(key), kind, content}
"""
)
HASHES = st.dictionaries(st.binary(max_size=3), st.binary(max_size=3), min_size=1, max_size=4)
CONTENTS = st.one_of(st.binary(max_size=6), HASHES)


@pytest.fixture(scope="module", params=["memory", *versions.tested()])
def client(request: pytest.FixtureRequest) -> Iterator[redis.Redis]:
    if request.param == "memory":
        with InMemoryClient() as memory:
            yield memory
        return
    server = Server(executable=versions.tested()[request.param])
    try:
        with redis.Redis(port=server.port) as client:
            yield client
    finally:
        server.stop()


def look(client: redis.Redis, prefix: str, slot: str = "a") -> tuple[bytes, bytes, str, Any]:
    mark, of_content, kind, content = client.eval(LOOK, 2, f"{prefix}:u:~index", f"{prefix}:u:{slot}")
    return mark, of_content, kind.decode(), content


def drawn(dice: random.Random) -> bytes | dict[bytes, bytes]:
    """A value, or a hash: packed ones, and tables of a few fields and of many, and of values that are long."""
    if dice.random() < 0.2:
        return dice.randbytes(dice.choice((0, 1, 44, 45, 5_000)))
    fields = dice.choice((1, 2, 10, 100, 700))
    longest = dice.choice((0, 3, 70, 300))
    return {
        dice.choice((b"", b":", b"12:", b"\x00", b"\xff")) + b"%d" % number: dice.randbytes(dice.randint(0, longest))
        for number in range(fields)
    }


def flat(content: bytes | dict[bytes, bytes]) -> tuple[str, Any]:
    if isinstance(content, bytes):
        return "string", content
    return "hash", [part for pair in content.items() for part in pair]


def write(client: redis.Redis, key: str, content: bytes | dict[bytes, bytes]) -> None:
    client.delete(key)
    if isinstance(content, bytes):
        client.set(key, content, ex=60)
    else:
        client.hset(key, mapping=content)
        client.expire(key, 60)


def test_client_and_server_work_out_the_same(client: redis.Redis, prefix: str) -> None:
    dice = random.Random(1)
    for _ in range(40 if isinstance(client, InMemoryClient) else 150):
        content = drawn(dice)
        write(client, f"{prefix}:u:a", content)
        _, of_content, kind, held = look(client, prefix)
        assert of_content == content_mark(kind, held) == content_mark(*flat(content))


def test_what_is_not_there_has_no_mark(client: redis.Redis, prefix: str) -> None:
    assert look(client, prefix) == (b"", b"", "none", None)
    assert content_mark("none", None) == b""


def test_marks_tell_one_content_from_another(client: redis.Redis, prefix: str) -> None:
    """Each from all others, those that look alike when their parts are put together, too."""
    contents: list[bytes | dict[bytes, bytes]] = [
        b"",
        b"a",
        b"ab",
        {b"a": b"b"},
        {b"ab": b""},
        {b"": b"ab"},
        {b"a": b"", b"b": b""},
        {b"1:a": b"b"},
        {b"a": b"1:b"},
        {b"a": b"b", b"c": b"d"},
        {b"a": b"d", b"c": b"b"},
        {b"a": b"b1:cd"},
        {b"a": b"x" * 70},
        {b"a": b"x" * 71},
    ]
    marks, of_contents = set(), set()
    for content in contents:
        write(client, f"{prefix}:u:a", content)
        mark, of_content, *_ = look(client, prefix)
        marks.add(mark)
        of_contents.add(of_content)
    assert len(marks) == len(of_contents) == len(contents)


@given(CONTENTS, CONTENTS)
def test_equal_marks_are_of_equal_contents(one: Any, other: Any) -> None:
    assert (content_mark(*flat(one)) == content_mark(*flat(other))) == (one == other)


@given(HASHES, st.randoms(use_true_random=False))
def test_a_mark_depends_on_no_order(fields: dict[bytes, bytes], dice: random.Random) -> None:
    pairs = list(fields.items())
    dice.shuffle(pairs)
    assert content_mark(*flat(dict(pairs))) == content_mark(*flat(fields))


def test_the_order_of_a_table_is_not_in_the_mark(client: redis.Redis, prefix: str) -> None:
    """Two that were filled in another order, and that Redis may keep, and dump, in another."""
    fields = {b"%d" % number: b"x" * 80 for number in range(500)}
    write(client, f"{prefix}:u:a", fields)
    client.hset(f"{prefix}:u:b", mapping=dict(reversed(fields.items())))
    client.hset(f"{prefix}:u:b", mapping={b"more%d" % number: b"" for number in range(3_000)})
    client.hdel(f"{prefix}:u:b", *(b"more%d" % number for number in range(3_000)))
    assert look(client, prefix, "a")[1] == look(client, prefix, "b")[1]
    client.hset(f"{prefix}:u:b", "499", "y" * 80)
    assert look(client, prefix, "a")[1] != look(client, prefix, "b")[1]


@pytest.fixture
def collating(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[redis.Redis]:
    """A server whose strings are in the order of a dictionary, lower case beside upper case."""
    if not shutil.which("localedef"):
        pytest.skip("there is no localedef to make a locale with")
    made = subprocess.run(
        ["localedef", "--no-archive", "-i", "en_US", "-f", "UTF-8", str(tmp_path / "en_US.UTF-8")],
        capture_output=True,
        check=False,
    )
    if made.returncode:
        pytest.skip(f"localedef makes no locale: {made.stderr.decode().strip()}")
    monkeypatch.setenv("LOCPATH", str(tmp_path))
    monkeypatch.setenv("LC_ALL", "en_US.UTF-8")
    server = Server()
    try:
        with redis.Redis(port=server.port) as client:
            if not client.eval("return 'a' < 'B'", 0):
                pytest.skip("the server keeps to the order of bytes")
            yield client
    finally:
        server.stop()


def test_client_and_server_work_out_the_same_under_another_locale(collating: redis.Redis, prefix: str) -> None:
    """In which the order of strings is not that of their bytes."""
    dice = random.Random(2)
    for _ in range(60):
        content = drawn(dice)
        write(collating, f"{prefix}:u:a", content)
        assert look(collating, prefix)[1] == content_mark(*flat(content))
