"""Calls to one conversation in every order of their commands, with lost replies [C3, C21, C22, C25, C30]."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from session_store import NamespacePurgedError, SessionStore
from session_store.conversations import (
    ConversationExistsError,
    ConversationInfo,
    ConversationNotFoundError,
    NewMessage,
    RedisConversation,
    RedisConversations,
    RevisionConflictError,
    TokenBudgetError,
)
from session_store.testing import explore

pytestmark = pytest.mark.long

FAULTS = {"lost_reply", "cut_before"}
REFUSALS = (ConversationNotFoundError, NamespacePurgedError, RevisionConflictError, TokenBudgetError)


def chats(client: Any) -> RedisConversations:
    return RedisConversations(SessionStore(client, prefix="p", default_ttl=600))


@pytest.fixture(autouse=True)
def known_places(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is drawn at random is the same in each run."""
    for module in ("_core.records", "_sync.conversation"):
        monkeypatch.setattr(f"session_store.conversations.{module}.new_place", lambda: "A" * 11)


def begin(chats: RedisConversations) -> None:
    chats.create("c", user="ann")
    chats.conversation("c").append("user", "first", tokens=10)


def call(work: Callable[[RedisConversation], object]) -> Callable[[RedisConversations], str]:
    """What becomes of a call to the conversation."""

    def run(chats: RedisConversations) -> str:
        try:
            work(chats.conversation("c"))
        except REFUSALS as error:
            return type(error).__name__
        return "done"

    return run


def contents(chats: RedisConversations) -> list[Any]:
    """After numbers, counts and tokens were found to agree with what is there."""
    chat, info = chats.conversation("c"), chats.conversation("c").info()
    assert info is not None
    found = chat.messages().items
    assert (info.count, info.tokens) == (len(found), sum(message.tokens for message in found))
    assert [message.created_at for message in found] == sorted(message.created_at for message in found)
    assert all(chat.latest(50, roles=[each.role]).items for each in found)
    return [message.content for message in found]


def test_two_appends() -> None:
    """Each once, though the client sends it again."""

    def check(chats: RedisConversations, results: dict[str, Any]) -> None:
        assert sorted(contents(chats)) == ["first", "one", "two"]
        assert set(results.values()) == {"done"}

    tasks = {name: call(lambda chat, name=name: chat.append("user", name, tokens=1)) for name in ("one", "two")}  # type: ignore[misc]
    assert explore(tasks, setup=begin, check=check, handle=chats, faults=FAULTS).complete


def test_two_appends_with_one_key() -> None:
    def check(chats: RedisConversations, results: dict[str, Any]) -> None:
        assert contents(chats) == ["first", "keyed"]

    keyed = call(lambda chat: chat.append("user", "keyed", key="k"))
    assert explore({"one": keyed, "two": keyed}, setup=begin, check=check, handle=chats, faults=FAULTS).complete


def test_a_budget_for_one_of_two() -> None:
    def check(chats: RedisConversations, results: dict[str, Any]) -> None:
        assert len(contents(chats)) == 2
        assert sorted(results.values()) == ["TokenBudgetError", "done"]

    tasks = {
        name: call(lambda chat, name=name: chat.append("user", name, tokens=6, max_tokens=20))  # type: ignore[misc]
        for name in ("one", "two")
    }
    assert explore(tasks, setup=begin, check=check, handle=chats, faults=FAULTS).complete


@pytest.mark.parametrize(
    ("work", "done"),
    [
        (lambda chat: chat.edit(1, "other", metadata=None), ["other", "new"]),
        (lambda chat: chat.edit(1, "other"), ["other", "new"]),
        (lambda chat: chat.delete(1), ["new"]),
    ],
    ids=["edit", "edit that reads", "delete"],
)
def test_an_append_beside_a_change(work: Callable[[RedisConversation], object], done: list[str]) -> None:
    def check(chats: RedisConversations, results: dict[str, Any]) -> None:
        assert contents(chats) == done

    tasks = {"append": call(lambda chat: chat.append("assistant", "new", tokens=1)), "change": call(work)}
    assert explore(tasks, setup=begin, check=check, handle=chats, faults=FAULTS).complete


def test_an_append_beside_a_replacement() -> None:
    """Of what has come since it was read, nothing is thrown away."""

    def compact(chat: RedisConversation) -> None:
        info = chat.info()
        assert info is not None
        chat.replace([NewMessage("system", "short")], expected_revision=info.revision)

    def check(chats: RedisConversations, results: dict[str, Any]) -> None:
        found = contents(chats)
        assert results["append"] == "done"
        assert found in (["short", "new"], ["short"]) if results["compact"] == "done" else found == ["first", "new"]
        assert results["compact"] == "done" or "new" in found

    tasks = {"append": call(lambda chat: chat.append("user", "new")), "compact": call(compact)}
    assert explore(tasks, setup=begin, check=check, handle=chats, faults=FAULTS).complete


@pytest.mark.parametrize("fence", [None, 60])
def test_an_append_beside_the_end(fence: float | None) -> None:
    """It comes before, or is refused; nothing is left."""

    def check(chats: RedisConversations, results: dict[str, Any]) -> None:
        assert chats.conversation("c").info() is None
        assert chats.store.namespace("c").slots() == []

    def end(chats: RedisConversations) -> None:
        if fence is None:
            chats.conversation("c").delete_all()
        else:
            chats.store.namespace("c").purge(fence=fence)

    tasks: dict[str, Any] = {"append": call(lambda chat: chat.append("user", "new")), "end": end}
    assert explore(tasks, setup=begin, check=check, handle=chats, faults=FAULTS).complete


def listed(chats: RedisConversations, user: str) -> list[ConversationInfo]:
    return list(chats.list(user=user).items)


def test_one_that_is_begun_anew_while_it_is_deleted() -> None:
    """Is on its user's list, if it is there."""

    def anew(chats: RedisConversations) -> str:
        try:
            chats.create("c", user="ann")
        except ConversationExistsError:
            return "was there"
        return "done"

    def check(chats: RedisConversations, results: dict[str, Any]) -> None:
        lives = chats.conversation("c").info() is not None
        assert [info.id for info in listed(chats, "ann")] == ["c"] * lives
        assert not lives or results["anew"] == "done"

    tasks: dict[str, Any] = {"anew": anew, "end": lambda chats: chats.conversation("c").delete_all()}
    assert explore(tasks, setup=begin, check=check, handle=chats, faults=FAULTS).complete


def test_a_list_that_is_read_while_a_conversation_begins() -> None:
    """It is listed in the end, whenever its entry looked dead to a reader."""

    def check(chats: RedisConversations, results: dict[str, Any]) -> None:
        assert [info.id for info in listed(chats, "ann")] == ["c"]

    tasks: dict[str, Any] = {
        "begin": lambda chats: chats.create("c", user="ann").id,
        "read": lambda chats: len(listed(chats, "ann")),
    }
    assert explore(tasks, check=check, handle=chats, faults=FAULTS).complete


def test_another_user_while_a_list_is_read() -> None:
    """In the end it is in one list only, and never in that of somebody whose it is not."""

    def read(chats: RedisConversations) -> list[str | None]:
        return [info.user for user in ("ann", "bob") for info in listed(chats, user) if info.user != user]

    def check(chats: RedisConversations, results: dict[str, Any]) -> None:
        assert (len(listed(chats, "ann")), len(listed(chats, "bob"))) == (0, 1)
        assert results["read"] == []

    tasks: dict[str, Any] = {"give": call(lambda chat: chat.update(user="bob")), "read": read}
    assert explore(tasks, setup=begin, check=check, handle=chats, faults={"lost_reply"}).complete
