"""The explorer finds what is wrong with jobs as they are often written, and nothing in the same jobs done right."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from redis.exceptions import ConnectionError
from testing.interleavings import jobs

from session_store.testing import InterleavingError, explore

pytestmark = pytest.mark.long

ALL_FAULTS = ("lost_reply", "cut_before", "expire", "purge", "touch", "script_flush")


def twice(job: Callable[[Any], Any]) -> dict[str, Callable[[Any], Any]]:
    return {"one": job, "two": job}


BROKEN: dict[str, dict[str, Any]] = {
    "lost update: get, then set of one JSON blob": {"tasks": twice(jobs.blob_cart), "setup": jobs.fill_cart},
    "lost update: HGET, then HSET of a quantity": {
        "tasks": twice(jobs.read_and_write_quantity),
        "setup": jobs.fill_basket,
    },
    "lost update, async": {"tasks": twice(jobs.async_read_and_write_quantity), "setup": jobs.fill_basket},
    "doubled id: the highest field and one more": {"tasks": twice(jobs.highest_field)},
    "write skew: two slots, of which one is watched": {"tasks": jobs.leave_watching_one, "setup": jobs.fill_calls},
    "revival: a purge without fence, and a write in flight": {
        "tasks": {"request": jobs.save_draft, "logout": jobs.log_out},
        "setup": jobs.log_in,
    },
    "double commit: redis-py's transaction, and a lost reply": {
        "tasks": {"one": jobs.Client.add_one},
        "handle": jobs.Client,
        "faults": {"lost_reply"},
    },
}


@pytest.mark.parametrize("case", BROKEN)
def test_what_is_broken_is_found(case: str) -> None:
    """Within the budget, with a schedule that a reader can follow; and that schedule fails again."""
    with pytest.raises(InterleavingError) as caught:
        explore(**BROKEN[case])
    assert len(caught.value.schedule) <= 12
    assert caught.value.schedules <= 2_000
    with pytest.raises(InterleavingError) as again:
        explore(
            **{name: value for name, value in BROKEN[case].items() if name != "faults"}, schedule=caught.value.schedule
        )
    assert again.value.schedule == caught.value.schedule
    assert again.value.schedules == 1


RIGHT: dict[str, dict[str, Any]] = {
    "a JSON blob, with_cas": {"job": jobs.cas_cart, "setup": jobs.fill_cart},
    "a quantity, with_cas": {"job": jobs.cas_quantity, "setup": jobs.fill_basket},
    "a quantity, with_cas, async": {"job": jobs.async_cas_quantity, "setup": jobs.fill_basket},
    "a quantity, hincrby": {"job": jobs.hincrby_quantity, "setup": jobs.fill_basket},
    "a quantity, hincrby, async": {"job": jobs.async_hincrby_quantity, "setup": jobs.fill_basket},
    "an id, incr": {"job": jobs.counter_line},
    "an id, with_cas": {"job": jobs.cas_line},
}
TOGETHER: dict[str, dict[str, Any]] = {
    "two slots, with_cas that watches both": {"tasks": jobs.leave_watching_both, "setup": jobs.fill_calls},
    "a fenced purge and with_cas": {
        "tasks": {"request": jobs.cas_draft, "logout": jobs.log_out_for_good},
        "setup": jobs.log_in,
    },
    "a fenced purge and two requests": {
        "tasks": {"request": jobs.cas_draft, "logout": jobs.log_out_for_good, "basket": jobs.counter_in_session},
        "setup": jobs.log_in,
    },
    "a closure that only reads two slots, and one that writes both": {
        "tasks": {"reader": jobs.read_both, "writer": jobs.move_both},
        "setup": jobs.fill_calls,
    },
    "a slot that is read by itself, twice, and a commit in between": {
        "tasks": {"reader": jobs.equal_many, "writer": jobs.raise_many},
        "setup": jobs.fill_many,
    },
    "two commits to a slot that is read by itself": {
        "tasks": {"one": jobs.raise_whole_many, "two": jobs.raise_whole_many},
        "setup": jobs.fill_many,
    },
    "commits, sums and ids, sync and async": {
        "tasks": {"commit": jobs.cas_quantity, "sum": jobs.async_hincrby_quantity, "id": jobs.counter_line},
        "setup": jobs.fill_basket,
    },
}
CASES = {name: {"tasks": twice(case.pop("job")), **case} for name, case in RIGHT.items()} | TOGETHER


@pytest.mark.parametrize("case", CASES)
def test_what_is_right_holds_with_every_fault(case: str) -> None:
    """All schedules there are, with each fault at each point."""
    result = explore(**CASES[case], faults=ALL_FAULTS, budget=20_000, time_limit=500)
    assert result.complete
    assert result.schedules > 20


@pytest.mark.parametrize("fault", ALL_FAULTS)
def test_three_commits_hold_with_every_fault(fault: str) -> None:
    """Three writers of one slot; a schedule has one fault at most, so these are all schedules with every fault."""
    tasks = dict.fromkeys(("one", "two", "three"), jobs.cas_quantity)
    result = explore(tasks, setup=jobs.fill_basket, faults={fault}, budget=20_000, time_limit=500)
    assert result.complete
    assert result.schedules > (400 if fault == "cut_before" else 500)  # which adds a schedule for each command only


@pytest.mark.parametrize("job", [jobs.counter_line, jobs.hincrby_quantity, jobs.async_hincrby_quantity])
def test_three_sums_hold_with_every_fault(job: Callable[[Any], Any]) -> None:
    """Three callers of incr or hincrby, which are one command each."""
    result = explore(dict.fromkeys(("one", "two", "three"), job), faults=ALL_FAULTS)
    assert result.complete
    assert result.schedules > 100


def test_a_fenced_purge_holds_where_an_unfenced_one_does_not() -> None:
    """The same request and the same logout, but for the fence."""
    tasks = {"request": jobs.save_draft, "logout": jobs.log_out_for_good}
    assert explore(tasks, setup=jobs.log_in).complete


def test_what_was_changed_and_changed_back_disturbs_nobody() -> None:
    """Nor does another TTL: an attempt is not lost, however Redis keeps the same content."""
    tasks = {"count": jobs.count_hash_at_once, "rewrite": jobs.rewrite_hash}
    assert explore(tasks, setup=jobs.fill_hash, faults={"touch", "lost_reply", "script_flush"}, max_faults=2).complete


def test_what_is_read_by_itself_was_there_together_or_the_attempt_is_lost() -> None:
    """Whatever the closure makes of it, raise even; and though the slot is changed back before the commit."""
    tasks = {"reader": jobs.equal_many, "writer": jobs.raise_and_lower_many}
    assert explore(tasks, setup=jobs.fill_many, check=lambda ns, results: None).complete


def test_what_was_changed_back_between_two_reads() -> None:
    """The first of them finds it changed: the attempt is lost, though all is as before at the commit."""

    def job(ns: Any) -> str:
        def change(snap: Any, ops: Any) -> str:
            seen = f"{snap.hget('many', '0')}{snap.hget('many', '1')}"
            ops.set("seen", seen)
            return seen

        return ns.with_cas("many", change)

    def check(ns: Any, results: dict[str, Any]) -> None:
        assert results["reader"] in ("11", "22")

    tasks = {"reader": job, "writer": jobs.raise_and_lower_many}
    assert explore(tasks, setup=jobs.fill_many, check=check).complete


def or_lost(job: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def run(ns: Any) -> Any:
        try:
            return job(ns)
        except ConnectionError:
            return None

    return run


async def async_quantity_or_lost(ns: Any) -> int | None:
    try:
        return await jobs.async_cas_quantity(ns)
    except ConnectionError:
        return None


@pytest.mark.parametrize("job", [or_lost(jobs.cas_quantity), async_quantity_or_lost], ids=["sync", "async"])
def test_commits_without_an_answer_are_settled(job: Callable[[Any], Any]) -> None:
    """By clients that send nothing again: a commit is done once, or the error is true that says it was not."""

    def check(ns: Any, results: dict[str, Any]) -> None:
        done = sorted(result for result in results.values() if result)
        assert done == list(range(2, 2 + len(done)))
        assert ns.hget("basket", "tea") == str(1 + len(done))

    result = explore(
        twice(job),
        setup=jobs.fill_basket,
        check=check,
        handle=jobs.sent_once,
        faults={"lost_reply", "cut_before"},
        max_faults=2,
        budget=5_000,
        time_limit=300,
    )
    assert result.complete
    assert result.schedules > 100


def test_a_last_attempt_without_an_answer_is_settled() -> None:
    """There is no further one to ask: a call of its own finds out, and sees to it that it will not be done later."""

    def job(ns: Any) -> Any:
        return or_lost(lambda ns: ns.with_cas("a", lambda snap, ops: ops.set("a", "x") or "set", max_retries=0))(ns)

    def check(ns: Any, results: dict[str, Any]) -> None:
        assert (results["only"] == "set") == (ns.get("a") == "x")

    result = explore({"only": job}, check=check, handle=jobs.sent_once, faults={"lost_reply", "cut_before"})
    assert result.complete
