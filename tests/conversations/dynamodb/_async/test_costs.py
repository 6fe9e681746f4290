"""What each call asks of DynamoDB is what the page of it says. Numbers in brackets are those of the acceptance cases."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from docs.pages import DOCS, ROOT, code_words
from support.dynamodb_rules import key_of, size, units
from support.watched import Watched

from session_store.conversations import AsyncDynamoDBConversation, NewMessage

Call = Callable[[Any, AsyncDynamoDBConversation], Awaitable[Any]]
PAGE = DOCS["dynamodb"]
ROWS = {re.sub(r"^`|`$", "", call): (requests, unit) for call, requests, unit, *_ in PAGE.table("call")}
X = "x" * 450  # so that a message has some 600 bytes
THREE = [NewMessage("user", X)] * 3
CALLS: dict[str, Call] = {
    "create(user=...)": lambda every, _: every.create(user="ann"),
    "append(...)": lambda _, chat: chat.append("user", X),
    "append(..., key=...)": lambda _, chat: chat.append("user", X, key="new"),
    "append(..., key=...)` of what is there": lambda _, chat: chat.append("user", X, key="k"),
    "append_many(...)` of three": lambda _, chat: chat.append_many(THREE),
    "append(...)` of a new handle": lambda every, _: every.conversation("c").append("user", X),
    "latest(50)": lambda _, chat: chat.latest(50),
    "latest(50)` of a new handle": lambda every, _: every.conversation("c").latest(50),
    "messages(limit=50)": lambda _, chat: chat.messages(limit=50),
    "edit(...)": lambda _, chat: chat.edit(3, X),
    "delete(...)` of two": lambda _, chat: chat.delete(3, 7),
    "clear()` of 60, one with a key": lambda _, chat: chat.clear(),
    "replace(...)` of the last 10 by one": lambda _, chat: replaced(chat),
    "info()": lambda _, chat: chat.info(),
    "update(title=...)": lambda _, chat: chat.update(title="T"),
    "update(user=...)": lambda _, chat: chat.update(user="bob"),
    "set_summary(...)": lambda _, chat: chat.set_summary("short", upto=9),
    "touch()": lambda _, chat: chat.touch(),
    "delete_all()` of 60, one with a key": lambda _, chat: chat.delete_all(),
    "list(user=...)` of three": lambda every, _: every.list(user="ann"),
    "infos(...)` of three": lambda every, _: every.infos(["a", "b", "c"]),
    "prune(user=...)` of three that live": lambda every, _: every.prune(user="ann"),
    "ping()": lambda every, _: every.ping(),
}


async def replaced(chat: AsyncDynamoDBConversation) -> None:
    info = await chat.info()
    assert info is not None
    chat._table.client.clear()
    await chat.replace([NewMessage("system", X)], after=50, expected_revision=info.revision)


@pytest.mark.parametrize("name", ROWS)
async def test_what_a_call_asks_for(chats: Any, watched: Watched, items: Any, name: str) -> None:
    """[D11, defect D8] And what of that is under way together; what it takes of the indexes counts as well."""
    every = chats()
    for each in ("a", "b", "c"):
        await every.create(each, user="ann")
    chat = every.conversation("c")
    await chat.append_many([NewMessage("user", X, key="k"), *[NewMessage("user", X)] * 59])
    before = {repr({key: item[key] for key in ("PK", "SK")}): item for item in await items()}
    watched.clear()
    requests, told = ROWS[name]
    wanted = []
    for step in requests.split(" then "):
        times = int(step.partition(" ")[0]) if step[0].isdigit() else 1
        wanted += [sorted(code_words(step))] * times
    if len(wanted[0]) == 2:
        watched.meeting = threading.Barrier(2)
    await CALLS[name](every, chat)
    trips = [sorted("".join(part.title() for part in each.split("_")) for each in trip) for trip in watched.trips]
    assert trips == wanted
    after = {repr({key: item[key] for key in ("PK", "SK")}): item for item in await items()}
    taken = [units(*each, before | after) for each in watched.answered]
    assert {"W": sum(write for write, _ in taken) + of_indexes(before, after), "R": sum(read for _, read in taken)} == {
        "W": 0,
        "R": 0,
        **{unit: float(count) for count, unit in re.findall(r"([\d.]+) ([WR])", told.partition(", and ")[0])},
    }


def of_indexes(before: dict[str, Any], after: dict[str, Any]) -> int:
    """Entries that were put into the indexes or taken out of them: a write unit each."""
    count = 0
    for key in {*before, *after}:
        old, new = before.get(key, {}), after.get(key, {})
        for name in ("UK", "AK"):
            if old.get(name) != new.get(name):
                count += (name in old) + (name in new)
    return count


def test_each_call_has_a_row() -> None:
    assert ROWS.keys() == CALLS.keys()


async def test_the_rights_are_enough_and_no_more(chats: Any, watched: Watched) -> None:
    """For all that an application does; a transaction needs the rights of its parts."""
    (policy,) = [json.loads(each.code) for each in PAGE.blocks if "Statement" in each.code]
    (statement,) = policy["Statement"]
    every, used = chats(), set()
    await every.create("c")
    await every.conversation("c").append("user", "x", key="k")
    for at, call in enumerate(CALLS.values()):
        await every.create(f"c-{at}", user="ann")
        chat = every.conversation(f"c-{at}")
        await chat.append_many([NewMessage("user", at) for at in range(60)])
        await call(every, chat)
    for name, params in watched.calls:
        parts = {f"{part}_item".lower() for each in params.get("TransactItems", []) for part in each}
        used |= parts or {name}
    assert (
        sorted("dynamodb:" + "".join(part.title() for part in name.split("_")) for name in used) == statement["Action"]
    )


async def test_what_a_conversation_costs_is_what_the_program_says(
    chats: Any, watched: Watched, items: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Units to the last one, and about what is stored."""
    monkeypatch.syspath_prepend(str(ROOT))
    from benchmarks.dynamodb_costs import OVERHEAD, Chat

    every, told = chats(), Chat(messages=40, size=500, labels=1)
    info = await every.create(user="ann")
    for _ in range(told.messages // 2):
        chat = every.conversation(info.id)
        await chat.append("user", "x" * told.size)
        await chat.latest(50)
        await chat.append("assistant", "x" * told.size)
    found = {key_of({"Key": {name: item[name] for name in ("PK", "SK")}}): item for item in await items()}
    taken = [units(*each, found) for each in watched.answered]
    writes, reads = (sum(each) for each in zip(*taken, strict=True))
    assert (writes + told.labels, reads) == (told.writes, told.reads)
    (entry,) = [{name: item[name] for name in ("PK", "SK", "UK", "CK")} for item in found.values() if "UK" in item]
    stored = sum(size(item) + OVERHEAD for item in (*found.values(), entry))
    assert abs(stored - told.stored) < 0.03 * told.stored
