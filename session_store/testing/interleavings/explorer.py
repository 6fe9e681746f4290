"""`explore`: the interleaving that breaks a handler, if there is one."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import redis.asyncio

from session_store._async.store import AsyncSessionStore
from session_store._core.arguments import Duration, check_count, shorten, to_milliseconds
from session_store._core.policy import CasPolicy
from session_store._sync.store import SessionStore
from session_store.testing.interleavings.exploration import Exploration
from session_store.testing.interleavings.moves import FAULTS, is_reserved, read_move
from session_store.testing.interleavings.result import Interleavings
from session_store.testing.interleavings.stage import Play, Stage

_AT_ONCE = CasPolicy(max_retries=10, backoff_base=0, backoff_cap=0, lock_timeout=0)


def default_handle(client: Any) -> Any:
    """What tasks are given unless `explore` is told otherwise: a namespace whose commits do not wait between attempts."""
    store = AsyncSessionStore if isinstance(client, redis.asyncio.Redis) else SessionStore
    return store(client, prefix="explore", default_ttl=3600, cas_policy=_AT_ONCE).namespace("session")


def explore(
    tasks: Mapping[str, Callable[[Any], Any]],
    *,
    setup: Callable[[Any], Any] | None = None,
    check: str | Callable[[Any, dict[str, Any]], Any] = "serializable",
    handle: Callable[[Any], Any] = default_handle,
    faults: Collection[str] = (),
    max_faults: int = 1,
    budget: int = 2_000,
    samples: int = 500,
    seed: int = 0,
    schedule: Sequence[str] | None = None,
    show_values: bool = False,
    max_steps: int = 200,
    patience: Duration = 5,
    time_limit: Duration = 60,
) -> Interleavings:
    """Runs tasks against one server in memory, in every order in which their commands can reach it.

    - `tasks`: by name, functions of one argument, plain or async; each is run in every schedule, as by a process of its
      own. They must be deterministic (give them ids and a clock that begin anew in each call), take no real time, and
      send commands by what they are given. What they return is compared with `==`.
    - `setup`, `check`: called before and after every schedule, undisturbed; plain or async.
    - `check`: "serializable": what the slots hold and what every task returned or raised must be equal to what some
      serial order of the tasks gives. Or a function of a handle and the results by task that raises when something is
      wrong; then a task that raises is wrong as well.
    - `handle`: makes what tasks, `setup` and `check` are given out of a client in memory, an `InMemoryClient` for plain
      functions and an `AsyncInMemoryClient` for async ones. By default a `Namespace` or `AsyncNamespace`. A store of
      your own should have `CasPolicy(backoff_base=0, backoff_cap=0)`. There are no locks, whatever its policy says.
    - `faults`: what may go wrong, at most `max_faults` times in a schedule: "lost_reply" (the server acts, and the
      connection is cut), "cut_before" (the connection is cut before the server acts), "expire" (of any one slot),
      "purge" and "touch" (of the namespace), "script_flush". Clients try again at once, up to 10 times.
    - `budget`: schedules that are run depth first. Those that differ only in the order of reads, or of commands on
      different keys, are run once. If there are more, `samples` others are drawn at random from `seed`.
    - `schedule`: that of an `InterleavingError`, to run only this one. What can no longer be done of it, because the
      code has changed, is passed over; when it ends early, the tasks go on in turn.
    - `show_values`: whether an error shows values, fields and results, instead of names for them.
    - `max_steps`: commands in a schedule; `patience`: seconds (or a timedelta) from one command of a task to the next;
      `time_limit`: for everything. A schedule that was begun is ended; then what was run so far is the result.

    Raises `InterleavingError` with the shortest failing schedule that was found, `StuckTaskError` when a task spins,
    waits for another or takes real time, `UnseenTaskError` when the commands of one go elsewhere, and
    `NotDeterministicError` when a schedule, run again, goes or ends otherwise. What `setup` raises passes through.

    >>> from session_store.testing import explore
    >>> def add_item(ns):
    ...     ns.hincrby("basket", "qty")
    >>> result = explore({"tab one": add_item, "tab two": add_item})
    >>> result.schedules, result.complete
    (2, True)
    """
    __tracebackhide__ = True  # pytest then shows the test and the table, not how they were come by
    play = Play(
        tasks=_checked_tasks(tasks),
        handle=handle,
        setup=setup,
        patience=to_milliseconds(patience, "patience") / 1000,
        most_steps=check_count(max_steps, "max_steps"),
    )
    if check != "serializable" and not callable(check):
        raise ValueError(f"check must be 'serializable' or a function, got {shorten(check)}")
    stage = Stage(play)
    try:
        exploration = Exploration(
            stage,
            list(tasks),
            check,
            _checked_faults(faults, stage),
            max_faults=check_count(max_faults, "max_faults"),
            seed=seed,
            show_values=show_values,
        )
        if schedule is not None:
            return exploration.replay([read_move(text, tasks) for text in schedule])
        limit = to_milliseconds(time_limit, "time_limit") / 1000
        return exploration.run(check_count(budget, "budget"), check_count(samples, "samples"), limit)
    finally:
        stage.close()


def _checked_tasks(tasks: Mapping[str, Callable[[Any], Any]]) -> dict[str, Callable[[Any], Any]]:
    if not isinstance(tasks, Mapping) or not tasks:
        raise TypeError(f"tasks must be a mapping of names to functions, at least one, got {shorten(tasks)}")
    for name, fn in tasks.items():
        if not isinstance(name, str) or not name or is_reserved(name):
            raise ValueError(f"tasks must have names that are no faults, got {shorten(name)}")
        if not callable(fn):
            raise TypeError(f"tasks must be functions of one argument, got {shorten(fn)} for {name!r}")
    return dict(tasks)


def _checked_faults(faults: Collection[str], stage: Stage) -> tuple[str, ...]:
    unknown = [fault for fault in faults if fault not in FAULTS]
    if isinstance(faults, str) or unknown:
        raise ValueError(f"faults must be some of {', '.join(FAULTS)}, got {shorten(faults)}")
    if stage.namespace is None and not {"purge", "touch"}.isdisjoint(faults):
        raise ValueError("faults 'purge' and 'touch' need a handle that is a Namespace or AsyncNamespace")
    return tuple(fault for fault in FAULTS if fault in faults)
