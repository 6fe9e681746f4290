"""Namespaces that are created, in every order of calls: they begin once, and what has ended does not come back."""

from __future__ import annotations

from typing import Any

import pytest
from testing.interleavings import jobs

from session_store import Namespace, NamespacePurgedError, SessionStore
from session_store.testing import InterleavingError, explore

FAULTS = {"lost_reply", "cut_before", "purge", "script_flush"}


def existing(client: Any) -> Namespace[str]:
    return SessionStore(client, prefix="p", default_ttl=600).namespace("u", existing=True)


def begin(ns: Namespace[str]) -> bool:
    is_new = ns.create(lifetime=60)
    if is_new:
        jobs.log_in(ns)
    return is_new


def begin_if_it_lives(ns: Namespace[str]) -> bool | None:
    """It may have been purged since it was created: a purge whose reply was lost is sent again."""
    try:
        return begin(ns)
    except NamespacePurgedError:
        return None


@pytest.mark.parametrize("request_of", [jobs.save_draft, jobs.cas_draft])
def test_what_was_purged_does_not_come_back(request_of: Any) -> None:
    """Without a fence, which it takes where the handle is for any namespace."""
    tasks = {"request": request_of, "logout": jobs.log_out}
    assert explore(tasks, setup=begin, handle=existing, faults=FAULTS).complete
    if request_of is jobs.save_draft:
        with pytest.raises(InterleavingError):
            explore(tasks, setup=begin)


def test_a_namespace_begins_once() -> None:
    def check(ns: Namespace[str], results: dict[str, Any]) -> None:
        assert sorted(map(str, results.values())) == ["False", "True"]
        assert ns.get("user") == "ada"
        assert (ns.ttl("user") or 61) <= 60

    tasks = dict.fromkeys(("one", "two"), begin)
    assert explore(tasks, check=check, handle=existing, faults=FAULTS - {"purge"}).complete


def test_what_begins_anew_is_not_what_has_ended() -> None:
    """Whoever logs out and in again, and whoever writes meanwhile: either life is whole."""

    def check(ns: Namespace[str], results: dict[str, Any]) -> None:
        assert ns.slots() in ([], ["user"], ["draft", "user"])  # and not a draft alone

    tasks = {"request": jobs.save_draft, "logout": jobs.log_out, "again": begin_if_it_lives}
    assert explore(tasks, setup=begin, check=check, handle=existing, faults={"lost_reply"}).complete
