"""The explorer finds what is wrong with jobs as they are often written, and nothing in the same jobs done right."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from interleavings import jobs

from session_store.testing import InterleavingError, explore

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
    assert result.schedules > 500


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
