"""The conformance suite fails for clients with a defect, and the test that fails says what the client must do."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import redis
import redis.asyncio
from support.servers import Server
from testing.conformance import defects, rewriting

from session_store.testing import AsyncClientConformance, ClientConformance
from session_store.testing._async import place as async_place
from session_store.testing._sync import place


def names_of(suite: type) -> list[str]:
    return [name for name in dir(suite) if name.startswith("test_")]


# Of clients that send other commands; in both flavours.
COMMANDS = [
    (
        rewriting.without_expiry,
        ["a_key_is_gone_when_its_time_is_over", "times_are_in_milliseconds"],
    ),
    (rewriting.in_tens_of_seconds, ["times_are_in_milliseconds"]),
    (rewriting.unescaped_scan, ["a_scan_finds_what_matches", "other_keys_are_left_alone"]),
    (rewriting.cut_short, ["any_bytes_and_a_megabyte_come_back"]),
    (rewriting.as_text, ["a_script_gets_keys_and_arguments", "replies_are_bytes_when_decoding_is_refused"]),
    (rewriting.under_another_digest, ["a_script_that_ran_is_known"]),
    (rewriting.index_goes_with_a_key, ["an_id_does_not_come_again_without_its_counter"]),
    (rewriting.with_other_scripts(b"call('TIME')", b"call('ECHO', '12')"), ["the_clock_of_scripts_goes_on"]),
    (
        rewriting.with_other_scripts(b"'PEXPIRE'", b"'EXISTS'"),
        ["every_key_has_a_ttl", "times_are_in_milliseconds", "touch_renews_every_slot"],
    ),
    (
        rewriting.with_other_scripts(b"redis.pcall('DUMP', key)", b"(call('EXISTS', key) == 1 and 'x')"),
        ["a_mark_changes_with_what_a_key_holds", "with_cas_loses_no_update"],
    ),
    (
        rewriting.with_other_scripts(b"redis.pcall('DUMP', key)", b"tostring(call('PTTL', key))"),
        ["a_mark_stays_when_a_key_is_read_or_renewed"],
    ),
    (
        rewriting.with_other_scripts(b"redis.sha1hex(", b"string.upper("),
        ["the_content_mark_is_the_one_that_the_client_works_out"],
    ),
    (rewriting.with_other_scripts(b", 'NX')", b")"), ["a_script_can_call_what_the_store_calls"]),
]
# Of clients that change replies, or do something else; in one flavour, since the other is generated from the same text.
OTHERS = {
    "decodes": (
        {"client_class": defects.Decoding, "decode_responses": True},
        ["replies_are_bytes_when_decoding_is_refused", "a_script_gets_keys_and_arguments", "values_come_back"],
    ),
    "swallows unknown scripts": (
        {"client_class": defects.SwallowsUnknownScripts},
        ["an_unknown_script_is_a_no_script_error"],
    ),
    "swallows errors": (
        {"client_class": defects.SwallowsErrors},
        [
            *("an_error_of_a_script_is_a_response_error", "integers_have_64_bits"),
            *("the_wrong_type_is_an_error_that_says_so", "the_wrong_type_is_refused"),
        ],
    ),
    "blank is none": (defects.changing(defects.blank_is_none), ["blank_values_come_back", "values_come_back"]),
    "none is blank": (defects.changing(defects.none_is_blank), ["what_is_missing_is_none"]),
    "counts in doubles": (defects.changing(defects.as_double), ["integers_have_64_bits"]),
    "hgetall is flat": (defects.changing(defects.flat), ["hgetall_is_a_dict"]),
    "lists are flattened": (
        defects.changing(defects.flattened),
        [
            *("a_script_gets_keys_and_arguments", "a_closure_that_raises_writes_nothing"),
            "with_cas_shows_the_slots_and_commits_them_together",
        ],
    ),
    "remembers": ({"client_class": defects.Remembers}, ["a_write_is_seen_by_other_clients_at_once"]),
    "reads elsewhere": ({"client_class": defects.ReadsElsewhere}, ["a_write_is_seen_by_other_clients_at_once"]),
    "renews": (
        {"client_class": defects.Renews},
        ["a_read_leaves_the_ttl_alone", "reads_write_nothing"],
    ),
    "splits scripts": ({"client_class": defects.SplitsScripts}, ["nobody_sees_half_of_a_script"]),
    "answers backwards": ({"client_class": defects.Backwards}, ["pipelines_answer_in_order"]),
    "closes after errors": ({"connection_class": defects.ClosesAfterErrors}, ["pipelines_answer_in_order"]),
}
# Of clients that do not share a server, as another database shows it.
APART = [
    "a_fence_refuses_writes",
    "no_id_comes_twice",
    "with_cas_loses_no_update",
]


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A test that fails does not wait long before."""
    for module in (place, async_place):
        monkeypatch.setattr(module, "PATIENCE", 0.3)
        monkeypatch.setattr(f"{module.__package__}.expiry.PATIENCE", 0.3)


@pytest.fixture
def port(server: Server) -> Iterator[int]:
    """The port of a server, from which keys are removed that a defect has left there."""
    yield server.port
    for database in (0, 1):
        with redis.Redis(port=server.port, db=database) as client:
            for key in client.scan_iter("conformance-*"):
                client.delete(key)


def expect_failures(suite: Any, names: list[str]) -> None:
    """Each test fails, and says what the client must do and what is broken otherwise."""
    for name in names:
        test = getattr(suite, f"test_{name}")
        with pytest.raises(AssertionError) as failure:
            test()
        must, seen, otherwise = str(failure.value).split("\n")
        assert must == test.__doc__
        assert seen.startswith("  Seen: ")
        assert otherwise.startswith("  Otherwise: ")


@pytest.mark.parametrize(("rule", "names"), COMMANDS, ids=lambda value: getattr(value, "__name__", ""))
def test_a_client_that_sends_something_else_fails(rule: Any, names: list[str], port: int) -> None:
    """In the sync flavour."""

    class Suite(ClientConformance):
        def make_client(self) -> Any:
            return defects.client(port, **rewriting.rewriting(rule))

    expect_failures(Suite(), names)


@pytest.mark.parametrize(("rule", "names"), COMMANDS, ids=lambda value: getattr(value, "__name__", ""))
def test_an_async_client_that_sends_something_else_fails(rule: Any, names: list[str], port: int) -> None:
    """In the async flavour."""

    class Suite(AsyncClientConformance):
        def make_client(self) -> Any:
            return defects.client(port, **rewriting.async_rewriting(rule))

    expect_failures(Suite(), names)


@pytest.mark.parametrize("defect", OTHERS)
def test_a_client_with_a_defect_fails(defect: str, port: int) -> None:
    """Each by the tests that are about what it does wrong."""
    options, names = OTHERS[defect]

    class Suite(ClientConformance):
        def make_client(self) -> Any:
            return defects.client(port, **options)

    expect_failures(Suite(), names)


def test_clients_that_share_no_server_fail(port: int) -> None:
    """As two replicas, or two shards, that are taken for one server."""

    class Suite(ClientConformance):
        database = 0

        def make_client(self) -> redis.Redis:
            self.database = 1 - self.database
            return redis.Redis(port=port, db=self.database)

    expect_failures(Suite(), APART)


def test_an_async_client_with_a_defect_fails(port: int) -> None:
    """By the test that is about what it does wrong."""
    full = {"client_class": defects.AsyncSwallowsUnknownScripts, "connection_class": redis.asyncio.Connection}

    class Suite(AsyncClientConformance):
        def make_client(self) -> Any:
            return defects.client(port, **full)

    expect_failures(Suite(), OTHERS["swallows unknown scripts"][1])


def test_every_test_of_the_suite_catches_a_defect() -> None:
    """None of them is there for nothing."""
    lists = [*(names for _, names in COMMANDS), *(names for _, names in OTHERS.values()), APART]
    caught = {f"test_{name}" for names in lists for name in names}
    assert caught == set(names_of(ClientConformance))
