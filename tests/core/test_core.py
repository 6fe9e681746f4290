"""The decisions that need no server."""

from __future__ import annotations

import importlib
import subprocess
import sys
from datetime import timedelta

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from session_store import CasPolicy, InvalidNameError
from session_store._core.arguments import to_milliseconds
from session_store._core.names import KeySpace, base_pattern, slot_key

ALLOWED = "ab~*?[]^\\\u0301é-"  # what could confuse a key or a pattern, as far as it may stand in a name
NASTY = st.text(st.sampled_from(ALLOWED), min_size=1, max_size=4)
SLOTS = st.text(st.sampled_from(ALLOWED + ":"), min_size=1, max_size=4)
PARTS = st.tuples(st.sampled_from(["a", "a-", "b"]), NASTY, SLOTS, st.booleans())


def key_of(prefix: str, namespace: str, slot: str, hash_tags: bool) -> bytes | None:
    try:
        return slot_key(KeySpace(prefix, hash_tags=hash_tags).base(namespace), slot)
    except InvalidNameError:
        return None


@given(PARTS, PARTS)
def test_no_two_triples_share_a_key(one: tuple[str, str, str, bool], other: tuple[str, str, str, bool]) -> None:
    key = key_of(*one)
    assume(key is not None and one[:3] != other[:3])
    assert key != key_of(*other)


@given(PARTS)
def test_no_slot_is_a_key_of_ours(parts: tuple[str, str, str, bool]) -> None:
    """The index, and what it keeps beside slots, begins with a tilde where a slot does not."""
    key = key_of(*parts)
    assume(key is not None)
    base = KeySpace(parts[0], hash_tags=parts[3]).base(parts[1]).encode()
    assert not key[len(base) :].startswith(b"~")


@given(PARTS)
def test_an_index_names_its_namespace(parts: tuple[str, str, str, bool]) -> None:
    prefix, namespace, _, hash_tags = parts
    key = key_of(*parts)
    assume(key is not None)
    space = KeySpace(prefix, hash_tags=hash_tags)
    assert space.namespace_of_index(space.base(namespace).encode() + b"~index") == namespace
    assert space.namespace_of_index(key) is None
    assert KeySpace(prefix, hash_tags=not hash_tags).namespace_of_index(key) is None


def test_glob_characters_match_only_themselves() -> None:
    assert base_pattern("shop:a*?[b]^\\c:") == b"shop:a\\*\\?\\[b\\]\\^\\\\c:*"


@pytest.mark.parametrize(
    ("given_", "milliseconds"),
    [
        (1, 1000),
        (0.001, 1),
        (0.0005, 1),
        (0.0015, 2),
        (0.1 + 0.2, 300),
        (timedelta(milliseconds=1), 1),
        (timedelta(microseconds=500), 1),
        (timedelta(days=30), 2_592_000_000),
        (10**12, 10**15),
    ],
)
def test_durations_are_whole_milliseconds(given_: float | timedelta, milliseconds: int) -> None:
    assert to_milliseconds(given_, "ttl") == milliseconds


def test_backoff_is_jittered_doubles_and_is_capped() -> None:
    """The random source is an argument, so nothing sleeps here."""
    policy = CasPolicy(backoff_base=0.004, backoff_cap=0.25)
    bounds = []

    def highest(low: float, high: float) -> float:
        bounds.append((low, high))
        return high

    assert [policy.delay(retry, highest) for retry in (1, 2, 3, 7, 8, 5000)] == [0.004, 0.008, 0.016, 0.25, 0.25, 0.25]
    assert {low for low, _ in bounds} == {0}
    assert len({policy.delay(3) for _ in range(50)}) > 10
    assert all(0 <= policy.delay(3) <= 0.016 for _ in range(50))


@pytest.mark.parametrize("field", ["backoff_base", "backoff_cap", "lock_ttl", "lock_timeout"])
def test_a_policy_checks_its_durations(field: str) -> None:
    for seconds in (-1, float("nan"), float("inf")):
        with pytest.raises(ValueError, match=f"{field} must be"):
            CasPolicy(**{field: seconds})
    for seconds in ("1", True, None):
        with pytest.raises(TypeError, match=f"{field} must be"):
            CasPolicy(**{field: seconds})


def test_a_policy_may_not_wait_at_all_or_very_shortly() -> None:
    assert CasPolicy(backoff_base=0).delay(3) == 0
    assert CasPolicy(backoff_cap=0).delay(3) == 0
    assert CasPolicy(backoff_base=0.000_1).delay(1, lambda low, high: high) == 0.000_1


def test_a_lease_is_at_least_a_millisecond() -> None:
    """It is told to the server in milliseconds, and a lock that has run out at once is none."""
    assert CasPolicy(lock_ttl=0.001).lock_ttl == 0.001
    with pytest.raises(ValueError, match="lock_ttl must be"):
        CasPolicy(lock_ttl=0.0001)
    assert CasPolicy(lock_timeout=0).lock_timeout == 0


def test_looks_at_a_lock_come_apart_and_are_jittered() -> None:
    """Fast closures are looked for fast, slow ones seldom; so many commands a second are sent in vain, and no more."""
    policy = CasPolicy()

    def highest(low: float, high: float) -> float:
        assert low == high / 2
        return high

    assert [policy.poll(look, 0, highest) for look in (1, 2, 3, 5_000)] == [0.002, 0.004, 0.004, 0.004]
    assert [policy.poll(9, seconds, highest) for seconds in (0.05, 0.8, 100)] == [0.004, 0.05, 0.1]
    assert len({policy.poll(3, 1) for _ in range(50)}) > 10
    assert all(0.004 <= policy.poll(3, 1) <= 0.008 for _ in range(50))


def test_a_policy_reads_well_and_is_a_value() -> None:
    assert repr(CasPolicy()) == (
        "CasPolicy(max_retries=3, backoff_base=0.004, backoff_cap=0.25, lock_ttl=1.0, lock_timeout=5.0)"
    )
    assert CasPolicy() == CasPolicy(max_retries=3)
    assert len({CasPolicy(), CasPolicy(max_retries=4)}) == 2


LIGHT = """
import sys
import session_store
from session_store import CasOps, CasPolicy, SessionStore
heavy = {"fakeredis", "hypothesis", "structlog", "msgspec", "pytest", "lupa", "session_store._async.store"}
print(sorted(heavy & set(sys.modules)))
session_store.AsyncSessionStore, session_store.InMemoryClient
print(sorted(heavy & set(sys.modules)))
print(set(session_store.__all__) <= set(dir(session_store)))
"""


def test_importing_loads_nothing_heavy() -> None:
    """Neither test tools nor codecs nor structlog nor the other flavour, before they are asked for."""
    run = subprocess.run([sys.executable, "-c", LIGHT], capture_output=True, text=True, check=True)
    assert run.stdout.splitlines() == ["[]", "['fakeredis', 'lupa', 'session_store._async.store']", "True"]


@pytest.mark.parametrize(
    ("missing", "code", "message"),
    [
        ("msgspec", "session_store.JsonCodec()", "session-store[json]"),
        ("fakeredis", "session_store.InMemoryClient()", "session-store[testing]"),
    ],
)
def test_a_missing_extra_says_what_to_install(missing: str, code: str, message: str) -> None:
    script = f"import sys; sys.modules[{missing!r}] = None; import session_store; {code}"
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert message in run.stderr.splitlines()[-1]
    assert run.stderr.splitlines()[-1].startswith("ImportError")


@pytest.mark.parametrize("name", ["session_store", "session_store.testing"])
def test_every_public_name_can_be_had_and_no_other(name: str) -> None:
    """Though none is loaded before it is asked for; a shell completes them all."""
    module = importlib.import_module(name)
    assert all(getattr(module, each) for each in module.__all__)
    assert set(module.__all__) <= set(dir(module))
    with pytest.raises(AttributeError, match="no attribute 'Namespaces'"):
        _ = module.Namespaces
