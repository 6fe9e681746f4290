"""What errors of conversations say: what happened, and nothing of a conversation."""

from __future__ import annotations

import pickle

import pytest

from session_store import SessionStoreError, conversations
from session_store.conversations import errors

TOLD = {
    errors.ConversationNotFoundError(): "there is no such conversation",
    errors.ConversationExistsError(): "there is a conversation of this id already",
    errors.MessageNotFoundError(7): "has no message 7",
    errors.RevisionConflictError(1, 2): "1 was expected, and it is 2 by now",
    errors.TokenBudgetError(100, 95, 10): "has 95 tokens, and 10 more would be beyond 100",
    errors.MessageTooLargeError(20, 10): "has 20 bytes, and may have 10",
}


@pytest.mark.parametrize(("error", "text"), TOLD.items(), ids=lambda each: type(each).__name__)
def test_what_an_error_says(error: SessionStoreError, text: str) -> None:
    """In another process as well."""
    assert text in str(error)
    assert str(pickle.loads(pickle.dumps(error))) == str(error)


def test_the_names_of_the_package() -> None:
    """Each is loaded when it is first used; an argument that was not given shows as such."""
    assert all(getattr(conversations, name) for name in conversations.__all__)
    assert set(conversations.__all__) <= set(dir(conversations))
    assert repr(conversations.UNSET) == "UNSET"
