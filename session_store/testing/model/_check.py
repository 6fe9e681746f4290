"""The entrance to the state machine."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings
from hypothesis.stateful import run_state_machine_as_test

from session_store._core.arguments import check_count, shorten
from session_store._sync._flavour import check_client
from session_store.testing.model._machine import Clients, Machine


def check_against_model(
    *client_factories: Callable[[], Any],
    examples: int = 100,
    steps: int = 40,
    settings: hypothesis_settings | None = None,
) -> None:
    """Hold a client, a proxy or a server to what the store promises, by a Hypothesis state machine. Sync only.

    - `client_factories`: functions without arguments that return a `redis.Redis` or a `redis.RedisCluster`, a new one or
      one that is shared, each with 3 connections at least. Each is called at most 3 times: for two stores and for
      another program. With several, the stores may have clients of different factories, of one server all the same.
      The clients are not closed: close them where they are made.
    - `examples`, `steps`: how many sequences of calls are tried, and how long each is. A step takes about 3 ms on a
      local server; after a failure, making it simple takes some times as long as the run.
    - `settings`: a `hypothesis.settings` for the rest (`database`, `phases`, ..); None: the profile's. No deadline.

    Two stores call every method of `Namespace`, alone, inside closures of `with_cas` and in each other's way; another
    program writes and deletes keys of theirs; bad arguments are refused; time passes. A model in plain dicts and an
    `InMemoryClient` do the same. After each step all must agree on results, errors, contents and TTLs.

    Beside the library's commands it sends SCAN, TYPE, PTTL, GET, HGETALL, LRANGE, DEL, SET, HSET, RPUSH, PEXPIRE and
    EVAL. All keys begin with `model-` and a random part, and are removed; others are neither read nor written. Each
    step scans the database: use one with few keys. Time passes by `advance` for an `InMemoryClient`, whose whole server
    gets older, and elsewhere by a script that shortens the TTLs of these keys.

    Raises `AssertionError` with what the model expects and what was seen, and as a note the calls that lead there
    (`store_0`, `store_1`, `other_program`); `RuntimeError` when they took over 18 seconds, which leaves it open;
    `TypeError` and `ValueError` for bad arguments. Errors of the client outside of calls of a store pass through.

    >>> from session_store import InMemoryClient
    >>> def test_my_client() -> None:
    ...     check_against_model(InMemoryClient().sibling, examples=2, steps=5)
    >>> test_my_client()
    """
    clients = clients_of(client_factories)
    run_machine(lambda: Machine(clients), examples=examples, steps=steps, settings=settings)


def clients_of(factories: tuple[Callable[[], Any], ...]) -> Clients:
    """The clients of these factories; the first of each is made at once, so that a wrong one is refused here."""
    for each in factories or (None,):
        if not callable(each):
            raise TypeError(f"client_factories must be functions that return a client, got {shorten(each)}")
    clients = Clients(factories)
    kinds = {check_client(clients.of(0, number)) for number in range(len(factories))}
    if len(kinds) > 1:
        raise TypeError("client_factories must all return clients of a cluster, or none of them")
    clients.on_cluster = kinds.pop()
    return clients


def run_machine(
    machine: Callable[[], Machine], *, examples: int, steps: int, settings: hypothesis_settings | None
) -> None:
    """Runs a state machine, as `check_against_model` says."""
    for argument, value in (("examples", examples), ("steps", steps)):
        if check_count(value, argument) == 0:
            raise ValueError(f"{argument} must be at least 1, got 0")
    run_state_machine_as_test(
        machine,  # type: ignore[arg-type]  # Hypothesis takes any callable, and says so in its docs
        settings=hypothesis_settings(
            settings,
            max_examples=examples,
            stateful_step_count=steps,
            deadline=None,  # a step's time says nothing about the library
            # Whether the first few examples are large is chance, how long they take is the machine.
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
        ),
    )
