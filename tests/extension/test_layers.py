"""What errors of the layers say: what happened, and nothing of what they keep; and the names of their packages."""

from __future__ import annotations

import pickle
from types import ModuleType

import pytest

from session_store import SessionStoreError, conversations, snapshots, web

TOLD = {
    conversations.ConversationNotFoundError(): "there is no such conversation",
    conversations.ConversationExistsError(): "there is a conversation of this id already",
    conversations.MessageNotFoundError(7): "has no message 7",
    conversations.RevisionConflictError(1, 2): "1 was expected, and it is 2 by now",
    conversations.TokenBudgetError(100, 95, 10): "has 95 tokens, and 10 more would be beyond 100",
    conversations.MessageTooLargeError(20, 10): "has 20 bytes, and may have 10",
    snapshots.StaleSnapshotError(1, 2): "of turn 2 is there already, and this one is of turn 1",
    snapshots.SnapshotVersionError(2, 1): "is of version 2, and this program of 1: a newer program",
    snapshots.SnapshotVersionError(1, 2): "is of version 1, and this program of 2: an older one",
}


@pytest.mark.parametrize(("error", "text"), TOLD.items(), ids=lambda each: type(each).__name__)
def test_what_an_error_says(error: SessionStoreError, text: str) -> None:
    """In another process as well."""
    again = pickle.loads(pickle.dumps(error))
    assert text in str(error)
    assert (str(again), vars(again)) == (str(error), vars(error))


@pytest.mark.parametrize("package", [conversations, snapshots, web], ids=lambda package: package.__name__)
def test_the_names_of_a_package(package: ModuleType) -> None:
    """Each is loaded when it is first used."""
    assert all(getattr(package, name) for name in package.__all__)
    assert set(package.__all__) <= set(dir(package))


def test_an_argument_that_was_not_given_shows_as_such() -> None:
    assert repr(conversations.UNSET) == "UNSET"
    assert conversations.RevisionConflictError is snapshots.RevisionConflictError
